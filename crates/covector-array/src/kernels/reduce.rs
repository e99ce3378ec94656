//! Reductions: sums, products, largest and smallest values, and where they are.

use super::cast;
use super::layout::{Layout, gather};
use crate::math::Num;
use crate::{Array, DType, Element};

/// How elements are combined.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reduction {
    /// The sum; 0 of nothing. Integers wrap.
    Sum,
    /// The product; 1 of nothing. Integers wrap.
    Prod,
    /// The largest; NaN wins. Of bools: whether any is true.
    Max,
    /// The smallest; NaN wins. Of bools: whether all are true.
    Min,
}

/// Combines the elements along `axes`, which are dropped.
///
/// # Panics
/// For the largest or smallest of no elements, and the sum or product of bools.
pub fn reduce(op: Reduction, x: &Array, axes: &[usize]) -> Array {
    let shape = x.shape().without(|i| axes.contains(&i));
    let count: usize = axes.iter().map(|&a| x.shape()[a]).product();
    let extreme = matches!(op, Reduction::Max | Reduction::Min);
    assert!(count > 0 || !extreme || shape.size() == 0, "{op:?} of no elements: {} over axes {axes:?}", x.shape());
    match x.dtype() {
        half @ (DType::F16 | DType::BF16) => return cast(&reduce(op, &cast(x, DType::F32), axes), half),
        DType::Bool => {
            assert!(extreme, "{op:?} of bool: cast first");
            return cast(&reduce(op, &cast(x, DType::U8), axes), DType::Bool);
        }
        _ => {}
    }
    let mut order: Vec<usize> = (0..x.ndim()).filter(|i| !axes.contains(i)).collect();
    order.extend((0..x.ndim()).filter(|i| axes.contains(i)));
    let x = x.permute(&order);
    macro_rules! run {
        ($($d:ident $t:ident),*) => {
            match x.dtype() {
                $(DType::$d => Array::build::<$t>(shape, |out| simple(op, &x, count, out)),)*
                other => unreachable!("{other} was handled above"),
            }
        };
    }
    run!(U8 u8, U16 u16, U32 u32, U64 u64, I8 i8, I16 i16, I32 i32, I64 i64, F32 f32, F64 f64)
}

fn simple<T: Num>(op: Reduction, x: &Array, count: usize, out: &mut [T]) {
    let layout = Layout::of(x);
    let mut row = vec![T::ZERO; count];
    for (i, o) in out.iter_mut().enumerate() {
        // SAFETY: the view lies in its buffer, and `row` has room for `count` elements.
        unsafe { gather(x.ptr(), T::DTYPE, &layout, i * count, count, row.as_mut_ptr().cast()) };
        *o = match op {
            Reduction::Sum => pairwise(&row),
            Reduction::Prod => row.iter().fold(T::ONE, |a, &b| Num::mul(a, b)),
            Reduction::Max => row.iter().copied().reduce(Num::max).expect("not empty"),
            Reduction::Min => row.iter().copied().reduce(Num::min).expect("not empty"),
        };
    }
}

fn pairwise<T: Num>(x: &[T]) -> T {
    if x.len() <= 16 {
        return x.iter().fold(T::ZERO, |a, &b| Num::add(a, b));
    }
    let (a, b) = x.split_at(x.len() / 2);
    Num::add(pairwise(a), pairwise(b))
}

/// The index of the largest (or smallest) element along `axis`, which is dropped: the first of equals; NaN wins.
///
/// # Panics
/// If the axis is empty but the result is not.
pub fn arg_reduce(max: bool, x: &Array, axis: usize) -> Array {
    let shape = x.shape().without(|i| i == axis);
    let count = x.shape()[axis];
    assert!(count > 0 || shape.size() == 0, "the index of an extreme of no elements: {} over axis {axis}", x.shape());
    match x.dtype() {
        DType::F16 | DType::BF16 => return arg_reduce(max, &cast(x, DType::F32), axis),
        DType::Bool => return arg_reduce(max, &cast(x, DType::U8), axis),
        _ => {}
    }
    let order: Vec<usize> = (0..x.ndim()).filter(|&i| i != axis).chain([axis]).collect();
    let x = x.permute(&order);
    macro_rules! run {
        ($($d:ident $t:ident),*) => {
            match x.dtype() {
                $(DType::$d => Array::build::<i64>(shape, |out| arg_simple::<$t>(max, &x, count, out)),)*
                other => unreachable!("{other} was handled above"),
            }
        };
    }
    run!(U8 u8, U16 u16, U32 u32, U64 u64, I8 i8, I16 i16, I32 i32, I64 i64, F32 f32, F64 f64)
}

#[allow(clippy::eq_op)]
fn arg_simple<T: Num + Element>(max: bool, x: &Array, count: usize, out: &mut [i64]) {
    let layout = Layout::of(x);
    let mut row = vec![T::ZERO; count];
    for (i, o) in out.iter_mut().enumerate() {
        // SAFETY: the view lies in its buffer, and `row` has room for `count` elements.
        unsafe { gather(x.ptr(), T::DTYPE, &layout, i * count, count, row.as_mut_ptr().cast()) };
        let mut best = 0;
        for (j, &v) in row.iter().enumerate() {
            let better = if max { v > row[best] } else { v < row[best] };
            if row[best] == row[best] && (better || v != v) {
                best = j;
            }
        }
        *o = best as i64;
    }
}
