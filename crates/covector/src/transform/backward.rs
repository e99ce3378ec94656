//! The tape-like habit: leaves that require a gradient, `loss.backward()`, `leaf.grad()`.

use std::panic::Location;
use std::sync::Arc;

use crate::marks::{Marks, VARIABLES};
use crate::ops::leaf::Variable;
use crate::transform::reverse::{Sweep, refuse_cut, require_scalar};
use crate::walk::Listing;
use crate::{Error, Prim, Result, Tensor};

impl Tensor {
    /// A leaf with this value that collects a gradient when [`backward`](Self::backward) is called on what is made from it.
    ///
    /// ```
    /// use covector::Tensor;
    /// let w = Tensor::from([1.0f32, 2.0]).requires_grad();
    /// w.square().sum(..).backward();
    /// assert_eq!(w.grad().unwrap().to_vec::<f32>(), [2.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn requires_grad(&self) -> Tensor {
        match self.try_requires_grad() {
            Ok(t) => t,
            Err(e) => e.raise(),
        }
    }

    /// As [`requires_grad`](Self::requires_grad), with an error instead of a panic.
    ///
    /// # Errors
    /// If the dtype is no float, or the value cannot be computed.
    #[track_caller]
    pub fn try_requires_grad(&self) -> Result<Tensor> {
        if !self.dtype().is_inexact() {
            let error = Error::new("only floats can require a gradient")
                .hint("cast first, for example with `.cast(DType::F32)`");
            let operand = |specs: &mut Vec<_>| specs.push(self.described());
            return Err(error.located("requires_grad", Location::caller(), operand));
        }
        let marks = VARIABLES.marks(&Marks::default());
        let leaf = Tensor::leaf(Prim::Variable(Arc::default()), self.spec().clone(), Some(self.try_value()?), marks);
        Ok(leaf.named(self.names()))
    }

    /// True if a derivative with respect to something this was made from may be asked for.
    pub fn is_differentiated(&self) -> bool {
        self.marks().has_derivatives()
    }

    /// True if some transformation still follows what is made from this: then it may have no value yet.
    ///
    /// ```
    /// use covector::{Tensor, grad};
    /// let x = Tensor::from(2.0f32);
    /// assert!(!x.is_followed());
    /// grad(|x: &Tensor| {
    ///     assert!(x.is_followed());
    ///     x.square()
    /// })(&x);
    /// ```
    pub fn is_followed(&self) -> bool {
        self.marks().is_open()
    }

    /// Puts a gradient on this leaf in place of what [`backward`](Self::backward) has left: clipped, averaged, or anew.
    ///
    /// ```
    /// use covector::Tensor;
    /// let w = Tensor::from([1.0f32, 2.0]).requires_grad();
    /// w.set_grad(&Tensor::from([0.5f32, 0.5])).unwrap();
    /// assert_eq!(w.grad().unwrap().to_vec::<f32>(), [0.5, 0.5]);
    /// ```
    ///
    /// # Errors
    /// If this is no leaf that requires a gradient, or the gradient has another shape or dtype, or no value.
    #[track_caller]
    pub fn set_grad(&self, gradient: &Tensor) -> Result<()> {
        let here = Location::caller();
        let put = || {
            let Some(variable) = self.variable() else {
                return Err(Error::new(format!("{} is no leaf that requires a gradient", self.spec())));
            };
            if gradient.spec() != self.spec() {
                let message = format!("the gradient of {} cannot be {}", self.spec(), gradient.spec());
                return Err(Error::new(message));
            }
            let value = Tensor::from_array(gradient.try_value()?).named(self.names());
            *variable.0.lock().unwrap_or_else(|e| e.into_inner()) = Some(value);
            Ok(())
        };
        put().map_err(|e: Error| e.located("set_grad", here, |_| ()))
    }

    /// The gradient that [`backward`](Self::backward) has left on this leaf; `None` before, and for other tensors.
    pub fn grad(&self) -> Option<Tensor> {
        self.variable().and_then(|v| v.0.lock().unwrap_or_else(|e| e.into_inner()).clone())
    }

    /// Forgets the gradient of this leaf; the next [`backward`](Self::backward) begins at 0.
    pub fn zero_grad(&self) {
        if let Some(v) = self.variable() {
            *v.0.lock().unwrap_or_else(|e| e.into_inner()) = None;
        }
    }

    fn variable(&self) -> Option<&Variable> {
        match self.primitive() {
            Prim::Variable(v) => Some(v),
            _ => None,
        }
    }

    /// Adds to every leaf that requires a gradient, and from which this scalar was made, the derivative of this scalar.
    ///
    /// # Panics
    /// If this is no scalar float, or depends on no leaf that requires a gradient.
    #[track_caller]
    pub fn backward(&self) {
        if let Err(e) = self.try_backward() {
            e.raise()
        }
    }

    /// As [`backward`](Self::backward), with an error instead of a panic.
    ///
    /// # Errors
    /// If this is no scalar float, or depends on no leaf that requires a gradient; what cut the path is named.
    #[track_caller]
    pub fn try_backward(&self) -> Result<()> {
        let here = Location::caller();
        self.pull_to_leaves().map_err(|e| e.located("backward", here, |_| ()))
    }

    fn pull_to_leaves(&self) -> Result<()> {
        require_scalar(self, "this is")?;
        refuse_cut(self, &VARIABLES)?;
        let outputs = std::slice::from_ref(self);
        let list = Listing::walk(outputs, |t| VARIABLES.covers(t.marks()));
        let leaves: Vec<Tensor> = list.nodes.iter().filter(|t| t.variable().is_some()).cloned().collect();
        if leaves.is_empty() {
            let message = format!("{} was made from no leaf that requires a gradient", self.spec());
            return Err(
                Error::new(message).hint("make one with `.requires_grad()`, or use `grad(f)`, which needs no leaves")
            );
        }
        let sweep = Sweep::new(vec![self.clone()], leaves.clone(), VARIABLES.clone());
        let grads = sweep.pull(&[Tensor::ones_of(self.spec())]);
        let mut fresh = Vec::new();
        for (leaf, grad) in leaves.iter().zip(grads) {
            let (Some(variable), Some(grad)) = (leaf.variable(), grad) else { continue };
            let before = variable.0.lock().unwrap_or_else(|e| e.into_inner()).clone();
            let sum = before.map_or(grad.clone(), |before| before + grad).stop_gradient().named(leaf.names());
            fresh.push((leaf, sum));
        }
        crate::try_eval(fresh.iter().map(|(_, g)| g).chain(outputs))?;
        for (leaf, sum) in &fresh {
            let variable = leaf.variable().expect("leaves were chosen so");
            *variable.0.lock().unwrap_or_else(|e| e.into_inner()) = Some(sum.clone());
        }
        Ok(())
    }
}
