//! How training is reported: a bar on a terminal, plain lines elsewhere, both on standard error; results on standard output.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use covector_trace::table::grouped;
use covector_train::{Beginning, Ending, Measure, Result, Step, Watch, clock};
use indicatif::{ProgressBar, ProgressStyle};

/// Reports a training.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Steps taken before.
    done: usize,
    unit: &'static str,
    start: Instant,
    /// Steps between two plain lines.
    every: usize,
    /// The loss, smoothed over about twenty steps.
    loss: Option<f64>,
}

impl Progress {
    pub fn new() -> Self {
        Progress { bar: None, done: 0, unit: "", start: Instant::now(), every: 1, loss: None }
    }
}

impl Watch for Progress {
    fn begins(&mut self, beginning: &Beginning) -> Result<()> {
        let mut out = std::io::stdout();
        let parameters = grouped(beginning.parameters as u64);
        writeln!(out, "{}\n\n{parameters} parameters; {}", beginning.shapes.trim_end(), beginning.data)?;
        out.flush()?;
        self.bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  ETA {eta}");
            ProgressBar::new(beginning.steps as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        self.every = beginning.steps.div_ceil(20).max(1);
        (self.done, self.unit, self.start) = (beginning.done, beginning.unit, Instant::now());
        Ok(())
    }

    fn step(&mut self, step: &Step) {
        let smooth = self.loss.map_or(step.loss, |have| have + (step.loss - have) / 20.0);
        self.loss = Some(smooth);
        let taken = (step.number - self.done).max(1);
        let figures = format!("loss {smooth:.4}  {} {}/s", grouped(step.speed as u64), self.unit);
        match &self.bar {
            Some(bar) => {
                bar.set_message(figures);
                bar.set_position(step.number as u64);
            }
            None if step.number.is_multiple_of(self.every) || taken == 1 || step.number == step.of => {
                let seconds = self.start.elapsed().as_secs_f64();
                let left = Duration::from_secs_f64(seconds / taken as f64 * (step.of - step.number) as f64);
                self.says(&format!("step {}/{}  {figures}  ETA {}", step.number, step.of, clock(left)));
            }
            None => (),
        }
    }

    fn look(&mut self, step: usize, measures: &[Measure], values: &[f64]) {
        self.says(&format!("step {step}: {}", listed(measures, values)));
    }

    fn says(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            // Nobody may be listening; that is no reason to stop.
            None => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }

    /// Leaves the bar as it is and the cursor on a fresh line.
    fn rests(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }

    fn ends(&mut self, ending: &Ending) -> Result<()> {
        drop(write!(std::io::stderr(), "{}", ending.curve));
        let steps = if ending.steps == 1 { "1 step".to_owned() } else { format!("{} steps", ending.steps) };
        let measured = listed(ending.measures, ending.values);
        Ok(writeln!(std::io::stdout(), "{measured} after {steps} in {}", clock(ending.time))?)
    }

    fn summary(&mut self, piece: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        Ok(write!(out, "{piece}").and_then(|()| out.flush())?)
    }
}

/// The measures with their values: `held-out loss 1.2345, accuracy 0.9000`.
fn listed(measures: &[Measure], values: &[f64]) -> String {
    let each = measures.iter().zip(values).map(|(measure, value)| format!("{} {value:.4}", measure.name));
    each.collect::<Vec<_>>().join(", ")
}
