//! The lanes of a block by vector instructions: the innermost loops of float reductions along rows.
//!
//! The compiler keeps sixteen partial results of a plain loop in as many scalar registers, so these loops are spelled out.
//! They combine the same elements in the same order, hence give the same bits, as the loops in [`super::fold`].

use super::Reduction;
use crate::DType;

/// The loops for one dtype and reduction on this processor. Pointers are to elements of that dtype.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    /// Combines so many elements of a block with its lanes, of which the first element goes to the one of that number.
    ///
    /// # Safety
    /// The elements must be readable and the lanes writable.
    pub part: unsafe fn(*const u8, usize, usize, *mut u8),
    /// The results of the four blocks of so many elements, of which the last ones may be short or empty.
    ///
    /// # Safety
    /// The elements must be readable and four results writable.
    pub blocks: unsafe fn(*const u8, usize, *mut u8),
    /// The results of four sequences of so many elements, at most a block, which begin so many elements apart.
    ///
    /// # Safety
    /// The sequences must be readable and four results writable.
    pub lines: unsafe fn(*const u8, usize, usize, *mut u8),
    /// Combines so many (at least 1) rows, a number of bytes apart, column by column into one row; the last number is that
    /// of columns, of which as many are done as the result tells: all whole registers. Then as many rows come next from the
    /// address given last on, valid or not: they are asked for.
    ///
    /// # Safety
    /// The rows must be readable for that many columns and the result writable.
    pub down: unsafe fn(*const u8, isize, usize, *mut u8, usize, *const u8) -> usize,
}

impl Lanes {
    /// The loops, if there are any for the instruction set in use.
    pub fn of(dtype: DType, op: Reduction) -> Option<Lanes> {
        #[cfg(target_arch = "x86_64")]
        return x86::lanes(dtype, op);
        #[cfg(not(target_arch = "x86_64"))]
        return {
            let _ = (dtype, op);
            None
        };
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::{BLOCK, LANES, Reduction};
    use super::Lanes;
    use crate::DType;
    use crate::isa::{Isa, isa};
    use crate::kernels::stream::prefetch;

    pub(super) fn lanes(dtype: DType, op: Reduction) -> Option<Lanes> {
        macro_rules! by_op {
            ($module:ident) => {
                Some(match op {
                    Reduction::Sum => $module::lanes::<0>(),
                    Reduction::Prod => $module::lanes::<1>(),
                    Reduction::Max => $module::lanes::<2>(),
                    Reduction::Min => $module::lanes::<3>(),
                })
            };
        }
        match (isa(), dtype) {
            (Isa::Avx512, DType::F32) => by_op!(avx512_f32),
            (Isa::Avx512, DType::F64) => by_op!(avx512_f64),
            (Isa::Avx2, DType::F32) => by_op!(avx2_f32),
            (Isa::Avx2, DType::F64) => by_op!(avx2_f64),
            _ => None,
        }
    }

    /// Combines two registers, element by element.
    macro_rules! combine {
        ($name:ident, $features:literal, $vector:ident, $add:ident $mul:ident $max:ident $min:ident, $or_nan:expr) => {
            #[inline]
            #[target_feature(enable = $features)]
            pub(super) fn $name<const OP: u8>(a: $vector, b: $vector) -> $vector {
                match OP {
                    0 => $add(a, b),
                    1 => $mul(a, b),
                    // These give the second operand if either is NaN; NaN must win.
                    2 => $or_nan(a, $max(a, b)),
                    _ => $or_nan(a, $min(a, b)),
                }
            }
        };
    }

    /// The last four elements of each of four blocks, which are combined pairwise: first with the one two places on.
    mod halves {
        use super::*;

        combine!(ps, "avx2", __m128, _mm_add_ps _mm_mul_ps _mm_max_ps _mm_min_ps,
            |a, m| _mm_blendv_ps(m, a, _mm_cmp_ps::<_CMP_UNORD_Q>(a, a)));
        combine!(pd, "avx2", __m128d, _mm_add_pd _mm_mul_pd _mm_max_pd _mm_min_pd,
            |a, m| _mm_blendv_pd(m, a, _mm_cmp_pd::<_CMP_UNORD_Q>(a, a)));
        combine!(ps_8, "avx2", __m256, _mm256_add_ps _mm256_mul_ps _mm256_max_ps _mm256_min_ps,
            |a, m| _mm256_blendv_ps(m, a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)));
        combine!(pd_4, "avx2", __m256d, _mm256_add_pd _mm256_mul_pd _mm256_max_pd _mm256_min_pd,
            |a, m| _mm256_blendv_pd(m, a, _mm256_cmp_pd::<_CMP_UNORD_Q>(a, a)));

        /// From eight elements each.
        #[inline]
        #[target_feature(enable = "avx2")]
        pub(super) fn f32<const OP: u8>(blocks: [__m256; 4]) -> [f32; 4] {
            let [a, b, c, d] = blocks.map(|x| ps::<OP>(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x)));
            let ab = ps::<OP>(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
            let cd = ps::<OP>(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
            let all = ps::<OP>(_mm_shuffle_ps::<0b10_00_10_00>(ab, cd), _mm_shuffle_ps::<0b11_01_11_01>(ab, cd));
            // SAFETY: both are four numbers.
            unsafe { std::mem::transmute::<__m128, [f32; 4]>(all) }
        }

        /// From four elements each.
        #[inline]
        #[target_feature(enable = "avx2")]
        pub(super) fn f64<const OP: u8>(blocks: [__m256d; 4]) -> [f64; 4] {
            let [a, b, c, d] = blocks.map(|x| pd::<OP>(_mm256_castpd256_pd128(x), _mm256_extractf128_pd::<1>(x)));
            let ab = pd::<OP>(_mm_unpacklo_pd(a, b), _mm_unpackhi_pd(a, b));
            let cd = pd::<OP>(_mm_unpacklo_pd(c, d), _mm_unpackhi_pd(c, d));
            // SAFETY: both are four numbers.
            unsafe { std::mem::transmute::<[__m128d; 2], [f64; 4]>([ab, cd]) }
        }
    }

    /// A number of rows that is not known before.
    const ANY: usize = 0;

    /// How many bytes before its use an element is asked for: a page, at the end of which what the processor foresees
    /// ends, too.
    const AHEAD: usize = 4096;

    /// A bit for each of the elements `from..to` of a register.
    fn mask(from: usize, to: usize) -> u32 {
        (1 << to) - (1 << from.min(to))
    }

    macro_rules! lanes {
        (
            $name:ident, $features:literal, $t:ident, $vector:ident of $width:literal,
            $load:ident $store:ident $add:ident $mul:ident $max:ident $min:ident, $or_nan:expr,
            $spread:ident $some:expr, $narrowed:expr
        ) => {
            mod $name {
                use super::*;

                /// Registers per row.
                const PER: usize = LANES / $width;

                pub(super) fn lanes<const OP: u8>() -> Lanes {
                    Lanes {
                        part: part::<OP>,
                        blocks: blocks::<OP>,
                        lines: lines::<OP>,
                        down: down::<OP>,
                    }
                }

                #[target_feature(enable = $features)]
                #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
                unsafe fn part<const OP: u8>(x: *const u8, first: usize, count: usize, lanes: *mut u8) {
                    let (x, lanes, end) = (x.cast::<$t>().wrapping_sub(first), lanes.cast::<$t>(), first + count);
                    let at = |row: usize, j: usize| row * LANES + j * $width;
                    // SAFETY: the caller's promise.
                    unsafe {
                        let mut acc: [$vector; PER] = std::array::from_fn(|j| $load(lanes.add(j * $width)));
                        // In the place of elements that are not there stands one that changes none.
                        let partial = |row: usize, acc: &mut [$vector; PER]| {
                            for j in 0..PER {
                                let within = |element: usize| element.saturating_sub(at(row, j)).min($width);
                                let some = $some(none::<OP>(), x.wrapping_add(at(row, j)), within(first), within(end));
                                acc[j] = combine::<OP>(acc[j], some);
                            }
                        };
                        let whole = first.div_ceil(LANES)..end / LANES;
                        if first > 0 {
                            partial(0, &mut acc);
                        }
                        for row in whole.clone() {
                            for j in 0..PER {
                                acc[j] = combine::<OP>(acc[j], $load(x.add(at(row, j))));
                            }
                        }
                        if whole.start <= whole.end && !end.is_multiple_of(LANES) {
                            partial(whole.end, &mut acc);
                        }
                        (0..PER).for_each(|j| $store(lanes.add(j * $width), acc[j]));
                    }
                }

                #[target_feature(enable = $features)]
                unsafe fn blocks<const OP: u8>(x: *const u8, len: usize, out: *mut u8) {
                    if len == 4 * BLOCK {
                        // SAFETY: the caller's promise.
                        return unsafe { four::<OP, { BLOCK / LANES }>(x, BLOCK, [BLOCK; 4], out) };
                    }
                    let len = |i: usize| len.saturating_sub(i * BLOCK).min(BLOCK);
                    // SAFETY: the caller's promise.
                    unsafe { four::<OP, ANY>(x, BLOCK, [len(0), len(1), len(2), len(3)], out) };
                }

                #[target_feature(enable = $features)]
                unsafe fn lines<const OP: u8>(x: *const u8, pitch: usize, len: usize, out: *mut u8) {
                    // SAFETY: the caller's promise.
                    unsafe { four::<OP, ANY>(x, pitch, [len; 4], out) };
                }

                /// One after the other, so that the processor sees one long row and looks farther ahead into memory.
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn four<const OP: u8, const ROWS: usize>(
                    x: *const u8,
                    pitch: usize,
                    len: [usize; 4],
                    out: *mut u8,
                ) {
                    let one = |i: usize| {
                        // SAFETY: the caller's promise; of an address that is not valid no element is read.
                        let lanes = unsafe { run::<OP, ROWS>(x.cast::<$t>().wrapping_add(i * pitch), len[i]) };
                        $narrowed(lanes)
                    };
                    let results = halves::$t::<OP>([one(0), one(1), one(2), one(3)]);
                    // SAFETY: the caller's promise.
                    unsafe { *out.cast::<[$t; 4]>() = results };
                }

                #[target_feature(enable = $features)]
                unsafe fn down<const OP: u8>(
                    x: *const u8,
                    pitch: isize,
                    rows: usize,
                    out: *mut u8,
                    columns: usize,
                    next: *const u8,
                ) -> usize {
                    let mut done = 0;
                    let part = |done: usize| (x.cast::<$t>().wrapping_add(done), out.cast::<$t>().wrapping_add(done));
                    macro_rules! strips {
                        ($registers:literal) => {
                            while columns - done >= $registers * $width {
                                let (x, out) = part(done);
                                done += $registers * $width;
                                let soon = if done < columns { part(done).0 } else { next.cast() };
                                // SAFETY: the caller's promise.
                                unsafe { strip::<OP, $registers>(x, pitch, rows, out, soon) };
                            }
                        };
                    }
                    strips!(8);
                    strips!(2);
                    strips!(1);
                    done
                }

                /// `REGISTERS` registers of columns, which stay there from the first row to the last; each row of what comes
                /// `soon` lies far from the one before, which the processor does not foresee.
                #[inline]
                #[target_feature(enable = $features)]
                #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
                unsafe fn strip<const OP: u8, const REGISTERS: usize>(
                    x: *const $t,
                    pitch: isize,
                    rows: usize,
                    out: *mut $t,
                    soon: *const $t,
                ) {
                    // SAFETY: the caller's promise.
                    unsafe {
                        let at = |row: usize, j: usize| {
                            let (offset, column) = (row as isize * pitch, j * $width);
                            prefetch(soon.wrapping_byte_offset(offset).wrapping_add(column));
                            $load(x.byte_offset(offset).add(column))
                        };
                        let mut acc: [$vector; REGISTERS] = std::array::from_fn(|j| at(0, j));
                        for row in 1..rows {
                            for j in 0..REGISTERS {
                                acc[j] = combine::<OP>(acc[j], at(row, j));
                            }
                        }
                        for j in 0..REGISTERS {
                            $store(out.add(j * $width), acc[j]);
                        }
                    }
                }

                combine!(combine, $features, $vector, $add $mul $max $min, $or_nan);

                /// What changes no element that it is combined with, in all places.
                #[inline]
                #[target_feature(enable = $features)]
                fn none<const OP: u8>() -> $vector {
                    $spread([-0.0, 1.0, $t::NEG_INFINITY, $t::INFINITY][usize::from(OP)])
                }

                /// What so many elements, `ROWS` whole rows of lanes or [`ANY`], leave in their lanes.
                #[inline]
                #[target_feature(enable = $features)]
                #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
                unsafe fn run<const OP: u8, const ROWS: usize>(x: *const $t, len: usize) -> [$vector; PER] {
                    let at = |row: usize, j: usize| x.wrapping_add(row * LANES + j * $width);
                    let row = |row: usize| -> [$vector; PER] {
                        std::array::from_fn(|j| {
                            if (j * $width * size_of::<$t>()).is_multiple_of(64) {
                                prefetch(at(row, j).wrapping_byte_add(AHEAD));
                            }
                            // SAFETY: the caller's promise.
                            unsafe { $load(at(row, j)) }
                        })
                    };
                    let (rows, rest) = if ROWS == ANY { (len / LANES, len % LANES) } else { (ROWS, 0) };
                    let mut acc = if rows > 0 { row(0) } else { [none::<OP>(); PER] };
                    for i in 1..rows {
                        let next = row(i);
                        for j in 0..PER {
                            acc[j] = combine::<OP>(acc[j], next[j]);
                        }
                    }
                    if rest > 0 {
                        for j in 0..PER {
                            let count = rest.saturating_sub(j * $width).min($width);
                            // SAFETY: the caller's promise.
                            acc[j] = combine::<OP>(acc[j], unsafe { $some(none::<OP>(), at(rows, j), 0, count) });
                        }
                    }
                    acc
                }
            }
        };
    }

    lanes!(
        avx512_f32, "avx512f,avx512dq,avx2", f32, __m512 of 16,
        _mm512_loadu_ps _mm512_storeu_ps _mm512_add_ps _mm512_mul_ps _mm512_max_ps _mm512_min_ps,
        |a, m| _mm512_mask_mov_ps(m, _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), a),
        _mm512_set1_ps |none, x, from, to| _mm512_mask_loadu_ps(none, mask(from, to) as u16, x),
        |[x]: [__m512; 1]| halves::ps_8::<OP>(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x))
    );
    lanes!(
        avx512_f64, "avx512f,avx512dq,avx2", f64, __m512d of 8,
        _mm512_loadu_pd _mm512_storeu_pd _mm512_add_pd _mm512_mul_pd _mm512_max_pd _mm512_min_pd,
        |a, m| _mm512_mask_mov_pd(m, _mm512_cmp_pd_mask::<_CMP_UNORD_Q>(a, a), a),
        _mm512_set1_pd |none, x, from, to| _mm512_mask_loadu_pd(none, mask(from, to) as u8, x),
        |[x, y]: [__m512d; 2]| {
            let x = combine::<OP>(x, y);
            halves::pd_4::<OP>(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd::<1>(x))
        }
    );
    lanes!(
        avx2_f32, "avx2", f32, __m256 of 8,
        _mm256_loadu_ps _mm256_storeu_ps _mm256_add_ps _mm256_mul_ps _mm256_max_ps _mm256_min_ps,
        |a, m| _mm256_blendv_ps(m, a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)),
        _mm256_set1_ps |none, x, from, to| {
            let (mask, places) = (mask(from, to) as i32, _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128));
            let mask = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(mask), places), places);
            _mm256_blendv_ps(none, _mm256_maskload_ps(x, mask), _mm256_castsi256_ps(mask))
        },
        |[x, y]: [__m256; 2]| combine::<OP>(x, y)
    );
    lanes!(
        avx2_f64, "avx2", f64, __m256d of 4,
        _mm256_loadu_pd _mm256_storeu_pd _mm256_add_pd _mm256_mul_pd _mm256_max_pd _mm256_min_pd,
        |a, m| _mm256_blendv_pd(m, a, _mm256_cmp_pd::<_CMP_UNORD_Q>(a, a)),
        _mm256_set1_pd |none, x, from, to| {
            let (mask, places) = (mask(from, to) as i64, _mm256_setr_epi64x(1, 2, 4, 8));
            let mask = _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(mask), places), places);
            _mm256_blendv_pd(none, _mm256_maskload_pd(x, mask), _mm256_castsi256_pd(mask))
        },
        |[w, x, y, z]: [__m256d; 4]| combine::<OP>(combine::<OP>(w, y), combine::<OP>(x, z))
    );
}
