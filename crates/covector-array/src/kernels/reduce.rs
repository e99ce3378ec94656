//! Reductions: sums, products, largest and smallest values, and where they are.
//!
//! The order of combination depends on the logical sequence alone: blocks of 256 elements in 16 interleaved lanes, the
//! lanes and then the blocks combined pairwise. So the result has the same bits for any memory layout, instruction set and
//! number of threads, and a sum is about as accurate as pairwise summation. [`rows`] runs along the sequence, [`columns`]
//! across many sequences at once; both keep this order.

mod arg;
mod columns;
mod few;
mod fold;
mod lanes;
mod partial;
mod rows;
mod source;

pub use arg::arg_reduce;
pub(super) use partial::Partial;

use fold::{Fold, Max, Min, Prod, Sum};
use smallvec::SmallVec;
use source::Source;

use super::layout::{Layout, Shared};
use super::{cast, complex, copy};
use crate::math::Num;
use crate::{Array, DType, bf16, f16, threads};

/// Elements combined in lanes before the pairwise tree begins.
pub(super) const BLOCK: usize = 256;
/// Interleaved partial results within a block.
pub(super) const LANES: usize = 16;

/// How elements are combined.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reduction {
    /// The sum; 0 of nothing. Integers wrap.
    Sum,
    /// The product; 1 of nothing. Integers wrap.
    Prod,
    /// The largest; NaN wins. Of bools: whether any is true.
    Max,
    /// The smallest; NaN wins. Of bools: whether all are true.
    Min,
}

/// Combines the elements along `axes`, which are dropped. f16 and bf16 are combined in f32 and rounded once.
///
/// # Panics
/// For the largest or smallest of no elements, the sum or product of bools, and extremes of complex numbers.
pub fn reduce(op: Reduction, x: &Array, axes: &[usize]) -> Array {
    let shape = x.shape().without(|i| axes.contains(&i));
    let count: usize = axes.iter().map(|&a| x.shape()[a]).product();
    let extreme = matches!(op, Reduction::Max | Reduction::Min);
    assert!(count > 0 || !extreme || shape.size() == 0, "{op:?} of no elements: {} over axes {axes:?}", x.shape());
    match x.dtype() {
        DType::C64 | DType::C128 => return complex::reduce(op, x, axes),
        DType::Bool => {
            assert!(extreme, "{op:?} of bool: cast first");
            return cast(&reduce(op, &cast(x, DType::U8), axes), DType::Bool);
        }
        _ => {}
    }
    if shape.size() == 0 || count == 0 {
        let empty = if op == Reduction::Prod { 1.0 } else { 0.0 };
        return Array::full(shape, empty, x.dtype()).contiguous();
    }
    let half = matches!(x.dtype(), DType::F16 | DType::BF16);
    let out = Array::uninit(shape, if half { DType::F32 } else { x.dtype() });
    // Wrapping sums and products do not depend on the sign.
    macro_rules! run {
        ($($d:ident $t:ident $u:ident),*) => {
            match (x.dtype(), op) {
                $((DType::$d, Reduction::Sum) => run::<$u, Sum>(x, axes, &out),
                (DType::$d, Reduction::Prod) => run::<$u, Prod>(x, axes, &out),
                (DType::$d, Reduction::Max) => run::<$t, Max>(x, axes, &out),
                (DType::$d, Reduction::Min) => run::<$t, Min>(x, axes, &out),)*
                (other, _) => unreachable!("{other} was handled above"),
            }
        };
    }
    run!(
        U8 u8 u8, U16 u16 u16, U32 u32 u32, U64 u64 u64, I8 i8 u8, I16 i16 u16, I32 i32 u32, I64 i64 u64,
        F16 f16 f16, BF16 bf16 bf16, F32 f32 f32, F64 f64 f64
    );
    cast(&out, x.dtype())
}

/// Evaluates an expression with `$T` the element type (f32 or f64) and `$F` the fold.
macro_rules! with_fold {
    ($dtype:expr, $op:expr, $T:ident, $F:ident => $body:expr) => {
        match ($dtype, $op) {
            (DType::F32, op) => with_fold!(@of f32, op, $T, $F => $body),
            (DType::F64, op) => with_fold!(@of f64, op, $T, $F => $body),
            (other, _) => panic!("runs of {other} are not folded tile by tile"),
        }
    };
    (@of $t:ty, $op:expr, $T:ident, $F:ident => $body:expr) => {
        match $op {
            Reduction::Sum => with_fold!(@by $t, Sum, $T, $F => $body),
            Reduction::Prod => with_fold!(@by $t, Prod, $T, $F => $body),
            Reduction::Max => with_fold!(@by $t, Max, $T, $F => $body),
            Reduction::Min => with_fold!(@by $t, Min, $T, $F => $body),
        }
    };
    (@by $t:ty, $f:ident, $T:ident, $F:ident => $body:expr) => {{
        type $T = $t;
        type $F = $f;
        $body
    }};
}
use with_fold;

/// Combines each of so many runs of elements, whose length comes last, to one, in the order of [`reduce`].
///
/// # Safety
/// The elements must be readable and the results writable, without overlap.
pub(super) type FoldRows = unsafe fn(*const u8, *mut u8, usize, usize);

/// The fold of rows of floats.
pub(super) fn fold_rows(op: Reduction, dtype: DType) -> FoldRows {
    /// See [`FoldRows`].
    unsafe fn rows<T: Num, F: Fold<T>>(x: *const u8, out: *mut u8, rows: usize, row: usize) {
        // SAFETY: the caller's promise; runs lie side by side.
        unsafe { rows::lines::<T, F>(x.cast(), row, row, std::slice::from_raw_parts_mut(out.cast(), rows)) };
    }
    with_fold!(dtype, op, T, F => rows::<T, F>)
}

/// Combines lines of `len` elements that begin `pitch` apart, one for each element of `out`, in the order in which [`reduce`] does.
///
/// # Safety
/// The lines must be readable.
pub(super) unsafe fn fold_lines<T: Num>(op: Reduction, x: *const T, pitch: usize, len: usize, out: &mut [T]) {
    // SAFETY: the caller's promise.
    unsafe {
        match op {
            Reduction::Sum => rows::lines::<T, Sum>(x, pitch, len, out),
            Reduction::Prod => rows::lines::<T, Prod>(x, pitch, len, out),
            Reduction::Max => rows::lines::<T, Max>(x, pitch, len, out),
            Reduction::Min => rows::lines::<T, Min>(x, pitch, len, out),
        }
    }
}

/// An axis that stays: its size and its strides in the input and the output.
#[derive(Clone, Copy)]
struct Kept {
    size: usize,
    stride: isize,
    out: isize,
}

/// One reduction of a non-empty array, ready to be cut into pieces.
struct Job<S: Source> {
    x: Shared<S>,
    out: Shared<S::Seen>,
    /// The axes that stay, outermost first, without those of size 1.
    kept: SmallVec<[Kept; 6]>,
    /// The logical sequence behind each output.
    sequence: Layout,
    /// Its length.
    count: usize,
    /// Sequences are cut into pieces of this many elements: a power of two times [`BLOCK`].
    piece: usize,
    /// Number of outputs; piece `i` of every sequence is written `i * outputs` elements further on.
    outputs: usize,
}

/// Long sequences are cut into about so many pieces: more would lie apart in memory for nothing.
const PIECES: usize = 32;
/// Elements worth a piece of parallel work of their own.
const GRAIN: usize = 1 << 15;
/// Sequences that lie one after another are taken together up to so many elements, since beginning elsewhere in memory costs
/// time, but so that there are about so many pieces.
const TOGETHER: usize = 1 << 18;
const CHUNKS: usize = 64;

fn run<S: Source, F: Fold<S::Seen>>(x: &Array, axes: &[usize], out: &Array) {
    let strides = out.shape().contiguous_strides();
    let mut kept: SmallVec<[Kept; 6]> = SmallVec::new();
    let stays = (0..x.ndim()).filter(|i| !axes.contains(i));
    for (axis, &out) in stays.zip(&strides) {
        let (size, stride) = (x.shape()[axis], x.strides()[axis]);
        match kept.last_mut() {
            _ if size == 1 => {}
            Some(last) if last.stride == stride * size as isize => {
                *last = Kept { size: last.size * size, stride, out };
            }
            _ => kept.push(Kept { size, stride, out }),
        }
    }
    let reduced = (0..x.ndim()).filter(|i| axes.contains(i)).map(|i| (x.shape()[i], x.strides()[i]));
    let mut reduced: SmallVec<[(usize, isize); 6]> = reduced.collect();
    if S::DTYPE.is_int() {
        // Whatever the order, integers combine to the same: as they lie in memory.
        reduced.sort_by_key(|&(_, stride)| std::cmp::Reverse(stride.unsigned_abs()));
    }
    let sequence = Layout::new(reduced);
    let (outputs, count) = (out.size(), x.size() / out.size());
    let step = sequence.inner().1.unsigned_abs();
    let nearest = kept.iter().enumerate().min_by_key(|(_, k)| k.stride.unsigned_abs()).map(|(i, k)| (i, *k));
    // Few short steps to a neighbour output, or long ones along the sequence: go across sequences.
    let across = nearest.filter(|(_, k)| {
        let closer = k.stride.unsigned_abs() < step && k.size > 1;
        closer || (count <= 16 && k.size >= 64)
    });
    if across.is_none() && step > 16 && sequence.outer().iter().any(|o| o.1.unsigned_abs() < step) && x.size() > GRAIN {
        // A sequence that jumps about in memory: straighten it first.
        return run::<S, F>(&copy(x), axes, out);
    }
    let mut job = Job {
        x: Shared(x.ptr::<S>().cast_mut()),
        out: Shared(out.ptr::<S::Seen>().cast_mut()),
        kept,
        sequence,
        count,
        piece: usize::MAX,
        outputs,
    };
    // Few long sequences are cut, so that there is work for many threads.
    if outputs < 1024 && count >= 4 * GRAIN / outputs.min(GRAIN / BLOCK) {
        job.piece = (GRAIN / outputs).max(count / PIECES).next_power_of_two().max(rows::SPAN);
    }
    let pieces = count.div_ceil(job.piece);
    if pieces == 1 && few::suits(&job, across.is_some()) {
        return few::run::<S, F>(&job);
    }
    if pieces == 1 {
        return job.all::<F>(1, across.map(|(i, _)| i));
    }
    let mut partial = vec![Num::ZERO; pieces * outputs];
    job.out = Shared(partial.as_mut_ptr());
    job.all::<F>(pieces, across.map(|(i, _)| i));
    for i in 0..outputs {
        let mut tree = fold::Tree::<S::Seen, F>::new();
        (0..pieces).for_each(|p| tree.push(partial[p * outputs + i]));
        // SAFETY: the output is a fresh contiguous array of `outputs` elements.
        unsafe { *out.ptr::<S::Seen>().cast_mut().add(i) = tree.finish() };
    }
}

impl<S: Source> Job<S> {
    fn all<F: Fold<S::Seen>>(&self, pieces: usize, across: Option<usize>) {
        let total = self.outputs * self.count;
        match across {
            None => {
                let grain = (total / CHUNKS).clamp(GRAIN, TOGETHER);
                let mut rows = (grain / self.count.min(self.piece)).max(1);
                if !self.sequence.outer().is_empty() {
                    rows = rows.max(rows::INTERLEAVED.min(self.outputs.div_ceil(4)));
                }
                let chunks = self.outputs.div_ceil(rows);
                threads::for_each(chunks * pieces, total, |i| {
                    let (piece, start) = (i / chunks, i % chunks * rows);
                    rows::run::<S, F>(self, start..(start + rows).min(self.outputs), piece);
                });
            }
            Some(axis) => {
                let mut others = self.kept.clone();
                let columns = others.remove(axis);
                let width = columns.size.min(columns::WIDTH);
                let tiles = columns.size.div_ceil(width);
                // Narrow tasks are taken together.
                let tasks = tiles * others.iter().map(|k| k.size).product::<usize>();
                let group = (GRAIN / (width * self.count.min(self.piece))).max(1);
                let groups = tasks.div_ceil(group);
                threads::for_each(groups * pieces, total, |i| {
                    let (piece, start) = (i / groups, i % groups * group);
                    columns::run::<S, F>(self, &others, columns, start..(start + group).min(tasks), piece);
                });
            }
        }
    }
}
