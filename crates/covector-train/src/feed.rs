//! Batches in their order, made ahead on a thread if the task wants that.

use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::thread;

use covector::Key;

use crate::{Error, Result, Task};

/// Calls `run` with a function that gives the batches at these positions, one after the other.
pub(crate) fn ahead<T: Task, R>(
    task: &T,
    key: &Key,
    positions: Range<usize>,
    run: impl FnOnce(&mut dyn FnMut() -> Result<T::Batch>) -> Result<R>,
) -> Result<R> {
    let over = || Error::outside("there is no batch after the last");
    let mut positions = positions;
    match task.prefetch() {
        0 => run(&mut || task.batch(positions.next().ok_or_else(over)?, key)),
        count => thread::scope(|scope| {
            let (sender, receiver) = sync_channel(count);
            let key = key.clone();
            scope.spawn(move || {
                for position in positions {
                    let batch = task.batch(position, &key);
                    let failed = batch.is_err();
                    // When nobody takes batches any more, the training is over.
                    if sender.send(batch).is_err() || failed {
                        return;
                    }
                }
            });
            let mut next = || receiver.recv().map_err(|_| over())?;
            let result = run(&mut next);
            drop(receiver);
            result
        }),
    }
}
