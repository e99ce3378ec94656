//! Memory foreseen: arrays without elements, counted in a ledger instead of the pool.
//!
//! What a kernel does to memory (writes over an operand, makes a new block, copies nothing) depends on layouts and owners.
//! Both are known before any number is, so the same steps taken with outlines tell what memory they will take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use smallvec::SmallVec;

use crate::kernels::{Chain, Inputs, TILE, constant, overwritten};
use crate::{Array, DType, Shape};

/// The bytes that outlines of arrays would take, in blocks of the pool.
#[derive(Debug, Default)]
pub struct Ledger {
    live: AtomicUsize,
    peak: AtomicUsize,
}

impl Ledger {
    /// Bytes of all outlines alive now.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// The most that was alive at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) {
        let live = self.live.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(live, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.live.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The outline of an elementwise kernel's result: over an operand that nobody else holds, or new.
pub fn outline_map(mut inputs: Inputs, shape: &Shape, dtype: DType, ledger: &Arc<Ledger>) -> Array {
    // A single tile is not worth looking for an operand to overwrite.
    if shape.size() <= TILE && inputs.iter().all(Array::is_contiguous) {
        return Array::outline(shape.clone(), dtype, ledger);
    }
    if inputs.iter().all(constant) {
        return one(shape, dtype, ledger);
    }
    let over = overwritten(&mut inputs, dtype);
    over.map_or_else(|| Array::outline(shape.clone(), dtype, ledger), |k| inputs[k].reshape(shape))
}

/// The outlines of the results of one pass over `rows` rows of `inputs`.
pub fn outline_pass(
    chain: &Chain,
    mut inputs: Inputs,
    rows: usize,
    results: &[(&Shape, DType)],
    ledger: &Arc<Ledger>,
) -> SmallVec<[Array; 2]> {
    if chain.repeats_one(&inputs, rows) {
        return results.iter().map(|&(shape, dtype)| one(shape, dtype, ledger)).collect();
    }
    let shapes: SmallVec<[&Shape; 2]> = results.iter().map(|(shape, _)| *shape).collect();
    let taken = chain.overwritten(&mut inputs, &shapes);
    let made = |(&(shape, dtype), over): (&(&Shape, DType), &Option<usize>)| match over {
        Some(k) => inputs[*k].reshape(shape),
        None => Array::outline(shape.clone(), dtype, ledger),
    };
    results.iter().zip(&taken).map(made).collect()
}

/// One element, repeated.
fn one(shape: &Shape, dtype: DType, ledger: &Arc<Ledger>) -> Array {
    Array::outline(Shape::from(vec![1; shape.len()]), dtype, ledger).broadcast_to(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_are_counted_in_blocks_and_their_views_are_not() {
        let ledger = Arc::new(Ledger::default());
        let x = Array::outline([100, 10].into(), DType::F32, &ledger);
        let view = x.permute(&[1, 0]).slice(&[0, 0], &[5, 100], &[1, 1]);
        assert_eq!((ledger.live(), view.address() == x.address()), (4096, true));
        let copied = view.reshape(&[500].into());
        assert_eq!((ledger.live(), copied.address() == x.address()), (4096 + 2048, false));
        drop((x, view));
        assert_eq!((ledger.live(), ledger.peak()), (2048, 4096 + 2048));
    }

    #[test]
    fn a_pass_goes_over_what_nobody_else_holds() {
        let ledger = Arc::new(Ledger::default());
        let x = |n: usize| Array::outline([n].into(), DType::F32, &ledger);
        let (held, size) = (x(5000), Shape::from(5000));
        let inputs: Inputs = [held.clone(), x(5000)].into_iter().collect();
        let before = ledger.live();
        let y = outline_map(inputs, &size, DType::F32, &ledger);
        assert_eq!(ledger.live(), before);
        assert!(y.address() != held.address());
        let z = outline_map([held.clone(), y.clone()].into_iter().collect(), &size, DType::F32, &ledger);
        assert!(z.address() != y.address() && z.address() != held.address());
    }

    #[test]
    #[should_panic(expected = "the outline of an array has no elements")]
    fn an_outline_cannot_be_read() {
        Array::outline([3].into(), DType::F32, &Arc::default()).to_vec::<f32>();
    }
}
