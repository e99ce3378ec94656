//! Dropout as an argument: a model is told at each call whether, how much and with which key.

use covector::{Key, Tensor};

/// How much to drop, and the key that says what; [`Dropout::off`] for inference.
///
/// A layer that drops at several places, or hands on to other layers, gives each a key of its own with
/// [`layer`](Self::layer).
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f64,
    key: Option<Key>,
}

impl Dropout {
    /// Nothing is dropped.
    pub fn off() -> Self {
        Dropout { rate: 0.0, key: None }
    }

    /// Elements are dropped with probability `rate`, as the key says.
    ///
    /// ```
    /// use covector::{Key, Tensor};
    /// use covector_nn::Dropout;
    /// let y = Dropout::new(0.5, Key::new(0)).apply(&Tensor::from([1.0f32; 8]));
    /// assert!(y.to_vec::<f32>().iter().all(|&y| y == 0.0 || y == 2.0));
    /// ```
    pub fn new(rate: f64, key: Key) -> Self {
        Dropout { rate, key: (rate > 0.0).then_some(key) }
    }

    /// True if something is dropped.
    pub fn is_on(&self) -> bool {
        self.key.is_some()
    }

    /// The same rate with a key of its own for the `i`-th layer within.
    pub fn layer(&self, i: usize) -> Self {
        Dropout { rate: self.rate, key: self.key.as_ref().map(|key| key.fold_in(i as i64)) }
    }

    /// `x` with elements dropped and the others scaled up.
    #[track_caller]
    pub fn apply(&self, x: &Tensor) -> Tensor {
        match &self.key {
            Some(key) => x.dropout(key, self.rate),
            None => x.clone(),
        }
    }
}
