//! The gradient of a weight: dot products of an output's channels with the windows that met an element of the kernel.
//!
//! Positions run over all examples. They are cut into blocks of [`BLOCK`], each of which gives one dot product ([`dot`]);
//! those of [`SPAN`] blocks are added up in order, and then the sums. This order depends on nothing but the number of
//! positions, whoever computes which part.
//!
//! [`dot`]: super::dot

use std::ops::Range;

use smallvec::SmallVec;

use super::dot::{Dot, Dotted};
use super::planes::{SLACK, Split};
use super::product::{Pack, Run};
use super::{Call, Part};
use crate::isa::dispatch;
use crate::kernels::layout::{Layout, Shared};
use crate::kernels::{copy, pad};
use crate::{Array, Shape, threads};

/// Positions of a dot product.
const BLOCK: usize = 1024;
/// Blocks whose products are added up.
const SPAN: usize = 8;
/// Rows of windows in a task, at least, if there are as many.
const ROWS: usize = 9;
/// With fewer tasks than this, spans are tasks too.
const TASKS: usize = 16;

pub(super) fn gradient<T: Dotted>(call: &Call, x: &Array, y: &Array) -> Array {
    let (split, taps) = call.windows(x);
    let positions = call.out.iter().product::<usize>();
    let all = positions * call.examples;
    let left = Left::of::<T>(call, y, positions);
    let layout = Layout::new(call.out.iter().zip(&split.pitch).map(|(&size, &pitch)| (size, pitch as isize)));
    let channels = ROWS.div_ceil(taps.len()).min(call.inputs);
    let pieces = call.inputs.div_ceil(channels);
    let spans = all.div_ceil(SPAN * BLOCK);
    let tasks = call.groups * pieces;
    let parts = if tasks < TASKS { spans } else { 1 };
    let shape = call.shape(Part::Weight);
    let sums = Array::uninit(Shape::from([parts, shape.size()]), T::DTYPE);
    let out = Shared(sums.ptr::<T>().cast_mut());
    let job = Job { call, x, split, taps, left, layout, positions, all };
    threads::for_each(tasks * parts, call.cost(), |i| {
        let (task, part) = (i / parts, i % parts);
        let (group, first) = (task / pieces, task % pieces * channels);
        let spans = if parts == 1 { 0..spans } else { part..part + 1 };
        let to = out.get().wrapping_add(part * shape.size());
        // SAFETY: the kernels are those for this processor; each task writes channels or a part of its own.
        unsafe { job.run::<T>(group, first..(first + channels).min(call.inputs), spans, to) };
    });
    if parts == 1 {
        return sums.reshape(&shape);
    }
    Array::build::<T>(shape, |total| {
        let sums = sums.as_slice::<T>().expect("a fresh array is contiguous");
        total.fill(T::ZERO);
        for part in sums.chunks_exact(total.len()) {
            total.iter_mut().zip(part).for_each(|(sum, &x)| *sum = *sum + x);
        }
    })
}

/// The cotangents of an output: rows of channels over all positions.
struct Left {
    y: Array,
    /// Between channels, and between examples, whose positions are contiguous.
    channel: isize,
    example: isize,
}

impl Left {
    /// As they lie, if the positions of an example are contiguous and a multiple of the lanes; else one row per channel,
    /// with zeros up to such a multiple.
    fn of<T: Dotted>(call: &Call, y: &Array, positions: usize) -> Left {
        let spatial = y.shape()[2..].iter().copied().zip(y.strides()[2..].iter().copied());
        if positions.is_multiple_of(T::LANES) && Layout::new(spatial).is_contiguous() {
            return Left { y: y.clone(), channel: y.strides()[1], example: y.strides()[0] };
        }
        let order: SmallVec<[usize; 6]> = [1, 0].into_iter().chain(2..y.ndim()).collect();
        let (channels, all) = (y.shape()[1], positions * call.examples);
        let rows = copy(&y.permute(&order)).reshape(&Shape::from([channels, all]));
        let rows = pad(&rows, &[0, 0], &[0, all.next_multiple_of(T::LANES) - all], &[0, 0]);
        Left { channel: rows.strides()[0], example: positions as isize, y: rows }
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
    /// Of all examples.
    all: usize,
}

impl Job<'_> {
    /// The gradient with respect to some channels of a group, summed over some spans, into an array of the whole.
    ///
    /// # Safety
    /// The elements of these channels at `out` must be writable, by this call alone.
    unsafe fn run<T: Dotted>(&self, group: usize, channels: Range<usize>, spans: Range<usize>, out: *mut T) {
        let Call { inputs, outputs, .. } = *self.call;
        let (taps, n) = (self.taps.len(), channels.len());
        let rows = n * taps;
        let most = BLOCK.div_ceil(self.positions).min(self.call.examples - 1) + 1;
        let planes = self.split.buffer::<T>(most * n);
        let offsets: Vec<usize> =
            (0..n).flat_map(|c| self.taps.iter().map(move |tap| c * self.split.channel + tap)).collect();
        // The windows of a block, its products, and the sums of a span and of the spans.
        let width = BLOCK.min(self.all.next_multiple_of(T::LANES));
        let room = Array::uninit(Shape::from([rows * (width + 3 * outputs) + SLACK]), T::DTYPE);
        let windows = room.ptr::<T>().cast_mut();
        let sums = |i: usize| windows.wrapping_add(rows * (width + i * outputs) + SLACK);
        let size = rows * outputs;
        // SAFETY: the sums lie in the room, one after another.
        let [products, span_sum, total] =
            [0, 1, 2].map(|i| unsafe { std::slice::from_raw_parts_mut(sums(i), size) });
        total.fill(T::ZERO);
        let mut filled = 0..0;
        for span in spans {
            span_sum.fill(T::ZERO);
            let end = ((span + 1) * SPAN * BLOCK).min(self.all);
            for first in (span * SPAN * BLOCK..end).step_by(BLOCK) {
                let block = first..(first + BLOCK).min(end);
                let examples = block.start / self.positions..(block.end - 1) / self.positions + 1;
                if filled != examples {
                    self.fill(group, channels.clone(), examples.clone(), planes.ptr::<T>().cast_mut());
                    filled = examples;
                }
                self.pack(&planes, n, filled.start, block.clone(), &offsets, windows, width);
                self.products(group, block, windows, rows, width, products);
                span_sum.iter_mut().zip(&*products).for_each(|(sum, &x)| *sum = *sum + x);
            }
            total.iter_mut().zip(&*span_sum).for_each(|(sum, &x)| *sum = *sum + x);
        }
        for (i, &sum) in total.iter().enumerate() {
            let (row, o) = (i / outputs, i % outputs);
            let at = ((group * outputs + o) * inputs + channels.start) * taps + row;
            // SAFETY: the caller's promise.
            unsafe { *out.add(at) = sum };
        }
    }

    /// Fills the planes of these channels, example after example.
    fn fill<T: Dotted>(&self, group: usize, channels: Range<usize>, examples: Range<usize>, to: *mut T) {
        let strides = self.x.strides();
        for (i, example) in examples.enumerate() {
            for (j, channel) in channels.clone().enumerate() {
                let channel = group * self.call.inputs + channel;
                let at = example as isize * strides[0] + channel as isize * strides[1];
                // SAFETY: the channel lies in `x`, and the buffer has room for all of them.
                unsafe {
                    let to = to.add((i * channels.len() + j) * self.split.channel);
                    self.split.fill(self.x.ptr::<T>().offset(at), to);
                }
            }
        }
    }

    /// Copies the windows of a block side by side, with zeros up to a multiple of the lanes.
    #[allow(clippy::too_many_arguments)] // where a block comes from and goes to
    fn pack<T: Dotted>(
        &self,
        planes: &Array,
        channels: usize,
        example: usize,
        block: Range<usize>,
        offsets: &[usize],
        to: *mut T,
        width: usize,
    ) {
        let mut runs: SmallVec<[Run; 128]> = SmallVec::new();
        let mut at = block.start;
        while at < block.end {
            let (e, p) = (at / self.positions, at % self.positions);
            let len = (self.positions - p).min(block.end - at);
            let from = ((e - example) * channels * self.split.channel) as isize;
            self.layout.for_runs(p, len, |offset, len| runs.push(Run { from: from + offset, to: 0, len }));
            at += len;
        }
        let stride = self.layout.inner().1;
        dispatch(Pack { from: planes.ptr::<T>(), stride, offsets, runs: &runs, to, row: width });
        let (len, whole) = (block.len(), block.len().next_multiple_of(T::LANES));
        for (row, i) in (0..offsets.len()).flat_map(|row| (len..whole).map(move |i| (row, i))) {
            // SAFETY: rows are a multiple of the lanes wide.
            unsafe { *to.add(row * width + i) = T::ZERO };
        }
    }

    /// The dot products of a block, for each row of windows those with all channels of the group.
    fn products<T: Dotted>(
        &self,
        group: usize,
        block: Range<usize>,
        windows: *const T,
        rows: usize,
        width: usize,
        out: &mut [T],
    ) {
        let outputs = self.call.outputs;
        let mut pieces: SmallVec<[(isize, usize); 128]> = SmallVec::new();
        if self.left.example == self.positions as isize {
            pieces.push((block.start as isize, block.len().div_ceil(T::LANES)));
        } else {
            let mut at = block.start;
            while at < block.end {
                let (e, p) = (at / self.positions, at % self.positions);
                let len = (self.positions - p).min(block.end - at);
                pieces.push((e as isize * self.left.example + p as isize, len / T::LANES));
                at += len;
            }
        }
        let tiles = T::dots();
        let mut row = 0;
        while row < rows {
            let mut o = 0;
            let fits = |high: usize| tiles.iter().any(|&(_, b, _)| b == high) && row + high <= rows;
            let high = [6, 3, 1].into_iter().find(|&high| fits(high)).expect("there are tiles of one row");
            while o < outputs {
                let &(wide, _, run) = tiles
                    .iter()
                    .find(|&&(a, b, _)| b == high && o + a <= outputs)
                    .expect("there are tiles of one row");
                let at = (group * outputs + o) as isize * self.left.channel;
                let dot = Dot {
                    a: self.left.y.ptr::<T>().wrapping_offset(at),
                    a_row: self.left.channel,
                    b: windows.wrapping_add(row * width),
                    b_row: width,
                    pieces: &pieces,
                    out: out[row * outputs + o..].as_mut_ptr(),
                    out_row: outputs,
                };
                // SAFETY: rows of both factors hold the whole block; the results lie in `out`; the tile is the one for
                // this processor.
                unsafe { run(&dot) };
                o += wide;
            }
            row += high;
        }
    }
}
