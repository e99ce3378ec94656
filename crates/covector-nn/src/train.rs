//! The training step, evaluated as one.

use covector::{Result, Tensor, Tree, try_eval, try_value_and_grad};

use crate::{AdamW, Moments, clip_grad_norm};

/// A model in training: its parameters and the state of its optimiser.
#[derive(Clone, Debug)]
pub struct Training<M> {
    /// The parameters.
    pub model: M,
    /// The optimiser's state.
    pub state: Moments<M>,
    /// The optimiser.
    pub optimizer: AdamW,
    /// The largest norm of the gradient, beyond which it is scaled down.
    pub clip: Option<f64>,
}

impl<M: Tree> Training<M> {
    /// A training that begins with this model.
    pub fn new(model: M, optimizer: AdamW, clip: Option<f64>) -> Self {
        let state = optimizer.start(&model);
        Training { model, state, optimizer, clip }
    }

    /// One step down the gradient of `loss` with learning rate `rate`; gives the loss before it.
    ///
    /// Loss, gradients, clipping and update are one evaluation. Matrices decay, vectors do not, as in GPT-2.
    ///
    /// # Errors
    /// If the loss has no gradient, or an op refuses its data; the model is then as before.
    #[track_caller]
    pub fn step(&mut self, rate: f64, loss: impl Fn(&M) -> Tensor) -> Result<Tensor> {
        let (loss, gradients) = try_value_and_grad(loss, &self.model)?;
        let gradients = match self.clip {
            Some(limit) => clip_grad_norm(&gradients, limit).0,
            None => gradients,
        };
        let state = Moments {
            mean: self.state.mean.map_leaves(Tensor::clone),
            square: self.state.square.map_leaves(Tensor::clone),
            steps: self.state.steps,
        };
        let (model, state) = self.optimizer.step(&self.model, &gradients, state, rate, |_, p| p.ndim() >= 2);
        drop(gradients);
        let all: Vec<Tensor> = [loss.clone()].into_iter().chain(model.leaves()).chain(state.leaves()).collect();
        try_eval(&all)?;
        (self.model, self.state) = (model, state);
        Ok(loss)
    }
}
