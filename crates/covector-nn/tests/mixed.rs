//! Mixed precision, accumulation, averages and running statistics in whole trainings.

use std::sync::Mutex;

use covector::ops::loss::{cross_entropy, mse_loss};
use covector::ops::random::{normal, randint};
use covector::{DType, Key, Tensor, Tree, live_bytes, live_nodes, try_eval, value_and_grad};
use covector_nn::mixed::{LossScale, in_dtype, keep};
use covector_nn::optim::{Accumulated, Lion, Muon, Optimizer, SGD, State, value_and_grad_with};
use covector_nn::schedule::{Cosine, Schedule, Warmup};
use covector_nn::sequential::{Activation, Flatten, Layer, Rate};
use covector_nn::{
    AdamW, BatchNorm, Conv2d, Embedding, GRU, Linear, conv::ConvOptions, data::Batches, file, pool::MaxPool2d,
};

/// One test counts nodes, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

type Mlp = (Linear, Activation, Linear);

fn mlp() -> Mlp {
    let key = Key::new(0);
    (Linear::new(&key.fold_in(0), 4, 16, true), Activation::Gelu, Linear::new(&key.fold_in(1), 16, 1, true))
}

fn data(seed: u64) -> (Tensor, Tensor) {
    let x = normal(&Key::new(seed), [32, 4], DType::F32);
    let y = (&x * Tensor::from([1.0f32, -2.0, 0.5, 0.0])).sum(1).unsqueeze(1).tanh();
    (x, y)
}

fn error(net: &Mlp, x: &Tensor, y: &Tensor) -> Tensor {
    let x = x.cast(net.0.weight.dtype());
    mse_loss(&net.eval(&x, &net.start()).cast(DType::F32), y, "mean")
}

fn evaluate(trees: &[Vec<Tensor>]) {
    try_eval(&trees.concat()).unwrap();
}

/// Trains in `dtype` with this scale; gives the last loss, the scale, and how many steps did not count.
fn train(dtype: DType, mut scale: LossScale, steps: usize) -> (f64, LossScale, usize) {
    let (mut net, adam) = (mlp(), Optimizer::new(AdamW { weight_decay: 0.0, ..AdamW::default() }));
    let (mut state, mut skipped): (State, usize) = (adam.start(&net), 0);
    let schedule = Warmup { steps: 10, start: 0.1, then: Cosine { rate: 0.05, floor: 0.001, steps } };
    let (x, y) = data(3);
    for step in 0..steps {
        let out = scale.value_and_grad(|net: &Mlp| error(net, &x, &y), &net, dtype).unwrap();
        assert_eq!(out.gradients.0.weight.dtype(), DType::F32);
        let (new, next) = adam.step(&net, &out.gradients, &state, schedule.at(step));
        (net, state) = (keep(&out.finite, &new, &net), keep(&out.finite, &next, &state));
        scale = scale.update(&out.finite);
        evaluate(&[net.leaves(), state.leaves(), scale.leaves(), vec![out.finite.clone(), out.loss.clone()]]);
        skipped += usize::from(!out.finite.item::<bool>());
    }
    assert_eq!(state.steps.item::<i64>() as usize + skipped, steps);
    (error(&net, &x, &y).to_f64(), scale, skipped)
}

#[test]
fn bf16_learns_about_what_f32_learns() {
    let _turn = TURN.lock().unwrap();
    let (plain, ..) = train(DType::F32, LossScale::none(), 120);
    let (half, scale, skipped) = train(DType::BF16, LossScale::none(), 120);
    assert!(plain < 0.02 && half < 0.03, "{plain} {half}");
    assert_eq!((scale.scale.item::<f32>(), skipped), (1.0, 0));
}

#[test]
fn scales_that_overflow_fall_until_steps_count_and_rise_again() {
    let _turn = TURN.lock().unwrap();
    let start = LossScale { scale: Tensor::from(2f32.powi(24)), interval: 40, ..LossScale::default() };
    let (loss, scale, skipped) = train(DType::F16, start, 120);
    assert!((5..20).contains(&skipped) && loss < 0.03, "{skipped} {loss}");
    assert!(scale.scale.item::<f32>() <= 2f32.powi(20));
    let small = LossScale { scale: Tensor::from(2.0f32), interval: 40, ..LossScale::default() };
    let (_, scale, skipped) = train(DType::F16, small, 120);
    assert_eq!((scale.scale.item::<f32>(), scale.steps.item::<i64>(), skipped), (16.0, 0, 0));
}

#[test]
fn scaled_losses_save_gradients_that_f16_would_lose() {
    let w = Tensor::from([1.0f32]);
    let tiny = |w: &Tensor| (w * 2.0).cast(DType::F32).sum(..) * 1e-8;
    let gradient = |scale: LossScale| scale.value_and_grad(tiny, &w, DType::F16).unwrap().gradients.item::<f32>();
    assert_eq!(gradient(LossScale::none()), 0.0);
    assert!((gradient(LossScale::default()) - 2e-8).abs() < 1e-11);
}

#[test]
fn scales_never_reach_infinity() {
    let mut scale = LossScale { scale: Tensor::from(2f32.powi(125)), interval: 1, ..LossScale::default() };
    for _ in 0..9 {
        scale = scale.update(&Tensor::from(true));
    }
    assert_eq!(scale.scale.item::<f32>(), 2f32.powi(127));
}

#[test]
fn accumulated_gradients_are_those_of_the_whole_batch() {
    let (x, y) = data(4);
    let net = in_dtype(&mlp(), DType::F64);
    let gradient = |x: &Tensor, y: &Tensor| {
        value_and_grad(|net: &Mlp| mse_loss(&net.eval(&x.cast(DType::F64), &net.start()), &y.cast(DType::F64), "mean"))(
            &net,
        )
        .1
    };
    let (xs, ys) = (x.chunk(4, 0), y.chunk(4, 0));
    let mut sum = Accumulated::of(gradient(&xs[0], &ys[0]));
    for i in 1..4 {
        sum = sum.and(&gradient(&xs[i], &ys[i]));
    }
    for (a, b) in sum.mean().leaves().iter().zip(gradient(&x, &y).leaves()) {
        assert!((a - b).abs().max(..).item::<f64>() < 1e-14);
    }
}

type Net = (Conv2d, BatchNorm, Activation, MaxPool2d, Flatten, Rate, Linear);

/// Which of three stripes a picture has: trained with dropout, running statistics and two optimisers.
#[test]
fn a_convolutional_net_learns_with_statistics_dropout_and_groups_in_flat_memory() {
    let _turn = TURN.lock().unwrap();
    let key = Key::new(5);
    let mut net: Net = (
        Conv2d::new(&key.fold_in(0), 1, 4, [3, 3], ConvOptions::default().same([3, 3])),
        BatchNorm::new(4),
        Activation::Relu,
        MaxPool2d::new([2, 2]),
        Flatten,
        Rate(0.2),
        Linear::new(&key.fold_in(1), 4 * 3 * 3, 3, true),
    );
    let (mut stats, optimizer) = (
        net.start(),
        Optimizer::new(Lion::default())
            .group(|path, _| path == "6.weight", Muon { weight_decay: 0.0, ..Muon::default() }, 10.0)
            .group(|path, _| path.ends_with("bias"), SGD { momentum: 0.9, ..SGD::default() }, 3.0),
    );
    let pictures = |key: &Key| {
        let y = randint(&key.fold_in(0), [24], 0, 3);
        let rows = Tensor::from((0..6i64).collect::<Vec<_>>()).floor_divide(2).reshape([1, 6, 1]);
        let stripe = rows.equal(y.reshape([24, 1, 1])).cast(DType::F32);
        ((stripe + normal(&key.fold_in(1), [24, 6, 6], DType::F32) * 0.3).unsqueeze(1), y)
    };
    let mut state = optimizer.start(&net);
    let mut flat = None;
    for step in 0..60 {
        let (x, y) = pictures(&key.fold_in(100 + step));
        let loss = |net: &Net| {
            let (logits, stats) = net.train(&x, &stats, &key.fold_in(1000 + step));
            (cross_entropy(&logits, &y, None, None, 0.0, "mean"), stats)
        };
        let (_, new_stats, gradients) = value_and_grad_with(loss, &net).unwrap();
        let (new, next) = optimizer.step(&net, &gradients, &state, 0.003);
        drop(gradients);
        (net, state, stats) = (new, next, new_stats);
        evaluate(&[net.leaves(), state.leaves(), stats.leaves()]);
        let now = (live_nodes(), live_bytes());
        match step {
            5 => flat = Some(now),
            6.. => assert_eq!(Some(now), flat, "at step {step}"),
            _ => {}
        }
    }
    let (x, y) = pictures(&key.fold_in(1));
    let right = net.eval(&x, &stats).argmax(1).equal(&y).cast(DType::F32).mean(..).item::<f32>();
    assert!(right > 0.9, "{right}");
    assert_eq!(stats.1.num_batches_tracked.item::<i64>(), 60);
}

#[test]
fn a_gated_network_learns_which_token_came_first() {
    let _turn = TURN.lock().unwrap();
    let key = Key::new(6);
    type Net = (Embedding, GRU, Linear);
    let mut net: Net = (
        Embedding::new(&key.fold_in(0), 3, 8),
        GRU::new(&key.fold_in(1), 8, 16, 1, true, false),
        Linear::new(&key.fold_in(2), 16, 3, true),
    );
    let predicted = |net: &Net, x: &Tensor| {
        let (_, state) = net.1.forward(&net.0.forward(x), None, &covector_nn::Dropout::off());
        net.2.forward(&state.h.squeeze(0))
    };
    let adam = Optimizer::new(AdamW::default());
    let mut state = adam.start(&net);
    let batch = |i: i64| {
        let x = randint(&key.fold_in(10 + i), [32, 8], 0, 3);
        (x.clone(), x.split([1, 7], 1)[0].squeeze(1))
    };
    for step in 0..80 {
        let (x, y) = batch(step);
        let loss = |net: &Net| cross_entropy(&predicted(net, &x), &y, None, None, 0.0, "mean");
        let (_, gradients) = value_and_grad(loss)(&net);
        (net, state) = adam.step(&net, &gradients, &state, 0.01);
        evaluate(&[net.leaves(), state.leaves()]);
    }
    let (x, y) = batch(1000);
    let right = predicted(&net, &x).argmax(1).equal(&y).cast(DType::F32).mean(..).item::<f32>();
    assert!(right > 0.9, "{right}");
}

/// Everything a run of the network below is made of.
#[derive(Clone, Tree)]
struct Run {
    net: (Linear, BatchNorm, Activation, Rate, Linear),
    statistics: ((), covector_nn::RunningStats, (), (), ()),
    optimizer: State,
    scale: LossScale,
    average: (Linear, BatchNorm, Activation, Rate, Linear),
}

impl Run {
    fn new() -> Self {
        let key = Key::new(20);
        let (first, last) = (Linear::new(&key.fold_in(0), 4, 16, true), Linear::new(&key.fold_in(1), 16, 1, true));
        let net = (first, BatchNorm::new(16), Activation::Relu, Rate(0.2), last);
        let (statistics, optimizer) = (net.start(), Self::rules().start(&net));
        let scale = LossScale { interval: 7, ..LossScale::default() };
        Run { average: net.clone(), net, statistics, optimizer, scale }
    }

    fn rules() -> Optimizer {
        Optimizer::new(Muon::default()).group(|_, p| p.ndim() < 2, AdamW::default(), 0.5)
    }

    /// A step whose batch, rate and dropout are functions of its number alone.
    fn step(&self, step: usize) -> Run {
        let (x, y) = data(7);
        let chosen = Batches::new(32, 8, Key::new(21)).at(step);
        let (x, y) = (x.take(&chosen, 0), y.take(&chosen, 0));
        let loss = |net: &(Linear, BatchNorm, Activation, Rate, Linear)| {
            let key = Key::new(22).fold_in(step as i64);
            let (out, statistics) = net.train(&x.cast(DType::BF16), &self.statistics, &key);
            (mse_loss(&out.cast(DType::F32), &y, "mean"), statistics)
        };
        let out = self.scale.value_and_grad_with(loss, &self.net, DType::BF16).unwrap();
        let rate = Warmup { steps: 5, start: 0.1, then: Cosine { rate: 0.02, floor: 0.0, steps: 60 } }.at(step);
        let (net, optimizer) = Self::rules().step(&self.net, &out.gradients, &self.optimizer, rate);
        let run = Run {
            net: keep(&out.finite, &net, &self.net),
            optimizer: keep(&out.finite, &optimizer, &self.optimizer),
            statistics: keep(&out.finite, &out.more, &self.statistics),
            scale: self.scale.update(&out.finite),
            average: covector_nn::Ema { decay: 0.9 }.update(&self.average, &net),
        };
        evaluate(&[run.leaves()]);
        run
    }
}

#[test]
fn a_run_saved_in_the_middle_goes_on_to_the_same_bits() {
    let _turn = TURN.lock().unwrap();
    let path = std::env::temp_dir().join(format!("covector-nn-run-{}.safetensors", std::process::id()));
    let whole = (0..30).fold(Run::new(), |run, step| run.step(step));
    let half = (0..13).fold(Run::new(), |run, step| run.step(step));
    file::save(&path, &half, &Default::default()).unwrap();
    drop(half);
    let loaded = file::load(&path).unwrap().fill(&Run::new()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let resumed = (13..30).fold(loaded, |run, step| run.step(step));
    for ((path, a), b) in whole.named().iter().zip(resumed.leaves()) {
        assert_eq!(a.value().to_bytes(), b.value().to_bytes(), "{path}");
    }
    assert_eq!(whole.optimizer.steps.item::<i64>(), 30);
}

#[test]
fn what_was_tied_stays_tied_in_another_dtype() {
    let w = Tensor::from([1.0f32]);
    let low = in_dtype(&(w.clone(), w), DType::BF16);
    assert_eq!(low.0.id(), low.1.id());
}
