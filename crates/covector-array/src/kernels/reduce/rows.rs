//! Reductions along sequences whose elements lie close together.

use std::marker::PhantomData;
use std::ops::Range;

use super::columns::combine_lanes;
use super::fold::{Fold, Tree, block, dispatch_common, four_blocks, span};
use super::lanes::Lanes;
use super::{BLOCK, Job, LANES};
use crate::isa::Work;
use crate::kernels::layout::{Walk, gather};
use crate::kernels::runs::copy_run;
use crate::math::Num;

/// Elements looked at together.
const SPAN: usize = 4 * BLOCK;

/// Writes the results of `piece` of the sequences behind `outputs`.
pub(super) fn run<T: Num, F: Fold<T>>(job: &Job<T>, outputs: Range<usize>, piece: usize) {
    let start = piece * job.piece.min(job.count);
    let range = start..(start + job.piece.min(job.count)).min(job.count);
    let axes: smallvec::SmallVec<[(usize, isize); 6]> = job.kept.iter().map(|k| (k.size, k.stride)).collect();
    let mut walk = Walk::at(&axes, outputs.start);
    // SAFETY: each output of each piece has its own element, and only this call writes these.
    let out = unsafe {
        std::slice::from_raw_parts_mut(job.out.get().add(piece * job.outputs + outputs.start), outputs.len())
    };
    let (size, stride) = job.sequence.inner();
    let lanes = Lanes::of(T::DTYPE, F::OP);
    if job.sequence.outer().is_empty() && stride == 1 && size > 0 {
        if let &[(_, pitch @ 0..)] = &axes[..] {
            // SAFETY: these sequences lie in the array, each so far from the one before.
            unsafe {
                let first = job.x.get().offset(walk.offset).add(range.start);
                return lines::<T, F>(first, pitch as usize, range.len(), out);
            }
        }
        for o in out {
            // SAFETY: the sequence is a contiguous run of the array.
            let x = unsafe {
                let first = job.x.get().offset(walk.offset).add(range.start);
                std::slice::from_raw_parts(first, range.len())
            };
            *o = whole::<T, F>(x, lanes);
            walk.advance(&axes);
        }
        return;
    }
    let mut scratch = [T::ZERO; SPAN];
    for o in out {
        let mut tree = Tree::<T, F>::new();
        let mut at = range.start;
        while at < range.end {
            let len = SPAN.min(range.end - at);
            // SAFETY: the sequence lies in the array, and the scratch holds a span.
            let span = unsafe {
                let src = job.x.get().offset(walk.offset);
                match job.sequence.run(at, len) {
                    Some(offset) => std::slice::from_raw_parts(src.offset(offset), len),
                    None => {
                        gather(src.cast(), T::DTYPE, &job.sequence, at, len, scratch.as_mut_ptr().cast());
                        &scratch[..len]
                    }
                }
            };
            push_blocks::<T, F>(span, &mut tree, lanes);
            at += len;
        }
        *o = tree.finish();
        walk.advance(&axes);
    }
}

/// Pushes the results of blocks.
fn push_blocks<T: Num, F: Fold<T>>(x: &[T], tree: &mut Tree<T, F>, lanes: Option<Lanes>) {
    let mut at = 0;
    while at + SPAN <= x.len() {
        tree.push_subtree(span::<T, F>(x[at..at + SPAN].try_into().expect("a whole span"), lanes), SPAN / BLOCK);
        at += SPAN;
    }
    while at < x.len() {
        tree.push(block::<T, F>(&x[at..x.len().min(at + BLOCK)], lanes));
        at += BLOCK;
    }
}

/// The result of a whole sequence.
fn whole<T: Num, F: Fold<T>>(x: &[T], lanes: Option<Lanes>) -> T {
    if x.len() <= BLOCK {
        return block::<T, F>(x, lanes);
    }
    if let Ok(x) = x.try_into() {
        return span::<T, F>(x, lanes);
    }
    let mut tree = Tree::<T, F>::new();
    push_blocks::<T, F>(x, &mut tree, lanes);
    tree.finish()
}

/// The results of sequences of `len` elements that begin `pitch` apart.
///
/// # Safety
/// The sequences must be readable.
pub(super) unsafe fn lines<T: Num, F: Fold<T>>(x: *const T, pitch: usize, len: usize, out: &mut [T]) {
    let lanes = Lanes::of(T::DTYPE, F::OP);
    // SAFETY: the caller's promise.
    let line = |row: usize| unsafe { std::slice::from_raw_parts(x.add(row * pitch), len) };
    if len > BLOCK {
        return out.iter_mut().enumerate().for_each(|(row, out)| *out = whole::<T, F>(line(row), lanes));
    }
    if (1..LANES).contains(&len) && out.len() > 1 {
        return dispatch_common::<T, _>(ShortLines::<T, F> { x, pitch, len, out, fold: PhantomData });
    }
    let mut done = 0;
    if let Some(lanes) = lanes
        && len.is_multiple_of(LANES)
        && len > 0
    {
        for out in out.as_chunks_mut::<4>().0 {
            // SAFETY: four lines of the dtype the loops are for.
            unsafe { (lanes.lines)(x.add(done * pitch).cast(), pitch, len / LANES, out.as_mut_ptr().cast()) };
            done += out.len();
        }
    }
    for (row, out) in out.iter_mut().enumerate().skip(done) {
        *out = block::<T, F>(line(row), lanes);
    }
}

/// Lines that do not fill their lanes, each lane being an element of many lines.
struct ShortLines<'a, T, F> {
    x: *const T,
    pitch: usize,
    len: usize,
    out: &'a mut [T],
    fold: PhantomData<F>,
}

/// Short lines combined together.
const WIDTH: usize = 32;

impl<T: Num, F: Fold<T>> Work for ShortLines<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let mut lanes = [T::ZERO; LANES * WIDTH];
        for (group, out) in self.out.chunks_mut(WIDTH).enumerate() {
            let width = out.len();
            let lanes = &mut lanes[..self.len * width];
            for (element, lane) in lanes.chunks_exact_mut(width).enumerate() {
                let first = self.x.wrapping_add(group * WIDTH * self.pitch + element);
                // SAFETY: the promise made to `lines`; a lane has room for an element of each line.
                unsafe { copy_run(first, self.pitch as isize, lane.as_mut_ptr(), width) };
            }
            combine_lanes::<T, F>(lanes, width, self.len);
            out.copy_from_slice(&lanes[..width]);
        }
    }
}

/// Whole blocks, one result each.
pub(super) fn blocks<T: Num, F: Fold<T>>(x: &[T], out: &mut [T]) {
    let lanes = Lanes::of(T::DTYPE, F::OP);
    let (spans, rest) = x.as_chunks::<SPAN>();
    let (four, one) = out.split_at_mut(spans.len() * 4);
    for (out, x) in four.chunks_exact_mut(4).zip(spans) {
        out.copy_from_slice(&four_blocks::<T, F>(x, lanes));
    }
    for (o, x) in one.iter_mut().zip(rest.chunks_exact(BLOCK)) {
        *o = block::<T, F>(x, lanes);
    }
}
