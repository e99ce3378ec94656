//! Elementwise kernels over arrays of any layout.
//!
//! An array is cut into tiles that fit the first-level cache, which a [`Reader`] lays side by side; so a kernel sees short
//! contiguous runs only.

use std::ops::Range;

use smallvec::SmallVec;

use super::cast::cast_kernel;
use super::kernel::{Kernel, Loop, TILE};
use super::layout::Shared;
use super::reader::Reader;
use super::stream::{Line, with_scratch};
use super::{Inputs, constant};
use crate::{Array, DType, Shape, threads};

/// Elements per piece of parallel work: a whole number of tiles.
const CHUNK: usize = 32 * TILE;

/// Applies an elementwise kernel to inputs of equal shapes (any layout).
///
/// `key` is the dtype that chooses the kernel: `select(key)`. If there is none for f16 or bf16, inputs of that dtype
/// are widened to f32, `select(F32)` runs, and a result in f32 is rounded back, to nearest even. An input that is
/// the sole owner of its elements and has the dtype of the result is overwritten. If every input repeats one element, so
/// does the result.
///
/// # Panics
/// If there is no kernel for `key`, or it does not fit the shapes and dtypes.
pub fn map(select: fn(DType) -> Option<Kernel>, key: DType, inputs: Inputs) -> Array {
    if let Some(kernel) = select(key) {
        return map_runs(kernel, None, inputs);
    }
    let kernel = if matches!(key, DType::F16 | DType::BF16) { select(DType::F32) } else { None };
    map_runs(kernel.unwrap_or_else(|| panic!("no elementwise kernel for {key}")), Some(key), inputs)
}

/// [`map`] with a given kernel; `half` is the dtype that the kernel sees as f32.
pub(crate) fn map_runs(kernel: Kernel, half: Option<DType>, mut inputs: Inputs) -> Array {
    let shape = inputs[0].shape().clone();
    assert!(inputs.iter().all(|x| *x.shape() == shape), "an elementwise kernel got inputs of different shapes");
    let seen = |x: &Array| if half == Some(x.dtype()) { DType::F32 } else { x.dtype() };
    let fits = inputs.len() == kernel.inputs().len() && inputs.iter().map(seen).eq(kernel.inputs().iter().copied());
    assert!(fits, "a kernel of {:?} got other dtypes", kernel.inputs());
    let out = half.filter(|_| kernel.output() == DType::F32).unwrap_or(kernel.output());
    let size = shape.size();
    if size == 0 {
        return Array::uninit(shape, out);
    }
    if size <= TILE && half.is_none() && inputs.iter().all(Array::is_contiguous) {
        return map_run(&kernel, inputs.iter(), shape);
    }
    if inputs.iter().all(constant) {
        let (zeros, ones, steps) = (vec![0; shape.len()], vec![1; shape.len()], vec![1; shape.len()]);
        let one = inputs.iter().map(|x| x.slice(&zeros, &ones, &steps)).collect();
        return map_runs(kernel, half, one).broadcast_to(&shape);
    }
    let reused = overwritten(&mut inputs, out);
    let fresh = if reused.is_none() { Some(Array::uninit(shape, out)) } else { None };
    let target = reused.map_or_else(|| fresh.as_ref().expect("made above"), |i| &inputs[i]);
    let readers: SmallVec<[Reader; 3]> =
        inputs.iter().enumerate().map(|(i, x)| Reader::new(x, TILE, 1, half, reused == Some(i))).collect();
    let row = readers.iter().filter_map(Reader::row).min().unwrap_or(usize::MAX);
    let single =
        readers.iter().position(|r| kernel.spreads() && r.row().is_some_and(|own| own % row == 0) && r.is_single());
    let target = Shared(target.ptr::<u8>().cast_mut());
    let narrow = (kernel.output() != out).then(|| cast_kernel(DType::F32, out).compiled());
    let widest = readers.iter().map(Reader::width).max().unwrap_or(8);
    let slot = (size.min(TILE) * widest.next_multiple_of(8)).div_ceil(size_of::<Line>());
    let run = single.map_or_else(|| kernel.compiled(), |i| kernel.spreading(i));
    // What is read and written where it lies needs no tiles.
    let lies = |reader: &Reader| reader.pitch().is_some_and(|pitch| pitch > 0);
    let tile = if narrow.is_none() && readers.iter().all(lies) { CHUNK } else { TILE };
    let job = Job { run, readers, single, out, narrow, target, slot, tile, row };
    threads::for_each(size.div_ceil(CHUNK), size, |i| job.run(i * CHUNK..(i * CHUNK + CHUNK).min(size)));
    drop(job);
    fresh.unwrap_or_else(|| inputs.swap_remove(reused.expect("fresh or reused")))
}

/// The input in whose memory a result of dtype `out` is written, if there is one that nobody else holds.
pub(crate) fn overwritten(inputs: &mut Inputs, out: DType) -> Option<usize> {
    inputs.iter_mut().position(|x| x.dtype() == out && x.is_reusable())
}

/// [`map`] of borrowed arrays, if they fit a tile and lie as kernels read them: nothing is copied, counted or overwritten.
pub fn map_small(select: fn(DType) -> Option<Kernel>, inputs: &[&Array]) -> Option<Array> {
    let (kernel, shape) = (select(inputs.last()?.dtype())?, inputs[0].shape());
    let small = shape.size() <= TILE && inputs.iter().all(|x| x.is_contiguous() && x.shape() == shape);
    let fits = small && inputs.iter().map(|x| x.dtype()).eq(kernel.inputs().iter().copied());
    fits.then(|| map_run(&kernel, inputs.iter().copied(), shape.clone()))
}

/// A single run, where every nanosecond of preparation counts.
fn map_run<'a>(kernel: &Kernel, inputs: impl Iterator<Item = &'a Array>, shape: Shape) -> Array {
    let size = shape.size();
    let result = Array::uninit(shape, kernel.output());
    let mut x = [result.ptr::<u8>(); 3];
    x.iter_mut().zip(inputs).for_each(|(at, input)| *at = input.ptr());
    // SAFETY: contiguous arrays of `size` elements of the kernel's dtypes, and a fresh output.
    unsafe { (kernel.compiled())(x[0], x[1], x[2], result.ptr::<u8>().cast_mut(), size) };
    result
}

/// What every chunk of a map needs.
struct Job {
    run: Loop,
    readers: SmallVec<[Reader; 3]>,
    /// The operand of which a tile has one element only.
    single: Option<usize>,
    out: DType,
    /// Rounds the kernel's results to the output.
    narrow: Option<Loop>,
    target: Shared<u8>,
    /// Lines per scratch slot: room for one tile of any dtype.
    slot: usize,
    /// Elements of a tile, at most.
    tile: usize,
    /// Tiles end at multiples of it.
    row: usize,
}

impl Job {
    fn run(&self, range: Range<usize>) {
        let slots: usize = self.readers.iter().map(Reader::slots).sum::<usize>() + usize::from(self.narrow.is_some());
        with_scratch(slots * self.slot, |scratch| self.tiles(range, scratch));
    }

    /// [`run`](Self::run) with scratch for all slots.
    fn tiles(&self, range: Range<usize>, scratch: *mut u8) {
        let slot = |i: usize| scratch.wrapping_add(i * self.slot * size_of::<Line>());
        let mut start = range.start;
        while start < range.end {
            let len = self.tile.min(range.end - start).min(self.row - start % self.row);
            let mut used = usize::from(self.narrow.is_some());
            let mut x = [std::ptr::null::<u8>(); 3];
            for (i, (x, reader)) in x.iter_mut().zip(&self.readers).enumerate() {
                let count = if self.single == Some(i) { 1 } else { len };
                *x = reader.fetch(start..start + count, slot(used), slot(used + 1));
                used += reader.slots();
            }
            // SAFETY: chunks and tiles are disjoint parts of the output; an input that shares its memory was copied to
            // scratch; the first slot is free for the wide result if there is one.
            unsafe {
                let here = self.target.get().add(start * self.out.size());
                match self.narrow {
                    Some(narrow) => {
                        (self.run)(x[0], x[1], x[2], slot(0), len);
                        narrow(slot(0), slot(0), slot(0), here, len);
                    }
                    None => (self.run)(x[0], x[1], x[2], here, len),
                }
            }
            start += len;
        }
    }
}
