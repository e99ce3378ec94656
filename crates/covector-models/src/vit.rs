//! A vision transformer: pieces of an image as tokens.
//!
//! Source: Dosovitskiy et al. 2020, "An image is worth 16x16 words"; names as in Hugging Face's `ViTForImageClassification`.

#![allow(missing_docs, reason = "fields have the names of the files they are read from, and say no more than these")]

use covector::ops::concat::concat;
use covector::ops::conv::conv2d;
use covector::ops::random::normal;
use covector::{DType, Error, Key, Result, Tensor, Tree};
use covector_nn::{LayerNorm, Linear};
use serde::Deserialize;

use crate::Folder;
use crate::folder::fill;
use crate::heads::Heads;

/// The sizes of a [`Vit`], as `config.json` calls them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VitConfig {
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub image_size: usize,
    pub patch_size: usize,
    #[serde(default = "three")]
    pub num_channels: usize,
    #[serde(default = "small")]
    pub layer_norm_eps: f64,
    #[serde(default)]
    pub id2label: std::collections::BTreeMap<String, String>,
    #[serde(default = "gelu")]
    pub hidden_act: String,
}

fn three() -> usize {
    3
}

fn small() -> f64 {
    1e-12
}

fn gelu() -> String {
    "gelu".to_owned()
}

/// The encoder and the map of its first token to classes.
#[derive(Clone, Debug, Tree)]
pub struct Vit {
    pub vit: Encoder,
    pub classifier: Linear,
}

/// The encoder.
#[derive(Clone, Debug, Tree)]
pub struct Encoder {
    pub embeddings: Embeddings,
    pub encoder: Layers,
    pub layernorm: LayerNorm,
    #[tree(skip)]
    pub heads: usize,
}

/// Pieces, their positions, and a token of no piece in front.
#[derive(Clone, Debug, Tree)]
pub struct Embeddings {
    pub cls_token: Tensor,
    pub patch_embeddings: Patches,
    pub position_embeddings: Tensor,
}

/// A convolution whose windows do not overlap.
#[derive(Clone, Debug, Tree)]
pub struct Patches {
    pub projection: Projection,
}

/// Its weight and bias.
#[derive(Clone, Debug, Tree)]
pub struct Projection {
    pub weight: Tensor,
    pub bias: Tensor,
}

/// The layers, one after the other.
#[derive(Clone, Debug, Tree)]
pub struct Layers {
    pub layer: Vec<Layer>,
}

/// Attention and a feed-forward part, each on a normalised copy of the stream.
#[derive(Clone, Debug, Tree)]
pub struct Layer {
    pub attention: Attention,
    pub intermediate: Dense,
    pub output: Dense,
    pub layernorm_before: LayerNorm,
    pub layernorm_after: LayerNorm,
}

/// Attention and the map back.
#[derive(Clone, Debug, Tree)]
pub struct Attention {
    pub attention: Heads,
    pub output: Dense,
}

/// One linear map.
#[derive(Clone, Debug, Tree)]
pub struct Dense {
    pub dense: Linear,
}

impl Vit {
    /// A model with normal weights of standard deviation 0.02, in f32, for so many classes.
    pub fn new(key: &Key, config: &VitConfig, classes: usize) -> Vit {
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
                attention: Heads::new(width, &mut linear),
                output: Dense { dense: linear(width, width) },
            },
            intermediate: Dense { dense: linear(width, config.intermediate_size) },
            output: Dense { dense: linear(config.intermediate_size, width) },
            layernorm_before: norm(),
            layernorm_after: norm(),
        });
        let encoder = Layers { layer: layers.collect() };
        let classifier = linear(width, classes);
        let pieces = (config.image_size / config.patch_size).pow(2);
        let mut draw = |shape: &[usize]| normal(&next(), shape, DType::F32) * 0.02;
        let embeddings = Embeddings {
            cls_token: draw(&[1, 1, width]),
            patch_embeddings: Patches {
                projection: Projection {
                    weight: draw(&[width, config.num_channels, config.patch_size, config.patch_size]),
                    bias: draw(&[width]),
                },
            },
            position_embeddings: draw(&[1, pieces + 1, width]),
        };
        Vit { vit: Encoder { embeddings, encoder, layernorm: norm(), heads: config.num_attention_heads }, classifier }
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// If files are missing or malformed, the arrays do not fit, or the activation is none that is known.
    pub fn load(folder: &Folder) -> Result<(Vit, VitConfig)> {
        let config: VitConfig = folder.json("config.json")?;
        if config.hidden_act != "gelu" {
            return Err(
                Error::new(format!("the activation `{}` is not known", config.hidden_act)).hint("known is `gelu`")
            );
        }
        let weights = folder.weights()?;
        let classes = weights.tensors.get("classifier.bias").map_or(config.id2label.len(), Tensor::size);
        Ok((fill(&weights, &Vit::new(&Key::new(0), &config, classes), |_| false)?, config))
    }

    /// The logits of images `[batch, channels, height, width]`: `[batch, classes]`.
    #[track_caller]
    pub fn forward(&self, images: &Tensor) -> Tensor {
        let e = &self.vit.embeddings;
        let projection = &e.patch_embeddings.projection;
        let step = projection.weight.shape()[3] as i64;
        let pieces = conv2d(images, &projection.weight, Some(&projection.bias), step, 0, 1, 1);
        let [batch, width] = [0, 1].map(|i| pieces.shape()[i]);
        let pieces = pieces.reshape([batch as i64, width as i64, -1]).transpose(1, 2);
        let first = e.cls_token.broadcast_to([batch, 1, width]);
        let x = concat(&[first, pieces], 1) + &e.position_embeddings;
        let x = self.vit.encoder.layer.iter().fold(x, |x, layer| layer.forward(&x, self.vit.heads));
        self.classifier.forward(&self.vit.layernorm.forward(&x).i((.., 0)))
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, heads: usize) -> Tensor {
        let seen = self.attention.attention.forward(&self.layernorm_before.forward(x), heads, None);
        let x = x + self.attention.output.dense.forward(&seen);
        let hidden = self.intermediate.dense.forward(&self.layernorm_after.forward(&x)).gelu();
        &x + self.output.dense.forward(&hidden)
    }
}
