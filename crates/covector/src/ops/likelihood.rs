//! Losses of single numbers: how unlikely targets are under predicted distributions, and how far away.

use std::f64::consts::PI;

use covector_derive::{op, op_list};

use super::loss::{Fold, pair};
use crate::{Error, Result, Tensor};

/// A weight that broadcasts to the losses, in their dtype.
fn weights(w: &Tensor, like: &Tensor) -> Result<Tensor> {
    if w.shape().broadcast(like.shape()).as_ref() != Some(like.shape()) {
        return Err(Error::new(format!("the weight {} does not broadcast to {}", w.shape(), like.shape())));
    }
    w.try_cast(like.dtype())
}

/// The logarithm, but -100 where it is less; negative numbers give NaN. There its derivative is 0.
fn log_to_100(x: &Tensor) -> Tensor {
    let tiny = x.greater_equal(0.0).logical_and(x.less((-100.0f64).exp()));
    // A harmless number first: the derivative of log at 0 must not meet the 0 it is multiplied by.
    tiny.where_(-100.0, tiny.where_(1.0, x).log())
}

/// The cross-entropy between probabilities `x` and `target`: `-t log(x) - (1 - t) log(1 - x)`, times `weight`.
///
/// Shapes: `x` and the target the same; `weight` broadcasts to it. The result is a scalar, or of that shape for "none"; the
/// mean is divided by the number of elements, not by the weights. Dtypes: promoted to a float; halves are computed in f32.
/// Logarithms count as -100 where they are less, so that the loss is finite at 0 and 1; where `x` is no probability it is NaN.
/// # Errors
/// If the shapes differ, the weight does not broadcast or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::likelihood::binary_cross_entropy as bce};
/// let (x, t) = (Tensor::from([0.5f32, 1.0, 1.0]), Tensor::from([1.0f32, 1.0, 0.0]));
/// assert_eq!(bce(&x, &t, None, "none").to_vec::<f32>(), [2.0f32.ln(), 0.0, 100.0]);
/// ```
/// Source: PyTorch's `binary_cross_entropy`.
#[op(samples = [
    (between(0.1, 0.9, [2, 3]), between(0.0, 1.0, [2, 3]), (), "mean"),
    (between(0.1, 0.9, [2, 3]), between(0.0, 1.0, [2, 3]), positive([3]), "sum"),
    (between(0.1, 0.9, [4]), between(0.0, 1.0, [4]), positive([4]), "none"),
])]
pub fn binary_cross_entropy(x: &Tensor, target: &Tensor, weight: Option<&Tensor>, reduction: &str) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    let (x, target, dtype) = pair(x, target)?;
    let mut loss = -(&target * log_to_100(&x) + (1.0 - &target) * log_to_100(&(1.0 - &x)));
    if let Some(w) = weight {
        loss = &loss * weights(w, &loss)?;
    }
    Ok(fold.of(loss).cast(dtype))
}

/// `d² / (2 beta)` for distances d below `beta`, `d - beta / 2` beyond: the Huber loss divided by `beta`.
///
/// Shapes: both the same; the result is a scalar, or of that shape for "none". Dtypes: promoted to a float; halves are
/// computed in f32. With `beta` 0 it is the absolute error.
/// # Errors
/// If the shapes differ, `beta` is negative or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::likelihood::smooth_l1_loss};
/// let loss = smooth_l1_loss(&Tensor::from([1.0f32, 4.0]), &Tensor::from([2.0f32, 1.0]), 2.0, "none");
/// assert_eq!(loss.to_vec::<f32>(), [0.25, 2.0]);
/// ```
/// Source: Girshick 2015, "Fast R-CNN"; PyTorch's `smooth_l1_loss`.
#[op(samples = [(real([2, 3]), real2([2, 3]), 1.0, "mean"), (real([4]), real2([4]), 0.5, "sum"), (real([2, 2]), real2([2, 2]), 0.0, "none")])]
pub fn smooth_l1_loss(x: &Tensor, target: &Tensor, beta: f64, reduction: &str) -> Result<Tensor> {
    if beta == 0.0 {
        return super::loss::try_l1_loss(x, target, reduction);
    }
    if !(beta > 0.0 && beta.is_finite()) {
        return Err(Error::new(format!("beta must be 0 or a positive number, not {beta}")));
    }
    Ok(super::loss::try_huber_loss(x, target, beta, reduction)? / beta)
}

/// `log(1 + e^(-t x))` for targets of 1 and -1, without overflow.
///
/// Shapes: both the same; the result is a scalar, or of that shape for "none". Dtypes: promoted to a float; halves are
/// computed in f32.
/// # Errors
/// If the shapes differ or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::likelihood::soft_margin_loss};
/// let loss = soft_margin_loss(&Tensor::from([0.0f32, 200.0]), &Tensor::from([1.0f32, -1.0]), "none");
/// assert_eq!(loss.to_vec::<f32>(), [2.0f32.ln(), 200.0]);
/// ```
/// Source: PyTorch's `soft_margin_loss`.
#[op(samples = [(real([2, 3]), exactly(&[1.0, -1.0, 1.0, -1.0, -1.0, 1.0], [2, 3]), "mean"), (real([3]), exactly(&[1.0, -1.0, 1.0], [3]), "none")])]
pub fn soft_margin_loss(x: &Tensor, target: &Tensor, reduction: &str) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    let (x, target, dtype) = pair(x, target)?;
    Ok(fold.of((-(x * target)).softplus()).cast(dtype))
}

/// The mean over classes of the cross-entropies between `sigmoid(x)` and targets: for examples of several classes at once.
///
/// Shapes: `x` and the target `[.., classes]`; `weight [classes]`. The result is a scalar, or without the last axis for
/// "none". Dtypes: promoted to a float; halves are computed in f32.
/// # Errors
/// If the shapes differ, there are no axes, the weight does not broadcast or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::likelihood::multilabel_soft_margin_loss};
/// let (x, t) = (Tensor::from([[0.0f32, 200.0]]), Tensor::from([[1.0f32, 1.0]]));
/// assert_eq!(multilabel_soft_margin_loss(&x, &t, None, "mean").item::<f32>(), 2.0f32.ln() / 2.0);
/// ```
/// Source: PyTorch's `multilabel_soft_margin_loss`.
#[op(samples = [(real([2, 3]), between(0.0, 1.0, [2, 3]), (), "mean"), (real([2, 3]), between(0.0, 1.0, [2, 3]), positive([3]), "none")])]
pub fn multilabel_soft_margin_loss(
    x: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    reduction: &str,
) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    if x.ndim() == 0 {
        return Err(Error::new("a scalar has no axis of classes"));
    }
    let each = super::loss::try_binary_cross_entropy_with_logits(x, target, weight, None, "none")?;
    Ok(fold.of(each.mean(-1)))
}

/// How unlikely counts are under Poisson's distribution: `e^x - t x`, where `x` is the logarithm of the rate; or `x - t log(x + eps)`
/// without `log_input`.
///
/// With `full` an approximation of `log t!` is added for targets beyond 1: `t log t - t + log(2 π t) / 2`.
///
/// Shapes: both the same; the result is a scalar, or of that shape for "none". Dtypes: promoted to a float; halves are
/// computed in f32.
/// # Errors
/// If the shapes differ or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::likelihood::poisson_nll_loss};
/// let loss = poisson_nll_loss(&Tensor::from([0.0f32]), &Tensor::from([3.0f32]), true, false, 1e-8, "sum");
/// assert_eq!(loss.item::<f32>(), 1.0);
/// ```
/// Source: PyTorch's `poisson_nll_loss`.
#[op(samples = [
    (real([2, 3]), between(0.0, 6.0, [2, 3]), true, false, 1e-8, "mean"), (positive([4]), between(0.0, 6.0, [4]), false, true, 1e-3, "none"),
    (real([4]), between(0.0, 6.0, [4]), true, true, 1e-8, "sum"),
])]
pub fn poisson_nll_loss(
    x: &Tensor,
    target: &Tensor,
    log_input: bool,
    full: bool,
    eps: f64,
    reduction: &str,
) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    let (x, target, dtype) = pair(x, target)?;
    let mut loss = if log_input { x.exp() - &target * &x } else { &x - &target * (&x + eps).log() };
    if full {
        let large = target.greater(1.0);
        let t = large.where_(&target, 1.0);
        let stirling = &t * t.log() - &t + (&t * (2.0 * PI)).log() * 0.5;
        loss = loss + large.where_(stirling, 0.0);
    }
    Ok(fold.of(loss).cast(dtype))
}

/// How unlikely targets are under normal distributions of these means and variances: `(log v + (x - t)² / v) / 2`; with `full`
/// and `log(2 π) / 2`.
///
/// Shapes: `x` and the target the same; `variance` broadcasts to it. The result is a scalar, or of that shape for "none".
/// Dtypes: promoted to a float; halves are computed in f32. Variances below `eps` count as `eps`, and have no derivative.
/// # Errors
/// If the shapes differ, the variance does not broadcast, `eps` is not positive or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::likelihood::gaussian_nll_loss};
/// let [x, t, v] = [1.0f32, 3.0, 1.0].map(|x| Tensor::from([x]));
/// assert_eq!(gaussian_nll_loss(&x, &t, &v, false, 1e-6, "mean").item::<f32>(), 2.0);
/// ```
/// Source: PyTorch's `gaussian_nll_loss`.
#[op(samples = [
    (real([2, 3]), real2([2, 3]), positive([2, 3]), false, 1e-6, "mean"), (real([2, 3]), real2([2, 3]), positive([2, 1]), true, 1e-6, "none"),
])]
pub fn gaussian_nll_loss(
    x: &Tensor,
    target: &Tensor,
    variance: &Tensor,
    full: bool,
    eps: f64,
    reduction: &str,
) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    if eps.is_nan() || eps <= 0.0 {
        return Err(Error::new(format!("eps must be positive, not {eps}")));
    }
    let (x, target, dtype) = pair(x, target)?;
    let v = weights(variance, &x)?;
    let v = v.less(eps).where_(eps, v);
    let loss = (v.log() + (x - target).square() / v) * 0.5;
    let loss = if full { loss + 0.5 * (2.0 * PI).ln() } else { loss };
    Ok(fold.of(loss).cast(dtype))
}

op_list![
    binary_cross_entropy,
    smooth_l1_loss,
    soft_margin_loss,
    multilabel_soft_margin_loss,
    poisson_nll_loss,
    gaussian_nll_loss
];
