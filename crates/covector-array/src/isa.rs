//! One loop, three instruction sets, chosen when the program runs.
//!
//! A stock build must use AVX-512 or AVX2 by itself. So a loop is written once, as a `Work`; `dispatch` compiles it
//! three times inside functions with the target features switched on, and the compiler vectorises each. Loops contain
//! nothing that rounds differently from one instruction set to another: `mul_add` is fused everywhere.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::variable::variable;

/// The instruction set loops run with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Isa {
    /// What the compiler assumes for the target.
    Portable = 1,
    /// AVX2 with FMA and F16C: lanes of 256 bits.
    Avx2 = 2,
    /// AVX-512 (F, BW, DQ, VL) with FMA: lanes of 512 bits.
    Avx512 = 3,
}

/// 0 until detected.
static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// The instruction set in use: the best one the processor has, unless `COVECTOR_ISA` or [`set_isa`] lowered it.
#[inline]
pub fn isa() -> Isa {
    match CHOSEN.load(Ordering::Relaxed) {
        3 => Isa::Avx512,
        2 => Isa::Avx2,
        1 => Isa::Portable,
        _ => set_isa(asked()),
    }
}

/// What `COVECTOR_ISA` asks for: `avx512`, `avx2` or `portable`; without it the best there is.
fn asked() -> Isa {
    let parse = |value: &str| match value.to_ascii_lowercase().as_str() {
        "avx512" => Some(Isa::Avx512),
        "avx2" => Some(Isa::Avx2),
        "portable" => Some(Isa::Portable),
        _ => None,
    };
    let what = "none of avx512, avx2, portable: the best there is is used";
    variable("COVECTOR_ISA", parse, what).unwrap_or(Isa::Avx512)
}

/// Uses `wanted`, or the best the processor has if that is less, and returns the choice; results do not change.
#[cold]
pub fn set_isa(wanted: Isa) -> Isa {
    let chosen = wanted.min(detected());
    CHOSEN.store(chosen as u8, Ordering::Relaxed);
    chosen
}

#[cfg(target_arch = "x86_64")]
fn detected() -> Isa {
    let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (fma, wide) {
        (true, true) => Isa::Avx512,
        (true, false) => Isa::Avx2,
        _ => Isa::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detected() -> Isa {
    Isa::Portable
}

/// A loop to be compiled for each instruction set. `run` must be `#[inline(always)]`, or it will not be vectorised.
pub(crate) trait Work {
    /// What the loop returns.
    type Output;
    /// The loop.
    fn run(self) -> Self::Output;
}

/// Runs `work`, compiled for the instruction set in use.
#[inline(always)]
pub(crate) fn dispatch<W: Work>(work: W) -> W::Output {
    match isa() {
        // SAFETY: `isa` returns what `detected` found the processor to have, or less.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(work) },
        _ => portable(work),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512<W: Work>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<W: Work>(work: W) -> W::Output {
    work.run()
}

#[inline(never)]
fn portable<W: Work>(work: W) -> W::Output {
    work.run()
}
