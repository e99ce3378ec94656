//! Where a token stands, told to attention: rotary embeddings and ALiBi.

use covector::ops::concat::{concat, stack};
use covector::{DType, Tensor, Tree};

/// How queries and keys learn of their positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Tree)]
pub enum Positions {
    /// They do not, or the tokens carry them.
    #[default]
    None,
    /// Queries and keys are turned by angles that grow with the position.
    Rotary(Rotary),
    /// Scores fall with the distance, in each head at another rate.
    Alibi,
}

/// Rotary embeddings: pairs of features are turned by `position · base^(-2i / features)`.
///
/// Source: Su et al. 2021, "RoFormer".
///
/// ```
/// use covector::Tensor;
/// use covector_nn::Rotary;
/// let x = Tensor::from([[1.0f32, 0.0], [1.0, 0.0]]);
/// let y = Rotary::default().turn(&x, &Tensor::from([0, 1])).to_vec::<f32>();
/// assert_eq!(y[..2], [1.0, 0.0]);
/// assert!((y[2] - 1f32.cos()).abs() < 1e-6 && (y[3] - 1f32.sin()).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Tree)]
pub struct Rotary {
    /// The base of the angles.
    pub base: f64,
    /// Whether neighbours are pairs, as in RoFormer; else feature `i` and `i + features / 2`, as in Llama.
    pub interleaved: bool,
}

impl Default for Rotary {
    /// Llama's: base 10000, halves.
    fn default() -> Self {
        Rotary { base: 10000.0, interleaved: false }
    }
}

impl Rotary {
    /// `x [.., tokens, features]`, each token turned according to its position, `[tokens]` of integers.
    ///
    /// # Panics
    /// If the number of features is odd.
    #[track_caller]
    pub fn turn(&self, x: &Tensor, positions: &Tensor) -> Tensor {
        let features = x.shape()[x.ndim() - 1];
        assert!(features.is_multiple_of(2), "{features} features do not make pairs");
        let half = features / 2;
        let rates: Vec<f64> = (0..half).map(|i| self.base.powf(-2.0 * i as f64 / features as f64)).collect();
        let angles = positions.cast(DType::F64).reshape([positions.size(), 1]) * Tensor::from(rates);
        let [cos, sin] = [angles.cos(), angles.sin()].map(|t| t.cast(x.dtype()));
        if self.interleaved {
            let paired: Vec<usize> = x.shape()[..x.ndim() - 1].iter().copied().chain([half, 2]).collect();
            let pairs = x.reshape(&paired[..]).unbind(-1);
            let turned = [&pairs[0] * &cos - &pairs[1] * &sin, &pairs[0] * &sin + &pairs[1] * &cos];
            return stack(&turned, -1).reshape(x.shape());
        }
        let halves = x.chunk(2, -1);
        concat(&[&halves[0] * &cos - &halves[1] * &sin, &halves[0] * &sin + &halves[1] * &cos], -1)
    }
}

/// What ALiBi adds to the scores, `[heads, queries, keys]`: minus the distance of the positions, times the head's slope.
///
/// Slopes are powers of `2^(-8 / heads)`; if the heads are no power of two, those of the next lower one, and then every
/// other of the next higher one.
///
/// Source: Press et al. 2022, "Train short, test long".
///
/// ```
/// use covector::{DType, Tensor};
/// let bias = covector_nn::positions::alibi(8, &Tensor::from([2]), &Tensor::from([0, 1, 2]), DType::F32);
/// assert_eq!(bias.to_vec::<f32>()[..3], [-1.0, -0.5, 0.0]);
/// ```
#[track_caller]
pub fn alibi(heads: usize, queries: &Tensor, keys: &Tensor, dtype: DType) -> Tensor {
    let power = |n: usize| (1..=n).map(move |i| 2f64.powf(-8.0 * i as f64 / n as f64));
    let lower = if heads.is_power_of_two() { heads } else { heads.next_power_of_two() / 2 };
    let slopes: Vec<f64> = power(lower.max(1)).chain(power(2 * lower).step_by(2)).take(heads).collect();
    let distance = (queries.reshape([queries.size(), 1]) - keys).abs().cast(dtype);
    -(Tensor::from(slopes).cast(dtype).reshape([heads, 1, 1]) * distance)
}
