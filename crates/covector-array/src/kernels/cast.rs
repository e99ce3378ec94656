//! Conversions between dtypes.
//!
//! Numbers convert directly, one loop per pair; bool is read as the bytes 0 and 1; halves go through f32 or f64, whichever
//! holds the other side, so that a value is rounded once.

use half::slice::HalfFloatSliceExt;
use smallvec::smallvec;

use super::map::{map_tiles, map1};
use super::tile::{TILE, Tile, TileFn, TileMut};
use crate::{Array, DType, Element, bf16, f16};

/// The same numbers in another dtype.
///
/// Float to integer truncates towards 0 and saturates, NaN gives 0; integer to integer wraps; anything to bool is
/// `x != 0`; float to float rounds once, to nearest even.
pub fn cast(x: &Array, dtype: DType) -> Array {
    if x.dtype() == dtype {
        return x.clone();
    }
    map_tiles(select(x.dtype(), dtype), None, smallvec![x.clone()], dtype)
}

fn select(from: DType, to: DType) -> TileFn {
    use DType::*;
    match (from, to) {
        (F16 | BF16, F32) => |ins, out| widen(ins[0], out),
        (F32, F16 | BF16) => |ins, out| narrow(ins[0], out),
        (F16 | BF16, _) => from_half,
        (F64, F16 | BF16) => from_f64_to_half,
        (Bool | U8 | I8 | U16 | I16, F16 | BF16) => to_half_by_f32,
        (_, F16 | BF16) => to_half_by_f64,
        (Bool, to) => select_bool(to),
        (from, to) => crate::with_dtype!(from, T => <T as Number>::to(to)),
    }
}

/// Widens f16 or bf16 to f32, exactly.
pub(crate) fn widen(x: Tile, out: TileMut) {
    match x.dtype() {
        DType::F16 => x.of::<f16>().convert_to_f32_slice(out.of()),
        _ => map1(&[x], out, bf16_to_f32),
    }
}

/// Rounds f32 to f16 or bf16, to nearest even.
pub(crate) fn narrow(x: Tile, out: TileMut) {
    match out.dtype() {
        DType::F16 => out.of::<f16>().convert_from_f32_slice(x.of()),
        _ => map1(&[x], out, f32_to_bf16),
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

/// A half to anything but f32: every half is an f32, and f32 converts directly.
fn from_half(ins: &[Tile], out: TileMut) {
    let mut wide = [0f32; TILE];
    let wide = &mut wide[..ins[0].len()];
    widen(ins[0], TileMut::new(wide));
    let wide = [Tile::new(wide)];
    match out.dtype() {
        DType::F16 | DType::BF16 => narrow(wide[0], out),
        to => select(DType::F32, to)(&wide, out),
    }
}

/// To f32 first, rounded to odd: such a value is never a tie of the second rounding unless it was one before.
fn from_f64_to_half(ins: &[Tile], out: TileMut) {
    let mut odd = [0f32; TILE];
    let odd = &mut odd[..ins[0].len()];
    map1(ins, TileMut::new(odd), |x: f64| {
        let near = x as f32;
        let bits = near.to_bits() - u32::from(f64::from(near).abs() > x.abs());
        if f64::from(near) == x || x.is_nan() { near } else { f32::from_bits(bits | 1) }
    });
    narrow(Tile::new(odd), out);
}

/// Integers below 2^24 are f32 numbers.
fn to_half_by_f32(ins: &[Tile], out: TileMut) {
    let mut wide = [0f32; TILE];
    let wide = &mut wide[..ins[0].len()];
    select(ins[0].dtype(), DType::F32)(ins, TileMut::new(wide));
    narrow(Tile::new(wide), out);
}

/// Integers below 2^53 are f64 numbers; larger ones keep 52 bits and a sticky one, so that the only rounding is the last.
fn to_half_by_f64(ins: &[Tile], out: TileMut) {
    let mut wide = [0f64; TILE];
    let wide = &mut wide[..ins[0].len()];
    match ins[0].dtype() {
        DType::I64 => map1(ins, TileMut::new(wide), |x: i64| {
            let exact = x.unsigned_abs() < 1 << 53;
            (if exact { x } else { (x & !0xfff) | (i64::from(x & 0xfff != 0) << 12) }) as f64
        }),
        DType::U64 => map1(ins, TileMut::new(wide), |x: u64| {
            (if x < 1 << 53 { x } else { (x & !0xfff) | (u64::from(x & 0xfff != 0) << 12) }) as f64
        }),
        from => select(from, DType::F64)(ins, TileMut::new(wide)),
    }
    select(DType::F64, out.dtype())(&[Tile::new(wide)], out);
}

/// A bool is a byte of 0 or 1.
fn select_bool(to: DType) -> TileFn {
    match to {
        DType::F32 => |ins, out| map1(ins, out, |x: bool| f32::from(u8::from(x))),
        DType::I64 => |ins, out| map1(ins, out, |x: bool| i64::from(x)),
        _ => |ins, out| {
            let bytes: Vec<u8> = ins[0].of::<bool>().iter().map(|&b| u8::from(b)).collect();
            let bytes = [Tile::new(&bytes)];
            if out.dtype() == DType::U8 {
                out.of::<u8>().copy_from_slice(bytes[0].of());
            } else {
                <u8 as Number>::to(out.dtype())(&bytes, out);
            }
        },
    }
}

/// A dtype as the source of direct conversions.
trait Number: Element {
    fn to(dtype: DType) -> TileFn;
}

/// A loop compiled for the target's basic instructions only: these pairs are rare.
fn plain<T: Element, O: Element>(ins: &[Tile], out: TileMut, f: impl Fn(T) -> O) {
    out.of::<O>().iter_mut().zip(ins[0].of::<T>()).for_each(|(o, &x)| *o = f(x));
}

macro_rules! numbers {
    ($($t:ident ($($fast:ident $f:ident),*) ($($slow:ident $s:ident),*);)*) => {$(
        impl Number for $t {
            fn to(dtype: DType) -> TileFn {
                match dtype {
                    DType::Bool => |ins, out| plain(ins, out, |x: $t| x != 0 as $t),
                    $(DType::$fast => |ins, out| map1(ins, out, |x: $t| x as $f),)*
                    $(DType::$slow => |ins, out| plain(ins, out, |x: $t| x as $s),)*
                    other => unreachable!("no direct cast from {} to {other}", stringify!($t)),
                }
            }
        }
    )*};
}
numbers! {
    f32 (F64 f64, I32 i32, I64 i64) (U8 u8, U16 u16, U32 u32, U64 u64, I8 i8, I16 i16);
    f64 (F32 f32, I32 i32, I64 i64) (U8 u8, U16 u16, U32 u32, U64 u64, I8 i8, I16 i16);
    i32 (F32 f32, F64 f64, I64 i64) (U8 u8, U16 u16, U32 u32, U64 u64, I8 i8, I16 i16);
    i64 (F32 f32, F64 f64, I32 i32) (U8 u8, U16 u16, U32 u32, U64 u64, I8 i8, I16 i16);
    u8 (F32 f32, I64 i64) (F64 f64, I32 i32, U16 u16, U32 u32, U64 u64, I8 i8, I16 i16);
    u32 (F32 f32) (F64 f64, I64 i64, I32 i32, U8 u8, U16 u16, U64 u64, I8 i8, I16 i16);
    u16 () (F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, U32 u32, U64 u64, I8 i8, I16 i16);
    u64 () (F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, U16 u16, U32 u32, I8 i8, I16 i16);
    i8 () (F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, U16 u16, U32 u32, U64 u64, I16 i16);
    i16 () (F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, U16 u16, U32 u32, U64 u64, I8 i8);
}

macro_rules! no_numbers {
    ($($t:ident),*) => {$(
        impl Number for $t {
            fn to(dtype: DType) -> TileFn {
                unreachable!("{} to {dtype} is converted elsewhere", stringify!($t))
            }
        }
    )*};
}
no_numbers!(bool, f16, bf16);
