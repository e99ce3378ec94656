//! Learning rates by the number of the step, with PyTorch's names.

use covector::Tensor;
use covector_nn::schedule::{
    Constant, Cosine, CosineRestarts, Exponential, Linear, MultiStep, OneCycle, Plateau, PlateauState, Polynomial,
    Schedule, Step, Warmup, WarmupCosine,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::run;

/// The learning rate of every step, the first being 0.
#[pyclass(frozen, name = "Schedule", module = "covector._core")]
pub struct PySchedule(Box<dyn Schedule + Send + Sync>);

#[pymethods]
impl PySchedule {
    /// The rate of a step.
    fn __call__(&self, step: usize) -> f64 {
        self.0.at(step)
    }
}

fn schedule(s: impl Schedule + Send + Sync + 'static) -> PySchedule {
    PySchedule(Box::new(s))
}

/// The same rate at every step.
#[pyfunction(name = "ConstantRate")]
fn constant(lr: f64) -> PySchedule {
    schedule(Constant(lr))
}

/// A rate that is multiplied by `gamma` every `step_size` steps.
#[pyfunction(name = "StepLR")]
#[pyo3(signature = (lr, step_size, gamma = 0.1))]
fn step_lr(lr: f64, step_size: usize, gamma: f64) -> PySchedule {
    schedule(Step { rate: lr, every: step_size, gamma })
}

/// A rate that is multiplied by `gamma` at certain steps.
#[pyfunction(name = "MultiStepLR")]
#[pyo3(signature = (lr, milestones, gamma = 0.1))]
fn multi_step(lr: f64, milestones: Vec<usize>, gamma: f64) -> PySchedule {
    schedule(MultiStep { rate: lr, milestones, gamma })
}

/// A rate that is multiplied by `gamma` at every step.
#[pyfunction(name = "ExponentialLR")]
fn exponential(lr: f64, gamma: f64) -> PySchedule {
    schedule(Exponential { rate: lr, gamma })
}

/// Half a cosine down over `T_max` steps, and up again after them.
#[pyfunction(name = "CosineAnnealingLR")]
#[pyo3(signature = (lr, T_max, eta_min = 0.0))]
#[allow(non_snake_case)]
fn cosine(lr: f64, T_max: usize, eta_min: f64) -> PySchedule {
    schedule(Cosine { rate: lr, floor: eta_min, steps: T_max })
}

/// Half a cosine down over `T_0` steps, again and again, each `T_mult` times as long as the last.
#[pyfunction(name = "CosineAnnealingWarmRestarts")]
#[pyo3(signature = (lr, T_0, T_mult = 1, eta_min = 0.0))]
#[allow(non_snake_case)]
fn restarts(lr: f64, T_0: usize, T_mult: usize, eta_min: f64) -> PySchedule {
    schedule(CosineRestarts { rate: lr, floor: eta_min, first: T_0, factor: T_mult })
}

/// From one part of the rate to another in a straight line, then the latter.
#[pyfunction(name = "LinearLR")]
#[pyo3(signature = (lr, start_factor = 1.0 / 3.0, end_factor = 1.0, total_iters = 5),
    text_signature = "(lr, start_factor=0.3333333333333333, end_factor=1.0, total_iters=5)")]
fn linear(lr: f64, start_factor: f64, end_factor: f64, total_iters: usize) -> PySchedule {
    schedule(Linear { rate: lr, start: start_factor, end: end_factor, steps: total_iters })
}

/// A power of what is left of the steps.
#[pyfunction(name = "PolynomialLR")]
#[pyo3(signature = (lr, total_iters = 5, power = 1.0))]
fn polynomial(lr: f64, total_iters: usize, power: f64) -> PySchedule {
    schedule(Polynomial { rate: lr, steps: total_iters, power })
}

/// A rise to the peak `max_lr` and a longer fall to far below the start.
#[pyfunction(name = "OneCycleLR")]
#[pyo3(signature = (max_lr, total_steps, pct_start = 0.3, anneal_strategy = "cos", div_factor = 25.0, final_div_factor = 1e4,
    three_phase = false))]
fn one_cycle(
    max_lr: f64,
    total_steps: usize,
    pct_start: f64,
    anneal_strategy: &str,
    div_factor: f64,
    final_div_factor: f64,
    three_phase: bool,
) -> PyResult<PySchedule> {
    let linear = match anneal_strategy {
        "cos" => false,
        "linear" => true,
        other => {
            return Err(PyValueError::new_err(format!(
                "there is no anneal_strategy {other:?}: cos and linear are there"
            )));
        }
    };
    let (div, final_div) = (div_factor, final_div_factor);
    let cycle = OneCycle { peak: max_lr, steps: total_steps, rise: pct_start, div, final_div, linear, three_phase };
    Ok(schedule(cycle))
}

/// A straight rise over `warmup` steps, then half a cosine down to `floor` at the end of `steps`.
#[pyfunction(name = "WarmupCosineLR")]
#[pyo3(signature = (lr, warmup, steps, floor = 0.0))]
fn warmup_cosine(lr: f64, warmup: usize, steps: usize, floor: f64) -> PySchedule {
    schedule(WarmupCosine { peak: lr, floor, warmup, steps })
}

/// A straight rise over `warmup` steps from a part of the first rate of another schedule, which begins after it.
#[pyfunction(name = "Warmup")]
#[pyo3(signature = (then, warmup, start_factor = 0.0))]
fn warmup(then: Py<PySchedule>, warmup: usize, start_factor: f64) -> PySchedule {
    schedule(Warmup { steps: warmup, start: start_factor, then: move |step: usize| then.get().0.at(step) })
}

/// A rate that falls when a measure does not get better. `seen(state, measure)` gives the state after one more measure, which
/// begins with `start(lr)`; its first number is the rate.
#[pyclass(frozen, name = "Plateau", module = "covector._core")]
pub struct PyPlateau(Plateau);

#[pymethods]
impl PyPlateau {
    #[new]
    #[pyo3(signature = (mode = "min", factor = 0.1, patience = 10, threshold = 1e-4, threshold_mode = "rel", cooldown = 0,
        min_lr = 0.0, eps = 1e-8))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        mode: &str,
        factor: f64,
        patience: usize,
        threshold: f64,
        threshold_mode: &str,
        cooldown: usize,
        min_lr: f64,
        eps: f64,
    ) -> PyResult<PyPlateau> {
        let either = |given: &str, [no, yes]: [&str; 2]| match given {
            given if given == no => Ok(false),
            given if given == yes => Ok(true),
            other => Err(PyValueError::new_err(format!("{other:?} is neither {no:?} nor {yes:?}"))),
        };
        let (rising, relative) = (either(mode, ["min", "max"])?, either(threshold_mode, ["abs", "rel"])?);
        Ok(PyPlateau(Plateau { rising, factor, patience, threshold, relative, cooldown, floor: min_lr, eps }))
    }

    fn start(&self, py: Python<'_>, lr: f64) -> PyResult<Vec<f64>> {
        run(py, || Ok(self.0.start(lr).numbers.to_vec()))
    }

    fn seen(&self, py: Python<'_>, state: Vec<f64>, measure: f64) -> PyResult<Vec<f64>> {
        if state.len() != 4 {
            return Err(PyValueError::new_err(format!("the state is 4 numbers, not {}", state.len())));
        }
        run(py, || Ok(self.0.seen(&PlateauState { numbers: Tensor::from(state) }, measure).numbers.to_vec()))
    }
}

/// Adds the schedules.
pub fn add(optim: &Bound<'_, PyModule>) -> PyResult<()> {
    macro_rules! functions {
        ($($f:ident),* $(,)?) => { $( optim.add_function(wrap_pyfunction!($f, optim)?)?; )* };
    }
    functions!(
        constant,
        step_lr,
        multi_step,
        exponential,
        cosine,
        restarts,
        linear,
        polynomial,
        one_cycle,
        warmup_cosine,
        warmup
    );
    optim.add_class::<PyPlateau>()
}
