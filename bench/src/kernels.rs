//! Single ops and short expressions.

use covector::{Element, Tensor, eval, value_and_grad};

use crate::fill::{check, fill32, fill64};
use crate::protocol::Prepared;

pub fn prepare(row: &str) -> Option<Prepared> {
    let square = |n: usize, seed: u32| f32s(&[n, n], seed);
    let square64 = |n: usize, seed: u32| Tensor::from_slice(&fill64(n * n, seed), [n, n]);
    match row {
        "matmul_512_f32" => product::<f32>(square(512, 1), square(512, 2)),
        "matmul_1024_f32" => product::<f32>(square(1024, 1), square(1024, 2)),
        "matmul_2048_f32" => product::<f32>(square(2048, 1), square(2048, 2)),
        "matmul_512_f64" => product::<f64>(square64(512, 1), square64(512, 2)),
        "matmul_1024_f64" => product::<f64>(square64(1024, 1), square64(1024, 2)),
        "matmul_2048_f64" => product::<f64>(square64(2048, 1), square64(2048, 2)),
        "matmul_batched" => product::<f32>(f32s(&[96, 128, 64], 1), f32s(&[96, 64, 128], 2)),
        "vecmat" => product::<f32>(f32s(&[1, 2048], 1), f32s(&[2048, 8192], 2)),
        "gelu" => unary(f32s(&[4096, 4096], 1), gelu),
        "gelu_grad" => gelu_grad(),
        "softmax" => unary(f32s(&[4096, 1024], 1), |x| x.softmax(-1)),
        "layernorm" => {
            let (weight, bias) = (f32s(&[1024], 2), f32s(&[1024], 3));
            unary(f32s(&[4096, 1024], 1), move |x| x.layer_norm(1, Some(&weight), Some(&bias), 1e-5))
        }
        "layernorm_grad" => layernorm_grad(),
        "sum_0" => unary(f32s(&[4096, 4096], 1), |x| x.sum(0)),
        "sum_1" => unary(f32s(&[4096, 4096], 1), |x| x.sum(1)),
        _ => None,
    }
}

fn f32s(shape: &[usize], seed: u32) -> Tensor {
    Tensor::from_slice(&fill32(shape.iter().product(), seed, 1.0), shape)
}

fn figures<T: Element + Into<f64>>(y: &Tensor) -> Vec<f64> {
    check(y.to_vec::<T>().into_iter().map(Into::into))
}

fn product<T: Element + Into<f64>>(a: Tensor, b: Tensor) -> Option<Prepared> {
    Prepared::new(figures::<T>(&a.matmul(&b)), move || eval([&a.matmul(&b)]))
}

fn unary(x: Tensor, f: impl Fn(&Tensor) -> Tensor + 'static) -> Option<Prepared> {
    Prepared::new(figures::<f32>(&f(&x)), move || eval([&f(&x)]))
}

/// GELU's tanh form, spelt out.
fn gelu(x: &Tensor) -> Tensor {
    0.5 * x * (1.0 + (0.797_884_560_8 * (x + 0.044_715 * x * x * x)).tanh())
}

fn gelu_grad() -> Option<Prepared> {
    let x = f32s(&[4096, 4096], 1);
    let f = value_and_grad(|x: &Tensor| gelu(x).sum(..));
    let check = figures::<f32>(&f(&x).1);
    Prepared::new(check, move || {
        let (y, g) = f(&x);
        eval([&y, &g]);
    })
}

fn layernorm_grad() -> Option<Prepared> {
    let inputs = (f32s(&[4096, 1024], 1), f32s(&[1024], 2), f32s(&[1024], 3));
    let cotangent = f32s(&[4096, 1024], 4);
    let loss = move |(x, weight, bias): &(Tensor, Tensor, Tensor)| {
        (x.layer_norm(1, Some(weight), Some(bias), 1e-5) * &cotangent).sum(..)
    };
    let f = value_and_grad(loss);
    let (_, (x, weight, bias)) = f(&inputs);
    let check = [x, weight, bias].iter().flat_map(figures::<f32>).collect();
    Prepared::new(check, move || {
        let (y, (x, weight, bias)) = f(&inputs);
        eval([&y, &x, &weight, &bias]);
    })
}
