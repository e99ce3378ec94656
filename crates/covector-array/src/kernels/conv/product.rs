//! Weights times windows: a matrix product whose right factor is never there as a whole.

use std::ops::Range;

use smallvec::SmallVec;

use super::direct;
use super::planes::{SLACK, copy_run};
use super::scattered::{PIECES, Scatter, Scattered};
use crate::isa::{Work, dispatch};
use crate::kernels::layout::{Layout, Shared};
use crate::kernels::matmul::{Chains, Kernel, Tile};
use crate::math::Num;
use crate::{Array, Shape, threads};

/// Steps along the depth at a time: a panel of them and a register tile's rows fit the first-level cache.
const DEPTH: usize = 320;
/// Up to this many rows there is too little to do per element of a panel to fill one.
const FEW: usize = 2;

/// Up to this many register tiles of rows, windows are read where they lie: a copy would be read too seldom to pay.
const SHARED: usize = 6;

/// For each group, `out[row, position] = Σ weights[row, d] · planes[offsets[d] + place of the position]`.
pub(super) struct Product<T> {
    kernel: Kernel<T>,
    /// Group by group, a register tile's rows after another, step by step along the depth.
    weights: Array,
    pub rows: usize,
    /// Rows of a register tile.
    tall: usize,
    /// Columns per register tile.
    wide: usize,
    pub offsets: Vec<usize>,
    /// Where the positions of an example lie in the planes.
    layout: Layout,
    positions: usize,
}

/// Where results go: the first element, and the strides over rows and examples; positions are contiguous.
pub(super) struct Place<T> {
    pub ptr: *mut T,
    pub row: usize,
    pub example: usize,
}

/// Positions that lie one after another in the planes (from `from` on) and side by side in the result (from `to` on).
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub from: isize,
    pub to: usize,
    pub len: usize,
}

impl<T: Scatter> Product<T> {
    /// `weight(group, row, d)` are the weights; positions are those of `grid`, `pitch` apart in the planes.
    pub fn new(
        groups: usize,
        rows: usize,
        offsets: Vec<usize>,
        grid: &[usize],
        pitch: &[usize],
        weight: impl Fn(usize, usize, usize) -> T + Sync,
    ) -> Product<T> {
        let (kernel, depth) = (T::kernel(), offsets.len());
        // High tiles of half the columns: weights have many rows, and panels cost a copy for each column.
        let (wide, tall) = (kernel.columns / 2, rows.div_ceil(rows.div_ceil(kernel.tall)));
        let weights = Array::uninit(Shape::from([groups, rows, depth]), T::DTYPE);
        let (to, tiles) = (Shared(weights.ptr::<T>().cast_mut()), rows.div_ceil(tall));
        threads::for_each(groups * tiles, groups * rows * depth, |i| {
            let (group, row) = (i / tiles, i % tiles * tall);
            let (high, first) = (tall.min(rows - row), (group * rows + row) * depth);
            for (d, r) in (0..depth).flat_map(|d| (0..high).map(move |r| (d, r))) {
                // SAFETY: the element lies in the fresh array, in a part that only this call writes.
                unsafe { *to.get().add(first + d * high + r) = weight(group, row + r, d) };
            }
        });
        let layout = Layout::new(grid.iter().zip(pitch).map(|(&size, &pitch)| (size, pitch as isize)));
        Product { kernel, weights, rows, tall, wide, offsets, layout, positions: grid.iter().product() }
    }

    /// The positions of an example.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// The columns of a register tile.
    pub fn wide(&self) -> usize {
        self.wide
    }

    /// The weights of a group from a register tile's first row and a step of the depth on, and the tile's rows.
    pub fn tile(&self, group: usize, row: usize, step: usize) -> (*const T, usize) {
        let (depth, high) = (self.offsets.len(), self.tall.min(self.rows - row));
        (self.weights.ptr::<T>().wrapping_add((group * self.rows + row) * depth + step * high), high)
    }

    /// Computes some columns, which run over the positions of one example after another, `example` apart in the planes.
    ///
    /// # Safety
    /// The planes must be filled for these columns, with [`SLACK`] behind them; the results must be writable, by this
    /// call alone.
    pub unsafe fn run(&self, group: usize, planes: *const T, example: usize, columns: Range<usize>, place: &Place<T>) {
        let mut runs: SmallVec<[Run; 64]> = SmallVec::new();
        let mut at = columns.start;
        while at < columns.end {
            let (e, p) = (at / self.positions, at % self.positions);
            let mut to = e * place.example + p;
            let len = (self.positions - p).min(columns.end - at);
            self.layout.for_runs(p, len, |offset, len| {
                runs.push(Run { from: offset + (e * example) as isize, to, len });
                to += len;
            });
            at += len;
        }
        // SAFETY: the caller's promise.
        unsafe {
            if self.offsets.is_empty() {
                for (row, run) in (0..self.rows).flat_map(|row| runs.iter().map(move |run| (row, run))) {
                    std::slice::from_raw_parts_mut(place.ptr.add(row * place.row + run.to), run.len).fill(T::ZERO);
                }
            } else if self.rows <= FEW && self.layout.inner().1 == 1 {
                direct::run(self, self.tile(group, 0, 0).0, planes, &runs, place);
            } else {
                self.panels(group, planes, &runs, place);
            }
        }
    }

    /// The columns of a whole register tile as four equal pieces, each side by side in the planes.
    fn pieces(&self, planes: *const T, runs: &[Run], width: usize) -> Option<[*const T; PIECES]> {
        let size = self.wide / PIECES;
        let whole = runs.iter().all(|run| run.len.is_multiple_of(size)) && self.layout.inner().1 == 1;
        if width < self.wide || !whole {
            return None;
        }
        let starts = |run: &Run| {
            let from = run.from;
            (0..run.len).step_by(size).map(move |i| planes.wrapping_offset(from + i as isize))
        };
        let pieces: SmallVec<[*const T; PIECES]> = runs.iter().flat_map(starts).collect();
        pieces.as_slice().try_into().ok()
    }

    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn panels(&self, group: usize, planes: *const T, runs: &[Run], place: &Place<T>) {
        let (wide, depth) = (self.wide, self.offsets.len());
        let steps = depth.div_ceil(depth.div_ceil(DEPTH));
        let room = Array::uninit(Shape::from([(steps + self.rows) * wide + SLACK]), T::DTYPE);
        let panel = room.ptr::<T>().cast_mut();
        let aside = panel.wrapping_add(steps * wide + SLACK);
        let stride = self.layout.inner().1;
        let (mut rest, mut taken) = (runs, 0);
        loop {
            // The runs of the next panel, of which the first and the last may be parts.
            let mut parts: SmallVec<[Run; 32]> = SmallVec::new();
            let mut width = 0;
            while let Some(run) = rest.first().filter(|_| width < wide) {
                let len = (run.len - taken).min(wide - width);
                parts.push(Run { from: run.from + taken as isize * stride, to: run.to + taken, len });
                (width, taken) = (width + len, taken + len);
                if taken == run.len {
                    (rest, taken) = (&rest[1..], 0);
                }
            }
            if width == 0 {
                return;
            }
            // Results of several examples are not side by side: they are computed aside.
            let last = parts[parts.len() - 1];
            let together = last.to + last.len == parts[0].to + width;
            let (out, out_row) =
                if together { (place.ptr.wrapping_add(parts[0].to), place.row) } else { (aside, wide) };
            // Somebody may have set another instruction set since the tile was chosen.
            let fits = self.wide == Scattered::<T>::WIDE && self.rows <= SHARED * self.tall;
            let scattered = T::scattered().filter(|_| fits).zip(self.pieces(planes, &parts, width));
            for steps in threads::chunks(depth, steps) {
                let offsets = &self.offsets[steps.clone()];
                if scattered.is_none() {
                    dispatch(Pack { from: planes, stride, offsets, runs: &parts, to: panel, row: wide });
                }
                for row in (0..self.rows).step_by(self.tall) {
                    let (a, rows) = self.tile(group, row, steps.start);
                    let (out, fresh) = (out.wrapping_add(row * out_row), steps.start == 0);
                    let tile = Tile {
                        a,
                        a_row: 1,
                        a_depth: rows as isize,
                        b: panel,
                        b_depth: wide as isize,
                        out,
                        out_row: out_row as isize,
                        rows,
                        columns: width,
                        depth: steps.len(),
                        chains: if fresh { Chains::Fresh } else { Chains::Continued },
                    };
                    // SAFETY: weights and windows hold these rows and steps; the results are the caller's promise.
                    unsafe {
                        match scattered {
                            Some((run, pieces)) => run(&Scattered { a, rows, pieces, offsets, out, out_row, fresh }),
                            None => (self.kernel.run)(&tile),
                        }
                    }
                }
            }
            if !together {
                for row in 0..self.rows {
                    let mut from = aside.wrapping_add(row * wide).cast_const();
                    for run in &parts {
                        // SAFETY: the runs are as long together as the panel is wide; the results are the caller's promise.
                        unsafe { copy_run(from, place.ptr.add(row * place.row + run.to), run.len) };
                        from = from.wrapping_add(run.len);
                    }
                }
            }
        }
    }
}

/// Copies runs of elements side by side, once for every offset.
pub(super) struct Pack<'a, T> {
    pub from: *const T,
    /// Between neighbours of a run.
    pub stride: isize,
    pub offsets: &'a [usize],
    pub runs: &'a [Run],
    pub to: *mut T,
    /// From what one offset gives to what the next one gives.
    pub row: usize,
}

impl<T: Num> Work for Pack<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        match self.runs.iter().map(|run| run.len).max() {
            _ if self.stride != 1 => self.strided(),
            Some(..=8) => self.blocks::<8, true>(),
            Some(..=16) => self.blocks::<16, true>(),
            Some(..=32) => self.blocks::<32, true>(),
            _ => self.blocks::<32, false>(),
        }
    }
}

impl<T: Num> Pack<'_, T> {
    /// What a block copies beyond its run, the next run or row overwrites, or falls into the slack. `ONE`: no run is longer
    /// than a block.
    #[inline(always)]
    fn blocks<const N: usize, const ONE: bool>(&self) {
        for (d, &offset) in self.offsets.iter().enumerate() {
            let mut to = self.to.wrapping_add(d * self.row);
            for run in self.runs {
                let from = self.from.wrapping_offset(offset as isize + run.from);
                for i in (0..if ONE { 1 } else { run.len.div_ceil(N) }).map(|i| i * N) {
                    // SAFETY: the run lies in planes and panel, both of which have slack behind them.
                    unsafe {
                        let block = from.add(i).cast::<[T; N]>().read_unaligned();
                        to.add(i).cast::<[T; N]>().write_unaligned(block);
                    }
                }
                to = to.wrapping_add(run.len);
            }
        }
    }

    #[inline(always)]
    fn strided(&self) {
        for (d, &offset) in self.offsets.iter().enumerate() {
            let mut to = self.to.wrapping_add(d * self.row);
            for run in self.runs {
                let from = self.from.wrapping_offset(offset as isize + run.from);
                for i in 0..run.len {
                    // SAFETY: the run lies in planes and panel.
                    unsafe { *to.add(i) = *from.offset(i as isize * self.stride) };
                }
                to = to.wrapping_add(run.len);
            }
        }
    }
}
