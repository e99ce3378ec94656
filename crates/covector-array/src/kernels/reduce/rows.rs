//! Reductions along sequences whose elements lie close together.

use std::marker::PhantomData;
use std::ops::Range;

use super::columns::combine_lanes;
use super::fold::{Fold, Tree, any_order, block, dispatch_common, four_blocks, span};
use super::lanes::Lanes;
use super::source::Source;
use super::{BLOCK, Job, LANES};
use crate::Element;
use crate::isa::Work;
use crate::kernels::layout::{Walk, gather};
use crate::kernels::runs::copy_run;
use crate::math::Num;

/// Elements looked at together.
pub(super) const SPAN: usize = 4 * BLOCK;

/// Writes the results of `piece` of the sequences behind `outputs`.
pub(super) fn run<S: Source, F: Fold<S::Seen>>(job: &Job<S>, outputs: Range<usize>, piece: usize) {
    let start = piece * job.piece.min(job.count);
    let range = start..(start + job.piece.min(job.count)).min(job.count);
    let axes: smallvec::SmallVec<[(usize, isize); 6]> = job.kept.iter().map(|k| (k.size, k.stride)).collect();
    let mut walk = Walk::at(&axes, outputs.start);
    // SAFETY: each output of each piece has its own element, and only this call writes these.
    let out = unsafe {
        std::slice::from_raw_parts_mut(job.out.get().add(piece * job.outputs + outputs.start), outputs.len())
    };
    let pitch = match axes[..] {
        [] => Some(0),
        [(_, pitch @ 0..)] => Some(pitch as usize),
        _ => None,
    };
    let (size, stride) = job.sequence.inner();
    if let Some(pitch) = pitch
        && job.sequence.outer().is_empty()
        && (stride == 1 || size == 1)
    {
        // SAFETY: these sequences lie in the array, each so far from the one before.
        return unsafe {
            let first = job.x.get().offset(walk.offset).add(range.start);
            match S::place(first) {
                Some(first) => lines::<S::Seen, F>(first, pitch, range.len(), out),
                None => seen_lines::<S, F>(first, pitch, range.len(), out),
            }
        };
    }
    let mut gathered = [S::default(); SPAN];
    let mut blocks = Blocks::<S, F>::new();
    for o in out {
        let mut at = range.start;
        while at < range.end {
            // SAFETY: the sequence lies in the array.
            let src = unsafe { job.x.get().cast_const().offset(walk.offset) };
            let (offset, run) = job.sequence.run_from(at).unwrap_or_default();
            let mut len = run.min(range.end - at);
            if at + len < range.end {
                len -= len % SPAN;
            }
            // SAFETY: so many elements lie side by side, or the scratch has room for them.
            let x = unsafe {
                if len > 0 {
                    std::slice::from_raw_parts(src.offset(offset), len)
                } else {
                    len = SPAN.min(range.end - at);
                    gather(src.cast(), S::DTYPE, &job.sequence, at, len, gathered.as_mut_ptr().cast());
                    &gathered[..len]
                }
            };
            blocks.push(x);
            at += len;
        }
        *o = blocks.finish();
        walk.advance(&axes);
    }
}

/// The results of sequences of `len` elements that begin `pitch` apart, of which many lie in a span if they are short.
///
/// # Safety
/// The sequences must be readable.
unsafe fn seen_lines<S: Source, F: Fold<S::Seen>>(x: *const S, pitch: usize, len: usize, out: &mut [S::Seen]) {
    let mut blocks = Blocks::<S, F>::new();
    let together = if pitch == len { (SPAN / len).max(1) } else { 1 };
    for (i, out) in out.chunks_mut(together).enumerate() {
        // SAFETY: the caller's promise.
        let x = unsafe { std::slice::from_raw_parts(x.add(i * together * pitch), (out.len() - 1) * pitch + len) };
        if len > SPAN {
            blocks.push(x);
            out[0] = blocks.finish();
        } else {
            // SAFETY: lines in a slice.
            unsafe { lines::<S::Seen, F>(S::see(x, &mut blocks.scratch).as_ptr(), pitch, len, out) };
        }
    }
}

/// The tree of the blocks of a sequence that comes piece by piece, of which all but the last are whole spans.
struct Blocks<S: Source, F> {
    tree: Tree<S::Seen, F>,
    scratch: [S::Seen; SPAN],
    lanes: Option<Lanes>,
}

impl<S: Source, F: Fold<S::Seen>> Blocks<S, F> {
    fn new() -> Self {
        Blocks { tree: Tree::new(), scratch: [S::Seen::ZERO; SPAN], lanes: Lanes::of(S::Seen::DTYPE, F::OP) }
    }

    fn push(&mut self, x: &[S]) {
        match S::place(x.as_ptr()) {
            // SAFETY: the same elements.
            Some(first) => {
                push_blocks(unsafe { std::slice::from_raw_parts(first, x.len()) }, &mut self.tree, self.lanes)
            }
            None => x.chunks(SPAN).for_each(|x| push_blocks(S::see(x, &mut self.scratch), &mut self.tree, self.lanes)),
        }
    }

    /// The result; the next sequence begins.
    fn finish(&mut self) -> S::Seen {
        std::mem::replace(&mut self.tree, Tree::new()).finish()
    }
}

/// Pushes the results of blocks.
fn push_blocks<T: Num, F: Fold<T>>(x: &[T], tree: &mut Tree<T, F>, lanes: Option<Lanes>) {
    let (spans, rest) = x.as_chunks::<SPAN>();
    spans.iter().for_each(|x| tree.push_subtree(span::<T, F>(x, lanes), SPAN / BLOCK));
    rest.chunks(BLOCK).for_each(|x| tree.push(block::<T, F>(x, lanes)));
}

/// The result of a whole sequence.
fn whole<T: Num, F: Fold<T>>(x: &[T], lanes: Option<Lanes>) -> T {
    if T::DTYPE.is_int() {
        return any_order::<T, F>(x);
    }
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
