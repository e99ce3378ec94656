//! What several steps do by hand that one op does better: without overflow, and with a slope everywhere.

use covector::{Axes, Class, Result, Tensor, keep};

use crate::reading::Reading;

/// Makes one step from others.
pub(crate) type Make = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

/// Steps that one op could replace.
pub(crate) struct Better {
    /// The last of the steps.
    pub step: usize,
    /// What the op takes.
    pub operands: Vec<usize>,
    pub make: Make,
    pub from: String,
    pub to: String,
    /// What is wrong with the steps.
    pub why: &'static str,
}

/// A step and those near it that may end a pattern it is part of.
pub(crate) fn around(reading: &Reading, step: usize) -> Vec<usize> {
    let mut near = vec![step];
    let mut level = vec![step];
    for _ in 0..5 {
        level = level.iter().flat_map(|&i| reading.users[i].iter().map(|u| u.0)).collect();
        level.retain(|u| !near.contains(u));
        level.dedup();
        near.extend(&level);
    }
    near
}

/// The op that does better what ends with this step.
pub(crate) fn better(reading: &Reading, step: usize) -> Option<Better> {
    // Only what the user wrote out: inside an op all is as it should be.
    if reading.op(step) != reading.prim(step) {
        return None;
    }
    let found = |operands: Vec<usize>, from: String, to: String, make: Make| {
        let why = match reading.prim(step) {
            "sqrt" => "the slope of the root at 0 is infinite, and squares overflow",
            "log" if from.contains("max(") || from.contains("sigmoid(") => {
                "what is nearly 0 becomes 0, and its logarithm -inf"
            }
            _ => "`exp` overflows where the result would not",
        };
        Some(Better { step, operands, make, from, to, why })
    };
    let one = |x: usize, from: String, to: String, f: fn(&Tensor) -> Tensor| {
        found(vec![x], from, to, Box::new(move |t| Ok(f(&t[0]))))
    };
    let operands = reading.operands(step);
    let name = |i: usize| reading.brief(i);
    match reading.prim(step) {
        "log" => {
            let of = operands[0];
            if let Some((x, axis)) = softmax(reading, of) {
                let (from, to) = (format!("log(softmax({0}))", name(x)), format!("log_softmax({0}, {axis})", name(x)));
                return found(vec![x], from, to, Box::new(move |t| t[0].try_log_softmax(axis)));
            }
            if let Some(x) = made_by(reading, of, "sigmoid") {
                return one(x, format!("log(sigmoid({}))", name(x)), format!("log_sigmoid({})", name(x)), |x| {
                    x.log_sigmoid()
                });
            }
            if let Some(x) = one_minus(reading, of).and_then(|s| made_by(reading, s, "sigmoid")) {
                let (from, to) = (format!("log(1 - sigmoid({}))", name(x)), format!("log_sigmoid(-{})", name(x)));
                return one(x, from, to, |x| (-x).log_sigmoid());
            }
            if let Some(x) = one_plus(reading, of).and_then(|e| made_by(reading, e, "exp")) {
                return one(x, format!("log(1 + exp({}))", name(x)), format!("softplus({})", name(x)), |x| {
                    x.softplus()
                });
            }
            let (sum, kept) = under_reshape(reading, of);
            let x = made_by(reading, sum, "sum").and_then(|e| made_by(reading, e, "exp"))?;
            let axes = axes_given(reading.node(sum), kept);
            let (from, to) = (format!("log(sum(exp({})))", name(x)), format!("logsumexp({})", name(x)));
            found(vec![x], from, to, Box::new(move |t| t[0].try_logsumexp(axes.clone())))
        }
        "log1p" => {
            let x = made_by(reading, operands[0], "exp")?;
            one(x, format!("log1p(exp({}))", name(x)), format!("softplus({})", name(x)), |x| x.softplus())
        }
        "divide" => {
            let [e, d] = *operands else { return None };
            let divisor = under_views(reading, d);
            if let Some(x) = made_by(reading, e, "exp") {
                if made_by(reading, divisor, "sum") == Some(e) {
                    let [axis] = axes_of(reading.node(divisor))[..] else { return None };
                    let (from, to) =
                        (format!("exp({0}) / sum(exp({0}))", name(x)), format!("softmax({}, {axis})", name(x)));
                    return found(vec![x], from, to, Box::new(move |t| t[0].try_softmax(axis)));
                }
                if one_plus(reading, divisor) == Some(e) {
                    let (from, to) = (format!("exp({0}) / (1 + exp({0}))", name(x)), format!("sigmoid({})", name(x)));
                    return one(x, from, to, |x| x.sigmoid());
                }
            }
            let exp = one_plus(reading, divisor).filter(|_| is_one(reading, e))?;
            let x = made_by(reading, exp, "exp").and_then(|n| made_by(reading, n, "negative"))?;
            one(x, format!("1 / (1 + exp(-{}))", name(x)), format!("sigmoid({})", name(x)), |x| x.sigmoid())
        }
        "sqrt" => {
            let (sum, kept) = under_reshape(reading, operands[0]);
            if let Some(x) = made_by(reading, sum, "sum").and_then(|s| squared(reading, s)) {
                let axes = axes_given(reading.node(sum), kept);
                let (from, to) = (
                    format!("sqrt(sum(square({})))", name(x)),
                    format!("norm({}, {}, 2)", name(x), axes_text(reading, sum)),
                );
                return found(vec![x], from, to, Box::new(move |t| t[0].try_norm(axes.clone(), 2.0)));
            }
            if reading.prim(operands[0]) != "add" {
                return None;
            }
            let [a, b] = *reading.operands(operands[0]) else { return None };
            let (a, b) = (squared(reading, a)?, squared(reading, b)?);
            let (from, to) =
                (format!("sqrt({0}² + {1}²)", name(a), name(b)), format!("hypot({}, {})", name(a), name(b)));
            found(vec![a, b], from, to, Box::new(|t| t[0].try_hypot(&t[1])))
        }
        _ => None,
    }
}

/// The operand of a step, if that is made by this primitive, called by the user.
pub(crate) fn made_by(reading: &Reading, i: usize, prim: &str) -> Option<usize> {
    let called = reading.prim(i) == prim && !reading.is_leaf(i) && (reading.op(i) == prim || prim == "sum");
    called.then(|| reading.operands(i)[0])
}

/// What a softmax was taken of, and its axis, if the step is its result.
pub(crate) fn softmax(reading: &Reading, i: usize) -> Option<(usize, usize)> {
    of_rows(reading, i, "softmax")
}

/// The same for an op that works along rows.
pub(crate) fn of_rows(reading: &Reading, i: usize, op: &str) -> Option<(usize, usize)> {
    let call = reading.call_of(i);
    if call.op != op || !call.outputs.contains(&i) || reading.is_leaf(i) {
        return None;
    }
    let fold = call.members.iter().find(|&&m| ["sum", "max"].contains(&reading.prim(m)))?;
    let [axis] = axes_of(reading.node(*fold))[..] else { return None };
    Some((*call.inputs.first()?, axis))
}

fn is_one(reading: &Reading, i: usize) -> bool {
    reading.number(under_views(reading, i)) == Some(1.0)
}

/// `b` of `1 + b` or `b + 1`.
fn one_plus(reading: &Reading, i: usize) -> Option<usize> {
    match (reading.prim(i), reading.operands(i)) {
        ("add", &[a, b]) if is_one(reading, a) => Some(b),
        ("add", &[a, b]) if is_one(reading, b) => Some(a),
        _ => None,
    }
}

/// `b` of `1 - b`.
pub(crate) fn one_minus(reading: &Reading, i: usize) -> Option<usize> {
    match (reading.prim(i), reading.operands(i)) {
        ("subtract", &[a, b]) if is_one(reading, a) => Some(b),
        _ => None,
    }
}

/// `x` of `x²`.
pub(crate) fn squared(reading: &Reading, i: usize) -> Option<usize> {
    match (reading.prim(i), reading.operands(i)) {
        ("square", &[x]) => Some(x),
        ("multiply", &[a, b]) if a == b => Some(a),
        ("pow", &[x, p]) if reading.number(under_views(reading, p)) == Some(2.0) => Some(x),
        _ => None,
    }
}

/// What a view, however deep, shows.
pub(crate) fn under_views(reading: &Reading, mut i: usize) -> usize {
    while let ([only], Class::View) = (reading.operands(i), reading.node(i).primitive().class()) {
        i = *only;
    }
    i
}

/// The step under a reshape, and whether there was one: a reduction that keeps its axes ends with it.
fn under_reshape(reading: &Reading, i: usize) -> (usize, bool) {
    match (reading.prim(i), reading.operands(i)) {
        ("reshape", &[x]) if reading.call[i] == reading.call[x] => (x, true),
        _ => (i, false),
    }
}

/// The axes of a fold as a person writes them.
fn axes_text(reading: &Reading, fold: usize) -> String {
    let axes = axes_of(reading.node(fold));
    match &axes[..] {
        _ if axes.len() == reading.node(reading.operands(fold)[0]).ndim() => "..".to_owned(),
        [one] => one.to_string(),
        several => format!("{several:?}"),
    }
}

fn axes_given(fold: &Tensor, kept: bool) -> Axes {
    let axes = axes_of(fold);
    if kept { keep(&axes[..]) } else { Axes::from(&axes[..]) }
}

/// The axes a reduction folds, as its text names them: primitives show their settings to people only.
pub(crate) fn axes_of(fold: &Tensor) -> Vec<usize> {
    let text = format!("{:?}", &**fold.primitive());
    let inside = text.split_once("axes: [").and_then(|(_, rest)| rest.split_once(']')).map_or("", |(inside, _)| inside);
    inside.split(',').filter_map(|n| n.trim().parse().ok()).collect()
}
