//! Resizing of images and other samples on a grid.

use covector_derive::{op, op_list};

use super::create::{addressable, room};
use super::view::reshaped;
use super::window::joined;
use crate::{DType, Error, Ints, Result, Tensor};

/// Makes an axis of one size another size.
type Resample = fn(&Tensor, usize, usize) -> Result<Tensor>;

/// The spatial axes resampled to `size`: by the nearest element, or linearly between the two nearest.
///
/// Shapes: `[N, C, len..] -> [N, C, size..]`, any number of spatial axes; `size` has one number per spatial axis, or one
/// for all. `nearest`: any dtype. `linear`: integers give f32; elements are taken as cells whose centres stay in place
/// (PyTorch's `align_corners=False`), the outermost ones are repeated beyond their centres.
/// # Errors
/// If there is no spatial axis, a size is 0 or the mode has another name.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[1.0f32, 5.0]]]);
/// assert_eq!(x.resize(4, "nearest").to_vec::<f32>(), [1.0, 1.0, 5.0, 5.0]);
/// assert_eq!(x.resize(4, "linear").to_vec::<f32>(), [1.0, 2.0, 4.0, 5.0]);
/// ```
/// Source: PyTorch's `interpolate` (its modes `linear`, `bilinear` and `trilinear` are one here).
#[op(samples = [
    (real([2, 2, 3]), 5, "nearest"), (real([1, 2, 5]), [3], "linear"), (real([1, 2, 2, 3]), [4, 2], "linear"),
    (real([1, 1, 3, 4]), [2, 6], "nearest"), (real([1, 1, 2, 2, 2]), [3, 2, 1], "linear"),
])]
pub fn resize(x: &Tensor, size: Ints, mode: &str) -> Result<Tensor> {
    let Some(spatial) = x.ndim().checked_sub(2).filter(|&s| s > 0) else {
        return Err(Error::new(format!("{} has no spatial axes", x.spec())).hint("x is [examples, channels, len..]"));
    };
    let size = size.sizes(spatial, 1, "size")?;
    if let Some(axis) = x.shape()[2..].iter().position(|&len| len == 0) {
        return Err(Error::new(format!("spatial axis {axis} of {} is empty", x.spec())));
    }
    room(&size)?;
    addressable(&joined(&[&x.shape()[..2], &size]), x.dtype().to_float())?;
    let (resample, x): (Resample, _) = match mode {
        "nearest" => (nearest, x.clone()),
        "linear" => (linear, x.cast(x.dtype().to_float())),
        _ => return Err(Error::new(format!("no mode `{mode}`")).hint("there are `nearest` and `linear`")),
    };
    size.iter().enumerate().try_fold(x, |x, (i, &n)| if x.shape()[2 + i] == n { Ok(x) } else { resample(&x, 2 + i, n) })
}

/// The element whose cell holds the lower edge of each new cell.
fn nearest(x: &Tensor, axis: usize, n: usize) -> Result<Tensor> {
    let len = x.shape()[axis];
    // PyTorch rounds quotient and product to f32 but for f64 tensors, which decides where edges of cells meet.
    let scale = len as f32 / n as f32;
    let rounded = |i: usize| ((i as f32 * scale) as usize).min(len - 1);
    let exact = x.dtype() == DType::F64;
    picked(x, axis, (0..n).map(|i| if exact { i * len / n } else { rounded(i) }))
}

/// The two elements whose centres lie around that of each new cell, weighted by nearness.
fn linear(x: &Tensor, axis: usize, n: usize) -> Result<Tensor> {
    let len = x.shape()[axis];
    let scale = len as f64 / n as f64;
    let centre = |i: usize| ((i as f64 + 0.5) * scale - 0.5).max(0.0);
    let below = |i: usize| (centre(i) as usize).min(len - 1);
    let part = |i: usize| (centre(i) - below(i) as f64).min(1.0);
    let weights = |of: &dyn Fn(f64) -> f64| {
        let weights: Vec<f64> = (0..n).map(|i| of(part(i))).collect();
        reshaped(&cast(weights, x.dtype()), joined(&[&[n], &[1].repeat(x.ndim() - axis - 1)]))
    };
    let low = picked(x, axis, (0..n).map(below))?;
    let high = picked(x, axis, (0..n).map(|i| (below(i) + 1).min(len - 1)))?;
    Ok(low * weights(&|t| 1.0 - t) + high * weights(&|t| t))
}

fn cast(values: Vec<f64>, dtype: DType) -> Tensor {
    Tensor::from(values).cast(dtype)
}

/// The elements at these places along `axis`.
fn picked(x: &Tensor, axis: usize, places: impl Iterator<Item = usize>) -> Result<Tensor> {
    x.try_take(&Tensor::from(places.map(|i| i as i64).collect::<Vec<_>>()), axis)
}

op_list![resize];
