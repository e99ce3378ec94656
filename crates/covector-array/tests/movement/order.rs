//! argsort, arg_largest, searchsorted.

use std::cmp::Ordering;

use covector_array::kernels::{arg_largest, argsort, searchsorted};
use covector_array::{Array, DType, Shape};

use crate::oracle::{Plain, SHAPES, constant_along};

fn compare(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ if descending => b.partial_cmp(&a).expect("not NaN"),
        _ => a.partial_cmp(&b).expect("not NaN"),
    }
}

fn sorted_indices(x: &Plain, axis: usize, descending: bool) -> Plain {
    Plain::new(&x.shape, |i| {
        let value = |k: usize| {
            let mut i = i.to_vec();
            i[axis] = k;
            x.at(&i)
        };
        let mut order: Vec<usize> = (0..x.shape[axis]).collect();
        order.sort_by(|&a, &b| compare(value(a), value(b), descending));
        order[i[axis]] as f64
    })
}

#[test]
fn argsort_is_stable_over_layouts_and_dtypes() {
    for shape in SHAPES.into_iter().filter(|s| s.iter().product::<usize>() < 1000).chain([&[300][..], &[2, 90][..]]) {
        let x = Plain::new(shape, |i| {
            let k = i.iter().fold(7, |h, k| (h * 31 + k * 17) % 101);
            (k % 13) as f64 - 5.0
        });
        for axis in 0..shape.len() {
            for (dtype, descending) in
                DType::ALL.into_iter().filter(|d| !d.is_complex()).flat_map(|d| [(d, false), (d, true)])
            {
                let want = sorted_indices(&x.rounded(dtype), axis, descending);
                for (name, a) in x.layouts(dtype) {
                    let got = argsort(&a, axis, descending);
                    assert_eq!(got.dtype(), DType::I64);
                    assert_eq!(Plain::of(&got), want, "{name} {dtype} {shape:?} axis {axis} {descending}");
                }
            }
        }
    }
}

#[test]
fn long_rows_of_every_width_sort_as_the_standard_library_does() {
    let n = 20_000;
    for (dtype, descending) in DType::ALL.into_iter().filter(|d| !d.is_complex()).flat_map(|d| [(d, false), (d, true)])
    {
        let x = Plain::new(&[n], |i| {
            let h = (i[0] as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
            let spread = if dtype.is_float() { 1e-3 } else { 1.0 };
            (h % 60_000) as f64 * spread - if dtype.is_unsigned() { 0.0 } else { 30_000.0 * spread }
        })
        .rounded(dtype);
        let mut want: Vec<i64> = (0..n as i64).collect();
        want.sort_by(|&a, &b| compare(x.values[a as usize], x.values[b as usize], descending));
        assert_eq!(argsort(&x.array(dtype), 0, descending).to_vec::<i64>(), want, "{dtype} {descending}");
    }
}

#[test]
fn nan_comes_last_and_zeros_are_equal() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let values = Plain { shape: vec![8], values: vec![nan, 0.0, -inf, -0.0, -nan, inf, 0.0, -1.0] };
    for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
        let x = values.array(dtype);
        assert_eq!(argsort(&x, 0, false).to_i64_vec(), [2, 7, 1, 3, 6, 5, 0, 4], "{dtype}");
        assert_eq!(argsort(&x, 0, true).to_i64_vec(), [5, 1, 3, 6, 7, 2, 0, 4], "{dtype}");
    }
}

#[test]
fn the_largest_few_are_the_first_of_all_in_descending_order() {
    for shape in [&[7][..], &[3, 5], &[300], &[2, 90], &[70, 3], &[5, 700], &[20_000], &[0, 4], &[4, 0]] {
        let x = Plain::new(shape, |i| {
            let h = i.iter().fold(1u64, |h, &k| (h + k as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 40;
            if h % 11 == 0 { f64::NAN } else { (h % 5000) as f64 - 2500.0 }
        });
        for axis in 0..shape.len() {
            for dtype in DType::ALL.into_iter().filter(|d| !d.is_complex()) {
                let all = Plain::of(&argsort(&x.array(dtype), axis, true));
                for k in [0, 1, 2, 10, 50, 300].into_iter().filter(|&k| k <= shape[axis]) {
                    let mut few = shape.to_vec();
                    few[axis] = k;
                    let want = Plain::new(&few, |i| all.at(i));
                    for (name, a) in x.layouts(dtype) {
                        let got = arg_largest(&a, k, axis);
                        assert!(Plain::of(&got) == want, "{name} {dtype} {shape:?} axis {axis}, {k}");
                    }
                }
            }
        }
    }
}

#[test]
fn extreme_integers_are_in_order() {
    let x = Array::from_slice(&[i64::MAX, 0, i64::MIN, -1, i64::MAX - 1], 5);
    assert_eq!(argsort(&x, 0, false).to_i64_vec(), [2, 3, 1, 4, 0]);
    assert_eq!(argsort(&x, 0, true).to_i64_vec(), [0, 4, 1, 3, 2]);
    let x = Array::from_slice(&[u64::MAX, 0, 1 << 63, u64::MAX], 4);
    assert_eq!(argsort(&x, 0, false).to_i64_vec(), [1, 2, 0, 3]);
    assert_eq!(argsort(&x, 0, true).to_i64_vec(), [0, 3, 2, 1]);
    let x = Array::from_slice(&[u32::MAX, 0, u32::MAX], 3);
    assert_eq!(argsort(&x, 0, true).to_i64_vec(), [0, 2, 1]);
}

#[test]
fn argsort_of_broadcasts_keeps_the_order() {
    let x = constant_along(&[3, 4], 1, DType::F32);
    assert_eq!(argsort(&x, 1, true).to_i64_vec(), [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn searchsorted_counts_what_lies_before() {
    for (n, k) in [(0, 3), (1, 4), (5, 7), (17, 40), (4, 0)] {
        for dtype in DType::ALL.into_iter().filter(|d| !d.is_complex()) {
            let sorted = Plain::new(&[2, n], |i| (i[1] / 2) as f64).rounded(dtype);
            let values = Plain::new(&[2, k], |i| ((i[0] + 3 * i[1]) % 11) as f64).rounded(dtype);
            for right in [false, true] {
                let want = Plain::new(&[2, k], |i| {
                    let v = values.at(i);
                    let before = |s: f64| s < v || (right && s == v);
                    (0..n).filter(|&m| before(sorted.at(&[i[0], m]))).count() as f64
                });
                for ((name, s), (_, v)) in sorted.layouts(dtype).iter().zip(values.layouts(dtype).iter().rev()) {
                    let got = searchsorted(s, v, right);
                    assert_eq!(Plain::of(&got), want, "{name} {dtype} {n} {k} {right}");
                    assert_eq!(got.dtype(), DType::I64);
                }
            }
        }
    }
}

#[test]
fn searchsorted_sees_nan_as_the_largest_and_shares_a_broadcast_row() {
    let sorted = Array::from_slice(&[-1.0f32, 0.0, 2.0, f32::NAN], 4);
    let values = Array::from_slice(&[f32::NAN, -0.0, f32::INFINITY, 2.0], 4);
    assert_eq!(searchsorted(&sorted, &values, false).to_i64_vec(), [3, 1, 3, 2]);
    assert_eq!(searchsorted(&sorted, &values, true).to_i64_vec(), [4, 2, 3, 3]);
    let rows = sorted.broadcast_to(&Shape::from([2, 4]));
    let both = searchsorted(&rows, &values.reshape(&Shape::from([2, 2])), false);
    assert_eq!(both.to_i64_vec(), [3, 1, 3, 2]);
}
