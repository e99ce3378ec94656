//! Doing: a flat list of steps, run in order.
//!
//! A value lives in its slot until its last use, where it is moved into the kernel: a buffer nobody else holds is then
//! overwritten in place. Values are stored back into the graph only where somebody outside the plan can still ask for
//! them. Elementwise steps, and folds of rows among them, run tile by tile in one pass, with the same bits as one after the
//! other.

mod again;
mod cache;
pub(crate) mod cost;
mod explain;
mod fuse;
mod host;
mod order;
mod prepared;
mod schedule;
mod twins;
mod verify;

use std::iter;
use std::panic::Location;
use std::sync::Arc;

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, Shape, threads};
use smallvec::SmallVec;

use crate::walk::Listing;
pub(crate) use cache::Wide;
pub use cost::{Cost, Memory};
pub use explain::{ExplainedResult, ExplainedStep, Explanation, Place, Source, explain};
pub(crate) use prepared::Prepared;
use schedule::{Made, Plan};
pub use verify::set_verify;
pub(crate) use verify::wanted as is_verified;

use crate::{Class, Error, ErrorKind, Result, Tensor, site};

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
    let mut targets = targets.into_iter().filter(|t| !t.is_evaluated());
    let Some(first) = targets.next() else { return Ok(()) };
    let second = targets.next();
    if second.is_none() && at_once(first)? {
        return Ok(());
    }
    let targets: Vec<Tensor> = iter::once(first).chain(second).chain(targets).cloned().collect();
    // A graph of hundreds of thousands of nodes takes seconds to plan.
    let planned = threads::try_here(|| {
        let list = Listing::walk(&targets, |t| !t.is_evaluated());
        let keep = kept(&list, &targets);
        let plan = make_plan(&list, &keep);
        (list, keep, plan)
    });
    let (list, keep, plan) = planned.map_err(|_| interrupted())?;
    let leaf = |i: usize, _| list.nodes[i].cached().cloned();
    let values = run_checked(&list, &plan, &keep, &leaf)?;
    for (position, value) in values {
        list.nodes[position as usize].store(value);
    }
    Ok(())
}

/// Computes a node whose operands are all known, as when tensors are read op by op; false if they are not.
fn at_once(node: &Tensor) -> Result<bool> {
    let small = |operands: &[Tensor]| {
        let mut known = SmallVec::<[&Array; 3]>::new();
        for x in operands {
            known.push(x.cached()?);
        }
        node.primitive().run_small(&known)
    };
    if node.settle(small) {
        return Ok(true);
    }
    let mut inputs = Inputs::new();
    let known = node
        .with_inputs(|operands| operands.iter().all(|x| x.cached().map(|value| inputs.push(value.clone())).is_some()));
    if !known || inputs.is_empty() {
        return Ok(false);
    }
    let pays = pays(inputs.iter().map(Array::size).chain([node.size()]));
    let value = entered(pays, || node.primitive().run(inputs, node.spec())).map_err(|e| refused(node, e))?;
    debug_assert_eq!((value.dtype(), value.shape()), (node.dtype(), node.shape()), "{} lied", node.site().op);
    node.store(value);
    Ok(true)
}

/// Arrays of so few elements are no work to be shared: a product of two such has 2^15 terms at most.
const NEVER_SHARED: usize = 1 << 10;

/// True if entering the thread pool may pay for work on arrays of these sizes: it costs microseconds, and as much again
/// until what the other thread left in its cache is back.
fn pays(sizes: impl Iterator<Item = usize>) -> bool {
    let both = |(sum, most): (usize, usize), size: usize| (sum.saturating_add(size), most.max(size));
    let (sum, most) = sizes.fold((0, 0), both);
    sum >= threads::SERIAL_BELOW && most > NEVER_SHARED
}

/// Runs `go`, inside the thread pool if that pays.
fn entered<R: Send>(pays: bool, go: impl FnOnce() -> Result<R> + Send) -> Result<R> {
    if pays { threads::try_enter(go).unwrap_or_else(|_| Err(interrupted())) } else { go() }
}

/// The steps after which the watch is asked, where the values are small and where they are not.
const STEPS_BETWEEN: [usize; 2] = [256, 1];

/// True if the plan is to be given up before its `i`-th step.
fn is_over(i: usize, pays: bool) -> bool {
    (i + 1).is_multiple_of(STEPS_BETWEEN[usize::from(pays)]) && threads::ask_watch()
}

pub(crate) fn interrupted() -> Error {
    Error::new("interrupted").of_kind(ErrorKind::Interrupted)
}

/// Runs a plan, and once more step by step if that was asked for.
fn run_checked(list: &Listing, plan: &Plan, keep: &[bool], leaf: &Leaf) -> Result<Values> {
    let pays = pays(list.nodes.iter().map(Tensor::size));
    let values = entered(pays, || run(list, plan, leaf, pays))?;
    if is_verified() {
        let plain = Plan::stepwise(list, keep);
        verify::compare(list, &values, &entered(pays, || run(list, &plain, leaf, pays))?)?;
    }
    Ok(values)
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

/// The value of a leaf, by its position, and whether it is asked for the last time.
type Leaf<'a> = dyn Fn(usize, bool) -> Option<Array> + Sync + 'a;

/// Runs the steps of a plan in order; returns the values to be kept.
fn run(list: &Listing, plan: &Plan, leaf: &Leaf, pays: bool) -> Result<Values> {
    let mut values = Values::new();
    let mut slots: Vec<Option<Array>> = vec![None; plan.slots];
    for (i, step) in plan.steps.iter().enumerate() {
        if is_over(i, pays) {
            return Err(interrupted());
        }
        let take = |operand: &schedule::Operand| {
            let value = match slots.get_mut(operand.slot as usize) {
                None => leaf(operand.position as usize, operand.last),
                Some(slot) if operand.last => slot.take(),
                Some(slot) => slot.clone(),
            };
            value.expect("operands stand before their users")
        };
        let inputs: Inputs = step.operands.iter().map(take).collect();
        let node = |made: &Made| &list.nodes[made.position as usize];
        let mut place = |made: &Made, value: Array| {
            let node = node(made);
            debug_assert_eq!((value.dtype(), value.shape()), (node.dtype(), node.shape()), "{} lied", node.site().op);
            match slots.get_mut(made.slot as usize) {
                Some(slot) if made.keep => {
                    values.push((made.position, value.clone()));
                    *slot = Some(value);
                }
                Some(slot) => *slot = Some(value),
                None if made.keep => values.push((made.position, value)),
                None => (),
            }
        };
        match &step.chain {
            Some((chain, rows)) => {
                let shapes: SmallVec<[&Shape; 2]> = step.results.iter().map(|made| node(made).shape()).collect();
                let results = kernels::run_chain(chain, inputs, *rows, &shapes);
                step.results.iter().zip(results).for_each(|(made, value)| place(made, value));
            }
            None => {
                let made = &step.results[0];
                let (primitive, spec) = (node(made).primitive(), node(made).spec());
                let value =
                    if step.turned { primitive.run_exchanged(inputs, spec) } else { primitive.run(inputs, spec) };
                place(made, value.map_err(|e| refused(node(made), e))?);
            }
        }
    }
    Ok(values)
}

/// The error of a step that refused its data. A leaf without a value is the fault of who reads it, so that is not named.
fn refused(node: &Tensor, e: Error) -> Error {
    if node.primitive().class() == Class::Leaf {
        return e;
    }
    let specs = |all: &mut Vec<_>| all.extend(node.inputs().iter().map(Tensor::described));
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
            |operands| operands.push(self.described()),
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
