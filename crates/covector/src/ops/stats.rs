//! Reductions made of others: moments, norms, softmax and its kin, truth and the places of extremes.

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, DType, Shape};
use covector_derive::{op, op_list};

use super::complex::require_order;
use super::deviation::squared_deviation;
use super::reduce::{Extreme, count, dropped, kept, reduced, widened};
use super::view::reshaped;
use crate::primitive::{Class, Derivative, Primitive};
use crate::{Axes, Axis, Error, Flow, Result, Spec, Tensor, keep};

/// The square root whose derivative at 0 is 0: that of a norm, of which 0 is a subgradient.
fn root(x: &Tensor) -> Tensor {
    let zero = x.equal(0.0);
    zero.where_(0.0, zero.where_(1.0, x).sqrt())
}

/// `x` in the float it is computed in (halves in f32), and the dtype of the result.
fn floated(x: &Tensor) -> (Tensor, DType) {
    let dtype = x.dtype().to_float();
    (widened(&x.cast(dtype)), dtype)
}

/// The result of a reduction over `axes` for which there is nothing to look at.
fn constant(x: &Tensor, axes: &Axes, value: f64, dtype: DType) -> Result<Tensor> {
    let folded = axes.resolve(x.ndim())?;
    let shape = if axes.keepdims { kept(x.shape(), &folded) } else { dropped(x.spec(), &folded) };
    Ok(Tensor::from_array(Array::full(shape, value, dtype)))
}

/// The variance over `axes`: the mean squared distance from the mean, divided by `n - correction` instead of n.
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]. Floats (integers give f32); halves are computed in
/// f32; of complex numbers the squared absolute distance counts, and the result is real. Two passes, so a large mean costs no digits. 0 gives the population's variance, 1 the unbiased estimate.
/// Where `n <= correction` the result is NaN or inf.
/// # Errors
/// If an axis is out of range or named twice, or the correction is not finite.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 2.0, 3.0]);
/// assert_eq!(x.var(.., 1.0).item::<f32>(), 1.0);
/// ```
/// Source: the Array API's `var`.
#[op(samples = [(real([2, 3]), 0, 0.0), (real([2, 3, 2]), keep([0, -1]), 1.0), (real([5]), .., 1.0), (real([2, 4]), -1, 0.5), (complex([2, 3]), 0, 1.0)],
    notes = "rule=x̄ = ȳ·2(x - mean x)/(n - correction)")]
pub fn var(x: &Tensor, axes: Axes, correction: f64) -> Result<Tensor> {
    if !correction.is_finite() {
        return Err(Error::new(format!("the correction must be a finite number, not {correction}"))
            .hint("0 divides by n, 1 by n - 1"));
    }
    let n = count(x, &axes.resolve(x.ndim())?);
    let (x, dtype) = floated(x);
    let mean = x.mean(keep(axes.clone()));
    let squares = if dtype.is_complex() {
        squared_deviation(&x.real(), mean.real())? + squared_deviation(&x.imag(), mean.imag())?
    } else {
        squared_deviation(&x, mean)?
    };
    Ok((squares.sum(axes) / (n - correction).max(0.0)).cast(dtype.part()))
}

/// The standard deviation over `axes`: the square root of [`var`].
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]. Floats (integers give f32); halves are computed in
/// f32. The derivative at 0, where all elements are equal, is 0.
/// # Errors
/// If an axis is out of range or named twice, or the correction is not finite.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 3.0]).std(.., 0.0).item::<f32>(), 1.0);
/// ```
/// Source: the Array API's `std`.
#[op(samples = [(real([2, 3]), 0, 0.0), (real([2, 3, 2]), keep([0, -1]), 1.0), (real([5]), .., 1.0)],
    notes = "rule=x̄ = ȳ·(x - mean x)/((n - correction)·y)")]
pub fn std(x: &Tensor, axes: Axes, correction: f64) -> Result<Tensor> {
    let (x, dtype) = floated(x);
    Ok(root(&x.try_var(axes, correction)?).cast(dtype.part()))
}

/// The vector norm over `axes`, of order `ord`: `sum(|x|^ord)^(1/ord)`.
///
/// `ord` 2 is the Euclidean length, 1 the sum of sizes, inf and -inf the largest and the smallest size, 0 the number of
/// elements that are not 0.
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]; several axes count as one vector. Floats (integers
/// give f32); halves are computed in f32. Where all elements are 0 the derivative is 0, as is the share of any element
/// that is 0; at ties of the extremes it is shared equally; that of order 0 is 0.
/// # Errors
/// If an axis is out of range, named twice or (for inf and -inf) empty, or the order is NaN.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([3.0f32, -4.0]);
/// assert_eq!(x.norm(.., 2.0).item::<f32>(), 5.0);
/// assert_eq!(x.norm(.., f64::INFINITY).item::<f32>(), 4.0);
/// ```
/// Source: the Array API's `linalg.vector_norm`.
#[op(samples = [
    (real([2, 3]), -1, 2.0), (real([2, 3, 2]), keep([0, 2]), 2.0), (real([5]), .., 1.0), (real([2, 3]), 0, f64::INFINITY),
    (real([2, 3]), 1, f64::NEG_INFINITY), (real([2, 3]), -1, 3.0), (real([4]), .., 0.5), (real([4]), 0, -1.0), (complex([2, 3]), -1, 2.0), (complex([2, 3]), .., 3.0),
], notes = "rule=x̄ = ȳ·x/y where ord is 2")]
pub fn norm(x: &Tensor, axes: Axes, ord: f64) -> Result<Tensor> {
    axes.resolve(x.ndim())?;
    let (x, dtype) = floated(x);
    let (x, dtype) = if dtype.is_complex() { (x.abs(), dtype.part()) } else { (x, dtype) };
    let y = match ord {
        _ if ord.is_nan() => return Err(Error::new("the order of a norm must be a number, not NaN")),
        0.0 => x.equal(0.0).where_(0.0, Tensor::ones_of(x.spec())).sum(axes),
        1.0 => x.abs().sum(axes),
        2.0 => root(&x.square().sum(axes)),
        f64::INFINITY => x.abs().try_max(axes)?,
        f64::NEG_INFINITY => x.abs().try_min(axes)?,
        _ => power_norm(&x, axes, ord),
    };
    Ok(y.cast(dtype))
}

/// The norm of any other order. Powers of 0, whose derivatives can be infinite, are not taken.
fn power_norm(x: &Tensor, axes: Axes, ord: f64) -> Tensor {
    let at_zero = if ord > 0.0 { 0.0 } else { f64::INFINITY };
    let power = |x: &Tensor, p: f64| {
        let zero = x.equal(0.0);
        zero.where_(at_zero, zero.where_(1.0, x).pow(p))
    };
    power(&power(&x.abs(), ord).sum(axes), 1.0 / ord)
}

/// The logarithm of the sum of exponentials over `axes`, computed without overflow.
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]. Floats (integers give f32); halves are computed in
/// f32. Over nothing, or where all elements are -inf, it is -inf with derivative 0 (PyTorch and JAX: NaN); an element +inf
/// makes it +inf, where that element's own derivative is NaN and that of finite ones 0; NaN makes all NaN.
/// # Errors
/// If an axis is out of range or named twice.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1000.0f32]).logsumexp(..).item::<f32>(), 1000.0);
/// ```
/// Source: SciPy's and PyTorch's `logsumexp`.
#[op(samples = [(real([2, 3]), 0), (real([2, 3, 2]), keep([0, -1])), (real([5]), ..), (real(()), ..)],
    notes = "rule=x̄ = ȳ·softmax(x)")]
pub fn logsumexp(x: &Tensor, axes: Axes) -> Result<Tensor> {
    require_order(x.spec())?;
    let folded = axes.resolve(x.ndim())?;
    let (x, dtype) = floated(x);
    if folded.iter().any(|&a| x.shape()[a] == 0) {
        return constant(&x, &axes, f64::NEG_INFINITY, dtype);
    }
    let largest = x.max(keep(axes.clone())).stop_gradient();
    let largest = largest.isfinite().where_(largest, 0.0);
    let sum = (x - &largest).exp().sum(keep(axes.clone()));
    let nothing = sum.equal(0.0);
    let y = nothing.where_(f64::NEG_INFINITY, nothing.where_(1.0, sum).log() + largest).cast(dtype);
    let shape = y.shape().without(|i| !axes.keepdims && folded.contains(&i));
    Ok(reshaped(&y, shape))
}

/// The exponentials of the distances to the largest element along `axis`, and those distances.
fn exponentials(x: &Tensor, axis: usize) -> (Tensor, Tensor) {
    // The result does not depend on what is subtracted, so nothing of any derivative is lost.
    let below = x - x.max(keep(axis)).stop_gradient();
    (below.exp(), below)
}

/// Softmax along `axis`: `exp(x) / sum(exp(x))`, computed without overflow.
///
/// Shapes: as `x`. Floats (integers give f32); halves are computed in f32. Rows of all -inf, and rows with +inf or NaN,
/// give NaN, and so do their derivatives; -inf beside finite elements gives 0 with derivative 0.
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([0.0f32, 0.0]).softmax(0).to_vec::<f32>(), [0.5, 0.5]);
/// ```
/// Source: PyTorch's `softmax`.
#[op(samples = [(real([2, 3]), -1), (real([4]), 0), (real([2, 3, 2]), 1), (real([2, 0]), 1)],
    notes = "rule=x̄ = y·(ȳ - Σ ȳ·y)")]
pub fn softmax(x: &Tensor, axis: Axis) -> Result<Tensor> {
    require_order(x.spec())?;
    let axis = x.axis(axis)?;
    let (x, dtype) = floated(x);
    if x.shape()[axis] == 0 {
        return Ok(x.cast(dtype));
    }
    let (e, _) = exponentials(&x, axis);
    Ok((&e / e.sum(keep(axis))).cast(dtype))
}

/// The logarithm of [`softmax`] along `axis`, computed without overflow or cancellation.
///
/// Shapes: as `x`. Floats (integers give f32); halves are computed in f32. Rows of all -inf, and rows with +inf or NaN,
/// give NaN, and so do their derivatives; -inf beside finite elements stays -inf, with the usual derivative.
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let y = Tensor::from([0.0f32, 0.0]).log_softmax(0);
/// assert_eq!(y.to_vec::<f32>()[0], -(2.0f32.ln()));
/// ```
/// Source: PyTorch's `log_softmax`.
#[op(samples = [(real([2, 3]), -1), (real([4]), 0), (real([2, 3, 2]), 1), (real([2, 0]), 1)],
    notes = "rule=x̄ = ȳ - exp(y)·Σ ȳ")]
pub fn log_softmax(x: &Tensor, axis: Axis) -> Result<Tensor> {
    require_order(x.spec())?;
    let axis = x.axis(axis)?;
    let (x, dtype) = floated(x);
    if x.shape()[axis] == 0 {
        return Ok(x.cast(dtype));
    }
    let (e, below) = exponentials(&x, axis);
    Ok((below - e.sum(keep(axis)).log()).cast(dtype))
}

/// Whether some (or, the smallest of truth values, all) elements are true; over nothing `none`.
fn truth(x: &Tensor, axes: Axes, largest: bool) -> Result<Tensor> {
    let folded = axes.resolve(x.ndim())?;
    if folded.iter().any(|&a| x.shape()[a] == 0) {
        return constant(x, &axes, f64::from(u8::from(!largest)), DType::Bool);
    }
    reduced(&x.cast(DType::Bool), &axes, |axes| Extreme { axes, largest })
}

/// Whether any element over `axes` is true.
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]. Numbers are true unless 0, NaN included; the result
/// is bool. Over nothing it is false.
/// # Errors
/// If an axis is out of range or named twice.
/// # Example
/// ```
/// use covector::Tensor;
/// assert!(Tensor::from([0, 2]).any(..).item::<bool>());
/// ```
/// Source: NumPy's `any`.
#[op(samples = [(bools([2, 3]), 0), (ints(0, 2, [2, 3]), keep(-1)), (bools([0]), ..), (real([3]), ..)],
    notes = "derivative=the result is bool")]
pub fn any(x: &Tensor, axes: Axes) -> Result<Tensor> {
    truth(x, axes, true)
}

/// Whether all elements over `axes` are true.
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]. Numbers are true unless 0, NaN included; the result
/// is bool. Over nothing it is true.
/// # Errors
/// If an axis is out of range or named twice.
/// # Example
/// ```
/// use covector::Tensor;
/// assert!(!Tensor::from([0, 2]).all(..).item::<bool>());
/// ```
/// Source: NumPy's `all`.
#[op(samples = [(bools([2, 3]), 0), (ints(0, 2, [2, 3]), keep(-1)), (bools([0]), ..), (real([3]), ..)],
    notes = "derivative=the result is bool")]
pub fn all(x: &Tensor, axes: Axes) -> Result<Tensor> {
    truth(x, axes, false)
}

/// Where the largest or smallest element along an axis is.
#[derive(Clone, Debug, Hash)]
struct ArgExtreme {
    axis: usize,
    largest: bool,
}

impl Primitive for ArgExtreme {
    fn name(&self) -> &'static str {
        if self.largest { "argmax" } else { "argmin" }
    }
    fn class(&self) -> Class {
        Class::Reduce
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        require_order(x[0])?;
        if x[0].shape[self.axis] == 0 {
            let (axis, shape, name) = (self.axis, &x[0].shape, self.name());
            return Err(Error::new(format!("axis {axis} of {shape} is empty: it has no {name}")));
        }
        Ok(Spec::new(DType::I64, dropped(x[0], &[self.axis])))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.dropped(&[self.axis]);
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::arg_reduce(self.largest, &x[0], self.axis))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("the result is an integer")
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(ArgExtreme { axis: self.axis + 1, largest: self.largest }, [x[0].clone()])
    }
}

/// Over one axis, or over all in row-major order.
fn arg_extreme(x: &Tensor, axes: Axes, largest: bool) -> Result<Tensor> {
    let folded = axes.resolve(x.ndim())?;
    if axes.given().is_none() {
        let y = Tensor::apply(ArgExtreme { axis: 0, largest }, [reshaped(x, [x.size()])])?;
        return Ok(if axes.keepdims { reshaped(&y, folded.iter().map(|_| 1).collect::<Shape>()) } else { y });
    }
    let [axis] = folded[..] else {
        return Err(Error::new(format!("takes one axis or all, not {}", folded.len())));
    };
    let y = Tensor::apply(ArgExtreme { axis, largest }, [x.clone()])?;
    Ok(if axes.keepdims { reshaped(&y, x.shape().with_axis(axis, 1)) } else { y })
}

/// The index of the largest element along `axis`: the first of equals; NaN is the largest.
///
/// Shapes: `axis` is dropped, or kept with size 1 under [`keep`]. Over all axes elements are counted in row-major order.
/// Any dtype; the result is i64 and has no derivative.
/// # Errors
/// If the axis is out of range or empty.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 5.0, 2.0]).argmax(0).item::<i64>(), 1);
/// ```
/// Source: NumPy's `argmax`.
#[op(samples = [(real([2, 3]), 0), (real([2, 3, 2]), -2), (ints(0, 3, [5]), 0), (bools([4]), -1)],
    notes = "derivative=the result is an integer")]
pub fn argmax(x: &Tensor, axis: Axes) -> Result<Tensor> {
    arg_extreme(x, axis, true)
}

/// The index of the smallest element along `axis`: the first of equals; NaN is the smallest.
///
/// Shapes: `axis` is dropped, or kept with size 1 under [`keep`]. Over all axes elements are counted in row-major order.
/// Any dtype; the result is i64 and has no derivative.
/// # Errors
/// If the axis is out of range or empty.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([4.0f32, 1.0, 2.0]).argmin(0).item::<i64>(), 1);
/// ```
/// Source: NumPy's `argmin`.
#[op(samples = [(real([2, 3]), 0), (real([2, 3, 2]), -2), (ints(0, 3, [5]), 0), (bools([4]), -1)],
    notes = "derivative=the result is an integer")]
pub fn argmin(x: &Tensor, axis: Axes) -> Result<Tensor> {
    arg_extreme(x, axis, false)
}

op_list![var, std, norm, logsumexp, softmax, log_softmax, any, all, argmax, argmin];
