//! What the writer of a program knows of its tensors and the graph does not.

use std::collections::HashMap;

use covector::{Tensor, Tree};

/// Names, modules and source lines of tensors, for whoever shows a graph.
///
/// A tensor without a note is shown by its number, in the module of nobody, at the line of its Rust caller.
/// ```
/// use covector::Tensor;
/// use covector_trace::Notes;
/// let x = Tensor::from([1.0, 2.0]);
/// let mut notes = Notes::default();
/// notes.name(&x, "x");
/// assert_eq!(notes.name_of(&x), Some("x"));
/// ```
#[derive(Clone, Default, Debug)]
pub struct Notes {
    names: HashMap<u64, String>,
    modules: HashMap<u64, Vec<String>>,
    sources: HashMap<u64, Source>,
    shapes: HashMap<u64, String>,
    symbolic: bool,
}

/// A place in a program's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The expression as it was written; empty if it is not known.
    pub text: String,
}

impl Notes {
    /// Names a tensor.
    pub fn name(&mut self, x: &Tensor, name: impl Into<String>) {
        self.names.insert(x.id(), name.into());
    }

    /// Names every leaf of a structure by its path: `blocks.0.weight`.
    pub fn names(&mut self, tree: &impl Tree) {
        for (path, x) in tree.named() {
            self.name(&x, path);
        }
    }

    /// Says which module made a tensor, from the outermost inwards: `["block.0", "attention"]`.
    pub fn module(&mut self, x: &Tensor, path: Vec<String>) {
        self.modules.insert(x.id(), path);
    }

    /// Says which text made a tensor.
    pub fn source(&mut self, x: &Tensor, source: Source) {
        self.sources.insert(x.id(), source);
    }

    /// Says the shape of a tensor in symbols: `[B, T, d]`.
    pub fn shape(&mut self, x: &Tensor, shape: impl Into<String>) {
        self.shapes.insert(x.id(), shape.into());
    }

    /// Says that sizes are symbols: the numbers that tensors and their shapes have stand for nothing, and are not shown.
    pub fn symbols_only(&mut self) {
        self.symbolic = true;
    }

    /// True if sizes are symbols.
    pub fn is_symbolic(&self) -> bool {
        self.symbolic
    }

    /// The dtype and shape of a tensor: in symbols where sizes are symbols, else in numbers.
    pub fn spec_of(&self, x: &Tensor) -> String {
        match (self.symbolic, self.shape_of(x)) {
            (true, Some(shape)) => format!("{}{shape}", x.dtype()),
            (true, None) => format!("{}[…]", x.dtype()),
            (false, _) => x.spec().to_string(),
        }
    }

    /// The shape of a tensor in symbols, if it is noted.
    pub fn shape_of(&self, x: &Tensor) -> Option<&str> {
        self.shapes.get(&x.id()).map(String::as_str)
    }

    /// The name of a tensor, if it has one.
    pub fn name_of(&self, x: &Tensor) -> Option<&str> {
        self.names.get(&x.id()).map(String::as_str)
    }

    /// The modules a tensor was made in, from the outermost inwards.
    pub fn module_of(&self, x: &Tensor) -> &[String] {
        self.modules.get(&x.id()).map_or(&[], Vec::as_slice)
    }

    /// True if its text was noted.
    pub(crate) fn is_sourced(&self, x: &Tensor) -> bool {
        self.sources.contains_key(&x.id())
    }

    /// The text that made a tensor: the one noted, or the line of the Rust caller.
    pub fn source_of(&self, x: &Tensor) -> Source {
        self.sources.get(&x.id()).cloned().unwrap_or_else(|| {
            let at = x.site().location;
            Source { file: at.file().to_owned(), line: at.line(), text: String::new() }
        })
    }
}
