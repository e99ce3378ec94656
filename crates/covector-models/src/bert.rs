//! BERT: a bidirectional transformer encoder.
//!
//! Source: Devlin et al. 2018, "BERT: Pre-training of deep bidirectional transformers"; names as in Hugging Face's `BertModel`.

#![allow(missing_docs, reason = "fields have the names of the files they are read from, and say no more than these")]

use covector::{DType, Key, Result, Tensor, Tree};
use covector_nn::{Embedding, LayerNorm, Linear};
use serde::Deserialize;

use crate::Folder;
use crate::folder::{fill, without_prefix};
use crate::heads::Heads;

/// The sizes of a [`Bert`], as `config.json` calls them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BertConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    #[serde(default = "small")]
    pub layer_norm_eps: f64,
    #[serde(default = "gelu")]
    pub hidden_act: String,
}

fn small() -> f64 {
    1e-12
}

fn gelu() -> String {
    "gelu".to_owned()
}

/// The encoder, with the pooler of its first token if the file has one.
#[derive(Clone, Debug, Tree)]
pub struct Bert {
    /// Tokens, positions and segments.
    pub embeddings: Embeddings,
    /// The layers.
    pub encoder: Encoder,
    /// A map of the first token's vector.
    pub pooler: Option<Pooler>,
    /// The number of heads.
    #[tree(skip)]
    pub heads: usize,
}

/// The sum of three embeddings, normalised.
#[derive(Clone, Debug, Tree)]
pub struct Embeddings {
    pub word_embeddings: Embedding,
    pub position_embeddings: Embedding,
    pub token_type_embeddings: Embedding,
    #[tree(rename = "LayerNorm")]
    pub norm: LayerNorm,
}

/// The layers, one after the other.
#[derive(Clone, Debug, Tree)]
pub struct Encoder {
    pub layer: Vec<Layer>,
}

/// Attention and a feed-forward part, each added to its input and normalised.
#[derive(Clone, Debug, Tree)]
pub struct Layer {
    pub attention: Attention,
    pub intermediate: Pooler,
    pub output: Output,
}

/// Attention of every token to every other.
#[derive(Clone, Debug, Tree)]
pub struct Attention {
    #[tree(rename = "self")]
    pub heads: Heads,
    pub output: Output,
}

/// A map back into the stream, and the norm behind the sum.
#[derive(Clone, Debug, Tree)]
pub struct Output {
    pub dense: Linear,
    #[tree(rename = "LayerNorm")]
    pub norm: LayerNorm,
}

/// One linear map.
#[derive(Clone, Debug, Tree)]
pub struct Pooler {
    pub dense: Linear,
}

impl Bert {
    /// An encoder with normal weights of standard deviation 0.02, in f32.
    ///
    /// ```
    /// use covector::{Key, Tensor};
    /// use covector_models::{Bert, BertConfig};
    /// let config: BertConfig = BertConfig {
    ///     vocab_size: 11, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 16,
    ///     max_position_embeddings: 6, type_vocab_size: 2, layer_norm_eps: 1e-12, hidden_act: "gelu".into(),
    /// };
    /// let model = Bert::new(&Key::new(0), &config, true);
    /// let tokens = Tensor::from([[2, 7, 3], [2, 3, 0]]);
    /// let present = Tensor::from([[1, 1, 1], [1, 1, 0]]);
    /// assert_eq!(model.forward(&tokens, &present).shape()[..], [2, 3, 8]);
    /// ```
    pub fn new(key: &Key, config: &BertConfig, pooler: bool) -> Bert {
        let width = config.hidden_size;
        let mut count = 0;
        let mut next = || {
            count += 1;
            key.fold_in(count)
        };
        let norm = || LayerNorm { eps: config.layer_norm_eps, ..LayerNorm::new(width, true) };
        let mut linear = |inputs, outputs| Linear::normal(&next(), inputs, outputs, true, 0.02);
        let layers = (0..config.num_hidden_layers).map(|_| Layer {
            attention: Attention {
                heads: Heads::new(width, &mut linear),
                output: Output { dense: linear(width, width), norm: norm() },
            },
            intermediate: Pooler { dense: linear(width, config.intermediate_size) },
            output: Output { dense: linear(config.intermediate_size, width), norm: norm() },
        });
        let encoder = Encoder { layer: layers.collect() };
        let pooler = pooler.then(|| Pooler { dense: linear(width, width) });
        let mut table = |entries| Embedding::normal(&next(), entries, width, 0.02);
        let embeddings = Embeddings {
            word_embeddings: table(config.vocab_size),
            position_embeddings: table(config.max_position_embeddings),
            token_type_embeddings: table(config.type_vocab_size),
            norm: norm(),
        };
        Bert { embeddings, encoder, pooler, heads: config.num_attention_heads }
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// If files are missing or malformed, the arrays do not fit, or the activation is none that is known.
    pub fn load(folder: &Folder) -> Result<(Bert, BertConfig)> {
        let config: BertConfig = folder.json("config.json")?;
        if config.hidden_act != "gelu" {
            return Err(covector::Error::new(format!("the activation `{}` is not known", config.hidden_act))
                .hint("known is `gelu`"));
        }
        let weights = without_prefix(folder.weights()?, "bert.");
        let pooler = weights.tensors.contains_key("pooler.dense.weight");
        let like = Bert::new(&Key::new(0), &config, pooler);
        // Counted positions, and heads of other tasks, are no part of the encoder.
        let model = fill(&weights, &like, |name| name.ends_with("position_ids") || name.starts_with("cls."))?;
        Ok((model, config))
    }

    /// The vectors of tokens `[batch, time]`, all of the first segment: `[batch, time, width]`.
    ///
    /// `present` is 1 where a token stands and 0 behind a sentence's end, where no attention goes.
    #[track_caller]
    pub fn forward(&self, tokens: &Tensor, present: &Tensor) -> Tensor {
        let time = tokens.shape()[1] as i64;
        let e = &self.embeddings;
        let positions = e.position_embeddings.weight.i(..time);
        let segment = e.token_type_embeddings.weight.i(0);
        let sum = e.word_embeddings.forward(tokens) + positions + segment;
        let mask = present.cast(DType::Bool).expand_dims([1, 2]);
        let first = e.norm.forward(&sum);
        self.encoder.layer.iter().fold(first, |x, layer| layer.forward(&x, &mask, self.heads))
    }

    /// The pooler's map of the first token: `[batch, width]`; none if there is no pooler.
    pub fn pooled(&self, hidden: &Tensor) -> Option<Tensor> {
        let first = hidden.i((.., 0));
        self.pooler.as_ref().map(|pooler| pooler.dense.forward(&first).tanh())
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, mask: &Tensor, heads: usize) -> Tensor {
        let seen = self.attention.heads.forward(x, heads, Some(mask));
        let x = self.attention.output.forward(&seen, x);
        let hidden = self.intermediate.dense.forward(&x).gelu();
        self.output.forward(&hidden, &x)
    }
}

impl Output {
    fn forward(&self, hidden: &Tensor, x: &Tensor) -> Tensor {
        self.norm.forward(&(self.dense.forward(hidden) + x))
    }
}
