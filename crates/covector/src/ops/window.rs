//! Sliding windows and their adjoint, overlap-add: what convolutions and pools are made of.
//!
//! Windows are a view, so the elements that neighbouring windows share exist once until a kernel reads them.

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, Shape};
use covector_derive::op_list;
use smallvec::SmallVec;

use super::pad::Pad;
use super::view::{Slice, linear, permuted, reshaped};
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::{Error, Flow, Ints, Result, Spec, Tensor};

/// One number per spatial axis.
pub(crate) type Sizes = SmallVec<[usize; 6]>;

/// How a window moves along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slide {
    /// Elements in a window.
    pub size: usize,
    /// From one window to the next.
    pub step: usize,
    /// Added on both sides before the first window is taken.
    pub padding: usize,
    /// From one element of a window to the next.
    pub dilation: usize,
}

impl Slide {
    /// The slides along all spatial axes. An empty list stands for the default: no padding, no dilation, step 1, or,
    /// for `stride` with `abutting`, windows side by side.
    pub fn along(
        kernel: &[usize],
        stride: &Ints,
        padding: &Ints,
        dilation: &Ints,
        abutting: bool,
    ) -> Result<Vec<Slide>> {
        let n = kernel.len();
        if let Some(axis) = kernel.iter().position(|&k| k == 0) {
            return Err(Error::new(format!("the kernel is empty along spatial axis {axis}: {kernel:?}")));
        }
        let steps = if abutting && stride.0.is_empty() { kernel.into() } else { per_axis(stride, n, 1, "stride")? };
        let (padding, dilation) = (per_axis(padding, n, 0, "padding")?, per_axis(dilation, n, 1, "dilation")?);
        let slide = |i: usize| Slide { size: kernel[i], step: steps[i], padding: padding[i], dilation: dilation[i] };
        Ok((0..n).map(slide).collect())
    }

    /// From the first to behind the last element of a window.
    pub fn span(&self) -> usize {
        (self.size - 1).saturating_mul(self.dilation).saturating_add(1)
    }

    /// The number of windows on an axis of `len` elements.
    pub fn count(&self, len: usize) -> Result<usize> {
        let padded = len.saturating_add(self.padding.saturating_mul(2));
        let span = self.span();
        if span <= padded {
            return Ok((padded - span) / self.step + 1);
        }
        let padding =
            if self.padding > 0 { format!(" with padding {} on both sides", self.padding) } else { "".into() };
        let dilation = if self.dilation > 1 { format!(", {span} with dilation {}", self.dilation) } else { "".into() };
        Err(Error::new(format!("a kernel of {}{dilation} does not fit in {len} elements{padding}", self.size))
            .hint("use a smaller kernel or dilation, or more padding"))
    }

    /// True if windows stand side by side, without gaps between or inside them.
    fn abuts(&self) -> bool {
        self.step == self.size && (self.dilation == 1 || self.size == 1)
    }
}

/// `n` numbers: those given, the one given for each, or the least allowed where the list is empty.
pub(crate) fn per_axis(given: &Ints, n: usize, least: usize, what: &str) -> Result<Sizes> {
    if given.0.is_empty() { Ok(SmallVec::from_elem(least, n)) } else { given.sizes(n, least, what) }
}

/// Zeros before and after the spatial axes, which are the last ones, as the slides ask for.
pub(crate) fn padded(x: &Tensor, slides: &[Slide]) -> Result<Tensor> {
    if slides.iter().all(|s| s.padding == 0) {
        return Ok(x.clone());
    }
    let lead = x.ndim() - slides.len();
    let widths: Sizes = std::iter::repeat_n(0, lead).chain(slides.iter().map(|s| s.padding)).collect();
    let interior = SmallVec::from_elem(0, x.ndim());
    Tensor::apply(Pad { lo: widths.clone(), hi: widths, interior }, [x.clone()])
}

/// All windows on the last axes of `x`: `[.., len..] -> [.., count.., size..]`; the padding is not looked at.
pub(crate) fn windows(x: &Tensor, slides: &[Slide]) -> Tensor {
    let lead = x.ndim() - slides.len();
    slides.iter().enumerate().fold(x.clone(), |x, (i, slide)| windows_along(&x, lead + i, slide))
}

/// The adjoint of [`windows`]: `[.., count.., size..] -> [.., lens..]`.
pub(crate) fn overlap_add(x: &Tensor, slides: &[Slide], lens: &[usize]) -> Result<Tensor> {
    let lead = x.ndim() - 2 * slides.len();
    let mut y = x.clone();
    for (i, slide) in slides.iter().enumerate().rev() {
        let (axis, len) = (lead + i, lens[i]);
        y = Tensor::apply(OverlapAdd { axis, len, step: slide.step, dilation: slide.dilation }, [y])?;
    }
    Ok(y)
}

/// Windows on one axis, as a reshape where they stand side by side, so that the adjoint is one too.
pub(crate) fn windows_along(x: &Tensor, axis: usize, slide: &Slide) -> Tensor {
    let (len, ndim) = (x.shape()[axis], x.ndim());
    if !slide.abuts() || len % slide.size != 0 {
        let windows = Windows { axis, size: slide.size, step: slide.step, dilation: slide.dilation };
        return super::made(Tensor::apply(windows, [x.clone()]));
    }
    let split = x.shape().with_axis(axis, len / slide.size).with_inserted(axis + 1, slide.size);
    let order: Sizes = (0..=ndim).filter(|&i| i != axis + 1).chain([axis + 1]).collect();
    permuted(&reshaped(x, split).literal(axis + 1), &order)
}

/// The elements from `starts[i]`, `sizes[i]` of them, along the last axes.
pub(crate) fn cropped(x: &Tensor, starts: &[usize], sizes: &[usize]) -> Tensor {
    let lead = x.ndim() - starts.len();
    if x.shape()[lead..] == *sizes {
        return x.clone();
    }
    let slice = Slice {
        starts: std::iter::repeat_n(0, lead).chain(starts.iter().copied()).collect(),
        sizes: x.shape()[..lead].iter().chain(sizes).copied().collect(),
        steps: SmallVec::from_elem(1, x.ndim()),
    };
    super::made(Tensor::apply(slice, [x.clone()]))
}

/// `[.., len, ..] -> [.., count, .., size]`: the axis becomes the number of windows, a last axis runs inside them.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Windows {
    pub axis: usize,
    pub size: usize,
    pub step: usize,
    pub dilation: usize,
}

impl Windows {
    fn transpose(&self, x: &Spec, cotangent: &Tensor) -> Tensor {
        let Windows { axis, step, dilation, .. } = *self;
        super::made(Tensor::apply(OverlapAdd { axis, len: x.shape[axis], step, dilation }, [cotangent.clone()]))
    }
}
linear!(Windows, |_, _| "Σ ȳ over the windows that hold an element".to_owned());

impl Primitive for Windows {
    fn name(&self) -> &'static str {
        "windows"
    }
    fn class(&self) -> Class {
        Class::View
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let slide = Slide { size: self.size, step: self.step, padding: 0, dilation: self.dilation };
        let mut shape = x[0].shape.with_axis(self.axis, slide.count(x[0].shape[self.axis])?);
        shape.push(self.size);
        Ok(Spec::new(x[0].dtype, shape))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        let axes = flow.shape(0).len();
        flow.carried(0, (0..axes).map(|a| (a != self.axis).then_some(a)));
        if self.step == 1 {
            flow.resized(self.axis, (0, self.axis));
        }
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(x[0].windows(self.axis, self.size, self.step, self.dilation))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(Windows { axis: self.axis + 1, ..*self }, [x[0].clone()])
    }
}

/// `[.., count, .., size] -> [.., len, ..]`: windows summed back onto the axis they were taken from.
#[derive(Clone, Debug, Hash)]
pub(crate) struct OverlapAdd {
    pub axis: usize,
    pub len: usize,
    pub step: usize,
    pub dilation: usize,
}

impl OverlapAdd {
    /// The windows that were summed; there may be room on the axis for more of them.
    fn transpose(&self, x: &Spec, cotangent: &Tensor) -> Tensor {
        let size = x.shape[x.shape.len() - 1];
        let slide = Slide { size, step: self.step, padding: 0, dilation: self.dilation };
        let all = windows_along(cotangent, self.axis, &slide);
        cropped(&all, &[0].repeat(x.shape.len()), &x.shape)
    }
}
linear!(OverlapAdd, |_, _| "the windows of ȳ".to_owned());

impl Primitive for OverlapAdd {
    fn name(&self) -> &'static str {
        "overlap_add"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let shape = &x[0].shape;
        let last = shape.len() - 1;
        let reach = |count: usize, gap: usize| count.saturating_sub(1).saturating_mul(gap);
        let end = reach(shape[self.axis], self.step).saturating_add(reach(shape[last], self.dilation));
        if shape.size() > 0 && end >= self.len {
            return Err(Error::new(format!("windows {shape} reach beyond {} elements", self.len)));
        }
        Ok(Spec::new(x[0].dtype, shape.without(|i| i == last).with_axis(self.axis, self.len)))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        let last = flow.shape(0).len() - 1;
        flow.carried(0, (0..last).map(|a| (a != self.axis).then_some(a)));
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::overlap_add(&x[0], self.axis, self.len, self.step, self.dilation))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(OverlapAdd { axis: self.axis + 1, ..*self }, [x[0].clone()])
    }
}

/// `x` with an axis of examples in front, and whether that was added: what takes `[N, C, ..]` also takes `[C, ..]`.
pub(crate) fn with_examples(x: &Tensor, spatial: usize) -> Result<(Tensor, bool)> {
    match x.ndim() {
        n if n == spatial + 2 => Ok((x.clone(), false)),
        n if n == spatial + 1 => Ok((reshaped(x, x.shape().with_inserted(0, 1)), true)),
        n => Err(Error::new(format!("x must have {} axes, {} has {n}", spatial + 2, x.spec()))
            .hint(format!("examples, channels and {spatial} spatial axes; without examples {} axes", spatial + 1))),
    }
}

/// Undoes [`with_examples`].
pub(crate) fn without_examples(y: &Tensor, added: bool) -> Tensor {
    if added { reshaped(y, y.shape().without(|i| i == 0)) } else { y.clone() }
}

/// The product of sizes; saturates where that is too large for anything to be built on it.
pub(crate) fn volume(sizes: &[usize]) -> usize {
    Shape::from(sizes).size()
}

/// Several lists of sizes as one shape.
pub(crate) fn joined(parts: &[&[usize]]) -> Shape {
    parts.iter().flat_map(|part| part.iter().copied()).collect()
}

op_list![];
