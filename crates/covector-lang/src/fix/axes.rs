//! Axes, sizes and other arguments that are numbers.

use super::Search;
use crate::ast::{Argument, Expr, ExprKind, StmtKind};
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
        let rows = self.fault.shapes.as_ref().map(|s| &s.rows[..]);
        let [have, wanted] = rows.unwrap_or_default() else { return };
        // Sizes that the operand has too, and new ones: of `B, T, heads, d` the last is in truth `d / heads`.
        let kept: Vec<bool> = wanted.axes.iter().map(|a| have.axes.contains(a)).collect();
        let n = sizes.len().min(kept.len());
        for i in (0..n).filter(|&i| !kept[i]) {
            let near = [Some(i + 1), i.checked_sub(1)].into_iter().flatten().find(|&j| j < n && kept[j]);
            if let Some(j) = near {
                let (by, of) = (self.tight(sizes[i].span), self.tight(sizes[j].span));
                self.offer(format!("`{by}` is a part of `{of}`"), sizes[j].span, format!("{of} / {by}"));
                self.offer("-1 stands for what is left", sizes[j].span, "-1");
            }
        }
        self.rank = 1;
        for i in (0..n).rev().filter(|&i| !kept[i]) {
            self.offer("-1 stands for what is left", sizes[i].span, "-1");
        }
        self.rank = 2;
        for i in (0..n).rev().filter(|&i| kept[i]) {
            self.offer("-1 stands for what is left", sizes[i].span, "-1");
        }
        self.rank = 1;
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
        let axes = std::iter::once(-1).chain(0..ndim.min(6));
        self.rank = if self.fault.about.clash.is_some() { 1 } else { 0 };
        match given {
            Some(argument) => {
                let said = argument.value.span;
                if let ExprKind::Tuple(items) | ExprKind::List(items) = &argument.value.kind {
                    for item in items {
                        axes.clone().for_each(|a| self.offer("another axis", item.span, a.to_string()));
                    }
                    return;
                }
                if self.text(said).trim_start_matches('-').parse::<i64>().is_ok() {
                    axes.for_each(|a| self.offer("another axis", said, a.to_string()));
                }
            }
            None if !matches!(name, "squeeze" | "flip") => {
                let end = self.fault.span().end - 1;
                let comma = if arguments.is_empty() { "" } else { ", " };
                axes.for_each(|a| self.offer("say which axis", Span::new(end..end), format!("{comma}axis={a}")));
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
