//! What a fault is about: kept beside its text, so that a way out is looked for among facts and not among words.

use std::collections::HashMap;

use covector::Spec;

use crate::shapes::Shapes;
use crate::text::Span;

/// What there is to know of a fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// What kind of mistake it is.
    pub kind: Kind,
    /// True if not every run over other sizes ended in this.
    pub differs: bool,
    /// The tensors an op was given.
    pub operands: Vec<Operand>,
    /// The shapes that do not go together.
    pub shapes: Option<Shapes>,
    /// Which axes of which operands clash: numbers of operands and of axes.
    pub clash: Option<[(usize, usize); 2]>,
    /// The sizes that a reshape was asked for, in numbers of the run.
    pub wanted: Vec<i64>,
    /// The innermost statement that ran.
    pub statement: Option<Span>,
    /// The steps that were taken until there.
    pub steps: u64,
    /// How often each statement (by its first byte) had been completed.
    pub completed: HashMap<usize, u32>,
    /// The names of tensors that could be used there, the latest last.
    pub tensors: Vec<String>,
}

/// A kind of mistake.
#[derive(Clone, Debug, Default)]
pub(crate) enum Kind {
    /// Nothing more is known.
    #[default]
    Other,
    /// An op refused its operands.
    Op,
    /// A name is not known; these are.
    Name { at: Span, name: String, known: Vec<String> },
    /// An argument is missing.
    Missing { param: String },
    /// There are more arguments than parameters.
    TooMany { wanted: usize },
    /// Several names are given the items of a value.
    Unpack { names: Vec<(String, Span)>, items: usize },
    /// A number is divided by another that leaves a rest.
    Rest { value: i64, by: i64 },
    /// What is called is no function.
    Call,
    /// A number is the operand of `@`.
    Number,
    /// The condition of an `if`, `and` or `or` is a tensor.
    Truth,
}

/// A tensor that an op was given.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    /// Where it stands.
    pub span: Span,
    /// Its dtype and shape, in numbers of the run.
    pub spec: Spec,
    /// Its sizes, in symbols.
    pub axes: Vec<String>,
    /// The statement that made it, if it is a name.
    pub made: Option<Span>,
}
