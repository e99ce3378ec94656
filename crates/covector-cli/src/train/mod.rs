//! `covector train`: from a text to a saved model, in one go or several.

mod checkpoint;
mod curve;
mod data;
mod history;
mod metrics;
mod report;
mod tensorboard;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use covector::{Key, Tensor, Tree};
use covector_nn::data::random_batch;
use covector_nn::sample::Sampling;
use covector_nn::train::{Training, held_out_loss};
use covector_nn::{AdamW, Dropout, Gpt, GptConfig, WarmupCosine, doctor};

use crate::progress::{Progress, clock, grouped};
use crate::sample::write_sample;
use crate::{Failure, args, trace};
use checkpoint::Resumed;
use data::Data;
use history::History;
use metrics::Metrics;

/// Pieces of the held-out text that a look in the middle of training is content with.
const GLANCE: usize = 240;

/// What a key is used for: each purpose has a key of its own.
#[derive(Clone, Copy)]
enum Purpose {
    Weights,
    Batches,
    Dropout,
    Sample,
}

/// Runs the command.
pub fn run(asked: &args::Train, given: &[String]) -> Result<(), Failure> {
    let stop = interrupt()?;
    let resumed = asked.resume.as_deref().map(checkpoint::load).transpose()?;
    let options = &options(asked, given, resumed.as_ref())?;
    if !options.width.is_multiple_of(options.heads) {
        let (width, heads) = (options.width, options.heads);
        return Err(Failure::Usage(format!("--width {width} does not divide into --heads {heads}")));
    }
    let data = Data::read(options)?;
    if let Some(resumed) = resumed.as_ref().filter(|r| r.fingerprint != data.fingerprint) {
        return Err(Failure::Outside(format!(
            "the text is not the one that was learned: it has {}, and had {}",
            data.fingerprint, resumed.fingerprint
        )));
    }
    check_writable(&options.out, "the model")?;
    if let Some(report) = &options.report {
        check_writable(report, "the report")?;
    }
    let start = Instant::now();
    let mut run = Run::new(options, &data, resumed.as_ref())?;

    let mut out = std::io::stdout();
    let mut shapes = Vec::new();
    trace::write(&mut shapes, &config(options, &data), options.batch)?;
    out.write_all(&shapes)?;
    let parameters = run.training.model.parameters();
    writeln!(
        out,
        "\n{} parameters; {} characters to learn, {} held out, {} different",
        grouped(parameters as u64),
        grouped(data.learned.size() as u64),
        grouped(data.held_out.size() as u64),
        data.vocabulary.len()
    )?;
    out.flush()?;

    run.train(&stop)?;
    let Run { training, best, mut history, step, .. } = run;
    let model = best.unwrap_or(training.model);
    let loss = held_out_loss(&model, &data.held_out, 4 * options.batch, None)?;
    let steps = if step == 1 { "1 step".to_owned() } else { format!("{step} steps") };
    let time = clock(start.elapsed());
    writeln!(out, "held-out loss {loss:.4} after {steps} in {time}")?;
    model.save(&options.out, &data.vocabulary)?;

    let prompt = data.vocabulary.decode(&data.held_out.to_vec::<i64>()[..1]);
    let prompt = if data.vocabulary.encode("\n").is_ok() { "\n" } else { &prompt };
    let sampling = Sampling { temperature: options.temperature, top_k: None };
    let key = key(options, Purpose::Sample);
    let sample = write_sample(&model, &data.vocabulary, prompt, options.tokens, sampling, &key)?;
    if let Some(path) = &options.report {
        history.look(step, loss);
        let shapes = String::from_utf8_lossy(&shapes);
        let facts = report::Facts { options, parameters, steps: step, loss, time, sample: &sample, shapes: &shapes };
        report::write(path, &history, &facts)?;
    }
    if options.checkpoint.is_none() {
        // The training is over, and the model is saved.
        let _ = std::fs::remove_file(checkpoint::default_path(&options.out));
    }
    eprintln!("saved {}; continue a text with `covector sample {0}`", options.out.display());
    Ok(())
}

/// What may be said anew when a training goes on: where things go, and nothing that decides its numbers.
const FREE: [&str; 8] = ["task", "resume", "out", "checkpoint", "checkpoint_interval", "log", "report", "tokens"];

/// The options of this training: those asked for, or, if it goes on, those it began with.
fn options(asked: &args::Train, given: &[String], resumed: Option<&Resumed>) -> Result<args::Train, Failure> {
    let Some(resumed) = resumed else { return Ok(asked.clone()) };
    if let Some(name) = given.iter().find(|name| !FREE.contains(&name.as_str())) {
        let flag = name.replace('_', "-");
        return Err(Failure::Usage(format!("--{flag} cannot change in a training that goes on; it ends as it began")));
    }
    let chosen = |name: &str| given.iter().any(|g| g == name);
    let mut options = resumed.options.clone();
    options.resume = asked.resume.clone();
    if chosen("out") {
        options.out = asked.out.clone();
    }
    if chosen("checkpoint") {
        options.checkpoint = asked.checkpoint.clone();
    }
    if chosen("checkpoint_interval") {
        options.checkpoint_interval = asked.checkpoint_interval;
    }
    if chosen("log") {
        options.log = asked.log.clone();
    }
    if chosen("report") {
        options.report = asked.report.clone();
    }
    if chosen("tokens") {
        options.tokens = asked.tokens;
    }
    Ok(options)
}

fn key(options: &args::Train, purpose: Purpose) -> Key {
    Key::new(options.seed).fold_in(purpose as i64)
}

/// Fails now rather than after the training if a file cannot be written; leaves nothing behind.
fn check_writable(path: &Path, what: &str) -> Result<(), Failure> {
    let fail = |problem: String| Failure::Outside(format!("{}: cannot write {what}: {problem}", path.display()));
    if path.is_dir() {
        return Err(fail("it is a folder".into()));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let probe = folder.join(format!(".covector-probe-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&probe).map_err(|e| fail(e.to_string()))?;
    std::fs::remove_file(&probe).map_err(|e| fail(e.to_string()))
}

fn config(options: &args::Train, data: &Data) -> GptConfig {
    let args::Train { block, layers, heads, width, .. } = *options;
    GptConfig { vocabulary: data.vocabulary.len(), block, layers, heads, width, bias: false }
}

/// A flag that Ctrl-C sets.
fn interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|e| Failure::Outside(format!("cannot listen for Ctrl-C: {e}")))?;
    Ok(stop)
}

/// A training on its way.
struct Run<'a> {
    options: &'a args::Train,
    data: &'a Data,
    training: Training<Gpt>,
    /// The model of the lowest held-out loss, if that is the one to keep.
    best: Option<Gpt>,
    history: History,
    /// Steps taken.
    step: usize,
    metrics: Metrics,
    checkpoint: PathBuf,
}

impl<'a> Run<'a> {
    fn new(options: &'a args::Train, data: &'a Data, resumed: Option<&Resumed>) -> Result<Self, Failure> {
        let model = Gpt::new(&key(options, Purpose::Weights), &config(options, data));
        let adam = AdamW { beta2: options.beta2, weight_decay: options.weight_decay, ..AdamW::default() };
        let clip = (options.clip > 0.0).then_some(options.clip);
        let fresh = Training::new(model, adam, clip);
        let (training, best) = match resumed {
            Some(resumed) => resumed.restore(fresh)?,
            None => (fresh, None),
        };
        let step = resumed.map_or(0, |r| r.step);
        let history = resumed.map_or_else(History::default, |r| r.history.clone());
        let metrics = Metrics::open(&options.log, step)?;
        let checkpoint = options.checkpoint.clone().unwrap_or_else(|| checkpoint::default_path(&options.out));
        Ok(Run { options, data, training, best, history, step, metrics, checkpoint })
    }

    fn save(&self) -> Result<(), Failure> {
        let fingerprint = &self.data.fingerprint;
        let (best, path) = (self.best.as_ref(), &self.checkpoint);
        checkpoint::save(path, &self.training, best, self.step, self.options, fingerprint, &self.history)
    }

    fn train(&mut self, stop: &AtomicBool) -> Result<(), Failure> {
        let options = self.options;
        let schedule = WarmupCosine {
            peak: options.lr,
            floor: options.min_lr.unwrap_or(options.lr / 10.0),
            warmup: options.warmup.unwrap_or((options.steps / 10).min(100)),
            steps: options.steps,
        };
        let (batches, dropout) = (key(options, Purpose::Batches), key(options, Purpose::Dropout));
        let mut progress = Progress::new(self.step, options.steps, options.batch * options.block);
        while self.step < options.steps {
            let step = self.step;
            let (x, y) = random_batch(&self.data.learned, options.batch, options.block, &batches.fold_in(step as i64));
            let noise = Dropout::new(options.dropout, dropout.fold_in(step as i64));
            let rate = schedule.at(step);
            let loss = self.training.step(rate, |model: &Gpt| model.loss(&x, &y, &noise))?.to_f64();
            if !loss.is_finite() {
                progress.finish();
                return Err(self.diverged(loss));
            }
            self.step += 1;
            self.history.step(self.step, loss);
            if self.step == 1 {
                tell(&progress, doctor::initial_loss(loss, self.data.vocabulary.len()));
            }
            progress.step(self.step, loss);
            self.metrics.step(self.step, loss, rate, progress.speed())?;
            let ended = self.step == options.steps;
            if !ended && due(self.step, options.eval_interval) && self.look(&mut progress)? {
                break;
            }
            if stop.load(Ordering::Relaxed) {
                progress.finish();
                return Err(self.interrupted());
            }
            if !ended && due(self.step, options.checkpoint_interval) {
                self.save()?;
            }
        }
        let series = |points: &[(usize, f64)]| points.iter().map(|(_, loss)| *loss).collect::<Vec<f64>>();
        tell(&progress, doctor::curve(&series(&self.history.losses), &series(&self.history.held_out)));
        progress.finish();
        let curve = curve::curve(&self.history.smooth(), 60, 6);
        if self.history.losses.len() > 20 {
            eprint!("{curve}");
        }
        Ok(())
    }

    /// Looks at the held-out text; true if it is no use to go on.
    fn look(&mut self, progress: &mut Progress) -> Result<bool, Failure> {
        let loss = held_out_loss(&self.training.model, &self.data.held_out, 4 * self.options.batch, Some(GLANCE))?;
        progress.say(&format!("step {}: held-out loss {loss:.4}", self.step));
        self.metrics.look(self.step, loss)?;
        let better = self.history.look(self.step, loss);
        let patience = self.options.patience;
        if patience > 0 && better {
            self.best = Some(self.training.model.map_leaves(Tensor::clone));
        }
        if patience == 0 || self.history.looks_since_best() < patience {
            return Ok(false);
        }
        let (step, best) = self.history.best.unwrap_or_default();
        progress.say(&format!("the held-out loss was lowest at step {step} ({best:.4}): that model is kept"));
        Ok(true)
    }

    fn interrupted(&self) -> Failure {
        let step = self.step;
        match self.save() {
            Ok(()) => Failure::Interrupted(format!(
                "stopped after step {step}; go on with `covector train --resume {}`",
                self.checkpoint.display()
            )),
            Err(e) => e,
        }
    }

    fn diverged(&self, loss: f64) -> Failure {
        let problem = format!("the loss is {loss} at step {}: no model was saved", self.step + 1);
        let advice = match self.checkpoint.exists() {
            true => format!("{} is the last state before it", self.checkpoint.display()),
            false => "try a smaller --lr".to_owned(),
        };
        Failure::Outside(format!("{problem}; {advice}"))
    }
}

/// Says what the doctor found.
fn tell(progress: &Progress, findings: Vec<doctor::Finding>) {
    for finding in findings {
        progress.say(&format!("doctor: {finding}"));
    }
}

/// True at every `interval`-th step; never for 0.
fn due(step: usize, interval: usize) -> bool {
    interval > 0 && step.is_multiple_of(interval)
}
