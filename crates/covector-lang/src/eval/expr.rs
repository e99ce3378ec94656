//! Expressions.

use super::{Interpreter, Run, Stop};
use crate::about::Kind;
use crate::ast::{Expr, ExprKind};
use crate::error::Fault;
use crate::text::Span;
use crate::value::{Function, Int, Value, dtype};

/// How deep lists may be nested.
const DEEPEST_LIST: usize = 40;

/// How many values may be in a list and the lists in it.
const LARGEST_LIST: usize = 200_000;

impl Interpreter<'_> {
    pub(super) fn expr(&mut self, expr: &Expr) -> Run<Value> {
        self.step(expr.span)?;
        let value = match &expr.kind {
            ExprKind::Name(name) => self.name(name, expr.span)?,
            ExprKind::Int(i) => Value::Int(Int::from(*i)),
            ExprKind::Float(x) => Value::Float(*x),
            ExprKind::Str(text) => Value::Str(text.as_str().into()),
            ExprKind::Bool(b) => Value::Bool(*b),
            ExprKind::None => Value::None,
            ExprKind::Ellipsis => Value::Ellipsis,
            ExprKind::Unary(op, operand) => {
                let value = self.expr(operand)?;
                self.unary(op, value, expr.span)?
            }
            ExprKind::Binary(op @ ("and" | "or"), left, right) => {
                let first = self.truth(left)?;
                let decided = if *op == "and" { !first } else { first };
                Value::Bool(if decided { first } else { self.truth(right)? })
            }
            ExprKind::Binary(op, left, right) => {
                let operands = [(left.span, self.expr(left)?), (right.span, self.expr(right)?)];
                self.binary(op, operands, expr.span)?
            }
            ExprKind::Compare(first, rest) => self.comparisons(first, rest)?,
            ExprKind::Choice { then, condition, otherwise } => {
                if self.truth(condition)? {
                    self.expr(then)?
                } else {
                    self.expr(otherwise)?
                }
            }
            ExprKind::Attribute(of, name) => {
                let value = self.expr(of)?;
                self.attribute((of.span, value), name, expr.span)?
            }
            ExprKind::Call(function, arguments) => self.call(function, arguments, expr.span)?,
            ExprKind::Index(of, items) => {
                let value = self.expr(of)?;
                self.index((of.span, value), items, expr.span)?
            }
            ExprKind::Tuple(items) | ExprKind::List(items) => {
                Value::List(items.iter().map(|item| self.expr(item)).collect::<Run<_>>()?)
            }
        };
        if let Value::List(_) = &value {
            self.weigh(&value, expr.span)?;
        }
        Ok(value)
    }

    /// Lists are handed on as copies: a long one takes more than one step.
    fn weigh(&mut self, list: &Value, span: Span) -> Run<()> {
        let (depth, count) = list.extent();
        if depth > DEEPEST_LIST {
            return Err(Fault::new(format!("lists nested more than {DEEPEST_LIST} deep"), span).into());
        }
        if count > LARGEST_LIST {
            return Err(Fault::new(format!("a list of more than {LARGEST_LIST} items"), span).into());
        }
        self.steps += count as u64 / 8;
        self.step(span)
    }

    /// What a name stands for.
    pub(super) fn name(&self, name: &str, span: Span) -> Run<Value> {
        if let Some((value, _)) = self.lookup(name) {
            return Ok(value);
        }
        if let Some(value) = self.constant(name) {
            return Ok(value);
        }
        let mut known: Vec<&str> = self.frames.iter().flat_map(|f| f.names.keys()).map(String::as_str).collect();
        known.extend(covector::registry::all().map(|op| op.name));
        known.extend(super::builtin::NAMES);
        known.sort_unstable();
        Err(self.unknown(format!("nothing is called `{name}`"), name, known, span))
    }

    /// What the language itself calls so.
    fn constant(&self, name: &str) -> Option<Value> {
        Some(match name {
            "pi" => Value::Float(std::f64::consts::PI),
            "e" => Value::Float(std::f64::consts::E),
            "inf" => Value::Float(f64::INFINITY),
            "nan" => Value::Float(f64::NAN),
            _ => match super::builtin::NAMES.iter().find(|n| **n == name) {
                Some(builtin) => Value::Function(Function::Builtin(builtin)),
                None => match covector::registry::find(super::call::canonical(name)) {
                    Some(op) => Value::Function(Function::Op(op)),
                    None => Value::DType(dtype(name)?),
                },
            },
        })
    }

    /// The fault of a name that is none of those known.
    pub(super) fn unknown(&self, message: String, name: &str, known: Vec<&str>, span: Span) -> Stop {
        let mut fault = Fault::new(message, span);
        let at =
            span.of(self.text).rfind(name).map_or(span, |i| Span::new(span.start + i..span.start + i + name.len()));
        let known = known.into_iter().map(str::to_owned).collect();
        fault.about.kind = Kind::Name { at, name: name.to_owned(), known };
        fault.into()
    }

    /// The truth of a condition, which must be known before anything runs.
    pub(super) fn truth(&mut self, condition: &Expr) -> Run<bool> {
        match self.expr(condition)? {
            Value::Bool(b) => Ok(b),
            Value::Int(i) => {
                self.decide(i.sizes, condition.span)?;
                Ok(i.value != 0)
            }
            other => {
                let fault = Fault::new("a condition is true or false", condition.span);
                let mut fault = fault.here(format!("this is {}", other.describe()));
                if matches!(other, Value::Tensor(_)) {
                    fault = fault
                        .note("`where(condition, a, b)` chooses element by element, `&` and `|` combine truth values");
                }
                fault.about.kind = Kind::Truth;
                Err(fault.into())
            }
        }
    }
}
