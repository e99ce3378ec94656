//! How one parameter moves, and which parameters move how.

use std::collections::BTreeMap;
use std::fmt;

use covector::{Tensor, Tree};

use super::pace::{Pace, Scalar};

/// What a rule remembers of one parameter, under PyTorch's names: `exp_avg`, `momentum_buffer`.
pub type Slots = BTreeMap<&'static str, Tensor>;

/// How one parameter moves.
pub trait Rule: fmt::Debug + Send + Sync {
    /// What is remembered before the first step.
    fn start(&self, parameter: &Tensor) -> Slots;

    /// The parameter, and what is remembered, after a step.
    fn update(&self, p: &Tensor, g: &Tensor, slots: &Slots, pace: &Pace) -> (Tensor, Slots);
}

/// Which parameters of it follow a rule, by path and value.
type Members = dyn Fn(&str, &Tensor) -> bool + Send + Sync;

struct Group {
    members: Box<Members>,
    rule: Box<dyn Rule>,
    factor: f64,
}

/// A rule for all parameters, and others for groups of them.
///
/// ```
/// use covector::{Key, Tensor, Tree, value_and_grad};
/// use covector_nn::{Linear, optim::{Muon, Optimizer, SGD}};
/// // Matrices by Muon; vectors by gradient descent with momentum, ten times as fast.
/// let optimizer = Optimizer::new(Muon::default()).group(|_, p| p.ndim() < 2, SGD { momentum: 0.9, ..SGD::default() }, 10.0);
/// let layer = Linear::new(&Key::new(0), 3, 2, true);
/// let x = Tensor::from([[1.0f32, 2.0, 3.0]]);
/// let (loss, gradients) = value_and_grad(|l: &Linear| l.forward(&x).square().sum(..))(&layer);
/// let (layer, state) = optimizer.step(&layer, &gradients, &optimizer.start(&layer), 0.001);
/// assert!(layer.forward(&x).square().sum(..).item::<f32>() < loss.item::<f32>());
/// assert_eq!(state.named()[1].0, "slots.bias.momentum_buffer");
/// ```
pub struct Optimizer {
    rule: Box<dyn Rule>,
    groups: Vec<Group>,
}

/// What an [`Optimizer`] remembers: a tree, to be evaluated and saved with the parameters.
#[derive(Clone, Debug, Tree)]
pub struct State {
    /// The number of steps taken: a 0-d integer.
    pub steps: Tensor,
    /// What the rules remember, by the path of the parameter.
    pub slots: BTreeMap<String, Slots>,
}

impl Optimizer {
    /// All parameters follow this rule.
    pub fn new(rule: impl Rule + 'static) -> Self {
        Optimizer { rule: Box::new(rule), groups: Vec::new() }
    }

    /// The parameters that `members` tells by path and value, and that are in no earlier group, follow another rule, with
    /// a learning rate that is `factor` times the one of a step.
    pub fn group(
        mut self,
        members: impl Fn(&str, &Tensor) -> bool + Send + Sync + 'static,
        rule: impl Rule + 'static,
        factor: f64,
    ) -> Self {
        self.groups.push(Group { members: Box::new(members), rule: Box::new(rule), factor });
        self
    }

    /// The state before the first step.
    pub fn start<P: Tree>(&self, parameters: &P) -> State {
        let slots = parameters.named().into_iter().map(|(path, p)| {
            let slots = self.rule_of(&path, &p).0.start(&p);
            (path, slots)
        });
        State { steps: Tensor::from(0), slots: slots.collect() }
    }

    /// The parameters and the state after one step with learning rate `rate`, a number or a 0-d tensor.
    ///
    /// Nothing is computed yet: evaluate the loss, the parameters and the state together. Or [compile](covector::compile)
    /// the whole step, with the state and the rate among the arguments: then it is planned once, and not recorded again.
    ///
    /// ```
    /// use covector::{Tensor, compile, value_and_grad};
    /// use covector_nn::optim::{AdamW, Optimizer, State};
    /// let adam = Optimizer::new(AdamW::default());
    /// let step = compile(|(w, state, rate): &(Tensor, State, Tensor)| {
    ///     let (loss, gradient) = value_and_grad(|w: &Tensor| w.square().sum(..))(w);
    ///     (loss, adam.step(w, &gradient, state, rate))
    /// });
    /// let w = Tensor::from([1.0f32, -2.0]);
    /// let (mut w, mut state) = (w.clone(), adam.start(&w));
    /// for i in 0..3 {
    ///     (w, state) = step(&(w, state, Tensor::from(0.1 / (i + 1) as f64))).1;
    /// }
    /// assert!(w.square().sum(..).item::<f32>() < 4.0 && state.steps.item::<i64>() == 3);
    /// ```
    ///
    /// # Panics
    /// If gradients or state have not the structure of the parameters.
    #[track_caller]
    pub fn step<P: Tree>(&self, parameters: &P, gradients: &P, state: &State, rate: impl Into<Scalar>) -> (P, State) {
        let (steps, step) = Scalar::counted(&state.steps);
        let pace = Pace::new(step, rate);
        let (named, gradients) = (parameters.named(), gradients.leaves());
        assert_eq!(named.len(), gradients.len(), "a gradient for each parameter");
        let (mut new, mut slots) = (Vec::with_capacity(named.len()), BTreeMap::new());
        for ((path, p), g) in named.into_iter().zip(gradients) {
            let Some(known) = state.slots.get(&path) else { panic!("the state knows no parameter `{path}`") };
            let (rule, factor) = self.rule_of(&path, &p);
            let (p, known) = match factor {
                1.0 => rule.update(&p, &g, known, &pace),
                _ => rule.update(&p, &g, known, &Pace::new(&pace.step, &pace.rate * factor)),
            };
            new.push(p);
            slots.insert(path, known);
        }
        (parameters.with_leaves(new), State { steps, slots })
    }

    fn rule_of(&self, path: &str, p: &Tensor) -> (&dyn Rule, f64) {
        match self.groups.iter().find(|group| (group.members)(path, p)) {
            Some(group) => (&*group.rule, group.factor),
            None => (&*self.rule, 1.0),
        }
    }
}

impl fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups.iter().map(|group| (&group.rule, group.factor));
        f.debug_struct("Optimizer").field("rule", &self.rule).field("groups", &groups.collect::<Vec<_>>()).finish()
    }
}

/// Zeros of the shape and dtype of `p`.
pub(super) fn zeros_like(p: &Tensor) -> Tensor {
    Tensor::scalar(0.0, p.dtype()).broadcast_to(p.shape())
}

/// Slots by name.
pub(super) fn slots<const N: usize>(named: [(&'static str, Tensor); N]) -> Slots {
    named.into()
}

/// The slot of this name.
#[track_caller]
pub(super) fn one<'a>(slots: &'a Slots, name: &str) -> &'a Tensor {
    slots.get(name).unwrap_or_else(|| panic!("the state has no `{name}`; it was made by another rule"))
}

/// The gradient with the derivative of `decay / 2 · p²`, the decay of PyTorch's older optimisers.
pub(super) fn decayed(g: &Tensor, p: &Tensor, decay: f64) -> Tensor {
    if decay == 0.0 { g.clone() } else { g + p * decay }
}

/// The parameter drawn to 0 by itself, beside the gradient, by this part of it in units of the learning rate.
pub(super) fn shrunk(p: &Tensor, decay: f64, rate: &Scalar) -> Tensor {
    if decay == 0.0 { p.clone() } else { p * (1.0 - rate * decay).beside(p) }
}

/// The running mean that keeps `keep` of itself.
pub(super) fn running(mean: &Tensor, x: &Tensor, keep: f64) -> Tensor {
    mean * keep + x * (1.0 - keep)
}
