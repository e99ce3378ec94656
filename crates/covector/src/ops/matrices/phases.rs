//! Columns of complex numbers whose angle is a choice: of each the first of the elements of about the largest size is real
//! and positive, and stays so.
//!
//! A rule moves vectors by what the matrix says of them, which leaves open how each turns as a whole. Here it is turned by
//! as much as keeps that element real. What functions that do not depend on angles see is the same with or without it.

use super::{conjugate, imaginary, row};
use crate::ops::create::iota;
use crate::ops::view::reshaped;
use crate::{DType, Tensor, keep};

/// Which element of each column is real.
pub(super) struct Phases {
    /// 1 at that element, else 0.
    at: Tensor,
    /// The element itself: `[.., 1, n]`.
    size: Tensor,
}

impl Phases {
    /// Nothing for real columns, which cannot turn, and for columns without elements.
    pub fn of(v: &Tensor) -> Option<Phases> {
        let rows = v.shape()[v.ndim() - 2];
        if !v.dtype().is_complex() || v.shape().size() == 0 {
            return None;
        }
        let size = v.abs();
        let large = size.greater_equal(size.max(keep(-2)) * 0.99);
        let first = large.cast(DType::I64).argmax(-2);
        let at = reshaped(&iota(rows, DType::I64), [rows, 1]).equal(row(&first)).cast(v.dtype());
        let size = (&at * v).sum(keep(-2));
        Some(Phases { at, size })
    }

    /// `i φ [.., 1, n]`, where a column moved by `dv` has turned by φ.
    pub fn turn(&self, dv: &Tensor) -> Tensor {
        imaginary(&(&self.at * dv).sum(keep(-2))) / &self.size
    }

    /// The cotangent of `dv` where `i φ` has the part `turned`.
    pub fn unturned(&self, vc: &Tensor, turned: &Tensor) -> Tensor {
        vc + &self.at * (turned / &self.size)
    }
}

/// The part that the cotangent of columns has in their turning back: `[.., 1, n]`, imaginary.
pub(super) fn turning(v: &Tensor, vc: &Tensor) -> Tensor {
    imaginary(&(conjugate(vc) * v).sum(keep(-2)))
}

/// The change of columns that are kept settled.
pub(super) fn settled(v: &Tensor, dv: Tensor) -> Tensor {
    match Phases::of(v) {
        Some(phases) => &dv - v * phases.turn(&dv),
        None => dv,
    }
}

/// The transpose of [`settled`].
pub(super) fn unsettled(v: &Tensor, vc: Tensor) -> Tensor {
    match Phases::of(v) {
        Some(phases) => phases.unturned(&vc, &turning(v, &vc)),
        None => vc,
    }
}
