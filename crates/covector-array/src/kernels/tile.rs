//! Tiles: the short contiguous runs on which elementwise kernels work.
//!
//! A kernel is a plain function over untyped tiles, so one function pointer type serves every dtype, and kernels can be
//! chained over buffers that stay in the first-level cache.

use std::marker::PhantomData;

use crate::{DType, Element};

/// The largest number of elements in a tile.
pub const TILE: usize = 1024;

/// The one form of an elementwise kernel: reads tiles of equal length, writes every element of the output tile.
pub type TileFn = fn(&[Tile], TileMut);

/// The length and the dtype of a tile in one word: tiles are made and passed on by the thousand, and a word goes through
/// registers where several fields would be written to memory and read back.
#[derive(Clone, Copy)]
struct Kind(usize);

impl Kind {
    fn new(len: usize, dtype: DType) -> Kind {
        Kind(len << 8 | dtype as usize)
    }

    fn len(self) -> usize {
        self.0 >> 8
    }

    fn is(self, dtype: DType) -> bool {
        self.0 & 0xff == dtype as usize
    }

    fn dtype(self) -> DType {
        DType::ALL[self.0 & 0xff]
    }
}

/// A borrowed contiguous run of elements of one dtype.
#[derive(Clone, Copy)]
pub struct Tile<'a> {
    ptr: *const u8,
    kind: Kind,
    life: PhantomData<&'a [u8]>,
}

impl<'a> Tile<'a> {
    /// A tile of the elements of `slice`.
    pub fn new<T: Element>(slice: &'a [T]) -> Self {
        Tile { ptr: slice.as_ptr().cast(), kind: Kind::new(slice.len(), T::DTYPE), life: PhantomData }
    }

    /// A tile of `len` elements at `ptr`.
    ///
    /// # Safety
    /// `ptr` must be aligned and point to `len` valid elements of `dtype` that nobody writes during `'a`.
    pub(crate) unsafe fn from_raw(ptr: *const u8, len: usize, dtype: DType) -> Self {
        Tile { ptr, kind: Kind::new(len, dtype), life: PhantomData }
    }

    /// The elements.
    ///
    /// # Panics
    /// If `T` is not the tile's element type.
    #[inline]
    pub fn of<T: Element>(&self) -> &'a [T] {
        if !self.kind.is(T::DTYPE) {
            wrong_dtype(self.kind.dtype(), T::DTYPE)
        }
        // SAFETY: the dtype was checked; the constructors prove the rest.
        unsafe { std::slice::from_raw_parts(self.ptr.cast(), self.kind.len()) }
    }

    /// The number of elements.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.kind.len()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.kind.dtype()
    }

    /// The first element, whatever its type.
    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.ptr
    }
}

/// A mutably borrowed contiguous run of elements of one dtype.
pub struct TileMut<'a> {
    ptr: *mut u8,
    kind: Kind,
    life: PhantomData<&'a mut [u8]>,
}

impl<'a> TileMut<'a> {
    /// A tile of the elements of `slice`.
    pub fn new<T: Element>(slice: &'a mut [T]) -> Self {
        TileMut { ptr: slice.as_mut_ptr().cast(), kind: Kind::new(slice.len(), T::DTYPE), life: PhantomData }
    }

    /// A tile of `len` elements at `ptr`.
    ///
    /// # Safety
    /// `ptr` must be aligned and point to `len` valid elements of `dtype` that nobody else reads or writes during `'a`.
    pub(crate) unsafe fn from_raw(ptr: *mut u8, len: usize, dtype: DType) -> Self {
        TileMut { ptr, kind: Kind::new(len, dtype), life: PhantomData }
    }

    /// The elements.
    ///
    /// # Panics
    /// If `T` is not the tile's element type.
    #[inline]
    pub fn of<T: Element>(self) -> &'a mut [T] {
        if !self.kind.is(T::DTYPE) {
            wrong_dtype(self.kind.dtype(), T::DTYPE)
        }
        // SAFETY: the dtype was checked; the constructors prove the rest, and `self` is consumed.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.cast(), self.kind.len()) }
    }

    /// The same tile, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> TileMut<'_> {
        TileMut { ptr: self.ptr, kind: self.kind, life: PhantomData }
    }

    /// The same elements, to be read.
    pub fn as_tile(&self) -> Tile<'_> {
        Tile { ptr: self.ptr, kind: self.kind, life: PhantomData }
    }

    /// The number of elements.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.kind.len()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.kind.dtype()
    }

    /// The first element, whatever its type.
    pub(crate) fn as_mut_ptr(&self) -> *mut u8 {
        self.ptr
    }
}

#[cold]
#[inline(never)]
fn wrong_dtype(have: DType, want: DType) -> ! {
    panic!("a kernel for {want} got a tile of {have}")
}
