//! Zeros around and between elements: the transpose of slicing; and what else an axis can be continued with.

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, Shape};
use smallvec::SmallVec;

use super::concat::joined;
use super::shape::part;
use super::view::{Slice, expand, linear};
use crate::primitive::{Class, Derivative, Differentiable, Primitive, Summand};
use crate::registry::{Arg, FromArg};
use crate::{Cost, Error, Flow, Result, Spec, Tensor};

/// `lo` zeros before, `hi` after and `interior` between neighbours, per axis.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Pad {
    pub lo: SmallVec<[usize; 6]>,
    pub hi: SmallVec<[usize; 6]>,
    pub interior: SmallVec<[usize; 6]>,
}

impl Pad {
    fn transpose(&self, x: &Spec, cotangent: &Tensor) -> Tensor {
        let slice = Slice {
            starts: self.lo.clone(),
            sizes: x.shape.iter().copied().collect(),
            steps: self.interior.iter().map(|i| i + 1).collect(),
        };
        super::made(Tensor::apply(slice, [cotangent.clone()]))
    }
}
linear!(Pad, |_, _| "ȳ without the border".to_owned());

impl Primitive for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let size = |i: usize| {
            let between = x[0].shape[i].saturating_sub(1).checked_mul(self.interior[i])?;
            x[0].shape[i].checked_add(between)?.checked_add(self.lo[i])?.checked_add(self.hi[i])
        };
        let shape: Option<Shape> = (0..x[0].shape.len()).map(size).collect();
        let shape = shape.ok_or_else(|| Error::new("the padded size does not fit in memory"))?;
        Ok(Spec::new(x[0].dtype, shape))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        let dense = (0..self.interior.len()).filter(|&axis| self.interior[axis] == 0);
        dense.for_each(|axis| flow.resized(axis, (0, axis)));
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::pad(&x[0], &self.lo, &self.hi, &self.interior))
    }
    fn summand(&self) -> Summand {
        let mut padded = (0..self.lo.len()).filter(|&i| self.lo[i] + self.hi[i] + self.interior[i] > 0);
        match (padded.next(), padded.next()) {
            (Some(axis), None) if self.interior[axis] == 0 => Summand::Placed { axis, start: self.lo[axis] },
            _ => Summand::Any,
        }
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        Cost::moving(x, out)
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        let prefixed = |rest: &[usize]| std::iter::once(0).chain(rest.iter().copied()).collect();
        let pad = Pad { lo: prefixed(&self.lo), hi: prefixed(&self.hi), interior: prefixed(&self.interior) };
        Tensor::apply(pad, [x[0].clone()])
    }
}

/// One size per axis.
pub(crate) type PerAxis = SmallVec<[usize; 6]>;

/// How many elements to add before and after each axis.
///
/// From `n` (both sides of every axis), `(lo, hi)` (every axis) or `[(lo, hi), ..]` (axis by axis).
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Widths(pub SmallVec<[(i64, i64); 4]>);

impl Widths {
    /// The widths before and after each of `ndim` axes.
    pub(crate) fn resolve(&self, ndim: usize) -> Result<(PerAxis, PerAxis)> {
        let pairs = match &self.0[..] {
            pairs if pairs.len() == ndim => self.0.clone(),
            [pair] => SmallVec::from_elem(*pair, ndim),
            pairs => {
                return Err(Error::new(format!("{} pairs of widths for {ndim} axes", pairs.len()))
                    .hint("give one pair (before, after) for each axis, from the first, or one for all"));
            }
        };
        let width = |i: i64| {
            usize::try_from(i).map_err(|_| {
                Error::new(format!("widths must be at least 0, {i} was given")).hint("slicing takes elements away")
            })
        };
        let lo = pairs.iter().map(|p| width(p.0)).collect::<Result<_>>()?;
        Ok((lo, pairs.iter().map(|p| width(p.1)).collect::<Result<_>>()?))
    }
}

macro_rules! from_integers {
    ($($t:ty),*) => {$(
        impl From<$t> for Widths {
            fn from(n: $t) -> Widths { Widths::from((n, n)) }
        }
        impl From<($t, $t)> for Widths {
            fn from(pair: ($t, $t)) -> Widths { Widths::from([pair]) }
        }
        impl<const N: usize> From<[($t, $t); N]> for Widths {
            fn from(pairs: [($t, $t); N]) -> Widths { Widths(pairs.iter().map(|p| (p.0 as i64, p.1 as i64)).collect()) }
        }
        impl From<Vec<($t, $t)>> for Widths {
            fn from(pairs: Vec<($t, $t)>) -> Widths { Widths(pairs.iter().map(|p| (p.0 as i64, p.1 as i64)).collect()) }
        }
    )*};
}
from_integers!(i32, i64, isize, usize);

impl FromArg for Widths {
    const KIND: &'static str = "widths: one number, or before and after each axis";
    fn from_arg(arg: Arg) -> Option<Self> {
        match arg {
            Arg::Int(n) => Some(Widths::from(n)),
            Arg::Ints(flat) if flat.len() % 2 == 0 => Some(Widths(flat.chunks(2).map(|p| (p[0], p[1])).collect())),
            _ => None,
        }
    }
}

/// What an axis is continued with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Constant,
    Edge,
    Reflect,
    Wrap,
}

impl Mode {
    pub(crate) fn of(name: &str) -> Result<Mode> {
        match name {
            "constant" => Ok(Mode::Constant),
            "edge" => Ok(Mode::Edge),
            "reflect" => Ok(Mode::Reflect),
            "wrap" => Ok(Mode::Wrap),
            other => Err(Error::new(format!("no padding mode \"{other}\""))
                .hint("there are \"constant\", \"edge\", \"reflect\" and \"wrap\"")),
        }
    }

    /// `x` continued along `axis` by `lo` elements before and `hi` after, made of its own.
    ///
    /// A round adds at most what the axis has, and the next continues the result, which repeats by the same rule.
    pub(crate) fn extend(self, x: &Tensor, axis: usize, mut lo: usize, mut hi: usize) -> Result<Tensor> {
        let period = x.shape()[axis];
        if period == 0 && lo + hi > 0 {
            return Err(Error::new(format!("axis {axis} is empty: there is nothing to continue it with")));
        }
        let mut y = x.clone();
        while lo + hi > 0 {
            let (size, mode) = (y.shape()[axis], if period == 1 { Mode::Edge } else { self });
            let most = match mode {
                Mode::Constant | Mode::Edge => usize::MAX,
                Mode::Reflect => size - 1,
                Mode::Wrap => size - size % period,
            };
            let (before, after) = (lo.min(most), hi.min(most));
            let ends = match mode {
                Mode::Constant | Mode::Edge => [(0, 1, before), (size - 1, size, after)].map(|(from, to, n)| {
                    let one = part(&y, axis, from, to);
                    expand(&one, &one.shape().with_axis(axis, n))
                }),
                Mode::Reflect => [(1, before + 1), (size - 1 - after, size - 1)]
                    .map(|(from, to)| part(&y, axis, from, to).flip(axis)),
                Mode::Wrap => [(most - before, most), (size - most, size - most + after)]
                    .map(|(from, to)| part(&y, axis, from, to)),
            };
            let [first, last] = ends;
            y = joined(&[first, y, last], axis);
            (lo, hi) = (lo - before, hi - after);
        }
        Ok(y)
    }
}
