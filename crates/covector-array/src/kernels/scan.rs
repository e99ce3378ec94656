//! Cumulative sums, products and extremes.

use super::Reduction;
use super::strided::{CHUNK, Fold, Reader, Source, Walk, around, par_chunks, par_columns, readable_rows, with_fold};
use crate::{Array, DType, Element, kernels};

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
    if inner == 1 {
        let rows = (CHUNK / n.max(1)).max(1);
        par_chunks(out, rows * n, cost, |start, piece| {
            Reader::new(&source, &walk, 0, start).read(piece);
            for row in piece.chunks_exact_mut(n) {
                let first = if reverse { n - 1 } else { 0 };
                let mut carry = widen(row[first]);
                let step = |v: &mut T| {
                    carry = f(carry, widen(*v));
                    *v = narrow(carry);
                };
                if reverse { row[..n - 1].iter_mut().rev().for_each(step) } else { row[1..].iter_mut().for_each(step) }
            }
        });
        return;
    }
    par_columns(out, [outer, n, inner], WIDTH, cost, |o, columns, mut out| {
        let mut carry = vec![C::default(); out.width()];
        for k in 0..n {
            let at = if reverse { n - 1 - k } else { k };
            let row = out.row(at);
            Reader::new(&source, &walk, 0, (o * n + at) * inner + columns.start).read(row);
            if k == 0 {
                carry.iter_mut().zip(row).for_each(|(c, v)| *c = widen(*v));
                continue;
            }
            for (c, v) in carry.iter_mut().zip(row) {
                *c = f(*c, widen(*v));
                *v = narrow(*c);
            }
        }
    });
}
