//! Room on the disk for what must not be lost.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use covector_trace::table::grouped;

use crate::{Error, Result};

/// Bytes that are written at once.
const BLOCK: usize = 1 << 16;

/// Room on the disk, held until it is needed: a disk that fills up in the meantime has it still.
///
/// It is a file without a name where the system knows such, so that nothing is left of it whatever ends the process.
pub(crate) struct Reserve {
    held: Option<Held>,
    path: PathBuf,
    bytes: u64,
}

struct Held {
    file: File,
    /// Its name, as long as it has one.
    name: Option<PathBuf>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Where an open file cannot lose its name, it loses it now.
        let _ = self.name.as_ref().map(std::fs::remove_file);
    }
}

impl Reserve {
    /// Holds so many bytes beside a file, for `what`.
    ///
    /// # Errors
    /// If there is no room for them.
    pub fn new(beside: &Path, bytes: u64, what: &str) -> Result<Reserve> {
        let name = beside.file_name().unwrap_or_default().to_string_lossy();
        let path = beside.with_file_name(format!(".{name}.reserve"));
        let mut reserve = Reserve { held: None, path, bytes };
        reserve.hold().map_err(|e| {
            let bytes = grouped(bytes);
            let problem = format!("{}: there is no room for the {bytes} bytes of {what}: {e}", beside.display());
            Error::Outside(format!("{problem}\n  make room, or name another place"))
        })?;
        Ok(reserve)
    }

    /// Holds the room, if it does not.
    pub fn hold(&mut self) -> io::Result<()> {
        if self.held.is_some() {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&self.path)?;
        let unnamed = std::fs::remove_file(&self.path).is_ok();
        let mut held = Held { file, name: (!unnamed).then(|| self.path.clone()) };
        // What looks random takes room on disks that compress, too.
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let block: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(BLOCK)
        .collect();
        let mut left = self.bytes;
        while left > 0 {
            let some = left.min(BLOCK as u64);
            held.file.write_all(&block[..some as usize])?;
            left -= some;
        }
        held.file.sync_data()?;
        self.held = Some(held);
        Ok(())
    }

    /// Gives the room back; false if it is not held.
    pub fn release(&mut self) -> bool {
        self.held.take().is_some()
    }
}
