//! In which order steps run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use smallvec::SmallVec;

use super::fuse::ALONE;
use super::schedule::{Step, pause};
use crate::primitive::Class;
use crate::walk::Listing;

/// Brings steps into an order in which operands stand before their users.
///
/// Of those that could be next, one that frees at least as much memory as it takes comes first: the gradient of a weight
/// follows the cotangent that it is made of, which is in the cache then and need not be held any longer. Otherwise the order is as
/// near to the listing's as can be. `given` says which leaves nobody else needs: their memory does not stay.
pub(super) fn in_order(list: &Listing, steps: Vec<Step>, given: &dyn Fn(usize) -> bool) -> Vec<Step> {
    let mut queue = Queue::new(list, &steps, given);
    let mut order = Vec::with_capacity(steps.len());
    while let Some(s) = queue.next() {
        pause(order.len());
        order.push(s);
        queue.done(s);
    }
    assert_eq!(order.len(), steps.len(), "steps wait for one another: please report this");
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    order.into_iter().map(|s| steps[s].take().expect("each comes once")).collect()
}

/// A step by its place in the listing.
type Place = Reverse<(Option<u32>, usize)>;

/// Steps that are not in order yet.
struct Queue<'a> {
    list: &'a Listing,
    steps: &'a [Step],
    /// For each node the one whose memory its value lies in, itself or another that it is a view of.
    owner: Vec<u32>,
    /// For each node the steps that read its memory and are not done, beside those that make views of it: how many there are,
    /// and the sum of their numbers, which at last is the number of one.
    readers: Vec<(u32, usize)>,
    /// For each node whether its memory stays.
    stays: Vec<bool>,
    /// For each step the steps that read what it makes.
    users: Vec<SmallVec<[u32; 4]>>,
    /// For each step how often it reads what is not made yet.
    waits: Vec<usize>,
    is_done: Vec<bool>,
    /// Steps that can be next; of these, those that free as much memory as they take.
    ready: [BinaryHeap<Place>; 2],
}

impl<'a> Queue<'a> {
    fn new(list: &'a Listing, steps: &'a [Step], given: &dyn Fn(usize) -> bool) -> Queue<'a> {
        let n = list.nodes.len();
        let mut owner: Vec<u32> = (0..n as u32).collect();
        for i in (0..n).filter(|&i| list.nodes[i].primitive().class() == Class::View) {
            if let Some(&source) = list.operands[i].first() {
                owner[i] = owner[source as usize];
            }
        }
        let mut stays: Vec<bool> = (0..n).map(|i| list.is_leaf(i) && !given(i)).collect();
        let mut maker = vec![ALONE; n];
        for (s, step) in steps.iter().enumerate() {
            for made in &step.results {
                maker[made.position as usize] = s as u32;
                stays[owner[made.position as usize] as usize] |= made.keep;
            }
        }
        let mut queue = Queue {
            list,
            steps,
            owner,
            readers: vec![(0, 0); n],
            stays,
            users: vec![SmallVec::new(); steps.len()],
            waits: vec![0; steps.len()],
            is_done: vec![false; steps.len()],
            ready: Default::default(),
        };
        for (s, step) in steps.iter().enumerate() {
            for operand in &step.operands {
                if let Some(users) = queue.users.get_mut(maker[operand.position as usize] as usize) {
                    users.push(s as u32);
                    queue.waits[s] += 1;
                }
            }
            if !queue.is_view(s) {
                for x in queue.memory(s) {
                    let (count, sum) = &mut queue.readers[x as usize];
                    (*count, *sum) = (*count + 1, *sum + s);
                }
            }
        }
        for s in 0..steps.len() {
            if queue.waits[s] == 0 {
                queue.push(s);
            }
        }
        queue
    }

    /// The step that comes next.
    fn next(&mut self) -> Option<usize> {
        let is_done = &self.is_done;
        let first = |heap: &mut BinaryHeap<Place>| {
            std::iter::from_fn(|| heap.pop()).map(|Reverse((_, s))| s).find(|&s| !is_done[s])
        };
        let [ready, freeing] = &mut self.ready;
        first(freeing).or_else(|| first(ready))
    }

    /// What can be next after this step, and what frees memory now that it is done.
    fn done(&mut self, s: usize) {
        self.is_done[s] = true;
        for user in std::mem::take(&mut self.users[s]) {
            self.waits[user as usize] -= 1;
            if self.waits[user as usize] == 0 {
                self.push(user as usize);
            }
        }
        if self.is_view(s) {
            return;
        }
        for x in self.memory(s) {
            let (count, sum) = &mut self.readers[x as usize];
            (*count, *sum) = (*count - 1, *sum - s);
            let (count, last) = self.readers[x as usize];
            if count == 1 && self.waits[last] == 0 && self.frees(last) {
                self.ready[1].push(self.place(last));
            }
        }
    }

    fn push(&mut self, s: usize) {
        self.ready[usize::from(self.frees(s))].push(self.place(s));
    }

    fn place(&self, s: usize) -> Place {
        Reverse((self.steps[s].results.iter().map(|made| made.position).max(), s))
    }

    /// True if a step frees at least as many bytes as it takes.
    fn frees(&self, s: usize) -> bool {
        let bytes = |x: u32| self.list.nodes[x as usize].size() * self.list.nodes[x as usize].dtype().size();
        let ends = |x: &u32| !self.stays[*x as usize] && self.readers[*x as usize].0 == 1;
        let freed: usize = self.memory(s).into_iter().filter(ends).map(bytes).sum();
        self.is_view(s) || freed >= self.steps[s].results.iter().map(|made| bytes(made.position)).sum()
    }

    fn is_view(&self, s: usize) -> bool {
        let step = &self.steps[s];
        step.chain.is_none() && self.list.nodes[step.results[0].position as usize].primitive().class() == Class::View
    }

    /// The nodes whose memory a step reads.
    fn memory(&self, s: usize) -> SmallVec<[u32; 4]> {
        let mut owners: SmallVec<[u32; 4]> =
            self.steps[s].operands.iter().map(|x| self.owner[x.position as usize]).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }
}
