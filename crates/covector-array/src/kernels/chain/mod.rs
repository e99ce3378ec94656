//! Chains: several kernels run on one tile before the next tile is read, so values in between never leave the first-level
//! cache. The same kernels on the same elements give the same bits as one pass per link.
//!
//! A chain may fold rows: then every array is seen as `[rows, row]`, or as `[rows]` where a link is *narrow*, tiles are
//! whole rows, and a softmax or a layer normalisation is one pass over memory. It may also fold rows into one, everything
//! into one element, or every channel of an image into one: such a *final* result is there when the pass is over.

mod assembler;
mod code;
mod flat;
mod group;
mod held;
mod native;
mod order;
mod programs;
mod room;
mod run;
mod stretch;
mod sums;
mod tiles;

use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;

use smallvec::SmallVec;

use super::kernel::{Kernel, TILE};
use super::reduce::{Partial, Reduction};
use crate::DType;
use crate::isa::Isa;
use group::{again, implied_repetitions, stretches};
use native::Native;
pub use native::write_code_after;
use order::arranged;
use room::Room;
use run::Ready;
pub use run::run_chain;
use stretch::{Member, Stretch, is_fold};

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
    /// Rows belong to so many channels in turn: folds those of each channel to one element; final.
    Channels(Reduction, usize),
}

impl LinkOp {
    /// True if the result is there only when the pass is over.
    pub fn is_final(self) -> bool {
        matches!(self, LinkOp::Rows(_) | LinkOp::Total(_) | LinkOp::Channels(..))
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
#[derive(Debug)]
pub struct Chain {
    links: Vec<Link>,
    calls: Vec<Call>,
    /// For each link the number of its call.
    call_of: Vec<usize>,
    /// Calls that may run as one.
    stretches: Vec<Stretch>,
    outputs: Vec<usize>,
    narrow_inputs: Vec<bool>,
    /// The inputs whose elements are all the same: any of them is read at any time.
    numbers: Vec<usize>,
    /// For each input the dtype that links read it as, if any does.
    input_dtypes: Vec<Option<DType>>,
    /// For each input the last link that reads it.
    last_reader: Vec<usize>,
    /// Elements per row; 1 if nothing is folded or repeated.
    row: usize,
    /// What each register has room for.
    registers: Vec<Room>,
    /// Bytes of the widest element.
    widest: usize,
    /// The calls as they run on the instruction set of the first run.
    ready: OnceLock<(Isa, Box<[Ready]>)>,
    /// Machine code for the stretches on that instruction set, if there can be any, once it was worth it.
    native: OnceLock<(Isa, Option<Native>)>,
    /// Elements of all links run over until then.
    done: AtomicUsize,
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
/// Elements per piece of parallel work, at most and at least.
const CHUNK: usize = 32 * TILE;
const SMALLEST: usize = 4 * TILE;
/// Pieces a pass is cut into, if they do not become too small: so that threads end at about the same time.
const PIECES: usize = 16;

impl Chain {
    /// A chain of these links over rows of `row` elements (1 for none), which writes the results of the links `outputs`.
    ///
    /// # Panics
    /// If there is no link or no output, rows are folded into one as well as to channels, a link reads one that does not stand before it or is final, or dtypes do not fit.
    pub fn new(links: Vec<Link>, outputs: Vec<usize>, row: usize, narrow_inputs: Vec<bool>) -> Chain {
        Chain::with_numbers(links, outputs, row, narrow_inputs, &[])
    }

    /// [`new`](Self::new) with the inputs that are a single number, whatever their shape: it stays in a register. Their elements
    /// must all be the same in every run.
    ///
    /// # Panics
    /// As `new`, and if there is no such input.
    pub fn with_numbers(
        links: Vec<Link>,
        mut outputs: Vec<usize>,
        row: usize,
        narrow_inputs: Vec<bool>,
        numbers: &[usize],
    ) -> Chain {
        assert!(!links.is_empty() && !outputs.is_empty(), "a chain has links and outputs");
        for (i, link) in links.iter().enumerate() {
            let in_order = |s: &Source| !matches!(*s, Source::Link(j) if j >= i || links[j].op.is_final());
            assert!(link.sources.iter().all(in_order), "links stand after those they read");
            if let LinkOp::Map(kernel) = link.op {
                let fits = kernel.inputs().len() == link.sources.len() && kernel.output() == link.dtype;
                assert!(fits, "a kernel with other operands or another result than its link");
            }
        }
        let links = arranged(links, &mut outputs, row);
        let links = again(links, &mut outputs, row);
        let input_dtypes = input_dtypes(&links, narrow_inputs.len());
        let channels = channels(&links);
        let rows = links.iter().any(|link| matches!(link.op, LinkOp::Rows(_)));
        assert!(!(channels.is_some() && rows), "final results that cut a pass at different places");
        let implied = implied_repetitions(&links, &outputs, row);
        // What a link reads in fact: a repetition that is implied is read as what it repeats.
        let direct = |source: Source| match source {
            Source::Link(j) if implied[j] => links[j].sources[0],
            other => other,
        };
        let groups = stretches(&links, &implied, &outputs, row);
        // What a stretch repeats along rows is read until its end.
        let mut group_of: Vec<Option<usize>> = vec![None; links.len()];
        groups.iter().enumerate().for_each(|(g, group)| group.iter().for_each(|&i| group_of[i] = Some(g)));
        let mut read_to_the_end: Vec<(usize, usize)> = Vec::new();
        let mut last_use: Vec<usize> = (0..links.len()).collect();
        let mut last_reader = vec![0; narrow_inputs.len()];
        for (i, link) in links.iter().enumerate().filter(|(i, _)| !implied[*i]) {
            for &source in &link.sources {
                match direct(source) {
                    Source::Link(j) => match group_of[i] {
                        Some(g) if direct(source) != source => {
                            last_use[j] = groups[g][groups[g].len() - 1];
                            read_to_the_end.push((last_use[j], j));
                        }
                        _ => last_use[j] = last_use[j].max(i),
                    },
                    Source::Input(k) => last_reader[k] = i,
                }
            }
        }
        // The cell of each link's result: a register until its last use, or an output.
        let mut cells: Vec<usize> = Vec::with_capacity(links.len());
        // Values of one kind use a register in turn: code may do one row after the other, so rows have to lie in the same places.
        let (mut free, mut registers): (Vec<usize>, Vec<Room>) = (Vec::new(), Vec::new());
        let mut output_of: Vec<Option<usize>> = vec![None; links.len()];
        outputs.iter().enumerate().rev().for_each(|(output, &link)| output_of[link] = Some(output));
        read_to_the_end.sort_unstable();
        let mut longer = read_to_the_end.into_iter().peekable();
        for (i, &implied) in implied.iter().enumerate() {
            // The result's register is taken before the operands' are freed: a kernel must not write where it reads.
            cells.push(match output_of[i] {
                _ if implied => OUTPUTS,
                Some(output) => OUTPUTS + output,
                None => {
                    let room = Room::of(&links[i], group_of[i].is_some());
                    match free.iter().rposition(|&r| registers[r] == room) {
                        Some(at) => free.remove(at),
                        None => {
                            registers.push(room);
                            registers.len() - 1
                        }
                    }
                }
            });
            // Each operand once, and the result itself if nobody reads it.
            let mut done: SmallVec<[usize; 4]> = SmallVec::from_elem(i, 1);
            done.extend(links[i].sources.iter().filter_map(|&source| match direct(source) {
                Source::Link(j) => Some(j),
                Source::Input(_) => None,
            }));
            while let Some((_, j)) = longer.next_if(|&(end, _)| end == i) {
                done.push(j);
            }
            done.sort_unstable();
            done.dedup();
            free.extend(done.into_iter().filter(|&j| last_use[j] == i && cells[j] < OUTPUTS).map(|j| cells[j]));
        }
        // After them the lanes of sums within stretches.
        let scratch = registers.len() as u16;
        for group in &groups {
            let sums = group.iter().filter(|&&i| is_fold(links[i].op)).map(|&i| links[i].dtype.size());
            for (k, width) in sums.enumerate() {
                let at = usize::from(scratch) + k;
                match registers.get_mut(at) {
                    Some(Room::Lanes(most)) => *most = width.max(*most),
                    _ => registers.push(Room::Lanes(width)),
                }
            }
        }
        let first_input = registers.len();
        let cell = |at: usize| match at.checked_sub(OUTPUTS) {
            Some(output) => (first_input + narrow_inputs.len() + output) as u16,
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
                    Source::Input(k) => ((first_input + k) as u16, narrow_inputs[k]),
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
        let calls: Vec<Call> = (0..links.len()).filter(|&i| !implied[i]).map(call).collect();
        let mut call_of: Vec<usize> = vec![0; links.len()];
        (0..links.len()).filter(|&i| !implied[i]).enumerate().for_each(|(at, i)| call_of[i] = at);
        assert!(numbers.iter().all(|&k| k < narrow_inputs.len()), "numbers are inputs");
        let same: Vec<u16> = numbers.iter().map(|&k| (first_input + k) as u16).collect();
        let stretches = groups.iter().map(|group| {
            let last = group[group.len() - 1];
            let member = |&i: &usize| Member {
                call: calls[call_of[i]],
                made_by: std::array::from_fn(|k| match links[i].sources.get(k) {
                    Some(&Source::Link(j)) => group.binary_search(&j).ok(),
                    _ => None,
                }),
                kept: cells[i] >= OUTPUTS || last_use[i] > last,
            };
            Stretch::new(call_of[group[0]], &group.iter().map(member).collect::<Vec<_>>(), row, scratch, &same)
        });
        let stretches = stretches.collect();
        let widest = links.iter().map(|link| link.dtype.size()).max().unwrap_or(8);
        Chain {
            calls,
            call_of,
            stretches,
            links,
            outputs,
            narrow_inputs,
            numbers: numbers.to_vec(),
            input_dtypes,
            last_reader,
            row,
            registers,
            widest,
            ready: OnceLock::new(),
            native: OnceLock::new(),
            done: AtomicUsize::new(0),
        }
    }

    fn output(&self, output: usize) -> &Link {
        &self.links[self.outputs[output]]
    }

    /// The number of elements of an output for that many rows.
    fn size(&self, output: usize, rows: usize) -> usize {
        let link = self.output(output);
        match link.op {
            LinkOp::Total(_) => 1,
            LinkOp::Channels(_, channels) => channels,
            LinkOp::Rows(_) => self.row,
            _ if link.narrow => rows,
            _ => rows * self.row,
        }
    }

    /// True if a link is of this kind.
    fn has(&self, kind: fn(LinkOp) -> bool) -> bool {
        self.links.iter().any(|link| kind(link.op))
    }

    /// Rows per tile, and per piece of work: a tile fits the first-level cache, and finals are cut where they may be.
    fn cut(&self, rows: usize) -> (usize, usize) {
        let mut tall = height(self.row);
        let piece = piece(rows * self.row);
        let mut chunk = (piece / (tall * self.row)).max(1) * tall;
        if self.has(|op| matches!(op, LinkOp::Rows(_))) {
            // A power of two, so that pieces are whole tiles.
            tall = 1 << tall.min(Partial::ROWS).ilog2();
            chunk = Partial::ROWS;
        } else if let Some(channels) = channels(&self.links) {
            let least = channels * Partial::rows_per_block(self.row);
            chunk = (piece / (least * self.row)).max(1) * least;
        } else if self.has(|op| matches!(op, LinkOp::Total(_))) {
            chunk = chunk.next_multiple_of(Partial::rows_per_block(self.row));
        }
        (tall, chunk)
    }
}

/// Elements per piece of parallel work on so many in all.
fn piece(elements: usize) -> usize {
    (elements / PIECES).clamp(SMALLEST, CHUNK)
}

/// Rows of so many elements in a tile.
fn height(row: usize) -> usize {
    let tile = if row == 1 { TILE } else { ROWS_TILE };
    (tile / row).max(1)
}

/// The number of channels that links fold to, if they do.
fn channels(links: &[Link]) -> Option<usize> {
    let mut all = links.iter().filter_map(|link| match link.op {
        LinkOp::Channels(_, channels) => Some(channels),
        _ => None,
    });
    let first = all.next()?;
    assert!(all.all(|c| c == first), "a pass over channels of one number");
    Some(first)
}

/// True if a pass over an array with these three axes can fold it to the channels, the middle one, without keeping threads
/// idle: pieces are whole blocks of every channel.
pub fn folds_channels([outer, channels, line]: [usize; 3]) -> bool {
    let pieces = outer / Partial::rows_per_block(line);
    channels <= MOST_CHANNELS && (pieces >= 4 || outer * channels * line <= CHUNK)
}

/// What is known of each channel stays in the second-level cache.
const MOST_CHANNELS: usize = 512;

/// Where cells of outputs begin while registers are still being counted.
const OUTPUTS: usize = 1 << 15;

/// For each input the dtype that links read it as, if any does.
///
/// # Panics
/// If a link does not read what it was made for, or two links differ.
fn input_dtypes(links: &[Link], inputs: usize) -> Vec<Option<DType>> {
    let mut dtypes = vec![None; inputs];
    for link in links {
        for (i, source) in link.sources.iter().enumerate() {
            let wanted = match link.op {
                LinkOp::Map(kernel) => kernel.inputs()[i],
                _ => link.dtype,
            };
            let read = match *source {
                Source::Input(k) => *dtypes[k].get_or_insert(wanted),
                Source::Link(j) => links[j].dtype,
            };
            assert_eq!(read, wanted, "a link got an operand of another dtype");
        }
    }
    dtypes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{cast, map};
    use crate::{Array, Shape};

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
        let run = |k, a: &Array, b: &Array| map(k, DType::F32, [a.clone(), b.clone()].into_iter().collect());
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
        for (rows, row) in [(1, 2), (3, 5), (300, 130), (257, 64), (7, 1000), (5, 5000), (1000, 33), (70000, 1), (1, 1)]
        {
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

    #[test]
    fn channels_have_the_bits_of_reductions() {
        use crate::kernels::reduce;
        for [outer, channels, line] in
            [[1, 1, 2], [3, 5, 7], [64, 3, 33], [600, 4, 48], [9, 6, 1024], [16, 5, 256], [5, 2, 5000]]
        {
            for (dtype, op) in
                [(DType::F32, Reduction::Sum), (DType::F64, Reduction::Sum), (DType::F32, Reduction::Max)]
            {
                let x = Array::build::<f32>([outer, channels, line].into(), |o| {
                    o.iter_mut().enumerate().for_each(|(i, v)| *v = 1.0 + 0.001 * (i as f32).sin())
                });
                let x = cast(&x, dtype);
                let fold = |op| Link { op, sources: [Source::Input(0)].into_iter().collect(), dtype, narrow: false };
                let links = vec![fold(LinkOp::Channels(op, channels)), fold(LinkOp::Total(op))];
                let chain = Chain::new(links, vec![0, 1], line, vec![false]);
                let shapes: [Shape; 2] = [[channels].into(), ().into()];
                let got = run_chain(&chain, [x.clone()].into_iter().collect(), outer * channels, &shapes.each_ref());
                let wanted = [reduce(op, &x, &[0, 2]), reduce(op, &x, &[0, 1, 2])];
                for (got, wanted) in got.iter().zip(wanted) {
                    assert_eq!(got.to_bytes(), wanted.to_bytes(), "{op:?} of {dtype} {outer} x {channels} x {line}");
                }
            }
        }
    }
}
