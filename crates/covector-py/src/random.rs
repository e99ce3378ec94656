//! Random arrays from explicit keys, or from the sequence that `manual_seed` starts.

use covector::random::{self as core, Key, default_key};
use covector::{DType, Operand, Shape, Tensor};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::array::{Object, wrap};
use crate::convert::{ints, operand, to_tensor};
use crate::dtype::parse;
use crate::errors::run;

type Any<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

fn key_of(py: Python<'_>, key: Any<'_, '_>) -> PyResult<Tensor> {
    match key.filter(|k| !k.is_none()) {
        Some(key) => to_tensor(key),
        None => run(py, || Ok(default_key().into())),
    }
}

fn sizes(shape: Any<'_, '_>) -> PyResult<Shape> {
    let given = shape.map_or(Ok(Vec::new()), ints)?;
    let size = |&d: &i64| {
        usize::try_from(d).map_err(|_| PyValueError::new_err(format!("{given:?} is not a shape: sizes are 0 or more")))
    };
    given.iter().map(size).collect()
}

fn float(dtype: Any<'_, '_>) -> PyResult<DType> {
    dtype.filter(|d| !d.is_none()).map_or(Ok(DType::F32), parse)
}

/// The key of a seed.
#[pyfunction]
fn key(py: Python<'_>, seed: u64) -> Object {
    wrap(py, run(py, || Ok(Key::new(seed).into()))?)
}

/// Keys unlike each other, made from one.
#[pyfunction]
#[pyo3(signature = (key, n = 2))]
fn split(key: &Bound<'_, PyAny>, n: usize) -> Object {
    let (py, key) = (key.py(), to_tensor(key)?);
    wrap(py, run(py, || core::try_split_key(&key, n))?)
}

/// The key of another one and an integer, for example of a step or a layer.
#[pyfunction]
fn fold_in(key: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> Object {
    let (py, key, data) = (key.py(), to_tensor(key)?, to_tensor(data)?);
    wrap(py, run(py, || core::try_fold_in(&key, &data))?)
}

/// Starts the sequence of keys again that functions take when they are given none.
#[pyfunction]
fn manual_seed(seed: u64) {
    core::seed(seed);
}

/// Numbers equally likely between `lo` and `hi`.
#[pyfunction]
#[pyo3(signature = (shape = None, *, key = None, lo = 0.0, hi = 1.0, dtype = None))]
fn uniform(py: Python<'_>, shape: Any<'_, '_>, key: Any<'_, '_>, lo: f64, hi: f64, dtype: Any<'_, '_>) -> Object {
    let (key, shape, dtype) = (key_of(py, key)?, sizes(shape)?, float(dtype)?);
    wrap(py, run(py, || core::try_uniform(&key, shape, lo, hi, dtype))?)
}

/// Numbers of the standard normal distribution.
#[pyfunction]
#[pyo3(signature = (shape = None, *, key = None, dtype = None))]
fn normal(py: Python<'_>, shape: Any<'_, '_>, key: Any<'_, '_>, dtype: Any<'_, '_>) -> Object {
    let (key, shape, dtype) = (key_of(py, key)?, sizes(shape)?, float(dtype)?);
    wrap(py, run(py, || core::try_normal(&key, shape, dtype))?)
}

/// Integers from `lo` up to `hi`, which is not included.
#[pyfunction]
#[pyo3(signature = (lo, hi, shape = None, *, key = None))]
fn randint(py: Python<'_>, lo: i64, hi: i64, shape: Any<'_, '_>, key: Any<'_, '_>) -> Object {
    let (key, shape) = (key_of(py, key)?, sizes(shape)?);
    wrap(py, run(py, || core::try_randint(&key, shape, lo, hi))?)
}

/// Truth values that are true with probability `p`.
#[pyfunction]
#[pyo3(signature = (p, shape = None, *, key = None))]
fn bernoulli(p: &Bound<'_, PyAny>, shape: Any<'_, '_>, key: Any<'_, '_>) -> Object {
    let py = p.py();
    let (key, p): (Tensor, Operand) = (key_of(py, key)?, operand(p)?);
    let shape = sizes(shape)?;
    wrap(py, run(py, || core::try_bernoulli(&key, p, shape))?)
}

/// The numbers from 0 to `n - 1` in random order.
#[pyfunction]
#[pyo3(signature = (n, *, key = None))]
fn permutation(py: Python<'_>, n: usize, key: Any<'_, '_>) -> Object {
    let key = key_of(py, key)?;
    wrap(py, run(py, || core::try_permutation(&key, n))?)
}

/// Draws from distributions given by logits along an axis.
#[pyfunction]
#[pyo3(signature = (logits, axis = -1, *, key = None))]
fn categorical(logits: &Bound<'_, PyAny>, axis: isize, key: Any<'_, '_>) -> Object {
    let py = logits.py();
    let (key, logits) = (key_of(py, key)?, to_tensor(logits)?);
    wrap(py, run(py, || core::try_categorical(&key, &logits, axis))?)
}

/// Elements set to 0 with probability `p`, the others scaled so that the expectation stays.
#[pyfunction]
#[pyo3(signature = (x, p = 0.5, *, key = None))]
fn dropout(x: &Bound<'_, PyAny>, p: f64, key: Any<'_, '_>) -> Object {
    let py = x.py();
    let (key, x) = (key_of(py, key)?, to_tensor(x)?);
    wrap(py, run(py, || x.try_dropout(&key, p))?)
}

/// Adds the functions to the module, under names of their own.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let random = PyModule::new(module.py(), "random")?;
    macro_rules! functions {
        ($($f:ident),*) => { $( random.add_function(wrap_pyfunction!($f, &random)?)?; )* };
    }
    functions!(
        key,
        split,
        fold_in,
        manual_seed,
        uniform,
        normal,
        randint,
        bernoulli,
        permutation,
        categorical,
        dropout
    );
    module.add("_random", random)
}
