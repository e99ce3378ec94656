//! Rules of determinants, the pseudoinverse and the exponential.
//!
//! Sources: M. Giles 2008 (determinants); G. Golub and V. Pereyra 1973, "The differentiation of pseudo-inverses and nonlinear
//! least squares problems whose variables separate"; I. Najfeld and T. Havel 1995, "Derivatives of the matrix exponential and
//! their computation".

use covector_array::kernels::MatrixOp;

use super::{column, diagonal, mm, node, row, split, t, unit};
use crate::Tensor;
use crate::ops::concat::concat;
use crate::ops::scan::{padded, piece};
use crate::ops::view::expand;

/// A number for each matrix as `[.., 1, 1]`.
fn number(x: &Tensor) -> Tensor {
    column(&column(x))
}

/// The sum of the products of equal elements: a number for each matrix.
fn inner(a: &Tensor, b: &Tensor) -> Tensor {
    (a * b).sum([-2, -1])
}

/// `dy = Σ C·dA`, with the cofactors `C`.
pub(super) fn det_jvp(x: &Tensor, da: &Tensor) -> Tensor {
    inner(&node(MatrixOp::Cofactor, &[x]), da)
}

/// `Ā = ȳ C`.
pub(super) fn det_vjp(x: &Tensor, c: &Tensor) -> Tensor {
    node(MatrixOp::Cofactor, &[x]) * number(c)
}

/// `dC = (⟨C, dA⟩ C - C dAᵀ C) / det A`.
pub(super) fn cofactor_jvp(x: &Tensor, y: &Tensor, da: &Tensor) -> Tensor {
    let det = number(&node(MatrixOp::Det, &[x]));
    (number(&inner(y, da)) * y - mm(y, &mm(&t(da), y))) / det
}

/// `Ā = (⟨C, C̄⟩ C - C C̄ᵀ C) / det A`: the map is its own transpose.
pub(super) fn cofactor_vjp(x: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    cofactor_jvp(x, y, c)
}

/// The sign is constant; of the logarithm `dy = tr(A⁻¹ dA)`.
pub(super) fn slogdet_jvp(x: &Tensor, da: &Tensor) -> Tensor {
    let trace = column(&diagonal(&node(MatrixOp::Solve, &[x, da])).sum(-1));
    padded(&trace, trace.ndim() - 1, 1, 0)
}

/// `Ā = ȳ A⁻ᵀ`, with the cotangent of the logarithm.
pub(super) fn slogdet_vjp(x: &Tensor, c: &Tensor) -> Tensor {
    let (lead, n, _) = split(x.shape());
    let one = expand(&unit(n, x.dtype()), &lead.iter().copied().chain([n, n]).collect());
    let logarithm = piece(c, c.ndim() - 1, 1, 1);
    node(MatrixOp::Solve, &[&t(x), &one]) * row(&logarithm)
}

/// `dY = -Y dA Y + Y Yᵀ dAᵀ (I - A Y) + (I - Y A) dAᵀ Yᵀ Y`, where the rank stays.
pub(super) fn pinv_jvp(a: &Tensor, y: &Tensor, da: &Tensor) -> Tensor {
    let dat = t(da);
    let right = mm(&mm(y, &t(y)), &dat);
    let left = mm(&dat, &mm(&t(y), y));
    (&right - mm(&mm(&right, a), y)) + (&left - mm(y, &mm(a, &left))) - mm(y, &mm(da, y))
}

/// `Ā = -Yᵀ Ȳ Yᵀ + (I - A Y) Ȳᵀ Y Yᵀ + Yᵀ Y Ȳᵀ (I - Y A)`.
pub(super) fn pinv_vjp(a: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    let (yt, ct) = (t(y), t(c));
    let left = mm(&ct, &mm(y, &yt));
    let right = mm(&mm(&yt, y), &ct);
    (&left - mm(a, &mm(y, &left))) + (&right - mm(&mm(&right, y), a)) - mm(&yt, &mm(c, &yt))
}

/// The upper right block of `exp [[A, dA], [0, A]]`.
pub(super) fn expm_jvp(a: &Tensor, da: &Tensor) -> Tensor {
    let n = a.shape()[a.ndim() - 1];
    let (rows, columns) = (a.ndim() - 2, a.ndim() - 1);
    let upper = concat(&[a.clone(), da.clone()], -1);
    let lower = padded(a, columns, n, 0);
    let y = node(MatrixOp::Expm, &[&concat(&[upper, lower], -2)]);
    piece(&piece(&y, rows, 0, n), columns, n, n)
}

/// The same of the transpose along the cotangent.
pub(super) fn expm_vjp(a: &Tensor, c: &Tensor) -> Tensor {
    expm_jvp(&t(a), c)
}
