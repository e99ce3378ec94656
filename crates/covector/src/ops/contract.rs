//! Contractions of tensors whose axes carry labels: what einsum and tensordot are made of.
//!
//! Many operands are contracted in pairs, and a pair is one matrix product: the axes that both have and the rest needs
//! become the batch, the axes that only one has its rows or columns, the others are summed over.

use smallvec::SmallVec;

use super::linear::batched;
use super::reduce::sum_axes;
use super::view::{permuted, reshaped};
use crate::Tensor;

/// The name of an axis, below [`LABELS`].
pub(crate) type Label = u8;
/// Labels in the order of the axes.
pub(crate) type Labels = SmallVec<[Label; 8]>;

/// The number of different labels.
pub(crate) const LABELS: usize = 128;
/// Up to this many operands the best order is looked for; beyond, a good one.
const SEARCHED: usize = 10;

/// A set of labels, one bit each.
pub(crate) type Set = u128;

/// The labels as a set.
pub(crate) fn set_of(labels: &[Label]) -> Set {
    labels.iter().fold(0, |set, &l| set | 1 << l)
}

fn has(set: Set, label: Label) -> bool {
    set >> label & 1 == 1
}

/// A tensor whose axes carry labels, none twice.
#[derive(Clone)]
pub(crate) struct Labelled {
    pub x: Tensor,
    pub labels: Labels,
}

impl Labelled {
    fn set(&self) -> Set {
        set_of(&self.labels)
    }

    fn position(&self, label: Label) -> Option<usize> {
        self.labels.iter().position(|&l| l == label)
    }

    /// The labels in `set`, in the order of the axes.
    fn among(&self, set: Set) -> Labels {
        self.labels.iter().copied().filter(|&l| has(set, l)).collect()
    }

    /// Summed over the axes whose labels are not in `keep`.
    fn summed(&self, keep: Set) -> Labelled {
        let axes: SmallVec<[usize; 6]> = (0..self.labels.len()).filter(|&i| !has(keep, self.labels[i])).collect();
        Labelled { x: sum_axes(&self.x, &axes), labels: self.among(keep) }
    }

    /// The axes in the order of these labels; a label the tensor does not have gives an axis of size 1.
    pub fn ordered(&self, labels: &[Label]) -> Tensor {
        let order: SmallVec<[usize; 6]> = labels.iter().filter_map(|&l| self.position(l)).collect();
        let shape: Vec<usize> = labels.iter().map(|&l| self.size_of(l).unwrap_or(1)).collect();
        reshaped(&permuted(&self.x, &order), shape)
    }

    /// The size of the axis of this label, if there is one.
    pub fn size_of(&self, label: Label) -> Option<usize> {
        self.position(label).map(|i| self.x.shape()[i])
    }

    /// As a batch of matrices; permuted after the merge where the columns stand before the rows, as that needs no copy.
    fn matrices(&self, batch: &[Label], rows: &[Label], columns: &[Label]) -> Tensor {
        let size = |labels: &[Label]| labels.iter().filter_map(|&l| self.size_of(l)).product::<usize>();
        let sizes = [size(batch), size(rows), size(columns)];
        let last = |labels: &[Label]| labels.iter().filter_map(|&l| self.position(l)).max();
        if last(rows) > last(columns) {
            return permuted(
                &reshaped(&self.ordered(&[batch, columns, rows].concat()), [sizes[0], sizes[2], sizes[1]]),
                &[0, 2, 1],
            );
        }
        reshaped(&self.ordered(&[batch, rows, columns].concat()), sizes)
    }
}

/// The product of two tensors, summed over the labels that are not in `keep`.
pub(crate) fn pair(a: &Labelled, b: &Labelled, keep: Set) -> Labelled {
    let (a, b) = (a.summed(b.set() | keep), b.summed(a.set() | keep));
    let both = a.set() & b.set();
    if both & !keep == 0 {
        let labels: Labels = a.labels.iter().copied().chain(b.among(!both)).collect();
        let x = if a.labels == labels { a.x.clone() } else { a.ordered(&labels) };
        return Labelled { x: x * b.ordered(&labels), labels };
    }
    // The larger operand says in which order the shared axes are merged, so that it is not copied.
    let larger = if b.x.size() > a.x.size() { &b } else { &a };
    let (batch, inner) = (larger.among(both & keep), larger.among(both & !keep));
    let (rows, columns) = (a.among(!both), b.among(!both));
    let y = batched(&a.matrices(&batch, &rows, &inner), &b.matrices(&batch, &inner, &columns));
    let labels: Labels = [batch, rows, columns].concat().into();
    let shape: Vec<usize> = labels.iter().filter_map(|&l| a.size_of(l).or(b.size_of(l))).collect();
    Labelled { x: reshaped(&y, shape), labels }
}

/// The product of all terms, summed over the labels that are not in `output`, with its axes in that order.
pub(crate) fn contract(terms: Vec<Labelled>, output: &[Label]) -> Tensor {
    let wanted = set_of(output);
    let mut sizes = [1.0; LABELS];
    for term in &terms {
        term.labels.iter().zip(term.x.shape().iter()).for_each(|(&l, &d)| sizes[l as usize] = d as f64);
    }
    let others = |terms: &[Option<Labelled>]| terms.iter().flatten().fold(wanted, |set, t| set | t.set());
    let mut terms: Vec<Option<Labelled>> = terms.into_iter().map(Some).collect();
    for i in 0..terms.len() {
        // An axis that nobody else has is summed before it meets a product.
        let term = terms[i].take().expect("every term is there");
        let term = term.summed(others(&terms));
        terms[i] = Some(term);
    }
    let sets: Vec<Set> = terms.iter().flatten().map(Labelled::set).collect();
    for (i, j) in order(&sets, wanted, &sizes) {
        let (a, b) = (terms[i].take().expect("not used yet"), terms[j].take().expect("not used yet"));
        let keep = others(&terms);
        terms.push(Some(pair(&a, &b, keep)));
    }
    let last = terms.pop().flatten().expect("there was a term");
    last.summed(wanted).ordered(output)
}

fn size_of(set: Set, sizes: &[f64; LABELS]) -> f64 {
    (0..LABELS).filter(|&l| has(set, l as Label)).map(|l| sizes[l]).product()
}

/// Which pairs to contract, by position in a list to whose end each result is appended.
pub(crate) fn order(sets: &[Set], output: Set, sizes: &[f64; LABELS]) -> Vec<(usize, usize)> {
    match sets.len() {
        0 | 1 => Vec::new(),
        2 => vec![(0, 1)],
        n if n <= SEARCHED => cheapest(sets, output, sizes),
        _ => greedy(sets, output, sizes),
    }
}

/// The order of the fewest multiplications, by dynamic programming over the subsets of the terms.
fn cheapest(sets: &[Set], output: Set, sizes: &[f64; LABELS]) -> Vec<(usize, usize)> {
    let all = (1usize << sets.len()) - 1;
    let union = |which: usize| (0..sets.len()).filter(|i| which >> i & 1 == 1).fold(0, |u, i| u | sets[i]);
    let result: Vec<Set> = (0..=all).map(|which| union(which) & (output | union(all & !which))).collect();
    let mut best = vec![(0.0, 0); all + 1];
    for which in 1..=all {
        if which.is_power_of_two() {
            continue;
        }
        best[which] = (f64::INFINITY, 0);
        let lowest = which & which.wrapping_neg();
        let mut part = (which - 1) & which;
        while part > 0 {
            if part & lowest != 0 {
                let before = best[part].0 + best[which & !part].0;
                if before < best[which].0 || best[which].1 == 0 {
                    let cost = before + size_of(result[part] | result[which & !part], sizes);
                    if cost < best[which].0 || best[which].1 == 0 {
                        best[which] = (cost, part);
                    }
                }
            }
            part = (part - 1) & which;
        }
    }
    let mut steps = Vec::new();
    emit(all, &best, sets.len(), &mut steps);
    steps
}

/// Appends the steps that contract the subset `which`, and returns the position of its result.
fn emit(which: usize, best: &[(f64, usize)], terms: usize, steps: &mut Vec<(usize, usize)>) -> usize {
    if which.is_power_of_two() {
        return which.trailing_zeros() as usize;
    }
    let part = best[which].1;
    let (a, b) = (emit(part, best, terms, steps), emit(which & !part, best, terms, steps));
    steps.push((a, b));
    terms + steps.len() - 1
}

/// What makes a pair a good next one; less is better.
///
/// The first is opt_einsum's. It likes to multiply the small first and then pays for a large result many times, which the
/// second does not: it counts the multiplications for each element that is used up.
const APPEALS: [fn(&Pair) -> f64; 3] = [|p| p.result - p.operands, |p| p.work / p.operands, |p| p.result / p.operands];

/// The sizes of a pair's operands together, of its result, and of the loop over both.
struct Pair {
    operands: f64,
    result: f64,
    work: f64,
}

/// The cheapest of the orders that take the most appealing pair at each step.
fn greedy(sets: &[Set], output: Set, sizes: &[f64; LABELS]) -> Vec<(usize, usize)> {
    let orders = APPEALS.map(|appeal| greedy_by(appeal, sets, output, sizes));
    let cheapest = orders.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    cheapest.expect("there are several").1
}

/// At each step the most appealing pair, of several the one with the least work; and the work of all steps.
fn greedy_by(appeal: fn(&Pair) -> f64, sets: &[Set], output: Set, sizes: &[f64; LABELS]) -> (f64, Vec<(usize, usize)>) {
    let mut alive: Vec<(usize, Set)> = sets.iter().copied().enumerate().collect();
    let (mut total, mut steps) = (0.0, Vec::new());
    while alive.len() > 1 {
        let mut best: Option<(f64, f64, usize, usize)> = None;
        for j in 1..alive.len() {
            for i in 0..j {
                let (a, b) = (alive[i].1, alive[j].1);
                let pair = Pair {
                    operands: size_of(a, sizes) + size_of(b, sizes),
                    result: size_of(merged(&alive, i, j, output), sizes),
                    work: size_of(a | b, sizes),
                };
                let rank = (appeal(&pair), pair.work);
                if best.is_none_or(|(appeal, work, ..)| rank < (appeal, work)) {
                    best = Some((rank.0, rank.1, i, j));
                }
            }
        }
        let (_, work, i, j) = best.expect("two terms are left");
        let result = merged(&alive, i, j, output);
        total += work;
        steps.push((alive[i].0, alive[j].0));
        alive.remove(j);
        alive.remove(i);
        alive.push((sets.len() + steps.len() - 1, result));
    }
    (total, steps)
}

/// The labels of the product of terms `i` and `j`: those that the others or the output still need.
fn merged(alive: &[(usize, Set)], i: usize, j: usize, output: Set) -> Set {
    let others = alive.iter().enumerate().filter(|&(k, _)| k != i && k != j).fold(output, |u, (_, t)| u | t.1);
    (alive[i].1 | alive[j].1) & others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes_of(values: &[f64]) -> [f64; LABELS] {
        std::array::from_fn(|i| values.get(i).copied().unwrap_or(1.0))
    }

    /// The multiplications that an order needs.
    fn cost(steps: &[(usize, usize)], sets: &[Set], output: Set, sizes: &[f64; LABELS]) -> f64 {
        let mut terms: Vec<Option<Set>> = sets.iter().copied().map(Some).collect();
        let mut total = 0.0;
        for &(i, j) in steps {
            let (a, b) = (terms[i].take().unwrap(), terms[j].take().unwrap());
            let others = terms.iter().flatten().fold(output, |u, s| u | s);
            total += size_of(a | b, sizes);
            terms.push(Some((a | b) & others));
        }
        assert_eq!(terms.iter().flatten().count(), 1);
        total
    }

    #[test]
    fn a_chain_of_matrices_is_multiplied_in_the_best_order() {
        // [10, 100] [100, 5] [5, 50]: the left pair first needs 7500 multiplications, the right one 75000.
        let sets: Vec<Set> = (0..3).map(|i| set_of(&[i, i + 1])).collect();
        let sizes = sizes_of(&[10.0, 100.0, 5.0, 50.0]);
        assert_eq!(cost(&order(&sets, set_of(&[0, 3]), &sizes), &sets, set_of(&[0, 3]), &sizes), 7500.0);
    }

    /// A chain of matrices between these sizes, and what remains of its axes.
    fn chain(between: &[f64]) -> (Vec<Set>, Set) {
        let n = between.len() as Label - 1;
        ((0..n).map(|i| set_of(&[i, i + 1])).collect(), set_of(&[0, n]))
    }

    /// The fewest multiplications of a chain, by the textbook's programme over its intervals.
    fn fewest(between: &[f64]) -> f64 {
        let n = between.len() - 1;
        let mut best = vec![vec![0.0; n + 1]; n + 1];
        for length in 2..=n {
            for i in 0..=n - length {
                let j = i + length;
                let split = |k: usize| best[i][k] + best[k][j] + between[i] * between[k] * between[j];
                best[i][j] = (i + 1..j).map(split).fold(f64::INFINITY, f64::min);
            }
        }
        best[0][n]
    }

    #[test]
    fn the_greedy_order_of_a_long_chain_costs_less_than_one_and_a_half_times_the_best() {
        let between = [2.0, 30.0, 4.0, 50.0, 6.0, 7.0, 80.0, 9.0, 3.0];
        let ((sets, output), sizes) = (chain(&between), sizes_of(&between));
        let (best, good) = (cheapest(&sets, output, &sizes), greedy(&sets, output, &sizes));
        let (best, good) = (cost(&best, &sets, output, &sizes), cost(&good, &sets, output, &sizes));
        assert_eq!(best, fewest(&between));
        assert!(best <= good && good < 1.5 * best, "{best} {good}");
    }

    #[test]
    fn the_greedy_orders_of_chains_of_any_sizes_cost_less_than_one_and_a_half_times_the_best() {
        let (mut seed, mut worst) = (1u32, 1.0f64);
        let mut size = || {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            [2.0, 3.0, 5.0, 8.0, 13.0, 30.0, 60.0, 100.0][(seed >> 29) as usize]
        };
        for n in [11, 14, 20].repeat(10) {
            let between: Vec<f64> = (0..=n).map(|_| size()).collect();
            let ((sets, output), sizes) = (chain(&between), sizes_of(&between));
            let good = cost(&greedy(&sets, output, &sizes), &sets, output, &sizes);
            worst = worst.max(good / fewest(&between));
        }
        assert!((1.0..1.5).contains(&worst), "{worst}");
    }

    #[test]
    fn an_order_for_many_terms_is_found_in_a_moment() {
        // A ring of tensors around one in the middle: no chain, and every pair of neighbours shares an axis.
        for n in [SEARCHED, 40] {
            let ring = (0..n - 1).map(|i| set_of(&[i as Label, ((i + 1) % (n - 1)) as Label]));
            let sets: Vec<Set> = ring.chain([set_of(&[0, 3, 7])]).collect();
            let started = std::time::Instant::now();
            assert_eq!(order(&sets, 0, &sizes_of(&vec![3.0; n])).len(), n - 1);
            assert!(started.elapsed().as_secs_f64() < 2.0, "{n} terms took {:?}", started.elapsed());
        }
    }
}
