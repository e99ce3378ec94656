//! Blocks of whole pages, from the system and back.
//!
//! The system's allocator keeps large blocks in its heap, beside whatever else is there: memory that is given back stays, and pages
//! that were small once do not become huge. So blocks from [`HUGE`] up are mapped one by one where that is known how. They are
//! zero, and take memory when they are first written, by whichever thread does.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Bytes of a huge page, at whose multiples blocks of so many bytes begin.
pub(crate) const HUGE: usize = 2 << 20;
/// Others begin at lines of the cache.
pub(crate) const ALIGN: usize = 64;

/// A block of zeros; `None` if the system has no more.
pub(crate) fn fresh(bytes: usize) -> Option<NonNull<u8>> {
    #[cfg(target_os = "linux")]
    if bytes >= HUGE {
        return mapped(bytes);
    }
    // SAFETY: the layout has a size, as blocks have.
    NonNull::new(unsafe { alloc_zeroed(layout(bytes)) })
}

/// Gives a block back.
///
/// # Safety
/// It must be from [`fresh`], of as many bytes, and nobody may use it any more.
pub(crate) unsafe fn free(block: NonNull<u8>, bytes: usize) {
    #[cfg(target_os = "linux")]
    if bytes >= HUGE {
        // SAFETY: the caller's promise: the whole range is a mapping of ours.
        unsafe { libc::munmap(block.as_ptr().cast(), bytes) };
        return;
    }
    // SAFETY: the caller's promise.
    unsafe { dealloc(block.as_ptr(), layout(bytes)) };
}

fn layout(bytes: usize) -> Layout {
    let align = if bytes >= HUGE { HUGE } else { ALIGN };
    Layout::from_size_align(bytes, align).expect("block sizes were checked to fit in isize")
}

/// As many bytes at a multiple of [`HUGE`], mapped with so much more that there must be one, which is then cut off.
#[cfg(target_os = "linux")]
fn mapped(bytes: usize) -> Option<NonNull<u8>> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, anywhere; it touches nothing that is there.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes + HUGE, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    let before = (start as usize).next_multiple_of(HUGE) - start as usize;
    let block = start.wrapping_byte_add(before);
    // SAFETY: what lies before and behind the block is part of the mapping, in whole pages, and nobody's. Advice may be ignored.
    unsafe {
        if before > 0 {
            libc::munmap(start, before);
        }
        libc::munmap(block.wrapping_byte_add(bytes), HUGE - before);
        libc::madvise(block, bytes, libc::MADV_HUGEPAGE);
    }
    NonNull::new(block.cast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_zero_and_begin_where_they_should() {
        for bytes in [ALIGN, HUGE - ALIGN, HUGE, HUGE + (256 << 10), 5 * HUGE] {
            let block = fresh(bytes).expect("a few megabytes");
            assert!((block.as_ptr() as usize).is_multiple_of(if bytes >= HUGE { HUGE } else { ALIGN }), "{bytes}");
            // SAFETY: the block has so many bytes, and is given back once.
            unsafe {
                let all = std::slice::from_raw_parts_mut(block.as_ptr(), bytes);
                assert!(all.iter().all(|&byte| byte == 0), "{bytes}");
                all.fill(1);
                free(block, bytes);
            }
        }
    }

    #[test]
    fn more_than_there_is_is_refused() {
        assert!(fresh(1 << 55).is_none());
    }
}
