//! Elementwise kernels over arrays of any layout.
//!
//! An array is cut into tiles that fit the first-level cache. Contiguous operands are read where they lie, repeated
//! elements are spread over one tile once, everything else is gathered tile by tile; so a kernel sees short contiguous
//! slices only, and its loop is compiled once per instruction set.

use std::ops::Range;

use smallvec::SmallVec;

use super::cast::{narrow, widen};
use super::layout::{Layout, Shared, gather};
use super::tile::{TILE, Tile, TileFn, TileMut};
use super::{Inputs, copy};
use crate::isa::{Work, dispatch};
use crate::{Array, DType, Element, Shape, threads};

/// Elements per piece of parallel work: a whole number of tiles.
const CHUNK: usize = 32 * TILE;

/// Applies an elementwise kernel to inputs of equal shapes (any layout); the result has dtype `out`.
///
/// `key` is the dtype that chooses the kernel: `select(key)`. If there is none for f16 or bf16, inputs of that dtype
/// are widened to f32, `select(F32)` runs, and a result in `key` is rounded back, to nearest even. An input that is
/// the sole owner of its elements and has dtype `out` is overwritten. If every input repeats one element, so does the
/// result.
///
/// # Panics
/// If there is no kernel for `key`, or the shapes differ.
pub fn map(select: fn(DType) -> Option<TileFn>, key: DType, inputs: Inputs, out: DType) -> Array {
    if let Some(kernel) = select(key) {
        return map_tiles(kernel, None, inputs, out);
    }
    let kernel = if matches!(key, DType::F16 | DType::BF16) { select(DType::F32) } else { None };
    map_tiles(kernel.unwrap_or_else(|| panic!("no elementwise kernel for {key}")), Some(key), inputs, out)
}

/// [`map`] with a given kernel; `half` is the dtype that the kernel sees as f32.
pub(crate) fn map_tiles(kernel: TileFn, half: Option<DType>, mut inputs: Inputs, out: DType) -> Array {
    let shape = inputs[0].shape().clone();
    assert!(inputs.iter().all(|x| *x.shape() == shape), "an elementwise kernel got inputs of different shapes");
    let size = shape.size();
    if size == 0 {
        return Array::uninit(shape, out);
    }
    if size <= TILE && half.is_none() && inputs.iter().all(Array::is_contiguous) {
        return map_tile(kernel, &inputs, shape, out);
    }
    if size > 1 && inputs.iter().all(|x| Layout::of(x).is_constant()) {
        let (zeros, ones, steps) = (vec![0; shape.len()], vec![1; shape.len()], vec![1; shape.len()]);
        let one = inputs.iter().map(|x| x.slice(&zeros, &ones, &steps)).collect();
        return map_tiles(kernel, half, one, out).broadcast_to(&shape);
    }
    let reused = inputs.iter_mut().position(|x| x.dtype() == out && x.is_reusable());
    let fresh = if reused.is_none() { Some(Array::uninit(shape, out)) } else { None };
    let target = reused.map_or_else(|| fresh.as_ref().expect("made above"), |i| &inputs[i]);
    let readers: SmallVec<[Reader; 3]> =
        inputs.iter().enumerate().map(|(i, x)| Reader::new(x, TILE, 1, half, reused == Some(i))).collect();
    let row = readers.iter().filter_map(Reader::row).min().unwrap_or(usize::MAX);
    let target = Shared(target.ptr::<u8>().cast_mut());
    let job = Job { kernel, half, readers, out, target, slot: size.min(TILE), row };
    threads::for_each(size.div_ceil(CHUNK), size, |i| job.run(i * CHUNK..(i * CHUNK + CHUNK).min(size)));
    drop(job);
    fresh.unwrap_or_else(|| inputs.swap_remove(reused.expect("fresh or reused")))
}

/// A single tile, where every nanosecond of preparation counts.
fn map_tile(kernel: TileFn, inputs: &Inputs, shape: Shape, out: DType) -> Array {
    let size = shape.size();
    let result = Array::uninit(shape, out);
    // SAFETY: contiguous arrays of `size` elements, and a fresh output.
    unsafe {
        let tile = |x: &Array| Tile::from_raw(x.ptr(), size, x.dtype());
        let tiles: SmallVec<[Tile; 3]> = inputs.iter().map(tile).collect();
        kernel(&tiles, TileMut::from_raw(result.ptr::<u8>().cast_mut(), size, out));
    }
    result
}

/// How the tiles of an input come about.
enum Form {
    /// Where they lie.
    Direct,
    /// Copied first, because the output overwrites them.
    Aliased,
    /// Widened from where they lie.
    Widened,
    /// One tile, filled beforehand, serves all: the rows repeat.
    Splat(Vec<u64>),
    /// Collected from memory into a dense array beforehand or tile by tile.
    Gathered(Layout),
}

/// An input, read tile by tile whatever its layout.
pub(super) struct Reader {
    form: Form,
    ptr: Shared<u8>,
    dtype: DType,
    /// The dtype the kernel sees.
    seen: DType,
    /// Keeps a dense copy alive.
    _owner: Option<Array>,
}

impl Reader {
    /// A reader of `x` in tiles of at most `tile` elements, which begin at multiples of `row`. Elements of dtype `half`
    /// are widened to f32; those of an `aliased` input are copied, because the output overwrites them.
    pub(super) fn new(x: &Array, tile: usize, row: usize, half: Option<DType>, aliased: bool) -> Reader {
        let dtype = x.dtype();
        let widened = half == Some(dtype);
        let seen = if widened { DType::F32 } else { dtype };
        let (layout, size) = (Layout::of(x), x.size());
        let mut reader =
            Reader { form: Form::Direct, ptr: Shared(x.ptr::<u8>().cast_mut()), dtype, seen, _owner: None };
        if layout.is_contiguous() || size == 1 {
            reader.form = if widened {
                Form::Widened
            } else if aliased {
                Form::Aliased
            } else {
                Form::Direct
            };
        } else if layout.repeats(row) {
            let n = size.min(tile);
            let (mut tile, mut spare) = (vec![0u64; n], vec![0u64; n]);
            let (to, narrow) = (tile.as_mut_ptr().cast::<u8>(), spare.as_mut_ptr().cast::<u8>());
            // SAFETY: the sequence has `n` elements, and both buffers have room for as many of any dtype.
            unsafe {
                gather(x.ptr(), dtype, &layout, 0, n, if widened { narrow } else { to });
                if widened {
                    widen(Tile::from_raw(narrow, n, dtype), TileMut::from_raw(to, n, DType::F32));
                }
            }
            reader.form = Form::Splat(tile);
        } else if copy::is_transposed(&layout) && size >= CHUNK {
            let dense = copy::copy(x);
            reader.ptr = Shared(dense.ptr::<u8>().cast_mut());
            reader.form = if widened { Form::Widened } else { Form::Direct };
            reader._owner = Some(dense);
        } else {
            reader.form = Form::Gathered(layout);
        }
        reader
    }

    /// The length of the runs tiles should not cross, if it is long enough to be worth it.
    pub(super) fn row(&self) -> Option<usize> {
        match &self.form {
            Form::Gathered(layout) if layout.inner().0 >= TILE / 4 => Some(layout.inner().0),
            _ => None,
        }
    }

    /// Scratch slots a tile of this reader needs.
    pub(super) fn slots(&self) -> usize {
        match self.form {
            Form::Direct | Form::Splat(_) => 0,
            Form::Aliased | Form::Widened => 1,
            Form::Gathered(_) => 2,
        }
    }

    /// The tile of the elements `range`, for which `slot` and `spare` are scratch space of that many u64.
    pub(super) fn fetch(&self, range: Range<usize>, slot: *mut u64, spare: *mut u64) -> Tile<'_> {
        let (len, width) = (range.len(), self.dtype.size());
        // SAFETY: the source has an element for every index of the map; scratch holds a whole tile of any dtype; the
        // tile lives no longer than the array behind `ptr` and the scratch, which the caller keeps for its chunk.
        unsafe {
            let mut here = self.ptr.get().wrapping_add(range.start * width);
            let slot = slot.cast::<u8>();
            let mut form = &self.form;
            if let Form::Gathered(layout) = form
                && layout.inner().1 == 1
                && let Some(offset) = layout.run(range.start, len)
            {
                here = self.ptr.get().wrapping_offset(offset * width as isize);
                form = if self.seen == self.dtype { &Form::Direct } else { &Form::Widened };
            }
            match form {
                Form::Direct => return Tile::from_raw(here, len, self.dtype),
                Form::Splat(tile) => return Tile::from_raw(tile.as_ptr().cast(), len, self.seen),
                Form::Aliased => std::ptr::copy_nonoverlapping(here, slot, len * width),
                Form::Widened => widen(Tile::from_raw(here, len, self.dtype), TileMut::from_raw(slot, len, DType::F32)),
                Form::Gathered(layout) if self.seen == self.dtype => {
                    gather(self.ptr.get(), self.dtype, layout, range.start, len, slot)
                }
                Form::Gathered(layout) => {
                    let spare = spare.cast::<u8>();
                    gather(self.ptr.get(), self.dtype, layout, range.start, len, spare);
                    widen(Tile::from_raw(spare, len, self.dtype), TileMut::from_raw(slot, len, DType::F32));
                }
            }
            Tile::from_raw(slot, len, self.seen)
        }
    }
}

/// What every chunk of a map needs.
struct Job {
    kernel: TileFn,
    half: Option<DType>,
    readers: SmallVec<[Reader; 3]>,
    out: DType,
    target: Shared<u8>,
    /// u64 per scratch slot: room for one tile of any dtype.
    slot: usize,
    /// Tiles end at multiples of it.
    row: usize,
}

impl Job {
    fn run(&self, range: Range<usize>) {
        let narrows = self.half == Some(self.out);
        let slots: usize = self.readers.iter().map(Reader::slots).sum::<usize>() + usize::from(narrows);
        let mut scratch = vec![0u64; slots * self.slot];
        let base = scratch.as_mut_ptr();
        let mut tiles: SmallVec<[Tile; 3]> = SmallVec::new();
        let mut start = range.start;
        while start < range.end {
            let len = TILE.min(range.end - start).min(self.row - start % self.row);
            let mut used = usize::from(narrows);
            for reader in &self.readers {
                let slot = base.wrapping_add(used * self.slot);
                tiles.push(reader.fetch(start..start + len, slot, slot.wrapping_add(self.slot)));
                used += reader.slots();
            }
            // SAFETY: chunks and tiles are disjoint parts of the output; an input that shares its memory was copied to
            // scratch; the first slot is free for the wide result if there is one.
            unsafe {
                let here = self.target.get().add(start * self.out.size());
                let out = TileMut::from_raw(here, len, self.out);
                if narrows {
                    (self.kernel)(&tiles, TileMut::from_raw(base.cast(), len, DType::F32));
                    narrow(Tile::from_raw(base.cast(), len, DType::F32), out);
                } else {
                    (self.kernel)(&tiles, out);
                }
            }
            tiles.clear();
            start += len;
        }
    }
}

/// The loop of a kernel of one operand, compiled for each instruction set with `f` inlined into it.
///
/// Pass an `#[inline(always)]` function (or a short closure): only what is inlined is vectorised.
///
/// # Panics
/// If a tile has another dtype.
#[inline]
pub fn map1<T: Element, O: Element>(ins: &[Tile], out: TileMut, f: impl Fn(T) -> O + Copy) {
    dispatch(Map1(ins[0].of::<T>(), out.of::<O>(), f));
}

/// [`map1`] for two operands.
#[inline]
pub fn map2<T: Element, U: Element, O: Element>(ins: &[Tile], out: TileMut, f: impl Fn(T, U) -> O + Copy) {
    dispatch(Map2(ins[0].of::<T>(), ins[1].of::<U>(), out.of::<O>(), f));
}

/// [`map1`] for three operands.
#[inline]
pub fn map3<T: Element, U: Element, V: Element, O: Element>(
    ins: &[Tile],
    out: TileMut,
    f: impl Fn(T, U, V) -> O + Copy,
) {
    dispatch(Map3(ins[0].of::<T>(), ins[1].of::<U>(), ins[2].of::<V>(), out.of::<O>(), f));
}

// The loops count: an iterator's `fold` may stay a function of its own, without the instruction set of its caller.

struct Map1<'a, T, O, F>(&'a [T], &'a mut [O], F);

impl<T: Copy, O, F: Fn(T) -> O> Work for Map1<'_, T, O, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (out, n) = (self.1, self.0.len());
        for i in 0..assert_len(out, n) {
            out[i] = (self.2)(self.0[i]);
        }
    }
}

struct Map2<'a, T, U, O, F>(&'a [T], &'a [U], &'a mut [O], F);

impl<T: Copy, U: Copy, O, F: Fn(T, U) -> O> Work for Map2<'_, T, U, O, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (x, out) = (self.0, self.2);
        let y = &self.1[..x.len()];
        for i in 0..assert_len(out, x.len()) {
            out[i] = (self.3)(x[i], y[i]);
        }
    }
}

struct Map3<'a, T, U, V, O, F>(&'a [T], &'a [U], &'a [V], &'a mut [O], F);

impl<T: Copy, U: Copy, V: Copy, O, F: Fn(T, U, V) -> O> Work for Map3<'_, T, U, V, O, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (x, out) = (self.0, self.3);
        let (y, z) = (&self.1[..x.len()], &self.2[..x.len()]);
        for i in 0..assert_len(out, x.len()) {
            out[i] = (self.4)(x[i], y[i], z[i]);
        }
    }
}

/// The length of `out`, which is `n`: the compiler then drops the checks of both.
#[inline(always)]
fn assert_len<O>(out: &[O], n: usize) -> usize {
    assert!(out.len() == n, "tiles of different lengths");
    n
}
