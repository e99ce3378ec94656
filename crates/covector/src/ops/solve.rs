//! Systems of linear equations, inverses and determinants.

use covector_array::kernels::MatrixOp;
use covector_array::{DType, Shape};
use covector_derive::{op, op_list};

use super::complex::{conjugate, real_part};
use super::create::addressable;
use super::factor::{computed, matrix, sides, square};
use super::matrices::{self, column, mm, node};
use super::scan::piece;
use super::view::{expand, reshaped};
use crate::{Error, Operand, Result, Tensor};

/// A square matrix and a right side with equal leading axes, and what the solution is seen as.
struct System {
    a: Tensor,
    b: Tensor,
    dtype: DType,
    /// One column whose axis is dropped from the result.
    vector: bool,
}

impl System {
    /// # Errors
    /// If `a` is not square where it has to be, the rows differ, or the leading axes do not broadcast.
    fn new(a: &Tensor, b: &Tensor, must_be_square: bool) -> Result<System> {
        let dtype = a.dtype().promote(b.dtype()).to_float();
        let (a, dtype) = if must_be_square { square(&a.cast(dtype))? } else { matrix(&a.cast(dtype))? };
        if b.ndim() == 0 {
            return Err(Error::new("the right side is a scalar").hint("it is a vector, or matrices of columns"));
        }
        let vector = b.ndim() == 1;
        let b = computed(&b.cast(dtype));
        let b = if vector { column(&b) } else { b };
        let ((rows, _), (other, _)) = (sides(&a), sides(&b));
        if rows != other {
            return Err(Error::new(format!("{rows} equations have a right side of {other} rows"))
                .hint("the right side is a vector, or matrices with the rows of the left side")
                .clash([a.shape(), b.shape()], [a.ndim() - 2, b.ndim() - 2]));
        }
        let lead = |x: &Tensor| x.shape().iter().copied().take(x.ndim() - 2).collect::<Shape>();
        let (la, lb) = (lead(&a), lead(&b));
        let batch = la.broadcast(&lb).ok_or_else(|| {
            Error::new(format!("leading axes do not broadcast: {la} and {lb}"))
                .hint("all axes but the last two are aligned at the right; sizes must be equal, or one of them 1")
        })?;
        let full = |x: &Tensor| -> Result<Tensor> {
            let (rows, columns) = sides(x);
            let shape: Shape = batch.iter().copied().chain([rows, columns]).collect();
            addressable(&shape, x.dtype())?;
            Ok(expand(x, &shape))
        };
        Ok(System { a: full(&a)?, b: full(&b)?, dtype, vector })
    }

    /// The result as it was asked for.
    fn seen(&self, x: &Tensor) -> Tensor {
        let x = if self.vector { reshaped(x, x.shape().without(|axis| axis + 1 == x.ndim())) } else { x.clone() };
        x.cast(self.dtype)
    }
}

/// The solution `x` of `a x = b`.
///
/// Shapes: `[.., n, n], [.., n, k] -> [.., n, k]`, leading axes broadcast; a right side of one axis is a vector for every
/// matrix. Dtypes are promoted (integers to f32); halves are computed in f32, c64 in c128.
/// # Errors
/// If the matrices are not square, the rows differ, or the leading axes do not broadcast; when computed, if a matrix is
/// singular, that is, a pivot is exactly 0.
/// # Example
/// ```
/// use covector::Tensor;
/// let a = Tensor::from([[2.0f32, 0.0], [1.0, 4.0]]);
/// assert_eq!(a.solve(&Tensor::from([2.0f32, 9.0])).to_vec::<f32>(), [1.0, 2.0]);
/// ```
/// Source: the Array API's `linalg.solve`; derivative: Giles 2008.
#[op(samples = [
    (regular([3, 3]), real2([3, 2])), (regular([2, 2]), real2([2])), (regular([2, 2, 2]), real2([2, 1])), (regular([3, 3]), real2([2, 3, 1])),
    (regular([2, 2, 2]), real2([2])), (real([0, 0]), real2([0, 2])), (real([0, 2, 2]), real2([2, 1])),
    (complex_regular([3, 3]), complex2([3, 2])), (complex_regular([2, 2, 2]), real2([2])), (regular([2, 2]), complex2([2, 2, 1])),
], notes = "rule=ā = -(a⁻ᴴ ȳ) yᴴ | b̄ = a⁻ᴴ ȳ")]
pub fn solve(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let system = System::new(a, b, true)?;
    Ok(system.seen(&node(MatrixOp::Solve, &[&system.a, &system.b])))
}

/// The solution `x` of `t x = b`, where `t` is one triangle of `a`, or its transpose.
///
/// Shapes: `[.., n, n], [.., n, k] -> [.., n, k]`, leading axes broadcast; a right side of one axis is a vector for every
/// matrix. Dtypes are promoted (integers to f32); halves are computed in f32, c64 in c128. The other triangle is not read
/// and has derivative 0; with `unit_diagonal` neither is the diagonal, which counts as ones.
/// # Errors
/// If the matrices are not square, the rows differ, or the leading axes do not broadcast; when computed, if an element of a
/// diagonal is 0.
/// # Example
/// ```
/// use covector::Tensor;
/// let a = Tensor::from([[2.0f32, 7.0], [1.0, 4.0]]);
/// let b = Tensor::from([2.0f32, 9.0]);
/// assert_eq!(a.triangular_solve(&b, false, false, false).to_vec::<f32>(), [1.0, 2.0]);
/// ```
/// Source: SciPy's `linalg.solve_triangular`; derivative: Giles 2008.
#[op(samples = [
    (regular([3, 3]), real2([3, 2]), false, false, false), (regular([2, 2]), real2([2]), true, false, false),
    (regular([2, 2, 2]), real2([2, 3]), false, true, false), (regular([3, 3]), real2([3, 1]), true, true, true), (real([0, 0]), real2([0, 1]), false, false, false),
    (complex_regular([3, 3]), complex2([3, 2]), false, false, false), (complex_regular([2, 2, 2]), complex2([2]), true, true, false),
    (complex_regular([2, 2]), real2([2, 1]), true, false, true),
])]
pub fn triangular_solve(a: &Tensor, b: &Tensor, upper: bool, transposed: bool, unit_diagonal: bool) -> Result<Tensor> {
    let system = System::new(a, b, true)?;
    Ok(system.seen(&matrices::triangular(&system.a, &system.b, upper, transposed, unit_diagonal)))
}

/// A unit matrix for each matrix of `x`.
pub(super) fn unit_like(x: &Tensor) -> Tensor {
    expand(&matrices::unit(sides(x).0, x.dtype()), x.shape())
}

/// The inverse.
///
/// Shapes: `[.., n, n]`, kept. Floats and complex numbers (integers give f32); halves are computed in f32, c64 in c128.
/// To solve equations `solve` is faster and more precise.
/// # Errors
/// If the matrices are not square; when computed, if one is singular, that is, a pivot is exactly 0.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([[2.0f32, 0.0], [0.0, 4.0]]).inv().to_vec::<f32>(), [0.5, 0.0, 0.0, 0.25]);
/// ```
/// Source: the Array API's `linalg.inv`; derivative: Giles 2008.
#[op(samples = [(regular([3, 3]),), (regular([2, 2, 2]),), (regular([1, 1]),), (real([0, 0]),), (real([0, 2, 2]),), (complex_regular([3, 3]),), (complex_regular([2, 2, 2]),)],
    notes = "rule=x̄ = -yᴴ ȳ yᴴ")]
pub fn inv(x: &Tensor) -> Result<Tensor> {
    let (x, dtype) = square(x)?;
    Ok(node(MatrixOp::Solve, &[&x, &unit_like(&x)]).cast(dtype))
}

/// The part of the largest singular value of each matrix up to which others count as 0, unless given: `max(m, n)` times
/// the epsilon of the dtype that the matrix was given in. Real, `[.., 1, 1]`; no derivative passes it.
///
/// # Errors
/// If it is a number that is negative or NaN, or a tensor that is complex or not one number for each matrix.
pub(super) fn cutoff(x: &Tensor, dtype: DType, rtol: Option<Operand>) -> Result<Tensor> {
    let (m, n) = sides(x);
    let epsilon = if dtype.part() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
    let lead: Shape = x.shape().iter().copied().take(x.ndim() - 2).collect();
    let each: Shape = lead.iter().copied().chain([1, 1]).collect();
    let part = match rtol.unwrap_or(Operand::Float(m.max(n) as f64 * epsilon)) {
        Operand::Tensor(t) if t.dtype().is_complex() => {
            return Err(Error::new(format!("rtol must be real, not {}", t.spec())).of_kind(crate::ErrorKind::Type));
        }
        Operand::Tensor(t) => {
            let t = t.try_broadcast_to(lead).map_err(|e| e.hint("rtol is one number, or one for each matrix"))?;
            return Ok(reshaped(&t.stop_gradient(), each).cast(x.dtype().part()));
        }
        Operand::Float(part) => part,
        Operand::Int(part) => part as f64,
        Operand::Complex(z) => return Err(Error::new(format!("rtol must be a real number, not {z}"))),
    };
    match part >= 0.0 {
        true => Ok(Operand::Float(part).as_tensor(x.dtype().part(), &each)),
        false => Err(Error::new(format!("rtol must be at least 0, not {part}"))),
    }
}

/// The node of the pseudoinverse.
fn pseudo(x: &Tensor, part: &Tensor) -> Tensor {
    node(MatrixOp::Pinv, &[x, &part.cast(x.dtype())])
}

/// The Moore–Penrose pseudoinverse.
///
/// Shapes: `[.., m, n] -> [.., n, m]`. Floats and complex numbers (integers give f32); halves are computed in f32, c64
/// in c128. Singular values of at most `rtol`, a number or one for each matrix, times the largest count as 0; by default
/// that is `max(m, n)` times the epsilon of the dtype. The derivative is that along matrices of the same rank; where the rank changes there is none.
/// # Errors
/// If there are fewer than two axes or `rtol` is negative or not one for each matrix; when computed, if a matrix holds NaN
/// or infinity.
/// # Example
/// ```
/// use covector::Tensor;
/// let y = Tensor::from([[1.0f32, 0.0], [0.0, 0.0], [0.0, 2.0]]).pinv(None);
/// assert_eq!(y.to_vec::<f32>(), [1.0, 0.0, 0.0, 0.0, 0.0, 0.5]);
/// ```
/// Source: the Array API's `linalg.pinv`; derivative: Golub, Pereyra 1973.
#[op(samples = [(distinct([3, 3]), ()), (distinct([4, 2]), ()), (distinct([2, 2, 3]), 1e-6), (distinct([2, 3, 2]), exactly(&[1e-6, 1e-3], [2])), (real([3, 0]), ()), (real([0, 2]), ()),
    (complex_distinct([3, 3]), ()), (complex_distinct([2, 3, 2]), 1e-6), (complex_distinct([2, 3]), ())])]
pub fn pinv(x: &Tensor, rtol: Option<Operand>) -> Result<Tensor> {
    let (x, dtype) = matrix(x)?;
    let part = cutoff(&x, dtype, rtol)?;
    Ok(pseudo(&x, &part).cast(dtype))
}

/// The least squares solution `x` of `a x = b`, the smallest where there are many; with the sums of the squares left, the
/// rank and the singular values of `a`.
///
/// Shapes: `[.., m, n], [.., m, k] -> [.., n, k], [.., k], [..], [.., min(m, n)]`, leading axes broadcast; a right side
/// of one axis is a vector for every matrix, whose axis `k` is dropped. Dtypes are promoted (integers to f32); halves
/// are computed in f32, c64 in c128; the rank is i64. Singular values of at most `rtol` times the largest count as 0,
/// see `pinv`. The squares are there for any shape and rank, where NumPy leaves them out.
/// # Errors
/// If `a` has fewer than two axes, the rows differ, the leading axes do not broadcast, or `rtol` is negative or not one for
/// each matrix; when computed, if a matrix holds NaN or infinity.
/// # Example
/// ```
/// use covector::Tensor;
/// let a = Tensor::from([[1.0f64, 0.0], [1.0, 1.0], [1.0, 2.0]]);
/// let (line, left, rank, _) = a.lstsq(&Tensor::from([1.0f64, 3.0, 5.0]), None);
/// assert!(line.to_vec::<f64>().iter().zip([1.0, 2.0]).all(|(x, wanted)| (x - wanted).abs() < 1e-14));
/// assert!(left.item::<f64>() < 1e-25 && rank.item::<i64>() == 2);
/// ```
/// Source: NumPy's and JAX's `linalg.lstsq`.
#[op(samples = [
    (distinct([4, 2]), real2([4, 2]), ()), (distinct([3, 3]), real2([3]), ()), (distinct([2, 2, 3]), real2([2, 1]), 1e-6), (real([0, 2]), real2([0, 1]), ()),
    (complex_distinct([4, 2]), complex2([4, 2]), ()), (complex_distinct([2, 2, 3]), real2([2]), 1e-6),
])]
pub fn lstsq(a: &Tensor, b: &Tensor, rtol: Option<Operand>) -> Result<(Tensor, Tensor, Tensor, Tensor)> {
    let system = System::new(a, b, false)?;
    let System { a, b, .. } = &system;
    let part = cutoff(a, system.dtype, rtol)?;
    let x = mm(&pseudo(a, &part), b);
    let missed = b - mm(a, &x);
    let left = real_part(&(conjugate(&missed) * &missed)).sum(-2);
    let left = if system.vector { reshaped(&left, left.shape().without(|axis| axis + 1 == left.ndim())) } else { left };
    let s = matrices::svdvals(a);
    let rank = counted(&s, &part);
    Ok((system.seen(&x), left.cast(system.dtype.part()), rank, s.cast(system.dtype.part())))
}

/// How many singular values are larger than this part, `[.., 1, 1]`, of the largest.
pub(super) fn counted(s: &Tensor, part: &Tensor) -> Tensor {
    let axis = s.ndim() - 1;
    let largest = piece(s, axis, 0, s.shape()[axis].min(1));
    let part = reshaped(part, part.shape().without(|axis| axis + 1 == part.ndim()));
    s.greater(largest * part).cast(DType::I64).sum(-1)
}

/// The determinant.
///
/// Shapes: `[.., n, n] -> [..]`; that of an empty matrix is 1. Floats and complex numbers (integers give f32); halves
/// are computed in f32, c64 in c128. Of singular matrices the derivative is exact, too (their minors); the second
/// derivative there is infinite or NaN.
/// # Errors
/// If the matrices are not square; when differentiated, if one holds NaN or infinity.
/// # Example
/// ```
/// use covector::{Tensor, grad};
/// let x = Tensor::from([[1.0f64, 2.0], [3.0, 4.0]]);
/// assert!((x.det().item::<f64>() + 2.0).abs() < 1e-14);
/// let minors = grad(Tensor::det)(&Tensor::from([[1.0f64, 2.0], [2.0, 4.0]])).to_vec::<f64>();
/// assert!(minors.iter().zip([4.0, -2.0, -2.0, 1.0]).all(|(x, wanted)| (x - wanted).abs() < 1e-14));
/// ```
/// Source: the Array API's `linalg.det`; derivative: Giles 2008.
#[op(samples = [(regular([3, 3]),), (regular([2, 2, 2]),), (regular([1, 1]),), (real([2, 0, 0]),), (complex_regular([3, 3]),), (complex_regular([2, 2, 2]),), (complex([0, 0]),)],
    notes = "rule=x̄ = ȳ·conj(y)·x⁻ᴴ")]
pub fn det(x: &Tensor) -> Result<Tensor> {
    let (x, dtype) = square(x)?;
    Ok(node(MatrixOp::Det, &[&x]).cast(dtype))
}

/// The sign of the determinant, and the logarithm of its size, without overflow.
///
/// The sign of a complex determinant is the number of size 1 with its angle. A real one has derivative 0.
///
/// Shapes: `[.., n, n] -> [..], [..]`. Floats and complex numbers (integers give f32); halves are computed in f32, c64
/// in c128. Singular matrices give 0 and -inf. The logarithm is real.
/// # Errors
/// If the matrices are not square; when differentiated, if one is singular.
/// # Example
/// ```
/// use covector::Tensor;
/// let (sign, log) = Tensor::from([[0.0f32, 1.0], [1.0, 0.0]]).slogdet();
/// assert_eq!((sign.item::<f32>(), log.item::<f32>()), (-1.0, 0.0));
/// ```
/// Source: the Array API's `linalg.slogdet`; derivative: Giles 2008.
#[op(samples = [(regular([3, 3]),), (regular([2, 2, 2]),), (regular([1, 1]),), (real([2, 0, 0]),), (complex_regular([3, 3]),), (complex_regular([2, 2, 2]),)])]
pub fn slogdet(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (x, dtype) = square(x)?;
    let both = node(MatrixOp::SlogDet, &[&x]);
    let axis = both.ndim() - 1;
    let part = |i: usize| reshaped(&piece(&both, axis, i, 1), both.shape().without(|a| a == axis));
    Ok((part(0).cast(dtype), real_part(&part(1)).cast(dtype.part())))
}

/// The exponential of a matrix: `1 + x + x x / 2 + ..`.
///
/// Shapes: `[.., n, n]`, kept. Floats and complex numbers (integers give f32), computed in f64 or c128.
/// # Errors
/// If the matrices are not square; when computed, if one holds NaN or infinity.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([[0.0f32, 2.0], [0.0, 0.0]]).expm().to_vec::<f32>(), [1.0, 2.0, 0.0, 1.0]);
/// ```
/// Source: SciPy's `linalg.expm`; Higham 2005, "The scaling and squaring method for the matrix exponential revisited";
/// derivative: Najfeld, Havel 1995.
#[op(samples = [(real([3, 3]),), (between(-6.0, 6.0, [2, 2, 2]),), (real([1, 1]),), (real([0, 0]),), (complex([3, 3]),), (complex([2, 2, 2]),)])]
pub fn expm(x: &Tensor) -> Result<Tensor> {
    let (x, dtype) = square(x)?;
    Ok(node(MatrixOp::Expm, &[&x]).cast(dtype))
}

/// The solution of `a x = b` from the Cholesky factor of `a`.
///
/// Shapes: `[.., n, n], [.., n, k] -> [.., n, k]`, leading axes broadcast; a right side of one axis is a vector for every
/// matrix. Dtypes are promoted (integers to f32); halves are computed in f32, c64 in c128. With `upper` the factor is
/// the upper one. The other triangle of the factor is not read.
/// # Errors
/// If the factors are not square, the rows differ, or the leading axes do not broadcast; when computed, if an element of a
/// diagonal is 0.
/// # Example
/// ```
/// use covector::Tensor;
/// let a = Tensor::from([[4.0f32, 2.0], [2.0, 5.0]]);
/// let x = a.cholesky(false).cholesky_solve(&Tensor::from([8.0f32, 12.0]), false);
/// assert_eq!(x.to_vec::<f32>(), [1.0, 2.0]);
/// ```
/// Source: PyTorch's `cholesky_solve`, SciPy's `linalg.cho_solve`.
#[op(samples = [(regular([3, 3]), real2([3, 2]), false), (regular([2, 2, 2]), real2([2]), true), (complex_regular([3, 3]), complex2([3, 2]), false),
    (complex_regular([2, 2, 2]), complex2([2]), true)])]
pub fn cholesky_solve(l: &Tensor, b: &Tensor, upper: bool) -> Result<Tensor> {
    let system = System::new(l, b, true)?;
    // The factor, and its adjoint.
    let half = |b: &Tensor, adjoint: bool| {
        let l = if adjoint { conjugate(&system.a) } else { system.a.clone() };
        matrices::triangular(&l, b, upper, adjoint, false)
    };
    Ok(system.seen(&half(&half(&system.b, upper), !upper)))
}

op_list![solve, triangular_solve, cholesky_solve, inv, pinv, lstsq, det, slogdet, expm];
