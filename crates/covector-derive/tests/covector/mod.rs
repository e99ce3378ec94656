// A covector small enough to read: what the generated code needs of the real one. The doc examples
// include this file, so it has no inner attributes.

pub use registry::{Fault, Result};
pub use tree::Tree;

/// A list of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub values: Vec<f64>,
    spec: Spec,
}

/// The number of elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec(pub usize);

/// An axis, from whatever integer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis(pub i64);

impl From<i32> for Axis {
    fn from(axis: i32) -> Self {
        Self(axis.into())
    }
}

/// A tensor or a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Tensor(Tensor),
    Float(f64),
}

impl From<&Tensor> for Operand {
    fn from(tensor: &Tensor) -> Self {
        Self::Tensor(tensor.clone())
    }
}

impl From<f64> for Operand {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl Tensor {
    pub fn new(values: &[f64]) -> Self {
        Self { values: values.to_vec(), spec: Spec(values.len()) }
    }

    pub fn described(&self) -> Spec {
        self.spec.clone()
    }
}

pub mod tree {
    use super::Tensor;

    /// The names from the root to a leaf.
    #[derive(Default)]
    pub struct Path(pub Vec<String>);

    impl Path {
        pub fn enter<R>(&mut self, name: &str, inside: impl FnOnce(&mut Path) -> R) -> R {
            self.0.push(name.to_owned());
            let result = inside(self);
            self.0.pop();
            result
        }
    }

    pub trait Tree: Sized {
        fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor));
        fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self;
        fn fixed(&self, state: &mut dyn std::hash::Hasher) -> bool;
    }

    impl Tree for Tensor {
        fn visit<'a>(&'a self, path: &mut Path, visit: &mut dyn FnMut(&Path, &'a Tensor)) {
            visit(path, self);
        }

        fn rebuild(&self, path: &mut Path, map: &mut dyn FnMut(&Path, &Tensor) -> Tensor) -> Self {
            map(path, self)
        }

        fn fixed(&self, _: &mut dyn std::hash::Hasher) -> bool {
            true
        }
    }
}

pub mod registry {
    use std::cell::RefCell;
    use std::panic::Location;

    use super::{Axis, Operand, Spec, Tensor};

    #[derive(Debug)]
    pub struct Fault(pub String);

    pub type Result<T> = std::result::Result<T, Fault>;

    impl Fault {
        #[track_caller]
        pub fn raise(self) -> ! {
            let site = Location::caller();
            panic!("{}:{}: {}", site.file(), site.line(), self.0)
        }
    }

    pub struct OpDef {
        pub name: &'static str,
        pub doc: &'static str,
        pub module: &'static str,
        pub file: &'static str,
        pub line: u32,
        pub params: &'static [Param],
        pub outputs: &'static str,
        pub notes: &'static str,
        pub call: fn(&mut Args) -> Result<Vec<Tensor>>,
        pub samples: fn() -> Vec<Sample>,
    }

    #[derive(Debug, PartialEq)]
    pub struct Param {
        pub name: &'static str,
        pub kind: &'static str,
        pub optional: bool,
    }

    pub struct Sample(pub Vec<Arg>);

    impl Sample {
        pub fn new(args: Vec<Arg>) -> Self {
            Self(args)
        }
    }

    /// One op call: name, line of the caller, operands.
    pub type Entered = (&'static str, u32, Vec<Spec>);

    thread_local!(pub static LAST: RefCell<Option<Entered>> = const { RefCell::new(None) });

    pub fn enter<R>(
        op: &'static OpDef,
        site: &'static Location<'static>,
        operands: impl FnOnce(&mut Vec<Spec>),
        body: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let mut specs = Vec::new();
        operands(&mut specs);
        LAST.set(Some((op.name, site.line(), specs)));
        body()
    }

    #[derive(Clone, Debug, PartialEq)]
    pub enum Arg {
        Missing,
        Integer(i64),
        Float(f64),
        Text(String),
        Tensor(Tensor),
        Tensors(Vec<Tensor>),
    }

    pub struct Args(pub std::vec::IntoIter<Arg>);

    impl Args {
        pub fn new(args: Vec<Arg>) -> Self {
            Self(args.into_iter())
        }

        pub fn take<T: FromArg>(&mut self, name: &str) -> Result<T> {
            let arg = self.0.next().ok_or_else(|| Fault(format!("`{name}` is missing")))?;
            T::from_arg(arg).ok_or_else(|| Fault(format!("`{name}` has the wrong type")))
        }

        pub fn finish(&mut self) -> Result<()> {
            self.0.next().map_or(Ok(()), |arg| Err(Fault(format!("{arg:?} is left over"))))
        }
    }

    pub trait FromArg: Sized {
        fn from_arg(arg: Arg) -> Option<Self>;
    }

    macro_rules! convert {
        ($($from:ty, $variant:ident($value:ident) => $arg:expr, $into:ty => $back:expr;)*) => {$(
            impl From<$from> for Arg {
                fn from($value: $from) -> Self {
                    Self::$variant($arg)
                }
            }

            impl FromArg for $into {
                fn from_arg(arg: Arg) -> Option<Self> {
                    let Arg::$variant($value) = arg else { return None };
                    Some($back)
                }
            }
        )*};
    }

    convert! {
        i32, Integer(value) => value.into(), Axis => Axis(value);
        i64, Integer(value) => value, i64 => value;
        usize, Integer(value) => value as i64, usize => value as usize;
        f64, Float(value) => value, f64 => value;
        &str, Text(value) => value.to_owned(), String => value;
        Tensor, Tensor(value) => value, Tensor => value;
        Vec<Tensor>, Tensors(value) => value, Vec<Tensor> => value;
    }

    impl FromArg for Operand {
        fn from_arg(arg: Arg) -> Option<Self> {
            match arg {
                Arg::Tensor(tensor) => Some(Self::Tensor(tensor)),
                Arg::Float(number) => Some(Self::Float(number)),
                _ => None,
            }
        }
    }

    impl<T: Into<Arg>> From<Option<T>> for Arg {
        fn from(value: Option<T>) -> Self {
            value.map_or(Self::Missing, Into::into)
        }
    }

    impl<T: FromArg> FromArg for Option<T> {
        fn from_arg(arg: Arg) -> Option<Self> {
            match arg {
                Arg::Missing => Some(None),
                arg => T::from_arg(arg).map(Some),
            }
        }
    }

    pub trait Outputs {
        fn into_tensors(self) -> Vec<Tensor>;
    }

    impl Outputs for Tensor {
        fn into_tensors(self) -> Vec<Tensor> {
            vec![self]
        }
    }

    impl Outputs for (Tensor, Tensor) {
        fn into_tensors(self) -> Vec<Tensor> {
            vec![self.0, self.1]
        }
    }

    pub mod sample {
        use super::Tensor;

        pub fn real(size: usize) -> Tensor {
            Tensor::new(&vec![0.5; size])
        }
    }
}
