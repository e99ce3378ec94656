//! The one face of all layers: leaves by name, and a call.

use covector::{Key, Result, Tensor, Tree};
use covector_nn::recurrent::{Cell, Recurrent, RecurrentState};
use covector_nn::sequential::Layer;
use covector_nn::{Attending, Bilinear, Dropout, MultiheadAttention, TransformerDecoderLayer, TransformerEncoderLayer};

/// Leaves by name.
pub type Named = Vec<(String, Tensor)>;

/// What a layer is called with.
pub struct Call {
    pub inputs: Vec<Tensor>,
    /// Who attends to whom: for attention.
    pub masks: Vec<Option<Tensor>>,
    pub causal: Vec<bool>,
    /// Whether the weights of the attention are wanted, too.
    pub weights: bool,
    /// What a recurrent layer remembers.
    pub hidden: Vec<Tensor>,
    /// The key of what is dropped; none outside training.
    pub key: Option<Key>,
    pub training: bool,
}

impl Call {
    /// How the `i`-th attention goes.
    fn attending(&self, i: usize, rate: f64) -> Attending {
        Attending {
            mask: self.masks.get(i).cloned().flatten(),
            causal: self.causal.get(i).copied().unwrap_or(false),
            dropout: self.dropout(i, rate),
        }
    }

    /// Dropping at the `i`-th place.
    fn dropout(&self, i: usize, rate: f64) -> Dropout {
        match &self.key {
            Some(key) => Dropout::new(rate, key.fold_in(i as i64)),
            None => Dropout::off(),
        }
    }
}

/// A layer: how it is called, with parameters and states that its owner keeps.
pub trait Face: Send + Sync {
    /// The parameters that it begins with.
    fn parameters(&self) -> Named;

    /// What it remembers before the first call in training.
    fn state(&self) -> Named {
        Vec::new()
    }

    /// The results, and what it remembers now if that has changed.
    fn call(&self, parameters: Vec<Tensor>, state: Vec<Tensor>, how: &Call) -> Result<(Vec<Tensor>, Vec<Tensor>)>;

    /// Whether it draws random numbers in training.
    fn draws(&self) -> bool {
        false
    }
}

/// A layer of one tensor.
pub struct Single<L> {
    pub layer: L,
    pub draws: bool,
}

impl<L: Layer + Send + Sync> Face for Single<L> {
    fn parameters(&self) -> Named {
        self.layer.named()
    }

    fn state(&self) -> Named {
        self.layer.start().named()
    }

    fn call(&self, parameters: Vec<Tensor>, state: Vec<Tensor>, how: &Call) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let (layer, x) = (self.layer.with_leaves(parameters), &how.inputs[0]);
        let state = layer.start().with_leaves(state);
        if !how.training {
            return Ok((vec![layer.eval(x, &state)], Vec::new()));
        }
        // A layer that draws nothing takes any key.
        let key = how.key.clone().unwrap_or_else(|| Key::new(0));
        let (y, state) = layer.train(x, &state, &key);
        Ok((vec![y], state.leaves()))
    }

    fn draws(&self) -> bool {
        self.draws
    }
}

/// A layer that is a function of its parameters and inputs.
pub struct Function<T, F> {
    pub tree: T,
    pub function: F,
}

impl<T: Tree + Send + Sync, F: Fn(&T, &[Tensor]) -> Result<Tensor> + Send + Sync> Face for Function<T, F> {
    fn parameters(&self) -> Named {
        self.tree.named()
    }

    fn call(&self, parameters: Vec<Tensor>, _: Vec<Tensor>, how: &Call) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let tree = self.tree.with_leaves(parameters);
        Ok((vec![(self.function)(&tree, &how.inputs)?], Vec::new()))
    }
}

impl Face for Bilinear {
    fn parameters(&self) -> Named {
        self.named()
    }

    fn call(&self, parameters: Vec<Tensor>, _: Vec<Tensor>, how: &Call) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let layer = self.with_leaves(parameters);
        Ok((vec![layer.forward(&how.inputs[0], &how.inputs[1])], Vec::new()))
    }
}

/// A recurrent network, with the part that is dropped between its layers.
pub struct Unrolled<C> {
    pub layer: Recurrent<C>,
    pub rate: f64,
}

impl<C: Cell + Send + Sync> Face for Unrolled<C> {
    fn parameters(&self) -> Named {
        self.layer.named()
    }

    fn call(&self, parameters: Vec<Tensor>, _: Vec<Tensor>, how: &Call) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let layer = self.layer.with_leaves(parameters);
        let mut hidden = how.hidden.iter().cloned();
        let state = hidden.next().map(|h| RecurrentState { h, c: hidden.next() });
        let (x, state, dropout) = (&how.inputs[0], state.as_ref(), how.dropout(0, self.rate));
        let (y, state) = match how.masks.first().and_then(Option::as_ref) {
            Some(mask) => layer.forward_masked(x, mask, state, &dropout),
            None => layer.forward(x, state, &dropout),
        };
        Ok(([y, state.h].into_iter().chain(state.c).collect(), Vec::new()))
    }

    fn draws(&self) -> bool {
        self.rate > 0.0
    }
}

/// Something with attention in it, and the part that is dropped.
pub struct Attention<L> {
    pub layer: L,
    pub rate: f64,
}

macro_rules! attention {
    ($($layer:ty: |$l:ident, $x:ident, $how:ident, $rate:ident| $y:expr),* $(,)?) => {$(
        impl Face for Attention<$layer> {
            fn parameters(&self) -> Named {
                self.layer.named()
            }
            fn call(&self, parameters: Vec<Tensor>, _: Vec<Tensor>, $how: &Call) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
                let ($l, $x, $rate) = (self.layer.with_leaves(parameters), &$how.inputs, self.rate);
                Ok(($y, Vec::new()))
            }
            fn draws(&self) -> bool {
                self.rate > 0.0
            }
        }
    )*};
}
attention! {
    MultiheadAttention: |l, x, how, rate| match how.weights {
        true => <[Tensor; 2]>::from(l.attend_weighted(&x[0], &x[1], &x[2], &how.attending(0, rate))).to_vec(),
        false => vec![l.attend(&x[0], &x[1], &x[2], &how.attending(0, rate))],
    },
    TransformerEncoderLayer: |l, x, how, rate| vec![l.forward(&x[0], &how.attending(0, rate), &how.dropout(2, rate))],
    TransformerDecoderLayer: |l, x, how, rate| {
        vec![l.forward(&x[0], &x[1], &how.attending(0, rate), &how.attending(1, rate), &how.dropout(2, rate))]
    },
}
