//! Reductions along sequences whose elements lie close together.

use std::marker::PhantomData;
use std::ops::Range;

use smallvec::SmallVec;

use super::columns;
use super::fold::{Fold, Tree, any_order, append, block, blocks, combine_lanes, dispatch_common, span};
use super::lanes::Lanes;
use super::source::Source;
use super::{BLOCK, Job, LANES};
use crate::isa::Work;
use crate::kernels::layout::{Walk, gather, offset_of};
use crate::kernels::runs::copy_run;
use crate::kernels::stream::ask_for;
use crate::math::Num;

/// So many sequences that jump about in memory are taken together, if there are enough.
pub(super) const INTERLEAVED: usize = 16;

/// Elements looked at together.
pub(super) const SPAN: usize = 4 * BLOCK;

/// Writes the results of `piece` of the sequences behind `outputs`.
pub(super) fn run<S: Source, F: Fold<S::Seen>>(job: &Job<S>, outputs: Range<usize>, piece: usize) {
    let start = piece * job.piece.min(job.count);
    let range = start..(start + job.piece.min(job.count)).min(job.count);
    let axes: SmallVec<[(usize, isize); 6]> = job.kept.iter().map(|k| (k.size, k.stride)).collect();
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
            let first = job.x.get().offset(offset_of(&axes, outputs.start)).add(range.start);
            match S::place(first) {
                Some(first) => lines::<S::Seen, F>(first, pitch, range.len(), out),
                None => seen_lines::<S, F>(first, pitch, range.len(), out),
            }
        };
    }
    let x = job.x.get().cast_const();
    let mut gathered = [S::default(); SPAN];
    let mut scratch = [S::Seen::ZERO; SPAN];
    let mut walk = Walk::at(&axes, outputs.start);
    let mut sequences = vec![Sequence::<S::Seen, F>::new(); INTERLEAVED.min(out.len())];
    for out in out.chunks_mut(INTERLEAVED) {
        let sequences = &mut sequences[..out.len()];
        for sequence in &mut *sequences {
            sequence.offset = walk.offset;
            walk.advance(&axes);
        }
        // One after another takes its next elements: those of neighbours follow one another in memory.
        if stride == 1 && size >= 2 * LANES {
            job.sequence.for_runs(range.start, range.len(), |offset, run| {
                for sequence in &mut *sequences {
                    // SAFETY: elements of a sequence, which lies in the array, side by side.
                    let x = unsafe { std::slice::from_raw_parts(x.offset(sequence.offset + offset), run) };
                    sequence.push_seen(x, &mut scratch);
                }
            });
        } else {
            for at in range.clone().step_by(SPAN) {
                let gathered = &mut gathered[..SPAN.min(range.end - at)];
                for sequence in &mut *sequences {
                    let to = gathered.as_mut_ptr().cast();
                    // SAFETY: elements of a sequence, and room for them.
                    unsafe {
                        gather(x.offset(sequence.offset).cast(), S::DTYPE, &job.sequence, at, gathered.len(), to)
                    };
                    sequence.push_seen(gathered, &mut scratch);
                }
            }
        }
        sequences.iter_mut().zip(out).for_each(|(sequence, out)| *out = sequence.finish());
    }
}

/// The results of sequences of `len` elements that begin `pitch` apart, of which many lie in a span if they are short.
///
/// # Safety
/// The sequences must be readable.
unsafe fn seen_lines<S: Source, F: Fold<S::Seen>>(x: *const S, pitch: usize, len: usize, out: &mut [S::Seen]) {
    let mut scratch = [S::Seen::ZERO; SPAN];
    let together = if pitch == len { (SPAN / len).max(1) } else { 1 };
    for (i, out) in out.chunks_mut(together).enumerate() {
        // SAFETY: the caller's promise.
        let x = unsafe { std::slice::from_raw_parts(x.add(i * together * pitch), (out.len() - 1) * pitch + len) };
        ask_for(x.as_ptr().wrapping_add(2 * SPAN), x.len().min(SPAN));
        if len > SPAN {
            let mut sequence = Sequence::<S::Seen, F>::new();
            sequence.push_seen(x, &mut scratch);
            out[0] = sequence.finish();
        } else {
            // SAFETY: lines in a slice.
            unsafe { lines::<S::Seen, F>(S::see(x, &mut scratch).as_ptr(), pitch, len, out) };
        }
    }
}

/// A sequence whose elements come run by run.
#[derive(Clone)]
struct Sequence<T, F> {
    /// Where it begins.
    offset: isize,
    tree: Tree<T, F>,
    /// The lanes of the blocks of a span that is not yet whole.
    acc: [[T; LANES]; SPAN / BLOCK],
    /// Its elements so far.
    seen: usize,
    lanes: Option<Lanes>,
}

impl<T: Num, F: Fold<T>> Sequence<T, F> {
    const EMPTY: fn() -> [[T; LANES]; SPAN / BLOCK] = || [[F::identity(); LANES]; SPAN / BLOCK];

    fn new() -> Self {
        Sequence { offset: 0, tree: Tree::new(), acc: Self::EMPTY(), seen: 0, lanes: Lanes::of(T::DTYPE, F::OP) }
    }

    /// The next elements, as they are combined.
    fn push_seen<S: Source<Seen = T>>(&mut self, x: &[S], scratch: &mut [T; SPAN]) {
        match S::place(x.as_ptr()) {
            // SAFETY: the same elements.
            Some(first) => self.push(unsafe { std::slice::from_raw_parts(first, x.len()) }),
            None => x.chunks(SPAN).for_each(|x| {
                ask_for(x.as_ptr().wrapping_add(2 * SPAN), x.len());
                self.push(S::see(x, scratch));
            }),
        }
    }

    /// The next elements.
    fn push(&mut self, mut x: &[T]) {
        if T::DTYPE.is_int() {
            self.acc[0][0] = F::combine(self.acc[0][0], any_order::<T, F>(x));
            self.seen = 1;
            return;
        }
        loop {
            if self.seen == 0 {
                let (spans, rest) = x.as_chunks::<SPAN>();
                spans.iter().for_each(|x| self.tree.push_subtree(span::<T, F>(x, self.lanes), SPAN / BLOCK));
                x = rest;
            }
            if x.is_empty() {
                return;
            }
            let (block, first) = (self.seen / BLOCK, self.seen % BLOCK);
            let (part, rest) = x.split_at(x.len().min(BLOCK - first));
            append::<T, F>(&mut self.acc[block], part, first % LANES, self.lanes);
            self.seen += part.len();
            x = rest;
            if self.seen == SPAN {
                let [a, b, c, d] = self.four_blocks();
                self.tree.push_subtree(F::combine(F::combine(a, b), F::combine(c, d)), SPAN / BLOCK);
                (self.acc, self.seen) = (Self::EMPTY(), 0);
            }
        }
    }

    /// The results of the blocks of a span.
    fn four_blocks(&self) -> [T; SPAN / BLOCK] {
        let Some(lanes) = self.lanes else { return self.acc.map(combine_lanes::<T, F>) };
        let mut results = [T::ZERO; SPAN / BLOCK];
        // SAFETY: four sequences of a row each, and as many results, of the dtype the loops are for.
        unsafe { (lanes.lines)(self.acc.as_ptr().cast(), LANES, LANES, results.as_mut_ptr().cast()) };
        results
    }

    /// The result; another sequence begins.
    fn finish(&mut self) -> T {
        if self.seen > 0 {
            let blocks = self.four_blocks();
            blocks[..self.seen.div_ceil(BLOCK)].iter().for_each(|block| self.tree.push(*block));
            (self.acc, self.seen) = (Self::EMPTY(), 0);
        }
        self.tree.finish()
    }
}

/// Pushes the results of blocks.
fn push_blocks<T: Num, F: Fold<T>>(x: &[T], tree: &mut Tree<T, F>, lanes: Option<Lanes>) {
    let (spans, rest) = x.as_chunks::<SPAN>();
    spans.iter().for_each(|x| tree.push_subtree(span::<T, F>(x, lanes), SPAN / BLOCK));
    let mut results = [T::ZERO; SPAN / BLOCK];
    let results = &mut results[..rest.len().div_ceil(BLOCK)];
    blocks::<T, F>(rest, lanes, results);
    results.iter().for_each(|&block| tree.push(block));
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
    if let Some(lanes) = lanes {
        for out in out.as_chunks_mut::<4>().0 {
            // SAFETY: four lines of the dtype the loops are for.
            unsafe { (lanes.lines)(x.add(done * pitch).cast(), pitch, len, out.as_mut_ptr().cast()) };
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
            columns::combine_lanes::<T, F>(lanes, width, self.len);
            out.copy_from_slice(&lanes[..width]);
        }
    }
}
