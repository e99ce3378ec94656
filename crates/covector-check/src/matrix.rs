//! The test matrix: every property of every op of the registry.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use covector::Tensor;
use covector::registry::{self, OpDef};

use crate::call::Call;
use crate::compare::Tolerance;
use crate::golden::Goldens;
use crate::{Verdict, batching, derivatives, labels, layouts, robustness};

/// What became of one property of one op.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It holds for this many samples.
    Holds(usize),
    /// It cannot hold, for this reason.
    Cannot(String),
    /// It fails for the sample named, like this.
    Fails(String),
}

/// The names of the properties, in the order of the table.
pub const PROPERTIES: [&str; 14] = [
    "golden",
    "spec",
    "layout",
    "stride 0",
    "dtypes",
    "jvp",
    "adjoint",
    "2nd order",
    "vmap",
    "vmap of grad",
    "fused",
    "labels",
    "errors",
    "docs",
];

/// An op's row of the table.
pub struct Row {
    /// The op.
    pub op: &'static OpDef,
    /// The outcomes, in the order of [`PROPERTIES`].
    pub outcomes: Vec<Outcome>,
}

impl Row {
    /// The properties that fail, each with what went wrong.
    pub fn failures(&self) -> impl Iterator<Item = String> + '_ {
        PROPERTIES.iter().zip(&self.outcomes).filter_map(|(property, outcome)| match outcome {
            Outcome::Fails(why) => Some(format!("{} · {property}: {why}", self.op.name)),
            _ => None,
        })
    }
}

/// Checks every property of `op`.
pub fn check(op: &'static OpDef, goldens: &Goldens) -> Row {
    let outcomes = PROPERTIES.iter().map(|property| outcome(op, property, goldens)).collect();
    Row { op, outcomes }
}

/// Checks every property of every op whose name contains `filter`.
pub fn rows(filter: &str, goldens: &Goldens) -> Vec<Row> {
    registry::all().filter(|op| op.name.contains(filter)).map(|op| check(op, goldens)).collect()
}

fn outcome(op: &'static OpDef, property: &str, goldens: &Goldens) -> Outcome {
    if let Some(why) = excused(op, property) {
        return Outcome::Cannot(why);
    }
    let mut held = 0;
    for (i, sample) in (op.samples)().into_iter().enumerate() {
        let call = Call { op, sample };
        let verdict = catch_unwind(AssertUnwindSafe(|| verdict(property, &call, i, goldens)));
        match verdict {
            Ok(None) => (),
            Ok(Some(Ok(()))) => held += 1,
            Ok(Some(Err(why))) => return Outcome::Fails(format!("sample {i}: {why}")),
            Err(panic) => return Outcome::Fails(format!("sample {i} panics: {}", text(&*panic))),
        }
    }
    if held > 0 { Outcome::Holds(held) } else { Outcome::Cannot(nothing_to_check(op, property).to_owned()) }
}

/// Why the registry says that the property cannot hold.
fn excused(op: &OpDef, property: &str) -> Option<String> {
    let key = match property {
        "jvp" | "adjoint" | "2nd order" => "derivative",
        "vmap of grad" if op.note(property).is_none() => "derivative",
        other => other,
    };
    let why = op.note(key)?;
    // A derivative that is zero is checked like any other; one that is cut on purpose differs from the differences.
    let excuses = match key {
        "derivative" => why.starts_with("cut"),
        "vmap" => why.parse::<f64>().is_err(),
        _ => true,
    };
    excuses.then(|| why.to_owned())
}

fn nothing_to_check(op: &OpDef, property: &str) -> &'static str {
    match property {
        "golden" => {
            "it makes numbers from nothing or from a key: other tests hold it to formulas and published vectors"
        }
        "jvp" | "adjoint" | "2nd order" | "vmap of grad" => {
            op.note("derivative").unwrap_or("the registry does not say why")
        }
        "dtypes" => "no float goes in",
        "labels" => "it takes no tensor with axes",
        _ => "it takes no tensor",
    }
}

fn verdict(property: &str, call: &Call, index: usize, goldens: &Goldens) -> Option<Verdict> {
    match property {
        "golden" => goldens.check(&format!("{}/{index}", call.op.name), call),
        "spec" => robustness::spec(call),
        "layout" => layouts::on_sample(call),
        "stride 0" => layouts::broadcast_on_sample(call),
        "dtypes" => robustness::dtypes(call),
        "jvp" => derivatives::on_sample(call, derivatives::check_first_order),
        "adjoint" => derivatives::on_sample(call, derivatives::check_adjoint),
        "2nd order" => derivatives::on_sample(call, derivatives::check_second_order),
        "vmap" => batching::on_sample(call, vmap_tolerance(call.op)),
        "vmap of grad" => derivatives::on_sample(call, |f, x| {
            let cotangents = derivatives::directions(&f(&x.to_vec()), 0.5);
            let pulled = |x: &Vec<Tensor>| covector::vjp(f, x).1.call(&cotangents);
            crate::check_vmap(&pulled, x, Tolerance::relative(1e-13))
        }),
        "fused" => fused(call),
        "labels" => labels::on_sample(call),
        "errors" => robustness::wrong_arguments(call),
        "docs" => robustness::documented(call),
        other => unreachable!("no property `{other}`"),
    }
}

/// Planned together, an op with its gradients gives the bits it gives one primitive at a time.
fn fused(call: &Call) -> Option<Verdict> {
    let build = || -> Result<Vec<Tensor>, String> {
        let mut all = call.with_tensors(&call.tensors()).map_err(|e| e.to_string())?;
        let floats = call.floats();
        let (y, pullback) = covector::vjp(|x: &Vec<Tensor>| call.on_floats(x), &floats);
        if !floats.is_empty() && !y.is_empty() {
            all.extend(pullback.call(&derivatives::directions(&y, 0.5)));
        }
        Ok(all)
    };
    Some((|| {
        let (fused, stepwise) = (build()?, build()?);
        covector::try_eval(&fused).and_then(|()| covector::try_eval_stepwise(&stepwise)).map_err(|e| e.to_string())?;
        fused.iter().zip(&stepwise).try_for_each(|(f, s)| crate::close(f, s, Tolerance::EXACT))
    })())
}

/// Bit for bit, unless the registry states a bound.
fn vmap_tolerance(op: &OpDef) -> Tolerance {
    op.note("vmap").and_then(|n| n.parse().ok()).map_or(Tolerance::EXACT, Tolerance::relative)
}

fn text(panic: &dyn std::any::Any) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_else(|| "(no message)".to_owned())
}

/// The table as text: a row per op, a column per property; the number of samples it holds for, `–` where it cannot.
pub fn table(rows: &[Row]) -> String {
    let mut out = String::new();
    let _ = write!(out, "{:<34}", "op");
    PROPERTIES.iter().for_each(|p| _ = write!(out, " {p:>12}"));
    out.push('\n');
    for row in rows {
        let _ = write!(out, "{:<34}", row.op.name);
        for outcome in &row.outcomes {
            let cell = match outcome {
                Outcome::Holds(n) => format!("✓ {n}"),
                Outcome::Cannot(_) => "–".to_owned(),
                Outcome::Fails(_) => "FAILS".to_owned(),
            };
            let _ = write!(out, " {cell:>12}");
        }
        out.push('\n');
    }
    let failures: Vec<String> = rows.iter().flat_map(Row::failures).collect();
    let checks: usize = rows.iter().flat_map(|r| &r.outcomes).filter(|o| matches!(o, Outcome::Holds(_))).count();
    let _ = writeln!(out, "\n{} ops, {checks} properties hold, {} fail", rows.len(), failures.len());
    failures.iter().for_each(|f| _ = writeln!(out, "  {f}"));
    out
}

/// Why a property cannot hold, for every cell marked `–`.
pub fn reasons(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        for (property, outcome) in PROPERTIES.iter().zip(&row.outcomes) {
            if let Outcome::Cannot(why) = outcome {
                let _ = writeln!(out, "{} · {property}: {why}", row.op.name);
            }
        }
    }
    out
}
