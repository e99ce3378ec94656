//! How like vectors are, how far apart, and losses that rank them.

use covector_array::{DType, Shape};
use covector_derive::{op, op_list};

use super::complex::require_real;
use super::loss::Fold;
use super::reduce::widened;
use crate::{Axis, Error, Result, Spec, Tensor, keep};

/// Several tensors in one float dtype (halves in f32) and broadcast against one another, and the dtype of the result.
fn alike<const N: usize>(all: [&Tensor; N]) -> Result<([Tensor; N], DType)> {
    let mut shape = Some(Shape::default());
    let mut dtype = DType::Bool;
    for x in all {
        shape = shape.and_then(|s| s.broadcast(x.shape()));
        dtype = dtype.promote(x.dtype());
    }
    let dtype = dtype.to_float();
    let Some(shape) = shape else {
        let shapes: Vec<String> = all.iter().map(|x| x.shape().to_string()).collect();
        return Err(Error::new(format!("the shapes {} do not broadcast", shapes.join(", "))));
    };
    require_real(&Spec::new(dtype, shape.clone()))?;
    Ok((all.map(|x| widened(&x.cast(dtype)).broadcast_to(&shape)), dtype))
}

/// The cosine of the angle between vectors along an axis: `x1 · x2 / (max(|x1|, eps) max(|x2|, eps))`.
///
/// Shapes: broadcast; the result has no such axis. Dtypes: promoted to a float; halves are computed in f32. Of zeros it is 0,
/// and so is the derivative there.
/// # Errors
/// If the shapes do not broadcast, or there is no such axis.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[3.0f32, 4.0], [1.0, 0.0]]);
/// assert_eq!(x.cosine_similarity(&Tensor::from([[6.0f32, 8.0], [0.0, 2.0]]), 1, 1e-8).to_vec::<f32>(), [1.0, 0.0]);
/// ```
/// Source: PyTorch's `cosine_similarity`.
#[op(samples = [(real([2, 3]), real2([2, 3]), 1, 1e-8), (real([2, 3, 2]), real2([3, 1]), -2, 1e-6), (real([3]), real2([3]), 0, 1e-8)])]
pub fn cosine_similarity(x1: &Tensor, x2: &Tensor, axis: Axis, eps: f64) -> Result<Tensor> {
    let ([x1, x2], dtype) = alike([x1, x2])?;
    let axis = x1.axis(axis)?;
    let [a, b] = [&x1, &x2].map(|x| x / x.norm(keep(axis), 2.0).maximum(eps));
    Ok((a * b).sum(axis).cast(dtype))
}

/// Vectors along an axis divided by their p-norms, or by `eps` if that is more.
///
/// Shapes: as `x`. Floats (integers give f32); halves are computed in f32. Zeros stay zeros.
/// # Errors
/// If there is no such axis, or `eps` is not positive.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[3.0f32, 4.0], [0.0, 0.0]]);
/// assert_eq!(x.normalize(2.0, 1, 1e-12).to_vec::<f32>(), [0.6, 0.8, 0.0, 0.0]);
/// ```
/// Source: PyTorch's `normalize`.
#[op(samples = [(real([2, 3]), 2.0, 1, 1e-12), (real([2, 3, 2]), 1.0, -2, 1e-6), (real([3]), 3.0, 0, 1e-12)])]
pub fn normalize(x: &Tensor, p: f64, axis: Axis, eps: f64) -> Result<Tensor> {
    if eps.is_nan() || eps <= 0.0 {
        return Err(Error::new(format!("eps must be positive, not {eps}")));
    }
    let ([x], dtype) = alike([x])?;
    let axis = x.axis(axis)?;
    Ok((&x / x.norm(keep(axis), p).maximum(eps)).cast(dtype))
}

/// The p-norm of `x1 - x2 + eps` along the last axis.
///
/// Shapes: broadcast; the result has no last axis, or one of size 1 with `keepdims`. Dtypes: promoted to a float; halves are
/// computed in f32.
/// # Errors
/// If the shapes do not broadcast, or there are no axes.
/// # Example
/// ```
/// use covector::Tensor;
/// let d = Tensor::from([[3.0f32, 0.0]]).pairwise_distance(&Tensor::from([[0.0f32, 4.0]]), 2.0, 0.0, false);
/// assert_eq!(d.to_vec::<f32>(), [5.0]);
/// ```
/// Source: PyTorch's `pairwise_distance`.
#[op(samples = [(real([2, 3]), real2([2, 3]), 2.0, 1e-6, false), (real([2, 3]), real2([3]), 1.0, 1e-3, true), (real([3]), real2([3]), 3.0, 0.0, false)])]
pub fn pairwise_distance(x1: &Tensor, x2: &Tensor, p: f64, eps: f64, keepdims: bool) -> Result<Tensor> {
    let ([x1, x2], dtype) = alike([x1, x2])?;
    if x1.ndim() == 0 {
        return Err(Error::new("scalars have no axis along which they are vectors"));
    }
    let away = x1 - x2 + eps;
    let distance = if keepdims { away.norm(keep(-1), p) } else { away.norm(-1, p) };
    Ok(distance.cast(dtype))
}

/// `1 - cos` for pairs that belong together (target 1), `max(0, cos - margin)` for those that do not (target -1).
///
/// Shapes: `x1` and `x2` `[n, features]` or `[features]`, the target `[n]` or a scalar. The result is a scalar, or as the target for
/// "none". Dtypes: promoted to a float; halves are computed in f32.
/// # Errors
/// If the shapes do not fit or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::likeness::cosine_embedding_loss};
/// let (a, b) = (Tensor::from([[1.0f32, 0.0], [1.0, 0.0]]), Tensor::from([[2.0f32, 0.0], [3.0, 0.0]]));
/// let loss = cosine_embedding_loss(&a, &b, &Tensor::from([1.0f32, -1.0]), 0.25, "none");
/// assert_eq!(loss.to_vec::<f32>(), [0.0, 0.75]);
/// ```
/// Source: PyTorch's `cosine_embedding_loss`.
#[op(samples = [(real([3, 4]), real2([3, 4]), exact_ints(&[1, -1, -1], [3]), 0.1, "mean"), (real([3, 4]), real2([3, 4]), exact_ints(&[-1, 1, -1], [3]), 0.0, "none")])]
pub fn cosine_embedding_loss(
    x1: &Tensor,
    x2: &Tensor,
    target: &Tensor,
    margin: f64,
    reduction: &str,
) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    let ([x1, x2], dtype) = alike([x1, x2])?;
    let cosine = x1.try_cosine_similarity(&x2, -1, 1e-8)?;
    if target.shape() != cosine.shape() {
        return Err(Error::new(format!(
            "for pairs {} the target must be {}, not {}",
            x1.shape(),
            cosine.shape(),
            target.shape()
        )));
    }
    let apart = target.equal(-1).where_((&cosine - margin).relu(), 0.0);
    Ok(fold.of(target.equal(1).where_(1.0 - cosine, apart)).cast(dtype))
}

/// How much nearer to an anchor something that belongs to it is than something that does not: `max(0, d(a, p) - d(a, n) + margin)`,
/// with [`pairwise_distance`].
///
/// With `swap` the distance from `positive` to `negative` counts if it is less than that from the anchor.
///
/// Shapes: all `[.., features]`, broadcast. The result is a scalar, or without the last axis for "none". Dtypes: promoted to a
/// float; halves are computed in f32. At 0 the derivative is 0; of two equal distances each counts half.
/// # Errors
/// If the shapes do not broadcast, or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::likeness::triplet_margin_loss};
/// let [a, p, n] = [0.0f32, 1.0, 3.0].map(|x| Tensor::from([[x]]));
/// assert_eq!(triplet_margin_loss(&a, &p, &n, 2.5, 2.0, 0.0, false, "mean").item::<f32>(), 0.5);
/// ```
/// Source: Balntas et al. 2016, "Learning local feature descriptors with triplets"; PyTorch's `triplet_margin_loss`.
#[op(samples = [
    (real([3, 4]), real2([3, 4]), between(-1.0, 1.5, [3, 4]), 3.0, 2.0, 1e-6, false, "mean"),
    (real([3, 4]), real2([3, 4]), between(-1.0, 1.5, [3, 4]), 3.0, 1.0, 1e-6, true, "none"),
])]
#[allow(clippy::too_many_arguments)]
pub fn triplet_margin_loss(
    anchor: &Tensor,
    positive: &Tensor,
    negative: &Tensor,
    margin: f64,
    p: f64,
    eps: f64,
    swap: bool,
    reduction: &str,
) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    let ([a, near, far], dtype) = alike([anchor, positive, negative])?;
    let together = a.try_pairwise_distance(&near, p, eps, false)?;
    let mut apart = a.try_pairwise_distance(&far, p, eps, false)?;
    if swap {
        apart = apart.minimum(near.try_pairwise_distance(&far, p, eps, false)?);
    }
    Ok(fold.of((together - apart + margin).relu()).cast(dtype))
}

/// `max(0, -t (x1 - x2) + margin)`: with a target of 1 the first should be larger, with -1 the second.
///
/// Shapes: broadcast; the result is a scalar, or of that shape for "none". Dtypes: promoted to a float; halves are computed in
/// f32. The derivative where it begins is 0.
/// # Errors
/// If the shapes do not broadcast, or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::likeness::margin_ranking_loss};
/// let [a, b, t] = [[1.0f32, 2.0], [3.0, 0.5], [1.0, 1.0]].map(Tensor::from);
/// assert_eq!(margin_ranking_loss(&a, &b, &t, 0.5, "none").to_vec::<f32>(), [2.5, 0.0]);
/// ```
/// Source: PyTorch's `margin_ranking_loss`.
#[op(samples = [(real([4]), real2([4]), exactly(&[1.0, -1.0, 1.0, -1.0], [4]), 0.3, "mean"), (real([2, 2]), real2([2, 2]), exactly(&[1.0, -1.0], [2]), 1.5, "none")])]
pub fn margin_ranking_loss(x1: &Tensor, x2: &Tensor, target: &Tensor, margin: f64, reduction: &str) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    let ([x1, x2, t], dtype) = alike([x1, x2, target])?;
    Ok(fold.of((t * (x2 - x1) + margin).relu()).cast(dtype))
}

/// `x` where the target is 1, `max(0, margin - x)` where it is -1: for distances of pairs.
///
/// Shapes: broadcast; the result is a scalar, or of that shape for "none". Dtypes: promoted to a float; halves are computed in
/// f32. The derivative at the margin is 0.
/// # Errors
/// If the shapes do not broadcast, or the reduction is unknown.
/// # Example
/// ```
/// use covector::{Tensor, ops::likeness::hinge_embedding_loss};
/// let loss = hinge_embedding_loss(&Tensor::from([0.5f32, 0.25]), &Tensor::from([1.0f32, -1.0]), 1.0, "none");
/// assert_eq!(loss.to_vec::<f32>(), [0.5, 0.75]);
/// ```
/// Source: PyTorch's `hinge_embedding_loss`.
#[op(samples = [(real([4]), exact_ints(&[1, -1, 1, -1], [4]), 1.0, "mean"), (real([2, 2]), exact_ints(&[1, -1], [2]), 0.5, "none")])]
pub fn hinge_embedding_loss(x: &Tensor, target: &Tensor, margin: f64, reduction: &str) -> Result<Tensor> {
    let fold = Fold::parse(reduction)?;
    let ([x, t], dtype) = alike([x, target])?;
    let apart = t.equal(-1.0).where_((margin - &x).relu(), 0.0);
    Ok(fold.of(t.equal(1.0).where_(x, apart)).cast(dtype))
}

op_list![
    cosine_similarity,
    normalize,
    pairwise_distance,
    cosine_embedding_loss,
    triplet_margin_loss,
    margin_ranking_loss,
    hinge_embedding_loss
];
