//! Sizes and counts as expressions over symbols, read off several runs.
//!
//! The shape rules know numbers only. So a program is run several times with its symbols set to different primes, and the
//! expression of every size follows from the numbers it had in each run: `3·d` from 3 times d's prime in all of them. What a
//! rule does to shapes is thus written once, and a symbol can hide behind no op.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A sum of products of symbols: `24·B·T·d² + 2·B·T·V`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Symbolic {
    /// For each product its coefficient: numerator and denominator, both without common factors, the latter positive.
    terms: BTreeMap<Product, (i128, i128)>,
}

/// Powers of factors, in the order of the factors.
type Product = Vec<(Factor, i32)>;

/// A symbol, or a sum that is multiplied as one: `(H - 4)`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Factor {
    Symbol(Symbol),
    Sum(Vec<(Product, (i128, i128))>),
}

/// A name for a size, ordered by when it was first used.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Symbol {
    order: u32,
    name: Arc<str>,
}

/// The symbols of a program and the numbers they had in each of several runs.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    symbols: Vec<Symbol>,
    /// For each run the number of each symbol.
    numbers: Vec<Vec<u64>>,
    /// For each run the prime of each symbol: a factor of its number, and of no other's that was not made a multiple of it.
    primes: Vec<Vec<u64>>,
}

impl Symbolic {
    /// A constant.
    pub fn constant(value: i128) -> Symbolic {
        let terms = if value == 0 { BTreeMap::new() } else { BTreeMap::from([(Vec::new(), (value, 1))]) };
        Symbolic { terms }
    }

    /// The sum of two.
    pub fn add(&self, other: &Symbolic) -> Symbolic {
        let mut terms = self.terms.clone();
        for (product, &(n, d)) in &other.terms {
            let entry = terms.entry(product.clone()).or_insert((0, 1));
            *entry = reduced(entry.0 * d + n * entry.1, entry.1 * d);
        }
        terms.retain(|_, c| c.0 != 0);
        Symbolic { terms }
    }

    /// The product of two.
    pub fn multiply(&self, other: &Symbolic) -> Symbolic {
        let mut sum = Symbolic::default();
        for (a, &(n, d)) in &self.terms {
            for (b, &(m, e)) in &other.terms {
                let term = BTreeMap::from([(times(a, b, 1), reduced(n * m, d * e))]);
                sum = sum.add(&Symbolic { terms: term });
            }
        }
        sum
    }

    /// The number of terms.
    pub fn terms(&self) -> usize {
        self.terms.len()
    }

    /// The constant, if no symbol is in it.
    pub fn as_constant(&self) -> Option<i128> {
        match self.terms.iter().next() {
            None => Some(0),
            Some((product, &(n, 1))) if product.is_empty() && self.terms.len() == 1 => Some(n),
            _ => None,
        }
    }

    /// The value for these numbers of the symbols; none if one is missing or the result is no integer.
    pub fn value(&self, number: &dyn Fn(&str) -> Option<u64>) -> Option<i128> {
        let (n, d) = sum_value(self.terms.iter().map(|(p, c)| (p, *c)), number)?;
        (n % d == 0).then(|| n / d)
    }

    /// With numbers in place of the symbols that have one.
    pub fn with(&self, number: &dyn Fn(&str) -> Option<u64>) -> Symbolic {
        let mut sum = Symbolic::default();
        for (product, &coefficient) in &self.terms {
            let (mut rest, mut c) = (Vec::new(), coefficient);
            for (factor, power) in product {
                let single = BTreeMap::from([(vec![(factor.clone(), *power)], (1, 1))]);
                match value_of(factor, number) {
                    Some(v) => match raised(v, *power) {
                        Some(v) => c = reduced(c.0 * v.0, c.1 * v.1),
                        None => rest.push((factor.clone(), *power)),
                    },
                    None => rest.extend(single.into_keys().flatten()),
                }
            }
            sum = sum.add(&Symbolic { terms: BTreeMap::from([(rest, c)]) });
        }
        sum
    }

    fn product(product: Product, coefficient: (i128, i128)) -> Symbolic {
        Symbolic { terms: BTreeMap::from([(product, coefficient)]) }
    }
}

impl Runs {
    /// Runs of programs over symbols of these names.
    pub fn new(names: &[String]) -> Runs {
        let symbol = |(i, name): (usize, &String)| Symbol { order: i as u32, name: name.as_str().into() };
        Runs { symbols: names.iter().enumerate().map(symbol).collect(), ..Runs::default() }
    }

    /// Adds a run: each symbol's number, and the prime that is this symbol's own in it.
    pub fn add(&mut self, numbers: Vec<u64>, primes: Vec<u64>) {
        self.numbers.push(numbers);
        self.primes.push(primes);
    }

    /// The number of runs.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// True if nothing was run.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The expression that had these values, one for each run; none if it is not found.
    ///
    /// Found are constants, products of powers, and sums of them with whole coefficients of one or two symbols.
    pub fn fit(&self, values: &[u64]) -> Option<Symbolic> {
        let &first = values.first()?;
        if values.iter().all(|&v| v == first) {
            return Some(Symbolic::constant(i128::from(first)));
        }
        self.product_of(values).or_else(|| self.linear(values))
    }

    /// As [`fit`](Self::fit) for a count of something over a tensor whose axes have these sizes.
    pub fn fit_over(&self, values: &[u64], axes: &[Option<Symbolic>]) -> Option<Symbolic> {
        if let Some(found) = self.fit(values) {
            return Some(found);
        }
        // The axes that are sums are taken out; the rest is a product.
        let sums: Vec<&Symbolic> = axes.iter().flatten().filter(|a| a.terms.len() > 1).collect();
        for taken in (1..=sums.len()).rev() {
            let mut rest = Vec::with_capacity(values.len());
            for (run, &value) in values.iter().enumerate() {
                let number = |name: &str| self.number(run, name);
                let size: i128 = sums[..taken].iter().map(|s| s.value(&number)).product::<Option<i128>>()?;
                if size == 0 || i128::from(value) % size != 0 {
                    break;
                }
                rest.push((i128::from(value) / size) as u64);
            }
            if rest.len() == values.len()
                && let Some(rest) = self.fit(&rest)
            {
                let factor = |s: &Symbolic| Factor::Sum(s.terms.iter().map(|(p, c)| (p.clone(), *c)).collect());
                let factors = sums[..taken].iter().fold(Vec::new(), |all, s| times(&all, &[(factor(s), 1)], 1));
                return Some(rest.multiply(&Symbolic::product(factors, (1, 1))));
            }
        }
        None
    }

    fn number(&self, run: usize, name: &str) -> Option<u64> {
        let at = self.symbols.iter().position(|s| &*s.name == name)?;
        self.numbers[run].get(at).copied()
    }

    /// A product of powers of symbols with a rational coefficient.
    fn product_of(&self, values: &[u64]) -> Option<Symbolic> {
        if values.contains(&0) {
            return None;
        }
        let powers = self.powers(0, values[0]);
        let mut coefficient = None;
        for (run, &value) in values.iter().enumerate() {
            let mut c = (i128::from(value), 1i128);
            for (i, &power) in powers.iter().enumerate() {
                let v = raised((i128::from(self.numbers[run][i]), 1), power)?;
                c = reduced(c.0.checked_mul(v.1)?, c.1.checked_mul(v.0)?);
            }
            if *coefficient.get_or_insert(c) != c {
                return None;
            }
        }
        let product = self.symbols.iter().zip(&powers).filter(|(_, p)| **p != 0);
        let product = product.map(|(s, p)| (Factor::Symbol(s.clone()), *p)).collect();
        Some(Symbolic::product(product, coefficient?))
    }

    /// The powers of the symbols in a value of a run, by their primes; what a symbol's number has beside its prime are
    /// other symbols, which are taken off again.
    fn powers(&self, run: usize, value: u64) -> Vec<i32> {
        let count = |mut v: u64, prime: u64| {
            let mut n = 0;
            while prime > 1 && v > 0 && v.is_multiple_of(prime) {
                (v, n) = (v / prime, n + 1);
            }
            n
        };
        let primes = &self.primes[run];
        let mut powers: Vec<i32> = primes.iter().map(|&p| count(value, p)).collect();
        // A symbol whose number is `h` times its prime brings an `h` along.
        for _ in 0..powers.len() {
            let mut corrected: Vec<i32> = primes.iter().map(|&p| count(value, p)).collect();
            for (i, &power) in powers.iter().enumerate() {
                for (j, &p) in primes.iter().enumerate().filter(|(j, _)| *j != i) {
                    corrected[j] -= power * count(self.numbers[run][i], p);
                }
            }
            if corrected == powers {
                break;
            }
            powers = corrected;
        }
        powers
    }

    /// `a·x + b·y + c` over products of symbols: differences between runs tell the coefficients.
    fn linear(&self, values: &[u64]) -> Option<Symbolic> {
        let n = self.symbols.len();
        let column = |i: usize| -> Vec<i128> { self.numbers.iter().map(|run| i128::from(run[i])).collect() };
        let target: Vec<i128> = values.iter().map(|&v| i128::from(v)).collect();
        let found = |parts: &[(usize, (i128, i128))]| -> Option<Symbolic> {
            let mut sum = Symbolic::default();
            for &(i, c) in parts {
                let product = vec![(Factor::Symbol(self.symbols[i].clone()), 1)];
                sum = sum.add(&Symbolic::product(product, c));
            }
            let rest: Vec<(i128, i128)> = (0..values.len())
                .map(|run| {
                    let v = sum_value(sum.terms.iter().map(|(p, c)| (p, *c)), &|name| self.number(run, name))?;
                    Some(reduced(target[run] * v.1 - v.0, v.1))
                })
                .collect::<Option<_>>()?;
            let all_equal = rest.iter().all(|r| *r == rest[0]);
            all_equal.then(|| sum.add(&Symbolic::product(Vec::new(), rest[0])))
        };
        // One symbol and a constant.
        for i in 0..n {
            let x = column(i);
            let Some(pair) = (1..x.len()).find(|&r| x[r] != x[0]) else { continue };
            let slope = reduced(target[pair] - target[0], x[pair] - x[0]);
            if slope.0 != 0
                && let Some(sum) = found(&[(i, slope)])
            {
                return Some(sum);
            }
        }
        // Two symbols with small whole coefficients and a constant.
        for i in 0..n {
            for j in i + 1..n {
                for a in (-4..=4).filter(|a| *a != 0) {
                    for b in (-4..=4).filter(|b| *b != 0) {
                        if let Some(sum) = found(&[(i, (a, 1)), (j, (b, 1))]) {
                            return Some(sum);
                        }
                    }
                }
            }
        }
        None
    }
}

/// The product of two products, the second to a power.
fn times(a: &[(Factor, i32)], b: &[(Factor, i32)], power: i32) -> Product {
    let mut all: BTreeMap<Factor, i32> = a.iter().cloned().collect();
    for (factor, p) in b {
        *all.entry(factor.clone()).or_default() += p * power;
    }
    all.into_iter().filter(|(_, p)| *p != 0).collect()
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

/// The fraction without common factors, with a positive denominator.
fn reduced(n: i128, d: i128) -> (i128, i128) {
    let g = gcd(n, d).max(1) * if d < 0 { -1 } else { 1 };
    (n / g, d / g)
}

fn raised((n, d): (i128, i128), power: i32) -> Option<(i128, i128)> {
    let p = power.unsigned_abs();
    let (n, d) = (n.checked_pow(p)?, d.checked_pow(p)?);
    if power >= 0 { Some((n, d)) } else { (n != 0).then(|| reduced(d, n)) }
}

fn value_of(factor: &Factor, number: &dyn Fn(&str) -> Option<u64>) -> Option<(i128, i128)> {
    match factor {
        Factor::Symbol(symbol) => number(&symbol.name).map(|n| (i128::from(n), 1)),
        Factor::Sum(terms) => sum_value(terms.iter().map(|(p, c)| (p, *c)), number),
    }
}

fn sum_value<'a>(
    terms: impl Iterator<Item = (&'a Product, (i128, i128))>,
    number: &dyn Fn(&str) -> Option<u64>,
) -> Option<(i128, i128)> {
    let mut sum = (0i128, 1i128);
    for (product, (n, d)) in terms {
        let mut term = (n, d);
        for (factor, power) in product {
            let v = raised(value_of(factor, number)?, *power)?;
            term = reduced(term.0.checked_mul(v.0)?, term.1.checked_mul(v.1)?);
        }
        sum = reduced(sum.0.checked_mul(term.1)?.checked_add(term.0.checked_mul(sum.1)?)?, sum.1 * term.1);
    }
    Some(sum)
}

fn superscript(n: u32) -> String {
    n.to_string().chars().map(|c| ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][c as usize - '0' as usize]).collect()
}

fn write_product(f: &mut fmt::Formatter<'_>, product: &Product, (n, d): (i128, i128)) -> fmt::Result {
    let factor = |(factor, power): &(Factor, i32)| -> String {
        let base = match factor {
            Factor::Symbol(symbol) => symbol.name.to_string(),
            Factor::Sum(terms) => {
                let sum = Symbolic { terms: terms.iter().cloned().collect() };
                format!("({sum})")
            }
        };
        let p = power.unsigned_abs();
        if p == 1 { base } else { base + &superscript(p) }
    };
    let mut above: Vec<String> = product.iter().filter(|(_, p)| *p > 0).map(factor).collect();
    let mut below: Vec<String> = product.iter().filter(|(_, p)| *p < 0).map(factor).collect();
    if n.abs() != 1 || above.is_empty() {
        above.insert(0, n.abs().to_string());
    }
    if d != 1 {
        below.insert(0, d.to_string());
    }
    f.write_str(&above.join("·"))?;
    match below.len() {
        0 => Ok(()),
        1 => write!(f, "/{}", below[0]),
        _ => write!(f, "/({})", below.join("·")),
    }
}

impl fmt::Display for Symbolic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms.is_empty() {
            return f.write_str("0");
        }
        // High powers first, constants last.
        let mut terms: Vec<(&Product, &(i128, i128))> = self.terms.iter().collect();
        let degree = |p: &Product| p.iter().map(|(_, power)| power).sum::<i32>();
        terms.sort_by_key(|(p, _)| std::cmp::Reverse(degree(p)));
        for (i, (product, &(n, d))) in terms.into_iter().enumerate() {
            match (i, n < 0) {
                (0, true) => f.write_str("-")?,
                (0, false) => {}
                (_, true) => f.write_str(" - ")?,
                (_, false) => f.write_str(" + ")?,
            }
            write_product(f, product, (n, d))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B, T, h, and d, which is h times a prime of its own.
    fn runs() -> Runs {
        let mut runs = Runs::new(&["B", "T", "h", "d"].map(String::from));
        for [b, t, h, d] in [[211, 223, 227, 229], [233, 239, 241, 251], [257, 263, 269, 271]] {
            runs.add(vec![b, t, h, h * d], vec![b, t, h, d]);
        }
        runs
    }

    fn fit(f: impl Fn([u64; 4]) -> u64) -> String {
        let runs = runs();
        let values: Vec<u64> = runs.numbers.iter().map(|n| f([n[0], n[1], n[2], n[3]])).collect();
        runs.fit(&values).map_or("?".into(), |e| e.to_string())
    }

    #[test]
    fn products_quotients_and_sums_are_found() {
        assert_eq!(fit(|[_, _, _, _]| 320), "320");
        assert_eq!(fit(|[b, ..]| b), "B");
        assert_eq!(fit(|[_, _, _, d]| 3 * d), "3·d");
        assert_eq!(fit(|[_, _, h, d]| d / h), "d/h");
        assert_eq!(fit(|[b, _, h, d]| b * h * (d / h)), "B·d");
        assert_eq!(fit(|[b, t, _, d]| 24 * b * t * d * d), "24·B·T·d²");
        assert_eq!(fit(|[_, t, ..]| t + 1), "T + 1");
        assert_eq!(fit(|[b, t, ..]| 2 * b + t), "2·B + T");
        assert_eq!(fit(|[_, t, ..]| t - 4), "T - 4");
    }

    #[test]
    fn numbers_can_be_put_in() {
        let runs = runs();
        let values: Vec<u64> = runs.numbers.iter().map(|n| 24 * n[0] * n[1] * n[3] * n[3]).collect();
        let cost = runs.fit(&values).unwrap().add(&Symbolic::constant(5));
        let number = |name: &str| match name {
            "B" => Some(2),
            "T" => Some(3),
            _ => None,
        };
        assert_eq!(cost.with(&number).to_string(), "144·d² + 5");
        assert_eq!(cost.value(&|n| if n == "d" { Some(10) } else { number(n) }), Some(14405));
    }
}
