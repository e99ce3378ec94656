//! Memory traffic by hand: asking for what comes next, and writing past the caches what they would not hold anyway.

use smallvec::SmallVec;

#[cfg(target_arch = "x86_64")]
use crate::isa::{Isa, isa};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Memory that will be used soon, asked for bit by bit while other work is done: links would otherwise wait for it.
#[derive(Default)]
pub(super) struct Ahead {
    /// Where each run of cache lines begins, and how many there are.
    streams: SmallVec<[(*const u8, usize); 6]>,
    /// The most lines of a run.
    lines: usize,
    done: usize,
}

impl Ahead {
    /// Adds so many bytes from `start` on.
    pub fn push(&mut self, start: *const u8, bytes: usize) {
        let lines = bytes.div_ceil(LINE);
        self.streams.push((start, lines));
        self.lines = self.lines.max(lines);
    }

    /// The line that ends so many parts.
    pub fn share(&self, parts: usize, of: usize) -> usize {
        self.lines * parts / of
    }

    /// How many lines to ask for in each of so many steps, to have asked for all up to this one.
    #[inline]
    pub fn in_each(&self, steps: usize, until: usize) -> usize {
        let left = until.saturating_sub(self.done);
        if left == 0 { 0 } else { left.div_ceil(steps) }
    }

    /// Asks for so many more lines of each run.
    #[inline(always)]
    pub fn fetch_lines(&mut self, count: usize) {
        if count > 0 {
            self.fetch_until(self.done + count);
        }
    }

    #[inline(always)]
    fn fetch_until(&mut self, until: usize) {
        for &(start, lines) in &self.streams {
            for line in self.done..until.min(lines) {
                prefetch(start.wrapping_add(line * LINE));
            }
        }
        self.done = self.done.max(until);
    }
}

/// Asks for the cache lines of so many elements, which need not exist.
#[inline(always)]
pub(super) fn ask_for<T>(first: *const T, count: usize) {
    for at in (0..count).step_by(LINE / size_of::<T>()) {
        prefetch(first.wrapping_add(at).cast());
    }
}

/// Asks for the cache line at an address, valid or not.
#[inline(always)]
fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: asking for a line never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast())
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Copies `bytes` (a whole number of lines, both sides aligned to them, or less than a line at the end) past the caches.
/// [`finish`] must follow before another thread may read them.
///
/// # Safety
/// `from` must be readable and `to` writable for that many bytes, without overlap.
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    let whole = bytes / LINE * LINE;
    // SAFETY: the caller's promise; the processor has the instruction set in use.
    unsafe {
        match () {
            #[cfg(target_arch = "x86_64")]
            () if isa() == Isa::Avx512 => lines_512(from, to, whole / LINE),
            #[cfg(target_arch = "x86_64")]
            () if isa() == Isa::Avx2 => lines_256(from, to, whole / LINE),
            () => std::ptr::copy_nonoverlapping(from, to, whole),
        }
        std::ptr::copy_nonoverlapping(from.add(whole), to.add(whole), bytes - whole);
    }
}

/// Waits until what was copied is visible.
pub(super) fn finish() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has SSE.
    unsafe {
        std::arch::x86_64::_mm_sfence()
    };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn lines_512(from: *const u8, to: *mut u8, lines: usize) {
    use std::arch::x86_64::*;
    for i in (0..lines * LINE).step_by(LINE) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_stream_si512(to.add(i).cast(), _mm512_loadu_si512(from.add(i).cast())) };
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn lines_256(from: *const u8, to: *mut u8, lines: usize) {
    use std::arch::x86_64::*;
    for i in (0..lines * LINE).step_by(32) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_stream_si256(to.add(i).cast(), _mm256_loadu_si256(from.add(i).cast())) };
    }
}
