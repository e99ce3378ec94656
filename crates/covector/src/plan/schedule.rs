//! From a listing to steps: in which order they run, and where each value is used last.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use covector_array::Shape;
use covector_array::kernels::{Chain, Link, LinkOp, Source};
use smallvec::SmallVec;

use super::again::Again;
use super::fuse::{Group, Groups, LONGEST_ROW, Role, is_repeat, is_splat};
use super::order::in_order;
use super::twins;
use crate::primitive::{Class, Fused};
use crate::walk::Listing;

/// What has to be done, in order; says nothing of the values, so it serves every graph of the same structure.
#[derive(Debug)]
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    /// How many values are held at a time.
    pub slots: usize,
}

/// Computes one node, or several in one pass.
#[derive(Debug)]
pub(crate) struct Step {
    pub operands: SmallVec<[Operand; 3]>,
    /// The nodes whose values the step leaves in their slots.
    pub results: SmallVec<[Made; 1]>,
    /// The pass, and its number of rows; `None` for a single primitive.
    pub chain: Option<(Chain, usize)>,
    /// True if the result is wanted with the last two axes exchanged in memory.
    pub turned: bool,
}

/// A value a step reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub position: u32,
    /// Where the value is held, or [`OUTSIDE`] for leaves.
    pub slot: u32,
    /// True if no later step reads it: the kernel then owns it.
    pub last: bool,
}

/// A value a step makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub position: u32,
    /// Where the value is held, or [`OUTSIDE`] if no later step uses it.
    pub slot: u32,
    /// True if the value is stored in its node.
    pub keep: bool,
}

/// A place in a loop over nodes or steps where planning may be given up, once in a while.
pub(super) fn pause(i: usize) {
    if i.is_multiple_of(1024) {
        covector_array::threads::pause();
    }
}

/// The slot of what no slot holds.
pub(super) const OUTSIDE: u32 = u32::MAX;

impl Plan {
    /// Plans the nodes of a listing; `keep` says which values must be stored.
    pub fn new(list: &Listing, keep: &[bool]) -> Plan {
        Plan::given(list, keep, &|_| false)
    }

    /// As [`new`](Self::new); `given` says of which leaves the plan may use the memory for something else.
    pub fn given(list: &Listing, keep: &[bool], given: &dyn Fn(usize) -> bool) -> Plan {
        match twins::shared(list, keep) {
            Some(shared) => Plan::fused(&shared, keep, given),
            None => Plan::fused(list, keep, given),
        }
    }

    /// As [`given`](Self::given), for a listing without twins, or one in which they are shared already.
    pub fn fused(list: &Listing, keep: &[bool], given: &dyn Fn(usize) -> bool) -> Plan {
        let all = Groups::new(list);
        let n = list.nodes.len();
        let again = Again::new(list, &all, keep);
        let groups = all.groups.iter().zip(&again.guests).enumerate().filter(|(_, (g, _))| !g.members.is_empty());
        let passed = |(i, (group, guests)): (usize, (&Group, &Vec<u32>))| {
            pause(i);
            pass(list, &all, group, guests, &again.shown, keep)
        };
        // What is neither kept nor read has a twin that stands for it.
        let mut used = keep.to_vec();
        list.operands.iter().flatten().for_each(|&x| used[x as usize] = true);
        let alone = (0..n).filter(|&i| !list.is_leaf(i) && used[i] && again.stands_alone(&all, i));
        let turned = turned(list, keep);
        // Steps are large: a list that outgrows its room several times leaves holes of hundreds of kilobytes.
        let mut steps: Vec<Step> = Vec::with_capacity(groups.clone().count() + alone.clone().count());
        steps.extend(groups.filter_map(passed));
        steps.extend(alone.map(|i| Step { turned: turned[i], ..single(list, i, keep[i]) }));
        Plan::in_order(list, steps, given)
    }

    /// As [`new`](Self::new), with every primitive in a step of its own.
    pub fn stepwise(list: &Listing, keep: &[bool]) -> Plan {
        let steps = (0..list.nodes.len()).filter(|&i| !list.is_leaf(i)).map(|i| single(list, i, keep[i])).collect();
        Plan::in_order(list, steps, &|_| false)
    }

    fn in_order(list: &Listing, steps: Vec<Step>, given: &dyn Fn(usize) -> bool) -> Plan {
        let n = list.nodes.len();
        let mut steps = in_order(list, steps, given);
        mark_last_uses(&mut steps, n);
        let slots = give_slots(&mut steps, n);
        Plan { steps, slots }
    }
}

/// For each product whether all that is done with it is to exchange its last two axes: then it is computed that way round,
/// so that the gradient of a weight that was used transposed lies in memory as the weight does.
fn turned(list: &Listing, keep: &[bool]) -> Vec<bool> {
    let n = list.nodes.len();
    // The one user of each node.
    let mut user: Vec<Option<usize>> = vec![None; n];
    let mut uses = vec![0u32; n];
    for i in 0..n {
        for &x in &list.operands[i] {
            user[x as usize] = Some(i);
            uses[x as usize] += 1;
        }
    }
    let mut turned = vec![false; n];
    for i in (0..n).rev().filter(|&i| !keep[i] && uses[i] == 1) {
        let (node, next) = (&list.nodes[i], user[i].expect("it is used"));
        let same_matrices = |to: &Shape| {
            let (from, a, b) = (node.shape(), node.ndim(), to.len());
            a >= 2 && b >= 2 && from[a - 2..] == to[b - 2..]
        };
        turned[i] = match list.nodes[next].primitive().fused(node.dtype()) {
            Fused::Same => turned[next] && same_matrices(list.nodes[next].shape()),
            _ => list.nodes[next].primitive().exchanges_last_axes(),
        };
    }
    (0..n).filter(|&i| list.nodes[i].primitive().class() != Class::Contract).for_each(|i| turned[i] = false);
    turned
}

fn single(list: &Listing, i: usize, keep: bool) -> Step {
    let operands = list.operands[i].iter().map(|&position| Operand { position, slot: OUTSIDE, last: false }).collect();
    let made = Made { position: i as u32, slot: OUTSIDE, keep };
    Step { operands, results: [made].into_iter().collect(), chain: None, turned: false }
}

/// The step of a group and its guests: a chain, or a single primitive if only one of them computes; `None` if nobody reads
/// what the group makes.
fn pass(list: &Listing, all: &Groups, group: &Group, guests: &[u32], shown: &[bool], keep: &[bool]) -> Option<Step> {
    let members = needed(list, all, group, guests, shown);
    let mut computing = members.iter().filter(|&&m| !matches!(all.roles[m as usize], Some(Role::Same) | None));
    match (computing.next(), computing.next()) {
        (None, _) => return None,
        // A fold to channels by itself would not ask for memory ahead.
        (Some(&only), None) if !all.folds_to_channels(only) => {
            return Some(single(list, only as usize, keep[only as usize]));
        }
        _ => {}
    }
    let row = row(list, group, &members);
    let mut operands: SmallVec<[Operand; 3]> = SmallVec::new();
    let mut narrow_inputs = Vec::new();
    let mut links: Vec<Link> = Vec::new();
    let mut results: SmallVec<[Made; 1]> = SmallVec::new();
    let mut outputs = Vec::new();
    // For inputs that are repeated along rows the links that do so.
    let mut repeated: Vec<(usize, usize)> = Vec::new();
    // Where each member's value is found.
    let mut found: Vec<(u32, Source)> = Vec::new();
    for &m in &members {
        let i = m as usize;
        let own = guests.binary_search(&m).is_err();
        let narrow = own && all.narrow[i];
        let op = match all.roles[i].expect("members have roles") {
            Role::Link(op, _) | Role::Final(op, _) => Some(op),
            Role::Repeat(_) => Some(LinkOp::Repeat),
            Role::Same => None,
        };
        // A fold reads full rows and a repetition narrow ones; all others read what they write.
        let reads_narrow = match op {
            Some(LinkOp::Fold(_)) => false,
            Some(op) if op.is_final() => false,
            Some(LinkOp::Repeat) => true,
            _ => narrow,
        };
        let mut sources: SmallVec<[Source; 3]> = SmallVec::new();
        for &x in &list.operands[i] {
            if let Ok(at) = found.binary_search_by_key(&x, |(m, _)| *m) {
                sources.push(found[at].1);
                continue;
            }
            // One element for each row is read as that, and repeated: kernels take it as it is.
            let spread = !reads_narrow && row > 1 && is_same_along_rows(list, x as usize, row);
            let narrow = reads_narrow || spread;
            let known = (0..operands.len()).find(|&k| operands[k].position == x && narrow_inputs[k] == narrow);
            let input = known.unwrap_or_else(|| {
                operands.push(Operand { position: x, slot: OUTSIDE, last: false });
                narrow_inputs.push(narrow);
                operands.len() - 1
            });
            sources.push(match repeated.iter().find(|(k, _)| *k == input) {
                _ if !spread => Source::Input(input),
                Some((_, link)) => Source::Link(*link),
                None => {
                    let (sources, dtype) =
                        ([Source::Input(input)].into_iter().collect(), list.nodes[x as usize].dtype());
                    links.push(Link { op: LinkOp::Repeat, sources, dtype, narrow: false });
                    repeated.push((input, links.len() - 1));
                    Source::Link(links.len() - 1)
                }
            });
        }
        let Some(op) = op else {
            found.push((m, sources[0]));
            continue;
        };
        links.push(Link { op, sources, dtype: list.nodes[i].dtype(), narrow });
        found.push((m, Source::Link(links.len() - 1)));
        if own && shown[i] && !matches!(op, LinkOp::Repeat) {
            outputs.push(links.len() - 1);
            results.push(Made { position: m, slot: OUTSIDE, keep: keep[i] });
        }
    }
    let rows = group.size / row;
    let numbers: Vec<usize> = (0..operands.len()).filter(|&k| is_one(list, operands[k].position as usize)).collect();
    let chain = Some((Chain::with_numbers(links, outputs, row, narrow_inputs, &numbers), rows));
    Some(Step { operands, results, chain, turned: false })
}

/// The length of rows of a pass: where nothing is folded, that along which something it reads repeats single elements.
fn row(list: &Listing, group: &Group, members: &[u32]) -> usize {
    if group.row > 1 {
        return group.row;
    }
    let read = members.iter().flat_map(|&m| &list.operands[m as usize]).map(|&x| x as usize);
    let run = |x: usize| {
        let shape = list.nodes[x].shape();
        shape[shape.len() - repeated_axes(list, x)..].iter().product::<usize>()
    };
    let fits = |&row: &usize| SPREAD.contains(&row) && row.is_multiple_of(*SPREAD.start()) && row < group.size;
    read.filter(|&x| list.nodes[x].size() == group.size).map(run).filter(fits).min().unwrap_or(1)
}

/// Elements of a row for whose sake a pass that folds nothing has rows: whole vectors, and not too many.
const SPREAD: RangeInclusive<usize> = 256..=LONGEST_ROW;

/// How many trailing axes there are along which a node, which no pass computes, repeats one element.
fn repeated_axes(list: &Listing, i: usize) -> usize {
    let node = &list.nodes[i];
    let Some(&source) = list.operands[i].first().filter(|_| is_repeat(node)) else { return 0 };
    let from = list.nodes[source as usize].shape();
    // Axes that the source lacks stand in front.
    let ones = from.iter().rev().take_while(|&&d| d == 1).count();
    if ones == from.len() { node.ndim() } else { ones }
}

/// True if such a node is one number everywhere.
fn is_one(list: &Listing, i: usize) -> bool {
    let node = &list.nodes[i];
    if list.is_leaf(i) { is_splat(node) } else { node.ndim() > 0 && repeated_axes(list, i) == node.ndim() }
}

/// True if such a node repeats one element along every row of this length.
fn is_same_along_rows(list: &Listing, i: usize, row: usize) -> bool {
    let to = list.nodes[i].shape();
    let behind = |axes: &usize| to[to.len() - axes..].iter().product::<usize>();
    (0..=repeated_axes(list, i)).find(|axes| behind(axes) >= row).is_some_and(|axes| behind(&axes) == row)
}

/// Members and guests of a group from which what it shows is made, in the order of the listing.
fn needed(list: &Listing, all: &Groups, group: &Group, guests: &[u32], shown: &[bool]) -> Vec<u32> {
    let computes = |m: u32| matches!(all.roles[m as usize], Some(Role::Link(..) | Role::Final(..)));
    let mut wanted: HashSet<u32> =
        group.members.iter().copied().filter(|&m| shown[m as usize] && computes(m)).collect();
    let mut members: Vec<u32> = group.members.iter().chain(guests).copied().collect();
    members.sort_unstable();
    for m in members.iter().rev() {
        if wanted.contains(m) {
            wanted.extend(&list.operands[*m as usize]);
        }
    }
    members.retain(|m| wanted.contains(m));
    members
}

fn mark_last_uses(steps: &mut [Step], nodes: usize) {
    let mut used = vec![false; nodes];
    for step in steps.iter_mut().rev() {
        // A value a step reads twice is moved at its second mention.
        for operand in step.operands.iter_mut().rev() {
            operand.last = !std::mem::replace(&mut used[operand.position as usize], true);
        }
    }
}

/// Gives every value that a later step reads a slot, until its last use; returns the number of slots.
fn give_slots(steps: &mut [Step], nodes: usize) -> usize {
    let mut used = vec![false; nodes];
    steps.iter().flat_map(|step| &step.operands).for_each(|operand| used[operand.position as usize] = true);
    let mut slot_of = vec![OUTSIDE; nodes];
    let (mut free, mut slots) = (Vec::new(), 0);
    for step in steps {
        for operand in &mut step.operands {
            operand.slot = slot_of[operand.position as usize];
            if operand.last && operand.slot != OUTSIDE {
                free.push(operand.slot);
            }
        }
        for made in step.results.iter_mut().filter(|made| used[made.position as usize]) {
            made.slot = free.pop().unwrap_or_else(|| {
                slots += 1;
                slots - 1
            });
            slot_of[made.position as usize] = made.slot;
        }
    }
    slots as usize
}
