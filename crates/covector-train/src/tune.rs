//! A pretrained language model on a text: all of its weights, some of them, or adapters beside them.

use std::path::Path;
use std::sync::OnceLock;

use covector::{DType, Key, Tensor};
use covector_models::tuned::fingerprint;
use covector_models::{Causal, Coder, Folder, Tuned};
use covector_nn::data::random_batch;
use covector_nn::lora::Lora;
use covector_nn::mixed::in_dtype;
use covector_nn::parts::{Part, fits, select};
use covector_nn::sample::{Sampling, Stops};
use covector_nn::train::mean_loss;
use covector_trace::table::grouped;

use crate::fingerprint;
use crate::text::{self, Continuing, written};
use crate::{Effort, Error, Measure, Result, Task};

/// What of a model is trained, and on what.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneOptions {
    /// Adapters of this kind are trained, for the matrices of attention; without them, the weights.
    pub lora: Option<Lora>,
    /// Patterns of paths that stay as they are ([`fits`]): weights that are not trained, or have no adapters.
    pub frozen: Vec<String>,
    /// Tokens in a sequence.
    pub block: usize,
    /// Sequences in a batch.
    pub batch: usize,
    /// Length of the sample at the end, in tokens.
    pub tokens: usize,
    /// Its temperature.
    pub temperature: f64,
}

/// A pretrained language model that learns a text, the last tenth of which is held out.
pub struct TuneTask<M> {
    options: TuneOptions,
    model: M,
    /// The model in bf16, once a step asked for it.
    low: OnceLock<M>,
    coder: Coder,
    base: String,
    learned: Tensor,
    held_out: Tensor,
    fingerprint: String,
}

impl<M: Causal> TuneTask<M> {
    /// The task of learning a text; `name` stands for it in errors.
    ///
    /// # Errors
    /// If the folder cannot be read, a pattern fits nothing or nothing is left to train, or the text is too short.
    pub fn new(folder: &Folder, name: &str, text: &str, options: TuneOptions) -> Result<TuneTask<M>> {
        let coder = Coder::load(folder)?;
        let model = M::read(folder)?;
        let (context, block) = (model.context(), options.block);
        if block > context {
            return Err(Error::Settings(format!("a block of {block} tokens, and the model sees {context} at most")));
        }
        let paths: Vec<String> = model.named().into_iter().map(|(path, _)| path).collect();
        if let Some(pattern) = options.frozen.iter().find(|pattern| !paths.iter().any(|path| fits(pattern, path))) {
            let some = paths.iter().step_by(paths.len().div_ceil(3)).map(|path| format!("`{path}`"));
            let some = some.collect::<Vec<_>>().join(", ");
            return Err(Error::Settings(format!("the pattern `{pattern}` fits no weight; some of them are {some}")));
        }
        let tokens = coder.encode(text)?;
        let cut = tokens.len() - tokens.len() / 10;
        if tokens.len() - cut <= block {
            let problem = "is too short: a tenth of its";
            let rest = format!("is held out, which must be more than the block of {block}");
            return Err(Error::outside(format!("{name} {problem} {} tokens {rest}", tokens.len())));
        }
        let (learned, held_out) = tokens.split_at(cut);
        let base = fingerprint(&model)?;
        let task = TuneTask {
            fingerprint: format!("{}; on top of {base}", fingerprint::fingerprint(text.as_bytes())),
            learned: Tensor::from(learned.to_vec()),
            held_out: Tensor::from(held_out.to_vec()),
            options,
            model,
            low: OnceLock::new(),
            coder,
            base,
        };
        match task.trained(&Key::new(0)).is_empty() {
            true => Err(Error::Settings("everything is frozen: nothing is left to train".to_owned())),
            false => Ok(task),
        }
    }

    /// What is trained, before the first step.
    fn trained(&self, key: &Key) -> Part {
        let free = |path: &str| !self.options.frozen.iter().any(|pattern| fits(pattern, path));
        match self.options.lora {
            Some(lora) => lora.start(&self.model, key, |path, _| path.contains("attn.") && free(path)),
            None => select(&self.model, |path, _| free(path)),
        }
    }

    fn tuned(&self, part: &Part) -> Tuned {
        Tuned { part: part.clone(), lora: self.options.lora, base: self.base.clone() }
    }

    fn whole(&self, part: &Part) -> M {
        // What stays as it is follows what is trained into lower precision.
        let half = part.values().any(|t| t.dtype() == DType::BF16);
        let model = if half { self.low.get_or_init(|| in_dtype(&self.model, DType::BF16)) } else { &self.model };
        self.tuned(part).put(model).expect("the part was taken from this model")
    }
}

impl<M: Causal> Task for TuneTask<M> {
    type Model = Part;
    type Running = ();
    type Batch = (Tensor, Tensor);

    fn name(&self) -> &'static str {
        "tune"
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn describe(&self) -> String {
        let all: usize = select(&self.model, |_, _| true).values().map(Tensor::size).sum();
        let trained: usize = self.trained(&Key::new(0)).values().map(Tensor::size).sum();
        let frozen = if self.options.lora.is_some() { all } else { all - trained };
        let [frozen, learned, held_out] =
            [frozen, self.learned.size(), self.held_out.size()].map(|n| grouped(n as u64));
        format!("{frozen} stay as they are; {learned} tokens to learn, {held_out} held out")
    }

    fn start(&self, key: &Key) -> Result<(Part, ())> {
        Ok((self.trained(key), ()))
    }

    fn batch(&self, position: usize, key: &Key) -> Result<(Tensor, Tensor)> {
        let TuneOptions { batch, block, .. } = self.options;
        Ok(random_batch(&self.learned, batch, block, &key.fold_in(position as i64)))
    }

    fn loss(&self, part: &Part, (): &(), (x, y): &(Tensor, Tensor), _: &Key) -> (Tensor, ()) {
        (self.whole(part).cross_entropy(x, y), ())
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::loss("held-out loss")]
    }

    fn evaluate(&self, part: &Part, (): &(), effort: Effort) -> Result<Vec<f64>> {
        let limit = (effort == Effort::Glance).then_some(text::GLANCE);
        let TuneOptions { batch, block, .. } = self.options;
        let model = self.whole(part);
        Ok(vec![mean_loss(&self.held_out, block, batch, limit, |x, y| model.cross_entropy(x, y))?])
    }

    fn save(&self, path: &Path, part: &Part, (): &()) -> Result<()> {
        Ok(self.tuned(part).save(path)?)
    }

    fn units(&self) -> (&'static str, usize) {
        ("tokens", self.options.batch * self.options.block)
    }

    fn summary(&self, part: &Part, (): &(), key: &Key, out: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        let model = self.whole(part).laid_out();
        // The first words of what was held out.
        let start = &self.held_out.to_vec::<i64>()[..8.min(self.options.block)];
        let mut shown = self.coder.text_after(&[]);
        for &token in start {
            out(&shown.push(token)?)?;
        }
        let sampling = Sampling { temperature: self.options.temperature, ..Sampling::default() };
        let how = Continuing {
            tokens: self.options.tokens,
            sampling,
            key,
            decode: &mut |token| match token {
                Some(token) => shown.push(token),
                None => shown.rest(),
            },
            end: &mut |_| false,
            stops: Stops::new([]),
        };
        written(&model, start, how, out)
    }

    fn hidden(&self, _: &str, parameter: &Tensor) -> bool {
        parameter.ndim() == 2 && self.options.lora.is_none()
    }
}
