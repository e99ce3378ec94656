//! Rules of the triangular factorisations.
//!
//! Sources: I. Murray 2016, "Differentiation of the Cholesky decomposition"; S. F. Walter and L. Lehmann 2010,
//! "Algorithmic differentiation of linear algebra functions with application in optimum experimental design" (QR);
//! F. de Hoog, R. Anderssen, M. Lukas 2011, "Differentiation of matrix functionals using triangular factorization" (LU).

use covector_array::{DType, Shape};

use super::{mm, packed, piece, split, t, triangular, unit, unpacked};
use crate::Tensor;
use crate::ops::scan::padded;
use crate::ops::view::{expand, reshaped};

/// The lower triangle with half the diagonal.
fn lower_half(x: &Tensor) -> Tensor {
    let n = x.shape()[x.ndim() - 1];
    x.tril(0) * (1.0 - unit(n, x.dtype()) * 0.5)
}

/// `dL = L Φ(L⁻¹ dA L⁻ᵀ)`.
pub(super) fn cholesky_jvp(l: &Tensor, da: &Tensor) -> Tensor {
    let left = triangular(l, da, false, false, false);
    let both = t(&triangular(l, &t(&left), false, false, false));
    mm(l, &lower_half(&both))
}

/// `Ā = L⁻ᵀ Φ(Lᵀ L̄) L⁻¹`.
pub(super) fn cholesky_vjp(l: &Tensor, c: &Tensor) -> Tensor {
    let middle = lower_half(&mm(&t(l), c));
    let left = triangular(l, &middle, false, true, false);
    t(&triangular(l, &t(&left), false, true, false))
}

pub(super) fn qr_parts(x: &Tensor, y: &Tensor) -> [Tensor; 2] {
    let (_, m, n) = split(x.shape());
    unpacked(y, [(m, n), (n, n)])
}

/// `b R⁻¹`.
fn over(b: &Tensor, r: &Tensor) -> Tensor {
    t(&triangular(r, &t(b), true, true, false))
}

/// With `C = Qᵀ dA R⁻¹` and `S` its strict lower triangle less the transpose of that:
/// `dQ = dA R⁻¹ - Q (C - S)`, `dR = (C - S) R`.
pub(super) fn qr_jvp(x: &Tensor, y: &Tensor, da: &Tensor) -> Tensor {
    let [q, r] = qr_parts(x, y);
    let da = over(da, &r);
    let c = mm(&t(&q), &da);
    let below = c.tril(-1);
    let upper = c - (&below - t(&below));
    packed(&[&(da - mm(&q, &upper)), &mm(&upper, &r)])
}

/// With `M = R R̄ᵀ - Q̄ᵀ Q`: `Ā = (Q̄ + Q (its lower triangle, mirrored upwards)) R⁻ᵀ`.
pub(super) fn qr_vjp(x: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    let ([q, r], [qc, rc]) = (qr_parts(x, y), qr_parts(x, c));
    let m = mm(&r, &t(&rc)) - mm(&t(&qc), &q);
    let mirrored = m.tril(0) + t(&m.tril(-1));
    let sum = qc + mm(&q, &mirrored);
    t(&triangular(&r, &t(&sum), true, false, false))
}

/// The packed factors, and the rows `[.., m]`.
pub(super) fn lu_parts(y: &Tensor) -> [Tensor; 2] {
    let (lead, m, n) = split(y.shape());
    let rows = piece(y, y.ndim() - 1, n - 1, 1);
    let lead: Shape = lead.iter().copied().chain([m]).collect();
    [piece(y, y.ndim() - 1, 0, n - 1), reshaped(&rows, lead).cast(DType::I64)]
}

/// `L [.., m, k]` and `U [.., k, n]` of `[.., m, n]`, `k` the smaller.
pub(super) fn lu_factors(packed: &Tensor) -> [Tensor; 2] {
    let (_, m, n) = split(packed.shape());
    let k = m.min(n);
    let axis = packed.ndim() - 2;
    let below = piece(packed, axis + 1, 0, k).tril(-1);
    let ones = padded(&unit(k, packed.dtype()), 0, 0, m - k);
    [below + ones, piece(packed, axis, 0, k).triu(0)]
}

/// Both factors square: L completed with columns, U with rows of the unit matrix.
fn lu_square(packed: &Tensor) -> [Tensor; 2] {
    let (_, m, n) = split(packed.shape());
    let k = m.min(n);
    let axis = packed.ndim() - 2;
    let [l, u] = lu_factors(packed);
    let corner = |n: usize| padded(&padded(&unit(n - k, packed.dtype()), 0, k, 0), 1, k, 0);
    [padded(&l, axis + 1, 0, m - k) + corner(m), padded(&u, axis, 0, n - k) + corner(n)]
}

/// The rows of `x` in this order.
fn ordered(x: &Tensor, rows: &Tensor) -> Tensor {
    x.take_along_axis(&expand(&super::column(rows), x.shape()), (x.ndim() - 2) as isize)
}

/// With `X = L⁻¹ P dA U⁻¹`: `L (strict lower triangle of X) + (upper triangle of X) U`.
pub(super) fn lu_jvp(y: &Tensor, da: &Tensor) -> Tensor {
    let [both, rows] = lu_parts(y);
    let [l, u] = lu_square(&both);
    let left = triangular(&l, &ordered(da, &rows), false, false, true);
    let x = over(&left, &u);
    let moved = mm(&l, &x.tril(-1)) + mm(&x.triu(0), &u);
    padded(&moved, moved.ndim() - 1, 0, 1)
}

/// With `X̄ = (strict lower triangle of Lᵀ Ȳ) + (upper triangle of Ȳ Uᵀ)`: `Ā = Pᵀ L⁻ᵀ X̄ U⁻ᵀ`.
pub(super) fn lu_vjp(y: &Tensor, c: &Tensor) -> Tensor {
    let [both, rows] = lu_parts(y);
    let [l, u] = lu_square(&both);
    let c = piece(c, c.ndim() - 1, 0, c.shape()[c.ndim() - 1] - 1);
    let x = mm(&t(&l), &c).tril(-1) + mm(&c, &t(&u)).triu(0);
    let left = triangular(&l, &x, false, true, true);
    let back = rows.argsort(-1, false);
    ordered(&t(&triangular(&u, &t(&left), true, false, false)), &back)
}
