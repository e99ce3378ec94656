//! Register tiles of a matrix product whose right factor's rows are read where they lie, in four pieces each.
//!
//! Where the rows of an image are long enough, a panel of windows need not be copied. Chains are those of the tiles of
//! [`crate::kernels::matmul`].

use crate::isa::{Isa, isa};
use crate::kernels::matmul::Tiled;

/// A whole register tile of `out (+)= a · b`.
pub(super) struct Scattered<'a, T> {
    /// The left factor: `rows` elements for each step of the depth, one step after another.
    pub a: *const T,
    pub rows: usize,
    /// Where the four pieces of the right factor's row at offset 0 begin; and the offsets of the rows.
    pub pieces: [*const T; PIECES],
    pub offsets: &'a [usize],
    /// The first element of the result, whose rows are contiguous.
    pub out: *mut T,
    pub out_row: usize,
    /// True if the chains start from zero, false if they go on from what `out` holds.
    pub fresh: bool,
}

impl<T> Scattered<'_, T> {
    /// Columns of the tile: two registers of 64 bytes.
    pub const WIDE: usize = 128 / size_of::<T>();
}

/// Pieces of a row.
pub(super) const PIECES: usize = 4;

/// # Safety
/// Every element the tile names must be valid, the result's also writable, by this call alone.
type Run<T> = unsafe fn(&Scattered<T>);

/// Element types with such tiles, which have the sizes of those of the matrix product.
pub(super) trait Scatter: Tiled {
    /// For the instruction set in use, if it has one.
    fn scattered() -> Option<Run<Self>>;
}

macro_rules! scatter {
    ($($t:ident $avx512:ident),*) => {$(
        impl Scatter for $t {
            fn scattered() -> Option<Run<$t>> {
                match isa() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => Some(x86::$avx512::run),
                    _ => None,
                }
            }
        }
    )*};
}
scatter!(f32 avx512_f32, f64 avx512_f64);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    macro_rules! tile {
        (
            $name:ident, $t:ident, lanes $lanes:literal, rows [$($r:literal)*],
            $zero:ident $one:ident $fma:ident $load:ident $store:ident, $pair:expr
        ) => {
            pub(in super::super) mod $name {
                use super::super::Scattered;
                use super::*;

                /// # Safety
                /// As [`super::super::Run`].
                #[target_feature(enable = "avx512f,avx512dq,fma")]
                pub unsafe fn run(t: &Scattered<$t>) {
                    // SAFETY: the caller's promise.
                    unsafe {
                        match t.rows {
                            $($r => block::<$r>(t),)*
                            rows => unreachable!("no tile of {rows} rows"),
                        }
                    }
                }

                #[inline]
                #[target_feature(enable = "avx512f,avx512dq,fma")]
                #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
                unsafe fn block<const ROWS: usize>(t: &Scattered<$t>) {
                    // SAFETY: the caller's promise.
                    unsafe {
                        let mut sum = [[$zero(); 2]; ROWS];
                        if !t.fresh {
                            for i in 0..ROWS {
                                let from = t.out.add(i * t.out_row);
                                sum[i] = [$load(from), $load(from.add($lanes))];
                            }
                        }
                        let [p, q, r, s] = t.pieces;
                        let mut a = t.a;
                        for &at in t.offsets {
                            let right = [$pair(p.add(at), q.add(at)), $pair(r.add(at), s.add(at))];
                            for i in 0..ROWS {
                                let left = $one(*a.add(i));
                                sum[i][0] = $fma(left, right[0], sum[i][0]);
                                sum[i][1] = $fma(left, right[1], sum[i][1]);
                            }
                            a = a.add(ROWS);
                        }
                        for i in 0..ROWS {
                            let to = t.out.add(i * t.out_row);
                            $store(to, sum[i][0]);
                            $store(to.add($lanes), sum[i][1]);
                        }
                    }
                }
            }
        };
    }

    tile!(
        avx512_f32, f32, lanes 16, rows [1 2 3 4 5 6 7 8 9 10 11 12],
        _mm512_setzero_ps _mm512_set1_ps _mm512_fmadd_ps _mm512_loadu_ps _mm512_storeu_ps,
        |lo, hi| _mm512_insertf32x8::<1>(_mm512_castps256_ps512(_mm256_loadu_ps(lo)), _mm256_loadu_ps(hi))
    );
    tile!(
        avx512_f64, f64, lanes 8, rows [1 2 3 4 5 6 7 8 9 10 11 12],
        _mm512_setzero_pd _mm512_set1_pd _mm512_fmadd_pd _mm512_loadu_pd _mm512_storeu_pd,
        |lo, hi| _mm512_insertf64x4::<1>(_mm512_castpd256_pd512(_mm256_loadu_pd(lo)), _mm256_loadu_pd(hi))
    );
}
