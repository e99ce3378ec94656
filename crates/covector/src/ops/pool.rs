//! Pooling: the largest element or the mean of every window.

use covector_array::{Array, DType};
use covector_derive::{op, op_list};

use super::create::{addressable, room};
use super::reduce::{Extreme, sum_axes, widened};
use super::view::{permuted, reshaped};
use super::window::{Slide, joined, padded, windows, windows_along, with_examples, without_examples};
use crate::{Error, Ints, Result, Tensor, keep};

/// What stands where there is no element, so that it is never the largest.
fn lowest(dtype: DType) -> Tensor {
    let value = if dtype.is_float() { f64::NEG_INFINITY } else { i64::MIN as f64 };
    Tensor::scalar(if dtype.is_unsigned() || dtype == DType::Bool { 0.0 } else { value }, dtype)
}

/// The largest element over some axes; they may not be empty.
fn largest(x: &Tensor, axes: impl IntoIterator<Item = usize>) -> Result<Tensor> {
    Tensor::apply(Extreme { axes: axes.into_iter().collect(), largest: true }, [x.clone()])
}

/// Windows with `padding` that is smaller than any element.
fn max_pool(
    spatial: usize,
    x: &Tensor,
    kernel: &Ints,
    stride: &Ints,
    padding: &Ints,
    dilation: &Ints,
) -> Result<Tensor> {
    let (x, single) = with_examples(x, spatial)?;
    let slides = pool_slides(spatial, &x, kernel, stride, padding, dilation)?;
    let mut filled = padded(&x, &slides)?;
    if filled.shape() != x.shape() {
        let everywhere = Tensor::from_array(Array::full(&x.shape()[2..], 1.0, DType::Bool));
        filled = padded(&everywhere, &slides)?.where_(filled, lowest(x.dtype()));
    }
    // Places before positions: what the gradient computes in windows runs along rows of the image.
    let order: Vec<usize> = (0..2).chain(2 + spatial..2 + 2 * spatial).chain(2..2 + spatial).collect();
    let y = largest(&permuted(&windows(&filled, &slides), &order), 2..2 + spatial)?;
    Ok(without_examples(&y, single))
}

/// The mean over windows, axis by axis, zeros of the padding included.
fn avg_pool(spatial: usize, x: &Tensor, kernel: &Ints, stride: &Ints, padding: &Ints) -> Result<Tensor> {
    let float = x.dtype().to_float();
    // The sum of a window of halves need not be one.
    let (x, single) = with_examples(&widened(&x.cast(float)), spatial)?;
    let slides = pool_slides(spatial, &x, kernel, stride, padding, &Ints::default())?;
    let mut y = padded(&x, &slides)?;
    for (i, slide) in slides.iter().enumerate() {
        y = sum_axes(&windows_along(&y, 2 + i, slide), &[2 + spatial]);
    }
    let elements: f64 = slides.iter().map(|s| s.size as f64).product();
    Ok(without_examples(&(y / elements).cast(float), single))
}

/// The slides of a pool, by default side by side.
fn pool_slides(
    spatial: usize,
    x: &Tensor,
    kernel: &Ints,
    stride: &Ints,
    padding: &Ints,
    dilation: &Ints,
) -> Result<Vec<Slide>> {
    let kernel = kernel.sizes(spatial, 1, "kernel")?;
    let slides = Slide::along(&kernel, stride, padding, dilation, true)?;
    for (slide, &len) in slides.iter().zip(&x.shape()[2..]) {
        if slide.padding > slide.span() / 2 {
            return Err(Error::new(format!(
                "padding {} is more than half a kernel of {}",
                slide.padding,
                slide.span()
            ))
            .hint("a window may not lie in the padding alone"));
        }
        slide.count(len)?;
    }
    Ok(slides)
}

/// How an axis of `len` elements is cut into bins that differ by at most one element (PyTorch's rule): bin `i` of `n`
/// runs from `floor(i len / n)` to before `ceil((i + 1) len / n)`, so neighbours may share an element.
struct Bins {
    starts: Vec<usize>,
    sizes: Vec<usize>,
}

impl Bins {
    fn cut(len: usize, n: usize) -> Bins {
        let starts: Vec<usize> = (0..n).map(|i| i * len / n).collect();
        let sizes = (0..n).map(|i| ((i + 1) * len).div_ceil(n) - starts[i]).collect();
        Bins { starts, sizes }
    }

    fn longest(&self) -> usize {
        self.sizes.iter().copied().max().unwrap_or(0)
    }

    /// `[.., len, ..] -> [.., bins, longest, ..]`; shorter bins repeat their last element.
    fn split(&self, x: &Tensor, axis: usize) -> Result<Tensor> {
        let (n, longest) = (self.starts.len(), self.longest());
        let shape = x.shape().with_axis(axis, n).with_inserted(axis + 1, longest);
        if x.shape()[axis] == n * longest {
            return Ok(reshaped(x, shape));
        }
        let bin = |(start, size): (&usize, &usize)| {
            (0..longest).map(|j| (start + j.min(size - 1)) as i64).collect::<Vec<_>>()
        };
        let places: Vec<i64> = self.starts.iter().zip(&self.sizes).flat_map(bin).collect();
        Ok(reshaped(&x.try_take(&Tensor::from(places), axis)?, shape))
    }

    /// Which elements of [`split`](Bins::split) are no repetitions, if any are, with `behind` axes after the two.
    fn own(&self, behind: usize) -> Option<Tensor> {
        let longest = self.longest();
        if self.sizes.iter().all(|&size| size == longest) {
            return None;
        }
        let own: Vec<bool> = self.sizes.iter().flat_map(|&size| (0..longest).map(move |j| j < size)).collect();
        Some(reshaped(&Tensor::from(own), joined(&[&[self.sizes.len(), longest], &[1].repeat(behind)])))
    }

    /// The mean of every bin.
    fn mean(&self, x: &Tensor, axis: usize) -> Result<Tensor> {
        let behind = x.ndim() - axis - 1;
        let split = self.split(x, axis)?;
        let Some(own) = self.own(behind) else {
            return Ok(sum_axes(&split, &[axis + 1]) / self.longest());
        };
        let sizes = Tensor::from(self.sizes.iter().map(|&size| size as f64).collect::<Vec<_>>()).cast(x.dtype());
        let sums = sum_axes(&own.where_(split, Tensor::scalar(0.0, x.dtype())), &[axis + 1]);
        Ok(sums / reshaped(&sizes, joined(&[&[self.sizes.len()], &[1].repeat(behind)])))
    }
}

/// The bins of all spatial axes.
fn adaptive_bins(spatial: usize, x: &Tensor, output_size: &Ints) -> Result<Vec<Bins>> {
    let n = output_size.sizes(spatial, 1, "output_size")?;
    if let Some(axis) = x.shape()[2..].iter().position(|&len| len == 0) {
        return Err(Error::new(format!("spatial axis {axis} of {} is empty", x.spec())));
    }
    room(&n)?;
    addressable(&joined(&[&x.shape()[..2], &n]), x.dtype())?;
    Ok((0..spatial).map(|i| Bins::cut(x.shape()[2 + i], n[i])).collect())
}

fn adaptive_avg_pool(spatial: usize, x: &Tensor, output_size: &Ints) -> Result<Tensor> {
    let float = x.dtype().to_float();
    let (x, single) = with_examples(&widened(&x.cast(float)), spatial)?;
    let bins = adaptive_bins(spatial, &x, output_size)?;
    // Axes of a single bin first, and together: there is less to do along the others then.
    let (whole, cut): (Vec<usize>, Vec<usize>) = (0..spatial).partition(|&i| bins[i].starts.len() == 1);
    let whole: Vec<usize> = whole.iter().map(|i| 2 + i).collect();
    let first = if whole.is_empty() { x } else { x.try_mean(keep(whole))? };
    let y = cut.into_iter().try_fold(first, |y, i| bins[i].mean(&y, 2 + i))?;
    Ok(without_examples(&y.cast(float), single))
}

fn adaptive_max_pool(spatial: usize, x: &Tensor, output_size: &Ints) -> Result<Tensor> {
    let (mut x, single) = with_examples(x, spatial)?;
    let bins = adaptive_bins(spatial, &x, output_size)?;
    for (i, bins) in bins.iter().enumerate() {
        let axis = 2 + 2 * i;
        let behind = x.ndim() - axis - 1;
        x = bins.split(&x, axis)?;
        if let Some(own) = bins.own(behind) {
            x = own.where_(&x, lowest(x.dtype()));
        }
    }
    Ok(without_examples(&largest(&x, (0..spatial).map(|i| 3 + 2 * i))?, single))
}

/// The largest element of every window over one spatial axis.
///
/// Shapes: `[N, C, L] -> [N, C, L']` with `L' = (L + 2 padding - dilation (k - 1) - 1) / stride + 1`, rounded down;
/// `x` may lack the axis of examples. Any dtype. An empty list stands for a stride as wide as the kernel, padding 0 and
/// dilation 1. The padding is below every element. NaN wins. At a tie the derivative is shared equally.
/// # Errors
/// If the kernel is wider than the padded axis, or the padding more than half the kernel.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[1.0f32, 5.0, 2.0, 3.0]]]);
/// assert_eq!(x.max_pool1d(2, 2, 0, 1).to_vec::<f32>(), [5.0, 3.0]);
/// ```
/// Source: PyTorch's `max_pool1d`.
#[op(samples = [(real([2, 2, 5]), 2, 1, 0, 1), (real([1, 2, 6]), 3, 2, 1, 1), (real([2, 5]), [2], Vec::<i64>::new(), [1], [2])])]
pub fn max_pool1d(x: &Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Result<Tensor> {
    max_pool(1, x, &kernel, &stride, &padding, &dilation)
}

/// The largest element of every window over two spatial axes.
///
/// Shapes: `[N, C, H, W] -> [N, C, H', W']` with `H' = (H + 2 padding - dilation (k - 1) - 1) / stride + 1`, rounded down;
/// `x` may lack the axis of examples. Any dtype. An empty list stands for a stride as wide as the kernel, padding 0 and
/// dilation 1. The padding is below every element. NaN wins. At a tie the derivative is shared equally.
/// # Errors
/// If the kernel is wider than the padded axis, or the padding more than half the kernel.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[[1.0f32, 5.0], [2.0, 3.0]]]]);
/// assert_eq!(x.max_pool2d(2, 2, 0, 1).item::<f32>(), 5.0);
/// ```
/// Source: PyTorch's `max_pool2d`.
#[op(samples = [(real([1, 2, 3, 4]), 2, 1, 0, 1), (real([1, 1, 4, 5]), [2, 3], [2, 1], [1, 1], [1, 2]), (real([1, 4, 4]), 2, Vec::<i64>::new(), 0, 1)],
    notes = "rule=x̄ = ȳ where x is the largest of its window, 0 elsewhere")]
pub fn max_pool2d(x: &Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Result<Tensor> {
    max_pool(2, x, &kernel, &stride, &padding, &dilation)
}

/// The largest element of every window over three spatial axes.
///
/// Shapes: `[N, C, D, H, W] -> [N, C, D', H', W']` with sizes as in [`max_pool2d`];
/// `x` may lack the axis of examples. Any dtype. An empty list stands for a stride as wide as the kernel, padding 0 and
/// dilation 1. The padding is below every element. NaN wins. At a tie the derivative is shared equally.
/// # Errors
/// If the kernel is wider than the padded axis, or the padding more than half the kernel.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[[[1.0f32, 5.0], [2.0, 3.0]]]]]);
/// assert_eq!(x.max_pool3d([1, 2, 2], 1, 0, 1).item::<f32>(), 5.0);
/// ```
/// Source: PyTorch's `max_pool3d`.
#[op(samples = [(real([1, 1, 2, 3, 3]), 2, 1, 0, 1), (real([1, 1, 3, 2, 4]), [2, 1, 3], [2, 1, 1], [1, 0, 1], 1)])]
pub fn max_pool3d(x: &Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Result<Tensor> {
    max_pool(3, x, &kernel, &stride, &padding, &dilation)
}

/// The mean of every window over one spatial axis.
///
/// Shapes: `[N, C, L] -> [N, C, L']` with `L' = (L + 2 padding - k) / stride + 1`, rounded down;
/// `x` may lack the axis of examples. Integers give f32. An empty list stands for a stride as wide as the kernel and
/// padding 0. The zeros of the padding count.
/// # Errors
/// If the kernel is wider than the padded axis, or the padding more than half the kernel.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[1.0f32, 5.0, 2.0, 4.0]]]);
/// assert_eq!(x.avg_pool1d(2, 2, 0).to_vec::<f32>(), [3.0, 3.0]);
/// ```
/// Source: PyTorch's `avg_pool1d` (with `count_include_pad`).
#[op(samples = [(real([2, 2, 5]), 2, 1, 0), (real([1, 2, 6]), 3, 2, 1), (real([2, 5]), [2], Vec::<i64>::new(), [1])])]
pub fn avg_pool1d(x: &Tensor, kernel: Ints, stride: Ints, padding: Ints) -> Result<Tensor> {
    avg_pool(1, x, &kernel, &stride, &padding)
}

/// The mean of every window over two spatial axes.
///
/// Shapes: `[N, C, H, W] -> [N, C, H', W']` with `H' = (H + 2 padding - k) / stride + 1`, rounded down;
/// `x` may lack the axis of examples. Integers give f32. An empty list stands for a stride as wide as the kernel and
/// padding 0. The zeros of the padding count.
/// # Errors
/// If the kernel is wider than the padded axis, or the padding more than half the kernel.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[[1.0f32, 5.0], [2.0, 4.0]]]]);
/// assert_eq!(x.avg_pool2d(2, 2, 0).item::<f32>(), 3.0);
/// ```
/// Source: PyTorch's `avg_pool2d` (with `count_include_pad`).
#[op(samples = [(real([1, 2, 3, 4]), 2, 1, 0), (real([1, 1, 4, 5]), [2, 3], [2, 1], [1, 1]), (real([1, 4, 4]), 2, Vec::<i64>::new(), 0)])]
pub fn avg_pool2d(x: &Tensor, kernel: Ints, stride: Ints, padding: Ints) -> Result<Tensor> {
    avg_pool(2, x, &kernel, &stride, &padding)
}

/// The mean of every window over three spatial axes.
///
/// Shapes: `[N, C, D, H, W] -> [N, C, D', H', W']` with sizes as in [`avg_pool2d`];
/// `x` may lack the axis of examples. Integers give f32. An empty list stands for a stride as wide as the kernel and
/// padding 0. The zeros of the padding count.
/// # Errors
/// If the kernel is wider than the padded axis, or the padding more than half the kernel.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[[[1.0f32, 5.0], [2.0, 4.0]]]]]);
/// assert_eq!(x.avg_pool3d([1, 2, 2], 1, 0).item::<f32>(), 3.0);
/// ```
/// Source: PyTorch's `avg_pool3d` (with `count_include_pad`).
#[op(samples = [(real([1, 1, 2, 3, 3]), 2, 1, 0), (real([1, 1, 3, 2, 4]), [2, 1, 3], [2, 1, 1], [1, 0, 1])])]
pub fn avg_pool3d(x: &Tensor, kernel: Ints, stride: Ints, padding: Ints) -> Result<Tensor> {
    avg_pool(3, x, &kernel, &stride, &padding)
}

/// The mean of every bin, with one spatial axis cut into a given number of bins.
///
/// Shapes: `[N, C, L] -> [N, C, output_size..]`; bin `i` of `n` runs from `floor(i L / n)` to before `ceil((i + 1) L / n)`; `x`
/// may lack the axis of examples. Integers give f32.
/// # Errors
/// If `x` has another number of axes, or a spatial axis or the output is empty.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[1.0f32, 5.0, 2.0, 4.0]]]);
/// assert_eq!(x.adaptive_avg_pool1d(1).item::<f32>(), 3.0);
/// ```
/// Source: PyTorch's `adaptive_avg_pool1d`.
#[op(samples = [(real([2, 2, 5]), 3), (real([1, 2, 6]), [2]), (real([2, 3]), 4)])]
pub fn adaptive_avg_pool1d(x: &Tensor, output_size: Ints) -> Result<Tensor> {
    adaptive_avg_pool(1, x, &output_size)
}

/// The mean of every bin, with two spatial axes cut into a given number of bins.
///
/// Shapes: `[N, C, H, W] -> [N, C, output_size..]`; bin `i` of `n` runs from `floor(i L / n)` to before `ceil((i + 1) L / n)`; `x`
/// may lack the axis of examples. Integers give f32.
/// # Errors
/// If `x` has another number of axes, or a spatial axis or the output is empty.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[[1.0f32, 5.0], [2.0, 4.0]]]]);
/// assert_eq!(x.adaptive_avg_pool2d(1).item::<f32>(), 3.0);
/// ```
/// Source: PyTorch's `adaptive_avg_pool2d`.
#[op(samples = [(real([1, 2, 3, 4]), 2), (real([1, 1, 5, 4]), [3, 1]), (real([1, 2, 3]), [3, 4])])]
pub fn adaptive_avg_pool2d(x: &Tensor, output_size: Ints) -> Result<Tensor> {
    adaptive_avg_pool(2, x, &output_size)
}

/// The mean of every bin, with three spatial axes cut into a given number of bins.
///
/// Shapes: `[N, C, D, H, W] -> [N, C, output_size..]`; bin `i` of `n` runs from `floor(i L / n)` to before `ceil((i + 1) L / n)`; `x`
/// may lack the axis of examples. Integers give f32.
/// # Errors
/// If `x` has another number of axes, or a spatial axis or the output is empty.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[[[1.0f32, 5.0], [2.0, 4.0]]]]]);
/// assert_eq!(x.adaptive_avg_pool3d(1).item::<f32>(), 3.0);
/// ```
/// Source: PyTorch's `adaptive_avg_pool3d`.
#[op(samples = [(real([1, 1, 2, 3, 4]), 2), (real([1, 1, 3, 2, 4]), [2, 1, 3])])]
pub fn adaptive_avg_pool3d(x: &Tensor, output_size: Ints) -> Result<Tensor> {
    adaptive_avg_pool(3, x, &output_size)
}

/// The largest element of every bin, with one spatial axis cut into a given number of bins.
///
/// Shapes: `[N, C, L] -> [N, C, output_size..]`; bin `i` of `n` runs from `floor(i L / n)` to before `ceil((i + 1) L / n)`; `x`
/// may lack the axis of examples. Any dtype. NaN wins. At a tie the derivative is
/// shared equally.
/// # Errors
/// If `x` has another number of axes, or a spatial axis or the output is empty.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[1.0f32, 5.0, 2.0, 4.0]]]);
/// assert_eq!(x.adaptive_max_pool1d(1).item::<f32>(), 5.0);
/// ```
/// Source: PyTorch's `adaptive_max_pool1d`.
#[op(samples = [(real([2, 2, 5]), 3), (real([1, 2, 6]), [2]), (real([2, 3]), 4)])]
pub fn adaptive_max_pool1d(x: &Tensor, output_size: Ints) -> Result<Tensor> {
    adaptive_max_pool(1, x, &output_size)
}

/// The largest element of every bin, with two spatial axes cut into a given number of bins.
///
/// Shapes: `[N, C, H, W] -> [N, C, output_size..]`; bin `i` of `n` runs from `floor(i L / n)` to before `ceil((i + 1) L / n)`; `x`
/// may lack the axis of examples. Any dtype. NaN wins. At a tie the derivative is
/// shared equally.
/// # Errors
/// If `x` has another number of axes, or a spatial axis or the output is empty.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[[1.0f32, 5.0], [2.0, 4.0]]]]);
/// assert_eq!(x.adaptive_max_pool2d(1).item::<f32>(), 5.0);
/// ```
/// Source: PyTorch's `adaptive_max_pool2d`.
#[op(samples = [(real([1, 2, 3, 4]), 2), (real([1, 1, 5, 4]), [3, 1]), (real([1, 2, 3]), [3, 4])])]
pub fn adaptive_max_pool2d(x: &Tensor, output_size: Ints) -> Result<Tensor> {
    adaptive_max_pool(2, x, &output_size)
}

/// The largest element of every bin, with three spatial axes cut into a given number of bins.
///
/// Shapes: `[N, C, D, H, W] -> [N, C, output_size..]`; bin `i` of `n` runs from `floor(i L / n)` to before `ceil((i + 1) L / n)`; `x`
/// may lack the axis of examples. Any dtype. NaN wins. At a tie the derivative is
/// shared equally.
/// # Errors
/// If `x` has another number of axes, or a spatial axis or the output is empty.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[[[1.0f32, 5.0], [2.0, 4.0]]]]]);
/// assert_eq!(x.adaptive_max_pool3d(1).item::<f32>(), 5.0);
/// ```
/// Source: PyTorch's `adaptive_max_pool3d`.
#[op(samples = [(real([1, 1, 2, 3, 4]), 2), (real([1, 1, 3, 2, 4]), [2, 1, 3])])]
pub fn adaptive_max_pool3d(x: &Tensor, output_size: Ints) -> Result<Tensor> {
    adaptive_max_pool(3, x, &output_size)
}

op_list![
    max_pool1d,
    max_pool2d,
    max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d
];
