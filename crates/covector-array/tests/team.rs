//! Loops that threads share: every chunk once, whoever runs it, whatever stands inside or fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use covector_array::threads;

/// What makes a loop worth sharing.
const COST: usize = threads::SERIAL_BELOW;

/// The number of threads is the process's: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn with_threads(n: usize, body: impl FnOnce()) {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    threads::set_threads(n);
    body();
}

/// How often each of `n` chunks was run.
fn counted(n: usize, body: impl Fn(usize) + Sync) -> Vec<usize> {
    let counts: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
    threads::for_each(n, COST, |i| {
        counts[i].fetch_add(1, Ordering::Relaxed);
        body(i);
    });
    counts.into_iter().map(AtomicUsize::into_inner).collect()
}

#[test]
fn every_chunk_is_run_once() {
    for team in [1, 2, 3, 7, 40] {
        with_threads(team, || {
            assert_eq!(threads::threads(), team);
            threads::enter(|| (0..300).for_each(|n| assert_eq!(counted(n, |_| ()), vec![1; n], "{n} by {team}")));
        });
    }
}

#[test]
fn loops_stand_in_loops_deeper_than_can_be_shared() {
    fn nested(depth: usize, leaves: &AtomicUsize) {
        match depth {
            0 => _ = leaves.fetch_add(1, Ordering::Relaxed),
            _ => threads::for_each(2, COST, |_| nested(depth - 1, leaves)),
        }
    }
    with_threads(4, || {
        let leaves = AtomicUsize::new(0);
        threads::enter(|| threads::enter(|| nested(12, &leaves)));
        assert_eq!(leaves.into_inner(), 1 << 12);
        let leaves = AtomicUsize::new(0);
        // One chunk is no loop to share: with two of which one is empty the depth comes without the breadth.
        fn deep(depth: usize, leaves: &AtomicUsize) {
            threads::for_each(2, COST, |i| match (i, depth) {
                (1, _) => {}
                (_, 0) => _ = leaves.fetch_add(1, Ordering::Relaxed),
                _ => deep(depth - 1, leaves),
            });
        }
        threads::enter(|| deep(100, &leaves));
        assert_eq!(leaves.into_inner(), 1);
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_team_goes_on() {
    with_threads(3, || {
        for round in 0..50 {
            let failed = catch_unwind(AssertUnwindSafe(|| {
                threads::enter(|| {
                    threads::for_each(20, COST, |i| {
                        threads::for_each(5, COST, |j| assert!((i, j) != (round % 20, 3), "chunk {i}"));
                    });
                });
            }));
            let payload = failed.expect_err("a chunk panicked");
            assert_eq!(payload.downcast_ref::<String>(), Some(&format!("chunk {}", round % 20)));
            threads::enter(|| assert_eq!(counted(64, |_| ()), vec![1; 64]));
        }
    });
}

#[test]
fn many_threads_share_their_loops_while_the_team_changes() {
    with_threads(2, || {
        std::thread::scope(|scope| {
            for _ in 0..24 {
                scope.spawn(|| {
                    for n in 0..200 {
                        threads::enter(|| assert_eq!(counted(n % 9, |_| ()), vec![1; n % 9]));
                    }
                });
            }
            for n in [3, 1, 5, 2, 4] {
                threads::set_threads(n);
            }
        });
        assert_eq!(threads::threads(), 4);
    });
}

#[test]
fn threads_that_slept_take_part_again() {
    with_threads(2, || {
        for _ in 0..5 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            let both = Mutex::new(std::collections::HashSet::new());
            // Until the other thread was there; it is woken by the loop.
            threads::enter(|| {
                threads::for_each(2, COST, |_| {
                    both.lock().unwrap().insert(std::thread::current().id());
                    let begun = std::time::Instant::now();
                    while both.lock().unwrap().len() < 2 && begun.elapsed().as_secs() < 20 {
                        std::thread::yield_now();
                    }
                });
            });
            assert_eq!(both.into_inner().unwrap().len(), 2);
        }
    });
}
