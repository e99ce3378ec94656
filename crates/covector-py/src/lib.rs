//! covector for Python: arrays that differentiate, behind the Array API.
//!
//! Thin on purpose: objects of Python become tensors, ops of the registry are called, results become objects again. What
//! an op computes is in `covector`; here is how Python calls it. Must never hold mathematics.
#![deny(unsafe_code)]
#![allow(missing_docs)]

mod array;
mod call;
mod convert;
mod dtype;
mod errors;
// The border to the C interface, with the only unsafe code here.
#[allow(unsafe_code)]
mod ffi;
mod grad_mode;
mod habits;
mod indexing;
mod inspect;
mod limits;
mod nn;
mod operators;
mod random;
mod scalar;
mod standard;
mod table;
mod transform;
mod tree;

use std::collections::HashSet;
use std::sync::Mutex;

use pyo3::prelude::*;

/// Text that lives as long as the process: names of files, and of what is made once.
pub(crate) fn intern(text: &str) -> &'static str {
    static KNOWN: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(|e| e.into_inner());
    let known = known.get_or_insert_with(HashSet::new);
    if let Some(found) = known.get(text) {
        return found;
    }
    let leaked: &'static str = Box::leak(text.to_owned().into_boxed_str());
    known.insert(leaked);
    leaked
}

/// The compiled part of the package.
#[pymodule]
#[pyo3(name = "_core")]
fn core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::begin();
    let py = module.py();
    module.add_class::<array::PyArray>()?;
    module.add_class::<dtype::PyDType>()?;
    module.add_class::<indexing::At>()?;
    module.add_class::<indexing::Place>()?;
    module.add_class::<grad_mode::NoGrad>()?;
    for dtype in covector::DType::ALL {
        module.add(dtype::long_name(dtype), dtype::object(py, dtype))?;
    }
    module.add_function(wrap_pyfunction!(array::rebuild, module)?)?;
    call::add_ops(module)?;
    standard::add(module)?;
    limits::add(module)?;
    module.add("LinAlgError", py.get_type::<errors::LinAlgError>())?;
    random::add(module)?;
    scalar::add(module)?;
    transform::add(module)?;
    inspect::add(module)?;
    nn::add(module)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
