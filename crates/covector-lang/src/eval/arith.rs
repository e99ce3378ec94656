//! Operators on numbers, sizes and tensors.

use covector::{Operand, Tensor, registry};

use super::{Interpreter, Run, Stop, Wish};
use crate::about::Kind;
use crate::ast::Expr;
use crate::error::Fault;
use crate::text::Span;
use crate::value::{Int, Value};

/// The op of an operator.
fn op_of(sign: &str) -> Option<&'static str> {
    Some(match sign {
        "+" => "add",
        "-" => "subtract",
        "*" => "multiply",
        "/" => "divide",
        "//" => "floor_divide",
        "%" => "remainder",
        "**" => "pow",
        "@" => "matmul",
        "==" => "equal",
        "!=" => "not_equal",
        "<" => "less",
        "<=" => "less_equal",
        ">" => "greater",
        ">=" => "greater_equal",
        "&" => "bitwise_and",
        "|" => "bitwise_or",
        "^" => "bitwise_xor",
        "<<" => "bitwise_left_shift",
        ">>" => "bitwise_right_shift",
        _ => return None,
    })
}

impl Interpreter<'_> {
    pub(super) fn unary(&mut self, op: &str, value: Value, span: Span) -> Run<Value> {
        match (op, &value) {
            ("+", Value::Int(_) | Value::Float(_) | Value::Tensor(_)) => Ok(value),
            ("-", Value::Int(i)) => match i.value.checked_neg() {
                Some(value) => Ok(Value::Int(Int { value, ..*i })),
                None => Err(too_large(span)),
            },
            ("-", Value::Float(x)) => Ok(Value::Float(-x)),
            ("not", Value::Bool(b)) => Ok(Value::Bool(!b)),
            ("-" | "~" | "not", Value::Tensor(_)) => {
                let name = match op {
                    "-" => "negative",
                    "~" => "bitwise_invert",
                    _ => "logical_not",
                };
                self.op(name, [(span, value)], span)
            }
            _ => Err(Fault::new(format!("`{op}` of {}", value.describe()), span).into()),
        }
    }

    /// An op of tensors and numbers by its name.
    pub(super) fn op<const N: usize>(&mut self, name: &str, operands: [(Span, Value); N], span: Span) -> Run<Value> {
        let op = registry::find(name).expect("operators are ops of the registry");
        self.apply(op, operands.to_vec(), Vec::new(), span)
    }

    pub(super) fn binary(&mut self, sign: &str, operands: [(Span, Value); 2], span: Span) -> Run<Value> {
        let [(left_span, left), (right_span, right)] = &operands;
        match (left, right) {
            (Value::Tensor(_), Value::Tensor(_)) => self.tensors(sign, operands, span),
            (Value::Tensor(_), number) | (number, Value::Tensor(_)) if number.as_number().is_some() && sign == "@" => {
                let fault = Fault::new("`@` multiplies matrices", span);
                let mut fault = fault.label(*left_span, left.describe()).label(*right_span, right.describe());
                fault.about.kind = Kind::Number;
                Err(fault.into())
            }
            (Value::Tensor(_), number) if number.as_number().is_some() => self.tensors(sign, operands, span),
            (number, Value::Tensor(x)) if number.as_number().is_some() => {
                let number = Value::Tensor(number_beside(number, x));
                self.tensors(sign, [(*left_span, number), operands[1].clone()], span)
            }
            (Value::Int(a), Value::Int(b)) => self.integers(sign, *a, *b, span),
            (Value::List(a), Value::List(b)) if sign == "+" => {
                longest(a.len().saturating_add(b.len()), "items", span)?;
                Ok(Value::List(a.iter().chain(b).cloned().collect()))
            }
            (Value::List(a), Value::Int(n)) if sign == "*" => {
                self.decide(n.sizes, *right_span)?;
                let n = usize::try_from(n.value).unwrap_or(0);
                longest(a.len().saturating_mul(n), "items", span)?;
                Ok(Value::List(std::iter::repeat_n(a, n).flatten().cloned().collect()))
            }
            (Value::Str(a), Value::Str(b)) if sign == "+" => {
                longest(a.len().saturating_add(b.len()), "letters", span)?;
                Ok(Value::Str(format!("{a}{b}").into()))
            }
            _ => match (left.as_number(), right.as_number()) {
                (Some(a), Some(b)) => floats(sign, a, b)
                    .map(Value::Float)
                    .ok_or_else(|| Fault::new(format!("`{sign}` of two numbers"), span).into()),
                _ => {
                    let fault = Fault::new(format!("`{sign}` of {} and {}", left.describe(), right.describe()), span);
                    Err(fault.into())
                }
            },
        }
    }

    fn tensors(&mut self, sign: &str, operands: [(Span, Value); 2], span: Span) -> Run<Value> {
        match op_of(sign) {
            Some(name) => self.op(name, operands, span),
            None => Err(Fault::new(format!("`{sign}` of tensors"), span).into()),
        }
    }

    /// Arithmetic of integers; sizes divide without a rest, other integers as floats.
    fn integers(&mut self, sign: &str, a: Int, b: Int, span: Span) -> Run<Value> {
        let sizes = a.sizes.or(b.sizes);
        let (x, y) = (a.value, b.value);
        if matches!(sign, "/" | "//" | "%") && y == 0 {
            return Err(Fault::new("division by zero", span).into());
        }
        let value = match sign {
            "+" => x.checked_add(y),
            "-" => x.checked_sub(y),
            "*" => x.checked_mul(y),
            "//" if a.sizes.is_empty() => Some(x.div_euclid(y)),
            "%" => Some(x.rem_euclid(y)),
            "**" => match u32::try_from(y) {
                Ok(y) => x.checked_pow(y),
                Err(_) => return Ok(Value::Float((x as f64).powf(y as f64))),
            },
            "/" if a.sizes.is_empty() => return Ok(Value::Float(x as f64 / y as f64)),
            "/" | "//" => {
                let floor = sign == "//" && sizes.and(self.free).is_empty();
                if x % y != 0 && y > 0 && !floor {
                    return Err(Stop::Wish(Wish::Multiple(a.sizes, [x, y], span)));
                }
                Some(x.div_euclid(y))
            }
            _ => return Err(Fault::new(format!("`{sign}` of two integers"), span).into()),
        };
        value.map(|value| Value::Int(Int { value, sizes })).ok_or_else(|| too_large(span))
    }

    /// `a < b <= c`: of numbers at once, of tensors element by element.
    pub(super) fn comparisons(&mut self, first: &Expr, rest: &[(&'static str, Expr)]) -> Run<Value> {
        let mut left = (first.span, self.expr(first)?);
        let mut result: Option<Value> = None;
        for (sign, right) in rest {
            let right = (right.span, self.expr(right)?);
            let span = left.0.to(right.0);
            let this = self.compare(sign, [left, right.clone()], span)?;
            result = Some(match (result, this) {
                (None, this) => this,
                (Some(Value::Bool(a)), Value::Bool(b)) => Value::Bool(a && b),
                (Some(all), this) => self.op("logical_and", [(span, all), (span, this)], first.span.to(span))?,
            });
            left = right;
        }
        Ok(result.expect("a comparison has an operator"))
    }

    fn compare(&mut self, sign: &str, operands: [(Span, Value); 2], span: Span) -> Run<Value> {
        if operands.iter().any(|(_, v)| matches!(v, Value::Tensor(_))) {
            return self.binary(sign, operands, span);
        }
        let [(_, a), (_, b)] = &operands;
        let sizes = [a, b].iter().fold(Default::default(), |all: crate::value::SizeSet, v| match v {
            Value::Int(i) => all.or(i.sizes),
            _ => all,
        });
        self.decide(sizes, span)?;
        let order = match (a, b) {
            (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::None, Value::None) => Some(std::cmp::Ordering::Equal),
            _ => match (a.as_number().zip(b.as_number()), a.as_dtype().zip(b.as_dtype())) {
                (Some((a, b)), _) => a.partial_cmp(&b),
                (_, Some((a, b))) => Some(a.name().cmp(b.name())),
                _ => return Ok(Value::Bool(sign == "!=")),
            },
        };
        Ok(Value::Bool(match sign {
            "==" => order.is_some_and(|o| o.is_eq()),
            "!=" => !order.is_some_and(|o| o.is_eq()),
            "<" => order.is_some_and(|o| o.is_lt()),
            "<=" => order.is_some_and(|o| o.is_le()),
            ">" => order.is_some_and(|o| o.is_gt()),
            _ => order.is_some_and(|o| o.is_ge()),
        }))
    }
}

/// A number that stands on the left of a tensor, as the tensor it means.
pub(super) fn number_beside(number: &Value, x: &Tensor) -> Tensor {
    match number {
        Value::Int(i) => Operand::Int(i.value).beside(x),
        other => Operand::Float(other.as_number().expect("called with numbers")).beside(x),
    }
}

fn floats(sign: &str, a: f64, b: f64) -> Option<f64> {
    Some(match sign {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "//" => (a / b).floor(),
        "%" => a - b * (a / b).floor(),
        "**" => a.powf(b),
        _ => return None,
    })
}

/// How long lists and texts may become.
const LONGEST: usize = 100_000;

fn longest(n: usize, of: &str, span: Span) -> Run<()> {
    if n <= LONGEST { Ok(()) } else { Err(Fault::new(format!("more than {LONGEST} {of}"), span).into()) }
}

fn too_large(span: Span) -> Stop {
    Fault::new("the integer does not fit 64 bits", span).into()
}
