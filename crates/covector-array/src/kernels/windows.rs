//! The adjoint of sliding windows.

use super::strided::{Fold, Source, Walk, par_chunks, with_fold};
use crate::{Array, DType, kernels};

/// Sums windows back onto the axis they were taken from: the adjoint of [`Array::windows`].
///
/// Shapes: `[.., n, .., size] -> [.., len, ..]` with the windows' number `n` at `axis`; element `j` of window `i` is added
/// at `i * step + j * dilation`. Every sum runs over `j` upwards; halves are summed in f32.
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
    let shape = x.shape().without(|a| a == last).with_axis(axis, len);
    with_fold!(x.dtype(), T => Array::build::<T>(shape, |out| add::<T>(x, axis, len, step, dilation, out)))
}

fn add<T: Fold>(x: &Array, axis: usize, len: usize, step: usize, dilation: usize, out: &mut [T]) {
    let last = x.ndim() - 1;
    let (shape, strides) = (x.shape(), x.strides());
    let (n, size) = (shape[axis], shape[last]);
    let source = Source::<T>::of(x);
    let outer = Walk::new(&shape[..axis], &strides[..axis]);
    let middle = Walk::new(&shape[axis + 1..last], &strides[axis + 1..last]);
    let inner: usize = shape[axis + 1..last].iter().product();
    out.fill(T::default());
    if x.size() == 0 {
        return;
    }
    par_chunks(out, len * inner, x.size(), |start, out| {
        let base = outer.at(start / (len * inner));
        for m in 0..inner {
            let base = base + middle.at(m);
            for j in 0..size {
                let base = base + j as isize * strides[last];
                for i in 0..n {
                    let o = &mut out[(i * step + j * dilation) * inner + m];
                    *o = o.plus(source.at(base + i as isize * strides[axis]));
                }
            }
        }
    });
}
