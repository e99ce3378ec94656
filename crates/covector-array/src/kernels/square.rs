//! Squares of elements turned in registers: lines become columns.

use crate::isa::{Isa, isa};

/// Turns squares of one width of elements.
#[derive(Clone, Copy)]
pub(super) struct Square {
    /// Elements along a side.
    pub side: usize,
    /// Reads lines so many bytes apart and writes them as columns, of which each begins so many bytes behind the last.
    ///
    /// # Safety
    /// The processor must have the instruction set it was chosen for; lines must be readable, columns writable, and they must not overlap.
    pub turn: unsafe fn(*const u8, isize, *mut u8, isize),
}

impl Square {
    /// For elements of so many bytes, if there are instructions for them.
    pub fn of(width: usize) -> Option<Square> {
        #[cfg(target_arch = "x86_64")]
        return match (isa(), width) {
            (Isa::Avx512, 4) => Some(Square { side: 16, turn: x86::turn_512_4 }),
            (Isa::Avx512, 8) => Some(Square { side: 8, turn: x86::turn_512_8 }),
            (Isa::Avx2, 4) => Some(Square { side: 8, turn: x86::turn_256_4 }),
            (Isa::Avx2, 8) => Some(Square { side: 4, turn: x86::turn_256_8 }),
            _ => None,
        };
        #[cfg(not(target_arch = "x86_64"))]
        return {
            let _ = (isa(), width);
            None
        };
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::array::from_fn;

    /// For each of the quarters of the lines of four registers a register of them.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn quarters([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        let (ab, cd) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(c, d));
        let (ab_upper, cd_upper) = (_mm512_shuffle_f32x4::<0xEE>(a, b), _mm512_shuffle_f32x4::<0xEE>(c, d));
        [
            _mm512_shuffle_f32x4::<0x88>(ab, cd),
            _mm512_shuffle_f32x4::<0xDD>(ab, cd),
            _mm512_shuffle_f32x4::<0x88>(ab_upper, cd_upper),
            _mm512_shuffle_f32x4::<0xDD>(ab_upper, cd_upper),
        ]
    }

    #[target_feature(enable = "avx512f")]
    #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
    pub(super) unsafe fn turn_512_4(from: *const u8, step: isize, to: *mut u8, pitch: isize) {
        // SAFETY: the caller's promise.
        let x: [__m512; 16] = from_fn(|i| unsafe { _mm512_loadu_ps(from.offset(i as isize * step).cast()) });
        let pairs: [[__m512d; 2]; 8] = from_fn(|i| {
            let (a, b) = (x[2 * i], x[2 * i + 1]);
            [_mm512_castps_pd(_mm512_unpacklo_ps(a, b)), _mm512_castps_pd(_mm512_unpackhi_ps(a, b))]
        });
        // Four lines of a column in each quarter: `fours[i][c]` has those from line 4 i on, of column 4 q + c in quarter q.
        let fours: [[__m512d; 4]; 4] = from_fn(|i| {
            let [[a, c], [b, d]] = [pairs[2 * i], pairs[2 * i + 1]];
            [_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b), _mm512_unpacklo_pd(c, d), _mm512_unpackhi_pd(c, d)]
        });
        for c in 0..4 {
            for (q, column) in quarters(from_fn(|i| _mm512_castpd_ps(fours[i][c]))).into_iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { _mm512_storeu_ps(to.offset((4 * q + c) as isize * pitch).cast(), column) };
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
    pub(super) unsafe fn turn_512_8(from: *const u8, step: isize, to: *mut u8, pitch: isize) {
        // SAFETY: the caller's promise.
        let x: [__m512d; 8] = from_fn(|i| unsafe { _mm512_loadu_pd(from.offset(i as isize * step).cast()) });
        let pairs: [[__m512d; 2]; 4] = from_fn(|i| {
            let (a, b) = (x[2 * i], x[2 * i + 1]);
            [_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b)]
        });
        for c in 0..2 {
            for (q, column) in quarters(from_fn(|i| _mm512_castpd_ps(pairs[i][c]))).into_iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { _mm512_storeu_ps(to.offset((2 * q + c) as isize * pitch).cast(), column) };
            }
        }
    }

    #[target_feature(enable = "avx2")]
    #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
    pub(super) unsafe fn turn_256_4(from: *const u8, step: isize, to: *mut u8, pitch: isize) {
        // SAFETY: the caller's promise.
        let x: [__m256; 8] = from_fn(|i| unsafe { _mm256_loadu_ps(from.offset(i as isize * step).cast()) });
        let pairs: [[__m256d; 2]; 4] = from_fn(|i| {
            let (a, b) = (x[2 * i], x[2 * i + 1]);
            [_mm256_castps_pd(_mm256_unpacklo_ps(a, b)), _mm256_castps_pd(_mm256_unpackhi_ps(a, b))]
        });
        let fours: [[__m256d; 4]; 2] = from_fn(|i| {
            let [[a, c], [b, d]] = [pairs[2 * i], pairs[2 * i + 1]];
            [_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b), _mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d)]
        });
        for c in 0..4 {
            for (half, column) in halves(fours[0][c], fours[1][c]).into_iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { _mm256_storeu_pd(to.offset((4 * half + c) as isize * pitch).cast(), column) };
            }
        }
    }

    #[target_feature(enable = "avx2")]
    #[allow(clippy::needless_range_loop)] // unrolled: registers, not a collection
    pub(super) unsafe fn turn_256_8(from: *const u8, step: isize, to: *mut u8, pitch: isize) {
        // SAFETY: the caller's promise.
        let [a, b, c, d]: [__m256d; 4] = from_fn(|i| unsafe { _mm256_loadu_pd(from.offset(i as isize * step).cast()) });
        let upper = [_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b)];
        let lower = [_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d)];
        for c in 0..2 {
            for (half, column) in halves(upper[c], lower[c]).into_iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { _mm256_storeu_pd(to.offset((2 * half + c) as isize * pitch).cast(), column) };
            }
        }
    }

    /// The lower halves of both, and the upper ones.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn halves(a: __m256d, b: __m256d) -> [__m256d; 2] {
        [_mm256_permute2f128_pd::<0x20>(a, b), _mm256_permute2f128_pd::<0x31>(a, b)]
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::isa::set_isa;

    #[test]
    fn lines_become_columns() {
        let best = set_isa(Isa::Avx512);
        let all: [(Isa, usize, Square); 4] = [
            (Isa::Avx512, 4, Square { side: 16, turn: x86::turn_512_4 }),
            (Isa::Avx512, 8, Square { side: 8, turn: x86::turn_512_8 }),
            (Isa::Avx2, 4, Square { side: 8, turn: x86::turn_256_4 }),
            (Isa::Avx2, 8, Square { side: 4, turn: x86::turn_256_8 }),
        ];
        for (_, width, Square { side, turn }) in all.into_iter().filter(|&(isa, ..)| isa <= best) {
            // Lines lie further apart than they are long, and columns too.
            let (step, pitch) = ((side + 3) * width, (side + 1) * width);
            let from: Vec<u8> = (0..side * step).map(|i| (i * 31 % 251) as u8).collect();
            let mut to = vec![0u8; side * pitch];
            // SAFETY: both hold `side` lines of that pitch, and the processor has the instructions.
            unsafe { turn(from.as_ptr(), step as isize, to.as_mut_ptr(), pitch as isize) };
            for (line, column) in (0..side).flat_map(|i| (0..side).map(move |j| (i, j))) {
                let read = &from[line * step + column * width..][..width];
                assert_eq!(&to[column * pitch + line * width..][..width], read, "{width} bytes, {line}, {column}");
            }
        }
    }
}
