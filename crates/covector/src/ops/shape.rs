//! More views: squeeze, expand, move, slice, split, triangles.

use std::ops::Range;
use std::panic::Location;

use covector_array::{DType, Shape};
use covector_derive::{op, op_list};
use smallvec::SmallVec;

use super::create::iota;
use super::view::{permuted, reshaped};
use crate::axes::resolve;
use crate::site::{self, Site};
use crate::slicing::{Span, select};
use crate::{Axes, Axis, Error, Ints, Result, Tensor};

/// The axes of size 1 removed.
///
/// Shapes: as `x` without `axes`; `..` stands for all axes of size 1. Any dtype. A view.
/// # Errors
/// If an axis named is out of range, named twice or not of size 1.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[[1.0f32], [2.0]]]);
/// assert_eq!(x.squeeze(0).shape()[..], [2, 1]);
/// assert_eq!(x.squeeze(..).shape()[..], [2]);
/// ```
/// Source: NumPy's `squeeze`.
#[op(samples = [(real([1, 3, 1]), 0), (real([1, 3, 1]), [0, -1]), (real([1, 3, 1]), ..), (real(()), ..)])]
pub fn squeeze(x: &Tensor, axes: Axes) -> Result<Tensor> {
    let shape = x.shape();
    if axes.given().is_none() {
        return Ok(without(x, |i| shape[i] == 1));
    }
    let axes = axes.resolve(x.ndim())?;
    if let Some(&axis) = axes.iter().find(|&&a| shape[a] != 1) {
        return Err(Error::new(format!("axis {axis} of {shape} has size {}, not 1", shape[axis])));
    }
    Ok(without(x, |i| axes.contains(&i)))
}

/// `x` without some axes of size 1.
fn without(x: &Tensor, drop: impl Fn(usize) -> bool) -> Tensor {
    let y = reshaped(x, x.shape().without(&drop));
    y.named(&x.names().picked((0..x.ndim()).filter(|&i| !drop(i)).map(Some)))
}

/// New axes of size 1, which stand at `axes` of the result.
///
/// Shapes: as `x` with a 1 inserted for each axis. Any dtype. A view. PyTorch's name is [`unsqueeze`](Tensor::unsqueeze).
/// # Errors
/// If an axis is out of range for the result, or named twice.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 2.0, 3.0]);
/// assert_eq!(x.expand_dims(0).shape()[..], [1, 3]);
/// assert_eq!(x.expand_dims([0, -1]).shape()[..], [1, 3, 1]);
/// ```
/// Source: NumPy's `expand_dims`.
#[op(samples = [(real([3]), 0), (real([2, 3]), [0, -1]), (real([2, 3]), 1), (real(()), 0)])]
pub fn expand_dims(x: &Tensor, axes: Axes) -> Result<Tensor> {
    let Some(given) = axes.given() else {
        return Err(Error::new("`..` does not say where the new axes stand").hint("name them: `expand_dims([0, -1])`"));
    };
    let axes = axes.resolve(x.ndim() + given.len())?;
    let mut old = 0..x.ndim();
    let kept: SmallVec<[_; 6]> =
        (0..x.ndim() + axes.len()).map(|i| if axes.contains(&i) { None } else { old.next() }).collect();
    let shape: Shape = kept.iter().map(|axis| axis.map_or(1, |a| x.shape()[a])).collect();
    Ok(reshaped(x, shape).named(&x.names().picked(kept)))
}

/// The last two axes exchanged: every matrix of a stack transposed. Short: [`x.t()`](Tensor::t).
///
/// Shapes: `[.., m, n] -> [.., n, m]`. Any dtype. A view.
/// # Errors
/// If there are fewer than two axes.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
/// assert_eq!(x.t().to_vec::<i64>(), [1, 4, 2, 5, 3, 6]);
/// ```
/// Source: the Array API's `matrix_transpose`.
#[op(samples = [(real([2, 3]),), (real([2, 3, 4]),), (real([2, 0]),)])]
pub fn matrix_transpose(x: &Tensor) -> Result<Tensor> {
    let n = at_least_a_matrix(x)?;
    let mut axes: SmallVec<[usize; 6]> = (0..n).collect();
    axes.swap(n - 2, n - 1);
    Ok(permuted(x, &axes))
}

fn at_least_a_matrix(x: &Tensor) -> Result<usize> {
    match x.ndim() {
        n @ (0 | 1) => Err(Error::new(format!("a matrix has two axes, {} has {n}", x.spec()))
            .hint("make a row with `expand_dims(0)`, a column with `expand_dims(-1)`")),
        n => Ok(n),
    }
}

impl Tensor {
    /// The last two axes exchanged, as [`matrix_transpose`](Self::matrix_transpose); panics on fewer than two.
    #[track_caller]
    pub fn t(&self) -> Tensor {
        matrix_transpose(self)
    }

    /// PyTorch's name for [`expand_dims`](Self::expand_dims).
    #[track_caller]
    pub fn unsqueeze(&self, axes: impl Into<Axes>) -> Tensor {
        expand_dims(self, axes)
    }
}

/// The axes from `start` to `end` (included) made one, in row-major order.
///
/// Shapes: `[a, b, c, d] -> [a, b * c, d]` for start 1, end 2; a scalar becomes `[1]`. Any dtype. A view where the strides
/// allow.
/// # Errors
/// If an axis is out of range, or `start` stands after `end`.
/// # Example
/// ```
/// use covector::{Tensor, DType, ops::create::zeros};
/// let x = zeros([2, 3, 4], DType::F32);
/// assert_eq!(x.flatten(0, -1).shape()[..], [24]);
/// assert_eq!(x.flatten(1, -1).shape()[..], [2, 12]);
/// ```
/// Source: PyTorch's `flatten`.
#[op(samples = [(real([2, 3, 2]), 0, -1), (real([2, 3, 2]), 1, 2), (real([2, 3]), 1, 1), (real(()), 0, -1), (real([2, 0, 3]), 0, 1)])]
pub fn flatten(x: &Tensor, start: Axis, end: Axis) -> Result<Tensor> {
    if x.ndim() == 0 {
        // A scalar counts as one axis, as in PyTorch.
        resolve(start.0, 1)?;
        resolve(end.0, 1)?;
        return Ok(reshaped(x, [1]));
    }
    let (start, end) = (x.axis(start)?, x.axis(end)?);
    if start > end {
        return Err(Error::new(format!("axis {start} stands after axis {end}")).hint("name the first axis first"));
    }
    let dims = &x.shape()[..];
    let merged = dims[start..=end].iter().product();
    Ok(reshaped(
        x,
        dims[..start].iter().copied().chain([merged]).chain(dims[end + 1..].iter().copied()).collect::<Shape>(),
    ))
}

/// The axes `source` moved to the places `destination`; the others keep their order.
///
/// Shapes: as `x` in the new order. Any dtype. A view.
/// # Errors
/// If an axis is out of range or named twice, or the lists are not of one length.
/// # Example
/// ```
/// use covector::{DType, Tensor, ops::create::zeros};
/// let images = zeros([8, 32, 24, 3], DType::F32);
/// assert_eq!(images.moveaxis(-1, 1).shape()[..], [8, 3, 32, 24]);
/// ```
/// Source: NumPy's `moveaxis`.
#[op(samples = [(real([2, 3, 4]), 0, -1), (real([2, 3, 4]), [0, 1], [-1, 0]), (real([3]), 0, 0)])]
pub fn moveaxis(x: &Tensor, source: Ints, destination: Ints) -> Result<Tensor> {
    let (from, to) = (distinct(&source, x.ndim())?, distinct(&destination, x.ndim())?);
    if from.len() != to.len() {
        return Err(Error::new(format!("{} axes cannot move to {} places", from.len(), to.len())));
    }
    let mut rest = (0..x.ndim()).filter(|a| !from.contains(a));
    let place = |i: usize| match to.iter().position(|&t| t == i) {
        Some(k) => from[k],
        None => rest.next().expect("as many axes are left as places"),
    };
    let order: SmallVec<[usize; 6]> = (0..x.ndim()).map(place).collect();
    Ok(permuted(x, &order))
}

/// Axes counted from 0 in the order given, each named once.
fn distinct(axes: &Ints, ndim: usize) -> Result<SmallVec<[usize; 6]>> {
    let given: SmallVec<[isize; 6]> = axes.0.iter().map(|&a| a as isize).collect();
    Axes::from(&given[..]).resolve(ndim)?;
    given.iter().map(|&a| resolve(a, ndim)).collect()
}

/// Every `steps[i]`-th element of axis `i` from `starts[i]` up to `stops[i]`, not included.
///
/// Shapes: axes are named from the first; those without numbers are taken whole. Negative bounds count from the end, and
/// bounds outside are clamped; with a negative step the walk goes down from the start, and a stop below `-size` means:
/// to the first element. In Rust programs [`x.i(s![..])`](Tensor::i) is the same and reads better. Any dtype. A view.
/// # Errors
/// If the lists are not of one length, there are more numbers than axes, or a step is 0.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([0, 1, 2, 3, 4, 5]);
/// assert_eq!(x.slice(1, -1, 2).to_vec::<i64>(), [1, 3]);
/// assert_eq!(x.slice(-1, -9, -2).to_vec::<i64>(), [5, 3, 1]);
/// ```
/// Source: NumPy's basic indexing.
#[op(samples = [
    (real([4, 5]), [1, 0], [4, -1], [1, 2]), (real([5]), [4], [-9], [-2]), (real([3, 4]), [1], [2], [1]), (real([4]), [3], [1], [1]),
])]
pub fn slice(x: &Tensor, starts: Ints, stops: Ints, steps: Ints) -> Result<Tensor> {
    let n = starts.0.len();
    if stops.0.len() != n || steps.0.len() != n {
        return Err(Error::new(format!("{n} starts, {} stops and {} steps", stops.0.len(), steps.0.len()))
            .hint("give one of each for every axis to slice"));
    }
    if n > x.ndim() {
        return Err(Error::new(format!("{n} slices for {} axes", x.ndim())));
    }
    let run = |(axis, &size): (usize, &usize)| {
        let whole = Span::new(0, i64::MAX, 1);
        let given = || Span::new(starts.0[axis], stops.0[axis], steps.0[axis]);
        if axis < n { given() } else { whole }.run(axis, size)
    };
    let runs: SmallVec<[_; 6]> = x.shape().iter().enumerate().map(run).collect::<Result<_>>()?;
    Ok(select(x, &runs))
}

/// The part of `x` from `start` up to `stop` of `axis`, which are known to lie inside.
pub(crate) fn part(x: &Tensor, axis: usize, start: usize, stop: usize) -> Tensor {
    let span = |a: usize| if a == axis { Span::new(start as i64, stop as i64, 1) } else { Span::new(0, i64::MAX, 1) };
    let runs = (0..x.ndim()).map(|a| span(a).run(a, x.shape()[a]));
    select(x, &super::made(runs.collect::<Result<SmallVec<[_; 6]>>>()))
}

/// `x` cut into parts along `axis`.
///
/// Shapes: the axis has `sizes[i]` in part `i`, which together make the whole; a single number stands for parts of that
/// size, of which the last may be smaller. Any dtype. Views.
/// # Errors
/// If the axis is out of range, or the sizes are negative or do not make the whole.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1, 2, 3, 4, 5]);
/// let parts = x.split([2, 3], 0);
/// assert_eq!(parts[1].to_vec::<i64>(), [3, 4, 5]);
/// assert_eq!(x.split(2, 0).len(), 3);
/// ```
/// Source: PyTorch's `split`.
#[op(samples = [(real([5]), [2, 3], 0), (real([2, 4]), [1, 0, 3], -1), (real([5, 2]), 2, 0)])]
pub fn split(x: &Tensor, sizes: Ints, axis: Axis) -> Result<Vec<Tensor>> {
    let axis = x.axis(axis)?;
    let whole = x.shape()[axis];
    let parts = sizes.each(0, "sizes")?;
    if let [size] = parts[..] {
        if size == 0 && whole > 0 {
            return Err(Error::new(format!("parts of size 0 never make axis {axis} of size {whole}")));
        }
        let count = whole.div_ceil(size.max(1)).max(1);
        return Ok((0..count).map(|i| part(x, axis, i * size, whole.min((i + 1).saturating_mul(size)))).collect());
    }
    let total = parts.iter().fold(0usize, |sum, &n| sum.saturating_add(n));
    if total != whole {
        return Err(Error::new(format!("the sizes {:?} make {total}, axis {axis} has {whole}", &parts[..])));
    }
    let mut at = 0;
    let next = |&n: &usize| {
        at += n;
        part(x, axis, at - n, at)
    };
    Ok(parts.iter().map(next).collect())
}

/// `x` cut into `n` parts of one size along `axis`; the last may be smaller, and there may be fewer.
///
/// Shapes: parts of `ceil(size / n)`: 5 in 3 gives 2, 2, 1, and 5 in 4 gives 2, 2, 1 too. Any dtype. Views.
/// # Errors
/// If the axis is out of range or `n` is 0.
/// # Example
/// ```
/// use covector::Tensor;
/// let qkv = Tensor::from([1, 2, 3, 4, 5, 6]);
/// let [q, k, v] = &qkv.chunk(3, 0)[..] else { unreachable!() };
/// assert_eq!([q, k, v].map(|t| t.to_vec::<i64>()), [[1, 2], [3, 4], [5, 6]]);
/// ```
/// Source: PyTorch's `chunk`.
#[op(samples = [(real([6]), 3, 0), (real([2, 5]), 4, -1), (real([0, 2]), 2, 0)])]
pub fn chunk(x: &Tensor, n: usize, axis: Axis) -> Result<Vec<Tensor>> {
    let axis = x.axis(axis)?;
    match x.shape()[axis] {
        _ if n == 0 => Err(Error::new("0 parts cannot make a whole")),
        0 => Ok(vec![x.clone(); n]),
        size => {
            let parts = try_split(x, size.div_ceil(n), axis)?;
            let even = size.is_multiple_of(n);
            Ok(if even { parts.into_iter().map(|part| part.fraction(x, axis, n)).collect() } else { parts })
        }
    }
}

/// The elements of `axis` one by one, each without that axis.
///
/// Shapes: as `x` without `axis`, as often as its size. Any dtype. Views. Over axis 0 also [`x.iter()`](Tensor::iter).
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let columns = Tensor::from([[1, 2], [3, 4]]).unbind(1);
/// assert_eq!(columns[0].to_vec::<i64>(), [1, 3]);
/// ```
/// Source: the Array API's `unstack`, PyTorch's `unbind`.
#[op(samples = [(real([2, 3]), 0), (real([2, 3]), -1), (real([2]), 0)])]
pub fn unbind(x: &Tensor, axis: Axis) -> Result<Vec<Tensor>> {
    let axis = x.axis(axis)?;
    Ok((0..x.shape()[axis]).map(|i| element(x, axis, i)).collect())
}

/// Element `i` of `axis`, without the axis.
fn element(x: &Tensor, axis: usize, i: usize) -> Tensor {
    without(&part(x, axis, i, i + 1), |a| a == axis)
}

/// The lower triangle of every matrix, 0 elsewhere: elements whose column is at most `k` to the right of the diagonal.
///
/// Shapes: `[.., m, n]`, kept. Any dtype. The zeros are chosen, not multiplied: NaN and inf above the diagonal vanish.
/// # Errors
/// If there are fewer than two axes.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1, 2], [3, 4]]);
/// assert_eq!(x.tril(0).to_vec::<i64>(), [1, 0, 3, 4]);
/// ```
/// Source: NumPy's `tril`.
#[op(samples = [(real([3, 3]), 0), (real([2, 2, 4]), 1), (real([4, 2]), -1)])]
pub fn tril(x: &Tensor, k: i64) -> Result<Tensor> {
    let above = right_of(x, k)?;
    Ok(above.where_(zero(x), x))
}

/// The upper triangle of every matrix, 0 elsewhere: elements whose column is at least `k` to the right of the diagonal.
///
/// Shapes: `[.., m, n]`, kept. Any dtype. The zeros are chosen, not multiplied: NaN and inf below the diagonal vanish.
/// # Errors
/// If there are fewer than two axes.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1, 2], [3, 4]]);
/// assert_eq!(x.triu(1).to_vec::<i64>(), [0, 2, 0, 0]);
/// ```
/// Source: NumPy's `triu`.
#[op(samples = [(real([3, 3]), 0), (real([2, 2, 4]), 1), (real([4, 2]), -1)])]
pub fn triu(x: &Tensor, k: i64) -> Result<Tensor> {
    let kept = right_of(x, k.saturating_sub(1))?;
    Ok(kept.where_(x, zero(x)))
}

fn zero(x: &Tensor) -> Tensor {
    Tensor::scalar(0.0, x.dtype())
}

/// True where the column is more than `k` to the right of the diagonal.
fn right_of(x: &Tensor, k: i64) -> Result<Tensor> {
    let n = at_least_a_matrix(x)?;
    let (rows, columns) = (x.shape()[n - 2], x.shape()[n - 1]);
    // Beyond the corners nothing changes, and the sum below cannot overflow.
    let k = k.clamp(-(rows as i64) - 1, columns as i64 + 1);
    let row = reshaped(&iota(rows, DType::I64), [rows, 1]) + k;
    Ok(iota(columns, DType::I64).greater(row))
}

/// The diagonal of every matrix: the main one, or one `offset` further to the right.
///
/// Shapes: `[.., m, n] -> [.., k]`, where `k` is `min(m, n)` for offset 0, and as many as there are for others, also none. Any
/// dtype. A view where the strides allow.
/// # Errors
/// If there are fewer than two axes.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
/// assert_eq!((x.diagonal(0).to_vec::<i64>(), x.diagonal(1).to_vec::<i64>()), (vec![1, 5], vec![2, 6]));
/// ```
/// Source: the Array API's `linalg.diagonal`.
#[op(samples = [(real([3, 3]), 0), (real([2, 2, 4]), 1), (real([4, 2]), -1), (real([0, 2]), 0), (real([2, 3]), 5), (complex([3, 2]), -2)])]
pub fn diagonal(x: &Tensor, offset: i64) -> Result<Tensor> {
    at_least_a_matrix(x)?;
    Ok(super::view::diagonal(x, offset))
}

/// The elements of axis 0, as tensors without that axis; see [`Tensor::iter`].
#[derive(Clone, Debug)]
pub struct Iter {
    tensor: Tensor,
    range: Range<usize>,
    site: Site,
}

impl Iter {
    fn at(&self, i: usize) -> Tensor {
        site::outermost(self.site, || element(&self.tensor, 0, i))
    }
}

impl Tensor {
    /// The elements of axis 0 in order: the rows of a matrix, the examples of a batch; each a view.
    ///
    /// Its `len()` is the size of the axis. Numbers are read faster at once, by [`to_vec`](Self::to_vec).
    /// # Panics
    /// If the tensor is a scalar.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// let sums: Vec<i64> = x.iter().map(|row| row.sum(..).item::<i64>()).collect();
    /// assert_eq!(sums, [3, 7]);
    /// for row in &x {
    ///     assert_eq!(row.shape()[..], [2]);
    /// }
    /// ```
    /// Source: iteration in NumPy and PyTorch.
    #[track_caller]
    pub fn iter(&self) -> Iter {
        match self.shape().first() {
            Some(&size) => {
                let site = Site::new("iter", Location::caller());
                Iter { tensor: self.clone(), range: 0..size, site }
            }
            None => Error::new("iter: a scalar has no axis 0").hint("its number is `x.item()`").raise(),
        }
    }

    /// True if there are no elements: an axis has size 0.
    pub fn is_empty(&self) -> bool {
        self.size() == 0
    }
}

impl Iterator for Iter {
    type Item = Tensor;
    fn next(&mut self) -> Option<Tensor> {
        self.range.next().map(|i| self.at(i))
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl DoubleEndedIterator for Iter {
    fn next_back(&mut self) -> Option<Tensor> {
        self.range.next_back().map(|i| self.at(i))
    }
}

impl ExactSizeIterator for Iter {}

impl IntoIterator for &Tensor {
    type Item = Tensor;
    type IntoIter = Iter;
    #[track_caller]
    fn into_iter(self) -> Iter {
        self.iter()
    }
}

op_list![squeeze, expand_dims, matrix_transpose, flatten, moveaxis, slice, split, chunk, unbind, tril, triu, diagonal,];
