//! One step: gradients of one or several batches, clipping, update, average; evaluated as one.

use std::borrow::Borrow;
use std::cell::RefCell;

use covector::{DType, Tensor, Tree, try_eval};
use covector_nn::mixed::{LossScale, keep};
use covector_nn::optim::{self, LBFGS, Memory, Optimizer, value_and_grad_with};
use covector_nn::schedule::PlateauState;
use covector_nn::{Accumulated, Ema, clip_grad_norm, clip_grad_value};

use crate::checkpoint::State;
use crate::examine::Seen;
use crate::{Error, Measure, Precision, Purpose, Result, Settings, Task};

/// What moves the weights, and what it remembers.
pub(crate) enum Mover {
    /// Each parameter by itself, down one gradient.
    Rules(Optimizer, optim::State),
    /// All of them together, after several looks at the loss of one batch.
    Search(LBFGS, Memory),
}

/// What is told to a step.
pub(crate) struct Turn<'a, T> {
    pub task: &'a T,
    pub settings: &'a Settings,
    /// The number of the step, counted from 0.
    pub step: usize,
    pub rate: f64,
    /// Whether gradients and the model before it are to be looked at.
    pub look: bool,
}

/// The loss before a step, and what is to be looked at.
pub(crate) type Stepped<T> = Result<(f64, Option<Seen<<T as Task>::Model>>)>;

/// What a step changes, and how.
pub(crate) struct Machine<T: Task> {
    pub model: T::Model,
    pub running: T::Running,
    pub mover: Mover,
    pub average: Option<T::Model>,
    /// What losses are multiplied with in mixed precision.
    pub scale: Option<LossScale>,
    /// What the rate goes by, if it goes by what is measured.
    pub plateau: Option<PlateauState>,
}

/// Where a scale that is halved again and again means that the gradients are no numbers.
const LEAST: f64 = 1.0 / 65536.0;

impl<T: Task> Machine<T> {
    /// Before the first step.
    pub fn start(task: &T, settings: &Settings) -> Result<Self> {
        let (model, running) = task.start(&Purpose::Weights.key(settings.seed))?;
        let mover = settings.optimizer.start(task, &model)?;
        let average = settings.ema.map(|_| copy(&model));
        let scale = (settings.precision == Precision::Bf16).then(LossScale::default);
        let plateau = settings.plateau(&task.measures()).map(|(_, rule)| rule.start(settings.rate));
        Ok(Machine { model, running, mover, average, scale, plateau })
    }

    /// As a checkpoint has it.
    pub fn state(&self, best: Option<(T::Model, T::Running)>) -> State<T::Model, T::Running> {
        let (optimizer, memory) = match &self.mover {
            Mover::Rules(_, state) => (Some(copy(state)), None),
            Mover::Search(_, memory) => (None, Some(copy(memory))),
        };
        State {
            model: copy(&self.model),
            running: copy(&self.running),
            optimizer,
            memory,
            average: self.average.as_ref().map(copy),
            best,
            scale: self.scale.as_ref().map(copy),
            plateau: self.plateau.as_ref().map(copy),
        }
    }

    /// Goes on from this state; gives the best model so far, if it is kept.
    pub fn put(&mut self, state: State<T::Model, T::Running>) -> Option<(T::Model, T::Running)> {
        let State { model, running, optimizer, memory, average, best, scale, plateau } = state;
        (self.model, self.running, self.average) = (model, running, average);
        (self.scale, self.plateau) = (scale, plateau);
        match (&mut self.mover, optimizer, memory) {
            (Mover::Rules(_, known), Some(state), _) => *known = state,
            (Mover::Search(_, known), _, Some(memory)) => *known = memory,
            _ => unreachable!("a state has the structure it was asked for"),
        }
        best
    }

    /// About how many bytes the arrays of a checkpoint have, with the best model or without.
    pub fn bytes(&self, best: bool) -> u64 {
        // What L-BFGS will remember is not there yet.
        let memory = match &self.mover {
            Mover::Search(rule, _) => 2 * rule.history as u64 * bytes(&self.model),
            Mover::Rules(..) => 0,
        };
        bytes(&self.state(best.then(|| self.kept()))) + memory
    }

    /// The rules of single parameters, if that is what moves them.
    pub fn rules(&self) -> Option<&Optimizer> {
        match &self.mover {
            Mover::Rules(rule, _) => Some(rule),
            Mover::Search(..) => None,
        }
    }

    /// What is judged and saved: the average if there is one.
    pub fn kept(&self) -> (T::Model, T::Running) {
        (copy(self.average.as_ref().unwrap_or(&self.model)), copy(&self.running))
    }

    /// Tells a plateau what was measured; gives the measure and the rate if that falls.
    pub fn measured<'m>(
        &mut self,
        settings: &Settings,
        measures: &'m [Measure],
        values: &[f64],
    ) -> Option<(&'m str, f64)> {
        let ((which, rule), state) = (settings.plateau(measures)?, self.plateau.as_ref()?);
        let before = state.rate();
        let after = rule.seen(state, *values.get(which)?);
        let rate = after.rate();
        self.plateau = Some(after);
        (rate < before).then(|| (measures[which].name.as_str(), rate))
    }

    /// Takes a step; gives the loss before it, and gradients and the model before it if they are to be looked at.
    pub fn step(&mut self, turn: &Turn<T>, next: &mut dyn FnMut() -> Result<T::Batch>) -> Stepped<T> {
        match self.mover {
            Mover::Rules(..) => self.descend(turn, next),
            Mover::Search(..) => self.search(turn, next),
        }
    }

    /// A step down the gradient.
    fn descend(&mut self, turn: &Turn<T>, next: &mut dyn FnMut() -> Result<T::Batch>) -> Stepped<T> {
        let Mover::Rules(rule, state) = &self.mover else { unreachable!("it was looked at") };
        let settings = turn.settings;
        let found = gradient(turn, (&self.model, &self.running), self.scale.as_ref(), |_| next())?;
        let Gradient { before, last, gradients, mut running, finite } = found;
        let seen = turn.look.then(|| Seen::of(&gradients, &self.model));
        let gradients = match settings.clip_value {
            Some(limit) => clip_grad_value(&gradients, limit),
            None => gradients,
        };
        let gradients = match settings.clip {
            Some(limit) => clip_grad_norm(&gradients, limit).0,
            None => gradients,
        };
        let (mut model, mut optimizer) = rule.step(&self.model, &gradients, state, turn.rate);
        drop(gradients);
        let mut scale = None;
        if let (Some(finite), Some(known)) = (&finite, &self.scale) {
            // What overflowed moves nothing.
            model = keep(finite, &model, &self.model);
            optimizer = keep(finite, &optimizer, state);
            running = keep(finite, &running, &self.running);
            scale = Some(known.update(finite));
        }
        let mut average = averaged(self.average.as_ref(), &model, settings);
        if let (Some(finite), Some(new), Some(old)) = (&finite, &average, &self.average) {
            average = Some(keep(finite, new, old));
        }
        let kept = seen.as_ref().map(|seen| seen.gradients.leaves()).unwrap_or_default();
        let all = [vec![last.clone()], model.leaves(), optimizer.leaves(), running.leaves(), average.leaves()].concat();
        try_eval(&[kept, all, scale.leaves()].concat())?;
        if scale.as_ref().is_some_and(|scale| scale.scale.to_f64() < LEAST) {
            return Err(Error::outside(format!(
                "the gradients of step {} are not finite, however little the loss is scaled; try --precision f32",
                turn.step + 1
            )));
        }
        (self.model, self.running, self.average, self.scale) = (model, running, average, scale);
        if let Mover::Rules(_, state) = &mut self.mover {
            *state = optimizer;
        }
        Ok(((before + last.to_f64()) / settings.accumulate as f64, seen))
    }

    /// A step of L-BFGS: the batches stay the same as long as it searches, and so does what is drawn for them.
    fn search(&mut self, turn: &Turn<T>, next: &mut dyn FnMut() -> Result<T::Batch>) -> Stepped<T> {
        let Mover::Search(rule, memory) = &self.mover else { unreachable!("it was looked at") };
        let batches = (0..turn.settings.accumulate).map(|_| next()).collect::<Result<Vec<_>>>()?;
        // What is kept besides is that of the first look, with the weights as they were.
        let first = RefCell::new(None);
        let loss = |model: &T::Model| {
            let found = gradient(turn, (model, &self.running), None, |i| Ok(&batches[i]));
            let found = found.map_err(|e| covector::Error::new(e.to_string()))?;
            let loss = if batches.len() == 1 { found.last } else { (found.last + found.before) / batches.len() as f64 };
            first
                .borrow_mut()
                .get_or_insert_with(|| (turn.look.then(|| Seen::of(&found.gradients, model)), found.running));
            Ok((loss, found.gradients))
        };
        let rule = LBFGS { rate: turn.rate, ..*rule };
        let (model, memory, before) = rule.step(&self.model, copy(memory), loss)?;
        let Some((seen, running)) = first.into_inner() else { unreachable!("a step looks at the loss") };
        let average = averaged(self.average.as_ref(), &model, turn.settings);
        try_eval(&[model.leaves(), running.leaves(), average.leaves()].concat())?;
        (self.model, self.running, self.average) = (model, running, average);
        self.mover = Mover::Search(rule, memory);
        Ok((before, seen))
    }
}

/// The gradients of the batches of a step.
struct Gradient<M, R> {
    /// The sum of the losses but for the last.
    before: f64,
    /// The loss of the last batch, not yet computed.
    last: Tensor,
    /// The mean of all.
    gradients: M,
    /// What is kept besides after all.
    running: R,
    /// Whether all gradients are, if losses are scaled.
    finite: Option<Tensor>,
}

/// The gradients of the batches of a step, all but the last computed; `next` gives them by their number.
fn gradient<T: Task, B: Borrow<T::Batch>>(
    turn: &Turn<T>,
    (model, running): (&T::Model, &T::Running),
    scale: Option<&LossScale>,
    mut next: impl FnMut(usize) -> Result<B>,
) -> Result<Gradient<T::Model, T::Running>> {
    let Turn { task, settings, step, .. } = *turn;
    let noise = Purpose::Noise.key(settings.seed);
    let (mut before, mut sum, mut finite) = (0.0, None::<Accumulated<T::Model>>, None::<Tensor>);
    let mut running = copy(running);
    let mut last = None;
    for i in 0..settings.accumulate {
        let (batch, key) = (next(i)?, noise.fold_in((step * settings.accumulate + i) as i64));
        let loss = |model: &T::Model| task.loss(model, &running, batch.borrow(), &key);
        let (loss, after, gradients) = match scale {
            None => value_and_grad_with(loss, model)?,
            Some(scale) => {
                let found = scale.value_and_grad_with(loss, model, DType::BF16)?;
                finite = Some(finite.map_or(found.finite.clone(), |all| all.logical_and(&found.finite)));
                (found.loss, found.more, found.gradients)
            }
        };
        running = after;
        let all = match &sum {
            Some(sum) => sum.and(&gradients),
            None => Accumulated::of(gradients),
        };
        if i + 1 < settings.accumulate {
            try_eval(&[vec![loss.clone()], all.leaves(), running.leaves(), finite.leaves()].concat())?;
            before += loss.to_f64();
        } else {
            last = Some(loss);
        }
        sum = Some(all);
    }
    let (Some(last), Some(sum)) = (last, sum) else { unreachable!("a step has at least one batch") };
    let gradients = if settings.accumulate == 1 { sum.sum } else { sum.mean() };
    Ok(Gradient { before, last, gradients, running, finite })
}

/// The moving average after one more step.
fn averaged<M: Tree>(average: Option<&M>, model: &M, settings: &Settings) -> Option<M> {
    average.zip(settings.ema).map(|(average, decay)| Ema { decay }.update(average, model))
}

/// The bytes of all tensors.
pub(crate) fn bytes<P: Tree>(tree: &P) -> u64 {
    tree.leaves().iter().map(|t| (t.size() * t.dtype().size()) as u64).sum()
}

/// Another handle on the same tensors.
pub(crate) fn copy<P: Tree>(tree: &P) -> P {
    tree.map_leaves(Tensor::clone)
}
