//! Graphs made visible: a Mermaid flowchart, or a table of the steps in their order.
//!
//! For people. A drawing of tensors computes nothing and leaves them as they are; one of a function on its arguments
//! computes the numbers it shows. The same program gives the same text.

mod fold;
mod part;
pub(crate) mod text;

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use crate::marks::{Scope, VARIABLES};
use crate::ops::leaf::Argument;
use crate::transform::marked;
use crate::transform::reverse::{Sweep, refuse_cut, require_scalar};
use crate::walk::Listing;
use std::panic::Location;

use crate::{Line, Prim, Result, Spec, Tensor, Tree};
pub use part::Part;
use text::MOST;
pub use text::{numbers, short};

/// The graph from some leaves to some results, ready to be printed.
///
/// Nodes are steps: primitives, or, once [`folded`](Self::folded), the ops the user called. Identities that only mark the
/// arguments of transformations are left out.
///
/// ```
/// use covector::{Tensor, draw::Drawing};
/// let (x, w, b) = (Tensor::from(3.0), Tensor::from(2.0), Tensor::from(1.0));
/// let z = (&x * &w + &b).square();
/// let drawing = Drawing::of(&z).name("x", &x).name("w", &w).name("b", &b).name("z", &z);
/// assert_eq!(drawing.to_string(), "\
/// x                    f64[]
/// w                    f64[]
/// %1 = multiply(x, w)  f64[]
/// b                    f64[]
/// %2 = add(%1, b)      f64[]
/// z = square(%2)       f64[]
/// ");
/// ```
#[derive(Default)]
pub struct Drawing {
    /// Operands stand before their users.
    parts: Vec<Part>,
    /// Identities left out, and the parts that stand for them.
    aliases: Vec<(Tensor, usize)>,
    /// The parts of the arguments the function was traced with.
    arguments: Vec<usize>,
    /// True if numbers that are not known yet may be computed.
    computes: bool,
}

/// One line of a [`Drawing`].
#[derive(Clone, Debug)]
pub struct Step {
    /// The name it was given, the number itself for a scalar constant, or `%` and a number.
    pub name: String,
    /// The primitive, or the op the user called once the drawing is folded.
    pub op: &'static str,
    /// The names of the operands; none for a leaf.
    pub operands: Vec<String>,
    /// What the step was told beside its operands (`axes: [0]`); empty for most.
    pub settings: String,
    /// The dtype and shape of the result.
    pub spec: Spec,
    /// The line that called the op.
    pub location: Line,
}

/// The Mermaid flowchart of what made these tensors: see [`Drawing`].
pub fn mermaid(outputs: &impl Tree) -> String {
    Drawing::of(outputs).mermaid()
}

/// The steps that made these tensors, one per line: see [`Drawing`].
pub fn listing(outputs: &impl Tree) -> String {
    Drawing::of(outputs).to_string()
}

impl Drawing {
    /// What these tensors were made from, as far as they remember it: evaluated tensors forget.
    ///
    /// Computes nothing, and shows only numbers that are known. Results with a field name carry it.
    pub fn of(outputs: &impl Tree) -> Drawing {
        let mut drawing = Drawing::build(&[], &outputs.leaves());
        drawing.name_results(outputs);
        drawing
    }

    /// What `f` does with `args`, whatever it reads on the way, with all small numbers.
    ///
    /// Arguments and results carry the names of their fields; those without are `x` or `x0`, `x1`, …, unless
    /// [`arguments`](Self::arguments) names them.
    ///
    /// ```
    /// use covector::{Tensor, draw::Drawing};
    /// let drawing = Drawing::trace(|x: &Tensor| x.softmax(0), &Tensor::from([1.0, 2.0]));
    /// assert_eq!(drawing.folded().to_string(), "\
    /// x                f64[2]
    /// %1 = softmax(x)  f64[2]
    /// ");
    /// ```
    pub fn trace<T: Tree, Y: Tree>(f: impl Fn(&T) -> Y, args: &T) -> Drawing {
        let scope = Scope::structural();
        let args = identities(args, &scope);
        let outputs = f(&args);
        let mut drawing = Drawing::build(&args.leaves(), &outputs.leaves());
        drawing.computes = true;
        drawing.name_arguments(&args);
        drawing.name_results(&outputs);
        drawing
    }

    /// As [`trace`](Self::trace) for a scalar function, with the gradient of every step and, on a dotted arrow back along
    /// every solid one, the term it adds to its operand's gradient.
    ///
    /// # Panics
    /// As [`try_value_and_grad`](crate::try_value_and_grad) reports.
    #[track_caller]
    pub fn with_gradients<T: Tree>(f: impl Fn(&T) -> Tensor, args: &T) -> Drawing {
        let (structural, derivative) = (Scope::structural(), Arc::new(Scope::derivative()));
        let args = marked(&identities(args, &structural), &derivative);
        let y = f(&args);
        if let Err(e) = require_scalar(&y, "the function returned").and_then(|()| refuse_cut(&y, &derivative)) {
            e.located("with_gradients", Location::caller(), |_| ()).raise()
        }
        let mut drawing = Drawing::build(&args.leaves(), std::slice::from_ref(&y));
        drawing.computes = true;
        drawing.name_arguments(&args);
        let sweep = Sweep::new(vec![y.clone()], args.leaves(), derivative);
        drawing.add_gradients(&sweep, &Tensor::ones_of(y.spec()));
        drawing
    }

    /// As [`of`](Self::of) for a scalar made from leaves that require a gradient, with the gradient of every step.
    ///
    /// # Errors
    /// If it is no scalar float, or every path to the leaves is cut.
    ///
    /// ```
    /// use covector::{Tensor, draw::Drawing};
    /// let x = Tensor::from(3.0).requires_grad();
    /// let drawing = Drawing::backward_of(&x.square()).unwrap();
    /// assert_eq!(drawing.parts()[0].gradient().unwrap().item::<f64>(), 6.0);
    /// ```
    pub fn backward_of(y: &Tensor) -> Result<Drawing> {
        require_scalar(y, "this is")?;
        refuse_cut(y, &VARIABLES)?;
        let mut drawing = Drawing::build(&[], std::slice::from_ref(y));
        let leaves = drawing.parts.iter().filter(|p| p.operands.is_empty() && VARIABLES.covers(p.node.marks()));
        let sweep = Sweep::new(vec![y.clone()], leaves.map(|p| p.node.clone()).collect(), VARIABLES.clone());
        drawing.add_gradients(&sweep, &Tensor::ones_of(y.spec()));
        Ok(drawing)
    }

    /// The steps, operands before their users.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Names every step for which `name` finds a name by a tensor that stands for it.
    pub fn named_by(mut self, name: impl Fn(&Tensor) -> Option<String>) -> Drawing {
        let of_aliases = self.aliases.iter().filter_map(|(t, i)| Some((*i, name(t)?)));
        let found: Vec<(usize, String)> =
            self.parts.iter().enumerate().filter_map(|(i, p)| Some((i, name(&p.node)?))).chain(of_aliases).collect();
        found.into_iter().for_each(|(i, name)| self.parts[i].name = Some(name));
        self
    }

    fn build(arguments: &[Tensor], outputs: &[Tensor]) -> Drawing {
        let is_argument = |t: &Tensor| arguments.iter().any(|a| a.key() == t.key());
        let targets: Vec<Tensor> = arguments.iter().chain(outputs).cloned().collect();
        let list = Listing::walk(&targets, |t| !is_argument(t));
        let mut drawing = Drawing::default();
        let mut place: Vec<usize> = Vec::with_capacity(list.nodes.len());
        for (node, operands) in list.nodes.iter().zip(&list.operands) {
            let operands: Vec<usize> = operands.iter().map(|&i| place[i as usize]).collect();
            if let (Prim::Argument(_), [only]) = (node.primitive(), &operands[..]) {
                drawing.aliases.push((node.clone(), *only));
                place.push(*only);
                continue;
            }
            place.push(drawing.parts.len());
            drawing.parts.push(Part::new(node, operands));
        }
        let found = |t: &Tensor| list.find(t).map(|i| place[i]);
        outputs.iter().filter_map(found).for_each(|i| drawing.parts[i].result = true);
        drawing.arguments = arguments.iter().filter_map(found).collect();
        drawing
    }

    fn add_gradients(&mut self, sweep: &Sweep, cotangent: &Tensor) {
        let at: HashMap<usize, usize> = self.parts.iter().enumerate().map(|(i, p)| (p.node.key(), i)).collect();
        let parts = &mut self.parts;
        let gradients = sweep.flow(std::slice::from_ref(cotangent), |node, operand, term| {
            if let Some(&i) = at.get(&node.key()) {
                parts[i].terms[operand] = Some(term.clone());
            }
        });
        for (node, gradient) in sweep.nodes().iter().zip(gradients) {
            if let Some(&i) = at.get(&node.key()) {
                parts[i].gradient = gradient;
            }
        }
    }

    fn find(&self, tensor: &Tensor) -> Option<usize> {
        let part = self.parts.iter().position(|p| p.node.key() == tensor.key());
        part.or_else(|| self.aliases.iter().find(|(t, _)| t.key() == tensor.key()).map(|(_, i)| *i))
    }

    /// Names the step that made `tensor`, if it is in the drawing.
    pub fn name(mut self, name: &str, tensor: &Tensor) -> Drawing {
        if let Some(i) = self.find(tensor) {
            self.parts[i].name = Some(name.to_owned());
        }
        self
    }

    /// Names every leaf of a structure by its path: `blocks.0.weight`.
    pub fn names(self, tree: &impl Tree) -> Drawing {
        tree.named().iter().fold(self, |drawing, (path, tensor)| drawing.name(path, tensor))
    }

    /// Names the arguments of a traced function, in their order.
    pub fn arguments<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Drawing {
        for (&i, name) in self.arguments.iter().zip(names) {
            self.parts[i].name = Some(name.to_owned());
        }
        self
    }

    fn name_arguments(&mut self, args: &impl Tree) {
        for ((path, _), &i) in args.named().iter().zip(&self.arguments) {
            let name = if is_field(path) { path.clone() } else { format!("x{path}") };
            self.parts[i].name = Some(name);
        }
    }

    fn name_results(&mut self, outputs: &impl Tree) {
        for (path, tensor) in outputs.named().into_iter().filter(|(path, _)| is_field(path)) {
            let found = self.find(&tensor);
            if let Some(part) = found.map(|i| &mut self.parts[i]).filter(|p| p.name.is_none()) {
                part.name = Some(path);
            }
        }
    }

    /// The steps in order; scalar constants stand in their users' operands and have no line.
    pub fn steps(&self) -> Vec<Step> {
        let mut names: Vec<String> = Vec::with_capacity(self.parts.len());
        let mut unnamed = 0;
        for part in &self.parts {
            names.push(part.name.clone().or_else(|| part.number()).unwrap_or_else(|| {
                unnamed += 1;
                format!("%{unnamed}")
            }));
        }
        let lines = self.parts.iter().enumerate().filter(|(_, p)| p.name.is_some() || p.number().is_none());
        let step = |(i, part): (usize, &Part)| Step {
            name: names[i].clone(),
            op: part.op,
            operands: part.operands.iter().map(|&j| names[j].clone()).collect(),
            settings: part.settings(),
            spec: part.node.spec().clone(),
            location: part.node.site().location,
        };
        lines.map(step).collect()
    }

    /// The drawing as a Mermaid flowchart from left to right.
    ///
    /// Values flow along solid arrows; gradients, where the drawing has them, come back along dotted ones, each with the
    /// term it adds. A node says what it is, its dtype and shape, and its numbers if they are few.
    pub fn mermaid(&self) -> String {
        if self.computes {
            let small = |t: &&Tensor| t.size() <= MOST;
            let own = self.parts.iter().flat_map(|p| [Some(&p.node), p.gradient.as_ref()]).flatten();
            let terms = self.parts.iter().flat_map(|p| p.terms.iter().flatten());
            // Inside `vmap` there are no numbers, and a drawing without them is one still.
            let _ = crate::try_eval(own.chain(terms).filter(small));
        }
        let (mut text, mut arrows) = (String::from("flowchart LR\n"), String::new());
        for (i, part) in self.parts.iter().enumerate() {
            let (open, close) = if part.operands.is_empty() { ("([", "])") } else { ("[", "]") };
            let _ = writeln!(text, "    n{i}{open}\"{}\"{close}", part.label());
            for &j in &part.operands {
                let _ = writeln!(arrows, "    n{j} --> n{i}");
            }
        }
        for (i, part) in self.parts.iter().enumerate().rev() {
            for (j, term) in part.operands.iter().zip(&part.terms) {
                let Some(term) = term else { continue };
                let label = numbers(term).map_or(String::new(), |n| format!("|\"{n}\"|"));
                let _ = writeln!(arrows, "    n{i} -.->{label} n{j}");
            }
        }
        text + &arrows
    }
}

impl fmt::Display for Drawing {
    /// One step per line, operands before their users, with dtypes and shapes in a column of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = |s: &Step| match (s.operands.join(", "), &s.settings) {
            (of, set) if !of.is_empty() && !set.is_empty() => format!("{} = {}({of}; {set})", s.name, s.op),
            (of, _) if !of.is_empty() => format!("{} = {}({of})", s.name, s.op),
            _ if s.name.starts_with('%') => format!("{} = {}", s.name, s.op),
            _ => s.name.clone(),
        };
        let lines: Vec<(String, Spec)> = self.steps().into_iter().map(|s| (made(&s), s.spec)).collect();
        let width = lines.iter().map(|(made, _)| made.chars().count()).max().unwrap_or(0);
        lines.iter().try_for_each(|(made, spec)| writeln!(f, "{made:width$}  {spec}"))
    }
}

/// The structure with every leaf behind an identity of the scope, so that what is made of it remembers its history.
fn identities<T: Tree>(tree: &T, scope: &Scope) -> T {
    let identity = |x: &Tensor| {
        let argument = Argument(scope.marks(x.marks()));
        crate::ops::made(Tensor::apply(Prim::Argument(argument), [x.clone()]))
    };
    tree.map_leaves(identity)
}

/// True if the path names a field, not a position in a tuple or list.
fn is_field(path: &str) -> bool {
    !path.is_empty() && !path.starts_with(|c: char| c.is_ascii_digit())
}
