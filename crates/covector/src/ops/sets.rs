//! Sets, counts and searches: which values there are, how often, and where.
//!
//! Where the size of a result depends on the numbers, they are read at once; such ops cannot be batched. What moves
//! values is `take`, so derivatives follow them.

use covector_array::{DType, kernels};
use covector_derive::{op, op_list};

use super::index::positions;
use super::order::order;
use super::scan::{padded, piece};
use super::view::reshaped;
use crate::{Axes, Axis, Error, Result, Tensor, keep};

/// Where elements differ from 0: for each axis the indices along it, in row-major order.
///
/// Shapes: as many vectors as `x` has axes, as long as there are such elements. As that depends on the data, `x` is read
/// at once, and cannot be an example of `vmap`. NaN counts. The results are i64 and have no derivative.
/// # Errors
/// If `x` is a scalar, or has no value yet (inside `vmap`).
/// # Example
/// ```
/// use covector::Tensor;
/// let at = Tensor::from([[0, 5], [7, 0]]).nonzero();
/// assert_eq!((at[0].to_vec::<i64>(), at[1].to_vec::<i64>()), (vec![0, 1], vec![1, 0]));
/// ```
/// Source: the Array API's `nonzero`.
#[op(samples = [(ints(0, 2, [2, 3]),), (bools([4]),), (real([2]),)],
    notes = "derivative=the results are integers; vmap=the size of the result depends on the data")]
pub fn nonzero(x: &Tensor) -> Result<Vec<Tensor>> {
    if x.ndim() == 0 {
        return Err(Error::new("a scalar has no axes along which to look").hint("for its truth use `x.not_equal(0)`"));
    }
    positions(&x.cast(DType::Bool))
}

/// The number of elements over `axes` that differ from 0.
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]. NaN counts. The result is i64.
/// # Errors
/// If an axis is out of range or named twice.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([0, 3, 4]).count_nonzero(..).item::<i64>(), 2);
/// ```
/// Source: the Array API's `count_nonzero`.
#[op(samples = [(ints(0, 2, [2, 3]), 0), (real([2, 3]), keep(-1)), (bools([0]), ..)],
    notes = "derivative=the result is an integer")]
pub fn count_nonzero(x: &Tensor, axes: Axes) -> Result<Tensor> {
    x.cast(DType::Bool).try_sum(axes)
}

/// Whether each element of `x1` equals some element of `x2`, or with `invert` none.
///
/// Shapes: as `x1`; that of `x2` does not matter. Dtypes are promoted, complex ones included; the result is bool. NaN equals nothing.
/// # Example
/// ```
/// use covector::Tensor;
/// let found = Tensor::from([1, 2, 3]).isin(&Tensor::from([3, 1]), false);
/// assert_eq!(found.to_vec::<bool>(), [true, false, true]);
/// ```
/// Source: the Array API's `isin`.
#[op(samples = [(ints(0, 5, [2, 3]), ints(0, 5, [2]), false), (real([3]), real([3]), true), (ints(0, 5, [2]), exact_ints(&[], [0]), false),
    (exact_ints(&[3], ()), ints(0, 5, [4]), false), (complex([4]), complex([2, 2]), false), (exact_complex(&[1.0, 0.0, 1.0, 2.0], [2]), exact_ints(&[1, 5], [2]), true)], notes = "derivative=the result is bool")]
pub fn isin(x1: &Tensor, x2: &Tensor, invert: bool) -> Result<Tensor> {
    let dtype = x1.dtype().promote(x2.dtype());
    let (x1, n) = (x1.cast(dtype), x2.size());
    if n == 0 {
        return Ok(Tensor::from(invert).broadcast_to(x1.shape().clone()));
    }
    let x2 = reshaped(&x2.cast(dtype), [n]);
    let found = if dtype.is_complex() {
        merged(&x1, &x2)
    } else {
        let sorted = x2.sort(0, false);
        let at = sorted.try_searchsorted(&x1, false)?.minimum((n - 1) as i64);
        sorted.take(&at, 0).equal(&x1)
    };
    Ok(if invert { found.logical_not() } else { found })
}

/// Whether each element equals one of a vector, of numbers that have an order but no `<`: both are sorted together, and each run of
/// equal ones is asked whether the vector has a part in it.
fn merged(x: &Tensor, vector: &Tensor) -> Tensor {
    let (n, all) = (vector.size(), vector.followed_by(&reshaped(x, [x.size()])));
    let order = order(&all);
    let runs = padded(&differs(&all.take(&order, 0)).cast(DType::I64), 0, 1, 0).cumsum(0);
    let parts = Tensor::zeros_of(runs.spec()).scatter_add(&runs, &order.less(n as i64).cast(DType::I64), 0);
    let found = parts.take(&runs, 0).greater(0);
    let found = Tensor::zeros_of(found.spec()).scatter_set(&order, &found, 0);
    reshaped(&piece(&found, 0, n, x.size()), x.shape().clone())
}

/// Whether each element of a vector but the first differs from the one before. NaN differs from NaN.
fn differs(x: &Tensor) -> Tensor {
    let n = x.size();
    piece(x, 0, 1, n - 1).not_equal(piece(x, 0, 0, n - 1))
}

/// A vector in order, with what is needed to speak of its distinct values.
struct Distinct {
    /// Where each distinct value first stands in the vector.
    first: Tensor,
    /// For each place of the sorted vector the number of its value.
    rank: Tensor,
    order: Tensor,
    /// For each distinct value where it begins in the sorted vector.
    begins: Tensor,
}

impl Distinct {
    fn of(flat: &Tensor) -> Result<Distinct> {
        let n = flat.size();
        let order = order(flat);
        let sorted = flat.take(&order, 0);
        let new = if n == 0 {
            Tensor::from(Vec::<bool>::new())
        } else {
            // NaN differs from NaN, so each counts as a value of its own.
            Tensor::from([true]).followed_by(&differs(&sorted))
        };
        let begins = positions(&new)?.swap_remove(0);
        let rank = new.cast(DType::I64).cumsum(0) - 1;
        Ok(Distinct { first: order.take(&begins, 0), rank, order, begins })
    }

    fn counts(&self, n: usize) -> Tensor {
        let values = self.begins.size();
        let ends = match values {
            0 => self.begins.clone(),
            _ => piece(&self.begins, 0, 1, values - 1).followed_by(&Tensor::from([n as i64])),
        };
        ends - &self.begins
    }

    fn inverse(&self, like: &Tensor) -> Tensor {
        let n = like.size();
        reshaped(
            &Tensor::from_array(kernels::iota(n, DType::I64)).scatter_set(&self.order, &self.rank, 0),
            like.shape().clone(),
        )
    }
}

impl Tensor {
    /// This vector, then `rest`.
    fn followed_by(&self, rest: &Tensor) -> Tensor {
        super::concat::concat(&[self.clone(), rest.clone()], 0)
    }
}

fn distinct(x: &Tensor) -> Result<(Tensor, Distinct)> {
    let flat = reshaped(x, [x.size()]);
    let found = Distinct::of(&flat)?;
    Ok((flat, found))
}

/// The distinct values of `x` in ascending order.
///
/// Shapes: `[..] -> [n]`, as many as there are; as that depends on the data, `x` is read at once, and cannot be an example
/// of `vmap`. Every NaN is a value of its own, at the end; complex numbers are ordered by their real, then their imaginary
/// parts, as in NumPy. The derivative goes to the first element of each value.
/// # Errors
/// If `x` has no value yet (inside `vmap`).
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([3, 1, 3, 2]).unique_values().to_vec::<i64>(), [1, 2, 3]);
/// ```
/// Source: the Array API's `unique_values`.
#[op(samples = [(ints(0, 4, [6]),), (exactly(&[1.5, -1.0, 0.5, 0.0], [2, 2]),), (real([0]),), (real(()),), (complex([2, 2]),)],
    notes = "vmap=the size of the result depends on the data; vmap of grad=the size of the result depends on the data")]
pub fn unique_values(x: &Tensor) -> Result<Tensor> {
    let (flat, found) = distinct(x)?;
    Ok(flat.take(&found.first, 0))
}

/// The distinct values of `x` in ascending order, and how often each occurs.
///
/// Shapes: `[..] -> [n], [n]`; the counts are i64. Otherwise as [`unique_values`].
/// # Errors
/// As for [`unique_values`].
/// # Example
/// ```
/// use covector::Tensor;
/// let (values, counts) = Tensor::from([3, 1, 3, 2]).unique_counts();
/// assert_eq!((values.to_vec::<i64>(), counts.to_vec::<i64>()), (vec![1, 2, 3], vec![1, 1, 2]));
/// ```
/// Source: the Array API's `unique_counts`.
#[op(samples = [(ints(0, 4, [6]),), (exactly(&[1.5, -1.0, 0.5, 0.0], [2, 2]),), (real([0]),), (complex([4]),)],
    notes = "vmap=the size of the result depends on the data; vmap of grad=the size of the result depends on the data")]
pub fn unique_counts(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (flat, found) = distinct(x)?;
    Ok((flat.take(&found.first, 0), found.counts(x.size())))
}

/// The distinct values of `x` in ascending order, and for each element the number of its value.
///
/// Shapes: `[..] -> [n], [..]`; the numbers are i64. Otherwise as [`unique_values`].
/// # Errors
/// As for [`unique_values`].
/// # Example
/// ```
/// use covector::Tensor;
/// let (values, inverse) = Tensor::from([3, 1, 3, 2]).unique_inverse();
/// assert_eq!((values.to_vec::<i64>(), inverse.to_vec::<i64>()), (vec![1, 2, 3], vec![2, 0, 2, 1]));
/// ```
/// Source: the Array API's `unique_inverse`.
#[op(samples = [(ints(0, 4, [6]),), (exactly(&[1.5, -1.0, 0.5, 0.0], [2, 2]),), (real([0]),), (complex([4]),)],
    notes = "vmap=the size of the result depends on the data; vmap of grad=the size of the result depends on the data")]
pub fn unique_inverse(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (flat, found) = distinct(x)?;
    Ok((flat.take(&found.first, 0), found.inverse(x)))
}

/// The distinct values of `x` in ascending order, where each first stands, for each element the number of its value, and
/// how often each value occurs.
///
/// Shapes: `[..] -> [n], [n], [..], [n]`; all but the values are i64. Otherwise as [`unique_values`].
/// # Errors
/// As for [`unique_values`].
/// # Example
/// ```
/// use covector::Tensor;
/// let all = Tensor::from([3, 1, 3, 2]).unique_all();
/// assert_eq!(all[1].to_vec::<i64>(), [1, 3, 0]);
/// ```
/// Source: the Array API's `unique_all`.
#[op(samples = [(ints(0, 4, [6]),), (exactly(&[1.5, -1.0, 0.5, 0.0], [2, 2]),), (real([0]),), (complex([4]),)],
    notes = "vmap=the size of the result depends on the data; vmap of grad=the size of the result depends on the data")]
pub fn unique_all(x: &Tensor) -> Result<Vec<Tensor>> {
    let (flat, found) = distinct(x)?;
    Ok(vec![flat.take(&found.first, 0), found.first.clone(), found.inverse(x), found.counts(x.size())])
}

/// Every slice along an axis repeated as often as `counts` says of it.
///
/// Shapes: `x [.., n, ..], counts [n] -> [.., sum of counts, ..]`; a count that is a scalar serves all. As the size depends
/// on the counts, they are read at once. The derivative adds up what the repetitions give.
/// # Errors
/// If the axis is out of range, the counts are no integers, negative, or not one for each slice.
/// # Example
/// ```
/// use covector::Tensor;
/// let y = Tensor::from([7, 8]).repeat_each(&Tensor::from([2, 1]), 0);
/// assert_eq!(y.to_vec::<i64>(), [7, 7, 8]);
/// ```
/// Source: NumPy's `repeat` with an array.
#[op(samples = [(real([3]), exact_ints(&[2, 0, 1], [3]), 0), (real([2, 3]), exact_ints(&[1, 2, 0], [3]), -1), (real([2, 2]), exact_ints(&[2], ()), 0)],
    notes = "vmap=the size of the result depends on the data")]
pub fn repeat_each(x: &Tensor, counts: &Tensor, axis: Axis) -> Result<Tensor> {
    let at = x.axis(axis)?;
    let n = x.shape()[at];
    if !counts.dtype().is_int() {
        return Err(
            Error::new(format!("counts must be integers, not {}", counts.dtype())).of_kind(crate::ErrorKind::Type)
        );
    }
    let counts = counts.try_broadcast_to([n]).map_err(|e| e.hint("give one count for all, or one for each slice"))?;
    let given = counts.cast(DType::I64).try_to_vec::<i64>()?;
    if let Some(odd) = given.iter().find(|&&c| c < 0) {
        return Err(Error::new(format!("a count must be 0 or more, not {odd}")));
    }
    let total = given.iter().try_fold(0usize, |sum, &c| sum.checked_add(c as usize));
    super::create::addressable(&x.shape().with_axis(at, total.unwrap_or(usize::MAX)), DType::I64)?;
    super::create::room(&[total.unwrap_or(usize::MAX)])?;
    let places = given.iter().enumerate().flat_map(|(i, &c)| std::iter::repeat_n(i as i64, c as usize));
    x.try_take(&Tensor::from(places.collect::<Vec<i64>>()), axis)
}

/// The sums of everything up to each element along `axis`, in a dtype of choice, and with the empty sum in front if wanted.
///
/// Shapes: as `x`, or one longer along `axis`. Otherwise as [`cumsum`](super::scan::cumsum) of `x` in that dtype.
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 2.0, 3.0]);
/// assert_eq!(x.cumulative_sum(0, None, true).to_vec::<f32>(), [0.0, 1.0, 3.0, 6.0]);
/// ```
/// Source: the Array API's `cumulative_sum`.
#[op(samples = [(real([2, 3]), -1, (), true), (real([3]), 0, "f64", false), (ints(0, 5, [2, 2]), 0, "f64", true)])]
pub fn cumulative_sum(x: &Tensor, axis: Axis, dtype: Option<DType>, include_initial: bool) -> Result<Tensor> {
    let at = x.axis(axis)?;
    let y = x.try_cast(dtype.unwrap_or(x.dtype()))?.try_cumsum(axis)?;
    Ok(if include_initial { padded(&y, at, 1, 0) } else { y })
}

/// The products of everything up to each element along `axis`, in a dtype of choice, and with the empty product in front
/// if wanted.
///
/// Shapes: as `x`, or one longer along `axis`. Otherwise as [`cumprod`](super::scan::cumprod) of `x` in that dtype.
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([2.0f32, 3.0]);
/// assert_eq!(x.cumulative_prod(0, None, true).to_vec::<f32>(), [1.0, 2.0, 6.0]);
/// ```
/// Source: the Array API's `cumulative_prod`.
#[op(samples = [(real([2, 3]), -1, (), true), (real([3]), 0, "f64", false), (ints(1, 5, [2, 2]), 0, "f64", true)])]
pub fn cumulative_prod(x: &Tensor, axis: Axis, dtype: Option<DType>, include_initial: bool) -> Result<Tensor> {
    let at = x.axis(axis)?;
    let y = x.try_cast(dtype.unwrap_or(x.dtype()))?.try_cumprod(axis)?;
    if !include_initial {
        return Ok(y);
    }
    let first = Tensor::scalar(1.0, y.dtype()).broadcast_to(y.shape().with_axis(at, 1));
    super::concat::try_concat(&[first, y], axis)
}

op_list![
    nonzero,
    count_nonzero,
    isin,
    unique_values,
    unique_counts,
    unique_inverse,
    unique_all,
    repeat_each,
    cumulative_sum,
    cumulative_prod
];
