//! Exponentials and hyperbolic functions of f64, branch-free and without calls, so that loops vectorise.
//!
//! Coefficients are minimax fits (Remez) made for these files; bounds of the errors are stated and tested in `tests/math.rs`.

use std::f64::consts::{LN_2, LOG2_E};

use super::poly::poly;
use super::wide::MAGIC;

/// What ln 2 is more than its nearest number.
pub(super) const LN2_LO: f64 = 2.3190468138462996e-17;
/// Below, `x` is itself the nearest number to `sinh x` and the like.
pub(super) const TINY: f64 = 1e-300;

/// `x = n ln 2 + r + lost`: (n + MAGIC, r, lost).
#[inline(always)]
fn split(x: f64) -> (f64, f64, f64) {
    let t = x.mul_add(LOG2_E, MAGIC);
    let n = t - MAGIC;
    // The first difference is exact: it has the last place of x or of ln 2, and is less than 1/2.
    let high = n.mul_add(-LN_2, x);
    let r = n.mul_add(-LN2_LO, high);
    (t, r, n.mul_add(-LN2_LO, high - r))
}

/// `2^(n + add)` for a result that is normal, where `t` is n + MAGIC.
#[inline(always)]
fn power_of_two(t: f64, add: i64) -> f64 {
    f64::from_bits(t.to_bits().wrapping_add(1023u64.wrapping_add_signed(add)) << 52)
}

/// `x` held between bounds; NaN stays.
#[inline(always)]
pub(super) fn hold(x: f64, low: f64, high: f64) -> f64 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// `(e^r - 1 - r) / r²` for |r| <= ln(2) / 2.
#[inline(always)]
fn beyond_line(r: f64) -> f64 {
    poly!(r;
        0.5000000000000006, 0.16666666666666685, 0.04166666666657362, 0.0083333333333146, 0.0013888888932379723,
        0.00019841269903012542, 2.480150444488705e-05, 2.7557227968815566e-06, 2.7626326935152e-07,
        2.5114468691293677e-08)
}

/// `p 2^n` where the result may be subnormal or infinite, `t` is n + MAGIC, and `small` tells negative n from positive.
#[inline(always)]
fn scale(p: f64, t: f64, small: bool) -> f64 {
    // 2^n alone may be no normal number: the last factor rounds what is smaller, and makes infinite what is larger.
    let (lift, back) = if small { (64, f64::from_bits((1023 - 64) << 52)) } else { (-1, 2.0) };
    p * power_of_two(t, lift) * back
}

/// `e^(r + lost)` for |r| <= ln(2) / 2.
#[inline(always)]
fn exp_reduced(r: f64, lost: f64) -> f64 {
    let sum = 1.0 + r;
    sum + ((1.0 - sum) + r + (r * r).mul_add(beyond_line(r), lost))
}

/// `e^x`.
#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    let (t, r, lost) = split(hold(x, -750.0, 710.0));
    scale(exp_reduced(r, lost), t, x < 0.0)
}

/// `e^(x + low)` for -750 <= x <= 710 and a `low` in its last place.
#[inline(always)]
pub(super) fn exp_of_sum(x: f64, low: f64) -> f64 {
    let (t, high, lost) = split(x);
    let r = high + low;
    scale(exp_reduced(r, high - r + low + lost), t, x < 0.0)
}

/// `2^x`.
#[inline(always)]
pub(super) fn exp2(x: f64) -> f64 {
    let held = hold(x, -1080.0, 1025.0);
    let t = held + MAGIC;
    let r = held - (t - MAGIC);
    let q = poly!(r;
        LN_2, 0.24022650695910133, 0.05550410866482174, 0.009618129107593276, 0.0013333558146378997,
        0.00015403530458156387, 1.5252733867575555e-05, 1.3215434775737185e-06, 1.0178046447634092e-07,
        7.07386769434562e-09, 4.4573892441553173e-10);
    scale(r.mul_add(q, 1.0), t, x < 0.0)
}

/// `e^x / 4` for |x| < 711.
#[inline(always)]
fn exp_quarter(x: f64) -> f64 {
    let (t, r, lost) = split(x);
    exp_reduced(r, lost) * power_of_two(t, -2)
}

/// `(e^x - 1) / 4` for |x| < 711, as a sum.
#[inline(always)]
fn expm1_quarter(x: f64) -> (f64, f64) {
    let (t, r, lost) = split(x);
    let rest = (r * r).mul_add(beyond_line(r), lost);
    // q (1 + r + rest) - 1/4, where the sum of the two large parts keeps what rounding takes from it.
    let q = power_of_two(t, -2);
    let base = q - 0.25;
    let sum = q.mul_add(r, base);
    (sum, q.mul_add(rest, q.mul_add(r, base - sum)))
}

/// `e^x - 1`.
#[inline(always)]
pub(super) fn expm1(x: f64) -> f64 {
    let (high, low) = expm1_quarter(hold(x, -50.0, 710.0));
    let value = 4.0 * (high + low);
    if x.abs() < TINY { x } else { value }
}

/// `e = (e^x - 1) / 4` for 0 <= x < 711, and its quotient by `e + add`, both as a sum.
#[inline(always)]
fn quotient(x: f64, add: f64) -> ((f64, f64), (f64, f64)) {
    let (high, low) = expm1_quarter(x);
    let e = high + low;
    let low = high - e + low;
    let down = e + add;
    let down_lost = add - down + e + low;
    let inverse = 1.0 / down;
    let ratio = e * inverse;
    let lost = (ratio.mul_add(-down, e) + ratio.mul_add(-down_lost, low)) * inverse;
    ((e, low), (ratio, lost))
}

/// The hyperbolic sine.
#[inline(always)]
pub(super) fn sinh(x: f64) -> f64 {
    let a = x.abs();
    let (e, ratio) = quotient(hold(a, 0.0, 710.5), 0.25);
    let value = 2.0 * (e.0 + 0.25f64.mul_add(ratio.0, 0.25f64.mul_add(ratio.1, e.1)));
    if a < TINY { x } else { value.copysign(x) }
}

/// The hyperbolic cosine.
#[inline(always)]
pub(super) fn cosh(x: f64) -> f64 {
    let q = exp_quarter(hold(x.abs(), 0.0, 710.5));
    2.0 * (q + 0.0625 / q)
}

/// The hyperbolic tangent.
#[inline(always)]
pub(super) fn tanh(x: f64) -> f64 {
    let a = x.abs();
    let (_, ratio) = quotient(hold(a + a, 0.0, 50.0), 0.5);
    let value = ratio.0 + ratio.1;
    if a < TINY { x } else { value.copysign(x) }
}
