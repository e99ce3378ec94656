//! The array: a handle on a tensor, with the operators and habits of Python.

use std::sync::Mutex;

use covector::{DType, Prim, Tensor};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::convert::{self, number, operand, to_list, value};
use crate::dtype::{self, PyDType, long_name};
use crate::errors::{compute, run};
use crate::{ffi, grad_mode, indexing};

/// A value and the record of how it was produced.
///
/// Arrays are values: what is made from one does not change when it is assigned into. Numbers are computed when they are
/// read. Make arrays with `asarray`, `zeros`, `arange` and their kin.
#[pyclass(frozen, weakref, name = "Array", module = "covector")]
pub struct PyArray {
    tensor: Mutex<Tensor>,
}

/// What an operator gives.
pub type Object = PyResult<Py<PyAny>>;

impl PyArray {
    pub fn new(tensor: Tensor) -> PyArray {
        PyArray { tensor: Mutex::new(tensor) }
    }

    /// The tensor, cut off from its derivatives under `no_grad`.
    #[inline]
    pub fn tensor(&self) -> Tensor {
        let tensor = self.handle();
        if grad_mode::is_off() && tensor.is_differentiated() { tensor.stop_gradient() } else { tensor }
    }

    /// The tensor as it is.
    pub fn handle(&self) -> Tensor {
        self.tensor.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Lets this handle stand for another tensor.
    pub fn put(&self, tensor: Tensor) {
        let old = std::mem::replace(&mut *self.tensor.lock().unwrap_or_else(|e| e.into_inner()), tensor);
        drop(old);
    }

    /// As [`put`](Self::put) where that is an assignment in Python, which leaves refuse.
    pub fn replace(&self, tensor: Tensor) -> PyResult<()> {
        let mut held = self.tensor.lock().unwrap_or_else(|e| e.into_inner());
        let leaf = is_leaf(&held);
        if leaf && !grad_mode::is_off() {
            return Err(PyValueError::new_err(
                "a leaf that requires a gradient cannot be assigned into\n  hint: use `with cv.no_grad():`, or `x.at[...]`, which makes a new array",
            ));
        }
        let old = if leaf {
            let fresh = tensor.try_requires_grad().map_err(|e| crate::errors::exception(&e))?;
            std::mem::replace(&mut *held, fresh)
        } else {
            std::mem::replace(&mut *held, tensor)
        };
        drop(held);
        drop(old);
        Ok(())
    }
}

/// True for a leaf that requires a gradient.
pub fn is_leaf(tensor: &Tensor) -> bool {
    matches!(tensor.primitive(), Prim::Variable(_))
}

/// A tensor as an object of Python.
#[inline]
pub fn wrap(py: Python<'_>, tensor: Tensor) -> Object {
    Ok(Py::new(py, PyArray::new(tensor))?.into_any())
}

#[pymethods]
impl PyArray {
    #[getter]
    fn dtype(&self, py: Python<'_>) -> Py<PyDType> {
        dtype::object(py, self.handle().dtype())
    }

    /// The sizes of the axes.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.handle().shape().iter())
    }

    #[getter]
    fn ndim(&self) -> usize {
        self.handle().ndim()
    }

    #[getter]
    fn size(&self) -> usize {
        self.handle().size()
    }

    #[getter]
    fn itemsize(&self) -> usize {
        self.handle().dtype().size()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.handle().spec().bytes()
    }

    #[getter]
    fn device(&self) -> &'static str {
        "cpu"
    }

    /// The axes in reverse order.
    #[getter(T)]
    fn transposed(&self, py: Python<'_>) -> Object {
        let x = self.tensor();
        let axes: Vec<i64> = (0..x.ndim() as i64).rev().collect();
        wrap(py, run(py, || x.try_permute_dims(axes))?)
    }

    /// The real part; of real numbers they themselves.
    #[getter]
    fn real(&self, py: Python<'_>) -> Object {
        let x = self.tensor();
        wrap(py, run(py, || x.try_real())?)
    }

    /// The imaginary part; of real numbers 0.
    #[getter]
    fn imag(&self, py: Python<'_>) -> Object {
        let x = self.tensor();
        wrap(py, run(py, || x.try_imag())?)
    }

    /// The last two axes exchanged, and complex numbers conjugated.
    #[getter(mH)]
    fn adjoint(&self, py: Python<'_>) -> Object {
        let x = self.tensor();
        wrap(py, run(py, || x.try_matrix_transpose()?.try_conj())?)
    }

    /// The last two axes exchanged.
    #[getter(mT)]
    fn matrix_transposed(&self, py: Python<'_>) -> Object {
        let x = self.tensor();
        wrap(py, run(py, || x.try_matrix_transpose())?)
    }

    /// True if derivatives with respect to what this was made from may be asked for.
    #[getter]
    fn requires_grad(&self) -> bool {
        self.handle().is_differentiated()
    }

    #[setter]
    fn set_requires_grad(&self, py: Python<'_>, wanted: bool) -> PyResult<()> {
        self.requires_grad_in_place(py, wanted)
    }

    #[getter]
    fn is_leaf(&self) -> bool {
        let x = self.handle();
        is_leaf(&x) || !x.is_differentiated()
    }

    /// What `backward` has left on this leaf.
    #[getter]
    fn grad(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.handle().grad().map(|g| wrap(py, g)).transpose()
    }

    #[setter]
    fn set_grad(&self, gradient: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let leaf = self.handle();
        match gradient {
            None => leaf.zero_grad(),
            Some(gradient) => {
                let g = convert::to_tensor(gradient)?;
                compute(gradient.py(), || leaf.set_grad(&g))?;
            }
        }
        Ok(())
    }

    /// Functional updates: `x.at[i].set(v)`, and `add`, `multiply`, `min`, `max` and `get`.
    #[getter]
    fn at(slf: Py<Self>) -> indexing::At {
        indexing::At::new(slf)
    }

    /// Turns this array into a leaf that collects a gradient, and gives it back.
    #[pyo3(name = "requires_grad_", signature = (requires_grad = true))]
    fn make_leaf(slf: PyRef<'_, Self>, requires_grad: bool) -> PyResult<Py<Self>> {
        slf.requires_grad_in_place(slf.py(), requires_grad)?;
        Ok(slf.into())
    }

    /// Adds to every leaf that requires a gradient, and from which this scalar was made, the derivative of this scalar.
    fn backward(&self, py: Python<'_>) -> PyResult<()> {
        let y = self.handle();
        compute(py, || y.try_backward())
    }

    /// Forgets the gradient of this leaf.
    fn zero_grad(&self) {
        self.handle().zero_grad();
    }

    /// The same values, through which no derivative passes.
    fn detach(&self, py: Python<'_>) -> Object {
        let x = self.handle();
        wrap(py, run(py, || x.try_stop_gradient())?)
    }

    /// The one element as a number of Python, or that at some index.
    #[pyo3(signature = (*index))]
    fn item(slf: &Bound<'_, Self>, index: &Bound<'_, PyTuple>) -> Object {
        let py = slf.py();
        let x = if index.is_empty() { slf.get().tensor() } else { indexing::get(&slf.get().tensor(), index.as_any())? };
        if x.size() != 1 {
            return Err(PyValueError::new_err(format!("{} has {} elements, not one", x.spec(), x.size())));
        }
        number(py, &value(py, &x)?)
    }

    /// The elements as nested lists of Python.
    fn tolist(&self, py: Python<'_>) -> Object {
        to_list(py, &value(py, &self.handle())?)
    }

    /// Computes the numbers now, and gives the array back.
    fn block_until_ready(slf: PyRef<'_, Self>) -> PyResult<Py<Self>> {
        value(slf.py(), &slf.handle())?;
        Ok(slf.into())
    }

    /// A NumPy array on the same memory, to be read only.
    #[pyo3(signature = (dtype = None, *, copy = None))]
    fn __array__(slf: &Bound<'_, Self>, dtype: Option<&Bound<'_, PyAny>>, copy: Option<bool>) -> Object {
        let py = slf.py();
        let numpy = py.import("numpy")?;
        let x = slf.get().handle();
        let array = if x.dtype() == DType::BF16 {
            let wide = run(py, || x.try_cast(DType::F32))?;
            numpy.call_method1("asarray", (py.get_type::<pyo3::types::PyMemoryView>().call1((wrap(py, wide)?,))?,))?
        } else {
            numpy.call_method1("asarray", (py.get_type::<pyo3::types::PyMemoryView>().call1((slf,))?,))?
        };
        let same = dtype.is_none_or(|d| array.getattr("dtype").and_then(|have| have.eq(d)).unwrap_or(false));
        match (same, copy) {
            (false, Some(false)) => Err(PyValueError::new_err("another dtype cannot be had without a copy")),
            (true, Some(true)) => Ok(array.call_method0("copy")?.unbind()),
            (true, _) => Ok(array.unbind()),
            (false, _) => Ok(array.call_method1("astype", (dtype,))?.unbind()),
        }
    }

    /// A NumPy array on the same memory, to be read only.
    fn numpy(slf: &Bound<'_, Self>) -> Object {
        PyArray::__array__(slf, None, None)
    }

    #[pyo3(signature = (*, stream = None, max_version = None, dl_device = None, copy = None))]
    fn __dlpack__(
        &self,
        py: Python<'_>,
        stream: Option<&Bound<'_, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> Object {
        if stream.is_some() {
            return Err(PyValueError::new_err("the CPU has no streams: `stream` must be None"));
        }
        if dl_device.is_some_and(|d| d != (1, 0)) {
            return Err(pyo3::exceptions::PyBufferError::new_err("arrays live on the CPU, device (1, 0)"));
        }
        let mut array = value(py, &self.handle())?;
        if copy == Some(true) {
            array = covector::Array::from_bytes(&array.to_bytes(), array.shape().clone(), array.dtype());
        }
        let versioned = max_version.is_some_and(|(major, _)| major >= 1);
        Ok(ffi::to_dlpack(py, array, versioned, copy == Some(true))?.unbind())
    }

    fn __dlpack_device__(&self) -> (i32, i32) {
        (1, 0)
    }

    #[pyo3(signature = (*, api_version = None))]
    fn __array_namespace__<'py>(&self, py: Python<'py>, api_version: Option<&str>) -> PyResult<Bound<'py, PyModule>> {
        match api_version {
            None | Some("2021.12" | "2022.12" | "2023.12" | "2024.12" | "2025.12") => py.import("covector"),
            Some(other) => Err(PyValueError::new_err(format!("there is no version {other} of the Array API here"))),
        }
    }

    #[pyo3(signature = (device, /, *, stream = None))]
    fn to_device(slf: Py<Self>, device: &str, stream: Option<&Bound<'_, PyAny>>) -> PyResult<Py<Self>> {
        if device != "cpu" || stream.is_some() {
            return Err(PyValueError::new_err(format!("there is no device {device:?}: arrays live on the \"cpu\"")));
        }
        Ok(slf)
    }

    fn __getitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> Object {
        wrap(py, indexing::get(&self.tensor(), key)?)
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, new: &Bound<'_, PyAny>) -> PyResult<()> {
        self.replace(indexing::update(&self.tensor(), key, new, indexing::Mode::Set)?)
    }

    fn __len__(&self) -> PyResult<usize> {
        self.handle().shape().first().copied().ok_or_else(|| PyTypeError::new_err("a scalar has no length"))
    }

    fn __iter__(&self, py: Python<'_>) -> Object {
        let x = self.tensor();
        if x.ndim() == 0 {
            return Err(PyTypeError::new_err("a scalar cannot be iterated over"));
        }
        let rows = run(py, || x.try_unbind(0))?;
        let rows: Vec<Py<PyAny>> = rows.into_iter().map(|r| wrap(py, r)).collect::<PyResult<_>>()?;
        Ok(PyTuple::new(py, rows)?.try_iter()?.into_any().unbind())
    }

    fn __contains__(&self, py: Python<'_>, element: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (x, element) = (self.tensor(), operand(element)?);
        let found = run(py, || x.try_equal(element)?.try_any(..))?;
        Ok(value(py, &found)?.to_vec::<bool>()[0])
    }

    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        let x = self.tensor();
        if x.size() != 1 {
            let text = format!("the truth of {} elements is ambiguous\n  hint: use `.any()` or `.all()`", x.size());
            return Err(PyValueError::new_err(text));
        }
        Ok(value(py, &x)?.to_c128_vec()[0] != covector::c128::new(0.0, 0.0))
    }

    fn __int__(slf: &Bound<'_, Self>) -> Object {
        let one = PyArray::one(slf, "an integer")?;
        Ok(slf.py().get_type::<pyo3::types::PyInt>().call1((one,))?.unbind())
    }

    fn __float__(slf: &Bound<'_, Self>) -> Object {
        let one = PyArray::one(slf, "a float")?;
        Ok(slf.py().get_type::<pyo3::types::PyFloat>().call1((one,))?.unbind())
    }

    fn __complex__(slf: &Bound<'_, Self>) -> Object {
        let one = PyArray::one(slf, "a complex number")?;
        Ok(slf.py().get_type::<pyo3::types::PyComplex>().call1((one,))?.unbind())
    }

    fn __index__(slf: &Bound<'_, Self>) -> Object {
        let x = slf.get().handle();
        if !x.dtype().is_int() || x.ndim() != 0 {
            return Err(PyTypeError::new_err(format!("{} is no integer, so it is no index", x.spec())));
        }
        PyArray::one(slf, "an index")
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let x = self.handle();
        let mut text = compute(py, || Ok(x.to_string()))?;
        if let Some(at) = text.rfind("dtype=") {
            let end = text[at + 6..].find([',', ')']).map_or(text.len(), |i| at + 6 + i);
            text.replace_range(at + 6..end, long_name(x.dtype()));
        }
        if is_leaf(&x) && text.ends_with(')') {
            text.truncate(text.len() - 1);
            text += ", requires_grad=True)";
        }
        Ok(text)
    }

    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        let x = self.handle();
        let shape: Vec<String> = x.shape().iter().map(usize::to_string).collect();
        let text = self.__repr__(py)?.replace('&', "&amp;").replace('<', "&lt;");
        Ok(format!("<pre>{text}</pre><small>{} [{}]</small>", long_name(x.dtype()), shape.join(" × ")))
    }

    fn __format__(slf: &Bound<'_, Self>, spec: &str) -> PyResult<String> {
        if spec.is_empty() || slf.get().handle().ndim() > 0 {
            return slf.get().__repr__(slf.py());
        }
        PyArray::one(slf, "a number")?.bind(slf.py()).call_method1("__format__", (spec,))?.extract()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let x = self.handle();
        let array = value(py, &x)?;
        let bytes = pyo3::types::PyBytes::new(py, &array.to_bytes());
        let rebuild = py.import("covector._core")?.getattr("_rebuild")?;
        let shape = PyTuple::new(py, array.shape().iter())?;
        Ok((rebuild, (bytes, shape, long_name(array.dtype()), is_leaf(&x)).into_pyobject(py)?))
    }

    fn __copy__(&self, py: Python<'_>) -> Object {
        wrap(py, self.handle())
    }

    fn __deepcopy__(&self, py: Python<'_>, _memo: &Bound<'_, PyDict>) -> Object {
        let x = self.handle();
        wrap(py, if is_leaf(&x) { run(py, || x.try_requires_grad())? } else { x })
    }
}

impl PyArray {
    /// The one element of a scalar, for conversions.
    fn one(slf: &Bound<'_, Self>, what: &str) -> Object {
        let x = slf.get().handle();
        if x.size() != 1 {
            return Err(PyTypeError::new_err(format!("{} has {} elements, so it is not {what}", x.spec(), x.size())));
        }
        number(slf.py(), &value(slf.py(), &x)?)
    }

    fn requires_grad_in_place(&self, py: Python<'_>, wanted: bool) -> PyResult<()> {
        let x = self.handle();
        if wanted == is_leaf(&x) {
            return Ok(());
        }
        let fresh = if wanted { compute(py, || x.try_requires_grad())? } else { run(py, || x.try_stop_gradient())? };
        self.put(fresh);
        Ok(())
    }
}

/// An array again, from what `__reduce__` gave.
#[pyfunction]
#[pyo3(name = "_rebuild")]
pub fn rebuild(py: Python<'_>, bytes: &[u8], shape: Vec<usize>, dtype: &str, leaf: bool) -> Object {
    let dtype = DType::ALL.into_iter().find(|&d| long_name(d) == dtype);
    let dtype = dtype.ok_or_else(|| PyValueError::new_err("unknown dtype"))?;
    let size = shape.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d));
    if size != Some(bytes.len()) {
        return Err(PyValueError::new_err("the bytes do not fill the shape"));
    }
    let x = run(py, || Ok(Tensor::from_array(covector::Array::from_bytes(bytes, shape, dtype))))?;
    wrap(py, if leaf { run(py, || x.try_requires_grad())? } else { x })
}

/// An array from anything that can be read as one.
pub fn to_array(object: &Bound<'_, PyAny>) -> Object {
    if object.cast::<PyArray>().is_ok() {
        return Ok(object.clone().unbind());
    }
    wrap(object.py(), convert::to_tensor(object)?)
}
