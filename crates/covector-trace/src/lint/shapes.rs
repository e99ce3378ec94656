//! Rules about shapes.

use covector::{Class, Shape};

use super::attention::scores;
use super::{Report, spec};
use crate::patterns::{axes_of, squared, under_views};
use crate::reading::Reading;

/// The two tensors a step compares, before they were broadcast.
fn pair(reading: &Reading, step: usize) -> Option<(usize, usize)> {
    let inputs = &reading.call_of(step).inputs;
    let plain = reading.op(step) == reading.prim(step);
    match inputs[..] {
        [a, b] if plain && !reading.is_number(a) && !reading.is_number(b) => Some((a, b)),
        _ => None,
    }
}

/// True if both are repeated along an axis to fit each other, and are not the same tensor seen twice.
fn all_pairs(reading: &Reading, step: usize, a: usize, b: usize) -> bool {
    let out = reading.node(step).shape();
    let grown = |i: usize| reading.node(i).size() < out.size() && reading.node(i).size() > 1;
    grown(a) && grown(b) && under_views(reading, a) != under_views(reading, b)
}

/// True if the axis of size 1 was put there on purpose.
fn on_purpose(reading: &Reading, i: usize) -> bool {
    ["expand_dims", "unsqueeze", "i", "reshape"].contains(&reading.op(i))
        && reading.node(i).primitive().class() == Class::View
}

/// `[n]` against `[n, 1]`.
fn ranks_clash(reading: &Reading, step: usize) -> Option<(usize, usize)> {
    if !["subtract", "equal", "not_equal"].contains(&reading.prim(step)) {
        return None;
    }
    let (a, b) = pair(reading, step).filter(|&(a, b)| all_pairs(reading, step, a, b))?;
    let (x, y) = (reading.node(a).shape(), reading.node(b).shape());
    let (flat, column, i) = if x.len() < y.len() { (x, y, b) } else { (y, x, a) };
    let clash = flat.len() == 1 && column.len() == 2 && column[1] == 1 && column[0] == flat[0];
    (clash && !on_purpose(reading, i)).then_some((a, b))
}

pub(super) fn rank_promotion(report: &mut Report) {
    let reading = report.reading;
    for step in report.steps() {
        let Some((a, b)) = ranks_clash(reading, step) else { continue };
        let (x, y) = (reading.node(a), reading.node(b));
        let message = format!(
            "`{}` of {} and {} broadcasts to {}: every element of one meets every element of the other",
            reading.op(step),
            spec(x),
            spec(y),
            reading.node(step).shape()
        );
        let (column, flat) = if x.ndim() > y.ndim() { (a, b) } else { (b, a) };
        let advice = format!(
            "give both one shape: `squeeze({}, 1)`, or `expand_dims({}, 1)`; if all pairs are meant, say so with `expand_dims` on both sides",
            reading.name(column),
            reading.name(flat)
        );
        report.say(step, message, advice);
    }
}

/// The only user of a step, if it has one.
fn only_user(reading: &Reading, step: usize) -> Option<usize> {
    match reading.users[step][..] {
        [(u, _)] => Some(u),
        [(u, 0), (v, 1)] if u == v => Some(u),
        _ => None,
    }
}

/// True if a step is only summed up whole.
fn summed_up(reading: &Reading, step: usize) -> bool {
    let sum =
        only_user(reading, step).filter(|&u| reading.prim(u) == "sum" && ["sum", "mean"].contains(&reading.op(u)));
    sum.is_some_and(|u| reading.node(u).size() == 1)
}

pub(super) fn outer_loss(report: &mut Report) {
    let reading = report.reading;
    for step in report.steps() {
        let out = reading.node(step).shape();
        match reading.prim(step) {
            "subtract" if ranks_clash(reading, step).is_none() => {
                let Some((a, b)) = pair(reading, step).filter(|&(a, b)| all_pairs(reading, step, a, b)) else {
                    continue;
                };
                // Distances between all pairs are meant if both sides were made ready for it.
                let lopsided = reading.node(a).ndim() != reading.node(b).ndim();
                let size = |&u: &usize| squared(reading, u) == Some(step) || (lopsided && reading.prim(u) == "abs");
                let error = only_user(reading, step).filter(size);
                if error.is_some_and(|u| summed_up(reading, u)) && vectors(reading, a) && vectors(reading, b) {
                    let message = format!(
                        "the loss sums up all {} differences between {} and {}, not those of elements at the same place",
                        out.size(),
                        spec(reading.node(a)),
                        spec(reading.node(b))
                    );
                    report.say(
                        step,
                        message,
                        "give predictions and targets the same shape; `mse_loss` refuses to broadcast",
                    );
                }
            }
            "multiply" => {
                let Some((a, b)) = pair(reading, step).filter(|&(a, b)| all_pairs(reading, step, a, b)) else {
                    continue;
                };
                if summed_up(reading, step) && vectors(reading, a) && vectors(reading, b) {
                    report.say(
                        step,
                        factored(out),
                        "for the sum of the elements' products give both the same shape, or use `dot`",
                    );
                }
            }
            "matmul" => {
                let inner = reading.node(reading.operands(step)[0]).shape()[2];
                let end = reading.call_of(step).outputs.first().copied().unwrap_or(step);
                if inner == 1 && out[1] > 1 && out[2] > 1 && out[0] == 1 && summed_up(reading, end) {
                    report.say(
                        step,
                        factored(out),
                        "for the sum of the elements' products exchange the operands, or use `dot`",
                    );
                }
            }
            _ => {}
        }
    }
}

/// True for a row, a column or a vector: an axis of examples and nothing else.
fn vectors(reading: &Reading, i: usize) -> bool {
    reading.node(i).shape().iter().filter(|&&d| d > 1).count() == 1
}

fn factored(out: &Shape) -> String {
    format!("an outer product {out} is summed up: that is the product of two sums, not the sum of products")
}

/// The number of elements that fold into one.
fn folds(reading: &Reading, fold: usize) -> usize {
    let x = reading.node(reading.operands(fold)[0]).shape();
    axes_of(reading.node(fold)).iter().map(|&a| x[a]).product()
}

pub(super) fn single_element(report: &mut Report) {
    let reading = report.reading;
    let spreads = ["var", "std", "layer_norm", "group_norm"];
    let rows = ["softmax", "log_softmax", "cross_entropy"];
    for step in report.calls(&[&spreads[..], &rows, &["mean"]].concat()) {
        let call = reading.call_of(step);
        let fold = call.members.iter().find(|&&m| ["sum", "max"].contains(&reading.prim(m)) && !reading.is_leaf(m));
        let Some(&fold) = fold else { continue };
        let of = spec(reading.node(call.inputs[0]));
        match folds(reading, fold) {
            0 => report.say(
                step,
                format!("`{}` of {of} is taken over no elements: it is NaN", call.op),
                "leave out what is empty",
            ),
            // The first token of a text attends to itself alone.
            1 if call.op == "softmax" && scores(reading, call.inputs[0]).is_some() => {}
            1 if rows.contains(&call.op) => report.say(
                step,
                format!("`{}` of {of} runs along an axis of size 1: the only probability is always 1, and nothing is learned", call.op),
                "for one score use `sigmoid` and `binary_cross_entropy_with_logits`; for classes, give the axis they lie on",
            ),
            1 if spreads.contains(&call.op) => report.say(
                step,
                format!("`{}` of {of} is taken over one element: it is 0 (or NaN), whatever the element", call.op),
                "take it over the axis that has several elements",
            ),
            _ => {}
        }
    }
}

pub(super) fn reshape_as_transpose(report: &mut Report) {
    let reading = report.reading;
    for step in report.calls(&["reshape"]) {
        let [x] = *reading.operands(step) else { continue };
        let (from, to) = (reading.node(x).shape(), reading.node(step).shape());
        let long = |s: &Shape| s.iter().copied().filter(|&d| d > 1).collect::<Vec<usize>>();
        let (a, b) = (long(from), long(to));
        let (mut p, mut q) = (a.clone(), b.clone());
        p.sort_unstable();
        q.sort_unstable();
        if a != b && p == q {
            let message =
                format!("a reshape from {from} to {to} does not exchange axes: it deals the same sequence out anew");
            report.say(step, message, "use `permute_dims` (or `t`, `transpose`, `moveaxis`) to exchange axes");
        } else if let Some(way) = heads(from, to) {
            let message = format!("a reshape from {from} to {to} mixes tokens and heads");
            report.say(step, message, way);
        }
    }
}

/// `[b, t, h · d] -> [b, h, t, d]` and back, without the permutation in between.
fn heads(from: &Shape, to: &Shape) -> Option<String> {
    match (&from[..], &to[..]) {
        (&[b, t, width], &[b2, h, t2, d])
            if b == b2 && t == t2 && h * d == width && h > 1 && t > 1 && h != t && d > 1 =>
        {
            Some(format!("split first, then exchange: `permute_dims(reshape(x, [{b}, {t}, {h}, {d}]), [0, 2, 1, 3])`"))
        }
        (&[b, h, t, d], &[b2, t2, width])
            if b == b2 && t == t2 && h * d == width && h > 1 && t > 1 && h != t && d > 1 =>
        {
            Some(format!("exchange first, then join: `reshape(permute_dims(x, [0, 2, 1, 3]), [{b}, {t}, {width}])`"))
        }
        _ => None,
    }
}
