//! The training step, evaluated as one.

use covector::{Error, Result, Tensor, Tree, try_eval, try_value_and_grad};

use crate::data::pieces;
use crate::{AdamW, Dropout, Gpt, Moments, clip_grad_norm};

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

/// The mean loss over the pieces of `tokens [n]` of the model's block, side by side; over `limit` of them, evenly spread,
/// if there are more.
///
/// # Errors
/// If there are not more tokens than the block is long, or one is outside the vocabulary.
pub fn held_out_loss(model: &Gpt, tokens: &Tensor, batch: usize, limit: Option<usize>) -> Result<f64> {
    let block = model.wpe.weight.shape()[0];
    mean_loss(tokens, block, batch, limit, |x, y| model.loss(x, y, &Dropout::off()))
}

/// As [`held_out_loss`], of any model: `loss` of `batch` pieces and the same moved on by one, both `[batch, block]`.
///
/// # Errors
/// If there are not more tokens than the block is long, or the loss cannot be computed.
pub fn mean_loss(
    tokens: &Tensor,
    block: usize,
    batch: usize,
    limit: Option<usize>,
    loss: impl Fn(&Tensor, &Tensor) -> Tensor,
) -> Result<f64> {
    let all = tokens.size().saturating_sub(1) / block;
    if all == 0 {
        return Err(Error::new(format!("{} tokens have no piece of {block} with a next token", tokens.size())));
    }
    let count = limit.unwrap_or(all).clamp(1, all);
    let starts: Vec<i64> = (0..count).map(|i| (i * all / count * block) as i64).collect();
    let mut sum = 0.0;
    for starts in starts.chunks(batch.max(1)) {
        let (x, y) = pieces(tokens, &Tensor::from_slice(starts, [starts.len(), 1]), block);
        let loss = loss(&x, &y);
        try_eval([&loss])?;
        sum += loss.to_f64() * starts.len() as f64;
    }
    Ok(sum / count as f64)
}
