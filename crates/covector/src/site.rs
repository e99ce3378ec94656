//! Where a node was made: the outermost op on the stack, and the user's line.
//!
//! Composites call other ops; the nodes they make should point at the user's program, not at the composite's body. So the
//! outermost op leaves its name and line here while it runs. For diagnostics only: no result ever depends on it.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::labels::{self, Clash, Described};
use crate::{Error, Result};

/// The op a user called and the line that called it.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The op's name; for a composite, the composite's.
    pub op: &'static str,
    /// The user's line.
    pub location: Line,
    /// Which call it was: the nodes an op makes share it. 0 for what derivative rules add to the graph.
    pub call: u64,
}

/// A line of the user's program: of Rust, or of a language that calls us and says so by [`at_line`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Line {
    file: &'static str,
    line: u32,
}

impl Line {
    /// This line of this file.
    pub const fn new(file: &'static str, line: u32) -> Line {
        Line { file, line }
    }

    /// The source file.
    pub fn file(&self) -> &'static str {
        self.file
    }

    /// The line in it, counted from 1.
    pub fn line(&self) -> u32 {
        self.line
    }
}

/// The line itself, or that of another language on whose behalf it runs.
impl From<&'static Location<'static>> for Line {
    fn from(at: &'static Location<'static>) -> Line {
        CALLER.get().unwrap_or(Line { file: at.file(), line: at.line() })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Runs `body` on behalf of a line of another language: ops, errors and drawings name it instead of the line of Rust.
///
/// ```
/// use covector::{Line, Tensor, at_line};
/// let error = at_line(Line::new("model.py", 7), || Tensor::from([1.0f32]).try_matmul(&Tensor::from([1.0f32, 2.0])));
/// assert!(error.unwrap_err().to_string().contains("at model.py:7"));
/// ```
pub fn at_line<R>(line: Line, body: impl FnOnce() -> R) -> R {
    struct Restore(Option<Line>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CALLER.set(self.0);
        }
    }
    let _restore = Restore(CALLER.replace(Some(line)));
    body()
}

/// Calls are numbered in blocks, one to a thread, so that threads do not meet at every call. The first block is not given
/// out: 0 is no call.
const BLOCK: u64 = 1 << 16;
static BLOCKS: AtomicU64 = AtomicU64::new(BLOCK);

impl Site {
    /// A fresh call of `op` at this line.
    pub(crate) fn new(op: &'static str, location: impl Into<Line>) -> Site {
        Site { op, location: location.into(), call: next_call() }
    }

    /// Where the op's derivative rules build: the same op and line, but no part of the call.
    pub(crate) fn of_rules(self) -> Site {
        Site { call: 0, ..self }
    }
}

fn next_call() -> u64 {
    let next = NEXT_CALL.get();
    let call = if next.is_multiple_of(BLOCK) { BLOCKS.fetch_add(BLOCK, Ordering::Relaxed) } else { next };
    NEXT_CALL.set(call + 1);
    call
}

thread_local! {
    static NEXT_CALL: Cell<u64> = const { Cell::new(0) };
    static CURRENT: Cell<Option<Site>> = const { Cell::new(None) };
    static CALLER: Cell<Option<Line>> = const { Cell::new(None) };
}

/// The site of the outermost op that runs on this thread.
pub fn current() -> Option<Site> {
    CURRENT.get()
}

/// The site of the outermost op that runs on this thread, or a call of `op` at the caller's line.
#[track_caller]
pub(crate) fn here(op: &'static str) -> Site {
    // Not by a closure, which would name its own line.
    match CURRENT.get() {
        Some(site) => site,
        None => Site::new(op, Location::caller()),
    }
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

/// Runs an op's body: nodes made inside point at its call, and so do errors.
///
/// Inside another op both are that one's: the user did not call this.
pub(crate) fn call<R>(
    op: &'static str,
    location: &'static Location<'static>,
    operands: impl Fn(&mut Vec<Described>),
    body: impl FnOnce() -> Result<R>,
) -> Result<R> {
    if CURRENT.get().is_some() {
        return body();
    }
    let site = Site::new(op, location);
    let result = within(Some(site), body);
    let clash = labels::waiting(site);
    if clash.is_none() && result.is_ok() {
        return result;
    }
    Err(failed(clash, result.err(), &site, &operands))
}

/// What an op's caller is told of labels that clash, or else of its error. Once for all ops, each of which has a `call` of its own.
#[cold]
#[inline(never)]
fn failed(
    clash: Option<Box<Clash>>,
    error: Option<Error>,
    site: &Site,
    operands: &dyn Fn(&mut Vec<Described>),
) -> Error {
    let mut all = Vec::new();
    operands(&mut all);
    let error = clash.map(|clash| clash.error(&all)).or(error).expect("something failed");
    error.located(site.op, site.location, |described| *described = all)
}

/// Runs `body` with `site` as the current one unless an outer op has set its own.
pub(crate) fn outermost<R>(site: Site, body: impl FnOnce() -> R) -> R {
    match CURRENT.get() {
        Some(_) => body(),
        None => within(Some(site), body),
    }
}
