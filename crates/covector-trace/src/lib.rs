//! What a graph says to people: its shapes and costs, its picture, and where a bad number came from.
//!
//! Everything here reads a graph that the library has recorded; nothing changes it.
#![forbid(unsafe_code)]

pub mod graph;
mod notes;
mod solve;
pub mod symbolic;
pub mod table;

pub use notes::{Notes, Source};
