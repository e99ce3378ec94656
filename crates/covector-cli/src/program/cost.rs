//! `covector cost`

use std::io::{Write, stdout};

use covector::{Tensor, explain};
use covector_trace::table::Count;

use crate::Failure;
use crate::args::Cost;

pub fn run(options: &Cost) -> Result<(), Failure> {
    let traced = options.source.load(0)?.traced()?;
    let (trace, mut out) = (&traced.trace, stdout().lock());
    if options.plan {
        let Some(record) = &traced.checked.concrete else {
            let missing: Vec<&str> =
                trace.sizes.iter().filter(|(_, v)| v.is_none()).map(|(name, _)| name.as_str()).collect();
            return Err(Failure::Usage(format!("a plan has numbers; give one to {}", missing.join(", "))));
        };
        let plan = match &traced.both {
            Some(both) => explain(both.gradients.iter().chain([&both.output])),
            None => explain(&record.output().into_iter().collect::<Vec<Tensor>>()),
        };
        write!(out, "{plan}")?;
        return Ok(());
    }
    if options.json {
        let json = traced.json();
        writeln!(out, "{:#}", serde_json::json!({ "sizes": json["sizes"], "totals": json["totals"] }))?;
        return Ok(());
    }
    write!(out, "{}\n{}", trace.table(options.depth), traced.totals())?;
    let per = |of: &Count, by: &Count| Some(of.number? as f64 / by.number.filter(|n| *n > 0)? as f64);
    if let Some(ratio) = per(&trace.totals.backward, &trace.totals.forward) {
        writeln!(out, "The backward pass takes {ratio:.2} times the forward pass.")?;
    }
    Ok(())
}
