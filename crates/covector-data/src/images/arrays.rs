//! Images as arrays in npz files.

use std::collections::BTreeMap;
use std::path::Path;

use covector::{Array, DType, Tensor};

use super::Images;
use crate::error::shown;
use crate::{Error, Result};

/// What arrays of images and of labels are called.
const IMAGES: [&str; 5] = ["x", "images", "x_train", "train_images", "data"];
const LABELS: [&str; 6] = ["y", "labels", "y_train", "train_labels", "targets", "label"];

impl Images {
    /// Reads an npz file with an array of images (`x`, `images`, `x_train`, `train_images` or `data`) and one of labels
    /// (`y`, `labels`, `y_train`, `train_labels`, `targets` or `label`).
    ///
    /// Images: `[n, height, width]`, `[n, height, width, channels]` or `[n, channels, height, width]`, with 1 or 3 channels;
    /// u8 from 0 to 255, or floats from 0 to 1. Labels: integers from 0 on, `[n]` or `[n, 1]`.
    ///
    /// # Errors
    /// If the file cannot be read, an array is missing or of another shape or dtype, numbers differ, or a value is beyond
    /// what it may be: each with the array.
    pub fn npz(path: impl AsRef<Path>) -> Result<Images> {
        let path = path.as_ref();
        let arrays = covector_io::load_npz(path)?;
        let (image_name, pixels) = named(path, &arrays, &IMAGES, "images")?;
        let (label_name, labels) = named(path, &arrays, &LABELS, "labels")?;
        let pixels = laid_out(pixels).map_err(|problem| array_error(path, image_name, problem))?;
        let labels = whole(labels).map_err(|problem| array_error(path, label_name, problem))?;
        let n = pixels.shape()[0];
        if labels.len() != n {
            let problem = format!("{n} images in {} and {} labels here", shown(image_name), labels.len());
            return Err(array_error(path, label_name, problem));
        }
        if n == 0 {
            return Err(array_error(path, image_name, "there are no images".into()));
        }
        let most = labels.iter().max().copied().unwrap_or_default();
        if most == 0 || most as usize >= 10_000.min(n.max(2)) {
            let problem =
                format!("the largest label is {most}, with {n} images: labels are the numbers of classes from 0 on");
            return Err(array_error(path, label_name, problem));
        }
        let missing = (0..=most).find(|class| !labels.contains(class));
        if let Some(class) = missing {
            return Err(array_error(path, label_name, format!("no image has the label {class}")));
        }
        let classes = (0..=most).map(|class| class.to_string()).collect();
        let names = (0..n).map(|i| format!("{}[{i}]", path.display())).collect();
        Ok(Images { pixels, labels: Tensor::from(labels), classes, names })
    }
}

fn array_error(path: &Path, name: &str, problem: String) -> Error {
    Error::at(path, format!("array {}: {problem}", shown(name)))
}

fn named<'a>(
    path: &Path,
    arrays: &'a BTreeMap<String, Array>,
    known: &[&'static str],
    what: &str,
) -> Result<(&'static str, &'a Array)> {
    let found = known.iter().find_map(|name| arrays.get(*name).map(|array| (*name, array)));
    found.ok_or_else(|| {
        let names: Vec<String> = arrays.keys().map(|name| shown(name)).collect();
        let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        let hint = format!("{what} are called {}", known.join(", "));
        Error::at(path, format!("there is no array of {what}, only {there}")).hint(hint)
    })
}

/// Images as `[n, channels, height, width]`, in u8 or f32.
pub(crate) fn laid_out(array: &Array) -> Result<Tensor, String> {
    let x = Tensor::from_array(array.clone());
    let x = match x.shape()[..] {
        [_, _, _] => x.unsqueeze(1),
        [_, _, _, 1 | 3] => x.permute_dims([0, 3, 1, 2]),
        [_, 1 | 3, _, _] => x,
        _ => {
            let shapes = "[n, height, width], [n, height, width, channels] or [n, channels, height, width]";
            return Err(format!("images are {shapes} with 1 or 3 channels, not {}", x.spec()));
        }
    };
    if x.shape()[1..].contains(&0) {
        return Err(format!("images of {} have no pixels", x.spec()));
    }
    if x.dtype() == DType::U8 {
        return Ok(x);
    }
    if !x.dtype().is_float() {
        return Err(format!("images are u8 or floats, not {}", x.dtype()));
    }
    let x = x.cast(DType::F32);
    let outside = x.to_vec::<f32>().into_iter().find(|v| !(0.0..=1.0).contains(v));
    match outside {
        Some(value) => Err(format!("there is a {value}, and floats are from 0 to 1: divide by 255, or save as u8")),
        None => Ok(x),
    }
}

fn whole(array: &Array) -> Result<Vec<i64>, String> {
    let x = Tensor::from_array(array.clone());
    if !x.dtype().is_int() || !matches!(x.shape()[..], [_] | [_, 1]) {
        return Err(format!("labels are integers, [n], not {}", x.spec()));
    }
    let labels = x.cast(DType::I64).to_vec::<i64>();
    match labels.iter().find(|&&label| label < 0) {
        Some(label) => Err(format!("there is a label {label}, and they count from 0")),
        None => Ok(labels),
    }
}
