//! GPT-2: a decoder with learned positions.
//!
//! Source: Radford et al. 2019, "Language models are unsupervised multitask learners"; names and layouts as in Hugging Face's
//! `GPT2LMHeadModel`, whose maps hold `[inputs, outputs]`.

#![allow(missing_docs, reason = "fields have the names of the files they are read from, and say no more than these")]

use covector::ops::random::normal;
use covector::{DType, Error, Key, Result, Tensor, Tree};
use covector_nn::decode::{Step, laid_out};
use covector_nn::{Cache, Decoder, Embedding, LayerNorm};
use serde::{Deserialize, Serialize};

use crate::folder::{agree, divides, fill, without_prefix};
use crate::heads::attend;
use crate::{Causal, Folder};

/// The sizes of a [`Gpt2`], as `config.json` calls them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Gpt2Config {
    pub vocab_size: usize,
    pub n_positions: usize,
    pub n_embd: usize,
    pub n_layer: usize,
    pub n_head: usize,
    #[serde(default = "small")]
    pub layer_norm_epsilon: f64,
    #[serde(default = "gelu")]
    pub activation_function: String,
}

fn small() -> f64 {
    1e-5
}

fn gelu() -> String {
    "gelu_new".to_owned()
}

/// The model; the output map is the token embedding.
#[derive(Clone, Debug, Tree)]
pub struct Gpt2 {
    pub wte: Embedding,
    pub wpe: Embedding,
    pub h: Vec<Block>,
    pub ln_f: LayerNorm,
    /// The number of heads.
    #[tree(skip)]
    pub heads: usize,
    /// What stands between the maps of the feed-forward parts.
    #[tree(skip)]
    pub activation: Gelu,
}

/// The Gaussian error linear unit, in one of its two forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gelu {
    /// By the hyperbolic tangent, as GPT-2 was trained.
    #[default]
    Tanh,
    /// By the error function.
    Exact,
}

impl Gelu {
    /// By the name of a configuration.
    fn named(name: &str) -> Result<Gelu> {
        match name {
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Gelu::Tanh),
            "gelu" => Ok(Gelu::Exact),
            other => Err(Error::new(format!("the activation `{}` is not known", other.escape_debug()))
                .hint("known are `gelu_new`, `gelu_pytorch_tanh` and `gelu`")),
        }
    }

    fn of(self, x: &Tensor) -> Tensor {
        match self {
            Gelu::Tanh => x.gelu_tanh(),
            Gelu::Exact => x.gelu(),
        }
    }
}

/// Attention and a feed-forward part, each on a normalised copy of the stream.
#[derive(Clone, Debug, Tree)]
pub struct Block {
    pub ln_1: LayerNorm,
    pub attn: Attention,
    pub ln_2: LayerNorm,
    pub mlp: FeedForward,
}

/// Queries, keys and values side by side, and the map back.
#[derive(Clone, Debug, Tree)]
pub struct Attention {
    pub c_attn: Map,
    pub c_proj: Map,
}

/// Out to four times the width, and back.
#[derive(Clone, Debug, Tree)]
pub struct FeedForward {
    pub c_fc: Map,
    pub c_proj: Map,
}

/// `y = x W + b`, with `W` `[inputs, outputs]`.
#[derive(Clone, Debug, Tree)]
pub struct Map {
    pub weight: Tensor,
    pub bias: Tensor,
}

impl Map {
    fn new(key: &Key, inputs: usize, outputs: usize) -> Map {
        let bias = Tensor::from(vec![0.0f32; outputs]);
        Map { weight: normal(key, [inputs, outputs], DType::F32) * 0.02, bias }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.matmul(&self.weight) + &self.bias
    }
}

impl Gpt2 {
    /// A model with normal weights of standard deviation 0.02, in f32.
    ///
    /// ```
    /// use covector::{Key, Tensor};
    /// use covector_models::{Gpt2, Gpt2Config};
    /// let config = Gpt2Config {
    ///     vocab_size: 11, n_positions: 8, n_embd: 6, n_layer: 2, n_head: 2, layer_norm_epsilon: 1e-5,
    ///     activation_function: "gelu_new".into(),
    /// };
    /// let model = Gpt2::new(&Key::new(0), &config);
    /// assert_eq!(model.forward(&Tensor::from([[1, 2, 3]])).shape()[..], [1, 3, 11]);
    /// ```
    pub fn new(key: &Key, config: &Gpt2Config) -> Gpt2 {
        let width = config.n_embd;
        let norm = || LayerNorm { eps: config.layer_norm_epsilon, ..LayerNorm::new(width, true) };
        let block = |i: usize| {
            let key = |k: i64| key.fold_in(2 + i as i64).fold_in(k);
            Block {
                ln_1: norm(),
                attn: Attention {
                    c_attn: Map::new(&key(0), width, 3 * width),
                    c_proj: Map::new(&key(1), width, width),
                },
                ln_2: norm(),
                mlp: FeedForward {
                    c_fc: Map::new(&key(2), width, 4 * width),
                    c_proj: Map::new(&key(3), 4 * width, width),
                },
            }
        };
        Gpt2 {
            wte: Embedding::normal(&key.fold_in(0), config.vocab_size, width, 0.02),
            wpe: Embedding::normal(&key.fold_in(1), config.n_positions, width, 0.02),
            h: (0..config.n_layer).map(block).collect(),
            ln_f: norm(),
            heads: config.n_head,
            activation: Gelu::named(&config.activation_function).unwrap_or_default(),
        }
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// If files are missing or malformed, the arrays do not fit, or the activation is none that is known.
    pub fn load(folder: &Folder) -> Result<(Gpt2, Gpt2Config)> {
        let config: Gpt2Config = folder.json("config.json")?;
        Gelu::named(&config.activation_function)?;
        divides(folder, "n_embd", config.n_embd, "n_head", config.n_head)?;
        let weights = without_prefix(folder.weights()?, "transformer.");
        agree(&weights, "wte.weight", [config.vocab_size, config.n_embd], config.n_layer)?;
        agree(&weights, "wpe.weight", [config.n_positions, config.n_embd], config.n_layer)?;
        // Older files carry the causal masks; the output map is tied.
        let ignored = |name: &str| {
            name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") || name == "lm_head.weight"
        };
        Ok((fill(&weights, &Gpt2::new(&Key::new(0), &config), ignored)?, config))
    }

    /// The logits of the next token behind each of `tokens [batch, time]`: `[batch, time, vocabulary]`.
    #[track_caller]
    pub fn forward(&self, tokens: &Tensor) -> Tensor {
        let time = tokens.shape()[1] as i64;
        let x = self.wte.forward(tokens) + self.wpe.weight.i(..time);
        let x = self.h.iter().fold(x, |x, block| block.forward(&x, self));
        self.ln_f.forward(&x).matmul(&self.wte.weight.t())
    }

    /// The mean cross-entropy of `targets [batch, time]`.
    #[track_caller]
    pub fn loss(&self, tokens: &Tensor, targets: &Tensor) -> Tensor {
        self.cross_entropy(tokens, targets)
    }
}

impl Gpt2 {
    /// The same model, laid out in memory as single tokens read it: see [`laid_out`].
    #[track_caller]
    pub fn for_decoding(self) -> Gpt2 {
        // The maps lie so already.
        laid_out(self, |path| path == "wte.weight")
    }
}

impl Decoder for Gpt2 {
    fn context(&self) -> usize {
        self.wpe.weight.shape()[0]
    }

    fn vocabulary(&self) -> usize {
        self.wte.weight.shape()[0]
    }

    fn cache(&self, batch: usize, capacity: usize) -> Cache {
        let features = 2 * self.wte.weight.shape()[1];
        Cache::empty(self.h.len(), batch, capacity.min(self.context()), features, self.wte.weight.dtype())
    }

    #[track_caller]
    fn decode(&self, tokens: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        cache.advance(tokens, |step, layers| {
            let mut x = self.wte.forward(tokens) + self.wpe.forward(&step.places);
            let mut written = Vec::with_capacity(layers.len());
            for (block, layer) in self.h.iter().zip(layers) {
                let (y, layer) = block.decode(&x, self, &layer, step);
                x = y;
                written.push(layer);
            }
            let last = self.ln_f.forward(&x.take(&Tensor::from(-1), 1));
            (last.matmul(&self.wte.weight.t()), written)
        })
    }
}

impl Block {
    fn forward(&self, x: &Tensor, model: &Gpt2) -> Tensor {
        let width = x.shape()[2] as i64;
        let qkv = self.attn.c_attn.forward(&self.ln_1.forward(x));
        let part = |i: i64| qkv.i((.., .., i * width..(i + 1) * width));
        self.rest(x, &attend(&part(0), &part(1), &part(2), model.heads, None, true), model)
    }

    /// As [`forward`](Self::forward), of tokens that also see those in the cache, where theirs are written.
    fn decode(&self, x: &Tensor, model: &Gpt2, layer: &Tensor, step: &Step) -> (Tensor, Tensor) {
        let width = x.shape()[2] as i64;
        let qkv = self.attn.c_attn.forward(&self.ln_1.forward(x));
        let layer = step.written(layer, &qkv.i((.., .., width..)));
        let [k, v] = [layer.i((.., .., ..width)), layer.i((.., .., width..))];
        let seen = attend(&qkv.i((.., .., ..width)), &k, &v, model.heads, Some(&step.seen), false);
        (self.rest(x, &seen, model), layer)
    }

    /// What follows attention.
    fn rest(&self, x: &Tensor, seen: &Tensor, model: &Gpt2) -> Tensor {
        let x = x + self.attn.c_proj.forward(seen);
        let hidden = model.activation.of(&self.mlp.c_fc.forward(&self.ln_2.forward(&x)));
        &x + self.mlp.c_proj.forward(&hidden)
    }
}
