//! Nodes without operands, and the identities that mark or cut.

use std::sync::Mutex;

use covector_array::kernels::Inputs;
use covector_array::{Array, DType};

use crate::marks::Marks;
use crate::primitive::{Class, Derivative, Differentiable, Fused, Primitive};
use crate::{Cost, Error, Flow, Result, Spec, Tensor};

fn no_rule() -> ! {
    unreachable!("a leaf has its spec from birth and is never run, batched or differentiated through")
}

/// What is known from the start.
#[derive(Debug, Hash)]
pub(crate) enum Constant {
    /// Numbers given from outside.
    Given,
    /// One number that met a tensor, everywhere in the tensor's shape.
    Number,
}

impl Primitive for Constant {
    fn name(&self) -> &'static str {
        match self {
            Constant::Given => "constant",
            Constant::Number => "number",
        }
    }
    fn class(&self) -> Class {
        Class::Leaf
    }
    fn infer(&self, _: &[&Spec]) -> Result<Spec> {
        no_rule()
    }
    fn run(&self, _: Inputs, _: &Spec) -> Result<Array> {
        no_rule()
    }
    fn fused(&self, _: DType) -> Fused<'_> {
        match self {
            Constant::Given => Fused::No,
            Constant::Number => Fused::Number,
        }
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("it is a constant")
    }
    fn batch(&self, _: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        no_rule()
    }
}

/// Numbers given away: the evaluation that needs them takes their buffer.
#[derive(Debug)]
pub(crate) struct Donated(pub Mutex<Option<Array>>);

impl std::hash::Hash for Donated {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Primitive for Donated {
    fn name(&self) -> &'static str {
        "donated"
    }
    fn class(&self) -> Class {
        Class::Leaf
    }
    fn infer(&self, _: &[&Spec]) -> Result<Spec> {
        no_rule()
    }
    fn run(&self, _: Inputs, _: &Spec) -> Result<Array> {
        let mut held = self.0.lock().unwrap_or_else(|e| e.into_inner());
        // Who checks plans runs them twice.
        let array = if crate::plan::is_verified() { held.clone() } else { held.take() };
        array.ok_or_else(|| {
            Error::new("numbers that were given away were taken by an evaluation that failed")
                .hint("make the constant anew: `Tensor::donated` gives its buffer to the first evaluation")
        })
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("it is a constant")
    }
    fn batch(&self, _: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        no_rule()
    }
}

/// A leaf that requires a gradient, and the gradient `backward` has left on it.
#[derive(Debug, Default)]
pub struct Variable(pub(crate) Mutex<Option<Tensor>>);

impl std::hash::Hash for Variable {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Primitive for Variable {
    fn name(&self) -> &'static str {
        "variable"
    }
    fn class(&self) -> Class {
        Class::Leaf
    }
    fn infer(&self, _: &[&Spec]) -> Result<Spec> {
        no_rule()
    }
    fn run(&self, _: Inputs, _: &Spec) -> Result<Array> {
        no_rule()
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("it is a leaf")
    }
    fn batch(&self, _: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        no_rule()
    }
}

/// An argument that has a shape but no value: what a function under `vmap` sees of one example.
#[derive(Debug, Hash)]
pub(crate) struct Placeholder(pub &'static str);

impl Primitive for Placeholder {
    fn name(&self) -> &'static str {
        "placeholder"
    }
    fn class(&self) -> Class {
        Class::Leaf
    }
    fn infer(&self, _: &[&Spec]) -> Result<Spec> {
        no_rule()
    }
    fn run(&self, _: Inputs, out: &Spec) -> Result<Array> {
        let stands_for = if self.0 == "compile" { "the values of every call" } else { "all examples at once" };
        Err(Error::new(format!(
            "the value of an argument of `{}` ({out}) was read inside the function it was given to",
            self.0
        ))
        .hint(format!(
            "inside `{}` an argument stands for {stands_for}: use ops (`where_`, `cast`, …) instead of reading it",
            self.0
        )))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("it is an argument")
    }
    fn batch(&self, _: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        no_rule()
    }
}

/// An identity that carries fresh marks: what a transformation makes of its arguments.
#[derive(Clone, Debug)]
pub struct Argument(pub(crate) Marks);

impl std::hash::Hash for Argument {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Primitive for Argument {
    fn name(&self) -> &'static str {
        "argument"
    }
    fn class(&self) -> Class {
        Class::View
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(x[0].clone())
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.alike();
    }
    fn run(&self, mut x: Inputs, _: &Spec) -> Result<Array> {
        Ok(x.swap_remove(0))
    }
    fn fused(&self, _: DType) -> Fused<'_> {
        Fused::Same
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(&Identity)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Ok(x[0].clone())
    }
}

/// The rules of an identity.
pub(crate) struct Identity;

impl Differentiable for Identity {
    fn jvp(&self, _: &[Tensor], _: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        t[0].clone().expect("an identity has one tangent")
    }
    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        let mut all = vec![None; x.len()];
        all[0] = Some(cotangent.clone());
        all
    }
    fn rule(&self, _: &[&str], _: usize) -> Option<String> {
        Some("ȳ".to_owned())
    }
}

/// An identity that cuts the derivative.
#[derive(Debug, Hash)]
pub(crate) struct StopGradient;

impl Primitive for StopGradient {
    fn name(&self) -> &'static str {
        "stop_gradient"
    }
    fn class(&self) -> Class {
        Class::View
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(x[0].clone())
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.alike();
    }
    fn run(&self, mut x: Inputs, _: &Spec) -> Result<Array> {
        Ok(x.swap_remove(0))
    }
    fn fused(&self, _: DType) -> Fused<'_> {
        Fused::Same
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Cut("stop_gradient cuts the derivative on purpose")
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(StopGradient, [x[0].clone()])
    }
}

/// An identity whose result has labels of its own.
#[derive(Debug, Hash)]
pub(crate) struct Restated;

impl Primitive for Restated {
    fn name(&self) -> &'static str {
        "labelled"
    }
    fn class(&self) -> Class {
        Class::View
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(x[0].clone())
    }
    fn run(&self, mut x: Inputs, _: &Spec) -> Result<Array> {
        Ok(x.swap_remove(0))
    }
    fn fused(&self, _: DType) -> Fused<'_> {
        Fused::Same
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(&Identity)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(Restated, [x[0].clone()])
    }
}

/// The first operand, which becomes available only once the second is: keeps recomputation from starting early.
#[derive(Debug, Hash)]
pub(crate) struct After;

impl Primitive for After {
    fn name(&self) -> &'static str {
        "after"
    }
    fn class(&self) -> Class {
        Class::Opaque
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(x[0].clone())
    }
    fn label(&self, flow: &mut Flow<'_>) {
        flow.first();
    }
    fn run(&self, mut x: Inputs, _: &Spec) -> Result<Array> {
        Ok(x.swap_remove(0))
    }
    fn cost(&self, _: &[&Spec], _: &Spec) -> Cost {
        Cost::nothing()
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(&Identity)
    }
    fn batch(&self, x: &[Tensor], batched: &[bool], size: usize) -> Result<Tensor> {
        let value = if batched[0] { x[0].clone() } else { super::view::add_batch(&x[0], size) };
        Tensor::apply(After, [value, x[1].clone()])
    }
}
