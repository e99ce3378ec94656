//! burn's driver of `cargo xtask bench`: reads the name of a row per line, answers a line of JSON.
#![forbid(unsafe_code)]

use std::hint::black_box;

use burn::module::{ModuleMapper, Param, ParamGroup};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::prelude::*;
use burn::tensor::DType;
use burn::tensor::activation::{gelu as gelu_erf, relu, sigmoid, softmax};
use burn::tensor::module::{attention, batch_norm_train, layer_norm};
use burn::tensor::ops::AttentionModuleOptions;

mod decode;
#[path = "../../src/fill.rs"]
mod fill;
#[path = "../../src/protocol.rs"]
mod protocol;

use fill::{check, fill32, fill64, labels, parameter};
use protocol::Prepared;

fn main() {
    protocol::serve("burn 0.22.1 (flex)", prepare);
}

fn device() -> Device {
    Device::flex()
}

fn prepare(row: &str) -> Option<Prepared> {
    let square = |n: usize| (f32s([n, n], 1), f32s([n, n], 2));
    let square64 = |n: usize| {
        let one = |seed| Tensor::<2>::from_data(TensorData::new(fill64(n * n, seed), [n, n]), (&device(), DType::F64));
        (one(1), one(2))
    };
    match row {
        "matmul_512_f32" => product(square(512)),
        "matmul_1024_f32" => product(square(1024)),
        "matmul_2048_f32" => product(square(2048)),
        "matmul_512_f64" => product(square64(512)),
        "matmul_1024_f64" => product(square64(1024)),
        "matmul_2048_f64" => product(square64(2048)),
        "matmul_1024_bf16" => {
            let (a, b) = square(1024);
            product((a.cast(DType::BF16), b.cast(DType::BF16)))
        }
        "matmul_odd" => product((f32s([1000, 997], 1), f32s([997, 1003], 2))),
        "matmul_nt" => product((f32s([2048, 384], 1), f32s([1536, 384], 2).transpose())),
        "matmul_batched" => product((f32s([96, 128, 64], 1), f32s([96, 64, 128], 2))),
        "vecmat" => product((f32s([1, 2048], 1), f32s([2048, 8192], 2))),
        "gelu" => unary(f32s([4096, 4096], 1), gelu),
        "gelu_grad" => gradient(gelu),
        "chain2" => unary(f32s([4096, 4096], 1), chain2),
        "chain2_grad" => gradient(chain2),
        "softmax" => unary(f32s([4096, 1024], 1), |x| softmax(x, 1)),
        "layernorm" => {
            let (weight, bias) = (f32s([1024], 2), f32s([1024], 3));
            unary(f32s([4096, 1024], 1), move |x| layer_norm(x, weight.clone(), Some(bias.clone()), 1e-5))
        }
        "layernorm_grad" => layernorm_grad(),
        "batchnorm_grad" => batchnorm_grad(),
        "sum_middle" => unary(f32s([64, 256, 1024], 1), |x| x.sum_dim(1)),
        "cumsum_0" => unary(f32s([4096, 1024], 1), |x| x.cumsum(0)),
        "cumsum_1" => unary(f32s([4096, 1024], 1), |x| x.cumsum(1)),
        "add_t" => {
            let y = f32s([4096, 4096], 2);
            unary(f32s([4096, 4096], 1), move |x| x + y.clone().transpose())
        }
        "embedding_grad" => embedding_grad(),
        "sum_0" => unary(f32s([4096, 4096], 1), |x| x.sum_dim(0)),
        "sum_1" => unary(f32s([4096, 4096], 1), |x| x.sum_dim(1)),
        "mlp" => mlp(DType::F32),
        "mlp_f64" => mlp(DType::F64),
        "gpt_small" => Prepared::training(gpt(4, 4, 128, 64, 12)),
        "gpt_first" => Prepared::first(gpt(4, 4, 128, 64, 12)),
        "gpt_large" => Prepared::training(gpt(6, 6, 384, 256, 8)),
        "decode" => decode::prepare(),
        "cnn" => cnn(),
        "add1" => {
            let (a, b) = (Tensor::<1>::from_data([1.5f32], &device()), Tensor::<1>::from_data([2.0f32], &device()));
            Prepared::new(figures(a.clone() + b.clone())[..1].to_vec(), move || {
                black_box(a.clone() + b.clone());
            })
        }
        "chain" => chain(),
        _ => None,
    }
}

fn data<const D: usize>(shape: [usize; D], seed: u32) -> TensorData {
    TensorData::new(fill32(shape.iter().product(), seed, 1.0), shape)
}

fn f32s<const D: usize>(shape: [usize; D], seed: u32) -> Tensor<D> {
    Tensor::from_data(data(shape, seed), &device())
}

/// A constant among tensors that are differentiated.
fn constant<const D: usize>(shape: [usize; D], seed: u32) -> Tensor<D> {
    Tensor::from_data(data(shape, seed), &device().autodiff())
}

fn variable<const D: usize>(shape: [usize; D], seed: u32) -> Tensor<D> {
    constant(shape, seed).require_grad()
}

fn integers<const D: usize>(shape: [usize; D], seed: u32, classes: i64) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(labels(shape.iter().product(), seed, classes), shape), &device().autodiff())
}

fn figures<const D: usize>(y: Tensor<D>) -> Vec<f64> {
    check(y.into_data().iter::<f64>())
}

fn product<const D: usize>((a, b): (Tensor<D>, Tensor<D>)) -> Option<Prepared> {
    Prepared::new(figures(a.clone().matmul(b.clone())), move || {
        black_box(a.clone().matmul(b.clone()));
    })
}

fn unary<const D: usize>(x: Tensor<D>, f: impl Fn(Tensor<D>) -> Tensor<D> + 'static) -> Option<Prepared> {
    Prepared::new(figures(f(x.clone())), move || {
        black_box(f(x.clone()));
    })
}

fn gelu(x: Tensor<2>) -> Tensor<2> {
    let cubic = x.clone() * 0.044_715 * x.clone() * x.clone();
    let inner = ((x.clone() + cubic) * 0.797_884_560_8).tanh();
    x * 0.5 * (inner + 1.0)
}

fn chain2(x: Tensor<2>) -> Tensor<2> {
    let bell = (x.clone() * x.clone()).neg().exp() * 0.5;
    x.clone() * sigmoid(x.clone()) + bell - x.abs().log1p()
}

fn gradient(chain: impl Fn(Tensor<2>) -> Tensor<2> + 'static) -> Option<Prepared> {
    let x = variable([4096, 4096], 1);
    let f = move || x.grad(&chain(x.clone()).sum().backward()).expect("a gradient");
    Prepared::new(figures(f()), move || {
        black_box(f());
    })
}

fn layernorm_grad() -> Option<Prepared> {
    norm_grad([4096, 1024], 1024, |x, weight, bias| layer_norm(x, weight, Some(bias), 1e-5))
}

fn batchnorm_grad() -> Option<Prepared> {
    norm_grad([64, 64, 32, 32], 64, |x, weight, bias| batch_norm_train(x, weight, bias, 1e-5).output)
}

fn norm_grad<const D: usize>(
    shape: [usize; D],
    width: usize,
    norm: impl Fn(Tensor<D>, Tensor<1>, Tensor<1>) -> Tensor<D> + 'static,
) -> Option<Prepared> {
    let (x, weight, bias) = (variable(shape, 1), variable([width], 2), variable([width], 3));
    let cotangent = constant(shape, 4);
    let f = move || {
        let y = norm(x.clone(), weight.clone(), bias.clone());
        let grads = (y * cotangent.clone()).sum().backward();
        (x.grad(&grads), weight.grad(&grads), bias.grad(&grads))
    };
    let (x, weight, bias) = f();
    let check = [figures(x?), figures(weight?), figures(bias?)].concat();
    Prepared::new(check, move || {
        black_box(f());
    })
}

fn chain() -> Option<Prepared> {
    let x = variable([16], 1);
    let f = move || {
        let y = (0..333).fold(x.clone(), |y, _| (y * 0.99 + x.clone()).tanh());
        x.grad(&y.sum().backward()).expect("a gradient")
    };
    Prepared::new(figures(f()), move || {
        black_box(f());
    })
}

/// A parameter filled by its name.
fn filled<const D: usize>(name: &str, shape: [usize; D]) -> Param<Tensor<D>> {
    Param::from_data(TensorData::new(parameter(name, &shape), shape), &device().autodiff())
}

fn linear(name: &str, inputs: usize, outputs: usize, bias: bool) -> Linear {
    let numbers = parameter(&format!("{name}.weight"), &[outputs, inputs]);
    // burn's weights are stored the other way round.
    let turned = (0..inputs * outputs).map(|i| numbers[i % outputs * inputs + i / outputs]).collect::<Vec<_>>();
    let mut layer = LinearConfig::new(inputs, outputs).with_bias(bias).init(&device().autodiff());
    layer.weight = Param::from_data(TensorData::new(turned, [inputs, outputs]), &device().autodiff());
    layer.bias = bias.then(|| filled(&format!("{name}.bias"), [outputs]));
    layer
}

fn norm(width: usize) -> LayerNorm {
    LayerNormConfig::new(width).with_bias(false).init(&device().autodiff())
}

fn embedding(name: &str, entries: usize, width: usize) -> Embedding {
    let mut layer = EmbeddingConfig::new(entries, width).init(&device().autodiff());
    layer.weight = filled(name, [entries, width]);
    layer
}

fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, targets)
}

/// A training step as a function that gives the loss.
fn stepper<M: Module>(
    model: M,
    mut optimizer: ModuleOptimizer,
    rate: f64,
    loss: impl Fn(&M) -> Tensor<1>,
) -> impl FnMut() -> f64 {
    let mut model = Some(model);
    move || {
        let current = model.take().expect("a model");
        let loss = loss(&current);
        let grads = GradientsParams::from_grads(loss.backward(), &current);
        model = Some(optimizer.step(rate, current, grads));
        loss.into_data().iter::<f64>().next().expect("one number")
    }
}

fn adam(beta2: f32, weight_decay: f32) -> ModuleOptimizer {
    let config = |decay| AdamWConfig::new().with_epsilon(1e-8).with_beta_2(beta2).with_weight_decay(decay);
    config(weight_decay).init().with_group(ParamGroup::from_predicate("ln_"), config(0.0).build(), None)
}

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

/// Parameters of another width.
struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        Param::from_tensor(parameter.val().cast(self.0).detach())
    }
}

fn mlp(dtype: DType) -> Option<Prepared> {
    let layers = vec![linear("0", 784, 512, true), linear("1", 512, 512, true), linear("2", 512, 10, true)];
    let (x, y) = (constant([128, 784], 3).cast(dtype), integers([128], 4, 10));
    let model = Mlp { layers }.map(&mut Cast(dtype));
    Prepared::training(stepper(model, adam(0.999, 0.0), 3e-4, move |m: &Mlp| {
        let hidden = relu(m.layers[1].forward(relu(m.layers[0].forward(x.clone()))));
        cross_entropy(m.layers[2].forward(hidden), y.clone())
    }))
}

fn embedding_grad() -> Option<Prepared> {
    let (tokens, cotangent) = (integers([1, 768], 5, 50257), constant([768, 768], 4));
    let model = embedding("wte.weight", 50257, 768);
    Prepared::training(stepper(model, SgdConfig::new().init(), 0.01, move |m: &Embedding| {
        (m.forward(tokens.clone()).squeeze_dim(0) * cotangent.clone()).sum()
    }))
}

#[derive(Module, Debug)]
struct Cnn {
    conv: Vec<Conv2d>,
    head: Linear,
}

fn cnn() -> Option<Prepared> {
    let layer = |(i, (inputs, outputs, stride)): (usize, (usize, usize, usize))| {
        let config = Conv2dConfig::new([inputs, outputs], [3, 3]).with_stride([stride, stride]);
        let mut layer = config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(&device().autodiff());
        layer.weight = filled(&format!("conv.{i}.weight"), [outputs, inputs, 3, 3]);
        layer.bias = Some(filled(&format!("conv.{i}.bias"), [outputs]));
        layer
    };
    let conv = [(3, 16, 1), (16, 32, 2), (32, 64, 2)].into_iter().enumerate().map(layer).collect();
    let (x, y) = (constant([32, 3, 32, 32], 3), integers([32], 4, 10));
    let model = Cnn { conv, head: linear("head", 64, 10, true) };
    Prepared::training(stepper(model, SgdConfig::new().init(), 0.01, move |m: &Cnn| {
        let x = m.conv.iter().fold(x.clone(), |x, conv| relu(conv.forward(x)));
        let pooled: Tensor<2> = x.mean_dim(3).mean_dim(2).flatten::<2>(1, 3);
        cross_entropy(m.head.forward(pooled), y.clone())
    }))
}

#[derive(Module, Debug)]
struct Block {
    ln_1: LayerNorm,
    c_attn: Linear,
    c_proj: Linear,
    ln_2: LayerNorm,
    c_fc: Linear,
    back: Linear,
}

impl Block {
    fn attend(&self, x: Tensor<3>, heads: usize) -> Tensor<3> {
        let [batch, time, width] = x.dims();
        let parts = self.c_attn.forward(x).chunk(3, 2);
        let mut parts = parts.into_iter().map(|p| p.reshape([batch, time, heads, width / heads]).swap_dims(1, 2));
        let [q, k, v] = std::array::from_fn(|_| parts.next().expect("three parts"));
        let options = AttentionModuleOptions { is_causal: true, ..AttentionModuleOptions::default() };
        let y = attention(q, k, v, None, None, options);
        self.c_proj.forward(y.swap_dims(1, 2).reshape([batch, time, width]))
    }
}

#[derive(Module, Debug)]
struct Gpt {
    wte: Embedding,
    wpe: Param<Tensor<2>>,
    h: Vec<Block>,
    ln_f: LayerNorm,
}

impl Gpt {
    /// A transformer, whose head is the token embedding.
    fn new(layers: usize, width: usize, vocabulary: usize, block: usize) -> Gpt {
        let layer = |i: usize| Block {
            ln_1: norm(width),
            c_attn: linear(&format!("h.{i}.attn.c_attn"), width, 3 * width, false),
            c_proj: linear(&format!("h.{i}.attn.c_proj"), width, width, false),
            ln_2: norm(width),
            c_fc: linear(&format!("h.{i}.mlp.c_fc"), width, 4 * width, false),
            back: linear(&format!("h.{i}.mlp.c_proj"), 4 * width, width, false),
        };
        Gpt {
            wte: embedding("wte.weight", vocabulary, width),
            wpe: filled("wpe.weight", [block, width]),
            h: (0..layers).map(layer).collect(),
            ln_f: norm(width),
        }
    }
}

/// The training step of a GPT.
fn gpt(layers: usize, heads: usize, width: usize, block: usize, batch: usize) -> impl FnMut() -> f64 {
    let model = Gpt::new(layers, width, 65, block);
    let (x, y) = (integers([batch, block], 5, 65), integers([batch * block], 6, 65));
    stepper(model, adam(0.99, 0.1), 3e-4, move |m: &Gpt| {
        let mut h = m.wte.forward(x.clone()) + m.wpe.val().unsqueeze::<3>();
        for block in &m.h {
            h = h.clone() + block.attend(block.ln_1.forward(h), heads);
            h = h.clone() + block.back.forward(gelu_erf(block.c_fc.forward(block.ln_2.forward(h))));
        }
        let h: Tensor<2> = m.ln_f.forward(h).reshape([batch * block, width]);
        cross_entropy(h.matmul(m.wte.weight.val().transpose()), y.clone())
    })
}
