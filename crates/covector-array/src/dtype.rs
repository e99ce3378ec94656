//! Element types and the promotion table.
//!
//! One closed list of types: a kernel is chosen by matching on [`DType`], never by generic code that leaks upwards.

use std::fmt;

use half::{bf16, f16};
use num_complex::Complex;

/// Two f32: the real and the imaginary part (NumPy's complex64).
#[allow(non_camel_case_types)]
pub type c64 = Complex<f32>;
/// Two f64: the real and the imaginary part (NumPy's complex128).
#[allow(non_camel_case_types)]
pub type c128 = Complex<f64>;

/// The type of an array's elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum DType {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    BF16,
    F32,
    F64,
    C64,
    C128,
}

impl DType {
    /// Every dtype, in the order of the promotion table and of declaration.
    pub const ALL: [DType; 15] = [
        DType::Bool,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
        DType::C64,
        DType::C128,
    ];

    /// The short name: `bool`, `u8` … `i64`, `f16`, `bf16`, `f32`, `f64`, `c64`, `c128`.
    pub const fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "u8",
            DType::U16 => "u16",
            DType::U32 => "u32",
            DType::U64 => "u64",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::C64 => "c64",
            DType::C128 => "c128",
        }
    }

    /// The dtype with this [`name`](Self::name), if there is one.
    pub fn from_name(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|d| d.name() == name)
    }

    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 | DType::I8 => 1,
            DType::U16 | DType::I16 | DType::F16 | DType::BF16 => 2,
            DType::U32 | DType::I32 | DType::F32 => 4,
            DType::U64 | DType::I64 | DType::F64 | DType::C64 => 8,
            DType::C128 => 16,
        }
    }

    /// True for f16, bf16, f32 and f64.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
    }

    /// True for c64 and c128.
    pub const fn is_complex(self) -> bool {
        matches!(self, DType::C64 | DType::C128)
    }

    /// True for floats and complex numbers: the dtypes that have derivatives.
    pub const fn is_inexact(self) -> bool {
        self.is_float() || self.is_complex()
    }

    /// True for signed and unsigned integers; false for bool.
    pub const fn is_int(self) -> bool {
        !self.is_inexact() && !matches!(self, DType::Bool)
    }

    /// The dtype of the parts of a complex number; of others they themselves.
    pub const fn part(self) -> DType {
        match self {
            DType::C64 => DType::F32,
            DType::C128 => DType::F64,
            real => real,
        }
    }

    /// The complex dtype that holds this dtype's numbers: c128 for f64 and c128, else c64.
    pub const fn to_complex(self) -> DType {
        match self {
            DType::F64 | DType::C128 => DType::C128,
            _ => DType::C64,
        }
    }

    /// True for unsigned integers; false for bool.
    pub const fn is_unsigned(self) -> bool {
        matches!(self, DType::U8 | DType::U16 | DType::U32 | DType::U64)
    }

    /// The dtype both operands of a binary op are cast to: the published promotion table.
    ///
    /// bool yields to everything; among integers the wider wins, and unsigned with signed gives the next signed type that
    /// holds both (u64 with any signed integer gives f32, as no integer holds both); integers yield to floats;
    /// f16 with bf16 gives f32; everything yields to complex numbers, f64 with c64 gives c128.
    /// Source: the Array API's table, with JAX's entries for bf16, u64, and integers beside floats and complex numbers.
    pub fn promote(self, other: DType) -> DType {
        use DType::*;
        if self == other {
            return self;
        }
        let (lo, hi) = if self < other { (self, other) } else { (other, self) };
        match (lo, hi) {
            (Bool, d) => d,
            (F16, BF16) => F32,
            (F64, C64) => C128,
            (_, d) if d.is_inexact() => d,
            (u, s) if u.is_unsigned() && s.is_int() && !s.is_unsigned() => match u.size().max(s.size() / 2) {
                1 => I16,
                2 => I32,
                4 => I64,
                _ => F32,
            },
            (_, wider) => wider,
        }
    }

    /// The dtype in which a function of real or complex numbers is computed: itself, or f32 for integers and bool.
    pub const fn to_float(self) -> DType {
        if self.is_inexact() { self } else { DType::F32 }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Rust type that arrays can hold.
///
/// # Safety
/// `DTYPE` must describe exactly this type's size and layout, and every bit pattern that kernels write for that dtype must
/// be a valid value of it (bool kernels write 0 and 1 only).
pub unsafe trait Element: Copy + PartialEq + Default + fmt::Debug + Send + Sync + 'static {
    /// The dtype of arrays of this type.
    const DTYPE: DType;
    /// The value as f64 (i64 and u64 beyond 2^53 are rounded); of complex numbers the real part.
    fn to_f64(self) -> f64;
    /// The nearest value to `x`; integers truncate and saturate, bool is `x != 0`.
    fn from_f64(x: f64) -> Self;
    /// The value as i64; floats truncate and saturate, u64 saturates.
    fn to_i64(self) -> i64;
    /// The value nearest to `x`; narrower integers wrap, as casts do.
    fn from_i64(x: i64) -> Self;
}

macro_rules! elements {
    ($($t:ty => $d:ident),*) => {$(
        // SAFETY: the dtype names this very primitive type, and all its bit patterns are valid.
        unsafe impl Element for $t {
            const DTYPE: DType = DType::$d;
            #[inline(always)]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)]
            fn from_f64(x: f64) -> Self { x as $t }
            #[inline(always)]
            fn to_i64(self) -> i64 { self as i64 }
            #[inline(always)]
            fn from_i64(x: i64) -> Self { x as $t }
        }
    )*};
}
elements!(u8 => U8, u16 => U16, u32 => U32, i8 => I8, i16 => I16, i32 => I32, i64 => I64, f32 => F32, f64 => F64);

// SAFETY: as above.
unsafe impl Element for u64 {
    const DTYPE: DType = DType::U64;
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self as f64
    }
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as u64
    }
    #[inline(always)]
    fn to_i64(self) -> i64 {
        i64::try_from(self).unwrap_or(i64::MAX)
    }
    #[inline(always)]
    fn from_i64(x: i64) -> Self {
        x as u64
    }
}

// SAFETY: bool is one byte holding 0 or 1, the only values bool kernels write.
unsafe impl Element for bool {
    const DTYPE: DType = DType::Bool;
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x != 0.0
    }
    #[inline(always)]
    fn to_i64(self) -> i64 {
        i64::from(self)
    }
    #[inline(always)]
    fn from_i64(x: i64) -> Self {
        x != 0
    }
}

macro_rules! half_elements {
    ($($t:ty => $d:ident),*) => {$(
        // SAFETY: `half` types are transparent over u16 and every bit pattern is valid.
        unsafe impl Element for $t {
            const DTYPE: DType = DType::$d;
            #[inline(always)]
            fn to_f64(self) -> f64 { f64::from(self.to_f32()) }
            #[inline(always)]
            fn from_f64(x: f64) -> Self { <$t>::from_f64(x) }
            #[inline(always)]
            fn to_i64(self) -> i64 { self.to_f32() as i64 }
            #[inline(always)]
            fn from_i64(x: i64) -> Self { <$t>::from_f64(x as f64) }
        }
    )*};
}
half_elements!(f16 => F16, bf16 => BF16);

macro_rules! complex_elements {
    ($($part:ty => $d:ident),*) => {$(
        // SAFETY: two floats side by side, of which every bit pattern is valid.
        unsafe impl Element for Complex<$part> {
            const DTYPE: DType = DType::$d;
            #[inline(always)]
            fn to_f64(self) -> f64 { self.re as f64 }
            #[inline(always)]
            fn from_f64(x: f64) -> Self { Complex::new(x as $part, 0.0) }
            #[inline(always)]
            fn to_i64(self) -> i64 { self.re as i64 }
            #[inline(always)]
            fn from_i64(x: i64) -> Self { Complex::new(x as $part, 0.0) }
        }
    )*};
}
complex_elements!(f32 => C64, f64 => C128);

/// Runs `$body` with the type alias `$T` bound to the Rust type of `$dtype`.
#[macro_export]
macro_rules! with_dtype {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::C64 => {
                type $T = $crate::c64;
                $body
            }
            $crate::DType::C128 => {
                type $T = $crate::c128;
                $body
            }
            real => $crate::with_real_dtype!(real, $T => $body),
        }
    };
}

/// [`with_dtype!`] for what needs an order: panics for complex dtypes.
#[macro_export]
macro_rules! with_real_dtype {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::U16 => {
                type $T = u16;
                $body
            }
            $crate::DType::U32 => {
                type $T = u32;
                $body
            }
            $crate::DType::U64 => {
                type $T = u64;
                $body
            }
            $crate::DType::I8 => {
                type $T = i8;
                $body
            }
            $crate::DType::I16 => {
                type $T = i16;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::F16 => {
                type $T = $crate::f16;
                $body
            }
            $crate::DType::BF16 => {
                type $T = $crate::bf16;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::DType::C64 | $crate::DType::C128 => panic!("complex numbers have no order"),
        }
    };
}

#[cfg(test)]
mod tests {
    use super::DType::{self, *};

    #[test]
    fn promotion_is_commutative_and_idempotent() {
        for a in DType::ALL {
            assert_eq!(a.promote(a), a);
            for b in DType::ALL {
                assert_eq!(a.promote(b), b.promote(a), "{a} {b}");
            }
        }
    }

    #[test]
    fn promotion_table_spot_checks() {
        assert_eq!(U8.promote(I8), I16);
        assert_eq!(U32.promote(I8), I64);
        assert_eq!(U8.promote(I64), I64);
        assert_eq!(U64.promote(I32), F32);
        assert_eq!(I64.promote(F16), F16);
        assert_eq!(F16.promote(BF16), F32);
        assert_eq!(BF16.promote(F32), F32);
        assert_eq!(Bool.promote(U8), U8);
        assert_eq!(I32.promote(U32), I64);
        assert_eq!(F32.promote(C64), C64);
        assert_eq!(F64.promote(C64), C128);
        assert_eq!(F16.promote(C128), C128);
        assert_eq!(I64.promote(C64), C64);
    }
}
