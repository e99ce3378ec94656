//! Text as tokens, and random pieces of it.

use covector::ops::random::randint;
use covector::{Error, Key, Result, Tensor};

/// The characters of a text, numbered in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary(Vec<char>);

impl Vocabulary {
    /// Every character that occurs in `text`.
    ///
    /// ```
    /// use covector_nn::Vocabulary;
    /// let vocabulary = Vocabulary::of("hello");
    /// assert_eq!(vocabulary.encode("hole").unwrap(), [1, 3, 2, 0]);
    /// assert_eq!(vocabulary.decode(&[1, 3, 2, 0]), "hole");
    /// ```
    pub fn of(text: &str) -> Self {
        let mut characters: Vec<char> = text.chars().collect();
        characters.sort_unstable();
        characters.dedup();
        Vocabulary(characters)
    }

    /// The number of characters.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All characters in their order.
    pub fn characters(&self) -> String {
        self.0.iter().collect()
    }

    /// The number of each character.
    ///
    /// # Errors
    /// If one is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>> {
        let number = |c: char| match self.0.binary_search(&c) {
            Ok(i) => Ok(i as i64),
            Err(_) => Err(Error::new(format!("the character {c:?} is not in the vocabulary"))),
        };
        text.chars().map(number).collect()
    }

    /// The characters of the numbers; U+FFFD for numbers of none.
    pub fn decode(&self, tokens: &[i64]) -> String {
        let character = |&t: &i64| usize::try_from(t).ok().and_then(|t| self.0.get(t)).copied();
        tokens.iter().map(|t| character(t).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }
}

/// Random pieces of `tokens [n]` and the same moved on by one: two of `[batch, block]`, as the key says.
///
/// # Panics
/// If there are not more tokens than the block is long.
#[track_caller]
pub fn random_batch(tokens: &Tensor, batch: usize, block: usize, key: &Key) -> (Tensor, Tensor) {
    let n = tokens.size();
    assert!(n > block, "{n} tokens have no piece of {block} with a next token");
    let starts = randint(key, [batch, 1], 0, (n - block) as i64);
    pieces(tokens, &starts, block)
}

/// The pieces of `tokens [n]` that begin at `starts [batch, 1]`, and the same moved on by one.
#[track_caller]
pub fn pieces(tokens: &Tensor, starts: &Tensor, block: usize) -> (Tensor, Tensor) {
    let at = starts + Tensor::from((0..block as i64).collect::<Vec<i64>>());
    (tokens.take(&at, 0), tokens.take(&(at + 1), 0))
}
