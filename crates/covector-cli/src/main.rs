//! The `covector` command: shapes, derivatives, costs and pictures of programs; trains GPTs, and continues texts.
//!
//! Thin: flags, files and what is printed. Data go to standard output, talk about it to standard error. Errors end with
//! one line and exit code 1, wrong usage with 2, Ctrl-C with 130; a file is written whole or not at all.
#![forbid(unsafe_code)]

mod args;
mod config;
mod corpus;
mod embed;
mod export;
mod generate;
mod manual;
mod predict;
mod program;
mod progress;
mod train;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::{Command, Covector};
use train::args::Shown;

/// Why the command ends early.
pub(crate) enum Failure {
    /// Something from outside is not as it should be: exit code 1.
    Outside(String),
    /// A program that is wrong, drawn over its text: exit code 1.
    Program(Box<covector_lang::Report>),
    /// Said already: exit code 1.
    Said,
    /// Flags that do not go together: exit code 2.
    Usage(String),
    /// Ctrl-C: exit code 130.
    Interrupted(String),
    /// Nobody reads the output any more.
    Unread,
}

impl From<Box<covector_lang::Report>> for Failure {
    fn from(report: Box<covector_lang::Report>) -> Self {
        Failure::Program(report)
    }
}

impl From<covector::Error> for Failure {
    fn from(e: covector::Error) -> Self {
        Failure::Outside(e.to_string())
    }
}

impl From<covector_train::Error> for Failure {
    fn from(e: covector_train::Error) -> Self {
        use covector_train::Error;
        match e {
            Error::Settings(message) => Failure::Usage(message),
            Error::Stopped { step, checkpoint } => Failure::Interrupted(format!(
                "stopped after step {step}; go on with `covector train --resume {}`",
                checkpoint.display()
            )),
            Error::Output(e) => e.into(),
            other => Failure::Outside(other.to_string()),
        }
    }
}

impl From<covector_data::Error> for Failure {
    fn from(e: covector_data::Error) -> Self {
        Failure::Outside(e.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        match e.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::Unread,
            _ => Failure::Outside(format!("cannot write the output: {e}")),
        }
    }
}

fn main() -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    let mut command = Covector::command();
    let matches = command.clone().get_matches_from(&line);
    let merged = match config::merged(&mut command, matches, &line) {
        Ok(merged) => merged,
        Err(failure) => return ended(Err(failure)),
    };
    let Covector { command: asked, threads } = Covector::from_arg_matches(&merged.matches).unwrap_or_else(|e| e.exit());
    if let Some(threads) = threads {
        covector::threads::set_threads(threads);
    }
    let result = match asked {
        Command::Trace(options) => program::reported(options.json, program::trace::run(&options)),
        Command::Eval(options) => program::reported(options.json, program::eval::run(&options)),
        Command::Grad(options) => program::reported(options.json, program::grad::run(&options)),
        Command::Cost(options) => program::reported(options.json, program::cost::run(&options)),
        Command::Graph(options) => program::graph::run(&options),
        Command::Why(options) => program::ask::why(&options),
        Command::Lint(options) => program::reported(options.json, program::ask::lint(&options)),
        Command::Ops(options) => program::ops::run(&options),
        Command::Embed(options) => embed::run(&options),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { folder } => manual::pages(folder.as_deref()),
        Command::Train(asked) => train::run(asked.task(), &merged.origins),
        Command::Config { action } => {
            let Shown::Show(asked) = *action;
            train::show(asked.task(), &command, &merged)
        }
        Command::Generate(options) => generate::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Predict(options) => predict::run(&options),
        Command::EvalModel(options) => predict::judge(&options),
    };
    ended(result)
}

/// Says why the command ends early, if it does.
fn ended(result: Result<(), Failure>) -> ExitCode {
    let (code, message) = match result {
        Ok(()) | Err(Failure::Unread) => return ExitCode::SUCCESS,
        Err(Failure::Said) => return ExitCode::FAILURE,
        Err(Failure::Program(report)) => {
            anstream::eprintln!("{}", report.render(true));
            return ExitCode::FAILURE;
        }
        Err(Failure::Outside(message)) => (1, message),
        Err(Failure::Usage(message)) => (2, message),
        Err(Failure::Interrupted(message)) => (130, message),
    };
    eprintln!("error: {message}");
    ExitCode::from(code)
}
