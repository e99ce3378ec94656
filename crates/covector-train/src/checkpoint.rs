//! The whole state of a training in one file, so that it goes on as if it had not been interrupted.

use std::collections::BTreeMap;
use std::path::Path;

use covector::Tree;
use covector_nn::mixed::LossScale;
use covector_nn::schedule::PlateauState;
use covector_nn::{file, optim};
use serde_json::Value;

use crate::{Error, History, Result, Settings};

/// What the metadata of a checkpoint calls its format.
const FORMAT: &str = "covector-checkpoint-2";

/// Everything that decides how a training goes on.
#[derive(Tree)]
pub(crate) struct State<M, R> {
    pub model: M,
    pub running: R,
    /// What rules remember of parameters.
    pub optimizer: Option<optim::State>,
    /// What L-BFGS does.
    pub memory: Option<optim::Memory>,
    /// The moving average of the model's weights, if that is what will be kept.
    pub average: Option<M>,
    /// The best model on the held-out data, if that is what will be kept.
    pub best: Option<(M, R)>,
    /// What losses are multiplied with, if they are.
    pub scale: Option<LossScale>,
    /// What a plateau remembers.
    pub plateau: Option<PlateauState>,
}

/// What a checkpoint says of its training; the tensors follow once the model is known.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The task's name.
    pub task: String,
    /// What told the training's data from others.
    pub fingerprint: String,
    /// What decides its numbers.
    pub settings: Settings,
    /// What the training was told to keep; see [`Trainer::options`](crate::Trainer::options).
    pub options: Value,
    /// What it showed of itself so far.
    pub history: History,
    /// Steps taken.
    pub step: usize,
    /// The version of covector that wrote it.
    pub version: String,
    contents: file::Contents,
}

/// What is written beside the tensors.
pub(crate) struct About<'a> {
    pub task: &'a str,
    pub fingerprint: &'a str,
    pub settings: &'a Settings,
    pub options: &'a Value,
    pub history: &'a History,
    pub step: usize,
}

/// Writes a checkpoint, whole or not at all.
pub(crate) fn save<M: Tree, R: Tree>(path: &Path, state: &State<M, R>, about: &About) -> Result<()> {
    let json = |what: serde_json::Result<String>| {
        what.map_err(|e| Error::outside(format!("cannot write {}: {e}", path.display())))
    };
    let metadata = BTreeMap::from([
        ("format", FORMAT.to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("task", about.task.to_owned()),
        ("step", about.step.to_string()),
        ("best", state.best.is_some().to_string()),
        ("settings", json(serde_json::to_string(about.settings))?),
        ("options", json(serde_json::to_string(about.options))?),
        ("history", json(serde_json::to_string(about.history))?),
        ("data", about.fingerprint.to_owned()),
    ]);
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(file::save(path, state, &metadata)?)
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file cannot be read, or is none.
    pub fn load(path: impl AsRef<Path>) -> Result<Checkpoint> {
        let contents = file::load(path)?;
        let refused = |problem: String| Error::Outside(contents.error(problem).to_string());
        match contents.metadata.get("format").map(String::as_str) {
            Some(FORMAT) => {}
            Some(other) if other.starts_with("covector-checkpoint-") => {
                return Err(refused(format!("its format is {other}; this version reads {FORMAT}")));
            }
            _ => return Err(refused("this is no checkpoint of a training".into())),
        }
        let text = |key: &str| contents.metadata.get(key).ok_or_else(|| refused(format!("its metadata lacks `{key}`")));
        let unread = |what: &str, e: String| refused(format!("its {what} cannot be read: {e}"));
        let parsed = |what: &'static str| move |e: serde_json::Error| (what, e.to_string());
        let of = |(what, e): (&str, String)| unread(what, e);
        let step: usize = text("step")?.parse().map_err(|_| unread("step", "it is no number".into()))?;
        Ok(Checkpoint {
            task: text("task")?.clone(),
            fingerprint: text("data")?.clone(),
            settings: serde_json::from_str(text("settings")?).map_err(parsed("settings")).map_err(of)?,
            options: serde_json::from_str(text("options")?).map_err(parsed("options")).map_err(of)?,
            history: serde_json::from_str(text("history")?).map_err(parsed("history")).map_err(of)?,
            step,
            version: text("version")?.clone(),
            contents,
        })
    }

    /// A warning if another version wrote it.
    pub fn warning(&self) -> Option<String> {
        (self.version != env!("CARGO_PKG_VERSION")).then(|| {
            format!(
                "{} was written by covector {}; later steps may round differently",
                self.contents.name, self.version
            )
        })
    }

    /// The state as it was; `like` has the structure, with or without an average.
    pub(crate) fn restore<M: Tree, R: Tree>(&self, like: State<M, R>) -> Result<State<M, R>> {
        let best = self.contents.metadata.get("best").is_some_and(|b| b == "true");
        let copy = |m: &M, r: &R| (m.map_leaves(Clone::clone), r.map_leaves(Clone::clone));
        // As many remembered steps as the file has.
        let pairs = (0..).take_while(|i| self.contents.tensors.contains_key(&format!("memory.steps.{i}"))).count();
        let memory = like.memory.map(|memory| {
            let many = || vec![memory.gradient.clone(); pairs];
            optim::Memory { steps: many(), changes: many(), ..memory }
        });
        let shape = State { best: best.then(|| copy(&like.model, &like.running)), memory, ..like };
        Ok(self.contents.fill(&shape)?)
    }

    /// An error about this file.
    pub(crate) fn error(&self, problem: impl std::fmt::Display) -> Error {
        Error::Outside(self.contents.error(problem).to_string())
    }
}
