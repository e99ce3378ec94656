//! `covector config show`: every value, and where it came from.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Arg, ArgMatches, Command};

use crate::Failure;
use crate::config::{Origin, options};

/// A value, and what is to be said of it.
type Line = (String, String);

/// Prints the options of a task as a configuration file. `kept` are those of a checkpoint, by flag.
pub fn show(
    task: &str,
    command: &Command,
    matches: &ArgMatches,
    origins: &BTreeMap<String, Origin>,
    kept: Option<&serde_json::Value>,
) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "task = {}", quoted(task))?;
    // Headings in the order of their first option; options without one come first.
    let mut groups: Vec<(Option<&str>, Vec<Line>)> = vec![(None, Vec::new())];
    for arg in options(command) {
        let heading = arg.get_help_heading();
        let line = line(arg, matches, origins, kept);
        match groups.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, lines)) => lines.push(line),
            None => groups.push((heading, vec![line])),
        }
    }
    groups.into_iter().try_for_each(|(heading, lines)| print(&mut out, heading, lines))
}

/// Values and what is to be said of them, side by side.
fn print(out: &mut impl Write, heading: Option<&str>, lines: Vec<Line>) -> Result<(), Failure> {
    if let Some(heading) = heading {
        writeln!(out, "\n# {heading}")?;
    }
    let width = lines.iter().map(|(value, _)| value.chars().count()).max().unwrap_or(0);
    Ok(lines.iter().try_for_each(|(value, origin)| writeln!(out, "{value:width$}  # {origin}"))?)
}

fn line(arg: &Arg, matches: &ArgMatches, origins: &BTreeMap<String, Origin>, kept: Option<&serde_json::Value>) -> Line {
    let (id, flag) = (arg.get_id().as_str(), arg.get_long().unwrap_or_default());
    let origin = match origins.get(id) {
        Some(Origin::Flag) => format!("flag --{flag}"),
        Some(Origin::File(path, line)) => format!("{}, line {line}", path.display()),
        None if kept.is_some() => "the checkpoint".to_owned(),
        None => "default".to_owned(),
    };
    let value = match kept.filter(|_| !origins.contains_key(id)) {
        Some(kept) => kept.get(id).and_then(json),
        None => raw(arg, matches),
    };
    match value {
        Some(value) => (format!("{flag} = {value}"), origin),
        None => {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            (format!("# {flag} ="), format!("not set: {help}"))
        }
    }
}

/// The value of an option as TOML; none if it has none.
fn raw(arg: &Arg, matches: &ArgMatches) -> Option<String> {
    let id = arg.get_id().as_str();
    if !arg.get_action().takes_values() {
        return Some(matches.get_flag(id).to_string());
    }
    let plain = |text: &str| match text.parse::<f64>() {
        Ok(_) if crate::config::numeric(arg.get_value_parser()) => text.to_owned(),
        _ => quoted(text),
    };
    let all: Vec<String> = matches.get_raw(id).into_iter().flatten().map(|v| plain(&v.to_string_lossy())).collect();
    listed(all, matches!(arg.get_action(), clap::ArgAction::Append))
}

fn listed(all: Vec<String>, many: bool) -> Option<String> {
    match all.len() {
        0 => None,
        1 if !many => all.into_iter().next(),
        _ => Some(format!("[{}]", all.join(", "))),
    }
}

/// A value of a checkpoint as TOML.
fn json(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(quoted(text)),
        serde_json::Value::Array(items) => listed(items.iter().filter_map(json).collect(), true),
        other => Some(other.to_string()),
    }
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
