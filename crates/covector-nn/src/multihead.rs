//! Attention of queries to keys and values that may come from elsewhere.

use covector::ops::create::{arange, ones, zeros};
use covector::{DType, Error, Key, Result, Tensor, Tree, keep};

use crate::attention::{merge_heads, split_heads};
use crate::init::{constant, xavier_uniform};
use crate::positions::{Positions, alibi};
use crate::{Dropout, Linear};

/// Attention with several heads, with PyTorch's parameter names; tensors are `[batch, tokens, width]`.
///
/// Queries of several heads may share keys and values: with fewer `kv_heads` than heads, each serves neighbours.
///
/// ```
/// use covector::{DType, Key, ops::create::ones};
/// use covector_nn::{Attending, MultiheadAttention, Positions, Rotary};
/// let layer = MultiheadAttention::grouped(&Key::new(0), 8, 4, 2, false).with(Positions::Rotary(Rotary::default()));
/// assert_eq!(layer.in_proj_weight.shape()[..], [8 + 2 * 4, 8]);
/// let x = ones([1, 3, 8], DType::F32);
/// let y = layer.attend(&x, &x, &x, &Attending { causal: true, ..Attending::default() });
/// assert_eq!(y.shape()[..], [1, 3, 8]);
/// ```
#[derive(Clone, Debug, Tree)]
pub struct MultiheadAttention {
    /// Maps of queries, keys and values, stacked: `[3 width, width]`; less with fewer heads of keys and values.
    pub in_proj_weight: Tensor,
    /// As many as the weight has rows.
    pub in_proj_bias: Option<Tensor>,
    /// `width -> width`.
    pub out_proj: Linear,
    /// The number of heads.
    pub heads: usize,
    /// The number of heads that keys and values have.
    pub kv_heads: usize,
    /// How queries and keys learn of their positions.
    pub positions: Positions,
}

/// Who attends to whom, and what is dropped.
#[derive(Clone, Debug)]
pub struct Attending {
    /// Broadcasts to `[batch, heads, queries, keys]`; a bool is true where a query may attend (the opposite of PyTorch's
    /// `attn_mask`), floats are added to the scores.
    pub mask: Option<Tensor>,
    /// Whether query `i` attends to the keys 0 to `i` alone.
    pub causal: bool,
    /// Which attention weights are dropped.
    pub dropout: Dropout,
}

impl Default for Attending {
    /// All to all, nothing dropped.
    fn default() -> Self {
        Attending { mask: None, causal: false, dropout: Dropout::off() }
    }
}

impl Attending {
    /// The same for the `i`-th of several layers, which drops by a key of its own.
    pub fn layer(&self, i: usize) -> Self {
        Attending { dropout: self.dropout.layer(i), ..self.clone() }
    }
}

/// The keys and values of the tokens seen so far.
#[derive(Clone, Debug, Tree)]
pub struct KvCache {
    /// `[batch, kv_heads, capacity, features]`.
    pub keys: Tensor,
    /// As the keys.
    pub values: Tensor,
    /// The number of tokens seen.
    pub len: usize,
}

impl MultiheadAttention {
    /// PyTorch's initial weights, in f32: the stacked maps by Xavier, the last as `nn.Linear`; biases 0.
    ///
    /// # Panics
    /// If the width is not divisible by the number of heads.
    #[track_caller]
    pub fn new(key: &Key, width: usize, heads: usize, bias: bool) -> Self {
        Self::grouped(key, width, heads, heads, bias)
    }

    /// As [`new`](Self::new), with fewer heads for keys and values.
    ///
    /// # Panics
    /// If the width is not divisible by the number of heads, or that by the number of those of keys and values.
    #[track_caller]
    pub fn grouped(key: &Key, width: usize, heads: usize, kv_heads: usize, bias: bool) -> Self {
        assert!(heads > 0 && width.is_multiple_of(heads), "a width of {width} does not divide into {heads} heads");
        assert!(kv_heads > 0 && heads.is_multiple_of(kv_heads), "{heads} heads cannot share {kv_heads}");
        let rows = width + 2 * (width / heads * kv_heads);
        let zeros = |n: usize| bias.then(|| constant(0.0, [n]));
        MultiheadAttention {
            in_proj_weight: xavier_uniform(&key.fold_in(0), [rows, width], 1.0),
            in_proj_bias: zeros(rows),
            out_proj: Linear { weight: Linear::new(&key.fold_in(1), width, width, false).weight, bias: zeros(width) },
            heads,
            kv_heads,
            positions: Positions::None,
        }
    }

    /// With positions.
    pub fn with(self, positions: Positions) -> Self {
        MultiheadAttention { positions, ..self }
    }

    /// `query [batch, m, width], key and value [batch, n, width] -> [batch, m, width]`.
    ///
    /// A bool mask broadcasts to `[batch, heads, m, n]` and is true where a query may attend; a float mask is added to the
    /// scores.
    #[track_caller]
    pub fn forward(&self, query: &Tensor, key: &Tensor, value: &Tensor, mask: Option<&Tensor>) -> Tensor {
        self.attend(query, key, value, &Attending { mask: mask.cloned(), ..Attending::default() })
    }

    /// As [`forward`](Self::forward), with everything there is to say about it.
    #[track_caller]
    pub fn attend(&self, query: &Tensor, key: &Tensor, value: &Tensor, how: &Attending) -> Tensor {
        let ([q, k, v], how) = self.placed(query, key, value, how);
        self.mixed(&q, &k, &v, &how)
    }

    /// As [`attend`](Self::attend), with the weights `[batch, heads, m, n]` by which the queries mix the values, of which some
    /// are dropped: each row sums to 1 before that, or is 0 where a query sees nothing.
    ///
    /// They are computed if they are read; the result alone never stores them.
    ///
    /// ```
    /// use covector::{DType, Key, ops::create::ones};
    /// use covector_nn::{Attending, MultiheadAttention};
    /// let layer = MultiheadAttention::new(&Key::new(0), 4, 2, true);
    /// let x = ones([1, 3, 4], DType::F32);
    /// let (_, weights) = layer.attend_weighted(&x, &x, &x, &Attending { causal: true, ..Attending::default() });
    /// assert_eq!(weights.shape()[..], [1, 2, 3, 3]);
    /// assert_eq!(weights.to_vec::<f32>()[..6], [1.0, 0.0, 0.0, 0.5, 0.5, 0.0]);
    /// ```
    #[track_caller]
    pub fn attend_weighted(&self, query: &Tensor, key: &Tensor, value: &Tensor, how: &Attending) -> (Tensor, Tensor) {
        let ([q, k, v], how) = self.placed(query, key, value, how);
        let weights = weights(&q, &self.shared(&k), &how);
        let y = match how.dropout.is_on() {
            true => self.merged(&weights.matmul(&self.shared(&v))),
            false => self.mixed(&q, &k, &v, &how),
        };
        (y, weights)
    }

    /// Queries, keys and values that know their positions, and who attends to whom with what positions add to it.
    fn placed(&self, query: &Tensor, key: &Tensor, value: &Tensor, how: &Attending) -> ([Tensor; 3], Attending) {
        let [q, k, v] = self.projected(query, key, value);
        let [at, of] = [&q, &k].map(|x| arange(0, x.shape()[2] as i64, 1, DType::I64));
        let [q, k] = [(&q, &at), (&k, &of)].map(|(x, positions)| self.turned(x, positions));
        let mask = self.biased(how.mask.as_ref(), &at, &of, q.dtype());
        ([q, k, v], Attending { mask, ..how.clone() })
    }

    /// An empty cache for `batch` sequences of up to `capacity` tokens.
    pub fn cache(&self, batch: usize, capacity: usize) -> KvCache {
        let features = self.in_proj_weight.shape()[1] / self.heads;
        let empty = || zeros([batch, self.kv_heads, capacity, features], self.in_proj_weight.dtype());
        KvCache { keys: empty(), values: empty(), len: 0 }
    }

    /// Causal self-attention of tokens `x [batch, tokens, width]` that follow those in a cache, and the cache with them.
    ///
    /// The result is that of a causal [`attend`](Self::attend) of all tokens, at the last ones. Evaluate it with the cache.
    ///
    /// ```
    /// use covector::{Key, DType, ops::random::normal};
    /// use covector_nn::{Attending, MultiheadAttention};
    /// let layer = MultiheadAttention::new(&Key::new(0), 4, 2, true);
    /// let x = normal(&Key::new(1), [1, 3, 4], DType::F32);
    /// let whole = layer.attend(&x, &x, &x, &Attending { causal: true, ..Attending::default() });
    /// let parts = x.split([2, 1], 1);
    /// let (_, cache) = layer.decode(&parts[0], layer.cache(1, 3)).unwrap();
    /// let (last, _) = layer.decode(&parts[1], cache).unwrap();
    /// assert!((last - whole.split([2, 1], 1)[1].clone()).abs().max(..).item::<f32>() < 1e-6);
    /// ```
    ///
    /// # Errors
    /// If the cache has no room for them or holds another number of sequences.
    #[track_caller]
    pub fn decode(&self, x: &Tensor, cache: KvCache) -> Result<(Tensor, KvCache)> {
        let [batch, _, capacity, _] = [0, 1, 2, 3].map(|i| cache.keys.shape()[i]);
        let time = x.shape()[1];
        if cache.len + time > capacity {
            return Err(Error::new(format!("{time} tokens, and the cache holds {} of {capacity}", cache.len)));
        }
        if batch != x.shape()[0] {
            return Err(Error::new(format!("{} sequences, and a cache for {batch}", x.shape()[0])));
        }
        let [q, k, v] = self.projected(x, x, x);
        let at = arange(cache.len as i64, (cache.len + time) as i64, 1, DType::I64);
        let all = arange(0, capacity as i64, 1, DType::I64);
        let [q, k] = [&q, &k].map(|x| self.turned(x, &at));
        let places = at.reshape([1, 1, time, 1]);
        let KvCache { keys, values, len } = cache;
        let given = [keys.try_value()?, values.try_value()?];
        drop((keys, values));
        // Written in place, unless somebody else holds the cache.
        let [keys, values] = given.map(Tensor::donated);
        let keys = keys.scatter_set(&places, &k, 2);
        let values = values.scatter_set(&places, &v, 2);
        let seen = at.reshape([time, 1]).greater_equal(&all);
        let mask = self.biased(Some(&seen), &at, &all, q.dtype());
        let y = self.mixed(&q, &keys, &values, &Attending { mask, ..Attending::default() });
        Ok((y, KvCache { keys, values, len: len + time }))
    }

    /// Queries, keys and values, each `[batch, heads, tokens, features]`.
    fn projected(&self, query: &Tensor, key: &Tensor, value: &Tensor) -> [Tensor; 3] {
        let width = self.in_proj_weight.shape()[1];
        let shared = width / self.heads * self.kv_heads;
        // Cutting the weight and not the result keeps the transposes (zeros around a slice, added up) small.
        let cut = |t: &Tensor| t.split([width, shared, shared], 0);
        let (weights, biases) = (cut(&self.in_proj_weight), self.in_proj_bias.as_ref().map(cut));
        let map = |i: usize, x: &Tensor, heads: usize| {
            let map = Linear { weight: weights[i].clone(), bias: biases.as_ref().map(|b| b[i].clone()) };
            split_heads(&map.forward(x), heads)
        };
        [map(0, query, self.heads), map(1, key, self.kv_heads), map(2, value, self.kv_heads)]
    }

    fn turned(&self, x: &Tensor, positions: &Tensor) -> Tensor {
        match &self.positions {
            Positions::Rotary(rotary) => rotary.turn(x, positions),
            _ => x.clone(),
        }
    }

    /// The mask with what the positions add to it.
    fn biased(&self, mask: Option<&Tensor>, at: &Tensor, of: &Tensor, dtype: DType) -> Option<Tensor> {
        if self.positions != Positions::Alibi {
            return mask.cloned();
        }
        let bias = alibi(self.heads, at, of, dtype);
        Some(match mask {
            None => bias,
            Some(mask) if mask.dtype() == DType::Bool => mask.where_(bias, f64::NEG_INFINITY),
            Some(mask) => bias + mask,
        })
    }

    /// The values as the queries weigh them, through the last map.
    fn mixed(&self, q: &Tensor, k: &Tensor, v: &Tensor, how: &Attending) -> Tensor {
        let [k, v] = [k, v].map(|x| self.shared(x));
        self.merged(&match how.dropout.is_on() {
            true => weights(q, &k, how).matmul(&v),
            false => q.scaled_dot_product_attention(&k, &v, how.mask.as_ref(), how.causal),
        })
    }

    /// Keys or values, once for each head of queries.
    fn shared(&self, x: &Tensor) -> Tensor {
        let times = self.heads / self.kv_heads;
        if times == 1 { x.clone() } else { x.repeat(times, 1) }
    }

    /// What the heads found, side by side and through the last map.
    fn merged(&self, y: &Tensor) -> Tensor {
        self.out_proj.forward(&merge_heads(y, self.out_proj.weight.shape()[1]))
    }
}

/// How much each query attends to each key, some of it dropped.
fn weights(q: &Tensor, k: &Tensor, how: &Attending) -> Tensor {
    let [queries, features] = [2, 3].map(|i| q.shape()[i]);
    let mut scores = (q * (features as f64).powf(-0.5)).matmul(&k.transpose(2, 3));
    let causal = how.causal.then(|| ones([queries, k.shape()[2]], DType::Bool).tril(0));
    for mask in how.mask.iter().chain(&causal) {
        scores = match mask.dtype() {
            DType::Bool => mask.where_(scores, f64::NEG_INFINITY),
            _ => scores + mask,
        };
    }
    if how.mask.is_some() {
        // A query that sees nothing gets nothing, as where the weights are not stored.
        let seen = scores.max(keep(-1)).greater(f64::NEG_INFINITY);
        scores = seen.where_(seen.where_(scores, 0.0).softmax(-1), 0.0);
    } else {
        scores = scores.softmax(-1);
    }
    how.dropout.apply(&scores)
}
