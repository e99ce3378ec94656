//! Planes: a channel with its padding, the elements of a stride side by side; and the way back.

use smallvec::SmallVec;

use super::{Sizes, unravel};
use crate::isa::{Work, dispatch};
use crate::kernels::stream::ask_for;
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
    /// The rows that are none of the padding: where they come from and go to.
    rows: Vec<(isize, usize)>,
    /// The same of the pieces of a row, and their lengths.
    pieces: SmallVec<[(isize, usize, usize); 4]>,
    stride: isize,
    /// Elements from the first to the last of a row, if they are all read.
    row: usize,
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
        let width = extents[outer.len()];
        let row = |i: usize| -> Option<(isize, usize)> {
            let index = unravel(i, sizes);
            let from: Option<isize> = (0..outer.len()).map(|a| source(a, index[a])).sum();
            Some((from?, i * width))
        };
        let stride = strides[outer.len()];
        let piece = |i: usize| {
            let (first, count) = last.inside(i);
            let at = last.starts[i] + (first * last.step) as isize;
            (count > 0).then_some((at * stride, i * last.size + first, count))
        };
        Split {
            rows: (0..sizes.iter().product()).filter_map(row).collect(),
            pieces: (0..last.starts.len()).filter_map(piece).collect(),
            stride: stride * last.step as isize,
            row: if stride == 1 { last.len } else { 0 },
            pitch,
            channel,
        }
    }

    /// Room for so many channels, the padding in place.
    pub fn buffer<T: Num>(&self, channels: usize) -> Array {
        Array::build::<T>(Shape::from([channels * self.channel + SLACK]), |room| room.fill(T::ZERO))
    }

    /// Fills the planes of a channel, but for the padding.
    ///
    /// # Safety
    /// `from` must point to a channel of the strides and sizes given, `to` to its planes in a buffer. `next` is what will be
    /// read soon, wherever that points.
    pub unsafe fn fill<T: Num>(&self, from: *const T, next: *const T, to: *mut T) {
        dispatch(Fill { split: self, from, next, to });
    }
}

/// [`Split::fill`].
struct Fill<'a, T> {
    split: &'a Split,
    from: *const T,
    next: *const T,
    to: *mut T,
}

impl<T: Num> Work for Fill<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Split { rows, pieces, stride, .. } = self.split;
        for &(from, to) in rows {
            ask_for(self.next.wrapping_offset(from), self.split.row);
            for &(at, place, count) in pieces {
                // SAFETY: the caller's promise; elements inside were counted by `Axis::inside`.
                unsafe { take(self.from.offset(from + at), *stride, self.to.add(to + place), count) };
            }
        }
    }
}

/// Every `stride`-th element.
///
/// # Safety
/// The elements must be readable, and `to` must have room for them.
#[inline(always)]
unsafe fn take<T: Num>(from: *const T, stride: isize, to: *mut T, len: usize) {
    // SAFETY: the caller's promise; every block lies within the run.
    unsafe {
        match stride {
            1 => copy_run(from, to, len),
            2 => take_even(from, to, len),
            _ => (0..len).for_each(|i| *to.add(i) = *from.offset(i as isize * stride)),
        }
    }
}

/// Runs `$block` at the starts of blocks of so many elements; the last may overlap the one before.
macro_rules! in_blocks {
    ($len:expr, $n:literal, $block:expr) => {
        if $len >= $n {
            (0..$len / $n).for_each(|i| $block(i * $n));
            if $len % $n != 0 {
                $block($len - $n);
            }
            return;
        }
    };
}

/// Every second element.
///
/// # Safety
/// As [`take`].
#[inline(always)]
unsafe fn take_even<T: Num>(from: *const T, to: *mut T, len: usize) {
    // SAFETY: the caller's promise; the two parts of a block end with its last element.
    unsafe {
        macro_rules! blocks {
            ($n:literal) => {
                in_blocks!(len, $n, |i: usize| {
                    let part = |at: usize| from.add(at).cast::<[T; $n]>().read_unaligned();
                    let (x, y) = (part(2 * i), part(2 * i + $n - 1));
                    let even: [T; $n] = std::array::from_fn(|j| if j < $n / 2 { x[2 * j] } else { y[2 * j + 1 - $n] });
                    to.add(i).cast::<[T; $n]>().write_unaligned(even);
                })
            };
        }
        blocks!(16);
        blocks!(8);
        blocks!(4);
        (0..len).for_each(|i| *to.add(i) = *from.add(2 * i));
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
                in_blocks!(len, $n, |i: usize| {
                    to.add(i).cast::<[T; $n]>().write_unaligned(from.add(i).cast::<[T; $n]>().read_unaligned());
                })
            };
        }
        blocks!(16);
        blocks!(8);
        blocks!(4);
        (0..len).for_each(|i| *to.add(i) = *from.add(i));
    }
}

/// Elements of `a` and `b` by turns, `len` of each.
///
/// # Safety
/// As [`take`].
#[inline(always)]
unsafe fn weave<T: Num>(a: *const T, b: *const T, to: *mut T, len: usize) {
    // SAFETY: the caller's promise; every block lies within the run.
    unsafe {
        macro_rules! blocks {
            ($n:literal) => {
                in_blocks!(len, $n, |i: usize| {
                    let part = |x: *const T| x.add(i).cast::<[T; $n]>().read_unaligned();
                    let (x, y) = (part(a), part(b));
                    let both: [T; 2 * $n] = std::array::from_fn(|j| if j % 2 == 0 { x[j / 2] } else { y[j / 2] });
                    to.add(2 * i).cast::<[T; 2 * $n]>().write_unaligned(both);
                })
            };
        }
        blocks!(16);
        blocks!(8);
        blocks!(4);
        (0..len).for_each(|i| (*to.add(2 * i), *to.add(2 * i + 1)) = (*a.add(i), *b.add(i)));
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
            let nest =
                |sizes: &[usize], at: &dyn Fn(usize) -> usize| (0..outer).fold(0, |sum, a| sum * sizes[a] + at(a));
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
                        weave(next(0), next(1), to, len / 2);
                        if len % 2 == 1 {
                            *to.add(len - 1) = *next(0).add(len / 2);
                        }
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
