//! The gradient of a weight of many channels: a matrix product for each element of the kernel, with channels last.
//!
//! Both operands are turned once, so that the channels of a position lie side by side. Then the windows of some channels are rows
//! of the right factor as they lie, whichever element of the kernel meets them; where it meets the padding there is a row of
//! zeros.

use std::ops::Range;

use super::planes::SLACK;
use super::scattered::{PIECES, Run, Scatter, Scattered};
use super::weight::{self, Sums};
use super::{Call, Sizes, Slide, unravel};
use crate::isa::{Work, dispatch};
use crate::kernels::copy::{copy, copy_to};
use crate::{Array, Shape, threads};

/// Positions at a time: rows of both factors stay in the first-level cache for all elements of the kernel.
const STEPS: usize = 128;
/// Channels of the cotangent in a task, at most: its sums stay in the second-level cache.
const ROWS: usize = 96;
/// Channels of both operands, at least: 32 fill a register tile, but are faster as dot products.
const LEAST: usize = 48;
/// Multiply-adds for each element of an operand, at least, that are worth turning it.
const WORTH: usize = 512;

/// Both operands, turned.
pub(super) struct Turned<'a, T> {
    call: &'a Call,
    /// Position by position, and behind them a row of zeros.
    x: Array,
    zeros: usize,
    /// Position by position.
    y: Array,
    run: Run<T>,
    /// Channels of the cotangent in a task, and in a register tile.
    rows: usize,
    tall: usize,
    /// Elements of the kernel, and those in a task.
    taps: Vec<Sizes>,
    share: usize,
}

impl<'a, T: Scatter> Turned<'a, T> {
    /// `None` if there are too few channels, or too little is done with each.
    pub fn new(call: &'a Call, x: &Array, y: &Array) -> Option<Turned<'a, T>> {
        let (whole, taps) = (call.inputs.next_multiple_of(Scattered::<T>::WIDE), call.taps().collect::<Vec<Sizes>>());
        let fewest = call.inputs.min(call.outputs);
        if 3 * call.inputs < 2 * whole || fewest < LEAST || fewest * taps.len() < WORTH {
            return None;
        }
        let last = |x: &Array| x.permute(&[0].into_iter().chain(2..x.ndim()).chain([1]).collect::<Vec<usize>>());
        let (zeros, row) = (x.size(), call.groups * call.inputs);
        let turned = Array::uninit(Shape::from([zeros + row + SLACK]), T::DTYPE);
        // SAFETY: the room is fresh, and has that many elements and a row behind them.
        unsafe {
            copy_to(&last(x), turned.ptr::<u8>().cast_mut());
            turned.ptr::<T>().cast_mut().add(zeros).write_bytes(0, row);
        }
        let (run, y) = (T::scattered(), copy(&last(y)));
        // Elements of the kernel are tasks where there are few others, and then fewer channels make one.
        let least = call.groups * (whole / Scattered::<T>::WIDE);
        let most = least * weight::parts(call, least) * taps.len();
        let parts = weight::TASKS.div_ceil(most).min(call.outputs / T::kernel().tall).max(call.outputs.div_ceil(ROWS));
        let rows = call.outputs.div_ceil(parts);
        let tall = rows.div_ceil(rows.div_ceil(T::kernel().tall));
        let mut all = Turned { call, x: turned, zeros, y, run, rows, tall, share: taps.len(), taps };
        let tasks = all.tasks() * weight::parts(call, all.tasks());
        all.share = all.share.div_ceil(weight::TASKS.div_ceil(tasks));
        Some(all)
    }

    /// Register tiles of channels of the input, parts of those of the cotangent, and parts of the elements of the kernel.
    fn parts(&self) -> [usize; 3] {
        let (inputs, outputs) = (self.call.inputs, self.call.outputs);
        [inputs.div_ceil(Scattered::<T>::WIDE), outputs.div_ceil(self.rows), self.taps.len().div_ceil(self.share)]
    }

    /// Independent parts of the gradient.
    pub fn tasks(&self) -> usize {
        self.call.groups * self.parts().iter().product::<usize>()
    }

    /// The gradient of a task's channels, summed over some spans of positions, into an array of the whole.
    ///
    /// # Safety
    /// The elements of these channels at `out` must be writable, by this call alone.
    pub unsafe fn run(&self, task: usize, spans: Range<usize>, out: *mut T) {
        let Call { inputs, outputs, .. } = *self.call;
        let (wide, [panels, parts, shares]) = (Scattered::<T>::WIDE, self.parts());
        let (task, share) = (task / shares, task % shares);
        let (group, panel, part) = (task / parts / panels, task / parts % panels, task % parts);
        let rows = part * self.rows..outputs.min((part + 1) * self.rows);
        let taps = self.taps.chunks(self.share).nth(share).expect("there are so many shares");
        let mut offsets = vec![0; taps.len() * STEPS];
        let mut sums = Sums::new(taps.len() * rows.len() * wide);
        let all = self.call.examples * self.call.positions();
        sums.over(spans, all, |block, products| {
            for steps in threads::chunks(block.len(), STEPS) {
                let fresh = steps.start == 0;
                let (zeros, steps) = (self.zeros, block.start + steps.start..block.start + steps.end);
                dispatch(Places { call: self.call, taps, zeros, steps: steps.clone(), offsets: &mut offsets });
                for row in rows.clone().step_by(self.tall) {
                    let high = self.tall.min(rows.end - row);
                    for (products, offsets) in products.chunks_mut(rows.len() * wide).zip(offsets.chunks(STEPS)) {
                        let first = group * inputs + panel * wide;
                        let piece = |i: usize| self.x.ptr::<T>().wrapping_add(first + i * wide / PIECES);
                        let a_depth = self.call.groups * outputs;
                        let tile = Scattered {
                            a: self.y.ptr::<T>().wrapping_add(steps.start * a_depth + group * outputs + row),
                            a_depth,
                            rows: high,
                            pieces: std::array::from_fn(piece),
                            offsets: &offsets[..steps.len()],
                            out: products[(row - rows.start) * wide..].as_mut_ptr(),
                            out_row: wide,
                            fresh,
                        };
                        // SAFETY: rows of both factors lie in the turned operands, those of the right one with slack behind the
                        // last; the results lie in `products`.
                        unsafe { (self.run)(&tile) };
                    }
                }
            }
        });
        let columns = panel * wide..inputs.min((panel + 1) * wide);
        for (row, o) in rows.clone().enumerate() {
            for (column, c) in columns.clone().enumerate() {
                let first = ((group * outputs + o) * inputs + c) * self.taps.len() + share * self.share;
                let to = out.wrapping_add(first);
                for tap in 0..taps.len() {
                    // SAFETY: the caller's promise.
                    unsafe { *to.add(tap) = sums.total[(tap * rows.len() + row) * wide + column] };
                }
            }
        }
    }
}

/// Finds where each element of the kernel meets the channels of the input at some positions.
struct Places<'a> {
    call: &'a Call,
    taps: &'a [Sizes],
    /// The row of zeros.
    zeros: usize,
    steps: Range<usize>,
    /// For each element of the kernel, [`STEPS`] places.
    offsets: &'a mut [usize],
}

impl Work for Places<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Call { len, out, slides, groups, inputs, .. } = self.call;
        let (channels, last, positions) = (groups * inputs, len.len() - 1, self.call.positions());
        let meets = |axis: usize, p: usize, k: usize| {
            let Slide { step, padding, dilation } = slides[axis];
            (p * step + k * dilation).wrapping_sub(padding)
        };
        let mut at = self.steps.start;
        while at < self.steps.end {
            let (example, index) = (at / positions, unravel(at % positions, out));
            let count = (out[last] - index[last]).min(self.steps.end - at);
            for (tap, offsets) in self.taps.iter().zip(self.offsets.chunks_mut(STEPS)) {
                let offsets = &mut offsets[at - self.steps.start..][..count];
                let row = (0..last).try_fold(example, |row, a| {
                    let met = meets(a, index[a], tap[a]);
                    (met < len[a]).then(|| row * len[a] + met)
                });
                let Some(row) = row else {
                    offsets.fill(self.zeros);
                    continue;
                };
                let (first, step) = (meets(last, index[last], tap[last]), slides[last].step);
                for (i, offset) in offsets.iter_mut().enumerate() {
                    let met = first.wrapping_add(i * step);
                    let place = (row * len[last]).wrapping_add(met).wrapping_mul(channels);
                    *offset = if met < len[last] { place } else { self.zeros };
                }
            }
            at += count;
        }
    }
}
