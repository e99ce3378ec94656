//! Threads that take part in the loops of others.
//!
//! A loop is laid out in a slot where idle threads find it; the thread it belongs to works on it like the others, and returns
//! when nobody is inside any more. So loops may stand in loops, and several threads may have loops at a time. The chunks of a
//! loop are cut into one share per thread, of which each begins with its own: what a thread wrote into its caches in one
//! loop it finds there in the next.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Loops that can be shared at a time; others are run by their own thread alone.
const SLOTS: usize = 16;

/// At most so many shares; more threads than that begin with one together.
const SHARES: usize = 16;

/// How often a thread looks for what it waits for before it lets others run in between.
const LOOKS: u32 = 1 << 10;

/// How long a thread without work looks for some before it sleeps: steps of a plan follow one another sooner, and to be
/// woken takes longer than many of them.
const AWAKE: Duration = Duration::from_micros(200);

/// The threads beside the caller's; dropped, they end.
pub(super) struct Team {
    pub board: Arc<Board>,
    workers: Vec<JoinHandle<()>>,
}

impl Team {
    /// Of `members` threads, the caller's among them; fewer where the system refuses more.
    pub fn new(members: usize) -> Team {
        let board = Arc::new(Board {
            members,
            taken: AtomicU32::new(0),
            open: AtomicU32::new(0),
            over: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            alarm: Condvar::new(),
            slots: std::array::from_fn(|_| Slot::default()),
        });
        let worker = |i: usize| {
            let board = board.clone();
            thread::Builder::new().name(format!("covector-{i}")).spawn(move || super::served(board, i)).ok()
        };
        let workers = (1..members).map_while(worker).collect();
        Team { board, workers }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.board.over.store(true, Ordering::SeqCst);
        drop(self.board.in_bed());
        self.board.alarm.notify_all();
        for worker in self.workers.drain(..) {
            // A worker's loops catch their panics, so it has nothing to tell.
            let _ = worker.join();
        }
    }
}

/// Where loops are found.
pub(super) struct Board {
    pub members: usize,
    /// A bit for each slot that has an owner.
    taken: AtomicU32,
    /// A bit for each slot whose loop may be joined.
    open: AtomicU32,
    /// True when the workers are to end.
    over: AtomicBool,
    /// Workers that sleep or are about to.
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    alarm: Condvar,
    slots: [Slot; SLOTS],
}

/// A number with the lines of the cache around it to itself.
#[derive(Default)]
#[repr(align(128))]
struct Apart(AtomicUsize);

/// A loop to be shared.
#[derive(Default)]
struct Slot {
    /// Threads that work on the loop or look whether they may, beside the owner.
    inside: Apart,
    /// How many chunks of each share were given out.
    given: [Apart; SHARES],
    /// True once all chunks were given out.
    spent: AtomicBool,
    /// True if the loop is to end early: a chunk of it panicked, or it is not wanted any more.
    failed: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    job: UnsafeCell<Option<Job>>,
}

// SAFETY: a job is written by the owner of its slot while the slot is not open and nobody is inside; others read it between
// entering and leaving, and only while the slot is open. Its body may be called by several threads.
unsafe impl Sync for Slot {}
// SAFETY: as above; a team is built on one thread and ended on another.
unsafe impl Send for Slot {}

#[derive(Clone, Copy)]
struct Job {
    /// What the loop does, alive until the owner of the slot has closed it.
    body: *const (dyn Fn(usize) + Sync),
    n: usize,
    shares: usize,
}

thread_local! {
    /// Of the loop this thread works on, whether it is to end early.
    static FAILED: Cell<*const AtomicBool> = const { Cell::new(ptr::null()) };
}

/// True if the loop this thread works on is to end early.
pub(super) fn has_failed() -> bool {
    let failed = FAILED.get();
    // SAFETY: set while a thread is inside a slot, which it then keeps alive, and taken back afterwards.
    !failed.is_null() && unsafe { &*failed }.load(Ordering::Relaxed)
}

/// The payload with which loops unwind that are no longer wanted.
type Unwanted = fn() -> Box<dyn Any + Send>;

impl Board {
    /// Calls `body` for `0..n`, on this thread, the `member`-th of the team, and on those that are idle; false, with nothing
    /// done, if too many loops are shared already. While this thread has nothing to do but wait for others it asks, now and
    /// then, whether the loop is `unwanted`.
    ///
    /// # Panics
    /// If `body` does: with the first panic, after every thread has left the loop.
    pub fn share(
        &self,
        member: usize,
        n: usize,
        body: &(dyn Fn(usize) + Sync),
        unwanted: &dyn Fn() -> bool,
        payload: Unwanted,
    ) -> bool {
        let Some(i) = self.take() else { return false };
        let (slot, bit) = (&self.slots[i], 1 << i);
        // SAFETY: a longer lifetime for the type alone. Nobody uses the body after the loop below has seen that nobody is
        // inside and, the slot being closed, nobody can be again.
        let body = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(body) };
        let job = Job { body, n, shares: self.members.min(SHARES).min(n) };
        slot.spent.store(false, Ordering::Relaxed);
        slot.failed.store(false, Ordering::Relaxed);
        slot.given[..job.shares].iter().for_each(|given| given.0.store(0, Ordering::Relaxed));
        // SAFETY: the slot is this thread's, is not open, and nobody is inside.
        unsafe { *slot.job.get() = Some(job) };
        self.open.fetch_or(bit, Ordering::SeqCst);
        self.wake(n - 1);
        slot.work(job, member, self.members);
        self.open.fetch_and(!bit, Ordering::SeqCst);
        let mut looks = 0;
        // A thread enters and then looks whether the slot is open; here it was closed before. One of both sees the other.
        while slot.inside.0.load(Ordering::SeqCst) > 0 {
            wait(&mut looks);
            if looks == LOOKS && unwanted() {
                slot.fail(payload());
            }
        }
        let panic = slot.panic.lock().unwrap_or_else(|e| e.into_inner()).take();
        self.taken.fetch_and(!bit, Ordering::Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        true
    }

    /// A slot of which this thread is the owner now.
    fn take(&self) -> Option<usize> {
        let free = |taken: u32| (taken.trailing_ones() < SLOTS as u32).then_some(taken | (taken + 1));
        let before = self.taken.fetch_update(Ordering::Acquire, Ordering::Relaxed, free).ok()?;
        Some(before.trailing_ones() as usize)
    }

    /// Works on what there is, as the `member`-th thread, until the team ends.
    pub fn serve(&self, member: usize) {
        let (mut looks, mut idle) = (0, None);
        while !self.over.load(Ordering::Relaxed) {
            if self.join_one(member) {
                (looks, idle) = (0, None);
                continue;
            }
            wait(&mut looks);
            if looks == LOOKS && idle.get_or_insert_with(Instant::now).elapsed() > AWAKE {
                self.sleep();
                (looks, idle) = (0, None);
            }
        }
    }

    /// The loops that have chunks left, each with its bit.
    fn loops(&self) -> impl Iterator<Item = (&Slot, u32)> {
        let open = self.open.load(Ordering::SeqCst);
        let slots = self.slots.iter().enumerate().map(|(i, slot)| (slot, 1 << i));
        slots.filter(move |(slot, bit)| open & bit != 0 && !slot.spent.load(Ordering::Relaxed))
    }

    /// Works on a loop that has chunks left; false if there is none.
    fn join_one(&self, member: usize) -> bool {
        for (slot, bit) in self.loops() {
            slot.inside.0.fetch_add(1, Ordering::SeqCst);
            let found = self.open.load(Ordering::SeqCst) & bit != 0;
            if found {
                // SAFETY: the slot was open after this thread had entered: its owner waits until it leaves.
                if let Some(job) = unsafe { *slot.job.get() } {
                    slot.work(job, member, self.members);
                }
            }
            slot.inside.0.fetch_sub(1, Ordering::Release);
            if found {
                return true;
            }
        }
        false
    }

    /// Until there may be work.
    fn sleep(&self) {
        let mut bed = self.in_bed();
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while self.loops().next().is_none() && !self.over.load(Ordering::SeqCst) {
            bed = self.alarm.wait(bed).unwrap_or_else(|e| e.into_inner());
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes as many as find something to do. A sleeper counts itself and then looks whether a slot is open; here one was
    /// opened before.
    fn wake(&self, useful: usize) {
        let sleepers = self.sleepers.load(Ordering::SeqCst);
        if sleepers > 0 {
            drop(self.in_bed());
            (0..useful.min(sleepers)).for_each(|_| self.alarm.notify_one());
        }
    }

    fn in_bed(&self) -> MutexGuard<'_, ()> {
        self.bed.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Slot {
    /// Runs chunks until none is left, those of the own share first.
    fn work(&self, job: Job, member: usize, members: usize) {
        let outer = FAILED.replace(&self.failed);
        let result = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the owner of the slot, which has the body, waits until nobody is inside.
            let body = unsafe { &*job.body };
            let first = member * job.shares / members;
            for share in (first..job.shares).chain(0..first) {
                let [from, to] = [share, share + 1].map(|share| job.n * share / job.shares);
                loop {
                    let chunk = from + self.given[share].0.fetch_add(1, Ordering::Relaxed);
                    if chunk >= to || self.failed.load(Ordering::Relaxed) {
                        break;
                    }
                    body(chunk);
                }
            }
            self.spent.store(true, Ordering::Relaxed);
        }));
        FAILED.set(outer);
        if let Err(panic) = result {
            self.fail(panic);
        }
    }

    /// The loop ends early; what counts is the first reason.
    fn fail(&self, panic: Box<dyn Any + Send>) {
        self.panic.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(panic);
        self.failed.store(true, Ordering::Relaxed);
        self.spent.store(true, Ordering::Relaxed);
    }
}

/// A moment of waiting; the first ones do not let others run, which costs more.
fn wait(looks: &mut u32) {
    if *looks < LOOKS {
        *looks += 1;
        spin_loop();
    } else {
        thread::yield_now();
    }
}
