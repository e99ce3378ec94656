//! Layers with PyTorch's parameter names and layouts.

use covector::ops::einsum::einsum;
use covector::ops::index::embedding;
use covector::ops::random::{normal, uniform};
use covector::{DType, Key, Tensor, Tree};

use crate::Dropout;
use crate::init::{constant, fan_bounded};

/// An affine map of the last axis: `y = x Wᵀ + b`, `[.., inputs] -> [.., outputs]`.
#[derive(Clone, Debug, Tree)]
pub struct Linear {
    /// `[outputs, inputs]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Option<Tensor>,
}

impl Linear {
    /// Weight and bias uniform in ±1/√inputs, as PyTorch's `nn.Linear`, in f32.
    ///
    /// ```
    /// use covector::{Key, Tensor};
    /// use covector_nn::Linear;
    /// let layer = Linear::new(&Key::new(0), 3, 2, true);
    /// assert_eq!(layer.forward(&Tensor::from([[1.0f32, 2.0, 3.0]])).shape()[..], [1, 2]);
    /// ```
    #[track_caller]
    pub fn new(key: &Key, inputs: usize, outputs: usize, bias: bool) -> Self {
        let bound = 1.0 / (inputs.max(1) as f64).sqrt();
        let draw = |i: i64, shape: &[usize]| uniform(&key.fold_in(i), shape, -bound, bound, DType::F32);
        Linear { weight: draw(0, &[outputs, inputs]), bias: bias.then(|| draw(1, &[outputs])) }
    }

    /// Weight normal with standard deviation `std`, bias 0, as in GPT-2, in f32.
    #[track_caller]
    pub fn normal(key: &Key, inputs: usize, outputs: usize, bias: bool, std: f64) -> Self {
        let weight = normal(key, [outputs, inputs], DType::F32) * std;
        Linear { weight, bias: bias.then(|| constant(0.0, [outputs])) }
    }

    /// `[.., inputs] -> [.., outputs]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let y = x.matmul(&self.weight.t());
        match &self.bias {
            Some(bias) => y + bias,
            None => y,
        }
    }
}

/// A form in two arguments for each output: `y_o = aᵀ W_o b + bias_o`, `[.., inputs1], [.., inputs2] -> [.., outputs]`.
///
/// ```
/// use covector::{Key, Tensor};
/// use covector_nn::Bilinear;
/// let layer = Bilinear::new(&Key::new(0), 2, 3, 4, true);
/// let (a, b) = (Tensor::from([[1.0f32, 2.0]]), Tensor::from([[1.0f32, 2.0, 3.0]]));
/// assert_eq!(layer.forward(&a, &b).shape()[..], [1, 4]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct Bilinear {
    /// `[outputs, inputs1, inputs2]`.
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Option<Tensor>,
}

impl Bilinear {
    /// Weight and bias uniform in ±1/√inputs1, as PyTorch's `nn.Bilinear`, in f32.
    #[track_caller]
    pub fn new(key: &Key, inputs1: usize, inputs2: usize, outputs: usize, bias: bool) -> Self {
        let weight = fan_bounded(&key.fold_in(0), [outputs, inputs1, inputs2], inputs1);
        Bilinear { weight, bias: bias.then(|| fan_bounded(&key.fold_in(1), [outputs], inputs1)) }
    }

    /// `[.., inputs1], [.., inputs2] -> [.., outputs]`.
    #[track_caller]
    pub fn forward(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let y = einsum("...i,oij,...j->...o", &[a.clone(), self.weight.clone(), b.clone()]);
        match &self.bias {
            Some(bias) => y + bias,
            None => y,
        }
    }
}

/// A table of vectors, picked by index: `[..] -> [.., width]`.
#[derive(Clone, Debug, Tree)]
pub struct Embedding {
    /// `[entries, width]`.
    pub weight: Tensor,
}

impl Embedding {
    /// Normal with standard deviation `std`, in f32; PyTorch's `nn.Embedding` has 1, GPT-2 has 0.02.
    #[track_caller]
    pub fn normal(key: &Key, entries: usize, width: usize, std: f64) -> Self {
        Embedding { weight: normal(key, [entries, width], DType::F32) * std }
    }

    /// Normal with standard deviation 1, as PyTorch's `nn.Embedding`, in f32.
    ///
    /// ```
    /// use covector::{Key, Tensor};
    /// let table = covector_nn::Embedding::new(&Key::new(0), 10, 3);
    /// assert_eq!(table.forward(&Tensor::from([[1, 2], [9, 1]])).shape()[..], [2, 2, 3]);
    /// ```
    #[track_caller]
    pub fn new(key: &Key, entries: usize, width: usize) -> Self {
        Embedding { weight: normal(key, [entries, width], DType::F32) }
    }

    /// The vectors at `indices`, which are integers of any shape.
    #[track_caller]
    pub fn forward(&self, indices: &Tensor) -> Tensor {
        embedding(&self.weight, indices)
    }

    /// As [`forward`](Self::forward), where the vector at `padding` does not learn: PyTorch's `padding_idx`.
    #[track_caller]
    pub fn forward_padded(&self, indices: &Tensor, padding: i64) -> Tensor {
        let y = self.forward(indices);
        indices.equal(padding).unsqueeze(-1).where_(y.stop_gradient(), y)
    }
}

/// Two linear maps with GELU between them, the inner one four times as wide: the feed-forward part of a transformer.
#[derive(Clone, Debug, Tree)]
pub struct Mlp {
    /// `width -> 4 width`.
    pub c_fc: Linear,
    /// `4 width -> width`.
    pub c_proj: Linear,
}

impl Mlp {
    /// GPT-2's initial weights: normal with 0.02, the last map with `residual_std`.
    #[track_caller]
    pub fn new(key: &Key, width: usize, bias: bool, residual_std: f64) -> Self {
        Mlp {
            c_fc: Linear::normal(&key.fold_in(0), width, 4 * width, bias, 0.02),
            c_proj: Linear::normal(&key.fold_in(1), 4 * width, width, bias, residual_std),
        }
    }

    /// As `x`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, dropout: &Dropout) -> Tensor {
        let hidden = self.c_fc.forward(x).gelu();
        dropout.apply(&self.c_proj.forward(&hidden))
    }
}
