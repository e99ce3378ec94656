//! Times.
use covector_array::{Array, DType, kernels};
use std::time::Instant;
fn fill(shape: [usize; 3], dtype: DType) -> Array {
    let n: usize = shape.iter().product();
    let v: Vec<f64> = (0..n).map(|i| ((i * 7919) % 1013) as f64 / 1013.0 - 0.5).collect();
    let v = if dtype.is_float() { v } else { v.iter().map(|x| (x * 100.0).round()).collect() };
    kernels::cast(&Array::from_slice(&v, shape), dtype)
}
fn main() {
    let args: Vec<usize> = std::env::args().skip(2).map(|x| x.parse().unwrap()).collect();
    let dt = match std::env::args().nth(1).unwrap().as_str() {
        "f64" => DType::F64,
        "i64" => DType::I64,
        "i32" => DType::I32,
        "u8" => DType::U8,
        _ => DType::F32,
    };
    let trans = args.get(4).copied().unwrap_or(0);
    let (b, m, k, n) = (args[0], args[1], args[2], args[3]);
    let a = if trans & 1 == 1 { fill([b, k, m], dt).t() } else { fill([b, m, k], dt) };
    let w = if trans & 2 == 2 { fill([b, n, k], dt).t() } else { fill([b, k, n], dt) };
    let mut best = f64::MAX;
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < 0.4 {
        let t = Instant::now();
        std::hint::black_box(kernels::matmul(&a, &w));
        best = best.min(t.elapsed().as_secs_f64());
    }
    println!(
        "{dt} {b}x{m}x{k}x{n} t{trans}: {:.1} us, {:.1} GFLOP/s",
        best * 1e6,
        2.0 * (b * m * k * n) as f64 / best / 1e9
    );
}
