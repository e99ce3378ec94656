//! When a training is examined, and what is made of what is found.

use std::collections::BTreeSet;

use covector::Tree;
use covector_nn::doctor::{self, Finding};
use serde::{Deserialize, Serialize};

use crate::error::by_name;
use crate::step::{Machine, copy};
use crate::watch::Watch;
use crate::{Effort, Error, Purpose, Result, Settings, Task};

/// How much a training is examined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doctor {
    /// Not at all.
    Off,
    /// What is found is said.
    #[default]
    On,
    /// What is found ends the training.
    Strict,
}

impl Doctor {
    /// All of them.
    pub const ALL: [Doctor; 3] = [Doctor::Off, Doctor::On, Doctor::Strict];

    /// Its name, as in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Doctor::Off => "off",
            Doctor::On => "on",
            Doctor::Strict => "strict",
        }
    }
}

impl std::str::FromStr for Doctor {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        by_name("doctor", Doctor::ALL, Doctor::name, name)
    }
}

/// The step at which all of gradients and updates is looked at first: the ones before may be unlike all others. At the
/// very first step it is looked for what is too large, which later hides itself.
const EARLY: usize = 10;
/// Steps on one batch: enough to see whether it is learned at all.
const BY_HEART: usize = 30;
/// Trainings shorter than this are spared these steps.
const LONG: usize = 1000;
/// Steps of the search for a rate.
const TRIED: usize = 100;

/// What was found so far.
pub(crate) struct Examined {
    doctor: Doctor,
    /// Each kind of finding is said once.
    said: BTreeSet<&'static str>,
}

impl Examined {
    pub fn new(doctor: Doctor) -> Examined {
        Examined { doctor, said: BTreeSet::new() }
    }

    pub fn off(&self) -> bool {
        self.doctor == Doctor::Off
    }

    /// Whether gradients and updates of a step, counted from 1, are to be looked at.
    pub fn wants(&self, step: usize, settings: &Settings) -> bool {
        let look = settings.eval_interval > 0 && step.is_multiple_of(settings.eval_interval);
        !self.off() && (look || step == 1 || step == EARLY.min(settings.steps))
    }

    /// Says what was found, each kind once; ends the training if the doctor is strict.
    pub fn tell(&mut self, watch: &mut dyn Watch, findings: Vec<Finding>) -> Result<()> {
        if self.off() {
            return Ok(());
        }
        for finding in findings.into_iter().filter(|finding| self.said.insert(finding.name)) {
            if self.doctor == Doctor::Strict {
                return Err(Error::Outside(format!("doctor: {finding}")));
            }
            watch.says(&format!("doctor: {finding}"));
        }
        Ok(())
    }

    /// Before the first step: the data, the model, and whether one batch is learned by heart.
    pub fn before<T: Task>(
        &mut self,
        task: &T,
        machine: &Machine<T>,
        settings: &Settings,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        if self.off() {
            return Ok(());
        }
        self.tell(watch, task.check_data()?)?;
        let batch = task.batch(0, &Purpose::Batches.key(settings.seed))?;
        self.tell(watch, task.check_model(&machine.model, &machine.running, &batch, Effort::Full)?)?;
        let (true, Some(rule)) = (settings.steps >= LONG, machine.rules()) else { return Ok(()) };
        let noise = Purpose::Noise.key(settings.seed).fold_in(0);
        let loss = |model: &T::Model| task.loss(model, &machine.running, &batch, &noise).0;
        let (found, losses) = doctor::one_batch(&machine.model, rule, settings.rate, BY_HEART, loss)?;
        // So few steps need not bring the loss down to nothing; but it must move.
        let moved = losses.last().zip(losses.first()).is_some_and(|(last, first)| *last < 0.97 * first);
        let found = found.into_iter().filter(|finding| finding.name != "does not learn" || !moved);
        self.tell(watch, found.collect())
    }

    /// Once in a while: the model from inside.
    pub fn meanwhile<T: Task>(
        &mut self,
        task: &T,
        machine: &Machine<T>,
        settings: &Settings,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        if self.off() {
            return Ok(());
        }
        let batch = task.batch(0, &Purpose::Batches.key(settings.seed))?;
        self.tell(watch, task.check_model(&machine.model, &machine.running, &batch, Effort::Glance)?)
    }
}

/// The learning rates from 10⁻⁶ up to 1 that the loss was met with, until it grew, and the one to begin with.
pub(crate) fn rates<T: Task>(task: &T, settings: &Settings) -> Result<(f64, Vec<(f64, f64)>)> {
    let machine = Machine::start(task, settings)?;
    let Some(rule) = machine.rules() else {
        let problem = "lbfgs searches along its directions: there is no rate to find, and 1 is a good one";
        return Err(Error::Settings(problem.to_owned()));
    };
    let key = Purpose::Batches.key(settings.seed);
    let batches = (0..TRIED).map(|position| task.batch(position, &key)).collect::<Result<Vec<_>>>()?;
    let noise = Purpose::Noise.key(settings.seed);
    let loss = |model: &T::Model, step: usize| {
        task.loss(model, &machine.running, &batches[step], &noise.fold_in(step as i64)).0
    };
    Ok(doctor::rate_range(&machine.model, rule, (1e-6, 1.0), TRIED, loss)?)
}

/// What gradients and the update of a step, counted from 1, show.
pub(crate) fn of_step<M: Tree>(step: usize, gradients: &M, old: &M, new: &M) -> Vec<Finding> {
    let (mut found, moved) = (doctor::gradients(gradients), doctor::updates(old, new));
    // What has no gradient does not move: that is said already.
    let still = found.iter().any(|finding| finding.name == "no gradient");
    found.extend(moved.into_iter().filter(|finding| !(still && finding.name == "not moved")));
    let large = ["gradient not finite", "exploding gradients", "rate too large"];
    found.retain(|finding| step > 1 || large.contains(&finding.name));
    found
}

/// Copies for [`of_step`].
pub(crate) struct Seen<M> {
    pub gradients: M,
    pub old: M,
}

impl<M: Tree> Seen<M> {
    pub fn of(gradients: &M, old: &M) -> Seen<M> {
        Seen { gradients: copy(gradients), old: copy(old) }
    }
}
