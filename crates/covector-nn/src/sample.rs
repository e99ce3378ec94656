//! Continuing a text: one token after the other, drawn from the model's probabilities.

use covector::ops::random::categorical;
use covector::{Error, Key, Result, Tensor};

use crate::{Dropout, Gpt};

/// How the next token is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Below 1 the likely become likelier; 0 always takes the likeliest.
    pub temperature: f64,
    /// Only this many of the likeliest are drawn from, if given.
    pub top_k: Option<usize>,
}

/// The next token, drawn from `logits [vocabulary]`.
///
/// # Errors
/// If the temperature is negative or no number, or only the likeliest 0 are to be drawn from.
///
/// ```
/// use covector::{Key, Tensor};
/// use covector_nn::sample::{Sampling, next_token};
/// let logits = Tensor::from([0.0f32, 2.0, 1.0]);
/// let greedy = Sampling { temperature: 0.0, top_k: None };
/// assert_eq!(next_token(&logits, greedy, &Key::new(0)).unwrap().item::<i64>(), 1);
/// ```
pub fn next_token(logits: &Tensor, sampling: Sampling, key: &Key) -> Result<Tensor> {
    let Sampling { temperature, top_k } = sampling;
    if !(temperature >= 0.0 && temperature.is_finite()) {
        return Err(Error::new(format!("the temperature must be a number of at least 0, not {temperature}")));
    }
    if temperature == 0.0 {
        return logits.try_argmax(0);
    }
    match top_k {
        Some(0) => Err(Error::new("from the likeliest 0 tokens nothing can be drawn")),
        Some(k) if k < logits.size() => {
            let (values, tokens) = logits.try_topk(k, 0)?;
            Ok(tokens.take(&categorical(key, &(values / temperature), 0), 0))
        }
        _ => Ok(categorical(key, &(logits / temperature), 0)),
    }
}

/// Continues `tokens` by `count` more, handing each to `each` as soon as it is drawn.
///
/// The model sees the last tokens that fit its block. The draw of each token has a key of its own, so the same key and
/// tokens give the same continuation.
///
/// # Errors
/// If there is no token to begin with, one is outside the vocabulary, sampling is ill defined, or `each` stops it.
pub fn continued(
    model: &Gpt,
    tokens: &[i64],
    count: usize,
    sampling: Sampling,
    key: &Key,
    mut each: impl FnMut(i64) -> Result<()>,
) -> Result<()> {
    if tokens.is_empty() {
        return Err(Error::new("a continuation needs at least one token to begin with"));
    }
    let block = model.wpe.weight.shape()[0];
    let mut seen = tokens.to_vec();
    let mut cache = model.cache(1, block);
    for i in 0..count {
        let row = |tokens: &[i64]| Tensor::from_slice(tokens, [1, tokens.len()]);
        let last = if seen.len() <= block {
            model.decode(&row(&seen[cache.len()..]), &mut cache)?.reshape([model.wte.weight.shape()[0]])
        } else {
            // The window moves, and with it every token's position: nothing computed before is of use.
            let logits = model.forward(&row(&seen[seen.len() - block..]), &Dropout::off());
            logits.take(&Tensor::from(0), 0).take(&Tensor::from(-1), 0)
        };
        let token = next_token(&last, sampling, &key.fold_in(i as i64))?.try_item::<i64>()?;
        seen.push(token);
        each(token)?;
    }
    Ok(())
}
