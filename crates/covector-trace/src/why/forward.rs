//! Bad values: the first step whose operands are good and whose result is not.

use covector::draw::short;
use covector::{Class, DType, Tensor};

use super::Symptom;
use super::cause::{Cause, Found};
use super::run::{Run, index};

/// The first step that makes a result NaN or infinite.
pub(crate) fn first(run: &Run) -> Option<Found> {
    let reading = run.reading;
    let bad = reading.record.results().iter().find_map(|&r| Some((r, worst(run.values(r))?)));
    let (result, element) = bad?;
    let of = reading.notes.name_of(reading.node(result)).unwrap_or("the result").to_owned();
    let at = index(&run.nodes[result], element);
    let symptom = Symptom::Value { of, is: run.at(result, element), at };
    let birth = origin(run, result, element);
    Some(blamed(run, symptom, birth))
}

/// The element to ask about: the first NaN, or the first infinity.
pub(crate) fn worst(values: &[f64]) -> Option<usize> {
    let nan = values.iter().position(|v| v.is_nan());
    nan.or_else(|| values.iter().position(|v| v.is_infinite()))
}

/// Where the badness of an element came into being: back through operands that are as bad.
pub(crate) fn origin(run: &Run, mut step: usize, mut element: usize) -> (usize, usize) {
    loop {
        let nan = run.at(step, element).is_nan();
        let bad = |v: f64| if nan { v.is_nan() } else { !v.is_finite() };
        let sources = read(run, step, element);
        let from = sources.iter().copied().filter(|&(j, e)| bad(run.at(j, e))).min();
        let finite = sources.iter().all(|&(j, e)| run.at(j, e).is_finite());
        match from.or_else(|| if nan && finite { anywhere(run, step) } else { None }) {
            Some(operand) => (step, element) = operand,
            None => return (step, element),
        }
    }
}

/// A NaN, or else an infinity, among the operands of a step in which derivatives do not show all that depends on what.
fn anywhere(run: &Run, step: usize) -> Option<(usize, usize)> {
    if run.nodes[step].primitive().class() != Class::Opaque {
        return None;
    }
    let bad = |is: fn(f64) -> bool| {
        let operands = run.reading.operands(step).iter();
        operands.filter_map(|&j| Some((j, run.values(j).iter().position(|&v| is(v))?))).min()
    };
    bad(f64::is_nan).or_else(|| bad(f64::is_infinite))
}

/// The elements an element was made from; of a choice, those that were chosen.
fn read(run: &Run, step: usize, element: usize) -> Vec<(usize, usize)> {
    let operands = run.reading.operands(step);
    if operands.is_empty() {
        return Vec::new();
    }
    if run.reading.prim(step) == "where" {
        let chosen = if run.operand(step, 0, element) != 0.0 { 1 } else { 2 };
        return vec![(operands[chosen], element)];
    }
    let sources = run.sources(step, element);
    operands.iter().zip(sources).flat_map(|(&j, from)| from.into_iter().map(move |e| (j, e))).collect()
}

/// Says what the birth of a bad number was. NaN made of an infinity is blamed on who computed the infinity.
fn blamed(run: &Run, symptom: Symptom, (step, element): (usize, usize)) -> Found {
    let reading = run.reading;
    let (cause, words) = cause(run, step, element);
    let mut found = Found::new(symptom, (cause, words), step, element);
    let infinite = read(run, step, element).into_iter().filter(|&(j, e)| run.at(j, e).is_infinite()).min();
    let Some((j, e)) = infinite else { return found };
    let (from, at) = origin(run, j, e);
    let value = short(run.at(from, at));
    if cause == Cause::MaskedRow {
        let mask = reading.is_leaf(from) && !reading.is_argument(from);
        if !mask && from != step {
            found.then.push(format!("the {value} came from {}", place(run, from)));
        }
        return found;
    }
    // -inf written into the program is meant; what makes NaN of it is not.
    if reading.is_number(from) || (reading.call[from] == reading.call[step] && reading.is_leaf(from)) {
        found.then.push(format!("the {value} is a constant of the program"));
        return found;
    }
    let then = format!("{} then makes {} of it: {}", place(run, step), short(run.at(step, element)), found.explanation);
    let mut found = Found::new(found.symptom, self::cause(run, from, at), from, at);
    found.then.push(then);
    found
}

/// `` `op` at file:line ``, or the name of a leaf.
pub(crate) fn place(run: &Run, step: usize) -> String {
    let reading = run.reading;
    if reading.is_leaf(step) {
        return match reading.is_argument(step) {
            true => format!("the argument `{}`", reading.name(step)),
            false => reading.name(step),
        };
    }
    let source = reading.source(step);
    format!("`{}` at {}:{}", reading.op(step), source.file, source.line)
}

/// Ops that compare a row with its largest element.
const ROWS: [&str; 4] = ["softmax", "log_softmax", "cross_entropy", "logsumexp"];

/// Why a step made something bad of what it read.
pub(crate) fn cause(run: &Run, step: usize, element: usize) -> (Cause, String) {
    let reading = run.reading;
    let (op, y) = (reading.op(step), run.at(step, element));
    if reading.is_leaf(step) {
        return leaf(run, step, y);
    }
    let x: Vec<f64> = match run.nodes[step].primitive().class() {
        Class::Elementwise => (0..reading.operands(step).len()).map(|k| run.operand(step, k, element)).collect(),
        _ => return folded(run, step, element),
    };
    if reading.prim(step) == "subtract" && x[0] == f64::NEG_INFINITY && x[1] == x[0] {
        if ROWS.contains(&op) {
            return (
                Cause::MaskedRow,
                format!("every element of the row is -inf, so `{op}` has nothing to share out: -inf - (-inf) is NaN"),
            );
        }
        if through_views(run, reading.operands(step)[1]).is_some_and(|m| reading.prim(m) == "max") {
            let words = "the largest element of the row is -inf, so the whole row is: -inf - (-inf) is NaN";
            return (Cause::MaskedRow, words.to_owned());
        }
    }
    if let Some(known) = composite(run, step, op, &x) {
        return known;
    }
    elementwise(reading.prim(step), &x, y, &run.nodes[step])
}

fn leaf(run: &Run, step: usize, y: f64) -> (Cause, String) {
    let reading = run.reading;
    let op = reading.op(step);
    if ROWS.contains(&op) {
        return (Cause::MaskedRow, format!("every element of the row is -inf (or there is none), so `{op}` is -inf"));
    }
    if op == "norm" {
        return (Cause::DivisionByZero, "a norm of negative order divides by the elements, and one is 0".to_owned());
    }
    let number = short(y);
    if run.nodes[step].primitive().class() != Class::Leaf && !reading.is_argument(step) {
        let words = format!("`{op}` gave {number}, and has been evaluated: how it was made is forgotten");
        return (Cause::Given, words);
    }
    let bad = run.values(step).iter().filter(|v| !v.is_finite()).count();
    let count = match run.nodes[step].size() {
        1 => String::new(),
        n => format!(" ({bad} of its {n} elements are not finite)"),
    };
    let what = match reading.is_argument(step) {
        true => format!("the argument `{}` already holds {number}{count}", reading.name(step)),
        false => format!("a constant of the program holds {number}{count}"),
    };
    (Cause::Given, what)
}

/// The step whose elements a view shows.
pub(crate) fn through_views(run: &Run, mut i: usize) -> Option<usize> {
    loop {
        match (run.reading.operands(i), run.nodes[i].primitive().class()) {
            ([only], Class::View) => i = *only,
            ([], _) => return None,
            _ => return Some(i),
        }
    }
}

/// What is known of an inner step of a composite better than its primitive tells.
fn composite(run: &Run, step: usize, op: &str, x: &[f64]) -> Option<(Cause, String)> {
    let prim = run.reading.prim(step);
    let nothing = |what: &str| Some((Cause::Empty, format!("{what}: 0 / 0 is NaN")));
    match (op, prim) {
        ("mean", "divide") if x[1] == 0.0 => {
            nothing("a mean over an axis without elements divides the empty sum by their number")
        }
        ("var" | "std", "divide") if x[1] == 0.0 => {
            nothing("there are no more elements than the correction takes away, so the sum of squares is divided by 0")
        }
        ("cross_entropy" | "nll_loss", "divide") if x[1] == 0.0 => {
            nothing("every example is ignored or weighs 0, so the mean divides by 0")
        }
        ("layer_norm" | "rms_norm" | "group_norm" | "batch_norm", "rsqrt") if x[0] == 0.0 => Some((
            Cause::DivisionByZero,
            format!("the variance is 0 and so is eps: `{op}` divides by the root of their sum"),
        )),
        _ => None,
    }
}

/// Why a fold, a product or another step over several elements is bad.
fn folded(run: &Run, step: usize, element: usize) -> (Cause, String) {
    let read: Vec<f64> = read(run, step, element).into_iter().map(|(j, e)| run.at(j, e)).collect();
    let (up, down) = (read.contains(&f64::INFINITY), read.contains(&f64::NEG_INFINITY));
    let name = run.reading.prim(step);
    let zero = read.contains(&0.0);
    match name {
        "matmul" | "prod" | "convolve" | "cumprod" if (up || down) && zero => {
            (Cause::ZeroTimesInf, format!("`{name}` multiplies 0 by an infinity, which is NaN"))
        }
        _ if up && down => (Cause::InfMinusInf, format!("`{name}` adds up inf and -inf, which is NaN")),
        _ if up || down => (Cause::InfMinusInf, format!("`{name}` combines infinities of both signs, which is NaN")),
        _ if run.at(step, element).is_nan() => {
            let operands = run.reading.operands(step).iter().flat_map(|&j| run.values(j));
            let largest = operands.fold(0.0, |a, b| f64::max(a, b.abs()));
            let words = format!(
                "something inside `{name}` overflows: its operands are finite, but as large as {}",
                short(largest)
            );
            (Cause::Overflow, words)
        }
        _ => overflow(name, run.at(step, element), &run.nodes[step]),
    }
}

fn overflow(name: &str, y: f64, node: &Tensor) -> (Cause, String) {
    let (dtype, y) = (node.dtype(), short(y));
    (
        Cause::Overflow,
        format!("the result of `{name}` is larger than the largest {dtype}, {}: it overflows to {y}", largest(dtype)),
    )
}

fn largest(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "65504",
        DType::F64 => "1.8e308",
        _ => "3.4e38",
    }
}

/// Above which number `e^x` is infinite.
fn exp_limit(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 11.09,
        DType::F64 => 709.8,
        _ => 88.73,
    }
}

/// Why an elementwise primitive gives `y`, which is not finite, for `x`.
fn elementwise(name: &str, x: &[f64], y: f64, node: &Tensor) -> (Cause, String) {
    let (n, neg) = (|v: f64| short(v), x[0] < 0.0);
    let say = |cause: Cause, words: String| (cause, words);
    match name {
        "log" | "log2" | "log10" if x[0] == 0.0 => say(Cause::LogOfZero, "the logarithm of 0 is -inf".into()),
        "log" | "log2" | "log10" if neg => {
            say(Cause::LogOfNegative, format!("a negative number, {}, has no real logarithm", n(x[0])))
        }
        "log1p" if x[0] == -1.0 => say(Cause::LogOfZero, "`log1p(-1)` is the logarithm of 0, -inf".into()),
        "log1p" if x[0] < -1.0 => say(
            Cause::LogOfNegative,
            format!("`1 + x` is {}, and a negative number has no real logarithm", n(1.0 + x[0])),
        ),
        "sqrt" | "rsqrt" if neg => {
            say(Cause::RootOfNegative, format!("a negative number, {}, has no real square root", n(x[0])))
        }
        "rsqrt" | "reciprocal" if x[0] == 0.0 => say(Cause::DivisionByZero, format!("`{name}(0)` is 1 / 0")),
        "divide" if x[1] == 0.0 && x[0] == 0.0 => say(Cause::ZeroOverZero, "0 / 0 is NaN".into()),
        "divide" | "remainder" | "floor_divide" if x[1] == 0.0 => {
            say(Cause::DivisionByZero, format!("{} is divided by 0, which gives {}", n(x[0]), n(y)))
        }
        "divide" if x[0].is_infinite() && x[1].is_infinite() => {
            say(Cause::InfOverInf, format!("{} / {} is NaN", n(x[0]), n(x[1])))
        }
        "multiply" if y.is_nan() => say(Cause::ZeroTimesInf, format!("{} · {} is NaN", n(x[0]), n(x[1]))),
        "add" if y.is_nan() => say(Cause::InfMinusInf, format!("{} + {} is NaN", n(x[0]), n(x[1]))),
        "subtract" if y.is_nan() => say(Cause::InfMinusInf, format!("{} - {} is NaN", n(x[0]), n(x[1]))),
        "exp" | "exp2" | "expm1" | "sinh" | "cosh" if x[0].is_finite() => {
            let bound = exp_limit(node.dtype()) / if name == "exp2" { std::f64::consts::LN_2 } else { 1.0 };
            let words = format!(
                "`{name}({})` overflows: above {} it is larger than the largest {}, {}",
                n(x[0]),
                n(bound),
                node.dtype(),
                largest(node.dtype())
            );
            say(Cause::Overflow, words)
        }
        "pow" if neg && x[1] != x[1].trunc() => {
            say(Cause::NegativePower, format!("a negative number, {}, has no real power {}", n(x[0]), n(x[1])))
        }
        "pow" if x[0] == 0.0 && x[1] < 0.0 => say(Cause::ZeroPower, format!("0 to the power {} is 1 / 0", n(x[1]))),
        "asin" | "acos" if x[0].abs() > 1.0 => say(
            Cause::OutOfDomain,
            format!("`{name}` is defined from -1 to 1, and the operand is {}", precise(x[0], node.dtype())),
        ),
        "atanh" | "erfinv" if x[0].abs() >= 1.0 => say(
            Cause::OutOfDomain,
            format!("`{name}` is finite between -1 and 1 only, and the operand is {}", precise(x[0], node.dtype())),
        ),
        "acosh" if x[0] < 1.0 => say(
            Cause::OutOfDomain,
            format!("`acosh` is defined from 1 on, and the operand is {}", precise(x[0], node.dtype())),
        ),
        "lgamma" | "digamma" | "polygamma" if x[0] <= 0.0 => {
            say(Cause::OutOfDomain, format!("`{name}` has a pole at {}", n(x[0])))
        }
        "sin" | "cos" | "tan" if x[0].is_infinite() => {
            say(Cause::OutOfDomain, format!("`{name}` of {} is NaN", n(x[0])))
        }
        "cast" if x[0].is_finite() => {
            let words = format!("{} is larger than the largest {}, {}", n(x[0]), node.dtype(), largest(node.dtype()));
            say(Cause::Overflow, words)
        }
        _ if x.iter().all(|v| v.is_finite()) && y.is_infinite() => overflow(name, y, node),
        _ => say(
            Cause::Other,
            format!("`{name}({})` is {}", x.iter().map(|&v| n(v)).collect::<Vec<_>>().join(", "), n(y)),
        ),
    }
}

/// Enough digits to tell a number from 1.
fn precise(x: f64, dtype: DType) -> String {
    let text = short(x);
    match text.parse::<f64>().is_ok_and(|v| v.abs() == 1.0) && x.abs() != 1.0 {
        true if dtype == DType::F64 => format!("{x}"),
        true => format!("{}", x as f32),
        false => text,
    }
}
