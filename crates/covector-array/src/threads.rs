//! The one door to threads.
//!
//! Work is cut into chunks whose number depends on the work alone, never on the number of threads, so results have the
//! same bits whatever runs them. `COVECTOR_THREADS` or [`set_threads`] choose how many threads there are.

use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{OnceLock, RwLock};
use std::time::Duration;

use rayon::prelude::*;

/// Below this many element operations a loop stays on the calling thread.
pub const SERIAL_BELOW: usize = 1 << 15;

static POOL: OnceLock<RwLock<Option<rayon::ThreadPool>>> = OnceLock::new();

fn pool() -> &'static RwLock<Option<rayon::ThreadPool>> {
    POOL.get_or_init(|| {
        let wanted = std::env::var("COVECTOR_THREADS").ok().and_then(|v| v.parse::<usize>().ok()).filter(|&n| n > 0);
        let n = wanted.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
        RwLock::new(build(n))
    })
}

/// `None` stands for one thread: the caller's own.
fn build(n: usize) -> Option<rayon::ThreadPool> {
    if n <= 1 {
        return None;
    }
    rayon::ThreadPoolBuilder::new().num_threads(n).thread_name(|i| format!("covector-{i}")).build().ok()
}

/// Sets the number of threads for all later work of this process; results do not change.
pub fn set_threads(n: usize) {
    *pool().write().unwrap_or_else(|e| e.into_inner()) = build(n);
}

/// The number of threads in use.
pub fn threads() -> usize {
    pool().read().unwrap_or_else(|e| e.into_inner()).as_ref().map_or(1, |p| p.current_num_threads())
}

/// Runs `work` inside the pool, so that the loops in it share one entry (entering costs microseconds).
pub fn enter<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if rayon::current_thread_index().is_some() {
        return work();
    }
    match pool().read().unwrap_or_else(|e| e.into_inner()).as_ref() {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Work was given up because a [watch](set_watch) said so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopped;

static WATCH: OnceLock<fn() -> bool> = OnceLock::new();

/// True while what runs in the pool is to stop.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// How often a watch is asked.
const TICK: Duration = Duration::from_millis(20);

/// From now on `watch` is asked, every 20 ms and on the thread that waits for long work, whether to give the work up.
///
/// For programs that must answer meanwhile, as an interpreter answers Ctrl-C. The first watch stays.
pub fn set_watch(watch: fn() -> bool) {
    let _ = WATCH.set(watch);
}

/// Asks the watch, if there is one and this thread is not one of the pool, for which the thread that waits asks.
pub fn ask_watch() -> bool {
    WATCH.get().is_some_and(|watch| rayon::current_thread_index().is_none() && watch())
}

/// True if work of this process is being given up: what runs step by step should end with [`Stopped`].
pub fn is_stopping() -> bool {
    STOPPING.load(Ordering::Relaxed)
}

thread_local! {
    /// True inside [`try_here`].
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// A place in a long loop where it can be given up: unwinds to [`try_enter`] or [`try_here`] if it is.
pub fn pause() {
    if (is_stopping() && rayon::current_thread_index().is_some()) || (HERE.get() && ask_watch()) {
        resume_unwind(Box::new(Stopped));
    }
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
    if WATCH.get().is_none() || rayon::current_thread_index().is_some() {
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

/// As [`enter`], but given up if the watch says so. Other work in the pool at that moment is given up with it.
///
/// ```
/// use covector_array::threads;
/// assert_eq!(threads::try_enter(|| 1 + 1), Ok(2));
/// ```
///
/// # Errors
/// If it was given up.
pub fn try_enter<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R, Stopped> {
    let Some(&watch) = WATCH.get().filter(|_| rayon::current_thread_index().is_none()) else { return Ok(enter(work)) };
    match pool().read().unwrap_or_else(|e| e.into_inner()).as_ref() {
        Some(pool) => watched(pool, work, watch),
        None => try_here(work),
    }
}

/// The work runs in the pool; this thread waits for it and asks the watch meanwhile.
fn watched<R: Send>(
    pool: &rayon::ThreadPool,
    work: impl FnOnce() -> R + Send,
    watch: fn() -> bool,
) -> Result<R, Stopped> {
    let (done, waiting) = sync_channel(1);
    let mut outcome = None;
    pool.in_place_scope(|scope| {
        scope.spawn(|_| {
            outcome = Some(catch_unwind(AssertUnwindSafe(work)));
            // The receiver waits until it has this.
            let _ = done.send(());
        });
        let mut stopping = false;
        while waiting.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            if !stopping && watch() {
                stopping = true;
                STOPPING.store(true, Ordering::Relaxed);
            }
        }
        if stopping {
            STOPPING.store(false, Ordering::Relaxed);
        }
    });
    finished(outcome.expect("the work was spawned"))
}

/// Calls `body` for `0..n`, in parallel if the whole is worth it (`cost`: element operations in all).
///
/// Outside [`enter`], or with one thread, the calls run in order on the calling thread.
pub fn for_each(n: usize, cost: usize, body: impl Fn(usize) + Sync) {
    spread(n, cost, &body);
}

/// One copy for all bodies: a loop of rayon's is a thousand lines of machine code, and there are hundreds of bodies.
fn spread(n: usize, cost: usize, body: &(dyn Fn(usize) + Sync)) {
    if n > 1 && cost >= SERIAL_BELOW && rayon::current_thread_index().is_some() {
        // Down to single chunks, so that no thread waits for another's last few.
        (0..n).into_par_iter().with_max_len(1).for_each(|i| {
            pause();
            body(i);
        });
    } else if cost >= SERIAL_BELOW {
        (0..n).for_each(|i| {
            pause();
            body(i);
        });
    } else {
        (0..n).for_each(body);
    }
}

/// The ranges `0..len` is cut into, `chunk` long each (the last may be shorter).
pub fn chunks(len: usize, chunk: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    (0..len.div_ceil(chunk)).map(move |i| i * chunk..(i * chunk + chunk).min(len))
}
