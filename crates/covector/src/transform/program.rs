//! A closed piece of graph: arguments in, results out, and nothing of the function that made it.

use std::sync::Arc;

use covector_array::threads;

use crate::labels::{self, Names};
use crate::marks::{Marks, Scope};
use crate::ops::leaf::{Argument, Placeholder};
use crate::plan::Prepared;
use crate::site;
use crate::walk::Listing;
use crate::{Prim, Result, Spec, Tensor};

/// The recorded steps from some arguments to some results. Tensors the function captured are part of it.
#[derive(Clone)]
pub(crate) struct Program {
    list: Arc<Listing>,
    arguments: Vec<Tensor>,
    results: Vec<Tensor>,
}

impl Program {
    /// Records what `f` does with arguments of the specs of `like`; they have no value while it runs.
    #[track_caller]
    pub fn trace(like: &[Tensor], who: &'static str, f: impl FnOnce(&[Tensor]) -> Vec<Tensor>) -> Program {
        let specs: Vec<(Spec, Names)> = like.iter().map(|t| (t.spec().clone(), t.names().clone())).collect();
        Program::trace_specs(specs, who, f)
    }

    /// As [`trace`](Self::trace), from specs and the names of axes.
    #[track_caller]
    pub fn trace_specs(
        specs: Vec<(Spec, Names)>,
        who: &'static str,
        f: impl FnOnce(&[Tensor]) -> Vec<Tensor>,
    ) -> Program {
        let scope = Scope::structural();
        let marks = scope.marks(&Marks::default());
        let placeholder = |(spec, names)| Tensor::leaf(Placeholder(who), spec, None, marks.clone()).named(&names);
        let arguments: Vec<Tensor> = specs.into_iter().map(placeholder).collect();
        let results = f(&arguments);
        let mut list = Listing::walk(&results, |t| scope.covers(t.marks()));
        list.open = true;
        Program { list: Arc::new(list), arguments, results }
    }

    /// Records what `f` does with `arguments`, whose values it may read.
    #[track_caller]
    pub fn record(arguments: &[Tensor], f: impl FnOnce(&[Tensor]) -> Vec<Tensor>) -> Program {
        let scope = Scope::structural();
        let mark = |x: &Tensor| {
            let x = x.stop_gradient();
            let argument = Argument(scope.marks(x.marks()));
            crate::ops::made(Tensor::apply(Prim::Argument(argument), [x]))
        };
        let arguments: Vec<Tensor> = arguments.iter().map(mark).collect();
        let results = f(&arguments);
        let inside = |t: &Tensor| scope.covers(t.marks()) && !arguments.iter().any(|a| a.key() == t.key());
        let list = Listing::walk(&results, inside);
        Program { list: Arc::new(list), arguments, results }
    }

    /// The results for other arguments: every recorded step is made again, on fresh nodes.
    pub fn call(&self, arguments: &[Tensor]) -> Vec<Tensor> {
        let made = self.interpret(arguments.to_vec(), Tensor::clone, |node, inputs| {
            Ok(Tensor::apply(node.primitive().clone(), inputs.into_iter().cloned())?.named(node.names()))
        });
        crate::ops::made(made)
    }

    /// Makes every step in order, by `step` from what was made of its operands; `outside` makes what was captured.
    fn interpret<X: Clone>(
        &self,
        arguments: Vec<X>,
        outside: impl Fn(&Tensor) -> X,
        step: impl Fn(&Tensor, Vec<&X>) -> Result<X>,
    ) -> Result<Vec<X>> {
        let mut made: Vec<Option<X>> = vec![None; self.list.nodes.len()];
        for (placeholder, argument) in self.arguments.iter().zip(arguments) {
            if let Some(i) = self.list.find(placeholder) {
                made[i] = Some(argument);
            }
        }
        for (i, node) in self.list.nodes.iter().enumerate() {
            if made[i].is_some() {
                continue;
            }
            let operands = &self.list.operands[i];
            made[i] = Some(if operands.is_empty() {
                outside(node)
            } else {
                let inputs =
                    operands.iter().map(|&j| made[j as usize].as_ref().expect("operands stand first")).collect();
                let site = node.site();
                // What was clear when the step was recorded is not asked again.
                labels::following(false, || site::within(Some(site), || step(node, inputs)))
                    .map_err(|e| e.located(site.op, site.location, |_| ()))?
            });
        }
        let result = |r| made[self.list.find(r).expect("results are listed")].clone().expect("every step was made");
        Ok(self.results.iter().map(result).collect())
    }

    /// The results for arguments some of which carry a batch axis at 0, which has the name of the first of `examples`; each
    /// result with whether it carries one.
    pub fn call_batched(
        &self,
        arguments: &[(Tensor, bool)],
        size: usize,
        examples: &Names,
    ) -> Result<Vec<(Tensor, bool)>> {
        self.interpret(
            arguments.to_vec(),
            |t| (t.clone(), false),
            |node, inputs| {
                let (tensors, batched): (Vec<Tensor>, Vec<bool>) = inputs.into_iter().cloned().unzip();
                if !batched.contains(&true) {
                    return Ok((Tensor::apply(node.primitive().clone(), tensors)?.named(node.names()), false));
                }
                let y = node.primitive().batch(&tensors, &batched, size)?;
                debug_assert_eq!(y.shape(), &node.shape().with_inserted(0, size), "batch of {:?}", node.primitive());
                Ok((y.named(&node.names().behind(examples, 0, node.ndim())), true))
            },
        )
    }

    /// The names of the results' axes.
    pub fn names(&self) -> impl Iterator<Item = &Names> {
        self.results.iter().map(Tensor::names)
    }

    /// Tensors the function captured through which a derivative may be asked for.
    pub fn captured(&self) -> Vec<Tensor> {
        self.outside().filter(|t| t.marks().has_derivatives()).cloned().collect()
    }

    /// The leaves that are no arguments: what the function captured, or made of nothing.
    fn outside(&self) -> impl Iterator<Item = &Tensor> {
        (self.list.nodes.iter().zip(&self.list.operands))
            .filter(|(t, operands)| operands.is_empty() && !self.arguments.iter().any(|a| a.key() == t.key()))
            .map(|(t, _)| t)
    }

    /// The program planned once and for all; `None` if a transformation follows something it captured. `given` says that its
    /// arguments will not be needed afterwards.
    ///
    /// # Errors
    /// If what it captured cannot be computed.
    pub fn prepared(mut self, given: bool) -> Result<Option<Prepared>> {
        if self.outside().any(|t| t.marks().is_open()) {
            return Ok(None);
        }
        crate::try_eval(self.outside())?;
        Arc::make_mut(&mut self.list).share_constants();
        let planned = threads::try_here(|| Prepared::new(self.list, &self.arguments, &self.results, given));
        planned.map(Some).map_err(|_| crate::plan::interrupted())
    }

    /// The same program with the captured tensors as further arguments, after the given ones.
    pub fn with_arguments(&self, captured: &[Tensor]) -> Program {
        let mut program = self.clone();
        program.arguments.extend(captured.iter().cloned());
        program
    }
}
