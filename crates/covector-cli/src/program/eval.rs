//! `covector eval`

use std::io::{Write, stdout};

use covector_lang::value::Value;

use crate::Failure;
use crate::args::Eval;

pub fn run(options: &Eval) -> Result<(), Failure> {
    let loaded = options.source.load(options.seed)?;
    let record = loaded.program.evaluate(&loaded.inputs)?;
    let mut out = stdout().lock();
    if options.all {
        let named = record.names.iter().filter(|(_, v)| !matches!(v, Value::Function(_)));
        let mut all = serde_json::Map::new();
        for (name, value) in named {
            match options.json {
                true => {
                    all.insert(name.clone(), json(value)?);
                }
                false => writeln!(out, "{name} = {}", text(value)?)?,
            }
        }
        if options.json {
            writeln!(out, "{:#}", serde_json::Value::Object(all))?;
        }
        return Ok(());
    }
    let Some((value, _)) = &record.last else {
        return Err(Failure::Outside("the program computes nothing".into()));
    };
    match options.json {
        true => writeln!(out, "{}", json(value)?)?,
        false => writeln!(out, "{}", text(value)?)?,
    }
    Ok(())
}

/// A value as it is printed.
pub fn text(value: &Value) -> Result<String, Failure> {
    Ok(match value {
        Value::Tensor(t) if t.ndim() == 0 && t.dtype().is_float() => {
            t.try_value()?;
            number(t.to_f64(), t.dtype() == covector::DType::F64)
        }
        Value::Tensor(t) => {
            t.try_value()?;
            t.to_string()
        }
        Value::Int(i) => i.value.to_string(),
        Value::Float(x) => number(*x, true),
        Value::List(items) => {
            let items = items.iter().map(text).collect::<Result<Vec<String>, Failure>>()?;
            let several = items.iter().any(|i| i.contains('\n'));
            if several { items.join("\n") } else { format!("({})", items.join(", ")) }
        }
        other => other.describe(),
    })
}

/// A number with as many digits as tell it from its neighbours.
pub fn number(x: f64, wide: bool) -> String {
    if wide { format!("{x}") } else { format!("{}", x as f32) }
}

fn json(value: &Value) -> Result<serde_json::Value, Failure> {
    Ok(match value {
        Value::Tensor(t) => super::json(t)?,
        Value::Int(i) => serde_json::json!(i.value),
        Value::Float(x) => serde_json::json!(x),
        Value::Bool(b) => serde_json::json!(b),
        Value::Str(s) => serde_json::json!(&**s),
        Value::List(items) => items.iter().map(json).collect::<Result<Vec<_>, Failure>>()?.into(),
        _ => serde_json::Value::Null,
    })
}
