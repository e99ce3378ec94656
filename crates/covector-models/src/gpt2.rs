//! GPT-2: a decoder with learned positions.
//!
//! Source: Radford et al. 2019, "Language models are unsupervised multitask learners"; names and layouts as in Hugging Face's
//! `GPT2LMHeadModel`, whose maps hold `[inputs, outputs]`.

#![allow(missing_docs, reason = "fields have the names of the files they are read from, and say no more than these")]

use covector::ops::loss::cross_entropy;
use covector::ops::random::normal;
use covector::{DType, Error, Key, Result, Tensor, Tree};
use covector_nn::{Embedding, LayerNorm};
use serde::Deserialize;

use crate::Folder;
use crate::folder::{fill, without_prefix};
use crate::heads::attend;

/// The sizes of a [`Gpt2`], as `config.json` calls them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
        }
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// If files are missing or malformed, the arrays do not fit, or the activation is none that is known.
    pub fn load(folder: &Folder) -> Result<(Gpt2, Gpt2Config)> {
        let config: Gpt2Config = folder.json("config.json")?;
        if config.activation_function != "gelu_new" {
            let problem = format!("the activation `{}` is not known", config.activation_function);
            return Err(Error::new(problem).hint("known is `gelu_new`"));
        }
        let weights = without_prefix(folder.weights()?, "transformer.");
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
        let x = self.h.iter().fold(x, |x, block| block.forward(&x, self.heads));
        self.ln_f.forward(&x).matmul(&self.wte.weight.t())
    }

    /// The mean cross-entropy of `targets [batch, time]`.
    #[track_caller]
    pub fn loss(&self, tokens: &Tensor, targets: &Tensor) -> Tensor {
        let logits = self.forward(tokens);
        let classes = logits.shape()[2] as i64;
        cross_entropy(&logits.reshape([-1, classes]), &targets.reshape([-1]), None, None, 0.0, "mean")
    }
}

impl Block {
    fn forward(&self, x: &Tensor, heads: usize) -> Tensor {
        let width = x.shape()[2] as i64;
        let qkv = self.attn.c_attn.forward(&self.ln_1.forward(x));
        let part = |i: i64| qkv.i((.., .., i * width..(i + 1) * width));
        let x = x + self.attn.c_proj.forward(&attend(&part(0), &part(1), &part(2), heads, None, true));
        let hidden = self.mlp.c_fc.forward(&self.ln_2.forward(&x)).gelu_tanh();
        &x + self.mlp.c_proj.forward(&hidden)
    }
}
