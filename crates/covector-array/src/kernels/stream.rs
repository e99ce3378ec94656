//! Memory traffic by hand: asking for what comes next, and writing past the caches what they would not hold anyway.

use std::cell::RefCell;

use smallvec::SmallVec;

#[cfg(target_arch = "x86_64")]
use crate::isa::{Isa, isa};

/// A cache line of scratch: vectors that begin at a line cross into no other, which would take twice as long to read.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(#[expect(dead_code, reason = "read and written through pointers")] [u64; 8]);

impl Line {
    /// A line of zeros.
    pub const EMPTY: Line = Line([0; 8]);
}

/// Bytes of a cache line.
const LINE: usize = size_of::<Line>();

thread_local! {
    /// See [`with_scratch`].
    static SCRATCH: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Lends so many lines of scratch, which hold anything: they are kept between runs, as clearing fresh ones would cost as much as a
/// pass over them.
///
/// # Panics
/// Within itself.
pub(super) fn with_scratch<R>(lines: usize, run: impl FnOnce(*mut u8) -> R) -> R {
    SCRATCH.with(|scratch| {
        let mut scratch = scratch.borrow_mut();
        if scratch.len() < lines {
            scratch.resize(lines, Line::EMPTY);
        }
        run(scratch.as_mut_ptr().cast())
    })
}

/// Memory that the next tile will use, asked for bit by bit while this one is worked on: links would otherwise wait for it.
#[derive(Default)]
pub(super) struct Ahead {
    streams: SmallVec<[Stream; 6]>,
    /// Lines of each run asked for so far.
    done: usize,
}

/// Tiles that lie side by side.
struct Stream {
    /// Where the next one begins.
    next: *const u8,
    bytes: usize,
}

impl Stream {
    fn lines(&self) -> usize {
        self.bytes.div_ceil(LINE)
    }
}

impl Ahead {
    /// Adds tiles of so many bytes, of which the next one begins at `next`.
    pub fn push(&mut self, next: *const u8, bytes: usize) {
        self.streams.push(Stream { next, bytes });
    }

    /// Cache lines of the longest tile.
    pub fn lines(&self) -> usize {
        self.streams.iter().map(Stream::lines).max().unwrap_or(0)
    }

    /// Asks for so many more lines of each tile.
    #[inline(always)]
    pub fn fetch_lines(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        for stream in &self.streams {
            for line in self.done..(self.done + count).min(stream.lines()) {
                prefetch(stream.next.wrapping_add(line * LINE));
            }
        }
        self.done += count;
    }

    /// Goes on to the tile after the next one.
    pub fn advance(&mut self) {
        for stream in &mut self.streams {
            stream.next = stream.next.wrapping_add(stream.bytes);
        }
        self.done = 0;
    }

    /// No tile follows the next one.
    pub fn clear(&mut self) {
        self.streams.clear();
    }
}

/// Asks for the cache lines of so many elements, which need not exist.
#[inline(always)]
pub(super) fn ask_for<T>(first: *const T, count: usize) {
    for at in (0..count).step_by(LINE / size_of::<T>()) {
        prefetch(first.wrapping_add(at));
    }
}

/// Asks for the cache line at an address, valid or not, to be in the second-level cache soon. The first level waits for few lines
/// at a time: if they are asked for there, what is read now has to wait as well.
#[inline(always)]
pub(super) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: asking for a line never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast())
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
