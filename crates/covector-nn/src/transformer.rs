//! The layers of the first transformer, with PyTorch's names.

use covector::{Key, Tensor, Tree};

use crate::sequential::Activation;
use crate::{Attending, Dropout, LayerNorm, Linear, MultiheadAttention};

/// How the layers of a transformer are built.
#[derive(Clone, Copy, Debug, PartialEq, Tree)]
pub struct TransformerOptions {
    /// The width of the feed-forward part.
    pub feedforward: usize,
    /// What is between its two maps.
    pub activation: Activation,
    /// Whether norms come before attention and feed-forward part, and not after the sum.
    pub norm_first: bool,
    /// Whether maps and norms have biases.
    pub bias: bool,
    /// Added to variances.
    pub eps: f64,
}

impl Default for TransformerOptions {
    /// PyTorch's defaults: 2048, ReLU, norms after the sums, biases, 1e-5.
    fn default() -> Self {
        TransformerOptions { feedforward: 2048, activation: Activation::Relu, norm_first: false, bias: true, eps: 1e-5 }
    }
}

/// Self-attention and a feed-forward part, each added to what it is of and normalised; PyTorch's layer of this name.
///
/// ```
/// use covector::{DType, Key, ops::create::ones};
/// use covector_nn::{Attending, Dropout, TransformerEncoderLayer, TransformerOptions};
/// let options = TransformerOptions { feedforward: 16, ..TransformerOptions::default() };
/// let layer = TransformerEncoderLayer::new(&Key::new(0), 8, 2, options);
/// let y = layer.forward(&ones([2, 3, 8], DType::F32), &Attending::default(), &Dropout::off());
/// assert_eq!(y.shape()[..], [2, 3, 8]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct TransformerEncoderLayer {
    /// Attention.
    pub self_attn: MultiheadAttention,
    /// The first map of the feed-forward part.
    pub linear1: Linear,
    /// The second.
    pub linear2: Linear,
    /// The norm of attention.
    pub norm1: LayerNorm,
    /// The norm of the feed-forward part.
    pub norm2: LayerNorm,
    /// How it is built.
    pub options: TransformerOptions,
}

impl TransformerEncoderLayer {
    /// PyTorch's initial weights, in f32.
    ///
    /// # Panics
    /// If the width is not divisible by the number of heads.
    #[track_caller]
    pub fn new(key: &Key, width: usize, heads: usize, options: TransformerOptions) -> Self {
        let TransformerOptions { feedforward, bias, .. } = options;
        TransformerEncoderLayer {
            self_attn: MultiheadAttention::new(&key.fold_in(0), width, heads, bias),
            linear1: Linear::new(&key.fold_in(1), width, feedforward, bias),
            linear2: Linear::new(&key.fold_in(2), feedforward, width, bias),
            norm1: norm(width, options),
            norm2: norm(width, options),
            options,
        }
    }

    /// `x [batch, tokens, width]`, as `x`. The dropout is that of the sums and the feed-forward part; `how` has its own.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, how: &Attending, dropout: &Dropout) -> Tensor {
        let attended = |x: &Tensor| dropout.layer(0).apply(&self.self_attn.attend(x, x, x, how));
        let x = added(x, &self.norm1, self.options.norm_first, attended);
        let fed = |x: &Tensor| feedforward(x, &self.linear1, &self.linear2, self.options.activation, &dropout.layer(1));
        added(&x, &self.norm2, self.options.norm_first, fed)
    }
}

/// As the layer of an encoder, with attention to a memory between; PyTorch's layer of this name.
///
/// ```
/// use covector::{DType, Key, ops::create::ones};
/// use covector_nn::{Attending, Dropout, TransformerDecoderLayer, TransformerOptions};
/// let options = TransformerOptions { feedforward: 16, ..TransformerOptions::default() };
/// let layer = TransformerDecoderLayer::new(&Key::new(0), 8, 2, options);
/// let (x, memory) = (ones([2, 3, 8], DType::F32), ones([2, 5, 8], DType::F32));
/// let causal = Attending { causal: true, ..Attending::default() };
/// assert_eq!(layer.forward(&x, &memory, &causal, &Attending::default(), &Dropout::off()).shape()[..], [2, 3, 8]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct TransformerDecoderLayer {
    /// Attention to itself.
    pub self_attn: MultiheadAttention,
    /// Attention to the memory.
    pub multihead_attn: MultiheadAttention,
    /// The first map of the feed-forward part.
    pub linear1: Linear,
    /// The second.
    pub linear2: Linear,
    /// The norm of attention to itself.
    pub norm1: LayerNorm,
    /// The norm of attention to the memory.
    pub norm2: LayerNorm,
    /// The norm of the feed-forward part.
    pub norm3: LayerNorm,
    /// How it is built.
    pub options: TransformerOptions,
}

impl TransformerDecoderLayer {
    /// PyTorch's initial weights, in f32.
    ///
    /// # Panics
    /// If the width is not divisible by the number of heads.
    #[track_caller]
    pub fn new(key: &Key, width: usize, heads: usize, options: TransformerOptions) -> Self {
        let TransformerOptions { feedforward, bias, .. } = options;
        TransformerDecoderLayer {
            self_attn: MultiheadAttention::new(&key.fold_in(0), width, heads, bias),
            multihead_attn: MultiheadAttention::new(&key.fold_in(1), width, heads, bias),
            linear1: Linear::new(&key.fold_in(2), width, feedforward, bias),
            linear2: Linear::new(&key.fold_in(3), feedforward, width, bias),
            norm1: norm(width, options),
            norm2: norm(width, options),
            norm3: norm(width, options),
            options,
        }
    }

    /// `x [batch, tokens, width], memory [batch, others, width]`, as `x`. `own` says who of `x` attends to whom, `across` who
    /// attends to whom in the memory.
    #[track_caller]
    pub fn forward(
        &self,
        x: &Tensor,
        memory: &Tensor,
        own: &Attending,
        across: &Attending,
        dropout: &Dropout,
    ) -> Tensor {
        let first = self.options.norm_first;
        let x = added(x, &self.norm1, first, |x| dropout.layer(0).apply(&self.self_attn.attend(x, x, x, own)));
        let remembered = |x: &Tensor| dropout.layer(1).apply(&self.multihead_attn.attend(x, memory, memory, across));
        let x = added(&x, &self.norm2, first, remembered);
        let fed = |x: &Tensor| feedforward(x, &self.linear1, &self.linear2, self.options.activation, &dropout.layer(2));
        added(&x, &self.norm3, first, fed)
    }
}

/// Layers of an encoder one after the other, and a norm after them; PyTorch's module of this name.
///
/// ```
/// use covector::{DType, Key, ops::create::ones};
/// use covector_nn::{Attending, Dropout, TransformerEncoder, TransformerOptions};
/// let options = TransformerOptions { feedforward: 16, norm_first: true, ..TransformerOptions::default() };
/// let encoder = TransformerEncoder::new(&Key::new(0), 3, 8, 2, options);
/// let y = encoder.forward(&ones([2, 3, 8], DType::F32), &Attending::default(), &Dropout::off());
/// assert_eq!(y.shape()[..], [2, 3, 8]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct TransformerEncoder {
    /// The layers.
    pub layers: Vec<TransformerEncoderLayer>,
    /// The norm of the result: for layers whose norms come first.
    pub norm: Option<LayerNorm>,
}

impl TransformerEncoder {
    /// Layers of different weights; the last norm is there if the norms of the layers come first.
    ///
    /// # Panics
    /// If the width is not divisible by the number of heads.
    #[track_caller]
    pub fn new(key: &Key, layers: usize, width: usize, heads: usize, options: TransformerOptions) -> Self {
        let layer = |i: usize| TransformerEncoderLayer::new(&key.fold_in(i as i64), width, heads, options);
        let norm = options.norm_first.then(|| norm(width, options));
        TransformerEncoder { layers: (0..layers).map(layer).collect(), norm }
    }

    /// `x [batch, tokens, width]`, as `x`. Each layer drops by keys of its own.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, how: &Attending, dropout: &Dropout) -> Tensor {
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x, &how.layer(i), &dropout.layer(i));
        }
        normed(&self.norm, x)
    }
}

/// Layers of a decoder one after the other, and a norm after them; PyTorch's module of this name.
///
/// ```
/// use covector::{DType, Key, ops::create::ones};
/// use covector_nn::{Attending, Dropout, TransformerDecoder, TransformerOptions};
/// let options = TransformerOptions { feedforward: 16, ..TransformerOptions::default() };
/// let decoder = TransformerDecoder::new(&Key::new(0), 2, 8, 2, options);
/// let (x, memory) = (ones([2, 3, 8], DType::F32), ones([2, 5, 8], DType::F32));
/// let causal = Attending { causal: true, ..Attending::default() };
/// assert_eq!(decoder.forward(&x, &memory, &causal, &Attending::default(), &Dropout::off()).shape()[..], [2, 3, 8]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct TransformerDecoder {
    /// The layers.
    pub layers: Vec<TransformerDecoderLayer>,
    /// The norm of the result: for layers whose norms come first.
    pub norm: Option<LayerNorm>,
}

impl TransformerDecoder {
    /// Layers of different weights; the last norm is there if the norms of the layers come first.
    ///
    /// # Panics
    /// If the width is not divisible by the number of heads.
    #[track_caller]
    pub fn new(key: &Key, layers: usize, width: usize, heads: usize, options: TransformerOptions) -> Self {
        let layer = |i: usize| TransformerDecoderLayer::new(&key.fold_in(i as i64), width, heads, options);
        let norm = options.norm_first.then(|| norm(width, options));
        TransformerDecoder { layers: (0..layers).map(layer).collect(), norm }
    }

    /// `x [batch, tokens, width], memory [batch, others, width]`, as `x`. Each layer drops by keys of its own.
    #[track_caller]
    pub fn forward(
        &self,
        x: &Tensor,
        memory: &Tensor,
        own: &Attending,
        across: &Attending,
        dropout: &Dropout,
    ) -> Tensor {
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x, memory, &own.layer(i), &across.layer(i), &dropout.layer(i));
        }
        normed(&self.norm, x)
    }
}

/// `x + f(norm(x))`, or `norm(x + f(x))`.
fn added(x: &Tensor, norm: &LayerNorm, norm_first: bool, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    if norm_first { x + f(&norm.forward(x)) } else { norm.forward(&(x + f(x))) }
}

fn feedforward(x: &Tensor, first: &Linear, second: &Linear, activation: Activation, dropout: &Dropout) -> Tensor {
    let hidden = dropout.layer(0).apply(&activation.of(&first.forward(x)));
    dropout.layer(1).apply(&second.forward(&hidden))
}

fn norm(width: usize, options: TransformerOptions) -> LayerNorm {
    LayerNorm { eps: options.eps, ..LayerNorm::new(width, options.bias) }
}

fn normed(norm: &Option<LayerNorm>, x: Tensor) -> Tensor {
    match norm {
        Some(norm) => norm.forward(&x),
        None => x,
    }
}
