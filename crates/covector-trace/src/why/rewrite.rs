//! What could be written instead of a step that goes bad.

use covector::draw::short;
use covector::{DType, Result, Tensor};

use super::Symptom;
use super::cause::{Cause, Found};
use super::forward::origin;
use super::run::Run;
use crate::Source;
use crate::patterns::{self, Make};

use crate::reading::{infix, wrapped};

/// A step written differently.
pub(crate) struct Rewrite {
    pub step: usize,
    /// From all steps before it; for an argument, from what was given.
    pub make: Make,
    pub source: Source,
    pub from: String,
    pub to: String,
}

/// What may help, the best first.
pub(crate) fn candidates(run: &Run, found: &Found) -> Vec<Rewrite> {
    let by = Writer { run, found };
    let mut all = Vec::new();
    match (&found.symptom, found.cause) {
        (Symptom::Zero { .. }, _) => by.for_zero(&mut all),
        (_, Cause::Given) => by.for_given(&mut all),
        (_, Cause::MaskedRow) => by.for_masked_row(&mut all),
        _ => {
            by.by_another_op(&mut all);
            by.behind_a_mask(&mut all);
            by.held(&mut all);
        }
    }
    all
}

struct Writer<'a> {
    run: &'a Run<'a>,
    found: &'a Found,
}

/// What keeps an operand away from 0.
fn least(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 1e-4,
        _ => 1e-12,
    }
}

/// A finite number that a softmax takes for -inf.
fn low(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => -1e4,
        _ => -1e9,
    }
}

impl Writer<'_> {
    fn name(&self, i: usize) -> String {
        self.run.reading.name(i)
    }

    /// The step with other operand `k`, written `to`.
    fn with_operand(
        &self,
        step: usize,
        k: usize,
        to: impl Fn(&str) -> String,
        change: impl Fn(&Tensor) -> Tensor + 'static,
    ) -> Rewrite {
        let reading = self.run.reading;
        let operands = reading.operands(step).to_vec();
        let op = reading.prim(step);
        let plain: Vec<String> = operands.iter().map(|&j| self.name(j)).collect();
        let beside = |name: &String| if infix(op).is_some() { wrapped(name) } else { name.clone() };
        let names: Vec<String> = plain.iter().map(beside).collect();
        let mut changed = names.clone();
        changed[k] = to(&plain[k]);
        let prim = self.run.reading.node(step).primitive().clone();
        let make = move |made: &[Tensor]| {
            let mut x: Vec<Tensor> = operands.iter().map(|&j| made[j].clone()).collect();
            x[k] = change(&x[k]);
            Tensor::apply(prim.clone(), x)
        };
        self.written(step, written(op, &names), written(op, &changed), make)
    }

    fn written(
        &self,
        step: usize,
        from: String,
        to: String,
        make: impl Fn(&[Tensor]) -> Result<Tensor> + 'static,
    ) -> Rewrite {
        Rewrite { step, make: Box::new(make), source: self.run.reading.source(step), from, to }
    }

    /// True if the user wrote the step: nobody can write an inner one differently.
    fn is_written(&self) -> bool {
        self.run.reading.op(self.found.step) == self.run.reading.prim(self.found.step)
    }

    /// A better op for what several steps do by hand.
    fn by_another_op(&self, all: &mut Vec<Rewrite>) {
        let reading = self.run.reading;
        let near = patterns::around(reading, self.found.step);
        for better in near.into_iter().filter_map(|at| patterns::better(reading, at)) {
            let x = better.operands.clone();
            let make = move |made: &[Tensor]| {
                let operands: Vec<Tensor> = x.iter().map(|&i| made[i].clone()).collect();
                (better.make)(&operands)
            };
            all.push(self.written(better.step, better.from, better.to, make));
        }
    }

    /// The operand made harmless where another branch counts.
    fn behind_a_mask(&self, all: &mut Vec<Rewrite>) {
        let (reading, step) = (self.run.reading, self.found.step);
        let Some(mask) = self.found.mask.filter(|_| self.is_written()) else { return };
        let k = self.guarded();
        let x = reading.operands(step)[k];
        let safe = match reading.prim(step) {
            "exp" | "exp2" | "expm1" | "sinh" | "cosh" | "asin" | "acos" | "atanh" | "erfinv" => 0.0,
            "acosh" => 2.0,
            _ => 1.0,
        };
        let (chosen, text): (Tensor, String) = match reading.prim(mask) {
            "where" => {
                let condition = reading.operands(mask)[0];
                let c = self.run.nodes[condition].stop_gradient();
                let first = self.run.reading.reached(step, |_| true)[reading.operands(mask)[1]];
                let name = self.name(condition);
                match first {
                    true => (c, name),
                    false => (c.logical_not(), format!("not ({name})")),
                }
            }
            "multiply" => {
                let reached = self.run.reading.reached(step, |_| true);
                let Some(&other) = reading.operands(mask).iter().find(|&&j| !reached[j]) else { return };
                (self.run.nodes[other].stop_gradient().not_equal(0.0), format!("{} != 0", self.name(other)))
            }
            _ => return,
        };
        if chosen.shape() != self.run.nodes[x].shape() {
            return;
        }
        all.push(self.with_operand(
            step,
            k,
            |x| format!("where({text}, {x}, {})", short(safe)),
            move |x| chosen.where_(x, safe),
        ));
    }

    /// Which operand to change.
    fn guarded(&self) -> usize {
        let (reading, step) = (self.run.reading, self.found.step);
        match (reading.prim(step), &self.found.symptom) {
            ("divide" | "remainder" | "floor_divide", _) => 1,
            ("pow", _) => 0,
            (_, Symptom::Value { .. }) => 0,
            _ => self.found.operand,
        }
    }

    /// The operand held where the step is finite.
    fn held(&self, all: &mut Vec<Rewrite>) {
        let (reading, step) = (self.run.reading, self.found.step);
        if reading.is_leaf(step) {
            return;
        }
        let k = self.guarded();
        let x = reading.operands(step)[k];
        let dtype = self.run.nodes[x].dtype();
        let eps = least(dtype);
        let at_least = |bound: f64| {
            self.with_operand(step, k, |x| format!("maximum({x}, {})", bound_text(bound)), move |x| x.maximum(bound))
        };
        let at_most = |bound: f64| {
            self.with_operand(step, k, |x| format!("minimum({x}, {})", bound_text(bound)), move |x| x.minimum(bound))
        };
        let within = |a: f64, b: f64| {
            self.with_operand(
                step,
                k,
                |x| format!("clip({x}, {}, {})", bound_text(a), bound_text(b)),
                move |x| x.clip(Some(a), Some(b)),
            )
        };
        let not_zero = || {
            let never_below = self.run.values(x).iter().all(|&v| v >= 0.0);
            match never_below {
                true => at_least(eps),
                false => {
                    self.with_operand(step, k, |x| format!("where({x} == 0, 1, {x})"), |x| x.equal(0.0).where_(1.0, x))
                }
            }
        };
        let near_one = if dtype == DType::F64 { 1e-12 } else { 1e-6 };
        match (reading.op(step), reading.prim(step)) {
            ("mean" | "var" | "std" | "cross_entropy" | "nll_loss", "divide") => all.push(self.not_over_nothing()),
            ("layer_norm" | "rms_norm" | "group_norm" | "batch_norm", "rsqrt")
                if self.found.cause == Cause::DivisionByZero =>
            {
                let mut one = at_least(1e-5);
                (one.from, one.to) = (String::new(), "give it an eps above 0, 1e-5 for example".to_owned());
                all.push(one);
            }
            _ if !self.is_written() => {}
            (_, "log" | "log2" | "log10") => all.push(at_least(eps)),
            (_, "sqrt") => all.extend([at_least(0.0), at_least(eps)]),
            (_, "pow" | "cbrt") => all.extend([at_least(eps), at_least(1e-3)]),
            (_, "log1p") => all.push(at_least(-1.0 + near_one)),
            (_, "rsqrt") => all.push(at_least(eps)),
            (_, "divide") if self.found.cause == Cause::DivisionByZero => all.extend([self.left_out(), not_zero()]),
            (_, "reciprocal" | "divide" | "remainder" | "floor_divide") => all.push(not_zero()),
            (_, "exp" | "expm1" | "exp2" | "sinh" | "cosh") => {
                all.push(at_most(match dtype {
                    DType::F16 => 10.0,
                    DType::F64 => 700.0,
                    _ => 80.0,
                }));
            }
            (_, "asin" | "acos" | "atanh" | "erfinv") => all.push(within(-1.0 + near_one, 1.0 - near_one)),
            (_, "acosh") => all.push(at_least(1.0 + near_one)),
            (_, "logaddexp") => all.push(at_least(low(dtype))),
            (_, "cast") if self.run.nodes[step].dtype() == DType::F16 => all.push(within(-65504.0, 65504.0)),
            (_, "square") if self.found.cause == Cause::Overflow => {
                let bound = if dtype == DType::F16 { 255.0 } else { 1e18 };
                all.push(within(-bound, bound));
            }
            _ => {}
        }
    }

    /// A division, 0 where the divisor is.
    fn left_out(&self) -> Rewrite {
        let step = self.found.step;
        let [a, b] = *self.run.reading.operands(step) else { unreachable!("a division has two operands") };
        let (x, y) = (wrapped(&self.name(a)), wrapped(&self.name(b)));
        let make = move |made: &[Tensor]| {
            let nothing = made[b].equal(0.0);
            Ok(nothing.where_(0.0, &made[a] / nothing.where_(1.0, &made[b])))
        };
        let to = format!("where({y} == 0, 0, {x} / where({y} == 0, 1, {y}))");
        self.written(step, format!("{x} / {y}"), to, make)
    }

    /// The divisor of a mean over nothing, which counts elements or weights, made 1.
    fn not_over_nothing(&self) -> Rewrite {
        let step = self.found.step;
        let text = match self.run.reading.op(step) {
            "mean" => "leave out what is empty, or take `sum(..) / maximum(n, 1)`",
            "var" | "std" => "use the correction 0, or more elements",
            _ => "leave out batches in which nothing counts, or divide the sum by at least 1",
        };
        let mut rewrite = self.with_operand(step, 1, str::to_owned, |n| n.equal(0.0).where_(1.0, n));
        (rewrite.from, rewrite.to) = (String::new(), text.to_owned());
        rewrite
    }

    fn for_given(&self, all: &mut Vec<Rewrite>) {
        let step = self.found.step;
        let name = self.name(step);
        let clean = |x: &Tensor| x.isfinite().where_(x, 0.0);
        let node = self.run.reading.node(step).clone();
        let argument = self.run.reading.is_argument(step);
        let make = move |made: &[Tensor]| Ok(clean(if argument { &made[0] } else { &node }));
        all.push(self.written(step, name.clone(), format!("where(isfinite({name}), {name}, 0)"), make));
    }

    /// The -inf of a mask made finite.
    fn for_masked_row(&self, all: &mut Vec<Rewrite>) {
        let (run, step) = (self.run, self.found.step);
        let reading = run.reading;
        let infinite = |&(j, e): &(usize, usize)| run.at(j, e) == f64::NEG_INFINITY;
        let read = reading.operands(step).iter().map(|&j| (j, self.found.element));
        let from = match read.clone().find(infinite) {
            Some((j, e)) => origin(run, j, e).0,
            // The composite's own -inf for rows of nothing: its argument has them.
            None => {
                let call = reading.call_of(step);
                let input = call.inputs.iter().copied().find_map(|j| {
                    let e = run.values(j).iter().position(|v| *v == f64::NEG_INFINITY)?;
                    Some(origin(run, j, e).0)
                });
                match input {
                    Some(from) => from,
                    None => return,
                }
            }
        };
        let dtype = run.nodes[from].dtype();
        let floor = low(dtype);
        let text = bound_text(floor);
        if reading.is_leaf(from) {
            let argument = reading.is_argument(from);
            let node = reading.node(from).clone();
            let make = move |made: &[Tensor]| Ok(if argument { &made[0] } else { &node }.maximum(floor));
            let (old, new) = match reading.is_number(from) || run.nodes[from].ndim() == 0 {
                true => ("-inf".to_owned(), text),
                false => (self.name(from), format!("maximum({}, {text})", self.name(from))),
            };
            let mut rewrite = self.written(from, old, new, make);
            if let Some(&(user, _)) = reading.users[from].first().filter(|_| !argument) {
                rewrite.source = reading.source(user);
            }
            all.push(rewrite);
        } else {
            let prim = reading.node(from).primitive().clone();
            let operands = reading.operands(from).to_vec();
            let make = move |made: &[Tensor]| {
                let x = Tensor::apply(prim.clone(), operands.iter().map(|&j| made[j].clone()))?;
                Ok(x.maximum(floor))
            };
            let name = self.name(from);
            all.push(self.written(from, name.clone(), format!("maximum({name}, {text})"), make));
        }
    }

    fn for_zero(&self, all: &mut Vec<Rewrite>) {
        let (run, step) = (self.run, self.found.step);
        let reading = run.reading;
        if reading.is_leaf(step) {
            return;
        }
        let x = reading.operands(step)[self.found.operand];
        let name = self.name(x);
        match self.found.cause {
            Cause::DeadUnit => {
                let make = move |made: &[Tensor]| Ok(made[x].leaky_relu(0.01));
                all.push(self.written(step, format!("relu({name})"), format!("leaky_relu({name}, 0.01)"), make));
            }
            Cause::Saturated => {
                self.by_another_op(all);
                self.scaled(all);
            }
            Cause::Clipped => {
                self.straight_through(all, reading.call_of(step).outputs[0], reading.call_of(step).inputs[0])
            }
            Cause::NoDerivative => {
                let back = match reading.prim(step) {
                    "floor" | "ceil" | "round" | "trunc" | "sign" => Some(step),
                    "cast" => reading.users[step].iter().map(|u| u.0).find(|&u| reading.prim(u) == "cast"),
                    _ => None,
                };
                if let Some(back) = back.filter(|&b| run.nodes[b].spec() == run.nodes[x].spec()) {
                    self.straight_through(all, back, x);
                }
                self.softened(all);
            }
            Cause::Detached => {
                let make = move |made: &[Tensor]| Ok(made[x].clone());
                all.push(self.written(step, format!("stop_gradient({name})"), name, make));
            }
            Cause::ZeroFactor => {
                let other = reading.operands(step)[1 - self.found.operand.min(1)];
                let leaf = leaf_under_views(run, other);
                if let Some(leaf) = leaf.filter(|&l| reading.is_argument(l)) {
                    let make = |given: &[Tensor]| {
                        let n = given[0].size();
                        let waves: Vec<f64> = (0..n).map(|i| 0.1 * (i as f64 * 2.4 + 1.0).sin()).collect();
                        let array = covector::Array::from_slice(&waves, given[0].shape().clone());
                        Ok(Tensor::from_array(array).cast(given[0].dtype()))
                    };
                    let text = format!("start `{}` from small random numbers instead of zeros", self.name(leaf));
                    all.push(self.written(leaf, String::new(), text, make));
                }
            }
            _ => {}
        }
    }

    /// What goes in, scaled to where the function is steep.
    fn scaled(&self, all: &mut Vec<Rewrite>) {
        let (run, step) = (self.run, self.found.step);
        let reading = run.reading;
        let call = reading.call_of(step);
        let Some(&x) = call.inputs.iter().find(|&&i| run.nodes[i].dtype().is_float() && !reading.is_number(i)) else {
            return;
        };
        let largest = run.values(x).iter().fold(0.0, |a, b| f64::max(a, b.abs()));
        if !(largest > 1.0 && largest.is_finite()) {
            return;
        }
        let scale = 1.0 / largest;
        let name = self.name(x);
        let text = format!(
            "scale what goes into `{}`, or normalise it: `{} / {}`, say",
            call.op,
            wrapped(&name),
            short(largest)
        );
        let mut rewrite = if reading.is_argument(x) {
            self.written(x, String::new(), text, move |given| Ok(&given[0] * scale))
        } else if reading.is_leaf(x) {
            return;
        } else {
            let (prim, operands) = (reading.node(x).primitive().clone(), reading.operands(x).to_vec());
            self.written(x, String::new(), text, move |made| {
                Ok(Tensor::apply(prim.clone(), operands.iter().map(|&j| made[j].clone()))? * scale)
            })
        };
        rewrite.source = reading.source(step);
        all.push(rewrite);
    }

    /// The value of `y`, made from `x`, with the derivative of `x`.
    fn straight_through(&self, all: &mut Vec<Rewrite>, y: usize, x: usize) {
        let reading = self.run.reading;
        if self.run.nodes[x].spec() != self.run.nodes[y].spec() {
            return;
        }
        let (prim, operands) = (reading.node(y).primitive().clone(), reading.operands(y).to_vec());
        let make = move |made: &[Tensor]| {
            let value = Tensor::apply(prim.clone(), operands.iter().map(|&j| made[j].clone()))?;
            Ok(&made[x] + (value - &made[x]).stop_gradient())
        };
        let op = reading.op(y);
        let name = self.name(x);
        let from = if op == "clip" { format!("clip({name}, ..)") } else { format!("{op}({name})") };
        all.push(self.written(y, from.clone(), format!("{name} + stop_gradient({from} - {})", wrapped(&name)), make));
    }

    /// A comparison that became a number, made smooth.
    fn softened(&self, all: &mut Vec<Rewrite>) {
        let (reading, step) = (self.run.reading, self.found.step);
        let sign = match reading.prim(step) {
            "greater" | "greater_equal" => 1.0,
            "less" | "less_equal" => -1.0,
            _ => return,
        };
        let Some(cast) = reading.users[step]
            .iter()
            .map(|u| u.0)
            .find(|&u| reading.prim(u) == "cast" && self.run.nodes[u].dtype().is_float())
        else {
            return;
        };
        let [a, b] = *reading.operands(step) else { return };
        let make = move |made: &[Tensor]| Ok(((&made[a] - &made[b]) * sign).sigmoid());
        let (left, right) = (self.name(a), self.name(b));
        let (from, difference) = match sign > 0.0 {
            true => (format!("{left} > {right}"), format!("{left} - {right}")),
            false => (format!("{left} < {right}"), format!("{right} - {left}")),
        };
        let mut rewrite = self.written(cast, from, format!("sigmoid({difference})"), make);
        rewrite.source = reading.source(step);
        all.push(rewrite);
    }
}

/// The leaf a step shows.
fn leaf_under_views(run: &Run, mut i: usize) -> Option<usize> {
    while let ([only], covector::Class::View) = (run.reading.operands(i), run.nodes[i].primitive().class()) {
        i = *only;
    }
    run.reading.is_leaf(i).then_some(i)
}

/// A step as a person writes it.
fn written(op: &str, names: &[String]) -> String {
    match (infix(op), names) {
        (Some((sign, _)), [a, b]) => format!("{a} {sign} {b}"),
        _ => format!("{op}({})", names.join(", ")),
    }
}

/// A bound with all the digits it needs.
fn bound_text(bound: f64) -> String {
    let text = short(bound);
    if text.parse::<f64>() == Ok(bound) { text } else { format!("{bound}") }
}
