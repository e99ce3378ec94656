//! One token after the other: what the model computed of earlier tokens is kept.

use std::collections::HashMap;

use covector::ops::create::{arange, zeros};
use covector::{DType, Error, Result, Spec, Tensor, Tree, eval, trim_pool, try_eval};

use crate::{Block, Dropout, Gpt};

/// The keys and values of the tokens a [`Gpt`] has seen, so that the next one costs the work of one.
#[derive(Debug)]
pub struct Cache {
    /// For each block `[batch, capacity, 2 width]`: keys, then values.
    layers: Vec<Tensor>,
    capacity: usize,
    len: usize,
}

impl Cache {
    /// The number of tokens seen, in each sequence.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if nothing was seen yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of tokens there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// A cache of keys and values that were computed before: for each block `[batch, capacity, 2 width]`, keys, then
    /// values, of which the first `len` places are filled; as [`layers`](Self::layers) gives them.
    ///
    /// # Errors
    /// If the layers differ in shape, have not three axes, or less than `len` places.
    pub fn from_layers(layers: Vec<Tensor>, len: usize) -> Result<Cache> {
        let capacity = layers.first().and_then(|layer| layer.shape().get(1).copied()).unwrap_or(0);
        match layers.iter().find(|layer| layer.ndim() != 3 || layer.shape() != layers[0].shape()) {
            Some(odd) => Err(Error::new(format!("layers [batch, capacity, 2 width] of one shape, not {}", odd.spec()))),
            None if len > capacity => Err(Error::new(format!("{len} tokens in layers with room for {capacity}"))),
            None => Ok(Cache { layers, capacity, len }),
        }
    }

    /// The keys and values, for each block `[batch, capacity, 2 width]`.
    pub fn layers(&self) -> &[Tensor] {
        &self.layers
    }

    /// Forgets all tokens but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// An empty cache of so many layers for `batch` sequences of up to `capacity` tokens; keys and values of a token have
    /// `features` numbers together.
    pub fn empty(layers: usize, batch: usize, capacity: usize, features: usize, dtype: DType) -> Cache {
        let layers = (0..layers).map(|_| zeros([batch, capacity, features], dtype)).collect();
        Cache { layers, capacity, len: 0 }
    }

    /// Lets a model see `tokens [batch, time]` behind those in the cache: `run` is told where they stand and given the layers,
    /// writes their keys and values there ([`Step::written`]), and gives its logits and the new layers.
    ///
    /// # Errors
    /// If there are no tokens or more than there is room for, or the batch is another. The cache is empty after an error in the
    /// computation.
    #[track_caller]
    pub fn advance(
        &mut self,
        tokens: &Tensor,
        run: impl FnOnce(&Step, Vec<Tensor>) -> (Tensor, Vec<Tensor>),
    ) -> Result<Tensor> {
        let (batch, time) = match tokens.shape()[..] {
            [batch, time] => (batch, time),
            _ => return Err(Error::new(format!("tokens must be [batch, time], not {}", tokens.shape()))),
        };
        let (start, room) = (self.len, self.capacity - self.len);
        if time == 0 || time > room {
            return Err(Error::new(format!("{time} tokens, and the cache has room for {room} of {}", self.capacity))
                .hint("at least one; a cache has at most as many places as the model's block"));
        }
        if let Some(layer) = self.layers.iter().find(|layer| layer.shape()[0] != batch) {
            return Err(Error::new(format!("{batch} sequences, and a cache for {}", layer.shape()[0])));
        }
        let places = Tensor::from((start as i64..(start + time) as i64).collect::<Vec<i64>>());
        let seen = places.reshape([time, 1]).greater_equal(arange(0, self.capacity as i64, 1, DType::I64));
        let specs: Vec<Spec> = self.layers.iter().map(|layer| layer.spec().clone()).collect();
        let (layers, len) = (std::mem::take(&mut self.layers), std::mem::take(&mut self.len));
        let given = layers.iter().map(Tensor::try_value).collect::<Result<Vec<_>>>()?;
        drop(layers);
        let (logits, layers) = run(&Step { places, seen }, given.into_iter().map(Tensor::donated).collect());
        self.layers = layers;
        match try_eval(self.layers.iter().chain([&logits])) {
            Ok(()) => {
                self.len = len + time;
                Ok(logits)
            }
            Err(e) => {
                self.layers = specs.iter().map(|spec| zeros(spec.shape.clone(), spec.dtype)).collect();
                Err(e)
            }
        }
    }
}

/// Where new tokens stand in a [`Cache`].
#[derive(Debug)]
pub struct Step {
    /// The positions of the new tokens, `[time]`.
    pub places: Tensor,
    /// `[time, capacity]`: true where a new token may attend.
    pub seen: Tensor,
}

impl Step {
    /// A layer of the cache with the keys and values of the new tokens, `[batch, time, features]`, at their places.
    #[track_caller]
    pub fn written(&self, layer: &Tensor, new: &Tensor) -> Tensor {
        layer.scatter_set(&self.places.reshape([1, self.places.size(), 1]), new, 1)
    }
}

/// A model that continues a sequence of tokens, with what it computed of earlier ones in a [`Cache`].
pub trait Decoder {
    /// The most tokens it sees at once.
    fn context(&self) -> usize;

    /// The number of different tokens.
    fn vocabulary(&self) -> usize;

    /// An empty cache for `batch` sequences of up to `capacity` tokens, at most as many as the context.
    fn cache(&self, batch: usize, capacity: usize) -> Cache;

    /// The logits `[batch, vocabulary]` of the token after `tokens [batch, time]`, which follow those in the cache and are
    /// added to it.
    ///
    /// # Errors
    /// As [`Cache::advance`], and if a token is none of the vocabulary.
    fn decode(&self, tokens: &Tensor, cache: &mut Cache) -> Result<Tensor>;
}

/// A tree whose matrices that are `wanted` lie in memory as products with their transposes read them, one row of inputs after
/// the other, so that single tokens are read at the rate of memory. Shapes and values are as before.
///
/// Matrices are copied one after the other, and no gradient leads back. A matrix at two places is copied once. Memory that is
/// spare then goes back to the system.
#[track_caller]
pub fn laid_out<T: Tree>(model: T, wanted: impl Fn(&str) -> bool) -> T {
    let leaves = model.named();
    let empty = model.map_leaves(|_| Tensor::from(0.0f32));
    // From here on each weight is held by its leaf alone, and goes when it was copied.
    drop(model);
    let mut done: HashMap<u64, Tensor> = HashMap::new();
    let turned = |(path, x): (String, Tensor)| {
        if let Some(have) = done.get(&x.id()) {
            return have.clone();
        }
        if x.ndim() != 2 || !wanted(&path) {
            return x;
        }
        let id = x.id();
        let turned = Tensor::from_array(x.t().value().contiguous()).t();
        eval([&turned]);
        done.insert(id, turned.clone());
        turned
    };
    let leaves: Vec<Tensor> = leaves.into_iter().map(turned).collect();
    drop(done);
    trim_pool();
    let mut leaves = leaves.into_iter();
    empty.map_leaves(|_| leaves.next().expect("as many leaves as before"))
}

impl Gpt {
    /// An empty cache for `batch` sequences of up to `capacity` tokens, at most as many as the model's block.
    pub fn cache(&self, batch: usize, capacity: usize) -> Cache {
        let [block, width] = [0, 1].map(|i| self.wpe.weight.shape()[i]);
        let capacity = capacity.min(block);
        Cache::empty(self.h.len(), batch, capacity, 2 * width, self.wpe.weight.dtype())
    }

    /// The same model with matrices laid out in memory as [`decode`](Self::decode) of single tokens reads them: across outputs
    /// rather than along inputs.
    ///
    /// Shapes and results, to the bit, are those of this model; a token of a large model takes less time, as its weights
    /// are read at the rate of memory. The weights are copied one after the other, and no gradient leads back to this model.
    ///
    /// ```
    /// use covector::{Key, Tensor};
    /// use covector_nn::{Gpt, GptConfig};
    /// let config = GptConfig { vocabulary: 5, block: 8, layers: 2, heads: 2, width: 4, bias: false };
    /// let model = Gpt::new(&Key::new(0), &config);
    /// let [one, other] = [model.clone(), model.for_decoding()]
    ///     .map(|model| model.decode(&Tensor::from([[3]]), &mut model.cache(1, 8)).unwrap().to_vec::<f32>());
    /// assert_eq!(one, other);
    /// ```
    #[track_caller]
    pub fn for_decoding(self) -> Gpt {
        laid_out(self, |_| true)
    }

    /// The logits of the token after `tokens [batch, time]`, which follow those in the cache and are added to it:
    /// `[batch, vocabulary]`.
    ///
    /// They are those that [`forward`](Gpt::forward) gives for the last of all tokens. The cache is written in place.
    ///
    /// ```
    /// use covector::{Key, Tensor};
    /// use covector_nn::{Dropout, Gpt, GptConfig};
    /// let config = GptConfig { vocabulary: 5, block: 8, layers: 2, heads: 2, width: 4, bias: false };
    /// let model = Gpt::new(&Key::new(0), &config);
    /// let mut cache = model.cache(1, 8);
    /// model.decode(&Tensor::from([[0, 3]]), &mut cache).unwrap();
    /// let logits = model.decode(&Tensor::from([[1]]), &mut cache).unwrap();
    /// let all = model.forward(&Tensor::from([[0, 3, 1]]), &Dropout::off());
    /// assert_eq!(logits.to_vec::<f32>(), all.to_vec::<f32>()[10..]);
    /// ```
    ///
    /// # Errors
    /// If there are no tokens or more than the cache has room for, the batch is another, or a token is none of the
    /// vocabulary. The cache is empty after an error in the computation.
    #[track_caller]
    pub fn decode(&self, tokens: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        cache.advance(tokens, |step, layers| {
            let mut x = self.wte.forward(tokens) + self.wpe.forward(&step.places);
            let mut written = Vec::with_capacity(layers.len());
            for (block, layer) in self.h.iter().zip(layers) {
                let (y, layer) = block.decode(&x, layer, step);
                x = y;
                written.push(layer);
            }
            let last = self.ln_f.forward(&x.take(&Tensor::from(-1), 1));
            (last.matmul(&self.wte.weight.t()), written)
        })
    }
}

impl Decoder for Gpt {
    fn context(&self) -> usize {
        self.wpe.weight.shape()[0]
    }

    fn vocabulary(&self) -> usize {
        self.wte.weight.shape()[0]
    }

    fn cache(&self, batch: usize, capacity: usize) -> Cache {
        Gpt::cache(self, batch, capacity)
    }

    fn decode(&self, tokens: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        Gpt::decode(self, tokens, cache)
    }
}

impl Block {
    fn decode(&self, x: &Tensor, cache: Tensor, step: &Step) -> (Tensor, Tensor) {
        let (attended, cache) = self.attn.decode(&self.ln_1.forward(x), cache, step);
        let x = x + attended;
        (&x + self.mlp.forward(&self.ln_2.forward(&x), &Dropout::off()), cache)
    }
}
