//! Convolutions and their gradients, over any number of spatial axes.
//!
//! A convolution is a form that is linear in three arrays: `Σ x[n, c, p · step + k · dilation - padding] · w[o, c, k] ·
//! y[n, o, p]`, with zeros where `x` has no element. Each of the three results here is the form without one of them.
//!
//! Nothing is unfolded as a whole. The operand that windows run over is copied example by example into [`planes`], which
//! hold its padding and set the elements of a stride side by side; from there a panel as wide as a register tile of the
//! matrix product is filled at a time ([`product`]), or read as it lies where there is one channel ([`direct`]).
//!
//! Every element of an output or of an input's gradient is one chain of fused multiply-adds, in the order of (channel,
//! kernel element), from zero; a weight's gradient is summed in blocks of positions ([`weight`]). So the bits depend on no
//! layout, number of threads or instruction set, and an example has the bits it has in a batch.

mod direct;
mod dot;
mod integers;
mod planes;
mod product;
mod scattered;
mod weight;

use std::ops::Range;

use smallvec::SmallVec;

use super::cast;
use super::layout::Shared;
use crate::{Array, DType, Shape, threads};
use dot::Dotted;
use planes::{Axis, Merge, Split};
use product::{Product, Step};
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

    /// The multiply-adds of the whole.
    fn cost(&self) -> usize {
        let positions = self.out.iter().product::<usize>().saturating_mul(self.examples);
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

/// Windows of one operand times weights, for every example: into the result, or into planes of it that are merged.
struct Pass<T> {
    call: Call,
    /// The operand that windows run over, its strides over examples and channels, and its channels in a group.
    from: Shared<T>,
    from_strides: [isize; 2],
    channels: usize,
    split: Split,
    products: Vec<Product<T>>,
    /// How each product's result comes into the output, unless it is the output.
    merge: Option<Merge>,
    out: Shared<T>,
    /// The output's channels in a group, and its elements in a channel.
    rows: usize,
    area: usize,
    cost: usize,
}

/// From this many pieces of whole examples on, each is one task; fewer are cut into about so many.
const TASKS: usize = 8;
/// Positions in a task, at least, if there are as many.
const PIECE: usize = 256;

impl<T: Scatter> Pass<T> {
    fn forward(call: &Call, x: &Array, w: &Array, out: &Array) -> Pass<T> {
        let (split, taps) = call.windows(x);
        let windows = (0..call.inputs).flat_map(|c| taps.iter().map(move |&at| (c, at)));
        let steps: Vec<Step> =
            (windows.enumerate()).map(|(weight, (c, at))| Step { window: c * split.channel + at, weight }).collect();
        let sizes = [call.groups, call.outputs, call.examples];
        let strides = [call.outputs * steps.len(), steps.len()];
        let product = Product::new(sizes, &steps, (&call.out, &split.pitch), &w.contiguous(), strides);
        Pass::new(call, x, call.inputs, split, vec![product], None, out, call.outputs)
    }

    /// Elements `step · m + e` of an axis meet the same elements of the kernel for all `m`: a product for each `e`.
    fn backward(call: &Call, w: &Array, y: &Array, out: &Array) -> Pass<T> {
        let spatial = call.len.len();
        let residues: Sizes = (0..spatial).map(|a| call.slides[a].step.min(call.len[a])).collect();
        let grid: Sizes = (0..spatial).map(|a| call.len[a].div_ceil(call.slides[a].step)).collect();
        // The position that element `e` meets with kernel element `k`, if there is one.
        let position = |a: usize, e: usize, k: usize| {
            let Slide { step, padding, dilation } = call.slides[a];
            let at = e as isize + padding as isize - (k * dilation) as isize;
            (at.rem_euclid(step as isize) == 0).then(|| at.div_euclid(step as isize))
        };
        let range = |a: usize| {
            let all = (0..residues[a]).flat_map(|e| (0..call.kernel[a]).filter_map(move |k| position(a, e, k)));
            let (lo, hi) = all.fold((isize::MAX, isize::MIN), |(lo, hi), at| (lo.min(at), hi.max(at)));
            if lo > hi { (0, 0) } else { (lo, (hi - lo) as usize) }
        };
        let ranges: SmallVec<[(isize, usize); 3]> = (0..spatial).map(range).collect();
        let axis = |a: usize| {
            let (start, more) = ranges[a];
            Axis { len: call.out[a], step: 1, starts: [start].into_iter().collect(), size: grid[a] + more }
        };
        let split = Split::new((0..spatial).map(axis).collect(), &y.strides()[2..]);
        let (w, taps) = (w.contiguous(), call.kernel.iter().product::<usize>());
        let product = |e: usize| {
            let e = unravel(e, &residues);
            let meets = |tap: Sizes| -> Option<usize> {
                let at = |a: usize| position(a, e[a], tap[a]).map(|p| (p - ranges[a].0) as usize * split.pitch[a]);
                (0..spatial).map(at).sum()
            };
            let met: Vec<(usize, usize)> =
                call.taps().enumerate().filter_map(|(k, tap)| Some((k, meets(tap)?))).collect();
            let windows = (0..call.outputs).flat_map(|o| met.iter().map(move |&(k, at)| (o, k, at)));
            let by_output = call.inputs * taps;
            let step = |(o, k, at)| Step { window: o * split.channel + at, weight: o * by_output + k };
            let steps: Vec<Step> = windows.map(step).collect();
            let sizes = [call.groups, call.inputs, call.examples];
            Product::new(sizes, &steps, (&grid, &split.pitch), &w, [call.outputs * by_output, taps])
        };
        let products = (0..residues.iter().product()).map(product).collect();
        let merge = (residues.iter().any(|&r| r > 1)).then(|| Merge::new(&call.len, &residues, &grid));
        Pass::new(call, y, call.outputs, split, products, merge, out, call.inputs)
    }

    #[allow(clippy::too_many_arguments)] // one place that knows how a pass is laid out
    fn new(
        call: &Call,
        from: &Array,
        channels: usize,
        split: Split,
        products: Vec<Product<T>>,
        merge: Option<Merge>,
        out: &Array,
        rows: usize,
    ) -> Pass<T> {
        Pass {
            from: Shared(from.ptr::<T>().cast_mut()),
            from_strides: [from.strides()[0], from.strides()[1]],
            channels,
            split,
            products,
            merge,
            out: Shared(out.ptr::<T>().cast_mut()),
            rows,
            area: out.shape()[2..].iter().product(),
            cost: call.cost(),
            call: call.clone(),
        }
    }

    fn run(&self) {
        let (groups, all) = (self.call.groups, self.call.examples);
        let area = self.products[0].positions();
        let together = PIECE.div_ceil(area).min(all);
        let pieces = all.div_ceil(together) * groups;
        let piece = |i: usize, cut: bool| {
            let (first, group) = (i / groups * together, i % groups);
            self.piece(group, first..(first + together).min(all), cut);
        };
        if pieces >= TASKS {
            // Small pieces share a task.
            let share = (threads::SERIAL_BELOW * pieces / self.cost.max(1)).clamp(1, pieces);
            threads::for_each(pieces.div_ceil(share), self.cost, |task| {
                (task * share..((task + 1) * share).min(pieces)).for_each(|i| piece(i, false));
            });
        } else {
            (0..pieces).for_each(|i| piece(i, true));
        }
    }

    /// Some examples of one group, cut into tasks or not.
    fn piece(&self, group: usize, examples: Range<usize>, cut: bool) {
        let each = |n: usize, cost: usize, work: &(dyn Fn(usize) + Sync)| match cut {
            true => threads::for_each(n, cost, work),
            false => (0..n).for_each(work),
        };
        let (n, channels) = (examples.len(), self.channels);
        let planes = self.split.buffer::<T>(n * channels);
        let to = Shared(planes.ptr::<T>().cast_mut());
        each(n * channels, n * channels * self.split.channel, &|i| {
            let (example, channel) = (examples.start + i / channels, group * channels + i % channels);
            let [by_example, by_channel] = self.from_strides;
            let at = example as isize * by_example + channel as isize * by_channel;
            let from = self.from.get().wrapping_offset(at).cast_const();
            // SAFETY: the channel lies in the operand; the buffer has room for all, and each call fills its own part.
            unsafe { self.split.fill(from, from.wrapping_offset(by_channel), to.get().add(i * self.split.channel)) };
        });
        let positions = self.products[0].positions();
        let columns = n * positions;
        let rows_of_out = self.rows * self.call.groups;
        let first = (examples.start * rows_of_out + group * self.rows) * self.area;
        let out = Shared(self.out.get().wrapping_add(first));
        // Where a product writes: the output, or planes of it.
        let merged = self
            .merge
            .as_ref()
            .map(|_| Array::uninit(Shape::from([self.products.len() * n * self.rows * positions]), T::DTYPE));
        let chunk = if cut { PIECE.min(columns).next_multiple_of(self.products[0].wide()) } else { columns };
        let chunks = columns.div_ceil(chunk);
        // Where there are few columns, rows are cut as well.
        let wanted = if cut { TASKS.div_ceil(self.products.len() * chunks) } else { 1 };
        let rows = |which: usize| self.products[which].row_parts(wanted).map(move |rows| (which, rows));
        let parts: SmallVec<[(usize, Range<usize>); TASKS]> = (0..self.products.len()).flat_map(rows).collect();
        each(parts.len() * chunks, self.cost, &|i| {
            let columns = i % chunks * chunk..((i % chunks + 1) * chunk).min(columns);
            let (which, rows) = parts[i / chunks].clone();
            let (to, example) = match &merged {
                None => (out.get(), rows_of_out * self.area),
                Some(planes) => {
                    let size = n * self.rows * positions;
                    (planes.ptr::<T>().cast_mut().wrapping_add(which * size), self.rows * positions)
                }
            };
            let place = product::Place { ptr: to, row: positions, example };
            // SAFETY: the planes are filled, and calls write disjoint columns.
            unsafe {
                self.products[which].run(group, planes.ptr(), channels * self.split.channel, (rows, columns), &place)
            };
        });
        if let (Some(merge), Some(from)) = (&self.merge, &merged) {
            each(n * self.rows, n * self.rows * self.area, &|i| {
                let at = (i / self.rows * rows_of_out + i % self.rows) * self.area;
                let from = from.ptr::<T>().wrapping_add(i * positions);
                // SAFETY: all planes are written; each call fills a channel of its own.
                unsafe { merge.run(from, n * self.rows * positions, out.get().add(at)) };
            });
        }
    }
}
