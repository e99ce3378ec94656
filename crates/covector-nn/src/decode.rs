//! One token after the other: what the model computed of earlier tokens is kept.

use covector::ops::create::{arange, zeros};
use covector::{DType, Error, Result, Tensor, Tree, eval, try_eval};

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
}

impl Gpt {
    /// An empty cache for `batch` sequences of up to `capacity` tokens, at most as many as the model's block.
    pub fn cache(&self, batch: usize, capacity: usize) -> Cache {
        let [block, width] = [0, 1].map(|i| self.wpe.weight.shape()[i]);
        let capacity = capacity.min(block);
        let empty = |_: &Block| zeros([batch, capacity, 2 * width], self.wpe.weight.dtype());
        Cache { layers: self.h.iter().map(empty).collect(), capacity, len: 0 }
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
        let leaves = self.leaves();
        let empty = self.map_leaves(|_| Tensor::from(0.0f32));
        // From here on each weight is held by its leaf alone, and goes when it was copied.
        drop(self);
        let turned = |x: Tensor| match x.ndim() {
            2 => {
                let turned = Tensor::from_array(x.t().value().contiguous()).t();
                eval([&turned]);
                turned
            }
            _ => x,
        };
        let mut leaves = leaves.into_iter().map(turned);
        empty.map_leaves(|_| leaves.next().expect("as many leaves as before"))
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
        let (batch, time) = match tokens.shape()[..] {
            [batch, time] => (batch, time),
            _ => return Err(Error::new(format!("tokens must be [batch, time], not {}", tokens.shape()))),
        };
        let (start, room) = (cache.len, cache.capacity - cache.len);
        if time == 0 || time > room {
            return Err(Error::new(format!("{time} tokens, and the cache has room for {room} of {}", cache.capacity))
                .hint("at least one; a cache has at most as many places as the model's block"));
        }
        if let Some(layer) = cache.layers.iter().find(|layer| layer.shape()[0] != batch) {
            return Err(Error::new(format!("{batch} sequences, and a cache for {}", layer.shape()[0])));
        }
        let places = Tensor::from((start as i64..(start + time) as i64).collect::<Vec<i64>>());
        let seen = places.reshape([time, 1]).greater_equal(arange(0, cache.capacity as i64, 1, DType::I64));
        let mut x = self.wte.forward(tokens) + self.wpe.forward(&places);
        let (layers, len) = (std::mem::take(&mut cache.layers), std::mem::take(&mut cache.len));
        let given = layers.iter().map(Tensor::try_value).collect::<Result<Vec<_>>>()?;
        drop(layers);
        for (block, given) in self.h.iter().zip(given) {
            let (y, layer) = block.decode(&x, Tensor::donated(given), &places, &seen);
            x = y;
            cache.layers.push(layer);
        }
        let last = self.ln_f.forward(&x.take(&Tensor::from(-1), 1));
        let logits = last.matmul(&self.wte.weight.t());
        let all: Vec<&Tensor> = cache.layers.iter().chain([&logits]).collect();
        match try_eval(all) {
            Ok(()) => {
                cache.len = len + time;
                Ok(logits)
            }
            Err(e) => {
                *cache = self.cache(batch, cache.capacity);
                Err(e)
            }
        }
    }
}

impl Block {
    fn decode(&self, x: &Tensor, cache: Tensor, places: &Tensor, seen: &Tensor) -> (Tensor, Tensor) {
        let (attended, cache) = self.attn.decode(&self.ln_1.forward(x), cache, places, seen);
        let x = x + attended;
        (&x + self.mlp.forward(&self.ln_2.forward(&x), &Dropout::off()), cache)
    }
}
