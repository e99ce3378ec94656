//! Weights times windows: a matrix product whose right factor is never there as a whole.

use std::ops::Range;

use smallvec::SmallVec;

use super::direct;
use super::planes::{SLACK, copy_run};
use super::scattered::{self, PIECES, Scatter, Scattered};
use crate::isa::{Work, dispatch};
use crate::kernels::layout::{Layout, Shared};
use crate::kernels::matmul::{Chains, Kernel, Tile};
use crate::math::Num;
use crate::{Array, Shape, threads};

/// Steps along the depth at a time: a panel of them and a register tile's rows fit the first-level cache.
const DEPTH: usize = 320;
/// Register tiles of rows that are worth a copy of the windows.
const LEAST: usize = 4;
/// Bytes of weights that stay in the second-level cache from one panel to the next.
const CACHED: usize = 1 << 18;
/// Panels that are computed together where weights do not: as many as stay there instead.
const TOGETHER: usize = 8;
/// Register tiles of rows whose weights for the steps of a panel stay there beside them.
const TILES: usize = 22;
/// Steps of weights that are laid out together.
const STEPS: usize = 64;
/// Up to this many register tiles of columns, weights are read where they lie: a copy would be read too seldom to pay.
const SELDOM: usize = 32;
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
    #[inline]
    fn pieces(&self, planes: *const T, runs: &[Run], width: usize) -> Option<[*const T; PIECES]> {
        let size = self.wide / PIECES;
        let whole = runs.iter().all(|run| run.len.is_multiple_of(size)) && self.layout.inner().1 == 1;
        if width < self.wide || !whole {
            return None;
        }
        let mut starts = runs.iter().flat_map(|run| (0..run.len).step_by(size).map(|i| run.from + i as isize));
        Some(std::array::from_fn(|_| planes.wrapping_offset(starts.next().expect("a whole tile has all pieces"))))
    }

    /// The runs cut where a register tile is full: their parts, and which of them make up a tile; the last may be narrower.
    #[inline]
    fn cut(&self, runs: &[Run]) -> (SmallVec<[Run; 64]>, SmallVec<[Range<usize>; 64]>) {
        let (stride, mut parts, mut panels) = (self.layout.inner().1, SmallVec::new(), SmallVec::new());
        let (mut first, mut width) = (0, 0);
        for run in runs {
            let mut taken = 0;
            while taken < run.len {
                let len = (run.len - taken).min(self.wide - width);
                parts.push(Run { from: run.from + taken as isize * stride, to: run.to + taken, len });
                (width, taken) = (width + len, taken + len);
                if width == self.wide {
                    panels.push(first..parts.len());
                    (first, width) = (parts.len(), 0);
                }
            }
        }
        if width > 0 {
            panels.push(first..parts.len());
        }
        (parts, panels)
    }

    /// # Safety
    /// As [`run`](Self::run).
    unsafe fn panels(&self, group: usize, planes: *const T, rows: Range<usize>, runs: &[Run], place: &Place<T>) {
        let (parts, panels) = self.cut(runs);
        let (wide, depth) = (self.wide, self.offsets.len());
        let steps = depth.div_ceil(depth.div_ceil(DEPTH));
        let stay = rows.len() * depth * size_of::<T>() <= CACHED;
        let most = if stay { 1 } else { TOGETHER.min(panels.len()) };
        // Results of several examples are not side by side: they are computed aside.
        let asides = panels.iter().filter(|panel| !side_by_side(&parts[(*panel).clone()])).count().min(most);
        let room = Array::uninit(Shape::from([(steps * most + rows.len() * asides) * wide + SLACK]), T::DTYPE);
        let packed = room.ptr::<T>().cast_mut();
        let aside = packed.wrapping_add(steps * most * wide + SLACK);
        let packer = T::packer().filter(|_| self.layout.inner().1 == 1);
        // Somebody may have set another instruction set since the tile was chosen.
        let fits = self.wide == Scattered::<T>::WIDE && rows.len() <= SHARED * self.tall && !self.in_place;
        let direct = fits.then(T::scattered);
        let mut columns: SmallVec<[Columns<T>; TOGETHER]> = SmallVec::new();
        for panels in panels.chunks(most) {
            let mut taken = 0;
            columns.clear();
            for (i, panel) in panels.iter().enumerate() {
                let runs = &parts[panel.clone()];
                let width = runs.iter().map(|run| run.len).sum();
                let (out, out_row) = if side_by_side(runs) {
                    (place.ptr.wrapping_add(rows.start * place.row + runs[0].to), place.row)
                } else {
                    taken += 1;
                    (aside.wrapping_add((taken - 1) * rows.len() * wide), wide)
                };
                let run = direct.zip(self.pieces(planes, runs, width));
                columns.push(Columns { runs, width, packed: packed.wrapping_add(i * steps * wide), run, out, out_row });
            }
            for steps in threads::chunks(depth, steps) {
                // Each may write beyond its end, into what the next one overwrites.
                for columns in columns.iter().filter(|columns| columns.run.is_none()) {
                    let (from, stride) = (planes, self.layout.inner().1);
                    let (offsets, runs) = (&self.offsets[steps.clone()], columns.runs);
                    let pack = Pack { from, stride, offsets, runs, to: columns.packed, row: wide };
                    match packer {
                        // SAFETY: the caller's promise; panels are a whole number of registers wide.
                        Some(run) => unsafe { run(&pack) },
                        None => dispatch(pack),
                    }
                }
                for block in threads::chunks(rows.len(), TILES * self.tall) {
                    for columns in &columns {
                        for row in block.clone().step_by(self.tall) {
                            // SAFETY: the panels are filled for these steps; the results are the caller's promise.
                            unsafe { self.product(group, rows.start, row, steps.clone(), columns) };
                        }
                    }
                }
            }
            for columns in columns.iter().filter(|columns| !side_by_side(columns.runs)) {
                for i in 0..rows.len() {
                    let (mut from, row) = (columns.out.wrapping_add(i * wide).cast_const(), rows.start + i);
                    for run in columns.runs {
                        // SAFETY: the runs are as long together as the panel is wide; the results are the caller's promise.
                        unsafe { copy_run(from, place.ptr.add(row * place.row + run.to), run.len) };
                        from = from.wrapping_add(run.len);
                    }
                }
            }
        }
    }

    /// One register tile, from row `first + row` on; `columns` begin with the results of row `first`.
    ///
    /// # Safety
    /// As [`run`](Self::run); the columns must be packed for these steps.
    unsafe fn product(&self, group: usize, first: usize, row: usize, steps: Range<usize>, columns: &Columns<T>) {
        let (a, rows, [a_row, a_depth]) = self.tile(group, first + row, steps.start);
        let (out, out_row) = (columns.out.wrapping_add(row * columns.out_row), columns.out_row);
        let (fresh, depth) = (steps.start == 0, steps.len());
        // SAFETY: weights and windows hold these rows and steps; the results are the caller's promise.
        unsafe {
            if let Some((run, pieces)) = columns.run {
                let offsets = &self.offsets[steps];
                return run(&Scattered { a, a_depth, rows, pieces, offsets, out, out_row, fresh });
            }
            (self.kernel.run)(&Tile {
                a,
                a_row: a_row as isize,
                a_depth: a_depth as isize,
                b: columns.packed,
                b_depth: self.wide as isize,
                out,
                out_row: out_row as isize,
                rows,
                columns: columns.width,
                depth,
                chains: if fresh { Chains::Fresh } else { Chains::Continued },
            });
        }
    }
}

/// True if the results of all runs lie side by side.
fn side_by_side(runs: &[Run]) -> bool {
    runs.windows(2).all(|pair| pair[1].to == pair[0].to + pair[0].len)
}

/// As many positions as a register tile has columns, or fewer.
struct Columns<'a, T> {
    runs: &'a [Run],
    width: usize,
    /// Where its windows are copied to, unless `run` reads them where they lie.
    packed: *mut T,
    run: Option<(scattered::Run<T>, [*const T; PIECES])>,
    /// The result of the first row, and the stride from row to row.
    out: *mut T,
    out_row: usize,
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
    let chunks = depth.div_ceil(STEPS);
    threads::for_each(groups * chunks, groups * rows * depth, |i| {
        let (group, first) = (i / chunks, i % chunks * STEPS);
        let steps = &steps[first..depth.min(first + STEPS)];
        // What is read are pieces that a row's steps have in common; what is written stays in the first-level cache.
        for row in (0..tiles).map(|tile| tile * tall) {
            let high = tall.min(rows - row);
            let at = (group * rows + row) * depth + first * high;
            // SAFETY: these elements lie in the fresh array, in a part that only this call writes.
            let tile = unsafe { std::slice::from_raw_parts_mut(to.get().add(at), high * steps.len()) };
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
