//! Two graphs in one picture: what they have in common, what was added, and what was removed.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::layout::sequence;
use super::{Change, Node, Operand, Picture};

/// Candidates looked at for each node.
const CANDIDATES: usize = 64;

/// The picture of what became of `before` in `after`.
///
/// Nodes are paired from the leaves up: first those made alike from alike operands, then those of the same op and shape,
/// then those of the same op. Every drawing of the result marks what was added (`+`), removed (`-`) and changed (`~`).
/// ```
/// use covector::Tensor;
/// use covector_trace::Notes;
/// use covector_trace::draw::{Look, Options, Picture, diff};
/// let x = Tensor::from([1.0, 2.0]);
/// let mut notes = Notes::default();
/// notes.name(&x, "x");
/// let picture = |y: Tensor| Picture::of(&y, &notes, &Options::default()).unwrap();
/// let both = diff(&picture(x.tanh()), &picture(x.exp().tanh()));
/// let text = both.listing(Look { width: 80, colour: false, ascii: false });
/// assert!(text.lines().any(|line| line.starts_with("+ ") && line.contains("%1 = exp(x)")));
/// ```
pub fn diff(before: &Picture, after: &Picture) -> Picture {
    let pairs = paired(&before.nodes, &after.nodes);
    let mut partner = vec![None; before.nodes.len()];
    pairs.iter().enumerate().for_each(|(j, i)| {
        if let Some(i) = i {
            partner[*i] = Some(j);
        }
    });
    // Removed nodes go behind the last one that stayed.
    let mut seats: Vec<(usize, usize, bool)> = (0..after.nodes.len()).map(|j| (2 * j, j, true)).collect();
    let mut last = 0;
    for (i, partner) in partner.iter().enumerate() {
        match partner {
            Some(j) => last = 2 * j + 1,
            None => seats.push((last, i, false)),
        }
    }
    seats.sort();
    let at = |from: bool| -> HashMap<usize, usize> {
        let own = seats.iter().enumerate().filter(|(_, s)| s.2 == from);
        own.map(|(k, s)| (s.1, k)).collect()
    };
    let (new, old) = (at(true), at(false));
    let of_old = |i: usize| partner[i].map_or_else(|| old[&i], |j| new[&j]);
    let mut nodes = Vec::with_capacity(seats.len());
    let mut paths = Vec::with_capacity(seats.len());
    for &(_, k, is_new) in &seats {
        if !is_new {
            let operands = before.nodes[k].operands.iter().map(|o| bare(of_old(o.node), Change::Removed)).collect();
            nodes.push(Node { operands, change: Change::Removed, ..before.nodes[k].clone() });
            paths.push(before.path(k));
            continue;
        }
        let node = &after.nodes[k];
        let mut operands: Vec<Operand> = node.operands.iter().map(|o| bare(new[&o.node], Change::Added)).collect();
        let mut change = Change::Added;
        if let Some(i) = pairs[k] {
            let was = &before.nodes[i];
            change = if alike(was, node) { Change::Same } else { Change::Changed };
            for operand in &was.operands {
                let from = of_old(operand.node);
                match operands.iter_mut().find(|o| o.node == from && o.change == Change::Added) {
                    Some(same) => same.change = Change::Same,
                    None => operands.push(bare(from, Change::Removed)),
                }
            }
        }
        let spec = match pairs[k].map(|i| &before.nodes[i].spec) {
            Some(was) if *was != node.spec => format!("{was} → {}", node.spec),
            _ => node.spec.clone(),
        };
        nodes.push(Node { operands, change, spec, gradient: None, ..node.clone() });
        paths.push(after.path(k));
    }
    let (nodes, paths) = ordered(nodes, paths);
    let mut both = Picture::arranged(nodes, &paths, after.options.clone());
    both.compares = true;
    both
}

fn bare(node: usize, change: Change) -> Operand {
    Operand { node, rule: None, term: None, change }
}

fn alike(a: &Node, b: &Node) -> bool {
    (&a.op, &a.spec, &a.settings, a.kind) == (&b.op, &b.spec, &b.settings, b.kind)
}

/// The nodes with operands before their users, as far as that is possible.
fn ordered(nodes: Vec<Node>, paths: Vec<Vec<String>>) -> (Vec<Node>, Vec<Vec<String>>) {
    let arrows: Vec<(usize, usize)> =
        nodes.iter().enumerate().flat_map(|(u, n)| n.operands.iter().map(move |o| (o.node, u))).collect();
    let order = sequence(nodes.len(), &arrows);
    let mut place = vec![0; nodes.len()];
    order.iter().enumerate().for_each(|(k, &i)| place[i] = k);
    let moved = |i: usize| {
        let mut node = nodes[i].clone();
        node.operands.iter_mut().for_each(|o| o.node = place[o.node]);
        node
    };
    (order.iter().map(|&i| moved(i)).collect(), order.iter().map(|&i| paths[i].clone()).collect())
}

/// For each node of the second graph its partner in the first.
fn paired(before: &[Node], after: &[Node]) -> Vec<Option<usize>> {
    let mut pairs = vec![None; after.len()];
    let mut taken = vec![false; before.len()];
    for keys in [structures, of_ops_and_shapes, of_ops] {
        let (old, new) = (keys(before), keys(after));
        let mut free: HashMap<u64, Vec<usize>> = HashMap::new();
        for i in (0..before.len()).filter(|&i| !taken[i]) {
            free.entry(old[i]).or_default().push(i);
        }
        for j in 0..after.len() {
            if pairs[j].is_some() {
                continue;
            }
            let Some(candidates) = free.get_mut(&new[j]).filter(|c| !c.is_empty()) else { continue };
            let kept = |i: usize| {
                let partners = after[j].operands.iter().filter_map(|o| pairs[o.node]);
                partners.filter(|&p| before[i].operands.iter().any(|o| o.node == p)).count()
            };
            let scored = candidates.iter().take(CANDIDATES).enumerate().map(|(k, &i)| (kept(i), std::cmp::Reverse(k)));
            let Some((_, std::cmp::Reverse(k))) = scored.max() else { continue };
            let i = candidates.remove(k);
            pairs[j] = Some(i);
            taken[i] = true;
        }
    }
    pairs
}

/// For each node a hash of how it is made, down to the leaves.
fn structures(nodes: &[Node]) -> Vec<u64> {
    let mut hashes: Vec<u64> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let operands: Vec<u64> = node.operands.iter().map(|o| hashes.get(o.node).copied().unwrap_or(0)).collect();
        hashes.push(hashed(&(&node.op, &node.spec, &node.settings, leaf_name(node), operands)));
    }
    hashes
}

/// For each node a hash of its op, shape and settings, and of its name if it is a leaf.
fn of_ops_and_shapes(nodes: &[Node]) -> Vec<u64> {
    nodes.iter().map(|n| hashed(&(&n.op, &n.spec, &n.settings, leaf_name(n)))).collect()
}

/// For each node a hash of its op, and of its name if it is a leaf.
fn of_ops(nodes: &[Node]) -> Vec<u64> {
    nodes.iter().map(|n| hashed(&(&n.op, leaf_name(n)))).collect()
}

fn leaf_name(node: &Node) -> &str {
    if node.operands.is_empty() && node.named { &node.label } else { "" }
}

fn hashed(key: &impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    key.hash(&mut hash);
    hash.finish()
}

impl Picture {
    /// The names of the modules a node stands in, from the outside inwards.
    pub(super) fn path(&self, i: usize) -> Vec<String> {
        let mut at = self.nodes[i].module;
        let mut path = Vec::new();
        while at != 0 {
            if !self.modules[at].repeats() {
                path.push(self.modules[at].name.clone());
            }
            at = self.modules[at].parent;
        }
        path.reverse();
        path
    }
}
