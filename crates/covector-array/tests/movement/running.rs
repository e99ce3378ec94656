//! scan.

use covector_array::kernels::{Reduction, scan};
use covector_array::{Array, DType, Shape};

use crate::oracle::{Plain, SHAPES, constant_along};

const OPS: [Reduction; 4] = [Reduction::Sum, Reduction::Prod, Reduction::Max, Reduction::Min];

fn name(op: Reduction) -> &'static str {
    match op {
        Reduction::Sum => "sum",
        Reduction::Prod => "prod",
        Reduction::Max => "max",
        Reduction::Min => "min",
    }
}

fn running(op: Reduction, x: &Plain, axis: usize, reverse: bool, boolean: bool) -> Plain {
    Plain::new(&x.shape, |i| {
        let range: Vec<usize> =
            if reverse { (i[axis]..x.shape[axis]).rev().collect() } else { (0..=i[axis]).collect() };
        let values = range.into_iter().map(|k| {
            let mut i = i.to_vec();
            i[axis] = k;
            x.at(&i)
        });
        let sum = |a: f64, b: f64| if boolean { a.max(b) } else { a + b };
        match op {
            Reduction::Sum => values.reduce(sum),
            Reduction::Prod => values.reduce(|a, b| a * b),
            Reduction::Max => values.reduce(f64::max),
            Reduction::Min => values.reduce(f64::min),
        }
        .expect("at least the element itself")
    })
}

#[test]
fn scan_over_layouts_and_dtypes() {
    for shape in SHAPES.into_iter().filter(|s| s.iter().product::<usize>() < 1000).chain([&[3, 200, 2][..]]) {
        let x = Plain::new(shape, |i| [1.0, 0.0, 1.0, 2.0, 1.0][i.iter().map(|k| k * k + 1).sum::<usize>() % 5]);
        for axis in 0..shape.len() {
            for (op, reverse) in OPS.into_iter().flat_map(|op| [(op, false), (op, true)]) {
                let x = if matches!(op, Reduction::Prod) && shape.contains(&200) {
                    Plain::new(shape, |i| if i.iter().sum::<usize>() % 50 == 3 { 2.0 } else { 1.0 })
                } else {
                    x.clone()
                };
                for dtype in DType::ALL {
                    if dtype.is_complex() && matches!(op, Reduction::Max | Reduction::Min) {
                        continue;
                    }
                    if dtype.size() == 1 && dtype != DType::Bool && shape.contains(&200) {
                        continue;
                    }
                    let want = running(op, &x.rounded(dtype), axis, reverse, dtype == DType::Bool).rounded(dtype);
                    for (layout, a) in x.layouts(dtype) {
                        let got = scan(op, &a, axis, reverse);
                        assert_eq!(Plain::of(&got), want, "{layout} {dtype} {shape:?} {axis} {} {reverse}", name(op));
                        assert_eq!(got.dtype(), dtype);
                    }
                }
            }
        }
    }
}

#[test]
fn scan_of_broadcasts() {
    for along in 0..2 {
        let x = constant_along(&[4, 3], along, DType::I64);
        for (op, axis) in OPS.into_iter().flat_map(|op| [(op, 0), (op, 1)]) {
            assert_eq!(Plain::of(&scan(op, &x, axis, false)), running(op, &Plain::of(&x), axis, false, false));
        }
    }
}

#[test]
fn extremes_keep_a_nan_once_met() {
    let nan = f32::NAN;
    let x = Array::from_slice(&[1.0, nan, 3.0, 0.0], 4);
    for op in [Reduction::Max, Reduction::Min] {
        let ahead: Vec<bool> = scan(op, &x, 0, false).to_vec::<f32>().iter().map(|v| v.is_nan()).collect();
        assert_eq!(ahead, [false, true, true, true]);
        let back: Vec<bool> = scan(op, &x, 0, true).to_vec::<f32>().iter().map(|v| v.is_nan()).collect();
        assert_eq!(back, [true, true, false, false]);
    }
}

#[test]
fn integers_wrap() {
    let x = Array::from_slice(&[200u8, 100, 3], 3);
    assert_eq!(scan(Reduction::Sum, &x, 0, false).to_vec::<u8>(), [200, 44, 47]);
    assert_eq!(scan(Reduction::Prod, &x, 0, true).to_vec::<u8>(), [96, 44, 3]);
}

#[test]
fn long_sums_of_small_floats_stay_accurate() {
    let n = 1 << 20;
    let x = Array::full(n, 0.1, DType::F32);
    let sums = scan(Reduction::Sum, &x, 0, false).to_vec::<f32>();
    let exact = f64::from(0.1f32) * n as f64;
    assert_eq!(sums[n - 1], exact as f32);
    let columns = scan(Reduction::Sum, &x.broadcast_to(&Shape::from([3, n])).t(), 0, false);
    assert_eq!(columns.to_vec::<f32>()[3 * n - 1], exact as f32);
    // 4096 ones do not fit in f16's or bf16's significand: the running value must be wider.
    let ones = Array::full(4096, 1.0, DType::BF16);
    assert_eq!(scan(Reduction::Sum, &ones, 0, false).to_f64_vec()[4095], 4096.0);
}
