//! Normalisation by mean and spread.

use covector_array::{DType, Shape};
use covector_derive::{op, op_list};

use super::reduce::widened;
use super::view::reshaped;
use crate::{Error, Result, Tensor, keep};

pub use super::attention::scaled_dot_product_attention;

/// `x` in the float it is computed in (halves in f32), checked with `eps`; and the dtype of the result.
fn prepared(x: &Tensor, eps: f64) -> Result<(Tensor, DType)> {
    if !(eps >= 0.0 && eps.is_finite()) {
        return Err(Error::new(format!("eps must be a finite number of at least 0, not {eps}")));
    }
    let dtype = x.dtype().to_float();
    Ok((widened(&x.cast(dtype)), dtype))
}

/// A parameter that must have this shape, seen as `view` and in the dtype of `x`.
fn parameter(what: &str, p: &Tensor, shape: &[usize], view: &[usize], x: &Tensor) -> Result<Tensor> {
    if p.shape()[..] != *shape {
        return Err(Error::new(format!("{what} must have the shape {}, not {}", Shape::from(shape), p.shape())));
    }
    Ok(reshaped(&p.cast(x.dtype()), view))
}

/// `y · weight + bias`, each where it is given.
fn affine(
    y: Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    shape: &[usize],
    view: &[usize],
) -> Result<Tensor> {
    let weight = weight.map(|w| parameter("the weight", w, shape, view, &y)).transpose()?;
    let bias = bias.map(|b| parameter("the bias", b, shape, view, &y)).transpose()?;
    let y = weight.map_or(y.clone(), |w| y * w);
    Ok(bias.map_or(y.clone(), |b| y + b))
}

/// Mean 0 and variance 1 over `axes`, in two passes, so that a large mean costs no digits.
fn standardized(x: &Tensor, axes: &[usize], eps: f64) -> Tensor {
    let away = x - x.mean(keep(axes));
    let spread = away.square().mean(keep(axes));
    away * (spread + eps).rsqrt()
}

/// The last `n` axes.
fn trailing(x: &Tensor, n: usize) -> Result<Vec<usize>> {
    if n == 0 || n > x.ndim() {
        return Err(Error::new(format!("normalized_ndim is {n}, and x has {} axes", x.ndim()))
            .hint("it is the number of axes at the end to normalise over, at least 1"));
    }
    Ok((x.ndim() - n..x.ndim()).collect())
}

/// The number of channels of `[batch, channels, ..]`, and the shape in which one number for each broadcasts.
fn channels(x: &Tensor) -> Result<(usize, Vec<usize>)> {
    if x.ndim() < 2 {
        return Err(Error::new(format!("x must be [batch, channels, ..], not {}", x.shape())));
    }
    let mut view = vec![1; x.ndim() - 1];
    view[0] = x.shape()[1];
    Ok((view[0], view))
}

/// Layer normalisation: mean 0 and variance 1 over the last `normalized_ndim` axes, then `· weight + bias`.
///
/// Shapes: as `x`; weight and bias have the shape of the normalised axes. Floats (integers give f32); halves are computed
/// in f32, and the result has the dtype of `x`. The variance is the population's; `eps` is added to it.
/// # Errors
/// If `normalized_ndim` is 0 or more than there are axes, `eps` is negative, or a parameter has another shape.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 3.0], [5.0, 5.0]]);
/// assert_eq!(x.layer_norm(1, None, None, 0.5).to_vec::<f32>()[2..], [0.0, 0.0]);
/// ```
/// Source: Ba, Kiros, Hinton 2016, "Layer normalization"; PyTorch's `layer_norm`.
#[op(samples = [
    (real([2, 4]), 1, real([4]), real2([4]), 1e-5), (real([2, 2, 3]), 2, real([2, 3]), (), 1e-5), (real([3, 2]), 1, (), (), 0.1),
], notes = "rule=x̄ = (g - mean g - z·mean g·z)/σ with g = ȳ·w, z = (x - mean x)/σ | w̄ = Σ ȳ·z | b̄ = Σ ȳ")]
pub fn layer_norm(
    x: &Tensor,
    normalized_ndim: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    let axes = trailing(x, normalized_ndim)?;
    let (x, dtype) = prepared(x, eps)?;
    let shape = &x.shape()[axes[0]..];
    Ok(affine(standardized(&x, &axes, eps), weight, bias, shape, shape)?.cast(dtype))
}

/// Root-mean-square normalisation: `x / sqrt(mean(x²) + eps) · weight` over the last `normalized_ndim` axes.
///
/// Shapes: as `x`; the weight has the shape of the normalised axes. Floats (integers give f32); halves are computed in
/// f32, and the result has the dtype of `x`.
/// # Errors
/// If `normalized_ndim` is 0 or more than there are axes, `eps` is negative, or the weight has another shape.
/// # Example
/// ```
/// use covector::Tensor;
/// let y = Tensor::from([1.0f32, -1.0]).rms_norm(1, None, 0.0);
/// assert_eq!(y.to_vec::<f32>(), [1.0, -1.0]);
/// ```
/// Source: Zhang, Sennrich 2019, "Root mean square layer normalization"; PyTorch's `rms_norm`.
#[op(samples = [(real([2, 4]), 1, real([4]), 1e-5), (real([2, 2, 3]), 2, real([2, 3]), 1e-5), (real([3, 2]), 1, (), 0.1)],
    notes = "rule=x̄ = (g - z·mean g·z)/r with g = ȳ·w, z = x/r | w̄ = Σ ȳ·z")]
pub fn rms_norm(x: &Tensor, normalized_ndim: usize, weight: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    let axes = trailing(x, normalized_ndim)?;
    let (x, dtype) = prepared(x, eps)?;
    let shape = &x.shape()[axes[0]..];
    let y = &x * (x.square().mean(keep(&axes[..])) + eps).rsqrt();
    Ok(affine(y, weight, None, shape, shape)?.cast(dtype))
}

/// Group normalisation: mean 0 and variance 1 over each group of channels of each example, then `· weight + bias`.
///
/// Shapes: `x [n, c, ..]`, `groups` divides c; weight and bias `[c]`. Floats (integers give f32); halves are computed in
/// f32, and the result has the dtype of `x`. One group is layer normalisation, c groups instance normalisation.
/// # Errors
/// If `x` has less than two axes, `groups` does not divide c, `eps` is negative, or a parameter has another shape.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 3.0, 10.0, 10.0]]);
/// assert_eq!(x.group_norm(2, None, None, 0.0625).to_vec::<f32>()[2..], [0.0, 0.0]);
/// ```
/// Source: Wu, He 2018, "Group normalization"; PyTorch's `group_norm`.
#[op(samples = [
    (real([2, 4]), 2, real([4]), real2([4]), 1e-5), (real([2, 4, 3]), 2, real([4]), (), 1e-5), (real([1, 2, 2, 2]), 1, (), (), 0.1),
])]
pub fn group_norm(
    x: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    let (n, view) = channels(x)?;
    if groups == 0 || n % groups != 0 {
        return Err(Error::new(format!("{groups} groups do not divide {n} channels")));
    }
    let (x, dtype) = prepared(x, eps)?;
    let size = n / groups * x.shape()[2..].iter().product::<usize>();
    let grouped = reshaped(&x, [x.shape()[0], groups, size]);
    let y = reshaped(&standardized(&grouped, &[2], eps), x.shape().clone());
    Ok(affine(y, weight, bias, &[n], &view)?.cast(dtype))
}

/// Batch normalisation with given moments: `(x - mean) / sqrt(variance + eps) · weight + bias`, for each channel.
///
/// Shapes: `x [n, c, ..]`, all others `[c]`. Floats (integers give f32); halves are computed in f32, and the result has
/// the dtype of `x`. For training, give the moments of the batch: `x.mean(axes)` and `x.var(axes, 0.0)` over all axes but 1.
/// # Errors
/// If `x` has less than two axes, `eps` is negative, or a parameter has another shape.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// let (mean, variance) = (x.mean(0), x.var(0, 0.0));
/// let y = x.batch_norm(&mean, &variance, None, None, 0.0);
/// assert_eq!(y.to_vec::<f32>(), [-1.0, -1.0, 1.0, 1.0]);
/// ```
/// Source: Ioffe, Szegedy 2015, "Batch normalization"; PyTorch's `batch_norm`.
#[op(samples = [
    (real([3, 2]), real([2]), positive([2]), real([2]), real2([2]), 1e-5),
    (real([2, 3, 2]), real([3]), positive([3]), (), real([3]), 1e-5), (real([2, 2]), real([2]), positive([2]), (), (), 0.1),
])]
pub fn batch_norm(
    x: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor> {
    let (n, view) = channels(x)?;
    let (x, dtype) = prepared(x, eps)?;
    let mean = parameter("the mean", mean, &[n], &view, &x)?;
    let variance = parameter("the variance", variance, &[n], &view, &x)?;
    let mut scale = (variance + eps).rsqrt();
    if let Some(weight) = weight {
        // Multiplied while small: one number per channel.
        scale = scale * parameter("the weight", weight, &[n], &view, &x)?;
    }
    Ok(affine((x - mean) * scale, None, bias, &[n], &view)?.cast(dtype))
}

op_list![layer_norm, rms_norm, group_norm, batch_norm];
