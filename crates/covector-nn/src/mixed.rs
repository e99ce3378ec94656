//! Mixed precision: computing in bf16 or f16 with weights in f32, and losses scaled so that small gradients are not lost.

use std::collections::HashMap;

use covector::{DType, Result, Tensor, Tree};

use crate::optim::{value_and_grad_with, zip};

/// The tree with its floats in another dtype; other leaves stay, and what was tied stays tied.
///
/// ```
/// use covector::{DType, Tensor};
/// let (a, b) = covector_nn::mixed::in_dtype(&(Tensor::from([1.0f32]), Tensor::from([1])), DType::BF16);
/// assert_eq!((a.dtype(), b.dtype()), (DType::BF16, DType::I64));
/// ```
#[track_caller]
pub fn in_dtype<T: Tree>(tree: &T, dtype: DType) -> T {
    let mut known: HashMap<u64, Tensor> = HashMap::new();
    tree.map_leaves(|t| match t.dtype().is_float() {
        true => known.entry(t.id()).or_insert_with(|| t.cast(dtype)).clone(),
        false => t.clone(),
    })
}

/// What losses are multiplied with, and for how many steps no gradient overflowed; saved with the training.
#[derive(Clone, Debug, Tree)]
pub struct LossScale {
    /// The factor, a 0-d f32.
    pub scale: Tensor,
    /// Steps without overflow since it last changed, a 0-d integer.
    pub steps: Tensor,
    /// What it is multiplied with after `interval` such steps.
    pub growth: f64,
    /// What it is multiplied with after an overflow.
    pub backoff: f64,
    /// See [`growth`](Self::growth).
    pub interval: u64,
}

impl Default for LossScale {
    /// PyTorch's defaults: 65536, doubled after 2000 steps, halved after an overflow.
    fn default() -> Self {
        LossScale { scale: Tensor::from(65536.0f32), steps: Tensor::from(0), growth: 2.0, backoff: 0.5, interval: 2000 }
    }
}

/// What [`LossScale::value_and_grad`] gives.
#[derive(Clone, Debug)]
pub struct Scaled<T, A = ()> {
    /// The loss, in f32 and not scaled.
    pub loss: Tensor,
    /// What the function gave besides.
    pub more: A,
    /// The gradients in the dtypes of the weights, not scaled; where they overflowed they are not finite.
    pub gradients: T,
    /// A 0-d bool: whether all are finite.
    pub finite: Tensor,
}

impl LossScale {
    /// No scaling, ever: for bf16, whose exponents reach as far as those of f32.
    pub fn none() -> Self {
        LossScale { scale: Tensor::from(1.0f32), growth: 1.0, backoff: 1.0, ..LossScale::default() }
    }

    /// Loss and gradients of `loss`, called with the weights in `dtype`.
    ///
    /// Evaluate nothing in between: the step is one evaluation, in which [`keep`] chooses whether it counts.
    ///
    /// ```
    /// use covector::{DType, Tensor, Tree};
    /// use covector_nn::mixed::{LossScale, keep};
    /// use covector_nn::optim::{Optimizer, SGD};
    /// let (weights, scale, sgd) = (Tensor::from([3.0f32]), LossScale::default(), Optimizer::new(SGD::default()));
    /// let state = sgd.start(&weights);
    /// let out = scale.value_and_grad(|w: &Tensor| (w * w).sum(..), &weights, DType::F16).unwrap();
    /// // Twice 3 times 65536 is more than f16 holds: the step does not count, the next one is tried with half the scale.
    /// let (moved, after) = sgd.step(&weights, &out.gradients, &state, 0.1);
    /// let (weights, scale) = (keep(&out.finite, &moved, &weights), scale.update(&out.finite));
    /// assert_eq!((weights.item::<f32>(), scale.scale.item::<f32>()), (3.0, 32768.0));
    /// ```
    ///
    /// # Errors
    /// As [`covector::try_value_and_grad`].
    #[track_caller]
    pub fn value_and_grad<T: Tree>(&self, loss: impl Fn(&T) -> Tensor, weights: &T, dtype: DType) -> Result<Scaled<T>> {
        self.value_and_grad_with(|weights: &T| (loss(weights), ()), weights, dtype)
    }

    /// As [`value_and_grad`](Self::value_and_grad), of a function that gives something besides its loss: running statistics.
    ///
    /// # Errors
    /// As [`covector::try_value_and_grad`].
    #[track_caller]
    pub fn value_and_grad_with<T: Tree, A: Tree>(
        &self,
        loss: impl Fn(&T) -> (Tensor, A),
        weights: &T,
        dtype: DType,
    ) -> Result<Scaled<T, A>> {
        let scaled = |weights: &T| {
            let (loss, more) = loss(&in_dtype(weights, dtype));
            let loss = loss.cast(DType::F32);
            (&loss * &self.scale, (loss, more))
        };
        let (_, (loss, more), gradients) = value_and_grad_with(scaled, weights)?;
        let gradients = gradients.map_leaves(|g| g / self.scale.cast(g.dtype()));
        let all = gradients.leaves().iter().map(|g| g.isfinite().all(..)).reduce(|a, b| a.logical_and(b));
        let finite = all.unwrap_or_else(|| Tensor::from(true));
        Ok(Scaled { loss, more, gradients, finite })
    }

    /// The scale after a step whose gradients were finite, or not.
    #[track_caller]
    pub fn update(&self, finite: &Tensor) -> Self {
        let steps = &self.steps + 1;
        let grown = steps.greater_equal(self.interval as i64);
        let larger = &self.scale * self.growth;
        // A scale of infinity would never come back.
        let good = grown.logical_and(larger.isfinite()).where_(larger, &self.scale);
        LossScale {
            scale: finite.where_(good, &self.scale * self.backoff),
            steps: finite.logical_and(grown.logical_not()).where_(steps, 0),
            ..self.clone()
        }
    }
}

/// The new tree if a 0-d bool is true, else the old one; leaf by leaf, and nothing is read.
///
/// # Panics
/// If they differ in structure.
#[track_caller]
pub fn keep<T: Tree>(finite: &Tensor, new: &T, old: &T) -> T {
    zip(new, old, |new, old| finite.where_(new, old))
}
