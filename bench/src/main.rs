//! covector's driver of `cargo xtask bench`: reads the name of a row per line, answers a line of JSON.
//!
//! `covector-bench bare` is a hand-written tape of scalars, the opponent of `covector::scalar`;
//! `covector-bench floors` measures what the machine can do, and `covector-bench shakespeare FILE STEPS` trains on a text.
#![forbid(unsafe_code)]

mod bare;
mod fill;
mod floors;
mod kernels;
mod nets;
mod protocol;
mod shakespeare;
mod small;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("bare") => protocol::serve("", bare::prepare),
        Some("floors") => println!("{}", floors::measure()),
        Some("shakespeare") => trained(args.get(1), args.get(2)),
        _ => protocol::serve(concat!("covector ", env!("CARGO_PKG_VERSION")), prepare),
    }
}

fn trained(file: Option<&String>, steps: Option<&String>) {
    let outcome = match (file, steps.and_then(|steps| steps.parse().ok())) {
        (Some(file), Some(steps)) => shakespeare::run(file, steps),
        _ => Err("a file and a number of steps are needed".into()),
    };
    match outcome {
        Ok(figures) => println!("{figures}"),
        Err(problem) => {
            eprintln!("{problem}");
            std::process::exit(2);
        }
    }
}

fn prepare(row: &str) -> Option<protocol::Prepared> {
    kernels::prepare(row).or_else(|| nets::prepare(row)).or_else(|| small::prepare(row))
}
