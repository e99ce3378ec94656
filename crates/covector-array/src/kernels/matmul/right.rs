//! The right factor of a product, as panels of contiguous rows.

use smallvec::SmallVec;

use super::Factor;
use super::tile::{Kernel, Tiled};
use crate::kernels::copy;
use crate::{Array, Shape};

/// Matrices of up to this many bytes stay in the first-level cache when they are read as they lie.
const SMALL: usize = 64 << 10;

/// A batch of right factors, ready to be read panel by panel. A panel is as wide as a register tile.
pub(super) struct Right<T> {
    /// Panels one after another: `columns` leads from column 0 of one to column 0 of the next, a panel's width later.
    panels: Factor<T>,
    /// The columns from `edge` on, which are no whole panel or stay where they lie.
    rest: Factor<T>,
    edge: usize,
    /// Keep the copies alive.
    _owners: SmallVec<[Array; 2]>,
}

/// Where a panel begins, and its stride along the depth.
pub(super) struct Panel<T> {
    pub ptr: *const T,
    pub depth: isize,
}

impl<T: Tiled> Right<T> {
    /// The right factors of products of `m` rows. They are copied into panels unless their rows are contiguous and they
    /// either stay in the first-level cache or have few rows to share the cost with.
    pub fn of(b: &Array, m: usize, kernel: Kernel<T>) -> Right<T> {
        let first = Factor::of(b);
        let [k, n] = [b.shape()[1], b.shape()[2]];
        if (n == 1 || first.columns == 1) && (m <= 4 * kernel.rows || k * n * size_of::<T>() <= SMALL) {
            return Right { panels: first, rest: first, edge: 0, _owners: SmallVec::new() };
        }
        // A batch that repeats one matrix is copied once.
        let copies = if first.batch == 0 { 1 } else { b.shape()[0] };
        let edge = n / kernel.columns * kernel.columns;
        let part = |start: usize, size: usize| b.slice(&[0, 0, start], &[copies, k, size], &[1, 1, 1]);
        let panels = part(0, edge).reshape(&Shape::from([copies, k, edge / kernel.columns, kernel.columns]));
        let owners = [copy(&panels.permute(&[0, 2, 1, 3])), copy(&part(edge.min(n - 1), n - edge))];
        let factor = |i: usize, width: usize, columns: usize| {
            let batch = if copies == 1 { 0 } else { owners[i].size() / copies };
            let ptr = crate::kernels::layout::Shared(owners[i].ptr::<T>().cast_mut());
            Factor { ptr, batch: batch as isize, rows: width as isize, columns: columns as isize }
        };
        let (panels, rest) = (factor(0, kernel.columns, k), factor(1, n - edge, 1));
        Right { panels, rest, edge, _owners: owners.into_iter().collect() }
    }

    /// The panel that begins at `column`, from `depth` on.
    pub fn panel(&self, batch: usize, column: usize, depth: usize) -> Panel<T> {
        if column < self.edge {
            Panel { ptr: self.panels.at(batch, depth, column), depth: self.panels.rows }
        } else {
            Panel { ptr: self.rest.at(batch, depth, column - self.edge), depth: self.rest.rows }
        }
    }
}
