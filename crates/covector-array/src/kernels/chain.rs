//! Chains: several kernels run on one tile before the next tile is read, so values in between never leave the first-level
//! cache. The same kernels on the same elements give the same bits as one pass per link.
//!
//! A chain may fold rows: then every array is seen as `[rows, row]`, or as `[rows]` where a link is *narrow*, tiles are
//! whole rows, and a softmax or a layer normalisation is one pass over memory. It may also fold rows into one, or
//! everything into one element: such a *final* result is there when the pass is over.

use std::cell::RefCell;

use smallvec::SmallVec;

use super::Inputs;
use super::kernel::{Kernel, TILE};
use super::layout::{Layout, Shared};
use super::map::Reader;
use super::reduce::{Partial, Reduction, fold_rows};
use super::stream::{self, Ahead};
use super::strided::with_bits;
use crate::isa::{Work, dispatch};
use crate::{Array, DType, Shape, threads};

/// Where a link reads an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From an input of the chain.
    Input(usize),
    /// From an earlier link.
    Link(usize),
}

/// What a link does to a tile.
#[derive(Clone, Copy, Debug)]
pub enum LinkOp {
    /// Element by element.
    Map(Kernel),
    /// Folds every row to one element; f32 and f64 only, as all folds.
    Fold(Reduction),
    /// Repeats one element along every row.
    Repeat,
    /// Folds all rows into one; final.
    Rows(Reduction),
    /// Folds everything into one element; final.
    Total(Reduction),
}

impl LinkOp {
    /// True if the result is there only when the pass is over.
    pub fn is_final(self) -> bool {
        matches!(self, LinkOp::Rows(_) | LinkOp::Total(_))
    }
}

/// One step of a chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// What is done.
    pub op: LinkOp,
    /// The operands.
    pub sources: SmallVec<[Source; 3]>,
    /// The dtype of the result.
    pub dtype: DType,
    /// True if the result has one element per row.
    pub narrow: bool,
}

/// Links in order, and which of their results are wanted.
#[derive(Clone, Debug)]
pub struct Chain {
    links: Vec<Link>,
    calls: Vec<Call>,
    outputs: Vec<usize>,
    narrow_inputs: Vec<bool>,
    /// For each input the last link that reads it.
    last_reader: Vec<usize>,
    /// Elements per row; 1 if nothing is folded or repeated.
    row: usize,
    registers: usize,
    /// Bytes of the widest element.
    widest: usize,
}

/// A link with its operands and result as numbers of cells: first come the registers, then the inputs, then the outputs.
#[derive(Clone, Copy, Debug)]
struct Call {
    op: LinkOp,
    operands: [u16; 3],
    result: u16,
    /// Whether the operands (all alike, but for one that is spread) are narrow.
    reads_narrow: bool,
    /// The operand that is one element for each row.
    spread: Option<u8>,
    dtype: DType,
}

/// Elements per tile of a chain with rows, if rows are not longer.
const ROWS_TILE: usize = 2048;
/// Arrays of fewer elements are taken to be in the second-level cache.
const LARGE: usize = 1 << 17;
/// Results of more bytes are written past the caches, which would not hold them anyway.
const HUGE: usize = 24 << 20;
/// Elements per piece of parallel work.
const CHUNK: usize = 32 * TILE;

impl Chain {
    /// A chain of these links over rows of `row` elements (1 for none), which writes the results of the links `outputs`.
    ///
    /// # Panics
    /// If there is no link or no output, a link reads one that does not stand before it or is final, or dtypes do not fit.
    pub fn new(links: Vec<Link>, outputs: Vec<usize>, row: usize, narrow_inputs: Vec<bool>) -> Chain {
        assert!(!links.is_empty() && !outputs.is_empty(), "a chain has links and outputs");
        for (i, link) in links.iter().enumerate() {
            let in_order = |s: &Source| !matches!(*s, Source::Link(j) if j >= i || links[j].op.is_final());
            assert!(link.sources.iter().all(in_order), "links stand after those they read");
            if let LinkOp::Map(kernel) = link.op {
                let fits = kernel.inputs().len() == link.sources.len() && kernel.output() == link.dtype;
                assert!(fits, "a kernel with other operands or another result than its link");
            }
        }
        let implied = implied_repetitions(&links, &outputs, row);
        // What a link reads in fact: a repetition that is implied is read as what it repeats.
        let direct = |source: Source| match source {
            Source::Link(j) if implied[j] => links[j].sources[0],
            other => other,
        };
        let mut last_use: Vec<usize> = (0..links.len()).collect();
        let mut last_reader = vec![0; narrow_inputs.len()];
        for (i, link) in links.iter().enumerate().filter(|(i, _)| !implied[*i]) {
            for &source in &link.sources {
                match direct(source) {
                    Source::Link(j) => last_use[j] = i,
                    Source::Input(k) => last_reader[k] = i,
                }
            }
        }
        // The cell of each link's result: a register until its last use, or an output.
        let mut cells: Vec<usize> = Vec::with_capacity(links.len());
        let (mut free, mut registers) = (Vec::new(), 0);
        for i in 0..links.len() {
            // The result's register is taken before the operands' are freed: a kernel must not write where it reads.
            cells.push(match outputs.iter().position(|&o| o == i) {
                _ if implied[i] => OUTPUTS,
                Some(output) => OUTPUTS + output,
                None => free.pop().unwrap_or_else(|| {
                    registers += 1;
                    registers - 1
                }),
            });
            free.extend((0..=i).filter(|&j| last_use[j] == i && cells[j] < OUTPUTS).map(|j| cells[j]));
        }
        let cell = |at: usize| match at.checked_sub(OUTPUTS) {
            Some(output) => (registers + narrow_inputs.len() + output) as u16,
            None => at as u16,
        };
        let call = |i: usize| {
            let link = &links[i];
            let mut call = Call {
                op: link.op,
                operands: [0; 3],
                result: cell(cells[i]),
                reads_narrow: link.narrow,
                spread: None,
                dtype: link.dtype,
            };
            for (k, &source) in link.sources.iter().enumerate() {
                let (at, narrow) = match direct(source) {
                    Source::Input(k) => ((registers + k) as u16, narrow_inputs[k]),
                    Source::Link(j) => (cell(cells[j]), links[j].narrow),
                };
                call.operands[k] = at;
                if direct(source) == source {
                    call.reads_narrow = narrow;
                } else {
                    call.spread = Some(k as u8);
                }
            }
            call
        };
        let calls = (0..links.len()).filter(|&i| !implied[i]).map(call).collect();
        let widest = links.iter().map(|link| link.dtype.size()).max().unwrap_or(8);
        Chain { calls, links, outputs, narrow_inputs, last_reader, row, registers, widest }
    }

    /// The links, in order.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    fn output(&self, output: usize) -> &Link {
        &self.links[self.outputs[output]]
    }

    /// The number of elements of an output for that many rows.
    fn size(&self, output: usize, rows: usize) -> usize {
        let link = self.output(output);
        match link.op {
            LinkOp::Total(_) => 1,
            LinkOp::Rows(_) => self.row,
            _ if link.narrow => rows,
            _ => rows * self.row,
        }
    }

    /// Rows per tile, and per piece of work: a tile fits the first-level cache, and finals are cut where they may be.
    fn cut(&self) -> (usize, usize) {
        let tile = if self.row == 1 { TILE } else { ROWS_TILE };
        let mut tall = (tile / self.row).max(1);
        let mut chunk = (CHUNK / (tall * self.row)).max(1) * tall;
        let has = |kind: fn(LinkOp) -> bool| self.links.iter().any(|link| kind(link.op));
        if has(|op| matches!(op, LinkOp::Rows(_))) {
            tall = tall.min(Partial::ROWS).next_power_of_two() >> usize::from(!tall.is_power_of_two());
            chunk = Partial::ROWS;
        } else if has(|op| matches!(op, LinkOp::Total(_))) {
            chunk = chunk.next_multiple_of(Partial::rows_per_block(self.row));
        }
        (tall, chunk)
    }
}

/// Rows of fewer elements are repeated in memory: calling a kernel for each would cost more.
const SPREAD_ROW: usize = 128;

/// Which repetitions need no memory: kernels that read them take one element for each row instead.
fn implied_repetitions(links: &[Link], outputs: &[usize], row: usize) -> Vec<bool> {
    let mut implied: Vec<bool> = links.iter().map(|l| matches!(l.op, LinkOp::Repeat) && row >= SPREAD_ROW).collect();
    outputs.iter().for_each(|&o| implied[o] = false);
    let repeats = |s: &&Source| matches!(**s, Source::Link(j) if matches!(links[j].op, LinkOp::Repeat));
    for link in links {
        let spreads = matches!(link.op, LinkOp::Map(kernel) if kernel.spreads());
        if !spreads || link.sources.iter().filter(repeats).count() > 1 {
            for source in link.sources.iter() {
                if let Source::Link(j) = *source {
                    implied[j] = false;
                }
            }
        }
    }
    implied
}

/// Where cells of outputs begin while registers are still being counted.
const OUTPUTS: usize = 1 << 15;

/// A cache line of scratch: vectors that begin at a line cross into no other.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read and written through pointers")] [u64; 8]);

thread_local! {
    /// Scratch tiles, kept between runs: clearing fresh ones would cost as much as a link.
    static SCRATCH: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Runs a chain over `rows` rows on inputs of any layout; the results take these shapes.
///
/// An input that is the sole owner of its elements is overwritten by a result of its dtype and size.
/// # Panics
/// If the sizes of inputs or shapes do not fit the chain, or a kernel does not fit its operands.
pub fn run_chain(chain: &Chain, mut inputs: Inputs, rows: usize, shapes: &[&Shape]) -> SmallVec<[Array; 2]> {
    let wide = |narrow: bool| if narrow { rows } else { rows * chain.row };
    let fits = |(x, &narrow): (&Array, &bool)| x.size() == wide(narrow);
    assert!(inputs.iter().zip(&chain.narrow_inputs).all(fits), "a chain got inputs of other sizes");
    let all = || shapes.iter().enumerate();
    assert!(all().all(|(i, s)| s.size() == chain.size(i, rows)), "a chain got other shapes for its results");
    let finals = chain.links.iter().any(|link| link.op.is_final());
    if rows * chain.row == 0 {
        assert!(!finals, "nothing is folded by itself");
        return all().map(|(i, s)| Array::uninit((*s).clone(), chain.output(i).dtype)).collect();
    }
    chain.check_dtypes(&inputs);
    if rows > 1 && chain.row == 1 && !finals && inputs.iter().all(|x| Layout::of(x).is_constant()) {
        let first = |x: &Array| x.slice(&vec![0; x.ndim()], &vec![1; x.ndim()], &vec![1; x.ndim()]);
        let ones: Vec<Shape> = shapes.iter().map(|s| Shape::from(vec![1; s.len()])).collect();
        let ones = run_chain(chain, inputs.iter().map(first).collect(), 1, &ones.iter().collect::<Vec<_>>());
        return ones.iter().zip(shapes).map(|(x, s)| x.broadcast_to(s)).collect();
    }
    let mut taken: SmallVec<[Option<usize>; 2]> = SmallVec::new();
    for (i, shape) in all() {
        let link = chain.output(i);
        let fits = |x: &mut Array| x.dtype() == link.dtype && x.size() == shape.size() && x.is_reusable();
        let free = (0..inputs.len()).find(|k| !taken.contains(&Some(*k)) && fits(&mut inputs[*k]));
        taken.push(free.filter(|_| !link.op.is_final()));
    }
    let result = |i: usize| match taken[i] {
        Some(input) => inputs[input].reshape(shapes[i]),
        None => Array::uninit(shapes[i].clone(), chain.output(i).dtype),
    };
    let results: SmallVec<[Array; 2]> = (0..shapes.len()).map(result).collect();
    let (tall, chunk) = chain.cut();
    let tile = (tall * chain.row).min(rows * chain.row);
    let row = |k: usize| if chain.narrow_inputs[k] { 1 } else { chain.row };
    // An input is overwritten too early only if it is read by the link that writes there, or by a later one.
    let aliased = |k: usize| {
        let output = taken.iter().position(|&t| t == Some(k));
        output.is_some_and(|i| chain.last_reader[k] >= chain.outputs[i])
    };
    let reader = |(k, x): (usize, &Array)| Reader::new(x, tile, row(k), None, aliased(k));
    let readers: SmallVec<[Reader; 4]> = inputs.iter().enumerate().map(reader).collect();
    let widest = inputs.iter().map(|x| x.dtype().size()).max().unwrap_or(1).max(chain.widest);
    let targets = results.iter().map(|x| Shared(x.ptr::<u8>().cast_mut())).collect();
    let partial = |i: usize| match chain.output(i).op {
        LinkOp::Rows(op) => Some(Partial::rows(op, chain.output(i).dtype, chain.row, rows)),
        LinkOp::Total(op) => Some(Partial::total(op, chain.output(i).dtype, rows * chain.row, chunk * chain.row)),
        _ => None,
    };
    let partials = (0..shapes.len()).map(partial).collect();
    let slot = (tile * widest).next_multiple_of(size_of::<Line>());
    let streamed = |i: usize| {
        let (link, width) = (chain.output(i), chain.output(i).dtype.size());
        let lines = (tile * width).is_multiple_of(size_of::<Line>()) && !link.narrow && !link.op.is_final();
        lines && taken[i].is_none() && shapes[i].size() * width > HUGE
    };
    let streamed = (0..shapes.len()).map(streamed).collect();
    let job = Job { chain, readers, targets, partials, streamed, slot, tall, rows };
    let cost = (rows * chain.row).saturating_mul(chain.links.len());
    threads::for_each(rows.div_ceil(chunk), cost, |i| job.run(i, i * chunk, (i * chunk + chunk).min(rows)));
    for (partial, result) in job.partials.into_iter().zip(&results) {
        if let Some(partial) = partial {
            partial.finish(result);
        }
    }
    results
}

impl Chain {
    /// # Panics
    /// If a link does not read what it was made for.
    fn check_dtypes(&self, inputs: &Inputs) {
        for link in &self.links {
            let dtype = |source: &Source| match *source {
                Source::Input(k) => inputs[k].dtype(),
                Source::Link(j) => self.links[j].dtype,
            };
            let mut read = link.sources.iter().map(dtype);
            let fits = match link.op {
                LinkOp::Map(kernel) => read.eq(kernel.inputs().iter().copied()),
                _ => read.all(|d| d == link.dtype),
            };
            assert!(fits, "a link got operands of other dtypes");
        }
    }
}

struct Job<'a> {
    chain: &'a Chain,
    readers: SmallVec<[Reader; 4]>,
    targets: SmallVec<[Shared<u8>; 2]>,
    /// For each output what it is folded from, if it is final.
    partials: SmallVec<[Option<Partial>; 2]>,
    /// For each output whether it is written past the caches.
    streamed: SmallVec<[bool; 2]>,
    /// Bytes per scratch tile, whole lines.
    slot: usize,
    /// Rows per tile.
    tall: usize,
    rows: usize,
}

impl Job<'_> {
    /// Runs the rows `start..end`, which are piece `piece`.
    fn run(&self, piece: usize, start: usize, end: usize) {
        let states: usize = self.partials.iter().flatten().map(Partial::state_bytes).sum();
        let streamed = self.streamed.iter().filter(|&&s| s).count();
        let slots = self.chain.registers + self.readers.iter().map(Reader::slots).sum::<usize>() + streamed;
        SCRATCH.with(|scratch| {
            let mut scratch = scratch.borrow_mut();
            let lines = (slots * self.slot + states).div_ceil(size_of::<Line>());
            if scratch.len() < lines {
                scratch.resize(lines, Line([0; 8]));
            }
            let base = scratch.as_mut_ptr().cast::<u8>();
            let registers = self.chain.registers;
            let mut cells: SmallVec<[*mut u8; 24]> = (0..registers).map(|i| base.wrapping_add(i * self.slot)).collect();
            let outputs = registers + self.readers.len();
            cells.resize(outputs + self.targets.len(), base);
            let mut state = base.wrapping_add(slots * self.slot);
            for (cell, partial) in cells[outputs..].iter_mut().zip(&self.partials) {
                if let Some(partial) = partial {
                    // SAFETY: scratch of that many bytes, which is nobody else's until the end of this piece.
                    unsafe { partial.begin(state, piece) };
                    *cell = state;
                    state = state.wrapping_add(partial.state_bytes());
                }
            }
            for at in (start..end).step_by(self.tall) {
                self.tile(at, self.tall.min(end - at), &mut cells, base.wrapping_add(registers * self.slot));
            }
            if streamed > 0 {
                stream::finish();
            }
            for (&cell, partial) in cells[outputs..].iter().zip(&self.partials) {
                if let Some(partial) = partial {
                    // SAFETY: the state was begun above and has seen all rows of this piece.
                    unsafe { partial.end(cell, piece) };
                }
            }
        });
    }

    /// The parts of inputs and outputs that the next tile will touch, if they are too large to be in the cache.
    fn ahead(&self, cells: &[*mut u8], start: usize, rows: usize) -> Ahead {
        let chain = self.chain;
        let mut ahead = Ahead::default();
        if self.rows * chain.row < LARGE || start + 2 * rows > self.rows {
            return ahead;
        }
        let outputs = &cells[chain.registers + self.readers.len()..];
        for (reader, &narrow) in self.readers.iter().zip(&chain.narrow_inputs) {
            if let (false, Some(next)) = (narrow, reader.place((start + rows) * chain.row)) {
                ahead.push(next, rows * chain.row * reader.width());
            }
        }
        for (i, &cell) in outputs.iter().enumerate() {
            let link = chain.output(i);
            if !link.narrow && !link.op.is_final() && !self.streamed[i] {
                let bytes = rows * chain.row * link.dtype.size();
                ahead.push(cell.wrapping_add(bytes), bytes);
            }
        }
        ahead
    }

    fn tile(&self, start: usize, rows: usize, cells: &mut [*mut u8], mut scratch: *mut u8) {
        let chain = self.chain;
        let length = |narrow: bool| if narrow { rows } else { rows * chain.row };
        let first = |narrow: bool| if narrow { start } else { start * chain.row };
        let (inputs, outputs) = cells[chain.registers..].split_at_mut(self.readers.len());
        for ((cell, reader), &narrow) in inputs.iter_mut().zip(&self.readers).zip(&chain.narrow_inputs) {
            let range = first(narrow)..first(narrow) + length(narrow);
            *cell = reader.fetch(range, scratch, scratch.wrapping_add(self.slot)).cast_mut();
            scratch = scratch.wrapping_add(reader.slots() * self.slot);
        }
        for (i, cell) in outputs.iter_mut().enumerate() {
            let link = chain.output(i);
            if self.streamed[i] {
                *cell = scratch;
                scratch = scratch.wrapping_add(self.slot);
            } else if !link.op.is_final() {
                *cell = self.targets[i].get().wrapping_add(first(link.narrow) * link.dtype.size());
            }
        }
        let mut ahead = self.ahead(cells, start, rows);
        for (i, call) in chain.calls.iter().enumerate() {
            ahead.fetch(i + 1, chain.calls.len());
            let [x, y, z] = call.operands.map(|i| cells[usize::from(i)].cast_const());
            let (out, n) = (cells[usize::from(call.result)], length(call.reads_narrow));
            let partial = || {
                let output = usize::from(call.result) - chain.registers - self.readers.len();
                self.partials[output].as_ref().expect("final results have a partial one")
            };
            // SAFETY: dtypes were checked; operands are whole tiles, written before (links stand after those they read) and
            // kept (a register is free after its last use, an input that is overwritten too early was copied); the result is
            // no operand's; tiles of the targets are disjoint between pieces.
            unsafe {
                match call.op {
                    LinkOp::Map(kernel) => match call.spread {
                        None => (kernel.compiled())(x, y, z, out, n),
                        Some(operand) => {
                            let (run, widths) = (kernel.spreading(operand.into()), kernel.inputs());
                            let step = |k: usize| if k == operand.into() { 1 } else { chain.row } * widths[k].size();
                            for i in 0..rows {
                                let to = out.add(i * chain.row * call.dtype.size());
                                run(x.add(i * step(0)), y.add(i * step(1)), z, to, chain.row);
                            }
                        }
                    },
                    LinkOp::Fold(op) => fold_rows(op, call.dtype, x, out, rows, chain.row),
                    LinkOp::Repeat => repeat(call.dtype, x, out, rows, chain.row),
                    LinkOp::Rows(_) | LinkOp::Total(_) => partial().push(out, x, n),
                }
            }
        }
        let outputs = &cells[chain.registers + self.readers.len()..];
        for i in (0..outputs.len()).filter(|&i| self.streamed[i]) {
            let width = chain.output(i).dtype.size();
            // SAFETY: this tile of the target is nobody else's, and the scratch holds as many bytes. Both begin at lines.
            unsafe { stream::copy(outputs[i], self.targets[i].get().add(first(false) * width), length(false) * width) };
        }
    }
}

/// Writes each of the elements behind `x` as often as a row has elements.
///
/// # Safety
/// `x` must be readable for `rows` elements, `out` writable for `rows * row`, without overlap.
unsafe fn repeat(dtype: DType, x: *const u8, out: *mut u8, rows: usize, row: usize) {
    // SAFETY: the caller's promise; elements are moved as plain integers of their size.
    with_bits!(dtype, U => unsafe {
        let from = std::slice::from_raw_parts(x.cast::<U>(), rows);
        let to = std::slice::from_raw_parts_mut(out.cast::<U>(), rows * row);
        dispatch(Repeat(from, to));
    });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{cast, map};

    fn add(dtype: DType) -> Option<Kernel> {
        (dtype == DType::F32).then(|| Kernel::binary(|a: f32, b: f32| a + b))
    }

    fn mul(dtype: DType) -> Option<Kernel> {
        (dtype == DType::F32).then(|| Kernel::binary(|a: f32, b: f32| a * b))
    }

    /// (x + y) · (x + y) + x
    fn chain() -> Chain {
        let link = |kernel: fn(DType) -> Option<Kernel>, a, b| Link {
            op: LinkOp::Map(kernel(DType::F32).unwrap()),
            sources: [a, b].into_iter().collect(),
            dtype: DType::F32,
            narrow: false,
        };
        let (x, y) = (Source::Input(0), Source::Input(1));
        let (l0, l1) = (Source::Link(0), Source::Link(1));
        Chain::new(vec![link(add, x, y), link(mul, l0, l0), link(add, l1, x)], vec![0, 2], 1, vec![false; 2])
    }

    /// The first and the last link's results.
    fn unchained(x: &Array, y: &Array) -> [Vec<f32>; 2] {
        let run =
            |k, a: &Array, b: &Array| map(k, DType::F32, [a.clone(), b.clone()].into_iter().collect());
        let s = run(add, x, y);
        [s.to_vec(), run(add, &run(mul, &s, &s), x).to_vec()]
    }

    fn run(x: Array, y: Array) -> [Vec<f32>; 2] {
        let shape = x.shape().clone();
        let results = run_chain(&chain(), [x, y].into_iter().collect(), shape.size(), &[&shape, &shape]);
        [results[0].to_vec(), results[1].to_vec()]
    }

    #[test]
    fn a_chain_gives_the_bits_of_its_links_one_by_one() {
        for (rows, cols) in [(1, 1), (3, 5), (40, 70), (300, 400)] {
            let x = Array::build::<f32>([rows, cols].into(), |o| {
                o.iter_mut().enumerate().for_each(|(i, v)| *v = (i as f32).sin())
            });
            let y = x.permute(&[1, 0]).contiguous().permute(&[1, 0]);
            let row = x.slice(&[0, 0], &[1, cols], &[1, 1]).broadcast_to(x.shape());
            for (a, b) in [(&x, &y), (&y, &row), (&row, &row)] {
                let wanted = unchained(a, b);
                assert_eq!(run(a.clone(), b.clone()), wanted);
            }
            assert_eq!(run(crate::kernels::copy(&x), y.clone()), unchained(&x, &y), "in place");
            assert_eq!(run(crate::kernels::copy(&x), crate::kernels::copy(&y)), unchained(&x, &y), "both in place");
        }
    }

    #[test]
    fn rows_are_folded_and_repeated_with_the_bits_of_a_reduction() {
        use crate::kernels::reduce;
        let fold = Link {
            op: LinkOp::Fold(Reduction::Sum),
            sources: [Source::Input(0)].into_iter().collect(),
            dtype: DType::F32,
            narrow: true,
        };
        let back = Link {
            op: LinkOp::Repeat,
            sources: [Source::Link(0)].into_iter().collect(),
            narrow: false,
            ..fold.clone()
        };
        let times = Link {
            op: LinkOp::Map(mul(DType::F32).unwrap()),
            sources: [Source::Input(0), Source::Link(1)].into_iter().collect(),
            ..back.clone()
        };
        for (rows, row) in [(1, 2), (3, 5), (300, 130), (7, 1000), (5, 5000)] {
            let x = Array::build::<f32>([row, rows].into(), |o| {
                o.iter_mut().enumerate().for_each(|(i, v)| *v = (i as f32).sin())
            });
            for x in [x.permute(&[1, 0]), x.permute(&[1, 0]).contiguous()] {
                let links = vec![fold.clone(), back.clone(), times.clone()];
                let chain = Chain::new(links, vec![0, 2], row, vec![false]);
                let wanted = reduce(Reduction::Sum, &x, &[1]);
                let wide = wanted.reshape(&[rows, 1].into()).broadcast_to(x.shape());
                let product = map(mul, DType::F32, [x.clone(), wide].into_iter().collect());
                let shape = x.shape().clone();
                let got = run_chain(&chain, [x].into_iter().collect(), rows, &[&[rows].into(), &shape]);
                assert_eq!(got[0].to_vec::<f32>(), wanted.to_vec::<f32>(), "{rows} x {row}");
                assert_eq!(got[1].to_vec::<f32>(), product.to_vec::<f32>(), "{rows} x {row}");
            }
        }
    }

    #[test]
    fn final_results_have_the_bits_of_reductions() {
        use crate::kernels::reduce;
        let link = |op, source, dtype| Link { op, sources: [source].into_iter().collect(), dtype, narrow: false };
        for (rows, row) in [(1, 2), (3, 5), (300, 130), (257, 64), (7, 1000), (5, 5000), (1000, 33), (70000, 1), (1, 1)] {
            for (dtype, op) in [
                (DType::F32, Reduction::Sum),
                (DType::F64, Reduction::Sum),
                (DType::F32, Reduction::Prod),
                (DType::F32, Reduction::Max),
                (DType::F64, Reduction::Min),
            ] {
                let x = Array::build::<f32>([rows, row].into(), |o| {
                    o.iter_mut().enumerate().for_each(|(i, v)| *v = 1.0 + 0.001 * (i as f32).sin())
                });
                let x = cast(&x, dtype);
                let square = match dtype {
                    DType::F32 => Kernel::unary(|x: f32| x * x),
                    _ => Kernel::unary(|x: f64| x * x),
                };
                let mut links = vec![
                    link(LinkOp::Map(square), Source::Input(0), dtype),
                    link(LinkOp::Total(op), Source::Link(0), dtype),
                ];
                let mut shapes: Vec<Shape> = vec![[rows, row].into(), ().into()];
                if row > 1 {
                    links.push(link(LinkOp::Rows(op), Source::Link(0), dtype));
                    shapes.push([row].into());
                }
                let outputs = (0..links.len()).collect();
                let chain = Chain::new(links, outputs, row, vec![false]);
                let got = run_chain(&chain, [x].into_iter().collect(), rows, &shapes.iter().collect::<Vec<_>>());
                let wanted = [reduce(op, &got[0], &[0, 1]), reduce(op, &got[0], &[0])];
                for (got, wanted) in got[1..].iter().zip(wanted) {
                    assert_eq!(got.to_bytes(), wanted.to_bytes(), "{op:?} of {dtype} {rows} x {row}");
                }
            }
        }
    }
}
