//! Rules of eigenvalues and vectors of matrices that need not be symmetric.
//!
//! Where the matrix has no basis of eigenvectors they are infinite, and close to it large.
//!
//! Sources: M. Giles 2008; C. Boeddeker, P. Hanebrink, L. Drude, J. Heymann, R. Haeb-Umbach 2017, "On the computation of
//! complex-valued gradients with application to statistically optimum beamforming" (vectors of length 1).

use covector_array::kernels::MatrixOp;

use super::phases::{settled, unsettled};
use super::spectral::{eigh_parts, gaps, hollow};
use super::{conjugate, diag, diagonal, h, mm, node, packed, ratio, row};
use crate::ops::complex::real_part;
use crate::{Tensor, keep};

/// `Re(vᴴ x)` of every column, times the column of `v`.
fn lengthwise(v: &Tensor, x: &Tensor) -> Tensor {
    v * real_part(&(conjugate(v) * x).sum(keep(-2)))
}

/// With `E = V⁻¹ dA V`: `dw = diag E`, `dV = V (E / gaps)` off the diagonal, less what would change the lengths.
pub(super) fn eig_jvp(y: &Tensor, da: &Tensor) -> Tensor {
    let [w, v] = eigh_parts(da, y);
    let e = node(MatrixOp::Solve, &[&v, &mm(da, &v)]);
    let dv = mm(&v, &ratio(&hollow(&e), &gaps(&w)));
    let dv = &dv - lengthwise(&v, &dv);
    packed(&[&row(&diagonal(&e)), &settled(&v, dv)])
}

/// `Ā = V⁻ᴴ (diag w̄ + (Vᴴ V̄) / conj(gaps)) Vᴴ`, where V̄ is without what lies along the vectors.
pub(super) fn eig_vjp(x: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    let [w, v] = eigh_parts(x, y);
    let [wc, vc] = eigh_parts(x, c);
    let vc = unsettled(&v, vc);
    let vc = &vc - lengthwise(&v, &vc);
    let turned = ratio(&hollow(&mm(&h(&v), &vc)), &conjugate(&gaps(&w)));
    node(MatrixOp::Solve, &[&h(&v), &mm(&(diag(&wc) + turned), &h(&v))])
}

/// `dw = diag(V⁻¹ dA V)`.
pub(super) fn eigvals_jvp(x: &Tensor, da: &Tensor) -> Tensor {
    let [_, v] = super::eig(x);
    diagonal(&node(MatrixOp::Solve, &[&v, &mm(da, &v)]))
}

/// `Ā = V⁻ᴴ diag(w̄) Vᴴ`.
pub(super) fn eigvals_vjp(x: &Tensor, c: &Tensor) -> Tensor {
    let [_, v] = super::eig(x);
    node(MatrixOp::Solve, &[&h(&v), &mm(&diag(c), &h(&v))])
}
