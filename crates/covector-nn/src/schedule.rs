//! Learning rates over the course of a training.

use std::f64::consts::PI;

use covector::{Tensor, Tree};

/// The learning rate of every step, as a function of its number alone; so nothing needs to be saved.
///
/// Functions from numbers to rates are schedules, too.
pub trait Schedule {
    /// The rate of step `step`, the first being 0.
    fn at(&self, step: usize) -> f64;
}

impl<F: Fn(usize) -> f64> Schedule for F {
    fn at(&self, step: usize) -> f64 {
        self(step)
    }
}

/// A linear rise over the first steps, then half a cosine down to the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmupCosine {
    /// The largest rate.
    pub peak: f64,
    /// The rate at the end.
    pub floor: f64,
    /// The number of steps of the rise.
    pub warmup: usize,
    /// The number of all steps.
    pub steps: usize,
}

impl WarmupCosine {
    /// The rate of step `step`, the first being 0.
    ///
    /// ```
    /// use covector_nn::WarmupCosine;
    /// let schedule = WarmupCosine { peak: 1.0, floor: 0.1, warmup: 9, steps: 109 };
    /// assert_eq!([schedule.at(0), schedule.at(4), schedule.at(9)], [0.1, 0.5, 1.0]);
    /// assert!((schedule.at(59) - 0.55).abs() < 1e-12);
    /// assert_eq!(schedule.at(109), 0.1);
    /// ```
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / (self.warmup + 1) as f64;
        }
        if step >= self.steps {
            return self.floor;
        }
        let done = (step - self.warmup) as f64 / (self.steps - self.warmup) as f64;
        self.floor + (self.peak - self.floor) * 0.5 * (1.0 + (PI * done).cos())
    }
}

impl Schedule for WarmupCosine {
    fn at(&self, step: usize) -> f64 {
        WarmupCosine::at(self, step)
    }
}

/// The same rate at every step.
///
/// ```
/// use covector_nn::schedule::{Constant, Schedule};
/// assert_eq!(Constant(0.1).at(7), 0.1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constant(pub f64);

impl Schedule for Constant {
    fn at(&self, _: usize) -> f64 {
        self.0
    }
}

/// A rate that is multiplied by `gamma` every `every` steps; PyTorch's `StepLR`.
///
/// ```
/// use covector_nn::schedule::{Schedule, Step};
/// let schedule = Step { rate: 1.0, every: 10, gamma: 0.5 };
/// assert_eq!([0, 9, 10, 25].map(|step| schedule.at(step)), [1.0, 1.0, 0.5, 0.25]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The first rate.
    pub rate: f64,
    /// The number of steps of one rate.
    pub every: usize,
    /// What the next is multiplied with.
    pub gamma: f64,
}

impl Schedule for Step {
    fn at(&self, step: usize) -> f64 {
        self.rate * self.gamma.powi((step / self.every.max(1)) as i32)
    }
}

/// A rate that is multiplied by `gamma` at certain steps; PyTorch's `MultiStepLR`.
///
/// ```
/// use covector_nn::schedule::{MultiStep, Schedule};
/// let schedule = MultiStep { rate: 1.0, milestones: vec![3, 5], gamma: 0.5 };
/// assert_eq!([0, 3, 5].map(|step| schedule.at(step)), [1.0, 0.5, 0.25]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MultiStep {
    /// The first rate.
    pub rate: f64,
    /// The steps at which it changes, in any order.
    pub milestones: Vec<usize>,
    /// What it is multiplied with.
    pub gamma: f64,
}

impl Schedule for MultiStep {
    fn at(&self, step: usize) -> f64 {
        self.rate * self.gamma.powi(self.milestones.iter().filter(|&&m| m <= step).count() as i32)
    }
}

/// A rate that is multiplied by `gamma` at every step; PyTorch's `ExponentialLR`.
///
/// ```
/// use covector_nn::schedule::{Exponential, Schedule};
/// assert_eq!(Exponential { rate: 1.0, gamma: 0.5 }.at(3), 0.125);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponential {
    /// The first rate.
    pub rate: f64,
    /// What it is multiplied with.
    pub gamma: f64,
}

impl Schedule for Exponential {
    fn at(&self, step: usize) -> f64 {
        self.rate * self.gamma.powi(step as i32)
    }
}

/// Half a cosine down over `steps` steps, and up again after them; PyTorch's `CosineAnnealingLR`.
///
/// ```
/// use covector_nn::schedule::{Cosine, Schedule};
/// let schedule = Cosine { rate: 1.0, floor: 0.0, steps: 10 };
/// assert_eq!([0, 10, 20].map(|step| schedule.at(step)), [1.0, 0.0, 1.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    /// The first rate.
    pub rate: f64,
    /// The rate after `steps` steps.
    pub floor: f64,
    /// How long it falls.
    pub steps: usize,
}

impl Schedule for Cosine {
    fn at(&self, step: usize) -> f64 {
        fall(self.rate, self.floor, step as f64 / self.steps.max(1) as f64)
    }
}

/// Half a cosine down, again and again, each `factor` times as long as the last; PyTorch's `CosineAnnealingWarmRestarts`.
///
/// Source: Loshchilov and Hutter 2017, "SGDR".
///
/// ```
/// use covector_nn::schedule::{CosineRestarts, Schedule};
/// let schedule = CosineRestarts { rate: 1.0, floor: 0.0, first: 4, factor: 2 };
/// assert_eq!([0, 4, 8, 12].map(|step| schedule.at(step)), [1.0, 1.0, 0.5, 1.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineRestarts {
    /// The rate after each restart.
    pub rate: f64,
    /// What it falls to.
    pub floor: f64,
    /// The number of steps of the first fall.
    pub first: usize,
    /// How much longer the next is.
    pub factor: usize,
}

impl Schedule for CosineRestarts {
    fn at(&self, step: usize) -> f64 {
        let (mut since, mut length) = (step, self.first.max(1));
        if self.factor <= 1 {
            since %= length;
        }
        while since >= length {
            since -= length;
            length = length.saturating_mul(self.factor);
        }
        fall(self.rate, self.floor, since as f64 / length as f64)
    }
}

/// From one part of the rate to another in a straight line, then the latter; PyTorch's `LinearLR`.
///
/// ```
/// use covector_nn::schedule::{Linear, Schedule};
/// let schedule = Linear { rate: 2.0, start: 0.0, end: 1.0, steps: 4 };
/// assert_eq!([0, 1, 4, 9].map(|step| schedule.at(step)), [0.0, 0.5, 2.0, 2.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// The rate.
    pub rate: f64,
    /// The part of it at the first step.
    pub start: f64,
    /// The part of it from step `steps` on.
    pub end: f64,
    /// The length of the line.
    pub steps: usize,
}

impl Schedule for Linear {
    fn at(&self, step: usize) -> f64 {
        let done = step.min(self.steps) as f64 / self.steps.max(1) as f64;
        self.rate * (self.start + (self.end - self.start) * done)
    }
}

/// A power of what is left of the steps; PyTorch's `PolynomialLR`.
///
/// ```
/// use covector_nn::schedule::{Polynomial, Schedule};
/// let schedule = Polynomial { rate: 1.0, steps: 4, power: 2.0 };
/// assert_eq!([0, 2, 4, 9].map(|step| schedule.at(step)), [1.0, 0.25, 0.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polynomial {
    /// The first rate.
    pub rate: f64,
    /// The number of steps to 0.
    pub steps: usize,
    /// 1 for a straight line.
    pub power: f64,
}

impl Schedule for Polynomial {
    fn at(&self, step: usize) -> f64 {
        self.rate * (1.0 - step.min(self.steps) as f64 / self.steps.max(1) as f64).powf(self.power)
    }
}

/// A rise to a peak and a longer fall to far below the start; PyTorch's `OneCycleLR`.
///
/// Source: Smith and Topin 2019, "Super-convergence".
///
/// ```
/// use covector_nn::schedule::{OneCycle, Schedule};
/// let schedule = OneCycle::new(1.0, 101);
/// assert_eq!(schedule.at(0), 0.04);
/// assert!((schedule.at(100) - 4e-6).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// The largest rate.
    pub peak: f64,
    /// The number of all steps.
    pub steps: usize,
    /// The part of the steps in which the rate rises.
    pub rise: f64,
    /// What part of the peak the first rate is: its inverse.
    pub div: f64,
    /// What part of the first rate the last is: its inverse.
    pub final_div: f64,
    /// Whether in straight lines instead of cosines.
    pub linear: bool,
    /// Whether it falls to the first rate as fast as it rose, and then on to the last.
    pub three_phase: bool,
}

impl OneCycle {
    /// PyTorch's defaults.
    pub fn new(peak: f64, steps: usize) -> Self {
        OneCycle { peak, steps, rise: 0.3, div: 25.0, final_div: 1e4, linear: false, three_phase: false }
    }
}

impl Schedule for OneCycle {
    fn at(&self, step: usize) -> f64 {
        let first = self.peak / self.div;
        let last = first / self.final_div;
        let end = self.steps.max(1) as f64 - 1.0;
        let top = self.rise * self.steps as f64 - 1.0;
        let legs = if self.three_phase {
            vec![(top, first, self.peak), (2.0 * top, self.peak, first), (end, first, last)]
        } else {
            vec![(top, first, self.peak), (end, self.peak, last)]
        };
        let (step, mut begin) = ((step as f64).min(end), 0.0);
        for (stop, from, to) in legs {
            if step <= stop || stop == end {
                let done = if stop > begin { (step - begin) / (stop - begin) } else { 1.0 };
                return if self.linear { from + (to - from) * done } else { fall(from, to, done) };
            }
            begin = stop;
        }
        last
    }
}

/// A straight rise before another schedule, which begins after it; PyTorch's `LinearLR` in a `SequentialLR`.
///
/// ```
/// use covector_nn::schedule::{Constant, Schedule, Warmup};
/// let schedule = Warmup { steps: 4, start: 0.5, then: Constant(1.0) };
/// assert_eq!([0, 2, 4, 5].map(|step| schedule.at(step)), [0.5, 0.75, 1.0, 1.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup<S> {
    /// The number of steps of the rise.
    pub steps: usize,
    /// The part of the next schedule's first rate that it begins with.
    pub start: f64,
    /// What follows.
    pub then: S,
}

impl<S: Schedule> Schedule for Warmup<S> {
    fn at(&self, step: usize) -> f64 {
        match step.checked_sub(self.steps) {
            Some(after) => self.then.at(after),
            None => Linear { rate: self.then.at(0), start: self.start, end: 1.0, steps: self.steps }.at(step),
        }
    }
}

/// A rate that falls when a measure does not get better; PyTorch's `ReduceLROnPlateau`.
///
/// ```
/// use covector_nn::schedule::Plateau;
/// let plateau = Plateau { patience: 1, ..Plateau::default() };
/// let mut state = plateau.start(1.0);
/// for loss in [3.0, 2.0, 2.0, 2.0] {
///     state = plateau.seen(&state, loss);
/// }
/// assert_eq!(state.rate(), 0.1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// Whether more is better: for an accuracy.
    pub rising: bool,
    /// What the rate is multiplied with.
    pub factor: f64,
    /// How many measures in a row may be no better.
    pub patience: usize,
    /// By how much a better measure is better.
    pub threshold: f64,
    /// Whether the threshold is a part of the best measure.
    pub relative: bool,
    /// After a change, how many measures do not count.
    pub cooldown: usize,
    /// The least rate.
    pub floor: f64,
    /// Smaller changes are not made.
    pub eps: f64,
}

impl Default for Plateau {
    /// PyTorch's defaults.
    fn default() -> Self {
        Plateau {
            rising: false,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            relative: true,
            cooldown: 0,
            floor: 0.0,
            eps: 1e-8,
        }
    }
}

/// What a [`Plateau`] remembers, to be saved with the training: the rate, the best measure, and two counts, in f64.
#[derive(Clone, Debug, Tree)]
pub struct PlateauState {
    /// The rate, the best measure, how many measures were no better since, how many do not count.
    pub numbers: Tensor,
}

impl PlateauState {
    /// The rate now.
    pub fn rate(&self) -> f64 {
        self.numbers.to_vec::<f64>()[0]
    }
}

impl Plateau {
    /// The state before the first measure.
    pub fn start(&self, rate: f64) -> PlateauState {
        let worst = if self.rising { f64::NEG_INFINITY } else { f64::INFINITY };
        PlateauState { numbers: Tensor::from([rate, worst, 0.0, 0.0]) }
    }

    /// The state after one more measure.
    pub fn seen(&self, state: &PlateauState, measure: f64) -> PlateauState {
        let numbers = state.numbers.to_vec::<f64>();
        let (mut rate, mut best, mut bad, mut cooldown) = (numbers[0], numbers[1], numbers[2], numbers[3]);
        let sign = if self.rising { 1.0 } else { -1.0 };
        let needed = if self.relative { best * (1.0 + sign * self.threshold) } else { best + sign * self.threshold };
        if sign * measure > sign * needed {
            (best, bad) = (measure, 0.0);
        } else {
            bad += 1.0;
        }
        if cooldown > 0.0 {
            (cooldown, bad) = (cooldown - 1.0, 0.0);
        }
        if bad > self.patience as f64 {
            let lower = (rate * self.factor).max(self.floor);
            rate = if rate - lower > self.eps { lower } else { rate };
            (cooldown, bad) = (self.cooldown as f64, 0.0);
        }
        PlateauState { numbers: Tensor::from([rate, best, bad, cooldown]) }
    }
}

/// From `from` to `to` along half a cosine, of which the part `done` is done.
fn fall(from: f64, to: f64, done: f64) -> f64 {
    let left = 0.5 * (1.0 + (PI * done).cos());
    from * left + to * (1.0 - left)
}
