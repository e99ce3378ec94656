//! Attention, which never stores the scores of all queries and keys.
//!
//! The formula is a composite of a product, a softmax and a product. The primitives compute it and its gradient a few queries
//! at a time; whatever else is asked of them (tangents, gradients of the mask, derivatives of the gradient) is asked of the
//! formula.

use covector_array::kernels::{self, Inputs};
use covector_array::{Array, DType, Shape};
use covector_derive::{op, op_list};

use super::concat::joined;
use super::reduce::widened;
use super::shape::part;
use super::view::{add_batch, expand, permuted, reshaped};
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::{Cost, Error, Flow, Result, Spec, Tensor, jvp, keep, vjp};

/// Attention: each query's mean of the values, weighted by `softmax(q kᵀ / sqrt(d))` over the keys.
///
/// Shapes: `q [.., t, d], k [.., s, d], v [.., s, e] -> [.., t, e]`, leading axes broadcast; the mask broadcasts to
/// `[.., t, s]`. A bool mask is true where a query may attend, a float mask is added to the scores; `causal` lets query i
/// attend to the keys 0 to i. Dtypes are promoted; halves are computed in f32. A query that may attend to nothing gets
/// zeros, and gives no derivative.
/// # Errors
/// If an operand has less than two axes, sizes do not fit, or the mask is neither bool nor float or does not broadcast.
/// # Example
/// ```
/// use covector::Tensor;
/// let x = Tensor::from([[1.0f32, 0.0], [0.0, 1.0]]);
/// let y = x.scaled_dot_product_attention(&x, &x, None, true);
/// assert_eq!(y.to_vec::<f32>()[..2], [1.0, 0.0]);
/// ```
/// Source: Vaswani et al. 2017, "Attention is all you need"; PyTorch's `scaled_dot_product_attention`.
#[op(samples = [
    (real([3, 2]), real2([4, 2]), real([4, 3]), (), false), (real([2, 3, 2]), real2([2, 3, 2]), real([2, 3, 2]), (), true),
    (real([2, 2]), real2([3, 2]), real([3, 2]), bools([2, 3]), false),
    (real([2, 2, 2]), real2([3, 2]), real([2, 3, 1]), real2([2, 1, 3]), true),
], notes = "rule=q̄ = s̄ k/√d with s̄ = p·(p̄ - Σ p̄·p), p̄ = ȳ vᵀ | k̄ = s̄ᵀ q/√d | v̄ = pᵀ ȳ")]
pub fn scaled_dot_product_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
    causal: bool,
) -> Result<Tensor> {
    if let Some(x) = [q, k, v].into_iter().find(|x| x.ndim() < 2) {
        return Err(Error::new(format!("q, k and v must be [.., tokens, features], not {}", x.shape())));
    }
    let last = |x: &Tensor, back: usize| x.shape()[x.ndim() - back];
    if last(q, 1) != last(k, 1) {
        return Err(Error::new(format!("queries have {} features, keys {}", last(q, 1), last(k, 1)))
            .hint("q is [.., queries, d], k [.., keys, d] and v [.., keys, e]")
            .clash([q.shape(), k.shape()], [q.ndim() - 1, k.ndim() - 1]));
    }
    if last(k, 2) != last(v, 2) {
        return Err(Error::new(format!("there are {} keys and {} values", last(k, 2), last(v, 2)))
            .hint("q is [.., queries, d], k [.., keys, d] and v [.., keys, e]")
            .clash([k.shape(), v.shape()], [k.ndim() - 2, v.ndim() - 2]));
    }
    let dtype = q.dtype().promote(k.dtype()).promote(v.dtype()).to_float();
    let [q, k, v] = [q, k, v].map(|x| widened(&x.cast(dtype)));
    let Some(lead) = common(&q, &k, &v) else {
        return Ok(formula(&q, &k, &v, mask, causal)?.cast(dtype));
    };
    let spread = |x: &Tensor| expand(x, &lead.iter().chain(&x.shape()[x.ndim() - 2..]).copied().collect());
    let scores: Shape = lead.iter().copied().chain([last(&q, 2), last(&k, 2)]).collect();
    let mask = mask.map(|mask| fitting(mask, &scores, q.dtype())).transpose()?;
    let operands = [&q, &k, &v].map(spread).into_iter().chain(mask);
    Ok(Tensor::apply(Attention { causal, packed: false }, operands)?.cast(dtype))
}

/// The leading axes of all three, if there are any keys and queries at all.
fn common(q: &Tensor, k: &Tensor, v: &Tensor) -> Option<Shape> {
    let [q, k, v] = [q, k, v].map(|x| Shape::from(&x.shape()[..x.ndim() - 2]));
    q.broadcast(&k)?.broadcast(&v)
}

/// Self-attention with several heads, of queries, keys and values side by side, as one linear map gives them.
///
/// Shapes: `qkv [.., t, 3 width] -> [.., t, width]`, where the queries of all heads come first, then the keys, then the values,
/// and `heads` divides the width; the mask broadcasts to `[.., heads, t, t]`. Masks, `causal`, dtypes and queries that may
/// attend to nothing are as in [`scaled_dot_product_attention`]. The gradient lies in memory as `qkv` does, without copies.
/// # Errors
/// If there are less than two axes, the heads do not divide a third of the last one, or the mask is neither bool nor float or
/// does not broadcast.
/// # Example
/// ```
/// use covector::Tensor;
/// let qkv = Tensor::from([[0.0f32, 0.0, 1.0], [0.0, 0.0, 3.0]]);
/// assert_eq!(qkv.self_attention(1, None, true).to_vec::<f32>(), [1.0, 2.0]);
/// ```
/// Source: Vaswani et al. 2017, "Attention is all you need".
#[op(samples = [
    (real([3, 6]), 1, (), true), (real([2, 2, 12]), 2, (), false), (real([2, 6]), 2, bools([2, 2]), false),
    (real([2, 2, 6]), 2, real2([2, 1, 2, 2]), true),
], notes = "rule=v̄ = pᵀ ȳ, q̄ = s̄ k/√d, k̄ = s̄ᵀ q/√d with s̄ = p·(p̄ - Σ p̄·p), p̄ = ȳ vᵀ")]
pub fn self_attention(qkv: &Tensor, heads: usize, mask: Option<&Tensor>, causal: bool) -> Result<Tensor> {
    if qkv.ndim() < 2 {
        return Err(Error::new(format!("queries, keys and values must be [.., tokens, 3 width], not {}", qkv.shape())));
    }
    let (lead, rest) = qkv.shape().split_at(qkv.ndim() - 2);
    let (t, width) = (rest[0], rest[1]);
    if heads == 0 || !width.is_multiple_of(3 * heads) {
        return Err(Error::new(format!("{width} features are no queries, keys and values of {heads} heads")).hint(
            "the last axis holds the queries of all heads, then their keys, then their values: 3 · heads · features",
        ));
    }
    let dtype = qkv.dtype().to_float();
    let d = width / (3 * heads);
    let split = lead.iter().copied().chain([t, 3, heads, d]).collect::<Shape>();
    let n = lead.len();
    // The parts first, then the leading axes, heads, tokens and features.
    let order: Vec<usize> = [n + 1].into_iter().chain(0..n).chain([n + 2, n, n + 3]).collect();
    let x = permuted(&reshaped(&widened(&qkv.cast(dtype)), split).literal(n + 1), &order);
    let scores: Shape = x.shape()[1..n + 2].iter().copied().chain([t, t]).collect();
    let mask = mask.map(|mask| fitting(mask, &scores, x.dtype())).transpose()?;
    let y = Tensor::apply(Attention { causal, packed: true }, [x].into_iter().chain(mask))?;
    let order: Vec<usize> = (0..n).chain([n + 1, n, n + 2]).collect();
    let together: Shape = lead.iter().copied().chain([t, heads * d]).collect();
    Ok(reshaped(&permuted(&y, &order), together).cast(dtype))
}

/// The mask, as large as the scores, and if it is of floats in their dtype.
fn fitting(mask: &Tensor, scores: &Shape, dtype: DType) -> Result<Tensor> {
    if mask.shape().broadcast(scores).as_ref() != Some(scores) {
        return Err(Error::new(format!("the mask {} does not broadcast to the scores {scores}", mask.shape())));
    }
    match mask.dtype() {
        DType::Bool => Ok(expand(mask, scores)),
        d if d.is_float() => Ok(expand(&mask.cast(dtype), scores)),
        other => Err(Error::new(format!("the mask must be bool or float, not {other}"))
            .hint("true means: may attend; `.cast(DType::Bool)` makes that of 0 and 1")),
    }
}

/// Attention as a composite of operands in the float they are computed in.
fn formula(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>, causal: bool) -> Result<Tensor> {
    let mut scores = (q * scale(q.shape())).try_matmul(&k.transpose(-2, -1))?;
    if let Some(mask) = mask {
        let mask = fitting(mask, scores.shape(), scores.dtype())?;
        // Added, not selected: the derivative then needs no mask, as the weights are 0 there.
        let offsets = if mask.dtype() == DType::Bool { mask.where_(0.0, f64::NEG_INFINITY) } else { mask };
        scores = &scores + offsets.cast(scores.dtype());
    }
    let (t, s) = (scores.shape()[scores.ndim() - 2], scores.shape()[scores.ndim() - 1]);
    if causal {
        let [query, key] = [t, s].map(|n| Tensor::from_array(kernels::iota(n, DType::I64)));
        let later = key.greater(reshaped(&query, [t, 1]));
        scores = &scores + later.where_(f64::NEG_INFINITY, 0.0).cast(scores.dtype());
    }
    if s == 0 { scores.try_matmul(v) } else { mixed(&scores, v) }
}

/// What queries are multiplied with.
fn scale(q: &Shape) -> f64 {
    1.0 / (q[q.len() - 1].max(1) as f64).sqrt()
}

/// The means of `v` weighted by the softmax of the scores, divided after the product: there are fewer numbers then.
fn mixed(scores: &Tensor, v: &Tensor) -> Result<Tensor> {
    let largest = scores.max(keep(-1)).stop_gradient();
    let largest = largest.isfinite().where_(largest, 0.0);
    let weights = (scores - largest).exp();
    let sum = weights.sum(keep(-1));
    let sum = sum.equal(0.0).where_(1.0, sum);
    Ok(weights.try_matmul(v)? / sum)
}

/// Attention of `q [.., t, d], k [.., s, d], v [.., s, e]` with the same leading axes, or of their stack `[3, .., t, d]`
/// if `packed`, and of a mask `[.., t, s]` if there is one.
#[derive(Clone, Debug, Hash)]
struct Attention {
    causal: bool,
    packed: bool,
}

/// The cotangents of an [`Attention`]'s queries, keys and values, from its operands and the cotangent of its result: flat and
/// one after another, or stacked if they are.
#[derive(Clone, Debug, Hash)]
struct AttentionBackward(Attention);

impl Attention {
    /// The number of operands before the mask.
    fn parts(&self) -> usize {
        if self.packed { 1 } else { 3 }
    }

    /// Queries, keys and values.
    fn split(&self, x: &[Tensor]) -> [Tensor; 3] {
        if !self.packed {
            return [0, 1, 2].map(|i| x[i].clone());
        }
        let one = x[0].shape().without(|i| i == 0);
        [0, 1, 2].map(|i| reshaped(&part(&x[0], 0, i, i + 1), one.clone()))
    }

    fn formula(&self, x: &[Tensor]) -> Tensor {
        let [q, k, v] = self.split(x);
        super::made(formula(&q, &k, &v, x.get(self.parts()), self.causal))
    }

    /// The operands of the kernel; `rest` is left of the others.
    fn kernel(&self, x: &[Array], mask: Option<&Array>) -> kernels::Attention {
        let [q, k, v] = if self.packed { kernels::thirds(&x[0]) } else { [0, 1, 2].map(|i| x[i].clone()) };
        let scale = scale(q.shape());
        kernels::Attention { q, k, v, mask: mask.cloned(), causal: self.causal, scale }
    }

    /// The pairs of a query and a key that may be met, the results, and the features of keys and values.
    fn sizes(&self, x: &[&Spec]) -> [u64; 4] {
        let last = |i: usize, back: usize| {
            let shape = &x[if self.packed { 0 } else { i }].shape;
            shape[shape.len() - back]
        };
        let (t, s, d, e) = (last(0, 2), last(1, 2), last(0, 1), last(2, 1));
        let of_one = if self.causal { (1..=t).map(|seen| seen.min(s)).sum() } else { t * s };
        let queries = &x[0].shape[usize::from(self.packed)..x[0].shape.len() - 2];
        let heads: usize = queries.iter().product();
        [heads * of_one, heads * t * e, d, e].map(|n| n as u64)
    }

    /// The operands of a batch, of which those with `has` carry its axis at 0: all carry it then, behind the parts' axis.
    fn batched(&self, x: &[Tensor], has: &[bool], size: usize) -> Vec<Tensor> {
        let mut all: Vec<Tensor> =
            x.iter().zip(has).map(|(x, &has)| if has { x.clone() } else { add_batch(x, size) }).collect();
        if self.packed {
            all[0] = swapped(&all[0]);
        }
        all
    }
}

/// The first two axes exchanged.
fn swapped(x: &Tensor) -> Tensor {
    let order: Vec<usize> = [1, 0].into_iter().chain(2..x.ndim()).collect();
    permuted(x, &order)
}

/// The rows of queries and the features of values put together: the shape of a result.
fn result(q: &Shape, v: &Shape) -> Shape {
    q[..q.len() - 1].iter().chain(v.last()).copied().collect()
}

impl Primitive for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        if !matches!(x[0].dtype, DType::F32 | DType::F64) {
            return Err(Error::new(format!("attention is computed in f32 or f64, not {}", x[0].dtype)));
        }
        if self.packed {
            return Ok(Spec::new(x[0].dtype, x[0].shape.without(|i| i == 0)));
        }
        Ok(Spec::new(x[0].dtype, result(&x[0].shape, &x[2].shape)))
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.subscripts(if self.packed { "p...td,...tt->...td" } else { "...td,...sd,...se,...ts->...te" });
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        Ok(self.kernel(&x, x.get(self.parts())).forward())
    }
    /// For each pair a score, the largest one, a difference, its exponential and the sum, and a part of a mean; divisions.
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        let [pairs, results, d, e] = self.sizes(x);
        Cost { flops: pairs.saturating_mul(2 * d + 2 * e + 4).saturating_add(results), ..Cost::moving(x, out) }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        Tensor::apply(self.clone(), self.batched(x, has, size))
    }
}

impl Differentiable for Attention {
    fn jvp(&self, x: &[Tensor], _: &Tensor, tangents: &[Option<Tensor>]) -> Tensor {
        pushed(|x| self.formula(x), x, tangents)
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        let parts = self.parts();
        if wrt.get(parts).is_some_and(|&mask| mask) {
            return pulled(|x| self.formula(x), x, cotangent, wrt);
        }
        let backward = AttentionBackward(self.clone());
        let operands = x.iter().chain([cotangent]).cloned();
        let all = super::made(Tensor::apply(backward, operands));
        let mut terms = if self.packed { vec![Some(all)] } else { unpacked(&all, x).map(Some).to_vec() };
        terms.iter_mut().zip(wrt).for_each(|(term, &wanted)| *term = term.take().filter(|_| wanted));
        terms.resize(x.len(), None);
        terms
    }
    fn rule(&self, _: &[&str], _: usize) -> Option<String> {
        Some("through the weights p = softmax(scores): v̄ = pᵀ ȳ, s̄ = p·(p̄ - Σ p̄·p)".to_owned())
    }
}

/// The parts of a flat tensor that have the shapes of the first operands.
fn unpacked(all: &Tensor, x: &[Tensor]) -> [Tensor; 3] {
    let mut start = 0;
    [0, 1, 2].map(|i| {
        let stop = start + x[i].size();
        let one = reshaped(&part(all, 0, start, stop), x[i].shape().clone());
        start = stop;
        one
    })
}

impl AttentionBackward {
    /// The composite: what the formula's own rules give.
    fn formula(&self, x: &[Tensor]) -> Tensor {
        let (cotangent, operands) = x.split_last().expect("the cotangent is the last operand");
        let parts = self.0.split(operands).to_vec();
        let mask = operands.get(self.0.parts());
        let f = |x: &Vec<Tensor>| super::made(formula(&x[0], &x[1], &x[2], mask, self.0.causal));
        let gradients = vjp(f, &parts).1.call(cotangent);
        let shaped = |g: &Tensor| match self.0.packed {
            true => reshaped(g, g.shape().with_inserted(0, 1)),
            false => reshaped(g, [g.size()]),
        };
        joined(&gradients.iter().map(shaped).collect::<Vec<_>>(), 0)
    }
}

impl Primitive for AttentionBackward {
    fn name(&self) -> &'static str {
        "attention_backward"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        if self.0.packed {
            return Ok(x[0].clone());
        }
        Ok(Spec::new(x[0].dtype, [x[..3].iter().map(|x| x.shape.size()).sum::<usize>()]))
    }
    fn run(&self, x: Inputs, _: &Spec) -> Result<Array> {
        let (cotangent, operands) = x.split_last().expect("the cotangent is the last operand");
        let kernel = self.0.kernel(operands, operands.get(self.0.parts()));
        Ok(if self.0.packed { kernel.backward_packed(&x[0], cotangent) } else { kernel.backward(cotangent) })
    }
    /// For each pair the score again and its weight, that weight's slope, and parts of three gradients.
    fn cost(&self, x: &[&Spec], out: &Spec) -> Cost {
        let [pairs, _, d, e] = self.0.sizes(x);
        Cost { flops: pairs.saturating_mul(6 * d + 4 * e + 7), ..Cost::moving(x, out) }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], has: &[bool], size: usize) -> Result<Tensor> {
        let all = self.0.batched(x, has, size);
        let y = Tensor::apply(self.clone(), all.iter().cloned())?;
        if self.0.packed {
            return Ok(swapped(&y));
        }
        let flat = unpacked(&y, &all).map(|part| reshaped(&part, [size, part.size() / size.max(1)]));
        Ok(joined(&flat, 1))
    }
}

impl Differentiable for AttentionBackward {
    fn jvp(&self, x: &[Tensor], _: &Tensor, tangents: &[Option<Tensor>]) -> Tensor {
        pushed(|x| self.formula(x), x, tangents)
    }
    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        pulled(|x| self.formula(x), x, cotangent, wrt)
    }
}

/// The operands that are chosen, and all of them again with others in their place.
fn chosen(x: &[Tensor], which: impl Fn(usize) -> bool) -> (Vec<Tensor>, impl Fn(&[Tensor]) -> Vec<Tensor>) {
    let places: Vec<usize> = (0..x.len()).filter(|&i| which(i)).collect();
    let picked = places.iter().map(|&i| x[i].clone()).collect();
    let replaced = move |new: &[Tensor]| {
        let mut all = x.to_vec();
        places.iter().zip(new).for_each(|(&i, new)| all[i] = new.clone());
        all
    };
    (picked, replaced)
}

/// The tangent of `f(x)` by the rules of what `f` is made of.
fn pushed(f: impl Fn(&[Tensor]) -> Tensor, x: &[Tensor], tangents: &[Option<Tensor>]) -> Tensor {
    let (picked, replaced) = chosen(x, |i| tangents[i].is_some());
    let tangents: Vec<Tensor> = tangents.iter().flatten().cloned().collect();
    jvp(|picked: &Vec<Tensor>| f(&replaced(picked)), &picked, &tangents).1
}

/// The cotangents of the operands that are wanted, by the rules of what `f` is made of.
fn pulled(f: impl Fn(&[Tensor]) -> Tensor, x: &[Tensor], cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
    let (picked, replaced) = chosen(x, |i| wrt[i]);
    let mut found = vjp(|picked: &Vec<Tensor>| f(&replaced(picked)), &picked).1.call(cotangent).into_iter();
    wrt.iter().map(|&wanted| if wanted { found.next() } else { None }).collect()
}

op_list![scaled_dot_product_attention, self_attention];
