//! Sentences as vectors of length 1, near where they mean the same.
//!
//! Source: Reimers and Gurevych 2019, "Sentence-BERT"; the mean over tokens and the norm as in `sentence-transformers`.

use std::path::Path;

use covector::{Error, Result, Tensor};
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

use crate::{Bert, Folder};

/// An encoder with its tokenizer.
pub struct SentenceEncoder {
    model: Bert,
    tokenizer: Tokenizer,
}

impl SentenceEncoder {
    /// Reads a folder of `sentence-transformers` whose sentences are means over tokens.
    ///
    /// # Errors
    /// If files are missing or malformed, or the folder asks for another pooling.
    pub fn load(path: impl AsRef<Path>) -> Result<SentenceEncoder> {
        #[derive(serde::Deserialize)]
        struct Pooling {
            pooling_mode_mean_tokens: bool,
        }
        #[derive(serde::Deserialize)]
        struct Lengths {
            max_seq_length: usize,
        }
        let folder = Folder::open(path)?;
        let (model, config) = Bert::load(&folder)?;
        if folder.path("1_Pooling/config.json").is_file()
            && !folder.json::<Pooling>("1_Pooling/config.json")?.pooling_mode_mean_tokens
        {
            return Err(Error::new("the folder asks for a pooling other than the mean over tokens"));
        }
        let longest = match folder.path("sentence_bert_config.json").is_file() {
            true => folder.json::<Lengths>("sentence_bert_config.json")?.max_seq_length,
            false => config.max_position_embeddings,
        };
        let mut tokenizer = folder.tokenizer()?;
        let truncation = TruncationParams { max_length: longest, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|e| Error::new(e.to_string()))?;
        tokenizer.with_padding(Some(PaddingParams::default()));
        Ok(SentenceEncoder { model, tokenizer })
    }

    /// One vector of length 1 for each sentence: `[sentences, width]`.
    ///
    /// # Errors
    /// If a sentence has no tokens, or there is no sentence.
    pub fn embed(&self, sentences: &[&str]) -> Result<Tensor> {
        if sentences.is_empty() {
            return Err(Error::new("there is no sentence to embed"));
        }
        let found = self.tokenizer.encode_batch(sentences.to_vec(), true).map_err(|e| Error::new(e.to_string()))?;
        let time = found.first().map_or(0, |e| e.get_ids().len());
        let table = |of: &dyn Fn(&tokenizers::Encoding) -> Vec<u32>| {
            let all: Vec<i64> = found.iter().flat_map(of).map(i64::from).collect();
            Tensor::try_from_slice(&all, [sentences.len(), time])
        };
        let tokens = table(&|e| e.get_ids().to_vec())?;
        let present = table(&|e| e.get_attention_mask().to_vec())?;
        let hidden = self.model.forward(&tokens, &present);
        let weights = present.cast(hidden.dtype()).expand_dims(-1);
        let mean = (&hidden * &weights).sum(1) / weights.sum(1).clip(Some(1e-9), None);
        let length = mean.norm(covector::keep(-1), 2.0).clip(Some(1e-12), None);
        let vectors = mean / length;
        vectors.try_value()?;
        Ok(vectors)
    }
}
