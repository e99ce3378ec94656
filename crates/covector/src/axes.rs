//! How ops are told which axes: one, several, all, and whether to keep them.

use std::ops::RangeFull;

use covector_array::Shape;
use smallvec::SmallVec;

use crate::{Error, ErrorKind, Result, Tensor};

/// One axis; negative counts from the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Axis(pub isize);

/// Axes to reduce over, from an integer, an array, or `..` for all; [`keep`] keeps them with size 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Axes {
    which: Option<SmallVec<[isize; 4]>>,
    /// True if reduced axes stay, with size 1.
    pub keepdims: bool,
}

/// A list of integers: sizes, steps, paddings.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct Ints(pub SmallVec<[i64; 6]>);

/// The same axes, kept with size 1 after the reduction (NumPy's `keepdims=True`).
///
/// ```
/// use covector::{Tensor, keep};
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(x.sum(keep(-1)).shape()[..], [2, 1]);
/// ```
pub fn keep(axes: impl Into<Axes>) -> Axes {
    Axes { keepdims: true, ..axes.into() }
}

impl Axes {
    /// All axes.
    pub fn all() -> Axes {
        Axes { which: None, keepdims: false }
    }

    /// The axes as given; `None` for all.
    pub fn given(&self) -> Option<&[isize]> {
        self.which.as_deref()
    }

    /// The axes counted from 0, sorted, for `ndim` axes.
    ///
    /// # Errors
    /// If one is out of range or named twice.
    pub fn resolve(&self, ndim: usize) -> Result<SmallVec<[usize; 6]>> {
        let Some(which) = &self.which else { return Ok((0..ndim).collect()) };
        let mut axes: SmallVec<[usize; 6]> = which.iter().map(|&a| resolve(a, ndim)).collect::<Result<_>>()?;
        axes.sort_unstable();
        let Some(twice) = axes.windows(2).find(|w| w[0] == w[1]).map(|w| w[0]) else { return Ok(axes) };
        let error = Error::new(format!("axis {twice} is named twice in {which:?}"));
        let from_the_end = twice as isize - ndim as isize;
        Err(if which.contains(&from_the_end) {
            error.hint(format!("{from_the_end}, counted from the end, is {twice}"))
        } else {
            error
        })
    }
}

/// `axis` counted from 0, for `ndim` axes.
///
/// # Errors
/// If it is out of range.
pub fn resolve(axis: isize, ndim: usize) -> Result<usize> {
    let n = ndim as isize;
    if (-n..n).contains(&axis) {
        return Ok(if axis < 0 { axis + n } else { axis } as usize);
    }
    let range = if n == 0 { "a scalar has no axes".to_owned() } else { format!("axes run from {} to {}", -n, n - 1) };
    Err(Error::new(format!("axis {axis} is out of range for {n} axes")).hint(range).of_kind(ErrorKind::Index))
}

impl Tensor {
    /// `axis` counted from 0.
    pub(crate) fn axis(&self, axis: Axis) -> Result<usize> {
        resolve(axis.0, self.ndim())
    }
}

impl From<()> for Ints {
    /// None given.
    fn from(_: ()) -> Ints {
        Ints::default()
    }
}

macro_rules! from_integers {
    ($($t:ty),*) => {$(
        impl From<$t> for Axis { fn from(a: $t) -> Axis { Axis(a as isize) } }
        impl From<$t> for Axes { fn from(a: $t) -> Axes { Axes::from(&[a as isize][..]) } }
        impl From<$t> for Ints { fn from(i: $t) -> Ints { Ints(SmallVec::from_slice(&[i as i64])) } }
        impl<const N: usize> From<[$t; N]> for Axes {
            fn from(a: [$t; N]) -> Axes { Axes::from(&a.map(|i| i as isize)[..]) }
        }
        impl<const N: usize> From<[$t; N]> for Ints {
            fn from(a: [$t; N]) -> Ints { Ints(a.iter().map(|&i| i as i64).collect()) }
        }
        impl From<Vec<$t>> for Ints {
            fn from(a: Vec<$t>) -> Ints { Ints(a.iter().map(|&i| i as i64).collect()) }
        }
        impl From<Vec<$t>> for Axes {
            fn from(a: Vec<$t>) -> Axes { Axes { which: Some(a.iter().map(|&i| i as isize).collect()), keepdims: false } }
        }
    )*};
}
from_integers!(i32, i64, isize, usize);

impl From<&[isize]> for Axes {
    fn from(axes: &[isize]) -> Axes {
        Axes { which: Some(SmallVec::from_slice(axes)), keepdims: false }
    }
}

impl From<&[usize]> for Axes {
    fn from(axes: &[usize]) -> Axes {
        Axes { which: Some(axes.iter().map(|&a| a as isize).collect()), keepdims: false }
    }
}

impl From<Axis> for Axes {
    fn from(axis: Axis) -> Axes {
        Axes::from(axis.0)
    }
}

impl From<RangeFull> for Axes {
    fn from(_: RangeFull) -> Axes {
        Axes::all()
    }
}

impl From<&[usize]> for Ints {
    fn from(sizes: &[usize]) -> Ints {
        Ints(sizes.iter().map(|&i| i as i64).collect())
    }
}

impl From<&Shape> for Ints {
    fn from(shape: &Shape) -> Ints {
        Ints::from(&shape[..])
    }
}

impl Ints {
    /// `n` non-negative sizes: as many as given, or the one given for each.
    ///
    /// # Errors
    /// If their number is neither 1 nor `n`, or one is below `least`.
    pub fn sizes(&self, n: usize, least: usize, what: &str) -> Result<SmallVec<[usize; 6]>> {
        if self.0.len() != n && self.0.len() != 1 {
            let wanted = if n == 1 { "one number".to_owned() } else { format!("one number, or {n}") };
            return Err(Error::new(format!("{what} must be {wanted}, not {:?}", &self.0[..])));
        }
        let given = self.each(least, what)?;
        Ok(if given.len() == n { given } else { SmallVec::from_elem(given[0], n) })
    }

    /// The numbers as sizes, however many there are.
    ///
    /// # Errors
    /// If one is below `least`.
    pub fn each(&self, least: usize, what: &str) -> Result<SmallVec<[usize; 6]>> {
        let size = |&i: &i64| {
            usize::try_from(i)
                .ok()
                .filter(|&i| i >= least)
                .ok_or_else(|| Error::new(format!("{what} must be at least {least}, {i} was given")))
        };
        self.0.iter().map(size).collect()
    }
}
