//! Reading bytes without trusting anybody about how many there are.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::{Error, Result};

/// Opens a regular file for reading, with its length.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    let io = |source| Error::io(path, "open", source);
    // The kind is looked at first: opening a pipe would wait for somebody to write to it.
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.is_dir() {
        return Err(io(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    if !metadata.is_file() {
        return Err(io(io::Error::other("it is a device or pipe, not a regular file")));
    }
    let file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    Ok((file, len))
}

/// Exactly `len` bytes; fewer are an error. Memory grows with what is read, not with what was promised.
pub(crate) fn read_exactly(reader: impl Read, len: u64) -> io::Result<Vec<u8>> {
    /// Up to here the promise is believed at once.
    const AT_ONCE: u64 = 1 << 26;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len.min(AT_ONCE) as usize).map_err(|_| io::ErrorKind::OutOfMemory)?;
    reader.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == len { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
