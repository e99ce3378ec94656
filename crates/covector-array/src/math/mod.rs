//! Scalar functions, as traits over the element types: what elementwise kernels are made of.
//!
//! Everything is `#[inline(always)]`, so that a loop over a slice is vectorised with the function inside it. The functions
//! are branch-free and fused (`mul_add`), with their largest error stated and tested. Those of f32 stand in `float32.rs`, those of
//! f64 in a file per family.

pub(crate) mod angle;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub mod complex;
mod division;
mod erf;
mod exponential;
mod float32;
mod float64;
mod int;
mod logarithm;
mod poly;
mod power;
mod special;
mod wide;

use std::ops::{Add, Div, Mul, Neg, Sub};

pub use division::Division;

use crate::Element;

/// Numbers: every integer and float dtype. Integers wrap.
pub trait Num: Element + PartialOrd {
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// The sum.
    fn add(self, other: Self) -> Self;
    /// The difference.
    fn sub(self, other: Self) -> Self;
    /// The product.
    fn mul(self, other: Self) -> Self;
    /// The negation.
    fn neg(self) -> Self;
    /// The absolute value; the lowest signed integer stays as it is.
    fn abs(self) -> Self;
    /// -1, 0 or 1; NaN stays NaN, and -0 gives 0.
    fn sign(self) -> Self;
    /// The smaller one; NaN wins, and -0 is smaller than 0.
    fn min(self, other: Self) -> Self;
    /// The larger one; NaN wins, and 0 is larger than -0.
    fn max(self, other: Self) -> Self;
    /// The quotient, rounded down; for integers 0 if the divisor is 0.
    fn floor_div(self, other: Self) -> Self;
    /// The remainder with the sign of the divisor (Python's `%`); for integers 0 if the divisor is 0.
    fn remainder(self, other: Self) -> Self;
    /// The power. Integers wrap, and a negative exponent gives the truncated reciprocal (0 unless the base is 1 or -1).
    fn pow(self, exponent: Self) -> Self;
}

/// Integers and bool, bit by bit. Shift counts beyond the width shift everything out.
pub trait Int: Element {
    /// Bits set in both.
    fn bit_and(self, other: Self) -> Self;
    /// Bits set in either.
    fn bit_or(self, other: Self) -> Self;
    /// Bits set in exactly one.
    fn bit_xor(self, other: Self) -> Self;
    /// The bits flipped; for bool the negation.
    fn bit_not(self) -> Self;
    /// Shifted left by `count` bits; a count that is negative or not below the width gives 0.
    fn shl(self, count: Self) -> Self;
    /// Shifted right by `count` bits with the sign filled in; a count that is negative or not below the width leaves the
    /// sign alone (0 or -1).
    fn shr(self, count: Self) -> Self;
}

/// f32 and f64.
#[allow(missing_docs)]
pub trait Real:
    Num + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// The nearest number to `x`.
    fn from_f64(x: f64) -> Self;
    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The magnitude of `self` with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    /// The neighbour of `self` on the way to `to`, or `to` itself if they are equal.
    fn next_after(self, to: Self) -> Self;
    fn is_nan(self) -> bool;
    fn is_inf(self) -> bool;
    fn is_finite(self) -> bool;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    /// To the nearest integer, halves to the even one.
    fn round(self) -> Self;
    fn trunc(self) -> Self;
    fn sqrt(self) -> Self;
    fn cbrt(self) -> Self;
    fn exp(self) -> Self;
    fn exp2(self) -> Self;
    /// `exp(x) - 1`, accurate near 0.
    fn expm1(self) -> Self;
    fn ln(self) -> Self;
    fn log2(self) -> Self;
    fn log10(self) -> Self;
    /// `ln(1 + x)`, accurate near 0.
    fn log1p(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    /// The angle of the point `(x, self)`.
    fn atan2(self, x: Self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn asinh(self) -> Self;
    fn acosh(self) -> Self;
    fn atanh(self) -> Self;
    /// `sqrt(self² + other²)` without overflow.
    fn hypot(self, other: Self) -> Self;
    fn powf(self, exponent: Self) -> Self;
    fn erf(self) -> Self;
    /// `1 - erf(x)`, accurate for large x.
    fn erfc(self) -> Self;
    /// The normal distribution up to `x`, and its density without the factor `1 / sqrt(2π)`: `erfc(-x / √2) / 2` and
    /// `e^(-x² / 2)`.
    fn normal(self) -> (Self, Self);
    /// The inverse of erf: infinite at -1 and 1, NaN beyond.
    fn erfinv(self) -> Self;
    /// The logarithm of |Γ(x)|: infinite at 0, -1, -2 …
    fn lgamma(self) -> Self;
    /// The derivative of `lgamma`: NaN at -1, -2 …, and infinite at 0 with the sign opposite to that of the zero.
    fn digamma(self) -> Self;
    /// The derivative of `digamma` of order `n`, a whole number from 0 to 1000 (else NaN).
    fn polygamma(self, n: Self) -> Self;
}
