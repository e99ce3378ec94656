//! Bad gradients: the first step of the reverse pass whose cotangent is good and whose contribution is not.

use std::cell::OnceCell;

use covector::draw::short;
use covector::{Result, Tensor, try_eval};

use super::Symptom;
use super::cause::{Cause, Found};
use super::forward::{place, worst};
use super::run::{Run, filled, index, numbers};

/// A program's values with the reverse pass from its only result.
pub(crate) struct Pass<'a> {
    pub run: &'a Run<'a>,
    cotangents: Vec<Option<Tensor>>,
    terms: Vec<Vec<Option<Tensor>>>,
    known: Vec<OnceCell<Vec<f64>>>,
}

impl<'a> Pass<'a> {
    /// `None` if the program has not one float as its result, or no float arguments. `edit` as in a replay.
    ///
    /// # Errors
    /// Those of the evaluation.
    pub fn new(
        run: &'a Run<'a>,
        edit: impl FnMut(usize, &[Tensor]) -> Result<Option<Tensor>>,
    ) -> Result<Option<Pass<'a>>> {
        let record = run.reading.record;
        let [result] = *record.results() else { return Ok(None) };
        let y = &run.nodes[result];
        if !(y.dtype().is_float() && y.ndim() == 0 && arguments(run).next().is_some()) {
            return Ok(None);
        }
        let given: Vec<Tensor> = record.arguments().iter().map(|&i| run.nodes[i].clone()).collect();
        let backward = record.backward(&given, &[filled(y, 1.0)], edit)?;
        let terms = backward.terms.iter().flatten().flatten();
        try_eval(backward.cotangents.iter().flatten().chain(terms))?;
        let known = backward.cotangents.iter().map(|_| OnceCell::new()).collect();
        Ok(Some(Pass { run, cotangents: backward.cotangents, terms: backward.terms, known }))
    }

    /// The cotangent of a step, if any arrived.
    pub fn cotangent(&self, i: usize) -> Option<&[f64]> {
        let cotangent = self.cotangents[i].as_ref()?;
        Some(self.known[i].get_or_init(|| numbers(cotangent)))
    }

    /// The size of the largest element of a cotangent; NaN wins.
    pub fn largest(&self, i: usize) -> Option<f64> {
        self.cotangents[i].as_ref().map(|c| numbers(&c.abs().max(..))[0])
    }

    /// What a step adds to the cotangent of its operand `k`.
    pub fn term(&self, i: usize, k: usize) -> Option<Vec<f64>> {
        self.terms[i][k].as_ref().map(numbers)
    }
}

/// The float arguments.
pub(crate) fn arguments<'a>(run: &'a Run) -> impl Iterator<Item = usize> + 'a {
    let floats = |&i: &usize| run.nodes[i].dtype().is_float() && run.nodes[i].size() > 0;
    run.reading.record.arguments().iter().copied().filter(floats)
}

/// The first step that makes the gradient of an argument NaN or infinite.
pub(crate) fn first(pass: &Pass) -> Option<Found> {
    let run = pass.run;
    let finite = |&a: &usize| pass.largest(a).is_none_or(f64::is_finite);
    let bad: Vec<usize> = arguments(run).filter(|a| !finite(a)).collect();
    let &argument = bad.first()?;
    let element = worst(pass.cotangent(argument)?)?;
    let is = pass.cotangent(argument)?[element];
    let symptom = Symptom::Gradient { of: run.reading.name(argument), is, at: index(&run.nodes[argument], element) };
    let birth = origin(pass, argument, element);
    let mut found = described(pass, symptom, birth);
    found.argument = Some(argument);
    found.also = bad[1..].to_vec();
    Some(found)
}

/// Where a contribution went bad.
struct Birth {
    /// The step whose rule made it, and for which operand; `None` where only the sum of contributions is bad.
    rule: Option<(usize, usize)>,
    /// The element of that operand.
    element: usize,
    /// What the contribution is.
    term: f64,
    /// The elements of the step's result whose cotangents it was made from.
    from: Vec<usize>,
    /// The step whose cotangent is bad.
    of: usize,
    /// A step further back that made NaN of an infinity, and which.
    spoilt: Option<(usize, f64)>,
}

/// From a bad cotangent towards the result, as long as what arrives is as bad.
fn origin(pass: &Pass, mut node: usize, mut element: usize) -> Birth {
    let run = pass.run;
    let mut spoilt = None;
    loop {
        let own = pass.cotangent(node).map_or(0.0, |c| c[element]);
        let mut bad: Vec<(usize, usize, f64)> = Vec::new();
        for &(u, k) in &run.reading.users[node] {
            match pass.term(u, k).map(|t| t[element]) {
                Some(t) if !t.is_finite() => bad.push((u, k, t)),
                _ => {}
            }
        }
        let worst = bad.iter().position(|b| own.is_nan() && b.2.is_nan()).unwrap_or(0);
        let Some(&(u, k, term)) = bad.get(worst) else {
            return Birth { rule: None, element, term: own, from: Vec::new(), of: node, spoilt };
        };
        let from = run.targets(u, k, element);
        let arrived = |f: &usize| pass.cotangent(u).map_or(0.0, |c| c[*f]);
        let as_bad = from.iter().copied().find(|f| arrived(f).is_nan() && term.is_nan());
        match as_bad.or_else(|| from.iter().copied().find(|f| !arrived(f).is_finite())) {
            Some(f) => {
                if term.is_nan() && !arrived(&f).is_nan() {
                    spoilt = Some((u, arrived(&f)));
                }
                (node, element) = (u, f);
            }
            None => return Birth { rule: Some((u, k)), element, term, from, of: node, spoilt },
        }
    }
}

fn described(pass: &Pass, symptom: Symptom, birth: Birth) -> Found {
    let run = pass.run;
    let Some((step, operand)) = birth.rule else {
        let words = format!("the contributions of its users add up to {}", short(birth.term));
        return Found::new(symptom, (Cause::Overflow, words), birth.of, birth.element);
    };
    let reading = run.reading;
    let arrived: Vec<f64> = birth.from.iter().filter_map(|&f| Some(pass.cotangent(step)?[f])).collect();
    let mask = if arrived.iter().all(|&c| c == 0.0) { masker(pass, step, &birth.from) } else { None };
    let element = birth.element;
    let (cause, mut words) = slope(run, step, operand, element);
    let one = match arrived[..] {
        [one] => Some(one),
        _ => arrived.iter().all(|&c| c == 0.0).then_some(0.0),
    };
    if one.is_some_and(|c| c == 0.0 && birth.term.is_nan()) {
        let value = if elementwise(run, step) { run.at(step, element) } else { 0.0 };
        let times = if value.is_nan() { "NaN" } else { "inf" };
        words = format!("{words}; the gradient that arrives there is 0, and 0 · {times} is NaN");
    }
    let cause = match mask {
        Some(_) if cause != Cause::Custom => Cause::MaskedBranch,
        _ => cause,
    };
    let mut found = Found::new(symptom, (cause, words), step, element);
    found.operand = operand;
    if let Some((by, infinity)) = birth.spoilt {
        found.then.push(format!(
            "{} then makes NaN of it: its slope there is 0, and 0 · {} is NaN",
            place(run, by),
            short(infinity)
        ));
    }
    if let Some(mask) = mask {
        found.mask = Some(mask);
        let at = place(run, mask);
        let what =
            if reading.prim(mask) == "where" { "chooses the other branch there" } else { "lets nothing of it through" };
        found.then.push(format!("{at} {what}, so the value does not show it; the gradient does"));
    }
    found
}

/// Steps that choose.
const MASKS: [&str; 8] = ["where", "multiply", "relu", "maximum", "minimum", "slice", "gather", "matmul"];

/// The step above that let no gradient through to these elements.
fn masker(pass: &Pass, mut node: usize, elements: &[usize]) -> Option<usize> {
    let run = pass.run;
    let mut element = *elements.first()?;
    loop {
        let (u, k) = *run.reading.users[node].iter().find(|&&(u, k)| pass.terms[u][k].is_some())?;
        let from = run.targets(u, k, element);
        match from.iter().copied().find(|&f| pass.cotangent(u).is_some_and(|c| c[f] != 0.0)) {
            Some(_) => return MASKS.contains(&run.reading.prim(u)).then_some(u),
            None => (node, element) = (u, *from.first()?),
        }
    }
}

fn elementwise(run: &Run, step: usize) -> bool {
    run.nodes[step].primitive().class() == covector::Class::Elementwise
}

/// What is wrong with the derivative of a step for one operand, at an element of it.
fn slope(run: &Run, step: usize, operand: usize, element: usize) -> (Cause, String) {
    let reading = run.reading;
    let name = reading.prim(step);
    if ["custom_vjp", "custom_jvp", "checkpoint"].contains(&name) {
        return (Cause::Custom, format!("the rule given to `{name}` returns it"));
    }
    if !elementwise(run, step) {
        return (Cause::Other, format!("the derivative of `{name}` is not finite here"));
    }
    let x: Vec<f64> = (0..reading.operands(step).len()).map(|k| run.operand(step, k, element)).collect();
    let n = short;
    let v = x[operand];
    let steep = |what: String| (Cause::InfiniteSlope, what);
    match name {
        "sqrt" if v == 0.0 => steep("the slope of `sqrt` at 0 is infinite".into()),
        "sqrt" | "rsqrt" if v < 0.0 => steep(format!("`{name}({})` is NaN, and so is its slope", n(v))),
        "rsqrt" | "reciprocal" if v == 0.0 => steep(format!("`{name}(0)` is infinite, and so is its slope")),
        "cbrt" if v == 0.0 => steep("the slope of `cbrt` at 0 is infinite".into()),
        "log" | "log2" | "log10" if v == 0.0 => steep(format!("the slope of `{name}` is 1 / x, infinite at 0")),
        "log" | "log2" | "log10" if v < 0.0 => {
            steep(format!("`{name}({})` is NaN, and so is what is made of it", n(v)))
        }
        "log1p" if v == -1.0 => steep("the slope of `log1p` is 1 / (1 + x), infinite at -1".into()),
        "divide" if x[1] == 0.0 => {
            steep(format!("the divisor is 0, so the slopes of `{} / 0` are not finite", n(x[0])))
        }
        "pow" if v == 0.0 && operand == 0 => {
            steep(format!("the slope of x^{0} at 0 is {0} · 0^({1}), infinite", n(x[1]), n(x[1] - 1.0)))
        }
        "pow" if x[0] < 0.0 => {
            steep(format!("the derivative of a power for its exponent takes the logarithm of the base, {}", n(x[0])))
        }
        "asin" | "acos" if v.abs() == 1.0 => steep(format!("the slope of `{name}` at {} is infinite", n(v))),
        "asin" | "acos" => steep(format!("`{name}` has no slope at {}, outside of -1 to 1", n(v))),
        "atanh" | "erfinv" if v.abs() >= 1.0 => steep(format!("the slope of `{name}` at {} is infinite", n(v))),
        "acosh" if v <= 1.0 => steep(format!("the slope of `acosh` at {} is infinite", n(v))),
        "exp" | "exp2" | "expm1" | "sinh" | "cosh" if !run.at(step, element).is_finite() => {
            steep(format!("`{name}({})` overflows, and its slope with it", n(v)))
        }
        "logaddexp" => steep("-inf beside -inf has no derivative".into()),
        "multiply" if !x[1 - operand].is_finite() => {
            steep(format!("the other factor, {}, is its slope", n(x[1 - operand])))
        }
        _ if x.iter().all(|v| v.is_finite()) => {
            (Cause::Overflow, format!("the derivative of `{name}` overflows at {}", n(v)))
        }
        _ => (Cause::InfiniteSlope, format!("`{name}` is not finite at {}, nor is its slope", n(v))),
    }
}
