//! Order: sorting, the largest few, searching in sorted rows, distinct values.
//!
//! What moves values is `take_along_axis`, at indices found by integer primitives; so derivatives follow the values.

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, DType};
use covector_derive::{op, op_list};

use super::complex::require_order;
use super::create::addressable;
use super::scan::{padded, piece};
use super::view::{add_batch, expand, reshaped};
use crate::plan::cost::{halvings, size};
use crate::primitive::{Class, Derivative, Primitive};
use crate::{Axis, Cost, Error, Flow, Result, Spec, Tensor};

/// The indices that sort along an axis.
#[derive(Clone, Debug, Hash)]
struct ArgSort {
    axis: usize,
    descending: bool,
}

impl Primitive for ArgSort {
    fn name(&self) -> &'static str {
        "argsort"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        require_order(x[0])?;
        Ok(Spec::new(DType::I64, x[0].shape.clone()))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.alike();
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::argsort(&x[0], self.axis, self.descending))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        halvings(size(out), out.shape[self.axis], Cost::moving(x, out))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("the result is an integer")
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(ArgSort { axis: self.axis + 1, descending: self.descending }, [x[0].clone()])
    }
}

/// The indices of the largest elements along an axis.
#[derive(Clone, Debug, Hash)]
struct ArgLargest {
    axis: usize,
    k: usize,
}

impl Primitive for ArgLargest {
    fn name(&self) -> &'static str {
        "arg_largest"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        require_order(x[0])?;
        Ok(Spec::new(DType::I64, x[0].shape.with_axis(self.axis, self.k)))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        let x = flow.shape(0);
        flow.carried(0, (0..x.len()).map(|a| (a != self.axis || x[a] == self.k).then_some(a)));
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::arg_largest(&x[0], self.k, self.axis))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        Cost { flops: size(x[0]), ..Cost::moving(x, out) }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("the result is an integer")
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(ArgLargest { axis: self.axis + 1, ..*self }, [x[0].clone()])
    }
}

/// Where values belong in sorted rows; operands: the rows, the values.
#[derive(Clone, Debug, Hash)]
struct SearchSorted {
    right: bool,
}

impl Primitive for SearchSorted {
    fn name(&self) -> &'static str {
        "searchsorted"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        require_order(x[0])?;
        let (sorted, values) = (&x[0].shape, &x[1].shape);
        let last = sorted.len() - 1;
        if values.len() != sorted.len() || values[..last] != sorted[..last] {
            return Err(Error::new(format!("{values} values cannot be searched in {sorted} rows"))
                .hint("sorted must be one row, or have the leading axes of the values"));
        }
        Ok(Spec::new(DType::I64, values.clone()))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.subscripts("...n,...m->...m");
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::searchsorted(&x[0], &x[1], self.right))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        let row = *x[0].shape.last().unwrap_or(&1);
        halvings(size(out), row, Cost::moving(x, out))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("the result is an integer")
    }
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        let [rows, values] = [0, 1].map(|i| if has[i] { x[i].clone() } else { add_batch(&x[i], size) });
        Tensor::apply(self.clone(), [rows, values])
    }
}

/// The elements along `axis` in ascending or descending order.
///
/// Shapes: as `x`. Any dtype; false comes before true, and NaN last in both directions. Equal elements keep their order,
/// which also decides which of them gets which derivative.
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([3.0f32, 1.0, 2.0]);
/// assert_eq!(x.sort(0, false).to_vec::<f32>(), [1.0, 2.0, 3.0]);
/// assert_eq!(x.sort(0, true).to_vec::<f32>(), [3.0, 2.0, 1.0]);
/// ```
/// Source: the Array API's `sort`.
#[op(samples = [(real([2, 4]), -1, false), (real([4, 2]), 0, true), (ints(0, 5, [6]), 0, false), (real([2, 3, 2]), 1, true)])]
pub fn sort(x: &Tensor, axis: Axis, descending: bool) -> Result<Tensor> {
    let order = x.try_argsort(axis, descending)?;
    Ok(x.take_along_axis(&order, axis))
}

/// The indices that sort `x` along `axis`, equal elements in their order.
///
/// Shapes: as `x`. Any dtype; NaN comes last in both directions. The result is i64 and has no derivative.
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([3.0f32, 1.0, 2.0]).argsort(0, false).to_vec::<i64>(), [1, 2, 0]);
/// ```
/// Source: the Array API's `argsort`.
#[op(samples = [(real([2, 4]), -1, false), (ints(0, 3, [4, 2]), 0, true), (bools([5]), 0, false)],
    notes = "derivative=the result is an integer")]
pub fn argsort(x: &Tensor, axis: Axis, descending: bool) -> Result<Tensor> {
    Tensor::apply(ArgSort { axis: x.axis(axis)?, descending }, [x.clone()])
}

/// The `k` largest elements along `axis`, the largest first, and their indices.
///
/// Shapes: `axis` gets the size `k`, in both results. Any dtype; the indices are i64. NaN is chosen last; of equal
/// elements the first. The derivative goes to the chosen elements.
/// # Errors
/// If the axis is out of range or has fewer than `k` elements.
/// # Example
/// ```
/// use covector::Tensor;
/// let (values, indices) = Tensor::from([1.0f32, 5.0, 3.0]).topk(2, 0);
/// assert_eq!(values.to_vec::<f32>(), [5.0, 3.0]);
/// assert_eq!(indices.to_vec::<i64>(), [1, 2]);
/// ```
/// Source: PyTorch's `topk`.
#[op(samples = [(real([2, 4]), 2, -1), (real([4, 2]), 1, 0), (real([3]), 3, 0), (real([3]), 0, 0)])]
pub fn topk(x: &Tensor, k: usize, axis: Axis) -> Result<(Tensor, Tensor)> {
    let along = x.axis(axis)?;
    let n = x.shape()[along];
    if k > n {
        return Err(Error::new(format!("the {k} largest were asked for, and axis {along} has {n} elements")));
    }
    let indices = Tensor::apply(ArgLargest { axis: along, k }, [x.clone()])?;
    Ok((x.take_along_axis(&indices, axis), indices))
}

/// Where each value belongs in a sorted row: the first place that keeps the order, or the last one with `right`.
///
/// Shapes: `sorted [n], values [..] -> [..]`, or with a row for each: `sorted [.., n], values [.., k] -> [.., k]`, leading
/// axes equal. Dtypes are promoted; the result is i64 and has no derivative. NaN is the largest value.
/// # Errors
/// If `sorted` is a scalar or the leading axes differ. That it is sorted is not checked.
/// # Example
/// ```
/// use covector::Tensor;
/// let sorted = Tensor::from([1.0f32, 2.0, 2.0, 4.0]);
/// let values = Tensor::from([2.0f32, 3.0]);
/// assert_eq!(sorted.searchsorted(&values, false).to_vec::<i64>(), [1, 3]);
/// assert_eq!(sorted.searchsorted(&values, true).to_vec::<i64>(), [3, 3]);
/// ```
/// Source: NumPy's and PyTorch's `searchsorted`.
#[op(samples = [
    (exactly(&[-1.0, 0.0, 0.5, 1.5], [4]), real([2, 3]), false), (exact_ints(&[0, 1, 1, 3], [4]), ints(0, 4, [5]), true),
    (exactly(&[-1.0, 0.0, 1.0, -2.0, -0.5, 0.1], [2, 3]), real([2, 2]), true), (exactly(&[0.0, 1.0], [2]), real(()), false),
], notes = "derivative=the result is an integer")]
pub fn searchsorted(sorted: &Tensor, values: &Tensor, right: bool) -> Result<Tensor> {
    let dtype = sorted.dtype().promote(values.dtype());
    let (sorted, values) = (sorted.cast(dtype), values.cast(dtype));
    match sorted.ndim() {
        0 => Err(Error::new("sorted is a scalar, not a row of values")),
        1 => {
            let flat = reshaped(&values, [values.size()]);
            Ok(reshaped(&Tensor::apply(SearchSorted { right }, [sorted, flat])?, values.shape().clone()))
        }
        _ => Tensor::apply(SearchSorted { right }, [sorted, values]),
    }
}

/// The indices that sort a vector; complex numbers by their real and then their imaginary parts. Equal elements keep their order.
pub(super) fn order(x: &Tensor) -> Tensor {
    if !x.dtype().is_complex() {
        return x.argsort(0, false);
    }
    // Stable sorts, the last key first.
    let by_imag = x.imag().argsort(0, false);
    by_imag.take(&x.real().take(&by_imag, 0).argsort(0, false), 0)
}

/// The distinct values of `x` in ascending order: the first `size` of them, `fill` where there are fewer.
///
/// Shapes: `[..] -> [size]`; a size given beforehand, so that the shape does not depend on the values. Any dtype; `fill` is
/// cast to it. NaN counts as one value and comes last; complex numbers are ordered by their real, then their imaginary
/// parts. The derivative goes to the first element of each value.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([3, 1, 3, 2]).unique(4, -1.0).to_vec::<i64>(), [1, 2, 3, -1]);
/// ```
/// Source: JAX's `unique` with `size` and `fill_value`.
#[op(samples = [(ints(0, 4, [6]), 5, -1.0), (real([2, 3]), 4, 0.0), (exact_ints(&[2, 1, 2], [3]), 1, 0.0), (real([0]), 2, 0.5), (complex([3]), 4, 0.0)])]
pub fn unique(x: &Tensor, size: usize, fill: f64) -> Result<Tensor> {
    let n = x.size();
    addressable(&size.into(), x.dtype())?;
    let fill = Tensor::scalar(fill, x.dtype());
    if n == 0 || size == 0 {
        return Ok(expand(&fill, &[size].into()));
    }
    let flat = reshaped(x, [n]);
    let sorted = flat.take(&order(&flat), 0);
    let (one, next) = (piece(&sorted, 0, 0, n - 1), piece(&sorted, 0, 1, n - 1));
    // NaN differs from itself, yet is one value; behind a NaN stand only others.
    let same = one.equal(&one).where_(one.equal(&next), true);
    let rank = padded(&same.where_(0, Tensor::from(vec![1i64; n - 1])), 0, 1, 0).cumsum(0);
    let wanted = Tensor::from_array(kernels::iota(size, DType::I64));
    let first = rank.searchsorted(&wanted, false);
    let values = sorted.take(&(first.greater(n - 1)).where_(n - 1, &first), 0);
    Ok(first.greater(n - 1).where_(expand(&fill, &[size].into()), values))
}

op_list![sort, argsort, topk, searchsorted, unique];
