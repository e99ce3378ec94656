//! Conversions between dtypes.
//!
//! Numbers convert directly, one loop per pair; bool is read as the bytes 0 and 1; halves go through f32 or f64, whichever
//! holds the other side, so that a value is rounded once.

use smallvec::smallvec;

use super::kernel::{Kernel, TILE};
use super::map::map_runs;
use super::vectors;
use crate::{Array, DType, Element, bf16, c64, c128, f16};

/// The same numbers in another dtype.
///
/// Float to integer truncates towards 0 and saturates, NaN gives 0; integer to integer wraps; anything to bool is
/// `x != 0`; float to float rounds once, to nearest even; real to complex gets the imaginary part 0.
///
/// # Panics
/// From complex to real, which would lose the imaginary part.
pub fn cast(x: &Array, dtype: DType) -> Array {
    if x.dtype() == dtype {
        return x.clone();
    }
    map_runs(cast_kernel(x.dtype(), dtype), None, smallvec![x.clone()])
}

/// The kernel of a conversion between two different dtypes.
pub fn cast_kernel(from: DType, to: DType) -> Kernel {
    use DType::*;
    match (from, to) {
        (C64, C128) => Kernel::plain(|x: c64| c128::new(x.re.into(), x.im.into())),
        (C128, C64) => Kernel::plain(|x: c128| c64::new(x.re as f32, x.im as f32)),
        (C64, Bool) => Kernel::plain(|x: c64| x != c64::default()),
        (C128, Bool) => Kernel::plain(|x: c128| x != c128::default()),
        (C64 | C128, to) => panic!("{from} to {to} would lose the imaginary part"),
        (from, C64) => crate::with_dtype!(from, T => Kernel::plain(|x: T| c64::new(x.to_f64() as f32, 0.0))),
        (from, C128) => crate::with_dtype!(from, T => Kernel::plain(|x: T| c128::new(x.to_f64(), 0.0))),
        (F16, F32) => vectors::widen(),
        (F32, F16) => vectors::narrow(),
        (BF16, F32) => Kernel::unary(bf16_to_f32),
        (F32, BF16) => Kernel::unary(f32_to_bf16),
        // Every half is an f32, and f32 converts directly.
        (F16, to) => crate::with_dtype!(to, O => Kernel::runs(through::<f16, f32, O>)),
        (BF16, to) => crate::with_dtype!(to, O => Kernel::runs(through::<bf16, f32, O>)),
        (Bool, U8) => Kernel::unary(|x: u8| x).reading(Bool),
        (Bool, to) => cast_kernel(U8, to).reading(Bool),
        // Integers below 2^24 are f32 numbers.
        (U8 | I8 | U16 | I16, F16) => crate::with_dtype!(from, T => Kernel::runs(through::<T, f32, f16>)),
        (U8 | I8 | U16 | I16, BF16) => crate::with_dtype!(from, T => Kernel::runs(through::<T, f32, bf16>)),
        (F64, F16) => Kernel::runs(|x: &[f64], out: &mut [f16]| by_odd(x, out)),
        (F64, BF16) => Kernel::runs(|x: &[f64], out: &mut [bf16]| by_odd(x, out)),
        (I64, F16) => Kernel::runs(|x: &[i64], out: &mut [f16]| by(Kernel::unary(i64_to_f64), x, out)),
        (I64, BF16) => Kernel::runs(|x: &[i64], out: &mut [bf16]| by(Kernel::unary(i64_to_f64), x, out)),
        (U64, F16) => Kernel::runs(|x: &[u64], out: &mut [f16]| by(Kernel::unary(u64_to_f64), x, out)),
        (U64, BF16) => Kernel::runs(|x: &[u64], out: &mut [bf16]| by(Kernel::unary(u64_to_f64), x, out)),
        (I32, F16) => Kernel::runs(through::<i32, f64, f16>),
        (I32, BF16) => Kernel::runs(through::<i32, f64, bf16>),
        (U32, F16) => Kernel::runs(through::<u32, f64, f16>),
        (U32, BF16) => Kernel::runs(through::<u32, f64, bf16>),
        (from, to) => crate::with_dtype!(from, T => <T as Number>::to(to)),
    }
}

#[inline(always)]
fn bf16_to_f32(x: bf16) -> f32 {
    f32::from_bits(u32::from(x.to_bits()) << 16)
}

#[inline(always)]
fn f32_to_bf16(x: f32) -> bf16 {
    let bits = x.to_bits();
    let even = (bits >> 16) & 1;
    let rounded = (bits.wrapping_add(0x7fff + even) >> 16) as u16;
    let quiet = ((bits >> 16) | 0x40) as u16;
    bf16::from_bits(if x.is_nan() { quiet } else { rounded })
}

/// A conversion by way of `M`.
fn through<T: Element, M: Element, O: Element>(x: &[T], out: &mut [O]) {
    by(cast_kernel(T::DTYPE, M::DTYPE), x, out);
}

/// A conversion by way of the dtype that `first` gives.
fn by<T: Element, O: Element>(first: Kernel, x: &[T], out: &mut [O]) {
    fn run<T: Element, M: Element, O: Element>(first: Kernel, x: &[T], out: &mut [O]) {
        let mut between = [M::from_f64(0.0); TILE];
        for (x, out) in x.chunks(TILE).zip(out.chunks_mut(TILE)) {
            let between = &mut between[..x.len()];
            first.apply(x, between);
            cast_kernel(M::DTYPE, O::DTYPE).apply(between, out);
        }
    }
    match first.output() {
        DType::F32 => run::<T, f32, O>(first, x, out),
        _ => run::<T, f64, O>(first, x, out),
    }
}

/// To f32 first, rounded to odd: such a value is never a tie of the second rounding unless it was one before.
fn by_odd<O: Element>(x: &[f64], out: &mut [O]) {
    let odd = Kernel::unary(|x: f64| {
        let near = x as f32;
        let bits = near.to_bits() - u32::from(f64::from(near).abs() > x.abs());
        if f64::from(near) == x || x.is_nan() { near } else { f32::from_bits(bits | 1) }
    });
    by(odd, x, out);
}

/// Integers below 2^53 are f64 numbers; larger ones keep 52 bits and a sticky one, so that rounding to a half is the only one.
#[inline(always)]
fn i64_to_f64(x: i64) -> f64 {
    let exact = x.unsigned_abs() < 1 << 53;
    (if exact { x } else { (x & !0xfff) | (i64::from(x & 0xfff != 0) << 12) }) as f64
}

/// See [`i64_to_f64`].
#[inline(always)]
fn u64_to_f64(x: u64) -> f64 {
    (if x < 1 << 53 { x } else { (x & !0xfff) | (u64::from(x & 0xfff != 0) << 12) }) as f64
}

/// A dtype as the source of direct conversions.
trait Number: Element {
    fn to(dtype: DType) -> Kernel;
}

macro_rules! numbers {
    ($($t:ident ($($fast:ident $f:ident),*) ($($slow:ident $s:ident),*);)*) => {$(
        impl Number for $t {
            fn to(dtype: DType) -> Kernel {
                match dtype {
                    DType::Bool => Kernel::unary(|x: $t| x != 0 as $t),
                    $(DType::$fast => Kernel::unary(|x: $t| x as $f),)*
                    $(DType::$slow => Kernel::plain(|x: $t| x as $s),)*
                    other => unreachable!("no direct cast from {} to {other}", stringify!($t)),
                }
            }
        }
    )*};
}
numbers! {
    i32 (F32 f32, F64 f64, I64 i64, U8 u8) (U16 u16, U32 u32, U64 u64, I8 i8, I16 i16);
    i64 (F32 f32, F64 f64, I32 i32, U8 u8) (U16 u16, U32 u32, U64 u64, I8 i8, I16 i16);
    u8 (F32 f32, F64 f64, I64 i64, I32 i32) (U16 u16, U32 u32, U64 u64, I8 i8, I16 i16);
    u32 (F32 f32) (F64 f64, I64 i64, I32 i32, U8 u8, U16 u16, U64 u64, I8 i8, I16 i16);
    u16 () (F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, U32 u32, U64 u64, I8 i8, I16 i16);
    u64 () (F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, U16 u16, U32 u32, I8 i8, I16 i16);
    i8 () (F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, U16 u16, U32 u32, U64 u64, I16 i16);
    i16 () (F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, U16 u16, U32 u32, U64 u64, I8 i8);
}

/// Floats to integers: Rust's own cast does the same, but is not vectorised.
macro_rules! floats {
    ($($t:ident to $other:ident $o:ident: $($d:ident $i:ident)*;)*) => {$(
        impl Number for $t {
            fn to(dtype: DType) -> Kernel {
                match dtype {
                    DType::Bool => Kernel::unary(|x: $t| x != 0.0),
                    DType::$other => Kernel::unary(|x: $t| x as $o),
                    $(DType::$d => Kernel::unary(|x: $t| {
                        let (least, end) = ($i::MIN as $t, ($i::MAX / 2 + 1) as $t * 2.0);
                        let inside = x >= least && x < end;
                        // SAFETY: 0 and what lies between the ends have a place among the integers.
                        let near = unsafe { if inside { x } else { 0.0 }.to_int_unchecked::<$i>() };
                        if x >= end { $i::MAX } else if x < least { $i::MIN } else { near }
                    }),)*
                    other => unreachable!("no direct cast from {} to {other}", stringify!($t)),
                }
            }
        }
    )*};
}
floats! {
    f32 to F64 f64: I32 i32 I64 i64 U8 u8 U16 u16 U32 u32 U64 u64 I8 i8 I16 i16;
    f64 to F32 f32: I32 i32 I64 i64 U8 u8 U16 u16 U32 u32 U64 u64 I8 i8 I16 i16;
}

macro_rules! no_numbers {
    ($($t:ident),*) => {$(
        impl Number for $t {
            fn to(dtype: DType) -> Kernel {
                unreachable!("{} to {dtype} is converted elsewhere", stringify!($t))
            }
        }
    )*};
}
no_numbers!(bool, f16, bf16, c64, c128);
