//! Which values a pass computes again instead of reading them: rematerialisation.
//!
//! What one pass writes for another to read costs memory traffic twice. Where a sum or a product of what the other reads
//! anyway (or could read in its stead) gives the same value, that is quicker, and the value is never held. It is the same
//! kernel on the same operands, so the bits are the same.

use covector_array::kernels::{Arithmetic, LinkOp};
use smallvec::SmallVec;

use super::fuse::{ALONE, Groups, MOST_MEMBERS, Role, is_repeat};
use super::schedule::pause;
use crate::walk::Listing;

/// What others than the group of a node do with it.
pub(super) struct Again {
    /// For each group the nodes of others that it computes for itself.
    pub guests: Vec<Vec<u32>>,
    /// For each node whether anybody reads its value from memory.
    pub shown: Vec<bool>,
}

/// Values of fewer elements stay in the second-level cache from one pass to the next.
pub(super) const LEAST: usize = 1 << 14;
/// So many times fewer elements are as good as none.
const FEW: usize = 16;
/// Cheap ops one upon another that are looked through.
const DEPTH: usize = 4;

/// Groups that read a node, [`ALONE`] standing for all that is in none.
type Readers = SmallVec<[u32; 3]>;

fn note(readers: &mut Readers, group: u32) {
    if !readers.contains(&group) {
        readers.push(group);
    }
}

impl Again {
    /// Decides for all nodes, users first; `keep` says which values must be stored.
    pub fn new(list: &Listing, all: &Groups, keep: &[bool]) -> Again {
        let n = list.nodes.len();
        // For each node the groups that compute it in any case: they took in a final result that needs it.
        let mut hosts: Vec<Readers> = vec![Readers::new(); n];
        for (g, group) in all.groups.iter().enumerate() {
            let guests = group.guests.iter().filter(|&&x| all.of[x as usize] != g as u32);
            guests.for_each(|&x| hosts[x as usize].push(g as u32));
        }
        let mut asked: Vec<Readers> = vec![Readers::new(); n];
        for i in 0..n {
            let reads = list.operands[i].iter().filter(|&&x| !hosts[x as usize].contains(&all.of[i]));
            reads.for_each(|&x| note(&mut asked[x as usize], all.of[i]));
        }
        let search = Search { list, all, keep, asked };
        let mut again = Again { guests: vec![Vec::new(); all.groups.len()], shown: keep.to_vec() };
        let mut readers: Vec<Readers> = vec![Readers::new(); n];
        for i in (0..n).rev().filter(|&i| !list.is_leaf(i)) {
            pause(i);
            let home = all.of[i];
            let others = |&g: &u32| g != home && !hosts[i].contains(&g);
            let outside: Readers = readers[i].iter().copied().filter(others).collect();
            let inlined = home != ALONE && !keep[i] && !outside.is_empty() && again.pays(&search, i, &outside);
            again.shown[i] |= !outside.is_empty() && !inlined;
            let own = if again.stands_alone(all, i) { ALONE } else { home };
            let at_home = own == ALONE || again.shown[i] || readers[i].contains(&home);
            let hosts = readers[i].iter().copied().filter(|g| hosts[i].contains(g));
            let elsewhere: Readers = hosts.chain(outside.into_iter().filter(|_| inlined)).collect();
            for &x in &list.operands[i] {
                let readers = &mut readers[x as usize];
                elsewhere.iter().copied().chain(at_home.then_some(own)).for_each(|g| note(readers, g));
            }
            elsewhere.iter().for_each(|&g| again.guests[g as usize].push(i as u32));
        }
        again.guests.iter_mut().for_each(|guests| guests.reverse());
        again
    }

    /// True if a node runs by itself: one without a group, or a view in one that others see as well (that costs nothing).
    pub fn stands_alone(&self, all: &Groups, i: usize) -> bool {
        all.of[i] == ALONE || (self.shown[i] && !all.roles[i].is_some_and(Role::computes))
    }

    /// True if all these groups do better to compute a node of another group themselves.
    fn pays(&self, search: &Search, i: usize, outside: &[u32]) -> bool {
        let (list, all) = (search.list, search.all);
        let size = list.nodes[i].size();
        let row = match all.roles[i] {
            Some(Role::Link(..)) if all.is_cheap(i) => None,
            Some(Role::Repeat(row)) => Some(row),
            _ => return false,
        };
        let fits = |&g: &u32| {
            g != ALONE && {
                let group = &all.groups[g as usize];
                let room = group.members.len() + self.guests[g as usize].len() < MOST_MEMBERS;
                group.size == size && row.is_none_or(|row| group.row == row) && room
            }
        };
        if size < LEAST || !outside.iter().all(fits) {
            return false;
        }
        let mut bases = Vec::new();
        if row.is_none() && !search.bases(i, DEPTH, &mut bases) {
            return false;
        }
        bases.sort_unstable();
        bases.dedup();
        // In reads and writes of a whole array: what is read more, against one write and a read for each group.
        let more = |&g: &u32| bases.iter().filter(|&&x| !search.asked[x as usize].contains(&g)).count();
        outside.iter().map(more).sum::<usize>() <= outside.len()
    }
}

struct Search<'a> {
    list: &'a Listing,
    all: &'a Groups,
    keep: &'a [bool],
    /// For each node the groups whose members read it.
    asked: Vec<Readers>,
}

impl Search<'_> {
    /// Collects the large arrays from which a cheap node is computed, if they lie in memory anyway.
    fn bases(&self, i: usize, depth: usize, found: &mut Vec<u32>) -> bool {
        self.list.operands[i].iter().all(|&x| {
            let at = x as usize;
            let home = self.all.of[at];
            let private = home != ALONE && !self.keep[at] && self.asked[at].iter().all(|&g| g == home);
            if is_small(self.list, at) {
                return true;
            }
            if !private {
                found.push(x);
                return true;
            }
            depth > 0 && self.all.is_cheap(at) && self.bases(at, depth - 1, found)
        })
    }
}

impl Groups {
    /// True if computing a node costs less than reading it would.
    pub fn is_cheap(&self, i: usize) -> bool {
        match self.roles[i] {
            Some(Role::Link(LinkOp::Map(kernel), 1)) => kernel.arithmetic().is_some_and(Arithmetic::is_cheap),
            _ => false,
        }
    }
}

/// True if a node's value takes little memory, because it is one element again and again.
pub(super) fn is_small(list: &Listing, i: usize) -> bool {
    let node = &list.nodes[i];
    if let Some(value) = node.cached() {
        return value.distinct() * FEW <= node.size();
    }
    let source = |&x: &u32| list.nodes[x as usize].size() * FEW <= node.size();
    is_repeat(node) && list.operands[i].iter().all(source)
}
