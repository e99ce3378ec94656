//! Picking elements by integer tensors and masks, and putting them back.
//!
//! Negative indices count from the end. An index out of range is an error when the values are computed; it names the
//! index, the axis and its size, and the line of the op. Never is it clamped or skipped.

use covector_array::kernels::{self, Scatter as Mode};
use covector_array::{DType, Shape};
use covector_derive::{op, op_list};

use super::complex::require_order;
use super::create::addressable;
use super::gather::{Checked, Gather, Places, try_scatter};
use super::view::{broadcast, expand, reshaped};
use crate::labels;
use crate::{Axis, Error, ErrorKind, Result, Tensor};

/// `updates` in the dtype of `x`.
fn fitting(x: &Tensor, updates: &Tensor) -> Result<Tensor> {
    let dtypes = (updates.dtype(), x.dtype());
    if dtypes.0.is_complex() && !dtypes.1.is_complex() || dtypes.0.is_inexact() && !dtypes.1.is_inexact() {
        return Err(Error::new(format!("{} values do not fit into {}", updates.dtype(), x.spec()))
            .hint("cast one of the two, so that it is clear what becomes of what does not fit"));
    }
    Ok(updates.cast(x.dtype()))
}

/// `x` repeated to `shape`, with an error that says of what.
fn spread(x: &Tensor, shape: &Shape, what: &str) -> Result<Tensor> {
    if x.shape().broadcast(shape).as_ref() == Some(shape) {
        return Ok(expand(x, shape));
    }
    Err(Error::new(format!("{what} of shape {} do not broadcast to {shape}", x.shape()))
        .hint("shapes are aligned at the right; sizes must be equal, or one of them 1"))
}

/// `indices` in the layout of `take_along_axis`: broadcast to `x` on every axis but `axis`.
fn aligned(x: &Tensor, indices: &Tensor, axis: usize) -> Result<Tensor> {
    if indices.ndim() != x.ndim() {
        return Err(Error::new(format!("indices must have {} axes like x, not {}", x.ndim(), indices.ndim()))
            .hint("to pick whole slices use `take`"));
    }
    spread(indices, &x.shape().with_axis(axis, indices.shape()[axis]), "indices")
}

/// The positions at which a mask is true, one i64 vector per axis. Reads the mask.
pub(super) fn positions(mask: &Tensor) -> Result<Vec<Tensor>> {
    Ok(kernels::nonzero(&mask.try_value()?).into_iter().map(Tensor::from_array).collect())
}

/// One index into the flattened leading axes of `shape`, from one index per axis.
fn flattened(indices: &[Tensor], shape: &Shape) -> Result<Tensor> {
    let mut flat: Option<Tensor> = None;
    for (axis, i) in indices.iter().enumerate() {
        // Each is checked against its own axis: a sum in range does not mean that its parts are.
        let checked = Tensor::apply(Checked { size: shape[axis], shown: axis }, [i.clone()])?;
        flat = Some(match flat {
            None => checked,
            Some(flat) => flat * shape[axis] + checked,
        });
    }
    flat.ok_or_else(|| Error::new("no indices were given"))
}

/// Slices of `x` along `axis`, picked by integers.
///
/// Shapes: `x [.., n, ..], indices [k..] -> [.., k.., ..]`: the axes of the indices replace `axis`; a 0-d index drops it.
/// Any dtype; indices of any integer dtype, negative ones count from the end. The derivative adds up what one slice gave
/// to several places.
/// # Errors
/// If the axis is out of range or the indices are no integers; when computed, if an index is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([10.0f32, 20.0, 30.0]);
/// assert_eq!(x.take(&Tensor::from([2, 0, -1]), 0).to_vec::<f32>(), [30.0, 10.0, 30.0]);
/// ```
/// Source: NumPy's `take`.
#[op(samples = [
    (real([4, 3]), exact_ints(&[2, 0, 2, -1], [4]), 0), (real([2, 3, 2]), exact_ints(&[1, -3, 0, 1], [2, 2]), 1),
    (real([2, 3]), exact_ints(&[2], ()), -1), (real([3]), exact_ints(&[], [0]), 0),
    (complex([4, 3]), exact_ints(&[2, 0, 2, -1], [4]), 0),
])]
pub fn take(x: &Tensor, indices: &Tensor, axis: Axis) -> Result<Tensor> {
    let places = Places::rows(x.axis(axis)?);
    Tensor::apply(Gather { places }, [x.clone(), indices.clone()])
}

/// Elements of `x` at indices along `axis`, the other axes running in step.
///
/// Shapes: `x [.., n, ..], indices [.., k, ..] -> [.., k, ..]`; the other axes of the indices broadcast to those of `x`.
/// Any dtype; indices of any integer dtype, negative ones count from the end. The derivative adds up what one element
/// gave to several places.
/// # Errors
/// If the axis is out of range, the ranks differ, the shapes do not fit or the indices are no integers; when computed,
/// if an index is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(x.take_along_axis(&Tensor::from([[1], [0]]), 1).to_vec::<f32>(), [2.0, 3.0]);
/// ```
/// Source: NumPy's `take_along_axis`, PyTorch's `gather`.
#[op(samples = [
    (real([3, 4]), exact_ints(&[1, -1, 0, 3, 2, 2], [3, 2]), 1), (real([2, 3, 2]), exact_ints(&[2, 0, 1, 1], [2, 1, 2]), 1),
    (real([4]), exact_ints(&[3, 0, 3], [3]), -1),
    (complex([3, 4]), exact_ints(&[1, -1, 0, 3, 2, 2], [3, 2]), 1),
])]
pub fn take_along_axis(x: &Tensor, indices: &Tensor, axis: Axis) -> Result<Tensor> {
    let axis = x.axis(axis)?;
    let indices = aligned(x, indices, axis)?;
    Tensor::apply(Gather { places: Places::along(axis) }, [x.clone(), indices])
}

/// Elements or slices of `x` at integer positions of its leading axes: `x[i, j, ..]`.
///
/// Shapes: the indices broadcast to one shape `[k..]`; `x [n, m, .., rest..] -> [k.., rest..]`, as many axes replaced as
/// there are indices. A bool mask stands for the positions at which it is true, one index per axis of the mask; as their
/// number depends on the data, the mask is read at once, and cannot be an example of `vmap`. Negative indices count from
/// the end. The derivative adds up what one element gave to several places.
/// # Errors
/// If there are no or too many indices, they do not broadcast, or a mask has not the shape of the axes it stands for;
/// when computed, if an index is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(x.index(&[Tensor::from([0, 1]), Tensor::from([1, 0])]).to_vec::<f32>(), [2.0, 3.0]);
/// assert_eq!(x.index(&[Tensor::from([false, true])]).to_vec::<f32>(), [3.0, 4.0]);
/// ```
/// Source: NumPy's advanced indexing.
#[op(samples = [
    (real([3, 4]), [exact_ints(&[0, 2, -1], [3]), exact_ints(&[1, -4, 3], [3])]),
    (real([3, 2, 2]), [exact_ints(&[0, 2], [2, 1]), exact_ints(&[1, 0, 1], [3])]), (real([4, 2]), [exact_ints(&[3, 3], [2])]),
])]
pub fn index(x: &Tensor, indices: &[Tensor]) -> Result<Tensor> {
    let mut list: Vec<Tensor> = Vec::with_capacity(indices.len());
    for i in indices {
        if i.dtype() != DType::Bool {
            list.push(i.clone());
            continue;
        }
        let covered = x.shape().get(list.len()..list.len() + i.ndim());
        if i.ndim() == 0 || covered != Some(&i.shape()[..]) {
            return Err(Error::new(format!(
                "a mask of shape {} does not fit the axes from {} on",
                i.shape(),
                list.len()
            ))
            .hint("a mask has the sizes of the axes it stands for")
            .of_kind(ErrorKind::Index));
        }
        list.extend(positions(i)?);
    }
    let n = list.len();
    if n > x.ndim() {
        return Err(Error::new(format!("{n} indices for {} axes", x.ndim())).of_kind(ErrorKind::Index));
    }
    let mut shape = Shape::scalar();
    for i in &list {
        let joint = shape.broadcast(i.shape());
        shape = joint.ok_or_else(|| {
            Error::new(format!("indices do not broadcast: {} and {shape}", i.shape())).of_kind(ErrorKind::Index)
        })?;
    }
    let list: Vec<Tensor> = list.iter().map(|i| expand(i, &shape)).collect();
    if let [one] = &list[..] {
        return Tensor::apply(Gather { places: Places::rows(0) }, [x.clone(), one.clone()]);
    }
    let flat = flattened(&list, x.shape())?;
    let (lead, rest) = x.shape().split_at(n);
    let rows: Shape = std::iter::once(lead.iter().product()).chain(rest.iter().copied()).collect();
    Tensor::apply(Gather { places: Places::rows(0) }, [reshaped(x, rows), flat])
}

/// Writes `updates` into a copy of `x` at indices along `axis`, in the layout of [`take_along_axis`].
fn written(x: &Tensor, indices: &Tensor, updates: &Tensor, axis: Axis, mode: Mode) -> Result<Tensor> {
    if matches!(mode, Mode::Max | Mode::Min) {
        require_order(x.spec())?;
    }
    let axis = x.axis(axis)?;
    let indices = aligned(x, indices, axis)?;
    let updates = spread(&fitting(x, updates)?, indices.shape(), "updates")?;
    try_scatter(&Places::along(axis), mode, x, &indices, &updates)
}

/// `x` with the elements at indices along `axis` replaced.
///
/// Shapes: `x [.., n, ..], indices [.., k, ..], updates [.., k, ..] -> [.., n, ..]`; the other axes of the indices
/// broadcast to those of `x`, and the updates to the indices. Updates take the dtype of `x`. Of several updates of one
/// element the last stays, and it alone has a derivative; so has what was not replaced.
/// # Errors
/// If the axis is out of range, the shapes do not fit, the indices are no integers, or floats are to go into integers;
/// when computed, if an index is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 2.0, 3.0]);
/// let y = x.scatter_set(&Tensor::from([2, 0]), &Tensor::from([7.0f32, 8.0]), 0);
/// assert_eq!(y.to_vec::<f32>(), [8.0, 2.0, 7.0]);
/// ```
/// Source: PyTorch's `scatter`, NumPy's `put_along_axis`.
#[op(samples = [
    (real([3, 4]), exact_ints(&[1, -1, 0, 3, 2, 1], [3, 2]), real2([3, 2]), 1), (real([4]), exact_ints(&[1, 3, 1], [3]), real2([3]), 0),
    (real([2, 3]), exact_ints(&[0, 1, 0], [1, 3]), real2([1, 3]), 0),
    (complex([3, 4]), exact_ints(&[1, -1, 0, 3, 2, 1], [3, 2]), complex2([3, 2]), 1),
])]
pub fn scatter_set(x: &Tensor, indices: &Tensor, updates: &Tensor, axis: Axis) -> Result<Tensor> {
    written(x, indices, updates, axis, Mode::Set)
}

/// `x` with `updates` added to the elements at indices along `axis`.
///
/// Shapes and dtypes: as for [`scatter_set`]. Several updates of one element are added in their order; bool by `or`.
/// Shapes: as for [`scatter_set`].
/// # Errors
/// As for [`scatter_set`].
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 2.0, 3.0]);
/// let y = x.scatter_add(&Tensor::from([2, 2]), &Tensor::from([10.0f32, 20.0]), 0);
/// assert_eq!(y.to_vec::<f32>(), [1.0, 2.0, 33.0]);
/// ```
/// Source: PyTorch's `scatter_add`.
#[op(samples = [
    (real([3, 4]), exact_ints(&[1, -1, 0, 3, 2, 2], [3, 2]), real2([3, 2]), 1), (real([4]), exact_ints(&[1, 3, 1], [3]), real2([3]), 0),
    (real([2, 3]), exact_ints(&[0, 1, 0], [1, 3]), real2([1, 3]), 0),
    (complex([3, 4]), exact_ints(&[1, -1, 0, 3, 2, 2], [3, 2]), complex2([3, 2]), 1),
])]
pub fn scatter_add(x: &Tensor, indices: &Tensor, updates: &Tensor, axis: Axis) -> Result<Tensor> {
    written(x, indices, updates, axis, Mode::Add)
}

/// `x` in which each element at indices along `axis` is the larger of itself and its updates.
///
/// Shapes and dtypes: as for [`scatter_set`]. NaN wins. At a tie all that attain the result, `x` itself among them,
/// share the derivative equally.
/// Shapes: as for [`scatter_set`].
/// # Errors
/// As for [`scatter_set`].
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 2.0, 3.0]);
/// let y = x.scatter_max(&Tensor::from([0, 2]), &Tensor::from([5.0f32, 1.0]), 0);
/// assert_eq!(y.to_vec::<f32>(), [5.0, 2.0, 3.0]);
/// ```
/// Source: PyTorch's `scatter_reduce` with `amax`.
#[op(samples = [
    (real([3, 4]), exact_ints(&[1, -1, 0, 3, 2, 2], [3, 2]), real2([3, 2]), 1), (real([4]), exact_ints(&[1, 3, 1], [3]), real2([3]), 0),
    (real([2, 3]), exact_ints(&[0, 1, 0], [1, 3]), real2([1, 3]), 0),
])]
pub fn scatter_max(x: &Tensor, indices: &Tensor, updates: &Tensor, axis: Axis) -> Result<Tensor> {
    written(x, indices, updates, axis, Mode::Max)
}

/// `x` in which each element at indices along `axis` is the smaller of itself and its updates.
///
/// Shapes and dtypes: as for [`scatter_set`]. NaN wins. At a tie all that attain the result, `x` itself among them,
/// share the derivative equally.
/// Shapes: as for [`scatter_set`].
/// # Errors
/// As for [`scatter_set`].
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 2.0, 3.0]);
/// let y = x.scatter_min(&Tensor::from([0, 2]), &Tensor::from([5.0f32, 1.0]), 0);
/// assert_eq!(y.to_vec::<f32>(), [1.0, 2.0, 1.0]);
/// ```
/// Source: PyTorch's `scatter_reduce` with `amin`.
#[op(samples = [
    (real([3, 4]), exact_ints(&[1, -1, 0, 3, 2, 2], [3, 2]), real2([3, 2]), 1), (real([4]), exact_ints(&[1, 3, 1], [3]), real2([3]), 0),
    (real([2, 3]), exact_ints(&[0, 1, 0], [1, 3]), real2([1, 3]), 0),
])]
pub fn scatter_min(x: &Tensor, indices: &Tensor, updates: &Tensor, axis: Axis) -> Result<Tensor> {
    written(x, indices, updates, axis, Mode::Min)
}

/// `x` with `updates` added to its slices along `axis`.
///
/// Shapes: `x [.., n, ..], indices [k..], updates [.., k.., ..] -> [.., n, ..]`, the adjoint layout of [`take`]; the
/// updates are broadcast. They take the dtype of `x`; several of one slice are added in their order.
/// # Errors
/// If the axis is out of range, the shapes do not fit, the indices are no integers, or floats are to go into integers;
/// when computed, if an index is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[0.0f32, 0.0], [0.0, 0.0]]);
/// let y = x.index_add(&Tensor::from([1, 1]), &Tensor::from([[1.0f32, 2.0], [10.0, 20.0]]), 0);
/// assert_eq!(y.to_vec::<f32>(), [0.0, 0.0, 11.0, 22.0]);
/// ```
/// Source: PyTorch's `index_add`.
#[op(samples = [
    (real([3, 2]), exact_ints(&[2, 0, 2, -1], [4]), real2([4, 2]), 0), (real([2, 3, 2]), exact_ints(&[1, -3], [2]), real2([2, 2, 2]), 1),
    (real([4]), exact_ints(&[1, 3, 1], [3]), real2([3]), -1),
    (complex([3, 2]), exact_ints(&[2, 0, 2, -1], [4]), complex2([4, 2]), 0),
])]
pub fn index_add(x: &Tensor, indices: &Tensor, updates: &Tensor, axis: Axis) -> Result<Tensor> {
    slices_written(x, indices, updates, axis, Mode::Add)
}

/// `x` with its slices along `axis` replaced.
///
/// Shapes: as for [`index_add`]. Updates take the dtype of `x`. Of several updates of one slice the last stays, and it alone has
/// a derivative; so has what was not replaced.
/// # Errors
/// As for [`index_add`].
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// let y = x.index_set(&Tensor::from([1]), &Tensor::from([[7.0f32, 8.0]]), 0);
/// assert_eq!(y.to_vec::<f32>(), [1.0, 2.0, 7.0, 8.0]);
/// ```
/// Source: PyTorch's `index_copy`.
#[op(samples = [
    (real([3, 2]), exact_ints(&[2, 0, 2, -1], [4]), real2([4, 2]), 0), (real([2, 3, 2]), exact_ints(&[1, -3], [2]), real2([2, 2, 2]), 1),
    (real([4]), exact_ints(&[1, 3, 1], [3]), real2([3]), -1),
    (complex([3, 2]), exact_ints(&[2, 0, 2, -1], [4]), complex2([4, 2]), 0),
])]
pub fn index_set(x: &Tensor, indices: &Tensor, updates: &Tensor, axis: Axis) -> Result<Tensor> {
    slices_written(x, indices, updates, axis, Mode::Set)
}

/// Writes `updates` into a copy of `x` at indices of slices along `axis`, in the layout of [`take`].
fn slices_written(x: &Tensor, indices: &Tensor, updates: &Tensor, axis: Axis, mode: Mode) -> Result<Tensor> {
    let axis = x.axis(axis)?;
    let (before, after) = (&x.shape()[..axis], &x.shape()[axis + 1..]);
    let shape: Shape = before.iter().chain(indices.shape().iter()).chain(after).copied().collect();
    let updates = spread(&fitting(x, updates)?, &shape, "updates")?;
    try_scatter(&Places::rows(axis), mode, x, indices, &updates)
}

/// `x` with the elements at positions of its row-major sequence replaced.
///
/// Shapes: as `x`; the values broadcast to the indices, whose shape does not matter otherwise. Values take the dtype of
/// `x`. Of several values for one element the last stays, and it alone has a derivative; so has what was not replaced.
/// # Errors
/// If the values do not broadcast to the indices, the indices are no integers, or floats are to go into integers; when
/// computed, if an index is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(x.put(&Tensor::from([3, 0]), &Tensor::from([9.0f32, 8.0])).to_vec::<f32>(), [8.0, 2.0, 3.0, 9.0]);
/// ```
/// Source: NumPy's `put`, PyTorch's `Tensor.put`.
#[op(samples = [
    (real([2, 3]), exact_ints(&[4, -6, 1], [3]), real2([3])), (real([2, 2]), exact_ints(&[3, 0, 3, 1], [2, 2]), real2([2, 2])),
    (real(()), exact_ints(&[0], [1]), real2([1])),
    (complex([2, 3]), exact_ints(&[4, -6, 1], [3]), real2([3])),
])]
pub fn put(x: &Tensor, flat_indices: &Tensor, values: &Tensor) -> Result<Tensor> {
    let values = spread(&fitting(x, values)?, flat_indices.shape(), "values")?;
    let y = try_scatter(&Places::flat(), Mode::Set, &reshaped(x, [x.size()]), flat_indices, &values)?;
    Ok(reshaped(&y, x.shape()))
}

/// `x` with `value` where the mask is true.
///
/// Shapes: broadcast. Dtype: that of `x`; the mask is bool, or counts as true where it is not 0. No derivative passes
/// where the mask is true.
/// # Errors
/// If the shapes do not broadcast, or the value has a fraction and `x` is of integers.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 2.0]);
/// assert_eq!(x.masked_fill(&Tensor::from([true, false]), -1.0).to_vec::<f32>(), [-1.0, 2.0]);
/// ```
/// Source: PyTorch's `masked_fill`.
#[op(samples = [(real([2, 3]), bools([2, 3]), -0.5), (real([2, 3]), bools([3]), 0.0), (real([1, 3]), bools([2, 1]), 1.5)])]
pub fn masked_fill(x: &Tensor, mask: &Tensor, value: f64) -> Result<Tensor> {
    if !x.dtype().is_inexact() && value.fract() != 0.0 {
        return Err(Error::new(format!("{value} does not fit into {}", x.spec())).hint("cast `x` to a float first"));
    }
    let (x, mask) = broadcast(x, mask)?;
    Ok(mask.where_(Tensor::scalar(value, x.dtype()), &x))
}

/// The elements of `x` where the mask is true, in row-major order.
///
/// Shapes: `x` and the mask broadcast to one shape; the result is a vector as long as the mask has true elements. As that
/// depends on the data, the mask is read at once, and cannot be an example of `vmap`; [`masked_fill`] and `where_` can.
/// Any dtype; a mask that is not bool counts as true where it is not 0.
/// # Errors
/// If the shapes do not broadcast, or the mask has no value yet (inside `vmap`).
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 2.0, 3.0]);
/// assert_eq!(x.masked_select(&x.greater(1.5)).to_vec::<f32>(), [2.0, 3.0]);
/// ```
/// Source: PyTorch's `masked_select`.
#[op(samples = [(real([2, 3]), bools([2, 3])), (real([2, 3]), bools([3])), (complex([2, 3]), bools([3]))], notes = "vmap=the size of the result depends on the mask")]
pub fn masked_select(x: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let (x, mask) = broadcast(x, &mask.cast(DType::Bool))?;
    labels::meet(&[x.clone(), mask.clone()], "masked_select")?;
    let flat = positions(&reshaped(&mask, [mask.size()]))?.swap_remove(0);
    Tensor::apply(Gather { places: Places::rows(0) }, [reshaped(&x, [x.size()]), flat])
}

/// For each index a row of zeros with a 1 at the index.
///
/// Shapes: `indices [..] -> [.., classes]`. Integers in, i64 out; there is no derivative. An index outside
/// `0..classes` gives a row of zeros.
/// # Errors
/// If the indices are no integers.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([2, 0]).one_hot(3).to_vec::<i64>(), [0, 0, 1, 1, 0, 0]);
/// ```
/// Source: PyTorch's `one_hot`; JAX's for indices out of range.
#[op(samples = [(ints(0, 4, [3]), 4), (exact_ints(&[1, -1, 5, 0], [2, 2]), 3), (exact_ints(&[1], ()), 2)],
    notes = "derivative=the result is an integer")]
pub fn one_hot(indices: &Tensor, classes: usize) -> Result<Tensor> {
    if !indices.dtype().is_int() {
        return Err(Error::new(format!("indices must be integers, not {}", indices.dtype()))
            .of_kind(ErrorKind::Type)
            .hint("cast first: `.cast(DType::I64)`"));
    }
    addressable(&indices.shape().with_inserted(indices.ndim(), classes), DType::I64)?;
    let numbers = Tensor::from_array(kernels::iota(classes, DType::I64));
    let column = reshaped(&indices.cast(DType::I64), indices.shape().with_inserted(indices.ndim(), 1));
    Ok(column.equal(numbers).cast(DType::I64))
}

/// The rows of a table that stand at some indices.
///
/// Shapes: `weight [n, d], indices [..] -> [.., d]`. Any dtype. The derivative adds up what one row gave to several
/// places.
/// # Errors
/// If the table has not two axes or the indices are no integers; when computed, if an index is out of range.
/// # Example
/// ```
/// use covector::{Tensor, ops::index::embedding};
/// let table = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(embedding(&table, &Tensor::from([1, 1, 0])).to_vec::<f32>(), [3.0, 4.0, 3.0, 4.0, 1.0, 2.0]);
/// ```
/// Source: PyTorch's `embedding`.
#[op(samples = [(real([4, 3]), exact_ints(&[2, 0, 2], [3])), (real([3, 2]), exact_ints(&[1, 0, 2, 1], [2, 2])), (real([3, 2]), exact_ints(&[2], ()))],
    notes = "rule=w̄ = Σ ȳ at the rows that were read")]
pub fn embedding(weight: &Tensor, indices: &Tensor) -> Result<Tensor> {
    if weight.ndim() != 2 {
        return Err(Error::new(format!("the table must have two axes, not {}", weight.ndim()))
            .hint("one row for each index: [rows, features]"));
    }
    Tensor::apply(Gather { places: Places::rows(0) }, [weight.clone(), indices.clone()])
}

op_list![
    take,
    take_along_axis,
    index,
    scatter_set,
    scatter_add,
    scatter_max,
    scatter_min,
    index_add,
    index_set,
    put,
    masked_fill,
    masked_select,
    one_hot,
    embedding
];
