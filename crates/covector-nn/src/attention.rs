//! Attention with several heads.

use covector::{DType, Key, Tensor, Tree};

use crate::{Dropout, Linear};

/// Self-attention in which each position sees itself and those before it, as in GPT-2.
#[derive(Clone, Debug, Tree)]
pub struct CausalSelfAttention {
    /// Queries, keys and values in one: `width -> 3 width`.
    pub c_attn: Linear,
    /// `width -> width`.
    pub c_proj: Linear,
    /// The number of heads.
    pub heads: usize,
}

impl CausalSelfAttention {
    /// GPT-2's initial weights: normal with 0.02, the last map with `residual_std`.
    ///
    /// # Panics
    /// If the width is not divisible by the number of heads.
    #[track_caller]
    pub fn new(key: &Key, width: usize, heads: usize, bias: bool, residual_std: f64) -> Self {
        assert!(heads > 0 && width.is_multiple_of(heads), "a width of {width} does not divide into {heads} heads");
        CausalSelfAttention {
            c_attn: Linear::normal(&key.fold_in(0), width, 3 * width, bias, 0.02),
            c_proj: Linear::normal(&key.fold_in(1), width, width, bias, residual_std),
            heads,
        }
    }

    /// `[batch, time, width]`, as `x`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, dropout: &Dropout) -> Tensor {
        let width = x.shape()[2];
        let parts = thirds(&self.c_attn);
        let [q, k, v] = [0, 1, 2].map(|i| split_heads(&parts[i].forward(x), self.heads));
        let y = attend(&q, &k, &v, None, true, &dropout.layer(0));
        dropout.layer(1).apply(&self.c_proj.forward(&merge_heads(&y, width)))
    }
}

/// Attention of queries to keys and values that may come from elsewhere, with PyTorch's parameter names.
#[derive(Clone, Debug, Tree)]
pub struct MultiheadAttention {
    /// Maps of queries, keys and values, stacked: `[3 width, width]`.
    pub in_proj_weight: Tensor,
    /// `[3 width]`.
    pub in_proj_bias: Option<Tensor>,
    /// `width -> width`.
    pub out_proj: Linear,
    /// The number of heads.
    pub heads: usize,
}

impl MultiheadAttention {
    /// Initial weights uniform as those of `nn.Linear`; biases 0.
    ///
    /// # Panics
    /// If the width is not divisible by the number of heads.
    #[track_caller]
    pub fn new(key: &Key, width: usize, heads: usize, bias: bool) -> Self {
        assert!(heads > 0 && width.is_multiple_of(heads), "a width of {width} does not divide into {heads} heads");
        let zeros = |n: usize| bias.then(|| Tensor::from(vec![0.0f32; n]));
        let map = |i: i64, outputs: usize| Linear::new(&key.fold_in(i), width, outputs, false).weight;
        MultiheadAttention {
            in_proj_weight: map(0, 3 * width),
            in_proj_bias: zeros(3 * width),
            out_proj: Linear { weight: map(1, width), bias: zeros(width) },
            heads,
        }
    }

    /// `query [batch, m, width], key and value [batch, n, width] -> [batch, m, width]`.
    ///
    /// A mask broadcasts to `[batch, heads, m, n]` and is true where attention is allowed.
    #[track_caller]
    pub fn forward(&self, query: &Tensor, key: &Tensor, value: &Tensor, mask: Option<&Tensor>) -> Tensor {
        let all = Linear { weight: self.in_proj_weight.clone(), bias: self.in_proj_bias.clone() };
        let parts = thirds(&all);
        let [q, k, v] = [(0, query), (1, key), (2, value)].map(|(i, x)| split_heads(&parts[i].forward(x), self.heads));
        self.out_proj.forward(&merge_heads(&attend(&q, &k, &v, mask, false, &Dropout::off()), query.shape()[2]))
    }
}

/// The three maps that are stacked in one.
///
/// Cutting the weight and not the result keeps the transposes (zeros around a slice, added up) small.
fn thirds(all: &Linear) -> [Linear; 3] {
    let n = all.weight.shape()[0] as i64 / 3;
    let rows = |x: &Tensor, i: i64| x.take(&Tensor::from((i * n..(i + 1) * n).collect::<Vec<i64>>()), 0);
    [0, 1, 2].map(|i| Linear { weight: rows(&all.weight, i), bias: all.bias.as_ref().map(|b| rows(b, i)) })
}

/// `[batch, time, width] -> [batch, heads, time, width / heads]`.
fn split_heads(x: &Tensor, heads: usize) -> Tensor {
    let [batch, time, width] = [0, 1, 2].map(|i| x.shape()[i]);
    x.reshape([batch, time, heads, width / heads]).transpose(1, 2)
}

/// `[batch, heads, time, width / heads] -> [batch, time, width]`.
fn merge_heads(x: &Tensor, width: usize) -> Tensor {
    let (batch, time) = (x.shape()[0], x.shape()[2]);
    x.transpose(1, 2).reshape([batch, time, width])
}

/// `softmax(q kᵀ / √d) v`, where only what the masks allow takes part.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>, causal: bool, dropout: &Dropout) -> Tensor {
    let depth = q.shape()[3] as f64;
    let mut scores = (q * depth.powf(-0.5)).matmul(&k.transpose(2, 3));
    if causal {
        let (m, n) = (q.shape()[2], k.shape()[2]);
        let seen: Vec<bool> = (0..m * n).map(|i| i % n <= i / n).collect();
        scores = Tensor::from_slice(&seen, [m, n]).where_(&scores, f64::NEG_INFINITY);
    }
    if let Some(mask) = mask {
        scores = mask.cast(DType::Bool).where_(&scores, f64::NEG_INFINITY);
    }
    dropout.apply(&scores.softmax(-1)).matmul(v)
}
