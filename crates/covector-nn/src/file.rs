//! Trees of tensors in safetensors files, each leaf under its path.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use covector::{Error, Result, Tensor, Tree};
use covector_io::{load_safetensors, save_safetensors};

use crate::parts::{Part, put};

/// Writes every leaf under its path, and the metadata, atomically: the file is complete or as it was before.
///
/// # Errors
/// If a value cannot be computed, two leaves have one path, or the file cannot be written.
///
/// ```
/// use covector::{Key, Tensor, Tree};
/// use covector_nn::{Linear, file};
/// # let folder = std::env::temp_dir().join(format!("covector-nn-file-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let path = folder.join("layer.safetensors");
/// let layer = Linear::new(&Key::new(0), 3, 2, true);
/// file::save(&path, &layer, &Default::default()).unwrap();
/// let loaded = file::load(&path).unwrap().fill(&Linear::new(&Key::new(1), 3, 2, true)).unwrap();
/// assert_eq!(loaded.weight.to_vec::<f32>(), layer.weight.to_vec::<f32>());
/// # std::fs::remove_dir_all(&folder).unwrap();
/// ```
pub fn save<T: Tree>(path: impl AsRef<Path>, tree: &T, metadata: &BTreeMap<String, String>) -> Result<()> {
    covector::try_eval(&tree.leaves())?;
    let arrays = tree.named().into_iter().map(|(path, t)| Ok((path, t.try_value()?))).collect::<Result<Vec<_>>>()?;
    save_safetensors(path, &arrays, metadata).map_err(plain)
}

/// Reads a file.
///
/// # Errors
/// If it cannot be read or is malformed.
pub fn load(path: impl AsRef<Path>) -> Result<Contents> {
    let name = path.as_ref().display().to_string();
    let file = load_safetensors(path).map_err(plain)?;
    let tensors = file.tensors.into_iter().map(|(path, array)| (path, Tensor::from_array(array))).collect();
    Ok(Contents { name, tensors, metadata: file.metadata })
}

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The file, for errors.
    pub name: String,
    /// The tensors by path.
    pub tensors: BTreeMap<String, Tensor>,
    /// Free text by key.
    pub metadata: BTreeMap<String, String>,
}

/// How the arrays of a file and the places of a tree go together.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The arrays that have a place, by its path and in its dtype.
    pub found: Part,
    /// The paths for which there is no array.
    pub missing: Vec<String>,
    /// The arrays of another shape than their place, or of which only one is of floats, with both.
    pub different: Vec<String>,
    /// The arrays without a place.
    pub unexpected: Vec<String>,
}

/// What a file had of a tree.
#[derive(Clone, Debug)]
pub struct Known<T> {
    /// The tree with what the file had.
    pub tree: T,
    /// The paths of the tree that it did not have.
    pub missing: Vec<String>,
    /// The names in the file that belong to nothing in the tree.
    pub unexpected: Vec<String>,
}

impl Contents {
    /// The tensors in the structure of `like`, whose values do not matter and are not computed.
    ///
    /// # Errors
    /// If the file has not exactly the leaves of `like`, with their shapes and dtypes.
    pub fn fill<T: Tree>(&self, like: &T) -> Result<T> {
        let wanted = like.named();
        let leaf = |(path, wanted): &(String, Tensor)| {
            let tensor = self.tensor(path)?;
            if tensor.spec() == wanted.spec() {
                return Ok(tensor.clone());
            }
            Err(self.error(format!("array `{path}` is {}, not {}", tensor.spec(), wanted.spec())))
        };
        let leaves: Vec<Tensor> = wanted.iter().map(leaf).collect::<Result<_>>()?;
        match self.tensors.keys().find(|path| !wanted.iter().any(|(known, _)| known == *path)) {
            Some(more) => Err(self.error(format!("array `{more}` belongs to nothing in the model"))),
            None => Ok(like.with_leaves(leaves)),
        }
    }

    /// What the file has of `like`: the tree, and what it lacks and has besides. `name` says under which name the file has a
    /// path, for files of others.
    ///
    /// Floats are cast to the dtypes of `like`; its other leaves stay. What is tied in `like` stays tied, and needs one name.
    ///
    /// ```
    /// use covector::Key;
    /// use covector_nn::{Linear, file, parts::select};
    /// # let folder = std::env::temp_dir().join(format!("covector-nn-part-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let path = folder.join("weight.safetensors");
    /// let layer = Linear::new(&Key::new(0), 3, 2, true);
    /// file::save(&path, &select(&layer, |path, _| path == "weight"), &Default::default()).unwrap();
    /// let some = file::load(&path).unwrap().fill_known(&Linear::new(&Key::new(1), 3, 2, true), str::to_owned).unwrap();
    /// assert_eq!(some.tree.weight.to_vec::<f32>(), layer.weight.to_vec::<f32>());
    /// assert_eq!((some.missing, some.unexpected), (vec!["bias".to_owned()], vec![]));
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// ```
    ///
    /// # Errors
    /// If a leaf has another shape in the file, or only one of both is float; all such leaves are named.
    pub fn fill_known<T: Tree>(&self, like: &T, name: impl Fn(&str) -> String) -> Result<Known<T>> {
        let Matched { found, missing, different, unexpected } = self.matched(like, name);
        match different.is_empty() {
            true => Ok(Known { tree: put(like, &found)?, missing, unexpected }),
            false => Err(self.error(format!("these arrays do not fit: {}", different.join(", ")))),
        }
    }

    /// Which arrays of the file find a place in `like`, as [`fill_known`](Self::fill_known) puts them there, and which not.
    pub fn matched<T: Tree>(&self, like: &T, name: impl Fn(&str) -> String) -> Matched {
        let (mut found, mut ids, mut used) = (Part::new(), HashSet::new(), HashSet::new());
        let (named, mut different) = (like.named(), Vec::new());
        for (path, wanted) in &named {
            let name = name(path);
            let Some(t) = self.tensors.get(&name) else { continue };
            if t.shape() != wanted.shape() || t.dtype().is_float() != wanted.dtype().is_float() {
                different.push(format!("`{name}` is {}, not {}", t.spec(), wanted.spec()));
            }
            found.insert(path.clone(), t.cast(wanted.dtype()));
            ids.insert(wanted.id());
            used.insert(name);
        }
        let missing = named.into_iter().filter(|(_, t)| !ids.contains(&t.id())).map(|(path, _)| path).collect();
        let unexpected = self.tensors.keys().filter(|&name| !used.contains(name)).cloned().collect();
        Matched { found, missing, different, unexpected }
    }

    /// The tensor of this path.
    ///
    /// # Errors
    /// If there is none.
    pub fn tensor(&self, path: &str) -> Result<&Tensor> {
        self.tensors.get(path).ok_or_else(|| self.error(format!("there is no array `{path}`")))
    }

    /// An error about this file.
    pub fn error(&self, problem: impl std::fmt::Display) -> Error {
        Error::new(format!("{}: {problem}", self.name))
    }
}

fn plain(e: covector_io::Error) -> Error {
    Error::new(e.to_string())
}
