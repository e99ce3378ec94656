//! Variables of the environment.

use std::io::Write;

/// What a variable asks for, if it is set. One that is not understood is none, and said to be `what` on standard error.
#[cold]
pub(crate) fn variable<T>(name: &str, parse: impl Fn(&str) -> Option<T>, what: &str) -> Option<T> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    let value = value.to_string_lossy();
    let parsed = parse(&value);
    if parsed.is_none() {
        // If nobody hears it, work goes on all the same.
        let _ = writeln!(std::io::stderr(), "covector: {name}={value} is {what}");
    }
    parsed
}
