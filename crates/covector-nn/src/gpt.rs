//! A decoder-only transformer in the manner of GPT-2.

use covector::ops::loss::cross_entropy;
use covector::{Key, Tensor, Tree};

use crate::{CausalSelfAttention, Dropout, Embedding, LayerNorm, Mlp};

/// The sizes of a [`Gpt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GptConfig {
    /// The number of different tokens.
    pub vocabulary: usize,
    /// The longest sequence.
    pub block: usize,
    /// The number of transformer blocks.
    pub layers: usize,
    /// The number of attention heads in each.
    pub heads: usize,
    /// The width of the residual stream; divisible by the number of heads.
    pub width: usize,
    /// Whether linear maps and norms have biases.
    pub bias: bool,
}

/// Token and position embeddings, transformer blocks, a last norm, and the token embedding again as output map.
///
/// Parameters are named as in nanoGPT, without the prefix `transformer.`; the output map is tied to `wte`.
#[derive(Clone, Debug, Tree)]
pub struct Gpt {
    /// Token embedding, `[vocabulary, width]`.
    pub wte: Embedding,
    /// Position embedding, `[block, width]`.
    pub wpe: Embedding,
    /// The blocks.
    pub h: Vec<Block>,
    /// The last norm.
    pub ln_f: LayerNorm,
}

impl Gpt {
    /// GPT-2's initial weights, in f32: normal with 0.02, maps back into the residual stream with 0.02/√(2 layers).
    ///
    /// ```
    /// use covector::{Key, Tensor};
    /// use covector_nn::{Dropout, Gpt, GptConfig};
    /// let config = GptConfig { vocabulary: 5, block: 8, layers: 2, heads: 2, width: 4, bias: false };
    /// let model = Gpt::new(&Key::new(0), &config);
    /// let logits = model.forward(&Tensor::from([[0, 3, 1]]), &Dropout::off());
    /// assert_eq!(logits.shape()[..], [1, 3, 5]);
    /// ```
    ///
    /// # Panics
    /// If the width is not divisible by the number of heads.
    #[track_caller]
    pub fn new(key: &Key, config: &GptConfig) -> Self {
        let GptConfig { vocabulary, block, layers, width, bias, .. } = *config;
        let residual_std = 0.02 / (2.0 * layers as f64).sqrt();
        Gpt {
            wte: Embedding::normal(&key.fold_in(0), vocabulary, width, 0.02),
            wpe: Embedding::normal(&key.fold_in(1), block, width, 0.02),
            h: (0..layers).map(|i| Block::new(&key.fold_in(i as i64 + 2), config, residual_std)).collect(),
            ln_f: LayerNorm::new(width, bias),
        }
    }

    /// The logits of the next token at every position: `tokens [batch, time] -> [batch, time, vocabulary]`.
    ///
    /// # Panics
    /// If the sequence is longer than the block; when computed, if a token is none of the vocabulary.
    #[track_caller]
    pub fn forward(&self, tokens: &Tensor, dropout: &Dropout) -> Tensor {
        let (time, block) = (tokens.shape()[1], self.wpe.weight.shape()[0]);
        assert!(time <= block, "a sequence of {time} tokens does not fit the block of {block}");
        let positions = Tensor::from((0..time as i64).collect::<Vec<i64>>());
        let mut x = self.wte.forward(tokens) + self.wpe.forward(&positions);
        x = dropout.layer(0).apply(&x);
        for (i, block) in self.h.iter().enumerate() {
            x = block.forward(&x, &dropout.layer(i + 1));
        }
        self.ln_f.forward(&x).matmul(&self.wte.weight.t())
    }

    /// The mean cross-entropy, in nats, of predicting `targets` from `tokens`, both `[batch, time]`.
    #[track_caller]
    pub fn loss(&self, tokens: &Tensor, targets: &Tensor, dropout: &Dropout) -> Tensor {
        let logits = self.forward(tokens, dropout);
        let flat = logits.reshape([targets.size(), logits.shape()[2]]);
        cross_entropy(&flat, &targets.reshape([targets.size()]), None, None, 0.0, "mean")
    }

    /// The number of parameters.
    pub fn parameters(&self) -> usize {
        self.leaves().iter().map(Tensor::size).sum()
    }
}

/// One transformer block: attention and a feed-forward part, each behind a norm and added to the residual stream.
#[derive(Clone, Debug, Tree)]
pub struct Block {
    /// The norm before attention.
    pub ln_1: LayerNorm,
    /// Attention.
    pub attn: CausalSelfAttention,
    /// The norm before the feed-forward part.
    pub ln_2: LayerNorm,
    /// The feed-forward part.
    pub mlp: Mlp,
}

impl Block {
    /// GPT-2's initial weights; maps back into the residual stream have `residual_std`.
    #[track_caller]
    pub fn new(key: &Key, config: &GptConfig, residual_std: f64) -> Self {
        let GptConfig { width, heads, bias, .. } = *config;
        Block {
            ln_1: LayerNorm::new(width, bias),
            attn: CausalSelfAttention::new(&key.fold_in(0), width, heads, bias, residual_std),
            ln_2: LayerNorm::new(width, bias),
            mlp: Mlp::new(&key.fold_in(1), width, bias, residual_std),
        }
    }

    /// `[batch, time, width]`, as `x`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, dropout: &Dropout) -> Tensor {
        let x = x + self.attn.forward(&self.ln_1.forward(x), &dropout.layer(0));
        &x + self.mlp.forward(&self.ln_2.forward(&x), &dropout.layer(1))
    }
}
