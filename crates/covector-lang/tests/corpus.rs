//! Every expression gives the same bits through the language and through Rust.

use std::collections::BTreeMap;

use covector::registry::sample::{between, bools, ints, positive, real, real2};
use covector::{Axis, DType, Ints, Tensor, hessian, jacrev, jvp, keep, ops, value_and_grad, vmap};
use covector_lang::Program;
use covector_lang::value::Value;

/// What both sides are given.
const LEAVES: &str = "
a: f32[2, 3]
b: f32[2, 3]
c: f32[3]
w: f32[3, 4]
s: f32[]
x: f64[4]
y: f64[4]
p: f32[2, 3]
i: i64[2, 3]
k: i64[3]
m: bool[2, 3]
t: f32[2, 3, 4]
q: f32[2, 2, 3, 4]
h: f16[2, 3]
sq: f64[3, 3]
img: f32[1, 2, 5, 5]
ker: f32[3, 2, 3, 3]
";

#[derive(Clone)]
struct In {
    a: Tensor,
    b: Tensor,
    c: Tensor,
    w: Tensor,
    s: Tensor,
    x: Tensor,
    y: Tensor,
    p: Tensor,
    i: Tensor,
    k: Tensor,
    m: Tensor,
    t: Tensor,
    q: Tensor,
    h: Tensor,
    sq: Tensor,
    img: Tensor,
    ker: Tensor,
}

fn inputs() -> In {
    let f32 = |x: Tensor| x.cast(DType::F32);
    In {
        a: f32(real([2, 3])),
        b: f32(real2([2, 3])),
        c: f32(real([3])),
        w: f32(real2([3, 4])),
        s: f32(between(0.5, 0.9, ())),
        x: real([4]),
        y: positive([4]),
        p: f32(positive([2, 3])),
        i: ints(-5, 9, [2, 3]),
        k: ints(0, 3, [3]),
        m: bools([2, 3]),
        t: f32(real([2, 3, 4])),
        q: f32(real2([2, 2, 3, 4])),
        h: real([2, 3]).cast(DType::F16),
        sq: real([3, 3]),
        img: f32(real([1, 2, 5, 5])),
        ker: f32(real2([3, 2, 3, 3])),
    }
}

impl In {
    fn named(&self) -> BTreeMap<&'static str, Tensor> {
        let all = [
            ("a", &self.a),
            ("b", &self.b),
            ("c", &self.c),
            ("w", &self.w),
            ("s", &self.s),
            ("x", &self.x),
            ("y", &self.y),
            ("p", &self.p),
            ("i", &self.i),
            ("k", &self.k),
            ("m", &self.m),
            ("t", &self.t),
            ("q", &self.q),
            ("h", &self.h),
            ("sq", &self.sq),
            ("img", &self.img),
            ("ker", &self.ker),
        ];
        all.into_iter().map(|(name, x)| (name, x.clone())).collect()
    }
}

/// A result: dtype, shape and bits.
#[derive(Debug, PartialEq)]
enum Got {
    Tensor(DType, Vec<usize>, Vec<u64>),
    Number(u64),
    Text(String),
    List(Vec<Got>),
}

/// The elements' bits; every dtype but the 64-bit integers goes into f64 and back unchanged.
fn bits(x: &Tensor) -> Vec<u64> {
    match x.dtype() {
        DType::I64 => x.to_vec::<i64>().into_iter().map(|v| v as u64).collect(),
        DType::U64 => x.to_vec::<u64>(),
        _ => x.cast(DType::F64).to_vec::<f64>().into_iter().map(f64::to_bits).collect(),
    }
}

trait Gives {
    fn got(self) -> Got;
}
impl Gives for Tensor {
    fn got(self) -> Got {
        Got::Tensor(self.dtype(), self.shape().to_vec(), bits(&self))
    }
}
impl Gives for f64 {
    fn got(self) -> Got {
        Got::Number(self.to_bits())
    }
}
impl<T: Gives> Gives for Vec<T> {
    fn got(self) -> Got {
        Got::List(self.into_iter().map(T::got).collect())
    }
}
impl<T: Gives, U: Gives> Gives for (T, U) {
    fn got(self) -> Got {
        Got::List(vec![self.0.got(), self.1.got()])
    }
}

fn of(value: &Value) -> Got {
    match value {
        Value::Tensor(x) => x.clone().got(),
        Value::Int(i) => (i.value as f64).got(),
        Value::Float(x) => x.got(),
        Value::Bool(b) => f64::from(u8::from(*b)).got(),
        Value::List(items) => Got::List(items.iter().map(of).collect()),
        other => Got::Text(other.describe()),
    }
}

fn through_the_language(source: &str) -> Got {
    let program = Program::parse("corpus.cv", &format!("{LEAVES}{source}")).unwrap_or_else(|e| panic!("{e}"));
    let given = inputs().named();
    let mut leaf = |leaf: &covector_lang::eval::Leaf| Ok(given[leaf.name.as_str()].clone());
    let record = program.run(&BTreeMap::new(), &mut leaf).unwrap_or_else(|e| panic!("{e}"));
    of(&record.last.expect("the program ends with a value").0)
}

type Entry = (&'static str, fn(&In) -> Got);

macro_rules! corpus {
    ($name:ident: $($source:expr => |$v:ident| $rust:expr;)*) => {
        const $name: &[Entry] = &[$(($source, |$v: &In| Gives::got($rust))),*];
    };
}

include!("corpus/entries.rs");

#[test]
fn two_hundred_programs_give_the_bits_of_rust() {
    let all: Vec<&Entry> = TABLES.iter().flat_map(|t| t.iter()).collect();
    let distinct: std::collections::BTreeSet<&str> = all.iter().map(|e| e.0).collect();
    assert!(distinct.len() >= 200, "{}", distinct.len());
    assert_eq!(distinct.len(), all.len(), "an entry stands twice");
    let v = inputs();
    let mut wrong = Vec::new();
    for (source, rust) in all {
        let (through, direct) = (through_the_language(source), rust(&v));
        if through != direct {
            wrong.push(format!("{source}\n  language {through:?}\n  rust     {direct:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The table can tell: bits that differ, shapes and dtypes alike, are seen.
#[test]
fn a_difference_in_one_bit_is_seen() {
    let v = inputs();
    assert_ne!((&v.a + &v.b).got(), (&v.a + &v.b * 1.000_001).got());
    assert_ne!(v.a.clone().got(), v.a.cast(DType::F64).got());
    assert_ne!(v.a.clone().got(), v.a.reshape([3, 2]).got());
}

/// All programs check with symbols too.
#[test]
fn all_programs_check() {
    for (source, _) in TABLES.iter().flat_map(|t| t.iter()) {
        let program = Program::parse("corpus.cv", &format!("{LEAVES}{source}")).unwrap_or_else(|e| panic!("{e}"));
        program.check(&BTreeMap::new()).unwrap_or_else(|e| panic!("{source}\n{e}"));
    }
}

fn axis(i: isize) -> Axis {
    Axis(i)
}

fn int(list: &[i64]) -> Ints {
    Ints::from(list.to_vec())
}
