//! Strided arrays and CPU kernels: the eager floor on which covector's graph stands.
//!
//! What it is for: holding numbers in memory and running loops over them. It knows nothing of graphs or derivatives.
//! All `unsafe` code of the project lives in this crate. Kernels take any layout (strided, flipped, broadcast, empty,
//! 0-d), and their results do not depend on the number of threads.

mod array;
mod buffer;
mod deferred;
mod dtype;
mod handle;
pub mod isa;
pub mod kernels;
mod mapping;
pub mod math;
mod outline;
mod pages;
mod shape;
mod tally;
pub mod threads;
mod variable;

pub use array::Array;
pub use buffer::{live_bytes, peak_bytes, trim_pool};
pub use deferred::{Deferred, Turn};
pub use dtype::{DType, Element, c64, c128};
pub use half::{bf16, f16};
pub use handle::Handle;
pub use mapping::Mapping;
pub use outline::{Ledger, outline_map, outline_pass};
pub use shape::{Dims, Shape, Strides};
pub use tally::{Share, Tally};
