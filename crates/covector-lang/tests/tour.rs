//! The page about the language says what is so.

mod markdown;

use std::collections::BTreeMap;
use std::path::Path;

use covector_lang::value::Value;
use covector_lang::{Checked, Program};
use markdown::{Case, compare, fault};

/// `Q: f32[B, T, d_k]` for every name at the end that is a tensor, in symbols.
fn shapes(checked: &Checked) -> String {
    let mut lines = String::new();
    for (name, value) in &checked.records[0].names {
        let at = |r: usize| checked.records[r].names.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let all: Vec<Value> = (0..checked.records.len()).filter_map(at).collect();
        let fit = |sizes: Vec<u64>| checked.runs.fit(&sizes).map_or("?".into(), |e| e.to_string());
        match value {
            Value::Tensor(x) => {
                let size = |v: &Value, a: usize| if let Value::Tensor(x) = v { x.shape()[a] as u64 } else { 0 };
                let axes: Vec<String> = (0..x.ndim()).map(|a| fit(all.iter().map(|v| size(v, a)).collect())).collect();
                lines += &format!("{name}: {}[{}]\n", x.dtype(), axes.join(", "));
            }
            // Symbols stand for themselves.
            Value::Int(_) => {
                let text = fit(all.iter().map(|v| v.as_int().unwrap_or(0) as u64).collect());
                if text != *name {
                    lines += &format!("{name} = {text}\n");
                }
            }
            _ => {}
        }
    }
    lines
}

fn shown(value: &Value) -> String {
    match value {
        Value::List(items) => items.iter().map(shown).collect(),
        Value::Tensor(x) => format!("{x}\n"),
        other => other.describe() + "\n",
    }
}

fn answer(case: &Case) -> String {
    let program = || Program::parse("tour.cv", &case.program).unwrap_or_else(|e| panic!("{e}"));
    match case.fact("Use") {
        Some("shapes") => shapes(&program().check(&case.numbers()).unwrap_or_else(|e| panic!("{e}"))),
        Some("value") => {
            let run = program().run(&BTreeMap::new(), &mut |leaf| Err(format!("{} has no value", leaf.name)));
            shown(&run.unwrap_or_else(|e| panic!("{e}")).last.expect("a value").0)
        }
        Some("error") => fault(case).expect("an error").render(false) + "\n",
        other => panic!("{}: Use: {other:?}", case.title),
    }
}

#[test]
fn the_tour_is_true() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/language.md");
    let wrong = compare(&page, answer);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
