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
    (foreseen, peak_bytes(|| eval(targets.iter().copied())) - before)
}

#[test]
fn the_peak_is_that_of_the_run() {
    let _alone = alone();
    // Passes, copies and views: kernels that need no memory of their own.
    let x = numbers(&[40, 30, 50], 0.1);
    let turned = x.tanh().permute_dims([1, 0, 2]).reshape([1200, 50]) * 2.0;
    let ratio = turned.exp() / (turned.square() + 1.0);
    let y = ratio.softmax(-1).flip(0).reshape([-1]).maximum(0.1);
    let (foreseen, measured) = peaks(&[&turned, &y]);
    assert_eq!(foreseen, measured);
    assert!(foreseen > 3 * 60000 * 4, "{foreseen}");
}

#[test]
fn convolutions_and_attention_count_their_products() {
    let _alone = alone();
    let flops = |y: &Tensor, kernel: &str| -> Vec<u64> {
        explain([y]).steps.iter().filter(|step| step.kernel == kernel).map(|step| step.flops).collect()
    };
    let (x, w) = (numbers(&[2, 3, 8, 8], 0.1), numbers(&[4, 3, 3, 3], 0.2));
    let y = |w: &Tensor| x.conv2d(w, None, 1, 1, 1, 1);
    // 2 · 4 · 64 sums of 3 · 9 products, whichever of the three arrays is asked for.
    assert_eq!(flops(&y(&w), "conv"), [2 * 512 * 27]);
    assert_eq!(flops(&grad(|w: &Tensor| y(w).square().sum(..))(&w), "conv_weight"), [2 * 512 * 27]);
    let (q, k, v) = (numbers(&[2, 5, 3], 0.1), numbers(&[2, 7, 3], 0.2), numbers(&[2, 7, 4], 0.3));
    // For each query and key 3 + 4 multiply-adds and the four steps of a softmax; a division for each result.
    let whole = q.scaled_dot_product_attention(&k, &v, None, false);
    assert_eq!(flops(&whole, "attention"), [2 * (5 * 7 * (2 * 3 + 2 * 4 + 4) + 5 * 4)]);
    let causal = q.scaled_dot_product_attention(&k, &v, None, true);
    assert_eq!(flops(&causal, "attention"), [2 * (15 * (2 * 3 + 2 * 4 + 4) + 5 * 4)]);
    let gradient = grad(|q: &Tensor| q.scaled_dot_product_attention(&k, &v, None, false).sum(..))(&q);
    assert_eq!(flops(&gradient, "attention_backward"), [2 * 5 * 7 * (6 * 3 + 4 * 4 + 7)]);
    // Three parts side by side: heads of one feature, as far as the order goes.
    let packed = numbers(&[4, 6], 0.1).self_attention(2, None, true);
    assert_eq!(flops(&packed, "attention"), [2 * (10 * (2 + 2 + 4) + 4)]);
}

#[test]
fn a_product_that_comes_out_as_it_is_read_can_be_written_over() {
    let _alone = alone();
    // The gradient of a weight that is used transposed is seen transposed itself; what is scaled goes over it.
    let (x, w) = (numbers(&[64, 40], 0.3), numbers(&[30, 40], 0.2));
    let (_, gradient) = value_and_grad(|w: &Tensor| x.matmul(&w.t()).sum(..))(&w);
    let step = &w - gradient * 0.5;
    let plan = explain([&step]);
    let last = plan.steps.last().unwrap();
    assert!(matches!(last.results[0].place, Place::Over(_)), "{plan:#}");
    // One block for gradient and result, and the result lies where the gradient did.
    assert_eq!(plan.peak, plan.steps.iter().map(|step| step.live).max().unwrap());
    assert!(plan.peak < 2 * 30 * 40 * 4, "{plan:#}");
}

#[test]
fn the_peak_of_a_network_is_that_of_the_run_but_for_what_kernels_need() {
    let _alone = alone();
    let (x, y) = (numbers(&[640, 20], 0.3), labels(640, 10));
    let (value, (w1, b1, w2, b2)) = value_and_grad(|model: &Mlp| loss(&x, &y, model))(&mlp(20, 300, 10));
    let of_mlp = peaks(&[&value, &w1, &b1, &w2, &b2]);
    let (x, w) = (numbers(&[16, 64, 64], 0.1), numbers(&[64, 192], 0.2));
    let (value, grad) = value_and_grad(|w: &Tensor| attention(&x, w).square().mean(..))(&w);
    let of_attention = peaks(&[&value, &grad]);
    for (foreseen, measured) in [of_mlp, of_attention] {
        assert!((foreseen..=foreseen + foreseen / 10).contains(&measured), "{foreseen} foreseen, {measured} measured");
    }
}

/// What was alive each time a [`Probe`] ran.
static PROBED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// An identity that looks at memory, forward and backward.
#[derive(Debug, Hash)]
struct Probe;

impl Probe {
    fn of(x: &Tensor) -> Tensor {
        Tensor::apply(Probe, [x.clone()]).expect("an identity takes anything")
    }
}

impl Primitive for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(x[0].clone())
    }
    fn run(&self, mut x: kernels::Inputs, _: &Spec) -> Result<Array> {
        PROBED.lock().unwrap().push(live_bytes());
        Ok(x.swap_remove(0))
    }
    fn cost(&self, _: &[&Spec], _: &Spec) -> Cost {
        Cost::nothing()
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Ok(Probe::of(&x[0]))
    }
}

impl Differentiable for Probe {
    fn jvp(&self, _: &[Tensor], _: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        Probe::of(t[0].as_ref().unwrap())
    }
    fn vjp(&self, _: &[Tensor], _: &Tensor, cotangent: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![Some(Probe::of(cotangent))]
    }
}

#[test]
fn what_is_alive_after_a_step_is_what_the_plan_says() {
    let _alone = alone();
    let x = numbers(&[32, 48], 0.3);
    let layer = |x: &Tensor, w: &Tensor| Probe::of(&Probe::of(&x.matmul(w)).tanh());
    let f = |(a, b): &(Tensor, Tensor)| layer(&layer(&x, a), b).softmax(-1).square().sum(..);
    let parameters = (numbers(&[48, 64], 0.1), numbers(&[64, 56], 0.2));
    let (y, (a, b)) = value_and_grad(f)(&parameters);
    let plan = explain([&y, &a, &b]);
    let probes = (1..plan.steps.len()).filter(|&i| plan.steps[i].kernel == "probe");
    let foreseen: Vec<usize> = probes.map(|i| plan.steps[i - 1].live).collect();
    PROBED.lock().unwrap().clear();
    let before = live_bytes();
    eval([&y, &a, &b]);
    let measured: Vec<usize> = PROBED.lock().unwrap().iter().map(|bytes| bytes - before).collect();
    assert_eq!(foreseen, measured);
    assert_eq!(foreseen.len(), 8);
}

/// Ops whose kernels need memory of their own, which plans do not foresee, and how much they may need here.
const SCRATCH: [(&[&str], usize); 3] = [
    (
        &[
            "sum",
            "prod",
            "any",
            "all",
            "argmax",
            "argmin",
            "matmul",
            "dot",
            "tensordot",
            "einsum",
            "index",
            "argsort",
            "topk",
        ],
        1024,
    ),
    // Matrices and lines as the kernels for one of them read and write them.
    (
        &[
            "svd",
            "solve",
            "triangular_solve",
            "cholesky_solve",
            "inv",
            "matrix_power",
            "cond",
            "qr",
            "lstsq",
            "fft",
            "ifft",
            "fftn",
            "ifftn",
            "rfft",
            "irfft",
            "rfftn",
            "irfftn",
            "hfft",
            "ihfft",
        ],
        1024,
    ),
    // Whole register tiles: of planes and windows, or of scores.
    (
        &[
            "conv1d",
            "conv2d",
            "conv3d",
            "conv_transpose1d",
            "conv_transpose2d",
            "conv_transpose3d",
            "self_attention",
            "scaled_dot_product_attention",
        ],
        8192,
    ),
];

/// What some need on top for complex numbers: a factor spread to twice its parts, and the tiles of the real product; the places
/// of both parts of an element.
const COMPLEX_SCRATCH: [(&str, usize); 2] = [("matmul", 4096), ("scatter_add", 128)];

/// The most memory of its own that an op may need for a sample.
fn scratch(op: &str, args: &[Arg]) -> usize {
    let real = SCRATCH.iter().find(|(ops, _)| ops.contains(&op)).map_or(0, |&(_, most)| most);
    let more = COMPLEX_SCRATCH.iter().find(|(known, _)| *known == op).map_or(0, |&(_, most)| most);
    if args.iter().any(is_complex) { real.max(more) } else { real }
}

fn is_complex(arg: &Arg) -> bool {
    holds(arg, DType::is_complex)
}

fn is_float(arg: &Arg) -> bool {
    holds(arg, DType::is_float)
}

fn holds(arg: &Arg, kind: fn(DType) -> bool) -> bool {
    match arg {
        Arg::Tensor(t) => kind(t.dtype()),
        Arg::Tensors(list) => list.iter().any(|t| kind(t.dtype())),
        _ => false,
    }
}

#[test]
fn every_op_can_be_explained() {
    let _alone = alone();
    let mut odd = Vec::new();
    for op in registry::all() {
        for sample in (op.samples)() {
            let fresh = |arg: &Arg| match arg {
                Arg::Tensor(t) if t.dtype().is_float() => Arg::Tensor(t + 0.0),
                other => other.clone(),
            };
            let Ok(results) = op.apply(sample.args.iter().map(fresh).collect()) else { continue };
            let (foreseen, measured) = peaks(&results.iter().collect::<Vec<_>>());
            let fits = (foreseen..=foreseen + scratch(op.name, &sample.args)).contains(&measured);
            if !fits {
                odd.push(format!("{}: {foreseen} foreseen, {measured} measured", op.name));
            }
        }
    }
    assert!(odd.is_empty(), "{odd:#?}");
}

#[test]
fn arithmetic_and_traffic_are_those_of_the_primitives() {
    let _alone = alone();
    let (x, w) = (numbers(&[6, 5], 0.1), numbers(&[5, 7], 0.2));
    let step = |y: &Tensor, kernel: &str| {
        let plan = y.explain();
        let step = plan.steps.iter().find(|step| step.kernel == kernel).unwrap_or_else(|| panic!("{plan:#}"));
        (step.flops, step.read, step.written)
    };
    assert_eq!(step(&x.matmul(&w), "matmul"), (2 * 6 * 5 * 7, 4 * (30 + 35), 4 * 42));
    assert_eq!(step(&x.sum(0), "sum"), (30, 120, 20));
    assert_eq!(step(&x.tanh(), "tanh"), (30, 120, 120));
    // A repeated row is read once.
    assert_eq!(step(&(&x + w.i((0, ..5))), "add"), (30, 120 + 20, 120));
    assert_eq!(step(&x.transpose(0, 1).reshape([30]), "reshape"), (0, 120, 120));
    assert_eq!(step(&ops::concat::concat(&[x.clone(), x.clone()], 0), "concat"), (0, 240, 240));
    let rows = w.take(&Tensor::from([3i64, 3]), 0);
    assert_eq!(step(&rows, "take"), (0, 16 + 56, 56));
}

/// Ops that move elements and compute none; what they read and write is counted.
#[rustfmt::skip]
const MOVES: [&str; 44] = [
    "full", "zeros", "ones", "full_like", "zeros_like", "ones_like", "meshgrid", "stop_gradient", "fftshift", "ifftshift", "reshape",
    "permute_dims", "transpose", "broadcast_to", "flip", "squeeze", "expand_dims", "matrix_transpose", "flatten", "moveaxis",
    "slice", "split", "chunk", "unbind", "diagonal", "concat", "stack", "roll", "tile",
    "repeat", "take", "take_along_axis", "scatter_set", "index_set", "put", "masked_select", "embedding", "nonzero",
    "unique_values", "repeat_each",
    "unfold", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
];

#[test]
fn nothing_is_counted_as_zero_by_omission() {
    let _alone = alone();
    let mut idle = Vec::new();
    for op in registry::all() {
        // Where floats and complex numbers meet, a cast computes, not the op.
        let mixed = |args: &[Arg]| args.iter().any(is_complex) && args.iter().any(is_float);
        let computes = (op.samples)().into_iter().filter(|sample| !mixed(&sample.args)).any(|sample| {
            let Ok(results) = op.apply(sample.args) else { return false };
            explain(&results).flops() > 0
        });
        if !computes {
            idle.push(op.name);
        }
    }
    assert_eq!(idle, MOVES);
}

#[test]
fn what_costs_less_than_a_read_is_computed_again_with_the_same_bits() {
    let _alone = alone();
    let shape = [16usize, 4, 32, 32];
    let (x, g) = (numbers(&shape, 0.3), numbers(&shape, 0.7));
    let normed = |(x, weight): &(Tensor, Tensor)| {
        let (mean, variance) = (x.mean([0, 2, 3]), x.var([0, 2, 3], 0.0));
        (x.batch_norm(&mean, &variance, Some(weight), None, 1e-5) * &g).sum(..)
    };
    let run = |plain: bool| {
        let (y, (dx, dw)) = value_and_grad(normed)(&(x.clone(), numbers(&[4], 0.5)));
        let plan = explain([&y, &dx, &dw]);
        let targets = [&y, &dx, &dw];
        if plain {
            try_eval_stepwise(targets).unwrap()
        } else {
            eval(targets)
        }
        (plan, targets.map(|t| t.value().to_bytes()))
    };
    let ((plan, passes), (_, steps)) = (run(false), run(true));
    assert!(passes == steps, "the bits differ");
    // Deviations from the mean and slopes are seen by several passes, and written by none: only the gradient of x is.
    let bytes = x.size() as u64 * 4;
    assert!(plan.written() < bytes + 4096, "{plan}");
    assert!(plan.peak < 2 * x.size() * 4, "{plan}");
    // Both arrays in one pass for the loss and the sums of all channels, and in one for the gradient; x for its mean and its variance.
    assert!(plan.read() < 6 * bytes + 8192, "{plan}");
}

#[test]
fn rows_of_any_length_are_one_pass_if_there_are_many() {
    let _alone = alone();
    for (rows, row) in [(300, 10), (16, 8193), (16, 50_257), (3, 50_257)] {
        let x = numbers(&[rows, row], 0.3);
        let run = |plain: bool| {
            let y = x.softmax(1);
            let dx = grad(|x: &Tensor| x.layer_norm(1, None, None, 1e-5).sin().sum(..))(&x);
            let plans = [explain([&y]), explain([&dx])];
            if plain {
                try_eval_stepwise([&y, &dx]).unwrap()
            } else {
                eval([&y, &dx])
            }
            (plans, [y, dx].map(|t| t.value().to_bytes()))
        };
        let ((plans, passes), (_, steps)) = (run(false), run(true));
        assert!(passes == steps, "the bits differ: {rows} x {row}");
        let bytes = x.size() as u64 * 4;
        for plan in plans {
            // A few rows are cut into pieces that threads share: fold after fold.
            assert_eq!(plan.read() < bytes + 4096, rows > 3, "{plan}");
        }
    }
}

#[test]
fn a_sum_written_down_twice_is_computed_once() {
    let _alone = alone();
    let x = numbers(&[16, 4, 32, 32], 0.3);
    let bytes = x.size() as u64 * 4;
    let run = |plain: bool| {
        let (a, b) = (x.mean([0, 2, 3]), x.var([0, 2, 3], 1.0));
        let y = a + b;
        let plan = explain([&y]);
        if plain {
            try_eval_stepwise([&y]).unwrap();
        } else {
            eval([&y]);
        }
        (plan, y.value().to_bytes())
    };
    let ((plan, passes), (_, steps)) = (run(false), run(true));
    assert!(passes == steps, "the bits differ");
    assert!(plan.read() < 2 * bytes + 4096, "{plan}");
    // Somebody holds both sums here: each has its value.
    let (a, b) = (x.sum([0, 2, 3]), x.sum([0, 2, 3]));
    let y = &a * &b;
    eval([&y]);
    assert!(a.is_evaluated() && b.is_evaluated());
    assert_eq!(a.value().to_bytes(), b.value().to_bytes());
}

#[test]
fn a_number_written_down_for_each_parameter_is_computed_once() {
    let _alone = alone();
    let (rate, step) = (numbers(&[], 0.3), numbers(&[], 0.7).abs());
    eval([&step]);
    let weights = [numbers(&[40, 30], 0.1), numbers(&[50, 20], 0.2), numbers(&[30], 0.4)];
    let plan = |many: usize| {
        let moved: Vec<Tensor> = weights[..many].iter().map(|w| w - w * (step.sqrt() * &rate)).collect();
        let plan = explain(&moved);
        eval(&moved);
        moved.iter().zip(&weights).for_each(|(a, w)| {
            let plain = w - w * (step.sqrt() * &rate);
            try_eval_stepwise([&plain]).unwrap();
            assert_eq!(a.value().to_bytes(), plain.value().to_bytes());
        });
        plan.steps.iter().filter(|step| step.kernel.contains("sqrt")).count()
    };
    assert_eq!([1, 2, 3].map(plan), [1, 1, 1]);
}

#[test]
fn what_repeats_along_rows_has_the_bits_of_whole_arrays() {
    let _alone = alone();
    // Passes without folds: rows of 256 and more, sources of as many axes or fewer, two lengths of rows, rows that are none.
    let shapes: [&[usize]; 5] = [&[6, 5, 16, 16], &[3, 4, 512], &[4, 3, 300], &[2, 2, 2, 128], &[70, 256]];
    for shape in shapes {
        let (x, n) = (numbers(shape, 0.3), shape.len());
        let ones = |kept: &[usize]| -> Vec<usize> {
            (0..n).map(|axis| if kept.contains(&axis) { shape[axis] } else { 1 }).collect()
        };
        let (channels, outer) = (ones(&[1]), ones(&[0]));
        let (a, b) = (numbers(&channels[1..], 0.5), numbers(&outer, 0.7));
        let both = if n > 2 { numbers(&ones(&[0, 1]), 0.9) } else { numbers(&outer, 0.9) };
        let y = || (&x * if n > 2 { &a } else { &b } - &both).tanh() * &b + &x;
        let (planned, plain) = (y(), y());
        eval([&planned]);
        try_eval_stepwise([&plain]).unwrap();
        assert_eq!(planned.value().to_bytes(), plain.value().to_bytes(), "{shape:?}");
    }
}

#[test]
fn the_gradient_of_a_variance_is_one_pass_and_its_derivative_is_whole() {
    let _alone = alone();
    let x = numbers(&[16, 4, 32, 32], 0.3);
    let bytes = x.size() as u64 * 4;
    let var = |x: &Tensor| x.var([0, 2, 3], 0.0).sum(..);
    // x for the mean and for the gradient, from which no sum leads back to the mean.
    let plan = grad(var)(&x).explain();
    assert!(plan.read() < 2 * bytes + 4096 && plan.written() < bytes + 4096, "{plan}");
    // The Hessian of a variance is 2 (1 - 1/n) / n on the diagonal and -2 / n² beside it.
    let n = 5.0f64;
    let short = Tensor::from([0.3f64, -1.0, 2.0, 0.7, 5.0]);
    let of_five = |x: &Tensor| x.var(.., 0.0);
    let whole = hessian(of_five)(&short).to_vec::<f64>();
    for (k, h) in whole.iter().enumerate() {
        let expected = if k % 6 == 0 { 2.0 * (1.0 - 1.0 / n) / n } else { -2.0 / (n * n) };
        assert!((h - expected).abs() < 1e-15, "{k}: {h} instead of {expected}");
    }
    let (_, along) = jvp(of_five, &short, &Tensor::from([1.0f64, 0.0, 0.0, 0.0, 0.0]));
    assert!((along.item::<f64>() - grad(of_five)(&short).to_vec::<f64>()[0]).abs() < 1e-15);
}
