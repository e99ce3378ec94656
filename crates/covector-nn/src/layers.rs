//! Layers with PyTorch's parameter names and layouts.

use covector::ops::index::embedding;
use covector::ops::random::{normal, uniform};
use covector::{DType, Key, Tensor, Tree};

use crate::Dropout;

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
        Linear { weight, bias: bias.then(|| constant(0.0, outputs)) }
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

    /// The vectors at `indices`, which are integers of any shape.
    #[track_caller]
    pub fn forward(&self, indices: &Tensor) -> Tensor {
        embedding(&self.weight, indices)
    }
}

/// Normalisation of the last axis to mean 0 and variance 1, then scaled and shifted.
#[derive(Clone, Debug, Tree)]
pub struct LayerNorm {
    /// `[width]`.
    pub weight: Tensor,
    /// `[width]`.
    pub bias: Option<Tensor>,
    /// Added to the variance, so that constant rows do not divide by 0.
    pub eps: f64,
}

impl LayerNorm {
    /// Scale 1, shift 0, eps 1e-5, as PyTorch's `nn.LayerNorm`, in f32.
    pub fn new(width: usize, bias: bool) -> Self {
        LayerNorm { weight: constant(1.0, width), bias: bias.then(|| constant(0.0, width)), eps: 1e-5 }
    }

    /// As `x`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(1, Some(&self.weight), self.bias.as_ref(), self.eps)
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

/// A vector of one number, in f32.
fn constant(value: f64, len: usize) -> Tensor {
    Tensor::from(vec![value as f32; len])
}
