//! Where things go: layers from left to right, and in each an order with few crossings.
//!
//! Every module is laid out by itself, with its children as single boxes and a port on its border for every value that
//! enters or leaves. So the order never depends on what stands open, and opening a module moves its neighbours but does
//! not shuffle them. Coordinates follow from the sizes of what stands open: see [`place`](place::place).

mod layers;
mod order;
pub(super) mod place;

use std::collections::HashMap;

use super::modules::Module;
use super::{Change, Node, Operand};
pub(super) use layers::sequence;

/// What has a place in a layer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Item {
    Node(usize),
    Module(usize),
    /// The port of a value that enters.
    In(usize),
    /// The port of a value that leaves.
    Out(usize),
    /// Where the line of a value that passes a layer goes through.
    Bend(usize),
}

/// A line between neighbouring layers. Lines of one value from one place share it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Piece {
    pub from: usize,
    pub to: usize,
    pub value: usize,
    /// Which port it leaves and enters by, where the item is a module.
    pub ports: (usize, usize),
    pub flow: Flow,
}

/// What a line carries beside its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Flow {
    /// True if a gradient comes back along it.
    pub back: bool,
    /// What became of it in the second of two graphs.
    pub change: Change,
}

impl Flow {
    fn of(operand: &Operand) -> Flow {
        Flow { back: operand.term.is_some(), change: operand.change }
    }

    /// The two on one line: it is as before if either is.
    fn join(&mut self, other: Flow) {
        self.back |= other.back;
        if self.change != other.change {
            self.change = Change::Same;
        }
    }
}

/// What a value is wanted for inside one module.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub value: usize,
    pub from: usize,
    pub to: usize,
    pub ports: (usize, usize),
    pub flow: Flow,
    /// The pieces it consists of; none for one that runs in a lane below everything.
    pub pieces: Vec<usize>,
}

/// The layers of one module, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub items: Vec<Item>,
    pub layers: Vec<Vec<usize>>,
    pub pieces: Vec<Piece>,
    pub wires: Vec<Wire>,
}

impl Plan {
    /// The plan of a module from its nodes and children.
    pub fn of(m: usize, modules: &[Module], nodes: &[Node]) -> Plan {
        let within = |child: usize| {
            // The item of this module that holds another module.
            let mut at = child;
            while at != m {
                if modules[at].parent == m {
                    return Some(Item::Module(at));
                }
                if at == 0 {
                    return None;
                }
                at = modules[at].parent;
            }
            None
        };
        let mut held: HashMap<usize, Item> = HashMap::new();
        let item = |i: usize, held: &mut HashMap<usize, Item>| {
            if nodes[i].module == m { Some(Item::Node(i)) } else { held.get(&i).copied() }
        };
        for &i in modules[m].all.iter().filter(|&&i| nodes[i].module != m) {
            if let Some(child) = within(nodes[i].module) {
                held.insert(i, child);
            }
        }
        let mut draft = Draft::default();
        let mut items: Vec<(usize, Item)> = modules[m].nodes.iter().map(|&i| (i, Item::Node(i))).collect();
        items.extend(
            modules[m].children.iter().map(|&c| (modules[c].all.first().copied().unwrap_or(0), Item::Module(c))),
        );
        items.sort_by_key(|&(at, _)| at);
        items.iter().for_each(|&(_, item)| {
            draft.item(item);
        });
        for &u in &modules[m].all {
            for operand in &nodes[u].operands {
                let v = operand.node;
                let from = item(v, &mut held).unwrap_or(Item::In(v));
                let to = item(u, &mut held).unwrap_or(Item::Out(v));
                if from != to {
                    draft.wire(from, to, v, (v, v), Flow::of(operand));
                }
            }
        }
        for (v, flow) in leaving(m, modules, nodes) {
            if let Some(from) = item(v, &mut held) {
                draft.wire(from, Item::Out(v), v, (v, v), flow);
            }
        }
        draft.finish()
    }

    /// The plan of a module that repeats, with its first instance alone.
    pub fn of_one(m: usize, modules: &[Module], nodes: &[Node]) -> Plan {
        let first = modules[m].children[0];
        let instances: HashMap<usize, usize> = modules[m]
            .children
            .iter()
            .flat_map(|&c| modules[c].all.iter().copied().enumerate().map(|(k, i)| (i, k)))
            .collect();
        let twin = |i: usize| instances.get(&i).map(|&k| modules[first].all[k]);
        let mut draft = Draft::default();
        let one = Item::Module(first);
        draft.item(one);
        for &u in &modules[m].all {
            for (k, operand) in nodes[u].operands.iter().enumerate().filter(|(_, o)| twin(o.node).is_none()) {
                let v = operand.node;
                // The instance drawn may read another value at this place.
                let port = twin(u).and_then(|t| nodes[t].operands.get(k)).map_or(v, |o| o.node);
                if twin(port).is_none() {
                    draft.wire(Item::In(v), one, v, (v, port), Flow::of(operand));
                }
            }
        }
        for (v, flow) in leaving(m, modules, nodes) {
            draft.wire(one, Item::Out(v), v, (twin(v).unwrap_or(v), v), flow);
        }
        draft.finish()
    }
}

/// The values made in a module and read outside, in order, and what else flows there.
fn leaving(m: usize, modules: &[Module], nodes: &[Node]) -> Vec<(usize, Flow)> {
    if m == 0 {
        return Vec::new();
    }
    let mut found: Vec<(usize, Flow)> = Vec::new();
    let mut at: HashMap<usize, usize> = HashMap::new();
    let all = &modules[m].all;
    for (_, node) in nodes.iter().enumerate().filter(|(u, _)| all.binary_search(u).is_err()) {
        for operand in node.operands.iter().filter(|o| all.binary_search(&o.node).is_ok()) {
            let k = *at.entry(operand.node).or_insert(found.len());
            if k == found.len() {
                found.push((operand.node, Flow::of(operand)));
            }
            found[k].1.join(Flow::of(operand));
        }
    }
    found.sort_by_key(|(v, _)| *v);
    found
}

/// A plan in the making.
#[derive(Default)]
struct Draft {
    items: Vec<Item>,
    places: HashMap<Item, usize>,
    wires: Vec<Wire>,
    known: HashMap<(usize, usize, usize), usize>,
}

impl Draft {
    fn item(&mut self, item: Item) -> usize {
        let next = self.items.len();
        let at = *self.places.entry(item).or_insert(next);
        if at == next {
            self.items.push(item);
        }
        at
    }

    fn wire(&mut self, from: Item, to: Item, value: usize, ports: (usize, usize), flow: Flow) {
        let (from, to) = (self.item(from), self.item(to));
        let next = self.wires.len();
        let at = *self.known.entry((from, to, value)).or_insert(next);
        if at == next {
            self.wires.push(Wire { value, from, to, ports, flow, pieces: Vec::new() });
        }
        self.wires[at].flow.join(flow);
    }

    fn finish(self) -> Plan {
        let mut plan = layers::layered(self.items, self.wires);
        order::order(&mut plan);
        plan
    }
}
