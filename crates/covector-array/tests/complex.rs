//! Complex numbers against a person's arithmetic, in every layout.

mod common;

use common::{index_copy, layouts, same_everywhere};
use covector_array::kernels::{self, Reduction, Scatter};
use covector_array::math::complex;
use covector_array::{Array, DType, Shape, c64, c128};

/// Whole parts, which every order of summation adds exactly.
fn numbers(shape: &[usize], salt: usize) -> Array {
    let size: usize = shape.iter().product();
    let at = |i: usize| c128::new(((i * 7 + salt) % 11) as f64 - 5.0, ((i * 5 + 3 * salt) % 9) as f64 - 4.0);
    Array::from_slice(&(0..size).map(at).collect::<Vec<_>>(), shape)
}

/// The same numbers stored with axes reversed, and from the inside of a larger array.
fn others(x: &Array) -> Vec<Array> {
    let n = x.ndim();
    let back: Vec<usize> = (0..n).rev().collect();
    let inside = kernels::pad(x, &vec![1; n], &vec![2; n], &vec![1; n]);
    let (starts, steps) = (vec![1; n], vec![2; n]);
    vec![x.clone(), x.permute(&back).contiguous().permute(&back), inside.slice(&starts, x.shape(), &steps)]
}

#[test]
fn parts_are_a_view_and_come_back() {
    let x = numbers(&[3, 4], 1);
    for x in others(&x) {
        let parts = x.parts();
        assert_eq!((&parts.shape()[..], parts.dtype(), parts.address()), (&[3, 4, 2][..], DType::F64, x.address()));
        assert_eq!(parts.of_parts().to_vec::<c128>(), x.to_vec::<c128>());
        // Parts in another place than side by side are brought together.
        let apart = parts.permute(&[2, 0, 1]).contiguous().permute(&[1, 2, 0]);
        assert_eq!(apart.of_parts().to_vec::<c128>(), x.to_vec::<c128>());
    }
}

#[test]
fn products_of_matrices_are_sums_of_products() {
    for (batch, m, k, n) in [(1, 1, 1, 1), (2, 3, 4, 5), (3, 17, 33, 9), (1, 40, 0, 3), (2, 0, 3, 2), (1, 64, 70, 65)] {
        let (a, b) = (numbers(&[batch, m, k], 1), numbers(&[batch, k, n], 2));
        let (x, y) = (a.to_vec::<c128>(), b.to_vec::<c128>());
        let at = |i: usize| {
            let (lot, row, column) = (i / (m * n), i / n % m, i % n);
            (0..k).map(|j| x[(lot * m + row) * k + j] * y[(lot * k + j) * n + column]).sum::<c128>()
        };
        let want: Vec<c128> = (0..batch * m * n).map(at).collect();
        for (a, b) in others(&a).into_iter().zip(others(&b).into_iter().rev()) {
            assert_eq!(kernels::matmul(&a, &b).to_vec::<c128>(), want);
            let narrow = |x: &Array| kernels::cast(x, DType::C64);
            assert_eq!(kernels::cast(&kernels::matmul(&narrow(&a), &narrow(&b)), DType::C128).to_vec::<c128>(), want);
        }
    }
    let (a, b) = (numbers(&[3, 2, 2], 1), numbers(&[1, 2, 2], 2));
    let shared = b.broadcast_to(&Shape::from([3, 2, 2]));
    let apart = kernels::matmul(&a, &index_of(&shared));
    assert_eq!(kernels::matmul(&a, &shared).to_vec::<c128>(), apart.to_vec::<c128>());
}

/// A contiguous copy by way of the elements.
fn index_of(x: &Array) -> Array {
    Array::from_slice(&x.to_vec::<c128>(), x.shape().clone())
}

#[test]
fn folds_take_both_parts() {
    let x = numbers(&[3, 4, 2], 1);
    let values = x.to_vec::<c128>();
    let line = |i: usize, k: usize| values[(i * 4 + k) * 2];
    for x in others(&x) {
        let sums = kernels::reduce(Reduction::Sum, &x, &[1]).to_vec::<c128>();
        let products = kernels::reduce(Reduction::Prod, &x, &[1]).to_vec::<c128>();
        let running = kernels::scan(Reduction::Sum, &x, 1, false).to_vec::<c128>();
        let multiplied = kernels::scan(Reduction::Prod, &x, 1, true).to_vec::<c128>();
        for i in 0..3 {
            assert_eq!(sums[i * 2], (0..4).map(|k| line(i, k)).sum());
            assert_eq!(products[i * 2], (0..4).map(|k| line(i, k)).product());
            assert_eq!(running[(i * 4 + 2) * 2], (0..3).map(|k| line(i, k)).sum());
            assert_eq!(multiplied[(i * 4 + 1) * 2], (1..4).map(|k| line(i, k)).product());
        }
        let all = kernels::reduce(Reduction::Prod, &x.slice(&[0; 3], &[1, 2, 2], &[1; 3]), &[0, 1, 2]);
        assert_eq!(all.to_vec::<c128>(), [values[..4].iter().product()]);
    }
    assert_eq!(kernels::reduce(Reduction::Prod, &numbers(&[0, 2], 0), &[0]).to_vec::<c128>(), [c128::new(1.0, 0.0); 2]);
    assert_eq!(kernels::reduce(Reduction::Sum, &numbers(&[0, 2], 0), &[0]).to_vec::<c128>(), [c128::default(); 2]);
}

#[test]
fn scattered_sums_and_windows_take_both_parts() {
    let (base, updates) = (numbers(&[2, 3], 1), numbers(&[2, 4], 2));
    let along = Array::from_slice(&[0i64, 2, -1, 0, 1, 1, 1, 2], [2, 4]);
    let mut want = base.to_vec::<c128>();
    for (i, (u, k)) in updates.to_vec::<c128>().into_iter().zip(along.to_vec::<i64>()).enumerate() {
        want[i / 4 * 3 + k.rem_euclid(3) as usize] += u;
    }
    for (b, u) in others(&base).into_iter().zip(others(&updates)) {
        let got = kernels::scatter_along(b, &along, &u, 1, Scatter::Add).expect("in range");
        assert_eq!(got.to_vec::<c128>(), want);
    }
    let rows = Array::from_slice(&[1i64, 1], [2]);
    let got = kernels::scatter(base.clone(), &rows, &numbers(&[2, 3], 3), 0, Scatter::Add).expect("in range");
    let (b, u) = (base.to_vec::<c128>(), numbers(&[2, 3], 3).to_vec::<c128>());
    assert_eq!(got.to_vec::<c128>()[3..], [b[3] + u[0] + u[3], b[4] + u[1] + u[4], b[5] + u[2] + u[5]]);
    let x = numbers(&[5], 1);
    let back = kernels::overlap_add(&x.windows(0, 2, 1, 1), 0, 5, 1, 1).to_vec::<c128>();
    let v = x.to_vec::<c128>();
    assert_eq!(back, [v[0], v[1] * 2.0, v[2] * 2.0, v[3] * 2.0, v[4]]);
}

#[test]
fn elements_of_sixteen_bytes_move_through_every_kernel() {
    let x = numbers(&[40, 60], 1);
    let (values, t) = (x.to_vec::<c128>(), x.t());
    let transposed = kernels::copy(&t).to_vec::<c128>();
    assert!((0..60 * 40).all(|i| transposed[i] == values[i % 40 * 60 + i / 40]));
    let negative: fn(DType) -> Option<kernels::Kernel> = |_| Some(kernels::Kernel::plain(|z: c128| -z));
    let long = numbers(&[3, 5000], 2);
    for x in [long.clone(), long.permute(&[1, 0]), long.slice(&[2, 4999], &[3, 2000], &[-1, -2])] {
        let want: Vec<c128> = x.to_vec::<c128>().into_iter().map(|z| -z).collect();
        let got = same_everywhere(|| kernels::map(negative, DType::C128, [x.clone()].into_iter().collect()));
        assert_eq!(got.to_vec::<c128>(), want);
    }
    let row = numbers(&[1, 3000], 3).broadcast_to(&Shape::from([4, 3000]));
    let got = kernels::map(negative, DType::C128, [row.clone()].into_iter().collect());
    assert!(got.to_vec::<c128>().iter().zip(row.to_vec::<c128>()).all(|(a, b)| *a == -b));
    for x in layouts(&Array::from_slice(&[1.0f64, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3])) {
        assert_eq!(kernels::cast(&x, DType::C64).to_f64_vec(), index_copy(&x).to_f64_vec());
    }
}

#[test]
fn functions_do_not_overflow_before_their_values_do() {
    let z = c128::new(1e300, -1e300);
    assert!((complex::abs(z) / 2f64.sqrt() / 1e300 - 1.0).abs() < 1e-15);
    let log = complex::log(c128::new(1.5e308, 1.5e308));
    assert!((log.re - (1.5e308f64.ln() + 0.5 * 2f64.ln())).abs() < 1e-12);
    let root = complex::sqrt(c128::new(-0.8e308, 0.6e308));
    let ratio = complex::divide(complex::multiply(root, root), c128::new(-0.8e308, 0.6e308));
    assert!((ratio - c128::new(1.0, 0.0)).norm() < 1e-15);
    let tiny = complex::sqrt(c128::new(3e-320, 4e-320));
    assert!((tiny.re / 2e-160 - 1.0).abs() < 1e-3 && (tiny.im / 1e-160 - 1.0).abs() < 1e-3);
    let exp = complex::exp(c128::new(710.0, std::f64::consts::FRAC_PI_2 - 1e-3));
    assert!(exp.re.is_finite() && exp.re > 1e305);
    assert!((complex::divide(z, z) - c128::new(1.0, 0.0)).norm() < 1e-15);
    assert_eq!(
        complex::Narrow::narrow(complex::multiply(c128::new(1e30, 1e30), c128::new(1e30, 1e30))),
        c64::new(0.0, f32::INFINITY)
    );
}
