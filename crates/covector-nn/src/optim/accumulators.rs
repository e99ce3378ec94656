//! Steps scaled by squares of gradients that were added up.

use covector::Tensor;

use super::pace::Pace;
use super::rule::{Rule, Slots, decayed, one, running, slots, zeros_like};

/// Steps that get shorter the more an element has moved.
///
/// Source: Duchi et al. 2011, "Adaptive subgradient methods"; PyTorch's `Adagrad`.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::optim::{Adagrad, Optimizer};
/// let (w, adagrad) = (Tensor::from([1.0f32, 2.0]), Optimizer::new(Adagrad::default()));
/// let (w, _) = adagrad.step(&w, &Tensor::from([3.0f32, -0.1]), &adagrad.start(&w), 0.5);
/// assert_eq!(w.to_vec::<f32>(), [0.5, 2.5]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// By how much the rate falls: to `rate / (1 + step · decay)`.
    pub lr_decay: f64,
    /// What of a parameter is added to its gradient.
    pub weight_decay: f64,
    /// What the sums of squares begin with.
    pub initial_accumulator: f64,
    /// Added to the root of the sum.
    pub eps: f64,
}

impl Default for Adagrad {
    /// PyTorch's defaults.
    fn default() -> Self {
        Adagrad { lr_decay: 0.0, weight_decay: 0.0, initial_accumulator: 0.0, eps: 1e-10 }
    }
}

impl Rule for Adagrad {
    fn start(&self, p: &Tensor) -> Slots {
        slots([("sum", zeros_like(p) + self.initial_accumulator)])
    }

    fn update(&self, p: &Tensor, g: &Tensor, state: &Slots, pace: &Pace) -> (Tensor, Slots) {
        let g = decayed(g, p, self.weight_decay);
        let sum = one(state, "sum") + &g * &g;
        let rate = &pace.rate / (1.0 + (&pace.step - 1.0) * self.lr_decay);
        (p - g / (sum.sqrt() + self.eps) * rate.beside(p), slots([("sum", sum)]))
    }
}

/// Steps scaled by the running root mean square of the gradients.
///
/// Source: Hinton's lecture 6 of 2012; Graves 2013 for the centred form; PyTorch's `RMSprop`.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::optim::{Optimizer, RMSprop};
/// let (w, rule) = (Tensor::from([1.0f32, 2.0]), Optimizer::new(RMSprop { alpha: 0.75, ..RMSprop::default() }));
/// let (w, _) = rule.step(&w, &Tensor::from([3.0f32, -0.1]), &rule.start(&w), 0.5);
/// assert!((w.to_vec::<f32>()[0] - 0.0).abs() < 1e-6 && (w.to_vec::<f32>()[1] - 3.0).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RMSprop {
    /// How slowly the mean square forgets.
    pub alpha: f64,
    /// Added to the root of the mean square.
    pub eps: f64,
    /// What of a parameter is added to its gradient.
    pub weight_decay: f64,
    /// What part of the last direction is kept; 0 for none.
    pub momentum: f64,
    /// Whether the variance scales instead of the mean square.
    pub centered: bool,
}

impl Default for RMSprop {
    /// PyTorch's defaults.
    fn default() -> Self {
        RMSprop { alpha: 0.99, eps: 1e-8, weight_decay: 0.0, momentum: 0.0, centered: false }
    }
}

impl Rule for RMSprop {
    fn start(&self, p: &Tensor) -> Slots {
        let wanted = [("square_avg", true), ("grad_avg", self.centered), ("momentum_buffer", self.momentum != 0.0)];
        wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| (name, zeros_like(p))).collect()
    }

    fn update(&self, p: &Tensor, g: &Tensor, state: &Slots, pace: &Pace) -> (Tensor, Slots) {
        let g = decayed(g, p, self.weight_decay);
        let square = running(one(state, "square_avg"), &(&g * &g), self.alpha);
        let mut new = Slots::new();
        let scale = if self.centered {
            let mean = running(one(state, "grad_avg"), &g, self.alpha);
            let scale = (&square - &mean * &mean).sqrt();
            new.insert("grad_avg", mean);
            scale
        } else {
            square.sqrt()
        };
        new.insert("square_avg", square);
        let mut direction = g / (scale + self.eps);
        if self.momentum != 0.0 {
            direction = one(state, "momentum_buffer") * self.momentum + direction;
            new.insert("momentum_buffer", direction.clone());
        }
        (p - direction * pace.rate.beside(p), new)
    }
}

/// Steps in the units of the parameter: a running mean of earlier steps over one of the gradients.
///
/// Source: Zeiler 2012, "ADADELTA"; PyTorch's `Adadelta`, whose rate is 1 by default.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::optim::{Adadelta, Optimizer};
/// let (w, rule) = (Tensor::from([1.0f64]), Optimizer::new(Adadelta::default()));
/// let (w, _) = rule.step(&w, &Tensor::from([3.0f64]), &rule.start(&w), 1.0);
/// // The root of eps over the root of a tenth of the square, times the gradient.
/// assert!((1.0 - w.item::<f64>() - (1e-6f64 / 0.1).sqrt()).abs() < 1e-8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adadelta {
    /// How slowly both means forget.
    pub rho: f64,
    /// Added to both means; what the first steps are made of.
    pub eps: f64,
    /// What of a parameter is added to its gradient.
    pub weight_decay: f64,
}

impl Default for Adadelta {
    /// PyTorch's defaults.
    fn default() -> Self {
        Adadelta { rho: 0.9, eps: 1e-6, weight_decay: 0.0 }
    }
}

impl Rule for Adadelta {
    fn start(&self, p: &Tensor) -> Slots {
        slots([("square_avg", zeros_like(p)), ("acc_delta", zeros_like(p))])
    }

    fn update(&self, p: &Tensor, g: &Tensor, state: &Slots, pace: &Pace) -> (Tensor, Slots) {
        let g = decayed(g, p, self.weight_decay);
        let square = running(one(state, "square_avg"), &(&g * &g), self.rho);
        let steps = one(state, "acc_delta");
        let step = (steps + self.eps).sqrt() / (&square + self.eps).sqrt() * g;
        let steps = running(steps, &(&step * &step), self.rho);
        (p - step * pace.rate.beside(p), slots([("square_avg", square), ("acc_delta", steps)]))
    }
}
