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
    let outer = Outer::new(x.shape(), shape, lo, interior, axis);
    let cost = out.len();
    par_chunks(out, (CHUNK / row).max(1) * row, cost, |start, piece| {
        let mut rows = outer.rows(start / row);
        // Rows of `x` are met in order, so one reader serves the piece.
        let mut reader = None;
        for out in piece.chunks_exact_mut(row) {
            let Some(inside) = rows.next().flatten() else {
                out.fill(U::default());
                continue;
            };
            let reader = reader.get_or_insert_with(|| Reader::new(&source, &walk, 0, inside * n * block));
            let (before, rest) = out.split_at_mut(lo[axis] * block);
            before.fill(U::default());
            if interior[axis] == 0 {
                let (data, after) = rest.split_at_mut(n * block);
                reader.read(data);
                after.fill(U::default());
            } else {
                rest.fill(U::default());
                reader.read_pieces(rest, block, (interior[axis] + 1) * block, n);
            }
        }
    });
}

/// Which row of the input (row-major over the axes before the last padded one) each row of the output shows.
struct Outer {
    /// Per axis: what each index adds to the input's row, or `PADDING`.
    tables: Vec<Vec<usize>>,
}

const PADDING: usize = usize::MAX;

impl Outer {
    fn new(from: &[usize], to: &[usize], lo: &[usize], interior: &[usize], axes: usize) -> Outer {
        let mut weight: usize = from[..axes].iter().product();
        let table = |a: usize| {
            weight /= from[a];
            let mut table = vec![PADDING; to[a]];
            let inside = table[lo[a]..].iter_mut().step_by(interior[a] + 1);
            inside.take(from[a]).enumerate().for_each(|(i, t)| *t = i * weight);
            table
        };
        Outer { tables: (0..axes).map(table).collect() }
    }

    /// The input's row for the output's rows from `first` on; `None` for padding.
    fn rows(&self, first: usize) -> impl Iterator<Item = Option<usize>> + '_ {
        let mut index: Vec<usize> = vec![0; self.tables.len()];
        let mut rest = first;
        for (i, table) in index.iter_mut().zip(&self.tables).rev() {
            (*i, rest) = (rest % table.len(), rest / table.len());
        }
        std::iter::repeat_with(move || {
            let row = self.tables.iter().zip(&index).try_fold(0, |row, (table, &i)| match table[i] {
                PADDING => None,
                part => Some(row + part),
            });
            for (i, table) in index.iter_mut().zip(&self.tables).rev() {
                *i += 1;
                if *i < table.len() {
                    break;
                }
                *i = 0;
            }
            row
        })
    }
}
