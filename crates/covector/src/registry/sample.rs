//! Small deterministic tensors to test ops with: f64, so that derivatives can be checked to many digits.
//!
//! The numbers depend on the shape and on how many samples were made before in the same list only through `salt`.

use covector_array::{Array, Shape, c128};

use crate::Tensor;

/// A low-discrepancy sequence in (0, 1), scrambled by `salt`; never the same value twice within a sample.
fn unit(i: usize, salt: f64) -> f64 {
    ((i as f64 + 1.0) * 0.754_877_666_246_692_7 + salt).fract()
}

/// Reals in (lo, hi), f64.
pub fn between(lo: f64, hi: f64, shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let salt = 0.137 * (lo.abs() + hi.abs()) + 0.31 * shape.len() as f64 + 0.017 * shape.iter().sum::<usize>() as f64;
    let values: Vec<f64> = (0..shape.size()).map(|i| lo + (hi - lo) * unit(i, salt)).collect();
    Tensor::from_array(Array::from_slice(&values, shape))
}

/// Reals in (-2, 2).
pub fn real(shape: impl Into<Shape>) -> Tensor {
    between(-2.0, 2.0, shape)
}

/// Other reals in (-1.9, 2.1), for a second operand.
pub fn real2(shape: impl Into<Shape>) -> Tensor {
    between(-1.9, 2.1, shape)
}

/// Reals in (0.3, 2.5).
pub fn positive(shape: impl Into<Shape>) -> Tensor {
    between(0.3, 2.5, shape)
}

/// Matrices that are regular: reals in (-1, 1), and the number of columns more on the diagonal.
pub fn regular(shape: impl Into<Shape>) -> Tensor {
    on_the_diagonal(between(-1.0, 1.0, shape), |_, columns| columns as f64)
}

/// Matrices with distinct singular values and, made symmetric, eigenvalues: reals in (-0.4, 0.4), and 2, 3.1, 4.2 .. on the
/// diagonal.
pub fn distinct(shape: impl Into<Shape>) -> Tensor {
    on_the_diagonal(between(-0.4, 0.4, shape), |i, _| 2.0 + 1.1 * i as f64)
}

/// Complex matrices that are regular: parts in (-1, 1), and the number of columns more on the diagonal.
pub fn complex_regular(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    paired(&regular(shape.clone()), &between(-1.0, 0.9, shape))
}

/// Complex matrices with distinct singular values and, made Hermitian, eigenvalues: parts in (-0.4, 0.4), and 2, 3.1, 4.2 .. on
/// the diagonal.
pub fn complex_distinct(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    paired(&distinct(shape.clone()), &between(-0.4, 0.35, shape))
}

/// `x` and more on the diagonal of its matrices, by the place there and the number of columns.
fn on_the_diagonal(x: Tensor, more: impl Fn(usize, usize) -> f64) -> Tensor {
    let shape = x.shape().clone();
    let (rows, columns) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let mut values = x.value().to_f64_vec();
    for (at, value) in values.iter_mut().enumerate() {
        let (i, j) = (at / columns % rows, at % columns);
        *value += if i == j { more(i, columns) } else { 0.0 };
    }
    exactly(&values, shape)
}

/// Complex numbers c128 with parts in (-2, 2).
pub fn complex(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    paired(&real(shape.clone()), &between(-2.0, 1.9, shape))
}

/// Other complex numbers, for a second operand.
pub fn complex2(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    paired(&real2(shape.clone()), &between(-1.8, 2.1, shape))
}

/// These very complex numbers, c128, as parts one after the other.
pub fn exact_complex(parts: &[f64], shape: impl Into<Shape>) -> Tensor {
    let values: Vec<c128> = parts.chunks_exact(2).map(|z| c128::new(z[0], z[1])).collect();
    Tensor::from_array(Array::from_slice(&values, shape))
}

/// The complex numbers of these real and imaginary parts, f64.
fn paired(re: &Tensor, im: &Tensor) -> Tensor {
    let parts = re.to_vec::<f64>().into_iter().zip(im.to_vec::<f64>());
    let values: Vec<c128> = parts.map(|(re, im)| c128::new(re, im)).collect();
    Tensor::from_array(Array::from_slice(&values, re.shape().clone()))
}

/// Integers i64 in lo..hi.
pub fn ints(lo: i64, hi: i64, shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let values: Vec<i64> = (0..shape.size()).map(|i| lo + ((hi - lo) as f64 * unit(i, 0.41)) as i64).collect();
    Tensor::from_array(Array::from_slice(&values, shape))
}

/// Truth values, about half of them true.
pub fn bools(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let values: Vec<bool> = (0..shape.size()).map(|i| unit(i, 0.7) < 0.5).collect();
    Tensor::from_array(Array::from_slice(&values, shape))
}

/// These very numbers, f64.
pub fn exactly(values: &[f64], shape: impl Into<Shape>) -> Tensor {
    Tensor::from_array(Array::from_slice(values, shape))
}

/// These very integers, i64.
pub fn exact_ints(values: &[i64], shape: impl Into<Shape>) -> Tensor {
    Tensor::from_array(Array::from_slice(values, shape))
}
