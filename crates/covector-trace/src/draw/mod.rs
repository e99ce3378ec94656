//! Pictures of a computational graph: in the terminal, as Mermaid, DOT, SVG, and as one HTML page that opens from disk.
//!
//! Values flow from left to right, gradients come back dotted. Modules are boxes that are opened and closed; what repeats is
//! drawn once. The layout is our own and deterministic: the same program gives the same bytes.

mod build;
mod diff;
mod html;
mod layout;
mod modules;
mod rails;
mod scene;
mod state;
mod summary;
mod svg;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod write;

use std::cell::RefCell;

use covector::draw::Drawing;
use covector::{Result, Tree};

use crate::Notes;
pub use diff::diff;
use layout::Plan;
use modules::Module;
pub use terminal::Look;

/// What of a graph is drawn.
#[derive(Clone, Debug)]
pub struct Options {
    /// Draws the gradient of every step, coming back along dotted arrows.
    pub gradients: bool,
    /// Computes the numbers that are not known yet, those of gradients too, in order to show them.
    pub values: bool,
    /// Draws the ops the user called; else their primitives.
    pub ops: bool,
    /// How many boxes a still picture has at most, if closing modules can achieve it.
    pub boxes: usize,
    /// How many levels of modules stand open; `None` for as many as `boxes` allows.
    pub depth: Option<usize>,
}

impl Default for Options {
    fn default() -> Options {
        Options { gradients: false, values: false, ops: true, boxes: 32, depth: None }
    }
}

/// A graph laid out to be looked at.
///
/// ```
/// use covector::Tensor;
/// use covector_trace::draw::{Options, Picture};
/// let args = (Tensor::from(3.0), Tensor::from(2.0), Tensor::from(-1.0));
/// let options = Options { gradients: true, values: true, ..Options::default() };
/// let picture = Picture::trace(
///     |(x, w, b): &(Tensor, Tensor, Tensor), notes| {
///         [("x", x), ("w", w), ("b", b)].into_iter().for_each(|(name, t)| notes.name(t, name));
///         (x * w + b).square()
///     },
///     &args,
///     &options,
/// )?;
/// assert_eq!(picture.nodes().len(), 6);
/// assert!(picture.svg().starts_with("<svg"));
/// # Ok::<(), covector::Error>(())
/// ```
pub struct Picture {
    pub(crate) nodes: Vec<Node>,
    /// The first is the whole picture; parents stand before their children.
    pub(crate) modules: Vec<Module>,
    pub(crate) plans: Vec<Plan>,
    /// For a repeated module the plan with one of its instances; empty for others.
    pub(crate) ones: Vec<Plan>,
    pub(crate) options: Options,
    /// True if nodes and arrows say what was added and removed.
    pub(crate) compares: bool,
}

/// One step of a graph, or one of its leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The op; of a leaf `input`, `parameter` or `constant`.
    pub op: String,
    /// What it is called in formulas: its name, or `%` and a number.
    pub label: String,
    /// True if the label is a name that somebody gave.
    pub named: bool,
    /// What kind of step it is; decides its colour.
    pub kind: Kind,
    /// What the op was told beside its operands: `axes: [0]`.
    pub settings: String,
    /// The dtype and shape of the result.
    pub spec: String,
    /// The shape in symbols, if the notes have one.
    pub symbolic: Option<String>,
    /// The numbers if they are few, else how they are distributed.
    pub value: Option<String>,
    /// The same of the gradient.
    pub gradient: Option<String>,
    /// The step as it would be written: `x · w`; empty for a leaf.
    pub formula: String,
    /// The file and line that called the op.
    pub source: String,
    /// The text of that line, if it is known.
    pub text: String,
    /// What it is made from, in order.
    pub operands: Vec<Operand>,
    /// True for the results of the program.
    pub result: bool,
    /// In a picture of two graphs: which of them has it.
    pub change: Change,
    /// The place of its module.
    pub(crate) module: usize,
}

/// One operand of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    /// The place of the node among the picture's nodes.
    pub node: usize,
    /// What this step adds to the operand's gradient, as a formula: `x̄ = ȳ·w`.
    pub rule: Option<String>,
    /// The dtype, shape and numbers of that term, if a gradient flows here.
    pub term: Option<(String, Option<String>)>,
    /// In a picture of two graphs: which of them has this arrow.
    pub change: Change,
}

/// What kind of step a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Kind {
    Input,
    Parameter,
    Constant,
    Elementwise,
    View,
    Reduce,
    Contract,
    Other,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        ["input", "parameter", "constant", "elementwise", "view", "reduce", "contract", "other"][self as usize]
    }

    pub(crate) fn is_leaf(self) -> bool {
        matches!(self, Kind::Input | Kind::Parameter | Kind::Constant)
    }
}

/// Which of two graphs has something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Change {
    /// Both, alike; or there is only one graph.
    #[default]
    Same,
    /// Both, with another shape or other settings.
    Changed,
    /// Only the second.
    Added,
    /// Only the first.
    Removed,
}

impl Change {
    pub(crate) fn name(self) -> &'static str {
        ["same", "changed", "added", "removed"][self as usize]
    }
}

impl Picture {
    /// What these tensors were made from, as far as they remember it: evaluated tensors forget.
    ///
    /// With `gradients` the one result must be a scalar made from leaves that require a gradient. With `values` all numbers
    /// are computed, so the tensors forget what they were made from; the picture does not.
    ///
    /// # Errors
    /// If gradients are asked for and there are none, or a value cannot be computed.
    pub fn of(outputs: &impl Tree, notes: &Notes, options: &Options) -> Result<Picture> {
        let leaves = outputs.leaves();
        let drawing = match &leaves[..] {
            [y] if options.gradients => Drawing::backward_of(y)?,
            _ if options.gradients => {
                let error = covector::Error::new(format!("{} results have no one gradient", leaves.len()));
                return Err(error.hint("draw the gradients of one scalar, such as a loss"));
            }
            _ => Drawing::of(outputs),
        };
        Picture::build(drawing, notes, options)
    }

    /// What `f` does with `args`, whatever it reads on the way; `f` may note names, modules and lines as it goes.
    ///
    /// # Errors
    /// If a value cannot be computed.
    ///
    /// # Panics
    /// With `gradients`, if `f` returns several tensors, or as [`try_value_and_grad`](covector::try_value_and_grad) reports.
    #[track_caller]
    pub fn trace<T: Tree, Y: Tree>(f: impl Fn(&T, &mut Notes) -> Y, args: &T, options: &Options) -> Result<Picture> {
        let notes = RefCell::new(Notes::default());
        let noting = |args: &T| f(args, &mut notes.borrow_mut());
        let only = |y: Y| match &y.leaves()[..] {
            [one] => one.clone(),
            all => panic!("{} results have no one gradient: draw that of a scalar, such as a loss", all.len()),
        };
        let drawing = match options.gradients {
            true => Drawing::with_gradients(|args| only(noting(args)), args),
            false => Drawing::trace(noting, args),
        };
        Picture::build(drawing, &notes.borrow(), options)
    }

    /// The steps and leaves, operands before their users.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The number of ops the program calls: the nodes that are no leaves.
    pub fn ops(&self) -> usize {
        self.nodes.iter().filter(|n| !n.kind.is_leaf()).count()
    }

    /// The number of boxes in a still picture: nodes that stand alone and modules that are closed.
    pub fn boxes(&self) -> usize {
        self.folded().boxes(self)
    }

    /// True if gradients flow.
    pub(crate) fn has_gradients(&self) -> bool {
        self.nodes.iter().any(|n| n.operands.iter().any(|o| o.term.is_some()))
    }
}
