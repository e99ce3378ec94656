//! Modules of Python as trees: what they hold by path, a copy with other leaves, and a text that tells all else.
//!
//! A step of a training takes a model apart once and puts it together twice, so this is not left to the interpreter.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};

use super::build::Layer;

type Object<'py> = Bound<'py, PyAny>;

/// So deep modules may be nested.
const DEEPEST: usize = 500;

fn too_deep(depth: usize) -> PyResult<()> {
    if depth < DEEPEST {
        return Ok(());
    }
    Err(PyValueError::new_err(format!("the modules are nested more than {DEEPEST} deep")))
}

fn address(object: &Object<'_>) -> usize {
    object.as_ptr() as usize
}

/// The attributes of an object.
fn inside<'py>(object: &Object<'py>) -> PyResult<Bound<'py, PyDict>> {
    Ok(object.getattr(pyo3::intern!(object.py(), "__dict__"))?.cast_into::<PyDict>()?)
}

/// One of the dicts of a module: of parameters, buffers or modules.
fn held<'py>(own: &Bound<'py, PyDict>, which: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyDict>> {
    match own.get_item(which)? {
        Some(held) => Ok(held.cast_into::<PyDict>()?),
        None => Ok(PyDict::new(own.py())),
    }
}

/// `path.name`, as the name alone at the root.
fn joined<'py>(path: &str, name: &Object<'py>) -> PyResult<Bound<'py, PyString>> {
    let name = name.cast::<PyString>()?;
    if path.is_empty() {
        return Ok(name.clone());
    }
    Ok(PyString::new(name.py(), &format!("{path}.{}", name.to_str()?)))
}

/// A module and all inside, each once, with the first path.
#[derive(Default)]
struct Found<'py> {
    modules: Vec<(String, Object<'py>, Bound<'py, PyDict>)>,
    seen: HashSet<usize>,
}

impl<'py> Found<'py> {
    fn of(module: &Object<'py>) -> PyResult<Found<'py>> {
        let mut found = Found::default();
        found.collect(module, String::new(), 0)?;
        Ok(found)
    }

    fn collect(&mut self, module: &Object<'py>, path: String, depth: usize) -> PyResult<()> {
        too_deep(depth)?;
        if !self.seen.insert(address(module)) {
            return Ok(());
        }
        let own = inside(module)?;
        let children = held(&own, pyo3::intern!(module.py(), "_modules"))?;
        let at = self.modules.len();
        self.modules.push((path, module.clone(), own));
        for (name, child) in children {
            let path = joined(&self.modules[at].0, &name)?.to_str()?.to_owned();
            self.collect(&child, path, depth + 1)?;
        }
        Ok(())
    }
}

/// The leaves of a module by path: its parameters, and its buffers if they are wanted. A shared one is there once.
#[pyfunction]
pub fn module_leaves<'py>(module: &Object<'py>, buffers: bool) -> PyResult<Bound<'py, PyDict>> {
    let py = module.py();
    let (mut found, leaves) = (Found::of(module)?, PyDict::new(py));
    found.seen.clear();
    let wanted = [pyo3::intern!(py, "_parameters"), pyo3::intern!(py, "_buffers")];
    for which in &wanted[..1 + usize::from(buffers)] {
        for (path, _, own) in &found.modules {
            for (name, x) in held(own, which)? {
                if found.seen.insert(address(&x)) {
                    leaves.set_item(joined(path, &name)?, x)?;
                }
            }
        }
    }
    Ok(leaves)
}

/// A copy of a module with other leaves, by path; what is shared inside stays shared, and so do modules without leaves.
#[pyfunction]
pub fn module_with<'py>(module: &Object<'py>, leaves: &Bound<'py, PyDict>) -> PyResult<Object<'py>> {
    Copies { leaves, modules: HashMap::new(), arrays: HashMap::new() }.of(module, "", 0)
}

struct Copies<'a, 'py> {
    leaves: &'a Bound<'py, PyDict>,
    /// The copies of modules, and what stands for arrays, by the addresses of the originals.
    modules: HashMap<usize, Object<'py>>,
    arrays: HashMap<usize, Object<'py>>,
}

impl<'py> Copies<'_, 'py> {
    fn of(&mut self, module: &Object<'py>, path: &str, depth: usize) -> PyResult<Object<'py>> {
        too_deep(depth)?;
        if let Some(known) = self.modules.get(&address(module)) {
            return Ok(known.clone());
        }
        let py = module.py();
        let own = inside(module)?;
        let buffers = held(&own, pyo3::intern!(py, "_buffers"))?;
        if buffers.is_empty() && module.getattr(pyo3::intern!(py, "_plain"))?.is_truthy()? {
            return Ok(module.clone());
        }
        let copy = bare(module)?;
        self.modules.insert(address(module), copy.clone());
        let attributes = inside(&copy)?;
        attributes.update(own.as_mapping())?;
        let parameters = held(&own, pyo3::intern!(py, "_parameters"))?;
        attributes.set_item(pyo3::intern!(py, "_parameters"), self.arrays(parameters, path)?)?;
        attributes.set_item(pyo3::intern!(py, "_buffers"), self.arrays(buffers, path)?)?;
        let children = PyDict::new(py);
        for (name, child) in held(&own, pyo3::intern!(py, "_modules"))? {
            let copy = self.of(&child, joined(path, &name)?.to_str()?, depth + 1)?;
            children.set_item(name, copy)?;
        }
        attributes.set_item(pyo3::intern!(py, "_modules"), children)?;
        Ok(copy)
    }

    fn arrays(&mut self, old: Bound<'py, PyDict>, path: &str) -> PyResult<Bound<'py, PyDict>> {
        let new = PyDict::new(old.py());
        for (name, x) in old {
            let found = self.leaves.get_item(joined(path, &name)?)?;
            let x = match found {
                Some(found) => {
                    self.arrays.insert(address(&x), found.clone());
                    found
                }
                None => self.arrays.get(&address(&x)).cloned().unwrap_or(x),
            };
            new.set_item(name, x)?;
        }
        Ok(new)
    }
}

/// An object of the same class without attributes.
fn bare<'py>(object: &Object<'py>) -> PyResult<Object<'py>> {
    static NEW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let new = NEW.get_or_try_init(py, || Ok::<_, PyErr>(py.get_type::<PyAny>().getattr("__new__")?.unbind()))?;
    new.bind(py).call1((object.get_type(),))
}

/// What text tells all of: numbers, text, and tuples of them.
fn is_plain(value: &Object<'_>) -> bool {
    match value.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter().all(|item| is_plain(&item)),
        Err(_) => {
            value.is_none()
                || value.cast::<PyBool>().is_ok()
                || value.cast::<PyInt>().is_ok()
                || value.cast::<PyFloat>().is_ok()
                || value.cast::<PyString>().is_ok()
        }
    }
}

/// All of a module but its leaves as text, or None if text cannot tell.
#[pyfunction]
pub fn module_told(module: &Object<'_>) -> PyResult<Option<String>> {
    let (mut told, mut first) = (String::new(), HashMap::new());
    for (path, module, own) in Found::of(module)?.modules {
        let class = module.get_type();
        write(&mut told, &path);
        write(&mut told, class.qualname()?.to_str()?);
        let _ = write!(told, "@{:x}", class.as_ptr() as usize);
        for (name, value) in own {
            let name = name.cast_into::<PyString>()?;
            write(&mut told, name.to_str()?);
            if matches!(name.to_str()?, "_parameters" | "_buffers" | "_modules") {
                // What stands at several places is told by the first of them.
                told.push('{');
                for (key, x) in value.cast_into::<PyDict>()? {
                    let n = first.len();
                    write(&mut told, key.cast::<PyString>()?.to_str()?);
                    let _ = write!(told, "={};", first.entry(address(&x)).or_insert(n));
                }
                told.push('}');
            } else if value.cast::<Layer>().is_ok() {
                // Its class and `_told` say all of it.
                told.push('-');
            } else if !is_plain(&value) {
                return Ok(None);
            } else if let Some(text) = value.cast_exact::<PyString>().ok().and_then(|text| text.to_str().ok()) {
                write(&mut told, text);
            } else {
                write(&mut told, value.repr()?.to_str()?);
            }
        }
    }
    Ok(Some(told))
}

/// A text, so that it cannot be taken for another with its neighbour.
fn write(all: &mut String, text: &str) {
    let _ = write!(all, "{}:{text}", text.len());
}
