//! Functions of complex numbers, on c128: values, branch cuts and what infinities, NaN and signed zeros give are those of
//! C's Annex G, which the Array API and NumPy follow. c64 is computed in c128 and rounded once ([`Narrow`]).
//!
//! Sources: Kahan 1987, "Branch cuts for complex elementary functions"; C11, Annex G; NumPy for products, quotients and
//! powers, which are the schoolbook ones with Smith's scaling.

use std::f64::consts::{FRAC_PI_2, LN_2, LOG2_E, LOG10_E};

use crate::math::Real;
use crate::{Element, c64, c128};

/// A result in the precision of c64.
pub trait Narrow {
    /// The narrower type.
    type To: Element;
    /// Rounded to it.
    fn narrow(self) -> Self::To;
}

impl Narrow for c128 {
    type To = c64;
    #[inline(always)]
    fn narrow(self) -> c64 {
        c64::new(self.re as f32, self.im as f32)
    }
}

impl Narrow for f64 {
    type To = f32;
    #[inline(always)]
    fn narrow(self) -> f32 {
        self as f32
    }
}

impl Narrow for bool {
    type To = bool;
    #[inline(always)]
    fn narrow(self) -> bool {
        self
    }
}

/// The same number in c128.
#[inline(always)]
pub fn widen(z: c64) -> c128 {
    c128::new(z.re.into(), z.im.into())
}

const ONE: c128 = c128::new(1.0, 0.0);

fn new(re: f64, im: f64) -> c128 {
    c128::new(re, im)
}

/// The parts exchanged: the reflection that takes `asin` to `asinh`.
fn swapped(z: c128) -> c128 {
    new(z.im, z.re)
}

/// `f` turned by a right angle: `-i f(i z)`.
fn turned(f: fn(c128) -> c128, z: c128) -> c128 {
    let w = f(new(-z.im, z.re));
    new(w.im, -w.re)
}

/// The absolute value, without overflow.
#[inline(always)]
pub fn abs(z: c128) -> f64 {
    <f64 as Real>::hypot(z.re, z.im)
}

/// The angle in [-π, π].
pub fn angle(z: c128) -> f64 {
    z.im.atan2(z.re)
}

/// Both parts rounded to the nearest integer, halves to even.
pub fn round(z: c128) -> c128 {
    new(z.re.round_ties_even(), z.im.round_ties_even())
}

/// The product, by the schoolbook's formula.
#[inline(always)]
pub fn multiply(a: c128, b: c128) -> c128 {
    new(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)
}

/// The quotient, by Smith's method, without a branch.
#[inline(always)]
pub fn divide(a: c128, b: c128) -> c128 {
    let ((ratio, scale), turned) = smith(b);
    let scale = 1.0 / scale;
    let (u, v) = if turned { (a.im, a.re) } else { (a.re, a.im) };
    let im = if turned { u * ratio - v } else { v - u * ratio };
    let value = new((u + v * ratio) * scale, im * scale);
    if b.re == 0.0 && b.im == 0.0 { new(a.re / b.re.abs(), a.im / b.re.abs()) } else { value }
}

/// `1 / z`, by Smith's method, without a branch.
#[inline(always)]
pub fn reciprocal(z: c128) -> c128 {
    let ((ratio, scale), turned) = smith(z);
    let (re, im) = if turned { (ratio, -1.0) } else { (1.0, -ratio) };
    new(re / scale, im / scale)
}

/// The smaller part of a number over the larger one, the larger one plus the smaller one times that, and whether the larger one is
/// the imaginary one.
#[inline(always)]
fn smith(z: c128) -> ((f64, f64), bool) {
    let turned = z.re.abs() < z.im.abs();
    let (large, small) = if turned { (z.im, z.re) } else { (z.re, z.im) };
    let ratio = small / large;
    ((ratio, large + small * ratio), turned)
}

/// The power, principal value: exact products for small whole exponents.
pub fn pow(base: c128, exponent: c128) -> c128 {
    if exponent == c128::default() {
        return ONE;
    }
    if base == c128::default() {
        return if exponent.re > 0.0 { c128::default() } else { new(f64::NAN, f64::NAN) };
    }
    if exponent.im == 0.0 && exponent.re.fract() == 0.0 && exponent.re.abs() < 100.0 {
        let (mut left, mut square, mut result) = (exponent.re.abs() as u32, base, None::<c128>);
        while left > 0 {
            if left & 1 == 1 {
                result = Some(result.map_or(square, |r| multiply(r, square)));
            }
            square = multiply(square, square);
            left >>= 1;
        }
        let result = result.unwrap_or(ONE);
        return if exponent.re < 0.0 { divide(ONE, result) } else { result };
    }
    exp(multiply(exponent, log(base)))
}

/// The square root with a real part of at least 0; the cut runs along the negative real axis.
pub fn sqrt(z: c128) -> c128 {
    let (x, y) = (z.re, z.im);
    if x == 0.0 && y == 0.0 {
        return new(0.0, y);
    }
    if y.is_infinite() {
        return new(f64::INFINITY, y);
    }
    if x.is_infinite() {
        let other = if y.is_nan() { f64::NAN } else { 0.0f64.copysign(y) };
        return if x > 0.0 { new(x, other) } else { new(other.abs(), f64::INFINITY.copysign(y)) };
    }
    let size = x.abs().max(y.abs());
    let (scale, back) = match size {
        s if s > 1e307 => (0.0625, 4.0),
        s if s < 1e-290 => (2f64.powi(54), 2f64.powi(-27)),
        _ => (1.0, 1.0),
    };
    let (x, y) = (x * scale, y * scale);
    let root = ((x.abs() + x.hypot(y)) * 0.5).sqrt();
    let other = y.abs() / (2.0 * root);
    if x >= 0.0 { new(root * back, other.copysign(y) * back) } else { new(other * back, root.copysign(y) * back) }
}

/// The reciprocal of [`sqrt`].
pub fn rsqrt(z: c128) -> c128 {
    reciprocal(sqrt(z))
}

/// The exponential.
pub fn exp(z: c128) -> c128 {
    let (x, y) = (z.re, z.im);
    if y == 0.0 {
        return new(x.exp(), y);
    }
    if !y.is_finite() {
        return match x {
            f64::INFINITY => new(x, f64::NAN),
            f64::NEG_INFINITY => new(0.0, 0.0),
            _ => new(f64::NAN, f64::NAN),
        };
    }
    let (sin, cos) = y.sin_cos();
    if x > 709.0 && x.is_finite() {
        // The parts may be finite where e^x is not.
        let half = (x * 0.5).exp();
        return new(half * cos * half, half * sin * half);
    }
    let size = x.exp();
    new(size * cos, size * sin)
}

/// `exp(z) - 1`, accurate near 0.
pub fn expm1(z: c128) -> c128 {
    let (x, y) = (z.re, z.im);
    if y == 0.0 {
        // The Array API asks for the +0 that the difference of `exp(-0)` and 1 is.
        return new(x.exp_m1() + 0.0, y);
    }
    if !x.is_finite() || !y.is_finite() || x > 709.0 {
        let w = exp(z);
        return new(w.re - 1.0, w.im);
    }
    let half = (0.5 * y).sin();
    new(x.exp_m1() * y.cos() - 2.0 * half * half, x.exp() * y.sin())
}

/// The natural logarithm; the cut runs along the negative real axis.
pub fn log(z: c128) -> c128 {
    let (large, small) = (z.re.abs().max(z.im.abs()), z.re.abs().min(z.im.abs()));
    let size = z.re.hypot(z.im);
    let re = if (0.5..2.0).contains(&size) {
        0.5 * ((large - 1.0) * (large + 1.0) + small * small).ln_1p()
    } else if size.is_infinite() && large.is_finite() {
        (large * 0.5).hypot(small * 0.5).ln() + LN_2
    } else {
        size.ln()
    };
    new(re, angle(z))
}

/// `log(1 + z)`, accurate near 0.
pub fn log1p(z: c128) -> c128 {
    let (x, y) = (z.re, z.im);
    if x.abs() < 0.5 && y.abs() < 0.5 {
        return new(0.5 * (x * (2.0 + x) + y * y).ln_1p(), y.atan2(1.0 + x));
    }
    log(new(1.0 + x, y))
}

/// The logarithm to base 2.
pub fn log2(z: c128) -> c128 {
    log(z) * LOG2_E
}

/// The logarithm to base 10.
pub fn log10(z: c128) -> c128 {
    log(z) * LOG10_E
}

/// `e^|x| / 2` times two numbers, where the exponential alone may overflow.
fn half_exponential(x: f64, re: f64, im: f64) -> c128 {
    let half = (x.abs() * 0.5).exp();
    new(half * 0.5 * re * half, half * 0.5 * im * half)
}

/// The hyperbolic sine.
pub fn sinh(z: c128) -> c128 {
    let (x, y) = (z.re, z.im);
    if y == 0.0 {
        return new(x.sinh(), y);
    }
    match (x.is_finite(), y.is_finite()) {
        (true, true) if x.abs() < 22.0 => new(x.sinh() * y.cos(), x.cosh() * y.sin()),
        (true, true) => half_exponential(x, y.cos().copysign(x * y.cos()), y.sin()),
        (true, false) if x == 0.0 => new(x, f64::NAN),
        (false, true) if x.is_infinite() => new(x * y.cos(), f64::INFINITY * y.sin()),
        (false, false) if x.is_infinite() => new(x, f64::NAN),
        _ => new(f64::NAN, f64::NAN),
    }
}

/// The hyperbolic cosine.
pub fn cosh(z: c128) -> c128 {
    let (x, y) = (z.re, z.im);
    if y == 0.0 {
        let im = if x.is_nan() { y } else { y * 1.0f64.copysign(x) };
        return new(x.cosh(), im);
    }
    match (x.is_finite(), y.is_finite()) {
        (true, true) if x.abs() < 22.0 => new(x.cosh() * y.cos(), x.sinh() * y.sin()),
        (true, true) => half_exponential(x, y.cos(), y.sin().copysign(x * y.sin())),
        (true, false) if x == 0.0 => new(f64::NAN, 0.0),
        (false, true) if x.is_infinite() => new(f64::INFINITY * y.cos(), x * y.sin()),
        (false, false) if x.is_infinite() => new(f64::INFINITY, f64::NAN),
        _ => new(f64::NAN, f64::NAN),
    }
}

/// The hyperbolic tangent.
pub fn tanh(z: c128) -> c128 {
    let (x, y) = (z.re, z.im);
    if x.is_nan() {
        return new(x, if y == 0.0 { y } else { f64::NAN });
    }
    if x.is_infinite() {
        // The Array API's zero has the sign of `y`; that of C99 has the sign of `sin(2y)`.
        return new(1.0f64.copysign(x), 0.0f64.copysign(y));
    }
    if !y.is_finite() {
        return new(if x == 0.0 { x } else { f64::NAN }, f64::NAN);
    }
    if x.abs() >= 22.0 {
        let small = (-x.abs()).exp();
        return new(1.0f64.copysign(x), 4.0 * y.sin() * y.cos() * small * small);
    }
    let (tan, sinh) = (y.tan(), x.sinh());
    let cosh = (1.0 + sinh * sinh).sqrt();
    let beta = 1.0 + tan * tan;
    let below = 1.0 + beta * sinh * sinh;
    new(beta * cosh * sinh / below, tan / below)
}

/// The sine.
pub fn sin(z: c128) -> c128 {
    turned(sinh, z)
}

/// The cosine.
pub fn cos(z: c128) -> c128 {
    cosh(new(-z.im, z.re))
}

/// The tangent.
pub fn tan(z: c128) -> c128 {
    turned(tanh, z)
}

/// The roots of `1 - z` and `1 + z`, with the signs of zeros kept.
fn roots(z: c128) -> [c128; 2] {
    [sqrt(new(1.0 - z.re, -z.im)), sqrt(new(1.0 + z.re, z.im))]
}

/// The angle whose sine is `z`; the cuts run along the real axis beyond -1 and 1.
pub fn asin(z: c128) -> c128 {
    swapped(asinh(swapped(z)))
}

/// The number whose hyperbolic sine is `z`; the cuts run along the imaginary axis beyond -i and i.
pub fn asinh(z: c128) -> c128 {
    let (x, y) = (z.re, z.im);
    if x.is_nan() || y.is_nan() {
        return match (x, y) {
            (x, _) if x.is_infinite() => new(x, f64::NAN),
            (_, y) if y.is_infinite() => new(y, f64::NAN),
            (_, 0.0) => new(f64::NAN, y),
            _ => new(f64::NAN, f64::NAN),
        };
    }
    if x.is_infinite() || y.is_infinite() {
        return new(f64::INFINITY.copysign(x), y.atan2(x.abs()));
    }
    // The formula for asin, of the reflected number.
    let w = swapped(z);
    let [minus, plus] = roots(w);
    let re = w.re.atan2(minus.re * plus.re - minus.im * plus.im);
    let im = (minus.re * plus.im - minus.im * plus.re).asinh();
    new(im.abs().copysign(x), re)
}

/// The angle whose cosine is `z`, with a real part in [0, π]; the cuts run along the real axis beyond -1 and 1.
pub fn acos(z: c128) -> c128 {
    let (x, y) = (z.re, z.im);
    if x.is_nan() || y.is_nan() {
        return match (x, y) {
            (x, _) if x.is_infinite() => new(f64::NAN, f64::NEG_INFINITY),
            (_, y) if y.is_infinite() => new(f64::NAN, -y),
            (0.0, _) => new(FRAC_PI_2, f64::NAN),
            _ => new(f64::NAN, f64::NAN),
        };
    }
    if x.is_infinite() || y.is_infinite() {
        return new(y.abs().atan2(x), f64::NEG_INFINITY.copysign(-y));
    }
    let [minus, plus] = roots(z);
    let re = 2.0 * minus.re.atan2(plus.re);
    let im = (plus.re * minus.im - plus.im * minus.re).asinh();
    new(re, im.abs().copysign(-y))
}

/// The number whose hyperbolic cosine is `z`, with a real part of at least 0; the cut runs along the real axis below 1.
pub fn acosh(z: c128) -> c128 {
    let w = acos(z);
    match (w.re.is_nan(), w.im.is_nan()) {
        (true, true) => new(w.im, w.re),
        (true, false) => new(w.im.abs(), w.re),
        (false, true) => new(w.im, if z.re == 0.0 && z.im.is_nan() { w.re } else { w.im }),
        _ => new(w.im.abs(), w.re.copysign(z.im)),
    }
}

/// The number whose hyperbolic tangent is `z`; the cuts run along the real axis beyond -1 and 1.
pub fn atanh(z: c128) -> c128 {
    let (x, y) = (z.re, z.im);
    if y == 0.0 && x.abs() <= 1.0 {
        return new(x.atanh(), y);
    }
    if x == 0.0 {
        return new(x, y.atan());
    }
    if x.is_infinite() || y.is_infinite() {
        return new(0.0f64.copysign(x), if y.is_nan() { y } else { FRAC_PI_2.copysign(y) });
    }
    if x.is_nan() || y.is_nan() {
        return new(f64::NAN, f64::NAN);
    }
    let a = x.abs();
    if a > 1e16 || y.abs() > 1e16 {
        let size = a.hypot(y);
        return new((a / size / size).copysign(x), FRAC_PI_2.copysign(y));
    }
    let near = (1.0 - a).hypot(y);
    // Beside the pole the square of the distance may underflow.
    let re = match near < 1e-150 {
        true => 0.5 * (LN_2 - near.ln()),
        false => 0.25 * (4.0 * a / (near * near)).ln_1p(),
    };
    let im = 0.5 * (2.0 * y).atan2((1.0 - a) * (1.0 + a) - y * y);
    new(re.copysign(x), im)
}

/// The angle whose tangent is `z`; the cuts run along the imaginary axis beyond -i and i.
pub fn atan(z: c128) -> c128 {
    swapped(atanh(swapped(z)))
}
