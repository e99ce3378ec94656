//! Copies and casts of every layout.

mod common;

use common::{elements, layouts, same_everywhere, values};
use covector_array::kernels::{cast, concat, copy};
use covector_array::{Array, DType, Element, Shape, bf16, f16};

#[test]
fn a_copy_has_the_same_elements_in_row_major_order() {
    for shape in
        [vec![], vec![0], vec![5], vec![3, 4], vec![40, 37], vec![2, 33, 20], vec![17, 3, 18, 2], vec![4, 0, 2]]
    {
        for dtype in [DType::Bool, DType::I16, DType::F32, DType::F64] {
            let size: usize = shape.iter().product();
            let x = values(size, dtype).reshape(&Shape::from(&shape));
            for x in layouts(&x) {
                let got = copy(&x);
                assert!(got.is_contiguous());
                assert_eq!((got.shape(), got.dtype()), (x.shape(), dtype));
                assert_eq!(got.to_f64_vec(), elements(&x), "{dtype}{} {:?}", x.shape(), x.strides());
            }
        }
    }
}

#[test]
fn every_order_of_axes_copies() {
    let x = values(18 * 5 * 17 * 4, DType::F32).reshape(&Shape::from([18, 5, 17, 4]));
    for i in 0..256 {
        let axes = [i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6 & 3];
        if (0..4).all(|a| axes.contains(&a)) {
            let view = x.permute(&axes);
            assert_eq!(copy(&view).to_f64_vec(), elements(&view), "{axes:?}");
        }
    }
}

#[test]
fn broadcast_and_windows_copy() {
    let x = values(6, DType::F32).reshape(&Shape::from([6, 1])).broadcast_to(&Shape::from([4, 6, 50]));
    for x in [x.clone(), x.permute(&[2, 1, 0]), x.permute(&[1, 2, 0])] {
        assert_eq!(copy(&x).to_f64_vec(), elements(&x));
    }
    let w = values(60, DType::F32).reshape(&Shape::from([5, 12])).windows(1, 3, 2, 2).windows(0, 2, 1, 1);
    for w in [w.clone(), w.permute(&[2, 3, 0, 1]), w.permute(&[3, 1, 2, 0])] {
        assert_eq!(copy(&w).to_f64_vec(), elements(&w));
    }
}

#[test]
fn spaced_repeated_and_short_runs_copy() {
    for dtype in [DType::U8, DType::F16, DType::I32, DType::F64, DType::C128] {
        for step in [-5isize, -4, -2, -1, 1, 2, 3, 4, 5] {
            for (rows, size) in
                [(1, 3000), (3, 15), (3, 16), (2, 17), (40, 33), (70, 2), (70, 3), (70, 4), (70, 7), (70, 9)]
            {
                let width = step.unsigned_abs() * (size - 1) + 2;
                let x = values(rows * width, dtype).reshape(&Shape::from([rows, width]));
                let first = if step < 0 { width - 1 } else { 1 };
                let x = x.slice(&[0, first], &[rows, size], &[1, step]);
                let got = same_everywhere(|| copy(&x));
                assert_eq!(got.to_f64_vec(), elements(&x), "{dtype} {rows} x {size} by {step}");
            }
        }
        for (size, times) in [(40_000, 2), (40_000, 3), (9000, 8), (500, 70)] {
            let x = values(size, dtype).reshape(&Shape::from([size, 1])).broadcast_to(&Shape::from([size, times]));
            let got = same_everywhere(|| copy(&x)).to_f64_vec();
            let plain = values(size, dtype).to_f64_vec();
            assert!(got.chunks(times).zip(&plain).all(|(run, v)| run.iter().all(|x| x == v)), "{dtype} {times} times");
        }
    }
}

#[test]
fn long_runs_copy_from_and_to_any_place() {
    let x = values(20_000, DType::U8);
    for (skip, len) in (0..70).flat_map(|skip| [2047, 2048, 2300, 9001].map(|len| (skip, len))) {
        // The first part decides where the second begins in the result.
        let parts = [x.slice(&[0], &[skip / 3], &[1]), x.slice(&[skip], &[len], &[1])];
        let got = same_everywhere(|| concat(&parts, 0)).to_bytes();
        assert!(got == [parts[0].to_bytes(), parts[1].to_bytes()].concat(), "{len} from {skip}");
    }
}

#[test]
fn large_transposes_are_the_same_for_any_number_of_threads() {
    let x = values(300 * 500, DType::F32).reshape(&Shape::from([300, 500]));
    let t = same_everywhere(|| copy(&x.t()));
    assert_eq!(copy(&t.t()).to_bytes(), x.to_bytes());
}

/// What a cast means, by way of i128 or f64.
fn oracle(x: &Array, to: DType) -> Vec<f64> {
    let from = x.dtype();
    let one = |v: f64, i: i64| -> f64 {
        macro_rules! out {
            ($t:ident) => {
                if from.is_inexact() { v as $t as f64 } else { i as $t as f64 }
            };
        }
        match to {
            DType::Bool => f64::from(u8::from(v != 0.0)),
            DType::U8 => out!(u8),
            DType::U16 => out!(u16),
            DType::U32 => out!(u32),
            DType::U64 => out!(u64),
            DType::I8 => out!(i8),
            DType::I16 => out!(i16),
            DType::I32 => out!(i32),
            DType::I64 => out!(i64),
            DType::F16 => f16::from_f64(v).to_f64(),
            DType::BF16 => bf16::from_f64(v).to_f64(),
            DType::F32 | DType::C64 => out!(f32),
            DType::F64 | DType::C128 => v,
        }
    };
    let ints = x.to_i64_vec();
    x.to_f64_vec().into_iter().zip(ints).map(|(v, i)| one(v, i)).collect()
}

#[test]
fn every_pair_of_dtypes_casts() {
    let wild =
        [0.0, -0.0, 1.0, -1.0, 0.5, -2.75, 100.7, 255.0, 256.0, 300.0, -129.0, 65535.5, 70000.0, -3e9, 5e9, 1e-40];
    for from in DType::ALL {
        let x = match from.is_float() {
            true => cast(&Array::from_slice(&wild, [wild.len()]), from),
            false => values(2000, from),
        };
        // From complex to real numbers there is no cast, except to bool.
        for to in DType::ALL.into_iter().filter(|&d| d == DType::Bool || d.is_complex() || !from.is_complex()) {
            for x in layouts(&x) {
                let (got, want) = (cast(&x, to), oracle(&x, to));
                assert_eq!(got.dtype(), to);
                let got = got.to_f64_vec();
                for (i, (g, w)) in got.iter().zip(&want).enumerate() {
                    assert!(g == w || (g.is_nan() && w.is_nan()), "{from} to {to}, element {i}: {g} for {w}");
                }
            }
        }
    }
}

#[test]
fn integers_wrap_and_floats_saturate() {
    let big = Array::from_slice(&[i64::MAX, i64::MIN, -1, 300], [4]);
    assert_eq!(cast(&big, DType::U8).to_vec::<u8>(), [255, 0, 255, 44]);
    assert_eq!(cast(&big, DType::U64).to_vec::<u64>(), [i64::MAX as u64, 1 << 63, u64::MAX, 300]);
    let wild = Array::from_slice(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.5], [4]);
    assert_eq!(cast(&wild, DType::I32).to_vec::<i32>(), [0, i32::MAX, i32::MIN, -1]);
    assert_eq!(cast(&wild, DType::U8).to_vec::<u8>(), [0, 255, 0, 0]);
    assert_eq!(cast(&wild, DType::Bool).to_vec::<bool>(), [true; 4]);
    let bf = cast(&wild, DType::BF16).to_vec::<bf16>();
    assert!(bf[0].is_nan() && bf[1].is_infinite() && bf[2].is_sign_negative());
}

#[test]
fn halves_round_once_to_nearest_even() {
    // In f32 each of these is a tie for the half; in f64 it is not.
    let x = Array::from_slice(&[1.0 + 2f64.powi(-11) + 2f64.powi(-40), 1.0 + 2f64.powi(-11) - 2f64.powi(-40)], [2]);
    assert_eq!(cast(&x, DType::F16).to_f64_vec(), [1.0 + 2f64.powi(-10), 1.0]);
    let x = Array::from_slice(&[1.0 + 2f64.powi(-8) + 2f64.powi(-40), 1.0 + 2f64.powi(-8)], [2]);
    assert_eq!(cast(&x, DType::BF16).to_f64_vec(), [1.0 + 2f64.powi(-7), 1.0]);
    // A tie for bf16 but for the last bit, which f64 cannot hold.
    let x = Array::from_slice(&[(1i64 << 62) + (1 << 54) + 1, (1 << 62) + (1 << 54)], [2]);
    assert_eq!(cast(&x, DType::BF16).to_f64_vec(), [2f64.powi(62) + 2f64.powi(55), 2f64.powi(62)]);
    for i in 0..=u16::MAX {
        let (h, b) = (f16::from_bits(i), bf16::from_bits(i));
        let wide = cast(&Array::scalar(b), DType::F32).to_vec::<f32>()[0];
        assert!(wide == b.to_f32() || wide.is_nan());
        if i % 16 == 0 {
            let back = cast(&cast(&Array::scalar(h), DType::F32), DType::F16).to_vec::<f16>()[0];
            assert!(back.to_bits() == i || h.is_nan());
        }
    }
}

#[test]
fn floats_become_the_integers_that_rust_makes_of_them() {
    macro_rules! check {
        ($($f:ident of $bits:ident: $($i:ident)*;)*) => {$({
            let mut x: Vec<$f> = vec![0.0, -0.0, 0.5, -0.5, $f::NAN, -$f::NAN, $f::INFINITY, $f::NEG_INFINITY];
            for end in [$f::MIN, $f::MAX, $f::MIN_POSITIVE, $($i::MIN as $f, $i::MAX as $f,)*] {
                x.extend([end.next_down(), end, end.next_up(), end - 1.0, end + 1.0, end - 0.5, end + 0.5]);
            }
            x.extend((0..5000).map(|i: $bits| $f::from_bits(i.wrapping_mul($bits::MAX / 4999 - 2))));
            let all = Array::from_slice(&x, [x.len()]);
            $(
                let got = same_everywhere(|| cast(&all, <$i as Element>::DTYPE)).to_vec::<$i>();
                x.iter().zip(got).for_each(|(&x, got)| assert_eq!(got, x as $i, "{x:e} to {}", stringify!($i)));
            )*
            let got = same_everywhere(|| cast(&all, DType::Bool)).to_vec::<bool>();
            x.iter().zip(got).for_each(|(&x, got)| assert_eq!(got, x != 0.0, "{x:e} to bool"));
        })*};
    }
    check! {
        f32 of u32: u8 u16 u32 u64 i8 i16 i32 i64;
        f64 of u64: u8 u16 u32 u64 i8 i16 i32 i64;
    }
}

#[test]
fn halves_have_the_same_bits_with_any_instructions() {
    let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
    // Every half, both its neighbours in f32, and what lies between halves.
    let near =
        |h: &f16| [0, 1, u32::MAX, 0xFFF, 0x1000, 0x1001].map(|d| f32::from_bits(h.to_f32().to_bits().wrapping_add(d)));
    let floats: Vec<f32> =
        halves.iter().flat_map(near).chain((0..70_000).map(|i| f32::from_bits(i * 61_357))).collect();
    for n in (0..70).chain([halves.len()]) {
        let x = Array::from_slice(&halves[halves.len() - n..], [n]);
        let got = same_everywhere(|| cast(&x, DType::F32)).to_vec::<f32>();
        let wide = halves[halves.len() - n..].iter().map(|h| h.to_f32());
        assert!(got.iter().map(|x| x.to_bits()).eq(wide.map(f32::to_bits)), "{n} halves");
    }
    for n in (0..70).chain([floats.len()]) {
        let x = Array::from_slice(&floats[..n], [n]);
        let got = same_everywhere(|| cast(&x, DType::F16)).to_vec::<f16>();
        let narrow = floats[..n].iter().map(|&x| f16::from_f32(x).to_bits());
        assert!(got.iter().map(|x| x.to_bits()).eq(narrow), "{n} floats");
    }
}
