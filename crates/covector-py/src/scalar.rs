//! `Value`: the mini engine, whose numbers remember what they were made of.
//!
//! An expression is kept as objects of Python; its value is computed at once, its derivatives when `backward` asks, by the
//! tape of `covector::scalar` on which the expression is written down.

use std::collections::HashMap;
use std::sync::Mutex;

use covector::scalar::{Tape, Value};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors::run;

/// The ops of one operand that scalars have.
macro_rules! unary {
    ($name:expr, $x:expr, [$($op:ident),*]) => { match $name { $( stringify!($op) => Some($x.$op()), )* _ => None } };
}
macro_rules! binary {
    ($name:expr, $x:expr, $y:expr, [$($op:ident),*]) => { match $name { $( stringify!($op) => Some($x.$op($y)), )* _ => None } };
}

/// The names of both, for methods.
const UNARY: [&str; 22] = [
    "negative",
    "exp",
    "log",
    "tanh",
    "sin",
    "cos",
    "tan",
    "sqrt",
    "square",
    "abs",
    "sigmoid",
    "relu",
    "softplus",
    "erf",
    "log1p",
    "expm1",
    "reciprocal",
    "sinh",
    "cosh",
    "atan",
    "gelu",
    "silu",
];

fn applied<'t>(name: &str, x: &[Value<'t>]) -> Option<Value<'t>> {
    match x {
        [x] => unary!(
            name,
            x,
            [
                negative, exp, log, tanh, sin, cos, tan, sqrt, square, abs, sigmoid, relu, softplus, erf, log1p, expm1,
                reciprocal, sinh, cosh, atan, gelu, silu
            ]
        ),
        [x, y] => binary!(name, x, *y, [add, subtract, multiply, divide, pow, maximum, minimum, atan2, hypot]),
        _ => None,
    }
}

/// A number that remembers what it was made of.
///
/// ```python
/// x, w, b = Value(2.0), Value(-3.0), Value(0.5)
/// y = (x * w + b).tanh()
/// y.backward()
/// print(y.data, x.grad, w.grad, b.grad)
/// ```
#[pyclass(frozen, weakref, name = "Value", module = "covector.scalar")]
pub struct PyValue {
    data: f64,
    op: &'static str,
    operands: Mutex<Vec<Py<PyValue>>>,
    grad: Mutex<f64>,
    label: String,
}

impl Drop for PyValue {
    /// Long expressions are taken apart without recursion.
    fn drop(&mut self) {
        let mut waiting = std::mem::take(self.operands.get_mut().unwrap_or_else(|e| e.into_inner()));
        if waiting.is_empty() {
            return;
        }
        Python::attach(|py| {
            while let Some(value) = waiting.pop() {
                if value.get_refcnt(py) == 1 {
                    waiting.append(&mut value.get().operands.lock().unwrap_or_else(|e| e.into_inner()));
                }
            }
        });
    }
}

type Made = PyResult<Py<PyValue>>;

fn read(object: &Bound<'_, PyAny>) -> Made {
    let py = object.py();
    if let Ok(value) = object.cast::<PyValue>() {
        return Ok(value.clone().unbind());
    }
    let data: f64 = object.extract()?;
    Py::new(py, leaf(data, String::new()))
}

fn leaf(data: f64, label: String) -> PyValue {
    PyValue { data, op: "", operands: Mutex::new(Vec::new()), grad: Mutex::new(0.0), label }
}

/// The result of an op, computed on a tape of its own.
fn made(py: Python<'_>, op: &'static str, operands: Vec<Py<PyValue>>) -> Made {
    let data = run(py, || {
        let tape = Tape::new();
        let values: Vec<Value<'_>> = operands.iter().map(|v| tape.value(v.get().data)).collect();
        applied(op, &values).map(|y| y.data()).ok_or_else(|| covector::Error::new(format!("scalars have no `{op}`")))
    })?;
    Py::new(py, PyValue { data, op, operands: Mutex::new(operands), grad: Mutex::new(0.0), label: String::new() })
}

fn pair(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>, op: &'static str) -> PyResult<Py<PyAny>> {
    match (read(a), read(b)) {
        (Ok(x), Ok(y)) => Ok(made(a.py(), op, vec![x, y])?.into_any()),
        _ => Ok(a.py().NotImplemented()),
    }
}

#[pymethods]
impl PyValue {
    #[new]
    #[pyo3(signature = (data, label = String::new()))]
    fn new(data: f64, label: String) -> PyValue {
        leaf(data, label)
    }

    /// The number.
    #[getter]
    fn data(&self) -> f64 {
        self.data
    }

    /// The derivative that `backward` has left here; 0 before.
    #[getter]
    fn grad(&self) -> f64 {
        *self.grad.lock().unwrap_or_else(|e| e.into_inner())
    }

    #[setter]
    fn set_grad(&self, grad: f64) {
        *self.grad.lock().unwrap_or_else(|e| e.into_inner()) = grad;
    }

    /// The name it was given.
    #[getter]
    fn label(&self) -> &str {
        &self.label
    }

    /// Adds to every value this was made of the derivative of this value.
    fn backward(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        // Operands before users, without recursion.
        let (mut order, mut places): (Vec<Py<PyValue>>, HashMap<usize, usize>) = (Vec::new(), HashMap::new());
        let mut stack = vec![(slf.clone().unbind(), false)];
        while let Some((value, ready)) = stack.pop() {
            let key = value.as_ptr() as usize;
            if places.contains_key(&key) {
                continue;
            }
            if ready {
                places.insert(key, order.len());
                order.push(value);
                continue;
            }
            let operands: Vec<Py<PyValue>> = {
                let held = value.get().operands.lock().unwrap_or_else(|e| e.into_inner());
                held.iter().map(|v| v.clone_ref(py)).collect()
            };
            stack.push((value, true));
            stack.extend(operands.into_iter().map(|v| (v, false)));
        }
        let grads = run(py, || {
            let tape = Tape::new();
            let mut values: Vec<Value<'_>> = Vec::with_capacity(order.len());
            for value in &order {
                let value = value.get();
                let operands: Vec<Value<'_>> = {
                    let held = value.operands.lock().unwrap_or_else(|e| e.into_inner());
                    held.iter().map(|v| values[places[&(v.as_ptr() as usize)]]).collect()
                };
                let made =
                    if operands.is_empty() { Some(tape.value(value.data)) } else { applied(value.op, &operands) };
                values.push(made.ok_or_else(|| covector::Error::new("an unknown op"))?);
            }
            let Some(last) = values.last() else { return Ok(Vec::new()) };
            let grads = last.backward();
            Ok(values.iter().map(|v| grads.of(*v)).collect::<Vec<f64>>())
        })?;
        for (value, grad) in order.iter().zip(grads) {
            *value.get().grad.lock().unwrap_or_else(|e| e.into_inner()) += grad;
        }
        Ok(())
    }

    fn __add__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        pair(slf, other, "add")
    }
    fn __radd__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        pair(other, slf, "add")
    }
    fn __sub__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        pair(slf, other, "subtract")
    }
    fn __rsub__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        pair(other, slf, "subtract")
    }
    fn __mul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        pair(slf, other, "multiply")
    }
    fn __rmul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        pair(other, slf, "multiply")
    }
    fn __truediv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        pair(slf, other, "divide")
    }
    fn __rtruediv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        pair(other, slf, "divide")
    }
    fn __pow__(
        slf: &Bound<'_, Self>,
        other: &Bound<'_, PyAny>,
        _modulo: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        pair(slf, other, "pow")
    }
    fn __rpow__(
        slf: &Bound<'_, Self>,
        other: &Bound<'_, PyAny>,
        _modulo: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        pair(other, slf, "pow")
    }
    fn __neg__(slf: Py<Self>, py: Python<'_>) -> Made {
        made(py, "negative", vec![slf])
    }
    fn __abs__(slf: Py<Self>, py: Python<'_>) -> Made {
        made(py, "abs", vec![slf])
    }
    fn __float__(&self) -> f64 {
        self.data
    }

    /// The other functions of scalars: `exp`, `log`, `tanh`, `relu` ...
    fn __getattr__(slf: Py<Self>, name: &str) -> PyResult<ScalarMethod> {
        match UNARY.iter().find(|op| **op == name) {
            Some(op) => Ok(ScalarMethod { op, this: slf }),
            None => Err(pyo3::exceptions::PyAttributeError::new_err(format!(
                "Value has no attribute {name:?}\n  hint: functions are {}",
                UNARY.join(", ")
            ))),
        }
    }

    fn __repr__(&self) -> String {
        format!("Value(data={}, grad={})", self.data, self.grad())
    }
}

/// A function of a scalar, about to be called.
#[pyclass(frozen, module = "covector.scalar")]
pub struct ScalarMethod {
    op: &'static str,
    this: Py<PyValue>,
}

#[pymethods]
impl ScalarMethod {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Made {
        if !args.is_empty() || kwargs.is_some() {
            return Err(PyTypeError::new_err(format!("{}() takes no arguments", self.op)));
        }
        made(py, self.op, vec![self.this.clone_ref(py)])
    }
}

/// Adds the class.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyValue>()
}
