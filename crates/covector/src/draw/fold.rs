//! Folding: the steps of one op the user called, drawn as one.

use std::collections::HashSet;

use super::{Drawing, Part};
use crate::{Class, Tensor};

impl Drawing {
    /// The same drawing with ops instead of primitives: `softmax` is one step, not five.
    ///
    /// What a step of the op gives to others stays visible: an op with several results, one whose inner values are named,
    /// and what derivative rules add are drawn in primitives. Name the tensors of interest first.
    pub fn folded(self) -> Drawing {
        let into = self.calls();
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); self.parts.len()];
        into.iter().enumerate().for_each(|(i, &exit)| members[exit].push(i));
        let mut place = vec![0; self.parts.len()];
        let mut parts = Vec::new();
        for (i, members) in members.iter().enumerate().filter(|(i, _)| into[*i] == *i) {
            place[i] = parts.len();
            parts.push(self.merged(i, members, &into, &place));
        }
        let stays = |i: &usize| into[*i] == *i;
        let aliases = self.aliases.into_iter().filter(|(_, i)| stays(i)).map(|(t, i)| (t, place[i])).collect();
        let arguments = self.arguments.into_iter().filter(stays).map(|i| place[i]).collect();
        Drawing { parts, aliases, arguments, computes: self.computes }
    }

    /// The part that stands for a call: what its members take from outside, in order.
    fn merged(&self, exit: usize, members: &[usize], into: &[usize], place: &[usize]) -> Part {
        let part = &self.parts[exit];
        let site = part.node.site();
        let called = site.call != 0 && !part.operands.is_empty() && !self.shared(exit, into);
        let op = if called { site.op } else { part.op };
        if members.len() == 1 {
            return Part { op, operands: part.operands.iter().map(|&j| place[j]).collect(), ..part.clone() };
        }
        let (mut operands, mut terms): (Vec<usize>, Vec<Option<Tensor>>) = Default::default();
        // In the order in which the op reads them: an inner step stands for what it was made from.
        let reads = |i: usize| self.parts[i].operands.iter().copied().zip(self.parts[i].terms.clone()).rev();
        let mut pending: Vec<(usize, Option<Tensor>)> = reads(exit).collect();
        let mut entered = HashSet::new();
        while let Some((j, term)) = pending.pop() {
            if into[j] == exit {
                if entered.insert(j) {
                    pending.extend(reads(j));
                }
                continue;
            }
            match operands.iter().position(|&have| have == place[j]) {
                Some(k) => terms[k] = terms[k].iter().chain(&term).cloned().reduce(|a, b| a + b),
                None => {
                    operands.push(place[j]);
                    terms.push(term);
                }
            }
        }
        let prim = members.iter().filter_map(|&i| self.parts[i].prim.clone()).find(|p| p.name() == op);
        Part { op, operands, terms, prim, ..part.clone() }
    }

    /// True if other steps of the same call stand beside this one in the drawing: the call was not folded.
    fn shared(&self, exit: usize, into: &[usize]) -> bool {
        let call = self.parts[exit].node.site().call;
        let same = |(i, p): (usize, &Part)| i != exit && into[i] == i && p.node.site().call == call;
        self.parts.iter().enumerate().any(|(i, p)| !p.operands.is_empty() && same((i, p)))
    }

    /// For every part the one it is folded into: itself, or the only part of its call that is seen from outside.
    fn calls(&self) -> Vec<usize> {
        let parts = &self.parts;
        let call = |i: usize| parts[i].node.site().call;
        // Numbers the user wrote (`x * 2.0`) are operands, not inner steps.
        let plain = |p: &&Part| p.node.primitive().class() == Class::Elementwise && p.op == p.node.site().op;
        let plain: HashSet<u64> = parts.iter().filter(plain).map(|p| p.node.site().call).collect();
        let mut group: Vec<usize> = (0..parts.len()).collect();
        for i in 0..parts.len() {
            for &j in &parts[i].operands {
                let given = parts[j].operands.is_empty() && plain.contains(&call(j));
                if call(i) != 0 && call(i) == call(j) && !given {
                    let (a, b) = (root(&mut group, i), root(&mut group, j));
                    group[a.min(b)] = a.max(b);
                }
            }
        }
        let group: Vec<usize> = (0..parts.len()).map(|i| root(&mut group, i)).collect();
        let mut seen: Vec<bool> = parts.iter().map(|p| p.result || p.name.is_some()).collect();
        for (i, part) in parts.iter().enumerate() {
            part.operands.iter().filter(|&&j| group[j] != group[i]).for_each(|&j| seen[j] = true);
        }
        let mut exits: Vec<Vec<usize>> = vec![Vec::new(); parts.len()];
        (0..parts.len()).filter(|&i| seen[i]).for_each(|i| exits[group[i]].push(i));
        let into = |i: usize| if let [only] = exits[group[i]][..] { only } else { i };
        (0..parts.len()).map(into).collect()
    }
}

/// The representative of a group.
fn root(group: &mut [usize], mut i: usize) -> usize {
    while group[i] != i {
        group[i] = group[group[i]];
        i = group[i];
    }
    i
}
