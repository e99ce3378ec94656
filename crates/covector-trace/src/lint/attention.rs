//! Rules about attention: a softmax of products that weighs a mean.

use covector::draw::short;
use covector::{Class, Shape};

use super::{Report, spec};
use crate::patterns::{of_rows, softmax, under_views};

use crate::reading::Reading;

/// Scores from products of queries and keys.
pub(super) struct Scores {
    /// The product.
    product: usize,
    /// The numbers it was multiplied with.
    scale: f64,
    /// True if anything scaled it, or its operands.
    scaled: bool,
}

/// The product of two computed tensors that a softmax is taken of.
pub(super) fn scores(reading: &Reading, of: usize) -> Option<Scores> {
    let (mut scale, mut scaled) = (1.0, false);
    let product = multiplied(reading, of, &mut scale, &mut scaled)?;
    for &operand in reading.operands(product) {
        let at = under_views(reading, operand);
        // Weights are leaves; queries and keys are computed.
        if reading.is_leaf(at) {
            return None;
        }
        factor(reading, at, &mut scale, &mut scaled);
    }
    Some(Scores { product, scale, scaled })
}

/// Goes up to a product, through masks, biases and factors.
fn multiplied(reading: &Reading, mut at: usize, scale: &mut f64, scaled: &mut bool) -> Option<usize> {
    loop {
        let operands = reading.operands(at);
        at = match reading.prim(at) {
            "matmul" => return Some(at),
            "multiply" | "divide" => factor(reading, at, scale, scaled)?,
            "add" | "subtract" => *operands.iter().find(|&&j| leads_to_product(reading, j))?,
            "where" => *operands[1..].iter().find(|&&j| leads_to_product(reading, j))?,
            "cast" | "reshape" | "permute" | "broadcast_to" => operands[0],
            _ => return None,
        };
    }
}

/// True if a product is near.
fn leads_to_product(reading: &Reading, mut at: usize) -> bool {
    for _ in 0..12 {
        at = match (reading.prim(at), reading.operands(at)) {
            ("matmul", _) => return true,
            ("multiply" | "divide" | "cast" | "reshape" | "permute" | "broadcast_to", operands) => {
                match operands.iter().find(|&&j| !reading.is_leaf(j)) {
                    Some(&j) => j,
                    None => return false,
                }
            }
            ("where", operands) => match operands[1..].iter().find(|&&j| !reading.is_leaf(j)) {
                Some(&j) => j,
                None => return false,
            },
            ("add" | "subtract", operands) => match operands.iter().find(|&&j| !reading.is_leaf(j)) {
                Some(&j) => j,
                None => return false,
            },
            _ => return false,
        };
    }
    false
}

/// Takes a factor off a product with a number; any other factor counts as a scale of its own.
fn factor(reading: &Reading, at: usize, scale: &mut f64, scaled: &mut bool) -> Option<usize> {
    let [a, b] = *reading.operands(at) else { return None };
    let number = |i: usize| reading.number(under_views(reading, i));
    match reading.prim(at) {
        "multiply" | "divide" => *scaled = true,
        _ => return None,
    }
    match (reading.prim(at), number(a), number(b)) {
        ("multiply", Some(n), _) => *scale *= n,
        (_, _, Some(n)) => *scale *= if reading.prim(at) == "multiply" { n } else { 1.0 / n },
        _ => *scale = f64::NAN,
    }
    Some(if number(a).is_some() { b } else { a })
}

/// The axis that an axis is, or is merged into, under another shape; `None` if it is split.
fn followed(from: &Shape, to: &Shape, axis: usize) -> Option<usize> {
    let behind = |s: &Shape, i: usize| s[i + 1..].iter().product::<usize>();
    let (step, span) = (behind(from, axis), behind(from, axis) * from[axis]);
    (0..to.len()).find(|&b| from[axis] > 1 && behind(to, b) <= step && span <= behind(to, b) * to[b])
}

/// The product that weighs something with this tensor, which of its operands it is, and where this axis lies in it.
fn weighs(reading: &Reading, from: usize, axis: usize) -> Option<(usize, usize, usize)> {
    let (mut at, mut axis) = (from, axis);
    loop {
        let next = reading.users[at].iter().copied().find(|&(u, _)| {
            let class = reading.node(u).primitive().class();
            reading.prim(u) == "matmul"
                || class == Class::View
                || ["cast", "where", "multiply"].contains(&reading.prim(u))
        });
        let (u, k) = next?;
        let (from, to) = (reading.node(at).shape(), reading.node(u).shape());
        axis = match reading.prim(u) {
            "matmul" => return Some((u, k, axis)),
            "reshape" => followed(from, to, axis)?,
            "permute" => axes_of_permutation(reading, u).iter().position(|&a| a == axis)?,
            "broadcast_to" => axis + to.len() - from.len(),
            "cast" | "multiply" | "where" => axis,
            _ => return None,
        };
        at = u;
    }
}

fn axes_of_permutation(reading: &Reading, i: usize) -> Vec<usize> {
    crate::patterns::axes_of(reading.node(i))
}

/// The results of every softmax, with what it was taken of and its axis.
fn softmaxes(report: &Report) -> Vec<(usize, usize, usize)> {
    let reading = report.reading;
    let steps = report.calls(&["softmax"]).into_iter();
    steps.filter_map(|s| softmax(reading, s).map(|(x, axis)| (s, x, axis))).collect()
}

pub(super) fn softmax_axis(report: &mut Report) {
    let reading = report.reading;
    for (step, of, axis) in softmaxes(report) {
        if scores(reading, of).is_none() {
            continue;
        }
        let Some((product, operand, at)) = weighs(reading, step, axis) else { continue };
        let summed = if operand == 0 { 2 } else { 1 };
        if at != summed {
            let shape = reading.node(step).shape();
            let message = format!(
                "the softmax of the scores {shape} runs along axis {axis}, and the product at line {} sums over another: the weights of a query do not add up to 1",
                reading.source(product).line
            );
            report.say(step, message, "take the softmax over the keys, as a rule the last axis: `softmax(-1)`");
        }
    }
    for step in report.calls(&["nll_loss"]) {
        let input = reading.call_of(step).inputs.iter().find_map(|&i| {
            let rows = under_casts(reading, i);
            of_rows(reading, rows, "log_softmax").map(|(_, axis)| (rows, axis))
        });
        let Some((rows, axis)) = input else { continue };
        let classes = usize::from(reading.node(rows).ndim() > 1);
        if axis != classes {
            let message = format!(
                "`log_softmax` of {} runs along axis {axis}, and `nll_loss` takes the classes to lie along axis {classes}",
                spec(reading.node(rows))
            );
            report.say(rows, message, format!("take it along the classes: `log_softmax({classes})`"));
        }
    }
}

fn under_casts(reading: &Reading, mut i: usize) -> usize {
    while reading.prim(i) == "cast" && !of_call(reading, i) {
        i = reading.operands(i)[0];
    }
    i
}

/// True if a cast is the last step of another op.
fn of_call(reading: &Reading, i: usize) -> bool {
    reading.op(i) != "cast"
}

pub(super) fn mask_after_softmax(report: &mut Report) {
    let reading = report.reading;
    for (step, of, axis) in softmaxes(report) {
        if scores(reading, of).is_none() {
            continue;
        }
        for &(u, k) in &reading.users[step] {
            let mask = match (reading.prim(u), reading.operands(u)) {
                ("where", &[c, ..]) if k > 0 => c,
                ("multiply", &[a, b]) => {
                    let other = under_views(reading, if k == 0 { b } else { a });
                    if reading.prim(other) != "cast" {
                        continue;
                    }
                    reading.operands(other)[0]
                }
                _ => continue,
            };
            let source = under_views(reading, mask);
            let bool_mask = reading.node(mask).dtype() == covector::DType::Bool;
            // The same for all keys: queries are left out whole, which is as good after the softmax.
            let small = reading.node(unbroadcast(reading, mask)).shape();
            let keys = (axis + small.len()).checked_sub(reading.node(step).ndim()).map(|a| small[a]);
            let constant = keys.is_none_or(|n| n == 1);
            if !bool_mask || constant || is_random(reading, source) || weighs(reading, u, axis).is_none() {
                continue;
            }
            let message = "a mask after the softmax takes weights away without giving them to the others: what is left does not add up to 1";
            report.say(u, message, "mask the scores before the softmax: `where(mask, scores, -inf)`");
        }
    }
}

/// What was broadcast.
fn unbroadcast(reading: &Reading, i: usize) -> usize {
    if reading.prim(i) == "broadcast_to" { reading.operands(i)[0] } else { i }
}

fn is_random(reading: &Reading, i: usize) -> bool {
    let (mut stack, mut steps) = (vec![i], 0);
    while let Some(i) = stack.pop() {
        steps += 1;
        if reading.prim(i) == "random_bits" || steps > 100 {
            return true;
        }
        stack.extend(reading.operands(i));
    }
    false
}

/// Attention: a softmax of scores that weighs a mean. The softmax, its scores, and the size the products are summed over.
fn attentions(report: &Report) -> Vec<(usize, Scores, usize)> {
    let reading = report.reading;
    let mut all = Vec::new();
    for (step, of, axis) in softmaxes(report) {
        if let (Some(scores), Some(_)) = (scores(reading, of), weighs(reading, step, axis)) {
            let d = reading.node(reading.operands(scores.product)[0]).shape()[2];
            all.push((step, scores, d));
        }
    }
    all
}

pub(super) fn inverted_scale(report: &mut Report) {
    for (_, scores, d) in attentions(report) {
        let root = (d as f64).sqrt();
        if d > 1 && (scores.scale - root).abs() < 1e-3 * root {
            let message = format!(
                "the scores are multiplied by {}, the root of the {d} features they are summed over",
                short(scores.scale)
            );
            report.say(scores.product, message, format!("divide by it: `scores / {}`", short(root)));
        }
    }
}

pub(super) fn missing_scale(report: &mut Report) {
    let reading = report.reading;
    for (_, scores, d) in attentions(report) {
        // Operands that were divided, normalised or otherwise prepared may need no scale.
        let projected = reading.operands(scores.product).iter().all(|&x| {
            let at = under_views(reading, x);
            reading.prim(at) == "matmul" || (reading.prim(at) == "add" && leads_to_product(reading, at))
        });
        if d > 1 && !scores.scaled && projected {
            let message = format!(
                "attention scores are sums over {d} features, and nothing scales them: with more features the softmax saturates"
            );
            report.say(
                scores.product,
                message,
                format!("multiply them by 1 / sqrt({d}), unless the weights are made for it"),
            );
        }
    }
}
