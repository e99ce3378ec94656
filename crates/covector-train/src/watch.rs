//! Who is told how a training goes.

use std::time::Duration;

use crate::{Measure, Result};

/// Who is told how a training goes: a terminal, a window, a test. By itself every call does nothing; `()` watches nothing.
pub trait Watch {
    /// Before the first step.
    ///
    /// # Errors
    /// Those it wants the training to end with.
    fn begins(&mut self, beginning: &Beginning) -> Result<()> {
        let _ = beginning;
        Ok(())
    }

    /// After a step.
    fn step(&mut self, step: &Step) {
        let _ = step;
    }

    /// After a look at the held-out data.
    fn look(&mut self, step: usize, measures: &[Measure], values: &[f64]) {
        let _ = (step, measures, values);
    }

    /// A line to be read: what the doctor found, why it stops.
    fn says(&mut self, line: &str) {
        let _ = line;
    }

    /// No step follows, for whatever reason.
    fn rests(&mut self) {}

    /// After the last step, with what was measured on all held-out data.
    ///
    /// # Errors
    /// Those it wants the training to end with.
    fn ends(&mut self, ending: &Ending) -> Result<()> {
        let _ = ending;
        Ok(())
    }

    /// A piece of the summary, as soon as it is made.
    ///
    /// # Errors
    /// Those it wants the training to end with.
    fn summary(&mut self, piece: &str) -> Result<()> {
        let _ = piece;
        Ok(())
    }
}

impl Watch for () {}

/// What is known before the first step.
#[derive(Clone, Debug)]
pub struct Beginning<'a> {
    /// The shapes of a forward pass, or of the model, in lines.
    pub shapes: &'a str,
    /// The number of parameters.
    pub parameters: usize,
    /// The data in a few words.
    pub data: String,
    /// Steps taken before, if the training goes on.
    pub done: usize,
    /// All steps.
    pub steps: usize,
    /// What a batch consists of, in the plural.
    pub unit: &'static str,
}

/// What is known after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Its number, from 1.
    pub number: usize,
    /// Of how many.
    pub of: usize,
    /// The loss before it.
    pub loss: f64,
    /// The learning rate.
    pub rate: f64,
    /// Units a second since the training began or went on.
    pub speed: f64,
}

/// What is known after the last step.
#[derive(Clone, Debug)]
pub struct Ending<'a> {
    /// The course of the loss in Unicode characters; empty for the shortest of trainings.
    pub curve: &'a str,
    /// What was measured.
    pub measures: &'a [Measure],
    /// On all held-out data, of the model that is kept.
    pub values: &'a [f64],
    /// Steps taken.
    pub steps: usize,
    /// Since the training began or went on.
    pub time: Duration,
}

/// Minutes and seconds.
///
/// ```
/// assert_eq!(covector_train::clock(std::time::Duration::from_secs(3725)), "62:05");
/// ```
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
