//! A checked program as a table: [`Program::trace`].

use std::cell::RefCell;
use std::collections::HashSet;

use covector::{Class, Tensor, explain, try_value_and_grad};
use covector_trace::graph::{Backward, Walk, Work, backward, seen};
use covector_trace::symbolic::{Runs, Symbolic};
use covector_trace::table::{Count, Kind, Row, Totals, Trace};

use crate::error::{Fault, Report};
use crate::eval::{Leaf, Record};
use crate::program::{Checked, Numbers, Program, hollow};
use crate::text::Span;
use crate::value::Value;

/// A run together with its backward pass.
pub struct Differentiated {
    /// What was made; its leaves are those the gradients are of.
    pub record: Record,
    /// What was differentiated.
    pub output: Tensor,
    /// The leaves with a gradient.
    pub leaves: Vec<Leaf>,
    /// Their tensors.
    pub tensors: Vec<Tensor>,
    /// Their gradients.
    pub gradients: Vec<Tensor>,
}

/// What one run takes, row by row.
struct Taken {
    /// For each row what its nodes take.
    rows: Vec<Vec<Work>>,
    /// For each row the nodes of its tensors.
    nodes: Vec<Vec<Tensor>>,
    leaves: HashSet<u64>,
    backward: Option<Backward>,
}

impl Taken {
    /// True if the backward pass reads this tensor of this row.
    fn keeps(&self, row: usize, k: usize) -> bool {
        let shown = seen(&self.nodes[row][k], &self.leaves).id();
        self.backward.as_ref().is_some_and(|b| b.kept.iter().any(|t| t.id() == shown))
    }

    /// True if a gradient flows through this tensor of this row.
    fn flows(&self, row: usize, k: usize) -> bool {
        self.backward.as_ref().is_some_and(|b| b.differentiated.contains(&self.nodes[row][k].id()))
    }
}

impl Record {
    /// The tensor a program is about: what it calls `loss`, else the last value it computed.
    pub fn output(&self) -> Option<Tensor> {
        let named = self.names.iter().find(|(name, _)| name == "loss").map(|(_, value)| value);
        let tensor = |value: &Value| value.tensors().last().cloned();
        named.and_then(tensor).or_else(|| self.last.as_ref().and_then(|(value, _)| tensor(value)))
    }

    /// The declared tensors that are learnt; if there are none, those of floats.
    pub fn learnt(&self) -> Vec<Leaf> {
        let leaves: Vec<&Leaf> = self.made.iter().filter_map(|m| m.leaf.as_ref()).collect();
        let any = leaves.iter().any(|l| l.param);
        let chosen = leaves.into_iter().filter(|l| l.spec.dtype.is_float() && (l.param || !any));
        chosen.cloned().collect()
    }
}

impl Program {
    /// Every tensor of the program with its shape, in symbols and in numbers, and what it takes.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn trace(&self, numbers: &Numbers) -> Result<Trace, Box<Report>> {
        Ok(self.traced(&self.check(numbers)?, numbers))
    }

    /// The table of a program that was checked.
    pub fn traced(&self, checked: &Checked, numbers: &Numbers) -> Trace {
        let taken: Vec<Taken> = checked.records.iter().map(|r| self.taken(r)).collect();
        let concrete = checked.concrete.as_ref().map(|r| (r, self.taken(r)));
        let runs = &checked.runs;
        let known = |name: &str| checked.concrete.as_ref()?.sizes.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
        let size = |name: &str| known(name).and_then(|n| u64::try_from(n).ok());
        // What the work of some nodes adds up to, each node by itself as an expression.
        let sum = |of: &dyn Fn(&Taken) -> Vec<Work>, part: fn(&Work) -> u64| {
            let all: Vec<Vec<Work>> = taken.iter().map(of).collect();
            let one = |i: usize| {
                let values: Vec<u64> = all.iter().map(|works| part(&works[i])).collect();
                let axis = |(s, a): (usize, usize)| {
                    runs.fit(&all.iter().map(|w| w[i].shapes[s][a] as u64).collect::<Vec<_>>())
                };
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
            let terms = alike.then(|| (0..all[0].len()).map(one).collect::<Option<Vec<Symbolic>>>()).flatten();
            let formula = terms.map(|t| t.iter().fold(Symbolic::default(), |sum, term| sum.add(term)));
            let number = concrete.as_ref().map(|(_, t)| of(t).iter().map(part).sum::<u64>());
            // What is broadcast over an axis of size 1 takes less than the formula says.
            let holds = |s: &Symbolic| number.is_none_or(|n| s.value(&size) == Some(i128::from(n)));
            Count { symbolic: formula.filter(holds), number }
        };
        let flops: fn(&Work) -> u64 = |w| w.flops;
        let products: fn(&Work) -> u64 = |w| if w.product { w.flops } else { 0 };
        let mut rows = Vec::new();
        for (i, made) in checked.records[0].made.iter().enumerate() {
            let all = |t: &Taken| t.rows[i].clone();
            for (k, tensor) in made.tensors.iter().enumerate() {
                let axes = axes(runs, &checked.records, i, k);
                let sizes: Vec<u64> = checked.records.iter().map(|r| r.made[i].tensors[k].size() as u64).collect();
                let work = |part| if k == 0 { sum(&all, part) } else { sum(&|_| Vec::new(), part) };
                rows.push(Row {
                    kind: match &made.leaf {
                        Some(leaf) if leaf.param => Kind::Parameter,
                        Some(_) => Kind::Input,
                        None => Kind::Result,
                    },
                    name: made.name_of(k).to_owned(),
                    expression: match &made.leaf {
                        Some(leaf) if leaf.param => "param".to_owned(),
                        Some(_) => "input".to_owned(),
                        None => made.span.of(&self.text).to_owned(),
                    },
                    module: made.module.clone(),
                    line: made.span.line_and_column(&self.text).0,
                    dtype: tensor.dtype(),
                    size: Count {
                        symbolic: runs.fit_over(&sizes, &axes),
                        number: concrete.as_ref().map(|(r, _)| r.made[i].tensors[k].size() as u64),
                    },
                    flops: work(flops),
                    products: work(products),
                    kept: taken[0].keeps(i, k),
                    gradient: taken[0].flows(i, k),
                    shape: concrete.as_ref().map(|(r, _)| r.made[i].tensors[k].shape().clone()),
                    axes,
                });
            }
        }
        let nothing = Count { symbolic: Some(Symbolic::default()), number: concrete.as_ref().map(|_| 0) };
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
            totals.kept = sum(&kept_bytes, |w| w.moved);
        }
        if let Some(record) = &checked.concrete {
            (totals.peak_forward, totals.peak) = self.peaks(record);
        }
        let number = |name: &str| numbers.get(name).map(|x| *x as i64);
        let sizes = checked.records[0].sizes.iter().map(|(n, _)| (n.clone(), number(n).or_else(|| known(n))));
        Trace { sizes: sizes.collect(), conditions: checked.conditions.clone(), rows, totals }
    }

    /// The run again, with the gradients of its output (of its sum, if it has axes) with respect to these names; to none:
    /// to what is learnt.
    ///
    /// # Errors
    /// If nothing can be differentiated, or a name is no leaf of floats.
    pub fn differentiate(
        &self,
        record: &Record,
        wrt: &[String],
        values: &dyn Fn(&Leaf) -> Result<Tensor, String>,
    ) -> Result<Differentiated, Box<Report>> {
        let at = record.last.as_ref().map_or(Span::default(), |(_, span)| *span);
        let refused = |message: String| self.report(Fault::new(message, at));
        let output = record.output().ok_or_else(|| refused("the program ends without a tensor".into()))?;
        if !output.dtype().is_float() {
            return Err(refused(format!("the result is {}, which has no derivative", output.spec())));
        }
        let leaves = self.chosen(record, wrt)?;
        let given = leaves.iter().map(values).collect::<Result<Vec<Tensor>, String>>().map_err(&refused)?;
        let kept: RefCell<Option<(Record, Vec<Tensor>)>> = RefCell::new(None);
        let run = |tensors: &Vec<Tensor>| -> Tensor {
            let Ok(again) = self.again(record, &leaves, tensors, values) else { return output.clone() };
            let y = again.output().expect("the same program has the same output");
            *kept.borrow_mut() = Some((again, tensors.clone()));
            if y.ndim() == 0 { y } else { y.sum(..) }
        };
        let (output, gradients) = try_value_and_grad(run, &given).map_err(|e| {
            let fault = Fault::new(e.message(), at);
            self.report(e.hinted().map_or(fault.clone(), |hint| fault.help(hint)))
        })?;
        let (record, tensors) = kept.into_inner().ok_or_else(|| refused("the program does not run twice".into()))?;
        Ok(Differentiated { record, output, leaves, tensors, gradients })
    }

    /// The same run with other tensors for some leaves: a program as a function of them.
    ///
    /// # Errors
    /// What stops it.
    pub fn again(
        &self,
        record: &Record,
        leaves: &[Leaf],
        tensors: &[Tensor],
        values: &dyn Fn(&Leaf) -> Result<Tensor, String>,
    ) -> Result<Record, Box<Report>> {
        let sizes: Numbers = record.settings.clone();
        let mut leaf = |leaf: &Leaf| match leaves.iter().position(|l| l.name == leaf.name) {
            Some(i) => Ok(tensors[i].clone()),
            None => values(leaf),
        };
        self.run(&sizes, &mut leaf)
    }

    /// The leaves of these names; for none, what is learnt.
    pub fn chosen(&self, record: &Record, wrt: &[String]) -> Result<Vec<Leaf>, Box<Report>> {
        if wrt.is_empty() {
            return Ok(record.learnt());
        }
        let all: Vec<&Leaf> = record.made.iter().filter_map(|m| m.leaf.as_ref()).collect();
        let find = |name: &String| {
            let found = all.iter().find(|l| l.name == *name && l.spec.dtype.is_float());
            found.map(|l| (*l).clone()).ok_or_else(|| {
                let floats: Vec<&str> = all.iter().filter(|l| l.spec.dtype.is_float()).map(|l| &*l.name).collect();
                let fault = Fault::new(format!("`{name}` is no tensor of floats that is given"), Span::default());
                self.report(fault.help(format!("there are: {}", floats.join(", "))))
            })
        };
        wrt.iter().map(find).collect()
    }

    fn taken(&self, record: &Record) -> Taken {
        let both = self.differentiate(record, &[], &|leaf| Ok(hollow(leaf))).ok();
        let shown = both.as_ref().map_or(record, |b| &b.record);
        let leaves: Vec<&Tensor> = shown.made.iter().filter(|m| m.leaf.is_some()).flat_map(|m| &m.tensors).collect();
        let mut walk = Walk::new(leaves.iter().copied());
        let fresh = |tensors: &Vec<Tensor>, walk: &mut Walk| -> Vec<Tensor> {
            tensors.iter().flat_map(|t| walk.fresh(t)).collect()
        };
        let rows = shown.made.iter().map(|made| Work::of(&fresh(&made.tensors, &mut walk))).collect();
        let leaves: HashSet<u64> = leaves.into_iter().map(Tensor::id).collect();
        let back = both.as_ref().map(|b| {
            let mut back = backward(&b.output, &leaves, &b.tensors, &b.gradients);
            // A result with axes is summed so that it has gradients.
            back.work.extend(Work::of(&walk.fresh(&b.output)));
            back
        });
        Taken { rows, nodes: shown.made.iter().map(|m| m.tensors.clone()).collect(), leaves, backward: back }
    }

    /// The most bytes that the plans of this run take: forward alone, and with the gradients.
    fn peaks(&self, record: &Record) -> (Option<u64>, Option<u64>) {
        let forward = record.output().map(|y| explain([&y]).peak as u64);
        let both = self.differentiate(record, &[], &|leaf| Ok(hollow(leaf))).ok();
        (forward, both.map(|b| explain(b.gradients.iter().chain([&b.output])).peak as u64))
    }
}

/// The axes of a tensor as expressions over the sizes.
fn axes(runs: &Runs, records: &[Record], i: usize, k: usize) -> Vec<Option<Symbolic>> {
    let shapes: Vec<_> = records.iter().map(|r| r.made[i].tensors[k].shape()).collect();
    let axis = |a: usize| runs.fit(&shapes.iter().map(|s| s[a] as u64).collect::<Vec<_>>());
    (0..shapes[0].len()).map(axis).collect()
}

/// The bytes of each tensor that a backward pass keeps and that is no leaf.
fn kept_bytes(taken: &Taken) -> Vec<Work> {
    let own = |t: &&Tensor| !taken.leaves.contains(&t.id()) && t.primitive().class() != Class::Leaf;
    let kept = taken.backward.iter().flat_map(|b| b.kept.iter()).filter(own);
    let bytes = |t: &Tensor| (t.size() * t.dtype().size()) as u64;
    kept.map(|t| Work { flops: 0, log_of: 1, product: false, moved: bytes(t), shapes: vec![t.shape().clone()] })
        .collect()
}
