//! What decides the numbers of a training.

use covector_nn::schedule::{Constant, Exponential, Linear, OneCycle, Plateau, PlateauState, Step, Warmup};
use covector_nn::{Schedule, WarmupCosine};
use serde::{Deserialize, Serialize};

use crate::error::by_name;
use crate::{Better, Error, Measure, OptimizerKind, OptimizerSettings, Result};

/// What decides the numbers of a training, beside the task; kept in checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The seed of all keys: weights, batches, noise, summary.
    pub seed: u64,
    /// The number of steps.
    pub steps: usize,
    /// The optimiser.
    pub optimizer: OptimizerSettings,
    /// The largest learning rate.
    pub rate: f64,
    /// How the rate changes.
    pub schedule: ScheduleSettings,
    /// The largest norm of all gradients together.
    pub clip: Option<f64>,
    /// The largest size of an element of a gradient.
    pub clip_value: Option<f64>,
    /// How many batches the gradient of a step is the mean of; at least 1.
    pub accumulate: usize,
    /// How slowly the moving average of the weights forgets, which is then what is judged and saved.
    pub ema: Option<f64>,
    /// What losses and gradients are computed in; weights and all that moves them stay in their own dtypes.
    #[serde(default)]
    pub precision: Precision,
    /// Steps between looks at the held-out data; 0 for one at the end only.
    pub eval_interval: usize,
    /// After how many looks in a row without gain it stops, with the best model kept; 0 for never.
    pub patience: usize,
}

impl Default for Settings {
    /// A thousand steps of AdamW, along half a cosine down to a tenth of the rate 0.001; gradients of a norm of at most 1.
    fn default() -> Self {
        Settings {
            seed: 0,
            steps: 1000,
            optimizer: OptimizerSettings::default(),
            rate: 1e-3,
            schedule: ScheduleSettings::default(),
            clip: Some(1.0),
            clip_value: None,
            accumulate: 1,
            ema: None,
            precision: Precision::F32,
            eval_interval: 500,
            patience: 0,
        }
    }
}

impl Settings {
    /// Whether they make sense.
    ///
    /// # Errors
    /// Says which does not.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::Settings(what.to_owned()));
        let positive = |x: f64| x > 0.0 && x.is_finite();
        match () {
            () if self.steps == 0 => wrong("a training needs at least one step"),
            () if self.accumulate == 0 => wrong("the gradient of a step needs at least one batch"),
            () if !positive(self.rate) => wrong("the learning rate must be a number above 0"),
            () if self.clip.is_some_and(|x| !positive(x)) => wrong("the largest norm must be a number above 0"),
            () if self.clip_value.is_some_and(|x| !positive(x)) => {
                wrong("the largest element must be a number above 0")
            }
            () if self.ema.is_some_and(|x| !(0.0..1.0).contains(&x)) => {
                wrong("the decay of an average is at least 0, and less than 1")
            }
            () if self.schedule.kind == ScheduleKind::Plateau && self.eval_interval == 0 => {
                wrong("the schedule plateau goes by looks at the held-out data: it needs an interval between them")
            }
            () if self.schedule.kind == ScheduleKind::Plateau && self.schedule.gamma.is_some_and(|x| x >= 1.0) => {
                wrong("what the rate is multiplied with on a plateau must be below 1")
            }
            () if self.optimizer.kind == OptimizerKind::Lbfgs && self.clip.or(self.clip_value).is_some() => {
                wrong("lbfgs follows gradients as they are: clip neither their norm nor their elements")
            }
            () if self.optimizer.kind == OptimizerKind::Lbfgs && self.precision != Precision::F32 => {
                wrong("lbfgs compares losses that are nearly equal: it needs the precision f32")
            }
            () => self.optimizer.check(),
        }
    }

    /// The rate of every step; of a plateau's, before it falls.
    pub fn schedule(&self) -> Box<dyn Schedule> {
        let (rate, steps) = (self.rate, self.steps);
        let ScheduleSettings { kind, warmup, floor, every, gamma, .. } = self.schedule;
        let floor = floor.unwrap_or(rate / 10.0);
        let warmup = warmup.unwrap_or((steps / 10).min(100));
        let start = 1.0 / (warmup + 1) as f64;
        let every = every.unwrap_or(steps.div_ceil(3)).max(1);
        let rest = steps.saturating_sub(warmup);
        match kind {
            ScheduleKind::Cosine => Box::new(WarmupCosine { peak: rate, floor, warmup, steps }),
            ScheduleKind::Constant | ScheduleKind::Plateau => {
                Box::new(Warmup { steps: warmup, start, then: Constant(rate) })
            }
            ScheduleKind::Linear => {
                let then = Linear { rate, start: 1.0, end: floor / rate, steps: rest };
                Box::new(Warmup { steps: warmup, start, then })
            }
            ScheduleKind::Step => {
                let then = Step { rate, every, gamma: gamma.unwrap_or(0.1) };
                Box::new(Warmup { steps: warmup, start, then })
            }
            ScheduleKind::Exponential => {
                let gamma = gamma.unwrap_or_else(|| (floor / rate).powf(1.0 / rest.max(1) as f64));
                Box::new(Warmup { steps: warmup, start, then: Exponential { rate, gamma } })
            }
            ScheduleKind::OneCycle => Box::new(OneCycle::new(rate, steps)),
        }
    }

    /// The rate of a step, by what a plateau remembers.
    pub(crate) fn rate_at(&self, step: usize, plateau: Option<&PlateauState>) -> f64 {
        match plateau {
            Some(state) => Settings { rate: state.rate(), ..self.clone() }.schedule().at(step),
            None => self.schedule().at(step),
        }
    }

    /// Which of the measures a plateau goes by, and its rule: the loss if it is one of them, else the first.
    pub(crate) fn plateau(&self, measures: &[Measure]) -> Option<(usize, Plateau)> {
        let ScheduleSettings { kind, floor, gamma, patience, .. } = self.schedule;
        let known = Plateau::default();
        let which = measures.iter().position(|m| m.loss).unwrap_or(0);
        let rule = Plateau {
            rising: measures.get(which).is_some_and(|m| m.better == Better::Higher),
            factor: gamma.unwrap_or(known.factor),
            patience: patience.unwrap_or(known.patience),
            floor: floor.unwrap_or(known.floor),
            ..known
        };
        (kind == ScheduleKind::Plateau).then_some((which, rule))
    }
}

/// The schedules by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// The same rate after the rise.
    Constant,
    /// Half a cosine down to the floor.
    #[default]
    Cosine,
    /// A straight line down to the floor.
    Linear,
    /// A factor every so many steps.
    Step,
    /// A factor every step, by itself such that the floor is reached at the end.
    Exponential,
    /// A rise over the first third, then down to almost nothing.
    OneCycle,
    /// A factor whenever looks at the held-out data find no gain any more.
    Plateau,
}

impl ScheduleKind {
    /// All of them.
    pub const ALL: [ScheduleKind; 7] = [
        ScheduleKind::Constant,
        ScheduleKind::Cosine,
        ScheduleKind::Linear,
        ScheduleKind::Step,
        ScheduleKind::Exponential,
        ScheduleKind::OneCycle,
        ScheduleKind::Plateau,
    ];

    /// Its name, as in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            ScheduleKind::Constant => "constant",
            ScheduleKind::Cosine => "cosine",
            ScheduleKind::Linear => "linear",
            ScheduleKind::Step => "step",
            ScheduleKind::Exponential => "exponential",
            ScheduleKind::OneCycle => "one-cycle",
            ScheduleKind::Plateau => "plateau",
        }
    }
}

impl std::str::FromStr for ScheduleKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        by_name("schedule", ScheduleKind::ALL, ScheduleKind::name, name)
    }
}

/// How the rate changes; what is not given depends on the number of steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSettings {
    /// Which one.
    pub kind: ScheduleKind,
    /// Steps over which the rate rises: 100, or a tenth of all.
    pub warmup: Option<usize>,
    /// The rate at the end: a tenth of the largest; the least of [`ScheduleKind::Plateau`]: 0.
    pub floor: Option<f64>,
    /// Steps between two falls of [`ScheduleKind::Step`]: a third of all.
    pub every: Option<usize>,
    /// What the rate is then multiplied with: 0.1.
    pub gamma: Option<f64>,
    /// How many looks in a row may find no gain before [`ScheduleKind::Plateau`] falls: 10.
    pub patience: Option<usize>,
}

/// What losses and gradients are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// The dtypes of the weights, which are f32 unless the task says otherwise.
    #[default]
    F32,
    /// bf16, of a loss that is scaled up so that small gradients are not lost. A step whose gradients overflow does not
    /// count, and the next is tried with half the scale.
    Bf16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Precision; 2] = [Precision::F32, Precision::Bf16];

    /// Its name, as in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }
}

impl std::str::FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        by_name("precision", Precision::ALL, Precision::name, name)
    }
}
