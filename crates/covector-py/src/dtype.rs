//! Element types as Python objects, one for each.

use covector::DType;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyComplex, PyFloat, PyInt, PyString, PyType};

/// The type of the elements of an array.
#[pyclass(frozen, name = "dtype", module = "covector")]
pub struct PyDType {
    /// The type it stands for.
    pub dtype: DType,
}

static ALL: PyOnceLock<Vec<Py<PyDType>>> = PyOnceLock::new();

/// The one object of a dtype.
pub fn object(py: Python<'_>, dtype: DType) -> Py<PyDType> {
    let all = ALL.get_or_init(py, || {
        DType::ALL.iter().map(|&dtype| Py::new(py, PyDType { dtype }).expect("a small object")).collect()
    });
    all[dtype as usize].clone_ref(py)
}

/// The name in the Array API: `float32`.
pub fn long_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "bool",
        DType::U8 => "uint8",
        DType::U16 => "uint16",
        DType::U32 => "uint32",
        DType::U64 => "uint64",
        DType::I8 => "int8",
        DType::I16 => "int16",
        DType::I32 => "int32",
        DType::I64 => "int64",
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        DType::F32 => "float32",
        DType::F64 => "float64",
        DType::C64 => "complex64",
        DType::C128 => "complex128",
    }
}

fn from_name(name: &str) -> Option<DType> {
    let name = name.rsplit('.').next().unwrap_or(name);
    let named = DType::ALL.into_iter().find(|&d| long_name(d) == name || d.name() == name);
    named.or(match name {
        "float" | "double" => Some(DType::F64),
        "complex" | "cdouble" => Some(DType::C128),
        "cfloat" => Some(DType::C64),
        "half" => Some(DType::F16),
        "int" | "long" => Some(DType::I64),
        _ => None,
    })
}

/// The dtype an object names: one of ours, a name, `bool`, `int`, `float`, `complex`, or a dtype of another library.
pub fn parse(object: &Bound<'_, PyAny>) -> PyResult<DType> {
    if let Ok(dtype) = object.cast::<PyDType>() {
        return Ok(dtype.get().dtype);
    }
    let py = object.py();
    let found = if let Ok(name) = object.cast::<PyString>() {
        from_name(name.to_str()?)
    } else if object.is(py.get_type::<PyBool>()) {
        Some(DType::Bool)
    } else if object.is(py.get_type::<PyInt>()) {
        Some(DType::I64)
    } else if object.is(py.get_type::<PyFloat>()) {
        Some(DType::F32)
    } else if object.is(py.get_type::<PyComplex>()) {
        Some(DType::C64)
    } else if object.cast::<PyType>().is_ok() {
        object
            .getattr("__name__")
            .ok()
            .and_then(|n| n.extract::<String>().ok())
            .and_then(|n| from_name(n.trim_end_matches('_')))
    } else {
        // NumPy's have a name, PyTorch's are printed with one.
        let name = object.getattr("name").or_else(|_| object.str().map(Bound::into_any));
        name.ok().and_then(|n| n.extract::<String>().ok()).and_then(|n| from_name(&n))
    };
    found.ok_or_else(|| {
        let given = object.repr().map(|r| r.to_string()).unwrap_or_default();
        let all: Vec<&str> = DType::ALL.iter().map(|&d| long_name(d)).collect();
        PyTypeError::new_err(format!("{given} is no dtype\n  hint: there are {}", all.join(", ")))
    })
}

#[pymethods]
impl PyDType {
    #[new]
    fn new(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<Py<PyDType>> {
        Ok(self::object(py, parse(object)?))
    }

    /// The name: "float32".
    #[getter]
    fn name(&self) -> &'static str {
        long_name(self.dtype)
    }

    /// Bytes per element.
    #[getter]
    fn itemsize(&self) -> usize {
        self.dtype.size()
    }

    /// The letter of its kind, as in NumPy: b, i, u, f or c.
    #[getter]
    fn kind(&self) -> &'static str {
        match self.dtype {
            DType::Bool => "b",
            d if d.is_float() => "f",
            d if d.is_complex() => "c",
            d if d.is_unsigned() => "u",
            _ => "i",
        }
    }

    /// True for complex numbers, as in PyTorch.
    #[getter]
    fn is_complex(&self) -> bool {
        self.dtype.is_complex()
    }

    /// True for floats, as in PyTorch.
    #[getter]
    fn is_floating_point(&self) -> bool {
        self.dtype.is_float()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        match other.cast::<PyDType>() {
            Ok(other) => other.get().dtype == self.dtype,
            Err(_) => !other.is_none() && parse(other).is_ok_and(|d| d == self.dtype),
        }
    }

    fn __hash__(&self) -> u64 {
        0x9e37 + self.dtype as u64
    }

    fn __repr__(&self) -> String {
        format!("covector.{}", long_name(self.dtype))
    }

    fn __str__(&self) -> &'static str {
        long_name(self.dtype)
    }

    fn __reduce__(&self) -> &'static str {
        long_name(self.dtype)
    }
}
