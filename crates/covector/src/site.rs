//! Where a node was made: the outermost op on the stack, and the user's line.
//!
//! Composites call other ops; the nodes they make should point at the user's program, not at the composite's body. So the
//! outermost op leaves its name and line here while it runs. For diagnostics only: no result ever depends on it.

use std::cell::Cell;
use std::panic::Location;

/// The op a user called and the line that called it.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The op's name; for a composite, the composite's.
    pub op: &'static str,
    /// The user's line.
    pub location: &'static Location<'static>,
}

thread_local! {
    static CURRENT: Cell<Option<Site>> = const { Cell::new(None) };
}

/// The site of the outermost op that runs on this thread.
pub fn current() -> Option<Site> {
    CURRENT.get()
}

/// Runs `body` with `site` as the current one, replacing what was set.
pub(crate) fn within<R>(site: Option<Site>, body: impl FnOnce() -> R) -> R {
    struct Restore(Option<Site>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(site));
    body()
}

/// Runs `body` with `site` as the current one unless an outer op has set its own.
pub(crate) fn outermost<R>(site: Site, body: impl FnOnce() -> R) -> R {
    match CURRENT.get() {
        Some(_) => body(),
        None => within(Some(site), body),
    }
}
