//! `covector train`: from flags to a trainer.

pub mod args;
pub mod data;
mod data_args;
mod show;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use covector_models::{Causal, Folder, Gpt2, Kind, Llama};
use covector_nn::lora::Lora;
use covector_train::{
    Checkpoint, Cut, OptimizerKind, OptimizerSettings, Outputs, ScheduleSettings, Settings, TextOptions, TextTask,
    Trainer, TuneOptions, TuneTask,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{self, Merged, Origin};
use crate::progress::Progress;
use crate::{Failure, corpus};
use args::{Common, FREE, Gpt, Task};

/// Runs the command; `origins` has the options that were given.
pub fn run(asked: Task, origins: &BTreeMap<String, Origin>) -> Result<(), Failure> {
    let resumed = resumed(asked.common())?;
    // What goes on is the task of the checkpoint, whatever was named.
    match (asked, &resumed) {
        (Task::Gpt(asked), None) if asked.from.is_some() => tune(*asked, origins, None),
        (Task::Gpt(asked), None) => text(*asked, None),
        (Task::Tabular(asked), None) => data::tabular(&asked, None),
        (Task::Image(asked), None) => data::image(&asked, None),
        (asked, Some(checkpoint)) => match checkpoint.task.as_str() {
            "gpt" => text(going_on::<Gpt>(&asked, origins, checkpoint)?, resumed),
            "tune" => tune(going_on::<Gpt>(&asked, origins, checkpoint)?, &BTreeMap::new(), resumed),
            "tabular" => data::tabular(&going_on(&asked, origins, checkpoint)?, resumed),
            "image" => data::image(&going_on(&asked, origins, checkpoint)?, resumed),
            other => {
                Err(Failure::Outside(format!("this is a checkpoint of the task {other}, which is not known here")))
            }
        },
    }
}

/// The checkpoint to go on from.
fn resumed(asked: &Common) -> Result<Option<Checkpoint>, Failure> {
    let resumed = asked.resume.as_deref().map(Checkpoint::load).transpose()?;
    if let Some(warning) = resumed.as_ref().and_then(Checkpoint::warning) {
        eprintln!("warning: {warning}");
    }
    Ok(resumed)
}

/// Prints the options of a training and where they came from.
pub fn show(asked: Task, command: &clap::Command, merged: &Merged) -> Result<(), Failure> {
    let resumed = resumed(asked.common())?;
    let (names, matches) = config::named(&merged.matches);
    let task = resumed.as_ref().map_or(asked.name(), |checkpoint| checkpoint.task.as_str());
    let kept = resumed.as_ref().map(|checkpoint| &checkpoint.options);
    show::show(task, config::find(command, &names), matches, &merged.origins, kept)
}

/// Trains a GPT.
fn text(options: Gpt, resumed: Option<Checkpoint>) -> Result<(), Failure> {
    train(&text_task(&options)?, &options, &options.common, resumed, |out| {
        eprintln!("saved {out}; continue a text with `covector generate {out}`");
    })
}

/// What a pretrained model brings along, or has no place for.
const SIZES: [&str; 5] = ["layers", "heads", "width", "dropout", "tokenizer"];

/// Trains a pretrained model further.
fn tune(mut options: Gpt, origins: &BTreeMap<String, Origin>, resumed: Option<Checkpoint>) -> Result<(), Failure> {
    let Some(from) = options.from.clone() else {
        return Err(Failure::Outside("the checkpoint does not say which model it goes on from".into()));
    };
    if let Some(name) = SIZES.iter().find(|name| origins.contains_key(**name)) {
        return Err(Failure::Usage(format!("--{name} is the model's own, and cannot be chosen with --from")));
    }
    if resumed.is_none() && !origins.contains_key("out") {
        options.common.out = "tuned.safetensors".into();
    }
    let folder = Folder::open(&from)?;
    let (from, common) = (from.display(), &options.common);
    let saved = |out: &str| {
        eprintln!("saved {out}; continue a text with `covector generate {from} --tuned {out}`");
        eprintln!("one model of both: `covector export {from} --merge {out} --format huggingface --out NEW`");
    };
    match Kind::of(&folder)? {
        Kind::Gpt2 => train(&tune_task::<Gpt2>(&options, &folder)?, &options, common, resumed, saved),
        Kind::Llama => train(&tune_task::<Llama>(&options, &folder)?, &options, common, resumed, saved),
    }
}

/// Trains a task; `options` are kept in checkpoints, and `saved` is told where the model lies.
fn train<T: covector_train::Task>(
    task: &T,
    options: &impl Serialize,
    common: &Common,
    resumed: Option<Checkpoint>,
    saved: impl Fn(&str),
) -> Result<(), Failure> {
    if common.find_rate {
        return find_rate(task, common);
    }
    let stop = interrupt()?;
    let json = serde_json::to_value(options);
    let json = json.map_err(|e| Failure::Outside(format!("the options cannot be kept: {e}")))?;
    let mut trainer = Trainer::new(task, settings(common), outputs(common)).options(json).stop(&stop);
    trainer = trainer.doctor(common.doctor);
    if let Some(resumed) = resumed {
        trainer = trainer.resume(resumed);
    }
    trainer.run(&mut Progress::new())?;
    saved(&common.out.display().to_string());
    Ok(())
}

/// Prints the rates that were tried, and says with which to begin.
fn find_rate<T: covector_train::Task>(task: &T, common: &Common) -> Result<(), Failure> {
    let (rate, tried) = Trainer::new(task, settings(common), outputs(common)).find_rate()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "      rate      loss")?;
    for (rate, loss) in tried.iter().step_by(4) {
        writeln!(out, "{rate:>10.2e}  {loss:>8.4}")?;
    }
    Ok(writeln!(out, "begin with --lr {rate:.1e}")?)
}

/// The text, and the sizes of its model.
fn text_task(options: &Gpt) -> Result<TextTask, Failure> {
    let Gpt { layers, heads, width, block, dropout, tokens, temperature, .. } = *options;
    let sizes = TextOptions { layers, heads, width, block, batch: options.common.batch, dropout, tokens, temperature };
    let cut = match options.tokenizer.as_str() {
        "chars" => Cut::Characters,
        "bytes" => Cut::Bytes,
        file => Cut::Tokenizer(file.into()),
    };
    match &options.text {
        Some(path) => Ok(TextTask::open(path, &cut, sizes)?),
        None if cut == Cut::Characters => Ok(TextTask::new("the embedded text", &corpus::embedded(), sizes)?),
        None => Err(Failure::Usage("--tokenizer needs a --text; the embedded one is learned by characters".into())),
    }
}

/// The text, and what of a pretrained model learns it.
fn tune_task<M: Causal>(options: &Gpt, folder: &Folder) -> Result<TuneTask<M>, Failure> {
    let lora = |rank: usize| Lora { rank, alpha: options.lora_alpha.unwrap_or(2.0 * rank as f64) };
    let what = TuneOptions {
        lora: options.lora.map(lora),
        frozen: options.freeze.clone(),
        block: options.block,
        batch: options.common.batch,
        tokens: options.tokens,
        temperature: options.temperature,
    };
    let (name, text) = match &options.text {
        Some(path) => (path.display().to_string(), read_text(path)?),
        None => ("the embedded text".to_owned(), corpus::embedded()),
    };
    Ok(TuneTask::new(folder, &name, &text, what)?)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let fail = |problem: String| Failure::Outside(format!("{}: {problem}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| fail(format!("cannot read: {e}")))?;
    if bytes.is_empty() {
        return Err(fail("the file is empty".into()));
    }
    String::from_utf8(bytes)
        .map_err(|e| fail(format!("not UTF-8 text: byte {} begins no character", e.utf8_error().valid_up_to())))
}

/// What decides the numbers.
fn settings(options: &Common) -> Settings {
    use OptimizerKind::{AdamW, Lamb, Lion, Muon};
    let kind = options.optimizer;
    let decay = if matches!(kind, AdamW | Lamb | Lion | Muon) { 0.1 } else { 0.0 };
    let optimizer = OptimizerSettings {
        kind,
        momentum: options.momentum,
        nesterov: options.nesterov,
        beta1: options.beta1,
        beta2: options.beta2.or((kind == AdamW).then_some(0.99)),
        weight_decay: Some(options.weight_decay.unwrap_or(decay)),
    };
    let schedule = ScheduleSettings {
        kind: options.schedule,
        warmup: options.warmup,
        floor: options.min_lr,
        every: options.step_every,
        gamma: options.gamma,
        patience: options.plateau_patience,
    };
    Settings {
        seed: options.seed,
        steps: options.steps,
        optimizer,
        rate: options.lr,
        schedule,
        clip: (options.clip > 0.0).then_some(options.clip),
        clip_value: options.clip_value,
        accumulate: options.accumulate,
        ema: options.ema,
        precision: options.precision,
        eval_interval: options.eval_interval,
        patience: options.patience,
    }
}

/// Where things go.
fn outputs(options: &Common) -> Outputs {
    Outputs {
        checkpoint: options.checkpoint.clone(),
        checkpoint_interval: options.checkpoint_interval,
        best: options.best.clone(),
        logs: options.log.clone(),
        report: options.report.clone(),
        ..Outputs::to(&options.out)
    }
}

/// The options of a training that goes on: those it began with, but for where things go.
fn going_on<O: Serialize + DeserializeOwned>(
    asked: &impl Serialize,
    origins: &BTreeMap<String, Origin>,
    resumed: &Checkpoint,
) -> Result<O, Failure> {
    if let Some(name) = origins.keys().find(|name| !FREE.contains(&name.as_str())) {
        let flag = name.replace('_', "-");
        return Err(Failure::Usage(format!("--{flag} cannot change in a training that goes on; it ends as it began")));
    }
    let unread = |e: serde_json::Error| Failure::Outside(format!("the options of the checkpoint cannot be read: {e}"));
    let asked = serde_json::to_value(asked).map_err(unread)?;
    let mut options = resumed.options.clone();
    for name in origins.keys() {
        if let (Some(kept), Some(new)) = (options.get_mut(name), asked.get(name)) {
            *kept = new.clone();
        }
    }
    serde_json::from_value(options).map_err(unread)
}

/// A flag that Ctrl-C sets.
fn interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|e| Failure::Outside(format!("cannot listen for Ctrl-C: {e}")))?;
    Ok(stop)
}
