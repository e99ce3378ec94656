//! Rules of eigenvalues and singular values.
//!
//! Where two of them are equal, their vectors are a choice, and a derivative that would depend on the choice is infinite;
//! one that does not is finite, as every share of the freedom is 0 exactly (`ratio`).
//!
//! Sources: M. Giles 2008 (eigenvalues); J. Townsend 2016, "Differentiating the singular value decomposition".

use covector_array::kernels::MatrixOp;

use super::{column, diag, diagonal, mm, node, on_diagonal, packed, ratio, row, skew, split, symmetric, t, unpacked};
use crate::Tensor;
use crate::ops::view::reshaped;

/// The diagonal replaced by zeros.
fn hollow(x: &Tensor) -> Tensor {
    let n = x.shape()[x.ndim() - 1];
    on_diagonal(n).where_(0.0, x)
}

/// `[.., 1, n]` as `[.., n]`.
fn flat(x: &Tensor) -> Tensor {
    reshaped(x, x.shape().without(|axis| axis + 2 == x.ndim()))
}

/// Element `[i, j]` is `w[j] - w[i]`.
fn gaps(w: &Tensor) -> Tensor {
    row(w) - column(w)
}

pub(super) fn eigh_parts(x: &Tensor, y: &Tensor) -> [Tensor; 2] {
    let (_, _, n) = split(x.shape());
    let [w, v] = unpacked(y, [(1, n), (n, n)]);
    [flat(&w), v]
}

/// With `E = Vᵀ dA V`: `dw = diag E`, `dV = V (E / gaps)` off the diagonal.
pub(super) fn eigh_jvp(x: &Tensor, y: &Tensor, da: &Tensor) -> Tensor {
    let [w, v] = eigh_parts(x, y);
    let e = mm(&t(&v), &mm(da, &v));
    packed(&[&row(&diagonal(&e)), &mm(&v, &ratio(&hollow(&e), &gaps(&w)))])
}

/// `Ā = V (diag w̄ + (Vᵀ V̄) / gaps) Vᵀ`; of the middle the symmetric half, as the matrix is.
pub(super) fn eigh_vjp(x: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    let ([w, v], [wc, vc]) = (eigh_parts(x, y), eigh_parts(x, c));
    let turned = ratio(&hollow(&skew(&mm(&t(&v), &vc))), &gaps(&w));
    mm(&v, &mm(&(diag(&wc) + turned), &t(&v)))
}

/// `dw = diag(Vᵀ dA V)`.
pub(super) fn eigvalsh_jvp(x: &Tensor, da: &Tensor) -> Tensor {
    let [_, v] = super::eigh(x);
    (&v * mm(da, &v)).sum(-2)
}

/// `Ā = V diag(w̄) Vᵀ`.
pub(super) fn eigvalsh_vjp(x: &Tensor, c: &Tensor) -> Tensor {
    let [_, v] = super::eigh(x);
    mm(&(&v * row(c)), &t(&v))
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

/// With `P = Uᵀ dA V`, `G` its symmetric half over the differences of the singular values and `H` its other half over their
/// sums: `dU = U (G + H) + (dA V - U P) / s`, `ds = diag P`, `dV = V (G - H)`.
pub(super) fn svd_jvp(x: &Tensor, y: &Tensor, da: &Tensor) -> Tensor {
    let (_, m, n) = split(x.shape());
    let [u, s, vh] = svd_parts(x, y);
    let dav = mm(da, &t(&vh));
    let p = mm(&t(&u), &dav);
    let (g, h) = (ratio(&hollow(&symmetric(&p)), &gaps(&s)), ratio(&hollow(&skew(&p)), &sums(&s)));
    let mut du = mm(&u, &(&g + &h));
    if m > n {
        du = du + ratio(&(&dav - mm(&u, &p)), &row(&s));
    }
    // dVᵀ = (G - H)ᵀ Vᵀ, and G changes its sign with its indices, as H does.
    packed(&[&du, &row(&diagonal(&p)), &mm(&(h - g), &vh)])
}

pub(super) fn svd_vjp(x: &Tensor, y: &Tensor, c: &Tensor) -> Tensor {
    let (_, m, n) = split(x.shape());
    let ([u, s, vh], [uc, sc, vhc]) = (svd_parts(x, y), svd_parts(x, c));
    let (mu, mv) = (mm(&t(&u), &uc), mm(&vh, &t(&vhc)));
    let g = ratio(&hollow(&skew(&(&mu + &mv))), &gaps(&s));
    let h = ratio(&hollow(&skew(&(&mu - &mv))), &sums(&s));
    let mut left = mm(&u, &(diag(&sc) + g + h));
    if m > n {
        let over = ratio(&uc, &row(&s));
        left = left + (&over - mm(&u, &mm(&t(&u), &over)));
    }
    mm(&left, &vh)
}

/// `ds = diag(Uᵀ dA V)`.
pub(super) fn svdvals_jvp(x: &Tensor, da: &Tensor) -> Tensor {
    let [u, _, vh] = super::svd(x);
    (&u * mm(da, &t(&vh))).sum(-2)
}

/// `Ā = U diag(s̄) Vᵀ`.
pub(super) fn svdvals_vjp(x: &Tensor, c: &Tensor) -> Tensor {
    let [u, _, vh] = super::svd(x);
    mm(&(&u * row(c)), &vh)
}

/// Columns that complete `q` to a basis.
pub(crate) fn complement(q: &Tensor) -> Tensor {
    node(MatrixOp::Complement, &[q])
}

/// `dN = -Q dQᵀ N`: the columns stay orthogonal to `Q`, and do not turn among themselves, which nothing determines.
pub(super) fn complement_jvp(q: &Tensor, n: &Tensor, dq: &Tensor) -> Tensor {
    -mm(q, &mm(&t(dq), n))
}

/// `Q̄ = -N N̄ᵀ Q`.
pub(super) fn complement_vjp(q: &Tensor, n: &Tensor, c: &Tensor) -> Tensor {
    -mm(n, &mm(&t(c), q))
}
