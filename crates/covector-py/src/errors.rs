//! From errors and panics of Rust to exceptions of Python, of the right kind and at the user's line.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::time::{Duration, Instant};

use covector::{Error, ErrorKind, Result, at_line};
use pyo3::create_exception;
use pyo3::exceptions::{PyIndexError, PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::ffi;

create_exception!(covector, LinAlgError, PyValueError, "A matrix with which an op of linear algebra cannot do.");

thread_local! {
    /// True while panics become exceptions: then nothing is printed.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    /// What a handler of signals raised while this thread computed.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
    /// When the handlers were last run.
    static ASKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Between two runs of the handlers on a thread.
const PAUSE: Duration = Duration::from_millis(10);

/// Runs the handlers of signals that have arrived; true if one raised an exception (`KeyboardInterrupt`, after Ctrl-C),
/// which ends the computation. Handlers run on the main thread alone: elsewhere this does nothing.
fn watch() -> bool {
    let now = Instant::now();
    if ASKED.get().is_some_and(|last| now.duration_since(last) < PAUSE) {
        return false;
    }
    ASKED.set(Some(now));
    match Python::attach(|py| py.check_signals()) {
        Ok(()) => false,
        Err(error) => {
            RAISED.set(Some(error));
            true
        }
    }
}

/// How hints are said in Python.
const SPOKEN: [(&str, &str); 16] = [
    (".cast(DType::I64)", ".astype(cv.int64)"),
    (".cast(DType::I32)", ".astype(cv.int32)"),
    (".cast(DType::F32)", ".astype(cv.float32)"),
    (".cast(DType::F64)", ".astype(cv.float64)"),
    (".cast(DType::Bool)", ".astype(cv.bool)"),
    (".requires_grad()", ".requires_grad_()"),
    (".sum(..)", ".sum()"),
    (".mean(..)", ".mean()"),
    ("`to_vec`", "`tolist`"),
    ("`to_f64`", "`float`"),
    ("`where_`", "`where`"),
    ("w.t()", "w.T"),
    (".t()", ".T"),
    ("`Key::new(seed)`", "`random.key(seed)`"),
    ("`..` takes one whole axis", "`:` takes one whole axis"),
    ("`None` as input axis", "`None` among `in_axes`"),
];

fn spoken(text: String) -> String {
    SPOKEN.iter().fold(text, |text, (rust, python)| if text.contains(rust) { text.replace(rust, python) } else { text })
}

/// The exception for an error.
pub fn exception(error: &Error) -> PyErr {
    let text = spoken(error.to_string());
    match error.kind() {
        ErrorKind::Type => PyTypeError::new_err(text),
        ErrorKind::Index => PyIndexError::new_err(text),
        ErrorKind::Memory => PyMemoryError::new_err(text),
        ErrorKind::LinearAlgebra(_) => LinAlgError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}

/// Lets an exception of the user's function pass through Rust.
pub fn throw(error: PyErr) -> ! {
    panic::resume_unwind(Box::new(error))
}

fn of_panic(payload: Box<dyn Any + Send>) -> PyErr {
    let text = match payload.downcast::<PyErr>() {
        Ok(error) => return *error,
        Err(other) => match other.downcast::<String>() {
            Ok(text) => *text,
            Err(other) => other.downcast_ref::<&str>().map_or_else(|| "a panic".to_owned(), |s| (*s).to_owned()),
        },
    };
    if text.starts_with("out of memory") { PyMemoryError::new_err(text) } else { PyValueError::new_err(spoken(text)) }
}

/// Runs what may fail or panic on behalf of the line of Python that runs now.
#[inline]
pub fn run<R>(py: Python<'_>, body: impl FnOnce() -> Result<R>) -> PyResult<R> {
    match caught(py, body)? {
        Ok(value) => Ok(value),
        Err(error) => Err(exception(&error)),
    }
}

/// As [`run`], for what fails in Python's own way.
pub fn run_python<R>(py: Python<'_>, body: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    caught(py, body)?
}

#[inline]
fn caught<R>(py: Python<'_>, body: impl FnOnce() -> R) -> PyResult<R> {
    let outer = GUARDED.replace(true);
    let result = at_line(ffi::line(py), || panic::catch_unwind(AssertUnwindSafe(body)));
    GUARDED.set(outer);
    match RAISED.take() {
        Some(error) => Err(error),
        None => result.map_err(of_panic),
    }
}

/// Runs a computation without holding the interpreter. What was given up for the sake of another thread begins again.
pub fn compute<R: Send>(py: Python<'_>, body: impl Fn() -> Result<R> + Send + Sync) -> PyResult<R> {
    loop {
        match caught(py, || py.detach(&body))? {
            Ok(value) => return Ok(value),
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) => return Err(exception(&error)),
        }
    }
}

/// Keeps quiet about panics that become exceptions, and lets signals end computations.
pub fn begin() {
    covector::threads::set_watch(watch);
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
}
