//! `#[op]` and `op_list!` against a small stand-in for covector.

#![deny(warnings, clippy::all, missing_docs)]

extern crate self as covector;

#[allow(dead_code, unused_imports)]
#[path = "covector/mod.rs"]
mod mock;

use mock::registry::{Arg, Args, LAST, Param};
use mock::*;

/// The ops under test.
pub mod ops {
    use covector_derive::{op, op_list};

    use crate::{Axis, Fault, Operand, Result, Tensor};

    /// Sum along `axis`.
    ///
    /// Of everything, here.
    #[op(samples = [(real(2), -1), (real(3), 0)])]
    pub fn sum(x: &Tensor, axis: Axis) -> Result<Tensor> {
        if axis.0 > 0 {
            return Err(Fault(format!("no axis {}", axis.0)));
        }
        Ok(Tensor::new(&[x.values.iter().sum()]))
    }

    /// Elements by a mask, which has the name of the op.
    #[op(
        samples = [(real(1), real(1), real(1))],
        name = "choose",
        notes = "Kinks nowhere.",
    )]
    pub fn where_(where_: &Tensor, x1: &Tensor, x2: &Tensor) -> Result<Tensor> {
        Ok(if where_.values[0] > 0.0 { x1.clone() } else { x2.clone() })
    }

    /// Joins.
    #[op(samples = [(vec![real(1), real(2)], "end", None), (vec![], "end", Some(real(1)))])]
    pub fn concat(operands: &[Tensor], spec: &str, args: Option<&Tensor>) -> Result<Tensor> {
        let parts = operands.iter().chain(args).flat_map(|x| x.values.clone());
        let mut values: Vec<f64> = parts.collect();
        values.push(spec.len() as f64);
        Ok(Tensor::new(&values))
    }

    /// Both halves.
    #[op(samples = [(real(2), 1_usize, Some(2.0), None)], method = false)]
    #[allow(clippy::cast_precision_loss)]
    pub fn split(x: &Tensor, at: usize, scale: Option<f64>, mode: Option<&str>) -> Result<(Tensor, Tensor)> {
        let (a, b) = x.values.split_at(at);
        let scale = scale.unwrap_or(mode.map_or(1.0, |mode| mode.len() as f64));
        let scaled = |part: &[f64]| Tensor::new(&part.iter().map(|x| x * scale).collect::<Vec<_>>());
        Ok((scaled(a), scaled(b)))
    }

    /// Sum of two.
    #[op(samples = [(real(2), real(2)), (real(2), 1.5)])]
    pub fn add(x1: &Tensor, x2: Operand) -> Result<Tensor> {
        let other = |i: usize| match &x2 {
            Operand::Tensor(x2) => x2.values[i],
            Operand::Float(number) => *number,
        };
        let values: Vec<f64> = x1.values.iter().enumerate().map(|(i, x)| x + other(i)).collect();
        Ok(Tensor::new(&values))
    }

    /// One.
    #[op(samples = [()])]
    pub fn one() -> Result<Tensor> {
        Ok(Tensor::new(&[1.0]))
    }

    macro_rules! table {
        ($($(#[$meta:meta])* $name:ident($ty:ty) = $sample:expr, $body:expr;)*) => {$(
            $(#[$meta])*
            #[op(samples = [($sample, 1.0)])]
            pub fn $name(x: $ty, by: f64) -> Result<Tensor> {
                let each: fn(f64, f64) -> f64 = $body;
                Ok(Tensor::new(&x.values.iter().map(|x| each(*x, by)).collect::<Vec<_>>()))
            }
        )*};
    }

    table! {
        /// `x + by`.
        shift(&Tensor) = real(2), |x, by| x + by;
        /// `x * by`.
        scale(&Tensor) = real(2), |x, by| x * by;
    }

    op_list![sum, where_, concat, split, one, add, shift, scale];
}

/// An op that is in no `op_list!`: its list entry is dead code, and nothing else is.
#[expect(dead_code)]
pub mod unlisted {
    use covector_derive::op;

    use crate::{Result, Tensor};

    /// Two.
    #[op(samples = [()])]
    pub fn two() -> Result<Tensor> {
        Ok(Tensor::new(&[2.0]))
    }
}

use ops::*;

fn x() -> Tensor {
    Tensor::new(&[1.0, 2.0])
}

/// Name, line and operand sizes of the last op.
fn last() -> (&'static str, u32, Vec<usize>) {
    let (name, line, operands) = LAST.take().expect("an op was entered");
    (name, line, operands.iter().map(|spec| spec.0).collect())
}

#[test]
fn the_four_forms_agree() {
    let expected = Tensor::new(&[3.0]);
    assert_eq!(sum(&x(), -1), expected);
    assert_eq!(try_sum(&x(), Axis(0)).unwrap(), expected);
    assert_eq!(x().sum(0), expected);
    assert_eq!(x().try_sum(0).unwrap(), expected);
    assert_eq!(x().try_sum(1).unwrap_err().0, "no axis 1");
    assert_eq!(x().where_(&expected, &x()), expected);
    assert_eq!(x().try_shift(1.0).unwrap(), Tensor::new(&[2.0, 3.0]));
}

#[test]
fn call_sites_are_those_of_the_user() {
    let x = x();
    let line = line!() + 1;
    sum(&x, 0);
    assert_eq!(last(), ("sum", line, vec![2]));
    try_sum(&x, 0).unwrap();
    assert_eq!(last(), ("sum", line + 2, vec![2]));
    x.sum(0);
    assert_eq!(last(), ("sum", line + 4, vec![2]));
    x.try_sum(0).unwrap();
    assert_eq!(last(), ("sum", line + 6, vec![2]));
}

#[test]
fn a_panic_is_at_the_line_of_the_user() {
    let line = line!() + 1;
    let payload = std::panic::catch_unwind(|| x().sum(7)).unwrap_err();
    let message = payload.downcast::<String>().expect("faults panic with text");
    assert_eq!(*message, format!("{}:{line}: no axis 7", file!()));
}

#[test]
fn operands_are_the_tensors_of_every_parameter() {
    concat(&[x(), one()], "end", Some(&x()));
    assert_eq!(last().2, [2, 1, 2]);
    concat(&[x()], "end", None);
    assert_eq!(last().2, [2]);
    assert_eq!(x().add(&x()), Tensor::new(&[2.0, 4.0]));
    assert_eq!(last().2, [2, 2]);
    x().add(1.0);
    assert_eq!(last().2, [2]);
    one();
    assert_eq!((last().0, OPS[4].name), ("one", "one"));
}

#[test]
fn the_record_describes_the_op() {
    let [sum, where_, concat, split, ..] = OPS else { panic!("eight ops are listed") };
    assert_eq!((sum.name, where_.name, where_.notes), ("sum", "choose", "Kinks nowhere."));
    assert_eq!(sum.doc, "Sum along `axis`.\n\nOf everything, here.");
    assert_eq!((sum.module, sum.file), ("op::ops", file!()));
    assert_eq!((sum.outputs, split.outputs), ("Tensor", "(Tensor, Tensor)"));
    let described = |op: &registry::OpDef| {
        let param = |p: &Param| format!("{}: {}{}", p.name, p.kind, if p.optional { "?" } else { "" });
        op.params.iter().map(param).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(described(sum), "x: Tensor, axis: Axis");
    assert_eq!(described(concat), "operands: [Tensor], spec: str, args: Tensor?");
    assert_eq!(described(split), "x: Tensor, at: usize, scale: f64?, mode: str?");
}

#[test]
fn records_run_their_samples() {
    for op in OPS {
        for sample in (op.samples)() {
            assert_eq!(sample.0.len(), op.params.len());
            let outputs = (op.call)(&mut Args::new(sample.0)).expect(op.name);
            assert_eq!(outputs.len(), if op.outputs == "Tensor" { 1 } else { 2 });
        }
    }
    let call = |args: Vec<Arg>| (OPS[0].call)(&mut Args::new(args)).map_err(|fault| fault.0);
    assert_eq!(call(vec![x().into()]), Err("`axis` is missing".to_owned()));
    assert_eq!(call(vec![x().into(), 5.into()]), Err("no axis 5".to_owned()));
    let extra = call(vec![x().into(), 0.into(), 5.into()]);
    assert_eq!(extra, Err("Integer(5) is left over".to_owned()));
}
