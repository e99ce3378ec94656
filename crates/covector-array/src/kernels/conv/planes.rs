//! Planes: a channel with its padding, the elements of a stride side by side; and the way back.

use smallvec::SmallVec;

use super::{Sizes, unravel};
use crate::isa::{Work, dispatch};
use crate::math::Num;
use crate::{Array, Shape};

/// Elements behind the planes of a buffer that may be read, and mean nothing.
pub(super) const SLACK: usize = 64;

/// How an axis of `len` elements is split: element `j` of plane `i` is element `starts[i] + j · step`, or zero.
pub(super) struct Axis {
    pub len: usize,
    pub step: usize,
    pub starts: SmallVec<[isize; 4]>,
    /// Elements of each plane.
    pub size: usize,
}

impl Axis {
    /// The number of the first element of plane `i` that is none of the padding, and how many there are.
    fn inside(&self, i: usize) -> (usize, usize) {
        let (start, step, len) = (self.starts[i], self.step as isize, self.len as isize);
        let before = (-start).max(0) as usize;
        let first = before.div_ceil(self.step).min(self.size);
        let behind = (len - start).max(0) as usize;
        debug_assert!(step > 0);
        (first, behind.div_ceil(self.step).min(self.size).saturating_sub(first))
    }
}

/// The planes of a channel: an array whose axes are as long as all planes of an axis together.
pub(super) struct Split {
    /// From one element to the next along each axis.
    pub pitch: Sizes,
    /// Elements of a channel.
    pub channel: usize,
    /// Where each row of the planes comes from; `None` for padding.
    rows: Vec<Option<isize>>,
    /// The pieces of a row: zeros before, elements, zeros after; and the first element's offset.
    pieces: SmallVec<[(usize, usize, usize, isize); 4]>,
    stride: isize,
}

impl Split {
    /// `strides`: of the spatial axes of the operand.
    pub fn new(axes: Vec<Axis>, strides: &[isize]) -> Split {
        let extents: Sizes = axes.iter().map(|axis| axis.starts.len() * axis.size).collect();
        let mut pitch: Sizes = extents.clone();
        let mut channel = 1;
        for (at, &extent) in pitch.iter_mut().zip(&extents).rev() {
            *at = channel;
            channel *= extent;
        }
        let (last, outer) = axes.split_last().expect("a convolution has spatial axes");
        let source = |a: usize, e: usize| {
            let axis = &outer[a];
            let (first, count) = axis.inside(e / axis.size);
            let j = e % axis.size;
            let at = axis.starts[e / axis.size] + (j * axis.step) as isize;
            (j >= first && j < first + count).then(|| at * strides[a])
        };
        let sizes = &extents[..outer.len()];
        let row = |i: usize| -> Option<isize> {
            let index = unravel(i, sizes);
            (0..outer.len()).map(|a| source(a, index[a])).sum()
        };
        let stride = strides[outer.len()];
        let piece = |i: usize| {
            let (first, count) = last.inside(i);
            let at = last.starts[i] + (first * last.step) as isize;
            (first, count, last.size - first - count, at * stride)
        };
        Split {
            rows: (0..sizes.iter().product()).map(row).collect(),
            pieces: (0..last.starts.len()).map(piece).collect(),
            stride: stride * last.step as isize,
            pitch,
            channel,
        }
    }

    /// Room for so many channels.
    pub fn buffer<T: Num>(&self, channels: usize) -> Array {
        Array::uninit(Shape::from([channels * self.channel + SLACK]), T::DTYPE)
    }

    /// Fills the planes of a channel.
    ///
    /// # Safety
    /// `from` must point to a channel of the strides and sizes given, `to` to room for its planes.
    pub unsafe fn fill<T: Num>(&self, from: *const T, to: *mut T) {
        dispatch(Fill { split: self, from, to });
    }
}

/// [`Split::fill`].
struct Fill<'a, T> {
    split: &'a Split,
    from: *const T,
    to: *mut T,
}

impl<T: Num> Work for Fill<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Split { rows, pieces, stride, .. } = self.split;
        let mut to = self.to;
        for row in rows {
            for &(before, count, after, at) in pieces {
                // SAFETY: the caller's promise; elements inside were counted by `Axis::inside`.
                unsafe {
                    match row {
                        None => zeros(to, before + count + after),
                        Some(row) => {
                            zeros(to, before);
                            take(self.from.wrapping_offset(row + at), *stride, to.add(before), count);
                            zeros(to.add(before + count), after);
                        }
                    }
                    to = to.add(before + count + after);
                }
            }
        }
    }
}

/// # Safety
/// `to` must have room for `len` elements.
#[inline(always)]
unsafe fn zeros<T: Num>(to: *mut T, len: usize) {
    for i in 0..len {
        // SAFETY: the caller's promise.
        unsafe { *to.add(i) = T::ZERO };
    }
}

/// Every `stride`-th element.
///
/// # Safety
/// The elements must be readable, and `to` must have room for them.
#[inline(always)]
unsafe fn take<T: Num>(from: *const T, stride: isize, to: *mut T, len: usize) {
    // SAFETY: the caller's promise; blocks end at or before the last element.
    unsafe {
        match stride {
            1 => copy_run(from, to, len),
            2 => {
                let mut i = 0;
                while i + 8 < len {
                    let both = from.add(2 * i).cast::<[T; 16]>().read_unaligned();
                    let even: [T; 8] = std::array::from_fn(|j| both[2 * j]);
                    to.add(i).cast::<[T; 8]>().write_unaligned(even);
                    i += 8;
                }
                (i..len).for_each(|i| *to.add(i) = *from.add(2 * i));
            }
            _ => (0..len).for_each(|i| *to.add(i) = *from.offset(i as isize * stride)),
        }
    }
}

/// Copies a short run: whole blocks, the last of which may overlap the one before.
///
/// # Safety
/// As [`take`].
#[inline(always)]
pub(super) unsafe fn copy_run<T: Num>(from: *const T, to: *mut T, len: usize) {
    // SAFETY: the caller's promise; every block lies within the run.
    unsafe {
        macro_rules! blocks {
            ($n:literal) => {
                if len >= $n {
                    let block = |i: usize| {
                        to.add(i).cast::<[T; $n]>().write_unaligned(from.add(i).cast::<[T; $n]>().read_unaligned());
                    };
                    let mut i = 0;
                    while i + $n <= len {
                        block(i);
                        i += $n;
                    }
                    if i < len {
                        block(len - $n);
                    }
                    return;
                }
            };
        }
        blocks!(16);
        blocks!(8);
        blocks!(4);
        (0..len).for_each(|i| *to.add(i) = *from.add(i));
    }
}

/// The way back: element `step · m + e` of an axis from element `m` of plane `e`. Planes are whole arrays here.
pub(super) struct Merge {
    /// For each row of the result, the plane (of remainder 0 along the last axis) and the row's place in it.
    rows: Vec<(usize, usize)>,
    /// Elements of a row, and how many planes it comes from.
    len: usize,
    step: usize,
}

impl Merge {
    /// For an array of these sizes, from `steps` planes of `grid` elements along each axis.
    pub fn new(len: &[usize], steps: &[usize], grid: &[usize]) -> Merge {
        let outer = len.len() - 1;
        let row = |i: usize| {
            let index = unravel(i, &len[..outer]);
            let nest = |sizes: &[usize], at: &dyn Fn(usize) -> usize| {
                (0..outer).fold(0, |sum, a| sum * sizes[a] + at(a))
            };
            let plane = nest(steps, &|a| index[a] % steps[a]) * steps[outer];
            (plane, nest(grid, &|a| index[a] / steps[a]) * grid[outer])
        };
        Merge { rows: (0..len[..outer].iter().product()).map(row).collect(), len: len[outer], step: steps[outer] }
    }

    /// Fills a channel at `to` from its part of the first plane at `from`; planes are `plane` elements apart.
    ///
    /// # Safety
    /// The planes must be readable, and `to` must have room for the channel.
    pub unsafe fn run<T: Num>(&self, from: *const T, plane: usize, to: *mut T) {
        dispatch(Merging { merge: self, from, plane, to });
    }
}

/// [`Merge::run`].
struct Merging<'a, T> {
    merge: &'a Merge,
    from: *const T,
    plane: usize,
    to: *mut T,
}

impl<T: Num> Work for Merging<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Merge { rows, len, step } = self.merge;
        for (i, &(plane, row)) in rows.iter().enumerate() {
            // SAFETY: the caller's promise; plane `e` has an element for every `step · m + e` below `len`.
            unsafe {
                let (from, to) = (self.from.add(plane * self.plane + row), self.to.add(i * len));
                let next = |e: usize| from.add(e * self.plane);
                match step {
                    1 => copy_run(from, to, *len),
                    2 => {
                        let (a, b) = (next(0), next(1));
                        let mut m = 0;
                        while m + 8 <= len / 2 {
                            let x = a.add(m).cast::<[T; 8]>().read_unaligned();
                            let y = b.add(m).cast::<[T; 8]>().read_unaligned();
                            let both: [T; 16] = std::array::from_fn(|j| if j % 2 == 0 { x[j / 2] } else { y[j / 2] });
                            to.add(2 * m).cast::<[T; 16]>().write_unaligned(both);
                            m += 8;
                        }
                        (2 * m..*len).for_each(|j| *to.add(j) = if j % 2 == 0 { *a.add(j / 2) } else { *b.add(j / 2) });
                    }
                    _ => (0..*step).for_each(|e| {
                        let from = next(e);
                        (e..*len).step_by(*step).enumerate().for_each(|(m, j)| *to.add(j) = *from.add(m));
                    }),
                }
            }
        }
    }
}
