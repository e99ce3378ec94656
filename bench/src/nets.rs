//! Training steps, and other derivatives of networks.

use covector::ops::concat::concat;
use covector::ops::loss::cross_entropy;
use covector::{DType, Key, Tensor, Tree, compile_owned, eval, grad, hvp, trim_pool, value_and_grad, vmap};
use covector_nn::optim::{Optimizer, State};
use covector_nn::{AdamW, Cache, Dropout, Embedding, Gpt, GptConfig, Linear, clip_grad_norm};

use crate::fill::{check, fill32, labels, parameter};
use crate::protocol::Prepared;

pub fn prepare(row: &str) -> Option<Prepared> {
    match row {
        "mlp" => mlp_step(MLP, 128, DType::F32),
        "mlp_f64" => mlp_step(MLP, 128, DType::F64),
        "mlp_tiny" => mlp_step([4; 4], 2, DType::F32),
        "gpt_small" => Prepared::training(gpt(4, 4, 128, 64, 12)),
        "gpt_first" => Prepared::first(gpt(4, 4, 128, 64, 12)),
        "gpt_large" => Prepared::training(gpt(6, 6, 384, 256, 8)),
        "decode" => decode(),
        "cnn" => cnn_step(),
        "embedding_grad" => embedding_step(),
        "per_sample" => per_sample(),
        "hvp" => hessian_vector(),
        _ => None,
    }
}

/// The model with every parameter filled by its name and shape.
pub fn filled<M: Tree>(model: &M) -> M {
    let names = model.named();
    model.with_leaves(names.iter().map(|(name, t)| Tensor::from_slice(&parameter(name, t.shape()), t.shape())))
}

fn data(shape: &[usize], seed: u32) -> Tensor {
    Tensor::from_slice(&fill32(shape.iter().product(), seed, 1.0), shape)
}

fn classes(n: usize) -> Tensor {
    Tensor::from(labels(n, 4, 10))
}

fn leaves_check<M: Tree>(tree: &M) -> Vec<f64> {
    tree.leaves().iter().flat_map(|t| check(t.to_vec::<f32>().into_iter().map(f64::from))).collect()
}

/// A training by AdamW, whose step is compiled as a whole. Matrices decay, vectors do not.
pub struct Adam<M, B> {
    step: Box<Step<M, B>>,
    /// The model and the optimiser's state, but for while a step runs.
    trained: Option<(M, State)>,
}

/// What goes into a step: the model, the optimiser's state and the rate, and a batch.
type Given<M, B> = ((M, State, Tensor), B);

type Step<M, B> = dyn Fn(Given<M, B>) -> (Tensor, (M, State));

impl<M: Tree + 'static, B: Tree + 'static> Adam<M, B> {
    /// A training from this model on, with gradients of at most this norm.
    pub fn new(model: M, adam: AdamW, clip: Option<f64>, loss: impl Fn(&M, &B) -> Tensor + 'static) -> Self {
        let plain = AdamW { weight_decay: 0.0, ..adam };
        let optimizer = Optimizer::new(adam).group(|_, p| p.ndim() < 2, plain, 1.0);
        let state = optimizer.start(&model);
        let step = compile_owned(move |((model, state, rate), batch): &Given<M, B>| {
            let (loss, gradients) = value_and_grad(|model: &M| loss(model, batch))(model);
            let gradients = match clip {
                Some(limit) => clip_grad_norm(&gradients, limit).0,
                None => gradients,
            };
            (loss, optimizer.step(model, &gradients, state, rate))
        });
        Adam { step: Box::new(step), trained: Some((model, state)) }
    }

    /// One step; gives the loss before it.
    pub fn step(&mut self, rate: f64, batch: B) -> f64 {
        let (model, state) = self.trained.take().expect("the last step put it back");
        let (loss, next) = (self.step)(((model, state, Tensor::from(rate)), batch));
        self.trained = Some(next);
        loss.to_f64()
    }

    /// The model as it is now.
    pub fn model(&self) -> &M {
        &self.trained.as_ref().expect("the last step put it back").0
    }
}

/// Steps of [`Adam`] on one batch.
fn adam<M: Tree + 'static, B: Tree + Clone + 'static>(
    model: M,
    adam: AdamW,
    batch: B,
    loss: impl Fn(&M, &B) -> Tensor + 'static,
) -> impl FnMut() -> f64 {
    let mut training = Adam::new(model, adam, None, loss);
    move || training.step(3e-4, batch.clone())
}

/// The same without an optimiser's state.
fn sgd<M: Tree, B: Tree + Clone>(model: M, batch: B, loss: impl Fn(&M, &B) -> Tensor) -> impl FnMut() -> f64 {
    let step = compile_owned(move |(model, batch): &(M, B)| {
        let (loss, gradient) = value_and_grad(|model: &M| loss(model, batch))(model);
        let moved = model.leaves().into_iter().zip(gradient.leaves()).map(|(p, g)| p - g * 0.01);
        (loss, model.with_leaves(moved))
    });
    let mut trained = Some(model);
    move || {
        let (loss, next) = step((trained.take().expect("the last step put it back"), batch.clone()));
        trained = Some(next);
        loss.to_f64()
    }
}

type Mlp = Vec<Linear>;

/// What goes into each layer, and what comes out of the last.
const MLP: [usize; 4] = [784, 512, 512, 10];

fn mlp(sizes: [usize; 4]) -> Mlp {
    filled(&sizes.windows(2).map(|w| Linear::new(&Key::new(0), w[0], w[1], true)).collect())
}

fn mlp_loss(model: &Mlp, x: &Tensor, y: &Tensor) -> Tensor {
    let hidden = model[1].forward(&model[0].forward(x).relu()).relu();
    cross_entropy(&model[2].forward(&hidden), y, None, None, 0.0, "mean")
}

fn mlp_step(sizes: [usize; 4], batch: usize, dtype: DType) -> Option<Prepared> {
    let x = data(&[batch, sizes[0]], 3).cast(dtype);
    let y = Tensor::from(labels(batch, 4, sizes[3] as i64));
    let model = mlp(sizes).map_leaves(|p| p.cast(dtype));
    let optimizer = AdamW { weight_decay: 0.0, ..AdamW::default() };
    Prepared::training(adam(model, optimizer, (x, y), |m, (x, y)| mlp_loss(m, x, y)))
}

fn gpt(layers: usize, heads: usize, width: usize, block: usize, batch: usize) -> impl FnMut() -> f64 {
    let config = GptConfig { vocabulary: 65, block, layers, heads, width, bias: false };
    let model = filled(&Gpt::new(&Key::new(0), &config));
    let tokens = |seed| Tensor::from_slice(&labels(batch * block, seed, 65), [batch, block]);
    let (x, y) = (tokens(5), tokens(6));
    let optimizer = AdamW { beta2: 0.99, weight_decay: 0.1, ..AdamW::default() };
    adam(model, optimizer, (x, y), |m, (x, y)| m.loss(x, y, &Dropout::off()))
}

fn embedding_step() -> Option<Prepared> {
    let model = Embedding { weight: Tensor::from_slice(&parameter("wte.weight", &[50257, 768]), [50257, 768]) };
    let (tokens, cotangent) = (Tensor::from(labels(768, 5, 50257)), data(&[768, 768], 4));
    let loss = |m: &Embedding, (tokens, cotangent): &(Tensor, Tensor)| (m.forward(tokens) * cotangent).sum(..);
    Prepared::training(sgd(model, (tokens, cotangent), loss))
}

/// One token of a model of GPT-2's size behind 128 others, whose keys and values are given; the check is its logits.
fn decode() -> Option<Prepared> {
    const BEFORE: usize = 128;
    let config = GptConfig { vocabulary: 50257, block: 1024, layers: 12, heads: 12, width: 768, bias: false };
    let model = filled(&Gpt::new(&Key::new(0), &config)).for_decoding();
    let seen = |seed| data(&[12, BEFORE, 64], seed).permute_dims([1, 0, 2]).reshape([1, BEFORE, 768]);
    // A place for one more token. Those of others take no memory until they are written.
    let room = Tensor::from_slice(&[0.0f32; 2 * 768], [1, 1, 2 * 768]);
    let layer = |i: u32| {
        let layer = concat(&[concat(&[seen(100 + 2 * i), seen(101 + 2 * i)], -1), room.clone()], 1);
        eval([&layer]);
        layer
    };
    let layers: Vec<Tensor> = (0..12).map(layer).collect();
    trim_pool();
    let mut cache = Cache::from_layers(layers, BEFORE).expect("layers of one shape");
    let token = Tensor::from([[17i64]]);
    let mut step = move || {
        cache.truncate(BEFORE);
        model.decode(&token, &mut cache).expect("a token fits")
    };
    let check = check(step().to_vec::<f32>().into_iter().map(f64::from));
    Prepared::new(check, move || {
        step();
    })
}

fn per_sample() -> Option<Prepared> {
    let model = mlp(MLP);
    let batch = (data(&[32, 784], 3), classes(32));
    let f = vmap(move |(x, y): &(Tensor, Tensor)| {
        let (x, y) = (x.reshape([1, 784]), y.reshape([1]));
        grad(|m: &Mlp| mlp_loss(m, &x, &y))(&model)
    });
    let check = leaves_check(&f(&batch));
    Prepared::new(check, move || eval(&f(&batch).leaves()))
}

fn hessian_vector() -> Option<Prepared> {
    let (model, x, y) = (mlp(MLP), data(&[128, 784], 3), classes(128));
    let v = model.map_leaves(|t| data(t.shape(), 7));
    let f = move || hvp(|m: &Mlp| mlp_loss(m, &x, &y), &model, &v);
    let check = leaves_check(&f());
    Prepared::new(check, move || eval(&f().leaves()))
}

#[derive(Tree)]
struct Conv {
    weight: Tensor,
    bias: Tensor,
}

impl Conv {
    fn new(inputs: usize, outputs: usize) -> Conv {
        Conv { weight: data(&[outputs, inputs, 3, 3], 0), bias: data(&[outputs], 0) }
    }

    fn forward(&self, x: &Tensor, stride: usize) -> Tensor {
        x.conv2d(&self.weight, Some(&self.bias), stride, 1, 1, 1).relu()
    }
}

#[derive(Tree)]
struct Cnn {
    conv: Vec<Conv>,
    head: Linear,
}

impl Cnn {
    fn loss(&self, x: &Tensor, y: &Tensor) -> Tensor {
        let x = self.conv[0].forward(x, 1);
        let x = self.conv[2].forward(&self.conv[1].forward(&x, 2), 2);
        cross_entropy(&self.head.forward(&x.mean([2, 3])), y, None, None, 0.0, "mean")
    }
}

fn cnn_step() -> Option<Prepared> {
    let conv = vec![Conv::new(3, 16), Conv::new(16, 32), Conv::new(32, 64)];
    let model = filled(&Cnn { conv, head: Linear::new(&Key::new(0), 64, 10, true) });
    let (x, y) = (data(&[32, 3, 32, 32], 3), classes(32));
    Prepared::training(sgd(model, (x, y), |m: &Cnn, (x, y)| m.loss(x, y)))
}
