//! Convolutions and their gradients, over any number of spatial axes.
//!
//! A convolution is a form that is linear in three arrays: `Σ x[n, c, p · step + k · dilation - padding] · w[o, c, k] ·
//! y[n, o, p]`, with zeros where `x` has no element. Each of the three results here is the form without one of them.
//!
//! Nothing is unfolded as a whole. The operand that windows run over is copied example by example into [`planes`], which
//! hold its padding and set the elements of a stride side by side ([`pass`]); from there a panel as wide as a register tile of
//! the matrix product is filled at a time ([`product`]), or read as it lies where there is one channel ([`direct`]).
//!
//! Every element of an output or of an input's gradient is one chain of fused multiply-adds, in the order of (channel,
//! kernel element), from zero; a weight's gradient is summed in blocks of positions ([`weight`], [`turned`]). So the bits
//! depend on no layout, number of threads or instruction set, and an example has the bits it has in a batch.

mod direct;
mod dot;
mod integers;
mod pass;
mod planes;
mod product;
mod scattered;
mod turned;
mod weight;

use smallvec::SmallVec;

use super::cast;
use crate::{Array, DType, Shape};
use dot::Dotted;
use pass::Pass;
use planes::{Axis, Split};
use scattered::Scatter;

/// One number per spatial axis.
type Sizes = SmallVec<[usize; 3]>;

/// How a kernel moves along one spatial axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slide {
    /// From one position to the next.
    pub step: usize,
    /// Zeros before the first element.
    pub padding: usize,
    /// From one element of the kernel to the next.
    pub dilation: usize,
}

/// What of `(x, weight, y)` a call computes from the other two.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// The gradient of the input, which is the transposed convolution.
    Input,
    /// The gradient of the weight.
    Weight,
    /// The convolution itself.
    Output,
}

/// A convolution, by everything but the sizes of its operands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Convolution {
    /// One for each spatial axis.
    pub slides: SmallVec<[Slide; 3]>,
    /// Parts that the channels are cut into, each with a weight of its own.
    pub groups: usize,
}

/// The sizes of one call; channels are those of one group.
#[derive(Clone, Debug)]
struct Call {
    slides: SmallVec<[Slide; 3]>,
    groups: usize,
    examples: usize,
    inputs: usize,
    outputs: usize,
    len: Sizes,
    kernel: Sizes,
    out: Sizes,
}

impl Convolution {
    /// The part that is missing in `x [N, C, len..]`, `weight [O, C / groups, kernel..]`, `y [N, O, out..]`, from the other
    /// two in this order, with its spatial sizes given. There may be fewer positions than would fit.
    ///
    /// f16 and bf16 are multiplied and summed in f32; integers wrap.
    ///
    /// # Panics
    /// If shapes or dtypes do not fit each other.
    pub fn run(&self, part: Part, a: &Array, b: &Array, sizes: &[usize]) -> Array {
        let call = self.call(part, a, b, sizes);
        match a.dtype() {
            DType::F32 => floats::<f32>(&call, part, a, b),
            DType::F64 => floats::<f64>(&call, part, a, b),
            half @ (DType::F16 | DType::BF16) => {
                cast(&self.run(part, &cast(a, DType::F32), &cast(b, DType::F32), sizes), half)
            }
            _ => integers::run(&call, part, a, b),
        }
    }

    fn call(&self, part: Part, a: &Array, b: &Array, sizes: &[usize]) -> Call {
        assert_eq!(a.dtype(), b.dtype(), "a convolution needs one dtype");
        let (spatial, groups) = (self.slides.len(), self.groups);
        let fits = |x: &Array| x.ndim() == spatial + 2;
        assert!(fits(a) && fits(b) && sizes.len() == spatial, "no convolution of {} and {}", a.shape(), b.shape());
        let of = |x: &Array| -> Sizes { x.shape()[2..].into() };
        let (sa, sb) = (a.shape(), b.shape());
        let (examples, inputs, outputs) = match part {
            Part::Output => (sa[0], sb[1], sb[0] / groups),
            Part::Input => (sb[0], sa[1], sa[0] / groups),
            Part::Weight => (sa[0], sa[1] / groups, sb[1] / groups),
        };
        let (len, kernel, out) = match part {
            Part::Output => (of(a), of(b), sizes.into()),
            Part::Input => (sizes.into(), of(a), of(b)),
            Part::Weight => (of(a), sizes.into(), of(b)),
        };
        let call = Call { slides: self.slides.clone(), groups, examples, inputs, outputs, len, kernel, out };
        let [first, second] = match part {
            Part::Output => [call.shape(Part::Input), call.shape(Part::Weight)],
            Part::Input => [call.shape(Part::Weight), call.shape(Part::Output)],
            Part::Weight => [call.shape(Part::Input), call.shape(Part::Output)],
        };
        assert!(*sa == first && *sb == second, "no convolution of {sa} and {sb} in {groups} groups");
        call
    }
}

impl Call {
    fn shape(&self, part: Part) -> Shape {
        let (first, second, rest) = match part {
            Part::Input => (self.examples, self.groups * self.inputs, &self.len),
            Part::Weight => (self.groups * self.outputs, self.inputs, &self.kernel),
            Part::Output => (self.examples, self.groups * self.outputs, &self.out),
        };
        [first, second].into_iter().chain(rest.iter().copied()).collect()
    }

    /// The elements of the kernel, row-major.
    fn taps(&self) -> impl Iterator<Item = Sizes> + '_ {
        (0..self.kernel.iter().product()).map(|i| unravel(i, &self.kernel))
    }

    /// Those of an example's output.
    fn positions(&self) -> usize {
        self.out.iter().product()
    }

    /// The multiply-adds of the whole.
    fn cost(&self) -> usize {
        let positions = self.positions().saturating_mul(self.examples);
        let depth = self.kernel.iter().product::<usize>() * self.inputs;
        positions.saturating_mul(depth).saturating_mul(self.groups * self.outputs)
    }

    /// The windows of `x`: per axis one plane for each remainder of the step that the kernel meets; and where in the
    /// planes of a channel each element of the kernel finds its window at position 0.
    fn windows(&self, x: &Array) -> (Split, Vec<usize>) {
        let axis = |a: usize| {
            let Slide { step, padding, dilation } = self.slides[a];
            let mut remainders: Vec<usize> = Vec::new();
            (0..self.kernel[a]).map(|k| k * dilation % step).for_each(|r| {
                if !remainders.contains(&r) {
                    remainders.push(r);
                }
            });
            let size = self.out[a] + (self.kernel[a] - 1) * dilation / step;
            let place = |k: usize| {
                let plane = remainders.iter().position(|&r| r == k * dilation % step).expect("all are there");
                plane * size + k * dilation / step
            };
            let places: Sizes = (0..self.kernel[a]).map(place).collect();
            let starts = remainders.iter().map(|&r| r as isize - padding as isize).collect();
            (Axis { len: self.len[a], step, starts, size }, places)
        };
        let (axes, places): (Vec<Axis>, Vec<Sizes>) = (0..self.len.len()).map(axis).unzip();
        let split = Split::new(axes, &x.strides()[2..]);
        let offset = |tap: Sizes| -> usize { (0..tap.len()).map(|a| places[a][tap[a]] * split.pitch[a]).sum() };
        let offsets = self.taps().map(offset).collect();
        (split, offsets)
    }
}

/// The index of element `i` of axes of these sizes, row-major.
fn unravel(mut i: usize, sizes: &[usize]) -> Sizes {
    let mut index: Sizes = sizes.into();
    for (at, &size) in index.iter_mut().zip(sizes).rev() {
        *at = i % size;
        i /= size;
    }
    index
}

fn floats<T: Dotted + Scatter>(call: &Call, part: Part, a: &Array, b: &Array) -> Array {
    let shape = call.shape(part);
    if shape.size() == 0 || call.cost() == 0 {
        return Array::full(shape, 0.0, T::DTYPE).contiguous();
    }
    if part == Part::Weight {
        return weight::gradient::<T>(call, a, b);
    }
    let out = Array::uninit(shape, T::DTYPE);
    match part {
        Part::Output => Pass::<T>::forward(call, a, b, &out).run(),
        _ => Pass::<T>::backward(call, a, b, &out).run(),
    }
    out
}
