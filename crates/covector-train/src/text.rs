//! A GPT on a text.

use std::path::Path;

use covector::{Key, Tensor};
use covector_nn::data::random_batch;
use covector_nn::sample::{Sampling, continued};
use covector_nn::train::held_out_loss;
use covector_nn::{Dropout, Gpt, GptConfig, Vocabulary};

use crate::{Effort, Error, Measure, Result, Task, deal, shapes};

/// Pieces of the held-out text that a look in the middle of training is content with.
const GLANCE: usize = 240;

/// The sizes of a [`TextTask`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextOptions {
    /// Number of transformer blocks.
    pub layers: usize,
    /// Number of attention heads in each.
    pub heads: usize,
    /// Width of the residual stream, divisible by the number of heads.
    pub width: usize,
    /// Longest sequence the model sees.
    pub block: usize,
    /// Sequences in a batch.
    pub batch: usize,
    /// Part of the activations that is dropped in training.
    pub dropout: f64,
    /// Length of the sample at the end, in tokens.
    pub tokens: usize,
    /// Its temperature.
    pub temperature: f64,
}

/// A GPT over the characters of a text, the last tenth of which is held out.
#[derive(Clone, Debug)]
pub struct TextTask {
    options: TextOptions,
    vocabulary: Vocabulary,
    learned: Tensor,
    held_out: Tensor,
    fingerprint: String,
}

impl TextTask {
    /// The task of learning a text; `name` stands for it in errors.
    ///
    /// # Errors
    /// If sizes do not go together, or the text is too short for the block.
    pub fn new(name: &str, text: &str, options: TextOptions) -> Result<TextTask> {
        let TextOptions { width, heads, block, .. } = options;
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(Error::Settings(format!("a width of {width} does not divide into {heads} heads")));
        }
        let vocabulary = Vocabulary::of(text);
        let tokens = vocabulary.encode(text)?;
        let learned = tokens.len() - tokens.len() / 10;
        if tokens.len() - learned <= block {
            return Err(Error::outside(format!(
                "{name} is too short: a tenth of its {} characters is held out, which must be more than the block of {block}",
                tokens.len(),
            )));
        }
        let (learned, held_out) = tokens.split_at(learned);
        Ok(TextTask {
            options,
            vocabulary,
            learned: Tensor::from(learned.to_vec()),
            held_out: Tensor::from(held_out.to_vec()),
            fingerprint: deal::fingerprint(text.as_bytes()),
        })
    }

    fn config(&self) -> GptConfig {
        let TextOptions { block, layers, heads, width, .. } = self.options;
        GptConfig { vocabulary: self.vocabulary.len(), block, layers, heads, width, bias: false }
    }
}

impl Task for TextTask {
    type Model = Gpt;
    type Running = ();
    type Batch = (Tensor, Tensor);

    fn name(&self) -> &'static str {
        "gpt"
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn describe(&self) -> String {
        let [learned, held_out] =
            [&self.learned, &self.held_out].map(|t| covector_trace::table::grouped(t.size() as u64));
        format!("{learned} characters to learn, {held_out} held out, {} different", self.vocabulary.len())
    }

    fn start(&self, key: &Key) -> Result<(Gpt, ())> {
        Ok((Gpt::new(key, &self.config()), ()))
    }

    fn batch(&self, position: usize, key: &Key) -> Result<(Tensor, Tensor)> {
        let TextOptions { batch, block, .. } = self.options;
        Ok(random_batch(&self.learned, batch, block, &key.fold_in(position as i64)))
    }

    fn loss(&self, model: &Gpt, (): &(), (x, y): &(Tensor, Tensor), key: &Key) -> (Tensor, ()) {
        (model.loss(x, y, &Dropout::new(self.options.dropout, key.clone())), ())
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::loss("held-out loss")]
    }

    fn evaluate(&self, model: &Gpt, (): &(), effort: Effort) -> Result<Vec<f64>> {
        let limit = (effort == Effort::Glance).then_some(GLANCE);
        Ok(vec![held_out_loss(model, &self.held_out, 4 * self.options.batch, limit)?])
    }

    fn save(&self, path: &Path, model: &Gpt, (): &()) -> Result<()> {
        Ok(model.save(path, &self.vocabulary)?)
    }

    fn units(&self) -> (&'static str, usize) {
        ("tokens", self.options.batch * self.options.block)
    }

    fn shapes(&self, _: &Gpt) -> Result<String> {
        let mut table = Vec::new();
        shapes::write(&mut table, &self.config(), self.options.batch)?;
        Ok(String::from_utf8_lossy(&table).into_owned())
    }

    fn summary(&self, model: &Gpt, (): &(), key: &Key, out: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        let prompt = self.vocabulary.decode(&self.held_out.to_vec::<i64>()[..1]);
        let prompt = if self.vocabulary.encode("\n").is_ok() { "\n" } else { &prompt };
        let sampling = Sampling { temperature: self.options.temperature, top_k: None };
        sample(model, &self.vocabulary, prompt, self.options.tokens, sampling, key, out)
    }

    fn hidden(&self, path: &str, parameter: &Tensor) -> bool {
        parameter.ndim() == 2 && path.starts_with("h.")
    }

    fn classes(&self) -> Option<usize> {
        Some(self.vocabulary.len())
    }
}

/// Hands out the prompt and its continuation, character by character, and a line end.
///
/// # Errors
/// As [`continued`], and those of `out`.
pub fn sample(
    model: &Gpt,
    vocabulary: &Vocabulary,
    prompt: &str,
    tokens: usize,
    sampling: Sampling,
    key: &Key,
    out: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<()> {
    let start = vocabulary.encode(prompt)?;
    out(prompt)?;
    let mut broken = None;
    let result = continued(model, &start, tokens, sampling, key, |token| {
        out(&vocabulary.decode(&[token])).map_err(|e| {
            let text = e.to_string();
            broken = Some(e);
            covector::Error::new(text)
        })
    });
    match broken {
        Some(e) => Err(e),
        None => {
            result?;
            out("\n")
        }
    }
}
