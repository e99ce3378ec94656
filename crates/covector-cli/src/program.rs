//! Commands about programs of the tensor language.

pub mod ask;
pub mod cost;
pub mod eval;
pub mod grad;
pub mod graph;
pub mod ops;
pub mod trace;

use std::io::Read;
use std::path::Path;

use covector::Tensor;
use covector_lang::{Inputs, Model, Program};

use crate::Failure;
use crate::args::Source;

/// A program and what it was given.
pub struct Loaded {
    pub program: Program,
    pub inputs: Inputs,
    /// True if the program is an expression from the command line, whose names are what was given.
    pub expression: bool,
}

impl Source {
    /// Reads the program and the values.
    pub fn load(&self, seed: u64) -> Result<Loaded, Failure> {
        let mut inputs = Inputs { seed, ..Inputs::default() };
        for text in &self.values {
            let (name, value) = binding(text)?;
            match value.strip_prefix('@') {
                Some(path) => {
                    inputs.give(name, array(path)?);
                }
                None => inputs.set(name, value)?,
            }
        }
        let what = self.program.as_str();
        let (name, text, expression) = if what == "-" {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| Failure::Outside(format!("cannot read standard input: {e}")))?;
            ("standard input", text, false)
        } else if Path::new(what).is_file() {
            let text =
                std::fs::read_to_string(what).map_err(|e| Failure::Outside(format!("cannot read {what}: {e}")))?;
            (what, text, false)
        } else if let Some(model) = Model::find(what) {
            for (name, number) in model.numbers() {
                inputs.numbers.entry(name).or_insert(number);
            }
            (what, model.text.to_owned(), false)
        } else if what.ends_with(".cv") {
            return Err(Failure::Outside(format!("there is no file {what}")));
        } else {
            ("expression", what.to_owned(), true)
        };
        let mut program = Program::parse(name, &text)?;
        if expression {
            program = program.given(inputs.specs());
        }
        Ok(Loaded { program, inputs, expression })
    }
}

/// `name=value` in its two parts.
pub fn binding(text: &str) -> Result<(&str, &str), Failure> {
    let is_name = |name: &str| {
        let mut chars = name.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '.')
    };
    match text.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
        Some((name, value)) if is_name(name) && !value.is_empty() => Ok((name, value)),
        _ => Err(Failure::Usage(format!("`{text}` is not of the form name=value"))),
    }
}

/// The array in an npy file, or the one named behind a colon in an npz file (`data.npz:x`).
fn array(path: &str) -> Result<Tensor, Failure> {
    let failed = |e: covector_io::Error| Failure::Outside(e.to_string());
    if let Some((file, name)) = path.rsplit_once(".npz:") {
        let file = format!("{file}.npz");
        let mut arrays = covector_io::load_npz(&file).map_err(failed)?;
        return match arrays.remove(name) {
            Some(array) => Ok(Tensor::from(array)),
            None => {
                let names: Vec<&str> = arrays.keys().map(String::as_str).collect();
                Err(Failure::Outside(format!("{file} has no array `{name}`; there are: {}", names.join(", "))))
            }
        };
    }
    covector_io::load_npy(path).map(Tensor::from).map_err(failed)
}

/// The numbers of a tensor as nested JSON lists.
pub fn json(tensor: &Tensor) -> Result<serde_json::Value, Failure> {
    let values = tensor.try_value()?.to_f64_vec();
    let number = |x: &f64| match tensor.dtype().is_float() {
        // What JSON has no number for is a text.
        true if !x.is_finite() => serde_json::json!(x.to_string()),
        true => serde_json::json!(x),
        false => serde_json::json!(*x as i64),
    };
    let mut level: Vec<serde_json::Value> = values.iter().map(number).collect();
    for &size in tensor.shape().iter().rev() {
        level = match size {
            0 => Vec::new(),
            _ => level.chunks(size).map(|row| serde_json::Value::Array(row.to_vec())).collect(),
        };
    }
    Ok(level.into_iter().next().unwrap_or_else(|| serde_json::json!([])))
}
