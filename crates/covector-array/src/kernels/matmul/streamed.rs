//! Where a large factor is streamed: the innermost loops of products of a few rows.
//!
//! As in [`super::tile`], each sum is a chain of fused multiply-adds along the depth, in order.

use crate::isa::{Isa, isa};
use crate::math::Real;

/// Columns that [`Columns`] run down side by side.
pub(in crate::kernels) const CHAINS: usize = 16;

/// Continues the chains of contiguous columns times `a` (with its step), and returns how far along the depth it came. After the
/// depth, the columns have so many elements more.
///
/// # Safety
/// The processor must have the instruction set; `a` and the columns must have as many elements as the depth given.
pub(in crate::kernels) type Columns<T> =
    unsafe fn(&[*const T; CHAINS], *const T, isize, [usize; 2], &mut [T; CHAINS]) -> usize;

/// Continues the chains of contiguous columns times contiguous rows, each times its own, and returns how far it came.
///
/// # Safety
/// The processor must have the instruction set; all must have as many elements as the depth given.
pub(super) type Pairs<T> = unsafe fn(&[*const T; CHAINS], &[*const T; CHAINS], usize, &mut [T; CHAINS]) -> usize;

/// Rows that [`AddRows`] adds together: that many are read side by side.
pub(super) const STEPS: usize = 8;

/// Continues so many chains, the sums: adds rows, each times its number, in order, and asks for the rows that come next.
///
/// # Safety
/// The processor must have the instruction set; the rows must be readable and the sums writable for so many elements. The rows
/// that come next need not exist.
pub(super) type AddRows<T> = unsafe fn(&[*const T; STEPS], &[T; STEPS], &[*const T; STEPS], *mut T, usize);

/// Element types with loops for large factors.
pub(in crate::kernels) trait Streamed: Real {
    /// For the instruction set in use, if it has one.
    fn columns() -> Option<Columns<Self>>;
    /// For the instruction set in use, if it has one.
    fn pairs() -> Option<Pairs<Self>>;
    /// For the instruction set in use.
    fn add_rows() -> AddRows<Self>;
}

macro_rules! streamed {
    ($($t:ident $columns:ident $pairs:ident $avx512:ident $avx2:ident),*) => {$(
        impl Streamed for $t {
            fn columns() -> Option<Columns<$t>> {
                match isa() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => Some(x86::$columns),
                    _ => None,
                }
            }

            fn pairs() -> Option<Pairs<$t>> {
                match isa() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => Some(x86::$pairs),
                    _ => None,
                }
            }

            fn add_rows() -> AddRows<$t> {
                match isa() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => x86::$avx512,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => x86::$avx2,
                    _ => add_rows::<$t>,
                }
            }
        }
    )*};
}
streamed!(f32 columns_f32 pairs_f32 rows_f32_512 rows_f32_256, f64 columns_f64 pairs_f64 rows_f64_512 rows_f64_256);

/// The rows in plain Rust.
///
/// # Safety
/// As [`AddRows`].
#[inline(always)]
unsafe fn add_rows<T: Real>(
    rows: &[*const T; STEPS],
    numbers: &[T; STEPS],
    _: &[*const T; STEPS],
    sums: *mut T,
    columns: usize,
) {
    // SAFETY: the caller's promise.
    let (rows, sums) = unsafe {
        (rows.map(|row| std::slice::from_raw_parts(row, columns)), std::slice::from_raw_parts_mut(sums, columns))
    };
    for (j, sum) in sums.iter_mut().enumerate() {
        *sum = rows.iter().zip(numbers).fold(*sum, |sum, (row, &x)| x.mul_add(row[j], sum));
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{CHAINS, STEPS};
    use crate::kernels::stream::prefetch;

    /// Asks for what comes `CHAINS` cache lines later, given how many `lines` of the columns are done: as many lines of one
    /// column, of each in turn, as memory prefers; at the columns' `end`, of the columns that come next.
    #[inline(always)]
    fn ask_for_columns<T>(columns: &[*const T; CHAINS], lines: usize, end: usize) {
        let (column, ahead) = (columns[lines % CHAINS], (lines / CHAINS + 1) * CHAINS);
        let next_columns = columns[1].addr().wrapping_sub(columns[0].addr()).wrapping_mul(CHAINS);
        let from = column.cast::<i8>().wrapping_add(if ahead < end { 64 * ahead } else { next_columns });
        for line in 0..CHAINS {
            prefetch(from.wrapping_add(64 * line));
        }
    }

    /// Asks for the lines that come next in a quarter of as many columns beyond these, a line of all in four calls.
    #[inline(always)]
    fn ask_for_next<T>(columns: &[*const T; CHAINS], depth: usize, steps: usize) {
        let beyond = columns[1].addr().wrapping_sub(columns[0].addr()).wrapping_mul(CHAINS);
        let first = depth / steps % 4 * 4;
        for column in &columns[first..first + 4] {
            prefetch(column.wrapping_add(depth).cast::<i8>().wrapping_add(beyond));
        }
    }

    /// Four steps of all columns, a register for each: column `4 l + r` comes to lane `l` of register `r`; turning 4 by 4
    /// within the lanes makes a register of each step.
    ///
    /// # Safety
    /// Four elements must be readable from each column on.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn four_steps(columns: &[*const f32; CHAINS], depth: usize) -> [__m512; 4] {
        // SAFETY: the caller's promise.
        let four = |i: usize| unsafe { _mm_loadu_ps(columns[i].add(depth)) };
        let x: [__m512; 4] = std::array::from_fn(|r| {
            let lanes = _mm512_insertf32x4::<1>(_mm512_castps128_ps512(four(r)), four(4 + r));
            _mm512_insertf32x4::<3>(_mm512_insertf32x4::<2>(lanes, four(8 + r)), four(12 + r))
        });
        let (lo, hi) = (_mm512_unpacklo_ps(x[0], x[1]), _mm512_unpackhi_ps(x[0], x[1]));
        let (lo2, hi2) = (_mm512_unpacklo_ps(x[2], x[3]), _mm512_unpackhi_ps(x[2], x[3]));
        let pairs = |a: __m512, b: __m512| {
            let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
            [_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b))]
        };
        let ([first, second], [third, fourth]) = (pairs(lo, lo2), pairs(hi, hi2));
        [first, second, third, fourth]
    }

    /// Two steps of eight columns from `half` on, a register for each: as [`four_steps`].
    ///
    /// # Safety
    /// Two elements must be readable from each column on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    unsafe fn two_steps(columns: &[*const f64; CHAINS], half: usize, depth: usize) -> [__m512d; 2] {
        // SAFETY: the caller's promise.
        let two = |i: usize| unsafe { _mm_loadu_pd(columns[i].add(depth)) };
        let [x, y]: [__m512d; 2] = std::array::from_fn(|r| {
            let at = 8 * half + r;
            let lanes = _mm512_insertf64x2::<1>(_mm512_castpd128_pd512(two(at)), two(at + 2));
            _mm512_insertf64x2::<3>(_mm512_insertf64x2::<2>(lanes, two(at + 4)), two(at + 6))
        });
        [_mm512_unpacklo_pd(x, y), _mm512_unpackhi_pd(x, y)]
    }

    /// Chains in the lanes of a register, four steps at a time; `left` gives the left factors of the steps from a depth on.
    ///
    /// # Safety
    /// As [`super::Columns`], of the columns; `left` is asked for whole groups of steps below `k`.
    #[inline]
    #[target_feature(enable = "avx512f,fma")]
    unsafe fn chains_f32(
        columns: &[*const f32; CHAINS],
        k: usize,
        sums: &mut [f32; CHAINS],
        left: impl Fn(usize) -> [__m512; 4],
    ) -> usize {
        let whole = k / 4 * 4;
        // SAFETY: the caller's promise: four more elements of every column from each `depth` on.
        unsafe {
            let mut sum = _mm512_loadu_ps(sums.as_ptr());
            for depth in (0..whole).step_by(4) {
                for (x, y) in left(depth).into_iter().zip(four_steps(columns, depth)) {
                    sum = _mm512_fmadd_ps(x, y, sum);
                }
            }
            _mm512_storeu_ps(sums.as_mut_ptr(), sum);
        }
        whole
    }

    /// [`chains_f32`] two steps at a time, in two registers of eight chains each, for each of which `left` is asked.
    ///
    /// # Safety
    /// As [`chains_f32`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,fma")]
    unsafe fn chains_f64(
        columns: &[*const f64; CHAINS],
        k: usize,
        sums: &mut [f64; CHAINS],
        left: impl Fn(usize, usize) -> [__m512d; 2],
    ) -> usize {
        let whole = k / 2 * 2;
        // SAFETY: the caller's promise: two more elements of every column from each `depth` on.
        unsafe {
            let mut sum = [_mm512_loadu_pd(sums.as_ptr()), _mm512_loadu_pd(sums.as_ptr().add(8))];
            for depth in (0..whole).step_by(2) {
                for (half, sum) in sum.iter_mut().enumerate() {
                    for (x, y) in left(half, depth).into_iter().zip(two_steps(columns, half, depth)) {
                        *sum = _mm512_fmadd_pd(x, y, *sum);
                    }
                }
            }
            _mm512_storeu_pd(sums.as_mut_ptr(), sum[0]);
            _mm512_storeu_pd(sums.as_mut_ptr().add(8), sum[1]);
        }
        whole
    }

    /// # Safety
    /// As [`super::Columns`].
    #[target_feature(enable = "avx512f,fma")]
    pub(super) unsafe fn columns_f32(
        columns: &[*const f32; CHAINS],
        a: *const f32,
        step: isize,
        [k, more]: [usize; 2],
        sums: &mut [f32; CHAINS],
    ) -> usize {
        let left = |depth: usize| {
            if depth.is_multiple_of(16) {
                ask_for_columns(columns, depth / 16, (k + more) / 16);
            }
            // SAFETY: the caller's promise: `a` has `k` elements.
            [0, 1, 2, 3].map(|j| _mm512_set1_ps(unsafe { *a.offset((depth + j) as isize * step) }))
        };
        // SAFETY: the caller's promise.
        unsafe { chains_f32(columns, k, sums, left) }
    }

    /// # Safety
    /// As [`super::Columns`].
    #[target_feature(enable = "avx512f,avx512dq,fma")]
    pub(super) unsafe fn columns_f64(
        columns: &[*const f64; CHAINS],
        a: *const f64,
        step: isize,
        [k, more]: [usize; 2],
        sums: &mut [f64; CHAINS],
    ) -> usize {
        let left = |half: usize, depth: usize| {
            if half == 0 && depth.is_multiple_of(8) {
                ask_for_columns(columns, depth / 8, (k + more) / 8);
            }
            // SAFETY: the caller's promise: `a` has `k` elements.
            [0, 1].map(|j| _mm512_set1_pd(unsafe { *a.offset((depth + j) as isize * step) }))
        };
        // SAFETY: the caller's promise.
        unsafe { chains_f64(columns, k, sums, left) }
    }

    /// # Safety
    /// As [`super::Pairs`].
    #[target_feature(enable = "avx512f,fma")]
    pub(super) unsafe fn pairs_f32(
        columns: &[*const f32; CHAINS],
        rows: &[*const f32; CHAINS],
        k: usize,
        sums: &mut [f32; CHAINS],
    ) -> usize {
        let left = |depth: usize| {
            ask_for_next(columns, depth, 4);
            ask_for_next(rows, depth, 4);
            // SAFETY: the caller's promise: rows have `k` elements.
            unsafe { four_steps(rows, depth) }
        };
        // SAFETY: the caller's promise.
        unsafe { chains_f32(columns, k, sums, left) }
    }

    /// # Safety
    /// As [`super::Pairs`].
    #[target_feature(enable = "avx512f,avx512dq,fma")]
    pub(super) unsafe fn pairs_f64(
        columns: &[*const f64; CHAINS],
        rows: &[*const f64; CHAINS],
        k: usize,
        sums: &mut [f64; CHAINS],
    ) -> usize {
        let left = |half: usize, depth: usize| {
            if half == 0 {
                ask_for_next(columns, depth, 2);
                ask_for_next(rows, depth, 2);
            }
            // SAFETY: the caller's promise: rows have `k` elements.
            unsafe { two_steps(rows, half, depth) }
        };
        // SAFETY: the caller's promise.
        unsafe { chains_f64(columns, k, sums, left) }
    }

    /// A line of columns at a time, and of the rows that come next: asked for one by one, they leave the processor
    /// room to look ahead by itself as well.
    macro_rules! rows {
        ($($name:ident $features:literal $t:ident $lanes:literal $one:ident $fma:ident $load:ident $store:ident;)*) => {$(
            /// # Safety
            /// As [`super::AddRows`].
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(
                rows: &[*const $t; STEPS],
                numbers: &[$t; STEPS],
                soon: &[*const $t; STEPS],
                sums: *mut $t,
                columns: usize,
            ) {
                let whole = columns / $lanes * $lanes;
                // SAFETY: the caller's promise.
                unsafe {
                    let x = numbers.map(|x| $one(x));
                    for at in (0..whole).step_by($lanes) {
                        let mut sum = $load(sums.add(at));
                        for i in 0..STEPS {
                            prefetch(soon[i].wrapping_add(at));
                            sum = $fma(x[i], $load(rows[i].add(at)), sum);
                        }
                        $store(sums.add(at), sum);
                    }
                    let rest = rows.map(|row| row.add(whole));
                    super::add_rows(&rest, numbers, soon, sums.add(whole), columns - whole);
                }
            }
        )*};
    }
    rows! {
        rows_f32_512 "avx512f,fma" f32 16 _mm512_set1_ps _mm512_fmadd_ps _mm512_loadu_ps _mm512_storeu_ps;
        rows_f64_512 "avx512f,fma" f64 8 _mm512_set1_pd _mm512_fmadd_pd _mm512_loadu_pd _mm512_storeu_pd;
        rows_f32_256 "avx2,fma" f32 8 _mm256_set1_ps _mm256_fmadd_ps _mm256_loadu_ps _mm256_storeu_ps;
        rows_f64_256 "avx2,fma" f64 4 _mm256_set1_pd _mm256_fmadd_pd _mm256_loadu_pd _mm256_storeu_pd;
    }
}
