//! Products, powers and norms of matrices and vectors that are made of other ops.

use covector_array::Shape;
use covector_derive::{op, op_list};

use super::complex::conjugate;
use super::create::addressable;
use super::factor::{has_squares, matrix, square};
use super::linear::common_dtype;
use super::matrices::{mm, svdvals};
use super::solve::{counted, cutoff, unit_like};
use super::view::{broadcast, reshaped};
use crate::{Axes, Axis, Error, Operand, Result, Tensor, keep};

/// The order of a norm of matrices: a number, or "fro" and "nuc".
#[derive(Clone, PartialEq, Debug)]
pub struct MatrixNorm(Order);

#[derive(Clone, PartialEq, Debug)]
enum Order {
    Frobenius,
    Nuclear,
    Number(f64),
    Unknown(String),
}

impl From<&str> for MatrixNorm {
    fn from(name: &str) -> Self {
        MatrixNorm(match name {
            "fro" => Order::Frobenius,
            "nuc" => Order::Nuclear,
            other => other.parse().map_or_else(|_| Order::Unknown(other.to_owned()), Order::Number),
        })
    }
}

impl From<f64> for MatrixNorm {
    fn from(order: f64) -> Self {
        MatrixNorm(Order::Number(order))
    }
}

impl From<i32> for MatrixNorm {
    fn from(order: i32) -> Self {
        MatrixNorm(Order::Number(f64::from(order)))
    }
}

/// Two operands in their common dtype, broadcast.
fn paired(x1: &Tensor, x2: &Tensor) -> Result<(Tensor, Tensor)> {
    let dtype = common_dtype(&[x1, x2])?;
    broadcast(&x1.cast(dtype), &x2.cast(dtype))
}

/// The sums of the products of equal elements along `axis`; of complex numbers the first is conjugated.
///
/// Shapes: broadcast, then `axis`, counted from the end so that it is the same of both, is dropped. Dtypes are promoted.
/// # Errors
/// If the shapes do not broadcast, the axis is out of range of one of them, the sizes along it differ, or both are bool.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(x.vecdot(&Tensor::from([1.0f32, 10.0]), -1).to_vec::<f32>(), [21.0, 43.0]);
/// ```
/// Source: the Array API's `vecdot`.
#[op(samples = [(real([2, 3]), real2([3]), -1), (real([3, 2]), real2([3, 2]), -2), (real([0]), real2([0]), -1), (real([3]), real2([2, 3]), -1),
    (complex([2, 3]), complex2([3]), -1), (real([3]), complex2([2, 3]), -1)],
    notes = "rule=x̄1 = ȳ·x2 | x̄2 = ȳ·x1")]
pub fn vecdot(x1: &Tensor, x2: &Tensor, axis: Axis) -> Result<Tensor> {
    let (a1, a2) = (x1.axis(axis)?, x2.axis(axis)?);
    let (n1, n2) = (x1.shape()[a1], x2.shape()[a2]);
    if n1 != n2 {
        return Err(Error::new(format!("axis {} has {n1} elements of the one and {n2} of the other", axis.0))
            .hint("this axis is summed over, and not broadcast")
            .clash([x1.shape(), x2.shape()], [a1, a2]));
    }
    let (a, b) = paired(x1, x2)?;
    let axis = if axis.0 < 0 { axis } else { Axis(axis.0 - x1.ndim().max(x2.ndim()) as isize) };
    (conjugate(&a) * b).try_sum(axis)
}

/// The cross product of vectors of three elements along `axis`.
///
/// Shapes: broadcast; `axis`, counted from the end so that it is the same of both, has size 3. Dtypes are promoted.
/// # Errors
/// If the shapes do not broadcast, the axis is out of range or not of size 3, or both are bool.
/// # Example
/// ```
/// use covector::Tensor;
/// let z = Tensor::from([1.0f32, 0.0, 0.0]).cross(&Tensor::from([0.0f32, 1.0, 0.0]), -1);
/// assert_eq!(z.to_vec::<f32>(), [0.0, 0.0, 1.0]);
/// ```
/// Source: the Array API's `linalg.cross`.
#[op(samples = [(real([3]), real2([3]), -1), (real([2, 3]), real2([3]), -1), (real([3, 2]), real2([3, 1]), -2), (real([0, 3]), real2([0, 3]), 1), (complex([2, 3]), complex2([3]), -1)],
    notes = "rule=x̄1 = x2 × ȳ | x̄2 = ȳ × x1")]
pub fn cross(x1: &Tensor, x2: &Tensor, axis: Axis) -> Result<Tensor> {
    for x in [x1, x2] {
        let n = x.shape()[x.axis(axis)?];
        if n != 3 {
            return Err(Error::new(format!("axis {} of {} has {n} elements, not 3", axis.0, x.spec())));
        }
    }
    let (a, b) = paired(x1, x2)?;
    let axis = if axis.0 < 0 { axis } else { Axis(axis.0 - x1.ndim().max(x2.ndim()) as isize) };
    let axis = a.axis(axis)? as isize;
    let next = |x: &Tensor, by: i64| x.try_roll(-by, axis);
    Ok(next(&a, 1)? * next(&b, 2)? - next(&a, 2)? * next(&b, 1)?)
}

/// The Kronecker product: every element of `x1` times all of `x2`, as blocks.
///
/// Shapes: those of both multiplied axis by axis, the shorter one filled up with ones at the left. Dtypes are promoted.
/// # Errors
/// If both are bool, or the result is too large to address.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 10.0]).kron(&Tensor::from([1.0f32, 2.0, 3.0]));
/// assert_eq!(x.to_vec::<f32>(), [1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
/// ```
/// Source: NumPy's `kron`.
#[op(samples = [(real([2, 3]), real2([3, 2])), (real([2]), real2([2, 2])), (real(()), real2([2])), (real([2, 0]), real2([2, 2])), (complex([2, 1]), complex2([2, 2]))])]
pub fn kron(x1: &Tensor, x2: &Tensor) -> Result<Tensor> {
    let dtype = common_dtype(&[x1, x2])?;
    let n = x1.ndim().max(x2.ndim());
    let filled =
        |x: &Tensor| -> Vec<usize> { std::iter::repeat_n(1, n - x.ndim()).chain(x.shape().iter().copied()).collect() };
    let (s1, s2) = (filled(x1), filled(x2));
    let each = |a: &[usize], b: &[usize]| -> Shape { a.iter().zip(b).flat_map(|(&m, &n)| [m, n]).collect() };
    addressable(&each(&s1, &s2), dtype)?;
    let ones = vec![1; n];
    let y = reshaped(&x1.cast(dtype), each(&s1, &ones)) * reshaped(&x2.cast(dtype), each(&ones, &s2));
    Ok(reshaped(&y, s1.iter().zip(&s2).map(|(m, n)| m * n).collect::<Shape>()))
}

/// The sum of a diagonal: the main one, or one `offset` further to the right.
///
/// Shapes: `[.., m, n] -> [..]`. Any dtype that has sums (bool counts in i64); a diagonal outside gives 0.
/// # Errors
/// If there are fewer than two axes.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1, 2], [3, 4]]);
/// assert_eq!((x.trace(0).item::<i64>(), x.trace(1).item::<i64>()), (5, 2));
/// ```
/// Source: the Array API's `linalg.trace`.
#[op(samples = [(real([3, 3]), 0), (real([2, 3, 4]), 1), (real([3, 2]), -1), (real([2, 2]), 5), (ints(-3, 4, [2, 2]), 0), (real([0, 0]), 0), (complex([2, 3]), 0)])]
pub fn trace(x: &Tensor, offset: i64) -> Result<Tensor> {
    x.try_diagonal(offset)?.try_sum(-1)
}

/// The matrix multiplied `n` times with itself; with `n` below 0 its inverse is.
///
/// Shapes: `[.., m, m]`, kept. Dtypes as in `matmul` for `n` of at least 0, else floats (integers give f32). Power 0 is the
/// unit matrix. It takes `2 log2 |n|` products at most.
/// # Errors
/// If the matrices are not square, or bool; when computed, if `n` is negative and one is singular.
/// # Example
/// ```
/// use covector::Tensor;
/// let fibonacci = Tensor::from([[1, 1], [1, 0]]);
/// assert_eq!(fibonacci.matrix_power(10).to_vec::<i64>(), [89, 55, 55, 34]);
/// ```
/// Source: the Array API's `linalg.matrix_power`.
#[op(samples = [(real([3, 3]), 3), (regular([2, 2, 2]), -2), (real([2, 2]), 0), (real([2, 2]), 1), (ints(-2, 3, [2, 2]), 4), (real([0, 0]), 2), (complex([2, 2]), 3), (complex_regular([2, 2]), -2)])]
pub fn matrix_power(x: &Tensor, n: i64) -> Result<Tensor> {
    has_squares(x)?;
    let dtype = common_dtype(&[x])?;
    let mut square = if n < 0 { x.try_inv()? } else { x.cast(dtype) };
    let (mut left, mut y) = (n.unsigned_abs(), None);
    if left == 0 {
        return Ok(unit_like(&square));
    }
    loop {
        if left & 1 == 1 {
            y = Some(y.map_or_else(|| square.clone(), |y| mm(&y, &square)));
        }
        left >>= 1;
        match y {
            Some(y) if left == 0 => return Ok(y),
            _ => square = mm(&square, &square),
        }
    }
}

/// The norm of every matrix.
///
/// `ord` "fro" is the Euclidean length of all elements, "nuc" the sum of the singular values; 1 and -1 are the largest
/// and the smallest sum of the sizes in a column, inf and -inf in a row, 2 and -2 the largest and the smallest singular
/// value.
///
/// Shapes: `[.., m, n] -> [..]`, or `[.., 1, 1]` with `keepdims`. Floats and complex numbers (integers give f32);
/// halves are computed in f32, c64 in c128. At a matrix of zeros the derivative of "fro" is 0; at ties of the extremes
/// it is shared equally.
/// # Errors
/// If there are fewer than two axes, the order is another, or (but for "fro" and "nuc") there are no elements; when
/// computed, for the orders by singular values, if a matrix holds NaN or infinity.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[3.0f32, 0.0], [0.0, -4.0]]);
/// assert_eq!(x.matrix_norm("fro", false).item::<f32>(), 5.0);
/// assert_eq!(x.matrix_norm(f64::INFINITY, false).item::<f32>(), 4.0);
/// ```
/// Source: the Array API's `linalg.matrix_norm`.
#[op(samples = [
    (real([2, 3]), "fro", false), (distinct([3, 2]), "nuc", true), (real([2, 2, 3]), 1.0, false), (real([3, 2]), -1.0, false),
    (real([2, 3]), f64::INFINITY, true), (real([2, 3]), f64::NEG_INFINITY, false), (distinct([2, 2, 3]), 2.0, true), (distinct([3, 3]), -2.0, false),
    (real([0, 2]), "fro", false), (real([2, 0]), "nuc", false), (complex([2, 3]), "fro", false), (complex([2, 2, 3]), 1.0, true),
    (complex_distinct([3, 2]), "nuc", false), (complex_distinct([2, 2, 3]), 2.0, false),
])]
pub fn matrix_norm(x: &Tensor, ord: MatrixNorm, keepdims: bool) -> Result<Tensor> {
    let by_sizes = !matches!(ord.0, Order::Nuclear | Order::Number(2.0 | -2.0));
    let sizes = (by_sizes && x.dtype().is_complex()).then(|| x.abs());
    let (x, dtype) = matrix(sizes.as_ref().unwrap_or(x))?;
    let by_axes = |inner: isize, largest: bool| -> Result<Tensor> {
        let sums = x.abs().sum(keep(inner));
        if largest { sums.try_max(keep([-2, -1])) } else { sums.try_min(keep([-2, -1])) }
    };
    let values = || svdvals(&x);
    let seen = |y: Tensor| y.expand_dims(-1).expand_dims(-1);
    let y = match ord.0 {
        Order::Frobenius => x.try_norm(keep([-2, -1]), 2.0)?,
        Order::Nuclear => seen(values().sum(-1)),
        Order::Number(1.0) => by_axes(-2, true)?,
        Order::Number(-1.0) => by_axes(-2, false)?,
        Order::Number(f64::INFINITY) => by_axes(-1, true)?,
        Order::Number(f64::NEG_INFINITY) => by_axes(-1, false)?,
        Order::Number(2.0) => seen(values().try_max(-1)?),
        Order::Number(-2.0) => seen(values().try_min(-1)?),
        Order::Number(other) => return Err(unknown(&other.to_string())),
        Order::Unknown(other) => return Err(unknown(&format!("\"{other}\""))),
    };
    let y = y.cast(dtype.part());
    Ok(if keepdims { y } else { reshaped(&y, y.shape().without(|axis| axis + 2 >= y.ndim())) })
}

fn unknown(order: &str) -> Error {
    Error::new(format!("no norm of matrices has the order {order}")).hint(
        "there are \"fro\", \"nuc\", 1, -1, 2, -2, inf and -inf; norms of other orders are those of vectors, `norm`",
    )
}

/// The number of singular values that are larger than `rtol` times the largest.
///
/// Shapes: `[.., m, n] -> [..]`, i64. Halves are computed in f32. `rtol` is a number or one for each matrix, by default
/// `max(m, n)` times the epsilon of the dtype.
/// # Errors
/// If there are fewer than two axes or `rtol` is negative or not one for each matrix; when computed, if a matrix holds NaN
/// or infinity.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([[1.0f32, 2.0], [2.0, 4.0]]).matrix_rank(None).item::<i64>(), 1);
/// ```
/// Source: the Array API's `linalg.matrix_rank`.
#[op(samples = [(distinct([3, 4]), ()), (exactly(&[1.0, 2.0, 2.0, 4.0, 3.0, 6.0], [3, 2]), ()), (distinct([2, 2, 2]), 0.8), (distinct([2, 2, 2]), exactly(&[0.1, 0.9], [2])), (real([0, 2]), ()), (complex_distinct([2, 3]), ())],
    notes = "derivative=the result is an integer")]
pub fn matrix_rank(x: &Tensor, rtol: Option<Operand>) -> Result<Tensor> {
    let (x, dtype) = matrix(x)?;
    let part = cutoff(&x, dtype, rtol)?;
    Ok(counted(&svdvals(&x), &part))
}

/// The condition number: the norm of a matrix times that of its inverse.
///
/// For `ord` 2 it is the largest singular value over the smallest, for -2 that the other way round, of matrices of any
/// shape; the other orders are those of `matrix_norm` for square ones.
///
/// Shapes: `[.., m, n] -> [..]`. Floats and complex numbers (integers give f32); halves are computed in f32, c64 in
/// c128. For orders 2 and -2 singular matrices give inf and 0.
/// # Errors
/// If there are fewer than two axes or no elements, the order is another, or it asks for square matrices; when
/// computed, if a matrix holds NaN or infinity or, for the other orders, is singular.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([[2.0f32, 0.0], [0.0, 0.5]]).cond(2.0).item::<f32>(), 4.0);
/// ```
/// Source: NumPy's `linalg.cond`.
#[op(samples = [(distinct([3, 3]), 2.0), (distinct([2, 2, 3]), -2.0), (regular([3, 3]), "fro"), (regular([2, 2, 2]), 1.0), (complex_distinct([2, 3]), 2.0), (complex_regular([2, 2]), 1.0)])]
pub fn cond(x: &Tensor, ord: MatrixNorm) -> Result<Tensor> {
    let (x, dtype) = matrix(x)?;
    let Order::Number(2.0 | -2.0) = ord.0 else {
        square(&x)?;
        let y = x.try_matrix_norm(ord.clone(), false)? * x.try_inv()?.try_matrix_norm(ord, false)?;
        return Ok(y.cast(dtype.part()));
    };
    let s = svdvals(&x);
    let (most, least) = (s.try_max(Axes::from(-1))?, s.try_min(Axes::from(-1))?);
    Ok(if ord.0 == Order::Number(2.0) { most / least } else { least / most }.cast(dtype.part()))
}

op_list![vecdot, cross, kron, trace, matrix_power, matrix_norm, matrix_rank, cond];
