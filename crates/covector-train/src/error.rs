//! Why a training does not begin, or ends early.

use std::path::PathBuf;

/// The result of what a training does.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a training does not begin, or ends early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something from outside is not as it should be: a file, the data, a loss that is not finite.
    #[error("{0}")]
    Outside(String),
    /// Settings that make no sense, alone or together.
    #[error("{0}")]
    Settings(String),
    /// It was asked to stop; the checkpoint has everything.
    #[error("stopped after step {step}; go on with {}", checkpoint.display())]
    Stopped {
        /// Steps taken.
        step: usize,
        /// The checkpoint that was written.
        checkpoint: PathBuf,
    },
    /// What the training prints cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// Something from outside is not as it should be.
    pub fn outside(problem: impl Into<String>) -> Error {
        Error::Outside(problem.into())
    }
}

impl From<covector::Error> for Error {
    fn from(e: covector::Error) -> Self {
        Error::Outside(e.to_string())
    }
}

impl From<covector_io::Error> for Error {
    fn from(e: covector_io::Error) -> Self {
        Error::Outside(e.to_string())
    }
}

impl From<covector_data::Error> for Error {
    fn from(e: covector_data::Error) -> Self {
        Error::Outside(e.to_string())
    }
}

/// The one of `all` that has this name; `what` they are stands in the error.
pub(crate) fn by_name<T: Copy, const N: usize>(
    what: &str,
    all: [T; N],
    name_of: fn(T) -> &'static str,
    name: &str,
) -> Result<T> {
    all.into_iter().find(|&one| name_of(one) == name).ok_or_else(|| {
        let known = all.map(name_of).join(", ");
        Error::Settings(format!("there is no {what} `{name}`; there are {known}"))
    })
}
