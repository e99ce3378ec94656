//! One structured error: which op, on what, which rule was broken, where, and what to do.

use std::fmt;

use covector_array::Shape;
use covector_array::kernels::{MatrixError, MatrixFault};

use crate::{Described, Label, Line, site};

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and what to do about it.
///
/// Methods and operators panic with this error's text at the caller's line; their `try_` forms return it.
#[derive(Clone)]
pub struct Error(Box<Report>);

/// Two axes that had to be of one size and are not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clash {
    /// The shapes they are axes of, as the op's operands had them.
    pub shapes: [Shape; 2],
    /// For each shape its axis, counted from 0.
    pub axes: [usize; 2],
}

/// What sort of mistake an error is, for those who answer each in another way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A rule of an op was broken.
    #[default]
    General,
    /// An argument of the wrong kind, or of a dtype the op does not take.
    Type,
    /// An index or axis out of range.
    Index,
    /// More than memory can hold.
    Memory,
    /// A matrix is one that an op of linear algebra cannot do with: singular, not positive definite, not finite.
    /// NumPy's `LinAlgError`.
    LinearAlgebra(MatrixFault),
    /// The [watch](crate::threads::set_watch) of this process had the computation given up. The graph is as before.
    Interrupted,
}

#[derive(Clone, Default)]
struct Report {
    kind: ErrorKind,
    op: Option<String>,
    operands: Vec<Described>,
    message: String,
    hint: Option<String>,
    clash: Option<Clash>,
    site: Option<Line>,
    labels: Option<[Label; 2]>,
}

impl Error {
    /// An error that says which rule was broken; the op, its operands and the call site are added on the way up.
    pub fn new(message: impl Into<String>) -> Self {
        Error(Box::new(Report { message: message.into(), ..Report::default() }))
    }

    /// Says what sort of mistake it is.
    pub fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says which axis of the one shape clashes with which of the other.
    pub fn clash(mut self, shapes: [&Shape; 2], axes: [usize; 2]) -> Self {
        self.0.clash = Some(Clash { shapes: shapes.map(Clone::clone), axes });
        self
    }

    /// As [`clash`](Self::clash) of shapes of one rank that had to be equal: at the first axis that differs.
    pub(crate) fn differing(self, a: &Shape, b: &Shape) -> Self {
        match a.iter().zip(b.iter()).position(|(m, n)| m != n) {
            Some(axis) if a.len() == b.len() => self.clash([a, b], [axis, axis]),
            _ => self,
        }
    }

    /// Begins the message with what it is about.
    pub(crate) fn of(mut self, what: impl fmt::Display) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// Notes the labels that clash.
    pub(crate) fn of_labels(mut self, labels: [Label; 2]) -> Self {
        self.0.labels = Some(labels);
        self
    }

    /// Names the op, its operands and the line, where they are not yet named.
    pub fn located(self, op: &str, site: impl Into<Line>, operands: impl FnOnce(&mut Vec<Described>)) -> Self {
        let mut operands = Some(operands);
        self.located_at(op, site.into(), &mut |all| operands.take().into_iter().for_each(|operands| operands(all)))
    }

    /// [`located`](Self::located), once for all that may describe operands.
    #[cold]
    #[inline(never)]
    fn located_at(mut self, op: &str, site: Line, operands: &mut dyn FnMut(&mut Vec<Described>)) -> Self {
        if self.0.op.is_none() {
            self.0.op = Some(op.to_owned());
            operands(&mut self.0.operands);
        }
        self.0.site.get_or_insert(site);
        self
    }

    /// What sort of mistake it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The op that refused, if known.
    pub fn op(&self) -> Option<&str> {
        self.0.op.as_deref()
    }

    /// The rule that was broken.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do, if it was said.
    pub fn hinted(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The operands of that op, if known.
    pub fn operands(&self) -> &[Described] {
        &self.0.operands
    }

    /// The labels that met and are not equal, if it is that.
    pub fn labels(&self) -> Option<&[Label; 2]> {
        self.0.labels.as_ref()
    }

    /// The axes that clash, if the op said so.
    pub fn clashing(&self) -> Option<&Clash> {
        self.0.clash.as_ref()
    }

    /// The line of the user's program, if known.
    pub fn site(&self) -> Option<Line> {
        self.0.site
    }

    /// Panics with this error's text at the caller's line.
    #[track_caller]
    pub fn raise(self) -> ! {
        let error = match site::current() {
            Some(site) => self.located(site.op, site.location, |_| ()),
            None => self,
        };
        panic!("{error}")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &*self.0;
        if let Some(op) = &report.op {
            write!(f, "{op}: ")?;
        }
        f.write_str(&report.message)?;
        if !report.operands.is_empty() {
            let operands: Vec<String> = report.operands.iter().map(Described::to_string).collect();
            write!(f, "\n  operands: {}", operands.join(", "))?;
        }
        if let Some(site) = report.site {
            write!(f, "\n  at {site}")?;
        }
        if let Some(hint) = &report.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl From<covector_array::kernels::IndexError> for Error {
    fn from(e: covector_array::kernels::IndexError) -> Self {
        Error::new(e.to_string()).hint(counted(e.size)).of_kind(ErrorKind::Index)
    }
}

impl From<MatrixError> for Error {
    fn from(e: MatrixError) -> Self {
        let mut error = Error::new(e.to_string()).hint(match e.fault {
            MatrixFault::Singular(_) => {
                "`lstsq` and `pinv` take singular matrices; `cond` says how near one is to being so"
            }
            MatrixFault::NotPositiveDefinite(_) => {
                "a small multiple of the unit matrix added to it can make it so; `eigh` takes any symmetric one"
            }
            MatrixFault::NotFinite => "find where it comes from: `x.isfinite()`",
            MatrixFault::NotConverged => "scale the matrix, or look for extreme elements in it",
        });
        error.0.kind = ErrorKind::LinearAlgebra(e.fault);
        error
    }
}

/// Which indices there are among `size` elements.
pub(crate) fn counted(size: usize) -> String {
    match size {
        0 => "there is nothing to take, and nowhere to put".to_owned(),
        n => format!("indices run from -{n} to {}", n - 1),
    }
}
