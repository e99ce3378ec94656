//! Which nodes run in one pass over memory.
//!
//! A group is a set of nodes whose tiles can be computed together: elementwise steps, folds of trailing axes, and the
//! repetitions that lead back from a folded row. Values only the group uses exist as tiles alone. Nodes are taken in order and
//! join the groups of their operands. A group that somebody outside has read takes no more members: so nothing outside ever
//! has to run both after and before a group.

use covector_array::kernels::{LinkOp, Reduction};
use covector_array::{DType, Shape};
use smallvec::SmallVec;

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
    read: Read,
}

/// Who outside a group reads its values.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Read {
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
}

/// The group of a node that runs by itself.
pub(super) const ALONE: u32 = u32::MAX;

/// More members make no pass faster, and their tiles leave the first-level cache.
const MOST_MEMBERS: usize = 48;
/// Longer rows are folded by themselves: their tiles would leave the second-level cache.
const LONGEST_ROW: usize = 8192;

/// What a node does to rows.
#[derive(Clone, Copy)]
pub(super) enum Role {
    /// Computes: a link of a chain. The number is the length of the rows that are folded (1 for none).
    Link(LinkOp, usize),
    /// Repeats one element along rows of this length.
    Repeat(usize),
    /// The operand under another shape.
    Same,
}

/// The role of a node, if it can run with others.
fn role(list: &Listing, i: usize) -> Option<Role> {
    let node = &list.nodes[i];
    let &key = list.operands[i].last()?;
    let x = &list.nodes[key as usize];
    if x.size() == 0 || node.size() == 0 {
        return None;
    }
    match node.primitive().fused(x.dtype()) {
        Fused::No => None,
        Fused::Tile(kernel) => Some(Role::Link(LinkOp::Map(kernel), 1)),
        Fused::Fold(op, axes) => fold(op, axes, x.dtype(), x.shape()),
        Fused::Repeat => repeated(x.shape(), node.shape()).map(Role::Repeat),
        Fused::Same => Some(Role::Same),
    }
}

/// A fold of trailing axes, if rows are of a length that pays.
fn fold(op: Reduction, axes: &[usize], dtype: DType, shape: &Shape) -> Option<Role> {
    let first = shape.len() - axes.len();
    let trailing = (first..shape.len()).all(|a| axes.contains(&a));
    let row: usize = shape[first..].iter().product();
    let fits = trailing && (2..=LONGEST_ROW).contains(&row) && matches!(dtype, DType::F32 | DType::F64);
    fits.then_some(Role::Link(LinkOp::Fold(op), row))
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
    (single && (2..=LONGEST_ROW).contains(&row)).then_some(row)
}

impl Groups {
    pub fn new(list: &Listing) -> Groups {
        let n = list.nodes.len();
        let roles: Vec<Option<Role>> = (0..n).map(|i| role(list, i)).collect();
        let mut all = Groups { groups: Vec::new(), roles, of: vec![ALONE; n], narrow: vec![false; n] };
        for i in 0..n {
            if let Some(role) = all.roles[i] {
                all.place(list, i, role);
            }
            all.note_reads(list, i);
        }
        all.settle(list);
        all
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
        let Role::Link(_, row) = role else { return };
        let &key = list.operands[i].last().expect("a link has operands");
        self.of[i] = self.groups.len() as u32;
        self.narrow[i] = row > 1;
        let size = list.nodes[key as usize].size();
        self.groups.push(Group { members: vec![i as u32], size, row, read: Read::Nobody });
    }

    /// Notes which groups other than its own a node reads.
    fn note_reads(&mut self, list: &Listing, i: usize) {
        let reader = if self.of[i] == ALONE { Read::Others } else { Read::By(self.of[i]) };
        for &x in &list.operands[i] {
            let group = self.of[x as usize];
            if group != ALONE && group != self.of[i] {
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
        let (size, row, narrow) = match role {
            Role::Link(_, 1) | Role::Same => (group.size, group.row, was_narrow),
            Role::Link(_, row) if !was_narrow && (group.row == 1 || group.row == row) => (group.size, row, true),
            Role::Repeat(row) if was_narrow && group.row == row => (group.size, row, false),
            // What was computed so far is one element per row of what follows.
            Role::Repeat(row) if group.row == 1 => (group.size * row, row, false),
            _ => return false,
        };
        if group.members.len() >= MOST_MEMBERS || group.read != Read::Nobody {
            return false;
        }
        if size != group.size {
            group.members.clone().into_iter().for_each(|m| self.narrow[m as usize] = true);
        }
        let group = &mut self.groups[g as usize];
        (group.size, group.row) = (size, row);
        group.members.push(i as u32);
        (self.of[i], self.narrow[i]) = (g, narrow);
        true
    }

    /// Makes one group of two that a node reads, if they fit and nobody else has read them; returns the node's group.
    fn merge(&mut self, home: u32, other: u32) -> u32 {
        let (a, b) = (&self.groups[home as usize], &self.groups[other as usize]);
        // (size, row, whether home's members, whether the other's become narrow)
        let fit = if a.size == b.size && (a.row == b.row || a.row == 1 || b.row == 1) {
            Some((a.size, a.row.max(b.row), false, false))
        } else if b.row == 1 && a.size == b.size * a.row {
            Some((a.size, a.row, false, true))
        } else if a.row == 1 && b.size == a.size * b.row {
            Some((b.size, b.row, true, false))
        } else {
            None
        };
        let Some((size, row, narrow_a, narrow_b)) = fit else { return home };
        let private = |group: &Group, by: u32| group.read == Read::Nobody || group.read == Read::By(by);
        if a.members.len() + b.members.len() > MOST_MEMBERS || !private(a, other) || !private(b, home) {
            return home;
        }
        let moved = std::mem::take(&mut self.groups[other as usize].members);
        for &m in &moved {
            self.of[m as usize] = home;
            self.narrow[m as usize] |= narrow_b;
        }
        let group = &mut self.groups[home as usize];
        if narrow_a {
            group.members.iter().for_each(|&m| self.narrow[m as usize] = true);
        }
        group.members.extend(moved);
        group.members.sort_unstable();
        (group.size, group.row, group.read) = (size, row, Read::Nobody);
        home
    }

    /// Lets members go that only show a value in another form to the outside, and forgets rows that nothing folds any more.
    fn settle(&mut self, list: &Listing) {
        for g in 0..self.groups.len() {
            let mut members = std::mem::take(&mut self.groups[g].members);
            let mut read: Vec<u32> = Vec::new();
            for at in (0..members.len()).rev() {
                let m = members[at];
                if matches!(self.roles[m as usize], Some(Role::Link(..))) || read.contains(&m) {
                    read.extend(&list.operands[m as usize]);
                } else {
                    self.of[m as usize] = ALONE;
                    members.remove(at);
                }
            }
            let in_rows = |&m: &u32| !matches!(self.roles[m as usize], Some(Role::Link(_, 1) | Role::Same));
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
}
