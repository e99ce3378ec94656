//! From Python objects to tensors and operands, and back to numbers and lists.

use covector::{Array, DType, Operand, Shape, Tensor, c128};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyFloat, PyInt, PyList, PySequence, PyString, PyTuple};

use crate::array::PyArray;
use crate::errors::{compute, run};
use crate::ffi;

/// Numbers read from nested lists, in the narrowest kind that holds them all.
#[derive(Default)]
struct Numbers {
    bools: usize,
    floats: usize,
    ints: Vec<i64>,
    /// As floats; kept beside the integers because nobody knows what comes.
    reals: Vec<f64>,
    /// The imaginary parts of complex numbers, and where they are.
    imaginary: Vec<(usize, f64)>,
    /// Integers that only an unsigned type holds.
    large: bool,
    /// Some are NumPy's, in 64 bits each part.
    wide: bool,
    arrays: Vec<Tensor>,
}

impl Numbers {
    fn count(&self) -> usize {
        self.reals.len() + self.arrays.len()
    }

    fn push(&mut self, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Ok(b) = item.cast::<PyBool>() {
            self.bools += 1;
            self.number(i64::from(b.is_true()), f64::from(u8::from(b.is_true())));
        } else if let Ok(x) = item.cast::<PyFloat>() {
            self.floats += 1;
            self.wide |= has_dtype(item);
            self.number(0, x.value());
        } else if item.cast::<PyInt>().is_ok() {
            match item.extract::<i64>() {
                Ok(i) => self.number(i, i as f64),
                Err(_) => {
                    let i: u64 = item.extract().map_err(|_| too_large(item))?;
                    self.large = true;
                    self.number(i as i64, i as f64);
                }
            }
        } else if let Ok(z) = item.cast::<PyComplex>() {
            self.wide |= has_dtype(item);
            self.imaginary.push((self.reals.len(), z.imag()));
            self.number(0, z.real());
        } else if let Some(tensor) = foreign(item, None)? {
            self.arrays.push(tensor);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn number(&mut self, i: i64, x: f64) {
        self.ints.push(i);
        self.reals.push(x);
    }

    fn array(self, shape: Shape, dtype: Option<DType>) -> Array {
        if !self.imaginary.is_empty() {
            let mut all: Vec<c128> = self.reals.iter().map(|&re| c128::new(re, 0.0)).collect();
            self.imaginary.iter().for_each(|&(at, im)| all[at].im = im);
            let found = if self.wide { DType::C128 } else { DType::C64 };
            return cast(Array::from_slice(&all, shape), dtype.unwrap_or(found));
        }
        let found = if self.wide {
            DType::F64
        } else if self.floats > 0 {
            DType::F32
        } else if self.bools == self.reals.len() && self.bools > 0 {
            DType::Bool
        } else if self.reals.is_empty() {
            DType::F32
        } else if self.large {
            DType::U64
        } else {
            DType::I64
        };
        let wanted = dtype.unwrap_or(found);
        if self.floats > 0 || (wanted.is_inexact() && !self.reals.is_empty()) {
            return match wanted {
                DType::F32 => Array::from_slice(&self.reals.iter().map(|&x| x as f32).collect::<Vec<f32>>(), shape),
                _ => cast(Array::from_slice(&self.reals, shape), wanted),
            };
        }
        if self.large {
            return cast(Array::from_slice(&self.ints.iter().map(|&i| i as u64).collect::<Vec<u64>>(), shape), wanted);
        }
        cast(Array::from_slice(&self.ints, shape), wanted)
    }
}

fn cast(array: Array, dtype: DType) -> Array {
    if array.dtype() == dtype { array } else { covector::kernels::cast(&array, dtype) }
}

fn too_large(item: &Bound<'_, PyAny>) -> PyErr {
    PyOverflowError::new_err(format!("{item} is beyond the 64-bit integers"))
}

/// The list or tuple an object is.
fn as_sequence<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, PySequence>> {
    let listed = object.cast::<PyList>().is_ok() || object.cast::<PyTuple>().is_ok();
    if listed || (object.cast::<PySequence>().is_ok() && object.cast::<PyString>().is_err()) {
        return object.cast::<PySequence>().ok();
    }
    None
}

fn shape_of(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Vec<usize>> {
    if depth > 64 {
        return Err(PyValueError::new_err("lists are nested more than 64 deep"));
    }
    match as_sequence(object) {
        Some(list) if object.cast::<PyArray>().is_err() => {
            let n = list.len()?;
            let mut shape = vec![n];
            if n > 0 {
                shape.extend(shape_of(&list.get_item(0)?, depth + 1)?);
            }
            Ok(shape)
        }
        _ => Ok(Vec::new()),
    }
}

fn fill(object: &Bound<'_, PyAny>, shape: &[usize], out: &mut Numbers) -> PyResult<()> {
    let Some((&n, inner)) = shape.split_first() else {
        if as_sequence(object).is_some() && object.cast::<PyArray>().is_err() {
            return Err(uneven());
        }
        return match out.push(object)? {
            true => Ok(()),
            false => Err(no_number(object)),
        };
    };
    let list = as_sequence(object).ok_or_else(uneven)?;
    if list.len()? != n {
        return Err(uneven());
    }
    (0..n).try_for_each(|i| fill(&list.get_item(i)?, inner, out))
}

fn uneven() -> PyErr {
    PyValueError::new_err("the lists are of different lengths or depths, so they are no array")
}

fn no_number(object: &Bound<'_, PyAny>) -> PyErr {
    let kind = object.get_type().name().map(|n| n.to_string()).unwrap_or_default();
    PyTypeError::new_err(format!("{kind} cannot be read as an array or a number"))
}

/// The tensor an array of ours or of another library is; `None` if it is none.
fn foreign(object: &Bound<'_, PyAny>, copy: Option<bool>) -> PyResult<Option<Tensor>> {
    let py = object.py();
    if let Ok(array) = object.cast::<PyArray>() {
        return Ok(Some(array.get().tensor()));
    }
    if object.cast::<PyString>().is_ok() {
        return Ok(None);
    }
    if let Some(array) = ffi::from_buffer(object, copy)? {
        return run(py, || Ok(Tensor::from_array(array))).map(Some);
    }
    if object.hasattr("__dlpack__")? {
        return from_dlpack(object, copy).map(Some);
    }
    if object.hasattr("__array__")? {
        let array = object.call_method0("__array__")?;
        if array.cast::<PyArray>().is_err()
            && let Some(array) = ffi::from_buffer(&array, copy)?
        {
            return run(py, || Ok(Tensor::from_array(array))).map(Some);
        }
    }
    Ok(None)
}

/// A tensor on the memory another library offers through DLPack.
pub fn from_dlpack(object: &Bound<'_, PyAny>, copy: Option<bool>) -> PyResult<Tensor> {
    let py = object.py();
    let options = pyo3::types::PyDict::new(py);
    options.set_item("max_version", (1, 0))?;
    let capsule = match object.call_method("__dlpack__", (), Some(&options)) {
        Err(e) if e.is_instance_of::<PyTypeError>(py) => object.call_method0("__dlpack__")?,
        other => other?,
    };
    let array = ffi::from_dlpack(&capsule, copy)?;
    run(py, || Ok(Tensor::from_array(array)))
}

/// The tensor of anything that can be read as one.
pub fn to_tensor(object: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    if let Ok(array) = object.cast_exact::<PyArray>() {
        return Ok(array.get().tensor());
    }
    read(object, None, None)
}

/// True for NumPy's float64 and complex128, which are floats and complex numbers of Python, too: they are arrays of a dtype.
pub fn has_dtype(object: &Bound<'_, PyAny>) -> bool {
    let exact = object.cast_exact::<PyFloat>().is_ok() || object.cast_exact::<PyComplex>().is_ok();
    let number = object.cast::<PyFloat>().is_ok() || object.cast::<PyComplex>().is_ok();
    !exact && number && object.hasattr("dtype").unwrap_or(false)
}

/// True for a number of Python, which takes the dtype of what it meets.
pub fn is_number(object: &Bound<'_, PyAny>) -> bool {
    if object.cast::<PyFloat>().is_ok() || object.cast::<PyComplex>().is_ok() {
        return !has_dtype(object);
    }
    object.cast::<PyInt>().is_ok()
}

/// As [`to_tensor`], in a dtype of choice and with a wish about copying.
pub fn read(object: &Bound<'_, PyAny>, dtype: Option<DType>, copy: Option<bool>) -> PyResult<Tensor> {
    let py = object.py();
    let plain = is_number(object) || has_dtype(object);
    let listed = object.cast::<PyList>().is_ok() || object.cast::<PyTuple>().is_ok();
    if !plain
        && !listed
        && let Some(tensor) = foreign(object, copy)?
    {
        return match dtype {
            Some(dtype) if dtype != tensor.dtype() && copy == Some(false) => {
                Err(PyValueError::new_err("another dtype cannot be had without a copy"))
            }
            Some(dtype) => run(py, || tensor.try_cast(dtype)),
            None => Ok(tensor),
        };
    }
    if !plain && as_sequence(object).is_none() {
        return Err(no_number(object));
    }
    if copy == Some(false) {
        return Err(PyValueError::new_err("numbers and lists cannot be read without a copy"));
    }
    let mut numbers = Numbers::default();
    let shape: Shape = shape_of(object, 0)?.into_iter().collect();
    if let Err(error) = fill(object, &shape, &mut numbers) {
        // Lists beside arrays of several elements: every item becomes an array.
        let Some(list) = as_sequence(object) else { return Err(error) };
        let items: Vec<Bound<'_, PyAny>> = (0..list.len()?).map(|i| list.get_item(i)).collect::<PyResult<_>>()?;
        let mut arrays = false;
        for item in &items {
            arrays |= item.cast::<PyArray>().is_ok() || item.hasattr("__array__")?;
        }
        if !arrays {
            return Err(error);
        }
        let items: Vec<Tensor> = items.iter().map(|item| read(item, None, None)).collect::<PyResult<_>>()?;
        return stacked(py, &items, None, dtype);
    }
    if let Some(dtype) = dtype {
        in_range(&numbers, dtype)?;
    }
    if numbers.arrays.is_empty() {
        return run(py, || Ok(Tensor::from_array(numbers.array(shape, dtype))));
    }
    if numbers.arrays.len() != numbers.count() {
        // Arrays among numbers: every item becomes an array.
        let list = as_sequence(object).ok_or_else(uneven)?;
        let items: Vec<Tensor> =
            (0..list.len()?).map(|i| read(&list.get_item(i)?, None, None)).collect::<PyResult<_>>()?;
        return stacked(py, &items, None, dtype);
    }
    stacked(py, &numbers.arrays, Some(shape), dtype)
}

/// Arrays of one shape as one array, whose leading axes are `lead`.
fn stacked(py: Python<'_>, items: &[Tensor], lead: Option<Shape>, dtype: Option<DType>) -> PyResult<Tensor> {
    run(py, || {
        let joint = items.iter().map(Tensor::dtype).reduce(DType::promote).unwrap_or(DType::F32);
        let items: Vec<Tensor> = items.iter().map(|t| t.cast(dtype.unwrap_or(joint))).collect();
        let whole = covector::ops::concat::try_stack(&items, 0)?;
        match lead {
            None => Ok(whole),
            Some(lead) => {
                let shape: Shape = lead.iter().chain(&whole.shape()[1..]).copied().collect();
                whole.try_reshape(&shape)
            }
        }
    })
}

/// Refuses integers that a dtype does not hold, and complex numbers in others.
fn in_range(numbers: &Numbers, dtype: DType) -> PyResult<()> {
    if !numbers.imaginary.is_empty() {
        return complex_in(dtype);
    }
    if !dtype.is_int() || numbers.floats > 0 {
        return Ok(());
    }
    let odd = numbers.ints.iter().find(|&&i| !(holds(dtype, i) || numbers.large && dtype == DType::U64));
    odd.map_or(Ok(()), |i| Err(beyond(*i, dtype)))
}

/// Refuses complex numbers in a dtype that has none.
pub fn complex_in(dtype: DType) -> PyResult<()> {
    if dtype.is_complex() {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!("a complex number cannot be had as {}", crate::dtype::long_name(dtype))))
}

fn beyond(i: i64, dtype: DType) -> PyErr {
    PyOverflowError::new_err(format!("{i} is out of the bounds of {}", crate::dtype::long_name(dtype)))
}

fn holds(dtype: DType, i: i64) -> bool {
    match dtype {
        DType::U64 => i >= 0,
        DType::I64 => true,
        d if d.is_unsigned() => i >= 0 && i < 1i64 << (8 * d.size()),
        d if d.is_int() => (-(1i64 << (8 * d.size() - 1))..1i64 << (8 * d.size() - 1)).contains(&i),
        _ => true,
    }
}

/// An operand of a function: an array, or a number that takes the dtype of what it meets.
#[inline]
pub fn operand(object: &Bound<'_, PyAny>) -> PyResult<Operand> {
    if let Ok(array) = object.cast_exact::<PyArray>() {
        return Ok(Operand::Tensor(array.get().tensor()));
    }
    if let Ok(x) = object.cast::<PyFloat>()
        && !has_dtype(object)
    {
        return Ok(Operand::Float(x.value()));
    }
    if let Ok(z) = object.cast::<PyComplex>()
        && !has_dtype(object)
    {
        return Ok(Operand::Complex(c128::new(z.real(), z.imag())));
    }
    if let Ok(b) = object.cast::<PyBool>() {
        return run(object.py(), || Ok(Operand::Tensor(Tensor::from(b.is_true()))));
    }
    if object.cast::<PyInt>().is_ok() {
        return match object.extract::<i64>() {
            Ok(i) => Ok(Operand::Int(i)),
            Err(_) => match object.extract::<u64>() {
                Ok(i) => run(object.py(), || Ok(Operand::Tensor(Tensor::from(i)))),
                Err(_) => Err(too_large(object)),
            },
        };
    }
    to_tensor(object).map(Operand::Tensor)
}

/// Refuses a number that the integers it meets do not hold.
#[inline]
pub fn fits(number: &Operand, dtype: DType) -> PyResult<()> {
    match number {
        Operand::Int(i) if dtype.is_int() && !holds(dtype, *i) => Err(beyond(*i, dtype)),
        _ => Ok(()),
    }
}

/// The value, computed without holding the interpreter.
pub fn value(py: Python<'_>, tensor: &Tensor) -> PyResult<Array> {
    if tensor.is_evaluated() {
        return run(py, || tensor.try_value());
    }
    compute(py, || tensor.try_value())
}

/// The elements as nested lists; of no axes as a number.
pub fn to_list(py: Python<'_>, array: &Array) -> PyResult<Py<PyAny>> {
    if array.ndim() == 0 {
        return number(py, array);
    }
    let n = array.shape()[0];
    let rest: Shape = array.shape()[1..].iter().copied().collect();
    if array.ndim() == 1 {
        let flat = array.contiguous();
        let list: Vec<Py<PyAny>> = match flat.dtype() {
            DType::Bool => numbers(py, &flat.to_vec::<bool>())?,
            DType::U64 => numbers(py, &flat.to_vec::<u64>())?,
            d if d.is_float() => numbers(py, &flat.to_f64_vec())?,
            d if d.is_complex() => flat.to_c128_vec().into_iter().map(|z| complex(py, z)).collect(),
            _ => numbers(py, &flat.to_i64_vec())?,
        };
        return Ok(PyList::new(py, list)?.into_any().unbind());
    }
    let row = |i: usize| {
        let (mut starts, mut sizes) = (vec![0; array.ndim()], array.shape().to_vec());
        (starts[0], sizes[0]) = (i, 1);
        to_list(py, &array.slice(&starts, &sizes, &vec![1; array.ndim()]).reshape(&rest))
    };
    Ok(PyList::new(py, (0..n).map(row).collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
}

fn numbers<'py, T: IntoPyObjectExt<'py> + Copy>(py: Python<'py>, values: &[T]) -> PyResult<Vec<Py<PyAny>>> {
    values.iter().map(|&x| x.into_py_any(py)).collect()
}

fn complex(py: Python<'_>, z: c128) -> Py<PyAny> {
    PyComplex::from_doubles(py, z.re, z.im).into_any().unbind()
}

/// The one element as a number of Python.
pub fn number(py: Python<'_>, array: &Array) -> PyResult<Py<PyAny>> {
    match array.dtype() {
        DType::Bool => array.to_vec::<bool>()[0].into_py_any(py),
        DType::U64 => array.to_vec::<u64>()[0].into_py_any(py),
        d if d.is_float() => array.to_f64_vec()[0].into_py_any(py),
        d if d.is_complex() => Ok(complex(py, array.to_c128_vec()[0])),
        _ => array.to_i64_vec()[0].into_py_any(py),
    }
}

/// Sizes or axes: an integer, or a list of them.
pub fn ints(object: &Bound<'_, PyAny>) -> PyResult<Vec<i64>> {
    if let Ok(i) = object.extract::<i64>() {
        return Ok(vec![i]);
    }
    if let Ok(array) = object.cast::<PyArray>() {
        let value = value(object.py(), &array.get().tensor())?;
        return if value.dtype().is_int() { Ok(value.to_i64_vec()) } else { Err(no_ints(object)) };
    }
    let list = object.try_iter().map_err(|_| no_ints(object))?;
    list.map(|item| item?.extract::<i64>().map_err(|_| no_ints(object))).collect()
}

fn no_ints(object: &Bound<'_, PyAny>) -> PyErr {
    let given = object.repr().map(|r| r.to_string()).unwrap_or_default();
    PyTypeError::new_err(format!("expected an integer or a list of integers, not {given}"))
}
