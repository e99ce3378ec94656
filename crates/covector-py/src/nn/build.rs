//! What constructors of layers share: sizes, options of convolutions, and the object that Python holds.

use covector::Tensor;
use covector_nn::conv::ConvOptions;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::face::{Call, Face, Named};
use super::key_of;
use crate::array::{PyArray, wrap};
use crate::convert::{ints, to_tensor};
use crate::errors::{compute, run};

/// A layer of `covector-nn`: what it begins with and what it computes. Its parameters are held by a module of Python.
#[pyclass(frozen, module = "covector._core")]
pub struct Layer(Box<dyn Face>);

impl Layer {
    pub fn of(py: Python<'_>, make: impl FnOnce() -> covector::Result<Box<dyn Face>>) -> PyResult<Layer> {
        Ok(Layer(run(py, make)?))
    }
}

fn dict<'py>(py: Python<'py>, named: Named) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    for (name, t) in named {
        all.set_item(name, wrap(py, t)?)?;
    }
    Ok(all)
}

fn tensors(list: &Bound<'_, PyAny>) -> PyResult<Vec<Tensor>> {
    list.try_iter()?.map(|item| to_tensor(&item?)).collect()
}

#[pymethods]
impl Layer {
    /// The parameters that it begins with, by name.
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, self.0.parameters())
    }

    /// What it remembers before the first call in training, by name.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, self.0.state())
    }

    /// Whether it draws random numbers in training.
    #[getter]
    fn draws(&self) -> bool {
        self.0.draws()
    }

    /// The results, and what it remembers after the call: an empty list if that is as before.
    #[pyo3(signature = (parameters, state, inputs, *, training, key = None, masks = None, causal = Vec::new(), weights = false,
        hidden = None))]
    #[allow(clippy::too_many_arguments)]
    fn call<'py>(
        &self,
        py: Python<'py>,
        parameters: &Bound<'py, PyAny>,
        state: &Bound<'py, PyAny>,
        inputs: &Bound<'py, PyAny>,
        training: bool,
        key: Option<&Bound<'py, PyAny>>,
        masks: Option<&Bound<'py, PyAny>>,
        causal: Vec<bool>,
        weights: bool,
        hidden: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyList>)> {
        let mask = |m: PyResult<Bound<'_, PyAny>>| {
            let m = m?;
            if m.is_none() { Ok(None) } else { to_tensor(&m).map(Some) }
        };
        let masks = match masks {
            Some(masks) => masks.try_iter()?.map(mask).collect::<PyResult<_>>()?,
            None => Vec::new(),
        };
        let key = if training && self.0.draws() { Some(key_of(py, key)?) } else { None };
        let hidden = hidden.map_or(Ok(Vec::new()), tensors)?;
        let how = Call { inputs: tensors(inputs)?, masks, causal, weights, hidden, key, training };
        let (parameters, state) = (tensors(parameters)?, tensors(state)?);
        if training && state.iter().any(|t| !t.is_evaluated() && !t.is_followed()) {
            // What the last batch left, so that no chain of batches stays behind.
            compute(py, || covector::try_eval(state.iter().filter(|t| !t.is_followed())))?;
        }
        let (results, state) = run(py, || self.0.call(parameters, state, &how))?;
        let objects =
            |all: Vec<Tensor>| all.into_iter().map(|t| Py::new(py, PyArray::new(t))).collect::<PyResult<Vec<_>>>();
        Ok((PyTuple::new(py, objects(results)?)?, PyList::new(py, objects(state)?)?))
    }
}

/// One size for each of `D` axes, or one for all.
pub fn each<const D: usize>(name: &str, sizes: &Bound<'_, PyAny>) -> PyResult<[usize; D]> {
    let given = ints(sizes).map_err(|_| {
        PyTypeError::new_err(format!("`{name}` must be an integer or {D} integers, not {}", shown(sizes)))
    })?;
    let one =
        |i: i64| usize::try_from(i).map_err(|_| PyValueError::new_err(format!("`{name}` must be 0 or more, not {i}")));
    let all: Vec<usize> = given.iter().map(|&i| one(i)).collect::<PyResult<_>>()?;
    match all[..] {
        [single] => Ok([single; D]),
        _ => all.try_into().map_err(|_| {
            PyValueError::new_err(format!("`{name}` must be an integer or {D} integers, not {}", shown(sizes)))
        }),
    }
}

/// As [`each`], where `None` stands for something else.
pub fn each_or<const D: usize>(
    name: &str,
    sizes: Option<&Bound<'_, PyAny>>,
    else_: [usize; D],
) -> PyResult<[usize; D]> {
    sizes.filter(|s| !s.is_none()).map_or(Ok(else_), |s| each(name, s))
}

/// Sizes of the last axes.
pub fn shape(name: &str, sizes: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    let wrong = || PyValueError::new_err(format!("`{name}` must be sizes of axes, not {}", shown(sizes)));
    let all = ints(sizes).map_err(|_| wrong())?;
    all.into_iter().map(|i| usize::try_from(i).map_err(|_| wrong())).collect()
}

fn shown(object: &Bound<'_, PyAny>) -> String {
    object.repr().map(|r| r.to_string()).unwrap_or_default()
}

/// What convolutions are told, as PyTorch tells it.
pub struct Told<'a, 'py> {
    pub kernel: &'a Bound<'py, PyAny>,
    pub stride: Option<&'a Bound<'py, PyAny>>,
    pub padding: Option<&'a Bound<'py, PyAny>>,
    pub dilation: Option<&'a Bound<'py, PyAny>>,
    pub output_padding: Option<&'a Bound<'py, PyAny>>,
    pub groups: usize,
    pub bias: bool,
    pub padding_mode: &'a str,
}

impl Told<'_, '_> {
    /// The kernel, and how it goes over its axes.
    pub fn options<const D: usize>(&self) -> PyResult<([usize; D], ConvOptions<D>)> {
        let kernel = each("kernel_size", self.kernel)?;
        let word = self.padding.and_then(|p| p.extract::<String>().ok());
        let options = ConvOptions {
            stride: each_or("stride", self.stride, [1; D])?,
            padding: if word.is_some() { [0; D] } else { each_or("padding", self.padding, [0; D])? },
            dilation: each_or("dilation", self.dilation, [1; D])?,
            output_padding: each_or("output_padding", self.output_padding, [0; D])?,
            groups: self.groups,
            bias: self.bias,
            padding_mode: mode(self.padding_mode)?,
        };
        match word.as_deref() {
            None | Some("valid") => Ok((kernel, options)),
            Some("same") if kernel.iter().any(|k| k % 2 == 0) => {
                Err(PyValueError::new_err(format!("padding=\"same\" needs kernels of odd sizes, not {kernel:?}")))
            }
            Some("same") if options.stride != [1; D] => {
                Err(PyValueError::new_err("padding=\"same\" needs a stride of 1, or the size changes"))
            }
            Some("same") => Ok((kernel, options.same(kernel))),
            Some(other) => {
                Err(PyValueError::new_err(format!("there is no padding {other:?}: give sizes, \"same\" or \"valid\"")))
            }
        }
    }
}

fn mode(name: &str) -> PyResult<&'static str> {
    ["zeros", "reflect", "replicate", "circular"].into_iter().find(|m| *m == name).ok_or_else(|| {
        PyValueError::new_err(format!(
            "there is no padding_mode {name:?}: zeros, reflect, replicate and circular are there"
        ))
    })
}
