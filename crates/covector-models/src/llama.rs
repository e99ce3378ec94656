//! Llama: a decoder with rotary positions, grouped queries and gated feed-forward parts.
//!
//! Source: Touvron et al. 2023, "LLaMA: Open and efficient foundation language models"; Su et al. 2021 (rotary positions); names as in
//! Hugging Face's `LlamaForCausalLM`.

#![allow(missing_docs, reason = "fields have the names of the files they are read from, and say no more than these")]

use covector::ops::attention::scaled_dot_product_attention;
use covector::ops::concat::concat;
use covector::{Key, Result, Tensor, Tree};
use covector_nn::{Embedding, Linear};
use serde::Deserialize;

use crate::Folder;
use crate::folder::fill;
use crate::heads::{join, split};

/// The sizes of a [`Llama`], as `config.json` calls them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LlamaConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: Option<usize>,
    #[serde(default = "small")]
    pub rms_norm_eps: f64,
    /// The base of the rotary frequencies; newer files have it in [`rope_parameters`](Self::rope_parameters).
    pub rope_theta: Option<f64>,
    pub rope_parameters: Option<RopeParameters>,
    #[serde(default)]
    pub tie_word_embeddings: bool,
}

/// How positions rotate.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RopeParameters {
    pub rope_theta: Option<f64>,
    pub rope_type: Option<String>,
}

fn small() -> f64 {
    1e-6
}

/// The model with its output map.
#[derive(Clone, Debug, Tree)]
pub struct Llama {
    pub model: Decoder,
    /// None if the output map is the token embedding.
    pub lm_head: Option<Linear>,
}

/// The decoder.
#[derive(Clone, Debug, Tree)]
pub struct Decoder {
    pub embed_tokens: Embedding,
    pub layers: Vec<Layer>,
    pub norm: Norm,
    #[tree(skip)]
    pub heads: usize,
    #[tree(skip)]
    pub groups: usize,
    #[tree(skip)]
    pub theta: f64,
}

/// Attention and a gated feed-forward part, each on a normalised copy of the stream.
#[derive(Clone, Debug, Tree)]
pub struct Layer {
    pub input_layernorm: Norm,
    pub self_attn: Attention,
    pub post_attention_layernorm: Norm,
    pub mlp: Gated,
}

/// The maps of attention; keys and values have fewer heads than queries.
#[derive(Clone, Debug, Tree)]
pub struct Attention {
    pub q_proj: Linear,
    pub k_proj: Linear,
    pub v_proj: Linear,
    pub o_proj: Linear,
}

/// `down(silu(gate(x)) · up(x))`
#[derive(Clone, Debug, Tree)]
pub struct Gated {
    pub gate_proj: Linear,
    pub up_proj: Linear,
    pub down_proj: Linear,
}

/// Division by the root mean square of the last axis.
#[derive(Clone, Debug, Tree)]
pub struct Norm {
    pub weight: Tensor,
    pub eps: f64,
}

impl Norm {
    fn forward(&self, x: &Tensor) -> Tensor {
        x.rms_norm(1, Some(&self.weight), self.eps)
    }
}

impl Llama {
    /// A model with normal weights of standard deviation 0.02, in f32.
    ///
    /// ```
    /// use covector::{Key, Tensor};
    /// use covector_models::{Llama, LlamaConfig};
    /// let config = LlamaConfig {
    ///     vocab_size: 11, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 4,
    ///     num_key_value_heads: Some(2), rms_norm_eps: 1e-6, rope_theta: None, rope_parameters: None, tie_word_embeddings: false,
    /// };
    /// let model = Llama::new(&Key::new(0), &config);
    /// assert_eq!(model.forward(&Tensor::from([[1, 2, 3]])).shape()[..], [1, 3, 11]);
    /// ```
    pub fn new(key: &Key, config: &LlamaConfig) -> Llama {
        let (width, heads) = (config.hidden_size, config.num_attention_heads);
        let groups = config.num_key_value_heads.unwrap_or(heads);
        let narrow = width / heads * groups;
        let norm = || Norm { weight: Tensor::from(vec![1.0f32; width]), eps: config.rms_norm_eps };
        let mut count = 1;
        let mut linear = |inputs, outputs| {
            count += 1;
            Linear::normal(&key.fold_in(count), inputs, outputs, false, 0.02)
        };
        let layers = (0..config.num_hidden_layers).map(|_| Layer {
            input_layernorm: norm(),
            self_attn: Attention {
                q_proj: linear(width, width),
                k_proj: linear(width, narrow),
                v_proj: linear(width, narrow),
                o_proj: linear(width, width),
            },
            post_attention_layernorm: norm(),
            mlp: Gated {
                gate_proj: linear(width, config.intermediate_size),
                up_proj: linear(width, config.intermediate_size),
                down_proj: linear(config.intermediate_size, width),
            },
        });
        let layers = layers.collect();
        let lm_head = (!config.tie_word_embeddings).then(|| linear(width, config.vocab_size));
        let embed_tokens = Embedding::normal(&key.fold_in(0), config.vocab_size, width, 0.02);
        let inner = config.rope_parameters.as_ref().and_then(|r| r.rope_theta);
        let theta = config.rope_theta.or(inner).unwrap_or(10_000.0);
        Llama { model: Decoder { embed_tokens, layers, norm: norm(), heads, groups, theta }, lm_head }
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// If files are missing or malformed, the arrays do not fit, or positions rotate in a way that is not known.
    pub fn load(folder: &Folder) -> Result<(Llama, LlamaConfig)> {
        let config: LlamaConfig = folder.json("config.json")?;
        let kind = config.rope_parameters.as_ref().and_then(|r| r.rope_type.clone());
        if let Some(kind) = kind.filter(|k| k != "default") {
            return Err(covector::Error::new(format!("rotary positions of the kind `{kind}` are not known"))
                .hint("known is `default`"));
        }
        let like = Llama::new(&Key::new(0), &config);
        let tied = config.tie_word_embeddings;
        let ignored = |name: &str| name.ends_with("rotary_emb.inv_freq") || tied && name == "lm_head.weight";
        Ok((fill(&folder.weights()?, &like, ignored)?, config))
    }

    /// The logits of the next token behind each of `tokens [batch, time]`: `[batch, time, vocabulary]`.
    #[track_caller]
    pub fn forward(&self, tokens: &Tensor) -> Tensor {
        let m = &self.model;
        let time = tokens.shape()[1];
        let depth = m.embed_tokens.weight.shape()[1] / m.heads;
        let rotation = rotation(time, depth, m.theta);
        let x = m.layers.iter().fold(m.embed_tokens.forward(tokens), |x, layer| layer.forward(&x, m, &rotation));
        let x = m.norm.forward(&x);
        match &self.lm_head {
            Some(head) => head.forward(&x),
            None => x.matmul(&m.embed_tokens.weight.t()),
        }
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, m: &Decoder, rotation: &(Tensor, Tensor)) -> Tensor {
        let a = &self.self_attn;
        let normal = self.input_layernorm.forward(x);
        let q = rotated(&split(&a.q_proj.forward(&normal), m.heads), rotation);
        let k = rotated(&split(&a.k_proj.forward(&normal), m.groups), rotation);
        let v = split(&a.v_proj.forward(&normal), m.groups);
        let times = m.heads / m.groups;
        let seen = scaled_dot_product_attention(&q, &repeated(&k, times), &repeated(&v, times), None, true);
        let x = x + a.o_proj.forward(&join(&seen));
        let normal = self.post_attention_layernorm.forward(&x);
        let gate = self.mlp.gate_proj.forward(&normal).silu();
        &x + self.mlp.down_proj.forward(&(gate * self.mlp.up_proj.forward(&normal)))
    }
}

/// Each head `times` times: `[batch, groups, time, depth] -> [batch, groups · times, time, depth]`.
fn repeated(x: &Tensor, times: usize) -> Tensor {
    let [batch, groups, time, depth] = [0, 1, 2, 3].map(|i| x.shape()[i]);
    let wide = x.expand_dims(2).broadcast_to([batch, groups, times, time, depth]);
    wide.reshape([batch, groups * times, time, depth].map(|n| n as i64))
}

/// The cosine and sine of each position's angles, twice side by side: `[time, depth]` each.
fn rotation(time: usize, depth: usize, theta: f64) -> (Tensor, Tensor) {
    let half = depth / 2;
    let angle = |i: usize| {
        let (t, k) = (i / depth, i % depth % half.max(1));
        t as f64 * theta.powf(-2.0 * k as f64 / depth as f64)
    };
    let table = |f: fn(f64) -> f64| {
        let values: Vec<f32> = (0..time * depth).map(|i| f(angle(i)) as f32).collect();
        Tensor::from_slice(&values, [time, depth])
    };
    (table(f64::cos), table(f64::sin))
}

/// Each pair of coordinates, half a depth apart, turned by its position's angle.
fn rotated(x: &Tensor, (cos, sin): &(Tensor, Tensor)) -> Tensor {
    let half = x.shape()[3] as i64 / 2;
    let turned = concat(&[-x.i((.., .., .., half..)), x.i((.., .., .., ..half))], -1);
    x * cos + turned * sin
}
