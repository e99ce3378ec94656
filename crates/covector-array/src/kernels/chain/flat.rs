//! Chains that one program does, and that read and write nothing but arrays where they lie and numbers: they need no tiles.

use std::ops::Range;

use smallvec::SmallVec;

use super::native::{Kind, Native};
use super::{Chain, piece};
use crate::kernels::kernel::TILE;
use crate::kernels::stream::{self, Line};
use crate::{Array, threads};

/// A run of such a chain.
pub(super) struct Flat<'a> {
    native: &'a Native,
    /// The cells that are read or written element by element; of the others, numbers, the first element is read.
    touched: SmallVec<[usize; 8]>,
    /// Where each cell begins.
    cells: SmallVec<[*mut u8; 24]>,
    /// The first cell of an output.
    outputs: usize,
}

// SAFETY: threads write disjoint elements.
unsafe impl Sync for Flat<'_> {}

impl<'a> Flat<'a> {
    /// The run on these arrays, if the chain is such a one, and inputs that are read element by element `lie` in order and are not
    /// overwritten while they are read.
    pub fn of(
        chain: &Chain,
        native: &'a Native,
        inputs: &[Array],
        results: &[Array],
        lies: impl Fn(usize) -> bool,
    ) -> Option<Flat<'a>> {
        let ([program], [stretch]) = (&native.programs[..], &chain.stretches[..]) else { return None };
        if program.kind != Kind::Elements || program.calls != chain.calls.len() {
            return None;
        }
        let first = chain.registers.len();
        let outputs = first + inputs.len();
        let mut touched: SmallVec<[usize; 8]> = stretch.touched().map(usize::from).collect();
        touched.sort_unstable();
        touched.dedup();
        if !touched.iter().all(|&cell| cell >= outputs || (cell >= first && lies(cell - first))) {
            return None;
        }
        let mut cells: SmallVec<[*mut u8; 24]> = SmallVec::from_elem(std::ptr::null_mut(), first);
        cells.extend(inputs.iter().chain(results).map(|x| x.ptr::<u8>().cast_mut()));
        Some(Flat { native, touched, cells, outputs })
    }

    /// Computes so many elements; a chain has so many links.
    pub fn run(&self, elements: usize, links: usize) {
        let piece = piece(elements) / TILE * TILE;
        threads::for_each(elements.div_ceil(piece), elements.saturating_mul(links), |i| {
            self.piece(i * piece..(i * piece + piece).min(elements));
        });
    }

    /// Computes some elements. The last ones, if they are no whole vector, go by way of one.
    fn piece(&self, elements: Range<usize>) {
        let (native, program) = (self.native, &self.native.programs[0]);
        let width = program.dtype.size();
        let moved = |cells: &[*mut u8], place: &dyn Fn(usize, *mut u8) -> *mut u8| {
            let mut moved: SmallVec<[*mut u8; 24]> = cells.into();
            self.touched.iter().enumerate().for_each(|(i, &cell)| moved[cell] = place(i, cells[cell]));
            moved
        };
        let at = moved(&self.cells, &|_, cell| cell.wrapping_add(elements.start * width));
        let bytes = elements.len() * width;
        let rest = bytes % native.vector;
        // SAFETY: these are whole vectors of arrays that lie in order; pieces are disjoint; an input that a result overwrites is read
        // at the same place and before.
        unsafe { native.run(program, &at, 0..bytes - rest) };
        if rest > 0 {
            let last = moved(&at, &|_, cell| cell.wrapping_add(bytes - rest));
            let mut lines: SmallVec<[Line; 8]> = SmallVec::from_elem(Line::EMPTY, self.touched.len());
            let lines = lines.as_mut_ptr();
            let vectors = moved(&at, &|i, _| lines.wrapping_add(i).cast());
            // SAFETY: the elements after those that are done, and lines, which are no shorter than a vector.
            unsafe {
                for &cell in self.touched.iter().filter(|&&cell| cell < self.outputs) {
                    std::ptr::copy_nonoverlapping(last[cell], vectors[cell], rest);
                }
                native.run(program, &vectors, 0..native.vector);
                for &cell in self.touched.iter().filter(|&&cell| cell >= self.outputs) {
                    std::ptr::copy_nonoverlapping(vectors[cell], last[cell], rest);
                }
            }
        }
        if !native.past.is_empty() {
            stream::finish();
        }
    }
}
