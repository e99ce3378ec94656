//! One step: gradients of one or several batches, clipping, update, average; evaluated as one.

use covector::{Tensor, Tree, try_eval};
use covector_nn::optim::{self, Optimizer, value_and_grad_with};
use covector_nn::{Accumulated, Ema, clip_grad_norm, clip_grad_value};

use crate::checkpoint::State;
use crate::examine::Seen;
use crate::{Purpose, Result, Settings, Task};

/// What a step changes, and how.
pub(crate) struct Machine<T: Task> {
    pub model: T::Model,
    pub running: T::Running,
    pub optimizer: optim::State,
    pub average: Option<T::Model>,
    pub rule: Optimizer,
}

impl<T: Task> Machine<T> {
    /// Before the first step.
    pub fn start(task: &T, settings: &Settings) -> Result<Self> {
        let (model, running) = task.start(&Purpose::Weights.key(settings.seed))?;
        let rule = settings.optimizer.build(task, &model)?;
        let optimizer = rule.start(&model);
        let average = settings.ema.map(|_| copy(&model));
        Ok(Machine { model, running, optimizer, average, rule })
    }

    /// As a checkpoint has it.
    pub fn state(&self, best: Option<(T::Model, T::Running)>) -> State<T::Model, T::Running> {
        State {
            model: copy(&self.model),
            running: copy(&self.running),
            optimizer: copy(&self.optimizer),
            average: self.average.as_ref().map(copy),
            best,
        }
    }

    /// Goes on from this state; gives the best model so far, if it is kept.
    pub fn put(&mut self, state: State<T::Model, T::Running>) -> Option<(T::Model, T::Running)> {
        let State { model, running, optimizer, average, best } = state;
        (self.model, self.running, self.optimizer, self.average) = (model, running, optimizer, average);
        best
    }

    /// What is judged and saved: the average if there is one.
    pub fn kept(&self) -> (T::Model, T::Running) {
        (copy(self.average.as_ref().unwrap_or(&self.model)), copy(&self.running))
    }

    /// Step `step`, counted from 0; gives the loss before it, and gradients and the model before it if they are to be looked at.
    pub fn step(
        &mut self,
        task: &T,
        settings: &Settings,
        step: usize,
        rate: f64,
        next: &mut dyn FnMut() -> Result<T::Batch>,
        look: bool,
    ) -> Result<(f64, Option<Seen<T::Model>>)> {
        let noise = Purpose::Noise.key(settings.seed);
        let (mut losses, mut sum) = (0.0, None::<Accumulated<T::Model>>);
        let mut running = copy(&self.running);
        let mut last = None;
        for i in 0..settings.accumulate {
            let (batch, key) = (next()?, noise.fold_in((step * settings.accumulate + i) as i64));
            let loss = |model: &T::Model| task.loss(model, &running, &batch, &key);
            let (loss, after, gradients) = value_and_grad_with(loss, &self.model)?;
            running = after;
            let all = match &sum {
                Some(sum) => sum.and(&gradients),
                None => Accumulated::of(gradients),
            };
            if i + 1 < settings.accumulate {
                try_eval(&[vec![loss.clone()], all.leaves(), running.leaves()].concat())?;
                losses += loss.to_f64();
            } else {
                last = Some(loss);
            }
            sum = Some(all);
        }
        let (Some(loss), Some(sum)) = (last, sum) else { unreachable!("a step has at least one batch") };
        let gradients = if settings.accumulate == 1 { sum.sum } else { sum.mean() };
        let seen = look.then(|| Seen::of(&gradients, &self.model));
        let gradients = match settings.clip_value {
            Some(limit) => clip_grad_value(&gradients, limit),
            None => gradients,
        };
        let gradients = match settings.clip {
            Some(limit) => clip_grad_norm(&gradients, limit).0,
            None => gradients,
        };
        let (model, optimizer) = self.rule.step(&self.model, &gradients, &self.optimizer, rate);
        drop(gradients);
        let average = match (&self.average, settings.ema) {
            (Some(average), Some(decay)) => Some(Ema { decay }.update(average, &model)),
            _ => None,
        };
        let kept = seen.as_ref().map(|seen| seen.gradients.leaves()).unwrap_or_default();
        let all =
            [kept, vec![loss.clone()], model.leaves(), optimizer.leaves(), running.leaves(), average.leaves()].concat();
        try_eval(&all)?;
        (self.model, self.optimizer, self.running, self.average) = (model, optimizer, running, average);
        Ok(((losses + loss.to_f64()) / settings.accumulate as f64, seen))
    }
}

/// Another handle on the same tensors.
pub(crate) fn copy<P: Tree>(tree: &P) -> P {
    tree.map_leaves(Tensor::clone)
}
