//! Parts of a model: what is trained, what is frozen, what is shared, what a file holds of it.
//!
//! A part is a map from paths to tensors, which is a tree as the model is: it has gradients, optimisers and files of its
//! own, under the same names.
//!
//! ```
//! use covector::{Key, Tensor, value_and_grad};
//! use covector_nn::{Linear, parts::{put, select}};
//! let model = vec![Linear::new(&Key::new(0), 2, 2, true), Linear::new(&Key::new(1), 2, 1, true)];
//! // The first layer is frozen.
//! let trained = select(&model, |path, _| !path.starts_with("0."));
//! let x = Tensor::from([[1.0f32, 2.0]]);
//! let loss = |trained: &covector_nn::parts::Part| {
//!     let model = put(&model, trained).unwrap();
//!     model[1].forward(&model[0].forward(&x).tanh()).sum(..)
//! };
//! let (_, gradients) = value_and_grad(loss)(&trained);
//! assert_eq!(gradients.keys().collect::<Vec<_>>(), ["1.bias", "1.weight"]);
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};

use covector::{Error, Result, Tensor, Tree};

/// Some leaves of a model, by path.
pub type Part = BTreeMap<String, Tensor>;

/// The leaves for which `wanted` is true of path and value.
///
/// A tensor that stands at several places of the model (a tied weight; a clone is the same tensor) is taken once, under
/// its first path, which `wanted` is asked about.
pub fn select<T: Tree>(model: &T, wanted: impl Fn(&str, &Tensor) -> bool) -> Part {
    let mut seen = HashSet::new();
    let first = model.named().into_iter().filter(|(_, t)| seen.insert(t.id()));
    first.filter(|(path, t)| wanted(path, t)).collect()
}

/// The model with these leaves replaced, each wherever its tensor stands: what was tied stays tied.
///
/// So the gradient of a function of the part adds up what arrives at all places.
///
/// # Errors
/// If the model lacks a path, or has another shape there; all such paths are named.
pub fn put<T: Tree>(model: &T, part: &Part) -> Result<T> {
    let mut new: HashMap<u64, &Tensor> = HashMap::new();
    let mut problems = Vec::new();
    let mut left: HashSet<&str> = part.keys().map(String::as_str).collect();
    for (path, old) in model.named() {
        let Some(t) = part.get(&path) else { continue };
        left.remove(path.as_str());
        if t.shape() != old.shape() {
            problems.push(format!("`{path}` is {}, not {}", t.shape(), old.shape()));
        }
        new.insert(old.id(), t);
    }
    problems.extend(part.keys().filter(|path| left.contains(path.as_str())).map(|p| format!("`{p}` is no part of it")));
    if !problems.is_empty() {
        return Err(Error::new(format!("these leaves do not fit the model: {}", problems.join(", "))));
    }
    Ok(model.map_leaves(|t| new.get(&t.id()).map_or_else(|| t.clone(), |&new| new.clone())))
}

/// Whether a path fits a pattern, in which `*` stands for any characters, or none.
///
/// ```
/// use covector_nn::parts::fits;
/// assert!(fits("h.*.attn.*", "h.10.attn.c_proj.weight") && fits("w*e.weight", "wte.weight"));
/// assert!(!fits("h.1.*", "h.10.ln_1.bias") && !fits("ln_f", "ln_f.bias"));
/// ```
pub fn fits(pattern: &str, path: &str) -> bool {
    let Some((front, rest)) = pattern.split_once('*') else { return pattern == path };
    let Some(mut left) = path.strip_prefix(front) else { return false };
    // Each part between two stars may stand at its first place: what follows has most room there.
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.split_once(part) {
            Some((_, behind)) => left = behind,
            None => return false,
        }
    }
    left.ends_with(last)
}

/// The leaves of a model as lines of path, dtype and shape, and their number of elements at the end; shared ones once.
///
/// ```
/// use covector::Key;
/// let layer = covector_nn::Linear::new(&Key::new(0), 3, 2, false);
/// assert_eq!(covector_nn::parts::listed(&layer), "weight  f32[2, 3]\n6 elements\n");
/// ```
pub fn listed<T: Tree>(model: &T) -> String {
    let mut first: HashMap<u64, String> = HashMap::new();
    let (mut text, mut elements) = (String::new(), 0);
    let named = model.named();
    let width = named.iter().map(|(path, _)| path.len()).max().unwrap_or(0);
    for (path, t) in named {
        let tied = match first.get(&t.id()) {
            Some(other) => format!("  as {other}"),
            None => String::new(),
        };
        text += &format!("{path:width$}  {}{tied}\n", t.spec());
        if tied.is_empty() {
            elements += t.size();
            first.insert(t.id(), path);
        }
    }
    text + &format!("{elements} elements\n")
}
