//! What a program knows of its tensors, for those who show its graph.

use covector::Tensor;
use covector_trace::graph::Walk;
use covector_trace::{Notes, Source};

use crate::eval::Record;
use crate::program::{Checked, Program};

impl Program {
    /// Names, modules and lines of what a run made.
    pub fn notes(&self, record: &Record) -> Notes {
        let mut notes = Notes::default();
        let leaves: Vec<&Tensor> = record.made.iter().filter(|m| m.leaf.is_some()).flat_map(|m| &m.tensors).collect();
        let mut walk = Walk::new(leaves);
        for made in &record.made {
            let text = made.span.of(&self.text).split_whitespace().collect::<Vec<_>>().join(" ");
            let source = Source {
                file: self.name.clone(),
                line: made.span.line_and_column(&self.text).0 as u32,
                text: if made.leaf.is_some() { String::new() } else { text },
            };
            for (k, tensor) in made.tensors.iter().enumerate() {
                // A parameter by its whole path, which also says that it is one.
                let name = made.leaf.as_ref().map_or(made.name_of(k), |leaf| &leaf.name);
                if !name.is_empty() {
                    notes.name(tensor, name);
                }
            }
            // An op's inner steps stand where the op was called.
            for node in made.tensors.iter().chain(&made.tensors.iter().flat_map(|t| walk.fresh(t)).collect::<Vec<_>>())
            {
                notes.module(node, made.module.clone());
                notes.source(node, source.clone());
            }
        }
        notes
    }
}

impl Checked {
    /// The shapes of a run's tensors in symbols: of the first symbolic run, or of another of the same program.
    pub fn note_shapes(&self, record: &Record, notes: &mut Notes) {
        for (i, made) in record.made.iter().enumerate() {
            for (k, tensor) in made.tensors.iter().enumerate() {
                let shapes: Option<Vec<_>> =
                    self.records.iter().map(|r| r.made.get(i)?.tensors.get(k).map(Tensor::shape)).collect();
                let Some(shapes) = shapes.filter(|s| s.iter().all(|shape| shape.len() == tensor.ndim())) else {
                    continue;
                };
                let axis = |a: usize| {
                    let values: Vec<u64> = shapes.iter().map(|s| s[a] as u64).collect();
                    self.runs.fit(&values).map_or("?".to_owned(), |e| e.to_string())
                };
                let axes: Vec<String> = (0..tensor.ndim()).map(axis).collect();
                notes.shape(tensor, format!("[{}]", axes.join(", ")));
            }
        }
    }
}
