//! The scalar engine: the lesson's figures, micrograd's, a training run step by step, drawings, and tensors taken apart.

use std::path::Path;

use covector::scalar::{Tape, Value, explode, try_explode};
use covector::*;
use serde_json::Value as Json;

fn golden(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../goldens").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(json: &Json) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[track_caller]
fn assert_near(got: f64, wanted: f64, relative: f64, what: &str) {
    assert!((got - wanted).abs() <= relative * wanted.abs(), "{what}: {got:e} instead of {wanted:e}");
}

/// y, dy/dx, dy/dw, dy/db of `tanh(x w + b)` at 2, -3, 0.5.
const LESSON: [f64; 4] = [-0.9999665971563038, -0.0002004137149276275, 0.000133609143285085, 6.68045716425425e-05];

#[test]
fn the_lesson_gives_the_same_bits_forward_backward_and_along_directions() {
    let tape = Tape::new();
    let (x, w, b) = (tape.named("x", 2.0), tape.named("w", -3.0), tape.named("b", 0.5));
    let y = (x * w + b).tanh();
    let grads = y.backward();
    assert_eq!([y.data(), grads.of(x), grads.of(w), grads.of(b)], LESSON);
    for (v, wanted) in [x, w, b].into_iter().zip(&LESSON[1..]) {
        assert_eq!(y.jvp(&[(v, 1.0)]), *wanted);
        assert_eq!(y.gradients(&[v])[0].data(), *wanted);
    }
}

#[test]
fn backward_twice_gives_the_same_and_changes_nothing() {
    let tape = Tape::new();
    let x = tape.value(1.5);
    let y = (x * x + 1.0).log() * x;
    let first = y.backward().of(x);
    let len = tape.len();
    assert_eq!((y.backward().of(x), tape.len()), (first, len));
    // From the middle of the tape, too.
    let middle = x * x;
    let _later = middle * 2.0;
    assert_eq!(middle.backward().of(x), 3.0);
}

#[test]
fn the_sample_expression_of_micrograd_has_its_figures() {
    let record = golden("micrograd.json");
    let figures = |key: &str| record["figures"][key].as_f64().unwrap();
    let tape = Tape::new();
    let (a, b) = (tape.value(record["a"].as_f64().unwrap()), tape.value(record["b"].as_f64().unwrap()));
    let mut c = a + b;
    let mut d = a * b + b.pow(3.0);
    c = c + (c + 1.0);
    c = c + (1.0 + c + -a);
    d = d + (d * 2.0 + (b + a).relu());
    d = d + (3.0 * d + (b - a).relu());
    let e = c - d;
    let f = e.pow(2.0);
    let g = f / 2.0 + 10.0 / f;
    let grads = g.backward();
    assert_near(g.data(), figures("g"), 1e-15, "g");
    assert_near(grads.of(a), figures("dg/da"), 1e-14, "dg/da");
    assert_near(grads.of(b), figures("dg/db"), 1e-14, "dg/db");
    let rounded = [format!("{g:.4}"), format!("{:.4}", grads.of(a)), format!("{:.4}", grads.of(b))];
    assert_eq!(rounded, ["24.7041", "138.8338", "645.5773"]);
}

/// The "moons" run: its data, its first weights, and what came of it.
struct Moons {
    points: Vec<Vec<f64>>,
    labels: Vec<f64>,
    sizes: Vec<usize>,
    alpha: f64,
    parameters: Vec<f64>,
    losses: Vec<f64>,
    accuracies: Vec<f64>,
    last: Vec<f64>,
}

impl Moons {
    fn load() -> Moons {
        let run = golden("moons.json");
        Moons {
            points: run["x"].as_array().unwrap().iter().map(numbers).collect(),
            labels: numbers(&run["y"]),
            sizes: numbers(&run["sizes"]).into_iter().map(|n| n as usize).collect(),
            alpha: run["alpha"].as_f64().unwrap(),
            parameters: numbers(&run["parameters"]),
            losses: numbers(&run["losses"]),
            accuracies: numbers(&run["accuracies"]),
            last: numbers(&run["last_parameters"]),
        }
    }

    /// Trains with `step`, which gives loss, gradients and scores, and checks every loss to `relative`.
    fn train(&self, relative: f64, mut step: impl FnMut(&Moons, &[f64]) -> (f64, Vec<f64>, Vec<f64>)) {
        assert_eq!((self.parameters.len(), self.losses.len()), (337, 100));
        let mut parameters = self.parameters.clone();
        for k in 0..self.losses.len() {
            let (loss, grads, scores) = step(self, &parameters);
            assert_near(loss, self.losses[k], relative, &format!("loss of step {k}"));
            let right = scores.iter().zip(&self.labels).filter(|(s, y)| (**s > 0.0) == (**y > 0.0)).count();
            assert_eq!(right as f64 / self.labels.len() as f64, self.accuracies[k], "accuracy of step {k}");
            let rate = 1.0 - 0.9 * k as f64 / 100.0;
            parameters.iter_mut().zip(grads).for_each(|(p, g)| *p -= rate * g);
        }
        assert_eq!(self.accuracies[99], 1.0);
        for (got, wanted) in parameters.iter().zip(&self.last) {
            assert!((got - wanted).abs() <= relative.sqrt(), "{got} instead of {wanted}");
        }
    }

    /// The score of a point: neurons add their products to their bias, one after the other.
    fn score<'t>(&self, parameters: &[Value<'t>], point: &[f64]) -> Value<'t> {
        let mut signals: Vec<Value<'t>> = point.iter().map(|&x| Value::from(x)).collect();
        let mut rest = parameters;
        for (layer, &width) in self.sizes[1..].iter().enumerate() {
            let last = layer + 2 == self.sizes.len();
            let neuron = |_| {
                let (weights, after) = rest.split_at(signals.len());
                let (bias, after) = after.split_first().unwrap();
                rest = after;
                let sum = weights.iter().zip(&signals).fold(*bias, |sum, (w, s)| sum + *w * *s);
                if last { sum } else { sum.relu() }
            };
            signals = (0..width).map(neuron).collect();
        }
        signals[0]
    }

    /// The parameters of each layer as a matrix of weights and a vector of biases.
    fn layers(&self, parameters: &Tensor) -> Vec<(Tensor, Tensor)> {
        let mut start = 0;
        let layer = |pair: &[usize]| {
            let (n, m) = (pair[0], pair[1]);
            let all = parameters.slice([start], [start + m * (n + 1)], [1]).reshape([m as i64, n as i64 + 1]);
            start += m * (n + 1);
            (all.slice([0, 0], [m, n], [1, 1]), all.slice([0, n], [m, n + 1], [1, 1]).reshape([m as i64]))
        };
        self.sizes.windows(2).map(layer).collect()
    }
}

#[test]
fn the_moons_run_is_reproduced_step_by_step() {
    let mut tape = Tape::new();
    Moons::load().train(1e-13, |run, parameters| {
        tape.clear();
        let p: Vec<Value> = parameters.iter().map(|&p| tape.value(p)).collect();
        let scores: Vec<Value> = run.points.iter().map(|point| run.score(&p, point)).collect();
        let data: Value = run.labels.iter().zip(&scores).map(|(&y, s)| (1.0 + -y * *s).relu()).sum();
        let penalty: Value = p.iter().map(|p| *p * *p).sum();
        let loss = data * (1.0 / run.labels.len() as f64) + run.alpha * penalty;
        let grads = loss.backward();
        (loss.data(), p.iter().map(|p| grads.of(*p)).collect(), scores.iter().map(|s| s.data()).collect())
    });
}

#[test]
fn the_moons_run_by_tensors_is_the_same() {
    Moons::load().train(1e-10, |run, parameters| {
        let points = Tensor::from_slice(&run.points.concat(), [run.points.len(), 2]);
        let labels = Tensor::from(run.labels.clone());
        let scores = |p: &Tensor| {
            let layers = run.layers(p);
            let (last, hidden) = layers.split_last().unwrap();
            let apply = |x: &Tensor, (w, b): &(Tensor, Tensor)| x.matmul(&w.transpose(0, 1)) + b;
            let inner = hidden.iter().fold(points.clone(), |x, layer| apply(&x, layer).relu());
            apply(&inner, last).reshape([-1])
        };
        let loss = |p: &Tensor| (1.0 - &labels * scores(p)).relu().mean(..) + p.square().sum(..) * run.alpha;
        let p = Tensor::from(parameters.to_vec());
        let (loss, grads) = value_and_grad(loss)(&p);
        (loss.to_f64(), grads.to_vec(), scores(&p).to_vec())
    });
}

#[test]
fn a_million_entries_are_differentiated_on_a_small_stack() {
    let work = || {
        let tape = Tape::new();
        let x = tape.value(0.5);
        let mut y = x;
        for _ in 0..1_000_000 {
            y = y + 1e-6 * x;
        }
        assert_eq!(tape.len(), 2_000_001);
        assert_near(y.backward().of(x), 2.0, 1e-10, "reverse");
        assert_near(y.jvp(&[(x, 1.0)]), 2.0, 1e-10, "forward");
        assert_near(y.gradients(&[x])[0].data(), 2.0, 1e-10, "recorded");
    };
    std::thread::Builder::new().stack_size(128 << 10).spawn(work).unwrap().join().unwrap();
}

#[test]
fn derivatives_of_any_order_are_values_again() {
    let tape = Tape::new();
    let x = tape.value(0.7);
    let mut y = x.sin() * x.exp();
    // Four derivatives of sin(x) e^x make -4 of it.
    let start = y.data();
    for _ in 0..4 {
        y = y.gradients(&[x])[0];
    }
    assert_near(y.data(), -4.0 * start, 1e-14, "fourth derivative");
    assert_near(y.jvp(&[(x, 1.0)]), -4.0 * (x.sin() + x.cos()).data() * x.exp().data(), 1e-14, "fifth");
    let cube = x * x * x;
    let sixth = (0..6).fold(cube, |y, _| y.gradients(&[x])[0]);
    assert_eq!(sixth.data(), 0.0);
}

#[test]
fn nothing_flows_to_what_was_not_chosen_not_even_beside_infinity() {
    let tape = Tape::new();
    let (x, z) = (tape.value(-1.0), tape.value(2.0));
    let chosen = x.greater(0.0).where_(x, z * z);
    assert_eq!(format!("{chosen:?}"), "where(#2, #0, #3) = 4");
    for y in [x.relu(), chosen, x.maximum(z), x.sign()] {
        assert_eq!((y * f64::INFINITY).backward().of(x), 0.0, "{y:?}");
    }
    assert_eq!((chosen.backward().of(z), chosen.jvp(&[(z, 1.0)])), (4.0, 4.0));
    assert_eq!(chosen.gradients(&[z])[0].gradients(&[z])[0].data(), 2.0);
}

#[test]
fn numbers_that_are_on_no_tape_are_not_recorded() {
    let tape = Tape::new();
    let x = tape.value(2.0);
    let constant = Value::from(3.0) * 4.0 + 1.0;
    assert_eq!((constant.data(), tape.len()), (13.0, 1));
    let y = x * constant;
    assert_eq!((y.backward().of(x), y.backward().of(constant)), (13.0, 0.0));
}

#[test]
#[should_panic(expected = "multiply: the operands are on two tapes")]
fn two_tapes_do_not_mix() {
    let (a, b) = (Tape::new(), Tape::new());
    let _ = a.value(1.0) * b.value(2.0);
}

#[test]
fn a_value_shows_its_number_and_its_origin() {
    let tape = Tape::new();
    let (x, w) = (tape.named("x", 2.0), tape.value(-3.0));
    let y = (x * w + 0.5).tanh();
    assert_eq!(format!("{y:.3} {y}"), "-1.000 -0.9999665971563038");
    assert_eq!(format!("{x:?}, {w:?}, {y:?}"), "x = 2, #1 = -3, tanh(#3) = -0.9999665971563038");
    assert_eq!(format!("{:?}", x.maximum(0.5)), "maximum(x, 0.5) = 2");
}

#[test]
fn the_lesson_is_drawn() {
    let tape = Tape::new();
    let (x, w, b) = (tape.named("x", 2.0), tape.named("w", -3.0), tape.named("b", 0.5));
    let _unused = tape.named("unused", 1.0);
    let drawing = (x * w + b).tanh().mermaid();
    insta::assert_snapshot!(drawing, @r##"
    flowchart LR
        n0["x<br>data 2<br>grad -0.000200414"]
        n1["w<br>data -3<br>grad 0.000133609"]
        n2["b<br>data 0.5<br>grad 6.68046e-5"]
        n4["multiply<br>data -6<br>grad 6.68046e-5"]
        n5["add<br>data -5.5<br>grad 6.68046e-5"]
        n6["tanh<br>data -0.999967<br>grad 1"]
        n0 --> n4
        n1 --> n4
        n4 -.->|"-0.000200414"| n0
        n4 -.->|"0.000133609"| n1
        n4 --> n5
        n2 --> n5
        n5 -.->|"6.68046e-5"| n4
        n5 -.->|"6.68046e-5"| n2
        n5 --> n6
        n6 -.->|"6.68046e-5"| n5
    "##);
    let quoted = (tape.named("<\"a\">", 1e-9) + 2.0).mermaid();
    assert!(!quoted.contains("<\"a\">"), "names are escaped: {quoted}");
    assert_eq!(Value::from(1234567.0).mermaid(), "flowchart LR\n    n0([\"1.23457e6\"])\n");
}

/// A tape with a leaf for every element.
fn elements<'t>(tape: &'t Tape, x: &Tensor) -> Vec<Value<'t>> {
    x.to_vec::<f64>().into_iter().map(|x| tape.value(x)).collect()
}

#[test]
fn a_tensor_program_taken_apart_is_the_same_program() {
    let x = Tensor::from([[0.5f64, -1.0], [2.0, 0.25], [1.5, -0.75]]);
    let w = Tensor::from([[0.1f64, 0.2, -0.3], [0.4, -0.5, 0.6]]);
    let b = Tensor::from([0.01f64, -0.02, 0.03]);
    let f = |(x, w, b): &(Tensor, Tensor, Tensor)| {
        let h = (x.matmul(w) + b).tanh();
        let picked = h.flip(0).transpose(0, 1).slice([0, 1], [3, 3], [2, 1]);
        (picked.square().sum(keep(1)) / h.exp().sum(..).log()).mean(..)
    };
    let (y, grads) = value_and_grad(f)(&(x.clone(), w.clone(), b.clone()));
    let marked = (x.requires_grad(), w.requires_grad(), b.requires_grad());
    let tape = Tape::new();
    let (xs, ws, bs) = (elements(&tape, &x), elements(&tape, &w), elements(&tape, &b));
    let parts = explode(&f(&marked), &[(&marked.0, &xs), (&marked.1, &ws), (&marked.2, &bs)]);
    assert_eq!(parts.len(), 1);
    assert_near(parts[0].data(), y.to_f64(), 1e-14, "value");
    let found = parts[0].backward();
    for (values, wanted) in [(&xs, grads.0), (&ws, grads.1), (&bs, grads.2)] {
        for (v, wanted) in values.iter().zip(wanted.to_vec::<f64>()) {
            assert!((found.of(*v) - wanted).abs() < 1e-14, "{} instead of {wanted}", found.of(*v));
        }
    }
}

#[test]
fn a_cut_stays_cut_when_taken_apart() {
    let x = Tensor::from([3.0f64]).requires_grad();
    let tape = Tape::new();
    let v = tape.value(3.0);
    let y = explode(&(&x * x.stop_gradient()), &[(&x, &[v])]);
    assert_eq!((y[0].data(), y[0].backward().of(v)), (9.0, 3.0));
}

#[test]
fn what_cannot_be_taken_apart_is_named() {
    let x = Tensor::from([3.0f64, 1.0]);
    let tape = Tape::new();
    let v = [tape.value(3.0), tape.value(1.0)];
    let error = |y: &Tensor| try_explode(y, &[(&x, &v)]).unwrap_err().to_string();
    let sorted = error(&(x.cumsum(0) * 2.0));
    assert!(sorted.starts_with("cumsum: `") && sorted.contains("scalar.rs"), "{sorted}");
    let y = x.tanh();
    let _ = y.to_vec::<f64>();
    let forgotten = error(&(y * 2.0));
    assert!(forgotten.contains("has forgotten what it was made from"), "{forgotten}");
    let few = try_explode(&x.tanh(), &[(&x, &v[..1])]).unwrap_err().to_string();
    assert_eq!(few, "explode: 1 values for the leaf f64[2]");
}
