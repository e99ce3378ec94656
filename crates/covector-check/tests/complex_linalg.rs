//! Linear algebra of complex matrices, and eigenvalues of any: choices of angles, order, precision, and where it ends.

use covector::ops::complex::complex;
use covector::ops::create::eye;
use covector::registry::sample::{self, between, complex_distinct, complex_regular, exactly, real};
use covector::{DType, ErrorKind, Tensor, c64, c128, grad, kernels::MatrixFault, vjp};
use covector_check::{check_first_order, check_second_order};

fn numbers(x: &Tensor) -> Vec<c128> {
    x.value().to_c128_vec()
}

#[track_caller]
fn near(got: &Tensor, wanted: &Tensor, tolerance: f64) {
    assert_eq!(got.spec(), wanted.spec());
    for (i, (g, w)) in numbers(got).iter().zip(numbers(wanted)).enumerate() {
        assert!((g - w).norm() <= tolerance * w.norm().max(1.0), "element {i}: {g} instead of {w}");
    }
}

fn adjoint(x: &Tensor) -> Tensor {
    x.conj().matrix_transpose()
}

fn diagonal(w: &Tensor) -> Tensor {
    let n = w.shape()[w.ndim() - 1];
    eye(n, DType::C128) * w.expand_dims(-2)
}

type Loss = fn(&Tensor) -> Tensor;

/// Functions of factors that do not depend on the angles of their columns.
fn invariant() -> Vec<(&'static str, Loss)> {
    fn onto(v: &Tensor) -> Tensor {
        let first = v.i(covector::s![.., ..1]);
        let p = first.matmul(&adjoint(&first));
        let n = p.shape()[0];
        (p * sample::complex([n, n])).real().sum(..)
    }
    vec![
        ("eigh", |x| onto(&x.eigh().1)),
        ("eigh, sizes", |x| (x.eigh().1.abs() * between(-1.0, 1.0, [3, 3])).sum(..)),
        ("svd, left", |x| onto(&x.svd(false).0)),
        ("svd, right", |x| onto(&adjoint(&x.svd(false).2))),
        ("svd, both", |x| {
            let (u, _, vh) = x.svd(false);
            (u.i(covector::s![.., ..2]).matmul(&vh.i(covector::s![..2, ..])) * sample::complex([3, 3])).real().sum(..)
        }),
        ("qr", |x| onto(&x.qr("reduced").0)),
        ("eig", |x| onto(&x.eig().1)),
        ("eig, sizes", |x| (x.eig().1.abs() * between(-1.0, 1.0, [3, 3])).sum(..)),
        ("eig, back", |x| {
            let (w, v) = x.eig();
            (v.matmul(&diagonal(&w.square())).matmul(&v.inv()) * sample::complex([3, 3])).real().sum(..)
        }),
    ]
}

#[test]
fn losses_that_do_not_depend_on_angles_have_the_derivatives_of_any_choice() {
    let x = [complex_distinct([3, 3])];
    for (name, loss) in invariant() {
        let f = |x: &Vec<Tensor>| vec![loss(&x[0])];
        check_first_order(&f, &x).unwrap_or_else(|e| panic!("{name}: {e}"));
        check_second_order(&f, &x).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn functions_of_matrices_through_their_eigenvalues_are_those_functions() {
    // V w² V⁻¹ is the square, so its gradient is the square's.
    let x = complex_distinct([3, 3]);
    let weights = sample::complex([3, 3]);
    let through = |x: &Tensor| {
        let (w, v) = x.eig();
        (v.matmul(&diagonal(&w.square())).matmul(&v.inv()) * &weights).real().sum(..)
    };
    let plain = |x: &Tensor| (x.matmul(x) * &weights).real().sum(..);
    near(&grad(through)(&x), &grad(plain)(&x), 1e-12);
    // The sum of the eigenvalues is the trace, their product the determinant.
    near(&grad(|x: &Tensor| x.eigvals().sum(..).real())(&x), &eye(3, DType::C128), 1e-13);
    let product = grad(|x: &Tensor| x.eigvals().prod(..).real())(&x);
    near(&product, &grad(|x: &Tensor| x.det().real())(&x), 1e-12);
    // Of a real matrix the gradient is real.
    let real = real([3, 3]);
    let g = grad(|x: &Tensor| x.eigvals().square().sum(..).real())(&real);
    near(&g, &(real.matrix_transpose() * 2.0), 1e-12);
}

#[test]
fn results_that_are_real_have_real_dtypes() {
    let dtypes = |x: &Tensor| {
        let (w, v) = x.eigh();
        let (u, s, vh) = x.svd(false);
        let (sign, log) = x.slogdet();
        let (solution, left, _, values) = x.lstsq(&Tensor::from([1.0f32, 2.0]), None);
        let (eigenvalues, vectors) = x.eig();
        let complex =
            [v, u, vh, sign, solution, x.det(), x.inv(), x.cholesky(false), x.qr("reduced").1, eigenvalues, vectors];
        let real =
            [w, s, log, left, values, x.eigvalsh(), x.svdvals(), x.cond(2.0), x.cond(1.0), x.matrix_norm("nuc", false)];
        (complex.map(|x| x.dtype()), real.map(|x| x.dtype()))
    };
    assert_eq!(dtypes(&complex_regular([2, 2])), ([DType::C128; 11], [DType::F64; 10]));
    assert_eq!(dtypes(&complex_regular([2, 2]).cast(DType::C64)), ([DType::C64; 11], [DType::F32; 10]));
    let ints = Tensor::from([[2, 1], [0, 3]]);
    assert_eq!((ints.eigvals().dtype(), ints.cast(DType::BF16).eig().1.dtype()), (DType::C64, DType::C64));
    assert_eq!(ints.cast(DType::F64).eigvals().dtype(), DType::C128);
}

#[test]
fn the_rank_of_c64_matrices_has_the_precision_they_came_in() {
    // Rank 2 but for the rounding of c64.
    let (a, b) = (sample::complex([6, 2]), sample::complex([2, 6]));
    let low = a.cast(DType::C64).matmul(&b.cast(DType::C64));
    assert_eq!(low.matrix_rank(None).item::<i64>(), 2);
    assert_eq!(low.cast(DType::C128).matrix_rank(None).item::<i64>(), 6);
    let (_, _, rank, _) = low.lstsq(&sample::complex([6]).cast(DType::C64), None);
    assert_eq!(rank.item::<i64>(), 2);
}

#[test]
fn only_the_hermitian_half_is_read() {
    let x = complex_regular([3, 3]);
    let skew =
        complex(&exactly(&[0.0, 1.0, 2.0, -1.0, 0.0, 3.0, -2.0, -3.0, 0.0], [3, 3]), &(eye(3, DType::F64) * 2.0));
    let all: [Loss; 3] =
        [|x| x.cholesky(false).abs().sum(..), |x| x.eigh().1.real().sum(..), |x| x.eigvalsh().square().sum(..)];
    for f in all {
        near(&f(&(&x + &skew)), &f(&x), 1e-13);
        let g = grad(f)(&x);
        near(&g, &adjoint(&g), 1e-15);
    }
    let l = x.cholesky(false);
    near(&l.matmul(&adjoint(&l)), &((&x + adjoint(&x)) * 0.5), 1e-14);
    let u = x.cholesky(true);
    near(&adjoint(&u).matmul(&u), &((&x + adjoint(&x)) * 0.5), 1e-14);
}

#[test]
fn complex_matrices_that_cannot_be_done_with_are_named() {
    let error = |y: Tensor| y.try_value().map(drop).expect_err("it is refused");
    let singular =
        Tensor::from([[c128::new(0.0, 1.0), c128::new(1.0, 0.0)], [c128::new(-1.0, 0.0), c128::new(0.0, 1.0)]]);
    assert_eq!(error(singular.inv()).kind(), ErrorKind::LinearAlgebra(MatrixFault::Singular(1)));
    assert_eq!(numbers(&singular.det()), [c128::new(0.0, 0.0)]);
    let odd = Tensor::from([[c64::new(f32::NAN, 0.0)]]);
    for y in [odd.eig().0, odd.eigvals(), odd.svdvals(), odd.eigvalsh(), odd.pinv(None)] {
        assert_eq!(error(y).kind(), ErrorKind::LinearAlgebra(MatrixFault::NotFinite));
    }
    let e = error(exactly(&[1.0, f64::INFINITY, 0.0, 1.0], [2, 2]).eigvals());
    assert_eq!((e.op(), e.kind()), (Some("eigvals"), ErrorKind::LinearAlgebra(MatrixFault::NotFinite)));
    assert_eq!(
        error((eye(2, DType::C128) * -1.0).cholesky(false)).kind(),
        ErrorKind::LinearAlgebra(MatrixFault::NotPositiveDefinite(0))
    );
    assert!(real([2, 3]).try_eig().is_err() && real([3]).try_eigvals().is_err());
}

#[test]
fn eigenvalues_that_repeat_have_derivatives_where_no_choice_matters() {
    let x = eye(3, DType::F64) * 2.0;
    near(&grad(|x: &Tensor| x.eigvals().sum(..).real())(&x), &eye(3, DType::F64), 1e-14);
    near(&grad(|x: &Tensor| x.eig().0.square().sum(..).real())(&x), &(eye(3, DType::F64) * 4.0), 1e-14);
    // A defective matrix has its values; its gradient is refused, as the vectors are dependent.
    let defective = exactly(&[1.0, 1.0, 0.0, 1.0], [2, 2]);
    assert_eq!(numbers(&defective.eigvals()), [c128::new(1.0, 0.0); 2]);
    let (_, pullback) = vjp(|x: &Tensor| x.eigvals(), &defective);
    let back = pullback.call(&Tensor::from([c128::new(1.0, 0.0), c128::new(0.0, 0.0)]));
    let outcome = back.try_value().map(|_| numbers(&back));
    assert!(outcome.is_err() || outcome.is_ok_and(|g| g.iter().any(|g| !g.is_finite() || g.norm() > 1e10)));
}

#[test]
fn solutions_with_adjoint_factors() {
    let (x, b) = (complex_regular([3, 3]), sample::complex2([3, 2]));
    let a = (&x + adjoint(&x)) * 0.5;
    for upper in [false, true] {
        near(&a.matmul(&a.cholesky(upper).cholesky_solve(&b, upper)), &b, 1e-14);
    }
    // A transposed triangle is not conjugated.
    let y = x.triangular_solve(&b, false, true, false);
    near(&x.tril(0).matrix_transpose().matmul(&y), &b, 1e-14);
}
