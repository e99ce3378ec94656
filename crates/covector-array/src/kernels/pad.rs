//! Zeros around and between the elements.

use super::strided::{CHUNK, Reader, Source, Walk, build_bits, par_chunks, readable_rows, with_bits};
use crate::{Array, Element, Shape};

/// Zeros before (`lo`), after (`hi`) and between (`interior`) the elements of each axis.
///
/// An axis of `n` elements gets the size `lo + n + (n - 1) * interior + hi` (`lo + hi` if `n` is 0).
///
/// # Panics
/// If a list's length is not the number of axes.
pub fn pad(x: &Array, lo: &[usize], hi: &[usize], interior: &[usize]) -> Array {
    let ndim = x.ndim();
    assert!(lo.len() == ndim && hi.len() == ndim && interior.len() == ndim, "pad: one width per axis of {}", x.shape());
    let spread = |a: usize| x.shape()[a] + x.shape()[a].saturating_sub(1) * interior[a];
    let shape: Shape = (0..ndim).map(|a| lo[a] + spread(a) + hi[a]).collect();
    let Some(axis) = (0..ndim).rfind(|&a| shape[a] != x.shape()[a]) else { return x.contiguous() };
    with_bits!(x.dtype(), U => {
        // SAFETY: only zeros and elements of an array of the same dtype are written.
        unsafe {
            build_bits::<U>(shape.clone(), x.dtype(), |out| fill(x, &shape, lo, interior, axis, out))
        }
    })
}

/// `axis` is the last padded one; what lies behind it moves in blocks.
fn fill<U: Element>(x: &Array, shape: &Shape, lo: &[usize], interior: &[usize], axis: usize, out: &mut [U]) {
    if x.size() == 0 {
        return out.fill(U::default());
    }
    let x = &readable_rows(x);
    let (source, walk) = (Source::of(x), Walk::new(x.shape(), x.strides()));
    let block: usize = shape[axis + 1..].iter().product();
    let (n, row) = (x.shape()[axis], shape[axis] * block);
    let cost = out.len();
    par_chunks(out, (CHUNK / row).max(1) * row, cost, |start, piece| {
        for (r, out) in piece.chunks_exact_mut(row).enumerate() {
            let Some(inside) = source_row(x, shape, lo, interior, axis, start / row + r) else {
                out.fill(U::default());
                continue;
            };
            let mut reader = Reader::new(&source, &walk, 0, inside * n * block);
            let (before, rest) = out.split_at_mut(lo[axis] * block);
            before.fill(U::default());
            if interior[axis] == 0 {
                let (data, after) = rest.split_at_mut(n * block);
                reader.read(data);
                after.fill(U::default());
            } else {
                rest.fill(U::default());
                rest.chunks_mut((interior[axis] + 1) * block).take(n).for_each(|o| reader.read(&mut o[..block]));
            }
        }
    });
}

/// The row of `x` (row-major over the axes before `axis`) shown at this row of the output, if it is not padding.
fn source_row(
    x: &Array,
    shape: &Shape,
    lo: &[usize],
    interior: &[usize],
    axis: usize,
    mut row: usize,
) -> Option<usize> {
    let (mut index, mut weight) = (0, 1);
    for a in (0..axis).rev() {
        let (at, step) = ((row % shape[a]).checked_sub(lo[a])?, interior[a] + 1);
        row /= shape[a];
        if at % step != 0 || at / step >= x.shape()[a] {
            return None;
        }
        index += at / step * weight;
        weight *= x.shape()[a];
    }
    Some(index)
}
