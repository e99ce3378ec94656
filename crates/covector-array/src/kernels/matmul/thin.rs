//! Products of a few rows (or, seen the other way, of a few columns): every element of the large factor is used once or
//! twice, so it is streamed from where it lies. Products of depth 1 only write; products of one result are computed side by side.

use std::ops::Range;

use super::Factor;
use super::streamed::{CHAINS, STEPS};
use super::tile::Tiled;
use crate::isa::{Work, dispatch};
use crate::{Array, threads};

/// Rows up to which the large factor is streamed.
const ROWS: usize = 4;
/// Below this size of the large factor, in bytes, other ways are as good.
const LARGE: usize = 1 << 16;
/// Contiguous columns from which on their lanes are worth it.
const COLUMNS: usize = 4;
/// Columns per piece of work at least, when rows are contiguous: memory is read fastest in long stretches. The second is for more
/// threads than there would be such pieces.
const NARROW: [usize; 2] = [384, 128];
/// Sums of a piece at most, of all its rows: they stay in the first-level cache.
const WIDE: usize = 4096;
/// Multiply-adds per piece of work, about, while there are no more than so many pieces for each thread.
const WORK: usize = 1 << 17;
const PIECES: usize = 2;
/// Columns per piece of work, when columns are contiguous.
const TALL: usize = 64;
/// Chains from which on they are faster in lanes.
const FEW: usize = 3;

/// Computes `a @ b` into the fresh `out` if it is such a product, else does nothing and returns false.
pub(super) fn product<T: Tiled>(a: &Array, b: &Array, out: &Array, span: usize) -> bool {
    if a.shape()[1] * b.shape()[2] == 1 {
        dots::<T>(a, b, out, span);
        return true;
    }
    let (left, right, result) = (Factor::<T>::of(a), Factor::<T>::of(b), Factor::<T>::of(out));
    let [batch, m, k, n] = [a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]];
    if k == 1 && right.columns == 1 && n >= TALL {
        outer(left, right, result, [batch, m, n]);
        return true;
    }
    if m <= n {
        stream(left, right, result, [batch, m, k, n], span)
    } else {
        stream(right.turned(), left.turned(), result.turned(), [batch, n, k, m], span)
    }
}

impl<T> Factor<T> {
    fn turned(self) -> Factor<T> {
        Factor { rows: self.columns, columns: self.rows, ..self }
    }
}

/// A column times a row, for each of the batch: there is nothing to do but to write, in order.
fn outer<T: Tiled>(a: Factor<T>, b: Factor<T>, out: Factor<T>, [batch, m, n]: [usize; 3]) {
    let rows = (WORK / 4 / n).clamp(1, m);
    let pieces = m.div_ceil(rows);
    threads::for_each(batch * pieces, batch * m * n, |i| {
        let (batch, first) = (i / pieces, i % pieces * rows);
        dispatch(Outer { a: &a, b: &b, out: &out, batch, rows: first..(first + rows).min(m), n });
    });
}

/// Rows of the product of a column and a row.
struct Outer<'a, T> {
    a: &'a Factor<T>,
    b: &'a Factor<T>,
    out: &'a Factor<T>,
    batch: usize,
    rows: Range<usize>,
    n: usize,
}

impl<T: Tiled> Work for Outer<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for row in self.rows {
            // SAFETY: the element lies in `a`, the row in `b`, and the row of the fresh output belongs to this piece.
            let (x, y, to) = unsafe {
                let y = std::slice::from_raw_parts(self.b.at(self.batch, 0, 0), self.n);
                (
                    *self.a.at(self.batch, row, 0),
                    y,
                    std::slice::from_raw_parts_mut(self.out.at(self.batch, row, 0), self.n),
                )
            };
            // Not a plain product: a chain starts from zero, which has a sign.
            to.iter_mut().zip(y).for_each(|(o, &y)| *o = x.mul_add(y, T::ZERO));
        }
    }
}

/// `m` rows times a large matrix, if its rows or, in a batch of them, its columns are contiguous.
fn stream<T: Tiled>(a: Factor<T>, b: Factor<T>, out: Factor<T>, [batch, m, k, n]: [usize; 4], span: usize) -> bool {
    let in_rows = b.columns == 1 && n >= 16;
    let (one, all) = (k * n * size_of::<T>(), batch * k * n * size_of::<T>());
    // Tiles would have to copy columns.
    if m > ROWS || if in_rows { one < LARGE } else { b.rows != 1 || n < COLUMNS || k < STEPS || all < LARGE } {
        return false;
    }
    let width = if in_rows {
        let part = |pieces: usize| n.div_ceil(pieces).next_multiple_of(32);
        let narrow = part(threads::threads()).clamp(NARROW[1], NARROW[0]);
        part((k * n / WORK).clamp(1, PIECES * threads::threads())).clamp(narrow, WIDE / m)
    } else {
        TALL
    };
    let pieces = n.div_ceil(width);
    threads::for_each(batch * pieces, batch * m * n * k, |i| {
        let (batch, start) = (i / pieces, i % pieces * width);
        let columns = start..(start + width).min(n);
        let part = Part { a: &a, b: &b, out: &out, batch, m, k, columns, span };
        if in_rows { dispatch(Axpy(part)) } else { dispatch(Dots(part)) }
    });
    true
}

/// A few rows times some columns.
struct Part<'a, T> {
    a: &'a Factor<T>,
    b: &'a Factor<T>,
    out: &'a Factor<T>,
    batch: usize,
    m: usize,
    k: usize,
    columns: Range<usize>,
    span: usize,
}

impl<T: Tiled> Part<'_, T> {
    /// Writes the first chains of a row, from a column of this part on, or adds later ones.
    #[inline(always)]
    fn write(&self, row: usize, first: usize, sums: &[T], later: bool) {
        for (column, &sum) in (self.columns.start + first..).zip(sums) {
            // SAFETY: these elements of the fresh output belong to this part, which has written them before it adds to them.
            unsafe {
                let to = self.out.at(self.batch, row, column);
                *to = if later { *to + sum } else { sum };
            }
        }
    }

    #[inline(always)]
    fn left(&self, row: usize, depth: usize) -> T {
        // SAFETY: the element lies in `a`.
        unsafe { *self.a.at(self.batch, row, depth) }
    }

    #[inline(always)]
    fn right(&self, depth: usize) -> &[T] {
        // SAFETY: the elements lie in `b`, whose rows are contiguous where they are asked for as slices.
        unsafe { std::slice::from_raw_parts(self.b.at(self.batch, depth, self.columns.start), self.columns.len()) }
    }
}

/// Adds row after row of `b`, several at a time, to the sums.
struct Axpy<'a, T>(Part<'a, T>);

impl<T: Tiled> Work for Axpy<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (part, add_rows) = (self.0, T::add_rows());
        let n = part.columns.len();
        let mut sums = [T::ZERO; WIDE];
        let sums = &mut sums[..n * part.m];
        for steps in threads::chunks(part.k, part.span) {
            sums.fill(T::ZERO);
            let mut depth = steps.start;
            while depth + STEPS <= steps.end {
                let row = |at: usize| part.right(at.min(part.k - 1)).as_ptr();
                let rows = std::array::from_fn(|step| row(depth + step));
                let soon = std::array::from_fn(|step| row(depth + STEPS + step));
                for (i, sums) in sums.chunks_exact_mut(n).enumerate() {
                    let numbers = std::array::from_fn(|step| part.left(i, depth + step));
                    // SAFETY: rows and sums have as many elements as this part has columns.
                    unsafe { add_rows(&rows, &numbers, &soon, sums.as_mut_ptr(), n) };
                }
                depth += STEPS;
            }
            for depth in depth..steps.end {
                let y = part.right(depth);
                for (i, sums) in sums.chunks_exact_mut(n).enumerate() {
                    let x = part.left(i, depth);
                    for j in 0..n {
                        sums[j] = x.mul_add(y[j], sums[j]);
                    }
                }
            }
            for (i, sums) in sums.chunks_exact(n).enumerate() {
                part.write(i, 0, sums, steps.start > 0);
            }
        }
    }
}

/// Runs down several contiguous columns of `b` side by side.
struct Dots<'a, T>(Part<'a, T>);

impl<T: Tiled> Work for Dots<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let part = self.0;
        let wide = T::columns();
        for i in 0..part.m {
            let a = part.a.at(part.batch, i, 0).cast_const();
            for first in part.columns.clone().step_by(CHAINS) {
                let width = CHAINS.min(part.columns.end - first);
                // A short group repeats its last column.
                let columns: [*const T; CHAINS] =
                    std::array::from_fn(|i| part.b.at(part.batch, 0, first + i.min(width - 1)).cast_const());
                for steps in threads::chunks(part.k, part.span) {
                    let (a, columns) = (
                        a.wrapping_offset(steps.start as isize * part.a.columns),
                        columns.map(|c| c.wrapping_add(steps.start)),
                    );
                    let mut acc = [T::ZERO; CHAINS];
                    // SAFETY: the elements lie in `a` and `b`, whose columns are contiguous; `wide` fits the processor.
                    unsafe {
                        let size = [steps.len(), part.k - steps.end];
                        let done = wide.map_or(0, |run| run(&columns, a, part.a.columns, size, &mut acc));
                        for depth in done..steps.len() {
                            let x = *a.offset(depth as isize * part.a.columns);
                            for i in 0..CHAINS {
                                acc[i] = x.mul_add(*columns[i].add(depth), acc[i]);
                            }
                        }
                    }
                    part.write(i, first - part.columns.start, &acc[..width], steps.start > 0);
                }
            }
        }
    }
}

/// One result for each of a batch.
fn dots<T: Tiled>(a: &Array, b: &Array, out: &Array, span: usize) {
    let dense = |x: &Array, axis: usize| if x.strides()[axis] == 1 { x.clone() } else { x.contiguous() };
    let (a, b) = (dense(a, 2), dense(b, 1));
    let (batch, k) = (a.shape()[0], a.shape()[2]);
    let (left, right, to) = (Factor::<T>::of(&a), Factor::<T>::of(&b), Factor::<T>::of(out));
    let group = (WORK / k).next_multiple_of(CHAINS);
    threads::for_each(batch.div_ceil(group), batch * k, |i| {
        let range = i * group..(i * group + group).min(batch);
        dispatch(SideBySide { a: &left, b: &right, out: &to, range, k, span });
    });
}

/// Products of a contiguous row and a contiguous column.
struct SideBySide<'a, T> {
    a: &'a Factor<T>,
    b: &'a Factor<T>,
    out: &'a Factor<T>,
    /// Of the batch.
    range: Range<usize>,
    k: usize,
    span: usize,
}

impl<T: Tiled> Work for SideBySide<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let wide = T::pairs();
        for first in self.range.clone().step_by(CHAINS) {
            let width = CHAINS.min(self.range.end - first);
            for steps in threads::chunks(self.k, self.span) {
                // A short group repeats its last pair.
                let at = |i: usize| first + i.min(width - 1);
                let rows: [*const T; CHAINS] = std::array::from_fn(|i| self.a.at(at(i), 0, steps.start).cast_const());
                let columns: [*const T; CHAINS] =
                    std::array::from_fn(|i| self.b.at(at(i), steps.start, 0).cast_const());
                let mut sums = [T::ZERO; CHAINS];
                // SAFETY: so many elements lie side by side in `a` and `b`; `wide` fits the processor.
                unsafe {
                    let done = match wide {
                        Some(run) if width >= FEW => run(&columns, &rows, steps.len(), &mut sums),
                        _ => 0,
                    };
                    for depth in done..steps.len() {
                        for i in 0..width {
                            sums[i] = (*rows[i].add(depth)).mul_add(*columns[i].add(depth), sums[i]);
                        }
                    }
                }
                for (i, &sum) in sums.iter().enumerate().take(width) {
                    // SAFETY: these elements of the fresh output belong to this call.
                    unsafe {
                        let to = self.out.at(first + i, 0, 0);
                        *to = if steps.start > 0 { *to + sum } else { sum };
                    }
                }
            }
        }
    }
}
