//! Gradients that are zero everywhere: the step of the reverse pass that let nothing through, or that has no derivative.

use covector::draw::short;
use covector::{Class, Derivative};

use super::Symptom;
use super::cause::{Cause, Found};
use super::reverse::{Pass, arguments};

/// What is as good as nothing, for every dtype that can hold it.
const NOTHING: f64 = 1e-20;

/// The step that makes the gradient of an argument zero everywhere.
pub(crate) fn first(pass: &Pass) -> Option<Found> {
    let zero: Vec<usize> = arguments(pass.run).filter(|&a| pass.largest(a).is_none_or(|g| g <= NOTHING)).collect();
    let &argument = zero.first()?;
    let size = pass.largest(argument).unwrap_or(0.0);
    let symptom = Symptom::Zero { of: pass.run.reading.name(argument), largest: size };
    let mut found = match pass.cotangent(argument) {
        None => unreached(pass, symptom, argument),
        Some(_) => stopped(pass, symptom, argument),
    };
    found.argument = Some(argument);
    found.also = zero[1..].to_vec();
    Some(found)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |a, b| f64::max(a, b.abs()))
}

/// No derivative leads from the result to the argument.
fn unreached(pass: &Pass, symptom: Symptom, argument: usize) -> Found {
    let (run, reading) = (pass.run, pass.run.reading);
    let [result] = *reading.record.results() else { unreachable!("a pass has one result") };
    if !reading.reached(argument, |_| true)[result] {
        let words = format!("the result is not made from `{}`", reading.name(argument));
        return Found::new(symptom, (Cause::Unused, words), argument, 0);
    }
    let passes = |i: usize| {
        matches!(run.nodes[i].primitive().derivative(), Derivative::Rules(_)) && run.nodes[i].dtype().is_float()
    };
    let smooth = reading.reached(argument, passes);
    let mut leads = vec![false; reading.users.len()];
    leads[result] = true;
    for i in (0..leads.len()).rev() {
        leads[i] |= reading.users[i].iter().any(|&(u, _)| leads[u]);
    }
    // An inner cut of an op that also passes the derivative on is not what cuts the path.
    let passed_on = |i: usize| reading.call_of(i).outputs.iter().any(|&o| smooth[o]);
    let cuts = |i: &usize| !smooth[*i] && leads[*i] && reading.operands(*i).iter().any(|&j| smooth[j]);
    let cut = (0..leads.len()).filter(cuts).min_by_key(|&i| (passed_on(i), i)).unwrap_or(result);
    let operand = reading.operands(cut).iter().position(|&j| smooth[j]).unwrap_or(0);
    let name = reading.prim(cut);
    let (cause, why) = match run.nodes[cut].primitive().derivative() {
        Derivative::Cut(_) if name == "stop_gradient" => {
            (Cause::Detached, "`stop_gradient` cuts the derivative on purpose, and there is no other path".to_owned())
        }
        Derivative::Cut(why) | Derivative::Zero(why) => {
            (Cause::NoDerivative, format!("`{name}` has no derivative: {why}"))
        }
        Derivative::Rules(_) => (Cause::NoDerivative, format!("`{name}` passes no derivative on")),
    };
    let mut found = Found::new(symptom, (cause, why), cut, 0);
    found.operand = operand;
    found
}

/// Derivatives arrive, and are zero: who made them so?
fn stopped(pass: &Pass, symptom: Symptom, argument: usize) -> Found {
    let reading = pass.run.reading;
    let mut killers: Vec<(usize, usize)> = Vec::new();
    let mut cancelled: Option<usize> = None;
    let mut seen = vec![false; reading.users.len()];
    // With each step the elements that are made from the argument.
    let mut stack: Vec<(usize, Option<Vec<bool>>)> = vec![(argument, None)];
    while let Some((node, mask)) = stack.pop() {
        for &(u, k) in &reading.users[node] {
            let Some(term) = pass.term(u, k) else { continue };
            let made = pass.run.dependents(u, k, mask.as_deref());
            if largest_of(&term, mask.as_deref()) > NOTHING {
                cancelled = cancelled.max(Some(node));
            } else if pass.cotangent(u).is_some_and(|c| largest_of(c, made.as_deref()) > NOTHING) {
                killers.push((u, k));
            } else if !std::mem::replace(&mut seen[u], true) {
                stack.push((u, made));
            }
        }
    }
    match (killers.into_iter().max(), cancelled) {
        (Some((step, operand)), _) => {
            let mut found = Found::new(symptom, killed(pass, step, operand), step, 0);
            found.operand = operand;
            found
        }
        (None, Some(node)) => {
            let last = reading.users[node].iter().map(|u| u.0).max().unwrap_or(node);
            let cause = match rowwise(reading.op(last)) {
                true => saturated(reading.op(last)),
                false => (Cause::Cancelled, "the contributions of its users are not zero, but add up to 0".to_owned()),
            };
            let mut found = Found::new(symptom, cause, last, 0);
            found.operand = reading.operands(last).iter().position(|&j| j == node).unwrap_or(0);
            found
        }
        (None, None) => Found::new(symptom, (Cause::Other, "no contribution arrives".to_owned()), argument, 0),
    }
}

/// The largest of the elements that count; where none does, of all: then nothing of the operand was taken.
fn largest_of(values: &[f64], mask: Option<&[bool]>) -> f64 {
    match mask.filter(|mask| mask.contains(&true)) {
        Some(mask) => values.iter().zip(mask).filter(|(_, m)| **m).fold(0.0, |a, (b, _)| f64::max(a, b.abs())),
        None => largest(values),
    }
}

/// Why a step, at which a gradient arrives, passes none on to operand `k`.
fn killed(pass: &Pass, step: usize, k: usize) -> (Cause, String) {
    let (run, reading) = (pass.run, pass.run.reading);
    let (name, op) = (reading.prim(step), reading.op(step));
    let operands = reading.operands(step);
    let x = run.values(operands[k]);
    let cotangent = pass.cotangent(step).unwrap_or_default();
    // Only where a gradient arrives does it matter what the operand is.
    let elementwise = run.nodes[step].primitive().class() == Class::Elementwise;
    let met: Vec<f64> = match elementwise {
        true => x.iter().zip(cotangent).filter(|(_, c)| c.abs() > NOTHING).map(|(x, _)| *x).collect(),
        false => x.to_vec(),
    };
    let (low, high) = met.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
    let all = match (met.len(), low == high) {
        (1, _) => format!("the input, {},", short(low)),
        (n, true) => format!("all {n} inputs, {},", short(low)),
        (n, false) => format!("all {n} inputs, from {} to {},", short(low), short(high)),
    };
    let verb = if met.len() == 1 { "is" } else { "are" };
    match name {
        _ if op == "norm" => (Cause::Stationary, "all elements are 0, where the derivative of `norm` is 0".to_owned()),
        _ if op == "std" => {
            (Cause::Stationary, "all elements are equal, where the derivative of `std` is 0".to_owned())
        }
        "relu" => (Cause::DeadUnit, format!("{all} {verb} at most 0, where `relu` is flat: the units are dead")),
        "sigmoid" | "tanh" | "erf" | "softplus" | "gelu" | "silu" | "gelu_tanh" | "selu" | "mish" => {
            (Cause::Saturated, format!("{all} {verb} so far out that `{name}` is flat in {}", run.nodes[step].dtype()))
        }
        "maximum" | "minimum" if op == "clip" => {
            let bound = short(run.at(operands[1 - k], 0));
            (Cause::Clipped, format!("{all} {verb} beyond the bound {bound}, where `clip` is flat"))
        }
        "maximum" | "minimum" => {
            let other = reading.name(operands[1 - k]);
            (Cause::NotChosen, format!("`{name}` chose the other operand, `{other}`, everywhere"))
        }
        "where" => {
            let branch = if k == 1 { "true" } else { "false" };
            (
                Cause::NotChosen,
                format!(
                    "the condition of `where` is nowhere {branch} where a gradient arrives, so this branch never counts"
                ),
            )
        }
        "max" | "min" => (Cause::NotChosen, format!("`{name}` chose other elements")),
        "gather" | "take" | "take_along_axis" | "slice" => {
            (Cause::NotChosen, format!("`{op}` took none of its elements"))
        }
        "exp" | "exp2" | "expm1" | "divide" | "subtract" | "multiply" if rowwise(op) => saturated(op),
        "exp" | "exp2" => (Cause::Underflow, format!("{all} {verb} so low that `{name}` is 0, and its slope with it")),
        "multiply" | "matmul" | "convolve" => factor(pass, step, k, cotangent),
        "square" | "abs" | "pow" | "cosh" | "cos" if met.iter().all(|v| v.abs() < 1e-9) => {
            (Cause::Stationary, format!("`{name}` is flat at 0, where all its inputs are: this is a stationary point"))
        }
        "atan" | "divide" | "log" | "sqrt" | "reciprocal" | "rsqrt" | "cast" => (
            Cause::Underflow,
            format!("what `{name}` passes on is too small for {}: it rounds to 0", run.nodes[operands[k]].dtype()),
        ),
        _ => (Cause::Other, format!("`{name}` passes nothing on here")),
    }
}

fn rowwise(op: &str) -> bool {
    ["softmax", "log_softmax", "cross_entropy", "logsumexp", "scaled_dot_product_attention"].contains(&op)
}

fn saturated(op: &str) -> (Cause, String) {
    let words = format!("`{op}` is saturated: one element of each row has all the probability, to the last bit");
    (Cause::Saturated, words)
}

/// A product passes on the cotangent times the other factor.
fn factor(pass: &Pass, step: usize, k: usize, cotangent: &[f64]) -> (Cause, String) {
    let (run, reading) = (pass.run, pass.run.reading);
    let other = reading.operands(step)[1 - k.min(1)];
    let values = run.values(other);
    let name = reading.name(other);
    if rowwise(reading.op(step)) {
        return saturated(reading.op(step));
    }
    if values.iter().all(|&v| v == 0.0) {
        return (Cause::ZeroFactor, format!("its other factor, `{name}`, is 0 everywhere"));
    }
    let largest_factor = largest(values);
    if largest_factor * largest(cotangent) > NOTHING && reading.prim(step) == "multiply" {
        return (Cause::ZeroFactor, format!("its other factor, `{name}`, is 0 wherever a gradient arrives"));
    }
    if largest_factor * largest(cotangent) <= NOTHING {
        let words = format!(
            "the gradient gets smaller step by step; here, times at most {}, it falls below {NOTHING:e}",
            short(largest_factor)
        );
        return (Cause::Vanishing, words);
    }
    (Cause::ZeroFactor, format!("what arrives meets only zeros of its other factor, `{name}`"))
}
