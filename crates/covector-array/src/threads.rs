//! The one door to threads.
//!
//! Work is cut into chunks whose number depends on the work alone, never on the number of threads, so results have the
//! same bits whatever runs them. `COVECTOR_THREADS` or [`set_threads`] choose how many threads there are.

mod team;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock, RwLock};

use team::{Board, Team};

use crate::variable::variable;

/// Below this many element operations a loop stays on the calling thread.
pub const SERIAL_BELOW: usize = 1 << 15;

static TEAM: OnceLock<RwLock<Option<Team>>> = OnceLock::new();

thread_local! {
    /// Where this thread shares its loops, and its number in the team; none outside [`enter`].
    static PLACE: RefCell<Option<(Arc<Board>, usize)>> = const { RefCell::new(None) };
}

fn team() -> &'static RwLock<Option<Team>> {
    TEAM.get_or_init(|| {
        let parse = |value: &str| value.parse().ok().filter(|&n: &usize| n > 0);
        let asked = variable("COVECTOR_THREADS", parse, "no number of threads: all processors are used");
        let n = asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
        RwLock::new(build(n))
    })
}

/// `None` stands for one thread: the caller's own.
fn build(n: usize) -> Option<Team> {
    (n > 1).then(|| Team::new(n))
}

/// Sets the number of threads for all later work of this process; results do not change.
pub fn set_threads(n: usize) {
    let before = std::mem::replace(&mut *team().write().unwrap_or_else(|e| e.into_inner()), build(n));
    // Waits for its threads, but nobody for this.
    drop(before);
}

/// In a child process that was forked: it has none of its parent's threads, so it works on one until it sets others.
pub fn after_fork() {
    let before = std::mem::take(&mut *team().write().unwrap_or_else(|e| e.into_inner()));
    // Its end would wait for threads that are not there.
    std::mem::forget(before);
}

/// The number of threads in use.
pub fn threads() -> usize {
    team().read().unwrap_or_else(|e| e.into_inner()).as_ref().map_or(1, |team| team.board.members)
}

/// Runs `work` on this thread, with the others taking part in its loops.
pub fn enter<R>(work: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            PLACE.set(None);
        }
    }
    if is_entered() {
        return work();
    }
    let board = team().read().unwrap_or_else(|e| e.into_inner()).as_ref().map(|team| team.board.clone());
    PLACE.set(board.map(|board| (board, 0)));
    let _leave = Leave;
    work()
}

fn is_entered() -> bool {
    PLACE.with_borrow(Option::is_some)
}

/// What a thread of a team does.
fn served(board: Arc<Board>, member: usize) {
    PLACE.set(Some((board.clone(), member)));
    board.serve(member);
}

/// Work was given up because a [watch](set_watch) said so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopped;

static WATCH: OnceLock<fn() -> bool> = OnceLock::new();

/// From now on `watch` is asked, again and again on the thread that computes, whether to give the work up.
///
/// For programs that must answer meanwhile, as an interpreter answers Ctrl-C. It is asked more often than anything should be
/// looked up that takes long. The first watch stays.
pub fn set_watch(watch: fn() -> bool) {
    let _ = WATCH.set(watch);
}

/// Asks the watch, if there is one.
pub fn ask_watch() -> bool {
    WATCH.get().is_some_and(|watch| watch())
}

thread_local! {
    /// True inside [`try_here`].
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// A place in a long loop where it can be given up: unwinds to [`try_enter`] or [`try_here`] if it is.
pub fn pause() {
    if team::has_failed() || is_unwanted() {
        resume_unwind(stopped());
    }
}

/// True if this thread has work that is to be given up.
fn is_unwanted() -> bool {
    HERE.get() && ask_watch()
}

fn stopped() -> Box<dyn Any + Send> {
    Box::new(Stopped)
}

/// Runs work of this thread that is given up at the next [`pause`] after the watch says so.
///
/// ```
/// use covector_array::threads;
/// assert_eq!(threads::try_here(|| 1 + 1), Ok(2));
/// ```
///
/// # Errors
/// If it was given up.
pub fn try_here<R>(work: impl FnOnce() -> R) -> Result<R, Stopped> {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    if WATCH.get().is_none() {
        return Ok(work());
    }
    let _restore = Restore(HERE.replace(true));
    finished(catch_unwind(AssertUnwindSafe(work)))
}

/// What work came to that may have been given up.
fn finished<R>(outcome: std::thread::Result<R>) -> Result<R, Stopped> {
    match outcome {
        Ok(result) => Ok(result),
        Err(payload) if payload.is::<Stopped>() => Err(Stopped),
        Err(payload) => resume_unwind(payload),
    }
}

/// As [`enter`], but given up if the watch says so.
///
/// ```
/// use covector_array::threads;
/// assert_eq!(threads::try_enter(|| 1 + 1), Ok(2));
/// ```
///
/// # Errors
/// If it was given up.
pub fn try_enter<R>(work: impl FnOnce() -> R) -> Result<R, Stopped> {
    try_here(|| enter(work))
}

/// Calls `body` for `0..n`, in parallel if the whole is worth it (`cost`: element operations in all).
///
/// Outside [`enter`], or with one thread, the calls run in order on the calling thread.
pub fn for_each(n: usize, cost: usize, body: impl Fn(usize) + Sync) {
    spread(n, cost, &body);
}

/// One copy for all bodies, of which there are hundreds.
fn spread(n: usize, cost: usize, body: &(dyn Fn(usize) + Sync)) {
    if cost < SERIAL_BELOW {
        return (0..n).for_each(body);
    }
    let body = &|i| {
        pause();
        body(i);
    };
    let shared = n > 1
        && PLACE.with_borrow(|place| {
            place.as_ref().is_some_and(|(board, member)| board.share(*member, n, body, &is_unwanted, stopped))
        });
    if !shared {
        (0..n).for_each(body);
    }
}

/// The ranges `0..len` is cut into, `chunk` long each (the last may be shorter).
pub fn chunks(len: usize, chunk: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    (0..len.div_ceil(chunk)).map(move |i| i * chunk..(i * chunk + chunk).min(len))
}
