//! Which optimiser, in words that can be saved.

use std::collections::HashSet;

use covector::{Tensor, Tree};
use covector_nn::AdamW;
use covector_nn::optim::{
    Adadelta, Adafactor, Adagrad, Adam, LBFGS, Lamb, Lion, Muon, Optimizer, Pace, RMSprop, Rule, SGD, Slots,
};
use serde::{Deserialize, Serialize};

use crate::error::by_name;
use crate::step::Mover;
use crate::{Error, Result, Task};

/// The optimisers by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Gradient descent, with momentum if it is given.
    Sgd,
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    #[default]
    AdamW,
    /// Adagrad.
    Adagrad,
    /// RMSprop.
    RmsProp,
    /// Adadelta.
    Adadelta,
    /// Lion.
    Lion,
    /// LAMB.
    Lamb,
    /// Adafactor.
    Adafactor,
    /// Muon for the matrices of hidden layers, AdamW for all else.
    Muon,
    /// L-BFGS with a search along each direction: every step evaluates its batch several times. For losses without noise.
    Lbfgs,
}

/// An optimiser with what is given of its constants; what is not has the default of its rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OptimizerSettings {
    /// Which one.
    pub kind: OptimizerKind,
    /// What part of the last direction is kept.
    pub momentum: Option<f64>,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// How slowly the mean of gradients forgets.
    pub beta1: Option<f64>,
    /// How slowly the mean of their squares forgets.
    pub beta2: Option<f64>,
    /// What part of a weight is taken away in a step, in units of the learning rate; as the rule means it.
    pub weight_decay: Option<f64>,
}

impl OptimizerKind {
    /// All of them.
    pub const ALL: [OptimizerKind; 11] = [
        OptimizerKind::Sgd,
        OptimizerKind::Adam,
        OptimizerKind::AdamW,
        OptimizerKind::Adagrad,
        OptimizerKind::RmsProp,
        OptimizerKind::Adadelta,
        OptimizerKind::Lion,
        OptimizerKind::Lamb,
        OptimizerKind::Adafactor,
        OptimizerKind::Muon,
        OptimizerKind::Lbfgs,
    ];

    /// Its name, as in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            OptimizerKind::Sgd => "sgd",
            OptimizerKind::Adam => "adam",
            OptimizerKind::AdamW => "adamw",
            OptimizerKind::Adagrad => "adagrad",
            OptimizerKind::RmsProp => "rmsprop",
            OptimizerKind::Adadelta => "adadelta",
            OptimizerKind::Lion => "lion",
            OptimizerKind::Lamb => "lamb",
            OptimizerKind::Adafactor => "adafactor",
            OptimizerKind::Muon => "muon",
            OptimizerKind::Lbfgs => "lbfgs",
        }
    }

    /// What it has of momentum, Nesterov's variant, beta1 and beta2.
    fn has(self) -> [bool; 4] {
        match self {
            OptimizerKind::Sgd => [true, true, false, false],
            OptimizerKind::RmsProp => [true, false, false, true],
            OptimizerKind::Adam | OptimizerKind::AdamW | OptimizerKind::Lion | OptimizerKind::Lamb => {
                [false, false, true, true]
            }
            OptimizerKind::Muon => [true, false, true, true],
            OptimizerKind::Adadelta => [false, false, false, true],
            OptimizerKind::Adagrad | OptimizerKind::Adafactor | OptimizerKind::Lbfgs => [false; 4],
        }
    }
}

impl std::str::FromStr for OptimizerKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        by_name("optimiser", OptimizerKind::ALL, OptimizerKind::name, name)
    }
}

impl OptimizerSettings {
    /// Whether every constant that is given is one of the optimiser's.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<()> {
        let given = [self.momentum.is_some(), self.nesterov, self.beta1.is_some(), self.beta2.is_some()];
        let names = ["momentum", "Nesterov's variant", "beta1", "beta2"];
        let lacks = (0..4).find(|&i| given[i] && !self.kind.has()[i]);
        match lacks {
            Some(i) => Err(Error::Settings(format!("the optimiser {} has no {}", self.kind.name(), names[i]))),
            None if self.nesterov && self.momentum.unwrap_or(0.0) == 0.0 => {
                Err(Error::Settings("Nesterov's variant is one of momentum, which is not given".into()))
            }
            None if self.kind == OptimizerKind::Lbfgs && self.weight_decay.unwrap_or(0.0) != 0.0 => {
                Err(Error::Settings("the optimiser lbfgs has no weight decay".into()))
            }
            None => Ok(()),
        }
    }

    /// The optimiser before the first step.
    pub(crate) fn start<T: Task>(&self, task: &T, model: &T::Model) -> Result<Mover> {
        self.check()?;
        if self.kind == OptimizerKind::Lbfgs {
            // A hundred remembered steps, PyTorch's number, are two hundred times the memory of the model.
            let rule = LBFGS { history: 10, strong_wolfe: true, ..LBFGS::default() };
            return Ok(Mover::Search(rule, rule.start(model)));
        }
        let rule = self.build(task, model);
        let state = rule.start(model);
        Ok(Mover::Rules(rule, state))
    }

    /// The rules for a model of a task, which says what decays and what is a hidden matrix.
    fn build<T: Task>(&self, task: &T, model: &T::Model) -> Optimizer {
        let named = model.named();
        let paths = |wanted: &dyn Fn(&str, &Tensor) -> bool| -> HashSet<String> {
            named.iter().filter(|(path, p)| wanted(path, p)).map(|(path, _)| path.clone()).collect()
        };
        let still = paths(&|path, p| !task.decays(path, p));
        if self.kind != OptimizerKind::Muon {
            return Optimizer::new(self.rule(true)).group(move |path, _| still.contains(path), self.rule(false), 1.0);
        }
        // Steps of one length, so that one rate serves for both.
        let weight_decay = self.weight_decay.unwrap_or(Muon::default().weight_decay);
        let momentum = self.momentum.unwrap_or(Muon::default().momentum);
        let muon =
            Muon { weight_decay, momentum, scale: covector_nn::optim::MuonScale::MatchRmsAdamW, ..Muon::default() };
        let hidden = paths(&|path, p| task.hidden(path, p) && p.ndim() == 2);
        Optimizer::new(self.adamw(true)).group(move |path, _| hidden.contains(path), muon, 1.0).group(
            move |path, _| still.contains(path),
            self.adamw(false),
            1.0,
        )
    }

    fn adamw(&self, decays: bool) -> AdamW {
        let known = AdamW::default();
        let weight_decay = if decays { self.weight_decay.unwrap_or(known.weight_decay) } else { 0.0 };
        let [beta1, beta2] = [self.beta1.unwrap_or(known.beta1), self.beta2.unwrap_or(known.beta2)];
        AdamW { beta1, beta2, weight_decay, ..known }
    }

    /// The rule, for parameters that decay or do not.
    fn rule(&self, decays: bool) -> Boxed {
        let decay = |known: f64| if decays { self.weight_decay.unwrap_or(known) } else { 0.0 };
        let betas = |one: f64, two: f64| (self.beta1.unwrap_or(one), self.beta2.unwrap_or(two));
        let momentum = self.momentum.unwrap_or(0.0);
        match self.kind {
            OptimizerKind::Sgd => {
                Boxed::new(SGD { momentum, nesterov: self.nesterov, weight_decay: decay(0.0), ..SGD::default() })
            }
            OptimizerKind::Adam => {
                let ((beta1, beta2), weight_decay) = (betas(0.9, 0.999), decay(0.0));
                Boxed::new(Adam { beta1, beta2, weight_decay, ..Adam::default() })
            }
            OptimizerKind::AdamW => Boxed::new(self.adamw(decays)),
            OptimizerKind::Adagrad => Boxed::new(Adagrad { weight_decay: decay(0.0), ..Adagrad::default() }),
            OptimizerKind::RmsProp => {
                let alpha = self.beta2.unwrap_or(RMSprop::default().alpha);
                Boxed::new(RMSprop { alpha, momentum, weight_decay: decay(0.0), ..RMSprop::default() })
            }
            OptimizerKind::Adadelta => {
                let rho = self.beta2.unwrap_or(Adadelta::default().rho);
                Boxed::new(Adadelta { rho, weight_decay: decay(0.0), ..Adadelta::default() })
            }
            OptimizerKind::Lion => {
                let ((beta1, beta2), weight_decay) = (betas(0.9, 0.99), decay(0.0));
                Boxed::new(Lion { beta1, beta2, weight_decay })
            }
            OptimizerKind::Lamb => {
                let ((beta1, beta2), weight_decay) = (betas(0.9, 0.999), decay(Lamb::default().weight_decay));
                Boxed::new(Lamb { beta1, beta2, weight_decay, ..Lamb::default() })
            }
            OptimizerKind::Adafactor => Boxed::new(Adafactor { weight_decay: decay(0.0), ..Adafactor::default() }),
            OptimizerKind::Muon | OptimizerKind::Lbfgs => unreachable!("they are no one rule for each parameter"),
        }
    }
}

/// Any rule.
#[derive(Debug)]
struct Boxed(Box<dyn Rule>);

impl Boxed {
    fn new(rule: impl Rule + 'static) -> Boxed {
        Boxed(Box::new(rule))
    }
}

impl Rule for Boxed {
    fn start(&self, parameter: &Tensor) -> Slots {
        self.0.start(parameter)
    }

    fn update(&self, p: &Tensor, g: &Tensor, slots: &Slots, pace: &Pace) -> (Tensor, Slots) {
        self.0.update(p, g, slots, pace)
    }
}
