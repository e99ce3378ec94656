//! Transforms of many elements, as two passes of short ones.
//!
//! With `n = a b`, `j = b p + q` and `k = r + a s`, the sum `Σ x[j] w^(jk)` with `w = e^(∓2πi/n)` is one of length `a` over `p` for every
//! `q`, times `w^(qr)`, and then one of length `b` over `q` for every `r` (W. M. Gentleman and G. Sande, "Fast Fourier transforms for
//! fun and profit", 1966). Short ones stay in the caches and are shared by threads; between them the array is turned.
//!
//! A transform of `n` real numbers is one of `n / 2` pairs as complex numbers `z`, whose halves are told apart by symmetry:
//! `y[k] = (Z[k] + Z̄[n/2 - k]) / 2 + w^k (Z[k] - Z̄[n/2 - k]) / 2i` (J. W. Cooley, P. A. W. Lewis and P. D. Welch, 1970).

use std::f64::consts::TAU;

use num_complex::{Complex, Complex64};
use rustfft::FftDirection;

use super::{KEPT, Part, forth, rows};
use crate::kernels::copy::{copy, copy_to};
use crate::kernels::strided::par_chunks;
use crate::{Array, Element, Shape};

/// Factors below this one leave too much to the other.
const LEAST: usize = 32;
/// Powers of `w` in a row of the table.
const ROW: usize = 1 << 10;

/// The factors of a large `n`, as close to each other as there are.
pub(super) fn factors(n: usize) -> Option<[usize; 2]> {
    if n <= KEPT {
        return None;
    }
    let a = (LEAST..=n.isqrt()).rev().find(|&a| n.is_multiple_of(a))?;
    Some([a, n / a])
}

/// True if as many real numbers are transformed as pairs.
pub(super) fn is_paired(n: usize) -> bool {
    n > KEPT && n.is_multiple_of(2)
}

/// The transform along the last axis, of `a b` elements.
pub(super) fn transform<T: Part>(x: &Array, [a, b]: [usize; 2], direction: FftDirection) -> Array
where
    Complex<T>: Element,
{
    let (count, shape) = (x.size() / (a * b), x.shape().clone());
    let turned =
        |x: &Array, sizes: [usize; 2]| x.reshape(&Shape::from([count, sizes[0], sizes[1]])).permute(&[0, 2, 1]);
    let powers = Powers::new(a * b, direction);
    let first = pass::<T>(&turned(x, [a, b]), direction, |row, values| powers.multiply(row % b, values));
    let second = pass::<T>(&turned(&first, [b, a]), direction, |_, _| {});
    drop(first);
    copy(&turned(&second, [a, b])).reshape(&shape)
}

/// The transforms of all rows of `x`, with `then` called for each one.
fn pass<T: Part>(x: &Array, direction: FftDirection, then: impl Fn(usize, &mut [Complex<T>]) + Sync) -> Array
where
    Complex<T>: Element,
{
    let n = x.shape()[x.ndim() - 1];
    let plan = forth::<T>(n, direction);
    Array::build::<Complex<T>>(x.shape().clone(), |out| {
        // SAFETY: the array is fresh and has room for as many elements.
        unsafe { copy_to(x, out.as_mut_ptr().cast()) };
        let cost = out.len().saturating_mul(16);
        par_chunks(out, rows(n) * n, cost, |start, piece| {
            let mut scratch = vec![Complex::default(); plan.get_inplace_scratch_len()];
            plan.process_with_scratch(piece, &mut scratch);
            piece.chunks_exact_mut(n).enumerate().for_each(|(i, row)| then(start / n + i, row));
        });
    })
}

/// The first half of the transforms of real numbers along the last axis.
pub(super) fn halved<T: Part>(x: &Array) -> Array
where
    Complex<T>: Element,
{
    let (last, n) = (x.ndim() - 1, x.shape()[x.ndim() - 1]);
    let (m, direction) = (n / 2, FftDirection::Forward);
    let mut pairs = x.shape().with_axis(last, m).to_vec();
    pairs.push(2);
    let z = super::transform::<T>(&x.contiguous().reshape(&Shape::from(pairs)).of_parts(), direction);
    let (z, powers) = (z.as_slice::<Complex<T>>().expect("fresh"), Powers::new(n, direction));
    each::<T>(x.shape().with_axis(last, m + 1), |row, k| {
        let (z, half) = (&z[row * m..(row + 1) * m], <T as Element>::from_f64(0.5));
        let at = |k: usize| z[if k == m { 0 } else { k }];
        let (a, b) = (at(k), at(m - k).conj());
        let (even, odd) = ((a + b) * half, (a - b) * half);
        even + powers.of::<T>(k) * Complex::new(odd.im, -odd.re)
    })
}

/// `n` real numbers along the last axis from the first half of their transform.
pub(super) fn unfolded<T: Part>(x: &Array, n: usize) -> Array
where
    Complex<T>: Element,
{
    let (last, m, direction) = (x.ndim() - 1, n / 2, FftDirection::Inverse);
    let (x, powers) = (x.contiguous(), Powers::new(n, direction));
    let values = x.as_slice::<Complex<T>>().expect("contiguous");
    let z = each::<T>(x.shape().with_axis(last, m), |row, k| {
        let x = &values[row * (m + 1)..(row + 1) * (m + 1)];
        // What stands for itself counts with its real part.
        let (a, b) = if k == 0 { (real(x[0]), real(x[m])) } else { (x[k], x[m - k].conj()) };
        let (even, odd) = (a + b, (a - b) * powers.of::<T>(k));
        even + Complex::new(-odd.im, odd.re)
    });
    super::transform::<T>(&z, direction).parts().reshape(&x.shape().with_axis(last, n))
}

fn real<T: Part>(x: Complex<T>) -> Complex<T>
where
    Complex<T>: Element,
{
    Complex::new(x.re, T::default())
}

/// An array whose element `k` of a row is `value(row, k)`.
fn each<T: Part>(shape: Shape, value: impl Fn(usize, usize) -> Complex<T> + Sync) -> Array
where
    Complex<T>: Element,
{
    let n = shape[shape.len() - 1];
    Array::build::<Complex<T>>(shape, |out| {
        let cost = out.len().saturating_mul(8);
        par_chunks(out, super::GRAIN, cost, |start, piece| {
            let (mut row, mut k) = (start / n, start % n);
            for out in piece {
                *out = value(row, k);
                k += 1;
                if k == n {
                    (row, k) = (row + 1, 0);
                }
            }
        });
    })
}

/// The powers of `w = e^(∓2πi/n)`, as products of two from tables.
struct Powers {
    /// The first [`ROW`] powers.
    low: Vec<Complex64>,
    /// Every `ROW`-th.
    high: Vec<Complex64>,
}

impl Powers {
    fn new(n: usize, direction: FftDirection) -> Powers {
        let sign = if direction == FftDirection::Inverse { 1.0 } else { -1.0 };
        let power = |m: usize| Complex64::from_polar(1.0, sign * TAU * (m as f64 / n as f64));
        Powers { low: (0..ROW).map(power).collect(), high: (0..n.div_ceil(ROW)).map(|i| power(i * ROW)).collect() }
    }

    /// `w^m`.
    fn of<T: Part>(&self, m: usize) -> Complex<T>
    where
        Complex<T>: Element,
    {
        let power = self.high[m / ROW] * self.low[m % ROW];
        Complex::new(<T as Element>::from_f64(power.re), <T as Element>::from_f64(power.im))
    }

    /// Multiplies element `r` by `w^(qr)`.
    fn multiply<T: Part>(&self, q: usize, values: &mut [Complex<T>])
    where
        Complex<T>: Element,
    {
        values.iter_mut().enumerate().for_each(|(r, value)| *value = *value * self.of::<T>(q * r));
    }
}
