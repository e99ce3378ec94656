//! Sizes and counts as expressions over symbols, read off several runs.
//!
//! The shape rules know numbers only. So a program is run several times with its symbols set to different primes, and the
//! expression of every size follows from the numbers it had in each run: `3·d` from 3 times d's prime in all of them. What a
//! rule does to shapes is thus written once, and a symbol can hide behind no op.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
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

/// A symbol, a sum that is multiplied as one: `(H - 4)`, or the binary logarithm of one, rounded up: `⌈log₂ T⌉`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Factor {
    Symbol(Symbol),
    Sum(Vec<(Product, (i128, i128))>),
    Log(Vec<(Product, (i128, i128))>),
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
    /// Sizes of axes that are sums; where one is found, products with it are too.
    sums: RefCell<Vec<Symbolic>>,
    /// What was found for values before.
    found: RefCell<HashMap<Vec<u64>, Option<Symbolic>>>,
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

    /// True if no fraction is added: `H/2 - 1`, not `H/2 + 1/2`.
    pub fn is_whole(&self) -> bool {
        self.terms.get(&Product::new()).is_none_or(|c| c.1 == 1)
    }

    /// The binary logarithm, rounded up: `⌈log₂ T⌉`.
    pub fn log(&self) -> Symbolic {
        let terms = self.terms.iter().map(|(p, c)| (p.clone(), *c)).collect();
        Symbolic::product(vec![(Factor::Log(terms), 1)], (1, 1))
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
        self.found.take();
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
    /// Found are constants, products of powers, these with a small number added, sums of one or two symbols, and products
    /// of what was found for axes.
    pub fn fit(&self, values: &[u64]) -> Option<Symbolic> {
        let &first = values.first()?;
        if values.iter().all(|&v| v == first) {
            return Some(Symbolic::constant(i128::from(first)));
        }
        if let Some(found) = self.found.borrow().get(values) {
            return found.clone();
        }
        let found = self.product_of(values).or_else(|| self.linear(values)).or_else(|| self.shifted(values));
        let found = found.or_else(|| self.product_of_sums(values));
        self.found.borrow_mut().insert(values.to_vec(), found.clone());
        found
    }

    /// A product and a small number: `n² + 1`.
    fn shifted(&self, values: &[u64]) -> Option<Symbolic> {
        (1..=16i64).flat_map(|c| [c, -c]).find_map(|c| {
            let rest: Option<Vec<u64>> = values.iter().map(|v| v.checked_add_signed(-c)).collect();
            Some(self.product_of(&rest?)?.add(&Symbolic::constant(c.into())))
        })
    }

    /// As [`fit`](Self::fit) for a count of something over tensors whose axes have these sizes.
    pub fn fit_over(&self, values: &[u64], axes: &[Option<Symbolic>]) -> Option<Symbolic> {
        for axis in axes.iter().flatten().filter(|a| a.terms.len() > 1) {
            if !self.sums.borrow().contains(axis) {
                self.sums.borrow_mut().push(axis.clone());
                self.found.borrow_mut().retain(|_, found| found.is_some());
            }
        }
        if let Some(found) = self.fit(values) {
            return Some(found);
        }
        let found = self.polynomial(values, axes).or_else(|| self.triangular(values, axes));
        if found.is_some() {
            self.found.borrow_mut().insert(values.to_vec(), found.clone());
        }
        found
    }

    /// As a causal mask leaves it: `T·(T + 1)/2` times what [`polynomial`](Self::polynomial) finds, and perhaps the size of
    /// the result, whose axes come first.
    fn triangular(&self, values: &[u64], axes: &[Option<Symbolic>]) -> Option<Symbolic> {
        let one = Symbolic::constant(1);
        let sizes = (0..axes.len().min(6)).scan(one.clone(), |size, i| {
            *size = size.multiply(axes[i].as_ref()?);
            Some(size.clone())
        });
        let added: Vec<Symbolic> = std::iter::once(Symbolic::default()).chain(sizes).collect();
        let column = |e: &Symbolic| -> Option<Vec<u64>> {
            let value = |run| e.value(&|name| self.number(run, name)).and_then(|v| u64::try_from(v).ok());
            (0..values.len()).map(value).collect()
        };
        let mut tried: Vec<&Symbolic> = Vec::new();
        for axis in axes.iter().flatten().filter(|a| a.as_constant().is_none()) {
            if tried.contains(&axis) {
                continue;
            }
            tried.push(axis);
            let above = axis.add(&one);
            let above_values = column(&above)?;
            for added in &added {
                let rest = values.iter().zip(column(added)?).zip(&above_values).map(|((v, a), s)| {
                    let twice = v.checked_sub(a)?.checked_mul(2)?;
                    (twice % s == 0).then(|| twice / s)
                });
                let Some(rest) = rest.collect::<Option<Vec<u64>>>() else { continue };
                if let Some(rest) = self.fit(&rest).or_else(|| self.polynomial(&rest, axes)) {
                    let half = Symbolic::product(Product::new(), (1, 2));
                    return Some(rest.multiply(&above).multiply(&half).add(added));
                }
            }
        }
        None
    }

    /// A sum of up to four products of these axes, times what all values have in common: `B·h·T·(2·T·(d/h) + 2·T + …)`.
    fn polynomial(&self, values: &[u64], axes: &[Option<Symbolic>]) -> Option<Symbolic> {
        if values.contains(&0) {
            return None;
        }
        let powers: Vec<i32> = self.powers(values).into_iter().map(|p| p.max(0)).collect();
        let common = self.symbols.iter().zip(powers).filter(|(_, p)| *p > 0);
        let common = Symbolic::product(common.map(|(s, p)| (Factor::Symbol(s.clone()), p)).collect(), (1, 1));
        let column = |e: &Symbolic| -> Option<Vec<i128>> {
            (0..values.len()).map(|run| e.value(&|name| self.number(run, name))).collect()
        };
        let rest: Option<Vec<i128>> = column(&common)?
            .iter()
            .zip(values)
            .map(|(c, v)| (i128::from(*v) % c == 0).then(|| i128::from(*v) / c))
            .collect();
        let rest = rest?;
        // Products of no, one or two axes, each with its value in every run.
        let mut parts: Vec<Symbolic> = vec![Symbolic::constant(1)];
        for axis in axes.iter().flatten().filter(|a| a.terms.len() == 1 && a.as_constant().is_none()) {
            let product = axis.terms.keys().next().cloned().unwrap_or_default();
            let part = Symbolic::product(product, (1, 1));
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        let mut products: Vec<(Symbolic, Vec<i128>)> = Vec::new();
        for (i, a) in parts.iter().enumerate() {
            for b in &parts[i..] {
                let product = a.multiply(b);
                if let Some(numbers) = column(&product).filter(|_| products.iter().all(|(p, _)| *p != product)) {
                    products.push((product, numbers));
                }
            }
        }
        let columns: Vec<Vec<i128>> = products.iter().map(|(_, numbers)| numbers.clone()).collect();
        let (chosen, coefficients) = crate::solve::combination(&columns, &rest)?;
        let term = |(i, c): (&usize, &i128)| products[*i].0.multiply(&Symbolic::constant(*c));
        let sum = chosen.iter().zip(&coefficients).map(term).fold(Symbolic::default(), |a, b| a.add(&b));
        Some(sum.multiply(&common))
    }

    /// A product in which axes that are sums are factors: they are divided out as often as they go in.
    fn product_of_sums(&self, values: &[u64]) -> Option<Symbolic> {
        let (mut rest, mut factors) = (values.to_vec(), Product::new());
        for sum in self.sums.borrow().iter() {
            let sizes = (0..rest.len()).map(|run| sum.value(&|name| self.number(run, name)));
            let sizes: Vec<u64> = sizes.map(|s| s.and_then(|s| u64::try_from(s).ok())).collect::<Option<_>>()?;
            let divides = |rest: &[u64]| rest.iter().zip(&sizes).all(|(v, s)| *s > 1 && *v > 0 && v % s == 0);
            while divides(&rest) {
                rest.iter_mut().zip(&sizes).for_each(|(v, s)| *v /= s);
                let factor = Factor::Sum(sum.terms.iter().map(|(p, c)| (p.clone(), *c)).collect());
                factors = times(&factors, &[(factor, 1)], 1);
            }
        }
        let constant = rest.iter().all(|v| *v == rest[0]).then(|| Symbolic::constant(i128::from(rest[0])));
        let rest = if factors.is_empty() { None } else { constant.or_else(|| self.product_of(&rest)) }?;
        Some(rest.multiply(&Symbolic::product(factors, (1, 1))))
    }

    /// The value of an expression in a run.
    pub fn value(&self, of: &Symbolic, run: usize) -> Option<u64> {
        u64::try_from(of.value(&|name| self.number(run, name))?).ok()
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
        let powers = self.powers(values);
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

    /// The powers of the symbols in a value, by their primes in each run: a coefficient may hold one of these, but hardly one
    /// in every run. What a symbol's number has beside its prime are other symbols, which are taken off again.
    fn powers(&self, values: &[u64]) -> Vec<i32> {
        let count = |mut v: u64, prime: u64| {
            let mut n = 0;
            while prime > 1 && v > 0 && v.is_multiple_of(prime) {
                (v, n) = (v / prime, n + 1);
            }
            n
        };
        let found = |of: &dyn Fn(usize) -> u64, symbol: usize| -> i32 {
            (0..values.len()).map(|run| count(of(run), self.primes[run][symbol])).min().unwrap_or(0)
        };
        let n = self.symbols.len();
        let own: Vec<i32> = (0..n).map(|j| found(&|run| values[run], j)).collect();
        let brought = |i: usize, j: usize| found(&|run| self.numbers[run][i], j);
        let brought: Vec<Vec<i32>> =
            (0..n).map(|i| (0..n).map(|j| if i == j { 0 } else { brought(i, j) }).collect()).collect();
        let mut powers = own.clone();
        // A symbol whose number is `h` times its prime brings an `h` along.
        for _ in 0..n {
            let less = |j: usize| own[j] - (0..n).map(|i| powers[i] * brought[i][j]).sum::<i32>();
            let corrected: Vec<i32> = (0..n).map(less).collect();
            if corrected == powers {
                break;
            }
            powers = corrected;
        }
        powers
    }

    /// `a·x + c` or `a·x + b·y + c` over the symbols: differences between runs tell the coefficients.
    fn linear(&self, values: &[u64]) -> Option<Symbolic> {
        let n = self.symbols.len();
        if values.len() < 4 {
            return None;
        }
        let columns: Vec<Vec<i128>> = (0..n)
            .map(|i| self.numbers.iter().map(|run| i128::from(run[i]) - i128::from(self.numbers[0][i])).collect())
            .collect();
        let target: Vec<i128> = values.iter().map(|&v| i128::from(v) - i128::from(values[0])).collect();
        // The sum with these coefficients, if every run agrees.
        let sum = |parts: &[(usize, (i128, i128))]| -> Option<Symbolic> {
            let agrees = (1..values.len()).all(|run| {
                let part = |&(i, (num, den)): &(usize, (i128, i128))| reduced(columns[i][run] * num, den);
                let (num, den) = parts.iter().map(part).fold((0, 1), |a, b| reduced(a.0 * b.1 + b.0 * a.1, a.1 * b.1));
                num == target[run] * den
            });
            let small = parts.iter().all(|(_, (num, den))| *num != 0 && num.abs() < 1 << 20 && *den < 1 << 20);
            if !agrees || !small {
                return None;
            }
            let term = |&(i, c): &(usize, _)| Symbolic::product(vec![(Factor::Symbol(self.symbols[i].clone()), 1)], c);
            let rest = parts.iter().fold((i128::from(values[0]), 1), |rest: (i128, i128), &(i, (num, den))| {
                reduced(rest.0 * den - i128::from(self.numbers[0][i]) * num * rest.1, rest.1 * den)
            });
            let sum = parts.iter().map(term).fold(Symbolic::default(), |a, b| a.add(&b));
            Some(sum.add(&Symbolic { terms: BTreeMap::from([(Vec::new(), rest)]) }))
        };
        let one = |i: usize| (columns[i][1] != 0).then(|| sum(&[(i, reduced(target[1], columns[i][1]))])).flatten();
        let two = |i: usize, j: usize| {
            let (x, y) = (&columns[i], &columns[j]);
            let det = x[1] * y[2] - x[2] * y[1];
            let (a, b) = (target[1] * y[2] - target[2] * y[1], x[1] * target[2] - x[2] * target[1]);
            (det != 0).then(|| sum(&[(i, reduced(a, det)), (j, reduced(b, det))])).flatten()
        };
        (0..n)
            .find_map(one)
            .or_else(|| (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).find_map(|(i, j)| two(i, j)))
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
        Factor::Log(terms) => {
            let (n, d) = sum_value(terms.iter().map(|(p, c)| (p, *c)), number)?;
            let n = u64::try_from(n / d).ok()?.max(1);
            Some((i128::from(n.checked_next_power_of_two()?.trailing_zeros()), 1))
        }
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
    n.to_string()
        .chars()
        .map(|c| ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][c as usize - '0' as usize])
        .collect()
}

fn write_product(f: &mut fmt::Formatter<'_>, product: &Product, (n, d): (i128, i128)) -> fmt::Result {
    let factor = |(factor, power): &(Factor, i32)| -> String {
        let base = match factor {
            Factor::Symbol(symbol) => symbol.name.to_string(),
            Factor::Sum(terms) => format!("({})", Symbolic { terms: terms.iter().cloned().collect() }),
            Factor::Log(terms) => format!("⌈log₂ {}⌉", Symbolic { terms: terms.iter().cloned().collect() }),
        };
        let p = power.unsigned_abs();
        if p == 1 { base } else { base + &superscript(p) }
    };
    let mut above: Vec<String> = product.iter().filter(|(_, p)| *p > 0).map(factor).collect();
    let mut below: Vec<String> = product.iter().filter(|(_, p)| *p < 0).map(factor).collect();
    let grouped = f.alternate();
    let number = |n: i128| match u64::try_from(n) {
        Ok(n) if grouped => crate::table::grouped(n),
        _ => n.to_string(),
    };
    if n.abs() != 1 || above.is_empty() {
        above.insert(0, number(n.abs()));
    }
    if d != 1 {
        below.insert(0, number(d));
    }
    f.write_str(&above.join("·"))?;
    match below.len() {
        0 => Ok(()),
        1 => write!(f, "/{}", below[0]),
        _ => write!(f, "/({})", below.join("·")),
    }
}

/// `{:#}` groups the digits of numbers, for counts.
impl fmt::Display for Symbolic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms.is_empty() {
            return f.write_str("0");
        }
        // High powers first, constants last.
        let mut terms: Vec<(&Product, &(i128, i128))> = self.terms.iter().collect();
        let degree = |p: &Product| p.iter().map(|(_, power)| power).sum::<i32>();
        terms.sort_by_key(|(p, _)| (p.is_empty(), std::cmp::Reverse(degree(p))));
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
        for [b, t, h, d] in [[211, 223, 227, 229], [233, 239, 241, 251], [257, 263, 269, 271], [277, 281, 283, 293]] {
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
