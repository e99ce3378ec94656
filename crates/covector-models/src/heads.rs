//! Attention in several heads, over maps that each model names in its own way.

#![allow(missing_docs, reason = "fields have the names of the files they are read from, and say no more than these")]

use covector::ops::attention::scaled_dot_product_attention;
use covector::{Tensor, Tree};
use covector_nn::Linear;

/// The maps to queries, keys and values.
#[derive(Clone, Debug, Tree)]
pub struct Heads {
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
}

impl Heads {
    /// Three maps of the stream's width.
    pub(crate) fn new(width: usize, linear: &mut impl FnMut(usize, usize) -> Linear) -> Heads {
        Heads { query: linear(width, width), key: linear(width, width), value: linear(width, width) }
    }

    /// What every position sees: `[batch, time, width]`.
    pub(crate) fn forward(&self, x: &Tensor, heads: usize, mask: Option<&Tensor>) -> Tensor {
        attend(&self.query.forward(x), &self.key.forward(x), &self.value.forward(x), heads, mask, false)
    }
}

/// `[batch, time, heads · depth] -> [batch, heads, time, depth]`.
pub(crate) fn split(x: &Tensor, heads: usize) -> Tensor {
    let [batch, time, width] = [0, 1, 2].map(|i| x.shape()[i] as i64);
    x.reshape([batch, time, heads as i64, width / heads as i64]).transpose(1, 2)
}

/// `[batch, heads, time, depth] -> [batch, time, heads · depth]`.
pub(crate) fn join(x: &Tensor) -> Tensor {
    let [batch, heads, time, depth] = [0, 1, 2, 3].map(|i| x.shape()[i] as i64);
    x.transpose(1, 2).reshape([batch, time, heads * depth])
}

/// Attention of queries to keys in `heads` heads: all of `[batch, time, width]`.
pub(crate) fn attend(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, mask: Option<&Tensor>, causal: bool) -> Tensor {
    join(&scaled_dot_product_attention(&split(q, heads), &split(k, heads), &split(v, heads), mask, causal))
}
