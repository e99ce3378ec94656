//! What names of a program stand for.

use std::collections::HashMap;
use std::sync::Arc;

use covector::registry::{Arg, OpDef};
use covector::{Axes, DType, Tensor, keep};

use crate::ast::Def;

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// A tensor.
    Tensor(Tensor),
    /// An integer.
    Int(Int),
    /// A float.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A text.
    Str(Arc<str>),
    /// A dtype.
    DType(DType),
    /// Nothing.
    None,
    /// `...`
    Ellipsis,
    /// A tuple or a list.
    List(Vec<Value>),
    /// Something that can be called.
    Function(Function),
}

/// An integer, and the sizes it was computed from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Int {
    /// Its value.
    pub value: i64,
    /// The sizes it depends on.
    pub sizes: SizeSet,
}

/// A set of sizes, by their numbers; those from 63 on share a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SizeSet(u64);

impl SizeSet {
    /// The set of one.
    pub fn one(number: usize) -> SizeSet {
        SizeSet(1 << number.min(63))
    }

    /// Members of either.
    pub fn or(self, other: SizeSet) -> SizeSet {
        SizeSet(self.0 | other.0)
    }

    /// Members of both.
    pub fn and(self, other: SizeSet) -> SizeSet {
        SizeSet(self.0 & other.0)
    }

    /// True for the empty set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if the size of this number is a member.
    pub fn contains(self, number: usize) -> bool {
        self.0 & SizeSet::one(number).0 != 0
    }
}

impl From<i64> for Int {
    fn from(value: i64) -> Int {
        Int { value, sizes: SizeSet::default() }
    }
}

/// Something that can be called.
#[derive(Clone, Debug)]
pub enum Function {
    /// A function of the program, with the names around it.
    Def(Arc<Def>, Arc<HashMap<String, Value>>),
    /// An op of the registry.
    Op(&'static OpDef),
    /// A method: an op with its first argument.
    Method(Box<Value>, &'static OpDef),
    /// A function of the language.
    Builtin(&'static str),
    /// A function made of another: `grad(f)`, `vmap(f)`.
    Transformed(&'static str, Box<Function>),
}

impl Value {
    /// What it is, for errors: "an integer".
    pub fn describe(&self) -> String {
        match self {
            Value::Tensor(t) => t.spec().to_string(),
            Value::Int(i) if !i.sizes.is_empty() => format!("the size {}", i.value),
            Value::Int(i) => format!("the integer {}", i.value),
            Value::Float(x) => format!("the number {x}"),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            Value::Str(text) => format!("the text \"{text}\""),
            Value::DType(d) => format!("the dtype {d}"),
            Value::None => "None".into(),
            Value::Ellipsis => "`...`".into(),
            Value::List(items) => match items.iter().map(Value::as_int).collect::<Option<Vec<i64>>>() {
                Some(ints) if !ints.is_empty() && ints.len() <= 8 => {
                    format!("the list [{}]", ints.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
                }
                _ => format!("a list of {}", items.len()),
            },
            Value::Function(_) => "a function".into(),
        }
    }

    /// The number of lists on the longest way down into it, and the number of values in it.
    pub fn extent(&self) -> (usize, usize) {
        let (mut deepest, mut count, mut open) = (0, 0, vec![(self, 0)]);
        while let Some((value, depth)) = open.pop() {
            (deepest, count) = (deepest.max(depth), count + 1);
            if let Value::List(items) = value {
                open.extend(items.iter().map(|item| (item, depth + 1)));
            }
        }
        (deepest, count)
    }

    /// All tensors in it, in order.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut found = Vec::new();
        let mut open = vec![self];
        while let Some(value) = open.pop() {
            match value {
                Value::Tensor(t) => found.push(t.clone()),
                Value::List(items) => open.extend(items.iter().rev()),
                _ => {}
            }
        }
        found
    }

    /// As an argument of an op, if ops take such a thing; `kept` says that reduced axes stay.
    pub fn to_arg(&self, kind: &str, kept: bool) -> Option<Arg> {
        let ints = |items: &[Value]| items.iter().map(Value::as_int).collect::<Option<Vec<i64>>>();
        if kind == "Axes" {
            let axes = match self {
                Value::None => Axes::all(),
                Value::Int(i) => Axes::from(isize::try_from(i.value).ok()?),
                Value::List(items) => {
                    Axes::from(ints(items)?.into_iter().map(|i| isize::try_from(i).ok()).collect::<Option<Vec<_>>>()?)
                }
                _ => return None,
            };
            return Some(Arg::Axes(if kept { keep(axes) } else { axes }));
        }
        Some(match self {
            Value::Tensor(t) => Arg::Tensor(t.clone()),
            Value::Int(i) if kind == "f64" => Arg::Float(i.value as f64),
            Value::Int(i) => Arg::Int(i.value),
            Value::Float(x) => Arg::Float(*x),
            Value::Bool(b) => Arg::Bool(*b),
            Value::Str(text) => Arg::Str(text.to_string()),
            Value::DType(d) => Arg::DType(*d),
            Value::None => Arg::None,
            Value::List(items) => match ints(items) {
                Some(ints) if !items.is_empty() || kind != "[Tensor]" => Arg::Ints(ints),
                _ => {
                    let tensor = |v: &Value| if let Value::Tensor(t) = v { Some(t.clone()) } else { None };
                    Arg::Tensors(items.iter().map(tensor).collect::<Option<_>>()?)
                }
            },
            // `f32` is a function too.
            Value::Function(Function::Builtin(name)) if kind == "DType" => Arg::DType(dtype(name)?),
            Value::Ellipsis | Value::Function(_) => return None,
        })
    }

    /// The dtype, if it is one.
    pub fn as_dtype(&self) -> Option<DType> {
        match self {
            Value::DType(d) => Some(*d),
            Value::Function(Function::Builtin(name)) => dtype(name),
            _ => None,
        }
    }

    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Value::Int(i) = self { Some(i.value) } else { None }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Int(i) => Some(i.value as f64),
            Value::Float(x) => Some(*x),
            _ => None,
        }
    }
}

/// The dtype of a name as in Rust (`f32`) or NumPy (`float32`).
pub fn dtype(name: &str) -> Option<DType> {
    let short = match name {
        "float16" => "f16",
        "bfloat16" => "bf16",
        "float32" | "float" => "f32",
        "float64" | "double" => "f64",
        "int8" => "i8",
        "int16" => "i16",
        "int32" => "i32",
        "int64" | "int" => "i64",
        "uint8" => "u8",
        "uint16" => "u16",
        "uint32" => "u32",
        "uint64" => "u64",
        other => other,
    };
    DType::from_name(short)
}
