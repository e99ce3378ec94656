//! concat, pad, overlap_add.

use covector_array::kernels::{concat, overlap_add, pad};
use covector_array::{Array, DType};

use crate::oracle::{Plain, SHAPES, constant_along, indices};

fn joined(parts: &[Plain], axis: usize) -> Plain {
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|p| p.shape[axis]).sum();
    Plain::new(&shape, |i| {
        let mut i = i.to_vec();
        for p in parts {
            if i[axis] < p.shape[axis] {
                return p.at(&i);
            }
            i[axis] -= p.shape[axis];
        }
        unreachable!()
    })
}

#[test]
fn concat_joins_any_layouts_and_dtypes() {
    for shape in SHAPES {
        for axis in 0..shape.len() {
            let mut other = shape.to_vec();
            other[axis] += 2;
            let (a, b) = (Plain::counting(shape), Plain::counting(&other));
            let dtypes: &[DType] = if a.values.len() > 1000 { &[DType::F32] } else { &DType::ALL };
            for &dtype in dtypes {
                let want = joined(&[a.rounded(dtype), b.rounded(dtype), a.rounded(dtype)], axis);
                for ((name, x), (_, y)) in a.layouts(dtype).iter().zip(b.layouts(dtype).iter().rev()) {
                    let got = concat(&[x.clone(), y.clone(), x.clone()], axis);
                    assert!(got.is_contiguous() && got.dtype() == dtype);
                    assert_eq!(Plain::of(&got), want, "{name} {dtype} axis {axis}");
                }
            }
        }
    }
}

#[test]
fn concat_of_broadcast_and_of_single_arrays() {
    for axis in 0..2 {
        let x = constant_along(&[3, 4], axis, DType::I16);
        assert_eq!(Plain::of(&concat(&[x.clone(), x.clone()], 1)), joined(&[Plain::of(&x), Plain::of(&x)], 1));
        assert_eq!(Plain::of(&concat(std::slice::from_ref(&x), 0)), Plain::of(&x));
    }
}

#[test]
fn concat_of_many_columns_interleaves_them() {
    let columns: Vec<Array> =
        (0..40).map(|c| Plain::new(&[3000, 1], |i| (i[0] * 40 + c) as f64).array(DType::I32)).collect();
    assert_eq!(concat(&columns, 1).to_i64_vec(), (0..120_000).collect::<Vec<i64>>());
}

#[test]
fn concat_of_few_columns_interleaves_them() {
    for (rows, dtype) in
        [(1, DType::F32), (50, DType::U8), (50, DType::C128), (70_001, DType::F16), (70_001, DType::I64)]
    {
        for n in 2..6 {
            let columns: Vec<Plain> =
                (0..n).map(|c| Plain::new(&[rows, 1], |i| ((i[0] * n + c) % 120) as f64)).collect();
            let dense: Vec<Array> = columns.iter().map(|c| c.array(dtype)).collect();
            assert_eq!(Plain::of(&concat(&dense, 1)), joined(&columns, 1), "{n} of {rows} {dtype}");
            let spaced: Vec<Array> = columns.iter().map(|c| c.layouts(dtype)[2].1.clone()).collect();
            assert_eq!(Plain::of(&concat(&spaced, 1)), joined(&columns, 1), "{n} of {rows} {dtype}, spaced");
        }
    }
}

#[test]
#[should_panic(expected = "shapes [2, 3] and [2, 4] differ elsewhere")]
fn concat_of_unequal_shapes_panics() {
    concat(&[Plain::counting(&[2, 3]).array(DType::F32), Plain::counting(&[2, 4]).array(DType::F32)], 0);
}

fn padded(x: &Plain, lo: &[usize], hi: &[usize], interior: &[usize]) -> Plain {
    let spread = |a: usize| if x.shape[a] == 0 { 0 } else { (x.shape[a] - 1) * (interior[a] + 1) + 1 };
    let shape: Vec<usize> = (0..lo.len()).map(|a| lo[a] + spread(a) + hi[a]).collect();
    let mut out = Plain::new(&shape, |_| 0.0);
    for i in indices(&x.shape) {
        let to: Vec<usize> = (0..i.len()).map(|a| lo[a] + i[a] * (interior[a] + 1)).collect();
        let p = crate::oracle::position(&shape, &to);
        out.values[p] = x.at(&i);
    }
    out
}

#[test]
fn pad_puts_zeros_before_behind_and_between() {
    for shape in SHAPES {
        let x = Plain::counting(shape);
        let n = shape.len();
        let dtypes: &[DType] = if x.values.len() > 1000 { &[DType::F32] } else { &DType::ALL };
        let first = |v: usize| (0..n).map(|a| if a == 0 { v } else { 0 }).collect::<Vec<_>>();
        let last = |v: usize| (0..n).map(|a| if a + 1 == n { v } else { 0 }).collect::<Vec<_>>();
        let all = |v: usize| vec![v; n];
        let cases = [
            (all(0), all(0), all(0)),
            (all(2), all(1), all(0)),
            (all(1), all(0), all(2)),
            (first(1), first(3), first(0)),
            (last(0), last(2), last(1)),
            (first(0), last(1), first(1)),
        ];
        for &dtype in dtypes {
            for (lo, hi, interior) in &cases {
                let want = padded(&x.rounded(dtype), lo, hi, interior);
                for (name, a) in x.layouts(dtype) {
                    let got = pad(&a, lo, hi, interior);
                    assert_eq!(Plain::of(&got), want, "{name} {dtype} {shape:?} {lo:?} {hi:?} {interior:?}");
                    assert!(got.is_contiguous() && got.dtype() == dtype);
                }
            }
        }
    }
}

#[test]
fn pad_of_scalars_and_broadcasts() {
    let x = Array::scalar(3.0f32);
    assert_eq!(pad(&x, &[], &[], &[]).to_f64_vec(), [3.0]);
    let x = constant_along(&[3, 4], 0, DType::F64);
    assert_eq!(Plain::of(&pad(&x, &[1, 0], &[0, 1], &[0, 1])), padded(&Plain::of(&x), &[1, 0], &[0, 1], &[0, 1]));
}

fn overlapped(x: &Plain, axis: usize, len: usize, step: usize, dilation: usize) -> Plain {
    let last = x.shape.len() - 1;
    let mut shape = x.shape[..last].to_vec();
    shape[axis] = len;
    let mut out = Plain::new(&shape, |_| 0.0);
    for i in indices(&x.shape) {
        let mut to = i[..last].to_vec();
        to[axis] = i[axis] * step + i[last] * dilation;
        let p = crate::oracle::position(&shape, &to);
        out.values[p] += x.at(&i);
    }
    out
}

#[test]
fn overlap_add_sums_windows_back() {
    let shapes: [&[usize]; 7] = [&[5, 3], &[2, 4, 3], &[2, 3, 2, 4], &[4, 0, 3], &[0, 3], &[4, 0], &[3, 40, 5, 3]];
    for shape in shapes {
        let x = Plain::new(shape, |i| (i.iter().sum::<usize>() % 5) as f64);
        for axis in 0..shape.len() - 1 {
            for (step, dilation, extra) in [(1, 1, 0), (2, 1, 3), (1, 2, 1), (3, 2, 0), (4, 1, 0)] {
                let (n, size) = (shape[axis], shape[shape.len() - 1]);
                let len = n.saturating_sub(1) * step + size.saturating_sub(1) * dilation + 1 + extra;
                for dtype in DType::ALL.into_iter().filter(|&d| d != DType::Bool) {
                    let want = overlapped(&x, axis, len, step, dilation);
                    for (name, a) in x.layouts(dtype) {
                        let got = overlap_add(&a, axis, len, step, dilation);
                        assert_eq!(Plain::of(&got), want, "{name} {dtype} {shape:?} axis {axis} {step} {dilation}");
                        assert_eq!(got.dtype(), dtype);
                    }
                }
            }
        }
    }
}

#[test]
fn overlap_add_is_the_adjoint_of_windows() {
    let x = Plain::new(&[2, 11, 3], |i| (i[0] + 2 * i[1] + 5 * i[2]) as f64).array(DType::F64);
    for (size, step, dilation) in [(3, 1, 1), (2, 3, 1), (3, 2, 4), (1, 5, 1), (11, 1, 1)] {
        let w = x.windows(1, size, step, dilation);
        let y = Plain::counting(w.shape()).array(DType::F64);
        let dot = |a: &Array, b: &Array| -> f64 { a.to_f64_vec().iter().zip(b.to_f64_vec()).map(|(a, b)| a * b).sum() };
        assert_eq!(dot(&w, &y), dot(&x, &overlap_add(&y, 1, 11, step, dilation)), "{size} {step} {dilation}");
        // The view itself, whose windows share memory, is a layout like any other.
        assert_eq!(
            Plain::of(&overlap_add(&w, 1, 11, step, dilation)),
            overlapped(&Plain::of(&w), 1, 11, step, dilation)
        );
    }
}

#[test]
fn overlap_add_rounds_alike_in_every_layout() {
    let x = Plain::new(&[3, 50, 4, 7], |i| 1.0 / (1 + i[0] + 3 * i[1] + 7 * i[2] + 11 * i[3]) as f64);
    for dtype in [DType::F32, DType::F16, DType::BF16, DType::F64] {
        let x = x.rounded(dtype);
        let want = overlap_add(&x.array(dtype), 1, 56, 1, 1).to_bytes();
        for (name, a) in x.layouts(dtype) {
            assert_eq!(overlap_add(&a, 1, 56, 1, 1).to_bytes(), want, "{name} {dtype}");
        }
    }
}
