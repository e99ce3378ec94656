//! Partial derivatives: what a tangent or cotangent is multiplied with, in each algebra.

use crate::Tensor;
use crate::formula::Formula;
use crate::scalar::{Number, Value};

/// One expression per operand, compiled for each algebra.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Partials {
    pub tensor: &'static [Partial<Tensor>],
    pub value: &'static [ValuePartial],
    pub number: &'static [Partial<Number>],
    pub formula: &'static [Partial<Formula>],
}

/// A [`Partial`] on values of any tape.
pub type ValuePartial = for<'t> fn(&[Value<'t>], Value<'t>) -> Factor<Value<'t>>;

/// A partial derivative: from the operands and the result.
pub type Partial<A> = fn(&[A], &A) -> Factor<A>;

/// What a tangent or cotangent is multiplied with.
#[derive(Clone, Debug)]
pub enum Factor<A> {
    /// A known number: 0 drops the term, 1 and -1 need no product.
    Number(f64),
    /// An expression.
    Of(A),
    /// 1 where the condition holds, 0 elsewhere: chosen, not multiplied, so that no 0 · inf arises.
    When(A),
    /// 0 where the condition holds, 1 elsewhere.
    Unless(A),
    /// 1 where the first is larger, one half where both are equal, 0 elsewhere: chosen too.
    Share(A, A),
}

impl<A> From<f64> for Factor<A> {
    fn from(x: f64) -> Self {
        Factor::Number(x)
    }
}
impl From<Tensor> for Factor<Tensor> {
    fn from(x: Tensor) -> Self {
        Factor::Of(x)
    }
}
impl<'t> From<Value<'t>> for Factor<Value<'t>> {
    fn from(x: Value<'t>) -> Self {
        Factor::Of(x)
    }
}
impl From<Number> for Factor<Number> {
    fn from(x: Number) -> Self {
        Factor::Of(x)
    }
}
impl From<Formula> for Factor<Formula> {
    fn from(x: Formula) -> Self {
        Factor::Of(x)
    }
}
