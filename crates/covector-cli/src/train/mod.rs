//! `covector train`: from flags to a trainer.

pub mod learn;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use covector_train::{
    Checkpoint, OptimizerKind, OptimizerSettings, Outputs, ScheduleKind, ScheduleSettings, Settings, TextOptions,
    TextTask, Trainer,
};

use crate::args::learn::Other;
use crate::progress::Progress;
use crate::{Failure, args, corpus};

/// Runs the command.
pub fn run(asked: &args::Train, given: &[String]) -> Result<(), Failure> {
    match &asked.other {
        Some(Other::Tabular(asked)) => return learn::tabular(asked, given),
        Some(Other::Image(asked)) => return learn::image(asked, given),
        None => (),
    }
    let stop = interrupt()?;
    let resumed = asked.resume.as_deref().map(Checkpoint::load).transpose()?;
    if let Some(warning) = resumed.as_ref().and_then(Checkpoint::warning) {
        eprintln!("warning: {warning}");
    }
    let options = &options(asked, given, resumed.as_ref())?;
    let task = text_task(options)?;
    let json = serde_json::to_value(options);
    let json = json.map_err(|e| Failure::Outside(format!("the options cannot be kept: {e}")))?;
    let mut trainer = Trainer::new(&task, settings(options), outputs(options)).options(json).stop(&stop);
    if let Some(resumed) = resumed {
        trainer = trainer.resume(resumed);
    }
    trainer.run(&mut Progress::new())?;
    eprintln!("saved {}; continue a text with `covector sample {0}`", options.out.display());
    Ok(())
}

/// The text, and the sizes of its model.
fn text_task(options: &args::Train) -> Result<TextTask, Failure> {
    let args::Train { layers, heads, width, block, batch, dropout, tokens, temperature, .. } = *options;
    let sizes = TextOptions { layers, heads, width, block, batch, dropout, tokens, temperature };
    let (name, text) = match &options.text {
        Some(path) => (path.display().to_string(), read_text(path)?),
        None => ("the embedded text".to_owned(), corpus::embedded()),
    };
    Ok(TextTask::new(&name, &text, sizes)?)
}

/// The text of a file.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let fail = |problem: String| Failure::Outside(format!("{}: {problem}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| fail(format!("cannot read: {e}")))?;
    if bytes.is_empty() {
        return Err(fail("the file is empty".into()));
    }
    String::from_utf8(bytes)
        .map_err(|e| fail(format!("not UTF-8 text: byte {} begins no character", e.utf8_error().valid_up_to())))
}

/// What decides the numbers.
fn settings(options: &args::Train) -> Settings {
    let optimizer = OptimizerSettings {
        kind: OptimizerKind::AdamW,
        beta2: Some(options.beta2),
        weight_decay: Some(options.weight_decay),
        ..OptimizerSettings::default()
    };
    let schedule = ScheduleSettings {
        kind: ScheduleKind::Cosine,
        warmup: options.warmup,
        floor: options.min_lr,
        ..ScheduleSettings::default()
    };
    Settings {
        seed: options.seed,
        steps: options.steps,
        optimizer,
        rate: options.lr,
        schedule,
        clip: (options.clip > 0.0).then_some(options.clip),
        eval_interval: options.eval_interval,
        patience: options.patience,
        ..Settings::default()
    }
}

/// Where things go.
fn outputs(options: &args::Train) -> Outputs {
    Outputs {
        checkpoint: options.checkpoint.clone(),
        checkpoint_interval: options.checkpoint_interval,
        logs: options.log.clone(),
        report: options.report.clone(),
        ..Outputs::to(&options.out)
    }
}

/// What may be said anew when a training goes on: where things go, and nothing that decides its numbers.
const FREE: [&str; 8] = ["task", "resume", "out", "checkpoint", "checkpoint_interval", "log", "report", "tokens"];

/// The options of this training: those asked for, or, if it goes on, those it began with.
fn options(asked: &args::Train, given: &[String], resumed: Option<&Checkpoint>) -> Result<args::Train, Failure> {
    let Some(resumed) = resumed else { return Ok(asked.clone()) };
    if let Some(name) = given.iter().find(|name| !FREE.contains(&name.as_str())) {
        let flag = name.replace('_', "-");
        return Err(Failure::Usage(format!("--{flag} cannot change in a training that goes on; it ends as it began")));
    }
    let chosen = |name: &str| given.iter().any(|g| g == name);
    let unread = |e: serde_json::Error| Failure::Outside(format!("the options of the checkpoint cannot be read: {e}"));
    let mut options: args::Train = serde_json::from_value(resumed.options.clone()).map_err(unread)?;
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

/// A flag that Ctrl-C sets.
fn interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|e| Failure::Outside(format!("cannot listen for Ctrl-C: {e}")))?;
    Ok(stop)
}
