//! Names of axes: what the sizes of a tensor mean, carried through every op.
//!
//! Labels stand beside a node, not in its spec: nothing that runs, plans or hashes sees them. They are inferred when a node
//! is made, if an operand has some, by what its primitive says of its axes ([`Primitive::label`](crate::Primitive::label)).
//! Interpreters that replay a graph or build derivatives do not infer: they give each node the labels of what it stands for.

mod flow;
mod infer;
mod label;
mod regroup;
mod tensor;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::{Result, Spec};

pub(crate) use flow::Clash;
pub use flow::Flow;
pub(crate) use infer::{following, inferred, meet, waiting};
pub use label::Label;
pub(crate) use tensor::{like, one_name};

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

    /// Those of these axes, `None` for a new one.
    pub fn picked(&self, axes: impl IntoIterator<Item = Option<usize>>) -> Names {
        let Names(Some(names)) = self else { return Names::default() };
        Names::new(axes.into_iter().map(|axis| axis.map_or_else(Name::default, |axis| names[axis].clone())).collect())
    }

    /// The labels that have no unknowns, one entry per axis.
    pub fn shown(&self, ndim: usize) -> Labels {
        Labels((0..ndim).map(|i| self.0.as_ref().and_then(|names| names[i].shown().cloned())).collect())
    }
}

/// The labels of a tensor's axes, one entry per axis, printed and read as `B T _ d/h`: `_` for an axis without one.
///
/// ```
/// use covector::Tensor;
/// let labels = Tensor::from([[1.0f32, 2.0]]).labelled("B _").labels();
/// assert_eq!((labels.len(), labels.to_string()), (2, "B _".to_owned()));
/// assert_eq!(labels[0], Some("B".parse().unwrap()));
/// ```
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
///
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 2.0]).labelled("d").described().to_string(), "f32[d=2]");
/// ```
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
