//! ResNet: convolutions that add to what they read.
//!
//! Source: He et al. 2015, "Deep residual learning for image recognition"; names as in Hugging Face's
//! `ResNetForImageClassification`.

#![allow(missing_docs, reason = "fields have the names of the files they are read from, and say no more than these")]

use covector::ops::conv::conv2d;
use covector::ops::loss::cross_entropy;
use covector::ops::norm::batch_norm;
use covector::ops::pool::max_pool2d;
use covector::ops::random::normal;
use covector::{DType, Error, Key, Result, Tensor, Tree};
use covector_nn::Linear;
use serde::Deserialize;

use crate::Folder;
use crate::folder::fill;

/// The sizes of a [`ResNet`], as `config.json` calls them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ResNetConfig {
    #[serde(default = "three")]
    pub num_channels: usize,
    pub embedding_size: usize,
    pub hidden_sizes: Vec<usize>,
    pub depths: Vec<usize>,
    pub layer_type: LayerType,
    #[serde(default)]
    pub downsample_in_first_stage: bool,
    #[serde(default)]
    pub downsample_in_bottleneck: bool,
}

/// Two convolutions to a block, or three with a narrow one between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerType {
    Basic,
    Bottleneck,
}

fn three() -> usize {
    3
}

/// The network with its map to classes.
#[derive(Clone, Debug, Tree)]
pub struct ResNet {
    pub resnet: Stages,
    pub classifier: (Nothing, Linear),
}

/// A place without tensors: the flattening before the classifier.
#[derive(Clone, Debug, Tree)]
pub struct Nothing;

/// The stem and the stages.
#[derive(Clone, Debug, Tree)]
pub struct Stages {
    pub embedder: Stem,
    pub encoder: Encoder,
}

/// The first convolution.
#[derive(Clone, Debug, Tree)]
pub struct Stem {
    pub embedder: ConvNorm,
}

/// The stages, one after the other.
#[derive(Clone, Debug, Tree)]
pub struct Encoder {
    pub stages: Vec<Stage>,
}

/// Blocks of one width.
#[derive(Clone, Debug, Tree)]
pub struct Stage {
    pub layers: Vec<Block>,
}

/// Convolutions, and the way around them.
#[derive(Clone, Debug, Tree)]
pub struct Block {
    pub layer: Vec<ConvNorm>,
    /// A convolution of single points where the shape changes.
    pub shortcut: Option<ConvNorm>,
}

/// A convolution without bias and a batch norm.
#[derive(Clone, Debug, Tree)]
pub struct ConvNorm {
    pub convolution: Weight,
    pub normalization: Norm,
    #[tree(skip)]
    pub stride: usize,
}

/// A weight by itself.
#[derive(Clone, Debug, Tree)]
pub struct Weight {
    pub weight: Tensor,
}

/// A batch norm by its running statistics, which have no gradient.
#[derive(Clone, Debug, Tree)]
pub struct Norm {
    pub weight: Tensor,
    pub bias: Tensor,
    pub running_mean: Tensor,
    pub running_var: Tensor,
}

impl ConvNorm {
    fn new(key: &Key, inputs: usize, outputs: usize, size: usize, stride: usize) -> ConvNorm {
        let std = (2.0 / (outputs * size * size) as f64).sqrt();
        let vector = |x: f32| Tensor::from(vec![x; outputs]);
        ConvNorm {
            convolution: Weight { weight: normal(key, [outputs, inputs, size, size], DType::F32) * std },
            normalization: Norm {
                weight: vector(1.0),
                bias: vector(0.0),
                running_mean: vector(0.0),
                running_var: vector(1.0),
            },
            stride,
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let size = self.convolution.weight.shape()[3] as i64;
        let y = conv2d(x, &self.convolution.weight, None, self.stride as i64, size / 2, 1, 1);
        let n = &self.normalization;
        let (mean, variance) = (n.running_mean.stop_gradient(), n.running_var.stop_gradient());
        batch_norm(&y, &mean, &variance, Some(&n.weight), Some(&n.bias), 1e-5)
    }
}

impl ResNet {
    /// A network with weights as He et al. draw them, in f32, for so many classes.
    pub fn new(key: &Key, config: &ResNetConfig, classes: usize) -> ResNet {
        let mut count = 0;
        let mut conv = |inputs, outputs, size, stride| {
            count += 1;
            ConvNorm::new(&key.fold_in(count), inputs, outputs, size, stride)
        };
        let stem = conv(config.num_channels, config.embedding_size, 7, 2);
        let mut inputs = config.embedding_size;
        let mut stages = Vec::new();
        for (i, (&width, &depth)) in config.hidden_sizes.iter().zip(&config.depths).enumerate() {
            let halves = i > 0 || config.downsample_in_first_stage;
            let block = |j: usize| {
                let stride = if j == 0 && halves { 2 } else { 1 };
                let shortcut = (inputs != width || stride != 1).then(|| conv(inputs, width, 1, stride));
                let layer = match config.layer_type {
                    LayerType::Basic => vec![conv(inputs, width, 3, stride), conv(width, width, 3, 1)],
                    LayerType::Bottleneck => {
                        let (first, second) = if config.downsample_in_bottleneck { (stride, 1) } else { (1, stride) };
                        let narrow = width / 4;
                        vec![conv(inputs, narrow, 1, first), conv(narrow, narrow, 3, second), conv(narrow, width, 1, 1)]
                    }
                };
                inputs = width;
                Block { layer, shortcut }
            };
            stages.push(Stage { layers: (0..depth).map(block).collect() });
        }
        let classifier = Linear::new(&key.fold_in(0), inputs, classes, true);
        ResNet {
            resnet: Stages { embedder: Stem { embedder: stem }, encoder: Encoder { stages } },
            classifier: (Nothing, classifier),
        }
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// If files are missing or malformed, or the arrays do not fit.
    pub fn load(folder: &Folder) -> Result<(ResNet, ResNetConfig)> {
        let config: ResNetConfig = folder.json("config.json")?;
        if config.hidden_sizes.len() != config.depths.len() {
            return Err(Error::new("config.json: hidden_sizes and depths differ in length"));
        }
        let weights = folder.weights()?;
        let classes = weights.tensors.get("classifier.1.bias").map_or(0, Tensor::size);
        let like = ResNet::new(&Key::new(0), &config, classes);
        Ok((fill(&weights, &like, |name| name.ends_with("num_batches_tracked"))?, config))
    }

    /// The logits of images `[batch, channels, height, width]`: `[batch, classes]`.
    #[track_caller]
    pub fn forward(&self, images: &Tensor) -> Tensor {
        let x = self.resnet.embedder.embedder.forward(images).relu();
        let x = max_pool2d(&x, 3, 2, 1, 1);
        let blocks = self.resnet.encoder.stages.iter().flat_map(|stage| &stage.layers);
        let x = blocks.fold(x, |x, block| block.forward(&x));
        self.classifier.1.forward(&x.mean([-2, -1]))
    }

    /// The mean cross-entropy of classes `labels [batch]`.
    #[track_caller]
    pub fn loss(&self, images: &Tensor, labels: &Tensor) -> Tensor {
        cross_entropy(&self.forward(images), labels, None, None, 0.0, "mean")
    }
}

impl Block {
    fn forward(&self, x: &Tensor) -> Tensor {
        let mut y = x.clone();
        for (i, conv) in self.layer.iter().enumerate() {
            // No relu behind the last: it comes after the sum.
            y = conv.forward(&y);
            if i + 1 < self.layer.len() {
                y = y.relu();
            }
        }
        let around = self.shortcut.as_ref().map_or(x.clone(), |conv| conv.forward(x));
        (y + around).relu()
    }
}
