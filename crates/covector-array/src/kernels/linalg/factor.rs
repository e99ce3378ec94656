//! Factorisations.

use faer::linalg::solvers::{Llt, PartialPivLu, Qr, SelfAdjointEigen, Svd};
use faer::{Mat, MatRef, Side};

use super::{MatrixFault, Real, View, finite, owned, signs, write};
use crate::Element;

/// The lower factor, from the lower triangle.
pub(super) fn cholesky<T: Real>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let n = a.nrows();
    let llt = Llt::new(a, Side::Lower).map_err(|e| {
        let faer::linalg::cholesky::llt::factor::LltError::NonPositivePivot { index } = e;
        MatrixFault::NotPositiveDefinite(index)
    })?;
    let l = llt.L();
    for (i, row) in out.chunks_exact_mut(n).enumerate() {
        for (j, o) in row.iter_mut().enumerate() {
            *o = if j <= i { l[(i, j)] } else { T::default() };
        }
        if !Element::to_f64(row[i]).is_finite() || Element::to_f64(row[i]) <= 0.0 {
            return Err(MatrixFault::NotPositiveDefinite(i));
        }
    }
    Ok(())
}

/// Both factors in one matrix, and the row of `a` that stands in each row.
pub(super) fn lu<T: Real>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let n = a.ncols();
    let lu = PartialPivLu::new(a);
    let (l, u, (from, _)) = (lu.L(), lu.U(), lu.P().arrays());
    for (i, row) in out.chunks_exact_mut(n + 1).enumerate() {
        for (j, o) in row[..n].iter_mut().enumerate() {
            *o = if j < i { l[(i, j)] } else { u[(i, j)] };
        }
        row[n] = <T as Element>::from_i64(from[i] as i64);
    }
    Ok(())
}

/// Q and R of a matrix that is at least as tall as wide; the diagonal of R is not negative.
pub(super) fn qr<T: Real>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let (m, n) = (a.nrows(), a.ncols());
    let qr = Qr::new(a);
    let (q, r) = (qr.compute_thin_Q(), qr.thin_R());
    let negative = |i: usize| Element::to_f64(r[(i, i)]) < 0.0;
    let (first, second) = out.split_at_mut(m * n);
    for (i, row) in first.chunks_exact_mut(n).enumerate() {
        for (j, o) in row.iter_mut().enumerate() {
            *o = if negative(j) { -q[(i, j)] } else { q[(i, j)] };
        }
    }
    for (i, row) in second.chunks_exact_mut(n).enumerate() {
        for (j, o) in row.iter_mut().enumerate() {
            *o = match j >= i {
                true if negative(i) => -r[(i, j)],
                true => r[(i, j)],
                false => T::default(),
            };
        }
    }
    Ok(())
}

/// Columns that complete orthonormal ones to a basis.
pub(super) fn complement<T: Real>(q: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let k = q.ncols();
    let all = if k == 0 { Mat::identity(q.nrows(), q.nrows()) } else { Qr::new(q).compute_Q() };
    let rest = all.as_ref().subcols(k, all.ncols() - k);
    write(scaled(rest, &signs(rest)).as_ref(), out);
    Ok(())
}

/// Eigenvalues and vectors of the symmetric matrix with this lower triangle.
pub(super) fn eigh<T: Real>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let n = a.nrows();
    finite(a)?;
    let eigen = SelfAdjointEigen::new(a, Side::Lower).map_err(|_| MatrixFault::NotConverged)?;
    let (values, vectors) = out.split_at_mut(n);
    values.iter_mut().enumerate().for_each(|(i, o)| *o = eigen.S()[i]);
    let signs = signs(eigen.U());
    write(scaled(eigen.U(), &signs).as_ref(), vectors);
    Ok(())
}

/// Eigenvalues of the symmetric matrix with this lower triangle.
pub(super) fn eigvalsh<T: Real>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    finite(a)?;
    let values = a.self_adjoint_eigenvalues(Side::Lower).map_err(|_| MatrixFault::NotConverged)?;
    out.copy_from_slice(&values);
    Ok(())
}

/// U, the singular values and V transposed of a matrix that is at least as tall as wide.
pub(super) fn svd<T: Real>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let (m, n) = (a.nrows(), a.ncols());
    let svd = thin(a)?;
    let signs = signs(svd.U());
    let (u, rest) = out.split_at_mut(m * n);
    let (s, vh) = rest.split_at_mut(n);
    write(scaled(svd.U(), &signs).as_ref(), u);
    s.iter_mut().enumerate().for_each(|(i, o)| *o = svd.S()[i]);
    write(scaled(svd.V(), &signs).transpose(), vh);
    Ok(())
}

/// Singular values.
pub(super) fn svdvals<T: Real>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    finite(a)?;
    let values = owned(a).singular_values().map_err(|_| MatrixFault::NotConverged)?;
    out.copy_from_slice(&values);
    Ok(())
}

/// The thin decomposition, signs as they come.
pub(super) fn thin<T: Real>(a: View<T>) -> Result<Svd<T>, MatrixFault> {
    finite(a)?;
    Svd::new_thin(a).map_err(|_| MatrixFault::NotConverged)
}

/// Each column times its factor.
fn scaled<T: Real>(x: MatRef<T>, by: &[T]) -> Mat<T> {
    Mat::from_fn(x.nrows(), x.ncols(), |i, j| if Element::to_f64(by[j]) < 0.0 { -x[(i, j)] } else { x[(i, j)] })
}
