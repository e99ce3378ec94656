//! Initial weights: functions of a key and a shape, in f32.
//!
//! A weight is `[outputs, inputs, ..]`; what follows are the sizes of a kernel, whose every place counts as an input.

use covector::ops::random::{normal, truncated_normal, uniform};
use covector::{DType, Key, Shape, Tensor};

/// Which of the two numbers of connections is kept in the variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fan {
    /// Those into an element: activations keep their variance forward.
    #[default]
    In,
    /// Those out of an element: gradients keep theirs backward.
    Out,
}

/// The number of connections into and out of an element of a layer with this weight.
///
/// ```
/// assert_eq!(covector_nn::init::fans(&[8, 3, 5, 5]), (75, 200));
/// ```
///
/// # Panics
/// If there are less than two axes.
#[track_caller]
pub fn fans(shape: &[usize]) -> (usize, usize) {
    assert!(shape.len() >= 2, "a weight of {} axes has no inputs and outputs", shape.len());
    let places: usize = shape[2..].iter().product();
    (shape[1] * places, shape[0] * places)
}

/// Uniform in ± gain √(6 / (fan in + fan out)); PyTorch's `xavier_uniform_`.
///
/// Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
///
/// ```
/// use covector::Key;
/// let w = covector_nn::init::xavier_uniform(&Key::new(0), [40, 20], 1.0).to_vec::<f32>();
/// assert!(w.iter().all(|w| w.abs() <= 0.1f32.sqrt()));
/// ```
#[track_caller]
pub fn xavier_uniform(key: &Key, shape: impl Into<Shape>, gain: f64) -> Tensor {
    let shape = shape.into();
    let (fan_in, fan_out) = fans(&shape);
    symmetric(key, &shape, gain * (6.0 / (fan_in + fan_out).max(1) as f64).sqrt())
}

/// Normal with standard deviation gain √(2 / (fan in + fan out)); PyTorch's `xavier_normal_`.
///
/// ```
/// use covector::Key;
/// let w = covector_nn::init::xavier_normal(&Key::new(0), [100, 100], 1.0);
/// assert!((w.std(.., 0.0).item::<f32>() - 0.1).abs() < 0.005);
/// ```
#[track_caller]
pub fn xavier_normal(key: &Key, shape: impl Into<Shape>, gain: f64) -> Tensor {
    let shape = shape.into();
    let (fan_in, fan_out) = fans(&shape);
    normal(key, shape, DType::F32) * (gain * (2.0 / (fan_in + fan_out).max(1) as f64).sqrt())
}

/// Uniform in ± gain √(3 / fan); PyTorch's `kaiming_uniform_`. The [`gain`] is that of what follows the layer.
///
/// Source: He et al. 2015, "Delving deep into rectifiers".
///
/// ```
/// use covector::Key;
/// use covector_nn::init::{Fan, gain, kaiming_uniform};
/// let w = kaiming_uniform(&Key::new(0), [4, 6], gain("relu", None), Fan::In).to_vec::<f32>();
/// assert!(w.iter().all(|w| w.abs() <= 1.0));
/// ```
#[track_caller]
pub fn kaiming_uniform(key: &Key, shape: impl Into<Shape>, gain: f64, fan: Fan) -> Tensor {
    let shape = shape.into();
    symmetric(key, &shape, gain * (3.0 / connections(&shape, fan)).sqrt())
}

/// Normal with standard deviation gain / √fan; PyTorch's `kaiming_normal_`. The [`gain`] is that of what follows the layer.
///
/// ```
/// use covector::Key;
/// use covector_nn::init::{Fan, gain, kaiming_normal};
/// let w = kaiming_normal(&Key::new(0), [100, 200], gain("relu", None), Fan::In);
/// assert!((w.std(.., 0.0).item::<f32>() - 0.1).abs() < 0.005);
/// ```
#[track_caller]
pub fn kaiming_normal(key: &Key, shape: impl Into<Shape>, gain: f64, fan: Fan) -> Tensor {
    let shape = shape.into();
    let std = gain / connections(&shape, fan).sqrt();
    normal(key, shape, DType::F32) * std
}

/// Rows at right angles to each other, or columns if there are fewer, of length `gain`; PyTorch's `orthogonal_`.
///
/// All axes after the first count as one. Computed at once, in f64.
///
/// Source: Saxe et al. 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks".
///
/// ```
/// use covector::Key;
/// let w = covector_nn::init::orthogonal(&Key::new(0), [2, 5], 2.0);
/// let products = w.matmul(&w.t()).to_vec::<f32>();
/// assert!(products.iter().zip([4.0, 0.0, 0.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-5));
/// ```
///
/// # Panics
/// If there are less than two axes.
#[track_caller]
pub fn orthogonal(key: &Key, shape: impl Into<Shape>, gain: f64) -> Tensor {
    let shape = shape.into();
    fans(&shape);
    let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
    let (few, many) = (rows.min(columns), rows.max(columns));
    let drawn = normal(key, [few, many], DType::F64).to_vec::<f64>();
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(few);
    for mut vector in drawn.chunks(many.max(1)).map(<[f64]>::to_vec) {
        // Twice: what rounding leaves of the first pass is gone after the second.
        for known in basis.iter().chain(&basis) {
            let along: f64 = known.iter().zip(&vector).map(|(a, b)| a * b).sum();
            vector.iter_mut().zip(known).for_each(|(v, k)| *v -= along * k);
        }
        let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|v| *v /= length);
        basis.push(vector);
    }
    let flat = Tensor::from_slice(&basis.concat(), [few, many]);
    let matrix = if rows <= columns { flat } else { flat.t() };
    (matrix * gain).cast(DType::F32).reshape(&shape)
}

/// Normal with this mean and standard deviation, between `least` and `most`; PyTorch's `trunc_normal_`.
///
/// ```
/// use covector::Key;
/// let w = covector_nn::init::trunc_normal(&Key::new(0), [99], 0.0, 0.02, -0.04, 0.04).to_vec::<f32>();
/// assert!(w.iter().all(|w| w.abs() <= 0.04));
/// ```
#[track_caller]
pub fn trunc_normal(key: &Key, shape: impl Into<Shape>, mean: f64, std: f64, least: f64, most: f64) -> Tensor {
    let unit = truncated_normal(key, shape, (least - mean) / std, (most - mean) / std, DType::F32);
    (unit * std + mean).clip(Some(least), Some(most))
}

/// How much larger weights should be for what follows the layer; PyTorch's `calculate_gain`.
///
/// `slope` is that of "leaky_relu" on the left, 0.01 if not told.
///
/// ```
/// assert_eq!(covector_nn::init::gain("relu", None), 2f64.sqrt());
/// ```
///
/// # Panics
/// If it is none of "linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu".
#[track_caller]
pub fn gain(follows: &str, slope: Option<f64>) -> f64 {
    match follows {
        "linear" | "sigmoid" => 1.0,
        "tanh" => 5.0 / 3.0,
        "relu" => 2f64.sqrt(),
        "leaky_relu" => (2.0 / (1.0 + slope.unwrap_or(0.01).powi(2))).sqrt(),
        "selu" => 0.75,
        other => panic!("no gain is known for `{other}`; there are linear, sigmoid, tanh, relu, leaky_relu and selu"),
    }
}

/// Uniform in ± `bound`.
#[track_caller]
pub(crate) fn symmetric(key: &Key, shape: impl Into<Shape>, bound: f64) -> Tensor {
    uniform(key, shape, -bound, bound, DType::F32)
}

/// Uniform in ± 1/√fan: what PyTorch's layers begin with.
#[track_caller]
pub(crate) fn fan_bounded(key: &Key, shape: impl Into<Shape>, fan: usize) -> Tensor {
    symmetric(key, shape, 1.0 / (fan.max(1) as f64).sqrt())
}

/// A tensor of one number.
pub(crate) fn constant(value: f64, shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    Tensor::from_slice(&vec![value as f32; shape.iter().product()], shape)
}

fn connections(shape: &Shape, fan: Fan) -> f64 {
    let (fan_in, fan_out) = fans(shape);
    match fan {
        Fan::In => fan_in.max(1) as f64,
        Fan::Out => fan_out.max(1) as f64,
    }
}
