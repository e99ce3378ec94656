//! Functions of matrices that are made of factorisations.

use faer::linalg::solvers::PartialPivLu;
use faer::prelude::Solve;
use faer::{Mat, MatRef};
use num_complex::Complex;

use crate::factor::thin;
use crate::level::Level;
use crate::{MatrixFault, Number, View, adjoint, direction, finite, write};

/// The derivative of the determinant by each element: `det(a) a⁻ᵀ`, from the singular values, so that it needs no inverse.
///
/// With `a = U S Vᴴ` it is the conjugate of `conj(det U) det(V) U C Vᴴ`, where `C` holds for each singular value the product
/// of the others.
pub(crate) fn cofactor<T: Number>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let n = a.nrows();
    let level = Level::of(a)?;
    let svd = thin(&level)?;
    let s: Vec<f64> = (0..n).map(|i| level.back(svd.S()[i].complex()).re).collect();
    let mut others = vec![1.0; n];
    let (mut before, mut after) = (1.0, 1.0);
    for i in 0..n {
        others[i] *= before;
        others[n - 1 - i] *= after;
        before *= s[i];
        after *= s[n - 1 - i];
    }
    let turn = orientation(svd.U()).conj() * orientation(svd.V());
    let u = Mat::from_fn(n, n, |i, j| svd.U()[(i, j)] * T::of(turn * others[j]));
    write((u * adjoint(svd.V())).as_ref(), out);
    out.iter_mut().for_each(|o| *o = o.conjugate());
    Ok(())
}

/// The determinant of an orthogonal (unitary) matrix, of size 1.
fn orientation<T: Number>(q: MatRef<T>) -> Complex<f64> {
    let mut number = [T::default()];
    crate::solve::det(q, &mut number).map_or(Complex::new(1.0, 0.0), |()| direction(number[0].complex()))
}

/// The pseudoinverse; singular values of at most `part` of the largest count as 0, and so do those that are 0.
pub(crate) fn pinv<T: Number>(a: View<T>, part: f64, out: &mut [T]) -> Result<(), MatrixFault> {
    let level = Level::of(a)?;
    let svd = thin(&level)?;
    let k = a.nrows().min(a.ncols());
    let s: Vec<f64> = (0..k).map(|i| svd.S()[i].complex().re).collect();
    let least = part.max(0.0) * s.iter().copied().fold(0.0, f64::max);
    let inverse = |j: usize| T::real(if s[j] > least { level.inverse_back(1.0 / s[j]) } else { 0.0 });
    let v = Mat::from_fn(a.ncols(), k, |i, j| svd.V()[(i, j)] * inverse(j));
    write((v * adjoint(svd.U())).as_ref(), out);
    Ok(())
}

/// Up to this 1-norm the Padé approximant of order 13 has the accuracy of f64.
const THETA: f64 = 5.371920351148152;
/// Its coefficients.
const PADE: [f64; 14] = [
    64764752532480000.0,
    32382376266240000.0,
    7771770303897600.0,
    1187353796428800.0,
    129060195264000.0,
    10559470521600.0,
    670442572800.0,
    33522128640.0,
    1323241920.0,
    40840800.0,
    960960.0,
    16380.0,
    182.0,
    1.0,
];

/// The exponential by scaling and squaring (Higham 2005), in f64 or c128.
pub(crate) fn expm<T: Number>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    finite(a)?;
    let n = a.nrows();
    let y = exponential(Mat::from_fn(n, n, |i, j| T::Wide::of(a[(i, j)].complex())));
    let y = Mat::from_fn(n, n, |i, j| T::of(y[(i, j)].complex()));
    write(y.as_ref(), out);
    Ok(())
}

fn exponential<T: Number>(a: Mat<T>) -> Mat<T> {
    let n = a.nrows();
    let norm = (0..n).map(|j| (0..n).map(|i| a[(i, j)].size()).sum()).fold(0.0, f64::max);
    let halvings = if norm > THETA { (norm / THETA).log2().ceil().min(1100.0) as i32 } else { 0 };
    let a = times(&a, 0.5f64.powi(halvings));
    let one: Mat<T> = Mat::identity(n, n);
    let a2 = &a * &a;
    let a4 = &a2 * &a2;
    let a6 = &a4 * &a2;
    let sum = |c: [f64; 4]| {
        let terms = [&one, &a2, &a4, &a6];
        terms.iter().zip(c).fold(Mat::zeros(n, n), |sum: Mat<T>, (x, c)| sum + times(x, c))
    };
    let b = &PADE;
    let u = &a * (&a6 * sum([0.0, b[9], b[11], b[13]]) + sum([b[1], b[3], b[5], b[7]]));
    let v = &a6 * sum([0.0, b[8], b[10], b[12]]) + sum([b[0], b[2], b[4], b[6]]);
    let mut y = PartialPivLu::new((&v - &u).as_ref()).solve(&v + &u);
    for _ in 0..halvings {
        y = &y * &y;
    }
    y
}

fn times<T: Number>(x: &Mat<T>, by: f64) -> Mat<T> {
    Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] * T::real(by))
}
