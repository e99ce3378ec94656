//! Arrays in several safetensors files, and the index that says which lies where.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path};

use serde::de::{self, MapAccess, Visitor};

use crate::error::{Fault, Format, shown};
use crate::{Error, Result, Safetensors, bytes, map_safetensors};

/// Indices beyond this size are refused, as headers of safetensors files are.
const LONGEST: u64 = 100_000_000;
/// How many names of each kind an error lists.
const MOST: usize = 12;
const HINT: &str = "fetch the folder again, all of its files from the same place";

/// The arrays of all files that an index lists, mapped as [`map_safetensors`](crate::map_safetensors) maps one.
///
/// The index is JSON with an object `weight_map` from names of arrays to names of files beside the index, as
/// `model.safetensors.index.json` of Hugging Face's layout. The metadata are those of all files, the first file's where
/// two have one key.
///
/// # Errors
/// If the index is not valid, has a name twice, or names a file that does not lie beside it; if files are missing or
/// malformed; if arrays are not in the file the index says, or in one the index does not say: all of them are named.
///
/// ```no_run
/// let weights = covector_io::map_shards("model.safetensors.index.json")?;
/// println!("{} arrays", weights.tensors.len());
/// # Ok::<(), covector_io::Error>(())
/// ```
/// Source: Hugging Face's `transformers`, sharded checkpoints.
pub fn map_shards(index: impl AsRef<Path>) -> Result<Safetensors> {
    let path = index.as_ref();
    let fail = |problem: String| Fault::new(problem, HINT).of_file(path, Format::Index);
    let places = read_index(path)?;
    let files: BTreeSet<&str> = places.values().map(String::as_str).collect();
    if let Some(file) = files.iter().find(|file| !is_plain(file)) {
        return Err(fail(format!("{} is no name of a file beside it", shown(file))));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let missing: Vec<&str> = files.iter().copied().filter(|file| !folder.join(file).is_file()).collect();
    if !missing.is_empty() {
        return Err(fail(format!("these files are not there: {}", listed(&missing))));
    }
    let mut all = Safetensors::default();
    let mut problems = Vec::new();
    for file in files {
        let found = map_safetensors(folder.join(file))?;
        for (key, value) in found.metadata {
            all.metadata.entry(key).or_insert(value);
        }
        for (name, array) in found.tensors {
            match places.get(&name) {
                Some(place) if place == file => drop(all.tensors.insert(name, array)),
                Some(place) => {
                    problems.push(format!("{} lies in {}, not in {}", shown(&name), shown(file), shown(place)));
                }
                None => problems.push(format!("{} lies in {}, and the index lacks it", shown(&name), shown(file))),
            }
        }
    }
    let absent = places.iter().filter(|(name, _)| !all.tensors.contains_key(*name));
    problems.extend(absent.map(|(name, file)| format!("{} is not in {}", shown(name), shown(file))));
    match problems.is_empty() {
        true => Ok(all),
        false => {
            let count = problems.len();
            let more = if count > MOST { format!("; and {} more", count - MOST) } else { String::new() };
            problems.truncate(MOST);
            Err(fail(format!("it does not agree with its files: {}{more}", problems.join("; "))))
        }
    }
}

fn listed(names: &[&str]) -> String {
    let more = if names.len() > MOST { format!(" and {} more", names.len() - MOST) } else { String::new() };
    names.iter().take(MOST).map(|name| shown(name)).collect::<Vec<_>>().join(", ") + &more
}

/// True for the name of a file in the same folder, whatever the system.
fn is_plain(name: &str) -> bool {
    let parts: Vec<Component> = Path::new(name).components().collect();
    matches!(parts[..], [Component::Normal(part)] if part == name) && !name.contains(['/', '\\', ':'])
}

/// Which array lies in which file.
fn read_index(path: &Path) -> Result<BTreeMap<String, String>> {
    let (file, len) = bytes::open(path)?;
    let fail = |problem: String| Fault::new(problem, HINT).of_file(path, Format::Index);
    if len > LONGEST {
        return Err(fail(format!("it has {len} bytes, at most {LONGEST} are read")));
    }
    let text = bytes::read_exactly(file, len).map_err(|source| Error::io(path, "read", source))?;
    let index: Index = serde_json::from_slice(&text).map_err(|e| fail(e.to_string()))?;
    match index.weight_map.0.is_empty() {
        true => Err(fail("its `weight_map` is empty".into())),
        false => Ok(index.weight_map.0),
    }
}

#[derive(serde::Deserialize)]
struct Index {
    weight_map: Places,
}

/// A map whose keys stand in it once.
struct Places(BTreeMap<String, String>);

impl<'de> de::Deserialize<'de> for Places {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Places;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object from names of arrays to names of files")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Places, M::Error> {
                let mut places = BTreeMap::new();
                while let Some((name, file)) = map.next_entry::<String, String>()? {
                    if places.insert(name.clone(), file).is_some() {
                        return Err(de::Error::custom(format!("{} stands in it twice", shown(&name))));
                    }
                }
                Ok(Places(places))
            }
        }
        deserializer.deserialize_map(Once)
    }
}
