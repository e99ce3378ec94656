//! Where the largest or smallest element is.

use super::fold::dispatch_common;
use crate::isa::Work;
use crate::kernels::cast;
use crate::kernels::layout::{Layout, Shared, gather, offset_of};
use crate::math::Num;
use crate::{Array, DType, threads};

/// Columns looked at together.
const WIDTH: usize = 256;
/// Sequences of up to so many elements are looked at many together.
const SHORT: usize = 32;

/// The index of the largest (or smallest) element along `axis`, which is dropped: the first of equals; NaN wins. i64.
///
/// # Panics
/// If the axis is empty but the result is not.
pub fn arg_reduce(max: bool, x: &Array, axis: usize) -> Array {
    let shape = x.shape().without(|i| i == axis);
    let count = x.shape()[axis];
    assert!(count > 0 || shape.size() == 0, "the index of an extreme of no elements: {} over axis {axis}", x.shape());
    let out = Array::uninit(shape, DType::I64);
    if out.size() == 0 {
        return out;
    }
    macro_rules! run {
        ($($d:ident $t:ident),*) => {
            match x.dtype() {
                DType::F16 | DType::BF16 => return arg_reduce(max, &cast(x, DType::F32), axis),
                DType::C64 | DType::C128 => panic!("complex numbers have no order"),
                DType::Bool => return arg_reduce(max, &cast(x, DType::U8), axis),
                $(DType::$d if max => run::<$t, true>(x, axis, &out),
                DType::$d => run::<$t, false>(x, axis, &out),)*
            }
        };
    }
    run!(U8 u8, U16 u16, U32 u32, U64 u64, I8 i8, I16 i16, I32 i32, I64 i64, F32 f32, F64 f64);
    out
}

fn run<T: Num, const MAX: bool>(x: &Array, axis: usize, out: &Array) {
    let (count, step) = (x.shape()[axis], x.strides()[axis]);
    let others = (0..x.ndim()).filter(|&i| i != axis).map(|i| (x.shape()[i], x.strides()[i]));
    let kept = Layout::new(others);
    let (columns, stride) = kept.inner();
    let (src, dst) = (Shared(x.ptr::<T>().cast_mut()), Shared(out.ptr::<i64>().cast_mut()));
    // Tiles of neighbouring columns if that is the way memory runs or sequences are short, else one sequence at a time.
    let width = if columns < 8 || (step == 1 && count > SHORT) { 1 } else { columns.min(WIDTH) };
    let tiles = columns.div_ceil(width);
    let sequence = Layout::new([(count, step)]);
    let group = ((1 << 15) / (count * width)).max(1);
    let tasks = out.size() / columns * tiles;
    threads::for_each(tasks.div_ceil(group), x.size(), |i| {
        let mut best = vec![T::ZERO; width.max(if width == 1 { count } else { 2 * width })];
        for task in i * group..(i * group + group).min(tasks) {
            let (place, first) = (task / tiles, task % tiles * width);
            let width = width.min(columns - first);
            // SAFETY: the offset is that of an element of the array; each task writes its own part of the output.
            let (x, out) = unsafe {
                let offset = offset_of(kept.outer(), place) + first as isize * stride;
                let out = dst.get().add(place * columns + first);
                (src.get().cast_const().offset(offset), std::slice::from_raw_parts_mut(out, width))
            };
            if width == 1 {
                let row = if step == 1 {
                    // SAFETY: the sequence is a contiguous run of the array.
                    unsafe { std::slice::from_raw_parts(x, count) }
                } else {
                    // SAFETY: `best` has room for the sequence.
                    unsafe { gather(x.cast(), T::DTYPE, &sequence, 0, count, best.as_mut_ptr().cast()) };
                    &best[..count]
                };
                out[0] = dispatch_common::<T, _>(First::<T, MAX> { row }) as i64;
            } else {
                let (best, row) = best.split_at_mut(width);
                dispatch_common::<T, _>(Columns::<T, MAX> { x, count, step, stride, best, row, out });
            }
        }
    });
}

/// True if `x` displaces `best`: NaN displaces numbers, and nothing displaces NaN.
#[inline(always)]
#[allow(clippy::eq_op)]
fn displaces<T: Num, const MAX: bool>(x: T, best: T) -> bool {
    let better = if MAX { x > best } else { x < best };
    better | ((x != x) & (best == best))
}

/// The one of two that stays; of equals the second.
#[inline(always)]
fn better<T: Num, const MAX: bool>(x: T, best: T) -> T {
    if displaces::<T, MAX>(x, best) { x } else { best }
}

/// The index of the extreme of a slice.
struct First<'a, T, const MAX: bool> {
    row: &'a [T],
}

impl<T: Num, const MAX: bool> Work for First<'_, T, MAX> {
    type Output = usize;
    #[inline(always)]
    #[allow(clippy::eq_op)]
    fn run(self) -> usize {
        const LANES: usize = 32;
        let (chunks, rest) = self.row.as_chunks::<LANES>();
        let mut best = self.row[0];
        if let Some((first, chunks)) = chunks.split_first() {
            let mut lanes = *first;
            for chunk in chunks {
                for i in 0..LANES {
                    lanes[i] = better::<T, MAX>(chunk[i], lanes[i]);
                }
            }
            let mut half = LANES / 2;
            while half > 0 {
                for i in 0..half {
                    lanes[i] = better::<T, MAX>(lanes[i + half], lanes[i]);
                }
                half /= 2;
            }
            best = lanes[0];
        }
        best = rest.iter().fold(best, |best, &x| better::<T, MAX>(x, best));
        let is_best = |x: T| (x == best) | ((x != x) & (best != best));
        let holds = |chunk: &&[T; LANES]| chunk.iter().fold(false, |found, &x| found | is_best(x));
        let at = LANES * chunks.iter().take_while(|chunk| !holds(chunk)).count();
        at + self.row[at..].iter().position(|&x| is_best(x)).expect("the extreme is one of the elements")
    }
}

/// The indices of the extremes of neighbouring columns.
struct Columns<'a, T, const MAX: bool> {
    x: *const T,
    count: usize,
    step: isize,
    stride: isize,
    best: &'a mut [T],
    row: &'a mut [T],
    out: &'a mut [i64],
}

impl<T: Num, const MAX: bool> Work for Columns<'_, T, MAX> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.out.len();
        let (best, out, row) = (&mut self.best[..n], self.out, &mut self.row[..n]);
        let layout = Layout::new([(n, self.stride)]);
        for index in 0..self.count {
            // SAFETY: the row lies in the array; its columns are `stride` apart.
            let line = unsafe {
                let first = self.x.offset(index as isize * self.step);
                if self.stride == 1 {
                    std::slice::from_raw_parts(first, n)
                } else {
                    gather(first.cast(), T::DTYPE, &layout, 0, n, row.as_mut_ptr().cast());
                    &*row
                }
            };
            if index == 0 {
                best.copy_from_slice(line);
                out.fill(0);
                continue;
            }
            for i in 0..n {
                let wins = displaces::<T, MAX>(line[i], best[i]);
                best[i] = if wins { line[i] } else { best[i] };
                out[i] = if wins { index as i64 } else { out[i] };
            }
        }
    }
}
