//! Configuration files: TOML whose keys are the flags of a training.
//!
//! There is one declaration of each option, that of its flag. The values of a file are checked by the parser of the flag and
//! then put on the command line before it is read, unless the flag is there already.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use covector_lang::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Failure;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// A file, and the line in it.
    File(PathBuf, usize),
}

/// The options of a training and where they came from; what is not in `origins` has its default.
pub struct Merged {
    /// The command line with the values of the file.
    pub matches: ArgMatches,
    /// Where each option came from that was given.
    pub origins: BTreeMap<String, Origin>,
}

/// The path of subcommands that were named: `train gpt`.
pub fn named(matches: &ArgMatches) -> (Vec<String>, &ArgMatches) {
    let (mut names, mut matches) = (Vec::new(), matches);
    while let Some((name, inner)) = matches.subcommand() {
        names.push(name.to_owned());
        matches = inner;
    }
    (names, matches)
}

/// The command at the end of a path of subcommands.
pub fn find<'a>(command: &'a Command, names: &[String]) -> &'a Command {
    names.iter().fold(command, |command, name| command.find_subcommand(name).unwrap_or(command))
}

/// The options of a command that a file may set.
pub fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    const NOT: [&str; 5] = ["help", "version", "config", "resume", "threads"];
    command.get_arguments().filter(|arg| arg.get_long().is_some() && !NOT.contains(&arg.get_id().as_str()))
}

/// The command line with what a file adds, if one is named by `--config`.
pub fn merged(command: &mut Command, matches: ArgMatches, line: &[OsString]) -> Result<Merged, Failure> {
    command.build();
    let (names, inner) = named(&matches);
    let given =
        |id: &str| inner.try_contains_id(id).is_ok() && inner.value_source(id) == Some(ValueSource::CommandLine);
    let known = find(command, &names);
    let ids: BTreeSet<String> = known.get_arguments().map(|arg| arg.get_id().to_string()).collect();
    let mut origins: BTreeMap<String, Origin> =
        ids.iter().filter(|id| *id != "threads" && given(id)).map(|id| (id.clone(), Origin::Flag)).collect();
    let path = inner.try_get_one::<PathBuf>("config").ok().flatten().cloned();
    let Some(path) = path else { return Ok(Merged { matches, origins }) };

    let text = read(&path)?;
    let file = File { path: &path, text: &text, command, names: &names };
    let mut added: Vec<OsString> = Vec::new();
    for (id, value) in file.values()? {
        if origins.contains_key(&id) {
            continue;
        }
        added.extend(value.arguments);
        origins.insert(id, Origin::File(path.clone(), value.line));
    }
    let all = line.iter().cloned().chain(added);
    let matches = command.try_get_matches_from_mut(all).unwrap_or_else(|e| e.exit());
    Ok(Merged { matches, origins })
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| Failure::Outside(format!("{}: cannot read: {e}", path.display())))
}

/// A value as the command line would have it.
struct Value {
    arguments: Vec<OsString>,
    line: usize,
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    command: &'a Command,
    names: &'a [String],
}

impl File<'_> {
    /// An error at a place of the file.
    fn wrong(&self, at: &Range<usize>, problem: impl std::fmt::Display) -> Failure {
        let (line, column) = self.place(at.start);
        Failure::Outside(format!("{}:{line}:{column}: {problem}", self.path.display()))
    }

    /// Line and column, both from 1, of a byte.
    fn place(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..byte.min(self.text.len())];
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }

    /// The values of the file by the names of their options.
    fn values(&self) -> Result<Vec<(String, Value)>, Failure> {
        let table = DeTable::parse(self.text).map_err(|e| {
            let at = e.span().unwrap_or(0..0);
            self.wrong(&at, format!("this is no valid TOML: {}", e.message()))
        })?;
        let known: Vec<&Arg> = options(find(self.command, self.names)).collect();
        let mut found = Vec::new();
        for (key, value) in table.get_ref() {
            let name = key.get_ref();
            let flag = name.replace('_', "-");
            if flag == "task" {
                self.check_task(value)?;
                continue;
            }
            if value.get_ref().is_table()
                || value.get_ref().as_array().is_some_and(|a| a.iter().any(|x| x.get_ref().is_table()))
            {
                return Err(self.wrong(&key.span(), format!("`{name}` is a table; options stand outside of tables")));
            }
            let Some(arg) = known.iter().find(|arg| arg.get_long() == Some(flag.as_str())) else {
                return Err(self.unknown(key, &known));
            };
            if let Some((_, earlier)) = found.iter().find(|(id, _): &&(String, Value)| id == arg.get_id().as_str()) {
                return Err(self.wrong(&key.span(), format!("`{name}` stands in line {}, too", earlier.line)));
            }
            let arguments = self.arguments(arg, &flag, value)?;
            found.push((arg.get_id().to_string(), Value { arguments, line: self.place(key.span().start).0 }));
        }
        Ok(found)
    }

    /// A file may say what task it is for.
    fn check_task(&self, value: &Spanned<DeValue>) -> Result<(), Failure> {
        let task = self.names.iter().find(|name| !["train", "config", "show"].contains(&name.as_str()));
        let task = task.map_or("gpt", String::as_str);
        match value.get_ref().as_str() {
            Some(name) if name == task => Ok(()),
            Some(name) => {
                let problem = format!("these are options of the task `{name}`, and `{task}` is to be trained");
                Err(self.wrong(&value.span(), problem))
            }
            None => Err(self.wrong(&value.span(), "a task is a text, in quotation marks")),
        }
    }

    fn unknown(&self, key: &Spanned<std::borrow::Cow<str>>, known: &[&Arg]) -> Failure {
        let name = key.get_ref().replace('_', "-");
        let names = known.iter().filter_map(|arg| arg.get_long());
        let meant = nearest(&name, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        self.wrong(&key.span(), format!("there is no option `{}`{meant}", key.get_ref()))
    }

    /// A value as arguments of the command line, checked by the flag's own parser.
    fn arguments(&self, arg: &Arg, flag: &str, value: &Spanned<DeValue>) -> Result<Vec<OsString>, Failure> {
        let wrong = |at: &Range<usize>, problem: String| self.wrong(at, format!("`{flag}`: {problem}"));
        if !arg.get_action().takes_values() {
            return match value.get_ref().as_bool() {
                Some(true) => Ok(vec![format!("--{flag}").into()]),
                Some(false) => Ok(Vec::new()),
                None => Err(wrong(&value.span(), "it must be true or false".into())),
            };
        }
        let many = matches!(arg.get_action(), clap::ArgAction::Append);
        let items: Vec<&Spanned<DeValue>> = match value.get_ref().as_array() {
            Some(items) if many => items.iter().collect(),
            Some(_) => return Err(wrong(&value.span(), "one value is wanted, not a list".into())),
            None => vec![value],
        };
        let mut arguments = Vec::new();
        for item in items {
            let text = text(item.get_ref(), numeric(arg.get_value_parser()))
                .map_err(|problem| wrong(&item.span(), problem.to_owned()))?;
            let argument = OsString::from(format!("--{flag}={text}"));
            self.checked(&argument).map_err(|problem| wrong(&item.span(), problem))?;
            arguments.push(argument);
        }
        Ok(arguments)
    }

    /// What the flag's parser has against an argument.
    fn checked(&self, argument: &OsString) -> Result<(), String> {
        let path = ["covector".to_owned()].into_iter().chain(self.names.iter().cloned()).map(OsString::from);
        let Err(e) = self.command.clone().try_get_matches_from(path.chain([argument.clone()])) else { return Ok(()) };
        // What the option needs beside it, such as the table, is looked for when everything is together.
        if e.kind() == ErrorKind::MissingRequiredArgument {
            return Ok(());
        }
        if let Some(ContextValue::Strings(values)) = e.get(ContextKind::ValidValue) {
            return Err(format!("it must be one of {}", values.join(", ")));
        }
        let inner = std::error::Error::source(&e).map(ToString::to_string);
        Err(inner.unwrap_or_else(|| e.to_string().lines().next().unwrap_or_default().to_owned()))
    }
}

/// Whether values are numbers.
pub fn numeric(parser: &ValueParser) -> bool {
    use std::any::TypeId;
    let of = parser.type_id();
    [TypeId::of::<usize>(), TypeId::of::<u64>(), TypeId::of::<f64>()].iter().any(|known| of == *known)
}

/// A value as the command line has it.
fn text(value: &DeValue, numeric: bool) -> Result<String, &'static str> {
    match value {
        DeValue::Integer(n) if numeric && n.radix() == 10 => Ok(n.as_str().replace('_', "")),
        DeValue::Integer(_) if numeric => Err("write it with the digits 0 to 9"),
        DeValue::Float(x) if numeric => Ok(x.as_str().replace('_', "")),
        DeValue::String(text) if !numeric => Ok(text.to_string()),
        _ if numeric => Err("it must be a number"),
        _ => Err("it must be a text, in quotation marks"),
    }
}
