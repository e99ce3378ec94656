//! Layers: every arrow goes to the right; what is only read later stands close to its reader.

use std::collections::{BTreeSet, HashMap};

use super::{Item, Piece, Plan, Wire};

/// Lines through other layers take so many bends for each item before the longest of them go below everything.
const BENDS: usize = 40;

pub(super) fn layered(items: Vec<Item>, mut wires: Vec<Wire>) -> Plan {
    let n = items.len();
    let ends: Vec<(usize, usize)> = wires.iter().map(|w| (w.from, w.to)).collect();
    let order = sequence(n, &ends);
    let mut rank = vec![0; n];
    order.iter().enumerate().for_each(|(k, &i)| rank[i] = k);
    let forward = |w: &Wire| rank[w.from] < rank[w.to];
    let layer = assign(&items, &wires, &order, forward);
    let count = layer.iter().max().map_or(0, |&l| l + 1);
    let mut plan = Plan { layers: vec![Vec::new(); count], ..Plan::default() };
    order.iter().for_each(|&i| plan.layers[layer[i]].push(i));
    plan.items = items;
    let longest = allowed(&wires, &layer, n);
    let mut bends: HashMap<(usize, usize, usize), usize> = HashMap::new();
    let mut pieces: HashMap<(usize, usize, usize), usize> = HashMap::new();
    for wire in &mut wires {
        let (start, stop) = (layer[wire.from], layer[wire.to]);
        if stop <= start || stop - start > longest {
            continue;
        }
        let mut from = wire.from;
        for l in start + 1..=stop {
            let to = match l == stop {
                true => wire.to,
                false => *bends.entry((wire.from, wire.value, l)).or_insert_with(|| {
                    plan.items.push(Item::Bend(wire.value));
                    plan.layers[l].push(plan.items.len() - 1);
                    plan.items.len() - 1
                }),
            };
            let piece = Piece { from, to, value: wire.value, ports: wire.ports, flow: wire.flow };
            let at = *pieces.entry((from, to, wire.value)).or_insert_with(|| {
                plan.pieces.push(piece);
                plan.pieces.len() - 1
            });
            plan.pieces[at].flow.join(wire.flow);
            wire.pieces.push(at);
            from = to;
        }
    }
    plan.wires = wires;
    plan
}

/// The items so that what is read stands before its reader; where that is impossible, the first given goes first.
pub(crate) fn sequence(n: usize, arrows: &[(usize, usize)]) -> Vec<usize> {
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut missing = vec![0usize; n];
    for &(from, to) in arrows {
        users[from].push(to);
        missing[to] += 1;
    }
    let mut ready: BTreeSet<usize> = (0..n).filter(|&i| missing[i] == 0).collect();
    let mut waiting: BTreeSet<usize> = (0..n).filter(|&i| missing[i] > 0).collect();
    let mut order = Vec::with_capacity(n);
    while let Some(next) = ready.pop_first().or_else(|| waiting.pop_first()) {
        order.push(next);
        for &user in &users[next] {
            missing[user] = missing[user].saturating_sub(1);
            if missing[user] == 0 && waiting.remove(&user) {
                ready.insert(user);
            }
        }
    }
    order
}

/// The layer of every item: as far left as its operands allow, then as far right as makes lines no longer.
fn assign(items: &[Item], wires: &[Wire], order: &[usize], forward: impl Fn(&Wire) -> bool) -> Vec<usize> {
    let n = items.len();
    let (mut ins, mut outs): (Vec<Vec<usize>>, Vec<Vec<usize>>) = (vec![Vec::new(); n], vec![Vec::new(); n]);
    for wire in wires.iter().filter(|w| forward(w)) {
        ins[wire.to].push(wire.from);
        outs[wire.from].push(wire.to);
    }
    let port = |i: usize| matches!(items[i], Item::In(_));
    let first = usize::from((0..n).any(port));
    let mut layer = vec![0; n];
    for &i in order.iter().filter(|&&i| !port(i)) {
        layer[i] = ins[i].iter().map(|&j| layer[j] + 1).max().unwrap_or(first);
    }
    let is_out = |i: usize| matches!(items[i], Item::Out(_));
    for &i in order.iter().rev().filter(|&&i| !port(i) && !is_out(i)) {
        let nearest = outs[i].iter().map(|&j| layer[j]).min();
        if let Some(nearest) = nearest.filter(|_| ins[i].len() <= outs[i].len()) {
            layer[i] = layer[i].max(nearest - 1);
        }
    }
    let last = (0..n).filter(|&i| !is_out(i)).map(|i| layer[i] + 1).max().unwrap_or(0);
    (0..n).filter(|&i| is_out(i)).for_each(|i| layer[i] = last);
    layer
}

/// The longest span of layers a line may have, so that there are not too many bends.
fn allowed(wires: &[Wire], layer: &[usize], n: usize) -> usize {
    let mut reach: HashMap<(usize, usize), usize> = HashMap::new();
    for wire in wires {
        let span = layer[wire.to].saturating_sub(layer[wire.from]);
        let far = reach.entry((wire.from, wire.value)).or_insert(0);
        *far = span.max(*far);
    }
    let mut spans: Vec<usize> = reach.into_values().collect();
    spans.sort_unstable();
    let mut sum = 0;
    for &span in &spans {
        sum += span;
        if sum > BENDS * n + 1000 {
            return span.saturating_sub(1).max(1);
        }
    }
    usize::MAX
}
