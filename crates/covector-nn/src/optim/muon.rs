//! Steps for matrices, made orthogonal.

use covector::{DType, Tensor};

use super::pace::Pace;
use super::rule::{Rule, Slots, one, running, shrunk, slots, zeros_like};

/// Momentum whose directions are brought near orthogonal matrices: every singular value counts alike.
///
/// For matrices alone; give vectors and embeddings another rule with [`Optimizer::group`](super::Optimizer::group).
///
/// Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; PyTorch's `Muon`.
///
/// ```
/// use covector::{DType, Tensor};
/// use covector_nn::optim::{Muon, Optimizer};
/// let rule = Optimizer::new(Muon { weight_decay: 0.0, ..Muon::default() });
/// let w = Tensor::from([[0.0f32, 0.0], [0.0, 0.0]]);
/// let (w, _) = rule.step(&w, &Tensor::from([[100.0f32, 0.0], [0.0, 50.0]]), &rule.start(&w), 1.0);
/// let moved = w.to_vec::<f32>();
/// assert!((0.6..1.3).contains(&-moved[0]) && (0.6..1.3).contains(&-moved[3]), "about as far in both directions");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Muon {
    /// How slowly the mean of the gradients forgets.
    pub momentum: f64,
    /// Whether the gradient is mixed into the mean once more.
    pub nesterov: bool,
    /// What part of a parameter is taken away in a step, in units of the learning rate.
    pub weight_decay: f64,
    /// The factors of x, x³ and x⁵ in the polynomial that draws singular values to 1.
    pub coefficients: [f64; 3],
    /// How often it is applied.
    pub iterations: usize,
    /// The least norm of a direction.
    pub eps: f64,
    /// How the length of a step depends on the shape.
    pub scale: MuonScale,
    /// What the polynomial is computed in; bf16 by default, as in PyTorch. It needs no more.
    pub dtype: DType,
}

/// How the length of a step of [`Muon`] depends on the shape of the matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MuonScale {
    /// `√max(1, rows / columns)`.
    #[default]
    Original,
    /// `0.2 √max(rows, columns)`: as long as AdamW's, so that its rate and decay serve.
    MatchRmsAdamW,
}

impl Default for Muon {
    /// PyTorch's defaults.
    fn default() -> Self {
        Muon {
            momentum: 0.95,
            nesterov: true,
            weight_decay: 0.1,
            coefficients: [3.4445, -4.775, 2.0315],
            iterations: 5,
            eps: 1e-7,
            scale: MuonScale::Original,
            dtype: DType::BF16,
        }
    }
}

impl Muon {
    /// The matrix with singular values near 1.
    fn orthogonal(&self, g: &Tensor) -> Tensor {
        let tall = g.shape()[0] > g.shape()[1];
        let x = g.cast(self.dtype);
        let x = if tall { x.t() } else { x };
        let mut x = &x / x.square().sum(..).sqrt().maximum(self.eps);
        let [a, b, c] = self.coefficients;
        for _ in 0..self.iterations {
            let gram = x.matmul(&x.t());
            let even = &gram * b + gram.matmul(&gram) * c;
            x = &x * a + even.matmul(&x);
        }
        let x = if tall { x.t() } else { x };
        x.cast(g.dtype())
    }
}

impl Rule for Muon {
    fn start(&self, p: &Tensor) -> Slots {
        slots([("momentum_buffer", zeros_like(p))])
    }

    fn update(&self, p: &Tensor, g: &Tensor, state: &Slots, pace: &Pace) -> (Tensor, Slots) {
        assert_eq!(
            p.ndim(),
            2,
            "Muon moves matrices, not {}; give other parameters a group with another rule",
            p.spec()
        );
        let buffer = running(one(state, "momentum_buffer"), g, self.momentum);
        let direction = if self.nesterov { running(&buffer, g, self.momentum) } else { buffer.clone() };
        let [rows, columns] = [0, 1].map(|i| p.shape()[i] as f64);
        let factor = match self.scale {
            MuonScale::Original => (rows / columns).max(1.0).sqrt(),
            MuonScale::MatchRmsAdamW => 0.2 * rows.max(columns).sqrt(),
        };
        let step = self.orthogonal(&direction) * (&pace.rate * factor).beside(p);
        (shrunk(p, self.weight_decay, &pace.rate) - step, slots([("momentum_buffer", buffer)]))
    }
}
