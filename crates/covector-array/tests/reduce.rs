//! Reductions against index-by-index oracles.

mod common;

use common::{elements, layouts, noise, same_everywhere, values};
use covector_array::kernels::{Reduction, arg_reduce, cast, copy, reduce};
use covector_array::{Array, DType, Shape, bf16, f16};

const OPS: [Reduction; 4] = [Reduction::Sum, Reduction::Prod, Reduction::Max, Reduction::Min];

/// For every output, the elements behind it in logical order.
fn sequences(x: &Array, axes: &[usize]) -> (Shape, Vec<Vec<f64>>) {
    let out = x.shape().without(|i| axes.contains(&i));
    let mut all = vec![Vec::new(); out.size()];
    for (i, v) in elements(x).into_iter().enumerate() {
        let (mut rest, mut at, mut step) = (i, 0, 1);
        for axis in (0..x.ndim()).rev() {
            let index = rest % x.shape()[axis];
            rest /= x.shape()[axis];
            if !axes.contains(&axis) {
                at += index * step;
                step *= x.shape()[axis];
            }
        }
        all[at].push(v);
    }
    (out, all)
}

fn subsets(n: usize) -> Vec<Vec<usize>> {
    (0..1 << n).map(|mask| (0..n).filter(|i| mask >> i & 1 == 1).collect()).collect()
}

#[test]
fn every_layout_gives_the_oracles_result() {
    for shape in [
        vec![],
        vec![1],
        vec![7],
        vec![3, 5],
        vec![2, 1, 4],
        vec![3, 2, 2, 3],
        vec![20, 17],
        vec![4, 300],
        vec![300, 4],
    ] {
        let size: usize = shape.iter().product();
        for dtype in DType::ALL {
            if size > 100 && !matches!(dtype, DType::F32 | DType::I64 | DType::F16) {
                continue;
            }
            let x = values(size, dtype).reshape(&Shape::from(&shape));
            for axes in subsets(shape.len()) {
                let (out, sequences) = sequences(&x, &axes);
                for op in OPS {
                    let sums = matches!(op, Reduction::Sum | Reduction::Prod);
                    if dtype == DType::Bool && sums || dtype.is_complex() && !sums {
                        continue;
                    }
                    let want: Vec<f64> = sequences.iter().map(|s| oracle(op, s, dtype)).collect();
                    for x in layouts(&x) {
                        let got = reduce(op, &x, &axes);
                        assert_eq!((got.shape(), got.dtype()), (&out, dtype));
                        assert_eq!(got.to_f64_vec(), want, "{op:?} {x:?} strides {:?} axes {axes:?}", x.strides());
                    }
                }
            }
        }
    }
}

/// Exact for small whole numbers; integers wrap.
fn oracle(op: Reduction, s: &[f64], dtype: DType) -> f64 {
    let wrapped = |v: i64| {
        covector_array::with_dtype!(dtype, T => {
            <T as covector_array::Element>::to_f64(<T as covector_array::Element>::from_i64(v))
        })
    };
    match op {
        Reduction::Sum if dtype.is_float() => s.iter().sum(),
        Reduction::Sum => wrapped(s.iter().map(|&v| v as i64).sum()),
        Reduction::Prod if dtype.is_float() => {
            let p: f64 = s.iter().product();
            match dtype {
                DType::F64 => p,
                DType::F32 => f64::from(p as f32),
                DType::F16 => f64::from(f16::from_f32(p as f32)),
                _ => f64::from(bf16::from_f32(p as f32)),
            }
        }
        Reduction::Prod => wrapped(s.iter().fold(1i64, |a, &v| a.wrapping_mul(v as i64))),
        Reduction::Max => s.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Reduction::Min => s.iter().copied().fold(f64::INFINITY, f64::min),
    }
}

#[test]
fn repeated_elements_count_as_often_as_they_repeat() {
    let x = values(5, DType::F32).reshape(&Shape::from([5, 1])).broadcast_to(&Shape::from([3, 5, 70]));
    for axes in subsets(3) {
        let (_, sequences) = sequences(&x, &axes);
        let want: Vec<f64> = sequences.iter().map(|s| s.iter().sum()).collect();
        assert_eq!(reduce(Reduction::Sum, &x, &axes).to_f64_vec(), want, "{axes:?}");
    }
}

#[test]
fn sums_have_the_same_bits_for_any_layout_threads_and_instructions() {
    for shape in [[1000, 1, 37], [3, 5000, 7], [40, 9, 300], [1, 1, 100_003], [2, 700, 90]] {
        let x = noise(shape, 1, DType::F32);
        for axes in subsets(3) {
            let first = same_everywhere(|| reduce(Reduction::Sum, &x, &axes));
            let order = [2, 0, 1];
            let stored = covector_array::kernels::copy(&x.permute(&order)).permute(&[1, 2, 0]);
            assert_eq!(stored.shape(), x.shape());
            let again = same_everywhere(|| reduce(Reduction::Sum, &stored, &axes));
            assert_eq!(first.to_bytes(), again.to_bytes(), "{shape:?} {axes:?}");
        }
    }
}

#[test]
fn sequences_in_runs_have_the_bits_of_those_without_gaps() {
    for run in [31, 32, 33, 48, 49, 100, 196, 255, 256, 300, 784, 1024, 1500, 3136] {
        let mut x = noise([6 * 19 * run], 1, DType::F32).to_vec::<f32>();
        // A few zeros of both signs, and sequences of nothing else, in which an infinity or no number stands.
        x.iter_mut().enumerate().filter(|(i, _)| i % 7 == 0 || i / run % 19 < 4).for_each(|(i, v)| {
            *v = if i % 3 == 0 { 0.0 } else { -0.0 };
        });
        (x[run + 5], x[2 * run + run / 2]) = (f32::NAN, f32::NEG_INFINITY);
        let x = Array::from_slice(&x, [6, 19, run]);
        for (dtype, op) in [DType::F32, DType::F64].into_iter().flat_map(|dtype| OPS.map(|op| (dtype, op))) {
            let x = cast(&x, dtype);
            let want = reduce(op, &copy(&x.permute(&[1, 0, 2])).reshape(&Shape::from([19, 6 * run])), &[1]);
            let got = same_everywhere(|| reduce(op, &x, &[0, 2]));
            assert_eq!(got.to_bytes(), want.to_bytes(), "{op:?} {dtype}, runs of {run}");
        }
    }
}

const LARGE: [[usize; 3]; 7] =
    [[1000, 1, 37], [3, 5000, 7], [40, 9, 300], [1, 1, 100_003], [2, 700, 90], [9, 33, 256], [5000, 3, 4]];

#[test]
fn halves_are_combined_in_f32_and_rounded_once() {
    for (shape, dtype) in LARGE.into_iter().flat_map(|shape| [(shape, DType::F16), (shape, DType::BF16)]) {
        let x = noise(shape, 1, dtype);
        let stored = copy(&x.permute(&[2, 0, 1])).permute(&[1, 2, 0]);
        let apart = x.slice(&[0, 0, 0], &[shape[0], shape[1], shape[2] / 2 + 1], &[1, 1, 1]);
        for x in [x, stored, apart] {
            for (axes, op) in subsets(3).iter().flat_map(|axes| OPS.map(|op| (axes, op))) {
                let want = cast(&reduce(op, &cast(&x, DType::F32), axes), dtype);
                let got = same_everywhere(|| reduce(op, &x, axes));
                assert_eq!(got.to_bytes(), want.to_bytes(), "{op:?} {dtype} {shape:?} {:?} {axes:?}", x.strides());
            }
        }
    }
}

#[test]
fn many_integers_are_combined_in_every_layout() {
    let dtypes = [DType::I64, DType::I32, DType::U32, DType::I16, DType::U8, DType::I8];
    for (shape, dtype) in LARGE.into_iter().flat_map(|shape| dtypes.map(|dtype| (shape, dtype))) {
        let x = cast(
            &Array::build::<i64>(Shape::from(shape), |out| {
                let wild = |i: usize| (i as i64 + 1).wrapping_mul(0x5851_F42D_4C95_7F2D) >> 3;
                out.iter_mut().enumerate().for_each(|(i, o)| *o = wild(i));
            }),
            dtype,
        );
        let (values, stored) = (x.to_i64_vec(), copy(&x.permute(&[2, 0, 1])).permute(&[1, 2, 0]));
        for axes in subsets(3) {
            let out = x.shape().without(|i| axes.contains(&i));
            let kept: Vec<usize> = (0..3).filter(|a| !axes.contains(a)).collect();
            let place = |i: usize| {
                let index = [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]];
                kept.iter().fold(0, |at, &a| at * shape[a] + index[a])
            };
            for op in OPS {
                let mut want = vec![None; out.size()];
                for (i, &v) in values.iter().enumerate() {
                    let best = |a: i64| match op {
                        Reduction::Sum => a.wrapping_add(v),
                        Reduction::Prod => a.wrapping_mul(v),
                        Reduction::Max => a.max(v),
                        Reduction::Min => a.min(v),
                    };
                    want[place(i)] = Some(want[place(i)].map_or(v, best));
                }
                let want: Vec<i64> = want.into_iter().map(|v| v.expect("no axis is empty")).collect();
                let want = cast(&Array::from_slice(&want, out.clone()), dtype);
                for x in [&x, &stored] {
                    let got = same_everywhere(|| reduce(op, x, &axes));
                    assert_eq!(got.to_bytes(), want.to_bytes(), "{op:?} {dtype} {shape:?} {:?} {axes:?}", x.strides());
                }
            }
        }
    }
}

/// The order of combination of up to a block, as it is defined: sixteen lanes, combined by halves.
fn by_lanes(s: &[f32], combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes: Vec<f32> = s[..s.len().min(16)].to_vec();
    s.iter().enumerate().skip(16).for_each(|(i, &v)| lanes[i % 16] = combine(lanes[i % 16], v));
    for half in [8, 4, 2, 1] {
        for i in half..lanes.len() {
            lanes[i - half] = combine(lanes[i - half], lanes[i]);
        }
        lanes.truncate(half);
    }
    lanes[0]
}

/// What each of [`OPS`] makes of a row.
fn defined(s: &[f32]) -> [f32; 4] {
    [
        by_blocks(s, |a, b| a + b),
        by_blocks(s, |a, b| a * b),
        by_blocks(s, |a, b| if a > b || a.is_nan() { a } else { b }),
        by_blocks(s, |a, b| if a < b || a.is_nan() { a } else { b }),
    ]
}

/// Blocks of 256 by lanes, then pairs of neighbours, pairs of those and so on; what has no neighbour stays.
fn by_blocks(s: &[f32], combine: fn(f32, f32) -> f32) -> f32 {
    let mut all: Vec<f32> = s.chunks(256).map(|block| by_lanes(block, combine)).collect();
    while all.len() > 1 {
        all = all.chunks(2).map(|pair| pair[1..].iter().fold(pair[0], |a, &b| combine(a, b))).collect();
    }
    all[0]
}

#[test]
fn short_rows_have_the_bits_of_their_definition() {
    for (rows, len) in [2, 33, 50, 70].into_iter().flat_map(|rows| (1..=17).map(move |len| (rows, len))) {
        let mut x = noise([rows * len], 1, DType::F32).to_vec::<f32>();
        x.iter_mut().enumerate().for_each(|(i, v)| match i % 5 {
            0 => *v = 0.0,
            1 | 3 => *v = -0.0,
            _ => {}
        });
        let array = Array::from_slice(&x, [rows, len]);
        for (at, op) in OPS.into_iter().enumerate() {
            let got = same_everywhere(|| reduce(op, &array, &[1])).to_vec::<f32>();
            let want: Vec<f32> = x.chunks(len).map(|row| defined(row)[at]).collect();
            let bits = |all: &[f32]| all.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&got), bits(&want), "{op:?} {rows} x {len}: {got:?} for {want:?}");
        }
    }
}

#[test]
fn rows_that_end_within_a_block_have_the_bits_of_their_definition() {
    for len in [16, 17, 33, 100, 255, 256, 257, 272, 513, 1000, 1023, 1024, 1025, 1281, 2049, 3001] {
        for (rows, apart) in [(1, len), (3, len + 5), (4, len), (9, len + 1)] {
            let mut x = noise([rows * apart], 1, DType::F32).to_vec::<f32>();
            x.iter_mut().enumerate().for_each(|(i, v)| match i % 97 {
                0 | 1 => *v = 0.0,
                2 | 3 => *v = -0.0,
                4 if i % 13 == 0 => *v = f32::NAN,
                5 if i % 11 == 0 => *v = f32::NEG_INFINITY,
                _ => {}
            });
            for dtype in [DType::F32, DType::F64] {
                let all = cast(&Array::from_slice(&x, [rows, apart]), dtype);
                let array = all.slice(&[0, 0], &[rows, len], &[1, 1]);
                for (at, op) in OPS.into_iter().enumerate() {
                    let got = same_everywhere(|| reduce(op, &array, &[1]));
                    if dtype == DType::F64 {
                        continue;
                    }
                    for (got, row) in got.to_vec::<f32>().into_iter().zip(x.chunks(apart)) {
                        let want = defined(&row[..len])[at];
                        let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
                        assert!(same, "{op:?} {rows} x {len}: {got} for {want}");
                    }
                }
            }
        }
    }
}

#[test]
fn windows_have_the_bits_of_their_definition() {
    for (rows, columns) in [(9, 40), (30, 31)] {
        let mut x = noise([3 * rows * columns], 1, DType::F32).to_vec::<f32>();
        // Zeros of both signs and NaN.
        x.iter_mut().enumerate().for_each(|(i, v)| match i % 7 {
            0 | 1 => *v = 0.0,
            2 | 3 => *v = -0.0,
            4 if i % 5 == 0 => *v = f32::NAN,
            _ => {}
        });
        let x = Array::from_slice(&x, [3, rows, columns]);
        for (size, step, dilation) in
            [(1, 1, 1), (2, 2, 1), (3, 1, 1), (3, 2, 1), (2, 3, 2), (4, 1, 1), (5, 2, 1), (7, 1, 1)]
        {
            let w = x.windows(1, size, step, dilation).windows(2, size, step, dilation);
            for axes in [vec![3, 4], vec![3], vec![4]] {
                let (_, sequences) = sequences(&w, &axes);
                let got = OPS.map(|op| same_everywhere(|| reduce(op, &w, &axes)).to_vec::<f32>());
                for (i, s) in sequences.iter().enumerate() {
                    let s: Vec<f32> = s.iter().map(|&v| v as f32).collect();
                    let want = defined(&s);
                    for (got, want) in got.iter().map(|all| all[i]).zip(want) {
                        let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
                        assert!(same, "{size} {step} {dilation} {axes:?}: {got} for {want}, of {s:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn windows_of_every_dtype_reduce() {
    for dtype in DType::ALL.into_iter().filter(|d| !d.is_complex()) {
        let x = values(2 * 20 * 24, dtype).reshape(&Shape::from([2, 20, 24]));
        for x in layouts(&x) {
            let w = x.windows(1, 3, 2, 1).windows(2, 2, 2, 1);
            let (_, sequences) = sequences(&w, &[3, 4]);
            for op in OPS {
                if dtype == DType::Bool && matches!(op, Reduction::Sum | Reduction::Prod) {
                    continue;
                }
                let want: Vec<f64> = sequences.iter().map(|s| oracle(op, s, dtype)).collect();
                assert_eq!(reduce(op, &w, &[3, 4]).to_f64_vec(), want, "{op:?} {dtype} {:?}", w.strides());
            }
        }
    }
}

#[test]
fn long_f32_sums_are_as_accurate_as_pairwise_ones() {
    let x = noise([3_000_001], 1, DType::F32);
    let exact: f64 = x.to_f64_vec().iter().sum();
    let magnitude: f64 = x.to_f64_vec().iter().map(|v| v.abs()).sum();
    let got = reduce(Reduction::Sum, &x, &[0]).to_f64_vec()[0];
    assert!((got - exact).abs() < 3e-7 * magnitude, "{got} against {exact}");
}

#[test]
fn nothing_sums_to_zero_and_multiplies_to_one() {
    let x = values(0, DType::F32).reshape(&Shape::from([2, 0, 3]));
    assert_eq!(reduce(Reduction::Sum, &x, &[1]).to_vec::<f32>(), [0.0; 6]);
    assert_eq!(reduce(Reduction::Prod, &x, &[0, 1]).to_vec::<f32>(), [1.0; 3]);
    assert_eq!(reduce(Reduction::Max, &x, &[0]).shape(), &Shape::from([0, 3]));
    assert!(reduce(Reduction::Sum, &x, &[1]).to_vec::<f32>()[0].is_sign_positive());
}

#[test]
#[should_panic(expected = "Max of no elements")]
fn the_largest_of_nothing_is_refused() {
    reduce(Reduction::Max, &values(0, DType::I32), &[0]);
}

#[test]
fn nan_wins() {
    for n in [3, 40, 300, 5000] {
        for at in [0, n / 2, n - 1] {
            let mut v = vec![1.0f32; n];
            v[at] = f32::NAN;
            let row = Array::from_slice(&v, [n]);
            let columns = Array::from_slice(&v, [n, 1]).broadcast_to(&Shape::from([n, 20]));
            for op in [Reduction::Max, Reduction::Min] {
                assert!(reduce(op, &row, &[0]).to_vec::<f32>()[0].is_nan());
                assert!(reduce(op, &columns, &[0]).to_vec::<f32>().iter().all(|x| x.is_nan()));
            }
            for max in [true, false] {
                assert_eq!(arg_reduce(max, &row, 0).to_vec::<i64>(), [at as i64]);
                assert_eq!(arg_reduce(max, &columns.contiguous(), 0).to_vec::<i64>(), [at as i64; 20]);
            }
        }
    }
}

#[test]
fn extremes_of_many_short_rows_are_found() {
    for n in [1, 2, 10, 32, 33, 70] {
        let mut x = noise([700 * n], 1, DType::F32).to_vec::<f32>();
        x.iter_mut().enumerate().filter(|(i, _)| i % 23 == 5).for_each(|(_, v)| *v = f32::NAN);
        for max in [true, false] {
            let best = |row: &[f32]| {
                let nan = row.iter().position(|v| v.is_nan());
                let other =
                    |a: usize, b: usize| if if max { row[b] > row[a] } else { row[b] < row[a] } { b } else { a };
                nan.unwrap_or_else(|| (0..n).reduce(other).expect("rows are not empty")) as i64
            };
            let want: Vec<i64> = x.chunks(n).map(best).collect();
            let x = Array::from_slice(&x, [700, n]);
            assert_eq!(same_everywhere(|| arg_reduce(max, &x, 1)).to_vec::<i64>(), want, "{n} {max}");
        }
    }
}

#[test]
fn bools_any_and_all() {
    let x = Array::from_slice(&[true, false, true, true], [2, 2]);
    assert_eq!(reduce(Reduction::Max, &x, &[1]).to_vec::<bool>(), [true, true]);
    assert_eq!(reduce(Reduction::Min, &x, &[1]).to_vec::<bool>(), [false, true]);
}

#[test]
fn the_first_of_equal_extremes_is_found_in_every_layout() {
    for shape in [vec![7], vec![3, 5], vec![2, 1, 40], vec![33, 9], vec![4, 100, 3], vec![1, 300], vec![300, 10]] {
        let size: usize = shape.iter().product();
        for dtype in [DType::Bool, DType::U8, DType::I32, DType::I64, DType::F16, DType::F32, DType::F64] {
            let x = values(size, dtype).reshape(&Shape::from(&shape));
            for axis in 0..shape.len() {
                let (out, sequences) = sequences(&x, &[axis]);
                for max in [true, false] {
                    let best = |s: &Vec<f64>| {
                        let mut best = 0;
                        for (i, &v) in s.iter().enumerate() {
                            if if max { v > s[best] } else { v < s[best] } {
                                best = i;
                            }
                        }
                        best as i64
                    };
                    let want: Vec<i64> = sequences.iter().map(best).collect();
                    for x in layouts(&x) {
                        let got = arg_reduce(max, &x, axis);
                        assert_eq!((got.shape(), got.dtype()), (&out, DType::I64));
                        assert_eq!(got.to_vec::<i64>(), want, "{x:?} {:?} axis {axis}", x.strides());
                    }
                }
            }
        }
    }
}
