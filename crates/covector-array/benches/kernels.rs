//! Elementwise kernels, reductions and scans; and `price`, what the fixed order of sums costs.
//!
//! `cargo bench -p covector-array --bench kernels -- price`

use std::hint::black_box;

use covector_array::kernels::{Attention, Inputs, Kernel, Reduction, map, reduce, scan, thirds};
use covector_array::math::Real;
use covector_array::{Array, DType, threads};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pulp::{Arch, Simd, WithSimd};

type Select = fn(DType) -> Option<Kernel>;

const UNARY: [(&str, Select); 5] = [
    ("sqrt", |_| Some(Kernel::unary(<f32 as Real>::sqrt))),
    ("exp", |_| Some(Kernel::unary(<f32 as Real>::exp))),
    ("log1p", |_| Some(Kernel::unary(<f32 as Real>::log1p))),
    ("tanh", |_| Some(Kernel::unary(<f32 as Real>::tanh))),
    ("erf", |_| Some(Kernel::unary(<f32 as Real>::erf))),
];

const ADD: Select = |_| Some(Kernel::binary(|a: f32, b: f32| a + b));

/// Positive numbers without a pattern that a predictor could learn.
fn array(shape: &[usize]) -> Array {
    let size = shape.iter().product();
    let numbers: Vec<f32> =
        (0..size).map(|i: usize| (i.wrapping_mul(2_654_435_761) >> 8 & 0xFFFF) as f32 / 65536.0).collect();
    Array::from_slice(&numbers, shape)
}

fn elementwise(c: &mut Criterion) {
    let n = 1 << 20;
    let mut group = c.benchmark_group("elementwise");
    group.throughput(Throughput::Elements(n as u64));
    let x = array(&[n]);
    for (name, select) in UNARY {
        group.bench_function(name, |b| b.iter(|| map(select, DType::F32, Inputs::from_iter([x.clone()]))));
    }
    let square = array(&[1024, 1024]);
    let row = array(&[1, 1024]).broadcast_to(&[1024, 1024].into());
    let turned = square.permute(&[1, 0]);
    for (name, y) in [("add", &square), ("add a row", &row), ("add the transpose", &turned)] {
        let inputs = || Inputs::from_iter([square.clone(), y.clone()]);
        group.bench_function(name, |b| b.iter(|| map(ADD, DType::F32, inputs())));
    }
}

fn reductions(c: &mut Criterion) {
    let mut group = c.benchmark_group("reduction");
    let cases = [("rows", [1024, 1024, 1], 1), ("columns", [1024, 1024, 1], 0), ("middle", [32, 256, 128], 1)];
    for (name, shape, axis) in cases {
        let x = array(&shape);
        group.throughput(Throughput::Bytes(4 * x.size() as u64));
        for op in [Reduction::Sum, Reduction::Max] {
            group.bench_function(format!("{op:?} of {name}"), |b| b.iter(|| reduce(op, &x, &[axis])));
        }
    }
}

fn scans(c: &mut Criterion) {
    let mut group = c.benchmark_group("scan");
    let x = array(&[1024, 1024]);
    group.throughput(Throughput::Bytes(8 * x.size() as u64));
    for axis in [0, 1] {
        group.bench_function(format!("cumsum over axis {axis}"), |b| b.iter(|| scan(Reduction::Sum, &x, axis, false)));
    }
}

/// Causal attention as small and larger language models have it, queries, keys and values side by side; with all threads,
/// then with one.
fn attention(c: &mut Criterion) {
    let mut group = c.benchmark_group("attention");
    for [batch, heads, t, d] in [[12, 4, 64, 32], [8, 6, 256, 64]] {
        let x = array(&[batch, t, 3, heads, d]).permute(&[2, 0, 3, 1, 4]);
        let [q, k, v] = thirds(&x);
        let job = Attention { q, k, v, mask: None, causal: true, scale: (d as f64).powf(-0.5) };
        let cotangent = job.forward();
        for (name, alone) in [("", false), (", one thread", true)] {
            let mut row = |pass: &str, run: &dyn Fn() -> Array| {
                let name = format!("{pass} {batch}x{heads}x{t}x{d}{name}");
                group.bench_function(name, |b| if alone { b.iter(run) } else { threads::enter(|| b.iter(run)) });
            };
            row("forward", &|| job.forward());
            row("backward", &|| job.backward_packed(&x, &cotangent));
        }
    }
}

/// A sum in the order that suits the registers: as many chains as hide the latency, and no other rule.
struct Free<'a>(&'a [f32]);

impl WithSimd for Free<'_> {
    type Output = f32;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (vectors, rest) = S::as_simd_f32s(self.0);
        let mut sums = [simd.splat_f32s(0.0); 8];
        let (eights, others) = vectors.as_chunks::<8>();
        for eight in eights {
            for (sum, &x) in sums.iter_mut().zip(eight) {
                *sum = simd.add_f32s(*sum, x);
            }
        }
        for &x in others {
            sums[0] = simd.add_f32s(sums[0], x);
        }
        let [a, b, c, d, e, f, g, h] = sums;
        let add = |a, b| simd.add_f32s(a, b);
        simd.reduce_sum_f32s(add(add(add(a, b), add(c, d)), add(add(e, f), add(g, h)))) + rest.iter().sum::<f32>()
    }
}

/// The same sums of rows in the fixed order and in a free one, from the first cache to memory, by one thread.
fn price(c: &mut Criterion) {
    threads::set_threads(1);
    let mut group = c.benchmark_group("price");
    for [rows, row] in [[8, 1024], [256, 1024], [4096, 1024], [16384, 4096], [1024, 64], [16, 65536]] {
        let x = array(&[rows, row]);
        let numbers = x.to_vec::<f32>();
        let name = format!("{rows}x{row}");
        group.throughput(Throughput::Bytes(4 * x.size() as u64));
        group.bench_with_input(BenchmarkId::new("fixed order", &name), &x, |b, x| {
            b.iter(|| reduce(Reduction::Sum, x, &[1]));
        });
        group.bench_with_input(BenchmarkId::new("free order", &name), &numbers, |b, numbers| {
            b.iter(|| {
                let sums: Vec<f32> = numbers.chunks_exact(row).map(|row| Arch::new().dispatch(Free(row))).collect();
                black_box(sums)
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_millis(500));
    targets = elementwise, reductions, scans, attention, price
}
criterion_main!(benches);
