//! Factorisations of matrices and what follows from them, batch by batch: the one door to faer.
//!
//! Each matrix is worked on by one thread, so that results depend neither on the number of threads nor on the rest of the
//! batch. They do depend on the instruction set, whose widths faer takes for its sums. Signs that a factorisation
//! leaves open are fixed here, so that they depend on neither.

mod factor;
mod functions;
mod solve;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use faer::{Mat, MatRef};

use super::strided::par_chunks;
use crate::{Array, DType, Element, Shape};

/// What is computed of each matrix of a batch. Matrices are the last two axes; packed results lie one after the other along
/// one axis, each in row-major order.
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

/// Which matrix of a batch an op cannot do with, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MatrixError {
    /// The place of the matrix in the batch, one number for each leading axis.
    pub place: Vec<usize>,
    /// What it is.
    pub fault: MatrixFault,
}

impl fmt::Display for MatrixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.len() {
            0 => f.write_str("the matrix ")?,
            _ => write!(f, "matrix {:?} of the batch ", self.place)?,
        }
        match self.fault {
            MatrixFault::Singular(i) => write!(f, "is singular: pivot {i} is exactly 0"),
            MatrixFault::NotPositiveDefinite(i) => {
                write!(f, "is not positive definite: its leading minor of order {} is not positive", i + 1)
            }
            MatrixFault::NotFinite => f.write_str("holds NaN or infinity"),
            MatrixFault::NotConverged => f.write_str("is one for which the iteration does not converge"),
        }
    }
}

impl std::error::Error for MatrixError {}

/// The types that matrices are factorised in.
trait Real: Element + faer::traits::RealField {}
impl Real for f32 {}
impl Real for f64 {}

/// A matrix of the batch, row-major.
type View<'a, T> = MatRef<'a, T>;

/// Computes `op` of every matrix of a batch: operands f32 or f64 with equal leading axes, the result in `shape`.
///
/// # Errors
/// Names the first matrix that it cannot be computed of.
pub fn matrices(op: MatrixOp, inputs: &[Array], shape: &Shape) -> Result<Array, MatrixError> {
    match inputs[0].dtype() {
        DType::F32 => batch::<f32>(op, inputs, shape),
        DType::F64 => batch::<f64>(op, inputs, shape),
        other => unreachable!("matrices are factorised in f32 and f64, not {other}"),
    }
}

fn batch<T: Real>(op: MatrixOp, inputs: &[Array], shape: &Shape) -> Result<Array, MatrixError> {
    let lead = &inputs[0].shape()[..inputs[0].ndim() - 2];
    let count: usize = lead.iter().product();
    let inputs: Vec<Array> = inputs.iter().map(Array::contiguous).collect();
    let views = |i: usize| -> [View<'_, T>; 2] {
        [0, 1].map(|k| match inputs.get(k) {
            None => MatRef::from_row_major_slice(&[], 0, 0),
            Some(x) => {
                let [rows, columns] = [2, 1].map(|back| x.shape()[x.ndim() - back]);
                let all = x.as_slice::<T>().expect("contiguous, and of the dtype of the first");
                MatRef::from_row_major_slice(&all[i * rows * columns..][..rows * columns], rows, columns)
            }
        })
    };
    let n = inputs[0].shape()[inputs[0].ndim() - 1];
    let first = Mutex::new(None::<(usize, MatrixFault)>);
    let made = Array::build::<T>(shape.clone(), |out| {
        let each = out.len() / count.max(1);
        if each == 0 {
            return;
        }
        par_chunks(out, each, out_cost(count, &inputs[0], n), |start, piece| {
            let i = start / each;
            if let Err(fault) = one(op, views(i), piece) {
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                if first.is_none_or(|(j, _)| i < j) {
                    *first = Some((i, fault));
                }
            }
        });
    });
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(made),
        Some((mut i, fault)) => {
            let mut place: Vec<usize> = lead.to_vec();
            place.iter_mut().rev().for_each(|axis| (*axis, i) = (i % *axis, i / *axis));
            Err(MatrixError { place, fault })
        }
    }
}

/// Roughly the multiplications of a factorisation of each.
fn out_cost(count: usize, x: &Array, n: usize) -> usize {
    count.saturating_mul(x.size() / count.max(1)).saturating_mul(n)
}

fn one<T: Real>(op: MatrixOp, [a, b]: [View<T>; 2], out: &mut [T]) -> Result<(), MatrixFault> {
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
    let odd = (0..x.nrows()).any(|i| (0..x.ncols()).any(|j| !Element::to_f64(x[(i, j)]).is_finite()));
    if odd { Err(MatrixFault::NotFinite) } else { Ok(()) }
}

/// Of every column -1 where its sign has to change: the first of the elements that are about the largest is positive.
///
/// Elements within a hundredth count as equally large, so that rounding does not choose between mirror images.
fn signs<T: Real>(x: MatRef<T>) -> Vec<T> {
    let sign = |j: usize| {
        let column = || (0..x.nrows()).map(|i| Element::to_f64(x[(i, j)]));
        let most = column().fold(0.0, |most: f64, v| most.max(v.abs()));
        let negative = column().find(|v| v.abs() >= 0.99 * most).is_some_and(|v| v < 0.0);
        T::from_f64(if negative { -1.0 } else { 1.0 })
    };
    (0..x.ncols()).map(sign).collect()
}

/// A copy in faer's own layout.
fn owned<T: Real>(x: MatRef<T>) -> Mat<T> {
    x.to_owned()
}

#[cfg(test)]
mod tests;
