//! Register tiles of a matrix product whose right factor's rows are read where they lie, in four pieces each.
//!
//! Where the rows of an image are long enough, a panel of windows need not be copied; where they are short, it is put
//! together in registers. Chains are those of the tiles of [`crate::kernels::matmul`].

use super::product::Pack;
use crate::isa::{Isa, isa};
use crate::kernels::matmul::Tiled;

/// A whole register tile of `out (+)= a · b`.
pub(super) struct Scattered<'a, T> {
    /// The left factor: `rows` elements for each step of the depth, and the stride from one step to the next.
    pub a: *const T,
    pub a_depth: usize,
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
pub(super) type Run<T> = unsafe fn(&Scattered<T>);

/// Copies runs of elements that are neighbours, to whole registers.
///
/// # Safety
/// The processor must have the instruction set; what the runs name must be readable, and the rows, rounded up to whole
/// registers, writable.
type Packer<T> = unsafe fn(&Pack<T>);

/// Element types with such tiles, which have the sizes of those of the matrix product for AVX-512.
pub(super) trait Scatter: Tiled {
    /// The tile for the instruction set in use.
    fn scattered() -> Run<Self>;
    /// For an instruction set with masks.
    fn packer() -> Option<Packer<Self>>;
}

macro_rules! scatter {
    ($($t:ident $avx512:ident $avx2:ident),*) => {$(
        impl Scatter for $t {
            fn scattered() -> Run<$t> {
                match isa() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => x86::$avx512::run,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => x86::$avx2::run,
                    _ => portable::<$t>,
                }
            }
            fn packer() -> Option<Packer<$t>> {
                match isa() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => Some(x86::$avx512::pack),
                    _ => None,
                }
            }
        }
    )*};
}
scatter!(f32 avx512_f32 avx2_f32, f64 avx512_f64 avx2_f64);

/// The tile in plain Rust, row by row.
///
/// # Safety
/// As [`Run`].
unsafe fn portable<T: Tiled>(t: &Scattered<T>) {
    let size = Scattered::<T>::WIDE / PIECES;
    for row in 0..t.rows {
        for (i, piece) in t.pieces.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                let out = t.out.add(row * t.out_row + i * size);
                if t.fresh {
                    (0..size).for_each(|lane| *out.add(lane) = T::ZERO);
                }
                for (d, &at) in t.offsets.iter().enumerate() {
                    let left = *t.a.add(d * t.a_depth + row);
                    for lane in 0..size {
                        *out.add(lane) = left.mul_add(*piece.add(at + lane), *out.add(lane));
                    }
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use smallvec::SmallVec;

    use super::{Pack, Scattered};

    /// `run`: some rows and two registers of columns at a time; `$halves` of these make up a row.
    macro_rules! tile {
        (
            $features:literal, $t:ident, lanes $lanes:literal, $halves:literal of a row, rows [$($r:literal)*],
            $zero:ident $one:ident $fma:ident $load:ident $store:ident, $right:expr
        ) => {
            /// Rows at a time.
            const HIGH: usize = [$($r),*].len();

            /// # Safety
            /// As [`super::super::Run`].
            #[target_feature(enable = $features)]
            pub unsafe fn run(t: &Scattered<$t>) {
                for half in 0..$halves {
                    for row in (0..t.rows).step_by(HIGH) {
                        // SAFETY: the caller's promise.
                        unsafe {
                            match HIGH.min(t.rows - row) {
                                $($r => block::<$r>(t, row, half),)*
                                rows => unreachable!("no tile of {rows} rows"),
                            }
                        }
                    }
                }
            }

            #[inline]
            #[target_feature(enable = $features)]
            #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
            unsafe fn block<const ROWS: usize>(t: &Scattered<$t>, row: usize, half: usize) {
                // SAFETY: the caller's promise.
                unsafe {
                    let out = t.out.add(row * t.out_row + half * 2 * $lanes);
                    let mut sum = [[$zero(); 2]; ROWS];
                    if !t.fresh {
                        for i in 0..ROWS {
                            let from = out.add(i * t.out_row);
                            sum[i] = [$load(from), $load(from.add($lanes))];
                        }
                    }
                    let (pieces, mut a) = (t.pieces, t.a.add(row));
                    for &at in t.offsets {
                        let right = $right(&pieces, half, at);
                        for i in 0..ROWS {
                            let left = $one(*a.add(i));
                            sum[i][0] = $fma(left, right[0], sum[i][0]);
                            sum[i][1] = $fma(left, right[1], sum[i][1]);
                        }
                        a = a.wrapping_add(t.a_depth);
                    }
                    for i in 0..ROWS {
                        let to = out.add(i * t.out_row);
                        $store(to, sum[i][0]);
                        $store(to.add($lanes), sum[i][1]);
                    }
                }
            }
        };
    }

    /// `pack`, by masks.
    macro_rules! pack {
        ($t:ident, lanes $lanes:literal of $mask:ident, $zero:ident $masked_load:ident $store:ident) => {
            /// Lanes that are neighbours in memory: where lane 0 would lie, and which lanes they are.
            type Segment = (*const $t, $mask);

            /// # Safety
            /// As [`super::super::Packer`].
            #[target_feature(enable = "avx512f")]
            pub unsafe fn pack(p: &Pack<$t>) {
                let (mut segments, mut lane, mut to) = (SmallVec::<[Segment; $lanes]>::new(), 0, p.to);
                let last = p.runs.len() - 1;
                for (i, run) in p.runs.iter().enumerate() {
                    let (mut from, mut left) = (p.from.wrapping_offset(run.from), run.len);
                    while left > 0 {
                        let len = left.min($lanes - lane);
                        let lanes = ((1u32 << len) - 1) << lane;
                        segments.push((from.wrapping_sub(lane), lanes as $mask));
                        (lane, left, from) = (lane + len, left - len, from.wrapping_add(len));
                        if lane == $lanes || (i == last && left == 0) {
                            // SAFETY: the caller's promise.
                            unsafe { column(p, &segments, to) };
                            segments.clear();
                            (lane, to) = (0, to.wrapping_add($lanes));
                        }
                    }
                }
            }

            /// A register for every offset.
            ///
            /// # Safety
            /// As [`pack`].
            #[target_feature(enable = "avx512f")]
            unsafe fn column(p: &Pack<$t>, segments: &[Segment], to: *mut $t) {
                // SAFETY: the caller's promise.
                unsafe {
                    match segments.len() {
                        1 => gather::<1>(p, segments, to),
                        2 => gather::<2>(p, segments, to),
                        3 => gather::<3>(p, segments, to),
                        _ => gather::<4>(p, segments, to),
                    }
                }
            }

            /// # Safety
            /// As [`pack`]; there must be so many segments, or more than four.
            #[inline]
            #[target_feature(enable = "avx512f")]
            unsafe fn gather<const N: usize>(p: &Pack<$t>, segments: &[Segment], mut to: *mut $t) {
                let (first, rest) = segments.split_at(N);
                for &offset in p.offsets {
                    let mut lanes = $zero();
                    // SAFETY: the caller's promise; lanes that are off are not read.
                    unsafe {
                        for i in 0..N {
                            let (from, mask) = first[i];
                            lanes = $masked_load(lanes, mask, from.wrapping_add(offset));
                        }
                        for &(from, mask) in rest {
                            lanes = $masked_load(lanes, mask, from.wrapping_add(offset));
                        }
                        $store(to, lanes);
                    }
                    to = to.wrapping_add(p.row);
                }
            }
        };
    }

    pub(super) mod avx512_f32 {
        use super::*;

        tile!(
            "avx512f,avx512dq,fma", f32, lanes 16, 1 of a row, rows [1 2 3 4 5 6 7 8 9 10 11 12],
            _mm512_setzero_ps _mm512_set1_ps _mm512_fmadd_ps _mm512_loadu_ps _mm512_storeu_ps,
            |[p, q, r, s]: &[*const f32; 4], _, at| {
                let pair = |lo: *const f32, hi: *const f32| {
                    _mm512_insertf32x8::<1>(_mm512_castps256_ps512(_mm256_loadu_ps(lo.add(at))), _mm256_loadu_ps(hi.add(at)))
                };
                [pair(*p, *q), pair(*r, *s)]
            }
        );
        pack!(f32, lanes 16 of __mmask16, _mm512_setzero_ps _mm512_mask_loadu_ps _mm512_storeu_ps);
    }

    pub(super) mod avx512_f64 {
        use super::*;

        tile!(
            "avx512f,avx512dq,fma", f64, lanes 8, 1 of a row, rows [1 2 3 4 5 6 7 8 9 10 11 12],
            _mm512_setzero_pd _mm512_set1_pd _mm512_fmadd_pd _mm512_loadu_pd _mm512_storeu_pd,
            |[p, q, r, s]: &[*const f64; 4], _, at| {
                let pair = |lo: *const f64, hi: *const f64| {
                    _mm512_insertf64x4::<1>(_mm512_castpd256_pd512(_mm256_loadu_pd(lo.add(at))), _mm256_loadu_pd(hi.add(at)))
                };
                [pair(*p, *q), pair(*r, *s)]
            }
        );
        pack!(f64, lanes 8 of __mmask8, _mm512_setzero_pd _mm512_mask_loadu_pd _mm512_storeu_pd);
    }

    pub(super) mod avx2_f32 {
        use super::*;

        tile!(
            "avx2,fma", f32, lanes 8, 2 of a row, rows [1 2 3 4 5 6],
            _mm256_setzero_ps _mm256_set1_ps _mm256_fmadd_ps _mm256_loadu_ps _mm256_storeu_ps,
            |pieces: &[*const f32; 4], half: usize, at| [0, 1].map(|i| _mm256_loadu_ps(pieces[2 * half + i].add(at)))
        );
    }

    pub(super) mod avx2_f64 {
        use super::*;

        tile!(
            "avx2,fma", f64, lanes 4, 2 of a row, rows [1 2 3 4 5 6],
            _mm256_setzero_pd _mm256_set1_pd _mm256_fmadd_pd _mm256_loadu_pd _mm256_storeu_pd,
            |pieces: &[*const f64; 4], half: usize, at| [0, 1].map(|i| _mm256_loadu_pd(pieces[2 * half + i].add(at)))
        );
    }
}
