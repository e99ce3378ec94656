//! Steps by the sign alone.

use covector::Tensor;

use super::pace::Pace;
use super::rule::{Rule, Slots, one, running, shrunk, slots, zeros_like};

/// Steps of one length, in the direction of the sign of a mean of gradients.
///
/// Source: Chen et al. 2023, "Symbolic discovery of optimization algorithms".
///
/// ```
/// use covector::Tensor;
/// use covector_nn::optim::{Lion, Optimizer};
/// let (w, lion) = (Tensor::from([1.0f32, 2.0]), Optimizer::new(Lion::default()));
/// let (w, _) = lion.step(&w, &Tensor::from([100.0f32, -0.001]), &lion.start(&w), 0.25);
/// assert_eq!(w.to_vec::<f32>(), [0.75, 2.25]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion {
    /// How much of the mean there is in a step; the rest is the gradient.
    pub beta1: f64,
    /// How slowly the mean forgets.
    pub beta2: f64,
    /// What part of a parameter is taken away in a step, in units of the learning rate.
    pub weight_decay: f64,
}

impl Default for Lion {
    /// The paper's defaults.
    fn default() -> Self {
        Lion { beta1: 0.9, beta2: 0.99, weight_decay: 0.0 }
    }
}

impl Rule for Lion {
    fn start(&self, p: &Tensor) -> Slots {
        slots([("exp_avg", zeros_like(p))])
    }

    fn update(&self, p: &Tensor, g: &Tensor, state: &Slots, pace: &Pace) -> (Tensor, Slots) {
        let mean = one(state, "exp_avg");
        let direction = running(mean, g, self.beta1).sign();
        let p = shrunk(p, self.weight_decay, &pace.rate) - direction * pace.rate.beside(p);
        (p, slots([("exp_avg", running(mean, g, self.beta2))]))
    }
}
