// The entries: source, and the same in Rust. Included by `corpus.rs`.

const TABLES: &[&[Entry]] = &[ARITHMETIC, ELEMENTWISE, INDEXING, SHAPES, REDUCTIONS, PRODUCTS, NETWORKS, PROGRAMS, TRANSFORMATIONS, DTYPES];

corpus! { ARITHMETIC:
    "a + b" => |v| &v.a + &v.b;
    "a - b" => |v| &v.a - &v.b;
    "a * b" => |v| &v.a * &v.b;
    "a / b" => |v| &v.a / &v.b;
    "a // p" => |v| v.a.floor_divide(&v.p);
    "a % p" => |v| &v.a % &v.p;
    "p ** a" => |v| v.p.pow(&v.a);
    "a @ w" => |v| v.a.matmul(&v.w);
    "-a" => |v| -&v.a;
    "+a" => |v| v.a.clone();
    "a + 1" => |v| &v.a + 1;
    "1 + a" => |v| 1 + &v.a;
    "a - 0.5" => |v| &v.a - 0.5;
    "0.5 - a" => |v| 0.5 - &v.a;
    "2 / p" => |v| 2 / &v.p;
    "p / 3" => |v| &v.p / 3;
    "i / 2" => |v| &v.i / 2;
    "i // 2" => |v| v.i.floor_divide(2);
    "i % 3" => |v| &v.i % 3;
    "-i % 3" => |v| -&v.i % 3;
    "p ** 2" => |v| v.p.pow(2);
    "p ** -1" => |v| v.p.pow(-1);
    "p ** 0.5" => |v| v.p.pow(0.5);
    "2 ** a" => |v| Tensor::from(2.0f32).pow(&v.a);
    "-p ** 2" => |v| -v.p.pow(2);
    "(-p) ** 2" => |v| (-&v.p).pow(2);
    "p ** 2 ** 0.5" => |v| v.p.pow(2.0f64.powf(0.5));
    "a + b * p" => |v| &v.a + &v.b * &v.p;
    "(a + b) * p" => |v| (&v.a + &v.b) * &v.p;
    "a - b - p" => |v| (&v.a - &v.b) - &v.p;
    "a / b / p" => |v| (&v.a / &v.b) / &v.p;
    "a / (b / p)" => |v| &v.a / (&v.b / &v.p);
    "a * b @ w" => |v| (&v.a * &v.b).matmul(&v.w);
    "a @ w * 2" => |v| v.a.matmul(&v.w) * 2;
    "2 * a @ w" => |v| (2 * &v.a).matmul(&v.w);
    "-a @ w" => |v| (-&v.a).matmul(&v.w);
    "a < b" => |v| v.a.less(&v.b);
    "a <= b" => |v| v.a.less_equal(&v.b);
    "a > 0" => |v| v.a.greater(0);
    "a >= b" => |v| v.a.greater_equal(&v.b);
    "i == 2" => |v| v.i.equal(2);
    "i != k" => |v| v.i.not_equal(&v.k);
    "0 < a" => |v| (Tensor::from(0.0f32)).less(&v.a);
    "-1 < a < 1" => |v| Tensor::from(-1.0f32).less(&v.a).logical_and(v.a.less(1));
    "a + 1 < b * 2" => |v| (&v.a + 1).less(&v.b * 2);
    "m & (a > 0)" => |v| v.m.bitwise_and(v.a.greater(0));
    "m | (a > 0)" => |v| v.m.bitwise_or(v.a.greater(0));
    "m ^ (a > 0)" => |v| v.m.bitwise_xor(v.a.greater(0));
    "i & 3 | 8" => |v| v.i.bitwise_and(3).bitwise_or(8);
    "i << 2" => |v| v.i.bitwise_left_shift(2);
    "i >> 1" => |v| v.i.bitwise_right_shift(1);
    "~i" => |v| v.i.bitwise_invert();
    "not m" => |v| v.m.logical_not();
    "i + 1 << 1" => |v| (&v.i + 1).bitwise_left_shift(1);
    "a + c" => |v| &v.a + &v.c;
    "s * a" => |v| &v.s * &v.a;
    "a + i" => |v| &v.a + &v.i;
    "m + a" => |v| &v.m + &v.a;
    "a + x[0]" => |v| &v.a + v.x.i(0);
    "1 + 2 * 3" => |_v| 7.0;
    "7 // 2" => |_v| 3.0;
    "-7 % 3" => |_v| 2.0;
    "1 / 3" => |_v| 1.0 / 3.0;
    "2 ** 10" => |_v| 1024.0;
    "2 ** -2" => |_v| 0.25;
    "sqrt(2)" => |_v| 2.0f64.sqrt();
    "0.1 + 0.2" => |_v| 0.1 + 0.2;
    "pi * e" => |_v| std::f64::consts::PI * std::f64::consts::E;
    "1e-3 * a" => |v| 1e-3 * &v.a;
    "(1 if 2 < 3 else 0) * a" => |v| 1 * &v.a;
}

corpus! { ELEMENTWISE:
    "exp(a)" => |v| v.a.exp();
    "log(p)" => |v| v.p.log();
    "a.tanh()" => |v| v.a.tanh();
    "sin(a) ** 2 + cos(a) ** 2" => |v| v.a.sin().pow(2) + v.a.cos().pow(2);
    "sqrt(p)" => |v| v.p.sqrt();
    "rsqrt(p)" => |v| v.p.rsqrt();
    "abs(a)" => |v| v.a.abs();
    "absolute(a)" => |v| v.a.abs();
    "sigmoid(a)" => |v| v.a.sigmoid();
    "relu(a)" => |v| v.a.relu();
    "gelu(a)" => |v| v.a.gelu();
    "gelu_tanh(a)" => |v| v.a.gelu_tanh();
    "silu(a)" => |v| v.a.silu();
    "leaky_relu(a)" => |v| v.a.leaky_relu(0.01);
    "leaky_relu(a, slope=0.2)" => |v| v.a.leaky_relu(0.2);
    "elu(a)" => |v| v.a.elu(1.0);
    "log1p(p)" => |v| v.p.log1p();
    "expm1(a)" => |v| v.a.expm1();
    "erf(a)" => |v| v.a.erf();
    "floor(a) + ceil(b)" => |v| v.a.floor() + v.b.ceil();
    "round(a * 10)" => |v| (&v.a * 10).round();
    "sign(a)" => |v| v.a.sign();
    "arctan(a)" => |v| v.a.atan();
    "arctan2(a, b)" => |v| v.a.atan2(&v.b);
    "maximum(a, b)" => |v| v.a.maximum(&v.b);
    "minimum(a, 0.5)" => |v| v.a.minimum(0.5);
    "maximum(0, a)" => |v| Tensor::from(0.0f32).maximum(&v.a);
    "clip(a, -1, 1)" => |v| v.a.clip(Some(-1.0), Some(1.0));
    "clip(a, max=0.5)" => |v| v.a.clip(None, Some(0.5));
    "where(m, a, b)" => |v| ops::elementwise::where_(&v.m, &v.a, &v.b);
    "where(a > 0, a, -inf)" => |v| ops::elementwise::where_(&v.a.greater(0), &v.a, f64::NEG_INFINITY);
    "where(m, 1.0, a)" => |v| ops::elementwise::where_(&v.m, 1.0, &v.a);
    "power(p, a)" => |v| v.p.pow(&v.a);
    "add(a, b)" => |v| v.a.add(&v.b);
    "a.mul(b).sub(p)" => |v| v.a.multiply(&v.b).subtract(&v.p);
    "isnan(log(a))" => |v| v.a.log().isnan();
    "masked_fill(a, m, 0)" => |v| v.a.masked_fill(&v.m, 0.0);
}

corpus! { INDEXING:
    "a[0]" => |v| v.a.i(0);
    "a[-1]" => |v| v.a.i(-1);
    "a[1, 2]" => |v| v.a.i(covector::s![1, 2]);
    "a[:, 1]" => |v| v.a.i(covector::s![.., 1]);
    "a[:, 1:]" => |v| v.a.i(covector::s![.., 1..]);
    "a[:, :-1]" => |v| v.a.i(covector::s![.., ..-1]);
    "t[0, :, 1:3]" => |v| v.t.i(covector::s![0, .., 1..3]);
    "t[..., 0]" => |v| v.t.i(covector::s![covector::Ellipsis, 0]);
    "t[:, ::2]" => |v| v.t.i(covector::s![.., ..;2]);
    "a[:, None]" => |v| v.a.expand_dims(1);
    "a[None]" => |v| v.a.expand_dims(0);
    "c[:, None] * c" => |v| v.c.expand_dims(1) * &v.c;
    "w[k]" => |v| v.w.take(&v.k, 0);
    "a[:, k]" => |v| v.a.take(&v.k, 1);
    "t[0, k]" => |v| v.t.i(0).take(&v.k, 0);
    "t[..., k]" => |v| v.t.take(&v.k, -1);
    "take(w, k, axis=0)" => |v| v.w.take(&v.k, 0);
    "w[k][0]" => |v| v.w.take(&v.k, 0).i(0);
    "a[0][1]" => |v| v.a.i(0).i(1);
    "one_hot(k, 4)" => |v| v.k.one_hot(4);
    "len(a) * a.ndim" => |_v| 4.0;
    "t.shape[1] + t.shape[-1]" => |_v| 7.0;
    "t.size" => |_v| 24.0;
    "[1, 2, 3][1:]" => |_v| vec![2.0, 3.0];
    "(1, 2) + (3,)" => |_v| vec![1.0, 2.0, 3.0];
    "[a, b][1]" => |v| v.b.clone();
}

corpus! { SHAPES:
    "a.T" => |v| v.a.matrix_transpose();
    "t.mT" => |v| v.t.matrix_transpose();
    "a.reshape(3, 2)" => |v| v.a.reshape([3, 2]);
    "a.reshape((3, 2))" => |v| v.a.reshape([3, 2]);
    "a.reshape(-1)" => |v| v.a.reshape([-1]);
    "reshape(t, (2, -1))" => |v| v.t.reshape([2, -1]);
    "t.reshape(t.shape[0] * t.shape[1], 4)" => |v| v.t.reshape([6, 4]);
    "t.transpose(0, 1)" => |v| v.t.transpose(0, 1);
    "swapaxes(t, 0, 2)" => |v| v.t.transpose(0, 2);
    "t.permute(2, 0, 1)" => |v| v.t.permute_dims([2, 0, 1]);
    "permute_dims(t, (1, 2, 0))" => |v| v.t.permute_dims([1, 2, 0]);
    "t.flatten()" => |v| v.t.flatten(0, -1);
    "t.flatten(1)" => |v| v.t.flatten(1, -1);
    "a.unsqueeze(0).squeeze(0)" => |v| v.a.clone();
    "expand_dims(a, -1)" => |v| v.a.expand_dims(-1);
    "broadcast_to(c, (2, 3))" => |v| v.c.broadcast_to([2, 3]);
    "concat([a, b])" => |v| ops::concat::concat(&[v.a.clone(), v.b.clone()], axis(0));
    "cat([a, b], axis=1)" => |v| ops::concat::concat(&[v.a.clone(), v.b.clone()], axis(1));
    "concatenate((a, b), dim=-1)" => |v| ops::concat::concat(&[v.a.clone(), v.b.clone()], axis(-1));
    "stack([a, b], axis=1)" => |v| ops::concat::stack(&[v.a.clone(), v.b.clone()], axis(1));
    "split(t, (1, 3), axis=-1)" => |v| v.t.split([1, 3], axis(-1));
    "chunk(t, 2, axis=2)" => |v| v.t.chunk(2, axis(2));
    "flip(a, axis=1)" => |v| v.a.flip(1);
    "roll(c, 1, axis=0)" => |v| v.c.roll([1], 0);
    "tile(c, 2)" => |v| v.c.tile([2]);
    "tril(sq)" => |v| v.sq.tril(0);
    "triu(sq, k=1)" => |v| v.sq.triu(1);
    "moveaxis(t, 0, -1)" => |v| v.t.moveaxis([0], [-1]);
    "zeros((2, 3)) + a" => |v| ops::create::zeros([2usize, 3], DType::F32) + &v.a;
    "ones((3,), dtype=f64)" => |_v| ops::create::ones([3usize], DType::F64);
    "arange(5)" => |_v| ops::create::arange(0, 5, 1, DType::I64);
    "arange(1, 7, 2)" => |_v| ops::create::arange(1, 7, 2, DType::I64);
    "zeros_like(a)" => |v| v.a.zeros_like();
    "eye(3) @ sq" => |v| ops::create::eye(3, DType::F32).matmul(&v.sq);
    "tensor([[1, 2], [3, 4]])" => |_v| Tensor::from([[1i64, 2], [3, 4]]);
    "tensor([1.5, 2])" => |_v| Tensor::from([1.5f32, 2.0]);
    "f64([1, 2])" => |_v| Tensor::from([1.0f64, 2.0]);
}

corpus! { REDUCTIONS:
    "a.sum()" => |v| v.a.sum(..);
    "sum(a, axis=0)" => |v| v.a.sum(0);
    "a.sum(-1)" => |v| v.a.sum(-1);
    "t.sum(axis=(0, 2))" => |v| v.t.sum([0, 2]);
    "a.mean(axis=1, keepdims=True)" => |v| v.a.mean(keep(1));
    "a.mean(dim=1, keepdim=True)" => |v| v.a.mean(keep(1));
    "t.mean(keepdims=True)" => |v| v.t.mean(keep(..));
    "a.max()" => |v| v.a.max(..);
    "min(a, axis=1)" => |v| v.a.min(1);
    "prod(p)" => |v| v.p.prod(..);
    "a.var()" => |v| v.a.var(.., 0.0);
    "a.var(axis=1, correction=1)" => |v| v.a.var(1, 1.0);
    "a.std(axis=1, ddof=1)" => |v| v.a.std(1, 1.0);
    "norm(a)" => |v| v.a.norm(.., 2.0);
    "norm(a, axis=1, ord=1)" => |v| v.a.norm(1, 1.0);
    "logsumexp(a, axis=-1)" => |v| v.a.logsumexp(-1);
    "softmax(a)" => |v| v.a.softmax(-1);
    "softmax(a, axis=0)" => |v| v.a.softmax(0);
    "log_softmax(a)" => |v| v.a.log_softmax(-1);
    "any(m, axis=0)" => |v| v.m.any(0);
    "all(m)" => |v| v.m.all(..);
    "argmax(a)" => |v| v.a.argmax(..);
    "a.argmin(axis=0)" => |v| v.a.argmin(0);
    "cumsum(a, axis=1)" => |v| v.a.cumsum(1);
    "cumprod(p, axis=0)" => |v| v.p.cumprod(0);
    "sort(a, axis=1)" => |v| v.a.sort(1, false);
    "sort(a, axis=1, descending=True)" => |v| v.a.sort(1, true);
    "argsort(a)" => |v| v.a.argsort(-1, false);
    "topk(x, 2)" => |v| v.x.topk(2, axis(-1));
    "(a - a.mean(axis=1, keepdims=True)) / a.std(axis=1, keepdims=True)" => |v|
        (&v.a - v.a.mean(keep(1))) / v.a.std(keep(1), 0.0);
    "a.sum() / a.size" => |v| v.a.sum(..) / 6;
}

corpus! { PRODUCTS:
    "sq @ sq.T" => |v| v.sq.matmul(&v.sq.matrix_transpose());
    "t @ t.T" => |v| v.t.matmul(&v.t.matrix_transpose());
    "t @ w.T" => |v| v.t.matmul(&v.w.matrix_transpose());
    "c @ w" => |v| v.c.matmul(&v.w);
    "a @ c" => |v| v.a.matmul(&v.c);
    "q @ t.mT" => |v| v.q.matmul(&v.t.matrix_transpose());
    "dot(c, c)" => |v| v.c.dot(&v.c);
    "outer(x, y)" => |v| v.x.outer(&v.y);
    "einsum(\"ij,jk->ik\", a, w)" => |v| ops::einsum::einsum("ij,jk->ik", &[v.a.clone(), v.w.clone()]);
    "einsum(\"ij->ji\", a)" => |v| ops::einsum::einsum("ij->ji", std::slice::from_ref(&v.a));
    "einsum('ii', sq)" => |v| ops::einsum::einsum("ii", std::slice::from_ref(&v.sq));
    "einsum('bhqd,bhkd->bhqk', q, q)" => |v| ops::einsum::einsum("bhqd,bhkd->bhqk", &[v.q.clone(), v.q.clone()]);
    "einsum('...i,i->...', x, y)" => |v| ops::einsum::einsum("...i,i->...", &[v.x.clone(), v.y.clone()]);
    "einsum('i,j,k->ijk', [x, y, x])" => |v| ops::einsum::einsum("i,j,k->ijk", &[v.x.clone(), v.y.clone(), v.x.clone()]);
    "tensordot(t, w, (2,), (1,))" => |v| v.t.tensordot(&v.w, [2], [1]);
    "matmul(a, w)" => |v| v.a.matmul(&v.w);
}

corpus! { NETWORKS:
    "layer_norm(a)" => |v| v.a.layer_norm(1, None, None, 1e-5);
    "layer_norm(a, 1, c, c)" => |v| v.a.layer_norm(1, Some(&v.c), Some(&v.c), 1e-5);
    "layer_norm(a, weight=c, eps=1e-3)" => |v| v.a.layer_norm(1, Some(&v.c), None, 1e-3);
    "rms_norm(a)" => |v| v.a.rms_norm(1, None, 1e-5);
    "conv2d(img, ker)" => |v| v.img.conv2d(&v.ker, None, 1, 0, 1, 1);
    "conv2d(img, ker, stride=2, padding=1)" => |v| v.img.conv2d(&v.ker, None, 2, 1, 1, 1);
    "conv2d(img, ker, c, padding=(1, 0))" => |v| v.img.conv2d(&v.ker, Some(&v.c), 1, [1, 0], 1, 1);
    "max_pool2d(img, 2)" => |v| v.img.max_pool2d(2, int(&[]), 0, 1);
    "avg_pool2d(img, (2, 3), stride=1)" => |v| v.img.avg_pool2d([2, 3], 1, 0);
    "cross_entropy(w, k)" => |v| v.w.cross_entropy(&v.k, None, None, 0.0, "mean");
    "cross_entropy(w, k, reduction=\"sum\")" => |v| v.w.cross_entropy(&v.k, None, None, 0.0, "sum");
    "mse_loss(a, b)" => |v| v.a.mse_loss(&v.b, "mean");
    "huber_loss(a, b, delta=0.5)" => |v| v.a.huber_loss(&v.b, 0.5, "mean");
    "softmax(q @ q.T / sqrt(4)) @ q" => |v| (v.q.matmul(&v.q.matrix_transpose()) / 4.0f64.sqrt()).softmax(-1).matmul(&v.q);
    "scaled_dot_product_attention(q, q, q, causal=True)" => |v|
        v.q.scaled_dot_product_attention(&v.q, &v.q, None, true);
}

corpus! { PROGRAMS:
    "d = a * 2\ne1 = d + b\ne1 - d" => |v| (&v.a * 2 + &v.b) - &v.a * 2;
    "z = a\nz += b\nz *= 2\nz" => |v| (&v.a + &v.b) * 2;
    "z = a\nfor n in range(3):\n    z = tanh(z) + n\nz" => |v| (0..3i64).fold(v.a.clone(), |z, n| z.tanh() + n);
    "def f(x, y=2):\n    return x * y\nf(a) + f(a, 3) + f(y=4, x=a)" => |v| &v.a * 2 + &v.a * 3 + &v.a * 4;
    "def f(n):\n    if n > 2:\n        return a\n    elif n == 2:\n        return b\n    else:\n        return p\nf(3) - f(2) * f(1)" => |v| &v.a - &v.b * &v.p;
    "z = 0\nfor u, n in zip([a, b], [1, 2]):\n    z = z + u * n\nz" => |v| (0 + &v.a * 1) + &v.b * 2;
    "z = a\nfor n, u in enumerate([b, p]):\n    z = z - (n + 1) * u\nz" => |v| (&v.a - 1 * &v.b) - 2 * &v.p;
    "z = 0.0\nfor r in a:\n    z = z + r.sum()\nz" => |v| (0.0 + v.a.i(0).sum(..)) + v.a.i(1).sum(..);
    "B, T = a.shape\na.reshape(B * T) / (B + T)" => |v| v.a.reshape([6]) / 5;
    "n, _ = a.shape\na * n" => |v| &v.a * 2;
    "def outer2(u):\n    def inner(v):\n        return v + u\n    return inner(u) * 2\nouter2(a)" => |v| (&v.a + &v.a) * 2;
    "u, v2 = chunk(t, 2, axis=2)\nu * v2" => |v| v.t.i(covector::s![.., .., ..2]) * v.t.i(covector::s![.., .., 2..]);
    "# a comment\na + \\\n  b" => |v| &v.a + &v.b;
    "z = (a +\n     b)\nz; z * 2" => |v| (&v.a + &v.b) * 2;
    "a if a.ndim == 2 and len(a) > 1 else b" => |v| v.a.clone();
    "a if not (1 > 2 or False) else b" => |v| v.a.clone();
    "z = a\nif 0: z = b\nz" => |v| v.a.clone();
    "a.dtype == f32" => |_v| 1.0;
    "x.dtype != f64" => |_v| 0.0;
    "int(2.7) + float(1)" => |_v| 3.0;
    "len([a, b, a])" => |_v| 3.0;
    "[1, 2] * 2" => |_v| vec![1.0, 2.0, 1.0, 2.0];
}

/// As the functions of the programs below.
fn f(x: &Tensor) -> Tensor {
    (x.pow(3) * x.sin()).sum(..)
}

corpus! { TRANSFORMATIONS:
    "def f(u): return (u ** 3 * sin(u)).sum()\ngrad(f)(x)" => |v| value_and_grad(f)(&v.x).1;
    "def f(u): return (u ** 3 * sin(u)).sum()\nvalue_and_grad(f)(x)" => |v| value_and_grad(f)(&v.x);
    "def f(u): return (u ** 3 * sin(u)).sum()\nhessian(f)(x)" => |v| hessian(f)(&v.x);
    "def g(u): return tanh(u) * u\njacobian(g)(x)" => |v| jacrev(|x: &Tensor| x.tanh() * x)(&v.x);
    "def g(u): return tanh(u) * u\njvp(g, x, y)" => |v| jvp(|x: &Tensor| x.tanh() * x, &v.x, &v.y);
    "def f(u): return (u ** 3 * sin(u)).sum()\ngrad(grad_sum)(x) if False else grad(f)(y)" => |v| value_and_grad(f)(&v.y).1;
    "def f(u): return (u ** 3 * sin(u)).sum()\ndef g(u): return grad(f)(u).sum()\ngrad(g)(x)" => |v|
        value_and_grad(|x: &Tensor| value_and_grad(f)(x).1.sum(..))(&v.x).1;
    "def r(u): return softmax(u * 2)\nvmap(r)(a)" => |v| vmap(|x: &Tensor| (x * 2).softmax(-1))(&v.a);
    "def d(u, v): return dot(u, v)\nvmap(d)(a, b)" => |v|
        vmap(|x: &Vec<Tensor>| x[0].dot(&x[1]))(&vec![v.a.clone(), v.b.clone()]);
    "def f(u): return (u ** 3 * sin(u)).sum()\nvmap(grad(f))(sq)" => |v| vmap(|x: &Tensor| value_and_grad(f)(x).1)(&v.sq);
    "def loss(u, target): return mse_loss(u @ w, target)\ngrad(loss)(a, zeros((2, 4)))" => |v| {
        let zeros = ops::create::zeros([2usize, 4], DType::F32);
        value_and_grad(|x: &Tensor| x.matmul(&v.w).mse_loss(&zeros, "mean"))(&v.a).1
    };
    "grad(norm)(x)" => |v| value_and_grad(|x: &Tensor| x.norm(.., 2.0))(&v.x).1;
}

corpus! { DTYPES:
    "cast(a, f64)" => |v| v.a.cast(DType::F64);
    "a.astype(f16)" => |v| v.a.cast(DType::F16);
    "a.to(int64)" => |v| v.a.cast(DType::I64);
    "i.cast(f32) / 2" => |v| v.i.cast(DType::F32) / 2;
    "h + 1" => |v| &v.h + 1;
    "h * a" => |v| &v.h * &v.a;
    "h @ w" => |v| v.h.matmul(&v.w);
    "cast(a, bfloat16) * 3" => |v| v.a.cast(DType::BF16) * 3;
    "m * 2" => |v| &v.m * 2;
    "i + 0.5" => |v| &v.i + 0.5;
    "0.5 + i" => |v| 0.5 + &v.i;
    "sqrt(abs(i))" => |v| v.i.abs().sqrt();
    "mean(i)" => |v| v.i.mean(..);
    "sum(m)" => |v| v.m.sum(..);
    "cast(i, u8)" => |v| v.i.cast(DType::U8);
    "f64(a) + x[0]" => |v| v.a.cast(DType::F64) + v.x.i(0);
    "i64(a)" => |v| v.a.cast(DType::I64);
    "stop_gradient(a) + a" => |v| v.a.stop_gradient() + &v.a;
}
