//! What the language has beside the ops of the registry: lists, and transformations of functions.

use std::cell::RefCell;

use covector::{BatchAxes, DType, Tensor, try_jvp, try_value_and_grad, try_vmap};

use super::call::Named;
use super::{Interpreter, Run, Stop};
use crate::error::Fault;
use crate::text::Span;
use crate::value::{Function, Int, SizeSet, Value};

/// The names of the functions of the language itself.
pub const NAMES: [&str; 17] = [
    "enumerate",
    "f32",
    "f64",
    "float",
    "grad",
    "hessian",
    "i64",
    "int",
    "jacobian",
    "jvp",
    "len",
    "param_count",
    "range",
    "tensor",
    "value_and_grad",
    "vmap",
    "zip",
];

/// The longest range.
const LONGEST: i64 = 100_000;

impl Interpreter<'_> {
    pub(super) fn builtin(
        &mut self,
        name: &'static str,
        positional: Vec<(Span, Value)>,
        named: Vec<Named>,
        span: Span,
    ) -> Run<Value> {
        if let Some((_, at, ..)) = named.first() {
            return Err(Fault::new(format!("{name} takes no arguments by name"), *at).into());
        }
        let wrong = |usage: &str| -> Run<Value> {
            let fault = Fault::new(format!("{name} is not called so"), span);
            Err(fault.help(format!("it is called as {usage}")).into())
        };
        let values: Vec<&Value> = positional.iter().map(|(_, v)| v).collect();
        match (name, &values[..]) {
            ("grad" | "value_and_grad" | "hessian" | "jacobian" | "vmap", [Value::Function(f)]) => {
                Ok(Value::Function(Function::Transformed(name, Box::new(f.clone()))))
            }
            ("grad" | "value_and_grad" | "hessian" | "jacobian" | "vmap", _) => {
                wrong(&format!("{name}(f)(x, …), with a function f"))
            }
            ("jvp", [Value::Function(f), Value::Tensor(x), Value::Tensor(t)]) => {
                let f = f.clone();
                let (x, t) = (x.clone(), t.clone());
                let at = positional[1].0;
                let (y, dy) =
                    self.traced(span, |run| try_jvp(|x: &Tensor| run(vec![x.clone()]), &x, &t), &|this, args| {
                        this.scalar_call(&f, args, at, &[], span)
                    })?;
                self.note_made(&[y.clone(), dy.clone()], span);
                Ok(Value::List(vec![Value::Tensor(y), Value::Tensor(dy)]))
            }
            ("jvp", _) => wrong("jvp(f, x, tangent)"),
            ("range", _) => self.range(&positional, span),
            ("len", [Value::List(items)]) => Ok(Value::Int(Int::from(items.len() as i64))),
            ("len", [Value::Tensor(x)]) if x.ndim() > 0 => Ok(self.size_of(x.shape()[0])),
            ("len", _) => wrong("len(list) or len(tensor)"),
            ("enumerate", [Value::List(items)]) => {
                let pair = |(i, v): (usize, &Value)| Value::List(vec![Value::Int(Int::from(i as i64)), v.clone()]);
                Ok(Value::List(items.iter().enumerate().map(pair).collect()))
            }
            ("enumerate", _) => wrong("enumerate(list)"),
            ("zip", [Value::List(a), Value::List(b)]) => {
                Ok(Value::List(a.iter().zip(b).map(|(a, b)| Value::List(vec![a.clone(), b.clone()])).collect()))
            }
            ("zip", _) => wrong("zip(list, list)"),
            ("int", [Value::Int(i)]) => Ok(Value::Int(*i)),
            ("int", [Value::Float(x)]) if x.abs() < 9e18 => Ok(Value::Int(Int::from(*x as i64))),
            ("int", _) => wrong("int(number)"),
            ("float", [number]) if number.as_number().is_some() => {
                Ok(Value::Float(number.as_number().unwrap_or_default()))
            }
            ("float" | "f32" | "f64" | "i64" | "tensor", [_]) => self.tensor(name, &positional[0], span),
            ("param_count", []) => {
                let params = self.record.made.iter().filter_map(|m| m.leaf.as_ref()).filter(|l| l.param);
                Ok(Value::Int(Int::from(params.map(|l| l.spec.shape.size() as i64).sum::<i64>())))
            }
            _ => wrong(&format!("{name}(value)")),
        }
    }

    fn range(&mut self, arguments: &[(Span, Value)], span: Span) -> Run<Value> {
        let mut bounds = Vec::new();
        for (place, value) in arguments {
            match value {
                Value::Int(i) => {
                    self.decide(i.sizes, *place)?;
                    bounds.push(i.value);
                }
                other => {
                    let fault = Fault::new("a range goes over integers", *place);
                    return Err(fault.here(format!("this is {}", other.describe())).into());
                }
            }
        }
        let (start, stop, step) = match bounds[..] {
            [stop] => (0, stop, 1),
            [start, stop] => (start, stop, 1),
            [start, stop, step] if step != 0 => (start, stop, step),
            _ => return Err(Fault::new("range is called as range(stop) or range(start, stop, step)", span).into()),
        };
        let (distance, stride) = (i128::from(stop) - i128::from(start), i128::from(step));
        let count = if distance.signum() == stride.signum() { (distance.abs() - 1) / stride.abs() + 1 } else { 0 };
        if count > i128::from(LONGEST) {
            return Err(Fault::new(format!("the range is longer than {LONGEST}"), span).into());
        }
        let items = (0..count as i64).map(|i| Value::Int(Int::from(start + i * step)));
        Ok(Value::List(items.collect()))
    }

    /// A tensor of nested lists of numbers, or a tensor in another dtype.
    fn tensor(&mut self, name: &str, (place, value): &(Span, Value), span: Span) -> Run<Value> {
        let wanted = match name {
            "f64" => Some(DType::F64),
            "i64" => Some(DType::I64),
            "f32" | "float" => Some(DType::F32),
            _ => None,
        };
        if let Value::Tensor(x) = value {
            let dtype = Value::DType(wanted.unwrap_or(x.dtype()));
            return self.op("cast", [(*place, value.clone()), (span, dtype)], span);
        }
        let (mut numbers, mut shape, mut whole) = (Vec::new(), Vec::new(), true);
        flatten(value, 0, &mut shape, &mut numbers, &mut whole).map_err(|m| Stop::from(Fault::new(m, *place)))?;
        let dtype = wanted.unwrap_or(if whole { DType::I64 } else { DType::F32 });
        let tensor = Tensor::from_slice(&numbers, shape);
        let tensor = if dtype == DType::F64 { tensor } else { covector::ops::cast::cast(&tensor, dtype) };
        self.note_made(std::slice::from_ref(&tensor), span);
        Ok(Value::Tensor(tensor))
    }

    /// A size as a number of elements along an axis, with the sizes it may have been computed from.
    pub(super) fn size_of(&self, n: usize) -> Value {
        let value = n as i64;
        let divides = |&(_, (_, size)): &(usize, &(String, i64))| *size > 1 && value % size == 0 && value > 0;
        let sizes = self.record.sizes.iter().enumerate().filter(divides).map(|(i, _)| SizeSet::one(i));
        Value::Int(Int { value, sizes: sizes.fold(SizeSet::default(), SizeSet::or) })
    }

    /// A function made by a transformation.
    pub(super) fn transformed(
        &mut self,
        how: &str,
        f: &Function,
        arguments: Vec<(Span, Value)>,
        span: Span,
    ) -> Run<Value> {
        let Some(((at, first), rest)) = arguments.split_first() else {
            return Err(Fault::new(format!("{how}(f) is called with the arguments of f"), span).into());
        };
        if how == "vmap" {
            return self.vmapped(f, &arguments, span);
        }
        let Value::Tensor(x) = first else {
            let fault = Fault::new(format!("{how} is taken with respect to a tensor"), *at);
            return Err(fault.here(format!("this is {}", first.describe())).into());
        };
        let call = |this: &mut Self, args: Vec<Tensor>| this.scalar_call(f, args, *at, rest, span);
        let result = match how {
            "grad" | "value_and_grad" => {
                let (y, g) =
                    self.traced(span, |run| try_value_and_grad(|x: &Tensor| run(vec![x.clone()]), x), &call)?;
                let both = vec![Value::Tensor(y), Value::Tensor(g.clone())];
                if how == "grad" { Value::Tensor(g) } else { Value::List(both) }
            }
            _ => {
                // Called once before, so that what is wrong with it is found where it can be reported.
                let y = call(self, vec![x.clone()])?;
                if !x.dtype().is_float() || !y.dtype().is_float() || how == "hessian" && y.ndim() != 0 {
                    let fault = Fault::new(format!("{how} is for functions of floats to a float"), span);
                    let fault = if how == "hessian" { fault.help("and the result a scalar") } else { fault };
                    return Err(fault.label(*at, x.spec().to_string()).into());
                }
                let derivative = |run: &dyn Fn(Vec<Tensor>) -> Tensor| {
                    let g = |x: &Tensor| run(vec![x.clone()]);
                    Ok(if how == "hessian" { covector::hessian(g)(x) } else { covector::jacrev(g)(x) })
                };
                Value::Tensor(self.traced(span, derivative, &call)?)
            }
        };
        self.note_made(&result.tensors(), span);
        Ok(result)
    }

    fn vmapped(&mut self, f: &Function, arguments: &[(Span, Value)], span: Span) -> Run<Value> {
        let is_tensor = |(_, v): &&(Span, Value)| matches!(v, Value::Tensor(_));
        let batch: Vec<Tensor> = arguments.iter().filter(is_tensor).flat_map(|(_, v)| v.tensors()).collect();
        let shape_of_result: RefCell<Option<Value>> = RefCell::new(None);
        let call = |this: &mut Self, tensors: Vec<Tensor>| -> Run<Vec<Tensor>> {
            let mut tensors = tensors.into_iter();
            let fill = |(at, v): &(Span, Value)| match v {
                Value::Tensor(_) => (*at, Value::Tensor(tensors.next().expect("one for each"))),
                other => (*at, other.clone()),
            };
            let example = arguments.iter().map(fill).collect();
            let value = this.invoke(f, example, Vec::new(), span)?;
            let results = value.tensors();
            *shape_of_result.borrow_mut() = Some(value);
            Ok(results)
        };
        let axes = BatchAxes::from(0);
        let results =
            self.traced(span, |run| try_vmap(|x: &Vec<Tensor>| run(x.clone()), &batch, &axes, &axes), &call)?;
        self.note_made(&results, span);
        let mut results = results.into_iter();
        Ok(refilled(&shape_of_result.into_inner().unwrap_or(Value::None), &mut results))
    }

    /// Calls `f` with a tensor first and these arguments behind it; the result is one tensor.
    fn scalar_call(
        &mut self,
        f: &Function,
        first: Vec<Tensor>,
        at: Span,
        rest: &[(Span, Value)],
        span: Span,
    ) -> Run<Tensor> {
        let arguments = first.into_iter().map(|x| (at, Value::Tensor(x))).chain(rest.iter().cloned()).collect();
        match self.invoke(f, arguments, Vec::new(), span)? {
            Value::Tensor(y) => Ok(y),
            other => {
                let fault = Fault::new("a function to differentiate returns a tensor", span);
                Err(fault.here(format!("this one returns {}", other.describe())).into())
            }
        }
    }

    /// Runs a transformation of the library over a function of the program. What stops the function stops the whole.
    fn traced<T, Y: Stand>(
        &mut self,
        span: Span,
        transformation: impl FnOnce(&dyn Fn(Vec<Tensor>) -> Y) -> covector::Result<T>,
        call: &dyn Fn(&mut Self, Vec<Tensor>) -> Run<Y>,
    ) -> Run<T> {
        self.quiet += 1;
        let stopped: RefCell<Option<Stop>> = RefCell::new(None);
        let result = {
            let this = RefCell::new(&mut *self);
            let run = |args: Vec<Tensor>| {
                let mut this = this.borrow_mut();
                call(&mut this, args).unwrap_or_else(|stop| {
                    stopped.borrow_mut().get_or_insert(stop);
                    Y::nothing()
                })
            };
            transformation(&run)
        };
        self.quiet -= 1;
        match stopped.into_inner() {
            Some(stop) => Err(stop),
            None => result.map_err(|e| self.fault(&e, span, &[])),
        }
    }
}

/// What stands for the result of a function that stopped.
trait Stand {
    fn nothing() -> Self;
}
impl Stand for Tensor {
    fn nothing() -> Tensor {
        Tensor::from(0.0f32)
    }
}
impl Stand for Vec<Tensor> {
    fn nothing() -> Vec<Tensor> {
        Vec::new()
    }
}

/// The value with its tensors replaced, in order.
fn refilled(value: &Value, tensors: &mut impl Iterator<Item = Tensor>) -> Value {
    match value {
        Value::Tensor(_) => tensors.next().map_or(Value::None, Value::Tensor),
        Value::List(items) => Value::List(items.iter().map(|v| refilled(v, tensors)).collect()),
        other => other.clone(),
    }
}

/// The numbers of nested lists, which have to be as long as their neighbours.
fn flatten(
    value: &Value,
    depth: usize,
    shape: &mut Vec<usize>,
    numbers: &mut Vec<f64>,
    whole: &mut bool,
) -> Result<(), String> {
    match value {
        Value::List(items) => {
            if shape.len() == depth {
                if !numbers.is_empty() {
                    return Err("lists and numbers stand side by side".into());
                }
                shape.push(items.len());
            }
            if shape[depth] != items.len() {
                return Err(format!("a list of {} stands beside one of {}", items.len(), shape[depth]));
            }
            items.iter().try_for_each(|item| flatten(item, depth + 1, shape, numbers, whole))
        }
        number => {
            let Some(x) = number.as_number() else {
                return Err(format!("a tensor is made of numbers, not of {}", value.describe()));
            };
            if shape.len() != depth {
                return Err("lists and numbers stand side by side".into());
            }
            *whole &= matches!(number, Value::Int(_));
            numbers.push(x);
            Ok(())
        }
    }
}
