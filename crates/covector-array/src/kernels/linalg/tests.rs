use super::*;

/// Numbers in (-1, 1) that no structure relates.
fn numbers(count: usize, salt: f64) -> Vec<f64> {
    (0..count).map(|i| 2.0 * ((i as f64 + 1.0) * 0.754877666246 + salt).fract() - 1.0).collect()
}

fn array(values: &[f64], shape: &[usize], dtype: DType) -> Array {
    crate::kernels::cast(&Array::from_slice(values, shape), dtype)
}

fn product(a: &[f64], b: &[f64], [m, k, n]: [usize; 3]) -> Vec<f64> {
    (0..m * n).map(|at| (0..k).map(|l| a[at / n * k + l] * b[l * n + at % n]).sum()).collect()
}

fn transposed(a: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    (0..rows * columns).map(|at| a[at % rows * columns + at / rows]).collect()
}

fn run(op: MatrixOp, inputs: &[Array], shape: &[usize]) -> Vec<f64> {
    matrices(op, inputs, &Shape::from(shape)).unwrap().to_f64_vec()
}

#[track_caller]
fn near(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert!((x - y).abs() <= tolerance, "element {i}: {x} and {y}");
    }
}

fn identity(n: usize) -> Vec<f64> {
    (0..n * n).map(|at| f64::from(u8::from(at / n == at % n))).collect()
}

/// Sizes around those at which algorithms change.
const SIZES: [usize; 7] = [1, 2, 3, 8, 17, 65, 150];

#[test]
fn factors_multiply_to_the_matrix() {
    for (dtype, tolerance) in [(DType::F64, 1e-11), (DType::F32, 2e-3)] {
        for n in SIZES {
            let m = n + n / 2;
            let a = numbers(m * n, 0.1);
            let x = array(&a, &[m, n], dtype);
            let packed = run(MatrixOp::Qr, std::slice::from_ref(&x), &[m * n + n * n]);
            let (q, r) = packed.split_at(m * n);
            near(&product(q, r, [m, n, n]), &a, tolerance);
            near(&product(&transposed(q, m, n), q, [n, m, n]), &identity(n), tolerance);
            assert!((0..n).all(|i| r[i * n + i] >= 0.0 && (0..i).all(|j| r[i * n + j] == 0.0)));

            let packed = run(MatrixOp::Svd, std::slice::from_ref(&x), &[m * n + n + n * n]);
            let (u, rest) = packed.split_at(m * n);
            let (s, vh) = rest.split_at(n);
            let us: Vec<f64> = u.iter().enumerate().map(|(at, u)| u * s[at % n]).collect();
            near(&product(&us, vh, [m, n, n]), &a, tolerance);
            assert!(s.windows(2).all(|w| w[0] >= w[1]));
            near(&run(MatrixOp::Svdvals, std::slice::from_ref(&x), &[n]), s, tolerance);

            let packed = run(MatrixOp::Lu, std::slice::from_ref(&x), &[m, n + 1]);
            let at = |i: usize, j: usize| packed[i * (n + 1) + j];
            let l: Vec<f64> = (0..m * n)
                .map(|k| if k % n < k / n { at(k / n, k % n) } else { f64::from(u8::from(k % n == k / n)) })
                .collect();
            let u: Vec<f64> = (0..n * n).map(|k| if k % n >= k / n { at(k / n, k % n) } else { 0.0 }).collect();
            let rows: Vec<f64> = (0..m).flat_map(|i| a[at(i, n) as usize * n..][..n].to_vec()).collect();
            near(&product(&l, &u, [m, n, n]), &rows, tolerance);

            let complement = run(MatrixOp::Complement, &[array(q, &[m, n], dtype)], &[m, m - n]);
            near(&product(&transposed(q, m, n), &complement, [n, m, m - n]), &vec![0.0; n * (m - n)], tolerance);

            let square = product(&transposed(&a, m, n), &a, [n, m, n]);
            let s = array(&square, &[n, n], dtype);
            let packed = run(MatrixOp::Eigh, std::slice::from_ref(&s), &[n + n * n]);
            let (w, v) = packed.split_at(n);
            let vw: Vec<f64> = v.iter().enumerate().map(|(at, v)| v * w[at % n]).collect();
            near(&product(&vw, &transposed(v, n, n), [n, n, n]), &square, 10.0 * tolerance);
            near(&run(MatrixOp::Eigvalsh, std::slice::from_ref(&s), &[n]), w, 10.0 * tolerance);

            let regular: Vec<f64> = square.iter().zip(identity(n)).map(|(x, i)| x + i).collect();
            let s = array(&regular, &[n, n], dtype);
            let l = run(MatrixOp::Cholesky, std::slice::from_ref(&s), &[n, n]);
            near(&product(&l, &transposed(&l, n, n), [n, n, n]), &regular, 10.0 * tolerance);
            let b = numbers(n * 3, 0.4);
            let x = run(MatrixOp::Solve, &[s, array(&b, &[n, 3], dtype)], &[n, 3]);
            near(&product(&regular, &x, [n, n, 3]), &b, tolerance);
        }
    }
}

#[test]
fn dependent_columns_still_give_an_orthonormal_q() {
    let columns = [1.0, 2.0, 0.0, 3.0, 2.0, 4.0, 0.0, 5.0, 3.0, 6.0, 0.0, 1.0, 4.0, 8.0, 0.0, 2.0, 5.0, 10.0, 0.0, 2.5];
    for a in [columns.to_vec(), vec![0.0; 20], vec![1.0; 20]] {
        let packed = run(MatrixOp::Qr, &[array(&a, &[5, 4], DType::F64)], &[36]);
        let (q, r) = packed.split_at(20);
        near(&product(q, r, [5, 4, 4]), &a, 1e-13);
        near(&product(&transposed(q, 5, 4), q, [4, 5, 4]), &identity(4), 1e-13);
    }
}

#[test]
fn what_cannot_be_done_names_the_matrix() {
    let fault = |op, values: &[f64], shape: &[usize], out: &[usize]| {
        matrices(
            op,
            &[array(values, shape, DType::F64), array(&[1.0, 1.0, 1.0, 1.0], &[2, 2, 1], DType::F64)],
            &Shape::from(out),
        )
        .unwrap_err()
    };
    let two = [1.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 4.0];
    let e = fault(MatrixOp::Solve, &two, &[2, 2, 2], &[2, 2, 1]);
    assert_eq!((e.place, e.fault), (vec![1], MatrixFault::Singular(1)));
    let e = fault(MatrixOp::Cholesky, &[1.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 1.0], &[2, 2, 2], &[2, 2, 2]);
    assert_eq!((e.place, e.fault), (vec![0], MatrixFault::NotPositiveDefinite(1)));
    for odd in [f64::NAN, f64::INFINITY] {
        for op in [MatrixOp::Eigh, MatrixOp::Svd] {
            let len = if op == MatrixOp::Eigh { 6 } else { 10 };
            let e = fault(op, &[1.0, odd, odd, 1.0], &[2, 2], &[len]);
            assert_eq!((e.place, e.fault), (vec![], MatrixFault::NotFinite));
        }
        let e = fault(MatrixOp::Cholesky, &[odd, 0.0, 0.0, 1.0], &[2, 2], &[2, 2]);
        assert!(matches!(e.fault, MatrixFault::NotPositiveDefinite(_)));
        // No decomposition hangs on what is not finite; the numbers are not either.
        let packed = run(MatrixOp::Qr, &[array(&[odd; 9], &[3, 3], DType::F64)], &[18]);
        assert!(packed.iter().any(|x| !x.is_finite()));
        run(MatrixOp::Lu, &[array(&[odd; 9], &[3, 3], DType::F64)], &[3, 4]);
    }
}

#[test]
fn cofactors_of_singular_matrices_are_minors() {
    // The minors of a matrix of rank 2, and of one of rank 1.
    let a = array(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &[3, 3], DType::F64);
    near(&run(MatrixOp::Cofactor, &[a], &[3, 3]), &[-3.0, 6.0, -3.0, 6.0, -12.0, 6.0, -3.0, 6.0, -3.0], 1e-12);
    let a = array(&[1.0; 9], &[3, 3], DType::F64);
    near(&run(MatrixOp::Cofactor, &[a], &[3, 3]), &[0.0; 9], 1e-12);
}

#[test]
fn exponentials_add_up() {
    // exp([[0, -t], [t, 0]]) turns by t; exp of a nilpotent matrix is its series.
    for t in [0.1, 1.0, 10.0, 100.0] {
        let y = run(MatrixOp::Expm, &[array(&[0.0, -t, t, 0.0], &[2, 2], DType::F64)], &[2, 2]);
        near(&y, &[t.cos(), -t.sin(), t.sin(), t.cos()], 1e-13 * t.max(1.0));
    }
    let y = run(MatrixOp::Expm, &[array(&[0.0, 1.0, 2.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0], &[3, 3], DType::F64)], &[3, 3]);
    near(&y, &[1.0, 1.0, 3.5, 0.0, 1.0, 3.0, 0.0, 0.0, 1.0], 1e-14);
}

#[test]
fn batches_give_the_bits_of_single_matrices_for_any_number_of_threads() {
    let n = 40;
    let a = numbers(6 * n * n, 0.2);
    let x = array(&a, &[6, n, n], DType::F64);
    let whole = crate::threads::enter(|| run(MatrixOp::Svd, &[x], &[6, 2 * n * n + n]));
    for (i, part) in a.chunks_exact(n * n).enumerate() {
        let one = run(MatrixOp::Svd, &[array(part, &[n, n], DType::F64)], &[2 * n * n + n]);
        assert_eq!(&whole[i * (2 * n * n + n)..][..2 * n * n + n], &one[..]);
    }
}
