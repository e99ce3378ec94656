//! Which transformations a node's history may still be asked for.
//!
//! Each transformation marks its own arguments with a fresh token, and a node carries the tokens of all it was made from.
//! While a token is open the node must remember its inputs; once all are closed (the transformation has returned) an
//! evaluated node forgets them, so that a training loop does not drag its past along.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

/// The token of one transformation; closed when its [`Scope`] is dropped.
#[derive(Debug)]
pub struct Mark {
    open: AtomicBool,
    /// Follows values (batching), not derivatives: it passes through steps that cut the derivative.
    structural: bool,
}

/// Keeps a mark open for as long as it lives.
#[derive(Debug)]
pub struct Scope(Arc<Mark>);

impl Scope {
    /// Opens a fresh mark of a derivative: it ends at steps that have none.
    pub fn derivative() -> Self {
        Scope(Arc::new(Mark { open: AtomicBool::new(true), structural: false }))
    }

    /// Opens a fresh mark that follows everything computed from the argument.
    pub fn structural() -> Self {
        Scope(Arc::new(Mark { open: AtomicBool::new(true), structural: true }))
    }

    /// The tokens of an argument marked by this scope, which was made from a node with tokens `inner`.
    pub fn marks(&self, inner: &Marks) -> Marks {
        let own = Marks(Some(Arc::from([self.0.clone()])));
        Marks::union([&own, inner].into_iter())
    }

    /// True if a node with these tokens was made from an argument of this scope.
    pub fn covers(&self, marks: &Marks) -> bool {
        marks.contains(&self.0)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.0.open.store(false, Ordering::Release);
    }
}

/// The scope of all variables (leaves that require a gradient): always open, their history belongs to the user.
pub static VARIABLES: LazyLock<Arc<Scope>> = LazyLock::new(|| Arc::new(Scope::derivative()));

/// A set of tokens, shared between nodes that have the same ones.
#[derive(Clone, Default, Debug)]
pub struct Marks(Option<Arc<[Arc<Mark>]>>);

impl Marks {
    /// True if some transformation may still ask for the history.
    pub fn is_open(&self) -> bool {
        self.tokens().iter().any(|m| m.open.load(Ordering::Acquire))
    }

    /// All open tokens of several sets.
    pub fn union<'a>(sets: impl Iterator<Item = &'a Marks>) -> Marks {
        let mut union: Option<Marks> = None;
        for set in sets.filter(|s| s.0.is_some()) {
            if union.as_ref().is_some_and(|have| have.is(set)) || !set.is_open() {
                continue;
            }
            union = Some(match union {
                None => set.clone(),
                Some(have) if set.tokens().iter().all(|m| have.contains(m)) => have,
                Some(have) => {
                    let mut all: Vec<Arc<Mark>> = have.tokens().to_vec();
                    all.extend(set.tokens().iter().filter(|m| !have.contains(m)).cloned());
                    all.retain(|m| m.open.load(Ordering::Acquire));
                    Marks(Some(all.into()))
                }
            });
        }
        union.unwrap_or_default()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// True if both are the same set in memory.
    fn is(&self, other: &Marks) -> bool {
        matches!((&self.0, &other.0), (Some(a), Some(b)) if Arc::ptr_eq(a, b))
    }

    /// The tokens that pass through steps without a derivative.
    pub fn without_derivatives(self) -> Marks {
        if self.tokens().iter().all(|m| m.structural) {
            return self;
        }
        let kept: Vec<Arc<Mark>> = self.tokens().iter().filter(|m| m.structural).cloned().collect();
        Marks((!kept.is_empty()).then(|| kept.into()))
    }

    /// True if a derivative with respect to something this was made from may be asked for.
    pub fn has_derivatives(&self) -> bool {
        self.tokens().iter().any(|m| !m.structural && m.open.load(Ordering::Acquire))
    }

    fn tokens(&self) -> &[Arc<Mark>] {
        self.0.as_deref().unwrap_or_default()
    }

    fn contains(&self, mark: &Arc<Mark>) -> bool {
        self.tokens().iter().any(|m| Arc::ptr_eq(m, mark))
    }
}
