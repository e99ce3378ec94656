//! [`Array`]: a dtype, a shape, strides and a shared buffer.
//!
//! An array is an immutable view. Kernels make new arrays; views (reshape where possible, permute, slice, broadcast …)
//! share the buffer. Writing happens only inside kernels, and only into buffers nobody else can see.

use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::buffer::Storage;
use crate::mapping::Mapping;
use crate::outline::Ledger;
use crate::shape::Strides;
use crate::{DType, Element, Shape, c128, kernels};

/// Bytes up to which one value is repeated in memory.
const FILLED: usize = 256;

/// A strided view of a shared, reference-counted buffer.
#[derive(Clone)]
pub struct Array {
    storage: Storage,
    dtype: DType,
    shape: Shape,
    strides: Strides,
    /// Of the first element, in elements from the start of the buffer.
    offset: usize,
}

impl Array {
    /// An array of `values` in row-major order.
    ///
    /// # Panics
    /// If the number of values is not the size of the shape.
    pub fn from_slice<T: Element>(values: &[T], shape: impl Into<Shape>) -> Array {
        let shape = shape.into();
        assert_eq!(values.len(), shape.size(), "{} values do not fill the shape {shape}", values.len());
        Array::build::<T>(shape, |out| out.copy_from_slice(values))
    }

    /// An array of no axes.
    pub fn scalar<T: Element>(value: T) -> Array {
        Array::from_slice(&[value], Shape::scalar())
    }

    /// An array of one value in `dtype`, cast from f64; as [`splat`](Self::splat).
    pub fn full(shape: impl Into<Shape>, value: f64, dtype: DType) -> Array {
        crate::with_dtype!(dtype, T => Array::splat(T::from_f64(value), shape.into()))
    }

    /// An array of one value: a single element in memory, whatever the shape, unless all fit into a few cache lines, where
    /// kernels read them as they lie.
    pub fn splat<T: Element>(value: T, shape: Shape) -> Array {
        if shape.size().saturating_mul(size_of::<T>()) <= FILLED {
            return Array::build::<T>(shape, |out| out.fill(value));
        }
        let strides = Strides::from_elem(0, shape.len());
        Array { shape, strides, ..Array::scalar(value) }
    }

    /// A fresh contiguous array, filled by `fill`, which must write every element.
    pub fn build<T: Element>(shape: Shape, fill: impl FnOnce(&mut [T])) -> Array {
        let array = Array::uninit(shape, T::DTYPE);
        // SAFETY: the buffer is fresh, unshared and as long as the shape says; its content is valid for every T.
        fill(unsafe { std::slice::from_raw_parts_mut(array.ptr::<T>().cast_mut(), array.size()) });
        array
    }

    /// A fresh contiguous array with unspecified (but valid) content, to be written by a kernel.
    pub(crate) fn uninit(shape: Shape, dtype: DType) -> Array {
        let bytes = shape.size().saturating_mul(dtype.size());
        let strides = shape.contiguous_strides();
        let array = Array { storage: Storage::uninit(bytes), dtype, shape, strides, offset: 0 };
        if dtype == DType::Bool {
            // A recycled block may hold bytes that are not valid bools.
            // SAFETY: the buffer is fresh, unshared and `bytes` long.
            unsafe { array.storage.as_ptr().write_bytes(0, bytes) };
        }
        array
    }

    /// A contiguous array that has all but elements, counted in `ledger` as if it had them.
    ///
    /// Views of it are outlines too, and a reshape that has to copy makes a new one. Reading an element panics.
    pub fn outline(shape: Shape, dtype: DType, ledger: &Arc<Ledger>) -> Array {
        let bytes = shape.size().saturating_mul(dtype.size());
        let strides = shape.contiguous_strides();
        Array { storage: Storage::outline(bytes, ledger), dtype, shape, strides, offset: 0 }
    }

    /// A view of memory that others own: nothing is copied, and nothing is ever written there.
    ///
    /// Strides are in elements and may be negative or 0; `first` points at the element of index 0. Memory that is not
    /// aligned for its elements, and bool, whose bytes might be other than 0 and 1, are refused: copy those.
    /// # Safety
    /// Every element of the view must be readable, and stay so for as long as `owner` lives. Nobody should write there
    /// meanwhile: what was not yet computed would see it.
    pub unsafe fn foreign(
        first: *const u8,
        shape: Shape,
        strides: &[isize],
        dtype: DType,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Option<Array> {
        let first = NonNull::new(first.cast_mut())?;
        if dtype == DType::Bool || !(first.as_ptr() as usize).is_multiple_of(dtype.part().size()) {
            return None;
        }
        let strides = Strides::from_slice(strides);
        Some(Array { storage: Storage::foreign(first, owner), dtype, shape, strides, offset: 0 })
    }

    /// The address of the element of index 0, for handing the memory on without a copy; it lives as long as this array.
    pub fn first_element(&self) -> *const u8 {
        self.ptr::<u8>()
    }

    /// A number that tells buffers alive at the same time apart; the same for views of one.
    pub fn address(&self) -> usize {
        self.storage.address()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number of axes.
    pub fn ndim(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements.
    pub fn size(&self) -> usize {
        self.shape.size()
    }

    /// The number of elements without those that a stride of 0 repeats.
    pub fn distinct(&self) -> usize {
        self.shape.iter().zip(&self.strides).filter(|(_, stride)| **stride != 0).map(|(d, _)| d).product()
    }

    /// Steps along the axes, in elements.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// True if the elements lie in row-major order without gaps.
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1isize;
        for (&d, &s) in self.shape.iter().zip(&self.strides).rev() {
            if d != 1 && s != step {
                return self.size() == 0;
            }
            step *= d as isize;
        }
        true
    }

    /// True if this handle is the only owner of the buffer: a kernel may write into it.
    pub fn is_unique(&mut self) -> bool {
        self.storage.is_unique()
    }

    /// True if this array is the sole owner of a contiguous buffer, so that its elements may be overwritten.
    pub fn is_reusable(&mut self) -> bool {
        self.is_contiguous() && self.is_unique()
    }

    /// The same elements in row-major order; a copy only if they are not so already.
    pub fn contiguous(&self) -> Array {
        if self.is_contiguous() { self.clone() } else { kernels::copy(self) }
    }

    /// The elements as a slice, if the array is contiguous and of type `T`.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        if T::DTYPE != self.dtype || !self.is_contiguous() {
            return None;
        }
        // SAFETY: dtype and contiguity were checked; the view lies within the buffer; elements are valid values of T.
        Some(unsafe { std::slice::from_raw_parts(self.ptr::<T>(), self.size()) })
    }

    /// The elements as a mutable slice, if the array is contiguous, of type `T` and the only owner of its buffer.
    pub fn as_mut_slice<T: Element>(&mut self) -> Option<&mut [T]> {
        if T::DTYPE != self.dtype || !self.is_reusable() {
            return None;
        }
        // SAFETY: as for `as_slice`, and `is_reusable` proved that no other handle sees the buffer.
        Some(unsafe { std::slice::from_raw_parts_mut(self.ptr::<T>().cast_mut(), self.size()) })
    }

    /// The elements in row-major order.
    ///
    /// # Panics
    /// If `T` is not the array's element type.
    pub fn to_vec<T: Element>(&self) -> Vec<T> {
        assert_eq!(T::DTYPE, self.dtype, "to_vec of another dtype: cast first");
        self.contiguous().as_slice::<T>().expect("contiguous").to_vec()
    }

    /// The real and imaginary parts of a complex array as a view: `[..] -> [.., 2]` of floats. Other arrays as they are.
    pub fn parts(&self) -> Array {
        if !self.dtype.is_complex() {
            return self.clone();
        }
        let mut strides: Strides = self.strides.iter().map(|s| 2 * s).collect();
        strides.push(1);
        let shape = self.shape.with_inserted(self.ndim(), 2);
        Array { storage: self.storage.clone(), dtype: self.dtype.part(), shape, strides, offset: 2 * self.offset }
    }

    /// Floats whose last axis holds real and imaginary parts as a complex array: `[.., 2] -> [..]`; a view where the parts
    /// lie side by side.
    ///
    /// # Panics
    /// If the dtype is neither f32 nor f64, or the last axis has not two elements.
    pub fn of_parts(&self) -> Array {
        assert!(matches!(self.dtype, DType::F32 | DType::F64), "the parts of complex numbers are f32 or f64");
        assert_eq!(self.shape.last(), Some(&2), "the last axis of {} holds no parts", self.shape);
        let lead = self.ndim() - 1;
        let paired = self.strides[lead] == 1 && self.strides[..lead].iter().all(|s| s % 2 == 0);
        if !paired || !self.offset.is_multiple_of(2) {
            return kernels::copy(self).of_parts();
        }
        Array {
            storage: self.storage.clone(),
            dtype: self.dtype.to_complex(),
            shape: self.shape[..lead].iter().copied().collect(),
            strides: self.strides[..lead].iter().map(|s| s / 2).collect(),
            offset: self.offset / 2,
        }
    }

    /// The elements in row-major order, each converted to c128.
    pub fn to_c128_vec(&self) -> Vec<c128> {
        match self.dtype {
            DType::C64 | DType::C128 => kernels::cast(self, DType::C128).to_vec(),
            _ => self.to_f64_vec().into_iter().map(|x| c128::new(x, 0.0)).collect(),
        }
    }

    /// The elements in row-major order, each converted to f64; of complex numbers the real part ([`parts`](Self::parts)
    /// gives both).
    pub fn to_f64_vec(&self) -> Vec<f64> {
        crate::with_dtype!(self.dtype, T => self.to_vec::<T>().into_iter().map(T::to_f64).collect())
    }

    /// The elements in row-major order, each converted to i64.
    pub fn to_i64_vec(&self) -> Vec<i64> {
        crate::with_dtype!(self.dtype, T => self.to_vec::<T>().into_iter().map(T::to_i64).collect())
    }

    /// The bytes of the elements in row-major order (little-endian on the platforms we support).
    pub fn to_bytes(&self) -> Vec<u8> {
        let a = self.contiguous();
        // SAFETY: a contiguous view covers size * element bytes within the buffer, and bytes have no invalid values.
        unsafe { std::slice::from_raw_parts(a.ptr::<u8>().cast::<u8>(), a.size() * a.dtype.size()) }.to_vec()
    }

    /// An array from the bytes [`to_bytes`](Self::to_bytes) gives; any non-zero byte of a bool counts as true.
    ///
    /// # Panics
    /// If the number of bytes is not that of the shape and dtype.
    pub fn from_bytes(bytes: &[u8], shape: impl Into<Shape>, dtype: DType) -> Array {
        let shape = shape.into();
        assert_eq!(bytes.len(), shape.size() * dtype.size(), "{} bytes do not fill {dtype}{shape}", bytes.len());
        if dtype == DType::Bool {
            return Array::build::<bool>(shape, |out| out.iter_mut().zip(bytes).for_each(|(o, &b)| *o = b != 0));
        }
        let array = Array::uninit(shape, dtype);
        // SAFETY: the buffer is fresh and as long as `bytes`; every bit pattern is valid for non-bool dtypes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), array.storage.as_ptr(), bytes.len()) };
        array
    }

    /// An array of the bytes of a mapped file that begin at `offset`, as [`from_bytes`](Self::from_bytes) reads them.
    ///
    /// Without a copy, and with no more memory than what is looked at, if the bytes lie where elements may lie and are no
    /// bools (whose bytes may be no bools); else they are copied at once. Kernels never write into the file.
    ///
    /// # Panics
    /// If the file has fewer bytes from there on than the shape and dtype take.
    pub fn mapped(map: &Arc<Mapping>, offset: usize, shape: impl Into<Shape>, dtype: DType) -> Array {
        let shape = shape.into();
        let bytes = &map.bytes()[offset..offset + shape.size() * dtype.size()];
        let aligned = (bytes.as_ptr() as usize).is_multiple_of(dtype.part().size());
        if !aligned || dtype == DType::Bool || bytes.is_empty() {
            return Array::from_bytes(bytes, shape, dtype);
        }
        let strides = shape.contiguous_strides();
        Array { storage: Storage::mapped(map, offset), dtype, shape, strides, offset: 0 }
    }

    /// Pointer to the first element, whatever `T` (kernels check the dtype).
    pub(crate) fn ptr<T>(&self) -> *const T {
        // SAFETY: the offset of a view lies within its buffer (or at its end, for empty views).
        unsafe { self.storage.as_ptr().add(self.offset * self.dtype.size()).cast() }
    }

    fn view(&self, shape: Shape, strides: Strides, offset: isize) -> Array {
        let offset = self.offset.wrapping_add_signed(offset);
        Array { storage: self.storage.clone(), dtype: self.dtype, shape, strides, offset }
    }

    /// The axes in another order, without copying: axis `i` of the result is axis `axes[i]`.
    pub fn permute(&self, axes: &[usize]) -> Array {
        let shape = axes.iter().map(|&a| self.shape[a]).collect();
        self.view(shape, axes.iter().map(|&a| self.strides[a]).collect(), 0)
    }

    /// The last two axes swapped, without copying.
    pub fn t(&self) -> Array {
        let mut axes: SmallVec<[usize; 6]> = (0..self.ndim()).collect();
        let n = axes.len();
        axes.swap(n - 2, n - 1);
        self.permute(&axes)
    }

    /// Repeats axes of size 1 (and adds leading axes) up to `shape`, without copying: their stride is 0.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    pub fn broadcast_to(&self, shape: &Shape) -> Array {
        assert!(shape.len() >= self.ndim(), "cannot broadcast {} to {shape}", self.shape);
        let lead = shape.len() - self.ndim();
        let strides = (0..shape.len())
            .map(|i| match i.checked_sub(lead) {
                Some(j) if self.shape[j] == shape[i] => self.strides[j],
                Some(j) => {
                    assert_eq!(self.shape[j], 1, "cannot broadcast {} to {shape}", self.shape);
                    0
                }
                None => 0,
            })
            .collect();
        self.view(shape.clone(), strides, 0)
    }

    /// Elements `starts[i]`, `starts[i] + steps[i]`, … (`sizes[i]` of them) along each axis; steps may be negative.
    ///
    /// # Panics
    /// If an element lies outside.
    pub fn slice(&self, starts: &[usize], sizes: &[usize], steps: &[isize]) -> Array {
        let mut offset = 0isize;
        let mut strides = Strides::new();
        for axis in 0..self.ndim() {
            if sizes[axis] > 0 {
                let last = starts[axis] as isize + (sizes[axis] as isize - 1) * steps[axis];
                let inside = |i: isize| (0..self.shape[axis] as isize).contains(&i);
                assert!(inside(starts[axis] as isize) && inside(last), "slice outside axis {axis} of {}", self.shape);
                offset += starts[axis] as isize * self.strides[axis];
            }
            strides.push(self.strides[axis] * steps[axis]);
        }
        let shape: Shape = sizes.iter().copied().collect();
        let offset = if shape.size() == 0 { 0 } else { offset };
        self.view(shape, strides, offset)
    }

    /// Sliding windows over `axis`, without copying: the axis becomes the number of windows, and a new last axis of
    /// `size` runs inside a window with elements `dilation` apart; windows begin `step` apart.
    ///
    /// # Panics
    /// If no window fits.
    pub fn windows(&self, axis: usize, size: usize, step: usize, dilation: usize) -> Array {
        let span = (size - 1) * dilation + 1;
        assert!(size > 0 && step > 0 && span <= self.shape[axis], "windows of {span} do not fit in {}", self.shape);
        let mut shape = self.shape.with_axis(axis, (self.shape[axis] - span) / step + 1);
        shape.push(size);
        let mut strides = self.strides.clone();
        strides.push(self.strides[axis] * dilation as isize);
        strides[axis] *= step as isize;
        self.view(shape, strides, 0)
    }

    /// The same elements in row-major order under another shape; a view where the strides allow, else a copy.
    ///
    /// # Panics
    /// If the sizes differ.
    pub fn reshape(&self, shape: &Shape) -> Array {
        assert_eq!(self.size(), shape.size(), "cannot reshape {} to {shape}", self.shape);
        match reshape_strides(&self.shape, &self.strides, shape) {
            Some(strides) => self.view(shape.clone(), strides, 0),
            None => match self.storage.ledger() {
                Some(ledger) => Array::outline(shape.clone(), self.dtype, ledger),
                None => kernels::copy(self).reshape(shape),
            },
        }
    }
}

/// Strides under which `to` shows the same row-major sequence as (`from`, `strides`), or `None` if a copy is needed.
fn reshape_strides(from: &Shape, strides: &Strides, to: &Shape) -> Option<Strides> {
    if to.size() == 0 {
        return Some(to.contiguous_strides());
    }
    // Match groups of axes with equal products; inside a source group the axes must be mergeable.
    let src: SmallVec<[(usize, isize); 6]> =
        from.iter().copied().zip(strides.iter().copied()).filter(|&(d, _)| d != 1).collect();
    let mut out = Strides::from_elem(0, to.len());
    let (mut i, mut j) = (0, 0);
    while i < src.len() {
        let (first, mut have) = (i, src[i].0);
        let (start, mut want) = (j, 1);
        while j < to.len() && want < have {
            want *= to[j];
            j += 1;
        }
        while have != want {
            if have < want {
                i += 1;
                have *= src[i].0;
            } else {
                want *= to[j];
                j += 1;
            }
        }
        for k in first..i {
            if src[k].1 != src[k + 1].1 * src[k + 1].0 as isize {
                return None;
            }
        }
        let mut step = src[i].1;
        for k in (start..j).rev() {
            out[k] = step;
            step *= to[k] as isize;
        }
        i += 1;
    }
    Some(out)
}

impl std::fmt::Debug for Array {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)?;
        if self.size() <= 64 {
            match self.dtype.is_complex() {
                true => write!(f, " {:?}", self.to_c128_vec())?,
                false => write!(f, " {:?}", self.to_f64_vec())?,
            }
        }
        Ok(())
    }
}
