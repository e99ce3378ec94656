//! From a listing to steps: which nodes run together, and where each value is used last.

use covector_array::kernels::{Chain, Link, Source};
use smallvec::SmallVec;

use crate::primitive::Class;
use crate::walk::Listing;

/// What has to be done, in order; says nothing of the values, so it serves every graph of the same structure.
#[derive(Debug)]
pub(crate) struct Plan {
    pub steps: Vec<Step>,
}

/// Computes one node, with those that only it uses if they form a chain.
#[derive(Debug)]
pub(crate) struct Step {
    /// Of the node whose value the step leaves in its slot.
    pub position: u32,
    pub operands: SmallVec<[Operand; 3]>,
    /// The elementwise steps to run as one pass; `None` for a single primitive.
    pub chain: Option<Chain>,
    /// True if the value is stored in its node.
    pub keep: bool,
    /// True if a later step uses the value.
    pub used: bool,
}

/// A value a step reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub position: u32,
    /// True if no later step reads it: the kernel then owns it.
    pub last: bool,
}

/// More links than this make no chain faster, and their tiles leave the first-level cache.
const MOST_LINKS: usize = 24;

/// Marks the node as the end of its own step.
const ALONE: u32 = u32::MAX;

impl Plan {
    /// Plans the nodes of a listing; `keep` says which values must be stored.
    pub fn new(list: &Listing, keep: &[bool]) -> Plan {
        Plan::from_ends(list, keep, chain_ends(list, keep))
    }

    /// As [`new`](Self::new), with every primitive in a step of its own.
    pub fn stepwise(list: &Listing, keep: &[bool]) -> Plan {
        Plan::from_ends(list, keep, vec![ALONE; list.nodes.len()])
    }

    fn from_ends(list: &Listing, keep: &[bool], ends: Vec<u32>) -> Plan {
        let mut members: Vec<SmallVec<[u32; 8]>> = vec![SmallVec::new(); list.nodes.len()];
        for (i, &end) in ends.iter().enumerate().filter(|&(_, &end)| end != ALONE) {
            members[end as usize].push(i as u32);
        }
        let runs = |i: &usize| !is_leaf(list, *i) && (ends[*i] == ALONE || ends[*i] == *i as u32);
        let mut steps: Vec<Step> =
            (0..list.nodes.len()).filter(runs).map(|i| step(list, i, &members[i], keep[i])).collect();
        mark_last_uses(&mut steps, list.nodes.len());
        Plan { steps }
    }
}

fn is_leaf(list: &Listing, i: usize) -> bool {
    list.operands[i].is_empty() && list.nodes[i].is_evaluated()
}

/// For each node the last node of the chain it belongs to; [`ALONE`] if it belongs to none.
///
/// A node joins the chain of its users if they all are in one chain of its shape and its value is not kept: it then
/// exists only as tiles.
fn chain_ends(list: &Listing, keep: &[bool]) -> Vec<u32> {
    let n = list.nodes.len();
    let mut ends = vec![ALONE; n];
    let mut links = vec![0usize; n];
    // The one chain all users seen so far are in; `None` before the first, ALONE after a disagreement.
    let mut users: Vec<Option<u32>> = vec![None; n];
    for i in (0..n).rev() {
        let chained = !is_leaf(list, i) && can_chain(list, i);
        if chained {
            let joined = users[i].filter(|&end| {
                let fits = |end: usize| list.nodes[end].shape() == list.nodes[i].shape() && links[end] < MOST_LINKS;
                end != ALONE && !keep[i] && fits(end as usize)
            });
            ends[i] = joined.unwrap_or(i as u32);
            links[ends[i] as usize] += 1;
        }
        for &operand in &list.operands[i] {
            let user = &mut users[operand as usize];
            *user = match *user {
                None => Some(ends[i]),
                Some(end) if end == ends[i] => Some(end),
                Some(_) => Some(ALONE),
            };
        }
    }
    ends
}

fn can_chain(list: &Listing, i: usize) -> bool {
    let node = &list.nodes[i];
    let Some(&key) = list.operands[i].last() else { return false };
    node.primitive().class() == Class::Elementwise
        && node.primitive().tile_kernel(list.nodes[key as usize].dtype()).is_some()
}

fn step(list: &Listing, i: usize, members: &[u32], keep: bool) -> Step {
    let single = || Step {
        position: i as u32,
        operands: list.operands[i].iter().map(|&position| Operand { position, last: false }).collect(),
        chain: None,
        keep,
        used: false,
    };
    if members.len() < 2 {
        return single();
    }
    let mut operands: SmallVec<[Operand; 3]> = SmallVec::new();
    let mut links = Vec::new();
    for &member in members {
        let sources = list.operands[member as usize].iter().map(|&position| {
            if let Ok(link) = members.binary_search(&position) {
                return Source::Link(link);
            }
            let known = operands.iter().position(|o| o.position == position);
            Source::Input(known.unwrap_or_else(|| {
                operands.push(Operand { position, last: false });
                operands.len() - 1
            }))
        });
        let sources = sources.collect();
        let node = &list.nodes[member as usize];
        let key = list.operands[member as usize].last().map(|&k| list.nodes[k as usize].dtype());
        let kernel = key.and_then(|key| node.primitive().tile_kernel(key)).expect("members can chain");
        links.push(Link { kernel, sources, dtype: node.dtype() });
    }
    Step { position: i as u32, operands, chain: Some(Chain::new(links)), keep, used: false }
}

fn mark_last_uses(steps: &mut [Step], nodes: usize) {
    let mut used = vec![false; nodes];
    for step in steps.iter_mut().rev() {
        step.used = used[step.position as usize];
        // A value a step reads twice is moved at its second mention.
        for operand in step.operands.iter_mut().rev() {
            operand.last = !std::mem::replace(&mut used[operand.position as usize], true);
        }
    }
}
