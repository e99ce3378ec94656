//! Rules of eigenvalues and singular values.
//!
//! Where two of them are equal, their vectors are a choice, and a derivative that would depend on the choice is infinite;
//! one that does not is finite, as every share of the freedom is 0 exactly (`ratio`).
//!
//! Sources: M. Giles 2008 (eigenvalues); J. Townsend 2016, "Differentiating the singular value decomposition".

use covector_array::kernels::MatrixOp;

use super::phases::{Phases, settled, turning, unsettled};
use super::{
    column, diag, diagonal, h, mm, node, on_diagonal, packed, ratio, row, skew, split, symmetric, t, unpacked,
};
use crate::Tensor;
use crate::ops::complex::conjugate;
use crate::ops::view::reshaped;

/// The diagonal replaced by zeros.
pub(super) fn hollow(x: &Tensor) -> Tensor {
    let n = x.shape()[x.ndim() - 1];
    on_diagonal(n).where_(0.0, x)
}

/// `[.., 1, n]` as `[.., n]`.
fn flat(x: &Tensor) -> Tensor {
    reshaped(x, x.shape().without(|axis| axis + 2 == x.ndim()))
}

/// Element `[i, j]` is `w[j] - w[i]`.
pub(super) fn gaps(w: &Tensor) -> Tensor {
    row(w) - column(w)
}

pub(super) fn eigh_parts(x: &Tensor, y: &Tensor) -> [Tensor; 2] {
    let (_, _, n) = split(x.shape());
    let [w, v] = unpacked(y, [(1, n), (n, n)]);
    [flat(&w), v]
}

/// With `E = Vᴴ dA V`: `dw = diag E`, `dV = V (E / gaps)` off the diagonal.
pub(super) fn eigh_jvp(x: &Tensor, y: &Tensor, da: &Tensor) -> Tensor {
    let [w, v] = eigh_parts(x, y);
    let e = mm(&h(&v), &mm(da, &v));
    let dv = mm(&v, &ratio(&hollow(&e), &gaps(&w)));
    packed(&[&row(&diagonal(&e)), &settled(&v, dv)])
}

/// `Ā = V (diag w̄ + (Vᴴ V̄) / gaps) Vᴴ`; of the middle the symmetric half, as the matrix is.
pub(super) fn eigh_vjp(x: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    let ([w, v], [wc, vc]) = (eigh_parts(x, y), eigh_parts(x, c));
    let turned = ratio(&hollow(&skew(&mm(&h(&v), &unsettled(&v, vc)))), &gaps(&w));
    mm(&v, &mm(&(diag(&wc) + turned), &h(&v)))
}

/// `dw = diag(Vᴴ dA V)`.
pub(super) fn eigvalsh_jvp(x: &Tensor, da: &Tensor) -> Tensor {
    let [_, v] = super::eigh(x);
    (conjugate(&v) * mm(da, &v)).sum(-2)
}

/// `Ā = V diag(w̄) Vᴴ`.
pub(super) fn eigvalsh_vjp(x: &Tensor, c: &Tensor) -> Tensor {
    let [_, v] = super::eigh(x);
    mm(&(&v * row(c)), &h(&v))
}

pub(super) fn svd_parts(x: &Tensor, y: &Tensor) -> [Tensor; 3] {
    let (_, m, n) = split(x.shape());
    let [u, s, vh] = unpacked(y, [(m, n), (1, n), (n, n)]);
    [u, flat(&s), vh]
}

/// Element `[i, j]` is `s[j] + s[i]`.
fn sums(s: &Tensor) -> Tensor {
    row(s) + column(s)
}

/// With `P = Uᴴ dA V`, `G` its symmetric half over the differences of the singular values, 0 on the diagonal, and `H` its other
/// half over their sums: `dU = U (G + H) + (dA V - U P) / s`, `ds = Re diag P`, `dV = V (G - H)`. Angles, which U and V share, are
/// settled by U.
pub(super) fn svd_jvp(x: &Tensor, y: &Tensor, da: &Tensor) -> Tensor {
    let (_, m, n) = split(x.shape());
    let [u, s, vh] = svd_parts(x, y);
    let dav = mm(da, &h(&vh));
    let p = mm(&h(&u), &dav);
    let (even, odd) = (ratio(&hollow(&symmetric(&p)), &gaps(&s)), ratio(&skew(&p), &sums(&s)));
    let mut du = mm(&u, &(&even + &odd));
    if m > n {
        du = du + ratio(&(&dav - mm(&u, &p)), &row(&s));
    }
    // dVᴴ = (G - H)ᴴ Vᴴ, and G changes its sign when transposed and conjugated, as H does.
    let mut dvh = mm(&(odd - even), &vh);
    if let Some(phases) = Phases::of(&u) {
        let turn = phases.turn(&du);
        du = du - &u * &turn;
        dvh = dvh + t(&turn) * &vh;
    }
    packed(&[&du, &row(&diagonal(&symmetric(&p))), &dvh])
}

pub(super) fn svd_vjp(x: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    let (_, m, n) = split(x.shape());
    let ([u, s, vh], [mut uc, sc, vhc]) = (svd_parts(x, y), svd_parts(x, c));
    if let Some(phases) = Phases::of(&u) {
        let turned = turning(&u, &uc) - turning(&t(&vh), &t(&vhc));
        uc = phases.unturned(&uc, &turned);
    }
    let (mu, mv) = (mm(&h(&u), &uc), mm(&vh, &h(&vhc)));
    let even = ratio(&hollow(&skew(&(&mu + &mv))), &gaps(&s));
    let odd = ratio(&skew(&(&mu - &mv)), &sums(&s));
    let mut left = mm(&u, &(symmetric(&diag(&sc)) + even + odd));
    if m > n {
        let over = ratio(&uc, &row(&s));
        left = left + (&over - mm(&u, &mm(&h(&u), &over)));
    }
    mm(&left, &vh)
}

/// `ds = diag(Uᴴ dA V)`.
pub(super) fn svdvals_jvp(x: &Tensor, da: &Tensor) -> Tensor {
    let [u, _, vh] = super::svd(x);
    (conjugate(&u) * mm(da, &h(&vh))).sum(-2)
}

/// `Ā = U diag(s̄) Vᴴ`.
pub(super) fn svdvals_vjp(x: &Tensor, c: &Tensor) -> Tensor {
    let [u, _, vh] = super::svd(x);
    mm(&(&u * row(c)), &vh)
}

/// Columns that complete `q` to a basis.
pub(crate) fn complement(q: &Tensor) -> Tensor {
    node(MatrixOp::Complement, &[q])
}

/// `dN = -Q dQᴴ N`: the columns stay orthogonal to `Q`, and do not turn among themselves, which nothing determines.
pub(super) fn complement_jvp(q: &Tensor, n: &Tensor, dq: &Tensor) -> Tensor {
    settled(n, -mm(q, &mm(&h(dq), n)))
}

/// `Q̄ = -N N̄ᴴ Q`.
pub(super) fn complement_vjp(q: &Tensor, n: &Tensor, c: &Tensor) -> Tensor {
    -mm(n, &mm(&h(&unsettled(n, c.clone())), q))
}
