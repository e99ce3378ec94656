//! Chains of elementwise kernels: every link runs on a tile before the next tile is read, so intermediate values never
//! leave the first-level cache. The same kernels on the same elements give the same bits as one pass per link.

use std::cell::RefCell;

use smallvec::SmallVec;

use super::Inputs;
use super::layout::{Layout, Shared};
use super::map::{CHUNK, Reader};
use super::tile::{TILE, Tile, TileFn, TileMut};
use crate::{Array, DType, threads};

/// Where a link reads an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From an input of the chain.
    Input(usize),
    /// From an earlier link.
    Link(usize),
}

/// One elementwise kernel of a chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// The kernel.
    pub kernel: TileFn,
    /// Its operands.
    pub sources: SmallVec<[Source; 3]>,
    /// The dtype of its result.
    pub dtype: DType,
}

/// Links in order; the last one's result is the chain's.
#[derive(Clone, Debug)]
pub struct Chain {
    links: Vec<Link>,
    /// The register each link but the last writes to.
    registers: Vec<usize>,
    count: usize,
}

impl Chain {
    /// A chain of these links.
    ///
    /// # Panics
    /// If there is none, or a link reads one that does not stand before it.
    pub fn new(links: Vec<Link>) -> Chain {
        let reads = |link: &Link, i: usize| link.sources.contains(&Source::Link(i));
        let in_order =
            |(i, link): (usize, &Link)| link.sources.iter().all(|s| !matches!(s, Source::Link(j) if *j >= i));
        assert!(!links.is_empty() && links.iter().enumerate().all(in_order), "links stand after those they read");
        let mut registers = Vec::with_capacity(links.len());
        let mut free: Vec<usize> = Vec::new();
        let mut count = 0;
        for i in 0..links.len() {
            // The result's register is taken before the operands' are freed: a kernel must not write where it reads.
            registers.push(free.pop().unwrap_or_else(|| {
                count += 1;
                count - 1
            }));
            let ends_here = |j: usize| reads(&links[i], j) && !links[i + 1..].iter().any(|later| reads(later, j));
            free.extend((0..i).filter(|&j| ends_here(j)).map(|j| registers[j]));
        }
        Chain { links, registers, count }
    }

    fn dtype(&self) -> DType {
        self.links[self.links.len() - 1].dtype
    }
}

thread_local! {
    /// Scratch tiles, kept between runs: clearing fresh ones would cost as much as a link.
    static SCRATCH: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Runs a chain on inputs of equal shapes (any layout).
///
/// An input that is the sole owner of its elements and has the result's dtype is overwritten.
/// # Panics
/// If the shapes differ or a kernel does not fit its operands.
pub fn run_chain(chain: &Chain, mut inputs: Inputs) -> Array {
    let shape = inputs[0].shape().clone();
    assert!(inputs.iter().all(|x| *x.shape() == shape), "a chain got inputs of different shapes");
    let (size, out) = (shape.size(), chain.dtype());
    if size == 0 {
        return Array::uninit(shape, out);
    }
    if size > 1 && inputs.iter().all(|x| Layout::of(x).is_constant()) {
        let (zeros, ones, steps) = (vec![0; shape.len()], vec![1; shape.len()], vec![1; shape.len()]);
        let one = inputs.iter().map(|x| x.slice(&zeros, &ones, &steps)).collect();
        return run_chain(chain, one).broadcast_to(&shape);
    }
    let reused = inputs.iter_mut().position(|x| x.dtype() == out && x.is_reusable());
    let fresh = if reused.is_none() { Some(Array::uninit(shape, out)) } else { None };
    let target = reused.map_or_else(|| fresh.as_ref().expect("made above"), |i| &inputs[i]);
    let target = Shared(target.ptr::<u8>().cast_mut());
    let readers: Vec<Reader> =
        inputs.iter().enumerate().map(|(i, x)| Reader::new(x, size, None, reused == Some(i))).collect();
    let job = Job { chain, readers, target, slot: size.min(TILE) };
    let cost = size.saturating_mul(chain.links.len());
    threads::for_each(size.div_ceil(CHUNK), cost, |i| job.run(i * CHUNK, (i * CHUNK + CHUNK).min(size)));
    drop(job);
    fresh.unwrap_or_else(|| inputs.swap_remove(reused.expect("fresh or reused")))
}

struct Job<'a> {
    chain: &'a Chain,
    readers: Vec<Reader>,
    target: Shared<u8>,
    /// u64 per scratch tile: room for any dtype.
    slot: usize,
}

impl Job<'_> {
    fn run(&self, start: usize, end: usize) {
        let slots = self.chain.count + self.readers.iter().map(Reader::slots).sum::<usize>();
        SCRATCH.with(|scratch| {
            let mut scratch = scratch.borrow_mut();
            if scratch.len() < slots * self.slot {
                scratch.resize(slots * self.slot, 0);
            }
            let base = scratch.as_mut_ptr();
            for at in (start..end).step_by(TILE) {
                self.tile(at, TILE.min(end - at), base);
            }
        });
    }

    fn tile(&self, start: usize, len: usize, base: *mut u64) {
        let mut next = self.chain.count;
        let mut fetched: SmallVec<[Tile; 8]> = SmallVec::new();
        for reader in &self.readers {
            let slot = base.wrapping_add(next * self.slot);
            fetched.push(reader.fetch(start..start + len, slot, slot.wrapping_add(self.slot)));
            next += reader.slots();
        }
        let last = self.chain.links.len() - 1;
        for (i, link) in self.chain.links.iter().enumerate() {
            let register = |j: usize| base.wrapping_add(self.chain.registers[j] * self.slot).cast::<u8>();
            let operands: SmallVec<[Tile; 3]> = link
                .sources
                .iter()
                .map(|source| match *source {
                    Source::Input(k) => fetched[k],
                    // SAFETY: link j ran on this tile and wrote `len` elements of its dtype to its register, which no
                    // other link has taken since (it is freed at its last use).
                    Source::Link(j) => unsafe { Tile::from_raw(register(j), len, self.chain.links[j].dtype) },
                })
                .collect();
            // SAFETY: a register is not that of an operand; tiles of the target are disjoint between chunks, and an
            // input that shares its memory was copied to scratch before.
            let out = unsafe {
                if i == last {
                    TileMut::from_raw(self.target.get().add(start * link.dtype.size()), len, link.dtype)
                } else {
                    TileMut::from_raw(register(i), len, link.dtype)
                }
            };
            (link.kernel)(&operands, out);
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
            kernel: kernel(DType::F32).unwrap(),
            sources: [a, b].into_iter().collect(),
            dtype: DType::F32,
        };
        let (x, y) = (Source::Input(0), Source::Input(1));
        let (l0, l1) = (Source::Link(0), Source::Link(1));
        Chain::new(vec![link(add, x, y), link(mul, l0, l0), link(add, l1, x)])
    }

    fn unchained(x: &Array, y: &Array) -> Vec<f32> {
        let run =
            |k, a: &Array, b: &Array| map(k, DType::F32, [a.clone(), b.clone()].into_iter().collect(), DType::F32);
        let s = run(add, x, y);
        run(add, &run(mul, &s, &s), x).to_vec()
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
                assert_eq!(run_chain(&chain(), [a.clone(), b.clone()].into_iter().collect()).to_vec::<f32>(), wanted);
            }
            let wanted = unchained(&x, &y);
            let owned = [crate::kernels::copy(&x), y.clone()].into_iter().collect();
            assert_eq!(run_chain(&chain(), owned).to_vec::<f32>(), wanted, "in place");
        }
    }
}
