//! Dynamic arguments: how the language, Python and the tests call an op whose types they learn at run time.

use covector_array::{DType, Shape, c128};

use super::{OpDef, Param};
use crate::{Axes, Axis, Error, ErrorKind, Ints, MatrixNorm, Operand, Result, Tensor};

/// An argument of any kind an op takes.
#[derive(Clone, Debug)]
pub enum Arg {
    /// A tensor.
    Tensor(Tensor),
    /// A list of tensors.
    Tensors(Vec<Tensor>),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A complex number.
    Complex(c128),
    /// A truth value.
    Bool(bool),
    /// A list of integers: a shape, axes, sizes.
    Ints(Vec<i64>),
    /// Axes, with the wish to keep them.
    Axes(Axes),
    /// A dtype.
    DType(DType),
    /// Text: a mode, an einsum.
    Str(String),
    /// Absent.
    None,
}

macro_rules! arg_from {
    ($($t:ty => |$x:ident| $e:expr),* $(,)?) => {$(
        impl From<$t> for Arg { fn from($x: $t) -> Arg { $e } }
    )*};
}
arg_from!(
    Tensor => |x| Arg::Tensor(x),
    &Tensor => |x| Arg::Tensor(x.clone()),
    Vec<Tensor> => |x| Arg::Tensors(x),
    i32 => |x| Arg::Int(i64::from(x)),
    i64 => |x| Arg::Int(x),
    usize => |x| Arg::Int(x as i64),
    f64 => |x| Arg::Float(x),
    c128 => |x| Arg::Complex(x),
    bool => |x| Arg::Bool(x),
    &str => |x| Arg::Str(x.to_owned()),
    String => |x| Arg::Str(x),
    Vec<i64> => |x| Arg::Ints(x),
    Axes => |x| Arg::Axes(x),
    std::ops::RangeFull => |_x| Arg::Axes(Axes::all()),
    DType => |x| Arg::DType(x),
    () => |_x| Arg::None,
);

impl<const N: usize> From<[i32; N]> for Arg {
    fn from(x: [i32; N]) -> Arg {
        Arg::Ints(x.iter().map(|&i| i64::from(i)).collect())
    }
}

impl<const N: usize> From<[Tensor; N]> for Arg {
    fn from(x: [Tensor; N]) -> Arg {
        Arg::Tensors(x.to_vec())
    }
}

impl<T: Into<Arg>> From<Option<T>> for Arg {
    fn from(x: Option<T>) -> Arg {
        x.map_or(Arg::None, Into::into)
    }
}

/// The arguments of one dynamic call.
pub struct Args {
    params: &'static [Param],
    values: Vec<Option<Arg>>,
}

impl Args {
    /// Arguments in the order of the parameters; missing ones at the end are absent.
    ///
    /// # Errors
    /// If there are more arguments than parameters.
    pub fn positional(op: &'static OpDef, args: Vec<Arg>) -> Result<Args> {
        if args.len() > op.params.len() {
            let wanted = op.params.len();
            return Err(Error::new(format!("{} takes {wanted} arguments, {} were given", op.name, args.len()))
                .of_kind(ErrorKind::Type));
        }
        let mut values: Vec<Option<Arg>> = args.into_iter().map(Some).collect();
        values.resize_with(op.params.len(), || None);
        Ok(Args { params: op.params, values })
    }

    /// Gives the parameter `name` its value.
    ///
    /// # Errors
    /// If there is no such parameter, or it has a value already.
    pub fn set(&mut self, name: &str, value: Arg) -> Result<()> {
        let known = || self.params.iter().map(|p| p.name).collect::<Vec<_>>().join(", ");
        let at = self.params.iter().position(|p| p.name == name);
        let at = at.ok_or_else(|| {
            Error::new(format!("no parameter `{name}`"))
                .hint(format!("there are: {}", known()))
                .of_kind(ErrorKind::Type)
        })?;
        if self.values[at].is_some() {
            return Err(Error::new(format!("parameter `{name}` was given twice")).of_kind(ErrorKind::Type));
        }
        self.values[at] = Some(value);
        Ok(())
    }

    /// Takes the argument of the parameter `name`.
    ///
    /// # Errors
    /// If it is missing and has to be there, or is of another kind.
    pub fn take<T: FromArg>(&mut self, name: &str) -> Result<T> {
        let at = self.params.iter().position(|p| p.name == name);
        let value = at.and_then(|i| self.values[i].take()).unwrap_or(Arg::None);
        let missing = matches!(value, Arg::None);
        T::from_arg(value).ok_or_else(|| {
            let what = if missing { "is missing" } else { "is of the wrong kind" };
            Error::new(format!("argument `{name}` {what}: it takes {}", T::KIND)).of_kind(ErrorKind::Type)
        })
    }

    /// Ends the call: every argument must have been taken.
    ///
    /// # Errors
    /// If one was not.
    pub fn finish(&self) -> Result<()> {
        match self.values.iter().position(Option::is_some) {
            None => Ok(()),
            Some(i) => Err(Error::new(format!("argument `{}` is not used", self.params[i].name))),
        }
    }
}

/// A type that an op's parameter can have.
pub trait FromArg: Sized {
    /// What it is, for errors: "a tensor", "an integer".
    const KIND: &'static str;
    /// The value, if the argument is of this kind.
    fn from_arg(arg: Arg) -> Option<Self>;
}

macro_rules! from_arg {
    ($($t:ty, $kind:literal, $($p:pat => $e:expr),+);* $(;)?) => {$(
        impl FromArg for $t {
            const KIND: &'static str = $kind;
            fn from_arg(arg: Arg) -> Option<Self> {
                match arg { $($p => $e,)+ _ => None }
            }
        }
    )*};
}
from_arg!(
    Tensor, "a tensor", Arg::Tensor(t) => Some(t), Arg::Int(i) => Some(Tensor::from(i)), Arg::Float(x) => Some(Tensor::from(x as f32)),
        Arg::Complex(z) => Some(Tensor::from(z).cast(DType::C64));
    Vec<Tensor>, "a list of tensors", Arg::Tensors(t) => Some(t), Arg::Tensor(t) => Some(vec![t]);
    f64, "a number", Arg::Float(x) => Some(x), Arg::Int(i) => Some(i as f64);
    i64, "an integer", Arg::Int(i) => Some(i);
    isize, "an integer", Arg::Int(i) => isize::try_from(i).ok();
    usize, "a non-negative integer", Arg::Int(i) => usize::try_from(i).ok();
    u64, "a non-negative integer", Arg::Int(i) => u64::try_from(i).ok();
    bool, "true or false", Arg::Bool(b) => Some(b);
    String, "text", Arg::Str(s) => Some(s);
    Axis, "an axis", Arg::Int(i) => Some(Axis(i as isize));
    Axes, "axes", Arg::Axes(a) => Some(a), Arg::Int(i) => Some(Axes::from(i as isize)),
        Arg::Ints(v) => Some(Axes::from(v.iter().map(|&i| i as isize).collect::<Vec<_>>())), Arg::None => Some(Axes::all());
    Ints, "integers", Arg::Ints(v) => Some(Ints::from(v)), Arg::Int(i) => Some(Ints::from(i)), Arg::None => Some(Ints::default());
    Shape, "a shape", Arg::Ints(v) => v.iter().map(|&i| usize::try_from(i).ok()).collect(), Arg::Int(i) => usize::try_from(i).ok().map(Shape::from);
    MatrixNorm, "an order: a number, \"fro\" or \"nuc\"", Arg::Float(x) => Some(MatrixNorm::from(x)), Arg::Int(i) => Some(MatrixNorm::from(i as f64)),
        Arg::Str(s) => Some(MatrixNorm::from(&*s));
    DType, "a dtype", Arg::DType(d) => Some(d), Arg::Str(s) => DType::from_name(&s);
    Operand, "a tensor or a number", Arg::Tensor(t) => Some(Operand::Tensor(t)), Arg::Int(i) => Some(Operand::Int(i)), Arg::Float(x) => Some(Operand::Float(x)),
        Arg::Complex(z) => Some(Operand::Complex(z));
);

impl<T: FromArg> FromArg for Option<T> {
    const KIND: &'static str = T::KIND;
    fn from_arg(arg: Arg) -> Option<Self> {
        match arg {
            Arg::None => Some(None),
            arg => T::from_arg(arg).map(Some),
        }
    }
}

/// The result type of an op, as a list of tensors.
pub trait Outputs {
    /// The tensors in order.
    fn into_tensors(self) -> Vec<Tensor>;
}

impl Outputs for Tensor {
    fn into_tensors(self) -> Vec<Tensor> {
        vec![self]
    }
}

impl Outputs for Vec<Tensor> {
    fn into_tensors(self) -> Vec<Tensor> {
        self
    }
}

impl Outputs for (Tensor, Tensor) {
    fn into_tensors(self) -> Vec<Tensor> {
        vec![self.0, self.1]
    }
}

impl Outputs for (Tensor, Tensor, Tensor) {
    fn into_tensors(self) -> Vec<Tensor> {
        vec![self.0, self.1, self.2]
    }
}

impl Outputs for (Tensor, Tensor, Tensor, Tensor) {
    fn into_tensors(self) -> Vec<Tensor> {
        vec![self.0, self.1, self.2, self.3]
    }
}
