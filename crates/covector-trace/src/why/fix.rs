//! Fixes are tried: the program is made again with a step written differently, and only what helps is proposed.

use covector::draw::short;
use covector::{Result, Tensor, try_eval};

use super::cause::Found;
use super::reverse::{Pass, arguments};
use super::rewrite::{Rewrite, candidates};
use super::run::{Run, numbers};
use super::{Change, Finding, Fix, Symptom, forward, reverse};

/// So many steps may have to be written differently at once.
const DEEPEST: usize = 3;
/// So many programs are tried.
const TRIALS: usize = 24;

/// The finding in words, with a fix if one can be found.
pub(crate) fn completed(run: &Run, found: Found) -> Finding {
    let mut finding = found.finding(run);
    let mut left = TRIALS;
    finding.fix = search(run, &found, &found, &mut Vec::new(), &mut left);
    finding
}

/// Tries each rewrite of the step that is bad; where the program then is bad elsewhere, goes on there.
fn search(run: &Run, goal: &Found, found: &Found, chosen: &mut Vec<Rewrite>, left: &mut usize) -> Option<Fix> {
    for rewrite in candidates(run, found) {
        if *left == 0 {
            return None;
        }
        *left -= 1;
        chosen.push(rewrite);
        match tried(run, goal, chosen) {
            Ok(Outcome::Good(outcome)) => {
                let change = |r: &Rewrite| Change { source: r.source.clone(), from: r.from.clone(), to: r.to.clone() };
                let mut changes: Vec<Change> = chosen.iter().map(change).collect();
                changes.dedup();
                return Some(Fix { changes, outcome });
            }
            Ok(Outcome::Elsewhere(edited, next)) if chosen.len() < DEEPEST => {
                let again = Run::new(run.reading, edited).ok();
                if let Some(fix) = again.and_then(|again| search(&again, goal, &next, chosen, left)) {
                    return Some(fix);
                }
            }
            _ => {}
        }
        chosen.pop();
    }
    None
}

enum Outcome {
    /// What the changed program gives.
    Good(String),
    /// The steps of the changed program, and what is wrong with it now.
    Elsewhere(Vec<Tensor>, Box<Found>),
    Bad,
}

/// Makes and checks the program with these changes.
fn tried(run: &Run, goal: &Found, changes: &[Rewrite]) -> Result<Outcome> {
    let record = run.reading.record;
    let of = |i: usize| changes.iter().filter(move |c| c.step == i);
    let mut given = Vec::new();
    for &i in record.arguments() {
        let argument = run.reading.node(i).stop_gradient();
        given.push(of(i).try_fold(argument, |x, change| (change.make)(&[x]))?);
    }
    let edit = |i: usize, made: &[Tensor]| match of(i).next_back() {
        Some(change) if !run.reading.is_argument(i) => (change.make)(made).map(Some),
        _ => Ok(None),
    };
    let nodes = record.replay(&given, edit)?;
    let results: Vec<&Tensor> = record.results().iter().map(|&i| &nodes[i]).collect();
    try_eval(results.iter().copied())?;
    let fits = |i: &usize| nodes[*i].spec() == run.reading.node(*i).spec();
    if !record.results().iter().all(fits) {
        return Ok(Outcome::Bad);
    }
    let again = Run::new(run.reading, nodes.clone())?;
    let elsewhere = |next: Option<Found>| match next {
        Some(next) if of(next.step).next().is_none() => Outcome::Elsewhere(nodes.clone(), Box::new(next)),
        _ => Outcome::Bad,
    };
    if let Some(next) = forward::first(&again) {
        return Ok(elsewhere(Some(next)));
    }
    let Some(pass) = Pass::new(&again, edit)? else {
        return Ok(Outcome::Good(values(&results)));
    };
    if let Some(next) = reverse::first(&pass) {
        return Ok(elsewhere(Some(next)));
    }
    let Symptom::Zero { of, .. } = &goal.symptom else {
        let gradients = if arguments(&again).count() == 1 { "its gradient" } else { "all gradients" };
        return Ok(Outcome::Good(format!("{}, {gradients} finite", values(&results))));
    };
    let gradient = goal.argument.and_then(|a| pass.cotangent(a)).unwrap_or_default();
    let largest = gradient.iter().fold(0.0, |a, b| f64::max(a, b.abs()));
    // Small enough to be a rounding error is no gradient.
    Ok(match largest > 1e-10 {
        true => Outcome::Good(format!("the gradient of {of} is then up to {}", short(largest))),
        false => Outcome::Bad,
    })
}

/// What the results are now.
fn values(results: &[&Tensor]) -> String {
    match results {
        // To whom it is said, -0 is 0.
        [one] if one.size() == 1 => format!("the result is then {}", short(numbers(one)[0] + 0.0)),
        [_] => "all of the result is then finite".to_owned(),
        _ => "all results are then finite".to_owned(),
    }
}
