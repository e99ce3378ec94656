//! What was learned on top of a pretrained model: adapters, or the weights that were not frozen.

use std::collections::BTreeMap;
use std::path::Path;

use covector::{Error, Result, Tensor, Tree};
use covector_nn::file;
use covector_nn::lora::Lora;
use covector_nn::parts::{Part, put};

use crate::peft;

/// What the metadata of such a file call its format.
const FORMAT: &str = "covector-tuned-1";

/// What was learned on top of a pretrained model, without that model.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// Adapters, or weights by their paths.
    pub part: Part,
    /// What the adapters are; none if these are weights.
    pub lora: Option<Lora>,
    /// The [`fingerprint`] of the model; empty if it is not known, as of adapters of PEFT.
    pub base: String,
}

impl Tuned {
    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// As [`file::save`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut metadata = BTreeMap::from([("format", FORMAT.to_owned()), ("base", self.base.clone())]);
        if let Some(Lora { rank, alpha }) = self.lora {
            metadata.extend([("rank", rank.to_string()), ("alpha", alpha.to_string())]);
        }
        let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        file::save(path, &self.part, &metadata)
    }

    /// Reads a file, or a folder of adapters that PEFT wrote.
    ///
    /// # Errors
    /// If it cannot be read, or is another kind of file.
    pub fn load(path: impl AsRef<Path>) -> Result<Tuned> {
        if path.as_ref().is_dir() {
            return peft::load(path.as_ref());
        }
        let file = file::load(path)?;
        if file.metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(file
                .error("these are no adapters or weights learned on top of a model")
                .hint("make them with `covector train gpt --from FOLDER`"));
        }
        let base = file.metadata.get("base").ok_or_else(|| file.error("its metadata lacks `base`"))?.clone();
        let wrong = |key: &str| file.error(format!("its {key} is no number above 0"));
        let lora = match (file.metadata.get("rank"), file.metadata.get("alpha")) {
            (None, _) => None,
            (Some(rank), alpha) => {
                let rank = rank.parse().ok().filter(|&rank: &usize| rank > 0).ok_or_else(|| wrong("rank"))?;
                let alpha = alpha.and_then(|a| a.parse().ok()).filter(|a: &f64| a.is_finite());
                Some(Lora { rank, alpha: alpha.ok_or_else(|| wrong("alpha"))? })
            }
        };
        Ok(Tuned { part: file.tensors, lora, base })
    }

    /// The model with what was learned in its weights.
    ///
    /// # Errors
    /// If it was learned on top of another model, or does not fit.
    #[track_caller]
    pub fn applied<M: Tree>(&self, model: &M) -> Result<M> {
        let found = fingerprint(model)?;
        if !self.base.is_empty() && found != self.base {
            let problem = format!("this was learned on top of another model: {}, not {found}", self.base);
            return Err(Error::new(problem).hint("name the folder that `--from` named in the training"));
        }
        self.put(model)
    }

    /// As [`applied`](Self::applied), without a look at the fingerprint.
    ///
    /// # Errors
    /// If it does not fit.
    #[track_caller]
    pub fn put<M: Tree>(&self, model: &M) -> Result<M> {
        match self.lora {
            Some(lora) => lora.applied(model, &self.part),
            None => put(model, &self.part),
        }
    }
}

/// Tells models apart: the number of parameters, and the FNV-1a hash of the names, shapes and first numbers of all leaves.
///
/// # Errors
/// If values cannot be computed.
pub fn fingerprint<M: Tree>(model: &M) -> Result<String> {
    /// Numbers of each leaf that are looked at.
    const FIRST: i64 = 16;
    let (mut hash, mut count) = (0xcbf2_9ce4_8422_2325u64, 0);
    let mut add = |bytes: &[u8]| {
        hash = bytes.iter().fold(hash, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    };
    for (path, t) in model.named() {
        add(format!("{path} {}", t.shape()).as_bytes());
        add(&first(&t, FIRST).try_value()?.to_bytes());
        count += t.size();
    }
    Ok(format!("{count} parameters, {hash:016x}"))
}

fn first(t: &Tensor, n: i64) -> Tensor {
    t.reshape([-1]).i(..n.min(t.size() as i64))
}
