//! The adjoint of sliding windows.

use super::strided::{Columns, Fold, Source, Walk, par_chunks, par_columns, with_fold};
use crate::{Array, DType, kernels};

/// Sums windows back onto the axis they were taken from: the adjoint of [`Array::windows`].
///
/// Shapes: `[.., n, .., size] -> [.., len, ..]` with the windows' number `n` at `axis`; element `j` of window `i` is
/// added at `i * step + j * dilation`. Every sum runs over `j` upwards; halves are summed in f32.
///
/// # Panics
/// If a window reaches beyond `len`.
pub fn overlap_add(x: &Array, axis: usize, len: usize, step: usize, dilation: usize) -> Array {
    let last = x.ndim() - 1;
    assert!(axis < last, "overlap_add: axis {axis} is not before the last of {}", x.shape());
    let (n, size) = (x.shape()[axis], x.shape()[last]);
    let reach = n.saturating_sub(1) * step + size.saturating_sub(1) * dilation;
    assert!(n == 0 || size == 0 || reach < len, "overlap_add: windows of {} reach beyond {len}", x.shape());
    if matches!(x.dtype(), DType::F16 | DType::BF16) {
        let wide = kernels::cast(x, DType::F32);
        return kernels::cast(&overlap_add(&wide, axis, len, step, dilation), x.dtype());
    }
    if x.dtype().is_complex() {
        // The windows come last, so the parts go before them.
        let mut order: Vec<usize> = (0..=x.ndim()).collect();
        order.swap(last, last + 1);
        return overlap_add(&x.parts().permute(&order), axis, len, step, dilation).of_parts();
    }
    let shape = x.shape().without(|a| a == last).with_axis(axis, len);
    with_fold!(x.dtype(), T => Array::build::<T>(shape, |out| add::<T>(x, axis, len, step, dilation, out)))
}

/// What is summed: windows `i` of elements `j`, the input's strides along both.
struct Windows {
    n: usize,
    step: usize,
    size: usize,
    dilation: usize,
    strides: [isize; 2],
}

/// Columns per task where runs lie behind the windowed axis.
const WIDTH: usize = 1024;

fn add<T: Fold>(x: &Array, axis: usize, len: usize, step: usize, dilation: usize, out: &mut [T]) {
    out.fill(T::default());
    if x.size() == 0 {
        return;
    }
    let last = x.ndim() - 1;
    let (shape, strides) = (x.shape(), x.strides());
    let w = Windows { n: shape[axis], step, size: shape[last], dilation, strides: [strides[axis], strides[last]] };
    let source = Source::<T>::of(x);
    let outer = Walk::new(&shape[..axis], &strides[..axis]);
    let middle = Walk::new(&shape[axis + 1..last], &strides[axis + 1..last]);
    let inner = shape[axis + 1..last].iter().product();
    let sizes = [out.len() / (len * inner), len, inner];
    // Whichever loop is innermost, each sum runs over `j` upwards: the bits depend on no layout.
    match middle.uniform() {
        Some(stride) if inner >= 8 => par_columns(out, sizes, WIDTH, x.size(), |o, columns, mut out| {
            w.add_columns(&source, outer.at(o) + columns.start as isize * stride, stride, &mut out);
        }),
        _ => par_chunks(out, len * inner, x.size(), |start, out| {
            let base = outer.at(start / (len * inner));
            (0..inner).for_each(|m| w.add_strided(&source, base + middle.at(m), &mut out[m..], inner));
        }),
    }
}

impl Windows {
    /// Runs along the columns, for every window and element of it.
    fn add_columns<T: Fold>(&self, source: &Source<T>, base: isize, stride: isize, out: &mut Columns<T>) {
        for (j, i) in (0..self.size).flat_map(|j| (0..self.n).map(move |i| (j, i))) {
            let from = base + i as isize * self.strides[0] + j as isize * self.strides[1];
            let width = out.width();
            let to = out.row(i * self.step + j * self.dilation);
            match stride {
                1 => to.iter_mut().zip(source.run(from, width)).for_each(|(o, &v)| *o = o.plus(v)),
                _ => to.iter_mut().enumerate().for_each(|(m, o)| *o = o.plus(source.at(from + m as isize * stride))),
            }
        }
    }

    /// Runs along the windows, for every element of a window; neighbours on the axis are `pitch` apart in `out`.
    fn add_strided<T: Fold>(&self, source: &Source<T>, base: isize, out: &mut [T], pitch: usize) {
        for j in 0..self.size {
            let from = base + j as isize * self.strides[1];
            let (out, pitch) = (&mut out[j * self.dilation * pitch..], self.step * pitch);
            match self.strides[0] {
                1 if pitch == 1 => out.iter_mut().zip(source.run(from, self.n)).for_each(|(o, &v)| *o = o.plus(v)),
                1 => out.iter_mut().step_by(pitch).zip(source.run(from, self.n)).for_each(|(o, &v)| *o = o.plus(v)),
                stride => (out.iter_mut().step_by(pitch).take(self.n).enumerate())
                    .for_each(|(i, o)| *o = o.plus(source.at(from + i as isize * stride))),
            }
        }
    }
}
