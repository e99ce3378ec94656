//! Seeded faults are named, and sane trainings are left in peace.

use covector::ops::create::zeros;
use covector::ops::loss::cross_entropy;
use covector::ops::random::{normal, randint};
use covector::{DType, Key, Tensor, Tree, value_and_grad};
use covector_nn::doctor::*;
use covector_nn::sequential::{Activation, Layer};
use covector_nn::{AdamW, BatchNorm, Dropout, Gpt, GptConfig, Linear, Optimizer, optim::SGD};

type Net = (Linear, Activation, Linear);

fn key(i: i64) -> Key {
    Key::new(11).fold_in(i)
}

/// Three clouds of points and which each is of.
fn clouds(seed: i64) -> (Tensor, Tensor) {
    let y = randint(&key(seed), [60], 0, 3);
    let centres = Tensor::from([[1.5f32, 0.0, 0.5, -1.0], [-1.0, 1.0, 0.0, 1.0], [0.0, -1.5, -0.5, 0.5]]);
    (centres.take(&y, 0) + normal(&key(seed + 1), [60, 4], DType::F32) * 0.5, y)
}

fn net(seed: i64, activation: Activation) -> Net {
    (Linear::new(&key(seed), 4, 32, true), activation, Linear::new(&key(seed + 1), 32, 3, true))
}

fn loss(net: &impl Layer<State = ((), (), ())>, x: &Tensor, y: &Tensor) -> Tensor {
    cross_entropy(&net.eval(x, &((), (), ())), y, None, None, 0.0, "mean")
}

fn adam() -> Optimizer {
    Optimizer::new(AdamW::default())
}

/// Everything that can be asked of a net before and during its first steps.
fn checkup(net: &Net, x: &Tensor, y: &Tensor, optimizer: &Optimizer, rate: f64) -> Vec<Finding> {
    let (first, g) = value_and_grad(|net: &Net| loss(net, x, y))(net);
    let (stepped, _) = optimizer.step(net, &g, &optimizer.start(net), rate);
    let hidden = net.1.of(&net.0.forward(x));
    let (batch, losses) = one_batch(net, optimizer, rate, 150, |net| loss(net, x, y)).unwrap();
    [
        inputs(x),
        labels(y, 3),
        leaks(x, y),
        initial_loss(first.to_f64(), 3),
        gradients(&g),
        updates(net, &stepped),
        activations("hidden", &hidden),
        mixes_examples(|x| net.eval(x, &((), (), ())), x),
        batch,
        curve(&losses, &[]),
    ]
    .concat()
}

#[test]
fn twenty_sane_trainings_are_left_in_peace() {
    for seed in 0..19 {
        let (x, y) = clouds(100 * seed);
        let activation = [Activation::Relu, Activation::Gelu, Activation::Tanh, Activation::Silu][seed as usize % 4];
        let found = checkup(&net(100 * seed + 50, activation), &x, &y, &adam(), 0.01);
        assert!(found.is_empty(), "{seed}: {found:?}");
        assert!(overlap(&x, &clouds(100 * seed + 7).0).is_empty());
    }
    let config = GptConfig { vocabulary: 11, block: 12, layers: 2, heads: 2, width: 16, bias: true };
    let gpt = Gpt::new(&key(0), &config);
    let tokens = randint(&key(1), [4, 13], 0, 11);
    let (x, y) = (tokens.split([12, 1], 1)[0].clone(), tokens.split([1, 12], 1)[1].clone());
    let (first, g) = value_and_grad(|gpt: &Gpt| gpt.loss(&x, &y, &Dropout::off()))(&gpt);
    let (stepped, _) = adam().step(&gpt, &g, &adam().start(&gpt), 1e-3);
    let ahead = sees_ahead(|x| gpt.forward(x, &Dropout::off()), &x.split([1, 3], 0)[0]);
    let mixed = mixes_examples(|x| gpt.forward(x, &Dropout::off()), &x);
    let (batch, _) = one_batch(&gpt, &adam(), 1e-2, 60, |gpt| gpt.loss(&x, &y, &Dropout::off())).unwrap();
    let found =
        [initial_loss(first.to_f64(), 11), gradients(&g), updates(&gpt, &stepped), ahead, mixed, batch].concat();
    assert!(found.is_empty(), "{found:?}");
}

#[track_caller]
fn names(found: &[Finding], wanted: &str) {
    assert!(found.iter().any(|f| f.name == wanted), "{wanted} in {found:?}");
}

/// The findings of a net in which something was changed.
fn changed(change: impl Fn(&mut Net, &mut Tensor, &mut Tensor), rate: f64) -> Vec<Finding> {
    let ((mut x, mut y), mut net) = (clouds(0), net(50, Activation::Relu));
    change(&mut net, &mut x, &mut y);
    checkup(&net, &x, &y, &adam(), rate)
}

#[test]
fn faults_of_data_are_named() {
    let holes = Tensor::from([[f32::NAN, 0.0, 0.0, 0.0]]);
    names(&inputs(&(clouds(0).0 + holes)), "inputs not finite");
    names(&changed(|_, x, _| *x = &*x * Tensor::from([1.0f32, 1.0, 1.0, 0.0]), 0.01), "constant features");
    names(&changed(|_, x, _| *x = &*x * Tensor::from([1.0f32, 1.0, 5000.0, 1.0]), 0.01), "not standardised");
    names(&changed(|_, x, _| *x = &*x + 100.0, 0.01), "not standardised");
    names(&labels(&(clouds(0).1 + 1), 3), "labels out of range");
    names(&changed(|_, _, y| *y = y.greater(5).cast(DType::I64), 0.01), "one class");
    let (x, y) = clouds(0);
    let given = covector::ops::concat::concat(&[x.clone(), y.cast(DType::F32).unsqueeze(1) * 7.0 - 3.0], 1);
    names(&leaks(&given, &y), "leaking feature");
    let held_out = covector::ops::concat::concat(&[clouds(5).0, x.split([10, 50], 0)[0].clone()], 0);
    names(&overlap(&x, &held_out), "overlap");
}

#[test]
fn faults_of_models_are_named() {
    names(&changed(|net, _, _| net.2.weight = &net.2.weight * 60.0, 0.01), "loss too high");
    names(&initial_loss(f64::NAN, 3), "loss not finite");
    let dead = |net: &mut Net, _: &mut Tensor, _: &mut Tensor| net.0.bias = Some(zeros([32], DType::F32) - 50.0);
    names(&changed(dead, 0.01), "dead units");
    names(&changed(dead, 0.01), "no gradient");
    let tanh = net(50, Activation::Tanh);
    let large = (&tanh.0.weight * 100.0, clouds(0).0);
    names(&activations("hidden", &large.1.matmul(&large.0.t()).tanh()), "saturated units");
    names(&activations("hidden", &(large.1 * 0.0 + 0.5)), "constant units");
    // A classifier that was trained before, or is told the answers.
    let (x, y) = clouds(0);
    let told = covector::ops::index::one_hot(&y, 3).cast(DType::F32) * 9.0;
    names(&initial_loss(cross_entropy(&told, &y, None, None, 0.0, "mean").to_f64(), 3), "loss too low");
    // A layer that is cut off.
    let (_, g) = value_and_grad(|net: &Net| {
        let hidden = net.0.forward(&x).stop_gradient().relu();
        cross_entropy(&net.2.forward(&hidden), &y, None, None, 0.0, "mean")
    })(&net(50, Activation::Relu));
    names(&gradients(&g), "no gradient");
    assert!(gradients(&g)[0].says.contains("`0.weight`, `0.bias`"));
    // Depth without norms.
    let deep = |gain: f64| -> Vec<Linear> {
        (0..20).map(|i| Linear { weight: Linear::new(&key(i), 16, 16, true).weight * gain, bias: None }).collect()
    };
    let through = |layers: &Vec<Linear>, f: fn(&Tensor) -> Tensor| {
        let x = normal(&key(99), [8, 16], DType::F32);
        layers.iter().fold(x, |x, layer| f(&layer.forward(&x))).square().mean(..)
    };
    let (_, g) = value_and_grad(|layers: &Vec<Linear>| through(layers, Tensor::sigmoid))(&deep(1.0));
    names(&gradients(&g), "vanishing gradients");
    let (_, g) = value_and_grad(|layers: &Vec<Linear>| through(layers, Tensor::clone))(&deep(4.0));
    names(&gradients(&g), "exploding gradients");
    let (_, g) = value_and_grad(|layers: &Vec<Linear>| through(layers, Tensor::exp))(&deep(4.0));
    names(&gradients(&g), "gradient not finite");
    // A norm over the wrong axis, a mask that is missing.
    let norm = BatchNorm::new(4);
    names(&mixes_examples(|x| norm.train(x, &norm.start()).0, &x), "mixes examples");
    let tokens = randint(&key(3), [1, 8], 0, 5);
    let embedded = |t: &Tensor| normal(&key(4), [5, 4], DType::F32).take(t, 0);
    let open = |t: &Tensor| embedded(t).scaled_dot_product_attention(&embedded(t), &embedded(t), None, false);
    let masked = |t: &Tensor| embedded(t).scaled_dot_product_attention(&embedded(t), &embedded(t), None, true);
    names(&sees_ahead(open, &tokens), "sees ahead");
    assert!(sees_ahead(masked, &tokens).is_empty());
}

#[test]
fn faults_of_rates_and_runs_are_named() {
    names(&changed(|_, _, _| {}, 1.0), "rate too large");
    names(&changed(|_, _, _| {}, 1e-8), "rate too small");
    names(&changed(|_, _, _| {}, 1e-8), "does not learn");
    let (x, y) = clouds(0);
    let sgd = Optimizer::new(SGD { momentum: 0.9, ..SGD::default() });
    names(&checkup(&net(50, Activation::Gelu), &x, &y, &sgd, 300.0), "diverges");
    // A softmax too many leaves the loss above ln(1 + 2/e).
    let twice = |net: &Net| cross_entropy(&net.eval(&x, &net.start()).softmax(1), &y, None, None, 0.0, "mean");
    names(&one_batch(&net(50, Activation::Gelu), &adam(), 0.01, 100, twice).unwrap().0, "does not learn");
    // A group without a rate.
    let still = adam().group(|path, _| path.starts_with("2."), SGD::default(), 0.0);
    names(&checkup(&net(50, Activation::Relu), &x, &y, &still, 0.01), "not moved");
    let run = |f: &dyn Fn(f64) -> f64| (0..60).map(|t| f(f64::from(t))).collect::<Vec<_>>();
    names(&curve(&run(&|t| 1.0 + t / 50.0), &[]), "rising loss");
    names(&curve(&run(&|t| 2.0 + 1e-4 * t.sin()), &[]), "flat loss");
    names(&curve(&run(&|t| if t > 40.0 { f64::INFINITY } else { 1.0 }), &[]), "loss not finite");
    names(&curve(&run(&|t| if t == 30.0 { 50.0 } else { 2.0 / (1.0 + t) }), &[]), "spikes");
    names(&curve(&run(&|t| 2.0 / (1.0 + t)), &[2.0, 1.5, 1.4, 1.6]), "overfits");
    assert!(curve(&run(&|t| 2.0 / (1.0 + t) + 0.1 * t.sin()), &[2.0, 1.5, 1.4, 1.45]).is_empty());
}

#[test]
fn checks_change_nothing() {
    let (net, (x, y)) = (net(50, Activation::Gelu), clouds(0));
    let before: Vec<Vec<f32>> = net.leaves().iter().map(Tensor::to_vec).collect();
    checkup(&net, &x, &y, &adam(), 0.01);
    assert_eq!(before, net.leaves().iter().map(Tensor::to_vec::<f32>).collect::<Vec<_>>());
}
