//! Initial weights have the distributions they say, and dropout in attention is told by its key.

use covector::ops::random::normal;
use covector::{DType, Key, Tensor, Tree};
use covector_nn::conv::{ConvOptions, ConvTranspose1d};
use covector_nn::init::*;
use covector_nn::*;

/// Mean, standard deviation and the largest magnitude.
fn moments(x: &Tensor) -> [f64; 3] {
    [x.mean(..), x.std(.., 0.0), x.abs().max(..)].map(|t| f64::from(t.item::<f32>()))
}

#[track_caller]
fn looks(x: &Tensor, std: f64, bound: Option<f64>) {
    let [mean, got, most] = moments(x);
    // Four standard errors of mean and deviation.
    let slack = 4.0 * std / (x.size() as f64).sqrt();
    assert!(mean.abs() < slack && (got - std).abs() < slack, "{mean} {got} for {std}");
    if let Some(bound) = bound {
        assert!(most <= bound && most > 0.95 * bound, "{most} for {bound}");
    }
}

#[test]
fn initialisers_have_their_deviations_and_bounds() {
    let key = Key::new(0);
    let root3 = 3f64.sqrt();
    let uniform = |x: &Tensor, std: f64| looks(x, std, Some(std * root3));
    // Fan in 60 · 9, fan out 40 · 9.
    let shape = [40, 60, 3, 3];
    uniform(&xavier_uniform(&key, shape, 2.0), 2.0 * (2.0 / 900.0f64).sqrt());
    looks(&xavier_normal(&key, shape, 2.0), 2.0 * (2.0 / 900.0f64).sqrt(), None);
    uniform(&kaiming_uniform(&key, shape, gain("relu", None), Fan::In), (2.0 / 540.0f64).sqrt());
    uniform(
        &kaiming_uniform(&key, shape, gain("leaky_relu", Some(5f64.sqrt())), Fan::Out),
        (1.0 / 3.0 / 360.0f64).sqrt(),
    );
    looks(&kaiming_normal(&key, shape, gain("tanh", None), Fan::Out), 5.0 / 3.0 / 360f64.sqrt(), None);
    // Between -1 and 2 standard deviations the mean is 0.2296 of one.
    let [mean, _, most] = moments(&trunc_normal(&key, [100_000], 0.0, 1.0, -1.0, 2.0));
    assert!((mean - 0.2296).abs() < 0.01 && most <= 2.0 && most > 1.99, "{mean} {most}");
}

#[test]
fn layers_begin_as_pytorchs() {
    let key = Key::new(1);
    let bounded = |x: &Tensor, bound: f64| looks(x, bound / 3f64.sqrt(), Some(bound));
    bounded(&Linear::new(&key, 64, 50, true).weight, 1.0 / 8.0);
    bounded(&Bilinear::new(&key, 16, 20, 10, true).weight, 1.0 / 4.0);
    let options = ConvOptions { groups: 2, ..ConvOptions::default() };
    bounded(&Conv2d::new(&key, 8, 64, [3, 3], options).weight, 1.0 / 6.0);
    // The fan of a transposed convolution is counted along its second axis.
    let options = ConvOptions { groups: 2, ..ConvOptions::default() };
    bounded(&ConvTranspose1d::new(&key, 64, 18, [4], options).weight, 1.0 / 6.0);
    looks(&Embedding::new(&key, 100, 50).weight, 1.0, None);
    let attention = MultiheadAttention::new(&key, 32, 4, true);
    bounded(&attention.in_proj_weight, (6.0f64 / (96.0 + 32.0)).sqrt());
    bounded(&attention.out_proj.weight, 1.0 / 32f64.sqrt());
    assert_eq!(moments(&attention.in_proj_bias.clone().unwrap()), [0.0; 3]);
    for (_, weight) in LSTM::new(&key, 60, 64, 1, false, true).named() {
        bounded(&weight, 1.0 / 8.0);
    }
}

#[test]
fn orthogonal_matrices_are_orthogonal_either_way() {
    for shape in [[5, 40], [40, 5], [30, 30]] {
        let w = orthogonal(&Key::new(2), shape, 3.0);
        assert_eq!(w.shape()[..], shape);
        let square = if shape[0] <= shape[1] { w.matmul(&w.t()) } else { w.t().matmul(&w) };
        let n = shape[0].min(shape[1]);
        let identity = covector::ops::create::eye(n, DType::F32) * 9.0;
        assert!((square - identity).abs().max(..).item::<f32>() < 1e-4, "{shape:?}");
    }
    assert_eq!(orthogonal(&Key::new(2), [4, 2, 3, 3], 1.0).shape()[..], [4, 2, 3, 3]);
}

#[test]
fn layers_of_one_key_are_the_same_and_of_others_are_not() {
    let new = |seed| GRU::new(&Key::new(seed), 3, 4, 2, true, true);
    let numbers = |net: &GRU| net.leaves().iter().flat_map(|t| t.to_vec::<f32>()).collect::<Vec<_>>();
    assert_eq!(numbers(&new(0)), numbers(&new(0)));
    let (a, b) = (numbers(&new(0)), numbers(&new(1)));
    assert!(a.iter().zip(&b).all(|(a, b)| a != b));
    let mut within = a.clone();
    within.sort_by(f32::total_cmp);
    within.dedup();
    assert!(within.len() + 2 > a.len(), "no two weights share their draws");
}

#[test]
fn attention_drops_weights_by_its_key_and_keeps_the_mean() {
    let layer = MultiheadAttention::grouped(&Key::new(0), 8, 4, 2, true).with(Positions::Alibi);
    let x = normal(&Key::new(1), [1, 6, 8], DType::F32);
    let seen = Tensor::from([[true, true, true, false, true, true]]);
    let run = |dropout: Dropout| {
        let how = Attending { mask: Some(seen.clone()), causal: true, dropout };
        layer.attend(&x, &x, &x, &how)
    };
    let whole = run(Dropout::off());
    // With almost nothing dropped the written-out formula gives what the kernel gives.
    let almost = run(Dropout::new(1e-12, Key::new(3)));
    assert!((&almost - &whole).abs().max(..).item::<f32>() < 1e-5);
    let some = |seed| run(Dropout::new(0.5, Key::new(seed)));
    assert_eq!(some(1).to_vec::<f32>(), some(1).to_vec::<f32>());
    assert_ne!(some(1).to_vec::<f32>(), some(2).to_vec::<f32>());
    let mean = (0..400).map(some).reduce(|a, b| a + b).unwrap() / 400.0;
    assert!((mean - whole).abs().max(..).item::<f32>() < 0.15);
}

#[test]
fn a_kept_cache_is_not_written_over() {
    let layer = MultiheadAttention::new(&Key::new(0), 4, 2, true);
    let x = normal(&Key::new(1), [1, 3, 4], DType::F32);
    let (_, cache) = layer.decode(&x, layer.cache(1, 5)).unwrap();
    let next = |seed| layer.decode(&normal(&Key::new(seed), [1, 1, 4], DType::F32), cache.clone()).unwrap();
    // Two continuations of one beginning, in either order.
    let (a, b) = (next(2), next(3));
    let (b_again, a_again) = (next(3), next(2));
    assert_eq!(a.0.to_vec::<f32>(), a_again.0.to_vec::<f32>());
    assert_eq!(b.1.keys.to_vec::<f32>(), b_again.1.keys.to_vec::<f32>());
    assert_ne!(a.0.to_vec::<f32>(), b.0.to_vec::<f32>());
    let text = layer.decode(&x, a.1).unwrap_err().to_string();
    assert!(text.contains("3 tokens, and the cache holds 4 of 5"), "{text}");
}
