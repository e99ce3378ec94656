//! Discrete Fourier transforms along an axis, by `rustfft` and `realfft`, unnormalised.
//!
//! Rows are transformed where they lie, in parallel, and large ones in two passes ([`large`]); an axis that is not the last is
//! brought there and back. The bits do not depend on the number of threads, but on the processor: the library has other loops
//! for one with AVX.

mod large;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use num_complex::Complex;
use realfft::RealFftPlanner;
use rustfft::{Fft, FftDirection, FftNum, FftPlanner};

use super::strided::par_chunks;
use crate::{Array, DType, Element};

/// Plans of transforms up to this length are kept; longer ones go in two passes if they can.
const KEPT: usize = 1 << 16;
/// Elements per piece of parallel work, at least.
const GRAIN: usize = 1 << 13;

/// Planners, which remember the plans they made.
struct Planners<T: FftNum> {
    complex: Option<FftPlanner<T>>,
    real: Option<RealFftPlanner<T>>,
}

static SINGLE: Mutex<Planners<f32>> = Mutex::new(Planners { complex: None, real: None });
static DOUBLE: Mutex<Planners<f64>> = Mutex::new(Planners { complex: None, real: None });

/// f32 and f64, with their planners.
trait Part: FftNum + Element
where
    Complex<Self>: Element,
{
    fn planners() -> MutexGuard<'static, Planners<Self>>;
}

impl Part for f32 {
    fn planners() -> MutexGuard<'static, Planners<f32>> {
        SINGLE.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part for f64 {
    fn planners() -> MutexGuard<'static, Planners<f64>> {
        DOUBLE.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Part> Planners<T>
where
    Complex<T>: Element,
{
    /// A plan for length `n`: of a planner that keeps it, or, if it is large, of one that does not.
    fn plan<P, R>(kept: &mut Option<P>, n: usize, new: impl Fn() -> P, make: impl Fn(&mut P) -> R) -> R {
        if n <= KEPT { make(kept.get_or_insert_with(&new)) } else { make(&mut new()) }
    }
}

/// The plan of a complex transform.
fn forth<T: Part>(n: usize, direction: FftDirection) -> Arc<dyn Fft<T>>
where
    Complex<T>: Element,
{
    Planners::<T>::plan(&mut T::planners().complex, n, FftPlanner::new, |p| p.plan_fft(n, direction))
}

/// `f` of the array with `axis` last; the result has it in its place again.
fn along(x: &Array, axis: usize, f: impl FnOnce(Array) -> Array) -> Array {
    if axis + 1 == x.ndim() {
        return f(x.clone());
    }
    let mut order: Vec<usize> = (0..x.ndim()).filter(|&a| a != axis).collect();
    order.push(axis);
    let mut back: Vec<usize> = (0..x.ndim() - 1).collect();
    back.insert(axis, x.ndim() - 1);
    f(x.permute(&order)).permute(&back).contiguous()
}

/// Whole rows of `n` elements that make a piece of work.
fn rows(n: usize) -> usize {
    (GRAIN / n.max(1)).max(1)
}

/// The transform of complex numbers along `axis`: `y[k] = sum_j x[j] e^(∓2πi jk/n)`, with plus for the inverse.
///
/// # Panics
/// If the array is not complex.
pub fn fft(x: &Array, axis: usize, inverse: bool) -> Array {
    let direction = if inverse { FftDirection::Inverse } else { FftDirection::Forward };
    match x.dtype() {
        DType::C64 => along(x, axis, |x| transform::<f32>(&x, direction)),
        DType::C128 => along(x, axis, |x| transform::<f64>(&x, direction)),
        other => panic!("a transform of complex numbers got {other}"),
    }
}

fn transform<T: Part>(x: &Array, direction: FftDirection) -> Array
where
    Complex<T>: Element,
{
    let n = x.shape()[x.ndim() - 1];
    if let Some(factors) = large::factors(n).filter(|_| x.size() > 0) {
        return large::transform::<T>(x, factors, direction);
    }
    let x = x.contiguous();
    let values = x.as_slice::<Complex<T>>().expect("contiguous");
    Array::build::<Complex<T>>(x.shape().clone(), |out| {
        if out.is_empty() {
            return;
        }
        let plan = forth::<T>(n, direction);
        let cost = out.len().saturating_mul(16);
        par_chunks(out, rows(n) * n, cost, |start, piece| {
            piece.copy_from_slice(&values[start..start + piece.len()]);
            let mut scratch = vec![Complex::default(); plan.get_inplace_scratch_len()];
            plan.process_with_scratch(piece, &mut scratch);
        });
    })
}

/// The transform of real numbers along `axis`, of which the first half, `n / 2 + 1` elements, says all.
///
/// # Panics
/// If the array is neither f32 nor f64.
pub fn rfft(x: &Array, axis: usize) -> Array {
    match x.dtype() {
        DType::F32 => along(x, axis, |x| halved::<f32>(&x)),
        DType::F64 => along(x, axis, |x| halved::<f64>(&x)),
        other => panic!("a transform of real numbers got {other}"),
    }
}

fn halved<T: Part>(x: &Array) -> Array
where
    Complex<T>: Element,
{
    let last = x.ndim() - 1;
    let n = x.shape()[last];
    if large::is_paired(n) && x.size() > 0 {
        return large::halved::<T>(x);
    }
    let m = n / 2 + 1;
    let x = x.contiguous();
    let values = x.as_slice::<T>().expect("contiguous");
    Array::build::<Complex<T>>(x.shape().with_axis(last, m), |out| {
        if out.is_empty() || n == 0 {
            return out.fill(Complex::default());
        }
        let mut planners = T::planners();
        let plan = Planners::<T>::plan(&mut planners.real, n, RealFftPlanner::new, |p| p.plan_fft_forward(n));
        drop(planners);
        let cost = out.len().saturating_mul(16);
        par_chunks(out, rows(n) * m, cost, |start, piece| {
            let (mut row, mut scratch) = (plan.make_input_vec(), plan.make_scratch_vec());
            for (out, values) in piece.chunks_exact_mut(m).zip(values[start / m * n..].chunks_exact(n)) {
                row.copy_from_slice(values);
                plan.process_with_scratch(&mut row, out, &mut scratch).expect("the lengths are those of the plan");
            }
        });
    })
}

/// `n` real numbers along `axis` from the first half of their transform, `n / 2 + 1` elements, of which those that stand for
/// themselves (the first, and for even `n` the last) count with their real part.
///
/// # Panics
/// If the array is not complex, or the axis has another size.
pub fn irfft(x: &Array, axis: usize, n: usize) -> Array {
    assert_eq!(x.shape()[axis], n / 2 + 1, "half a transform of {n} elements has {} elements", n / 2 + 1);
    match x.dtype() {
        DType::C64 => along(x, axis, |x| unfolded::<f32>(&x, n)),
        DType::C128 => along(x, axis, |x| unfolded::<f64>(&x, n)),
        other => panic!("a transform of complex numbers got {other}"),
    }
}

fn unfolded<T: Part>(x: &Array, n: usize) -> Array
where
    Complex<T>: Element,
{
    if large::is_paired(n) && x.size() > 0 {
        return large::unfolded::<T>(x, n);
    }
    let last = x.ndim() - 1;
    let m = n / 2 + 1;
    let x = x.contiguous();
    let values = x.as_slice::<Complex<T>>().expect("contiguous");
    Array::build::<T>(x.shape().with_axis(last, n), |out| {
        if out.is_empty() {
            return;
        }
        let mut planners = T::planners();
        let plan = Planners::<T>::plan(&mut planners.real, n, RealFftPlanner::new, |p| p.plan_fft_inverse(n));
        drop(planners);
        let cost = out.len().saturating_mul(16);
        par_chunks(out, rows(n) * n, cost, |start, piece| {
            let (mut row, mut scratch) = (plan.make_input_vec(), plan.make_scratch_vec());
            for (out, values) in piece.chunks_exact_mut(n).zip(values[start / n * m..].chunks_exact(m)) {
                row.copy_from_slice(values);
                row[0].im = T::default();
                if n.is_multiple_of(2) {
                    row[m - 1].im = T::default();
                }
                plan.process_with_scratch(&mut row, out, &mut scratch).expect("the lengths are those of the plan");
            }
        });
    })
}
