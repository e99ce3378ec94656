//! Which nodes run in one pass over memory.
//!
//! A group is a set of nodes whose tiles can be computed together: elementwise steps, folds of trailing axes, the
//! repetitions that lead back from a folded row, and folds over leading, all, or all but some middle axes, whose results are *final*: there when
//! the pass is over, so nothing in the group can read them. Values only the group uses exist as tiles alone. Nodes join the
//! groups of their operands, level by level: what has to wait for something that runs by itself comes after what has not. A
//! group that somebody outside has read takes no more members: so nothing outside ever has to run both after and before a
//! group. Final results, which nobody waits for within the pass, may be taken in later ([`super::host`]).

use covector_array::kernels::{LinkOp, Reduction, folds_channels};
use covector_array::{DType, Shape};
use smallvec::SmallVec;

use super::schedule::pause;
use crate::Tensor;
use crate::primitive::Fused;
use crate::walk::Listing;

/// Nodes that run together, and how they see the arrays.
#[derive(Debug)]
pub(super) struct Group {
    /// In the order of the listing.
    pub members: Vec<u32>,
    /// Elements of a full member.
    pub size: usize,
    /// Elements per row; 1 as long as nothing is folded or repeated.
    pub row: usize,
    pub finals: Finals,
    pub read: Read,
    /// Nodes of other groups that this one computes as well, for the final results it took in.
    pub guests: Vec<u32>,
}

/// Which final results a group has: with any, rows stay rows and elements elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Finals {
    None,
    Totals,
    Rows,
    /// One for each of so many channels.
    Channels(usize),
}

impl Finals {
    pub fn of(role: Role) -> Finals {
        match role {
            Role::Final(LinkOp::Rows(_), _) => Finals::Rows,
            Role::Final(LinkOp::Channels(_, channels), _) => Finals::Channels(channels),
            Role::Final(..) => Finals::Totals,
            _ => Finals::None,
        }
    }

    /// Both, if one cut of the pass serves them.
    pub fn and(self, other: Finals) -> Option<Finals> {
        match (self, other) {
            (Finals::None, x) | (x, Finals::None) | (Finals::Totals, x) | (x, Finals::Totals) => Some(x),
            (a, b) => (a == b).then_some(a),
        }
    }
}

/// Who outside a group reads its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Read {
    Nobody,
    /// Only members of this group.
    By(u32),
    Others,
}

/// The groups of a listing.
pub(super) struct Groups {
    pub groups: Vec<Group>,
    /// For each node what it does to rows, if it can run with others.
    pub roles: Vec<Option<Role>>,
    /// For each node its group, or [`ALONE`].
    pub of: Vec<u32>,
    /// For each member whether it has one element per row.
    pub narrow: Vec<bool>,
    /// Groups with final results, those that got their first one last at the end.
    pub hosts: Vec<u32>,
}

/// The group of a node that runs by itself.
pub(super) const ALONE: u32 = u32::MAX;

/// More members make no pass faster, and their tiles leave the first-level cache.
pub(super) const MOST_MEMBERS: usize = 48;
/// Values of so few elements stay in that cache however many there are: a step more would cost more than a link.
const TINY: usize = 128;
/// Elements of all tiny members together, and so of their tiles; and the most members there can be.
const MOST_TINY_ELEMENTS: usize = 1 << 18;
const MOST_TINY_MEMBERS: usize = 8192;
/// Longer rows are folded by themselves if there are few: threads share the work by rows, and have too little to share then.
pub(super) const LONGEST_ROW: usize = 8192;
/// The longest rows of which there are [`MANY`].
const LONGEST_OF_MANY: usize = 1 << 18;
/// So many rows keep threads busy.
const MANY: usize = 16;
/// A fold of fewer elements is not worth a step of its own.
const LEAST_ALONE: usize = 4096;
/// Shorter rows are folded into one by themselves.
const SHORTEST_FINAL_ROW: usize = 32;

/// The most members of a group whose full values have so many elements.
fn most_members(size: usize) -> usize {
    if size <= TINY { (MOST_TINY_ELEMENTS / size.max(1)).min(MOST_TINY_MEMBERS) } else { MOST_MEMBERS }
}

/// True if rows of so many elements may be folded, or elements repeated along them, within a group of this size.
fn fits(row: usize, size: usize) -> bool {
    let longest = if size / row.max(1) >= MANY { LONGEST_OF_MANY } else { LONGEST_ROW };
    (2..=longest).contains(&row)
}

/// What a node does to rows.
#[derive(Clone, Copy)]
pub(super) enum Role {
    /// Computes: a link of a chain. The number is the length of the rows that are folded (1 for none).
    Link(LinkOp, usize),
    /// Computes a final result, from rows of this length (1 for any).
    Final(LinkOp, usize),
    /// Repeats one element along rows of this length.
    Repeat(usize),
    /// The operand under another shape.
    Same,
}

impl Role {
    /// True if it is more than another view of its operand.
    pub fn computes(self) -> bool {
        matches!(self, Role::Link(..) | Role::Final(..))
    }
}

/// The role of a node, if it can run with others.
pub(super) fn role(list: &Listing, i: usize) -> Option<Role> {
    let node = &list.nodes[i];
    let &key = list.operands[i].last()?;
    let x = &list.nodes[key as usize];
    if x.size() == 0 || node.size() == 0 || x.dtype().is_complex() || node.dtype().is_complex() {
        return None;
    }
    match node.primitive().fused(x.dtype()) {
        Fused::No | Fused::Number => None,
        Fused::Map(kernel) => Some(Role::Link(LinkOp::Map(kernel), 1)),
        Fused::Fold(op, axes) => fold(op, axes, x.dtype(), x.shape()),
        Fused::Repeat => repeated(x.shape(), node.shape()).map(Role::Repeat),
        Fused::Same => Some(Role::Same),
    }
}

/// A fold of trailing, leading or all axes, if rows are of a length that pays.
fn fold(op: Reduction, axes: &[usize], dtype: DType, shape: &Shape) -> Option<Role> {
    if !matches!(dtype, DType::F32 | DType::F64) {
        return None;
    }
    let first = shape.len() - axes.len();
    if (first..shape.len()).all(|a| axes.contains(&a)) {
        let row: usize = shape[first..].iter().product();
        return match row {
            0 | 1 => None,
            _ if fits(row, shape.size()) => Some(Role::Link(LinkOp::Fold(op), row)),
            _ => (first == 0).then_some(Role::Final(LinkOp::Total(op), 1)),
        };
    }
    // Between leading and trailing axes that are folded: channels.
    let kept = |a: &usize| !axes.contains(a);
    let (start, end) = ((0..shape.len()).find(kept)?, (0..shape.len()).rfind(kept)? + 1);
    if start > 0 && end < shape.len() && (start..end).all(|a| kept(&a)) {
        let [outer, channels, line] =
            [0..start, start..end, end..shape.len()].map(|r| shape[r].iter().product::<usize>());
        let fits = (SHORTEST_FINAL_ROW..=LONGEST_ROW).contains(&line) && folds_channels([outer, channels, line]);
        return fits.then_some(Role::Final(LinkOp::Channels(op, channels), line));
    }
    let row: usize = shape[axes.len()..].iter().product();
    let fits = (0..axes.len()).all(|a| axes.contains(&a)) && (SHORTEST_FINAL_ROW..=LONGEST_ROW).contains(&row);
    fits.then_some(Role::Final(LinkOp::Rows(op), row))
}

/// True if a node only repeats elements of its operand.
pub(super) fn is_repeat(node: &Tensor) -> bool {
    matches!(node.primitive().fused(node.dtype()), Fused::Repeat)
}

/// True if a leaf is one number everywhere, whatever its shape.
pub(super) fn is_splat(leaf: &Tensor) -> bool {
    leaf.size() == 1 || matches!(leaf.primitive().fused(leaf.dtype()), Fused::Number)
}

/// The length of the rows along which a broadcast repeats single elements, if that is all it does.
fn repeated(from: &Shape, to: &Shape) -> Option<usize> {
    if from.len() != to.len() {
        return None;
    }
    let same = from.iter().zip(to.iter()).take_while(|(a, b)| a == b).count();
    // Axes of size 1 before the first repeated one belong to the rows as well as to what is before.
    let row: usize = to[same..].iter().product();
    let single = from[same..].iter().all(|&d| d == 1);
    (single && fits(row, to.size())).then_some(row)
}

impl Groups {
    pub fn new(list: &Listing) -> Groups {
        let n = list.nodes.len();
        let at = |i| {
            pause(i);
            role(list, i)
        };
        let roles: Vec<Option<Role>> = (0..n).map(at).collect();
        let (of, narrow) = (vec![ALONE; n], vec![false; n]);
        let mut all = Groups { groups: Vec::new(), roles, of, narrow, hosts: Vec::new() };
        for i in by_level(list, &all.roles) {
            pause(i);
            if let Some(role) = all.roles[i] {
                if all.is_hosted(list, i, role) {
                    continue;
                }
                all.place(list, i, role);
                if let (Role::Final(..), g) = (role, all.of[i])
                    && all.hosts.last() != Some(&g)
                {
                    all.hosts.push(g);
                }
            }
            all.note_reads(list, i, all.of[i]);
        }
        all.settle(list);
        all
    }

    /// True if the node's result is there only when its group has run.
    pub fn is_final(&self, node: u32) -> bool {
        self.of[node as usize] != ALONE && matches!(self.roles[node as usize], Some(Role::Final(..)))
    }

    /// True if a node leaves one element for each channel.
    pub fn folds_to_channels(&self, node: u32) -> bool {
        matches!(self.roles[node as usize], Some(Role::Final(LinkOp::Channels(..), _)))
    }

    /// Puts a node into a group: that of its operands if it may, else one of its own.
    fn place(&mut self, list: &Listing, i: usize, role: Role) {
        let mut near: SmallVec<[u32; 3]> = SmallVec::new();
        for &x in &list.operands[i] {
            let group = self.of[x as usize];
            if group != ALONE && !near.contains(&group) {
                near.push(group);
            }
        }
        for &x in list.operands[i].iter().filter(|&&x| self.is_final(x)) {
            near.retain(|g| *g != self.of[x as usize]);
        }
        // The latest operand's group first: the least likely to have been left behind.
        near.sort_unstable_by_key(|&g| std::cmp::Reverse(self.groups[g as usize].members.last().copied()));
        let mut home: Option<u32> = None;
        for g in near {
            home = match home {
                None => self.join(list, i, role, g).then_some(g),
                Some(home) => Some(self.merge(home, g)),
            };
        }
        if home.is_some() {
            return;
        }
        let (Role::Link(_, row) | Role::Final(_, row)) = role else { return };
        let &key = list.operands[i].last().expect("a link has operands");
        self.of[i] = self.groups.len() as u32;
        let finals = Finals::of(role);
        self.narrow[i] = row > 1 && finals == Finals::None;
        let size = list.nodes[key as usize].size();
        self.groups.push(Group { members: vec![i as u32], size, row, finals, read: Read::Nobody, guests: Vec::new() });
    }

    /// Notes what a node reads of other groups than the one that computes it.
    pub fn note_reads(&mut self, list: &Listing, i: usize, own: u32) {
        let reader = if own == ALONE { Read::Others } else { Read::By(own) };
        for &x in &list.operands[i] {
            let group = self.of[x as usize];
            let computed = || self.groups[own as usize].guests.binary_search(&x).is_ok();
            if group != ALONE && group != own && (own == ALONE || !computed()) {
                // A final result can be read only outside, for good.
                let reader = if self.is_final(x) { Read::Others } else { reader };
                let read = &mut self.groups[group as usize].read;
                *read = if *read == Read::Nobody || *read == reader { reader } else { Read::Others };
            }
        }
    }

    /// Adds a node to the group of one of its operands, if it fits and nobody outside has read the group.
    fn join(&mut self, list: &Listing, i: usize, role: Role, g: u32) -> bool {
        let group = &self.groups[g as usize];
        let x = list.operands[i].iter().copied().find(|&x| self.of[x as usize] == g).expect("an operand's group");
        let was_narrow = self.narrow[x as usize];
        let fits = |row: usize| !was_narrow && (group.row == 1 || group.row == row);
        let (size, row, narrow) = match role {
            Role::Link(_, 1) | Role::Same => (group.size, group.row, was_narrow),
            Role::Link(_, row) if fits(row) => (group.size, row, true),
            Role::Final(_, 1) if !was_narrow => (group.size, group.row, false),
            Role::Final(_, row) if fits(row) => (group.size, row, false),
            Role::Repeat(row) if was_narrow && group.row == row => (group.size, row, false),
            // What was computed so far is one element per row of what follows.
            Role::Repeat(row) if group.row == 1 && group.finals == Finals::None => (group.size * row, row, false),
            _ => return false,
        };
        let Some(finals) = group.finals.and(Finals::of(role)) else { return false };
        if group.members.len() >= most_members(size) || group.read != Read::Nobody {
            return false;
        }
        if size != group.size {
            group.members.clone().into_iter().for_each(|m| self.narrow[m as usize] = true);
        }
        let group = &mut self.groups[g as usize];
        (group.size, group.row, group.finals) = (size, row, finals);
        let at = group.members.partition_point(|&m| (m as usize) < i);
        group.members.insert(at, i as u32);
        (self.of[i], self.narrow[i]) = (g, narrow);
        true
    }

    /// Makes one group of two that a node reads, if they fit and nobody else has read them; returns the node's group.
    fn merge(&mut self, home: u32, other: u32) -> u32 {
        let (a, b) = (&self.groups[home as usize], &self.groups[other as usize]);
        // (size, row, whether home's members, whether the other's become narrow)
        let fit = if a.size == b.size && (a.row == b.row || a.row == 1 || b.row == 1) {
            Some((a.size, a.row.max(b.row), false, false))
        } else if b.row == 1 && b.finals == Finals::None && a.size == b.size * a.row {
            Some((a.size, a.row, false, true))
        } else if a.row == 1 && a.finals == Finals::None && b.size == a.size * b.row {
            Some((b.size, b.row, true, false))
        } else {
            None
        };
        let Some((size, row, narrow_a, narrow_b)) = fit else { return home };
        let private = |group: &Group, by: u32| group.read == Read::Nobody || group.read == Read::By(by);
        if a.members.len() + b.members.len() > most_members(size) || !private(a, other) || !private(b, home) {
            return home;
        }
        let Some(finals) = a.finals.and(b.finals) else { return home };
        let moved = std::mem::take(&mut self.groups[other as usize].members);
        for &m in &moved {
            self.of[m as usize] = home;
            self.narrow[m as usize] |= narrow_b;
        }
        let guests = std::mem::take(&mut self.groups[other as usize].guests);
        let group = &mut self.groups[home as usize];
        if narrow_a {
            group.members.iter().for_each(|&m| self.narrow[m as usize] = true);
        }
        group.guests.extend(guests);
        group.guests.sort_unstable();
        group.guests.dedup();
        group.members.extend(moved);
        group.members.sort_unstable();
        (group.size, group.row, group.finals, group.read) = (size, row, finals, Read::Nobody);
        home
    }

    /// Lets members go that only show a value in another form to the outside, and forgets rows that nothing folds any more.
    fn settle(&mut self, list: &Listing) {
        // For each node the last group found to read it.
        let mut read_by = vec![ALONE; list.nodes.len()];
        for g in 0..self.groups.len() {
            let mut members = std::mem::take(&mut self.groups[g].members);
            for &m in members.iter().rev() {
                if self.roles[m as usize].is_some_and(Role::computes) || read_by[m as usize] == g as u32 {
                    list.operands[m as usize].iter().for_each(|&x| read_by[x as usize] = g as u32);
                } else {
                    self.of[m as usize] = ALONE;
                }
            }
            self.release_lone_fold(list, g, &members);
            members.retain(|&m| self.of[m as usize] != ALONE);
            let in_rows =
                |&m: &u32| !matches!(self.roles[m as usize], Some(Role::Link(_, 1) | Role::Final(_, 1) | Role::Same));
            if !members.iter().any(in_rows) && self.groups[g].row > 1 {
                self.groups[g].row = 1;
                if let Some(&m) = members.first() {
                    self.groups[g].size = list.nodes[m as usize].size();
                }
                members.iter().for_each(|&m| self.narrow[m as usize] = false);
            }
            self.groups[g].members = members;
        }
    }

    /// Lets the member go that folds the rows of a value from outside, if nobody else in the group sees whole rows: it is faster by
    /// itself. What shows it in another form goes with it.
    fn release_lone_fold(&mut self, list: &Listing, g: usize, members: &[u32]) {
        let is_fold = |&&m: &&u32| matches!(self.roles[m as usize], Some(Role::Link(LinkOp::Fold(_), _)));
        let mut folds = members.iter().filter(is_fold);
        let (Some(&fold), None) = (folds.next(), folds.next()) else { return };
        let group = &self.groups[g];
        let is_outside = |x: &u32| self.of[*x as usize] != g as u32 && group.guests.binary_search(x).is_err();
        let from_outside = list.operands[fold as usize].iter().all(is_outside);
        let all_narrow = members.iter().all(|&m| self.narrow[m as usize]);
        if !from_outside || !all_narrow || group.size < LEAST_ALONE {
            return;
        }
        self.of[fold as usize] = ALONE;
        for &m in members.iter().filter(|&&m| matches!(self.roles[m as usize], Some(Role::Same))) {
            if list.operands[m as usize].iter().all(|&x| self.of[x as usize] != g as u32) {
                self.of[m as usize] = ALONE;
            }
        }
    }
}

/// The nodes level by level: a level up for what runs by itself (a repetition does nothing), and for what reads a final result.
fn by_level(list: &Listing, roles: &[Option<Role>]) -> Vec<usize> {
    let mut level = vec![0u32; roles.len()];
    for i in 0..roles.len() {
        let own = u32::from(roles[i].is_none() && !list.operands[i].is_empty() && !is_repeat(&list.nodes[i]));
        let after = |&x: &u32| level[x as usize] + u32::from(matches!(roles[x as usize], Some(Role::Final(..))));
        level[i] = own + list.operands[i].iter().map(after).max().unwrap_or(0);
    }
    let mut order: Vec<usize> = (0..roles.len()).collect();
    order.sort_by_key(|&i| level[i]);
    order
}
