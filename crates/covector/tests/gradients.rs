//! Derivatives of reductions, scans, orders, norms and losses: both modes against central differences, to second order,
//! and batched against a loop.

use covector::registry::{self, Arg, OpDef};
use covector::*;

const FAMILIES: [&str; 6] = ["reduce", "stats", "scan", "order", "norm", "loss"];

/// An op at one of its samples, as a function of its float tensors.
struct Case {
    op: &'static OpDef,
    args: Vec<Arg>,
    inputs: Vec<Tensor>,
}

impl Case {
    fn all() -> impl Iterator<Item = Case> {
        registry::all().filter(|op| FAMILIES.contains(&op.family())).flat_map(|op| {
            (op.samples)().into_iter().map(move |sample| {
                let inputs = sample.args.iter().filter_map(float).cloned().collect();
                Case { op, args: sample.args, inputs }
            })
        })
    }

    /// The float results, as one vector.
    fn call(&self, inputs: &[Tensor]) -> Tensor {
        let mut inputs = inputs.iter();
        let place = |arg: &Arg| match float(arg) {
            Some(_) => Arg::Tensor(inputs.next().expect("one for each").clone()),
            None => arg.clone(),
        };
        let results = self.op.apply(self.args.iter().map(place).collect()).unwrap_or_else(|e| e.raise());
        let floats = results.into_iter().filter(|y| y.dtype().is_float());
        floats.map(|y| y.reshape([-1])).next().expect("a float result")
    }

    /// A number that depends on every result, to take gradients of.
    fn weighed(&self, inputs: &[Tensor]) -> Tensor {
        let y = self.call(inputs);
        (&y * direction(y.size(), 0.3)).sum(..)
    }

    fn differentiable(&self) -> bool {
        self.op.note("derivative").is_none() && self.inputs.iter().any(|x| x.size() > 0)
    }
}

fn float(arg: &Arg) -> Option<&Tensor> {
    match arg {
        Arg::Tensor(t) if t.dtype().is_float() => Some(t),
        _ => None,
    }
}

/// Numbers of either sign and different sizes.
fn direction(n: usize, salt: f64) -> Tensor {
    Tensor::from((0..n).map(|i| ((i as f64 + 1.0) * 1.7 + salt).sin()).collect::<Vec<f64>>())
}

fn directions(like: &[Tensor], salt: f64) -> Vec<Tensor> {
    let one = |(i, x): (usize, &Tensor)| direction(x.size(), salt + i as f64).reshape(x.shape());
    like.iter().enumerate().map(one).collect()
}

fn moved(x: &[Tensor], t: &[Tensor], by: f64) -> Vec<Tensor> {
    x.iter().zip(t).map(|(x, t)| x + t * by).collect()
}

fn slope(f: impl Fn(&[Tensor]) -> Tensor, x: &[Tensor], t: &[Tensor]) -> Vec<f64> {
    let h = 1e-5;
    let (a, b) = (f(&moved(x, t, h)).to_vec::<f64>(), f(&moved(x, t, -h)).to_vec::<f64>());
    a.iter().zip(&b).map(|(a, b)| (a - b) / (2.0 * h)).collect()
}

#[track_caller]
fn close(what: &str, case: &Case, a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len(), "{what} of {} at {:?}", case.op.name, case.args);
    for (a, b) in a.iter().zip(b) {
        let off = (a - b).abs();
        assert!(off <= 1e-6 * (1.0 + b.abs()), "{what} of {}: {a} against {b} at {:?}", case.op.name, case.args);
    }
}

fn inner(a: &[Tensor], b: &[Tensor]) -> Tensor {
    a.iter().zip(b).map(|(a, b)| (a * b).sum(..)).reduce(|a, b| a + b).expect("one at least")
}

#[test]
fn tangents_and_cotangents_agree_with_central_differences() {
    for case in Case::all().filter(Case::differentiable) {
        let t = directions(&case.inputs, 0.9);
        let (_, dy) = jvp(|x: &Vec<Tensor>| case.call(x), &case.inputs, &t);
        close("jvp", &case, &dy.to_vec::<f64>(), &slope(|x| case.call(x), &case.inputs, &t));
        let g = grad(|x: &Vec<Tensor>| case.weighed(x))(&case.inputs);
        let along = [inner(&g, &t).item::<f64>()];
        close("vjp", &case, &along, &slope(|x| case.weighed(x), &case.inputs, &t));
    }
}

#[test]
fn second_derivatives_agree_with_central_differences() {
    for case in Case::all().filter(Case::differentiable) {
        let (t, u) = (directions(&case.inputs, 0.9), directions(&case.inputs, 0.2));
        let first = |x: &Vec<Tensor>| inner(&grad(|x: &Vec<Tensor>| case.weighed(x))(x), &t);
        let differences = slope(|x| first(&x.to_vec()), &case.inputs, &u);
        let (_, forward) = jvp(first, &case.inputs, &u);
        close("forward over reverse", &case, &[forward.item()], &differences);
        let reverse = inner(&grad(first)(&case.inputs), &u);
        close("reverse over reverse", &case, &[reverse.item()], &differences);
        let tangent = |x: &Vec<Tensor>| jvp(|x: &Vec<Tensor>| case.weighed(x), x, &t).1;
        let reverse = inner(&grad(tangent)(&case.inputs), &u);
        close("reverse over forward", &case, &[reverse.item()], &differences);
        let (_, forward) = jvp(tangent, &case.inputs, &u);
        close("forward over forward", &case, &[forward.item()], &differences);
    }
}

#[test]
fn batches_equal_a_loop() {
    for case in Case::all() {
        let tensors: Vec<Tensor> = case.args.iter().filter_map(tensor).cloned().collect();
        let examples = [0, 1, 2].map(|i| tensors.iter().map(|x| example(x, i)).collect::<Vec<_>>());
        let call = |x: &Vec<Tensor>| {
            let mut inputs = x.iter();
            let place = |arg: &Arg| tensor(arg).map_or(arg.clone(), |_| Arg::Tensor(inputs.next().unwrap().clone()));
            case.op.apply(case.args.iter().map(place).collect()).unwrap_or_else(|e| e.raise())
        };
        let looped: Vec<Vec<Tensor>> = examples.iter().map(call).collect();
        for mixed in 0..2 {
            // All operands batched, and then all but the first.
            let own = |k: usize| mixed == 0 || k > 0;
            if mixed == 1 && tensors.len() < 2 {
                continue;
            }
            let all = (0..tensors.len()).map(|k| if own(k) { stacked(&examples, k) } else { examples[0][k].clone() });
            let axes: Vec<Option<Axis>> = (0..tensors.len()).map(|k| own(k).then_some(Axis(0))).collect();
            let batched = vmap_with(call, axes, 0)(&all.collect());
            for (i, example) in examples.iter().enumerate() {
                let shared: Vec<Tensor> = (0..tensors.len())
                    .map(|k| if own(k) { example[k].clone() } else { examples[0][k].clone() })
                    .collect();
                let alone = if mixed == 0 { looped[i].clone() } else { call(&shared) };
                for (y, alone) in batched.iter().zip(&alone) {
                    let y = y.take(&Tensor::from(i as i64), 0).value().parts().to_f64_vec();
                    let alone = alone.value().parts().to_f64_vec();
                    let same = y.len() == alone.len() && y.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "vmap of {}: {y:?} against {alone:?} at {:?}", case.op.name, case.args);
                }
            }
        }
    }
}

fn tensor(arg: &Arg) -> Option<&Tensor> {
    match arg {
        Arg::Tensor(t) => Some(t),
        _ => None,
    }
}

/// Another example of the same kind: floats scaled, so that signs and zeros stay; others as they are.
fn example(x: &Tensor, i: usize) -> Tensor {
    if x.dtype().is_float() { x * (1.0 - 0.125 * i as f64) } else { x.clone() }
}

fn stacked(examples: &[Vec<Tensor>], k: usize) -> Tensor {
    let rows: Vec<Tensor> = examples.iter().map(|e| e[k].clone()).collect();
    ops::concat::stack(&rows, 0)
}
