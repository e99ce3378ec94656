//! Walking a graph for people: what belongs to which expression, what it takes, what the backward pass keeps.

use std::collections::HashSet;

use covector::{Class, Derivative, Shape, Tensor};

/// Nodes in an order in which operands stand before their users.
pub struct Walk {
    seen: HashSet<u64>,
}

impl Walk {
    /// A walk that does not enter these tensors.
    pub fn new<'a>(leaves: impl IntoIterator<Item = &'a Tensor>) -> Walk {
        Walk { seen: leaves.into_iter().map(Tensor::id).collect() }
    }

    /// The nodes that made a tensor, it included, as far as this walk has not met them before.
    pub fn fresh(&mut self, target: &Tensor) -> Vec<Tensor> {
        let (mut found, mut open) = (Vec::new(), vec![(target.clone(), false)]);
        while let Some((node, entered)) = open.pop() {
            if entered {
                found.push(node);
            } else if self.seen.insert(node.id()) {
                let inputs = node.inputs();
                open.push((node, true));
                open.extend(inputs.into_iter().rev().map(|x| (x, false)));
            }
        }
        found
    }
}

/// What one node takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Work {
    /// Arithmetic on elements: sums, products, comparisons and functions count one each.
    pub flops: u64,
    /// A size whose binary logarithm, rounded up, is a factor of `flops`; 1 without one.
    pub log_of: u64,
    /// True for products of matrices and convolutions.
    pub product: bool,
    /// Bytes read and written.
    pub moved: u64,
    /// The sizes of the result, and of the operands.
    pub shapes: Vec<Shape>,
}

impl Work {
    /// What these nodes take, each by itself, without those that take nothing.
    pub fn of<'a>(nodes: impl IntoIterator<Item = &'a Tensor>) -> Vec<Work> {
        let one = |node: &Tensor| {
            let inputs = node.inputs();
            let specs: Vec<_> = inputs.iter().map(Tensor::spec).collect();
            let (primitive, cost) = (node.primitive(), node.primitive().cost(&specs, node.spec()));
            let product = primitive.class() == Class::Contract;
            let shapes = [node].into_iter().chain(&inputs).map(|t| t.shape().clone()).collect();
            Work { flops: cost.flops, log_of: cost.log_of, product, moved: cost.read + cost.written, shapes }
        };
        let working = |t: &&Tensor| !matches!(t.primitive().class(), Class::Leaf | Class::View);
        nodes.into_iter().filter(working).map(one).collect()
    }
}

/// What a backward pass is to the forward pass it belongs to.
#[derive(Clone, Debug, Default)]
pub struct Backward {
    /// What its own nodes take.
    pub work: Vec<Work>,
    /// The tensors of the forward pass whose numbers it reads, in the order of their making; what it reads through a view
    /// is the view's operand.
    pub kept: Vec<Tensor>,
    /// The nodes of the forward pass through which gradients flow.
    pub differentiated: HashSet<u64>,
}

/// The tensor that a view shows the elements of; leaves are nobody's view.
pub fn seen(tensor: &Tensor, leaves: &HashSet<u64>) -> Tensor {
    let mut at = tensor.clone();
    while at.primitive().class() == Class::View && !leaves.contains(&at.id()) {
        let Some(of) = at.inputs().into_iter().next() else { break };
        at = of;
    }
    at
}

/// Reads the backward pass from the gradients it ends in: those of `learnt`, among the leaves.
pub fn backward(output: &Tensor, leaves: &HashSet<u64>, learnt: &[Tensor], gradients: &[Tensor]) -> Backward {
    let mut walk = Walk::new([]);
    let forward = walk.fresh(output);
    let own: Vec<Tensor> = gradients.iter().flat_map(|g| walk.fresh(g)).collect();
    let places: HashSet<u64> = forward.iter().map(Tensor::id).collect();
    let read = own.iter().flat_map(Tensor::inputs).filter(|x| places.contains(&x.id())).map(|x| seen(&x, leaves));
    let read: HashSet<u64> = read.map(|x| x.id()).collect();
    let mut differentiated: HashSet<u64> = learnt.iter().map(Tensor::id).collect();
    for node in &forward {
        let reached = node.inputs().iter().any(|x| differentiated.contains(&x.id()));
        if reached && matches!(node.primitive().derivative(), Derivative::Rules(_)) {
            differentiated.insert(node.id());
        }
    }
    let kept = forward.into_iter().filter(|t| read.contains(&t.id())).collect();
    Backward { work: Work::of(&own), kept, differentiated }
}
