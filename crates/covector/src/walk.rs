//! From the graph to a flat list: nodes in dependency order with integer operands. Never recursive.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use smallvec::SmallVec;

use crate::Tensor;
use crate::tensor::Operands;

/// Positions in a listing.
pub(crate) type Positions = SmallVec<[u32; 3]>;

/// Nodes in an order in which every operand stands before its users.
#[derive(Default)]
pub(crate) struct Listing {
    pub nodes: Vec<Tensor>,
    /// For each node the positions of its operands; empty for nodes the walk did not look into.
    pub operands: Vec<Positions>,
    pub position: HashMap<usize, u32, BuildHasherDefault<AddressHasher>>,
}

impl Listing {
    /// Lists `targets` and everything they were made from, looking into a node only where `enter` says so.
    ///
    /// `enter` returns the node's operands, or `None` to list it as a leaf.
    pub fn walk(targets: &[Tensor], mut enter: impl FnMut(&Tensor) -> Option<Operands>) -> Listing {
        struct Visit {
            node: Tensor,
            operands: Operands,
            next: usize,
        }
        let mut list = Listing::default();
        let mut stack: Vec<Visit> = Vec::new();
        for target in targets {
            if list.position.contains_key(&target.key()) {
                continue;
            }
            stack.push(Visit { operands: enter(target).unwrap_or_default(), node: target.clone(), next: 0 });
            while let Some(top) = stack.last_mut() {
                if let Some(operand) = top.operands.get(top.next) {
                    top.next += 1;
                    if !list.position.contains_key(&operand.key()) {
                        let node = operand.clone();
                        stack.push(Visit { operands: enter(&node).unwrap_or_default(), node, next: 0 });
                    }
                } else if let Some(done) = stack.pop() {
                    list.push(done.node, &done.operands);
                }
            }
        }
        list
    }

    fn push(&mut self, node: Tensor, operands: &[Tensor]) {
        let at = self.nodes.len() as u32;
        let listed = operands.iter().map(|t| self.position[&t.key()]).collect();
        if self.position.insert(node.key(), at).is_none() {
            self.nodes.push(node);
            self.operands.push(listed);
        }
    }

    /// The position of a listed node.
    pub fn find(&self, node: &Tensor) -> Option<usize> {
        self.position.get(&node.key()).map(|&i| i as usize)
    }
}

/// Addresses are their own hash, spread by one multiplication.
#[derive(Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.write_usize(usize::from(b));
        }
    }
    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26);
    }
}
