//! Axes, sizes and other arguments that are numbers.

use super::Search;
use crate::ast::{Argument, Expr, ExprKind, IndexItem, StmtKind};
use crate::defaults::alias;
use crate::text::Span;

impl<'a> Search<'a> {
    /// The callee's name and the arguments of the call that was refused.
    fn called(&self) -> Option<(&'a str, &'a [Argument], &'a Expr)> {
        let ExprKind::Call(callee, arguments) = &self.whole()?.kind else { return None };
        match &callee.kind {
            ExprKind::Name(name) | ExprKind::Attribute(_, name) => Some((name, arguments, callee)),
            _ => None,
        }
    }

    /// Sizes of a reshape: each in turn as -1, which takes what is left.
    pub(super) fn reshapes(&mut self) {
        let Some((name, arguments, callee)) = self.called() else { return };
        let method = matches!(callee.kind, ExprKind::Attribute(..));
        let sizes: Vec<&Expr> = arguments.iter().skip(usize::from(!method)).map(|a| &a.value).collect();
        let sizes: Vec<&Expr> = match &sizes[..] {
            [Expr { kind: ExprKind::Tuple(items) | ExprKind::List(items), .. }] => items.iter().collect(),
            _ => sizes,
        };
        if !matches!(name, "reshape" | "view") || sizes.is_empty() {
            return;
        }
        let about = &self.fault.about;
        let (Some(have), wanted) = (about.operands.first(), &about.wanted) else { return };
        if wanted.len() != sizes.len() {
            return;
        }
        if wanted.iter().filter(|&&n| n == -1).count() > 1 {
            // All but one -1 have to be said.
            for (i, _) in wanted.iter().enumerate().rev().filter(|(_, n)| **n == -1) {
                for axis in have.axes.clone().iter().rev().filter(|a| is_name(a)) {
                    self.offer(format!("say one of them: `{axis}`"), sizes[i].span, axis.as_str());
                }
            }
            return;
        }
        // Sizes that the operand has too, and new ones: of `B, T, heads, d` the last is in truth `d / heads`.
        let shape: Vec<i64> = have.spec.shape.iter().map(|&n| n as i64).collect();
        let kept: Vec<bool> = wanted.iter().map(|n| shape.contains(n)).collect();
        let n = sizes.len();
        for i in (0..n).filter(|&i| !kept[i]) {
            let near = [Some(i + 1), i.checked_sub(1)].into_iter().flatten().find(|&j| j < n && kept[j]);
            if let Some(j) = near {
                let (by, of) = (self.tight(sizes[i].span), self.tight(sizes[j].span));
                self.offer(format!("`{by}` is a part of `{of}`"), sizes[j].span, format!("{of} / {by}"));
            }
        }
        // What is left where one size is taken away: good if it is what some neighbouring axes make together.
        let product = |of: &[i64]| of.iter().try_fold(1i64, |p, &n| p.checked_mul(n));
        let runs = (0..shape.len()).flat_map(|i| (i + 1..=shape.len()).map(move |j| (i, j)));
        let runs: Vec<i64> = runs.filter_map(|(i, j)| product(&shape[i..j])).collect();
        let total = product(&shape).unwrap_or(0);
        for i in (0..n).rev() {
            let others: Vec<i64> = (0..n).filter(|&j| j != i).map(|j| wanted[j]).collect();
            let left = product(&others).filter(|&p| p > 0 && total % p == 0).map(|p| total / p);
            self.rank = if left.is_some_and(|l| runs.contains(&l)) { u8::from(kept[i]) } else { 2 };
            self.offer("-1 stands for what is left", sizes[i].span, "-1");
        }
        // A factor that no size has: an axis of its own.
        let factor = product(wanted).filter(|&p| p > 0 && total % p == 0).map_or(0, |p| total / p);
        if (2..=64).contains(&factor) {
            let first_new = kept.iter().position(|k| !k).unwrap_or(n - 1);
            self.rank = 0;
            let at = sizes[first_new].span.start;
            self.offer(format!("an axis for the factor {factor}"), Span::new(at..at), format!("{factor}, "));
        }
        self.rank = 2;
        let last = sizes[sizes.len() - 1].span;
        self.offer("an axis for what is left", Span::new(last.end..last.end), ", -1");
        let first = sizes[0].span;
        self.offer("an axis for what is left", Span::new(first.start..first.start), "-1, ");
        if let Some(from) = self.fault.about.operands.first().map(|o| o.span) {
            self.rank = 2;
            self.offer_behind("joining axes keeps the others", from, ".flatten(1)");
        }
    }

    /// Other axes for an op that is told one.
    pub(super) fn argument_axes(&mut self) {
        let Some((name, arguments, callee)) = self.called() else { return };
        let Some(op) = self.fault.op.as_deref().and_then(covector::registry::find) else { return };
        let Some(at) = op.params.iter().position(|p| matches!(p.kind, "Axis" | "Axes")) else { return };
        let ndim = self.fault.about.operands.iter().map(|o| o.spec.shape.len()).max().unwrap_or(0) as i64;
        let method = usize::from(matches!(callee.kind, ExprKind::Attribute(..)));
        let named = arguments.iter().find(|a| a.name.as_ref().is_some_and(|(n, _)| alias(n) == "axes" || n == "axis"));
        let given = named.or_else(|| arguments.get(at.wrapping_sub(method)).filter(|a| a.name.is_none()));
        let sizes = self.fault.about.operands.iter().map(|o| o.axes.clone()).max_by_key(Vec::len).unwrap_or_default();
        let named_axis = move |axis: i64| match axis {
            -1 => format!("the last axis, of size {}", sizes.last().map_or("1", String::as_str)),
            _ => format!("axis {axis}, of size {}", sizes.get(axis as usize).map_or("1", String::as_str)),
        };
        let axes = std::iter::once(-1).chain(0..(ndim - 1).clamp(0, 6));
        self.rank = if self.fault.about.clash.is_some() { 1 } else { 0 };
        match given {
            Some(argument) => {
                let said = argument.value.span;
                if let ExprKind::Tuple(items) | ExprKind::List(items) = &argument.value.kind {
                    for item in items {
                        axes.clone().for_each(|a| self.offer(named_axis(a), item.span, a.to_string()));
                    }
                    return;
                }
                if self.text(said).trim_start_matches('-').parse::<i64>().is_ok() {
                    axes.for_each(|a| self.offer(named_axis(a), said, a.to_string()));
                }
            }
            None if !matches!(name, "squeeze" | "flip") => {
                let end = self.fault.span().end - 1;
                let comma = if arguments.is_empty() { "" } else { ", " };
                axes.for_each(|a| self.offer(named_axis(a), Span::new(end..end), format!("{comma}axis={a}")));
            }
            None => {}
        }
        // Tensors of one shape are stacked, of several joined.
        match name {
            "stack" => self.offer("join along an axis they have", callee.span, "concat"),
            "concat" | "concatenate" | "cat" => self.offer("join along a new axis", callee.span, "stack"),
            _ => {}
        }
    }

    /// Orders of axes that name each, splits that make the whole, names that an op knows, groups that divide.
    pub(super) fn arguments(&mut self) {
        let Some((name, arguments, _)) = self.called() else { return };
        let ndim = self.fault.about.operands.first().map_or(0, |o| o.spec.shape.len());
        let number = |e: &Expr| if let ExprKind::Int(i) = e.kind { Some(i) } else { None };
        if matches!(name, "permute" | "permute_dims") {
            let given: Vec<&Expr> = arguments.iter().map(|a| &a.value).filter(|e| number(e).is_some()).collect();
            let axes: Vec<i64> = given.iter().filter_map(|e| number(e)).collect();
            let missing: Vec<String> = (0..ndim as i64).filter(|a| !axes.contains(a)).map(|a| a.to_string()).collect();
            if let (Some(last), false) = (given.last(), missing.is_empty()) {
                let end = Span::new(last.span.end..last.span.end);
                self.offer("each axis once", end, format!(", {}", missing.join(", ")));
            }
        }
        for argument in arguments {
            match &argument.value.kind {
                ExprKind::Tuple(items) | ExprKind::List(items) if name == "split" => {
                    if let Some(last) = items.last().map(|e| e.span) {
                        let again = self.text(last).to_owned();
                        self.offer("one part more", Span::new(last.end..last.end), format!(", {again}"));
                    }
                }
                ExprKind::Str(_) => {
                    let notes = self.fault.notes.join(" ");
                    for word in notes.split('"').skip(1).step_by(2) {
                        self.offer(format!("there is \"{word}\""), argument.value.span, format!("\"{word}\""));
                    }
                }
                _ => {}
            }
            if argument.name.as_ref().is_some_and(|(n, _)| n == "groups") {
                for groups in [1, 2, 4, 8, 16, 32, 3, 5] {
                    self.offer(format!("{groups} divides the channels"), argument.value.span, groups.to_string());
                }
            }
        }
        if name.starts_with("conv") && self.fault.message.contains("does not fit") {
            let end = self.fault.span().end - 1;
            for padding in 1..=4 {
                self.offer(format!("{padding} zeros around it"), Span::new(end..end), format!(", padding={padding}"));
            }
        }
    }

    /// Fewer or other indices between the brackets.
    pub(super) fn index_items(&mut self) {
        let Some(ExprKind::Index(of, items)) = self.whole().map(|e| &e.kind) else { return };
        let place = |item: &IndexItem| match item {
            IndexItem::At(e) => e.span,
            IndexItem::Slice { span, .. } => *span,
        };
        let ndim = self.fault.about.operands.first().map_or(0, |o| o.spec.shape.len());
        if let (true, [.., before, last]) = (items.len() > ndim, &items[..]) {
            let extra = Span::new(place(before).end..place(last).end);
            self.offer(format!("`{}` has {ndim} axes", self.text(of.span)), extra, "");
        }
        for item in items {
            if let IndexItem::At(Expr { kind: ExprKind::Int(i), span, .. }) = item {
                self.offer("-1 is the last", *span, "-1");
                self.offer("indices are counted from 0", *span, (i - 1).to_string());
            }
        }
    }

    /// `sum(x, y)` where `y` was meant to be something else: lists for single tensors.
    pub(super) fn values_in_place_of_axes(&mut self) {
        let Some((name, arguments, _)) = self.called() else { return };
        if !matches!(name, "concat" | "concatenate" | "cat" | "stack") {
            return;
        }
        let positional: Vec<Span> = arguments.iter().filter(|a| a.name.is_none()).map(|a| a.value.span).collect();
        let is_list = |a: &Argument| matches!(a.value.kind, ExprKind::List(_) | ExprKind::Tuple(_));
        if let ([first, .., last], false) = (&positional[..], arguments.iter().any(is_list)) {
            let all = first.to(*last);
            self.offer("put the tensors into a list", all, format!("[{}]", self.text(all)));
            if let [.., before, _] = positional[..] {
                let tensors = first.to(before);
                self.offer("put the tensors into a list", tensors, format!("[{}]", self.text(tensors)));
            }
        }
    }

    /// Numbers that divide, in place of one that leaves a rest.
    pub(super) fn rest(&mut self, value: i64, by: i64) {
        let Some(ExprKind::Binary(_, left, right)) = self.whole().map(|e| &e.kind) else { return };
        if value < 1 || by < 1 || value > 1 << 40 {
            return;
        }
        let mut divisors: Vec<i64> = (1..=value.min(4096)).filter(|d| value % d == 0 && *d > 1).collect();
        divisors.sort_by_key(|d| ((d - by).abs(), *d));
        for divisor in divisors.into_iter().take(3) {
            self.number_for(right, by, divisor, &format!("{divisor} divides {value}"));
        }
        for multiple in [(value / by + 1) * by, value / by * by] {
            if multiple > 0 {
                self.number_for(left, value, multiple, &format!("{multiple} is a multiple of {by}"));
            }
        }
    }

    /// Another number in the statement that gives it to this name.
    fn number_for(&mut self, of: &Expr, old: i64, new: i64, said: &str) {
        match &of.kind {
            ExprKind::Int(n) if *n == old => self.offer(said, of.span, new.to_string()),
            ExprKind::Name(name) => {
                let sets = self.program.statements().iter().find_map(|s| match &s.kind {
                    StmtKind::Assign { names, value } if names.len() == 1 && names[0].0 == *name => Some(value),
                    _ => None,
                });
                if let Some(Expr { kind: ExprKind::Int(n), span, .. }) = sets
                    && *n == old
                {
                    self.offer(said, *span, new.to_string());
                }
            }
            _ => {}
        }
    }
}

/// True for the name of a size.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic()) && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}
