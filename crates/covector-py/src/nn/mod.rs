//! Layers, optimisers and schedules of `covector-nn`, each behind one face, so that Python reaches all of them alike.
//!
//! The objects that people see are in `python/covector/nn.py` and `optim.py`: they hold parameters and pass them on. What is
//! computed, how weights begin and what they are called is in `covector-nn`.

mod build;
mod face;
mod layers;
mod modules;
mod optim;
mod schedule;

use covector::{Key, Tensor};
use pyo3::prelude::*;

use crate::convert::to_tensor;
use crate::errors::run;

/// The key that was given, or the next of the sequence that `manual_seed` starts.
fn key_of(py: Python<'_>, key: Option<&Bound<'_, PyAny>>) -> PyResult<Key> {
    match key.filter(|k| !k.is_none()) {
        Some(key) => {
            let key: Tensor = to_tensor(key)?;
            run(py, || Key::try_from(key))
        }
        None => run(py, || Ok(covector::random::default_key())),
    }
}

/// Adds the modules `_nn` and `_optim`.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    layers::add(module)?;
    let optim = PyModule::new(module.py(), "optim")?;
    optim::add(&optim)?;
    schedule::add(&optim)?;
    module.add("_optim", optim)
}
