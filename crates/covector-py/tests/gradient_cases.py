"""Functions whose derivatives are compared with JAX's: written once, for any namespace of the Array API.

A case has a name, a function of the namespace and its arguments, and the arguments as (shape, low, high) or as numbers.
"""

WIDE, POSITIVE, UNIT, ABOVE = (-2.0, 2.0), (0.3, 2.5), (-0.9, 0.9), (1.1, 3.0)
SHAPES = [(2, 3), (), (0, 2)]

UNARY = {
    "sin": WIDE, "cos": WIDE, "tan": UNIT, "asin": UNIT, "acos": UNIT, "atan": WIDE, "sinh": WIDE, "cosh": WIDE, "tanh": WIDE,
    "asinh": WIDE, "acosh": ABOVE, "atanh": UNIT, "exp": WIDE, "expm1": WIDE, "log": POSITIVE, "log1p": POSITIVE, "log2": POSITIVE,
    "log10": POSITIVE, "sqrt": POSITIVE, "square": WIDE, "abs": WIDE, "negative": WIDE, "positive": WIDE, "reciprocal": POSITIVE,
    "floor": WIDE, "ceil": WIDE, "sign": WIDE, "trunc": WIDE, "round": WIDE,
}  # fmt: skip
BINARY = {
    "add": (WIDE, WIDE), "subtract": (WIDE, WIDE), "multiply": (WIDE, WIDE), "divide": (WIDE, POSITIVE), "pow": (POSITIVE, WIDE),
    "atan2": (WIDE, POSITIVE), "hypot": (POSITIVE, POSITIVE), "logaddexp": (WIDE, WIDE), "maximum": (WIDE, (-1.9, 2.1)),
    "minimum": (WIDE, (-1.9, 2.1)), "copysign": (POSITIVE, POSITIVE), "remainder": (POSITIVE, ABOVE),
}  # fmt: skip
PAIRS = [((2, 3), (2, 3)), ((2, 1), (3,)), ((), (2,)), ((0, 3), (3,))]
REDUCTIONS = ["sum", "prod", "mean", "max", "min", "var", "std"]


def unary(name):
    return lambda xp, x: getattr(xp, name)(x)


def binary(name):
    return lambda xp, x, y: getattr(xp, name)(x, y)


def reduction(name, axis, keepdims):
    return lambda xp, x: getattr(xp, name)(x, axis=axis, keepdims=keepdims)


M, V = ((3, 3), *WIDE), ((3,), *WIDE)
T = ((2, 3, 4), *WIDE)
OTHERS = {
    "matmul": (lambda xp, a, b: xp.matmul(a, b), [((2, 3), *WIDE), ((3, 4), *WIDE)]),
    "matmul of vectors": (lambda xp, a, b: a @ b, [V, V]),
    "matmul in batches": (lambda xp, a, b: a @ b, [((2, 1, 2, 3), *WIDE), ((3, 3, 2), *WIDE)]),
    "vecdot": (lambda xp, a, b: xp.vecdot(a, b), [((2, 3), *WIDE), V]),
    "tensordot": (lambda xp, a, b: xp.tensordot(a, b, axes=2), [T, ((3, 4, 2), *WIDE)]),
    "outer": (lambda xp, a, b: xp.linalg.outer(a, b), [V, ((2,), *WIDE)]),
    "cumulative_sum": (lambda xp, x: xp.cumulative_sum(x, axis=-2), [T]),
    "cumulative_prod": (lambda xp, x: xp.cumulative_prod(x, axis=1), [T]),
    "cumulative_sum with the first": (lambda xp, x: xp.cumulative_sum(x, axis=0, include_initial=True), [T]),
    "reshape": (lambda xp, x: xp.reshape(x, (4, 6)), [T]),
    "permute_dims": (lambda xp, x: xp.permute_dims(x, (2, 0, 1)) * 2, [T]),
    "moveaxis": (lambda xp, x: xp.moveaxis(x, 0, -1) ** 2, [T]),
    "flip": (lambda xp, x: xp.flip(x, axis=1) * x, [T]),
    "roll": (lambda xp, x: xp.roll(x, 2, axis=-1) * x, [T]),
    "tile": (lambda xp, x: xp.tile(x, (2, 1)) ** 2, [M]),
    "repeat": (lambda xp, x: xp.repeat(x, 3, axis=1) ** 2, [M]),
    "broadcast_to": (lambda xp, x: xp.broadcast_to(x, (4, 3)) ** 2, [V]),
    "concat": (lambda xp, x, y: xp.concat([x, y, x], axis=-1) ** 2, [M, M]),
    "stack": (lambda xp, x, y: xp.stack([x, y], axis=1) ** 2, [M, M]),
    "squeeze": (lambda xp, x: xp.squeeze(x, axis=1) ** 2, [((2, 1, 3), *WIDE)]),
    "expand_dims": (lambda xp, x: xp.expand_dims(x, axis=-1) ** 2, [M]),
    "tril": (lambda xp, x: xp.tril(x, k=-1) ** 2, [M]),
    "triu": (lambda xp, x: xp.triu(x, k=1) ** 2, [M]),
    "where": (lambda xp, x, y: xp.where(x > 0, x * y, y), [M, M]),
    "clip": (lambda xp, x: xp.clip(x, -1.0, 1.0) ** 2, [T]),
    "sort": (lambda xp, x: xp.sort(x, axis=-1) ** 2, [T]),
    "sort downwards": (lambda xp, x: xp.sort(x, axis=0, descending=True) ** 2, [T]),
    "diff": (lambda xp, x: xp.diff(x, axis=-1, n=2) ** 2, [T]),
    "take": (lambda xp, x: xp.take(x, xp.asarray([2, 0, 2]), axis=1) ** 2, [M]),
    "take_along_axis": (lambda xp, x: xp.take_along_axis(x, xp.asarray([[0, 0, 1]]), axis=0) ** 2, [M]),
    "slices": (lambda xp, x: x[1, ::-1, 1:3] ** 2, [T]),
    "new axes": (lambda xp, x: x[:, None, ..., ::2] ** 2, [T]),
    "integer arrays": (lambda xp, x: x[xp.asarray([0, 1, 1]), :, xp.asarray([3, 0, 0])] ** 2, [T]),
    "views of views": (lambda xp, x: xp.permute_dims(x, (1, 0, 2))[::2][:, 1] ** 3, [T]),
    "meshgrid": (lambda xp, x, y: xp.meshgrid(x, y)[0] * xp.meshgrid(x, y)[1], [V, ((2,), *WIDE)]),
    "matrix_transpose": (lambda xp, x: xp.matrix_transpose(x) @ x, [M]),
    "unstack": (lambda xp, x: xp.unstack(x, axis=1)[1] * xp.unstack(x, axis=1)[0], [M]),
    "all sums of none": (lambda xp, x: xp.sum(x, axis=0), [((0, 3), *WIDE)]),
    "ties of max": (lambda xp, x: xp.max(x, axis=-1), [[[1.0, 2.0, 2.0], [3.0, 3.0, 3.0]]]),
    "ties of maximum": (lambda xp, x, y: xp.maximum(x, y), [[1.0, 2.0], [1.0, 3.0]]),
    "softmax by hand": (lambda xp, x: xp.exp(x) / xp.sum(xp.exp(x), axis=-1, keepdims=True), [T]),
    "inv": (lambda xp, x: xp.linalg.inv(x + 4 * xp.eye(3, dtype=x.dtype)), [M]),
    "det": (lambda xp, x: xp.linalg.det(x + 4 * xp.eye(3, dtype=x.dtype)), [M]),
    "solve": (lambda xp, x, y: xp.linalg.solve(x + 4 * xp.eye(3, dtype=x.dtype), y[:, None]), [M, V]),
    "cholesky": (lambda xp, x: xp.linalg.cholesky(x @ xp.matrix_transpose(x) + xp.eye(3, dtype=x.dtype)), [M]),
    "eigvalsh": (lambda xp, x: xp.linalg.eigvalsh(x + xp.matrix_transpose(x)), [M]),
    "svdvals": (lambda xp, x: xp.linalg.svdvals(x), [M]),
    "slogdet": (lambda xp, x: xp.linalg.slogdet(x + 4 * xp.eye(3, dtype=x.dtype))[1], [M]),
    "matrix_power": (lambda xp, x: xp.linalg.matrix_power(x, 3), [M]),
    "trace": (lambda xp, x: xp.linalg.trace(x @ x), [M]),
    "vector_norm": (lambda xp, x: xp.linalg.vector_norm(x, axis=-1), [M]),
    "matrix_norm": (lambda xp, x: xp.linalg.matrix_norm(x), [M]),
    "cross": (lambda xp, x, y: xp.linalg.cross(x, y), [V, V]),
}

#: Of PyTorch, JAX and SciPy, by their names here.
MORE = {
    "cbrt": POSITIVE, "exp2": WIDE, "rsqrt": POSITIVE, "relu": WIDE, "sigmoid": WIDE, "log_sigmoid": WIDE, "silu": WIDE, "mish": WIDE,
    "gelu": WIDE, "gelu_tanh": WIDE, "softplus": WIDE, "selu": WIDE, "elu": WIDE, "leaky_relu": WIDE, "erf": WIDE, "erfc": WIDE,
    "erfinv": UNIT, "lgamma": ABOVE, "digamma": ABOVE, "softmax": WIDE, "log_softmax": WIDE, "logsumexp": WIDE,
}  # fmt: skip
OTHERS |= {
    "einsum": (lambda xp, a, b: xp.einsum("bij,jk->bik", a, b), [T, ((4, 2), *WIDE)]),
    "a trace by einsum": (lambda xp, a: xp.einsum("ii->", a @ a), [M]),
    "kron": (lambda xp, a, b: xp.kron(a, b), [M, ((2, 2), *WIDE)]),
    "dot": (lambda xp, a, b: xp.dot(a, b), [V, V]),
    "pinv": (lambda xp, x: xp.linalg.pinv(x), [((4, 2), *WIDE)]),
    "expm": (lambda xp, x: xp.linalg.expm(x), [M]),
    "a projector of eigh": (lambda xp, x: projector(xp, xp.linalg.eigh(x + xp.matrix_transpose(x))[1]), [M]),
    "a product of svd": (lambda xp, x: projector(xp, xp.linalg.svd(x, full_matrices=False)[0]), [M]),
    "a product of qr": (lambda xp, x: projector(xp, xp.linalg.qr(x)[0][:, :2]), [M]),
    "cond": (lambda xp, x: xp.linalg.cond(x), [M]),
    "pad": (lambda xp, x: xp.concat([xp.zeros_like(x), x], axis=0) ** 2, [M]),
    "masked": (lambda xp, x: xp.where(xp.abs(x) < 1, x**2, 0.0), [T]),
    "a running maximum": (lambda xp, x: xp.maximum(x[:, 0], xp.maximum(x[:, 1], x[:, 2])) ** 2, [M]),
    "swapped": (lambda xp, x: xp.permute_dims(x, (0, 2, 1))[..., ::-1] * 2.0 * xp.permute_dims(x, (0, 2, 1)), [T]),
    "softmax of the first axis": (lambda xp, x: xp.softmax(x, 0), [T]),
    "fft": (lambda xp, x: parts(xp, xp.fft.fft(x)), [M]),
    "fft of seven": (lambda xp, x: parts(xp, xp.fft.fft(x, n=7)), [T]),
    "ifft": (lambda xp, x: parts(xp, xp.fft.ifft(x, axis=0)), [M]),
    "rfft": (lambda xp, x: parts(xp, xp.fft.rfft(x)), [T]),
    "rfft by its root": (lambda xp, x: parts(xp, xp.fft.rfft(x, norm="ortho")), [M]),
    "irfft": (lambda xp, x, y: xp.fft.irfft(x + 1j * y, n=5), [M, M]),
    "irfft of an even number": (lambda xp, x, y: xp.fft.irfft(x + 1j * y, n=4), [M, M]),
    "hfft": (lambda xp, x, y: xp.fft.hfft(x + 1j * y, n=4), [M, M]),
    "ihfft": (lambda xp, x: parts(xp, xp.fft.ihfft(x)), [M]),
    "fftn": (lambda xp, x: parts(xp, xp.fft.fftn(x)), [T]),
    "ifftn": (lambda xp, x: parts(xp, xp.fft.ifftn(x, axes=(0, 2))), [T]),
    "rfftn": (lambda xp, x: parts(xp, xp.fft.rfftn(x)), [T]),
    "irfftn": (lambda xp, x, y: xp.fft.irfftn(x + 1j * y, s=(3, 4), axes=(0, 1)), [M, M]),
    "fftshift": (lambda xp, x: xp.fft.fftshift(x) ** 2, [M]),
    "ifftshift": (lambda xp, x: xp.fft.ifftshift(x, axes=1) ** 2, [M]),
    "a size": (lambda xp, x, y: xp.abs(x + 1j * y), [M, M]),
    "a complex product": (lambda xp, x, y: parts(xp, (x + 1j * y) * (y - 2j * x)), [M, M]),
    "a complex quotient": (lambda xp, x, y: parts(xp, (x + 1j) / (y - 2j)), [M, M]),
    "a complex power": (lambda xp, x, y: parts(xp, (x + 3 + 1j) ** (y - 0.5j)), [M, M]),
    "a conjugate": (lambda xp, x, y: parts(xp, xp.conj(x + 1j * y) * (x + 1j * y) ** 2), [M, M]),
    "a complex matrix product": (lambda xp, x, y: parts(xp, (x + 1j * y) @ (y - 1j * x)), [M, M]),
    "a mean of complex numbers": (lambda xp, x, y: parts(xp, xp.mean((x + 1j * y) ** 2, axis=0)), [M, M]),
    "a product of complex numbers": (lambda xp, x, y: parts(xp, xp.prod(x + 1j * y, axis=0)), [M, M]),
}
HOLOMORPHIC = ["exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "atanh"]


def parts(xp, z):
    """Complex numbers as real ones."""
    return xp.stack([xp.real(z), xp.imag(z)])


def projector(xp, q):
    """What does not depend on the signs of the columns: weighted, so that it is not the identity."""
    weights = xp.asarray([1.0, 2.0, 4.0][: q.shape[1]], dtype=q.dtype)
    return (q * weights) @ xp.matrix_transpose(q)


def holomorphic(name):
    return lambda xp, x, y: parts(xp, getattr(xp, name)(x + 1j * y))


def cases():
    """(name, function, arguments) for every case."""
    for name, domain in UNARY.items():
        for shape in SHAPES:
            yield f"{name} {shape}", unary(name), [(shape, *domain)]
    for name, (a, b) in BINARY.items():
        for left, right in PAIRS:
            yield f"{name} {left} {right}", binary(name), [(left, *a), (right, *b)]
    for name in REDUCTIONS:
        for axis, keepdims in [(None, False), (-1, True), ((0, 2), False)]:
            yield f"{name} {axis} {keepdims}", reduction(name, axis, keepdims), [T]
    for name, domain in MORE.items():
        yield name, unary(name), [((2, 3), *domain)]
    for name in HOLOMORPHIC:
        yield f"{name} of complex numbers", holomorphic(name), [((2, 3), *UNIT), ((2, 3), *POSITIVE)]
    for name, (function, arguments) in OTHERS.items():
        yield name, function, arguments


def numbers(argument, salt):
    """The argument as nested lists: numbers that depend on its shape and place alone."""
    if isinstance(argument, list):
        return argument
    import numpy as np

    shape, low, high = argument
    n = int(np.prod(shape))
    unit = ((np.arange(n) + 1.0) * 0.7548776662466927 + 0.1374 * salt + 0.31 * len(shape)) % 1.0
    return (low + (high - low) * unit).reshape(shape)
