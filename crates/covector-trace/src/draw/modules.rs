//! The tree of modules: whose nodes are whose, and which siblings repeat one structure.

use std::collections::HashMap;

use covector::draw::Part;

use super::{Kind, Node};
use crate::Notes;
use crate::homes::{between, common, modules_in};

/// A module of a picture. The first of all is the picture itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Module {
    pub name: String,
    pub parent: usize,
    /// The level it stands at; what repeats stands at that of its instances.
    pub depth: usize,
    /// The nodes that stand in it directly, in order.
    pub nodes: Vec<usize>,
    pub children: Vec<usize>,
    /// All nodes inside, in order.
    pub all: Vec<usize>,
    /// True for one that is made up of siblings of equal structure: its children.
    pub repeat: bool,
}

impl Module {
    /// True if the children are alike, so that one stands for all.
    pub fn repeats(&self) -> bool {
        self.repeat
    }

    /// The number of instances, of a module that repeats.
    pub fn times(&self) -> usize {
        self.children.len()
    }
}

/// For each node the modules it was made in: those noted, or, where nothing is noted, those its parameters' names tell of.
pub(super) fn paths(parts: &[Part], place: &[Option<usize>], nodes: &[Node], notes: &Notes) -> Vec<Vec<String>> {
    let drawn = parts.iter().zip(place).filter(|(_, at)| at.is_some());
    let mut paths: Vec<Vec<String>> = drawn.map(|(part, _)| notes.module_of(part.tensor()).to_vec()).collect();
    let leaf = |i: usize| nodes[i].operands.is_empty();
    if paths.iter().all(Vec::is_empty) {
        by_parameters(nodes, &mut paths);
    }
    // A parameter or constant stands where it is read; what the caller gives stands outside.
    let mut readers: Vec<Option<Vec<String>>> = vec![None; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        for operand in node.operands.iter().filter(|o| leaf(o.node)) {
            let met = readers[operand.node].take().map_or(paths[i].clone(), |have| common(&have, &paths[i]));
            readers[operand.node] = Some(met);
        }
    }
    for (i, path) in paths.iter_mut().enumerate() {
        if leaf(i) && path.is_empty() && nodes[i].kind != Kind::Input {
            *path = readers[i].take().unwrap_or_default();
        }
    }
    paths
}

/// Where the names of parameters have the paths of modules in them, every step's module is that of what it reads, or else
/// lies between its neighbours'.
fn by_parameters(nodes: &[Node], paths: &mut [Vec<String>]) {
    let mut known: Vec<Option<Vec<String>>> = vec![None; nodes.len()];
    let mut claimed = vec![false; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        let mut read: Option<Vec<String>> = None;
        for j in node.operands.iter().map(|o| o.node) {
            // A parameter that is shared, or the view of one, tells of the module of its first reader only.
            let path = match nodes[j].kind {
                _ if claimed[j] => continue,
                Kind::Parameter => modules_in(&nodes[j].label),
                Kind::View if nodes[j].operands.iter().all(|o| nodes[o.node].kind == Kind::Parameter) => {
                    known[j].clone().unwrap_or_default()
                }
                _ => continue,
            };
            claimed[j] = true;
            read = Some(read.map_or(path.clone(), |have| common(&have, &path)));
        }
        known[i] = read.filter(|path| !path.is_empty());
    }
    let made = |node: &Node| -> Vec<usize> {
        node.operands.iter().map(|o| o.node).filter(|&j| !nodes[j].kind.is_leaf()).collect()
    };
    paths.clone_from_slice(&between(&known, &nodes.iter().map(made).collect::<Vec<_>>()));
}

/// The tree of these paths, with siblings of equal structure put into a module of their own; tells every node its module.
pub(super) fn tree(nodes: &mut [Node], paths: &[Vec<String>]) -> Vec<Module> {
    let mut plain = vec![Module::default()];
    let mut places: HashMap<(usize, &str), usize> = HashMap::new();
    let mut homes = Vec::with_capacity(nodes.len());
    for (i, path) in paths.iter().enumerate() {
        let mut at = 0;
        plain[0].all.push(i);
        for name in path {
            let next = *places.entry((at, name)).or_insert(plain.len());
            if next == plain.len() {
                plain[at].children.push(next);
                plain.push(Module { name: name.clone(), parent: at, ..Module::default() });
            }
            at = next;
            plain[at].all.push(i);
        }
        plain[at].nodes.push(i);
        homes.push(at);
    }
    let signatures: Vec<u64> = (0..plain.len()).map(|m| signature(m, &plain, nodes, &homes)).collect();
    // Again from the root, now with what repeats: parents stand before their children.
    let mut tree: Vec<Module> = vec![Module { children: Vec::new(), ..plain[0].clone() }];
    let mut pending = std::collections::VecDeque::from([(0, 0)]);
    while let Some((old, new)) = pending.pop_front() {
        let mut children = &plain[old].children[..];
        while let Some(&first) = children.first() {
            let run = run(children, &plain, &signatures);
            let mut parent = new;
            if run > 1 {
                parent = tree.len();
                let all = children[..run].iter().flat_map(|&c| plain[c].all.iter().copied()).collect();
                let name = format!("{} … {}", plain[first].name, plain[children[run - 1]].name);
                let depth = tree[new].depth + 1;
                tree.push(Module { name, parent: new, depth, all, repeat: true, ..Module::default() });
                tree[new].children.push(parent);
            }
            for &child in &children[..run] {
                let (at, depth) = (tree.len(), tree[new].depth + 1);
                tree.push(Module { parent, depth, children: Vec::new(), ..plain[child].clone() });
                tree[parent].children.push(at);
                pending.push_back((child, at));
            }
            children = &children[run..];
        }
    }
    for (m, module) in tree.iter_mut().enumerate() {
        module.all.sort_unstable();
        module.nodes.iter().for_each(|&i| nodes[i].module = m);
    }
    tree
}

/// How many of these siblings, from the first, have one structure and consecutive numbers.
fn run(children: &[usize], modules: &[Module], signatures: &[u64]) -> usize {
    let split = |c: usize| {
        let name = &modules[c].name;
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        name[stem.len()..].parse::<usize>().ok().map(|n| (stem, n))
    };
    let Some((stem, first)) = split(children[0]) else { return 1 };
    let alike =
        |&(k, &c): &(usize, &usize)| split(c) == Some((stem, first + k)) && signatures[c] == signatures[children[0]];
    children.iter().enumerate().take_while(alike).count().max(1)
}

/// Equal for modules of equal structure: the same steps in the same order, made from the same places inside, from operands
/// of the same specs outside.
fn signature(m: usize, modules: &[Module], nodes: &[Node], homes: &[usize]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hash = DefaultHasher::new();
    let module = &modules[m];
    let inside: HashMap<usize, usize> = module.all.iter().enumerate().map(|(k, &i)| (i, k)).collect();
    let mut outside: Vec<usize> = Vec::new();
    let mut levels: HashMap<usize, usize> = HashMap::new();
    for &i in &module.all {
        let node = &nodes[i];
        let next = levels.len();
        (&node.op, &node.spec, &node.settings, levels.entry(homes[i]).or_insert(next)).hash(&mut hash);
        for operand in &node.operands {
            match inside.get(&operand.node) {
                Some(k) => (0, *k).hash(&mut hash),
                None => {
                    let known = outside.iter().position(|&o| o == operand.node);
                    let k = known.unwrap_or(outside.len());
                    if known.is_none() {
                        outside.push(operand.node);
                    }
                    (1, k, &nodes[operand.node].spec).hash(&mut hash);
                }
            }
        }
    }
    hash.finish()
}
