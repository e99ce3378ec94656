//! The primitive of convolutions: one form, linear in three arrays, by any of which it can be asked for.

use covector_array::Array;
use covector_array::kernels::{Convolution, Inputs, Part};
use smallvec::SmallVec;

use super::create::addressable;
use super::view::{permuted, reshaped};
use super::window::joined;
use crate::plan::cost::size;
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::{Cost, Error, Flow, Result, Spec, Tensor};

/// One of input `[N, C, len..]`, weight `[O, C / groups, k..]` and output `[N, O, out..]`, from the other two in this order.
///
/// The form `Σ x · w · y` of a convolution is linear in each. The output is the convolution, the other two are its
/// gradients; the gradients of each are again the other two. So the three are closed under differentiation.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Convolve {
    pub part: Part,
    pub convolution: Convolution,
    /// The spatial sizes of the result.
    pub sizes: SmallVec<[usize; 3]>,
}

impl Convolve {
    /// Which parts the operands are.
    fn operands(&self) -> [Part; 2] {
        match self.part {
            Part::Input => [Part::Weight, Part::Output],
            Part::Weight => [Part::Input, Part::Output],
            Part::Output => [Part::Input, Part::Weight],
        }
    }

    fn with(&self, operands: [&Tensor; 2]) -> Tensor {
        super::made(Tensor::apply(self.clone(), operands.map(Tensor::clone)))
    }
}

impl Primitive for Convolve {
    fn name(&self) -> &'static str {
        match self.part {
            Part::Input => "conv_transpose",
            Part::Weight => "conv_weight",
            Part::Output => "conv",
        }
    }
    fn class(&self) -> Class {
        Class::Contract
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let (a, b, groups) = (&x[0].shape, &x[1].shape, self.convolution.groups);
        let axes = self.sizes.len() + 2;
        let first = match self.part {
            _ if a.len() != axes || b.len() != axes => None,
            Part::Output => (a[1] == b[1].saturating_mul(groups)).then(|| [a[0], b[0]]),
            Part::Input => (a[0] == b[1]).then(|| [b[0], a[1].saturating_mul(groups)]),
            Part::Weight => (a[0] == b[0]).then(|| [b[1], a[1] / groups]),
        };
        let first = first.ok_or_else(|| Error::new(format!("no convolution of {a} and {b} in {groups} groups")))?;
        let shape = joined(&[&first, &self.sizes]);
        addressable(&shape, x[0].dtype)?;
        Ok(Spec::new(x[0].dtype, shape))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        // Channels of a group are not those of the input.
        let (examples, outputs, inputs, of_group) = (0, 1, 2, if self.convolution.groups == 1 { 2 } else { 3 });
        let channels = |part: Part| match part {
            Part::Input => [examples, inputs],
            Part::Weight => [outputs, of_group],
            Part::Output => [examples, outputs],
        };
        let operands = self.operands();
        flow.linked(&operands.map(channels).each_ref().map(|keys| &keys[..]), &channels(self.part));
        let Some(weight) = operands.iter().position(|&part| part == Part::Weight) else { return };
        let sign = if self.part == Part::Output { -1 } else { 1 };
        for (i, slide) in self.convolution.slides.iter().enumerate().filter(|(_, slide)| slide.step == 1) {
            flow.resized(i + 2, (1 - weight, i + 2));
            flow.varied(i + 2, (weight, i + 2), sign * slide.dilation as i64);
        }
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(self.convolution.run(self.part, &x[0], &x[1], &self.sizes))
    }
    /// Each element of the output is a sum over the weights of its channel.
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        let operands = self.operands();
        let spec = |part: Part| operands.iter().position(|&p| p == part).map_or(out, |i| x[i]);
        let (weight, output) = (spec(Part::Weight), spec(Part::Output));
        let terms = size(weight) / weight.shape[0].max(1) as u64;
        Cost { flops: size(output).saturating_mul(2 * terms), ..Cost::moving(x, out) }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    /// The batch becomes part of an axis that all parts with a batch have, and no other: no product is computed in vain.
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        if size == 0 {
            let spec = |i: usize| Spec::new(x[i].dtype(), x[i].shape().without(|a| has[i] && a == 0));
            let one = self.infer(&[&spec(0), &spec(1)])?;
            return Ok(Tensor::from_array(Array::full(one.shape.with_inserted(0, 0), 0.0, one.dtype)));
        }
        let operands = self.operands();
        let shared = (0..2).find(|&i| !has[i]).map(|i| operands[i]);
        let groups = self.convolution.groups;
        let folded = |i: usize| match seat(operands[i], shared, groups) {
            Some(seat) if has[i] => seat.fold(&x[i]),
            _ => x[i].clone(),
        };
        let mut batched = self.clone();
        if shared.is_none() {
            batched.convolution.groups *= size;
        }
        let y = Tensor::apply(batched, [folded(0), folded(1)])?;
        let seat = seat(self.part, shared, groups).expect("the result has a batch");
        Ok(seat.unfold(&y, size))
    }
}

impl Differentiable for Convolve {
    fn jvp(&self, x: &[Tensor], _: &Tensor, tangents: &[Option<Tensor>]) -> Tensor {
        let left = tangents[0].as_ref().map(|t| self.with([t, &x[1]]));
        let right = tangents[1].as_ref().map(|t| self.with([&x[0], t]));
        left.into_iter().chain(right).reduce(|a, b| a + b).expect("one operand has a tangent")
    }
    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        let operands = self.operands();
        let gradient = |i: usize| {
            let known = |part: Part| if part == self.part { cotangent } else { &x[1 - i] };
            let rule = Convolve { part: operands[i], sizes: x[i].shape()[2..].into(), ..self.clone() };
            rule.with(rule.operands().map(known))
        };
        (0..2).map(|i| wrt[i].then(|| gradient(i))).collect()
    }
    fn rule(&self, _: &[&str], k: usize) -> Option<String> {
        Some(match k {
            0 => "ȳ convolved with the flipped weights".to_owned(),
            _ => "ȳ correlated with the input".to_owned(),
        })
    }
}

/// Where a batch goes in a part: into this axis, behind its first so many groups.
struct Seat {
    axis: usize,
    groups: usize,
}

/// The seat of a batch in `part`, where `shared` is the one part without a batch; `None` in that part.
fn seat(part: Part, shared: Option<Part>, groups: usize) -> Option<Seat> {
    let (axis, groups) = match (shared, part) {
        // More groups, each with its weights.
        (None, Part::Weight) => (0, 1),
        (None, _) => (1, 1),
        // More examples.
        (Some(Part::Weight), Part::Input | Part::Output) => (0, 1),
        // More channels of the output in each group.
        (Some(Part::Input), Part::Weight) => (0, groups),
        (Some(Part::Input), Part::Output) => (1, groups),
        // More channels of the input in each group.
        (Some(Part::Output), Part::Weight) => (1, 1),
        (Some(Part::Output), Part::Input) => (1, groups),
        _ => return None,
    };
    Some(Seat { axis, groups })
}

impl Seat {
    /// `[B, .., groups · n, ..] -> [.., groups · B · n, ..]`.
    fn fold(&self, x: &Tensor) -> Tensor {
        let (axis, batch, channels) = (self.axis, x.shape()[0], x.shape()[1 + self.axis]);
        let (before, after) = (&x.shape()[1..1 + axis], &x.shape()[2 + axis..]);
        let split = joined(&[&[batch], before, &[self.groups, channels / self.groups], after]);
        let order: SmallVec<[usize; 8]> = (1..axis + 2).chain([0]).chain(axis + 2..split.len()).collect();
        reshaped(&permuted(&reshaped(x, split), &order), joined(&[before, &[batch * channels], after]))
    }

    /// `[.., groups · B · n, ..] -> [B, .., groups · n, ..]`.
    fn unfold(&self, y: &Tensor, batch: usize) -> Tensor {
        let (axis, all) = (self.axis, y.shape()[self.axis]);
        let (before, after) = (&y.shape()[..axis], &y.shape()[axis + 1..]);
        let channels = all / batch;
        let split = joined(&[before, &[self.groups, batch, channels / self.groups], after]);
        let order: SmallVec<[usize; 8]> = [axis + 1].into_iter().chain(0..=axis).chain(axis + 2..split.len()).collect();
        reshaped(&permuted(&reshaped(y, split), &order), joined(&[&[batch], before, &[channels], after]))
    }
}
