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
    let (logits, tokens) = candidates(logits, seen, sampling)?;
    let drawn = if sampling.temperature == 0.0 { logits.try_argmax(0)? } else { categorical(key, &logits, 0) };
    Ok(match tokens {
        Some(tokens) => tokens.take(&drawn, 0),
        None => drawn,
    })
}

/// What the next token is drawn from: the logits, and the tokens they belong to if these are not all in their order.
///
/// # Errors
/// As [`next_token`].
///
/// ```
/// use covector::Tensor;
/// use covector_nn::sample::{Sampling, candidates};
/// let sampling = Sampling { top_k: Some(2), ..Sampling::default() };
/// let (logits, tokens) = candidates(&Tensor::from([0.0f32, 2.0, 1.0]), &[], sampling).unwrap();
/// assert_eq!((logits.to_vec::<f32>(), tokens.unwrap().to_vec::<i64>()), (vec![2.0, 1.0], vec![1, 2]));
/// ```
pub fn candidates(logits: &Tensor, seen: &[i64], sampling: Sampling) -> Result<(Tensor, Option<Tensor>)> {
    sampling.check()?;
    let Sampling { repetition_penalty, temperature, top_k, top_p } = sampling;
    let logits = match repetition_penalty {
        1.0 => logits.clone(),
        penalty => penalised(logits, seen, penalty)?,
    };
    if temperature == 0.0 {
        return Ok((logits, None));
    }
    let scaled = logits / temperature;
    let all = scaled.size();
    let count = top_k.unwrap_or(all).min(all);
    let top_p = top_p.filter(|&p| p < 1.0);
    if count == all && top_p.is_none() {
        return Ok((scaled, None));
    }
    let (values, tokens) = scaled.try_topk(count, 0)?;
    let Some(p) = top_p else { return Ok((values, Some(tokens))) };
    let each = values.cast(DType::F64).softmax(0);
    let before = each.cumsum(0) - &each;
    // What stands before the likeliest is 0 and below every bound.
    let kept = before.less(p).where_(values, f64::NEG_INFINITY);
    Ok((kept, Some(tokens)))
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

/// Looks in a text that comes in pieces for strings that end it, wherever the pieces are cut.
#[derive(Clone, Debug)]
pub struct Stops {
    strings: Vec<String>,
    /// The end of the text, which may begin one of the strings.
    held: String,
}

impl Stops {
    /// These strings; empty ones end nothing.
    ///
    /// ```
    /// use covector_nn::sample::{Flow, Stops};
    /// let mut stops = Stops::new(["end".to_owned()]);
    /// assert_eq!(stops.push("the e"), ("the ".to_owned(), Flow::On));
    /// assert_eq!(stops.push("nding"), (String::new(), Flow::Stop));
    /// ```
    pub fn new(strings: impl IntoIterator<Item = String>) -> Stops {
        Stops { strings: strings.into_iter().filter(|s| !s.is_empty()).collect(), held: String::new() }
    }

    /// What of the text may be shown once this piece was added, and whether it ends there: before the first of the strings.
    pub fn push(&mut self, piece: &str) -> (String, Flow) {
        self.held.push_str(piece);
        if let Some(at) = self.strings.iter().filter_map(|s| self.held.find(s.as_str())).min() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), Flow::Stop);
        }
        let begins = |at: &usize| self.strings.iter().any(|s| s.starts_with(&self.held[*at..]));
        let at = self.held.char_indices().map(|(at, _)| at).find(begins).unwrap_or(self.held.len());
        let rest = self.held.split_off(at);
        (std::mem::replace(&mut self.held, rest), Flow::On)
    }

    /// What was held back and begins none of the strings, as nothing follows.
    pub fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_ends_a_text_wherever_it_is_cut() {
        for cut in 0..=14 {
            let text = "one two\n\nthree";
            let mut stops = Stops::new(["\n\n".to_owned(), "tree".to_owned(), String::new()]);
            let (a, b) = text.split_at(cut);
            let (first, flow) = stops.push(a);
            let shown = match flow {
                Flow::Stop => first,
                Flow::On => first + &stops.push(b).0,
            };
            assert_eq!(shown, "one two", "cut at {cut}");
        }
        let mut stops = Stops::new(["aab".to_owned()]);
        assert_eq!(stops.push("aaa"), ("a".to_owned(), Flow::On));
        assert_eq!(stops.push("c"), ("aac".to_owned(), Flow::On));
        assert_eq!((stops.push("xa").0.as_str(), stops.rest().as_str()), ("x", "a"));
    }

    #[test]
    fn the_likeliest_with_so_much_probability_are_drawn_from_and_no_others() {
        // Probabilities 0.4, 0.3, 0.2, 0.1.
        let logits = Tensor::from([0.2f64, 0.4, 0.1, 0.3]).log();
        let drawn = |top_p: f64, top_k: Option<usize>| {
            let sampling = Sampling { top_p: Some(top_p), top_k, ..Sampling::default() };
            let each = |i| next_token(&logits, &[], sampling, &Key::new(i)).unwrap().item::<i64>();
            (0..200).map(each).collect::<BTreeSet<i64>>().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(drawn(1e-9, None), [1], "the likeliest always is among them");
        assert_eq!(drawn(0.39, None), [1]);
        assert_eq!(drawn(0.41, None), [1, 3]);
        assert_eq!(drawn(0.75, None), [0, 1, 3]);
        assert_eq!(drawn(1.0, None), [0, 1, 2, 3]);
        // Among the two likeliest the probabilities are 4/7 and 3/7.
        assert_eq!(drawn(0.5, Some(2)), [1]);
        assert_eq!(drawn(0.6, Some(2)), [1, 3]);
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        let refused = |sampling: Sampling| {
            next_token(&Tensor::from([1.0f32]), &[], sampling, &Key::new(0)).unwrap_err().to_string()
        };
        let plain = Sampling::default();
        assert!(refused(Sampling { top_p: Some(0.0), ..plain }).contains("above 0 and at most 1, not 0"));
        assert!(refused(Sampling { top_p: Some(f64::NAN), ..plain }).contains("at most 1, not NaN"));
        assert!(refused(Sampling { top_k: Some(0), ..plain }).contains("likeliest 0 tokens"));
        assert!(refused(Sampling { temperature: -1.0, ..plain }).contains("at least 0, not -1"));
        assert!(refused(Sampling { repetition_penalty: 0.0, ..plain }).contains("above 0, not 0"));
    }
}
