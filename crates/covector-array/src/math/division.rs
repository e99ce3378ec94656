//! Quotients rounded down and their remainders, of floats and of integers of up to 32 bits, without a branch.

use super::Num;

/// The remainder of a division of floats that is rounded towards 0, and what is made of it.
pub trait Division: Num {
    /// The remainder that `%` gives, and true: if the quotient is a moderate number, else neither is of use.
    fn rest(self, other: Self) -> (Self, bool);
    /// The quotient rounded down, where `rest` is `self % other`.
    fn floored(self, other: Self, rest: Self) -> Self;
    /// The remainder with the sign of `other`, where `rest` is `self % other`.
    fn remaining(self, other: Self, rest: Self) -> Self;
}

macro_rules! floats {
    ($($t:ident),*) => {$(
        impl Division for $t {
            #[inline(always)]
            fn rest(self, other: Self) -> (Self, bool) {
                // The rounded quotient may reach the next integer, not more; both differences are exact.
                const MODERATE: $t = 1.0 / $t::EPSILON / 4.0;
                let quotient = (self / other).trunc();
                let rest = (-quotient).mul_add(other, self);
                let beyond = rest != 0.0 && (rest < 0.0) != (self < 0.0);
                let rest = if beyond { rest + other.copysign(self) } else { rest };
                (rest.copysign(self), quotient.abs() < MODERATE && other.abs() < $t::INFINITY)
            }
            #[inline(always)]
            fn floored(self, other: Self, rest: Self) -> Self {
                let q = (self - rest) / other;
                let q = if rest != 0.0 && (rest < 0.0) != (other < 0.0) { q - 1.0 } else { q };
                // The quotient is an integer up to one rounding; a zero keeps the sign of the exact quotient.
                let nearest = q.floor();
                let nearest = if q - nearest > 0.5 { nearest + 1.0 } else { nearest };
                let nearest = if q == 0.0 { $t::copysign(0.0, self / other) } else { nearest };
                if other == 0.0 { self / other } else { nearest }
            }
            #[inline(always)]
            fn remaining(self, other: Self, rest: Self) -> Self {
                let sum = if (rest < 0.0) != (other < 0.0) { rest + other } else { rest };
                if rest == 0.0 { rest.copysign(other) } else { sum }
            }
        }
    )*};
}
floats!(f32, f64);

/// The quotient of integers of up to 32 bits, rounded down; 0 if the divisor is 0. It wraps.
///
/// f64 holds them, and a quotient that is no integer lies further from the next one than it may be off.
macro_rules! floor_div {
    ($t:ident, $x:expr, $y:expr) => {{
        const END: f64 = ($t::MAX as f64) + 1.0;
        let quotient = (f64::from($x) / f64::from($y)).floor();
        let quotient = if quotient == END { f64::from($t::MIN) } else { quotient };
        let quotient = if $y == 0 { 0.0 } else { quotient };
        // SAFETY: it is one of the integers.
        unsafe { quotient.to_int_unchecked::<$t>() }
    }};
}
pub(super) use floor_div;
