//! Trees of tensors in safetensors files, each leaf under its path.

use std::collections::BTreeMap;
use std::path::Path;

use covector::{Error, Result, Tensor, Tree};
use covector_io::{load_safetensors, save_safetensors};

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
/// let (loaded, _) = file::load(&path, |_| Ok(Linear::new(&Key::new(1), 3, 2, true))).unwrap();
/// assert_eq!(loaded.weight.to_vec::<f32>(), layer.weight.to_vec::<f32>());
/// # std::fs::remove_dir_all(&folder).unwrap();
/// ```
pub fn save<T: Tree>(path: impl AsRef<Path>, tree: &T, metadata: &BTreeMap<String, String>) -> Result<()> {
    covector::try_eval(&tree.leaves())?;
    let arrays = tree.named().into_iter().map(|(path, t)| Ok((path, t.try_value()?))).collect::<Result<Vec<_>>>()?;
    save_safetensors(path, &arrays, metadata).map_err(plain)
}

/// Reads a file into the structure that `like` makes from its metadata; gives both.
///
/// # Errors
/// If the file cannot be read, `like` refuses the metadata, or the file has not exactly the structure's leaves with their
/// shapes and dtypes.
pub fn load<T: Tree>(
    path: impl AsRef<Path>,
    like: impl FnOnce(&BTreeMap<String, String>) -> Result<T>,
) -> Result<(T, BTreeMap<String, String>)> {
    let name = path.as_ref().display().to_string();
    let file = load_safetensors(path).map_err(plain)?;
    let like = like(&file.metadata)?;
    let mut arrays = file.tensors;
    let leaf = |(path, wanted): (String, Tensor)| {
        let array = arrays.remove(&path).ok_or_else(|| Error::new(format!("{name}: no array `{path}`")))?;
        let tensor = Tensor::from_array(array);
        if tensor.spec() == wanted.spec() {
            return Ok(tensor);
        }
        Err(Error::new(format!("{name}: array `{path}` is {}, not {}", tensor.spec(), wanted.spec())))
    };
    let leaves: Vec<Tensor> = like.named().into_iter().map(leaf).collect::<Result<_>>()?;
    match arrays.keys().next() {
        Some(more) => Err(Error::new(format!("{name}: array `{more}` belongs to nothing in the model"))),
        None => Ok((like.with_leaves(leaves), file.metadata)),
    }
}

fn plain(e: covector_io::Error) -> Error {
    Error::new(e.to_string())
}
