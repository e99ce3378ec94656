//! Labels through every op: they change no bit, and are true of the sizes.

use std::collections::BTreeMap;
use std::fmt::Write;

use covector::{Label, Tensor, jvp, registry, try_vmap, vjp};

use crate::derivatives::directions;
use crate::{Verdict, call::Call};

/// More clashes than this in one call would mean that solving one makes the next.
const MOST_CLASHES: usize = 40;

/// The labels of a call's tensors, axis by axis: empty where there is none.
type Written = Vec<Vec<String>>;

/// A name for every axis for which `named` holds of its size: `a0 a1`, `b0`, ...
fn fresh(tensors: &[Tensor], named: impl Fn(usize) -> bool) -> Written {
    let name = |t: usize, axis: usize| format!("{}{axis}", (b'a' + t as u8) as char);
    let axes = |(t, x): (usize, &Tensor)| {
        x.shape()
            .iter()
            .enumerate()
            .map(|(axis, &size)| if named(size) { name(t, axis) } else { String::new() })
            .collect()
    };
    tensors.iter().enumerate().map(axes).collect()
}

fn labelled(tensors: &[Tensor], labels: &Written) -> Vec<Tensor> {
    tensors.iter().zip(labels).map(|(x, labels)| x.labelled(&labels[..])).collect()
}

/// The results for labelled tensors; where labels must be equal they are made so, in `labels`.
fn agreed(call: &Call, tensors: &[Tensor], labels: &mut Written) -> Result<Vec<Tensor>, String> {
    for _ in 0..MOST_CLASHES {
        let error = match call.with_tensors(&labelled(tensors, labels)) {
            Ok(results) => return Ok(results),
            Err(error) => error,
        };
        let Some(clash) = error.labels() else { return Err(error.to_string()) };
        let bare = |l: &&Label| labels.iter().flatten().any(|have| *have == l.to_string());
        let Some(name) = clash.iter().find(bare).map(Label::to_string) else {
            return Err(format!("two expressions clash: {error}"));
        };
        let other = clash.iter().map(Label::to_string).find(|l| *l != name).unwrap_or_default();
        labels.iter_mut().flatten().filter(|l| **l == name).for_each(|l| l.clone_from(&other));
    }
    Err(format!("no labels suit it: {labels:?}"))
}

/// The sizes of the names.
fn sizes(tensors: &[Tensor], labels: &Written) -> BTreeMap<String, usize> {
    let axes = tensors.iter().zip(labels).flat_map(|(x, labels)| labels.iter().cloned().zip(x.shape().iter().copied()));
    axes.collect()
}

/// Every label stands for the size of its axis.
fn check_sizes(y: &Tensor, sizes: &BTreeMap<String, usize>) -> Verdict {
    for (axis, label) in y.labels().iter().enumerate() {
        let Some(label) = label else { continue };
        let is = label.evaluate(|name| sizes.get(name).copied());
        if is != Some(y.shape()[axis] as i64) {
            return Err(format!("axis {axis} of {} is {is:?} by its label", y.described()));
        }
    }
    Ok(())
}

fn check(call: &Call, named: impl Fn(usize) -> bool) -> Verdict {
    let tensors = call.tensors();
    let mut labels = fresh(&tensors, named);
    let results = agreed(call, &tensors, &mut labels)?;
    let plain = call.with_tensors(&tensors).map_err(|e| e.to_string())?;
    let sizes = sizes(&tensors, &labels);
    for (y, plain) in results.iter().zip(&plain) {
        check_sizes(y, &sizes)?;
        let bits = |t: &Tensor| t.try_value().map(|v| v.to_bytes()).map_err(|e| e.to_string());
        if bits(y)? != bits(plain)? {
            return Err(format!("labels change the bits of {}", y.described()));
        }
    }
    let tensors = labelled(&tensors, &labels);
    let call = &Call { op: call.op, sample: call.sample_of(&tensors) };
    derivatives(call)?;
    let alone = call.op.note("vmap").is_some_and(|n| n.parse::<f64>().is_err());
    if alone { Ok(()) } else { batched(call, &results) }
}

/// Gradients have the labels of the arguments, tangents those of the results.
fn derivatives(call: &Call) -> Verdict {
    let floats = call.floats();
    let (y, pullback) = vjp(|x: &Vec<Tensor>| call.on_floats(x), &floats);
    let gradients = pullback.call(&directions(&y, 0.5));
    let (_, tangents) = jvp(|x: &Vec<Tensor>| call.on_floats(x), &floats, &directions(&floats, 0.0));
    for (kind, found, of) in [("gradient", &gradients, &floats), ("tangent", &tangents, &y)] {
        if let Some((g, x)) = found.iter().zip(of).find(|(g, x)| g.labels() != x.labels()) {
            return Err(format!("the {kind} of {} is {}", x.described(), g.described()));
        }
    }
    Ok(())
}

/// Over a batch of examples called `N`, results are called as without it, behind `N`.
fn batched(call: &Call, results: &[Tensor]) -> Verdict {
    let examples = |x: &Tensor| x.expand_dims(0).repeat(2, 0).relabelled(&format!("N {}", x.labels()));
    let arguments: Vec<Tensor> = call.tensors().iter().map(examples).collect();
    let f = |x: &Vec<Tensor>| call.with_tensors(x).unwrap_or_else(|e| panic!("{e}"));
    let found = try_vmap(f, &arguments, &0.into(), &0.into()).map_err(|e| e.to_string())?;
    for (y, one) in found.iter().zip(results) {
        // Nothing of the examples may be in a result.
        let first = y.labels()[0].as_ref().map(Label::to_string);
        if y.labels()[1..] != one.labels()[..] || first.is_some_and(|first| first != "N") {
            return Err(format!("of a batch of {} vmap makes {}", one.described(), y.described()));
        }
    }
    Ok(())
}

/// Checks an op's sample with labels on all axes, and on those longer than 1; `None` if there are no axes.
pub(crate) fn on_sample(call: &Call) -> Option<Verdict> {
    let some = call.tensors().iter().any(|t| t.ndim() > 0);
    some.then(|| check(call, |_| true).and_then(|()| check(call, |size| size != 1)))
}

/// What every sample of the registry does with labels, a line each: `matmul: a0 a1, a1 b1 -> a0 b1`.
pub fn signatures() -> String {
    let mut out = String::new();
    for op in registry::all() {
        let mut seen = Vec::new();
        for sample in (op.samples)() {
            let call = Call { op, sample };
            let tensors = call.tensors();
            let mut labels = fresh(&tensors, |size| size != 1);
            let Ok(results) = agreed(&call, &tensors, &mut labels) else { continue };
            let list = |all: Vec<String>| all.join(", ");
            let inputs = list(labelled(&tensors, &labels).iter().map(|t| format!("[{}]", t.labels())).collect());
            let line = format!("{inputs} -> {}", list(results.iter().map(|y| format!("[{}]", y.labels())).collect()));
            if tensors.iter().any(|t| t.ndim() > 0) && !seen.contains(&line) {
                let _ = writeln!(out, "{}: {line}", op.name);
                seen.push(line);
            }
        }
    }
    out
}
