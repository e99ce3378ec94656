//! Optimisers: functions from parameters, gradients and state to parameters and state.
//!
//! A [`Rule`] says how one parameter moves; an [`Optimizer`] applies rules to a tree, by groups. States are trees, so they
//! are saved as models are. [`AdamW::step`] is the same for one rule and a state in the structure of the model.

mod accumulators;
mod adafactor;
mod adam;
mod adamw;
mod gradients;
mod lbfgs;
mod line_search;
mod muon;
mod pace;
mod rule;
mod sgd;
mod sign;

pub use accumulators::{Adadelta, Adagrad, RMSprop};
pub use adafactor::Adafactor;
pub use adam::{Adam, Lamb};
pub use adamw::{AdamW, Moments};
pub(crate) use gradients::zip;
pub use gradients::{Accumulated, Ema, clip_grad_norm, clip_grad_value, value_and_grad_with};
pub use lbfgs::{LBFGS, Memory};
pub use muon::{Muon, MuonScale};
pub use pace::{Pace, Scalar};
pub use rule::{Optimizer, Rule, Slots, State};
pub use sgd::SGD;
pub use sign::Lion;
