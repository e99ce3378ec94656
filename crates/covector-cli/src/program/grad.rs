//! `covector grad`

use std::io::{Write, stdout};

use covector::ops::concat::concat;
use covector::{DType, Tensor, hessian, try_jvp};
use covector_lang::eval::{Leaf, Record};

use super::{Loaded, binding, eval};
use crate::Failure;
use crate::args::Grad;

/// The most numbers of which all second derivatives are shown.
const MOST_SECOND: usize = 64;

/// The largest relative error that finite differences may show.
const CLOSE: f64 = 1e-5;

pub fn run(options: &Grad) -> Result<(), Failure> {
    let loaded = options.source.load(options.seed)?;
    let found = loaded.program.gradient(&loaded.inputs, &options.wrt)?;
    covector::try_eval(found.gradients.iter().chain([&found.output]))?;
    let problem = Problem::new(&loaded, &found.leaves)?;
    let directional = match options.jvp.is_empty() {
        true => None,
        false => Some(problem.along(&options.jvp)?),
    };
    let second = if options.hessian { Some(problem.hessian()?) } else { None };
    let checked = if options.check { Some(problem.check(&found.gradients)?) } else { None };
    let mut out = stdout().lock();
    if options.json {
        let mut all = serde_json::Map::new();
        all.insert("value".into(), super::json(&found.output)?);
        let mut gradient = serde_json::Map::new();
        for (leaf, g) in found.leaves.iter().zip(&found.gradients) {
            gradient.insert(leaf.name.clone(), super::json(g)?);
        }
        all.insert("gradient".into(), gradient.into());
        if let Some(t) = &directional {
            all.insert("jvp".into(), super::json(t)?);
        }
        if let Some(h) = &second {
            all.insert("hessian".into(), serde_json::json!({ "of": problem.entries(), "values": super::json(h)? }));
        }
        if let Some(errors) = &checked {
            all.insert(
                "check".into(),
                serde_json::json!({ "largest_relative_error": errors.iter().copied().fold(0.0, f64::max) }),
            );
        }
        writeln!(out, "{:#}", serde_json::Value::Object(all))?;
    } else {
        let mut lines = vec![("y".to_owned(), found.output.clone())];
        for (leaf, g) in found.leaves.iter().zip(&found.gradients) {
            lines.push((format!("dy/d{}", leaf.name), g.clone()));
        }
        if let Some(t) = directional {
            lines.push(("dy along the direction".into(), t));
        }
        let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (i, (name, tensor)) in lines.iter().enumerate() {
            let value = eval::text(&covector_lang::value::Value::Tensor(tensor.clone()))?;
            let close = checked.as_ref().and_then(|errors| errors.get(i.checked_sub(1)?));
            let close = close.map_or(String::new(), |e| format!("   finite differences differ by {e:.1e}"));
            match value.contains('\n') {
                true => writeln!(out, "{name}{close}\n  {}", value.replace('\n', "\n  "))?,
                false => writeln!(out, "{name:width$}  {value}{close}")?,
            }
        }
        if let Some(h) = second {
            problem.show_hessian(&mut out, &h)?;
        }
    }
    match checked {
        Some(errors) if errors.iter().any(|e| e.is_nan() || *e >= CLOSE) => {
            Err(Failure::Outside("finite differences do not agree with the derivatives".into()))
        }
        _ => Ok(()),
    }
}

/// A program as a function of some of its leaves, at a point.
struct Problem<'a> {
    loaded: &'a Loaded,
    record: Record,
    leaves: &'a [Leaf],
    at: Vec<Tensor>,
}

impl<'a> Problem<'a> {
    fn new(loaded: &'a Loaded, leaves: &'a [Leaf]) -> Result<Self, Failure> {
        let record = loaded.program.evaluate(&loaded.inputs)?;
        let at =
            leaves.iter().map(|l| loaded.inputs.leaf(l)).collect::<Result<_, String>>().map_err(Failure::Outside)?;
        Ok(Problem { loaded, record, leaves, at })
    }

    fn value(&self, tensors: &[Tensor]) -> Tensor {
        let again =
            self.loaded.program.again(&self.record, self.leaves, tensors, &|leaf| self.loaded.inputs.leaf(leaf));
        let output = again.ok().and_then(|record| record.output());
        output.expect("it ran before, with tensors of the same shapes")
    }

    /// As a function of all numbers in one vector.
    fn of_vector(&self, v: &Tensor) -> Tensor {
        let mut start = 0i64;
        let piece = |x: &Tensor| {
            let end = start + x.size() as i64;
            let shape: Vec<i64> = x.shape().iter().map(|&n| n as i64).collect();
            let piece = v.i(start..end).reshape(shape).cast(x.dtype());
            start = end;
            piece
        };
        let tensors: Vec<Tensor> = self.at.iter().map(piece).collect();
        self.value(&tensors)
    }

    fn vector(&self) -> Result<Tensor, Failure> {
        let flat: Vec<Tensor> = self.at.iter().map(|x| x.reshape([-1]).cast(DType::F64)).collect();
        let all = concat(&flat, 0);
        all.try_value()?;
        Ok(all)
    }

    fn hessian(&self) -> Result<Tensor, Failure> {
        let n: usize = self.at.iter().map(Tensor::size).sum();
        if n > MOST_SECOND {
            return Err(Failure::Usage(format!(
                "the Hessian of {n} numbers has {} entries; --wrt chooses up to {MOST_SECOND} numbers",
                n * n
            )));
        }
        let h = hessian(|v: &Tensor| self.of_vector(v))(&self.vector()?);
        h.try_value()?;
        Ok(h)
    }

    /// The names of the single numbers: `x`, `w[0, 1]`.
    fn entries(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (leaf, x) in self.leaves.iter().zip(&self.at) {
            for i in 0..x.size() {
                let (mut rest, mut index) = (i, Vec::new());
                for &size in x.shape().iter().rev() {
                    index.push((rest % size).to_string());
                    rest /= size;
                }
                index.reverse();
                names.push(if x.ndim() == 0 {
                    leaf.name.clone()
                } else {
                    format!("{}[{}]", leaf.name, index.join(", "))
                });
            }
        }
        names
    }

    fn show_hessian(&self, out: &mut impl Write, h: &Tensor) -> Result<(), Failure> {
        let (names, values) = (self.entries(), h.value().to_f64_vec());
        let n = names.len();
        let cell = |x: f64| format!("{:.6}", x + 0.0).trim_end_matches('0').trim_end_matches('.').to_owned();
        let columns: Vec<(String, Vec<String>)> =
            (0..n).map(|j| (names[j].clone(), (0..n).map(|i| cell(values[i * n + j])).collect())).collect();
        let mut table: Vec<(&str, Vec<String>, bool)> = vec![("d²y", names.clone(), false)];
        table.extend(columns.iter().map(|(title, cells)| (title.as_str(), cells.clone(), true)));
        write!(out, "\n{}", covector_trace::table::aligned(&table))?;
        Ok(())
    }

    /// The derivative along a direction; what is not named does not move.
    fn along(&self, direction: &[String]) -> Result<Tensor, Failure> {
        let mut inputs = covector_lang::Inputs::default();
        for text in direction {
            let (name, value) = binding(text)?;
            if !self.leaves.iter().any(|l| l.name == name) {
                return Err(Failure::Usage(format!("`{name}` is not among the names of the gradient")));
            }
            inputs.set(name, value)?;
        }
        let zero = |x: &Tensor| covector::ops::create::zeros_like(x);
        let part = |(leaf, x): (&Leaf, &Tensor)| match inputs.tensors.contains_key(&leaf.name) {
            true => inputs.leaf(leaf).map_err(Failure::Outside),
            false => Ok(zero(x)),
        };
        let tangent = self.leaves.iter().zip(&self.at).map(part).collect::<Result<Vec<Tensor>, Failure>>()?;
        let (_, t) = try_jvp(|x: &Vec<Tensor>| self.value(x), &self.at, &tangent)?;
        t.try_value()?;
        Ok(t)
    }

    /// For each leaf the largest difference of central differences from the gradient, relative to the gradient's size.
    fn check(&self, gradients: &[Tensor]) -> Result<Vec<f64>, Failure> {
        let mut errors = Vec::new();
        for (k, (x, g)) in self.at.iter().zip(gradients).enumerate() {
            let (values, gradient) = (x.try_value()?.to_f64_vec(), g.try_value()?.to_f64_vec());
            let wide = x.dtype() == DType::F64;
            let mut worst: f64 = 0.0;
            for i in 0..values.len() {
                let step = if wide { 1e-6 } else { 1e-3 } * values[i].abs().max(1.0);
                let moved = |by: f64| -> Result<f64, Failure> {
                    let mut values = values.clone();
                    values[i] += by;
                    let mut tensors = self.at.clone();
                    tensors[k] = Tensor::from_slice(&values, x.shape().clone()).cast(x.dtype());
                    let y = self.value(&tensors);
                    y.try_value()?;
                    Ok(y.to_f64())
                };
                let slope = (moved(step)? - moved(-step)?) / (2.0 * step);
                let scale = gradient[i].abs().max(slope.abs()).max(1.0);
                worst = worst.max((slope - gradient[i]).abs() / scale);
            }
            errors.push(if wide { worst } else { worst * CLOSE / 1e-2 });
        }
        Ok(errors)
    }
}
