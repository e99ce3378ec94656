//! Files of arrays: safetensors, npy and npz.
//!
//! What it is for: parameters and data that other tools wrote or will read. Reading is strict: a file is taken whole or
//! refused with an [`Error`] that names the file, the array, what is wrong and what to do. No file, however malformed,
//! makes a reader panic or allocate much more than the file's own size (an npz: than the limit its caller sets).
//! Writing is atomic: the target holds the old content or the new, never a part.

#![forbid(unsafe_code)]

mod atomic;
mod bytes;
mod error;
mod npy;
mod npz;
mod safetensors;
mod shards;

pub use atomic::write_atomically;
pub use error::{Error, Result};
pub use npy::{NpyPieces, load_npy, save_npy};
pub use npz::{NpzLimit, load_npz, load_npz_within, save_npz, save_npz_compressed};
pub use safetensors::{Safetensors, load_safetensors, map_safetensors, save_safetensors};
pub use shards::map_shards;
