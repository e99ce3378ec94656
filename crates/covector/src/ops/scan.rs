//! Running along an axis: cumulative sums, products and extremes, and differences.
//!
//! The derivatives of all but the sum are linear recurrences along the axis. That is one primitive, whose own derivatives
//! are recurrences again: exact where factors are 0, and closed under both modes to any order.

use covector_array::kernels::{self, Inputs, Reduction};
use covector_array::{Array, Element, with_real_dtype};
use covector_derive::{op, op_list};

use super::complex::{conjugate, require_order};
use super::pad::Pad;
use super::reduce::counted;
use super::view::{Slice, add_batch, linear};
use crate::plan::cost::size;
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::{Axis, Cost, Error, Flow, Prim, Result, Spec, Tensor};

/// `size` elements along `axis`, from `start`.
pub(super) fn piece(x: &Tensor, axis: usize, start: usize, size: usize) -> Tensor {
    let at = |i: usize, here: usize, other: usize| if i == axis { here } else { other };
    let slice = Slice {
        starts: (0..x.ndim()).map(|i| at(i, start, 0)).collect(),
        sizes: (0..x.ndim()).map(|i| at(i, size, x.shape()[i])).collect(),
        steps: (0..x.ndim()).map(|_| 1).collect(),
    };
    super::made(Tensor::apply(slice, [x.clone()]))
}

/// `lo` zeros before and `hi` after, along `axis`.
pub(super) fn padded(x: &Tensor, axis: usize, lo: usize, hi: usize) -> Tensor {
    let at = |n: usize| (0..x.ndim()).map(|i| if i == axis { n } else { 0 }).collect();
    super::made(Tensor::apply(Pad { lo: at(lo), hi: at(hi), interior: at(0) }, [x.clone()]))
}

/// The element one step earlier along `axis` (later, if `reverse`); 0 for the first.
fn before(x: &Tensor, axis: usize, reverse: bool) -> Tensor {
    let n = x.shape()[axis];
    match (n, reverse) {
        (0, _) => x.clone(),
        (_, false) => padded(&piece(x, axis, 0, n - 1), axis, 1, 0),
        (_, true) => padded(&piece(x, axis, 1, n - 1), axis, 0, 1),
    }
}

/// The products `y` of everything up to an element turned into those of everything before it.
fn exclusive(y: &Tensor, axis: usize, reverse: bool) -> Tensor {
    let n = y.shape()[axis];
    if n == 0 {
        return y.clone();
    }
    let line: Vec<usize> = (0..y.ndim()).map(|i| if i == axis { n } else { 1 }).collect();
    let first = if reverse { n - 1 } else { 0 };
    let unit: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i == first))).collect();
    before(y, axis, reverse) + Tensor::from_array(Array::from_slice(&unit, &line[..])).cast(y.dtype())
}

/// For each element the product of all others along `axis`.
pub(super) fn products_of_others(x: &Tensor, axis: usize) -> Tensor {
    let [up_to, from] = [false, true].map(|reverse| {
        let products = super::made(Tensor::apply(CumProd { axis, reverse }, [x.clone()]));
        exclusive(&products, axis, reverse)
    });
    up_to * from
}

/// Running sums.
#[derive(Clone, Debug, Hash)]
struct CumSum {
    axis: usize,
    reverse: bool,
}

impl CumSum {
    fn transpose(&self, _: &Spec, cotangent: &Tensor) -> Tensor {
        super::made(Tensor::apply(CumSum { axis: self.axis, reverse: !self.reverse }, [cotangent.clone()]))
    }
}
linear!(CumSum, |_, _| "sums of ȳ from the other end".to_owned());

impl Primitive for CumSum {
    fn name(&self) -> &'static str {
        "cumsum"
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
        Ok(kernels::scan(Reduction::Sum, &x[0], self.axis, self.reverse))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(CumSum { axis: self.axis + 1, reverse: self.reverse }, [x[0].clone()])
    }
}

/// Running products.
#[derive(Clone, Debug, Hash)]
struct CumProd {
    axis: usize,
    reverse: bool,
}

impl Primitive for CumProd {
    fn name(&self) -> &'static str {
        "cumprod"
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
        Ok(kernels::scan(Reduction::Prod, &x[0], self.axis, self.reverse))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(CumProd { axis: self.axis + 1, reverse: self.reverse }, [x[0].clone()])
    }
}

impl Differentiable for CumProd {
    /// From `y = x · before(y)`: the tangent obeys `dy = x · before(dy) + dx · before(y)`.
    fn jvp(&self, x: &[Tensor], y: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        let t = t[0].as_ref().expect("the one operand has a tangent");
        Recurrence { axis: self.axis, reverse: self.reverse }.of(&x[0], &(t * exclusive(y, self.axis, self.reverse)))
    }
    fn vjp(&self, x: &[Tensor], y: &Tensor, cotangent: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        let back = Recurrence { axis: self.axis, reverse: !self.reverse };
        let arrived = back.of(&conjugate(&before(&x[0], self.axis, back.reverse)), cotangent);
        vec![Some(arrived * conjugate(&exclusive(y, self.axis, self.reverse)))]
    }
}

/// `h = a · before(h) + b` along an axis, from `h = b` at the first element; operands `a`, `b`.
#[derive(Clone, Debug, Hash)]
struct Recurrence {
    axis: usize,
    reverse: bool,
}

impl Recurrence {
    fn of(&self, a: &Tensor, b: &Tensor) -> Tensor {
        super::made(Tensor::apply(self.clone(), [a.clone(), b.clone()]))
    }

    /// Carried in f64, rounded once per element.
    fn fill<T: Element>(&self, a: &[T], b: &[T], out: &mut [T], n: usize, inner: usize) {
        let mut carry = vec![0.0; inner];
        for block in 0..out.len() / (n * inner).max(1) {
            carry.fill(0.0);
            for k in 0..n {
                let at = (block * n + if self.reverse { n - 1 - k } else { k }) * inner;
                for (i, h) in carry.iter_mut().enumerate() {
                    let b = b[at + i].to_f64();
                    *h = if k == 0 { b } else { a[at + i].to_f64() * *h + b };
                    out[at + i] = T::from_f64(*h);
                }
            }
        }
    }
}

impl Primitive for Recurrence {
    fn name(&self) -> &'static str {
        "recurrence"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        if x[0] != x[1] {
            return Err(Error::new(format!("factors {} and terms {} must look alike", x[0], x[1])));
        }
        Ok(x[0].clone())
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.alike();
    }
    fn run(&self, x: Inputs, out: &Spec) -> Result<Array> {
        if out.dtype.is_complex() {
            return Ok(kernels::complex_recurrence(&x[0], &x[1], self.axis, self.reverse));
        }
        let (a, b) = (x[0].contiguous(), x[1].contiguous());
        let (n, inner) = (out.shape[self.axis], out.shape[self.axis + 1..].iter().product());
        Ok(with_real_dtype!(out.dtype, T => Array::build::<T>(out.shape.clone(), |out| {
            let (a, b) = (a.as_slice::<T>().expect("contiguous"), b.as_slice::<T>().expect("contiguous"));
            self.fill(a, b, out, n, inner);
        })))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        Cost { flops: 2 * size(out), ..Cost::moving(x, out) }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        let [a, b] = [0, 1].map(|i| if has[i] { x[i].clone() } else { add_batch(&x[i], size) });
        Tensor::apply(Recurrence { axis: self.axis + 1, reverse: self.reverse }, [a, b])
    }
}

impl Differentiable for Recurrence {
    fn jvp(&self, x: &[Tensor], y: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        let through = t[0].as_ref().map(|ta| ta * before(y, self.axis, self.reverse));
        let terms = through.into_iter().chain(t[1].clone()).reduce(|a, b| a + b).expect("one operand has a tangent");
        self.of(&x[0], &terms)
    }
    fn vjp(&self, x: &[Tensor], y: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        let back = Recurrence { axis: self.axis, reverse: !self.reverse };
        let arrived = back.of(&conjugate(&before(&x[0], self.axis, back.reverse)), cotangent);
        let through = || &arrived * conjugate(&before(y, self.axis, self.reverse));
        vec![wrt[0].then(through), wrt[1].then_some(arrived.clone())]
    }
}

/// Running extremes; elements that attain the running extreme share its derivative equally.
#[derive(Clone, Debug, Hash)]
struct CumExtreme {
    axis: usize,
    largest: bool,
}

/// What the derivative of a running extreme needs to know.
struct Records {
    /// Where an element attains the running extreme.
    hit: Tensor,
    /// 1 where the extreme is that of the element before.
    same: Tensor,
    /// How many elements up to here attain it.
    count: Tensor,
}

impl CumExtreme {
    fn forward(&self) -> Recurrence {
        Recurrence { axis: self.axis, reverse: false }
    }

    fn records(&self, x: &Tensor, y: &Tensor) -> Records {
        let hit = x.equal(y);
        let same = y.equal(before(y, self.axis, false)).cast(y.dtype());
        // Only from a NaN on does nobody attain it.
        let count = self.forward().of(&same, &hit.cast(y.dtype())).maximum(1.0);
        Records { hit, same, count }
    }
}

impl Primitive for CumExtreme {
    fn name(&self) -> &'static str {
        if self.largest { "cummax" } else { "cummin" }
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        require_order(x[0])?;
        Ok(x[0].clone())
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.alike();
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        let op = if self.largest { Reduction::Max } else { Reduction::Min };
        Ok(kernels::scan(op, &x[0], self.axis, false))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(CumExtreme { axis: self.axis + 1, largest: self.largest }, [x[0].clone()])
    }
}

impl Differentiable for CumExtreme {
    fn jvp(&self, x: &[Tensor], y: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        let t = t[0].as_ref().expect("the one operand has a tangent");
        let Records { hit, same, count } = self.records(&x[0], y);
        self.forward().of(&same, &hit.where_(t, 0.0)) / count
    }
    fn vjp(&self, x: &[Tensor], y: &Tensor, cotangent: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        let Records { hit, same, count } = self.records(&x[0], y);
        let back = Recurrence { axis: self.axis, reverse: true };
        let arrived = back.of(&before(&same, self.axis, true), &(cotangent / count));
        vec![Some(hit.where_(arrived, 0.0))]
    }
    fn rule(&self, _: &[&str], _: usize) -> Option<String> {
        Some("Σ ȳ where it was the extreme".to_owned())
    }
}

fn along<P: Into<Prim>>(x: &Tensor, axis: Axis, make: impl FnOnce(usize) -> P) -> Result<Tensor> {
    Tensor::apply(make(x.axis(axis)?), [x.clone()])
}

/// The sums of everything up to each element along `axis`.
///
/// Shapes: as `x`. Integers stay as they are and wrap, bool counts in i64; f32 is summed in f64 and halves in f32.
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 2.0, 3.0]).cumsum(0).to_vec::<f32>(), [1.0, 3.0, 6.0]);
/// ```
/// Source: NumPy's `cumsum`.
#[op(samples = [(real([2, 3]), -1), (real([3, 2]), 0), (real([2, 3, 2]), 1), (real([0]), 0), (complex([2, 3]), -1)])]
pub fn cumsum(x: &Tensor, axis: Axis) -> Result<Tensor> {
    along(&counted(x), axis, |axis| CumSum { axis, reverse: false })
}

/// The products of everything up to each element along `axis`.
///
/// Shapes: as `x`. Integers stay as they are and wrap, bool counts in i64; f32 is multiplied in f64 and halves in f32.
/// The derivative is exact also where elements are 0.
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::{Tensor, grad};
/// let x = Tensor::from([2.0f32, 0.0, 4.0]);
/// assert_eq!(x.cumprod(0).to_vec::<f32>(), [2.0, 0.0, 0.0]);
/// assert_eq!(grad(|x: &Tensor| x.cumprod(0).sum(..))(&x).to_vec::<f32>(), [1.0, 10.0, 0.0]);
/// ```
/// Source: NumPy's `cumprod`.
#[op(samples = [
    (real([2, 3]), -1), (real([3, 2]), 0), (real([2, 3, 2]), 1),
    (exactly(&[1.5, 0.0, -2.0, 0.0, 0.7, 0.0, 1.2, 0.4], [2, 4]), -1), (complex([2, 3]), -1),
])]
pub fn cumprod(x: &Tensor, axis: Axis) -> Result<Tensor> {
    along(&counted(x), axis, |axis| CumProd { axis, reverse: false })
}

/// The largest of everything up to each element along `axis`.
///
/// Shapes: as `x`. Any dtype. From a NaN on the result is NaN, and its derivative 0. The derivative goes to the elements
/// so far that attain the extreme, in equal shares.
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 3.0, 2.0]).cummax(0).to_vec::<f32>(), [1.0, 3.0, 3.0]);
/// ```
/// Source: PyTorch's `cummax` (values), NumPy's `maximum.accumulate`.
#[op(samples = [(real([2, 4]), -1), (real([4, 2]), 0), (real([2, 3, 2]), 1)])]
pub fn cummax(x: &Tensor, axis: Axis) -> Result<Tensor> {
    along(x, axis, |axis| CumExtreme { axis, largest: true })
}

/// The smallest of everything up to each element along `axis`.
///
/// Shapes: as `x`. Any dtype. From a NaN on the result is NaN, and its derivative 0. The derivative goes to the elements
/// so far that attain the extreme, in equal shares.
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([2.0f32, 1.0, 3.0]).cummin(0).to_vec::<f32>(), [2.0, 1.0, 1.0]);
/// ```
/// Source: PyTorch's `cummin` (values), NumPy's `minimum.accumulate`.
#[op(samples = [(real([2, 4]), -1), (real([4, 2]), 0), (real([2, 3, 2]), 1)])]
pub fn cummin(x: &Tensor, axis: Axis) -> Result<Tensor> {
    along(x, axis, |axis| CumExtreme { axis, largest: false })
}

/// The differences of neighbours along `axis`, taken `n` times.
///
/// Shapes: `axis` shrinks by `n`, at most to nothing. Integers wrap, bool counts as i64.
/// # Errors
/// If the axis is out of range.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([1.0f32, 4.0, 9.0, 16.0]);
/// assert_eq!(x.diff(1, 0).to_vec::<f32>(), [3.0, 5.0, 7.0]);
/// assert_eq!(x.diff(2, 0).to_vec::<f32>(), [2.0, 2.0]);
/// ```
/// Source: NumPy's `diff`.
#[op(samples = [(real([5]), 1, 0), (real([2, 4]), 2, -1), (real([3, 2]), 1, 0), (real([2, 2]), 3, 1), (real([3]), 0, 0), (complex([2, 4]), 1, -1)])]
pub fn diff(x: &Tensor, n: usize, axis: Axis) -> Result<Tensor> {
    let axis = x.axis(axis)?;
    let mut y = counted(x);
    for left in (0..n.min(x.shape()[axis])).map(|i| x.shape()[axis] - i - 1) {
        y = piece(&y, axis, 1, left) - piece(&y, axis, 0, left);
    }
    Ok(y)
}

op_list![cumsum, cumprod, cummax, cummin, diff];
