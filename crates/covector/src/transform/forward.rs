//! Forward mode: tangents flow along with the values.

use std::panic::Location;

use crate::labels;
use crate::marks::Scope;
use crate::primitive::Derivative;
use crate::site;
use crate::transform::program::Program;
use crate::transform::reverse::same_specs;
use crate::transform::{marked, sweep};
use crate::{Result, Tensor, Tree};

/// Pushes tangents of the arguments to the outputs; `None` stands for zero.
pub(crate) fn push(
    outputs: &[Tensor],
    arguments: &[Tensor],
    scope: &Scope,
    tangents: &[Option<Tensor>],
) -> Vec<Option<Tensor>> {
    let list = sweep(outputs, arguments, scope);
    let mut found: Vec<Option<Tensor>> = vec![None; list.nodes.len()];
    for (argument, tangent) in arguments.iter().zip(tangents) {
        if let Some(i) = list.find(argument) {
            found[i] = tangent.clone();
        }
    }
    let mut step = |i: usize| {
        let operands = &list.operands[i];
        let tangents: Vec<Option<Tensor>> = operands.iter().map(|&j| found[j as usize].clone()).collect();
        if tangents.iter().all(Option::is_none) {
            return;
        }
        let node = &list.nodes[i];
        let Derivative::Rules(rules) = node.primitive().derivative() else { return };
        if !node.dtype().is_inexact() {
            return;
        }
        let inputs: Vec<Tensor> = operands.iter().map(|&j| list.nodes[j as usize].clone()).collect();
        let tangent = site::within(Some(node.site().of_rules()), || rules.jvp(&inputs, node, &tangents));
        debug_assert_eq!(tangent.spec(), node.spec(), "jvp of {}", node.primitive().name());
        // A tangent has the labels of its primal.
        found[i] = Some(tangent.named(node.names()));
    };
    // Rules build what nobody wrote: labels are given to it, not inferred.
    labels::following(false, || (0..list.nodes.len()).for_each(&mut step));
    outputs.iter().map(|y| list.find(y).and_then(|i| found[i].clone())).collect()
}

/// The value of a function and its derivative along a tangent: the Jacobian-vector product Jt, without J.
///
/// # Errors
/// If the tangent has not the structure, shapes and dtypes of the argument.
#[track_caller]
pub fn try_jvp<T: Tree, Y: Tree>(f: impl Fn(&T) -> Y, x: &T, tangent: &T) -> Result<(Y, Y)> {
    let here = Location::caller();
    same_specs(x, tangent, "a tangent", "the argument").map_err(|e| e.located("jvp", here, |_| ()))?;
    pushed(f, x, tangent, |_, _| Ok(()))
}

/// The value and its derivative along a tangent that fits; `check` may refuse the results.
pub(crate) fn pushed<T: Tree, Y: Tree>(
    f: impl Fn(&T) -> Y,
    x: &T,
    tangent: &T,
    check: impl Fn(&Tensor, &Scope) -> Result<()>,
) -> Result<(Y, Y)> {
    let scope = Scope::derivative();
    let args = marked(x, &scope);
    let y = f(&args);
    let tangents: Vec<Option<Tensor>> = tangent.leaves().into_iter().map(Some).collect();
    let outputs = y.leaves();
    outputs.iter().try_for_each(|y| check(y, &scope))?;
    let pushed = push(&outputs, &args.leaves(), &scope, &tangents);
    let filled = pushed.into_iter().zip(&outputs).map(|(t, y)| labels::like(t, y));
    let tangent = y.with_leaves(filled.collect::<Vec<_>>());
    Ok((y, tangent))
}

/// The value of a function and its derivative along a tangent: the Jacobian-vector product Jt, without J.
///
/// It is the plain product: where a path is cut it gives zeros.
/// # Panics
/// If the tangent has not the structure, shapes and dtypes of the argument.
/// # Example
/// ```
/// use covector::{Tensor, jvp};
/// let (x, t) = (Tensor::from(2.0f64), Tensor::from(1.0f64));
/// let (y, dy) = jvp(|x: &Tensor| x * x * x, &x, &t);
/// assert_eq!((y.item::<f64>(), dy.item::<f64>()), (8.0, 12.0));
/// ```
/// Source: JAX's `jvp`.
#[track_caller]
pub fn jvp<T: Tree, Y: Tree>(f: impl Fn(&T) -> Y, x: &T, tangent: &T) -> (Y, Y) {
    match try_jvp(f, x, tangent) {
        Ok(both) => both,
        Err(e) => e.raise(),
    }
}

/// The value of a function and its derivative as a linear function of the tangent, which runs nothing of `f` again.
///
/// # Panics
/// If the function panics.
/// # Example
/// ```
/// use covector::{Tensor, linearize};
/// let (y, df) = linearize(|x: &Tensor| x.square(), &Tensor::from([1.0f32, 3.0]));
/// assert_eq!(y.to_vec::<f32>(), [1.0, 9.0]);
/// assert_eq!(df.call(&Tensor::from([1.0f32, 1.0])).to_vec::<f32>(), [2.0, 6.0]);
/// ```
/// Source: JAX's `linearize`.
#[track_caller]
pub fn linearize<T: Tree, Y: Tree>(f: impl Fn(&T) -> Y, x: &T) -> (Y, Linearized<T, Y>) {
    let mut value = None;
    let program = Program::trace(&x.leaves(), "linearize", |tangents| {
        let (y, dy) = jvp(&f, x, &x.with_leaves(tangents.iter().cloned()));
        let leaves = dy.leaves();
        value = Some(y);
        leaves
    });
    let y = value.expect("the function was traced");
    let linear = Linearized { program, argument: x.map_leaves(Tensor::clone), result: y.map_leaves(Tensor::clone) };
    (y, linear)
}

/// What [`linearize`] returns: the derivative at a point, as a linear function.
pub struct Linearized<T, Y> {
    program: Program,
    argument: T,
    result: Y,
}

impl<T: Tree, Y: Tree> Linearized<T, Y> {
    /// The derivative along `tangent`.
    ///
    /// # Panics
    /// If the tangent has not the structure, shapes and dtypes of the argument.
    #[track_caller]
    pub fn call(&self, tangent: &T) -> Y {
        if let Err(e) = same_specs(&self.argument, tangent, "a tangent", "the argument") {
            e.located("linearize", Location::caller(), |_| ()).raise()
        }
        self.result.with_leaves(self.program.call(&tangent.leaves()))
    }
}
