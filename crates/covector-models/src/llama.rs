//! Llama: a decoder with rotary positions, grouped queries and gated feed-forward parts.
//!
//! Source: Touvron et al. 2023, "LLaMA: Open and efficient foundation language models"; Su et al. 2021 (rotary positions); names as in
//! Hugging Face's `LlamaForCausalLM`.

#![allow(missing_docs, reason = "fields have the names of the files they are read from, and say no more than these")]

use covector::ops::attention::scaled_dot_product_attention;
use covector::ops::concat::concat;
use covector::{Error, Key, Result, Tensor, Tree};
use covector_nn::decode::{Step, laid_out};
use covector_nn::{Cache, Decoder, Embedding, Linear};
use serde::Deserialize;

use crate::Folder;
use crate::folder::{agree, divides, fill};
use crate::heads::{join, split};
use crate::rope::RopeParameters;

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
    /// How older files say that positions rotate otherwise.
    pub rope_scaling: Option<RopeParameters>,
    /// The features of a head, if they are not the width divided by the heads.
    pub head_dim: Option<usize>,
    /// The longest sequence.
    #[serde(default = "longest")]
    pub max_position_embeddings: usize,
    #[serde(default = "silu")]
    pub hidden_act: String,
    #[serde(default)]
    pub tie_word_embeddings: bool,
}

impl LlamaConfig {
    /// What says how positions rotate.
    fn rope(&self) -> Option<&RopeParameters> {
        self.rope_scaling.as_ref().or(self.rope_parameters.as_ref())
    }

    /// The angles by which one position turns each pair of the features of a head.
    fn rates(&self, depth: usize) -> Vec<f64> {
        let inner = self.rope_parameters.as_ref().and_then(|r| r.rope_theta);
        let theta = self.rope_theta.or(inner).unwrap_or(10_000.0);
        let plain = |k: usize| theta.powf(-2.0 * k as f64 / depth as f64);
        let scaled = |rate| self.rope().map_or(rate, |rope| rope.scaled(rate, self.max_position_embeddings));
        (0..depth / 2).map(|k| scaled(plain(k))).collect()
    }
}

fn small() -> f64 {
    1e-6
}

fn longest() -> usize {
    2048
}

fn silu() -> String {
    "silu".to_owned()
}

/// The model with its output map.
#[derive(Clone, Debug, Tree)]
pub struct Llama {
    pub model: Layers,
    /// None if the output map is the token embedding.
    pub lm_head: Option<Linear>,
}

/// The decoder without its output map.
#[derive(Clone, Debug, Tree)]
pub struct Layers {
    pub embed_tokens: Embedding,
    pub layers: Vec<Layer>,
    pub norm: Norm,
    #[tree(skip)]
    pub heads: usize,
    #[tree(skip)]
    pub groups: usize,
    /// The angles by which one position turns each pair of features.
    #[tree(skip)]
    pub rates: Vec<f64>,
    /// The longest sequence.
    #[tree(skip)]
    pub context: usize,
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
    ///     num_key_value_heads: Some(2), rms_norm_eps: 1e-6, rope_theta: None, rope_parameters: None, rope_scaling: None,
    ///     head_dim: None, max_position_embeddings: 16, hidden_act: "silu".into(), tie_word_embeddings: false,
    /// };
    /// let model = Llama::new(&Key::new(0), &config);
    /// assert_eq!(model.forward(&Tensor::from([[1, 2, 3]])).shape()[..], [1, 3, 11]);
    /// ```
    pub fn new(key: &Key, config: &LlamaConfig) -> Llama {
        let (width, heads) = (config.hidden_size, config.num_attention_heads);
        let groups = config.num_key_value_heads.unwrap_or(heads);
        let depth = config.head_dim.unwrap_or(width / heads);
        let norm = || Norm { weight: Tensor::from(vec![1.0f32; width]), eps: config.rms_norm_eps };
        let mut count = 1;
        let mut linear = |inputs, outputs| {
            count += 1;
            Linear::normal(&key.fold_in(count), inputs, outputs, false, 0.02)
        };
        let layers = (0..config.num_hidden_layers).map(|_| Layer {
            input_layernorm: norm(),
            self_attn: Attention {
                q_proj: linear(width, depth * heads),
                k_proj: linear(width, depth * groups),
                v_proj: linear(width, depth * groups),
                o_proj: linear(depth * heads, width),
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
        let (rates, context) = (config.rates(depth), config.max_position_embeddings);
        Llama { model: Layers { embed_tokens, layers, norm: norm(), heads, groups, rates, context }, lm_head }
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// If files are missing or malformed, the arrays do not fit, or positions rotate in a way that is not known.
    pub fn load(folder: &Folder) -> Result<(Llama, LlamaConfig)> {
        let config: LlamaConfig = folder.json("config.json")?;
        let refused = |what: String, known: &str| {
            Err(Error::new(format!("{}: {what}", folder.path("config.json").display())).hint(known))
        };
        if let Some(Err((problem, hint))) = config.rope().map(RopeParameters::check) {
            return refused(problem, hint);
        }
        if config.hidden_act != "silu" {
            return refused(
                format!("the activation `{}` is not known", config.hidden_act.escape_debug()),
                "known is `silu`",
            );
        }
        let heads = config.num_attention_heads;
        divides(
            folder,
            "num_attention_heads",
            heads,
            "num_key_value_heads",
            config.num_key_value_heads.unwrap_or(heads),
        )?;
        match config.head_dim {
            None => divides(folder, "hidden_size", config.hidden_size, "num_attention_heads", heads)?,
            Some(depth) => divides(folder, "head_dim", depth, "pairs of", 2)?,
        }
        let weights = folder.weights()?;
        let sizes = [config.vocab_size, config.hidden_size];
        agree(&weights, "model.embed_tokens.weight", sizes, config.num_hidden_layers)?;
        let like = Llama::new(&Key::new(0), &config);
        let tied = config.tie_word_embeddings;
        let ignored = |name: &str| name.ends_with("rotary_emb.inv_freq") || tied && name == "lm_head.weight";
        Ok((fill(&weights, &like, ignored)?, config))
    }

    /// The logits of the next token behind each of `tokens [batch, time]`: `[batch, time, vocabulary]`.
    #[track_caller]
    pub fn forward(&self, tokens: &Tensor) -> Tensor {
        let m = &self.model;
        let positions: Vec<i64> = (0..tokens.shape()[1] as i64).collect();
        let rotation = m.rotation(&positions);
        let x = m.layers.iter().fold(m.embed_tokens.forward(tokens), |x, layer| layer.forward(&x, m, &rotation));
        self.logits(&m.norm.forward(&x))
    }

    fn logits(&self, x: &Tensor) -> Tensor {
        match &self.lm_head {
            Some(head) => head.forward(x),
            None => x.matmul(&self.model.embed_tokens.weight.t()),
        }
    }

    /// The same model, laid out in memory as single tokens read it: see [`laid_out`].
    #[track_caller]
    pub fn for_decoding(self) -> Llama {
        let tied = self.lm_head.is_none();
        laid_out(self, |path| !path.contains("embed_tokens") || tied)
    }
}

impl Decoder for Llama {
    fn context(&self) -> usize {
        self.model.context
    }

    fn vocabulary(&self) -> usize {
        self.model.embed_tokens.weight.shape()[0]
    }

    fn cache(&self, batch: usize, capacity: usize) -> Cache {
        let m = &self.model;
        let features = 2 * m.groups * m.depth();
        let dtype = m.embed_tokens.weight.dtype();
        Cache::empty(m.layers.len(), batch, capacity.min(m.context), features, dtype)
    }

    #[track_caller]
    fn decode(&self, tokens: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        let m = &self.model;
        let positions: Vec<i64> = (0..tokens.size() as i64).map(|i| i + cache.len() as i64).collect();
        cache.advance(tokens, |step, layers| {
            let rotation = m.rotation(&positions[..step.places.size()]);
            let mut x = m.embed_tokens.forward(tokens);
            let mut written = Vec::with_capacity(layers.len());
            for (block, layer) in m.layers.iter().zip(layers) {
                let (y, layer) = block.decode(&x, m, &rotation, &layer, step);
                x = y;
                written.push(layer);
            }
            let last = m.norm.forward(&x.take(&Tensor::from(-1), 1));
            (self.logits(&last), written)
        })
    }
}

impl Layers {
    /// The features of a head.
    fn depth(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.self_attn.k_proj.weight.shape()[0] / self.groups)
    }

    /// The cosine and sine of each position's angles, twice side by side: `[time, depth]` each.
    fn rotation(&self, positions: &[i64]) -> (Tensor, Tensor) {
        let half = self.rates.len();
        let table = |f: fn(f64) -> f64| {
            let row = |&t: &i64| self.rates.iter().chain(&self.rates).map(move |rate| f(t as f64 * rate) as f32);
            let values: Vec<f32> = positions.iter().flat_map(row).collect();
            Tensor::from_slice(&values, [positions.len(), 2 * half])
        };
        (table(f64::cos), table(f64::sin))
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, m: &Layers, rotation: &(Tensor, Tensor)) -> Tensor {
        let a = &self.self_attn;
        let normal = self.input_layernorm.forward(x);
        let q = rotated(&split(&a.q_proj.forward(&normal), m.heads), rotation);
        let k = rotated(&split(&a.k_proj.forward(&normal), m.groups), rotation);
        let v = split(&a.v_proj.forward(&normal), m.groups);
        self.rest(x, &grouped(&q, &k, &v, None, true))
    }

    /// As [`forward`](Self::forward), of tokens that also see those in the cache, where theirs are written.
    fn decode(
        &self,
        x: &Tensor,
        m: &Layers,
        rotation: &(Tensor, Tensor),
        layer: &Tensor,
        step: &Step,
    ) -> (Tensor, Tensor) {
        let a = &self.self_attn;
        let normal = self.input_layernorm.forward(x);
        let q = rotated(&split(&a.q_proj.forward(&normal), m.heads), rotation);
        let k = join(&rotated(&split(&a.k_proj.forward(&normal), m.groups), rotation));
        let narrow = k.shape()[2] as i64;
        let layer = step.written(layer, &concat(&[k, a.v_proj.forward(&normal)], -1));
        let [k, v] = [layer.i((.., .., ..narrow)), layer.i((.., .., narrow..))].map(|t| split(&t, m.groups));
        (self.rest(x, &grouped(&q, &k, &v, Some(&step.seen), false)), layer)
    }

    /// What follows attention.
    fn rest(&self, x: &Tensor, seen: &Tensor) -> Tensor {
        let x = x + self.self_attn.o_proj.forward(seen);
        let normal = self.post_attention_layernorm.forward(&x);
        let gate = self.mlp.gate_proj.forward(&normal).silu();
        &x + self.mlp.down_proj.forward(&(gate * self.mlp.up_proj.forward(&normal)))
    }
}

/// Attention of queries `[batch, heads, time, depth]` to fewer heads of keys and values, each of which serves the next queries:
/// `[batch, time, heads · depth]`.
fn grouped(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>, causal: bool) -> Tensor {
    let [batch, heads, time, depth] = [0, 1, 2, 3].map(|i| q.shape()[i] as i64);
    let groups = k.shape()[1] as i64;
    let q = q.reshape([batch, groups, heads / groups, time, depth]);
    // The axis of queries that share keys is one long there, and repeated without a copy.
    let [k, v] = [k, v].map(|t| t.expand_dims(2));
    let y = scaled_dot_product_attention(&q, &k, &v, mask, causal);
    join(&y.reshape([batch, heads, time, depth]))
}

/// Each pair of coordinates, half a depth apart, turned by its position's angle.
fn rotated(x: &Tensor, (cos, sin): &(Tensor, Tensor)) -> Tensor {
    let half = x.shape()[3] as i64 / 2;
    let turned = concat(&[-x.i((.., .., .., half..)), x.i((.., .., .., ..half))], -1);
    x * cos + turned * sin
}
