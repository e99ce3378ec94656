//! take, take_along, scatter, scatter_along, nonzero.

use covector_array::kernels::{IndexError, Scatter, nonzero, scatter, scatter_along, take, take_along};
use covector_array::{Array, DType, Shape};

use crate::oracle::{Plain, constant_along, indices, position};

const MODES: [Scatter; 4] = [Scatter::Set, Scatter::Add, Scatter::Max, Scatter::Min];

/// Indices into an axis of `size`, some negative; their plain twins count from the front.
fn picks(shape: &[usize], size: usize) -> (Plain, Plain) {
    let plain = Plain::new(shape, |i| (i.iter().fold(3, |h, k| h * 7 + k * 5) % size) as f64);
    let signed = Plain::new(shape, |i| {
        let v = plain.at(i);
        if (i.iter().sum::<usize>()) % 3 == 1 { v - size as f64 } else { v }
    });
    (signed, plain)
}

fn signed(dtype: DType) -> bool {
    dtype.is_int() && !dtype.is_unsigned()
}

fn taken(x: &Plain, picks: &Plain, axis: usize) -> Plain {
    let shape = [&x.shape[..axis], &picks.shape, &x.shape[axis + 1..]].concat();
    let n = picks.shape.len();
    Plain::new(&shape, |i| {
        let pick = picks.at(&i[axis..axis + n]) as usize;
        x.at(&[&i[..axis], &[pick], &i[axis + n..]].concat())
    })
}

#[test]
fn take_over_layouts_and_dtypes() {
    for shape in [&[7][..], &[3, 5], &[2, 3, 4], &[4, 1, 3], &[0, 3], &[2, 3, 2, 5], &[3, 40, 100]] {
        for axis in (0..shape.len()).filter(|&a| shape[a] > 0) {
            for index_shape in [&[][..], &[4], &[2, 3], &[0], &[90]] {
                let x = Plain::counting(shape);
                let (with_negatives, plain) = picks(index_shape, shape[axis]);
                let few = x.values.len() > 1000;
                for dtype in DType::ALL.into_iter().filter(|&d| !few || d == DType::F64) {
                    let want = taken(&x.rounded(dtype), &plain, axis);
                    let layouts = with_negatives.layouts(DType::I64);
                    for ((name, a), (_, i)) in x.layouts(dtype).iter().zip(layouts.iter().rev()) {
                        let got = take(a, i, axis).expect("in range");
                        assert_eq!(Plain::of(&got), want, "{name} {dtype} {shape:?} axis {axis}");
                        assert_eq!(got.dtype(), dtype);
                    }
                }
                for dtype in DType::ALL.into_iter().filter(|d| d.is_int()) {
                    let i = if signed(dtype) { &with_negatives } else { &plain }.array(dtype);
                    assert_eq!(
                        Plain::of(&take(&x.array(DType::F64), &i, axis).expect("in range")),
                        taken(&x, &plain, axis)
                    );
                }
            }
        }
    }
}

fn taken_along(x: &Plain, picks: &Plain, axis: usize) -> Plain {
    Plain::new(&picks.shape, |i| {
        let mut from = i.to_vec();
        from[axis] = picks.at(i) as usize;
        x.at(&from)
    })
}

#[test]
fn take_along_over_layouts_and_dtypes() {
    for shape in [&[7][..], &[3, 5], &[2, 3, 4], &[4, 1, 3], &[2, 3, 2, 5], &[3, 40, 100]] {
        for (axis, count) in (0..shape.len()).flat_map(|a| [(a, 0), (a, 1), (a, 6)]) {
            let x = Plain::counting(shape);
            let mut index_shape = shape.to_vec();
            index_shape[axis] = count;
            let (with_negatives, plain) = picks(&index_shape, shape[axis]);
            let few = x.values.len() > 1000;
            for dtype in DType::ALL.into_iter().filter(|&d| !few || d == DType::F16) {
                let want = taken_along(&x.rounded(dtype), &plain, axis);
                let layouts = with_negatives.layouts(DType::I32);
                for ((name, a), (_, i)) in x.layouts(dtype).iter().zip(layouts.iter().rev()) {
                    let got = take_along(a, i, axis).expect("in range");
                    assert_eq!(Plain::of(&got), want, "{name} {dtype} {shape:?} axis {axis}");
                    assert_eq!(got.dtype(), dtype);
                }
            }
        }
    }
}

#[test]
fn broadcast_operands_are_read_through_their_strides() {
    let (x, i) = (constant_along(&[3, 4], 0, DType::U16), Array::full([2, 4], 1.0, DType::U8));
    assert_eq!(Plain::of(&take_along(&x, &i, 0).expect("in range")), taken_along(&Plain::of(&x), &Plain::of(&i), 0));
    assert_eq!(Plain::of(&take(&x, &i, 1).expect("in range")), taken(&Plain::of(&x), &Plain::of(&i), 1));
    let updates = Array::full([2, 4, 4], 3.0, DType::U16);
    let got = scatter(x.clone(), &i, &updates, 0, Scatter::Add).expect("in range");
    assert_eq!(
        Plain::of(&got),
        scattered(&Plain::of(&x), &Plain::of(&i), &Plain::of(&updates), 0, Scatter::Add, false)
    );
}

/// Complex numbers have no order.
fn unordered(dtype: DType, mode: Scatter) -> bool {
    dtype.is_complex() && matches!(mode, Scatter::Max | Scatter::Min)
}

fn combine(mode: Scatter, old: f64, new: f64, boolean: bool) -> f64 {
    match mode {
        Scatter::Set => new,
        Scatter::Add if boolean => old.max(new),
        Scatter::Add => old + new,
        Scatter::Max => old.max(new),
        Scatter::Min => old.min(new),
    }
}

fn scattered(base: &Plain, picks: &Plain, updates: &Plain, axis: usize, mode: Scatter, boolean: bool) -> Plain {
    let (mut out, n) = (base.clone(), picks.shape.len());
    for i in indices(&updates.shape) {
        let pick = picks.at(&i[axis..axis + n]) as usize;
        let p = position(&base.shape, &[&i[..axis], &[pick], &i[axis + n..]].concat());
        out.values[p] = combine(mode, out.values[p], updates.at(&i), boolean);
    }
    out
}

#[test]
fn scatter_over_layouts_dtypes_and_modes() {
    for shape in [&[7][..], &[3, 5], &[2, 3, 4], &[2, 3, 2, 5], &[3, 40, 50]] {
        for (axis, index_shape) in (0..shape.len()).flat_map(|a| [(a, &[][..]), (a, &[5]), (a, &[2, 3]), (a, &[0])]) {
            let base = Plain::counting(shape);
            let (with_negatives, plain) = picks(index_shape, shape[axis]);
            let updates = [&shape[..axis], index_shape, &shape[axis + 1..]].concat();
            let updates = Plain::new(&updates, |i| (i.iter().sum::<usize>() % 9) as f64);
            let few = base.values.len() > 1000;
            for (dtype, mode) in DType::ALL.into_iter().flat_map(|d| MODES.map(|m| (d, m))) {
                if few && dtype != DType::F32 || dtype == DType::I8 && mode == Scatter::Add || unordered(dtype, mode) {
                    continue;
                }
                let boolean = dtype == DType::Bool;
                let want = scattered(&base.rounded(dtype), &plain, &updates.rounded(dtype), axis, mode, boolean);
                let (us, is) = (updates.layouts(dtype), with_negatives.layouts(DType::I16));
                for (((name, b), (_, u)), (_, i)) in base.layouts(dtype).into_iter().zip(us.iter().rev()).zip(&is) {
                    let got = scatter(b, i, u, axis, mode).expect("in range");
                    assert_eq!(Plain::of(&got), want, "{name} {dtype} {shape:?} axis {axis} {mode:?}");
                    assert_eq!(got.dtype(), dtype);
                }
            }
        }
    }
}

fn scattered_along(base: &Plain, picks: &Plain, updates: &Plain, axis: usize, mode: Scatter, boolean: bool) -> Plain {
    let mut out = base.clone();
    for i in indices(&updates.shape) {
        let mut to = i.clone();
        to[axis] = picks.at(&i) as usize;
        let p = position(&base.shape, &to);
        out.values[p] = combine(mode, out.values[p], updates.at(&i), boolean);
    }
    out
}

#[test]
fn scatter_along_over_layouts_dtypes_and_modes() {
    for shape in [&[7][..], &[3, 5], &[2, 3, 4], &[2, 3, 2, 5], &[3, 40, 50]] {
        for (axis, count) in (0..shape.len()).flat_map(|a| [(a, 0), (a, 1), (a, 8)]) {
            let base = Plain::counting(shape);
            let mut index_shape = shape.to_vec();
            index_shape[axis] = count;
            let (with_negatives, plain) = picks(&index_shape, shape[axis]);
            let updates = Plain::new(&index_shape, |i| (i.iter().sum::<usize>() % 9) as f64);
            let few = base.values.len() > 1000;
            for (dtype, mode) in DType::ALL.into_iter().flat_map(|d| MODES.map(|m| (d, m))) {
                if few && dtype != DType::I32 || dtype == DType::I8 && mode == Scatter::Add || unordered(dtype, mode) {
                    continue;
                }
                let boolean = dtype == DType::Bool;
                let want = scattered_along(&base.rounded(dtype), &plain, &updates.rounded(dtype), axis, mode, boolean);
                let (us, is) = (updates.layouts(dtype), with_negatives.layouts(DType::I64));
                for (((name, b), (_, u)), (_, i)) in base.layouts(dtype).into_iter().zip(us.iter().rev()).zip(&is) {
                    let got = scatter_along(b, i, u, axis, mode).expect("in range");
                    assert_eq!(Plain::of(&got), want, "{name} {dtype} {shape:?} axis {axis} {mode:?}");
                }
            }
        }
    }
}

#[test]
fn scatter_is_the_adjoint_of_take() {
    let (x, i) = (Plain::counting(&[6, 4]).array(DType::F64), Array::from_slice(&[2i64, 2, -1, 0], [2, 2]));
    let taken = take(&x, &i, 0).expect("in range");
    let y = Plain::new(taken.shape(), |i| (i[0] * 3 + i[1] + i[2]) as f64).array(DType::F64);
    let back = scatter(Array::full([6, 4], 0.0, DType::F64), &i, &y, 0, Scatter::Add).expect("in range");
    let dot = |a: &Array, b: &Array| -> f64 { a.to_f64_vec().iter().zip(b.to_f64_vec()).map(|(a, b)| a * b).sum() };
    assert_eq!(dot(&taken, &y), dot(&x, &back));
}

#[test]
fn a_base_nobody_else_holds_is_written_in_place_and_a_shared_one_is_not() {
    let (i, u) = (Array::from_slice(&[1i32], 1), Array::from_slice(&[9.0f32], 1));
    let base = Array::from_slice(&[1.0f32, 2.0, 3.0], 3);
    let address = base.as_slice::<f32>().expect("contiguous").as_ptr();
    let written = scatter(base, &i, &u, 0, Scatter::Set).expect("in range");
    assert_eq!(written.as_slice::<f32>().expect("contiguous").as_ptr(), address);
    let again = scatter_along(written.clone(), &i, &u, 0, Scatter::Add).expect("in range");
    assert_eq!((written.to_f64_vec(), again.to_f64_vec()), (vec![1.0, 9.0, 3.0], vec![1.0, 18.0, 3.0]));
}

#[test]
fn indices_out_of_range_are_named_and_nothing_is_written() {
    let x = Plain::counting(&[2, 3]).array(DType::F32);
    for (i, index) in [
        (Array::from_slice(&[0i64, 3, -4], 3), 3),
        (Array::from_slice(&[0i8, -4, 1], 3), -4),
        (Array::from_slice(&[2u64, u64::MAX, 1], 3), i64::MAX),
        (Array::from_slice(&[i64::MIN, 0, 0], 3), i64::MIN),
    ] {
        let error = IndexError { index, size: 3, axis: 1 };
        assert_eq!(take(&x, &i, 1).err(), Some(error));
        let updates = Array::full([2, 3], 7.0, DType::F32);
        assert_eq!(scatter(x.clone(), &i, &updates, 1, Scatter::Set).err(), Some(error));
        let i = i.broadcast_to(&Shape::from([2, 3]));
        assert_eq!(take_along(&x, &i, 1).err(), Some(error));
        assert_eq!(scatter_along(x.clone(), &i, &updates, 1, Scatter::Add).err(), Some(error));
        assert_eq!(x.to_f64_vec(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
    let message = take(&x, &Array::from_slice(&[5i64], 1), 1).expect_err("out of range").to_string();
    assert_eq!(message, "index 5 is out of range for axis 1 of size 3");
    let empty = Array::full([0, 2], 0.0, DType::F32);
    let message = take(&empty, &Array::from_slice(&[0i64], 1), 0).expect_err("out of range").to_string();
    assert_eq!(message, "index 0 is out of range for axis 0 of size 0");
    assert_eq!(take(&empty, &Array::full(0, 0.0, DType::I64), 0).expect("no index at all").shape()[..], [0, 2]);
}

#[test]
fn nan_wins_in_scattered_extremes_and_halves_are_summed_in_f32() {
    let (i, nan) = (Array::from_slice(&[0i64, 0, 1], 3), f32::NAN);
    for mode in [Scatter::Max, Scatter::Min] {
        let got = scatter(Array::full(2, 1.0, DType::F32), &i, &Array::from_slice(&[nan, 5.0, -5.0], 3), 0, mode);
        assert!(got.expect("in range").to_f64_vec()[0].is_nan());
    }
    let ones = Array::full(3000, 1.0, DType::BF16);
    let sums = scatter(Array::full(1, 0.0, DType::BF16), &Array::full(3000, 0.0, DType::I64), &ones, 0, Scatter::Add);
    assert_eq!(sums.expect("in range").to_f64_vec(), [3008.0]);
}

#[test]
fn the_first_of_many_indices_out_of_range_is_named() {
    let mut indices = vec![1i64; 200_000];
    (indices[70_000], indices[70_001], indices[150_000]) = (-5, 9, 8);
    let (x, indices) = (Plain::counting(&[4]).array(DType::F32), Array::from_slice(&indices, [200_000]));
    assert_eq!(take(&x, &indices, 0).unwrap_err(), IndexError { index: -5, size: 4, axis: 0 });
}

#[test]
fn nonzero_finds_what_is_true_in_every_layout() {
    for shape in [&[7][..], &[0], &[3, 5], &[2, 3, 4], &[3, 0, 2], &[2, 70, 300], &[70_000], &[30_000, 3], &[1, 600, 1]]
    {
        for modulus in [1, 2, 5, 1_000_000] {
            let x = Plain::new(shape, |i| f64::from((position(shape, i) * 7 + 1).is_multiple_of(modulus)));
            let hits: Vec<_> = indices(shape).into_iter().filter(|i| x.at(i) == 1.0).collect();
            for (name, a) in x.layouts(DType::Bool) {
                let found = nonzero(&a);
                assert_eq!(found.len(), shape.len());
                for (axis, found) in found.iter().enumerate() {
                    let want: Vec<i64> = hits.iter().map(|i| i[axis] as i64).collect();
                    assert!(found.to_vec::<i64>() == want, "{name} {shape:?} {modulus} axis {axis}");
                }
            }
        }
    }
    assert!(nonzero(&Array::scalar(true)).is_empty());
}
