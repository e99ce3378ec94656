//! Layouts: how a logical row-major sequence lies in memory, in as few axes as possible.

use smallvec::SmallVec;

use super::runs::{copy_run, copy_short_runs};
use crate::{Array, DType, c128};

/// Sizes and strides without axes of size 1 and with mergeable neighbours merged, outermost first.
pub(crate) struct Layout {
    outer: SmallVec<[(usize, isize); 6]>,
    /// Size and stride of the innermost axis.
    inner: (usize, isize),
}

impl Layout {
    /// The layout of an array.
    pub fn of(array: &Array) -> Layout {
        Layout::new(array.shape().iter().copied().zip(array.strides().iter().copied()))
    }

    /// The layout of axes given as (size, stride), outermost first.
    pub fn new(axes: impl IntoIterator<Item = (usize, isize)>) -> Layout {
        let mut outer: SmallVec<[(usize, isize); 6]> = SmallVec::new();
        for (size, stride) in axes {
            if size == 1 {
                continue;
            }
            match outer.last_mut() {
                Some(last) if last.1 == stride * size as isize => *last = (last.0 * size, stride),
                _ => outer.push((size, stride)),
            }
        }
        let inner = outer.pop().unwrap_or((1, 1));
        Layout { outer, inner }
    }

    /// True if the sequence is one run without gaps.
    pub fn is_contiguous(&self) -> bool {
        self.outer.is_empty() && self.inner.1 == 1
    }

    /// True if the sequence is one element again and again.
    pub fn is_constant(&self) -> bool {
        self.outer.is_empty() && (self.inner.1 == 0 || self.inner.0 == 1)
    }

    /// True if the sequence is the same `row` elements again and again.
    pub fn repeats(&self, row: usize) -> bool {
        self.is_constant() || (row.is_multiple_of(self.inner.0) && self.outer.iter().all(|&(_, stride)| stride == 0))
    }

    /// Size and stride of the innermost axis.
    pub fn inner(&self) -> (usize, isize) {
        self.inner
    }

    /// Sizes and strides of the other axes, outermost first.
    pub fn outer(&self) -> &[(usize, isize)] {
        &self.outer
    }

    /// Calls `body(offset, count)` for the runs along the innermost axis that make up elements `start..start + len`.
    #[inline(always)]
    pub fn for_runs(&self, start: usize, len: usize, body: impl FnMut(isize, usize)) {
        for_runs(&self.outer, self.inner, start, len, body);
    }

    /// The offset of element `start` if the `len` elements from there on lie side by side.
    pub fn run(&self, start: usize, len: usize) -> Option<isize> {
        let (size, stride) = self.inner;
        let at = start % size;
        let side_by_side = len == 1 || stride == 1 && at + len <= size;
        side_by_side.then(|| offset_of(&self.outer, start / size) + at as isize * stride)
    }
}

/// Where element `linear` of a row-major walk over axes lies, in elements.
pub(super) fn offset_of(axes: &[(usize, isize)], mut linear: usize) -> isize {
    let mut offset = 0;
    for &(size, stride) in axes.iter().rev() {
        if linear == 0 {
            break;
        }
        let (rest, at) = split(linear, size);
        offset += at as isize * stride;
        linear = rest;
    }
    offset
}

/// Quotient and remainder: divisions take long, and most walks begin within the innermost axes.
#[inline(always)]
fn split(linear: usize, size: usize) -> (usize, usize) {
    if linear < size { (0, linear) } else { (linear / size, linear % size) }
}

/// A position in a row-major walk over axes, with its offset in memory.
pub(crate) struct Walk {
    index: SmallVec<[usize; 6]>,
    /// In elements.
    pub offset: isize,
}

impl Walk {
    /// The position of element `linear` of the walk.
    pub fn at(axes: &[(usize, isize)], mut linear: usize) -> Walk {
        let offset = offset_of(axes, linear);
        let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, axes.len());
        for (i, &(size, _)) in index.iter_mut().zip(axes).rev() {
            if linear == 0 {
                break;
            }
            (linear, *i) = split(linear, size);
        }
        Walk { index, offset }
    }

    /// Moves to the next element; from the last one back to the first.
    #[inline(always)]
    pub fn advance(&mut self, axes: &[(usize, isize)]) {
        for (i, &(size, stride)) in self.index.iter_mut().zip(axes).rev() {
            *i += 1;
            self.offset += stride;
            if *i < size {
                return;
            }
            self.offset -= stride * size as isize;
            *i = 0;
        }
    }
}

/// See [`Layout::for_runs`].
#[inline(always)]
fn for_runs(
    outer: &[(usize, isize)],
    (size, stride): (usize, isize),
    start: usize,
    len: usize,
    mut body: impl FnMut(isize, usize),
) {
    if len == 0 {
        return;
    }
    let mut walk = Walk::at(outer, start / size);
    let (mut at, mut left) = (start % size, len);
    loop {
        let count = (size - at).min(left);
        body(walk.offset + at as isize * stride, count);
        left -= count;
        if left == 0 {
            return;
        }
        at = 0;
        walk.advance(outer);
    }
}

/// Copies elements `start..start + len` of the sequence at `src` to `dst`.
///
/// # Safety
/// All elements of the sequence must be readable, `dst` must have room for `len` elements of `dtype`, without overlap.
pub(crate) unsafe fn gather(src: *const u8, dtype: DType, layout: &Layout, start: usize, len: usize, dst: *mut u8) {
    // SAFETY: the caller's promise; elements are moved as plain integers of the same size.
    unsafe {
        match dtype.size() {
            1 => gather_as::<u8>(src, layout, start, len, dst),
            2 => gather_as::<u16>(src, layout, start, len, dst),
            4 => gather_as::<u32>(src, layout, start, len, dst),
            8 => gather_as::<u64>(src, layout, start, len, dst),
            _ => gather_as::<c128>(src, layout, start, len, dst),
        }
    }
}

/// Runs of up to so many elements are copied many in one loop.
const SHORT: usize = 8;

/// See [`gather`].
unsafe fn gather_as<T: Copy>(src: *const u8, layout: &Layout, start: usize, len: usize, dst: *mut u8) {
    if len == 0 {
        return;
    }
    let (src, dst) = (src.cast::<T>(), dst.cast::<T>());
    let (size, stride) = layout.inner();
    let copy = |start: usize, len: usize, mut dst: *mut T| {
        layout.for_runs(start, len, |offset, count| {
            // SAFETY: the run lies in the sequence, and the counts of all runs add up to `len`.
            unsafe {
                copy_run(src.offset(offset), stride, dst, count);
                dst = dst.add(count);
            }
        });
    };
    let head = start.next_multiple_of(size) - start;
    let rows = len.saturating_sub(head) / size;
    let Some((&line, outer)) = layout.outer().split_last().filter(|_| size <= SHORT && rows > 1) else {
        return copy(start, len, dst);
    };
    // Whole runs one axis at a time, and what is no whole run before and behind them.
    copy(start, head, dst);
    let mut to = dst.wrapping_add(head);
    for_runs(outer, line, (start + head) / size, rows, |offset, rows| {
        // SAFETY: as above.
        unsafe {
            copy_short_runs(src.offset(offset), (rows, line.1), (size, stride), to);
            to = to.add(rows * size);
        }
    });
    let done = head + rows * size;
    copy(start + done, len - done, to);
}

/// A pointer that may be handed to other threads, which write disjoint elements through it.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub *mut T);

// SAFETY: whoever dereferences it promises that threads touch disjoint elements.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The pointer (a method, so that closures capture the wrapper whole).
    pub fn get(self) -> *mut T {
        self.0
    }
}
