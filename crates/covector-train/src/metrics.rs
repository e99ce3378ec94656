//! Metrics in files: JSON lines, comma-separated values, TensorBoard's events.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::tensorboard;
use crate::{Error, Measure, Result};

/// Files that grow by a line with every step.
pub struct Metrics {
    files: Vec<Log>,
    /// What a step has: loss, rate, speed.
    of_step: [String; 3],
    /// What a look has.
    of_look: Vec<String>,
}

struct Log {
    path: PathBuf,
    file: File,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    JsonLines,
    Csv,
    TensorBoard,
}

impl Metrics {
    /// Opens the files; what is in them of steps up to `step` stays, what is of later ones was lost with the training and goes.
    pub fn open(paths: &[PathBuf], step: usize, unit: &str, measures: &[Measure]) -> Result<Metrics> {
        let of_step = ["loss".to_owned(), "rate".to_owned(), format!("{unit}_per_second")];
        let of_look: Vec<String> = measures.iter().map(Measure::key).collect();
        let header = format!("step,{},{}", of_step.join(","), of_look.join(","));
        let mut files = Vec::new();
        for path in paths {
            let kind = match path.extension().and_then(|e| e.to_str()) {
                Some("csv") => Kind::Csv,
                Some("jsonl" | "json") => Kind::JsonLines,
                _ if path.is_dir() || path.extension().is_none() => Kind::TensorBoard,
                _ => {
                    let problem =
                        format!("{}: a log ends in .jsonl or .csv, or is a folder for TensorBoard", path.display());
                    return Err(Error::Settings(problem));
                }
            };
            let log = Log::open(path, kind, step, &header)
                .map_err(|e| Error::Outside(format!("{}: cannot write the log: {e}", path.display())))?;
            files.push(log);
        }
        Ok(Metrics { files, of_step, of_look })
    }

    /// After a step: its loss, the learning rate, the speed.
    pub fn step(&mut self, step: usize, loss: f64, rate: f64, speed: f64) -> Result<()> {
        let values: Vec<(String, f64)> = self.of_step.iter().cloned().zip([loss, rate, speed.round()]).collect();
        self.write(step, &values)
    }

    /// After a look at the held-out data.
    pub fn look(&mut self, step: usize, values: &[f64]) -> Result<()> {
        let values: Vec<(String, f64)> = self.of_look.iter().cloned().zip(values.iter().copied()).collect();
        self.write(step, &values)
    }

    fn write(&mut self, step: usize, values: &[(String, f64)]) -> Result<()> {
        let columns: Vec<&String> = self.of_step.iter().chain(&self.of_look).collect();
        for log in &mut self.files {
            let bytes = match log.kind {
                Kind::JsonLines => {
                    let parts: String = values.iter().map(|(name, x)| format!(",\"{name}\":{}", json(*x))).collect();
                    format!("{{\"step\":{step}{parts}}}\n").into_bytes()
                }
                Kind::Csv => {
                    let cell = |name: &str| {
                        values.iter().find(|(n, _)| *n == name).map_or(String::new(), |(_, x)| x.to_string())
                    };
                    let cells: Vec<String> = columns.iter().map(|name| cell(name)).collect();
                    format!("{step},{}\n", cells.join(",")).into_bytes()
                }
                Kind::TensorBoard => {
                    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
                    values
                        .iter()
                        .flat_map(|(name, x)| tensorboard::scalar(time, step as i64, name, *x as f32))
                        .collect()
                }
            };
            log.file
                .write_all(&bytes)
                .map_err(|e| Error::Outside(format!("{}: cannot write the log: {e}", log.path.display())))?;
        }
        Ok(())
    }
}

impl Log {
    fn open(path: &Path, kind: Kind, step: usize, header: &str) -> std::io::Result<Log> {
        if kind == Kind::TensorBoard {
            std::fs::create_dir_all(path)?;
            let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
            let name = path.join(format!("events.out.tfevents.{:.0}.{}", time, std::process::id()));
            let mut file = OpenOptions::new().create(true).append(true).open(&name)?;
            file.write_all(&tensorboard::version(time))?;
            return Ok(Log { path: name, file, kind });
        }
        let kept: Vec<String> = match (step, File::open(path)) {
            (1.., Ok(file)) => BufReader::new(file)
                .lines()
                .map_while(std::result::Result::ok)
                .filter(|l| step_of(l) <= Some(step))
                .collect(),
            _ => Vec::new(),
        };
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
        if kind == Kind::Csv && kept.first().is_none_or(|l| l != header) {
            writeln!(file, "{header}")?;
        }
        for line in kept {
            writeln!(file, "{line}")?;
        }
        Ok(Log { path: path.to_owned(), file, kind })
    }
}

/// A number in JSON, which has no infinities.
fn json(x: f64) -> String {
    if x.is_finite() { x.to_string() } else { "null".to_owned() }
}

/// The step a line is of; none for a header.
fn step_of(line: &str) -> Option<usize> {
    match line.starts_with('{') {
        true => serde_json::from_str::<serde_json::Value>(line).ok()?.get("step")?.as_u64().map(|s| s as usize),
        false => line.split(',').next()?.parse().ok(),
    }
}
