//! How training is reported: a bar on a terminal, plain lines elsewhere, both on standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

pub use covector_trace::table::grouped;
use indicatif::{ProgressBar, ProgressStyle};

/// Reports the steps of a training.
pub struct Progress {
    bar: Option<ProgressBar>,
    done: usize,
    steps: usize,
    tokens_per_step: usize,
    start: Instant,
    /// Steps between two plain lines.
    every: usize,
    /// The loss, smoothed over about twenty steps.
    loss: Option<f64>,
    /// Tokens per second.
    speed: f64,
}

impl Progress {
    /// A report of `steps` steps, `done` of which were taken before; each sees so many tokens.
    pub fn new(done: usize, steps: usize, tokens_per_step: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  ETA {eta}");
            ProgressBar::new(steps as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let every = steps.div_ceil(20).max(1);
        Progress { bar, done, steps, tokens_per_step, start: Instant::now(), every, loss: None, speed: 0.0 }
    }

    /// After step `step`, counted from 1.
    pub fn step(&mut self, step: usize, loss: f64) {
        let smooth = self.loss.map_or(loss, |have| have + (loss - have) / 20.0);
        self.loss = Some(smooth);
        let seconds = self.start.elapsed().as_secs_f64().max(1e-9);
        let taken = (step - self.done).max(1);
        self.speed = (taken * self.tokens_per_step) as f64 / seconds;
        let figures = format!("loss {smooth:.4}  {} tokens/s", grouped(self.speed as u64));
        match &self.bar {
            Some(bar) => {
                bar.set_message(figures);
                bar.set_position(step as u64);
            }
            None if step.is_multiple_of(self.every) || taken == 1 || step == self.steps => {
                let left = Duration::from_secs_f64(seconds / taken as f64 * (self.steps - step) as f64);
                self.say(&format!("step {step}/{}  {figures}  ETA {}", self.steps, clock(left)));
            }
            None => (),
        }
    }

    /// Tokens per second so far.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// A line of its own.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            // Nobody may be listening; that is no reason to stop.
            None => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }

    /// Leaves the bar as it is and the cursor on a fresh line.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

/// Minutes and seconds.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_in_minutes_and_seconds() {
        assert_eq!([0.4, 59.6, 3725.0].map(|s| clock(Duration::from_secs_f64(s))), ["0:00", "1:00", "62:05"]);
    }
}
