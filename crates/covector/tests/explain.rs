//! Plans as tables: what they say of memory is what happens, and every op can be explained.

use std::sync::{Mutex, MutexGuard};

use covector::registry::{self, Arg};
use covector::*;

/// The counters of memory belong to the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|e| e.into_inner())
}

/// Numbers that differ, between -1 and 1.
fn numbers(shape: &[usize], salt: f64) -> Tensor {
    let n = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..n).map(|i| ((i as f64 + 1.0) * 1.7 + salt).sin() as f32).collect();
    Tensor::from_slice(&values, shape)
}

type Mlp = (Tensor, Tensor, Tensor, Tensor);

fn mlp(inputs: usize, hidden: usize, outputs: usize) -> Mlp {
    let layer = |n: usize, m: usize, salt: f64| (numbers(&[n, m], salt), numbers(&[m], salt + 0.5));
    let ((w1, b1), (w2, b2)) = (layer(inputs, hidden, 0.1), layer(hidden, outputs, 0.2));
    (w1, b1, w2, b2)
}

fn loss(x: &Tensor, labels: &Tensor, (w1, b1, w2, b2): &Mlp) -> Tensor {
    let hidden = (x.matmul(w1) + b1).relu();
    ops::loss::cross_entropy(&(hidden.matmul(w2) + b2), labels, None, None, 0.0, "mean")
}

fn labels(n: usize, classes: usize) -> Tensor {
    Tensor::from((0..n).map(|i| (i * 7 % classes) as i64).collect::<Vec<_>>())
}

/// Causal self-attention of two heads: reshapes that copy, masks, softmax.
fn attention(x: &Tensor, w: &Tensor) -> Tensor {
    let (batch, time, width) = (x.shape()[0] as i64, x.shape()[1] as i64, x.shape()[2] as i64);
    let all = x.matmul(w).reshape([batch, time, 3, 2, width / 2]).permute_dims([2, 0, 3, 1, 4]);
    let [q, k, v] = [0, 1, 2].map(|i| all.i(i));
    let scores = q.matmul(&k.transpose(-1, -2)) * 0.3;
    let y = scores.softmax(-1).matmul(&v);
    y.permute_dims([0, 2, 1, 3]).reshape([batch, time, width])
}

#[test]
fn the_plan_of_a_loss_with_gradients_is_a_table() {
    let _alone = alone();
    let (x, y) = (numbers(&[64, 20], 0.3), labels(64, 10));
    let (loss, (w1, b1, w2, b2)) = value_and_grad(|model: &Mlp| loss(&x, &y, model))(&mlp(20, 300, 10));
    insta::assert_snapshot!(explain([&loss, &w1, &b1, &w2, &b2]));
    assert!(!loss.is_evaluated());
}

#[test]
fn nothing_to_do_is_an_empty_plan() {
    let _alone = alone();
    let plan = numbers(&[3], 0.0).explain();
    assert_eq!((plan.steps.len(), plan.flops(), plan.peak), (0, 0, 0));
}

/// What a plan says its values take at most, and what was alive at most while it ran.
fn peaks(targets: &[&Tensor]) -> (usize, usize) {
    let foreseen = explain(targets.iter().copied()).peak;
    let before = live_bytes();
    peak_bytes();
    eval(targets.iter().copied());
    (foreseen, peak_bytes() - before)
}

#[test]
fn the_peak_is_that_of_the_run() {
    let _alone = alone();
    let (x, y) = (numbers(&[640, 20], 0.3), labels(640, 10));
    let (value, (w1, b1, w2, b2)) = value_and_grad(|model: &Mlp| loss(&x, &y, model))(&mlp(20, 300, 10));
    let (a, b) = peaks(&[&value, &w1, &b1, &w2, &b2]);
    println!("{a} {b}");

    let (x, w) = (numbers(&[8, 32, 64], 0.1), numbers(&[64, 192], 0.2));
    let (value, grad) = value_and_grad(|w: &Tensor| attention(&x, w).square().mean(..))(&w);
    println!("{}", explain([&value, &grad]));
    let (a, b) = peaks(&[&value, &grad]);
    println!("{a} {b}");
    panic!();
}

#[test]
fn every_op_can_be_explained() {
    let _alone = alone();
    for op in registry::all() {
        for sample in (op.samples)() {
            let fresh = |arg: &Arg| match arg {
                Arg::Tensor(t) if t.dtype().is_float() => Arg::Tensor(t + 0.0),
                other => other.clone(),
            };
            let Ok(results) = op.apply(sample.args.iter().map(fresh).collect()) else { continue };
            let (foreseen, measured) = peaks(&results.iter().collect::<Vec<_>>());
            if foreseen != measured { println!("{}: {foreseen} {measured}", op.name); }
        }
    }
    panic!();
}
