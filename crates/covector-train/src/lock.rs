//! One training to a file: what two processes would write is locked by one of them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Outputs, Result};

/// A lock beside a file that is written. The system releases it when the process ends, however it ends, so none is ever
/// left over; the file that carries it may be, and does no harm.
pub(crate) struct Lock {
    path: PathBuf,
    /// Holds the lock as long as it is open.
    _file: File,
}

impl Lock {
    /// Locks all that a training writes, but for folders, in which it has a file of its own.
    pub fn all(outputs: &Outputs) -> Result<Vec<Lock>> {
        let mut paths = vec![outputs.model.clone(), outputs.checkpoint_path()];
        paths.extend(outputs.best.iter().chain(&outputs.report).cloned());
        paths.extend(outputs.logs.iter().filter(|log| log.extension().is_some() && !log.is_dir()).cloned());
        paths.sort();
        paths.dedup();
        paths
            .iter()
            .map(|path| Lock::of(path))
            .collect::<Result<Vec<_>>>()
            .map(|locks| locks.into_iter().flatten().collect())
    }

    /// The lock of one file; none on systems of files that have no locks.
    fn of(target: &Path) -> Result<Option<Lock>> {
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = target.with_file_name(format!(".{name}.lock"));
        let fail = |e: std::io::Error| Error::outside(format!("{}: cannot lock: {e}", target.display()));
        loop {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(fail)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(taken(target, &mut file)),
                Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {
                    let _ = std::fs::remove_file(&path);
                    return Ok(None);
                }
                Err(TryLockError::Error(e)) => return Err(fail(e)),
            }
            // Whoever had it before may just have removed the file; then the lock is on nothing.
            if !same(&file, &path) {
                continue;
            }
            // Who has it is a help for people; without room for it, the lock holds as well.
            let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            return Ok(Some(Lock { path, _file: file }));
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn taken(target: &Path, file: &mut File) -> Error {
    let mut process = String::new();
    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut process));
    let who = match process.trim().parse::<u32>() {
        Ok(id) => format!("process {id}"),
        Err(_) => "another process".to_owned(),
    };
    let advice = "wait until it is done, or name another file";
    Error::outside(format!("{}: a training of {who} writes this file; {advice}", target.display()))
}

/// Whether a path still leads to an open file.
#[cfg(unix)]
fn same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// An open file cannot be removed there.
#[cfg(not(unix))]
fn same(_: &File, _: &Path) -> bool {
    true
}
