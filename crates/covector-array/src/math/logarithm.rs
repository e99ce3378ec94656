//! Logarithms of f64 and the inverses of hyperbolic functions, branch-free and without calls, so that loops vectorise.

use std::f64::consts::{LN_2, LOG2_E, LOG10_E};

use super::exponential::{LN2_LO, TINY};
use super::poly::poly;

/// What log2(e) and log10(e) are more than their nearest numbers.
const LOG2_E_LO: f64 = 2.0355273740931033e-17;
const LOG10_E_LO: f64 = 1.098319650216765e-17;
/// log10(2), the first part so short that its products with exponents are exact.
const LOG10_2: (f64, f64) = (0.30102999566383914, 1.42050232272661e-13);

const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
const MANTISSA: u64 = (1 << 52) - 1;

/// The bits of `x` above those of the root of one half: above the mantissa stands `e + 1023` for `x = 2^e (1 + f)`, where 1 + f
/// lies between the roots of one half and of two.
#[inline(always)]
fn from_sqrt_half(x: f64) -> u64 {
    x.to_bits().wrapping_sub(SQRT_HALF).wrapping_add(1023 << 52)
}

/// A small whole number as a float, by way of the low bits of 2^52.
#[inline(always)]
fn float(n: u64) -> f64 {
    f64::from_bits(n | 0x4330_0000_0000_0000) - 4503599627370496.0
}

/// `x = 2^e (1 + f)` for a positive finite x: (e, f).
#[inline(always)]
pub(super) fn parts(x: f64) -> (f64, f64) {
    let tiny = x < f64::MIN_POSITIVE;
    let i = from_sqrt_half(if tiny { x * 18014398509481984.0 } else { x });
    let e = float(i >> 52) - if tiny { 1023.0 + 54.0 } else { 1023.0 };
    (e, f64::from_bits((i & MANTISSA) + SQRT_HALF) - 1.0)
}

/// `ln(1 + f) = f - half + rest` between the roots of one half and of two, with `half = f²/2`: (half, rest).
///
/// It is a series in `s = f / (2 + f)`, whose first term has become `f - s f`.
#[inline(always)]
fn reduced(f: f64) -> (f64, f64) {
    let s = f / (2.0 + f);
    let z = s * s;
    let p = poly!(z;
        0.6666666666666734, 0.3999999999941432, 0.28571428742474725, 0.22222198563497944, 0.18183564866130517,
        0.15314035847062213, 0.14796105340634194);
    let half = 0.5 * f * f;
    (half, s * z.mul_add(p, half))
}

/// The logarithm of `x`, which is `value` where `x` is a positive finite number.
#[inline(always)]
fn logarithm_of(x: f64, value: f64) -> f64 {
    let value = if x == f64::INFINITY { f64::INFINITY } else { value };
    let value = if x == 0.0 { f64::NEG_INFINITY } else { value };
    if x >= 0.0 { value } else { f64::NAN }
}

/// The natural logarithm.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    let (e, f) = parts(x);
    let (half, rest) = reduced(f);
    let value = e.mul_add(LN_2, f - (half - e.mul_add(LN2_LO, rest)));
    logarithm_of(x, value)
}

/// `e · two + ln(1 + f) · (factor + factor_lo)`, where the first product is exact but for `e · two_lo`.
#[inline(always)]
fn to_base((e, f): (f64, f64), two: (f64, f64), factor: (f64, f64)) -> f64 {
    let (half, rest) = reduced(f);
    let high = f - half;
    let low = (f - high) - half + rest;
    let product = high * factor.0;
    let lost = low.mul_add(factor.0, high.mul_add(factor.1, high.mul_add(factor.0, -product)));
    let whole = e * two.0;
    let sum = whole + product;
    sum + ((whole - sum) + product + e.mul_add(two.1, lost))
}

/// The logarithm to base 2.
#[inline(always)]
pub(super) fn log2(x: f64) -> f64 {
    logarithm_of(x, to_base(parts(x), (1.0, 0.0), (LOG2_E, LOG2_E_LO)))
}

/// The logarithm to base 10.
#[inline(always)]
pub(super) fn log10(x: f64) -> f64 {
    logarithm_of(x, to_base(parts(x), LOG10_2, (LOG10_E, LOG10_E_LO)))
}

/// `ln(1 + y + low)` for `y > -1`, finite, and a `low` in its last place; with `twice` that of twice as much.
#[inline(always)]
fn ln_1p(y: f64, low: f64, twice: bool) -> f64 {
    // 1 + y = 2^e (1 + f), where f comes from y, not from the rounded sum. Quarters keep 2^-e a normal number.
    let i = from_sqrt_half(1.0 + y) & !MANTISSA;
    let scale = f64::from_bits((2048u64 << 52).wrapping_sub(i));
    let base = scale.mul_add(0.25, -1.0);
    let f = (0.25 * y).mul_add(scale, base);
    let lost = (0.25 * y).mul_add(scale, base - f) + 0.25 * low * scale;
    let (half, rest) = reduced(f);
    let e = float(i >> 52) - if twice { 1022.0 } else { 1023.0 };
    let rest = rest + lost.mul_add(-f, lost);
    e.mul_add(LN_2, f - (half - e.mul_add(LN2_LO, rest)))
}

/// `ln(1 + x)`.
#[inline(always)]
pub(super) fn log1p(x: f64) -> f64 {
    let value = ln_1p(x, 0.0, false);
    let value = if x < f64::INFINITY { value } else { x };
    let value = if x.abs() < TINY { x } else { value };
    let value = if x == -1.0 { f64::NEG_INFINITY } else { value };
    if x >= -1.0 { value } else { f64::NAN }
}

/// Beyond, `√(x² ± 1)` rounds to x.
const LARGE: f64 = 1e18;

/// The inverse of sinh.
#[inline(always)]
pub(super) fn asinh(x: f64) -> f64 {
    // ln(a + √(a² + 1)), rewritten so that nothing cancels near 0.
    let a = x.abs();
    let large = a > LARGE;
    let y = if large { a } else { a + a * a / (1.0 + a.mul_add(a, 1.0).sqrt()) };
    let value = ln_1p(y, 0.0, large);
    let value = if a < f64::INFINITY { value } else { a };
    if a < TINY { x } else { value.copysign(x) }
}

/// The inverse of cosh.
#[inline(always)]
pub(super) fn acosh(x: f64) -> f64 {
    let a = x - 1.0;
    let large = a > LARGE;
    let y = if large { a } else { a + a.mul_add(a, 2.0 * a).sqrt() };
    let value = ln_1p(y, 0.0, large);
    let value = if a == f64::INFINITY { a } else { value };
    if a >= 0.0 { value } else { f64::NAN }
}

/// The inverse of tanh.
#[inline(always)]
pub(super) fn atanh(x: f64) -> f64 {
    // ln(1 + 2a / (1 - a)) / 2, the quotient with what rounding takes from it and from its divisor.
    let a = x.abs();
    let (up, down) = (a + a, 1.0 - a);
    let lost = 1.0 - down - a;
    let inverse = 1.0 / down;
    let y = up * inverse;
    let low = (y.mul_add(-down, up) - y * lost) * inverse;
    let value = 0.5 * ln_1p(y, low, false);
    let value = if a == 1.0 { f64::INFINITY } else { value };
    let value = if a < TINY { a } else { value };
    if a <= 1.0 { value.copysign(x) } else { f64::NAN }
}
