//! Labels of tensors: given, read, replaced.

use std::panic::Location;

use super::{Described, Label, Labels, Name, Names, Written, flow, following};
use crate::ops::leaf::Restated;
use crate::primitive::Class;
use crate::{Error, Result, Tensor, site};

impl Tensor {
    /// The labels of the axes: `None` for those without one.
    ///
    /// ```
    /// use covector::{DType, ops::create::zeros};
    /// let x = zeros([2, 5, 16], DType::F32).labelled("B T d");
    /// assert_eq!(x.mean(1).labels().to_string(), "B d");
    /// assert_eq!(x.reshape([2, 5, 4, 4]).labelled("B T h _").labels().to_string(), "B T h d/h");
    /// ```
    pub fn labels(&self) -> Labels {
        self.names().shown(self.ndim())
    }

    /// The dtype, the sizes and the labels.
    pub fn described(&self) -> Described {
        Described { spec: self.spec().clone(), labels: self.labels() }
    }

    /// The same tensor with labels for its axes: `"B T d"`, an array of them, or those of another tensor.
    ///
    /// A label is a name, a product, quotient or sum of names (`d/h`, `3·d`, `T+1`); `_` leaves an axis as it is. Labels travel
    /// through every op, and where two axes meet their labels must be equal: a clash is an error, even where the sizes are equal.
    /// They change neither values nor plans.
    /// # Panics
    /// If a label is malformed, their number is not that of the axes, one contradicts what is known of an axis (a name it has,
    /// or the product of axes that were split from one), or a name would have two sizes.
    /// # Example
    /// ```
    /// use covector::{DType, ops::create::zeros};
    /// let (x, w) = (zeros([2, 5, 16], DType::F32).labelled("B T d"), zeros([16, 8], DType::F32).labelled("d k"));
    /// assert_eq!(x.matmul(&w).labels().to_string(), "B T k");
    /// let other = zeros([16, 8], DType::F32).labelled("e k");
    /// assert!(x.try_matmul(&other).unwrap_err().to_string().contains("`d` meets `e`"));
    /// ```
    #[track_caller]
    pub fn labelled(&self, labels: impl Into<Written>) -> Tensor {
        crate::ops::made(self.try_labelled(labels))
    }

    /// Fallible form of [`labelled`](Self::labelled).
    ///
    /// # Errors
    /// If a label is malformed, their number is not that of the axes, one contradicts what is known of an axis, or a name would
    /// have two sizes.
    #[track_caller]
    pub fn try_labelled(&self, labels: impl Into<Written>) -> Result<Tensor> {
        let here = Location::caller();
        site::call(
            "labelled",
            here,
            |all| all.push(self.described()),
            || {
                let labels = self.fitting(labels.into())?;
                let names = flow::stated(self, &labels)?;
                one_size_each(&names.shown(self.ndim()), self)?;
                Ok(self.renamed(names))
            },
        )
    }

    /// The same tensor with these labels in place of all it had; `_` for none. For two names that mean the same.
    ///
    /// # Panics
    /// If a label is malformed, their number is not that of the axes, or a name would have two sizes.
    /// # Example
    /// ```
    /// use covector::{DType, ops::create::zeros};
    /// let keys = zeros([2, 7], DType::F32).labelled("B T");
    /// assert_eq!(keys.relabelled("B S").labels().to_string(), "B S");
    /// ```
    #[track_caller]
    pub fn relabelled(&self, labels: impl Into<Written>) -> Tensor {
        crate::ops::made(self.try_relabelled(labels))
    }

    /// Fallible form of [`relabelled`](Self::relabelled).
    ///
    /// # Errors
    /// If a label is malformed, their number is not that of the axes, or a name would have two sizes.
    #[track_caller]
    pub fn try_relabelled(&self, labels: impl Into<Written>) -> Result<Tensor> {
        let here = Location::caller();
        site::call(
            "relabelled",
            here,
            |all| all.push(self.described()),
            || {
                let labels = self.fitting(labels.into())?;
                one_size_each(&labels, self)?;
                Ok(self.renamed(Names::new(labels.0.into_iter().map(Name::of).collect())))
            },
        )
    }

    fn fitting(&self, labels: Written) -> Result<Labels> {
        let labels = labels.0?;
        if labels.len() != self.ndim() {
            return Err(Error::new(format!("{} labels for {} axes", labels.len(), self.ndim()))
                .hint("give one for each axis, and `_` where there is none"));
        }
        // Axes of size 1 are repeated where others are not: they have no name by that.
        let one = |label: Option<Label>, size: usize| label.filter(|l| size != 1 || l.as_number() != Some(1));
        Ok(Labels(labels.0.into_iter().zip(self.shape().iter()).map(|(label, &size)| one(label, size)).collect()))
    }

    /// The same values and history under other names.
    #[track_caller]
    pub(crate) fn renamed(&self, names: Names) -> Tensor {
        let leaf = self.primitive().class() == Class::Leaf && self.marks().is_empty();
        let copy = match self.cached() {
            Some(value) if leaf => {
                Tensor::leaf(self.primitive().clone(), self.spec().clone(), Some(value.clone()), Default::default())
            }
            _ => following(false, || crate::ops::made(Tensor::apply(Restated, [self.clone()]))),
        };
        copy.named(&names)
    }

    /// This tensor under these names, by a further node if it is held by others that know it under different ones.
    pub(crate) fn under(self, names: Names) -> Tensor {
        let named = self.named(&names);
        if named.names() == &names || names.is_none() { named } else { named.renamed(names) }
    }

    /// This part of `whole`, the `n`-th along an axis, with that fraction of its label.
    pub(crate) fn fraction(self, whole: &Tensor, axis: usize, n: usize) -> Tensor {
        let Names(Some(names)) = whole.names() else { return self };
        let mut names = names.to_vec();
        let label = names[axis].label.take();
        names[axis] = Name::of(label.and_then(|label| label.over(&Label::number(n as i64))));
        self.named(&Names::new(names))
    }

    /// Says that the size of an axis is a number, not one that has a name; only where there are labels.
    pub(crate) fn literal(self, axis: usize) -> Tensor {
        if self.names().is_none() {
            return self;
        }
        let number = |i: usize| (i == axis && self.shape()[i] > 1).then(|| Label::number(self.shape()[i] as i64));
        let names = flow::stated(&self, &Labels((0..self.ndim()).map(number).collect()));
        match names {
            Ok(names) => self.named(&names),
            Err(_) => self,
        }
    }
}

/// What was found for `x`, a gradient or a tangent, or zeros: under the names of `x`.
pub(crate) fn like(found: Option<Tensor>, x: &Tensor) -> Tensor {
    found.unwrap_or_else(|| Tensor::zeros_of(x.spec())).under(x.names().clone())
}

/// The name of an axis that is all of these: as the first of the names returned.
///
/// # Errors
/// If labels clash.
pub(crate) fn one_name<'a>(axes: impl Iterator<Item = (&'a Tensor, usize)>) -> Result<Names> {
    let mut known: Option<(Tensor, usize, Label)> = None;
    for (x, axis) in axes {
        let name = x.names().get(axis);
        let Some(label) = name.shown().cloned() else { continue };
        match &known {
            Some((first, at, other)) if *other != label => {
                let message = format!(
                    "labels clash: `{other}` meets `{label}` (axis {at} of {} and axis {axis} of {})",
                    first.described(),
                    x.described()
                );
                return Err(Error::new(message)
                    .hint("examples that are run together have one name; `relabelled` gives an axis another")
                    .of_labels([other.clone(), label]));
            }
            Some(_) => (),
            None => known = Some((x.clone(), axis, label)),
        }
    }
    Ok(known.map_or_else(Names::default, |(_, _, label)| Names::new(vec![Name::of(Some(label))])))
}

/// Refuses labels that give one name two sizes, or a number that is not the size.
fn one_size_each(labels: &Labels, x: &Tensor) -> Result<()> {
    let axes = || labels.iter().zip(x.shape().iter());
    let size = |name: &str| {
        let is = |l: &Label| l.to_string() == name;
        axes().find(|(label, _)| label.as_ref().is_some_and(is)).map(|(_, &size)| size)
    };
    for (axis, (label, &found)) in axes().enumerate() {
        let Some(label) = label else { continue };
        // What is no integer here (`d/h` of 10 and 4) is not evaluated.
        let wanted = label.evaluate(size);
        if wanted.is_some_and(|n| n != found as i64) {
            return Err(Error::new(format!("axis {axis} has size {found}, and `{label}` is {}", wanted.unwrap_or(0)))
                .hint("a name stands for one size"));
        }
    }
    Ok(())
}
