//! Language models with their tokenizers: text in, text out.

use std::path::Path;

use covector::{Error, Result, Tensor};
use covector_nn::{Cache, Decoder};
use tokenizers::Tokenizer;

use crate::{Folder, Gpt2, Llama};

/// A decoder of one of the kinds that are known, by the `model_type` of its configuration.
#[derive(Clone, Debug)]
pub enum CausalModel {
    /// `gpt2`
    Gpt2(Gpt2),
    /// `llama`
    Llama(Llama),
}

impl CausalModel {
    /// Reads a folder, laid out for decoding.
    ///
    /// # Errors
    /// If the kind is not known, or as [`Gpt2::load`] and [`Llama::load`].
    pub fn load(folder: &Folder) -> Result<CausalModel> {
        #[derive(serde::Deserialize)]
        struct Kind {
            model_type: String,
        }
        match folder.json::<Kind>("config.json")?.model_type.as_str() {
            "gpt2" => Ok(CausalModel::Gpt2(Gpt2::load(folder)?.0.for_decoding())),
            "llama" => Ok(CausalModel::Llama(Llama::load(folder)?.0.for_decoding())),
            other => {
                let path = folder.path("config.json");
                Err(Error::new(format!("{}: no decoder of the kind `{}` is known", path.display(), other.escape_debug()))
                    .hint("known are `gpt2` and `llama`"))
            }
        }
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

/// A decoder with its tokenizer and the tokens that begin and end a text.
pub struct LanguageModel {
    /// The decoder.
    pub model: CausalModel,
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
    /// The tokens that end a text are those of `generation_config.json`, or of `config.json` where that says nothing.
    ///
    /// ```no_run
    /// use covector::Key;
    /// use covector_models::LanguageModel;
    /// use covector_nn::sample::{Flow, Sampling, continued};
    /// let model = LanguageModel::load("gpt2")?;
    /// let prompt = model.encode("Once upon a time")?;
    /// let mut text = model.text_after(&prompt);
    /// continued(&model.model, &prompt, 20, Sampling::greedy(), &Key::new(0), |token| {
    ///     print!("{}", text.push(token)?);
    ///     Ok(Flow::On)
    /// })?;
    /// println!("{}", text.rest()?);
    /// # Ok::<(), covector::Error>(())
    /// ```
    ///
    /// # Errors
    /// If files are missing or malformed, or the model is of a kind that is not known.
    pub fn load(path: impl AsRef<Path>) -> Result<LanguageModel> {
        let folder = Folder::open(path)?;
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
        let model = CausalModel::load(&folder)?;
        let start = special.bos_token_id.filter(|t| (0..model.vocabulary() as i64).contains(t));
        Ok(LanguageModel { model, ends, start, tokenizer })
    }

    /// The tokens of a prompt, with those that the tokenizer puts around it; of an empty one, the token that begins a text.
    ///
    /// # Errors
    /// If the tokenizer refuses the text, or an empty prompt has no token to begin with.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>> {
        let found = self.tokenizer.encode(text, true).map_err(|e| Error::new(format!("the tokenizer: {e}")))?;
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
        let decode = |ids: &[u32]| self.tokenizer.decode(ids, true).map_err(|e| Error::new(format!("the tokenizer: {e}")));
        let (before, all) = (decode(&self.ids[..self.shown])?, decode(&self.ids)?);
        Ok(match all.strip_prefix(&before) {
            Some(new) => new.to_owned(),
            // The tokens before are told otherwise with these behind them; they stand already.
            None => decode(&self.ids[self.shown..])?,
        })
    }
}
