"""Factorisations, systems of equations, functions and norms of matrices.

Where a factor is unique only up to signs, the reference takes ours: the signs are constants to autograd. Angles of complex
columns are not: torch differentiates what turns them, too.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .core import promoted

LA = torch.linalg


def symmetric(x: Tensor) -> Tensor:
    return (x + x.mH) / 2


def direction(z: Tensor) -> Tensor:
    """A number of size 1: a constant sign of real numbers, the angle of complex ones."""
    if z.is_complex():
        return z / z.abs()
    return torch.where(z.detach() < 0, -1.0, 1.0).to(z.dtype)


def signs(x: Tensor) -> Tensor:
    """For each column the direction of the first element of about the largest size, conjugated."""
    if x.numel() == 0:
        return x.new_ones(*x.shape[:-2], 1, x.shape[-1])
    size = x.detach().abs()
    first = (size >= 0.99 * size.amax(-2, keepdim=True)).int().argmax(-2, keepdim=True)
    return direction(x.gather(-2, first)).conj()


def cholesky(x: Tensor, upper: bool) -> Tensor:
    return LA.cholesky(symmetric(x), upper=upper)


def completed(q: Tensor) -> Tensor:
    """The columns of `q`, and one that is orthogonal to them: derived from the projection, as it is unique but for its sign."""
    m, k = q.shape[-2:]
    if k == 0 or m == k:
        return q if m == k else torch.eye(m, dtype=q.dtype)
    assert m == k + 1, "more columns would be a choice"
    basis = LA.qr(q.detach(), mode="complete")[0][..., k:]
    rest = basis - q @ (q.mH @ basis)
    rest = rest / LA.vector_norm(rest, dim=-2, keepdim=True)
    return torch.cat([q, rest * signs(rest)], -1)


def qr(x: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    m, n = x.shape[-2:]
    q, r = LA.qr(x)
    sign = direction(torch.diagonal(r, dim1=-2, dim2=-1))
    q, r = q * sign[..., None, :], r * sign.conj()[..., :, None]
    if mode == "complete" and m > n:
        q, r = completed(q), torch.cat([r, r.new_zeros(*r.shape[:-2], m - n, n)], -2)
    return q, r


def eigh(x: Tensor) -> tuple[Tensor, Tensor]:
    w, v = LA.eigh(symmetric(x))
    return w, v * signs(v)


def ascending(w: Tensor) -> Tensor:
    """The order by real parts and, among those that are equal but for rounding, imaginary ones."""
    w = w.detach()
    scale = w.abs().amax(-1, keepdim=True) if w.numel() else 1.0
    return ((w.real / scale * 1e8).round() * 4 + w.imag / scale).argsort(-1)


def eig(x: Tensor) -> tuple[Tensor, Tensor]:
    w, v = LA.eig(x)
    order = ascending(w)
    w, v = w.gather(-1, order), v.gather(-1, order[..., None, :].expand(v.shape))
    return w, v * signs(v)


def eigvals(x: Tensor) -> Tensor:
    w = LA.eigvals(x)
    return w.gather(-1, ascending(w))


def svd(x: Tensor, full_matrices: bool) -> tuple[Tensor, Tensor, Tensor]:
    m, n = x.shape[-2:]
    u, s, vh = LA.svd(x, full_matrices=False)
    sign = signs(u if m >= n else vh.mH)
    u, vh = u * sign, vh * sign.mH
    if full_matrices:
        u, vh = completed(u), completed(vh.mH).mH
    return u, s, vh


def system(function: Callable, a: Tensor, b: Tensor) -> Tensor:
    """Our rule: a right side of one axis is a vector for every matrix."""
    a, b = promoted(a, b)
    vector = b.ndim == 1
    b = b[:, None] if vector else b
    lead = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    y = function(a.expand(*lead, *a.shape[-2:]), b.expand(*lead, *b.shape[-2:]))
    return y[..., 0] if vector else y


def triangular_solve(a: Tensor, b: Tensor, upper: bool, transposed: bool, unit_diagonal: bool) -> Tensor:
    def solved(a: Tensor, b: Tensor) -> Tensor:
        t = a.triu() if upper else a.tril()
        t = t.mT if transposed else t
        return LA.solve_triangular(t, b, upper=upper != transposed, unitriangular=unit_diagonal)

    return system(solved, a, b)


def cholesky_solve(l: Tensor, b: Tensor, upper: bool) -> Tensor:
    return system(lambda a, b: torch.cholesky_solve(b, a.triu() if upper else a.tril(), upper=upper), l, b)


def lstsq(a: Tensor, b: Tensor, rtol: float | None) -> tuple[Tensor, ...]:
    a, b = promoted(a, b)
    x = system(lambda a, b: LA.pinv(a, rtol=rtol) @ b, a, b)
    missed = b - (a @ x[..., None])[..., 0] if b.ndim == 1 else b - a @ x
    left = (missed.abs() ** 2).sum(-1 if b.ndim == 1 else -2)
    return x, left, LA.matrix_rank(a, rtol=rtol), LA.svdvals(a)


def matrix_rank(x: Tensor, rtol: float | None) -> Tensor:
    return LA.matrix_rank(x.detach(), rtol=without_slope(rtol))


def without_slope(rtol: float | Tensor | None) -> float | Tensor | None:
    """A tolerance, which decides but is no part of the result."""
    return rtol.detach() if isinstance(rtol, Tensor) else rtol


def matrix_norm(x: Tensor, ord: str | float, keepdims: bool) -> Tensor:
    return LA.matrix_norm(x, ord=ord, keepdim=keepdims)


def cond(x: Tensor, ord: str | float) -> Tensor:
    if ord in (2, -2):
        return LA.cond(x, p=ord)
    return LA.matrix_norm(x, ord=ord) * LA.matrix_norm(LA.inv(x), ord=ord)  # `LA.cond` has no gradient for these


def trace(x: Tensor, offset: int) -> Tensor:
    m, n = x.shape[-2:]
    if offset >= n or -offset >= m:
        return x.sum((-2, -1)) * 0
    return torch.diagonal(x, offset, -2, -1).sum(-1)


def cross(x1: Tensor, x2: Tensor, axis: int) -> Tensor:
    x1, x2 = torch.broadcast_tensors(*promoted(x1, x2))
    return LA.cross(x1, x2, dim=axis)


TABLE: dict[str, Callable] = {
    "cholesky": cholesky,
    "qr": qr,
    "lu": lambda x: LA.lu(x),
    "eigh": eigh,
    "eig": eig,
    "eigvals": eigvals,
    "eigvalsh": lambda x: LA.eigvalsh(symmetric(x)),
    "svd": svd,
    "svdvals": lambda x: LA.svdvals(x),
    "solve": lambda a, b: system(LA.solve, a, b),
    "triangular_solve": triangular_solve,
    "cholesky_solve": cholesky_solve,
    "inv": lambda x: LA.inv(x),
    "pinv": lambda x, rtol: LA.pinv(x, rtol=without_slope(rtol)),
    "lstsq": lstsq,
    "det": lambda x: LA.det(x),
    "slogdet": lambda x: tuple(LA.slogdet(x)),
    "expm": lambda x: LA.matrix_exp(x),
    "vecdot": lambda x1, x2, axis: LA.vecdot(*torch.broadcast_tensors(*promoted(x1, x2)), dim=axis),
    "cross": cross,
    "kron": lambda x1, x2: torch.kron(*promoted(x1, x2)),
    "trace": trace,
    "matrix_power": lambda x, n: LA.matrix_power(x, n),
    "matrix_norm": matrix_norm,
    "matrix_rank": matrix_rank,
    "cond": cond,
}
