//! What a primitive must say of itself. Every method is required: a missing rule is a compile error.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use covector_array::kernels::{Inputs, Kernel, Reduction};
use covector_array::{Array, DType};

use crate::marks::Marks;
use crate::ops::leaf::{Argument, Variable};
use crate::{Cost, Flow, Result, Spec, Tensor};

/// How interpreters see a primitive: never by its concrete type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Class {
    /// No operands: a constant, a variable, an argument without a value.
    Leaf,
    /// Element by element over equal shapes.
    Elementwise,
    /// The same elements seen through another layout, without a copy.
    View,
    /// Folds axes away.
    Reduce,
    /// A product summed over shared axes.
    Contract,
    /// Anything else.
    Opaque,
}

/// Hashing of a primitive's static parameters through a trait object; implemented for everything that is `Hash`.
pub trait StructuralHash {
    /// Feeds the parameters to `state`.
    fn structural_hash(&self, state: &mut dyn Hasher);
}

impl<T: Hash> StructuralHash for T {
    fn structural_hash(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }
}

/// An operation with its own rules; everything else is composed of these.
///
/// A primitive has one output. It sees operands of equal dtype and, where it works element by element, equal shape:
/// promotion and broadcasting happen above it, as explicit casts and `broadcast_to`.
pub trait Primitive: Debug + StructuralHash + Send + Sync + 'static {
    /// The name in plans, drawings and errors.
    fn name(&self) -> &'static str;

    /// The class interpreters go by.
    fn class(&self) -> Class;

    /// The result's dtype and shape, or the rule the operands break.
    fn infer(&self, inputs: &[&Spec]) -> Result<Spec>;

    /// Computes the result; operands that nobody else holds may be overwritten.
    fn run(&self, inputs: Inputs, out: &Spec) -> Result<Array>;

    /// As [`run`](Self::run) of borrowed operands, if that is quicker and cannot fail.
    fn run_small(&self, _inputs: &[&Array]) -> Option<Array> {
        None
    }

    /// As [`run`](Self::run), preferably with a result that lies in memory as its transpose would: asked of products.
    fn run_exchanged(&self, inputs: Inputs, out: &Spec) -> Result<Array> {
        self.run(inputs, out)
    }

    /// True if all it does is to exchange the last two axes.
    fn exchanges_last_axes(&self) -> bool {
        false
    }

    /// How it can run in one pass with others, if its last operand has the dtype `key`.
    fn fused(&self, _key: DType) -> Fused<'_> {
        Fused::No
    }

    /// What its result is in a sum of several, asked where the terms of a cotangent are added.
    fn summand(&self) -> Summand {
        Summand::Any
    }

    /// What running it takes; by default what its class does.
    fn cost(&self, inputs: &[&Spec], out: &Spec) -> Cost {
        Cost::of_class(self.class(), inputs, out)
    }

    /// How the axes of the result hang together with those of the operands, asked only where some have labels.
    ///
    /// By default the axes of elementwise results are those of all operands, and of others nothing is known.
    fn label(&self, flow: &mut Flow<'_>) {
        if self.class() == Class::Elementwise {
            flow.alike();
        }
    }

    /// The derivative rules, or why the derivative is zero.
    fn derivative(&self) -> Derivative<'_>;

    /// The same operation on a batch: operands with `batched` carry the batch axis (of `size`) at 0, the others have
    /// none; the result must carry it at 0.
    fn batch(&self, inputs: &[Tensor], batched: &[bool], size: usize) -> Result<Tensor>;
}

/// How tiles of a primitive's result come from tiles of its operands.
pub enum Fused<'a> {
    /// Not at all: the primitive runs by itself.
    No,
    /// Element by element, by this kernel.
    Map(Kernel),
    /// By folding these axes.
    Fold(Reduction, &'a [usize]),
    /// By repeating axes of size 1.
    Repeat,
    /// They are the same elements in the same order.
    Same,
    /// It has no operands, and is one number everywhere.
    Number,
}

/// What a term of a sum is, where several such terms can be had in fewer passes than adding them takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Summand {
    /// Nothing that anything follows from.
    Any,
    /// The operand under another shape.
    Reshaped,
    /// The operand in its place along this axis, and zeros elsewhere.
    Placed {
        /// The axis along which the operand is shorter.
        axis: usize,
        /// Where in it the operand begins.
        start: usize,
    },
    /// The product of two batches of matrices.
    Product,
}

/// A primitive's derivative.
pub enum Derivative<'a> {
    /// It has rules for both modes.
    Rules(&'a dyn Differentiable),
    /// It is zero wherever it exists, for the reason given (integer output, piecewise constant …).
    Zero(&'static str),
    /// The path is cut on purpose or by a change to a dtype without derivatives, for the reason given: zero, but a
    /// gradient all of whose paths end here is an error that names it.
    Cut(&'static str),
}

/// The derivative rules of a primitive. They build tensors from ops and never touch a buffer, so they differentiate again.
pub trait Differentiable {
    /// Forward mode: the tangent of the output, from those of the inputs (at least one is present).
    fn jvp(&self, x: &[Tensor], y: &Tensor, tangents: &[Option<Tensor>]) -> Tensor;

    /// Reverse mode: the cotangents of the inputs in `wrt`, from that of the output; `None` stands for zero.
    fn vjp(&self, x: &[Tensor], y: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>>;

    /// What [`vjp`](Self::vjp) gives operand `k`, for people: `ȳ wᵀ` where the operands are called `x` and `w`.
    ///
    /// The result is called `y` and its cotangent `ȳ`. By default nothing is said.
    fn rule(&self, _names: &[&str], _k: usize) -> Option<String> {
        None
    }
}

/// A shared handle on a primitive: records of the elementwise table are static, the others are made per call.
#[derive(Clone, Debug)]
pub enum Prim {
    /// Lives as long as the program.
    Static(&'static dyn Primitive),
    /// Carries its own parameters.
    Shared(Arc<dyn Primitive>),
    /// The marked argument of a transformation.
    #[doc(hidden)]
    Argument(Argument),
    /// A leaf that requires a gradient.
    #[doc(hidden)]
    Variable(Arc<Variable>),
}

impl Prim {
    /// The transformation tokens of the result: those of the operands, less the derivatives' where there is none.
    pub(crate) fn marks(&self, inputs: &[Tensor]) -> Marks {
        match self {
            Prim::Argument(argument) => argument.0.clone(),
            prim => {
                let all = Marks::union(inputs.iter().map(Tensor::marks));
                if all.is_empty() || matches!(prim.derivative(), Derivative::Rules(_)) {
                    all
                } else {
                    all.without_derivatives()
                }
            }
        }
    }
}

impl Deref for Prim {
    type Target = dyn Primitive;
    fn deref(&self) -> &Self::Target {
        match self {
            Prim::Static(p) => *p,
            Prim::Shared(p) => &**p,
            Prim::Argument(p) => p,
            Prim::Variable(p) => &**p,
        }
    }
}

impl<P: Primitive> From<P> for Prim {
    fn from(p: P) -> Self {
        Prim::Shared(Arc::new(p))
    }
}
