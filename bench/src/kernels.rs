//! Single ops and short expressions.

use covector::{DType, Tensor, eval, value_and_grad};

use crate::fill::{check, fill32, fill64};
use crate::protocol::Prepared;

pub fn prepare(row: &str) -> Option<Prepared> {
    let square = |n: usize, seed: u32| f32s(&[n, n], seed);
    let square64 = |n: usize, seed: u32| Tensor::from_slice(&fill64(n * n, seed), [n, n]);
    match row {
        "matmul_512_f32" => product(square(512, 1), square(512, 2)),
        "matmul_1024_f32" => product(square(1024, 1), square(1024, 2)),
        "matmul_2048_f32" => product(square(2048, 1), square(2048, 2)),
        "matmul_512_f64" => product(square64(512, 1), square64(512, 2)),
        "matmul_1024_f64" => product(square64(1024, 1), square64(1024, 2)),
        "matmul_2048_f64" => product(square64(2048, 1), square64(2048, 2)),
        "matmul_1024_bf16" => product(square(1024, 1).cast(DType::BF16), square(1024, 2).cast(DType::BF16)),
        "matmul_odd" => product(f32s(&[1000, 997], 1), f32s(&[997, 1003], 2)),
        "matmul_nt" => product(f32s(&[2048, 384], 1), f32s(&[1536, 384], 2).t()),
        "matmul_batched" => product(f32s(&[96, 128, 64], 1), f32s(&[96, 64, 128], 2)),
        "vecmat" => product(f32s(&[1, 2048], 1), f32s(&[2048, 8192], 2)),
        "gelu" => unary(f32s(&[4096, 4096], 1), gelu),
        "gelu_grad" => gradient(gelu),
        "chain2" => unary(f32s(&[4096, 4096], 1), chain2),
        "chain2_grad" => gradient(chain2),
        "softmax" => unary(f32s(&[4096, 1024], 1), |x| x.softmax(-1)),
        "layernorm" => {
            let (weight, bias) = (f32s(&[1024], 2), f32s(&[1024], 3));
            unary(f32s(&[4096, 1024], 1), move |x| x.layer_norm(1, Some(&weight), Some(&bias), 1e-5))
        }
        "layernorm_grad" => norm_grad(&[4096, 1024], 1024, |x, w, b| x.layer_norm(1, Some(w), Some(b), 1e-5)),
        "batchnorm_grad" => norm_grad(&[64, 64, 32, 32], 64, batch_norm),
        "sum_0" => unary(f32s(&[4096, 4096], 1), |x| x.sum(0)),
        "sum_1" => unary(f32s(&[4096, 4096], 1), |x| x.sum(1)),
        "sum_middle" => unary(f32s(&[64, 256, 1024], 1), |x| x.sum(1)),
        "cumsum_0" => unary(f32s(&[4096, 1024], 1), |x| x.cumsum(0)),
        "cumsum_1" => unary(f32s(&[4096, 1024], 1), |x| x.cumsum(1)),
        "add_t" => {
            let y = square(4096, 2);
            unary(square(4096, 1), move |x| x + y.t())
        }
        _ => None,
    }
}

fn f32s(shape: &[usize], seed: u32) -> Tensor {
    Tensor::from_slice(&fill32(shape.iter().product(), seed, 1.0), shape)
}

fn figures(y: &Tensor) -> Vec<f64> {
    check(y.cast(DType::F64).to_vec::<f64>())
}

fn product(a: Tensor, b: Tensor) -> Option<Prepared> {
    eval([&a, &b]);
    Prepared::new(figures(&a.matmul(&b)), move || eval([&a.matmul(&b)]))
}

fn unary(x: Tensor, f: impl Fn(&Tensor) -> Tensor + 'static) -> Option<Prepared> {
    Prepared::new(figures(&f(&x)), move || eval([&f(&x)]))
}

/// GELU's tanh form, spelt out.
fn gelu(x: &Tensor) -> Tensor {
    0.5 * x * (1.0 + (0.797_884_560_8 * (x + 0.044_715 * x * x * x)).tanh())
}

/// A chain of the reader's choice.
fn chain2(x: &Tensor) -> Tensor {
    x * x.sigmoid() + (-x * x).exp() * 0.5 - x.abs().log1p()
}

fn gradient(chain: fn(&Tensor) -> Tensor) -> Option<Prepared> {
    let x = f32s(&[4096, 4096], 1);
    let f = value_and_grad(move |x: &Tensor| chain(x).sum(..));
    let check = figures(&f(&x).1);
    Prepared::new(check, move || {
        let (y, g) = f(&x);
        eval([&y, &g]);
    })
}

/// In training: by the mean and the variance of the batch.
fn batch_norm(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    let (mean, variance) = (x.mean([0, 2, 3]), x.var([0, 2, 3], 0.0));
    x.batch_norm(&mean, &variance, Some(weight), Some(bias), 1e-5)
}

fn norm_grad(shape: &[usize], width: usize, norm: fn(&Tensor, &Tensor, &Tensor) -> Tensor) -> Option<Prepared> {
    let inputs = (f32s(shape, 1), f32s(&[width], 2), f32s(&[width], 3));
    let cotangent = f32s(shape, 4);
    let loss = move |(x, weight, bias): &(Tensor, Tensor, Tensor)| (norm(x, weight, bias) * &cotangent).sum(..);
    let f = value_and_grad(loss);
    let (_, (x, weight, bias)) = f(&inputs);
    let check = [x, weight, bias].iter().flat_map(figures).collect();
    Prepared::new(check, move || {
        let (y, (x, weight, bias)) = f(&inputs);
        eval([&y, &x, &weight, &bias]);
    })
}
