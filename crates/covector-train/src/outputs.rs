//! Where the results of a training go.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Where the results of a training go; nothing of it decides a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// The model at the end.
    pub model: PathBuf,
    /// The checkpoint; if none is named, it stands beside the model and goes when that is saved.
    pub checkpoint: Option<PathBuf>,
    /// Steps between two checkpoints; 0 for one when stopped only.
    pub checkpoint_interval: usize,
    /// The best model so far, written whenever it gets better.
    pub best: Option<PathBuf>,
    /// Metrics: files that end in .jsonl or .csv, or folders for TensorBoard.
    pub logs: Vec<PathBuf>,
    /// The report, one HTML page.
    pub report: Option<PathBuf>,
}

impl Outputs {
    /// The model goes to `path`, with a checkpoint beside it every 500 steps; nothing else.
    pub fn to(path: impl Into<PathBuf>) -> Outputs {
        Outputs {
            model: path.into(),
            checkpoint: None,
            checkpoint_interval: 500,
            best: None,
            logs: Vec::new(),
            report: None,
        }
    }

    /// Where checkpoints go.
    pub fn checkpoint_path(&self) -> PathBuf {
        self.checkpoint.clone().unwrap_or_else(|| self.model.with_extension("checkpoint.safetensors"))
    }

    /// Fails now rather than after the training if a file cannot be written; leaves nothing behind.
    pub(crate) fn check(&self) -> Result<()> {
        check_writable(&self.model, "the model")?;
        check_writable(&self.checkpoint_path(), "checkpoints")?;
        self.best.iter().try_for_each(|path| check_writable(path, "the best model"))?;
        self.report.iter().try_for_each(|path| check_writable(path, "the report"))
    }
}

fn check_writable(path: &Path, what: &str) -> Result<()> {
    let fail = |problem: String| Error::outside(format!("{}: cannot write {what}: {problem}", path.display()));
    if path.is_dir() {
        return Err(fail("it is a folder".into()));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let probe = folder.join(format!(".covector-probe-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe).map_err(|e| fail(e.to_string()))?;
    std::fs::remove_file(&probe).map_err(|e| fail(e.to_string()))
}
