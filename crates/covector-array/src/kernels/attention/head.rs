//! One head at a time.

use std::ops::Range;

use super::rows::{Copy, Divide, Multiply, Turn, ask_for_rows};
use super::weights::{Slopes, Weights};
use super::{Job, Mask, Matrix};
use crate::isa::dispatch;
use crate::kernels::matmul::streamed::CHAINS;
use crate::kernels::matmul::{Chains, SPAN, Tile, Tiled};
use crate::kernels::reduce::LANES;
use crate::{Array, Shape, threads};

/// Register tiles of queries that the backward pass takes together, at most: chains in the order of queries are loaded and
/// stored once for all of them.
const STRIPS: usize = 6;
/// Bytes of their weights and slopes, at most, unless a single tile has more: they stay in the second-level cache.
const HELD: usize = 1 << 20;
/// Up to so many queries, keys and values are read where they lie: copies would not be read often enough.
const FEW: usize = 4;

/// Scratch memory: what is copied of a head, and some rows of scores.
pub(super) struct Scratch {
    /// Keys, transposed into panels as wide as a tile; and in rows.
    columns: Array,
    keys: Array,
    /// Values, in rows for the means, transposed into panels for gradients.
    values: Array,
    queries: Array,
    cotangents: Array,
    weights: Array,
    slopes: Array,
    sums: Array,
}

impl Scratch {
    /// Enough for any head of `job`, forward or (`backward`) backward.
    pub fn new<T: Tiled>(job: &Job<T>, backward: bool) -> Scratch {
        let [tall, wide] = [job.kernel.tall, job.kernel.columns];
        let rows = if backward { (tall * job.strips()).min(job.t.next_multiple_of(tall)) } else { tall };
        let (keys, padded) = (job.s, job.s.next_multiple_of(wide.max(LANES)));
        let only = |wanted: bool, n: usize| Array::uninit(Shape::from([if wanted { n } else { 0 }]), T::DTYPE);
        Scratch {
            columns: only(true, padded * job.d),
            keys: only(backward, keys * job.d),
            values: only(true, padded * job.e),
            queries: only(true, rows * job.d),
            cotangents: only(backward, rows * job.e),
            weights: only(true, rows * padded),
            slopes: only(backward, rows * padded),
            sums: only(true, tall),
        }
    }
}

fn start<T>(x: &Array) -> *mut T {
    x.ptr::<T>().cast_mut()
}

/// A left factor: its first element and its strides along rows and depth.
#[derive(Clone, Copy)]
struct Left<T>(*const T, isize, isize);

/// A right factor whose rows are contiguous within a panel: its first element, and the strides from panel to panel and
/// along the depth.
#[derive(Clone, Copy)]
struct Right<T>(*const T, isize, isize);

impl<T: Tiled> Job<T> {
    /// Writes the means of some queries.
    pub fn forward(&self, head: usize, queries: Range<usize>, out: Matrix<T>, scratch: &Scratch) {
        let (q, k, v, mask) = (self.q.at(head), self.k.at(head), self.v.at(head), self.mask_at(head));
        let all = self.seen(mask, queries.clone());
        let few = queries.len() <= FEW;
        let columns =
            if few && k.columns == 1 { None } else { Some(self.turned(k, all, self.d, start(&scratch.columns))) };
        let values =
            if few && v.columns == 1 { self.rows(v) } else { self.copied(v, 0..all, self.e, start(&scratch.values)) };
        let (scores, sums) = (start::<T>(&scratch.weights), start::<T>(&scratch.sums));
        for strip in threads::chunks(queries.len(), self.kernel.tall) {
            let strip = queries.start + strip.start..queries.start + strip.end;
            ask_for_rows(out, strip.clone(), self.e);
            let seen = self.seen(mask, strip.clone());
            let wide = seen.next_multiple_of(LANES);
            self.scaled(q, strip.clone(), start(&scratch.queries));
            let left = Left(start(&scratch.queries), self.d as isize, 1);
            match columns {
                Some(columns) => self.product(left, columns, scores, wide as isize, [strip.len(), wide, self.d], true),
                None => self.dots(left, k, v, scores, [strip.len(), wide, seen]),
            }
            dispatch(Weights {
                scores,
                pitch: wide,
                wide,
                seen,
                queries: strip.clone(),
                causal: self.causal,
                mask,
                sums,
            });
            let to = out.at(strip.start, 0);
            self.product(Left(scores, wide as isize, 1), values, to, out.rows, [strip.len(), self.e, seen], true);
            dispatch(Divide { rows: to, pitch: out.rows, count: strip.len(), columns: self.e, by: sums });
        }
    }

    /// Writes the cotangents of queries, keys and values.
    pub fn backward(&self, head: usize, cotangent: Matrix<T>, into: [Matrix<T>; 3], scratch: &Scratch) {
        let (q, k, v, mask) = (self.q.at(head), self.k.at(head), self.v.at(head), self.mask_at(head));
        let [dq, dk, dv] = into;
        let [tall, wide] = [self.kernel.tall, self.kernel.columns];
        let all = self.limit(self.t);
        let columns = self.turned(k, all, self.d, start(&scratch.columns));
        let values = self.turned(v, all, self.e, start(&scratch.values));
        let keys = self.copied(k, 0..all, self.d, start(&scratch.keys));
        let (weights, slopes, sums) =
            (start::<T>(&scratch.weights), start::<T>(&scratch.slopes), start::<T>(&scratch.sums));
        let [queries, means] = [start::<T>(&scratch.queries), start::<T>(&scratch.cotangents)];
        // The keys to which some query so far may attend: their chains have begun.
        let mut begun = 0;
        for block in threads::chunks(self.t, self.strips() * tall) {
            let pitch = self.limit(block.end).next_multiple_of(LANES);
            self.scaled(q, block.clone(), queries);
            for strip in block.clone().step_by(tall) {
                let strip = strip..block.end.min(strip + tall);
                ask_for_rows(dq, strip.clone(), self.d);
                let (row, seen) = (strip.start - block.start, self.limit(strip.end));
                let width = seen.next_multiple_of(LANES);
                let at = |x: *mut T, pitch: usize| x.wrapping_add(row * pitch);
                let left = Left(at(queries, self.d), self.d as isize, 1);
                let (scores, slopes, means) = (at(weights, pitch), at(slopes, pitch), at(means, self.e));
                self.product(left, columns, scores, pitch as isize, [strip.len(), width, self.d], true);
                let rows = strip.clone();
                dispatch(Weights { scores, pitch, wide: width, seen, queries: rows, causal: self.causal, mask, sums });
                self.copied(cotangent, strip.clone(), self.e, means);
                dispatch(Divide { rows: means, pitch: self.e as isize, count: strip.len(), columns: self.e, by: sums });
                let left = Left(means, self.e as isize, 1);
                self.product(left, values, slopes, pitch as isize, [strip.len(), width, self.e], true);
                dispatch(Slopes { weights: scores, slopes, pitch, wide: width, rows: strip.len(), sums });
                let to = dq.at(strip.start, 0);
                let left = Left(slopes, pitch as isize, 1);
                self.product(left, keys, to, dq.rows, [strip.len(), self.d, seen], true);
                dispatch(Multiply { rows: to, pitch: dq.rows, count: strip.len(), columns: self.d, by: self.scale });
            }
            let seen = self.limit(block.end);
            for key in (0..seen).step_by(tall) {
                let rows = tall.min(seen - key);
                let skipped = if self.causal { key.saturating_sub(block.start) } else { 0 };
                let depth = block.len() - skipped;
                let left = |x: *mut T| Left(x.wrapping_add(skipped * pitch + key).cast_const(), 1, pitch as isize);
                let right = |x: *mut T, width: usize| {
                    Right(x.wrapping_add(skipped * width).cast_const(), wide as isize, width as isize)
                };
                let fresh = key >= begun;
                if fresh {
                    ask_for_rows(dv, key + tall..key + 2 * tall, self.e);
                    ask_for_rows(dk, key + tall..key + 2 * tall, self.d);
                }
                self.product(left(weights), right(means, self.e), dv.at(key, 0), dv.rows, [rows, self.e, depth], fresh);
                self.product(
                    left(slopes),
                    right(queries, self.d),
                    dk.at(key, 0),
                    dk.rows,
                    [rows, self.d, depth],
                    fresh,
                );
            }
            begun = begun.max(seen);
        }
        for key in begun..self.s {
            for (to, columns) in [(dk, self.d), (dv, self.e)] {
                // SAFETY: the row lies in the fresh result of this head, whose rows are contiguous.
                unsafe { std::slice::from_raw_parts_mut(to.at(key, 0), columns) }.fill(T::ZERO);
            }
        }
    }

    /// The register tiles of queries that the backward pass takes together.
    fn strips(&self) -> usize {
        (HELD / (2 * self.kernel.tall * self.s.max(1) * size_of::<T>())).clamp(1, STRIPS)
    }

    /// How many keys the queries before `end` may attend to, as far as the order of both goes.
    fn limit(&self, end: usize) -> usize {
        if self.causal { self.s.min(end) } else { self.s }
    }

    /// How many keys have to be looked at for some queries: those after the last one that a mask leaves are not.
    fn seen(&self, mask: Mask<Matrix<bool>, Matrix<T>>, queries: Range<usize>) -> usize {
        let limit = self.limit(queries.end);
        let Mask::Seen(mask) = mask else { return limit };
        // SAFETY: the mask has an element for each query and key.
        let seen = |query: usize, key: usize| unsafe { *mask.at(query, key) };
        queries.fold(0, |most, query| (most..limit).rev().find(|&key| seen(query, key)).map_or(most, |key| key + 1))
    }

    /// `out (+)= a · b`, of `[rows, columns, depth]`: the chains of `matmul`, or the continuation of the last ones.
    fn product(&self, a: Left<T>, b: Right<T>, out: *mut T, pitch: isize, size: [usize; 3], fresh: bool) {
        let [rows, columns, depth] = size;
        let wide = self.kernel.columns;
        for column in (0..columns).step_by(wide) {
            let width = wide.min(columns - column);
            let tall = self.kernel.rows_for(width);
            for row in (0..rows).step_by(tall) {
                // No steps are one chain, too, whose result is zero.
                for start in (0..depth.max(1)).step_by(SPAN) {
                    let at = start as isize;
                    let tile = Tile {
                        a: a.0.wrapping_offset(row as isize * a.1 + at * a.2),
                        a_row: a.1,
                        a_depth: a.2,
                        b: b.0.wrapping_offset((column / wide) as isize * b.1 + at * b.2),
                        b_depth: b.2,
                        out: out.wrapping_offset(row as isize * pitch).wrapping_add(column),
                        out_row: pitch,
                        rows: tall.min(rows - row),
                        columns: width,
                        depth: SPAN.min(depth - start),
                        chains: match (fresh, start) {
                            (true, 0) => Chains::Fresh,
                            (true, _) => Chains::Added,
                            (false, _) => Chains::Continued,
                        },
                    };
                    // SAFETY: callers name elements of scratch memory, of the operands and of their own part of the result.
                    unsafe { (self.kernel.run)(&tile) };
                }
            }
        }
    }

    /// The scores of a few queries, from keys whose rows are contiguous: several keys side by side. The next keys and the values, which
    /// lie apart in memory, are asked for meanwhile.
    fn dots(&self, a: Left<T>, k: Matrix<T>, v: Matrix<T>, out: *mut T, [rows, pitch, seen]: [usize; 3]) {
        let run = T::columns();
        for row in 0..rows {
            let left = a.0.wrapping_offset(row as isize * a.1);
            for key in (0..seen).step_by(CHAINS) {
                if row == 0 {
                    ask_for_rows(k, key + CHAINS..(key + 2 * CHAINS).min(seen), self.d);
                    ask_for_rows(v, key..(key + CHAINS).min(seen), self.e);
                }
                // A short group repeats its last key.
                let keys: [*const T; CHAINS] = std::array::from_fn(|i| k.at((key + i).min(seen - 1), 0).cast_const());
                // SAFETY: rows of keys and the scaled query have `d` elements; the row of scores has room for all keys.
                unsafe {
                    let to = std::slice::from_raw_parts_mut(out.add(row * pitch + key), CHAINS.min(seen - key));
                    for steps in threads::chunks(self.d, SPAN) {
                        let (left, keys) = (left.add(steps.start), keys.map(|key| key.add(steps.start)));
                        let mut sums = [T::ZERO; CHAINS];
                        let size = [steps.len(), self.d - steps.end];
                        let done = run.map_or(0, |run| run(&keys, left, 1, size, &mut sums));
                        for depth in done..steps.len() {
                            let x = *left.add(depth);
                            sums.iter_mut().zip(&keys).for_each(|(s, key)| *s = x.mul_add(*key.add(depth), *s));
                        }
                        to.iter_mut()
                            .zip(sums)
                            .for_each(|(to, sum)| *to = if steps.start > 0 { *to + sum } else { sum });
                    }
                }
            }
        }
    }

    /// A matrix with contiguous rows, where it lies.
    fn rows(&self, x: Matrix<T>) -> Right<T> {
        Right(x.ptr, self.kernel.columns as isize, x.rows)
    }

    /// Rows of `x`, copied to `to` side by side.
    fn copied(&self, x: Matrix<T>, rows: Range<usize>, columns: usize, to: *mut T) -> Right<T> {
        dispatch(Copy { x, rows, columns, to, by: None });
        Right(to, self.kernel.columns as isize, columns as isize)
    }

    /// The queries, multiplied with the scale.
    fn scaled(&self, q: Matrix<T>, rows: Range<usize>, to: *mut T) {
        dispatch(Copy { x: q, rows, columns: self.d, to, by: Some(self.scale) });
    }

    /// `x` transposed, as panels as wide as a tile; what is missing to whole lanes is 0.
    fn turned(&self, x: Matrix<T>, rows: usize, columns: usize, to: *mut T) -> Right<T> {
        Turn { x, rows, columns, to, wide: self.kernel.columns }.run();
        let wide = self.kernel.columns as isize;
        Right(to, columns as isize * wide, wide)
    }
}
