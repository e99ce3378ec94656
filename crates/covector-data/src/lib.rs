//! Data to learn from: tables, images and arrays, shuffled by key and batched ahead.
//!
//! What it is for: getting from files to tensors. Files are not trusted: every reader either gives all of its file or an
//! [`Error`] that names the file, the line and the column, and says what to do. Whatever is random takes a
//! [`Key`](covector::Key), so that the batch of a step is a function of its number: that number is all there is to save.
#![forbid(unsafe_code)]

mod augment;
mod digits;
mod error;
pub mod images;
mod loader;
mod scale;
mod spread;
mod table;

pub use augment::Augment;
pub use covector_nn::data::{Batches, buckets, padded, split};
pub use digits::digits;
pub use error::{Error, Result, shown};
pub use images::Images;
pub use loader::{Loader, Prefetch};
pub use scale::Standardize;
pub use spread::spread;
pub use table::{Asked, Column, Encoding, Examples, Feature, Goal, Missing, Reading, Schema, Table, Target};
