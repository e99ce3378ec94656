//! Copies into row-major order.

use super::layout::{Layout, Shared, gather};
use crate::{Array, threads};

/// Elements per piece of parallel work.
const CHUNK: usize = 1 << 15;

/// The same elements in a fresh row-major buffer.
pub fn copy(x: &Array) -> Array {
    let out = Array::uninit(x.shape().clone(), x.dtype());
    let (size, width) = (x.size(), x.dtype().size());
    let layout = Layout::of(x);
    let (src, dst) = (Shared(x.ptr::<u8>().cast_mut()), Shared(out.ptr::<u8>().cast_mut()));
    threads::for_each(size.div_ceil(CHUNK), size, |i| {
        let (start, len) = (i * CHUNK, CHUNK.min(size - i * CHUNK));
        // SAFETY: the source is a view within its buffer; the chunks of the fresh output are disjoint.
        unsafe { gather(src.get(), x.dtype(), &layout, start, len, dst.get().add(start * width)) }
    });
    out
}

/// True if reading the sequence in order jumps through memory although its elements lie close together.
pub(crate) fn is_transposed(layout: &Layout) -> bool {
    let (size, stride) = layout.inner();
    size > 1 && stride.abs() > 16 && layout.outer().iter().any(|&(_, s)| s != 0 && s.abs() < stride.abs())
}
