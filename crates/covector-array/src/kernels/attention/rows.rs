//! Rows copied, transposed, scaled.

// Loops count: an iterator's may stay a function of its own, without the instruction set of its caller.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::Matrix;
use crate::isa::{Work, dispatch};
use crate::kernels::matmul::tile::Tiled;
use crate::kernels::reduce::LANES;
use crate::kernels::square::Square;
use crate::kernels::stream::ask_for;

/// Rows between the use of one and that of the one asked for at the same time: heads lie apart in memory, which no hardware
/// foresees.
const AHEAD: usize = 32;

/// Asks for the lines of rows that will be read or written soon; they may lie outside.
#[inline(always)]
pub(super) fn ask_for_rows<T>(x: Matrix<T>, rows: Range<usize>, columns: usize) {
    rows.for_each(|row| ask_for(x.at(row, 0), columns));
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
                    ask_for_rows(self.x, row + AHEAD..row + AHEAD + 1, self.columns);
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

/// Transposes rows into panels `wide` wide: one after another, step by step along the columns; 0 stands for the rows that are
/// missing to whole [`LANES`].
pub(super) struct Turn<T> {
    pub x: Matrix<T>,
    pub rows: usize,
    pub columns: usize,
    pub to: *mut T,
    pub wide: usize,
}

impl<T: Tiled> Turn<T> {
    /// Turns whole squares by vector instructions where there are some, all else one by one.
    pub fn run(self) {
        let Some(Square { side, turn }) = Square::of(size_of::<T>()).filter(|_| self.x.columns == 1) else {
            return dispatch(Rest(self, 0, 0));
        };
        let (rows, columns) = (self.rows / side * side, self.columns / side * side);
        let [step, pitch] = [self.x.rows, self.wide as isize].map(|n| n * size_of::<T>() as isize);
        for row in (0..rows).step_by(side) {
            ask_for_rows(self.x, row + AHEAD..row + AHEAD + side, self.columns);
            for column in (0..columns).step_by(side) {
                // SAFETY: squares of the operand and of the scratch memory, and the instructions were asked for.
                unsafe { turn(self.x.at(row, column).cast(), step, self.at(row, column).cast(), pitch) };
            }
        }
        if [rows, columns] != [self.rows.next_multiple_of(LANES), self.columns] {
            dispatch(Rest(self, rows, columns));
        }
    }

    /// Where an element comes to lie.
    fn at(&self, row: usize, column: usize) -> *mut T {
        self.to.wrapping_add((row / self.wide * self.columns + column) * self.wide + row % self.wide)
    }
}

/// What is left but the first so many rows and columns.
struct Rest<T>(Turn<T>, usize, usize);

impl<T: Tiled> Work for Rest<T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Rest(turn, rows, columns) = self;
        for row in 0..turn.rows.next_multiple_of(LANES) {
            for column in if row < rows { columns } else { 0 }..turn.columns {
                // SAFETY: the caller's rows lie in the operand, and its scratch memory holds whole lanes.
                unsafe {
                    *turn.at(row, column) = if row < turn.rows { *turn.x.at(row, column) } else { T::ZERO };
                }
            }
        }
    }
}
