//! Copies into row-major order.
//!
//! Most copies are runs of neighbours, gathered one after another. If neighbours of the result lie far apart in the source, but
//! another axis of the source is dense, the copy goes in square blocks of both axes, so that every cache line read or
//! written is used whole.

use smallvec::SmallVec;

use super::layout::{Layout, Shared, gather, offset_of};
use super::square::Square;
use super::stream::prefetch;
use crate::isa::{Work, dispatch};
use crate::{Array, c128, threads};

/// Elements per piece of parallel work.
const CHUNK: usize = 1 << 15;
/// Side of the square blocks, in elements: a cache line of f32.
const BLOCK: usize = 16;
/// Rows of the result that are written together.
const BAND: usize = 4 * BLOCK;

/// The same elements in a fresh row-major buffer.
pub fn copy(x: &Array) -> Array {
    let out = Array::uninit(x.shape().clone(), x.dtype());
    // SAFETY: the room is fresh, and for as many elements.
    unsafe { copy_to(x, out.ptr::<u8>().cast_mut()) };
    out
}

/// The elements in row-major order, to `dst`.
///
/// # Safety
/// There must be room for all of them, in memory that is not the array's.
pub(super) unsafe fn copy_to(x: &Array, dst: *mut u8) {
    let (size, width) = (x.size(), x.dtype().size());
    if size == 0 {
        return;
    }
    let layout = Layout::of(x);
    let (src, dst) = (Shared(x.ptr::<u8>().cast_mut()), Shared(dst));
    if let Some(dense) = dense_axis(&layout).filter(|_| size >= BLOCK * BLOCK) {
        // Elements are moved as plain bits of the same size.
        match width {
            1 => transpose::<u8>(src, dst, &layout, dense),
            2 => transpose::<u16>(src, dst, &layout, dense),
            4 => transpose::<u32>(src, dst, &layout, dense),
            8 => transpose::<u64>(src, dst, &layout, dense),
            _ => transpose::<c128>(src, dst, &layout, dense),
        }
        return;
    }
    threads::for_each(size.div_ceil(CHUNK), size, |i| {
        let (start, len) = (i * CHUNK, CHUNK.min(size - i * CHUNK));
        // SAFETY: the source is a view within its buffer; the chunks of the fresh output are disjoint.
        unsafe { gather(src.get(), x.dtype(), &layout, start, len, dst.get().add(start * width)) }
    });
}

/// The outer axis along which memory is denser than along the innermost one.
fn dense_axis(layout: &Layout) -> Option<usize> {
    let steps = layout.outer().iter().enumerate().filter(|(_, a)| a.1 != 0 && a.0 >= 4);
    let (axis, step) = steps.map(|(i, a)| (i, a.1.unsigned_abs())).min_by_key(|&(_, s)| s)?;
    (step < layout.inner().1.unsigned_abs()).then_some(axis)
}

/// True if gathering the sequence in order would jump through memory.
pub(crate) fn is_transposed(layout: &Layout) -> bool {
    layout.inner().1.unsigned_abs() >= BLOCK && dense_axis(layout).is_some()
}

/// One axis of a plane: its size and its strides in the source and the result.
#[derive(Clone, Copy)]
struct Axis {
    size: usize,
    src: isize,
    dst: isize,
}

/// Copies in square blocks of the axis `dense` and the innermost one.
fn transpose<T: Copy + Default>(src: Shared<u8>, dst: Shared<u8>, layout: &Layout, dense: usize) {
    let (columns, step) = layout.inner();
    let mut axes: SmallVec<[Axis; 6]> = SmallVec::new();
    let mut stride = columns as isize;
    for &(size, src) in layout.outer().iter().rev() {
        axes.insert(0, Axis { size, src, dst: stride });
        stride *= size as isize;
    }
    let rows = axes.remove(dense);
    let columns = Axis { size: columns, src: step, dst: 1 };
    let bands = rows.size.div_ceil(BAND);
    let sources: SmallVec<[(usize, isize); 6]> = axes.iter().map(|a| (a.size, a.src)).collect();
    let results: SmallVec<[(usize, isize); 6]> = axes.iter().map(|a| (a.size, a.dst)).collect();
    let tasks = bands * axes.iter().map(|a| a.size).product::<usize>();
    let group = (CHUNK / (columns.size * rows.size.min(BAND))).max(1);
    let square = Square::of(size_of::<T>()).filter(|_| rows.src == 1);
    threads::for_each(tasks.div_ceil(group), columns.size * rows.size * (tasks / bands), |i| {
        for task in i * group..(i * group + group).min(tasks) {
            let (place, first) = (task / bands, task % bands * BAND);
            let rows = Axis { size: BAND.min(rows.size - first), ..rows };
            let (from, to) = (offset_of(&sources, place), offset_of(&results, place));
            let (skip_src, skip_dst) = (first as isize * rows.src, first as isize * rows.dst);
            // SAFETY: the first element of this band of the plane, in the view and in the fresh output.
            let (src, dst) =
                unsafe { (src.get().cast::<T>().offset(from + skip_src), dst.get().cast::<T>().offset(to + skip_dst)) };
            dispatch(Band { src, dst, rows, columns, square });
        }
    });
}

/// Rows of the result to be written.
struct Band<T> {
    src: *const T,
    dst: *mut T,
    rows: Axis,
    columns: Axis,
    /// Turns squares, of which several make up a block, if lines of the source are dense.
    square: Option<Square>,
}

impl<T: Copy + Default> Work for Band<T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (rows, columns) = (self.rows, self.columns);
        let whole = (rows.size / BLOCK * BLOCK, columns.size / BLOCK * BLOCK);
        let mut start = 0;
        while start < whole.1 {
            // Square tiles of blocks, so that memory is read and written a few lines in a row at a time.
            let end = whole.1.min(start + BAND);
            let mut row = 0;
            while row < whole.0 {
                let mut column = start;
                while column < end {
                    for j in 0..BLOCK {
                        let to =
                            self.dst.wrapping_offset((row + j) as isize * rows.dst + (column + 2 * BLOCK) as isize);
                        prefetch(to);
                    }
                    for i in 0..BLOCK {
                        let from = self
                            .src
                            .wrapping_offset(row as isize * rows.src + (column + BLOCK + i) as isize * columns.src);
                        prefetch(from);
                    }
                    // SAFETY: the block lies inside the band.
                    unsafe { self.block(row, column) };
                    column += BLOCK;
                }
                row += BLOCK;
            }
            start = end;
        }
        for row in 0..rows.size {
            for column in if row < whole.0 { whole.1 } else { 0 }..columns.size {
                // SAFETY: the element lies inside the band.
                unsafe {
                    *self.dst.offset(row as isize * rows.dst + column as isize) =
                        *self.src.offset(row as isize * rows.src + column as isize * columns.src);
                }
            }
        }
    }
}

impl<T: Copy + Default> Band<T> {
    /// Copies a whole block: reads lines along the rows axis, writes lines along the columns axis.
    ///
    /// # Safety
    /// `BLOCK` rows and columns from here on must lie inside the band.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // a transpose reads better with both indices
    unsafe fn block(&self, row: usize, column: usize) {
        if let Some(Square { side, turn }) = self.square {
            let width = size_of::<T>() as isize;
            for (i, j) in (0..BLOCK).step_by(side).flat_map(|i| (0..BLOCK).step_by(side).map(move |j| (i, j))) {
                let (row, column) = ((row + j) as isize, (column + i) as isize);
                // SAFETY: the caller's promise; the square is one for the instruction set in use.
                unsafe {
                    let from = self.src.offset(row * self.rows.src + column * self.columns.src).cast();
                    let to = self.dst.offset(row * self.rows.dst + column).cast();
                    turn(from, self.columns.src * width, to, self.rows.dst * width);
                }
            }
            return;
        }
        let mut block = [[T::default(); BLOCK]; BLOCK];
        // SAFETY: the caller's promise; lines of the result are contiguous.
        unsafe {
            for (i, line) in block.iter_mut().enumerate() {
                let from = self.src.offset(row as isize * self.rows.src + (column + i) as isize * self.columns.src);
                if self.rows.src == 1 {
                    *line = from.cast::<[T; BLOCK]>().read_unaligned();
                } else {
                    for (j, value) in line.iter_mut().enumerate() {
                        *value = *from.offset(j as isize * self.rows.src);
                    }
                }
            }
            for j in 0..BLOCK {
                let mut line = [T::default(); BLOCK];
                for i in 0..BLOCK {
                    line[i] = block[i][j];
                }
                let to = self.dst.offset((row + j) as isize * self.rows.dst + column as isize);
                to.cast::<[T; BLOCK]>().write_unaligned(line);
            }
        }
    }
}
