//! The list of every public op, with all that is derived from it: methods, docs, dynamic calls, the test matrix.
//!
//! `#[op]` on a function makes its record; `op_list!` at the end of its file hands it to [`all`].

mod args;
pub mod sample;

use std::panic::Location;

pub use args::{Arg, Args, FromArg, Outputs};

use crate::site;
use crate::{Described, Result, Tensor};

/// One public op.
pub struct OpDef {
    /// Its name in the registry, as in the Array API, NumPy or PyTorch.
    pub name: &'static str,
    /// The docstring.
    pub doc: &'static str,
    /// The module it lives in; its last part is the op's family.
    pub module: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The line in the source file.
    pub line: u32,
    /// The parameters in order.
    pub params: &'static [Param],
    /// The Rust type of the result.
    pub outputs: &'static str,
    /// What the test matrix must know: see [`OpDef::note`].
    pub notes: &'static str,
    /// Calls the op with dynamic arguments.
    pub call: fn(&mut Args) -> Result<Vec<Tensor>>,
    /// Arguments the test matrix calls the op with.
    pub samples: fn() -> Vec<Sample>,
}

impl std::fmt::Debug for OpDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A parameter of an op.
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its Rust type, without references and options.
    pub kind: &'static str,
    /// True if it may be absent.
    pub optional: bool,
}

/// One set of arguments to test an op with.
#[derive(Clone)]
pub struct Sample {
    /// The arguments in the order of the parameters.
    pub args: Vec<Arg>,
}

impl Sample {
    /// A sample with these arguments.
    pub fn new(args: Vec<Arg>) -> Self {
        Sample { args }
    }
}

impl OpDef {
    /// The family: the last part of the module path.
    pub fn family(&self) -> &'static str {
        self.module.rsplit("::").next().unwrap_or(self.module)
    }

    /// The value of `key` in the notes, which read `key=value; key=value`.
    ///
    /// Keys: `derivative` (why there is none), `vmap` (a bound on the difference from a loop where it is not 0), `rule` (the
    /// cotangents of a composite's operands for people, `|` between them).
    pub fn note(&self, key: &str) -> Option<&'static str> {
        self.notes
            .split(';')
            .filter_map(|n| n.trim().split_once('='))
            .find(|(k, _)| k.trim() == key)
            .map(|(_, v)| v.trim())
    }

    /// Calls the op with these arguments, in the order of the parameters.
    ///
    /// # Errors
    /// The op's own, and a clear one if an argument is missing, unknown or of the wrong kind.
    #[track_caller]
    pub fn apply(&'static self, args: Vec<Arg>) -> Result<Vec<Tensor>> {
        (self.call)(&mut Args::positional(self, args)?)
    }
}

/// Every public op, by family.
pub fn all() -> impl Iterator<Item = &'static OpDef> {
    crate::ops::FAMILIES.iter().flat_map(|family| family.iter().copied())
}

/// The op of this name.
pub fn find(name: &str) -> Option<&'static OpDef> {
    all().find(|op| op.name == name)
}

/// Runs an op's body: nodes made inside point at `site`, and so do errors.
///
/// # Errors
/// Those of the body, completed with the op's name, its operands and the line.
pub fn enter<R>(
    op: &'static OpDef,
    site: &'static Location<'static>,
    operands: impl Fn(&mut Vec<Described>),
    body: impl FnOnce() -> Result<R>,
) -> Result<R> {
    site::call(op.name, site, operands, body)
}
