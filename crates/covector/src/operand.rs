//! The second operand of a binary op: a tensor or a number, and the operators `+ - * / % -x`.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use covector_array::{Array, DType, Element, Shape, c64, c128};

use crate::Tensor;
use crate::ops::elementwise as ops;
use crate::ops::leaf::Constant;

/// A tensor, or a number that takes the dtype of the tensor it meets.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A tensor.
    Tensor(Tensor),
    /// An integer: keeps any dtype (bool becomes i64).
    Int(i64),
    /// A float: keeps float and complex dtypes; integers become f32.
    Float(f64),
    /// A complex number: keeps complex dtypes; f64 becomes c128, others c64.
    Complex(c128),
}

impl Operand {
    /// The dtype of the operation when the other operand has `dtype`.
    pub(crate) fn promote(&self, dtype: DType) -> DType {
        match self {
            Operand::Tensor(t) => dtype.promote(t.dtype()),
            Operand::Int(_) if dtype == DType::Bool => DType::I64,
            Operand::Int(_) => dtype,
            Operand::Float(_) => dtype.to_float(),
            Operand::Complex(_) => dtype.to_complex(),
        }
    }

    /// The number as a tensor of the dtype and shape with which it meets `x`; a tensor as it is.
    ///
    /// ```
    /// use covector::{Operand, Tensor};
    /// let x = Tensor::from([1.0f32, 2.0]);
    /// assert_eq!(Operand::from(1).beside(&x).to_vec::<f32>(), [1.0, 1.0]);
    /// ```
    pub fn beside(&self, x: &Tensor) -> Tensor {
        match self {
            Operand::Tensor(t) => t.clone(),
            number => number.as_tensor(number.promote(x.dtype()), x.shape()),
        }
    }

    /// As a tensor of `dtype`; a number as one that repeats it along `shape`.
    pub(crate) fn as_tensor(&self, dtype: DType, shape: &Shape) -> Tensor {
        match self {
            Operand::Tensor(t) => t.in_dtype(dtype),
            number => Tensor::constant(&Constant::Number, number.splat(dtype, shape)),
        }
    }

    /// A real number; none for what is a tensor or complex.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match *self {
            Operand::Int(i) => Some(i as f64),
            Operand::Float(x) => Some(x),
            Operand::Tensor(_) | Operand::Complex(_) => None,
        }
    }

    /// A number, everywhere in `shape`.
    pub(crate) fn splat(&self, dtype: DType, shape: &Shape) -> Array {
        let shape = shape.clone();
        match *self {
            Operand::Tensor(_) => unreachable!("a tensor is no number"),
            Operand::Int(i) => {
                covector_array::with_dtype!(dtype, T => Array::splat(<T as Element>::from_i64(i), shape))
            }
            Operand::Float(x) => Array::full(shape, x, dtype),
            Operand::Complex(z) if dtype == DType::C128 => Array::splat(z, shape),
            Operand::Complex(z) if dtype == DType::C64 => Array::splat(c64::new(z.re as f32, z.im as f32), shape),
            Operand::Complex(_) => unreachable!("a complex number meets no {dtype}"),
        }
    }
}

impl From<Tensor> for Operand {
    fn from(t: Tensor) -> Self {
        Operand::Tensor(t)
    }
}
impl From<&Tensor> for Operand {
    fn from(t: &Tensor) -> Self {
        Operand::Tensor(t.clone())
    }
}
impl From<&Operand> for Operand {
    fn from(t: &Operand) -> Self {
        t.clone()
    }
}
impl From<c128> for Operand {
    fn from(z: c128) -> Self {
        Operand::Complex(z)
    }
}
impl From<c64> for Operand {
    fn from(z: c64) -> Self {
        Operand::Complex(c128::new(z.re.into(), z.im.into()))
    }
}
macro_rules! numbers {
    ($($t:ty => $k:ident($w:ty)),*) => {$(
        impl From<$t> for Operand { fn from(x: $t) -> Self { Operand::$k(x as $w) } }
    )*};
}
numbers!(i32 => Int(i64), i64 => Int(i64), usize => Int(i64), f32 => Float(f64), f64 => Float(f64), bool => Int(i64));

// On the left only f64 and i64: with one float and one integer type a literal's type is inferred, as in `1.0 - x`.
macro_rules! operators {
    ($($trait:ident $method:ident $op:ident),*) => {$(
        impl<R: Into<Operand>> $trait<R> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: R) -> Tensor { $trait::$method(self.clone(), other) }
        }
        impl<R: Into<Operand>> $trait<R> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: R) -> Tensor {
                // Most operands fit as they are; the op does what is to be done with others.
                match ops::table::$op.between(self, other.into()) {
                    Ok(made) => made,
                    Err((x, other)) => ops::$op(&x, other),
                }
            }
        }
        operators!(@numbers $trait $method $op: f64 i64);
    )*};
    (@numbers $trait:ident $method:ident $op:ident: $($n:ty)*) => {$(
        impl $trait<&Tensor> for $n {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                $trait::$method(Operand::from(self).beside(other), other)
            }
        }
        impl $trait<Tensor> for $n {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                $trait::$method(Operand::from(self).beside(&other), other)
            }
        }
    )*};
}
operators!(Add add add, Sub sub subtract, Mul mul multiply, Div div divide, Rem rem remainder);

impl Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        ops::negative(self)
    }
}
impl Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        ops::negative(&self)
    }
}
