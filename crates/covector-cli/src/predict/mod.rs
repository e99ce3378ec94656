//! `covector predict` and `covector eval-model`: what was learned, used and judged.

pub mod args;

use std::io::Write;
use std::path::PathBuf;

use covector::Tensor;
use covector_data::images::{self, Picture};
use covector_data::{Images, Table};
use covector_trace::table::aligned;
use covector_train::{ImageModel, Scores, TabularModel, Trained, text_loss};
use serde_json::{Map, Value, json};

use crate::{Failure, train};
use args::{EvalModel, Predict, Written};

/// Runs `covector predict`.
pub fn run(options: &Predict) -> Result<(), Failure> {
    let predictions = match Trained::load(&options.model)? {
        Trained::Tabular(model) => {
            let [path] = &options.data[..] else {
                return Err(Failure::Usage("a model of a table predicts one table at a time".into()));
            };
            of_table(&model, &train::data::table(&path.display().to_string(), &options.reading)?)?
        }
        Trained::Image(model) => of_images(&model, &options.data)?,
        Trained::Text { .. } => {
            let path = options.model.display();
            return Err(Failure::Usage(format!("{path} continues texts: use `covector sample {path}`")));
        }
    };
    let text = match options.format {
        Written::Text => predictions.text(),
        Written::Csv => predictions.csv(),
        Written::Json => predictions.json(),
    };
    match &options.out {
        Some(path) => covector_io::write_atomically(path, text.as_bytes()).map_err(|e| Failure::Outside(e.to_string())),
        None => Ok(std::io::stdout().write_all(text.as_bytes())?),
    }
}

/// What was predicted for each of several things.
struct Predictions {
    /// What the first column is called, and what is in it: lines, or files.
    what: &'static str,
    names: Vec<String>,
    /// What is predicted.
    target: String,
    /// The classes, if it is one of several.
    classes: Option<Vec<String>>,
    /// The number of each, or the probabilities of its classes.
    values: Vec<f64>,
}

fn of_table(model: &TabularModel, table: &Table) -> Result<Predictions, Failure> {
    let predicted = model.predict_table(table)?;
    Ok(Predictions {
        what: "line",
        names: (0..table.rows()).map(|row| table.line(row).to_string()).collect(),
        target: model.schema.target.name.clone(),
        classes: model.schema.target.classes.clone(),
        values: predicted.to_vec::<f64>(),
    })
}

fn of_images(model: &ImageModel, paths: &[PathBuf]) -> Result<Predictions, Failure> {
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for path in paths {
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz")) {
            let images = Images::npz(path)?;
            let all: Vec<i64> = (0..images.len() as i64).collect();
            for some in all.chunks(256) {
                let (x, _) = images.batch(&Tensor::from(some.to_vec()))?;
                values.extend(model.predict(&x)?.to_vec::<f64>());
            }
            names.extend(images.names);
            continue;
        }
        for file in images::files(path)? {
            values.extend(model.predict_picture(Picture::read(&file)?)?);
            names.push(file.display().to_string());
        }
    }
    Ok(Predictions { what: "image", names, target: "class".into(), classes: Some(model.classes.clone()), values })
}

impl Predictions {
    /// The values of one thing, and the class they say.
    fn rows(&self) -> impl Iterator<Item = (&str, String, &[f64])> {
        let width = self.classes.as_ref().map_or(1, Vec::len);
        self.names.iter().zip(self.values.chunks_exact(width)).map(|(name, row)| {
            let said = match &self.classes {
                Some(classes) => {
                    let best = (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
                    classes[best].clone()
                }
                None => row[0].to_string(),
            };
            (name.as_str(), said, row)
        })
    }

    /// A table to read: of many classes, only the likeliest has its probability shown.
    fn text(&self) -> String {
        let column = |of: &dyn Fn(&str, &str, &[f64]) -> String| {
            self.rows().map(|(name, said, row)| of(name, &said, row)).collect::<Vec<String>>()
        };
        let mut columns = vec![(self.what, column(&|name, _, _| name.to_owned()), self.what == "line")];
        match &self.classes {
            None => columns.push((&self.target, column(&|_, _, row| format!("{:.4}", row[0])), true)),
            Some(classes) => {
                columns.push((&self.target, column(&|_, said, _| said.to_owned()), false));
                if classes.len() > 10 {
                    let most = |row: &[f64]| row.iter().copied().fold(0.0, f64::max);
                    columns.push(("probability", column(&|_, _, row| format!("{:.4}", most(row))), true));
                } else {
                    let of = |i: usize| column(&|_, _, row| format!("{:.4}", row[i]));
                    columns.extend(classes.iter().enumerate().map(|(i, class)| (class.as_str(), of(i), true)));
                }
            }
        }
        aligned(&columns)
    }

    fn csv(&self) -> String {
        let header = [self.what, &self.target].map(str::to_owned).into_iter();
        let classes = self.classes.iter().flatten();
        let header: Vec<String> =
            header.chain(classes.map(|c| format!("probability of {c}"))).map(|c| cell(&c)).collect();
        let mut text = header.join(",") + "\n";
        for (name, said, row) in self.rows() {
            let values = if self.classes.is_some() { row } else { &[] };
            let cells = [cell(name), cell(&said)].into_iter().chain(values.iter().map(f64::to_string));
            text += &(cells.collect::<Vec<String>>().join(",") + "\n");
        }
        text
    }

    fn json(&self) -> String {
        let one = |(name, said, row): (&str, String, &[f64])| {
            let name: Value = if self.what == "line" { json!(name.parse::<u64>().ok()) } else { json!(name) };
            match &self.classes {
                Some(classes) => {
                    let all: Map<String, Value> = classes.iter().cloned().zip(row.iter().map(|&p| json!(p))).collect();
                    json!({ self.what: name, "prediction": said, "probabilities": all })
                }
                None => json!({ self.what: name, "prediction": row[0] }),
            }
        };
        let lines: Vec<String> = self.rows().map(|row| format!("  {}", one(row))).collect();
        format!("[\n{}\n]\n", lines.join(",\n"))
    }
}

/// A cell of comma-separated values, in quotes if it needs them.
fn cell(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// Runs `covector eval-model`.
pub fn judge(options: &EvalModel) -> Result<(), Failure> {
    let (text, json) = match Trained::load(&options.model)? {
        Trained::Tabular(model) => {
            let table = train::data::table(&options.data.display().to_string(), &options.reading)?;
            both(&model.scores(&table)?)
        }
        Trained::Image(model) => {
            both(&Scores::Classified(model.scores(&images::read(&options.data, model.sizing())?)?))
        }
        Trained::Text { model, codec } => {
            let unread = |e| Failure::Outside(format!("{}: cannot read: {e}", options.data.display()));
            let loss = text_loss(&model, &codec, &std::fs::read_to_string(&options.data).map_err(unread)?)?;
            let (perplexity, unit) = (loss.exp(), codec.unit());
            let said = format!("loss {loss:.4} nats, perplexity {perplexity:.4}, over {unit}\n");
            (said, json!({ "loss": loss, "perplexity": perplexity, "unit": unit }))
        }
    };
    let mut out = std::io::stdout();
    match options.json {
        true => writeln!(out, "{json}")?,
        false => write!(out, "{text}")?,
    }
    Ok(())
}

fn both(scores: &Scores) -> (String, Value) {
    (scores.to_string(), scores.json())
}
