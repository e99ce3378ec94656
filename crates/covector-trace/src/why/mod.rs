//! Why a number is NaN or infinite, and why a gradient is NaN, infinite or zero.
//!
//! From the bad number one walks back, element by element, to the first step that made something bad of good operands. What
//! is said of it is read off the operands' values there; what is proposed has been tried on the program.

mod cause;
mod fix;
mod forward;
mod reverse;
mod rewrite;
mod run;
mod show;
mod zero;

use covector::record::{Record, record};
use covector::{Result, Spec, Tensor, Tree};

pub use cause::Cause;

use crate::reading::Reading;
use crate::{Notes, Source};
use run::Run;

/// What is wrong, which step began it, and what to do.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was seen.
    pub symptom: Symptom,
    /// The kind of cause.
    pub cause: Cause,
    /// The op the user called; `argument` or `constant` if the numbers came in from outside.
    pub op: String,
    /// The primitive inside the op, where it is another.
    pub step: Option<&'static str>,
    /// The line that called the op.
    pub source: Source,
    /// The element of the step's result (of the operand, for gradients) that is looked at.
    pub index: Vec<usize>,
    /// The result at that element.
    pub result: f64,
    /// What the step read there.
    pub operands: Vec<Reads>,
    /// What happened, in words.
    pub explanation: String,
    /// What became of it on the way to the symptom, or why it does not show in the value.
    pub then: Vec<String>,
    /// Other arguments with the same symptom.
    pub also: Vec<String>,
    /// A change to the program that has been tried, if one was found.
    pub fix: Option<Fix>,
}

/// What is wrong, and where it shows.
#[derive(Clone, PartialEq, Debug)]
pub enum Symptom {
    /// A result is NaN or infinite.
    Value {
        /// The result's name.
        of: String,
        /// The first such number.
        is: f64,
        /// Its index.
        at: Vec<usize>,
    },
    /// The gradient of an argument is NaN or infinite.
    Gradient {
        /// The argument's name.
        of: String,
        /// The first such number.
        is: f64,
        /// Its index.
        at: Vec<usize>,
    },
    /// The gradient of an argument is zero everywhere, or so small that it might as well be.
    Zero {
        /// The argument's name.
        of: String,
        /// Its largest element.
        largest: f64,
    },
}

/// What a step read from one operand.
#[derive(Clone, Debug)]
pub struct Reads {
    /// The operand's name.
    pub name: String,
    /// Its dtype and shape.
    pub spec: Spec,
    /// The elements that count, with their indices; of many, the first few and those that matter.
    pub elements: Vec<(Vec<usize>, f64)>,
    /// How many there are in all.
    pub of: usize,
}

/// A change to the program that was made and checked.
#[derive(Clone, Debug)]
pub struct Fix {
    /// What to write instead.
    pub changes: Vec<Change>,
    /// What the changed program gave.
    pub outcome: String,
}

/// One step written differently.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Where.
    pub source: Source,
    /// As it is.
    pub from: String,
    /// As it should be; or an instruction.
    pub to: String,
}

/// Asks a function, on these arguments, for the first step that makes a result, or the gradient of an argument, bad.
///
/// Looks at the values first, and, if the only result is one float, at the gradients of all float arguments.
/// A healthy program gives `None`.
/// # Errors
/// If the program cannot be computed.
/// # Example
/// ```
/// use covector::Tensor;
/// use covector_trace::why;
/// let entropy = |p: &Tensor| -(p * p.log()).sum(..);
/// assert!(why(entropy, &Tensor::from([0.5, 0.5]))?.is_none());
/// let found = why(entropy, &Tensor::from([1.0, 0.0]))?.expect("0 · log(0) is NaN");
/// assert_eq!((found.op.as_str(), found.index.as_slice()), ("log", &[1][..]));
/// # Ok::<(), covector::Error>(())
/// ```
pub fn why<T: Tree, Y: Tree>(f: impl FnOnce(&T) -> Y, args: &T) -> Result<Option<Finding>> {
    let mut notes = Notes::default();
    let mut names: Vec<(String, Tensor)> = Vec::new();
    let record = record(
        |x| {
            let y = f(x);
            names = y.named();
            y
        },
        args,
    );
    name_results(&mut notes, &record, &names);
    name_arguments(&mut notes, args);
    why_record(&record, &notes)
}

/// As [`why`], of a recorded program, with what is known of its tensors.
///
/// Gradients are asked for the record's arguments: record data as constants if zero is right for theirs.
/// # Errors
/// If the program cannot be computed.
pub fn why_record(record: &Record, notes: &Notes) -> Result<Option<Finding>> {
    let reading = Reading::new(record, notes);
    // On copies, so that the graph that is asked about keeps its history.
    let arguments: Vec<Tensor> = record.arguments().iter().map(|&i| reading.node(i).stop_gradient()).collect();
    let run = Run::new(&reading, record.replay(&arguments, |_, _| Ok(None))?)?;
    let found = match forward::first(&run) {
        Some(found) => Some(found),
        None => gradients(&run)?,
    };
    Ok(found.map(|found| fix::completed(&run, found)))
}

fn gradients(run: &Run) -> Result<Option<cause::Found>> {
    let Some(pass) = reverse::Pass::new(run, |_, _| Ok(None))? else { return Ok(None) };
    Ok(reverse::first(&pass).or_else(|| zero::first(&pass)))
}

/// Arguments carry the names of their fields; those without are `x` or `x0`, `x1`, ….
pub(crate) fn name_arguments(notes: &mut Notes, args: &impl Tree) {
    for (path, x) in args.named() {
        let field = !path.is_empty() && !path.starts_with(|c: char| c.is_ascii_digit());
        if notes.name_of(&x).is_none() {
            notes.name(&x, if field { path } else { format!("x{path}") });
        }
    }
}

fn name_results(notes: &mut Notes, record: &Record, names: &[(String, Tensor)]) {
    for ((path, _), &i) in names.iter().zip(record.results()) {
        if !path.is_empty() && !path.starts_with(|c: char| c.is_ascii_digit()) {
            notes.name(&record.steps()[i].node, path);
        }
    }
}
