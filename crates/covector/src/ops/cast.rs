//! Changing the dtype, and cutting the derivative.

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, DType};
use covector_derive::{op, op_list};

use super::leaf::StopGradient;
use crate::primitive::{Class, Derivative, Differentiable, Fused, Primitive};
use crate::{Error, Result, Spec, Tensor};

/// The same numbers in another dtype.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Cast {
    pub to: DType,
}

impl Primitive for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        if x[0].dtype.is_complex() && !self.to.is_complex() && self.to != DType::Bool {
            return Err(Error::new(format!("{} to {} would lose the imaginary part", x[0], self.to))
                .hint("take `.real()`, `.imag()` or `.abs()`, which are real"));
        }
        Ok(Spec::new(self.to, x[0].shape.clone()))
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::cast(&x[0], self.to))
    }
    fn fused(&self, key: DType) -> Fused<'_> {
        if key.is_complex() || self.to.is_complex() {
            return Fused::No;
        }
        if key == self.to { Fused::Same } else { Fused::Map(kernels::cast_kernel(key, self.to)) }
    }
    fn derivative(&self) -> Derivative<'_> {
        if self.to.is_inexact() {
            return Derivative::Rules(self);
        }
        Derivative::Cut("integers and bool have no derivatives")
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(self.clone(), [x[0].clone()])
    }
}

impl Differentiable for Cast {
    fn jvp(&self, _: &[Tensor], _: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        t[0].as_ref().expect("the one operand has a tangent").cast(self.to)
    }
    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        // The adjoint of giving a real number the imaginary part 0 is to take the real part.
        let back = if x[0].dtype().is_complex() { cotangent.clone() } else { cotangent.real() };
        vec![Some(back.cast(x[0].dtype()))]
    }
    fn rule(&self, _: &[&str], _: usize) -> Option<String> {
        Some("ȳ in the old dtype".to_owned())
    }
}

impl Tensor {
    /// This tensor, cast if it has another dtype.
    pub(crate) fn in_dtype(&self, dtype: DType) -> Tensor {
        if self.dtype() == dtype { self.clone() } else { self.cast(dtype) }
    }
}

/// The same numbers in another dtype.
///
/// Shapes: as `x`. Float to integer truncates towards 0 and saturates, NaN becomes 0; integer to narrower integer wraps;
/// anything to bool is `x != 0`; floats round to nearest even.
/// Real numbers become complex ones with the imaginary part 0.
/// The derivative passes between floats and complex numbers; a cast to an integer or bool has none.
/// # Errors
/// From complex to real numbers, which would lose the imaginary part.
/// # Example
/// ```
/// use covector::{DType, Tensor};
/// assert_eq!(Tensor::from([1.7f32, -1.7]).cast(DType::I64).to_vec::<i64>(), [1, -1]);
/// ```
/// Source: the Array API's `astype`.
#[op(samples = [(real([2, 3]), "f64"), (real([3]), "i64"), (ints(-3, 4, [4]), "f64"), (real([3]), "bool"), (real([2, 3]), "c128"), (complex([2]), "bool")])]
pub fn cast(x: &Tensor, dtype: DType) -> Result<Tensor> {
    if x.dtype() == dtype { Ok(x.clone()) } else { Tensor::apply(Cast { to: dtype }, [x.clone()]) }
}

/// The same value, through which no derivative passes.
///
/// Shapes: as `x`. Any dtype. The derivative is zero by request.
/// # Example
/// ```
/// use covector::{Tensor, grad};
/// let g = grad(|x: &Tensor| x * x.stop_gradient())(&Tensor::from(3.0f32));
/// assert_eq!(g.item::<f32>(), 3.0);
/// ```
/// Source: JAX's `stop_gradient`, PyTorch's `detach`.
#[op(samples = [(real([2, 3]),)], notes = "derivative=cut on purpose")]
pub fn stop_gradient(x: &Tensor) -> Result<Tensor> {
    Tensor::apply(StopGradient, [x.clone()])
}

op_list![cast, stop_gradient];
