//! Products summed over shared axes.

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, DType, Shape};
use covector_derive::{op, op_list};

use super::complex::{conjugate, require_real};
use super::create::addressable;
use super::view::{add_batch, expand, linear, permuted, reshaped};
use crate::plan::cost::{halvings, size};
use crate::primitive::{Class, Derivative, Differentiable, Primitive, Summand};
use crate::{Cost, Error, Flow, Result, Spec, Tensor};

/// `[B, m, k] @ [B, k, n] -> [B, m, n]`.
#[derive(Clone, Debug, Hash)]
pub(crate) struct MatMul;

/// The last two axes of a batch of matrices exchanged.
fn t(x: &Tensor) -> Tensor {
    permuted(x, &[0, 2, 1])
}

/// `[B, m, k] @ [B, k, n]`, of operands known to fit.
pub(crate) fn batched(a: &Tensor, b: &Tensor) -> Tensor {
    super::made(Tensor::apply(MatMul, [a.clone(), b.clone()]))
}

/// A batch of a batch of matrices as one: `[size, B, m, n]`, or `[B, m, n]` for each of the batch, to `[size · B, m, n]`.
pub(crate) fn batch_of(x: &Tensor, has: bool, size: usize) -> Tensor {
    let x = if has { x.clone() } else { add_batch(x, size) };
    reshaped(&x, [size * x.shape()[1], x.shape()[2], x.shape()[3]])
}

impl Primitive for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn class(&self) -> Class {
        Class::Contract
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let (a, b) = (&x[0].shape, &x[1].shape);
        if a.len() != 3 || b.len() != 3 || a[0] != b[0] || a[2] != b[1] {
            return Err(Error::new(format!("no batched matrix product of {a} and {b}")));
        }
        Ok(Spec::new(x[0].dtype, [a[0], a[1], b[2]]))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.subscripts("bmk,bkn->bmn");
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::matmul(&x[0], &x[1]))
    }
    fn run_exchanged(&self, x: Inputs, out: &Spec) -> Result<Array> {
        // Exchanged, the two products of an imaginary part would be added in another order, to other bits.
        if out.dtype.is_complex() {
            return self.run(x, out);
        }
        let t = |x: &Array| x.permute(&[0, 2, 1]);
        Ok(t(&kernels::matmul(&t(&x[1]), &t(&x[0]))))
    }
    fn summand(&self) -> Summand {
        Summand::Product
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        Cost { flops: size(out).saturating_mul(2 * x[0].shape[2] as u64), ..Cost::moving(x, out) }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        let [a, b] = [0, 1].map(|i| batch_of(&x[i], has[i], size));
        let (n, rows, cols) = (x[0].shape()[usize::from(has[0])], a.shape()[1], b.shape()[2]);
        Ok(reshaped(&batched(&a, &b), [size, n, rows, cols]))
    }
}

impl Differentiable for MatMul {
    fn jvp(&self, x: &[Tensor], _: &Tensor, tangents: &[Option<Tensor>]) -> Tensor {
        let left = tangents[0].as_ref().map(|ta| batched(ta, &x[1]));
        let right = tangents[1].as_ref().map(|tb| batched(&x[0], tb));
        left.into_iter().chain(right).reduce(|a, b| a + b).expect("one operand has a tangent")
    }
    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        let adjoint = |x: &Tensor| t(&conjugate(x));
        vec![wrt[0].then(|| batched(cotangent, &adjoint(&x[1]))), wrt[1].then(|| batched(&adjoint(&x[0]), cotangent))]
    }
    fn rule(&self, names: &[&str], k: usize) -> Option<String> {
        let other = *names.get(1 - k.min(1))?;
        Some(if k == 0 { format!("ȳ {other}ᵀ") } else { format!("{other}ᵀ ȳ") })
    }
}

/// The dtype in which the operands are multiplied and summed.
///
/// # Errors
/// If all are bool, which has no sums.
pub(crate) fn common_dtype(operands: &[&Tensor]) -> Result<DType> {
    let dtype = operands.iter().map(|x| x.dtype()).reduce(DType::promote).unwrap_or(DType::Bool);
    if dtype == DType::Bool {
        return Err(Error::new("bool has no sums of products").hint("cast one operand first, for example to i64"));
    }
    Ok(dtype)
}

/// The matrix product, with every combination of ranks NumPy has.
///
/// Shapes: `[.., m, k] @ [.., k, n] -> [.., m, n]`, leading axes broadcast; a vector on the left is a row, on the right
/// a column, and its axis is dropped from the result. Dtypes are promoted; f16 and bf16 are summed in f32.
/// # Errors
/// If an operand is a scalar, the inner sizes differ, the leading axes do not broadcast, or both are bool.
/// # Example
/// ```
/// use covector::Tensor;
/// let a = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(a.matmul(&Tensor::from([1.0f32, 1.0])).to_vec::<f32>(), [3.0, 7.0]);
/// ```
/// Source: NumPy's `matmul`.
#[op(samples = [
    (real([2, 3]), real2([3, 4])), (real([3]), real2([3])), (real([3]), real2([2, 3, 4])), (real([2, 3]), real2([3])),
    (real([2, 1, 2, 3]), real2([3, 3, 2])), (real([2, 0]), real2([0, 3])),
    (complex([2, 3]), complex2([3, 4])), (real([3]), complex2([2, 3, 4])), (complex([2, 1, 2, 3]), complex2([3, 3, 2])),
])]
pub fn matmul(x1: &Tensor, x2: &Tensor) -> Result<Tensor> {
    if x1.ndim() == 0 || x2.ndim() == 0 {
        return Err(Error::new("a scalar has no inner axis").hint("multiply by a scalar with `*`"));
    }
    let dtype = common_dtype(&[x1, x2])?;
    let (row, column) = (x1.ndim() == 1, x2.ndim() == 1);
    let mut a = x1.cast(dtype);
    let mut b = x2.cast(dtype);
    if row {
        a = reshaped(&a, [1, a.size()]);
    }
    if column {
        b = reshaped(&b, [b.size(), 1]);
    }
    let (an, bn) = (a.ndim(), b.ndim());
    let (m, k, k2, n) = (a.shape()[an - 2], a.shape()[an - 1], b.shape()[bn - 2], b.shape()[bn - 1]);
    if k != k2 {
        return Err(inner_sizes_differ(x1, x2, k, k2));
    }
    let y = product(&a, &b, m, k, n)?;
    let drop = |i: usize| (row && i + 2 == y.ndim()) || (column && i + 1 == y.ndim());
    Ok(if row || column { reshaped(&y, y.shape().without(drop)) } else { y })
}

fn inner_sizes_differ(x1: &Tensor, x2: &Tensor, k: usize, k2: usize) -> Error {
    let error = Error::new(format!("inner sizes differ: {} @ {} ({k} against {k2})", x1.spec(), x2.spec()))
        .clash([x1.shape(), x2.shape()], [x1.ndim() - 1, x2.ndim().saturating_sub(2)]);
    let lead = |x: &Tensor| x.shape().iter().copied().take(x.ndim().saturating_sub(2)).collect::<Shape>();
    if lead(x1).broadcast(&lead(x2)).is_none() {
        return error.hint("nor do the leading axes broadcast: are these the operands you meant?");
    }
    let b = x2.shape();
    if b.len() >= 2 && b[b.len() - 1] == k {
        let flipped = Spec::new(x2.dtype(), b.iter().copied().take(b.len() - 2).chain([k, k2]).collect::<Shape>());
        return error.hint(format!("the second operand transposed, `.t()`, is {flipped}, which fits"));
    }
    let a = x1.shape();
    if a.len() >= 2 && a[a.len() - 2] == k2 {
        let m = a[a.len() - 1];
        let flipped = Spec::new(x1.dtype(), a.iter().copied().take(a.len() - 2).chain([m, k2]).collect::<Shape>());
        return error.hint(format!("the first operand transposed, `.t()`, is {flipped}, which fits"));
    }
    error.hint("the last axis of the first operand must be as long as the second-to-last of the second")
}

/// The product of matrices with checked inner sizes and any leading axes.
fn product(a: &Tensor, b: &Tensor, m: usize, k: usize, n: usize) -> Result<Tensor> {
    let lead = |x: &Tensor| x.shape().iter().copied().take(x.ndim() - 2).collect::<Shape>();
    let (la, lb) = (lead(a), lead(b));
    let shape = |lead: &Shape| -> Shape { lead.iter().copied().chain([m, n]).collect() };
    if lb.is_empty() {
        addressable(&shape(&la), a.dtype())?;
        // A batch of rows against one matrix is one product: the weights are not repeated.
        let rows = la.size() * m;
        let y = batched(&reshaped(a, [1, rows, k]), &reshaped(b, [1, k, n]));
        return Ok(reshaped(&y, shape(&la)));
    }
    let batch = la.broadcast(&lb).ok_or_else(|| {
        let back = crate::rule_book::clash(&la, &lb).map_or(-1, |c| c.0);
        Error::new(format!("leading axes do not broadcast: {la} and {lb}"))
            .hint("all axes but the last two are aligned at the right; sizes must be equal, or one of them 1")
            .clash([a.shape(), b.shape()], [&la, &lb].map(|lead| lead.len().saturating_add_signed(back)))
    })?;
    for (rows, cols) in [(m, n), (m, k), (k, n)] {
        addressable(&batch.iter().copied().chain([rows, cols]).collect(), a.dtype())?;
    }
    let flat = |x: &Tensor, rows: usize, cols: usize| {
        let full: Shape = batch.iter().copied().chain([rows, cols]).collect();
        reshaped(&expand(x, &full), [batch.size(), rows, cols])
    };
    let y = batched(&flat(a, m, k), &flat(b, k, n));
    Ok(reshaped(&y, shape(&batch)))
}

/// The Walsh–Hadamard transform of the last axis: its own transpose.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Hadamard;

impl Hadamard {
    fn transpose(&self, _: &Spec, cotangent: &Tensor) -> Tensor {
        super::made(Tensor::apply(Hadamard, [cotangent.clone()]))
    }
}
linear!(Hadamard, |_, _| "ȳ H".to_owned());

impl Primitive for Hadamard {
    fn name(&self) -> &'static str {
        "hadamard_transform"
    }
    fn class(&self) -> Class {
        Class::Contract
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        require_real(x[0])?;
        match x[0].shape.last() {
            Some(n) if n.is_power_of_two() => Ok(x[0].clone()),
            Some(n) => Err(Error::new(format!("the last axis has {n} elements, which is no power of two"))
                .hint("pad it with zeros up to the next power of two")),
            None => Err(Error::new("a scalar has no axis to transform")),
        }
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.alike();
    }
    fn run(&self, x: Inputs, out: &Spec) -> Result<Array> {
        Ok(covector_array::with_dtype!(out.dtype, T => {
            let mut values: Vec<f64> = x[0].to_f64_vec();
            values.chunks_exact_mut(out.shape[out.shape.len() - 1]).for_each(butterflies);
            let rounded: Vec<T> = values.into_iter().map(<T as covector_array::Element>::from_f64).collect();
            Array::from_slice(&rounded, &out.shape)
        }))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        let row = *out.shape.last().unwrap_or(&1);
        halvings(size(out), row, Cost::moving(x, out))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(Hadamard, [x[0].clone()])
    }
}

/// Sums and differences of elements at growing distances.
fn butterflies(row: &mut [f64]) {
    let mut distance = 1;
    while distance < row.len() {
        for block in row.chunks_exact_mut(2 * distance) {
            let (left, right) = block.split_at_mut(distance);
            for (a, b) in left.iter_mut().zip(right) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        distance *= 2;
    }
}

/// The Walsh–Hadamard transform along the last axis: `x @ H`, where `H` is the Hadamard matrix of signs.
///
/// Shapes: as `x`, whose last axis is a power of two long. Floats (integers give f32); summed in f64.
/// Applied twice it multiplies by the length of the axis.
/// # Errors
/// If the last axis is no power of two long, or there is none.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 2.0, 3.0, 4.0]).hadamard_transform().to_vec::<f32>(), [10.0, -2.0, -4.0, 0.0]);
/// ```
/// Source: Sylvester's matrices, SciPy's `linalg.hadamard`.
#[op(samples = [(real([2, 4]),), (real([8]),), (real([2, 1]),)])]
pub fn hadamard_transform(x: &Tensor) -> Result<Tensor> {
    Tensor::apply(Hadamard, [x.cast(x.dtype().to_float())])
}

op_list![matmul, hadamard_transform];
