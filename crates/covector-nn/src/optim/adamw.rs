//! AdamW as one rule for a whole tree, as the GPT is trained.

use covector::{Tensor, Tree};

use super::pace::Pace;
use super::rule::{Rule, Slots, one, shrunk, slots, zeros_like};

/// Adam with decoupled weight decay.
///
/// Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (ICLR 2019); PyTorch's `AdamW`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// How slowly the mean of the gradients forgets.
    pub beta1: f64,
    /// How slowly the mean of their squares forgets.
    pub beta2: f64,
    /// Added to the root of the mean square, so that parameters without gradient stay.
    pub eps: f64,
    /// What part of a parameter is taken away in a step, in units of the learning rate.
    pub weight_decay: f64,
}

impl Default for AdamW {
    /// PyTorch's defaults.
    fn default() -> Self {
        AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01 }
    }
}

/// The state of [`AdamW`]: running means of the gradients and of their squares.
#[derive(Clone, Debug, Tree)]
pub struct Moments<P> {
    /// The means of the gradients.
    pub mean: P,
    /// The means of their squares.
    pub square: P,
    /// The number of steps taken.
    pub steps: u64,
}

impl AdamW {
    /// The state before the first step.
    pub fn start<P: Tree>(&self, parameters: &P) -> Moments<P> {
        let zeros = || parameters.map_leaves(zeros_like);
        Moments { mean: zeros(), square: zeros(), steps: 0 }
    }

    /// The parameters and the state after one step with learning rate `rate`.
    ///
    /// `decays` says by its path and value which parameter decays. Nothing is computed yet: evaluate the loss, the
    /// parameters and the state together.
    ///
    /// ```
    /// use covector::Tensor;
    /// use covector_nn::AdamW;
    /// let adam = AdamW { weight_decay: 0.0, ..AdamW::default() };
    /// let w = Tensor::from([1.0f32, 2.0]);
    /// let (w, _) = adam.step(&w, &Tensor::from([3.0f32, -0.1]), adam.start(&w), 0.5, |_, _| true);
    /// assert_eq!(w.to_vec::<f32>(), [0.5, 2.5]);
    /// ```
    ///
    /// # Panics
    /// If gradients or state have not the structure of the parameters.
    #[track_caller]
    pub fn step<P: Tree>(
        &self,
        parameters: &P,
        gradients: &P,
        state: Moments<P>,
        rate: f64,
        decays: impl Fn(&str, &Tensor) -> bool,
    ) -> (P, Moments<P>) {
        let steps = state.steps + 1;
        let pace = Pace::new(steps as f64, rate);
        let named = parameters.named();
        let leaves = gradients.leaves().into_iter().zip(state.mean.leaves()).zip(state.square.leaves());
        let (mut new, mut means, mut squares) = (Vec::new(), Vec::new(), Vec::new());
        for ((path, p), ((g, mean), square)) in named.iter().zip(leaves) {
            let decay = if decays(path, p) { self.weight_decay } else { 0.0 };
            let (p, mean, square) = self.one(p, &g, (&mean, &square), decay, &pace);
            new.push(p);
            means.push(mean);
            squares.push(square);
        }
        let state = Moments { mean: state.mean.with_leaves(means), square: state.square.with_leaves(squares), steps };
        (parameters.with_leaves(new), state)
    }

    /// One parameter: the corrections for the first steps are drawn into the rate and eps, which saves two divisions.
    fn one(
        &self,
        p: &Tensor,
        g: &Tensor,
        (m, v): (&Tensor, &Tensor),
        decay: f64,
        pace: &Pace,
    ) -> (Tensor, Tensor, Tensor) {
        let rest = |beta: f64| 1.0 - pace.step.power_of(beta);
        let (first, root) = (rest(self.beta1), rest(self.beta2).sqrt());
        let mean = m * self.beta1 + g * (1.0 - self.beta1);
        let square = v * self.beta2 + g * g * (1.0 - self.beta2);
        let step = &mean / (square.sqrt() + (&root * self.eps).beside(p)) * (&pace.rate * &root / first).beside(p);
        (shrunk(p, decay, &pace.rate) - step, mean, square)
    }
}

impl Rule for AdamW {
    fn start(&self, p: &Tensor) -> Slots {
        slots([("exp_avg", zeros_like(p)), ("exp_avg_sq", zeros_like(p))])
    }

    fn update(&self, p: &Tensor, g: &Tensor, state: &Slots, pace: &Pace) -> (Tensor, Slots) {
        let (mean, square) = (one(state, "exp_avg"), one(state, "exp_avg_sq"));
        let (p, mean, square) = self.one(p, g, (mean, square), self.weight_decay, pace);
        (p, slots([("exp_avg", mean), ("exp_avg_sq", square)]))
    }
}
