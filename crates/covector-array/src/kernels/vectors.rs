//! Loops of functions for which the compiler does not make the best: those of f32 written for the lanes of AVX-512
//! (`math/avx512.rs`), and those that only large numbers need a branch for.

use super::kernel::{Body, Loop, Loops, compiled, slice_mut};
use crate::math::angle::Near;
use crate::math::{Num, Real};

/// A function of one number for which there are such loops.
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
}

impl Function {
    /// The loop in f32.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn vectors(self) -> Option<Loop> {
        Some(match self {
            Function::Exp => x86::exp,
            Function::Log => x86::ln,
            Function::Log1p => x86::log1p,
            Function::Sigmoid => x86::sigmoid,
            Function::Tanh => x86::tanh,
            Function::Sin | Function::Cos | Function::Tan => return None,
        })
    }

    /// There are none for other processors.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn vectors(self) -> Option<Loop> {
        None
    }

    /// Loops for every instruction set in f32 or f64.
    pub(super) fn loops<T: Near>(self) -> Option<&'static Loops> {
        Some(match self {
            Function::Sin => const { &compiled::<Sin<T>>() },
            Function::Cos => const { &compiled::<Cos<T>>() },
            Function::Tan => const { &compiled::<Tan<T>>() },
            _ => return None,
        })
    }
}

/// Bodies that take all numbers for small, and go over a run again if one is not.
macro_rules! near_first {
    ($($name:ident $near:ident $f:ident)*) => {$(
        struct $name<T>(std::marker::PhantomData<T>);

        impl<T: Near> Body for $name<T> {
            #[inline(always)]
            unsafe fn run(operands: [*const u8; 3], out: *mut u8, n: usize) {
                // SAFETY: the caller's promise.
                let (x, out): (&[T], &mut [T]) =
                    unsafe { (std::slice::from_raw_parts(operands[0].cast(), n), slice_mut(out, n)) };
                let mut all_near = true;
                for i in 0..n {
                    out[i] = x[i].$near();
                    all_near &= Num::abs(x[i]) <= T::NEAR;
                }
                if !all_near {
                    out.iter_mut().zip(x).for_each(|(out, x)| *out = Real::$f(*x));
                }
            }
        }
    )*};
}
near_first!(Sin sin_near sin Cos cos_near cos Tan tan_near tan);

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
}
