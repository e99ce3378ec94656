//! What a step is told: which step it is, and how long it is.

use std::ops::{Add, Div, Mul, Sub};

use covector::{DType, Operand, Tensor};

/// A number that is known when a step is built, or a 0-d tensor: one that a [compiled](covector::compile) step is given anew
/// at every call, so that it is not planned again for every number.
///
/// ```
/// use covector::Tensor;
/// use covector_nn::optim::Scalar;
/// let half = |x: Scalar| (1.0 - x) * 0.5;
/// let x = Tensor::from([1.0f32, 3.0]);
/// assert_eq!((&x * half(Scalar::Known(0.5)).beside(&x)).to_vec::<f32>(), [0.25, 0.75]);
/// assert_eq!((&x * half(Scalar::from(Tensor::from(0.5f64))).beside(&x)).to_vec::<f32>(), [0.25, 0.75]);
/// ```
#[derive(Clone, Debug)]
pub enum Scalar {
    /// A number.
    Known(f64),
    /// A 0-d tensor of f64.
    Tensor(Tensor),
}

/// What a step is told besides parameters, gradients and what is remembered of them.
#[derive(Clone, Debug)]
pub struct Pace {
    /// The number of the step; the first is 1.
    pub step: Scalar,
    /// The learning rate.
    pub rate: Scalar,
}

impl Pace {
    /// A step of this number, the first being 1, with this learning rate.
    pub fn new(step: impl Into<Scalar>, rate: impl Into<Scalar>) -> Pace {
        Pace { step: step.into(), rate: rate.into() }
    }
}

impl Scalar {
    /// What a tensor of 0 axes holds: a number if it can be read, and the tensor itself inside a transformation.
    pub fn held(t: &Tensor) -> Scalar {
        if t.is_followed() { Scalar::from(t) } else { Scalar::Known(t.to_f64()) }
    }

    /// From the count of steps taken, a 0-d integer: the count after the next one, and the number of that.
    pub fn counted(steps: &Tensor) -> (Tensor, Scalar) {
        let next = Scalar::held(steps) + 1.0;
        let after = match next {
            Scalar::Known(step) => Tensor::from(step as i64),
            Scalar::Tensor(_) => steps + 1,
        };
        (after, next)
    }

    /// As an operand that takes the dtype of `x`.
    pub fn beside(&self, x: &Tensor) -> Operand {
        match self {
            Scalar::Known(number) => Operand::from(*number),
            Scalar::Tensor(t) => Operand::from(t.cast(x.dtype())),
        }
    }

    /// As a tensor of 0 axes.
    pub fn tensor(&self) -> Tensor {
        match self {
            Scalar::Known(number) => Tensor::from(*number),
            Scalar::Tensor(t) => t.clone(),
        }
    }

    /// The square root.
    pub fn sqrt(&self) -> Scalar {
        self.map(f64::sqrt, Tensor::sqrt)
    }

    /// This power of it.
    pub fn powf(&self, exponent: f64) -> Scalar {
        self.map(|x| x.powf(exponent), |x| x.pow(exponent))
    }

    /// `base` to the power of it.
    pub fn power_of(&self, base: f64) -> Scalar {
        self.map(|x| base.powf(x), |x| Tensor::from(base).pow(x))
    }

    /// The smaller of both.
    pub fn min(&self, other: &Scalar) -> Scalar {
        self.with(other, f64::min, |a, b| a.minimum(b))
    }

    fn map(&self, number: impl FnOnce(f64) -> f64, tensor: impl FnOnce(&Tensor) -> Tensor) -> Scalar {
        match self {
            Scalar::Known(x) => Scalar::Known(number(*x)),
            Scalar::Tensor(x) => Scalar::Tensor(tensor(x)),
        }
    }

    fn with(
        &self,
        other: &Scalar,
        numbers: impl FnOnce(f64, f64) -> f64,
        tensors: impl FnOnce(&Tensor, &Tensor) -> Tensor,
    ) -> Scalar {
        match (self, other) {
            (Scalar::Known(a), Scalar::Known(b)) => Scalar::Known(numbers(*a, *b)),
            _ => Scalar::Tensor(tensors(&self.tensor(), &other.tensor())),
        }
    }
}

impl From<f64> for Scalar {
    fn from(number: f64) -> Scalar {
        Scalar::Known(number)
    }
}

impl From<&Tensor> for Scalar {
    /// A tensor of 0 axes.
    ///
    /// # Panics
    /// If it has axes.
    #[track_caller]
    fn from(t: &Tensor) -> Scalar {
        assert_eq!(t.ndim(), 0, "{} is not one number", t.spec());
        Scalar::Tensor(t.cast(DType::F64))
    }
}

impl From<Tensor> for Scalar {
    /// A tensor of 0 axes.
    ///
    /// # Panics
    /// If it has axes.
    #[track_caller]
    fn from(t: Tensor) -> Scalar {
        Scalar::from(&t)
    }
}

impl From<&Scalar> for Scalar {
    fn from(x: &Scalar) -> Scalar {
        x.clone()
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident),*) => {$(
        impl<R: Into<Scalar>> $trait<R> for &Scalar {
            type Output = Scalar;
            fn $method(self, other: R) -> Scalar {
                self.with(&other.into(), $trait::$method, |a, b| $trait::$method(a, b))
            }
        }
        impl<R: Into<Scalar>> $trait<R> for Scalar {
            type Output = Scalar;
            fn $method(self, other: R) -> Scalar {
                $trait::$method(&self, other)
            }
        }
        impl $trait<Scalar> for f64 {
            type Output = Scalar;
            fn $method(self, other: Scalar) -> Scalar {
                $trait::$method(Scalar::Known(self), other)
            }
        }
    )*};
}
operators!(Add add, Sub sub, Mul mul, Div div);
