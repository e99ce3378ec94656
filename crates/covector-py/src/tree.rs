//! Trees of Python: lists, tuples, named tuples, dicts, dataclasses and modules of arrays, taken apart and put together
//! again. A class of one's own is a tree as modules are: by `__tree__(buffers)`, a dict of its arrays, `__with_tree__(dict)`,
//! a copy with others, and `__tree_key__()`, a text that tells all else or None.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use covector::tree::Path;
use covector::{Tensor, Tree};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};

use crate::array::{PyArray, is_leaf, wrap};
use crate::convert::to_tensor;
use crate::errors::exception;

/// How a tree was put together.
enum Node {
    Leaf,
    /// No part of the tree: passed on as it is.
    Fixed(Py<PyAny>),
    List(Vec<Node>),
    Tuple(Vec<Node>),
    /// A named tuple of this class.
    Named(Py<PyAny>, Vec<Node>),
    Dict(Vec<(Py<PyAny>, Node)>),
    /// A module like this object.
    Module(Py<PyAny>, Vec<(Py<PyString>, Node)>),
    /// A dataclass like this object.
    Data(Py<PyAny>, Vec<(String, Node)>),
}

/// How a tree was put together, and the names of its leaves, which are made when they are asked for.
pub struct Structure {
    root: Node,
    names: OnceLock<Vec<String>>,
}

impl Structure {
    fn names(&self) -> &[String] {
        if let Some(names) = self.names.get() {
            return names;
        }
        // Not made while others wait for the cell: they may hold the interpreter, which the keys of dicts may need.
        let mut names = Vec::new();
        Python::attach(|py| self.root.names(py, &mut Vec::new(), &mut names));
        self.names.get_or_init(|| names)
    }
}

impl Node {
    fn names(&self, py: Python<'_>, path: &mut Vec<String>, names: &mut Vec<String>) {
        let mut inside = |name: String, node: &Node| {
            path.push(name);
            node.names(py, path, names);
            path.pop();
        };
        match self {
            Node::Leaf => names.push(path.join(".")),
            Node::Fixed(_) => (),
            Node::List(nodes) | Node::Tuple(nodes) | Node::Named(_, nodes) => {
                nodes.iter().enumerate().for_each(|(i, node)| inside(i.to_string(), node));
            }
            Node::Dict(entries) => entries.iter().for_each(|(key, node)| inside(key.bind(py).to_string(), node)),
            Node::Module(_, entries) => entries.iter().for_each(|(key, node)| inside(key.bind(py).to_string(), node)),
            Node::Data(_, entries) => entries.iter().for_each(|(name, node)| inside(name.clone(), node)),
        }
    }
}

/// The leaves of a tree of Python, with all it takes to build it again.
#[derive(Clone)]
pub struct Leaves {
    pub leaves: Vec<Tensor>,
    /// Which leaves were numbers of Python, which have no dtype of their own.
    pub weak: Arc<[bool]>,
    structure: Arc<Structure>,
}

struct Builder {
    leaves: Vec<Tensor>,
    weak: Vec<bool>,
    depth: usize,
    /// Floats, lists of numbers and arrays of other libraries are leaves too.
    all: bool,
    /// So are the buffers of modules.
    buffers: bool,
}

impl Builder {
    fn node(&mut self, object: &Bound<'_, PyAny>) -> PyResult<Node> {
        if self.depth > 200 {
            return Err(PyValueError::new_err("the arguments are nested more than 200 deep"));
        }
        if object.cast::<PyArray>().is_ok() {
            return self.leaf(object, false);
        }
        if object.is_none() || object.cast::<PyString>().is_ok() || object.cast::<PyBool>().is_ok() {
            return Ok(Node::Fixed(object.clone().unbind()));
        }
        if let Ok(list) = object.cast::<PyList>() {
            return Ok(Node::List(self.each(list.iter())?));
        }
        if let Ok(tuple) = object.cast::<PyTuple>() {
            if object.hasattr("_fields")? {
                return Ok(Node::Named(object.get_type().into_any().unbind(), self.each(tuple.iter())?));
            }
            return Ok(Node::Tuple(self.each(tuple.iter())?));
        }
        if let Ok(dict) = object.cast::<PyDict>() {
            let mut entries = Vec::with_capacity(dict.len());
            for (key, value) in dict {
                entries.push((key.unbind(), self.inside(&value)?));
            }
            return Ok(Node::Dict(entries));
        }
        if object.cast::<PyType>().is_err() && object.hasattr("__tree__")? {
            let leaves = object.call_method1("__tree__", (self.buffers,))?;
            let mut entries = Vec::new();
            for (key, value) in leaves.cast_into::<PyDict>()? {
                let key = key.cast_into::<PyString>()?;
                let first = self.leaves.len();
                entries.push((key.unbind(), self.inside(&value)?));
                self.leaves[first..].iter_mut().try_for_each(|t| plain(t).map_err(|e| exception(&e)))?;
            }
            return Ok(Node::Module(object.clone().unbind(), entries));
        }
        if object.cast::<PyType>().is_err() && object.hasattr("__dataclass_fields__")? {
            let fields = object.getattr("__dataclass_fields__")?;
            let mut entries = Vec::new();
            for name in fields.try_iter()? {
                let name: String = name?.extract()?;
                let value = object.getattr(name.as_str())?;
                entries.push((name, self.inside(&value)?));
            }
            return Ok(Node::Data(object.clone().unbind(), entries));
        }
        let number = object.cast::<PyFloat>().is_ok();
        if self.all && (number || object.cast::<PyInt>().is_ok()) {
            return self.leaf(object, true);
        }
        if object.hasattr("__array__")? || object.hasattr("__dlpack__")? {
            return self.leaf(object, false);
        }
        Ok(Node::Fixed(object.clone().unbind()))
    }

    fn each<'py>(&mut self, items: impl Iterator<Item = Bound<'py, PyAny>>) -> PyResult<Vec<Node>> {
        items.map(|item| self.inside(&item)).collect()
    }

    fn inside(&mut self, object: &Bound<'_, PyAny>) -> PyResult<Node> {
        self.depth += 1;
        let node = self.node(object);
        self.depth -= 1;
        node
    }

    fn leaf(&mut self, object: &Bound<'_, PyAny>, weak: bool) -> PyResult<Node> {
        self.leaves.push(to_tensor(object)?);
        self.weak.push(weak);
        Ok(Node::Leaf)
    }
}

/// A parameter as a value: a module that is an argument is differentiated as one, and leaves no gradient behind.
fn plain(t: &mut Tensor) -> covector::Result<()> {
    if is_leaf(t) {
        *t = Tensor::from_array(t.try_value()?);
    }
    Ok(())
}

/// Takes a tree apart; with `all` floats are leaves, too, and without it the buffers of modules, which are not trained.
pub fn flatten(object: &Bound<'_, PyAny>, all: bool) -> PyResult<Leaves> {
    taken_apart(object, all, !all)
}

/// Takes a tree apart into all that is worth keeping.
pub fn flatten_whole(object: &Bound<'_, PyAny>) -> PyResult<Leaves> {
    taken_apart(object, true, true)
}

fn taken_apart(object: &Bound<'_, PyAny>, all: bool, buffers: bool) -> PyResult<Leaves> {
    let mut builder = Builder { leaves: Vec::new(), weak: Vec::new(), depth: 0, all, buffers };
    let root = builder.node(object)?;
    let structure = Arc::new(Structure { root, names: OnceLock::new() });
    Ok(Leaves { leaves: builder.leaves, weak: builder.weak.into(), structure })
}

impl Leaves {
    /// The tree with these leaves.
    pub fn build<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut leaves = self.leaves.iter();
        built(py, &self.structure.root, &mut |py| {
            let leaf = leaves.next().cloned().ok_or_else(|| PyValueError::new_err("a tree lost a leaf"))?;
            Ok(wrap(py, leaf)?.into_bound(py))
        })
    }

    /// The tree with these axes at its leaves, or whatever else stands for them.
    pub fn with(&self, leaves: Vec<Tensor>) -> Leaves {
        Leaves { leaves, weak: self.weak.clone(), structure: self.structure.clone() }
    }

    /// Numbers of Python in the dtypes of the leaves they stand for.
    pub fn like(mut self, others: &Leaves) -> Leaves {
        if self.leaves.len() == others.leaves.len() {
            for (i, other) in others.leaves.iter().enumerate() {
                if self.weak[i] {
                    self.leaves[i] = self.leaves[i].cast(other.dtype());
                }
            }
        }
        self
    }
}

fn built<'py>(
    py: Python<'py>,
    node: &Node,
    next: &mut dyn FnMut(Python<'py>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut all = |nodes: &[Node]| nodes.iter().map(|n| built(py, n, next)).collect::<PyResult<Vec<_>>>();
    Ok(match node {
        Node::List(nodes) => PyList::new(py, all(nodes)?)?.into_any(),
        Node::Tuple(nodes) => PyTuple::new(py, all(nodes)?)?.into_any(),
        Node::Named(class, nodes) => class.bind(py).call1(PyTuple::new(py, all(nodes)?)?)?,
        Node::Leaf => next(py)?,
        Node::Fixed(object) => object.bind(py).clone(),
        Node::Dict(entries) => {
            let dict = PyDict::new(py);
            for (key, node) in entries {
                dict.set_item(key, built(py, node, next)?)?;
            }
            dict.into_any()
        }
        Node::Module(object, entries) => {
            let dict = PyDict::new(py);
            for (key, node) in entries {
                dict.set_item(key, built(py, node, next)?)?;
            }
            object.bind(py).call_method1("__with_tree__", (dict,))?
        }
        Node::Data(object, entries) => {
            let copy = py.import("copy")?.call_method1("copy", (object,))?;
            let set = py.import("builtins")?.getattr("object")?.getattr("__setattr__")?;
            for (name, node) in entries {
                set.call1((&copy, name, built(py, node, next)?))?;
            }
            copy
        }
    })
}

/// Feeds what is no leaf to a hash; false if there is something a hash cannot tell of.
fn fixed(py: Python<'_>, node: &Node, mut state: &mut dyn Hasher) -> bool {
    match node {
        Node::Leaf => 1u8.hash(&mut state),
        Node::Fixed(object) => {
            let object = object.bind(py);
            let plain = object.is_none()
                || object.cast_exact::<PyBool>().is_ok()
                || object.cast_exact::<PyInt>().is_ok()
                || object.cast_exact::<PyFloat>().is_ok()
                || object.cast_exact::<PyString>().is_ok();
            let Ok(text) = object.repr() else { return false };
            text.to_string().hash(&mut state);
            return plain;
        }
        Node::List(nodes) | Node::Tuple(nodes) => {
            (matches!(node, Node::List(_)), nodes.len()).hash(&mut state);
            return nodes.iter().all(|n| fixed(py, n, state));
        }
        Node::Named(class, nodes) => {
            (class.as_ptr() as usize, nodes.len()).hash(&mut state);
            return nodes.iter().all(|n| fixed(py, n, state));
        }
        Node::Dict(entries) => {
            entries.len().hash(&mut state);
            return entries.iter().all(|(key, n)| {
                let key = key.bind(py);
                match key.cast_exact::<PyString>().ok().and_then(|key| key.to_str().ok()) {
                    Some(text) => text.hash(&mut state),
                    None => {
                        let Ok(text) = key.repr() else { return false };
                        (0u8, text.to_string()).hash(&mut state);
                    }
                }
                fixed(py, n, state)
            });
        }
        Node::Module(object, entries) => {
            let key = object.bind(py).call_method0("__tree_key__").and_then(|key| key.extract::<Option<String>>());
            let Ok(Some(key)) = key else { return false };
            key.hash(&mut state);
            return entries.iter().all(|(name, n)| {
                name.bind(py).to_string().hash(&mut state);
                fixed(py, n, state)
            });
        }
        Node::Data(object, entries) => {
            (object.bind(py).get_type().as_ptr() as usize).hash(&mut state);
            return entries.iter().all(|(name, n)| {
                name.hash(&mut state);
                fixed(py, n, state)
            });
        }
    }
    true
}

impl Tree for Leaves {
    fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
        for (name, leaf) in self.structure.names().iter().zip(&self.leaves) {
            match name.is_empty() {
                true => visit(path, leaf),
                false => path.enter(name, |path| visit(path, leaf)),
            }
        }
    }
    fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
        let names = self.structure.names().iter().zip(&self.leaves);
        let leaves = names.map(|(name, leaf)| path.enter(name, |path| map(path, leaf))).collect();
        self.with(leaves)
    }
    // These need no names.
    fn leaves(&self) -> Vec<Tensor> {
        self.leaves.clone()
    }
    fn map_leaves(&self, map: impl FnMut(&Tensor) -> Tensor) -> Self {
        self.with(self.leaves.iter().map(map).collect())
    }
    fn fixed(&self, state: &mut dyn Hasher) -> bool {
        Python::attach(|py| fixed(py, &self.structure.root, state))
    }
}
