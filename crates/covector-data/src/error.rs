//! What can go wrong with data from outside, said so that somebody finds the place.

use std::fmt;
use std::path::Path;

/// The result of reading data.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A file that cannot be learned from: which, where in it, what is wrong, and what to do.
///
/// ```
/// use covector_data::Error;
/// let error = Error::new("a.csv", "`x` is no number").line(7).column("age").hint("correct the cell");
/// assert_eq!(error.to_string(), "a.csv: line 7, column `age`: `x` is no number\n  hint: correct the cell");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Report>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Report {
    file: String,
    line: Option<u64>,
    column: Option<String>,
    problem: String,
    hint: Option<String>,
}

impl Error {
    /// An error about a file, or about whatever else has a name.
    pub fn new(file: impl Into<String>, problem: impl Into<String>) -> Error {
        Error(Box::new(Report { file: file.into(), problem: problem.into(), ..Report::default() }))
    }

    /// An error about the file at a path.
    pub fn at(path: &Path, problem: impl Into<String>) -> Error {
        Error::new(path.display().to_string(), problem)
    }

    /// The system refused to read a file.
    pub fn unread(path: &Path, error: &std::io::Error) -> Error {
        let said = Error::at(path, format!("cannot read: {error}"));
        match error.kind() {
            std::io::ErrorKind::NotFound => said.hint("check the path"),
            _ => said,
        }
    }

    /// Says in which line, counted from 1.
    pub fn line(mut self, line: u64) -> Error {
        self.0.line = Some(line);
        self
    }

    /// Says in which column, by name.
    pub fn column(mut self, name: impl Into<String>) -> Error {
        self.0.column = Some(name.into());
        self
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// The file.
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// The line, if there is one.
    pub fn at_line(&self) -> Option<u64> {
        self.0.line
    }

    /// The column, if there is one.
    pub fn at_column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { file, line, column, problem, hint } = &*self.0;
        write!(f, "{file}: ")?;
        match (line, column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {}: ", shown(column))?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            (None, Some(column)) => write!(f, "column {}: ", shown(column))?,
            (None, None) => (),
        }
        f.write_str(problem)?;
        hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

impl std::error::Error for Error {}

impl From<Error> for covector::Error {
    fn from(e: Error) -> Self {
        covector::Error::new(e.to_string())
    }
}

impl From<covector_io::Error> for Error {
    fn from(e: covector_io::Error) -> Self {
        let text = e.to_string();
        let (said, hint) = text.split_once("\n  hint: ").unwrap_or((&text, ""));
        let file = e.path().display().to_string();
        let problem = said.strip_prefix(&file).and_then(|s| s.strip_prefix(": ")).unwrap_or(said);
        let error = Error::new(file, problem);
        if hint.is_empty() { error } else { error.hint(hint) }
    }
}

/// A text from a file, quoted, escaped and cut, so that it cannot disturb a terminal.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut chars = text.chars();
    let mut cut: String = chars.by_ref().take(LONGEST).flat_map(char::escape_debug).collect();
    if chars.next().is_some() {
        cut.push('…');
    }
    format!("`{cut}`")
}

/// "1 row", "2 rows".
pub(crate) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
