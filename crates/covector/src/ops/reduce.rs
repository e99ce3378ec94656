//! Folding axes away: sums, products, extremes.

use covector_array::kernels::{self, Inputs, Reduction};
use covector_array::{Array, DType, Shape};
use covector_derive::{op, op_list};
use smallvec::SmallVec;

use super::complex::{conjugate, require_order};
use super::scan::products_of_others;
use super::view::{expand, linear, reshaped};
use crate::primitive::{Class, Derivative, Differentiable, Fused, Primitive};
use crate::{Axes, Error, Flow, Result, Spec, Tensor, keep};

/// The axes a reduction folds away, sorted.
pub(super) type Folded = SmallVec<[usize; 6]>;

/// The sum over `axes`, which are dropped.
pub(crate) fn sum_axes(x: &Tensor, axes: &[usize]) -> Tensor {
    if axes.is_empty() {
        return x.clone();
    }
    super::made(Tensor::apply(Sum { axes: SmallVec::from_slice(axes) }, [x.clone()]))
}

pub(super) fn dropped(x: &Spec, axes: &[usize]) -> Shape {
    x.shape.without(|i| axes.contains(&i))
}

/// `y` with the reduced axes put back as size 1, so that it broadcasts against the operand.
pub(super) fn kept(x: &Shape, axes: &[usize]) -> Shape {
    x.iter().enumerate().map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect()
}

/// `y`, reduced from `x` over `axes`, repeated back to the shape of `x`.
fn spread(x: &Shape, axes: &[usize], y: &Tensor) -> Tensor {
    expand(&reshaped(y, kept(x, axes)), x)
}

fn shifted(axes: &[usize]) -> Folded {
    axes.iter().map(|a| a + 1).collect()
}

/// The sum over some axes.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Sum {
    pub axes: Folded,
}

impl Sum {
    fn transpose(&self, x: &Spec, cotangent: &Tensor) -> Tensor {
        spread(&x.shape, &self.axes, cotangent)
    }
}
linear!(Sum, |s, _| format!("ȳ, repeated over axes {:?}", &s.axes[..]));

impl Primitive for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn class(&self) -> Class {
        Class::Reduce
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(Spec::new(x[0].dtype, dropped(x[0], &self.axes)))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.dropped(&self.axes);
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::reduce(Reduction::Sum, &x[0], &self.axes))
    }
    fn fused(&self, _: DType) -> Fused<'_> {
        Fused::Fold(Reduction::Sum, &self.axes)
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(Sum { axes: shifted(&self.axes) }, [x[0].clone()])
    }
}

/// The product over one axis; several are folded one after the other.
#[derive(Clone, Debug, Hash)]
struct Product {
    axis: usize,
}

impl Primitive for Product {
    fn name(&self) -> &'static str {
        "prod"
    }
    fn class(&self) -> Class {
        Class::Reduce
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(Spec::new(x[0].dtype, dropped(x[0], &[self.axis])))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.dropped(&[self.axis]);
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(kernels::reduce(Reduction::Prod, &x[0], &[self.axis]))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(Product { axis: self.axis + 1 }, [x[0].clone()])
    }
}

impl Differentiable for Product {
    fn jvp(&self, x: &[Tensor], _: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        let t = t[0].as_ref().expect("the one operand has a tangent");
        sum_axes(&(products_of_others(&x[0], self.axis) * t), &[self.axis])
    }
    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        // Not y / x: that fails where an element is 0.
        vec![Some(conjugate(&products_of_others(&x[0], self.axis)) * spread(x[0].shape(), &[self.axis], cotangent))]
    }
    fn rule(&self, _: &[&str], _: usize) -> Option<String> {
        Some("ȳ · the product of the others".to_owned())
    }
}

/// The largest or smallest element over some axes; ties share the derivative equally.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Extreme {
    pub axes: Folded,
    pub largest: bool,
}

impl Extreme {
    /// 1/n at each of the n elements that attain the extreme, 0 elsewhere.
    fn shares(&self, x: &Tensor, y: &Tensor) -> Tensor {
        let hit = x.equal(spread(x.shape(), &self.axes, y)).cast(x.dtype());
        let count = spread(x.shape(), &self.axes, &sum_axes(&hit, &self.axes));
        hit / count
    }
}

impl Primitive for Extreme {
    fn name(&self) -> &'static str {
        if self.largest { "max" } else { "min" }
    }
    fn class(&self) -> Class {
        Class::Reduce
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        require_order(x[0])?;
        if let Some(&axis) = self.axes.iter().find(|&&a| x[0].shape[a] == 0) {
            return Err(Error::new(format!("axis {axis} of {} is empty: it has no {}", x[0].shape, self.name())));
        }
        Ok(Spec::new(x[0].dtype, dropped(x[0], &self.axes)))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.dropped(&self.axes);
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        let op = if self.largest { Reduction::Max } else { Reduction::Min };
        Ok(kernels::reduce(op, &x[0], &self.axes))
    }
    fn fused(&self, _: DType) -> Fused<'_> {
        Fused::Fold(if self.largest { Reduction::Max } else { Reduction::Min }, &self.axes)
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(Extreme { axes: shifted(&self.axes), largest: self.largest }, [x[0].clone()])
    }
}

impl Differentiable for Extreme {
    fn jvp(&self, x: &[Tensor], y: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        let t = t[0].as_ref().expect("the one operand has a tangent");
        sum_axes(&(self.shares(&x[0], y) * t), &self.axes)
    }
    fn vjp(&self, x: &[Tensor], y: &Tensor, cotangent: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![Some(self.shares(&x[0], y) * spread(x[0].shape(), &self.axes, cotangent))]
    }
    fn rule(&self, names: &[&str], _: usize) -> Option<String> {
        Some(format!("ȳ where {} is y, shared by ties", names.first()?))
    }
}

/// bool in i64, others as they are: in which type numbers are added and multiplied.
pub(super) fn counted(x: &Tensor) -> Tensor {
    if x.dtype() == DType::Bool { x.cast(DType::I64) } else { x.clone() }
}

/// The number of elements that fold into one.
pub(super) fn count(x: &Tensor, axes: &[usize]) -> f64 {
    axes.iter().map(|&a| x.shape()[a] as f64).product()
}

/// Halves in f32, others as they are: in which type sums of squares, products and exponentials are formed.
pub(super) fn widened(x: &Tensor) -> Tensor {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.cast(DType::F32),
        _ => x.clone(),
    }
}

/// Applies a reduction: resolves the axes, and keeps them if asked to.
pub(super) fn reduced<P: Into<crate::Prim>>(x: &Tensor, axes: &Axes, make: impl FnOnce(Folded) -> P) -> Result<Tensor> {
    let folded = axes.resolve(x.ndim())?;
    let y = Tensor::apply(make(folded.clone()), [x.clone()])?;
    Ok(if axes.keepdims { put_back(x, &folded, &y) } else { y })
}

/// `y`, reduced from `x`, with the reduced axes as size 1.
fn put_back(x: &Tensor, folded: &[usize], y: &Tensor) -> Tensor {
    let axes = (0..x.ndim()).map(|i| (!folded.contains(&i)).then_some(i));
    reshaped(y, kept(x.shape(), folded)).named(&x.names().picked(axes))
}

/// The sum over `axes`.
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]. Integers stay as they are and wrap, bool counts in
/// i64; f16 and bf16 are summed in f32. The sum over nothing is 0. The order of summation is fixed.
/// # Errors
/// If an axis is out of range or named twice.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// assert_eq!(x.sum(0).to_vec::<f32>(), [4.0, 6.0]);
/// assert_eq!(x.sum(..).item::<f32>(), 10.0);
/// ```
/// Source: NumPy's `sum`.
#[op(samples = [(real([2, 3]), 0), (real([2, 3, 4]), [0, -1]), (real([2, 3]), keep(-1)), (real(()), ..), (real([0, 2]), 0), (complex([2, 3, 4]), [0, -1])])]
pub fn sum(x: &Tensor, axes: Axes) -> Result<Tensor> {
    reduced(&counted(x), &axes, |axes| Sum { axes })
}

/// The product over `axes`.
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]. Integers stay as they are and wrap,
/// bool counts in i64. The product over nothing is 1. The derivative is exact also where elements are 0.
/// # Errors
/// If an axis is out of range or named twice.
/// # Example
/// ```
/// use covector::{Tensor, grad};
/// let x = Tensor::from([2.0f32, 0.0, 4.0]);
/// assert_eq!(x.prod(..).item::<f32>(), 0.0);
/// assert_eq!(grad(|x: &Tensor| x.prod(..))(&x).to_vec::<f32>(), [0.0, 8.0, 0.0]);
/// ```
/// Source: NumPy's `prod`.
#[op(samples = [
    (real([2, 3]), 0), (real([2, 3, 2]), keep([0, -1])), (real(()), ..), (real([0, 2]), 0),
    (exactly(&[1.5, 0.0, -2.0, 0.0, 0.7, 0.0], [2, 3]), -1), (complex([2, 3, 2]), [0, 2]), (complex([0, 2]), 0),
])]
pub fn prod(x: &Tensor, axes: Axes) -> Result<Tensor> {
    let folded = axes.resolve(x.ndim())?;
    let x = &counted(x);
    let mut y = widened(x);
    if folded.len() == y.ndim() {
        y = reshaped(&y, [y.size()]);
        y = Tensor::apply(Product { axis: 0 }, [y])?;
    } else {
        for &axis in folded.iter().rev() {
            y = Tensor::apply(Product { axis }, [y])?;
        }
    }
    let y = y.cast(x.dtype());
    Ok(if axes.keepdims { put_back(x, &folded, &y) } else { y })
}

/// The mean over `axes`.
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]. Integers and bool give f32.
/// The mean over nothing is NaN.
/// # Errors
/// If an axis is out of range or named twice.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 2.0, 6.0]).mean(..).item::<f32>(), 3.0);
/// ```
/// Source: NumPy's `mean`.
#[op(samples = [(real([2, 3]), 0), (real([2, 3, 4]), [0, 2]), (real([2, 3]), keep(1)), (real([5]), ..), (complex([2, 3]), 0)],
    notes = "rule=x̄ = ȳ/n, repeated over the axes")]
pub fn mean(x: &Tensor, axes: Axes) -> Result<Tensor> {
    let n = count(x, &axes.resolve(x.ndim())?);
    let float = x.dtype().to_float();
    Ok((widened(&x.cast(float)).sum(axes) / n).cast(float))
}

/// The largest element over `axes`.
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]. NaN wins. At a tie the derivative is shared
/// equally among the elements that attain it.
/// # Errors
/// If an axis is out of range, named twice or empty.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 5.0, 2.0]).max(..).item::<f32>(), 5.0);
/// ```
/// Source: NumPy's `max` (`amax` in PyTorch).
#[op(samples = [(real([2, 3]), 0), (real([2, 3, 4]), [0, 2]), (real([2, 3]), keep(-1)), (real([5]), ..)])]
pub fn max(x: &Tensor, axes: Axes) -> Result<Tensor> {
    reduced(x, &axes, |axes| Extreme { axes, largest: true })
}

/// The smallest element over `axes`.
///
/// Shapes: the axes are dropped, or kept with size 1 under [`keep`]. NaN wins. At a tie the derivative is shared
/// equally among the elements that attain it.
/// # Errors
/// If an axis is out of range, named twice or empty.
/// # Example
/// ```
/// use covector::Tensor;
/// assert_eq!(Tensor::from([1.0f32, 5.0, 2.0]).min(..).item::<f32>(), 1.0);
/// ```
/// Source: NumPy's `min` (`amin` in PyTorch).
#[op(samples = [(real([2, 3]), 0), (real([2, 3, 4]), [0, 2]), (real([2, 3]), keep(-1)), (real([5]), ..)])]
pub fn min(x: &Tensor, axes: Axes) -> Result<Tensor> {
    reduced(x, &axes, |axes| Extreme { axes, largest: false })
}

op_list![sum, prod, mean, max, min];
