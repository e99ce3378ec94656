//! Plumbing of the movement kernels: reading any layout in row-major order, writing disjoint pieces in parallel.
//!
//! Kernels built on it need almost no `unsafe` of their own: a [`Source`] is a bounds-checked window on a buffer, and
//! the parallel helpers hand each task a piece of the output that no other task sees.

use std::marker::PhantomData;
use std::ops::Range;

use smallvec::SmallVec;

use super::runs::copy_run;
use crate::shape::Strides;
use crate::{Array, DType, Element, Shape, threads};

/// Elements per parallel task: large enough to hide the cost of a task, small enough to stay in cache.
pub(super) const CHUNK: usize = 1 << 15;

/// Runs of up to this many elements are copied one by one: cheaper than a call of memcpy.
const SHORT: usize = 16;

/// Runs `$body` with `$U` bound to the unsigned integer (of 16 bytes: c128) as wide as an element of `$dtype`.
macro_rules! with_bits {
    ($dtype:expr, $U:ident => $body:expr) => {
        match $dtype.size() {
            1 => {
                type $U = u8;
                $body
            }
            2 => {
                type $U = u16;
                $body
            }
            4 => {
                type $U = u32;
                $body
            }
            8 => {
                type $U = u64;
                $body
            }
            _ => {
                type $U = $crate::c128;
                $body
            }
        }
    };
}
pub(super) use with_bits;

/// True if elements of `dtype` may be read as `T`: the same dtype, or plain bits of the same width.
fn readable<T: Element>(dtype: DType) -> bool {
    T::DTYPE == dtype || (T::DTYPE.is_unsigned() && T::DTYPE.size() == dtype.size())
}

/// The part of a buffer that an array touches, addressed by offsets from the array's first element.
pub(super) struct Source<'a, T> {
    data: &'a [T],
    origin: isize,
}

impl<'a, T: Element> Source<'a, T> {
    pub(super) fn of(x: &'a Array) -> Self {
        assert!(readable::<T>(x.dtype()), "{} elements are not readable as {}", x.dtype(), T::DTYPE);
        if x.size() == 0 {
            return Source { data: &[], origin: 0 };
        }
        let reach = |sign: isize| -> isize {
            x.shape().iter().zip(x.strides()).map(|(&d, &s)| (d as isize - 1) * s).filter(|r| r * sign > 0).sum()
        };
        let (lo, hi) = (reach(-1), reach(1));
        // SAFETY: an array's elements, hence all between the lowest and the highest, lie in its buffer, which holds
        // values of its dtype throughout; `readable` says they are values of T; the borrow keeps the buffer alive.
        let data = unsafe { std::slice::from_raw_parts(x.ptr::<T>().offset(lo), (hi - lo) as usize + 1) };
        Source { data, origin: -lo }
    }

    #[inline(always)]
    pub(super) fn at(&self, offset: isize) -> T {
        self.data[(self.origin + offset) as usize]
    }

    #[inline(always)]
    pub(super) fn run(&self, offset: isize, len: usize) -> &'a [T] {
        let start = (self.origin + offset) as usize;
        &self.data[start..start + len]
    }

    /// Fills `out` with elements that lie `stride` apart.
    #[inline(always)]
    pub(super) fn read(&self, offset: isize, stride: isize, out: &mut [T]) {
        let Some(last) = out.len().checked_sub(1) else { return };
        let first = self.origin + offset;
        let last = first + last as isize * stride;
        assert!(first.min(last) >= 0 && (first.max(last) as usize) < self.data.len());
        // SAFETY: both ends lie in the slice, hence all between them; nobody else sees `out`.
        unsafe { copy_run(self.data.as_ptr().offset(first), stride, out.as_mut_ptr(), out.len()) };
    }

    /// Where an element lies, or would lie if it existed.
    #[inline(always)]
    pub(super) fn place(&self, offset: isize) -> *const T {
        self.data.as_ptr().wrapping_offset(self.origin + offset)
    }
}

/// Axes visited in row-major order; axes of size 1 are left out and neighbours merged where one stride covers both.
#[derive(Clone)]
pub(super) struct Walk {
    sizes: SmallVec<[usize; 6]>,
    strides: Strides,
}

impl Walk {
    pub(super) fn new(sizes: &[usize], strides: &[isize]) -> Walk {
        let mut walk = Walk { sizes: SmallVec::new(), strides: Strides::new() };
        for (&d, &s) in sizes.iter().zip(strides) {
            match walk.strides.last_mut() {
                _ if d == 1 => {}
                Some(outer) if *outer == s * d as isize => {
                    *outer = s;
                    *walk.sizes.last_mut().expect("as many sizes as strides") *= d;
                }
                _ => {
                    walk.sizes.push(d);
                    walk.strides.push(s);
                }
            }
        }
        walk
    }

    /// Offset of the element at a row-major index.
    pub(super) fn at(&self, mut index: usize) -> isize {
        let mut offset = 0;
        for (&d, &s) in self.sizes.iter().zip(&self.strides).rev() {
            offset += (index % d) as isize * s;
            index /= d;
        }
        offset
    }

    /// The one stride that covers the walk, if there is one (0 for a single element).
    pub(super) fn uniform(&self) -> Option<isize> {
        match self.strides.len() {
            0 => Some(0),
            1 => Some(self.strides[0]),
            _ => None,
        }
    }

    /// Size and stride of the innermost run (1 element of stride 1 for a single element).
    pub(super) fn inner(&self) -> (usize, isize) {
        match self.sizes.last() {
            Some(&d) => (d, self.strides[self.strides.len() - 1]),
            None => (1, 1),
        }
    }
}

/// Reads elements one after another in the order of a [`Walk`].
pub(super) struct Reader<'a, T> {
    source: &'a Source<'a, T>,
    walk: &'a Walk,
    index: SmallVec<[usize; 6]>,
    offset: isize,
}

impl<'a, T: Element> Reader<'a, T> {
    /// Reads from the row-major index `start` of the region whose first element is at the offset `base`.
    pub(super) fn new(source: &'a Source<'a, T>, walk: &'a Walk, base: isize, start: usize) -> Self {
        let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, walk.sizes.len());
        let (mut rest, mut offset) = (start, base);
        for axis in (0..index.len()).rev() {
            index[axis] = rest % walk.sizes[axis];
            rest /= walk.sizes[axis];
            offset += index[axis] as isize * walk.strides[axis];
        }
        Reader { source, walk, index, offset }
    }

    /// Fills `out` with the next elements.
    pub(super) fn read(&mut self, mut out: &mut [T]) {
        let Some(last) = self.index.len().checked_sub(1) else {
            if !out.is_empty() {
                out.fill(self.source.at(self.offset));
            }
            return;
        };
        let (size, stride) = (self.walk.sizes[last], self.walk.strides[last]);
        while !out.is_empty() {
            let n = out.len().min(size - self.index[last]);
            let (now, later) = out.split_at_mut(n);
            self.source.read(self.offset, stride, now);
            out = later;
            self.advance(last, n);
        }
    }

    /// Fills `count` pieces of `len` elements each, which begin `pitch` apart in `out`, with the next elements.
    pub(super) fn read_pieces(&mut self, out: &mut [T], len: usize, pitch: usize, count: usize) {
        let Some(stride) = self.walk.uniform().filter(|_| len <= SHORT) else {
            return out.chunks_mut(pitch).take(count).for_each(|piece| self.read(&mut piece[..len]));
        };
        for (r, piece) in out.chunks_mut(pitch).take(count).enumerate() {
            let at = self.offset + (r * len) as isize * stride;
            piece[..len].iter_mut().enumerate().for_each(|(i, o)| *o = self.source.at(at + i as isize * stride));
        }
        if let Some(last) = self.index.len().checked_sub(1) {
            self.advance(last, len * count);
        }
    }

    #[inline]
    fn advance(&mut self, last: usize, n: usize) {
        self.index[last] += n;
        self.offset += n as isize * self.walk.strides[last];
        let mut axis = last;
        while self.index[axis] == self.walk.sizes[axis] {
            self.index[axis] = 0;
            self.offset -= self.walk.sizes[axis] as isize * self.walk.strides[axis];
            if axis == 0 {
                return;
            }
            axis -= 1;
            self.index[axis] += 1;
            self.offset += self.walk.strides[axis];
        }
    }
}

/// The same elements in a layout that row-major readers like: copied if runs in memory are short and the array large.
pub(super) fn readable_rows(x: &Array) -> Array {
    let (run, stride) = Walk::new(x.shape(), x.strides()).inner();
    let pleasant = (stride == 1 || stride == 0) && run >= 8;
    if pleasant || x.size() <= 4096 { x.clone() } else { x.contiguous() }
}

/// A fresh array of `dtype` whose elements `fill` writes as values of `T`.
///
/// # Safety
/// What `fill` writes must be valid bits of `dtype` (for bool: 0 and 1 only).
pub(super) unsafe fn build_bits<T: Element>(shape: Shape, dtype: DType, fill: impl FnOnce(&mut [T])) -> Array {
    assert!(readable::<T>(dtype), "{dtype} elements are not {}", T::DTYPE);
    let array = Array::uninit(shape, dtype);
    // SAFETY: the array is fresh, so nobody else sees its buffer; it holds `size` elements as wide as T, initialised.
    fill(unsafe { std::slice::from_raw_parts_mut(array.ptr::<T>().cast_mut(), array.size()) });
    array
}

/// A raw pointer that tasks share; every use must keep to disjoint elements.
struct Shared<T>(*mut T);
// SAFETY: it is only dereferenced below, at elements that belong to one task alone.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn get(&self) -> *mut T {
        self.0
    }
}

/// Cuts `out` in pieces of `chunk` elements and runs `body(start, piece)` on each, in parallel if `cost` is worth it.
pub(super) fn par_chunks<T: Send>(
    out: &mut [T],
    chunk: usize,
    cost: usize,
    body: impl Fn(usize, &mut [T]) + Send + Sync,
) {
    let (len, chunk) = (out.len(), chunk.max(1));
    let shared = Shared(out.as_mut_ptr());
    threads::for_each(len.div_ceil(chunk), cost, |i| {
        let start = i * chunk;
        // SAFETY: pieces with different `i` do not overlap, each `i` runs once, and all end within `out`.
        let piece = unsafe { std::slice::from_raw_parts_mut(shared.get().add(start), chunk.min(len - start)) };
        body(start, piece);
    });
}

/// A range of columns of one `[rows, columns]` matrix, owned by one task.
pub(super) struct Columns<'a, T> {
    first: *mut T,
    rows: usize,
    pitch: usize,
    width: usize,
    owner: PhantomData<&'a mut [T]>,
}

impl<T> Columns<'_, T> {
    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The elements of all rows, if the matrix has no other columns than one.
    #[inline(always)]
    pub(super) fn only_column(&mut self) -> Option<&mut [T]> {
        // SAFETY: rows of one element lie side by side, and all belong to this task, borrowed through `&mut self`.
        (self.pitch == 1).then(|| unsafe { std::slice::from_raw_parts_mut(self.first, self.rows) })
    }

    /// Where a row begins, or would begin if it existed.
    #[inline(always)]
    pub(super) fn place(&self, row: usize) -> *const T {
        self.first.wrapping_add(row * self.pitch)
    }

    #[inline(always)]
    pub(super) fn row(&mut self, row: usize) -> &mut [T] {
        assert!(row < self.rows);
        // SAFETY: the row exists, and these columns of it belong to this task alone, borrowed through `&mut self`.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(row * self.pitch), self.width) }
    }
}

/// Sees `out` as `[outer, rows, columns]` and runs `body(outer index, column range, columns)` on blocks of `width`
/// columns.
pub(super) fn par_columns<T: Send>(
    out: &mut [T],
    [outer, rows, columns]: [usize; 3],
    width: usize,
    cost: usize,
    body: impl Fn(usize, Range<usize>, Columns<T>) + Send + Sync,
) {
    assert_eq!(out.len(), outer * rows * columns);
    if out.is_empty() {
        return;
    }
    let (width, shared) = (width.clamp(1, columns), Shared(out.as_mut_ptr()));
    let blocks = columns.div_ceil(width);
    threads::for_each(outer * blocks, cost, |i| {
        let (o, start) = (i / blocks, i % blocks * width);
        let end = (start + width).min(columns);
        // SAFETY: the offset lies within `out`, whose length was checked against the three sizes.
        let first = unsafe { shared.get().add(o * rows * columns + start) };
        body(o, start..end, Columns { first, rows, pitch: columns, width: end - start, owner: PhantomData });
    });
}

/// The sizes before, at and after `axis`.
pub(super) fn around(shape: &[usize], axis: usize) -> [usize; 3] {
    [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()]
}

/// Numbers as sums, products and extremes see them; bool adds by `or` and multiplies by `and`.
pub(super) trait Fold: Element {
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// NaN wins.
    fn larger(self, other: Self) -> Self;
    /// NaN wins.
    fn smaller(self, other: Self) -> Self;
}

macro_rules! fold_ints {
    ($($t:ty),*) => {$(
        impl Fold for $t {
            #[inline(always)]
            fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
            #[inline(always)]
            fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
            #[inline(always)]
            fn larger(self, other: Self) -> Self { Ord::max(self, other) }
            #[inline(always)]
            fn smaller(self, other: Self) -> Self { Ord::min(self, other) }
        }
    )*};
}
fold_ints!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! fold_floats {
    ($($t:ty),*) => {$(
        impl Fold for $t {
            #[inline(always)]
            fn plus(self, other: Self) -> Self { self + other }
            #[inline(always)]
            fn times(self, other: Self) -> Self { self * other }
            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                let m = if self > other { self } else { other };
                if self.is_nan() { self } else { m }
            }
            #[inline(always)]
            fn smaller(self, other: Self) -> Self {
                let m = if self < other { self } else { other };
                if self.is_nan() { self } else { m }
            }
        }
    )*};
}
fold_floats!(f32, f64);

impl Fold for bool {
    fn plus(self, other: Self) -> Self {
        self | other
    }
    fn times(self, other: Self) -> Self {
        self & other
    }
    fn larger(self, other: Self) -> Self {
        self | other
    }
    fn smaller(self, other: Self) -> Self {
        self & other
    }
}

/// Runs `$body` with `$T` bound to the type of `$dtype`, halves excepted: callers widen those to f32 first.
macro_rules! with_fold {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F16 | $crate::DType::BF16 => {
                unreachable!("halves are widened to f32 before they are summed")
            }
            $crate::DType::C64 | $crate::DType::C128 => {
                unreachable!("complex numbers are summed part by part")
            }
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::U16 => {
                type $T = u16;
                $body
            }
            $crate::DType::U32 => {
                type $T = u32;
                $body
            }
            $crate::DType::U64 => {
                type $T = u64;
                $body
            }
            $crate::DType::I8 => {
                type $T = i8;
                $body
            }
            $crate::DType::I16 => {
                type $T = i16;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
        }
    };
}
pub(super) use with_fold;
