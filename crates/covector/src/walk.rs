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
    /// True if leaves without a value are arguments, whose values are given when the listed nodes are computed.
    pub open: bool,
    /// Empty as long as there are few nodes: looking through them is quicker.
    position: HashMap<usize, u32, BuildHasherDefault<AddressHasher>>,
}

/// A node on the way down: those of its operands that may not be listed yet, the next one last, and the keys of all.
struct Visit {
    node: Tensor,
    rest: Operands,
    keys: SmallVec<[usize; 3]>,
}

/// So many nodes are found by looking through them.
const FEW: usize = 16;

impl Listing {
    /// Lists `targets` and everything they were made from, looking into a node only where `enter` says so.
    pub fn walk(targets: &[Tensor], mut enter: impl FnMut(&Tensor) -> bool) -> Listing {
        let mut list = Listing::default();
        let mut stack: Vec<Visit> = Vec::new();
        for target in targets {
            if list.find(target).is_some() {
                continue;
            }
            stack.push(list.visit(target.clone(), &mut enter));
            while let Some(top) = stack.last_mut() {
                if let Some(operand) = top.rest.pop() {
                    if list.find(&operand).is_none() {
                        stack.push(list.visit(operand, &mut enter));
                    }
                } else if let Some(done) = stack.pop() {
                    list.push(done.node, &done.keys);
                }
            }
        }
        list
    }

    fn visit(&self, node: Tensor, enter: &mut impl FnMut(&Tensor) -> bool) -> Visit {
        let (mut rest, mut keys) = (Operands::new(), SmallVec::new());
        if enter(&node) {
            node.with_inputs(|operands| {
                keys.extend(operands.iter().map(Tensor::key));
                rest.extend(operands.iter().rev().filter(|x| self.find(x).is_none()).cloned());
            });
        }
        Visit { node, rest, keys }
    }

    fn push(&mut self, node: Tensor, operands: &[usize]) {
        let at = self.nodes.len() as u32;
        let find = |&key: &usize| self.find_key(key).expect("operands are listed before their users");
        let listed = operands.iter().map(find).collect();
        if at as usize >= FEW {
            if self.position.is_empty() {
                let all = self.nodes.iter().enumerate().map(|(i, t)| (t.key(), i as u32));
                self.position.extend(all);
            }
            if self.position.len() == self.position.capacity() {
                self.position.reserve(3 * self.position.len());
            }
            self.position.insert(node.key(), at);
        }
        self.nodes.push(node);
        self.operands.push(listed);
    }

    /// True if the value of a node comes from outside: it is known, or an argument to be given.
    pub fn is_leaf(&self, i: usize) -> bool {
        self.operands[i].is_empty() && (self.nodes[i].is_evaluated() || self.open)
    }

    /// The position of a listed node.
    pub fn find(&self, node: &Tensor) -> Option<usize> {
        self.find_key(node.key()).map(|i| i as usize)
    }

    fn find_key(&self, key: usize) -> Option<u32> {
        if self.position.is_empty() {
            return self.nodes.iter().position(|t| t.key() == key).map(|i| i as u32);
        }
        self.position.get(&key).copied()
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
