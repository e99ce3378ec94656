//! Products of integers, which wrap: any order of additions gives the same.

use std::ops::Range;

use super::Factor;
use crate::isa::{Work, dispatch};
use crate::math::Num;
use crate::{Array, Shape, threads};

/// Rows and columns of a tile, whose sums stay in registers; the second columns are for what whole tiles leave.
const ROWS: usize = 4;
const COLUMNS: [usize; 2] = [32, 8];
/// Multiply-adds per piece of work, about.
const WORK: usize = 1 << 16;

/// `a @ b`, batched.
pub(super) fn product<T: Num>(a: &Array, b: &Array) -> Array {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let (fa, dense) = (Factor::<T>::of(a), b.contiguous());
    let (fb, out) = (Factor::<T>::of(&dense), Array::uninit(Shape::from([batch, m, n]), a.dtype()));
    let fo = Factor::<T>::of(&out);
    let rows = (WORK / (k * n).max(1)).clamp(1, m.max(1)).next_multiple_of(ROWS);
    let pieces = m.div_ceil(rows);
    threads::for_each(batch * pieces, batch * m * k * n, |i| {
        let (batch, first) = (i / pieces, i % pieces * rows);
        for row in (first..(first + rows).min(m)).step_by(ROWS) {
            let rows = row..(row + ROWS).min(m);
            dispatch(Rows { a: &fa, b: &fb, out: &fo, batch, rows, depth: k, n });
        }
    });
    out
}

/// Up to [`ROWS`] rows of a product; the rows of the right factor and of the fresh output are contiguous.
struct Rows<'a, T> {
    a: &'a Factor<T>,
    b: &'a Factor<T>,
    out: &'a Factor<T>,
    batch: usize,
    rows: Range<usize>,
    depth: usize,
    n: usize,
}

impl<T: Num> Work for Rows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let mut column = 0;
        while column + COLUMNS[0] <= self.n {
            self.tile::<{ COLUMNS[0] }>(column);
            column += COLUMNS[0];
        }
        while column + COLUMNS[1] <= self.n {
            self.tile::<{ COLUMNS[1] }>(column);
            column += COLUMNS[1];
        }
        (column..self.n).for_each(|column| self.tile::<1>(column));
    }
}

impl<T: Num> Rows<'_, T> {
    #[inline(always)]
    fn tile<const WIDE: usize>(&self, column: usize) {
        let mut sums = [[T::ZERO; WIDE]; ROWS];
        // A short group repeats its last row.
        let row = |i: usize| (self.rows.start + i).min(self.rows.end - 1);
        let rows: [*const T; ROWS] = std::array::from_fn(|i| self.a.at(self.batch, row(i), 0).cast_const());
        for depth in 0..self.depth {
            // SAFETY: the elements lie in the factors.
            unsafe {
                let right = self.b.at(self.batch, depth, column).cast::<[T; WIDE]>().read();
                for (sums, row) in sums.iter_mut().zip(&rows) {
                    let left = *row.offset(depth as isize * self.a.columns);
                    sums.iter_mut().zip(&right).for_each(|(s, &y)| *s = Num::add(*s, Num::mul(left, y)));
                }
            }
        }
        for (i, sums) in sums.iter().enumerate().take(self.rows.len()) {
            // SAFETY: these elements of the fresh output belong to this call.
            unsafe { self.out.at(self.batch, row(i), column).cast::<[T; WIDE]>().write(*sums) };
        }
    }
}
