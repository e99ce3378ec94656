//! Gradient descent.

use covector::Tensor;

use super::pace::{Pace, Scalar};
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

    fn update(&self, p: &Tensor, g: &Tensor, state: &Slots, pace: &Pace) -> (Tensor, Slots) {
        let g = decayed(g, p, self.weight_decay);
        if self.momentum == 0.0 {
            return (p - g * pace.rate.beside(p), Slots::new());
        }
        let moved = || one(state, "momentum_buffer") * self.momentum + &g * (1.0 - self.dampening);
        // The first gradient enters whole, as in PyTorch; without dampening it does so by itself.
        let buffer = match &pace.step {
            Scalar::Known(1.0) => g.clone(),
            Scalar::Tensor(step) if self.dampening != 0.0 => step.equal(1.0).where_(&g, moved()),
            _ => moved(),
        };
        let direction = if self.nesterov { g + &buffer * self.momentum } else { buffer.clone() };
        (p - direction * pace.rate.beside(p), slots([("momentum_buffer", buffer)]))
    }
}
