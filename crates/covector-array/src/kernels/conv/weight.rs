//! The gradient of a weight: dot products of an output's channels with the windows that met an element of the kernel.
//!
//! Positions run over all examples. They are cut into blocks of [`BLOCK`], each of which gives one dot product ([`dot`]);
//! those of [`SPAN`] blocks are added up in order, and then the sums. This order depends on nothing but the number of
//! positions, whoever computes which part. Of many channels, a block is a matrix product instead ([`turned`]).
//!
//! [`dot`]: super::dot
//! [`turned`]: super::turned

use std::ops::Range;

use smallvec::SmallVec;

use super::dot::{Dot, Dotted};
use super::planes::{SLACK, Split};
use super::product::{Pack, Run};
use super::scattered::Scatter;
use super::turned::Turned;
use super::{Call, Part};
use crate::isa::dispatch;
use crate::kernels::layout::{Layout, Shared};
use crate::kernels::{copy, pad};
use crate::math::Real;
use crate::{Array, Shape, threads};

/// Positions of a dot product.
const BLOCK: usize = 1024;
/// Blocks whose products are added up.
const SPAN: usize = 4;
/// Rows of windows in a task, if there are as many: they share the cotangents of a block in the second-level cache.
const ROWS: usize = 36;
/// With fewer tasks than this, spans are tasks too.
pub(super) const TASKS: usize = 16;

pub(super) fn gradient<T: Dotted + Scatter>(call: &Call, x: &Array, y: &Array) -> Array {
    if let Some(turned) = Turned::<T>::new(call, x, y) {
        // SAFETY: each task writes channels or a part of its own.
        return spread(call, turned.tasks(), |task, spans, to| unsafe { turned.run(task, spans, to) });
    }
    let (split, taps) = call.windows(x);
    let positions = call.positions();
    let left = Left::of::<T>(call, y, positions);
    let layout = Layout::new(call.out.iter().zip(&split.pitch).map(|(&size, &pitch)| (size, pitch as isize)));
    let pieces = call.inputs.div_ceil(ROWS.div_ceil(taps.len()));
    let channels = call.inputs.div_ceil(pieces);
    let job = Job { call, x, split, taps, left, layout, positions };
    spread(call, call.groups * pieces, |task, spans, to: *mut T| {
        let (group, first) = (task / pieces, task % pieces * channels);
        // SAFETY: the kernels are those for this processor; each task writes channels or a part of its own.
        unsafe { job.run(group, first..(first + channels).min(call.inputs), spans, to) };
    })
}

/// Parts that the positions of each of so many tasks are cut into.
pub(super) fn parts(call: &Call, tasks: usize) -> usize {
    if tasks < TASKS { spans(call) } else { 1 }
}

fn spans(call: &Call) -> usize {
    (call.examples * call.positions()).div_ceil(SPAN * BLOCK)
}

/// The gradient, of which `run` computes a task's channels, summed over some spans, into an array of the whole.
fn spread<T: Real>(call: &Call, tasks: usize, run: impl Fn(usize, Range<usize>, *mut T) + Sync) -> Array {
    let (spans, parts) = (spans(call), parts(call, tasks));
    let shape = call.shape(Part::Weight);
    let sums = Array::uninit(Shape::from([parts, shape.size()]), T::DTYPE);
    let out = Shared(sums.ptr::<T>().cast_mut());
    threads::for_each(tasks * parts, call.cost(), |i| {
        let (task, part) = (i / parts, i % parts);
        let spans = if parts == 1 { 0..spans } else { part..part + 1 };
        run(task, spans, out.get().wrapping_add(part * shape.size()));
    });
    if parts == 1 {
        return sums.reshape(&shape);
    }
    Array::build::<T>(shape, |total| {
        let sums = sums.as_slice::<T>().expect("a fresh array is contiguous");
        total.fill(T::ZERO);
        sums.chunks_exact(total.len()).for_each(|part| add(total, part));
    })
}

/// The products of a block, those of a span added up, and the sums of all spans.
pub(super) struct Sums<T> {
    products: Vec<T>,
    span: Vec<T>,
    pub total: Vec<T>,
}

impl<T: Real> Sums<T> {
    pub fn new(size: usize) -> Sums<T> {
        Sums { products: vec![T::ZERO; size], span: vec![T::ZERO; size], total: vec![T::ZERO; size] }
    }

    /// Adds up what `run` computes for each block of some spans of `all` positions.
    pub fn over(&mut self, spans: Range<usize>, all: usize, mut run: impl FnMut(Range<usize>, &mut [T])) {
        for span in spans {
            self.span.fill(T::ZERO);
            let end = ((span + 1) * SPAN * BLOCK).min(all);
            for first in (span * SPAN * BLOCK..end).step_by(BLOCK) {
                run(first..(first + BLOCK).min(end), &mut self.products);
                add(&mut self.span, &self.products);
            }
            add(&mut self.total, &self.span);
        }
    }
}

fn add<T: Real>(to: &mut [T], x: &[T]) {
    to.iter_mut().zip(x).for_each(|(to, &x)| *to = *to + x);
}

/// The cotangents of an output: rows of channels over all positions.
struct Left {
    y: Array,
    /// Between channels, and between examples, whose positions are contiguous.
    channel: isize,
    example: isize,
    /// Chains of a dot product.
    lanes: usize,
}

impl Left {
    /// As they lie, if the positions of an example are contiguous and a multiple of the lanes; else one row per channel,
    /// with zeros up to such a multiple.
    fn of<T: Dotted>(call: &Call, y: &Array, positions: usize) -> Left {
        let spatial = y.shape()[2..].iter().copied().zip(y.strides()[2..].iter().copied());
        if positions.is_multiple_of(T::LANES) && Layout::new(spatial).is_contiguous() {
            return Left { y: y.clone(), channel: y.strides()[1], example: y.strides()[0], lanes: T::LANES };
        }
        let order: SmallVec<[usize; 6]> = [1, 0].into_iter().chain(2..y.ndim()).collect();
        let (channels, all) = (y.shape()[1], positions * call.examples);
        let rows = copy(&y.permute(&order)).reshape(&Shape::from([channels, all]));
        let rows = pad(&rows, &[0, 0], &[0, all.next_multiple_of(T::LANES) - all], &[0, 0]);
        Left { channel: rows.strides()[0], example: positions as isize, y: rows, lanes: T::LANES }
    }
}

struct Job<'a> {
    call: &'a Call,
    x: &'a Array,
    split: Split,
    /// Where in a channel's planes each element of the kernel finds its window.
    taps: Vec<usize>,
    left: Left,
    /// Where the positions of an example lie in the planes.
    layout: Layout,
    positions: usize,
}

impl Job<'_> {
    /// The gradient with respect to some channels of a group, summed over some spans, into an array of the whole.
    ///
    /// # Safety
    /// The elements of these channels at `out` must be writable, by this call alone.
    unsafe fn run<T: Dotted>(&self, group: usize, channels: Range<usize>, spans: Range<usize>, out: *mut T) {
        let Call { inputs, outputs, .. } = *self.call;
        let (taps, n) = (self.taps.len(), channels.len());
        let most = BLOCK.div_ceil(self.positions).min(self.call.examples - 1) + 1;
        let planes = self.split.buffer::<T>(most * n);
        let offsets: Vec<usize> =
            (0..n).flat_map(|c| self.taps.iter().map(move |tap| c * self.split.channel + tap)).collect();
        let windows = Array::uninit(Shape::from([HIGH * BLOCK + SLACK]), T::DTYPE);
        let mut sums = Sums::new(offsets.len() * outputs);
        let mut filled = 0..0;
        sums.over(spans, self.call.examples * self.positions, |block, products| {
            let examples = block.start / self.positions..(block.end - 1) / self.positions + 1;
            if filled != examples {
                self.fill(group, channels.clone(), examples.clone(), planes.ptr::<T>().cast_mut());
                filled = examples;
            }
            let (runs, pieces) = self.walk(n, filled.start, block.clone());
            let mut row = 0;
            while row < offsets.len() {
                let high = high(offsets.len() - row);
                let (offsets, to) = (&offsets[row..row + high], windows.ptr::<T>().cast_mut());
                let stride = self.layout.inner().1;
                dispatch(Pack { from: planes.ptr::<T>(), stride, offsets, runs: &runs, to, row: BLOCK });
                zero_ends(to, high, block.len());
                self.products(group, &pieces, to, &mut products[row * outputs..(row + high) * outputs]);
                row += high;
            }
        });
        for (i, &sum) in sums.total.iter().enumerate() {
            let (row, o) = (i / outputs, i % outputs);
            let at = ((group * outputs + o) * inputs + channels.start) * taps + row;
            // SAFETY: the caller's promise.
            unsafe { *out.add(at) = sum };
        }
    }

    /// Fills the planes of these channels, example after example.
    fn fill<T: Dotted>(&self, group: usize, channels: Range<usize>, examples: Range<usize>, to: *mut T) {
        let strides = self.x.strides();
        let place = |example: usize, channel: usize| {
            let channel = group * self.call.inputs + channel;
            let at = example as isize * strides[0] + channel as isize * strides[1];
            self.x.ptr::<T>().wrapping_offset(at)
        };
        let count = channels.len();
        let ahead = examples.len();
        for (i, example) in examples.enumerate() {
            for (j, channel) in channels.clone().enumerate() {
                // SAFETY: the channel lies in `x`, and the buffer has room for all of them.
                unsafe {
                    let to = to.add((i * count + j) * self.split.channel);
                    self.split.fill(place(example, channel), place(example + ahead, channel), to);
                }
            }
        }
    }

    /// Where a block's windows lie in the planes of a task, and its cotangents in a row.
    fn walk(&self, channels: usize, example: usize, block: Range<usize>) -> (Vec<Run>, Vec<(isize, usize)>) {
        let (mut runs, mut pieces) = (Vec::new(), Vec::new());
        let mut at = block.start;
        while at < block.end {
            let (e, p) = (at / self.positions, at % self.positions);
            let len = (self.positions - p).min(block.end - at);
            let from = ((e - example) * channels * self.split.channel) as isize;
            self.layout.for_runs(p, len, |offset, len| runs.push(Run { from: from + offset, to: 0, len }));
            pieces.push((e as isize * self.left.example + p as isize, len / self.left.lanes));
            at += len;
        }
        if self.left.example == self.positions as isize {
            pieces = vec![(block.start as isize, block.len().div_ceil(self.left.lanes))];
        }
        (runs, pieces)
    }

    /// The dot products of a few rows of windows with all channels of the group.
    fn products<T: Dotted>(&self, group: usize, pieces: &[(isize, usize)], windows: *const T, out: &mut [T]) {
        let outputs = self.call.outputs;
        let high = out.len() / outputs;
        let mut o = 0;
        while o < outputs {
            let fits = |&&(wide, rows, _): &&(usize, usize, _)| rows == high && o + wide <= outputs;
            let &(wide, _, run) = T::dots().iter().find(fits).expect("there are tiles of one column");
            let dot = Dot {
                a: self.left.y.ptr::<T>().wrapping_offset((group * outputs + o) as isize * self.left.channel),
                a_row: self.left.channel,
                b: windows,
                b_row: BLOCK,
                pieces,
                out: out[o..].as_mut_ptr(),
                out_row: outputs,
            };
            // SAFETY: rows of both factors hold the whole block; the results lie in `out`; the tile is the one for this
            // processor.
            unsafe { run(&dot) };
            o += wide;
        }
    }
}

/// The most rows of windows in a register tile.
const HIGH: usize = 6;

/// The rows of the next register tile, where so many are left.
fn high(left: usize) -> usize {
    [HIGH, 3, 1].into_iter().find(|&high| high <= left).expect("a row is left")
}

/// Sets the elements of rows from `len` on to zero, up to a whole number of lanes.
fn zero_ends<T: Dotted>(rows: *mut T, count: usize, len: usize) {
    for (row, i) in (0..count).flat_map(|row| (len..len.next_multiple_of(T::LANES)).map(move |i| (row, i))) {
        // SAFETY: rows have room for a block, which is a multiple of the lanes.
        unsafe { *rows.add(row * BLOCK + i) = T::ZERO };
    }
}
