//! Folds whose elements come tile by tile, while other work is done on them: of everything to one element, of rows to
//! one row, or of rows that belong to channels in turn to one element for each channel. Blocks are those of [`reduce`](super::reduce), and so are the bits.

use super::columns::{append_row, append_to_lane, combine_lanes};
use super::fold::{Fold, block, blocks};
use super::lanes::Lanes;
use super::{BLOCK, LANES, Max, Min, Prod, Reduction, Sum, with_fold};
use crate::isa::{Work, dispatch};
use crate::math::Num;
use crate::{Array, DType, Element, Shape};

/// A fold of elements that come in pieces of known size, each in order, the pieces in any order and from any thread.
pub(in crate::kernels) struct Partial {
    op: Reduction,
    dtype: DType,
    /// The length of the rows that are folded into one; 0 if rows become elements.
    row: usize,
    /// Elements of the result, if rows become elements; their rows have this length.
    channels: usize,
    line: usize,
    /// Blocks per piece, of each channel.
    piece: usize,
    /// The results of all blocks, one after another, channel by channel.
    blocks: Array,
}

/// What a piece knows while it runs; followed by the lanes of its block, or by the elements of one that is not yet full.
#[repr(C, align(64))]
struct State {
    /// Rows or elements seen of the current block.
    seen: usize,
    /// The number of the current block.
    block: usize,
}

impl Partial {
    /// The number of rows of a piece of a fold of rows; the last piece may have less.
    pub const ROWS: usize = BLOCK;

    /// The least number of rows of this length that fill whole blocks of elements.
    pub fn rows_per_block(row: usize) -> usize {
        BLOCK >> Ord::min(row.trailing_zeros(), BLOCK.trailing_zeros())
    }

    /// A fold of so many rows of `row` elements.
    pub fn rows(op: Reduction, dtype: DType, row: usize, rows: usize) -> Partial {
        let blocks = Array::uninit(Shape::from([rows.div_ceil(BLOCK), row]), dtype);
        Partial { op, dtype, row, channels: 1, line: row, piece: 1, blocks }
    }

    /// A fold of so many elements, which come in pieces of `piece`: whole blocks, but for the last.
    pub fn total(op: Reduction, dtype: DType, elements: usize, piece: usize) -> Partial {
        Partial::channels(op, dtype, [elements, 1, 1], piece)
    }

    /// A fold over the first and the last of three axes, which come in pieces of so many steps of the first: whole blocks of
    /// each channel, but for the last piece.
    pub fn channels(op: Reduction, dtype: DType, [outer, channels, line]: [usize; 3], piece: usize) -> Partial {
        let (elements, piece) = (outer * line, piece * line);
        assert!(elements <= piece || piece.is_multiple_of(BLOCK), "pieces are whole blocks");
        let blocks = Array::uninit(Shape::from([channels, elements.div_ceil(BLOCK)]), dtype);
        Partial { op, dtype, row: 0, channels, line, piece: piece.div_ceil(BLOCK), blocks }
    }

    /// Bytes of scratch a piece needs, whole cache lines.
    pub fn state_bytes(&self) -> usize {
        self.channels * self.channel_bytes()
    }

    /// Bytes of scratch of one channel.
    fn channel_bytes(&self) -> usize {
        let elements = if self.row == 0 { BLOCK } else { LANES * self.row };
        size_of::<State>() + (elements * self.dtype.size()).next_multiple_of(align_of::<State>())
    }

    /// The first block of a piece of a channel.
    fn first(&self, channel: usize, piece: usize) -> usize {
        channel * self.blocks.shape()[1] + piece * self.piece
    }

    /// Begins a piece.
    ///
    /// # Safety
    /// `state` must begin a cache line and have room for [`state_bytes`](Self::state_bytes) that nobody else uses.
    pub unsafe fn begin(&self, state: *mut u8, piece: usize) {
        for channel in 0..self.channels {
            let fresh = State { seen: 0, block: self.first(channel, piece) };
            // SAFETY: the caller's promise.
            unsafe { state.add(channel * self.channel_bytes()).cast::<State>().write(fresh) };
        }
    }

    /// Takes the next `count` elements of a piece (whole rows, from row `start` on).
    ///
    /// # Safety
    /// The state must be one that was begun, and the elements readable.
    pub unsafe fn push(&self, state: *mut u8, x: *const u8, count: usize, start: usize) {
        with_fold!(self.dtype, self.op, T, F => {
            // SAFETY: the caller's promise.
            let x = unsafe { std::slice::from_raw_parts(x.cast::<T>(), count) };
            if self.row > 0 {
                // SAFETY: lanes follow the state of the piece; those read were written.
                let (at, lanes) = unsafe {
                    let lanes = state.add(size_of::<State>()).cast::<T>();
                    (&mut *state.cast::<State>(), std::slice::from_raw_parts_mut(lanes, LANES * self.row))
                };
                dispatch(Append::<T, F> { lanes, x, row: self.row, seen: &mut at.seen, fold: Default::default() });
                return;
            }
            let run = if self.channels == 1 { count } else { self.line };
            for (row, x) in x.chunks_exact(run).enumerate() {
                // SAFETY: room for a block follows the state of each channel.
                let (at, pending) = unsafe {
                    let state = state.add((start + row) % self.channels * self.channel_bytes());
                    let pending = state.add(size_of::<State>()).cast::<T>();
                    (&mut *state.cast::<State>(), std::slice::from_raw_parts_mut(pending, BLOCK))
                };
                self.push_elements::<T, F>(at, pending, x);
            }
        });
    }

    fn push_elements<T: Num, F: Fold<T>>(&self, at: &mut State, pending: &mut [T], mut x: &[T]) {
        let results = self.blocks.ptr::<T>().cast_mut();
        let write = |at: &mut State, from: &[T]| {
            let count = from.len() / BLOCK;
            // SAFETY: these blocks are this piece's alone, and lie within the array of all.
            let out = unsafe { std::slice::from_raw_parts_mut(results.add(at.block), count) };
            blocks::<T, F>(from, Lanes::of(T::DTYPE, self.op), out);
            at.block += count;
        };
        if at.seen > 0 {
            let (head, tail) = x.split_at(x.len().min(BLOCK - at.seen));
            pending[at.seen..][..head.len()].copy_from_slice(head);
            (at.seen, x) = (at.seen + head.len(), tail);
            if at.seen < BLOCK {
                return;
            }
            write(at, pending);
        }
        let (whole, rest) = x.split_at(x.len() / BLOCK * BLOCK);
        write(at, whole);
        pending[..rest.len()].copy_from_slice(rest);
        at.seen = rest.len();
    }

    /// Ends a piece.
    ///
    /// # Safety
    /// The state must have been begun for this piece and have taken all its elements.
    pub unsafe fn end(&self, state: *mut u8, piece: usize) {
        with_fold!(self.dtype, self.op, T, F => {
            let results = self.blocks.ptr::<T>().cast_mut();
            for channel in 0..self.channels {
                // SAFETY: the caller's promise; elements follow the state, and results of this piece are its alone.
                unsafe {
                    let state = state.add(channel * self.channel_bytes());
                    let (at, rest) = (&*state.cast::<State>(), state.add(size_of::<State>()).cast::<T>());
                    if self.row > 0 {
                        let lanes = std::slice::from_raw_parts_mut(rest, LANES * self.row);
                        combine_lanes::<T, F>(lanes, self.row, at.seen.min(LANES));
                        results.add(piece * self.row).copy_from_nonoverlapping(rest, self.row);
                        return;
                    }
                    let mut end = at.block;
                    if at.seen > 0 {
                        let last = std::slice::from_raw_parts(rest, at.seen);
                        *results.add(end) = block::<T, F>(last, Lanes::of(T::DTYPE, self.op));
                        end += 1;
                    }
                    if self.piece.is_power_of_two() {
                        let first = self.first(channel, piece);
                        let own = std::slice::from_raw_parts_mut(results.add(first), end - first);
                        pairwise::<T, F>(own, 1, 1);
                    }
                }
            }
        });
    }

    /// Writes the result, once all pieces have ended; `out` is fresh and contiguous.
    pub fn finish(self, out: &Array) {
        with_fold!(self.dtype, self.op, T, F => {
            // SAFETY: the blocks are this fold's own, and so is the fresh output.
            let (blocks, out) = unsafe {
                let blocks = std::slice::from_raw_parts_mut(self.blocks.ptr::<T>().cast_mut(), self.blocks.size());
                (blocks, std::slice::from_raw_parts_mut(out.ptr::<T>().cast_mut(), out.size()))
            };
            if self.row > 0 {
                pairwise::<T, F>(blocks, self.row, 1);
                return out.copy_from_slice(&blocks[..out.len()]);
            }
            let combined = if self.piece.is_power_of_two() { self.piece } else { 1 };
            for (blocks, out) in blocks.chunks_exact_mut(self.blocks.shape()[1]).zip(out) {
                pairwise::<T, F>(blocks, 1, combined);
                *out = blocks[0];
            }
        });
    }
}

/// Combines runs of `width` elements pairwise into the first, as a binary counter does; those at multiples of `from` (a
/// power of two) already stand for all up to the next.
fn pairwise<T: Num, F: Fold<T>>(runs: &mut [T], width: usize, from: usize) {
    let count = runs.len() / width;
    let mut step = from;
    while step < count {
        for i in (0..count - step).step_by(2 * step) {
            let (a, b) = runs.split_at_mut((i + step) * width);
            append_row::<T, F>(&mut a[i * width..][..width], &b[..width]);
        }
        step *= 2;
    }
}

/// Appends rows to the lanes of a block.
struct Append<'a, T, F> {
    lanes: &'a mut [T],
    x: &'a [T],
    row: usize,
    seen: &'a mut usize,
    fold: std::marker::PhantomData<F>,
}

impl<T: Num, F: Fold<T>> Work for Append<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for row in self.x.chunks_exact(self.row) {
            append_to_lane::<T, F>(self.lanes, *self.seen, row);
            *self.seen += 1;
        }
    }
}
