//! Names of axes: what the sizes of a tensor mean, carried through every op.
//!
//! Labels stand beside a node, not in its spec: nothing that runs, plans or hashes sees them. They are inferred when a node
//! is made, if an operand has some, by what its primitive says of its axes ([`Primitive::label`](crate::Primitive::label)).
//! Interpreters that replay a graph or build derivatives do not infer: they give each node the labels of what it stands for.

mod flow;
mod label;
mod regroup;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use smallvec::SmallVec;

pub use flow::Flow;
pub use label::Label;

use crate::ops::leaf::Restated;
use crate::primitive::{Class, Prim};
use crate::site::{self, Site};
use crate::tensor::Operands;
use crate::{Error, Result, Spec, Tensor};
use flow::Clash;

/// What is known of one axis.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Name {
    /// The size as an expression; it may hold unknowns, and then nobody is shown it.
    label: Option<Label>,
    /// What was merged into this axis, in order, so that a reshape can take it apart again.
    parts: Vec<Part>,
}

/// The label, if any, and the size of a factor of a merged axis.
type Part = (Option<Label>, usize);

impl Name {
    fn of(label: Option<Label>) -> Name {
        Name { label, parts: Vec::new() }
    }

    /// The label, if it has no unknowns.
    fn shown(&self) -> Option<&Label> {
        self.label.as_ref().filter(|l| l.is_known())
    }
}

/// The names of a node's axes; nothing if none has one.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Names(Option<Arc<Vec<Name>>>);

impl Names {
    fn new(names: Vec<Name>) -> Names {
        let some = names.iter().any(|n| n.label.is_some() || !n.parts.is_empty());
        Names(some.then(|| Arc::new(names)))
    }

    #[inline]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    fn get(&self, axis: usize) -> Name {
        self.0.as_ref().map_or_else(Name::default, |names| names[axis].clone())
    }

    /// With a further axis in front.
    pub fn behind(&self, first: &Names, axis: usize, ndim: usize) -> Names {
        if self.is_none() && first.is_none() {
            return Names::default();
        }
        Names::new(std::iter::once(first.get(axis)).chain((0..ndim).map(|i| self.get(i))).collect())
    }

    /// Without the axes for which `drop` holds.
    pub fn without(&self, drop: impl Fn(usize) -> bool) -> Names {
        let Names(Some(names)) = self else { return Names::default() };
        Names::new(names.iter().enumerate().filter(|(i, _)| !drop(*i)).map(|(_, name)| name.clone()).collect())
    }

    /// The labels that have no unknowns, one entry per axis.
    pub fn shown(&self, ndim: usize) -> Labels {
        Labels((0..ndim).map(|i| self.0.as_ref().and_then(|names| names[i].shown().cloned())).collect())
    }
}

/// The labels of a tensor's axes, printed and read as `B T _ d/h`: `_` for an axis without one.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Labels(SmallVec<[Option<Label>; 4]>);

impl Deref for Labels {
    type Target = [Option<Label>];
    fn deref(&self) -> &[Option<Label>] {
        &self.0
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, label) in self.iter().enumerate() {
            let space = if i > 0 { " " } else { "" };
            match label {
                Some(label) => write!(f, "{space}{label}")?,
                None => write!(f, "{space}_")?,
            }
        }
        Ok(())
    }
}

/// Labels as somebody wrote them: `"B T d"`, `["B", "T", "d"]`, or those of another tensor.
pub struct Written(Result<Labels>);

fn read<'a>(labels: impl IntoIterator<Item = &'a str>) -> Written {
    let one = |text: &str| match text.trim() {
        "" | "_" => Ok(None),
        text => text.parse().map(Some),
    };
    Written(labels.into_iter().map(one).collect::<Result<_>>().map(Labels))
}

impl From<&str> for Written {
    fn from(text: &str) -> Written {
        read(text.split_whitespace())
    }
}
impl From<&String> for Written {
    fn from(text: &String) -> Written {
        Written::from(&text[..])
    }
}
impl<const N: usize> From<[&str; N]> for Written {
    fn from(labels: [&str; N]) -> Written {
        read(labels)
    }
}
impl From<&[String]> for Written {
    fn from(labels: &[String]) -> Written {
        read(labels.iter().map(String::as_str))
    }
}
impl From<Labels> for Written {
    fn from(labels: Labels) -> Written {
        Written(Ok(labels))
    }
}
impl From<&Labels> for Written {
    fn from(labels: &Labels) -> Written {
        Written(Ok(labels.clone()))
    }
}

/// A spec and the labels of its axes, printed `f32[B=2, T=5, 16]`; without labels as the spec, `f32[2, 5, 16]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    /// The dtype and shape.
    pub spec: Spec,
    /// The label of each axis.
    pub labels: Labels,
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axis = |(size, label): (&usize, &Option<Label>)| match label {
            Some(label) if label.as_number().is_none() => format!("{label}={size}"),
            _ => size.to_string(),
        };
        let axes: Vec<String> = self.spec.shape.iter().zip(&self.labels.0).map(axis).collect();
        write!(f, "{}[{}]", self.spec.dtype, axes.join(", "))
    }
}

thread_local! {
    /// False while nodes are made that stand for others: replayed steps and derivative rules.
    static FOLLOWED: Cell<bool> = const { Cell::new(true) };
    /// True if a clash waits for the op during which it was found.
    static CLASHED: Cell<bool> = const { Cell::new(false) };
    /// The first clash in an op's body, with the number of its call. The body goes on, so that composites need not expect
    /// clashes; the op reports it.
    static WAITING: RefCell<Option<(u64, Clash)>> = const { RefCell::new(None) };
}

/// Runs `body` with or without labels being inferred.
pub(crate) fn following<R>(on: bool, body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            FOLLOWED.set(self.0);
        }
    }
    let _restore = Restore(FOLLOWED.replace(on));
    body()
}

/// The names of the result of `prim`.
///
/// # Errors
/// If labels clash outside of any op; inside of one the clash waits for [`waiting`].
#[inline]
pub(crate) fn inferred(prim: &Prim, inputs: &Operands, out: &Spec) -> Result<Names> {
    if inputs.iter().all(|t| t.names().is_none()) {
        return Ok(Names::default());
    }
    flowing(prim, inputs, out)
}

#[cold]
#[inline(never)]
fn flowing(prim: &Prim, inputs: &Operands, out: &Spec) -> Result<Names> {
    if !FOLLOWED.get() {
        return Ok(Names::default());
    }
    joined(inputs, out, prim.name(), |flow| prim.label(flow))
}

/// The names of a result of which `say` says how it hangs together with the operands.
fn joined(inputs: &[Tensor], out: &Spec, by: &'static str, say: impl FnOnce(&mut Flow<'_>)) -> Result<Names> {
    let mut flow = Flow::new(inputs, out);
    say(&mut flow);
    let (names, clash) = flow.finish(by);
    match (clash, site::current()) {
        (None, _) => Ok(names),
        (Some(clash), None) => {
            let operands: Vec<Described> = inputs.iter().map(Tensor::described).collect();
            Err(clash.error(&operands))
        }
        (Some(clash), Some(site)) => {
            WAITING.with_borrow_mut(|waiting| {
                let stale = waiting.as_ref().is_none_or(|(call, _)| *call != site.call);
                if stale {
                    *waiting = Some((site.call, clash));
                }
            });
            CLASHED.set(true);
            Ok(names)
        }
    }
}

/// The clash that was found in the body of this call.
#[inline]
pub(crate) fn waiting(site: Site) -> Option<Clash> {
    if CLASHED.get() { taken(site) } else { None }
}

#[cold]
fn taken(site: Site) -> Option<Clash> {
    CLASHED.set(false);
    // One that an op left behind when its body panicked is nobody's.
    WAITING.take().filter(|(call, _)| *call == site.call).map(|(_, clash)| clash)
}

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
        let here = std::panic::Location::caller();
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
        let here = std::panic::Location::caller();
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
                    .clashing([other.clone(), label]));
            }
            Some(_) => (),
            None => known = Some((x.clone(), axis, label)),
        }
    }
    Ok(known.map_or_else(Names::default, |(_, _, label)| Names::new(vec![Name::of(Some(label))])))
}

/// Lets the axes of tensors of one shape meet, from whose values a result will be made that is no node on them.
pub(crate) fn meet(tensors: &[Tensor; 2], by: &'static str) -> Result<()> {
    if FOLLOWED.get() && tensors.iter().any(|t| !t.names().is_none()) {
        joined(tensors, tensors[0].spec(), by, |flow| flow.alike())?;
    }
    Ok(())
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
