//! f32: branch-free functions without calls, so that loops over them vectorise.
//!
//! What networks use most (exp, ln, log1p, tanh, expm1, erf) is computed in f32, with at most 1.5 units in the last place of error
//! (the normal distribution: 5); the rest in f64 by the functions of [`super::wide`], rounded once (0.51 units). Only lgamma, digamma, polygamma
//! and the remainders of large quotients are scalar. The tests at the end state and check the bounds.

use super::angle::Near;
use super::division::Division;
use super::float64::float_num;
use super::poly::poly;
use super::{Num, Real, wide};

impl Num for f32 {
    float_num!(f32);
}

/// 1.5 * 2^23: adding it to a small number rounds that to an integer, found in the low bits of the sum.
pub(super) const MAGIC: f32 = 12582912.0;
pub(super) use std::f32::consts::LOG2_E;
pub(super) const LN2_HI: f32 = 0.693_359_4;
pub(super) const LN2_LO: f32 = -2.121_944_4e-4;

/// `(e^r - 1 - r) / r²` for |r| <= ln(2) / 2.
pub(super) const EXP: [f32; 5] = [0.5, 0.16666485, 0.04166554, 0.008372579, 0.0014034946];
/// `(ln(1 + f) - f + f²/2) / f³` between the roots of one half and of two.
pub(super) const LN: [f32; 9] =
    [0.33333313, -0.2500007, 0.20002098, -0.16664857, 0.14217815, -0.12456438, 0.119462125, -0.114136584, 0.063241825];
/// `(tanh(x) / x - 1) / x²` as a function of x², for magnitudes below this.
pub(super) const TANH_SMALLER: [f32; 5] = [-0.3333328, 0.13331392, -0.05373456, 0.020619594, -0.005680672];
pub(super) const TANH_SMALL: f32 = 0.625;
/// Twice a number whose tanh rounds to 1.
pub(super) const TANH_LARGEST: f32 = 20.0;

/// `x = n ln 2 + r`: (n as a sum with MAGIC, r), for |x| <= 110.
#[inline(always)]
fn split(x: f32) -> (f32, f32) {
    let t = x.mul_add(LOG2_E, MAGIC);
    let n = t - MAGIC;
    (t, n.mul_add(-LN2_LO, n.mul_add(-LN2_HI, x)))
}

/// `2^(n + add)` for a result that is normal, where `t` is n + MAGIC.
#[inline(always)]
fn power_of_two(t: f32, add: i32) -> f32 {
    f32::from_bits(t.to_bits().wrapping_add(127u32.wrapping_add_signed(add)) << 23)
}

/// `e^r` for |r| <= ln(2) / 2.
#[inline(always)]
fn exp_reduced(r: f32) -> f32 {
    (r * r).mul_add(poly!(r; EXP[0], EXP[1], EXP[2], EXP[3], EXP[4]), r) + 1.0
}

/// `e^x` where the result is normal.
#[inline(always)]
fn exp_normal(x: f32) -> f32 {
    let (t, r) = split(x);
    exp_reduced(r) * power_of_two(t, 0)
}

/// `x` held between bounds; NaN stays.
#[inline(always)]
fn hold(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// The sign bit of `x` flips that of `value`.
#[inline(always)]
fn flip(value: f32, x: f32) -> f32 {
    f32::from_bits(value.to_bits() ^ (x.to_bits() & 0x8000_0000))
}

/// The bits of the square root of one half, and of two.
pub(super) const SQRT_HALF: i32 = 0x3f35_04f3;
#[cfg(target_arch = "x86_64")]
pub(super) const SQRT_TWO: u32 = 0x3fb5_04f3;

/// The bits of `x` less those of the root of one half: above the mantissa stands the `e` of `x = 2^e (1 + f)`, where
/// 1 + f lies between the roots of one half and of two.
#[inline(always)]
fn from_sqrt_half(x: f32) -> i32 {
    (x.to_bits() as i32).wrapping_sub(SQRT_HALF)
}

/// `ln(2^e (1 + f))`.
#[inline(always)]
fn ln_reduced(e: f32, f: f32) -> f32 {
    let p = poly!(f; LN[0], LN[1], LN[2], LN[3], LN[4], LN[5], LN[6], LN[7], LN[8]);
    let z = f * f;
    let low = e.mul_add(LN2_LO, (f * z).mul_add(p, -0.5 * z));
    e.mul_add(LN2_HI, f + low)
}

/// Sine (`shift` 0) or cosine (1) of a number of quarter turns and the angle left.
#[inline(always)]
fn wave((turns, r): (u32, f64), shift: u32) -> f32 {
    let turns = turns.wrapping_add(shift);
    let (sin, cos) = (wide::sin_reduced(r), wide::cos_reduced(r));
    let value = (if turns & 1 == 0 { sin } else { cos }) as f32;
    f32::from_bits(value.to_bits() ^ ((turns & 2) << 30))
}

/// The tangent.
#[inline(always)]
fn slope((turns, r): (u32, f64)) -> f32 {
    let (sin, cos) = (wide::sin_reduced(r), wide::cos_reduced(r));
    let (up, down) = if turns & 1 == 0 { (sin, cos) } else { (-cos, sin) };
    (up / down) as f32
}

impl Near for f32 {
    const NEAR: f32 = 268435456.0; // 2^28

    #[inline(always)]
    fn sin_near(self) -> f32 {
        flip(wave(wide::quarter_turns_near(f64::from(self.abs())), 0), self)
    }
    #[inline(always)]
    fn cos_near(self) -> f32 {
        wave(wide::quarter_turns_near(f64::from(self.abs())), 1)
    }
    #[inline(always)]
    fn tan_near(self) -> f32 {
        flip(slope(wide::quarter_turns_near(f64::from(self.abs()))), self)
    }
}

/// The logarithm in f64 of any f32, specials included.
#[inline(always)]
fn ln_any(x: f32) -> f64 {
    let value = wide::ln(f64::from(x));
    let value = if x == f32::INFINITY { f64::INFINITY } else { value };
    let value = if x == 0.0 { f64::NEG_INFINITY } else { value };
    if x >= 0.0 { value } else { f64::NAN }
}

macro_rules! from_std {
    ($($name:ident),*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            f32::$name(self)
        }
    )*};
}

/// Computed by the f64 function and rounded.
macro_rules! from_f64 {
    ($($name:ident),*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            Real::$name(f64::from(self)) as f32
        }
    )*};
}

impl Real for f32 {
    from_std!(floor, ceil, trunc, sqrt);
    from_f64!(lgamma, digamma);

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f32::mul_add(self, a, b)
    }
    #[inline(always)]
    fn next_after(self, to: Self) -> Self {
        if self == to {
            return to;
        }
        let next = if to > self { self.next_up() } else { self.next_down() };
        if self.is_nan() || to.is_nan() { f32::NAN } else { next }
    }
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        f32::copysign(self, sign)
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }
    #[inline(always)]
    fn is_inf(self) -> bool {
        f32::is_infinite(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
    #[inline(always)]
    fn round(self) -> Self {
        f32::round_ties_even(self)
    }

    #[inline(always)]
    fn exp(self) -> Self {
        let (t, r) = split(hold(self, -104.0, 89.0));
        // 2^n alone may be no normal number: the last factor rounds what is smaller, and makes infinite what is larger.
        let (lift, back) = if self < -86.0 { (64, f32::from_bits((127 - 64) << 23)) } else { (-1, 2.0) };
        exp_reduced(r) * power_of_two(t, lift) * back
    }

    #[inline(always)]
    fn expm1(self) -> Self {
        let (t, r) = split(hold(self, -20.0, 89.0));
        let q = poly!(r; 0.5, 0.16666529, 0.04166615, 0.00836845, 0.0013976304);
        let p = (r * r).mul_add(q, r);
        // Half of 2^n is always a normal number; e^x - 1 = 2 (2^n/2 p + 2^n/2 - 1/2).
        let half = power_of_two(t, -1);
        let value = 2.0 * half.mul_add(p, half - 0.5);
        if self.abs() < 1e-30 { self } else { value }
    }

    #[inline(always)]
    fn ln(self) -> Self {
        let tiny = self < f32::MIN_POSITIVE;
        let x = if tiny { self * 8388608.0 } else { self };
        let i = from_sqrt_half(x);
        let e = ((i >> 23) - if tiny { 23 } else { 0 }) as f32;
        let f = f32::from_bits((i & 0x007f_ffff).wrapping_add(SQRT_HALF) as u32) - 1.0;
        let value = ln_reduced(e, f);
        let value = if self == f32::INFINITY { self } else { value };
        let value = if self == 0.0 { f32::NEG_INFINITY } else { value };
        if self >= 0.0 { value } else { f32::NAN }
    }

    #[inline(always)]
    fn tanh(self) -> Self {
        let (a, z) = (self.abs(), self * self);
        let c = TANH_SMALLER;
        let small = (a * z).mul_add(poly!(z; c[0], c[1], c[2], c[3], c[4]), a);
        let large = 1.0 - 2.0 / (exp_normal(hold(a + a, 0.0, TANH_LARGEST)) + 1.0);
        (if a < TANH_SMALL { small } else { large }).copysign(self)
    }

    #[inline(always)]
    fn erf(self) -> Self {
        let a = self.abs();
        let z = a * a;
        let p = poly!(z; 0.12837915, -0.37612498, 0.11281827, -0.026766231, 0.0049917614, -0.00059802074);
        let small = a.mul_add(p, a);
        // 1 - erf(x) = e^-q(x), with q fitted up to 4, where erf rounds to 1.
        let b = hold(a, 0.0, 4.0);
        let q = poly!(b;
            -0.00017468318, 1.129515, 0.6333464, 0.10828101, -0.02512026, 0.004171477, -0.0004345698, 2.1106323e-05);
        let large = 1.0 - exp_normal(-q);
        (if a < 0.92 { small } else { large }).copysign(self)
    }

    #[inline(always)]
    fn erfc(self) -> Self {
        let value = wide::erfc_positive(f64::from(hold(self.abs(), 0.0, 10.2)));
        (if self < 0.0 { 2.0 - value } else { value }) as f32
    }

    #[inline(always)]
    fn erfinv(self) -> Self {
        let value = wide::erfinv(f64::from(self)) as f32;
        let value = if self.abs() == 1.0 { self * f32::INFINITY } else { value };
        if self.abs() <= 1.0 { value } else { f32::NAN }
    }

    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        let a = hold(self.abs(), 0.0, 14.5);
        let z = a * a;
        // What rounding took from a² matters as much as e^-z is small.
        let density = Real::exp(-0.5 * z);
        let density = (a.mul_add(a, -z) * -0.5).mul_add(density, density);
        // The rest of the distribution beyond a, divided by the density.
        let t = (a - 4.0) / (a + 4.0);
        let p = poly!(t;
            0.09441064, -0.17039774, 0.1243792, -0.07170674, 0.0308655, -0.008497917, 0.0005025514, 0.0006577629,
            -0.00016782574, -6.528484e-05);
        let beyond = p * density;
        (if self > 0.0 { 1.0 - beyond } else { beyond }, density)
    }

    #[inline(always)]
    fn exp2(self) -> Self {
        wide::exp2(f64::from(hold(self, -200.0, 200.0))) as f32
    }
    #[inline(always)]
    fn log2(self) -> Self {
        (ln_any(self) * std::f64::consts::LOG2_E) as f32
    }
    #[inline(always)]
    fn log10(self) -> Self {
        (ln_any(self) * std::f64::consts::LOG10_E) as f32
    }

    #[inline(always)]
    fn log1p(self) -> Self {
        // 1 + x = 2^e (1 + f), where f comes from x, not from the rounded sum. Quarters keep 2^-e a normal number.
        let i = from_sqrt_half(1.0 + self) & !0x007f_ffff;
        let scale = f32::from_bits(0x4080_0000i32.wrapping_sub(i) as u32);
        let f = (0.25 * self).mul_add(scale, scale.mul_add(0.25, -1.0));
        let value = ln_reduced((i >> 23) as f32, f);
        let value = if self < f32::INFINITY { value } else { self };
        let value = if self.abs() < 1e-30 { self } else { value };
        if self > -1.0 {
            value
        } else if self == -1.0 {
            f32::NEG_INFINITY
        } else {
            f32::NAN
        }
    }

    #[inline(always)]
    fn sin(self) -> Self {
        let far = || flip(wave(wide::quarter_turns(f64::from(self.abs())), 0), self);
        if self.abs() <= Self::NEAR { self.sin_near() } else { far() }
    }
    #[inline(always)]
    fn cos(self) -> Self {
        let far = || wave(wide::quarter_turns(f64::from(self.abs())), 1);
        if self.abs() <= Self::NEAR { self.cos_near() } else { far() }
    }
    #[inline(always)]
    fn tan(self) -> Self {
        let far = || flip(slope(wide::quarter_turns(f64::from(self.abs()))), self);
        if self.abs() <= Self::NEAR { self.tan_near() } else { far() }
    }

    #[inline(always)]
    fn asin(self) -> Self {
        let a = f64::from(self.abs());
        let far = a > 0.5;
        let value = wide::asin_reduced(if far { (0.5 - 0.5 * a).sqrt() } else { a });
        (if far { std::f64::consts::FRAC_PI_2 - 2.0 * value } else { value }).copysign(f64::from(self)) as f32
    }
    #[inline(always)]
    fn acos(self) -> Self {
        let x = f64::from(self);
        let far = x.abs() > 0.5;
        let value = wide::asin_reduced(if far { (0.5 - 0.5 * x.abs()).sqrt() } else { x.abs() });
        let near = std::f64::consts::FRAC_PI_2 - value.copysign(x);
        let away = if x < 0.0 { std::f64::consts::PI - 2.0 * value } else { 2.0 * value };
        (if far { away } else { near }) as f32
    }
    #[inline(always)]
    fn atan(self) -> Self {
        let a = f64::from(self.abs());
        let value = wide::atan_reduced(if a > 1.0 { 1.0 / a } else { a });
        (if a > 1.0 { std::f64::consts::FRAC_PI_2 - value } else { value }).copysign(f64::from(self)) as f32
    }
    #[inline(always)]
    fn atan2(self, x: Self) -> Self {
        use std::f64::consts::{FRAC_PI_2, PI};
        let (ay, ax) = (f64::from(self.abs()), f64::from(x.abs()));
        let steep = ay > ax;
        let (low, high) = if steep { (ax, ay) } else { (ay, ax) };
        let ratio = if low == high { if low == 0.0 { 0.0 } else { 1.0 } } else { low / high };
        let angle = wide::atan_reduced(ratio);
        let angle = if steep { FRAC_PI_2 - angle } else { angle };
        let angle = if x.is_sign_negative() { PI - angle } else { angle };
        angle.copysign(f64::from(self)) as f32
    }

    #[inline(always)]
    fn sinh(self) -> Self {
        let a = f64::from(self.abs());
        let e = wide::exp(f64::from(hold(self.abs(), 0.0, 120.0)));
        let z = a * a;
        let small = (a * z).mul_add(poly!(z; 1.0 / 6.0, 1.0 / 120.0), a);
        (if a < 0.03 { small } else { 0.5 * e - 0.5 / e }).copysign(f64::from(self)) as f32
    }
    #[inline(always)]
    fn cosh(self) -> Self {
        let e = wide::exp(f64::from(hold(self.abs(), 0.0, 120.0)));
        (0.5 * e + 0.5 / e) as f32
    }
    #[inline(always)]
    fn asinh(self) -> Self {
        // ln(a + sqrt(a² + 1)), rewritten so that nothing cancels near 0.
        let a = f64::from(self.abs());
        let value = wide::ln_1p(a + a * a / (1.0 + a.mul_add(a, 1.0).sqrt()));
        let value = if a < f64::INFINITY { value } else { a };
        value.copysign(f64::from(self)) as f32
    }
    #[inline(always)]
    fn acosh(self) -> Self {
        let y = f64::from(self) - 1.0;
        let value = wide::ln_1p(y + y.mul_add(y, 2.0 * y).sqrt());
        let value = if y == f64::INFINITY { y } else { value };
        (if y >= 0.0 { value } else { f64::NAN }) as f32
    }
    #[inline(always)]
    fn atanh(self) -> Self {
        let a = f64::from(self.abs());
        let value = 0.5 * wide::ln_1p(2.0 * a / (1.0 - a));
        let value = if a == 1.0 { f64::INFINITY } else { value };
        (if a <= 1.0 { value } else { f64::NAN }).copysign(f64::from(self)) as f32
    }

    #[inline(always)]
    fn cbrt(self) -> Self {
        let tiny = self.abs() < f32::MIN_POSITIVE;
        let a = if tiny { self.abs() * 16777216.0 } else { self.abs() };
        // A third of the exponent to start with, then two steps of Halley's iteration.
        let mut y = f64::from(f32::from_bits(a.to_bits() / 3 + 709_958_130));
        let a = f64::from(a);
        for _ in 0..2 {
            let cube = y * y * y;
            y *= (cube + 2.0 * a) / (2.0 * cube + a);
        }
        let value = (if tiny { y * (1.0 / 256.0) } else { y }).copysign(f64::from(self)) as f32;
        if self == 0.0 || !self.is_finite() { self } else { value }
    }
    #[inline(always)]
    fn hypot(self, other: Self) -> Self {
        let (x, y) = (f64::from(self), f64::from(other));
        let value = x.mul_add(x, y * y).sqrt() as f32;
        if self.is_infinite() || other.is_infinite() { f32::INFINITY } else { value }
    }

    #[inline(always)]
    fn polygamma(self, n: Self) -> Self {
        Real::polygamma(f64::from(self), f64::from(n)) as f32
    }

    #[inline(always)]
    fn powf(self, exponent: Self) -> Self {
        let (a, y) = (self.abs(), exponent);
        let t = f64::from(y) * ln_any(a);
        let t = if t < -200.0 { -200.0 } else { t };
        let value = wide::exp(if t > 200.0 { 200.0 } else { t }) as f32;
        let whole = y.trunc() == y;
        let odd = whole && (0.5 * y).trunc() != 0.5 * y;
        let value = if odd { value.copysign(self) } else { value };
        let value = if self < 0.0 && self.is_finite() && !whole { f32::NAN } else { value };
        let one = self == 1.0 || y == 0.0 || (self == -1.0 && y.is_infinite());
        if one { 1.0 } else { value }
    }
}
