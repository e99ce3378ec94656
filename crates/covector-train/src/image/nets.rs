//! The networks.

use covector::random::normal;
use covector::{DType, Key, Tensor, Tree};
use covector_nn::conv::ConvOptions;
use covector_nn::pool::MaxPool2d;
use covector_nn::sequential::Activation;
use covector_nn::{
    Attending, BatchNorm, Conv2d, Dropout, LayerNorm, Linear, RunningStats, TransformerEncoderLayer, TransformerOptions,
};
use serde::{Deserialize, Serialize};

/// Kinds of networks for images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Convolutions with batch norms, each followed by a pooling, and a linear map.
    #[default]
    Cnn,
    /// A transformer over square pieces.
    Vit,
}

/// The channels of the convolutions, as far as the images are large enough for them.
const CHANNELS: [usize; 5] = [16, 32, 64, 128, 128];
/// Below twice this height or width nothing is pooled any more.
const SMALLEST: usize = 4;
/// Width, heads and layers of the transformer.
const TRANSFORMER: (usize, usize, usize) = (64, 4, 4);

impl Kind {
    /// Whether it can see images of these channels, height and width.
    ///
    /// # Errors
    /// Says why not.
    pub fn check(self, [_, height, width]: [usize; 3]) -> Result<(), String> {
        match self {
            Kind::Cnn if height.min(width) < 2 * SMALLEST => {
                let least = 2 * SMALLEST;
                Err(format!("images of {width} × {height} are too small for a CNN: at least {least} × {least}"))
            }
            Kind::Vit if piece(height, width).is_none() => Err(format!(
                "images of {width} × {height} do not divide into square pieces for a ViT: resize them to multiples of 4, 7 or 8"
            )),
            _ => Ok(()),
        }
    }
}

/// The side of the pieces of a transformer: the smallest that leaves no more than 64 of them, else the largest that divides.
fn piece(height: usize, width: usize) -> Option<usize> {
    let divides = |side: &usize| height.is_multiple_of(*side) && width.is_multiple_of(*side);
    let few = |side: &usize| (height / side) * (width / side) <= 64;
    let sides: Vec<usize> = [4, 7, 8, 16, 32].into_iter().filter(divides).collect();
    sides.iter().copied().find(few).or(sides.last().copied())
}

/// A convolution that keeps the size, its norm, ReLU, and a pooling that halves it.
#[derive(Clone, Debug, Tree)]
pub struct Stage {
    /// 3 × 3.
    pub conv: Conv2d,
    /// Of its channels.
    pub norm: BatchNorm,
}

/// A network for images, `[batch, channels, height, width] -> [batch, classes]`.
#[derive(Clone, Debug, Tree)]
pub enum ImageNet {
    /// Convolutions.
    Cnn {
        /// One after the other.
        stages: Vec<Stage>,
        /// From all that is left to logits.
        head: Linear,
    },
    /// A transformer.
    Vit {
        /// From pieces to tokens.
        pieces: Conv2d,
        /// What each place adds, `[tokens, width]`.
        positions: Tensor,
        /// The layers.
        encoder: Vec<TransformerEncoderLayer>,
        /// Of the mean of all tokens.
        norm: LayerNorm,
        /// From that to logits.
        head: Linear,
    },
}

impl ImageNet {
    /// PyTorch's initial weights.
    ///
    /// # Panics
    /// If [`Kind::check`] refuses the sizes.
    #[track_caller]
    pub fn new(key: &Key, kind: Kind, [channels, height, width]: [usize; 3], classes: usize) -> ImageNet {
        match kind {
            Kind::Cnn => {
                let (mut stages, mut inputs, mut size) = (Vec::new(), channels, [height, width]);
                for (i, outputs) in CHANNELS.into_iter().enumerate() {
                    if size[0].min(size[1]) < 2 * SMALLEST {
                        break;
                    }
                    let options = ConvOptions { bias: false, ..ConvOptions::default() }.same([3, 3]);
                    let conv = Conv2d::new(&key.fold_in(i as i64), inputs, outputs, [3, 3], options);
                    stages.push(Stage { conv, norm: BatchNorm::new(outputs) });
                    (inputs, size) = (outputs, size.map(|n| n / 2));
                }
                let pooled = inputs * pooled(size[0]) * pooled(size[1]);
                ImageNet::Cnn { stages, head: Linear::new(&key.fold_in(-1), pooled, classes, true) }
            }
            Kind::Vit => {
                let side = piece(height, width).expect("the size was checked");
                let (wide, heads, layers) = TRANSFORMER;
                let options = TransformerOptions {
                    feedforward: 2 * wide,
                    activation: Activation::Gelu,
                    norm_first: true,
                    ..TransformerOptions::default()
                };
                let step = ConvOptions { stride: [side; 2], ..ConvOptions::default() };
                let tokens = (height / side) * (width / side);
                let layer = |i: usize| TransformerEncoderLayer::new(&key.fold_in(10 + i as i64), wide, heads, options);
                ImageNet::Vit {
                    pieces: Conv2d::new(&key.fold_in(0), channels, wide, [side; 2], step),
                    positions: normal(&key.fold_in(1), [tokens, wide], DType::F32) * 0.02,
                    encoder: (0..layers).map(layer).collect(),
                    norm: LayerNorm::new(wide, true),
                    head: Linear::new(&key.fold_in(-1), wide, classes, true),
                }
            }
        }
    }

    /// The weights of the last layer.
    pub(crate) fn weight(&self) -> &Tensor {
        let (ImageNet::Cnn { head, .. } | ImageNet::Vit { head, .. }) = self;
        &head.weight
    }

    /// The running statistics before the first batch: one per norm.
    pub fn start(&self) -> Vec<RunningStats> {
        match self {
            ImageNet::Cnn { stages, .. } => stages.iter().map(|s| s.norm.start()).collect(),
            ImageNet::Vit { .. } => Vec::new(),
        }
    }

    /// Logits in training, and the running statistics after it.
    #[track_caller]
    pub fn train(&self, x: &Tensor, running: &[RunningStats], dropout: f64, key: &Key) -> (Tensor, Vec<RunningStats>) {
        let mut after = Vec::with_capacity(running.len());
        let logits = self.logits(x, &Dropout::new(dropout, key.clone()), |i, norm, x| {
            let (y, stats) = norm.train(x, &running[i]);
            after.push(stats);
            y
        });
        (logits, after)
    }

    /// Logits outside training.
    #[track_caller]
    pub fn eval(&self, x: &Tensor, running: &[RunningStats]) -> Tensor {
        self.logits(x, &Dropout::off(), |i, norm, x| norm.eval(x, &running[i]))
    }

    #[track_caller]
    fn logits(
        &self,
        x: &Tensor,
        dropout: &Dropout,
        mut by: impl FnMut(usize, &BatchNorm, &Tensor) -> Tensor,
    ) -> Tensor {
        match self {
            ImageNet::Cnn { stages, head } => {
                let mut x = x.clone();
                for (i, Stage { conv, norm }) in stages.iter().enumerate() {
                    x = MaxPool2d::new([2, 2]).forward(&by(i, norm, &conv.forward(&x)).relu());
                }
                let [h, w] = [2, 3].map(|axis| x.shape()[axis]);
                if [h, w] != [pooled(h), pooled(w)] {
                    x = x.adaptive_avg_pool2d([pooled(h), pooled(w)]);
                }
                head.forward(&dropout.apply(&x.flatten(1, -1)))
            }
            ImageNet::Vit { pieces, positions, encoder, norm, head } => {
                let tokens = pieces.forward(x).flatten(2, -1).transpose(1, 2) + positions;
                let layers = encoder.iter().enumerate();
                let x =
                    layers.fold(tokens, |x, (i, layer)| layer.forward(&x, &Attending::default(), &dropout.layer(i)));
                head.forward(&norm.forward(&x.mean(1)))
            }
        }
    }
}

/// What is left of a size after all convolutions.
fn pooled(size: usize) -> usize {
    size.min(2 * SMALLEST - 1)
}
