//! Batching: a function of one example made into a function of many.

use std::panic::Location;

use crate::labels::{self, Names};
use crate::ops::view::{add_batch, permuted};
use crate::transform::program::Program;
use crate::{Axis, Error, Result, Tensor, Tree, axes};

/// Which axis of each leaf runs over the examples; `None` for a leaf all examples share.
#[derive(Clone, Debug)]
pub enum BatchAxes {
    /// The same for every leaf.
    All(Option<Axis>),
    /// One entry per leaf.
    Each(Vec<Option<Axis>>),
}

impl BatchAxes {
    fn of(&self, leaf: usize) -> Option<Axis> {
        match self {
            BatchAxes::All(axis) => *axis,
            BatchAxes::Each(axes) => axes[leaf],
        }
    }

    fn check(&self, leaves: usize, what: &str) -> Result<()> {
        match self {
            BatchAxes::Each(axes) if axes.len() != leaves => {
                Err(Error::new(format!("{what} axes and leaves differ in number: {} against {leaves}", axes.len()))
                    .hint("give one axis for each leaf, or a single number for all"))
            }
            _ => Ok(()),
        }
    }
}

impl From<i32> for BatchAxes {
    fn from(axis: i32) -> Self {
        BatchAxes::All(Some(Axis::from(axis)))
    }
}

impl<const N: usize> From<[Option<i32>; N]> for BatchAxes {
    fn from(axes: [Option<i32>; N]) -> Self {
        BatchAxes::Each(axes.iter().map(|a| a.map(Axis::from)).collect())
    }
}

impl From<Vec<Option<Axis>>> for BatchAxes {
    fn from(axes: Vec<Option<Axis>>) -> Self {
        BatchAxes::Each(axes)
    }
}

/// The function over a batch: every leaf of the argument carries the examples along axis 0, and so does every result.
///
/// The function sees one example; it may use any op and any transformation, but cannot read values.
/// # Panics
/// If the leaves disagree on the number of examples, or the function reads a value.
/// # Example
/// ```
/// use covector::{Tensor, grad, vmap};
/// let f = |x: &Tensor| x.square().sum(..);
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(vmap(f)(&x).to_vec::<f32>(), [5.0, 25.0]);
/// assert_eq!(vmap(grad(f))(&x).to_vec::<f32>(), [2.0, 4.0, 6.0, 8.0]);
/// ```
/// Source: JAX's `vmap`.
#[track_caller]
pub fn vmap<T: Tree, Y: Tree>(f: impl Fn(&T) -> Y) -> impl Fn(&T) -> Y {
    vmap_with(f, 0, 0)
}

/// As [`vmap`], with the axis of every leaf: `in_axes` of the argument (`None`: shared by all), `out_axes` of the result.
///
/// # Panics
/// As [`try_vmap`] reports.
/// # Example
/// ```
/// use covector::{Tensor, vmap_with};
/// let dot = |(x, w): &(Tensor, Tensor)| (x * w).sum(..);
/// let args = (Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]), Tensor::from([1.0f32, 10.0]));
/// assert_eq!(vmap_with(dot, [Some(0), None], 0)(&args).to_vec::<f32>(), [21.0, 43.0]);
/// ```
/// Source: JAX's `vmap`.
#[track_caller]
pub fn vmap_with<T: Tree, Y: Tree>(
    f: impl Fn(&T) -> Y,
    in_axes: impl Into<BatchAxes>,
    out_axes: impl Into<BatchAxes>,
) -> impl Fn(&T) -> Y {
    // A closure does not learn where it is called, so errors name the line of `vmap(f)`.
    let here = Location::caller();
    let (in_axes, out_axes) = (in_axes.into(), out_axes.into());
    move |x: &T| match batched(&f, x, &in_axes, &out_axes) {
        Ok(y) => y,
        Err(e) => e.located("vmap", here, |_| ()).raise(),
    }
}

/// Calls `f` on a batch.
///
/// # Errors
/// If the axes do not fit the leaves, the leaves disagree on the number of examples, or an op cannot be batched.
#[track_caller]
pub fn try_vmap<T: Tree, Y: Tree>(f: impl Fn(&T) -> Y, x: &T, in_axes: &BatchAxes, out_axes: &BatchAxes) -> Result<Y> {
    let here = Location::caller();
    batched(f, x, in_axes, out_axes).map_err(|e| e.located("vmap", here, |_| ()))
}

fn batched<T: Tree, Y: Tree>(f: impl Fn(&T) -> Y, x: &T, in_axes: &BatchAxes, out_axes: &BatchAxes) -> Result<Y> {
    let leaves = x.named();
    in_axes.check(leaves.len(), "input")?;
    let mut size = None;
    let mut arguments = Vec::new();
    for (i, (path, leaf)) in leaves.iter().enumerate() {
        arguments.push(match in_axes.of(i) {
            None => (leaf.clone(), false),
            Some(Axis(axis)) => {
                let axis = axes::resolve(axis, leaf.ndim()).map_err(|e| e.of(leaf_name(path)))?;
                agree(&mut size, leaf.shape()[axis], path)?;
                (move_axis(leaf, axis, 0), true)
            }
        });
    }
    let Some((size, _)) = size else {
        return Err(Error::new("no leaf has a batch axis").hint("give at least one input axis"));
    };
    let named = labels::one_name(arguments.iter().filter(|(_, batched)| *batched).map(|(t, _)| (t, 0)))?;
    let examples: Vec<_> = arguments.iter().map(|(t, batched)| example(t, *batched)).collect();
    let mut structure = None;
    let program = Program::trace_specs(examples, "vmap", |placeholders| {
        let inputs = placeholders.iter().zip(&arguments).map(|(p, (t, batched))| if *batched { p } else { t }.clone());
        let y = f(&x.with_leaves(inputs.collect::<Vec<_>>()));
        let leaves = y.leaves();
        structure = Some(y);
        leaves
    });
    let structure = structure.expect("the function was traced");
    let results = program.call_batched(&arguments, size, &named)?;
    out_axes.check(results.len(), "output")?;
    let placed = |(i, (y, batched)): (usize, (Tensor, bool))| match out_axes.of(i) {
        None if batched => Err(Error::new("a result differs between examples, so it needs an output axis")
            .hint("`None` is for results that all examples share")),
        None => Ok(y),
        Some(Axis(axis)) => {
            let y = if batched { y } else { add_batch(&y, size) };
            let axis = axes::resolve(axis, y.ndim()).map_err(|e| e.of("output axes"))?;
            Ok(move_axis(&y, 0, axis))
        }
    };
    let whole = |((y, batched), names): ((Tensor, bool), &Names)| {
        let names = if batched { names.behind(&named, 0, y.ndim() - 1) } else { names.clone() };
        (y.under(names), batched)
    };
    let results = results.into_iter().zip(program.names()).map(whole);
    let placed: Vec<Tensor> = results.enumerate().map(placed).collect::<Result<_>>()?;
    Ok(structure.with_leaves(placed))
}

fn agree(size: &mut Option<(usize, String)>, here: usize, path: &str) -> Result<()> {
    let name = leaf_name(path);
    match size {
        None => *size = Some((here, name)),
        Some((have, first)) if *have != here => {
            return Err(Error::new(format!("{first} has {have} examples, {name} has {here}"))
                .hint("all batch axes must have one size; give `None` as input axis for what all examples share"));
        }
        Some(_) => (),
    }
    Ok(())
}

fn leaf_name(path: &str) -> String {
    if path.is_empty() { "the argument".to_owned() } else { format!("argument `{path}`") }
}

/// The spec of one example, and the names of its axes.
fn example(t: &Tensor, batched: bool) -> (crate::Spec, Names) {
    let names = t.names().picked((usize::from(batched)..t.ndim()).map(Some));
    (crate::Spec::new(t.dtype(), t.shape().without(|i| batched && i == 0)), names)
}

/// `x` with the axis `from` moved to `to`.
fn move_axis(x: &Tensor, from: usize, to: usize) -> Tensor {
    let mut order: Vec<usize> = (0..x.ndim()).filter(|&i| i != from).collect();
    order.insert(to, from);
    permuted(x, &order)
}
