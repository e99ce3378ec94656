//! Linear algebra where it is hard: dependent columns, repeated values, choices that nothing determines, data that is refused.

use covector::ops::concat::stack;
use covector::ops::create::eye;
use covector::registry::sample::{between, distinct, exactly, real, regular};
use covector::{DType, ErrorKind, Tensor, grad, jvp, kernels::MatrixFault, vjp, vmap};
use covector_check::{check_adjoint, check_first_order, check_second_order};

fn numbers(x: &Tensor) -> Vec<f64> {
    x.value().to_f64_vec()
}

#[track_caller]
fn near(got: &Tensor, wanted: &Tensor, tolerance: f64) {
    assert_eq!(got.spec(), wanted.spec());
    for (i, (g, w)) in numbers(got).iter().zip(numbers(wanted)).enumerate() {
        assert!((g - w).abs() <= tolerance * w.abs().max(1.0), "element {i}: {g:e} instead of {w:e}");
    }
}

/// The entries `1 / (i + j + 1)`: condition about e^3.5n.
fn hilbert(n: usize) -> Tensor {
    let values: Vec<f64> = (0..n * n).map(|at| 1.0 / (at / n + at % n + 1) as f64).collect();
    exactly(&values, [n, n])
}

fn one(f: impl Fn(&Tensor) -> Tensor) -> impl Fn(&Vec<Tensor>) -> Vec<Tensor> {
    move |x| vec![f(&x[0])]
}

#[test]
fn refused_data_has_a_kind_and_a_place() {
    let singular = exactly(&[1.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 4.0], [2, 2, 2]);
    let error = |y: Tensor| y.try_value().map(drop).expect_err("it is refused");
    let kind = ErrorKind::LinearAlgebra(MatrixFault::Singular(1));
    for y in [
        singular.inv(),
        singular.solve(&real([2])),
        singular.matrix_power(-1),
        grad(|x: &Tensor| x.slogdet().1.sum(..))(&singular),
    ] {
        let e = error(y);
        assert_eq!(e.kind(), kind);
        assert!(e.message().contains("matrix [1] of the batch is singular"), "{e}");
    }
    assert_eq!(error(singular.inv()).op(), Some("inv"));
    assert_eq!(error(vmap(|x: &Tensor| x.inv())(&singular)).kind(), kind);
    let e = error(exactly(&[1.0, 2.0, 2.0, 1.0], [2, 2]).cholesky(false));
    assert_eq!(e.kind(), ErrorKind::LinearAlgebra(MatrixFault::NotPositiveDefinite(1)));
    assert!(e.message().starts_with("the matrix is not positive definite"), "{e}");
    for odd in [f64::NAN, f64::INFINITY] {
        let x = exactly(&[1.0, odd, odd, 1.0], [2, 2]);
        let all = [
            x.eigh().0,
            x.eigvalsh(),
            x.svd(true).0,
            x.svdvals(),
            x.pinv(None),
            x.matrix_rank(None),
            x.expm(),
            x.cond(2.0),
        ];
        for y in all {
            assert_eq!(error(y).kind(), ErrorKind::LinearAlgebra(MatrixFault::NotFinite));
        }
    }
    let refused = real([2, 3]).try_inv().map(drop).expect_err("it is not square");
    assert_eq!(refused.kind(), ErrorKind::General);
}

#[test]
fn integers_are_computed_in_f32_and_halves_come_back_as_halves() {
    let x = Tensor::from([[2, 0], [0, 4]]);
    assert_eq!(
        (x.inv().dtype(), x.cholesky(false).dtype(), x.svd(false).1.dtype()),
        (DType::F32, DType::F32, DType::F32)
    );
    let half = x.cast(DType::BF16);
    assert_eq!((half.det().dtype(), half.det().cast(DType::F32).item::<f32>()), (DType::BF16, 8.0));
    assert_eq!(half.solve(&Tensor::from([1.0f32, 1.0])).dtype(), DType::F32);
}

#[test]
fn values_that_repeat_have_derivatives_where_no_choice_matters() {
    let x = eye(3, DType::F64) * 2.0;
    near(&grad(|x: &Tensor| x.eigvalsh().sum(..))(&x), &eye(3, DType::F64), 1e-14);
    near(&grad(|x: &Tensor| x.eigh().0.square().sum(..))(&x), &(eye(3, DType::F64) * 4.0), 1e-14);
    near(&grad(|x: &Tensor| x.matrix_norm("nuc", false))(&x), &eye(3, DType::F64), 1e-14);
    near(&grad(|x: &Tensor| x.svd(false).1.sum(..))(&x), &eye(3, DType::F64), 1e-14);
    // The pseudoinverse and determinant of it do not depend on vectors at all.
    near(&grad(|x: &Tensor| x.pinv(None).sum(..))(&x), &(eye(3, DType::F64) * 0.0 - 0.25), 1e-14);
    near(&grad(Tensor::det)(&x), &(eye(3, DType::F64) * 4.0), 1e-13);
    let chosen = grad(|x: &Tensor| (x.eigh().1 * between(-1.0, 1.0, [3, 3])).sum(..))(&x);
    assert!(numbers(&chosen).iter().any(|g| !g.is_finite()), "{chosen}");
}

#[test]
fn what_fills_up_full_factors_is_differentiated_where_it_is_determined() {
    // The projection on what two columns leave of four axes does not depend on the basis that was chosen for it.
    let weights = real([4, 4]);
    let left = |n: Tensor| (n.matmul(&n.matrix_transpose()) * &weights).sum(..);
    let of_qr = one(|x| left(x.qr("complete").0.i(covector::s![.., 2..])));
    let of_u = one(|x| left(x.svd(true).0.i(covector::s![.., 2..])));
    let of_v = one(|x| left(x.matrix_transpose().svd(true).2.i(covector::s![2.., ..]).matrix_transpose()));
    for f in [&of_qr as &dyn Fn(&Vec<Tensor>) -> Vec<Tensor>, &of_u, &of_v] {
        let x = [distinct([4, 2])];
        check_first_order(f, &x).unwrap();
        check_second_order(f, &x).unwrap();
    }
}

#[test]
fn derivatives_of_ill_conditioned_systems_solve_their_own() {
    for n in [4, 8] {
        let (a, b, da) = (hilbert(n), real([n, 2]), between(-1e-3, 1e-3, [n, n]));
        let (x, dx) = jvp(|a: &Tensor| a.solve(&b), &a, &da);
        // A dx = -dA x, up to rounding in A dx.
        let left = (a.matmul(&dx) + da.matmul(&x)).abs().max(..).item::<f64>();
        let size = dx.abs().max(..).item::<f64>();
        assert!(left <= 1e-13 * size, "{left:e} of {size:e}");
        check_adjoint(&one(|a| a.solve(&b)), std::slice::from_ref(&a)).unwrap();
        // log det: its gradient is the inverse, whose product with the matrix is 1 up to the condition number.
        let inverse = grad(|a: &Tensor| a.slogdet().1)(&a);
        near(&a.matmul(&inverse), &eye(n, DType::F64), if n == 4 { 1e-11 } else { 1e-5 });
    }
}

#[test]
fn singular_matrices_have_cofactors_ranks_and_pseudoinverses() {
    let x = exactly(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], [3, 3]);
    let minors = exactly(&[-3.0, 6.0, -3.0, 6.0, -12.0, 6.0, -3.0, 6.0, -3.0], [3, 3]);
    near(&grad(Tensor::det)(&x), &minors, 1e-12);
    assert_eq!((x.matrix_rank(None).item::<i64>(), x.matrix_rank(Some(0.1.into())).item::<i64>()), (2, 1));
    let (two, each) = (stack(&[x.clone(), x.clone()], 0), Tensor::from([1e-10f64, 0.1]));
    assert_eq!(two.matrix_rank(Some(each.clone().into())).to_vec::<i64>(), [2, 1]);
    let y = two.pinv(Some(each.into()));
    assert_eq!(y.i(covector::s![0]).to_vec::<f64>(), x.pinv(Some(1e-10.into())).to_vec::<f64>());
    assert_eq!(y.i(covector::s![1]).to_vec::<f64>(), x.pinv(Some(0.1.into())).to_vec::<f64>());
    let y = x.pinv(None);
    near(&x.matmul(&y).matmul(&x), &x, 1e-13);
    near(&y.matmul(&x).matmul(&y), &y, 1e-13);
    // Along matrices of the same rank the derivative is that of differences.
    let (u, v) = (real([4, 2]), distinct([2, 3]));
    let low = |u: &Tensor| u.matmul(&v).pinv(Some(1e-10.into()));
    check_first_order(&one(low), std::slice::from_ref(&u)).unwrap();
    check_adjoint(&one(low), &[u]).unwrap();
    // The smallest of all solutions, and what is left of a right side that has none.
    let a = exactly(&[1.0, 1.0, 1.0, 1.0], [2, 2]);
    let (x, left, rank, s) = a.lstsq(&exactly(&[1.0, 3.0], [2]), None);
    near(&x, &exactly(&[1.0, 1.0], [2]), 1e-14);
    near(&left, &exactly(&[2.0], ()), 1e-14);
    near(&s, &exactly(&[2.0, 0.0], [2]), 1e-15);
    assert_eq!(rank.item::<i64>(), 1);
    let (sign, log) = a.slogdet();
    assert_eq!((a.det().item::<f64>(), sign.item::<f64>(), log.item::<f64>()), (0.0, 0.0, f64::NEG_INFINITY));
    assert!(exactly(&[1.0, 0.0, 0.0, 0.0], [2, 2]).cond(2.0).item::<f64>().is_infinite());
}

#[test]
fn gradients_of_functions_of_symmetric_matrices_are_symmetric() {
    let x = regular([4, 4]);
    let all: [fn(&Tensor) -> Tensor; 3] =
        [|x| x.cholesky(false).sum(..), |x| x.eigh().1.sum(..), |x| x.eigvalsh().square().sum(..)];
    for f in all {
        let g = grad(f)(&x);
        assert_eq!(numbers(&g), numbers(&g.matrix_transpose()));
        // Only the symmetric half is read.
        let skew: Vec<f64> = (0..16).map(|at| (at / 4) as f64 - (at % 4) as f64).collect();
        let tilted = &x + exactly(&skew, [4, 4]);
        near(&f(&tilted), &f(&x), 1e-13);
    }
}

#[test]
fn large_matrices_keep_the_adjoint_identity() {
    let n = 70;
    let x = [distinct([n, n]) * (1.0 / n as f64)];
    let spread: Vec<f64> = (0..n * n).map(|at| if at / n == at % n { (at % n) as f64 } else { 0.0 }).collect();
    let x = [&x[0] + exactly(&spread, [n, n])];
    type Factors = fn(&Vec<Tensor>) -> Vec<Tensor>;
    let factors: [Factors; 6] = [
        |x| vec![(&x[0] + 5.0 * eye(70, DType::F64)).cholesky(true)],
        |x| [x[0].qr("reduced").0, x[0].qr("reduced").1].to_vec(),
        |x| [x[0].lu().1, x[0].lu().2].to_vec(),
        |x| [x[0].eigh().0, x[0].eigh().1].to_vec(),
        |x| [x[0].svd(false).0, x[0].svd(false).2].to_vec(),
        |x| vec![x[0].slogdet().1],
    ];
    for f in factors {
        check_adjoint(&f, &x).unwrap();
    }
}

#[test]
fn compositions_differentiate_as_the_formulas_say() {
    // The density of a normal distribution by its covariance: ½ (S⁻¹ - S⁻¹ r rᵀ S⁻¹).
    let (s, r) = (regular([3, 3]), real([3]));
    let s = s.matmul(&s.matrix_transpose());
    let density = |s: &Tensor| {
        let l = s.cholesky(false);
        let z = l.triangular_solve(&r, false, false, false);
        l.diagonal(0).log().sum(..) + z.square().sum(..) * 0.5
    };
    let inverse = s.inv();
    let moved = inverse.matmul(&r);
    near(&grad(density)(&s), &((&inverse - moved.outer(&moved)) * 0.5), 1e-12);
    let (_, pullback) = vjp(|x: &Tensor| x.expm(), &(eye(2, DType::F64) * 0.5));
    near(&pullback.call(&eye(2, DType::F64)), &(eye(2, DType::F64) * 0.5f64.exp()), 1e-14);
}
