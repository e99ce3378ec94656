//! Products of a few rows (or, seen the other way, of a few columns): every element of the large factor is used once or
//! twice, so it is streamed from where it lies.

use std::ops::Range;

use super::Factor;
use super::tile::{CHAINS, Tiled};
use crate::isa::{Work, dispatch};
use crate::{Array, threads};

/// Rows up to which the large factor is streamed.
const ROWS: usize = 4;
/// Below this size of the large factor, in bytes, other ways are as good.
const LARGE: usize = 1 << 16;
/// Columns per piece of work, when rows are contiguous: their sums stay in the first-level cache.
const WIDE: usize = 1024;
/// Columns per piece of work, when columns are contiguous.
const TALL: usize = 64;

/// Computes `a @ b` into the fresh `out` if it is such a product, else does nothing and returns false.
pub(super) fn product<T: Tiled>(a: &Array, b: &Array, out: &Array) -> bool {
    let (left, right, result) = (Factor::<T>::of(a), Factor::<T>::of(b), Factor::<T>::of(out));
    let [batch, m, k, n] = [a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]];
    let streams = |rows: usize, large: usize| rows <= ROWS && large * size_of::<T>() >= LARGE;
    if streams(m, k * n) {
        stream(left, right, result, [batch, m, k, n])
    } else if streams(n, m * k) {
        stream(right.turned(), left.turned(), result.turned(), [batch, n, k, m])
    } else {
        false
    }
}

impl<T> Factor<T> {
    fn turned(self) -> Factor<T> {
        Factor { rows: self.columns, columns: self.rows, ..self }
    }
}

/// `m` rows times a large matrix, if its rows or its columns are contiguous.
fn stream<T: Tiled>(a: Factor<T>, b: Factor<T>, out: Factor<T>, [batch, m, k, n]: [usize; 4]) -> bool {
    let in_rows = b.columns == 1 && n >= 16;
    if !in_rows && b.rows != 1 {
        return false;
    }
    let width = if in_rows { WIDE } else { TALL };
    let pieces = n.div_ceil(width);
    threads::for_each(batch * pieces, batch * m * n * k, |i| {
        let (batch, start) = (i / pieces, i % pieces * width);
        let columns = start..(start + width).min(n);
        for row in 0..m {
            let part = Part { a: a.at(batch, row, 0), a_step: a.columns, b: &b, batch, k, columns: columns.clone() };
            let mut sums = [T::ZERO; WIDE];
            let sums = &mut sums[..columns.len()];
            if in_rows {
                dispatch(Axpy(part, &mut *sums))
            } else {
                dispatch(Dots(part, &mut *sums))
            }
            // SAFETY: these elements of the fresh output belong to this piece.
            sums.iter().zip(columns.clone()).for_each(|(&s, c)| unsafe { *out.at(batch, row, c) = s });
        }
    });
    true
}

/// One row times some columns.
struct Part<'a, T> {
    a: *const T,
    a_step: isize,
    b: &'a Factor<T>,
    batch: usize,
    k: usize,
    columns: Range<usize>,
}

/// Adds row after row of `b`, four at a time, to the sums.
struct Axpy<'a, T>(Part<'a, T>, &'a mut [T]);

impl<T: Tiled> Work for Axpy<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (part, sums) = (self.0, self.1);
        let n = sums.len();
        // SAFETY: the rows lie in `b`, whose rows are contiguous; `a` has `k` elements.
        let row = |depth: usize| unsafe {
            let right = part.b.at(part.batch, depth, part.columns.start);
            (*part.a.offset(depth as isize * part.a_step), std::slice::from_raw_parts(right, n))
        };
        let mut depth = 0;
        while depth + 4 <= part.k {
            let [(x0, y0), (x1, y1), (x2, y2), (x3, y3)] = [row(depth), row(depth + 1), row(depth + 2), row(depth + 3)];
            for j in 0..n {
                sums[j] = x3.mul_add(y3[j], x2.mul_add(y2[j], x1.mul_add(y1[j], x0.mul_add(y0[j], sums[j]))));
            }
            depth += 4;
        }
        while depth < part.k {
            let (x, y) = row(depth);
            for j in 0..n {
                sums[j] = x.mul_add(y[j], sums[j]);
            }
            depth += 1;
        }
    }
}

/// Runs down several contiguous columns of `b` side by side.
struct Dots<'a, T>(Part<'a, T>, &'a mut [T]);

impl<T: Tiled> Work for Dots<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (part, sums) = (self.0, self.1);
        let wide = T::columns();
        for (first, sums) in part.columns.clone().step_by(CHAINS).zip(sums.chunks_mut(CHAINS)) {
            // A short group repeats its last column.
            let columns: [*const T; CHAINS] =
                std::array::from_fn(|i| part.b.at(part.batch, 0, first + i.min(sums.len() - 1)).cast_const());
            let mut acc = [T::ZERO; CHAINS];
            // SAFETY: the elements lie in `a` and `b`, whose columns are contiguous; `wide` fits the processor.
            unsafe {
                let done = wide.map_or(0, |run| run(&columns, part.a, part.a_step, part.k, &mut acc));
                for depth in done..part.k {
                    let x = *part.a.offset(depth as isize * part.a_step);
                    for i in 0..CHAINS {
                        acc[i] = x.mul_add(*columns[i].add(depth), acc[i]);
                    }
                }
            }
            sums.copy_from_slice(&acc[..sums.len()]);
        }
    }
}
