//! `covector trace`

use std::io::{Write, stdout};

use crate::Failure;
use crate::args::Trace;

pub fn run(options: &Trace) -> Result<(), Failure> {
    let loaded = options.source.load(0)?;
    let traced = loaded.program.trace(&loaded.inputs.numbers);
    let mut out = stdout().lock();
    let trace = match traced {
        Err(report) if options.json => {
            writeln!(out, "{:#}", serde_json::json!({ "error": report.json() }))?;
            return Err(Failure::Said);
        }
        traced => traced?,
    };
    if options.json {
        writeln!(out, "{:#}", trace.json())?;
    } else if options.csv {
        write!(out, "{}", trace.csv())?;
    } else {
        write!(out, "{}\n{}", trace.table(options.depth.unwrap_or(usize::MAX)), trace.summary_text())?;
    }
    Ok(())
}
