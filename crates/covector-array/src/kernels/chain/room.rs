//! What registers of a chain take of scratch: no more than their values need, so that tiles stay in the first-level cache.

use super::Link;
use super::stretch::sum_block;
use crate::kernels::reduce::{BLOCK, LANES};
use crate::kernels::stream::Line;

/// What a register has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// The elements of a tile, of so many bytes each.
    Tile(usize),
    /// An element for each row, of so many bytes.
    Rows(usize),
    /// The lanes of a row's sum, of so many bytes.
    Lanes(usize),
}

impl Room {
    /// For a link's results.
    pub fn of(link: &Link) -> Room {
        if link.narrow { Room::Rows(link.dtype.size()) } else { Room::Tile(link.dtype.size()) }
    }

    /// Bytes for so many rows of so many elements: whole lines.
    pub fn bytes(self, rows: usize, row: usize) -> usize {
        let bytes = match self {
            Room::Tile(width) => rows * row * width,
            Room::Rows(width) => rows * width,
            Room::Lanes(width) => row / sum_block(row).unwrap_or(BLOCK) * LANES * width,
        };
        bytes.next_multiple_of(size_of::<Line>())
    }
}
