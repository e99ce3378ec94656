//! Reductions across neighbouring sequences: a tile of columns at a time, each lane of a block being a row of the tile.

use std::ops::Range;

use smallvec::SmallVec;

use super::fold::{Fold, dispatch_common};
use super::lanes::Lanes;
use super::source::Source;
use super::{BLOCK, Job, Kept, LANES};
use crate::Element;
use crate::isa::Work;
use crate::kernels::layout::{Layout, Walk, gather, offset_of};
use crate::kernels::stream::ask_for;
use crate::math::Num;

/// Columns per tile: its lanes stay in the first- or second-level cache.
pub(super) const WIDTH: usize = 512;

/// Rows asked for ahead of their use.
const AHEAD: isize = 4;

/// Writes the results of `piece` of the sequences of `tasks`: tiles of the axis `columns` at each place of `others`.
pub(super) fn run<S: Source, F: Fold<S::Seen>>(
    job: &Job<S>,
    others: &[Kept],
    columns: Kept,
    tasks: Range<usize>,
    piece: usize,
) {
    let start = piece * job.piece.min(job.count);
    let rows = start..(start + job.piece.min(job.count)).min(job.count);
    let inputs: SmallVec<[(usize, isize); 6]> = others.iter().map(|k| (k.size, k.stride)).collect();
    let outputs: SmallVec<[(usize, isize); 6]> = others.iter().map(|k| (k.size, k.out)).collect();
    let tiles = columns.size.div_ceil(WIDTH);
    let width = columns.size.min(WIDTH);
    let levels = (rows.len().div_ceil(BLOCK)).ilog2() as usize + 2;
    let mut scratch = vec![S::Seen::ZERO; (LANES + levels + 1) * width];
    let mut gathered = vec![S::default(); width];
    for task in tasks {
        let (place, first) = (task / tiles, task % tiles * WIDTH);
        let width = width.min(columns.size - first);
        let offset = offset_of(&inputs, place) + first as isize * columns.stride;
        let (lanes, rest) = scratch.split_at_mut(LANES * width);
        let (row, stack) = rest.split_at_mut(width);
        let tile = Tile::<S, F> {
            // SAFETY: the offset is that of an element of the array.
            x: unsafe { job.x.get().offset(offset) },
            sequence: &job.sequence,
            rows: rows.clone(),
            width,
            stride: columns.stride,
            lanes,
            row,
            gathered: &mut gathered[..width],
            stack,
            fold: Default::default(),
        };
        let result = dispatch_common::<S::Seen, _>(tile);
        let base = (piece * job.outputs) as isize + offset_of(&outputs, place) + first as isize * columns.out;
        for (i, &value) in result.iter().enumerate() {
            // SAFETY: each output of each piece has its own element, and only this task writes these.
            unsafe { *job.out.get().offset(base + i as isize * columns.out) = value };
        }
    }
}

struct Tile<'a, S: Source, F> {
    x: *const S,
    sequence: &'a Layout,
    rows: Range<usize>,
    width: usize,
    /// From one column to the next.
    stride: isize,
    /// `LANES` rows of partial results.
    lanes: &'a mut [S::Seen],
    /// A row of halves as it is combined.
    row: &'a mut [S::Seen],
    /// A row that had to be gathered.
    gathered: &'a mut [S],
    /// Rows of the pairwise tree, as in `Tree`.
    stack: &'a mut [S::Seen],
    fold: std::marker::PhantomData<F>,
}

impl<'a, S: Source, F: Fold<S::Seen>> Work for Tile<'a, S, F> {
    type Output = &'a [S::Seen];
    #[inline(always)]
    fn run(mut self) -> &'a [S::Seen] {
        let mut depth = 0;
        let mut start = self.rows.start;
        let (mut count, end) = (0usize, self.rows.end);
        while start < end {
            let len = BLOCK.min(end - start);
            self.block(start, len);
            let mut carry = count;
            while carry & 1 == 1 {
                depth -= 1;
                combine_rows::<S::Seen, F>(
                    &self.stack[depth * self.width..][..self.width],
                    &mut self.lanes[..self.width],
                );
                carry >>= 1;
            }
            self.stack[depth * self.width..][..self.width].copy_from_slice(&self.lanes[..self.width]);
            (depth, count, start) = (depth + 1, count + 1, start + len);
        }
        let (head, top) = self.stack.split_at_mut((depth - 1) * self.width);
        let top = &mut top[..self.width];
        for below in head.chunks_exact(self.width).rev() {
            combine_rows::<S::Seen, F>(below, top);
        }
        top
    }
}

/// `into = combine(first, into)`, column by column.
#[inline(always)]
fn combine_rows<T: Num, F: Fold<T>>(first: &[T], into: &mut [T]) {
    let first = &first[..into.len()];
    for i in 0..into.len() {
        into[i] = F::combine(first[i], into[i]);
    }
}

/// `into = combine(into, second)`, column by column.
#[inline(always)]
pub(super) fn append_row<T: Num, F: Fold<T>>(into: &mut [T], second: &[T]) {
    let second = &second[..into.len()];
    for i in 0..into.len() {
        into[i] = F::combine(into[i], second[i]);
    }
}

/// Row `index` of a block goes to its lane; lanes are as long as the row.
#[inline(always)]
pub(super) fn append_to_lane<T: Num, F: Fold<T>>(lanes: &mut [T], index: usize, row: &[T]) {
    let into = &mut lanes[index % LANES * row.len()..][..row.len()];
    if index < LANES {
        into.copy_from_slice(row);
    } else {
        append_row::<T, F>(into, row);
    }
}

/// Leaves the combination of the first `filled` lanes, pairwise, in the first.
#[inline(always)]
pub(super) fn combine_lanes<T: Num, F: Fold<T>>(lanes: &mut [T], width: usize, filled: usize) {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half.min(filled.saturating_sub(half)) {
            let (a, b) = lanes.split_at_mut((i + half) * width);
            append_row::<T, F>(&mut a[i * width..][..width], &b[..width]);
        }
        half /= 2;
    }
}

impl<S: Source, F: Fold<S::Seen>> Tile<'_, S, F> {
    /// Leaves the result of rows `start..start + len` in the first lane.
    #[inline(always)]
    fn block(&mut self, start: usize, len: usize) {
        let width = self.width;
        let x = self.x;
        let (size, step) = self.sequence.inner();
        let mut walk = Walk::at(self.sequence.outer(), start / size);
        let mut inner = start % size;
        if self.stride == 1
            && inner + len <= size
            && let Some(lanes) = Lanes::of(S::Seen::DTYPE, F::OP)
            && let Some(x) = S::place(x)
        {
            // SAFETY: row `start` of the tile lies in the array, and those after it are `step` apart.
            unsafe { self.block_by_lanes(x.offset(walk.offset + inner as isize * step), step, len, lanes) };
            return combine_lanes::<S::Seen, F>(self.lanes, width, len.min(LANES));
        }
        for index in 0..len {
            // SAFETY: row `start + index` of the tile lies in the array.
            let first = unsafe { x.offset(walk.offset + inner as isize * step) };
            let row = if self.stride == 1 {
                // The next rows lie far away: the processor does not foresee them.
                ask_for(first.wrapping_offset(AHEAD * step), width);
                // SAFETY: as above, and its columns lie side by side.
                unsafe { std::slice::from_raw_parts(first, width) }
            } else {
                let layout = Layout::new([(width, self.stride)]);
                // SAFETY: as above; `row` has room for all columns.
                unsafe { gather(first.cast(), S::DTYPE, &layout, 0, width, self.gathered.as_mut_ptr().cast()) };
                &*self.gathered
            };
            append_to_lane::<S::Seen, F>(self.lanes, index, S::see(row, self.row));
            inner += 1;
            if inner == size {
                inner = 0;
                walk.advance(self.sequence.outer());
            }
        }
        combine_lanes::<S::Seen, F>(self.lanes, width, len.min(LANES));
    }

    /// Fills the lanes from `len` rows that are `step` apart, lane after lane: what a lane holds stays in registers.
    ///
    /// # Safety
    /// The rows must be readable.
    #[inline(always)]
    unsafe fn block_by_lanes(&mut self, first: *const S::Seen, step: isize, len: usize, lanes: Lanes) {
        let pitch = LANES as isize * step;
        for (lane, out) in self.lanes.chunks_exact_mut(self.width).enumerate().take(len) {
            let (x, rows) = (first.wrapping_offset(lane as isize * step), (len - lane).div_ceil(LANES));
            let next =
                if lane + 1 < LANES { x.wrapping_offset(step) } else { first.wrapping_offset(BLOCK as isize * step) };
            // SAFETY: the caller's promise; a lane is as long as a row.
            unsafe {
                let bytes = pitch * size_of::<S::Seen>() as isize;
                let to = out.as_mut_ptr().cast();
                let done = (lanes.down)(x.cast(), bytes, rows, to, out.len(), next.cast());
                for (column, out) in out.iter_mut().enumerate().skip(done) {
                    let at = |row: usize| *x.offset(row as isize * pitch + column as isize);
                    *out = (1..rows).fold(at(0), |acc, row| F::combine(acc, at(row)));
                }
            }
        }
    }
}
