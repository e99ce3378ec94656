//! Running a chain on arrays: what it reads, where it writes, and how rows are cut into pieces of work.

use std::ops::Range;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::flat::Flat;
use super::native::{self, Native};
use super::programs::Surroundings;
use super::tiles::{Job, LARGE};
use super::{Call, Chain, LinkOp, Source, height};
use crate::isa::{Isa, Work, dispatch, isa};
use crate::kernels::kernel::Loop;
use crate::kernels::layout::Shared;
use crate::kernels::reader::Reader;
use crate::kernels::reduce::{FoldRows, Partial, fold_rows};
use crate::kernels::stream::Line;
use crate::kernels::strided::with_bits;
use crate::kernels::{Inputs, constant};
use crate::{Array, DType, Shape, threads};

/// Results of more bytes are written past the caches, which would not hold them anyway.
const HUGE: usize = 24 << 20;
/// Of fewer bytes too, down to so many, if the pass touches more than the caches hold in all.
const LARGE_RESULT: usize = 8 << 20;
const TOUCHED: usize = 40 << 20;

/// Runs a chain over `rows` rows on inputs of any layout; the results take these shapes. A narrow input may be given as
/// whole rows that repeat one element each.
///
/// An input that is the sole owner of its elements is overwritten by a result of its dtype and size.
/// # Panics
/// If the sizes of inputs or shapes do not fit the chain, or a kernel does not fit its operands.
pub fn run_chain(chain: &Chain, mut inputs: Inputs, rows: usize, shapes: &[&Shape]) -> SmallVec<[Array; 2]> {
    let wide = |narrow: bool| if narrow { rows } else { rows * chain.row };
    for (x, _) in inputs.iter_mut().zip(&chain.narrow_inputs).filter(|(_, narrow)| **narrow) {
        if x.size() > rows {
            *x = first_of_rows(x, chain.row);
        }
        // Tiles read a few elements each, and many times in all.
        if chain.row > 1 && rows * chain.row >= LARGE && !constant(x) {
            *x = x.contiguous();
        }
    }
    let fits = |(x, &narrow): (&Array, &bool)| x.size() == wide(narrow);
    assert!(inputs.iter().zip(&chain.narrow_inputs).all(fits), "a chain got inputs of other sizes");
    let all = || shapes.iter().enumerate();
    assert!(all().all(|(i, s)| s.size() == chain.size(i, rows)), "a chain got other shapes for its results");
    if rows * chain.row == 0 {
        assert!(!chain.has(LinkOp::is_final), "nothing is folded by itself");
        return all().map(|(i, s)| Array::uninit((*s).clone(), chain.output(i).dtype)).collect();
    }
    let read = inputs.iter().zip(&chain.input_dtypes);
    assert!(
        read.clone().all(|(x, wanted)| wanted.is_none_or(|d| d == x.dtype())),
        "a chain got inputs of other dtypes"
    );
    if chain.repeats_one(&inputs, rows) {
        let first = |x: &Array| x.slice(&vec![0; x.ndim()], &vec![1; x.ndim()], &vec![1; x.ndim()]);
        let ones: Vec<Shape> = shapes.iter().map(|s| Shape::from(vec![1; s.len()])).collect();
        let ones = run_chain(chain, inputs.iter().map(first).collect(), 1, &ones.iter().collect::<Vec<_>>());
        return ones.iter().zip(shapes).map(|(x, s)| x.broadcast_to(s)).collect();
    }
    let taken = chain.overwritten(&mut inputs, shapes);
    let result = |i: usize| match taken[i] {
        Some(input) => inputs[input].reshape(shapes[i]),
        None => Array::uninit(shapes[i].clone(), chain.output(i).dtype),
    };
    let results: SmallVec<[Array; 2]> = (0..shapes.len()).map(result).collect();
    let (tall, chunk) = chain.cut(rows);
    let tile = (tall * chain.row).min(rows * chain.row);
    // What every tile of an input may repeat: tiles begin at rows, or at multiples of their size.
    let row = |k: usize| match chain.row {
        1 if chunk.is_multiple_of(tile) => tile,
        _ if chain.narrow_inputs[k] => 1,
        row => row,
    };
    let targets: SmallVec<[Shared<u8>; 2]> = results.iter().map(|x| Shared(x.ptr::<u8>().cast_mut())).collect();
    let touched = || {
        let written = (0..shapes.len()).map(|i| shapes[i].size() * chain.output(i).dtype.size());
        inputs.iter().map(|x| x.distinct() * x.dtype().size()).chain(written).sum::<usize>()
    };
    let streamed = |i: usize| {
        let (link, width) = (chain.output(i), chain.output(i).dtype.size());
        let all = shapes[i].size() * width;
        let lines = (tile * width).is_multiple_of(size_of::<Line>()) && !link.narrow && !link.op.is_final();
        lines && taken[i].is_none() && (all > HUGE || (all > LARGE_RESULT && touched() > TOUCHED))
    };
    let streamed: SmallVec<[bool; 2]> = (0..shapes.len()).map(streamed).collect();
    let code = chain.native(&inputs, rows, &streamed, &targets);
    // An input is overwritten too early only if it is read by the link that writes there (unless in registers), or by a later one.
    let aliased = |k: usize, code: Option<&Native>| {
        let output = taken.iter().position(|&t| t == Some(k));
        output.is_some_and(|i| {
            let (reader, writer) = (chain.last_reader[k], chain.outputs[i]);
            reader > writer || (reader == writer && !code.is_some_and(|code| code.does(chain.call_of[writer])))
        })
    };
    let lies = |k: usize| inputs[k].is_contiguous() && !aliased(k, code);
    let copied = |i: usize, code: Option<&Native>| streamed[i] && !chain.is_past(code, i);
    if let Some(code) = code.filter(|code| (0..shapes.len()).all(|i| !copied(i, Some(code))))
        && let Some(flat) = Flat::of(chain, code, &inputs, &results, lies)
    {
        flat.run(rows * chain.row, chain.links.len());
        return results;
    }
    // Without rows all tiles are whole vectors, but perhaps the last one.
    let whole = code.filter(|code| chain.is_whole(code, rows));
    let reader = |(k, x): (usize, &Array)| Reader::new(x, tile, row(k), None, aliased(k, whole));
    let readers: SmallVec<[Reader; 4]> = inputs.iter().enumerate().map(reader).collect();
    let widest = inputs.iter().map(|x| x.dtype().size()).max().unwrap_or(1).max(chain.widest);
    let partial = |i: usize| match chain.output(i).op {
        LinkOp::Rows(op) => Some(Partial::rows(op, chain.output(i).dtype, chain.row, rows)),
        LinkOp::Channels(op, c) => {
            Some(Partial::channels(op, chain.output(i).dtype, [rows / c, c, chain.row], chunk / c))
        }
        LinkOp::Total(op) => Some(Partial::total(op, chain.output(i).dtype, rows * chain.row, chunk * chain.row)),
        _ => None,
    };
    let partials = (0..shapes.len()).map(partial).collect();
    let slot = (tile * widest).next_multiple_of(size_of::<Line>());
    let copied = (0..shapes.len()).map(|i| copied(i, code)).collect();
    let prepared = || Ready::all(chain);
    let other: Box<[Ready]>;
    let calls = match chain.ready.get_or_init(|| (isa(), prepared())) {
        (made_for, calls) if *made_for == isa() => calls,
        _ => {
            other = prepared();
            &other
        }
    };
    let job = Job { chain, calls, native: code, readers, targets, partials, copied, slot, tall, rows };
    let cost = (rows * chain.row).saturating_mul(chain.links.len());
    threads::for_each(rows.div_ceil(chunk), cost, |i| job.run(i, i * chunk, (i * chunk + chunk).min(rows)));
    for (partial, result) in job.partials.into_iter().zip(&results) {
        if let Some(partial) = partial {
            partial.finish(result);
        }
    }
    results
}

/// The first element of every row of `row` elements, which are whole trailing axes.
fn first_of_rows(x: &Array, row: usize) -> Array {
    let mut ends = x.shape().to_vec();
    let (mut axis, mut left) = (x.ndim(), row);
    while left > 1 {
        axis -= 1;
        left /= ends[axis];
        ends[axis] = 1;
    }
    x.slice(&vec![0; x.ndim()], &ends, &vec![1; x.ndim()])
}

impl Chain {
    /// The number of an output's cell.
    fn cell(&self, output: usize) -> u16 {
        (self.registers.len() + self.narrow_inputs.len() + output) as u16
    }

    /// True if this code writes an output past the caches.
    pub(super) fn is_past(&self, native: Option<&Native>, output: usize) -> bool {
        native.is_some_and(|native| native.past.contains(&self.cell(output)))
    }

    /// True if there are rows, or all elements are whole vectors.
    fn is_whole(&self, native: &Native, rows: usize) -> bool {
        self.row > 1 || self.stretches.iter().all(|s| (rows * s.dtype.size()).is_multiple_of(native.vector))
    }

    /// The cells of results that code writes, and nobody reads, among those that are written past the caches: whole lines of them,
    /// so rows must be lines.
    fn past(&self, programs: &[Range<usize>], streamed: &[bool]) -> Vec<u16> {
        let lines =
            |&i: &usize| self.row == 1 || (self.row * self.output(i).dtype.size()).is_multiple_of(size_of::<Line>());
        let read = |i: usize| self.links.iter().any(|link| link.sources.contains(&Source::Link(i)));
        let calls = |program: &Range<usize>| {
            let [first, last] = [program.start, program.end - 1].map(|i| &self.stretches[i]);
            first.first..last.first + last.calls
        };
        let in_code = |i: usize| programs.iter().any(|program| calls(program).contains(&self.call_of[i]));
        let straight = |&i: &usize| streamed[i] && in_code(self.outputs[i]) && !read(self.outputs[i]);
        (0..self.outputs.len()).filter(lines).filter(straight).map(|i| self.cell(i)).collect()
    }

    /// The code for an instruction set, and for arrays of so many rows or about as many.
    pub(super) fn written(&self, isa: Isa, inputs: &[Array], rows: usize, streamed: &[bool]) -> Option<Native> {
        let cells = self.registers.len()..self.registers.len() + self.narrow_inputs.len();
        let wide = cells.clone().zip(&self.narrow_inputs).filter(|(_, narrow)| !**narrow);
        let may_stay: Vec<u16> = wide.map(|(cell, _)| cell as u16).collect();
        let programs = native::programs(&self.stretches, isa);
        let past = self.past(&programs, streamed);
        let large = rows * self.row >= LARGE;
        let dense = |&(k, input): &(usize, &Array)| large && !self.narrow_inputs[k] && input.is_contiguous();
        let mut ahead: Vec<u16> =
            inputs.iter().enumerate().filter(dense).map(|(k, _)| (self.registers.len() + k) as u16).collect();
        let written = |&i: &usize| large && !streamed[i] && !self.output(i).narrow && !self.output(i).op.is_final();
        ahead.extend((0..self.outputs.len()).filter(written).map(|i| self.cell(i)));
        let around = Surroundings {
            row: self.row,
            cells: cells.end + self.outputs.len(),
            may_stay: &may_stay,
            past: &past,
            ahead: &ahead,
            distance: height(self.row) * self.row,
        };
        Native::of(&self.stretches, &programs, isa, &around)
    }

    /// The code of the stretches, if it was or is now worth writing.
    fn native(&self, inputs: &[Array], rows: usize, streamed: &[bool], targets: &[Shared<u8>]) -> Option<&Native> {
        if self.stretches.is_empty() {
            return None;
        }
        if self.native.get().is_none() {
            let work = rows * self.row * self.links.len();
            if !native::is_worth(self.done.fetch_add(work, Ordering::Relaxed) + work) {
                return None;
            }
        }
        let (made_for, native) = self.native.get_or_init(|| (isa(), self.written(isa(), inputs, rows, streamed)));
        // What is written past the caches begins at lines.
        let fits = |native: &&Native| {
            let at_line = |(i, target): (usize, &Shared<u8>)| {
                !self.is_past(Some(native), i) || target.get().addr().is_multiple_of(size_of::<Line>())
            };
            targets.iter().enumerate().all(at_line)
        };
        native.as_ref().filter(|_| *made_for == isa()).filter(fits)
    }

    /// True if each result is one element again and again, because each input is.
    pub(crate) fn repeats_one(&self, inputs: &Inputs, rows: usize) -> bool {
        rows > 1 && self.row == 1 && !self.has(LinkOp::is_final) && inputs.iter().all(constant)
    }

    /// For each result the input in whose memory it is written, if there is one that nobody else holds: better one that
    /// was read for the last time by then than one that has to be copied first.
    pub(crate) fn overwritten(&self, inputs: &mut Inputs, shapes: &[&Shape]) -> SmallVec<[Option<usize>; 2]> {
        let mut taken: SmallVec<[Option<usize>; 2]> = SmallVec::new();
        let results = || shapes.iter().enumerate().filter(|(i, _)| !self.output(*i).op.is_final());
        let fits = |x: &Array, i: usize, shape: &Shape| x.dtype() == self.output(i).dtype && x.size() == shape.size();
        // Each input is asked once: counting handles is not free.
        let mut free: SmallVec<[usize; 8]> = SmallVec::new();
        for (k, x) in inputs.iter_mut().enumerate() {
            let stays = x.size() > 1 && self.numbers.contains(&k);
            if !stays && results().any(|(i, shape)| fits(x, i, shape)) && x.is_reusable() {
                free.push(k);
            }
        }
        for (i, shape) in shapes.iter().enumerate() {
            let mut found = None;
            if !free.is_empty() && !self.output(i).op.is_final() {
                let done = |k: usize| self.last_reader[k] < self.outputs[i];
                let fit = |k: usize| fits(&inputs[k], i, shape);
                found = free.iter().position(|&k| done(k) && fit(k)).or_else(|| free.iter().position(|&k| fit(k)));
            }
            taken.push(found.map(|at| free.remove(at)));
        }
        taken
    }
}

/// A call with its loop for an instruction set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub step: Step,
    pub operands: [u16; 3],
    pub result: u16,
    pub reads_narrow: bool,
    /// Passes over a tile up to here, this call's included: what memory is asked for by.
    pub passes: usize,
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// With the bytes per element of the operands and of the result.
    Map(Loop, [u8; 4]),
    /// Row by row, with so many bytes from one to the next of both operands and of the result.
    Spread(Loop, [usize; 3]),
    Fold(FoldRows),
    Repeat(Repetition),
    /// Adds to the fold of this output.
    Final(usize),
}

impl Ready {
    fn all(chain: &Chain) -> Box<[Ready]> {
        let mut passes = 0;
        let ready = |call: &Call| {
            let ready = Ready::of(call, chain);
            passes += usize::from(!call.reads_narrow);
            Ready { passes, ..ready }
        };
        chain.calls.iter().map(ready).collect()
    }

    fn of(call: &Call, chain: &Chain) -> Ready {
        let step = match call.op {
            LinkOp::Map(kernel) => match call.spread {
                None => {
                    let bytes = |k: usize| kernel.inputs().get(k).map_or(0, |d| d.size() as u8);
                    Step::Map(kernel.compiled(), [bytes(0), bytes(1), bytes(2), call.dtype.size() as u8])
                }
                Some(operand) => {
                    let operand = usize::from(operand);
                    let bytes = |k: usize| if k == operand { 1 } else { chain.row } * kernel.inputs()[k].size();
                    let steps = [bytes(0), bytes(1), chain.row * call.dtype.size()];
                    Step::Spread(kernel.spreading(operand), steps)
                }
            },
            LinkOp::Fold(op) => Step::Fold(fold_rows(op, call.dtype)),
            LinkOp::Repeat => Step::Repeat(repetition(call.dtype)),
            LinkOp::Rows(_) | LinkOp::Total(_) | LinkOp::Channels(..) => {
                Step::Final(usize::from(call.result) - chain.registers.len() - chain.narrow_inputs.len())
            }
        };
        Ready { step, operands: call.operands, result: call.result, reads_narrow: call.reads_narrow, passes: 0 }
    }
}

/// Writes each of so many elements as often as a row, whose length comes last, has elements.
///
/// # Safety
/// The elements must be readable and the rows writable, without overlap.
type Repetition = unsafe fn(*const u8, *mut u8, usize, usize);

fn repetition(dtype: DType) -> Repetition {
    /// See [`Repetition`].
    unsafe fn repeat<U: Copy>(x: *const u8, out: *mut u8, rows: usize, row: usize) {
        // SAFETY: the caller's promise; elements are moved as plain integers of their size.
        let (from, to) = unsafe {
            (
                std::slice::from_raw_parts(x.cast::<U>(), rows),
                std::slice::from_raw_parts_mut(out.cast::<U>(), rows * row),
            )
        };
        dispatch(Repeat(from, to));
    }
    with_bits!(dtype, U => repeat::<U>)
}

struct Repeat<'a, U>(&'a [U], &'a mut [U]);

impl<U: Copy> Work for Repeat<'_, U> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let row = self.1.len() / self.0.len();
        for (row, &value) in self.1.chunks_exact_mut(row).zip(self.0) {
            for o in row {
                *o = value;
            }
        }
    }
}
