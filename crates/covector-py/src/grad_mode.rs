//! `no_grad`: a region in which arrays are read without their derivatives.
//!
//! The library has no modes; this one lives at the border, where objects of Python become tensors, and holds for a thread.

use std::cell::Cell;

use pyo3::prelude::*;

thread_local! {
    static OFF: Cell<u32> = const { Cell::new(0) };
}

/// True inside `no_grad`.
#[inline]
pub fn is_off() -> bool {
    OFF.get() > 0
}

/// Inside `with no_grad():` results carry no derivatives, and leaves may be assigned into. Also a decorator.
#[pyclass(frozen, name = "no_grad", module = "covector")]
pub struct NoGrad;

#[pymethods]
impl NoGrad {
    #[new]
    fn new() -> NoGrad {
        NoGrad
    }
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        OFF.set(OFF.get() + 1);
        slf
    }
    fn __exit__(&self, _kind: &Bound<'_, PyAny>, _error: &Bound<'_, PyAny>, _trace: &Bound<'_, PyAny>) {
        OFF.set(OFF.get().saturating_sub(1));
    }
    fn __call__<'py>(&self, py: Python<'py>, function: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        py.import("covector._habits")?.getattr("without_grad")?.call1((function,))
    }
}
