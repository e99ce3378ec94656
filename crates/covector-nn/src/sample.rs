//! Continuing a text: one token after the other, drawn from the model's probabilities.

use std::collections::BTreeSet;

use covector::ops::random::categorical;
use covector::{DType, Error, Key, Result, Tensor};

use crate::Decoder;

/// How the next token is drawn. The parts act in the order of the fields, as in Hugging Face's `generate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// What the logits of tokens that are there already are divided by if above 0, and multiplied with if below; 1 for nothing.
    ///
    /// Source: Keskar et al. 2019, "CTRL", section 4.1.
    pub repetition_penalty: f64,
    /// Below 1 the likely become likelier; 0 always takes the likeliest.
    pub temperature: f64,
    /// Only this many of the likeliest are drawn from, if given.
    pub top_k: Option<usize>,
    /// Only the likeliest that have this probability together are drawn from, if given; the likeliest always is.
    ///
    /// Source: Holtzman et al. 2020, "The curious case of neural text degeneration".
    pub top_p: Option<f64>,
}

impl Default for Sampling {
    /// The model's own probabilities.
    fn default() -> Self {
        Sampling { repetition_penalty: 1.0, temperature: 1.0, top_k: None, top_p: None }
    }
}

impl Sampling {
    /// The likeliest token, always.
    pub fn greedy() -> Self {
        Sampling { temperature: 0.0, ..Sampling::default() }
    }

    /// Fails if a number is outside its range.
    fn check(&self) -> Result<()> {
        let Sampling { repetition_penalty: penalty, temperature, top_k, top_p } = *self;
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return Err(Error::new(format!("the temperature must be a number of at least 0, not {temperature}")));
        }
        if !(penalty > 0.0 && penalty.is_finite()) {
            return Err(Error::new(format!("the repetition penalty must be a number above 0, not {penalty}")));
        }
        if let Some(p) = top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return Err(Error::new(format!("the probability to draw from must be above 0 and at most 1, not {p}")));
        }
        match top_k {
            Some(0) => Err(Error::new("from the likeliest 0 tokens nothing can be drawn")),
            _ => Ok(()),
        }
    }
}

/// The next token after `seen`, drawn from `logits [vocabulary]`.
///
/// `seen` matters for the repetition penalty alone.
///
/// # Errors
/// If the temperature is negative or no number, only the likeliest 0 are to be drawn from, the probability to draw from is not
/// in (0, 1], or the penalty is not above 0.
///
/// ```
/// use covector::{Key, Tensor};
/// use covector_nn::sample::{Sampling, next_token};
/// let logits = Tensor::from([0.0f32, 2.0, 1.0]);
/// assert_eq!(next_token(&logits, &[], Sampling::greedy(), &Key::new(0)).unwrap().item::<i64>(), 1);
/// let other = Sampling { repetition_penalty: 4.0, ..Sampling::greedy() };
/// assert_eq!(next_token(&logits, &[1], other, &Key::new(0)).unwrap().item::<i64>(), 2);
/// ```
pub fn next_token(logits: &Tensor, seen: &[i64], sampling: Sampling, key: &Key) -> Result<Tensor> {
    sampling.check()?;
    let Sampling { repetition_penalty, temperature, top_k, top_p } = sampling;
    let logits = match repetition_penalty {
        1.0 => logits.clone(),
        penalty => penalised(logits, seen, penalty)?,
    };
    if temperature == 0.0 {
        return logits.try_argmax(0);
    }
    let scaled = logits / temperature;
    let all = scaled.size();
    let count = top_k.unwrap_or(all).min(all);
    match top_p.filter(|&p| p < 1.0) {
        None if count == all => Ok(categorical(key, &scaled, 0)),
        None => {
            let (values, tokens) = scaled.try_topk(count, 0)?;
            Ok(tokens.take(&categorical(key, &values, 0), 0))
        }
        Some(p) => {
            let (values, tokens) = scaled.try_topk(count, 0)?;
            let each = values.cast(DType::F64).softmax(0);
            let before = each.cumsum(0) - &each;
            // What stands before the likeliest is 0 and below every bound.
            let kept = before.less(p).where_(values, f64::NEG_INFINITY);
            Ok(tokens.take(&categorical(key, &kept, 0), 0))
        }
    }
}

/// The logits with those of tokens that were seen made smaller.
fn penalised(logits: &Tensor, seen: &[i64], penalty: f64) -> Result<Tensor> {
    let known = |t: &i64| (0..logits.size() as i64).contains(t);
    let seen: BTreeSet<i64> = seen.iter().copied().filter(known).collect();
    let seen: Vec<i64> = seen.into_iter().collect();
    let seen = Tensor::try_from_slice(&seen, [seen.len()])?;
    let values = logits.take(&seen, 0);
    let smaller = values.greater(0.0).where_(&values / penalty, &values * penalty);
    Ok(logits.scatter_set(&seen, &smaller, 0))
}

/// Whether a continuation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    On,
    /// It ends here.
    Stop,
}

/// Continues `tokens` by up to `count` more, handing each to `each` as soon as it is drawn, which may stop it.
///
/// The model sees the last tokens that fit its context. The draw of each token has a key of its own, so the same key and
/// tokens give the same continuation.
///
/// # Errors
/// If there is no token to begin with, one is outside the vocabulary, sampling is ill defined, or `each` fails.
pub fn continued(
    model: &impl Decoder,
    tokens: &[i64],
    count: usize,
    sampling: Sampling,
    key: &Key,
    mut each: impl FnMut(i64) -> Result<Flow>,
) -> Result<()> {
    if tokens.is_empty() {
        return Err(Error::new("a continuation needs at least one token to begin with"));
    }
    sampling.check()?;
    let context = model.context();
    let mut seen = tokens.to_vec();
    // Attention passes over the whole cache, so it is no longer than what will stand there.
    let mut cache = model.cache(1, context.min(tokens.len().saturating_add(count)));
    for i in 0..count {
        if seen.len() > context {
            // The window moves, and with it every token's position: nothing computed before is of use.
            cache.truncate(0);
        }
        let from = seen.len().saturating_sub(context) + cache.len();
        let new = Tensor::from_slice(&seen[from..], [1, seen.len() - from]);
        let last = model.decode(&new, &mut cache)?.reshape([model.vocabulary()]);
        let token = next_token(&last, &seen, sampling, &key.fold_in(i as i64))?.try_item::<i64>()?;
        seen.push(token);
        if each(token)? == Flow::Stop {
            break;
        }
    }
    Ok(())
}
