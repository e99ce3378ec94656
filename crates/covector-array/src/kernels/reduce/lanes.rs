//! The lanes of a block by vector instructions: the innermost loops of float reductions along rows.
//!
//! The compiler keeps sixteen partial results of a plain loop in as many scalar registers, so these loops are spelled out.
//! They combine the same elements in the same order, hence give the same bits, as the loops in [`super::fold`].

use super::Reduction;
use crate::DType;

/// The loops for one dtype and reduction on this processor. Pointers are to elements of that dtype.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    /// Combines so many (at least 1) rows of [`LANES`] elements lane by lane into `LANES` results.
    ///
    /// # Safety
    /// The rows must be readable and the results writable.
    pub one: unsafe fn(*const u8, usize, *mut u8),
    /// The same for the rows of four whole blocks, one after another, into four times `LANES` results.
    ///
    /// # Safety
    /// As `one`.
    pub four: unsafe fn(*const u8, *mut u8),
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

    macro_rules! lanes {
        (
            $name:ident, $features:literal, $t:ident, $vector:ident of $width:literal,
            $load:ident $store:ident $add:ident $mul:ident $max:ident $min:ident, $or_nan:expr
        ) => {
            mod $name {
                use super::*;

                /// Registers per row.
                const PER: usize = LANES / $width;

                pub(super) fn lanes<const OP: u8>() -> Lanes {
                    Lanes { one: one::<OP>, four: four::<OP> }
                }

                #[target_feature(enable = $features)]
                unsafe fn one<const OP: u8>(x: *const u8, rows: usize, out: *mut u8) {
                    // SAFETY: the caller's promise.
                    unsafe { run::<OP, 1>(x.cast(), rows, out.cast()) }
                }

                #[target_feature(enable = $features)]
                unsafe fn four<const OP: u8>(x: *const u8, out: *mut u8) {
                    // SAFETY: the caller's promise.
                    unsafe { run::<OP, 4>(x.cast(), BLOCK / LANES, out.cast()) }
                }

                #[inline]
                #[target_feature(enable = $features)]
                fn combine<const OP: u8>(a: $vector, b: $vector) -> $vector {
                    match OP {
                        0 => $add(a, b),
                        1 => $mul(a, b),
                        // These give the second operand if either is NaN; NaN must win.
                        2 => $or_nan(a, $max(a, b)),
                        _ => $or_nan(a, $min(a, b)),
                    }
                }

                /// The rows of `BLOCKS` neighbouring blocks of `rows` rows each.
                #[inline]
                #[target_feature(enable = $features)]
                #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
                unsafe fn run<const OP: u8, const BLOCKS: usize>(x: *const $t, rows: usize, out: *mut $t) {
                    // SAFETY: the caller's promise.
                    unsafe {
                        let at = |block: usize, row: usize, j: usize| {
                            $load(x.add((block * rows + row) * LANES + j * $width))
                        };
                        let mut acc: [[$vector; PER]; BLOCKS] =
                            std::array::from_fn(|block| std::array::from_fn(|j| at(block, 0, j)));
                        for row in 1..rows {
                            for block in 0..BLOCKS {
                                for j in 0..PER {
                                    acc[block][j] = combine::<OP>(acc[block][j], at(block, row, j));
                                }
                            }
                        }
                        for block in 0..BLOCKS {
                            for j in 0..PER {
                                $store(out.add(block * LANES + j * $width), acc[block][j]);
                            }
                        }
                    }
                }
            }
        };
    }

    lanes!(
        avx512_f32, "avx512f", f32, __m512 of 16,
        _mm512_loadu_ps _mm512_storeu_ps _mm512_add_ps _mm512_mul_ps _mm512_max_ps _mm512_min_ps,
        |a, m| _mm512_mask_mov_ps(m, _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), a)
    );
    lanes!(
        avx512_f64, "avx512f", f64, __m512d of 8,
        _mm512_loadu_pd _mm512_storeu_pd _mm512_add_pd _mm512_mul_pd _mm512_max_pd _mm512_min_pd,
        |a, m| _mm512_mask_mov_pd(m, _mm512_cmp_pd_mask::<_CMP_UNORD_Q>(a, a), a)
    );
    lanes!(
        avx2_f32, "avx2", f32, __m256 of 8,
        _mm256_loadu_ps _mm256_storeu_ps _mm256_add_ps _mm256_mul_ps _mm256_max_ps _mm256_min_ps,
        |a, m| _mm256_blendv_ps(m, a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a))
    );
    lanes!(
        avx2_f64, "avx2", f64, __m256d of 4,
        _mm256_loadu_pd _mm256_storeu_pd _mm256_add_pd _mm256_mul_pd _mm256_max_pd _mm256_min_pd,
        |a, m| _mm256_blendv_pd(m, a, _mm256_cmp_pd::<_CMP_UNORD_Q>(a, a))
    );
}
