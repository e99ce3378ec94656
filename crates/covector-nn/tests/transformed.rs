//! Layers under the transformations: batched as in a loop, compiled to the same bits, differentiated twice.

use covector::ops::random::normal;
use covector::{DType, Key, Tensor, Tree, compile, grad, hvp, value_and_grad, vmap};
use covector_nn::conv::ConvOptions;
use covector_nn::*;

type Case = (&'static str, Vec<usize>, Box<dyn Fn(&Tensor) -> Tensor>);

fn key(i: i64) -> Key {
    Key::new(0).fold_in(i)
}

fn causal() -> Attending {
    Attending { causal: true, ..Attending::default() }
}

/// Layers as functions of one input.
fn cases() -> Vec<Case> {
    let wide = |layer: fn(&Key) -> Linear| mixed::in_dtype(&layer(&key(0)), DType::F64);
    let linear = wide(|key| Linear::new(key, 4, 3, true));
    let padded = ConvOptions { padding: [1, 1], padding_mode: "reflect", stride: [2, 1], ..ConvOptions::default() };
    let conv = mixed::in_dtype(&Conv2d::new(&key(1), 2, 3, [3, 3], padded), DType::F64);
    let norm = mixed::in_dtype(&BatchNorm::new(3), DType::F64);
    let stats = mixed::in_dtype(&norm.start(), DType::F64);
    let rotary = Positions::Rotary(Rotary::default());
    let grouped = MultiheadAttention::grouped(&key(2), 8, 4, 2, true);
    let attention = [rotary, Positions::Alibi].map(|p| mixed::in_dtype(&grouped.clone().with(p), DType::F64));
    let [turned, slanted] = attention;
    let lstm = mixed::in_dtype(&LSTM::new(&key(3), 3, 2, 2, true, true), DType::F64);
    let gru = mixed::in_dtype(&GRU::new(&key(4), 3, 2, 1, true, false), DType::F64);
    vec![
        ("linear", vec![2, 4], Box::new(move |x| linear.forward(x))),
        ("conv", vec![2, 2, 4, 4], Box::new(move |x| conv.forward(x))),
        ("batch norm", vec![5, 3], Box::new(move |x| norm.train(x, &stats).0)),
        ("rotary", vec![1, 4, 8], Box::new(move |x| turned.attend(x, x, x, &causal()))),
        ("alibi", vec![1, 4, 8], Box::new(move |x| slanted.attend(x, x, x, &causal()))),
        ("lstm", vec![2, 5, 3], Box::new(move |x| lstm.forward(x, None, &Dropout::off()).0)),
        ("gru", vec![2, 5, 3], Box::new(move |x| gru.forward(x, None, &Dropout::off()).0)),
    ]
}

#[track_caller]
fn close(a: &Tensor, b: &Tensor, what: &str) {
    assert_eq!(a.shape(), b.shape(), "{what}");
    let most = (a - b).abs().max(..).item::<f64>();
    assert!(most < 1e-12, "{what}: {most}");
}

#[test]
fn batched_layers_are_a_loop_over_examples() {
    for (name, shape, f) in cases() {
        let all = normal(&key(9), [&[3], &shape[..]].concat(), DType::F64);
        let g = grad(|x: &Tensor| f(x).sin().sum(..));
        let (batched, slopes) = (vmap(|x: &Tensor| f(x))(&all), vmap(&g)(&all));
        for (i, x) in all.unbind(0).iter().enumerate() {
            close(&batched.unbind(0)[i], &f(x), name);
            close(&slopes.unbind(0)[i], &g(x), name);
        }
    }
}

#[test]
fn curvature_times_a_vector_is_the_difference_of_gradients() {
    for (name, shape, f) in cases() {
        let (x, v) = (normal(&key(10), &shape[..], DType::F64), normal(&key(11), &shape[..], DType::F64));
        let loss = |x: &Tensor| f(x).sin().sum(..);
        let g = grad(loss);
        let differences = (g(&(&x + &v * 1e-5)) - g(&(&x - &v * 1e-5))) / 2e-5;
        let curved = hvp(loss, &x, &v);
        let scale = curved.abs().max(..).item::<f64>();
        assert!((&curved - differences).abs().max(..).item::<f64>() < 1e-6 * (1.0 + scale), "{name}");
        assert!(scale > 0.0, "{name} is not flat");
    }
}

#[test]
fn compiled_gradients_have_the_same_bits() {
    let lstm = LSTM::new(&key(5), 3, 4, 2, true, true);
    let loss = |lstm: &LSTM, x: &Tensor| lstm.forward(x, None, &Dropout::off()).0.square().sum(..);
    let fast = compile(move |(lstm, x): &(LSTM, Tensor)| value_and_grad(|l: &LSTM| loss(l, x))(lstm));
    for seed in 0..3 {
        let x = normal(&key(20 + seed), [2, 6, 3], DType::F32);
        let (compiled, plain) = (fast(&(lstm.clone(), x.clone())), value_and_grad(|l: &LSTM| loss(l, &x))(&lstm));
        assert_eq!(compiled.0.item::<f32>(), plain.0.item::<f32>());
        for (a, b) in compiled.1.leaves().iter().zip(plain.1.leaves()) {
            assert_eq!(a.to_vec::<f32>(), b.to_vec::<f32>());
        }
    }
}
