//! Reading elements by integer indices, and writing them back: the primitives under the indexing ops.
//!
//! Each comes in two layouts. *Rows*: an index names a whole slice along the axis, `take` and its adjoint. *Along*: an
//! index names one element, other axes run in step, `take_along_axis` and its adjoint. Indices are checked when the
//! values are known.

use covector_array::kernels::{self, IndexError, Inputs, Scatter as Mode};
use covector_array::{Array, DType, Shape};

use super::view::{add_batch, expand, permuted, reshaped};
use crate::error::counted;
use crate::plan::cost::{bytes, size};
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::{Cost, Error, Flow, Memory, Result, Spec, Tensor};

/// Where the indices point.
#[derive(Clone, Debug, Hash, PartialEq)]
pub(crate) struct Places {
    /// The axis the indices count along.
    pub axis: usize,
    /// True if an index names one element, false if it names a whole slice.
    pub along: bool,
    /// The axis as the user knows it, for errors: batching moves `axis`. `None`: a tensor taken as one row.
    pub shown: Option<usize>,
}

impl Places {
    /// Slices along `axis`: the layout of `take`.
    pub fn rows(axis: usize) -> Self {
        Places { axis, along: false, shown: Some(axis) }
    }

    /// Elements counted through a tensor in row-major order: the layout of `put`.
    pub fn flat() -> Self {
        Places { axis: 0, along: false, shown: None }
    }

    /// Elements along `axis`: the layout of `take_along_axis`.
    pub fn along(axis: usize) -> Self {
        Places { axis, along: true, shown: Some(axis) }
    }

    /// The shape of what is read from `x` at `indices`.
    fn read(&self, x: &Spec, indices: &Spec) -> Result<Shape> {
        if !indices.dtype.is_int() {
            return Err(Error::new(format!("indices must be integers, not {}", indices.dtype))
                .of_kind(crate::ErrorKind::Index)
                .hint("for a mask use `masked_select`, `masked_fill` or `where_`; otherwise `.cast(DType::I64)`"));
        }
        let axis = self.axis;
        if !self.along {
            let (before, after) = (&x.shape[..axis], &x.shape[axis + 1..]);
            return Ok(before.iter().chain(indices.shape.iter()).chain(after).copied().collect());
        }
        let alike =
            x.shape.len() == indices.shape.len() && x.shape.with_axis(axis, 0) == indices.shape.with_axis(axis, 0);
        if alike {
            return Ok(indices.shape.clone());
        }
        Err(Error::new(format!("shapes {} and {} must be equal except at axis {axis}", x.shape, indices.shape)))
    }

    /// Which axes are the same in what is read from, the indices and what is read: a number for each.
    fn links(&self, ndim: usize, indices: usize) -> [Vec<usize>; 3] {
        let x: Vec<usize> = (0..ndim).collect();
        let new = ndim..ndim + indices;
        let (before, after) = (&x[..self.axis], &x[self.axis + 1..]);
        if self.along {
            let along = [before, &[ndim], after].concat();
            return [x, along.clone(), along];
        }
        let read = before.iter().copied().chain(new.clone()).chain(after.iter().copied()).collect();
        [x, new.collect(), read]
    }

    fn named(&self, e: IndexError) -> Error {
        match self.shown {
            Some(axis) => IndexError { axis, ..e }.into(),
            None => Error::new(format!("index {} is out of range for {} elements in all", e.index, e.size))
                .hint(counted(e.size)),
        }
    }

    /// The places in a batch of bases, and the indices that name them there.
    ///
    /// `base` carries the batch axis; indices of their own for each example turn rows into elements.
    fn batched(&self, base: &Spec, indices: &Tensor, own: bool, size: usize) -> (Places, Tensor) {
        let places = |along| Places { axis: self.axis + 1, along, shown: self.shown };
        match (self.along, own) {
            (false, false) => (places(false), indices.clone()),
            (true, own) => (places(true), if own { indices.clone() } else { add_batch(indices, size) }),
            (false, true) => {
                let count = indices.size() / size.max(1);
                let mut lined = vec![1; base.shape.len()];
                (lined[0], lined[self.axis + 1]) = (size, count);
                let full = base.shape.with_axis(self.axis + 1, count);
                (places(true), expand(&reshaped(indices, lined), &full))
            }
        }
    }
}

/// What `x` holds at `indices`; operands `x`, `indices`.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Gather {
    pub places: Places,
}

/// The elements of `x` at checked places.
pub(crate) fn gather(places: &Places, x: &Tensor, indices: &Tensor) -> Tensor {
    super::made(Tensor::apply(Gather { places: places.clone() }, [x.clone(), indices.clone()]))
}

impl Primitive for Gather {
    fn name(&self) -> &'static str {
        if self.places.along { "take_along_axis" } else { "take" }
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(Spec::new(x[0].dtype, self.places.read(x[0], x[1])?))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        let [x, indices, read] = self.places.links(flow.shape(0).len(), flow.shape(1).len());
        flow.linked(&[&x, &indices], &read);
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        let read = if self.places.along { kernels::take_along } else { kernels::take };
        read(&x[0], &x[1], self.places.axis).map_err(|e| self.places.named(e))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        Cost { read: bytes(x[1]) + bytes(out), ..Cost::moving(x, out) }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        if !has[0] && !self.places.along {
            // One table for all examples: the batch axis is an axis of the indices, and only has to move to the front.
            let y = gather(&self.places, &x[0], &x[1]);
            let axis = self.places.axis;
            let order: Vec<usize> = std::iter::once(axis).chain((0..y.ndim()).filter(|&i| i != axis)).collect();
            return Ok(permuted(&y, &order));
        }
        let base = if has[0] { x[0].clone() } else { add_batch(&x[0], size) };
        let (places, indices) = self.places.batched(base.spec(), &x[1], has[1], size);
        let y = gather(&places, &base, &indices);
        // Rows that became elements lost the shape of their indices.
        let own: Shape = x[1].shape().without(|i| has[1] && i == 0);
        let one = Spec::new(base.dtype(), base.shape().without(|i| i == 0));
        let shape = self.places.read(&one, &Spec::new(x[1].dtype(), own))?;
        Ok(reshaped(&y, shape.with_inserted(0, size)))
    }
}

impl Differentiable for Gather {
    fn jvp(&self, x: &[Tensor], _: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        gather(&self.places, t[0].as_ref().expect("only the first operand is a float"), &x[1])
    }
    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        let zeros = || Tensor::zeros_of(x[0].spec());
        vec![wrt[0].then(|| scatter(&self.places, Mode::Add, &zeros(), &x[1], cotangent)), None]
    }
    fn rule(&self, _: &[&str], _: usize) -> Option<String> {
        Some("Σ ȳ at the places each index was read from".to_owned())
    }
}

/// `base` with `updates` written at `indices`; operands `base`, `indices`, `updates`.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Scatter {
    pub places: Places,
    pub mode: Mode,
}

/// `base` with `updates` written at checked places.
pub(crate) fn scatter(places: &Places, mode: Mode, base: &Tensor, indices: &Tensor, updates: &Tensor) -> Tensor {
    super::made(try_scatter(places, mode, base, indices, updates))
}

/// `base` with `updates` written at `indices`.
///
/// # Errors
/// If the updates have not the shape of what `gather` would read there.
pub(crate) fn try_scatter(
    places: &Places,
    mode: Mode,
    base: &Tensor,
    indices: &Tensor,
    updates: &Tensor,
) -> Result<Tensor> {
    let primitive = Scatter { places: places.clone(), mode };
    Tensor::apply(primitive, [base.clone(), indices.clone(), updates.clone()])
}

impl Primitive for Scatter {
    fn name(&self) -> &'static str {
        match self.mode {
            Mode::Set => "scatter_set",
            Mode::Add => "scatter_add",
            Mode::Max => "scatter_max",
            Mode::Min => "scatter_min",
        }
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let wanted = Spec::new(x[0].dtype, self.places.read(x[0], x[1])?);
        if *x[2] != wanted {
            return Err(Error::new(format!("updates must be {wanted} for these indices, not {}", x[2])));
        }
        Ok(x[0].clone())
    }
    fn label(&self, flow: &mut Flow<'_>) {
        let [x, indices, read] = self.places.links(flow.shape(0).len(), flow.shape(1).len());
        flow.linked(&[&x, &indices, &read], &x);
    }
    fn run(&self, mut x: Inputs, _: &Spec) -> Result<Array> {
        // The base moves into the kernel: if nobody else holds it, it is overwritten in place.
        let base = x.remove(0);
        let write = if self.places.along { kernels::scatter_along } else { kernels::scatter };
        write(base, &x[0], &x[1], self.places.axis, self.mode).map_err(|e| self.places.named(e))
    }
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        let flops = if matches!(self.mode, Mode::Set) { 0 } else { size(x[2]) };
        Cost { flops, memory: Memory::OverFirst, ..Cost::moving(x, out) }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        let whole = |i: usize| if has[i] { x[i].clone() } else { add_batch(&x[i], size) };
        let base = whole(0);
        let (places, indices) = self.places.batched(base.spec(), &x[1], has[1], size);
        let read = places.read(base.spec(), indices.spec())?;
        Ok(scatter(&places, self.mode, &base, &indices, &reshaped(&whole(2), read)))
    }
}

impl Scatter {
    /// Which updates stayed, and which elements of the base were written over, under `Set`.
    fn winners(&self, x: &[Tensor]) -> (Tensor, Tensor) {
        let (base, indices, updates) = (x[0].shape(), &x[1], x[2].shape());
        let (axis, along) = (self.places.axis, self.places.along);
        // Every update writes its own number; the last one to write a place can be read there.
        let shape: Shape = if along { updates[axis..axis + 1].into() } else { indices.shape().clone() };
        let number = Tensor::from_array(kernels::iota(shape.size(), DType::I64));
        let after = updates.len() - axis - shape.len();
        let lined: Shape = shape.iter().copied().chain(std::iter::repeat_n(1, after)).collect();
        let number = expand(&reshaped(&number, lined), updates);
        let nobody = Tensor::from_array(Array::full(base.clone(), -1.0, DType::I64));
        let last = scatter(&self.places, Mode::Set, &nobody, indices, &number);
        (gather(&self.places, &last, indices).equal(number), last.greater(-1))
    }

    /// Which updates and elements of the base attain the result `y` under `Max` or `Min`, and how many share each place.
    fn ties(&self, x: &[Tensor], y: &Tensor) -> Ties {
        let base = x[0].equal(y);
        let updates = x[2].equal(gather(&self.places, y, &x[1]));
        let dtype = y.dtype();
        let count = scatter(&self.places, Mode::Add, &base.cast(dtype), &x[1], &updates.cast(dtype));
        // Only where the result is NaN does nobody attain it.
        Ties { base, updates, count: count.maximum(1.0) }
    }
}

struct Ties {
    base: Tensor,
    updates: Tensor,
    count: Tensor,
}

impl Differentiable for Scatter {
    fn jvp(&self, x: &[Tensor], y: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        let tangent = |i: usize| t[i].clone().unwrap_or_else(|| Tensor::zeros_of(x[i].spec()));
        let write = |mode, base: &Tensor, updates: &Tensor| scatter(&self.places, mode, base, &x[1], updates);
        match self.mode {
            Mode::Set | Mode::Add => write(self.mode, &tangent(0), &tangent(2)),
            Mode::Max | Mode::Min => {
                let ties = self.ties(x, y);
                write(Mode::Add, &ties.base.where_(tangent(0), 0.0), &ties.updates.where_(tangent(2), 0.0)) / ties.count
            }
        }
    }

    fn vjp(&self, x: &[Tensor], y: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        let read = |from: &Tensor| gather(&self.places, from, &x[1]);
        let (base, updates) = match self.mode {
            Mode::Add => (wrt[0].then(|| cotangent.clone()), wrt[2].then(|| read(cotangent))),
            Mode::Set => {
                let (stayed, written) = self.winners(x);
                let base = wrt[0].then(|| written.where_(0.0, cotangent));
                (base, wrt[2].then(|| stayed.where_(read(cotangent), 0.0)))
            }
            Mode::Max | Mode::Min => {
                let ties = self.ties(x, y);
                let share = cotangent / &ties.count;
                let base = wrt[0].then(|| ties.base.where_(&share, 0.0));
                (base, wrt[2].then(|| ties.updates.where_(read(&share), 0.0)))
            }
        };
        vec![base, None, updates]
    }
}

/// The same indices, checked against `size` and counted from 0, as i64.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Checked {
    pub size: usize,
    /// The axis to name in the error.
    pub shown: usize,
}

impl Primitive for Checked {
    fn name(&self) -> &'static str {
        "checked_indices"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        if !x[0].dtype.is_int() {
            return Err(Error::new(format!("indices must be integers, not {}", x[0].dtype))
                .of_kind(crate::ErrorKind::Index)
                .hint("cast first: `.cast(DType::I64)`"));
        }
        Ok(Spec::new(DType::I64, x[0].shape.clone()))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.alike();
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        let counted = kernels::take(&kernels::iota(self.size, DType::I64), &x[0], 0);
        counted.map_err(|e| IndexError { axis: self.shown, ..e }.into())
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("indices are integers")
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(self.clone(), [x[0].clone()])
    }
}
