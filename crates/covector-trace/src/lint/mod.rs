//! Programs that run and are probably not what was meant.
//!
//! A rule reads the graph: ops, shapes and the numbers written into it, no values. It speaks up where a mistake is far more
//! likely than a purpose.

mod attention;
mod flow;
mod probabilities;
mod shapes;

use std::fmt;

use covector::record::{Record, record};
use covector::{Tensor, Tree};

use crate::reading::Reading;
use crate::why::name_arguments;
use crate::{Notes, Source};

/// How sure a rule is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Worth knowing; often a choice.
    Hint,
    /// Almost always a mistake.
    Warning,
}

/// A rule: what it is called and what it looks for.
pub struct Rule {
    /// Its name: `rank-promotion`.
    pub id: &'static str,
    /// How sure it is.
    pub level: Level,
    /// What it looks for, in one sentence.
    pub about: &'static str,
    check: fn(&mut Report),
}

/// What a rule has to say of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// The rule.
    pub rule: &'static str,
    /// How sure it is.
    pub level: Level,
    /// The op that was called.
    pub op: String,
    /// The line that called it; for a parameter, the line that made it.
    pub source: Source,
    /// What is odd.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

/// Every rule.
pub static RULES: &[Rule] = &[
    Rule {
        id: "rank-promotion",
        level: Level::Warning,
        about: "A difference or comparison of `[n]` and `[n, 1]`, which broadcast to all pairs.",
        check: shapes::rank_promotion,
    },
    Rule {
        id: "outer-loss",
        level: Level::Warning,
        about: "An outer product, or the square of all pairs' differences, that is only summed up.",
        check: shapes::outer_loss,
    },
    Rule {
        id: "single-element",
        level: Level::Warning,
        about: "A softmax, spread or norm over one element, which is constant, or a mean over none.",
        check: shapes::single_element,
    },
    Rule {
        id: "reshape-as-transpose",
        level: Level::Warning,
        about: "A reshape to the same sizes in another order: it does not move axes, it mixes them.",
        check: shapes::reshape_as_transpose,
    },
    Rule {
        id: "unused-parameter",
        level: Level::Warning,
        about: "A parameter no result is made from.",
        check: flow::unused_parameter,
    },
    Rule {
        id: "detached-parameter",
        level: Level::Warning,
        about: "A parameter no derivative reaches.",
        check: flow::detached_parameter,
    },
    Rule {
        id: "unsafe-where",
        level: Level::Warning,
        about: "A `where` that hides a logarithm, root or quotient whose gradient it cannot hide.",
        check: flow::unsafe_where,
    },
    Rule { id: "cancels", level: Level::Warning, about: "A tensor minus or divided by itself.", check: flow::cancels },
    Rule {
        id: "key-reuse",
        level: Level::Warning,
        about: "One random key for several draws, which are then the same numbers.",
        check: flow::key_reuse,
    },
    Rule {
        id: "unstable",
        level: Level::Warning,
        about: "Exponentials and logarithms by hand that overflow where an op does not.",
        check: flow::unstable,
    },
    Rule {
        id: "by-hand",
        level: Level::Hint,
        about: "Steps for which there is an op that behaves better at the edges.",
        check: flow::by_hand,
    },
    Rule {
        id: "softmax-axis",
        level: Level::Warning,
        about: "Attention weights that do not add up to 1 over what is averaged, or classes not along their axis.",
        check: attention::softmax_axis,
    },
    Rule {
        id: "mask-after-softmax",
        level: Level::Warning,
        about: "Attention weights masked after the softmax, so that they no longer add up to 1.",
        check: attention::mask_after_softmax,
    },
    Rule {
        id: "inverted-scale",
        level: Level::Warning,
        about: "Attention scores multiplied by the root of the head's size instead of divided.",
        check: attention::inverted_scale,
    },
    Rule {
        id: "missing-scale",
        level: Level::Hint,
        about: "Attention scores without the factor 1 / sqrt(d).",
        check: attention::missing_scale,
    },
    Rule {
        id: "double-softmax",
        level: Level::Warning,
        about: "Probabilities given to an op that takes a softmax itself.",
        check: probabilities::double_softmax,
    },
    Rule {
        id: "double-sigmoid",
        level: Level::Warning,
        about: "Probabilities given to an op that takes a sigmoid itself.",
        check: probabilities::double_sigmoid,
    },
    Rule {
        id: "needs-log",
        level: Level::Warning,
        about: "Probabilities given to a loss of log-probabilities.",
        check: probabilities::needs_log,
    },
    Rule {
        id: "activation-before-loss",
        level: Level::Warning,
        about: "Scores that a relu has cut off at 0 before a sigmoid or a cross-entropy.",
        check: probabilities::activation_before_loss,
    },
    Rule {
        id: "constant-sum",
        level: Level::Warning,
        about: "The sum of a softmax along its own axis, which is 1.",
        check: probabilities::constant_sum,
    },
];

/// What the rules say of a program.
///
/// Nothing is computed but what `f` reads itself. Warnings come before hints, and each in the order of the program.
/// ```
/// use covector::Tensor;
/// use covector_trace::lint;
/// let (x, y) = (Tensor::from([[1.0], [2.0]]), Tensor::from([1.0, 2.0]));
/// let found = lint(|w: &Tensor| (&x * w - &y).square().mean(..), &Tensor::from(0.5));
/// assert_eq!(found[0].rule, "rank-promotion");
/// ```
pub fn lint<T: Tree, Y: Tree>(f: impl FnOnce(&T) -> Y, args: &T) -> Vec<Warning> {
    let mut notes = Notes::default();
    name_arguments(&mut notes, args);
    lint_record(&record(f, args), &notes)
}

/// As [`lint`], of a recorded program, with what is known of its tensors.
pub fn lint_record(record: &Record, notes: &Notes) -> Vec<Warning> {
    let reading = Reading::new(record, notes);
    let mut all: Vec<(u64, Warning)> = Vec::new();
    for rule in RULES {
        let mut report = Report { reading: &reading, rule, found: Vec::new() };
        (rule.check)(&mut report);
        all.extend(report.found);
    }
    all.sort_by_key(|(made, w)| (std::cmp::Reverse(w.level), *made));
    let mut said: Vec<Warning> = Vec::new();
    for (_, warning) in all {
        // A line in a loop is told once.
        if !said.contains(&warning) {
            said.push(warning);
        }
    }
    said
}

/// Where a rule writes down what it finds.
pub(crate) struct Report<'a> {
    pub reading: &'a Reading<'a>,
    rule: &'static Rule,
    found: Vec<(u64, Warning)>,
}

impl Report<'_> {
    fn say(&mut self, step: usize, message: impl Into<String>, advice: impl Into<String>) {
        let op = if self.reading.is_argument(step) { "argument" } else { self.reading.op(step) };
        let warning = Warning {
            rule: self.rule.id,
            level: self.rule.level,
            op: op.to_owned(),
            source: self.reading.source(step),
            message: message.into(),
            advice: advice.into(),
        };
        self.found.push((self.reading.node(step).id(), warning));
    }

    /// The steps that the user's ops made: not leaves, not what derivative rules add.
    fn steps(&self) -> impl Iterator<Item = usize> + use<> {
        let made: Vec<usize> = (0..self.reading.users.len())
            .filter(|&i| !self.reading.is_leaf(i) && self.reading.node(i).site().call != 0)
            .collect();
        made.into_iter()
    }

    /// The calls of an op: a step of each, its result.
    fn calls(&self, ops: &[&str]) -> Vec<usize> {
        let calls = self.reading.calls.iter().filter(|c| ops.contains(&c.op));
        let with_steps = calls.filter(|c| c.members.iter().any(|&m| self.reading.node(m).site().call != 0));
        with_steps.filter_map(|c| c.members.iter().copied().rfind(|&m| !self.reading.is_leaf(m))).collect()
    }
}

/// A spec as errors print it.
pub(crate) fn spec(x: &Tensor) -> String {
    x.spec().to_string()
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.level == Level::Warning { "warning" } else { "hint" };
        writeln!(f, "{level}[{}]: {}", self.rule, self.message)?;
        write!(f, "  --> {}:{}", self.source.file, self.source.line)?;
        if !self.source.text.is_empty() {
            write!(f, "    {}", self.source.text.trim())?;
        }
        writeln!(f, "\n  do: {}", self.advice)
    }
}
