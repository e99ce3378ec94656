//! What is done to gradients and weights around a step: clipping, accumulating, averaging.

use covector::{Error, Result, Tensor, Tree};

/// The gradients scaled down, all by the same factor, so that their joint norm is at most `limit`; and the norm before.
///
/// Source: PyTorch's `clip_grad_norm_`.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::clip_grad_norm;
/// let (g, norm) = clip_grad_norm(&vec![Tensor::from([3.0f32]), Tensor::from([4.0f32])], 1.0);
/// assert_eq!(norm.item::<f32>(), 5.0);
/// assert!((g[0].item::<f32>() - 0.6).abs() < 1e-6);
/// ```
#[track_caller]
pub fn clip_grad_norm<P: Tree>(gradients: &P, limit: f64) -> (P, Tensor) {
    let squares = gradients.leaves().into_iter().map(|g| g.square().sum(..));
    let norm = squares.reduce(|a, b| a + b).map_or_else(|| Tensor::from(0.0f32), |sum| sum.sqrt());
    let factor = (limit / (&norm + 1e-6)).minimum(1.0);
    (gradients.map_leaves(|g| g * factor.cast(g.dtype())), norm)
}

/// The gradients with every element moved into `-limit..=limit`.
///
/// Source: PyTorch's `clip_grad_value_`.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::clip_grad_value;
/// assert_eq!(clip_grad_value(&Tensor::from([3.0f32, -0.5]), 1.0).to_vec::<f32>(), [1.0, -0.5]);
/// ```
#[track_caller]
pub fn clip_grad_value<P: Tree>(gradients: &P, limit: f64) -> P {
    gradients.map_leaves(|g| g.clip(Some(-limit), Some(limit)))
}

/// The gradients of several small batches, added up until a step is made of their mean.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::Accumulated;
/// let sum = Accumulated::of(Tensor::from([1.0f32, 2.0])).and(&Tensor::from([3.0f32, 4.0]));
/// assert_eq!(sum.mean().to_vec::<f32>(), [2.0, 3.0]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct Accumulated<P> {
    /// The sum of the gradients.
    pub sum: P,
    /// How many there are.
    pub count: usize,
}

impl<P: Tree> Accumulated<P> {
    /// The gradient of the first batch.
    pub fn of(gradients: P) -> Self {
        Accumulated { sum: gradients, count: 1 }
    }

    /// With the gradient of one more. Evaluate it before the next, or the graphs of all batches wait side by side.
    ///
    /// # Panics
    /// If the gradients have another structure.
    #[track_caller]
    pub fn and(&self, gradients: &P) -> Self {
        Accumulated { sum: zip(&self.sum, gradients, |a, b| a + b), count: self.count + 1 }
    }

    /// Their mean: the gradient of all batches as one, if they are of one size.
    #[track_caller]
    pub fn mean(&self) -> P {
        self.sum.map_leaves(|sum| sum / self.count as f64)
    }
}

/// The moving average of weights over steps, which often does better than the last weights.
///
/// Source: Polyak and Juditsky 1992; PyTorch's `AveragedModel` with `get_ema_multi_avg_fn`.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::Ema;
/// let average = Ema { decay: 0.75 }.update(&Tensor::from([4.0f32]), &Tensor::from([8.0f32]));
/// assert_eq!(average.to_vec::<f32>(), [5.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ema {
    /// How slowly the average forgets: 0.999 remembers about a thousand steps.
    pub decay: f64,
}

impl Ema {
    /// The average after one more value. It begins with the weights themselves.
    ///
    /// # Panics
    /// If the weights have another structure.
    #[track_caller]
    pub fn update<P: Tree>(&self, average: &P, weights: &P) -> P {
        zip(average, weights, |a, w| a + (w - a) * (1.0 - self.decay))
    }
}

/// The tree of `f` of the leaves of two trees of one structure.
#[track_caller]
pub(crate) fn zip<P: Tree>(a: &P, b: &P, mut f: impl FnMut(&Tensor, &Tensor) -> Tensor) -> P {
    let (left, right) = (a.leaves(), b.leaves());
    assert_eq!(left.len(), right.len(), "two trees of one structure");
    a.with_leaves(left.iter().zip(&right).map(|(a, b)| f(a, b)))
}

/// As [`covector::try_value_and_grad`], of a function that gives something besides its loss: running statistics, logits.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::optim::value_and_grad_with;
/// let (loss, doubled, g) = value_and_grad_with(|x: &Tensor| (x.square().sum(..), x * 2.0), &Tensor::from([3.0f32])).unwrap();
/// assert_eq!((loss.item::<f32>(), doubled.item::<f32>(), g.item::<f32>()), (9.0, 6.0, 6.0));
/// ```
///
/// # Errors
/// As [`covector::try_value_and_grad`].
#[track_caller]
pub fn value_and_grad_with<T: Tree, A: Tree>(f: impl Fn(&T) -> (Tensor, A), x: &T) -> Result<(Tensor, A, T)> {
    let kept = std::cell::RefCell::new(None);
    let loss = |x: &T| {
        let (loss, more) = f(x);
        kept.replace(Some(more));
        loss
    };
    let (loss, gradients) = covector::try_value_and_grad(loss, x)?;
    let more = kept.into_inner().ok_or_else(|| Error::new("the function was not called"))?;
    Ok((loss, more, gradients))
}
