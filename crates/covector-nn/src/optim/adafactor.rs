//! Adam's scale from sums over rows and columns.

use covector::{DType, Tensor, keep};

use super::pace::Pace;
use super::rule::{Rule, Slots, one, shrunk, slots, zeros_like};

/// Steps scaled by mean squares of which only the means of rows and columns are kept: a matrix costs a row and a column.
///
/// Source: Shazeer and Stern 2018, "Adafactor"; PyTorch's `Adafactor`.
///
/// ```
/// use covector::{Tensor, Tree};
/// use covector_nn::optim::{Adafactor, Optimizer};
/// let rule = Optimizer::new(Adafactor::default());
/// let w = Tensor::from([[1.0f32; 7]; 5]);
/// let state = rule.start(&w);
/// assert_eq!(state.leaves().iter().map(Tensor::size).sum::<usize>(), 1 + 7 + 5);
/// let (w, _) = rule.step(&w, &Tensor::from([[0.5f32; 7]; 5]), &state, 0.01);
/// assert!((w.to_vec::<f32>()[0] - 0.99).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adafactor {
    /// The means forget `step ^ beta2_decay` of themselves.
    pub beta2_decay: f64,
    /// The least mean of a row's means, and its square the least mean square; the dtype's own if there is none.
    pub eps1: Option<f64>,
    /// The least root mean square of a parameter that counts for the length of a step.
    pub eps2: f64,
    /// Steps with a larger root mean square are scaled down to it.
    pub d: f64,
    /// What part of a parameter is taken away in a step, in units of the learning rate.
    pub weight_decay: f64,
}

impl Default for Adafactor {
    /// PyTorch's defaults.
    fn default() -> Self {
        Adafactor { beta2_decay: -0.8, eps1: None, eps2: 1e-3, d: 1.0, weight_decay: 0.0 }
    }
}

impl Rule for Adafactor {
    fn start(&self, p: &Tensor) -> Slots {
        if p.ndim() < 2 {
            return slots([("variance", zeros_like(p))]);
        }
        let one = |axis: isize| zeros_like(p).sum(keep(axis));
        slots([("row_var", one(-1)), ("col_var", one(-2))])
    }

    fn update(&self, p: &Tensor, g: &Tensor, state: &Slots, pace: &Pace) -> (Tensor, Slots) {
        let fresh = pace.step.powf(self.beta2_decay).beside(p);
        let eps = self.eps1.unwrap_or_else(|| spacing(p.dtype()));
        let toward = |name: &str, x: Tensor| {
            let mean = one(state, name);
            mean + (x - mean) * &fresh
        };
        let squares = g * g;
        let (estimate, new) = if p.ndim() < 2 {
            let variance = toward("variance", squares);
            (variance.clone(), slots([("variance", variance)]))
        } else {
            let row = toward("row_var", squares.mean(keep(-1)));
            let column = toward("col_var", squares.mean(keep(-2)));
            let whole = &row * &column / row.mean(keep(-2)).maximum(eps);
            (whole, slots([("row_var", row), ("col_var", column)]))
        };
        let scaled = estimate.maximum(eps * eps).rsqrt() * g;
        let longest = (rms(&scaled) / self.d).maximum(1.0);
        let length = rms(p).maximum(self.eps2) * pace.rate.min(&pace.step.powf(-0.5)).beside(p);
        (shrunk(p, self.weight_decay, &pace.rate) - scaled * (length / longest), new)
    }
}

/// The root mean square of all elements.
fn rms(x: &Tensor) -> Tensor {
    x.square().mean(..).sqrt()
}

/// The distance from 1 to the next number.
fn spacing(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        _ => f64::from(f32::EPSILON),
    }
}
