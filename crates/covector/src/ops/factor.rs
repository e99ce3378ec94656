//! Factorisations of matrices.
//!
//! Each is one primitive under `matrices`, which names the sources of its derivative. Where a factor is unique only up to
//! signs (of complex matrices: angles) these are fixed, so that results can be compared, and do not change with the machine
//! or the dtype. The derivatives are those of the factors as they are given, so that none has to be refused; what a function that
//! does not depend on signs and angles sees of them is what PyTorch and JAX give.

use covector_array::DType;
use covector_array::kernels::MatrixOp;
use covector_derive::{op, op_list};

use super::concat::concat;
use super::create::iota;
use super::matrices::{self, complement, h, mm, node, symmetric};
use super::reduce::widened;
use super::scan::{padded, piece};
use super::view::reshaped;
use crate::{Error, Result, Tensor};

/// `x` as matrices in the dtype they are factorised in; and the dtype of the result.
///
/// # Errors
/// If there are fewer than two axes.
pub(super) fn matrix(x: &Tensor) -> Result<(Tensor, DType)> {
    has_matrices(x)?;
    let dtype = x.dtype().to_float();
    Ok((computed(&x.cast(dtype)), dtype))
}

/// Floats and complex numbers in the dtype in which matrices of them are computed.
pub(super) fn computed(x: &Tensor) -> Tensor {
    if x.dtype() == DType::C64 { x.cast(DType::C128) } else { widened(x) }
}

/// As [`matrix`], of square ones.
///
/// # Errors
/// If there are fewer than two axes, or the last two differ.
pub(super) fn square(x: &Tensor) -> Result<(Tensor, DType)> {
    has_squares(x)?;
    matrix(x)
}

fn has_matrices(x: &Tensor) -> Result<()> {
    if x.ndim() >= 2 {
        return Ok(());
    }
    Err(Error::new(format!("takes matrices, not {}", x.spec()))
        .hint("the last two axes are the rows and columns of each matrix"))
}

/// # Errors
/// If there are fewer than two axes, or the last two differ.
pub(super) fn has_squares(x: &Tensor) -> Result<()> {
    has_matrices(x)?;
    let (n, (rows, columns)) = (x.ndim(), sides(x));
    if rows == columns {
        return Ok(());
    }
    Err(Error::new(format!("takes square matrices, not {rows} by {columns}"))
        .clash([x.shape(), x.shape()], [n - 2, n - 1]))
}

/// The rows and columns of a matrix.
pub(super) fn sides(x: &Tensor) -> (usize, usize) {
    (x.shape()[x.ndim() - 2], x.shape()[x.ndim() - 1])
}

/// The Cholesky factor: lower triangular with `L Lᴴ = x`, or upper with `Uᴴ U = x`.
///
/// Shapes: `[.., n, n]`, kept. Floats and complex numbers (integers give f32); halves are computed in f32, c64 in c128.
/// It is the factor of `(x + xᵀ) / 2`, so that the derivative is symmetric, as in JAX. (NumPy and PyTorch read one
/// triangle only.)
/// # Errors
/// If the matrices are not square; when computed, if one is not positive definite.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[4.0f32, 2.0], [2.0, 5.0]]);
/// assert_eq!(x.cholesky(false).to_vec::<f32>(), [2.0, 0.0, 1.0, 2.0]);
/// ```
/// Source: the Array API's `linalg.cholesky`; derivative: Murray 2016, "Differentiation of the Cholesky decomposition".
#[op(samples = [(regular([3, 3]), false), (regular([2, 2, 2]), true), (regular([1, 1]), false), (real([2, 0, 0]), false), (real([0, 2, 2]), true),
    (complex_regular([3, 3]), false), (complex_regular([2, 2, 2]), true)])]
pub fn cholesky(x: &Tensor, upper: bool) -> Result<Tensor> {
    let (x, dtype) = square(x)?;
    let l = node(MatrixOp::Cholesky, &[&symmetric(&x)]);
    Ok(if upper { h(&l) } else { l }.cast(dtype))
}

/// The QR decomposition: orthonormal columns times an upper triangle whose diagonal is not negative.
///
/// `mode` is "reduced" or "complete".
///
/// Shapes: `[.., m, n] -> [.., m, k], [.., k, n]`, where `k` is the smaller of both, or `m` if complete. Floats and
/// complex numbers (integers give f32); halves are computed in f32, c64 in c128. Where columns depend on those before,
/// Q is a choice, and there is no derivative. The columns that complete a Q are a choice too: their derivative is that
/// of functions which do not depend on it.
/// # Errors
/// If there are fewer than two axes, or the mode is another; when differentiated, if the first `k` columns are dependent.
/// # Example
/// ```
/// use covector::Tensor;
/// let (q, r) = Tensor::from([[3.0f32], [4.0]]).qr("reduced");
/// assert!(q.to_vec::<f32>().iter().zip([0.6, 0.8]).all(|(q, w)| (q - w).abs() < 1e-6));
/// assert!((r.item::<f32>() - 5.0).abs() < 1e-6);
/// ```
/// Source: the Array API's `linalg.qr`; derivative: Walter, Lehmann 2010.
#[op(samples = [
    (real([3, 3]), "reduced"), (real([4, 2]), "reduced"), (real([2, 2, 4]), "reduced"), (real([3, 2]), "complete"),
    (real([2, 3]), "complete"), (real([3, 0]), "reduced"), (real([0, 2]), "complete"), (complex([3, 3]), "reduced"),
    (complex([2, 3, 2]), "reduced"), (complex([2, 3]), "reduced"), (complex([3, 2]), "complete"), (complex([2, 0]), "complete"),
])]
pub fn qr(x: &Tensor, mode: &str) -> Result<(Tensor, Tensor)> {
    let (x, dtype) = matrix(x)?;
    let complete = match mode {
        "reduced" => false,
        "complete" => true,
        other => return Err(Error::new(format!("mode is \"{other}\"")).hint("it is \"reduced\" or \"complete\"")),
    };
    let (m, n) = sides(&x);
    let columns = x.ndim() - 1;
    let (mut q, mut r) = if m >= n {
        let [q, r] = matrices::qr(&x);
        (q, r)
    } else {
        // The first columns decide on Q; the others are turned by it.
        let [q, r] = matrices::qr(&piece(&x, columns, 0, m));
        let rest = mm(&h(&q), &piece(&x, columns, m, n - m));
        (q, concat(&[r, rest], -1))
    };
    if complete && m > n {
        q = concat(&[q.clone(), complement(&q)], -1);
        r = padded(&r, columns - 1, 0, m - n);
    }
    Ok((q.cast(dtype), r.cast(dtype)))
}

/// The LU decomposition `x = P L U` with a permutation, a lower triangle with ones on its diagonal, and an upper one.
///
/// Shapes: `[.., m, n] -> [.., m, m], [.., m, k], [.., k, n]`, where `k` is the smaller of both. Floats (integers give
/// f32); halves are computed in f32. Rows are exchanged so that no element of L is larger than 1. The permutation has
/// derivative 0; where a pivot is 0 the factors have none.
/// # Errors
/// If there are fewer than two axes; when differentiated, if a pivot is 0.
/// # Example
/// ```
/// use covector::Tensor;
/// let (p, l, u) = Tensor::from([[1.0f32, 2.0], [2.0, 6.0]]).lu();
/// assert_eq!(p.to_vec::<f32>(), [0.0, 1.0, 1.0, 0.0]);
/// assert_eq!(l.to_vec::<f32>(), [1.0, 0.0, 0.5, 1.0]);
/// assert_eq!(u.to_vec::<f32>(), [2.0, 6.0, 0.0, -1.0]);
/// ```
/// Source: SciPy's `linalg.lu`; derivative: de Hoog, Anderssen, Lukas 2011.
#[op(samples = [(real([3, 3]),), (real([2, 4, 2]),), (real([2, 4]),), (real([1, 1]),), (real([0, 2]),), (real([2, 0]),),
    (complex([3, 3]),), (complex([2, 4, 2]),), (complex([2, 3]),)])]
pub fn lu(x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    let (x, dtype) = matrix(x)?;
    let [packed, rows] = matrices::lu(&x);
    let (m, _) = sides(&x);
    let p = reshaped(&iota(m, DType::I64), [m, 1]).equal(matrices::row(&rows));
    let [l, u] = matrices::lu_factors(&packed);
    Ok((p.cast(dtype), l.cast(dtype), u.cast(dtype)))
}

/// The eigenvalues, ascending, and orthonormal eigenvectors, as columns, of symmetric matrices.
///
/// Shapes: `[.., n, n] -> [.., n], [.., n, n]`. Floats and complex numbers (integers give f32); halves are computed in
/// f32, c64 in c128. They are those of `(x + xᵀ) / 2`, so that the derivative is symmetric, as in JAX. Of each vector
/// the first of the largest elements is positive. Vectors of equal eigenvalues are a choice: a derivative that depends
/// on the choice is infinite or NaN, one to which these vectors give nothing is finite; the eigenvalues alone are
/// better taken by `eigvalsh`.
/// # Errors
/// If the matrices are not square; when computed, if one holds NaN or infinity.
/// # Example
/// ```
/// use covector::Tensor;
/// let (w, v) = Tensor::from([[2.0f64, 1.0], [1.0, 2.0]]).eigh();
/// assert!(w.to_vec::<f64>().iter().zip([1.0, 3.0]).all(|(w, wanted)| (w - wanted).abs() < 1e-14));
/// assert_eq!(v.shape()[..], [2, 2]);
/// ```
/// Source: the Array API's `linalg.eigh`; derivative: Giles 2008.
#[op(samples = [(distinct([3, 3]),), (distinct([2, 2, 2]),), (distinct([1, 1]),), (real([0, 0]),), (real([0, 2, 2]),),
    (complex_distinct([3, 3]),), (complex_distinct([2, 2, 2]),), (complex([0, 0]),)])]
pub fn eigh(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (x, dtype) = square(x)?;
    let [w, v] = matrices::eigh(&symmetric(&x));
    Ok((w.cast(dtype.part()), v.cast(dtype)))
}

/// The eigenvalues, ascending, of symmetric matrices.
///
/// Shapes: `[.., n, n] -> [.., n]`. Floats and complex numbers (integers give f32); halves are computed in f32, c64 in
/// c128. They are those of `(x + xᵀ) / 2`. Equal eigenvalues have the derivatives of the vectors that were found for
/// them, whose sum does not depend on that choice.
/// # Errors
/// If the matrices are not square; when computed, if one holds NaN or infinity.
/// # Example
/// ```
/// use covector::Tensor;
/// let w = Tensor::from([[0.0f64, 2.0], [2.0, 0.0]]).eigvalsh().to_vec::<f64>();
/// assert!((w[0] + 2.0).abs() < 1e-14 && (w[1] - 2.0).abs() < 1e-14);
/// ```
/// Source: the Array API's `linalg.eigvalsh`; derivative: Giles 2008.
#[op(samples = [(distinct([3, 3]),), (distinct([2, 2, 2]),), (distinct([1, 1]),), (real([0, 0]),), (complex_distinct([3, 3]),), (complex_distinct([2, 2, 2]),)],
    notes = "rule=V diag(ȳ) Vᴴ")]
pub fn eigvalsh(x: &Tensor) -> Result<Tensor> {
    let (x, dtype) = square(x)?;
    Ok(matrices::eigvalsh(&symmetric(&x)).cast(dtype.part()))
}

/// The singular value decomposition `x = U diag(s) Vᵀ`: U, the singular values, descending, and V transposed.
///
/// Shapes: `[.., m, n] -> [.., m, k], [.., k], [.., k, n]`, where `k` is the smaller of both; with `full_matrices` U is
/// `[.., m, m]` and Vᵀ `[.., n, n]`. Floats and complex numbers (integers give f32); halves are computed in f32, c64 in
/// c128. Of each column of U (of V where the matrix is wide) the first of the largest elements is positive. Vectors of
/// equal singular values, of singular values 0, and those that fill up the full matrices are a choice: a derivative
/// that depends on the choice is infinite or NaN, or, for the latter, 0; one that does not is that of the function.
/// # Errors
/// If there are fewer than two axes; when computed, if a matrix holds NaN or infinity.
/// # Example
/// ```
/// use covector::Tensor;
/// let (u, s, vh) = Tensor::from([[3.0f64, 0.0], [0.0, -4.0]]).svd(false);
/// assert_eq!(s.to_vec::<f64>(), [4.0, 3.0]);
/// assert_eq!((u * s.expand_dims(0)).matmul(&vh).to_vec::<f64>(), [3.0, 0.0, 0.0, -4.0]);
/// ```
/// Source: the Array API's `linalg.svd`; derivative: Townsend 2016, "Differentiating the singular value decomposition".
#[op(samples = [
    (distinct([3, 3]), false), (distinct([4, 2]), false), (distinct([2, 2, 3]), false), (distinct([3, 2]), true), (distinct([2, 3]), true),
    (distinct([1, 1]), true), (real([3, 0]), false), (real([0, 2]), true), (complex_distinct([3, 3]), false), (complex_distinct([2, 3, 2]), false),
    (complex_distinct([2, 3]), false), (complex_distinct([3, 2]), true), (complex_distinct([2, 3]), true), (complex([0, 2]), true),
])]
pub fn svd(x: &Tensor, full_matrices: bool) -> Result<(Tensor, Tensor, Tensor)> {
    let (x, dtype) = matrix(x)?;
    let (m, n) = sides(&x);
    let [mut u, s, mut vh] = matrices::svd(&x);
    if full_matrices && m > n {
        u = concat(&[u.clone(), complement(&u)], -1);
    }
    if full_matrices && n > m {
        vh = concat(&[vh.clone(), h(&complement(&h(&vh)))], -2);
    }
    Ok((u.cast(dtype), s.cast(dtype.part()), vh.cast(dtype)))
}

/// The singular values, descending.
///
/// Shapes: `[.., m, n] -> [.., min(m, n)]`. Floats and complex numbers (integers give f32); halves are computed in f32,
/// c64 in c128. Equal singular values have the derivatives of the vectors that were found for them, whose sum does not
/// depend on that choice; at 0, a kink, likewise.
/// # Errors
/// If there are fewer than two axes; when computed, if a matrix holds NaN or infinity.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([[0.0f32, 2.0], [1.0, 0.0]]).svdvals().to_vec::<f32>(), [2.0, 1.0]);
/// ```
/// Source: the Array API's `linalg.svdvals`; derivative: Townsend 2016.
#[op(samples = [(distinct([3, 3]),), (distinct([4, 2]),), (distinct([2, 2, 3]),), (real([0, 2]),), (complex_distinct([3, 3]),), (complex_distinct([2, 2, 3]),)],
    notes = "rule=U diag(ȳ) Vᴴ")]
pub fn svdvals(x: &Tensor) -> Result<Tensor> {
    let (x, dtype) = matrix(x)?;
    Ok(matrices::svdvals(&x).cast(dtype.part()))
}

/// The eigenvalues and eigenvectors, as columns, of any square matrices.
///
/// Shapes: `[.., n, n] -> [.., n], [.., n, n]`. Floats and complex numbers (integers count as f32); the results are
/// complex (c128 for f64 and c128, else c64), and computed in c128. Eigenvalues ascend by their real parts and, where
/// these are equal but for rounding, by the imaginary ones. Each vector has length 1, and of its elements the first of
/// the largest is real and positive. Real matrices give exact pairs of conjugates. Vectors of equal eigenvalues are a
/// choice, see [`eigh`]. A matrix without a basis of eigenvectors (a defective one) gets vectors that are dependent but
/// for rounding; its derivatives are infinite, and what comes out is huge, NaN or an error.
/// # Errors
/// If the matrices are not square; when computed, if one holds NaN or infinity; when differentiated, if the vectors of
/// one are dependent.
/// # Example
/// ```
/// use covector::{Tensor, c128};
/// // A quarter of a turn.
/// let (w, v) = Tensor::from([[0.0f64, -1.0], [1.0, 0.0]]).eig();
/// assert!(w.to_vec::<c128>().iter().zip([-1.0, 1.0]).all(|(w, im)| (w - c128::new(0.0, im)).norm() < 1e-14));
/// assert_eq!(v.shape()[..], [2, 2]);
/// ```
/// Source: the Array API's `linalg.eig`; derivative: Giles 2008, Boeddeker et al. 2017.
#[op(samples = [(real([3, 3]),), (real([2, 2, 2]),), (complex([3, 3]),), (complex_distinct([2, 2, 2]),), (distinct([1, 1]),), (real([0, 0]),), (complex([0, 2, 2]),)])]
pub fn eig(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (x, dtype) = square(x)?;
    let [w, v] = matrices::eig(&x.cast(DType::C128));
    Ok((w.cast(dtype.to_complex()), v.cast(dtype.to_complex())))
}

/// The eigenvalues of any square matrices.
///
/// Shapes: `[.., n, n] -> [.., n]`. Dtypes, precision and order are those of [`eig`]. Equal eigenvalues have the
/// derivatives of the vectors that were found for them, whose sum does not depend on that choice; where a matrix is
/// defective there are none.
/// # Errors
/// If the matrices are not square; when computed, if one holds NaN or infinity; when differentiated, if the
/// eigenvectors of one are dependent.
/// # Example
/// ```
/// use covector::{Tensor, c128};
/// let w = Tensor::from([[1.0f64, 5.0], [0.0, -2.0]]).eigvals();
/// assert_eq!(w.to_vec::<c128>(), [c128::new(-2.0, 0.0), c128::new(1.0, 0.0)]);
/// ```
/// Source: the Array API's `linalg.eigvals`; derivative: Giles 2008.
#[op(samples = [(real([3, 3]),), (real([2, 2, 2]),), (complex([3, 3]),), (complex_distinct([2, 2, 2]),), (real([0, 0]),)],
    notes = "rule=V⁻ᴴ diag(ȳ) Vᴴ")]
pub fn eigvals(x: &Tensor) -> Result<Tensor> {
    let (x, dtype) = square(x)?;
    Ok(node(MatrixOp::Eigvals, &[&x.cast(DType::C128)]).cast(dtype.to_complex()))
}

op_list![cholesky, qr, lu, eigh, eigvalsh, eig, eigvals, svd, svdvals];
