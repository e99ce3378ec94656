//! A sample of an op as a function of its tensors.

use covector::registry::{Arg, OpDef, Sample};
use covector::{Result, Tensor};

/// An op with the arguments of one sample.
pub(crate) struct Call {
    pub op: &'static OpDef,
    pub sample: Sample,
}

impl Call {
    /// The tensors among the arguments, in order.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut all = Vec::new();
        for arg in &self.sample.args {
            match arg {
                Arg::Tensor(t) => all.push(t.clone()),
                Arg::Tensors(t) => all.extend(t.iter().cloned()),
                _ => (),
            }
        }
        all
    }

    /// The op's results with its tensors replaced.
    pub fn with_tensors(&self, tensors: &[Tensor]) -> Result<Vec<Tensor>> {
        self.op.apply(self.sample_of(tensors).args)
    }

    /// The sample with its tensors replaced.
    pub fn sample_of(&self, tensors: &[Tensor]) -> Sample {
        let mut rest = tensors.iter().cloned();
        let mut next = || rest.next().expect("as many tensors as the sample has");
        let replaced = |arg: &Arg| match arg {
            Arg::Tensor(_) => Arg::Tensor(next()),
            Arg::Tensors(list) => Arg::Tensors(list.iter().map(|_| next()).collect()),
            other => other.clone(),
        };
        Sample { args: self.sample.args.iter().map(replaced).collect() }
    }

    /// The tensors of floats and complex numbers among the arguments.
    pub fn floats(&self) -> Vec<Tensor> {
        self.tensors().into_iter().filter(|t| t.dtype().is_inexact()).collect()
    }

    /// The results of floats and complex numbers as a function of such tensors; panics with the op's own message if it refuses.
    pub fn on_floats(&self, floats: &[Tensor]) -> Vec<Tensor> {
        let mut rest = floats.iter().cloned();
        let mut tensors = self.tensors();
        for t in tensors.iter_mut().filter(|t| t.dtype().is_inexact()) {
            *t = rest.next().expect("as many floats as the sample has");
        }
        let results = self.with_tensors(&tensors).unwrap_or_else(|e| panic!("{e}"));
        results.into_iter().filter(|y| y.dtype().is_inexact()).collect()
    }
}
