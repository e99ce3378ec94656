//! A model's folder: configuration, weights in one file or several, tokenizer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use covector::{Error, Result, Tensor, Tree};
use covector_io::{Safetensors, map_safetensors, map_shards};
use covector_nn::file::Contents;
use covector_nn::parts::put;
use serde::de::DeserializeOwned;
use tokenizers::Tokenizer;

/// A folder as `save_pretrained` writes it.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// How many names of each kind an error lists.
const MOST: usize = 12;

impl Folder {
    /// The folder at this path.
    ///
    /// # Errors
    /// If there is none, or it has no `config.json`.
    pub fn open(path: impl AsRef<Path>) -> Result<Folder> {
        let folder = Folder(path.as_ref().to_owned());
        match folder.path("config.json").is_file() {
            true => Ok(folder),
            false => Err(Error::new(format!("{}: there is no config.json", folder.0.display()))
                .hint("a model's folder holds config.json, model.safetensors and tokenizer.json")),
        }
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A JSON file in it; fields that are not asked for are passed over.
    ///
    /// # Errors
    /// If it cannot be read or lacks a field.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.path(name);
        let fail = |problem: String| Error::new(format!("{}: {problem}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|e| fail(format!("cannot read: {e}")))?;
        serde_json::from_str(&text).map_err(|e| fail(e.to_string()))
    }

    /// The tokenizer of `tokenizer.json`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let path = self.path("tokenizer.json");
        if !path.is_file() {
            return Err(Error::new(format!("{}: there is no tokenizer.json", self.0.display()))
                .hint("`AutoTokenizer.from_pretrained(..).save_pretrained(FOLDER)` of transformers writes one"));
        }
        Tokenizer::from_file(&path).map_err(|e| Error::new(format!("{}: {e}", path.display())))
    }

    /// The weights: `model.safetensors`, or the files that `model.safetensors.index.json` lists, through memory maps.
    ///
    /// Opening takes next to no memory; the files should stay as they are while the weights are in use
    /// ([`covector_io::map_safetensors`] says why).
    ///
    /// # Errors
    /// If a file is missing or malformed, or files and index do not agree.
    pub fn weights(&self) -> Result<Contents> {
        let [single, index] = ["model.safetensors", "model.safetensors.index.json"].map(|name| self.path(name));
        let found = match (single.is_file(), index.is_file()) {
            (true, _) => map_safetensors(single),
            (false, true) => map_shards(index),
            (false, false) => {
                let problem = format!("{}: there is no model.safetensors", self.0.display());
                return Err(
                    Error::new(problem).hint("weights of another format are not read: save them as safetensors")
                );
            }
        };
        let Safetensors { tensors, metadata } = found.map_err(|e| Error::new(e.to_string()))?;
        let tensors = tensors.into_iter().map(|(name, array)| (name, Tensor::from_array(array))).collect();
        Ok(Contents { name: self.0.display().to_string(), tensors, metadata })
    }
}

/// Fails unless the embedding has the sizes of the configuration: nothing is made room for on the word of a configuration.
pub(crate) fn agree(weights: &Contents, embedding: &str, sizes: [usize; 2], layers: usize) -> Result<()> {
    let found = weights.tensor(embedding)?.spec();
    if found.shape[..] != sizes {
        return Err(weights.error(format!("config.json says {sizes:?} for `{embedding}`, which is {found}")));
    }
    match layers > weights.tensors.len() {
        true => {
            Err(weights
                .error(format!("config.json says {layers} layers, and there are {} arrays", weights.tensors.len())))
        }
        false => Ok(()),
    }
}

/// Fails if a configuration has sizes of 0, or a width that does not divide into its heads.
pub(crate) fn divides(folder: &Folder, what: &str, whole: usize, parts: &str, by: usize) -> Result<()> {
    if by == 0 || whole == 0 || !whole.is_multiple_of(by) {
        let path = folder.path("config.json");
        return Err(Error::new(format!("{}: {what} {whole} does not divide into {parts} {by}", path.display())));
    }
    Ok(())
}

/// The same arrays under names without this prefix; those without it stay as they are.
pub fn without_prefix(weights: Contents, prefix: &str) -> Contents {
    let short = |name: String| name.strip_prefix(prefix).map_or(name.clone(), str::to_owned);
    Contents { tensors: weights.tensors.into_iter().map(|(name, t)| (short(name), t)).collect(), ..weights }
}

/// The structure of `like` filled with all of these arrays, each in the dtype of its place.
///
/// Arrays that `ignored` names may be there and are passed over.
/// # Errors
/// Lists all arrays that are missing, do not fit, or have no place.
pub fn fill<T: Tree>(weights: &Contents, like: &T, ignored: impl Fn(&str) -> bool) -> Result<T> {
    let matched = weights.matched(like, str::to_owned);
    let specs: BTreeMap<String, String> = like.named().into_iter().map(|(p, t)| (p, t.spec().to_string())).collect();
    let missing: Vec<String> = matched.missing.iter().map(|path| format!("{path} {}", specs[path])).collect();
    let surplus = matched.unexpected.iter().filter(|name| !ignored(name));
    let surplus: Vec<String> = surplus.map(|name| format!("{name} {}", weights.tensors[name].spec())).collect();
    let listed = |what: &str, names: &[String]| {
        let shown = names.iter().take(MOST).map(|name| format!("\n    {name}")).collect::<String>();
        let more = names.len().saturating_sub(MOST);
        let more = if more > 0 { format!("\n    and {more} more") } else { String::new() };
        if names.is_empty() { String::new() } else { format!("\n  {what}:{shown}{more}") }
    };
    let wrong = listed("missing", &missing)
        + &listed("of another shape", &matched.different)
        + &listed("without a place", &surplus);
    match wrong.is_empty() {
        true => put(like, &matched.found),
        false => Err(weights.error(format!("the weights do not fit the model{wrong}"))),
    }
}
