//! From scores to weights, row by row, and from cotangents of weights to those of scores.

// Loops count: an iterator's may stay a function of its own, without the instruction set of its caller.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::{Mask, Matrix};
use crate::isa::Work;
use crate::kernels::matmul::tile::Tiled;
use crate::kernels::reduce::{LANES, Reduction, fold_lines};
use crate::math::Real;

/// Turns the scores of some queries into `exp(score - largest)`, and leaves the sums of rows (1 for 0).
pub(super) struct Weights<T> {
    pub scores: *mut T,
    /// From row to row.
    pub pitch: usize,
    /// The keys that have scores, in whole lanes, and those of them that count.
    pub wide: usize,
    pub seen: usize,
    pub queries: Range<usize>,
    pub causal: bool,
    pub mask: Mask<Matrix<bool>, Matrix<T>>,
    pub sums: *mut T,
}

impl<T: Tiled> Work for Weights<T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let never = <T as Real>::from_f64(f64::NEG_INFINITY);
        let rows = self.queries.len();
        // SAFETY: the caller's scratch memory has `wide` scores in each row, and a sum for each.
        let (line, sums) = unsafe {
            let line = |row: usize| std::slice::from_raw_parts_mut(self.scores.add(row * self.pitch), self.wide);
            (line, std::slice::from_raw_parts_mut(self.sums, rows))
        };
        for row in 0..rows {
            let (scores, query) = (line(row), self.queries.start + row);
            match self.mask {
                Mask::None => {}
                Mask::Seen(mask) => {
                    add(&mut scores[..self.seen], mask, query, |seen| if seen { T::ZERO } else { never })
                }
                Mask::Added(mask) => add(&mut scores[..self.seen], mask, query, |offset| offset),
            }
            let end = self.end(query);
            for j in end / LANES * LANES..scores.len() {
                scores[j] = if j < end { scores[j] } else { never };
            }
        }
        // SAFETY: these lines are the rows of the scratch memory.
        unsafe { fold_lines(Reduction::Max, self.scores, self.pitch, self.wide, sums) };
        for row in 0..rows {
            let largest = if sums[row].is_finite() { sums[row] } else { T::ZERO };
            let seen = self.end(self.queries.start + row).next_multiple_of(LANES);
            let (scores, rest) = line(row).split_at_mut(seen);
            for score in scores {
                // What is never seen has weight 0; computed, it would be a number below the normal ones, which are slow.
                let unseen = *score == never;
                let weight = Real::exp(if unseen { T::ZERO } else { *score - largest });
                *score = if unseen { T::ZERO } else { weight };
            }
            rest.fill(T::ZERO);
        }
        // SAFETY: these lines are the rows of the scratch memory.
        unsafe {
            fold_lines(Reduction::Sum, self.scores, self.pitch, self.wide, sums);
        }
        for sum in sums {
            *sum = if *sum == T::ZERO { T::ONE } else { *sum };
        }
    }
}

impl<T> Weights<T> {
    /// The number of keys up to the last one that counts for `query`.
    #[inline(always)]
    fn end(&self, query: usize) -> usize {
        if self.causal { self.seen.min(query + 1) } else { self.seen }
    }
}

/// Adds what a mask holds for `query` to its scores.
#[inline(always)]
fn add<T: Tiled, M: Copy>(scores: &mut [T], mask: Matrix<M>, query: usize, offset: impl Fn(M) -> T) {
    if mask.columns == 1 {
        // SAFETY: the mask has an element for each query and key; those of a query lie side by side.
        let mask = unsafe { std::slice::from_raw_parts(mask.at(query, 0), scores.len()) };
        for j in 0..mask.len() {
            scores[j] = scores[j] + offset(mask[j]);
        }
    } else {
        for (key, score) in scores.iter_mut().enumerate() {
            // SAFETY: as above.
            *score = *score + offset(unsafe { *mask.at(query, key) });
        }
    }
}

/// From the cotangents `g` of weights over their sum to those of scores: `w (g - sum(w g) / sum(w))`, in place.
pub(super) struct Slopes<T> {
    pub weights: *const T,
    pub slopes: *mut T,
    /// From row to row.
    pub pitch: usize,
    pub wide: usize,
    pub rows: usize,
    /// The sums of weights.
    pub sums: *const T,
}

impl<T: Tiled> Work for Slopes<T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        // A tile has at most 12 rows.
        let mut means = [T::ZERO; 16];
        let means = &mut means[..self.rows];
        // SAFETY: the caller's scratch memory has `wide` elements in each row, and a sum for each.
        let (line, sums) = unsafe {
            let line = |row: usize| {
                let (weights, slopes) = (self.weights.add(row * self.pitch), self.slopes.add(row * self.pitch));
                (std::slice::from_raw_parts(weights, self.wide), std::slice::from_raw_parts_mut(slopes, self.wide))
            };
            (line, std::slice::from_raw_parts(self.sums, self.rows))
        };
        for row in 0..self.rows {
            let (weights, slopes) = line(row);
            for j in 0..weights.len() {
                slopes[j] = weights[j] * slopes[j];
            }
        }
        // SAFETY: these lines are the rows of the scratch memory.
        unsafe {
            fold_lines(Reduction::Sum, self.slopes, self.pitch, self.wide, means);
        }
        for row in 0..self.rows {
            let (weights, slopes) = line(row);
            let mean = -(means[row] / sums[row]);
            for j in 0..weights.len() {
                slopes[j] = weights[j].mul_add(mean, slopes[j]);
            }
        }
    }
}
