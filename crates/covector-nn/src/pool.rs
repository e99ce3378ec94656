//! Poolings: layers without parameters over the one, two or three last axes; `x` may lack the axis of examples.

use covector::{DType, Ints, Tensor, Tree};

/// The largest element of every window over one axis.
pub type MaxPool1d = MaxPool<1>;
/// The largest element of every window over two axes.
pub type MaxPool2d = MaxPool<2>;
/// The largest element of every window over three axes.
pub type MaxPool3d = MaxPool<3>;
/// The mean of every window over one axis.
pub type AvgPool1d = AvgPool<1>;
/// The mean of every window over two axes.
pub type AvgPool2d = AvgPool<2>;
/// The mean of every window over three axes.
pub type AvgPool3d = AvgPool<3>;
/// The largest element of each of a given number of bins along one axis.
pub type AdaptiveMaxPool1d = AdaptiveMaxPool<1>;
/// The largest element of each of a given number of bins along two axes.
pub type AdaptiveMaxPool2d = AdaptiveMaxPool<2>;
/// The largest element of each of a given number of bins along three axes.
pub type AdaptiveMaxPool3d = AdaptiveMaxPool<3>;
/// The mean of each of a given number of bins along one axis.
pub type AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
/// The mean of each of a given number of bins along two axes.
pub type AdaptiveAvgPool2d = AdaptiveAvgPool<2>;
/// The mean of each of a given number of bins along three axes.
pub type AdaptiveAvgPool3d = AdaptiveAvgPool<3>;

/// The largest element of every window.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::pool::MaxPool1d;
/// let x = Tensor::from([[1.0f32, 5.0, 2.0, 3.0]]);
/// assert_eq!(MaxPool1d::new([2]).forward(&x).to_vec::<f32>(), [5.0, 3.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Tree)]
pub struct MaxPool<const D: usize> {
    /// The size of a window.
    pub kernel: [usize; D],
    /// From one window to the next.
    pub stride: [usize; D],
    /// What is added at both ends, below every element.
    pub padding: [usize; D],
    /// From one element of a window to the next.
    pub dilation: [usize; D],
}

impl<const D: usize> MaxPool<D> {
    /// Windows side by side, without padding.
    pub fn new(kernel: [usize; D]) -> Self {
        MaxPool { kernel, stride: kernel, padding: [0; D], dilation: [1; D] }
    }

    /// `[batch, channels, size..] -> [batch, channels, size'..]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let [kernel, stride, padding, dilation] =
            [self.kernel, self.stride, self.padding, self.dilation].map(Ints::from);
        match D {
            1 => x.max_pool1d(kernel, stride, padding, dilation),
            2 => x.max_pool2d(kernel, stride, padding, dilation),
            3 => x.max_pool3d(kernel, stride, padding, dilation),
            _ => no_axes(D),
        }
    }
}

/// The mean of every window.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::pool::AvgPool1d;
/// let x = Tensor::from([[1.0f32, 5.0, 2.0, 4.0]]);
/// let pool = AvgPool1d { padding: [1], count_include_pad: false, ..AvgPool1d::new([2]) };
/// assert_eq!(pool.forward(&x).to_vec::<f32>(), [1.0, 3.5, 4.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Tree)]
pub struct AvgPool<const D: usize> {
    /// The size of a window.
    pub kernel: [usize; D],
    /// From one window to the next.
    pub stride: [usize; D],
    /// How many zeros are added at both ends.
    pub padding: [usize; D],
    /// Whether those zeros count.
    pub count_include_pad: bool,
}

impl<const D: usize> AvgPool<D> {
    /// Windows side by side, without padding.
    pub fn new(kernel: [usize; D]) -> Self {
        AvgPool { kernel, stride: kernel, padding: [0; D], count_include_pad: true }
    }

    /// `[batch, channels, size..] -> [batch, channels, size'..]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let y = self.mean(x);
        if self.count_include_pad || self.padding == [0; D] {
            return y;
        }
        let size: Vec<usize> =
            std::iter::once(1).chain(x.shape()[x.ndim().saturating_sub(D)..].iter().copied()).collect();
        let dtype = if x.dtype().is_float() { x.dtype() } else { DType::F32 };
        y / self.mean(&Tensor::scalar(1.0, dtype).broadcast_to(size))
    }

    #[track_caller]
    fn mean(&self, x: &Tensor) -> Tensor {
        let [kernel, stride, padding] = [self.kernel, self.stride, self.padding].map(Ints::from);
        match D {
            1 => x.avg_pool1d(kernel, stride, padding),
            2 => x.avg_pool2d(kernel, stride, padding),
            3 => x.avg_pool3d(kernel, stride, padding),
            _ => no_axes(D),
        }
    }
}

/// The largest element of each of a given number of bins.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::pool::AdaptiveMaxPool1d;
/// let x = Tensor::from([[1.0f32, 5.0, 2.0, 3.0]]);
/// assert_eq!(AdaptiveMaxPool1d { output: [2] }.forward(&x).to_vec::<f32>(), [5.0, 3.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Tree)]
pub struct AdaptiveMaxPool<const D: usize> {
    /// The number of bins.
    pub output: [usize; D],
}

impl<const D: usize> AdaptiveMaxPool<D> {
    /// `[batch, channels, size..] -> [batch, channels, output..]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        match D {
            1 => x.adaptive_max_pool1d(self.output),
            2 => x.adaptive_max_pool2d(self.output),
            3 => x.adaptive_max_pool3d(self.output),
            _ => no_axes(D),
        }
    }
}

/// The mean of each of a given number of bins.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::pool::AdaptiveAvgPool1d;
/// let x = Tensor::from([[1.0f32, 5.0, 2.0, 4.0]]);
/// assert_eq!(AdaptiveAvgPool1d { output: [1] }.forward(&x).to_vec::<f32>(), [3.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Tree)]
pub struct AdaptiveAvgPool<const D: usize> {
    /// The number of bins.
    pub output: [usize; D],
}

impl<const D: usize> AdaptiveAvgPool<D> {
    /// `[batch, channels, size..] -> [batch, channels, output..]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        match D {
            1 => x.adaptive_avg_pool1d(self.output),
            2 => x.adaptive_avg_pool2d(self.output),
            3 => x.adaptive_avg_pool3d(self.output),
            _ => no_axes(D),
        }
    }
}

#[track_caller]
fn no_axes(n: usize) -> Tensor {
    panic!("poolings go over one, two or three axes, not {n}")
}
