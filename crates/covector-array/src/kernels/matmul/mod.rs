//! Products of matrices, batched.
//!
//! Every element of a result is one chain of fused multiply-adds along the shared axis, in order, from zero. So the bits
//! depend neither on the number of threads nor on the instruction set, the layout or the sizes of the other axes, and a
//! product of one row has the bits of that row in a product of many.
//!
//! The right factor is copied into panels as wide as a register tile ([`right`]) unless it is read too seldom to pay for
//! that; the left factor is read where it lies. Work is cut by rows, then by columns ([`tile`]: the innermost loops;
//! [`thin`]: products of a few rows, which stream the right factor once).

mod right;
mod thin;
pub(super) mod tile;

use std::ops::Range;

use smallvec::SmallVec;

use super::cast;
use super::layout::Shared;
use crate::isa::{Work, dispatch};
use crate::math::Num;
use crate::{Array, DType, Element, Shape, threads};
use right::Right;
use tile::{Kernel, Tile, Tiled};

/// `[b, m, k] @ [b, k, n] -> [b, m, n]`, any strides (a batch stride may be 0).
///
/// f16 and bf16 are multiplied and summed in f32; integers wrap. A sum of no products is 0.
///
/// # Panics
/// If the operands are not 3-d arrays of the same numeric dtype with fitting shapes.
pub fn matmul(a: &Array, b: &Array) -> Array {
    let (sa, sb) = (a.shape(), b.shape());
    assert!(
        sa.len() == 3 && sb.len() == 3 && sa[0] == sb[0] && sa[2] == sb[1],
        "no batched matrix product {sa} @ {sb}"
    );
    assert_eq!(a.dtype(), b.dtype(), "a matrix product needs one dtype");
    match a.dtype() {
        DType::F32 => floats::<f32>(a, b),
        DType::F64 => floats::<f64>(a, b),
        half @ (DType::F16 | DType::BF16) => cast(&matmul(&cast(a, DType::F32), &cast(b, DType::F32)), half),
        DType::Bool => panic!("no matrix product of bool: cast first"),
        // Wrapping products do not depend on the sign.
        DType::U8 | DType::I8 => integers::<u8>(a, b),
        DType::U16 | DType::I16 => integers::<u16>(a, b),
        DType::U32 | DType::I32 => integers::<u32>(a, b),
        DType::U64 | DType::I64 => integers::<u64>(a, b),
    }
}

/// A matrix of a batch: pointer to the first element and strides in elements.
#[derive(Clone, Copy)]
struct Factor<T> {
    ptr: Shared<T>,
    batch: isize,
    rows: isize,
    columns: isize,
}

impl<T: Element> Factor<T> {
    fn of(x: &Array) -> Factor<T> {
        let s = x.strides();
        Factor { ptr: Shared(x.ptr::<T>().cast_mut()), batch: s[0], rows: s[1], columns: s[2] }
    }

    /// The address of element `[batch, row, column]`.
    fn at(&self, batch: usize, row: usize, column: usize) -> *mut T {
        let offset = batch as isize * self.batch + row as isize * self.rows + column as isize * self.columns;
        self.ptr.get().wrapping_offset(offset)
    }
}

/// Multiply-adds per piece of parallel work, at least.
const WORK: usize = 1 << 20;
/// Pieces the whole is cut into at most, unless rows are many.
const PIECES: usize = 16;
/// Register tiles of rows that share a panel while it is in the first-level cache: their part of the left factor stays in
/// the second-level cache.
const TALL: usize = 16;
/// Steps along the depth before the next rows come: a panel of them fits the first-level cache.
const DEPTH: usize = 384;
/// Up to this depth results are written row by row rather than panel by panel.
const SHALLOW: usize = 16;
/// Columns from which on a piece copies its part of the left factor.
const PACKED: usize = 512;

/// A batch of products of matrices that are neither empty nor without depth.
struct Job<T> {
    kernel: Kernel<T>,
    a: Factor<T>,
    b: Right<T>,
    out: Factor<T>,
    k: usize,
}

fn floats<T: Tiled>(a: &Array, b: &Array) -> Array {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let out = Array::uninit(Shape::from([batch, m, n]), T::DTYPE);
    if out.size() == 0 || k == 0 {
        return if out.size() == 0 { out } else { Array::full([batch, m, n], 0.0, T::DTYPE).contiguous() };
    }
    if thin::product::<T>(a, b, &out) {
        return out;
    }
    let kernel = T::kernel();
    let job = Job { kernel, a: Factor::of(a), b: Right::of(b, m, kernel), out: Factor::of(&out), k };
    let cost = m * n * k;
    // Pieces of one product: as many rows as the caches bear, and columns so that there is enough for every thread.
    let pieces = (batch * cost / WORK).clamp(1, PIECES).div_ceil(batch);
    let tall = m.div_ceil(m.div_ceil(TALL * kernel.rows)).next_multiple_of(kernel.rows);
    let rows: SmallVec<[Range<usize>; 16]> = threads::chunks(m, tall).collect();
    let wide = n.div_ceil(pieces.div_ceil(rows.len())).next_multiple_of(kernel.columns);
    let columns: SmallVec<[Range<usize>; 16]> = threads::chunks(n, wide).collect();
    let pieces = rows.len() * columns.len();
    let group = (WORK * pieces / cost).clamp(1, batch * pieces);
    threads::for_each((batch * pieces).div_ceil(group), batch * cost, |i| {
        for i in i * group..(i * group + group).min(batch * pieces) {
            let (batch, piece) = (i / pieces, i % pieces);
            job.piece(batch, rows[piece / columns.len()].clone(), columns[piece % columns.len()].clone());
        }
    });
    out
}

impl<T: Tiled> Job<T> {
    /// Writes these rows and columns (from a panel's first on) of one product.
    fn piece(&self, batch: usize, rows: Range<usize>, columns: Range<usize>) {
        let [tall, wide] = [self.kernel.rows, self.kernel.columns];
        // Many columns pay for a copy of the left factor in the order in which it is read.
        let copy = || Array::uninit(Shape::from([rows.len().next_multiple_of(tall), DEPTH.min(self.k)]), T::DTYPE);
        let packed = (columns.len() >= PACKED && self.k > SHALLOW).then(copy);
        for depth in threads::chunks(self.k, DEPTH) {
            if let Some(packed) = &packed {
                self.pack(batch, rows.clone(), depth.clone(), packed);
            }
            let tile = |row: usize, column: usize| {
                let panel = self.b.panel(batch, column, depth.start);
                let (a, a_row, a_depth) = match &packed {
                    Some(copy) => {
                        let at = (row - rows.start) * depth.len();
                        (copy.ptr::<T>().wrapping_add(at), 1, tall as isize)
                    }
                    None => (self.a.at(batch, row, depth.start).cast_const(), self.a.rows, self.a.columns),
                };
                let tile = Tile {
                    a,
                    a_row,
                    a_depth,
                    b: panel.ptr,
                    b_depth: panel.depth,
                    out: self.out.at(batch, row, column),
                    out_row: self.out.rows,
                    rows: tall.min(rows.end - row),
                    columns: wide.min(columns.end - column),
                    depth: depth.len(),
                    fresh: depth.start == 0,
                };
                // SAFETY: the tile lies within the three arrays, which are alive; pieces of the output are disjoint; the
                // kernel is the one for this processor.
                unsafe { (self.kernel.run)(&tile) };
            };
            if depth.len() <= SHALLOW {
                // Little is computed per result: write these in the order in which they lie.
                rows.clone().step_by(tall).for_each(|row| columns.clone().step_by(wide).for_each(|c| tile(row, c)));
            } else {
                columns.clone().step_by(wide).for_each(|c| rows.clone().step_by(tall).for_each(|row| tile(row, c)));
            }
        }
    }

    /// Copies a part of the left factor into `to`: one register tile of rows after another, step by step along the depth.
    fn pack(&self, batch: usize, rows: Range<usize>, depth: Range<usize>, to: &Array) {
        let tall = self.kernel.rows;
        for first in rows.clone().step_by(tall) {
            let from = self.a.at(batch, first, depth.start).cast_const();
            let to = to.ptr::<T>().cast_mut().wrapping_add((first - rows.start) * depth.len());
            let strip = Strip { from, a: &self.a, to, rows: tall.min(rows.end - first), depth: depth.len() };
            match tall {
                12 => dispatch(Pack::<T, 12>(strip)),
                6 => dispatch(Pack::<T, 6>(strip)),
                4 => dispatch(Pack::<T, 4>(strip)),
                _ => unreachable!("no register tile has {tall} rows"),
            }
        }
    }
}

/// Rows of the left factor, and where they are to stand side by side.
struct Strip<'a, T> {
    from: *const T,
    a: &'a Factor<T>,
    to: *mut T,
    rows: usize,
    depth: usize,
}

/// Packs strips of up to `TALL` rows.
struct Pack<'a, T, const TALL: usize>(Strip<'a, T>);

impl<T: Tiled, const TALL: usize> Work for Pack<'_, T, TALL> {
    type Output = ();
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // a transpose reads better with both indices
    fn run(self) {
        let s = self.0;
        let mut step = 0;
        // SAFETY: the rows lie in `a`, and the fresh copy has room for whole tiles of this depth.
        unsafe {
            if s.rows == TALL && s.a.rows == 1 {
                for step in 0..s.depth {
                    let from = s.from.offset(step as isize * s.a.columns).cast::<[T; TALL]>();
                    s.to.add(step * TALL).cast::<[T; TALL]>().write_unaligned(from.read_unaligned());
                }
                return;
            }
            while s.rows == TALL && s.a.columns == 1 && step + 16 <= s.depth {
                let mut block = [[T::ZERO; 16]; TALL];
                for row in 0..TALL {
                    block[row] = s.from.offset(row as isize * s.a.rows).add(step).cast::<[T; 16]>().read_unaligned();
                }
                for j in 0..16 {
                    let mut line = [T::ZERO; TALL];
                    for row in 0..TALL {
                        line[row] = block[row][j];
                    }
                    s.to.add((step + j) * TALL).cast::<[T; TALL]>().write_unaligned(line);
                }
                step += 16;
            }
            for step in step..s.depth {
                for row in 0..s.rows {
                    *s.to.add(step * TALL + row) =
                        *s.from.offset(row as isize * s.a.rows + step as isize * s.a.columns);
                }
            }
        }
    }
}

fn integers<T: Num>(a: &Array, b: &Array) -> Array {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let (fa, dense) = (Factor::<T>::of(a), b.contiguous());
    let (fb, out) = (Factor::<T>::of(&dense), Array::uninit(Shape::from([batch, m, n]), a.dtype()));
    let fo = Factor::<T>::of(&out);
    threads::for_each(batch * m, batch * m * k * n, |i| {
        let (batch, row) = (i / m, i % m);
        // SAFETY: the rows of the fresh output are contiguous, and each call writes its own.
        let line = unsafe { std::slice::from_raw_parts_mut(fo.at(batch, row, 0), n) };
        line.fill(T::ZERO);
        for depth in 0..k {
            // SAFETY: the element lies in `a`; rows of the dense `b` are contiguous.
            let (x, right) =
                unsafe { (*fa.at(batch, row, depth), std::slice::from_raw_parts(fb.at(batch, depth, 0), n)) };
            line.iter_mut().zip(right).for_each(|(o, &y)| *o = Num::add(*o, Num::mul(x, y)));
        }
    });
    out
}
