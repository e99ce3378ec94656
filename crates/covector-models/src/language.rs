//! Language models with their tokenizers: text in, text out.

use std::path::Path;

use covector::ops::loss::cross_entropy;
use covector::{DType, Error, Result, Tensor, Tree};
use covector_nn::{Cache, Decoder};
use tokenizers::Tokenizer;

use crate::{Folder, Gpt2, Llama, Tuned};

/// A language model that can be read from a folder, trained, and laid out for decoding.
pub trait Causal: Tree + Decoder + Clone + Send + Sync {
    /// What stands before its paths in files.
    const PREFIX: &'static str;

    /// Reads a folder.
    ///
    /// # Errors
    /// As [`Gpt2::load`] and [`Llama::load`].
    fn read(folder: &Folder) -> Result<Self>;

    /// The logits of the next token behind each of `tokens [batch, time]`: `[batch, time, vocabulary]`.
    fn logits(&self, tokens: &Tensor) -> Tensor;

    /// The same model, laid out in memory as single tokens read it.
    fn laid_out(self) -> Self;

    /// The mean cross-entropy, in nats, of predicting `targets` from `tokens`, both `[batch, time]`; of models in halves in f32.
    #[track_caller]
    fn cross_entropy(&self, tokens: &Tensor, targets: &Tensor) -> Tensor {
        let logits = self.logits(tokens);
        let logits = logits.cast(logits.dtype().promote(DType::F32));
        let classes = logits.shape()[2] as i64;
        cross_entropy(&logits.reshape([-1, classes]), &targets.reshape([-1]), None, None, 0.0, "mean")
    }
}

impl Causal for Gpt2 {
    const PREFIX: &'static str = "transformer.";

    fn read(folder: &Folder) -> Result<Self> {
        Ok(Gpt2::load(folder)?.0)
    }
    #[track_caller]
    fn logits(&self, tokens: &Tensor) -> Tensor {
        self.forward(tokens)
    }
    fn laid_out(self) -> Self {
        self.for_decoding()
    }
}

impl Causal for Llama {
    const PREFIX: &'static str = "";

    fn read(folder: &Folder) -> Result<Self> {
        Ok(Llama::load(folder)?.0)
    }
    #[track_caller]
    fn logits(&self, tokens: &Tensor) -> Tensor {
        self.forward(tokens)
    }
    fn laid_out(self) -> Self {
        self.for_decoding()
    }
}

/// The decoders that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `gpt2`
    Gpt2,
    /// `llama`
    Llama,
}

impl Kind {
    /// The `model_type` of a folder's configuration.
    ///
    /// # Errors
    /// If it is not known.
    pub fn of(folder: &Folder) -> Result<Kind> {
        #[derive(serde::Deserialize)]
        struct Config {
            model_type: String,
        }
        match folder.json::<Config>("config.json")?.model_type.as_str() {
            "gpt2" => Ok(Kind::Gpt2),
            "llama" => Ok(Kind::Llama),
            other => {
                let path = folder.path("config.json");
                Err(Error::new(format!(
                    "{}: no decoder of the kind `{}` is known",
                    path.display(),
                    other.escape_debug()
                ))
                .hint("known are `gpt2` and `llama`"))
            }
        }
    }
}

/// A decoder of one of the kinds that are known.
#[derive(Clone, Debug)]
pub enum CausalModel {
    /// `gpt2`
    Gpt2(Gpt2),
    /// `llama`
    Llama(Llama),
}

impl CausalModel {
    /// Reads a folder, with what was learned on top of it if that is given, and lays it out for decoding.
    ///
    /// # Errors
    /// If the kind is not known, as [`Gpt2::load`] and [`Llama::load`], and as [`Tuned::applied`].
    pub fn load(folder: &Folder, tuned: Option<&Tuned>) -> Result<CausalModel> {
        fn read<M: Causal>(folder: &Folder, tuned: Option<&Tuned>) -> Result<M> {
            let model = M::read(folder)?;
            let model = match tuned {
                Some(tuned) => tuned.applied(&model)?,
                None => model,
            };
            Ok(model.laid_out())
        }
        Ok(match Kind::of(folder)? {
            Kind::Gpt2 => CausalModel::Gpt2(read(folder, tuned)?),
            Kind::Llama => CausalModel::Llama(read(folder, tuned)?),
        })
    }

    fn inner(&self) -> &dyn Decoder {
        match self {
            CausalModel::Gpt2(model) => model,
            CausalModel::Llama(model) => model,
        }
    }
}

impl Decoder for CausalModel {
    fn context(&self) -> usize {
        self.inner().context()
    }

    fn vocabulary(&self) -> usize {
        self.inner().vocabulary()
    }

    fn cache(&self, batch: usize, capacity: usize) -> Cache {
        self.inner().cache(batch, capacity)
    }

    fn decode(&self, tokens: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        self.inner().decode(tokens, cache)
    }
}

/// A decoder with its tokenizer.
pub struct LanguageModel {
    /// The decoder.
    pub model: CausalModel,
    /// From text to tokens and back.
    pub coder: Coder,
}

/// A tokenizer with the tokens that begin and end a text.
#[derive(Clone)]
pub struct Coder {
    /// The tokens that end a text.
    pub ends: Vec<i64>,
    start: Option<i64>,
    tokenizer: Tokenizer,
}

/// One token or several, as configurations have them.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Tokens {
    One(i64),
    Many(Vec<i64>),
}

#[derive(serde::Deserialize)]
struct Special {
    bos_token_id: Option<i64>,
    eos_token_id: Option<Tokens>,
}

impl LanguageModel {
    /// Reads a folder of `transformers`: configuration, weights and `tokenizer.json`.
    ///
    /// ```no_run
    /// use covector::Key;
    /// use covector_models::LanguageModel;
    /// use covector_nn::sample::{Flow, Sampling, continued};
    /// let LanguageModel { model, coder } = LanguageModel::load("gpt2", None)?;
    /// let prompt = coder.encode("Once upon a time")?;
    /// let mut text = coder.text_after(&prompt);
    /// continued(&model, &prompt, 20, Sampling::greedy(), &Key::new(0), |token| {
    ///     print!("{}", text.push(token)?);
    ///     Ok(Flow::On)
    /// })?;
    /// println!("{}", text.rest()?);
    /// # Ok::<(), covector::Error>(())
    /// ```
    ///
    /// # Errors
    /// If files are missing or malformed, the model is of a kind that is not known, or `tuned` is of another model.
    pub fn load(path: impl AsRef<Path>, tuned: Option<&Tuned>) -> Result<LanguageModel> {
        let folder = Folder::open(path)?;
        // A model of another kind may have no tokenizer, and it is the kind that is wrong.
        Kind::of(&folder)?;
        let coder = Coder::load(&folder)?;
        let model = CausalModel::load(&folder, tuned)?;
        Ok(LanguageModel { model, coder })
    }
}

impl Coder {
    /// Reads `tokenizer.json`; the tokens that begin and end a text are those of `generation_config.json`, or of `config.json`
    /// where that says nothing.
    ///
    /// # Errors
    /// If files are missing or malformed.
    pub fn load(folder: &Folder) -> Result<Coder> {
        let mut tokenizer = folder.tokenizer()?;
        tokenizer.with_truncation(None).map_err(|e| Error::new(e.to_string()))?;
        tokenizer.with_padding(None);
        let mut special: Special = folder.json("config.json")?;
        if folder.path("generation_config.json").is_file() {
            let more: Special = folder.json("generation_config.json")?;
            special.bos_token_id = more.bos_token_id.or(special.bos_token_id);
            special.eos_token_id = more.eos_token_id.or(special.eos_token_id);
        }
        let ends = match special.eos_token_id {
            None => vec![],
            Some(Tokens::One(token)) => vec![token],
            Some(Tokens::Many(tokens)) => tokens,
        };
        Ok(Coder { ends, start: special.bos_token_id, tokenizer })
    }

    /// The tokens of a prompt, with those that the tokenizer puts around it; of an empty one, the token that begins a text.
    ///
    /// # Errors
    /// If the tokenizer refuses the text, or an empty prompt has no token to begin with.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>> {
        let found = self.tokenizer.encode(text, true).map_err(|e| {
            Error::new(format!("the tokenizer refuses the text: {e}"))
                .hint("it may have characters that are no tokens of this model")
        })?;
        let tokens: Vec<i64> = found.get_ids().iter().map(|&id| i64::from(id)).collect();
        match (tokens.is_empty(), self.start) {
            (false, _) => Ok(tokens),
            (true, Some(start)) => Ok(vec![start]),
            (true, None) => Err(Error::new("an empty prompt, and the model has no token that begins a text")
                .hint("begin with at least one word")),
        }
    }

    /// The text of what follows these tokens, as it comes.
    pub fn text_after(&self, tokens: &[i64]) -> TextStream<'_> {
        /// Enough for what a tokenizer makes of a token to depend on.
        const BEFORE: usize = 6;
        let before = &tokens[tokens.len().saturating_sub(BEFORE)..];
        let ids: Vec<u32> = before.iter().filter_map(|&t| u32::try_from(t).ok()).collect();
        TextStream { tokenizer: &self.tokenizer, shown: ids.len(), ids }
    }
}

/// Tokens that become text one after the other: characters whose bytes lie in several tokens come out whole.
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    /// The last tokens that were shown, and those that were not yet.
    ids: Vec<u32>,
    /// How many of them were shown.
    shown: usize,
}

impl TextStream<'_> {
    /// The text that is complete with this token: none while its last character is not.
    ///
    /// # Errors
    /// If the tokenizer fails, or the number is no token's.
    pub fn push(&mut self, token: i64) -> Result<String> {
        let id = u32::try_from(token).map_err(|_| Error::new(format!("{token} is no token")))?;
        self.ids.push(id);
        let text = self.new_text()?;
        // An unfinished character is decoded as U+FFFD.
        if text.is_empty() || text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        self.ids.drain(..self.shown);
        self.shown = self.ids.len();
        Ok(text)
    }

    /// What is left at the end, U+FFFD for bytes that are no characters.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn rest(&mut self) -> Result<String> {
        let text = self.new_text()?;
        self.shown = self.ids.len();
        Ok(text)
    }

    /// The text of the tokens that were not shown: what they add to those before.
    fn new_text(&self) -> Result<String> {
        let decode =
            |ids: &[u32]| self.tokenizer.decode(ids, true).map_err(|e| Error::new(format!("the tokenizer: {e}")));
        let (before, all) = (decode(&self.ids[..self.shown])?, decode(&self.ids)?);
        Ok(match all.strip_prefix(&before) {
            Some(new) => new.to_owned(),
            // The tokens before are told otherwise with these behind them; they stand already.
            None => decode(&self.ids[self.shown..])?,
        })
    }
}
