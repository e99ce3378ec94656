//! Arrays in many layouts, for comparing kernels with index-by-index oracles.
#![allow(dead_code, reason = "every test file includes this one and uses its part")]

use covector_array::{Array, DType, Shape, c128, kernels};

/// Small whole numbers that every dtype holds, not all different.
pub fn values(n: usize, dtype: DType) -> Array {
    let signed = dtype.is_float() || (dtype.is_int() && !dtype.is_unsigned());
    let value = |i: usize| ((i * 7 + i / 5) % 11) as f64 - if signed { 4.0 } else { 0.0 };
    let all: Vec<f64> = (0..n).map(value).collect();
    kernels::cast(&Array::from_slice(&all, [n]), dtype)
}

/// Numbers between -0.5 and 0.5, as good as random; the same for the same seed.
pub fn noise(shape: impl Into<Shape>, seed: u32, dtype: DType) -> Array {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / 16_777_216.0 - 0.5
    };
    let all = if dtype.is_complex() {
        Array::build::<c128>(shape.into(), |out| out.iter_mut().for_each(|x| *x = c128::new(next(), next())))
    } else {
        Array::build::<f64>(shape.into(), |out| out.iter_mut().for_each(|x| *x = next()))
    };
    kernels::cast(&all, dtype)
}

/// The same logical array, stored in different ways.
pub fn layouts(x: &Array) -> Vec<Array> {
    let n = x.ndim();
    let mut all = vec![x.contiguous()];
    // Stored with the axes reversed.
    let reversed: Vec<usize> = (0..n).rev().collect();
    all.push(index_copy(&x.permute(&reversed)).permute(&reversed));
    // Stored with the first axis last.
    if n > 1 {
        let rolled: Vec<usize> = (1..n).chain([0]).collect();
        let mut back = vec![0; n];
        rolled.iter().enumerate().for_each(|(i, &a)| back[a] = i);
        all.push(index_copy(&x.permute(&rolled)).permute(&back));
    }
    // Every second element of a larger array, backwards.
    if x.size() > 0 && n > 0 {
        let big: Shape = x.shape().iter().map(|d| 2 * d + 1).collect();
        let last: Vec<usize> = x.shape().iter().map(|d| 2 * d - 1).collect();
        let flip = |a: &Array| {
            let ends: Vec<usize> = a.shape().iter().map(|d| d - 1).collect();
            a.slice(&ends, a.shape(), &vec![-1; n])
        };
        let flipped = flip(x);
        let mut bytes = vec![0u8; big.size() * x.dtype().size()];
        let small = index_copy(&flipped).to_bytes();
        let width = x.dtype().size();
        for i in 0..x.size() {
            let mut rest = i;
            let mut at = 0;
            let mut step = 1;
            for axis in (0..n).rev() {
                at += (2 * (rest % x.shape()[axis]) + 1) * step;
                rest /= x.shape()[axis];
                step *= big[axis];
            }
            bytes[at * width..(at + 1) * width].copy_from_slice(&small[i * width..(i + 1) * width]);
        }
        let stored = Array::from_bytes(&bytes, big, x.dtype());
        all.push(stored.slice(&last, x.shape(), &vec![-2; n]));
    }
    for a in &all {
        assert_eq!(elements(a), elements(x), "the layouts themselves");
    }
    all
}

/// Element by element, by slicing: independent of `copy`.
pub fn elements(x: &Array) -> Vec<f64> {
    let n = x.ndim();
    (0..x.size())
        .map(|i| {
            let mut rest = i;
            let mut at = vec![0; n];
            for axis in (0..n).rev() {
                at[axis] = rest % x.shape()[axis];
                rest /= x.shape()[axis];
            }
            x.slice(&at, &vec![1; n], &vec![1; n]).to_f64_vec()[0]
        })
        .collect()
}

/// A contiguous copy made without `copy`.
pub fn index_copy(x: &Array) -> Array {
    let values = Array::from_slice(&elements(x), x.shape().clone());
    kernels::cast(&values, x.dtype())
}

/// The bytes of the elements in row-major order.
pub fn bits(x: &Array) -> Vec<u8> {
    x.to_bytes()
}

/// Runs `f` with one and with three threads, and with each instruction set; all must agree to the bit.
pub fn same_everywhere(f: impl Fn() -> Array + Send + Sync) -> Array {
    use covector_array::isa::{Isa, set_isa};
    use covector_array::threads::{enter, set_threads};
    let _alone = LOCK.lock().unwrap_or_else(|e| e.into_inner());
    let first = f();
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
        set_isa(isa);
        for threads in [1, 3] {
            set_threads(threads);
            let again = enter(&f);
            assert!(bits(&first) == bits(&again), "{isa:?}, {threads} threads: other bits");
        }
    }
    first
}

static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
