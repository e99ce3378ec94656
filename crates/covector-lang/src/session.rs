//! A program with numbers: what is given, what is drawn, and what comes out.

use std::collections::BTreeMap;

use covector::ops::cast::cast;
use covector::random::{Key, normal};
use covector::{DType, Tensor};

use crate::error::{Fault, Report};
use crate::eval::{Leaf, Record};
use crate::parse::parse_expression;
use crate::program::{Numbers, Program};
use crate::tracing::Differentiated;

/// Numbers for sizes, tensors for declarations, and a seed for those that are not given.
///
/// ```
/// use covector_lang::{Inputs, Program};
/// let mut inputs = Inputs::default();
/// for (name, text) in [("x", "2"), ("w", "-3"), ("b", "0.5")] {
///     inputs.set(name, text).unwrap();
/// }
/// let program = Program::parse("expression", "tanh(x*w + b)").unwrap().given(inputs.specs());
/// let found = program.gradient(&inputs, &[]).unwrap();
/// assert_eq!(found.output.to_f64(), (2.0f64 * -3.0 + 0.5).tanh());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Single numbers, which may be sizes.
    pub numbers: Numbers,
    /// Tensors by name, single numbers included.
    pub tensors: BTreeMap<String, Tensor>,
    /// Their names in the order in which they were given.
    pub order: Vec<String>,
    /// Decides what is drawn for floats that are not given: standard normal numbers, smaller for parameters.
    pub seed: u64,
}

impl Inputs {
    /// Gives a name the value of an expression: a number, nested lists of numbers, or any expression of constants.
    ///
    /// Numbers are f64, truth values settings; `i64([0, 2])` and `f32(1)` are what they say.
    /// # Errors
    /// What is wrong with the text.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), Box<Report>> {
        let report = |fault| Box::new(Report { fault, name: name.to_owned(), text: text.to_owned() });
        parse_expression(text).map_err(report)?;
        let mut wrapped = Program::parse(name, text)?.run(&Numbers::new(), &mut |_| Err("no declarations".into()))?;
        let (value, span) = wrapped.last.take().expect("an expression has a value");
        if let crate::value::Value::Bool(b) = value {
            self.numbers.insert(name.to_owned(), f64::from(u8::from(b)));
            return Ok(());
        }
        if let Some(x) = value.as_number() {
            self.numbers.insert(name.to_owned(), x);
            self.give(name, Tensor::scalar(x, DType::F64));
            return Ok(());
        }
        let tensor = match value {
            crate::value::Value::Tensor(t) => t,
            _ => {
                let made = Program::parse(name, &format!("f64({text})"))?;
                let mut record = made.run(&Numbers::new(), &mut |_| Err("no declarations".into()))?;
                let value = record.last.take().and_then(|(v, _)| v.tensors().pop());
                value.ok_or_else(|| report(Fault::new("this is no tensor", span)))?
            }
        };
        self.give(name, tensor);
        Ok(())
    }

    /// Gives a name a tensor.
    pub fn give(&mut self, name: &str, tensor: Tensor) {
        if self.tensors.insert(name.to_owned(), tensor).is_none() {
            self.order.push(name.to_owned());
        }
    }

    /// The names of the tensors in the order in which they were given, with their dtypes and shapes.
    pub fn specs(&self) -> Vec<(String, covector::Spec)> {
        self.order.iter().map(|name| (name.clone(), self.tensors[name].spec().clone())).collect()
    }

    /// The tensor for a declaration: the one given, else one that is drawn; integers and truth values are 0.
    ///
    /// # Errors
    /// If the one given does not fit.
    pub fn leaf(&self, leaf: &Leaf) -> Result<Tensor, String> {
        let spec = &leaf.spec;
        if let Some(given) = self.tensors.get(&leaf.name) {
            if given.shape() != &spec.shape {
                return Err(format!("`{}` is declared as {spec}, but {} was given", leaf.name, given.spec()));
            }
            if !spec.dtype.is_float()
                && given.dtype().is_float()
                && given.value().to_f64_vec().iter().any(|x| x.fract() != 0.0)
            {
                return Err(format!("`{}` is declared as {spec}: it takes whole numbers", leaf.name));
            }
            return Ok(cast(given, spec.dtype));
        }
        if !spec.dtype.is_float() {
            return Ok(crate::program::hollow(leaf));
        }
        let name: u64 =
            leaf.name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        let drawn = normal(&Key::new(self.seed ^ name), spec.shape.clone(), DType::F32);
        let fan_in = spec.shape.first().copied().unwrap_or(1).max(1) as f64;
        let scaled = if leaf.param { drawn * (1.0 / fan_in.sqrt()) } else { drawn };
        let scaled = cast(&scaled, spec.dtype);
        // A leaf has numbers, not a history.
        Ok(Tensor::from_array(scaled.try_value().map_err(|e| e.message().to_owned())?))
    }
}

impl Program {
    /// Runs the program with what is given.
    ///
    /// # Errors
    /// What stops it; a size without a number is named.
    pub fn evaluate(&self, inputs: &Inputs) -> Result<Record, Box<Report>> {
        let shape = |name: &str| inputs.tensors.get(name).filter(|t| t.ndim() > 0).map(|t| t.shape().clone());
        self.run_shaped(&inputs.numbers, &shape, &mut |leaf| inputs.leaf(leaf))
    }

    /// Runs the program, and its backward pass with respect to these names; to none: what is learnt, or all floats.
    ///
    /// # Errors
    /// What stops it; names that nothing is called; a result that is no scalar of floats.
    pub fn gradient(&self, inputs: &Inputs, wrt: &[String]) -> Result<Differentiated, Box<Report>> {
        let record = self.evaluate(inputs)?;
        if let Some(y) = record.output().filter(|y| y.ndim() > 0) {
            let span = record.last.as_ref().map_or(crate::text::Span::default(), |(_, span)| *span);
            let fault = Fault::new("a gradient is of a scalar", span).here(format!("this is {}", y.spec()));
            return Err(self.report(fault.help("`sum(…)` or `mean(…)` makes one")));
        }
        self.differentiate(&record, wrt, &|leaf| inputs.leaf(leaf))
    }
}
