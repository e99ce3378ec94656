//! Cumulative sums, products and extremes.

use super::Reduction;
use super::strided::{CHUNK, Fold, Reader, Source, Walk, around, par_chunks, par_columns, readable_rows, with_fold};
use crate::{Array, DType, kernels};

/// Columns that one task carries through a scan over a leading axis.
const WIDTH: usize = 512;

/// Cumulative reduction along `axis`; `reverse` runs from the end. Shapes: `x -> x`.
///
/// Sums and products of f32 are carried in f64 and of halves in f32, and rounded once per element; integers wrap; for
/// bool, sum and max are `or`, product and min `and`. Max and min keep a NaN once they met one.
/// Source: `torch.cumsum`, `torch.cummax` (values).
pub fn scan(op: Reduction, x: &Array, axis: usize, reverse: bool) -> Array {
    if matches!(x.dtype(), DType::F16 | DType::BF16) {
        return kernels::cast(&scan(op, &kernels::cast(x, DType::F32), axis, reverse), x.dtype());
    }
    with_fold!(x.dtype(), T => Array::build::<T>(x.shape().clone(), |out| run::<T>(op, x, axis, reverse, out)))
}

/// The type in which a running value is carried.
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
        Reduction::Sum => along(x, axis, reverse, out, |a: T::Carry, b| a.plus(b)),
        Reduction::Prod => along(x, axis, reverse, out, |a: T::Carry, b| a.times(b)),
        Reduction::Max => along(x, axis, reverse, out, |a: T::Carry, b| a.larger(b)),
        Reduction::Min => along(x, axis, reverse, out, |a: T::Carry, b| a.smaller(b)),
    }
}

fn along<T: Carried>(
    x: &Array,
    axis: usize,
    reverse: bool,
    out: &mut [T],
    f: impl Fn(T::Carry, T::Carry) -> T::Carry + Copy + Send + Sync,
) {
    let x = &readable_rows(x);
    let (source, walk) = (Source::<T>::of(x), Walk::new(x.shape(), x.strides()));
    let [outer, n, inner] = around(x.shape(), axis);
    let cost = out.len();
    if inner == 1 {
        let rows = (CHUNK / n.max(1)).max(1);
        par_chunks(out, rows * n, cost, |start, piece| {
            Reader::new(&source, &walk, 0, start).read(piece);
            piece.chunks_exact_mut(n).for_each(|row| scan_row(row, reverse, f));
        });
        return;
    }
    par_columns(out, [outer, n, inner], WIDTH, cost, |o, columns, mut out| {
        let mut carry = vec![T::Carry::default(); out.width()];
        for k in 0..n {
            let at = if reverse { n - 1 - k } else { k };
            let row = out.row(at);
            Reader::new(&source, &walk, 0, (o * n + at) * inner + columns.start).read(row);
            for (c, v) in carry.iter_mut().zip(row) {
                *c = if k == 0 { v.widen() } else { f(*c, v.widen()) };
                *v = T::narrow(*c);
            }
        }
    });
}

fn scan_row<T: Carried>(row: &mut [T], reverse: bool, f: impl Fn(T::Carry, T::Carry) -> T::Carry) {
    let mut carry: Option<T::Carry> = None;
    let step = |v: &mut T| {
        let next = carry.map_or(v.widen(), |c| f(c, v.widen()));
        carry = Some(next);
        *v = T::narrow(next);
    };
    if reverse { row.iter_mut().rev().for_each(step) } else { row.iter_mut().for_each(step) }
}
