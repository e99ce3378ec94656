//! A program that was read: checked with symbols, run with numbers.

use std::collections::{BTreeMap, BTreeSet};

use covector::{Shape, Spec, Tensor};
use covector_trace::symbolic::Runs;

use crate::about::Kind;
use crate::ast::Stmt;
use crate::error::{Fault, Report};
use crate::eval::{Interpreter, Leaf, MOST_STEPS, Record, Stop, Wish, World};
use crate::fix;
use crate::parse::parse;
use crate::symbols::{LARGE_PRIMES, PRIMES, in_symbols, runs_of};
use crate::text::Span;
use crate::value::{Int, Value};

/// A program and its text.
#[derive(Clone, Debug)]
pub struct Program {
    /// The file's name.
    pub name: String,
    /// Its text.
    pub text: String,
    statements: Vec<Stmt>,
    /// Names that stand for tensors from outside.
    given: Vec<(String, Spec)>,
    /// How many steps a run may take.
    limit: u64,
}

/// Numbers for sizes and settings: `B=2`, `dropout=0.1`.
pub type Numbers = BTreeMap<String, f64>;

/// What makes the tensors of declarations, or says why there is none.
pub type Leaves<'a> = dyn FnMut(&Leaf) -> Result<Tensor, String> + 'a;

/// What checking a program found out.
#[derive(Debug)]
pub struct Checked {
    /// Runs with all free sizes set to primes, one for each set of primes.
    pub records: Vec<Record>,
    /// The sizes in those runs.
    pub runs: Runs,
    /// The sizes that decide what the program does, and so have one number.
    pub fixed: Vec<(String, i64)>,
    /// What the free sizes were taken to be, so that shapes have formulas: `d is a multiple of heads`.
    pub conditions: Vec<String>,
    /// The run with the numbers given and those the program itself gives, if every size has one.
    pub concrete: Option<Record>,
}

/// How many sets of primes a program is checked with.
pub const RUNS: usize = 5;

/// What a size is a multiple of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Factor {
    Size(String),
    Number(u64),
}

/// What is known of the sizes beside their numbers.
#[derive(Clone, Default, Debug)]
pub(crate) struct Wishes {
    pub(crate) fixed: BTreeSet<String>,
    pub(crate) multiples: BTreeMap<String, Vec<Factor>>,
    /// Wishes that were tried, with how often.
    tried: Vec<(Span, usize)>,
    /// Free sizes in the order in which they were first seen; each has primes of its own.
    order: Vec<String>,
    /// True if the usual primes are smaller than some number of the program that a size has to reach.
    large: bool,
}

impl Wishes {
    /// The prime of a free size in a run.
    pub(crate) fn prime(&mut self, name: &str, run: usize) -> Option<u64> {
        let at = match self.order.iter().position(|n| n == name) {
            Some(at) => at,
            None => {
                self.order.push(name.to_owned());
                self.order.len() - 1
            }
        };
        let primes = if self.large { &LARGE_PRIMES } else { &PRIMES };
        primes.get(at * RUNS + run).copied()
    }

    /// The sizes of runs that have no number.
    pub(crate) fn free(&self, records: &[Record]) -> Vec<String> {
        records[0].sizes.iter().map(|(n, _)| n.clone()).filter(|n| !self.fixed.contains(n)).collect()
    }

    /// What the free sizes are multiples of, in words.
    fn conditions(&self) -> Vec<String> {
        let free = self.multiples.iter().filter(|(name, of)| !of.is_empty() && !self.fixed.contains(*name));
        let condition = |(name, of): (&String, &Vec<Factor>)| {
            let number: u64 = of.iter().map(|f| if let Factor::Number(n) = f { *n } else { 1 }).product();
            let sizes = of.iter().filter_map(|f| if let Factor::Size(name) = f { Some(name.clone()) } else { None });
            let number = (number > 1).then(|| number.to_string());
            format!("{name} is a multiple of {}", number.into_iter().chain(sizes).collect::<Vec<_>>().join("·"))
        };
        free.map(condition).collect()
    }

    /// The number of a free size in a run: its prime, times what it is a multiple of.
    fn number(&mut self, name: &str, run: usize, numbers: &Numbers, depth: usize) -> Option<u64> {
        if self.fixed.contains(name) || depth > 8 {
            return given(numbers, name).map(|n| n.unsigned_abs());
        }
        let mut number = self.prime(name, run)?;
        for factor in self.multiples.get(name).cloned().unwrap_or_default() {
            let times = match factor {
                Factor::Number(n) => n,
                Factor::Size(other) => self.number(&other, run, numbers, depth + 1)?,
            };
            number = number.checked_mul(times)?;
        }
        Some(number)
    }
}

impl Program {
    /// Reads a program.
    ///
    /// # Errors
    /// The first place where the text is no program.
    pub fn parse(name: &str, text: &str) -> Result<Program, Box<Report>> {
        match parse(text) {
            Ok(statements) => Ok(Program {
                name: name.to_owned(),
                text: text.to_owned(),
                statements,
                given: Vec::new(),
                limit: MOST_STEPS,
            }),
            Err(fault) => {
                let fault = fix::taught_syntax(fault, text);
                Err(Box::new(Report { fault, name: name.to_owned(), text: text.to_owned() }))
            }
        }
    }

    /// The statements.
    pub fn statements(&self) -> &[Stmt] {
        &self.statements
    }

    /// This program with another text, in which nothing is looked for that would mend it.
    pub(crate) fn with_text(&self, text: &str) -> Result<Program, Fault> {
        Ok(Program { statements: parse(text)?, text: text.to_owned(), limit: fix::STEPS, ..self.clone() })
    }

    /// The same program with names that stand for tensors from outside: `tanh(x*w + b)` with `x`, `w` and `b`.
    pub fn given(mut self, names: impl IntoIterator<Item = (String, Spec)>) -> Program {
        self.given.extend(names);
        self
    }

    /// Runs the program in a world.
    fn run_in(&self, world: &mut dyn World) -> (Record, Result<(), Stop>) {
        let mut tensors = Vec::new();
        for (name, spec) in &self.given {
            let leaf = Leaf { name: name.clone(), spec: spec.clone(), param: false, span: Span::default() };
            match world.leaf(&leaf) {
                Ok(tensor) => tensors.push((name, tensor)),
                Err(message) => return (Record::default(), Err(Fault::new(message, Span::default()).into())),
            }
        }
        let mut interpreter = Interpreter::new(&self.text, world).within(self.limit);
        tensors.into_iter().for_each(|(name, tensor)| interpreter.give(name, tensor));
        let end = interpreter.run(&self.statements);
        (interpreter.into_record(), end)
    }

    /// The fault in this program's text.
    pub fn report(&self, fault: Fault) -> Box<Report> {
        Box::new(Report { fault, name: self.name.clone(), text: self.text.clone() })
    }

    /// Runs the program with these sizes and the leaves that `leaf` makes.
    ///
    /// # Errors
    /// What stops the run; sizes that do not divide are faults here.
    pub fn run(&self, numbers: &Numbers, leaf: &mut Leaves) -> Result<Record, Box<Report>> {
        self.run_shaped(numbers, &|_| None, leaf)
    }

    /// As [`run`](Self::run) with tensors whose shapes tell the sizes of the declarations they are given for.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_shaped(
        &self,
        numbers: &Numbers,
        shape: &dyn Fn(&str) -> Option<Shape>,
        leaf: &mut Leaves,
    ) -> Result<Record, Box<Report>> {
        self.run_plainly(numbers, shape, leaf).map_err(|report| fix::taught(self, report, numbers))
    }

    fn run_plainly(
        &self,
        numbers: &Numbers,
        shape: &dyn Fn(&str) -> Option<Shape>,
        leaf: &mut Leaves,
    ) -> Result<Record, Box<Report>> {
        let (record, end) = self.run_in(&mut Given { numbers, shape, leaf });
        match end {
            Ok(()) => Ok(record),
            Err(Stop::Fault(fault)) => Err(self.report(*fault)),
            Err(Stop::Wish(Wish::Multiple(_, [value, by], span))) => Err(self.report(rest(value, by, span))),
            Err(Stop::Wish(Wish::Fixed(..))) => unreachable!("sizes with numbers are not asked for"),
        }
    }

    /// Checks shapes and dtypes with symbols for sizes, and with numbers where all are known; computes nothing.
    ///
    /// # Errors
    /// The first op that refuses its operands, with symbols in its message.
    pub fn check(&self, numbers: &Numbers) -> Result<Checked, Box<Report>> {
        self.check_plainly(numbers).map_err(|report| fix::taught(self, report, numbers))
    }

    /// As [`check`](Self::check), without fixes.
    pub(crate) fn check_plainly(&self, numbers: &Numbers) -> Result<Checked, Box<Report>> {
        self.check_with(numbers, &mut |leaf| Ok(hollow(leaf)))
    }

    fn check_with(&self, numbers: &Numbers, leaf: &mut Leaves) -> Result<Checked, Box<Report>> {
        // First with symbols for the declared sizes alone: what fails so, fails.
        let mut wishes = Wishes::default();
        let defaults = self.defaults(numbers, leaf);
        wishes.fixed.extend(defaults.iter().cloned());
        let before = wishes.clone();
        let mut held = defaults.clone();
        let mut found = match self.symbolic(numbers, &mut wishes, RUNS, leaf) {
            Ok(found) => found,
            // A number may bound a size (`wpe[:T]`): with the number of that, too, the program may pass.
            Err(report) => {
                let names = numbers.keys().filter(|n| !defaults.contains(n));
                let passed = names.into_iter().find_map(|name| {
                    let mut bounded = before.clone();
                    bounded.fixed.insert(name.clone());
                    let records = self.symbolic(numbers, &mut bounded, RUNS, leaf).ok()?;
                    Some((name, bounded, records))
                });
                let (name, bounded, records) = passed.ok_or(report)?;
                held.push(name.clone());
                wishes = bounded;
                records
            }
        };
        // Then numbers that the program names are made symbols too, one after the other, where it can do without them.
        // Twice: `d` may be a multiple of any `heads` once it is free itself.
        let mut tried = wishes.clone();
        for name in held.iter().chain(&held) {
            if !tried.fixed.contains(name) {
                continue;
            }
            let mut freer = tried.clone();
            freer.fixed.remove(name);
            // What it was a multiple of while others had numbers may be one of these now.
            (freer.multiples, freer.tried) = Default::default();
            // One run tells whether the program can; all of them are made once it is known which sizes are free.
            if let Ok(records) = self.symbolic(numbers, &mut freer, 1, leaf)
                && !freer.fixed.contains(name)
                && records[0].made.len() == found[0].made.len()
            {
                tried = freer;
            }
        }
        if let Ok(records) = self.symbolic(numbers, &mut tried, RUNS, leaf) {
            (wishes, found) = (tried, records);
        }
        self.even(numbers, &mut wishes, &mut found, leaf);
        self.relax(numbers, &mut wishes, &mut found, leaf);
        let (mut names, mut named, mut fixed) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in &found[0].sizes {
            match wishes.fixed.contains(name) {
                true => fixed.push((name.clone(), *value)),
                false if defaults.contains(name) => named.push(name.clone()),
                false => names.push(name.clone()),
            }
        }
        // Products read `B·T·d²`: the sizes of inputs first, then those that the program names.
        names.extend(named);
        let sizes: Vec<&[(String, i64)]> = found.iter().map(|r| &r.sizes[..]).collect();
        let runs = runs_of(&names, &sizes, &mut wishes);
        let all_known = names.iter().all(|n| numbers.contains_key(n) || defaults.contains(n));
        let concrete = if all_known { Some(self.run_plainly(numbers, &|_| None, leaf)?) } else { None };
        Ok(Checked { conditions: wishes.conditions(), records: found, runs, fixed, concrete })
    }

    /// The sizes to which the program itself gives numbers.
    fn defaults(&self, numbers: &Numbers, leaf: &mut Leaves) -> Vec<String> {
        let mut wishes = Wishes::default();
        // A run ends early where a size should have had its number; with that it goes further.
        loop {
            let mut world = Primes { numbers, wishes: &mut wishes, run: 0, defaulted: Vec::new(), leaf };
            let _ = self.run_in(&mut world);
            let found = world.defaulted;
            let before = wishes.fixed.len();
            wishes.fixed.extend(found.iter().cloned());
            if wishes.fixed.len() == before {
                return found;
            }
        }
    }

    /// Runs over so many sets of primes; over large ones if small ones will not do.
    pub(crate) fn symbolic(
        &self,
        numbers: &Numbers,
        wishes: &mut Wishes,
        runs: usize,
        leaf: &mut Leaves,
    ) -> Result<Vec<Record>, Box<Report>> {
        let before = wishes.clone();
        let first = match self.symbolic_over(numbers, wishes, runs, leaf) {
            Err(report) if !before.large && report.fault.about.steps <= self.limit => report,
            end => return end,
        };
        // `x[300]` and `T - 300` fail with a small `T` only: that is no fault of theirs.
        let mut large = Wishes { large: true, ..before };
        match self.symbolic_over(numbers, &mut large, runs, leaf) {
            Ok(records) => {
                *wishes = large;
                Ok(records)
            }
            Err(second) => Err(if first.fault.about.differs { second } else { first }),
        }
    }

    /// Runs over several sets of primes, after what they wish for was granted.
    fn symbolic_over(
        &self,
        numbers: &Numbers,
        wishes: &mut Wishes,
        runs: usize,
        leaf: &mut Leaves,
    ) -> Result<Vec<Record>, Box<Report>> {
        let mut restarts = 0;
        'again: loop {
            let (mut records, mut faults) = (Vec::new(), Vec::new());
            for run in 0..runs {
                let mut world = Primes { numbers, wishes, run, defaulted: Vec::new(), leaf };
                let (record, end) = self.run_in(&mut world);
                match end {
                    Ok(()) => records.push(record),
                    // One run that never ends is enough.
                    Err(Stop::Fault(fault)) if fault.about.steps > self.limit => return Err(self.report(*fault)),
                    Err(Stop::Fault(fault)) => faults.push((*fault, record.sizes)),
                    Err(Stop::Wish(wish)) => {
                        restarts += 1;
                        self.grant(&wish, wishes, &record.sizes, numbers, restarts)?;
                        continue 'again;
                    }
                }
            }
            if faults.is_empty() {
                return Ok(records);
            }
            return Err(self.report(in_symbols(faults, wishes)));
        }
    }

    /// Changes the wishes so that the next run has what this one missed.
    fn grant(
        &self,
        wish: &Wish,
        wishes: &mut Wishes,
        sizes: &[(String, i64)],
        numbers: &Numbers,
        restarts: usize,
    ) -> Result<(), Box<Report>> {
        let named = |set: &crate::value::SizeSet| -> Vec<String> {
            sizes.iter().enumerate().filter(|(i, _)| set.contains(*i)).map(|(_, (name, _))| name.clone()).collect()
        };
        match wish {
            Wish::Fixed(set, span) => {
                let names = named(set);
                let fresh: Vec<&String> = names.iter().filter(|n| !wishes.fixed.contains(*n)).collect();
                if let Some(name) = fresh.iter().find(|n| !numbers.contains_key(**n)) {
                    let fault = Fault::new(format!("the size `{name}` decides what the program does"), *span);
                    return Err(self.report(fault.help(format!("give it a number: {name}=2"))));
                }
                wishes.fixed.extend(fresh.into_iter().cloned());
            }
            Wish::Multiple(set, [value, by], span) => {
                let free: Vec<String> = named(set).into_iter().filter(|n| !wishes.fixed.contains(n)).collect();
                let tried = match wishes.tried.iter_mut().find(|(s, _)| s == span) {
                    Some((_, n)) => {
                        *n += 1;
                        *n
                    }
                    None => {
                        wishes.tried.push((*span, 0));
                        0
                    }
                };
                if tried >= free.len().max(1) * 3 || restarts > 60 || free.is_empty() {
                    if free.is_empty() {
                        return Err(self.report(rest(*value, *by, *span)));
                    }
                    let fault = Fault::new(format!("`{}` leaves a rest", span.of(&self.text)), *span);
                    return Err(self.report(fault.note("sizes are divided without a rest")));
                }
                let name = &free[tried % free.len()];
                let others = sizes.iter().filter(|(n, size)| n != name && *size > 1 && !wishes.fixed.contains(n));
                let factors = factors(*by as u64, others.cloned().collect());
                wishes.multiples.entry(name.clone()).or_default().extend(factors);
            }
        }
        Ok(())
    }
}

/// The fault of a division of sizes that leaves a rest.
fn rest(value: i64, by: i64, span: Span) -> Fault {
    let mut fault = Fault::new(format!("{value} is not a multiple of {by}"), span);
    fault.about.kind = Kind::Rest { value, by };
    fault.note("sizes are divided without a rest")
}

/// A number as a product of sizes (the largest first) and a rest.
fn factors(mut n: u64, mut known: Vec<(String, i64)>) -> Vec<Factor> {
    known.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let mut found = Vec::new();
    for (name, size) in known {
        while n.is_multiple_of(size as u64) {
            n /= size as u64;
            found.push(Factor::Size(name.clone()));
        }
    }
    if n > 1 {
        found.push(Factor::Number(n));
    }
    found
}

/// A tensor of the leaf's shape without numbers of its own.
pub fn hollow(leaf: &Leaf) -> Tensor {
    Tensor::from_array(covector::Array::full(leaf.spec.shape.clone(), 0.0, leaf.spec.dtype))
}

/// Sizes with the numbers they were given.
struct Given<'a> {
    numbers: &'a Numbers,
    shape: &'a dyn Fn(&str) -> Option<Shape>,
    leaf: &'a mut dyn FnMut(&Leaf) -> Result<Tensor, String>,
}

impl World for Given<'_> {
    fn size(&mut self, name: &str, default: Option<i64>) -> Option<i64> {
        given(self.numbers, name).or(default)
    }
    fn is_free(&self, _: &str) -> bool {
        false
    }
    fn setting(&mut self, name: &str) -> Option<Value> {
        setting(self.numbers, name)
    }
    fn shape(&self, name: &str) -> Option<Shape> {
        (self.shape)(name)
    }
    fn leaf(&mut self, leaf: &Leaf) -> Result<Tensor, String> {
        (self.leaf)(leaf)
    }
}

/// The whole number given for a name.
fn given(numbers: &Numbers, name: &str) -> Option<i64> {
    numbers.get(name).filter(|x| x.fract() == 0.0 && x.abs() < 9e15).map(|x| *x as i64)
}

fn setting(numbers: &Numbers, name: &str) -> Option<Value> {
    let x = *numbers.get(name)?;
    Some(match given(numbers, name) {
        Some(i) => Value::Int(Int::from(i)),
        None => Value::Float(x),
    })
}

/// Sizes that are different primes, unless they are fixed or have to be multiples.
struct Primes<'a> {
    numbers: &'a Numbers,
    wishes: &'a mut Wishes,
    run: usize,
    /// Sizes to which the program itself gives a number.
    defaulted: Vec<String>,
    leaf: &'a mut dyn FnMut(&Leaf) -> Result<Tensor, String>,
}

impl World for Primes<'_> {
    fn size(&mut self, name: &str, default: Option<i64>) -> Option<i64> {
        if default.is_some() {
            self.defaulted.push(name.to_owned());
        }
        if self.wishes.fixed.contains(name) {
            return given(self.numbers, name).or(default);
        }
        self.wishes.number(name, self.run, self.numbers, 0).map(|n| n as i64)
    }
    fn is_free(&self, name: &str) -> bool {
        !self.wishes.fixed.contains(name)
    }
    fn setting(&mut self, name: &str) -> Option<Value> {
        setting(self.numbers, name)
    }
    fn shape(&self, _: &str) -> Option<Shape> {
        None
    }
    fn leaf(&mut self, leaf: &Leaf) -> Result<Tensor, String> {
        (self.leaf)(leaf)
    }
}
