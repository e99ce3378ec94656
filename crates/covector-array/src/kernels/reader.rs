//! Reading an array tile by tile, whatever its layout: contiguous elements are read where they lie, repeated ones are spread
//! over one tile once, everything else is gathered into scratch space.

use std::ops::Range;

use super::cast::cast_kernel;
use super::copy;
use super::kernel::{Loop, TILE};
use super::layout::{Layout, Shared, gather};
use super::runs::copy_bytes;
use super::stream::Line;
use crate::{Array, DType};

/// Transposed arrays of fewer elements are gathered tile by tile.
const COPIED: usize = 32 * TILE;

/// How the tiles of an input come about.
enum Form {
    /// Where they lie.
    Direct,
    /// Copied first, because the output overwrites them.
    Aliased,
    /// Widened from where they lie.
    Widened,
    /// One tile, filled beforehand, serves all: the rows repeat.
    Splat(Vec<Line>),
    /// Collected from memory into a dense array beforehand or tile by tile.
    Gathered(Layout),
}

/// An input, read tile by tile whatever its layout.
pub(super) struct Reader {
    form: Form,
    ptr: Shared<u8>,
    dtype: DType,
    /// Widens a half to what the kernel sees.
    widen: Option<Loop>,
    /// Keeps a dense copy alive.
    _owner: Option<Array>,
}

impl Reader {
    /// A reader of `x` in tiles of at most `tile` elements, which begin at multiples of `row`. Elements of dtype `half`
    /// are widened to f32; those of an `aliased` input are copied, because the output overwrites them.
    pub(super) fn new(x: &Array, tile: usize, row: usize, half: Option<DType>, aliased: bool) -> Reader {
        let dtype = x.dtype();
        let widen = (half == Some(dtype)).then(|| cast_kernel(dtype, DType::F32).compiled());
        let dense = match (widen, aliased) {
            (Some(_), _) => Form::Widened,
            (None, true) => Form::Aliased,
            (None, false) => Form::Direct,
        };
        let mut reader = Reader { form: dense, ptr: Shared(x.ptr::<u8>().cast_mut()), dtype, widen, _owner: None };
        if x.is_contiguous() {
            return reader;
        }
        let (layout, size) = (Layout::of(x), x.size());
        if layout.is_contiguous() || size == 1 {
            return reader;
        }
        if layout.repeats(row) {
            let n = size.min(tile);
            let lines = |dtype: DType| (n * dtype.size()).div_ceil(size_of::<Line>());
            let mut tile = vec![Line::EMPTY; lines(if widen.is_some() { DType::F32 } else { dtype })];
            let mut spare = vec![Line::EMPTY; if widen.is_some() { lines(dtype) } else { 0 }];
            let (to, narrow) = (tile.as_mut_ptr().cast::<u8>(), spare.as_mut_ptr().cast::<u8>());
            // SAFETY: the sequence has `n` elements, and both buffers have room for as many of any dtype.
            unsafe {
                gather(x.ptr(), dtype, &layout, 0, n, if widen.is_some() { narrow } else { to });
                if let Some(widen) = widen {
                    widen(narrow, narrow, narrow, to, n);
                }
            }
            reader.form = Form::Splat(tile);
        } else if copy::is_transposed(&layout) && size >= COPIED {
            let dense = copy::copy(x);
            reader.ptr = Shared(dense.ptr::<u8>().cast_mut());
            reader.form = if widen.is_some() { Form::Widened } else { Form::Direct };
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

    /// True if what runs are made of is one element again and again, as the kernel sees it.
    pub(super) fn is_single(&self) -> bool {
        matches!(&self.form, Form::Gathered(layout) if layout.inner().1 == 0) && self.widen.is_none()
    }

    /// Scratch slots a tile of this reader needs.
    pub(super) fn slots(&self) -> usize {
        match self.form {
            Form::Direct | Form::Splat(_) => 0,
            Form::Aliased | Form::Widened => 1,
            Form::Gathered(_) => 2,
        }
    }

    /// Bytes from the place where a tile is read to the one of the next, for each element of a tile; none if tiles come about one
    /// by one.
    pub(super) fn pitch(&self) -> Option<usize> {
        match self.form {
            Form::Direct => Some(self.width()),
            Form::Splat(_) => Some(0),
            Form::Aliased | Form::Widened | Form::Gathered(_) => None,
        }
    }

    /// Where element `index` lies, if all elements lie in order.
    pub(super) fn place(&self, index: usize) -> Option<*const u8> {
        let dense = matches!(self.form, Form::Direct | Form::Aliased | Form::Widened);
        dense.then(|| self.ptr.get().wrapping_add(index * self.dtype.size()).cast_const())
    }

    /// Bytes per element in memory.
    pub(super) fn width(&self) -> usize {
        self.dtype.size()
    }

    /// The elements `range` side by side as the kernel sees them. `slot` and `spare` are scratch space for as many elements
    /// of eight bytes (or of the dtype, if that is wider); what is returned is valid as long as they and the reader are untouched.
    pub(super) fn fetch(&self, range: Range<usize>, slot: *mut u8, spare: *mut u8) -> *const u8 {
        let (len, width) = (range.len(), self.dtype.size());
        // SAFETY: the source has an element for every index of the map; scratch holds a whole tile of any dtype.
        unsafe {
            let mut here = self.ptr.get().wrapping_add(range.start * width).cast_const();
            match &self.form {
                Form::Direct | Form::Widened => {}
                Form::Splat(tile) => return tile.as_ptr().cast(),
                Form::Aliased => {
                    copy_bytes(here, slot, len * width);
                    here = slot;
                }
                Form::Gathered(layout) => match layout.run(range.start, len) {
                    Some(offset) => here = self.ptr.get().wrapping_offset(offset * width as isize),
                    None => {
                        let to = if self.widen.is_some() { spare } else { slot };
                        gather(self.ptr.get(), self.dtype, layout, range.start, len, to);
                        here = to;
                    }
                },
            }
            let Some(widen) = self.widen else { return here };
            widen(here, here, here, slot, len);
        }
        slot
    }
}
