//! Powers of f64: the logarithm in two parts, branch-free and without calls, so that loops vectorise.

use super::exponential::{exp_of_sum, hold};
use super::logarithm::parts;
use super::poly::poly;

/// ln 2, the first part so short that its products with exponents are exact.
const LN_2: (f64, f64) = (f64::from_bits(0x3fe6_2e42_fefa_3800), 5.497923018708371e-14);
/// 2/3.
const TWO_THIRDS: (f64, f64) = (0.6666666666666666, 3.700743415417188e-17);

/// The sum of two numbers, the first of larger magnitude or 0, and what rounding takes from it.
#[inline(always)]
fn sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, a - sum + b)
}

/// The product of two numbers, and what rounding takes from it.
#[inline(always)]
fn product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

/// The logarithm of a number that is not negative, as a sum; relative error 2^-65. The second part means something for positive
/// finite numbers only.
#[inline(always)]
fn ln(x: f64) -> (f64, f64) {
    let (e, f) = parts(x);
    // ln(1 + f) = 2s + s³ (2/3 + 2/5 s² + ..) with s = f / (2 + f); every number has its low part.
    let (down, down_low) = sum(2.0, f);
    let inverse = 1.0 / down;
    let s = f * inverse;
    let s_low = (s.mul_add(-down, f) - s * down_low) * inverse;
    let (z, z_low) = product(s, s);
    let z_low = (s + s).mul_add(s_low, z_low);
    let p = poly!(z;
        0.40000000000002256, 0.2857142857009924, 0.22222222519979065, 0.18181784362498601, 0.15386757533520534,
        0.1325681323734934, 0.13196369045852652);
    let (first, first_low) = product(z, TWO_THIRDS.0);
    let first_low = z_low.mul_add(TWO_THIRDS.0, z.mul_add(TWO_THIRDS.1, first_low));
    let (series, low) = sum(first, z * z * p);
    let series_low = low + first_low;
    let (rest, rest_low) = product(s, series);
    let rest_low = s.mul_add(series_low, s_low.mul_add(series, rest_low));
    let (reduced, low) = sum(s + s, rest);
    let reduced_low = low + (s_low + s_low + rest_low);
    let (high, low) = sum(e * LN_2.0, reduced);
    let high = if x == 0.0 { f64::NEG_INFINITY } else { high };
    (if x < f64::INFINITY { high } else { x }, low + e.mul_add(LN_2.1, reduced_low))
}

/// `x^y`.
#[inline(always)]
pub(super) fn pow(x: f64, y: f64) -> f64 {
    let (high, low) = ln(x.abs());
    let (exponent, rest) = product(y, high);
    let rest = y.mul_add(low, rest);
    // Beyond these the result is 0 or infinite.
    let held = hold(exponent, -750.0, 710.0);
    let value = exp_of_sum(held, if held == exponent { rest } else { 0.0 });
    let whole = y.trunc() == y;
    let odd = whole && (0.5 * y).trunc() != 0.5 * y;
    let value = if odd { value.copysign(x) } else { value };
    let value = if x < 0.0 && x > f64::NEG_INFINITY && !whole { f64::NAN } else { value };
    let one = x == 1.0 || y == 0.0 || (x == -1.0 && y.abs() == f64::INFINITY);
    if one { 1.0 } else { value }
}
