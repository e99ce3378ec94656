//! Normalisations.

use covector::{DType, Shape, Tensor, Tree};

use crate::init::constant;

/// Normalisation of the last axes to mean 0 and variance 1, then scaled and shifted.
#[derive(Clone, Debug, Tree)]
pub struct LayerNorm {
    /// The sizes of the normalised axes: `[width]`.
    pub weight: Tensor,
    /// As the weight.
    pub bias: Option<Tensor>,
    /// Added to the variance, so that constant rows do not divide by 0.
    pub eps: f64,
}

impl LayerNorm {
    /// Scale 1, shift 0, eps 1e-5, as PyTorch's `nn.LayerNorm`, in f32.
    pub fn new(width: usize, bias: bool) -> Self {
        Self::over([width], bias)
    }

    /// As [`new`](Self::new), over several last axes of these sizes.
    ///
    /// ```
    /// use covector::Tensor;
    /// let y = covector_nn::LayerNorm::over([1, 2], true).forward(&Tensor::from([[[1.0f32, 3.0]], [[7.0, 7.0]]]));
    /// assert_eq!(y.to_vec::<f32>()[2..], [0.0, 0.0]);
    /// ```
    pub fn over(sizes: impl Into<Shape>, bias: bool) -> Self {
        let sizes = sizes.into();
        LayerNorm { weight: constant(1.0, &sizes[..]), bias: bias.then(|| constant(0.0, &sizes[..])), eps: 1e-5 }
    }

    /// As `x`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.ndim(), Some(&self.weight), self.bias.as_ref(), self.eps)
    }
}

/// The last axes divided by their root mean square, then scaled.
///
/// ```
/// use covector::Tensor;
/// let y = covector_nn::RMSNorm::new([2]).forward(&Tensor::from([3.0f32, -3.0]));
/// assert_eq!(y.to_vec::<f32>(), [1.0, -1.0]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct RMSNorm {
    /// The sizes of the normalised axes.
    pub weight: Tensor,
    /// Added to the mean square.
    pub eps: f64,
}

impl RMSNorm {
    /// Scale 1, eps that of f32, as PyTorch's `nn.RMSNorm`, in f32. Llama's eps is 1e-5.
    pub fn new(sizes: impl Into<Shape>) -> Self {
        RMSNorm { weight: constant(1.0, sizes), eps: f64::from(f32::EPSILON) }
    }

    /// As `x`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.rms_norm(self.weight.ndim(), Some(&self.weight), self.eps)
    }
}

/// Normalisation of groups of channels of each example: `[batch, channels, ..]`, then scaled and shifted by channel.
///
/// ```
/// use covector::Tensor;
/// let y = covector_nn::GroupNorm::new(2, 4).forward(&Tensor::from([[1.0f32, 3.0, 9.0, 9.0]]));
/// assert_eq!(y.to_vec::<f32>()[2..], [0.0, 0.0]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct GroupNorm {
    /// `[channels]`.
    pub weight: Option<Tensor>,
    /// `[channels]`.
    pub bias: Option<Tensor>,
    /// The number of groups.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
}

impl GroupNorm {
    /// Scale 1, shift 0, eps 1e-5, as PyTorch's `nn.GroupNorm`, in f32.
    pub fn new(groups: usize, channels: usize) -> Self {
        let [weight, bias] = [1.0, 0.0].map(|value| Some(constant(value, [channels])));
        GroupNorm { weight, bias, groups, eps: 1e-5 }
    }

    /// As `x`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.group_norm(self.groups, self.weight.as_ref(), self.bias.as_ref(), self.eps)
    }
}

/// Normalisation of each channel over all examples: `[batch, channels, ..]` of any number of axes.
///
/// In training the moments are those of the batch, and the running ones follow them; else they are the running ones. These
/// are no parameters: they are given, and given back. Both parts together have the names of PyTorch's state dict.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::BatchNorm;
/// let layer = BatchNorm::new(1);
/// let (y, statistics) = layer.train(&Tensor::from([[1.0f32], [3.0]]), &layer.start());
/// assert!((y.to_vec::<f32>()[1] - 1.0).abs() < 1e-4);
/// assert!((statistics.running_mean.item::<f32>() - 0.2).abs() < 1e-6);
/// assert!((layer.eval(&Tensor::from([[0.2f32]]), &statistics).item::<f32>()).abs() < 1e-6);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct BatchNorm {
    /// `[channels]`.
    pub weight: Option<Tensor>,
    /// `[channels]`.
    pub bias: Option<Tensor>,
    /// The number of channels.
    pub channels: usize,
    /// Added to the variance.
    pub eps: f64,
    /// What part of the running moments is replaced by those of a batch; if none, they are means over all batches.
    pub momentum: Option<f64>,
}

/// The running moments of a [`BatchNorm`].
#[derive(Clone, Debug, Tree)]
pub struct RunningStats {
    /// `[channels]`.
    pub running_mean: Tensor,
    /// `[channels]`; of batches with `n - 1` below.
    pub running_var: Tensor,
    /// How many batches were seen: a 0-d integer.
    pub num_batches_tracked: Tensor,
}

impl BatchNorm {
    /// Scale 1, shift 0, eps 1e-5, momentum 0.1, as PyTorch's `nn.BatchNorm1d` to `3d`, in f32.
    pub fn new(channels: usize) -> Self {
        let [weight, bias] = [1.0, 0.0].map(|value| Some(constant(value, [channels])));
        BatchNorm { weight, bias, channels, eps: 1e-5, momentum: Some(0.1) }
    }

    /// The running moments before the first batch: mean 0, variance 1.
    pub fn start(&self) -> RunningStats {
        let dtype = self.weight.as_ref().map_or(DType::F32, Tensor::dtype);
        let [running_mean, running_var] = [0.0, 1.0].map(|value| constant(value, [self.channels]).cast(dtype));
        RunningStats { running_mean, running_var, num_batches_tracked: Tensor::from(0) }
    }

    /// As `x`, by the running moments.
    #[track_caller]
    pub fn eval(&self, x: &Tensor, statistics: &RunningStats) -> Tensor {
        self.by(x, &statistics.running_mean, &statistics.running_var)
    }

    /// As `x`, by the moments of the batch, and the running moments after it, which have no derivative.
    ///
    /// # Panics
    /// If each channel has less than two numbers.
    #[track_caller]
    pub fn train(&self, x: &Tensor, statistics: &RunningStats) -> (Tensor, RunningStats) {
        let axes: Vec<usize> = (0..x.ndim()).filter(|&axis| axis != 1).collect();
        let n = x.size() / self.channels.max(1);
        assert!(n > 1, "a batch of one number per channel has no variance: {}", x.spec());
        let (mean, variance) = (x.mean(&axes[..]), x.var(&axes[..], 0.0));
        let y = self.by(x, &mean, &variance);
        let count = &statistics.num_batches_tracked + 1;
        let part = match self.momentum {
            Some(momentum) => Tensor::from(momentum),
            None => 1.0 / count.cast(DType::F64),
        };
        let follow = |running: &Tensor, batch: Tensor| {
            let batch = batch.stop_gradient().cast(running.dtype());
            running + (batch - running) * part.cast(running.dtype())
        };
        let unbiased = variance * (n as f64 / (n - 1) as f64);
        let statistics = RunningStats {
            running_mean: follow(&statistics.running_mean, mean),
            running_var: follow(&statistics.running_var, unbiased),
            num_batches_tracked: count,
        };
        (y, statistics)
    }

    #[track_caller]
    fn by(&self, x: &Tensor, mean: &Tensor, variance: &Tensor) -> Tensor {
        x.batch_norm(mean, variance, self.weight.as_ref(), self.bias.as_ref(), self.eps)
    }
}
