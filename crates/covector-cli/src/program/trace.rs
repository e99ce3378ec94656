//! `covector trace`

use std::io::{Write, stdout};

use crate::Failure;
use crate::args::Trace;

pub fn run(options: &Trace) -> Result<(), Failure> {
    let traced = options.source.load(0)?.traced()?;
    let mut out = stdout().lock();
    if options.json {
        writeln!(out, "{:#}", traced.json())?;
    } else if options.csv {
        write!(out, "{}", traced.trace.csv())?;
    } else {
        write!(out, "{}\n{}", traced.trace.table(options.depth.unwrap_or(usize::MAX)), traced.totals())?;
    }
    Ok(())
}
