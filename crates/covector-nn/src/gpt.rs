//! A decoder-only transformer in the manner of GPT-2.

use std::collections::BTreeMap;
use std::path::Path;

use covector::ops::loss::cross_entropy;
use covector::{DType, Key, Result, Tensor, Tree};

use crate::file::Known;
use crate::{CausalSelfAttention, Dropout, Embedding, LayerNorm, Mlp, Vocabulary, file};

/// What the metadata of a saved model calls its format.
const FORMAT: &str = "covector-gpt-1";

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

    /// The mean cross-entropy, in nats, of predicting `targets` from `tokens`, both `[batch, time]`; of models in halves in f32.
    #[track_caller]
    pub fn loss(&self, tokens: &Tensor, targets: &Tensor, dropout: &Dropout) -> Tensor {
        let logits = self.forward(tokens, dropout);
        let logits = logits.cast(logits.dtype().promote(DType::F32));
        let flat = logits.reshape([targets.size(), logits.shape()[2]]);
        cross_entropy(&flat, &targets.reshape([targets.size()]), None, None, 0.0, "mean")
    }

    /// Writes the model with its number of heads and its vocabulary; see [`file::save`].
    ///
    /// # Errors
    /// As [`file::save`].
    pub fn save(&self, path: impl AsRef<Path>, vocabulary: &Vocabulary) -> Result<()> {
        self.save_with(path, [("vocabulary".to_owned(), vocabulary.characters())].into())
    }

    /// Writes the model with its number of heads and what else is to be known of it.
    ///
    /// # Errors
    /// As [`file::save`].
    pub fn save_with(&self, path: impl AsRef<Path>, mut metadata: BTreeMap<String, String>) -> Result<()> {
        let heads = self.h.first().map_or(1, |block| block.attn.heads);
        metadata.insert("format".to_owned(), FORMAT.to_owned());
        metadata.insert("heads".to_owned(), heads.to_string());
        file::save(path, self, &metadata)
    }

    /// Reads what [`save`](Self::save) wrote. All sizes but the number of heads are those of the arrays.
    ///
    /// # Errors
    /// If the file cannot be read or holds something else.
    pub fn load(path: impl AsRef<Path>) -> Result<(Gpt, GptConfig, Vocabulary)> {
        let file = file::load(path)?;
        let (model, config) = Gpt::of(&file)?;
        let Some(characters) = file.metadata.get("vocabulary") else {
            return Err(file.error("its metadata lacks `vocabulary`"));
        };
        let characters = Vocabulary::of(characters);
        if characters.len() != config.vocabulary {
            return Err(file.error(format!("{} characters for {} embeddings", characters.len(), config.vocabulary)));
        }
        Ok((model, config, characters))
    }

    /// The model of a file that [`save_with`](Self::save_with) wrote, and its sizes.
    ///
    /// # Errors
    /// If the file holds something else.
    pub fn of(file: &file::Contents) -> Result<(Gpt, GptConfig)> {
        if file.metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(file.error("this is no model saved by covector").hint("make one with `covector train`"));
        }
        let (wte, wpe) = (file.tensor("wte.weight")?, file.tensor("wpe.weight")?);
        if wte.ndim() != 2 || wpe.ndim() != 2 {
            return Err(file.error("the embeddings are no matrices"));
        }
        let [vocabulary, width] = [0, 1].map(|i| wte.shape()[i]);
        let Some(heads) = file.metadata.get("heads") else { return Err(file.error("its metadata lacks `heads`")) };
        let heads: usize = heads.parse().map_err(|_| file.error("its number of heads is no number"))?;
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(file.error(format!("a width of {width} does not divide into {heads} heads")));
        }
        let layers = (0..).take_while(|i| file.tensors.contains_key(&format!("h.{i}.ln_1.weight"))).count();
        let bias = file.tensors.contains_key("ln_f.bias");
        let config = GptConfig { vocabulary, block: wpe.shape()[0], layers, heads, width, bias };
        // Floats of another width are cast: a file may have been made smaller.
        let Known { tree, missing, unexpected } = file.fill_known(&Gpt::new(&Key::new(0), &config), str::to_owned)?;
        let listed = |what: &str, names: &[String]| match names.is_empty() {
            true => vec![],
            false => vec![format!("it {what} `{}`", names.join("`, `"))],
        };
        let wrong = [listed("lacks", &missing), listed("has besides", &unexpected)].concat();
        match wrong.is_empty() {
            true => Ok((tree, config)),
            false => Err(file.error(wrong.join("; "))),
        }
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
