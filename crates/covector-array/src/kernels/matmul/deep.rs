//! Deep products of few results: their chains are computed side by side, as a batch, and added up in order.

use std::ops::Range;

use super::Factor;
use super::tile::Tiled;
use crate::{Array, Shape, threads};

/// Chains from which on this pays: for a single result, whose chains run in lanes, and for more.
const CHAINS: [usize; 2] = [2, 8];
/// Register tiles of results below which they keep a thread less busy than their chains do.
const TILES: usize = 4;

/// Computes `a @ b` into the fresh `out` if it is such a product, else does nothing and returns false.
pub(super) fn product<T: Tiled>(a: &Array, b: &Array, out: &Array, span: usize) -> bool {
    let [batch, m, k, n] = [a.shape()[0], a.shape()[1], a.shape()[2], b.shape()[2]];
    let (whole, one, kernel) = (k / span, m * n == 1, T::kernel());
    let tiles = batch * m.div_ceil(kernel.rows_for(n)) * n.div_ceil(kernel.columns);
    if whole < CHAINS[usize::from(!one)] || tiles >= TILES.max(2 * threads::threads()) {
        return false;
    }
    let edge = whole * span;
    let chains = |i: usize, steps: Range<usize>, count: usize| {
        let (start, len) = (steps.start, steps.len() / count);
        let left = a.slice(&[i, 0, start], &[1, m, steps.len()], &[1; 3]).reshape(&Shape::from([m, count, len]));
        let right = b.slice(&[i, start, 0], &[1, steps.len(), n], &[1; 3]).reshape(&Shape::from([count, len, n]));
        super::floats::<T>(&left.permute(&[1, 0, 2]), &right, span)
    };
    for i in 0..batch {
        // SAFETY: the results of this matrix lie side by side in the fresh output.
        let sums = unsafe { std::slice::from_raw_parts_mut(Factor::<T>::of(out).at(i, 0, 0), m * n) };
        let parts = chains(i, 0..edge, whole);
        let mut parts = parts.as_slice::<T>().expect("a fresh array").chunks_exact(m * n);
        sums.copy_from_slice(parts.next().expect("there are two at least"));
        let mut add = |part: &[T]| sums.iter_mut().zip(part).for_each(|(sum, &x)| *sum = *sum + x);
        parts.for_each(&mut add);
        if edge < k {
            add(chains(i, edge..k, 1).as_slice::<T>().expect("a fresh array"));
        }
    }
    true
}
