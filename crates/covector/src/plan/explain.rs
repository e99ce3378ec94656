//! Plans that can be read: what will be done, in which order, and what it takes.
//!
//! The plan's steps are taken with outlines of arrays, which have layouts and owners but no elements. So what is written
//! over, what is a view and how much memory is alive come out as they will when the plan runs.

use std::fmt::{self, Display};
use std::sync::Arc;

use covector_array::kernels::Inputs;
use covector_array::{Array, DType, Ledger, Shape, outline_map, outline_pass};
use smallvec::SmallVec;

use super::cost::Memory;
use super::schedule::{self, Plan};
use crate::walk::Listing;
use crate::{Spec, Tensor};

/// A plan: its steps in order, and what they take together.
///
/// Printing it shows a table. `{}` leaves views out unless a tensor keeps them, and names what they are views of; `{:#}` shows
/// every step.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What is done, in order.
    pub steps: Vec<ExplainedStep>,
    /// The most bytes that values of this plan take at once, in blocks of the pool; tensors that were there before, and
    /// what kernels need for themselves, are not counted.
    pub peak: usize,
}

/// A step of a plan: one primitive, or several in one pass over memory.
#[derive(Clone, Debug)]
pub struct ExplainedStep {
    /// The primitive's name; for a pass the ops it is made of, `′` marking what derivative rules added.
    pub kernel: String,
    /// What it makes.
    pub results: Vec<ExplainedResult>,
    /// What it reads.
    pub operands: Vec<Source>,
    /// Arithmetic on elements: sums, products, comparisons and functions count one each; what an earlier step has computed,
    /// and this one computes again rather than read it, does not count twice.
    pub flops: u64,
    /// Bytes read; elements that are repeated count once.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
    /// Bytes that values of the plan take after the step.
    pub live: usize,
}

/// A result of a step.
#[derive(Clone, Debug)]
pub struct ExplainedResult {
    /// Its dtype and shape.
    pub spec: Spec,
    /// Where it lies.
    pub place: Place,
    /// True if its tensor keeps it; else it is freed after its last use.
    pub kept: bool,
}

/// Where a result lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a block of its own.
    New,
    /// In the block of the operand with this number, seen in another way.
    View(usize),
    /// Over the operand with this number.
    Over(usize),
}

/// Where an operand comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// It was known before.
    Given(Spec),
    /// It is a result of an earlier step: the step's and the result's number, from 0.
    Made(usize, usize),
}

impl Explanation {
    /// Arithmetic of all steps.
    pub fn flops(&self) -> u64 {
        self.steps.iter().map(|step| step.flops).sum()
    }

    /// Bytes read by all steps.
    pub fn read(&self) -> u64 {
        self.steps.iter().map(|step| step.read).sum()
    }

    /// Bytes written by all steps.
    pub fn written(&self) -> u64 {
        self.steps.iter().map(|step| step.written).sum()
    }
}

/// What [`eval`](crate::eval) of these tensors would do now, without doing it.
///
/// ```
/// use covector::{Tensor, explain, value_and_grad};
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// let (y, gradient) = value_and_grad(|x: &Tensor| x.matmul(x).tanh().sum(..))(&x);
/// let plan = explain([&y, &gradient]);
/// assert_eq!(plan.steps.iter().filter(|step| step.kernel == "matmul").map(|step| step.flops).sum::<u64>(), 3 * 16);
/// println!("{plan}");
/// assert!(!y.is_evaluated());
/// ```
pub fn explain<'a>(targets: impl IntoIterator<Item = &'a Tensor>) -> Explanation {
    let targets: Vec<Tensor> = targets.into_iter().filter(|t| !t.is_evaluated()).cloned().collect();
    let mut list = Listing::walk(&targets, |t| !t.is_evaluated());
    let keep = super::kept(&list, &targets);
    if let Some(shared) = super::twins::shared(&list, &keep) {
        list = shared;
    }
    let plan = Plan::fused(&list, &keep, &|_| false);
    let mut walk = Walk::new(&list);
    let steps = plan.steps.iter().map(|step| walk.take(step)).collect();
    Explanation { steps, peak: walk.ledger.peak() }
}

impl Tensor {
    /// What computing this tensor would do now; see [`explain`].
    pub fn explain(&self) -> Explanation {
        explain([self])
    }
}

/// The plan taken with outlines.
struct Walk<'a> {
    list: &'a Listing,
    ledger: Arc<Ledger>,
    slots: Vec<Option<Array>>,
    /// Values that nodes keep.
    kept: Vec<Array>,
    made: Vec<Option<(usize, usize)>>,
    /// Nodes whose arithmetic is counted; a pass that computes one again does not count it again.
    counted: Vec<bool>,
    done: usize,
}

impl<'a> Walk<'a> {
    fn new(list: &'a Listing) -> Self {
        let slots = list.nodes.iter().map(|node| node.cached().cloned()).collect();
        let (made, counted) = (vec![None; list.nodes.len()], vec![false; list.nodes.len()]);
        Walk { list, ledger: Arc::default(), slots, kept: Vec::new(), made, counted, done: 0 }
    }

    fn take(&mut self, step: &schedule::Step) -> ExplainedStep {
        let take = |operand: &schedule::Operand| {
            let slot = &mut self.slots[operand.position as usize];
            if operand.last { slot.take() } else { slot.clone() }.expect("operands stand before their users")
        };
        let inputs: Inputs = step.operands.iter().map(take).collect();
        // Handles would keep blocks from being written over: what is compared later are bare addresses.
        let before: Vec<usize> = inputs.iter().map(Array::address).collect();
        let distinct: u64 = inputs.iter().map(distinct).sum();
        let members = members(self.list, step);
        let specs: Vec<&Spec> =
            step.results.iter().map(|made| self.list.nodes[made.position as usize].spec()).collect();
        let cost = |&m: &u32| {
            let node = &self.list.nodes[m as usize];
            let operands: SmallVec<[&Spec; 3]> =
                self.list.operands[m as usize].iter().map(|&x| self.list.nodes[x as usize].spec()).collect();
            node.primitive().cost(&operands, node.spec())
        };
        let counted = &mut self.counted;
        let fresh = members.iter().filter(|&&m| !std::mem::replace(&mut counted[m as usize], true));
        let flops = fresh.map(|m| cost(m).flops).sum();
        let (arrays, memory): (SmallVec<[Array; 2]>, Memory) = match &step.chain {
            Some((chain, rows)) => {
                let results: Vec<(&Shape, DType)> = specs.iter().map(|s| (&s.shape, s.dtype)).collect();
                (outline_pass(chain, inputs, *rows, &results, &self.ledger), Memory::OverAny)
            }
            None => {
                let memory = cost(&step.results[0].position).memory;
                ([self.single(step, memory, inputs)].into_iter().collect(), memory)
            }
        };
        let place = |y: &Array| match before.iter().position(|&x| x == y.address()) {
            Some(operand) if memory == Memory::Shared => Place::View(operand),
            Some(operand) => Place::Over(operand),
            None => Place::New,
        };
        let places: Vec<Place> = arrays.iter().map(place).collect();
        let copied = memory == Memory::Shared && places[0] == Place::New;
        let (read, written) = if step.chain.is_some() || copied {
            (distinct, specs.iter().map(|s| super::cost::bytes(s)).sum())
        } else {
            let cost = cost(&step.results[0].position);
            (cost.read.min(distinct), cost.written)
        };
        let operands = step.operands.iter().map(|o| self.source(o.position)).collect();
        for (r, (made, array)) in step.results.iter().zip(arrays).enumerate() {
            if made.keep {
                self.kept.push(array.clone());
            }
            self.slots[made.position as usize] = (made.slot != schedule::OUTSIDE).then_some(array);
            self.made[made.position as usize] = Some((self.done, r));
        }
        self.done += 1;
        let result = |(k, made): (usize, &schedule::Made)| ExplainedResult {
            spec: specs[k].clone(),
            place: places[k],
            kept: made.keep,
        };
        let results = step.results.iter().enumerate().map(result).collect();
        let kernel = if step.chain.is_some() { ops(self.list, &members) } else { self.name(step) };
        ExplainedStep { kernel, results, operands, flops, read, written, live: self.ledger.live() }
    }

    fn name(&self, step: &schedule::Step) -> String {
        self.list.nodes[step.results[0].position as usize].primitive().name().to_owned()
    }

    /// The outline of what a primitive makes.
    fn single(&self, step: &schedule::Step, memory: Memory, mut inputs: Inputs) -> Array {
        let node = &self.list.nodes[step.results[0].position as usize];
        let (spec, ledger) = (node.spec(), &self.ledger);
        // In the order in which the axes will lie in memory.
        let mut axes: SmallVec<[usize; 6]> = (0..spec.shape.len()).collect();
        if step.turned {
            axes[spec.shape.len() - 2..].reverse();
        }
        let new = || {
            let shape: Shape = axes.iter().map(|&axis| spec.shape[axis]).collect();
            Array::outline(shape, spec.dtype, ledger).permute(&axes)
        };
        match memory {
            Memory::New => new(),
            Memory::OverAny => outline_map(inputs, &spec.shape, spec.dtype, ledger),
            Memory::OverFirst if inputs[0].is_reusable() => inputs.swap_remove(0),
            Memory::OverFirst => new(),
            // Views of outlines are outlines.
            Memory::Shared => node.primitive().run(inputs, spec).unwrap_or_else(|_| new()),
        }
    }

    fn source(&self, position: u32) -> Source {
        match self.made[position as usize] {
            Some((step, result)) => Source::Made(step, result),
            None => Source::Given(self.list.nodes[position as usize].spec().clone()),
        }
    }
}

/// The bytes of an array's elements, repeated ones counted once.
fn distinct(x: &Array) -> u64 {
    let sizes = x.shape().iter().zip(x.strides()).map(|(&d, &stride)| if stride == 0 { d.min(1) } else { d });
    sizes.product::<usize>() as u64 * x.dtype().size() as u64
}

/// The nodes a step computes, in the order of the listing: those between its results and its operands.
fn members(list: &Listing, step: &schedule::Step) -> Vec<u32> {
    let mut found: Vec<u32> = step.results.iter().map(|made| made.position).collect();
    if step.chain.is_none() {
        return found;
    }
    let mut next = 0;
    while next < found.len() {
        for &x in &list.operands[found[next] as usize] {
            if !found.contains(&x) && step.operands.iter().all(|operand| operand.position != x) {
                found.push(x);
            }
        }
        next += 1;
    }
    found.sort_unstable();
    found
}

/// Ops named before a list of them is cut short.
const NAMED: usize = 8;

/// The ops that nodes belong to: each call once, and what rules added marked.
fn ops(list: &Listing, members: &[u32]) -> String {
    let mut calls: Vec<(&str, u64, usize)> = Vec::new();
    for &m in members {
        let site = list.nodes[m as usize].site();
        match calls.iter_mut().rev().find(|(op, call, _)| (*op, *call) == (site.op, site.call)) {
            Some((_, call, times)) => *times += usize::from(*call == 0),
            None => calls.push((site.op, site.call, 1)),
        }
    }
    let name = |&(op, call, times): &(&str, u64, usize)| {
        let mark = if call == 0 { "′" } else { "" };
        if times > 1 { format!("{op}{mark}×{times}") } else { format!("{op}{mark}") }
    };
    let mut names: Vec<String> = calls.iter().take(NAMED).map(name).collect();
    if calls.len() > NAMED {
        names.push(format!("{} more", calls.len() - NAMED));
    }
    names.join(" · ")
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Given(spec) => spec.fmt(f),
            Source::Made(step, 0) => write!(f, "#{}", step + 1),
            Source::Made(step, result) => write!(f, "#{}.{}", step + 1, result + 1),
        }
    }
}

impl ExplainedStep {
    /// True if it only shows an operand in another way, for later steps.
    fn is_view(&self) -> bool {
        self.results.iter().all(|result| matches!(result.place, Place::View(_)) && !result.kept)
    }
}

impl Explanation {
    /// An operand by the step that shows in the table: views stand for what they are views of.
    fn shown<'a>(&'a self, mut source: &'a Source, all: bool) -> &'a Source {
        while let Source::Made(step, result) = *source {
            let step = &self.steps[step];
            match step.results[result].place {
                Place::View(operand) if !all && step.is_view() => source = &step.operands[operand],
                _ => break,
            }
        }
        source
    }

    fn columns(&self, number: usize, all: bool) -> [String; 9] {
        let step = &self.steps[number];
        let list = |texts: Vec<String>| texts.join(", ");
        let operand = |source| self.shown(source, all).to_string();
        let place = |result: &ExplainedResult| {
            let place = match result.place {
                Place::New => "new".to_owned(),
                Place::View(k) => format!("view of {}", operand(&step.operands[k])),
                Place::Over(k) => format!("over {}", operand(&step.operands[k])),
            };
            if result.kept { place + ", kept" } else { place }
        };
        [
            format!("#{}", number + 1),
            step.kernel.clone(),
            list(step.results.iter().map(|r| r.spec.to_string()).collect()),
            list(step.operands.iter().map(operand).collect()),
            list(step.results.iter().map(place).collect()),
            scaled(step.flops, 1000, COUNTS),
            scaled(step.read, 1024, BYTES),
            scaled(step.written, 1024, BYTES),
            scaled(step.live as u64, 1024, BYTES),
        ]
    }
}

const COUNTS: [&str; 5] = ["", " k", " M", " G", " T"];
const BYTES: [&str; 5] = [" B", " KiB", " MiB", " GiB", " TiB"];

/// Three significant digits of a number and its unit.
fn scaled(n: u64, base: u64, units: [&str; 5]) -> String {
    let (mut x, mut unit) = (n as f64, 0);
    while x >= 999.5 && unit + 1 < units.len() {
        x /= base as f64;
        unit += 1;
    }
    let digits = if unit == 0 || x >= 99.95 {
        0
    } else if x >= 9.995 {
        1
    } else {
        2
    };
    format!("{x:.digits$}{}", units[unit])
}

/// The table, and a line of totals.
impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["step", "kernel", "result", "operands", "memory", "flops", "read", "written", "live"];
        let mut rows = vec![heads.map(str::to_owned)];
        let hidden = |step: &ExplainedStep| !f.alternate() && step.is_view();
        let shown = (0..self.steps.len()).filter(|&i| !hidden(&self.steps[i]));
        rows.extend(shown.map(|i| self.columns(i, f.alternate())));
        let width = |k: usize| rows.iter().map(|row| row[k].chars().count()).max().unwrap_or(0);
        let widths: [usize; 9] = std::array::from_fn(width);
        for row in &rows {
            let cell = |(k, text): (usize, &String)| {
                let pad = " ".repeat(widths[k] - text.chars().count());
                // Words to the left, numbers to the right.
                if (1..5).contains(&k) { format!("{text}{pad}") } else { format!("{pad}{text}") }
            };
            writeln!(f, "{}", row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  "))?;
        }
        let (steps, views) = (self.steps.len(), self.steps.len() + 1 - rows.len());
        write!(f, "{steps} {}", if steps == 1 { "step" } else { "steps" })?;
        if views > 0 {
            write!(f, " ({views} of them views, not shown)")?;
        }
        write!(f, ", {}flops, ", spaced(scaled(self.flops(), 1000, COUNTS)))?;
        let [read, written, peak] = [self.read(), self.written(), self.peak as u64].map(|n| scaled(n, 1024, BYTES));
        write!(f, "{read} read, {written} written, {peak} at most alive")
    }
}

/// `12 ` and `1.2 k`, for a unit to follow.
fn spaced(number: String) -> String {
    if number.ends_with(|c: char| c.is_ascii_digit()) { number + " " } else { number }
}
