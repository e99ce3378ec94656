//! Completion scripts and manual pages, from the declarations of the flags.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;

use crate::Failure;
use crate::args::Covector;

/// Prints the completion script of a shell.
pub fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Covector::command(), "covector", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

/// Prints the manual page, or writes those of all commands into a folder.
pub fn pages(folder: Option<&Path>) -> Result<(), Failure> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Covector::command()).render(&mut page)?;
        return Ok(io::stdout().write_all(&page)?);
    };
    let outside = |e: io::Error| Failure::Outside(format!("cannot write manual pages to {}: {e}", folder.display()));
    std::fs::create_dir_all(folder).map_err(outside)?;
    clap_mangen::generate_to(Covector::command(), folder).map_err(outside)
}
