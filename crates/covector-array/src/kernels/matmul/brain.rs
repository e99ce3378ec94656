//! Products of bf16 numbers.
//!
//! Every element of a result is one chain of fused multiply-adds in f32 along the shared axis, in order, from zero, however
//! long; denormal factors and denormal sums count as zeros of their sign: so does the instruction of AVX-512 that takes
//! two steps at once. The result is rounded to bf16 once, and a NaN has one form.
//!
//! Elsewhere the chain of f32 gives the same, unless the factors are so small that a sum could be denormal; those rare
//! products take a step in f64.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::tile::{Kernel, bf16_kernel};
use super::{Right, Target, floats, tiles};
use crate::isa::{Work, dispatch};
use crate::kernels::layout::Shared;
use crate::{Array, DType, Shape, threads};

/// Elements per piece of parallel work in passes over a factor or a result.
const CHUNK: usize = 1 << 14;

/// `a @ b`, batched.
pub(super) fn product(a: &Array, b: &Array) -> Array {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let out = Array::uninit(Shape::from([batch, m, n]), DType::BF16);
    if let Some(kernel) = paired()
        && k > 0
        && out.size() > 0
    {
        let pairs_of_b = (b.strides()[2] != 1).then(|| pairs(&b.t(), NEGATIVE_ZERO).t());
        let b = pairs_of_b.as_ref().map_or(Right::Halves(b), Right::Plain);
        tiles(kernel, &pairs(a, 0), b, Target::Rounded(&out, round), usize::MAX);
        return out;
    }
    let ((a, least_a), (b, least_b)) = (widened(a), widened(b));
    // Every product is a multiple of the product of the least digits, so every sum is one.
    let sum_is_normal = least_a + least_b >= 2 * 127 + 2 * 7 - 126;
    let sums = if sum_is_normal { floats::<f32>(&a, &b, usize::MAX) } else { flushing(&a, &b) };
    let (from, to) = (Shared(sums.ptr::<f32>().cast_mut()), Shared(out.ptr::<u16>().cast_mut()));
    each_chunk(sums.size(), |start, len| {
        // SAFETY: the chunk lies in both arrays, which are contiguous; chunks of the fresh output are disjoint.
        unsafe { round([1, len], (from.get().add(start), 0), (to.get().add(start), 0)) };
    });
    out
}

/// The kernel that takes pairs, if the processor has it and it computes what it is known to compute.
fn paired() -> Option<Kernel<f32>> {
    static AS_KNOWN: OnceLock<bool> = OnceLock::new();
    let kernel = bf16_kernel()?;
    (*AS_KNOWN.get_or_init(|| computes_as_known(kernel))).then_some(kernel)
}

/// Tries sums in which the order of two steps shows, and zeros for denormals.
fn computes_as_known(kernel: Kernel<f32>) -> bool {
    let values = [1.0f32, 1.1920929e-7, 5.9604645e-8, -1e30, 1e-38, -1.2e-38, 3e-39, -1e-20, 0.0];
    let top = |x: f32| f32::from_bits(x.to_bits() & 0xffff_0000);
    let join = |x: f32, y: f32| f32::from_bits(top(x).to_bits() | top(y).to_bits() >> 16);
    let (mut left, mut want) = (Vec::new(), Vec::new());
    for (sum, x, y) in values.iter().flat_map(|&s| values.map(|x| values.map(|y| (s, x, y)))).flatten() {
        left.extend([join(sum, 0.0), join(x, y)]);
        let [sum, x, y] = [sum, x, y].map(|x| if top(x).is_subnormal() { 0f32.copysign(x) } else { top(x) });
        want.push(step(y, 0.75, step(x, 1.0, step(sum, 1.0, 0.0))).to_bits());
    }
    let n = want.len();
    let left = Array::from_slice(&left, [n, 1, 2]);
    let right = Array::from_slice(&[join(1.0, 1.0), join(1.0, 0.75)], [1, 2, 1]).broadcast_to(&Shape::from([n, 2, 1]));
    let out = Array::uninit(Shape::from([n, 1, 1]), DType::F32);
    tiles(kernel, &left, Right::Plain(&right), Target::Sums(&out), usize::MAX);
    out.to_vec::<f32>().iter().map(|x| x.to_bits()).eq(want)
}

/// As the missing half of a pair on the right, with 0 on the left, this adds -0, which changes nothing.
pub(super) const NEGATIVE_ZERO: u16 = 0x8000;

/// Pairs of neighbours along the last axis, the first in the upper half, as elements of the size of f32.
fn pairs(x: &Array, missing: u16) -> Array {
    if x.strides()[2] != 1 {
        // Neighbours lie in rows side by side, or are brought there.
        let rows = x.t();
        return pairs_of_rows(&if rows.strides()[2] == 1 { rows } else { rows.contiguous() }, missing).t();
    }
    let one = once(x).contiguous();
    let [copies, rows, k] = [one.shape()[0], one.shape()[1], one.shape()[2]];
    let from = Shared(one.ptr::<u16>().cast_mut());
    let out = joined([copies, rows, k.div_ceil(2)], |lines, to| {
        // SAFETY: so many lines lie in the contiguous array.
        let from = unsafe { std::slice::from_raw_parts(from.get().add(lines.start * k), lines.len() * k) };
        dispatch(JoinNeighbours { from, k, missing, to });
    });
    out.broadcast_to(&Shape::from([x.shape()[0], rows, k.div_ceil(2)]))
}

/// Pairs of neighbouring rows, which are contiguous, the first in the upper half, as elements of the size of f32.
pub(super) fn pairs_of_rows(x: &Array, missing: u16) -> Array {
    let one = once(x);
    let [copies, k, n] = [one.shape()[0], one.shape()[1], one.shape()[2]];
    let (from, strides) = (Shared(one.ptr::<u16>().cast_mut()), [one.strides()[0], one.strides()[1]]);
    let out = joined([copies, k.div_ceil(2), n], |lines, to| {
        dispatch(JoinRows { from: from.get(), strides, k, n, missing, first: lines.start, to });
    });
    out.broadcast_to(&Shape::from([x.shape()[0], k.div_ceil(2), n]))
}

/// An array of pairs, of which `join` writes the lines of a range.
fn joined([copies, lines, width]: [usize; 3], join: impl Fn(Range<usize>, &mut [u32]) + Sync) -> Array {
    let out = Array::uninit(Shape::from([copies, lines, width]), DType::F32);
    let to = Shared(out.ptr::<u32>().cast_mut());
    let group = (CHUNK / width.max(1)).max(1);
    threads::for_each((copies * lines).div_ceil(group), out.size(), |i| {
        let lines = i * group..(i * group + group).min(copies * lines);
        // SAFETY: these lines of the fresh output belong to this call.
        let to = unsafe { std::slice::from_raw_parts_mut(to.get().add(lines.start * width), lines.len() * width) };
        join(lines, to);
    });
    out
}

/// A batch that repeats one matrix, as that matrix.
fn once(x: &Array) -> Array {
    let copies = if x.strides()[0] == 0 { x.shape()[0].min(1) } else { x.shape()[0] };
    x.slice(&[0, 0, 0], &[copies, x.shape()[1], x.shape()[2]], &[1, 1, 1])
}

#[inline(always)]
fn join(first: u16, second: u16) -> u32 {
    u32::from(first) << 16 | u32::from(second)
}

/// Joins neighbours along lines of `k` elements; the last may miss its second half.
struct JoinNeighbours<'a> {
    from: &'a [u16],
    k: usize,
    missing: u16,
    to: &'a mut [u32],
}

impl Work for JoinNeighbours<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let half = self.k.div_ceil(2);
        for (from, to) in self.from.chunks_exact(self.k).zip(self.to.chunks_exact_mut(half)) {
            let (whole, rest) = from.as_chunks::<2>();
            to.iter_mut().zip(whole).for_each(|(o, &[x, y])| *o = join(x, y));
            if let [x] = *rest {
                to[whole.len()] = join(x, self.missing);
            }
        }
    }
}

/// Joins rows of `n` elements, two by two; the last may miss its second half.
struct JoinRows<'a> {
    from: *const u16,
    /// From a matrix to the next, and from a row to the next.
    strides: [isize; 2],
    k: usize,
    n: usize,
    missing: u16,
    /// The first pair.
    first: usize,
    to: &'a mut [u32],
}

impl Work for JoinRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let half = self.k.div_ceil(2);
        for (i, to) in self.to.chunks_exact_mut(self.n).enumerate() {
            let (copy, depth) = ((self.first + i) / half, (self.first + i) % half * 2);
            let row = |depth: usize| {
                let offset = copy as isize * self.strides[0] + depth as isize * self.strides[1];
                // SAFETY: the rows of the factor are contiguous, and this is one of them.
                unsafe { std::slice::from_raw_parts(self.from.offset(offset), self.n) }
            };
            let pairs = to.iter_mut().zip(row(depth));
            if depth + 1 < self.k {
                pairs.zip(row(depth + 1)).for_each(|((o, &x), &y)| *o = join(x, y));
            } else {
                pairs.for_each(|(o, &x)| *o = join(x, self.missing));
            }
        }
    }
}

/// As f32, denormals as zeros, and the least exponent (as it is stored) of what is not zero.
fn widened(x: &Array) -> (Array, u32) {
    let source = x.contiguous();
    let out = Array::uninit(x.shape().clone(), DType::F32);
    let (from, to) = (Shared(source.ptr::<u16>().cast_mut()), Shared(out.ptr::<u32>().cast_mut()));
    let least = AtomicU32::new(u32::MAX >> 1);
    each_chunk(x.size(), |start, len| {
        // SAFETY: the chunk lies in both arrays, which are contiguous; chunks of the fresh output are disjoint.
        let (from, to) = unsafe {
            let from = std::slice::from_raw_parts(from.get().add(start), len);
            (from, std::slice::from_raw_parts_mut(to.get().add(start), len))
        };
        least.fetch_min(dispatch(Widen(from, to)), Ordering::Relaxed);
    });
    (out, least.into_inner())
}

struct Widen<'a>(&'a [u16], &'a mut [u32]);

impl Work for Widen<'_> {
    type Output = u32;
    #[inline(always)]
    fn run(self) -> u32 {
        let mut least = u32::MAX >> 1;
        for (o, &x) in self.1.iter_mut().zip(self.0) {
            let exponent = u32::from(x) >> 7 & 0xff;
            *o = u32::from(if exponent == 0 { x & 0x8000 } else { x }) << 16;
            least = least.min(if exponent == 0 { u32::MAX >> 1 } else { exponent });
        }
        least
    }
}

/// The product of widened factors, step by step.
fn flushing(a: &Array, b: &Array) -> Array {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let out = Array::full([batch, m, n], 0.0, DType::F32).contiguous();
    let [left, right, to] = [a, b, &out].map(|x| Shared(x.ptr::<f32>().cast_mut()));
    threads::for_each(batch * m, batch * m * n * k, |i| {
        // SAFETY: all three are contiguous; the row of the fresh output belongs to this call.
        let (a, b, to) = unsafe {
            let b = std::slice::from_raw_parts(right.get().add(i / m * k * n), k * n);
            let a = std::slice::from_raw_parts(left.get().add(i * k), k);
            (a, b, std::slice::from_raw_parts_mut(to.get().add(i * n), n))
        };
        dispatch(Flushing(a, b, to));
    });
    out
}

struct Flushing<'a>(&'a [f32], &'a [f32], &'a mut [f32]);

impl Work for Flushing<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Flushing(a, b, sums) = self;
        for (&x, row) in a.iter().zip(b.chunks_exact(sums.len().max(1))) {
            sums.iter_mut().zip(row).for_each(|(s, &y)| *s = step(x, y, *s));
        }
    }
}

/// `x * y + sum` for widened bf16 numbers, zero if it is denormal. The product is exact in f64, which has digits enough for
/// the sum to be rounded twice without harm.
#[inline(always)]
fn step(x: f32, y: f32, sum: f32) -> f32 {
    /// Half a step below the least normal number; what is less than this is rounded to a denormal.
    const DENORMAL: f64 = (1.0 - f32::EPSILON as f64 / 4.0) * f32::MIN_POSITIVE as f64;
    let wide = f64::from(x) * f64::from(y) + f64::from(sum);
    if wide.abs() < DENORMAL { 0f32.copysign(wide as f32) } else { wide as f32 }
}

/// Rounds to bf16, to nearest even; every NaN becomes the same.
///
/// # Safety
/// Rows of `from` must be readable, rows of `to` writable.
unsafe fn round([rows, columns]: [usize; 2], from: (*const f32, isize), to: (*mut u16, isize)) {
    for row in 0..rows as isize {
        // SAFETY: the caller's promise.
        let (from, to) = unsafe {
            let from = std::slice::from_raw_parts(from.0.offset(row * from.1), columns);
            (from, std::slice::from_raw_parts_mut(to.0.offset(row * to.1), columns))
        };
        dispatch(Round(from, to));
    }
}

struct Round<'a>(&'a [f32], &'a mut [u16]);

impl Work for Round<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (o, &x) in self.1.iter_mut().zip(self.0) {
            let bits = x.to_bits();
            let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
            *o = if x.is_nan() { 0x7fc0 } else { rounded };
        }
    }
}

/// Calls `body(start, len)` for pieces of `0..size`.
fn each_chunk(size: usize, body: impl Fn(usize, usize) + Sync) {
    threads::for_each(size.div_ceil(CHUNK), size, |i| body(i * CHUNK, CHUNK.min(size - i * CHUNK)));
}
