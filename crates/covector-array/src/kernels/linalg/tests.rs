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

mod complex {
    use super::*;
    use crate::c128;

    fn c(re: f64, im: f64) -> c128 {
        c128::new(re, im)
    }

    /// Numbers in (-1, 1) by a linear congruential generator: unlike `numbers`, rows of them are no shifts of each other.
    fn mixed(count: usize, salt: u64) -> Vec<f64> {
        let mut state = salt;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        (0..count + 8).map(|_| next()).skip(8).collect()
    }

    fn complexes(count: usize, salt: u64) -> Vec<c128> {
        mixed(count, salt).into_iter().zip(mixed(count, salt + 100)).map(|(re, im)| c(re, im)).collect()
    }

    fn matrix(values: &[c128], rows: usize, columns: usize) -> Array {
        Array::from_slice(values, [rows, columns])
    }

    fn run(op: MatrixOp, inputs: &[Array], shape: &[usize]) -> Vec<c128> {
        matrices(op, inputs, &Shape::from(shape)).unwrap().to_c128_vec()
    }

    fn product(a: &[c128], b: &[c128], [m, k, n]: [usize; 3]) -> Vec<c128> {
        (0..m * n).map(|at| (0..k).map(|l| a[at / n * k + l] * b[l * n + at % n]).sum()).collect()
    }

    fn adjoint(a: &[c128], rows: usize, columns: usize) -> Vec<c128> {
        (0..rows * columns).map(|at| a[at % rows * columns + at / rows].conj()).collect()
    }

    fn unit(n: usize) -> Vec<c128> {
        identity(n).into_iter().map(|x| c(x, 0.0)).collect()
    }

    /// Each column times a number.
    fn scaled(a: &[c128], by: &[c128]) -> Vec<c128> {
        a.iter().enumerate().map(|(at, a)| a * by[at % by.len()]).collect()
    }

    #[track_caller]
    fn near(a: &[c128], b: &[c128], tolerance: f64) {
        assert_eq!(a.len(), b.len());
        for (i, (x, y)) in a.iter().zip(b).enumerate() {
            assert!((x - y).norm() <= tolerance, "element {i}: {x} and {y}");
        }
    }

    /// Of every column the first of the largest elements is real and positive.
    #[track_caller]
    fn is_settled(v: &[c128], columns: usize) {
        for j in 0..columns {
            let column = || v.iter().skip(j).step_by(columns);
            let most = column().map(|z| z.norm()).fold(0.0, f64::max);
            let first = column().find(|z| z.norm() >= 0.99 * most).unwrap();
            assert!(first.im == 0.0 && first.re > 0.0, "{first}");
        }
    }

    #[test]
    fn factors_multiply_to_the_matrix() {
        for n in [1, 2, 3, 8, 17, 65] {
            let m = n + n / 2;
            let a = complexes(m * n, 1);
            let x = [matrix(&a, m, n)];
            let packed = run(MatrixOp::Qr, &x, &[m * n + n * n]);
            let (q, r) = packed.split_at(m * n);
            near(&product(q, r, [m, n, n]), &a, 1e-12);
            near(&product(&adjoint(q, m, n), q, [n, m, n]), &unit(n), 1e-13);
            assert!((0..n).all(|i| r[i * n + i].re > 0.0 && r[i * n + i].im == 0.0));
            assert!((0..n).all(|i| (0..i).all(|j| r[i * n + j] == c(0.0, 0.0))));

            let packed = run(MatrixOp::Svd, &x, &[m * n + n + n * n]);
            let (u, rest) = packed.split_at(m * n);
            let (s, vh) = rest.split_at(n);
            near(&product(&scaled(u, s), vh, [m, n, n]), &a, 1e-12);
            near(&product(&adjoint(vh, n, n), vh, [n, n, n]), &unit(n), 1e-12);
            assert!(s.windows(2).all(|w| w[0].re >= w[1].re) && s.iter().all(|s| s.im == 0.0));
            near(&run(MatrixOp::Svdvals, &x, &[n]), s, 1e-12);
            is_settled(u, n);

            let complement = run(MatrixOp::Complement, &[matrix(q, m, n)], &[m, m - n]);
            near(&product(&adjoint(q, m, n), &complement, [n, m, m - n]), &vec![c(0.0, 0.0); n * (m - n)], 1e-13);

            let packed = run(MatrixOp::Lu, &x, &[m, n + 1]);
            let at = |i: usize, j: usize| packed[i * (n + 1) + j];
            let pick = |k: usize, lower: bool| match (k % n).cmp(&(k / n)) {
                std::cmp::Ordering::Less if lower => at(k / n, k % n),
                std::cmp::Ordering::Equal if lower => c(1.0, 0.0),
                std::cmp::Ordering::Equal | std::cmp::Ordering::Greater if !lower => at(k / n, k % n),
                _ => c(0.0, 0.0),
            };
            let l: Vec<c128> = (0..m * n).map(|k| pick(k, true)).collect();
            let u: Vec<c128> = (0..n * n).map(|k| pick(k, false)).collect();
            let rows: Vec<c128> = (0..m).flat_map(|i| a[at(i, n).re as usize * n..][..n].to_vec()).collect();
            near(&product(&l, &u, [m, n, n]), &rows, 1e-12);

            let square = product(&adjoint(&a, m, n), &a, [n, m, n]);
            let packed = run(MatrixOp::Eigh, &[matrix(&square, n, n)], &[n + n * n]);
            let (w, v) = packed.split_at(n);
            near(&product(&scaled(v, w), &adjoint(v, n, n), [n, n, n]), &square, 1e-11);
            is_settled(v, n);
            assert!(w.windows(2).all(|w| w[0].re <= w[1].re) && w.iter().all(|w| w.im == 0.0));
            near(&run(MatrixOp::Eigvalsh, &[matrix(&square, n, n)], &[n]), w, 1e-11);

            let regular: Vec<c128> = square.iter().zip(unit(n)).map(|(x, i)| x + i).collect();
            let l = run(MatrixOp::Cholesky, &[matrix(&regular, n, n)], &[n, n]);
            near(&product(&l, &adjoint(&l, n, n), [n, n, n]), &regular, 1e-11);
            let b = complexes(n * 3, 4);
            let x = run(MatrixOp::Solve, &[matrix(&regular, n, n), matrix(&b, n, 3)], &[n, 3]);
            near(&product(&regular, &x, [n, n, 3]), &b, 1e-11);
            let inverse = run(MatrixOp::Pinv, &[matrix(&regular, n, n), matrix(&[c(0.0, 0.0)], 1, 1)], &[n, n]);
            near(&product(&regular, &inverse, [n, n, n]), &unit(n), 1e-11);
        }
    }

    #[test]
    fn determinants_and_their_cofactors() {
        // (1 + i) (2 - i) - i * 3 = 3 - 2i, and the minors with their signs.
        let a = [c(1.0, 1.0), c(0.0, 1.0), c(3.0, 0.0), c(2.0, -1.0)];
        let x = [matrix(&a, 2, 2)];
        near(&run(MatrixOp::Det, &x, &[]), &[c(3.0, -2.0)], 1e-15);
        near(&run(MatrixOp::Cofactor, &x, &[2, 2]), &[a[3], -a[2], -a[1], a[0]], 1e-14);
        let size = 13f64.sqrt();
        near(&run(MatrixOp::SlogDet, &x, &[2]), &[c(3.0 / size, -2.0 / size), c(size.ln(), 0.0)], 1e-15);
        let turn = run(MatrixOp::Expm, &[matrix(&[c(0.0, 2.0)], 1, 1)], &[1, 1]);
        near(&turn, &[c(2f64.cos(), 2f64.sin())], 1e-15);
    }

    #[test]
    fn eigenvectors_of_any_matrix_are_multiplied_by_it() {
        for n in [1, 2, 3, 8, 17, 65, 150] {
            let real: Vec<c128> = mixed(n * n, 3).into_iter().map(|x| c(x, 0.0)).collect();
            for (a, is_real) in [(complexes(n * n, 1), false), (real, true)] {
                let packed = run(MatrixOp::Eig, &[matrix(&a, n, n)], &[n + n * n]);
                let (w, v) = packed.split_at(n);
                near(&product(&a, v, [n, n, n]), &scaled(v, w), 1e-11);
                is_settled(v, n);
                for j in 0..n {
                    let length: f64 = v.iter().skip(j).step_by(n).map(|z| z.norm_sqr()).sum();
                    assert!((length - 1.0).abs() < 1e-14);
                }
                assert!(w.windows(2).all(|w| w[0].re <= w[1].re + 1e-8 && (w[0].re < w[1].re || w[0].im <= w[1].im)));
                near(&run(MatrixOp::Eigvals, &[matrix(&a, n, n)], &[n]), w, 1e-11);
                if is_real {
                    // In exact pairs, the one with the negative part first.
                    let pairs: Vec<&c128> = w.iter().filter(|w| w.im != 0.0).collect();
                    assert!(pairs.chunks(2).all(|p| *p[0] == p[1].conj() && p[0].im < 0.0), "{pairs:?}");
                }
            }
        }
    }

    #[test]
    fn equal_real_parts_do_not_leave_the_order_to_rounding() {
        // i times a Hermitian matrix: the real parts are 0 but for rounding.
        let n = 12;
        let a = complexes(n * n, 2);
        let hermitian: Vec<c128> = a.iter().zip(adjoint(&a, n, n)).map(|(x, y)| (x + y) * c(0.0, 0.5)).collect();
        let w = run(MatrixOp::Eigvals, &[matrix(&hermitian, n, n)], &[n]);
        assert!(w.windows(2).all(|w| w[0].im < w[1].im), "{w:?}");
        near(&run(MatrixOp::Eig, &[matrix(&hermitian, n, n)], &[n + n * n])[..n], &w, 1e-13);
    }

    #[test]
    fn badly_scaled_matrices_keep_their_small_eigenvalues() {
        // D⁻¹ B D has the eigenvalues of B; without balancing the corners of size 1e12 leave nothing of them.
        let b = [2.0, 1.0, 1.0, 1.0, 3.0, 1.0, 1.0, 1.0, 4.0];
        let d = [1.0, 1e6, 1e12];
        let a: Vec<c128> = (0..9).map(|at| c(b[at] * d[at % 3] / d[at / 3], 0.0)).collect();
        let plain: Vec<c128> = b.iter().map(|&x| c(x, 0.0)).collect();
        let wanted = run(MatrixOp::Eigvals, &[matrix(&plain, 3, 3)], &[3]);
        near(&run(MatrixOp::Eigvals, &[matrix(&a, 3, 3)], &[3]), &wanted, 1e-12);
        let packed = run(MatrixOp::Eig, &[matrix(&a, 3, 3)], &[12]);
        let (w, v) = packed.split_at(3);
        near(w, &wanted, 1e-12);
        let (left, right) = (product(&a, v, [3, 3, 3]), scaled(v, w));
        assert!(
            left.iter().zip(&right).all(|(l, r)| (l - r).norm() <= 1e-10 * (l.norm() + 1e-12)),
            "{left:?} {right:?}"
        );
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        for odd in [c(f64::NAN, 0.0), c(0.0, f64::INFINITY)] {
            for (op, len) in [(MatrixOp::Eig, 6), (MatrixOp::Eigvals, 2), (MatrixOp::Eigh, 6), (MatrixOp::Svd, 10)] {
                let x = matrix(&[c(1.0, 0.0), odd, odd, c(1.0, 0.0)], 2, 2);
                let e = matrices(op, &[x], &Shape::from(&[len][..])).unwrap_err();
                assert_eq!(e.fault, MatrixFault::NotFinite);
            }
        }
        // Without a basis of eigenvectors: the values are right, the vectors the same twice.
        let defective = matrix(&[c(1.0, 0.0), c(1.0, 0.0), c(0.0, 0.0), c(1.0, 0.0)], 2, 2);
        let packed = run(MatrixOp::Eig, &[defective], &[6]);
        near(&packed, &[1.0, 1.0, 1.0, 1.0, 0.0, 0.0].map(|x| c(x, 0.0)), 1e-15);
        for (op, len) in [(MatrixOp::Eig, 0), (MatrixOp::Eigvals, 0)] {
            assert!(run(op, &[matrix(&[], 0, 0)], &[len]).is_empty());
        }
    }
}
