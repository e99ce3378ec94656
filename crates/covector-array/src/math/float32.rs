//! f32.

use super::float64::float_num;
use super::{Num, Real};

impl Num for f32 {
    float_num!(f32);
}

macro_rules! from_std {
    ($($name:ident),*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            f32::$name(self)
        }
    )*};
}

/// Computed in f64 and rounded.
macro_rules! from_f64 {
    ($($name:ident),*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            Real::$name(f64::from(self)) as f32
        }
    )*};
}

impl Real for f32 {
    from_std!(
        floor, ceil, trunc, sqrt, cbrt, exp, exp2, ln, log2, log10, sin, cos, tan, asin, acos, atan, sinh, cosh, tanh
    );
    from_f64!(expm1, log1p, asinh, acosh, atanh, erf, erfc, erfinv, lgamma, digamma);

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f32::mul_add(self, a, b)
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
    fn atan2(self, x: Self) -> Self {
        f32::atan2(self, x)
    }
    #[inline(always)]
    fn hypot(self, other: Self) -> Self {
        f32::hypot(self, other)
    }
    #[inline(always)]
    fn powf(self, exponent: Self) -> Self {
        f32::powf(self, exponent)
    }
}
