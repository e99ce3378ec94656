//! Folds and products of complex numbers, by way of their parts.
//!
//! Sums go part by part through the kernels of floats. A matrix product is one product of floats: the left factor is read
//! as it lies, with parts for columns, and meets the right one with its parts spread so that real and imaginary part of
//! the result come out side by side.

use num_complex::Complex;

use super::{Reduction, copy, matmul as real_matmul, reduce as real_reduce, scan as real_scan};
use crate::math::Real;
use crate::{Array, DType, Element, Shape, c64, c128};

/// Runs `$body` with `$T` the type of the parts.
macro_rules! with_part {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::C64 => {
                type $T = f32;
                $body
            }
            _ => {
                type $T = f64;
                $body
            }
        }
    };
}

const NO_ORDER: &str = "complex numbers have no order";

/// See [`reduce`](super::reduce()).
pub(super) fn reduce(op: Reduction, x: &Array, axes: &[usize]) -> Array {
    match op {
        Reduction::Sum => real_reduce(op, &x.parts(), axes).of_parts(),
        Reduction::Prod => {
            // The folded axes last, so that each product is of one run.
            let kept = (0..x.ndim()).filter(|a| !axes.contains(a));
            let order: Vec<usize> = kept.chain((0..x.ndim()).filter(|a| axes.contains(a))).collect();
            let shape = x.shape().without(|a| axes.contains(&a));
            let x = x.permute(&order).contiguous();
            match x.dtype() {
                DType::C64 => products::<c64>(
                    &x,
                    shape,
                    |p, x| {
                        let p = c128::new(p.re.into(), p.im.into()) * c128::new(x.re.into(), x.im.into());
                        c64::new(p.re as f32, p.im as f32)
                    },
                    c64::new(1.0, 0.0),
                ),
                _ => products::<c128>(&x, shape, |p, x| p * x, c128::new(1.0, 0.0)),
            }
        }
        Reduction::Max | Reduction::Min => panic!("{NO_ORDER}"),
    }
}

fn products<T: Element>(x: &Array, shape: Shape, times: impl Fn(T, T) -> T, one: T) -> Array {
    let values = x.as_slice::<T>().expect("made contiguous");
    let run = values.len() / shape.size().max(1);
    Array::build::<T>(shape, |out| {
        out.iter_mut()
            .enumerate()
            .for_each(|(i, o)| *o = values[i * run..][..run].iter().fold(one, |p, &x| times(p, x)));
    })
}

/// See [`scan`](super::scan()).
pub(super) fn scan(op: Reduction, x: &Array, axis: usize, reverse: bool) -> Array {
    match op {
        Reduction::Sum => real_scan(op, &x.parts(), axis, reverse).of_parts(),
        Reduction::Prod => match x.dtype() {
            DType::C64 => along::<f32>(x, None, axis, reverse),
            _ => along::<f64>(x, None, axis, reverse),
        },
        Reduction::Max | Reduction::Min => panic!("{NO_ORDER}"),
    }
}

/// `h = a · before(h) + b` along an axis of two arrays of one shape, from `h = b` at the first element.
pub fn recurrence(a: &Array, b: &Array, axis: usize, reverse: bool) -> Array {
    with_part!(a.dtype(), T => along::<T>(a, Some(b), axis, reverse))
}

/// The recurrence; without terms the running product. Carried in c128.
fn along<T: Real>(a: &Array, b: Option<&Array>, axis: usize, reverse: bool) -> Array
where
    Complex<T>: Element,
{
    let shape = a.shape().clone();
    let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let (a, b) = (a.contiguous(), b.map(Array::contiguous));
    let a = a.as_slice::<Complex<T>>().expect("contiguous");
    let b = b.as_ref().map(|b| b.as_slice::<Complex<T>>().expect("contiguous"));
    let wide = |z: Complex<T>| c128::new(z.re.to_f64(), z.im.to_f64());
    Array::build::<Complex<T>>(shape, |out| {
        let mut carry = vec![c128::default(); inner];
        for block in 0..out.len() / (n * inner).max(1) {
            for k in 0..n {
                let at = (block * n + if reverse { n - 1 - k } else { k }) * inner;
                for (i, h) in carry.iter_mut().enumerate() {
                    let (first, factor) = (k == 0, wide(a[at + i]));
                    *h = match b {
                        Some(b) if first => wide(b[at + i]),
                        Some(b) => factor * *h + wide(b[at + i]),
                        None if first => factor,
                        None => factor * *h,
                    };
                    out[at + i] = Complex::new(<T as Real>::from_f64(h.re), <T as Real>::from_f64(h.im));
                }
            }
        }
    })
}

/// See [`matmul`](super::matmul()).
pub(super) fn matmul(a: &Array, b: &Array) -> Array {
    let [batch, m, k, n] = [a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]];
    let left = a.contiguous().parts().reshape(&[batch, m, 2 * k].into());
    // A factor that all the batch shares is spread once.
    let shared = batch > 1 && b.strides()[0] == 0;
    let one = if shared { b.slice(&[0, 0, 0], &[1, k, n], &[1, 1, 1]) } else { b.clone() };
    let right = with_part!(b.dtype(), T => spread::<T>(&copy(&one)));
    let right = if shared { right.broadcast_to(&[batch, 2 * k, 2 * n].into()) } else { right };
    real_matmul(&left, &right).reshape(&[batch, m, n, 2].into()).of_parts()
}

/// `[b, k, n]` complex to `[b, 2k, 2n]`: row `2i` has the parts `re, im`, row `2i + 1` has `-im, re`.
fn spread<T: Real>(b: &Array) -> Array
where
    Complex<T>: Element,
{
    let [batch, k, n] = [b.shape()[0], b.shape()[1], b.shape()[2]];
    let values = b.as_slice::<Complex<T>>().expect("a fresh copy");
    Array::build::<T>([batch, 2 * k, 2 * n].into(), |out| {
        if n == 0 {
            return;
        }
        for (pair, row) in out.chunks_exact_mut(4 * n).zip(values.chunks_exact(n)) {
            let (upper, lower) = pair.split_at_mut(2 * n);
            for ((u, l), z) in upper.chunks_exact_mut(2).zip(lower.chunks_exact_mut(2)).zip(row) {
                (u[0], u[1], l[0], l[1]) = (z.re, z.im, -z.im, z.re);
            }
        }
    })
}
