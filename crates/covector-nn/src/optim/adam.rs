//! Steps scaled by means of gradients and of their squares.

use covector::Tensor;

use super::pace::{Pace, Scalar};
use super::rule::{Rule, Slots, decayed, one, running, slots, zeros_like};

/// Adam, with the decay in the gradient; [`AdamW`](super::AdamW) is what is used today.
///
/// Source: Kingma and Ba 2015, "Adam"; Reddi et al. 2018, "On the convergence of Adam and beyond"; PyTorch's `Adam`.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::optim::{Adam, Optimizer};
/// let (w, adam) = (Tensor::from([1.0f32, 2.0]), Optimizer::new(Adam::default()));
/// let (w, _) = adam.step(&w, &Tensor::from([3.0f32, -0.1]), &adam.start(&w), 0.5);
/// assert_eq!(w.to_vec::<f32>(), [0.5, 2.5]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// How slowly the mean of the gradients forgets.
    pub beta1: f64,
    /// How slowly the mean of their squares forgets.
    pub beta2: f64,
    /// Added to the root of the mean square.
    pub eps: f64,
    /// What of a parameter is added to its gradient.
    pub weight_decay: f64,
    /// Whether the largest mean square so far counts, so that steps only get shorter.
    pub amsgrad: bool,
}

impl Default for Adam {
    /// PyTorch's defaults.
    fn default() -> Self {
        Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

impl Rule for Adam {
    fn start(&self, p: &Tensor) -> Slots {
        let mut start = slots([("exp_avg", zeros_like(p)), ("exp_avg_sq", zeros_like(p))]);
        if self.amsgrad {
            start.insert("max_exp_avg_sq", zeros_like(p));
        }
        start
    }

    fn update(&self, p: &Tensor, g: &Tensor, state: &Slots, pace: &Pace) -> (Tensor, Slots) {
        let g = decayed(g, p, self.weight_decay);
        let mut new = moments(&g, state, self.beta1, self.beta2);
        if self.amsgrad {
            let largest = one(state, "max_exp_avg_sq").maximum(&new["exp_avg_sq"]);
            new.insert("max_exp_avg_sq", largest);
        }
        let square = if self.amsgrad { &new["max_exp_avg_sq"] } else { &new["exp_avg_sq"] };
        let (first, root) = corrections(self.beta1, self.beta2, &pace.step);
        let scale = square.sqrt() / root.beside(p) + self.eps;
        (p - &new["exp_avg"] / scale * (&pace.rate / first).beside(p), new)
    }
}

/// AdamW whose step for each parameter is as long as the parameter, for very large batches.
///
/// Source: You et al. 2020, "Large batch optimization for deep learning", with corrected means.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::optim::{Lamb, Optimizer};
/// let lamb = Optimizer::new(Lamb { weight_decay: 0.0, ..Lamb::default() });
/// let w = Tensor::from([3.0f32, 4.0]);
/// let (w, _) = lamb.step(&w, &Tensor::from([1.0f32, 0.0]), &lamb.start(&w), 0.1);
/// assert!((w.to_vec::<f32>()[0] - 2.5).abs() < 1e-5, "a tenth of the length, 5");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lamb {
    /// How slowly the mean of the gradients forgets.
    pub beta1: f64,
    /// How slowly the mean of their squares forgets.
    pub beta2: f64,
    /// Added to the root of the mean square.
    pub eps: f64,
    /// What of a parameter is added to its direction.
    pub weight_decay: f64,
}

impl Default for Lamb {
    /// The paper's defaults.
    fn default() -> Self {
        Lamb { beta1: 0.9, beta2: 0.999, eps: 1e-6, weight_decay: 0.01 }
    }
}

impl Rule for Lamb {
    fn start(&self, p: &Tensor) -> Slots {
        slots([("exp_avg", zeros_like(p)), ("exp_avg_sq", zeros_like(p))])
    }

    fn update(&self, p: &Tensor, g: &Tensor, state: &Slots, pace: &Pace) -> (Tensor, Slots) {
        let new = moments(g, state, self.beta1, self.beta2);
        let (first, root) = corrections(self.beta1, self.beta2, &pace.step);
        let scaled = &new["exp_avg"] / first.beside(p) / (new["exp_avg_sq"].sqrt() / root.beside(p) + self.eps);
        let direction = decayed(&scaled, p, self.weight_decay);
        let [length, step] = [p, &direction].map(|x| x.square().sum(..).sqrt());
        // A parameter or a direction of zeros has no length to go by.
        let both = length.greater(0.0).logical_and(step.greater(0.0));
        let trust = both.where_(&length / both.where_(step, 1.0), 1.0);
        (p - direction * trust * pace.rate.beside(p), new)
    }
}

/// The means after one more gradient.
fn moments(g: &Tensor, state: &Slots, beta1: f64, beta2: f64) -> Slots {
    let mean = running(one(state, "exp_avg"), g, beta1);
    let square = running(one(state, "exp_avg_sq"), &(g * g), beta2);
    slots([("exp_avg", mean), ("exp_avg_sq", square)])
}

/// What the mean, and the root of the mean square, are too small by, because they began as zeros.
fn corrections(beta1: f64, beta2: f64, step: &Scalar) -> (Scalar, Scalar) {
    let rest = |beta: f64| 1.0 - step.power_of(beta);
    (rest(beta1), rest(beta2).sqrt())
}
