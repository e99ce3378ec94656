//! Calls: ops of the registry, functions of the program, methods.

use std::sync::Arc;

use covector::registry::{Args, OpDef};
use covector::{DType, Tensor};

use super::{Flow, Frame, Interpreter, MOST_CALLS, Run};
use crate::about::Kind;
use crate::ast::{Argument, Def, Expr, ExprKind};
use crate::defaults;
use crate::error::Fault;
use crate::text::Span;
use crate::value::{Function, Int, Value};

/// Ops whose results' shapes depend on the numbers in their operands, which therefore are computed even for a check.
const READS: [&str; 3] = ["masked_select", "index", "unique"];

/// How many elements such an operand may have.
const LARGEST_READ: usize = 1 << 24;

/// An argument by name: its name, where the name stands, where the value stands, the value.
pub(super) type Named = (String, Span, Span, Value);

/// The registry's name of an op that NumPy or PyTorch call so.
pub(super) fn canonical(name: &str) -> &str {
    match name {
        "absolute" => "abs",
        "arccos" => "acos",
        "arccosh" => "acosh",
        "arcsin" => "asin",
        "arcsinh" => "asinh",
        "arctan" => "atan",
        "arctan2" => "atan2",
        "arctanh" => "atanh",
        "concatenate" | "cat" => "concat",
        "power" => "pow",
        "permute" => "permute_dims",
        "swapaxes" => "transpose",
        "neg" => "negative",
        "mul" => "multiply",
        "sub" => "subtract",
        "div" => "divide",
        "unsqueeze" => "expand_dims",
        other => other,
    }
}

impl Interpreter<'_> {
    pub(super) fn call(&mut self, callee: &Expr, arguments: &[Argument], span: Span) -> Run<Value> {
        let function = self.callee(callee)?;
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        if let Function::Method(of, _) = &function {
            let place = if let ExprKind::Attribute(of, _) = &callee.kind { of.span } else { callee.span };
            positional.push((place, (**of).clone()));
        }
        for argument in arguments {
            let value = self.expr(&argument.value)?;
            match &argument.name {
                Some((name, name_span)) => named.push((name.clone(), *name_span, argument.value.span, value)),
                None => positional.push((argument.value.span, value)),
            }
        }
        self.invoke(&function, positional, named, span)
    }

    /// What stands before the brackets of a call.
    fn callee(&mut self, callee: &Expr) -> Run<Function> {
        let value = self.expr(callee)?;
        match value {
            Value::Function(function) => Ok(function),
            Value::DType(d) => Ok(Function::Builtin(match d.name() {
                "f32" => "f32",
                "f64" => "f64",
                "i64" => "i64",
                _ => {
                    let help = format!("to convert, write `cast(x, {d})`");
                    return Err(Fault::new(format!("the dtype {d} is not called"), callee.span).help(help).into());
                }
            })),
            other => {
                let mut fault = Fault::new("only functions are called", callee.span);
                fault.about.kind = Kind::Call;
                Err(fault.here(format!("this is {}", other.describe())).into())
            }
        }
    }

    /// Calls a function with these values.
    pub(super) fn invoke(
        &mut self,
        function: &Function,
        positional: Vec<(Span, Value)>,
        named: Vec<Named>,
        span: Span,
    ) -> Run<Value> {
        match function {
            Function::Op(op) | Function::Method(_, op) => self.apply(op, positional, named, span),
            Function::Def(def, around) => self.user(def, around, positional, named, span),
            Function::Builtin(name) => self.builtin(name, positional, named, span),
            Function::Transformed(how, inner) => self.transformed(how, inner, positional, span),
        }
    }

    /// An op of the registry.
    pub(super) fn apply(
        &mut self,
        op: &'static OpDef,
        positional: Vec<(Span, Value)>,
        named: Vec<Named>,
        span: Span,
    ) -> Run<Value> {
        let mut given: Vec<Option<(Span, Value)>> = Vec::new();
        let mut positional = self.gathered(op, positional);
        if let ("elementwise", [(_, first), (_, Value::Tensor(x)), ..]) = (op.family(), &positional[..])
            && first.as_number().is_some()
        {
            // The number takes the dtype of the tensor it meets, as on the other side.
            positional[0].1 = Value::Tensor(super::arith::number_beside(first, x));
        }
        if positional.len() > op.params.len() {
            let (wanted, extra) = (op.params.len(), positional.len());
            let signature = signature(op);
            let mut fault = Fault::new(format!("{} takes {}, {extra} were given", op.name, arguments(wanted)), span);
            fault.about.kind = Kind::TooMany { wanted };
            return Err(fault.note(called(&signature)).into());
        }
        given.extend(positional.drain(..).map(Some));
        given.resize_with(op.params.len(), || None);
        let mut kept = false;
        for (name, name_span, value_span, value) in named {
            let known = |n: &str| op.params.iter().position(|p| p.name == n);
            let alias = defaults::alias(&name);
            if alias == "keepdims" && op.params.iter().any(|p| p.kind == "Axes") {
                kept = matches!(value, Value::Bool(true));
                continue;
            }
            let Some(at) = known(&name).or_else(|| known(alias)).or_else(|| known("axis").filter(|_| alias == "axes"))
            else {
                let names = op.params.iter().map(|p| if p.name == "axes" { "axis" } else { p.name });
                let message = format!("{} has no parameter `{name}`", op.name);
                return Err(self.unknown_parameter(message, &name, names.collect(), name_span, signature(op)));
            };
            if let Some((first, _)) = &given[at] {
                let fault = Fault::new(format!("{} is given `{name}` twice", op.name), span);
                let mut fault = fault.label(*first, "by its place").label(name_span, "by name");
                (fault.about.kind, fault.op) = (Kind::Op, None);
                return Err(fault.note(called(&signature(op))).into());
            }
            given[at] = Some((value_span, value));
        }
        let mut args = Vec::with_capacity(op.params.len());
        for (param, value) in op.params.iter().zip(&given) {
            let arg = match value {
                None | Some((_, Value::None)) if param.kind == "Axes" => Value::None.to_arg("Axes", kept),
                None => defaults::default(op, param),
                Some((place, value)) => match value.to_arg(param.kind, kept) {
                    Some(arg) => Some(arg),
                    None => {
                        let fault = Fault::new(format!("{} does not take this as `{}`", op.name, param.name), *place);
                        let mut fault =
                            fault.here(format!("this is {}", value.describe())).note(called(&signature(op)));
                        fault.about.kind = Kind::Op;
                        return Err(fault.into());
                    }
                },
            };
            match arg {
                Some(arg) => args.push(arg),
                None => {
                    let mut fault = Fault::new(format!("{} needs the argument `{}`", op.name, param.name), span);
                    fault.about.kind = Kind::Missing { param: param.name.to_owned() };
                    return Err(fault.note(called(&signature(op))).into());
                }
            }
        }
        let operands: Vec<(Span, Value)> = given.into_iter().flatten().collect();
        if let Some(number) = number_only(op, &operands) {
            return Ok(number);
        }
        let read = |x: &Tensor| x.dtype() == DType::Bool || op.name == "unique";
        let large = |(_, v): &(Span, Value)| v.tensors().iter().any(|x| x.size() > LARGEST_READ && read(x));
        if READS.contains(&op.name) && operands.iter().any(large) {
            let fault = Fault::new(format!("the shape of {} depends on the numbers in a large tensor", op.name), span);
            return Err(fault.note("`where` and `masked_fill` keep the shape").into());
        }
        let result = Args::positional(op, args).and_then(|mut args| (op.call)(&mut args));
        let tensors = result.map_err(|e| self.fault(&e, span, &operands))?;
        self.note_made(&tensors, span);
        Ok(match op.outputs {
            "Tensor" => Value::Tensor(tensors.into_iter().next().expect("an op has a result")),
            _ => Value::List(tensors.into_iter().map(Value::Tensor).collect()),
        })
    }

    /// The arguments with those that fill a list of tensors (`einsum(spec, a, b)`) or of integers
    /// (`x.reshape(B, T, d)`) gathered into it.
    fn gathered(&self, op: &OpDef, mut positional: Vec<(Span, Value)>) -> Vec<(Span, Value)> {
        let gathers = |kind: &str, value: &Value| match kind {
            "[Tensor]" => matches!(value, Value::Tensor(_)),
            "Ints" | "Shape" => matches!(value, Value::Int(_)),
            _ => false,
        };
        // NumPy's `arange(stop)`.
        if op.name == "arange" && positional.len() == 1 {
            positional.insert(0, (positional[0].0, Value::Int(Int::from(0))));
        }
        let Some(last) = op.params.len().checked_sub(1) else { return positional };
        let fits = positional.len() > last && positional[last..].iter().all(|(_, v)| gathers(op.params[last].kind, v));
        let several = positional.len() > op.params.len() || op.params[last].kind == "[Tensor]";
        if fits && several {
            let tail = positional.split_off(last);
            let span = tail.iter().map(|(s, _)| *s).reduce(Span::to).unwrap_or_default();
            positional.push((span, Value::List(tail.into_iter().map(|(_, v)| v).collect())));
        }
        positional
    }

    fn unknown_parameter(
        &self,
        message: String,
        name: &str,
        known: Vec<&str>,
        span: Span,
        signature: String,
    ) -> super::Stop {
        match self.unknown(message, name, known, span) {
            super::Stop::Fault(fault) => fault.note(called(&signature)).into(),
            other => other,
        }
    }

    /// A function of the program.
    fn user(
        &mut self,
        def: &Arc<Def>,
        around: &Arc<std::collections::HashMap<String, Value>>,
        positional: Vec<(Span, Value)>,
        named: Vec<Named>,
        span: Span,
    ) -> Run<Value> {
        if self.captured.len() >= MOST_CALLS {
            let fault = Fault::new(format!("more than {MOST_CALLS} calls are open at once"), span);
            return Err(fault.help("a function that calls itself never ends: shapes do not decide when").into());
        }
        let wanted = def.params.len();
        if positional.len() > wanted {
            let message = format!("{} takes {}, {} were given", def.name, arguments(wanted), positional.len());
            let mut fault = Fault::new(message, span).label(def.name_span, "defined here");
            fault.about.kind = Kind::TooMany { wanted };
            return Err(fault.into());
        }
        let mut values: Vec<Option<(Span, Value)>> = positional.into_iter().map(Some).collect();
        values.resize_with(wanted, || None);
        let mut module = None;
        for (name, name_span, value_span, value) in named {
            match (def.params.iter().position(|p| p.0 == name), &value) {
                (Some(at), _) if values[at].is_some() => {
                    return Err(Fault::new(format!("the parameter `{name}` was given twice"), name_span).into());
                }
                (Some(at), _) => values[at] = Some((value_span, value)),
                (None, Value::Str(text)) if name == "name" => module = Some(text.to_string()),
                (None, _) => {
                    let known = def.params.iter().map(|p| p.0.as_str()).collect();
                    let message = format!("{} has no parameter `{name}`", def.name);
                    return Err(self.unknown(message, &name, known, name_span));
                }
            }
        }
        let frame = Frame { call: Some(span), ..Frame::default() };
        let mut bound = Vec::new();
        for ((name, name_span, default), value) in def.params.iter().zip(values) {
            let value = match (value, default) {
                (Some((_, value)), _) => value,
                (None, Some(default)) => self.expr(default)?,
                (None, None) => {
                    let mut fault = Fault::new(format!("{} needs the argument `{name}`", def.name), span);
                    fault.about.kind = Kind::Missing { param: name.clone() };
                    return Err(fault.label(*name_span, "it has no default").into());
                }
            };
            bound.push((name.clone(), value, *name_span));
        }
        self.enter_module(def, module);
        self.frames.push(frame);
        self.captured.push(around.clone());
        for (name, value, name_span) in bound {
            self.bind(&name, value, name_span);
        }
        let flow = self.block(&def.body);
        self.captured.pop();
        self.frames.pop();
        self.module.pop();
        Ok(match flow? {
            Flow::Return(value) => value,
            Flow::Next => Value::None,
        })
    }

    /// The module a call of this function makes: its name, the number of the loop's pass, and of the call if it is not
    /// the first there.
    fn enter_module(&mut self, def: &Def, name: Option<String>) {
        let mut module = name.unwrap_or_else(|| def.name.clone());
        let frame = self.frame();
        if let Some(pass) = frame.pass {
            module = format!("{module}.{pass}");
        }
        let calls = frame.calls.entry(module.clone()).or_default();
        *calls += 1;
        if *calls > 1 {
            module = format!("{module}.{calls}");
        }
        self.module.push(module);
    }

    /// `x.name`: a property, or an op with `x` as its first argument.
    pub(super) fn attribute(&mut self, (of, value): (Span, Value), name: &str, span: Span) -> Run<Value> {
        let Value::Tensor(x) = &value else {
            if let (Value::List(items), "append" | "index") = (&value, name) {
                let _ = items;
                return Err(Fault::new("lists do not change", span).help("`a + [b]` is a longer list").into());
            }
            let fault = Fault::new(format!("`.{name}` is for tensors"), span);
            return Err(fault.label(of, format!("this is {}", value.describe())).into());
        };
        let size = |n: usize| Value::Int(Int::from(n as i64));
        match name {
            "T" | "mT" => self.op("matrix_transpose", [(of, value)], span),
            "shape" => Ok(Value::List(x.shape().iter().map(|&n| self.size_of(n)).collect())),
            "ndim" => Ok(size(x.ndim())),
            "size" => Ok(self.size_of(x.size())),
            "dtype" => Ok(Value::DType(x.dtype())),
            "astype" | "to" => Ok(method(value, "cast")),
            _ => match covector::registry::find(canonical(name)) {
                Some(op) => Ok(Value::Function(Function::Method(Box::new(value), op))),
                None => {
                    let mut known: Vec<&str> = covector::registry::all().map(|op| op.name).collect();
                    known.extend(["T", "mT", "shape", "ndim", "size", "dtype"]);
                    known.sort_unstable();
                    Err(self.unknown(format!("tensors have no `.{name}`"), name, known, span))
                }
            },
        }
    }
}

fn method(of: Value, name: &str) -> Value {
    let op = covector::registry::find(name).expect("an op of the registry");
    Value::Function(Function::Method(Box::new(of), op))
}

/// An elementwise op of numbers alone is a number: `sqrt(d_k)`.
fn number_only(op: &'static OpDef, operands: &[(Span, Value)]) -> Option<Value> {
    let numbers: Option<Vec<f64>> = operands.iter().map(|(_, v)| v.as_number()).collect();
    if !matches!(op.family(), "elementwise") || operands.is_empty() {
        return None;
    }
    let args = numbers?.into_iter().map(|x| covector::registry::Arg::Tensor(covector::Tensor::from(x))).collect();
    let y = Args::positional(op, args).and_then(|mut args| (op.call)(&mut args)).ok()?;
    let y = y.first().filter(|y| y.dtype().is_float())?;
    Some(Value::Float(y.to_f64()))
}

fn arguments(n: usize) -> String {
    match n {
        0 => "no arguments".into(),
        1 => "1 argument".into(),
        n => format!("{n} arguments"),
    }
}

/// The note that shows how something is called.
fn called(signature: &str) -> String {
    format!("it is called as `{signature}`")
}

/// How an op is called: `softmax(x, axis=-1)`.
pub fn signature(op: &OpDef) -> String {
    let param = |p: &covector::registry::Param| {
        let name = if p.name == "axes" { "axis" } else { p.name };
        match defaults::default(op, p) {
            None => name.to_owned(),
            Some(default) => format!("{name}={}", shown(&default)),
        }
    };
    let mut params: Vec<String> = op.params.iter().map(param).collect();
    if op.params.iter().any(|p| p.kind == "Axes") && !matches!(op.name, "squeeze" | "expand_dims" | "flip" | "roll") {
        params.push("keepdims=False".into());
    }
    format!("{}({})", op.name, params.join(", "))
}

fn shown(default: &covector::registry::Arg) -> String {
    use covector::registry::Arg;
    match default {
        Arg::Int(i) => i.to_string(),
        Arg::Float(x) => format!("{x:?}"),
        Arg::Bool(b) => if *b { "True" } else { "False" }.to_owned(),
        Arg::Str(text) => format!("\"{text}\""),
        Arg::DType(d) => d.name().to_owned(),
        Arg::Ints(_) => "kernel".to_owned(),
        _ => "None".to_owned(),
    }
}
