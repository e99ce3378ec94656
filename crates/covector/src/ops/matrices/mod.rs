//! The primitives of linear algebra: a kernel of factorisations each, with rules for both modes.
//!
//! All take matrices as the last two axes, in f32, f64 or c128, whatever stands before them. Results of several parts are packed
//! along one axis and taken apart by views. Data that an op cannot do with (a singular matrix) is an error when it is
//! computed, as an index out of range is.
//!
//! Rules of complex matrices are adjoint in the real inner product (decision 21): where a rule of real ones transposes, it
//! conjugates, too ([`h`]). Columns whose angle a factorisation leaves open are turned so that one element is real; their rules
//! keep it real (`phases`), so that they are those of the factors as they are given.

mod eigen;
mod factor;
mod functions;
mod phases;
mod solve;
mod spectral;

pub(crate) use spectral::complement;

use covector_array::kernels::{self, Inputs, MatrixOp};
use covector_array::{Array, DType, Shape};

use super::complex::{conjugate, real_part};
use super::concat::concat;
use super::create::{eye, iota};
use super::made;
use super::scan::piece;
use super::view::{add_batch, main_diagonal, permuted, reshaped};
use crate::plan::cost::size;
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::{Cost, Error, Flow, Result, Spec, Tensor};

/// One of the kernels on a batch of matrices.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Matrices {
    pub op: MatrixOp,
}

/// The node of `op` on operands that are known to fit.
pub(crate) fn node(op: MatrixOp, inputs: &[&Tensor]) -> Tensor {
    made(Tensor::apply(Matrices { op }, inputs.iter().map(|x| (*x).clone())))
}

/// The axes before the matrix, and its rows and columns.
fn split(x: &Shape) -> (&[usize], usize, usize) {
    let n = x.len() - 2;
    (&x[..n], x[n], x[n + 1])
}

impl Matrices {
    /// The axes of the result behind the batch, for `[m, n]` and a second operand of `k` columns.
    fn tail(&self, m: usize, n: usize, k: usize) -> Vec<usize> {
        match self.op {
            MatrixOp::Cholesky | MatrixOp::Cofactor | MatrixOp::Expm => vec![n, n],
            MatrixOp::Lu => vec![m, n + 1],
            MatrixOp::Qr => vec![m * n + n * n],
            MatrixOp::Complement => vec![m, m - n],
            MatrixOp::Eigh | MatrixOp::Eig => vec![n + n * n],
            MatrixOp::Eigvalsh | MatrixOp::Eigvals => vec![n],
            MatrixOp::Svd => vec![m * n + n + n * n],
            MatrixOp::Svdvals => vec![m.min(n)],
            MatrixOp::Solve | MatrixOp::TriangularSolve { .. } => vec![n, k],
            MatrixOp::Det => vec![],
            MatrixOp::SlogDet => vec![2],
            MatrixOp::Pinv => vec![n, m],
        }
    }

    /// Whether it is made for an `[m, n]` matrix.
    fn admits(&self, m: usize, n: usize) -> bool {
        match self.op {
            MatrixOp::Lu | MatrixOp::Svdvals | MatrixOp::Pinv => true,
            MatrixOp::Qr | MatrixOp::Complement | MatrixOp::Svd => m >= n,
            _ => m == n,
        }
    }

    /// Arithmetic for one `[m, n]` matrix, by the textbook's leading terms.
    fn flops(&self, m: u64, n: u64, k: u64) -> u64 {
        let (long, short) = (m.max(n), m.min(n));
        let square = short * short;
        match self.op {
            MatrixOp::Cholesky => n * n * n / 3,
            MatrixOp::Lu | MatrixOp::Det | MatrixOp::SlogDet => square * (3 * long - short) / 3,
            MatrixOp::Qr | MatrixOp::Complement => 2 * square * (3 * long - short) / 3 + 4 * square * long,
            MatrixOp::Eigh => 9 * n * n * n,
            MatrixOp::Eigvalsh => 4 * n * n * n / 3,
            MatrixOp::Eig => 25 * n * n * n,
            MatrixOp::Eigvals => 10 * n * n * n,
            MatrixOp::Svd | MatrixOp::Cofactor | MatrixOp::Pinv => 4 * square * long + 22 * square * short,
            MatrixOp::Svdvals => 4 * square * long,
            MatrixOp::Solve => 2 * n * n * n / 3 + 2 * n * n * k,
            MatrixOp::TriangularSolve { .. } => n * n * k,
            MatrixOp::Expm => 40 * n * n * n,
        }
    }
}

impl Primitive for Matrices {
    fn name(&self) -> &'static str {
        match self.op {
            MatrixOp::Cholesky => "cholesky",
            MatrixOp::Lu => "lu",
            MatrixOp::Qr => "qr",
            MatrixOp::Complement => "complement",
            MatrixOp::Eigh => "eigh",
            MatrixOp::Eigvalsh => "eigvalsh",
            MatrixOp::Eig => "eig",
            MatrixOp::Eigvals => "eigvals",
            MatrixOp::Svd => "svd",
            MatrixOp::Svdvals => "svdvals",
            MatrixOp::Solve => "solve",
            MatrixOp::TriangularSolve { .. } => "triangular_solve",
            MatrixOp::Det => "det",
            MatrixOp::Cofactor => "cofactor",
            MatrixOp::SlogDet => "slogdet",
            MatrixOp::Pinv => "pinv",
            MatrixOp::Expm => "expm",
        }
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        if x.iter().any(|x| x.shape.len() < 2 || !matches!(x.dtype, DType::F32 | DType::F64 | DType::C128)) {
            return Err(Error::new("takes matrices of f32, f64 or c128"));
        }
        let (lead, m, n) = split(&x[0].shape);
        let k = x.get(1).map_or(0, |b| b.shape[b.shape.len() - 1]);
        let fits = |b: &&&Spec| {
            let (other, rows, _) = split(&b.shape);
            b.dtype == x[0].dtype && other == lead && rows == if self.op == MatrixOp::Pinv { 1 } else { n }
        };
        if !self.admits(m, n) || x.get(1).as_ref().is_some_and(|b| !fits(b)) {
            let specs: Vec<String> = x.iter().map(|x| x.to_string()).collect();
            return Err(Error::new(format!("is not made for {}", specs.join(" and "))));
        }
        Ok(Spec::new(x[0].dtype, lead.iter().copied().chain(self.tail(m, n, k)).collect::<Shape>()))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.subscripts(match self.op {
            MatrixOp::Cholesky | MatrixOp::Cofactor | MatrixOp::Expm => "...ij->...ij",
            MatrixOp::Complement => "...ij->...iz",
            MatrixOp::Lu => "...ij->...yz",
            MatrixOp::Det => "...ij->...",
            MatrixOp::Pinv => "...ij,...yz->...ji",
            MatrixOp::Solve => "...ij,...ik->...jk",
            MatrixOp::TriangularSolve { transposed: false, .. } => "...ij,...ik->...jk",
            MatrixOp::TriangularSolve { transposed: true, .. } => "...ij,...jk->...ik",
            _ => "...ij->...z",
        });
    }
    fn run(&self, x: Inputs, out: &Spec) -> Result<Array> {
        Ok(kernels::matrices(self.op, &x, &out.shape)?)
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        let (lead, m, n) = split(&x[0].shape);
        let k = x.get(1).map_or(0, |b| b.shape[b.shape.len() - 1]);
        let count = size(&Spec::new(out.dtype, lead));
        Cost { flops: count.saturating_mul(self.flops(m as u64, n as u64, k as u64)), ..Cost::moving(x, out) }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        let all = x.iter().zip(has).map(|(x, &has)| if has { x.clone() } else { add_batch(x, size) });
        Tensor::apply(self.clone(), all)
    }
}

impl Differentiable for Matrices {
    fn jvp(&self, x: &[Tensor], y: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        let one = || t[0].as_ref().expect("the one operand has a tangent");
        match self.op {
            MatrixOp::Cholesky => factor::cholesky_jvp(y, one()),
            MatrixOp::Lu => factor::lu_jvp(y, one()),
            MatrixOp::Qr => factor::qr_jvp(&x[0], y, one()),
            MatrixOp::Complement => spectral::complement_jvp(&x[0], y, one()),
            MatrixOp::Eigh => spectral::eigh_jvp(&x[0], y, one()),
            MatrixOp::Eigvalsh => spectral::eigvalsh_jvp(&x[0], one()),
            MatrixOp::Eig => eigen::eig_jvp(y, one()),
            MatrixOp::Eigvals => eigen::eigvals_jvp(&x[0], one()),
            MatrixOp::Svd => spectral::svd_jvp(&x[0], y, one()),
            MatrixOp::Svdvals => spectral::svdvals_jvp(&x[0], one()),
            MatrixOp::Solve => solve::solve_jvp(&x[0], y, t),
            MatrixOp::TriangularSolve { upper, transposed, unit } => {
                solve::Triangle { upper, transposed, unit }.jvp(&x[0], y, t)
            }
            MatrixOp::Det => functions::det_jvp(&x[0], one()),
            MatrixOp::Cofactor => functions::cofactor_jvp(&x[0], y, one()),
            MatrixOp::SlogDet => functions::slogdet_jvp(&x[0], y, one()),
            MatrixOp::Pinv => functions::pinv_jvp(&x[0], y, one()),
            MatrixOp::Expm => functions::expm_jvp(&x[0], one()),
        }
    }
    fn vjp(&self, x: &[Tensor], y: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        let c = cotangent;
        vec![Some(match self.op {
            MatrixOp::Cholesky => factor::cholesky_vjp(y, c),
            MatrixOp::Lu => factor::lu_vjp(y, c),
            MatrixOp::Qr => factor::qr_vjp(&x[0], y, c),
            MatrixOp::Complement => spectral::complement_vjp(&x[0], y, c),
            MatrixOp::Eigh => spectral::eigh_vjp(&x[0], y, c),
            MatrixOp::Eigvalsh => spectral::eigvalsh_vjp(&x[0], c),
            MatrixOp::Eig => eigen::eig_vjp(&x[0], y, c),
            MatrixOp::Eigvals => eigen::eigvals_vjp(&x[0], c),
            MatrixOp::Svd => spectral::svd_vjp(&x[0], y, c),
            MatrixOp::Svdvals => spectral::svdvals_vjp(&x[0], c),
            MatrixOp::Solve => return solve::solve_vjp(&x[0], y, c, wrt),
            MatrixOp::TriangularSolve { upper, transposed, unit } => {
                return solve::Triangle { upper, transposed, unit }.vjp(&x[0], y, c, wrt);
            }
            MatrixOp::Det => functions::det_vjp(&x[0], c),
            MatrixOp::Cofactor => functions::cofactor_vjp(&x[0], y, c),
            MatrixOp::SlogDet => functions::slogdet_vjp(&x[0], y, c),
            MatrixOp::Pinv => return vec![Some(functions::pinv_vjp(&x[0], y, c)), None],
            MatrixOp::Expm => functions::expm_vjp(&x[0], c),
        })]
    }
    fn rule(&self, names: &[&str], k: usize) -> Option<String> {
        let a = *names.first()?;
        Some(match self.op {
            MatrixOp::Solve if k == 0 => format!("-{a}⁻ᵀ ȳ yᵀ"),
            MatrixOp::Solve => format!("{a}⁻ᵀ ȳ"),
            MatrixOp::Det => format!("ȳ·y·{a}⁻ᵀ"),
            MatrixOp::SlogDet => format!("ȳ·{a}⁻ᵀ"),
            MatrixOp::Cholesky => "y⁻ᵀ Φ(yᵀ ȳ) y⁻¹, Φ: lower triangle, half the diagonal".to_owned(),
            MatrixOp::Eigvalsh => "V diag(ȳ) Vᵀ".to_owned(),
            MatrixOp::Svdvals => "U diag(ȳ) Vᵀ".to_owned(),
            _ => return None,
        })
    }
}

/// The last two axes exchanged.
pub(crate) fn t(x: &Tensor) -> Tensor {
    let n = x.ndim();
    let axes: Vec<usize> = (0..n - 2).chain([n - 1, n - 2]).collect();
    permuted(x, &axes)
}

/// The product of matrices.
pub(crate) fn mm(a: &Tensor, b: &Tensor) -> Tensor {
    a.matmul(b)
}

/// The last two axes exchanged, conjugated: the adjoint.
pub(crate) fn h(x: &Tensor) -> Tensor {
    t(&conjugate(x))
}

/// `(x + xᴴ) / 2`.
pub(crate) fn symmetric(x: &Tensor) -> Tensor {
    (x + h(x)) * 0.5
}

/// `(x - xᴴ) / 2`.
fn skew(x: &Tensor) -> Tensor {
    (x - h(x)) * 0.5
}

/// `(x - conj x) / 2`: the imaginary part, times i.
fn imaginary(x: &Tensor) -> Tensor {
    (x - conjugate(x)) * 0.5
}

/// The unit matrix of this size.
pub(crate) fn unit(n: usize, dtype: DType) -> Tensor {
    eye(n, dtype)
}

/// True on the diagonal of `[n, n]`.
fn on_diagonal(n: usize) -> Tensor {
    let i = iota(n, DType::I64);
    reshaped(&i, [n, 1]).equal(&i)
}

/// The numbers of the last axis on the diagonal of a matrix.
pub(crate) fn diag(x: &Tensor) -> Tensor {
    let n = x.shape()[x.ndim() - 1];
    on_diagonal(n).where_(row(x), Tensor::scalar(0.0, x.dtype()))
}

/// The last axis as one row for all rows: `[.., 1, n]`.
pub(crate) fn row(x: &Tensor) -> Tensor {
    reshaped(x, x.shape().with_inserted(x.ndim() - 1, 1))
}

/// The last axis as one column for all columns: `[.., n, 1]`.
pub(crate) fn column(x: &Tensor) -> Tensor {
    reshaped(x, x.shape().with_inserted(x.ndim(), 1))
}

/// The diagonal `[.., n]`.
pub(crate) fn diagonal(x: &Tensor) -> Tensor {
    main_diagonal(x)
}

/// `numerator / gap` where they are not both 0; there 0: what does not depend on a choice has no share of its freedom.
fn ratio(numerator: &Tensor, gap: &Tensor) -> Tensor {
    let free = gap.equal(0.0).logical_and(numerator.equal(0.0));
    free.where_(0.0, numerator / free.where_(1.0, gap))
}

/// The parts `[.., rows, columns]` of what is packed along the last axis.
fn unpacked<const N: usize>(y: &Tensor, parts: [(usize, usize); N]) -> [Tensor; N] {
    let axis = y.ndim() - 1;
    let mut start = 0;
    parts.map(|(rows, columns)| {
        let part = piece(y, axis, start, rows * columns);
        start += rows * columns;
        let shape: Shape = y.shape()[..axis].iter().copied().chain([rows, columns]).collect();
        reshaped(&part, shape)
    })
}

/// Matrices with equal leading axes, one after the other along one axis.
fn packed(parts: &[&Tensor]) -> Tensor {
    let flat = |x: &&Tensor| {
        let (lead, m, n) = split(x.shape());
        reshaped(x, lead.iter().copied().chain([m * n]).collect::<Shape>())
    };
    concat(&parts.iter().map(flat).collect::<Vec<_>>(), -1)
}

/// Q and R of matrices at least as tall as wide.
pub(crate) fn qr(x: &Tensor) -> [Tensor; 2] {
    factor::qr_parts(x, &node(MatrixOp::Qr, &[x]))
}

/// Eigenvalues `[.., n]` and vectors of symmetric (Hermitian) matrices.
pub(crate) fn eigh(x: &Tensor) -> [Tensor; 2] {
    let [w, v] = spectral::eigh_parts(x, &node(MatrixOp::Eigh, &[x]));
    [real_part(&w), v]
}

/// Eigenvalues of symmetric (Hermitian) matrices.
pub(crate) fn eigvalsh(x: &Tensor) -> Tensor {
    real_part(&node(MatrixOp::Eigvalsh, &[x]))
}

/// Eigenvalues `[.., n]` and vectors of complex matrices.
pub(crate) fn eig(x: &Tensor) -> [Tensor; 2] {
    spectral::eigh_parts(x, &node(MatrixOp::Eig, &[x]))
}

/// U, the singular values `[.., k]` and V transposed and conjugated, thin, of matrices of any shape.
pub(crate) fn svd(x: &Tensor) -> [Tensor; 3] {
    let (_, m, n) = split(x.shape());
    if m < n {
        let [u, s, vh] = svd(&h(x));
        return [h(&vh), s, h(&u)];
    }
    let [u, s, vh] = spectral::svd_parts(x, &node(MatrixOp::Svd, &[x]));
    [u, real_part(&s), vh]
}

/// Singular values.
pub(crate) fn svdvals(x: &Tensor) -> Tensor {
    real_part(&node(MatrixOp::Svdvals, &[x]))
}

/// The packed factors of the LU decomposition, and the row of the matrix that stands in each row.
pub(crate) fn lu(x: &Tensor) -> [Tensor; 2] {
    factor::lu_parts(&node(MatrixOp::Lu, &[x]))
}

/// L and U, as they stand apart, of the packed factors.
pub(crate) fn lu_factors(packed: &Tensor) -> [Tensor; 2] {
    factor::lu_factors(packed)
}

/// The inverse of a triangle times `b`, or of its transpose if `transposed`.
pub(crate) fn triangular(a: &Tensor, b: &Tensor, upper: bool, transposed: bool, unit: bool) -> Tensor {
    node(MatrixOp::TriangularSolve { upper, transposed, unit }, &[a, b])
}

/// The inverse of the adjoint of a triangle times `b`.
fn triangular_adjoint(a: &Tensor, b: &Tensor, upper: bool, unit: bool) -> Tensor {
    triangular(&conjugate(a), b, upper, true, unit)
}
