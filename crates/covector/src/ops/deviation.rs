//! The squares a variance is the mean of.

use covector_array::kernels::{self, Inputs, Kernel};
use covector_array::{Array, DType};

use super::view::{add_batch, aligned};
use crate::primitive::{Class, Derivative, Differentiable, Fused, Primitive};
use crate::{Cost, Error, Result, Spec, Tensor};

/// `(x - mean)²`, element by element, for a `mean` of `x` over all axes over which the result is summed.
///
/// A sum of squared distances from the mean is the least of all such sums, so it does not change with the mean to first order:
/// the rules leave out the path through it, which would cost a pass over `x` to arrive at 0. They are made of `x` and `mean`
/// themselves, so higher derivatives are complete.
pub(super) fn squared_deviation(x: &Tensor, mean: Tensor) -> Result<Tensor> {
    let (x, mean) = aligned(x.clone(), mean)?;
    Tensor::apply(SquaredDeviation, [x, mean])
}

#[derive(Clone, Debug, Hash)]
struct SquaredDeviation;

/// The kernel of each dtype that variances are computed in.
fn kernel(dtype: DType) -> Option<Kernel> {
    match dtype {
        DType::F32 => Some(Kernel::binary(|x: f32, mean: f32| (x - mean) * (x - mean))),
        DType::F64 => Some(Kernel::binary(|x: f64, mean: f64| (x - mean) * (x - mean))),
        _ => None,
    }
}

impl Primitive for SquaredDeviation {
    fn name(&self) -> &'static str {
        "squared_deviation"
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        if x[0] != x[1] || kernel(x[0].dtype).is_none() {
            let (a, b) = (x[0], x[1]);
            return Err(Error::new(format!("takes two operands alike, of f32 or f64, not {a} and {b}")));
        }
        Ok(x[0].clone())
    }
    fn run(&self, x: Inputs, spec: &Spec) -> Result<Array> {
        Ok(kernels::map(kernel, spec.dtype, x))
    }
    fn fused(&self, key: DType) -> Fused<'_> {
        kernel(key).map_or(Fused::No, Fused::Map)
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        let one = Cost::of_class(self.class(), x, out);
        Cost { flops: 2 * one.flops, ..one }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], batched: &[bool], size: usize) -> Result<Tensor> {
        let at = |k: usize| if batched[k] { x[k].clone() } else { add_batch(&x[k], size) };
        Tensor::apply(SquaredDeviation, [at(0), at(1)])
    }
}

impl Differentiable for SquaredDeviation {
    fn jvp(&self, x: &[Tensor], y: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        match &t[0] {
            Some(t) => (&x[0] - &x[1]) * t * 2.0,
            None => Tensor::zeros_of(y.spec()),
        }
    }
    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        vec![wrt[0].then(|| (&x[0] - &x[1]) * cotangent * 2.0), None]
    }
    fn rule(&self, names: &[&str], k: usize) -> Option<String> {
        match (names, k) {
            ([x, mean], 0) => Some(format!("ȳ · 2({x} - {mean})")),
            ([x, mean], 1) => Some(format!("0 once summed: {mean} is the mean of {x}")),
            _ => None,
        }
    }
}
