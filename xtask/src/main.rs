//! Chores: `cargo xtask matrix [FILTER]`, `cargo xtask reasons [FILTER]`, `cargo xtask cases`, `cargo xtask bench`.
#![forbid(unsafe_code)]

mod bench;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use covector_check::golden::{self, Goldens};
use covector_check::matrix;

const USAGE: &str = "usage: cargo xtask matrix [FILTER]   check every property of every op, as a table
       cargo xtask reasons [FILTER]  why a property cannot hold, where the table has a dash
       cargo xtask cases             write goldens/cases.json from the registry's samples
       cargo xtask bench [OPTIONS]   time covector against other libraries; --help says more";

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../goldens")
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let filter = args.get(1).map_or("", String::as_str);
    let outcome = match args.first().map(String::as_str) {
        Some("matrix") => rows(filter).map(|rows| {
            print!("{}", matrix::table(&rows));
            rows.iter().all(|r| r.failures().next().is_none())
        }),
        Some("reasons") => rows(filter).map(|rows| {
            print!("{}", matrix::reasons(&rows));
            true
        }),
        Some("cases") => {
            std::fs::write(goldens().join("cases.json"), golden::cases()).map(|()| true).map_err(|e| e.to_string())
        }
        Some("bench") => bench::run(&args[1..]),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn rows(filter: &str) -> Result<Vec<matrix::Row>, String> {
    // Checks provoke panics on purpose and report them in the table.
    std::panic::set_hook(Box::new(|_| ()));
    Goldens::load(&goldens().join("values.json")).map(|g| matrix::rows(filter, &g))
}
