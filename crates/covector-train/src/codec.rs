//! Between texts and tokens. The one module that knows the tokenizers of others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use covector_nn::file::{self, Contents};
use covector_nn::{Gpt, GptConfig, Vocabulary};
use tokenizers::Tokenizer;

use crate::{Error, Result};

/// What a text is cut into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// Characters.
    #[default]
    Characters,
    /// The bytes of UTF-8, 256 of them.
    Bytes,
    /// The tokens of a `tokenizer.json`.
    Tokenizer(PathBuf),
}

/// Makes tokens of texts, and texts of tokens.
#[derive(Clone, Debug)]
pub enum Codec {
    /// Each character of a vocabulary is a token.
    Characters(Vocabulary),
    /// Each byte is a token.
    Bytes,
    /// As a `tokenizer.json` says.
    Tokenizer(Box<Tokenizer>),
    /// Nobody knows what the tokens stand for; there are so many of them.
    Numbers(usize),
}

impl Codec {
    /// A `tokenizer.json`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> Result<Codec> {
        let fail = |e: tokenizers::Error| Error::outside(format!("{}: not a valid tokenizer: {e}", path.display()));
        Ok(Codec::Tokenizer(Box::new(Tokenizer::from_file(path).map_err(fail)?)))
    }

    /// The number of different tokens.
    pub fn size(&self) -> usize {
        match self {
            Codec::Characters(vocabulary) => vocabulary.len(),
            Codec::Bytes => 256,
            // Numbers may be left out: the largest counts.
            Codec::Tokenizer(tokenizer) => {
                tokenizer.get_vocab(true).into_values().max().map_or(0, |most| most as usize + 1)
            }
            Codec::Numbers(size) => *size,
        }
    }

    /// What a token is, in the plural.
    pub fn unit(&self) -> &'static str {
        match self {
            Codec::Characters(_) => "characters",
            Codec::Bytes => "bytes",
            Codec::Tokenizer(_) | Codec::Numbers(_) => "tokens",
        }
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// If a part of it is no token.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>> {
        match self {
            Codec::Characters(vocabulary) => Ok(vocabulary.encode(text)?),
            Codec::Bytes => Ok(text.bytes().map(i64::from).collect()),
            Codec::Tokenizer(tokenizer) => {
                let encoded = tokenizer.encode_fast(text, false);
                let encoded = encoded.map_err(|e| Error::outside(format!("the text has no tokens: {e}")))?;
                Ok(encoded.get_ids().iter().map(|&id| i64::from(id)).collect())
            }
            Codec::Numbers(_) => {
                let number = |word: &str| {
                    let unknown = || Error::outside(format!("`{word}` is no token: this model knows numbers alone"));
                    word.parse::<i64>().ok().filter(|&n| n >= 0 && n < self.size() as i64).ok_or_else(unknown)
                };
                text.split_whitespace().map(number).collect()
            }
        }
    }

    /// The text of tokens; U+FFFD for what is none.
    pub fn decode(&self, tokens: &[i64]) -> String {
        match self {
            Codec::Characters(vocabulary) => vocabulary.decode(tokens),
            Codec::Bytes => {
                let bytes: Vec<u8> = tokens.iter().map(|&t| u8::try_from(t).unwrap_or(0xff)).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Codec::Tokenizer(tokenizer) => {
                let ids: Vec<u32> = tokens.iter().filter_map(|&t| u32::try_from(t).ok()).collect();
                tokenizer.decode(&ids, false).unwrap_or_else(|_| char::REPLACEMENT_CHARACTER.to_string())
            }
            Codec::Numbers(_) => tokens.iter().map(|t| format!("{t} ")).collect(),
        }
    }

    /// Writes a model with what is needed to talk to it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, model: &Gpt, path: &Path) -> Result<()> {
        let one = |key: &str, value: String| BTreeMap::from([(key.to_owned(), value)]);
        let metadata = match self {
            Codec::Characters(vocabulary) => one("vocabulary", vocabulary.characters()),
            Codec::Bytes => one("tokens", "bytes".into()),
            Codec::Numbers(_) => one("tokens", "numbers".into()),
            Codec::Tokenizer(tokenizer) => {
                let json = tokenizer.to_string(false);
                one("tokenizer", json.map_err(|e| Error::outside(format!("the tokenizer cannot be saved: {e}")))?)
            }
        };
        Ok(model.save_with(path, metadata)?)
    }

    /// Reads what [`save`](Self::save) wrote, or [`Gpt::save`].
    ///
    /// # Errors
    /// If the file cannot be read or holds something else.
    pub fn load(path: impl AsRef<Path>) -> Result<(Gpt, GptConfig, Codec)> {
        let file = file::load(path)?;
        let (model, config) = Gpt::of(&file)?;
        let codec = Codec::of(&file, config.vocabulary)?;
        match codec.size() == config.vocabulary {
            true => Ok((model, config, codec)),
            false => Err(Error::Outside(
                file.error(format!("{} {} for {} embeddings", codec.size(), codec.unit(), config.vocabulary))
                    .to_string(),
            )),
        }
    }

    fn of(file: &Contents, size: usize) -> Result<Codec> {
        let refused = |problem: String| Error::Outside(file.error(problem).to_string());
        if let Some(characters) = file.metadata.get("vocabulary") {
            return Ok(Codec::Characters(Vocabulary::of(characters)));
        }
        if let Some(json) = file.metadata.get("tokenizer") {
            let read: std::result::Result<Tokenizer, _> = json.parse();
            return match read {
                Ok(tokenizer) => Ok(Codec::Tokenizer(Box::new(tokenizer))),
                Err(e) => Err(refused(format!("its tokenizer cannot be read: {e}"))),
            };
        }
        match file.metadata.get("tokens").map(String::as_str) {
            Some("bytes") => Ok(Codec::Bytes),
            Some("numbers") => Ok(Codec::Numbers(size)),
            _ => Err(refused("its metadata lacks `vocabulary`".into())),
        }
    }
}

/// Decodes tokens as they come: a text is handed out when its last character is whole.
pub struct Stream<'a> {
    codec: &'a Codec,
    tokens: Vec<i64>,
    /// What was handed out of the text of `tokens`, in bytes.
    said: usize,
}

impl<'a> Stream<'a> {
    /// A stream that begins after some tokens, which were handed out.
    pub fn after(codec: &'a Codec, tokens: &[i64]) -> Self {
        // A few tokens before are enough to know whether there is a space between.
        let tokens = tokens[tokens.len().saturating_sub(8)..].to_vec();
        let said = codec.decode(&tokens).len();
        Stream { codec, tokens, said }
    }

    /// What is new after one more token.
    pub fn push(&mut self, token: i64) -> String {
        self.tokens.push(token);
        let text = self.codec.decode(&self.tokens);
        // Characters of several tokens take at most four bytes.
        let broken = text.ends_with(char::REPLACEMENT_CHARACTER) && !matches!(self.codec, Codec::Characters(_));
        let waiting = text.len().saturating_sub(self.said) <= 3 * char::REPLACEMENT_CHARACTER.len_utf8();
        if (broken && waiting) || text.len() <= self.said || !text.is_char_boundary(self.said) {
            return String::new();
        }
        let new = text[self.said..].to_owned();
        let kept = self.tokens.len().saturating_sub(8);
        self.tokens.drain(..kept);
        self.said = self.codec.decode(&self.tokens).len();
        new
    }
    /// What is left when no token follows: characters that never became whole.
    pub fn rest(&mut self) -> String {
        let text = self.codec.decode(&self.tokens);
        let new = text.get(self.said..).unwrap_or_default().to_owned();
        self.said = text.len();
        new
    }
}
