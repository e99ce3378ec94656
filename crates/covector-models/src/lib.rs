//! Pretrained models from local folders in Hugging Face's layout.
//!
//! A model is a plain tree whose paths are the names in its files, so loading is filling: every array finds its place, and
//! what is missing or too much is listed, all at once. Nothing is ever downloaded.
#![forbid(unsafe_code)]

pub mod bert;
pub mod folder;
pub mod sentences;

pub use bert::{Bert, BertConfig};
pub use folder::{Folder, Weights};
pub use sentences::SentenceEncoder;
