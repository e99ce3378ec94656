//! Convolutions, over one to three spatial axes.
//!
//! All ranks and both directions share one primitive (`Convolve`): a transposed convolution is the gradient of a
//! convolution's input. `unfold` and `fold` are the windows by themselves, and what becomes of them.

use covector_array::kernels::{self, Convolution, Part};
use covector_derive::{op, op_list};

use super::complex::require_real;
use super::convolve::Convolve;
use super::create::addressable;
use super::linear::common_dtype;
use super::view::{permuted, reshaped};
use super::window::{
    Sizes, Slide, cropped, joined, overlap_add, padded, per_axis, volume, windows, with_examples, without_examples,
};
use crate::{Error, Ints, Result, Tensor};

/// The operands of a convolution in one dtype, checked but for their number of channels.
struct Operands {
    x: Tensor,
    weight: Tensor,
    bias: Option<Tensor>,
    /// True if the axis of examples was added.
    single: bool,
}

impl Operands {
    fn check(spatial: usize, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, groups: usize) -> Result<Operands> {
        let (x, single) = with_examples(x, spatial)?;
        if weight.ndim() != spatial + 2 {
            return Err(Error::new(format!("weight must have {} axes, {} has not", spatial + 2, weight.spec()))
                .hint(format!("two axes of channels and {spatial} spatial axes")));
        }
        let channels = x.shape()[1];
        if groups == 0 || !channels.is_multiple_of(groups) || !weight.shape()[0].is_multiple_of(groups) {
            let out = weight.shape()[0];
            return Err(Error::new(format!("{groups} groups do not divide {channels} and {out} channels")));
        }
        let dtype = common_dtype(&[&x, weight, bias.unwrap_or(weight)])?;
        require_real(&crate::Spec::new(dtype, x.shape().clone()))?;
        Ok(Operands { x: x.cast(dtype), weight: weight.cast(dtype), bias: bias.map(|b| b.cast(dtype)), single })
    }

    /// Adds the bias, and drops the axis of examples where there was none.
    fn finish(&self, y: &Tensor) -> Result<Tensor> {
        let channels = y.shape()[1];
        let y = match &self.bias {
            None => y.clone(),
            Some(bias) if bias.shape()[..] == [channels] => {
                let ones = [1].repeat(y.ndim() - 2);
                y + reshaped(bias, joined(&[&[channels], &ones]))
            }
            Some(bias) => {
                return Err(Error::new(format!("bias must be a vector of {channels} numbers, not {}", bias.spec())));
            }
        };
        Ok(without_examples(&y, self.single))
    }
}

/// The parameters that all convolutions share.
struct Options {
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: usize,
}

/// `x [N, C, len..], weight [O, C / groups, k..] -> [N, O, out..]`.
fn convolve(spatial: usize, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: Options) -> Result<Tensor> {
    let Options { stride, padding, dilation, groups } = options;
    let ops = Operands::check(spatial, x, weight, bias, groups)?;
    let (x, weight) = (&ops.x, &ops.weight);
    let (n, c) = (x.shape()[0], x.shape()[1]);
    let wanted = weight.shape()[1].saturating_mul(groups);
    if wanted != c {
        let grouped = if groups == 1 { String::new() } else { format!(" in {groups} groups") };
        return Err(Error::new(format!("x has {c} channels, the weight {}{grouped} takes {wanted}", weight.spec()))
            .hint("weight is [out channels, in channels / groups, kernel..]")
            .clash([x.shape(), weight.shape()], [1, 1]));
    }
    let kernel = &weight.shape()[2..];
    let slides = Slide::along(kernel, &stride, &padding, &dilation, false)?;
    let out = counts(&slides, &x.shape()[2..])?;
    let lens: Option<Sizes> =
        slides.iter().zip(&x.shape()[2..]).map(|(s, len)| s.padding.checked_mul(2)?.checked_add(*len)).collect();
    let lens = lens.ok_or_else(|| Error::new("the padded size does not fit in memory"))?;
    addressable(&joined(&[&[n, c], &lens]), x.dtype())?;
    ops.finish(&apply(Part::Output, &slides, groups, &out, x, weight)?)
}

/// The part of a convolution that these two operands lack.
fn apply(part: Part, slides: &[Slide], groups: usize, sizes: &[usize], a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let slide = |s: &Slide| kernels::Slide { step: s.step, padding: s.padding, dilation: s.dilation };
    let convolution = Convolution { slides: slides.iter().map(slide).collect(), groups };
    Tensor::apply(Convolve { part, convolution, sizes: sizes.into() }, [a.clone(), b.clone()])
}

/// `x [N, C, len..], weight [C, O / groups, k..] -> [N, O, out..]`: the adjoint of [`convolve`] in its first operand.
fn convolve_transposed(
    spatial: usize,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    output_padding: &Ints,
    options: Options,
) -> Result<Tensor> {
    let Options { stride, padding, dilation, groups } = options;
    let ops = Operands::check(spatial, x, weight, bias, groups)?;
    let (x, weight) = (&ops.x, &ops.weight);
    let (n, c, o) = (x.shape()[0], x.shape()[1], weight.shape()[1].saturating_mul(groups));
    if weight.shape()[0] != c {
        return Err(Error::new(format!(
            "x has {c} channels, the weight {} takes {}",
            weight.spec(),
            weight.shape()[0]
        ))
        .hint("weight is [in channels, out channels / groups, kernel..]")
        .clash([x.shape(), weight.shape()], [1, 0]));
    }
    let (kernel, len) = (&weight.shape()[2..], &x.shape()[2..]);
    let slides = Slide::along(kernel, &stride, &padding, &dilation, false)?;
    let (full, kept) = transposed_sizes(&slides, output_padding, len)?;
    addressable(&joined(&[&[n, o], &full]), x.dtype())?;
    ops.finish(&apply(Part::Input, &slides, groups, &kept, weight, x)?)
}

/// The sizes of a transposed convolution's result before and after the padding is cut off.
fn transposed_sizes(slides: &[Slide], output_padding: &Ints, len: &[usize]) -> Result<(Sizes, Sizes)> {
    let extra = per_axis(output_padding, slides.len(), 0, "output_padding")?;
    let (mut full, mut kept) = (Sizes::new(), Sizes::new());
    for (i, slide) in slides.iter().enumerate() {
        if extra[i] >= slide.step.max(slide.dilation) {
            return Err(Error::new(format!("output_padding {} is not below stride or dilation", extra[i]))
                .hint("it chooses among the sizes that a convolution maps to the same number of places"));
        }
        let Some(last) = len[i].checked_sub(1) else {
            return Err(Error::new(format!("spatial axis {i} of x is empty")));
        };
        let whole = last.saturating_mul(slide.step).saturating_add(slide.span()).saturating_add(extra[i]);
        let Some(rest) = whole.checked_sub(slide.padding.saturating_mul(2)).filter(|&rest| rest > 0) else {
            return Err(Error::new(format!("padding {} cuts off all {whole} elements", slide.padding)));
        };
        full.push(whole);
        kept.push(rest);
    }
    Ok((full, kept))
}

/// The number of windows along every spatial axis.
fn counts(slides: &[Slide], lens: &[usize]) -> Result<Sizes> {
    slides.iter().zip(lens).map(|(slide, &len)| slide.count(len)).collect()
}

/// The convolution over one spatial axis (in fact the correlation, as everywhere in machine learning).
///
/// Shapes: `x [N, C, L], weight [O, C / groups, k], bias [O] -> [N, O, (L + 2 padding - dilation (k - 1) - 1) / stride + 1]`;
/// `x` may lack the axis of examples. Dtypes are promoted. An empty list stands for stride 1, padding 0, dilation 1.
/// # Errors
/// If the channels do not fit each other or the groups, or the kernel is wider than the padded axis.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[1.0f32, 2.0, 4.0, 8.0]]]);
/// let difference = Tensor::from([[[-1.0f32, 1.0]]]);
/// assert_eq!(x.conv1d(&difference, None, 1, 0, 1, 1).to_vec::<f32>(), [1.0, 2.0, 4.0]);
/// ```
/// Source: PyTorch's `conv1d`.
#[op(samples = [
    (real([2, 2, 5]), real2([3, 2, 2]), real([3]), 1, 0, 1, 1), (real([1, 4, 5]), real2([2, 2, 3]), (), 2, 1, 1, 2),
    (real([2, 6]), real2([2, 2, 2]), (), 1, 2, 2, 1), (real([1, 2, 4]), real2([4, 1, 2]), real([4]), [1], [1], [1], 2),
])]
pub fn conv1d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: usize,
) -> Result<Tensor> {
    convolve(1, x, weight, bias, Options { stride, padding, dilation, groups })
}

/// The convolution over two spatial axes (in fact the correlation, as everywhere in machine learning).
///
/// Shapes: `x [N, C, H, W], weight [O, C / groups, kh, kw], bias [O] -> [N, O, H', W']` with
/// `H' = (H + 2 padding - dilation (kh - 1) - 1) / stride + 1`, rounded down; `x` may lack the axis of examples.
/// Stride, padding and dilation: one number, one per axis, or an empty list for 1, 0 and 1. Dtypes are promoted.
/// # Errors
/// If the channels do not fit each other or the groups, or the kernel is wider than the padded axis.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[[1.0f32, 2.0], [3.0, 4.0]]]]);
/// let sum = Tensor::from([[[[1.0f32, 1.0], [1.0, 1.0]]]]);
/// assert_eq!(x.conv2d(&sum, None, 1, 0, 1, 1).to_vec::<f32>(), [10.0]);
/// ```
/// Source: PyTorch's `conv2d`.
#[op(samples = [
    (real([1, 2, 3, 3]), real2([2, 2, 2, 2]), real([2]), 1, 0, 1, 1),
    (real([1, 2, 4, 3]), real2([4, 1, 3, 2]), (), [2, 1], [1, 0], 1, 2),
    (real([1, 4, 5]), real2([2, 1, 2, 2]), real([2]), [1, 2], 1, [3, 2], 1), (real([0, 1, 2, 2]), real2([1, 1, 2, 2]), (), 1, 0, 1, 1),
],
    notes = "rule=x̄ = ȳ convolved with the flipped w | w̄ = x correlated with ȳ | b̄ = Σ ȳ over all axes but the channels")]
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: usize,
) -> Result<Tensor> {
    convolve(2, x, weight, bias, Options { stride, padding, dilation, groups })
}

/// The convolution over three spatial axes (in fact the correlation, as everywhere in machine learning).
///
/// Shapes: `x [N, C, D, H, W], weight [O, C / groups, kd, kh, kw], bias [O] -> [N, O, D', H', W']`, sizes as in
/// [`conv2d`]; `x` may lack the axis of examples. Dtypes are promoted.
/// # Errors
/// If the channels do not fit each other or the groups, or the kernel is wider than the padded axis.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[[[1.0f32, 2.0], [3.0, 4.0]]]]]);
/// let weight = Tensor::from([[[[[2.0f32]]]]]);
/// assert_eq!(x.conv3d(&weight, None, 1, 0, 1, 1).to_vec::<f32>(), [2.0, 4.0, 6.0, 8.0]);
/// ```
/// Source: PyTorch's `conv3d`.
#[op(samples = [
    (real([1, 2, 2, 3, 2]), real2([1, 2, 2, 2, 1]), real([1]), 1, 0, 1, 1),
    (real([1, 2, 2, 2, 3]), real2([2, 1, 2, 1, 2]), (), [1, 1, 2], [1, 0, 1], [2, 1, 1], 2),
])]
pub fn conv3d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: usize,
) -> Result<Tensor> {
    convolve(3, x, weight, bias, Options { stride, padding, dilation, groups })
}

/// The transposed convolution over one spatial axis: the adjoint of [`conv1d`] in its first operand.
///
/// Shapes: `x [N, C, L], weight [C, O / groups, k], bias [O] ->
/// [N, O, (L - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1]`; `x` may lack the axis of examples.
/// Dtypes are promoted. An empty list stands for stride 1, padding 0, output padding 0, dilation 1.
/// # Errors
/// If the channels do not fit each other or the groups, the output padding is not below stride or dilation, or nothing
/// is left.
/// # Example
/// ```
/// use covector::Tensor;
/// let (x, weight) = (Tensor::from([[[1.0f32, 2.0]]]), Tensor::from([[[1.0f32, 10.0]]]));
/// assert_eq!(x.conv_transpose1d(&weight, None, 1, 0, 0, 1, 1).to_vec::<f32>(), [1.0, 12.0, 20.0]);
/// ```
/// Source: PyTorch's `conv_transpose1d`.
#[op(samples = [
    (real([2, 2, 3]), real2([2, 3, 2]), real([3]), 1, 0, 0, 1, 1), (real([1, 4, 3]), real2([4, 1, 3]), (), 2, 1, 1, 1, 2),
    (real([2, 4]), real2([2, 2, 2]), (), 1, 1, 2, 3, 1),
])]
#[allow(clippy::too_many_arguments)]
pub fn conv_transpose1d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    dilation: Ints,
    groups: usize,
) -> Result<Tensor> {
    convolve_transposed(1, x, weight, bias, &output_padding, Options { stride, padding, dilation, groups })
}

/// The transposed convolution over two spatial axes: the adjoint of [`conv2d`] in its first operand.
///
/// Shapes: `x [N, C, H, W], weight [C, O / groups, kh, kw], bias [O] -> [N, O, H', W']` with
/// `H' = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1`; `x` may lack the axis of examples.
/// Dtypes are promoted.
/// # Errors
/// If the channels do not fit each other or the groups, the output padding is not below stride or dilation, or nothing
/// is left.
/// # Example
/// ```
/// use covector::Tensor;
/// let (x, weight) = (Tensor::from([[[[3.0f32]]]]), Tensor::from([[[[1.0f32, 2.0], [3.0, 4.0]]]]));
/// assert_eq!(x.conv_transpose2d(&weight, None, 1, 0, 0, 1, 1).to_vec::<f32>(), [3.0, 6.0, 9.0, 12.0]);
/// ```
/// Source: PyTorch's `conv_transpose2d`.
#[op(samples = [
    (real([1, 2, 2, 3]), real2([2, 2, 2, 2]), real([2]), 1, 0, 0, 1, 1),
    (real([1, 2, 2, 2]), real2([2, 1, 3, 2]), (), [2, 3], [1, 0], [1, 2], 1, 2),
    (real([1, 2, 2]), real2([1, 2, 2, 2]), (), 1, 1, 0, [2, 3], 1),
])]
#[allow(clippy::too_many_arguments)]
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    dilation: Ints,
    groups: usize,
) -> Result<Tensor> {
    convolve_transposed(2, x, weight, bias, &output_padding, Options { stride, padding, dilation, groups })
}

/// The transposed convolution over three spatial axes: the adjoint of [`conv3d`] in its first operand.
///
/// Shapes: `x [N, C, D, H, W], weight [C, O / groups, kd, kh, kw], bias [O] -> [N, O, D', H', W']`, sizes as in
/// [`conv_transpose2d`]; `x` may lack the axis of examples. Dtypes are promoted.
/// # Errors
/// If the channels do not fit each other or the groups, the output padding is not below stride or dilation, or nothing
/// is left.
/// # Example
/// ```
/// use covector::Tensor;
/// let (x, weight) = (Tensor::from([[[[[3.0f32]]]]]), Tensor::from([[[[[1.0f32, 2.0]]]]]));
/// assert_eq!(x.conv_transpose3d(&weight, None, 1, 0, 0, 1, 1).to_vec::<f32>(), [3.0, 6.0]);
/// ```
/// Source: PyTorch's `conv_transpose3d`.
#[op(samples = [
    (real([1, 1, 2, 1, 2]), real2([1, 2, 2, 2, 1]), real([2]), 1, 0, 0, 1, 1),
    (real([1, 2, 2, 1, 2]), real2([2, 1, 1, 2, 2]), (), [2, 1, 2], [0, 0, 1], [1, 0, 1], [1, 2, 1], 2),
])]
#[allow(clippy::too_many_arguments)]
pub fn conv_transpose3d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    dilation: Ints,
    groups: usize,
) -> Result<Tensor> {
    convolve_transposed(3, x, weight, bias, &output_padding, Options { stride, padding, dilation, groups })
}

/// All windows over the spatial axes, one per column: what a convolution multiplies its weights with.
///
/// Shapes: `x [N, C, len..] -> [N, C · k.., places]`, the elements of a window row-major within each channel, the windows
/// row-major; any number of spatial axes. `kernel` has one number per spatial axis, or one for all. Any dtype.
/// # Errors
/// If `x` has fewer than three axes, or the kernel is wider than a padded axis.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[1.0f32, 2.0, 3.0]]]);
/// assert_eq!(x.unfold(2, 1, 0, 1).to_vec::<f32>(), [1.0, 2.0, 2.0, 3.0]);
/// ```
/// Source: PyTorch's `unfold` (of `torch.nn.functional`), im2col.
#[op(samples = [
    (real([1, 2, 3, 3]), [2, 2], 1, 0, 1), (real([2, 1, 3, 3]), [2, 3], [2, 1], [1, 1], [2, 1]), (real([1, 2, 5]), [2], [2], [1], [1]),
])]
pub fn unfold(x: &Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Result<Tensor> {
    let Some(spatial) = x.ndim().checked_sub(2).filter(|&s| s > 0) else {
        return Err(Error::new(format!("{} has no spatial axes", x.spec())).hint("x is [examples, channels, len..]"));
    };
    let kernel = kernel.sizes(spatial, 1, "kernel")?;
    let slides = Slide::along(&kernel, &stride, &padding, &dilation, false)?;
    let out = counts(&slides, &x.shape()[2..])?;
    let seen = windows(&padded(x, &slides)?, &slides);
    let order: Sizes = [0, 1].into_iter().chain(2 + spatial..2 + 2 * spatial).chain(2..2 + spatial).collect();
    let rows = x.shape()[1] * volume(&kernel);
    Ok(reshaped(&permuted(&seen, &order), [x.shape()[0], rows, volume(&out)]))
}

/// Windows summed where they overlap: the adjoint of [`unfold`].
///
/// Shapes: `x [N, C · k.., places] -> [N, C, output_size..]`; the number of spatial axes is that of the longest list of
/// options. Any dtype (bool: whether any is true).
/// # Errors
/// If the number of columns is not that of the windows, or the rows are no multiple of the kernel.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[1.0f32, 2.0], [2.0, 3.0]]]);
/// assert_eq!(x.fold([3], 2, 1, 0, 1).to_vec::<f32>(), [1.0, 4.0, 3.0]);
/// ```
/// Source: PyTorch's `fold` (of `torch.nn.functional`), col2im.
#[op(samples = [
    (real([1, 4, 4]), [3, 3], [2, 2], 1, 0, 1), (real([1, 6, 6]), [3, 3], [2, 3], [2, 1], [1, 1], [2, 1]), (real([1, 4, 3]), [5], [2], [2], [1], [1]),
])]
pub fn fold(
    x: &Tensor,
    output_size: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
) -> Result<Tensor> {
    let lists = [&output_size, &kernel, &stride, &padding, &dilation];
    let spatial = lists.iter().map(|list| list.0.len()).max().unwrap_or(1);
    let (kernel, lens) = (kernel.sizes(spatial, 1, "kernel")?, output_size.sizes(spatial, 0, "output_size")?);
    let slides = Slide::along(&kernel, &stride, &padding, &dilation, false)?;
    let out = counts(&slides, &lens)?;
    let (places, area) = (volume(&out), volume(&kernel));
    if x.ndim() != 3 || x.shape()[2] != places || !x.shape()[1].is_multiple_of(area) {
        return Err(Error::new(format!(
            "x must be [examples, channels · {area}, {places}] for a kernel of {kernel:?} on {lens:?}, not {}",
            x.spec()
        ))
        .hint("rows are the elements of a window, columns the windows"));
    }
    let channels = x.shape()[1] / area;
    let split = reshaped(x, joined(&[&[x.shape()[0], channels], &kernel, &out]));
    let order: Sizes = [0, 1].into_iter().chain(2 + spatial..2 + 2 * spatial).chain(2..2 + spatial).collect();
    let full: Sizes = slides.iter().zip(&lens).map(|(s, &len)| len + 2 * s.padding).collect();
    let starts: Sizes = slides.iter().map(|s| s.padding).collect();
    Ok(cropped(&overlap_add(&permuted(&split, &order), &slides, &full)?, &starts, &lens))
}

op_list![conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d, unfold, fold];
