//! Which examples are learned from, and which batch has which.

use std::sync::{Mutex, PoisonError};

use covector::{Key, Tensor};
use covector_data::{Batches, spread};

use crate::{Error, Result};

/// Examples that are learned from, dealt to batches, and others that are held out.
#[derive(Debug)]
pub(crate) struct Deal {
    /// The numbers of the examples to learn from.
    pub learned: Tensor,
    /// The numbers of those held out.
    pub held_out: Tensor,
    batch: usize,
    /// The batches of the epoch asked for last: drawing its order for every batch would take long.
    epoch: Mutex<Option<Epoch>>,
}

/// The batches of an epoch: those of this key and number.
#[derive(Debug)]
struct Epoch {
    key: Vec<u32>,
    number: usize,
    batches: Vec<Tensor>,
}

impl Deal {
    /// Holds out a part of `count` examples, of each class the same, as the key says.
    pub fn new(count: usize, classes: Option<&[i64]>, part: f64, batch: usize, key: &Key) -> Result<Deal> {
        let held_out = (count as f64 * part).round() as usize;
        if held_out == 0 || held_out >= count {
            return Err(Error::outside(format!(
                "{count} examples, of which {part} is held out: there must be some to learn from and some to judge by (--held-out)"
            )));
        }
        let order = spread(count, classes, key);
        Ok(Deal::of(order[held_out..].to_vec(), order[..held_out].to_vec(), batch))
    }

    /// These are learned from, and those held out.
    pub fn of(learned: Vec<i64>, held_out: Vec<i64>, batch: usize) -> Deal {
        let batch = batch.clamp(1, learned.len().max(1));
        Deal { learned: Tensor::from(learned), held_out: Tensor::from(held_out), batch, epoch: Mutex::new(None) }
    }

    /// The number of examples in a batch: each is full.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The numbers of the examples of the batch at a position, as the key says.
    pub fn at(&self, position: usize, key: &Key) -> covector::Result<Tensor> {
        let batches = Batches { full: true, ..Batches::new(self.learned.size(), self.batch, key.clone()) };
        let (epoch, place) = (position / batches.per_epoch(), position % batches.per_epoch());
        let mut known = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        let words = key.to_vec::<u32>();
        if known.as_ref().is_some_and(|known| known.key != words || known.number != epoch) {
            *known = None;
        }
        let made = || Epoch { key: words, number: epoch, batches: batches.epoch(epoch).collect() };
        self.learned.try_take(&known.get_or_insert_with(made).batches[place], 0)
    }
}
