//! What can go wrong with a file, said so that the reader knows what to do next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of reading or writing a file of arrays.
pub type Result<T> = std::result::Result<T, Error>;

/// A file that could not be read or written.
///
/// The message has the file, the array where there is one, what is wrong, and a hint on a second line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused to open, read, write or rename.
    #[error("{}: cannot {doing}: {source}\n  hint: {}", path.display(), io_hint(source))]
    Io {
        /// The file as the caller named it.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file as a whole is not what its format prescribes.
    #[error("{}: not a valid {format} file: {problem}\n  hint: {hint}", path.display())]
    Malformed {
        /// The file as the caller named it.
        path: PathBuf,
        /// The format that was expected.
        format: Format,
        /// The rule broken.
        problem: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// What was to be written does not go into the format.
    #[error("{}: cannot be written as {format}: {problem}\n  hint: {hint}", path.display())]
    Unwritable {
        /// The file as the caller named it.
        path: PathBuf,
        /// The format that was to be written.
        format: Format,
        /// What the format does not allow.
        problem: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// One array is malformed in the file, or of a kind that is not supported.
    #[error("{}: array {}: {problem}\n  hint: {hint}", path.display(), shown(name))]
    Array {
        /// The file as the caller named it.
        path: PathBuf,
        /// The array's name in the file.
        name: String,
        /// The rule broken.
        problem: String,
        /// What to do about it.
        hint: &'static str,
    },
}

/// The format a file was read or written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Format {
    Safetensors,
    Npy,
    Npz,
    Index,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Safetensors => "safetensors",
            Format::Npy => "npy",
            Format::Npz => "npz",
            Format::Index => "index",
        })
    }
}

impl Error {
    pub(crate) fn io(path: &Path, doing: &'static str, source: io::Error) -> Error {
        Error::Io { path: path.to_owned(), doing, source }
    }

    /// The file as the caller named it.
    pub fn path(&self) -> &Path {
        match self {
            Error::Io { path, .. }
            | Error::Malformed { path, .. }
            | Error::Unwritable { path, .. }
            | Error::Array { path, .. } => path,
        }
    }
}

/// A rule broken and what to do about it, before it is known in which file and array.
#[derive(Debug)]
pub(crate) struct Fault {
    problem: String,
    hint: &'static str,
}

impl Fault {
    pub(crate) fn new(problem: impl Into<String>, hint: &'static str) -> Fault {
        Fault { problem: problem.into(), hint }
    }

    /// As an error of a file to be written.
    pub(crate) fn of_output(self, path: &Path, format: Format) -> Error {
        Error::Unwritable { path: path.to_owned(), format, problem: self.problem, hint: self.hint }
    }

    /// As an error of the whole file.
    pub(crate) fn of_file(self, path: &Path, format: Format) -> Error {
        Error::Malformed { path: path.to_owned(), format, problem: self.problem, hint: self.hint }
    }

    /// As an error of one array.
    pub(crate) fn of_array(self, path: &Path, name: &str) -> Error {
        Error::Array { path: path.to_owned(), name: name.to_owned(), problem: self.problem, hint: self.hint }
    }
}

/// A name from a file, quoted, escaped and cut, so that it cannot disturb a terminal.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 80;
    let mut chars = name.chars();
    let mut text: String = chars.by_ref().take(LONGEST).flat_map(char::escape_debug).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    format!("`{text}`")
}

fn io_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path; folders are not created",
        io::ErrorKind::PermissionDenied => "check who may read the file and write in its folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space; nothing was left half-written",
        io::ErrorKind::IsADirectory => "name a file, not a folder",
        io::ErrorKind::UnexpectedEof => "the file changed while it was read; try again",
        _ => "the file was left as it was",
    }
}
