//! Special functions of f64 that neither `std` nor `libm` has.

use std::f64::consts::PI;

/// The positive root of digamma, in two parts.
const ROOT: (f64, f64) = (1.4616321449683622, 9.549995429965697e-17);

/// The Taylor series of digamma at its root, without its constant 0.
const NEAR_ROOT: [f64; 15] = [
    0.9676722454476212,
    -0.4427631689835921,
    0.258499760955651,
    -0.16394270544240652,
    0.10782405069126237,
    -0.07219956125645471,
    0.04880428816414311,
    -0.03316112647484736,
    0.022597648232218104,
    -0.01542476590494896,
    0.010538791616612175,
    -0.007204534386356869,
    0.004926781395729853,
    -0.003369801655439328,
    0.002305126326734928,
];

/// The derivative of the logarithm of the gamma function.
///
/// Reflection for negative numbers, the recurrence ψ(x) = ψ(x + 1) - 1/x up to 10, then the asymptotic series
/// (Abramowitz and Stegun 6.3.7, 6.3.5, 6.3.18); near its positive root a Taylor series, where the others cancel.
pub(crate) fn digamma(x: f64) -> f64 {
    if x == 0.0 {
        return f64::INFINITY.copysign(-x);
    }
    if x < 0.0 {
        if x == x.floor() {
            return f64::NAN;
        }
        // Turns are taken off first, exactly: tan(πx) of a large x would lose all digits.
        let rest = x - x.round();
        return digamma(1.0 - x) - PI / (PI * rest).tan();
    }
    let from_root = (x - ROOT.0) - ROOT.1;
    if from_root.abs() < 0.1 {
        return NEAR_ROOT.iter().rev().fold(0.0, |sum, &c| (sum + c) * from_root);
    }
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift += 1.0 / x;
        x += 1.0;
    }
    let z = 1.0 / (x * x);
    const SERIES: [f64; 8] = [
        1.0 / 12.0,
        -1.0 / 120.0,
        1.0 / 252.0,
        -1.0 / 240.0,
        1.0 / 132.0,
        -691.0 / 32760.0,
        1.0 / 12.0,
        -3617.0 / 8160.0,
    ];
    let tail = SERIES.iter().rev().fold(0.0, |sum, &c| (sum + c) * z);
    x.ln() - 0.5 / x - tail - shift
}

/// The derivative of [`digamma`] of order `n`.
///
/// `(-1)^(n+1) n! ζ(n+1, x)`; a negative number lies among terms of both signs, whose sums are such values at positive ones.
pub(crate) fn polygamma(x: f64, n: f64) -> f64 {
    if !(0.0..=1000.0).contains(&n) || n != n.trunc() || x.is_nan() || x == f64::NEG_INFINITY {
        return f64::NAN;
    }
    if n == 0.0 {
        return digamma(x);
    }
    let odd = n % 2.0 == 1.0;
    let (sign, order) = (if odd { 1.0 } else { -1.0 }, n as u32);
    if x > 0.0 {
        return sign * scaled_zeta(order, x);
    }
    if x == x.trunc() {
        let at_zero = if x == 0.0 { f64::INFINITY.copysign(-x) } else { f64::NAN };
        return if odd { f64::INFINITY } else { at_zero };
    }
    // The terms 1/(x + k)^(n+1) for which x + k is positive, and those for which it is not.
    let above = scaled_zeta(order, x - x.floor());
    let below = scaled_zeta(order, x.ceil() - x) - scaled_zeta(order, 1.0 - x);
    sign * (above + sign * below)
}

/// `n! ζ(n+1, a)` for a > 0: terms one by one while `a` is small, the rest by the Euler–Maclaurin formula.
fn scaled_zeta(n: u32, a: f64) -> f64 {
    if a == f64::INFINITY {
        return 0.0;
    }
    // n! / a^(n+1), in an order that neither overflows nor underflows early.
    let term = |a: f64| (1..=n).fold(1.0 / a, |p, i| p * (f64::from(i) / a));
    let s = f64::from(n) + 1.0;
    let (mut a, mut sum) = (a, 0.0);
    while a < 10.0 + s {
        sum += term(a);
        a += 1.0;
    }
    // B_2j / (2j)! for j = 1, 2 ..
    const SERIES: [f64; 10] = [
        1.0 / 12.0,
        -1.0 / 720.0,
        1.0 / 30240.0,
        -1.0 / 1209600.0,
        1.0 / 47900160.0,
        -691.0 / 1307674368000.0,
        1.0 / 74724249600.0,
        -3617.0 / 10670622842880000.0,
        43867.0 / 5109094217170944000.0,
        -174611.0 / 802857662698291200000.0,
    ];
    let (mut tail, mut rising) = (a / f64::from(n) + 0.5, s / a);
    for (j, c) in (1u32..).zip(SERIES) {
        tail += c * rising;
        rising *= (s + f64::from(2 * j - 1)) / a * ((s + f64::from(2 * j)) / a);
    }
    sum + term(a) * tail
}
