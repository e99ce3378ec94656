//! Rules about scores, probabilities and their logarithms.

use super::Report;
use super::flow::smooth;
use crate::patterns::{axes_of, of_rows, softmax};
use crate::reading::Reading;

/// The step under changes of dtype and shape.
fn bare(reading: &Reading, mut i: usize) -> usize {
    while ["cast", "reshape"].contains(&reading.prim(i))
        && ["cast", "reshape", "squeeze", "unsqueeze", "expand_dims", "flatten"].contains(&reading.op(i))
    {
        i = reading.operands(i)[0];
    }
    i
}

/// What a tensor was made by, if it holds probabilities, their logarithms or what is left of scores.
fn maker(reading: &Reading, i: usize) -> Option<(usize, &'static str)> {
    let i = bare(reading, i);
    let known = ["softmax", "log_softmax", "sigmoid", "log_sigmoid", "relu"];
    let op = reading.op(i);
    let whole = !reading.is_leaf(i) && reading.call_of(i).outputs.contains(&i);
    (whole && known.contains(&op)).then_some((i, op))
}

/// What the loss takes as its scores: the operand of its first step of this primitive.
fn taken_by(reading: &Reading, step: usize, prim: &str, operand: usize) -> Option<usize> {
    let call = reading.call_of(step);
    let inner = call.members.iter().copied().find(|&m| reading.prim(m) == prim && !reading.is_leaf(m))?;
    let mut at = reading.operands(inner)[operand];
    while reading.call[at] == reading.call[step] && ["cast", "reshape", "broadcast_to"].contains(&reading.prim(at)) {
        at = reading.operands(at)[0];
    }
    Some(at)
}

/// The scores of a loss that is given scores.
fn logits(reading: &Reading, step: usize) -> Option<usize> {
    match reading.op(step) {
        "cross_entropy" => taken_by(reading, step, "max", 0),
        _ => taken_by(reading, step, "negative", 0),
    }
}

pub(super) fn double_softmax(report: &mut Report) {
    let reading = report.reading;
    for step in report.calls(&["softmax", "log_softmax"]) {
        let Some((of, _)) = of_rows(reading, step, reading.op(step)) else { continue };
        let (Some((first, op)), Some((_, axis))) = (maker(reading, of), of_rows(reading, step, reading.op(step)))
        else {
            continue;
        };
        let same_axis = of_rows(reading, first, op).is_some_and(|(_, a)| a == axis);
        if ["softmax", "log_softmax"].contains(&op) && same_axis {
            let again = reading.op(step);
            report.say(
                step,
                format!("`{again}` of a `{op}`: the scores have been normalised already"),
                "take it once, of the scores",
            );
        }
    }
    for step in report.calls(&["cross_entropy"]) {
        let Some((_, op)) = logits(reading, step).and_then(|x| maker(reading, x)) else { continue };
        if ["softmax", "log_softmax", "sigmoid"].contains(&op) {
            let message = match op {
                "log_softmax" => {
                    "`cross_entropy` takes a softmax itself: the `log_softmax` before it changes nothing".to_owned()
                }
                _ => format!(
                    "`cross_entropy` takes a softmax itself, and is given what a `{op}` made: the loss cannot come near 0, and gradients are small"
                ),
            };
            report.say(
                step,
                message,
                format!("give it the scores, without the `{op}`; or take `nll_loss` of a `log_softmax`"),
            );
        }
    }
}

pub(super) fn double_sigmoid(report: &mut Report) {
    let reading = report.reading;
    for step in report.calls(&["binary_cross_entropy_with_logits"]) {
        if let Some((_, op @ ("sigmoid" | "softmax"))) = logits(reading, step).and_then(|x| maker(reading, x)) {
            let message =
                format!("`binary_cross_entropy_with_logits` takes the sigmoid itself, and is given what a `{op}` made");
            report.say(step, message, format!("give it the scores, without the `{op}`"));
        }
    }
    for step in report.calls(&["sigmoid", "log_sigmoid"]) {
        let Some(&of) = reading.call_of(step).inputs.first() else { continue };
        if let Some((_, "sigmoid")) = maker(reading, of) {
            let message =
                format!("`{}` of a `sigmoid` lies between 0.5 and 0.73, whatever the scores", reading.op(step));
            report.say(step, message, "take it once, of the scores");
        }
    }
}

pub(super) fn needs_log(report: &mut Report) {
    let reading = report.reading;
    for step in report.calls(&["nll_loss", "kl_div"]) {
        let taken = match reading.op(step) {
            "nll_loss" => taken_by(reading, step, "take_along_axis", 0),
            _ => taken_by(reading, step, "subtract", 1),
        };
        if let Some((_, op @ ("softmax" | "sigmoid"))) = taken.and_then(|x| maker(reading, x)) {
            let message =
                format!("`{}` expects log-probabilities, and is given the probabilities of a `{op}`", reading.op(step));
            let log = if op == "softmax" { "log_softmax" } else { "log_sigmoid" };
            report.say(step, message, format!("use `{log}` instead of `{op}`"));
        }
    }
}

pub(super) fn activation_before_loss(report: &mut Report) {
    let reading = report.reading;
    for step in report.calls(&["cross_entropy", "binary_cross_entropy_with_logits", "sigmoid"]) {
        let of = match reading.op(step) {
            "sigmoid" => reading.call_of(step).inputs.first().copied(),
            _ => logits(reading, step),
        };
        if let Some((_, "relu")) = of.and_then(|x| maker(reading, x)) {
            let message = format!(
                "the scores of `{}` come out of a `relu`: none can be below 0, so no class can be ruled out",
                reading.op(step)
            );
            report.say(step, message, "leave out the `relu` after the last layer");
        }
    }
}

pub(super) fn constant_sum(report: &mut Report) {
    let reading = report.reading;
    for step in report.calls(&["sum", "mean"]) {
        let fold =
            reading.call_of(step).members.iter().copied().find(|&m| reading.prim(m) == "sum" && !reading.is_leaf(m));
        let Some(fold) = fold else { continue };
        let of = reading.operands(fold)[0];
        let Some((_, axis)) = softmax(reading, of) else { continue };
        // As a bound to compare with, the constant may be meant.
        let learned = reading.reached(step, |i| smooth(reading, i));
        let learned = reading.record.results().iter().any(|&r| learned[r]);
        if learned && axes_of(reading.node(fold)).contains(&axis) {
            let message =
                "the probabilities of a softmax add up to 1 along its axis: their sum is a constant without a gradient";
            report.say(step, message, "weigh or pick the probabilities before summing, or sum over another axis");
        }
    }
}
