//! Joining tensors: concat, stack, roll, tile, repeat, and padding in every mode.

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, DType, Shape};
use covector_derive::{op, op_list};
use smallvec::SmallVec;

use super::create::addressable;
use super::pad::{Mode, Pad, Widths};
use super::shape::part;
use super::view::{add_batch, reshaped};
use crate::axes::resolve;
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::{Axes, Axis, Cost, Error, Flow, Ints, Result, Spec, Tensor};

/// Tensors one after another along an axis.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Concat {
    axis: usize,
}

/// Tensors that are known to fit, joined.
pub(crate) fn joined(tensors: &[Tensor], axis: usize) -> Tensor {
    match tensors {
        [one] => one.clone(),
        many => super::made(Tensor::apply(Concat { axis }, many.iter().cloned())),
    }
}

impl Primitive for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let (first, rest) = (x[0], &x[1..]);
        let mut total = first.shape[self.axis];
        for (i, other) in rest.iter().enumerate() {
            let (a, b) = (&first.shape, &other.shape);
            if a.len() != b.len() {
                return Err(Error::new(format!("tensors 0 and {} have {} and {} axes", i + 1, a.len(), b.len()))
                    .hint("`stack` joins along a new axis; `expand_dims` adds one"));
            }
            if let Some(axis) = (0..a.len()).find(|&k| k != self.axis && a[k] != b[k]) {
                let sizes = format!("axis {axis} has size {} in tensor 0 and {} in tensor {}", a[axis], b[axis], i + 1);
                return Err(Error::new(sizes)
                    .hint(format!("only axis {}, along which they are joined, may differ", self.axis))
                    .clash([a, b], [axis, axis]));
            }
            total = total.checked_add(b[self.axis]).ok_or_else(|| Error::new("the joined axis overflows"))?;
        }
        Ok(Spec::new(first.dtype, first.shape.with_axis(self.axis, total)))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.end_to_end(self.axis);
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::concat(&x, self.axis))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        Cost::moving(x, out)
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], batched: &[bool], size: usize) -> Result<Tensor> {
        let all = x.iter().zip(batched).map(|(x, &b)| if b { x.clone() } else { add_batch(x, size) });
        Tensor::apply(Concat { axis: self.axis + 1 }, all)
    }
}

impl Differentiable for Concat {
    fn jvp(&self, x: &[Tensor], _: &Tensor, tangents: &[Option<Tensor>]) -> Tensor {
        let all = x.iter().zip(tangents).map(|(x, t)| t.clone().unwrap_or_else(|| x.zeros_like()));
        joined(&all.collect::<Vec<_>>(), self.axis)
    }
    /// Each operand gets its part back.
    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        let mut at = 0;
        let next = |(x, &wanted): (&Tensor, &bool)| {
            let start = at;
            at += x.shape()[self.axis];
            wanted.then(|| part(cotangent, self.axis, start, at))
        };
        x.iter().zip(wrt).map(next).collect()
    }
    fn rule(&self, _: &[&str], _: usize) -> Option<String> {
        Some("its own part of ȳ".to_owned())
    }
}

/// The tensors in the dtype all of them promote to.
fn promoted(tensors: &[Tensor]) -> Result<Vec<Tensor>> {
    let Some(dtype) = tensors.iter().map(Tensor::dtype).reduce(DType::promote) else {
        return Err(Error::new("there are no tensors to join").hint("of no tensors neither shape nor dtype is known"));
    };
    Ok(tensors.iter().map(|t| t.cast(dtype)).collect())
}

/// Tensors one after another along an axis they have.
///
/// Shapes: `[.., n0, ..], [.., n1, ..] -> [.., n0 + n1, ..]`; all other axes of one size. Dtypes are promoted.
/// # Errors
/// If there are no tensors, the axis is out of range, or the other axes differ.
/// # Example
/// ```
/// use covector::{Tensor, ops::concat::concat};
/// let (a, b) = (Tensor::from([[1], [2]]), Tensor::from([[3, 4], [5, 6]]));
/// assert_eq!(concat(&[a, b], 1).to_vec::<i64>(), [1, 3, 4, 2, 5, 6]);
/// ```
/// Source: NumPy's `concat` (`cat` in PyTorch).
#[op(samples = [
    ([real([2, 3]), real2([1, 3])], 0), ([real([2, 1]), real2([2, 2]), real([2, 0])], -1), ([real([3])], 0),
    ([complex([2, 3]), real2([1, 3])], 0),
])]
pub fn concat(tensors: &[Tensor], axis: Axis) -> Result<Tensor> {
    let tensors = promoted(tensors)?;
    let axis = tensors[0].axis(axis)?;
    match &tensors[..] {
        [one] => Ok(one.clone()),
        many => Tensor::apply(Concat { axis }, many.iter().cloned()),
    }
}

/// Tensors of one shape along a new axis, which stands at `axis` of the result.
///
/// Shapes: n tensors `[a, b]` to `[n, a, b]` for axis 0, `[a, b, n]` for axis -1. Dtypes are promoted.
/// # Errors
/// If there are no tensors, the axis is out of range for the result, or the shapes differ.
/// # Example
/// ```
/// use covector::{Tensor, ops::concat::stack};
/// let (a, b) = (Tensor::from([1, 2]), Tensor::from([3, 4]));
/// assert_eq!(stack(&[a, b], -1).to_vec::<i64>(), [1, 3, 2, 4]);
/// ```
/// Source: NumPy's `stack`.
#[op(samples = [([real([2, 3]), real2([2, 3])], 0), ([real([2]), real2([2]), real([2])], -1), ([real(()), real2(())], 0)])]
pub fn stack(tensors: &[Tensor], axis: Axis) -> Result<Tensor> {
    let tensors = promoted(tensors)?;
    let (first, axis) = (&tensors[0], resolve(axis.0, tensors[0].ndim() + 1)?);
    if let Some((i, odd)) = tensors.iter().enumerate().find(|(_, t)| t.shape() != first.shape()) {
        return Err(Error::new(format!("tensor 0 is {}, tensor {i} is {}", first.shape(), odd.shape()))
            .hint("`concat` joins along an axis they have"));
    }
    let each: Vec<Tensor> = tensors.iter().map(|t| reshaped(t, t.shape().with_inserted(axis, 1))).collect();
    Ok(joined(&each, axis))
}

/// Elements added before and after each axis.
///
/// Shapes: axis `i` grows by `widths[2i] + widths[2i + 1]`. Widths are written `[(lo0, hi0), (lo1, hi1)]`; one pair serves
/// every axis, one number both sides of every axis. Any dtype.
///
/// Modes: "constant" adds `value` in the dtype of `x`; "edge" repeats the first and last element; "reflect" mirrors at
/// them without repeating them; "wrap" continues periodically. Widths may exceed the axis. `value` matters to "constant"
/// alone.
/// # Errors
/// If there is a pair too few or too many, a width is negative, a mode is unknown, or any mode but "constant" is to
/// continue an empty axis.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1, 2, 3]);
/// assert_eq!(x.pad((1, 2), "constant", 9.0).to_vec::<i64>(), [9, 1, 2, 3, 9, 9]);
/// assert_eq!(x.pad((2, 1), "reflect", 0.0).to_vec::<i64>(), [3, 2, 1, 2, 3, 2]);
/// assert_eq!(x.pad(1, "wrap", 0.0).to_vec::<i64>(), [3, 1, 2, 3, 1]);
/// ```
/// Source: NumPy's `pad`.
#[op(samples = [
    (real([2, 3]), [1, 0, 0, 2], "constant", 0.0), (real([2, 3]), [0, 1, 1, 1], "constant", 2.5),
    (real([3, 2]), [2, 1, 0, 1], "reflect", 0.0), (real([2]), [3, 4], "reflect", 0.0),
    (real([2, 3]), [1, 2, 0, 3], "edge", 0.0), (real([3, 2]), [1, 4, 2, 0], "wrap", 0.0), (real([0]), [1, 2], "constant", 1.0),
    (complex([2, 3]), [1, 0, 0, 2], "constant", 0.5),
])]
pub fn pad(x: &Tensor, widths: Widths, mode: &str, value: f64) -> Result<Tensor> {
    let mode = Mode::of(mode)?;
    let (lo, hi) = widths.resolve(x.ndim())?;
    let pad = Pad { interior: SmallVec::from_elem(0, x.ndim()), lo: lo.clone(), hi: hi.clone() };
    // For every mode the check that the result fits in memory.
    let zeros_around = Tensor::apply(pad.clone(), [x.clone()])?;
    if mode != Mode::Constant {
        let extended = (0..x.ndim()).try_fold(x.clone(), |y, axis| mode.extend(&y, axis, lo[axis], hi[axis]))?;
        return Ok(extended.named(zeros_around.names()));
    }
    if value == 0.0 {
        return Ok(zeros_around);
    }
    let inside = Tensor::scalar(1.0, DType::Bool).broadcast_to(x.shape().clone());
    let inside = Tensor::apply(pad, [inside])?;
    Ok(inside.where_(zeros_around, Tensor::scalar(value, x.dtype())))
}

/// Elements moved along axes; what leaves at one end comes in at the other.
///
/// Shapes: as `x`. Shift `i` belongs to axis `i` of the list; positive shifts move towards higher indices. With `..` as axes
/// the one shift moves all elements in row-major order. Any dtype.
/// # Errors
/// If an axis is out of range, or the lists are not of one length.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1, 2, 3, 4]);
/// assert_eq!(x.roll(1, 0).to_vec::<i64>(), [4, 1, 2, 3]);
/// assert_eq!(x.roll(-1, 0).to_vec::<i64>(), [2, 3, 4, 1]);
/// ```
/// Source: NumPy's `roll`.
#[op(samples = [
    (real([4]), 1, 0), (real([2, 3]), [1, -1], [0, 1]), (real([2, 3]), 4, ..), (real([2, 3]), [7, 1], [-1, -1]),
    (real([0, 2]), 1, 0),
])]
pub fn roll(x: &Tensor, shifts: Ints, axes: Axes) -> Result<Tensor> {
    let Some(given) = axes.given() else {
        let [shift] = shifts.0[..] else {
            return Err(Error::new(format!("{} shifts for all axes as one", shifts.0.len()))
                .hint("give one shift, or name the axes"));
        };
        return Ok(reshaped(&rolled(&reshaped(x, [x.size()]), shift, 0), x.shape().clone()));
    };
    if given.len() != shifts.0.len() {
        return Err(Error::new(format!("{} shifts for {} axes", shifts.0.len(), given.len())));
    }
    let moves = given.iter().zip(&shifts.0);
    moves.into_iter().try_fold(x.clone(), |y, (&axis, &shift)| Ok(rolled(&y, shift, resolve(axis, x.ndim())?)))
}

fn rolled(x: &Tensor, shift: i64, axis: usize) -> Tensor {
    let size = x.shape()[axis];
    let shift = if size == 0 { 0 } else { shift.rem_euclid(size as i64) as usize };
    if shift == 0 {
        return x.clone();
    }
    joined(&[part(x, axis, size - shift, size), part(x, axis, 0, size - shift)], axis).named(x.names())
}

/// The whole tensor repeated along its axes.
///
/// Shapes: `[d0, d1] -> [r0 * d0, r1 * d1]`; numbers are aligned with the axes at the right, and axes are added in front
/// if there are more of them. Any dtype.
/// # Errors
/// If a number is negative, or memory cannot address that many elements.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1, 2]).tile(2).to_vec::<i64>(), [1, 2, 1, 2]);
/// assert_eq!(Tensor::from([1, 2]).tile([2, 2]).shape()[..], [2, 4]);
/// ```
/// Source: NumPy's `tile`.
#[op(samples = [(real([2, 3]), [2, 1]), (real([3]), [2, 2]), (real([2, 2]), 3), (real(()), [2]), (real([2]), [0])])]
pub fn tile(x: &Tensor, reps: Ints) -> Result<Tensor> {
    let reps = reps.each(0, "reps")?;
    let ndim = reps.len().max(x.ndim());
    let rep = |i: usize| (i + reps.len()).checked_sub(ndim).map_or(1, |j| reps[j]);
    let dim = |i: usize| (i + x.ndim()).checked_sub(ndim).map_or(1, |j| x.shape()[j]);
    addressable(&(0..ndim).map(|i| rep(i).saturating_mul(dim(i))).collect(), x.dtype())?;
    let split: Shape = (0..ndim).flat_map(|i| [1, dim(i)]).collect();
    let wide: Shape = (0..ndim).flat_map(|i| [rep(i), dim(i)]).collect();
    let wide = reshaped(x, split).try_broadcast_to(wide)?;
    merged(&(0..ndim).fold(wide, |wide, i| wide.literal(2 * i)), (0..ndim).map(|i| (rep(i), dim(i))))
}

/// Every element repeated `n` times along an axis.
///
/// Shapes: the axis grows `n` times. Any dtype.
/// # Errors
/// If the axis is out of range, or memory cannot address that many elements.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1, 2]).repeat(2, 0).to_vec::<i64>(), [1, 1, 2, 2]);
/// ```
/// Source: NumPy's `repeat` (`repeat_interleave` in PyTorch).
#[op(samples = [(real([3]), 2, 0), (real([2, 3]), 3, -1), (real([2, 3]), 1, 0), (real([2]), 0, 0)])]
pub fn repeat(x: &Tensor, n: usize, axis: Axis) -> Result<Tensor> {
    let axis = x.axis(axis)?;
    addressable(&x.shape().with_axis(axis, x.shape()[axis].saturating_mul(n)), x.dtype())?;
    let split = x.shape().with_inserted(axis + 1, 1);
    let wide = reshaped(x, split).try_broadcast_to(x.shape().with_inserted(axis + 1, n))?;
    merged(&wide.literal(axis + 1), x.shape().iter().enumerate().map(|(i, &d)| (if i == axis { n } else { 1 }, d)))
}

/// `x` with pairs of neighbouring axes made one.
fn merged(x: &Tensor, pairs: impl Iterator<Item = (usize, usize)>) -> Result<Tensor> {
    let size = |(a, b): (usize, usize)| a.checked_mul(b).ok_or_else(|| Error::new("an axis would overflow"));
    Ok(reshaped(x, pairs.map(size).collect::<Result<Shape>>()?))
}

op_list![concat, stack, pad, roll, tile, repeat];
