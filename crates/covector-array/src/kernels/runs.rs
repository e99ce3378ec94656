//! Copies of runs of equally spaced elements: side by side, repeated, backwards, every second one.

#[cfg(target_arch = "x86_64")]
use crate::isa::{Isa, isa};
use crate::isa::{Work, dispatch};

/// So many equal elements are written by vector instructions.
const WIDE: usize = 64;
/// So many spaced elements are read by vector instructions.
const SPACED: usize = 16;
/// Bytes from which on the library's copy may fall back to an instruction that takes ten times as long where both sides begin
/// almost at the same place of a page.
const LONG: usize = 2048;

/// Copies `count` elements that lie `stride` apart to where they lie side by side.
///
/// # Safety
/// The elements must be readable, and `to` must have room for them, without overlap.
#[inline(always)]
pub(super) unsafe fn copy_run<T: Copy>(from: *const T, stride: isize, to: *mut T, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match stride {
            1 => copy_bytes(from.cast(), to.cast(), count * size_of::<T>()),
            0 if count >= WIDE => dispatch(Fill(std::slice::from_raw_parts_mut(to, count), *from)),
            0 => std::slice::from_raw_parts_mut(to, count).fill(*from),
            -1 if count >= SPACED => dispatch(Spaced::<T, -1> { from, to, count }),
            2 if count >= SPACED => dispatch(Spaced::<T, 2> { from, to, count }),
            3 if count >= SPACED => dispatch(Spaced::<T, 3> { from, to, count }),
            4 if count >= SPACED => dispatch(Spaced::<T, 4> { from, to, count }),
            _ => (0..count).for_each(|i| *to.add(i) = *from.offset(i as isize * stride)),
        }
    }
}

/// Copies `rows` short runs that begin `pitch` apart.
///
/// # Safety
/// As for [`copy_run`], of all elements.
#[inline(always)]
pub(super) unsafe fn copy_short_runs<T: Copy>(
    from: *const T,
    (rows, pitch): (usize, isize),
    (size, stride): (usize, isize),
    to: *mut T,
) {
    // A size the compiler knows makes one loop of two.
    macro_rules! of {
        ($size:expr) => {
            for row in 0..rows {
                for i in 0..$size {
                    // SAFETY: the caller's promise.
                    unsafe { *to.add(row * $size + i) = *from.offset(row as isize * pitch + i as isize * stride) };
                }
            }
        };
    }
    match size {
        2 => of!(2),
        3 => of!(3),
        4 => of!(4),
        _ => of!(size),
    }
}

/// Fills a slice.
struct Fill<'a, T>(&'a mut [T], T);

impl<T: Copy> Work for Fill<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for x in self.0 {
            *x = self.1;
        }
    }
}

/// Reads elements that lie `STRIDE` apart, which the compiler turns into whole vectors and permutations.
struct Spaced<T, const STRIDE: isize> {
    from: *const T,
    to: *mut T,
    count: usize,
}

impl<T: Copy, const STRIDE: isize> Work for Spaced<T, STRIDE> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        // SAFETY: the promise made to `copy_run`: what is written is no part of what is read.
        let to = unsafe { std::slice::from_raw_parts_mut(self.to, self.count) };
        for (i, to) in to.iter_mut().enumerate() {
            // SAFETY: as above.
            *to = unsafe { *self.from.offset(i as isize * STRIDE) };
        }
    }
}

/// Copies bytes.
///
/// # Safety
/// `from` must be readable and `to` writable for that many bytes, without overlap.
#[inline(always)]
pub(super) unsafe fn copy_bytes(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if bytes < LONG {
            return std::ptr::copy_nonoverlapping(from, to, bytes);
        }
        copy_long(from, to, bytes);
    }
}

/// Copies many bytes, into whole cache lines.
unsafe fn copy_long(from: *const u8, to: *mut u8, bytes: usize) {
    let head = to.align_offset(BLOCK / 4).min(bytes);
    let whole = (bytes - head) / BLOCK * BLOCK;
    // SAFETY: the caller's promise; the processor has the instruction set in use.
    unsafe {
        std::ptr::copy_nonoverlapping(from, to, head);
        let (from, to) = (from.add(head), to.add(head));
        match () {
            #[cfg(target_arch = "x86_64")]
            () if isa() == Isa::Avx512 => blocks_512(from, to, whole),
            #[cfg(target_arch = "x86_64")]
            () if isa() == Isa::Avx2 => blocks_256(from, to, whole),
            () => std::ptr::copy_nonoverlapping(from, to, whole),
        }
        std::ptr::copy_nonoverlapping(from.add(whole), to.add(whole), bytes - head - whole);
    }
}

/// Bytes moved at a time: four cache lines. Read before any is written, they are nothing the compiler takes for a call of the
/// library's copy.
const BLOCK: usize = 256;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn blocks_512(from: *const u8, to: *mut u8, bytes: usize) {
    use std::arch::x86_64::*;
    for at in (0..bytes).step_by(BLOCK) {
        // SAFETY: the caller's promise.
        unsafe {
            let vectors: [__m512i; 4] = std::array::from_fn(|i| _mm512_loadu_si512(from.add(at + 64 * i).cast()));
            (0..4).for_each(|i| _mm512_storeu_si512(to.add(at + 64 * i).cast(), vectors[i]));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn blocks_256(from: *const u8, to: *mut u8, bytes: usize) {
    use std::arch::x86_64::*;
    for at in (0..bytes).step_by(BLOCK) {
        // SAFETY: the caller's promise.
        unsafe {
            let vectors: [__m256i; 8] = std::array::from_fn(|i| _mm256_loadu_si256(from.add(at + 32 * i).cast()));
            (0..8).for_each(|i| _mm256_storeu_si256(to.add(at + 32 * i).cast(), vectors[i]));
        }
    }
}
