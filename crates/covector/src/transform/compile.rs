//! Compilation: a function recorded and planned once, then run without a graph.

use std::borrow::Borrow;
use std::hash::Hash;
use std::panic::Location;
use std::sync::{Arc, Mutex};

use crate::labels::Names;
use crate::plan::{Prepared, Wide};
use crate::site::{self, Site};
use crate::transform::program::Program;
use crate::{Result, Tensor, Tree, try_eval};

/// Programs a compiled function keeps; the one unused for longest makes room.
const CAPACITY: usize = 16;

/// A function that is recorded at its first call; later calls run the recorded plan and build no graph.
///
/// The results are those of `f`, to the bit, but computed at once. `f` may use any op and any transformation, [`grad`]
/// included; it sees arguments without values, so it cannot read them. What it captures are constants, which the compiled
/// function holds while it lives; what `f` does besides making tensors (counting, printing, [`default_key`]) happens when it
/// is recorded, not at every call.
///
/// It is recorded anew for arguments of another structure, shape or dtype, or with other numbers or text among the tensors,
/// and keeps the last sixteen programs: what changes at every step (a learning rate) should be a tensor. Arguments stay as they
/// are; [`compile_owned`] overwrites them. It is the plain `f`
/// where a plan would be wrong: inside another transformation (`grad(compile(f))`), on leaves that require a gradient, and
/// for structures with fields that are skipped.
///
/// [`grad`]: crate::grad
/// [`default_key`]: crate::random::default_key
/// # Panics
/// If the function reads a value made from its arguments, or an op refuses its data.
/// # Example
/// ```
/// use covector::{Tensor, compile, grad};
/// let loss = |(w, x): &(Tensor, Tensor)| (w * x).square().sum(..);
/// let step = compile(|args: &(Tensor, Tensor)| &args.0 - grad(loss)(args).0 * 0.25);
/// let x = Tensor::from([1.0f32, 2.0]);
/// let mut w = Tensor::from([1.0f32, 1.0]);
/// for _ in 0..2 {
///     w = step(&(w, x.clone()));
/// }
/// assert_eq!(w.to_vec::<f32>(), [0.25, 1.0]);
/// ```
/// Source: JAX's `jit`.
#[track_caller]
pub fn compile<T: Tree, Y: Tree>(f: impl Fn(&T) -> Y) -> impl Fn(&T) -> Y {
    let programs = Programs::new("compile", false);
    move |x: &T| programs.call(&f, x)
}

/// As [`compile`], for arguments that are given away: the memory of those that nobody else holds is used for the results.
///
/// A training step that takes its parameters and an optimiser's state by value writes the new ones where the old ones were:
/// there is one copy of them, not two, and an update follows the gradient it is made from. Tensors that are held elsewhere, by
/// a clone or a view, stay as they are; those of a batch that is used again are cloned, which copies nothing. If the function
/// panics, the arguments are lost. [`Tensor::donated`] does the same for a constant of a function that is not compiled.
///
/// # Panics
/// As [`compile`].
/// # Example
/// ```
/// use covector::{Tensor, compile_owned, value_and_grad};
/// let loss = |(w, x): &(Tensor, Tensor)| (w * x).square().sum(..);
/// let step = compile_owned(|args: &(Tensor, Tensor)| {
///     let (loss, (g, _)) = value_and_grad(loss)(args);
///     (loss, &args.0 - g * 0.25)
/// });
/// let x = Tensor::from([1.0f32, 2.0]);
/// let mut w = Tensor::from([1.0f32, 1.0]);
/// for _ in 0..2 {
///     (_, w) = step((w, x.clone()));
/// }
/// assert_eq!(w.to_vec::<f32>(), [0.25, 1.0]);
/// ```
/// Source: JAX's `jit` with `donate_argnums`.
#[track_caller]
pub fn compile_owned<T: Tree, Y: Tree>(f: impl Fn(&T) -> Y) -> impl Fn(T) -> Y {
    let programs = Programs::new("compile_owned", true);
    move |x: T| programs.call(&f, x)
}

/// What a program depends on besides the values of its arguments, in 128 bits.
type Key = (u64, u64);

/// What was recorded for some kind of arguments; `None` where it must not be replayed.
type Kept<Y> = Option<Arc<Compiled<Y>>>;

/// The programs of a compiled function.
struct Programs<Y> {
    /// The last used stands last.
    kept: Mutex<Vec<(Key, Kept<Y>)>>,
    /// What compiled the function.
    who: &'static str,
    /// Where that was: a closure does not learn where it is called.
    here: &'static Location<'static>,
    /// True if the arguments are given away.
    given: bool,
}

impl<Y: Tree> Programs<Y> {
    #[track_caller]
    fn new(who: &'static str, given: bool) -> Programs<Y> {
        Programs { kept: Mutex::new(Vec::new()), who, here: Location::caller(), given }
    }

    fn call<T: Tree>(&self, f: impl Fn(&T) -> Y, x: impl Borrow<T>) -> Y {
        match self.try_call(f, x) {
            Ok(y) => y,
            Err(e) => e.located(self.who, self.here, |_| ()).raise(),
        }
    }

    fn try_call<T: Tree>(&self, f: impl Fn(&T) -> Y, given: impl Borrow<T>) -> Result<Y> {
        let x = given.borrow();
        let leaves = x.leaves();
        let followed = leaves.iter().any(|t| t.marks().is_open());
        let Some(key) = key(x, &leaves).filter(|_| !followed) else { return Ok(f(x)) };
        let compiled = match self.find(key) {
            Some(kept) => kept,
            None => {
                let made = self.compiled(&f, x, &leaves)?.map(Arc::new);
                self.keep(key, made.clone());
                made
            }
        };
        match compiled {
            Some(compiled) => {
                drop(given);
                compiled.call(leaves, Site::new(self.who, self.here))
            }
            None => Ok(f(x)),
        }
    }

    /// Records the function for arguments like these.
    fn compiled<T: Tree>(&self, f: impl Fn(&T) -> Y, x: &T, leaves: &[Tensor]) -> Result<Option<Compiled<Y>>> {
        let mut structure = None;
        let program = Program::trace(leaves, self.who, |placeholders| {
            let y = f(&x.with_leaves(placeholders.iter().cloned()));
            let leaves = y.leaves();
            structure = Some(y);
            leaves
        });
        let structure = structure.expect("the function was traced");
        let names = program.names().cloned().collect();
        Ok(program.prepared(self.given)?.map(|prepared| Compiled { prepared, structure, names }))
    }

    fn find(&self, key: Key) -> Option<Kept<Y>> {
        let mut kept = self.kept.lock().unwrap_or_else(|e| e.into_inner());
        let at = kept.iter().rposition(|(k, _)| *k == key)?;
        kept[at..].rotate_left(1);
        kept.last().map(|(_, found)| found.clone())
    }

    fn keep(&self, key: Key, made: Kept<Y>) {
        let mut kept = self.kept.lock().unwrap_or_else(|e| e.into_inner());
        // Another thread may have recorded the same meanwhile.
        kept.retain(|(k, _)| *k != key);
        if kept.len() >= CAPACITY {
            kept.remove(0);
        }
        kept.push((key, made));
    }
}

/// `None` for arguments that hold something a key cannot tell of.
fn key<T: Tree>(x: &T, leaves: &[Tensor]) -> Option<Key> {
    let mut hasher = Wide::default();
    if !x.fixed(&mut hasher) {
        return None;
    }
    for t in leaves {
        t.spec().hash(&mut hasher);
        if !t.names().is_none() {
            t.labels().hash(&mut hasher);
        }
    }
    Some(hasher.both())
}

/// A function recorded for one kind of arguments.
struct Compiled<Y> {
    prepared: Prepared,
    structure: Y,
    names: Vec<Names>,
}

impl<Y: Tree> Compiled<Y> {
    fn call(&self, leaves: Vec<Tensor>, site: Site) -> Result<Y> {
        try_eval(&leaves)?;
        let arguments = leaves.into_iter().map(|t| t.cached().cloned().expect("evaluated above")).collect();
        let results = self.prepared.run(arguments)?;
        let made = results.into_iter().zip(&self.names);
        let results = site::outermost(site, || {
            made.map(|(array, names)| Tensor::from_array(array).named(names)).collect::<Vec<_>>()
        });
        Ok(self.structure.with_leaves(results))
    }
}
