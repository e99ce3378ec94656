//! Gathering and scattering by indices, and the indices of what is true.

use std::sync::atomic::{AtomicBool, Ordering};

use super::strided::{
    CHUNK, Fold, Reader, Source, Walk, around, build_bits, par_chunks, par_columns, readable_rows, with_bits, with_fold,
};
use crate::isa::{Work, dispatch};
use crate::{Array, DType, Element, Shape, kernels, threads, with_dtype};

/// An index outside its axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("index {index} is out of range for axis {axis} of size {size}")]
pub struct IndexError {
    /// The first such index, as given.
    pub index: i64,
    /// The size of the axis.
    pub size: usize,
    /// The axis.
    pub axis: usize,
}

/// What a scattered update does to the element it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scatter {
    /// Replaces it; of several updates the last stays.
    Set,
    /// Adds to it, in the order of the updates; bool by `or`, halves summed in f32.
    Add,
    /// Keeps the larger; NaN wins.
    Max,
    /// Keeps the smaller; NaN wins.
    Min,
}

/// The indices as contiguous i64, all within `-size..size`.
fn checked(indices: &Array, size: usize, axis: usize) -> Result<Array, IndexError> {
    assert!(indices.dtype().is_int(), "indices must be integers, not {}", indices.dtype());
    let indices = indices.contiguous();
    let indices = if indices.dtype() == DType::I64 {
        indices
    } else {
        // Not `cast`: a u64 beyond i64 must stay out of range, not wrap to a negative index.
        with_dtype!(indices.dtype(), T => Array::build::<i64>(indices.shape().clone(), |out| {
            out.iter_mut().zip(indices.as_slice::<T>().expect("contiguous")).for_each(|(o, i)| *o = i.to_i64());
        }))
    };
    let all = slice(&indices);
    let fault = AtomicBool::new(false);
    threads::for_each(all.len().div_ceil(CHUNK), all.len(), |i| {
        let indices = &all[i * CHUNK..all.len().min((i + 1) * CHUNK)];
        if dispatch(AnyOutside { indices, size: size as i64 }) {
            fault.store(true, Ordering::Relaxed);
        }
    });
    if fault.into_inner() {
        let index = *all.iter().find(|&&i| is_outside(i, size as i64)).expect("one was seen");
        return Err(IndexError { index, size, axis });
    }
    Ok(indices)
}

#[inline(always)]
fn is_outside(index: i64, size: i64) -> bool {
    (index >= size) | (index < -size)
}

/// Looks for indices outside their axis.
struct AnyOutside<'a> {
    indices: &'a [i64],
    size: i64,
}

impl Work for AnyOutside<'_> {
    type Output = bool;
    #[inline(always)]
    fn run(self) -> bool {
        self.indices.iter().fold(false, |any, &i| any | is_outside(i, self.size))
    }
}

fn slice(indices: &Array) -> &[i64] {
    indices.as_slice::<i64>().expect("checked indices are contiguous i64")
}

#[inline(always)]
fn resolve(index: i64, size: usize) -> usize {
    (if index < 0 { index + size as i64 } else { index }) as usize
}

/// Slices of `x` along `axis`: `x[..axis] + indices.shape + x[axis + 1..]`.
///
/// Indices of any integer dtype; negative ones count from the end. Source: `numpy.take`.
///
/// # Errors
/// [`IndexError`] for an index out of range.
pub fn take(x: &Array, indices: &Array, axis: usize) -> Result<Array, IndexError> {
    let size = x.shape()[axis];
    let indices = &checked(indices, size, axis)?;
    let shape: Shape =
        x.shape()[..axis].iter().chain(indices.shape().iter()).chain(&x.shape()[axis + 1..]).copied().collect();
    Ok(with_bits!(x.dtype(), U => {
        // SAFETY: only elements of an array of the same dtype are written.
        unsafe { build_bits::<U>(shape, x.dtype(), |out| gather(x, slice(indices), axis, out)) }
    }))
}

fn gather<U: Element>(x: &Array, indices: &[i64], axis: usize, out: &mut [U]) {
    // Rows that are scattered over memory are better brought together first, if many of them are read.
    let x = &if out.len() >= x.size() { readable_rows(x) } else { x.clone() };
    let (shape, strides) = (x.shape(), x.strides());
    let [_, size, row] = around(shape, axis);
    let (source, step) = (Source::<U>::of(x), strides[axis]);
    let outer = Walk::new(&shape[..axis], &strides[..axis]);
    let inner = Walk::new(&shape[axis + 1..], &strides[axis + 1..]);
    let (count, cost) = (indices.len(), out.len());
    par_chunks(out, CHUNK, cost, |start, mut piece| {
        // A piece may begin between the indices, or inside a row.
        let mut at = start;
        while !piece.is_empty() {
            let (k, skip) = (at / row % count, at % row);
            let base = outer.at(at / (row * count));
            let len = (row * (count - k) - skip).min(piece.len());
            let (mut now, later) = piece.split_at_mut(len);
            (piece, at) = (later, at + len);
            if row == 1 {
                pick(&source, base, (size, step), &indices[k..], now);
                continue;
            }
            let mut skip = skip;
            for &index in &indices[k..] {
                if now.is_empty() {
                    break;
                }
                let (out, rest) = now.split_at_mut((row - skip).min(now.len()));
                let from = base + resolve(index, size) as isize * step;
                match inner.uniform() {
                    Some(1) => source.read(from + skip as isize, 1, out),
                    _ => Reader::new(&source, &inner, from, skip).read(out),
                }
                (now, skip) = (rest, 0);
            }
        }
    });
}

/// Elements of a line of `size` that lie `step` apart, at indices.
#[inline(always)]
fn pick<U: Element>(source: &Source<U>, base: isize, (size, step): (usize, isize), indices: &[i64], out: &mut [U]) {
    if step == 1 && !out.is_empty() {
        let line = source.run(base, size);
        return out.iter_mut().zip(indices).for_each(|(o, &index)| *o = line[resolve(index, size)]);
    }
    for (o, &index) in out.iter_mut().zip(indices) {
        *o = source.at(base + resolve(index, size) as isize * step);
    }
}

/// Elements of `x` at indices along `axis`: `x [.., n, ..], indices [.., k, ..] -> [.., k, ..]`, other axes equal.
///
/// Source: `numpy.take_along_axis`, `torch.gather`.
///
/// # Errors
/// [`IndexError`] for an index out of range.
///
/// # Panics
/// If the shapes differ elsewhere than at `axis`.
pub fn take_along(x: &Array, indices: &Array, axis: usize) -> Result<Array, IndexError> {
    assert_along(x, indices, axis);
    let indices = &checked(indices, x.shape()[axis], axis)?;
    Ok(with_bits!(x.dtype(), U => {
        // SAFETY: only elements of an array of the same dtype are written.
        unsafe { build_bits::<U>(indices.shape().clone(), x.dtype(), |out| gather_along(x, indices, axis, out)) }
    }))
}

fn assert_along(x: &Array, indices: &Array, axis: usize) {
    let same = x.ndim() == indices.ndim() && x.shape().with_axis(axis, 0) == indices.shape().with_axis(axis, 0);
    assert!(same, "shapes {} and {} must be equal except at axis {axis}", x.shape(), indices.shape());
}

fn gather_along<U: Element>(x: &Array, indices: &Array, axis: usize, out: &mut [U]) {
    let inner = Walk::new(&x.shape()[axis + 1..], &x.strides()[axis + 1..]);
    let Some(inner_step) = inner.uniform() else { return gather_along(&x.contiguous(), indices, axis, out) };
    let outer = Walk::new(&x.shape()[..axis], &x.strides()[..axis]);
    let (source, size, step) = (Source::<U>::of(x), x.shape()[axis], x.strides()[axis]);
    let [_, count, row] = around(indices.shape(), axis);
    let indices = slice(indices);
    let cost = out.len();
    par_chunks(out, CHUNK, cost, |start, mut piece| {
        // Pieces are cut where the outer index changes, and where a row ends.
        let mut at = start;
        while !piece.is_empty() {
            let skip = at % row;
            let len = if row == 1 { count - at % count } else { row - skip }.min(piece.len());
            let base = outer.at(at / (count * row)) + skip as isize * inner_step;
            let (out, rest) = piece.split_at_mut(len);
            let indices = &indices[at..at + len];
            if row == 1 {
                pick(&source, base, (size, step), indices, out);
            } else {
                for (i, (o, &index)) in out.iter_mut().zip(indices).enumerate() {
                    *o = source.at(base + i as isize * inner_step + resolve(index, size) as isize * step);
                }
            }
            (piece, at) = (rest, at + len);
        }
    });
}

/// Where a bool array is true: for each of its axes the indices along it (i64), in row-major order.
///
/// # Panics
/// If the array is not bool. Source: `numpy.nonzero`.
pub fn nonzero(mask: &Array) -> Vec<Array> {
    let (shape, mask) = (mask.shape(), mask.contiguous());
    let all = mask.as_slice::<bool>().expect("nonzero of a bool array");
    let piece = |i: usize| &all[i * CHUNK..all.len().min((i + 1) * CHUNK)];
    let mut counts = vec![0; all.len().div_ceil(CHUNK)];
    par_chunks(&mut counts, 1, all.len(), |i, count| count[0] = piece(i).iter().filter(|&&hit| hit).count());
    let mut found: Vec<Array> = vec![];
    found.resize_with(shape.len(), || Array::uninit(Shape::from(counts.iter().sum::<usize>()), DType::I64));
    // For each piece of the mask its part of each result.
    let mut parts: Vec<Vec<&mut [i64]>> = counts.iter().map(|_| vec![]).collect();
    for array in &mut found {
        let mut rest = array.as_mut_slice::<i64>().expect("fresh");
        for (parts, &count) in parts.iter_mut().zip(&counts) {
            parts.push(rest.split_off_mut(..count).expect("their sum is the size"));
        }
    }
    par_chunks(&mut parts, 1, all.len(), |i, parts| write_places(piece(i), i * CHUNK, shape, &mut parts[0]));
    found
}

/// Elements of a mask looked at together.
const BLOCK: usize = 256;

/// Writes the indices along each axis of what is true in a piece that begins at `start`.
fn write_places(mask: &[bool], start: usize, shape: &[usize], out: &mut [&mut [i64]]) {
    let (mut buffer, mut done) = ([0; BLOCK], 0);
    for (b, block) in mask.chunks(BLOCK).enumerate() {
        let mut first = start + b * BLOCK;
        let mut last = first + block.len() - 1;
        let mut count = 0;
        for (i, &hit) in block.iter().enumerate() {
            // Written in any case and counted if true: no branch depends on the data.
            buffer[count % BLOCK] = (first + i) as i64;
            count += usize::from(hit);
        }
        let places = &mut buffer[..count];
        for (axis, &size) in shape.iter().enumerate().rev() {
            let out = &mut out[axis][done..done + count];
            if axis == 0 {
                out.copy_from_slice(places);
                break;
            }
            let (row, end) = (first / size, last / size);
            if row == end {
                // A block within a row, as most are: nothing has to be divided.
                out.iter_mut().zip(&*places).for_each(|(o, p)| *o = p - (row * size) as i64);
                places.fill(row as i64);
            } else {
                for (o, p) in out.iter_mut().zip(&mut *places) {
                    let at = *p as usize;
                    (*o, *p) = ((at % size) as i64, (at / size) as i64);
                }
            }
            (first, last) = (row, end);
        }
        done += count;
    }
}

/// Writes slices into `base` along `axis`, the adjoint layout of [`take`]: `updates` has the shape `take` would give.
///
/// The buffer of `base` is reused if nobody else holds it. Source: `torch.index_add`, `torch.index_copy`.
///
/// # Errors
/// [`IndexError`] for an index out of range, before anything is written.
///
/// # Panics
/// If the shapes or dtypes do not fit.
pub fn scatter(base: Array, indices: &Array, updates: &Array, axis: usize, mode: Scatter) -> Result<Array, IndexError> {
    let shape = base.shape();
    let wanted: Shape = shape[..axis].iter().chain(indices.shape().iter()).chain(&shape[axis + 1..]).copied().collect();
    assert_eq!(*updates.shape(), wanted, "scatter: updates of the wrong shape");
    assert_eq!(updates.dtype(), base.dtype(), "scatter of different dtypes");
    let indices = checked(indices, shape[axis], axis)?;
    let target = Target { sizes: around(shape, axis), indices, whole_rows: true };
    Ok(write(base, updates, &target, mode))
}

/// Writes elements into `base` along `axis`, the adjoint layout of [`take_along`]: `updates` has the shape of
/// `indices`.
///
/// The buffer of `base` is reused if nobody else holds it. Source: `torch.scatter`, `torch.scatter_add`.
///
/// # Errors
/// [`IndexError`] for an index out of range, before anything is written.
///
/// # Panics
/// If the shapes or dtypes do not fit.
pub fn scatter_along(
    base: Array,
    indices: &Array,
    updates: &Array,
    axis: usize,
    mode: Scatter,
) -> Result<Array, IndexError> {
    assert_along(&base, indices, axis);
    assert_eq!(updates.shape(), indices.shape(), "scatter_along: updates of the wrong shape");
    assert_eq!(updates.dtype(), base.dtype(), "scatter of different dtypes");
    let indices = checked(indices, base.shape()[axis], axis)?;
    let target = Target { sizes: around(base.shape(), axis), indices, whole_rows: false };
    Ok(write(base, updates, &target, mode))
}

/// Where updates go: each index names a whole row of the `[outer, size, row]` base, or one element of it.
struct Target {
    sizes: [usize; 3],
    indices: Array,
    whole_rows: bool,
}

fn write(mut base: Array, updates: &Array, target: &Target, mode: Scatter) -> Array {
    let dtype = base.dtype();
    if mode != Scatter::Set && matches!(dtype, DType::F16 | DType::BF16) {
        let wide = |x: &Array| kernels::cast(x, DType::F32);
        return kernels::cast(&write(wide(&base), &wide(updates), target, mode), dtype);
    }
    if mode != Scatter::Set && dtype.is_complex() {
        // Each part by itself: one more axis, along which the indices repeat.
        let [outer, size, row] = target.sizes;
        let indices = match target.whole_rows {
            true => target.indices.clone(),
            false => {
                let with_parts = target.indices.shape().with_inserted(target.indices.ndim(), 2);
                let column = target.indices.reshape(&target.indices.shape().with_inserted(target.indices.ndim(), 1));
                column.broadcast_to(&with_parts).contiguous()
            }
        };
        let target = Target { sizes: [outer, size, 2 * row], indices, whole_rows: target.whole_rows };
        return write(base.contiguous().parts(), &updates.contiguous().parts(), &target, mode).of_parts();
    }
    if !base.is_reusable() {
        base = kernels::copy(&base);
    }
    let updates = updates.contiguous();
    match mode {
        Scatter::Set => with_dtype!(dtype, T => update::<T>(&mut base, &updates, target, |_, new| new)),
        Scatter::Add => with_fold!(dtype, T => update::<T>(&mut base, &updates, target, |old, new| old.plus(new))),
        Scatter::Max => with_fold!(dtype, T => update::<T>(&mut base, &updates, target, |old, new| old.larger(new))),
        Scatter::Min => with_fold!(dtype, T => update::<T>(&mut base, &updates, target, |old, new| old.smaller(new))),
    }
    base
}

/// Columns one task owns at most, and at least; splitting by columns keeps the order in which an element receives its updates.
const WIDTH: usize = 256;
const NARROW: usize = 64;
/// Tasks there should be.
const TASKS: usize = 8;

fn update<T: Element>(base: &mut Array, updates: &Array, target: &Target, f: impl Fn(T, T) -> T + Copy + Send + Sync) {
    let base = base.as_mut_slice::<T>().expect("made reusable");
    let updates = updates.as_slice::<T>().expect("made contiguous");
    let (indices, [outer, size, row]) = (slice(&target.indices), target.sizes);
    let count = updates.len() / (outer * row).max(1);
    let width = row.div_ceil(TASKS.div_ceil(outer.max(1))).next_multiple_of(NARROW / 4).clamp(NARROW, WIDTH);
    par_columns(base, target.sizes, width, updates.len(), |o, columns, mut base| {
        if let Some(line) = base.only_column() {
            let (from, to) = (o * count, (o + 1) * count);
            let indices = if target.whole_rows { indices } else { &indices[from..to] };
            for (&new, &index) in updates[from..to].iter().zip(indices) {
                let old = &mut line[resolve(index, size)];
                *old = f(*old, new);
            }
            return;
        }
        for k in 0..count {
            let at = (o * count + k) * row;
            let new = &updates[at + columns.start..at + columns.end];
            if target.whole_rows {
                dispatch(Update { old: base.row(resolve(indices[k], size)), new, f });
                continue;
            }
            let indices = &indices[at + columns.start..at + columns.end];
            for (i, (&new, &index)) in new.iter().zip(indices).enumerate() {
                let old = &mut base.row(resolve(index, size))[i];
                *old = f(*old, new);
            }
        }
    });
}

/// Updates elements side by side.
struct Update<'a, T, F> {
    old: &'a mut [T],
    new: &'a [T],
    f: F,
}

impl<T: Element, F: Fn(T, T) -> T> Work for Update<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (old, &new) in self.old.iter_mut().zip(self.new) {
            *old = (self.f)(*old, new);
        }
    }
}
