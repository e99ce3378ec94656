//! Rows copied, transposed, scaled.

// Loops count: an iterator's may stay a function of its own, without the instruction set of its caller.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::Matrix;
use crate::isa::{Work, dispatch};
use crate::kernels::copy;
use crate::kernels::matmul::tile::Tiled;

/// Rows between the use of one and that of the one asked for at the same time: heads lie apart in memory, which no hardware
/// foresees.
const AHEAD: usize = 8;

/// Asks for the lines of a row that will be used soon; it may lie outside.
#[inline(always)]
fn fetch_ahead<T>(row: *const T, columns: usize) {
    for at in (0..columns * size_of::<T>()).step_by(64) {
        copy::fetch_ahead(row.cast::<u8>().wrapping_add(at));
    }
}

/// Copies rows side by side, multiplied with a number if there is one.
pub(super) struct Copy<T> {
    pub x: Matrix<T>,
    pub rows: Range<usize>,
    pub columns: usize,
    pub to: *mut T,
    pub by: Option<T>,
}

impl<T: Tiled> Work for Copy<T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let by = self.by.unwrap_or(T::ONE);
        for (i, row) in self.rows.enumerate() {
            // SAFETY: the caller's rows lie in the operand, and its scratch memory holds as many.
            unsafe {
                let to = std::slice::from_raw_parts_mut(self.to.add(i * self.columns), self.columns);
                if self.x.columns == 1 {
                    fetch_ahead(self.x.at(row + AHEAD, 0), self.columns);
                    let from = std::slice::from_raw_parts(self.x.at(row, 0), self.columns);
                    for j in 0..to.len() {
                        to[j] = from[j] * by;
                    }
                } else {
                    for (j, to) in to.iter_mut().enumerate() {
                        *to = *self.x.at(row, j) * by;
                    }
                }
            }
        }
    }
}

/// Rows divided in place by a number for each.
pub(super) struct Divide<T> {
    pub rows: *mut T,
    pub pitch: isize,
    pub count: usize,
    pub columns: usize,
    pub by: *const T,
}

impl<T: Tiled> Work for Divide<T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for row in 0..self.count {
            // SAFETY: the caller's rows, which are contiguous, and a number for each.
            let (row, by) = unsafe {
                let first = self.rows.offset(row as isize * self.pitch);
                (std::slice::from_raw_parts_mut(first, self.columns), *self.by.add(row))
            };
            for x in row {
                *x = *x / by;
            }
        }
    }
}

/// Rows multiplied with one number.
pub(super) struct Multiply<T> {
    pub rows: *mut T,
    pub pitch: isize,
    pub count: usize,
    pub columns: usize,
    pub by: T,
}

impl<T: Tiled> Work for Multiply<T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for row in 0..self.count {
            // SAFETY: the caller's rows, which are contiguous.
            let row =
                unsafe { std::slice::from_raw_parts_mut(self.rows.offset(row as isize * self.pitch), self.columns) };
            for x in row {
                *x = *x * self.by;
            }
        }
    }
}

/// Transposes rows into panels `WIDE` wide: one after another, step by step along the columns; what is missing is 0.
pub(super) struct Turn<T, const WIDE: usize> {
    pub x: Matrix<T>,
    pub rows: usize,
    pub columns: usize,
    pub to: *mut T,
}

/// Rows and columns that are turned together.
const BLOCK: usize = 16;

impl<T: Tiled, const WIDE: usize> Turn<T, WIDE> {
    /// Turns whole blocks by vector instructions where there are some, all else one by one.
    pub fn run(self) {
        #[cfg(target_arch = "x86_64")]
        if crate::isa::isa() == crate::isa::Isa::Avx512
            && T::DTYPE == crate::DType::F32
            && WIDE == 32
            && self.x.columns == 1
        {
            let (rows, columns) = (self.rows / BLOCK * BLOCK, self.columns / BLOCK * BLOCK);
            let (from, to) = (self.x.ptr.cast::<f32>().cast_const(), self.to.cast::<f32>());
            for row in (0..rows).step_by(BLOCK) {
                for i in row..row + BLOCK {
                    fetch_ahead(self.x.at(i + BLOCK, 0), self.columns);
                }
                for column in (0..columns).step_by(BLOCK) {
                    let from = from.wrapping_offset(row as isize * self.x.rows).wrapping_add(column);
                    let to = to.wrapping_add(row / WIDE * WIDE * self.columns + column * WIDE + row % WIDE);
                    // SAFETY: blocks of the operand and of the scratch memory, and the instructions were asked for.
                    unsafe { x86::turn(from, self.x.rows, to, WIDE) };
                }
            }
            return dispatch(Rest(self, rows, columns));
        }
        dispatch(Rest(self, 0, 0));
    }
}

/// What is left but the first so many rows and columns.
struct Rest<T, const WIDE: usize>(Turn<T, WIDE>, usize, usize);

impl<T: Tiled, const WIDE: usize> Work for Rest<T, WIDE> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Rest(turn, rows, columns) = self;
        for row in 0..turn.rows.next_multiple_of(WIDE) {
            let to = turn.to.wrapping_add(row / WIDE * WIDE * turn.columns + row % WIDE);
            for column in if row < rows { columns } else { 0 }..turn.columns {
                // SAFETY: the caller's rows lie in the operand, and its scratch memory holds whole panels.
                unsafe { *to.add(column * WIDE) = if row < turn.rows { *turn.x.at(row, column) } else { T::ZERO } };
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// Transposes 16 rows of 16, which begin `step` apart, into rows that begin `pitch` apart.
    ///
    /// # Safety
    /// The rows must be readable and writable, and the processor have AVX-512.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn turn(from: *const f32, step: isize, to: *mut f32, pitch: usize) {
        let pairs = |a: __m512, b: __m512| {
            let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
            [_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b))]
        };
        // SAFETY: the caller's promise.
        let row = |i: usize| unsafe { _mm512_loadu_ps(from.offset(i as isize * step)) };
        // Four rows at a time, turned within quarters: register `j` of four holds columns j, j + 4, j + 8, j + 12.
        let four: [[__m512; 4]; 4] = std::array::from_fn(|i| {
            let [a, b, c, d] = [row(4 * i), row(4 * i + 1), row(4 * i + 2), row(4 * i + 3)];
            let [first, second] = pairs(_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
            let [third, fourth] = pairs(_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
            [first, second, third, fourth]
        });
        for j in 0..4 {
            let [a, b, c, d] = [four[0][j], four[1][j], four[2][j], four[3][j]];
            // Then the quarters: columns j and j + 8, j + 4 and j + 12.
            let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
            let (even2, odd2) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
            let lines = [
                _mm512_shuffle_f32x4::<0x88>(even, even2),
                _mm512_shuffle_f32x4::<0x88>(odd, odd2),
                _mm512_shuffle_f32x4::<0xdd>(even, even2),
                _mm512_shuffle_f32x4::<0xdd>(odd, odd2),
            ];
            for (i, line) in lines.into_iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { _mm512_storeu_ps(to.add((4 * i + j) * pitch), line) };
            }
        }
    }
}
