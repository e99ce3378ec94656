//! Tensors from nothing: zeros, ones, ranges, grids, identity.
//!
//! Nothing here fills memory before it must: constants are one number with strides 0, ranges are computed when read.

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, DType, Shape, c128};
use covector_derive::{op, op_list};

use super::complex::complex;
use super::view::{expand, reshaped};
use crate::primitive::{Class, Derivative, Primitive};
use crate::{Error, ErrorKind, Operand, Result, Spec, Tensor};

/// `0, 1, .. len - 1`, written down only when it is read.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Iota {
    len: usize,
    dtype: DType,
}

impl Primitive for Iota {
    fn name(&self) -> &'static str {
        "iota"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, _: &[&Spec]) -> Result<Spec> {
        Ok(Spec::new(self.dtype, self.len))
    }
    fn run(&self, _: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::iota(self.len, self.dtype))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("it depends on nothing")
    }
    fn batch(&self, _: &[Tensor], _: &[bool], size: usize) -> Result<Tensor> {
        Ok(super::view::add_batch(&iota(self.len, self.dtype), size))
    }
}

/// `0, 1, .. len - 1`; `len` is known to fit in memory.
pub(crate) fn iota(len: usize, dtype: DType) -> Tensor {
    super::made(Tensor::apply(Iota { len, dtype }, []))
}

/// A tensor of one value.
///
/// Shapes: `[] -> shape`. The value takes the dtype; a tensor as value is broadcast, and derivatives pass through it.
/// A number is stored once, whatever the shape.
/// # Errors
/// If the shape has more elements than memory can address, or a tensor does not broadcast to it.
/// # Example
/// ```
/// use covector::{DType, ops::create::full};
/// let x = full([2, 3], 7, DType::F32);
/// assert_eq!(x.to_vec::<f32>(), [7.0; 6]);
/// ```
/// Source: NumPy's `full`.
#[op(samples = [([2, 3], 1.5, "f64"), (Vec::<i64>::new(), 7, "i64"), ([0, 2], 1, "bool")], notes = "derivative=it depends on nothing")]
pub fn full(shape: Shape, value: Operand, dtype: DType) -> Result<Tensor> {
    filled(shape, value, dtype)
}

fn filled(shape: Shape, value: Operand, dtype: DType) -> Result<Tensor> {
    addressable(&shape, dtype)?;
    match value {
        Operand::Tensor(t) => t.try_cast(dtype)?.try_broadcast_to(shape),
        Operand::Complex(z) if !dtype.is_complex() => {
            Err(Error::new(format!("{z} does not fit into {dtype}")).hint("ask for c64 or c128, or give its real part"))
        }
        number => Ok(Tensor::from_array(number.splat(dtype, &shape))),
    }
}

/// Refuses a result too large for memory before anything is built of it.
pub(crate) fn addressable(shape: &Shape, dtype: DType) -> Result<()> {
    match shape.checked_size(dtype.size()) {
        Some(_) => Ok(()),
        None => {
            let spec = Spec::new(dtype, shape.clone());
            Err(Error::new(format!("the result {spec} has more elements than memory can address"))
                .of_kind(ErrorKind::Memory))
        }
    }
}

/// Refuses lists of numbers for which there is no room: collecting one would end the program.
pub(crate) fn room(counts: &[usize]) -> Result<()> {
    counts.iter().try_for_each(|&n| {
        let list = Vec::<i64>::new().try_reserve_exact(n);
        list.map_err(|_| Error::new(format!("there is no memory for an axis of {n} elements")))
    })
}

/// A tensor of zeros (false for bool).
///
/// Shapes: `shape`. Stored as one number.
/// # Errors
/// If the shape has more elements than memory can address.
/// # Example
/// ```
/// use covector::{DType, ops::create::zeros};
/// assert_eq!(zeros([2, 2], DType::I64).to_vec::<i64>(), [0; 4]);
/// ```
/// Source: NumPy's `zeros`.
#[op(samples = [([2, 3], "f64"), (Vec::<i64>::new(), "f32"), ([2, 0], "bool")], notes = "derivative=it depends on nothing")]
pub fn zeros(shape: Shape, dtype: DType) -> Result<Tensor> {
    filled(shape, Operand::Int(0), dtype)
}

/// A tensor of ones (true for bool).
///
/// Shapes: `shape`. Stored as one number.
/// # Errors
/// If the shape has more elements than memory can address.
/// # Example
/// ```
/// use covector::{DType, ops::create::ones};
/// assert_eq!(ones(3, DType::F32).to_vec::<f32>(), [1.0; 3]);
/// ```
/// Source: NumPy's `ones`.
#[op(samples = [([2, 3], "f64"), (Vec::<i64>::new(), "i64"), ([3], "bool")], notes = "derivative=it depends on nothing")]
pub fn ones(shape: Shape, dtype: DType) -> Result<Tensor> {
    filled(shape, Operand::Int(1), dtype)
}

/// One value in the shape and dtype of another tensor.
///
/// Shapes: as `x`, and so the dtype; nothing else of `x` is used.
/// # Errors
/// If a tensor as value does not broadcast to the shape.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1, 2]).full_like(7).to_vec::<i64>(), [7, 7]);
/// ```
/// Source: NumPy's `full_like`.
#[op(samples = [(real([2, 3]), 1.5), (ints(0, 5, [3]), 7)], notes = "derivative=only the shape of x is used")]
pub fn full_like(x: &Tensor, value: Operand) -> Result<Tensor> {
    Ok(filled(x.shape().clone(), value, x.dtype())?.named(x.names()))
}

/// Zeros in the shape and dtype of another tensor.
///
/// Shapes: as `x`, and so the dtype; nothing else of `x` is used.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.5f32, 2.5]).zeros_like().to_vec::<f32>(), [0.0, 0.0]);
/// ```
/// Source: NumPy's `zeros_like`.
#[op(samples = [(real([2, 3]),), (bools([3]),)], notes = "derivative=only the shape of x is used")]
pub fn zeros_like(x: &Tensor) -> Result<Tensor> {
    Ok(filled(x.shape().clone(), Operand::Int(0), x.dtype())?.named(x.names()))
}

/// Ones in the shape and dtype of another tensor.
///
/// Shapes: as `x`, and so the dtype; nothing else of `x` is used.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.5f32, 2.5]).ones_like().to_vec::<f32>(), [1.0, 1.0]);
/// ```
/// Source: NumPy's `ones_like`.
#[op(samples = [(real([2, 3]),), (bools([3]),)], notes = "derivative=only the shape of x is used")]
pub fn ones_like(x: &Tensor) -> Result<Tensor> {
    Ok(filled(x.shape().clone(), Operand::Int(1), x.dtype())?.named(x.names()))
}

/// `start, start + step, ..` up to `stop`, which is not included; downwards for a negative step.
///
/// Shapes: `[n]` with `n = ceil((stop - start) / step)`, 0 if the walk leads away from `stop`. Integers are exact; with
/// floats element `i` is `start + i * step` in f64, rounded once to the dtype.
/// # Errors
/// If the step is 0, a bound is a tensor or not finite, or memory cannot address that many elements.
/// # Example
/// ```
/// use covector::{DType, ops::create::arange};
/// assert_eq!(arange(0, 5, 2, DType::I64).to_vec::<i64>(), [0, 2, 4]);
/// assert_eq!(arange(1, 0, -0.25, DType::F32).to_vec::<f32>(), [1.0, 0.75, 0.5, 0.25]);
/// ```
/// Source: NumPy's `arange`.
#[op(
    samples = [(0, 5, 1, "i64"), (5, 0, -2, "f64"), (0.5, 2.0, 0.25, "f64"), (3, 1, 1, "f32")],
    notes = "derivative=it depends on nothing"
)]
pub fn arange(start: Operand, stop: Operand, step: Operand, dtype: DType) -> Result<Tensor> {
    if let (Operand::Int(start), Operand::Int(stop), Operand::Int(step)) = (&start, &stop, &step) {
        let (from, to, by) = (i128::from(*start), i128::from(*stop), i128::from(*step));
        let distance = (to - from) * by.signum();
        let count = if by == 0 { return Err(no_step()) } else { (distance + by.abs() - 1).div_euclid(by.abs()) };
        let len = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
        return ramp(len, DType::I64, dtype, |i| i * *step + *start);
    }
    let (from, to, by) = (number(start)?, number(stop)?, number(step)?);
    if by == 0.0 {
        return Err(no_step());
    }
    let count = ((to - from) / by).ceil().max(0.0);
    ramp(count as usize, DType::F64, dtype, |i| i * by + from)
}

fn no_step() -> Error {
    Error::new("a step of 0 never arrives").hint("for one value many times use `full`")
}

fn number(x: Operand) -> Result<f64> {
    let x = match x {
        Operand::Float(x) => x,
        Operand::Int(i) => i as f64,
        Operand::Complex(z) => {
            return Err(Error::new(format!("a bound must be a real number, not {z}"))
                .hint("`linspace` takes complex numbers if its dtype is complex"));
        }
        Operand::Tensor(t) => {
            return Err(Error::new(format!("a bound must be a number, not the tensor {}", t.spec()))
                .hint("the length of the result depends on it: read it with `item` or `to_f64`"));
        }
    };
    if x.is_finite() { Ok(x) } else { Err(Error::new(format!("a bound must be finite, not {x}"))) }
}

/// A number, complex or real.
fn point(x: Operand) -> Result<c128> {
    match x {
        Operand::Complex(z) if z.is_finite() => Ok(z),
        Operand::Complex(z) => Err(Error::new(format!("a bound must be finite, not {z}"))),
        real => Ok(c128::new(number(real)?, 0.0)),
    }
}

/// `f(0), f(1), ..`, computed in one dtype and given in another.
fn ramp(len: usize, exact: DType, dtype: DType, f: impl FnOnce(Tensor) -> Tensor) -> Result<Tensor> {
    addressable(&Shape::from(len), exact)?;
    Ok(f(iota(len, exact)).cast(dtype))
}

/// `n` numbers from `start` to `stop`, both included, at equal distances.
///
/// Shapes: `[n]`. Computed in f64, the second half backwards from `stop`, so that both ends are exact. For complex dtypes the
/// bounds may be complex: the numbers lie on the line between them.
/// # Errors
/// If a bound is a tensor, not finite, or complex where the dtype is not, or memory cannot address that many elements.
/// # Example
/// ```
/// use covector::{DType, ops::create::linspace};
/// assert_eq!(linspace(0, 1, 5, DType::F32).to_vec::<f32>(), [0.0, 0.25, 0.5, 0.75, 1.0]);
/// assert_eq!(linspace(2, 3, 1, DType::F32).to_vec::<f32>(), [2.0]);
/// ```
/// Source: NumPy's `linspace`.
#[op(
    samples = [(0, 1, 5, "f64"), (-1.5, 2.0, 4, "f64"), (3, 3, 1, "f64"), (0, 1, 0, "f32"), (c128::new(0.0, 1.0), 2, 3, "c128")],
    notes = "derivative=it depends on nothing"
)]
pub fn linspace(start: Operand, stop: Operand, n: usize, dtype: DType) -> Result<Tensor> {
    if dtype.is_complex() {
        let (from, to) = (point(start)?, point(stop)?);
        return Ok(complex(&steps(from.re, to.re, n, DType::F64)?, &steps(from.im, to.im, n, DType::F64)?).cast(dtype));
    }
    steps(number(start)?, number(stop)?, n, dtype)
}

/// The real numbers of [`linspace`].
fn steps(start: f64, stop: f64, n: usize, dtype: DType) -> Result<Tensor> {
    // One number is the start.
    let stop = if n == 1 { start } else { stop };
    let last = n.saturating_sub(1) as f64;
    let step = if n > 1 { stop / last - start / last } else { 0.0 };
    ramp(n, DType::F64, dtype, |i| {
        let left = last - &i;
        left.greater(&i).where_(&i * step + start, stop - left * step)
    })
}

/// The identity matrix of `n` rows.
///
/// Shapes: `[n, n]`, ones on the diagonal and zeros elsewhere. For other shapes compare two ranges, or pad it.
/// # Errors
/// If memory cannot address that many elements.
/// # Example
/// ```
/// use covector::{DType, ops::create::eye};
/// assert_eq!(eye(2, DType::F32).to_vec::<f32>(), [1.0, 0.0, 0.0, 1.0]);
/// ```
/// Source: NumPy's `eye`.
#[op(samples = [(3, "f64"), (1, "i64"), (0, "f32"), (2, "bool")], notes = "derivative=it depends on nothing")]
pub fn eye(n: usize, dtype: DType) -> Result<Tensor> {
    addressable(&Shape::from([n, n]), DType::I64)?;
    // A matrix whose rows could not be counted in i32 does not fit into memory.
    let i = iota(n, DType::I32);
    Ok(reshaped(&i, [n, 1]).equal(&i).cast(dtype))
}

/// Coordinates on a grid: output `i` holds the coordinate along axis `i`, repeated over the others.
///
/// Shapes: vectors (or scalars) of sizes `n0, n1, ..` to as many tensors `[n0, n1, ..]` for indexing "ij"; for "xy" the first
/// two axes are exchanged, `[n1, n0, ..]`. Any dtypes, kept. Views.
/// # Errors
/// If a tensor has more than one axis, or `indexing` is another word.
/// # Example
/// ```
/// use covector::{Tensor, ops::create::meshgrid};
/// let grids = meshgrid(&[Tensor::from([1, 2]), Tensor::from([3, 4])], "ij");
/// assert_eq!(grids[0].to_vec::<i64>(), [1, 1, 2, 2]);
/// assert_eq!(grids[1].to_vec::<i64>(), [3, 4, 3, 4]);
/// ```
/// Source: NumPy's `meshgrid`.
#[op(samples = [([real([2]), real([3])], "ij"), ([real([2]), real([3]), real([2])], "xy"), ([real([4])], "ij")])]
pub fn meshgrid(tensors: &[Tensor], indexing: &str) -> Result<Vec<Tensor>> {
    if let Some(odd) = tensors.iter().find(|t| t.ndim() > 1) {
        return Err(Error::new(format!("coordinates along an axis are a vector, not {}", odd.spec())));
    }
    let swapped = match indexing {
        "ij" => false,
        "xy" => tensors.len() > 1,
        other => return Err(Error::new(format!("no indexing \"{other}\"")).hint("there are \"ij\" and \"xy\"")),
    };
    let place = |i: usize| if swapped && i < 2 { 1 - i } else { i };
    let shape: Shape = (0..tensors.len()).map(|i| tensors[place(i)].size()).collect();
    tensors.iter().try_for_each(|t| addressable(&shape, t.dtype()))?;
    let along = |(i, t): (usize, &Tensor)| {
        let alone: Shape = (0..shape.len()).map(|a| if a == place(i) { t.size() } else { 1 }).collect();
        expand(&reshaped(t, alone), &shape)
    };
    Ok(tensors.iter().enumerate().map(along).collect())
}

op_list![full, zeros, ones, full_like, zeros_like, ones_like, arange, linspace, eye, meshgrid];
