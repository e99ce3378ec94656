//! Factorisations of one matrix and what follows from them, on slices: the one door to faer.
//!
//! They stand in a crate of their own so that faer's algorithms are compiled once, for f32 and for f64, and not whenever
//! a kernel changes. Batches, threads and arrays are the business of the crate above.
//!
//! A matrix is worked on by the calling thread alone. Results depend on the instruction set, whose widths faer takes for its
//! sums. Signs that a factorisation leaves open are fixed here, so that they do not.

#![forbid(unsafe_code)]

mod factor;
mod functions;
mod solve;

use std::fmt;

use faer::{Mat, MatRef};

/// What is computed of a matrix. Packed results lie one after the other, each in row-major order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum MatrixOp {
    /// `[n, n]`, of which the lower triangle is read `-> [n, n]`: the lower factor.
    Cholesky,
    /// `[m, n] -> [m, n + 1]`: both factors in one, and in the last column the row that stands there.
    Lu,
    /// `[m, n]` with `m >= n`, `-> m n + n n`: Q and R, whose diagonal is not negative.
    Qr,
    /// `[m, k]` with orthonormal columns `-> [m, m - k]`: columns that complete them.
    Complement,
    /// `[n, n]`, of which the lower triangle is read, `-> n + n n`: eigenvalues, ascending, and vectors as columns.
    Eigh,
    /// `[n, n]`, of which the lower triangle is read, `-> n`: eigenvalues, ascending.
    Eigvalsh,
    /// `[m, n]` with `m >= n`, `-> m n + n + n n`: U, the singular values, descending, and V transposed.
    Svd,
    /// `[m, n] -> min(m, n)`: singular values, descending.
    Svdvals,
    /// `[n, n], [n, k] -> [n, k]`.
    Solve,
    /// `[n, n], [n, k] -> [n, k]`: with a triangle of the matrix.
    TriangularSolve {
        /// The upper triangle; else the lower one.
        upper: bool,
        /// With the transpose of that triangle.
        transposed: bool,
        /// With ones on the diagonal, which is not read.
        unit: bool,
    },
    /// `[n, n] -> ` a number.
    Det,
    /// `[n, n] -> [n, n]`: the derivative of the determinant by each element, also where the matrix is singular.
    Cofactor,
    /// `[n, n] -> 2`: the sign of the determinant and the logarithm of its size.
    SlogDet,
    /// `[m, n] -> [n, m]`: the pseudoinverse; singular values up to this part of the largest (bits of an f64) count as 0.
    Pinv(u64),
    /// `[n, n] -> [n, n]`: the exponential.
    Expm,
}

/// What a matrix can be that an op cannot do with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MatrixFault {
    /// Its pivot at this row is exactly 0.
    Singular(usize),
    /// The leading minor that ends in this row is not positive.
    NotPositiveDefinite(usize),
    /// It holds NaN or infinity.
    NotFinite,
    /// The iteration did not converge.
    NotConverged,
}

impl fmt::Display for MatrixFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MatrixFault::Singular(i) => write!(f, "is singular: pivot {i} is exactly 0"),
            MatrixFault::NotPositiveDefinite(i) => {
                write!(f, "is not positive definite: its leading minor of order {} is not positive", i + 1)
            }
            MatrixFault::NotFinite => f.write_str("holds NaN or infinity"),
            MatrixFault::NotConverged => f.write_str("is one for which the iteration does not converge"),
        }
    }
}

impl std::error::Error for MatrixFault {}

/// A matrix in row-major order.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    /// `rows` times `columns` elements.
    pub values: &'a [T],
    /// The length of its first axis.
    pub rows: usize,
    /// The length of its second axis.
    pub columns: usize,
}

/// Computes `op` of a matrix of f32, and of a second one where the op has two operands; else that one is not looked at.
///
/// # Errors
/// Says what the matrix is that the op cannot do with; what `out` holds then means nothing.
///
/// # Panics
/// If a slice has not the length that the sizes and the op ask for.
pub fn factor_f32(op: MatrixOp, a: Matrix<f32>, b: Matrix<f32>, out: &mut [f32]) -> Result<(), MatrixFault> {
    one(op, a, b, out)
}

/// Computes `op` of a matrix of f64, and of a second one where the op has two operands; else that one is not looked at.
///
/// # Errors
/// Says what the matrix is that the op cannot do with; what `out` holds then means nothing.
///
/// # Panics
/// If a slice has not the length that the sizes and the op ask for.
///
/// ```
/// use covector_factor::{Matrix, MatrixFault, MatrixOp, factor_f64};
/// let (mut x, one) = ([0.0; 2], Matrix { values: &[6.0, 4.0], rows: 2, columns: 1 });
/// factor_f64(MatrixOp::Solve, Matrix { values: &[2.0, 0.0, 0.0, 4.0], rows: 2, columns: 2 }, one, &mut x)?;
/// assert_eq!(x, [3.0, 1.0]);
/// let singular = Matrix { values: &[1.0, 2.0, 2.0, 4.0], rows: 2, columns: 2 };
/// assert_eq!(factor_f64(MatrixOp::Solve, singular, one, &mut x), Err(MatrixFault::Singular(1)));
/// # Ok::<(), MatrixFault>(())
/// ```
pub fn factor_f64(op: MatrixOp, a: Matrix<f64>, b: Matrix<f64>, out: &mut [f64]) -> Result<(), MatrixFault> {
    one(op, a, b, out)
}

/// The types that matrices are factorised in.
trait Real: faer::traits::RealField + Copy + Default {
    fn to_f64(self) -> f64;
    fn from_f64(x: f64) -> Self;
}

impl Real for f32 {
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn from_f64(x: f64) -> f32 {
        x as f32
    }
}

impl Real for f64 {
    fn to_f64(self) -> f64 {
        self
    }
    fn from_f64(x: f64) -> f64 {
        x
    }
}

/// A matrix of the caller, row-major.
type View<'a, T> = MatRef<'a, T>;

fn one<T: Real>(op: MatrixOp, a: Matrix<T>, b: Matrix<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let [a, b] = [a, b].map(|x| MatRef::from_row_major_slice(x.values, x.rows, x.columns));
    match op {
        MatrixOp::Cholesky => factor::cholesky(a, out),
        MatrixOp::Lu => factor::lu(a, out),
        MatrixOp::Qr => factor::qr(a, out),
        MatrixOp::Complement => factor::complement(a, out),
        MatrixOp::Eigh => factor::eigh(a, out),
        MatrixOp::Eigvalsh => factor::eigvalsh(a, out),
        MatrixOp::Svd => factor::svd(a, out),
        MatrixOp::Svdvals => factor::svdvals(a, out),
        MatrixOp::Solve => solve::solve(a, b, out),
        MatrixOp::TriangularSolve { upper, transposed, unit } => solve::triangular(a, b, upper, transposed, unit, out),
        MatrixOp::Det => solve::det(a, out),
        MatrixOp::Cofactor => functions::cofactor(a, out),
        MatrixOp::SlogDet => solve::slogdet(a, out),
        MatrixOp::Pinv(part) => functions::pinv(a, f64::from_bits(part), out),
        MatrixOp::Expm => functions::expm(a, out),
    }
}

/// Writes a matrix in row-major order.
fn write<T: Real>(x: MatRef<T>, out: &mut [T]) {
    let columns = x.ncols();
    for (i, o) in out.iter_mut().enumerate() {
        *o = x[(i / columns, i % columns)];
    }
}

/// # Errors
/// If an element is NaN or infinite.
fn finite<T: Real>(x: MatRef<T>) -> Result<(), MatrixFault> {
    let odd = (0..x.nrows()).any(|i| (0..x.ncols()).any(|j| !Real::to_f64(x[(i, j)]).is_finite()));
    if odd { Err(MatrixFault::NotFinite) } else { Ok(()) }
}

/// Of every column -1 where its sign has to change: the first of the elements that are about the largest is positive.
///
/// Elements within a hundredth count as equally large, so that rounding does not choose between mirror images.
fn signs<T: Real>(x: MatRef<T>) -> Vec<T> {
    let sign = |j: usize| {
        let column = || (0..x.nrows()).map(|i| Real::to_f64(x[(i, j)]));
        let most = column().fold(0.0, |most: f64, v| most.max(v.abs()));
        let negative = column().find(|v| v.abs() >= 0.99 * most).is_some_and(|v| v < 0.0);
        <T as Real>::from_f64(if negative { -1.0 } else { 1.0 })
    };
    (0..x.ncols()).map(sign).collect()
}

/// A copy in faer's own layout.
fn owned<T: Real>(x: MatRef<T>) -> Mat<T> {
    x.to_owned()
}
