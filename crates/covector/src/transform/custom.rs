//! Rules of one's own, and recomputation instead of memory.
//!
//! A result keeps its value and its history apart: the node made here is an identity on the value, computed from
//! arguments that are cut off, and its rules lead to the arguments themselves.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::Location;
use std::sync::Arc;

use covector_array::Array;
use covector_array::kernels::Inputs;

use crate::labels;
use crate::ops::leaf::After;
use crate::ops::view::add_batch;
use crate::primitive::{Class, Derivative, Differentiable, Primitive};
use crate::site::{self, Site};
use crate::transform::forward::jvp;
use crate::transform::program::Program;
use crate::transform::reverse::{same_specs, vjp};
use crate::transform::vmap::vmap;
use crate::walk::Listing;
use crate::{Cost, Error, Flow, Result, Spec, Tensor, Tree};

/// Both modes of a function given as one block, on the leaves of its arguments and results.
trait BlockRules: Send + Sync {
    fn jvp(&self, x: &[Tensor], tangents: &[Tensor]) -> Vec<Tensor>;
    fn vjp(&self, x: &[Tensor], cotangents: &[Tensor]) -> Vec<Tensor>;
}

type LinearRule = Box<dyn Fn(&[Tensor], &[Tensor]) -> Vec<Tensor> + Send + Sync>;

fn zeros(specs: &[Spec]) -> Vec<Tensor> {
    specs.iter().map(Tensor::zeros_of).collect()
}

fn specs(tensors: &[Tensor]) -> Vec<Spec> {
    tensors.iter().map(|t| t.spec().clone()).collect()
}

/// The transpose, at `at`, of the linear function `rule(x, ·)` from tensors of the specs `from`.
fn transposed(rule: &LinearRule, x: &[Tensor], from: &[Spec], at: &[Tensor]) -> Vec<Tensor> {
    let (_, pullback) = vjp(|t: &Vec<Tensor>| rule(x, t), &zeros(from));
    pullback.call(&at.to_vec())
}

struct FromVjp(LinearRule, Vec<Spec>);
impl BlockRules for FromVjp {
    fn jvp(&self, x: &[Tensor], tangents: &[Tensor]) -> Vec<Tensor> {
        transposed(&self.0, x, &self.1, tangents)
    }
    fn vjp(&self, x: &[Tensor], cotangents: &[Tensor]) -> Vec<Tensor> {
        (self.0)(x, cotangents)
    }
}

struct FromJvp(LinearRule);
impl BlockRules for FromJvp {
    fn jvp(&self, x: &[Tensor], tangents: &[Tensor]) -> Vec<Tensor> {
        (self.0)(x, tangents)
    }
    fn vjp(&self, x: &[Tensor], cotangents: &[Tensor]) -> Vec<Tensor> {
        transposed(&self.0, x, &specs(x), cotangents)
    }
}

struct Recompute(Program);
impl BlockRules for Recompute {
    fn jvp(&self, x: &[Tensor], tangents: &[Tensor]) -> Vec<Tensor> {
        jvp(|x: &Vec<Tensor>| self.0.call(x), &x.to_vec(), &tangents.to_vec()).1
    }
    fn vjp(&self, x: &[Tensor], cotangents: &[Tensor]) -> Vec<Tensor> {
        // Nothing is recomputed before its cotangent has arrived.
        let late = |x: &Tensor| crate::ops::made(Tensor::apply(After, [x.clone(), cotangents[0].clone()]));
        let (_, pullback) = vjp(|x: &Vec<Tensor>| self.0.call(x), &x.iter().map(late).collect());
        pullback.call(&cotangents.to_vec())
    }
}

struct Batched(Arc<dyn BlockRules>);
impl BlockRules for Batched {
    fn jvp(&self, x: &[Tensor], tangents: &[Tensor]) -> Vec<Tensor> {
        vmap(|(x, t): &(Vec<Tensor>, Vec<Tensor>)| self.0.jvp(x, t))(&(x.to_vec(), tangents.to_vec()))
    }
    fn vjp(&self, x: &[Tensor], cotangents: &[Tensor]) -> Vec<Tensor> {
        vmap(|(x, c): &(Vec<Tensor>, Vec<Tensor>)| self.0.vjp(x, c))(&(x.to_vec(), cotangents.to_vec()))
    }
}

/// Result number `index` of a block: operands are that result's value, then the block's arguments.
#[derive(Clone)]
struct Block {
    name: &'static str,
    rules: Arc<dyn BlockRules>,
    results: Vec<Spec>,
    index: usize,
}

impl Block {
    /// The results of a block: an identity on each value, with the block's rules.
    fn wrap(site: Site, rules: Arc<dyn BlockRules>, values: &[Tensor], arguments: &[Tensor]) -> Vec<Tensor> {
        let results = specs(values);
        let wrapped = |(index, value): (usize, &Tensor)| {
            let block = Block { name: site.op, rules: rules.clone(), results: results.clone(), index };
            let operands: Vec<Tensor> = std::iter::once(value).chain(arguments).cloned().collect();
            crate::ops::made(Tensor::apply(block, operands))
        };
        site::outermost(site, || values.iter().enumerate().map(wrapped).collect())
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Hash for Block {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.rules).cast::<()>().hash(state);
        self.index.hash(state);
    }
}

impl Primitive for Block {
    fn name(&self) -> &'static str {
        self.name
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
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], batched: &[bool], size: usize) -> Result<Tensor> {
        let whole: Vec<Tensor> =
            x.iter().zip(batched).map(|(x, &b)| if b { x.clone() } else { add_batch(x, size) }).collect();
        let block = Block {
            rules: Arc::new(Batched(self.rules.clone())),
            results: self.results.iter().map(|s| Spec::new(s.dtype, s.shape.with_inserted(0, size))).collect(),
            ..self.clone()
        };
        Tensor::apply(block, whole)
    }
}

impl Differentiable for Block {
    fn jvp(&self, x: &[Tensor], _: &Tensor, tangents: &[Option<Tensor>]) -> Tensor {
        let filled = x.iter().zip(tangents).skip(1);
        let filled: Vec<Tensor> =
            filled.map(|(x, t)| t.clone().unwrap_or_else(|| Tensor::zeros_of(x.spec()))).collect();
        self.rules.jvp(&x[1..], &filled).swap_remove(self.index)
    }
    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        let mut cotangents = zeros(&self.results);
        cotangents[self.index] = cotangent.clone();
        let found = self.rules.vjp(&x[1..], &cotangents);
        std::iter::once(None).chain(found.into_iter().zip(&wrt[1..]).map(|(c, &wanted)| wanted.then_some(c))).collect()
    }
}

/// Runs `f` on arguments cut off from their history; panics if it reaches one by capturing.
fn values_of<T: Tree, Y: Tree>(site: Site, f: impl Fn(&T) -> Y, x: &T) -> Y {
    let y = f(&x.map_leaves(Tensor::stop_gradient));
    let differentiated = |t: &Tensor| t.marks().has_derivatives();
    // Operands stand first in a listing, so the first marked node is what was captured.
    let list = Listing::walk(&y.leaves(), differentiated);
    if let Some(captured) = list.nodes.iter().find(|t| differentiated(t)) {
        let message = format!("the function captures {}, which is being differentiated", captured.spec());
        Error::new(message)
            .hint("pass it as an argument: the custom rule knows nothing of what is captured")
            .located(site.op, site.location, |_| ())
            .raise()
    }
    y
}

/// Runs the user's rule: what it builds has lines of its own, and its result must look like `like`.
fn by_rule<T: Tree>(site: Site, like: &T, of: &str, rule: impl FnOnce() -> T) -> Vec<Tensor> {
    let found = labels::following(true, || site::within(None, rule));
    if let Err(e) = same_specs(like, &found, "what the rule returns", of) {
        e.located(site.op, site.location, |_| ()).raise()
    }
    found.leaves()
}

/// `f` with a pullback of one's own: `rule(x, cotangent)` gives the cotangents of the arguments.
///
/// It must be linear in the cotangent and built from ops; then it differentiates again, its forward mode is its
/// transpose, and it batches. It replaces the derivative of `f`, whose captured tensors must not be differentiated.
/// # Panics
/// If `f` captures a tensor that is being differentiated.
/// # Example
/// ```
/// use covector::{Tensor, custom_vjp, grad};
/// let reversed = custom_vjp(|x: &Tensor| x.clone(), |_, cotangent: &Tensor| -cotangent);
/// assert_eq!(grad(reversed)(&Tensor::from(1.0f32)).item::<f32>(), -1.0);
/// ```
/// Source: JAX's `custom_vjp`.
#[track_caller]
pub fn custom_vjp<T, Y>(f: impl Fn(&T) -> Y, rule: impl Fn(&T, &Y) -> T + Send + Sync + 'static) -> impl Fn(&T) -> Y
where
    T: Tree + Send + Sync + 'static,
    Y: Tree + Send + Sync + 'static,
{
    let (rule, here) = (Arc::new(rule), Location::caller());
    move |x: &T| {
        let site = Site::new("custom_vjp", here);
        let y = values_of(site, &f, x);
        let (like_x, like_y, rule) = (x.map_leaves(Tensor::clone), y.map_leaves(Tensor::clone), rule.clone());
        let leaves = y.leaves();
        let on_leaves: LinearRule = Box::new(move |x, c| {
            let (x, c) = (like_x.with_leaves(x.to_vec()), like_y.with_leaves(c.to_vec()));
            by_rule(site, &like_x, "the argument", || rule(&x, &c))
        });
        let rules = Arc::new(FromVjp(on_leaves, specs(&leaves)));
        y.with_leaves(Block::wrap(site, rules, &leaves, &x.leaves()))
    }
}

/// `f` with a derivative of one's own: `rule(x, tangent)` gives the tangents of the results.
///
/// It must be linear in the tangent and built from ops; then it differentiates again, its reverse mode is its transpose,
/// and it batches. It replaces the derivative of `f`, whose captured tensors must not be differentiated.
/// # Panics
/// If `f` captures a tensor that is being differentiated.
/// # Example
/// ```
/// use covector::{Tensor, custom_jvp, grad};
/// let straight_through = custom_jvp(|x: &Tensor| x.tanh(), |_, tangent: &Tensor| tangent.clone());
/// assert_eq!(grad(straight_through)(&Tensor::from(5.0f32)).item::<f32>(), 1.0);
/// ```
/// Source: JAX's `custom_jvp`.
#[track_caller]
pub fn custom_jvp<T, Y>(f: impl Fn(&T) -> Y, rule: impl Fn(&T, &T) -> Y + Send + Sync + 'static) -> impl Fn(&T) -> Y
where
    T: Tree + Send + Sync + 'static,
    Y: Tree + Send + Sync + 'static,
{
    let (rule, here) = (Arc::new(rule), Location::caller());
    move |x: &T| {
        let site = Site::new("custom_jvp", here);
        let y = values_of(site, &f, x);
        let (like_x, like_y, rule) = (x.map_leaves(Tensor::clone), y.map_leaves(Tensor::clone), rule.clone());
        let on_leaves: LinearRule = Box::new(move |x, t| {
            let (x, t) = (like_x.with_leaves(x.to_vec()), like_x.with_leaves(t.to_vec()));
            by_rule(site, &like_y, "the result", || rule(&x, &t))
        });
        y.with_leaves(Block::wrap(site, Arc::new(FromJvp(on_leaves)), &y.leaves(), &x.leaves()))
    }
}

/// `f` with its intermediate values forgotten: a backward pass computes them again instead of keeping them.
///
/// Values and derivatives are the same, to the bit. Tensors that `f` captures get their derivatives too.
/// # Example
/// ```
/// use covector::{Tensor, checkpoint, grad};
/// let f = checkpoint(|x: &Tensor| x.tanh().square().sum(..));
/// let x = Tensor::from([0.5f64, 1.0]);
/// let g = grad(|x: &Tensor| x.tanh().square().sum(..))(&x);
/// assert_eq!(grad(f)(&x).to_vec::<f64>(), g.to_vec::<f64>());
/// ```
/// Source: Chen et al. 2016, "Training deep nets with sublinear memory cost"; JAX's `checkpoint`.
#[track_caller]
pub fn checkpoint<T: Tree, Y: Tree>(f: impl Fn(&T) -> Y) -> impl Fn(&T) -> Y {
    let here = Location::caller();
    move |x: &T| {
        let mut structure = None;
        let program = Program::record(&x.leaves(), |leaves| {
            let y = f(&x.with_leaves(leaves.to_vec()));
            let leaves = y.leaves();
            structure = Some(y);
            leaves
        });
        let structure = structure.expect("the function was recorded");
        let captured = program.captured();
        let program = program.with_arguments(&captured);
        let arguments: Vec<Tensor> = x.leaves().into_iter().chain(captured).collect();
        let cut: Vec<Tensor> = arguments.iter().map(Tensor::stop_gradient).collect();
        let values = program.call(&cut);
        let rules = Arc::new(Recompute(program));
        structure.with_leaves(Block::wrap(Site::new("checkpoint", here), rules, &values, &arguments))
    }
}
