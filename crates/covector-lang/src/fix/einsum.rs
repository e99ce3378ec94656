//! The letters of an einsum.

use super::Search;
use crate::ast::{Argument, Expr, ExprKind};
use crate::text::Span;

impl Search<'_> {
    /// Other letters where two sizes clash, or where letters and axes differ in number.
    pub(super) fn letters(&mut self) {
        let Some(ExprKind::Call(_, arguments)) = self.whole().map(|e| &e.kind) else { return };
        let Some(Argument { value: Expr { kind: ExprKind::Str(spec), span, .. }, .. }) = arguments.first() else {
            return;
        };
        let inside = Span::new(span.start + 1..span.end - 1);
        let (left, right) = spec.split_once("->").map_or((spec.as_str(), None), |(l, r)| (l, Some(r)));
        let terms: Vec<Vec<char>> =
            left.split(',').map(|t| t.chars().filter(|c| !c.is_whitespace()).collect()).collect();
        let operands = self.fault.about.operands.clone();
        let shown = |terms: &[Vec<char>], right: Option<&str>| {
            let left: Vec<String> = terms.iter().map(|t| t.iter().collect()).collect();
            right.map_or(left.join(","), |r| format!("{}->{r}", left.join(",")))
        };
        if let Some([a, b]) = self.fault.about.clash {
            // Two letters exchanged within one operand; then another letter at the place.
            for (k, axis) in [b, a] {
                let Some(term) = terms.get(k) else { continue };
                for i in (0..term.len()).filter(|&i| i != axis && axis < term.len()) {
                    let mut changed = terms.clone();
                    changed[k].swap(i, axis);
                    self.offer("the letters follow the order of the axes", inside, shown(&changed, right));
                }
            }
            self.rank = 1;
            let used: Vec<char> = terms.iter().flatten().copied().collect();
            // Two axes that were called alike by mistake: a fresh letter, in the output where it has the old one twice.
            for (k, axis) in [b, a] {
                let Some(&old) = terms.get(k).and_then(|t| t.get(axis)) else { continue };
                let size = operands.get(k).and_then(|o| o.axes.get(axis)).and_then(|s| s.chars().next());
                let wish = size.map(|c| c.to_ascii_lowercase()).into_iter().chain('a'..='z');
                let Some(fresh) = wish.into_iter().find(|c| c.is_ascii_alphabetic() && !used.contains(c)) else {
                    continue;
                };
                let mut changed = terms.clone();
                changed[k][axis] = fresh;
                if let Some((before, after)) = right.and_then(|r| r.rsplit_once(old))
                    && before.contains(old)
                {
                    let right = format!("{before}{fresh}{after}");
                    self.rank = 0;
                    self.offer(
                        format!("two letters for two sizes: `{old}` and `{fresh}`"),
                        inside,
                        shown(&changed, Some(&right)),
                    );
                    self.rank = 1;
                }
                self.offer(format!("call this axis `{fresh}`"), inside, shown(&changed, right));
            }
            self.rank = 2;
            for (k, axis) in [b, a] {
                for letter in dedup(used.iter().copied()).into_iter().filter(|c| c.is_alphabetic()) {
                    let mut changed = terms.clone();
                    let Some(place) = changed.get_mut(k).and_then(|t| t.get_mut(axis)) else { continue };
                    *place = letter;
                    self.offer(format!("call this axis `{letter}`"), inside, shown(&changed, right));
                }
            }
        }
        self.rank = 0;
        if terms.len() > operands.len()
            && let Some(last) = arguments.last().map(|a| a.value.span.end)
        {
            for name in self.fault.about.tensors.clone().into_iter().rev().take(8) {
                let used = operands.iter().any(|o| self.text(o.span) == name);
                self.rank = u8::from(used);
                self.offer(format!("hand over `{name}`"), Span::new(last..last), format!(", {name}"));
            }
        }
        self.rank = 0;
        // More or fewer letters than axes.
        for (k, operand) in operands.iter().enumerate() {
            let (n, Some(term)) = (operand.spec.shape.len(), terms.get(k)) else { continue };
            if term.contains(&'.') {
                continue;
            }
            let mut changed = terms.clone();
            if term.len() < n {
                changed[k].splice(0..0, "...".chars());
                let right = right.map(|r| format!("...{r}"));
                self.offer("`...` stands for the axes without a letter", inside, shown(&changed, right.as_deref()));
            }
            if term.len() > n {
                for (i, &gone) in term.iter().enumerate() {
                    let mut fewer = terms.clone();
                    fewer[k].remove(i);
                    let kept = fewer.iter().flatten().any(|c| *c == gone);
                    let right = right.map(|r| if kept { r.to_owned() } else { r.replace(gone, "") });
                    self.offer("a letter for each axis", inside, shown(&fewer, right.as_deref()));
                }
            }
        }
        if let Some(right) = right {
            // Letters of the output that no operand has, or that it has twice.
            for unknown in right.chars().filter(|c| c.is_alphabetic() && !left.contains(*c)) {
                let near = left.chars().find(|c| c.eq_ignore_ascii_case(&unknown));
                self.rank = u8::from(near.is_some());
                let others = left.chars().filter(|c| c.is_alphabetic() && !right.contains(*c));
                for letter in near.into_iter().chain(others) {
                    self.rank = u8::from(near.is_some_and(|n| n != letter));
                    let right = right.replace(unknown, &letter.to_string());
                    self.offer(format!("`{letter}` is in an operand"), inside, shown(&terms, Some(&right)));
                }
                let without = right.replace(unknown, "");
                self.offer(format!("without `{unknown}`"), inside, shown(&terms, Some(&without)));
            }
            let once: String = dedup(right.chars()).into_iter().collect();
            self.offer("each letter once in the output", inside, shown(&terms, Some(&once)));
        }
    }
}

/// Each letter once, where it first stood.
fn dedup(letters: impl Iterator<Item = char>) -> Vec<char> {
    letters.fold(Vec::new(), |mut all, c| {
        if !all.contains(&c) || c == '.' {
            all.push(c);
        }
        all
    })
}
