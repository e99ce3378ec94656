//! `covector train tabular` and `covector train image`: from flags to a trainer.

use std::path::{Path, PathBuf};

use covector::Key;
use covector_data::images::{self, Sizing};
use covector_data::{Asked, Augment, Goal, Missing, Reading, Table, digits};
use covector_train::{
    Checkpoint, ImageOptions, ImageTask, Kind, Measured, OptimizerSettings, Outputs, Scores, Settings, TabularOptions,
    TabularTask, Task, Trainer, cross_validate,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::learn::{self, Course};
use crate::progress::Progress;
use crate::Failure;

/// Runs `covector train tabular`.
pub fn tabular(asked: &learn::Tabular, given: &[String]) -> Result<(), Failure> {
    let resumed = resumed("tabular", &asked.course)?;
    let mut options = going_on(asked, given, resumed.as_ref())?;
    options.course.resume.clone_from(&asked.course.resume);
    let source = options.table.clone().unwrap_or_default();
    let table = table(&source, &options.reading)?;
    let question = Asked {
        target: options.target.clone(),
        ignore: options.ignore.clone(),
        categories: options.categories.clone(),
        missing: match options.missing {
            learn::Missing::Error => Missing::Error,
            learn::Missing::Mean => Missing::Mean,
            learn::Missing::Drop => Missing::Drop,
        },
        goal: options.goal.map(|goal| match goal {
            learn::Goal::Classes => Goal::Classes,
            learn::Goal::Number => Goal::Number,
        }),
    };
    let course = &options.course;
    let sizes = TabularOptions {
        hidden: if options.hidden == [0] { Vec::new() } else { options.hidden.clone() },
        dropout: course.dropout,
        batch: course.batch,
        held_out: course.held_out,
        seed: course.seed,
    };
    if let Some(k) = asked.cross_validate {
        let folds = TabularTask::cross(&table, &question, sizes, k)?;
        resolve(&mut options.course, folds[0].learned(), 1e-2);
        return cross(&folds, &settings(&options.course));
    }
    let task = TabularTask::new(&table, &question, sizes)?;
    resolve(&mut options.course, task.learned(), 1e-2);
    train(&task, &options, &options.course, resumed)?;
    let model = out(&options.course, "tabular");
    eprintln!("saved {}; use it with `covector predict {0} TABLE`", model.display());
    Ok(())
}

/// Runs `covector train image`.
pub fn image(asked: &learn::Image, given: &[String]) -> Result<(), Failure> {
    let resumed = resumed("image", &asked.course)?;
    let mut options = going_on(asked, given, resumed.as_ref())?;
    options.course.resume.clone_from(&asked.course.resume);
    let source = options.source.clone().unwrap_or_default();
    let channels = options.channels.map(|channels| match channels {
        learn::Channels::Grey => 1,
        learn::Channels::Colours => 3,
    });
    let images = match source.as_str() {
        "digits" if !Path::new("digits").exists() => digits(options.examples, &Key::new(options.course.seed)),
        path => images::read(path, Sizing { size: options.size, channels })?,
    };
    let learn::Image { flip, shift, rotate, zoom, noise, crop, .. } = options;
    let course = &options.course;
    let sizes = ImageOptions {
        kind: match options.model {
            learn::Network::Cnn => Kind::Cnn,
            learn::Network::Vit => Kind::Vit,
        },
        augment: Augment { flip, shift, rotate, zoom, noise, crop },
        dropout: course.dropout,
        batch: course.batch,
        held_out: course.held_out,
        seed: course.seed,
    };
    let task = ImageTask::new(images, sizes)?;
    resolve(&mut options.course, task.learned(), 3e-3);
    train(&task, &options, &options.course, resumed)?;
    let model = out(&options.course, "image");
    eprintln!("saved {}; use it with `covector predict {0} IMAGES`", model.display());
    Ok(())
}

/// The table of this name: a file, or `iris` if no file is called so.
pub fn table(source: &str, reading: &learn::Reading) -> Result<Table, Failure> {
    if source == "iris" && !Path::new(source).exists() {
        return Ok(Table::iris());
    }
    Ok(Table::read(source, Reading { delimiter: reading.delimiter, header: reading.header })?)
}

fn train<T: Task>(
    task: &T,
    options: &impl Serialize,
    course: &Course,
    resumed: Option<Checkpoint>,
) -> Result<(), Failure> {
    let stop = super::interrupt()?;
    for finding in task.check_data()? {
        eprintln!("doctor: {finding}");
    }
    let mut trainer = Trainer::new(task, settings(course), outputs(course, task.name()));
    trainer = trainer.options(json(options)?).stop(&stop);
    if let Some(resumed) = resumed {
        trainer = trainer.resume(resumed);
    }
    trainer.run(&mut Progress::new()).map(drop).map_err(|e| match e {
        covector_train::Error::Stopped { step, checkpoint } => {
            let again = format!("covector train {} --resume {}", task.name(), checkpoint.display());
            Failure::Interrupted(format!("stopped after step {step}; go on with `{again}`"))
        }
        other => other.into(),
    })
}

/// Prints the scores of every fold, and of all together.
fn cross(folds: &[TabularTask], settings: &Settings) -> Result<(), Failure> {
    println!("{}\n", folds[0].describe());
    let width = folds.len().to_string().len();
    let scores = cross_validate(folds, settings, |i, scores| {
        match scores {
            Scores::Classified(s) => {
                println!("fold {:>width$}: accuracy {:.4} ({} of {})", i + 1, s.accuracy(), s.right(), s.count());
            }
            Scores::Measured(Measured { rmse, mae, r2, .. }) => {
                println!("fold {:>width$}: RMSE {rmse:.4}, MAE {mae:.4}, R² {r2:.4}", i + 1);
            }
        }
        Ok(())
    })?;
    let spread = |name: &str, of: &dyn Fn(&Scores) -> f64| {
        let all: Vec<f64> = scores.iter().map(of).collect();
        let n = all.len() as f64;
        let mean = all.iter().sum::<f64>() / n;
        let std = (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        println!("\n{name} {mean:.4} ± {std:.4} over {} folds", all.len());
    };
    spread(
        if matches!(scores[0], Scores::Classified(_)) { "accuracy" } else { "RMSE" },
        &|s| match s {
            Scores::Classified(s) => s.accuracy(),
            Scores::Measured(s) => s.rmse,
        },
    );
    Ok(())
}

fn json(options: &impl Serialize) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(options).map_err(|e| Failure::Outside(format!("the options cannot be kept: {e}")))
}

fn resumed(task: &str, course: &Course) -> Result<Option<Checkpoint>, Failure> {
    let resumed = course.resume.as_deref().map(Checkpoint::load).transpose()?;
    if let Some(other) = resumed.as_ref().filter(|r| r.task != task) {
        let path = course.resume.as_deref().unwrap_or(Path::new("")).display();
        return Err(Failure::Usage(format!(
            "{path} is a checkpoint of the task {0}: go on with `covector train {0} --resume {path}`",
            other.task
        )));
    }
    if let Some(warning) = resumed.as_ref().and_then(Checkpoint::warning) {
        eprintln!("warning: {warning}");
    }
    Ok(resumed)
}

/// What may be said anew when a training goes on: where things are and go, and nothing that decides its numbers.
const FREE: [&str; 9] =
    ["table", "source", "resume", "out", "checkpoint", "checkpoint_interval", "log", "report", "threads"];

/// The options of this training: those asked for, or, if it goes on, those it began with.
fn going_on<O: Serialize + DeserializeOwned + Clone>(
    asked: &O,
    given: &[String],
    resumed: Option<&Checkpoint>,
) -> Result<O, Failure> {
    let Some(resumed) = resumed else { return Ok(asked.clone()) };
    if let Some(name) = given.iter().find(|name| !FREE.contains(&name.as_str())) {
        let flag = name.replace('_', "-");
        return Err(Failure::Usage(format!("--{flag} cannot change in a training that goes on; it ends as it began")));
    }
    let (mut options, asked) = (resumed.options.clone(), json(asked)?);
    for name in given.iter().filter(|name| asked.get(name.as_str()).is_some()) {
        options[name.as_str()] = asked[name.as_str()].clone();
    }
    let unread = |e| Failure::Outside(format!("the options of the checkpoint cannot be read: {e}"));
    serde_json::from_value(options).map_err(unread)
}

/// Puts numbers where a default depends on the data, so that checkpoints have them.
fn resolve(course: &mut Course, learned: usize, rate: f64) {
    let passes = (30 * learned).div_ceil(course.batch.clamp(1, learned.max(1)));
    let steps = *course.steps.get_or_insert(passes.clamp(300, 20_000));
    course.eval_interval.get_or_insert(steps.div_ceil(10));
    course.lr.get_or_insert(rate);
}

/// What decides the numbers, all of which are known.
fn settings(course: &Course) -> Settings {
    let known = Settings::default();
    let optimizer = OptimizerSettings { weight_decay: Some(course.weight_decay), ..OptimizerSettings::default() };
    Settings {
        seed: course.seed,
        steps: course.steps.unwrap_or(known.steps),
        optimizer,
        rate: course.lr.unwrap_or(known.rate),
        clip: (course.clip > 0.0).then_some(course.clip),
        eval_interval: course.eval_interval.unwrap_or(known.eval_interval),
        patience: course.patience,
        ..known
    }
}

fn out(course: &Course, task: &str) -> PathBuf {
    course.out.clone().unwrap_or_else(|| PathBuf::from(format!("{task}.safetensors")))
}

fn outputs(course: &Course, task: &str) -> Outputs {
    Outputs {
        checkpoint: course.checkpoint.clone(),
        checkpoint_interval: course.checkpoint_interval,
        logs: course.log.clone(),
        report: course.report.clone(),
        ..Outputs::to(out(course, task))
    }
}
