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
/// Register tiles of rows that are worth a copy of the windows.
const LEAST: usize = 4;
/// Steps of weights that are laid out together.
const STEPS: usize = 64;
/// Up to this many register tiles of columns, weights are read where they lie: a copy would be read too seldom to pay.
const SELDOM: usize = 8;
/// Up to this many rows there is too little to do per element of a panel to fill one.
const FEW: usize = 2;

/// Up to this many register tiles of rows, windows are read where they lie: a copy would be read too seldom to pay.
const SHARED: usize = 6;

/// For each group, `out[row, position] = Σ weights[row, d] · planes[offsets[d] + place of the position]`.
pub(super) struct Product<T> {
    kernel: Kernel<T>,
    /// Group by group, a register tile's rows after another, step by step along the depth; or row by row, in place.
    weights: Array,
    in_place: bool,
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

/// What stands for a step along the depth: the place of its window at position 0 in the planes, and of its weight in a row.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub window: usize,
    pub weight: usize,
}

impl<T: Scatter> Product<T> {
    /// The weights of groups and rows begin `strides` apart; positions are those of `grid`, `pitch` apart in the planes, for so
    /// many examples.
    pub fn new(
        [groups, rows, examples]: [usize; 3],
        steps: &[Step],
        (grid, pitch): (&[usize], &[usize]),
        w: &Array,
        strides: [usize; 2],
    ) -> Product<T> {
        let (kernel, depth) = (T::kernel(), steps.len());
        // High tiles of half the columns: weights have many rows, and panels cost a copy for each column.
        let (wide, tall) = (kernel.columns / 2, rows.div_ceil(rows.div_ceil(kernel.tall)));
        let positions = grid.iter().product();
        let as_they_lie =
            strides == [rows * depth, depth] && steps.iter().enumerate().all(|(d, step)| step.weight == d);
        let in_place = as_they_lie && rows > FEW && examples * positions <= SELDOM * wide;
        let weights = if in_place { w.clone() } else { laid_out::<T>([groups, rows, tall], steps, w, strides) };
        let layout = Layout::new(grid.iter().zip(pitch).map(|(&size, &pitch)| (size, pitch as isize)));
        let offsets = steps.iter().map(|step| step.window).collect();
        Product { kernel, weights, in_place, rows, tall, wide, offsets, layout, positions }
    }

    /// The positions of an example.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// The rows cut into so many parts of whole register tiles, or fewer.
    pub fn row_parts(&self, parts: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
        let tiles = self.rows.div_ceil(self.tall);
        threads::chunks(self.rows, tiles.div_ceil(parts.clamp(1, (tiles / LEAST).max(1))) * self.tall)
    }

    /// The columns of a register tile.
    pub fn wide(&self) -> usize {
        self.wide
    }

    /// The weights of a group from a register tile's first row and a step of the depth on, the tile's rows, and from one row and
    /// step to the next.
    pub fn tile(&self, group: usize, row: usize, step: usize) -> (*const T, usize, [usize; 2]) {
        let (depth, high) = (self.offsets.len(), self.tall.min(self.rows - row));
        let strides = if self.in_place { [depth, 1] } else { [1, high] };
        let first = (group * self.rows + row) * depth + step * strides[1];
        (self.weights.ptr::<T>().wrapping_add(first), high, strides)
    }

    /// Computes some rows, from a register tile's first on, of some columns, which run over the positions of one example after
    /// another, `example` apart in the planes.
    ///
    /// # Safety
    /// The planes must be filled for these columns, with [`SLACK`] behind them; the results must be writable, by this
    /// call alone.
    pub unsafe fn run(
        &self,
        group: usize,
        planes: *const T,
        example: usize,
        (rows, columns): (Range<usize>, Range<usize>),
        place: &Place<T>,
    ) {
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
                for (row, run) in rows.flat_map(|row| runs.iter().map(move |run| (row, run))) {
                    std::slice::from_raw_parts_mut(place.ptr.add(row * place.row + run.to), run.len).fill(T::ZERO);
                }
            } else if self.rows <= FEW && self.layout.inner().1 == 1 {
                direct::run(self, self.tile(group, 0, 0).0, planes, &runs, place);
            } else {
                self.panels(group, planes, rows, &runs, place);
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
    unsafe fn panels(&self, group: usize, planes: *const T, rows: Range<usize>, runs: &[Run], place: &Place<T>) {
        let (wide, depth) = (self.wide, self.offsets.len());
        let steps = depth.div_ceil(depth.div_ceil(DEPTH));
        let room = Array::uninit(Shape::from([(steps + rows.len()) * wide + SLACK]), T::DTYPE);
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
            let (out, out_row) = match together {
                true => (place.ptr.wrapping_add(rows.start * place.row + parts[0].to), place.row),
                false => (aside, wide),
            };
            // Somebody may have set another instruction set since the tile was chosen.
            let fits = self.wide == Scattered::<T>::WIDE && rows.len() <= SHARED * self.tall && !self.in_place;
            let scattered = T::scattered().filter(|_| fits).zip(self.pieces(planes, &parts, width));
            for steps in threads::chunks(depth, steps) {
                let offsets = &self.offsets[steps.clone()];
                if scattered.is_none() {
                    dispatch(Pack { from: planes, stride, offsets, runs: &parts, to: panel, row: wide });
                }
                for row in rows.clone().step_by(self.tall) {
                    let (a, high, [a_row, a_depth]) = self.tile(group, row, steps.start);
                    let (out, fresh) = (out.wrapping_add((row - rows.start) * out_row), steps.start == 0);
                    let tile = Tile {
                        a,
                        a_row: a_row as isize,
                        a_depth: a_depth as isize,
                        b: panel,
                        b_depth: wide as isize,
                        out,
                        out_row: out_row as isize,
                        rows: high,
                        columns: width,
                        depth: steps.len(),
                        chains: if fresh { Chains::Fresh } else { Chains::Continued },
                    };
                    // SAFETY: weights and windows hold these rows and steps; the results are the caller's promise.
                    unsafe {
                        match scattered {
                            Some((run, pieces)) => {
                                run(&Scattered { a, rows: high, pieces, offsets, out, out_row, fresh })
                            }
                            None => (self.kernel.run)(&tile),
                        }
                    }
                }
            }
            if !together {
                for row in rows.clone() {
                    let mut from = aside.wrapping_add((row - rows.start) * wide).cast_const();
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

/// The weights, a register tile's rows after another, step by step along the depth.
fn laid_out<T: Scatter>(
    [groups, rows, tall]: [usize; 3],
    steps: &[Step],
    w: &Array,
    [by_group, by_row]: [usize; 2],
) -> Array {
    let depth = steps.len();
    let weights = Array::uninit(Shape::from([groups, rows, depth]), T::DTYPE);
    let (to, tiles) = (Shared(weights.ptr::<T>().cast_mut()), rows.div_ceil(tall));
    let w = w.as_slice::<T>().expect("contiguous");
    threads::for_each(groups * tiles, groups * rows * depth, |i| {
        let (group, row) = (i / tiles, i % tiles * tall);
        let (high, first) = (tall.min(rows - row), (group * rows + row) * depth);
        // SAFETY: these elements lie in the fresh array, in a part that only this call writes.
        let tile = unsafe { std::slice::from_raw_parts_mut(to.get().add(first), high * depth) };
        // Some steps of a row after another: what is read follows one another, what is written stays in the first-level cache.
        for (tile, steps) in tile.chunks_mut(STEPS * high).zip(steps.chunks(STEPS)) {
            for r in 0..high {
                let w = &w[group * by_group + (row + r) * by_row..];
                tile[r..].iter_mut().step_by(high).zip(steps).for_each(|(to, step)| *to = w[step.weight]);
            }
        }
    });
    weights
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
