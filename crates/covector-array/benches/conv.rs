//! Convolutions and their two gradients: `COVECTOR_THREADS=1 cargo bench -p covector-array --bench conv`.

use std::hint::black_box;

use covector_array::kernels::{Convolution, Part, Slide};
use covector_array::{Array, Shape, threads};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Name, examples, groups, channels of a group in and out, length and kernel along both axes, step, padding.
type Case = (&'static str, [usize; 4], [usize; 4]);

const CASES: [Case; 9] = [
    ("3 to 16 on 32", [32, 1, 3, 16], [32, 3, 1, 1]),
    ("16 to 32 on 32, step 2", [32, 1, 16, 32], [32, 3, 2, 1]),
    ("32 to 64 on 16, step 2", [32, 1, 32, 64], [16, 3, 2, 1]),
    ("64 to 64 on 56", [1, 1, 64, 64], [56, 3, 1, 1]),
    ("256 to 256 on 14", [8, 1, 256, 256], [14, 3, 1, 1]),
    ("1x1, 256 to 64 on 28", [8, 1, 256, 64], [28, 1, 1, 0]),
    ("7x7, 3 to 64 on 112, step 2", [4, 1, 3, 64], [112, 7, 2, 3]),
    ("16x16, 3 to 192 on 96, step 16", [8, 1, 3, 192], [96, 16, 16, 0]),
    ("96 alone on 56", [8, 96, 1, 1], [56, 3, 1, 1]),
];

fn convolutions(c: &mut Criterion) {
    for (name, [n, groups, inputs, outputs], [len, kernel, step, padding]) in CASES {
        let out = (len + 2 * padding - kernel) / step + 1;
        let slide = Slide { step, padding, dilation: 1 };
        let conv = Convolution { slides: [slide; 2].into_iter().collect(), groups };
        let x = noise([n, groups * inputs, len, len]);
        let w = noise([groups * outputs, inputs, kernel, kernel]);
        let y = noise([n, groups * outputs, out, out]);
        let mut group = c.benchmark_group(name);
        // Multiply-adds: one element of the throughput is two floating-point operations.
        group.throughput(Throughput::Elements((y.size() * inputs * kernel * kernel) as u64));
        for (part, a, b, size) in
            [(Part::Output, &x, &w, out), (Part::Input, &w, &y, len), (Part::Weight, &x, &y, kernel)]
        {
            group.bench_function(format!("{part:?}"), |bencher| {
                threads::enter(|| bencher.iter(|| conv.run(part, black_box(a), black_box(b), &[size, size])));
            });
        }
    }
}

fn noise(shape: [usize; 4]) -> Array {
    Array::build::<f32>(Shape::from(shape), |out| {
        let value = |i: usize| ((i * 7919) % 1000) as f32 / 500.0 - 1.0;
        out.iter_mut().enumerate().for_each(|(i, x)| *x = value(i));
    })
}

criterion_group!(benches, convolutions);
criterion_main!(benches);
