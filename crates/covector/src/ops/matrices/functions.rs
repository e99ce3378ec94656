//! Rules of determinants, the pseudoinverse and the exponential.
//!
//! Sources: M. Giles 2008 (determinants); G. Golub and V. Pereyra 1973, "The differentiation of pseudo-inverses and nonlinear
//! least squares problems whose variables separate"; I. Najfeld and T. Havel 1995, "Derivatives of the matrix exponential and
//! their computation".

use covector_array::kernels::MatrixOp;

use super::{column, diagonal, h, imaginary, mm, node, row, split, t, unit};
use crate::Tensor;
use crate::ops::complex::conjugate;
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

/// `Ā = ȳ conj(C)`.
pub(super) fn det_vjp(x: &Tensor, c: &Tensor) -> Tensor {
    conjugate(&node(MatrixOp::Cofactor, &[x])) * number(c)
}

/// `dC = (⟨C, dA⟩ C - C dAᵀ C) / det A`.
pub(super) fn cofactor_jvp(x: &Tensor, y: &Tensor, da: &Tensor) -> Tensor {
    let det = number(&node(MatrixOp::Det, &[x]));
    (number(&inner(y, da)) * y - mm(y, &mm(&t(da), y))) / det
}

/// `Ā = (⟨C, C̄⟩ C - C C̄ᵀ C) / det A`: the map is its own transpose, and of complex numbers linear, so conjugated on both sides.
pub(super) fn cofactor_vjp(x: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    conjugate(&cofactor_jvp(x, y, &conjugate(c)))
}

/// The two results: the sign, and the logarithm of the size.
fn slogdet_parts(y: &Tensor) -> [Tensor; 2] {
    [0, 1].map(|i| piece(y, y.ndim() - 1, i, 1))
}

/// With `τ = tr(A⁻¹ dA)`: of the logarithm `dy = Re τ`; a real sign is constant, that of complex numbers turns: `i Im τ` times it.
pub(super) fn slogdet_jvp(x: &Tensor, y: &Tensor, da: &Tensor) -> Tensor {
    let trace = column(&diagonal(&node(MatrixOp::Solve, &[x, da])).sum(-1));
    if !x.dtype().is_complex() {
        return padded(&trace, trace.ndim() - 1, 1, 0);
    }
    let ([sign, _], turn) = (slogdet_parts(y), imaginary(&trace));
    concat(&[sign * &turn, trace - turn], -1)
}

/// `Ā = ȳ A⁻ᴴ`, with the cotangent of the logarithm and, of complex numbers, `i Im(s̄ conj(s))` of the sign `s`.
pub(super) fn slogdet_vjp(x: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    let (lead, n, _) = split(x.shape());
    let one = expand(&unit(n, x.dtype()), &lead.iter().copied().chain([n, n]).collect());
    let ([sign, _], [turned, mut along]) = (slogdet_parts(y), slogdet_parts(c));
    if x.dtype().is_complex() {
        along = along + imaginary(&(turned * conjugate(&sign)));
    }
    node(MatrixOp::Solve, &[&h(x), &one]) * row(&along)
}

/// `dY = -Y dA Y + Y Yᴴ dAᴴ (I - A Y) + (I - Y A) dAᴴ Yᴴ Y`, where the rank stays.
pub(super) fn pinv_jvp(a: &Tensor, y: &Tensor, da: &Tensor) -> Tensor {
    let dah = h(da);
    let right = mm(&mm(y, &h(y)), &dah);
    let left = mm(&dah, &mm(&h(y), y));
    (&right - mm(&mm(&right, a), y)) + (&left - mm(y, &mm(a, &left))) - mm(y, &mm(da, y))
}

/// `Ā = -Yᴴ Ȳ Yᴴ + (I - A Y) Ȳᴴ Y Yᴴ + Yᴴ Y Ȳᴴ (I - Y A)`.
pub(super) fn pinv_vjp(a: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    let (yh, ch) = (h(y), h(c));
    let left = mm(&ch, &mm(y, &yh));
    let right = mm(&mm(&yh, y), &ch);
    (&left - mm(a, &mm(y, &left))) + (&right - mm(&mm(&right, y), a)) - mm(&yh, &mm(c, &yh))
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

/// The same of the adjoint along the cotangent.
pub(super) fn expm_vjp(a: &Tensor, c: &Tensor) -> Tensor {
    expm_jvp(&h(a), c)
}
