//! Fourier transforms. Three primitives are linear maps along one axis, each the transpose of another, without a factor;
//! sizes, axes and norms are made of other ops.

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, DType};
use covector_derive::{op, op_list};

use super::complex::conjugate;
use super::create::addressable;
use super::scan::{padded, piece};
use super::view::linear;
use crate::axes::resolve;
use crate::plan::cost::{halvings, size};
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::{Axes, Axis, Cost, Error, Flow, Ints, Result, Spec, Tensor};

/// `y[k] = sum_j x[j] e^(-2πi jk/n)`, with plus for the inverse.
#[derive(Clone, Debug, Hash)]
struct Fft {
    axis: usize,
    inverse: bool,
}

impl Fft {
    fn of(&self, x: &Tensor) -> Tensor {
        super::made(Tensor::apply(self.clone(), [x.clone()]))
    }
    /// The conjugate transpose of a symmetric matrix: its conjugate, which is the inverse but for a factor.
    fn transpose(&self, _: &Spec, cotangent: &Tensor) -> Tensor {
        Fft { axis: self.axis, inverse: !self.inverse }.of(cotangent)
    }
}
linear!(Fft, |f, _| if f.inverse { "FFT of ȳ" } else { "inverse FFT of ȳ, times n" }.to_owned());

/// About five operations per element and halving.
fn cost(x: &[&Spec], out: &Spec, n: usize) -> Cost {
    let halved = halvings(size(x[0]).max(size(out)), n, Cost::moving(x, out));
    Cost { flops: 5 * halved.flops, ..halved }
}

impl Primitive for Fft {
    fn name(&self) -> &'static str {
        if self.inverse { "ifft" } else { "fft" }
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(x[0].clone())
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.alike();
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::fft(&x[0], self.axis, self.inverse))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        cost(x, out, out.shape[self.axis])
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(Fft { axis: self.axis + 1, inverse: self.inverse }, [x[0].clone()])
    }
}

/// The first half of the transform of real numbers.
#[derive(Clone, Debug, Hash)]
struct RealFft {
    axis: usize,
}

/// `n` real numbers from the first half of their transform.
#[derive(Clone, Debug, Hash)]
struct InverseRealFft {
    axis: usize,
    n: usize,
}

/// `inner` for the elements of half a transform that stand for two, 1 for those that stand for themselves.
fn weighted(x: &Tensor, axis: usize, n: usize, inner: f64) -> Tensor {
    let m = x.shape()[axis];
    let alone = |k: usize| k == 0 || (n.is_multiple_of(2) && k == n / 2);
    let weights: Vec<f64> = (0..m).map(|k| if alone(k) { 1.0 } else { inner }).collect();
    let line: Vec<usize> = (0..x.ndim()).map(|a| if a == axis { m } else { 1 }).collect();
    x * Tensor::from_array(Array::from_slice(&weights, &line[..])).cast(x.dtype().part())
}

impl RealFft {
    fn of(&self, x: &Tensor) -> Tensor {
        super::made(Tensor::apply(self.clone(), [x.clone()]))
    }
    fn transpose(&self, x: &Spec, cotangent: &Tensor) -> Tensor {
        let n = x.shape[self.axis];
        InverseRealFft { axis: self.axis, n }.of(&weighted(cotangent, self.axis, n, 0.5))
    }
}
linear!(RealFft, |_, _| "real part of the inverse FFT of ȳ, times n".to_owned());

impl Primitive for RealFft {
    fn name(&self) -> &'static str {
        "rfft"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let half = x[0].shape[self.axis] / 2 + 1;
        Ok(Spec::new(x[0].dtype.to_complex(), x[0].shape.with_axis(self.axis, half)))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        let n = flow.shape(0).len();
        flow.carried(0, (0..n).map(|a| (a != self.axis).then_some(a)));
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::rfft(&x[0], self.axis))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        cost(x, out, x[0].shape[self.axis])
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(RealFft { axis: self.axis + 1 }, [x[0].clone()])
    }
}

impl InverseRealFft {
    fn of(&self, x: &Tensor) -> Tensor {
        super::made(Tensor::apply(self.clone(), [x.clone()]))
    }
    fn transpose(&self, _: &Spec, cotangent: &Tensor) -> Tensor {
        weighted(&RealFft { axis: self.axis }.of(cotangent), self.axis, self.n, 2.0)
    }
}
linear!(InverseRealFft, |_, _| "half the FFT of ȳ, doubled where an element stands for two".to_owned());

impl Primitive for InverseRealFft {
    fn name(&self) -> &'static str {
        "irfft"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(Spec::new(x[0].dtype.part(), x[0].shape.with_axis(self.axis, self.n)))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        let n = flow.shape(0).len();
        flow.carried(0, (0..n).map(|a| (a != self.axis).then_some(a)));
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::irfft(&x[0], self.axis, self.n))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        cost(x, out, self.n)
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(InverseRealFft { axis: self.axis + 1, n: self.n }, [x[0].clone()])
    }
}

/// Where the factor `1/n` goes.
#[derive(Clone, Copy, PartialEq)]
enum Norm {
    Backward,
    Ortho,
    Forward,
}

impl Norm {
    fn parse(norm: &str) -> Result<Norm> {
        match norm {
            "backward" => Ok(Norm::Backward),
            "ortho" => Ok(Norm::Ortho),
            "forward" => Ok(Norm::Forward),
            other => Err(Error::new(format!("there is no norm {other:?}"))
                .hint("\"backward\" divides the inverse by n, \"forward\" the transform, \"ortho\" both by its root")),
        }
    }

    /// The norm of a transform that runs the other way.
    fn exchanged(self) -> Norm {
        match self {
            Norm::Backward => Norm::Forward,
            Norm::Ortho => Norm::Ortho,
            Norm::Forward => Norm::Backward,
        }
    }

    /// `y` with its factor, for transforms of `n` elements.
    fn scaled(self, y: &Tensor, n: f64, inverse: bool) -> Tensor {
        match (self, inverse) {
            (Norm::Backward, true) | (Norm::Forward, false) => y * (1.0 / n),
            (Norm::Ortho, _) => y * (1.0 / n.sqrt()),
            _ => y.clone(),
        }
    }
}

/// The tensor cut off at `n` elements along an axis, or with zeros after its own.
fn resized(x: &Tensor, axis: usize, n: usize) -> Result<Tensor> {
    let have = x.shape()[axis];
    addressable(&x.shape().with_axis(axis, n), DType::C128)?;
    Ok(match n {
        _ if n == have => x.clone(),
        _ if n < have => piece(x, axis, 0, n),
        _ => padded(x, axis, 0, n - have),
    })
}

/// Refuses transforms of nothing.
fn some(n: usize) -> Result<usize> {
    if n > 0 { Ok(n) } else { Err(Error::new("a transform of 0 elements does not exist")) }
}

/// The axes of a transform and the sizes asked for, in the order in which they were given; without axes the last ones that
/// the sizes speak of, without both all.
fn plan(x: &Tensor, s: &Ints, axes: &Axes) -> Result<Vec<(usize, Option<usize>)>> {
    let ndim = x.ndim();
    let axes: Vec<usize> = match axes.given() {
        Some(given) => {
            axes.resolve(ndim)?;
            given.iter().map(|&a| resolve(a, ndim)).collect::<Result<_>>()?
        }
        None if s.0.len() > ndim => return Err(Error::new(format!("{} sizes for {ndim} axes", s.0.len()))),
        None if s.0.is_empty() => (0..ndim).collect(),
        None => (ndim - s.0.len()..ndim).collect(),
    };
    if s.0.is_empty() {
        return Ok(axes.into_iter().map(|a| (a, None)).collect());
    }
    if s.0.len() != axes.len() {
        return Err(Error::new(format!("{} sizes for {} axes", s.0.len(), axes.len())));
    }
    let size = |(a, &n): (usize, &i64)| match usize::try_from(n) {
        Ok(n) => Ok((a, Some(n))),
        Err(_) => Err(Error::new(format!("a transform of {n} elements does not exist"))),
    };
    axes.into_iter().zip(&s.0).map(size).collect()
}

/// In the complex dtype of its precision.
fn complexed(x: &Tensor) -> Tensor {
    x.cast(x.dtype().to_complex())
}

/// In f32 or f64; complex numbers are refused.
fn realed(x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_complex() {
        return Err(Error::new(format!("a transform of real numbers got {}", x.spec()))
            .hint("`fft` takes complex numbers; `.real()` takes their real parts"));
    }
    Ok(x.cast(x.dtype().to_complex().part()))
}

fn transformed(x: &Tensor, axis: usize, n: Option<usize>, norm: Norm, inverse: bool) -> Result<Tensor> {
    let n = some(n.unwrap_or(x.shape()[axis]))?;
    let y = Fft { axis, inverse }.of(&resized(&complexed(x), axis, n)?);
    Ok(norm.scaled(&y, n as f64, inverse))
}

fn real_transformed(x: &Tensor, axis: usize, n: Option<usize>, norm: Norm) -> Result<Tensor> {
    let n = some(n.unwrap_or(x.shape()[axis]))?;
    let y = RealFft { axis }.of(&resized(&realed(x)?, axis, n)?);
    Ok(norm.scaled(&y, n as f64, false))
}

fn real_inverted(x: &Tensor, axis: usize, n: Option<usize>, norm: Norm) -> Result<Tensor> {
    let n = some(n.unwrap_or(2 * x.shape()[axis].saturating_sub(1)))?;
    let y = InverseRealFft { axis, n }.of(&resized(&complexed(x), axis, n / 2 + 1)?);
    Ok(norm.scaled(&y, n as f64, true))
}

/// The discrete Fourier transform along `axis`: `y[k] = sum_j x[j] e^(-2πi jk/n)`.
///
/// Shapes: `[.., m, ..] -> [.., n, ..]`; `n` is m if absent, else the axis is cut off or filled with zeros first. Floats
/// and complex numbers (integers count as f32); f64 and c128 give c128, others c64. `norm` says where the factor 1/n goes:
/// "backward" to the inverse, "forward" to this transform, "ortho" its root to both.
/// # Errors
/// If the axis is out of range, there is nothing to transform, or the norm is another word.
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// let y = Tensor::from([1.0f32, 0.0, -1.0, 0.0]).fft(None, -1, "backward");
/// assert_eq!(y.to_vec::<c64>(), [0.0, 2.0, 0.0, 2.0].map(|re| c64::new(re, 0.0)));
/// ```
/// Source: NumPy's `fft.fft`.
#[op(samples = [
    (complex([2, 5]), (), -1, "backward"), (complex([4, 3]), 6, 0, "ortho"), (real([2, 6]), 4, 1, "forward"), (complex([1]), (), 0, "backward"),
])]
pub fn fft(x: &Tensor, n: Option<usize>, axis: Axis, norm: &str) -> Result<Tensor> {
    transformed(x, x.axis(axis)?, n, Norm::parse(norm)?, false)
}

/// The inverse of [`fft`]: `x[j] = sum_k y[k] e^(2πi jk/n) / n`.
///
/// Shapes, dtypes and norms: as for [`fft`]. Shapes: `[.., m, ..] -> [.., n, ..]`.
/// # Errors
/// As for [`fft`].
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// let y = Tensor::from([4.0f32, 0.0, 0.0, 0.0]).ifft(None, -1, "backward");
/// assert_eq!(y.to_vec::<c64>(), [c64::new(1.0, 0.0); 4]);
/// ```
/// Source: NumPy's `fft.ifft`.
#[op(samples = [(complex([2, 5]), (), -1, "backward"), (complex([4, 3]), 6, 0, "ortho"), (complex([2, 6]), 4, 1, "forward")])]
pub fn ifft(x: &Tensor, n: Option<usize>, axis: Axis, norm: &str) -> Result<Tensor> {
    transformed(x, x.axis(axis)?, n, Norm::parse(norm)?, true)
}

/// [`fft`] along several axes.
///
/// Shapes: the axes get the sizes `s` (by default they keep theirs), cut off or filled with zeros. Without `axes` the last
/// ones that `s` speaks of are transformed, without both all. Dtypes and norms: as for [`fft`].
/// # Errors
/// If an axis is out of range or named twice, sizes and axes differ in number, or as for [`fft`].
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// let y = Tensor::from([[1.0f32, 0.0], [0.0, 0.0]]).fftn((), .., "backward");
/// assert_eq!(y.to_vec::<c64>(), [c64::new(1.0, 0.0); 4]);
/// ```
/// Source: NumPy's `fft.fftn`.
#[op(samples = [
    (complex([3, 4]), (), .., "backward"), (complex([2, 3, 4]), [5, 2], [2, 0], "ortho"), (real([3, 4]), [3, 5], .., "forward"),
])]
pub fn fftn(x: &Tensor, s: Ints, axes: Axes, norm: &str) -> Result<Tensor> {
    many(x, &s, &axes, norm, false)
}

/// [`ifft`] along several axes.
///
/// Shapes, dtypes and norms: as for [`fftn`]. Shapes: the axes get the sizes `s`.
/// # Errors
/// As for [`fftn`].
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// let y = Tensor::from([[4.0f32, 0.0], [0.0, 0.0]]).ifftn((), .., "backward");
/// assert_eq!(y.to_vec::<c64>(), [c64::new(1.0, 0.0); 4]);
/// ```
/// Source: NumPy's `fft.ifftn`.
#[op(samples = [(complex([3, 4]), (), .., "backward"), (complex([2, 3, 4]), [5, 2], [2, 0], "ortho")])]
pub fn ifftn(x: &Tensor, s: Ints, axes: Axes, norm: &str) -> Result<Tensor> {
    many(x, &s, &axes, norm, true)
}

fn many(x: &Tensor, s: &Ints, axes: &Axes, norm: &str, inverse: bool) -> Result<Tensor> {
    let norm = Norm::parse(norm)?;
    let steps = plan(x, s, axes)?;
    steps.into_iter().rev().try_fold(complexed(x), |y, (axis, n)| transformed(&y, axis, n, norm, inverse))
}

/// The first half of [`fft`] of real numbers: the rest are the conjugates of these.
///
/// Shapes: `[.., m, ..] -> [.., n/2 + 1, ..]` with `n` as for [`fft`]. Floats (integers count as f32); f64 gives c128,
/// others c64. Norms: as for [`fft`].
/// # Errors
/// If `x` is complex, or as for [`fft`].
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// let y = Tensor::from([1.0f32, 0.0, -1.0, 0.0]).rfft(None, -1, "backward");
/// assert_eq!(y.to_vec::<c64>(), [0.0, 2.0, 0.0].map(|re| c64::new(re, 0.0)));
/// ```
/// Source: NumPy's `fft.rfft`.
#[op(samples = [
    (real([2, 5]), (), -1, "backward"), (real([4, 3]), 6, 0, "ortho"), (real([2, 6]), 4, 1, "forward"), (real([1]), (), 0, "backward"),
])]
pub fn rfft(x: &Tensor, n: Option<usize>, axis: Axis, norm: &str) -> Result<Tensor> {
    real_transformed(x, x.axis(axis)?, n, Norm::parse(norm)?)
}

/// The inverse of [`rfft`]: `n` real numbers from the first half of their transform.
///
/// Shapes: `[.., m, ..] -> [.., n, ..]`; `n` is `2 (m - 1)` if absent, and the axis is cut off or filled with zeros to `n/2 + 1`.
/// Elements that stand for themselves (the first, and the last for even `n`) count with their real part. c128
/// and f64 give f64, others f32. Norms: as for [`fft`].
/// # Errors
/// As for [`fft`].
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 2.0, 3.0, 4.0]);
/// assert_eq!(x.rfft(None, -1, "backward").irfft(None, -1, "backward").to_vec::<f32>(), [1.0, 2.0, 3.0, 4.0]);
/// ```
/// Source: NumPy's `fft.irfft`.
#[op(samples = [
    (complex([2, 4]), (), -1, "backward"), (complex([4, 3]), 7, 0, "ortho"), (complex([2, 6]), 5, 1, "forward"), (complex([2]), 4, 0, "backward"),
])]
pub fn irfft(x: &Tensor, n: Option<usize>, axis: Axis, norm: &str) -> Result<Tensor> {
    real_inverted(x, x.axis(axis)?, n, Norm::parse(norm)?)
}

/// [`rfft`] along the last of several axes, then [`fft`] along the others.
///
/// Shapes: as for [`fftn`], but the last of the axes gets half its size and one. Dtypes: as for [`rfft`].
/// # Errors
/// If there is no axis, or as for [`fftn`] and [`rfft`].
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// let y = Tensor::from([[1.0f32, 0.0], [0.0, 0.0]]).rfftn((), .., "backward");
/// assert_eq!(y.to_vec::<c64>(), [c64::new(1.0, 0.0); 4]);
/// ```
/// Source: NumPy's `fft.rfftn`.
#[op(samples = [(real([3, 4]), (), .., "backward"), (real([2, 3, 4]), [5, 2], [2, 0], "ortho"), (real([3, 4]), [3, 5], .., "forward")])]
pub fn rfftn(x: &Tensor, s: Ints, axes: Axes, norm: &str) -> Result<Tensor> {
    let norm = Norm::parse(norm)?;
    let mut steps = plan(x, &s, &axes)?;
    let (last, n) = steps.pop().ok_or_else(no_axis)?;
    let half = real_transformed(x, last, n, norm)?;
    steps.into_iter().rev().try_fold(half, |y, (axis, n)| transformed(&y, axis, n, norm, false))
}

fn no_axis() -> Error {
    Error::new("there is no axis to transform").hint("a transform of real numbers halves one axis")
}

/// The inverse of [`rfftn`]: [`ifft`] along all axes but the last of them, then [`irfft`].
///
/// Shapes: as for [`fftn`]; the last of the axes gets the size `2 (m - 1)` if `s` does not say. Dtypes: as for [`irfft`].
/// # Errors
/// If there is no axis, or as for [`fftn`].
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 5.0]]);
/// assert_eq!(x.rfftn((), .., "ortho").irfftn((), .., "ortho").round().to_vec::<f32>(), [1.0, 2.0, 3.0, 5.0]);
/// ```
/// Source: NumPy's `fft.irfftn`.
#[op(samples = [(complex([3, 4]), (), .., "backward"), (complex([2, 3, 4]), [5, 7], [1, 2], "ortho")])]
pub fn irfftn(x: &Tensor, s: Ints, axes: Axes, norm: &str) -> Result<Tensor> {
    let norm = Norm::parse(norm)?;
    let mut steps = plan(x, &s, &axes)?;
    let (last, n) = steps.pop().ok_or_else(no_axis)?;
    let rest = steps.into_iter().try_fold(complexed(x), |y, (axis, n)| transformed(&y, axis, n, norm, true))?;
    real_inverted(&rest, last, n, norm)
}

/// The transform of a signal whose transform is real, from its first half.
///
/// Shapes: `[.., m, ..] -> [.., n, ..]`; `n` is `2 (m - 1)` if absent. c128 and f64 give f64, others f32. It is
/// [`irfft`] of the conjugate, with "backward" and "forward" exchanged.
/// # Errors
/// As for [`fft`].
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 2.0, 3.0]).hfft(None, -1, "backward").to_vec::<f32>(), [8.0, -2.0, 0.0, -2.0]);
/// ```
/// Source: NumPy's `fft.hfft`.
#[op(samples = [(complex([2, 4]), (), -1, "backward"), (complex([4, 3]), 7, 0, "ortho"), (complex([2, 6]), 5, 1, "forward")])]
pub fn hfft(x: &Tensor, n: Option<usize>, axis: Axis, norm: &str) -> Result<Tensor> {
    real_inverted(&conjugate(x), x.axis(axis)?, n, Norm::parse(norm)?.exchanged())
}

/// The inverse of [`hfft`]: the first half of a signal whose transform is real.
///
/// Shapes: `[.., m, ..] -> [.., n/2 + 1, ..]`. Dtypes: as for [`rfft`], of which it is the conjugate, with "backward" and
/// "forward" exchanged.
/// # Errors
/// As for [`rfft`].
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// let y = Tensor::from([8.0f32, -2.0, 0.0, -2.0]).ihfft(None, -1, "backward");
/// assert_eq!(y.real().to_vec::<f32>(), [1.0, 2.0, 3.0]);
/// ```
/// Source: NumPy's `fft.ihfft`.
#[op(samples = [(real([2, 5]), (), -1, "backward"), (real([4, 3]), 6, 0, "ortho"), (real([2, 6]), 4, 1, "forward")])]
pub fn ihfft(x: &Tensor, n: Option<usize>, axis: Axis, norm: &str) -> Result<Tensor> {
    Ok(conjugate(&real_transformed(x, x.axis(axis)?, n, Norm::parse(norm)?.exchanged())?))
}

/// The frequencies of [`fft`]'s elements, in cycles per unit of the spacing `d` of `n` samples.
///
/// Shapes: `[n]`: `0, 1, .., -2, -1`, divided by `n d`.
/// # Errors
/// If `n` or `d` is 0, `d` is not finite, or the dtype is no float.
/// # Example
/// ```
/// use covector::{DType, ops::fft::fftfreq};
/// assert_eq!(fftfreq(4, 0.5, DType::F32).to_vec::<f32>(), [0.0, 0.5, -1.0, -0.5]);
/// ```
/// Source: NumPy's `fft.fftfreq`.
#[op(samples = [(4, 1.0, "f64"), (5, 0.25, "f64"), (1, 2.0, "f32")], notes = "derivative=it depends on nothing")]
pub fn fftfreq(n: usize, d: f64, dtype: DType) -> Result<Tensor> {
    let i = frequencies(n, n, d, dtype)?;
    let signed = i.greater((n - 1) as i64 / 2).where_(&i - n as i64, &i);
    Ok((signed.cast(DType::F64) * (1.0 / (n as f64 * d))).cast(dtype))
}

/// The frequencies of [`rfft`]'s elements, in cycles per unit of the spacing `d` of `n` samples.
///
/// Shapes: `[n/2 + 1]`: `0, 1, .., n/2`, divided by `n d`.
/// # Errors
/// As for [`fftfreq`].
/// # Example
/// ```
/// use covector::{DType, ops::fft::rfftfreq};
/// assert_eq!(rfftfreq(4, 0.5, DType::F32).to_vec::<f32>(), [0.0, 0.5, 1.0]);
/// ```
/// Source: NumPy's `fft.rfftfreq`.
#[op(samples = [(4, 1.0, "f64"), (5, 0.25, "f64"), (1, 2.0, "f32")], notes = "derivative=it depends on nothing")]
pub fn rfftfreq(n: usize, d: f64, dtype: DType) -> Result<Tensor> {
    let i = frequencies(n, n / 2 + 1, d, dtype)?;
    Ok((i.cast(DType::F64) * (1.0 / (n as f64 * d))).cast(dtype))
}

/// `0, 1, .. len - 1`, for `n` samples a distance `d` apart.
fn frequencies(n: usize, len: usize, d: f64, dtype: DType) -> Result<Tensor> {
    some(n)?;
    if d == 0.0 || !d.is_finite() {
        return Err(Error::new(format!("the spacing of samples must be finite and not 0, not {d}")));
    }
    if !dtype.is_float() {
        return Err(Error::new(format!("frequencies are floats, not {dtype}")));
    }
    addressable(&len.into(), DType::I64)?;
    Ok(super::create::iota(len, DType::I64))
}

/// Zero frequency moved to the middle of the axes.
///
/// Shapes: as `x`. Any dtype.
/// # Errors
/// If an axis is out of range or named twice.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([0, 1, 2, -2, -1]).fftshift(..).to_vec::<i64>(), [-2, -1, 0, 1, 2]);
/// ```
/// Source: NumPy's `fft.fftshift`.
#[op(samples = [(real([5]), ..), (complex([3, 4]), ..), (real([3, 4]), 1)])]
pub fn fftshift(x: &Tensor, axes: Axes) -> Result<Tensor> {
    shifted(x, &axes, |n| (n / 2) as i64)
}

/// The inverse of [`fftshift`].
///
/// Shapes: as `x`. Any dtype.
/// # Errors
/// If an axis is out of range or named twice.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([-2, -1, 0, 1, 2]).ifftshift(..).to_vec::<i64>(), [0, 1, 2, -2, -1]);
/// ```
/// Source: NumPy's `fft.ifftshift`.
#[op(samples = [(real([5]), ..), (complex([3, 4]), ..), (real([3, 4]), 1)])]
pub fn ifftshift(x: &Tensor, axes: Axes) -> Result<Tensor> {
    shifted(x, &axes, |n| -((n / 2) as i64))
}

fn shifted(x: &Tensor, axes: &Axes, by: fn(usize) -> i64) -> Result<Tensor> {
    let axes = axes.resolve(x.ndim())?;
    let shifts: Vec<i64> = axes.iter().map(|&a| by(x.shape()[a])).collect();
    x.try_roll(shifts, &axes[..])
}

op_list![fft, ifft, fftn, ifftn, rfft, irfft, rfftn, irfftn, hfft, ihfft, fftfreq, rfftfreq, fftshift, ifftshift];
