//! Matrix products against a triple loop, in every layout.

mod common;

use common::{bits, elements, layouts, noise, same_everywhere, values};
use covector_array::kernels::{self, matmul};
use covector_array::{Array, DType, Element, Shape, bf16};

fn product(a: &Array, b: &Array) -> Vec<f64> {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let (x, y) = (elements(a), elements(b));
    let mut out = Vec::new();
    for i in 0..batch * m * n {
        let (batch, row, column) = (i / (m * n), i / n % m, i % n);
        out.push((0..k).map(|d| x[(batch * m + row) * k + d] * y[(batch * k + d) * n + column]).sum());
    }
    out
}

#[test]
fn every_layout_gives_the_triple_loops_result() {
    for (batch, m, k, n) in [
        (1, 1, 1, 1),
        (2, 3, 4, 5),
        (3, 1, 7, 2),
        (1, 9, 1, 3),
        (2, 17, 33, 20),
        (1, 40, 5, 1),
        (1, 1, 50, 40),
        (9, 4, 4, 4),
        (1, 70, 40, 50),
        (2, 0, 3, 2),
        (2, 3, 0, 2),
        (0, 2, 2, 2),
    ] {
        for dtype in [DType::F32, DType::F64, DType::I64, DType::F16] {
            let a = values(batch * m * k, dtype).reshape(&Shape::from([batch, m, k]));
            let b = values(batch * k * n + 2, dtype).slice(&[2], &[batch * k * n], &[1]);
            let b = b.reshape(&Shape::from([batch, k, n]));
            let want = product(&a, &b);
            for a in layouts(&a) {
                for b in layouts(&b) {
                    let got = matmul(&a, &b);
                    assert_eq!((got.shape(), got.dtype()), (&Shape::from([batch, m, n]), dtype));
                    let (s, t) = (a.strides(), b.strides());
                    assert_eq!(got.to_f64_vec(), want, "{dtype} {batch}x{m}x{k}x{n}, strides {s:?} @ {t:?}");
                }
            }
        }
    }
}

#[test]
fn a_repeated_matrix_multiplies_every_one_of_the_batch() {
    for (m, k, n) in [(3, 4, 5), (40, 30, 50), (130, 64, 70)] {
        let a = values(10 * m * k, DType::F32).reshape(&Shape::from([10, m, k]));
        let w = values(k * n, DType::F32).reshape(&Shape::from([1, n, k])).broadcast_to(&Shape::from([10, n, k])).t();
        assert_eq!(matmul(&a, &w).to_f64_vec(), product(&a, &w));
        assert_eq!(matmul(&w.t(), &a.t()).to_f64_vec(), product(&w.t(), &a.t()));
        let (a, w) = (bf16s([10, m, k], 1, 110, 30), bf16s([1, n, k], 2, 110, 30));
        let w = w.broadcast_to(&Shape::from([10, n, k])).t();
        for (a, w) in [(a.clone(), w.clone()), (w.t(), a.t())] {
            let got: Vec<u16> = matmul(&a, &w).to_vec::<bf16>().iter().map(|x| x.to_bits()).collect();
            assert_eq!(got, bf16_chains(&a, &w));
        }
    }
}

#[test]
fn integers_wrap() {
    let a = Array::from_slice(&[200u8, 100], [1, 1, 2]);
    assert_eq!(matmul(&a, &a.t()).to_vec::<u8>(), [(50000 % 256) as u8]);
    let a = Array::from_slice(&[-3i16, 7], [1, 2, 1]);
    assert_eq!(matmul(&a, &a.t()).to_vec::<i16>(), [9, -21, -21, 49]);
}

/// Steps of a chain.
const SPAN: usize = 528;

/// The promise: each element is a sum of chains, in order, of fused multiply-adds along the depth, each from zero.
fn chains<T: Element>(a: &Array, b: &Array, fma: fn(T, T, T) -> T) -> Vec<T> {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let (x, y) = (a.to_vec::<T>(), b.to_vec::<T>());
    let (zero, one) = (T::from_f64(0.0), T::from_f64(1.0));
    let element = |i: usize| {
        let (batch, row, column) = (i / (m * n), i / n % m, i % n);
        let step = |sum, d| fma(x[(batch * m + row) * k + d], y[(batch * k + d) * n + column], sum);
        let chain = |start: usize| (start..(start + SPAN).min(k)).fold(zero, step);
        (SPAN..k).step_by(SPAN).fold(chain(0), |sum, start| fma(chain(start), one, sum))
    };
    (0..batch * m * n).map(element).collect()
}

#[test]
fn every_element_is_a_sum_of_chains_whatever_the_threads_the_instruction_set_and_the_layout() {
    let sizes = [
        (1, 300, 250, 200),
        (1, 64, 800, 70),
        (1, 30, 20, 600),
        (1, 200, 20, 1100),
        (20, 33, 40, 50),
        (300, 5, 6, 7),
        // Few rows or columns of a large matrix.
        (1, 1, 150, 1100),
        (2, 3, 300, 90),
        (1, 200, 130, 1),
        (1, 1100, 37, 4),
        (1, 1, 600, 1013),
        // More rows or a deeper product than one block of the caches holds; narrow last panels.
        (1, 520, 600, 67),
        (1, 31, 2100, 97),
        (1, 101, 17, 449),
        // Few results, one or several chains of each.
        (1, 1, 527, 1),
        (1, 1, 1060, 1),
        (1, 1, 20_003, 1),
        (2, 1, 529, 1),
        (37, 1, 1060, 1),
        (1, 7, 9001, 1),
        (1, 60, 100, 1),
        (1, 1, 5000, 70),
        (1, 3, 4200, 5),
        (2, 20, 4096, 9),
        // Few rows that fill the lanes, or nearly, of a transposed matrix; a matrix that is read where it lies.
        (1, 16, 130, 150),
        (2, 15, 200, 170),
        (1, 47, 700, 300),
        (1, 100, 200, 150),
        // A deep product whose rows or columns are streamed.
        (1, 2, 1100, 300),
        (1, 400, 1300, 1),
        // Nothing to add up.
        (3, 40, 1, 48),
        (2, 1500, 1, 3008),
    ];
    for (batch, m, k, n) in sizes {
        for dtype in [DType::F32, DType::F64] {
            let (a, b) = (noise([batch, m, k], 9, dtype), noise([batch, k, n], 9, dtype));
            let want = match dtype {
                DType::F32 => Array::from_slice(&chains(&a, &b, f32::mul_add), [batch, m, n]),
                _ => Array::from_slice(&chains(&a, &b, f64::mul_add), [batch, m, n]),
            };
            for (a, b) in [(a.clone(), b.clone()), (kernels::copy(&a.t()).t(), kernels::copy(&b.t()).t())] {
                let got = same_everywhere(|| matmul(&a, &b));
                assert!(
                    bits(&got) == bits(&want),
                    "{dtype} {batch}x{m}x{k}x{n}, {:?} @ {:?}",
                    a.strides(),
                    b.strides()
                );
            }
        }
    }
}

#[test]
fn a_bf16_product_is_one_chain_without_denormals_rounded_once() {
    // Exponents as they are stored, and how many.
    for (lowest, span) in [(110, 30), (50, 40), (0, 4), (60, 6), (180, 75), (0, 256)] {
        for (batch, m, k, n) in [
            (1, 1, 1, 1),
            (2, 1, 2, 3),
            (3, 3, 3, 3),
            (1, 17, 17, 17),
            (2, 13, 101, 67),
            (1, 70, 64, 130),
            (1, 1, 129, 300),
            (1, 300, 31, 2),
            (2, 3, 0, 2),
            (1, 0, 4, 2),
            // So deep that sums wait for the rest of the depth.
            (1, 7, 2601, 70),
        ] {
            let (a, b) = (bf16s([batch, m, k], 1, lowest, span), bf16s([batch, k, n], 2, lowest, span));
            let want = bf16_chains(&a, &b);
            let part = |x: &Array| kernels::pad(x, &[1; 3], &[2; 3], &[0; 3]).slice(&[1; 3], x.shape(), &[1; 3]);
            for (a, b) in [
                (a.clone(), b.clone()),
                (kernels::copy(&a.t()).t(), kernels::copy(&b.t()).t()),
                (part(&a), part(&b)),
                (part(&a.t()).t(), part(&b.t()).t()),
            ] {
                let got = same_everywhere(|| matmul(&a, &b));
                let got: Vec<u16> = got.to_vec::<bf16>().iter().map(|x| x.to_bits()).collect();
                assert_eq!(got, want, "{batch}x{m}x{k}x{n} from 2^{}", lowest - 127);
            }
        }
    }
}

#[test]
fn bf16_sums_next_to_the_least_normal_number_are_zero_or_not_as_processors_have_it() {
    // The least normal number less a little: what is nearer to it than to the next lower number of 24 bits stays.
    let least = bf16::from_bits(0x0080);
    for (little, want) in
        [(0x1980u16, 0x0080u16), (0x1a00, 0x0080), (0x1a80, 0x0080), (0x1a81, 0), (0x1ac0, 0), (0x1b00, 0)]
    {
        let a = Array::from_slice(&[least, bf16::from_bits(little), least], [1, 1, 3]);
        let b = Array::from_slice(&[bf16::ONE, -bf16::from_bits(0x1900), bf16::ZERO], [1, 3, 1]);
        let got = same_everywhere(|| matmul(&a, &b)).to_vec::<bf16>()[0].to_bits();
        let product =
            bf16::from_bits(little).to_f64() * bf16::from_bits(0x1900).to_f64() / f64::from(f32::MIN_POSITIVE);
        assert_eq!(got, want, "{little:x}: {product:e}");
        assert_eq!(got, bf16_chains(&a, &b)[0]);
    }
}

/// Numbers with exponents from `lowest` on, both signs, and zeros.
fn bf16s(shape: [usize; 3], seed: u64, lowest: u64, span: u64) -> Array {
    let mut state = seed;
    let mut next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let exponent = lowest + (state >> 33) % span;
        let bits = (state >> 48 & 0x807f) | exponent << 7;
        bf16::from_bits(if (state >> 42).is_multiple_of(16) { 0 } else { bits as u16 })
    };
    Array::from_slice(&(0..shape.iter().product()).map(&mut next).collect::<Vec<_>>(), shape)
}

/// Each step rounded to 24 bits whatever the exponent, then to zero if it is below the normal numbers.
fn bf16_chains(a: &Array, b: &Array) -> Vec<u16> {
    let (batch, m, k, n) = (a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]);
    let flush = |x: f64| if x.abs() < f64::from(f32::MIN_POSITIVE) { 0f64.copysign(x) } else { x };
    let [x, y] = [a, b].map(|x| x.to_f64_vec().into_iter().map(flush).collect::<Vec<_>>());
    let scale = 2f64.powi(100);
    let step = |sum: f64, x: f64, y: f64| {
        let exact = x * y + sum;
        let small = exact.abs() < 1.0;
        flush(if small { f64::from((exact * scale) as f32) / scale } else { f64::from(exact as f32) })
    };
    let chain = |i: usize| {
        let (batch, row, column) = (i / (m * n), i / n % m, i % n);
        let product = |sum, d| step(sum, x[(batch * m + row) * k + d], y[(batch * k + d) * n + column]);
        let sum = (0..k).fold(0.0, product);
        if sum.is_nan() { bf16::NAN.to_bits() } else { bf16::from_f32(sum as f32).to_bits() }
    };
    (0..batch * m * n).map(chain).collect()
}
