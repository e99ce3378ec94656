//! What the fuser makes of elementwise ops and folds of rows: GELU, softmax, layer norm, cross-entropy, with gradients.
//!
//! `cargo bench -p covector --bench chains`

use std::time::Duration;

use covector::ops::loss::cross_entropy;
use covector::{Tensor, eval, value_and_grad};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

type Function = fn(&Tensor) -> Tensor;

const CHAINS: [(&str, Function); 4] = [
    ("gelu", |x| 0.5 * x * (1.0 + (0.797_884_560_8 * (x + 0.044_715 * x * x * x)).tanh())),
    ("softmax", |x| x.softmax(-1)),
    ("layer norm", |x| x.layer_norm(1, None, None, 1e-5)),
    ("cross-entropy", |x| {
        let classes = Tensor::from((0..x.shape()[0] as i64).map(|i| i * 7 % 100).collect::<Vec<i64>>());
        cross_entropy(x, &classes, None, None, 0.0, "mean")
    }),
];

/// The second is small enough for the first cache, so that what a run costs beside its arithmetic shows.
const SHAPES: [[usize; 2]; 2] = [[1024, 1024], [32, 128]];

fn chains(c: &mut Criterion) {
    for [rows, width] in SHAPES {
        let mut group = c.benchmark_group(format!("{rows}x{width}"));
        group.throughput(Throughput::Elements((rows * width) as u64));
        let numbers: Vec<f32> = (0..rows * width).map(|i| (i * 7919 % 4001) as f32 / 1000.0 - 2.0).collect();
        let x = Tensor::from_slice(&numbers, [rows, width]);
        for (name, f) in CHAINS {
            group.bench_function(name, |b| b.iter(|| eval([&f(&x)])));
            // Squared: the gradient of a plain sum of a softmax or a norm is 0.
            let gradient = value_and_grad(move |x: &Tensor| f(x).square().sum(..));
            group.bench_function(format!("{name}, forward and backward"), |b| {
                b.iter(|| {
                    let (y, g) = gradient(&x);
                    eval([&y, &g]);
                });
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_millis(500));
    targets = chains
}
criterion_main!(benches);
