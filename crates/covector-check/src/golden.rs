//! Golden figures: samples written out for reference implementations, and their answers read back.

use std::collections::HashMap;
use std::path::Path;

use covector::registry::{self, Arg};
use covector::{Array, DType, Tensor, vjp};
use serde_json::{Map, Value, json};

use crate::Verdict;
use crate::call::Call;
use crate::compare::{Tolerance, close};
use crate::derivatives::directions;

fn number(x: f64) -> Value {
    if x.is_nan() {
        return json!("nan");
    }
    if x.is_infinite() {
        return json!(if x > 0.0 { "inf" } else { "-inf" });
    }
    json!(x)
}

fn tensor(t: &Tensor) -> Value {
    let values = t.value();
    let data: Vec<Value> = if t.dtype().is_inexact() {
        // Of complex numbers the parts, one after the other.
        values.parts().to_f64_vec().into_iter().map(number).collect()
    } else {
        values.to_i64_vec().into_iter().map(|i| json!(i)).collect()
    };
    json!({"dtype": t.dtype().name(), "shape": t.shape().to_vec(), "data": data})
}

fn argument(arg: &Arg) -> Value {
    match arg {
        Arg::Tensor(t) => json!({"tensor": tensor(t)}),
        Arg::Tensors(list) => json!({"tensors": list.iter().map(tensor).collect::<Vec<_>>()}),
        Arg::Int(i) => json!({"int": i}),
        Arg::Float(x) => json!({"float": number(*x)}),
        Arg::Complex(z) => json!({"complex": [number(z.re), number(z.im)]}),
        Arg::Bool(b) => json!({"bool": b}),
        Arg::Ints(v) => json!({"ints": v}),
        Arg::Axes(a) => json!({"axes": {"axes": a.given(), "keepdims": a.keepdims}}),
        Arg::DType(d) => json!({"str": d.name()}),
        Arg::Str(s) => json!({"str": s}),
        Arg::None => json!({"none": null}),
    }
}

fn calls() -> impl Iterator<Item = (String, Call)> {
    registry::all().flat_map(|op| {
        let samples = (op.samples)().into_iter().enumerate();
        samples.map(move |(i, sample)| (format!("{}/{i}", op.name), Call { op, sample }))
    })
}

/// Every sample of the registry as JSON, one case a line: what the reference scripts read.
pub fn cases() -> String {
    let case = |(key, call): (String, Call)| {
        let names = call.op.params.iter().map(|p| p.name.to_owned());
        let args: Map<String, Value> = names.zip(call.sample.args.iter().map(argument)).collect();
        let results = call.with_tensors(&call.tensors()).unwrap_or_default();
        let floats: Vec<Tensor> = results.into_iter().filter(|y| y.dtype().is_inexact()).collect();
        let cotangents: Vec<Value> = directions(&floats, 0.5).iter().map(tensor).collect();
        let index: usize = key.rsplit('/').next().and_then(|i| i.parse().ok()).unwrap_or(0);
        json!({"op": call.op.name, "case": index, "args": args, "cotangents": cotangents}).to_string()
    };
    format!("[\n{}\n]\n", calls().map(case).collect::<Vec<_>>().join(",\n"))
}

/// The answers of the reference implementations, by "op/case".
pub struct Goldens(HashMap<String, Value>);

impl Goldens {
    /// Reads `values.json`.
    ///
    /// # Errors
    /// If the file cannot be read or is not the JSON the scripts write.
    pub fn load(path: &Path) -> Result<Goldens, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        serde_json::from_str(&text).map(Goldens).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Checks the results and gradients of one sample; `None` if there is no golden figure for it.
    pub(crate) fn check(&self, key: &str, call: &Call) -> Option<Verdict> {
        let golden = self.0.get(key)?;
        Some(values(golden, call).and_then(|()| gradients(golden, call)))
    }

    /// The library the figures of an op come from.
    pub fn source(&self, op: &str) -> Option<&str> {
        self.0.get(&format!("{op}/0"))?.get("source")?.as_str()
    }
}

fn parse(v: &Value) -> Option<Tensor> {
    let dtype = DType::from_name(v.get("dtype")?.as_str()?)?;
    let shape: Vec<usize> =
        v.get("shape")?.as_array()?.iter().map(|d| d.as_u64().map(|d| d as usize)).collect::<Option<_>>()?;
    let float = |x: &Value| match x.as_str() {
        Some(s) => s.parse().ok(),
        None => x.as_f64().or_else(|| x.as_bool().map(|b| f64::from(u8::from(b)))),
    };
    let data = v.get("data")?.as_array()?;
    if dtype.is_complex() {
        let values: Vec<f64> = data.iter().map(float).collect::<Option<_>>()?;
        let parts =
            Array::from_slice(&values, covector::Shape::from(shape).iter().copied().chain([2]).collect::<Vec<_>>());
        return Some(Tensor::from_array(parts.of_parts()).cast(dtype));
    }
    if dtype.is_float() {
        let values: Vec<f64> = data.iter().map(float).collect::<Option<_>>()?;
        return Some(Tensor::from_array(Array::from_slice(&values, shape)).cast(dtype));
    }
    let values: Vec<i64> =
        data.iter().map(|x| x.as_i64().or_else(|| x.as_bool().map(i64::from))).collect::<Option<_>>()?;
    Some(Tensor::from_array(Array::from_slice(&values, shape)).cast(dtype))
}

/// What differs between two correct f64 implementations.
const GOLDEN: Tolerance = Tolerance { relative: 1e-11, scale: 1e-2 };

fn values(golden: &Value, call: &Call) -> Verdict {
    let results = call.with_tensors(&call.tensors()).map_err(|e| e.to_string())?;
    let wanted = golden.get("outputs").and_then(Value::as_array).ok_or("no outputs in the golden file")?;
    if wanted.len() != results.len() {
        return Err(format!("{} results, {} golden ones", results.len(), wanted.len()));
    }
    results.iter().zip(wanted).try_for_each(|(y, v)| {
        let wanted = parse(v).ok_or_else(|| format!("unreadable golden tensor {v}"))?;
        close(y, &wanted, GOLDEN).map_err(|e| format!("value: {e}"))
    })
}

fn gradients(golden: &Value, call: &Call) -> Verdict {
    let Some(wanted) = golden.get("grads").and_then(Value::as_object).filter(|g| !g.is_empty()) else { return Ok(()) };
    let floats = call.floats();
    let (y, pullback) = vjp(|x: &Vec<Tensor>| call.on_floats(x), &floats);
    let mut found = pullback.call(&directions(&y, 0.5)).into_iter();
    for (param, arg) in call.op.params.iter().zip(&call.sample.args) {
        let tensors = match arg {
            Arg::Tensor(t) => std::slice::from_ref(t),
            Arg::Tensors(list) => &list[..],
            _ => continue,
        };
        let golden: Vec<Value> = match wanted.get(param.name) {
            Some(Value::Array(list)) => list.clone(),
            Some(one) => vec![one.clone()],
            None => Vec::new(),
        };
        let mut golden = golden.into_iter();
        for _ in tensors.iter().filter(|t| t.dtype().is_inexact()) {
            let got = found.next().expect("one gradient per float tensor");
            let Some(wanted) = golden.next().filter(|g| !g.is_null()) else { continue };
            let wanted = parse(&wanted).ok_or_else(|| format!("unreadable golden tensor {wanted}"))?;
            close(&got, &wanted, GOLDEN).map_err(|e| format!("gradient of {}: {e}", param.name))?;
        }
    }
    Ok(())
}
