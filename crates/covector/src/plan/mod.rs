//! Doing: a flat list of steps, run in order.
//!
//! A value lives in its slot until its last use, where it is moved into the kernel: a buffer nobody else holds is then
//! overwritten in place. Values are stored back into the graph only where somebody outside the plan can still ask for
//! them. Elementwise steps, and folds of rows among them, run tile by tile in one pass, with the same bits as one after the
//! other.

mod cache;
pub(crate) mod cost;
mod explain;
mod fuse;
mod schedule;
mod verify;

use std::panic::Location;
use std::sync::Arc;

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, Shape, threads};
use smallvec::SmallVec;

use crate::walk::{Listing, Positions};
pub use cost::{Cost, Memory};
pub use explain::{ExplainedResult, ExplainedStep, Explanation, Place, Source, explain};
use schedule::{Made, Plan};
pub use verify::set_verify;
pub(crate) use verify::wanted as is_verified;

use crate::{Class, Error, Result, Tensor, site};

/// Computes the values of `targets` together, so that what they share is computed once.
///
/// Reading one tensor evaluates what it needs; evaluating several at once (a loss and all updated parameters) lets the
/// runner free every intermediate at its last use.
///
/// # Errors
/// If an op refuses its data (an index out of range), or a target depends on an argument that has no value.
#[track_caller]
pub fn try_eval<'a>(targets: impl IntoIterator<Item = &'a Tensor>) -> Result<()> {
    let here = Location::caller();
    evaluate(targets, cache::plan).map_err(|e| e.located("eval", here, |_| ()))
}

/// As [`try_eval`], one primitive at a time and without remembering the plan: the same bits, more slowly.
///
/// For checking plans and kernels against each other; [`set_verify`] does it for every evaluation.
/// # Errors
/// As [`try_eval`].
pub fn try_eval_stepwise<'a>(targets: impl IntoIterator<Item = &'a Tensor>) -> Result<()> {
    evaluate(targets, |list, keep| Arc::new(Plan::stepwise(list, keep)))
}

fn evaluate<'a>(
    targets: impl IntoIterator<Item = &'a Tensor>,
    make_plan: impl FnOnce(&Listing, &[bool]) -> Arc<Plan>,
) -> Result<()> {
    let targets: Vec<Tensor> = targets.into_iter().filter(|t| !t.is_evaluated()).cloned().collect();
    if targets.is_empty() {
        return Ok(());
    }
    let list = Listing::walk(&targets, |t| if t.is_evaluated() { None } else { Some(t.inputs()) });
    let keep = kept(&list, &targets);
    let plan = make_plan(&list, &keep);
    let work: usize = list.nodes.iter().map(Tensor::size).fold(0, usize::saturating_add);
    let go =
        |plan: &Plan| if work < threads::SERIAL_BELOW { run(&list, plan) } else { threads::enter(|| run(&list, plan)) };
    let values = go(&plan)?;
    if is_verified() {
        verify::compare(&list, &values, &go(&Plan::stepwise(&list, &keep))?)?;
    }
    for (position, value) in values {
        list.nodes[position as usize].store(value);
    }
    Ok(())
}

/// As [`try_eval`], with a panic at the caller's line instead of an error.
///
/// ```
/// use covector::{Tensor, eval};
/// let x = Tensor::from(2.0f32);
/// let (y, z) = (&x * &x, &x + &x);
/// eval([&y, &z]);
/// assert_eq!((y.item::<f32>(), z.item::<f32>()), (4.0, 4.0));
/// ```
#[track_caller]
pub fn eval<'a>(targets: impl IntoIterator<Item = &'a Tensor>) {
    if let Err(e) = try_eval(targets) {
        e.raise()
    }
}

/// Values to be stored, with the positions of their nodes.
type Values = Vec<(u32, Array)>;

/// Runs the steps of a plan in order; returns the values to be kept.
fn run(list: &Listing, plan: &Plan) -> Result<Values> {
    let mut values = Values::new();
    let leaf =
        |(node, operands): (&Tensor, &Positions)| if operands.is_empty() { node.cached().cloned() } else { None };
    let mut slots: Vec<Option<Array>> = list.nodes.iter().zip(&list.operands).map(leaf).collect();
    for step in &plan.steps {
        let take = |operand: &schedule::Operand| {
            let slot = &mut slots[operand.position as usize];
            if operand.last { slot.take() } else { slot.clone() }.expect("operands stand before their users")
        };
        let inputs: Inputs = step.operands.iter().map(take).collect();
        let node = |made: &Made| &list.nodes[made.position as usize];
        let results = match &step.chain {
            Some((chain, rows)) => {
                let shapes: SmallVec<[&Shape; 2]> = step.results.iter().map(|made| node(made).shape()).collect();
                kernels::run_chain(chain, inputs, *rows, &shapes)
            }
            None => {
                let node = node(&step.results[0]);
                let value = if step.turned {
                    node.primitive().run_exchanged(inputs, node.spec())
                } else {
                    node.primitive().run(inputs, node.spec())
                };
                let value = value.map_err(|e| refused(node, e))?;
                [value].into_iter().collect()
            }
        };
        for (made, value) in step.results.iter().zip(results) {
            let node = node(made);
            debug_assert_eq!((value.dtype(), value.shape()), (node.dtype(), node.shape()), "{} lied", node.site().op);
            if made.keep {
                values.push((made.position, value.clone()));
            }
            slots[made.position as usize] = made.used.then_some(value);
        }
    }
    Ok(values)
}

/// The error of a step that refused its data. A leaf without a value is the fault of who reads it, so that is not named.
fn refused(node: &Tensor, e: Error) -> Error {
    if node.primitive().class() == Class::Leaf {
        return e;
    }
    let specs = |all: &mut Vec<_>| all.extend(node.inputs().iter().map(|t| t.spec().clone()));
    e.located(node.site().op, node.site().location, specs)
}

/// A value outlives the plan if it was asked for, if a transformation may still need it, or if somebody outside holds
/// the node: a handle beyond the listing's own and those of its users in the plan.
fn kept(list: &Listing, targets: &[Tensor]) -> Vec<bool> {
    let mut uses = vec![0usize; list.nodes.len()];
    list.operands.iter().flatten().for_each(|&operand| uses[operand as usize] += 1);
    let held = |(node, uses): (&Tensor, &usize)| node.marks().is_open() || node.handles() > 1 + uses;
    let mut keep: Vec<bool> = list.nodes.iter().zip(&uses).map(held).collect();
    for target in targets {
        if let Some(i) = list.find(target) {
            keep[i] = true;
        }
    }
    keep
}

impl Tensor {
    /// The value, computed now if it is not known yet.
    ///
    /// # Errors
    /// As [`try_eval`].
    #[track_caller]
    pub fn try_value(&self) -> Result<Array> {
        self.read("value")
    }

    /// The value, for `reader`, which an error names together with the caller's line.
    #[track_caller]
    pub(crate) fn read(&self, reader: &'static str) -> Result<Array> {
        if let Some(value) = self.cached() {
            return Ok(value.clone());
        }
        site::call(
            reader,
            Location::caller(),
            |specs| specs.push(self.spec().clone()),
            || {
                evaluate([self], cache::plan)?;
                self.cached().cloned().ok_or_else(|| Error::new("evaluation left no value: please report this"))
            },
        )
    }

    /// The value, computed now if it is not known yet; panics at the caller's line if it cannot be.
    #[track_caller]
    pub fn value(&self) -> Array {
        match self.try_value() {
            Ok(value) => value,
            Err(e) => e.raise(),
        }
    }
}
