//! When labels are inferred, and what happens to a clash until the op reports it.

use std::cell::{Cell, RefCell};

use super::flow::{Clash, Flow};
use super::{Described, Names};
use crate::primitive::Prim;
use crate::site::{self, Site};
use crate::tensor::Operands;
use crate::{Result, Spec, Tensor};

thread_local! {
    /// False while nodes are made that stand for others: replayed steps and derivative rules.
    static FOLLOWED: Cell<bool> = const { Cell::new(true) };
    /// True if a clash waits for the op during which it was found.
    static CLASHED: Cell<bool> = const { Cell::new(false) };
    /// The first clash in an op's body, with the number of its call. The body goes on, so that composites need not expect
    /// clashes; the op reports it.
    static WAITING: RefCell<Option<(u64, Box<Clash>)>> = const { RefCell::new(None) };
}

/// Runs `body` with or without labels being inferred.
pub(crate) fn following<R>(on: bool, body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            FOLLOWED.set(self.0);
        }
    }
    let _restore = Restore(FOLLOWED.replace(on));
    body()
}

/// The names of the result of `prim`.
///
/// # Errors
/// If labels clash outside of any op; inside of one the clash waits for [`waiting`].
#[inline]
pub(crate) fn inferred(prim: &Prim, inputs: &Operands, out: &Spec) -> Result<Names> {
    if inputs.iter().all(|t| t.names().is_none()) {
        return Ok(Names::default());
    }
    flowing(prim, inputs, out)
}

#[cold]
#[inline(never)]
fn flowing(prim: &Prim, inputs: &Operands, out: &Spec) -> Result<Names> {
    if !FOLLOWED.get() {
        return Ok(Names::default());
    }
    joined(inputs, out, prim.name(), |flow| prim.label(flow))
}

/// The names of a result of which `say` says how it hangs together with the operands.
fn joined(inputs: &[Tensor], out: &Spec, by: &'static str, say: impl FnOnce(&mut Flow<'_>)) -> Result<Names> {
    let mut flow = Flow::new(inputs, out);
    say(&mut flow);
    let (names, clash) = flow.finish(by);
    match (clash, site::current()) {
        (None, _) => Ok(names),
        (Some(clash), None) => {
            let operands: Vec<Described> = inputs.iter().map(Tensor::described).collect();
            Err(clash.error(&operands))
        }
        (Some(clash), Some(site)) => {
            WAITING.with_borrow_mut(|waiting| {
                let stale = waiting.as_ref().is_none_or(|(call, _)| *call != site.call);
                if stale {
                    *waiting = Some((site.call, Box::new(clash)));
                }
            });
            CLASHED.set(true);
            Ok(names)
        }
    }
}

/// The clash that was found in the body of this call.
#[inline]
pub(crate) fn waiting(site: Site) -> Option<Box<Clash>> {
    if CLASHED.get() { taken(site) } else { None }
}

#[cold]
fn taken(site: Site) -> Option<Box<Clash>> {
    CLASHED.set(false);
    // One that an op left behind when its body panicked is nobody's.
    WAITING.take().filter(|(call, _)| *call == site.call).map(|(_, clash)| clash)
}

/// Lets the axes of tensors of one shape meet, from whose values a result will be made that is no node on them.
pub(crate) fn meet(tensors: &[Tensor; 2], by: &'static str) -> Result<()> {
    if FOLLOWED.get() && tensors.iter().any(|t| !t.names().is_none()) {
        joined(tensors, tensors[0].spec(), by, |flow| flow.alike())?;
    }
    Ok(())
}
