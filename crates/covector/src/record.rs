//! Programs laid open: every step a function took, to be read, made again with some steps changed, and differentiated step
//! by step.
//!
//! For tools that answer questions about a program. A record changes nothing of what it shows.

use std::sync::Arc;

use crate::marks::Scope;
use crate::ops::leaf::Argument;
use crate::transform::marked;
use crate::transform::reverse::Sweep;
use crate::walk::Listing;
use crate::{Prim, Result, Tensor, Tree, site};

/// The steps from some arguments to some results, operands before their users.
///
/// Identities that only mark the arguments of transformations are left out.
/// ```
/// use covector::{Tensor, record};
/// let x = Tensor::from([1.0, 4.0]);
/// let program = record(|x: &Tensor| x.sqrt().sum(..), &x);
/// let names: Vec<_> = program.steps().iter().map(|s| s.node.primitive().name()).collect();
/// assert_eq!(names, ["constant", "sqrt", "sum"]);
/// ```
pub struct Record {
    steps: Vec<Step>,
    arguments: Vec<usize>,
    results: Vec<usize>,
}

/// One step of a [`Record`].
pub struct Step {
    /// What was made; for an argument, the tensor that was given.
    pub node: Tensor,
    /// The positions of its operands; none for a leaf and an argument.
    pub operands: Vec<usize>,
}

/// The reverse pass over a [`Record`], step by step.
pub struct Backward {
    /// Every step as the pass saw it.
    pub primals: Vec<Tensor>,
    /// For each step the cotangent that arrived; `None` where none did.
    pub cotangents: Vec<Option<Tensor>>,
    /// For each step what its rule adds to the cotangent of each operand.
    pub terms: Vec<Vec<Option<Tensor>>>,
}

/// Records what `f` does with `args`, whatever it reads on the way.
pub fn record<T: Tree, Y: Tree>(f: impl FnOnce(&T) -> Y, args: &T) -> Record {
    // While the scope lives, evaluated nodes remember what they were made from.
    let scope = Scope::structural();
    let identity = |x: &Tensor| {
        let argument = Argument(scope.marks(x.marks()));
        crate::ops::made(Tensor::apply(Prim::Argument(argument), [x.clone()]))
    };
    let inside = args.map_leaves(identity);
    let results = f(&inside).leaves();
    Record::build(&results, &inside.leaves(), &args.leaves())
}

impl Record {
    /// What `results` were made from, as far as they remember it (evaluated tensors forget), with `arguments` as leaves.
    pub fn of(results: &[Tensor], arguments: &[Tensor]) -> Record {
        Record::build(results, arguments, arguments)
    }

    fn build(results: &[Tensor], inside: &[Tensor], arguments: &[Tensor]) -> Record {
        let keys: std::collections::HashMap<usize, usize> =
            inside.iter().enumerate().map(|(i, t)| (t.key(), i)).collect();
        let targets: Vec<Tensor> = inside.iter().chain(results).cloned().collect();
        let list = Listing::walk(&targets, |t| !keys.contains_key(&t.key()));
        let (mut steps, mut place): (Vec<Step>, Vec<usize>) = Default::default();
        for (node, operands) in list.nodes.iter().zip(&list.operands) {
            let operands: Vec<usize> = operands.iter().map(|&i| place[i as usize]).collect();
            if let (Prim::Argument(_), [only]) = (node.primitive(), &operands[..]) {
                place.push(*only);
                continue;
            }
            place.push(steps.len());
            let node = keys.get(&node.key()).map_or(node, |&i| &arguments[i]).clone();
            steps.push(Step { node, operands });
        }
        let found = |t: &Tensor| place[list.find(t).expect("targets are listed")];
        let (arguments, results) = (inside.iter().map(found).collect(), results.iter().map(found).collect());
        Record { steps, arguments, results }
    }

    /// The steps, operands before their users.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The positions of the arguments.
    pub fn arguments(&self) -> &[usize] {
        &self.arguments
    }

    /// The positions of the results.
    pub fn results(&self) -> &[usize] {
        &self.results
    }

    /// Every step made again, in order; `edit` may make something else of a step, from its position and all made before it.
    ///
    /// Steps none of whose operands changed are the recorded ones.
    /// # Errors
    /// Those of `edit`, and of a step that refuses what became of its operands.
    pub fn replay(
        &self,
        arguments: &[Tensor],
        mut edit: impl FnMut(usize, &[Tensor]) -> Result<Option<Tensor>>,
    ) -> Result<Vec<Tensor>> {
        let mut made: Vec<Tensor> = Vec::with_capacity(self.steps.len());
        for (i, step) in self.steps.iter().enumerate() {
            if let Some(other) = edit(i, &made)? {
                made.push(other);
                continue;
            }
            if let Some(k) = self.arguments.iter().position(|&a| a == i) {
                made.push(arguments[k].clone());
                continue;
            }
            let same = step.operands.iter().all(|&j| made[j].id() == self.steps[j].node.id());
            made.push(if same {
                step.node.clone()
            } else {
                remade(&step.node, step.operands.iter().map(|&j| &made[j]))?
            });
        }
        Ok(made)
    }

    /// The reverse pass from `cotangents` of the results to the arguments; these and `edit` are as in
    /// [`replay`](Self::replay).
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub fn backward(
        &self,
        arguments: &[Tensor],
        cotangents: &[Tensor],
        edit: impl FnMut(usize, &[Tensor]) -> Result<Option<Tensor>>,
    ) -> Result<Backward> {
        let scope = Arc::new(Scope::derivative());
        // Cut off, so that no other transformation's mark leads further back than the arguments.
        let given: Vec<Tensor> = arguments.iter().map(Tensor::stop_gradient).collect();
        let inside = marked(&given, &scope);
        let primals = self.replay(&inside, edit)?;
        let results: Vec<Tensor> = self.results.iter().map(|&i| primals[i].clone()).collect();
        let sweep = Sweep::new(results, inside, scope);
        let at: std::collections::HashMap<usize, usize> =
            primals.iter().enumerate().map(|(i, t)| (t.key(), i)).collect();
        let mut terms: Vec<Vec<Option<Tensor>>> = self.steps.iter().map(|s| vec![None; s.operands.len()]).collect();
        let flow = sweep.flow(cotangents, |node, operand, term| {
            if let Some(place) = at.get(&node.key()).and_then(|&i| terms[i].get_mut(operand)) {
                *place = Some(term.clone());
            }
        });
        let mut arrived = vec![None; primals.len()];
        for (node, cotangent) in sweep.nodes().iter().zip(flow) {
            if let Some(&i) = at.get(&node.key()) {
                arrived[i] = cotangent;
            }
        }
        Ok(Backward { primals, cotangents: arrived, terms })
    }
}

/// The step of `node` on other operands, at the same line of the program.
fn remade<'a>(node: &Tensor, operands: impl Iterator<Item = &'a Tensor>) -> Result<Tensor> {
    let site = node.site();
    site::within(Some(site), || Tensor::apply(node.primitive().clone(), operands.cloned()))
        .map_err(|e| e.located(site.op, site.location, |_| ()))
}
