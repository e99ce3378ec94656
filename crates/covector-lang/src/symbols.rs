//! Symbols in place of the numbers that a program was checked with.

use covector_trace::symbolic::{Runs, Symbolic};

use crate::error::Fault;
use crate::program::{RUNS, Wishes};

/// Faults with the sizes of their runs.
pub(crate) type Faults = Vec<(Fault, Vec<(String, i64)>)>;

/// True if every run ended in the same fault.
fn alike(faults: &Faults) -> bool {
    let Some((fault, sizes)) = faults.first() else { return true };
    faults.len() == RUNS && faults.iter().all(|(f, s)| f.span() == fault.span() && s.len() == sizes.len())
}

/// The sizes of the free names in each run, with their primes.
pub(crate) fn runs_of(names: &[String], sizes: &[&[(String, i64)]], wishes: &mut Wishes) -> Runs {
    let mut runs = Runs::new(names);
    for (run, sizes) in sizes.iter().enumerate() {
        let number = |name: &String| sizes.iter().find(|(n, _)| n == name).map_or(1, |(_, v)| *v as u64);
        let primes = names.iter().map(|name| wishes.prime(name, run).unwrap_or(1)).collect();
        runs.add(names.iter().map(number).collect(), primes);
    }
    runs
}

/// A message about several runs, with symbols in place of the numbers that differ between them.
pub(crate) fn in_symbols(faults: Faults, wishes: &mut Wishes) -> Fault {
    let (mut fault, first) = faults[0].clone();
    if !alike(&faults) {
        fault.about.differs = true;
        let free = first.iter().filter(|(n, _)| !wishes.fixed.contains(n));
        let sizes: Vec<String> = free.map(|(n, v)| format!("{n}={v}")).collect();
        return if sizes.is_empty() { fault } else { fault.note(format!("found with {}", sizes.join(", "))) };
    }
    let names: Vec<String> = first.iter().map(|(n, _)| n.clone()).filter(|n| !wishes.fixed.contains(n)).collect();
    let sizes: Vec<&[(String, i64)]> = faults.iter().map(|(_, s)| &s[..]).collect();
    let runs = runs_of(&names, &sizes, wishes);
    let texts = |get: &dyn Fn(&Fault) -> Option<String>| -> Option<String> {
        let all: Option<Vec<String>> = faults.iter().map(|(f, _)| get(f)).collect();
        Some(symbolic_text(&all?, &runs))
    };
    fault.message = texts(&|f| Some(f.message.clone())).unwrap_or(fault.message);
    for i in 0..fault.at.len() {
        if let Some(text) = texts(&|f| f.at.get(i).map(|l| l.text.clone())) {
            fault.at[i].text = text;
        }
    }
    for i in 0..fault.notes.len() {
        if let Some(text) = texts(&|f| f.notes.get(i).cloned()) {
            fault.notes[i] = text;
        }
    }
    for k in 0..fault.about.operands.len() {
        for a in 0..fault.about.operands[k].axes.len() {
            let axis = |f: &Fault| f.about.operands.get(k).and_then(|o| o.axes.get(a)).cloned();
            fault.about.operands[k].axes[a] = texts(&axis).unwrap_or_default();
        }
    }
    if let Some(mut shapes) = fault.about.shapes.take() {
        let row = |f: &Fault, i: usize| f.about.shapes.as_ref().and_then(|s| s.rows.get(i).cloned());
        for (i, drawn) in shapes.rows.iter_mut().enumerate() {
            for (a, axis) in drawn.axes.iter_mut().enumerate() {
                *axis = texts(&|f| row(f, i).and_then(|r| r.axes.get(a).cloned())).unwrap_or_default();
            }
            drawn.tail = texts(&|f| row(f, i).map(|r| r.tail)).unwrap_or_default();
            drawn.name = texts(&|f| row(f, i).map(|r| r.name)).unwrap_or_default();
        }
        shapes.rule = texts(&|f| f.about.shapes.as_ref().map(|s| s.rule.clone())).unwrap_or_default();
        fault.about.shapes = Some(shapes);
    }
    for i in 0..fault.help.len() {
        if let Some(text) = texts(&|f| f.help.get(i).map(|h| h.text.clone())) {
            fault.help[i].text = text;
        }
    }
    fault
}

/// A text that has the same words in every run and numbers that differ, with expressions in place of these.
fn symbolic_text(texts: &[String], runs: &Runs) -> String {
    let split: Vec<Vec<(String, Option<i64>)>> = texts.iter().map(|t| pieces(t)).collect();
    let same = |i: usize| split.iter().all(|s| s.get(i).is_some_and(|p| p.1.is_some() || p.0 == split[0][i].0));
    if split.iter().any(|s| s.len() != split[0].len()) || !(0..split[0].len()).all(same) {
        return texts[0].clone();
    }
    let piece = |i: usize| {
        let numbers: Option<Vec<i64>> = split.iter().map(|s| s[i].1).collect();
        match numbers.filter(|n| n.iter().any(|v| *v != n[0])) {
            None => split[0][i].0.clone(),
            // What no expression is found for is no number of the reader's.
            Some(differ) => fitted(&differ, runs).map_or_else(|| "…".to_owned(), |e| e.to_string()),
        }
    };
    (0..split[0].len()).map(piece).collect()
}

/// A text cut into its numbers and what is between them; digits inside words (`f32`) are no numbers.
fn pieces(text: &str) -> Vec<(String, Option<i64>)> {
    let mut pieces: Vec<(String, Option<i64>)> = vec![(String::new(), None)];
    let mut in_word = false;
    for c in text.chars() {
        let digit = c.is_ascii_digit() && !in_word;
        let last = pieces.last_mut().expect("never empty");
        match (digit, last.1.is_some()) {
            (true, true) | (false, false) => last.0.push(c),
            (true, false) => {
                // A minus that nothing stands before is the number's.
                let mut before = last.0.chars().rev();
                let signed = before.next() == Some('-') && !before.next().is_some_and(char::is_alphanumeric);
                let sign = if signed { last.0.pop() } else { None };
                pieces.push((sign.into_iter().chain([c]).collect(), Some(0)));
            }
            (false, true) => pieces.push((c.to_string(), None)),
        }
        if !digit {
            in_word = c.is_alphanumeric() || c == '_' || (c == '.' && in_word);
        }
    }
    for piece in pieces.iter_mut().filter(|p| p.1.is_some()) {
        piece.1 = piece.0.parse().ok();
    }
    pieces
}

/// The expression that had these values, of one sign.
fn fitted(values: &[i64], runs: &Runs) -> Option<Symbolic> {
    let found = runs.fit(&values.iter().map(|v| v.unsigned_abs()).collect::<Vec<_>>())?;
    match values.iter().filter(|v| **v < 0).count() {
        0 => Some(found),
        n if n == values.len() => Some(found.multiply(&Symbolic::constant(-1))),
        _ => None,
    }
}

/// Primes dealt to the runs in turn: none that counts anything often, and small, so that products of many fit 64 bits.
pub(crate) const PRIMES: [u64; 200] = primes(53);

/// Primes above the numbers that programs compare sizes with.
pub(crate) const LARGE_PRIMES: [u64; 200] = primes(100_003);

const fn primes(mut n: u64) -> [u64; 200] {
    let (mut found, mut count) = ([0; 200], 0);
    while count < found.len() {
        let (mut d, mut prime) = (2, true);
        while d * d <= n && prime {
            prime = !n.is_multiple_of(d);
            d += 1;
        }
        if prime {
            found[count] = n;
            count += 1;
        }
        n += 1;
    }
    found
}
