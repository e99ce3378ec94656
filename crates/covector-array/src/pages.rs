//! Blocks of whole pages, from the system and back.
//!
//! The system's allocator keeps large blocks in its heap, beside whatever else is there: memory that is given back stays, pages
//! that were small once do not become huge, and aligned blocks of zeros are written as a whole. So blocks from [`ALONE`] up are
//! mapped one by one where that is known how. They are zero, and take memory when they are first written, by whichever thread
//! does: what a size was rounded up by takes none.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Bytes of a huge page, at whose multiples blocks of so many bytes begin.
pub(crate) const HUGE: usize = 2 << 20;
/// Others begin at lines of the cache, or where a page does.
pub(crate) const ALIGN: usize = 64;
/// From so many bytes on a block is a mapping of its own.
#[cfg(target_os = "linux")]
const ALONE: usize = 128 << 10;

/// A block of zeros; `None` if the system has no more.
pub(crate) fn fresh(bytes: usize) -> Option<NonNull<u8>> {
    #[cfg(target_os = "linux")]
    if bytes >= HUGE {
        return huge(bytes);
    } else if bytes >= ALONE {
        return map(bytes);
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
    if bytes >= ALONE {
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

/// As many bytes in pages of their own.
#[cfg(target_os = "linux")]
fn map(bytes: usize) -> Option<NonNull<u8>> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, anywhere; it touches nothing that is there.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
    if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()) }
}

/// As many bytes at a multiple of [`HUGE`], mapped with so much more that there must be one, which is then cut off.
#[cfg(target_os = "linux")]
fn huge(bytes: usize) -> Option<NonNull<u8>> {
    let start = map(bytes + HUGE)?;
    let before = start.addr().get().next_multiple_of(HUGE) - start.addr().get();
    let block = start.as_ptr().wrapping_add(before);
    // SAFETY: what lies before and behind the block is part of the mapping, in whole pages, and nobody's. Advice may be ignored.
    unsafe {
        if before > 0 {
            libc::munmap(start.as_ptr().cast(), before);
        }
        libc::munmap(block.wrapping_add(bytes).cast(), HUGE - before);
        libc::madvise(block.cast(), bytes, libc::MADV_HUGEPAGE);
    }
    NonNull::new(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_zero_and_begin_where_they_should() {
        for bytes in [ALIGN, 128 << 10, HUGE - (256 << 10), HUGE, HUGE + (256 << 10), 5 * HUGE] {
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
    #[cfg(target_os = "linux")]
    fn what_was_not_written_takes_no_memory() {
        const PAGE: usize = 4096;
        let mut resident = [0u8; ALONE / PAGE];
        let block = fresh(ALONE).expect("some pages");
        // SAFETY: the range is a mapping, with at most one byte to tell for each of its pages; it is given back once.
        let known = unsafe {
            let known = libc::mincore(block.as_ptr().cast(), ALONE, resident.as_mut_ptr());
            free(block, ALONE);
            known
        };
        assert_eq!((known, resident.iter().filter(|&&page| page & 1 == 1).count()), (0, 0));
    }

    #[test]
    fn more_than_there_is_is_refused() {
        assert!(fresh(1 << 55).is_none());
    }
}
