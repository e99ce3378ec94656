//! Coordinates of one module's items, from their sizes: `page/page.js` does the same where a reader opens and closes modules.

use std::collections::HashMap;

use super::{Item, Piece, Plan};

/// Distances, in pixels or in characters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metrics {
    /// Between layers.
    pub gap_x: f64,
    /// Between boxes of a layer, between a box and a line, and between lines.
    pub gap_y: f64,
    pub gap_mixed: f64,
    pub gap_line: f64,
    /// Between a module's border and what is inside.
    pub pad_x: f64,
    pub pad_top: f64,
    pub pad_bottom: f64,
    /// Between lanes below everything.
    pub lane: f64,
    /// By how much a gap widens for each line more that climbs or falls in it.
    pub track: f64,
    /// True if coordinates must be whole.
    pub snap: bool,
}

/// A box or, without extent, a place on a line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rect {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

/// The course of a piece: level from `x[0]` to `x[1]`, then over to `x[2]`, level again to `x[3]`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub x: [f64; 4],
    pub y: [f64; 2],
    /// Which of the gap's tracks it climbs or falls in: no two lines of different values meet there.
    pub track: usize,
}

/// A module laid out, relative to its own corner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placed {
    pub w: f64,
    pub h: f64,
    pub at: Vec<Rect>,
    pub runs: Vec<Run>,
    /// For each wire without pieces: down from the first point, along the lane, up to the second.
    pub lanes: Vec<(usize, Run, f64)>,
    pub ins: HashMap<usize, f64>,
    pub outs: HashMap<usize, f64>,
}

/// How often the items move towards their neighbours, to the right and back.
const ROUNDS: usize = 6;

pub(crate) fn place(
    plan: &Plan,
    size: impl Fn(Item) -> (f64, f64),
    port: impl Fn(Item, usize, bool) -> Option<f64>,
    metrics: &Metrics,
) -> Placed {
    let n = plan.items.len();
    let sizes: Vec<(f64, f64)> = plan.items.iter().map(|&item| size(item)).collect();
    let whole = |x: f64| if metrics.snap { x.round() } else { x };
    let (mut left, mut right): (Vec<Vec<usize>>, Vec<Vec<usize>>) = (vec![Vec::new(); n], vec![Vec::new(); n]);
    for (p, piece) in plan.pieces.iter().enumerate() {
        left[piece.to].push(p);
        right[piece.from].push(p);
    }
    let mut seat = vec![0; n];
    plan.layers.iter().for_each(|layer| layer.iter().enumerate().for_each(|(k, &i)| seat[i] = k));
    let offsets = offsets(plan, &mut left, &mut right, &seat, &sizes, &port, metrics.snap);
    let mut y = vec![0.0; n];
    for layer in &plan.layers {
        settle(plan, layer, &sizes, metrics, &mut y, |_| (0.0, 1.0));
    }
    let toward = |i: usize, y: &[f64], sides: [bool; 2]| {
        let (mut sum, mut weight) = (0.0, 0.0);
        for (side, near) in [(sides[0], &left[i]), (sides[1], &right[i])] {
            for &p in near.iter().filter(|_| side) {
                let piece = &plan.pieces[p];
                let bend = |i: usize| !matches!(plan.items[i], Item::Node(_) | Item::Module(_));
                let w = [1.0, 2.0, 8.0][usize::from(bend(piece.from)) + usize::from(bend(piece.to))];
                let target = match piece.to == i {
                    true => y[piece.from] + offsets[p].0 - offsets[p].1,
                    false => y[piece.to] + offsets[p].1 - offsets[p].0,
                };
                sum += w * target;
                weight += w;
            }
        }
        if weight > 0.0 { (sum / weight, weight) } else { (y[i], 0.1) }
    };
    let count = plan.layers.len();
    for round in 0..=ROUNDS {
        let sides = if round == ROUNDS { [[true, true]; 2] } else { [[true, false], [false, true]] };
        for (l, sides) in (0..count).map(|l| (l, sides[0])).chain((0..count).rev().map(|l| (l, sides[1]))) {
            let aims: Vec<(f64, f64)> = plan.layers[l].iter().map(|&i| toward(i, &y, sides)).collect();
            settle(plan, &plan.layers[l], &sizes, metrics, &mut y, |k| aims[k]);
        }
    }
    let top = (0..n).map(|i| y[i]).fold(f64::INFINITY, f64::min);
    let top = if n == 0 { 0.0 } else { top };
    y.iter_mut().for_each(|y| *y = whole(*y - top) + metrics.pad_top);
    let level = |p: usize| (whole(y[plan.pieces[p].from] + offsets[p].0), whole(y[plan.pieces[p].to] + offsets[p].1));
    let layer_of = layer_of(plan);
    let (tracks, counts) = tracks(plan, &layer_of, level);
    let mut placed = columns(plan, &sizes, &y, &counts, metrics);
    let bottom = (0..n).map(|i| y[i] + sizes[i].1).fold(metrics.pad_top, f64::max);
    let bounds = layer_bounds(plan, &placed.at);
    let run = |from: usize, to: usize, y: (f64, f64), track: usize| {
        let (a, b) = (&placed.at[from], &placed.at[to]);
        Run { x: [a.x + a.w, bounds[layer_of[from]].1, bounds[layer_of[to]].0, b.x], y: [y.0, y.1], track }
    };
    let piece = |(p, piece): (usize, &Piece)| run(piece.from, piece.to, level(p), tracks[p]);
    let runs = plan.pieces.iter().enumerate().map(piece).collect();
    let mut lane = bottom;
    let middle = |i: usize| y[i] + (sizes[i].1 / 2.0).floor();
    let mut lanes = Vec::new();
    for (w, wire) in plan.wires.iter().enumerate().filter(|(_, w)| w.pieces.is_empty()) {
        lane += metrics.lane;
        lanes.push((w, run(wire.from, wire.to, (middle(wire.from), middle(wire.to)), 0), lane));
    }
    (placed.runs, placed.lanes) = (runs, lanes);
    placed.h = lane + metrics.pad_bottom;
    for (i, item) in plan.items.iter().enumerate() {
        match *item {
            Item::In(v) => drop(placed.ins.insert(v, y[i])),
            Item::Out(v) => drop(placed.outs.insert(v, y[i])),
            _ => {}
        }
    }
    placed
}

/// Where each piece leaves and arrives, measured from the top of its items.
fn offsets(
    plan: &Plan,
    left: &mut [Vec<usize>],
    right: &mut [Vec<usize>],
    seat: &[usize],
    sizes: &[(f64, f64)],
    port: &impl Fn(Item, usize, bool) -> Option<f64>,
    snap: bool,
) -> Vec<(f64, f64)> {
    let mut offsets = vec![(0.0, 0.0); plan.pieces.len()];
    let spread = |h: f64, k: usize, of: usize| {
        let y = h * (k + 1) as f64 / (of + 1) as f64;
        if snap { y.floor().min(h - 1.0).max(0.0) } else { y }
    };
    for (i, &item) in plan.items.iter().enumerate() {
        let h = sizes[i].1;
        left[i].sort_by_key(|&p| (seat[plan.pieces[p].from], plan.pieces[p].value));
        right[i].sort_by_key(|&p| (seat[plan.pieces[p].to], plan.pieces[p].value));
        for (k, &p) in left[i].iter().enumerate() {
            offsets[p].1 = port(item, plan.pieces[p].ports.1, true).unwrap_or_else(|| spread(h, k, left[i].len()));
        }
        let mut values: Vec<usize> = Vec::new();
        for &p in &right[i] {
            if !values.contains(&plan.pieces[p].value) {
                values.push(plan.pieces[p].value);
            }
        }
        for &p in &right[i] {
            let k = values.iter().position(|&v| v == plan.pieces[p].value).unwrap_or(0);
            offsets[p].0 = port(item, plan.pieces[p].ports.0, false).unwrap_or_else(|| spread(h, k, values.len()));
        }
    }
    offsets
}

/// Moves the items of a layer as near to what they aim for as their order and distances allow: least squares, exactly, by
/// pooling neighbours that would overlap.
fn settle(
    plan: &Plan,
    layer: &[usize],
    sizes: &[(f64, f64)],
    metrics: &Metrics,
    y: &mut [f64],
    aim: impl Fn(usize) -> (f64, f64),
) {
    let line = |i: usize| !matches!(plan.items[i], Item::Node(_) | Item::Module(_));
    let mut shift = vec![0.0; layer.len()];
    for k in 1..layer.len() {
        let (a, b) = (layer[k - 1], layer[k]);
        let gap = [metrics.gap_y, metrics.gap_mixed, metrics.gap_line][usize::from(line(a)) + usize::from(line(b))];
        shift[k] = shift[k - 1] + sizes[a].1 + gap;
    }
    // Pools of neighbours: their common place, weight, and how many they are.
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (k, &shift) in shift.iter().enumerate() {
        let (target, weight) = aim(k);
        pools.push((target - shift, weight, 1));
        while let [.., a, b] = pools[..] {
            if a.0 <= b.0 {
                break;
            }
            pools.truncate(pools.len() - 2);
            let weight = a.1 + b.1;
            pools.push(((a.0 * a.1 + b.0 * b.1) / weight, weight, a.2 + b.2));
        }
    }
    let mut k = 0;
    for (at, _, count) in pools {
        for _ in 0..count {
            y[layer[k]] = at + shift[k];
            k += 1;
        }
    }
}

/// For every piece the track it changes height in, and for every layer how many tracks lie behind it.
fn tracks(plan: &Plan, layer_of: &[usize], level: impl Fn(usize) -> (f64, f64)) -> (Vec<usize>, Vec<usize>) {
    let mut spans: HashMap<(usize, usize), (f64, f64)> = HashMap::new();
    let mut nets: Vec<Vec<(usize, usize)>> = vec![Vec::new(); plan.layers.len()];
    let net = |p: usize| (plan.pieces[p].from, plan.pieces[p].value);
    for (p, piece) in plan.pieces.iter().enumerate() {
        let (y, z) = level(p);
        if y == z {
            continue;
        }
        let span = spans.entry(net(p)).or_insert_with(|| {
            nets[layer_of[piece.from]].push(net(p));
            (y, y)
        });
        *span = (span.0.min(z), span.1.max(z));
    }
    let mut track: HashMap<(usize, usize), usize> = HashMap::new();
    let mut counts = vec![0; plan.layers.len()];
    for (l, nets) in nets.iter_mut().enumerate() {
        nets.sort_by(|a, b| spans[a].0.total_cmp(&spans[b].0));
        let mut ends: Vec<f64> = Vec::new();
        for net in nets.iter() {
            let (top, bottom) = spans[net];
            let free = ends.iter().position(|&end| end < top).unwrap_or(ends.len());
            ends.resize(ends.len().max(free + 1), bottom);
            ends[free] = bottom;
            track.insert(*net, free);
        }
        counts[l] = ends.len();
    }
    ((0..plan.pieces.len()).map(|p| track.get(&net(p)).copied().unwrap_or(0)).collect(), counts)
}

/// The x of every item: layers side by side, leaves at the right of theirs, ports on the border.
fn columns(plan: &Plan, sizes: &[(f64, f64)], y: &[f64], tracks: &[usize], metrics: &Metrics) -> Placed {
    let mut placed = Placed { at: vec![Rect::default(); plan.items.len()], ..Placed::default() };
    let port = |layer: &[usize]| layer.iter().all(|&i| matches!(plan.items[i], Item::In(_) | Item::Out(_)));
    let mut reads = vec![false; plan.items.len()];
    plan.pieces.iter().for_each(|p| reads[p.to] = true);
    let mut x = metrics.pad_x;
    for (l, layer) in plan.layers.iter().enumerate() {
        let border = port(layer);
        let width = layer.iter().map(|&i| sizes[i].0).fold(0.0, f64::max);
        if border && l == 0 {
            x = 0.0;
        }
        for &i in layer {
            let (w, h) = sizes[i];
            let slack = width - w;
            let at = match plan.items[i] {
                Item::Bend(_) => 0.0,
                _ if reads[i] => {
                    if metrics.snap {
                        (slack / 2.0).floor()
                    } else {
                        slack / 2.0
                    }
                }
                _ => slack,
            };
            placed.at[i] = Rect { x: x + at, y: y[i], w, h };
        }
        let next_is_border = plan.layers.get(l + 1).is_some_and(|next| port(next));
        x += width;
        x += match plan.layers.get(l + 1) {
            None if border => 0.0,
            None => metrics.pad_x,
            Some(_) if (border && l == 0) || next_is_border => metrics.pad_x + metrics.track * tracks[l] as f64,
            Some(_) => metrics.gap_x + metrics.track * tracks[l] as f64,
        };
    }
    placed.w = x;
    placed
}

/// The left and right border of every layer.
fn layer_bounds(plan: &Plan, at: &[Rect]) -> Vec<(f64, f64)> {
    let bounds = |layer: &Vec<usize>| {
        let left = layer.iter().map(|&i| at[i].x).fold(f64::INFINITY, f64::min);
        (left, layer.iter().map(|&i| at[i].x + at[i].w).fold(left, f64::max))
    };
    plan.layers.iter().map(bounds).collect()
}

fn layer_of(plan: &Plan) -> Vec<usize> {
    let mut of = vec![0; plan.items.len()];
    plan.layers.iter().enumerate().for_each(|(l, layer)| layer.iter().for_each(|&i| of[i] = l));
    of
}
