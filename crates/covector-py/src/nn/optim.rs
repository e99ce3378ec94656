//! Rules of optimisers, with PyTorch's names and defaults; one step of a tree by rules.

use covector::{DType, Tensor, Tree};
use covector_nn::AdamW;
use covector_nn::optim::{
    Adadelta, Adafactor, Adagrad, Adam, Ema, LBFGS, Lamb, Lion, Memory, Muon, MuonScale, RMSprop, SGD,
};
use covector_nn::optim::{Pace, Rule as Moves, Scalar, Slots};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::array::{PyArray, wrap};
use crate::convert::{to_tensor, value};
use crate::errors::{compute, run};
use crate::tree::{Leaves, flatten};

/// How one parameter moves.
#[pyclass(frozen, module = "covector._core")]
pub struct Rule(Box<dyn Moves>);

fn rule(moves: impl Moves + 'static) -> Rule {
    Rule(Box::new(moves))
}

/// Gradient descent, with momentum.
#[pyfunction(name = "SGD")]
#[pyo3(signature = (momentum = 0.0, dampening = 0.0, weight_decay = 0.0, nesterov = false))]
fn sgd(momentum: f64, dampening: f64, weight_decay: f64, nesterov: bool) -> PyResult<Rule> {
    if nesterov && (momentum <= 0.0 || dampening != 0.0) {
        return Err(PyValueError::new_err("Nesterov's variant needs a momentum, and no dampening"));
    }
    Ok(rule(SGD { momentum, dampening, nesterov, weight_decay }))
}

/// Adam, with the decay in the gradient.
#[pyfunction(name = "Adam")]
#[pyo3(signature = (betas = (0.9, 0.999), eps = 1e-8, weight_decay = 0.0, amsgrad = false),
    text_signature = "(betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0, amsgrad=False)")]
fn adam(betas: (f64, f64), eps: f64, weight_decay: f64, amsgrad: bool) -> Rule {
    rule(Adam { beta1: betas.0, beta2: betas.1, eps, weight_decay, amsgrad })
}

/// Adam with decoupled weight decay.
#[pyfunction(name = "AdamW")]
#[pyo3(signature = (betas = (0.9, 0.999), eps = 1e-8, weight_decay = 0.01),
    text_signature = "(betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01)")]
fn adamw(betas: (f64, f64), eps: f64, weight_decay: f64) -> Rule {
    rule(AdamW { beta1: betas.0, beta2: betas.1, eps, weight_decay })
}

/// Steps that get shorter the more an element has moved.
#[pyfunction(name = "Adagrad")]
#[pyo3(signature = (lr_decay = 0.0, weight_decay = 0.0, initial_accumulator_value = 0.0, eps = 1e-10))]
fn adagrad(lr_decay: f64, weight_decay: f64, initial_accumulator_value: f64, eps: f64) -> Rule {
    rule(Adagrad { lr_decay, weight_decay, initial_accumulator: initial_accumulator_value, eps })
}

/// Steps scaled by the running root mean square of the gradients.
#[pyfunction(name = "RMSprop")]
#[pyo3(signature = (alpha = 0.99, eps = 1e-8, weight_decay = 0.0, momentum = 0.0, centered = false))]
fn rmsprop(alpha: f64, eps: f64, weight_decay: f64, momentum: f64, centered: bool) -> Rule {
    rule(RMSprop { alpha, eps, weight_decay, momentum, centered })
}

/// Steps in the units of the parameter.
#[pyfunction(name = "Adadelta")]
#[pyo3(signature = (rho = 0.9, eps = 1e-6, weight_decay = 0.0))]
fn adadelta(rho: f64, eps: f64, weight_decay: f64) -> Rule {
    rule(Adadelta { rho, eps, weight_decay })
}

/// Steps of one length, in the direction of the sign of a mean of gradients.
#[pyfunction(name = "Lion")]
#[pyo3(signature = (betas = (0.9, 0.99), weight_decay = 0.0),
    text_signature = "(betas=(0.9, 0.99), weight_decay=0.0)")]
fn lion(betas: (f64, f64), weight_decay: f64) -> Rule {
    rule(Lion { beta1: betas.0, beta2: betas.1, weight_decay })
}

/// AdamW whose step for each parameter is as long as the parameter, for very large batches.
#[pyfunction(name = "LAMB")]
#[pyo3(signature = (betas = (0.9, 0.999), eps = 1e-6, weight_decay = 0.01),
    text_signature = "(betas=(0.9, 0.999), eps=1e-06, weight_decay=0.01)")]
fn lamb(betas: (f64, f64), eps: f64, weight_decay: f64) -> Rule {
    rule(Lamb { beta1: betas.0, beta2: betas.1, eps, weight_decay })
}

/// Steps scaled by mean squares of which only the means of rows and columns are kept.
#[pyfunction(name = "Adafactor")]
#[pyo3(signature = (beta2_decay = -0.8, eps = (None, 1e-3), d = 1.0, weight_decay = 0.0),
    text_signature = "(beta2_decay=-0.8, eps=(None, 0.001), d=1.0, weight_decay=0.0)")]
fn adafactor(beta2_decay: f64, eps: (Option<f64>, f64), d: f64, weight_decay: f64) -> Rule {
    rule(Adafactor { beta2_decay, eps1: eps.0, eps2: eps.1, d, weight_decay })
}

/// Momentum for matrices whose directions are brought near orthogonal ones.
#[pyfunction(name = "Muon")]
#[pyo3(signature = (weight_decay = 0.1, momentum = 0.95, nesterov = true, ns_coefficients = (3.4445, -4.775, 2.0315), eps = 1e-7,
    ns_steps = 5, adjust_lr_fn = None, *, dtype = None),
    text_signature = "(weight_decay=0.1, momentum=0.95, nesterov=True, ns_coefficients=(3.4445, -4.775, 2.0315), eps=1e-07, \
ns_steps=5, adjust_lr_fn=None, *, dtype=None)")]
#[allow(clippy::too_many_arguments)]
fn muon(
    weight_decay: f64,
    momentum: f64,
    nesterov: bool,
    ns_coefficients: (f64, f64, f64),
    eps: f64,
    ns_steps: usize,
    adjust_lr_fn: Option<&str>,
    dtype: Option<&Bound<'_, PyAny>>,
) -> PyResult<Rule> {
    let scale = match adjust_lr_fn {
        None | Some("original") => MuonScale::Original,
        Some("match_rms_adamw") => MuonScale::MatchRmsAdamW,
        Some(other) => {
            return Err(PyValueError::new_err(format!(
                "there is no adjust_lr_fn {other:?}: original and match_rms_adamw are"
            )));
        }
    };
    let (a, b, c) = ns_coefficients;
    let dtype = dtype.filter(|d| !d.is_none()).map_or(Ok(DType::BF16), crate::dtype::parse)?;
    let coefficients = [a, b, c];
    Ok(rule(Muon { momentum, nesterov, weight_decay, coefficients, iterations: ns_steps, eps, scale, dtype }))
}

fn slots_of(object: &Bound<'_, PyAny>) -> PyResult<Slots> {
    let dict =
        object.cast::<PyDict>().map_err(|_| PyTypeError::new_err("what a rule remembers is a dict of arrays"))?;
    dict.iter().map(|(name, t)| Ok((crate::intern(name.extract()?), to_tensor(&t)?))).collect()
}

fn dict_of<'py>(py: Python<'py>, slots: Slots) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, t) in slots {
        dict.set_item(name, wrap(py, t)?)?;
    }
    Ok(dict)
}

/// What the rules remember of each parameter before the first step, by its path.
#[pyfunction]
fn start<'py>(groups: &Bound<'py, PyAny>, parameters: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = parameters.py();
    let (leaves, groups, all) = (flatten(parameters, true)?, Groups::of(groups)?, PyDict::new(py));
    for (i, (path, p)) in leaves.named().into_iter().enumerate() {
        all.set_item(path, dict_of(py, run(py, || Ok(groups.rule(i)?.start(&p)))?)?)?;
    }
    Ok(all)
}

/// Rules, and which of them each parameter follows: a pair of lists. With a single rule there is nothing to choose.
struct Groups<'py> {
    rules: Vec<PyRef<'py, Rule>>,
    chosen: Vec<usize>,
}

impl<'py> Groups<'py> {
    fn of(pair: &Bound<'py, PyAny>) -> PyResult<Groups<'py>> {
        let (rules, chosen) = pair.extract()?;
        Ok(Groups { rules, chosen })
    }

    /// The group of the `i`-th parameter.
    fn at(&self, i: usize) -> usize {
        self.chosen.get(i).copied().unwrap_or(0)
    }

    fn rule(&self, i: usize) -> covector::Result<&dyn Moves> {
        let rule = self.rules.get(self.at(i)).ok_or_else(|| covector::Error::new("a parameter follows no rule"))?;
        Ok(&*rule.0)
    }
}

/// A number of Python, or an array of 0 axes, which is only read where it can be.
fn scalar(object: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    if let Ok(array) = object.cast::<PyArray>() {
        let t = array.get().tensor();
        if t.ndim() > 0 {
            return Err(PyValueError::new_err(format!("a learning rate is a number, not {}", t.spec())));
        }
        return run(object.py(), || Ok(Scalar::held(&t)));
    }
    Ok(Scalar::Known(object.extract()?))
}

/// The count of steps after the next one, and what that is told in each group.
fn next(steps: &Bound<'_, PyAny>, rates: &Bound<'_, PyAny>) -> PyResult<(Tensor, Vec<Pace>)> {
    let steps = to_tensor(steps)?;
    let (after, step) = run(rates.py(), || Ok(Scalar::counted(&steps)))?;
    let paces = rates.try_iter()?.map(|rate| Ok(Pace::new(&step, scalar(&rate?)?))).collect::<PyResult<_>>()?;
    Ok((after, paces))
}

/// The paths of the leaves of a tree, with their numbers of axes.
#[pyfunction]
fn paths(parameters: &Bound<'_, PyAny>) -> PyResult<Vec<(String, usize)>> {
    Ok(flatten(parameters, true)?.named().into_iter().map(|(path, t)| (path, t.ndim())).collect())
}

/// Whether a path fits a pattern, in which `*` stands for any characters, or none.
#[pyfunction]
fn fits(pattern: &str, path: &str) -> bool {
    covector_nn::parts::fits(pattern, path)
}

fn fit(p: &Tensor, g: &Tensor, path: &str) -> PyResult<()> {
    if p.shape() == g.shape() {
        return Ok(());
    }
    Err(PyValueError::new_err(format!("the gradient of `{path}` is {}, the parameter {}", g.spec(), p.spec())))
}

/// Everything a step made, path by path, computed together with `more`: parameters and slots. Gradients that nobody else
/// holds are not kept.
fn moved(
    slots: &Bound<'_, PyDict>,
    (groups, paces): (&Groups<'_>, &[Pace]),
    named: &[(String, Tensor)],
    gradients: Vec<Tensor>,
    more: &[Tensor],
) -> PyResult<Vec<(Tensor, Slots)>> {
    let py = slots.py();
    if gradients.len() != named.len() || paces.len() != groups.rules.len() {
        let text = format!("{} gradients for {} parameters", gradients.len(), named.len());
        return Err(PyValueError::new_err(text));
    }
    let mut all = Vec::with_capacity(named.len());
    for (i, ((path, p), g)) in named.iter().zip(&gradients).enumerate() {
        fit(p, g, path)?;
        let known = slots.get_item(path)?;
        let known = known.ok_or_else(|| PyValueError::new_err(format!("the state knows no parameter `{path}`")))?;
        let known = slots_of(&known)?;
        all.push(run(py, || Ok(groups.rule(i)?.update(p, g, &known, &paces[groups.at(i)])))?);
    }
    drop(gradients);
    // Inside a transformation nothing has a value yet.
    let slots = all.iter().flat_map(|(_, slots)| slots.values());
    let targets: Vec<&Tensor> = more.iter().chain(all.iter().map(|(p, _)| p)).chain(slots).collect();
    if !targets.iter().any(|t| t.is_followed()) {
        compute(py, || covector::try_eval(targets.iter().copied()))?;
    }
    Ok(all)
}

/// The tree of parameters after a step, what the rules remember, and the count of steps; everything is computed.
#[pyfunction]
fn step<'py>(
    groups: &Bound<'py, PyAny>,
    rates: &Bound<'py, PyAny>,
    parameters: &Bound<'py, PyAny>,
    gradients: &Bound<'py, PyAny>,
    state: (Bound<'py, PyAny>, Bound<'py, PyDict>),
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyDict>, Py<PyAny>)> {
    let (py, (steps, slots)) = (parameters.py(), state);
    let (p, g) = (flatten(parameters, true)?, flatten(gradients, true)?);
    let (named, (steps, paces)) = (p.named(), next(&steps, rates)?);
    let made = moved(&slots, (&Groups::of(groups)?, &paces), &named, g.leaves, &[])?;
    let (new, slots) = rebuilt(py, &p, &named, made)?;
    Ok((new, slots, wrap(py, steps)?))
}

fn rebuilt<'py>(
    py: Python<'py>,
    p: &Leaves,
    named: &[(String, Tensor)],
    made: Vec<(Tensor, Slots)>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyDict>)> {
    let (mut new, all) = (Vec::with_capacity(named.len()), PyDict::new(py));
    for ((path, _), (p, slots)) in named.iter().zip(made) {
        new.push(p);
        all.set_item(path, dict_of(py, slots)?)?;
    }
    Ok((p.with(new).build(py)?, all))
}

/// The loss, its other results, the parameters, the slots and the count of steps.
type Minimized<'py> = (Py<PyAny>, Option<Py<PyAny>>, Bound<'py, PyAny>, Bound<'py, PyDict>, Py<PyAny>);

/// As [`step`] down the gradient of a loss, all as one evaluation: the loss and its other results come first.
#[pyfunction]
fn minimize<'py>(
    loss: &Bound<'py, PyAny>,
    arguments: (Bound<'py, PyTuple>, Bound<'py, PyDict>),
    has_aux: bool,
    groups: &Bound<'py, PyAny>,
    rates: &Bound<'py, PyAny>,
    parameters: &Bound<'py, PyAny>,
    state: (Bound<'py, PyAny>, Bound<'py, PyDict>),
) -> PyResult<Minimized<'py>> {
    let (py, (steps, slots), (args, kwargs)) = (parameters.py(), state, arguments);
    let (p, (steps, paces)) = (flatten(parameters, true)?, next(&steps, rates)?);
    let (y, aux, gradients) = crate::transform::value_and_gradient(py, &p, has_aux, |x| {
        let all = std::iter::once(x).chain(args.iter());
        loss.call(PyTuple::new(py, all.collect::<Vec<_>>())?, Some(&kwargs))
    })?;
    let named = p.named();
    let more = std::slice::from_ref(&y);
    let made = moved(&slots, (&Groups::of(groups)?, &paces), &named, gradients.leaves, more)?;
    let (new, slots) = rebuilt(py, &p, &named, made)?;
    Ok((wrap(py, y)?, aux, new, slots, wrap(py, steps)?))
}

/// As [`step`] for leaves that require a gradient and have one: they become the leaves after the step, with their gradients.
#[pyfunction]
fn step_leaves<'py>(
    groups: &Bound<'py, PyAny>,
    rates: &Bound<'py, PyAny>,
    parameters: Vec<(String, PyRef<'py, PyArray>)>,
    slots: &Bound<'py, PyDict>,
    steps: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let (py, (_, paces)) = (slots.py(), next(steps, rates)?);
    let (mut named, mut gradients) = (Vec::with_capacity(parameters.len()), Vec::with_capacity(parameters.len()));
    for (path, p) in &parameters {
        let p = p.handle();
        let g = p.grad().ok_or_else(|| PyValueError::new_err(format!("parameter {path} has no gradient")))?;
        named.push((path.clone(), Tensor::from_array(value(py, &p)?)));
        gradients.push(g);
    }
    let made = moved(slots, (&Groups::of(groups)?, &paces), &named, gradients.clone(), &[])?;
    let all = PyDict::new(py);
    for (((path, handle), g), (p, slots)) in parameters.iter().zip(&gradients).zip(made) {
        let leaf = run(py, || {
            let leaf = p.try_requires_grad()?;
            leaf.set_grad(g)?;
            Ok(leaf)
        })?;
        handle.put(leaf);
        all.set_item(path, dict_of(py, slots)?)?;
    }
    Ok(all)
}

/// The gradients scaled down, all by the same factor, so that their joint norm is at most `max_norm`; and the norm before.
#[pyfunction]
fn clip_grad_norm<'py>(
    py: Python<'py>,
    gradients: &Bound<'py, PyAny>,
    max_norm: f64,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let g = flatten(gradients, true)?;
    let (clipped, norm) = run(py, || Ok(covector_nn::clip_grad_norm(&g, max_norm)))?;
    Ok((clipped.build(py)?, wrap(py, norm)?.into_bound(py)))
}

/// The gradients with every element moved into `-clip_value..=clip_value`.
#[pyfunction]
fn clip_grad_value<'py>(
    py: Python<'py>,
    gradients: &Bound<'py, PyAny>,
    clip_value: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let g = flatten(gradients, true)?;
    run(py, || Ok(covector_nn::clip_grad_value(&g, clip_value)))?.build(py)
}

/// The moving average of weights after one more value: `average + (weights - average)(1 - decay)`.
#[pyfunction]
fn ema<'py>(
    py: Python<'py>,
    average: &Bound<'py, PyAny>,
    weights: &Bound<'py, PyAny>,
    decay: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let (a, w) = (flatten(average, true)?, flatten(weights, true)?);
    run(py, || Ok(Ema { decay }.update(&a, &w)))?.build(py)
}

/// One step of L-BFGS: several directions, each from a loss and its gradient that `loss` gives. The state is a dict of arrays.
#[pyfunction]
#[pyo3(signature = (loss, parameters, state = None, *, lr = 1.0, max_iter = 20, max_eval = None, tolerance_grad = 1e-7,
    tolerance_change = 1e-9, history_size = 100, line_search_fn = None))]
#[allow(clippy::too_many_arguments)]
fn lbfgs<'py>(
    py: Python<'py>,
    loss: &Bound<'py, PyAny>,
    parameters: &Bound<'py, PyAny>,
    state: Option<&Bound<'py, PyDict>>,
    lr: f64,
    max_iter: usize,
    max_eval: Option<usize>,
    tolerance_grad: f64,
    tolerance_change: f64,
    history_size: usize,
    line_search_fn: Option<&str>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyDict>, f64)> {
    let strong_wolfe = match line_search_fn {
        None => false,
        Some("strong_wolfe") => true,
        Some(other) => {
            return Err(PyValueError::new_err(format!("there is no line search {other:?}, but strong_wolfe")));
        }
    };
    let method =
        LBFGS { rate: lr, max_iter, max_eval, tolerance_grad, tolerance_change, history: history_size, strong_wolfe };
    let p = flatten(parameters, true)?;
    let memory = match state {
        None => run(py, || Ok(method.start(&p)))?,
        Some(state) => remembered(state)?,
    };
    let evaluate = |p: &Leaves| -> covector::Result<(Tensor, Leaves)> {
        let called = (|| {
            let pair = loss.call1((p.build(py)?,))?;
            Ok((to_tensor(&pair.get_item(0)?)?, p.with(flatten(&pair.get_item(1)?, true)?.leaves)))
        })();
        called.or_else(|e: PyErr| crate::errors::throw(e))
    };
    let (new, memory, before) = run(py, || method.step(&p, memory, evaluate))?;
    let dict = PyDict::new(py);
    for (name, t) in [("iterations", memory.iterations), ("gradient", memory.gradient), ("moved", memory.moved)] {
        dict.set_item(name, wrap(py, t)?)?;
    }
    for (name, all) in [("steps", memory.steps), ("changes", memory.changes)] {
        let list = all.into_iter().map(|t| wrap(py, t)).collect::<PyResult<Vec<_>>>()?;
        dict.set_item(name, PyList::new(py, list)?)?;
    }
    Ok((new.build(py)?, dict, before))
}

fn remembered(state: &Bound<'_, PyDict>) -> PyResult<Memory> {
    let of = |name: &str| {
        state.get_item(name)?.ok_or_else(|| PyValueError::new_err(format!("the state of L-BFGS has no `{name}`")))
    };
    let one = |name: &str| to_tensor(&of(name)?);
    let many = |name: &str| of(name)?.try_iter()?.map(|t| to_tensor(&t?)).collect::<PyResult<Vec<Tensor>>>();
    Ok(Memory {
        iterations: one("iterations")?,
        gradient: one("gradient")?,
        moved: one("moved")?,
        steps: many("steps")?,
        changes: many("changes")?,
    })
}

/// The constructors of rules by name, and what is done with them.
pub fn add(optim: &Bound<'_, PyModule>) -> PyResult<()> {
    macro_rules! functions {
        ($($f:ident),* $(,)?) => { $( optim.add_function(wrap_pyfunction!($f, optim)?)?; )* };
    }
    functions!(sgd, adam, adamw, adagrad, rmsprop, adadelta, lion, lamb, adafactor, muon);
    functions!(start, paths, fits, step, minimize, step_leaves, clip_grad_norm, clip_grad_value, ema, lbfgs);
    Ok(())
}
