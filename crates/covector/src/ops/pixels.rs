//! Channels and places exchanged.

use covector_array::Shape;
use covector_derive::{op, op_list};

use super::view::reshaped;
use crate::{Error, Result, Tensor};

/// The axes before the last three, the channels, and the two sizes; `factor` is checked.
fn parts(x: &Tensor, factor: usize) -> Result<(Vec<usize>, [usize; 3])> {
    let [before @ .., c, h, w] = &x.shape()[..] else {
        return Err(Error::new(format!("{} has no channels, rows and columns", x.spec())));
    };
    if factor == 0 {
        return Err(Error::new("the factor must be 1 or more"));
    }
    Ok((before.to_vec(), [*c, *h, *w]))
}

/// `before + after` as a shape.
fn joined(before: &[usize], after: &[usize]) -> Shape {
    before.iter().chain(after).copied().collect()
}

/// `x` with axes behind the first `n` in this order.
fn ordered(x: &Tensor, n: usize, order: &[usize]) -> Tensor {
    x.permute_dims((0..n).chain(order.iter().map(|i| n + i)).map(|i| i as isize).collect::<Vec<_>>())
}

/// Channels spread over squares of places.
///
/// Shapes: `[.., c r², h, w] -> [.., c, h r, w r]`, for `factor` r. Any dtype.
/// # Errors
/// If there are fewer than 3 axes, or the channels do not divide by the square of the factor.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[1.0f32]], [[2.0]], [[3.0]], [[4.0]]]);
/// assert_eq!(x.pixel_shuffle(2).to_vec::<f32>(), [1.0, 2.0, 3.0, 4.0]);
/// assert_eq!(x.pixel_shuffle(2).shape()[..], [1, 2, 2]);
/// ```
/// Source: Shi et al. 2016, "Real-time single image and video super-resolution"; PyTorch's `pixel_shuffle`.
#[op(samples = [(real([4, 2, 3]), 2), (real([2, 9, 1, 2]), 3), (real([2, 3, 1, 2]), 1)])]
pub fn pixel_shuffle(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (before, [c, h, w]) = parts(x, factor)?;
    let Some(square) = factor.checked_mul(factor).filter(|s| c % s == 0) else {
        return Err(Error::new(format!("{c} channels do not divide by the square of {factor}")));
    };
    let (n, c, r) = (before.len(), c / square, factor);
    let x = ordered(&reshaped(x, joined(&before, &[c, r, r, h, w])), n, &[0, 3, 1, 4, 2]);
    Ok(reshaped(&x, joined(&before, &[c, h * r, w * r])))
}

/// Squares of places gathered in channels: the inverse of [`pixel_shuffle`].
///
/// Shapes: `[.., c, h r, w r] -> [.., c r², h, w]`, for `factor` r. Any dtype.
/// # Errors
/// If there are fewer than 3 axes, or a size does not divide by the factor.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[1.0f32, 2.0], [3.0, 4.0]]]);
/// assert_eq!(x.pixel_unshuffle(2).shape()[..], [4, 1, 1]);
/// ```
/// Source: PyTorch's `pixel_unshuffle`.
#[op(samples = [(real([1, 4, 6]), 2), (real([2, 2, 3, 3]), 3)])]
pub fn pixel_unshuffle(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (before, [c, h, w]) = parts(x, factor)?;
    if h % factor != 0 || w % factor != 0 {
        return Err(Error::new(format!("{h} x {w} places do not divide by {factor}")));
    }
    let (n, r) = (before.len(), factor);
    let x = ordered(&reshaped(x, joined(&before, &[c, h / r, r, w / r, r])), n, &[0, 2, 4, 1, 3]);
    Ok(reshaped(&x, joined(&before, &[c * r * r, h / r, w / r])))
}

/// Channels dealt out from groups in turn: channel `j` of group `i` becomes channel `j · groups + i`. Channels are on axis 1.
///
/// Shapes: as `x`. Any dtype.
/// # Errors
/// If there is no axis 1, or the channels do not divide into so many groups.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([[1.0f32, 2.0, 3.0, 4.0]]).channel_shuffle(2).to_vec::<f32>(), [1.0, 3.0, 2.0, 4.0]);
/// ```
/// Source: Zhang et al. 2018, "ShuffleNet"; PyTorch's `channel_shuffle`.
#[op(samples = [(real([2, 4, 3]), 2), (real([1, 6, 2, 2]), 3)])]
pub fn channel_shuffle(x: &Tensor, groups: usize) -> Result<Tensor> {
    let [batch, channels, after @ ..] = &x.shape()[..] else {
        return Err(Error::new(format!("{} has no channels on axis 1", x.spec())));
    };
    if groups == 0 || channels % groups != 0 {
        return Err(Error::new(format!("{channels} channels do not divide into {groups} groups")));
    }
    let split = reshaped(x, joined(&[*batch, groups, channels / groups], after));
    let rest: Vec<usize> = [1, 0].into_iter().chain(2..2 + after.len()).collect();
    Ok(reshaped(&ordered(&split, 1, &rest), x.shape().clone()))
}

op_list![pixel_shuffle, pixel_unshuffle, channel_shuffle];
