//! f64: branch-free functions of [`super::exponential`], [`super::logarithm`], [`super::angle`], [`super::erf`] and
//! [`super::power`]; what is rare comes from the C library through `std`, from `libm` or [`super::special`].
//!
//! The former are off by at most one unit in the last place (sinh and cosh 1.1, asinh and acosh 1.6, erfc and erfinv 1.7, the
//! normal distribution 2.5).

use super::angle::{self, Near};
use super::division::Division;
use super::{Num, Real, erf, exponential, logarithm, power, special};

/// The arithmetic f32 and f64 share.
macro_rules! float_num {
    ($t:ident) => {
        const ZERO: Self = 0.0;
        const ONE: Self = 1.0;
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            self + other
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            self - other
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            self * other
        }
        #[inline(always)]
        fn neg(self) -> Self {
            -self
        }
        #[inline(always)]
        fn abs(self) -> Self {
            $t::abs(self)
        }
        #[inline(always)]
        fn sign(self) -> Self {
            let one = $t::copysign(1.0, self);
            // A zero of either sign gives 0, and NaN itself.
            if $t::abs(self) > 0.0 { one } else { self + 0.0 }
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            // At a tie the bits are combined, so that of two zeros the negative one wins.
            let tie = $t::from_bits(self.to_bits() | other.to_bits());
            let least = if self < other { self } else { other };
            let least = if self == other { tie } else { least };
            if self.is_nan() { self } else { least }
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            let tie = $t::from_bits(self.to_bits() & other.to_bits());
            let most = if self > other { self } else { other };
            let most = if self == other { tie } else { most };
            if self.is_nan() { self } else { most }
        }
        #[inline(always)]
        fn floor_div(self, other: Self) -> Self {
            Division::floored(self, other, self % other)
        }
        #[inline(always)]
        fn remainder(self, other: Self) -> Self {
            Division::remaining(self, other, self % other)
        }
        #[inline(always)]
        fn pow(self, exponent: Self) -> Self {
            Real::powf(self, exponent)
        }
    };
}
pub(super) use float_num;

/// Borges' corrected formula (2019) without a branch, which has the bits of glibc's function.
#[inline(always)]
fn hypot(x: f64, y: f64) -> f64 {
    /// Powers of two: squares beyond the first overflow, those below the second lose digits, and both are scaled by the third.
    const LARGE: f64 = f64::from_bits((1023 + 511) << 52);
    const TINY: f64 = f64::from_bits((1023 - 459) << 52);
    const SCALE: f64 = f64::from_bits((1023 - 600) << 52);
    /// A number so much smaller adds less than half a unit.
    const NOTHING: f64 = f64::EPSILON / 4.0;
    let (x, y) = (x.abs(), y.abs());
    let (long, short) = if x < y { (y, x) } else { (x, y) };
    let (large, tiny) = (long > LARGE, short < TINY);
    let scale = |down: f64, up: f64| {
        if large {
            down
        } else if tiny {
            up
        } else {
            1.0
        }
    };
    let (there, back) = (scale(SCALE, 1.0 / SCALE), scale(1.0 / SCALE, SCALE));
    let (a, b) = (long * there, short * there);
    let h = (a * a + b * b).sqrt();
    let near = h <= 2.0 * b;
    let d = h - if near { b } else { a };
    let first = if near { a * (2.0 * d - a) } else { 2.0 * d * (a - 2.0 * b) };
    let second = if near { (d - 2.0 * (a - b)) * d } else { (4.0 * d - b) * b + d * d };
    let value = (h - (first + second) / (2.0 * h)) * back;
    let alone = if tiny { long >= short / NOTHING } else { short <= long * NOTHING };
    let value = if alone { long + short } else { value };
    if x == f64::INFINITY || y == f64::INFINITY { f64::INFINITY } else { value }
}

/// The cube root: five digits of a third of the exponent by two steps of Halley's iteration, then a step of Newton's whose error
/// is known beyond the last place.
#[inline(always)]
fn cbrt(x: f64) -> f64 {
    /// Two thirds of the exponent's bias as the upper half of the bits has it, less what makes the largest first error least.
    const START: u64 = 715_094_163;
    let tiny = x.abs() < f64::MIN_POSITIVE;
    let a = if tiny { x.abs() * 18014398509481984.0 } else { x.abs() };
    let mut y = f64::from_bits(((a.to_bits() >> 32) / 3 + START) << 32);
    for _ in 0..2 {
        // All in quarters, as the sums could overflow.
        let cube = y * y * (0.25 * y);
        y *= (cube + 0.5 * a) / (2.0 * cube + 0.25 * a);
    }
    let square = y * y;
    let excess = square.mul_add(y, -a) + y.mul_add(y, -square) * y;
    let y = y - excess / (3.0 * square);
    let value = (if tiny { y * (1.0 / 262144.0) } else { y }).copysign(x);
    if x == 0.0 || !x.is_finite() { x } else { value }
}

impl Num for f64 {
    float_num!(f64);
}

macro_rules! from_std {
    ($($name:ident),*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            f64::$name(self)
        }
    )*};
}

macro_rules! from {
    ($from:ident: $($name:ident),*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            $from::$name(self)
        }
    )*};
}

impl Real for f64 {
    from_std!(floor, ceil, trunc, sqrt);
    from!(exponential: exp, exp2, expm1, sinh, cosh, tanh);
    from!(logarithm: ln, log2, log10, log1p, asinh, acosh, atanh);
    from!(angle: asin, acos, atan);
    from!(erf: erf, erfc, erfinv);

    // The C library knows how to take the turns off large numbers.
    #[inline(always)]
    fn sin(self) -> Self {
        if self.abs() <= Self::NEAR { self.sin_near() } else { f64::sin(self) }
    }
    #[inline(always)]
    fn cos(self) -> Self {
        if self.abs() <= Self::NEAR { self.cos_near() } else { f64::cos(self) }
    }
    #[inline(always)]
    fn tan(self) -> Self {
        if self.abs() <= Self::NEAR { self.tan_near() } else { f64::tan(self) }
    }

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f64::mul_add(self, a, b)
    }
    #[inline(always)]
    fn next_after(self, to: Self) -> Self {
        if self == to {
            return to;
        }
        let next = if to > self { self.next_up() } else { self.next_down() };
        if self.is_nan() || to.is_nan() { f64::NAN } else { next }
    }
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        f64::copysign(self, sign)
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }
    #[inline(always)]
    fn is_inf(self) -> bool {
        f64::is_infinite(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
    #[inline(always)]
    fn round(self) -> Self {
        f64::round_ties_even(self)
    }
    #[inline(always)]
    fn atan2(self, x: Self) -> Self {
        angle::atan2(self, x)
    }
    #[inline(always)]
    fn cbrt(self) -> Self {
        cbrt(self)
    }
    #[inline(always)]
    fn hypot(self, other: Self) -> Self {
        hypot(self, other)
    }
    #[inline(always)]
    fn powf(self, exponent: Self) -> Self {
        power::pow(self, exponent)
    }
    #[inline(always)]
    fn normal(self) -> (Self, Self) {
        erf::normal(self)
    }
    #[inline(always)]
    fn lgamma(self) -> Self {
        libm::lgamma(self)
    }
    #[inline(always)]
    fn digamma(self) -> Self {
        special::digamma(self)
    }
    #[inline(always)]
    fn polygamma(self, n: Self) -> Self {
        special::polygamma(self, n)
    }
}
