//! Register tiles of a matrix product whose right factor's rows are read where they lie, in four pieces each.
//!
//! Where the rows of an image are long enough, a panel of windows need not be copied; where they are short, it is put
//! together in registers. Chains are those of the tiles of [`crate::kernels::matmul`].

use super::product::Pack;
use crate::isa::{Isa, Work, dispatch, isa};
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

/// What an instruction set with masks has.
#[derive(Clone, Copy)]
pub(super) struct Masked<T> {
    /// Computes a register tile.
    pub run: Run<T>,
    /// Copies runs of elements that are neighbours, to whole registers.
    ///
    /// # Safety
    /// The processor must have the instruction set; what the runs name must be readable, and the rows, rounded up to whole
    /// registers, writable.
    pub pack: unsafe fn(&Pack<T>),
}

/// Element types with such tiles, which have the sizes of those of the matrix product.
pub(super) trait Scatter: Tiled {
    /// For the instruction set in use, if it has masks.
    fn masked() -> Option<Masked<Self>>;
    /// For any other.
    fn plain() -> Run<Self>;
}

/// The tile for the instruction set in use.
pub(super) fn scattered<T: Scatter>() -> Run<T> {
    T::masked().map_or(T::plain(), |masked| masked.run)
}

/// The tile in plain Rust, some rows and half the columns at a time; a piece has `N` columns.
///
/// # Safety
/// As [`Run`].
unsafe fn plain<T: Tiled, const N: usize>(t: &Scattered<T>) {
    struct Plain<'a, T, const N: usize>(&'a Scattered<'a, T>);
    impl<T: Tiled, const N: usize> Work for Plain<'_, T, N> {
        type Output = ();
        #[inline(always)]
        fn run(self) {
            for half in 0..PIECES / 2 {
                let whole = self.0.rows / 6 * 6;
                // SAFETY: the caller's promise.
                unsafe {
                    (0..whole).step_by(6).for_each(|row| block::<T, N, 6>(self.0, row, half));
                    (whole..self.0.rows).for_each(|row| block::<T, N, 1>(self.0, row, half));
                }
            }
        }
    }
    dispatch(Plain::<T, N>(t));
}

/// # Safety
/// As [`Run`].
#[inline(always)]
unsafe fn block<T: Tiled, const N: usize, const ROWS: usize>(t: &Scattered<T>, row: usize, half: usize) {
    let out =
        |i: usize, piece: usize| t.out.wrapping_add((row + i) * t.out_row + (2 * half + piece) * N).cast::<[T; N]>();
    let mut sums = [[[T::ZERO; N]; 2]; ROWS];
    // SAFETY: the caller's promise.
    unsafe {
        if !t.fresh {
            for (i, sums) in sums.iter_mut().enumerate() {
                *sums = [0, 1].map(|piece| out(i, piece).read_unaligned());
            }
        }
        let mut a = t.a.add(row);
        for &at in t.offsets {
            let right = [0, 1].map(|piece| t.pieces[2 * half + piece].add(at).cast::<[T; N]>().read_unaligned());
            for (i, sums) in sums.iter_mut().enumerate() {
                let left = *a.add(i);
                for (sums, right) in sums.iter_mut().zip(&right) {
                    sums.iter_mut().zip(right).for_each(|(sum, &right)| *sum = left.mul_add(right, *sum));
                }
            }
            a = a.wrapping_add(t.a_depth);
        }
        for (i, sums) in sums.into_iter().enumerate() {
            sums.into_iter().enumerate().for_each(|(piece, sums)| out(i, piece).write_unaligned(sums));
        }
    }
}

macro_rules! scatter {
    ($($t:ident $avx512:ident of $n:literal),*) => {$(
        impl Scatter for $t {
            fn plain() -> Run<$t> {
                plain::<$t, $n>
            }
            fn masked() -> Option<Masked<$t>> {
                match isa() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => Some(Masked { run: x86::$avx512::run, pack: x86::$avx512::pack }),
                    _ => None,
                }
            }
        }
    )*};
}
scatter!(f32 avx512_f32 of 8, f64 avx512_f64 of 4);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use smallvec::SmallVec;

    macro_rules! tile {
        (
            $name:ident, $t:ident, lanes $lanes:literal of $mask:ident, rows [$($r:literal)*],
            $zero:ident $one:ident $fma:ident $load:ident $store:ident $masked_load:ident, $pair:expr
        ) => {
            pub(in super::super) mod $name {
                use super::super::{Pack, Scattered};
                use super::*;

                /// Lanes that are neighbours in memory: where lane 0 would lie, and which lanes they are.
                type Segment = (*const $t, $mask);

                /// # Safety
                /// As [`super::super::Masked::pack`].
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
                            a = a.add(t.a_depth);
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
        avx512_f32, f32, lanes 16 of __mmask16, rows [1 2 3 4 5 6 7 8 9 10 11 12],
        _mm512_setzero_ps _mm512_set1_ps _mm512_fmadd_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_mask_loadu_ps,
        |lo, hi| _mm512_insertf32x8::<1>(_mm512_castps256_ps512(_mm256_loadu_ps(lo)), _mm256_loadu_ps(hi))
    );
    tile!(
        avx512_f64, f64, lanes 8 of __mmask8, rows [1 2 3 4 5 6 7 8 9 10 11 12],
        _mm512_setzero_pd _mm512_set1_pd _mm512_fmadd_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_mask_loadu_pd,
        |lo, hi| _mm512_insertf64x4::<1>(_mm512_castpd256_pd512(_mm256_loadu_pd(lo)), _mm256_loadu_pd(hi))
    );
}
