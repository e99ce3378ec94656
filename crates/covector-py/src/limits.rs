//! What dtypes there are, what they hold, and what becomes of two of them.

use covector::{DType, Operand};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyDict, PyFloat, PyInt, PyString, PyTuple};

use crate::array::PyArray;
use crate::convert::{has_dtype, to_tensor};
use crate::dtype::{self, PyDType, parse};

/// The dtype of an operation on arrays, dtypes and numbers of Python.
#[pyfunction]
#[pyo3(signature = (*arrays_and_dtypes))]
fn result_type(arrays_and_dtypes: &Bound<'_, PyTuple>) -> PyResult<Py<PyDType>> {
    let py = arrays_and_dtypes.py();
    let (mut strong, mut weak): (Option<DType>, Vec<Operand>) = (None, Vec::new());
    for item in arrays_and_dtypes {
        let dtype = if let Ok(d) = item.cast::<PyDType>() {
            d.get().dtype
        } else if has_dtype(&item) {
            to_tensor(&item)?.dtype()
        } else if item.cast::<PyFloat>().is_ok() || item.cast::<PyInt>().is_ok() {
            weak.push(if item.cast::<PyFloat>().is_ok() {
                Operand::Float(0.0)
            } else if item.cast::<PyBool>().is_ok() {
                continue;
            } else {
                Operand::Int(0)
            });
            continue;
        } else if item.cast::<PyComplex>().is_ok() {
            weak.push(Operand::Complex(covector::c128::new(0.0, 0.0)));
            continue;
        } else if item.cast::<PyArray>().is_ok() {
            to_tensor(&item)?.dtype()
        } else {
            parse(&item).or_else(|_| to_tensor(&item).map(|t| t.dtype()))?
        };
        strong = Some(strong.map_or(dtype, |have| have.promote(dtype)));
    }
    let Some(strong) = strong else {
        return Err(PyValueError::new_err("result_type needs an array or a dtype"));
    };
    let of = |dtype: DType, number: &Operand| match number {
        Operand::Float(_) => dtype.to_float(),
        Operand::Complex(_) => dtype.to_complex(),
        _ if dtype == DType::Bool => DType::I64,
        _ => dtype,
    };
    Ok(dtype::object(py, weak.iter().fold(strong, of)))
}

/// Whether every number of one dtype is one of another by the table of promotion.
#[pyfunction]
#[pyo3(signature = (from_, to, /))]
fn can_cast(from_: &Bound<'_, PyAny>, to: &Bound<'_, PyAny>) -> PyResult<bool> {
    let from = match from_.cast::<PyArray>() {
        Ok(array) => array.get().handle().dtype(),
        Err(_) => parse(from_)?,
    };
    let to = parse(to)?;
    Ok(from.promote(to) == to)
}

/// Whether a dtype is of a kind: "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex
/// floating", "numeric", a dtype, or a tuple of these.
#[pyfunction]
fn isdtype(dtype: &Bound<'_, PyAny>, kind: &Bound<'_, PyAny>) -> PyResult<bool> {
    let given = parse(dtype)?;
    if let Ok(all) = kind.cast::<PyTuple>() {
        for one in all {
            if isdtype(dtype, &one)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    let Ok(name) = kind.cast::<PyString>() else { return Ok(parse(kind)? == given) };
    Ok(match name.to_str()? {
        "bool" => given == DType::Bool,
        "signed integer" => given.is_int() && !given.is_unsigned(),
        "unsigned integer" => given.is_unsigned(),
        "integral" => given.is_int(),
        "real floating" => given.is_float(),
        "complex floating" => given.is_complex(),
        "numeric" => given != DType::Bool,
        other => return Err(PyValueError::new_err(format!("there is no kind {other:?} of dtypes"))),
    })
}

fn info<'py>(py: Python<'py>, name: &str, fields: &[(&str, Py<PyAny>)]) -> PyResult<Bound<'py, PyAny>> {
    let all = PyDict::new(py);
    fields.iter().try_for_each(|(key, value)| all.set_item(key, value))?;
    py.import("covector._habits")?.getattr(name)?.call((), Some(&all))
}

fn dtype_or_array(object: &Bound<'_, PyAny>) -> PyResult<DType> {
    object.cast::<PyArray>().map_or_else(|_| parse(object), |array| Ok(array.get().handle().dtype()))
}

/// The limits of a float dtype, or of the parts of a complex one: bits, eps, max, min, smallest_normal and dtype.
#[pyfunction]
#[pyo3(signature = (r#type, /))]
fn finfo<'py>(r#type: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let (py, dtype) = (r#type.py(), dtype_or_array(r#type)?.part());
    let (eps, max, least) = match dtype {
        DType::F16 => (2f64.powi(-10), 65504.0, 2f64.powi(-14)),
        DType::BF16 => (2f64.powi(-7), f64::from(covector::bf16::MAX), 2f64.powi(-126)),
        DType::F32 => (f64::from(f32::EPSILON), f64::from(f32::MAX), f64::from(f32::MIN_POSITIVE)),
        DType::F64 => (f64::EPSILON, f64::MAX, f64::MIN_POSITIVE),
        other => return Err(PyTypeError::new_err(format!("{} is no float: use iinfo", dtype::long_name(other)))),
    };
    let of = |x: f64| x.into_py_any(py);
    let bits = (8 * dtype.size()).into_py_any(py)?;
    let fields = [
        ("bits", bits),
        ("eps", of(eps)?),
        ("max", of(max)?),
        ("min", of(-max)?),
        ("smallest_normal", of(least)?),
        ("dtype", dtype::object(py, dtype).into_any()),
    ];
    info(py, "finfo_object", &fields)
}

/// The limits of an integer dtype: bits, max, min and dtype.
#[pyfunction]
#[pyo3(signature = (r#type, /))]
fn iinfo<'py>(r#type: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let (py, dtype) = (r#type.py(), dtype_or_array(r#type)?);
    if !dtype.is_int() {
        return Err(PyTypeError::new_err(format!("{} is no integer dtype: use finfo", dtype::long_name(dtype))));
    }
    let bits = 8 * dtype.size() as u32;
    let max = if dtype.is_unsigned() { (1u128 << bits) - 1 } else { (1u128 << (bits - 1)) - 1 };
    let min = if dtype.is_unsigned() { 0i128 } else { -(max as i128) - 1 };
    let fields = [
        ("bits", bits.into_py_any(py)?),
        ("max", (max as u64).into_py_any(py)?),
        ("min", (min as i64).into_py_any(py)?),
        ("dtype", dtype::object(py, dtype).into_any()),
    ];
    info(py, "iinfo_object", &fields)
}

/// Adds the functions to the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(result_type, module)?)?;
    module.add_function(wrap_pyfunction!(can_cast, module)?)?;
    module.add_function(wrap_pyfunction!(isdtype, module)?)?;
    module.add_function(wrap_pyfunction!(finfo, module)?)?;
    module.add_function(wrap_pyfunction!(iinfo, module)?)
}
