//! Transformations of functions of Python: derivatives, batching, recomputation, compilation.
//!
//! A function of Python becomes one of Rust on the leaves of its arguments; its exceptions pass through as they are.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use covector::{Axis, BatchAxes, Linearized, Pullback, Tensor};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::array::{Object, wrap};
use crate::convert::to_tensor;
use crate::errors::{run, run_python, throw};
use crate::tree::{Leaves, flatten, flatten_whole};

type Compiled = Box<dyn Fn(&Leaves) -> Leaves + Send + Sync>;

/// What is done to a function.
enum Kind {
    Grad { which: Vec<usize>, single: bool, value: bool, aux: bool },
    Jacobian { which: usize, forward: bool },
    Hessian { which: usize },
    Vmap { inputs: Py<PyAny>, outputs: Py<PyAny> },
    Checkpoint,
    Compile(Compiled),
}

/// A function that was transformed.
#[pyclass(frozen, dict, weakref, module = "covector")]
pub struct Transformed {
    function: Py<PyAny>,
    kind: Kind,
}

fn made<'py>(function: Bound<'py, PyAny>, kind: Kind) -> PyResult<Bound<'py, PyAny>> {
    let py = function.py();
    if !function.is_callable() {
        return Err(PyTypeError::new_err(format!("{} is no function", function.repr()?)));
    }
    let object = Bound::new(py, Transformed { function: function.clone().unbind(), kind })?.into_any();
    // The name, the docstring and the signature stay those of the function.
    py.import("functools")?.call_method1("update_wrapper", (&object, function))
}

/// Calls a function of Python with leaves put back into its arguments `(args, kwargs)`.
fn call(function: &Py<PyAny>, arguments: &Leaves) -> PyResult<Py<PyAny>> {
    Python::attach(|py| {
        let both = arguments.build(py)?;
        let args = both.get_item(0)?.cast_into::<PyTuple>()?;
        let kwargs = both.get_item(1)?.cast_into::<PyDict>()?;
        Ok(function.bind(py).call(args, Some(&kwargs))?.unbind())
    })
}

/// As [`call`], to the leaves of the result; an exception flies through Rust.
pub fn called(function: &Py<PyAny>, arguments: &Leaves) -> Leaves {
    let result = call(function, arguments).and_then(|y| Python::attach(|py| flatten(y.bind(py), true)));
    result.unwrap_or_else(|e| throw(e))
}

/// As [`called`], with the buffers of modules: a result is not to hold what has no value yet.
fn called_whole(function: &Py<PyAny>, arguments: &Leaves) -> Leaves {
    let result = call(function, arguments).and_then(|y| Python::attach(|py| flatten_whole(y.bind(py))));
    result.unwrap_or_else(|e| throw(e))
}

/// The arguments as one tree.
pub fn gathered<'py>(args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let py = args.py();
    let kwargs = kwargs.map_or_else(|| PyDict::new(py), Clone::clone);
    Ok((args, kwargs).into_pyobject(py)?.into_any())
}

/// The arguments with some replaced.
fn replaced<'py>(
    args: &Bound<'py, PyTuple>,
    which: &[usize],
    new: &[Bound<'py, PyAny>],
) -> PyResult<Bound<'py, PyTuple>> {
    let mut all: Vec<Bound<'py, PyAny>> = args.iter().collect();
    which.iter().zip(new).for_each(|(&i, n)| all[i] = n.clone());
    PyTuple::new(args.py(), all)
}

fn chosen<'py>(args: &Bound<'py, PyTuple>, which: &[usize]) -> PyResult<Bound<'py, PyTuple>> {
    if let Some(i) = which.iter().find(|&&i| i >= args.len()) {
        return Err(PyTypeError::new_err(format!("argument {i} is to be differentiated, {} were given", args.len())));
    }
    PyTuple::new(args.py(), which.iter().map(|&i| args.get_item(i)).collect::<PyResult<Vec<_>>>()?)
}

/// The single array a function returned.
fn single(y: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    to_tensor(y).map_err(|_| {
        let kind = y.get_type().name().map(|n| n.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!(
            "the function must return an array, not {kind}\n  hint: with further results use `has_aux=True`"
        ))
    })
}

/// The value of a function of a tree of Python, what else it gives if it gives a pair, and the gradient.
pub fn value_and_gradient<'py>(
    py: Python<'py>,
    x: &Leaves,
    aux: bool,
    f: impl Fn(Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<(Tensor, Option<Py<PyAny>>, Leaves)> {
    let kept: RefCell<Option<Py<PyAny>>> = RefCell::new(None);
    let called = |x: &Leaves| -> Tensor {
        let result = (|| {
            let y = f(x.build(py)?)?;
            if !aux {
                return single(&y);
            }
            let pair = y.cast::<PyTuple>().ok().filter(|p| p.len() == 2);
            let pair = pair.ok_or_else(|| {
                PyTypeError::new_err("with `has_aux=True` the function must return a pair (loss, other)")
            })?;
            *kept.borrow_mut() = Some(pair.get_item(1)?.unbind());
            single(&pair.get_item(0)?)
        })();
        result.unwrap_or_else(|e| throw(e))
    };
    let (y, gradient) = run(py, || covector::try_value_and_grad(called, x))?;
    Ok((y, kept.into_inner(), gradient))
}

impl Transformed {
    fn grad(&self, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Object {
        let Kind::Grad { which, single: one, value, aux } = &self.kind else { unreachable!("called for gradients") };
        let py = args.py();
        let x = flatten(chosen(args, which)?.as_any(), true)?;
        let (y, kept, gradient) = value_and_gradient(py, &x, *aux, |x| {
            let new: Vec<Bound<'_, PyAny>> = x.cast_into::<PyTuple>()?.iter().collect();
            self.function.bind(py).call(replaced(args, which, &new)?, kwargs)
        })?;
        let gradient = gradient.build(py)?;
        let gradient = if *one { gradient.get_item(0)? } else { gradient };
        let y = wrap(py, y)?;
        let y = match kept {
            Some(other) => (y, other).into_pyobject(py)?.into_any().unbind(),
            None => y,
        };
        match (value, aux) {
            (true, _) => Ok((y, gradient).into_pyobject(py)?.into_any().unbind()),
            (false, true) => Ok((gradient, y.bind(py).get_item(1)?).into_pyobject(py)?.into_any().unbind()),
            (false, false) => Ok(gradient.unbind()),
        }
    }

    fn jacobian(&self, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>, which: usize, how: u8) -> Object {
        let py = args.py();
        let x = flatten(chosen(args, &[which])?.as_any(), true)?;
        let f = |x: &Leaves| -> Tensor {
            let result = (|| {
                let new = [x.build(py)?.get_item(0)?];
                single(&self.function.bind(py).call(replaced(args, &[which], &new)?, kwargs)?)
            })();
            result.unwrap_or_else(|e| throw(e))
        };
        let jacobian = run(py, || {
            Ok(match how {
                0 => covector::jacrev(f)(&x),
                1 => covector::jacfwd(f)(&x),
                _ => {
                    let [only] = &x.leaves[..] else {
                        return Err(covector::Error::new("a Hessian is taken with respect to one array")
                            .hint("use jacfwd(grad(f)) for trees"));
                    };
                    let h = covector::hessian(|t: &Tensor| f(&x.with(vec![t.clone()])))(only);
                    x.with(vec![h])
                }
            })
        })?;
        Ok(jacobian.build(py)?.get_item(0)?.unbind())
    }

    fn vmap(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
        inputs: &Py<PyAny>,
        outputs: &Py<PyAny>,
    ) -> Object {
        let py = args.py();
        let x = flatten(&gathered(args, kwargs)?, false)?;
        let inputs = inputs.bind(py);
        let mut axes: Vec<Option<Axis>> = Vec::new();
        for (i, arg) in args.iter().enumerate() {
            let axis = if inputs.cast::<PyTuple>().is_ok() || inputs.cast::<pyo3::types::PyList>().is_ok() {
                if inputs.len()? != args.len() {
                    return Err(PyValueError::new_err(format!(
                        "in_axes has {} entries for {} arguments",
                        inputs.len()?,
                        args.len()
                    )));
                }
                inputs.get_item(i)?
            } else {
                inputs.clone()
            };
            let n = flatten(&arg, false)?.leaves.len();
            axes.extend(leaf_axes(&axis, n)?);
        }
        axes.resize(x.leaves.len(), Some(Axis(0)));
        let outputs = outputs.bind(py);
        let out = match outputs.cast::<PyTuple>() {
            Ok(all) => BatchAxes::Each(all.iter().map(|a| one_axis(&a)).collect::<PyResult<_>>()?),
            Err(_) => BatchAxes::All(one_axis(outputs)?),
        };
        let y =
            run(py, || covector::try_vmap(|x: &Leaves| called(&self.function, x), &x, &BatchAxes::Each(axes), &out))?;
        Ok(y.build(py)?.unbind())
    }
}

fn one_axis(axis: &Bound<'_, PyAny>) -> PyResult<Option<Axis>> {
    if axis.is_none() {
        return Ok(None);
    }
    Ok(Some(Axis(axis.extract().map_err(|_| PyTypeError::new_err("a batch axis is an integer or None"))?)))
}

fn leaf_axes(axis: &Bound<'_, PyAny>, n: usize) -> PyResult<Vec<Option<Axis>>> {
    if let Ok(all) = axis.cast::<PyTuple>() {
        if all.len() != n {
            return Err(PyValueError::new_err(format!("{} batch axes for an argument of {n} arrays", all.len())));
        }
        return all.iter().map(|a| one_axis(&a)).collect();
    }
    if let Ok(dict) = axis.cast::<PyDict>() {
        return dict.values().iter().map(|a| one_axis(&a)).collect();
    }
    Ok(vec![one_axis(axis)?; n])
}

#[pymethods]
impl Transformed {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(&self, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Object {
        let py = args.py();
        match &self.kind {
            Kind::Grad { .. } => self.grad(args, kwargs),
            Kind::Jacobian { which, forward } => self.jacobian(args, kwargs, *which, u8::from(*forward)),
            Kind::Hessian { which } => self.jacobian(args, kwargs, *which, 2),
            Kind::Vmap { inputs, outputs } => self.vmap(args, kwargs, inputs, outputs),
            Kind::Checkpoint => {
                let x = flatten(&gathered(args, kwargs)?, false)?;
                let y = run(py, || Ok(covector::checkpoint(|x: &Leaves| called(&self.function, x))(&x)))?;
                Ok(y.build(py)?.unbind())
            }
            Kind::Compile(compiled) => {
                let x = flatten(&gathered(args, kwargs)?, false)?;
                let y = run(py, || Ok(py.detach(|| compiled(&x))))?;
                Ok(y.build(py)?.unbind())
            }
        }
    }

    fn __get__(slf: Bound<'_, Self>, this: &Bound<'_, PyAny>, _class: &Bound<'_, PyAny>) -> Object {
        if this.is_none() {
            return Ok(slf.into_any().unbind());
        }
        Ok(slf.py().import("functools")?.call_method1("partial", (slf, this))?.unbind())
    }
}

fn places(argnums: &Bound<'_, PyAny>) -> PyResult<(Vec<usize>, bool)> {
    if let Ok(i) = argnums.extract::<usize>() {
        return Ok((vec![i], true));
    }
    let wrong = |_| PyTypeError::new_err("argnums must be the place of an argument, or a tuple of places");
    Ok((argnums.extract::<Vec<usize>>().map_err(wrong)?, false))
}

/// The function that gives the gradient of `f`: the derivative of its scalar result by the arguments `argnums`.
#[pyfunction]
#[pyo3(signature = (f, argnums = None, *, has_aux = false))]
fn grad<'py>(f: Bound<'py, PyAny>, argnums: Option<&Bound<'py, PyAny>>, has_aux: bool) -> PyResult<Bound<'py, PyAny>> {
    let (which, single) = argnums.map_or(Ok((vec![0], true)), places)?;
    made(f, Kind::Grad { which, single, value: false, aux: has_aux })
}

/// As `grad`, with the value: `(value, gradient)`.
#[pyfunction]
#[pyo3(signature = (f, argnums = None, *, has_aux = false))]
fn value_and_grad<'py>(
    f: Bound<'py, PyAny>,
    argnums: Option<&Bound<'py, PyAny>>,
    has_aux: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let (which, single) = argnums.map_or(Ok((vec![0], true)), places)?;
    made(f, Kind::Grad { which, single, value: true, aux: has_aux })
}

/// The function that gives the Jacobian of `f`, row by row in reverse mode.
#[pyfunction]
#[pyo3(signature = (f, argnums = 0))]
fn jacrev(f: Bound<'_, PyAny>, argnums: usize) -> PyResult<Bound<'_, PyAny>> {
    made(f, Kind::Jacobian { which: argnums, forward: false })
}

/// The function that gives the Jacobian of `f`, column by column in forward mode.
#[pyfunction]
#[pyo3(signature = (f, argnums = 0))]
fn jacfwd(f: Bound<'_, PyAny>, argnums: usize) -> PyResult<Bound<'_, PyAny>> {
    made(f, Kind::Jacobian { which: argnums, forward: true })
}

/// The function that gives the second derivatives of the scalar `f` by one array.
#[pyfunction]
#[pyo3(signature = (f, argnums = 0))]
fn hessian(f: Bound<'_, PyAny>, argnums: usize) -> PyResult<Bound<'_, PyAny>> {
    made(f, Kind::Hessian { which: argnums })
}

/// `f` on every example of a batch: `in_axes` says for each argument which axis runs over them, `None` for none.
#[pyfunction]
#[pyo3(signature = (f, in_axes = None, out_axes = None))]
fn vmap<'py>(
    f: Bound<'py, PyAny>,
    in_axes: Option<Py<PyAny>>,
    out_axes: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let zero = 0i64.into_pyobject(f.py())?.into_any().unbind();
    let inputs = in_axes.unwrap_or_else(|| zero.clone_ref(f.py()));
    made(f, Kind::Vmap { inputs, outputs: out_axes.unwrap_or(zero) })
}

/// `f` with its intermediate values forgotten: a backward pass computes them again.
#[pyfunction]
fn checkpoint(f: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    made(f, Kind::Checkpoint)
}

/// `f` recorded once for each kind of arguments, planned, and run without calling Python.
#[pyfunction]
fn compile(f: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let function = f.clone().unbind();
    let compiled = covector::compile(move |x: &Leaves| called_whole(&function, x));
    made(f, Kind::Compile(Box::new(compiled)))
}

fn tree_of(args: &Bound<'_, PyTuple>) -> PyResult<Leaves> {
    flatten(&gathered(args, None)?, true)
}

/// `(y, pullback)`: the value of `f`, and the function from a cotangent of `y` to those of the arguments.
#[pyfunction]
#[pyo3(signature = (f, *primals))]
fn vjp<'py>(f: Bound<'py, PyAny>, primals: &Bound<'py, PyTuple>) -> PyResult<(Bound<'py, PyAny>, PyPullback)> {
    let py = f.py();
    let (x, function) = (tree_of(primals)?, f.unbind());
    let (y, pullback) = run(py, || Ok(covector::vjp(|x: &Leaves| called(&function, x), &x)))?;
    Ok((y.build(py)?, PyPullback { pullback, outputs: y }))
}

/// What `vjp` gives: from a cotangent of the result to those of the arguments.
#[pyclass(frozen, name = "Pullback", module = "covector")]
pub struct PyPullback {
    pullback: Pullback<Leaves, Leaves>,
    outputs: Leaves,
}

#[pymethods]
impl PyPullback {
    fn __call__<'py>(&self, cotangent: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = cotangent.py();
        let cotangent = flatten(cotangent, true)?;
        let x = run(py, || self.pullback.try_call(&cotangent.like(&self.outputs)))?;
        x.build(py)?.get_item(0)
    }
}

/// `(y, tangent)`: the value of `f` and its derivative along tangents of the arguments, both given as tuples.
#[pyfunction]
fn jvp<'py>(
    f: Bound<'py, PyAny>,
    primals: &Bound<'py, PyAny>,
    tangents: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let py = f.py();
    let as_tuple =
        |x: &Bound<'py, PyAny>| x.try_iter()?.collect::<PyResult<Vec<_>>>().and_then(|v| PyTuple::new(py, v));
    let (x, t) = (tree_of(&as_tuple(primals)?)?, tree_of(&as_tuple(tangents)?)?);
    let function = f.unbind();
    let (y, dy) = run(py, || covector::try_jvp(|x: &Leaves| called(&function, x), &x, &t.like(&x)))?;
    Ok((y.build(py)?, dy.build(py)?))
}

/// `(y, linear)`: the value of `f`, and its derivative as a function of tangents.
#[pyfunction]
#[pyo3(signature = (f, *primals))]
fn linearize<'py>(f: Bound<'py, PyAny>, primals: &Bound<'py, PyTuple>) -> PyResult<(Bound<'py, PyAny>, PyLinear)> {
    let py = f.py();
    let (x, function) = (tree_of(primals)?, f.unbind());
    let (y, linear) = run(py, || Ok(covector::linearize(|x: &Leaves| called(&function, x), &x)))?;
    Ok((y.build(py)?, PyLinear { linear, arguments: x }))
}

/// What `linearize` gives: the derivative as a function of tangents.
#[pyclass(frozen, name = "Linear", module = "covector")]
pub struct PyLinear {
    linear: Linearized<Leaves, Leaves>,
    arguments: Leaves,
}

#[pymethods]
impl PyLinear {
    #[pyo3(signature = (*tangents))]
    fn __call__<'py>(&self, tangents: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = tangents.py();
        let t = tree_of(tangents)?;
        run(py, || Ok(self.linear.call(&t.like(&self.arguments))))?.build(py)
    }
}

/// A function with a pullback of one's own: `defvjp(forward, backward)`, where `forward(*args)` gives the result and what
/// `backward(kept, cotangent)` needs to give the cotangents of the arguments, as a tuple.
#[pyclass(frozen, dict, module = "covector", name = "custom_vjp")]
pub struct CustomVjp {
    function: Py<PyAny>,
    rules: Mutex<Option<Arc<Rules>>>,
}

/// What runs forward, and what runs back.
struct Rules(Py<PyAny>, Py<PyAny>);

#[pymethods]
impl CustomVjp {
    #[new]
    fn new(f: Py<PyAny>) -> CustomVjp {
        CustomVjp { function: f, rules: Mutex::new(None) }
    }

    /// Gives the rule.
    fn defvjp(&self, forward: Py<PyAny>, backward: Py<PyAny>) {
        *self.rules.lock().unwrap_or_else(|e| e.into_inner()) = Some(Arc::new(Rules(forward, backward)));
    }

    #[pyo3(signature = (*args))]
    fn __call__(&self, args: &Bound<'_, PyTuple>) -> Object {
        let py = args.py();
        let rules = self.rules.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let rules = rules
            .ok_or_else(|| PyTypeError::new_err("the function has no rule yet: call `defvjp(forward, backward)`"))?;
        let x = flatten(&gathered(args, None)?, false)?;
        let rule = move |x: &Leaves, cotangent: &Leaves| -> Leaves {
            let found: PyResult<Leaves> = Python::attach(|py| {
                let pair = call(&rules.0, x)?;
                let kept = pair.bind(py).get_item(1)?;
                let back = rules.1.bind(py).call1((kept, cotangent.build(py)?))?;
                let back = if back.cast::<PyTuple>().is_ok() { back } else { PyTuple::new(py, [back])?.into_any() };
                Ok(x.with(flatten(&back, true)?.like(x).leaves))
            });
            found.unwrap_or_else(|e| throw(e))
        };
        let function = self.function.clone_ref(py);
        let y = run_python(py, || Ok(covector::custom_vjp(move |x: &Leaves| called(&function, x), rule)(&x)))?;
        Ok(y.build(py)?.unbind())
    }
}

/// Adds the transformations to the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    macro_rules! functions {
        ($($f:ident),*) => { $( module.add_function(wrap_pyfunction!($f, module)?)?; )* };
    }
    functions!(grad, value_and_grad, jacrev, jacfwd, hessian, vmap, checkpoint, compile, vjp, jvp, linearize);
    module.add("jit", module.getattr("compile")?)?;
    module.add_class::<CustomVjp>()
}
