//! `covector cost`

use std::io::{Write, stdout};

use covector::{Tensor, explain};
use covector_lang::hollow;
use covector_nn::AdamW;
use covector_trace::table::{Count, bytes, grouped};

use crate::Failure;
use crate::args::Cost;

pub fn run(options: &Cost) -> Result<(), Failure> {
    let loaded = options.source.load(0)?;
    let checked = loaded.program.check(&loaded.inputs.numbers)?;
    let trace = loaded.program.traced(&checked, &loaded.inputs.numbers);
    let mut out = stdout().lock();
    let both = match &checked.concrete {
        Some(record) => loaded.program.differentiate(record, &[], &|leaf| Ok(hollow(leaf))).ok(),
        None => None,
    };
    if options.plan {
        let Some(record) = &checked.concrete else {
            let missing: Vec<&str> =
                trace.sizes.iter().filter(|(_, v)| v.is_none()).map(|(name, _)| name.as_str()).collect();
            return Err(Failure::Usage(format!("a plan has numbers; give one to {}", missing.join(", "))));
        };
        let plan = match &both {
            Some(both) => explain(both.gradients.iter().chain([&both.output])),
            None => explain(&record.output().into_iter().collect::<Vec<Tensor>>()),
        };
        write!(out, "{plan}")?;
        return Ok(());
    }
    // The plan of AdamW's step on these parameters.
    let optimiser = both.as_ref().filter(|_| trace.totals.parameters.number != Some(0)).map(|both| {
        let parameters = both.tensors.iter().zip(&both.leaves).filter(|(_, l)| l.param).map(|(t, _)| t.clone());
        let parameters: Vec<Tensor> = parameters.map(|t| covector::ops::create::zeros_like(&t)).collect();
        let adam = AdamW::default();
        let moments = adam.start(&parameters);
        let (next, moments) = adam.step(&parameters, &parameters, moments, 1e-3, |_, _| true);
        let state: Vec<Tensor> = covector::Tree::leaves(&moments);
        explain(next.iter().chain(&state))
    });
    if options.json {
        let mut json = trace.json();
        if let Some(plan) = &optimiser {
            json["totals"]["optimiser_flops"] = serde_json::json!(plan.flops());
        }
        writeln!(out, "{:#}", serde_json::json!({ "sizes": json["sizes"], "totals": json["totals"] }))?;
        return Ok(());
    }
    write!(out, "{}\n{}", trace.table(options.depth), trace.summary_text())?;
    if let Some(plan) = optimiser {
        let parameters =
            both.iter().flat_map(|b| &b.tensors).map(|t| (t.size() * t.dtype().size()) as u64).sum::<u64>();
        writeln!(out, "AdamW       {} FLOPs, {} for its two moments", grouped(plan.flops()), bytes(2 * parameters))?;
    }
    let per = |of: &Count, by: &Count| Some(of.number? as f64 / by.number.filter(|n| *n > 0)? as f64);
    if let Some(ratio) = per(&trace.totals.backward, &trace.totals.forward) {
        writeln!(out, "The backward pass takes {ratio:.2} times the forward pass.")?;
    }
    Ok(())
}
