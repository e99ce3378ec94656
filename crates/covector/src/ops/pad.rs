//! Zeros around and between elements: the transpose of slicing.

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, Shape};
use smallvec::SmallVec;

use super::view::{Slice, linear};
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::{Error, Result, Spec, Tensor};

/// `lo` zeros before, `hi` after and `interior` between neighbours, per axis.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Pad {
    pub lo: SmallVec<[usize; 6]>,
    pub hi: SmallVec<[usize; 6]>,
    pub interior: SmallVec<[usize; 6]>,
}

impl Pad {
    fn transpose(&self, x: &Spec, cotangent: &Tensor) -> Tensor {
        let slice = Slice {
            starts: self.lo.clone(),
            sizes: x.shape.iter().copied().collect(),
            steps: self.interior.iter().map(|i| i + 1).collect(),
        };
        super::made(Tensor::apply(slice, [cotangent.clone()]))
    }
}
linear!(Pad);

impl Primitive for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let size = |i: usize| {
            let between = x[0].shape[i].saturating_sub(1).checked_mul(self.interior[i])?;
            x[0].shape[i].checked_add(between)?.checked_add(self.lo[i])?.checked_add(self.hi[i])
        };
        let shape: Option<Shape> = (0..x[0].shape.len()).map(size).collect();
        let shape = shape.ok_or_else(|| Error::new("the padded size does not fit in memory"))?;
        Ok(Spec::new(x[0].dtype, shape))
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::pad(&x[0], &self.lo, &self.hi, &self.interior))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        let prefixed = |rest: &[usize]| std::iter::once(0).chain(rest.iter().copied()).collect();
        let pad = Pad { lo: prefixed(&self.lo), hi: prefixed(&self.hi), interior: prefixed(&self.interior) };
        Tensor::apply(pad, [x[0].clone()])
    }
}
