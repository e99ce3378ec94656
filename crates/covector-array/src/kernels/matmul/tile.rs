//! Register tiles: the innermost loops of a matrix product.
//!
//! Each element of the result is a chain of fused multiply-adds along the shared axis, in order ([`Chains`] says from what and
//! to what end): the bits do not depend on the instruction set, on how the work is cut, or on the layout of the factors.
//!
//! What a tile asks for ahead is a few lines, mostly in the second-level cache by then, so it is asked into the first;
//! whoever streams memory asks into the second ([`prefetch`](crate::kernels::stream::prefetch)).

use super::streamed::Streamed;
use crate::isa::{Isa, isa};
use crate::math::Real;

/// Where the chains of a tile begin and what becomes of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::kernels) enum Chains {
    /// From zero; the results are the chains.
    Fresh,
    /// From the results, of which they are the continuation.
    Continued,
    /// From zero; each is added to its result at its end.
    Added,
}

/// A block of `out (+)= a · b` for one call: at most [`Kernel::rows`] by [`Kernel::columns`], or [`Kernel::tall`] rows by half
/// as many columns.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Tile<T> {
    /// The first element of the left factor, and its strides from row to row and along the depth.
    pub a: *const T,
    pub a_row: isize,
    pub a_depth: isize,
    /// The first element of the right factor, whose rows are contiguous, and the stride along the depth.
    pub b: *const T,
    pub b_depth: isize,
    /// The first element of the result, whose rows are contiguous.
    pub out: *mut T,
    pub out_row: isize,
    pub rows: usize,
    pub columns: usize,
    pub depth: usize,
    pub chains: Chains,
}

/// A register tile for one element type and instruction set.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Kernel<T> {
    pub rows: usize,
    pub columns: usize,
    /// Rows of a tile of at most half the columns.
    pub tall: usize,
    /// # Safety
    /// The processor must have the instruction set, and every element the tile names must be valid (the result's also
    /// writable, by this call alone).
    pub run: unsafe fn(&Tile<T>),
}

impl<T> Kernel<T> {
    /// Rows of a tile of so many columns.
    pub fn rows_for(&self, columns: usize) -> usize {
        if 2 * columns <= self.columns { self.tall } else { self.rows }
    }
}

/// Steps along the depth from which on a left factor whose steps lie apart is not in the first-level cache.
#[cfg(target_arch = "x86_64")]
const DEEP: usize = 384;

/// Element types with register tiles.
pub(in crate::kernels) trait Tiled: Streamed {
    /// The tile for the instruction set in use.
    fn kernel() -> Kernel<Self>;
}

macro_rules! tiled {
    ($($t:ident $avx512:ident $avx2:ident),*) => {$(
        impl Tiled for $t {
            fn kernel() -> Kernel<$t> {
                match isa() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => x86::$avx512::KERNEL,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => x86::$avx2::KERNEL,
                    _ => Kernel { rows: 4, columns: 16, tall: 4, run: portable::<$t> },
                }
            }
        }
    )*};
}
tiled!(f32 avx512_f32 avx2_f32, f64 avx512_f64 avx2_f64);

/// The tile whose factors hold pairs of bf16 numbers, the first in the upper half, if the processor has the instruction.
pub(super) fn bf16_kernel() -> Option<Kernel<f32>> {
    #[cfg(target_arch = "x86_64")]
    if isa() == Isa::Avx512 && is_x86_feature_detected!("avx512bf16") {
        return Some(x86::avx512_bf16::KERNEL);
    }
    None
}

/// The tile in plain Rust: four rows of sixteen columns.
///
/// # Safety
/// As [`Kernel::run`].
unsafe fn portable<T: Real>(t: &Tile<T>) {
    let mut sum = [[T::ZERO; 16]; 4];
    // SAFETY: the caller's promise.
    unsafe {
        if t.chains == Chains::Continued {
            for (i, row) in sum.iter_mut().enumerate().take(t.rows) {
                for (j, s) in row.iter_mut().enumerate().take(t.columns) {
                    *s = *t.out.offset(i as isize * t.out_row + j as isize);
                }
            }
        }
        for depth in 0..t.depth as isize {
            let mut right = [T::ZERO; 16];
            let from = t.b.offset(depth * t.b_depth);
            right.iter_mut().enumerate().take(t.columns).for_each(|(j, r)| *r = *from.add(j));
            for (i, row) in sum.iter_mut().enumerate().take(t.rows) {
                let left = *t.a.offset(i as isize * t.a_row + depth * t.a_depth);
                row.iter_mut().zip(&right).for_each(|(s, &r)| *s = Real::mul_add(left, r, *s));
            }
        }
        for (i, row) in sum.iter().enumerate().take(t.rows) {
            for (j, &s) in row.iter().enumerate().take(t.columns) {
                let to = t.out.offset(i as isize * t.out_row + j as isize);
                *to = if t.chains == Chains::Added { *to + s } else { s };
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::DEEP;

    /// A module with the tile of `$rows` rows by `$vectors` registers, and those of `$tall` rows by half as many.
    macro_rules! tile {
        (
            $name:ident, $features:literal, $t:ident, lanes $lanes:literal,
            rows [$($row:literal)*] vectors [$($wide:literal)*], tall [$($tall:literal)*] vectors [$($narrow:literal)*],
            $zero:ident $one:ident $fma:ident $add:ident $load:ident $store:ident, $mask:expr, $masked_load:expr, $masked_store:expr
        ) => {
            pub(in super::super) mod $name {
                use super::super::{Chains, Kernel, Tile};
                use super::*;

                const VECTORS: usize = [$($wide),*][0];
                pub const KERNEL: Kernel<$t> = Kernel {
                    rows: [$($row),*].len(),
                    columns: VECTORS * $lanes,
                    tall: [$($tall),*].len(),
                    run,
                };

                /// # Safety
                /// As [`Kernel::run`].
                #[target_feature(enable = $features)]
                unsafe fn run(t: &Tile<$t>) {
                    // SAFETY: the caller's promise.
                    unsafe {
                        match t.columns.div_ceil($lanes) {
                            VECTORS if t.columns == VECTORS * $lanes => rows::<VECTORS, true>(t),
                            $($wide => rows::<$wide, false>(t),)*
                            $($narrow => tall::<$narrow, false>(t),)*
                            _ => unreachable!("a tile has 1 to {} columns", VECTORS * $lanes),
                        }
                    }
                }

                /// # Safety
                /// As [`Kernel::run`].
                #[target_feature(enable = $features)]
                unsafe fn rows<const WIDE: usize, const WHOLE: bool>(t: &Tile<$t>) {
                    // SAFETY: the caller's promise.
                    unsafe {
                        match t.rows {
                            $($row => block::<$row, WIDE, WHOLE>(t),)*
                            _ => unreachable!("no such tile has {} rows", t.rows),
                        }
                    }
                }

                /// # Safety
                /// As [`Kernel::run`].
                #[target_feature(enable = $features)]
                unsafe fn tall<const WIDE: usize, const WHOLE: bool>(t: &Tile<$t>) {
                    // SAFETY: the caller's promise.
                    unsafe {
                        match t.rows {
                            $($tall => block::<$tall, WIDE, WHOLE>(t),)*
                            _ => unreachable!("no such tile has {} rows", t.rows),
                        }
                    }
                }

                #[inline]
                #[target_feature(enable = $features)]
                #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
                unsafe fn block<const ROWS: usize, const WIDE: usize, const WHOLE: bool>(t: &Tile<$t>) {
                    // SAFETY: the caller's promise; the mask keeps loads and stores within the tile's columns.
                    unsafe {
                        let mask = $mask(t.columns - (WIDE - 1) * $lanes);
                        let load = |at: *const $t, v: usize| {
                            let at = at.add(v * $lanes);
                            if WHOLE || v + 1 < WIDE { $load(at) } else { $masked_load(mask, at) }
                        };
                        let mut sum = [[$zero(); WIDE]; ROWS];
                        if t.chains == Chains::Continued {
                            for i in 0..ROWS {
                                for v in 0..WIDE {
                                    sum[i][v] = load(t.out.offset(i as isize * t.out_row), v);
                                }
                            }
                        }
                        if t.chains != Chains::Fresh {
                            // The rows below come next: their sums are asked for while these grow.
                            for i in 0..ROWS {
                                let below = t.out.wrapping_offset((ROWS + i) as isize * t.out_row);
                                for v in 0..WIDE {
                                    _mm_prefetch::<_MM_HINT_T0>(below.wrapping_add(v * $lanes).cast());
                                }
                            }
                        }
                        let (mut a, mut b) = (t.a, t.b);
                        let mut left = t.depth;
                        let line = 64 / size_of::<$t>();
                        while left > 0 {
                            let steps = left.min(line);
                            left -= steps;
                            if t.a_depth != 1 && t.depth >= DEEP {
                                // Each of the next steps reads the left factor elsewhere.
                                for i in 0..line {
                                    let ahead = a.wrapping_offset((line + i) as isize * t.a_depth);
                                    _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                                }
                            } else if t.a_depth == 1 && t.depth >= line {
                                // As many rows below come next: a cache line of each is asked for.
                                for i in 0..ROWS {
                                    let below = a.wrapping_offset((ROWS + i) as isize * t.a_row);
                                    _mm_prefetch::<_MM_HINT_T0>(below.cast());
                                }
                            }
                            for _ in 0..steps {
                                let mut right = [$zero(); WIDE];
                                for v in 0..WIDE {
                                    right[v] = load(b, v);
                                }
                                for i in 0..ROWS {
                                    let left = $one(*a.offset(i as isize * t.a_row));
                                    for v in 0..WIDE {
                                        sum[i][v] = $fma(left, right[v], sum[i][v]);
                                    }
                                }
                                a = a.wrapping_offset(t.a_depth);
                                b = b.wrapping_offset(t.b_depth);
                            }
                        }
                        if t.chains == Chains::Added {
                            for i in 0..ROWS {
                                for v in 0..WIDE {
                                    let before = load(t.out.offset(i as isize * t.out_row), v);
                                    sum[i][v] = $add(before, sum[i][v]);
                                }
                            }
                        }
                        for i in 0..ROWS {
                            let to = t.out.offset(i as isize * t.out_row);
                            for v in 0..WIDE {
                                let to = to.add(v * $lanes);
                                if WHOLE || v + 1 < WIDE {
                                    $store(to, sum[i][v]);
                                } else {
                                    $masked_store(to, mask, sum[i][v]);
                                }
                            }
                        }
                    }
                }
            }
        };
    }

    tile!(
        avx512_f32, "avx512f,fma", f32, lanes 16,
        rows [1 2 3 4 5 6] vectors [4 3], tall [1 2 3 4 5 6 7 8 9 10 11 12] vectors [2 1],
        _mm512_setzero_ps _mm512_set1_ps _mm512_fmadd_ps _mm512_add_ps _mm512_loadu_ps _mm512_storeu_ps,
        |n: usize| ((1u32 << n.min(16)) - 1) as __mmask16, |m, p| _mm512_maskz_loadu_ps(m, p),
        |p, m, v| _mm512_mask_storeu_ps(p, m, v)
    );
    tile!(
        avx512_f64, "avx512f,fma", f64, lanes 8,
        rows [1 2 3 4 5 6] vectors [4 3], tall [1 2 3 4 5 6 7 8 9 10 11 12] vectors [2 1],
        _mm512_setzero_pd _mm512_set1_pd _mm512_fmadd_pd _mm512_add_pd _mm512_loadu_pd _mm512_storeu_pd,
        |n: usize| ((1u32 << n.min(8)) - 1) as __mmask8, |m, p| _mm512_maskz_loadu_pd(m, p),
        |p, m, v| _mm512_mask_storeu_pd(p, m, v)
    );
    tile!(
        // A step is a pair of bf16 numbers: the one in the upper half goes first.
        avx512_bf16, "avx512f,avx512bf16,fma", f32, lanes 16,
        rows [1 2 3 4 5 6] vectors [4 3], tall [1 2 3 4 5 6 7 8 9 10 11 12] vectors [2 1],
        _mm512_setzero_ps _mm512_set1_ps pairs _mm512_add_ps _mm512_loadu_ps _mm512_storeu_ps,
        |n: usize| ((1u32 << n.min(16)) - 1) as __mmask16, |m, p| _mm512_maskz_loadu_ps(m, p),
        |p, m, v| _mm512_mask_storeu_ps(p, m, v)
    );
    tile!(
        avx2_f32, "avx2,fma", f32, lanes 8,
        rows [1 2 3 4 5 6] vectors [2], tall [1 2 3 4 5 6 7 8 9 10 11 12] vectors [1],
        _mm256_setzero_ps _mm256_set1_ps _mm256_fmadd_ps _mm256_add_ps _mm256_loadu_ps _mm256_storeu_ps,
        |n: usize| _mm256_loadu_si256(MASK_32[8 - n.min(8)..].as_ptr().cast()), |m, p| _mm256_maskload_ps(p, m),
        |p, m, v| _mm256_maskstore_ps(p, m, v)
    );
    tile!(
        avx2_f64, "avx2,fma", f64, lanes 4,
        rows [1 2 3 4 5 6] vectors [2], tall [1 2 3 4 5 6 7 8 9 10 11 12] vectors [1],
        _mm256_setzero_pd _mm256_set1_pd _mm256_fmadd_pd _mm256_add_pd _mm256_loadu_pd _mm256_storeu_pd,
        |n: usize| _mm256_loadu_si256(MASK_64[4 - n.min(4)..].as_ptr().cast()), |m, p| _mm256_maskload_pd(p, m),
        |p, m, v| _mm256_maskstore_pd(p, m, v)
    );

    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn pairs(left: __m512, right: __m512, sum: __m512) -> __m512 {
        // SAFETY: both are registers of 512 bits.
        let bits = |x: __m512| unsafe { std::mem::transmute::<__m512, __m512bh>(x) };
        _mm512_dpbf16_ps(sum, bits(left), bits(right))
    }

    /// Read from place `lanes - n` on: `n` lanes on, the rest off.
    static MASK_32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    static MASK_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];
}
