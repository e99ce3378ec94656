//! Complex numbers: their parts, and numbers from parts.
//!
//! A derivative is that of a function of two real numbers, told as one complex number: the inner product of a cotangent and a
//! tangent is `Re(conj(ȳ) t)`. So the gradient of a real loss points uphill, as in PyTorch, and what pulls back
//! through a holomorphic function is multiplied by the conjugate of its derivative.

use covector_array::kernels::{self, Inputs, Kernel};
use covector_array::{Array, DType, c64, c128};
use covector_derive::{op, op_list};

use super::concat::stack;
use super::scan::piece;
use super::view::{add_batch, linear, reshaped};
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::rule_book::no_order;
use crate::{Error, Result, Spec, Tensor};

/// A map of single complex numbers that is linear over the real ones.
#[derive(Clone, Copy, Debug, Hash, PartialEq)]
enum Map {
    Conjugate,
    Real,
    Imag,
}

impl Map {
    fn of(self, x: &Tensor) -> Tensor {
        super::made(Tensor::apply(self, [x.clone()]))
    }

    fn transpose(&self, x: &Spec, cotangent: &Tensor) -> Tensor {
        match self {
            Map::Conjugate => Map::Conjugate.of(cotangent),
            Map::Real => cotangent.cast(x.dtype),
            Map::Imag => assembled(&Tensor::zeros_of(cotangent.spec()), cotangent),
        }
    }

    fn kernel(self, dtype: DType) -> Option<Kernel> {
        Some(match (self, dtype) {
            (Map::Conjugate, DType::C64) => Kernel::plain(|z: c64| z.conj()),
            (Map::Conjugate, _) => Kernel::plain(|z: c128| z.conj()),
            (Map::Real, DType::C64) => Kernel::plain(|z: c64| z.re),
            (Map::Real, _) => Kernel::plain(|z: c128| z.re),
            (Map::Imag, DType::C64) => Kernel::plain(|z: c64| z.im),
            (Map::Imag, _) => Kernel::plain(|z: c128| z.im),
        })
    }
}
linear!(Map, |map, _| match map {
    Map::Conjugate => "conj(ȳ)".to_owned(),
    Map::Real => "ȳ".to_owned(),
    Map::Imag => "i·ȳ".to_owned(),
});

impl Primitive for Map {
    fn name(&self) -> &'static str {
        match self {
            Map::Conjugate => "conj",
            Map::Real => "real",
            Map::Imag => "imag",
        }
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let dtype = x[0].dtype;
        Ok(Spec::new(if *self == Map::Conjugate { dtype } else { dtype.part() }, x[0].shape.clone()))
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        let select: fn(DType) -> Option<Kernel> = match self {
            Map::Conjugate => |d| Map::Conjugate.kernel(d),
            Map::Real => |d| Map::Real.kernel(d),
            Map::Imag => |d| Map::Imag.kernel(d),
        };
        let dtype = x[0].dtype();
        Ok(kernels::map(select, dtype, x))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(*self, [x[0].clone()])
    }
}

/// Complex numbers from their real and imaginary parts.
#[derive(Clone, Debug, Hash)]
struct Assemble;

/// The complex numbers of parts known to fit.
fn assembled(re: &Tensor, im: &Tensor) -> Tensor {
    super::made(Tensor::apply(Assemble, [re.clone(), im.clone()]))
}

impl Primitive for Assemble {
    fn name(&self) -> &'static str {
        "complex"
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        if x[0] != x[1] {
            return Err(Error::new(format!("the real part {} and the imaginary part {} must look alike", x[0], x[1])));
        }
        Ok(Spec::new(x[0].dtype.to_complex(), x[0].shape.clone()))
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        let select = |dtype: DType| {
            Some(match dtype {
                DType::F32 => Kernel::plain_binary(|re: f32, im: f32| c64::new(re, im)),
                _ => Kernel::plain_binary(|re: f64, im: f64| c128::new(re, im)),
            })
        };
        let dtype = x[0].dtype();
        Ok(kernels::map(select, dtype, x))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        let [re, im] = [0, 1].map(|i| if has[i] { x[i].clone() } else { add_batch(&x[i], size) });
        Tensor::apply(Assemble, [re, im])
    }
}

impl Differentiable for Assemble {
    fn jvp(&self, x: &[Tensor], _: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        let [re, im] = [0, 1].map(|i| t[i].clone().unwrap_or_else(|| Tensor::zeros_of(x[i].spec())));
        assembled(&re, &im)
    }
    fn vjp(&self, _: &[Tensor], _: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        vec![wrt[0].then(|| Map::Real.of(cotangent)), wrt[1].then(|| Map::Imag.of(cotangent))]
    }
    fn rule(&self, _: &[&str], k: usize) -> Option<String> {
        Some(if k == 0 { "Re ȳ" } else { "Im ȳ" }.to_owned())
    }
}

/// The conjugate of a complex tensor; a real one as it is.
pub(crate) fn conjugate(x: &Tensor) -> Tensor {
    if x.dtype().is_complex() { Map::Conjugate.of(x) } else { x.clone() }
}

/// The real part; a real tensor as it is.
pub(crate) fn real_part(x: &Tensor) -> Tensor {
    if x.dtype().is_complex() { Map::Real.of(x) } else { x.clone() }
}

/// Refuses complex numbers where an order is needed.
pub(crate) fn require_order(x: &Spec) -> Result<()> {
    if x.dtype.is_complex() { Err(no_order()) } else { Ok(()) }
}

/// Refuses complex numbers where nothing is defined for them.
pub(crate) fn require_real(x: &Spec) -> Result<()> {
    if !x.dtype.is_complex() {
        return Ok(());
    }
    Err(Error::new(format!("is not defined for complex numbers, such as {x}"))
        .hint("call it for `.real()` and `.imag()`, if it is linear"))
}

/// `z / |z|`, 0 at 0, with the derivative 0 there.
pub(crate) fn sign(x: &Tensor) -> Result<Tensor> {
    let size = x.abs();
    let zero = size.equal(0.0);
    let size = zero.where_(1.0, size);
    Ok(zero.where_(0.0, x / size))
}

/// The gradient of the angle: `i z / |z|²`, 0 at 0.
pub(crate) fn angle_gradient(x: &Tensor) -> Tensor {
    let size = x.abs();
    let size = size.equal(0.0).where_(1.0, size);
    assembled(&(-(x.imag() / &size) / &size), &(x.real() / &size / size))
}

/// The complex conjugate: the imaginary part with the other sign.
///
/// Shapes: as `x`. Any dtype, kept; real numbers are their own conjugates.
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// let x = Tensor::from(c64::new(1.0, 2.0));
/// assert_eq!(x.conj().item::<c64>(), c64::new(1.0, -2.0));
/// ```
/// Source: NumPy's `conj`.
#[op(samples = [(complex([2, 3]),), (complex(()),), (real([3]),)])]
pub fn conj(x: &Tensor) -> Result<Tensor> {
    Ok(conjugate(x))
}

/// The real part.
///
/// Shapes: as `x`. c64 gives f32 and c128 f64; real numbers stay as they are.
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// assert_eq!(Tensor::from(c64::new(1.0, 2.0)).real().item::<f32>(), 1.0);
/// ```
/// Source: NumPy's `real`.
#[op(samples = [(complex([2, 3]),), (complex(()),), (real([3]),)])]
pub fn real(x: &Tensor) -> Result<Tensor> {
    Ok(real_part(x))
}

/// The imaginary part.
///
/// Shapes: as `x`. c64 gives f32 and c128 f64; of real numbers it is 0 in their dtype.
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// assert_eq!(Tensor::from(c64::new(1.0, 2.0)).imag().item::<f32>(), 2.0);
/// ```
/// Source: NumPy's `imag`.
#[op(samples = [(complex([2, 3]),), (complex(()),)])]
pub fn imag(x: &Tensor) -> Result<Tensor> {
    Ok(if x.dtype().is_complex() { Map::Imag.of(x) } else { Tensor::zeros_of(x.spec()).named(x.names()) })
}

/// Complex numbers from their real and imaginary parts.
///
/// Shapes: broadcast. Dtypes: promoted to f32 or f64, which give c64 and c128.
/// # Errors
/// If the shapes do not broadcast, or a part is complex itself.
/// # Example
/// ```
/// use covector::{Tensor, c64, ops::complex::complex};
/// let z = complex(&Tensor::from([1.0f32, 2.0]), &Tensor::from(3.0f32));
/// assert_eq!(z.to_vec::<c64>(), [c64::new(1.0, 3.0), c64::new(2.0, 3.0)]);
/// ```
/// Source: PyTorch's `complex`.
#[op(samples = [(real([2, 3]), real2([2, 3])), (real([2, 1]), real2([3])), (real(()), real2([2]))])]
pub fn complex(re: &Tensor, im: &Tensor) -> Result<Tensor> {
    let dtype = re.dtype().promote(im.dtype());
    if dtype.is_complex() {
        return Err(Error::new(format!("the parts of a complex number are real, not {dtype}")));
    }
    let dtype = dtype.to_complex().part();
    let (re, im) = super::view::broadcast(&re.cast(dtype), &im.cast(dtype))?;
    Tensor::apply(Assemble, [re, im])
}

/// The real and imaginary parts side by side along a new last axis.
///
/// Shapes: `[..] -> [.., 2]`. c64 gives f32 and c128 f64.
/// # Errors
/// If `x` is not complex.
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// assert_eq!(Tensor::from([c64::new(1.0, 2.0)]).view_as_real().to_vec::<f32>(), [1.0, 2.0]);
/// ```
/// Source: PyTorch's `view_as_real`.
#[op(samples = [(complex([2, 3]),), (complex(()),)])]
pub fn view_as_real(x: &Tensor) -> Result<Tensor> {
    if !x.dtype().is_complex() {
        return Err(Error::new(format!("{} is not complex", x.spec())));
    }
    Ok(stack(&[Map::Real.of(x), Map::Imag.of(x)], -1))
}

/// Complex numbers from parts that stand side by side along the last axis.
///
/// Shapes: `[.., 2] -> [..]`. f64 gives c128, other real numbers c64.
/// # Errors
/// If the last axis has not two elements, or `x` is complex.
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// assert_eq!(Tensor::from([1.0f32, 2.0]).view_as_complex().item::<c64>(), c64::new(1.0, 2.0));
/// ```
/// Source: PyTorch's `view_as_complex`.
#[op(samples = [(real([3, 2]),), (real([2]),)])]
pub fn view_as_complex(x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_complex() {
        return Err(Error::new(format!("{} is complex already", x.spec())));
    }
    let x = &x.cast(x.dtype().to_complex().part());
    if x.shape().last() != Some(&2) {
        return Err(Error::new(format!("the last axis of {} must hold two parts", x.spec())));
    }
    let last = x.ndim() - 1;
    let part = |i: usize| reshaped(&piece(x, last, i, 1), x.shape().without(|a| a == last));
    Tensor::apply(Assemble, [part(0), part(1)])
}

/// True where the imaginary part is 0.
///
/// Shapes: as `x`. Any dtype; the result is bool, true for real numbers.
/// # Example
/// ```
/// use covector::{Tensor, c64};
/// let x = Tensor::from([c64::new(1.0, 0.0), c64::new(1.0, 2.0)]);
/// assert_eq!(x.isreal().to_vec::<bool>(), [true, false]);
/// ```
/// Source: NumPy's `isreal`.
#[op(samples = [(complex([2, 3]),), (real([3]),)], notes = "derivative=the result is bool")]
pub fn isreal(x: &Tensor) -> Result<Tensor> {
    Ok(x.imag().equal(0.0))
}

op_list![conj, real, imag, complex, view_as_real, view_as_complex, isreal];
