//! The same elements seen through another shape, order or window; no copies where strides allow.
//!
//! All are linear, so each says only what its transpose is.

use covector_array::kernels::Inputs;
use covector_array::{Array, DType, Shape};
use covector_derive::{op, op_list};
use smallvec::SmallVec;

use super::create::addressable;
use super::pad::Pad;
use super::reduce::sum_axes;
use crate::axes::resolve;
use crate::primitive::{Class, Derivative, Differentiable, Fused, Primitive, Summand};
use crate::{Axes, Axis, Error, Flow, Ints, Result, Spec, Tensor};

/// Implements both modes of a one-operand linear primitive from `apply` (itself) and `transpose`, which `rule` says in words.
macro_rules! linear {
    ($P:ty, $rule:expr) => {
        impl Differentiable for $P {
            fn jvp(&self, _: &[Tensor], _: &Tensor, t: &[Option<Tensor>]) -> Tensor {
                let tangent = t[0].clone().expect("the one operand has a tangent");
                $crate::ops::made(Tensor::apply(self.clone(), [tangent]))
            }
            fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
                vec![Some(self.transpose(x[0].spec(), cotangent))]
            }
            fn rule(&self, names: &[&str], _: usize) -> Option<String> {
                let rule: fn(&$P, &str) -> String = $rule;
                names.first().map(|x| rule(self, x))
            }
        }
    };
}
pub(crate) use linear;

/// Two tensors broadcast against each other (NumPy's rule).
///
/// # Errors
/// Names the axis at which the shapes clash.
pub(crate) fn broadcast(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    aligned(a.clone(), b.clone())
}

/// As [`broadcast`], on handles of one's own.
pub(crate) fn aligned(a: Tensor, b: Tensor) -> Result<(Tensor, Tensor)> {
    if a.shape() == b.shape() {
        return Ok((a, b));
    }
    let Some(shape) = a.shape().broadcast(b.shape()) else {
        let (axis, m, n) = crate::rule_book::clash(a.shape(), b.shape()).unwrap_or((0, 0, 0));
        return Err(Error::new(format!(
            "shapes do not broadcast: {} and {} (axis {axis} has {m} against {n})",
            a.shape(),
            b.shape()
        ))
        .hint("shapes are aligned at the right; sizes must be equal, or one of them 1")
        .clash([a.shape(), b.shape()], [&a, &b].map(|x| x.ndim().saturating_add_signed(axis))));
    };
    addressable(&shape, a.dtype().promote(b.dtype()))?;
    Ok((expand(&a, &shape), expand(&b, &shape)))
}

/// `x` repeated to a shape it is known to broadcast to.
pub(crate) fn expand(x: &Tensor, shape: &Shape) -> Tensor {
    if x.shape() == shape {
        return x.clone();
    }
    super::made(Tensor::apply(BroadcastTo { shape: shape.clone() }, [x.clone()]))
}

/// `x` under another shape of the same size.
pub(crate) fn reshaped(x: &Tensor, shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    if *x.shape() == shape {
        return x.clone();
    }
    super::made(Tensor::apply(Reshape { shape }, [x.clone()]))
}

/// `x` with its axes in another order.
pub(crate) fn permuted(x: &Tensor, axes: &[usize]) -> Tensor {
    if axes.iter().enumerate().all(|(i, &a)| i == a) {
        return x.clone();
    }
    super::made(Tensor::apply(Permute { axes: SmallVec::from_slice(axes) }, [x.clone()]))
}

/// `x` repeated along a new axis 0: how an operand that is not batched joins a batch.
pub(crate) fn add_batch(x: &Tensor, size: usize) -> Tensor {
    expand(x, &x.shape().with_inserted(0, size))
}

/// The elements `[.., i, i]` of the last two axes.
pub(crate) fn main_diagonal(x: &Tensor) -> Tensor {
    diagonal(x, 0)
}

/// The elements `[.., i, i + offset]` of the last two axes: every (columns + 1)-th of the two flattened into one.
pub(crate) fn diagonal(x: &Tensor, offset: i64) -> Tensor {
    let lead = x.ndim() - 2;
    let (rows, columns) = (x.shape()[lead], x.shape()[lead + 1]);
    let skip = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
    let (above, left) = if offset < 0 { (skip.min(rows), 0) } else { (0, skip.min(columns)) };
    let count = (rows - above).min(columns - left);
    let mut starts = SmallVec::from_elem(0, lead + 1);
    starts[lead] = if count == 0 { 0 } else { above * columns + left };
    let joined = |last: usize| x.shape()[..lead].iter().copied().chain([last]);
    let slice = Slice {
        starts,
        sizes: joined(count).collect(),
        steps: std::iter::repeat_n(1, lead).chain([columns + 1]).collect(),
    };
    super::made(Tensor::apply(slice, [reshaped(x, joined(rows * columns).collect::<Shape>())]))
}

/// Another shape for the same row-major sequence.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Reshape {
    pub shape: Shape,
}

impl Reshape {
    fn transpose(&self, x: &Spec, cotangent: &Tensor) -> Tensor {
        reshaped(cotangent, &x.shape)
    }
}
linear!(Reshape, |_, x| format!("ȳ in the shape of {x}"));

impl Primitive for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn class(&self) -> Class {
        Class::View
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let (have, want) = (x[0].shape.size(), self.shape.checked_size(1));
        if want != Some(have) {
            let want = want.map_or("more than fit in memory".to_owned(), |n| n.to_string());
            return Err(Error::new(format!("{have} elements do not fill the shape {} ({want})", self.shape)));
        }
        Ok(Spec::new(x[0].dtype, self.shape.clone()))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.regrouped();
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(x[0].reshape(&self.shape))
    }
    fn fused(&self, _: DType) -> Fused<'_> {
        Fused::Same
    }
    fn summand(&self) -> Summand {
        Summand::Reshaped
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], size: usize) -> Result<Tensor> {
        Ok(reshaped(&x[0], self.shape.with_inserted(0, size)))
    }
}

/// The axes in another order: axis `i` of the result is axis `axes[i]` of the operand.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Permute {
    pub axes: SmallVec<[usize; 6]>,
}

impl Permute {
    fn transpose(&self, _: &Spec, cotangent: &Tensor) -> Tensor {
        let mut inverse: SmallVec<[usize; 6]> = SmallVec::from_elem(0, self.axes.len());
        self.axes.iter().enumerate().for_each(|(i, &a)| inverse[a] = i);
        permuted(cotangent, &inverse)
    }
}
linear!(Permute, |p, _| match p.exchanges_last_axes() {
    true => "ȳᵀ".to_owned(),
    false => "ȳ with its axes put back".to_owned(),
});

impl Primitive for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }
    fn class(&self) -> Class {
        Class::View
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..x[0].shape.len()) {
            return Err(Error::new(format!("{:?} is not an order of {} axes", &self.axes[..], x[0].shape.len()))
                .hint(format!("name each axis once, as in {:?}", (0..x[0].shape.len()).rev().collect::<Vec<_>>())));
        }
        Ok(Spec::new(x[0].dtype, self.axes.iter().map(|&a| x[0].shape[a]).collect::<Shape>()))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.carried(0, self.axes.iter().map(|&a| Some(a)));
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(x[0].permute(&self.axes))
    }
    fn exchanges_last_axes(&self) -> bool {
        let n = self.axes.len();
        n >= 2 && self.axes[n - 2..] == [n - 1, n - 2] && (0..n - 2).all(|i| self.axes[i] == i)
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        let axes: Vec<usize> = std::iter::once(0).chain(self.axes.iter().map(|&a| a + 1)).collect();
        Ok(permuted(&x[0], &axes))
    }
}

/// Repeats axes of size 1, and adds leading ones, without copying.
#[derive(Clone, Debug, Hash)]
pub(crate) struct BroadcastTo {
    pub shape: Shape,
}

impl BroadcastTo {
    /// The sum over the repeated axes: how a bias gets its gradient.
    fn transpose(&self, x: &Spec, cotangent: &Tensor) -> Tensor {
        let lead = self.shape.len() - x.shape.len();
        let repeated: Vec<usize> =
            (0..self.shape.len()).filter(|&i| i < lead || x.shape[i - lead] != self.shape[i]).collect();
        reshaped(&sum_axes(cotangent, &repeated), &x.shape)
    }
}
linear!(BroadcastTo, |_, _| "Σ ȳ over the repeated axes".to_owned());

impl Primitive for BroadcastTo {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }
    fn class(&self) -> Class {
        Class::View
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        if x[0].shape.broadcast(&self.shape).as_ref() != Some(&self.shape) {
            return Err(Error::new(format!("{} does not broadcast to {}", x[0].shape, self.shape))
                .hint("shapes are aligned at the right; only axes of size 1 are repeated"));
        }
        Ok(Spec::new(x[0].dtype, self.shape.clone()))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        let x = flow.shape(0);
        let lead = self.shape.len() - x.len();
        flow.carried(0, (0..self.shape.len()).map(|i| i.checked_sub(lead).filter(|&a| x[a] == self.shape[i])));
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(x[0].broadcast_to(&self.shape))
    }
    fn fused(&self, _: DType) -> Fused<'_> {
        Fused::Repeat
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], size: usize) -> Result<Tensor> {
        let missing = self.shape.len() + 1 - x[0].ndim();
        let dims = x[0].shape().iter().copied();
        let aligned: Shape = dims.clone().take(1).chain(std::iter::repeat_n(1, missing)).chain(dims.skip(1)).collect();
        Ok(expand(&reshaped(&x[0], aligned), &self.shape.with_inserted(0, size)))
    }
}

/// Every `steps[i]`-th element along each axis, from `starts[i]`, `sizes[i]` of them.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Slice {
    pub starts: SmallVec<[usize; 6]>,
    pub sizes: SmallVec<[usize; 6]>,
    pub steps: SmallVec<[usize; 6]>,
}

impl Slice {
    /// Zeros around and between: the elements return to where they came from.
    fn transpose(&self, x: &Spec, cotangent: &Tensor) -> Tensor {
        let ndim = self.starts.len();
        let span = |i: usize| if self.sizes[i] == 0 { 0 } else { (self.sizes[i] - 1) * self.steps[i] + 1 };
        let pad = Pad {
            lo: self.starts.clone(),
            hi: (0..ndim).map(|i| x.shape[i] - self.starts[i] - span(i)).collect(),
            interior: self.steps.iter().map(|s| s - 1).collect(),
        };
        super::made(Tensor::apply(pad, [cotangent.clone()]))
    }
}
linear!(Slice, |_, _| "ȳ in its place, 0 elsewhere".to_owned());

impl Primitive for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn class(&self) -> Class {
        Class::View
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let shape = &x[0].shape;
        for i in 0..shape.len() {
            let end = self.starts[i] + self.sizes[i].saturating_sub(1) * self.steps[i];
            if (self.sizes[i] > 0 && end >= shape[i]) || self.starts[i] > shape[i] {
                return Err(Error::new(format!("the slice leaves axis {i} of {shape}")));
            }
        }
        Ok(Spec::new(x[0].dtype, self.sizes.iter().copied().collect::<Shape>()))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        let x = flow.shape(0);
        flow.carried(0, (0..x.len()).map(|i| (self.sizes[i] == x[i]).then_some(i)));
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        let steps: SmallVec<[isize; 6]> = self.steps.iter().map(|&s| s as isize).collect();
        Ok(x[0].slice(&self.starts, &self.sizes, &steps))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], size: usize) -> Result<Tensor> {
        let prefixed = |first: usize, rest: &[usize]| std::iter::once(first).chain(rest.iter().copied()).collect();
        let slice = Slice {
            starts: prefixed(0, &self.starts),
            sizes: prefixed(size, &self.sizes),
            steps: prefixed(1, &self.steps),
        };
        Tensor::apply(slice, [x[0].clone()])
    }
}

/// The elements along some axes in reverse order.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Flip {
    pub axes: SmallVec<[usize; 6]>,
}

impl Flip {
    fn transpose(&self, _: &Spec, cotangent: &Tensor) -> Tensor {
        super::made(Tensor::apply(self.clone(), [cotangent.clone()]))
    }
}
linear!(Flip, |_, _| "ȳ flipped back".to_owned());

impl Primitive for Flip {
    fn name(&self) -> &'static str {
        "flip"
    }
    fn class(&self) -> Class {
        Class::View
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(x[0].clone())
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.alike();
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        let shape = x[0].shape().clone();
        let flipped = |i: &usize| self.axes.contains(i);
        let starts: SmallVec<[usize; 6]> =
            (0..shape.len()).map(|i| if flipped(&i) { shape[i].saturating_sub(1) } else { 0 }).collect();
        let steps: SmallVec<[isize; 6]> = (0..shape.len()).map(|i| if flipped(&i) { -1 } else { 1 }).collect();
        Ok(x[0].slice(&starts, &shape, &steps))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(Flip { axes: self.axes.iter().map(|a| a + 1).collect() }, [x[0].clone()])
    }
}

/// The same elements in row-major order under another shape.
///
/// Shapes: any shape of the same size; one size may be -1 and is then inferred.
/// Any dtype. Shares memory where the strides allow.
/// # Errors
/// If the sizes differ, or -1 stands twice or cannot be inferred.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
/// assert_eq!(x.reshape([2, -1]).shape()[..], [2, 3]);
/// ```
/// Source: NumPy's `reshape`.
#[op(samples = [(real([2, 3]), [3, -1]), (real([6]), [1, 2, 3]), (real([1]), Vec::<i64>::new()), (complex([2, 3]), [3, -1])])]
pub fn reshape(x: &Tensor, shape: Ints) -> Result<Tensor> {
    Ok(reshaped(x, fill_in(x.shape(), &shape.0)?))
}

/// The shape in which one -1 is replaced by what is left.
fn fill_in(from: &Shape, to: &[i64]) -> Result<Shape> {
    let size = from.size();
    let known = to.iter().filter(|&&d| d != -1).try_fold(1usize, |p, &d| p.checked_mul(usize::try_from(d).ok()?));
    let text = format!("{to:?}");
    if to.iter().any(|&d| d < -1) {
        return Err(Error::new(format!("{text} is not a shape"))
            .hint("sizes are 0 or more; one may be -1, which means: what is left"));
    }
    // A size beyond memory is not that of `from`; nor is 0, even where another size is.
    let known = known.unwrap_or(if to.contains(&0) { 0 } else { usize::MAX });
    let inferred = match to.iter().filter(|&&d| d == -1).count() {
        0 if known == size => 1,
        1 if known > 0 && size.is_multiple_of(known) => size / known,
        0 | 1 => {
            return Err(Error::new(format!("{from} has {size} elements, which do not fill {text}")));
        }
        _ => return Err(Error::new(format!("more than one size is -1 in {text}")).hint("only one can be inferred")),
    };
    Ok(to.iter().map(|&d| if d == -1 { inferred } else { d as usize }).collect())
}

/// The axes in another order: axis `i` of the result is axis `axes[i]`.
///
/// Shapes: `[s0, s1, ..] -> [s_axes[0], s_axes[1], ..]`; every axis named once. Any dtype. Shares memory.
/// # Errors
/// If `axes` is not an order of all axes.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// assert_eq!(x.permute_dims([1, 0]).shape()[..], [3, 2]);
/// ```
/// Source: the Array API's `permute_dims`, NumPy's `transpose`.
#[op(samples = [(real([2, 3, 4]), [2, 0, 1]), (real([3]), [0]), (real([2, 3]), [-1, 0]), (complex([2, 3]), [1, 0])])]
pub fn permute_dims(x: &Tensor, axes: Ints) -> Result<Tensor> {
    let axes: SmallVec<[usize; 6]> = axes.0.iter().map(|&a| resolve(a as isize, x.ndim())).collect::<Result<_>>()?;
    Tensor::apply(Permute { axes }, [x.clone()])
}

/// Two axes exchanged, without copying.
///
/// Shapes: as `x` with the sizes of the two axes exchanged. Any dtype. Shares memory.
/// # Errors
/// If an axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// assert_eq!(x.transpose(0, 1).shape()[..], [3, 2]);
/// ```
/// Source: PyTorch's `transpose`, NumPy's `swapaxes`.
#[op(samples = [(real([2, 3, 4]), 0, 2), (real([2, 3]), -1, 0)])]
pub fn transpose(x: &Tensor, axis1: Axis, axis2: Axis) -> Result<Tensor> {
    let mut axes: SmallVec<[usize; 6]> = (0..x.ndim()).collect();
    axes.swap(x.axis(axis1)?, x.axis(axis2)?);
    Ok(permuted(x, &axes))
}

/// `x` repeated up to `shape` without copying (the new strides are 0).
///
/// Shapes: aligned at the right; axes of size 1 are repeated and leading axes added. Any dtype. Shares memory.
/// The derivative's transpose is the sum over the repeated axes.
/// # Errors
/// If the shapes do not broadcast.
/// # Example
/// ```
/// use covector::Tensor;
/// let b = Tensor::from([1.0f32, 2.0, 3.0]);
/// assert_eq!(b.broadcast_to([2, 3]).to_vec::<f32>(), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
/// ```
/// Source: NumPy's `broadcast_to`.
#[op(samples = [(real([3]), [2, 3]), (real([2, 1]), [2, 4]), (real(()), [2, 2]), (complex([2, 1]), [2, 4])])]
pub fn broadcast_to(x: &Tensor, shape: Shape) -> Result<Tensor> {
    Tensor::apply(BroadcastTo { shape }, [x.clone()])
}

/// The elements along `axes` in reverse order.
///
/// Shapes: as `x`. Any dtype. Shares memory.
/// # Errors
/// If an axis is out of range or named twice.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1, 2, 3]).flip(0).to_vec::<i64>(), [3, 2, 1]);
/// ```
/// Source: NumPy's `flip`.
#[op(samples = [(real([2, 3]), 1), (real([2, 3]), ..), (real([3]), 0), (complex([2, 3]), 1)])]
pub fn flip(x: &Tensor, axes: Axes) -> Result<Tensor> {
    Tensor::apply(Flip { axes: axes.resolve(x.ndim())? }, [x.clone()])
}

op_list![reshape, permute_dims, transpose, broadcast_to, flip];
