//! Commands about programs of the tensor language.

pub mod ask;
pub mod cost;
pub mod eval;
pub mod grad;
pub mod graph;
pub mod ops;
pub mod trace;

use std::io::{Read, Write};
use std::path::Path;

use covector::ops::create::zeros_like;
use covector::{Explanation, Tensor, Tree};
use covector_lang::{Checked, Differentiated, Inputs, MODELS, Model, Program, hollow, nearest};
use covector_nn::AdamW;
use covector_trace::table::{self, Kind, Trace, grouped};

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
        } else if is_word(what) && !inputs.tensors.contains_key(what) {
            let names: Vec<&str> = MODELS.iter().map(|m| m.name).collect();
            let meant = nearest(what, names.iter().copied()).map_or(String::new(), |m| format!(" (`{m}` is one)"));
            let problem = format!("`{what}` is no file, no name that was given, and no built-in model{meant}");
            return Err(Failure::Outside(format!("{problem}; built in are {}", names.join(", "))));
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

/// What a command that prints JSON ends with: a program that is wrong is JSON too, on standard output.
pub fn reported(json: bool, end: Result<(), Failure>) -> Result<(), Failure> {
    match end {
        Err(Failure::Program(report)) if json => {
            writeln!(std::io::stdout(), "{:#}", serde_json::json!({ "error": report.json() }))?;
            Err(Failure::Said)
        }
        end => end,
    }
}

/// A program that was traced, with the step of an optimiser.
pub struct Traced {
    pub checked: Checked,
    pub trace: Trace,
    /// The run with numbers and its gradients, if all sizes have one.
    pub both: Option<Differentiated>,
    /// The plan of a step of AdamW on what the program learns, if it learns anything.
    optimiser: Option<Explanation>,
}

impl Loaded {
    /// Checks the program and makes its table; computes nothing.
    pub fn traced(&self) -> Result<Traced, Failure> {
        let checked = self.program.check(&self.inputs.numbers)?;
        let trace = self.program.traced(&checked, &self.inputs.numbers);
        let run = checked.concrete.as_ref();
        let both = run.and_then(|record| self.program.differentiate(record, &[], &|leaf| Ok(hollow(leaf))).ok());
        let optimiser = both.as_ref().and_then(step);
        Ok(Traced { checked, trace, both, optimiser })
    }
}

impl Traced {
    /// The table and its totals.
    pub fn json(&self) -> serde_json::Value {
        let mut json = self.trace.json();
        json["totals"]["optimiser_flops"] = serde_json::json!(self.optimiser.as_ref().map(Explanation::flops));
        json
    }

    /// The totals in words, the optimiser's last.
    pub fn totals(&self) -> String {
        let mut text = self.trace.summary_text();
        if let Some(plan) = &self.optimiser {
            let parameters = self.trace.rows.iter().filter(|r| r.kind == Kind::Parameter);
            let bytes: u64 = parameters.filter_map(|r| Some(r.size.number? * r.dtype.size() as u64)).sum();
            let moments = table::bytes(2 * bytes);
            text.push_str(&format!("AdamW       {} FLOPs, {moments} for its two moments\n", grouped(plan.flops())));
        }
        text
    }
}

/// The plan of a step of AdamW.
fn step(both: &Differentiated) -> Option<Explanation> {
    let learnt = both.tensors.iter().zip(&both.leaves).filter(|(_, leaf)| leaf.param);
    let parameters: Vec<Tensor> = learnt.map(|(t, _)| zeros_like(t)).collect();
    if parameters.is_empty() {
        return None;
    }
    let adam = AdamW::default();
    let (next, moments) = adam.step(&parameters, &parameters, adam.start(&parameters), 1e-3, |_, _| true);
    Some(covector::explain(next.iter().chain(&moments.leaves())))
}

/// True for a single word, such as the name of a model.
fn is_word(text: &str) -> bool {
    text.starts_with(char::is_alphabetic) && text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
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

/// The numbers of a tensor as nested JSON lists; a complex number is a list of its two parts.
pub fn json(tensor: &Tensor) -> Result<serde_json::Value, Failure> {
    let value = tensor.try_value()?.parts();
    let values = value.to_f64_vec();
    let number = |x: &f64| match tensor.dtype().is_inexact() {
        // What JSON has no number for is a text.
        true if !x.is_finite() => serde_json::json!(x.to_string()),
        true => serde_json::json!(x),
        false => serde_json::json!(*x as i64),
    };
    let mut level: Vec<serde_json::Value> = values.iter().map(number).collect();
    for &size in value.shape().iter().rev() {
        level = match size {
            0 => Vec::new(),
            _ => level.chunks(size).map(|row| serde_json::Value::Array(row.to_vec())).collect(),
        };
    }
    Ok(level.into_iter().next().unwrap_or_else(|| serde_json::json!([])))
}
