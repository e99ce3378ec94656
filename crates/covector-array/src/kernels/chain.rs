//! Chains: several kernels run on one tile before the next tile is read, so values in between never leave the first-level
//! cache. The same kernels on the same elements give the same bits as one pass per link.
//!
//! A chain may fold rows: then every array is seen as `[rows, row]`, or as `[rows]` where a link is *narrow*, tiles are
//! whole rows, and a softmax or a layer normalisation is one pass over memory.

use std::cell::RefCell;

use smallvec::SmallVec;

use super::layout::{Layout, Shared};
use super::map::Reader;
use super::reduce::{Reduction, fold_rows};
use super::tile::{TILE, Tile, TileFn, TileMut};
use super::{Inputs, strided::with_bits};
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
    Map(TileFn),
    /// Folds every row to one element; floats only.
    Fold(Reduction),
    /// Repeats one element along every row.
    Repeat,
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
    places: Vec<Place>,
    outputs: Vec<usize>,
    narrow_inputs: Vec<bool>,
    /// Elements per row; 1 if nothing is folded or repeated.
    row: usize,
    registers: usize,
}

/// Where the result of a link goes.
#[derive(Clone, Copy, Debug)]
enum Place {
    Register(usize),
    Output(usize),
}

/// Elements per tile of a chain with rows, if rows are not longer.
const ROWS_TILE: usize = 2048;
/// Elements per piece of parallel work.
const CHUNK: usize = 32 * TILE;

impl Chain {
    /// A chain of these links over rows of `row` elements (1 for none), which writes the results of the links `outputs`.
    ///
    /// # Panics
    /// If there is no link or no output, or a link reads one that does not stand before it.
    pub fn new(links: Vec<Link>, outputs: Vec<usize>, row: usize, narrow_inputs: Vec<bool>) -> Chain {
        let in_order =
            |(i, link): (usize, &Link)| link.sources.iter().all(|s| !matches!(s, Source::Link(j) if *j >= i));
        assert!(links.iter().enumerate().all(in_order), "links stand after those they read");
        assert!(!links.is_empty() && !outputs.is_empty(), "a chain has links and outputs");
        let mut last_use: Vec<usize> = (0..links.len()).collect();
        for (i, link) in links.iter().enumerate() {
            for source in &link.sources {
                if let Source::Link(j) = *source {
                    last_use[j] = i;
                }
            }
        }
        let mut places: Vec<Place> = Vec::with_capacity(links.len());
        let (mut free, mut registers) = (Vec::new(), 0);
        for i in 0..links.len() {
            // The result's register is taken before the operands' are freed: a kernel must not write where it reads.
            places.push(match outputs.iter().position(|&o| o == i) {
                Some(output) => Place::Output(output),
                None => Place::Register(free.pop().unwrap_or_else(|| {
                    registers += 1;
                    registers - 1
                })),
            });
            for j in (0..=i).filter(|&j| last_use[j] == i) {
                if let Place::Register(register) = places[j] {
                    free.push(register);
                }
            }
        }
        Chain { links, places, outputs, narrow_inputs, row, registers }
    }

    fn output_dtype(&self, output: usize) -> DType {
        self.links[self.outputs[output]].dtype
    }
}

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
    let narrow_output = |i: usize| chain.links[chain.outputs[i]].narrow;
    let all = || shapes.iter().enumerate();
    assert!(all().all(|(i, s)| s.size() == wide(narrow_output(i))), "a chain got other shapes for its results");
    if rows * chain.row == 0 {
        return all().map(|(i, s)| Array::uninit((*s).clone(), chain.output_dtype(i))).collect();
    }
    if rows > 1 && chain.row == 1 && inputs.iter().all(|x| Layout::of(x).is_constant()) {
        let first = |x: &Array| x.slice(&vec![0; x.ndim()], &vec![1; x.ndim()], &vec![1; x.ndim()]);
        let ones: Vec<Shape> = shapes.iter().map(|s| Shape::from(vec![1; s.len()])).collect();
        let ones = run_chain(chain, inputs.iter().map(first).collect(), 1, &ones.iter().collect::<Vec<_>>());
        return ones.iter().zip(shapes).map(|(x, s)| x.broadcast_to(s)).collect();
    }
    let mut taken: SmallVec<[Option<usize>; 2]> = SmallVec::new();
    for (i, shape) in all() {
        let fits = |x: &mut Array| x.dtype() == chain.output_dtype(i) && x.size() == shape.size() && x.is_reusable();
        let free = (0..inputs.len()).find(|k| !taken.contains(&Some(*k)) && fits(&mut inputs[*k]));
        taken.push(free);
    }
    let result = |i: usize| match taken[i] {
        Some(input) => inputs[input].reshape(shapes[i]),
        None => Array::uninit(shapes[i].clone(), chain.output_dtype(i)),
    };
    let results: SmallVec<[Array; 2]> = (0..shapes.len()).map(result).collect();
    let tall = if chain.row == 1 { TILE } else { (ROWS_TILE / chain.row).max(1) };
    let slot = (tall * chain.row).min(rows * chain.row).next_multiple_of(8);
    let row = |k: usize| if chain.narrow_inputs[k] { 1 } else { chain.row };
    let reader = |(k, x): (usize, &Array)| Reader::new(x, slot, row(k), None, taken.contains(&Some(k)));
    let readers: Vec<Reader> = inputs.iter().enumerate().map(reader).collect();
    let targets = results.iter().map(|x| Shared(x.ptr::<u8>().cast_mut())).collect();
    let job = Job { chain, readers, targets, slot, tall };
    let chunk = (CHUNK / (tall * chain.row)).max(1) * tall;
    let cost = (rows * chain.row).saturating_mul(chain.links.len());
    threads::for_each(rows.div_ceil(chunk), cost, |i| job.run(i * chunk, (i * chunk + chunk).min(rows)));
    results
}

struct Job<'a> {
    chain: &'a Chain,
    readers: Vec<Reader>,
    targets: SmallVec<[Shared<u8>; 2]>,
    /// u64 per scratch tile, whole lines: room for any dtype.
    slot: usize,
    /// Rows per tile.
    tall: usize,
}

impl Job<'_> {
    fn run(&self, start: usize, end: usize) {
        let slots = self.chain.registers + self.readers.iter().map(Reader::slots).sum::<usize>();
        SCRATCH.with(|scratch| {
            let mut scratch = scratch.borrow_mut();
            let lines = slots * self.slot / 8;
            if scratch.len() < lines {
                scratch.resize(lines, Line([0; 8]));
            }
            let base = scratch.as_mut_ptr().cast::<u64>();
            for at in (start..end).step_by(self.tall) {
                self.tile(at, self.tall.min(end - at), base);
            }
        });
    }

    fn tile(&self, start: usize, rows: usize, base: *mut u64) {
        let row = |narrow: bool| if narrow { 1 } else { self.chain.row };
        let mut next = self.chain.registers;
        let mut fetched: SmallVec<[Tile; 8]> = SmallVec::new();
        for (reader, &narrow) in self.readers.iter().zip(&self.chain.narrow_inputs) {
            let slot = base.wrapping_add(next * self.slot);
            let range = start * row(narrow)..(start + rows) * row(narrow);
            fetched.push(reader.fetch(range, slot, slot.wrapping_add(self.slot)));
            next += reader.slots();
        }
        let at = |i: usize| {
            let link = &self.chain.links[i];
            match self.chain.places[i] {
                Place::Register(register) => base.wrapping_add(register * self.slot).cast::<u8>(),
                Place::Output(output) => {
                    self.targets[output].get().wrapping_add(start * row(link.narrow) * link.dtype.size())
                }
            }
        };
        for (i, link) in self.chain.links.iter().enumerate() {
            let mut operands: SmallVec<[Tile; 3]> = SmallVec::new();
            for source in &link.sources {
                operands.push(match *source {
                    Source::Input(k) => fetched[k],
                    // SAFETY: link j ran on this tile and wrote this many elements of its dtype to its place, which no
                    // other link has taken since (registers are freed at their last use).
                    Source::Link(j) => unsafe {
                        let from = &self.chain.links[j];
                        Tile::from_raw(at(j), rows * row(from.narrow), from.dtype)
                    },
                });
            }
            // SAFETY: a register is not that of an operand; tiles of the targets are disjoint between chunks, and an
            // input that shares its memory was copied to scratch before.
            let out = unsafe { TileMut::from_raw(at(i), rows * row(link.narrow), link.dtype) };
            match link.op {
                LinkOp::Map(kernel) => kernel(&operands, out),
                LinkOp::Fold(op) => fold_rows(op, operands[0], out),
                LinkOp::Repeat => repeat(operands[0], out),
            }
        }
    }
}

/// Fills equal parts of `out` with the elements of `x`.
fn repeat(x: Tile, out: TileMut) {
    assert_eq!(x.dtype(), out.dtype(), "a repeated element keeps its dtype");
    // SAFETY: elements are moved as plain integers of their size, and both tiles hold whole elements.
    with_bits!(x.dtype(), U => unsafe {
        let from = std::slice::from_raw_parts(x.as_ptr().cast::<U>(), x.len());
        let to = std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<U>(), out.len());
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
    use crate::kernels::{map, map2};

    fn add(dtype: DType) -> Option<TileFn> {
        (dtype == DType::F32).then_some(|ins: &[Tile], out: TileMut| map2(ins, out, |a: f32, b: f32| a + b))
    }

    fn mul(dtype: DType) -> Option<TileFn> {
        (dtype == DType::F32).then_some(|ins: &[Tile], out: TileMut| map2(ins, out, |a: f32, b: f32| a * b))
    }

    /// (x + y) · (x + y) + x
    fn chain() -> Chain {
        let link = |kernel: fn(DType) -> Option<TileFn>, a, b| Link {
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
            |k, a: &Array, b: &Array| map(k, DType::F32, [a.clone(), b.clone()].into_iter().collect(), DType::F32);
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
                let product = map(mul, DType::F32, [x.clone(), wide].into_iter().collect(), DType::F32);
                let shape = x.shape().clone();
                let got = run_chain(&chain, [x].into_iter().collect(), rows, &[&[rows].into(), &shape]);
                assert_eq!(got[0].to_vec::<f32>(), wanted.to_vec::<f32>(), "{rows} x {row}");
                assert_eq!(got[1].to_vec::<f32>(), product.to_vec::<f32>(), "{rows} x {row}");
            }
        }
    }
}
