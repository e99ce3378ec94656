//! Gradient descent.

use covector::Tensor;

use super::rule::{Rule, Slots, decayed, one, slots, zeros_like};

/// Gradient descent, with momentum.
///
/// Source: Sutskever et al. 2013, "On the importance of initialization and momentum"; PyTorch's `SGD`.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::optim::{Optimizer, SGD};
/// let (w, sgd) = (Tensor::from([1.0f32, 2.0]), Optimizer::new(SGD::default()));
/// let (w, _) = sgd.step(&w, &Tensor::from([1.0f32, -1.0]), &sgd.start(&w), 0.5);
/// assert_eq!(w.to_vec::<f32>(), [0.5, 2.5]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SGD {
    /// What part of the last direction is kept; 0 for none.
    pub momentum: f64,
    /// What part of the gradient does not enter the direction.
    pub dampening: f64,
    /// Whether the gradient is as if it were taken one step ahead.
    pub nesterov: bool,
    /// What of a parameter is added to its gradient.
    pub weight_decay: f64,
}

impl Rule for SGD {
    fn start(&self, p: &Tensor) -> Slots {
        if self.momentum == 0.0 { Slots::new() } else { slots([("momentum_buffer", zeros_like(p))]) }
    }

    fn update(&self, p: &Tensor, g: &Tensor, state: &Slots, step: u64, rate: f64) -> (Tensor, Slots) {
        let g = decayed(g, p, self.weight_decay);
        if self.momentum == 0.0 {
            return (p - g * rate, Slots::new());
        }
        // The first gradient enters whole, as in PyTorch.
        let buffer = match step {
            1 => g.clone(),
            _ => one(state, "momentum_buffer") * self.momentum + &g * (1.0 - self.dampening),
        };
        let direction = if self.nesterov { g + &buffer * self.momentum } else { buffer.clone() };
        (p - direction * rate, slots([("momentum_buffer", buffer)]))
    }
}
