//! Tensors taken apart: a small tensor computation repeated number by number on a tape.

use std::collections::HashMap;

use covector_array::{Array, DType};
use smallvec::smallvec;

use super::Value;
use crate::ops::elementwise::TABLE;
use crate::primitive::{Class, Derivative};
use crate::tensor::Operands;
use crate::walk::Listing;
use crate::{Error, Result, Spec, Tensor};

/// The elements of a tensor, in row-major order.
type Elements<'t> = Vec<Value<'t>>;

/// The computation of `output` repeated with scalars: its elements in row-major order, as values on the leaves' tape.
///
/// Each leaf is a tensor `output` was made from, and a value for each of its elements in row-major order. Other tensors
/// without operands count as constants. It knows elementwise ops, views, sums and matrix products, computes in f64 and
/// adds one after the other; so figures differ from those of other dtypes and orders by rounding.
/// # Panics
/// If an op is of another kind, or a tensor was evaluated and has forgotten what it was made from.
/// # Example
/// ```
/// use covector::{Tensor, scalar};
/// let w = Tensor::from([1.0f64, 2.0]).requires_grad();
/// let tape = scalar::Tape::new();
/// let w_elements = [tape.named("w0", 1.0), tape.named("w1", 2.0)];
/// let y = scalar::explode(&w.square().sum(..), &[(&w, &w_elements)]);
/// assert_eq!(y[0].data(), 5.0);
/// assert_eq!(y[0].backward().of(w_elements[1]), 4.0);
/// ```
#[track_caller]
pub fn explode<'t>(output: &Tensor, leaves: &[(&Tensor, &[Value<'t>])]) -> Elements<'t> {
    match try_explode(output, leaves) {
        Ok(values) => values,
        Err(e) => e.raise(),
    }
}

/// As [`explode`], with an error instead of a panic.
///
/// # Errors
/// Names the op that is of another kind, or the tensor that has forgotten its history, and the line that made it.
pub fn try_explode<'t>(output: &Tensor, leaves: &[(&Tensor, &[Value<'t>])]) -> Result<Elements<'t>> {
    let mut given: HashMap<usize, &[Value<'t>]> = HashMap::new();
    for (leaf, values) in leaves {
        if leaf.size() != values.len() {
            return Err(Error::new(format!("explode: {} values for the leaf {}", values.len(), leaf.spec())));
        }
        given.insert(leaf.key(), values);
    }
    let oldest = leaves.iter().map(|(leaf, _)| leaf.id()).min().unwrap_or(u64::MAX);
    let list = Listing::walk(std::slice::from_ref(output), |t| {
        !given.contains_key(&t.key()) && t.primitive().class() != Class::Leaf
    });
    let mut elements: Vec<Elements<'t>> = Vec::with_capacity(list.nodes.len());
    for (node, operands) in list.nodes.iter().zip(&list.operands) {
        let made = match given.get(&node.key()) {
            Some(values) => Ok(values.to_vec()),
            None if operands.is_empty() => constant(node, oldest),
            None => {
                let x: Vec<&[Value<'t>]> = operands.iter().map(|&i| &elements[i as usize][..]).collect();
                repeat(node, &node.inputs(), &x)
            }
        };
        let (site, inputs) = (node.site(), node.inputs());
        let operands = |all: &mut Vec<_>| all.extend(inputs.iter().map(Tensor::described));
        elements.push(made.map_err(|e| e.located(site.op, site.location, operands))?);
    }
    let at = list.find(output).expect("the output is listed");
    Ok(elements.swap_remove(at))
}

/// A tensor without operands, as plain numbers.
fn constant<'t>(node: &Tensor, oldest: u64) -> Result<Elements<'t>> {
    if node.primitive().class() != Class::Leaf && node.id() > oldest {
        let message = format!("{} was evaluated and has forgotten what it was made from", node.spec());
        return Err(Error::new(message).hint(
            "explode before reading values, make the leaves with `.requires_grad()`, or give this tensor as a leaf",
        ));
    }
    if node.dtype().is_complex() {
        return Err(Error::new(format!("{} cannot be taken apart into real scalars", node.spec())));
    }
    Ok(node.try_value()?.to_f64_vec().into_iter().map(Value::from).collect())
}

/// The elements of a node from those of its operands.
fn repeat<'t>(node: &Tensor, inputs: &Operands, x: &[&[Value<'t>]]) -> Result<Elements<'t>> {
    let primitive = node.primitive();
    if node.dtype().is_complex() {
        return Err(Error::new(format!("{} cannot be taken apart into real scalars", node.spec())));
    }
    match (primitive.class(), primitive.name()) {
        (Class::Elementwise, "cast") => Ok(x[0].iter().map(|v| cast(*v, node.dtype())).collect()),
        (Class::Elementwise, name) => {
            let op = TABLE.iter().find(|op| op.name == name && op.scalar.is_some()).ok_or_else(|| unknown(name))?;
            let element = |i: usize| {
                let others: Operands3<'t> = x[1..].iter().map(|x| x[i]).collect();
                x[0][i].apply(op, &others)
            };
            Ok((0..node.size()).map(element).collect())
        }
        (Class::View, name) => {
            let from = primitive.run(smallvec![positions(&inputs[0])], &Spec::new(DType::I64, node.shape().clone()))?;
            let moved = from.to_i64_vec().into_iter().map(|i| x[0][i as usize]);
            // What is cut stays cut.
            Ok(if name == "stop_gradient" { moved.map(|v| Value::from(v.data())).collect() } else { moved.collect() })
        }
        (Class::Reduce, "sum") => sum(node, inputs, x[0]),
        (Class::Contract, "matmul") => Ok(matmul(inputs, x)),
        (_, name) => Err(unknown(name)),
    }
}

type Operands3<'t> = smallvec::SmallVec<[Value<'t>; 2]>;

fn unknown(name: &str) -> Error {
    Error::new(format!("`{name}` cannot be taken apart into scalars"))
        .hint("elementwise ops on floats, views, sums and matrix products can")
}

/// The positions 0, 1, .. of the elements, in the shape of `x`.
fn positions(x: &Tensor) -> Array {
    Array::from_slice(&(0..x.size() as i64).collect::<Vec<_>>(), x.shape().clone())
}

fn cast(v: Value<'_>, to: DType) -> Value<'_> {
    match to {
        to if to.is_float() => v,
        DType::Bool => v.not_equal(0.0),
        _ => v.trunc(),
    }
}

/// Which sum an element goes into is what the transpose says when it spreads the sums' positions.
fn sum<'t>(node: &Tensor, inputs: &Operands, x: &[Value<'t>]) -> Result<Elements<'t>> {
    let Derivative::Rules(rules) = node.primitive().derivative() else { return Err(unknown("sum")) };
    let spread = rules.vjp(inputs, node, &Tensor::from_array(positions(node)), &[true]);
    let spread = spread[0].as_ref().ok_or_else(|| unknown("sum"))?.try_value()?;
    let mut sums: Vec<Option<Value<'t>>> = vec![None; node.size()];
    for (v, to) in x.iter().zip(spread.to_i64_vec()) {
        let sum = &mut sums[to as usize];
        *sum = Some(sum.map_or(*v, |s| s + v));
    }
    Ok(sums.into_iter().map(|s| s.unwrap_or(Value::from(0.0))).collect())
}

/// `[B, m, k] @ [B, k, n]`.
fn matmul<'t>(inputs: &Operands, x: &[&[Value<'t>]]) -> Elements<'t> {
    let (a, b) = (inputs[0].shape(), inputs[1].shape());
    let (m, k, n) = (a[1], a[2], b[2]);
    let element = |i: usize| {
        let (batch, row, column) = (i / (m * n), i / n % m, i % n);
        let product = |j: usize| x[0][(batch * m + row) * k + j] * x[1][(batch * k + j) * n + column];
        (0..k).map(product).sum()
    };
    (0..a[0] * m * n).map(element).collect()
}
