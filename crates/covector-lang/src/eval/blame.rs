//! The fault of an op: its operands with their shapes, where they got them, and which axes clash.

use covector::Tensor;

use super::{Interpreter, Stop};
use crate::about::{Kind, Operand};
use crate::ast::ExprKind;
use crate::error::Fault;
use crate::parse::parse_expression;
use crate::shapes::{Row, Shapes};
use crate::text::Span;
use crate::value::Value;

impl Interpreter<'_> {
    /// A fault of an op, with what its operands are and where they got their shapes.
    pub(super) fn fault(&self, error: &covector::Error, span: Span, operands: &[(Span, Value)]) -> Stop {
        let mut fault = Fault::new(spelt(error.message()), span);
        // What was written, where that is no name of an op.
        fault.op = match error.op() {
            Some("i") => None,
            Some("matrix_transpose") if span.of(self.text).ends_with("T") => Some("`.T`".into()),
            other => other.map(Box::from),
        };
        let operands: Vec<(Span, Tensor)> = operands.iter().flat_map(|(at, v)| tensors_at(self.text, *at, v)).collect();
        for (place, x) in &operands {
            if *place != span {
                fault = fault.label(*place, x.spec().to_string());
            }
        }
        for (place, x) in &operands {
            let name = root(place.of(self.text));
            let Some((Value::Tensor(of), Some(from))) = self.lookup(name) else { continue };
            // What was given from outside stands nowhere in the text.
            if from == Span::default() {
                continue;
            }
            if fault.at.iter().all(|l| l.span != from) && !(from.start <= span.start && span.end <= from.end) {
                let is_whole = place.of(self.text) == name && of.spec() == x.spec();
                let said =
                    if is_whole { self.origin(name, from).to_owned() } else { format!("`{name}` is {}", of.spec()) };
                fault = fault.label(from, said);
            }
        }
        if let Some(call) = self.frames.last().and_then(|f| f.call).filter(|_| self.frames.len() > 1) {
            fault = fault.label(call, "called from here");
        }
        fault.about.kind = Kind::Op;
        let made = |at: &Span| self.lookup(at.of(self.text)).and_then(|(_, from)| from);
        let operand = |(at, x): &(Span, Tensor)| Operand {
            span: *at,
            spec: x.spec().clone(),
            axes: x.shape().iter().map(usize::to_string).collect(),
            made: made(at),
        };
        fault.about.operands = operands.iter().map(operand).collect();
        let drawn = self.clashing(&mut fault, error, &operands);
        // What a drawing shows, no hint has to say.
        if let Some(hint) = error.hinted().filter(|_| !drawn || fault.about.shapes.is_none()) {
            fault = fault.note(spelt(hint));
        }
        fault.into()
    }

    /// How a name got its value.
    fn origin(&self, name: &str, from: Span) -> &'static str {
        let statement = from.of(self.text);
        match statement.strip_prefix(name).map(|rest| rest.trim_start().chars().next()) {
            _ if statement.starts_with("param ") => "declared here",
            Some(Some(':')) => "declared here",
            Some(None) => {
                let line = self.text[..from.start].rfind('\n').map_or(0, |i| i + 1);
                let is_loop = self.text[line..].trim_start().starts_with("for ");
                if is_loop { "from this loop" } else { "the argument" }
            }
            _ => "computed here",
        }
    }

    /// The shapes that clash, drawn; false if the op said nothing of axes.
    fn clashing(&self, fault: &mut Fault, error: &covector::Error, operands: &[(Span, Tensor)]) -> bool {
        if let ("reshape", Some((at, x))) = (fault.op.as_deref().unwrap_or_default(), operands.first())
            && let Some(wanted) = list_in(error.message())
        {
            fault.about.wanted.clone_from(&wanted);
            if wanted.iter().filter(|&&n| n < 0).count() > usize::from(wanted.contains(&-1)) {
                return true;
            }
            let mut have = Row::new(at.of(self.text), x.shape().iter().copied(), &[]);
            have.tail = format!("has {} elements", x.size());
            let known = wanted.iter().filter(|&&n| n != -1).try_fold(1i64, |p, &n| p.checked_mul(n));
            let tail = match known {
                None => "needs more than fit in memory".to_owned(),
                Some(n) if wanted.contains(&-1) => format!("needs a multiple of {n}"),
                Some(n) => format!("needs {n}"),
            };
            let axes = wanted.iter().map(i64::to_string).collect();
            let row = Row { name: "wanted".into(), axes, marked: Vec::new(), tail };
            fault.about.shapes =
                Some(Shapes { rule: "a reshape keeps the number of elements".into(), rows: vec![have, row] });
            return true;
        }
        let Some(clash) = error.clashing() else {
            if let [(a, x), (b, y)] = operands
                && error.message().contains("differ in shape")
            {
                return one_more(fault, error.hinted(), [(a.of(self.text), x), (b.of(self.text), y)]);
            }
            return false;
        };
        let is = |i: usize, k: usize| operands[k].1.shape() == &clash.shapes[i];
        let first = (0..operands.len()).find(|&k| is(0, k));
        let second = (0..operands.len()).rev().find(|&k| is(1, k) && Some(k) != first);
        let name = |k: Option<usize>| match k {
            Some(k) if operands[k].0.of(self.text).chars().count() <= 24 => operands[k].0.of(self.text).to_owned(),
            Some(k) => format!("operand {}", k + 1),
            None => "(within)".to_owned(),
        };
        // Shapes that are aligned may clash at several axes.
        let [a, b] = &clash.shapes;
        let back = |i: usize| clash.shapes[i].len().wrapping_sub(clash.axes[i]);
        let aligned = back(0) == back(1) && error.hinted().is_some_and(|h| h.contains("aligned at the right"));
        let clashes = |c: usize| {
            let at = |s: &covector::Shape| s.len().checked_sub(c).map(|i| s[i]);
            matches!((at(a), at(b)), (Some(m), Some(n)) if m != n && m != 1 && n != 1)
        };
        let marks = |i: usize| -> Vec<usize> {
            let len = clash.shapes[i].len();
            let least = if fault.op.as_deref() == Some("matmul") { 3 } else { 1 };
            if aligned {
                (least..=len).rev().filter(|&c| clashes(c)).map(|c| len - c).collect()
            } else {
                vec![clash.axes[i]]
            }
        };
        let row = |i: usize, k| Row::new(name(k), clash.shapes[i].iter().copied(), &marks(i));
        let rule = match (fault.op.as_deref().unwrap_or_default(), error.hinted()) {
            ("matmul", _) if clash.axes != [0, 0] && fault.message.starts_with("inner") => {
                "the last axis on the left meets the second-to-last on the right (a vector has one)".to_owned()
            }
            (_, Some(hint)) => spelt(hint),
            _ => "these axes need one size".to_owned(),
        };
        fault.about.shapes = Some(Shapes { rule, rows: vec![row(0, first), row(1, second)] });
        if let (Some(a), Some(b)) = (first, second) {
            fault.about.clash = Some([(a, clash.axes[0]), (b, clash.axes[1])]);
        }
        true
    }
}

/// Draws two shapes of which one has an axis more than the other.
fn one_more(fault: &mut Fault, hint: Option<&str>, [(a, x), (b, y)]: [(&str, &Tensor); 2]) -> bool {
    let extra = |more: &Tensor, less: &Tensor| {
        (0..more.ndim()).rev().find(|&i| more.shape().without(|k| k == i) == *less.shape())
    };
    let (in_x, in_y) = (extra(x, y), extra(y, x));
    let row = |name: &str, x: &Tensor, at: Option<usize>| Row::new(name, x.shape().iter().copied(), at.as_slice());
    let rule = hint.map_or("the shapes have to be equal".to_owned(), spelt);
    fault.about.shapes = Some(Shapes { rule, rows: vec![row(a, x, in_x), row(b, y, in_y)] });
    true
}

/// The tensors of an argument, each with its place: lists and tuples are taken apart.
fn tensors_at(text: &str, at: Span, value: &Value) -> Vec<(Span, Tensor)> {
    match value {
        Value::Tensor(x) => vec![(at, x.clone())],
        Value::List(items) if items.iter().any(|v| matches!(v, Value::Tensor(_))) => {
            let inside = parse_expression(&format!("({})", at.of(text)));
            let spans: Vec<Span> = match inside.map(|e| e.kind) {
                Ok(ExprKind::List(parts) | ExprKind::Tuple(parts)) if parts.len() == items.len() => {
                    parts.iter().map(|e| Span::new(at.start + e.span.start - 1..at.start + e.span.end - 1)).collect()
                }
                _ => vec![at; items.len()],
            };
            let tensors = spans.into_iter().zip(items);
            tensors.filter_map(|(s, v)| if let Value::Tensor(x) = v { Some((s, x.clone())) } else { None }).collect()
        }
        _ => Vec::new(),
    }
}

/// The name an expression begins with.
fn root(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The last list of integers in a message.
fn list_in(message: &str) -> Option<Vec<i64>> {
    let inside = &message[message.rfind('[')? + 1..message.rfind(']')?];
    inside.split(',').map(|n| n.trim().parse().ok()).collect()
}

/// What the library says, in the words of the language.
fn spelt(text: &str) -> String {
    let mut text = text.replace("`.t()`", "`.T`").replace("where_", "where");
    while let Some(at) = text.find("DType::") {
        let end = text[at + 7..].find(|c: char| !c.is_alphanumeric()).map_or(text.len(), |i| at + 7 + i);
        let name = text[at + 7..end].to_lowercase();
        text.replace_range(at..end, &name);
    }
    text
}
