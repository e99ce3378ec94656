//! Running a program: names, statements, and what is written down on the way.

mod arith;
mod blame;
mod builtin;
mod call;
mod expr;
mod index;

pub use call::signature;

use std::collections::HashMap;
use std::sync::Arc;

use covector::{DType, Shape, Spec, Tensor};

use crate::about::Kind;
use crate::ast::{Expr, Stmt, StmtKind};
use crate::error::Fault;
use crate::text::Span;
use crate::value::{Function, Int, SizeSet, Value, dtype};

/// Why a run ends early.
#[derive(Debug)]
pub enum Stop {
    /// The program is wrong.
    Fault(Box<Fault>),
    /// A size was chosen that cannot be: see [`Wish`].
    Wish(Wish),
}

/// What a run asks of the sizes before it can go on.
#[derive(Clone, Debug)]
pub enum Wish {
    /// One of these sizes decides what the program does, not only how large its tensors are.
    Fixed(SizeSet, Span),
    /// One of these sizes must change so that the first number becomes divisible by the second.
    Multiple(SizeSet, [i64; 2], Span),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(Box::new(fault))
    }
}

/// The result of everything that runs.
pub type Run<T> = Result<T, Stop>;

/// What a run is given.
pub trait World {
    /// The value of a size that is used for the first time; `default` is what the program says.
    fn size(&mut self, name: &str, default: Option<i64>) -> Option<i64>;

    /// True if the size stands for any number, so that nothing may be decided by it.
    fn is_free(&self, name: &str) -> bool;

    /// A number that replaces the one which the program gives a name.
    fn setting(&mut self, name: &str) -> Option<Value>;

    /// The shape of the tensor that will be given for a declaration, if one will be.
    fn shape(&self, name: &str) -> Option<Shape>;

    /// The tensor of a declaration.
    fn leaf(&mut self, leaf: &Leaf) -> Result<Tensor, String>;
}

/// A declared tensor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// Its name, with the modules it is in: `block.0.W`.
    pub name: String,
    /// Its dtype and shape.
    pub spec: Spec,
    /// True for a parameter, which is learnt; false for an input.
    pub param: bool,
    /// Where it is declared.
    pub span: Span,
}

/// What was made, in order.
#[derive(Clone, Debug)]
pub struct Made {
    /// The tensors: several for ops such as `split`.
    pub tensors: Vec<Tensor>,
    /// The name, if a statement gave it one; several for several tensors: `q, k, v`.
    pub name: Option<String>,
    /// The expression that made it.
    pub span: Span,
    /// The modules it was made in.
    pub module: Vec<String>,
    /// The declaration, for a leaf.
    pub leaf: Option<Leaf>,
}

impl Made {
    /// The name of one of its tensors; empty if it has none.
    pub fn name_of(&self, k: usize) -> &str {
        match &self.name {
            Some(name) if self.tensors.len() > 1 => name.split(", ").nth(k).unwrap_or_default(),
            Some(name) => name,
            None => "",
        }
    }
}

/// Everything one run leaves behind.
#[derive(Default, Debug)]
pub struct Record {
    /// Declarations and results of ops, in order.
    pub made: Vec<Made>,
    /// The sizes in order of their first use, with their values.
    pub sizes: Vec<(String, i64)>,
    /// The numbers with which the same run can be had again: the sizes and what was set from outside.
    pub settings: std::collections::BTreeMap<String, f64>,
    /// The names at the end, in the order in which they were first assigned.
    pub names: Vec<(String, Value)>,
    /// The last value that a statement computed, and where.
    pub last: Option<(Value, Span)>,
    /// How often each statement was completed, by its first byte.
    pub(crate) completed: HashMap<usize, u32>,
}

/// How many statements and expressions a run may execute.
pub(crate) const MOST_STEPS: u64 = 2_000_000;

/// How many calls may be open at once.
const MOST_CALLS: usize = 40;

/// A name's value, and the statement that gave it.
#[derive(Clone, Debug)]
struct Bound {
    value: Value,
    span: Span,
}

#[derive(Default)]
struct Frame {
    names: HashMap<String, Bound>,
    /// How often each function was called from here, to tell modules apart.
    calls: HashMap<String, usize>,
    /// The number of the pass through the innermost loop.
    pass: Option<usize>,
    /// The call of the program's function that runs here.
    call: Option<Span>,
}

/// Runs programs.
pub struct Interpreter<'a> {
    text: &'a str,
    world: &'a mut dyn World,
    record: Record,
    frames: Vec<Frame>,
    module: Vec<String>,
    /// Names around the functions that run.
    captured: Vec<Arc<HashMap<String, Value>>>,
    steps: u64,
    /// How many there may be.
    limit: u64,
    /// The sizes that stand for any number.
    free: SizeSet,
    /// True while a transformation runs a function: what it makes is not written down.
    quiet: usize,
}

/// What a block of statements ends with.
enum Flow {
    Next,
    Return(Value),
}

impl<'a> Interpreter<'a> {
    /// An interpreter of this text.
    pub fn new(text: &'a str, world: &'a mut dyn World) -> Self {
        let frames = vec![Frame::default()];
        let (record, module, captured) = (Record::default(), Vec::new(), Vec::new());
        Interpreter {
            text,
            world,
            record,
            frames,
            module,
            captured,
            steps: 0,
            limit: MOST_STEPS,
            free: SizeSet::default(),
            quiet: 0,
        }
    }

    /// With another bound on the number of steps.
    pub(crate) fn within(self, limit: u64) -> Self {
        Interpreter { limit, ..self }
    }

    /// Gives a name to a tensor from outside, before the program runs.
    pub fn give(&mut self, name: &str, tensor: Tensor) {
        let span = Span::default();
        let leaf = Leaf { name: name.to_owned(), spec: tensor.spec().clone(), param: false, span };
        let (made, local) = (vec![tensor.clone()], Some(name.to_owned()));
        self.record.made.push(Made { tensors: made, name: local, span, module: Vec::new(), leaf: Some(leaf) });
        self.bind(name, Value::Tensor(tensor), span);
    }

    /// Runs a program from its beginning to its end.
    ///
    /// # Errors
    /// What stops it; what was made until then stays in the record.
    pub fn run(&mut self, program: &[Stmt]) -> Run<()> {
        match self.block(program)? {
            Flow::Next => Ok(()),
            Flow::Return(_) => unreachable!("a return outside functions is refused where it stands"),
        }
    }

    /// What the run leaves behind.
    pub fn into_record(self) -> Record {
        self.record
    }

    /// Refuses to decide anything by an integer that stands for any.
    fn decide(&self, sizes: SizeSet, span: Span) -> Run<()> {
        let free = sizes.and(self.free);
        if free.is_empty() { Ok(()) } else { Err(Stop::Wish(Wish::Fixed(free, span))) }
    }

    fn step(&mut self, span: Span) -> Run<()> {
        self.steps += 1;
        if self.steps > self.limit {
            return Err(Fault::new(format!("the program takes more than {} steps", self.limit), span).into());
        }
        Ok(())
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the outermost frame is never popped")
    }

    fn bind(&mut self, name: &str, value: Value, span: Span) {
        if self.frames.len() == 1 {
            match self.record.names.iter_mut().find(|(n, _)| n == name) {
                Some((_, old)) => *old = value.clone(),
                None => self.record.names.push((name.to_owned(), value.clone())),
            }
        }
        self.frame().names.insert(name.to_owned(), Bound { value, span });
    }

    /// The value of a name, and where it got it.
    fn lookup(&self, name: &str) -> Option<(Value, Option<Span>)> {
        let found = |frame: &Frame| frame.names.get(name).map(|b| (b.value.clone(), Some(b.span)));
        let innermost = self.frames.last().and_then(found);
        let around = || self.captured.last().and_then(|names| names.get(name)).map(|v| (v.clone(), None));
        innermost.or_else(around).or_else(|| self.frames.first().and_then(found))
    }

    fn block(&mut self, body: &[Stmt]) -> Run<Flow> {
        for stmt in body {
            let flow = self.statement(stmt).map_err(|stop| self.stopped(stop, stmt.span))?;
            *self.record.completed.entry(stmt.span.start).or_default() += 1;
            if let Flow::Return(value) = flow {
                return Ok(Flow::Return(value));
            }
        }
        Ok(Flow::Next)
    }

    /// Notes on a fault where the run stood.
    fn stopped(&self, stop: Stop, statement: Span) -> Stop {
        let Stop::Fault(mut fault) = stop else { return stop };
        if fault.about.statement.is_none() {
            fault.about.statement = Some(statement);
            fault.about.completed = self.record.completed.clone();
            fault.about.steps = self.steps;
            let tensors = |f: &Frame| -> Vec<(Span, String)> {
                let tensor =
                    |(n, b): (&String, &Bound)| matches!(b.value, Value::Tensor(_)).then(|| (b.span, n.clone()));
                f.names.iter().filter_map(tensor).collect()
            };
            let mut all: Vec<(Span, String)> = self.frames.iter().flat_map(tensors).collect();
            all.sort_by_key(|(span, _)| span.start);
            fault.about.tensors = all.into_iter().map(|(_, name)| name).collect();
        }
        Stop::Fault(fault)
    }

    fn statement(&mut self, stmt: &Stmt) -> Run<Flow> {
        self.step(stmt.span)?;
        match &stmt.kind {
            StmtKind::Declare { name, name_span, param, dtype, dims, type_span } => {
                self.declare(name, *name_span, *param, dtype, dims, *type_span)?;
            }
            StmtKind::Assign { names, value } => self.assign(names, value)?,
            StmtKind::Update { name: (name, span), op, value } => {
                let old = self.name(name, *span)?;
                let new = self.expr(value)?;
                let operands = [(*span, old), (value.span, new)];
                let value = self.binary(op, operands, span.to(value.span))?;
                self.named(name, &value);
                self.bind(name, value.clone(), stmt.span);
                self.note_last(value, stmt.span);
            }
            StmtKind::Value(value) => {
                let result = self.expr(value)?;
                self.note_last(result, value.span);
            }
            StmtKind::Def(def) => {
                let around: HashMap<String, Value> = match self.frames.len() {
                    1 => HashMap::new(),
                    _ => self.frame().names.iter().map(|(n, b)| (n.clone(), b.value.clone())).collect(),
                };
                self.bind(&def.name, Value::Function(Function::Def(def.clone(), Arc::new(around))), def.name_span);
            }
            StmtKind::For { names, over, body } => return self.for_loop(names, over, body),
            StmtKind::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.truth(condition)? {
                        return self.block(body);
                    }
                }
                return self.block(otherwise);
            }
            StmtKind::Return(value) => {
                if self.frames.len() == 1 {
                    return Err(Fault::new("`return` stands outside of a function", stmt.span).into());
                }
                let value = value.as_ref().map_or(Ok(Value::None), |v| self.expr(v))?;
                return Ok(Flow::Return(value));
            }
            StmtKind::Pass => {}
        }
        Ok(Flow::Next)
    }

    fn note_last(&mut self, value: Value, span: Span) {
        if self.frames.len() == 1 {
            self.record.last = Some((value, span));
        }
    }

    fn assign(&mut self, names: &[(String, Span)], expr: &Expr) -> Run<()> {
        if let [(name, span)] = names {
            let value = match self.setting(name, expr)? {
                Some(value) => value,
                None => self.expr(expr)?,
            };
            self.named(name, &value);
            self.bind(name, value.clone(), span.to(expr.span));
            self.note_last(value, span.to(expr.span));
            return Ok(());
        }
        let value = self.expr(expr)?;
        self.name_parts(names, &value);
        for ((name, span), value) in self.unpack(names, &value, expr.span)? {
            self.named(&name, &value);
            self.bind(&name, value, names[0].1.to(expr.span).to(span));
        }
        self.note_last(value, expr.span);
        Ok(())
    }

    /// What replaces a number that the program gives a name at its outermost level: one from outside, or, for a positive
    /// integer, a size.
    fn setting(&mut self, name: &str, expr: &Expr) -> Run<Option<Value>> {
        use crate::ast::ExprKind;
        let number = matches!(expr.kind, ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_));
        if self.frames.len() > 1 || !number || self.lookup(name).is_some() {
            return Ok(None);
        }
        if let ExprKind::Int(default @ 1..) = expr.kind {
            return self.size(name, Some(default), expr.span).map(Some);
        }
        let setting = self.world.setting(name);
        if let Some(x) = setting.as_ref().and_then(Value::as_number) {
            self.record.settings.insert(name.to_owned(), x);
        }
        Ok(setting)
    }

    /// A size, used for the first time.
    fn size(&mut self, name: &str, default: Option<i64>, span: Span) -> Run<Value> {
        let Some(value) = self.world.size(name, default) else {
            return Err(Fault::new(format!("the size `{name}` has no number"), span)
                .help(format!("give it one: {name}=2"))
                .into());
        };
        self.record.sizes.push((name.to_owned(), value));
        self.record.settings.insert(name.to_owned(), value as f64);
        if self.world.is_free(name) {
            self.free = self.free.or(SizeSet::one(self.record.sizes.len() - 1));
        }
        Ok(Value::Int(Int { value, sizes: SizeSet::one(self.record.sizes.len() - 1) }))
    }

    /// The names with one item of the value each.
    fn unpack(&self, names: &[(String, Span)], value: &Value, span: Span) -> Run<Vec<((String, Span), Value)>> {
        let Value::List(items) = value else {
            let fault = Fault::new(format!("{} names are assigned to, but there is one value", names.len()), span);
            return Err(fault.here(format!("this is {}", value.describe())).into());
        };
        if items.len() != names.len() {
            let plural = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
            let (left, right) = (plural(names.len(), "name"), plural(items.len(), "value"));
            let mut fault = Fault::new(format!("{left} for {right}"), span).here(value.describe());
            fault.about.kind = Kind::Unpack { names: names.to_vec(), items: items.len() };
            return Err(fault.label(names[0].1.to(names[names.len() - 1].1), left).into());
        }
        Ok(names.iter().cloned().zip(items.iter().cloned()).collect())
    }

    /// Gives what was made last the name, if this is it.
    fn named(&mut self, name: &str, value: &Value) {
        let Value::Tensor(tensor) = value else { return };
        let of_this = |made: &&mut Made| made.tensors.iter().any(|t| t.id() == tensor.id());
        let Some(made) = self.record.made.iter_mut().rev().take(64).find(of_this) else { return };
        if made.name.is_none() && made.tensors.len() == 1 {
            made.name = Some(name.to_owned());
        }
    }

    /// Gives the results of one op their names: `q, k, v`.
    fn name_parts(&mut self, names: &[(String, Span)], value: &Value) {
        let Some(made) = self.record.made.last_mut().filter(|m| m.name.is_none() && m.tensors.len() == names.len())
        else {
            return;
        };
        if value.tensors().iter().map(Tensor::id).eq(made.tensors.iter().map(Tensor::id)) {
            made.name = Some(names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "));
        }
    }

    fn declare(
        &mut self,
        name: &str,
        name_span: Span,
        param: bool,
        (dtype_name, dtype_span): &(String, Span),
        dims: &[Expr],
        type_span: Span,
    ) -> Run<()> {
        let Some(dtype) = dtype(dtype_name) else {
            let known: Vec<&str> = DType::ALL.iter().map(|d| d.name()).collect();
            let mut fault = Fault::new(format!("there is no dtype `{dtype_name}`"), *dtype_span);
            let long = ["float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8"];
            let all = known.iter().chain(&long).map(|n| (*n).to_owned()).collect();
            fault.about.kind = Kind::Name { at: *dtype_span, name: dtype_name.clone(), known: all };
            return Err(fault.note(format!("there are: {}", known.join(", "))).into());
        };
        let path = self.module.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".");
        let given = self.world.shape(&path).filter(|shape| shape.len() == dims.len());
        let mut sizes = Vec::with_capacity(dims.len());
        for (axis, dim) in dims.iter().enumerate() {
            let value = self.dim(dim, given.as_ref().map(|shape| shape[axis] as i64))?;
            match value {
                Value::Int(i) if i.value >= 0 => sizes.push(i.value as usize),
                other => {
                    let fault = Fault::new("a size is an integer of at least 0", dim.span);
                    return Err(fault.here(format!("this is {}", other.describe())).into());
                }
            }
        }
        let spec = Spec::new(dtype, sizes.into_iter().collect::<Shape>());
        if spec.shape.checked_size(dtype.size()).is_none() {
            return Err(Fault::new("the tensor has more elements than memory can address", type_span).into());
        }
        if self.record.made.iter().any(|m| m.leaf.as_ref().is_some_and(|l| l.name == path)) {
            let fault = Fault::new(format!("`{path}` is declared twice"), name_span);
            return Err(fault.help("another name, or a function around it, tells them apart").into());
        }
        let leaf = Leaf { name: path, spec, param, span: name_span.to(type_span) };
        let tensor = self.world.leaf(&leaf).map_err(|message| Stop::from(Fault::new(message, leaf.span)))?;
        let (span, module) = (leaf.span, self.module.clone());
        let local = Some(name.to_owned());
        self.record.made.push(Made { tensors: vec![tensor.clone()], name: local, span, module, leaf: Some(leaf) });
        self.bind(name, Value::Tensor(tensor), span);
        Ok(())
    }

    /// A size in a declaration: a name that nothing stands for yet becomes a size. `given` is what a given tensor has there.
    fn dim(&mut self, dim: &Expr, given: Option<i64>) -> Run<Value> {
        let mut open = vec![dim];
        while let Some(e) = open.pop() {
            match &e.kind {
                crate::ast::ExprKind::Name(name) if self.lookup(name).is_none() => {
                    let here = given.filter(|_| std::ptr::eq(e, dim));
                    let size = self.size(name, here, e.span)?;
                    let bound = Bound { value: size.clone(), span: e.span };
                    self.record.names.push((name.clone(), size));
                    self.frames[0].names.insert(name.clone(), bound);
                }
                crate::ast::ExprKind::Binary(_, a, b) => open.extend([&**b, &**a]),
                crate::ast::ExprKind::Unary(_, a) => open.push(a),
                _ => {}
            }
        }
        self.expr(dim)
    }

    fn for_loop(&mut self, names: &[(String, Span)], over: &Expr, body: &[Stmt]) -> Run<Flow> {
        let items = match self.expr(over)? {
            Value::List(items) => items,
            Value::Tensor(t) if t.ndim() > 0 => {
                let rows = (0..t.shape()[0]).map(|i| t.try_i(i as i64).map(Value::Tensor));
                rows.collect::<covector::Result<_>>().map_err(|e| self.fault(&e, over.span, &[]))?
            }
            other => {
                let fault = Fault::new("a loop runs over a list, a range or the rows of a tensor", over.span);
                return Err(fault.here(format!("this is {}", other.describe())).into());
            }
        };
        let outer = self.frame().pass;
        for (i, item) in items.into_iter().enumerate() {
            self.frame().pass = Some(i);
            self.frame().calls.clear();
            match names {
                [(name, span)] => self.bind(name, item, *span),
                _ => {
                    for ((name, span), value) in self.unpack(names, &item, over.span)? {
                        self.bind(&name, value, span);
                    }
                }
            }
            if let Flow::Return(value) = self.block(body)? {
                return Ok(Flow::Return(value));
            }
        }
        self.frame().pass = outer;
        Ok(Flow::Next)
    }

    /// Writes down what an op made.
    fn note_made(&mut self, tensors: &[Tensor], span: Span) {
        if self.quiet > 0 || tensors.is_empty() {
            return;
        }
        let module = self.module.clone();
        self.record.made.push(Made { tensors: tensors.to_vec(), name: None, span, module, leaf: None });
    }
}
