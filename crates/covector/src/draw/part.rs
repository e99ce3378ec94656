//! One step of a drawing.

use std::fmt::Write;

use super::text::{self, numbers};
use crate::{Class, Derivative, Prim, Tensor};

/// A step of a [`Drawing`](super::Drawing): a leaf, a primitive, or an op the user called.
#[derive(Clone)]
pub struct Part {
    pub(super) node: Tensor,
    pub(super) op: &'static str,
    /// The primitive whose rule speaks for the step, if one does.
    pub(super) prim: Option<Prim>,
    pub(super) name: Option<String>,
    pub(super) operands: Vec<usize>,
    /// For each operand what this part adds to its gradient.
    pub(super) terms: Vec<Option<Tensor>>,
    pub(super) gradient: Option<Tensor>,
    pub(super) result: bool,
}

impl Part {
    pub(super) fn new(node: &Tensor, operands: Vec<usize>) -> Part {
        let (terms, prim) = (vec![None; operands.len()], node.primitive().clone());
        let (op, prim) = (prim.name(), Some(prim));
        Part { node: node.clone(), op, prim, name: None, operands, terms, gradient: None, result: false }
    }

    /// The tensor the step made.
    pub fn tensor(&self) -> &Tensor {
        &self.node
    }

    /// The primitive, or the op the user called once the drawing is folded.
    pub fn op(&self) -> &'static str {
        self.op
    }

    /// The name it was given.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The positions of the operands among the drawing's parts.
    pub fn operands(&self) -> &[usize] {
        &self.operands
    }

    /// For each operand what this step adds to its gradient, where the drawing has gradients.
    pub fn terms(&self) -> &[Option<Tensor>] {
        &self.terms
    }

    /// The gradient of the result with respect to this step.
    pub fn gradient(&self) -> Option<&Tensor> {
        self.gradient.as_ref()
    }

    /// True if it is one of the results that are drawn.
    pub fn is_result(&self) -> bool {
        self.result
    }

    /// The cotangent of operand `k` as a formula in the operands' names, if one primitive speaks for the step.
    pub fn rule(&self, names: &[&str], k: usize) -> Option<String> {
        match self.prim.as_ref()?.derivative() {
            Derivative::Rules(rules) => rules.rule(names, k),
            _ => None,
        }
    }

    /// The number, for a scalar constant without a name, and for a number that met a tensor.
    pub fn number(&self) -> Option<String> {
        let constant = self.operands.is_empty() && self.name.is_none();
        let number = self.node.ndim() == 0 || self.node.primitive().name() == "number";
        if constant && number { text::first_number(&self.node) } else { None }
    }

    /// What the primitive was told, where the shapes do not say it.
    pub fn settings(&self) -> String {
        let primitive = self.node.primitive();
        if self.op != primitive.name() || !matches!(primitive.class(), Class::Reduce | Class::View) {
            return String::new();
        }
        let text = format!("{:?}", &**primitive);
        let inside =
            text.split_once("{ ").and_then(|(_, rest)| rest.rsplit_once(" }")).map_or("", |(inside, _)| inside);
        if inside.starts_with("shape:") { String::new() } else { inside.to_owned() }
    }

    pub(super) fn label(&self) -> String {
        if let Some(number) = self.number() {
            return number;
        }
        let leaf = self.operands.is_empty();
        let mut text = match &self.name {
            Some(name) if leaf => text::escaped(name),
            Some(name) => format!("{} = {}", text::escaped(name), self.op),
            None => self.op.to_owned(),
        };
        let _ = write!(text, "<br>{}", self.node.spec());
        for (what, tensor) in [("data", Some(&self.node)), ("grad", self.gradient.as_ref())] {
            if let Some(numbers) = tensor.and_then(numbers) {
                let _ = write!(text, "<br>{what} {numbers}");
            }
        }
        text
    }
}
