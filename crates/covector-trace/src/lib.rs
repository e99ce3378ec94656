//! What a graph says to people: its shapes and costs, its picture, and where a bad number came from.
//!
//! Everything here reads a graph that the library has recorded; nothing changes it.
#![forbid(unsafe_code)]

pub mod build;
pub mod draw;
mod function;
pub mod graph;
mod homes;
pub mod lint;
mod notes;
mod patterns;
mod reading;
mod solve;
pub mod symbolic;
pub mod table;
pub mod why;

pub use function::{Sizes, trace, trace_multiples};
pub use lint::{lint, lint_record};
pub use notes::{Notes, Source};
pub use why::{why, why_record};
