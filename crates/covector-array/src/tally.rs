//! [`Tally`]: a number that all threads change all the time and nobody reads often.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A count to which each thread adds in a [`Share`] of its own; their sum is exact.
pub struct Tally(Mutex<Counts>);

struct Counts {
    /// Those of threads that still run: each counts its own, so one may be below 0.
    running: Vec<Arc<AtomicUsize>>,
    /// Those of all others.
    ended: usize,
}

/// What one thread has added to a [`Tally`]; it is to be kept in a thread-local.
pub struct Share {
    of: &'static Tally,
    count: Arc<AtomicUsize>,
}

impl Tally {
    /// A count of 0.
    pub const fn new() -> Tally {
        Tally(Mutex::new(Counts { running: Vec::new(), ended: 0 }))
    }

    /// A thread's share, 0 at first.
    pub fn share(&'static self) -> Share {
        let count = Arc::new(AtomicUsize::new(0));
        self.counts().running.push(count.clone());
        Share { of: self, count }
    }

    /// Adds without a share, for a thread that has ended; to take away, adds the negative.
    pub fn add(&self, number: usize) {
        let mut counts = self.counts();
        counts.ended = counts.ended.wrapping_add(number);
    }

    /// The sum; while other threads count, one that passed by a moment ago, and at least 0.
    pub fn sum(&self) -> usize {
        let counts = self.counts();
        let add = |sum: usize, count: &Arc<AtomicUsize>| sum.wrapping_add(count.load(Ordering::Relaxed));
        let sum = counts.running.iter().fold(counts.ended, add);
        // One thread may have been seen to drop what another was not yet seen to make.
        if sum > isize::MAX as usize { 0 } else { sum }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Default for Tally {
    fn default() -> Self {
        Tally::new()
    }
}

impl Share {
    /// Adds a number; to take away, adds the negative. No other thread writes here: plain loads and stores do.
    #[inline]
    pub fn add(&self, number: usize) {
        self.count.store(self.count.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.of.counts();
        counts.ended = counts.ended.wrapping_add(self.count.load(Ordering::Relaxed));
        counts.running.retain(|count| !Arc::ptr_eq(count, &self.count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_add_and_take_away_sums_up_also_after_they_have_ended() {
        static TALLY: Tally = Tally::new();
        let own = TALLY.share();
        own.add(5);
        for thread in 0..3 {
            std::thread::spawn(move || {
                let share = TALLY.share();
                (0..100).for_each(|_| share.add(2));
                share.add(150usize.wrapping_neg());
                assert_eq!(TALLY.sum(), 5 + 50 * (thread + 1));
            })
            .join()
            .unwrap();
        }
        own.add(155usize.wrapping_neg());
        assert_eq!(TALLY.sum(), 0);
        own.add(1usize.wrapping_neg());
        assert_eq!(TALLY.sum(), 0, "it is never below 0");
        TALLY.add(8);
        drop(own);
        assert_eq!(TALLY.sum(), 7);
    }
}
