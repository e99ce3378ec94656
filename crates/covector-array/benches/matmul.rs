//! Products of matrices: large squares, those of training and of decoding. `cargo bench -p covector-array`.

use std::hint::black_box;
use std::iter;

use covector_array::kernels::{cast, copy, matmul};
use covector_array::threads::enter;
use covector_array::{Array, DType};
use criterion::{Criterion, Throughput};

fn main() {
    let mut c = Criterion::default().configure_from_args();
    [squares, training, decoding].iter().for_each(|products| products(&mut c));
    c.final_summary();
}

/// Which factors are stored transposed.
#[derive(Clone, Copy)]
enum Stored {
    Plain,
    Left,
    Right,
}
use Stored::{Left, Plain, Right};

fn noise(size: usize, dtype: DType) -> Array {
    let mut state = 9u32;
    let mut next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0 - 0.5
    };
    cast(&Array::from_slice(&(0..size).map(&mut next).collect::<Vec<_>>(), [size]), dtype)
}

fn product(c: &mut Criterion, group: &str, [batch, m, k, n]: [usize; 4], stored: Stored, dtype: DType) {
    let factors = || {
        let a = noise(batch * m * k, dtype).reshape(&[batch, m, k].into());
        let b = noise(batch * k * n, dtype).reshape(&[batch, k, n].into());
        match stored {
            Plain => (a, b),
            Left => (copy(&a.t()).t(), b),
            Right => (a, copy(&b.t()).t()),
        }
    };
    // In training, what was last in use fills the caches: as many factors in turn as make up 16 MB.
    let bytes = batch * (m * k + k * n) * dtype.size();
    let turns: Vec<_> = iter::repeat_with(factors).take((16 << 20) / bytes + 1).collect();
    let mut turn = turns.iter().cycle();
    let mark = |transposed| if transposed { "'" } else { "" };
    let (left, right) = (mark(matches!(stored, Left)), mark(matches!(stored, Right)));
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Elements((batch * m * k * n) as u64));
    group.bench_function(format!("{dtype} {batch} x {m} x {k}{left} x {n}{right}"), |bench| {
        bench.iter(|| {
            let (a, b) = turn.next().expect("a cycle does not end");
            black_box(enter(|| matmul(a, b)))
        });
    });
    group.finish();
}

fn squares(c: &mut Criterion) {
    for dtype in [DType::F32, DType::F64, DType::BF16] {
        for n in [512, 1024, 2048] {
            product(c, "square", [1, n, n, n], Plain, dtype);
        }
    }
}

fn training(c: &mut Criterion) {
    for [m, k, n] in
        [[768, 128, 384], [768, 128, 512], [128, 784, 512], [2048, 384, 1536], [768, 128, 65], [768, 512, 128]]
    {
        product(c, "forward", [1, m, k, n], Plain, DType::F32);
        product(c, "by inputs", [1, m, n, k], Right, DType::F32);
        product(c, "by weights", [1, k, m, n], Left, DType::F32);
    }
    for [batch, m, k, n] in [[96, 128, 64, 128], [48, 64, 32, 64], [48, 256, 64, 256]] {
        product(c, "batched", [batch, m, k, n], Plain, DType::F32);
        product(c, "batched", [batch, m, k, n], Right, DType::F32);
        product(c, "batched", [batch, k, m, n], Left, DType::F32);
    }
    product(c, "per example", [32, 784, 1, 512], Plain, DType::F32);
}

fn decoding(c: &mut Criterion) {
    for [k, n] in [[2048, 8192], [768, 2304], [768, 3072], [3072, 768], [768, 50257]] {
        product(c, "one row", [1, 1, k, n], Plain, DType::F32);
        product(c, "one row", [1, 1, k, n], Right, DType::F32);
    }
}
