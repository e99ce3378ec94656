//! What a training showed of itself, step by step: kept for its curve, its report and its checkpoint.

use serde::{Deserialize, Serialize};

use crate::Measure;

/// Losses by step; of long trainings every second, fourth, … step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct History {
    /// The loss of a batch before a step: the step, from 1, and the loss.
    pub losses: Vec<(usize, f64)>,
    /// What was measured on the held-out data.
    pub held_out: Vec<(usize, Vec<f64>)>,
    /// Steps between two losses.
    stride: usize,
    /// The best of the first measure and its step.
    pub best: Option<(usize, f64)>,
}

/// As it stands in a checkpoint.
#[derive(Serialize, Deserialize)]
struct Stored {
    losses: Vec<(usize, Number)>,
    held_out: Vec<(usize, Vec<Number>)>,
    stride: usize,
    best: Option<(usize, Number)>,
}

/// JSON has no infinity and no NaN: they stand there as words.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Other(String),
}

impl From<f64> for Number {
    fn from(x: f64) -> Number {
        if x.is_finite() { Number::Finite(x) } else { Number::Other(x.to_string()) }
    }
}

impl From<Number> for f64 {
    fn from(number: Number) -> f64 {
        match number {
            Number::Finite(x) => x,
            Number::Other(word) => word.parse().unwrap_or(f64::NAN),
        }
    }
}

impl From<History> for Stored {
    fn from(history: History) -> Stored {
        let History { losses, held_out, stride, best } = history;
        Stored {
            losses: losses.into_iter().map(|(step, loss)| (step, loss.into())).collect(),
            held_out: held_out
                .into_iter()
                .map(|(step, all)| (step, all.into_iter().map(Number::from).collect()))
                .collect(),
            stride,
            best: best.map(|(step, best)| (step, best.into())),
        }
    }
}

impl From<Stored> for History {
    fn from(stored: Stored) -> History {
        let Stored { losses, held_out, stride, best } = stored;
        History {
            losses: losses.into_iter().map(|(step, loss)| (step, loss.into())).collect(),
            held_out: held_out
                .into_iter()
                .map(|(step, all)| (step, all.into_iter().map(f64::from).collect()))
                .collect(),
            stride: stride.max(1),
            best: best.map(|(step, best)| (step, best.into())),
        }
    }
}

/// The most losses that are kept.
const MOST: usize = 2000;

impl Default for History {
    fn default() -> Self {
        History { losses: Vec::new(), held_out: Vec::new(), stride: 1, best: None }
    }
}

impl History {
    /// After a step, counted from 1.
    pub fn step(&mut self, step: usize, loss: f64) {
        if !(step - 1).is_multiple_of(self.stride) {
            return;
        }
        self.losses.push((step, loss));
        if self.losses.len() > MOST {
            self.stride *= 2;
            let stride = self.stride;
            self.losses.retain(|(step, _)| (step - 1).is_multiple_of(stride));
        }
    }

    /// After a look at the held-out data; true if it never was better.
    pub fn look(&mut self, step: usize, values: &[f64], measure: &Measure) -> bool {
        self.held_out.push((step, values.to_vec()));
        let Some(&value) = values.first() else { return false };
        // What is no number is better than nothing, and everything is better than it.
        let better = self.best.is_none_or(|(_, best)| best.is_nan() || measure.better(value, best));
        if better {
            self.best = Some((step, value));
        }
        better
    }

    /// One of the measures by step.
    pub fn measured(&self, which: usize) -> Vec<(usize, f64)> {
        self.held_out.iter().filter_map(|(step, values)| Some((*step, *values.get(which)?))).collect()
    }

    /// How many looks in a row were no better than the best before them.
    pub fn looks_since_best(&self) -> usize {
        let best = self.best.map_or(0, |(step, _)| step);
        self.held_out.iter().filter(|(step, _)| *step > best).count()
    }

    /// The losses, each a mean over its neighbours.
    pub fn smooth(&self) -> Vec<(usize, f64)> {
        let mut mean = 0.0;
        let smooth = |(i, &(step, loss)): (usize, &(usize, f64))| {
            // Over up to twenty, fewer at the start, where the loss falls fastest.
            mean += (loss - mean) / (1.0 + i as f64 / 4.0).min(20.0);
            (step, mean)
        };
        self.losses.iter().enumerate().map(smooth).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_trainings_are_thinned_evenly() {
        let mut history = History::default();
        (1..=10_000).for_each(|step| history.step(step, 1.0 / step as f64));
        assert!(history.losses.len() <= MOST && history.losses.len() > MOST / 4);
        let gaps: Vec<usize> = history.losses.windows(2).map(|w| w[1].0 - w[0].0).collect();
        assert!(gaps.iter().all(|g| *g == gaps[0]));
        assert_eq!(history.losses[0], (1, 1.0));
    }

    #[test]
    fn what_is_stored_comes_back_to_the_bit() {
        let mut history = History::default();
        let loss = Measure::loss("loss");
        let mut x = 0.1;
        for step in 1..1000 {
            x *= 3.9 * (1.0 - x);
            history.step(step, x / 3.0);
            history.look(step, &[x, 1.0 / x], &loss);
        }
        history.look(1000, &[f64::NAN, f64::INFINITY], &loss);
        let json = serde_json::to_string(&history).unwrap();
        let read: History = serde_json::from_str(&json).unwrap();
        let bits = |h: &History| -> Vec<u64> {
            let measured = h.held_out.iter().flat_map(|(_, all)| all.clone());
            let best = h.best.map(|(_, best)| best);
            h.losses.iter().map(|(_, loss)| *loss).chain(measured).chain(best).map(f64::to_bits).collect()
        };
        assert_eq!(bits(&read), bits(&history));
    }

    #[test]
    fn anything_is_better_than_no_number() {
        let mut history = History::default();
        let better: Vec<bool> =
            [f64::NAN, 2.0, f64::NAN].iter().map(|l| history.look(1, &[*l], &Measure::loss("loss"))).collect();
        assert_eq!(better, [true, true, false]);
    }

    #[test]
    fn looks_without_gain_are_counted() {
        let mut history = History::default();
        let loss = Measure::loss("loss");
        let better: Vec<bool> =
            [3.0, 2.0, 2.5, 2.0].iter().enumerate().map(|(i, l)| history.look(i + 1, &[*l], &loss)).collect();
        assert_eq!(better, [true, true, false, false]);
        assert_eq!((history.best, history.looks_since_best()), (Some((2, 2.0)), 2));
    }
}
