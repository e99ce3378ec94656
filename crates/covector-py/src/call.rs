//! Functions and methods of Python made of ops of the registry: how arguments are bound, converted and passed on.

use std::ffi::CString;
use std::sync::Arc;

use covector::registry::{self, Arg, Args, OpDef};
use covector::{Axes, DType, Operand, Tensor, keep};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use crate::array::{Object, PyArray, wrap};
use crate::convert::{fits, ints, operand, to_tensor};
use crate::errors::run;
use crate::table::{ALIASES, DEFAULTS, HIDDEN, NAMES, RESULTS, STANDARD};

/// What a parameter is when it is not given.
#[derive(Clone, Debug)]
enum Default {
    Required,
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
}

/// What a parameter does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    /// It is this parameter of the op.
    Param(usize),
    /// It keeps the axes of this parameter of the op.
    Keep(usize),
    /// The operands are cast to it first; sums of narrow integers are formed in wide ones.
    Before,
    /// It is accepted.
    Nothing,
}

struct Slot {
    name: &'static str,
    alias: Option<&'static str>,
    positional: bool,
    keyword: bool,
    default: Default,
    target: Target,
}

/// A function of Python: an op, and how it is called.
pub struct Binding {
    name: &'static str,
    op: &'static OpDef,
    slots: Vec<Slot>,
    signature: String,
    result: Option<Py<PyAny>>,
}

fn default_of(text: &'static str) -> Default {
    match text {
        "None" => Default::None,
        "True" => Default::Bool(true),
        "False" => Default::Bool(false),
        quoted if quoted.starts_with('\'') => Default::Text(quoted.trim_matches('\'')),
        number => match number.parse() {
            Ok(i) => Default::Int(i),
            Err(_) => number.parse().map_or(Default::Required, Default::Float),
        },
    }
}

impl Binding {
    fn new(py: Python<'_>, name: &'static str, signature: &'static str, op: &'static OpDef) -> PyResult<Binding> {
        let (mut slots, mut keyword_only, mut shown) = (Vec::new(), false, Vec::new());
        for token in signature.split(", ") {
            match token {
                "/" => slots.iter_mut().for_each(|s: &mut Slot| s.keyword = false),
                "*" => keyword_only = true,
                token => {
                    let (key, default) =
                        token.split_once('=').map_or((token, Default::Required), |(k, d)| (k, default_of(d)));
                    let (key, param) = key.split_once(':').unwrap_or((key, key));
                    let alias = ALIASES.iter().find(|(k, _)| *k == key).map(|(_, a)| *a);
                    let target = target_of(op, param);
                    slots.push(Slot { name: key, alias, positional: !keyword_only, keyword: true, default, target });
                }
            }
            let plain = token
                .split_once(':')
                .map_or(token.to_owned(), |(k, rest)| format!("{k}{}", rest.find('=').map_or("", |i| &rest[i..])));
            shown.push(plain);
        }
        let fields = RESULTS.iter().find(|(n, _)| *n == name);
        let result = match fields {
            None => None,
            Some((_, fields)) => {
                let options = PyDict::new(py);
                options.set_item("module", "covector")?;
                let class = py.import("collections")?.call_method(
                    "namedtuple",
                    (format!("{name}_result"), fields.to_vec()),
                    Some(&options),
                )?;
                Some(class.unbind())
            }
        };
        Ok(Binding { name, op, slots, signature: shown.join(", "), result })
    }

    /// The arguments in the order of the slots.
    fn bound<'py>(
        &self,
        this: Option<Bound<'py, PyAny>>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
        let mut given: Vec<Option<Bound<'py, PyAny>>> = Vec::with_capacity(self.slots.len());
        given.extend(this.map(Some));
        given.extend(args.iter().map(Some));
        let places = self.slots.iter().filter(|s| s.positional).count();
        if given.len() > places {
            let text = format!("{}() takes {places} positional arguments, {} were given", self.name, given.len());
            return Err(PyTypeError::new_err(text));
        }
        given.resize(self.slots.len(), None);
        for (key, value) in kwargs.into_iter().flat_map(|k| k.iter()) {
            let key = key.cast::<pyo3::types::PyString>()?.to_str()?.to_owned();
            let named = |s: &Slot| (s.keyword && s.name == key) || s.alias.is_some_and(|a| a == key);
            let Some(at) = self.slots.iter().position(named) else {
                let text = format!(
                    "{}() got an unexpected keyword argument '{key}'\n  hint: {}({})",
                    self.name, self.name, self.signature
                );
                return Err(PyTypeError::new_err(text));
            };
            if given[at].replace(value).is_some() {
                return Err(PyTypeError::new_err(format!("{}() got two values for '{key}'", self.name)));
            }
        }
        Ok(given)
    }

    /// Calls the op.
    pub fn call<'py>(
        &self,
        py: Python<'py>,
        this: Option<Bound<'py, PyAny>>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> Object {
        let given = self.bound(this, args, kwargs)?;
        let mut values: Vec<Arg> = Vec::with_capacity(self.op.params.len());
        values.resize(self.op.params.len(), Arg::None);
        let (mut kept, mut before) = (None, None);
        for (slot, object) in self.slots.iter().zip(&given) {
            let object = object.as_ref();
            match slot.target {
                Target::Param(i) => values[i] = self.argument(py, slot, i, object, &values)?,
                Target::Keep(i) if object.map_or(Ok(false), |o| o.is_truthy())? => kept = Some(i),
                Target::Before => before = Some(object.filter(|o| !o.is_none()).map(crate::dtype::parse).transpose()?),
                Target::Nothing => device(slot.name, object)?,
                Target::Keep(_) => (),
            }
        }
        if let Some(i) = kept {
            values[i] = match std::mem::replace(&mut values[i], Arg::None) {
                Arg::Axes(axes) => Arg::Axes(keep(axes)),
                other => other,
            };
        }
        let results = run(py, || {
            if let Some(dtype) = before {
                values[0] = match std::mem::replace(&mut values[0], Arg::None) {
                    Arg::Tensor(x) => Arg::Tensor(summed_in(x, dtype)?),
                    other => other,
                };
            }
            (self.op.call)(&mut Args::positional(self.op, values)?)
        })?;
        self.wrapped(py, results)
    }

    fn wrapped(&self, py: Python<'_>, mut results: Vec<Tensor>) -> Object {
        if self.op.outputs == "Tensor" && results.len() == 1 {
            return wrap(py, results.swap_remove(0));
        }
        let all: Vec<Py<PyAny>> = results.into_iter().map(|t| wrap(py, t)).collect::<PyResult<_>>()?;
        let tuple = PyTuple::new(py, all)?;
        match &self.result {
            Some(class) => class.call1(py, tuple),
            None => Ok(tuple.into_any().unbind()),
        }
    }

    fn argument(
        &self,
        py: Python<'_>,
        slot: &Slot,
        i: usize,
        object: Option<&Bound<'_, PyAny>>,
        so_far: &[Arg],
    ) -> PyResult<Arg> {
        let param = &self.op.params[i];
        let Some(object) = object else { return self.absent(slot, i, so_far) };
        if object.is_none() {
            return match (param.kind, param.optional) {
                ("Axes", _) => Ok(Arg::Axes(Axes::all())),
                ("Axis", _) => self.absent(&Slot { default: Default::None, ..*slot }, i, so_far),
                ("DType", _) => Ok(Arg::DType(DType::F32)),
                ("Ints", false) if matches!(slot.default, Default::None) => Ok(Arg::Ints(Vec::new())),
                (_, true) => Ok(Arg::None),
                (kind, false) => Err(self.wrong(slot, kind, object)),
            };
        }
        let wrong = |_: PyErr| self.wrong(slot, param.kind, object);
        match param.kind {
            "Tensor" => Ok(Arg::Tensor(to_tensor(object).map_err(|e| self.blame(py, slot, e))?)),
            "Operand" => {
                let mut other = operand(object).map_err(|e| self.blame(py, slot, e))?;
                if let Some(Arg::Tensor(x)) = so_far.first() {
                    if self.op.notes.contains("bool")
                        && matches!(other, Operand::Int(_))
                        && fits(&other, x.dtype()).is_err()
                    {
                        other = Operand::Tensor(to_tensor(object)?);
                    }
                    fits(&other, x.dtype())?;
                }
                Ok(match other {
                    Operand::Tensor(t) => Arg::Tensor(t),
                    Operand::Int(i) => Arg::Int(i),
                    Operand::Float(x) => Arg::Float(x),
                    Operand::Complex(z) => Arg::Complex(z),
                })
            }
            "[Tensor]" => {
                let items = object.try_iter().map_err(wrong)?;
                Ok(Arg::Tensors(items.map(|item| to_tensor(&item?)).collect::<PyResult<_>>()?))
            }
            "Axes" => Ok(Arg::Axes(Axes::from(
                ints(object).map_err(wrong)?.into_iter().map(|i| i as isize).collect::<Vec<_>>(),
            ))),
            "Ints" | "Shape" => {
                let sizes = ints(object).map_err(wrong)?;
                if param.kind == "Shape" && sizes.iter().any(|&d| d < 0) {
                    return Err(PyValueError::new_err(format!(
                        "{}: {sizes:?} is not a shape: sizes are 0 or more",
                        self.name
                    )));
                }
                Ok(Arg::Ints(sizes))
            }
            "DType" => Ok(Arg::DType(crate::dtype::parse(object)?)),
            "bool" => Ok(Arg::Bool(object.is_truthy()?)),
            "f64" => Ok(Arg::Float(object.extract().map_err(wrong)?)),
            "MatrixNorm" if object.extract::<f64>().is_ok() => Ok(Arg::Float(object.extract()?)),
            "str" | "String" | "MatrixNorm" => Ok(Arg::Str(object.extract().map_err(wrong)?)),
            _ => {
                let number: i64 = object.extract().map_err(wrong)?;
                Ok(Arg::Int(number))
            }
        }
    }

    fn absent(&self, slot: &Slot, i: usize, so_far: &[Arg]) -> PyResult<Arg> {
        let param = &self.op.params[i];
        Ok(match &slot.default {
            Default::Required => {
                let text = format!(
                    "{}() is missing the argument '{}'\n  hint: {}({})",
                    self.name, slot.name, self.name, self.signature
                );
                return Err(PyTypeError::new_err(text));
            }
            Default::None => match param.kind {
                "Axes" => Arg::Axes(Axes::all()),
                "DType" if !param.optional => Arg::DType(DType::F32),
                "Ints" if !param.optional => Arg::Ints(Vec::new()),
                "Axis" => match so_far.first() {
                    Some(Arg::Tensor(x)) if x.ndim() == 1 => Arg::Int(0),
                    Some(Arg::Tensor(x)) => {
                        let text = format!(
                            "{}: {} has {} axes: say along which one with `axis`",
                            self.name,
                            x.spec(),
                            x.ndim()
                        );
                        return Err(PyValueError::new_err(text));
                    }
                    _ => Arg::None,
                },
                _ => Arg::None,
            },
            Default::Bool(b) => Arg::Bool(*b),
            Default::Int(i) => Arg::Int(*i),
            Default::Float(x) => Arg::Float(*x),
            Default::Text(s) => Arg::Str((*s).to_owned()),
        })
    }

    fn wrong(&self, slot: &Slot, kind: &str, object: &Bound<'_, PyAny>) -> PyErr {
        let given = object.repr().map(|r| r.to_string()).unwrap_or_default();
        let wanted = match kind {
            "Tensor" => "an array",
            "[Tensor]" => "a list of arrays",
            "Axes" | "Ints" | "Shape" => "an integer or a list of integers",
            "f64" => "a number",
            "String" | "str" => "text",
            _ => "an integer",
        };
        PyTypeError::new_err(format!("{}: `{}` must be {wanted}, not {given}", self.name, slot.name))
    }

    fn blame(&self, py: Python<'_>, slot: &Slot, error: PyErr) -> PyErr {
        if error.is_instance_of::<PyTypeError>(py) {
            return PyTypeError::new_err(format!("{}: `{}`: {}", self.name, slot.name, error.value(py)));
        }
        error
    }

    fn doc(&self) -> String {
        let doc = self.op.doc;
        let mut text = String::new();
        let mut inside = false;
        for line in doc.lines() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
                continue;
            }
            if inside || line.starts_with("# Example") {
                continue;
            }
            text += &line.replace("# Errors", "Raises:");
            text.push('\n');
        }
        text.trim().to_owned()
    }

    /// The function of Python.
    fn function<'py>(self: &Arc<Self>, py: Python<'py>) -> PyResult<Bound<'py, PyCFunction>> {
        let leak = |text: String| CString::new(text).map(|c| &*Box::leak(c.into_boxed_c_str()));
        let name = leak(self.name.to_owned())?;
        let doc = leak(format!("{}({})\n--\n\n{}", self.name, self.signature, self.doc()))?;
        let binding = self.clone();
        PyCFunction::new_closure(
            py,
            Some(name),
            Some(doc),
            move |args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>| {
                let py = args.py();
                binding.call_numbers_first(py, args, kwargs)
            },
        )
    }

    /// As [`call`](Self::call); a number in front takes the dtype of the array behind it.
    fn call_numbers_first<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> Object {
        let binary = self.op.params.len() > 1 && self.op.params[1].kind == "Operand" && args.len() > 1;
        if binary && self.op.params[0].kind == "Tensor" {
            let first = args.get_item(0)?;
            let second = args.get_item(1)?;
            if first.cast_exact::<PyArray>().is_err() && self.name != "where" {
                let (a, b) = (operand(&first)?, operand(&second)?);
                if let (Operand::Int(_) | Operand::Float(_) | Operand::Complex(_), Operand::Tensor(x)) = (&a, &b) {
                    fits(&a, x.dtype())?;
                    let a = run(py, || Ok(a.beside(x)))?;
                    let rest = (1..args.len()).map(|i| args.get_item(i)).collect::<PyResult<Vec<_>>>()?;
                    return self.call(
                        py,
                        Some(Py::new(py, PyArray::new(a))?.into_bound(py).into_any()),
                        &PyTuple::new(py, rest)?,
                        kwargs,
                    );
                }
            }
        }
        self.call(py, None, args, kwargs)
    }
}

fn target_of(op: &OpDef, name: &str) -> Target {
    let at = |wanted: &str| op.params.iter().position(|p| p.name == wanted);
    match name {
        "dtype" if op.name == "zeros" || op.name == "ones" => at("dtype").map_or(Target::Nothing, Target::Param),
        "dtype" if at("dtype").is_none() || op.name.starts_with("cumulative") => Target::Before,
        "axis" => at("axis").or(at("axes")).map_or(Target::Nothing, Target::Param),
        "keepdims" if at("keepdims").is_some() => at("keepdims").map_or(Target::Nothing, Target::Param),
        "keepdims" => at("axes").or(at("axis")).map_or(Target::Nothing, Target::Keep),
        _ => at(name).map_or(Target::Nothing, Target::Param),
    }
}

fn summed_in(x: Tensor, dtype: Option<DType>) -> covector::Result<Tensor> {
    match (dtype, x.dtype()) {
        (Some(dtype), _) => x.try_cast(dtype),
        (None, d) if d.is_unsigned() => x.try_cast(DType::U64),
        (None, d) if d.is_int() => x.try_cast(DType::I64),
        (None, _) => Ok(x),
    }
}

/// Refuses devices other than the one there is.
pub fn device(name: &str, object: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    match object {
        Some(device)
            if name == "device" && !device.is_none() && device.extract::<String>().ok().as_deref() != Some("cpu") =>
        {
            Err(PyValueError::new_err(format!("there is no device {device}: arrays live on the \"cpu\"")))
        }
        _ => Ok(()),
    }
}

/// An op as a method: bound to an array when it is looked up on one.
#[pyclass(frozen, module = "covector")]
pub struct Method(Arc<Binding>);

#[pymethods]
impl Method {
    fn __get__(slf: &Bound<'_, Self>, this: &Bound<'_, PyAny>, _class: &Bound<'_, PyAny>) -> Object {
        match this.is_none() {
            true => Ok(slf.clone().into_any().unbind()),
            false => Ok(Py::new(slf.py(), BoundMethod { binding: slf.get().0.clone(), this: this.clone().unbind() })?
                .into_any()),
        }
    }
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Object {
        self.0.call(py, None, args, kwargs)
    }
    #[getter]
    fn __name__(&self) -> &'static str {
        self.0.name
    }
    #[getter]
    fn __doc__(&self) -> String {
        self.0.doc()
    }
    #[getter]
    fn __text_signature__(&self) -> String {
        format!("({})", self.0.signature)
    }
}

/// A method of one array.
#[pyclass(frozen, module = "covector")]
pub struct BoundMethod {
    binding: Arc<Binding>,
    this: Py<PyAny>,
}

#[pymethods]
impl BoundMethod {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Object {
        self.binding.call(py, Some(self.this.bind(py).clone()), args, kwargs)
    }
    #[getter]
    fn __name__(&self) -> &'static str {
        self.binding.name
    }
    #[getter]
    fn __doc__(&self) -> String {
        self.binding.doc()
    }
    #[getter]
    fn __self__(&self, py: Python<'_>) -> Py<PyAny> {
        self.this.clone_ref(py)
    }
}

/// The signature of an op that is called by its own parameters.
fn own_signature(op: &OpDef) -> String {
    let elementwise = op.family() == "elementwise";
    let mut all: Vec<String> = Vec::new();
    for param in op.params {
        let named = |wanted: &str| DEFAULTS.iter().find(|(name, _)| *name == wanted).map(|(_, d)| *d);
        let default = named(&format!("{}.{}", op.family(), param.name)).or_else(|| named(param.name));
        let default = if param.optional { Some("None") } else { default };
        let axes = param.name == "axes" && param.kind == "Axes";
        let name = if axes { "axis" } else { param.name };
        all.push(match default {
            Some(default) => format!("{name}={default}"),
            None => name.to_owned(),
        });
        if axes {
            all.push("keepdims=False".to_owned());
        }
    }
    if elementwise {
        all.push("/".to_owned());
    }
    // What must be given stands before what may be left out.
    let first_default = all.iter().position(|t| t.contains('='));
    if let Some(i) = first_default
        && all[i..].iter().any(|t| !t.contains('=') && t != "/")
    {
        all.iter_mut().for_each(|t| *t = t.split('=').next().unwrap_or_default().to_owned());
    }
    all.join(", ")
}

/// Adds every function of the registry to the module, and every method to the class.
pub fn add_ops(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let class = py.get_type::<PyArray>();
    let (linalg, fft) = (PyModule::new(py, "linalg")?, PyModule::new(py, "fft")?);
    let own = registry::all()
        .filter(|op| !HIDDEN.contains(&op.name) && !STANDARD.iter().any(|(name, _, _)| *name == op.name));
    let matrices = |op: &OpDef| ["factor", "solve", "linalg", "fft"].contains(&op.family());
    let own = own.filter(|op| !matrices(op)).map(|op| (op.name, crate::intern(&own_signature(op)), op));
    let standard = STANDARD.iter().filter_map(|(name, signature, op)| Some((*name, *signature, registry::find(op)?)));
    for (name, signature, op) in own.chain(standard) {
        let (home, name) = match name.split_once('.') {
            Some(("linalg", name)) => (&linalg, name),
            Some((_, name)) => (&fft, name),
            None => (module, name),
        };
        let binding = Arc::new(Binding::new(py, name, signature, op)?);
        let names = std::iter::once(name).chain(NAMES.iter().filter(|(_, of)| *of == name).map(|(n, _)| *n));
        let function = binding.function(py)?;
        let method = op.params.first().is_some_and(|p| p.kind == "Tensor");
        for name in names {
            home.add(name, &function)?;
            if method && op.family() != "fft" && !class.hasattr(name)? {
                class.setattr(name, Py::new(py, Method(binding.clone()))?)?;
            }
        }
    }
    module.add("_fft", fft)?;
    module.add("_linalg", linalg)
}
