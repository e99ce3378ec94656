//! Eigenvalues and vectors of matrices that need not be symmetric, in c128.
//!
//! Sources: B. Parlett and C. Reinsch 1969, "Balancing a matrix for calculation of eigenvalues and eigenvectors", with the
//! Euclidean norm of R. James, J. Langou, B. Lowery 2014.

use std::cmp::Ordering;

use faer::linalg::solvers::Eigen;
use faer::{Mat, MatRef};
use num_complex::Complex;

use crate::level::Level;
use crate::{MatrixFault, settled, write};

type C = Complex<f64>;

/// Real parts that differ by at most this part of the largest eigenvalue count as equal, so that rounding does not decide
/// on the order.
const TIE: f64 = 1e-9;

/// A matrix as it is worked on: one whose numbers are all real by real arithmetic, which gives exact pairs of conjugates.
enum Kind {
    Real(Mat<f64>),
    Complex(Mat<C>),
}

impl Kind {
    fn of(a: Mat<C>) -> Kind {
        let n = a.nrows();
        let real = (0..n).all(|i| (0..n).all(|j| a[(i, j)].im == 0.0));
        if real { Kind::Real(Mat::from_fn(n, n, |i, j| a[(i, j)].re)) } else { Kind::Complex(a) }
    }
}

/// Eigenvalues and vectors of length 1.
pub(crate) fn eig(a: MatRef<C>, out: &mut [C]) -> Result<(), MatrixFault> {
    let n = a.nrows();
    let level = Level::of(a)?;
    if n == 0 {
        return Ok(());
    }
    let (balanced, scale) = balanced(level.matrix());
    let eigen = match Kind::of(balanced) {
        Kind::Real(a) => Eigen::new_from_real(a.as_ref()),
        Kind::Complex(a) => Eigen::new(a.as_ref()),
    }
    .map_err(|_| MatrixFault::NotConverged)?;
    let found: Vec<C> = (0..n).map(|i| eigen.S()[i]).collect();
    let order = order(&found);
    let vectors = Mat::from_fn(n, n, |i, j| eigen.U()[(i, order[j])] * scale[i]);
    let (values, rest) = out.split_at_mut(n);
    values.iter_mut().zip(&order).for_each(|(o, &i)| *o = level.back(found[i]));
    write(settled(unit(vectors).as_ref()).0.as_ref(), rest);
    Ok(())
}

/// Eigenvalues.
pub(crate) fn eigvals(a: MatRef<C>, out: &mut [C]) -> Result<(), MatrixFault> {
    let level = Level::of(a)?;
    if a.nrows() == 0 {
        return Ok(());
    }
    let found = match Kind::of(balanced(level.matrix()).0) {
        Kind::Real(a) => a.eigenvalues(),
        Kind::Complex(a) => a.eigenvalues(),
    }
    .map_err(|_| MatrixFault::NotConverged)?;
    out.iter_mut().zip(order(&found)).for_each(|(o, i)| *o = level.back(found[i]));
    Ok(())
}

/// The columns at length 1. Their largest elements are brought to size 1 before, so that no square overflows.
fn unit(x: Mat<C>) -> Mat<C> {
    let length = |j: usize| {
        let sizes = || (0..x.nrows()).map(|i| x[(i, j)].re.hypot(x[(i, j)].im));
        let most = sizes().fold(0.0, f64::max);
        most * sizes().map(|size| (size / most).powi(2)).sum::<f64>().sqrt()
    };
    let lengths: Vec<f64> = (0..x.ncols()).map(length).collect();
    Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)].unscale(lengths[j]))
}

/// The places of eigenvalues in ascending order: by the real part and, where those are equal but for rounding, the imaginary
/// one.
fn order(values: &[C]) -> Vec<usize> {
    let by = |key: fn(&C) -> f64| {
        move |&i: &usize, &j: &usize| key(&values[i]).partial_cmp(&key(&values[j])).unwrap_or(Ordering::Equal)
    };
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(by(|z| z.re));
    let gap = TIE * values.iter().map(|z| z.re.hypot(z.im)).fold(0.0, f64::max);
    order.chunk_by_mut(|&i, &j| values[j].re - values[i].re <= gap).for_each(|equal| equal.sort_by(by(|z| z.im)));
    order
}

/// The matrix with its rows and columns scaled by powers of 2, so that those that belong together are about equally long;
/// and what elements of the vectors have to be multiplied with. Without it the small numbers of a badly scaled matrix would
/// drown in the rounding of the large ones.
fn balanced(a: MatRef<C>) -> (Mat<C>, Vec<f64>) {
    let n = a.nrows();
    let mut a = a.to_owned();
    let mut scale = vec![1.0; n];
    // Each round makes lengths more alike; a few are enough, and any number is correct.
    for _ in 0..32 {
        let mut changed = false;
        for i in 0..n {
            let length = |of: &dyn Fn(usize) -> C| (0..n).map(|j| of(j).norm_sqr()).sum::<f64>().sqrt();
            let (column, row) = (length(&|j| a[(j, i)]), length(&|j| a[(i, j)]));
            let best = (row / column).sqrt().log2().round();
            if column == 0.0 || row == 0.0 || !best.is_finite() || best.abs() > 300.0 {
                continue;
            }
            let by = best.exp2();
            if column * by + row / by >= 0.95 * (column + row) {
                continue;
            }
            changed = true;
            scale[i] *= by;
            (0..n).for_each(|j| a[(j, i)] *= by);
            (0..n).for_each(|j| a[(i, j)] = a[(i, j)].unscale(by));
        }
        if !changed {
            break;
        }
    }
    (a, scale)
}
