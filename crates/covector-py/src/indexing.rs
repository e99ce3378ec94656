//! Indexing by slices, integers, `...`, `None`, arrays of integers and masks; and updates at what an index names.
//!
//! An update finds the positions of the elements by indexing a range of the same shape, so every index that can be read
//! can be written, and derivatives follow. What the index does not touch of each element, its last axes, it need not number.

use covector::{DType, Index, Indices, Operand, Span, Tensor};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyInt, PySlice, PyTuple};

use crate::array::{Object, PyArray, wrap};
use crate::convert::{complex_in, fits, operand, read};
use crate::errors::{run, run_python};

/// One entry of an index.
enum Part {
    Basic(Index),
    Array(Tensor),
}

impl Part {
    /// How many axes it stands for, if it is no ellipsis.
    fn axes(&self) -> usize {
        match self {
            Part::Basic(Index::At(_) | Index::Span(_)) => 1,
            Part::Basic(_) => 0,
            Part::Array(a) if a.dtype() == DType::Bool => a.ndim(),
            Part::Array(_) => 1,
        }
    }

    /// True if, at the end of an index, it says nothing.
    fn is_whole(&self) -> bool {
        matches!(self, Part::Basic(i) if *i == Index::Ellipsis || *i == Index::Span(Span::bounds(None, None, 1)))
    }
}

fn bound(object: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    if object.is_none() {
        return Ok(None);
    }
    match object.extract::<i64>() {
        Ok(i) => Ok(Some(i)),
        // Beyond every axis is as good as the end.
        Err(e) if e.is_instance_of::<pyo3::exceptions::PyOverflowError>(object.py()) => {
            Ok(Some(if object.lt(0)? { i64::MIN / 2 } else { i64::MAX / 2 }))
        }
        Err(_) => {
            let given = object.repr()?.to_string();
            Err(PyTypeError::new_err(format!("slices take integers or None, not {given}")))
        }
    }
}

fn part(item: &Bound<'_, PyAny>) -> PyResult<Part> {
    if let Ok(slice) = item.cast::<PySlice>() {
        let [start, stop, step] = ["start", "stop", "step"].map(|name| slice.getattr(name));
        let (start, stop, step) = (bound(&start?)?, bound(&stop?)?, bound(&step?)?.unwrap_or(1));
        return Ok(Part::Basic(Index::Span(Span::bounds(start, stop, step))));
    }
    if item.is_none() {
        return Ok(Part::Basic(Index::New));
    }
    if item.is(PyEllipsis::get(item.py())) {
        return Ok(Part::Basic(Index::Ellipsis));
    }
    if item.cast::<PyBool>().is_err() && item.cast::<PyInt>().is_ok() {
        let i = item.extract::<i64>().map_err(|_| PyIndexError::new_err(format!("index {item} is out of range")))?;
        return Ok(Part::Basic(Index::At(i)));
    }
    let array = read(item, None, None).map_err(|_| {
        let given = item.repr().map(|r| r.to_string()).unwrap_or_default();
        PyIndexError::new_err(format!(
            "{given} is no index\n  hint: indices are integers, slices, ..., None, and arrays of integers or bool"
        ))
    })?;
    let empty_list = array.size() == 0 && item.cast::<PyArray>().is_err();
    if !(array.dtype().is_int() || array.dtype() == DType::Bool || empty_list) {
        let name = crate::dtype::long_name(array.dtype());
        return Err(PyIndexError::new_err(format!("arrays of {name} are no indices: they must be integers or bool")));
    }
    let array = if empty_list { run(item.py(), || array.try_cast(DType::I64))? } else { array };
    Ok(Part::Array(array))
}

fn parts(key: &Bound<'_, PyAny>) -> PyResult<Vec<Part>> {
    match key.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter().map(|item| part(&item)).collect(),
        Err(_) => Ok(vec![part(key)?]),
    }
}

/// What the index names.
pub fn get(x: &Tensor, key: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let py = key.py();
    if key.cast::<PyTuple>().is_err() && key.cast_exact::<PyInt>().is_ok() {
        let i = key.extract::<i64>().map_err(|_| PyIndexError::new_err(format!("index {key} is out of range")))?;
        return run(py, || x.try_i(Index::At(i)));
    }
    named(py, x, parts(key)?)
}

/// What the parts of an index name.
fn named(py: Python<'_>, x: &Tensor, parts: Vec<Part>) -> PyResult<Tensor> {
    if parts.iter().all(|p| matches!(p, Part::Basic(_))) {
        let indices = parts.iter().filter_map(|p| if let Part::Basic(i) = p { Some(*i) } else { None });
        return run(py, || x.try_i(Indices(indices.collect())));
    }
    run_python(py, || gathered(py, x, parts))
}

/// Masks as the positions they stand for; a mask without axes adds one.
fn expanded(py: Python<'_>, x: Tensor, parts: Vec<Part>) -> PyResult<(Tensor, Vec<Part>)> {
    let (mut x, mut out) = (x, Vec::new());
    let total: usize = parts.iter().map(Part::axes).sum();
    let ndim = x.ndim();
    if total > ndim {
        return Err(PyIndexError::new_err(format!("{total} indices for {ndim} axes")));
    }
    let mut axis = 0;
    for p in parts {
        match p {
            Part::Basic(Index::Ellipsis) => {
                axis += ndim - total;
                out.push(p);
            }
            Part::Basic(Index::At(_) | Index::Span(_)) => {
                axis += 1;
                out.push(p);
            }
            Part::Array(mask) if mask.dtype() == DType::Bool && mask.ndim() == 0 => {
                x = run(py, || x.try_expand_dims(axis as isize))?;
                axis += 1;
                let hits = run(py, || mask.try_reshape([1])?.try_nonzero())?;
                out.push(Part::Array(hits[0].clone()));
            }
            Part::Array(mask) if mask.dtype() == DType::Bool => {
                // The standard's rule: the size of the axis, or 0, which hits nothing.
                let fits = |sizes: &[usize]| sizes.iter().zip(mask.shape().iter()).all(|(n, m)| m == n || *m == 0);
                if !x.shape().get(axis..axis + mask.ndim()).is_some_and(fits) {
                    return Err(PyIndexError::new_err(format!(
                        "a mask of shape {} does not fit the axes from {axis} on of {}",
                        mask.shape(),
                        x.shape()
                    )));
                }
                let end = axis + mask.ndim();
                if mask.ndim() > 1 && mask.shape()[..] == x.shape()[axis..end] {
                    // One index into the axes as one does the work of many.
                    let merged = [&x.shape()[..axis], &[mask.size()], &x.shape()[end..]].concat();
                    x = run(py, || x.try_reshape(merged))?;
                    axis += 1;
                    let hits = run(py, || mask.try_reshape([mask.size()])?.try_nonzero())?;
                    out.push(Part::Array(hits[0].clone()));
                    continue;
                }
                axis = end;
                out.extend(run(py, || mask.try_nonzero())?.into_iter().map(Part::Array));
            }
            Part::Array(_) => {
                axis += 1;
                out.push(p);
            }
            other => out.push(other),
        }
    }
    Ok((x, out))
}

/// NumPy's rules: arrays and, beside them, integers broadcast; their axes stand where they stood if they stood together,
/// else in front.
fn gathered(py: Python<'_>, x: &Tensor, parts: Vec<Part>) -> PyResult<Tensor> {
    let (x, parts) = expanded(py, x.clone(), parts)?;
    let advanced = |p: &Part| matches!(p, Part::Array(_) | Part::Basic(Index::At(_)));
    let first = parts.iter().position(advanced).unwrap_or(0);
    let last = parts.iter().rposition(advanced).unwrap_or(0);
    let together = parts[first..=last].iter().all(advanced);
    // First what is basic; the axes that are picked from are kept whole.
    let (mut basic, mut picked, mut arrays) = (Indices::default(), Vec::new(), Vec::new());
    let whole = Index::Span(Span::bounds(None, None, 1));
    let named = parts.iter().filter(|p| !matches!(p, Part::Basic(Index::New | Index::Ellipsis))).count();
    let mut axis = 0;
    for p in &parts {
        match p {
            Part::Array(a) => {
                picked.push(axis);
                arrays.push(a.clone());
                basic.0.push(whole);
                axis += 1;
            }
            Part::Basic(Index::At(i)) => {
                picked.push(axis);
                arrays.push(run(py, || Ok(Tensor::from(*i)))?);
                basic.0.push(whole);
                axis += 1;
            }
            Part::Basic(other) => {
                basic.0.push(*other);
                axis += if *other == Index::Ellipsis { x.ndim() - named.min(x.ndim()) } else { 1 };
            }
        }
    }
    run(py, || {
        let y = x.try_i(basic)?;
        let rest: Vec<usize> = (0..y.ndim()).filter(|a| !picked.contains(a)).collect();
        let order: Vec<i64> = picked.iter().chain(&rest).map(|&a| a as i64).collect();
        let z = y.try_permute_dims(order)?.try_index(&arrays)?;
        if !together || picked[0] == 0 {
            return Ok(z);
        }
        let n = z.ndim() - rest.len();
        let before = picked[0];
        let order: Vec<i64> = (n..n + before).chain(0..n).chain(n + before..z.ndim()).map(|a| a as i64).collect();
        z.try_permute_dims(order)
    })
}

/// What becomes of the elements an index names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Set,
    Add,
    Multiply,
    Max,
    Min,
}

/// `x` with what the index names replaced by, or joined with, `new`.
pub fn update(x: &Tensor, key: &Bound<'_, PyAny>, new: &Bound<'_, PyAny>, mode: Mode) -> PyResult<Tensor> {
    let py = key.py();
    let new = operand(new)?;
    fits(&new, x.dtype())?;
    if x.dtype().is_int() && matches!(new, Operand::Float(_)) {
        return Err(PyTypeError::new_err(format!("a float does not fit into {}", x.spec())));
    }
    if matches!(new, Operand::Complex(_)) {
        complex_in(x.dtype())?;
    }
    let new = run(py, || {
        Ok(match new {
            Operand::Tensor(t) => t,
            Operand::Int(i) => Tensor::from(i).cast(x.dtype()),
            Operand::Float(v) => Tensor::scalar(v, x.dtype()),
            Operand::Complex(z) => Tensor::from(z).try_cast(x.dtype())?,
        })
    })?;
    if let (Mode::Set, Ok(mask)) = (mode, key.cast::<PyArray>())
        && new.ndim() == 0
        && mask.get().handle().dtype() == DType::Bool
        && mask.get().handle().shape() == x.shape()
    {
        // Without reading the mask, so that it may be traced.
        return run(py, || mask.get().tensor().try_where_(new.try_cast(x.dtype())?, x));
    }
    let mut parts = parts(key)?;
    let touched = leading(&mut parts, x.ndim());
    let (lead, rest) = x.shape().split_at(touched);
    let rows: usize = lead.iter().product();
    let all = run(py, || covector::ops::create::try_arange(0, rows as i64, 1, DType::I64)?.try_reshape(lead))?;
    let places = named(py, &all, parts)?;
    run(py, || {
        let shape = [&places.shape()[..], rest].concat();
        let new = if new.shape()[..] == shape { new } else { squeezed(&new, shape.len())?.try_broadcast_to(shape)? };
        let with_rest = |t: &Tensor, count: usize| t.try_reshape([&[count], rest].concat());
        let at = places.try_reshape([places.size()])?;
        let (values, row) = (with_rest(&new, places.size())?, with_rest(x, rows)?);
        let beside_rest = || at.try_reshape([&[places.size()], &vec![1; rest.len()][..]].concat());
        let y = match mode {
            Mode::Set => row.try_index_set(&at, &values, 0)?,
            Mode::Add => row.try_index_add(&at, &values, 0)?,
            Mode::Multiply => row.try_index_set(&at, &row.try_take(&at, 0)?.try_multiply(&values)?, 0)?,
            Mode::Max => row.try_scatter_max(&beside_rest()?, &values, 0)?,
            Mode::Min => row.try_scatter_min(&beside_rest()?, &values, 0)?,
        };
        y.try_reshape(x.shape())
    })
}

/// How many of the first axes an index says something of, once what says nothing at its end is gone.
fn leading(parts: &mut Vec<Part>, ndim: usize) -> usize {
    let ellipses = |parts: &[Part]| parts.iter().filter(|p| matches!(p, Part::Basic(Index::Ellipsis))).count();
    let counted = |parts: &[Part]| parts.iter().map(Part::axes).sum::<usize>();
    let said = parts.iter().rposition(|p| !p.is_whole()).map_or(0, |last| last + 1);
    // What is wrong stays, to be refused; and behind an ellipsis axes are counted from the end.
    if ellipses(parts) < 2 && counted(parts) <= ndim && ellipses(&parts[..said]) == 0 {
        parts.truncate(said);
    }
    if ellipses(parts) > 0 { ndim } else { counted(parts).min(ndim) }
}

/// Leading axes of size 1 beyond the rank are no obstacle, as in NumPy.
fn squeezed(new: &Tensor, ndim: usize) -> covector::Result<Tensor> {
    let extra = new.ndim().saturating_sub(ndim);
    if extra == 0 || new.shape()[..extra].iter().any(|&d| d != 1) {
        return Ok(new.clone());
    }
    new.try_squeeze((0..extra as i64).collect::<Vec<i64>>())
}

/// What `x.at` is.
#[pyclass(frozen, module = "covector")]
pub struct At {
    array: Py<PyArray>,
}

impl At {
    pub fn new(array: Py<PyArray>) -> At {
        At { array }
    }
}

#[pymethods]
impl At {
    fn __getitem__(&self, py: Python<'_>, key: Py<PyAny>) -> Place {
        Place { array: self.array.clone_ref(py), key }
    }
}

/// What `x.at[index]` is: the elements to be replaced in a copy.
#[pyclass(frozen, module = "covector")]
pub struct Place {
    array: Py<PyArray>,
    key: Py<PyAny>,
}

impl Place {
    fn updated(&self, new: &Bound<'_, PyAny>, mode: Mode) -> Object {
        let py = new.py();
        wrap(py, update(&self.array.get().tensor(), self.key.bind(py), new, mode)?)
    }
}

#[pymethods]
impl Place {
    /// The array with these elements replaced.
    fn set(&self, value: &Bound<'_, PyAny>) -> Object {
        self.updated(value, Mode::Set)
    }
    /// The array with values added to these elements; several for one element add up.
    fn add(&self, value: &Bound<'_, PyAny>) -> Object {
        self.updated(value, Mode::Add)
    }
    /// The array with values subtracted from these elements.
    fn subtract(&self, value: &Bound<'_, PyAny>) -> Object {
        let negative = value.neg()?;
        self.updated(&negative, Mode::Add)
    }
    /// The array with these elements multiplied; of several factors for one element the last counts.
    fn multiply(&self, value: &Bound<'_, PyAny>) -> Object {
        self.updated(value, Mode::Multiply)
    }
    /// As `multiply`.
    fn mul(&self, value: &Bound<'_, PyAny>) -> Object {
        self.updated(value, Mode::Multiply)
    }
    /// The array with these elements raised to values at least.
    fn max(&self, value: &Bound<'_, PyAny>) -> Object {
        self.updated(value, Mode::Max)
    }
    /// The array with these elements lowered to values at most.
    fn min(&self, value: &Bound<'_, PyAny>) -> Object {
        self.updated(value, Mode::Min)
    }
    /// These elements.
    fn get(&self, py: Python<'_>) -> Object {
        wrap(py, get(&self.array.get().tensor(), self.key.bind(py))?)
    }
    fn __repr__(&self) -> PyResult<String> {
        Err(PyValueError::new_err(
            "an index of `at` is completed by a method: set, add, subtract, multiply, max, min or get",
        ))
    }
}
