//! Integers: wrapping arithmetic, division that rounds down, bits.

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

macro_rules! unsigned {
    ($($t:ident),*) => {$(
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
            #[inline(always)]
            fn floor_div(self, other: Self) -> Self {
                self.checked_div(other).unwrap_or(0)
            }
            #[inline(always)]
            fn remainder(self, other: Self) -> Self {
                self.checked_rem(other).unwrap_or(0)
            }
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
unsigned!(u8, u16, u32, u64);

macro_rules! signed {
    ($($t:ident $u:ident),*) => {$(
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
            #[inline(always)]
            fn floor_div(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let (q, r) = (self.wrapping_div(other), self.wrapping_rem(other));
                q - (r != 0 && (r < 0) != (other < 0)) as $t
            }
            #[inline(always)]
            fn remainder(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let r = self.wrapping_rem(other);
                if r != 0 && (r < 0) != (other < 0) { r + other } else { r }
            }
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
signed!(i8 u8, i16 u16, i32 u32, i64 u64);

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
