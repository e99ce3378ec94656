//! Loops over arrays. Kernels never see the graph.

use smallvec::SmallVec;

use crate::Array;

mod attention;
mod cast;
mod chain;
mod complex;
mod concat;
mod conv;
mod copy;
mod fft;
mod index;
mod kernel;
mod layout;
mod linalg;
mod map;
mod matmul;
mod pad;
mod random;
mod reader;
mod reduce;
mod runs;
mod scan;
mod sort;
mod square;
mod stream;
mod strided;
mod vectors;
mod windows;

pub use attention::{Attention, thirds};
pub use cast::{cast, cast_kernel};
pub use chain::{Chain, Link, LinkOp, Source, folds_channels, run_chain, write_code_after};
pub use complex::recurrence as complex_recurrence;
pub use concat::concat;
pub use conv::{Convolution, Part, Slide};
pub use copy::copy;
pub use fft::{fft, irfft, rfft};
pub use index::{IndexError, Scatter, nonzero, scatter, scatter_along, take, take_along};
pub use kernel::{Apply, Arithmetic, Kernel, TILE, apply_fused};
pub use linalg::{MatrixError, MatrixFault, MatrixOp, matrices};
pub(crate) use map::overwritten;
pub use map::{map, map_small};
pub use matmul::matmul;
pub use pad::pad;
pub use random::{iota, philox, random_bits};
pub use reduce::{Reduction, arg_reduce, reduce};
pub use scan::scan;
pub use sort::{arg_largest, argsort, searchsorted};
pub use vectors::Function;
pub use windows::overlap_add;

/// True if the array is one element again and again.
pub(crate) fn constant(x: &Array) -> bool {
    x.size() > 1 && layout::Layout::of(x).is_constant()
}

/// The operands of a kernel, owned: a buffer nobody else holds may be written into.
pub type Inputs = SmallVec<[Array; 3]>;
