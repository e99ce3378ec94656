//! Factorisations.

use std::cmp::Ordering;

use faer::linalg::solvers::{Llt, PartialPivLu, Qr, SelfAdjointEigen, Svd};
use faer::{Mat, Side};

use crate::level::Level;
use crate::{MatrixFault, Number, View, adjoint, direction, owned, real_value, scaled, settled, write};

/// The lower factor, from the lower triangle.
pub(crate) fn cholesky<T: Number>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
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
        let pivot = row[i].complex().re;
        if !pivot.is_finite() || pivot <= 0.0 {
            return Err(MatrixFault::NotPositiveDefinite(i));
        }
    }
    Ok(())
}

/// Both factors in one matrix, and the row of `a` that stands in each row.
pub(crate) fn lu<T: Number>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let n = a.ncols();
    let lu = PartialPivLu::new(a);
    let (l, u, (from, _)) = (lu.L(), lu.U(), lu.P().arrays());
    for (i, row) in out.chunks_exact_mut(n + 1).enumerate() {
        for (j, o) in row[..n].iter_mut().enumerate() {
            *o = if j < i { l[(i, j)] } else { u[(i, j)] };
        }
        row[n] = T::real(from[i] as f64);
    }
    Ok(())
}

/// Q and R of a matrix that is at least as tall as wide; the diagonal of R is not negative.
pub(crate) fn qr<T: Number>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let (m, n) = (a.nrows(), a.ncols());
    let qr = Qr::new(a);
    let (q, r) = (qr.compute_thin_Q(), qr.thin_R());
    let turns: Vec<_> = (0..n).map(|i| direction(r[(i, i)].complex())).collect();
    let (first, second) = out.split_at_mut(m * n);
    write(scaled(q.as_ref(), &turns).as_ref(), first);
    for (i, row) in second.chunks_exact_mut(n).enumerate() {
        for (j, o) in row.iter_mut().enumerate() {
            *o = match j.cmp(&i) {
                Ordering::Less => T::default(),
                Ordering::Equal => T::real((r[(i, i)].complex() * turns[i].conj()).re),
                Ordering::Greater => T::of(r[(i, j)].complex() * turns[i].conj()),
            };
        }
    }
    Ok(())
}

/// Columns that complete orthonormal ones to a basis.
pub(crate) fn complement<T: Number>(q: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let k = q.ncols();
    let all = if k == 0 { Mat::identity(q.nrows(), q.nrows()) } else { Qr::new(q).compute_Q() };
    let rest = all.as_ref().subcols(k, all.ncols() - k);
    write(settled(rest).0.as_ref(), out);
    Ok(())
}

/// Eigenvalues and vectors of the symmetric (Hermitian) matrix with this lower triangle.
pub(crate) fn eigh<T: Number>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let n = a.nrows();
    let level = Level::of(a)?;
    let eigen = SelfAdjointEigen::new(level.matrix(), Side::Lower).map_err(|_| MatrixFault::NotConverged)?;
    let (values, vectors) = out.split_at_mut(n);
    values.iter_mut().enumerate().for_each(|(i, o)| *o = T::real(level.back(eigen.S()[i].complex()).re));
    write(settled(eigen.U()).0.as_ref(), vectors);
    Ok(())
}

/// Eigenvalues of the symmetric (Hermitian) matrix with this lower triangle.
pub(crate) fn eigvalsh<T: Number>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let level = Level::of(a)?;
    let values = level.matrix().self_adjoint_eigenvalues(Side::Lower).map_err(|_| MatrixFault::NotConverged)?;
    out.iter_mut().zip(&values).for_each(|(o, value)| *o = T::real(level.back(real_value::<T>(value).into()).re));
    Ok(())
}

/// U, the singular values and V transposed and conjugated of a matrix that is at least as tall as wide.
pub(crate) fn svd<T: Number>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let (m, n) = (a.nrows(), a.ncols());
    let level = Level::of(a)?;
    let svd = thin(&level)?;
    let (left, turns) = settled(svd.U());
    let (u, rest) = out.split_at_mut(m * n);
    let (s, vh) = rest.split_at_mut(n);
    write(left.as_ref(), u);
    s.iter_mut().enumerate().for_each(|(i, o)| *o = T::real(level.back(svd.S()[i].complex()).re));
    write(adjoint(scaled(svd.V(), &turns).as_ref()).as_ref(), vh);
    Ok(())
}

/// Singular values.
pub(crate) fn svdvals<T: Number>(a: View<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let level = Level::of(a)?;
    let values = owned(level.matrix()).singular_values().map_err(|_| MatrixFault::NotConverged)?;
    out.iter_mut().zip(&values).for_each(|(o, value)| *o = T::real(level.back(real_value::<T>(value).into()).re));
    Ok(())
}

/// The thin decomposition of the matrix at that level, signs as they come.
pub(crate) fn thin<T: Number>(a: &Level<'_, T>) -> Result<Svd<T>, MatrixFault> {
    Svd::new_thin(a.matrix()).map_err(|_| MatrixFault::NotConverged)
}
