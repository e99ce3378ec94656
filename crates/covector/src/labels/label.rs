//! The algebra of labels: sums of products and quotients of names, in one form for each value.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// The size of an axis as an expression: `T`, `3·d`, `d/h`, `B·T`, `T+1`.
///
/// Two labels are equal if the expressions are: `h·d/h` is `d`. Written `·` or `*`, `/`, `+`, `-` and parentheses.
/// ```
/// use covector::Label;
/// let label: Label = "h*(d/h) + 2*T - T".parse().unwrap();
/// assert_eq!(label.to_string(), "T+d");
/// assert_eq!(label.evaluate(|name| if name == "T" { Some(5) } else { Some(16) }), Some(21));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Label(Vec<Term>);

/// A rational number times powers of symbols, which are sorted; no power is 0.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Term {
    powers: Vec<(Symbol, i32)>,
    coefficient: Ratio,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
enum Symbol {
    Named(Arc<str>),
    /// A size without a name, such as the first factor of an axis that was split.
    Unknown(u64),
}

/// In lowest terms, with a positive denominator.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Ratio(i64, i64);

/// Sums of more terms than this are not followed.
const MOST_TERMS: usize = 16;
/// Parentheses may be nested this deep.
const DEEPEST: usize = 16;

/// What must hold for two labels to be one.
pub(super) enum Solution {
    /// Nothing: they are equal.
    Equal,
    /// This unknown must be that.
    Bind(u64, Label),
    /// Something about unknowns that has no expression here.
    Open,
    /// They differ.
    Differ,
}

impl Ratio {
    fn new(n: i64, d: i64) -> Option<Ratio> {
        if d == 0 {
            return None;
        }
        let gcd = |mut a: u64, mut b: u64| {
            while b > 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        let g = i64::try_from(gcd(n.unsigned_abs(), d.unsigned_abs())).ok()? * d.signum();
        Some(Ratio(n / g, d / g))
    }

    fn times(self, o: Ratio) -> Option<Ratio> {
        Ratio::new(self.0.checked_mul(o.0)?, self.1.checked_mul(o.1)?)
    }

    fn plus(self, o: Ratio) -> Option<Ratio> {
        Ratio::new(self.0.checked_mul(o.1)?.checked_add(o.0.checked_mul(self.1)?)?, self.1.checked_mul(o.1)?)
    }
}

impl Term {
    fn times(&self, other: &Term) -> Option<Term> {
        let mut powers = self.powers.clone();
        for (symbol, e) in &other.powers {
            match powers.binary_search_by(|(s, _)| s.cmp(symbol)) {
                Ok(i) => powers[i].1 = powers[i].1.checked_add(*e)?,
                Err(i) => powers.insert(i, (symbol.clone(), *e)),
            }
        }
        powers.retain(|&(_, e)| e != 0);
        Some(Term { powers, coefficient: self.coefficient.times(other.coefficient)? })
    }

    fn inverse(&self) -> Option<Term> {
        let powers = self.powers.iter().map(|(s, e)| (s.clone(), -e)).collect();
        Some(Term { powers, coefficient: Ratio::new(self.coefficient.1, self.coefficient.0)? })
    }
}

impl Label {
    /// The sum of these terms in canonical form: like ones together, constants last.
    fn of(terms: impl IntoIterator<Item = Term>) -> Option<Label> {
        let mut sum: Vec<Term> = Vec::new();
        for term in terms {
            match sum.iter_mut().find(|t| t.powers == term.powers) {
                Some(like) => like.coefficient = like.coefficient.plus(term.coefficient)?,
                None => sum.push(term),
            }
        }
        sum.retain(|t| t.coefficient.0 != 0);
        let degree = |t: &Term| t.powers.iter().map(|(_, e)| i64::from(*e)).sum::<i64>();
        let key = |t: &Term| (t.powers.is_empty(), -degree(t));
        sum.sort_by(|a, b| (key(a), &a.powers).cmp(&(key(b), &b.powers)));
        (sum.len() <= MOST_TERMS).then_some(Label(sum))
    }

    fn symbol(symbol: Symbol) -> Label {
        Label(vec![Term { powers: vec![(symbol, 1)], coefficient: Ratio(1, 1) }])
    }

    /// This number.
    pub(super) fn number(n: i64) -> Label {
        Label(if n == 0 { Vec::new() } else { vec![Term { powers: Vec::new(), coefficient: Ratio(n, 1) }] })
    }

    /// A size that nobody has named yet.
    pub(super) fn unknown() -> Label {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Label::symbol(Symbol::Unknown(NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The sum; `None`, here and below, for what this algebra does not express.
    pub(super) fn plus(&self, other: &Label) -> Option<Label> {
        Label::of(self.0.iter().chain(&other.0).cloned())
    }

    pub(super) fn times(&self, other: &Label) -> Option<Label> {
        let pairs = self.0.iter().flat_map(|a| other.0.iter().map(move |b| a.times(b)));
        Label::of(pairs.collect::<Option<Vec<Term>>>()?)
    }

    pub(super) fn over(&self, divisor: &Label) -> Option<Label> {
        match &divisor.0[..] {
            [one] => self.times(&Label(vec![one.inverse()?])),
            [] => None,
            _ => (self == divisor).then(|| Label::number(1)),
        }
    }

    /// The number, if it is one.
    pub(super) fn as_number(&self) -> Option<i64> {
        match &self.0[..] {
            [] => Some(0),
            [Term { powers, coefficient: Ratio(n, 1) }] if powers.is_empty() => Some(*n),
            _ => None,
        }
    }

    fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.0.iter().flat_map(|t| t.powers.iter().map(|(s, _)| s))
    }

    /// True if every size in it has a name.
    pub(super) fn is_known(&self) -> bool {
        self.symbols().all(|s| matches!(s, Symbol::Named(_)))
    }

    /// The names in it, sorted, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let named = self.symbols().filter_map(|s| if let Symbol::Named(name) = s { Some(&**name) } else { None });
        named.collect::<BTreeSet<&str>>().into_iter()
    }

    /// The number it stands for, from the sizes of its names; `None` if one is missing or it is no integer.
    pub fn evaluate(&self, size: impl Fn(&str) -> Option<usize>) -> Option<i64> {
        let mut sum = Ratio(0, 1);
        for term in &self.0 {
            let mut product = term.coefficient;
            for (symbol, e) in &term.powers {
                let Symbol::Named(name) = symbol else { return None };
                let n = i64::try_from(size(name)?).ok()?;
                let factor = if *e > 0 { Ratio(n, 1) } else { Ratio::new(1, n)? };
                for _ in 0..e.unsigned_abs() {
                    product = product.times(factor)?;
                }
            }
            sum = sum.plus(product)?;
        }
        (sum.1 == 1).then_some(sum.0)
    }

    /// With `value` in place of an unknown.
    pub(super) fn replaced(&self, unknown: u64, value: &Label) -> Option<Label> {
        let mut sum = Label::number(0);
        for term in &self.0 {
            let at = term.powers.iter().position(|(s, _)| *s == Symbol::Unknown(unknown));
            let mut rest = term.clone();
            let e = at.map_or(0, |i| rest.powers.remove(i).1);
            let mut product = Label(vec![rest]);
            for _ in 0..e.unsigned_abs() {
                product = if e > 0 { product.times(value)? } else { product.over(value)? };
            }
            sum = sum.plus(&product)?;
        }
        Some(sum)
    }

    fn contains(&self, unknown: u64) -> bool {
        self.symbols().any(|s| *s == Symbol::Unknown(unknown))
    }

    /// The unknown of a product in which it stands once, and what it is if the product is `value`.
    fn solved_for(&self, value: &Label) -> Option<(u64, Label)> {
        let [term] = &self.0[..] else { return None };
        let once = |(s, e): &(Symbol, i32)| match s {
            Symbol::Unknown(u) if e.abs() == 1 && !value.contains(*u) => Some((*u, *e)),
            _ => None,
        };
        let (unknown, e) = term.powers.iter().find_map(once)?;
        let mut rest = term.clone();
        rest.powers.retain(|(s, _)| *s != Symbol::Unknown(unknown));
        let rest = Label(vec![rest]);
        Some((unknown, if e > 0 { value.over(&rest)? } else { rest.over(value)? }))
    }

    /// What makes both one.
    pub(super) fn solve(&self, other: &Label) -> Solution {
        if self == other {
            return Solution::Equal;
        }
        if self.is_known() && other.is_known() {
            return Solution::Differ;
        }
        // What both have is cancelled: then nothing is said of a common unknown.
        let ratio = if self.0.len() == 1 { other.over(self) } else { None };
        if ratio.as_ref().is_some_and(Label::is_known) {
            return Solution::Differ;
        }
        let cancelled = || ratio.as_ref()?.solved_for(&Label::number(1));
        match self.solved_for(other).or_else(|| other.solved_for(self)).or_else(cancelled) {
            Some((unknown, value)) => Solution::Bind(unknown, value),
            None => Solution::Open,
        }
    }

    /// Without its unknown factors, for people.
    pub(super) fn shown(&self) -> Label {
        let known = |term: &Term| {
            let powers = term.powers.iter().filter(|(s, _)| matches!(s, Symbol::Named(_))).cloned().collect();
            Term { powers, coefficient: term.coefficient }
        };
        Label::of(self.0.iter().map(known)).unwrap_or_else(|| self.clone())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Term { powers, coefficient: Ratio(n, d) }) in self.0.iter().enumerate() {
            f.write_str(if *n < 0 {
                "-"
            } else if i > 0 {
                "+"
            } else {
                ""
            })?;
            let name = |s: &Symbol| match s {
                Symbol::Named(name) => name.to_string(),
                Symbol::Unknown(_) => "?".to_owned(),
            };
            let powers = |sign: i32| {
                let some = powers.iter().filter(move |(_, e)| e.signum() == sign);
                some.flat_map(|(s, e)| std::iter::repeat_n(name(s), e.unsigned_abs() as usize))
            };
            let mut above: Vec<String> = powers(1).collect();
            if n.abs() != 1 || above.is_empty() {
                above.insert(0, n.unsigned_abs().to_string());
            }
            f.write_str(&above.join("·"))?;
            (*d != 1)
                .then(|| d.to_string())
                .into_iter()
                .chain(powers(-1))
                .try_for_each(|below| write!(f, "/{below}"))?;
        }
        if self.0.is_empty() { f.write_str("0") } else { Ok(()) }
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Label {
    type Err = Error;
    /// # Errors
    /// If the text is no such expression, or divides by a sum.
    fn from_str(text: &str) -> Result<Label> {
        let mut reader = Reader { text, rest: text.trim_start(), depth: 0 };
        let label = reader.sum()?;
        if reader.rest.is_empty() { Ok(label) } else { Err(reader.wrong()) }
    }
}

/// A text and what is left to read of it.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self) -> Error {
        let (text, rest) = (self.text, self.rest);
        let at = if rest.is_empty() { "ends too early".to_owned() } else { format!("goes wrong at `{rest}`") };
        Error::new(format!("`{text}` is no label: it {at}"))
            .hint("labels are names, products, quotients and sums: `T`, `3·d`, `d/h`, `T+1`")
    }

    fn taken(&mut self, signs: &str) -> Option<char> {
        let c = self.rest.chars().next().filter(|&c| signs.contains(c))?;
        self.skip(c.len_utf8());
        Some(c)
    }

    /// The next so many bytes; spaces behind them do not matter.
    fn skip(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest.trim_start();
        taken
    }

    fn sum(&mut self) -> Result<Label> {
        let minus = Label::number(-1);
        let mut sum = Label::number(0);
        let mut sign = self.taken("-").unwrap_or('+');
        loop {
            let product = self.product()?;
            let signed = if sign == '-' { product.times(&minus) } else { Some(product) };
            sum = signed.and_then(|p| sum.plus(&p)).ok_or_else(|| self.wrong())?;
            match self.taken("+-") {
                Some(next) => sign = next,
                None => return Ok(sum),
            }
        }
    }

    fn product(&mut self) -> Result<Label> {
        let mut product = self.atom()?;
        while let Some(sign) = self.taken("·*/") {
            let factor = self.atom()?;
            let next = if sign == '/' { product.over(&factor) } else { product.times(&factor) };
            product = next.ok_or_else(|| self.wrong())?;
        }
        Ok(product)
    }

    fn atom(&mut self) -> Result<Label> {
        if self.depth < DEEPEST && self.taken("(").is_some() {
            self.depth += 1;
            let sum = self.sum()?;
            self.depth -= 1;
            return self.taken(")").map(|_| sum).ok_or_else(|| self.wrong());
        }
        let length = |holds: fn(char) -> bool| self.rest.find(|c| !holds(c)).unwrap_or(self.rest.len());
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            let number = self.rest[..length(|c| c.is_ascii_digit())].parse().map_err(|_| self.wrong())?;
            self.skip(length(|c| c.is_ascii_digit()));
            return Ok(Label::number(number));
        }
        if !self.rest.starts_with(char::is_alphabetic) {
            return Err(self.wrong());
        }
        let name = self.skip(length(|c| c.is_alphanumeric() || c == '_'));
        Ok(Label::symbol(Symbol::Named(name.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> Label {
        text.parse().unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn every_value_has_one_form() {
        for (text, form) in [
            ("T", "T"),
            ("3*d", "3·d"),
            ("d*3", "3·d"),
            ("d / h", "d/h"),
            ("h·d/h", "d"),
            ("T+1", "T+1"),
            ("1+T", "T+1"),
            ("(T+1)*d", "T·d+d"),
            ("T-T", "0"),
            ("2*T/4", "T/2"),
            ("d*d", "d·d"),
            ("d/(2*h)", "d/2/h"),
            ("-1+T", "T-1"),
            ("(T+2)/2", "T/2+1"),
            ("d_k", "d_k"),
            ("T·B", "B·T"),
            ("(T+1)/(1+T)", "1"),
            ("-T", "-T"),
        ] {
            assert_eq!(label(text).to_string(), form, "{text}");
            assert_eq!(label(form), label(text), "what is printed is read as the same");
        }
    }

    #[test]
    fn what_is_no_label_is_refused() {
        let nested = format!("{}T{}", "(".repeat(1000), ")".repeat(1000));
        for text in ["", "+", "T+", "T T", "3d", "d/0", "a/(b+1)", "(T", "T)", "$", "99999999999999999999", &nested] {
            let error = text.parse::<Label>().expect_err(text).to_string();
            assert!(error.contains("is no label"), "{error}");
        }
    }

    #[test]
    fn numbers_come_from_the_sizes_of_names() {
        let size =
            |name: &str| [("B", 2), ("T", 5), ("d", 16), ("h", 4)].into_iter().find(|n| n.0 == name).map(|n| n.1);
        for (text, number) in
            [("d/h", Some(4)), ("3·d", Some(48)), ("T+1", Some(6)), ("T/h", None), ("x", None), ("B·T-2", Some(8))]
        {
            assert_eq!(label(text).evaluate(size), number, "{text}");
        }
        assert_eq!(label("T·d/h").names().collect::<Vec<_>>(), ["T", "d", "h"]);
    }

    #[test]
    fn unknown_factors_are_found_by_division() {
        let (whole, first) = (label("3·d"), Label::unknown());
        let second = whole.over(&first).unwrap();
        assert_eq!(first.times(&second).unwrap(), whole);
        let Solution::Bind(unknown, value) = second.solve(&label("d/h")) else { panic!("solvable") };
        assert_eq!(first.replaced(unknown, &value).unwrap(), label("3·h"));
        assert!(matches!(second.solve(&label("c").over(&first).unwrap()), Solution::Differ));
        assert!(matches!(label("T").solve(&label("S")), Solution::Differ));
        assert!(matches!(first.times(&first).unwrap().solve(&whole), Solution::Open));
    }
}
