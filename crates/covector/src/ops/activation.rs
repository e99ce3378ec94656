//! What neurons apply: kernels for the table, and the ops of this kind that have a parameter.

use covector_array::math::{Num, Real};
use covector_derive::{op, op_list};

use super::complex::require_order;
use crate::{Result, Tensor};

/// The scale λ of [`selu`](super::elementwise::selu).
pub(crate) const SELU_SCALE: f64 = 1.0507009873554805;
/// The factor α of [`selu`](super::elementwise::selu).
pub(crate) const SELU_ALPHA: f64 = 1.6732632423543772;
/// The coefficient of the cubic term in [`gelu_tanh`](super::elementwise::gelu_tanh).
pub(crate) const GELU_CUBIC: f64 = 0.044715;
/// `2 sqrt(2/π)`: the approximation's `(1 + tanh(u)) / 2` is the logistic function of `2u`.
pub(crate) const GELU_SCALE: f64 = 1.5957691216057308;

#[inline(always)]
fn number<T: Real>(x: f64) -> T {
    <T as Real>::from_f64(x)
}

#[inline(always)]
pub(crate) fn reciprocal<T: Real>(x: T) -> T {
    T::ONE / x
}

#[inline(always)]
pub(crate) fn sigmoid<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}

#[inline(always)]
pub(crate) fn softplus<T: Real>(x: T) -> T {
    Num::max(x, T::ZERO) + (-Num::abs(x)).exp().log1p()
}

#[inline(always)]
pub(crate) fn relu<T: Num>(x: T) -> T {
    x.max(T::ZERO)
}

#[inline(always)]
pub(crate) fn selu<T: Real>(x: T) -> T {
    let below = Num::min(x, T::ZERO).expm1() * number(SELU_SCALE * SELU_ALPHA);
    if x > T::ZERO { x * number(SELU_SCALE) } else { below }
}

/// `x`, held where `x` times a probability that decays exponentially is 0 already: -inf would give NaN.
#[inline(always)]
fn above_far_left<T: Real>(x: T) -> T {
    Num::max(x, number(-1e4))
}

#[inline(always)]
pub(crate) fn gelu<T: Real>(x: T) -> T {
    let x = above_far_left(x);
    x * x.normal().0
}

#[inline(always)]
pub(crate) fn gelu_slope<T: Real>(x: T) -> T {
    // Further out the slope is 0 or 1 to the last bit.
    let x = Num::min(Num::max(x, number(-40.0)), number(40.0));
    let (cdf, density) = x.normal();
    (x * number(0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2)).mul_add(density, cdf)
}

#[inline(always)]
pub(crate) fn gelu_tanh<T: Real>(x: T) -> T {
    let x = above_far_left(x);
    x * sigmoid(x * number(GELU_SCALE) * (x * x * number(GELU_CUBIC) + T::ONE))
}

#[inline(always)]
pub(crate) fn silu<T: Real>(x: T) -> T {
    let x = above_far_left(x);
    x / (T::ONE + (-x).exp())
}

/// With `e = e^x` and `n = e (e + 2)`, `tanh(log(1 + e))` is `n / (n + 2)`, which is 1 from x = 20 on.
#[inline(always)]
pub(crate) fn mish<T: Real>(x: T) -> T {
    let x = above_far_left(x);
    let e = Num::min(x, number(20.0)).exp();
    let n = e * (e + number(2.0));
    x * (n / (n + number(2.0)))
}

#[inline(always)]
pub(crate) fn tie_share<T: Real>(x1: T, x2: T, t: T) -> T {
    let tied = if x1 == x2 { t * number(0.5) } else { T::ZERO };
    if x1 > x2 { t } else { tied }
}

/// `x` where it is positive, `slope · x` elsewhere.
///
/// Shapes: as `x`. Floats (integers give f32). The derivative at 0 is `slope`.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([2.0f32, -2.0]).leaky_relu(0.5).to_vec::<f32>(), [2.0, -1.0]);
/// ```
/// Source: PyTorch's `leaky_relu`.
#[op(samples = [(real([2, 3]), 0.01), (real(()), 0.2)],
    notes = "rule=x̄ = ȳ where x > 0, slope·ȳ elsewhere")]
pub fn leaky_relu(x: &Tensor, slope: f64) -> Result<Tensor> {
    require_order(x.spec())?;
    let x = x.cast(x.dtype().to_float());
    Ok(x.greater(0.0).where_(&x, &x * slope))
}

/// `x` where it is positive, `alpha (e^x - 1)` elsewhere: the exponential linear unit.
///
/// Shapes: as `x`. Floats (integers give f32). The derivative at 0 is `alpha`.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([2.0f32, -1000.0]).elu(1.5).to_vec::<f32>(), [2.0, -1.5]);
/// ```
/// Source: Clevert et al. 2016; PyTorch's `elu`.
#[op(samples = [(real([2, 3]), 1.0), (real(()), 0.7)])]
pub fn elu(x: &Tensor, alpha: f64) -> Result<Tensor> {
    require_order(x.spec())?;
    let x = x.cast(x.dtype().to_float());
    let above = x.greater(0.0);
    // Large `x` must not reach the exponential: its derivative there, inf, would meet the 0 of the choice below.
    let below = above.where_(0.0, &x).expm1() * alpha;
    Ok(above.where_(x, below))
}

/// `x` held between `min` and `max`; a bound that is absent does not bind.
///
/// Shapes: as `x`. Integers stay integers if the bounds are whole, else they give f32; bool counts as i64. NaN stays NaN; where
/// `min` exceeds `max` the result is `max`. The derivative at a bound is one half, beyond it 0.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 5.0, -7.0]).clip(Some(0.0), Some(2.0)).to_vec::<f32>(), [1.0, 2.0, 0.0]);
/// ```
/// Source: NumPy's `clip`, PyTorch's `clamp`.
#[op(samples = [(real([2, 3]), -1.0, 1.0), (real([4]), (), 0.5), (real(()), 0.25, ()), (real([2, 2]), (), ())],
    notes = "rule=x̄ = ȳ where min < x < max, 0 elsewhere")]
pub fn clip(x: &Tensor, min: Option<f64>, max: Option<f64>) -> Result<Tensor> {
    require_order(x.spec())?;
    let whole = |bound: Option<f64>| bound.is_none_or(|b| b == b.trunc());
    let dtype = match x.dtype() {
        d if d.is_float() || !(whole(min) && whole(max)) => d.to_float(),
        covector_array::DType::Bool => covector_array::DType::I64,
        d => d,
    };
    let x = x.cast(dtype);
    // As scalars of the dtype, bounds outside an integer's range become its ends.
    let low = min.map(|b| x.maximum(Tensor::scalar(b, dtype))).unwrap_or(x);
    Ok(max.map(|b| low.minimum(Tensor::scalar(b, dtype))).unwrap_or(low))
}

/// The logarithm of [`sigmoid`](super::elementwise::sigmoid), without overflow.
///
/// Shapes: as `x`. Floats (integers give f32).
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([-1000.0f32]).log_sigmoid().to_vec::<f32>(), [-1000.0]);
/// ```
/// Source: PyTorch's `logsigmoid`.
#[op(samples = [(real([2, 3]),), (real(()),)])]
pub fn log_sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok(-(-x).try_softplus()?)
}

op_list![leaky_relu, elu, clip, log_sigmoid];
