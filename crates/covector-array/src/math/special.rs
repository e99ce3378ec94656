//! Special functions of f64 that neither `std` nor `libm` has.

use std::f64::consts::PI;

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
        // The fraction is taken first: tan(πx) of a large x would lose all digits.
        let fraction = x - x.floor();
        return digamma(1.0 - x) - PI / (PI * fraction).tan();
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

/// The inverse of the error function.
///
/// Giles' approximation (2010) as a start, then Newton steps of third order (Halley) with erf or, near 1, erfc.
pub(crate) fn erfinv(x: f64) -> f64 {
    if x.is_nan() || x.abs() >= 1.0 {
        return if x.abs() == 1.0 { x * f64::INFINITY } else { f64::NAN };
    }
    let a = x.abs();
    // 1 - a is exact for a >= 0.5, so erfc keeps every digit there.
    let (near_one, rest) = (a > 0.5, 1.0 - a);
    let mut y = start(a);
    for _ in 0..3 {
        let error = if near_one { rest - libm::erfc(y) } else { libm::erf(y) - a };
        let step = error / (std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp());
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

/// A few digits of erfinv: Winitzki's formula.
fn start(a: f64) -> f64 {
    const A: f64 = 0.147;
    let l = ((1.0 - a) * (1.0 + a)).ln();
    let t = 2.0 / (PI * A) + 0.5 * l;
    ((t * t - l / A).sqrt() - t).max(0.0).sqrt()
}
