//! `cargo xtask bench`: covector against its peers, interleaved.
//!
//! Machines drift, so each repeat asks every library in turn, and what counts is the ratio within a repeat.

mod driver;
mod machine;
mod rows;
mod shakespeare;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use driver::{Answer, Driver, Launch};
use rows::{ROWS, Row, Width};
use serde_json::Value;
use table::{Cell, Line, Table};

pub const USAGE: &str = "usage: cargo xtask bench [--rows A,B] [--peers A,B] [--repeats N] [--seconds S] [--threads N]
                         [--wait S] [--setup DIR] [--python FILE] [--record]
       cargo xtask bench --shakespeare FILE [--steps N] [--peers A,B] [--repeats N] [--threads N] [...]
  --rows     beginnings of row names, as matmul,gelu,gpt_small   (all)
  --peers    of torch,torch-compile,jax,candle,burn,bare         (all)
  --repeats  how often each library is asked in turn             (5; a whole training: 1)
  --seconds  about how long each is timed each time              (0.3)
  --threads  for each library                                    (2)
  --wait     how long to wait, each time, for other work to end  (0)
  --setup    what bench/setup had as CARGO_TARGET_DIR            (the target folder)
  --python   one that has torch and jax                          (that of bench/setup)
  --record   write the table of this processor, bench/tables/*.json and .md
  --shakespeare  train a GPT on the text of a file instead, by covector, torch and torch-compile
  --steps    of that training                                    (2000)";

struct Options {
    rows: Vec<String>,
    peers: Vec<String>,
    repeats: Option<usize>,
    seconds: f64,
    threads: usize,
    wait: f64,
    setup: Option<String>,
    python: Option<String>,
    record: bool,
    shakespeare: Option<String>,
    steps: usize,
}

impl Options {
    fn parse(args: &[String]) -> Result<Options, String> {
        let mut options = Options {
            rows: Vec::new(),
            peers: Vec::new(),
            repeats: None,
            seconds: 0.3,
            threads: 2,
            wait: 0.0,
            setup: None,
            python: None,
            record: false,
            shakespeare: None,
            steps: 2000,
        };
        let mut args = args.iter();
        while let Some(option) = args.next() {
            if option == "--record" {
                options.record = true;
                continue;
            }
            let value = args.next().ok_or(USAGE)?;
            let list = || value.split(',').map(str::to_owned).collect();
            match option.as_str() {
                "--rows" => options.rows = list(),
                "--peers" => options.peers = list(),
                "--repeats" => options.repeats = Some(number::<usize>(value)?.max(1)),
                "--seconds" => options.seconds = number(value)?,
                "--threads" => options.threads = number(value)?,
                "--wait" => options.wait = number(value)?,
                "--setup" => options.setup = Some(value.clone()),
                "--python" => options.python = Some(value.clone()),
                "--shakespeare" => options.shakespeare = Some(value.clone()),
                "--steps" => options.steps = number(value)?,
                _ => return Err(USAGE.to_owned()),
            }
        }
        options.threads = options.threads.max(1);
        Ok(options)
    }

    fn setup(&self, target: &Path) -> PathBuf {
        self.setup.as_ref().map_or_else(|| target.to_owned(), PathBuf::from)
    }

    fn rows(&self) -> Vec<&'static Row> {
        let wanted = |row: &&Row| self.rows.is_empty() || self.rows.iter().any(|start| row.name.starts_with(start));
        ROWS.iter().filter(wanted).collect()
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number\n{USAGE}"))
}

/// Runs the comparison; false if figures differ between libraries.
pub fn run(args: &[String]) -> Result<bool, String> {
    let options = Options::parse(args)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let rows = options.rows();
    if rows.is_empty() {
        let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        return Err(format!("no such row; there are {}", names.join(", ")));
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let build = Command::new(cargo).args(["build", "--release", "-p", "covector-bench"]).current_dir(&root).status();
    if !build.is_ok_and(|status| status.success()) {
        return Err("covector-bench does not build".into());
    }
    let bench = root.join("bench");
    if let Some(text) = &options.shakespeare {
        let launches = trainings(&options, text, &bench, &target);
        print!("{}", shakespeare::run(&launches, options.threads, options.repeats.unwrap_or(1))?);
        return Ok(true);
    }
    let mut table = Table { machine: machine::describe(), ..Table::default() };
    let recorded = bench.join("tables").join(machine::file_name(&table.machine)).with_extension("json");
    let last = Table::read(&recorded);
    table.commit = machine::said_by("git", &["-C", &root.display().to_string(), "describe", "--always", "--dirty"]);
    table.date = machine::said_by("date", &["-u", "+%F"]);
    table.floors = floors(&target, options.threads)?;

    let mut drivers = Vec::new();
    for launch in launches(&options, &bench, &target) {
        let mut driver = Driver::new(launch, options.threads);
        match driver.version() {
            Ok(version) => {
                if !version.is_empty() && !table.versions.contains(&version) {
                    table.versions.push(version);
                }
                drivers.push(driver);
            }
            Err(e) => table.notes.push(format!("{}: {e}", driver.name())),
        }
    }
    for row in rows {
        let line = measure(row, &mut drivers, &options, &mut table);
        // A long run that is stopped has not been for nothing.
        eprintln!("{}", line.summary(row.name));
        table.lines.insert(row.name.to_owned(), line);
    }
    // Again, and the better rate of the two: other work may have been in the way. Of handovers it is the slower one.
    for (name, figure) in floors(&target, options.threads)? {
        table.floors.entry(name).and_modify(|best| *best = best.max(figure));
    }
    table.set_floors(floor);
    let agree = table.lines.values().all(|line| line.cells.values().all(|cell| cell.agrees));
    print!("{}", table.markdown(&last));
    for (row, change) in table.regressions(&last) {
        println!("slower than recorded: {row}, ×{change:.2}");
    }
    if options.record {
        // Rows that were not measured now are compared with nothing.
        let mut earlier = Table::read(&recorded);
        earlier.lines.retain(|name, _| table.lines.contains_key(name));
        let mut merged = last.updated(table);
        merged.set_floors(floor);
        merged.write(&recorded)?;
        let text = merged.markdown(&earlier);
        std::fs::write(recorded.with_extension("md"), text).map_err(|e| e.to_string())?;
    }
    Ok(agree)
}

/// How each driver is started: covector first, then the chosen peers.
fn launches(options: &Options, bench: &Path, target: &Path) -> Vec<Launch> {
    let own = target.join("release/covector-bench");
    let peer = |name: &str| existing(options.setup(target).join("bench-peers/release").join(name), &[]);
    let script = |name: &str, rest: &[&str]| script(options, bench, target, name, rest);
    let all = [
        ("covector", existing(own.clone(), &[])),
        ("torch", script("torch_driver.py", &[])),
        ("torch-compile", script("torch_driver.py", &["--compile"])),
        ("jax", script("jax_driver.py", &[])),
        ("candle", peer("covector-bench-candle")),
        ("burn", peer("covector-bench-burn")),
        ("bare", existing(own, &["bare"])),
    ];
    chosen(options, all)
}

/// How each whole training is started.
fn trainings(options: &Options, text: &str, bench: &Path, target: &Path) -> Vec<Launch> {
    let steps = options.steps.to_string();
    let script = |rest: &[&str]| {
        let rest = [&["--text", text, "--steps", steps.as_str()], rest].concat();
        script(options, bench, target, "torch_shakespeare.py", &rest)
    };
    let all = [
        ("covector", existing(target.join("release/covector-bench"), &["shakespeare", text, &steps])),
        ("torch", script(&[])),
        ("torch-compile", script(&["--compile"])),
    ];
    chosen(options, all)
}

fn chosen<const N: usize>(options: &Options, all: [(&'static str, Result<Vec<String>, String>); N]) -> Vec<Launch> {
    let wanted = |name: &str| name == "covector" || options.peers.is_empty() || options.peers.iter().any(|p| p == name);
    all.into_iter().filter(|(name, _)| wanted(name)).map(|(name, command)| Launch { name, command }).collect()
}

fn existing(path: PathBuf, rest: &[&str]) -> Result<Vec<String>, String> {
    let words = || [path.display().to_string()].into_iter().chain(rest.iter().map(|s| s.to_string())).collect();
    if path.exists() { Ok(words()) } else { Err("not installed; bench/setup does it".to_owned()) }
}

fn script(options: &Options, bench: &Path, target: &Path, name: &str, rest: &[&str]) -> Result<Vec<String>, String> {
    let python =
        options.python.clone().map_or_else(|| options.setup(target).join("bench-venv/bin/python"), PathBuf::from);
    let (file, threads) = (bench.join(name).display().to_string(), options.threads.to_string());
    existing(python, &[&[file.as_str(), "--threads", &threads], rest].concat())
}

fn floors(target: &Path, threads: usize) -> Result<BTreeMap<String, f64>, String> {
    let mut command = Command::new(target.join("release/covector-bench"));
    let output = command.arg("floors").env("COVECTOR_THREADS", threads.to_string()).output();
    let output = output.map_err(|e| format!("covector-bench: {e}"))?.stdout;
    let json: Value = serde_json::from_slice(&output).map_err(|e| format!("the floors are unreadable: {e}"))?;
    let figures = json.as_object().into_iter().flatten();
    Ok(figures.map(|(name, x)| (name.clone(), x.as_f64().unwrap_or(f64::NAN))).collect())
}

/// Asks every driver in turn, `repeats` times.
fn measure(row: &Row, drivers: &mut [Driver], options: &Options, table: &mut Table) -> Line {
    let mut answers: BTreeMap<&'static str, Vec<Answer>> = BTreeMap::new();
    let mut out: Vec<&'static str> = Vec::new();
    let repeats = options.repeats.unwrap_or(5);
    for repeat in 0..repeats {
        for driver in drivers.iter_mut().filter(|d| !out.contains(&d.name())).collect::<Vec<_>>() {
            eprint!("\r\x1b[K{} {}/{} {}", row.name, repeat + 1, repeats, driver.name());
            if row.first || (row.memory && repeat == 0) {
                driver.stop();
            }
            wait(options.wait);
            match driver.time(row.name, options.seconds) {
                Ok(answer) => answers.entry(driver.name()).or_default().push(answer),
                Err(e) => {
                    out.push(driver.name());
                    if e != "not supported" {
                        table.notes.push(format!("{}, {}: {e}", driver.name(), row.name));
                    }
                }
            }
        }
    }
    eprint!("\r\x1b[K");
    answers.retain(|name, _| !out.contains(name));
    let reference = answers.get("covector").and_then(|a| a.first()).map(|a| a.check.clone());
    let cells = answers.iter().map(|(name, answers)| ((*name).to_owned(), cell(answers, reference.as_deref(), row)));
    Line::new(cells.collect(), row.against)
}

/// Waits until most of a core is free of other work, or the time is over.
fn wait(seconds: f64) {
    let start = std::time::Instant::now();
    while start.elapsed().as_secs_f64() < seconds && machine::load() > table::DISTURBED {}
}

fn cell(answers: &[Answer], reference: Option<&[f64]>, row: &Row) -> Cell {
    let check = &answers[0].check;
    Cell {
        // The fastest run of each repeat: what disturbs a run on a shared machine only makes it longer.
        repeats: answers.iter().map(|a| a.seconds[0] / row.ops).collect(),
        peak_mib: row.memory.then(|| answers.iter().map(|a| a.peak_mib).fold(0.0, f64::max)),
        others: table::median(&answers.iter().map(|a| a.others).collect::<Vec<_>>()),
        agrees: reference.is_none_or(|reference| agree(reference, check, row.tolerance())),
    }
}

/// Equal to this part of each figure, or to a tenth of that of the largest.
fn agree(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    let largest = a.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let close = |(x, y): (&f64, &f64)| (x - y).abs() <= tolerance * (x.abs() + 0.1 * largest);
    a.len() == b.len() && a.iter().zip(b).all(close)
}

/// The time below which no library can come.
fn floor(row: &Row, floors: &BTreeMap<String, f64>) -> Option<f64> {
    let rate = |name: &str| floors.get(name).map(|x| x * 1e9);
    let arithmetic = row.flops.and_then(|(flops, width)| {
        Some(match width {
            // The instructions for bf16 multiply and add two pairs where those for f32 do one.
            Width::BF16 => flops / (2.0 * rate("gflops_f32")?),
            Width::F32 => flops / rate("gflops_f32")?,
            Width::F64 => flops / rate("gflops_f64")?,
        })
    });
    let memory = row.bytes.and_then(|bytes| Some(bytes / rate("read_gb_s")?));
    arithmetic.or(memory).map(|seconds| seconds / row.ops)
}
