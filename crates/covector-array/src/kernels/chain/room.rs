//! What registers of a chain take of scratch: no more than their values need, so that tiles stay in the first-level cache.

use super::Link;
use super::stretch::{lanes, sum_elements};
use crate::kernels::stream::Line;

/// What a register has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// The elements of a tile, of so many bytes each.
    Tile(usize),
    /// An element for each row, of so many bytes.
    Rows(usize),
    /// The lanes of a row's sum and the sums of its chunks, of so many bytes.
    Lanes(usize),
}

impl Room {
    /// For a link's results, of which masks may leave the registers as wide as they are there.
    pub fn of(link: &Link, in_stretch: bool) -> Room {
        let width = if in_stretch { lanes(link.op, link.dtype).size() } else { link.dtype.size() };
        if link.narrow { Room::Rows(width) } else { Room::Tile(width) }
    }

    /// Bytes for so many rows of so many elements: whole lines.
    pub fn bytes(self, rows: usize, row: usize) -> usize {
        let bytes = match self {
            Room::Tile(width) => rows * row * width,
            Room::Rows(width) => rows * width,
            Room::Lanes(width) => sum_elements(row) * width,
        };
        bytes.next_multiple_of(size_of::<Line>())
    }
}
