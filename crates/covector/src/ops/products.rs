//! Sums of matrix products: the cotangent of a weight that is used at every step of a sequence.

use covector_array::Array;
use covector_array::kernels::{self, Inputs};

use super::linear::{MatMul, batch_of};
use super::view::reshaped;
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::{Cost, Error, Flow, Result, Spec, Tensor};

/// `Σ aᵢ bᵢ` of `[B, m, kᵢ] @ [B, kᵢ, n] -> [B, m, n]`; the operands are `a₀, b₀, a₁, b₁, ..`.
///
/// One product of all `aᵢ` side by side and all `bᵢ` below each other. What it costs is what the products and their sum would:
/// so formulas of costs do not depend on whether sizes are such that a sum is worth this ([`pays`]).
#[derive(Clone, Debug, Hash)]
struct MatMulSum;

/// True if copies of the factors of these products of one shape have fewer elements than what is added up otherwise.
pub(crate) fn pays(pairs: &[&[Tensor; 2]]) -> bool {
    let Some([a, b]) = pairs.first() else { return false };
    let (rows, columns) = (a.shape()[1], b.shape()[2]);
    let inner: usize = pairs.iter().map(|[a, _]| a.shape()[2]).sum();
    inner.saturating_mul(rows + columns) <= (pairs.len() - 1).saturating_mul(rows).saturating_mul(columns)
}

/// The sum of the products of these pairs, which are known to fit.
pub(crate) fn summed(pairs: impl IntoIterator<Item = [Tensor; 2]>) -> Tensor {
    super::made(Tensor::apply(MatMulSum, pairs.into_iter().flatten()))
}

impl Primitive for MatMulSum {
    fn name(&self) -> &'static str {
        "matmul_sum"
    }
    fn class(&self) -> Class {
        Class::Contract
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let mut products = x.chunks(2).map(|pair| MatMul.infer(pair));
        let first = products.next().ok_or_else(|| Error::new("there is nothing to multiply"))??;
        products.try_fold(first, |first, next| match next? {
            next if next == first => Ok(first),
            next => Err(Error::new(format!("no sum of matrix products {first} and {next}"))),
        })
    }
    fn label(&self, _: &mut Flow<'_>) {}
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        let factor = |first: usize, axis: usize| joined(x.iter().skip(first).step_by(2), axis);
        Ok(kernels::matmul(&factor(0, 2), &factor(1, 1)))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        let add = Cost::of_class(Class::Elementwise, &[out, out], out);
        x.chunks(2).skip(1).fold(MatMul.cost(&x[..2], out), |sum, pair| {
            let product = MatMul.cost(pair, out);
            Cost {
                flops: sum.flops.saturating_add(product.flops).saturating_add(add.flops),
                read: sum.read + product.read + add.read,
                written: sum.written + product.written + add.written,
                ..sum
            }
        })
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        let merged: Vec<Tensor> = x.iter().zip(has).map(|(x, &has)| batch_of(x, has, size)).collect();
        let n = x[0].shape()[usize::from(has[0])];
        let (rows, columns) = (merged[0].shape()[1], merged[1].shape()[2]);
        Ok(reshaped(&Tensor::apply(MatMulSum, merged)?, [size, n, rows, columns]))
    }
}

impl Differentiable for MatMulSum {
    fn jvp(&self, x: &[Tensor], _: &Tensor, tangents: &[Option<Tensor>]) -> Tensor {
        let pairs = x.chunks(2).zip(tangents.chunks(2)).flat_map(|(x, t)| {
            let left = t[0].clone().map(|t| [t, x[1].clone()]);
            left.into_iter().chain(t[1].clone().map(|t| [x[0].clone(), t]))
        });
        summed(pairs)
    }
    fn vjp(&self, x: &[Tensor], y: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        x.chunks(2).zip(wrt.chunks(2)).flat_map(|(x, wrt)| MatMul.vjp(x, y, cotangent, wrt)).collect()
    }
    fn rule(&self, names: &[&str], k: usize) -> Option<String> {
        MatMul.rule(names.get(k / 2 * 2..k / 2 * 2 + 2)?, k % 2)
    }
}

/// Batches of matrices joined along an axis; if all are stored transposed, so is the result.
fn joined<'a>(all: impl Iterator<Item = &'a Array>, axis: usize) -> Array {
    let all: Vec<Array> = all.cloned().collect();
    if all.iter().all(|x| x.strides()[1] == 1) {
        let turned: Vec<Array> = all.iter().map(Array::t).collect();
        return kernels::concat(&turned, 3 - axis).t();
    }
    kernels::concat(&all, axis)
}
