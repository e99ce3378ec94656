//! The kinds of causes, and a finding before it is put into words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use covector::Class;

use super::run::{Run, index};
use super::{Finding, Reads, Symptom};

macro_rules! causes {
    ($($(#[doc = $doc:literal])* $name:ident = $id:literal,)*) => {
        /// The kind of thing that went wrong.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Cause { $($(#[doc = $doc])* $name,)* }

        impl Cause {
            /// A short name for programs: `log-of-zero`.
            pub fn id(self) -> &'static str {
                match self { $(Cause::$name => $id,)* }
            }
        }
    };
}

causes! {
    /// The number came in with an argument or a constant.
    Given = "given",
    /// A logarithm of 0.
    LogOfZero = "log-of-zero",
    /// A logarithm of a negative number.
    LogOfNegative = "log-of-negative",
    /// An even root of a negative number.
    RootOfNegative = "root-of-negative",
    /// 0 / 0.
    ZeroOverZero = "zero-over-zero",
    /// Something else divided by 0.
    DivisionByZero = "division-by-zero",
    /// inf / inf.
    InfOverInf = "inf-over-inf",
    /// inf - inf.
    InfMinusInf = "inf-minus-inf",
    /// 0 · inf.
    ZeroTimesInf = "zero-times-inf",
    /// A result too large for its dtype.
    Overflow = "overflow",
    /// An operand outside of what the function is defined for.
    OutOfDomain = "out-of-domain",
    /// A power of 0 with a negative exponent.
    ZeroPower = "zero-power",
    /// A fractional power of a negative number.
    NegativePower = "negative-power",
    /// A softmax, or its like, over nothing but -inf.
    MaskedRow = "masked-row",
    /// A mean, or its like, over nothing.
    Empty = "empty",
    /// A slope that is infinite or undefined at this operand.
    InfiniteSlope = "infinite-slope",
    /// As before, in a branch that does not count.
    MaskedBranch = "masked-branch",
    /// Units whose inputs are all on the flat side.
    DeadUnit = "dead-unit",
    /// A squashing function whose inputs are so large that it is flat.
    Saturated = "saturated",
    /// Numbers beyond the bounds they are held between.
    Clipped = "clipped",
    /// The others were chosen: by a mask, a maximum or an index.
    NotChosen = "not-chosen",
    /// Cut on purpose.
    Detached = "detached",
    /// A step that is constant, piecewise constant or discrete.
    NoDerivative = "no-derivative",
    /// The result is not made from it.
    Unused = "unused",
    /// Multiplied by 0.
    ZeroFactor = "zero-factor",
    /// Contributions that add up to 0.
    Cancelled = "cancelled",
    /// A minimum, or another point where the slope is 0.
    Stationary = "stationary",
    /// Too small for the dtype.
    Underflow = "underflow",
    /// Smaller at every step until nothing is left.
    Vanishing = "vanishing",
    /// A rule of the user's.
    Custom = "custom-rule",
    /// Something else.
    Other = "other",
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A finding by positions.
pub(crate) struct Found {
    pub symptom: Symptom,
    pub cause: Cause,
    pub step: usize,
    /// The operand whose gradient is bad.
    pub operand: usize,
    /// The element: of the step's result for values, of the operand for gradients.
    pub element: usize,
    pub explanation: String,
    pub then: Vec<String>,
    /// Arguments with the same symptom.
    pub also: Vec<usize>,
    /// The step that lets only another branch count.
    pub mask: Option<usize>,
    /// The argument whose gradient is bad.
    pub argument: Option<usize>,
}

impl Found {
    pub fn new(symptom: Symptom, (cause, explanation): (Cause, String), step: usize, element: usize) -> Found {
        let (then, also) = Default::default();
        Found { symptom, cause, step, operand: 0, element, explanation, then, also, mask: None, argument: None }
    }

    /// In words, without a fix.
    pub fn finding(&self, run: &Run) -> Finding {
        let reading = run.reading;
        let step = self.step;
        let leaf = reading.is_leaf(step);
        let constant = reading.node(step).primitive().class() == Class::Leaf && reading.op(step) == reading.prim(step);
        let op = match reading.is_argument(step) {
            true => "argument",
            false if constant => "constant",
            false => reading.op(step),
        };
        let inner = !leaf && reading.prim(step) != op;
        let of_value = matches!(self.symptom, Symptom::Value { .. });
        let shown = if of_value || leaf { step } else { reading.operands(step)[self.operand] };
        let at = self.element.min(run.nodes[shown].size().saturating_sub(1));
        let operands = match leaf {
            true => given(run, step),
            false => reads(run, self),
        };
        Finding {
            symptom: self.symptom.clone(),
            cause: self.cause,
            op: op.to_owned(),
            step: inner.then(|| reading.prim(step)),
            source: reading.source(step),
            index: index(&run.nodes[shown], at),
            result: run.at(step, if of_value { at } else { self.element }),
            operands,
            explanation: self.explanation.clone(),
            then: self.then.clone(),
            also: self.also.iter().map(|&i| reading.name(i)).collect(),
            fix: None,
        }
    }
}

/// So many elements of one operand are shown.
const SHOWN: usize = 6;
/// So many elements of a step are traced to its operands.
const TRACED: usize = 12;

/// What an op was given whose own constant is the result.
fn given(run: &Run, leaf: usize) -> Vec<Reads> {
    let call = run.reading.call_of(leaf);
    let bad = |i: usize| run.values(i).iter().enumerate().filter(|(_, v)| !v.is_finite()).map(|(e, _)| e).collect();
    let float = |i: &usize| run.nodes[*i].dtype().is_float() && !run.reading.is_number(*i);
    if call.inputs.is_empty() {
        return vec![shown(run, leaf, bad(leaf))];
    }
    call.inputs
        .iter()
        .copied()
        .filter(float)
        .map(|i| shown(run, i, bad(i)))
        .filter(|r| !r.elements.is_empty())
        .collect()
}

/// What the step's call read at the element.
fn reads(run: &Run, found: &Found) -> Vec<Reads> {
    let reading = run.reading;
    let call = reading.call[found.step];
    let first = match found.symptom {
        Symptom::Value { .. } => Elements::Some(BTreeSet::from([found.element])),
        Symptom::Gradient { .. } => {
            Elements::Some(run.targets(found.step, found.operand, found.element).into_iter().collect())
        }
        Symptom::Zero { .. } => Elements::All,
    };
    let mut wanted = BTreeMap::from([(found.step, first)]);
    let mut outside: Vec<(usize, Elements)> = Vec::new();
    while let Some((i, elements)) = wanted.pop_last() {
        let own = reading.call[i] == call && !reading.is_leaf(i) && (i == found.step || !reading.is_argument(i));
        if !own {
            outside.push((i, elements));
            continue;
        }
        match elements {
            Elements::Some(few) if few.len() <= TRACED => {
                for &e in &few {
                    for (&j, from) in reading.operands(i).iter().zip(run.sources(i, e)) {
                        wanted.entry(j).or_insert_with(|| Elements::Some(BTreeSet::new())).add(from);
                    }
                }
            }
            _ => reading.operands(i).iter().for_each(|&j| drop(wanted.insert(j, Elements::All))),
        }
    }
    let order = |i: &usize| reading.call_of(found.step).inputs.iter().position(|j| j == i).unwrap_or(usize::MAX);
    outside.sort_by_key(|(i, _)| order(i));
    let inner =
        |i: usize| reading.is_leaf(i) && reading.call[i] == call && !reading.call_of(found.step).inputs.contains(&i);
    let listed = outside.into_iter().filter(|(i, _)| !inner(*i)).map(|(i, elements)| {
        let elements = match elements {
            Elements::All => (0..run.nodes[i].size()).collect(),
            Elements::Some(few) => few.into_iter().collect::<Vec<_>>(),
        };
        (i, elements)
    });
    let counts = |(i, elements): &(usize, Vec<usize>)| !elements.is_empty() || run.nodes[*i].size() == 0;
    listed.filter(counts).map(|(i, elements)| shown(run, i, elements)).collect()
}

/// Elements of a tensor.
enum Elements {
    All,
    Some(BTreeSet<usize>),
}

impl Elements {
    fn add(&mut self, more: Vec<usize>) {
        if let Elements::Some(few) = self {
            few.extend(more);
        }
    }
}

fn shown(run: &Run, i: usize, mut elements: Vec<usize>) -> Reads {
    elements.sort_unstable();
    let (node, of) = (&run.nodes[i], elements.len());
    elements.truncate(SHOWN);
    let elements = elements.into_iter().map(|e| (index(node, e), run.at(i, e))).collect();
    Reads { name: run.reading.name(i), spec: node.spec().clone(), elements, of }
}
