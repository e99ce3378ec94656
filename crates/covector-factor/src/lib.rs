//! Factorisations of one matrix and what follows from them, on slices: the one door to faer.
//!
//! They stand in a crate of their own so that faer's algorithms are compiled once, for f32, f64 and c128, and not whenever
//! a kernel changes. Batches, threads and arrays are the business of the crate above.
//!
//! A matrix is worked on by the calling thread alone. Results depend on the instruction set, whose widths faer takes for its
//! sums. Signs that a factorisation leaves open (of complex matrices: angles) are fixed here, so that they do not.

#![forbid(unsafe_code)]

mod eigen;
mod factor;
mod functions;
mod level;
mod solve;

use std::fmt;
use std::ops::{Add, Mul};

use faer::{Mat, MatRef};
use num_complex::Complex;

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
    /// `[n, n]` of complex numbers `-> n + n n`: eigenvalues, ascending by their real parts, and vectors of length 1 as columns.
    Eig,
    /// `[n, n]` of complex numbers `-> n`: eigenvalues in the order of [`Eig`](MatrixOp::Eig).
    Eigvals,
    /// `[m, n]` with `m >= n`, `-> m n + n + n n`: U, the singular values, descending, and V transposed and conjugated.
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
    /// `[m, n], [1, 1] -> [n, m]`: the pseudoinverse; singular values up to the second operand times the largest count as 0.
    Pinv,
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
/// If a slice has not the length that the sizes and the op ask for, or the op is one of complex numbers.
pub fn factor_f32(op: MatrixOp, a: Matrix<f32>, b: Matrix<f32>, out: &mut [f32]) -> Result<(), MatrixFault> {
    one(op, a, b, out)
}

/// Computes `op` of a matrix of f64, and of a second one where the op has two operands; else that one is not looked at.
///
/// # Errors
/// Says what the matrix is that the op cannot do with; what `out` holds then means nothing.
///
/// # Panics
/// If a slice has not the length that the sizes and the op ask for, or the op is one of complex numbers.
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

/// Computes `op` of a matrix of c128, and of a second one where the op has two operands; else that one is not looked at.
///
/// Where a result is real (eigenvalues of Hermitian matrices, singular values, logarithms) its imaginary part is 0.
///
/// # Errors
/// Says what the matrix is that the op cannot do with; what `out` holds then means nothing.
///
/// # Panics
/// If a slice has not the length that the sizes and the op ask for.
pub fn factor_c128(
    op: MatrixOp,
    a: Matrix<Complex<f64>>,
    b: Matrix<Complex<f64>>,
    out: &mut [Complex<f64>],
) -> Result<(), MatrixFault> {
    match op {
        MatrixOp::Eig => eigen::eig(view(a), out),
        MatrixOp::Eigvals => eigen::eigvals(view(a), out),
        _ => one(op, a, b, out),
    }
}

/// The types that matrices are factorised in.
trait Number: faer::traits::ComplexField + Copy + Default + Add<Output = Self> + Mul<Output = Self> {
    /// The type of the same kind with the most digits.
    type Wide: Number;
    /// Up to this power of 2, and down to its inverse, squares of elements and their sums are far from overflow and underflow.
    const USUAL: i32;
    /// The number as a complex one.
    fn complex(self) -> Complex<f64>;
    /// The number nearest to a complex one; a real type leaves the imaginary part out.
    fn of(z: Complex<f64>) -> Self;
    /// The number of this real value.
    fn real(x: f64) -> Self {
        Self::of(Complex::new(x, 0.0))
    }
    /// The complex conjugate.
    fn conjugate(self) -> Self {
        Self::of(self.complex().conj())
    }
    /// The size.
    fn size(self) -> f64 {
        let z = self.complex();
        z.re.hypot(z.im)
    }
}

impl Number for f32 {
    type Wide = f64;
    const USUAL: i32 = 30;
    fn complex(self) -> Complex<f64> {
        Complex::new(f64::from(self), 0.0)
    }
    fn of(z: Complex<f64>) -> f32 {
        z.re as f32
    }
}

impl Number for f64 {
    type Wide = f64;
    const USUAL: i32 = 400;
    fn complex(self) -> Complex<f64> {
        Complex::new(self, 0.0)
    }
    fn of(z: Complex<f64>) -> f64 {
        z.re
    }
}

impl Number for Complex<f64> {
    type Wide = Complex<f64>;
    const USUAL: i32 = 400;
    fn complex(self) -> Complex<f64> {
        self
    }
    fn of(z: Complex<f64>) -> Complex<f64> {
        z
    }
}

/// The real value of one of faer's real numbers that belong to `T`.
fn real_value<T: Number>(x: &T::Real) -> f64 {
    T::from_real_impl(x).complex().re
}

/// A matrix of the caller, row-major.
type View<'a, T> = MatRef<'a, T>;

fn view<T>(x: Matrix<'_, T>) -> View<'_, T> {
    MatRef::from_row_major_slice(x.values, x.rows, x.columns)
}

fn one<T: Number>(op: MatrixOp, a: Matrix<T>, b: Matrix<T>, out: &mut [T]) -> Result<(), MatrixFault> {
    let [a, b] = [a, b].map(view);
    match op {
        MatrixOp::Cholesky => factor::cholesky(a, out),
        MatrixOp::Lu => factor::lu(a, out),
        MatrixOp::Qr => factor::qr(a, out),
        MatrixOp::Complement => factor::complement(a, out),
        MatrixOp::Eigh => factor::eigh(a, out),
        MatrixOp::Eigvalsh => factor::eigvalsh(a, out),
        MatrixOp::Eig | MatrixOp::Eigvals => panic!("{op:?} takes complex numbers"),
        MatrixOp::Svd => factor::svd(a, out),
        MatrixOp::Svdvals => factor::svdvals(a, out),
        MatrixOp::Solve => solve::solve(a, b, out),
        MatrixOp::TriangularSolve { upper, transposed, unit } => solve::triangular(a, b, upper, transposed, unit, out),
        MatrixOp::Det => solve::det(a, out),
        MatrixOp::Cofactor => functions::cofactor(a, out),
        MatrixOp::SlogDet => solve::slogdet(a, out),
        MatrixOp::Pinv => functions::pinv(a, b[(0, 0)].complex().re, out),
        MatrixOp::Expm => functions::expm(a, out),
    }
}

/// Writes a matrix in row-major order.
fn write<T: Number>(x: MatRef<T>, out: &mut [T]) {
    let columns = x.ncols();
    for (i, o) in out.iter_mut().enumerate() {
        *o = x[(i / columns, i % columns)];
    }
}

/// # Errors
/// If an element is NaN or infinite.
fn finite<T: Number>(x: MatRef<T>) -> Result<(), MatrixFault> {
    let odd = (0..x.nrows()).any(|i| (0..x.ncols()).any(|j| !x[(i, j)].complex().is_finite()));
    if odd { Err(MatrixFault::NotFinite) } else { Ok(()) }
}

/// The direction of a number, of size 1; 1 for 0 and NaN.
fn direction(z: Complex<f64>) -> Complex<f64> {
    let size = z.re.hypot(z.im);
    match z.im == 0.0 || size == 0.0 || !size.is_finite() {
        true => Complex::new(if z.re < 0.0 { -1.0 } else { 1.0 }, 0.0),
        false => z.unscale(size),
    }
}

/// The columns turned so that of each the first of the elements that are about the largest is real and positive, and
/// what each was multiplied with.
///
/// Elements within a hundredth count as equally large, so that rounding does not choose between mirror images.
fn settled<T: Number>(x: MatRef<T>) -> (Mat<T>, Vec<Complex<f64>>) {
    let first = |j: usize| {
        let column = || (0..x.nrows()).map(|i| x[(i, j)].size());
        let most = column().fold(0.0, f64::max);
        column().position(|size| size >= 0.99 * most)
    };
    let firsts: Vec<Option<usize>> = (0..x.ncols()).map(first).collect();
    let turn =
        |(j, i): (usize, &Option<usize>)| i.map_or(Complex::new(1.0, 0.0), |i| direction(x[(i, j)].complex()).conj());
    let turns: Vec<Complex<f64>> = firsts.iter().enumerate().map(turn).collect();
    let y = Mat::from_fn(x.nrows(), x.ncols(), |i, j| match firsts[j] == Some(i) {
        true => T::real(x[(i, j)].size()),
        false => T::of(x[(i, j)].complex() * turns[j]),
    });
    (y, turns)
}

/// Each column times its factor.
fn scaled<T: Number>(x: MatRef<T>, by: &[Complex<f64>]) -> Mat<T> {
    Mat::from_fn(x.nrows(), x.ncols(), |i, j| T::of(x[(i, j)].complex() * by[j]))
}

/// Rows and columns exchanged, conjugated.
fn adjoint<T: Number>(x: MatRef<T>) -> Mat<T> {
    Mat::from_fn(x.ncols(), x.nrows(), |i, j| x[(j, i)].conjugate())
}

/// A copy in faer's own layout.
fn owned<T: Number>(x: MatRef<T>) -> Mat<T> {
    x.to_owned()
}
