//! Learning rates over the course of a training.

use std::f64::consts::PI;

/// A linear rise over the first steps, then half a cosine down to the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmupCosine {
    /// The largest rate.
    pub peak: f64,
    /// The rate at the end.
    pub floor: f64,
    /// The number of steps of the rise.
    pub warmup: usize,
    /// The number of all steps.
    pub steps: usize,
}

impl WarmupCosine {
    /// The rate of step `step`, the first being 0.
    ///
    /// ```
    /// use covector_nn::WarmupCosine;
    /// let schedule = WarmupCosine { peak: 1.0, floor: 0.1, warmup: 9, steps: 109 };
    /// assert_eq!([schedule.at(0), schedule.at(4), schedule.at(9)], [0.1, 0.5, 1.0]);
    /// assert!((schedule.at(59) - 0.55).abs() < 1e-12);
    /// assert_eq!(schedule.at(109), 0.1);
    /// ```
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / (self.warmup + 1) as f64;
        }
        if step >= self.steps {
            return self.floor;
        }
        let done = (step - self.warmup) as f64 / (self.steps - self.warmup) as f64;
        self.floor + (self.peak - self.floor) * 0.5 * (1.0 + (PI * done).cos())
    }
}
