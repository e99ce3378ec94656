//! A checked program as a table: [`Program::trace`].

use std::cell::RefCell;

use covector::{Tensor, try_value_and_grad};
use covector_trace::build::{Entry, Gradients, Run, table};
use covector_trace::table::{Kind, Trace};

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
        let symbolic: Vec<Run> = checked.records.iter().map(|r| self.entries(r)).collect();
        let concrete = checked.concrete.as_ref().map(|r| self.entries(r));
        let given = |name: &str| numbers.get(name).map(|x| *x as i64);
        let known = |name: &str| checked.concrete.as_ref()?.sizes.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
        let sizes = checked.records[0].sizes.iter().map(|(n, _)| (n.clone(), known(n).or_else(|| given(n))));
        let table = table(&checked.runs, &symbolic, concrete.as_ref(), sizes.collect());
        Trace { conditions: checked.conditions.clone(), ..table }
    }

    /// What a run made, expression by expression, with its gradients.
    fn entries(&self, record: &Record) -> Run {
        let both = self.differentiate(record, &[], &|leaf| Ok(hollow(leaf))).ok();
        let shown = both.as_ref().map_or(record, |b| &b.record);
        let entry = |made: &crate::eval::Made| Entry {
            tensors: made.tensors.clone(),
            names: (0..made.tensors.len()).map(|k| made.name_of(k).to_owned()).collect(),
            kind: match &made.leaf {
                Some(leaf) if leaf.param => Kind::Parameter,
                Some(_) => Kind::Input,
                None => Kind::Result,
            },
            expression: match &made.leaf {
                Some(leaf) if leaf.param => "param".to_owned(),
                Some(_) => "input".to_owned(),
                None => made.span.of(&self.text).to_owned(),
            },
            module: made.module.clone(),
            line: made.span.line_and_column(&self.text).0,
        };
        let entries = shown.made.iter().map(entry).collect();
        let gradients = both.map(|b| Gradients { output: b.output, learnt: b.tensors, gradients: b.gradients });
        Run { entries, output: record.output(), gradients }
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
}
