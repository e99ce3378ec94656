//! Checks for differentiable functions, for authors of ops and for covector's own test matrix.
//!
//! Every check takes a function of tensors and returns what it found as text, so that it can be used in a test, in a
//! table, or in a program that grades ops. [`matrix`] runs them all over the registry.
#![forbid(unsafe_code)]

mod batching;
mod call;
mod compare;
mod derivatives;
pub mod golden;
mod labels;
mod layouts;
pub mod matrix;
mod robustness;

pub use batching::check_vmap;
pub use compare::{Tolerance, close};
pub use derivatives::{check_adjoint, check_first_order, check_second_order};
pub use labels::signatures as label_signatures;
pub use layouts::{LAYOUTS, relaid};

/// What a check found: nothing, or the first figure that is wrong.
pub type Verdict = Result<(), String>;
