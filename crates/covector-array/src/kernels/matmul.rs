//! Products of matrices, batched: the one door to the `gemm` family of crates.
//!
//! Threads are ours: the work is cut into pieces that depend on shapes alone (whole products of a large batch, rows or columns
//! of a single one), and each piece runs on one thread. Two cases go round the library: very small products, where its
//! set-up costs more than the work, and a right factor stored transposed, which it packs slowly.

use std::ops::Range;

use gemm_common::Parallelism;

use super::layout::Shared;
use super::{cast, copy};
use crate::isa::{Work, dispatch};
use crate::math::{Num, Real};
use crate::{Array, DType, Element, Shape, threads};

/// Multiply-adds per piece of parallel work, roughly.
const WORK: usize = 1 << 22;
/// Pieces a single product is cut into at most: each packs one of the factors anew.
const PIECES: usize = 8;
/// Up to this many multiply-adds a product is a plain loop.
const SMALL: usize = 16 * 16 * 16;

/// `[b, m, k] @ [b, k, n] -> [b, m, n]`, any strides (a batch stride may be 0).
///
/// f16 and bf16 are multiplied and summed in f32; integers wrap. A sum of no products is 0.
///
/// # Panics
/// If the operands are not 3-d arrays of the same numeric dtype with fitting shapes.
pub fn matmul(a: &Array, b: &Array) -> Array {
    let (sa, sb) = (a.shape(), b.shape());
    assert!(
        sa.len() == 3 && sb.len() == 3 && sa[0] == sb[0] && sa[2] == sb[1],
        "no batched matrix product {sa} @ {sb}"
    );
    assert_eq!(a.dtype(), b.dtype(), "a matrix product needs one dtype");
    match a.dtype() {
        DType::F32 => floats(a, b, gemm_f32::gemm::f32::get_gemm_fn()),
        DType::F64 => floats(a, b, gemm_f64::gemm::f64::get_gemm_fn()),
        half @ (DType::F16 | DType::BF16) => cast(&matmul(&cast(a, DType::F32), &cast(b, DType::F32)), half),
        DType::Bool => panic!("no matrix product of bool: cast first"),
        // Wrapping products do not depend on the sign.
        DType::U8 | DType::I8 => integers::<u8>(a, b),
        DType::U16 | DType::I16 => integers::<u16>(a, b),
        DType::U32 | DType::I32 => integers::<u32>(a, b),
        DType::U64 | DType::I64 => integers::<u64>(a, b),
    }
}

/// A matrix of a batch: pointer to the first element and strides in elements.
#[derive(Clone, Copy)]
struct Factor<T> {
    ptr: Shared<T>,
    batch: isize,
    rows: isize,
    columns: isize,
}

impl<T: Element> Factor<T> {
    fn of(x: &Array) -> Factor<T> {
        let s = x.strides();
        Factor { ptr: Shared(x.ptr::<T>().cast_mut()), batch: s[0], rows: s[1], columns: s[2] }
    }

    /// The address of element `[batch, row, column]`.
    fn at(&self, batch: usize, row: usize, column: usize) -> *mut T {
        let offset = batch as isize * self.batch + row as isize * self.rows + column as isize * self.columns;
        self.ptr.get().wrapping_offset(offset)
    }
}

/// A kernel of the gemm crates: sizes m, n, k; destination; whether it is read; factors; scales; conjugations; threads.
/// Strides are given as (columns, rows).
type Gemm<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    Parallelism,
);

/// A batch of products of matrices that are neither empty nor without depth.
struct Job<T> {
    gemm: Gemm<T>,
    a: Factor<T>,
    b: Factor<T>,
    out: Factor<T>,
    m: usize,
    k: usize,
    n: usize,
}

fn floats<T: Real>(a: &Array, b: &Array, gemm: Gemm<T>) -> Array {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let out = Array::uninit(Shape::from([batch, m, n]), T::DTYPE);
    if out.size() == 0 || k == 0 {
        return if out.size() == 0 { out } else { Array::full([batch, m, n], 0.0, T::DTYPE).contiguous() };
    }
    let cost = m * n * k;
    let turned;
    let b = if worth_turning(b, m) {
        turned = turn(b);
        &turned
    } else {
        b
    };
    let job = Job { gemm, a: Factor::of(a), b: Factor::of(b), out: Factor::of(&out), m, k, n };
    if cost <= SMALL && job.b.columns == 1 {
        let group = (SMALL * 16 / cost).max(1);
        threads::for_each(batch.div_ceil(group), batch * cost, |i| {
            dispatch(Small { job: &job, batch: i * group..(i * group + group).min(batch) });
        });
        return out;
    }
    let split = if batch >= 8 { 1 } else { (cost / WORK).clamp(1, PIECES) };
    let (by_rows, along) = if m >= n { (true, m) } else { (false, n) };
    let piece = along.div_ceil(split).next_multiple_of(16).min(along);
    let pieces = along.div_ceil(piece);
    let group = (WORK / 16 / cost).max(1);
    threads::for_each((batch * pieces).div_ceil(group), batch * cost, |i| {
        for i in i * group..(i * group + group).min(batch * pieces) {
            let (batch, start) = (i / pieces, i % pieces * piece);
            let range = start..(start + piece).min(along);
            let (rows, columns) = if by_rows { (range, 0..n) } else { (0..m, range) };
            job.block(batch, rows, columns);
        }
    });
    out
}

/// True if the columns of `b` are contiguous, its rows are not, and enough rows of the left factor share the cost of a copy.
fn worth_turning(b: &Array, m: usize) -> bool {
    let (s, d) = (b.strides(), b.shape());
    let (rows, columns) = (s[1].unsigned_abs(), s[2].unsigned_abs());
    d[2] > 1 && d[1] > 1 && columns > rows && m >= 24 && d[1] * d[2] >= 128 * 128
}

/// The same matrices with contiguous rows; a batch that repeats one matrix stays one.
fn turn(b: &Array) -> Array {
    if b.strides()[0] != 0 {
        return copy(b);
    }
    let d = b.shape();
    copy(&b.slice(&[0, 0, 0], &[1, d[1], d[2]], &[1, 1, 1])).broadcast_to(d)
}

impl<T: Real> Job<T> {
    /// Writes a block of one product.
    fn block(&self, batch: usize, rows: Range<usize>, columns: Range<usize>) {
        let (a, b) = (self.a.at(batch, rows.start, 0), self.b.at(batch, 0, columns.start));
        // The library expects a depth that runs forwards.
        let back = if self.b.rows < 0 { self.k as isize - 1 } else { 0 };
        let (a_depth, b_depth) = if back > 0 { (-self.a.columns, -self.b.rows) } else { (self.a.columns, self.b.rows) };
        // SAFETY: the strides and sizes are those of arrays alive here; blocks of the output are disjoint. The library
        // prefers contiguous columns, so it computes the transposed product, outᵀ = bᵀ aᵀ.
        unsafe {
            (self.gemm)(
                columns.len(),
                rows.len(),
                self.k,
                self.out.at(batch, rows.start, columns.start),
                self.out.rows,
                self.out.columns,
                false,
                b.wrapping_offset(back * self.b.rows),
                b_depth,
                self.b.columns,
                a.wrapping_offset(back * self.a.columns),
                self.a.rows,
                a_depth,
                T::ZERO,
                T::ONE,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

/// Small products: a few columns at a time stay in registers along the whole depth.
struct Small<'a, T> {
    job: &'a Job<T>,
    batch: Range<usize>,
}

impl<T: Real> Work for Small<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for batch in self.batch {
            for row in 0..self.job.m {
                let mut column = 0;
                // Widths are constants, so that the loops over them become vector instructions.
                while column + 16 <= self.job.n {
                    self.job.strip::<16>(batch, row, column);
                    column += 16;
                }
                if column + 8 <= self.job.n {
                    self.job.strip::<8>(batch, row, column);
                    column += 8;
                }
                if column + 4 <= self.job.n {
                    self.job.strip::<4>(batch, row, column);
                    column += 4;
                }
                while column < self.job.n {
                    self.job.strip::<1>(batch, row, column);
                    column += 1;
                }
            }
        }
    }
}

impl<T: Real> Job<T> {
    /// Writes `WIDTH` neighbours of a row of a product; rows of `b` and of the output must be contiguous.
    #[inline(always)]
    fn strip<const WIDTH: usize>(&self, batch: usize, row: usize, column: usize) {
        let (left, right) = (self.a.at(batch, row, 0), self.b.at(batch, 0, column));
        let mut sum = [T::ZERO; WIDTH];
        for depth in 0..self.k as isize {
            // SAFETY: the elements lie in `a` and `b`; rows of `b` are contiguous.
            let (x, y) = unsafe {
                let y = right.offset(depth * self.b.rows).cast::<[T; WIDTH]>().read_unaligned();
                (*left.offset(depth * self.a.columns), y)
            };
            for i in 0..WIDTH {
                sum[i] = Real::mul_add(x, y[i], sum[i]);
            }
        }
        // SAFETY: this part of the fresh output is written by this call alone.
        unsafe { self.out.at(batch, row, column).cast::<[T; WIDTH]>().write_unaligned(sum) };
    }
}

fn integers<T: Num>(a: &Array, b: &Array) -> Array {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let (fa, dense) = (Factor::<T>::of(a), b.contiguous());
    let (fb, out) = (Factor::<T>::of(&dense), Array::uninit(Shape::from([batch, m, n]), a.dtype()));
    let fo = Factor::<T>::of(&out);
    threads::for_each(batch * m, batch * m * k * n, |i| {
        let (batch, row) = (i / m, i % m);
        // SAFETY: the rows of the fresh output are contiguous, and each call writes its own.
        let line = unsafe { std::slice::from_raw_parts_mut(fo.at(batch, row, 0), n) };
        line.fill(T::ZERO);
        for depth in 0..k {
            // SAFETY: the element lies in `a`; rows of the dense `b` are contiguous.
            let (x, right) =
                unsafe { (*fa.at(batch, row, depth), std::slice::from_raw_parts(fb.at(batch, depth, 0), n)) };
            line.iter_mut().zip(right).for_each(|(o, &y)| *o = Num::add(*o, Num::mul(x, y)));
        }
    });
    out
}
