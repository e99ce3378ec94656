//! Arguments that are missing or too many, and values that are taken apart.

use super::Search;
use crate::ast::{Expr, ExprKind};
use crate::text::Span;

impl Search<'_> {
    /// Arguments that could be the missing one: what is called alike, then tensors, then small numbers.
    pub(super) fn missing(&mut self, param: &str) {
        let Some(Expr { kind: ExprKind::Call(_, arguments), span, .. }) = self.whole() else { return };
        let close = Span::new(span.end - 1..span.end - 1);
        let by_name = arguments.iter().any(|a| a.name.is_some());
        let comma = if arguments.is_empty() { "" } else { ", " };
        let mut values: Vec<String> = self.fault.about.tensors.iter().rev().cloned().collect();
        values.sort_by_key(|v| (!v.eq_ignore_ascii_case(param), !v.to_lowercase().contains(&param.to_lowercase())));
        values.retain(|v| arguments.iter().all(|a| self.text(a.value.span) != v));
        values.truncate(12);
        match param {
            "axis" | "axes" | "axis1" | "axis2" => values.splice(0..0, ["-1", "0"].map(String::from)).for_each(drop),
            "dtype" => values.splice(0..0, ["f32", "i64"].map(String::from)).for_each(drop),
            _ => values.extend(["0", "1", "2"].map(String::from)),
        }
        for value in values {
            self.rank = u8::from(!value.eq_ignore_ascii_case(param));
            let with = if by_name { format!("{comma}{param}={value}") } else { format!("{comma}{value}") };
            self.offer(format!("give it `{value}`"), close, with);
        }
    }

    /// The call without what is too much, or with it in a list.
    pub(super) fn too_many(&mut self, wanted: usize) {
        let Some(Expr { kind: ExprKind::Call(callee, arguments), .. }) = self.whole() else { return };
        let method = usize::from(matches!(callee.kind, ExprKind::Attribute(..)));
        let keep = wanted.saturating_sub(method);
        let spans: Vec<Span> = arguments.iter().map(|a| a.value.span).collect();
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return };
        let tensors: Vec<&Span> =
            spans.iter().take_while(|s| self.fault.about.tensors.iter().any(|t| t == self.text(**s))).collect();
        if let [a, .., b] = tensors[..] {
            let all = a.to(*b);
            self.offer("put the tensors into a list", all, format!("[{}]", self.text(all)));
        }
        self.offer("put them into a tuple", first.to(*last), format!("({})", self.text(first.to(*last))));
        if keep > 0 && keep < spans.len() {
            let extra = Span::new(spans[keep - 1].end..last.end);
            self.offer(format!("without `{}`", self.text(extra).trim_start_matches([',', ' '])), extra, "");
        } else if keep == 0 {
            self.offer("without arguments", first.to(*last), "");
        }
    }

    /// As many names as there are items.
    pub(super) fn unpack(&mut self, names: &[(String, Span)], items: usize) {
        let (first, last) = (names[0].1, names[names.len() - 1].1);
        let all = first.to(last);
        let texts: Vec<&str> = names.iter().map(|(n, _)| n.as_str()).collect();
        if items > texts.len() && items <= texts.len() + 4 {
            let blanks = vec!["_"; items - texts.len()];
            for at in (0..=texts.len()).rev() {
                let mut more = texts.clone();
                more.splice(at..at, blanks.iter().copied());
                self.offer("a name for each; `_` for what is not needed", all, more.join(", "));
            }
        }
        if items < texts.len() && items > 0 {
            for gone in (0..texts.len()).rev() {
                let fewer: Vec<&str> = texts.iter().enumerate().filter(|(i, _)| *i != gone).map(|(_, n)| *n).collect();
                if fewer.len() == items {
                    self.offer(format!("without `{}`", texts[gone]), all, fewer.join(", "));
                }
            }
        }
    }

    /// A tensor where a truth value is needed.
    pub(super) fn truth(&mut self) {
        let at = self.fault.span();
        let text = &self.program.text;
        let (before, after) = (text[..at.start].trim_end(), text[at.end..].trim_start());
        let word = |w: &str, with: &str| -> Option<(Span, String)> {
            let start = text.len() - text[at.end..].trim_start().len();
            if after.starts_with(w) {
                return Some((Span::new(start..start + w.len()), with.to_owned()));
            }
            before.ends_with(w).then(|| (Span::new(before.len() - w.len()..before.len()), with.to_owned()))
        };
        for (w, with) in [("and", "&"), ("or", "|")] {
            if let Some((span, with)) = word(w, with) {
                // `&` binds tighter than comparisons.
                self.offer(format!("`{with}` combines truth values element by element"), span, with.clone());
                if let Some((left, right)) = self.around(span) {
                    let brackets = |s: Span| {
                        if self.is_tight(s) { self.text(s).to_owned() } else { format!("({})", self.text(s)) }
                    };
                    let both = format!("{} {with} {}", brackets(left), brackets(right));
                    self.offer(format!("`{with}` combines truth values element by element"), left.to(right), both);
                }
            }
        }
        if let Some(whole) = self.choice_around(at) {
            let Some(ExprKind::Choice { then, condition, otherwise }) = self.expr(whole).map(|e| &e.kind) else {
                return;
            };
            let [a, c, b] = [then, condition, otherwise].map(|e| self.text(e.span));
            self.offer("choose element by element", whole, format!("where({c}, {a}, {b})"));
        }
    }

    /// The operands of the `and` or `or` at this place.
    fn around(&self, word: Span) -> Option<(Span, Span)> {
        let found = self.enclosing(word, &|e| matches!(e.kind, ExprKind::Binary("and" | "or", ..)))?;
        match &found.kind {
            ExprKind::Binary(_, left, right) => Some((left.span, right.span)),
            _ => None,
        }
    }

    fn choice_around(&self, at: Span) -> Option<Span> {
        self.enclosing(at, &|e| matches!(e.kind, ExprKind::Choice { .. })).map(|e| e.span)
    }

    /// The innermost such expression around a place.
    fn enclosing(&self, at: Span, is: &dyn Fn(&Expr) -> bool) -> Option<&Expr> {
        let mut best: Option<&Expr> = None;
        let mut open = crate::ast::expressions(self.program.statements());
        while let Some(e) = open.pop() {
            if e.span.start <= at.start && at.end <= e.span.end {
                if is(e) && best.is_none_or(|b| e.span.end - e.span.start < b.span.end - b.span.start) {
                    best = Some(e);
                }
                open.extend(e.kind.parts());
            }
        }
        best
    }
}
