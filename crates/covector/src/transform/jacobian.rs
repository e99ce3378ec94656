//! Whole derivative matrices, by batching the products of one mode over a basis; and products with the Hessian.

use std::panic::Location;

use covector_array::{Array, DType, Element};

use crate::marks::Scope;
use crate::transform::forward::{jvp, pushed};
use crate::transform::reverse::{gradient, pulled, refuse_cut, require_float, require_floats, same_specs};
use crate::transform::vmap::vmap;
use crate::{Error, Result, Spec, Tensor, Tree};

/// The unit vectors of a tensor of this spec, stacked: shape `[size, ..shape]`.
fn basis(spec: &Spec) -> Tensor {
    fn identity<T: Element>(n: usize) -> Array {
        Array::build::<T>([n, n].into(), |out| {
            out.fill(T::from_f64(0.0));
            out.iter_mut().step_by(n + 1).for_each(|x| *x = T::from_f64(1.0));
        })
    }
    let n = spec.shape.size();
    let eye = match spec.dtype {
        DType::F64 => identity::<f64>(n),
        _ => identity::<f32>(n),
    };
    crate::ops::view::reshaped(&Tensor::from_array(eye).cast(spec.dtype), spec.shape.with_inserted(0, n))
}

/// `[size, ..rest]` with the first axis spread to `shape`: `[..shape, ..rest]`.
fn unstack(x: &Tensor, shape: &[usize]) -> Tensor {
    let full: Vec<usize> = shape.iter().chain(&x.shape()[1..]).copied().collect();
    crate::ops::view::reshaped(x, full)
}

/// A Jacobian of complex numbers would be two matrices: of the derivative and of that by the conjugate.
fn require_real(spec: &Spec, what: &str) -> Result<()> {
    if !spec.dtype.is_complex() {
        return Ok(());
    }
    let hint = "take the function as one of real parts: `complex(re, im)` inside, `view_as_real` of what it returns";
    Err(Error::new(format!("{what} {spec}, and only real numbers have one matrix of derivatives")).hint(hint))
}

/// Checks that all leaves of the argument are real floats.
fn require_real_floats<T: Tree>(x: &T) -> Result<()> {
    require_floats(x)?;
    x.leaves().iter().try_for_each(|leaf| require_real(leaf.spec(), "the argument is"))
}

/// Checks that a result is a float and that a path leads from it to the arguments.
fn has_derivative(y: &Tensor, scope: &Scope) -> Result<()> {
    require_float(y, "the function returned")?;
    require_real(y.spec(), "the function returned")?;
    refuse_cut(y, scope)
}

/// The Jacobian by reverse mode: one pullback per element of the result, batched. Best for few outputs.
///
/// Shapes: for a result of shape `[..y]` every leaf `[..x]` of the argument gives `[..y, ..x]`.
/// # Panics
/// If the function panics.
/// # Example
/// ```
/// use covector::{Tensor, jacrev};
/// let j = jacrev(|x: &Tensor| x.square())(&Tensor::from([1.0f32, 3.0]));
/// assert_eq!(j.to_vec::<f32>(), [2.0, 0.0, 0.0, 6.0]);
/// ```
/// Source: JAX's `jacrev`.
#[track_caller]
pub fn jacrev<T: Tree>(f: impl Fn(&T) -> Tensor) -> impl Fn(&T) -> T {
    let here = Location::caller();
    move |x: &T| {
        let found = require_real_floats(x).and_then(|()| pulled(&f, x, has_derivative));
        let (y, pullback) = found.unwrap_or_else(|e| e.located("jacrev", here, |_| ()).raise());
        let rows = vmap(|cotangent: &Tensor| pullback.call(cotangent).leaves())(&basis(y.spec()));
        x.with_leaves(rows.iter().map(|r| unstack(r, y.shape())).collect::<Vec<_>>())
    }
}

/// The Jacobian by forward mode: one tangent per element of the argument, batched. Best for few inputs.
///
/// Shapes: for a result of shape `[..y]` every leaf `[..x]` of the argument gives `[..y, ..x]`.
/// # Panics
/// If the function panics.
/// # Example
/// ```
/// use covector::{Tensor, jacfwd};
/// let j = jacfwd(|x: &Tensor| x.square())(&Tensor::from([1.0f32, 3.0]));
/// assert_eq!(j.to_vec::<f32>(), [2.0, 0.0, 0.0, 6.0]);
/// ```
/// Source: JAX's `jacfwd`.
#[track_caller]
pub fn jacfwd<T: Tree>(f: impl Fn(&T) -> Tensor) -> impl Fn(&T) -> T {
    columns("jacfwd", Location::caller(), f)
}

/// [`jacfwd`] under the name of what the user called.
fn columns<T: Tree>(
    called: &'static str,
    here: &'static Location<'static>,
    f: impl Fn(&T) -> Tensor,
) -> impl Fn(&T) -> T {
    move |x: &T| {
        if let Err(e) = require_real_floats(x) {
            e.located(called, here, |_| ()).raise()
        }
        let leaves = x.leaves();
        let column_of = |i: usize| {
            let along = |tangent: &Tensor| {
                let at =
                    |(j, leaf): (usize, &Tensor)| if i == j { tangent.clone() } else { Tensor::zeros_of(leaf.spec()) };
                let direction = x.with_leaves(leaves.iter().enumerate().map(at).collect::<Vec<_>>());
                let found = pushed(&f, x, &direction, has_derivative);
                found.unwrap_or_else(|e| e.located(called, here, |_| ()).raise()).1
            };
            let columns = vmap(along)(&basis(leaves[i].spec()));
            let order: Vec<usize> = (1..columns.ndim()).chain([0]).collect();
            let rows = crate::ops::view::permuted(&columns, &order);
            let last = rows.ndim() - 1;
            let full: Vec<usize> = rows.shape()[..last].iter().chain(leaves[i].shape().iter()).copied().collect();
            crate::ops::view::reshaped(&rows, full)
        };
        x.with_leaves((0..leaves.len()).map(column_of).collect::<Vec<_>>())
    }
}

/// The Hessian of a scalar function of one tensor: forward over reverse mode.
///
/// Shapes: `[..x] -> [..x, ..x]`.
/// # Panics
/// If the result is no scalar float, or the argument no float.
/// # Example
/// ```
/// use covector::{Tensor, hessian};
/// let h = hessian(|x: &Tensor| (x * x * x).sum(..))(&Tensor::from([1.0f32, 2.0]));
/// assert_eq!(h.to_vec::<f32>(), [6.0, 0.0, 0.0, 12.0]);
/// ```
/// Source: JAX's `hessian`.
#[track_caller]
pub fn hessian(f: impl Fn(&Tensor) -> Tensor) -> impl Fn(&Tensor) -> Tensor {
    let here = Location::caller();
    columns("hessian", here, gradient("hessian", here, f))
}

/// The product of the Hessian of a scalar function with a vector, without the Hessian.
///
/// Shapes: `v` and the result have the structure of `x`.
/// # Panics
/// If the result is no scalar float, or `v` does not look like `x`.
/// # Example
/// ```
/// use covector::{Tensor, hvp};
/// let f = |x: &Tensor| (x * x * x).sum(..);
/// let (x, v) = (Tensor::from([1.0f32, 2.0]), Tensor::from([1.0f32, 10.0]));
/// assert_eq!(hvp(f, &x, &v).to_vec::<f32>(), [6.0, 120.0]);
/// ```
/// Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian".
#[track_caller]
pub fn hvp<T: Tree>(f: impl Fn(&T) -> Tensor, x: &T, v: &T) -> T {
    let here = Location::caller();
    if let Err(e) = same_specs(x, v, "the vector", "the argument") {
        e.located("hvp", here, |_| ()).raise()
    }
    jvp(gradient("hvp", here, f), x, v).1
}
