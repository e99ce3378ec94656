//! Plain numbers as an algebra: the rule book evaluated, nothing recorded.

use crate::rule_book::Elementwise;

/// An f64 with the ops of the elementwise table; truth values are 0 and 1.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Number(pub f64);

impl Number {
    #[inline(always)]
    pub(crate) fn apply(&self, op: &'static Elementwise, others: &[Number]) -> Number {
        let mut args = [self.0; 3];
        for (arg, other) in args[1..].iter_mut().zip(others) {
            *arg = other.0;
        }
        Number(evaluate(op, &args[..=others.len()]))
    }
}

/// The op's kernel on single numbers.
#[inline(always)]
pub(super) fn evaluate(op: &'static Elementwise, args: &[f64]) -> f64 {
    let kernel = op.scalar.unwrap_or_else(|| panic!("{}: works on integers and bool, not on scalars of f64", op.name));
    kernel(args)
}

impl From<f64> for Number {
    fn from(x: f64) -> Self {
        Number(x)
    }
}
impl From<&Number> for Number {
    fn from(x: &Number) -> Self {
        *x
    }
}
super::operators!(Number);
