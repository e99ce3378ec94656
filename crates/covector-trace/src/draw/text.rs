//! Mermaid and DOT: the picture for other programs to lay out.

use std::fmt::Write;

use super::layout::Item;
use super::state::{Fold, State};
use super::write::{dot, mermaid};
use super::write::{in_brief, is_number};
use super::{Change, Node, Picture};

/// An arrow between boxes of a still picture: from, to, the gradient that comes back, what became of it.
type Arrow = (Item, Item, Option<String>, Change);

impl Picture {
    /// The picture as a Mermaid flowchart, modules as subgraphs.
    pub fn mermaid(&self) -> String {
        let state = self.folded();
        let mut out = String::from("flowchart LR\n");
        self.nested(
            &state,
            &mut out,
            1,
            &|out, pad, item| {
                let (label, open, close) = match item {
                    Item::Node(i) => {
                        let node = &self.nodes[i];
                        let (open, close) = if node.kind.is_leaf() { ("([", "])") } else { ("[", "]") };
                        (lines(node).iter().map(|l| mermaid(l)).collect::<Vec<_>>().join("<br>"), open, close)
                    }
                    Item::Module(m) => {
                        let label = format!("{}<br>{}", mermaid(&self.titled(m)), mermaid(&self.contents(m)));
                        (label, "[[", "]]")
                    }
                    _ => return,
                };
                let _ = writeln!(out, "{pad}{}{open}\"{label}\"{close}", name(item));
            },
            &|out, pad, m| {
                let _ = match m {
                    Some(m) => writeln!(out, "{pad}subgraph m{m}[\"{}\"]", mermaid(&self.titled(m))),
                    None => writeln!(out, "{pad}end"),
                };
            },
        );
        let arrows = self.arrows(&state);
        for (from, to, _, change) in &arrows {
            let arrow = match change {
                Change::Added => "==>",
                Change::Removed => "-.->|\"-\"|",
                Change::Same | Change::Changed => "-->",
            };
            let _ = writeln!(out, "    {} {arrow} {}", name(*from), name(*to));
        }
        for (from, to, back, _) in arrows.iter().rev() {
            let Some(back) = back else { continue };
            let label = if back.is_empty() { String::new() } else { format!("|\"{}\"|", mermaid(back)) };
            let _ = writeln!(out, "    {} -.->{label} {}", name(*to), name(*from));
        }
        out
    }

    /// The picture in the language of Graphviz, modules as clusters.
    pub fn dot(&self) -> String {
        let state = self.folded();
        let mut out =
            String::from("digraph {\n    rankdir=LR\n    node [shape=box style=rounded fontname=\"sans-serif\"]\n");
        self.nested(
            &state,
            &mut out,
            1,
            &|out, pad, item| {
                let (label, more) = match item {
                    Item::Node(i) => {
                        let node = &self.nodes[i];
                        let label = lines(node).iter().map(|l| dot(l)).collect::<Vec<_>>().join("\\n");
                        let leaf = if node.kind.is_leaf() { " shape=ellipse" } else { "" };
                        (label, format!("{leaf}{}", coloured(node.change)))
                    }
                    Item::Module(m) => {
                        (format!("{}\\n{}", dot(&self.titled(m)), dot(&self.contents(m))), " peripheries=2".to_owned())
                    }
                    _ => return,
                };
                let _ = writeln!(out, "{pad}{} [label=\"{label}\"{more}]", name(item));
            },
            &|out, pad, m| {
                let _ = match m {
                    Some(m) => writeln!(out, "{pad}subgraph cluster_m{m} {{ label=\"{}\"", dot(&self.titled(m))),
                    None => writeln!(out, "{pad}}}"),
                };
            },
        );
        let arrows = self.arrows(&state);
        for (from, to, _, change) in &arrows {
            let more = coloured(*change);
            let more = if more.is_empty() { String::new() } else { format!(" [{}]", more.trim()) };
            let _ = writeln!(out, "    {} -> {}{more}", name(*from), name(*to));
        }
        for (from, to, back, _) in arrows.iter().rev() {
            let Some(back) = back else { continue };
            let label = if back.is_empty() { String::new() } else { format!(" label=\"{}\"", dot(back)) };
            let _ = writeln!(out, "    {} -> {} [style=dotted constraint=false{label}]", name(*to), name(*from));
        }
        out + "}\n"
    }

    /// Writes the boxes of a state, those of open modules between the module's first and last line.
    fn nested(
        &self,
        state: &State,
        out: &mut String,
        depth: usize,
        each: &impl Fn(&mut String, &str, Item),
        bracket: &impl Fn(&mut String, &str, Option<usize>),
    ) {
        // What is still to be written, the next last; `None` ends a module.
        let items = |m: usize| self.plan(m, state).items.iter().rev().map(|&i| Some(i)).collect::<Vec<_>>();
        let (mut pending, mut depth) = (items(0), depth);
        while let Some(next) = pending.pop() {
            let Some(item) = next else {
                depth -= 1;
                bracket(out, &"    ".repeat(depth), None);
                continue;
            };
            match item {
                Item::Module(c) if state.0[c] != Fold::Closed => {
                    bracket(out, &"    ".repeat(depth), Some(c));
                    depth += 1;
                    pending.push(None);
                    pending.extend(items(c));
                }
                item => each(out, &"    ".repeat(depth), item),
            }
        }
    }

    /// A module's name, and how often it repeats.
    pub(super) fn titled(&self, m: usize) -> String {
        let module = self.module(m);
        match module.repeats() {
            true => format!("{} × {}", module.name, module.times()),
            false => module.name.clone(),
        }
    }

    /// The arrows between the boxes of a state, each once, in the order of their ends.
    pub(super) fn arrows(&self, state: &State) -> Vec<Arrow> {
        let standing = self.standing(state);
        let mut arrows: Vec<Arrow> = Vec::new();
        let mut known = std::collections::HashMap::new();
        for (u, node) in self.nodes.iter().enumerate() {
            for operand in &node.operands {
                let (Some(from), Some(to)) = (standing[operand.node], standing[u]) else { continue };
                if from == to {
                    continue;
                }
                let at = *known.entry((from, to)).or_insert(arrows.len());
                if at == arrows.len() {
                    arrows.push((from, to, None, operand.change));
                }
                if let Some((_, value)) = &operand.term {
                    // One number stands at its arrow; several together do not.
                    let number = value.clone().filter(|v| is_number(v) && arrows[at].2.is_none());
                    arrows[at].2 = Some(number.unwrap_or_default());
                }
            }
        }
        arrows
    }

    /// For every node the box that shows it: itself, a closed module, or that of the instance drawn for its own; none where
    /// what reads or made it is not drawn either.
    pub(super) fn standing(&self, state: &State) -> Vec<Option<Item>> {
        let mut standing: Vec<Option<Item>> = (0..self.nodes.len()).map(|i| Some(Item::Node(i))).collect();
        // From the inside outwards, so that the outermost closed module has the last word.
        for m in (1..self.modules.len()).rev() {
            let module = self.module(m);
            match state.0[m] {
                Fold::Closed => module.all.iter().for_each(|&i| standing[i] = Some(Item::Module(m))),
                Fold::One => {
                    for &other in &module.children[1..] {
                        let (first, other) = (&self.module(module.children[0]).all, &self.module(other).all);
                        for (&twin, &i) in first.iter().zip(other) {
                            // What an instance reads of the one before is not drawn.
                            standing[i] = if self.leaves_module(i, m) { standing[twin] } else { None };
                        }
                    }
                }
                Fold::Open => {}
            }
        }
        standing
    }

    /// True if somebody outside a module reads this node.
    fn leaves_module(&self, i: usize, m: usize) -> bool {
        self.plans[m].items.contains(&Item::Out(i))
    }
}

/// The name of a box in the other program's text.
fn name(item: Item) -> String {
    match item {
        Item::Module(m) => format!("m{m}"),
        Item::Node(i) | Item::In(i) | Item::Out(i) | Item::Bend(i) => format!("n{i}"),
    }
}

/// What a node's box says.
pub(super) fn lines(node: &Node) -> Vec<String> {
    let title = match (node.named, node.kind.is_leaf()) {
        (true, true) => node.label.clone(),
        (true, false) => format!("{} = {}", node.label, node.op),
        (false, _) => node.op.clone(),
    };
    let mut lines = vec![format!("{}{title}", mark(node.change)), node.spec.clone()];
    lines.extend(node.symbolic.clone());
    lines.extend(node.value.iter().map(|v| format!("data {}", in_brief(v))));
    lines.extend(node.gradient.iter().map(|g| format!("grad {}", in_brief(g))));
    lines
}

/// What stands before the name of what was added, removed or changed.
fn mark(change: Change) -> &'static str {
    ["", "~ ", "+ ", "- "][change as usize]
}

fn coloured(change: Change) -> &'static str {
    match change {
        Change::Same => "",
        Change::Changed => " color=goldenrod",
        Change::Added => " color=forestgreen",
        Change::Removed => " color=firebrick style=dashed",
    }
}
