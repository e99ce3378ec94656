//! Factorisations of matrices and what follows from them, batch by batch; `covector-factor` computes each.
//!
//! Each matrix is worked on by one thread, so that results depend neither on the number of threads nor on the rest of the
//! batch.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use covector_factor::{Matrix, factor_c128, factor_f32, factor_f64};
pub use covector_factor::{MatrixFault, MatrixOp};

use super::strided::par_chunks;
use crate::{Array, DType, Element, Shape};

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
        write!(f, "{}", self.fault)
    }
}

impl std::error::Error for MatrixError {}

/// The kernel of one matrix for elements of a type.
type Kernel<T> = fn(MatrixOp, Matrix<T>, Matrix<T>, &mut [T]) -> Result<(), MatrixFault>;

/// Computes `op` of every matrix of a batch: operands f32, f64 or c128 whose last two axes are matrices and whose leading axes
/// are equal, the result in `shape`.
///
/// # Errors
/// Names the first matrix that it cannot be computed of.
pub fn matrices(op: MatrixOp, inputs: &[Array], shape: &Shape) -> Result<Array, MatrixError> {
    match inputs[0].dtype() {
        DType::F32 => batch(factor_f32, op, inputs, shape),
        DType::F64 => batch(factor_f64, op, inputs, shape),
        DType::C128 => batch(factor_c128, op, inputs, shape),
        other => unreachable!("matrices are factorised in f32, f64 and c128, not {other}"),
    }
}

fn batch<T: Element>(kernel: Kernel<T>, op: MatrixOp, inputs: &[Array], shape: &Shape) -> Result<Array, MatrixError> {
    let lead = &inputs[0].shape()[..inputs[0].ndim() - 2];
    let count: usize = lead.iter().product();
    let inputs: Vec<Array> = inputs.iter().map(Array::contiguous).collect();
    let views = |i: usize| -> [Matrix<'_, T>; 2] {
        [0, 1].map(|k| match inputs.get(k) {
            None => Matrix { values: &[], rows: 0, columns: 0 },
            Some(x) => {
                let [rows, columns] = [2, 1].map(|back| x.shape()[x.ndim() - back]);
                let all = x.as_slice::<T>().expect("contiguous, and of the dtype of the first");
                Matrix { values: &all[i * rows * columns..][..rows * columns], rows, columns }
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
            let [x, y] = views(i);
            if let Err(fault) = kernel(op, x, y, piece) {
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

#[cfg(test)]
mod tests;
