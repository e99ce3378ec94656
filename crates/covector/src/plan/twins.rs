//! What is written down more than once: folds, such as a mean beside the mean within a variance, and single numbers, such as the
//! pace of an optimiser, which each parameter's update works out for itself.
//!
//! What a pass folds is there when it is over, and costs another pass to have again; a number costs a step. So of those that do the
//! same to the same operands one is computed, and all read it. Folds of rows within a pass cost nothing and are left alone.

use std::collections::HashMap;
use std::hash::Hasher;

use super::cache::Wide;
use super::fuse::{Role, role};
use super::schedule::pause;
use crate::primitive::Fused;
use crate::walk::Listing;

/// The listing in which users of twins read the first of them, and what nobody reads any more has no operands; `None`
/// if there are no twins. A twin that is kept stays.
pub(super) fn shared(list: &Listing, keep: &[bool]) -> Option<Listing> {
    let sought: Vec<usize> = (0..list.nodes.len()).filter(|&i| is_pass(list, i) || is_number(list, i)).collect();
    if sought.len() < 2 {
        return None;
    }
    let numbers = numbers(list);
    let mut first: HashMap<(u64, u64), u32> = HashMap::new();
    let mut instead: Vec<u32> = (0..list.nodes.len() as u32).collect();
    for i in sought {
        let known = *first.entry(numbers[i]).or_insert(i as u32);
        if !keep[i] {
            instead[i] = known;
        }
    }
    if instead.iter().enumerate().all(|(i, &x)| i == x as usize) {
        return None;
    }
    let mut shared = list.clone();
    shared.operands.iter_mut().flatten().for_each(|x| *x = instead[*x as usize]);
    let mut used = keep.to_vec();
    for (i, operands) in shared.operands.iter_mut().enumerate().rev() {
        if used[i] {
            operands.iter().for_each(|&x| used[x as usize] = true);
        } else {
            operands.clear();
        }
    }
    Some(shared)
}

/// True if a node folds its operand in a way that is known only when all of it has been read.
fn is_pass(list: &Listing, i: usize) -> bool {
    let Some(&x) = list.operands[i].first() else { return false };
    let folds = matches!(list.nodes[i].primitive().fused(list.nodes[x as usize].dtype()), Fused::Fold(..));
    folds && !matches!(role(list, i), Some(Role::Link(..)))
}

/// True if a node computes a single element.
fn is_number(list: &Listing, i: usize) -> bool {
    list.nodes[i].size() == 1 && !list.is_leaf(i)
}

/// For each node a number that says what it computes: from equal operands the same by the same kernel. Nodes that run by themselves
/// are like no other.
fn numbers(list: &Listing) -> Vec<(u64, u64)> {
    let mut numbers: Vec<(u64, u64)> = Vec::with_capacity(list.nodes.len());
    for (i, node) in list.nodes.iter().enumerate() {
        pause(i);
        let mut hasher = Wide::default();
        let operands = &list.operands[i];
        let key = operands.last().map(|&x| list.nodes[x as usize].dtype());
        if key.is_some_and(|key| !matches!(node.primitive().fused(key), Fused::No)) {
            hasher.write_usize(node.primitive().name().as_ptr() as usize);
            node.primitive().structural_hash(&mut hasher);
            hasher.write_u64(node.dtype() as u64);
            node.shape().iter().for_each(|&d| hasher.write_usize(d));
            for &x in operands {
                let (a, b) = numbers[x as usize];
                hasher.write_u64(a);
                hasher.write_u64(b);
            }
        } else {
            hasher.write_usize(i);
        }
        numbers.push(hasher.both());
    }
    numbers
}
