//! Layers one after the other: a tuple of layers is a layer, and so is a vector of equal ones.
//!
//! Training and evaluating are two methods, so that nothing has to be switched; what a layer remembers (running statistics)
//! is given and given back. Names of parameters and of states are those of PyTorch's `nn.Sequential`: "0.weight",
//! "1.running_mean".
//!
//! ```
//! use covector::{DType, Key, Tree, ops::random::normal};
//! use covector_nn::conv::{Conv2d, ConvOptions};
//! use covector_nn::sequential::{Activation, Flatten, Layer, Rate};
//! use covector_nn::{BatchNorm, Linear, pool::MaxPool2d};
//! let key = Key::new(0);
//! let features = (
//!     Conv2d::new(&key.fold_in(0), 1, 4, [3, 3], ConvOptions::default()),
//!     BatchNorm::new(4),
//!     Activation::Relu,
//!     MaxPool2d::new([2, 2]),
//! );
//! let net = (features, Flatten, Rate(0.1), Linear::new(&key.fold_in(1), 4 * 3 * 3, 10, true));
//! let x = normal(&key.fold_in(2), [5, 1, 8, 8], DType::F32);
//! let (y, state) = net.train(&x, &net.start(), &key.fold_in(3));
//! assert_eq!(y.shape()[..], [5, 10]);
//! assert_eq!(net.eval(&x, &state).shape()[..], [5, 10]);
//! assert_eq!(net.named()[2].0, "0.1.weight");
//! assert_eq!(state.named()[0].0, "0.1.running_mean");
//! ```

use covector::{Key, Tensor, Tree};

use crate::conv::{Conv, ConvTranspose};
use crate::norm::RunningStats;
use crate::pool::{AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool};
use crate::{BatchNorm, Dropout, Embedding, GroupNorm, LayerNorm, Linear, RMSNorm};

/// A map of one tensor to one.
pub trait Layer: Tree {
    /// What it remembers from one batch to the next: `()` for most.
    type State: Tree;

    /// What it remembers before the first batch.
    fn start(&self) -> Self::State;

    /// The result outside training: the same for every call.
    fn eval(&self, x: &Tensor, state: &Self::State) -> Tensor;

    /// The result in training, with a key for what is dropped, and what is remembered afterwards.
    fn train(&self, x: &Tensor, state: &Self::State, key: &Key) -> (Tensor, Self::State);
}

macro_rules! the_same_in_training {
    ($([$($generics:tt)*] $layer:ty),* $(,)?) => {$(
        impl<$($generics)*> Layer for $layer {
            type State = ();
            fn start(&self) {}
            #[track_caller]
            fn eval(&self, x: &Tensor, (): &()) -> Tensor {
                self.forward(x)
            }
            #[track_caller]
            fn train(&self, x: &Tensor, (): &(), _: &Key) -> (Tensor, ()) {
                (self.forward(x), ())
            }
        }
    )*};
}
the_same_in_training![
    [] Linear, [] Embedding, [] LayerNorm, [] RMSNorm, [] GroupNorm, [] Activation, [] Flatten,
    [const D: usize] Conv<D>, [const D: usize] ConvTranspose<D>, [const D: usize] MaxPool<D>, [const D: usize] AvgPool<D>,
    [const D: usize] AdaptiveMaxPool<D>, [const D: usize] AdaptiveAvgPool<D>,
];

impl Layer for BatchNorm {
    type State = RunningStats;
    fn start(&self) -> RunningStats {
        BatchNorm::start(self)
    }
    #[track_caller]
    fn eval(&self, x: &Tensor, state: &RunningStats) -> Tensor {
        BatchNorm::eval(self, x, state)
    }
    #[track_caller]
    fn train(&self, x: &Tensor, state: &RunningStats, _: &Key) -> (Tensor, RunningStats) {
        BatchNorm::train(self, x, state)
    }
}

macro_rules! tuples {
    ($($L:ident $i:tt),+) => {
        impl<$($L: Layer),+> Layer for ($($L,)+) {
            type State = ($($L::State,)+);
            fn start(&self) -> Self::State {
                ($(self.$i.start(),)+)
            }
            #[track_caller]
            fn eval(&self, x: &Tensor, state: &Self::State) -> Tensor {
                let x = x.clone();
                $( let x = self.$i.eval(&x, &state.$i); )+
                x
            }
            #[track_caller]
            fn train(&self, x: &Tensor, state: &Self::State, key: &Key) -> (Tensor, Self::State) {
                let mut x = x.clone();
                let state = ($({
                    let (y, state) = self.$i.train(&x, &state.$i, &key.fold_in($i));
                    x = y;
                    state
                },)+);
                (x, state)
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

impl<L: Layer> Layer for Vec<L> {
    type State = Vec<L::State>;
    fn start(&self) -> Self::State {
        self.iter().map(L::start).collect()
    }
    #[track_caller]
    fn eval(&self, x: &Tensor, state: &Self::State) -> Tensor {
        self.iter().zip(state).fold(x.clone(), |x, (layer, state)| layer.eval(&x, state))
    }
    #[track_caller]
    fn train(&self, x: &Tensor, state: &Self::State, key: &Key) -> (Tensor, Self::State) {
        let (mut x, mut new) = (x.clone(), Vec::with_capacity(self.len()));
        for (i, (layer, state)) in self.iter().zip(state).enumerate() {
            let (y, state) = layer.train(&x, state, &key.fold_in(i as i64));
            x = y;
            new.push(state);
        }
        (x, new)
    }
}

/// A function of each element.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::sequential::Activation;
/// assert_eq!(Activation::Relu.of(&Tensor::from([-1.0f32, 2.0])).to_vec::<f32>(), [0.0, 2.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Tree)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x Φ(x)`.
    Gelu,
    /// GELU by a hyperbolic tangent.
    GeluTanh,
    /// `x / (1 + e^-x)`.
    Silu,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
}

impl Activation {
    /// As `x`.
    #[track_caller]
    pub fn of(&self, x: &Tensor) -> Tensor {
        match self {
            Activation::Relu => x.relu(),
            Activation::Gelu => x.gelu(),
            Activation::GeluTanh => x.gelu_tanh(),
            Activation::Silu => x.silu(),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => x.sigmoid(),
        }
    }

    #[track_caller]
    fn forward(&self, x: &Tensor) -> Tensor {
        self.of(x)
    }
}

/// All axes after the first as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Tree)]
pub struct Flatten;

impl Flatten {
    #[track_caller]
    fn forward(&self, x: &Tensor) -> Tensor {
        x.flatten(1, -1)
    }
}

/// [`Dropout`] as a layer: this part of the elements is dropped in training.
#[derive(Clone, Copy, Debug, PartialEq, Tree)]
pub struct Rate(pub f64);

impl Layer for Rate {
    type State = ();
    fn start(&self) {}
    fn eval(&self, x: &Tensor, (): &()) -> Tensor {
        x.clone()
    }
    #[track_caller]
    fn train(&self, x: &Tensor, (): &(), key: &Key) -> (Tensor, ()) {
        (Dropout::new(self.0, key.clone()).apply(x), ())
    }
}
