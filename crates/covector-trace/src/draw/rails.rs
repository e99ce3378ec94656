//! A listing of steps with rails at their left that lead from each to its readers, as version control draws its history.

use std::collections::HashMap;

use super::layout::{Item, sequence};
use super::state::Fold;
use super::terminal::{Ink, Look, Painter};
use super::write::{clipped, width};
use super::{Change, Picture};

/// More rails than this are not drawn; the operands say the rest.
const MOST: usize = 24;

/// A row: what stands in each column of the rails, and which box it shows; or the name of a module that begins.
struct Row {
    rails: Vec<&'static str>,
    /// The columns that the row's own line joins.
    joined: std::ops::Range<usize>,
    item: Option<Item>,
    heading: String,
}

impl Picture {
    /// One line for each box, operands before their readers, with rails between them; folded as the options say.
    pub fn listing(&self, look: Look) -> String {
        let rows = self.rows();
        let rails = rows.iter().map(|r| r.rails.len()).max().unwrap_or(0).min(MOST);
        let told: Vec<[String; 2]> =
            rows.iter().map(|r| r.item.map_or([const { String::new() }; 2], |i| self.told(i))).collect();
        let first = told.iter().map(|t| width(&t[0])).max().unwrap_or(0).min(look.width / 2).max(12);
        let mut out = String::new();
        for (row, [what, more]) in rows.iter().zip(&told) {
            let mut painter = Painter::new(look);
            let change = row.item.map_or(Change::Same, |item| self.change_at(item));
            if self.compares {
                painter.put(["  ", "~ ", "+ ", "- "][change as usize], Ink::of(change, Ink::Plain));
            }
            for k in 0..rails {
                let cell = row.rails.get(k).copied().unwrap_or(" ");
                painter.put(
                    cell,
                    if cell == "●" || cell == "○" || cell == "◆" { Ink::of(change, Ink::Bold) } else { Ink::Dim },
                );
                painter.put(if row.joined.contains(&k) { "─" } else { " " }, Ink::Dim);
            }
            match row.item {
                None => painter.put(&format!("┄ {}", row.heading), Ink::Dim),
                Some(_) => {
                    let what = clipped(what, first);
                    painter.put(&what, Ink::of(change, Ink::Plain));
                    painter.put(&" ".repeat(first - width(&what) + 2), Ink::Plain);
                    let room = look.width.saturating_sub(2 * rails + first + 2 + if self.compares { 2 } else { 0 });
                    painter.put(&clipped(more, room.max(8)), Ink::Dim);
                }
            }
            out += &painter.line();
        }
        out
    }

    fn rows(&self) -> Vec<Row> {
        let state = self.folded();
        let arrows = self.arrows(&state);
        let mut boxes: Vec<Item> = state.seen(self);
        let first = |item: &Item| match *item {
            Item::Module(m) => self.module(m).all.first().copied().unwrap_or(0),
            Item::Node(i) | Item::In(i) | Item::Out(i) | Item::Bend(i) => i,
        };
        boxes.sort_by_key(first);
        let place: HashMap<Item, usize> = boxes.iter().enumerate().map(|(k, &item)| (item, k)).collect();
        let edges: Vec<(usize, usize)> =
            arrows.iter().filter_map(|(a, b, ..)| Some((*place.get(a)?, *place.get(b)?))).collect();
        let order = late(sequence(boxes.len(), &edges), &edges);
        let mut turn = vec![0; boxes.len()];
        order.iter().enumerate().for_each(|(t, &k)| turn[k] = t);
        let mut last_use = vec![0; boxes.len()];
        let mut reads: Vec<Vec<usize>> = vec![Vec::new(); boxes.len()];
        for &(a, b) in edges.iter().filter(|(a, b)| turn[*a] < turn[*b]) {
            last_use[a] = turn[b].max(last_use[a]);
            reads[b].push(a);
        }
        let mut rails: Vec<Option<usize>> = Vec::new();
        let mut rows = Vec::new();
        let mut within = Vec::new();
        for (t, &k) in order.iter().enumerate() {
            let modules = self.around(boxes[k], &state.0);
            if modules != within {
                let heading: Vec<String> = modules.iter().map(|&m| self.titled(m)).collect();
                if !heading.is_empty() {
                    rows.push(Row { rails: passing(&rails), joined: 0..0, item: None, heading: heading.join(" / ") });
                }
                within = modules;
            }
            let ends = |a: usize| last_use[a] == t;
            let sources: Vec<usize> =
                (0..rails.len()).filter(|&c| rails[c].is_some_and(|a| reads[k].contains(&a))).collect();
            let taken = sources.iter().copied().find(|&c| rails[c].is_some_and(ends));
            let free = || rails.iter().position(Option::is_none).unwrap_or(rails.len());
            let own = taken.unwrap_or_else(free);
            let all = || sources.iter().copied().chain([own]);
            let joined = all().min().unwrap_or(own)..all().max().unwrap_or(own);
            let mut row = passing(&rails);
            row.resize(row.len().max(own + 1), " ");
            for &c in sources.iter().filter(|&&c| c != own) {
                let gone = rails[c].is_some_and(ends);
                row[c] = match (gone, c > own) {
                    (true, true) => "╯",
                    (true, false) => "╰",
                    (false, true) => "┤",
                    (false, false) => "├",
                };
                if gone {
                    rails[c] = None;
                }
                for between in &mut row[c.min(own) + 1..c.max(own)] {
                    *between = match *between {
                        " " => "─",
                        "╯" | "╰" => "┴",
                        other => other,
                    };
                }
            }
            row[own] = match boxes[k] {
                Item::Module(_) => "◆",
                Item::Node(i) if self.nodes[i].kind.is_leaf() => "○",
                _ => "●",
            };
            rails.resize(rails.len().max(own + 1), None);
            rails[own] = (last_use[k] > t).then_some(k);
            while rails.last() == Some(&None) {
                rails.pop();
            }
            rows.push(Row { rails: row, joined, item: Some(boxes[k]), heading: String::new() });
        }
        rows
    }

    /// The open modules a box stands in, from the outside inwards.
    fn around(&self, item: Item, folds: &[Fold]) -> Vec<usize> {
        let mut at = match item {
            Item::Module(m) => self.module(m).parent,
            Item::Node(i) | Item::In(i) | Item::Out(i) | Item::Bend(i) => self.nodes[i].module,
        };
        let mut around = Vec::new();
        while at != 0 {
            let parent = self.module(at).parent;
            if folds[parent] != Fold::One {
                around.push(at);
            }
            at = parent;
        }
        around.reverse();
        around
    }

    fn change_at(&self, item: Item) -> Change {
        match item {
            Item::Module(m) => self.change_in(m),
            Item::Node(i) | Item::In(i) | Item::Out(i) | Item::Bend(i) => self.nodes[i].change,
        }
    }

    /// What a row says: the step, and its shape and numbers.
    fn told(&self, item: Item) -> [String; 2] {
        let Item::Node(i) = item else {
            let Item::Module(m) = item else { return Default::default() };
            return [self.titled(m), self.contents(m)];
        };
        let node = &self.nodes[i];
        let what = match node.kind.is_leaf() {
            true if node.named => node.label.clone(),
            true => format!("{} = {}", node.label, node.op),
            false => format!("{} = {}", node.label, node.formula),
        };
        let more = [
            Some(node.spec.clone()),
            node.symbolic.clone(),
            node.value.as_ref().map(|v| format!("data {v}")),
            node.gradient.as_ref().map(|g| format!("grad {g}")),
        ];
        [what, more.into_iter().flatten().collect::<Vec<_>>().join("  ")]
    }
}

/// The same order with what nothing is read for just before its first reader.
fn late(order: Vec<usize>, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut reads: Vec<Vec<usize>> = vec![Vec::new(); order.len()];
    edges.iter().for_each(|&(a, b)| reads[b].push(a));
    let mut placed = vec![false; order.len()];
    let mut all = Vec::with_capacity(order.len());
    let leaf = |k: usize| reads[k].is_empty();
    for &k in order.iter().filter(|&&k| !leaf(k)) {
        for &j in reads[k].iter().filter(|&&j| leaf(j)).chain([&k]) {
            if !std::mem::replace(&mut placed[j], true) {
                all.push(j);
            }
        }
    }
    all.extend(order.iter().filter(|&&k| !placed[k]));
    all
}

/// The rails that pass a row untouched.
fn passing(rails: &[Option<usize>]) -> Vec<&'static str> {
    rails.iter().map(|r| if r.is_some() { "│" } else { " " }).collect()
}
