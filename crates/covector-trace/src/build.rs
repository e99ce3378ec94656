//! From runs of a program over several sizes to its table.

use std::collections::HashSet;

use covector::{Class, Tensor, explain};

use crate::graph::{Backward, Walk, Work, backward, seen};
use crate::symbolic::{Runs, Symbolic};
use crate::table::{Count, Kind, Row, Totals, Trace};

/// One expression of a program, and what it made.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The tensors: several for ops such as `split`.
    pub tensors: Vec<Tensor>,
    /// Their names; empty for those without one.
    pub names: Vec<String>,
    /// What they are.
    pub kind: Kind,
    /// The expression, as it is to be shown.
    pub expression: String,
    /// The modules it is in, from the outermost.
    pub module: Vec<String>,
    /// The line, from 1.
    pub line: usize,
}

/// What one run of a program made.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Its expressions in order; the same in every run of a program.
    pub entries: Vec<Entry>,
    /// What the program is about, as a run without gradients made it.
    pub output: Option<Tensor>,
    /// The gradients, if there are any; the entries are then those of the run they were taken of.
    pub gradients: Option<Gradients>,
}

/// The gradients of a run.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// The scalar they are of.
    pub output: Tensor,
    /// What they are with respect to.
    pub learnt: Vec<Tensor>,
    /// The gradients, in the same order.
    pub gradients: Vec<Tensor>,
}

/// What one run takes, entry by entry.
struct Taken<'a> {
    run: &'a Run,
    /// For each entry what its nodes take.
    works: Vec<Vec<Work>>,
    leaves: HashSet<u64>,
    backward: Option<Backward>,
}

impl<'a> Taken<'a> {
    fn of(run: &'a Run) -> Taken<'a> {
        let leaves = run.entries.iter().filter(|e| e.kind != Kind::Result).flat_map(|e| &e.tensors);
        let mut walk = Walk::new(leaves.clone());
        let leaves: HashSet<u64> = leaves.map(Tensor::id).collect();
        let fresh = |tensors: &[Tensor], walk: &mut Walk| -> Vec<Tensor> {
            tensors.iter().flat_map(|t| walk.fresh(t)).collect()
        };
        let works = run.entries.iter().map(|e| Work::of(&fresh(&e.tensors, &mut walk))).collect();
        let backward = run.gradients.as_ref().map(|g| {
            let mut back = backward(&g.output, &leaves, &g.learnt, &g.gradients);
            // A result with axes is summed so that it has gradients.
            back.work.extend(Work::of(&walk.fresh(&g.output)));
            back
        });
        Taken { run, works, leaves, backward }
    }

    /// True if the backward pass reads this tensor of this entry.
    fn keeps(&self, i: usize, k: usize) -> bool {
        let shown = seen(&self.run.entries[i].tensors[k], &self.leaves).id();
        self.backward.as_ref().is_some_and(|b| b.kept.iter().any(|t| t.id() == shown))
    }

    /// True if a gradient flows through this tensor of this entry.
    fn flows(&self, i: usize, k: usize) -> bool {
        let id = self.run.entries[i].tensors[k].id();
        self.backward.as_ref().is_some_and(|b| b.differentiated.contains(&id))
    }

    /// The bytes of each tensor that the backward pass keeps and that is no leaf.
    fn kept_bytes(&self) -> Vec<Work> {
        let own = |t: &&Tensor| !self.leaves.contains(&t.id()) && t.primitive().class() != Class::Leaf;
        let kept = self.backward.iter().flat_map(|b| b.kept.iter()).filter(own);
        let bytes = |t: &Tensor| (t.size() * t.dtype().size()) as u64;
        kept.map(|t| Work { flops: 0, log_of: 1, product: false, moved: bytes(t), shapes: vec![t.shape().clone()] })
            .collect()
    }
}

/// The table of a program that was run over the sizes of `runs`, and, if all sizes have one, with the numbers of `sizes`.
pub fn table(runs: &Runs, symbolic: &[Run], concrete: Option<&Run>, sizes: Vec<(String, Option<i64>)>) -> Trace {
    let taken: Vec<Taken> = symbolic.iter().map(Taken::of).collect();
    let known = concrete.map(Taken::of);
    let size = |name: &str| {
        let found = sizes.iter().find(|(n, _)| n == name).and_then(|(_, value)| *value);
        found.filter(|_| concrete.is_some()).and_then(|n| u64::try_from(n).ok())
    };
    let sum = |of: &dyn Fn(&Taken) -> Vec<Work>, part: fn(&Work) -> u64| {
        let formula = formula(runs, &taken.iter().map(of).collect::<Vec<_>>(), part);
        let number = known.as_ref().map(|t| of(t).iter().map(part).sum::<u64>());
        // What is broadcast over an axis of size 1 takes less than the formula says.
        let holds = |s: &Symbolic| number.is_none_or(|n| s.value(&size) == Some(i128::from(n)));
        Count { symbolic: formula.filter(holds), number }
    };
    let flops: fn(&Work) -> u64 = |w| w.flops;
    let products: fn(&Work) -> u64 = |w| if w.product { w.flops } else { 0 };
    let mut rows = Vec::new();
    for (i, entry) in symbolic[0].entries.iter().enumerate() {
        let all = |t: &Taken| t.works[i].clone();
        for (k, tensor) in entry.tensors.iter().enumerate() {
            let same: Vec<&Tensor> = symbolic.iter().map(|r| &r.entries[i].tensors[k]).collect();
            let axis = |a: usize| runs.fit(&same.iter().map(|t| t.shape()[a] as u64).collect::<Vec<_>>());
            let axes: Vec<Option<Symbolic>> = (0..tensor.ndim()).map(axis).collect();
            let elements: Vec<u64> = same.iter().map(|t| t.size() as u64).collect();
            let work = |part| if k == 0 { sum(&all, part) } else { sum(&|_| Vec::new(), part) };
            let here = concrete.map(|r| &r.entries[i].tensors[k]);
            rows.push(Row {
                kind: entry.kind,
                name: entry.names.get(k).cloned().unwrap_or_default(),
                expression: entry.expression.clone(),
                module: entry.module.clone(),
                line: entry.line,
                dtype: tensor.dtype(),
                size: Count { symbolic: runs.fit_over(&elements, &axes), number: here.map(|t| t.size() as u64) },
                flops: work(flops),
                products: work(products),
                kept: taken[0].keeps(i, k),
                gradient: taken[0].flows(i, k),
                shape: here.map(|t| t.shape().clone()),
                axes,
            });
        }
    }
    let nothing = Count { symbolic: Some(Symbolic::default()), number: concrete.map(|_| 0) };
    let rows_sum = |of: fn(&Row) -> &Count| rows.iter().fold(nothing.clone(), |sum, row| sum.plus(of(row)));
    let parameters = rows.iter().filter(|r| r.kind == Kind::Parameter);
    let mut totals = Totals {
        parameters: parameters.fold(nothing.clone(), |sum, row| sum.plus(&row.size)),
        forward: rows_sum(|r| &r.flops),
        forward_products: rows_sum(|r| &r.products),
        ..Totals::default()
    };
    if taken.iter().all(|t| t.backward.is_some()) {
        let back = |t: &Taken| t.backward.as_ref().map_or(Vec::new(), |b| b.work.clone());
        totals.backward = sum(&back, flops);
        totals.backward_products = sum(&back, products);
        totals.kept = sum(&|t| t.kept_bytes(), |w| w.moved);
    }
    if let Some(run) = concrete {
        totals.peak_forward = run.output.as_ref().map(|y| explain([y]).peak as u64);
        let both = run.gradients.as_ref();
        totals.peak = both.map(|g| explain(g.gradients.iter().chain([&g.output])).peak as u64);
    }
    Trace { sizes, conditions: Vec::new(), rows, totals }
}

/// What the work of some nodes adds up to, each node by itself as an expression; one list of works for each run.
fn formula(runs: &Runs, all: &[Vec<Work>], part: fn(&Work) -> u64) -> Option<Symbolic> {
    let one = |i: usize| {
        let values: Vec<u64> = all.iter().map(|works| part(&works[i])).collect();
        let axis = |(s, a): (usize, usize)| runs.fit(&all.iter().map(|w| w[i].shapes[s][a] as u64).collect::<Vec<_>>());
        let places = all[0][i].shapes.iter().enumerate().flat_map(|(s, x)| (0..x.len()).map(move |a| (s, a)));
        let axes: Vec<Option<Symbolic>> = places.map(axis).collect();
        let logs: Vec<u64> = all.iter().map(|w| w[i].log_of).collect();
        if logs.iter().any(|n| *n > 1) && values.iter().any(|v| *v > 0) {
            let log = runs.fit(&logs)?.log();
            let steps = |run: usize| runs.value(&log, run);
            let rest = (0..values.len()).map(|run| (values[run]).checked_div(steps(run)?));
            return Some(runs.fit_over(&rest.collect::<Option<Vec<u64>>>()?, &axes)?.multiply(&log));
        }
        runs.fit_over(&values, &axes)
    };
    let ranks = |works: &[Work]| -> Vec<Vec<usize>> {
        works.iter().map(|w| w.shapes.iter().map(|s| s.len()).collect()).collect()
    };
    let alike = all.iter().all(|works| ranks(works) == ranks(&all[0]));
    let terms = alike.then(|| (0..all[0].len()).map(one).collect::<Option<Vec<Symbolic>>>()).flatten()?;
    Some(terms.iter().fold(Symbolic::default(), |sum, term| sum.add(term)))
}
