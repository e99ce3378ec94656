//! Indexing: `x.i(s![1, 2.., ..;-1])`, in tuples and in the macro [`s!`](crate::s), by NumPy's rules.
//!
//! Basic indexing only, so every result is made of views: a slice, a flip, a reshape. Gathering by a tensor of indices
//! copies and is another op (`take`, `index`).

use std::ops::{Bound, Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};
use std::panic::Location;

use covector_array::Shape;
use smallvec::SmallVec;

use crate::ops::made;
use crate::ops::view::{Flip, Slice, reshaped};
use crate::site;
use crate::{Error, ErrorKind, Result, Tensor};

/// What to take of one axis; made from integers and ranges, or by [`s!`](crate::s).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Index {
    /// One element: the axis is dropped. Negative counts from the end.
    At(i64),
    /// Every `step`-th element between two bounds: the axis stays.
    Span(Span),
    /// As many whole axes as are left.
    Ellipsis,
    /// A new axis of size 1.
    New,
}

/// Bounds and step along an axis; negative bounds count from the end, bounds outside are clamped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    start: Option<i64>,
    end: Bound<i64>,
    step: i64,
}

/// As many whole axes as are left: `...` in a tuple of indices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ellipsis;

/// A new axis of size 1 in a tuple of indices: `new` in [`s!`](crate::s).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewAxis;

/// One index per axis, from the first; axes without one are taken whole.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Indices(pub SmallVec<[Index; 6]>);

impl Index {
    /// Every `step`-th element of the range; a negative step walks from the start down to the end.
    ///
    /// In tuples what `;` is in [`s!`](crate::s): `x.i((Index::from(..).step(-1), 0))` is `x.i(s![..;-1, 0])`.
    /// An index that is no range stays as it is.
    pub fn step(self, step: i64) -> Index {
        match self {
            Index::Span(span) => Index::Span(Span { step, ..span }),
            other => other,
        }
    }
}

/// The elements of an axis a span selects: `count` of them from `start`, `step` apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    start: usize,
    count: usize,
    step: i64,
}

impl Span {
    /// From `start` up to `stop`, not included, as in NumPy.
    pub(crate) fn new(start: i64, stop: i64, step: i64) -> Span {
        Span::bounds(Some(start), Some(stop), step)
    }

    /// From `start` up to `stop`, not included, as in Python; without a bound from, or to, the end of the axis.
    pub fn bounds(start: Option<i64>, stop: Option<i64>, step: i64) -> Span {
        Span { start, end: stop.map_or(Bound::Unbounded, Bound::Excluded), step }
    }

    /// The elements selected of an axis of `size`.
    pub(crate) fn run(&self, axis: usize, size: usize) -> Result<Run> {
        let (n, step) = (size as i128, i128::from(self.step));
        if step == 0 {
            return Err(Error::new(format!("the step along axis {axis} is 0"))
                .hint("1 takes every element, -1 every element in reverse order"));
        }
        // The first and last places a walk in this direction may stand at, one beyond the end included.
        let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
        let from_end = |i: i64| if i < 0 { i128::from(i) + n } else { i128::from(i) };
        let start = self.start.map_or(if step > 0 { low } else { high }, |i| from_end(i).clamp(low, high));
        let end = match self.end {
            Bound::Unbounded => {
                if step > 0 {
                    high
                } else {
                    low
                }
            }
            Bound::Excluded(i) => from_end(i).clamp(low, high),
            Bound::Included(i) => (from_end(i) + step.signum()).clamp(low, high),
        };
        let distance = (end - start) * step.signum();
        let count = if distance <= 0 { 0 } else { (distance - 1) / step.abs() + 1 };
        // An empty selection starts anywhere; 0 is always inside.
        let start = if count == 0 { 0 } else { start };
        Ok(Run { start: start as usize, count: count as usize, step: self.step })
    }
}

impl Run {
    fn at(index: i64, axis: usize, size: usize) -> Result<Run> {
        let n = size as i64;
        if (-n..n).contains(&index) {
            return Ok(Run { start: if index < 0 { index + n } else { index } as usize, count: 1, step: 1 });
        }
        let error = Error::new(format!("index {index} is out of range for axis {axis} of size {size}"))
            .of_kind(ErrorKind::Index);
        Err(if n == 0 {
            error.hint("the axis is empty")
        } else {
            error.hint(format!("indices run from {} to {}", -n, n - 1))
        })
    }
}

/// The elements the runs select, one run per axis: a slice with positive steps, then a flip where a step is negative.
pub(crate) fn select(x: &Tensor, runs: &[Run]) -> Tensor {
    let step = |r: &Run| if r.count > 1 { r.step.unsigned_abs() as usize } else { 1 };
    let first = |r: &Run| if r.step < 0 && r.count > 1 { r.start - (r.count - 1) * step(r) } else { r.start };
    let mut y = x.clone();
    if runs.iter().zip(x.shape().iter()).any(|(r, &size)| r.count != size) {
        let (starts, sizes) = (runs.iter().map(first).collect(), runs.iter().map(|r| r.count).collect());
        y = made(Tensor::apply(Slice { starts, sizes, steps: runs.iter().map(step).collect() }, [y]));
    }
    let reversed: SmallVec<[usize; 6]> = (0..runs.len()).filter(|&a| runs[a].step < 0 && runs[a].count > 1).collect();
    if reversed.is_empty() { y } else { made(Tensor::apply(Flip { axes: reversed }, [y])) }
}

impl Indices {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let ndim = x.ndim();
        let mut parts = self.0.split(|i| *i == Index::Ellipsis);
        let (before, after) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if parts.next().is_some() {
            return Err(Error::new("`...` may stand once").hint("`..` takes one whole axis").of_kind(ErrorKind::Index));
        }
        let behind = axes(after);
        let named = axes(before) + behind;
        if named > ndim {
            return Err(Error::new(format!("{named} indices for {ndim} axes")).of_kind(ErrorKind::Index));
        }
        let mut part = Part { sizes: x.shape(), runs: SmallVec::new(), shape: SmallVec::new(), axes: SmallVec::new() };
        before.iter().try_for_each(|index| part.take(index))?;
        part.skip_to(ndim - behind);
        after.iter().try_for_each(|index| part.take(index))?;
        let y = select(x, &part.runs);
        Ok(reshaped(&y, part.shape.into_iter().collect::<Shape>()).named(&y.names().picked(part.axes)))
    }
}

/// The number of axes the indices speak of.
fn axes(indices: &[Index]) -> usize {
    indices.iter().filter(|i| matches!(i, Index::At(_) | Index::Span(_))).count()
}

/// What has been taken so far of a tensor with these sizes.
struct Part<'a> {
    sizes: &'a [usize],
    runs: SmallVec<[Run; 6]>,
    shape: SmallVec<[usize; 6]>,
    /// For each axis of the result where it comes from, if it is not new.
    axes: SmallVec<[Option<usize>; 6]>,
}

impl Part<'_> {
    fn take(&mut self, index: &Index) -> Result<()> {
        let axis = self.runs.len();
        match index {
            Index::At(i) => self.runs.push(Run::at(*i, axis, self.sizes[axis])?),
            Index::Span(span) => {
                let run = span.run(axis, self.sizes[axis])?;
                self.runs.push(run);
                self.shape.push(run.count);
                self.axes.push(Some(axis));
            }
            Index::New => {
                self.shape.push(1);
                self.axes.push(None);
            }
            Index::Ellipsis => self.skip_to(self.sizes.len()),
        }
        Ok(())
    }

    /// Takes whole axes up to `axis`.
    fn skip_to(&mut self, axis: usize) {
        let whole = &self.sizes[self.runs.len()..axis];
        self.axes.extend((self.runs.len()..axis).map(Some));
        self.runs.extend(whole.iter().map(|&size| Run { start: 0, count: size, step: 1 }));
        self.shape.extend_from_slice(whole);
    }
}

impl Tensor {
    /// A part of the tensor, by NumPy's rules of basic indexing; a view, nothing is copied.
    ///
    /// Takes one index, a tuple of them or the macro [`s!`](crate::s). An integer takes one element and drops the axis; a
    /// range keeps the axis; negative numbers count from the end; bounds beyond the end are clamped, as slices in Python
    /// are; axes without an index are taken whole.
    /// # Panics
    /// If an integer is out of range, a step is 0, there are more indices than axes or more than one `...`.
    /// # Example
    /// ```
    /// use covector::{Ellipsis, NewAxis, Tensor, s};
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.i(1).to_vec::<i64>(), [4, 5, 6]);
    /// assert_eq!(x.i((0, -1)).item::<i64>(), 3);
    /// assert_eq!(x.i((.., 1..)).to_vec::<i64>(), [2, 3, 5, 6]);
    /// assert_eq!(x.i(s![-1, ..;-1]).to_vec::<i64>(), [6, 5, 4]);
    /// assert_eq!(x.i(s![..., 0, new]).shape()[..], [2, 1]);
    /// assert_eq!(x.i((Ellipsis, 0, NewAxis)).shape()[..], [2, 1]);
    /// ```
    /// Source: NumPy's basic indexing.
    #[track_caller]
    pub fn i(&self, index: impl Into<Indices>) -> Tensor {
        made(self.try_i(index))
    }

    /// Fallible form of [`i`](Self::i): the error, not a panic.
    ///
    /// # Errors
    /// If an integer is out of range, a step is 0, there are more indices than axes or more than one `...`.
    #[track_caller]
    pub fn try_i(&self, index: impl Into<Indices>) -> Result<Tensor> {
        let operand = |specs: &mut Vec<_>| specs.push(self.described());
        site::call("i", Location::caller(), operand, || index.into().apply(self))
    }
}

/// Indices for [`Tensor::i`](crate::Tensor::i), written as in Python but with Rust's ranges.
///
/// | here | NumPy | meaning |
/// |---|---|---|
/// | `2`, `-1` | `2`, `-1` | one element; the axis is dropped |
/// | `1..`, `..-1`, `1..4` | `1:`, `:-1`, `1:4` | a range; the axis stays |
/// | `1..=3` | | a range with its end |
/// | `..` | `:` | the whole axis |
/// | `..;2`, `1..;3` | `::2`, `1::3` | every second, every third |
/// | `..;-1`, `5..2;-1` | `::-1`, `5:2:-1` | backwards, from the start down to the end |
/// | `...` | `...` | as many whole axes as are left |
/// | `new` | `np.newaxis` | a new axis of size 1 |
///
/// Numbers may be any expressions of type i32, i64, isize or usize.
///
/// ```
/// use covector::{Tensor, s};
/// let x = Tensor::from([[1, 2, 3, 4], [5, 6, 7, 8]]);
/// let n = 1usize;
/// assert_eq!(x.i(s![n, 1..;2]).to_vec::<i64>(), [6, 8]);
/// assert_eq!(x.i(s![..;-1, 0]).to_vec::<i64>(), [5, 1]);
/// assert_eq!(x.i(s![new, ..., ..-2]).shape()[..], [1, 2, 2]);
/// ```
#[macro_export]
macro_rules! s {
    (@next [$($done:expr,)*]) => {{
        // `5..2;-1` is no empty range here.
        #[allow(clippy::reversed_empty_ranges)]
        let indices = $crate::Indices::from([$($done),*]);
        indices
    }};
    (@next [$($done:expr,)*] ... $(, $($rest:tt)*)?) => {
        $crate::s!(@next [$($done,)* $crate::Index::Ellipsis,] $($($rest)*)?)
    };
    (@next [$($done:expr,)*] new $(, $($rest:tt)*)?) => {
        $crate::s!(@next [$($done,)* $crate::Index::New,] $($($rest)*)?)
    };
    (@next [$($done:expr,)*] $index:expr $(; $step:expr)? $(, $($rest:tt)*)?) => {
        $crate::s!(@next [$($done,)* $crate::Index::from($index)$(.step($step))?,] $($($rest)*)?)
    };
    (@next $($wrong:tt)*) => { compile_error!("an index is a number, a range, `range;step`, `...` or `new`") };
    ($($indices:tt)*) => { $crate::s!(@next [] $($indices)*) };
}

impl From<Ellipsis> for Index {
    fn from(_: Ellipsis) -> Index {
        Index::Ellipsis
    }
}

impl From<NewAxis> for Index {
    fn from(_: NewAxis) -> Index {
        Index::New
    }
}

impl From<RangeFull> for Index {
    fn from(_: RangeFull) -> Index {
        Index::Span(Span { start: None, end: Bound::Unbounded, step: 1 })
    }
}

macro_rules! from_integers {
    ($($t:ty),*) => {$(
        impl From<$t> for Index {
            fn from(i: $t) -> Index { Index::At(i64::try_from(i).unwrap_or(i64::MAX)) }
        }
        from_integers!(@ranges $t: Range, RangeFrom, RangeTo, RangeInclusive, RangeToInclusive);
    )*};
    (@ranges $t:ty: $($range:ident),*) => {$(
        impl From<$range<$t>> for Index {
            fn from(range: $range<$t>) -> Index {
                let wide = |i: &$t| i64::try_from(*i).unwrap_or(i64::MAX);
                let start = match range.start_bound() {
                    Bound::Included(i) => Some(wide(i)),
                    _ => None,
                };
                Index::Span(Span { start, end: range.end_bound().map(wide), step: 1 })
            }
        }
    )*};
}
from_integers!(i32, i64, isize, usize);

impl<T: Into<Index>> From<T> for Indices {
    fn from(index: T) -> Indices {
        Indices(SmallVec::from_slice(&[index.into()]))
    }
}

impl<const N: usize> From<[Index; N]> for Indices {
    fn from(indices: [Index; N]) -> Indices {
        Indices(SmallVec::from_slice(&indices))
    }
}

impl From<()> for Indices {
    fn from((): ()) -> Indices {
        Indices::default()
    }
}

macro_rules! from_tuples {
    ($($t:ident)+) => {
        impl<$($t: Into<Index>),+> From<($($t,)+)> for Indices {
            #[allow(non_snake_case)]
            fn from(($($t,)+): ($($t,)+)) -> Indices { Indices::from([$($t.into()),+]) }
        }
    };
}
from_tuples!(A);
from_tuples!(A B);
from_tuples!(A B C);
from_tuples!(A B C D);
from_tuples!(A B C D E);
from_tuples!(A B C D E F);
