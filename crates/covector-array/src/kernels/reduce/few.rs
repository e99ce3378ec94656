//! Reductions of few elements for each of many outputs, such as the windows of a pool: rows of neighbouring outputs are gathered from
//! memory, each lane of a block being such a row.

use std::marker::PhantomData;

use super::columns::{append_to_lane, combine_lanes};
use super::fold::{Fold, dispatch_common};
use super::source::Source;
use super::{BLOCK, GRAIN, Job, Kept, LANES};
use crate::isa::Work;
use crate::kernels::layout::{Layout, gather};
use crate::math::Num;
use crate::threads;

/// Outputs worked on together: lanes of so many elements stay in the first- or second-level cache.
const WIDTH: usize = 512;
/// Neighbouring outputs should lie so close in memory.
const NEAR: usize = 8;

/// True if elements are combined as they lie, and outputs that follow one another are the nearest in memory, but do not follow in
/// runs that are long enough for [`columns`](super::columns), or sequences in none for [`rows`](super::rows).
pub(super) fn suits<S: Source>(job: &Job<S>, across: bool) -> bool {
    let Some((last, others)) = job.kept.split_last() else { return false };
    let step = last.stride.unsigned_abs();
    let is_run = job.sequence.outer().is_empty() && job.sequence.inner().1 == 1;
    let most = if is_run { LANES - 1 } else { BLOCK };
    let nearest = others.iter().all(|k| k.stride.unsigned_abs() >= step);
    let ill_suited_otherwise = if across { last.size < WIDTH / 4 } else { step <= NEAR };
    let as_they_lie = S::place(job.x.get()).is_some();
    as_they_lie && (2..=most).contains(&job.count) && job.outputs >= 64 && nearest && ill_suited_otherwise
}

/// Writes all results.
pub(super) fn run<S: Source, F: Fold<S::Seen>>(job: &Job<S>) {
    let axes = |k: &Kept| (k.size, k.stride);
    let kept = &Layout::new(job.kept.iter().map(axes));
    let chunk = (GRAIN / job.count).next_multiple_of(WIDTH);
    threads::for_each(job.outputs.div_ceil(chunk), job.outputs * job.count, |i| {
        let mut lanes = vec![S::Seen::ZERO; (LANES + 1) * WIDTH];
        let end = job.outputs.min((i + 1) * chunk);
        for start in (i * chunk..end).step_by(WIDTH) {
            let width = WIDTH.min(end - start);
            // SAFETY: each output has its own element, and only this task writes these.
            let out = unsafe { std::slice::from_raw_parts_mut(job.out.get().add(start), width) };
            dispatch_common::<S::Seen, _>(Rows::<S, F> { job, kept, start, lanes: &mut lanes, out, fold: PhantomData });
        }
    });
}

/// The results of neighbouring outputs from `start` on.
struct Rows<'a, S: Source, F> {
    job: &'a Job<S>,
    kept: &'a Layout,
    start: usize,
    lanes: &'a mut [S::Seen],
    out: &'a mut [S::Seen],
    fold: PhantomData<F>,
}

impl<S: Source, F: Fold<S::Seen>> Work for Rows<'_, S, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (job, width) = (self.job, self.out.len());
        let (row, lanes) = self.lanes.split_at_mut(width);
        let lanes = &mut lanes[..LANES * width];
        let mut index = 0;
        job.sequence.for_runs(0, job.count, |offset, run| {
            for i in 0..run {
                let into = if index < LANES { &mut lanes[index * width..][..width] } else { &mut *row };
                // SAFETY: the elements lie in the array; a lane has room for a row.
                unsafe {
                    let x = job.x.get().offset(offset + i as isize * job.sequence.inner().1);
                    gather(x.cast(), S::DTYPE, self.kept, self.start, width, into.as_mut_ptr().cast());
                }
                if index >= LANES {
                    append_to_lane::<S::Seen, F>(lanes, index, row);
                }
                index += 1;
            }
        });
        combine_lanes::<S::Seen, F>(lanes, width, job.count.min(LANES));
        self.out.copy_from_slice(&lanes[..width]);
    }
}
