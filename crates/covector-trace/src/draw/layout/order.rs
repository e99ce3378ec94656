//! The order within layers: medians of the neighbours, swept to and fro, and the best order seen is kept.

use super::Plan;

/// Sweeps at most, and lines looked at in all of them together.
const SWEEPS: usize = 24;
const WORK: usize = 4_000_000;

pub(super) fn order(plan: &mut Plan) {
    if plan.layers.len() < 2 || plan.pieces.is_empty() {
        return;
    }
    let n = plan.items.len();
    let (mut left, mut right): (Vec<Vec<usize>>, Vec<Vec<usize>>) = (vec![Vec::new(); n], vec![Vec::new(); n]);
    for piece in &plan.pieces {
        left[piece.to].push(piece.from);
        right[piece.from].push(piece.to);
    }
    let mut place = vec![0; n];
    let number = |layer: &[usize], place: &mut [usize]| layer.iter().enumerate().for_each(|(k, &i)| place[i] = k);
    plan.layers.iter().for_each(|layer| number(layer, &mut place));
    let mut best = (crossings(plan, &right, &place), plan.layers.clone());
    let sweeps = (WORK / plan.pieces.len()).clamp(2, SWEEPS);
    let count = plan.layers.len();
    for sweep in 0..sweeps {
        let to_the_right = sweep % 2 == 0;
        let near = if to_the_right { &left } else { &right };
        for step in 1..count {
            let l = if to_the_right { step } else { count - 1 - step };
            arrange(&mut plan.layers[l], near, &place);
            number(&plan.layers[l], &mut place);
        }
        let now = crossings(plan, &right, &place);
        if now < best.0 {
            best = (now, plan.layers.clone());
        }
        if now == 0 {
            break;
        }
    }
    plan.layers = best.1;
}

/// Sorts a layer by the medians of its items' neighbours; items without any keep their places.
fn arrange(layer: &mut [usize], near: &[Vec<usize>], place: &[usize]) {
    let mut moving: Vec<(f64, usize)> = Vec::new();
    let mut seats = Vec::new();
    for (k, &i) in layer.iter().enumerate().filter(|&(_, &i)| !near[i].is_empty()) {
        let mut at: Vec<usize> = near[i].iter().map(|&j| place[j]).collect();
        at.sort_unstable();
        let middle = at.len() / 2;
        let median = if at.len() % 2 == 1 { at[middle] as f64 } else { (at[middle - 1] + at[middle]) as f64 / 2.0 };
        moving.push((median, i));
        seats.push(k);
    }
    moving.sort_by(|a, b| a.0.total_cmp(&b.0));
    seats.iter().zip(moving).for_each(|(&seat, (_, i))| layer[seat] = i);
}

/// How many pairs of lines cross.
fn crossings(plan: &Plan, right: &[Vec<usize>], place: &[usize]) -> u64 {
    let mut sum = 0;
    for pair in plan.layers.windows(2) {
        let mut seen = vec![0u64; pair[1].len() + 1];
        let mut total = 0;
        for &i in &pair[0] {
            let mut ends: Vec<usize> = right[i].iter().map(|&j| place[j]).collect();
            ends.sort_unstable();
            for &end in &ends {
                sum += total - upto(&seen, end + 1);
            }
            for end in ends {
                let mut k = end + 1;
                while k < seen.len() {
                    seen[k] += 1;
                    k += k & k.wrapping_neg();
                }
                total += 1;
            }
        }
    }
    sum
}

/// The sum of the first `k` counts of a Fenwick tree.
fn upto(tree: &[u64], mut k: usize) -> u64 {
    let mut sum = 0;
    while k > 0 {
        sum += tree[k];
        k -= k & k.wrapping_neg();
    }
    sum
}
