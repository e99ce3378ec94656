//! A factor cut into panels: some neighbours along its free axis side by side, step after step along the depth.

use smallvec::SmallVec;

use super::Factor;
use super::tile::Tiled;
use crate::kernels::copy;
use crate::kernels::layout::Shared;
use crate::{Array, Shape};

/// A batch of matrices, depth by free axis, ready to be read panel by panel.
pub(super) struct Panels<T> {
    /// Whole panels, one after another.
    whole: Factor<T>,
    /// What lies from `edge` on: no whole panel, or everything if nothing was copied.
    rest: Factor<T>,
    edge: usize,
    width: usize,
    /// Elements of a panel.
    size: usize,
    /// Keep the copies alive.
    _owners: SmallVec<[Array; 2]>,
}

/// Where a panel begins, and its stride along the depth.
#[derive(Clone, Copy)]
pub(super) struct Panel<T> {
    pub ptr: *const T,
    pub depth: isize,
}

impl<T: Tiled> Panels<T> {
    /// The matrices as they lie: neighbours must be contiguous.
    pub fn in_place(x: &Array) -> Panels<T> {
        let rest = Factor::of(x);
        Panels { whole: rest, rest, edge: 0, width: 1, size: 0, _owners: SmallVec::new() }
    }

    /// Copies into panels of `width`. A batch that repeats one matrix is copied once.
    pub fn packed(x: &Array, width: usize) -> Panels<T> {
        let [k, n] = [x.shape()[1], x.shape()[2]];
        let copies = if x.strides()[0] == 0 { 1 } else { x.shape()[0] };
        let edge = n / width * width;
        let part = |start: usize, size: usize| x.slice(&[0, 0, start], &[copies, k, size], &[1, 1, 1]);
        let whole = part(0, edge).reshape(&Shape::from([copies, k, edge / width, width]));
        let owners = [copy(&whole.permute(&[0, 2, 1, 3])), copy(&part(edge.min(n - 1), n - edge))];
        let factor = |i: usize, rows: usize| {
            let batch = if copies == 1 { 0 } else { owners[i].size() / copies };
            let ptr = Shared(owners[i].ptr::<T>().cast_mut());
            Factor { ptr, batch: batch as isize, rows: rows as isize, columns: 1 }
        };
        let (whole, rest) = (factor(0, width), factor(1, n - edge));
        Panels { whole, rest, edge, width, size: k * width, _owners: owners.into_iter().collect() }
    }

    /// The panel, or part of one, that begins `at` this place of the free axis, from `depth` on.
    pub fn panel(&self, batch: usize, at: usize, depth: usize) -> Panel<T> {
        if at < self.edge {
            let start = self.whole.at(batch, depth, at % self.width);
            Panel { ptr: start.wrapping_add(at / self.width * self.size), depth: self.whole.rows }
        } else {
            Panel { ptr: self.rest.at(batch, depth, at - self.edge), depth: self.rest.rows }
        }
    }
}
