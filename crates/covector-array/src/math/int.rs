//! Integers: wrapping arithmetic, division that rounds down, bits.

use super::division::floor_div;
use super::{Int, Num};

macro_rules! shared {
    () => {
        const ZERO: Self = 0;
        const ONE: Self = 1;
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            self.wrapping_add(other)
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            self.wrapping_sub(other)
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            self.wrapping_mul(other)
        }
        #[inline(always)]
        fn neg(self) -> Self {
            self.wrapping_neg()
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            Ord::min(self, other)
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Ord::max(self, other)
        }
    };
}

macro_rules! bits {
    () => {
        #[inline(always)]
        fn bit_and(self, other: Self) -> Self {
            self & other
        }
        #[inline(always)]
        fn bit_or(self, other: Self) -> Self {
            self | other
        }
        #[inline(always)]
        fn bit_xor(self, other: Self) -> Self {
            self ^ other
        }
        #[inline(always)]
        fn bit_not(self) -> Self {
            !self
        }
    };
}

/// Square and multiply, modulo a power of two.
macro_rules! power {
    ($base:expr, $exponent:expr, $count:ty) => {{
        let (mut base, mut left, mut result) = ($base, $exponent as $count, 1);
        while left != 0 {
            if left & 1 == 1 {
                result = base.wrapping_mul(result);
            }
            base = base.wrapping_mul(base);
            left >>= 1;
        }
        result
    }};
}

/// Divisions of narrow integers, which vectors do, and of wide ones.
macro_rules! division {
    ($t:ident narrow) => {
        #[inline(always)]
        fn floor_div(self, other: Self) -> Self {
            floor_div!($t, self, other)
        }
        division!($t);
    };
    ($t:ident wide) => {
        #[inline(always)]
        #[allow(unused_comparisons, reason = "of signed integers")]
        fn floor_div(self, other: Self) -> Self {
            if other == 0 {
                return 0;
            }
            let quotient = self.wrapping_div(other);
            let rest = self.wrapping_sub(quotient.wrapping_mul(other));
            quotient - (rest != 0 && (rest < 0) != (other < 0)) as $t
        }
        division!($t);
    };
    ($t:ident) => {
        #[inline(always)]
        fn remainder(self, other: Self) -> Self {
            let rest = self.wrapping_sub(Num::floor_div(self, other).wrapping_mul(other));
            if other == 0 { 0 } else { rest }
        }
    };
}

macro_rules! unsigned {
    ($($t:ident $width:ident),*) => {$(
        impl Num for $t {
            shared!();
            #[inline(always)]
            fn abs(self) -> Self {
                self
            }
            #[inline(always)]
            fn sign(self) -> Self {
                (self != 0) as $t
            }
            division!($t $width);
            #[inline(always)]
            fn pow(self, exponent: Self) -> Self {
                power!(self, exponent, $t)
            }
        }
        impl Int for $t {
            bits!();
            #[inline(always)]
            fn shl(self, count: Self) -> Self {
                if count < $t::BITS as $t { self.wrapping_shl(count as u32) } else { 0 }
            }
            #[inline(always)]
            fn shr(self, count: Self) -> Self {
                if count < $t::BITS as $t { self.wrapping_shr(count as u32) } else { 0 }
            }
        }
    )*};
}
unsigned!(u8 narrow, u16 narrow, u32 narrow, u64 wide);

macro_rules! signed {
    ($($t:ident $u:ident $width:ident),*) => {$(
        impl Num for $t {
            shared!();
            #[inline(always)]
            fn abs(self) -> Self {
                self.wrapping_abs()
            }
            #[inline(always)]
            fn sign(self) -> Self {
                self.signum()
            }
            division!($t $width);
            #[inline(always)]
            fn pow(self, exponent: Self) -> Self {
                match (exponent < 0, self) {
                    (false, _) | (true, 1 | -1) => power!(self, exponent, $u),
                    _ => 0,
                }
            }
        }
        impl Int for $t {
            bits!();
            #[inline(always)]
            fn shl(self, count: Self) -> Self {
                if (count as $u) < $t::BITS as $u { self.wrapping_shl(count as u32) } else { 0 }
            }
            #[inline(always)]
            fn shr(self, count: Self) -> Self {
                self >> if (count as $u) < $t::BITS as $u { count as u32 } else { $t::BITS - 1 }
            }
        }
    )*};
}
signed!(i8 u8 narrow, i16 u16 narrow, i32 u32 narrow, i64 u64 wide);

impl Int for bool {
    bits!();
    #[inline(always)]
    fn shl(self, count: Self) -> Self {
        self && !count
    }
    #[inline(always)]
    fn shr(self, count: Self) -> Self {
        self && !count
    }
}
