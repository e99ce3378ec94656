//! Convolutions over one, two and three axes, and their transposes.

use covector::{Ints, Key, Tensor, Tree};

use crate::init::fan_bounded;

/// Convolution over one axis: `[batch, inputs, length] -> [batch, outputs, length']`.
pub type Conv1d = Conv<1>;
/// Convolution over two axes: `[batch, inputs, height, width] -> [batch, outputs, height', width']`.
pub type Conv2d = Conv<2>;
/// Convolution over three axes: `[batch, inputs, depth, height, width] -> [batch, outputs, depth', height', width']`.
pub type Conv3d = Conv<3>;
/// Transposed convolution over one axis.
pub type ConvTranspose1d = ConvTranspose<1>;
/// Transposed convolution over two axes.
pub type ConvTranspose2d = ConvTranspose<2>;
/// Transposed convolution over three axes.
pub type ConvTranspose3d = ConvTranspose<3>;

/// How a convolution goes over its axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Tree)]
pub struct ConvOptions<const D: usize> {
    /// From one place of the kernel to the next.
    pub stride: [usize; D],
    /// What is added at both ends; what is cut off by a transposed convolution.
    pub padding: [usize; D],
    /// From one element of the kernel to the next.
    pub dilation: [usize; D],
    /// Into how many groups the channels are divided, each with a kernel of its own.
    pub groups: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// What is added: "zeros", "reflect", "replicate" or "circular"; "zeros" alone if transposed.
    pub padding_mode: &'static str,
    /// By how much the result of a transposed convolution is longer at the end.
    pub output_padding: [usize; D],
}

impl<const D: usize> Default for ConvOptions<D> {
    /// PyTorch's defaults: every place, no padding, one group, a bias.
    fn default() -> Self {
        ConvOptions {
            stride: [1; D],
            padding: [0; D],
            dilation: [1; D],
            groups: 1,
            bias: true,
            padding_mode: "zeros",
            output_padding: [0; D],
        }
    }
}

impl<const D: usize> ConvOptions<D> {
    /// The padding with which a convolution of this odd kernel and stride 1 keeps the size.
    ///
    /// # Panics
    /// If a size of the kernel is even.
    #[track_caller]
    pub fn same(self, kernel: [usize; D]) -> Self {
        assert!(kernel.iter().all(|k| k % 2 == 1), "an even kernel has no middle: {kernel:?}");
        ConvOptions { padding: std::array::from_fn(|i| self.dilation[i] * (kernel[i] - 1) / 2), ..self }
    }
}

/// Convolution over `D` axes; `x` may lack the axis of examples.
///
/// ```
/// use covector::{DType, Key, ops::create::ones};
/// use covector_nn::conv::{Conv2d, ConvOptions};
/// let layer = Conv2d::new(&Key::new(0), 3, 8, [5, 5], ConvOptions { stride: [2, 2], ..ConvOptions::default() });
/// assert_eq!(layer.weight.shape()[..], [8, 3, 5, 5]);
/// assert_eq!(layer.forward(&ones([1, 3, 9, 9], DType::F32)).shape()[..], [1, 8, 3, 3]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct Conv<const D: usize> {
    /// `[outputs, inputs / groups, kernel..]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Option<Tensor>,
    /// How it goes over its axes.
    pub options: ConvOptions<D>,
}

impl<const D: usize> Conv<D> {
    /// Weight and bias uniform in ±1/√fan, where fan counts what enters one output, as in PyTorch, in f32.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    pub fn new(key: &Key, inputs: usize, outputs: usize, kernel: [usize; D], options: ConvOptions<D>) -> Self {
        let per_group = divided(inputs, outputs, options.groups, inputs);
        let (weight, bias) = weights(key, outputs, per_group, kernel, options.bias.then_some(outputs));
        Conv { weight, bias, options }
    }

    /// `[batch, inputs, size..] -> [batch, outputs, size'..]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let ConvOptions { stride, padding, dilation, groups, padding_mode, .. } = self.options;
        let padded;
        let (x, padding) = match padding_mode {
            "zeros" => (x, padding),
            mode => {
                padded = x.pad(around(x.ndim(), padding), numpy_mode(mode), 0.0);
                (&padded, [0; D])
            }
        };
        let [stride, padding, dilation] = [stride, padding, dilation].map(Ints::from);
        let (weight, bias) = (&self.weight, self.bias.as_ref());
        match D {
            1 => x.conv1d(weight, bias, stride, padding, dilation, groups),
            2 => x.conv2d(weight, bias, stride, padding, dilation, groups),
            3 => x.conv3d(weight, bias, stride, padding, dilation, groups),
            _ => panic!("convolutions go over one, two or three axes, not {D}"),
        }
    }
}

/// Transposed convolution over `D` axes: the adjoint of a convolution. `x` may lack the axis of examples.
///
/// ```
/// use covector::{DType, Key, ops::create::ones};
/// use covector_nn::conv::{ConvOptions, ConvTranspose2d};
/// let options = ConvOptions { stride: [2, 2], output_padding: [1, 1], padding: [1, 1], ..ConvOptions::default() };
/// let layer = ConvTranspose2d::new(&Key::new(0), 4, 2, [3, 3], options);
/// assert_eq!(layer.weight.shape()[..], [4, 2, 3, 3]);
/// assert_eq!(layer.forward(&ones([1, 4, 5, 5], DType::F32)).shape()[..], [1, 2, 10, 10]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct ConvTranspose<const D: usize> {
    /// `[inputs, outputs / groups, kernel..]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Option<Tensor>,
    /// How it goes over its axes.
    pub options: ConvOptions<D>,
}

impl<const D: usize> ConvTranspose<D> {
    /// Weight and bias uniform in ±1/√(outputs / groups · kernel), as in PyTorch, in f32.
    ///
    /// # Panics
    /// If the groups do not divide the channels, or the padding is not "zeros".
    #[track_caller]
    pub fn new(key: &Key, inputs: usize, outputs: usize, kernel: [usize; D], options: ConvOptions<D>) -> Self {
        assert_eq!(options.padding_mode, "zeros", "a transposed convolution cuts its padding off");
        let per_group = divided(inputs, outputs, options.groups, outputs);
        let (weight, bias) = weights(key, inputs, per_group, kernel, options.bias.then_some(outputs));
        ConvTranspose { weight, bias, options }
    }

    /// `[batch, inputs, size..] -> [batch, outputs, size'..]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let ConvOptions { stride, padding, dilation, groups, output_padding, .. } = self.options;
        let [stride, padding, output_padding, dilation] = [stride, padding, output_padding, dilation].map(Ints::from);
        let (weight, bias) = (&self.weight, self.bias.as_ref());
        match D {
            1 => x.conv_transpose1d(weight, bias, stride, padding, output_padding, dilation, groups),
            2 => x.conv_transpose2d(weight, bias, stride, padding, output_padding, dilation, groups),
            3 => x.conv_transpose3d(weight, bias, stride, padding, output_padding, dilation, groups),
            _ => panic!("convolutions go over one, two or three axes, not {D}"),
        }
    }
}

#[track_caller]
fn divided(inputs: usize, outputs: usize, groups: usize, whole: usize) -> usize {
    let fit = groups > 0 && inputs.is_multiple_of(groups) && outputs.is_multiple_of(groups);
    assert!(fit, "{groups} groups do not divide {inputs} inputs and {outputs} outputs");
    whole / groups
}

/// Weight `[first, second, kernel..]` and bias, bounded by the number of elements of one kernel.
#[track_caller]
fn weights<const D: usize>(
    key: &Key,
    first: usize,
    second: usize,
    kernel: [usize; D],
    bias: Option<usize>,
) -> (Tensor, Option<Tensor>) {
    let shape: Vec<usize> = [first, second].into_iter().chain(kernel).collect();
    let fan = shape[1..].iter().product();
    let weight = fan_bounded(&key.fold_in(0), &shape[..], fan);
    (weight, bias.map(|n| fan_bounded(&key.fold_in(1), [n], fan)))
}

/// The padding at both ends of the last axes.
fn around<const D: usize>(ndim: usize, padding: [usize; D]) -> Vec<(usize, usize)> {
    let mut widths = vec![(0, 0); ndim.saturating_sub(D)];
    widths.extend(padding.map(|p| (p, p)));
    widths
}

#[track_caller]
fn numpy_mode(mode: &str) -> &'static str {
    match mode {
        "reflect" => "reflect",
        "replicate" => "edge",
        "circular" => "wrap",
        other => panic!("`{other}` is no padding; there are zeros, reflect, replicate and circular"),
    }
}
