//! Methods that users of NumPy and PyTorch type, where they take sizes one by one or go by other names.

use covector::DType;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::array::{Object, PyArray, wrap};
use crate::convert::ints;
use crate::dtype::parse;
use crate::errors::run;

/// Sizes or axes given one by one or as one list.
fn listed(given: &Bound<'_, PyTuple>, what: &str) -> PyResult<Vec<i64>> {
    match given.len() {
        0 => Err(PyTypeError::new_err(format!("{what} are missing"))),
        1 => ints(&given.get_item(0)?),
        _ => ints(given.as_any()),
    }
}

impl PyArray {
    fn cast_to(&self, py: Python<'_>, dtype: DType) -> Object {
        let x = self.tensor();
        wrap(py, run(py, || x.try_cast(dtype))?)
    }
}

#[pymethods]
impl PyArray {
    /// The same elements in row-major order under another shape; one size may be -1.
    #[pyo3(signature = (*shape, copy = None))]
    fn reshape(&self, shape: &Bound<'_, PyTuple>, copy: Option<bool>) -> Object {
        let _ = copy;
        let (x, sizes) = (self.tensor(), listed(shape, "sizes")?);
        wrap(shape.py(), run(shape.py(), || x.try_reshape(sizes))?)
    }

    /// As `reshape`; a dtype instead of a shape is refused, since arrays are values and not bytes.
    #[pyo3(signature = (*shape))]
    fn view(&self, shape: &Bound<'_, PyTuple>) -> Object {
        self.reshape(shape, None)
    }

    /// The axes in another order.
    #[pyo3(signature = (*dims))]
    fn permute(&self, dims: &Bound<'_, PyTuple>) -> Object {
        let (x, axes) = (self.tensor(), listed(dims, "axes")?);
        wrap(dims.py(), run(dims.py(), || x.try_permute_dims(axes))?)
    }

    /// The axes in reverse order, in the order given, or with two axes exchanged.
    #[pyo3(signature = (*axes))]
    fn transpose(&self, axes: &Bound<'_, PyTuple>) -> Object {
        let (py, x) = (axes.py(), self.tensor());
        // Two axes one by one are PyTorch's exchange, a list is NumPy's order.
        let two = axes.len() == 2;
        let given = if axes.is_empty() { (0..x.ndim() as i64).rev().collect() } else { listed(axes, "axes")? };
        wrap(
            py,
            run(py, || match given[..] {
                [a, b] if two => x.try_transpose(a as isize, b as isize),
                _ => x.try_permute_dims(given),
            })?,
        )
    }

    /// The last two axes exchanged: of a matrix its transpose.
    fn t(&self, py: Python<'_>) -> Object {
        let x = self.tensor();
        wrap(py, if x.ndim() < 2 { x } else { run(py, || x.try_matrix_transpose())? })
    }

    /// The array repeated up to a shape; -1 keeps a size.
    #[pyo3(signature = (*sizes))]
    fn expand(&self, sizes: &Bound<'_, PyTuple>) -> Object {
        let (py, x) = (sizes.py(), self.tensor());
        let mut wanted = listed(sizes, "sizes")?;
        let lead = wanted.len().checked_sub(x.ndim());
        let lead =
            lead.ok_or_else(|| PyValueError::new_err(format!("{} sizes for {} axes", wanted.len(), x.ndim())))?;
        for (i, &d) in x.shape().iter().enumerate() {
            if wanted[lead + i] == -1 {
                wanted[lead + i] = d as i64;
            }
        }
        let shape: Option<covector::Shape> = wanted.iter().map(|&d| usize::try_from(d).ok()).collect();
        let shape = shape.ok_or_else(|| PyValueError::new_err(format!("{wanted:?} is not a shape")))?;
        wrap(py, run(py, || x.try_broadcast_to(shape))?)
    }

    /// Takes the numbers of another array, broadcast and in this one's dtype, and gives this array back. Leaves that require
    /// a gradient take them inside `no_grad` alone.
    #[pyo3(name = "copy_")]
    fn copied_from(slf: PyRef<'_, Self>, src: &Bound<'_, PyAny>) -> PyResult<Py<Self>> {
        let (py, x) = (src.py(), slf.handle());
        let new = crate::convert::to_tensor(src)?;
        slf.replace(run(py, || new.try_cast(x.dtype())?.try_broadcast_to(x.shape()))?)?;
        Ok(slf.into())
    }

    /// All elements along one axis.
    fn ravel(&self, py: Python<'_>) -> Object {
        let x = self.tensor();
        wrap(py, run(py, || x.try_reshape([-1i64]))?)
    }

    /// The same numbers in another dtype; without `copy` the array itself, if it has the dtype.
    #[pyo3(signature = (dtype, *, copy = true))]
    fn astype(this: &Bound<'_, Self>, dtype: &Bound<'_, PyAny>, copy: bool) -> Object {
        let dtype = parse(dtype)?;
        match !copy && this.get().tensor().dtype() == dtype {
            true => Ok(this.clone().into_any().unbind()),
            false => this.get().cast_to(this.py(), dtype),
        }
    }

    /// The same numbers in another dtype, or on the device "cpu", where they are.
    #[pyo3(signature = (target, **_options))]
    fn to(&self, target: &Bound<'_, PyAny>, _options: Option<&Bound<'_, PyDict>>) -> Object {
        match target.extract::<String>().as_deref() {
            Ok("cpu") => wrap(target.py(), self.tensor()),
            _ => self.cast_to(target.py(), parse(target)?),
        }
    }

    /// In float32.
    fn float(&self, py: Python<'_>) -> Object {
        self.cast_to(py, DType::F32)
    }
    /// In float64.
    fn double(&self, py: Python<'_>) -> Object {
        self.cast_to(py, DType::F64)
    }
    /// In float16.
    fn half(&self, py: Python<'_>) -> Object {
        self.cast_to(py, DType::F16)
    }
    /// In int64.
    fn long(&self, py: Python<'_>) -> Object {
        self.cast_to(py, DType::I64)
    }
    /// In int32.
    fn int(&self, py: Python<'_>) -> Object {
        self.cast_to(py, DType::I32)
    }
    /// In bool.
    fn bool(&self, py: Python<'_>) -> Object {
        self.cast_to(py, DType::Bool)
    }
    /// The array: it is on the CPU already.
    fn cpu(slf: Py<Self>) -> Py<Self> {
        slf
    }
    /// The array: where its numbers lie in memory is no matter of the user.
    fn contiguous(slf: Py<Self>) -> Py<Self> {
        slf
    }
    /// A new handle on the same value.
    fn clone(&self, py: Python<'_>) -> Object {
        wrap(py, self.tensor())
    }
    /// As `clone`.
    fn copy(&self, py: Python<'_>) -> Object {
        wrap(py, self.tensor())
    }
    /// The number of axes.
    fn dim(&self) -> usize {
        self.handle().ndim()
    }
    /// The number of elements.
    fn numel(&self) -> usize {
        self.handle().size()
    }
    /// True for complex numbers.
    fn is_complex(&self) -> bool {
        self.handle().dtype().is_complex()
    }
    /// True for floats.
    fn is_floating_point(&self) -> bool {
        self.handle().dtype().is_float()
    }
}
