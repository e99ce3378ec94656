//! Operands that do not go together.

use covector::DType;

use super::Search;
use super::axes::is_name;
use crate::about::Operand;
use crate::ast::{Argument, Expr, ExprKind};
use crate::text::Span;

/// Ops that reduce, and so may keep their axes.
const REDUCTIONS: [&str; 12] =
    ["sum", "mean", "max", "min", "prod", "std", "var", "norm", "logsumexp", "any", "all", "median"];

impl Search<'_> {
    /// An op refused its operands.
    pub(super) fn op(&mut self) {
        let op = self.fault.op.clone().unwrap_or_default().into_string();
        self.arguments();
        self.index_items();
        let several = self.fault.about.clash.is_some() || self.fault.about.operands.len() > 1;
        self.values_in_place_of_axes();
        match op.as_str() {
            "matmul" | "dot" => self.products(),
            "reshape" => self.reshapes(),
            "einsum" => self.letters(),
            "cross_entropy" | "nll_loss" => self.classes(),
            "embedding" | "take" | "gather" => self.indices(),
            name if name.starts_with("conv") && self.fault.about.clash.is_some() => self.convolutions(),
            "`.T`" => self.vector(),
            _ => {}
        }
        self.rank = 0;
        if several {
            self.kept_axes();
        }
        self.argument_axes();
        if several && (self.fault.about.clash.is_some() || !op.starts_with("conv")) {
            self.fitted();
        }
        self.rank = 2;
        if matches!(op.as_str(), "matmul" | "where" | "dot" | "embedding" | "cross_entropy") {
            self.arguments_exchanged();
        }
        self.dtypes();
    }

    fn operands(&self) -> Vec<Operand> {
        self.fault.about.operands.clone()
    }

    /// Transposes, exchanged operands, flattened axes.
    fn products(&mut self) {
        let operands = self.operands();
        let [a, b] = &operands[..] else { return };
        let [at, bt] = [a, b].map(|x| self.text(x.span).to_owned());
        if b.spec.shape.len() == 2 || b.spec.shape.len() == a.spec.shape.len() {
            self.offer_behind(format!("transpose `{bt}`"), b.span, ".T");
        }
        self.exchanged();
        if a.spec.shape.len() > 2 {
            // [B, C, H, W] in front of a layer for C·H·W features.
            self.offer_behind(format!("flatten `{at}` to one row for each example"), a.span, ".flatten(1)");
            self.offer_behind(format!("join the last two axes of `{at}`"), a.span, ".flatten(-2)");
            for i in 0..a.spec.shape.len() - 2 {
                self.offer_behind(
                    format!("move the axis of `{at}` to the end"),
                    a.span,
                    &format!(".moveaxis({i}, -1)"),
                );
            }
        }
        self.rank = 1;
        for x in [b, a] {
            if x.spec.shape.len() >= 2 {
                let text = self.text(x.span).to_owned();
                self.offer_behind(format!("transpose `{text}`"), x.span, ".T");
            }
        }
        if a.spec.shape.len() >= 2 && b.spec.shape.len() >= 2 {
            let whole = self.fault.span();
            let text = self.text(whole);
            if let (Some(_), true) = (text.find('@'), self.is_binary()) {
                let with = format!("{}.T @ {}.T", self.tight(a.span), self.tight(b.span));
                self.offer("transpose both", a.span.to(b.span), with);
            }
        }
    }

    fn is_binary(&self) -> bool {
        matches!(self.whole().map(|e| &e.kind), Some(ExprKind::Binary(..)))
    }

    /// `b @ a` for `a @ b`.
    fn exchanged(&mut self) {
        let operands = self.operands();
        let ([a, b], Some(ExprKind::Binary(op, ..))) = (&operands[..], self.whole().map(|e| &e.kind)) else { return };
        let with = format!("{} {op} {}", self.tight(b.span), self.tight(a.span));
        self.offer("exchange the operands", a.span.to(b.span), with);
    }

    /// `*` in the place of `@`.
    pub(super) fn at_number(&mut self) {
        let Some(ExprKind::Binary("@", a, b)) = self.whole().map(|e| &e.kind) else { return };
        let between = Span::new(a.span.end..b.span.start);
        if let Some(at) = self.text(between).find('@') {
            let at = between.start + at;
            self.offer("a number is multiplied by `*`", Span::new(at..at + 1), "*");
        }
    }

    /// The first two arguments of a call exchanged.
    fn arguments_exchanged(&mut self) {
        let Some(ExprKind::Call(_, arguments)) = self.whole().map(|e| &e.kind) else { return };
        let positional: Vec<&Argument> = arguments.iter().filter(|a| a.name.is_none()).collect();
        if let [a, b, ..] = positional[..] {
            let between = self.text(Span::new(a.value.span.end..b.value.span.start));
            let with = format!("{}{between}{}", self.text(b.value.span), self.text(a.value.span));
            self.offer("exchange the two arguments", a.value.span.to(b.value.span), with);
        }
    }

    /// `keepdims=True` in the reduction that an operand comes from.
    fn kept_axes(&mut self) {
        for operand in self.operands() {
            let places = std::iter::once(operand.span).chain(operand.made.and_then(|made| self.value_of(made)));
            for place in places.collect::<Vec<_>>() {
                let Some(Expr { kind: ExprKind::Call(callee, arguments), .. }) = self.expr(place) else { continue };
                let name = match &callee.kind {
                    ExprKind::Name(name) | ExprKind::Attribute(_, name) => name.as_str(),
                    _ => continue,
                };
                let named = |n: &str| arguments.iter().any(|a| a.name.as_ref().is_some_and(|(name, _)| name == n));
                if REDUCTIONS.contains(&name) && !named("keepdims") && !named("keepdim") {
                    let close = Span::new(place.end - 1..place.end - 1);
                    let comma = if arguments.is_empty() { "" } else { ", " };
                    self.offer("keep the reduced axis, with size 1", close, format!("{comma}keepdims=True"));
                }
            }
        }
    }

    /// The value's place in a statement `name = value`.
    fn value_of(&self, statement: Span) -> Option<Span> {
        let text = self.text(statement);
        let at = text.find('=')? + 1;
        let start = statement.start + at + text[at..].find(|c: char| !c.is_whitespace())?;
        Some(Span::new(start..statement.end))
    }

    /// New axes, dropped axes, slices and transposes that make an operand fit the others.
    fn fitted(&mut self) {
        let operands = self.operands();
        let pair = self.fault.about.clash.map(|c| c.map(|(k, _)| k));
        let numbers: Vec<usize> = pair.map_or((0..operands.len()).collect(), Vec::from);
        let most = numbers.iter().map(|&k| operands[k].spec.shape.len()).max().unwrap_or(0);
        // The one with fewer axes first: it is the one that was meant to be repeated.
        let special = self.fault.op.as_deref().is_some_and(|op| op == "matmul" || op.starts_with("conv"));
        self.rank = u8::from(special);
        let mut order = numbers.clone();
        order.sort_by_key(|&k| (operands[k].spec.shape.len(), std::cmp::Reverse(k)));
        for &k in &order {
            let (x, n) = (&operands[k], operands[k].spec.shape.len());
            let name = self.text(x.span).to_owned();
            if n < most {
                for index in with_new_axes(n, most) {
                    let shape = self.shape_with(k, &index);
                    self.offer_behind(
                        format!(
                            "repeat `{name}` along {}: {shape}",
                            if most - n == 1 { "a new axis" } else { "new axes" }
                        ),
                        x.span,
                        &format!("[{index}]"),
                    );
                }
            }
        }
        for &k in &order {
            let (x, n) = (&operands[k], operands[k].spec.shape.len());
            let name = self.text(x.span).to_owned();
            for (axis, _) in x.spec.shape.iter().enumerate().filter(|(_, d)| **d == 1) {
                let said = format!("drop the axis of size 1 of `{name}`");
                self.offer_behind(said, x.span, &format!(".squeeze({})", from_end(axis, n)));
            }
            if let Some(clash) = self.fault.about.clash.filter(|_| n < most && self.rank == 0) {
                self.sliced(x, k, clash);
            }
        }
        self.rank = 1;
        for &k in &order {
            let (x, n) = (&operands[k], operands[k].spec.shape.len());
            let name = self.text(x.span).to_owned();
            if n >= 2 {
                self.offer_behind(format!("transpose `{name}`"), x.span, ".T");
            }
            if n == 3 {
                self.offer_behind(format!("exchange axes 0 and 1 of `{name}`"), x.span, ".transpose(0, 1)");
            }
            if n > 3 {
                self.offer_behind(format!("exchange axes 1 and 2 of `{name}`"), x.span, ".transpose(1, 2)");
                self.offer_behind(format!("exchange axes 0 and 1 of `{name}`"), x.span, ".transpose(0, 1)");
                let last = "move the first axis of";
                self.offer_behind(format!("{last} `{name}` to the end"), x.span, ".moveaxis(0, -1)");
                self.offer_behind(format!("move the last axis of `{name}` to place 1"), x.span, ".moveaxis(-1, 1)");
            }
            self.rank = 2;
            if n == most && n < 5 {
                for i in 1..=n {
                    let index = index_with(n, &[i]);
                    let shape = self.shape_with(k, &index);
                    self.offer_behind(
                        format!("repeat `{name}` along a new axis: {shape}"),
                        x.span,
                        &format!("[{index}]"),
                    );
                }
            }
            self.rank = 1;
        }
    }

    /// The shape of an operand behind an index of `:` and `None`, in symbols.
    fn shape_with(&self, k: usize, index: &str) -> String {
        let mut axes = self.fault.about.operands[k].axes.clone().into_iter();
        let mut items: Vec<String> = index
            .split(", ")
            .map(|i| if i == "None" { "1".to_owned() } else { axes.next().unwrap_or_default() })
            .collect();
        items.extend(axes);
        format!("[{}]", items.join(", "))
    }

    /// The first so many along the axis that clashes: `positions[:T]`.
    fn sliced(&mut self, x: &Operand, k: usize, [a, b]: [(usize, usize); 2]) {
        let (mine, other) = if a.0 == k { (a, b) } else { (b, a) };
        if mine.0 != k || other.0 == k {
            return;
        }
        let row = usize::from(a.0 == k);
        let size = self.fault.about.shapes.as_ref().and_then(|s| s.rows.get(row)).and_then(|r| r.axes.get(other.1));
        let Some(size) = size.filter(|s| is_name(s)).cloned() else { return };
        let name = self.text(x.span).to_owned();
        let index = ":, ".repeat(mine.1) + ":" + &size;
        self.offer_behind(format!("take the first `{size}` of `{name}`"), x.span, &format!("[{index}]"));
    }

    /// Targets of a cross-entropy: class numbers.
    fn classes(&mut self) {
        let operands = self.operands();
        let [scores, target, ..] = &operands[..] else { return };
        let name = self.text(target.span).to_owned();
        if target.spec.shape == scores.spec.shape {
            self.offer_behind("class numbers in place of one-hot rows", target.span, ".argmax(axis=-1)");
            self.offer("probabilities in place of class numbers", target.span, format!("cast({name}, f32)"));
        }
        if target.spec.shape.last() == Some(&1) {
            self.offer_behind(format!("drop the axis of size 1 of `{name}`"), target.span, ".squeeze(-1)");
        }
        if !target.spec.dtype.is_int() {
            self.declared_as(target, DType::I64);
            self.offer("class numbers are integers", target.span, format!("cast({name}, i64)"));
            if target.spec.shape.last() == Some(&1) {
                self.offer(
                    "class numbers are integers",
                    target.span,
                    format!("cast({}.squeeze(-1), i64)", self.tight(target.span)),
                );
            }
        }
        let x = self.text(scores.span).to_owned();
        if scores.spec.shape.len() > 2 {
            // Classes lie along axis 1, models have them last.
            let flat = format!("{}.flatten(0, -2), {}.flatten()", self.tight(scores.span), self.tight(target.span));
            let together = scores.span.to(target.span);
            if self.text(Span::new(scores.span.end..target.span.start)).trim() == "," {
                self.offer("one row of scores for each target", together, flat);
            }
            self.offer_behind(format!("move the classes of `{x}` to axis 1"), scores.span, ".moveaxis(-1, 1)");
        }
        if scores.spec.shape.len() == 1 && target.spec.shape.len() == 1 {
            self.offer_behind("an example of its own", scores.span, "[None]");
        }
    }

    /// Indices that are no integers, or stand where the table should.
    fn indices(&mut self) {
        let operands = self.operands();
        // Whole numbers in the place of the table are what was meant as indices.
        if operands.first().is_some_and(|o| o.spec.dtype.is_int()) {
            self.arguments_exchanged();
            self.rank = 1;
        }
        for operand in operands.iter().skip(1).filter(|o| !o.spec.dtype.is_int()) {
            self.declared_as(operand, DType::I64);
            let table = &operands[0].spec.shape;
            if table.starts_with(&operand.spec.shape) {
                self.offer("as a mask: truth values", operand.span, format!("cast({}, bool)", self.text(operand.span)));
            }
            self.offer("indices are integers", operand.span, format!("cast({}, i64)", self.text(operand.span)));
        }
    }

    /// `.T` of a vector.
    fn vector(&mut self) {
        let operands = self.operands();
        let [x] = &operands[..] else { return };
        let property = Span::new(x.span.end..self.fault.span().end);
        let size = x.axes.first().cloned().unwrap_or_default();
        self.offer(format!("as a column: [{size}, 1]"), property, "[:, None]");
        self.offer(format!("as a row: [1, {size}]"), property, "[None]");
        self.offer("as it is", property, "");
    }

    /// Another dtype in the operand's declaration.
    fn declared_as(&mut self, operand: &Operand, dtype: DType) {
        let Some(made) = operand.made else { return };
        let text = self.text(made);
        let (Some(colon), old) = (text.find(':'), operand.spec.dtype.name()) else { return };
        let Some(at) = text[colon..].find(old) else { return };
        let start = made.start + colon + at;
        let name = self.text(operand.span).to_owned();
        self.offer(format!("declare `{name}` as {dtype}"), Span::new(start..start + old.len()), dtype.name());
    }

    /// Channels last, weights the other way round, no batch.
    fn convolutions(&mut self) {
        let operands = self.operands();
        let [x, w, ..] = &operands[..] else { return };
        let (name, weight) = (self.text(x.span).to_owned(), self.text(w.span).to_owned());
        if x.spec.shape.len() >= 3 {
            self.offer_behind(format!("move the channels of `{name}` to axis 1"), x.span, ".moveaxis(-1, 1)");
            self.offer_behind(format!("move the channels of `{name}` to axis 0"), x.span, ".moveaxis(-1, 0)");
        }
        self.rank = 1;
        self.offer_behind(format!("exchange the channels of `{weight}`"), w.span, ".transpose(0, 1)");
        self.offer_behind(format!("move the channels of `{weight}` in front"), w.span, ".permute_dims(3, 2, 0, 1)");
        self.offer_behind(format!("give `{name}` an axis of examples"), x.span, "[None]");
        self.offer_behind(format!("give `{name}` an axis of channels"), x.span, "[:, None]");
    }

    /// Other dtypes for the operands.
    fn dtypes(&mut self) {
        for operand in self.operands() {
            let (have, name) = (operand.spec.dtype, self.text(operand.span).to_owned());
            for dtype in [DType::F32, DType::I64, DType::Bool] {
                if have != dtype && !(have.is_float() && dtype == DType::F32) {
                    let said = format!("convert `{name}` to {dtype}");
                    self.offer(said, operand.span, format!("cast({name}, {dtype})"));
                }
            }
        }
    }
}

/// An axis by its distance from the end, if that is the shorter way to say it.
fn from_end(axis: usize, n: usize) -> isize {
    if axis + 1 == n { -1 } else { axis as isize }
}

/// Indices that add new axes to `n` until there are `most`: `:, None, None, :`.
fn with_new_axes(n: usize, most: usize) -> Vec<String> {
    let total = most.min(6);
    let added = total.saturating_sub(n);
    let mut found = Vec::new();
    for set in (0u32..1 << total).filter(|s| s.count_ones() as usize == added) {
        let new = |i: usize| set >> i & 1 == 1;
        let items: Vec<&str> = (0..total).map(|i| if new(i) { "None" } else { ":" }).collect();
        // Leading axes are added by broadcasting itself.
        if items.contains(&":") && !(0..added).all(new) {
            found.push(trimmed(&items));
        }
    }
    found
}

/// An index that puts one new axis behind so many of `n`.
fn index_with(n: usize, at: &[usize]) -> String {
    let mut items = vec![":"; n];
    at.iter().rev().for_each(|&i| items.insert(i, "None"));
    trimmed(&items)
}

/// Trailing `:` say nothing.
fn trimmed(items: &[&str]) -> String {
    let end = items.iter().rposition(|i| *i != ":").map_or(items.len(), |i| i + 1);
    items[..end].join(", ")
}
