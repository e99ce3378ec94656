//! `covector train tabular` and `covector train image`: from flags to tasks.

use std::path::Path;

use covector::Key;
use covector_data::images::{self, Sizing};
use covector_data::{Asked, Augment, Goal, Missing, Reading, Table, digits};
use covector_train::{
    Checkpoint, ImageOptions, ImageTask, Kind, Measured, Scores, Settings, TabularOptions, TabularTask, Task,
    cross_validate,
};

use super::data_args::{self as asked, Image, Tabular};
use super::{settings, train};
use crate::Failure;
use crate::predict::args as given;

/// Learns a column of a table.
pub fn tabular(options: &Tabular, resumed: Option<Checkpoint>) -> Result<(), Failure> {
    let source = options.table.clone().unwrap_or_default();
    let table = table(&source, &options.reading)?;
    let question = Asked {
        target: options.target.clone(),
        ignore: options.ignore.clone(),
        categories: options.categories.clone(),
        missing: match options.missing {
            asked::Missing::Error => Missing::Error,
            asked::Missing::Mean => Missing::Mean,
            asked::Missing::Drop => Missing::Drop,
        },
        goal: options.goal.map(|goal| match goal {
            asked::Goal::Classes => Goal::Classes,
            asked::Goal::Number => Goal::Number,
        }),
    };
    let sizes = TabularOptions {
        hidden: if options.hidden == [0] { Vec::new() } else { options.hidden.clone() },
        dropout: options.dropout,
        batch: options.common.batch,
        held_out: options.held_out,
        seed: options.common.seed,
    };
    if let Some(k) = options.cross_validate {
        return cross(&TabularTask::cross(&table, &question, sizes, k)?, &settings(&options.common));
    }
    let task = TabularTask::new(&table, &question, sizes)?;
    train(&task, options, &options.common, resumed, |out| {
        eprintln!("saved {out}; use it with `covector predict {out} TABLE`");
    })
}

/// Learns to tell images apart.
pub fn image(options: &Image, resumed: Option<Checkpoint>) -> Result<(), Failure> {
    let source = options.source.clone().unwrap_or_default();
    let channels = options.channels.map(|channels| match channels {
        asked::Channels::Grey => 1,
        asked::Channels::Colours => 3,
    });
    let images = match source.as_str() {
        "digits" if !Path::new("digits").exists() => digits(options.examples, &Key::new(options.common.seed)),
        path => images::read(path, Sizing { size: options.size, channels })?,
    };
    let Image { flip, shift, rotate, zoom, noise, crop, .. } = *options;
    let sizes = ImageOptions {
        kind: match options.model {
            asked::Network::Cnn => Kind::Cnn,
            asked::Network::Vit => Kind::Vit,
        },
        augment: Augment { flip, shift, rotate, zoom, noise, crop },
        dropout: options.dropout,
        batch: options.common.batch,
        held_out: options.held_out,
        seed: options.common.seed,
    };
    let task = ImageTask::new(images, sizes)?;
    train(&task, options, &options.common, resumed, |out| {
        eprintln!("saved {out}; use it with `covector predict {out} IMAGES`");
    })
}

/// The table of this name: a file, or `iris` if no file is called so.
pub fn table(source: &str, reading: &given::Reading) -> Result<Table, Failure> {
    if source == "iris" && !Path::new(source).exists() {
        return Ok(Table::iris());
    }
    let table = Table::read(source, Reading { delimiter: reading.delimiter, header: reading.header })?;
    Ok(if reading.columns.is_empty() { table } else { table.renamed(&reading.columns)? })
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
    spread(if matches!(scores[0], Scores::Classified(_)) { "accuracy" } else { "RMSE" }, &|s| match s {
        Scores::Classified(s) => s.accuracy(),
        Scores::Measured(s) => s.rmse,
    });
    Ok(())
}
