//! Reverse mode: cotangents flow from the outputs back to the arguments.

use std::mem;
use std::panic::Location;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::labels;
use crate::marks::Scope;
use crate::primitive::Derivative;
use crate::site::{self, Site};
use crate::tensor::Operands;
use crate::transform::terms::Terms;
use crate::transform::{marked, sweep};
use crate::walk::Listing;
use crate::{Error, Prim, Result, Tensor, Tree};

/// The nodes between some arguments and some outputs, ready to pull cotangents back, any number of times.
pub(crate) struct Sweep {
    list: Listing,
    outputs: Vec<Tensor>,
    arguments: Vec<Tensor>,
    /// Keeps the history of the listed nodes available.
    scope: Arc<Scope>,
}

impl Sweep {
    pub fn new(outputs: Vec<Tensor>, arguments: Vec<Tensor>, scope: Arc<Scope>) -> Self {
        Sweep { list: sweep(&outputs, &arguments, &scope), outputs, arguments, scope }
    }

    /// The listed nodes.
    pub fn nodes(&self) -> &[Tensor] {
        &self.list.nodes
    }

    /// The cotangents of the arguments, `None` where nothing reaches them, from those of the outputs.
    pub fn pull(&self, cotangents: &[Tensor]) -> Vec<Option<Tensor>> {
        let sums = self.pulled(cotangents, false, |_, _, _| ());
        self.arguments.iter().map(|a| self.list.find(a).and_then(|i| sums[i].clone())).collect()
    }

    /// The cotangents of the listed nodes; `seen` is told every term, by the node it comes from and the operand it goes to.
    pub fn flow(&self, cotangents: &[Tensor], seen: impl FnMut(&Tensor, usize, &Tensor)) -> Vec<Option<Tensor>> {
        self.pulled(cotangents, true, seen)
    }

    /// As [`flow`](Self::flow); without `all` the cotangents of nodes that were made from others are not kept.
    fn pulled(
        &self,
        cotangents: &[Tensor],
        all: bool,
        mut seen: impl FnMut(&Tensor, usize, &Tensor),
    ) -> Vec<Option<Tensor>> {
        let mut terms = vec![Terms::default(); self.list.nodes.len()];
        for (output, cotangent) in self.outputs.iter().zip(cotangents) {
            if self.scope.covers(output.marks()) {
                let i = self.list.find(output).expect("outputs are listed");
                terms[i].add(cotangent.clone(), i);
            }
        }
        let mut sums = vec![None; terms.len()];
        // Rules build what nobody wrote: labels are given to it, not inferred.
        labels::following(false, || {
            for i in (0..terms.len()).rev() {
                // A cotangent has the labels of its primal.
                let Some(sum) = mem::take(&mut terms[i]).sum(&self.list.nodes, i) else { continue };
                let made = !self.list.operands[i].is_empty();
                if made {
                    self.step(i, &sum, &mut terms, &mut seen);
                }
                if all || !made {
                    sums[i] = Some(sum);
                }
            }
        });
        sums
    }

    /// Pulls the cotangent of one node to its operands.
    fn step(&self, i: usize, cotangent: &Tensor, flows: &mut [Terms], seen: &mut impl FnMut(&Tensor, usize, &Tensor)) {
        let operands = &self.list.operands[i];
        let node = &self.list.nodes[i];
        let Derivative::Rules(rules) = node.primitive().derivative() else { return };
        let (mut inputs, mut wrt) = (Operands::new(), SmallVec::<[bool; 8]>::new());
        for &j in operands {
            let x = &self.list.nodes[j as usize];
            inputs.push(x.clone());
            wrt.push(x.dtype().is_inexact() && self.scope.covers(x.marks()));
        }
        let site = node.site().of_rules();
        let terms = site::within(Some(site), || rules.vjp(&inputs, node, cotangent, &wrt));
        for (k, (&operand, term)) in operands.iter().zip(terms).enumerate() {
            let Some(term) = term else { continue };
            debug_assert_eq!(term.spec(), inputs[k].spec(), "vjp of {}", node.primitive().name());
            seen(node, k, &term);
            flows[operand as usize].add(term, i);
        }
    }
}

/// If every path from the arguments to `y` was cut by a step that has no derivative by request or by dtype, an error
/// that names it. A function that does not depend on its arguments at all simply has the derivative 0.
pub(crate) fn refuse_cut(y: &Tensor, scope: &Scope) -> Result<()> {
    if scope.covers(y.marks()) {
        return Ok(());
    }
    let list = Listing::walk(std::slice::from_ref(y), |t| !scope.covers(t.marks()));
    for (node, operands) in list.nodes.iter().zip(&list.operands) {
        let Derivative::Cut(why) = node.primitive().derivative() else { continue };
        if operands.iter().any(|&i| scope.covers(list.nodes[i as usize].marks())) {
            let site = node.site();
            return Err(Error::new(format!("no derivative passes here from the result to the arguments: {why}"))
                .hint("make the result from the arguments without this step, or take no derivative of it")
                .located(site.op, site.location, |specs| {
                    specs.extend(operands.iter().map(|&i| list.nodes[i as usize].described()));
                }));
        }
    }
    Ok(())
}

/// Checks that `y` can be differentiated as a loss: one float. `what` begins the sentence: "the function returned".
pub(crate) fn require_scalar(y: &Tensor, what: &str) -> Result<()> {
    require_float(y, what)?;
    if y.dtype().is_complex() {
        let hint = "make it real, for example with `.abs()` or `.real()`; for a holomorphic function's derivative push the tangent 1 with `jvp`";
        return Err(Error::new(format!("{what} {}, and only a real number has a gradient", origin(y))).hint(hint));
    }
    if y.ndim() == 0 {
        return Ok(());
    }
    let hint = "reduce it first, for example with `.sum(..)` or `.mean(..)`; for every element's derivatives use `jacrev` or `vjp`";
    Err(Error::new(format!("{what} {}, and only a scalar has a gradient", origin(y))).hint(hint))
}

/// Checks that the result `y` of a function may have a derivative.
pub(crate) fn require_float(y: &Tensor, what: &str) -> Result<()> {
    if y.dtype().is_inexact() {
        return Ok(());
    }
    Err(Error::new(format!("{what} {}, and only floats have derivatives", origin(y)))
        .hint("differentiate what it was made from, as long as that is a float"))
}

/// The spec of a result, and where it was made.
fn origin(y: &Tensor) -> String {
    match (y.primitive(), y.site()) {
        (Prim::Argument(_), _) => y.spec().to_string(),
        (_, Site { op, location, .. }) => {
            format!("{} (by `{op}` at {}:{})", y.spec(), location.file(), location.line())
        }
    }
}

pub(crate) fn require_floats<T: Tree>(args: &T) -> Result<()> {
    for (path, x) in args.named() {
        if !x.dtype().is_inexact() {
            let at = if path.is_empty() { "the argument".to_owned() } else { format!("argument `{path}`") };
            return Err(Error::new(format!("{at} is {}, and only floats have derivatives", x.spec()))
                .hint("cast it to a float, or let the function capture it instead of taking it as an argument"));
        }
    }
    Ok(())
}

/// The value of a scalar function and the gradient of its argument, which has the argument's type.
///
/// # Errors
/// If an argument leaf or the result is no float, the result is no scalar, or every path between them is cut.
#[track_caller]
pub fn try_value_and_grad<T: Tree>(f: impl Fn(&T) -> Tensor, x: &T) -> Result<(Tensor, T)> {
    let here = Location::caller();
    differentiated(f, x).map_err(|e| e.located("value_and_grad", here, |_| ()))
}

fn differentiated<T: Tree>(f: impl Fn(&T) -> Tensor, x: &T) -> Result<(Tensor, T)> {
    require_floats(x)?;
    let scope = Arc::new(Scope::derivative());
    let args = marked(x, &scope);
    let y = f(&args);
    require_scalar(&y, "the function returned")?;
    refuse_cut(&y, &scope)?;
    let cotangent = Tensor::ones_of(y.spec());
    let sweep = Sweep::new(vec![y.clone()], args.leaves(), scope);
    let grads = sweep.pull(&[cotangent]);
    Ok((y, gradient_tree(x, grads)))
}

/// Cotangents in the structure of the primals, zero where nothing arrived.
fn gradient_tree<T: Tree>(x: &T, grads: Vec<Option<Tensor>>) -> T {
    let leaves = x.leaves();
    x.with_leaves(grads.into_iter().zip(&leaves).map(|(g, x)| labels::like(g, x)))
}

/// The gradient of a scalar function: a function of the same argument that returns what `x` is made of.
///
/// The argument is any [`Tree`]; the gradient has its type. `grad` composes with itself and every other transformation.
/// # Panics
/// As [`try_value_and_grad`] reports.
/// # Example
/// ```
/// use covector::{Tensor, grad};
/// let cube = |x: &Tensor| x * x * x;
/// let x = Tensor::from(2.0f64);
/// assert_eq!(grad(cube)(&x).item::<f64>(), 12.0);
/// assert_eq!(grad(grad(cube))(&x).item::<f64>(), 12.0);
/// ```
/// Source: JAX's `grad`.
#[track_caller]
pub fn grad<T: Tree>(f: impl Fn(&T) -> Tensor) -> impl Fn(&T) -> T {
    // A closure does not learn where it is called, so errors name the line of `grad(f)`.
    gradient("grad", Location::caller(), f)
}

/// The gradient under the name of what the user called.
pub(crate) fn gradient<T: Tree>(
    called: &'static str,
    here: &'static Location<'static>,
    f: impl Fn(&T) -> Tensor,
) -> impl Fn(&T) -> T {
    move |x: &T| match differentiated(&f, x) {
        Ok((_, g)) => g,
        Err(e) => e.located(called, here, |_| ()).raise(),
    }
}

/// As [`grad`], with the function's value.
///
/// # Panics
/// As [`try_value_and_grad`] reports.
/// # Example
/// ```
/// use covector::{Tensor, value_and_grad};
/// let (y, g) = value_and_grad(|x: &Tensor| x.square().sum(..))(&Tensor::from([1.0f32, 2.0]));
/// assert_eq!((y.item::<f32>(), g.to_vec::<f32>()), (5.0, vec![2.0, 4.0]));
/// ```
/// Source: JAX's `value_and_grad`.
#[track_caller]
pub fn value_and_grad<T: Tree>(f: impl Fn(&T) -> Tensor) -> impl Fn(&T) -> (Tensor, T) {
    let here = Location::caller();
    move |x: &T| match differentiated(&f, x) {
        Ok(both) => both,
        Err(e) => e.located("value_and_grad", here, |_| ()).raise(),
    }
}

/// What [`vjp`] returns: pulls cotangents of the outputs back to cotangents of the arguments.
pub struct Pullback<T, Y> {
    sweep: Sweep,
    primals: T,
    outputs: Y,
}

impl<T: Tree, Y: Tree> Pullback<T, Y> {
    /// The vector-Jacobian product ȳJ, without J; may be called many times.
    ///
    /// # Panics
    /// If the cotangent has not the structure, shapes and dtypes of the output.
    #[track_caller]
    pub fn call(&self, cotangent: &Y) -> T {
        match self.try_call(cotangent) {
            Ok(x) => x,
            Err(e) => e.raise(),
        }
    }

    /// As [`call`](Self::call), with an error instead of a panic.
    ///
    /// # Errors
    /// If the cotangent has not the structure, shapes and dtypes of the output.
    #[track_caller]
    pub fn try_call(&self, cotangent: &Y) -> Result<T> {
        let here = Location::caller();
        same_specs(&self.outputs, cotangent, "a cotangent", "the output")
            .map_err(|e| e.located("pullback", here, |_| ()))?;
        Ok(gradient_tree(&self.primals, self.sweep.pull(&cotangent.leaves())))
    }
}

/// Checks that `other` has the structure, shapes and dtypes of `like`.
pub(crate) fn same_specs<T: Tree>(like: &T, other: &T, what: &str, of: &str) -> Result<()> {
    let (a, b) = (like.named(), other.named());
    if a.len() != b.len() {
        return Err(Error::new(format!("{what} must have as many leaves as {of}, {}; it has {}", a.len(), b.len())));
    }
    for ((path, x), (_, y)) in a.iter().zip(&b) {
        if x.spec() != y.spec() {
            let at = if path.is_empty() { String::new() } else { format!(" at `{path}`") };
            let text = format!("{what} must have the shape and dtype of {of}{at}, {}; it is {}", x.spec(), y.spec());
            return Err(Error::new(text));
        }
    }
    Ok(())
}

/// The value of a function and its pullback, which multiplies row vectors by the Jacobian without building it.
///
/// The pullback is the plain product: where a path is cut, or a leaf is no float, it gives zeros.
/// # Panics
/// If the function panics.
/// # Example
/// ```
/// use covector::{Tensor, vjp};
/// let (y, pullback) = vjp(|x: &Tensor| x.square(), &Tensor::from([1.0f32, 3.0]));
/// assert_eq!(y.to_vec::<f32>(), [1.0, 9.0]);
/// assert_eq!(pullback.call(&Tensor::from([1.0f32, 10.0])).to_vec::<f32>(), [2.0, 60.0]);
/// ```
/// Source: JAX's `vjp`.
#[track_caller]
pub fn vjp<T: Tree, Y: Tree>(f: impl Fn(&T) -> Y, x: &T) -> (Y, Pullback<T, Y>) {
    match pulled(f, x, |_, _| Ok(())) {
        Ok(both) => both,
        Err(e) => e.raise(),
    }
}

/// The value and the pullback; `check` may refuse the results.
pub(crate) fn pulled<T: Tree, Y: Tree>(
    f: impl Fn(&T) -> Y,
    x: &T,
    check: impl Fn(&Tensor, &Scope) -> Result<()>,
) -> Result<(Y, Pullback<T, Y>)> {
    let scope = Arc::new(Scope::derivative());
    let args = marked(x, &scope);
    let y = f(&args);
    y.leaves().iter().try_for_each(|y| check(y, &scope))?;
    let sweep = Sweep::new(y.leaves(), args.leaves(), scope);
    let primals = x.map_leaves(Tensor::clone);
    let outputs = y.map_leaves(Tensor::clone);
    Ok((y, Pullback { sweep, primals, outputs }))
}
