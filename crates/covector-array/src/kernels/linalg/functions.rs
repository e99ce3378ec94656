//! Functions of matrices that are made of factorisations.

use faer::linalg::solvers::PartialPivLu;
use faer::prelude::Solve;
use faer::{Mat, MatRef};

use super::factor::thin;
use super::{MatrixFault, Real, View, finite, write};
use crate::Element;

/// The derivative of the determinant by each element: `det(a) a⁻ᵀ`, from the singular values, so that it needs no inverse.
///
/// With `a = U S Vᵀ` it is `det(U) det(V) U C Vᵀ`, where `C` holds for each singular value the product of the others.
pub(super) fn cofactor<T: Real>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let n = a.nrows();
    let svd = thin(a)?;
    let s: Vec<f64> = (0..n).map(|i| Element::to_f64(svd.S()[i])).collect();
    let mut others = vec![1.0; n];
    let (mut before, mut after) = (1.0, 1.0);
    for i in 0..n {
        others[i] *= before;
        others[n - 1 - i] *= after;
        before *= s[i];
        after *= s[n - 1 - i];
    }
    let sign = orientation(svd.U()) * orientation(svd.V());
    let u = Mat::from_fn(n, n, |i, j| svd.U()[(i, j)] * <T as Element>::from_f64(sign * others[j]));
    write((u * svd.V().transpose()).as_ref(), out);
    Ok(())
}

/// The determinant of an orthogonal matrix: 1 or -1.
fn orientation<T: Real>(q: MatRef<T>) -> f64 {
    let mut number = [T::default()];
    super::solve::det(q, &mut number).map_or(1.0, |()| Element::to_f64(number[0]).signum())
}

/// The pseudoinverse; singular values of at most `part` of the largest count as 0.
pub(super) fn pinv<T: Real>(a: View<T>, part: f64, out: &mut [T]) -> Result<(), MatrixFault> {
    let svd = thin(a)?;
    let k = a.nrows().min(a.ncols());
    let s: Vec<f64> = (0..k).map(|i| Element::to_f64(svd.S()[i])).collect();
    let least = part * s.iter().copied().fold(0.0, f64::max);
    let inverse = |j: usize| <T as Element>::from_f64(if s[j] > least { 1.0 / s[j] } else { 0.0 });
    let v = Mat::from_fn(a.ncols(), k, |i, j| svd.V()[(i, j)] * inverse(j));
    write((v * svd.U().transpose()).as_ref(), out);
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

/// The exponential by scaling and squaring (Higham 2005), in f64.
pub(super) fn expm<T: Real>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    finite(a)?;
    let n = a.nrows();
    let a: Mat<f64> = Mat::from_fn(n, n, |i, j| Element::to_f64(a[(i, j)]));
    let norm = (0..n).map(|j| (0..n).map(|i| a[(i, j)].abs()).sum()).fold(0.0, f64::max);
    let halvings = if norm > THETA { (norm / THETA).log2().ceil().min(1100.0) as i32 } else { 0 };
    let a = times(&a, 0.5f64.powi(halvings));
    let one: Mat<f64> = Mat::identity(n, n);
    let a2 = &a * &a;
    let a4 = &a2 * &a2;
    let a6 = &a4 * &a2;
    let sum = |c: [f64; 4]| {
        let terms = [&one, &a2, &a4, &a6];
        terms.iter().zip(c).fold(Mat::zeros(n, n), |sum: Mat<f64>, (x, c)| sum + times(x, c))
    };
    let b = &PADE;
    let u = &a * (&a6 * sum([0.0, b[9], b[11], b[13]]) + sum([b[1], b[3], b[5], b[7]]));
    let v = &a6 * sum([0.0, b[8], b[10], b[12]]) + sum([b[0], b[2], b[4], b[6]]);
    let mut y = PartialPivLu::new((&v - &u).as_ref()).solve(&v + &u);
    for _ in 0..halvings {
        y = &y * &y;
    }
    let y = Mat::from_fn(n, n, |i, j| <T as Element>::from_f64(y[(i, j)]));
    write(y.as_ref(), out);
    Ok(())
}

fn times(x: &Mat<f64>, by: f64) -> Mat<f64> {
    Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] * by)
}
