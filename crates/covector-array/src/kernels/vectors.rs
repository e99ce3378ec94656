//! Loops for which the compiler does not make the best: of functions for the lanes of AVX-512 (`math/avx512.rs`), of those that only
//! rare numbers need a branch for, and of conversions of f16, for which there are instructions that it does not find.

use std::slice::{from_raw_parts, from_raw_parts_mut};

use half::slice::HalfFloatSliceExt;

use super::kernel::{Kernel, Loop, Loops, Quick, TILE};
use crate::math::angle::Near;
use crate::math::{Division, Num, Real};
use crate::{DType, f16};

/// From f16 to f32.
pub(super) fn widen() -> Kernel {
    Kernel::by_hand(&WIDEN, DType::F16, DType::F32)
}

/// From f32 to f16, to nearest even.
pub(super) fn narrow() -> Kernel {
    Kernel::by_hand(&NARROW, DType::F32, DType::F16)
}

#[cfg(target_arch = "x86_64")]
static WIDEN: Loops = [widen_portably, x86::widen_256, x86::widen_512];
#[cfg(target_arch = "x86_64")]
static NARROW: Loops = [narrow_portably, x86::narrow_256, x86::narrow_512];
#[cfg(not(target_arch = "x86_64"))]
static WIDEN: Loops = [widen_portably; 3];
#[cfg(not(target_arch = "x86_64"))]
static NARROW: Loops = [narrow_portably; 3];

/// # Safety
/// As [`Loop`].
unsafe fn widen_portably(x: *const u8, _: *const u8, _: *const u8, out: *mut u8, n: usize) {
    // SAFETY: the caller's promise.
    let (x, out) = unsafe { (from_raw_parts(x.cast::<f16>(), n), from_raw_parts_mut(out.cast(), n)) };
    x.convert_to_f32_slice(out);
}

/// # Safety
/// As [`Loop`].
unsafe fn narrow_portably(x: *const u8, _: *const u8, _: *const u8, out: *mut u8, n: usize) {
    // SAFETY: the caller's promise.
    let (x, out) = unsafe { (from_raw_parts(x.cast(), n), from_raw_parts_mut(out.cast::<f16>(), n)) };
    out.convert_from_f32_slice(x);
}

/// A function for which there are such loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `e^x`
    Exp,
    /// `ln x`
    Log,
    /// `ln(1 + x)`
    Log1p,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// `sin x`
    Sin,
    /// `cos x`
    Cos,
    /// `tan x`
    Tan,
    /// `tanh x`
    Tanh,
    /// The quotient rounded down
    FloorDivide,
    /// The remainder with the sign of the divisor
    Remainder,
}

impl Function {
    /// The kernel for floats whose branches only the rare elements take, if there is one.
    pub(super) fn kernel(self, dtype: DType) -> Option<Kernel> {
        match dtype {
            DType::F32 => self.kernel_of::<f32>(),
            DType::F64 => self.kernel_of::<f64>(),
            _ => None,
        }
    }

    fn kernel_of<T: Near + Division>(self) -> Option<Kernel> {
        Some(match self {
            Function::Sin => Kernel::unary_by_quick::<T, Sin>(),
            Function::Cos => Kernel::unary_by_quick::<T, Cos>(),
            Function::Tan => Kernel::unary_by_quick::<T, Tan>(),
            Function::FloorDivide => Kernel::binary_by_quick::<T, FloorDivide>(),
            Function::Remainder => Kernel::binary_by_quick::<T, Remainder>(),
            _ => return None,
        })
    }

    /// The loop in f32.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn vectors(self) -> Option<Loop> {
        Some(match self {
            Function::Exp => x86::exp,
            Function::Log => x86::ln,
            Function::Log1p => x86::log1p,
            Function::Sigmoid => x86::sigmoid,
            Function::Tanh => x86::tanh,
            _ => return None,
        })
    }

    /// There are none for other processors.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn vectors(self) -> Option<Loop> {
        None
    }
}

/// A few vectors: of angles hardly any is far off, but any quotient may be large.
const FEW: usize = 64;

/// What [`Function::kernel`] computes: a function, the number of elements that are computed again together, and by what most are
/// computed, beside whether that suits them.
macro_rules! quick {
    ($($name:ident<$T:ident: $Bound:ident, $n:literal>($($x:ident),+) = $exact:expr, $group:ident by $quick:expr;)*) => {$(
        struct $name;

        impl<$T: $Bound> Quick<$T, $n> for $name {
            const GROUP: usize = $group;
            #[inline(always)]
            fn exact([$($x),+]: [$T; $n]) -> $T {
                $exact
            }
            #[inline(always)]
            fn quick([$($x),+]: [$T; $n]) -> ($T, bool) {
                $quick
            }
        }
    )*};
}
quick! {
    Sin<T: Near, 1>(x) = Real::sin(x), TILE by (x.sin_near(), Num::abs(x) <= T::NEAR);
    Cos<T: Near, 1>(x) = Real::cos(x), TILE by (x.cos_near(), Num::abs(x) <= T::NEAR);
    Tan<T: Near, 1>(x) = Real::tan(x), TILE by (x.tan_near(), Num::abs(x) <= T::NEAR);
    FloorDivide<T: Division, 2>(x, y) = Num::floor_div(x, y), FEW by {
        let (rest, good) = x.rest(y);
        (x.floored(y, rest), good)
    };
    Remainder<T: Division, 2>(x, y) = Num::remainder(x, y), FEW by {
        let (rest, good) = x.rest(y);
        (x.remaining(y, rest), good)
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use crate::math::avx512::{self, LANES};

    macro_rules! loops {
        ($($name:ident)*) => {$(
            /// # Safety
            /// As [`super::Loop`].
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            pub unsafe fn $name(x: *const u8, _: *const u8, _: *const u8, out: *mut u8, n: usize) {
                let (x, out): (*const f32, *mut f32) = (x.cast(), out.cast());
                // SAFETY: the caller's promise; of the last vector only the elements that are there are read and written.
                unsafe {
                    for i in (0..n - n % LANES).step_by(LANES) {
                        _mm512_storeu_ps(out.add(i), avx512::$name(_mm512_loadu_ps(x.add(i))));
                    }
                    let (whole, rest) = (n - n % LANES, n % LANES);
                    if rest > 0 {
                        let some = (1 << rest) - 1;
                        let last = avx512::$name(_mm512_maskz_loadu_ps(some, x.add(whole)));
                        _mm512_mask_storeu_ps(out.add(whole), some, last);
                    }
                }
            }
        )*};
    }
    loops!(exp ln log1p sigmoid tanh);

    /// A loop of a conversion of `$width` elements; the last ones go by way of a whole vector.
    macro_rules! conversion {
        ($name:ident, $features:literal, $width:literal, $from:ident to $to:ident, $load:expr, $convert:expr, $store:expr) => {
            /// # Safety
            /// As [`super::Loop`].
            #[target_feature(enable = $features)]
            pub unsafe fn $name(x: *const u8, _: *const u8, _: *const u8, out: *mut u8, n: usize) {
                let (x, out): (*const $from, *mut $to) = (x.cast(), out.cast());
                let (whole, rest) = (n - n % $width, n % $width);
                // SAFETY: the caller's promise; of the last vector only the elements that are there are read and written.
                unsafe {
                    let vector = |x: *const $from, out: *mut $to| $store(out.cast(), $convert($load(x.cast())));
                    (0..whole).step_by($width).for_each(|i| vector(x.add(i), out.add(i)));
                    if rest > 0 {
                        let (mut last, mut converted) = ([0 as $from; $width], [0 as $to; $width]);
                        std::ptr::copy_nonoverlapping(x.add(whole), last.as_mut_ptr(), rest);
                        vector(last.as_ptr(), converted.as_mut_ptr());
                        std::ptr::copy_nonoverlapping(converted.as_ptr(), out.add(whole), rest);
                    }
                }
            }
        };
    }
    conversion!(widen_512, "avx512f", 16, u16 to f32, _mm256_loadu_si256, _mm512_cvtph_ps, _mm512_storeu_ps);
    conversion!(widen_256, "avx2,f16c", 8, u16 to f32, _mm_loadu_si128, _mm256_cvtph_ps, _mm256_storeu_ps);
    conversion!(narrow_512, "avx512f", 16, f32 to u16, _mm512_loadu_ps, _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>, _mm256_storeu_si256);
    conversion!(narrow_256, "avx2,f16c", 8, f32 to u16, _mm256_loadu_ps, _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>, _mm_storeu_si128);
}
