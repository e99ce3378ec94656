//! Sizes that are multiples of something, so that strides leave no rest and shapes have formulas.

use crate::eval::Record;
use crate::program::{Factor, Leaves, Numbers, Program, RUNS, Wishes};
use crate::symbols::runs_of;

impl Program {
    /// Makes sizes multiples of strides where shapes have no formula otherwise: `H/2` is one for even heights.
    pub(crate) fn even(&self, numbers: &Numbers, wishes: &mut Wishes, found: &mut Vec<Record>, leaf: &mut Leaves) {
        let names = wishes.free(found);
        let mut unknown = unknown_axes(found, &names, wishes);
        for name in &names {
            let mut with = |factor: u64, wishes: &Wishes| {
                let mut wishes = wishes.clone();
                wishes.multiples.entry(name.clone()).or_default().push(Factor::Number(factor));
                let records = self.symbolic(numbers, &mut wishes, RUNS, leaf).ok()?;
                Some((unknown_axes(&records, &names, &mut wishes), wishes, records))
            };
            if unknown == 0 {
                return;
            }
            // What no multiple of all strides helps, none of them helps.
            let Some((best, ..)) = with(STRIDES.iter().fold(1, |all, s| all / gcd(all, *s) * s), wishes) else {
                continue;
            };
            if best < unknown
                && let Some(better) = STRIDES.iter().filter_map(|s| with(*s, wishes)).find(|(left, ..)| *left == best)
            {
                (unknown, *wishes, *found) = better;
            }
        }
    }

    /// Takes back multiples that turn out not to be needed.
    pub(crate) fn relax(&self, numbers: &Numbers, wishes: &mut Wishes, found: &mut Vec<Record>, leaf: &mut Leaves) {
        let names = wishes.free(found);
        let unknown = unknown_axes(found, &names, wishes);
        for name in &names {
            let mut at = 0;
            while at < wishes.multiples.get(name).map_or(0, Vec::len) {
                let mut fewer = wishes.clone();
                fewer.multiples.entry(name.clone()).or_default().remove(at);
                let factors = |w: &Wishes| w.multiples.values().map(Vec::len).sum::<usize>();
                let unneeded = |fewer: &Wishes| factors(fewer) < factors(wishes) && fewer.fixed == wishes.fixed;
                let possible = self.symbolic(numbers, &mut fewer, 1, leaf).is_ok() && unneeded(&fewer);
                match possible.then(|| self.symbolic(numbers, &mut fewer, RUNS, leaf)) {
                    Some(Ok(records)) if unneeded(&fewer) && unknown_axes(&records, &names, &mut fewer) <= unknown => {
                        (*wishes, *found) = (fewer, records);
                    }
                    _ => at += 1,
                }
            }
        }
    }
}

/// What sizes are tried as multiples of, in this order.
const STRIDES: [u64; 14] = [2, 4, 8, 16, 32, 64, 3, 6, 12, 9, 18, 5, 10, 7];

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The number of axes in these runs that no formula was found for.
fn unknown_axes(records: &[Record], names: &[String], wishes: &mut Wishes) -> usize {
    let sizes: Vec<&[(String, i64)]> = records.iter().map(|r| &r.sizes[..]).collect();
    let runs = runs_of(names, &sizes, wishes);
    let mut unknown = 0;
    for (i, made) in records[0].made.iter().enumerate() {
        for (k, tensor) in made.tensors.iter().enumerate() {
            let size = |r: &Record, a: usize| r.made.get(i)?.tensors.get(k)?.shape().get(a).map(|n| *n as u64);
            let fits = |a: usize| {
                let sizes: Option<Vec<u64>> = records.iter().map(|r| size(r, a)).collect();
                sizes.is_some_and(|s| runs.fit(&s).is_some_and(|e| e.is_whole()))
            };
            unknown += (0..tensor.ndim()).filter(|a| !fits(*a)).count();
        }
    }
    unknown
}
