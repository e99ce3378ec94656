//! Trainings that leave nothing behind but a model: for cross-validation.

use crate::step::{Machine, Turn};
use crate::tabular::Scores;
use crate::{Error, Purpose, Result, ScheduleKind, Settings, TabularTask, Task, feed};

/// Trains a task to the end, without files, looks or early stopping, and gives the model.
///
/// # Errors
/// [`Error::Settings`]; a loss that is not finite; data that cannot be read.
pub fn train<T: Task>(task: &T, settings: &Settings) -> Result<(T::Model, T::Running)> {
    settings.check()?;
    if settings.schedule.kind == ScheduleKind::Plateau {
        let problem = "the schedule plateau goes by looks at the held-out data, which this training has none of";
        return Err(Error::Settings(problem.to_owned()));
    }
    let mut machine = Machine::start(task, settings)?;
    let (schedule, of) = (settings.schedule(), settings.steps);
    feed::ahead(task, &Purpose::Batches.key(settings.seed), 0..of * settings.accumulate, |next| {
        for step in 0..of {
            let turn = Turn { task, settings, step, rate: schedule.at(step), look: false };
            let (loss, _) = machine.step(&turn, next)?;
            if !loss.is_finite() {
                return Err(Error::outside(format!(
                    "the loss is {loss} at step {}; try a smaller learning rate (--lr)",
                    step + 1
                )));
            }
        }
        Ok(())
    })?;
    Ok(machine.kept())
}

/// Trains on each of several folds; gives the scores on what each held out, and `done` hears of each.
///
/// # Errors
/// As [`train`].
pub fn cross_validate(
    folds: &[TabularTask],
    settings: &Settings,
    mut done: impl FnMut(usize, &Scores) -> Result<()>,
) -> Result<Vec<Scores>> {
    let mut all = Vec::new();
    for (i, fold) in folds.iter().enumerate() {
        let (net, ()) = train(fold, settings)?;
        let scores = fold.held_out_scores(&net)?;
        done(i, &scores)?;
        all.push(scores);
    }
    Ok(all)
}
