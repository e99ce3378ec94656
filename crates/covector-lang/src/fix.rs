//! Fixes that have been tried: candidates are put into the text, and the program is checked again.
//!
//! A candidate is proposed if the whole program checks with it; if none does that, because there are further mistakes,
//! those are proposed with which the statement at fault is passed.

mod axes;
mod calls;
mod einsum;
mod names;
mod operands;
mod syntax;

use std::collections::HashSet;

use crate::about::{About, Kind};
use crate::ast::{self, Expr, ExprKind};
use crate::error::{Fault, Help, Report};
use crate::program::{Numbers, Program};
use crate::text::Span;

/// How many candidates are tried.
const MOST_TRIED: usize = 48;

/// How many steps a try may take.
pub(crate) const STEPS: u64 = 20_000;

/// How many steps all tries that end in a fault may take together.
const ALL_STEPS: u64 = 200_000;

/// How long a program may be for fixes to be tried.
const LONGEST: usize = 50_000;

/// The rank of what is hardly meant.
const FAR: u8 = 2;

/// How many fixes are proposed.
const MOST_SHOWN: usize = 3;

/// A change of the text that may be the way out.
struct Candidate {
    /// How far-fetched it is: of those that work only the nearest rank is proposed.
    rank: u8,
    text: String,
    span: Span,
    with: String,
}

/// Candidates, and what they are made from.
struct Search<'a> {
    program: &'a Program,
    fault: &'a Fault,
    /// The rank of what is offered next.
    rank: u8,
    found: Vec<Candidate>,
}

/// The report with fixes that have been tried.
pub(crate) fn taught(program: &Program, mut report: Box<Report>, numbers: &Numbers) -> Box<Report> {
    if program.text.len() > LONGEST {
        return report;
    }
    let mut search = Search { program, fault: &report.fault, rank: 0, found: Vec::new() };
    search.look();
    let mut found = std::mem::take(&mut search.found);
    found.sort_by_key(|c| c.rank);
    let proven = proven(program, &report.fault.about, found, numbers);
    report.fault.help.extend(proven);
    report
}

/// The fault of a text that is no program, with changes that make it one.
pub(crate) fn taught_syntax(mut fault: Fault, text: &str) -> Fault {
    let mut seen = HashSet::new();
    if text.len() > LONGEST {
        return fault;
    }
    for candidate in syntax::candidates(&fault, text).into_iter().take(MOST_TRIED) {
        let changed = applied(text, candidate.span, &candidate.with);
        if fault.help.iter().filter(|h| h.fix.is_some()).count() < MOST_SHOWN
            && seen.insert(changed.clone())
            && crate::parse(&changed).is_ok()
        {
            fault.help.push(Help { text: candidate.text, fix: Some((candidate.span, candidate.with)) });
        }
    }
    // A fix says more than words.
    if fault.help.iter().any(|h| h.fix.is_some()) {
        fault.help.retain(|h| h.fix.is_some());
    }
    fault
}

/// The text with one place changed.
fn applied(text: &str, span: Span, with: &str) -> String {
    format!("{}{with}{}", &text[..span.start], &text[span.end..])
}

/// Those candidates with which the program checks, or gets further, as help.
fn proven(program: &Program, about: &About, candidates: Vec<Candidate>, numbers: &Numbers) -> Vec<Help> {
    let (mut whole, mut past) = (Vec::new(), Vec::new());
    let mut seen = HashSet::from([program.text.clone()]);
    let mut best_rank = None;
    let mut steps = 0;
    for Candidate { rank, text, span, with } in candidates {
        if whole.len() >= MOST_SHOWN
            || seen.len() > MOST_TRIED
            || steps > ALL_STEPS
            || past.len() >= 2 * MOST_SHOWN
            || best_rank.is_some_and(|best| rank > best)
        {
            break;
        }
        let changed = applied(&program.text, span, &with);
        if !seen.insert(changed.clone()) {
            continue;
        }
        let Ok(fixed) = program.with_text(&changed) else { continue };
        let shift = with.len() as isize - (span.end - span.start) as isize;
        let help = Help { text, fix: Some((span, with)) };
        let checked = fixed.check_plainly(numbers);
        steps += checked.as_ref().err().map_or(0, |next| next.fault.about.steps);
        match checked {
            Ok(_) => {
                best_rank = Some(rank);
                whole.push(help);
            }
            Err(next) if passed(about, &next.fault.about, span, shift) => past.push((rank, help)),
            Err(_) => {}
        }
    }
    let nearest = past.iter().map(|(rank, _)| *rank).min();
    // Nor is a far-fetched change the way out where a plain one gets past the place.
    if whole.is_empty() || best_rank >= Some(FAR) && nearest.is_some_and(|rank| rank < FAR) {
        whole = past.into_iter().filter(|(rank, _)| Some(*rank) == nearest).map(|(_, help)| help).collect();
    }
    whole.truncate(MOST_SHOWN);
    whole
}

/// True if the statement at fault was completed once more than before.
fn passed(before: &About, after: &About, edit: Span, shift: isize) -> bool {
    let Some(statement) = before.statement else { return false };
    let at = if edit.start < statement.start { statement.start.saturating_add_signed(shift) } else { statement.start };
    let times = |about: &About, at| about.completed.get(&at).copied().unwrap_or(0);
    times(after, at) > times(before, statement.start)
}

impl<'a> Search<'a> {
    fn look(&mut self) {
        match &self.fault.about.kind {
            Kind::Other => {}
            Kind::Op => self.op(),
            Kind::Name { at, name, known } => self.name(*at, name, known),
            Kind::Missing { param } => self.missing(param),
            Kind::TooMany { wanted } => self.too_many(*wanted),
            Kind::Unpack { names, items } => self.unpack(names, *items),
            Kind::Rest { value, by } => self.rest(*value, *by),
            Kind::Call => self.not_a_function(),
            Kind::Truth => self.truth(),
            Kind::Number => self.at_number(),
        }
    }

    /// What stands at a place.
    fn text(&self, span: Span) -> &'a str {
        span.of(&self.program.text)
    }

    /// The expression at a place.
    fn expr(&self, span: Span) -> Option<&'a Expr> {
        ast::find(self.program.statements(), span)
    }

    /// The expression that was refused.
    fn whole(&self) -> Option<&'a Expr> {
        self.expr(self.fault.span())
    }

    fn offer(&mut self, text: impl Into<String>, span: Span, with: impl Into<String>) {
        self.found.push(Candidate { rank: self.rank, text: text.into(), span, with: with.into() });
    }

    /// A suffix behind an expression, in brackets if it needs them.
    fn offer_behind(&mut self, text: impl Into<String>, span: Span, suffix: &str) {
        let (inner, end) = (self.text(span), Span::new(span.end..span.end));
        match self.is_tight(span) {
            true => self.offer(text, end, suffix),
            false => self.offer(text, span, format!("({inner}){suffix}")),
        }
    }

    /// True if a suffix binds to all of the expression.
    fn is_tight(&self, span: Span) -> bool {
        let loose = |kind: &ExprKind| {
            matches!(
                kind,
                ExprKind::Binary(..)
                    | ExprKind::Unary(..)
                    | ExprKind::Compare(..)
                    | ExprKind::Choice { .. }
                    | ExprKind::Int(_)
            )
        };
        match self.expr(span) {
            // In brackets of its own an expression begins before its first part.
            Some(e) if loose(&e.kind) => {
                self.text(span).starts_with('(') && e.kind.parts().all(|p| p.span.start > span.start)
            }
            _ => true,
        }
    }

    /// The text of an expression as an operand of anything.
    fn tight(&self, span: Span) -> String {
        if self.is_tight(span) { self.text(span).to_owned() } else { format!("({})", self.text(span)) }
    }
}
