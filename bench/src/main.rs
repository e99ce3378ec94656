//! covector's driver of `cargo xtask bench`: reads the name of a row per line, answers a line of JSON.
//!
//! `covector-bench bare` is a hand-written tape of scalars, the opponent of `covector::scalar`;
//! `covector-bench floors` measures what the machine can do.
#![forbid(unsafe_code)]

mod bare;
mod fill;
mod floors;
mod kernels;
mod nets;
mod protocol;
mod small;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("bare") => protocol::serve("", bare::prepare),
        Some("floors") => println!("{}", floors::measure()),
        _ => protocol::serve(concat!("covector ", env!("CARGO_PKG_VERSION")), prepare),
    }
}

fn prepare(row: &str) -> Option<protocol::Prepared> {
    kernels::prepare(row).or_else(|| nets::prepare(row)).or_else(|| small::prepare(row))
}
