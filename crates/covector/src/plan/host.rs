//! Final results that are computed in a pass which reads what they need anyway.
//!
//! Three sums over the same two arrays are three passes over memory if each stands where its operand is computed: one waits for
//! less than another, so they come to different groups. A group with a final result takes in others, even when it has been read
//! already, if what they need does not wait for it. The cheap steps that lead from its arrays to the new result are done again
//! there: the same kernels on the same operands, so the bits are the same. The pass such a result leaves stays open for those
//! who wait for the result.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::again::{LEAST, is_small};
use super::fuse::{ALONE, Finals, Groups, MOST_MEMBERS, Read, Role};
use crate::walk::Listing;

/// So many groups are asked, the latest first.
const ASKED: usize = 8;
/// Cheap ops one upon another that are done again.
const DEPTH: usize = 6;
/// Steps looked at to find out whether one thing waits for another; after that it is taken to.
const FARTHEST: usize = 1024;

impl Groups {
    /// Puts a final result into a group that has others and reads all it is computed from; false if there is none, or it does
    /// as well where its operand is.
    pub fn is_hosted(&mut self, list: &Listing, i: usize, role: Role) -> bool {
        let Role::Final(_, row) = role else { return false };
        let Some(&x) = list.operands[i].last() else { return false };
        let (size, home) = (list.nodes[x as usize].size(), self.of[x as usize]);
        let at_home = home != ALONE && {
            let home = &self.groups[home as usize];
            home.finals != Finals::None && home.read == Read::Nobody
        };
        if size < LEAST || at_home {
            return false;
        }
        let latest: SmallVec<[u32; ASKED]> = self.hosts.iter().rev().take(ASKED).copied().collect();
        for g in latest {
            let group = &self.groups[g as usize];
            let fits = group.size == size && (group.row == row || group.row == 1 || row == 1);
            let Some(finals) = group.finals.and(Finals::of(role)).filter(|_| fits && !group.members.is_empty()) else {
                continue;
            };
            let Some(guests) = self.guests(list, x, g) else { continue };
            let added = || guests.iter().copied().chain([i as u32]);
            if self.waits(list, added(), &guests, g) {
                continue;
            }
            let group = &mut self.groups[g as usize];
            (group.row, group.finals) = (group.row.max(row), finals);
            let at = group.members.partition_point(|&m| (m as usize) < i);
            group.members.insert(at, i as u32);
            group.guests.extend(&guests);
            group.guests.sort_unstable();
            self.of[i] = g;
            added().for_each(|m| self.note_reads(list, m as usize, g));
            return true;
        }
        false
    }

    /// The cheap steps by which a group gets from what it reads to `x`; `None` if it would have to read more.
    fn guests(&self, list: &Listing, x: u32, g: u32) -> Option<SmallVec<[u32; DEPTH]>> {
        let group = &self.groups[g as usize];
        let computed = |x: u32| self.of[x as usize] == g || group.guests.binary_search(&x).is_ok();
        let computing = || group.members.iter().chain(&group.guests);
        let read = |x: u32| computing().any(|&m| list.operands[m as usize].contains(&x));
        let (mut guests, mut next) = (SmallVec::new(), vec![(x, DEPTH)]);
        while let Some((x, depth)) = next.pop() {
            let at = x as usize;
            if computed(x) {
                // Neither what is there when the pass is over, nor what it has one of for each row.
                if self.is_final(x) || (self.of[at] == g && self.narrow[at]) {
                    return None;
                }
            } else if !(guests.contains(&x) || is_small(list, at) || read(x)) {
                let full = list.nodes[at].size() == group.size;
                if depth == 0 || !full || !self.is_cheap(at) {
                    return None;
                }
                guests.push(x);
                next.extend(list.operands[at].iter().map(|&x| (x, depth - 1)));
            }
        }
        (group.members.len() + group.guests.len() + guests.len() < MOST_MEMBERS).then_some(guests)
    }

    /// True if something that these nodes read, but for what the group computes with its new guests, waits for the group.
    fn waits(&self, list: &Listing, nodes: impl Iterator<Item = u32>, guests: &[u32], g: u32) -> bool {
        let group = &self.groups[g as usize];
        let computed =
            |x: &u32| self.of[*x as usize] == g || guests.contains(x) || group.guests.binary_search(x).is_ok();
        let mut next: Vec<u32> = Vec::new();
        nodes.for_each(|m| next.extend(list.operands[m as usize].iter().filter(|x| !computed(x))));
        // Groups run whole: who waits for a member waits for all. Nodes stand after them.
        let mut seen = HashSet::new();
        while let Some(x) = next.pop() {
            let home = self.of[x as usize];
            if home == g || seen.len() > FARTHEST {
                return true;
            }
            if !seen.insert((home, if home == ALONE { x } else { 0 })) {
                continue;
            }
            if home == ALONE {
                next.extend(&list.operands[x as usize]);
                continue;
            }
            let group = &self.groups[home as usize];
            for &m in group.members.iter().chain(&group.guests) {
                next.extend(list.operands[m as usize].iter().filter(|&&x| self.of[x as usize] != home));
            }
        }
        false
    }
}
