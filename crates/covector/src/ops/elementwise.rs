//! The elementwise table: one record per primitive, from which comes everything else about it.
//!
//! A record holds the docs, the kernel on one element (`real` and, with three operands, `ternary`: f32 and f64, halves through
//! f32; `rounding`: the same, and integers stay; `numeric`: also integers; `integer`, `logical`; `comparison` and
//! `real_predicate`: the result is bool), the partial derivative for each operand from the operands and the result `y` (or,
//! in parentheses, why it is zero), and the samples it is tested on.
//!
//! `arithmetic` names what the kernel does where a processor has an instruction for it: such ops run in registers with their
//! neighbours, and the cheap ones are computed again rather than read. `vectors` names the function for which there is a loop written
//! by hand for AVX-512, with the same bits.
//!
//! What takes complex numbers says so in one more line: `complex`, the kernel on c128 (c64 is computed in it and rounded once), or
//! `complex_as`, a function made of other ops. A derivative serves complex operands as it stands: both modes know what to
//! conjugate. Where it cannot (a comparison in it, a result that is real), `complex_derivative` has another; for real results
//! it is the gradient. `number_as` is a function made of other ops, too: for some numbers as second operands.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LN_2, LOG2_E, LOG10_E};

use covector_array::kernels::{Apply, Arithmetic, Function, Kernel, apply_fused};
use covector_array::math::complex::{self, Narrow};
use covector_array::math::{Int, Num, Real};
use covector_array::{DType, bf16, c64, c128, f16};
use covector_derive::{op, op_list};

use super::activation::{self, GELU_CUBIC, GELU_SCALE, SELU_ALPHA, SELU_SCALE};
use crate::formula::Formula;
use crate::rule_book::{Domain, Elementwise, Factor, Partials, binary, elementwise, select, ternary, unary};
use crate::scalar::{Number, Value};
use crate::{Operand, Result, Tensor};

/// Powers by the numbers that people write most, in a tenth of the time; off by at most 1.5 units in the last place.
fn power_by_number(x: &Tensor, exponent: f64) -> Option<Result<Tensor>> {
    match exponent {
        2.0 => Some(x.try_square()),
        3.0 => Some(x.try_square().and_then(|square| square.try_multiply(x))),
        -1.0 if x.dtype().is_inexact() => Some(x.try_reciprocal()),
        _ => None,
    }
}

elementwise! {
    /// The sum `x1 + x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted; integers wrap, bool counts as i64.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!((Tensor::from([1.0f32, 2.0]) + 1.0).to_vec::<f32>(), [2.0, 3.0]);
    /// ```
    /// Source: NumPy's `add`.
    add(x1, x2) = y {
        numeric: Num::add(x1, x2);
        arithmetic: Add;
        complex: x1 + x2;
        derivative: [1.0, 1.0];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 3]), real2([3])), (real(()), real2([2])), (real([2]), 1.5), (complex([2, 3]), complex2([2, 3])), (real([2, 1]), complex2([3]))];
    }

    /// The difference `x1 - x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted; integers wrap, bool counts as i64.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!((Tensor::from([1.0f32, 2.0]) - 1.0).to_vec::<f32>(), [0.0, 1.0]);
    /// ```
    /// Source: NumPy's `subtract`.
    subtract(x1, x2) = y {
        numeric: Num::sub(x1, x2);
        arithmetic: Subtract;
        complex: x1 - x2;
        derivative: [1.0, -1.0];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 1]), real2([3])), (real([2]), 1.5), (complex([2, 3]), complex2([2, 3])), (real([2, 1]), complex2([3]))];
    }

    /// The product `x1 · x2`, element by element.
    ///
    /// Shapes: broadcast. Dtypes: promoted; integers wrap, bool counts as i64.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!((Tensor::from([1.0f32, 2.0]) * 3.0).to_vec::<f32>(), [3.0, 6.0]);
    /// ```
    /// Source: NumPy's `multiply`.
    multiply(x1, x2) = y {
        numeric: Num::mul(x1, x2);
        arithmetic: Multiply;
        complex: complex::multiply(x1, x2);
        derivative: [x2.clone(), x1.clone()];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 1]), real2([3])), (real([2]), 1.5), (complex([2, 3]), complex2([2, 3])), (real([2, 1]), complex2([3]))];
    }

    /// The quotient `x1 / x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted to a float (integers give f32). Division by 0 gives inf or NaN (IEEE 754).
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!((Tensor::from([1, 2]) / 2).to_vec::<f32>(), [0.5, 1.0]);
    /// ```
    /// Source: NumPy's `divide`.
    divide(x1, x2) = y {
        real: x1 / x2;
        arithmetic: Divide;
        complex: complex::divide(x1, x2);
        derivative: [1.0 / x2, -(y / x2)];
        samples: [(real([2, 3]), positive([2, 3])), (real([2, 1]), positive([3])), (real([2]), 1.5), (complex([2, 3]), complex2([2, 3])), (real([2, 1]), complex2([3]))];
    }

    /// The remainder of [`floor_divide`]: `x1 - x2 · floor(x1 / x2)`, with the sign of `x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted, bool counts as i64. An integer remainder by 0 is 0, a float one NaN.
    /// The derivative at multiples of `x2` is that to their right.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!((Tensor::from([7, -7]) % 3).to_vec::<i64>(), [1, 2]);
    /// ```
    /// Source: NumPy's `remainder`.
    remainder(x1, x2) = y {
        numeric: Num::remainder(x1, x2);
        vectors: Remainder;
        derivative: [1.0, -x1.floor_divide(x2)];
        samples: [(real([2, 3]), positive([2, 3])), (real([2, 1]), positive([3])), (ints(-9, 9, [4]), 4)];
    }

    /// The quotient rounded down, `floor(x1 / x2)`.
    ///
    /// Shapes: broadcast. Dtypes: promoted, bool counts as i64. An integer quotient by 0 is 0. The derivative is 0.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([7, -7]).floor_divide(3).to_vec::<i64>(), [2, -3]);
    /// ```
    /// Source: NumPy's `floor_divide`.
    floor_divide(x1, x2) = y {
        numeric: Num::floor_div(x1, x2);
        vectors: FloorDivide;
        derivative: ("it is piecewise constant");
        samples: [(real([2, 3]), positive([2, 3])), (ints(-9, 9, [4]), 4)];
    }

    /// The negation `-x`.
    ///
    /// Shapes: as `x`. Integers wrap, bool counts as i64.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!((-Tensor::from([1.0f32, -2.0])).to_vec::<f32>(), [-1.0, 2.0]);
    /// ```
    /// Source: NumPy's `negative`.
    negative(x) = y {
        numeric: Num::neg(x);
        arithmetic: Negative;
        complex: -x;
        derivative: [-1.0];
        samples: [(real([2, 3]),), (real(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The absolute value.
    ///
    /// Shapes: as `x`. Any number; bool counts as i64. The derivative at 0 is 0; the lowest signed integer stays as it
    /// is.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32, -2.0]).abs().to_vec::<f32>(), [1.0, 2.0]);
    /// ```
    /// Source: NumPy's `abs`.
    abs(x) = y {
        numeric: Num::abs(x);
        arithmetic: Absolute;
        complex: complex::abs(x);
        derivative: [x.sign()];
        samples: [(real([2, 3]),), (real(()),), (ints(-3, 4, [4]),), (complex([2, 3]),), (complex(()),)];
    }

    /// The angle of a complex number in the plane, in radians: `atan2(imag, real)`.
    ///
    /// Shapes: as `x`. Floats and complex numbers (integers give f32); the result is real, in [-π, π]: of a real number 0, or π
    /// where it is negative. The derivative at 0 is 0.
    /// # Example
    /// ```
    /// use covector::{Tensor, c64};
    /// let x = Tensor::from([c64::new(0.0, 2.0), c64::new(3.0, 0.0)]);
    /// assert_eq!(x.angle().to_vec::<f32>(), [std::f32::consts::FRAC_PI_2, 0.0]);
    /// ```
    /// Source: NumPy's `angle`.
    angle(x) = y {
        real: Real::atan2(if Real::is_nan(x) { x } else { Num::ZERO }, x);
        complex: complex::angle(x);
        derivative: [0.0];
        complex_derivative: [crate::ops::complex::angle_gradient(x)];
        samples: [(real([2, 3]),), (complex([2, 3]),), (complex(()),)];
    }

    /// The sign: -1, 0 or 1.
    ///
    /// Shapes: as `x`. Any number; bool counts as i64. NaN stays NaN. The derivative is 0.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([3.0f32, 0.0, -2.0]).sign().to_vec::<f32>(), [1.0, 0.0, -1.0]);
    /// ```
    /// Source: NumPy's `sign`.
    sign(x) = y {
        numeric: Num::sign(x);
        complex_as: crate::ops::complex::sign;
        derivative: ("it is piecewise constant");
        samples: [(real([2, 3]),), (ints(-3, 4, [4]),), (complex([2, 3]),), (complex(()),)];
    }

    /// The square `x²`.
    ///
    /// Shapes: as `x`. Integers wrap, bool counts as i64.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([3.0f32]).square().to_vec::<f32>(), [9.0]);
    /// ```
    /// Source: NumPy's `square`.
    square(x) = y {
        numeric: Num::mul(x, x);
        arithmetic: Square;
        complex: complex::multiply(x, x);
        derivative: [x * 2.0];
        samples: [(real([2, 3]),), (real(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The reciprocal `1 / x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32). Division by 0 gives inf with its sign.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([4.0f32]).reciprocal().to_vec::<f32>(), [0.25]);
    /// ```
    /// Source: NumPy's `reciprocal`.
    reciprocal(x) = y {
        real: activation::reciprocal(x);
        arithmetic: Reciprocal;
        complex: complex::reciprocal(x);
        derivative: [-y.square()];
        samples: [(positive([2, 3]),), (between(-2.0, -0.3, [3]),), (complex([2, 3]),), (complex(()),)];
    }

    /// The power `x1^x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted, bool counts as i64. Integers wrap; a negative integer exponent gives the
    /// truncated reciprocal. A negative base has real powers for whole exponents only, else NaN. `0^0` is 1. The
    /// derivative by the base is 0 where the exponent is 0, even at base 0; that by the exponent is 0 at base 0, unless
    /// the exponent is negative.
    ///
    /// The numbers 2, 3 and -1 (of floats) are no powers to compute: the graph has a square, a square times `x1`, a reciprocal.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([2.0f32, 3.0]).pow(2).to_vec::<f32>(), [4.0, 9.0]);
    /// ```
    /// Source: NumPy's `power`, the Array API's `pow`.
    pow(x1, x2) = y {
        numeric: Num::pow(x1, x2);
        complex: complex::pow(x1, x2);
        number_as: power_by_number;
        derivative: [
            {
                let nothing = x1.equal(0.0).logical_and(x2.equal(0.0));
                nothing.where_(1.0, x1).pow(x2 - 1.0) * x2
            },
            {
                let flat = x1.equal(0.0).logical_and(x2.greater_equal(0.0));
                flat.where_(1.0, x1).log() * y
            }
        ];
        complex_derivative: [
            {
                let nothing = x1.equal(0.0).logical_and(x2.equal(0.0));
                nothing.where_(1.0, x1).pow(x2 - 1.0) * x2
            },
            x1.equal(0.0).where_(1.0, x1).log() * y
        ];
        samples: [(positive([2, 3]), real2([2, 3])), (positive([2, 1]), real2([3])), (real([4]), 3),
            (exactly(&[0.0, 0.0, 0.0, -1.5], [4]), exact_ints(&[0, 1, 2, 3], [4])), (ints(-3, 4, [4]), 3), (complex([2, 3]), complex2([2, 3])), (complex([3]), 3)];
    }

    /// The square root.
    ///
    /// Shapes: as `x`. Floats (integers give f32). NaN below 0; the derivative at 0 is inf.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([9.0f32]).sqrt().to_vec::<f32>(), [3.0]);
    /// ```
    /// Source: NumPy's `sqrt`.
    sqrt(x) = y {
        real: Real::sqrt(x);
        arithmetic: SquareRoot;
        complex: complex::sqrt(x);
        derivative: [0.5 / y];
        samples: [(positive([2, 3]),), (positive(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The reciprocal of the square root.
    ///
    /// Shapes: as `x`. Floats (integers give f32). NaN below 0; inf at 0.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([4.0f32]).rsqrt().to_vec::<f32>(), [0.5]);
    /// ```
    /// Source: PyTorch's `rsqrt`.
    rsqrt(x) = y {
        real: activation::reciprocal(Real::sqrt(x));
        arithmetic: ReciprocalSquareRoot;
        complex: complex::rsqrt(x);
        derivative: [y / x * -0.5];
        samples: [(positive([2, 3]),), (positive(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The real cube root.
    ///
    /// Shapes: as `x`. Floats (integers give f32). Negative numbers have one; the derivative at 0 is inf.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([8.0f32, -8.0]).cbrt().to_vec::<f32>(), [2.0, -2.0]);
    /// ```
    /// Source: NumPy's `cbrt`.
    cbrt(x) = y {
        real: Real::cbrt(x);
        derivative: [1.0 / (y.square() * 3.0)];
        samples: [(positive([2, 3]),), (between(-2.0, -0.3, [3]),)];
    }

    /// `sqrt(x1² + x2²)` without overflow.
    ///
    /// Shapes: broadcast. Dtypes: promoted to a float (integers give f32). The derivative at the origin is 0.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([3.0f32]).hypot(4.0).to_vec::<f32>(), [5.0]);
    /// ```
    /// Source: NumPy's `hypot`.
    hypot(x1, x2) = y {
        real: Real::hypot(x1, x2);
        derivative: [x1 / y.equal(0.0).where_(1.0, y), x2 / y.equal(0.0).where_(1.0, y)];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 1]), positive([3])), (real([2]), 1.5)];
    }

    /// `log(e^x1 + e^x2)` without overflow.
    ///
    /// Shapes: broadcast. Dtypes: promoted to a float (integers give f32). -inf with -inf gives -inf, where there is no
    /// derivative (NaN).
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1000.0f64]).logaddexp(0.0).to_vec::<f64>(), [1000.0]);
    /// ```
    /// Source: NumPy's `logaddexp`.
    logaddexp(x1, x2) = y {
        real: if x1 == x2 {
            Num::add(x1, Real::from_f64(std::f64::consts::LN_2))
        } else {
            Num::add(Num::max(x1, x2), Real::log1p(Real::exp(Num::neg(Num::abs(x1 - x2)))))
        };
        derivative: [(x1 - x2).sigmoid(), (x2 - x1).sigmoid()];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 1]), positive([3])), (real([2]), 1.5)];
    }

    /// The exponential `e^x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).exp().to_vec::<f32>(), [1.0]);
    /// ```
    /// Source: NumPy's `exp`.
    exp(x) = y {
        real: Real::exp(x);
        vectors: Exp;
        complex: complex::exp(x);
        derivative: [y.clone()];
        samples: [(real([2, 3]),), (real(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The power `2^x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([3.0f32]).exp2().to_vec::<f32>(), [8.0]);
    /// ```
    /// Source: NumPy's `exp2`.
    exp2(x) = y {
        real: Real::exp2(x);
        derivative: [y * LN_2];
        samples: [(real([2, 3]),), (real(()),)];
    }

    /// `e^x - 1`, accurate near 0.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1e-30f32]).expm1().to_vec::<f32>(), [1e-30]);
    /// ```
    /// Source: NumPy's `expm1`.
    expm1(x) = y {
        real: Real::expm1(x);
        complex: complex::expm1(x);
        derivative: [x.exp()];
        samples: [(real([2, 3]),), (real(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The natural logarithm.
    ///
    /// Shapes: as `x`. Floats (integers give f32). -inf at 0, NaN below.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32]).log().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: NumPy's `log`.
    log(x) = y {
        real: Real::ln(x);
        vectors: Log;
        complex: complex::log(x);
        derivative: [1.0 / x];
        samples: [(positive([2, 3]),), (positive(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The logarithm to base 2.
    ///
    /// Shapes: as `x`. Floats (integers give f32). -inf at 0, NaN below.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([8.0f32]).log2().to_vec::<f32>(), [3.0]);
    /// ```
    /// Source: NumPy's `log2`.
    log2(x) = y {
        real: Real::log2(x);
        complex: complex::log2(x);
        derivative: [LOG2_E / x];
        samples: [(positive([2, 3]),), (positive(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The logarithm to base 10.
    ///
    /// Shapes: as `x`. Floats (integers give f32). -inf at 0, NaN below.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1000.0f32]).log10().to_vec::<f32>(), [3.0]);
    /// ```
    /// Source: NumPy's `log10`.
    log10(x) = y {
        real: Real::log10(x);
        complex: complex::log10(x);
        derivative: [LOG10_E / x];
        samples: [(positive([2, 3]),), (positive(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The logarithm of `1 + x`, accurate near 0.
    ///
    /// Shapes: as `x`. Floats (integers give f32). -inf at -1, NaN below.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1e-30f32]).log1p().to_vec::<f32>(), [1e-30]);
    /// ```
    /// Source: NumPy's `log1p`.
    log1p(x) = y {
        real: Real::log1p(x);
        vectors: Log1p;
        complex: complex::log1p(x);
        derivative: [1.0 / (x + 1.0)];
        samples: [(between(-0.9, 2.0, [2, 3]),), (positive(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The sine; angles are in radians.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).sin().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: NumPy's `sin`.
    sin(x) = y {
        real: Real::sin(x);
        vectors: Sin;
        complex: complex::sin(x);
        derivative: [x.cos()];
        samples: [(real([2, 3]),), (real(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The cosine; angles are in radians.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).cos().to_vec::<f32>(), [1.0]);
    /// ```
    /// Source: NumPy's `cos`.
    cos(x) = y {
        real: Real::cos(x);
        vectors: Cos;
        complex: complex::cos(x);
        derivative: [-x.sin()];
        samples: [(real([2, 3]),), (real(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The tangent; angles are in radians.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).tan().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: NumPy's `tan`.
    tan(x) = y {
        real: Real::tan(x);
        vectors: Tan;
        complex: complex::tan(x);
        derivative: [y.square() + 1.0];
        samples: [(between(-1.2, 1.2, [2, 3]),), (positive(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The angle in [-π/2, π/2] whose sine is `x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32). NaN beyond -1 and 1; the derivative at -1 and 1 is inf.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).asin().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: NumPy's `arcsin`, the Array API's `asin`.
    asin(x) = y {
        real: Real::asin(x);
        complex: complex::asin(x);
        derivative: [((1.0f64 - x) * (x + 1.0)).rsqrt()];
        samples: [(between(-0.9, 0.9, [2, 3]),), (between(-0.9, 0.9, ()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The angle in [0, π] whose cosine is `x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32). NaN beyond -1 and 1; the derivative at -1 and 1 is -inf.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32]).acos().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: NumPy's `arccos`, the Array API's `acos`.
    acos(x) = y {
        real: Real::acos(x);
        complex: complex::acos(x);
        derivative: [-((1.0f64 - x) * (x + 1.0)).rsqrt()];
        samples: [(between(-0.9, 0.9, [2, 3]),), (between(-0.9, 0.9, ()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The angle in [-π/2, π/2] whose tangent is `x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).atan().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: NumPy's `arctan`, the Array API's `atan`.
    atan(x) = y {
        real: Real::atan(x);
        complex: complex::atan(x);
        derivative: [1.0 / (x.square() + 1.0)];
        samples: [(real([2, 3]),), (real(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The angle in [-π, π] of the point with ordinate `x1` and abscissa `x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted to a float (integers give f32). The derivative at the origin is 0.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32, 0.0]).atan2(1.0).to_vec::<f32>(), [0.0, 0.0]);
    /// ```
    /// Source: NumPy's `arctan2`, the Array API's `atan2`.
    atan2(x1, x2) = y {
        real: Real::atan2(x1, x2);
        derivative: [
            {
                let r = x1.hypot(x2);
                let r = r.equal(0.0).where_(1.0, r);
                x2 / &r / r
            },
            {
                let r = x1.hypot(x2);
                let r = r.equal(0.0).where_(1.0, r);
                -(x1 / &r / r)
            }
        ];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 1]), positive([3])), (real([2]), 1.5)];
    }

    /// The hyperbolic sine.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).sinh().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: NumPy's `sinh`.
    sinh(x) = y {
        real: Real::sinh(x);
        complex: complex::sinh(x);
        derivative: [x.cosh()];
        samples: [(real([2, 3]),), (real(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The hyperbolic cosine.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).cosh().to_vec::<f32>(), [1.0]);
    /// ```
    /// Source: NumPy's `cosh`.
    cosh(x) = y {
        real: Real::cosh(x);
        complex: complex::cosh(x);
        derivative: [x.sinh()];
        samples: [(real([2, 3]),), (real(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The hyperbolic tangent.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).tanh().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: NumPy's `tanh`.
    tanh(x) = y {
        real: Real::tanh(x);
        vectors: Tanh;
        complex: complex::tanh(x);
        derivative: [1.0 - y.square()];
        samples: [(real([2, 3]),), (real(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The number whose hyperbolic sine is `x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).asinh().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: NumPy's `arcsinh`, the Array API's `asinh`.
    asinh(x) = y {
        real: Real::asinh(x);
        complex: complex::asinh(x);
        derivative: [1.0 / x.hypot(1.0)];
        complex_derivative: [(x.square() + 1.0).rsqrt()];
        samples: [(real([2, 3]),), (real(()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The number, 0 or more, whose hyperbolic cosine is `x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32). NaN below 1; the derivative at 1 is inf.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32]).acosh().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: NumPy's `arccosh`, the Array API's `acosh`.
    acosh(x) = y {
        real: Real::acosh(x);
        complex: complex::acosh(x);
        derivative: [(x - 1.0).rsqrt() * (x + 1.0).rsqrt()];
        samples: [(between(1.2, 3.0, [2, 3]),), (between(1.2, 3.0, ()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The number whose hyperbolic tangent is `x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32). Infinite at -1 and 1, NaN beyond.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).atanh().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: NumPy's `arctanh`, the Array API's `atanh`.
    atanh(x) = y {
        real: Real::atanh(x);
        complex: complex::atanh(x);
        derivative: [1.0 / ((1.0 - x) * (x + 1.0))];
        samples: [(between(-0.9, 0.9, [2, 3]),), (between(-0.9, 0.9, ()),), (complex([2, 3]),), (complex(()),)];
    }

    /// The error function.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).erf().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: SciPy's and PyTorch's `erf`.
    erf(x) = y {
        real: Real::erf(x);
        derivative: [(-x.square()).exp() * FRAC_2_SQRT_PI];
        samples: [(real([2, 3]),), (real(()),)];
    }

    /// `1 - erf(x)`, accurate for large `x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).erfc().to_vec::<f32>(), [1.0]);
    /// ```
    /// Source: SciPy's and PyTorch's `erfc`.
    erfc(x) = y {
        real: Real::erfc(x);
        derivative: [(-x.square()).exp() * -FRAC_2_SQRT_PI];
        samples: [(real([2, 3]),), (real(()),)];
    }

    /// The number whose error function is `x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32). Infinite at -1 and 1, NaN beyond.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).erfinv().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: SciPy's and PyTorch's `erfinv`.
    erfinv(x) = y {
        real: Real::erfinv(x);
        derivative: [y.square().exp() * (1.0 / FRAC_2_SQRT_PI)];
        samples: [(between(-0.9, 0.9, [2, 3]),), (between(-0.9, 0.9, ()),)];
    }

    /// The logarithm of the absolute value of the gamma function.
    ///
    /// Shapes: as `x`. Floats (integers give f32). inf at 0, -1, -2, ..
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32, 2.0]).lgamma().to_vec::<f32>(), [0.0, 0.0]);
    /// ```
    /// Source: PyTorch's `lgamma`, SciPy's `gammaln`.
    lgamma(x) = y {
        real: Real::lgamma(x);
        derivative: [x.digamma()];
        samples: [(positive([2, 3]),), (between(-1.8, -1.2, [3]),)];
    }

    /// The derivative of [`lgamma`].
    ///
    /// Shapes: as `x`. Floats (integers give f32). NaN at -1, -2, ..; infinite at 0, with the sign opposite to that of
    /// the zero.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// let gamma = -Tensor::from(1.0f64).digamma().item::<f64>();
    /// assert!((gamma - 0.5772156649015329).abs() < 1e-15);
    /// ```
    /// Source: PyTorch's and SciPy's `digamma`.
    digamma(x) = y {
        real: Real::digamma(x);
        derivative: [x.polygamma(1.0)];
        samples: [(positive([2, 3]),), (between(-1.8, -1.2, [3]),)];
    }

    /// The derivative of [`digamma`] of order `n`, a whole number from 0 to 1000.
    ///
    /// Shapes: broadcast. Dtypes: promoted to a float (integers give f32). NaN for other `n`. At 0, -1, -2, .. inf for
    /// odd `n`, NaN for even; at 0, for even `n`, infinite, with the sign opposite to that of the zero. There is no
    /// derivative with respect to `n`.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// let y = Tensor::from(1.0f64).polygamma(1).item::<f64>();
    /// assert!((y - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-14);
    /// ```
    /// Source: PyTorch's and SciPy's `polygamma`.
    polygamma(x, n) = y {
        real: Real::polygamma(x, n);
        derivative: [x.polygamma(n + 1.0), 0.0];
        samples: [(positive([2, 3]), 1), (between(-1.8, -1.2, [3]), 2), (positive([2]), ints(0, 4, [3, 1]))];
    }

    /// The logistic function `1 / (1 + e^-x)`.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).sigmoid().to_vec::<f32>(), [0.5]);
    /// ```
    /// Source: PyTorch's `sigmoid`.
    sigmoid(x) = y {
        real: activation::sigmoid(x);
        vectors: Sigmoid;
        derivative: [y * (1.0 - y)];
        samples: [(real([2, 3]),), (real(()),)];
    }

    /// `log(1 + e^x)`, without overflow or loss of digits at either end.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1000.0f32]).softplus().to_vec::<f32>(), [1000.0]);
    /// ```
    /// Source: PyTorch's `softplus`.
    softplus(x) = y {
        real: activation::softplus(x);
        derivative: [x.sigmoid()];
        samples: [(real([2, 3]),), (real(()),)];
    }

    /// `x` where it is positive, 0 elsewhere.
    ///
    /// Shapes: as `x`. Any number; bool counts as i64. NaN stays NaN. The derivative at 0 is 0.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32, -2.0]).relu().to_vec::<f32>(), [1.0, 0.0]);
    /// ```
    /// Source: PyTorch's `relu`.
    relu(x) = y {
        numeric: activation::relu(x);
        arithmetic: Rectify;
        derivative: [Factor::When(x.greater(0.0))];
        samples: [(real([2, 3]),), (real(()),), (ints(-3, 4, [4]),)];
    }

    /// The exponential linear unit, scaled so that a standard normal input keeps mean 0 and variance 1.
    ///
    /// Shapes: as `x`. Floats (integers give f32). The derivative at 0 is that to its left.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).selu().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: Klambauer et al. 2017; PyTorch's `selu`.
    selu(x) = y {
        real: activation::selu(x);
        derivative: [{
            let above = x.greater(0.0);
            above.where_(SELU_SCALE, above.where_(0.0, x).exp() * (SELU_SCALE * SELU_ALPHA))
        }];
        samples: [(real([2, 3]),), (real(()),)];
    }

    /// `x` times the probability that a standard normal number is below `x`.
    ///
    /// Shapes: as `x`. Floats (integers give f32). Accurate in both tails.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).gelu().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: Hendrycks and Gimpel 2016; PyTorch's `gelu`.
    gelu(x) = y {
        real: activation::gelu(x);
        derivative: [x.gelu_slope()];
        samples: [(real([2, 3]),), (real(()),)];
    }

    /// The slope of [`gelu`]: `Φ(x) + x φ(x)`, of the normal distribution and its density.
    ///
    /// Shapes: as `x`. Floats (integers give f32). 0 far to the left, 1 far to the right.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).gelu_slope().to_vec::<f32>(), [0.5]);
    /// ```
    /// Source: Hendrycks and Gimpel 2016, differentiated.
    gelu_slope(x) = y {
        real: activation::gelu_slope(x);
        derivative: [{
            // Held where the density is 0, so that no 0 · inf arises further out.
            let z = x.maximum(-40.0).minimum(40.0).square();
            (z.clone() * -0.5).exp() * (z * -1.0 + 2.0) * (0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2)
        }];
        samples: [(real([2, 3]),), (real(()),)];
    }

    /// [`gelu`] with its usual approximation by a hyperbolic tangent.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).gelu_tanh().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: Hendrycks and Gimpel 2016; PyTorch's `gelu` with `approximate="tanh"`.
    gelu_tanh(x) = y {
        real: activation::gelu_tanh(x);
        derivative: [{
            // Held where the slope is 1 or 0 to the last bit, so that no 0 · inf arises further out.
            let z = x.maximum(-25.0).minimum(25.0);
            let s = ((z.square() * GELU_CUBIC + 1.0) * &z * GELU_SCALE).sigmoid();
            let slope = (z.square() * (3.0 * GELU_CUBIC) + 1.0) * GELU_SCALE;
            z * &s * (1.0 - &s) * slope + s
        }];
        samples: [(real([2, 3]),), (real(()),)];
    }

    /// `x · sigmoid(x)`, also called swish.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).silu().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: PyTorch's `silu`.
    silu(x) = y {
        real: activation::silu(x);
        derivative: [{ let s = x.sigmoid(); y * (1.0 - &s) + s }];
        samples: [(real([2, 3]),), (real(()),)];
    }

    /// `x · tanh(softplus(x))`.
    ///
    /// Shapes: as `x`. Floats (integers give f32).
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0.0f32]).mish().to_vec::<f32>(), [0.0]);
    /// ```
    /// Source: Misra 2019; PyTorch's `mish`.
    mish(x) = y {
        real: activation::mish(x);
        derivative: [{ let t = x.softplus().tanh(); x * (1.0 - t.square()) * x.sigmoid() + t }];
        samples: [(real([2, 3]),), (real(()),)];
    }

    /// The larger of two, element by element.
    ///
    /// Shapes: broadcast. Dtypes: promoted. NaN wins. At a tie both operands get half of the derivative.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32, -2.0]).maximum(0.0).to_vec::<f32>(), [1.0, 0.0]);
    /// ```
    /// Source: NumPy's `maximum`.
    maximum(x1, x2) = y {
        numeric: Num::max(x1, x2);
        arithmetic: Maximum;
        derivative: [Factor::Share(x1.clone(), x2.clone()), Factor::Share(x2.clone(), x1.clone())];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 3]), real2([3])), (real([4]), 0.25)];
    }

    /// The smaller of two, element by element.
    ///
    /// Shapes: broadcast. Dtypes: promoted. NaN wins. At a tie both operands get half of the derivative.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32, -2.0]).minimum(0.0).to_vec::<f32>(), [0.0, -2.0]);
    /// ```
    /// Source: NumPy's `minimum`.
    minimum(x1, x2) = y {
        numeric: Num::min(x1, x2);
        arithmetic: Minimum;
        derivative: [Factor::Share(x2.clone(), x1.clone()), Factor::Share(x1.clone(), x2.clone())];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 3]), real2([3])), (real([4]), 0.25)];
    }

    /// `t` where `x1 > x2`, half of it where they are equal, 0 elsewhere: how a maximum divides its derivative.
    ///
    /// Shapes: all three broadcast. Dtypes: promoted to a float. The derivative by `x1` and `x2` is 0.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32, 0.0, -1.0]).tie_share(0.0, 8.0).to_vec::<f32>(), [8.0, 4.0, 0.0]);
    /// ```
    /// Source: NumPy's `heaviside(x1 - x2, 0.5) * t`, where nothing is infinite.
    tie_share(x1, x2, t) = y {
        ternary: activation::tie_share(x1, x2, t);
        derivative: [0.0, 0.0, Factor::Share(x1.clone(), x2.clone())];
        samples: [(real([2, 3]), real2([2, 3]), real([2, 3])), (real([4]), 0.0, real2([3, 1]))];
    }

    /// Rounds down.
    ///
    /// Shapes: as `x`. Floats; integers stay as they are, bool counts as i64. The derivative is 0.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.5f32, -1.5, 2.5]).floor().to_vec::<f32>(), [1.0, -2.0, 2.0]);
    /// ```
    /// Source: NumPy's `floor`.
    floor(x) = y {
        rounding: Real::floor(x);
        derivative: ("it is piecewise constant");
        samples: [(real([2, 3]),), (ints(-3, 4, [4]),)];
    }

    /// Rounds up.
    ///
    /// Shapes: as `x`. Floats; integers stay as they are, bool counts as i64. The derivative is 0.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.5f32, -1.5, 2.5]).ceil().to_vec::<f32>(), [2.0, -1.0, 3.0]);
    /// ```
    /// Source: NumPy's `ceil`.
    ceil(x) = y {
        rounding: Real::ceil(x);
        derivative: ("it is piecewise constant");
        samples: [(real([2, 3]),), (ints(-3, 4, [4]),)];
    }

    /// Rounds to the nearest integer, halves to the even one.
    ///
    /// Shapes: as `x`. Floats; integers stay as they are, bool counts as i64. The derivative is 0.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.5f32, -1.5, 2.5]).round().to_vec::<f32>(), [2.0, -2.0, 2.0]);
    /// ```
    /// Source: NumPy's `round`.
    round(x) = y {
        rounding: Real::round(x);
        complex: complex::round(x);
        derivative: ("it is piecewise constant");
        samples: [(real([2, 3]),), (ints(-3, 4, [4]),), (complex([2, 3]),)];
    }

    /// Rounds towards 0.
    ///
    /// Shapes: as `x`. Floats; integers stay as they are, bool counts as i64. The derivative is 0.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.5f32, -1.5, 2.5]).trunc().to_vec::<f32>(), [1.0, -1.0, 2.0]);
    /// ```
    /// Source: NumPy's `trunc`.
    trunc(x) = y {
        rounding: Real::trunc(x);
        derivative: ("it is piecewise constant");
        samples: [(real([2, 3]),), (ints(-3, 4, [4]),)];
    }

    /// The magnitude of `x1` with the sign of `x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted to a float (integers give f32). Zeros and NaN have signs, too. The derivative by
    /// `x1` at 0 is 1 if the sign stays, else -1.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32, -2.0]).copysign(-0.0).to_vec::<f32>(), [-1.0, -2.0]);
    /// ```
    /// Source: NumPy's `copysign`.
    copysign(x1, x2) = y {
        real: Real::copysign(x1, x2);
        derivative: [x1.equal(y).where_(1.0, -1.0), 0.0];
        samples: [(real([2, 3]), real2([2, 3])), (positive([2, 1]), real2([3])), (real([2]), -1.5)];
    }

    /// The next number of the dtype from `x1` on the way to `x2`; `x2` itself if they are equal.
    ///
    /// Shapes: broadcast. Dtypes: promoted to a float (integers give f32); f32 and f64 have neighbours, while halves are
    /// computed in f32 and rounded back. The derivative by `x1` is 1, that by `x2` 0.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32]).nextafter(2.0).to_vec::<f32>(), [1.0 + f32::EPSILON]);
    /// ```
    /// Source: NumPy's `nextafter`.
    nextafter(x1, x2) = y {
        real: Real::next_after(x1, x2);
        derivative: [1.0, 0.0];
        samples: [(real([2, 3]), real2([2, 3])), (positive([2, 1]), real2([3])), (real([2]), 5.0)];
    }

    /// True where the sign is negative, that of zeros and NaN included.
    ///
    /// Shapes: as `x`. Any dtype; the result is bool.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([-0.0f32, 0.0, -3.0]).signbit().to_vec::<bool>(), [true, false, true]);
    /// ```
    /// Source: NumPy's `signbit`.
    signbit(x) = y {
        real_predicate: Real::copysign(Num::ONE, x) < Num::ZERO;
        derivative: ("the result is bool");
        samples: [(exactly(&[1.0, f64::INFINITY, -0.0, -f64::INFINITY], [2, 2]),), (ints(-3, 4, [4]),)];
    }

    /// True where `x` is not a number.
    ///
    /// Shapes: as `x`. Any dtype; the result is bool.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// let x = Tensor::from([1.0, f64::INFINITY, f64::NAN]);
    /// assert_eq!(x.isnan().to_vec::<bool>(), [false, false, true]);
    /// ```
    /// Source: NumPy's `isnan`.
    isnan(x) = y {
        real_predicate: Real::is_nan(x);
        complex: x.re.is_nan() || x.im.is_nan();
        derivative: ("the result is bool");
        samples: [(exactly(&[1.0, f64::INFINITY, f64::NAN, -f64::INFINITY], [2, 2]),), (ints(-3, 4, [4]),), (complex([2, 3]),)];
    }

    /// True where `x` is infinite.
    ///
    /// Shapes: as `x`. Any dtype; the result is bool.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// let x = Tensor::from([1.0, f64::INFINITY, f64::NAN]);
    /// assert_eq!(x.isinf().to_vec::<bool>(), [false, true, false]);
    /// ```
    /// Source: NumPy's `isinf`.
    isinf(x) = y {
        real_predicate: Real::is_inf(x);
        complex: x.re.is_infinite() || x.im.is_infinite();
        derivative: ("the result is bool");
        samples: [(exactly(&[1.0, f64::INFINITY, f64::NAN, -f64::INFINITY], [2, 2]),), (ints(-3, 4, [4]),), (complex([2, 3]),)];
    }

    /// True where `x` is neither infinite nor NaN.
    ///
    /// Shapes: as `x`. Any dtype; the result is bool.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// let x = Tensor::from([1.0, f64::INFINITY, f64::NAN]);
    /// assert_eq!(x.isfinite().to_vec::<bool>(), [true, false, false]);
    /// ```
    /// Source: NumPy's `isfinite`.
    isfinite(x) = y {
        real_predicate: Real::is_finite(x);
        complex: x.re.is_finite() && x.im.is_finite();
        derivative: ("the result is bool");
        samples: [(exactly(&[1.0, f64::INFINITY, f64::NAN, -f64::INFINITY], [2, 2]),), (ints(-3, 4, [4]),), (complex([2, 3]),)];
    }

    /// True where `x1 == x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted; the result is bool. NaN equals nothing.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1, 2]).equal(2).to_vec::<bool>(), [false, true]);
    /// ```
    /// Source: NumPy's `equal`.
    equal(x1, x2) = y {
        comparison: x1 == x2;
        arithmetic: Equal;
        complex: x1 == x2;
        derivative: ("the result is bool");
        samples: [(ints(0, 3, [2, 3]), ints(0, 3, [3])), (real([2, 3]), real2([2, 3])), (complex([3]), complex([3])), (complex([2]), complex2([2]))];
    }

    /// True where `x1 != x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted; the result is bool. NaN differs from everything.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3]).not_equal(2).to_vec::<bool>(), [true, false, true]);
    /// ```
    /// Source: NumPy's `not_equal`.
    not_equal(x1, x2) = y {
        comparison: x1 != x2;
        arithmetic: NotEqual;
        complex: x1 != x2;
        derivative: ("the result is bool");
        samples: [(ints(0, 3, [2, 3]), ints(0, 3, [3])), (real([2, 3]), real2([2, 3])), (complex([3]), complex([3])), (complex([2]), complex2([2]))];
    }

    /// True where `x1 < x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted; the result is bool. Comparisons with NaN are false.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3]).less(2).to_vec::<bool>(), [true, false, false]);
    /// ```
    /// Source: NumPy's `less`.
    less(x1, x2) = y {
        comparison: x1 < x2;
        arithmetic: Less;
        derivative: ("the result is bool");
        samples: [(ints(0, 3, [2, 3]), ints(0, 3, [3])), (real([2, 3]), real2([2, 3]))];
    }

    /// True where `x1 <= x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted; the result is bool. Comparisons with NaN are false.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3]).less_equal(2).to_vec::<bool>(), [true, true, false]);
    /// ```
    /// Source: NumPy's `less_equal`.
    less_equal(x1, x2) = y {
        comparison: x1 <= x2;
        arithmetic: LessEqual;
        derivative: ("the result is bool");
        samples: [(ints(0, 3, [2, 3]), ints(0, 3, [3])), (real([2, 3]), real2([2, 3]))];
    }

    /// True where `x1 > x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted; the result is bool. Comparisons with NaN are false.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1, 3]).greater(2).to_vec::<bool>(), [false, true]);
    /// ```
    /// Source: NumPy's `greater`.
    greater(x1, x2) = y {
        comparison: x1 > x2;
        arithmetic: Greater;
        derivative: ("the result is bool");
        samples: [(ints(0, 3, [2, 3]), ints(0, 3, [3])), (real([2, 3]), real2([2, 3]))];
    }

    /// True where `x1 >= x2`.
    ///
    /// Shapes: broadcast. Dtypes: promoted; the result is bool. Comparisons with NaN are false.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3]).greater_equal(2).to_vec::<bool>(), [false, true, true]);
    /// ```
    /// Source: NumPy's `greater_equal`.
    greater_equal(x1, x2) = y {
        comparison: x1 >= x2;
        arithmetic: GreaterEqual;
        derivative: ("the result is bool");
        samples: [(ints(0, 3, [2, 3]), ints(0, 3, [3])), (real([2, 3]), real2([2, 3]))];
    }

    /// True where `x` is false or 0.
    ///
    /// Shapes: as `x`. Dtypes: cast to bool (`x != 0`); the result is bool.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([true, false]).logical_not().to_vec::<bool>(), [false, true]);
    /// ```
    /// Source: NumPy's `logical_not`.
    logical_not(x) = y {
        logical: !x;
        derivative: ("the result is bool");
        samples: [(bools([2, 3]),), (ints(-1, 2, [4]),)];
    }

    /// True where both are true or not 0.
    ///
    /// Shapes: broadcast. Dtypes: cast to bool (`x != 0`); the result is bool.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// let a = Tensor::from([true, true, false]);
    /// let b = Tensor::from([true, false, false]);
    /// assert_eq!(a.logical_and(b).to_vec::<bool>(), [true, false, false]);
    /// ```
    /// Source: NumPy's `logical_and`.
    logical_and(x1, x2) = y {
        logical: x1 & x2;
        derivative: ("the result is bool");
        samples: [(bools([2, 3]), bools([3])), (ints(-1, 2, [4]), ints(0, 2, [4]))];
    }

    /// True where one of the two is true or not 0.
    ///
    /// Shapes: broadcast. Dtypes: cast to bool (`x != 0`); the result is bool.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// let a = Tensor::from([true, true, false]);
    /// let b = Tensor::from([true, false, false]);
    /// assert_eq!(a.logical_or(b).to_vec::<bool>(), [true, true, false]);
    /// ```
    /// Source: NumPy's `logical_or`.
    logical_or(x1, x2) = y {
        logical: x1 | x2;
        derivative: ("the result is bool");
        samples: [(bools([2, 3]), bools([3])), (ints(-1, 2, [4]), ints(0, 2, [4]))];
    }

    /// True where exactly one of the two is true or not 0.
    ///
    /// Shapes: broadcast. Dtypes: cast to bool (`x != 0`); the result is bool.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// let a = Tensor::from([true, true, false]);
    /// let b = Tensor::from([true, false, false]);
    /// assert_eq!(a.logical_xor(b).to_vec::<bool>(), [false, true, false]);
    /// ```
    /// Source: NumPy's `logical_xor`.
    logical_xor(x1, x2) = y {
        logical: x1 ^ x2;
        derivative: ("the result is bool");
        samples: [(bools([2, 3]), bools([3])), (ints(-1, 2, [4]), ints(0, 2, [4]))];
    }

    /// Every bit flipped.
    ///
    /// Shapes: as `x`. Integers; for bool the negation.
    /// # Errors
    /// If `x` is a float.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([0, 5]).bitwise_invert().to_vec::<i64>(), [-1, -6]);
    /// ```
    /// Source: NumPy's `invert`, the Array API's `bitwise_invert`.
    bitwise_invert(x) = y {
        integer: Int::bit_not(x);
        derivative: ("integers have no derivatives");
        samples: [(ints(-9, 9, [2, 3]),), (bools([4]),)];
    }

    /// The bits set in both.
    ///
    /// Shapes: broadcast. Dtypes: promoted integers or bool.
    /// # Errors
    /// If an operand is a float, or the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([12]).bitwise_and(10).to_vec::<i64>(), [8]);
    /// ```
    /// Source: NumPy's `bitwise_and`.
    bitwise_and(x1, x2) = y {
        integer: Int::bit_and(x1, x2);
        derivative: ("integers have no derivatives");
        samples: [(ints(-9, 9, [2, 3]), ints(0, 9, [3])), (bools([4]), bools([4]))];
    }

    /// The bits set in either.
    ///
    /// Shapes: broadcast. Dtypes: promoted integers or bool.
    /// # Errors
    /// If an operand is a float, or the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([12]).bitwise_or(10).to_vec::<i64>(), [14]);
    /// ```
    /// Source: NumPy's `bitwise_or`.
    bitwise_or(x1, x2) = y {
        integer: Int::bit_or(x1, x2);
        derivative: ("integers have no derivatives");
        samples: [(ints(-9, 9, [2, 3]), ints(0, 9, [3])), (bools([4]), bools([4]))];
    }

    /// The bits set in exactly one.
    ///
    /// Shapes: broadcast. Dtypes: promoted integers or bool.
    /// # Errors
    /// If an operand is a float, or the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([12]).bitwise_xor(10).to_vec::<i64>(), [6]);
    /// ```
    /// Source: NumPy's `bitwise_xor`.
    bitwise_xor(x1, x2) = y {
        integer: Int::bit_xor(x1, x2);
        derivative: ("integers have no derivatives");
        samples: [(ints(-9, 9, [2, 3]), ints(0, 9, [3])), (bools([4]), bools([4]))];
    }

    /// The bits of `x1` moved up by `x2` places.
    ///
    /// Shapes: broadcast. Dtypes: promoted integers or bool. A count that is negative or not below the width gives 0.
    /// # Errors
    /// If an operand is a float, or the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([5]).bitwise_left_shift(2).to_vec::<i64>(), [20]);
    /// ```
    /// Source: NumPy's `bitwise_left_shift`.
    bitwise_left_shift(x1, x2) = y {
        integer: Int::shl(x1, x2);
        derivative: ("integers have no derivatives");
        samples: [(ints(-9, 9, [2, 3]), ints(0, 5, [3])), (ints(-9, 9, [4]), 2)];
    }

    /// The bits of `x1` moved down by `x2` places, the sign filled in.
    ///
    /// Shapes: broadcast. Dtypes: promoted integers or bool. A count that is negative or not below the width leaves only
    /// the sign: 0 or -1.
    /// # Errors
    /// If an operand is a float, or the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([5]).bitwise_right_shift(2).to_vec::<i64>(), [1]);
    /// ```
    /// Source: NumPy's `bitwise_right_shift`.
    bitwise_right_shift(x1, x2) = y {
        integer: Int::shr(x1, x2);
        derivative: ("integers have no derivatives");
        samples: [(ints(-9, 9, [2, 3]), ints(0, 5, [3])), (ints(-9, 9, [4]), 2)];
    }

    /// `x1` where the condition holds, `x2` elsewhere.
    ///
    /// Shapes: all three broadcast. Dtypes: the condition is cast to bool, `x1` and `x2` are promoted.
    /// The derivative goes to the operand that was chosen.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// let x = Tensor::from([1.0f32, -1.0]);
    /// assert_eq!(x.greater(0).where_(&x, 0.0).to_vec::<f32>(), [1.0, 0.0]);
    /// ```
    /// Source: NumPy's `where`.
    where_(condition, x1, x2) = y {
        any: if condition { x1 } else { x2 };
        arithmetic: Select;
        complex: if condition { x1 } else { x2 };
        derivative: [0.0, Factor::When(condition.clone()), Factor::Unless(condition.clone())];
        samples: [(bools([2, 3]), real([2, 3]), real2([2, 3])), (bools([3]), real([2, 1]), 0.5), (bools([2, 3]), complex([2, 3]), complex2([3])), (bools([3]), complex([3]), 0.5)];
    }
}
