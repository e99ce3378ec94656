//! Activations that are chosen or made of others.

use covector_derive::{op, op_list};

use super::complex::require_order;
use super::view::reshaped;
use crate::{Axis, Error, Result, Shape, Tensor};

/// `x` as a real float.
fn float(x: &Tensor) -> Result<Tensor> {
    require_order(x.spec())?;
    Ok(x.cast(x.dtype().to_float()))
}

fn require_not_negative(name: &str, number: f64) -> Result<()> {
    if number >= 0.0 {
        return Ok(());
    }
    Err(Error::new(format!("{name} must be 0 or more, not {number}")))
}

/// The first half along an axis, gated by the second: `a · sigmoid(b)`, the gated linear unit.
///
/// Shapes: as `x`, with half of the size along the axis. Floats (integers give f32).
/// # Errors
/// If the size along the axis is odd, or there is no such axis.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([3.0f32, 5.0, 0.0, 100.0]).glu(-1).to_vec::<f32>(), [1.5, 5.0]);
/// ```
/// Source: Dauphin et al. 2017, "Language modeling with gated convolutional networks"; PyTorch's `glu`.
#[op(samples = [(real([2, 4]), -1), (real([2, 3]), 0), (real([2, 6, 2]), 1)])]
pub fn glu(x: &Tensor, axis: Axis) -> Result<Tensor> {
    let x = float(x)?;
    let at = x.axis(axis)?;
    if x.shape()[at] % 2 != 0 {
        return Err(Error::new(format!(
            "{} has {} elements along axis {at}, which has no halves",
            x.spec(),
            x.shape()[at]
        )));
    }
    let halves = x.try_chunk(2, axis)?;
    Ok(&halves[0] * halves[1].sigmoid())
}

/// The sigmoid of straight lines: 0 up to -3, 1 from 3 on, `(x + 3) / 6` between.
///
/// Shapes: as `x`. Floats (integers give f32). The derivative at -3 and 3 is half of that between.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([-4.0f32, 0.0, 4.0]).hardsigmoid().to_vec::<f32>(), [0.0, 0.5, 1.0]);
/// ```
/// Source: PyTorch's `hardsigmoid`.
#[op(samples = [(real([2, 3]),), (exactly(&[-3.5, -2.0, 0.25, 2.5, 4.0], [5]),), (real(()),)])]
pub fn hardsigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((float(x)? + 3.0).clip(Some(0.0), Some(6.0)) * (1.0 / 6.0))
}

/// `x · hardsigmoid(x)`.
///
/// Shapes: as `x`. Floats (integers give f32). The derivative at -3 is -1/4, at 3 it is 5/4: the mean of both sides.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([-4.0f32, 1.5, 4.0]).hardswish().to_vec::<f32>(), [0.0, 1.125, 4.0]);
/// ```
/// Source: Howard et al. 2019, "Searching for MobileNetV3"; PyTorch's `hardswish`.
#[op(samples = [(real([2, 3]),), (exactly(&[-3.5, -2.0, 0.25, 2.5, 4.0], [5]),), (real(()),)])]
pub fn hardswish(x: &Tensor) -> Result<Tensor> {
    let x = float(x)?;
    Ok(&x * x.try_hardsigmoid()?)
}

/// `x` where it is further than `lambd` from 0, and 0 elsewhere.
///
/// Shapes: as `x`. Floats (integers give f32). At `±lambd` the value and the derivative are 0.
/// # Errors
/// If `lambd` is negative.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([-2.0f32, 0.25, 1.0]).hardshrink(0.5).to_vec::<f32>(), [-2.0, 0.0, 1.0]);
/// ```
/// Source: PyTorch's `hardshrink`.
#[op(samples = [(real([2, 3]), 0.5), (real(()), 0.25)])]
pub fn hardshrink(x: &Tensor, lambd: f64) -> Result<Tensor> {
    require_not_negative("lambd", lambd)?;
    let x = float(x)?;
    Ok(x.abs().greater(lambd).where_(&x, 0.0))
}

/// `x` moved by `lambd` towards 0, and 0 where that is nearer.
///
/// Shapes: as `x`. Floats (integers give f32). At `±lambd` the derivative is 0.
/// # Errors
/// If `lambd` is negative.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([-2.0f32, 0.25, 1.0]).softshrink(0.5).to_vec::<f32>(), [-1.5, 0.0, 0.5]);
/// ```
/// Source: PyTorch's `softshrink`.
#[op(samples = [(real([2, 3]), 0.5), (real(()), 0.25)])]
pub fn softshrink(x: &Tensor, lambd: f64) -> Result<Tensor> {
    require_not_negative("lambd", lambd)?;
    let x = float(x)?;
    let below = x.less(-lambd).where_(&x + lambd, 0.0);
    Ok(x.greater(lambd).where_(&x - lambd, below))
}

/// `x - tanh(x)`.
///
/// Shapes: as `x`. Floats (integers give f32).
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([0.0f32, 100.0]).tanhshrink().to_vec::<f32>(), [0.0, 99.0]);
/// ```
/// Source: PyTorch's `tanhshrink`.
#[op(samples = [(real([2, 3]),), (real(()),)])]
pub fn tanhshrink(x: &Tensor) -> Result<Tensor> {
    let x = float(x)?;
    Ok(&x - x.tanh())
}

/// `x / (1 + |x|)`.
///
/// Shapes: as `x`. Floats (integers give f32). The derivative at 0 is 1.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([-3.0f32, 0.0, 1.0]).softsign().to_vec::<f32>(), [-0.75, 0.0, 0.5]);
/// ```
/// Source: PyTorch's `softsign`.
#[op(samples = [(real([2, 3]),), (real(()),)])]
pub fn softsign(x: &Tensor) -> Result<Tensor> {
    let x = float(x)?;
    Ok(&x / (x.abs() + 1.0))
}

/// `x` where it is positive, `alpha (e^(x / alpha) - 1)` elsewhere: an [`elu`](super::activation::elu) of slope 1 at 0.
///
/// Shapes: as `x`. Floats (integers give f32).
/// # Errors
/// If `alpha` is 0.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([2.0f32, -1000.0]).celu(1.5).to_vec::<f32>(), [2.0, -1.5]);
/// ```
/// Source: Barron 2017, "Continuously differentiable exponential linear units"; PyTorch's `celu`.
#[op(samples = [(real([2, 3]), 1.0), (real(()), 0.7)])]
pub fn celu(x: &Tensor, alpha: f64) -> Result<Tensor> {
    if alpha == 0.0 {
        return Err(Error::new("alpha must not be 0"));
    }
    let x = float(x)?;
    let above = x.greater(0.0);
    // Large `x` must not reach the exponential: its derivative there, inf, would meet the 0 of the choice below.
    let below = (above.where_(0.0, &x) / alpha).expm1() * alpha;
    Ok(above.where_(x, below))
}

/// `x` where it is larger than `bound`, `value` elsewhere.
///
/// Shapes: as `x`. Floats (integers give f32). At the bound the derivative is 0.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([0.5f32, 2.0]).threshold(1.0, -7.0).to_vec::<f32>(), [-7.0, 2.0]);
/// ```
/// Source: PyTorch's `threshold`.
#[op(samples = [(real([2, 3]), 0.1, -1.5), (real(()), -0.25, 0.0)])]
pub fn threshold(x: &Tensor, bound: f64, value: f64) -> Result<Tensor> {
    let x = float(x)?;
    Ok(x.greater(bound).where_(&x, value))
}

/// `x` where it is positive, `weight · x` elsewhere: a [`leaky_relu`](super::activation::leaky_relu) whose slopes are learned.
///
/// Shapes: as `x`; `weight [1]`, or `[channels]` with channels on axis 1. Floats (integers give f32). The derivative at 0 is
/// the slope.
/// # Errors
/// If the weight has another shape.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[2.0f32, -2.0], [-4.0, -4.0]]);
/// assert_eq!(x.prelu(&Tensor::from([0.5f32, 0.25])).to_vec::<f32>(), [2.0, -0.5, -2.0, -1.0]);
/// ```
/// Source: He et al. 2015, "Delving deep into rectifiers"; PyTorch's `prelu`.
#[op(samples = [(real([2, 3]), positive([1])), (real([2, 3, 2]), positive([3])), (real(()), positive([1]))])]
pub fn prelu(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let x = float(x)?;
    let channels = x.shape().get(1).copied().unwrap_or(1);
    if weight.ndim() != 1 || ![1, channels].contains(&weight.size()) {
        return Err(Error::new(format!(
            "the weight must be [1] or [{channels}], one slope per channel, not {}",
            weight.shape()
        ))
        .hint("channels lie on axis 1"));
    }
    let weight = weight.try_cast(x.dtype())?;
    let column: Shape = match weight.size() {
        1 => Shape::default(),
        n => std::iter::once(n).chain(std::iter::repeat_n(1, x.ndim() - 2)).collect(),
    };
    Ok(x.greater(0.0).where_(&x, &x * reshaped(&weight, column)))
}

op_list![glu, hardsigmoid, hardswish, hardshrink, softshrink, tanhshrink, softsign, celu, threshold, prelu];
