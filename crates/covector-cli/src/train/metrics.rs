//! Metrics in files: JSON lines, comma-separated values, TensorBoard's events.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::tensorboard;
use crate::Failure;

/// Files that grow by a line with every step.
#[derive(Default)]
pub struct Metrics {
    files: Vec<Log>,
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

const HEADER: &str = "step,loss,rate,tokens_per_second,held_out_loss";

impl Metrics {
    /// Opens the files; what is in them of steps up to `step` stays, what is of later ones was lost with the training and goes.
    pub fn open(paths: &[PathBuf], step: usize) -> Result<Metrics, Failure> {
        let mut files = Vec::new();
        for path in paths {
            let kind = match path.extension().and_then(|e| e.to_str()) {
                Some("csv") => Kind::Csv,
                Some("jsonl" | "json") => Kind::JsonLines,
                _ if path.is_dir() || path.extension().is_none() => Kind::TensorBoard,
                _ => {
                    let problem =
                        format!("{}: a log ends in .jsonl or .csv, or is a folder for TensorBoard", path.display());
                    return Err(Failure::Usage(problem));
                }
            };
            let log = Log::open(path, kind, step)
                .map_err(|e| Failure::Outside(format!("{}: cannot write the log: {e}", path.display())))?;
            files.push(log);
        }
        Ok(Metrics { files })
    }

    /// After a step: its loss, the learning rate, the speed.
    pub fn step(&mut self, step: usize, loss: f64, rate: f64, speed: f64) -> Result<(), Failure> {
        self.write(step, &[("loss", loss), ("rate", rate), ("tokens_per_second", speed.round())])
    }

    /// After a look at the held-out text.
    pub fn look(&mut self, step: usize, loss: f64) -> Result<(), Failure> {
        self.write(step, &[("held_out_loss", loss)])
    }

    fn write(&mut self, step: usize, values: &[(&str, f64)]) -> Result<(), Failure> {
        for log in &mut self.files {
            let bytes = match log.kind {
                Kind::JsonLines => {
                    let parts: String = values.iter().map(|(name, x)| format!(",\"{name}\":{x}")).collect();
                    format!("{{\"step\":{step}{parts}}}\n").into_bytes()
                }
                Kind::Csv => {
                    let cell = |name: &str| {
                        values.iter().find(|(n, _)| *n == name).map_or(String::new(), |(_, x)| x.to_string())
                    };
                    let cells: Vec<String> = HEADER.split(',').skip(1).map(cell).collect();
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
                .map_err(|e| Failure::Outside(format!("{}: cannot write the log: {e}", log.path.display())))?;
        }
        Ok(())
    }
}

impl Log {
    fn open(path: &Path, kind: Kind, step: usize) -> std::io::Result<Log> {
        if kind == Kind::TensorBoard {
            std::fs::create_dir_all(path)?;
            let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
            let name = path.join(format!("events.out.tfevents.{:.0}.{}", time, std::process::id()));
            let mut file = OpenOptions::new().create(true).append(true).open(&name)?;
            file.write_all(&tensorboard::version(time))?;
            return Ok(Log { path: name, file, kind });
        }
        let kept: Vec<String> = match (step, File::open(path)) {
            (1.., Ok(file)) => {
                BufReader::new(file).lines().map_while(Result::ok).filter(|l| step_of(l) <= Some(step)).collect()
            }
            _ => Vec::new(),
        };
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
        if kind == Kind::Csv && kept.first().is_none_or(|l| l != HEADER) {
            writeln!(file, "{HEADER}")?;
        }
        for line in kept {
            writeln!(file, "{line}")?;
        }
        Ok(Log { path: path.to_owned(), file, kind })
    }
}

/// The step a line is of; none for a header.
fn step_of(line: &str) -> Option<usize> {
    match line.starts_with('{') {
        true => serde_json::from_str::<serde_json::Value>(line).ok()?.get("step")?.as_u64().map(|s| s as usize),
        false => line.split(',').next()?.parse().ok(),
    }
}
