//! The elementwise table: one record per primitive, from which comes everything else about it.
//!
//! A record holds the docs, the kernel on one element (`real`: f32 and f64, halves through f32; `numeric`: also integers;
//! `integer`, `logical`; `comparison` and `real_predicate`: the result is bool), the partial derivative for each operand
//! from the operands and the result `y` (or, in parentheses, why it is zero), and the samples it is tested on.

use covector_array::kernels::{Tile, TileMut, map1, map2, map3};
use covector_array::math::{Int, Num, Real};
use covector_array::{DType, bf16, f16};
use covector_derive::{op, op_list};

use crate::formula::Formula;
use crate::rule_book::{Domain, Elementwise, Factor, Partials, binary, elementwise, select, unary};
use crate::scalar::{Number, Value};
use crate::{Operand, Result, Tensor};

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
        derivative: [1.0, 1.0];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 3]), real2([3])), (real(()), real2([2])), (real([2]), 1.5)];
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
        derivative: [1.0, -1.0];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 1]), real2([3])), (real([2]), 1.5)];
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
        derivative: [x2.clone(), x1.clone()];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 1]), real2([3])), (real([2]), 1.5)];
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
        derivative: [1.0 / x2, -(y / x2)];
        samples: [(real([2, 3]), positive([2, 3])), (real([2, 1]), positive([3])), (real([2]), 1.5)];
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
        derivative: [-1.0];
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
        derivative: [x1.tie_share(x2), x2.tie_share(x1)];
        samples: [(real([2, 3]), real2([2, 3])), (real([2, 3]), real2([3])), (real([4]), 0.25)];
    }

    /// 1 where `x1 > x2`, one half where they are equal, 0 elsewhere: how a maximum divides its derivative.
    ///
    /// Shapes: broadcast. Dtypes: promoted to a float. The derivative is 0.
    /// # Errors
    /// If the shapes do not broadcast.
    /// # Example
    /// ```
    /// use covector::Tensor;
    /// assert_eq!(Tensor::from([1.0f32, 0.0, -1.0]).tie_share(0.0).to_vec::<f32>(), [1.0, 0.5, 0.0]);
    /// ```
    /// Source: NumPy's `heaviside(x1 - x2, 0.5)`, defined at infinities too.
    tie_share(x1, x2) = y {
        real: if x1 > x2 { Real::from_f64(1.0) } else if x1 == x2 { Real::from_f64(0.5) } else { Real::from_f64(0.0) };
        derivative: ("it is piecewise constant");
        samples: [(real([2, 3]), real2([2, 3])), (real([4]), 0.0)];
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
        derivative: [y.clone()];
        samples: [(real([2, 3]),), (real(()),)];
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
        derivative: [1.0 / x];
        samples: [(positive([2, 3]),), (positive(()),)];
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
        derivative: [1.0 - y.square()];
        samples: [(real([2, 3]),), (real(()),)];
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
        derivative: [x * 2.0];
        samples: [(real([2, 3]),), (real(()),)];
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
        derivative: [0.5 / y];
        samples: [(positive([2, 3]),), (positive(()),)];
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
        derivative: ("the result is bool");
        samples: [(ints(0, 3, [2, 3]), ints(0, 3, [3])), (real([2, 3]), real2([2, 3]))];
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
        derivative: [0.0, Factor::When(condition.clone()), Factor::Unless(condition.clone())];
        samples: [(bools([2, 3]), real([2, 3]), real2([2, 3])), (bools([3]), real([2, 1]), 0.5)];
    }

    /// TEMPORARY
    erfinv(x) = y { real: Real::erfinv(x); derivative: ("t"); samples: [(between(-0.9, 0.9, [3]),)]; }
    /// TEMPORARY
    minimum(x1, x2) = y { numeric: Num::min(x1, x2); derivative: ("t"); samples: [(real([4]), 0.25)]; }
    /// TEMPORARY
    greater_equal(x1, x2) = y { comparison: x1 >= x2; derivative: ("t"); samples: [(real([4]), 0.25)]; }
    /// TEMPORARY
    less(x1, x2) = y { comparison: x1 < x2; derivative: ("t"); samples: [(real([4]), 0.25)]; }
}
