//! Plans by structure: a training loop builds the same graph each step and plans it once.

use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::{Arc, Mutex};

use crate::Spec;
use crate::plan::fuse::is_splat;
use crate::plan::schedule::Plan;
use crate::walk::Listing;

/// Plans kept; the one unused for longest makes room.
const CAPACITY: usize = 256;
struct Cache {
    plans: HashMap<(u64, u64), (Arc<Plan>, u64)>,
    clock: u64,
}

static CACHE: Mutex<Option<Cache>> = Mutex::new(None);

/// The plan of a listing: remembered, or made now.
pub(super) fn plan(list: &Listing, keep: &[bool]) -> Arc<Plan> {
    let key = structure(list, keep);
    if let Some(plan) = look_up(key) {
        return plan;
    }
    let plan = Arc::new(Plan::new(list, keep));
    remember(key, plan.clone());
    plan
}

fn look_up(key: (u64, u64)) -> Option<Arc<Plan>> {
    let mut guard = CACHE.lock().unwrap_or_else(|e| e.into_inner());
    let cache = guard.as_mut()?;
    cache.clock += 1;
    let (plan, used) = cache.plans.get_mut(&key)?;
    *used = cache.clock;
    Some(plan.clone())
}

fn remember(key: (u64, u64), plan: Arc<Plan>) {
    let mut guard = CACHE.lock().unwrap_or_else(|e| e.into_inner());
    let cache = guard.get_or_insert_with(|| Cache { plans: HashMap::new(), clock: 0 });
    if cache.plans.len() >= CAPACITY {
        let oldest = cache.plans.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
        oldest.map(|key| cache.plans.remove(&key));
    }
    cache.plans.insert(key, (plan, cache.clock));
}

/// 128 bits over everything a plan depends on: primitives with their parameters, specs, edges, and what is kept.
fn structure(list: &Listing, keep: &[bool]) -> (u64, u64) {
    let mut hasher = Wide::default();
    for (i, node) in list.nodes.iter().enumerate() {
        let (leaf, operands) = (list.is_leaf(i), &list.operands[i][..]);
        let Spec { dtype, shape } = node.spec();
        let splat = leaf && is_splat(node);
        let flags = u64::from(leaf) | u64::from(keep[i]) << 1 | (*dtype as u64) << 2 | u64::from(splat) << 8;
        hasher.write_u64(flags | (shape.len() as u64) << 16 | (operands.len() as u64) << 32);
        shape.iter().for_each(|&d| hasher.write_usize(d));
        if !leaf {
            // Where a name lies says which it is; one that lies in two places is planned twice, no more.
            hasher.write_usize(node.primitive().name().as_ptr() as usize);
            node.primitive().structural_hash(&mut hasher);
            for pair in operands.chunks(2) {
                hasher.write_u64(u64::from(pair[0]) | pair.get(1).map_or(0, |&j| u64::from(j) << 32));
            }
        }
    }
    hasher.both()
}

/// Two multiplicative hashes side by side: one alone would collide once in 2^32 plans.
pub(crate) struct Wide {
    a: u64,
    b: u64,
}

impl Default for Wide {
    fn default() -> Self {
        Wide { a: 0x243F_6A88_85A3_08D3, b: 0x1319_8A2E_0370_7344 }
    }
}

impl Wide {
    /// All 128 bits.
    pub fn both(&self) -> (u64, u64) {
        (self.a, self.b)
    }
}

impl Hasher for Wide {
    fn finish(&self) -> u64 {
        self.a
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 56);
        }
    }
    fn write_u64(&mut self, word: u64) {
        let mix = |state: u64, odd: u64| {
            let product = u128::from(state ^ word) * u128::from(odd);
            (product as u64) ^ (product >> 64) as u64 ^ state.rotate_left(23)
        };
        self.a = mix(self.a, 0x9E37_79B9_7F4A_7C15);
        self.b = mix(self.b, 0xD6E8_FEB8_6659_FD93);
    }
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

#[cfg(test)]
mod tests {
    use crate::Tensor;

    #[test]
    fn a_number_and_a_tensor_are_planned_apart() {
        // So many elements that code is written, in which a number stays in a register.
        let n = 1 << 18;
        let numbers = |of: fn(usize) -> f32| Tensor::from_slice(&(0..n).map(of).collect::<Vec<_>>(), [n]);
        let (x, y) = (numbers(|i| (i % 97) as f32), numbers(|i| (i % 101) as f32));
        let by_number = (&x * 2.0 + &x).to_vec::<f32>();
        // Nobody else holds this tensor either.
        let by_tensor = (&x * y + &x).to_vec::<f32>();
        let by_other = (&x * 3.0 + &x).to_vec::<f32>();
        for i in 0..n {
            let (x, y) = ((i % 97) as f32, (i % 101) as f32);
            assert_eq!([by_number[i], by_tensor[i], by_other[i]], [x * 2.0 + x, x * y + x, x * 3.0 + x], "{i}");
        }
    }
}
