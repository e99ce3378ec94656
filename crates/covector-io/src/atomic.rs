//! Writing a file whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// What the caller writes into.
pub(crate) type Writer = BufWriter<File>;

/// Writes `path` through a temporary file in its folder: filled by `fill`, synchronised, then renamed over the target.
///
/// On any failure, a panic of `fill` included, the temporary file is removed and the target is as it was. A symbolic
/// link is followed; the permissions of an existing target are kept.
pub(crate) fn write(path: &Path, fill: impl FnOnce(&mut Writer) -> Result<()>) -> Result<()> {
    let io = |doing| move |source| Error::io(path, doing, source);
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let existing = fs::metadata(&target).ok();
    if existing.as_ref().is_some_and(|m| m.is_dir()) {
        return Err(io("write")(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    if existing.as_ref().is_some_and(|m| !m.is_file()) {
        return Err(io("write")(io::Error::other("the target is a device or pipe, not a regular file")));
    }
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (temporary, file) = Temporary::create(folder).map_err(io("create a file in its folder"))?;
    let mut writer = BufWriter::with_capacity(1 << 18, file);
    fill(&mut writer)?;
    let file = writer.into_inner().map_err(|e| io("write")(e.into_error()))?;
    if let Some(existing) = existing {
        file.set_permissions(existing.permissions()).map_err(io("set the permissions"))?;
    }
    file.sync_all().map_err(io("synchronise"))?;
    drop(file);
    fs::rename(&temporary.path, &target).map_err(io("rename the finished file"))?;
    temporary.keep();
    // The rename itself should survive a crash. Where folders cannot be synchronised, that is as good as it gets.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Writes bytes to a file, whole or not at all: a page, a table.
///
/// # Errors
/// If the file cannot be written; it is then as it was.
///
/// ```
/// let path = std::env::temp_dir().join(format!("covector-io-bytes-{}", std::process::id()));
/// covector_io::write_atomically(&path, b"whole").unwrap();
/// assert_eq!(std::fs::read(&path).unwrap(), b"whole");
/// # std::fs::remove_file(&path).unwrap();
/// ```
pub fn write_atomically(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    write(path, |writer| put(path, writer, bytes))
}

/// Turns an error of the writer into an [`Error`] about `path`.
pub(crate) fn put(path: &Path, writer: &mut impl Write, bytes: &[u8]) -> Result<()> {
    writer.write_all(bytes).map_err(|source| Error::io(path, "write", source))
}

/// A file that is removed when dropped.
struct Temporary {
    path: PathBuf,
    keep: bool,
}

impl Temporary {
    fn create(folder: &Path) -> io::Result<(Temporary, File)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!(".covector-{}-{number}.tmp", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Temporary { path, keep: false }, file)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_file(&self.path);
        }
    }
}
