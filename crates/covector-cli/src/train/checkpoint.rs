//! The whole state of a training in one file, so that it goes on as if it had not been interrupted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use covector::Tree;
use covector_nn::train::Training;
use covector_nn::{Gpt, Moments, file};

use super::history::History;
use crate::{Failure, args};

/// What the metadata of a checkpoint calls its format.
const FORMAT: &str = "covector-checkpoint-1";

/// Everything that decides how a training goes on.
#[derive(Tree)]
struct State {
    model: Gpt,
    optimizer: Moments<Gpt>,
    /// The model with the lowest held-out loss, if that is what will be kept.
    best: Option<Gpt>,
}

/// Where a training goes on.
pub struct Resumed {
    pub options: args::Train,
    pub fingerprint: String,
    pub history: History,
    pub step: usize,
    contents: file::Contents,
}

/// Where the checkpoints of a training go unless it is told otherwise.
pub fn default_path(out: &Path) -> PathBuf {
    out.with_extension("checkpoint.safetensors")
}

/// Writes a checkpoint after `step` steps, whole or not at all.
pub fn save(
    path: &Path,
    training: &Training<Gpt>,
    best: Option<&Gpt>,
    step: usize,
    options: &args::Train,
    fingerprint: &str,
    history: &History,
) -> Result<(), Failure> {
    let copy = |tree: &Gpt| tree.map_leaves(covector::Tensor::clone);
    let state = State {
        model: copy(&training.model),
        optimizer: Moments {
            mean: copy(&training.state.mean),
            square: copy(&training.state.square),
            steps: training.state.steps,
        },
        best: best.map(copy),
    };
    let json = |what: serde_json::Result<String>| {
        what.map_err(|e| Failure::Outside(format!("cannot write {}: {e}", path.display())))
    };
    let metadata = BTreeMap::from([
        ("format", FORMAT.to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("step", step.to_string()),
        ("best", best.is_some().to_string()),
        ("options", json(serde_json::to_string(options))?),
        ("history", json(serde_json::to_string(history))?),
        ("text", fingerprint.to_owned()),
    ]);
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(file::save(path, &state, &metadata)?)
}

/// Reads a checkpoint's description; its tensors follow once the model's sizes are known.
pub fn load(path: &Path) -> Result<Resumed, Failure> {
    let contents = file::load(path)?;
    let refused = |problem: String| Failure::Outside(contents.error(problem).to_string());
    let text = |key: &str| contents.metadata.get(key).ok_or_else(|| refused(format!("its metadata lacks `{key}`")));
    if contents.metadata.get("format").map(String::as_str) != Some(FORMAT) {
        return Err(refused("this is no checkpoint of a training".into()));
    }
    let version = text("version")?;
    if version != env!("CARGO_PKG_VERSION") {
        eprintln!("warning: {} was written by covector {version}; later steps may round differently", path.display());
    }
    let unread = |what: &str, e: String| refused(format!("its {what} cannot be read: {e}"));
    let step: usize = text("step")?.parse().map_err(|_| unread("step", "it is no number".into()))?;
    let options: args::Train = serde_json::from_str(text("options")?).map_err(|e| unread("options", e.to_string()))?;
    let history = serde_json::from_str(text("history")?).map_err(|e| unread("history", e.to_string()))?;
    let fingerprint = text("text")?.clone();
    Ok(Resumed { options, fingerprint, history, step, contents })
}

impl Resumed {
    /// The training as it was, and the best model so far if it is kept; `like` has the structure.
    pub fn restore(&self, like: Training<Gpt>) -> Result<(Training<Gpt>, Option<Gpt>), Failure> {
        let copy = |tree: &Gpt| tree.map_leaves(covector::Tensor::clone);
        let best = self.contents.metadata.get("best").is_some_and(|b| b == "true");
        let shape = State { best: best.then(|| copy(&like.model)), model: like.model, optimizer: like.state };
        let State { model, optimizer, best } = self.contents.fill(&shape)?;
        let state = Moments { steps: self.step as u64, ..optimizer };
        Ok((Training { model, state, optimizer: like.optimizer, clip: like.clip }, best))
    }
}
