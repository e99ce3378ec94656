//! Batches made ahead of their use, on a thread of their own.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use covector::{Result, Tensor};
use covector_nn::data::Batches;

/// The batches of a training: which examples each has, and how it is made of them.
///
/// A batch is a function of its step, so a training that goes on at step `n` asks for [`from(n)`](Self::from) and gets what
/// it would have got.
///
/// ```
/// use covector::{Key, Tensor};
/// use covector_data::{Batches, Loader};
/// let numbers = Tensor::from((0..10).map(|i| i * i).collect::<Vec<i64>>());
/// let loader = Loader::new(Batches::new(10, 4, Key::new(0)), move |_, which| numbers.try_take(which, 0));
/// let all: Vec<Vec<i64>> = loader.from(0, 2).take(6).map(|batch| batch.unwrap().to_vec()).collect();
/// let rest: Vec<Vec<i64>> = loader.from(4, 2).take(2).map(|batch| batch.unwrap().to_vec()).collect();
/// assert_eq!(all[4..], rest);
/// assert_eq!(loader.at(5).unwrap().to_vec::<i64>(), all[5]);
/// ```
pub struct Loader<T> {
    batches: Batches,
    make: Arc<Make<T>>,
}

type Make<T> = dyn Fn(usize, &Tensor) -> Result<T> + Send + Sync;

impl<T: Send + 'static> Loader<T> {
    /// Batches that `make` makes of the number of a step and those of its examples, `i64[batch]`.
    pub fn new(batches: Batches, make: impl Fn(usize, &Tensor) -> Result<T> + Send + Sync + 'static) -> Loader<T> {
        Loader { batches, make: Arc::new(make) }
    }

    /// Which examples each batch has.
    pub fn batches(&self) -> &Batches {
        &self.batches
    }

    /// The batch of a step, made now.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn at(&self, step: usize) -> Result<T> {
        (self.make)(step, &self.batches.at(step))
    }

    /// The batches from a step on, without end; up to `ahead` of them are made before they are asked for.
    pub fn from(&self, step: usize, ahead: usize) -> Prefetch<T> {
        let (batches, make) = (self.batches.clone(), self.make.clone());
        let per_epoch = batches.per_epoch();
        // The order of an epoch is drawn once.
        let which = (step / per_epoch..).flat_map(move |epoch| batches.epoch(epoch)).skip(step % per_epoch);
        Prefetch::new(ahead, which.enumerate().map(move |(i, which)| make(step + i, &which)))
    }
}

/// An iterator that is run ahead of its use, on a thread of its own, until it ends or gives an error.
///
/// Dropping it ends the thread, which finishes what it is at. A panic there goes on here.
///
/// ```
/// use covector_data::Prefetch;
/// let mut squares = Prefetch::new(2, (0..).map(|i: i64| if i < 3 { Ok(i * i) } else { Err("enough") }));
/// assert_eq!([squares.next(), squares.next(), squares.next()], [Some(Ok(0)), Some(Ok(1)), Some(Ok(4))]);
/// assert_eq!([squares.next(), squares.next()], [Some(Err("enough")), None]);
/// ```
pub struct Prefetch<T, E = covector::Error> {
    /// None once it ended, or is being dropped.
    ready: Option<Receiver<std::thread::Result<Result<T, E>>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static, E: Send + 'static> Prefetch<T, E> {
    /// Runs `items` up to `ahead` items ahead, at least one.
    pub fn new(ahead: usize, items: impl Iterator<Item = Result<T, E>> + Send + 'static) -> Prefetch<T, E> {
        let (send, ready) = sync_channel(ahead.max(1) - 1);
        let thread = std::thread::spawn(move || {
            let mut items = items;
            // What the iterator leaves behind in a panic is not looked at again.
            while let Some(item) = catch_unwind(AssertUnwindSafe(|| items.next())).transpose() {
                let last = !matches!(item, Ok(Ok(_)));
                if send.send(item).is_err() || last {
                    break;
                }
            }
        });
        Prefetch { ready: Some(ready), thread: Some(thread) }
    }
}

impl<T, E> Iterator for Prefetch<T, E> {
    type Item = Result<T, E>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.ready.as_ref()?.recv() {
            Ok(Ok(item)) => Some(item),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => {
                self.ready = None;
                None
            }
        }
    }
}

impl<T, E> Drop for Prefetch<T, E> {
    fn drop(&mut self) {
        // Without a receiver the thread's next item has nowhere to go, which ends it.
        self.ready = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
