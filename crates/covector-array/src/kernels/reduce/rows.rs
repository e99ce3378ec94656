//! Reductions along sequences whose elements lie close together.

use std::ops::Range;

use super::fold::{Fold, Tree, block, dispatch_common, four_blocks, span};
use super::lanes::Lanes;
use super::{BLOCK, Job, LANES};
use crate::isa::Work;
use crate::kernels::layout::{Walk, gather};
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
    if job.sequence.outer().is_empty() && stride == 1 && size > 0 {
        return dispatch_common::<T, _>(Straight::<T, F> {
            job,
            axes: &axes,
            walk,
            range,
            out,
            fold: Default::default(),
        });
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
            dispatch_common::<T, _>(Span::<T, F>(span, &mut tree));
            at += len;
        }
        *o = tree.finish();
        walk.advance(&axes);
    }
}

/// Pushes the blocks of a span.
struct Span<'a, T, F>(&'a [T], &'a mut Tree<T, F>);

impl<T: Num, F: Fold<T>> Work for Span<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        push_blocks::<T, F>(self.0, self.1, Lanes::of(T::DTYPE, F::OP));
    }
}

#[inline(always)]
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
#[inline(always)]
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
#[inline(always)]
pub(super) unsafe fn lines<T: Num, F: Fold<T>>(x: *const T, pitch: usize, len: usize, out: &mut [T]) {
    let lanes = Lanes::of(T::DTYPE, F::OP);
    // SAFETY: the caller's promise.
    let line = |row: usize| unsafe { std::slice::from_raw_parts(x.add(row * pitch), len) };
    if len > BLOCK {
        return out.iter_mut().enumerate().for_each(|(row, out)| *out = whole::<T, F>(line(row), lanes));
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

/// Neighbouring sequences of equal length, one result each.
pub(super) struct Rows<'a, T, F>(pub &'a [T], pub &'a mut [T], pub std::marker::PhantomData<F>);

impl<T: Num, F: Fold<T>> Work for Rows<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (row, lanes) = (self.0.len() / self.1.len(), Lanes::of(T::DTYPE, F::OP));
        for (o, x) in self.1.iter_mut().zip(self.0.chunks_exact(row)) {
            *o = whole::<T, F>(x, lanes);
        }
    }
}

/// Whole blocks, one result each.
pub(super) struct Blocks<'a, T, F>(pub &'a [T], pub &'a mut [T], pub std::marker::PhantomData<F>);

impl<T: Num, F: Fold<T>> Work for Blocks<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let lanes = Lanes::of(T::DTYPE, F::OP);
        let (spans, out) = (self.0.chunks_exact(SPAN), self.1);
        let rest = spans.remainder();
        let (four, one) = out.split_at_mut(spans.len() * 4);
        for (out, x) in four.chunks_exact_mut(4).zip(spans) {
            out.copy_from_slice(&four_blocks::<T, F>(x.try_into().expect("a whole span"), lanes));
        }
        for (o, x) in one.iter_mut().zip(rest.chunks_exact(BLOCK)) {
            *o = block::<T, F>(x, lanes);
        }
    }
}

/// Sequences that are slices.
struct Straight<'a, T, F> {
    job: &'a Job<T>,
    axes: &'a [(usize, isize)],
    walk: Walk,
    range: Range<usize>,
    out: &'a mut [T],
    fold: std::marker::PhantomData<F>,
}

impl<T: Num, F: Fold<T>> Work for Straight<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(mut self) {
        let lanes = Lanes::of(T::DTYPE, F::OP);
        for o in self.out {
            // SAFETY: the sequence is a contiguous run of the array.
            let x = unsafe {
                let first = self.job.x.get().offset(self.walk.offset).add(self.range.start);
                std::slice::from_raw_parts(first, self.range.len())
            };
            *o = whole::<T, F>(x, lanes);
            self.walk.advance(self.axes);
        }
    }
}
