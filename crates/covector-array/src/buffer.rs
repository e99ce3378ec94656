//! Memory: aligned blocks, reused through a bounded pool.
//!
//! First touch of fresh memory is the slowest thing a tensor library does, so freed blocks are kept and handed out again,
//! and large blocks ask for huge pages.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::outline::Ledger;

const ALIGN: usize = 64;
const HUGE: usize = 2 << 20;
/// Freed blocks kept for reuse, in bytes; beyond it they go back to the system.
const POOL_LIMIT: usize = 1 << 30;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);
static POOL: Mutex<Pool> = Mutex::new(Pool { classes: [const { Vec::new() }; CLASSES], bytes: 0 });

/// Bytes of all buffers alive now (the pool's spare blocks not counted).
pub fn live_bytes() -> usize {
    LIVE_BYTES.load(Ordering::Relaxed)
}

/// The most [`live_bytes`] has been since this was called last.
pub fn peak_bytes() -> usize {
    PEAK_BYTES.swap(live_bytes(), Ordering::Relaxed)
}

/// Gives every spare block of the pool back to the system.
pub fn trim_pool() {
    let classes = {
        let mut pool = POOL.lock().unwrap_or_else(|e| e.into_inner());
        pool.bytes = 0;
        std::mem::replace(&mut pool.classes, [const { Vec::new() }; CLASSES])
    };
    for (class, blocks) in classes.into_iter().enumerate() {
        for Block(ptr) in blocks {
            // SAFETY: the block was allocated with the layout of its class and nobody owns it any more.
            unsafe { dealloc(ptr.as_ptr(), layout(class_bytes(class))) };
        }
    }
}

/// Four classes per power of two from 64 bytes up: at most a quarter of a block is unused.
const CLASSES: usize = 4 * 42;

fn class_of(bytes: usize) -> usize {
    let units = bytes.max(1).div_ceil(ALIGN);
    if units <= 4 {
        return units - 1;
    }
    let top = usize::BITS - 1 - (units - 1).leading_zeros();
    let quarter = ((units - 1) >> (top - 2)) & 3;
    4 * (top as usize - 1) + quarter
}

/// The bytes a buffer of this length takes.
pub(crate) fn block_bytes(len: usize) -> usize {
    class_bytes(class_of(len))
}

fn class_bytes(class: usize) -> usize {
    if class < 4 {
        return (class + 1) * ALIGN;
    }
    let (top, quarter) = (class / 4 + 1, class % 4);
    ((5 + quarter) << (top - 2)) * ALIGN
}

struct Block(NonNull<u8>);
// SAFETY: a spare block is owned by the pool alone.
unsafe impl Send for Block {}

struct Pool {
    classes: [Vec<Block>; CLASSES],
    bytes: usize,
}

fn layout(bytes: usize) -> Layout {
    let align = if bytes >= HUGE { HUGE } else { ALIGN };
    Layout::from_size_align(bytes, align).expect("block sizes were checked to fit in isize")
}

/// An owned block of at least `len` bytes, aligned to 64.
pub struct Buffer {
    ptr: NonNull<u8>,
    len: usize,
    class: usize,
    /// Where an outline, which has no block, is counted.
    ledger: Option<Arc<Ledger>>,
}

// SAFETY: a Buffer owns its block; shared access is read-only, writing needs `&mut` (or a kernel's proof of uniqueness).
unsafe impl Send for Buffer {}
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A block whose content is undefined but initialised memory as far as plain numbers go: write before reading.
    pub(crate) fn uninit(len: usize) -> Buffer {
        let class = class_of(len);
        assert!(class < CLASSES, "out of memory: a block of {len} bytes is more than any machine has");
        let bytes = class_bytes(class);
        let spare = {
            let mut pool = POOL.lock().unwrap_or_else(|e| e.into_inner());
            let spare = pool.classes[class].pop();
            if spare.is_some() {
                pool.bytes -= bytes;
            }
            spare
        };
        let ptr = spare.map_or_else(|| fresh(bytes), |Block(ptr)| ptr);
        // Counted once it is there: asking for it may have panicked.
        let live = LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if live > PEAK_BYTES.load(Ordering::Relaxed) {
            PEAK_BYTES.fetch_max(live, Ordering::Relaxed);
        }
        Buffer { ptr, len, class, ledger: None }
    }

    /// A buffer without a block, counted in `ledger` as if it had one.
    pub(crate) fn outline(len: usize, ledger: &Arc<Ledger>) -> Buffer {
        ledger.add(block_bytes(len));
        Buffer { ptr: NonNull::dangling(), len, class: class_of(len), ledger: Some(ledger.clone()) }
    }

    /// Where this buffer is counted, if it is an outline.
    pub(crate) fn ledger(&self) -> Option<&Arc<Ledger>> {
        self.ledger.as_ref()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True for a buffer of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        assert!(self.ledger.is_none(), "the outline of an array has no elements");
        self.ptr.as_ptr()
    }
}

fn fresh(bytes: usize) -> NonNull<u8> {
    let layout = layout(bytes);
    // SAFETY: the layout has a non-zero size (the smallest class is 64 bytes).
    let ptr = unsafe { alloc(layout) };
    // A panic, not an abort: a caller that guards its work (a server, a notebook) survives one request too large.
    let Some(ptr) = NonNull::new(ptr) else { panic!("out of memory: the system refused a block of {bytes} bytes") };
    #[cfg(target_os = "linux")]
    if bytes >= HUGE {
        // SAFETY: the range is ours; the call is advice only and its failure harmless.
        unsafe { libc::madvise(ptr.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
    }
    // SAFETY: the block is `bytes` long. Zeroing makes every later read of it defined; reuse skips this.
    unsafe { ptr.as_ptr().write_bytes(0, bytes) };
    ptr
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = class_bytes(self.class);
        if let Some(ledger) = &self.ledger {
            return ledger.remove(bytes);
        }
        LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
        let mut pool = POOL.lock().unwrap_or_else(|e| e.into_inner());
        if pool.bytes + bytes <= POOL_LIMIT {
            pool.bytes += bytes;
            pool.classes[self.class].push(Block(self.ptr));
            return;
        }
        drop(pool);
        // SAFETY: allocated with this layout, and this is its only owner.
        unsafe { dealloc(self.ptr.as_ptr(), layout(bytes)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_refused_is_not_counted() {
        let refused = std::panic::catch_unwind(|| Buffer::uninit(7 << 45));
        assert!(refused.is_err() && live_bytes() < 1 << 45, "{} bytes live", live_bytes());
    }

    #[test]
    fn classes_hold_their_sizes_and_waste_at_most_a_quarter() {
        for bytes in (1..5000).chain([1 << 20, (1 << 20) + 1, 3_000_000, 1 << 33]) {
            let class = class_of(bytes);
            assert!(class_bytes(class) >= bytes, "{bytes}");
            assert!(class == 0 || class_bytes(class - 1) < bytes, "{bytes} fits a smaller class");
            assert!(bytes < 256 || class_bytes(class) <= bytes + bytes / 4 + ALIGN, "{bytes}");
        }
    }
}
