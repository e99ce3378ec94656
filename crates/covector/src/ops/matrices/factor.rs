//! Rules of the triangular factorisations.
//!
//! Sources: I. Murray 2016, "Differentiation of the Cholesky decomposition"; S. F. Walter and L. Lehmann 2010,
//! "Algorithmic differentiation of linear algebra functions with application in optimum experimental design" (QR);
//! F. de Hoog, R. Anderssen, M. Lukas 2011, "Differentiation of matrix functionals using triangular factorization" (LU).

use covector_array::{DType, Shape};

use super::{h, mm, packed, piece, split, t, triangular, triangular_adjoint, unit, unpacked};
use crate::Tensor;
use crate::ops::complex::real_part;
use crate::ops::scan::padded;
use crate::ops::view::{expand, reshaped};

/// The lower triangle with half the diagonal.
fn lower_half(x: &Tensor) -> Tensor {
    let n = x.shape()[x.ndim() - 1];
    x.tril(0) * (1.0 - unit(n, x.dtype()) * 0.5)
}

/// `dL = L Φ(L⁻¹ dA L⁻ᴴ)`.
pub(super) fn cholesky_jvp(l: &Tensor, da: &Tensor) -> Tensor {
    let left = triangular(l, da, false, false, false);
    let both = h(&triangular(l, &h(&left), false, false, false));
    mm(l, &lower_half(&both))
}

/// `Ā = L⁻ᴴ Φ(Lᴴ L̄) L⁻¹`.
pub(super) fn cholesky_vjp(l: &Tensor, c: &Tensor) -> Tensor {
    let middle = lower_half(&mm(&h(l), c));
    let left = triangular_adjoint(l, &middle, false, false);
    h(&triangular_adjoint(l, &h(&left), false, false))
}

pub(super) fn qr_parts(x: &Tensor, y: &Tensor) -> [Tensor; 2] {
    let (_, m, n) = split(x.shape());
    unpacked(y, [(m, n), (n, n)])
}

/// `b R⁻¹`.
fn over(b: &Tensor, r: &Tensor) -> Tensor {
    t(&triangular(r, &t(b), true, true, false))
}

/// With `C = Qᴴ dA R⁻¹` and `S` its lower triangle with half the diagonal, less the adjoint of that:
/// `dQ = dA R⁻¹ - Q (C - S)`, `dR = (C - S) R`.
pub(super) fn qr_jvp(x: &Tensor, y: &Tensor, da: &Tensor) -> Tensor {
    let [q, r] = qr_parts(x, y);
    let da = over(da, &r);
    let c = mm(&h(&q), &da);
    let below = lower_half(&c);
    let upper = c - (&below - h(&below));
    packed(&[&(da - mm(&q, &upper)), &mm(&upper, &r)])
}

/// With `N = R̄ Rᴴ - Qᴴ Q̄`: `Ā = (Q̄ + Q (N + the lower triangle of Nᴴ - N with half the diagonal)) R⁻ᴴ`.
pub(super) fn qr_vjp(x: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    let ([q, r], [qc, rc]) = (qr_parts(x, y), qr_parts(x, c));
    let n = mm(&rc, &h(&r)) - mm(&h(&q), &qc);
    let mirrored = &n + lower_half(&(h(&n) - &n));
    let sum = qc + mm(&q, &mirrored);
    h(&triangular(&r, &h(&sum), true, false, false))
}

/// The packed factors, and the rows `[.., m]`.
pub(super) fn lu_parts(y: &Tensor) -> [Tensor; 2] {
    let (lead, m, n) = split(y.shape());
    let rows = piece(y, y.ndim() - 1, n - 1, 1);
    let lead: Shape = lead.iter().copied().chain([m]).collect();
    [piece(y, y.ndim() - 1, 0, n - 1), real_part(&reshaped(&rows, lead)).cast(DType::I64)]
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

/// With `X̄ = (strict lower triangle of Lᴴ Ȳ) + (upper triangle of Ȳ Uᴴ)`: `Ā = Pᵀ L⁻ᴴ X̄ U⁻ᴴ`.
pub(super) fn lu_vjp(y: &Tensor, c: &Tensor) -> Tensor {
    let [both, rows] = lu_parts(y);
    let [l, u] = lu_square(&both);
    let c = piece(c, c.ndim() - 1, 0, c.shape()[c.ndim() - 1] - 1);
    let x = mm(&h(&l), &c).tril(-1) + mm(&c, &h(&u)).triu(0);
    let left = triangular_adjoint(&l, &x, false, true);
    let back = rows.argsort(-1, false);
    ordered(&h(&triangular(&u, &h(&left), true, false, false)), &back)
}
