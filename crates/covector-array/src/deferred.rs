//! [`Deferred`]: a value that is not known yet, and what it will be made from.

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

/// A value that is set once, beside a past that is looked at and taken away by one thread at a time.
///
/// Reading a known value costs no atomic step, a look at the past one. Looks must be short: who comes meanwhile waits
/// awake. Whoever looks at the past of one must not look at it again before the first [`Turn`] has ended.
///
/// ```
/// use covector_array::Deferred;
/// let sum = Deferred::new(vec![1, 2, 3]);
/// assert_eq!(sum.get(), None);
/// let mut turn = sum.turn();
/// let value: i32 = turn.past().iter().sum();
/// assert!(turn.set(value).is_ok() && turn.set(7) == Err(7));
/// let past = std::mem::take(turn.past());
/// drop(turn);
/// assert_eq!((sum.get(), past.len(), sum.turn().past().len()), (Some(&6), 3, 0));
/// ```
pub struct Deferred<V, P> {
    /// [`TAKEN`] and [`KNOWN`].
    state: AtomicU8,
    past: UnsafeCell<P>,
    value: UnsafeCell<MaybeUninit<V>>,
}

/// Somebody has the turn.
const TAKEN: u8 = 1;
/// The value is there, and stays.
const KNOWN: u8 = 2;

// SAFETY: the value is shared as soon as it is known; it and the past are written, and the past read, by one thread at a time.
unsafe impl<V: Send + Sync, P: Send> Sync for Deferred<V, P> {}

impl<V, P> Deferred<V, P> {
    /// A value that is not known.
    #[inline]
    pub fn new(past: P) -> Self {
        Deferred { state: AtomicU8::new(0), value: UnsafeCell::new(MaybeUninit::uninit()), past: UnsafeCell::new(past) }
    }

    /// A value that is known.
    #[inline]
    pub fn known(value: V, past: P) -> Self {
        Deferred {
            state: AtomicU8::new(KNOWN),
            value: UnsafeCell::new(MaybeUninit::new(value)),
            past: UnsafeCell::new(past),
        }
    }

    /// The value, if it is known.
    #[inline]
    pub fn get(&self) -> Option<&V> {
        // SAFETY: a known value was written before its bit was set, and is never written again.
        (self.state.load(Ordering::Acquire) & KNOWN != 0).then(|| unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// Waits until nobody else has the turn, and takes it.
    #[inline]
    pub fn turn(&self) -> Turn<'_, V, P> {
        let seen = self.state.load(Ordering::Relaxed) & KNOWN;
        let taken = self.state.compare_exchange(seen, seen | TAKEN, Ordering::Acquire, Ordering::Relaxed);
        Turn { of: self, state: taken.unwrap_or_else(|_| self.wait()) }
    }

    #[cold]
    #[inline(never)]
    fn wait(&self) -> u8 {
        for tries in 0u32.. {
            let seen = self.state.load(Ordering::Relaxed) & KNOWN;
            let taken = self.state.compare_exchange_weak(seen, seen | TAKEN, Ordering::Acquire, Ordering::Relaxed);
            if let Ok(state) = taken {
                return state;
            }
            if tries < 64 { spin_loop() } else { thread::yield_now() }
        }
        unreachable!("it is tried until it succeeds")
    }

    /// The past, of which nobody else can know.
    #[inline]
    pub fn past_mut(&mut self) -> &mut P {
        self.past.get_mut()
    }
}

impl<V, P> Drop for Deferred<V, P> {
    #[inline]
    fn drop(&mut self) {
        if *self.state.get_mut() & KNOWN != 0 {
            // SAFETY: it is known, and nobody reads it again.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

/// The right to look at the past and to set the value; ends when it is dropped.
pub struct Turn<'a, V, P> {
    of: &'a Deferred<V, P>,
    /// What the state will be afterwards.
    state: u8,
}

impl<V, P> Turn<'_, V, P> {
    /// The past.
    #[inline]
    pub fn past(&mut self) -> &mut P {
        // SAFETY: one thread at a time has the turn, and lends the past from it.
        unsafe { &mut *self.of.past.get() }
    }

    /// True if the value is known.
    #[inline]
    pub fn is_known(&self) -> bool {
        self.state & KNOWN != 0
    }

    /// Sets the value; others see it at the end of the turn.
    ///
    /// # Errors
    /// The value given, if one is known already.
    #[inline]
    pub fn set(&mut self, value: V) -> Result<(), V> {
        if self.is_known() {
            return Err(value);
        }
        // SAFETY: nobody reads what is not known, and nobody else has the turn.
        unsafe { (*self.of.value.get()).write(value) };
        self.state |= KNOWN;
        Ok(())
    }
}

impl<V, P> Drop for Turn<'_, V, P> {
    #[inline]
    fn drop(&mut self) {
        self.of.state.store(self.state, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn one_of_many_sets_the_value_and_all_see_it() {
        let (rounds, threads) = if cfg!(miri) { (10, 3) } else { (500, 4) };
        for round in 0..rounds {
            let deferred = Deferred::new(vec![round, round + 1]);
            let (barrier, winners, took) = (Barrier::new(threads), AtomicUsize::new(0), AtomicUsize::new(0));
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        barrier.wait();
                        if let Some(value) = deferred.get() {
                            assert_eq!(value, &[2 * round + 1]);
                        }
                        let mut turn = deferred.turn();
                        let past = std::mem::take(turn.past());
                        if !past.is_empty() {
                            took.fetch_add(1, Ordering::Relaxed);
                            assert!(!turn.is_known() && turn.set(vec![past.iter().sum()]).is_ok());
                            winners.fetch_add(1, Ordering::Relaxed);
                        } else {
                            assert_eq!(turn.set(vec![7]), Err(vec![7]));
                        }
                        drop(turn);
                        assert_eq!(deferred.get().map(Vec::as_slice), Some(&[2 * round + 1][..]));
                    });
                }
            });
            assert_eq!((winners.into_inner(), took.into_inner()), (1, 1));
        }
    }

    #[test]
    fn what_is_held_goes_once_known_or_not() {
        let shared = std::sync::Arc::new(());
        let alive = |held: usize| assert_eq!(std::sync::Arc::strong_count(&shared), 1 + held);
        let (open, known) = (Deferred::new(shared.clone()), Deferred::known(shared.clone(), shared.clone()));
        assert!(open.turn().set(shared.clone()).is_ok());
        let none: Deferred<std::sync::Arc<()>, _> = Deferred::new(shared.clone());
        alive(5);
        drop((open, known, none));
        alive(0);
    }

    #[test]
    fn a_turn_ends_when_its_holder_panics() {
        let deferred: Deferred<u8, u8> = Deferred::new(1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _turn = deferred.turn();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!((deferred.get(), *deferred.turn().past()), (None, 1));
    }
}
