//! Cumulative sums, products and extremes.

use super::Reduction;
use super::stream::ask_for;
use super::strided::{CHUNK, Fold, Reader, Source, Walk, around, par_chunks, par_columns, readable_rows, with_fold};
use crate::isa::{Work, dispatch};
use crate::{Array, DType, Element, kernels};

/// Columns that one task carries through a scan over a leading axis.
const WIDTH: usize = 256;

/// Cumulative reduction along `axis`; `reverse` runs from the end. Shapes: `x -> x`.
///
/// Sums and products of f32 are carried in f64 and of halves in f32, and rounded once per element; integers wrap; for
/// bool, sum and max are `or`, product and min `and`. Max and min keep a NaN once they met one.
/// Source: `torch.cumsum`, `torch.cummax` (values).
///
/// # Panics
/// For extremes of complex numbers.
pub fn scan(op: Reduction, x: &Array, axis: usize, reverse: bool) -> Array {
    if matches!(x.dtype(), DType::F16 | DType::BF16) {
        return kernels::cast(&scan(op, &kernels::cast(x, DType::F32), axis, reverse), x.dtype());
    }
    if x.dtype().is_complex() {
        return kernels::complex::scan(op, x, axis, reverse);
    }
    with_fold!(x.dtype(), T => Array::build::<T>(x.shape().clone(), |out| run::<T>(op, x, axis, reverse, out)))
}

/// The type in which running sums and products are carried.
trait Carried: Fold {
    type Carry: Fold;
    fn widen(self) -> Self::Carry;
    fn narrow(carry: Self::Carry) -> Self;
}

macro_rules! carried {
    ($($t:ty => $carry:ty),*) => {$(
        impl Carried for $t {
            type Carry = $carry;
            #[inline(always)]
            fn widen(self) -> $carry { self.into() }
            #[inline(always)]
            fn narrow(carry: $carry) -> $t { carry as $t }
        }
    )*};
}
carried!(bool => bool, u8 => u8, u16 => u16, u32 => u32, u64 => u64, i8 => i8, i16 => i16, i32 => i32, i64 => i64,
    f32 => f64, f64 => f64);

fn run<T: Carried>(op: Reduction, x: &Array, axis: usize, reverse: bool, out: &mut [T]) {
    match op {
        Reduction::Sum => along(x, axis, reverse, out, T::widen, T::Carry::plus, T::narrow),
        Reduction::Prod => along(x, axis, reverse, out, T::widen, T::Carry::times, T::narrow),
        Reduction::Max => along(x, axis, reverse, out, |v| v, T::larger, |c| c),
        Reduction::Min => along(x, axis, reverse, out, |v| v, T::smaller, |c| c),
    }
}

/// A function that tasks share.
trait Task: Copy + Send + Sync {}
impl<F: Copy + Send + Sync> Task for F {}

fn along<T: Element, C: Element>(
    x: &Array,
    axis: usize,
    reverse: bool,
    out: &mut [T],
    widen: impl Fn(T) -> C + Task,
    f: impl Fn(C, C) -> C + Task,
    narrow: impl Fn(C) -> T + Task,
) {
    let x = &readable_rows(x);
    let (source, walk) = (Source::<T>::of(x), Walk::new(x.shape(), x.strides()));
    let [outer, n, inner] = around(x.shape(), axis);
    let cost = out.len();
    let step = move |carry: &mut C, value: T| {
        *carry = f(*carry, widen(value));
        narrow(*carry)
    };
    if inner == 1 {
        let rows = (CHUNK / n.max(1)).max(1);
        par_chunks(out, rows * n, cost, |start, piece| {
            Reader::new(&source, &walk, 0, start).read(piece);
            let mut groups = piece.chunks_exact_mut(TOGETHER * n);
            groups.by_ref().for_each(|rows| scan_rows::<TOGETHER, T, C>(rows, reverse, widen, step));
            groups.into_remainder().chunks_exact_mut(n).for_each(|row| scan_rows::<1, T, C>(row, reverse, widen, step));
        });
        return;
    }
    // Rows that lie in memory as they are read are not copied first.
    let plain = walk.uniform() == Some(1);
    par_columns(out, [outer, n, inner], WIDTH, cost, |o, columns, mut out| {
        let mut carry = vec![C::default(); out.width()];
        let mut spare = vec![T::default(); if plain { 0 } else { out.width() }];
        let at = |k: usize| if reverse { n - 1 - k } else { k };
        let first = |k: usize| (o * n + at(k)) * inner + columns.start;
        for k in 0..n {
            let x = if plain {
                source.run(first(k) as isize, columns.len())
            } else {
                Reader::new(&source, &walk, 0, first(k)).read(&mut spare);
                &spare
            };
            let later = (k + AHEAD).min(n - 1);
            let soon = [source.place(if plain { first(later) as isize } else { 0 }), out.place(at(later))];
            let row = out.row(at(k));
            if k == 0 {
                carry.iter_mut().zip(x).for_each(|(c, v)| *c = widen(*v));
                row.copy_from_slice(x);
            } else if T::DTYPE.is_float() {
                dispatch(Row { carry: &mut carry, x, row, soon, step });
            } else {
                carry.iter_mut().zip(x).zip(row).for_each(|((c, x), y)| *y = step(c, *x));
            }
        }
    });
}

/// Rows scanned side by side: each element waits for the one before it.
const TOGETHER: usize = 8;
/// Rows asked for before they are read, and elements after which more are asked for.
const AHEAD: usize = 8;
const RUN: usize = 64;

/// Scans `ROWS` rows that lie one after another.
#[inline(always)]
fn scan_rows<const ROWS: usize, T: Element, C: Element>(
    rows: &mut [T],
    reverse: bool,
    widen: impl Fn(T) -> C,
    step: impl Fn(&mut C, T) -> T,
) {
    let n = rows.len() / ROWS;
    let at = |k: usize| if reverse { n - 1 - k } else { k };
    let mut carry: [C; ROWS] = std::array::from_fn(|row| widen(rows[row * n + at(0)]));
    for k in 1..n {
        for (row, carry) in carry.iter_mut().enumerate() {
            let value = &mut rows[row * n + at(k)];
            *value = step(carry, *value);
        }
    }
}

/// Takes a row into what is carried down its columns.
struct Row<'a, T, C, F> {
    carry: &'a mut [C],
    x: &'a [T],
    row: &'a mut [T],
    /// Rows that will be read and written soon.
    soon: [*const T; 2],
    step: F,
}

impl<T: Element, C, F: Fn(&mut C, T) -> T> Work for Row<'_, T, C, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let runs = self.carry.chunks_mut(RUN).zip(self.x.chunks(RUN)).zip(self.row.chunks_mut(RUN));
        for (i, ((carry, x), row)) in runs.enumerate() {
            self.soon.iter().for_each(|soon| ask_for(soon.wrapping_add(i * RUN), RUN));
            match (carry.as_chunks_mut::<RUN>(), x.as_chunks::<RUN>(), row.as_chunks_mut::<RUN>()) {
                // The length is known: the compiler writes vector instructions alone.
                (([carry], _), ([x], _), ([row], _)) => {
                    (0..RUN).for_each(|j| row[j] = (self.step)(&mut carry[j], x[j]))
                }
                _ => carry.iter_mut().zip(x).zip(row).for_each(|((c, x), y)| *y = (self.step)(c, *x)),
            }
        }
    }
}
