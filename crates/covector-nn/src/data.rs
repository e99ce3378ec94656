//! Text as tokens, and random pieces of it; examples dealt to batches.

use covector::ops::random::{permutation, randint};
use covector::{DType, Error, Key, Result, Tensor};

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

/// Examples dealt to batches, in another order in each epoch, as the key says.
///
/// The batch of a step is a function of its number: that is all there is to save, and a resumed run goes on where it was.
///
/// ```
/// use covector::Key;
/// use covector_nn::data::Batches;
/// let batches = Batches::new(10, 4, Key::new(0));
/// assert_eq!(batches.per_epoch(), 3);
/// let mut all: Vec<i64> = (0..3).flat_map(|step| batches.at(step).to_vec::<i64>()).collect();
/// all.sort();
/// assert_eq!(all, (0..10).collect::<Vec<i64>>());
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    /// The number of examples.
    pub examples: usize,
    /// How many are in a batch; the last one of an epoch may have less.
    pub batch: usize,
    /// What says the order; the order as it is if there is none.
    pub key: Option<Key>,
    /// Whether batches that are not full are left out.
    pub full: bool,
}

impl Batches {
    /// Shuffled batches, the last of an epoch as it comes.
    ///
    /// # Panics
    /// If there are no examples, or none in a batch.
    #[track_caller]
    pub fn new(examples: usize, batch: usize, key: Key) -> Self {
        assert!(examples > 0 && batch > 0, "{examples} examples in batches of {batch}");
        Batches { examples, batch, key: Some(key), full: false }
    }

    /// The number of batches of an epoch.
    pub fn per_epoch(&self) -> usize {
        let all = if self.full { self.examples / self.batch } else { self.examples.div_ceil(self.batch) };
        all.max(1)
    }

    /// The numbers of the examples of step `step`, counted over all epochs: `i64[batch]`.
    pub fn at(&self, step: usize) -> Tensor {
        let (epoch, place) = (step / self.per_epoch(), step % self.per_epoch());
        self.epoch(epoch).nth(place).expect("the place is within the epoch")
    }

    /// The numbers of the examples of each batch of an epoch; draws the order once.
    pub fn epoch(&self, epoch: usize) -> impl Iterator<Item = Tensor> + use<> {
        let order = match &self.key {
            Some(key) => permutation(&key.fold_in(epoch as i64), self.examples).cast(DType::I64).to_vec::<i64>(),
            None => (0..self.examples as i64).collect(),
        };
        let (batch, count, all) = (self.batch, self.per_epoch(), self.examples);
        (0..count).map(move |i| Tensor::from(order[i * batch..((i + 1) * batch).min(all)].to_vec()))
    }
}

/// The numbers of the examples that are trained on and of those that are held out, `part` of all, as the key says.
///
/// ```
/// use covector::Key;
/// let (train, held_out) = covector_nn::data::split(10, 0.3, &Key::new(0));
/// assert_eq!((train.size(), held_out.size()), (7, 3));
/// ```
#[track_caller]
pub fn split(examples: usize, part: f64, key: &Key) -> (Tensor, Tensor) {
    let kept = (examples as f64 * part.clamp(0.0, 1.0)).round() as usize;
    let parts = permutation(key, examples).cast(DType::I64).split([examples - kept, kept], 0);
    (parts[0].clone(), parts[1].clone())
}

/// Sequences of different lengths side by side, filled up with `filler`, `i64[sequences, longest]`, and a mask of the same
/// shape that is true where there are tokens. As a mask of attention, it is used with two axes more: `[sequences, 1, 1, longest]`.
///
/// ```
/// let (tokens, mask) = covector_nn::data::padded(&[vec![5, 6, 7], vec![8]], 0);
/// assert_eq!(tokens.to_vec::<i64>(), [5, 6, 7, 8, 0, 0]);
/// assert_eq!(mask.to_vec::<bool>(), [true, true, true, true, false, false]);
/// ```
pub fn padded(sequences: &[Vec<i64>], filler: i64) -> (Tensor, Tensor) {
    let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
    let filled =
        |s: &Vec<i64>| s.iter().copied().chain(std::iter::repeat_n(filler, longest - s.len())).collect::<Vec<_>>();
    let there = |s: &Vec<i64>| (0..longest).map(|i| i < s.len()).collect::<Vec<_>>();
    let tokens: Vec<i64> = sequences.iter().flat_map(filled).collect();
    let mask: Vec<bool> = sequences.iter().flat_map(there).collect();
    (Tensor::from_slice(&tokens, [sequences.len(), longest]), Tensor::from_slice(&mask, [sequences.len(), longest]))
}

/// Batches of sequences of about one length, so that little is filled up: sorted within pools of 50 batches of a random
/// order, and the batches shuffled.
///
/// ```
/// use covector::Key;
/// let lengths: Vec<usize> = (0..100).map(|i| i * 37 % 100).collect();
/// for batch in covector_nn::data::buckets(&lengths, 10, &Key::new(0)) {
///     let of: Vec<usize> = batch.iter().map(|&i| lengths[i]).collect();
///     assert!(of.iter().max().unwrap() - of.iter().min().unwrap() < 10);
/// }
/// ```
#[track_caller]
pub fn buckets(lengths: &[usize], batch: usize, key: &Key) -> Vec<Vec<usize>> {
    let drawn = |key: &Key, n: usize| permutation(key, n).cast(DType::I64).to_vec::<i64>();
    let mut order: Vec<usize> = drawn(&key.fold_in(0), lengths.len()).into_iter().map(|i| i as usize).collect();
    let batch = batch.max(1);
    for pool in order.chunks_mut(50 * batch) {
        pool.sort_by_key(|&i| lengths[i]);
    }
    let batches: Vec<Vec<usize>> = order.chunks(batch).map(<[usize]>::to_vec).collect();
    drawn(&key.fold_in(1), batches.len()).into_iter().map(|i| batches[i as usize].clone()).collect()
}
