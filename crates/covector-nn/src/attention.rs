//! Causal self-attention with several heads, as in GPT-2, and what heads are made of.

use covector::ops::create::ones;
use covector::{DType, Key, Tensor, Tree};

use crate::decode::Step;
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
        let y = match dropout.layer(0) {
            dropout if dropout.is_on() => {
                let parts = self.c_attn.forward(x).chunk(3, 2);
                let [q, k, v] = [0, 1, 2].map(|i| split_heads(&parts[i], self.heads));
                merge_heads(&causal_with_dropout(&q, &k, &v, &dropout), x.shape()[2])
            }
            _ => self.c_attn.forward(x).self_attention(self.heads, None, true),
        };
        dropout.layer(1).apply(&self.c_proj.forward(&y))
    }

    /// As [`forward`](Self::forward), of tokens that also see those in a cache `[batch, capacity, 2 width]` of keys and values,
    /// where their own are written.
    pub(crate) fn decode(&self, x: &Tensor, cache: Tensor, step: &Step) -> (Tensor, Tensor) {
        let width = x.shape()[2];
        let parts = self.c_attn.forward(x).split([width, 2 * width], 2);
        let cache = step.written(&cache, &parts[1]);
        let [k, v] = [0, 1].map(|i| split_heads(&cache.chunk(2, 2)[i], self.heads));
        let y = split_heads(&parts[0], self.heads).scaled_dot_product_attention(&k, &v, Some(&step.seen), false);
        (self.c_proj.forward(&merge_heads(&y, width)), cache)
    }
}

/// `[batch, time, width] -> [batch, heads, time, width / heads]`.
pub(crate) fn split_heads(x: &Tensor, heads: usize) -> Tensor {
    let [batch, time, width] = [0, 1, 2].map(|i| x.shape()[i]);
    x.reshape([batch, time, heads, width / heads]).transpose(1, 2)
}

/// `[batch, heads, time, width / heads] -> [batch, time, width]`.
pub(crate) fn merge_heads(x: &Tensor, width: usize) -> Tensor {
    let (batch, time) = (x.shape()[0], x.shape()[2]);
    x.transpose(1, 2).reshape([batch, time, width])
}

/// Causal attention some of whose weights are dropped, as GPT-2 is trained.
fn causal_with_dropout(q: &Tensor, k: &Tensor, v: &Tensor, dropout: &Dropout) -> Tensor {
    let (time, depth) = (q.shape()[2], q.shape()[3] as f64);
    let scores = (q * depth.powf(-0.5)).matmul(&k.transpose(2, 3));
    let seen = ones([time, time], DType::Bool).tril(0);
    dropout.apply(&seen.where_(scores, f64::NEG_INFINITY).softmax(-1)).matmul(v)
}
