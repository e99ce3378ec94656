//! Functions of the Array API that ask Python for what they do: creation, inspection, and arguments in other forms.

use covector::registry::Arg;
use covector::{Axes, DType, Operand, Shape, Tensor, ops, registry};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyTuple};

use crate::array::{Object, PyArray, to_array, wrap};
use crate::call::device as check_device;
use crate::convert::{complex_in, fits, from_dlpack as import, ints, is_number, operand, read, to_tensor, value};
use crate::dtype::parse;
use crate::errors::run;

type Any<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

fn wanted(dtype: Any<'_, '_>) -> PyResult<Option<DType>> {
    dtype.filter(|d| !d.is_none()).map(parse).transpose()
}

fn sizes(shape: &Bound<'_, PyAny>) -> PyResult<Shape> {
    let given = ints(shape)?;
    let size = |&d: &i64| {
        usize::try_from(d).map_err(|_| PyValueError::new_err(format!("{given:?} is not a shape: sizes are 0 or more")))
    };
    given.iter().map(size).collect()
}

/// An array from numbers, nested lists, or an array of this or another library, whose memory is shared where that can be.
///
/// With `copy=True` it is never shared, with `copy=False` it is or this is an error. Shared memory should not be written:
/// what was not computed yet would see it.
#[pyfunction]
#[pyo3(signature = (obj, /, *, dtype = None, device = None, copy = None))]
fn asarray(obj: &Bound<'_, PyAny>, dtype: Any<'_, '_>, device: Any<'_, '_>, copy: Option<bool>) -> Object {
    check_device("device", device)?;
    let dtype = wanted(dtype)?;
    if let Ok(array) = obj.cast::<PyArray>()
        && dtype.is_none_or(|d| d == array.get().handle().dtype())
        && copy != Some(true)
    {
        return Ok(obj.clone().unbind());
    }
    wrap(obj.py(), read(obj, dtype, copy)?)
}

/// A new array from numbers, nested lists or another array; memory is copied.
#[pyfunction]
#[pyo3(signature = (obj, /, dtype = None, *, copy = true, device = None, requires_grad = false))]
fn array(obj: &Bound<'_, PyAny>, dtype: Any<'_, '_>, copy: bool, device: Any<'_, '_>, requires_grad: bool) -> Object {
    check_device("device", device)?;
    let own = obj.cast::<PyArray>().is_ok();
    let x = read(obj, wanted(dtype)?, (copy && !own).then_some(true).filter(|_| obj.cast::<PyList>().is_err()))?;
    wrap(obj.py(), if requires_grad { run(obj.py(), || x.try_requires_grad())? } else { x })
}

/// The array another library offers through DLPack, on the same memory where that can be.
#[pyfunction]
#[pyo3(signature = (x, /, *, device = None, copy = None))]
fn from_dlpack(x: &Bound<'_, PyAny>, device: Any<'_, '_>, copy: Option<bool>) -> Object {
    check_device("device", device)?;
    if x.cast::<PyArray>().is_ok() && copy != Some(true) {
        return Ok(x.clone().unbind());
    }
    wrap(x.py(), import(x, copy)?)
}

/// The same numbers in another dtype; without `copy` the array itself, if it has the dtype.
#[pyfunction]
#[pyo3(signature = (x, dtype, /, *, copy = true, device = None))]
fn astype(x: &Bound<'_, PyAny>, dtype: &Bound<'_, PyAny>, copy: bool, device: Any<'_, '_>) -> Object {
    check_device("device", device)?;
    let (tensor, dtype) = (to_tensor(x)?, parse(dtype)?);
    if !copy && tensor.dtype() == dtype && x.cast::<PyArray>().is_ok() {
        return Ok(x.clone().unbind());
    }
    wrap(x.py(), run(x.py(), || tensor.try_cast(dtype))?)
}

/// The dtype of numbers of Python.
fn dtype_of(number: &Bound<'_, PyAny>) -> PyResult<DType> {
    if number.cast::<PyBool>().is_ok() {
        Ok(DType::Bool)
    } else if number.cast::<PyInt>().is_ok() {
        Ok(DType::I64)
    } else if is_number(number) {
        Ok(if number.cast::<PyFloat>().is_ok() { DType::F32 } else { DType::C64 })
    } else {
        Ok(to_tensor(number)?.dtype())
    }
}

/// Refuses a number that the array it is to fill does not hold.
fn fill_fits(number: &Operand, dtype: DType) -> PyResult<()> {
    match number {
        Operand::Complex(_) => complex_in(dtype),
        number => fits(number, dtype),
    }
}

/// An array of one value.
#[pyfunction]
#[pyo3(signature = (shape, fill_value, *, dtype = None, device = None))]
fn full(shape: &Bound<'_, PyAny>, fill_value: &Bound<'_, PyAny>, dtype: Any<'_, '_>, device: Any<'_, '_>) -> Object {
    check_device("device", device)?;
    let dtype = wanted(dtype)?.map_or_else(|| dtype_of(fill_value), Ok)?;
    let (shape, number) = (sizes(shape)?, operand(fill_value)?);
    fill_fits(&number, dtype)?;
    wrap(fill_value.py(), run(fill_value.py(), || ops::create::try_full(shape, number, dtype))?)
}

/// One value in the shape and dtype of another array.
#[pyfunction]
#[pyo3(signature = (x, /, fill_value, *, dtype = None, device = None))]
fn full_like(x: &Bound<'_, PyAny>, fill_value: &Bound<'_, PyAny>, dtype: Any<'_, '_>, device: Any<'_, '_>) -> Object {
    check_device("device", device)?;
    let x = to_tensor(x)?;
    let (dtype, number) = (wanted(dtype)?.unwrap_or(x.dtype()), operand(fill_value)?);
    fill_fits(&number, dtype)?;
    wrap(fill_value.py(), run(fill_value.py(), || ops::create::try_full(x.shape().clone(), number, dtype))?)
}

fn like(x: &Bound<'_, PyAny>, number: i64, dtype: Any<'_, '_>, device: Any<'_, '_>) -> Object {
    check_device("device", device)?;
    let tensor = to_tensor(x)?;
    let dtype = wanted(dtype)?.unwrap_or(tensor.dtype());
    wrap(x.py(), run(x.py(), || ops::create::try_full(tensor.shape().clone(), number, dtype))?)
}

/// Zeros in the shape and dtype of another array.
#[pyfunction]
#[pyo3(signature = (x, /, *, dtype = None, device = None))]
fn zeros_like(x: &Bound<'_, PyAny>, dtype: Any<'_, '_>, device: Any<'_, '_>) -> Object {
    like(x, 0, dtype, device)
}

/// Ones in the shape and dtype of another array.
#[pyfunction]
#[pyo3(signature = (x, /, *, dtype = None, device = None))]
fn ones_like(x: &Bound<'_, PyAny>, dtype: Any<'_, '_>, device: Any<'_, '_>) -> Object {
    like(x, 1, dtype, device)
}

/// An array whose numbers do not matter: zeros.
#[pyfunction]
#[pyo3(signature = (x, /, *, dtype = None, device = None))]
fn empty_like(x: &Bound<'_, PyAny>, dtype: Any<'_, '_>, device: Any<'_, '_>) -> Object {
    like(x, 0, dtype, device)
}

/// An array whose numbers do not matter: zeros.
#[pyfunction]
#[pyo3(signature = (shape, *, dtype = None, device = None))]
fn empty(shape: &Bound<'_, PyAny>, dtype: Any<'_, '_>, device: Any<'_, '_>) -> Object {
    check_device("device", device)?;
    let (dtype, sizes) = (wanted(dtype)?.unwrap_or(DType::F32), sizes(shape)?);
    wrap(shape.py(), run(shape.py(), || ops::create::try_zeros(sizes, dtype))?)
}

/// A number, as an operand and as to whether it is a float.
fn bound(object: &Bound<'_, PyAny>) -> PyResult<Operand> {
    match operand(object)? {
        Operand::Tensor(t) if t.ndim() == 0 => {
            let one = value(object.py(), &t)?;
            Ok(if t.dtype().is_float() {
                Operand::Float(one.to_f64_vec()[0])
            } else if t.dtype().is_complex() {
                Operand::Complex(one.to_c128_vec()[0])
            } else {
                Operand::Int(one.to_i64_vec()[0])
            })
        }
        other => Ok(other),
    }
}

/// `start, start + step, ..` up to `stop`, which is not included; with one number from 0 up to it.
#[pyfunction]
#[pyo3(signature = (start, /, stop = None, step = None, *, dtype = None, device = None))]
fn arange(
    start: &Bound<'_, PyAny>,
    stop: Any<'_, '_>,
    step: Any<'_, '_>,
    dtype: Any<'_, '_>,
    device: Any<'_, '_>,
) -> Object {
    check_device("device", device)?;
    let first = bound(start)?;
    let (from, to) = match stop.filter(|s| !s.is_none()) {
        Some(stop) => (first, bound(stop)?),
        None => (Operand::Int(0), first),
    };
    let by = step.filter(|s| !s.is_none()).map_or(Ok(Operand::Int(1)), bound)?;
    let float = [&from, &to, &by].iter().any(|b| matches!(b, Operand::Float(_)));
    let dtype = wanted(dtype)?.unwrap_or(if float { DType::F32 } else { DType::I64 });
    wrap(start.py(), run(start.py(), || ops::create::try_arange(from, to, by, dtype))?)
}

/// `num` numbers from `start` to `stop` at equal distances, `stop` included unless `endpoint` is false.
#[pyfunction]
#[pyo3(signature = (start, stop, /, num, *, dtype = None, device = None, endpoint = true))]
fn linspace(
    start: &Bound<'_, PyAny>,
    stop: &Bound<'_, PyAny>,
    num: usize,
    dtype: Any<'_, '_>,
    device: Any<'_, '_>,
    endpoint: bool,
) -> Object {
    check_device("device", device)?;
    let (from, to) = (bound(start)?, bound(stop)?);
    let complex = [&from, &to].iter().any(|b| matches!(b, Operand::Complex(_)));
    let dtype = wanted(dtype)?.unwrap_or(if complex { DType::C64 } else { DType::F32 });
    wrap(
        start.py(),
        run(start.py(), || {
            if endpoint {
                return ops::create::try_linspace(from, to, num, dtype);
            }
            let wide = if dtype.is_complex() { DType::C128 } else { DType::F64 };
            let all = ops::create::try_linspace(from, to, num + 1, wide)?;
            all.try_i(covector::Index::Span(covector::Span::bounds(None, Some(num as i64), 1)))?.try_cast(dtype)
        })?,
    )
}

/// A matrix with ones on the `k`-th diagonal and zeros elsewhere.
#[pyfunction]
#[pyo3(signature = (n_rows, n_cols = None, /, *, k = 0, dtype = None, device = None))]
fn eye(
    py: Python<'_>,
    n_rows: usize,
    n_cols: Option<usize>,
    k: i64,
    dtype: Any<'_, '_>,
    device: Any<'_, '_>,
) -> Object {
    check_device("device", device)?;
    let dtype = wanted(dtype)?.unwrap_or(DType::F32);
    let columns = n_cols.unwrap_or(n_rows);
    wrap(
        py,
        run(py, || {
            if k == 0 && columns == n_rows {
                return ops::create::try_eye(n_rows, dtype);
            }
            let row = ops::create::try_arange(0, n_rows, 1, DType::I64)?.try_reshape([n_rows, 1])?;
            let column = ops::create::try_arange(0, columns, 1, DType::I64)?;
            column.try_equal(row.try_add(k)?)?.try_cast(dtype)
        })?,
    )
}

fn tensors(list: &Bound<'_, PyAny>) -> PyResult<Vec<Tensor>> {
    let items = list.try_iter().map_err(|_| PyTypeError::new_err("expected a list of arrays"))?;
    items.map(|item| to_tensor(&item?)).collect()
}

fn tuple(py: Python<'_>, all: Vec<Tensor>) -> Object {
    let all: Vec<Py<PyAny>> = all.into_iter().map(|t| wrap(py, t)).collect::<PyResult<_>>()?;
    Ok(PyTuple::new(py, all)?.into_any().unbind())
}

/// Arrays joined along an axis; without an axis, of their elements in row-major order.
#[pyfunction]
#[pyo3(signature = (arrays, /, axis = Some(0), *, dim = None))]
fn concat(arrays: &Bound<'_, PyAny>, axis: Option<isize>, dim: Option<isize>) -> Object {
    let all = tensors(arrays)?;
    wrap(
        arrays.py(),
        run(arrays.py(), || match dim.or(axis) {
            Some(axis) => ops::concat::try_concat(&all, axis),
            None => {
                let flat: covector::Result<Vec<Tensor>> = all.iter().map(|t| t.try_reshape([-1i64])).collect();
                ops::concat::try_concat(&flat?, 0)
            }
        })?,
    )
}

/// Coordinates on a grid: output `i` holds the coordinate along axis `i`.
#[pyfunction]
#[pyo3(signature = (*arrays, indexing = "xy"))]
fn meshgrid(arrays: &Bound<'_, PyTuple>, indexing: &str) -> Object {
    let all = tensors(arrays.as_any())?;
    tuple(arrays.py(), run(arrays.py(), || ops::create::try_meshgrid(&all, indexing))?)
}

/// Arrays repeated to their common shape.
#[pyfunction]
#[pyo3(signature = (*arrays))]
fn broadcast_arrays(arrays: &Bound<'_, PyTuple>) -> Object {
    let all = tensors(arrays.as_any())?;
    let shape = joint(all.iter().map(|t| t.shape().clone()))?;
    let wide = run(arrays.py(), || {
        all.iter().map(|t| t.try_broadcast_to(shape.clone())).collect::<covector::Result<Vec<_>>>()
    })?;
    tuple(arrays.py(), wide)
}

fn joint(shapes: impl Iterator<Item = Shape>) -> PyResult<Shape> {
    let mut joint = Shape::scalar();
    for shape in shapes {
        joint = joint
            .broadcast(&shape)
            .ok_or_else(|| PyValueError::new_err(format!("shapes do not broadcast: {joint} and {shape}")))?;
    }
    Ok(joint)
}

/// The common shape to which shapes broadcast.
#[pyfunction]
#[pyo3(signature = (*shapes))]
fn broadcast_shapes<'py>(shapes: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyTuple>> {
    let all: Vec<Shape> = shapes.iter().map(|s| sizes(&s)).collect::<PyResult<_>>()?;
    PyTuple::new(shapes.py(), joint(all.into_iter())?.iter())
}

/// `x` held between `min` and `max`: numbers or arrays; a bound that is absent does not bind.
#[pyfunction]
#[pyo3(signature = (x, /, min = None, max = None))]
fn clip(x: &Bound<'_, PyAny>, min: Any<'_, '_>, max: Any<'_, '_>) -> Object {
    let py = x.py();
    let mut y = to_tensor(x)?;
    for (bound, lower) in [(min, true), (max, false)] {
        let Some(bound) = bound.filter(|b| !b.is_none()) else { continue };
        let mut bound = operand(bound)?;
        if let Operand::Int(i) = bound
            && fits(&bound, y.dtype()).is_err()
        {
            // Beyond the dtype a bound either binds nothing or everything.
            let binds = (i > 0) == lower;
            if !binds {
                continue;
            }
            fits(&bound, y.dtype())?;
            bound = Operand::Int(i);
        }
        y = run(py, || if lower { y.try_maximum(bound) } else { y.try_minimum(bound) })?;
    }
    wrap(py, y)
}

/// Every slice along an axis repeated; without an axis, every element in row-major order.
#[pyfunction]
#[pyo3(signature = (x, repeats, /, *, axis = None))]
fn repeat(x: &Bound<'_, PyAny>, repeats: &Bound<'_, PyAny>, axis: Option<isize>) -> Object {
    let py = x.py();
    let (mut y, counts) = (to_tensor(x)?, operand(repeats)?);
    if axis.is_none() {
        y = run(py, || y.try_reshape([-1i64]))?;
    }
    let axis = axis.unwrap_or(0);
    wrap(
        py,
        run(py, || match counts {
            Operand::Int(n) => {
                let n = usize::try_from(n)
                    .map_err(|_| covector::Error::new(format!("a count must be 0 or more, not {n}")))?;
                y.try_repeat(n, axis)
            }
            Operand::Tensor(counts) => y.try_repeat_each(&counts, axis),
            Operand::Float(_) | Operand::Complex(_) => {
                Err(covector::Error::new("counts must be integers").of_kind(covector::ErrorKind::Type))
            }
        })?,
    )
}

/// Where each value of `x2` belongs in the sorted `x1`: the first place that keeps the order, or with side "right" the last.
#[pyfunction]
#[pyo3(signature = (x1, x2, /, *, side = "left", sorter = None))]
fn searchsorted(x1: &Bound<'_, PyAny>, x2: &Bound<'_, PyAny>, side: &str, sorter: Any<'_, '_>) -> Object {
    let py = x1.py();
    let right = match side {
        "left" => false,
        "right" => true,
        other => return Err(PyValueError::new_err(format!("side must be \"left\" or \"right\", not {other:?}"))),
    };
    let (mut sorted, values) = (to_tensor(x1)?, to_tensor(x2)?);
    if let Some(order) = sorter.filter(|s| !s.is_none()) {
        let order = to_tensor(order)?;
        sorted = run(py, || sorted.try_take(&order, 0))?;
    }
    wrap(py, run(py, || sorted.try_searchsorted(&values, right))?)
}

/// The differences of neighbours along an axis, taken `n` times, with something before and behind if wanted.
#[pyfunction]
#[pyo3(signature = (x, /, *, axis = -1, n = 1, prepend = None, append = None))]
fn diff(x: &Bound<'_, PyAny>, axis: isize, n: usize, prepend: Any<'_, '_>, append: Any<'_, '_>) -> Object {
    let py = x.py();
    let y = to_tensor(x)?;
    let [before, behind] = [prepend, append].map(|o| o.filter(|o| !o.is_none()).map(to_tensor).transpose());
    let (before, behind) = (before?, behind?);
    wrap(
        py,
        run(py, || {
            let parts: Vec<Tensor> = before.into_iter().chain([y.clone()]).chain(behind).collect();
            let y = if parts.len() > 1 { ops::concat::try_concat(&parts, axis)? } else { y };
            y.try_diff(n, axis)
        })?,
    )
}

/// The sum of products over axes of two arrays: the last and first `axes`, or the lists of axes named.
#[pyfunction]
#[pyo3(signature = (x1, x2, /, *, axes = None))]
fn tensordot(x1: &Bound<'_, PyAny>, x2: &Bound<'_, PyAny>, axes: Any<'_, '_>) -> Object {
    let py = x1.py();
    let (a, b) = (to_tensor(x1)?, to_tensor(x2)?);
    let count = axes.map_or(Ok(2), |o| o.extract::<i64>());
    let (first, second) = match (count, axes) {
        (Ok(n), _) if n < 0 || n > a.ndim() as i64 || n > b.ndim() as i64 => {
            let text = format!("{n} axes cannot be summed over: the arrays have {} and {}", a.ndim(), b.ndim());
            return Err(PyValueError::new_err(text));
        }
        (Ok(n), _) => ((a.ndim() as i64 - n..a.ndim() as i64).collect(), (0..n).collect()),
        (Err(_), Some(pair)) if pair.len()? == 2 => (ints(&pair.get_item(0)?)?, ints(&pair.get_item(1)?)?),
        _ => return Err(PyTypeError::new_err("axes must be a number or two lists of axes")),
    };
    wrap(py, run(py, || a.try_tensordot(&b, first, second))?)
}

/// Einstein's sum: `einsum("ij,jk->ik", a, b)`.
#[pyfunction]
#[pyo3(signature = (subscripts, /, *operands))]
fn einsum(subscripts: &str, operands: &Bound<'_, PyTuple>) -> Object {
    let all = tensors(operands.as_any())?;
    wrap(operands.py(), run(operands.py(), || ops::einsum::try_einsum(subscripts, &all))?)
}

/// The elements moved along axes, those that leave at one end coming in at the other.
#[pyfunction]
#[pyo3(signature = (x, /, shift, axis = None))]
fn roll(x: &Bound<'_, PyAny>, shift: &Bound<'_, PyAny>, axis: Any<'_, '_>) -> Object {
    let (y, mut shifts) = (to_tensor(x)?, ints(shift)?);
    let axes = match axis.filter(|a| !a.is_none()) {
        None => Axes::all(),
        Some(axes) => {
            let axes = ints(axes)?;
            if shifts.len() == 1 {
                shifts = vec![shifts[0]; axes.len()];
            }
            Axes::from(axes)
        }
    };
    wrap(x.py(), run(x.py(), || y.try_roll(shifts, axes))?)
}

/// The array itself, as `+x`.
#[pyfunction]
#[pyo3(signature = (x, /))]
fn positive(x: &Bound<'_, PyAny>) -> Object {
    to_array(x)
}

/// Two axes exchanged.
#[pyfunction]
fn swapaxes(x: &Bound<'_, PyAny>, axis1: isize, axis2: isize) -> Object {
    let y = to_tensor(x)?;
    wrap(x.py(), run(x.py(), || y.try_transpose(axis1, axis2))?)
}

/// Bytes and nodes alive: the proof that nothing leaks.
#[pyfunction]
#[pyo3(name = "_bytes_alive")]
fn bytes_alive() -> (usize, usize) {
    (covector::live_bytes(), covector::live_nodes())
}

/// An array with `width` elements before and behind each axis: "constant", or another mode of the core.
#[pyfunction]
#[pyo3(signature = (x, pad_width, mode = "constant", *, constant_values = 0.0))]
fn pad(x: &Bound<'_, PyAny>, pad_width: &Bound<'_, PyAny>, mode: &str, constant_values: f64) -> Object {
    let y = to_tensor(x)?;
    let pairs: Vec<i64> = match pad_width.extract::<i64>() {
        Ok(n) => vec![n; 2 * y.ndim()],
        Err(_) => {
            let rows = pad_width.try_iter()?.map(|row| ints(&row?)).collect::<PyResult<Vec<_>>>()?;
            let flat = rows.iter().all(|r| r.len() == 1);
            let each = if flat { vec![rows.concat()] } else { rows };
            let each = if each.len() == 1 { vec![each[0].clone(); y.ndim()] } else { each };
            each.concat()
        }
    };
    let op = registry::find("pad").ok_or_else(|| PyValueError::new_err("no pad"))?;
    let args = vec![Arg::Tensor(y), Arg::Ints(pairs), Arg::Str(mode.to_owned()), Arg::Float(constant_values)];
    wrap(x.py(), run(x.py(), || op.apply(args))?.swap_remove(0))
}

/// Turns off what a child process inherits of the threads, which do not survive a fork.
#[pyfunction]
#[pyo3(name = "_after_fork")]
fn after_fork() {
    covector::threads::after_fork();
}

/// Adds the functions to the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    macro_rules! functions {
        ($($f:ident),* $(,)?) => { $( module.add_function(wrap_pyfunction!($f, module)?)?; )* };
    }
    functions!(
        asarray,
        array,
        from_dlpack,
        astype,
        full,
        full_like,
        zeros_like,
        ones_like,
        empty_like,
        empty,
        arange,
        linspace,
        eye,
        concat,
        meshgrid,
        broadcast_arrays,
        broadcast_shapes,
        clip,
        repeat,
        searchsorted,
        diff,
        tensordot,
        einsum,
        roll,
        positive,
        swapaxes,
        bytes_alive,
        pad,
        after_fork,
    );
    // Real numbers are their own conjugates and real parts.
    for name in ["conj", "real"] {
        if registry::find(name).is_none() {
            module.add(name, module.getattr("positive")?)?;
        }
    }
    Ok(())
}
