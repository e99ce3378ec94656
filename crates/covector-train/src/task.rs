//! What is trained.

use std::path::Path;

use covector::{DType, Key, Tensor, Tree};
use covector_nn::doctor::Finding;
use covector_nn::parts::listed;

use crate::Result;

/// What is trained: a model, the batches it learns from, its loss, how it is judged, and what is saved of it.
///
/// A [`Trainer`](crate::Trainer) calls these methods; the crate's first page has a whole task in twenty lines.
///
/// # What must hold
/// - **The batch is a function of its position and the key.** Nothing is remembered between two calls, so a training that
///   goes on at step 1000 sees what it would have seen. Positions count batches from 0; with gradients of several batches
///   to a step, they count all of them. [`covector_nn::data::Batches`] deals examples to positions, epoch by epoch.
/// - **The loss is a function of its arguments.** Randomness comes from its key alone, which is another one at every position.
/// - **Two trainings with equal [`fingerprint`](Self::fingerprint)s see the same data.** A checkpoint is refused for others.
/// - **Nothing here prints.** What is to be said is returned.
///
/// # What is learned and what is kept besides
/// [`Model`](Self::Model) has the leaves that have gradients: all of them are trained. What changes in training without a
/// gradient, such as the running statistics of batch norms, is [`Running`](Self::Running): `()` if there is nothing. Both
/// are in checkpoints, and both are given to [`save`](Self::save).
pub trait Task: Sync {
    /// What is learned; every leaf is moved by the optimiser.
    type Model: Tree;
    /// What a step changes besides, without gradients: running statistics; `()` for nothing.
    type Running: Tree;
    /// What one loss is computed from: inputs and targets.
    type Batch: Send;

    /// A short name, which checkpoints have: `gpt`, `tabular`.
    fn name(&self) -> &'static str;

    /// Tells these data from others, with all that decides what a position means: size, hash, the split.
    fn fingerprint(&self) -> String;

    /// The data in a few words, for the line that also has the number of parameters: `150 examples, 30 held out, 3 classes`.
    fn describe(&self) -> String;

    /// The model before the first step. Called for resumed trainings, too, whose weights then come from the checkpoint, so it
    /// need not compute anything: graphs of random numbers are enough.
    ///
    /// # Errors
    /// If there is no such model.
    fn start(&self, key: &Key) -> Result<(Self::Model, Self::Running)>;

    /// The batch at a position, counted from 0. `key` is the same at every position: fold the position in, or the epoch.
    ///
    /// # Errors
    /// If data cannot be read; name the file, and the line or key in it.
    fn batch(&self, position: usize, key: &Key) -> Result<Self::Batch>;

    /// The loss of a batch in training, a scalar, and what is kept besides after it. `key` is another at every position:
    /// for dropout and augmentation.
    ///
    /// Builds a graph and evaluates nothing. Panics of ops with wrong shapes are mistakes of the task. With
    /// [`Precision::Bf16`](crate::Precision::Bf16) the model comes in bf16: floats of the batch should be cast to the dtype
    /// of its weights, or everything is computed in their own.
    fn loss(
        &self,
        model: &Self::Model,
        running: &Self::Running,
        batch: &Self::Batch,
        key: &Key,
    ) -> (Tensor, Self::Running);

    /// What [`evaluate`](Self::evaluate) measures, in its order; at least one. The first decides which model is best and
    /// when a training stops early.
    fn measures(&self) -> Vec<Measure>;

    /// The measures of a model on held-out data, without dropout: one number for each of [`measures`](Self::measures).
    ///
    /// # Errors
    /// If data cannot be read or values not be computed.
    fn evaluate(&self, model: &Self::Model, running: &Self::Running, effort: Effort) -> Result<Vec<f64>>;

    /// Writes the model as it will be used: weights, and in the metadata all that turns an input into a prediction
    /// (vocabulary, standardisation, names of classes). Whole or not at all: [`covector_nn::file::save`] does so.
    ///
    /// # Errors
    /// If the file cannot be written.
    fn save(&self, path: &Path, model: &Self::Model, running: &Self::Running) -> Result<()>;

    /// What a batch consists of, in the plural, and how many of them there are: `("tokens", 768)`; for the speed.
    fn units(&self) -> (&'static str, usize) {
        ("batches", 1)
    }

    /// The shapes of a forward pass, or of the model, as a text of several lines; printed before the first step and in the
    /// report, which has a picture of the loss besides. By itself: the leaves of the model.
    ///
    /// # Errors
    /// If the pass cannot be built.
    fn shapes(&self, model: &Self::Model) -> Result<String> {
        Ok(listed(model))
    }

    /// What the trained model can do, in a text: a sample, a table of confusions. It is handed out in pieces as it is made,
    /// and is in the report as a whole. By itself: nothing.
    ///
    /// # Errors
    /// If it cannot be made, or `out` refuses a piece.
    fn summary(
        &self,
        model: &Self::Model,
        running: &Self::Running,
        key: &Key,
        out: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        let _ = (model, running, key, out);
        Ok(())
    }

    /// What the report calls the [`summary`](Self::summary).
    fn summary_title(&self) -> &'static str {
        "Sample"
    }

    /// Whether a parameter is drawn to 0 by weight decay: by itself, if it is no vector.
    fn decays(&self, path: &str, parameter: &Tensor) -> bool {
        let _ = path;
        parameter.ndim() >= 2
    }

    /// Whether a parameter is the matrix of a hidden layer, which optimisers for matrices move; others follow AdamW.
    /// By itself: if it has two axes. Embeddings and last layers are better left out.
    fn hidden(&self, path: &str, parameter: &Tensor) -> bool {
        let _ = path;
        parameter.ndim() == 2
    }

    /// The number of classes if the loss is a cross-entropy in nats over so many: the loss at the start is then known.
    fn classes(&self) -> Option<usize> {
        None
    }

    /// How many batches are made ahead on a thread of their own; more than 0 if they take time to read.
    fn prefetch(&self) -> usize {
        0
    }

    /// What is wrong with the data, before the first step; see [`covector_nn::doctor`] for `inputs`, `labels`, `leaks`, `overlap`.
    ///
    /// # Errors
    /// If data cannot be read.
    fn check_data(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    /// What is wrong inside a model, before the first step and once in a while: `activations` of its layers, `sees_ahead`,
    /// `mixes_examples`. What the trainer asks of every task (gradients, updates, the loss at the start, one batch learned
    /// by heart) need not be repeated.
    ///
    /// # Errors
    /// If values cannot be computed.
    fn check_model(
        &self,
        model: &Self::Model,
        running: &Self::Running,
        batch: &Self::Batch,
        effort: Effort,
    ) -> Result<Vec<Finding>> {
        let _ = (model, running, batch, effort);
        Ok(Vec::new())
    }
}

/// How much of the held-out data is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// A part that takes about as long as a few steps: in the middle of a training. The same part every time.
    Glance,
    /// All of it: at the end.
    Full,
}

/// Which way a measure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Losses, errors.
    Lower,
    /// Accuracies.
    Higher,
}

/// Something that is measured on held-out data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Its name in lines, files and reports: `held-out loss`.
    pub name: String,
    /// Which way it is better.
    pub better: Better,
    /// Whether it is the loss itself, so that both are drawn into one picture.
    pub loss: bool,
}

impl Measure {
    /// The loss, on held-out data.
    pub fn loss(name: &str) -> Measure {
        Measure { name: name.to_owned(), better: Better::Lower, loss: true }
    }

    /// Another measure that is better if lower.
    pub fn lower(name: &str) -> Measure {
        Measure { name: name.to_owned(), better: Better::Lower, loss: false }
    }

    /// A measure that is better if higher.
    pub fn higher(name: &str) -> Measure {
        Measure { name: name.to_owned(), better: Better::Higher, loss: false }
    }

    /// The name in files: letters, digits and underscores.
    ///
    /// ```
    /// assert_eq!(covector_train::Measure::loss("held-out loss").key(), "held_out_loss");
    /// ```
    pub fn key(&self) -> String {
        self.name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
    }

    /// True if `new` is better than `old`; numbers that are none never are.
    pub fn better(&self, new: f64, old: f64) -> bool {
        match self.better {
            Better::Lower => new < old,
            Better::Higher => new > old,
        }
    }
}

/// What a key is used for: each purpose has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// [`Task::start`].
    Weights,
    /// [`Task::batch`].
    Batches,
    /// [`Task::loss`].
    Noise,
    /// [`Task::summary`].
    Summary,
}

impl Purpose {
    /// The key of this purpose in trainings with this seed.
    pub fn key(self, seed: u64) -> Key {
        Key::new(seed).fold_in(self as i64)
    }
}

/// The inputs of a model in halves in its dtype; those of others as they are.
pub(crate) fn lowered(x: &Tensor, weight: &Tensor) -> Tensor {
    match weight.dtype() {
        half @ (DType::BF16 | DType::F16) => x.cast(half),
        _ => x.clone(),
    }
}
