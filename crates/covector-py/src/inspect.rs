//! What a function does, shown: its picture, its costs, its first step to go wrong; and arrays written to files.

use covector::{Array, Tensor, Tree, eval};
use covector_trace::draw::{Options, Picture};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::array::{Object, wrap};
use crate::errors::run;
use crate::transform::{called, gathered};
use crate::tree::{flatten, flatten_whole};

/// Something to be read: text, and in a notebook a picture or a table.
#[pyclass(frozen, module = "covector")]
pub struct Shown {
    text: String,
    html: String,
}

#[pymethods]
impl Shown {
    /// The text.
    #[getter]
    fn text(&self) -> &str {
        &self.text
    }
    /// The picture or table as it is shown in a notebook.
    #[getter]
    fn html(&self) -> &str {
        &self.html
    }
    fn __repr__(&self) -> &str {
        &self.text
    }
    fn _repr_html_(&self) -> &str {
        &self.html
    }
}

impl Shown {
    fn plain(text: String) -> Shown {
        let html = format!("<pre>{}</pre>", text.replace('&', "&amp;").replace('<', "&lt;"));
        Shown { text, html }
    }
}

type Args<'a, 'py> = (&'a Bound<'py, PyTuple>, Option<&'a Bound<'py, PyDict>>);

fn picture(f: Py<PyAny>, (args, kwargs): Args<'_, '_>, gradients: bool, values: bool) -> PyResult<Picture> {
    let x = flatten(&gathered(args, kwargs)?, false)?;
    let options = Options { gradients, values, ..Options::default() };
    run(args.py(), || {
        if !gradients {
            return Picture::trace(|x, _| called(&f, x), &x, &options);
        }
        Picture::trace(
            |x, _| called(&f, x).leaves.into_iter().next().unwrap_or_else(|| Tensor::from(0.0f32)),
            &x,
            &options,
        )
    })
}

/// The graph of `f` on these arguments: Mermaid as text, a picture in a notebook.
#[pyfunction]
#[pyo3(signature = (f, *args, gradients = false, values = false, **kwargs))]
fn graph(
    f: Py<PyAny>,
    args: &Bound<'_, PyTuple>,
    gradients: bool,
    values: bool,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<Shown> {
    let picture = picture(f, (args, kwargs), gradients, values)?;
    Ok(Shown { text: picture.mermaid(), html: picture.svg() })
}

/// The steps of `f` on these arguments, with shapes and the lines that made them.
#[pyfunction]
#[pyo3(signature = (f, *args, **kwargs))]
fn trace(f: Py<PyAny>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Shown> {
    let x = flatten(&gathered(args, kwargs)?, false)?;
    run(args.py(), || {
        let drawing = covector::draw::Drawing::trace(|x| called(&f, x), &x);
        let row = |s: &covector::draw::Step| {
            let operands = s.operands.join(", ");
            format!("{:<8} {:<24} {:<20} {}", s.name, format!("{}({operands})", s.op), s.spec.to_string(), s.location)
        };
        Ok(Shown::plain(drawing.steps().iter().map(row).collect::<Vec<_>>().join("\n")))
    })
}

/// What computing `f` on these arguments takes: the plan, with its operations and bytes.
#[pyfunction]
#[pyo3(signature = (f, *args, **kwargs))]
fn cost(f: Py<PyAny>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Shown> {
    let x = flatten(&gathered(args, kwargs)?, false)?;
    run(args.py(), || {
        eval(&x.leaves);
        let y = called(&f, &x);
        Ok(Shown::plain(covector::explain(&y.leaves).to_string()))
    })
}

/// The first step of `f` on these arguments to make a NaN, an infinity or a gradient that stops; `None` if all is well.
#[pyfunction]
#[pyo3(signature = (f, *args, **kwargs))]
fn why(f: Py<PyAny>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Option<Shown>> {
    let x = flatten(&gathered(args, kwargs)?, false)?;
    let finding = run(args.py(), || covector_trace::why(|x| called(&f, x), &x))?;
    Ok(finding.map(|f| Shown::plain(f.to_string())))
}

fn named(tree: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Array)>> {
    let x = flatten_whole(tree)?;
    run(tree.py(), || x.named().into_iter().map(|(name, t)| Ok((name, t.try_value()?))).collect())
}

fn failed(error: impl std::fmt::Display) -> PyErr {
    PyOSError::new_err(error.to_string())
}

/// Writes a tree of arrays to a file: `.safetensors` or `.npz`. It is written whole or not at all.
#[pyfunction]
fn save(path: std::path::PathBuf, tree: &Bound<'_, PyAny>) -> PyResult<()> {
    let arrays = named(tree)?;
    match path.extension().and_then(|e| e.to_str()) {
        Some("safetensors") => covector_io::save_safetensors(&path, &arrays, &Default::default()).map_err(failed),
        Some("npz") => covector_io::save_npz(&path, &arrays).map_err(failed),
        _ => Err(PyValueError::new_err(format!("{} ends in neither .safetensors nor .npz", path.display()))),
    }
}

/// The arrays of a file, `.safetensors` or `.npz`, by name.
#[pyfunction]
fn load(py: Python<'_>, path: std::path::PathBuf) -> Object {
    let arrays: Vec<(String, Array)> = match path.extension().and_then(|e| e.to_str()) {
        Some("safetensors") => covector_io::load_safetensors(&path).map_err(failed)?.tensors.into_iter().collect(),
        Some("npz") => covector_io::load_npz(&path).map_err(failed)?.into_iter().collect(),
        _ => return Err(PyValueError::new_err(format!("{} ends in neither .safetensors nor .npz", path.display()))),
    };
    let dict = PyDict::new(py);
    for (name, array) in arrays {
        dict.set_item(name, wrap(py, run(py, || Ok(Tensor::from_array(array)))?)?)?;
    }
    Ok(dict.into_any().unbind())
}

/// Adds the functions to the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    macro_rules! functions {
        ($($f:ident),*) => { $( module.add_function(wrap_pyfunction!($f, module)?)?; )* };
    }
    functions!(graph, trace, cost, why, save, load);
    Ok(())
}
