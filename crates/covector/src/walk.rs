//! From the graph to a flat list: nodes in dependency order with integer operands. Never recursive.

use std::collections::HashMap;

use covector_array::threads;
use smallvec::SmallVec;

use crate::Tensor;
use crate::tensor::Operands;

/// Positions in a listing.
pub(crate) type Positions = SmallVec<[u32; 3]>;

/// Nodes in an order in which every operand stands before its users.
#[derive(Clone, Default)]
pub(crate) struct Listing {
    pub nodes: Vec<Tensor>,
    /// For each node the positions of its operands; empty for nodes the walk did not look into.
    pub operands: Vec<Positions>,
    /// True if leaves without a value are arguments, whose values are given when the listed nodes are computed.
    pub open: bool,
    places: Places,
}

/// A node on the way down: those of its operands that may not be listed yet, the next one last, and who all are.
struct Visit {
    node: Tensor,
    rest: Operands,
    ids: SmallVec<[u64; 3]>,
}

impl Listing {
    /// Lists `targets` and everything they were made from, looking into a node only where `enter` says so.
    pub fn walk(targets: &[Tensor], mut enter: impl FnMut(&Tensor) -> bool) -> Listing {
        let mut list = Listing::default();
        let mut stack: Vec<Visit> = Vec::new();
        for target in targets {
            list.visit(target.clone(), &mut enter, &mut stack);
            while let Some(top) = stack.last_mut() {
                if let Some(operand) = top.rest.pop() {
                    list.visit(operand, &mut enter, &mut stack);
                } else if let Some(done) = stack.pop() {
                    let find = |&id| list.places.get(&list.nodes, id).expect("operands are listed before their users");
                    let listed = done.ids.iter().map(find).collect();
                    list.push(done.node, listed);
                }
            }
        }
        list
    }

    /// Goes down to the first node all of whose operands are listed, and lists it; those above it are put on the stack.
    fn visit(&mut self, mut node: Tensor, enter: &mut impl FnMut(&Tensor) -> bool, stack: &mut Vec<Visit>) {
        if self.find(&node).is_some() {
            return;
        }
        loop {
            let (mut rest, mut ids, mut listed) = (Operands::new(), SmallVec::new(), Positions::new());
            if enter(&node) {
                node.with_inputs(|operands| {
                    for x in operands {
                        match self.find(x) {
                            Some(i) => listed.push(i as u32),
                            None => rest.push(x.clone()),
                        }
                    }
                    if !rest.is_empty() {
                        rest.reverse();
                        ids.extend(operands.iter().map(Tensor::id));
                    }
                });
            }
            let Some(next) = rest.pop() else { return self.push(node, listed) };
            stack.push(Visit { node, rest, ids });
            node = next;
        }
    }

    fn push(&mut self, node: Tensor, operands: Positions) {
        self.nodes.push(node);
        if self.nodes.len().is_multiple_of(1024) {
            threads::pause();
        }
        self.operands.push(operands);
        self.places.note(&self.nodes);
    }

    /// True if the value of a node comes from outside: it is known, or an argument to be given.
    pub fn is_leaf(&self, i: usize) -> bool {
        self.operands[i].is_empty() && (self.nodes[i].is_evaluated() || self.open)
    }

    /// Lets the users of small leaves of equal elements all read the first of them: a number that is written down a
    /// thousand times is then one input. For plans that are made once; the nodes stay listed.
    pub fn share_constants(&mut self) {
        let mut first = HashMap::new();
        let mut shared: Vec<u32> = (0..self.nodes.len() as u32).collect();
        for (i, node) in self.nodes.iter().enumerate().filter(|(i, _)| self.operands[*i].is_empty()) {
            let value = node.cached().filter(|value| value.size() * value.dtype().size() <= SHARED);
            if let Some(value) = value {
                shared[i] = *first.entry((node.spec(), value.to_bytes())).or_insert(i as u32);
            }
        }
        self.operands.iter_mut().flatten().for_each(|x| *x = shared[*x as usize]);
    }

    /// The position of a listed node.
    pub fn find(&self, node: &Tensor) -> Option<usize> {
        self.places.get(&self.nodes, node.id()).map(|i| i as usize)
    }
}

/// Bytes of a constant that is worth comparing with others.
const SHARED: usize = 1024;

impl Drop for Listing {
    fn drop(&mut self) {
        // Users first: then no node goes while the last handle on it is that of another that goes.
        while self.nodes.pop().is_some() {}
    }
}

/// Where each node is listed: a table with open places, at most half full, by the nodes' numbers.
#[derive(Clone, Default)]
struct Places {
    /// None as long as there are few nodes: looking through them is quicker.
    table: Vec<Place>,
    shift: u32,
}

/// The lower half of a node's number, and its position, kept one higher: 0 is a free place.
#[derive(Clone, Copy, Default)]
struct Place {
    key: u32,
    next: u32,
}

/// So many nodes are found by looking through them.
const FEW: usize = 8;
/// Nodes are made one after another, and so many neighbours lie side by side: two cache lines.
const SIDE_BY_SIDE: u64 = 16;

impl Places {
    fn get(&self, nodes: &[Tensor], id: u64) -> Option<u32> {
        if self.table.is_empty() {
            return nodes.iter().position(|t| t.id() == id).map(|i| i as u32);
        }
        let mut at = self.start(id);
        loop {
            let Place { key, next } = self.table[at];
            let position = next.checked_sub(1)?;
            if key == id as u32 && nodes[position as usize].id() == id {
                return Some(position);
            }
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    /// Where the search for a node begins: multiplied by the golden ratio, groups of neighbours fall far from one another.
    fn start(&self, id: u64) -> usize {
        let group = (id / SIDE_BY_SIDE).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift;
        (group * SIDE_BY_SIDE + id % SIDE_BY_SIDE) as usize
    }

    /// Notes the last node.
    fn note(&mut self, nodes: &[Tensor]) {
        let n = nodes.len();
        if n <= FEW {
            return;
        }
        let known = if 2 * n > self.table.len() {
            let size = (8 * n).next_power_of_two();
            self.table = vec![Place::default(); size];
            self.shift = u64::BITS - (size as u64 / SIDE_BY_SIDE).trailing_zeros();
            0
        } else {
            n - 1
        };
        for (i, node) in nodes.iter().enumerate().skip(known) {
            let mut at = self.start(node.id());
            while self.table[at].next != 0 {
                at = (at + 1) & (self.table.len() - 1);
            }
            self.table[at] = Place { key: node.id() as u32, next: i as u32 + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_stand_before_their_users_and_are_found_in_graphs_of_any_size() {
        for n in [1, 2, 7, 8, 9, 16, 17, 100, 1000] {
            let mut all = vec![Tensor::from(1.0f32)];
            for i in 1..n {
                // Operands near and far, some used by many, some by none.
                all.push(&all[i - 1] + &all[(i * 7919) % i]);
            }
            let targets = [all[n / 2].clone(), all[n - 1].clone(), all[0].clone()];
            let list = Listing::walk(&targets, |_| true);
            assert_eq!(list.nodes.len(), n);
            for (i, node) in all.iter().enumerate() {
                let at = list.find(node).unwrap_or_else(|| panic!("node {i} of {n} is listed"));
                assert_eq!(list.nodes[at].id(), node.id());
                let listed: Vec<u64> = list.operands[at].iter().map(|&j| list.nodes[j as usize].id()).collect();
                let operands: Vec<u64> = node.inputs().iter().map(Tensor::id).collect();
                assert_eq!(listed, operands);
                assert!(list.operands[at].iter().all(|&j| (j as usize) < at));
            }
            assert_eq!(list.find(&Tensor::from(2.0f32)), None);
        }
    }
}
