//! Loops of the functions that are written for the lanes of AVX-512 (`math/avx512.rs`).

use super::kernel::Loop;

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
        })
    }

    /// There are none for other processors.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn vectors(self) -> Option<Loop> {
        None
    }
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
}
