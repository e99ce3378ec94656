//! Every operation, one place each: a primitive with its rules, or a composite of others.

use crate::Result;
use crate::registry::OpDef;

pub mod activation;
pub mod attention;
pub mod cast;
pub mod complex;
pub mod concat;
pub(crate) mod contract;
pub mod conv;
pub(crate) mod convolve;
pub mod create;
mod deviation;
pub mod einsum;
// One expression serves types that are `Copy` and types that are not, and bool beside numbers.
#[allow(clippy::clone_on_copy, clippy::op_ref, clippy::bool_comparison)]
pub mod elementwise;
pub mod factor;
pub mod fft;
pub mod gates;
pub(crate) mod gather;
pub mod index;
pub(crate) mod leaf;
pub mod likelihood;
pub mod likeness;
pub mod linalg;
pub mod linear;
pub mod loss;
pub(crate) mod matrices;
pub mod norm;
pub mod order;
pub(crate) mod pad;
pub mod pixels;
pub mod pool;
pub(crate) mod products;
pub mod random;
pub mod reduce;
pub mod resize;
pub mod scan;
pub mod sets;
pub mod shape;
pub mod solve;
pub mod stats;
pub mod view;
pub mod window;

/// The ops of every family, in the order of the documentation.
pub(crate) static FAMILIES: &[&[&OpDef]] = &[
    create::OPS,
    random::OPS,
    elementwise::OPS,
    activation::OPS,
    gates::OPS,
    cast::OPS,
    complex::OPS,
    reduce::OPS,
    stats::OPS,
    scan::OPS,
    linear::OPS,
    einsum::OPS,
    factor::OPS,
    solve::OPS,
    linalg::OPS,
    fft::OPS,
    view::OPS,
    shape::OPS,
    concat::OPS,
    index::OPS,
    order::OPS,
    sets::OPS,
    window::OPS,
    conv::OPS,
    pool::OPS,
    resize::OPS,
    pixels::OPS,
    norm::OPS,
    attention::OPS,
    loss::OPS,
    likelihood::OPS,
    likeness::OPS,
];

/// A node whose operands are known to fit: rules and composites build only such once their arguments are checked.
#[track_caller]
pub(crate) fn made<T>(node: Result<T>) -> T {
    match node {
        Ok(tensor) => tensor,
        Err(e) => e.raise(),
    }
}
