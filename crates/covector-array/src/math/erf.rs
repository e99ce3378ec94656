//! The error function of f64, its complement, its inverse and the normal distribution, branch-free and without calls, so that loops
//! vectorise.
//!
//! Coefficients are fits by Chebyshev polynomials made for this file; bounds of the errors are stated and tested in `tests/math.rs`.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::exponential::{exp, exp_of_sum, hold};
use super::poly::poly;
use super::wide;

/// Below, [`erf_small`] serves for the complement, too, which would lose digits to [`erfcx`].
const HALF_LEFT: f64 = 0.476936;

/// `erf(x)` for 0 <= x <= 0.866.
#[inline(always)]
fn erf_small(x: f64) -> f64 {
    let p = poly!(x * x;
        0.1283791670955126, -0.3761263890318374, 0.11283791670954493, -0.026866170644973524, 0.00522397762340871,
        -0.0008548326868599297, 0.00012055325494924972, -1.4925411533551613e-05, 1.6457013907764837e-06,
        -1.6293444273884912e-07, 1.4147272175166887e-08, -8.727804892971983e-10);
    x.mul_add(p, x)
}

/// `e^(x²) erfc(x)` for 0 <= x <= 27.8, as a sum: a smooth function of (x - 4) / (x + 4) over `1 + 2x` (Shepherd and Laframboise,
/// 1981).
#[inline(always)]
fn erfcx(x: f64) -> (f64, f64) {
    let p = poly!((x - 4.0) / (x + 4.0);
        0.2329951186255525, -0.13962111684056253, 0.015379652102619564, 0.06809705425469333, -0.10103906603629498,
        0.09373283499832669, -0.06633036581240165, 0.037167515537831014, -0.016197734056068124, 0.005031969975174265,
        -0.0007577732970481817, -0.00019925668099475647, 0.00015062169679158353, -2.4399256246617293e-05,
        -1.1222049747797634e-05, 5.709811512441457e-06, 2.937943557194584e-07, -8.255051774992728e-07,
        7.468806858973435e-08, 1.100826160376777e-07, -1.7968501843372706e-08, -1.4093519849725166e-08,
        1.8561967797122098e-09, 1.259869646878772e-09);
    let twice = x + x;
    let down = 1.0 + twice;
    let most = down - 1.0;
    let down_lost = (1.0 - (down - most)) + (twice - most);
    let inverse = 1.0 / down;
    let q = p.mul_add(inverse, inverse);
    let rest = q.mul_add(-down_lost, q.mul_add(-down, 1.0) + p);
    (q, rest * inverse)
}

/// `e^(-scale x²)`, where `scale x²` is below 750 and `scale` a power of two.
#[inline(always)]
fn bell(x: f64, scale: f64) -> f64 {
    let square = x * x;
    exp_of_sum(-scale * square, -scale * x.mul_add(x, -square))
}

/// `1 - erf(x)` for x >= 0, where `bell` is `e^(-x²)`.
#[inline(always)]
fn complement(x: f64, bell: f64) -> f64 {
    let (high, low) = erfcx(x);
    let far = bell.mul_add(high, bell * low);
    if x < HALF_LEFT { 1.0 - erf_small(x) } else { far }
}

/// `1 - erf(x)` for x >= 0.
#[inline(always)]
fn erfc_positive(x: f64) -> f64 {
    let x = hold(x, 0.0, 27.3);
    complement(x, bell(x, 1.0))
}

/// The error function.
#[inline(always)]
pub(super) fn erf(x: f64) -> f64 {
    let a = x.abs();
    let large = 1.0 - erfc_positive(a);
    (if a < 0.85 { erf_small(a) } else { large }).copysign(x)
}

/// `1 - erf(x)`.
#[inline(always)]
pub(super) fn erfc(x: f64) -> f64 {
    let value = erfc_positive(x.abs());
    if x < 0.0 { 2.0 - value } else { value }
}

/// The normal distribution up to `x`, and `e^(-x² / 2)`.
#[inline(always)]
pub(super) fn normal(x: f64) -> (f64, f64) {
    let a = hold(x.abs(), 0.0, 38.7);
    let density = bell(a, 0.5);
    let beyond = 0.5 * complement(a * FRAC_1_SQRT_2, density);
    (if x > 0.0 { 1.0 - beyond } else { beyond }, density)
}

/// The inverse of the error function: nine digits to start with, then a Newton step of third order (Halley) with erf or, near
/// 1, erfc.
#[inline(always)]
pub(super) fn erfinv(x: f64) -> f64 {
    let a = x.abs();
    let y = wide::erfinv(a);
    // 1 - a is exact for a >= 0.5, so erfc keeps every digit there.
    let error = if a > 0.5 { (1.0 - a) - erfc_positive(y) } else { erf_small(y) - a };
    let step = error / (FRAC_2_SQRT_PI * exp(-y * y));
    let value = y - step / (1.0 + y * step);
    let value = if a == 1.0 { f64::INFINITY } else { value };
    (if a <= 1.0 { value } else { f64::NAN }).copysign(x)
}
