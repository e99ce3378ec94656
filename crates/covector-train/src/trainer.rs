//! The course of a training.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use covector::{Tensor, Tree};
use covector_nn::doctor;
use covector_trace::Notes;
use covector_trace::draw::{Options, Picture};
use serde_json::Value;

use crate::checkpoint::{self, About, Checkpoint};
use crate::examine::{self, Doctor, Examined};
use crate::lock::Lock;
use crate::metrics::Metrics;
use crate::reserve::Reserve;
use crate::step::{Machine, Turn, bytes, copy};
use crate::watch::{Beginning, Ending, Step, Watch, clock};
use crate::{Effort, Error, History, Outputs, Purpose, Result, Settings, Task, curve, feed, report};

/// Trains a task.
///
/// ```no_run
/// # fn f(task: impl covector_train::Task) -> covector_train::Result<()> {
/// use covector_train::{Checkpoint, Outputs, Settings, Trainer};
/// let (settings, outputs) = (Settings::default(), Outputs::to("model.safetensors"));
/// let trainer = Trainer::new(&task, settings, outputs);
/// // To the same bits as if there had been no interruption.
/// let outcome = trainer.resume(Checkpoint::load("model.checkpoint.safetensors")?).run(&mut ())?;
/// println!("{:?}", outcome.scores);
/// # Ok(())
/// # }
/// ```
pub struct Trainer<'a, T: Task> {
    task: &'a T,
    settings: Settings,
    outputs: Outputs,
    options: Value,
    resumed: Option<Checkpoint>,
    stop: Option<&'a AtomicBool>,
    doctor: Doctor,
}

/// What a training comes to.
#[derive(Clone, Debug)]
pub struct Outcome<T: Task> {
    /// The model that was saved.
    pub model: T::Model,
    /// What is kept besides.
    pub running: T::Running,
    /// Its measures on all held-out data, in the order of [`Task::measures`].
    pub scores: Vec<f64>,
    /// Steps taken; fewer than planned if it stopped early.
    pub steps: usize,
    /// Its course.
    pub history: History,
    /// The summary.
    pub summary: String,
    /// Since it began or went on.
    pub time: Duration,
}

impl<'a, T: Task> Trainer<'a, T> {
    /// A training from the first step on.
    pub fn new(task: &'a T, settings: Settings, outputs: Outputs) -> Self {
        let options = serde_json::to_value(&settings).unwrap_or_default();
        Trainer { task, settings, outputs, options, resumed: None, stop: None, doctor: Doctor::On }
    }

    /// What checkpoints keep for whoever goes on, and the report shows: an object of names and values. By itself the settings.
    pub fn options(mut self, options: Value) -> Self {
        self.options = options;
        self
    }

    /// Goes on where the checkpoint was written.
    pub fn resume(mut self, checkpoint: Checkpoint) -> Self {
        self.resumed = Some(checkpoint);
        self
    }

    /// Finishes the step, writes a checkpoint and returns [`Error::Stopped`] as soon as the flag is set: by Ctrl-C, by a
    /// button.
    pub fn stop(mut self, flag: &'a AtomicBool) -> Self {
        self.stop = Some(flag);
        self
    }

    /// How much the training is examined: the data and the model before the first step, whether a batch is learned at all
    /// (in trainings of a thousand steps and more, at the cost of thirty), the loss of the first step; gradients, updates and
    /// the model from inside at the tenth step and at looks at the held-out data; and the course of the loss at the end.
    /// Each kind of finding is said once. By itself on.
    pub fn doctor(mut self, doctor: Doctor) -> Self {
        self.doctor = doctor;
        self
    }

    /// Tries learning rates from 10⁻⁶ up to 1, a hundred steps in all, until the loss grows; gives the one to begin with,
    /// and the rates with their losses. Nothing is written, and nothing learned.
    ///
    /// # Errors
    /// [`Error::Settings`], and data that cannot be read.
    pub fn find_rate(self) -> Result<(f64, Vec<(f64, f64)>)> {
        self.settings.check()?;
        examine::rates(self.task, &self.settings)
    }

    /// Trains to the end, measures on all held-out data, saves the model, and writes the report.
    ///
    /// # Errors
    /// [`Error::Settings`] and files that cannot be written, before the first step; a checkpoint of another training; a loss
    /// that is not finite; data that cannot be read; [`Error::Stopped`]. The model's file is then as it was.
    pub fn run(self, watch: &mut dyn Watch) -> Result<Outcome<T>> {
        let start = Instant::now();
        let (task, stop) = (self.task, self.stop);
        let (outputs, options) = (self.outputs.clone(), self.options.clone());
        let mut run = Run::new(self)?;
        let shapes = task.shapes(&run.machine.model)?;
        watch.begins(&Beginning {
            shapes: &shapes,
            parameters: run.parameters(),
            data: task.describe(),
            done: run.step,
            steps: run.settings.steps,
            unit: task.units().0,
        })?;
        if run.step == 0 {
            run.examined.before(task, &run.machine, &run.settings, watch)?;
        }
        let trained = run.train(stop, watch);
        watch.rests();
        trained?;

        let parameters = run.parameters();
        let (mut history, step) = (run.history.clone(), run.step);
        let curve = if history.losses.len() > 20 { curve::curve(&history.smooth(), 60, 6) } else { String::new() };
        let (model, running) = run.best.take().unwrap_or_else(|| run.machine.kept());
        let (scores, measures) = (task.evaluate(&model, &running, Effort::Full)?, task.measures());
        let time = start.elapsed();
        watch.ends(&Ending { curve: &curve, measures: &measures, values: &scores, steps: step, time })?;
        if let Err(e) = run.with_room(|| task.save(&outputs.model, &model, &running)) {
            run.best = run.settings.patience.gt(&0).then_some((model, running));
            return Err(run.rescue(e));
        }

        let (mut summary, key) = (String::new(), Purpose::Summary.key(run.settings.seed));
        task.summary(&model, &running, &key, &mut |piece| {
            summary.push_str(piece);
            watch.summary(piece)
        })?;
        if let Some(path) = &outputs.report {
            history.look(step, &scores, &measures[0]);
            let facts = report::Facts {
                task: task.name(),
                options: &options,
                parameters,
                steps: step,
                measures: &measures,
                values: &scores,
                time: clock(time),
                summary_title: task.summary_title(),
                summary: &summary,
                shapes: &shapes,
                graph: drawn(task, &model, &running, run.settings.seed).map_err(|e| e.to_string()),
            };
            report::write(path, &history, &facts)?;
        }
        if outputs.checkpoint.is_none() {
            // The training is over, and the model is saved.
            let _ = std::fs::remove_file(outputs.checkpoint_path());
        }
        Ok(Outcome { model, running, scores, steps: step, history, summary, time })
    }
}

/// A training on its way.
struct Run<'a, T: Task> {
    task: &'a T,
    settings: Settings,
    outputs: Outputs,
    options: Value,
    fingerprint: String,
    machine: Machine<T>,
    /// The best model, if that is the one to keep.
    best: Option<(T::Model, T::Running)>,
    history: History,
    /// Steps taken.
    step: usize,
    metrics: Metrics,
    examined: Examined,
    /// Room for a checkpoint, whatever else fills the disk.
    reserve: RefCell<Reserve>,
    /// What it writes is its own as long as it goes on.
    _locks: Vec<Lock>,
}

impl<'a, T: Task> Run<'a, T> {
    fn new(trainer: Trainer<'a, T>) -> Result<Self> {
        let Trainer { task, settings, outputs, options, resumed, doctor, .. } = trainer;
        settings.check()?;
        let fingerprint = task.fingerprint();
        if let Some(resumed) = &resumed {
            fits(resumed, task, &settings, &fingerprint)?;
        }
        outputs.check()?;
        let locks = Lock::all(&outputs)?;
        let mut machine = Machine::start(task, &settings)?;
        let mut best = None;
        if let Some(resumed) = &resumed {
            best = machine.put(resumed.restore(machine.state(None))?);
        }
        let reserve = match outputs.checkpoint_interval {
            // Without checkpoints the model is all there is to lose.
            0 => Reserve::new(&outputs.model, bytes(&machine.kept()) + METADATA, "the model")?,
            _ => {
                let bytes = machine.bytes(settings.patience > 0) + METADATA;
                Reserve::new(&outputs.checkpoint_path(), bytes, "a checkpoint")?
            }
        };
        let step = resumed.as_ref().map_or(0, |r| r.step);
        let history = resumed.map_or_else(History::default, |r| r.history);
        let metrics = Metrics::open(&outputs.logs, step, task.units().0, &task.measures())?;
        Ok(Run {
            task,
            settings,
            outputs,
            options,
            fingerprint,
            machine,
            best,
            history,
            step,
            metrics,
            examined: Examined::new(doctor),
            reserve: RefCell::new(reserve),
            _locks: locks,
        })
    }

    fn parameters(&self) -> usize {
        self.machine.model.leaves().iter().map(Tensor::size).sum()
    }

    fn save(&self) -> Result<()> {
        let best = self.best.as_ref().map(|(model, running)| (copy(model), copy(running)));
        let about = About {
            task: self.task.name(),
            fingerprint: &self.fingerprint,
            settings: &self.settings,
            options: &self.options,
            history: &self.history,
            step: self.step,
        };
        let (path, state) = (self.outputs.checkpoint_path(), self.machine.state(best));
        self.with_room(|| checkpoint::save(&path, &state, &about))
    }

    /// Writes something; where the disk is full, into the room that was held for it.
    fn with_room(&self, write: impl Fn() -> Result<()>) -> Result<()> {
        let mut reserve = self.reserve.borrow_mut();
        match write() {
            Err(_) if reserve.release() => {
                let written = write();
                // What it replaced gave room back, as a rule; and if not, there is nothing to hold.
                let _ = written.is_ok().then(|| reserve.hold());
                written
            }
            written => written,
        }
    }

    fn train(&mut self, stop: Option<&AtomicBool>, watch: &mut dyn Watch) -> Result<()> {
        let (task, of, accumulate) = (self.task, self.settings.steps, self.settings.accumulate);
        let positions = self.step * accumulate..of * accumulate;
        feed::ahead(task, &Purpose::Batches.key(self.settings.seed), positions, |next| self.steps(next, stop, watch))
    }

    /// All steps that are left; `next` gives the batches in their order.
    fn steps(
        &mut self,
        next: &mut dyn FnMut() -> Result<T::Batch>,
        stop: Option<&AtomicBool>,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        let of = self.settings.steps;
        let (start, done) = (Instant::now(), self.step);
        let units = self.task.units().1 * self.settings.accumulate;
        while self.step < of {
            let rate = self.settings.rate_at(self.step, self.machine.plateau.as_ref());
            let look = self.examined.wants(self.step + 1, &self.settings);
            let turn = Turn { task: self.task, settings: &self.settings, step: self.step, rate, look };
            let stepped = self.machine.step(&turn, next);
            let (loss, seen) = stepped.map_err(|e| self.rescue(e))?;
            if !loss.is_finite() {
                return Err(self.diverged(loss));
            }
            self.step += 1;
            self.history.step(self.step, loss);
            if let (1, Some(classes)) = (self.step, self.task.classes()) {
                self.examined.tell(watch, doctor::initial_loss(loss, classes))?;
            }
            if let Some(seen) = seen {
                self.examined
                    .tell(watch, examine::of_step(self.step, &seen.gradients, &seen.old, &self.machine.model))?;
            }
            let seconds = start.elapsed().as_secs_f64().max(1e-9);
            let speed = ((self.step - done) * units) as f64 / seconds;
            watch.step(&Step { number: self.step, of, loss, rate, speed });
            self.metrics.step(self.step, loss, rate, speed).map_err(|e| self.rescue(e))?;
            let ended = self.step == of;
            if !ended && due(self.step, self.settings.eval_interval) {
                let enough = self.look(watch);
                if enough.map_err(|e| self.rescue(e))? {
                    break;
                }
            }
            if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                self.save().map_err(|e| self.rescue(e))?;
                return Err(Error::Stopped { step: self.step, checkpoint: self.outputs.checkpoint_path() });
            }
            if !ended && due(self.step, self.outputs.checkpoint_interval) {
                self.save().map_err(|e| self.rescue(e))?;
            }
        }
        let losses: Vec<f64> = self.history.losses.iter().map(|(_, loss)| *loss).collect();
        let loss = self.task.measures().iter().position(|m| m.loss);
        let held_out = loss.map(|i| self.history.measured(i)).unwrap_or_default();
        let held_out: Vec<f64> = held_out.into_iter().map(|(_, loss)| loss).collect();
        // It is over: what is found is said, and no reason to lose the model.
        if !self.examined.off() {
            doctor::curve(&losses, &held_out).iter().for_each(|finding| watch.says(&format!("doctor: {finding}")));
        }
        Ok(())
    }

    /// Looks at the held-out data; true if it is no use to go on.
    fn look(&mut self, watch: &mut dyn Watch) -> Result<bool> {
        let measures = self.task.measures();
        let (model, running) = self.machine.kept();
        let values = self.task.evaluate(&model, &running, Effort::Glance)?;
        watch.look(self.step, &measures, &values);
        self.metrics.look(self.step, &values)?;
        self.examined.meanwhile(self.task, &self.machine, &self.settings, watch)?;
        if let Some((measure, rate)) = self.machine.measured(&self.settings, &measures, &values) {
            watch.says(&format!("the {measure} is no better for a while: the learning rate falls to {rate:.1e}"));
        }
        let better = self.history.look(self.step, &values, &measures[0]);
        if let (Some(path), true) = (&self.outputs.best, better) {
            self.task.save(path, &model, &running)?;
        }
        let patience = self.settings.patience;
        if patience > 0 && better {
            self.best = Some((model, running));
        }
        if patience == 0 || self.history.looks_since_best() < patience {
            return Ok(false);
        }
        let (step, best) = self.history.best.unwrap_or_default();
        let name = &measures[0].name;
        watch.says(&format!("the {name} was best at step {step} ({best:.4}): that model is kept"));
        Ok(true)
    }

    /// Keeps the state if something from outside ends the training, and says where it is.
    fn rescue(&self, e: Error) -> Error {
        let Error::Outside(problem) = e else { return e };
        let (path, step) = (self.outputs.checkpoint_path(), self.step);
        let kept = match self.save() {
            Ok(()) => format!("the state after step {step} is kept: go on with --resume {}", path.display()),
            Err(_) if path.exists() => format!("an earlier state is kept: go on with --resume {}", path.display()),
            Err(_) => "no state could be kept".to_owned(),
        };
        Error::Outside(format!("{problem}\n  {kept}"))
    }

    fn diverged(&self, loss: f64) -> Error {
        let problem = format!("the loss is {loss} at step {}: no model was saved", self.step + 1);
        let path = self.outputs.checkpoint_path();
        let advice = match path.exists() {
            true => format!("{} is the last state before it", path.display()),
            false => "try a smaller learning rate (--lr)".to_owned(),
        };
        Error::Outside(format!("{problem}; {advice}"))
    }
}

/// The page with the picture of the loss of the first batch, with its gradients. Nothing is computed for it.
fn drawn<T: Task>(task: &T, model: &T::Model, running: &T::Running, seed: u64) -> Result<String> {
    let batch = task.batch(0, &Purpose::Batches.key(seed))?;
    let noise = Purpose::Noise.key(seed).fold_in(0);
    let loss = |model: &T::Model, notes: &mut Notes| {
        notes.names(model);
        let (loss, _) = task.loss(model, running, &batch, &noise);
        notes.name(&loss, "loss");
        loss
    };
    let picture = Picture::trace(loss, model, &Options { gradients: true, ..Options::default() })?;
    Ok(picture.html(&format!("The loss of {}", task.name())))
}

/// Bytes that all but the arrays of a checkpoint have at most, about: its history, above all.
const METADATA: u64 = 1 << 17;

/// Whether a checkpoint is of this training.
fn fits<T: Task>(resumed: &Checkpoint, task: &T, settings: &Settings, fingerprint: &str) -> Result<()> {
    if resumed.task != task.name() {
        return Err(resumed.error(format!(
            "this is a checkpoint of the task {}, not of {}",
            resumed.task,
            task.name()
        )));
    }
    if resumed.fingerprint != fingerprint {
        return Err(Error::outside(format!(
            "the data are not the ones that were learned: they have {fingerprint}, and had {}",
            resumed.fingerprint
        )));
    }
    if resumed.settings != *settings {
        return Err(resumed.error("its training has other settings; it ends as it began"));
    }
    Ok(())
}

/// True at every `interval`-th step; never for 0.
fn due(step: usize, interval: usize) -> bool {
    interval > 0 && step.is_multiple_of(interval)
}
