//! Functions of tensors made into other functions: differentiated in both modes, batched, recomputed, compiled.
//!
//! A transformation runs the function once on marked arguments, lists the nodes that carry its mark, and builds new nodes
//! from their rules. Nothing is global: nested transformations have marks of their own, so they cannot be confused, and
//! reading a value inside a differentiated function changes nothing.

pub mod backward;
pub mod compile;
pub mod custom;
pub mod forward;
pub mod jacobian;
pub mod program;
pub mod reverse;
mod terms;
pub mod vmap;

use crate::marks::{Marks, Scope};
use crate::ops::leaf::Argument;
use crate::walk::Listing;
use crate::{Prim, Tensor, Tree};

/// The structure with every leaf wrapped in an identity that carries the scope's mark.
///
/// Float leaves only, for derivatives: others have none and stay as they are.
#[track_caller]
pub(crate) fn marked<T: Tree>(tree: &T, scope: &Scope) -> T {
    let mark = |x: &Tensor| {
        if !x.dtype().is_inexact() {
            return x.clone();
        }
        let marks: Marks = scope.marks(x.marks());
        crate::ops::made(Tensor::apply(Prim::Argument(Argument(marks)), [x.clone()]))
    };
    tree.map_leaves(mark)
}

/// The nodes made from marked arguments, up to `outputs`, in dependency order; other operands are listed as leaves.
pub(crate) fn sweep(outputs: &[Tensor], arguments: &[Tensor], scope: &Scope) -> Listing {
    let mut roots: Vec<usize> = arguments.iter().map(Tensor::key).collect();
    roots.sort_unstable();
    let is_root = |key: usize| roots.binary_search(&key).is_ok();
    Listing::walk(outputs, |t| scope.covers(t.marks()) && !is_root(t.key()))
}
