//! Rules about what reaches what.

use std::collections::BTreeMap;

use covector::{Class, Derivative};

use super::Report;
use crate::patterns::{better, under_views};
use crate::reading::Reading;

pub(super) fn unused_parameter(report: &mut Report) {
    let reading = report.reading;
    for &argument in reading.record.arguments() {
        let reached = reading.reached(argument, |_| true);
        if !reading.record.results().iter().any(|&r| reached[r]) {
            let message =
                format!("`{}` is given to the function, and no result is made from it", reading.name(argument));
            report.say(argument, message, "use it, or leave it out of the parameters");
        }
    }
}

/// True if a derivative passes through a step.
pub(super) fn smooth(reading: &Reading, i: usize) -> bool {
    let node = reading.node(i);
    node.dtype().is_float() && matches!(node.primitive().derivative(), Derivative::Rules(_))
}

pub(super) fn detached_parameter(report: &mut Report) {
    let reading = report.reading;
    let results: Vec<usize> =
        reading.record.results().iter().copied().filter(|&r| reading.node(r).dtype().is_float()).collect();
    let [result] = results[..] else { return };
    // Only a loss is there to be differentiated.
    if reading.node(result).ndim() != 0 {
        return;
    }
    for &argument in reading.record.arguments().iter().filter(|&&a| reading.node(a).dtype().is_float()) {
        let reached = reading.reached(argument, |_| true);
        let differentiable = reading.reached(argument, |i| smooth(reading, i));
        if !reached[result] || differentiable[result] {
            continue;
        }
        let mut leads = vec![false; reading.users.len()];
        leads[result] = true;
        for i in (0..leads.len()).rev() {
            leads[i] |= reading.users[i].iter().any(|&(u, _)| leads[u]);
        }
        let cuts = |i: &usize| {
            let from = reading.operands(*i).iter().any(|&j| differentiable[j]);
            from && leads[*i] && !differentiable[*i] && !reading.call_of(*i).outputs.iter().any(|&o| differentiable[o])
        };
        let Some(cut) = (0..leads.len()).find(cuts) else { continue };
        let message = format!(
            "no derivative reaches `{}`: every path from the result to it ends at a step without one, like this `{}`",
            reading.name(argument),
            reading.op(cut)
        );
        report.say(cut, message, "if it is to be learned, let a path without this step lead to the result");
    }
}

/// Ops whose slope is infinite, or which are undefined, at an operand that a condition is meant to keep away; and which.
fn danger(reading: &Reading, i: usize) -> Option<usize> {
    let operands = reading.operands(i);
    match reading.prim(i) {
        "log" | "log2" | "log10" | "log1p" | "sqrt" | "rsqrt" | "reciprocal" | "acos" | "asin" | "acosh" | "atanh" => {
            Some(operands[0])
        }
        "divide" if !reading.is_number(operands[1]) => Some(operands[1]),
        "pow" => {
            let exponent = reading.number(under_views(reading, operands[1]))?;
            (exponent < 1.0 && exponent != 0.0).then_some(operands[0])
        }
        _ => None,
    }
}

/// What an operand is, but for its scale and what is subtracted: `x` of `2 (x - 1)`. Not `x + eps`, which may be safe.
fn core(reading: &Reading, mut i: usize) -> usize {
    for _ in 0..FAR {
        i = under_views(reading, i);
        let number = |j: usize| reading.number(under_views(reading, j)).is_some();
        i = match (reading.prim(i), reading.operands(i)) {
            ("negative", &[x]) => x,
            ("multiply" | "divide" | "subtract", &[a, b]) if number(b) => a,
            ("multiply" | "subtract", &[a, b]) if number(a) => b,
            _ => return i,
        };
    }
    i
}

/// The tensors that a condition looks at.
fn looked_at(reading: &Reading, condition: usize) -> Vec<usize> {
    let (mut seen, mut stack) = (Vec::new(), vec![condition]);
    while let Some(i) = stack.pop() {
        match reading.prim(i) {
            "logical_and" | "logical_or" | "logical_not" | "broadcast_to" | "reshape" => {
                stack.extend(reading.operands(i))
            }
            "greater" | "greater_equal" | "less" | "less_equal" | "equal" | "not_equal" | "isnan" | "isinf"
            | "isfinite" => {
                seen.extend(reading.operands(i).iter().map(|&j| core(reading, j)));
            }
            _ => {}
        }
    }
    seen
}

/// So many elementwise steps between a `where` and what it hides are looked through.
const FAR: usize = 5;

pub(super) fn unsafe_where(report: &mut Report) {
    let reading = report.reading;
    let learned = reading.record.arguments().iter().map(|&a| reading.reached(a, |i| smooth(reading, i)));
    let learned: Vec<bool> = learned.reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a | b).collect()).unwrap_or_default();
    for step in report.calls(&["where", "where_", "masked_fill"]) {
        let [condition, a, b] = *reading.operands(step) else { continue };
        let looked_at = looked_at(reading, condition);
        let mut level = vec![a, b];
        for _ in 0..FAR {
            let found = level.iter().copied().find(|&i| {
                let at = danger(reading, i).map(|x| core(reading, x));
                at.is_some_and(|x| learned.get(x) == Some(&true) && (looked_at.contains(&x) || looked_at.contains(&i)))
            });
            if let Some(i) = found {
                let x = reading.name(danger(reading, i).expect("it is dangerous"));
                let message = format!(
                    "`where` hides the value of `{}`, not its gradient: the slope that is not chosen is multiplied by 0, and 0 · inf is NaN",
                    reading.name(i)
                );
                let advice = format!(
                    "make `{x}` harmless first: `where(condition, {x}, 1)` inside, and the `where` outside too"
                );
                report.say(step, message, advice);
                break;
            }
            let elementwise = |i: &usize| reading.node(*i).primitive().class() == Class::Elementwise;
            level = level.into_iter().filter(elementwise).flat_map(|i| reading.operands(i).to_vec()).collect();
            // A choice further in looks after its own.
            level.retain(|&i| !["where", "maximum", "minimum"].contains(&reading.prim(i)));
        }
    }
}

pub(super) fn cancels(report: &mut Report) {
    let reading = report.reading;
    for step in report.calls(&["subtract", "divide"]) {
        let [a, b] = *reading.operands(step) else { continue };
        if a == b && !reading.is_leaf(step) && reading.node(step).dtype().is_float() {
            let (what, is) = if reading.prim(step) == "subtract" { ("minus", 0) } else { ("divided by", 1) };
            report.say(
                step,
                format!("`{}` {what} itself is {is} everywhere", reading.name(a)),
                "is another tensor meant?",
            );
        }
    }
}

pub(super) fn key_reuse(report: &mut Report) {
    let reading = report.reading;
    // By the key, and by what is drawn: the same bits, or keys split off it.
    let mut draws: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for step in report.steps().filter(|&i| reading.prim(i) == "random_bits") {
        draws.entry(reading.operands(step)[0]).or_default().push(step);
    }
    for mut steps in draws.into_values() {
        steps.sort_by_key(|&i| reading.node(i).id());
        let same = |&i: &usize| reading.node(i).shape() == reading.node(steps[0]).shape();
        let again = steps[1..].iter().copied().find(|i| same(i) && reading.call[*i] != reading.call[steps[0]]);
        if let Some(again) = again {
            let first = reading.source(steps[0]);
            let message = format!(
                "`{}` draws with the key that `{}` at {}:{} drew with: both get the same numbers",
                reading.op(again),
                reading.op(steps[0]),
                first.file,
                first.line
            );
            report.say(again, message, "split the key: `let keys = key.split(2)`, and use each once");
        }
    }
}

/// What could overflow and what could not, by the op that should be there.
fn by_another_op(report: &mut Report, wanted: fn(&str) -> bool) {
    let reading = report.reading;
    for step in report.steps() {
        let Some(better) = better(reading, step).filter(|b| wanted(&b.to)) else { continue };
        // Who subtracts the largest element first has seen to it.
        let below = |&i: &usize| {
            let subtract = reading.prim(i) == "subtract";
            subtract && reading.operands(i).iter().any(|&j| reading.prim(under_views(reading, j)) == "max")
        };
        if better.operands.iter().any(below) {
            continue;
        }
        report.say(step, format!("`{}` by hand: {}", better.from, better.why), format!("write `{}`", better.to));
    }
}

fn overflows(op: &str) -> bool {
    ["log_softmax", "log_sigmoid", "logsumexp", "softmax", "softplus"].iter().any(|o| op.starts_with(o))
}

pub(super) fn unstable(report: &mut Report) {
    by_another_op(report, overflows);
}

pub(super) fn by_hand(report: &mut Report) {
    by_another_op(report, |op| !overflows(op));
}
