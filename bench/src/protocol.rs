//! What every driver speaks: a row's name and a time on a line of standard input, one line of JSON back.
//!
//! The drivers of other libraries include this file and `fill.rs` by path.

use std::fs;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;

/// A row that is ready to be timed.
pub struct Prepared {
    /// One run of the row, results computed.
    pub run: Box<dyn FnMut()>,
    /// Numbers that must agree between libraries.
    pub check: Vec<f64>,
    /// Times taken while the row was prepared, of what happens only once.
    pub taken: Vec<f64>,
}

impl Prepared {
    /// A row with these check figures.
    pub fn new(check: Vec<f64>, run: impl FnMut() + 'static) -> Option<Prepared> {
        Some(Prepared { run: Box::new(run), check, taken: Vec::new() })
    }

    /// A training: the check is the losses of its first three steps.
    pub fn training(mut step: impl FnMut() -> f64 + 'static) -> Option<Prepared> {
        let check = (0..3).map(|_| step()).collect();
        Prepared::new(check, move || {
            step();
        })
    }

    /// The first step of a training, which is timed at once.
    pub fn first(mut step: impl FnMut() -> f64) -> Option<Prepared> {
        let start = Instant::now();
        let check = vec![step()];
        Some(Prepared { run: Box::new(|| ()), check, taken: vec![start.elapsed().as_secs_f64()] })
    }
}

/// Serves until standard input ends; `version` is the answer to that request, as `name 1.2.3`.
///
/// The last row stays ready, so that asking for it again only times it.
pub fn serve(version: &str, prepare: impl Fn(&str) -> Option<Prepared>) {
    let idle = memory("VmRSS:");
    let mut ready: Option<(String, Prepared)> = None;
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if line == "version" {
            println!(r#"{{"row": "version", "version": "{version}"}}"#);
            continue;
        }
        let (row, budget) = line.split_once(' ').unwrap_or((&line, "0.3"));
        if ready.as_ref().is_none_or(|(name, _)| name != row) {
            drop(ready.take());
            ready = prepare(row).map(|mut prepared| {
                (prepared.run)();
                (row.to_owned(), prepared)
            });
        }
        let answer = match &mut ready {
            Some((_, prepared)) => time(row, prepared, budget.parse().unwrap_or(0.3), idle),
            None => format!(r#"{{"row": "{row}", "error": "not supported"}}"#),
        };
        println!("{answer}");
        let _ = std::io::stdout().flush();
    }
}

fn time(row: &str, prepared: &mut Prepared, budget: f64, idle: f64) -> String {
    if !prepared.taken.is_empty() {
        return answer(row, &prepared.taken, &prepared.check, memory("VmHWM:") - idle);
    }
    // Writing 5 resets the peak; where that fails, the peak is that of the whole life.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let once = seconds(&mut prepared.run, 1);
    // Timers tick in tens of nanoseconds: short runs are timed in groups of a millisecond.
    let group = ((1e-3 / once.max(1e-9)) as usize).clamp(1, 100_000);
    let mut samples = Vec::new();
    let start = Instant::now();
    while samples.is_empty() || (start.elapsed().as_secs_f64() < budget && samples.len() < 200) {
        samples.push(seconds(&mut prepared.run, group));
    }
    answer(row, &samples, &prepared.check, memory("VmHWM:") - idle)
}

fn answer(row: &str, seconds: &[f64], check: &[f64], peak: f64) -> String {
    let (seconds, check, peak) = (list(seconds), list(check), peak.max(0.0));
    format!(r#"{{"row": "{row}", "seconds": {seconds}, "check": {check}, "peak_mib": {peak:.1}}}"#)
}

fn seconds(run: &mut dyn FnMut(), times: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        black_box(&mut *run)();
    }
    start.elapsed().as_secs_f64() / times as f64
}

/// A figure of this process in MiB.
fn memory(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse().ok()).unwrap_or(0.0) / 1024.0
}

fn list(numbers: &[f64]) -> String {
    let number = |x: &f64| if x.is_finite() { format!("{x:e}") } else { "null".to_owned() };
    format!("[{}]", numbers.iter().map(number).collect::<Vec<_>>().join(", "))
}
