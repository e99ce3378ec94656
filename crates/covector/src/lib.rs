//! Tensors and automatic differentiation.
//!
//! A [`Tensor`] is a value and the record of how it was produced. From that record programs are run, differentiated in
//! both modes to any order, and batched.
#![forbid(unsafe_code)]

extern crate self as covector;

mod axes;
mod convert;
mod display;
pub mod draw;
mod error;
mod formula;
mod labels;
mod literal;
mod marks;
mod operand;
pub mod ops;
mod plan;
mod primitive;
pub mod record;
pub mod registry;
pub mod rule_book;
pub mod scalar;
mod site;
mod slicing;
pub mod spelling;
mod tensor;
mod transform;
pub mod tree;
mod walk;

pub use axes::{Axes, Axis, Ints, keep};
pub use convert::Nested;
pub use covector_array::{
    Array, DType, Element, Shape, bf16, c64, c128, f16, kernels, live_bytes, peak_bytes, threads, trim_pool,
};
pub use covector_derive::Tree;
pub use error::{Clash, Error, ErrorKind, Result};
pub use formula::Formula;
pub use labels::{Described, Flow, Label, Labels, Written};
#[doc(hidden)]
pub use literal::{Literal, literal};
pub use operand::Operand;
pub use ops::linalg::MatrixNorm;
pub use ops::pad::Widths;
pub use ops::random::{self, Key};
pub use plan::{Cost, ExplainedResult, ExplainedStep, Explanation, Memory, Place, Source, explain};
pub use plan::{eval, set_verify, try_eval, try_eval_stepwise};
pub use primitive::{Class, Derivative, Differentiable, Fused, Prim, Primitive, StructuralHash, Summand};
pub use record::record;
pub use site::{Line, Site, at_line};
pub use slicing::{Ellipsis, Index, Indices, NewAxis, Span};
pub use tensor::{Operands, Spec, Tensor, live_nodes};
pub use transform::compile::{compile, compile_owned};
pub use transform::custom::{checkpoint, custom_jvp, custom_vjp};
pub use transform::forward::{Linearized, jvp, linearize, try_jvp};
pub use transform::jacobian::{hessian, hvp, jacfwd, jacrev};
pub use transform::reverse::{Pullback, grad, try_value_and_grad, value_and_grad, vjp};
pub use transform::vmap::{BatchAxes, try_vmap, vmap, vmap_with};
pub use tree::Tree;

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
