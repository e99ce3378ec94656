//! The operators of arrays: with arrays, numbers and what can be read as an array, on either side and in place.

use covector::{DType, Operand, Result, Tensor};
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::array::{Object, PyArray, wrap};
use crate::convert::{fits, operand};
use crate::dtype::long_name;
use crate::errors::run;

/// A new array from an operator; `NotImplemented` where the other operand is nothing we know.
#[inline]
fn binary(this: &PyArray, other: &Bound<'_, PyAny>, f: impl FnOnce(&Tensor, Operand) -> Result<Tensor>) -> Object {
    let py = other.py();
    let Some(other) = met(this, other)? else { return Ok(py.NotImplemented()) };
    let x = this.tensor();
    wrap(py, run(py, || f(&x, other))?)
}

fn met(this: &PyArray, other: &Bound<'_, PyAny>) -> PyResult<Option<Operand>> {
    match operand(other) {
        Ok(number @ (Operand::Int(_) | Operand::Float(_))) => {
            fits(&number, this.handle().dtype())?;
            Ok(Some(number))
        }
        Ok(tensor) => Ok(Some(tensor)),
        Err(e) if e.is_instance_of::<PyTypeError>(other.py()) => Ok(None),
        Err(e) => Err(e),
    }
}

/// As [`binary`], with the operands exchanged.
fn reflected(this: &PyArray, other: &Bound<'_, PyAny>, f: impl FnOnce(&Tensor, Operand) -> Result<Tensor>) -> Object {
    let py = other.py();
    let Some(other) = met(this, other)? else { return Ok(py.NotImplemented()) };
    let x = this.tensor();
    wrap(py, run(py, || f(&other.beside(&x), Operand::Tensor(x)))?)
}

/// The result of an operator written back, in the shape and dtype it had.
fn in_place(
    this: &PyArray,
    other: &Bound<'_, PyAny>,
    f: impl FnOnce(&Tensor, Operand) -> Result<Tensor>,
) -> PyResult<()> {
    let py = other.py();
    let other = operand(other)?;
    let x = this.tensor();
    fits(&other, x.dtype())?;
    let y = run(py, || f(&x, other))?;
    if y.shape() != x.shape() {
        let text = format!("the result has the shape {}, which cannot be written into {}", y.shape(), x.shape());
        return Err(PyValueError::new_err(text));
    }
    let y = if y.dtype() == x.dtype() {
        y
    } else if y.dtype().is_inexact() && !x.dtype().is_inexact()
        || y.dtype().is_complex() && !x.dtype().is_complex()
        || x.dtype() == DType::Bool
    {
        let (from, to) = (long_name(y.dtype()), long_name(x.dtype()));
        return Err(PyTypeError::new_err(format!("a result of dtype {from} cannot be written into an array of {to}")));
    } else {
        run(py, || y.try_cast(x.dtype()))?
    };
    this.replace(y)
}

/// Integers that the dtype does not hold are compared as what they are.
fn compared(this: &PyArray, other: &Bound<'_, PyAny>) -> PyResult<Option<Operand>> {
    match operand(other) {
        Ok(Operand::Int(i)) if fits(&Operand::Int(i), this.handle().dtype()).is_err() => {
            run(other.py(), || Ok(Some(Operand::Tensor(Tensor::from(i)))))
        }
        Ok(other) => Ok(Some(other)),
        Err(e) if e.is_instance_of::<PyTypeError>(other.py()) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The matrix product, whose right operand is no number.
fn product(x: &Tensor, other: Operand) -> Result<Tensor> {
    match other {
        Operand::Tensor(y) => x.try_matmul(&y),
        _ => Err(covector::Error::new("a number is no matrix").hint("use `*`").of_kind(covector::ErrorKind::Type)),
    }
}

#[pymethods]
impl PyArray {
    fn __richcmp__(&self, other: &Bound<'_, PyAny>, how: CompareOp) -> Object {
        let py = other.py();
        let Some(other) = compared(self, other)? else { return Ok(py.NotImplemented()) };
        let x = self.tensor();
        let y = run(py, || match how {
            CompareOp::Eq => x.try_equal(other),
            CompareOp::Ne => x.try_not_equal(other),
            CompareOp::Lt => x.try_less(other),
            CompareOp::Le => x.try_less_equal(other),
            CompareOp::Gt => x.try_greater(other),
            CompareOp::Ge => x.try_greater_equal(other),
        })?;
        wrap(py, y)
    }

    fn __neg__(&self, py: Python<'_>) -> Object {
        let x = self.tensor();
        wrap(py, run(py, || x.try_negative())?)
    }
    fn __pos__(&self, py: Python<'_>) -> Object {
        wrap(py, self.tensor())
    }
    fn __abs__(&self, py: Python<'_>) -> Object {
        let x = self.tensor();
        wrap(py, run(py, || x.try_abs())?)
    }
    fn __invert__(&self, py: Python<'_>) -> Object {
        let x = self.tensor();
        wrap(py, run(py, || x.try_bitwise_invert())?)
    }
    fn __pow__(&self, other: &Bound<'_, PyAny>, modulo: Option<&Bound<'_, PyAny>>) -> Object {
        if modulo.is_some() {
            return Err(PyTypeError::new_err("powers take no modulus here"));
        }
        binary(self, other, |a, b| a.try_pow(b))
    }
    fn __rpow__(&self, other: &Bound<'_, PyAny>, _modulo: Option<&Bound<'_, PyAny>>) -> Object {
        reflected(self, other, |a, b| a.try_pow(b))
    }
    fn __ipow__(&self, other: &Bound<'_, PyAny>, _modulo: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_pow(b))
    }
    fn __add__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, |a, b| a.try_add(b))
    }
    fn __radd__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, |a, b| a.try_add(b))
    }
    fn __iadd__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_add(b))
    }
    fn __sub__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, |a, b| a.try_subtract(b))
    }
    fn __rsub__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, |a, b| a.try_subtract(b))
    }
    fn __isub__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_subtract(b))
    }
    fn __mul__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, |a, b| a.try_multiply(b))
    }
    fn __rmul__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, |a, b| a.try_multiply(b))
    }
    fn __imul__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_multiply(b))
    }
    fn __truediv__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, |a, b| a.try_divide(b))
    }
    fn __rtruediv__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, |a, b| a.try_divide(b))
    }
    fn __itruediv__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_divide(b))
    }
    fn __floordiv__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, |a, b| a.try_floor_divide(b))
    }
    fn __rfloordiv__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, |a, b| a.try_floor_divide(b))
    }
    fn __ifloordiv__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_floor_divide(b))
    }
    fn __mod__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, |a, b| a.try_remainder(b))
    }
    fn __rmod__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, |a, b| a.try_remainder(b))
    }
    fn __imod__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_remainder(b))
    }
    fn __and__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, |a, b| a.try_bitwise_and(b))
    }
    fn __rand__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, |a, b| a.try_bitwise_and(b))
    }
    fn __iand__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_bitwise_and(b))
    }
    fn __or__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, |a, b| a.try_bitwise_or(b))
    }
    fn __ror__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, |a, b| a.try_bitwise_or(b))
    }
    fn __ior__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_bitwise_or(b))
    }
    fn __xor__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, |a, b| a.try_bitwise_xor(b))
    }
    fn __rxor__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, |a, b| a.try_bitwise_xor(b))
    }
    fn __ixor__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_bitwise_xor(b))
    }
    fn __lshift__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, |a, b| a.try_bitwise_left_shift(b))
    }
    fn __rlshift__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, |a, b| a.try_bitwise_left_shift(b))
    }
    fn __ilshift__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_bitwise_left_shift(b))
    }
    fn __rshift__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, |a, b| a.try_bitwise_right_shift(b))
    }
    fn __rrshift__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, |a, b| a.try_bitwise_right_shift(b))
    }
    fn __irshift__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, |a, b| a.try_bitwise_right_shift(b))
    }
    fn __matmul__(&self, other: &Bound<'_, PyAny>) -> Object {
        binary(self, other, product)
    }
    fn __rmatmul__(&self, other: &Bound<'_, PyAny>) -> Object {
        reflected(self, other, product)
    }
    fn __imatmul__(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(self, other, product)
    }
}
