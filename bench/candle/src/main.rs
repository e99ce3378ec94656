//! candle's driver of `cargo xtask bench`: reads the name of a row per line, answers a line of JSON.
#![forbid(unsafe_code)]

use std::hint::black_box;

use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::ops::{layer_norm, layer_norm_slow, softmax, softmax_last_dim};
use candle_nn::{
    AdamW, BatchNorm, Conv2d, Conv2dConfig, Embedding, LayerNorm, Linear, Module, ModuleT, Optimizer, ParamsAdamW, SGD,
    loss::cross_entropy, ops::sigmoid,
};

mod decode;
#[path = "../../src/fill.rs"]
mod fill;
#[path = "../../src/protocol.rs"]
mod protocol;

use fill::{check, fill32, fill64, labels, parameter};
use protocol::Prepared;

fn main() {
    protocol::serve("candle 0.11.1", |row| prepare(row).unwrap_or_else(|e| panic!("{row}: {e}")));
}

fn prepare(row: &str) -> Result<Option<Prepared>> {
    let square = |n: usize| Ok::<_, candle_core::Error>((f32s(&[n, n], 1)?, f32s(&[n, n], 2)?));
    let square64 = |n: usize| {
        let one = |seed| Tensor::from_vec(fill64(n * n, seed), (n, n), &Device::Cpu);
        Ok::<_, candle_core::Error>((one(1)?, one(2)?))
    };
    match row {
        "matmul_512_f32" => product(square(512)?),
        "matmul_1024_f32" => product(square(1024)?),
        "matmul_2048_f32" => product(square(2048)?),
        "matmul_512_f64" => product(square64(512)?),
        "matmul_1024_f64" => product(square64(1024)?),
        "matmul_2048_f64" => product(square64(2048)?),
        "matmul_odd" => product((f32s(&[1000, 997], 1)?, f32s(&[997, 1003], 2)?)),
        "matmul_nt" => product((f32s(&[2048, 384], 1)?, f32s(&[1536, 384], 2)?.t()?)),
        "matmul_batched" => product((f32s(&[96, 128, 64], 1)?, f32s(&[96, 64, 128], 2)?)),
        "vecmat" => product((f32s(&[1, 2048], 1)?, f32s(&[2048, 8192], 2)?)),
        "gelu" => unary(f32s(&[4096, 4096], 1)?, gelu),
        "gelu_grad" => gradient(vec![Var::from_tensor(&f32s(&[4096, 4096], 1)?)?], |x| gelu(&x[0])?.sum_all()),
        "chain2" => unary(f32s(&[4096, 4096], 1)?, chain2),
        "chain2_grad" => gradient(vec![Var::from_tensor(&f32s(&[4096, 4096], 1)?)?], |x| chain2(&x[0])?.sum_all()),
        "softmax" => unary(f32s(&[4096, 1024], 1)?, softmax_last_dim),
        "layernorm" => {
            let (weight, bias) = (f32s(&[1024], 2)?, f32s(&[1024], 3)?);
            unary(f32s(&[4096, 1024], 1)?, move |x| layer_norm(x, &weight, &bias, 1e-5))
        }
        "layernorm_grad" => {
            let inputs = [f32s(&[4096, 1024], 1)?, f32s(&[1024], 2)?, f32s(&[1024], 3)?];
            let inputs = inputs.iter().map(Var::from_tensor).collect::<Result<Vec<_>>>()?;
            let cotangent = f32s(&[4096, 1024], 4)?;
            // The fast one has no derivative.
            gradient(inputs, move |x| (layer_norm_slow(&x[0], &x[1], &x[2], 1e-5)? * &cotangent)?.sum_all())
        }
        "batchnorm_grad" => batchnorm_grad(),
        "sum_middle" => unary(f32s(&[64, 256, 1024], 1)?, |x| x.sum(1)),
        "cumsum_0" => unary(f32s(&[4096, 1024], 1)?, |x| x.cumsum(0)),
        "cumsum_1" => unary(f32s(&[4096, 1024], 1)?, |x| x.cumsum(1)),
        "add_t" => {
            let y = f32s(&[4096, 4096], 2)?;
            unary(f32s(&[4096, 4096], 1)?, move |x| x + y.t()?)
        }
        "embedding_grad" => embedding_grad(),
        "sum_0" => unary(f32s(&[4096, 4096], 1)?, |x| x.sum(0)),
        "sum_1" => unary(f32s(&[4096, 4096], 1)?, |x| x.sum(1)),
        "mlp" => mlp(DType::F32),
        "mlp_f64" => mlp(DType::F64),
        "gpt_small" => Ok(Prepared::training(gpt(4, 4, 128, 64, 12)?)),
        "gpt_first" => Ok(Prepared::first(gpt(4, 4, 128, 64, 12)?)),
        "gpt_large" => Ok(Prepared::training(gpt(6, 6, 384, 256, 8)?)),
        "decode" => decode::prepare(),
        "cnn" => cnn(),
        "add1" => {
            let (a, b) = (Tensor::new(&[1.5f32], &Device::Cpu)?, Tensor::new(&[2.0f32], &Device::Cpu)?);
            let figure = f64::from((&a + &b)?.to_vec1::<f32>()?[0]);
            Ok(Prepared::new(vec![figure], move || {
                black_box((&a + &b).expect("adds"));
            }))
        }
        "chain" => gradient(vec![Var::from_tensor(&f32s(&[16], 1)?)?], |x| {
            let mut y = x[0].as_tensor().clone();
            for _ in 0..333 {
                y = ((y * 0.99)? + x[0].as_tensor())?.tanh()?;
            }
            y.sum_all()
        }),
        _ => Ok(None),
    }
}

fn f32s(shape: &[usize], seed: u32) -> Result<Tensor> {
    Tensor::from_vec(fill32(shape.iter().product(), seed, 1.0), shape, &Device::Cpu)
}

fn integers(shape: &[usize], seed: u32, classes: i64) -> Result<Tensor> {
    Tensor::from_vec(labels(shape.iter().product(), seed, classes), shape, &Device::Cpu)
}

fn figures(y: &Tensor) -> Result<Vec<f64>> {
    Ok(check(y.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?))
}

fn product((a, b): (Tensor, Tensor)) -> Result<Option<Prepared>> {
    Ok(Prepared::new(figures(&a.matmul(&b)?)?, move || {
        black_box(a.matmul(&b).expect("multiplies"));
    }))
}

fn unary(x: Tensor, f: impl Fn(&Tensor) -> Result<Tensor> + 'static) -> Result<Option<Prepared>> {
    Ok(Prepared::new(figures(&f(&x)?)?, move || {
        black_box(f(&x).expect("computes"));
    }))
}

fn gradient(inputs: Vec<Var>, loss: impl Fn(&[Var]) -> Result<Tensor> + 'static) -> Result<Option<Prepared>> {
    let grads = loss(&inputs)?.backward()?;
    let mut all = Vec::new();
    for input in &inputs {
        all.extend(figures(grads.get(input).expect("a gradient"))?);
    }
    Ok(Prepared::new(all, move || {
        black_box(loss(&inputs).and_then(|y| y.backward()).expect("differentiates"));
    }))
}

fn gelu(x: &Tensor) -> Result<Tensor> {
    let cubic = (((x * 0.044_715)? * x)? * x)?;
    let inner = ((x + cubic)? * 0.797_884_560_8)?.tanh()?;
    (x * 0.5)? * (inner + 1.0)?
}

fn chain2(x: &Tensor) -> Result<Tensor> {
    let bell = ((x * x)?.neg()?.exp()? * 0.5)?;
    ((x * sigmoid(x)?)? + bell)? - (x.abs()? + 1.0)?.log()?
}

fn batchnorm_grad() -> Result<Option<Prepared>> {
    let inputs = [f32s(&[64, 64, 32, 32], 1)?, f32s(&[64], 2)?, f32s(&[64], 3)?];
    let inputs = inputs.iter().map(Var::from_tensor).collect::<Result<Vec<_>>>()?;
    let cotangent = f32s(&[64, 64, 32, 32], 4)?;
    let running = || Tensor::zeros(64, DType::F32, &Device::Cpu);
    let [weight, bias] = [1, 2].map(|i: usize| inputs[i].as_tensor().clone());
    let norm = BatchNorm::new(64, running()?, running()?, weight, bias, 1e-5)?;
    gradient(inputs, move |x| (norm.forward_t(&x[0], true)? * &cotangent)?.sum_all())
}

fn embedding_grad() -> Result<Option<Prepared>> {
    let mut p = Parameters::default();
    let rows_of = Embedding::new(p.get("wte.weight", &[50257, 768])?, 768);
    let (tokens, cotangent) = (integers(&[768], 5, 50257)?, f32s(&[768, 768], 4)?);
    let loss = move || (rows_of.forward(&tokens)? * &cotangent)?.sum_all();
    Ok(Prepared::training(stepper(vec![SGD::new(p.vars, 0.01)?], loss)))
}

/// The parameters of a model, filled by name; the optimiser needs them apart.
struct Parameters {
    vars: Vec<Var>,
    dtype: DType,
    /// Whether ops on them are recorded for derivatives.
    trained: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { vars: Vec::new(), dtype: DType::F32, trained: true }
    }
}

impl Parameters {
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let numbers = Tensor::from_vec(parameter(name, shape), shape, &Device::Cpu)?.to_dtype(self.dtype)?;
        if !self.trained {
            return Ok(numbers);
        }
        let var = Var::from_tensor(&numbers)?;
        self.vars.push(var.clone());
        Ok(var.as_tensor().clone())
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Result<Linear> {
        let weight = self.get(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = if bias { Some(self.get(&format!("{name}.bias"), &[outputs])?) } else { None };
        Ok(Linear::new(weight, bias))
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<LayerNorm> {
        Ok(LayerNorm::new_no_bias(self.get(&format!("{name}.weight"), &[width])?, 1e-5))
    }

    /// AdamW whose matrices decay and whose vectors do not.
    fn adam(self, beta2: f64, weight_decay: f64) -> Result<[AdamW; 2]> {
        let (matrices, vectors): (Vec<Var>, Vec<Var>) = self.vars.into_iter().partition(|p| p.rank() >= 2);
        let settings = ParamsAdamW { lr: 3e-4, beta2, weight_decay, ..ParamsAdamW::default() };
        Ok([
            AdamW::new(matrices, settings.clone())?,
            AdamW::new(vectors, ParamsAdamW { weight_decay: 0.0, ..settings })?,
        ])
    }
}

/// A training step as a function that gives the loss.
fn stepper<O: Optimizer>(mut optimizers: Vec<O>, loss: impl Fn() -> Result<Tensor>) -> impl FnMut() -> f64 {
    let mut step = move || -> Result<f64> {
        let loss = loss()?;
        let grads = loss.backward()?;
        for optimizer in &mut optimizers {
            optimizer.step(&grads)?;
        }
        loss.to_dtype(DType::F64)?.to_scalar::<f64>()
    };
    move || step().expect("a step")
}

fn mlp(dtype: DType) -> Result<Option<Prepared>> {
    let mut p = Parameters { dtype, ..Parameters::default() };
    let layers = [p.linear("0", 784, 512, true)?, p.linear("1", 512, 512, true)?, p.linear("2", 512, 10, true)?];
    let (x, y) = (f32s(&[128, 784], 3)?.to_dtype(dtype)?, integers(&[128], 4, 10)?);
    Ok(Prepared::training(stepper(p.adam(0.999, 0.0)?.into(), move || {
        let hidden = layers[1].forward(&layers[0].forward(&x)?.relu()?)?.relu()?;
        cross_entropy(&layers[2].forward(&hidden)?, &y)
    })))
}

fn cnn() -> Result<Option<Prepared>> {
    let mut p = Parameters::default();
    let mut convolutions = Vec::new();
    for (i, (inputs, outputs, stride)) in [(3, 16, 1), (16, 32, 2), (32, 64, 2)].into_iter().enumerate() {
        let weight = p.get(&format!("conv.{i}.weight"), &[outputs, inputs, 3, 3])?;
        let bias = p.get(&format!("conv.{i}.bias"), &[outputs])?;
        let config = Conv2dConfig { padding: 1, stride, ..Conv2dConfig::default() };
        convolutions.push(Conv2d::new(weight, Some(bias), config));
    }
    let head = p.linear("head", 64, 10, true)?;
    let (x, y) = (f32s(&[32, 3, 32, 32], 3)?, integers(&[32], 4, 10)?);
    Ok(Prepared::training(stepper(vec![SGD::new(p.vars, 0.01)?], move || {
        let mut x = x.clone();
        for convolution in &convolutions {
            x = convolution.forward(&x)?.relu()?;
        }
        cross_entropy(&head.forward(&x.mean((2, 3))?)?, &y)
    })))
}

struct Block {
    ln_1: LayerNorm,
    c_attn: Linear,
    c_proj: Linear,
    ln_2: LayerNorm,
    fc: Linear,
    back: Linear,
}

impl Block {
    fn attention(&self, x: &Tensor, heads: usize, hidden: &Tensor) -> Result<Tensor> {
        let (b, n, width) = x.dims3()?;
        let all = self.c_attn.forward(x)?;
        let part = |i: usize| {
            let part = all.narrow(D::Minus1, i * width, width)?;
            part.reshape((b, n, heads, width / heads))?.transpose(1, 2)?.contiguous()
        };
        let (q, k, v) = (part(0)?, part(1)?, part(2)?);
        let scores = (q.matmul(&k.t()?)? * ((width / heads) as f64).powf(-0.5))?;
        // The fast softmax has no derivative.
        let weights = softmax(&scores.broadcast_add(hidden)?, D::Minus1)?;
        self.c_proj.forward(&weights.matmul(&v)?.transpose(1, 2)?.reshape((b, n, width))?)
    }
}

/// A transformer, whose head is the token embedding.
struct Gpt {
    wte: Tensor,
    wpe: Tensor,
    blocks: Vec<Block>,
    ln_f: LayerNorm,
}

impl Gpt {
    fn new(p: &mut Parameters, layers: usize, width: usize, vocabulary: usize, block: usize) -> Result<Gpt> {
        let (wte, wpe) = (p.get("wte.weight", &[vocabulary, width])?, p.get("wpe.weight", &[block, width])?);
        let mut blocks = Vec::new();
        for i in 0..layers {
            blocks.push(Block {
                ln_1: p.norm(&format!("h.{i}.ln_1"), width)?,
                c_attn: p.linear(&format!("h.{i}.attn.c_attn"), width, 3 * width, false)?,
                c_proj: p.linear(&format!("h.{i}.attn.c_proj"), width, width, false)?,
                ln_2: p.norm(&format!("h.{i}.ln_2"), width)?,
                fc: p.linear(&format!("h.{i}.mlp.c_fc"), width, 4 * width, false)?,
                back: p.linear(&format!("h.{i}.mlp.c_proj"), 4 * width, width, false)?,
            });
        }
        Ok(Gpt { wte, wpe, blocks, ln_f: p.norm("ln_f", width)? })
    }
}

/// The training step of a GPT.
fn gpt(layers: usize, heads: usize, width: usize, block: usize, batch: usize) -> Result<impl FnMut() -> f64> {
    let mut p = Parameters::default();
    let Gpt { wte, wpe, blocks, ln_f } = Gpt::new(&mut p, layers, width, 65, block)?;
    let tokens_of = Embedding::new(wte.clone(), width);
    let (x, y) = (integers(&[batch, block], 5, 65)?, integers(&[batch * block], 6, 65)?);
    let above = |i: usize| if i % block > i / block { f32::NEG_INFINITY } else { 0.0 };
    let hidden = Tensor::from_vec((0..block * block).map(above).collect(), (block, block), &Device::Cpu)?;
    Ok(stepper(p.adam(0.99, 0.1)?.into(), move || {
        let mut h = tokens_of.forward(&x)?.broadcast_add(&wpe)?;
        for block in &blocks {
            h = (&h + block.attention(&block.ln_1.forward(&h)?, heads, &hidden)?)?;
            let inner = block.fc.forward(&block.ln_2.forward(&h)?)?.gelu_erf()?;
            h = (&h + block.back.forward(&inner)?)?;
        }
        let logits = ln_f.forward(&h)?.reshape(((), width))?.matmul(&wte.t()?)?;
        cross_entropy(&logits, &y)
    }))
}
