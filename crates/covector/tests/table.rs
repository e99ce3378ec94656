//! The elementwise table: derivatives against central differences to second order, the scalar engine against tensors,
//! and values at kinks, ties and edges.

use covector::registry::{self, Arg, OpDef};
use covector::*;

/// An op at one of its samples, as a function of its float tensors.
struct Case {
    op: &'static OpDef,
    args: Vec<Arg>,
    x: Vec<Tensor>,
}

fn float(arg: &Arg) -> Option<&Tensor> {
    match arg {
        Arg::Tensor(t) if t.dtype().is_float() => Some(t),
        _ => None,
    }
}

impl Case {
    /// Those with floats on both sides.
    fn all() -> impl Iterator<Item = Case> {
        let ops = registry::all().filter(|op| ["elementwise", "activation"].contains(&op.family()));
        let cases = ops.flat_map(|op| {
            (op.samples)().into_iter().map(move |sample| {
                let x = sample.args.iter().filter_map(float).cloned().collect();
                Case { op, args: sample.args, x }
            })
        });
        cases.filter(|case| !case.x.is_empty() && case.call(&case.x).dtype().is_float())
    }

    fn call(&self, x: &[Tensor]) -> Tensor {
        let mut x = x.iter();
        let place = |arg: &Arg| if float(arg).is_some() { Arg::Tensor(x.next().unwrap().clone()) } else { arg.clone() };
        self.op.apply(self.args.iter().map(place).collect()).unwrap_or_else(|e| e.raise()).swap_remove(0)
    }

    /// A number that depends on every element of the result.
    fn weighed(&self, x: &[Tensor]) -> Tensor {
        let y = self.call(x);
        (&y * weights(y.shape(), 0.3)).sum(..)
    }
}

fn weights(shape: &Shape, salt: f64) -> Tensor {
    let numbers: Vec<f64> = (0..shape.size()).map(|i| ((i as f64 + 1.0) * 1.7 + salt).sin()).collect();
    Tensor::from_slice(&numbers, shape.clone())
}

fn weights_like(x: &[Tensor], salt: f64) -> Vec<Tensor> {
    x.iter().enumerate().map(|(i, x)| weights(x.shape(), salt + i as f64)).collect()
}

/// The derivative of a scalar function along `t`.
fn difference(f: &dyn Fn(&Vec<Tensor>) -> Tensor, x: &[Tensor], t: &[Tensor]) -> f64 {
    let at = |h: f64| f(&x.iter().zip(t).map(|(x, t)| x + t * h).collect()).to_f64();
    (at(6e-6) - at(-6e-6)) / 1.2e-5
}

fn inner(a: &[Tensor], b: &[Tensor]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a * b).sum(..).to_f64()).sum()
}

#[track_caller]
fn assert_close(got: f64, wanted: f64, relative: f64, what: &str) {
    let near = (got - wanted).abs() <= relative * wanted.abs().max(1.0);
    assert!(near || (got.is_nan() && wanted.is_nan()) || got == wanted, "{what}: {got:e} instead of {wanted:e}");
}

/// Both modes of `f` against central differences.
fn check(f: &dyn Fn(&Vec<Tensor>) -> Tensor, x: &Vec<Tensor>, what: &str) {
    let t = weights_like(x, 0.9);
    let wanted = difference(f, x, &t);
    assert_close(jvp(f, x, &t).1.to_f64(), wanted, 1e-6, &format!("{what}, forward"));
    assert_close(inner(&grad(f)(x), &t), wanted, 1e-6, &format!("{what}, reverse"));
}

#[test]
fn both_modes_agree_with_central_differences_to_second_order() {
    for case in Case::all() {
        // Derivatives that are zero are checked like any other; one that is cut on purpose differs.
        if case.op.note("derivative").is_some_and(|why| why.starts_with("cut")) {
            continue;
        }
        let f = |x: &Vec<Tensor>| case.weighed(x);
        check(&f, &case.x, case.op.name);
        if case.op.note("derivative").is_none() {
            let t = weights_like(&case.x, 0.2);
            let slope = |x: &Vec<Tensor>| {
                let g = grad(f)(x);
                g.iter().zip(&t).map(|(g, t)| (g * t).sum(..)).reduce(|a, b| a + b).unwrap()
            };
            check(&slope, &case.x, &format!("{}, second order", case.op.name));
        }
    }
}

/// Leaves on the tape for every element of every tensor.
fn leaves<'t>(tape: &'t scalar::Tape, x: &[Tensor]) -> Vec<Vec<scalar::Value<'t>>> {
    x.iter().map(|x| x.to_vec::<f64>().into_iter().map(|v| tape.value(v)).collect()).collect()
}

#[test]
fn the_scalar_engine_has_the_same_values_and_derivatives() {
    for case in Case::all().filter(|case| case.op.note("derivative").is_none()) {
        let name = case.op.name;
        let f = |x: &Vec<Tensor>| case.weighed(x);
        let marked: Vec<Tensor> = case.x.iter().map(Tensor::requires_grad).collect();
        let tape = scalar::Tape::new();
        let values = leaves(&tape, &case.x);
        let all = values.concat();
        let pairs: Vec<_> = marked.iter().zip(&values).map(|(x, v)| (x, &v[..])).collect();
        let y = scalar::explode(&f(&marked), &pairs)[0];
        assert_close(y.data(), f(&case.x).to_f64(), 1e-13, name);

        let wanted: Vec<f64> = grad(f)(&case.x).iter().flat_map(|g| g.to_vec::<f64>()).collect();
        let (numbers, recorded) = (y.backward(), y.gradients(&all));
        for ((v, wanted), recorded) in all.iter().zip(&wanted).zip(&recorded) {
            assert_close(numbers.of(*v), *wanted, 1e-13, name);
            assert_close(recorded.data(), *wanted, 1e-13, name);
            assert_close(y.jvp(&[(*v, 1.0)]), *wanted, 1e-13, name);
        }

        let t: Vec<f64> = (0..all.len()).map(|i| (i as f64 + 0.5).cos()).collect();
        let slope: scalar::Value = recorded.iter().zip(&t).map(|(g, t)| *g * *t).sum();
        let mut rest = t.iter().copied();
        let directions: Vec<Tensor> = (case.x.iter())
            .map(|x| Tensor::from_slice(&rest.by_ref().take(x.size()).collect::<Vec<f64>>(), x.shape().clone()))
            .collect();
        let second = jvp(grad(f), &case.x, &directions).1;
        let second: Vec<f64> = second.iter().flat_map(|g| g.to_vec::<f64>()).collect();
        let found = slope.backward();
        for (v, wanted) in all.iter().zip(&second) {
            assert_close(found.of(*v), *wanted, 1e-11, &format!("{name}, second order"));
        }
    }
}

#[test]
fn every_record_prints_its_derivative() {
    let formula = |op: &rule_book::Elementwise, names: &[&str]| {
        op.formulas(names).unwrap().iter().map(Formula::to_string).collect::<Vec<_>>().join("; ")
    };
    use ops::elementwise::table;
    assert_eq!(formula(&table::tanh, &["x"]), "1 - y²");
    assert_eq!(formula(&table::sigmoid, &["x"]), "y·(1 - y)");
    assert_eq!(formula(&table::acosh, &["x"]), "rsqrt(x - 1)·rsqrt(x + 1)");
    assert_eq!(formula(&table::divide, &["a", "b"]), "1 / b; -y / b");
    assert_eq!(formula(&table::maximum, &["a", "b"]), "tie_share(a, b, 1); tie_share(b, a, 1)");
    assert_eq!(formula(&table::relu, &["x"]), "where(x > 0, 1, 0)");
}

/// The derivative of an op at one number.
fn slope(op: &str, x: f64) -> f64 {
    let op = registry::find(op).unwrap();
    grad(|x: &Tensor| op.apply(vec![x.into()]).unwrap().swap_remove(0))(&Tensor::from(x)).to_f64()
}

#[test]
fn derivatives_at_kinks_are_those_documented() {
    for op in ["abs", "relu", "sign"] {
        assert_eq!(slope(op, 0.0), 0.0, "{op}");
    }
    let half = |f: fn(&Tensor, &Tensor) -> Tensor| {
        let g = grad(|(a, b): &(Tensor, Tensor)| f(a, b))(&(Tensor::from(1.5f64), Tensor::from(1.5f64)));
        assert_eq!((g.0.to_f64(), g.1.to_f64()), (0.5, 0.5));
    };
    half(|a, b| a.maximum(b));
    half(|a, b| a.minimum(b));
    let at_zero = |f: fn(&Tensor) -> Tensor| grad(f)(&Tensor::from(0.0f64)).to_f64();
    assert_eq!(at_zero(|x| x.leaky_relu(0.1)), 0.1);
    assert_eq!(at_zero(|x| x.elu(0.7)), 0.7);
    assert_eq!(at_zero(|x| x.clip(Some(0.0), None)), 0.5);
    assert_eq!(at_zero(|x| x.hypot(0.0)), 0.0);
    assert_eq!(at_zero(|x| x.atan2(0.0)), 0.0);
    // A choice is not a product: what is not chosen may be infinite.
    let below = grad(|x: &Tensor| x.maximum(0.0).sqrt())(&Tensor::from(-1.0f64));
    assert_eq!(below.to_f64(), 0.0);
}

#[test]
fn powers_have_the_derivatives_that_exist() {
    let by_base = |x: f64, p: f64| grad(|x: &Tensor| x.pow(p))(&Tensor::from(x)).to_f64();
    let by_exponent = |x: f64, p: f64| grad(|p: &Tensor| Tensor::from(x).pow(p))(&Tensor::from(p)).to_f64();
    assert_eq!([by_base(0.0, 0.0), by_base(0.0, 1.0), by_base(0.0, 2.0)], [0.0, 1.0, 0.0]);
    assert_eq!([by_base(-2.0, 3.0), by_base(-2.0, 0.0), by_base(0.0, 0.5)], [12.0, 0.0, f64::INFINITY]);
    assert_eq!([by_exponent(0.0, 2.0), by_exponent(0.0, 0.0), by_exponent(1.0, 3.0)], [0.0, 0.0, 0.0]);
    assert_eq!(by_exponent(2.0, 3.0), 8.0 * 2f64.ln());
    let orders = |x: f64, p: f64| {
        let f = move |x: &Tensor| x.pow(p);
        let x = Tensor::from(x);
        [grad(f)(&x).to_f64(), grad(grad(f))(&x).to_f64(), grad(grad(grad(f)))(&x).to_f64()]
    };
    assert_eq!(orders(0.0, 2.0), [0.0, 2.0, 0.0]);
    assert_eq!(orders(0.0, 3.0), [0.0, 0.0, 6.0]);
    assert_eq!(orders(-1.0, 3.0), [3.0, -6.0, 6.0]);
    assert_eq!(orders(0.0, 0.0), [0.0; 3]);
    assert_eq!(Tensor::from([2, -3]).pow(3).to_vec::<i64>(), [8, -27]);
}

#[test]
fn powers_by_common_numbers_are_products() {
    let x = Tensor::from([-3.7f64, -1.0, -0.0, 0.0, 0.3, 1e100, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
    let exponent = |p: f64| Tensor::from([p; 9]);
    for (p, made) in [(2.0, x.square()), (3.0, x.square() * &x), (-1.0, x.reciprocal())] {
        let by_number = x.pow(p);
        let flops = |y: &Tensor| y.explain().steps.iter().map(|step| step.flops).sum::<u64>();
        assert_eq!(flops(&by_number), flops(&made), "{p}");
        let bits = |y: &Tensor| y.to_vec::<f64>().into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(&by_number), bits(&made), "{p}");
        for (near, power) in by_number.to_vec::<f64>().into_iter().zip(x.pow(exponent(p)).to_vec::<f64>()) {
            assert!(
                near == power || near.is_nan() && power.is_nan() || ((near - power) / power).abs() < 4.5e-16,
                "{p}"
            );
        }
    }
    assert_eq!(Tensor::from([2, -1]).pow(-1).to_vec::<i64>(), [0, -1]);
    assert_eq!(Tensor::from([true, false]).pow(2).dtype(), DType::I64);
    assert_eq!(Tensor::from([2, 3]).pow(2.0).dtype(), DType::F32);
}

#[test]
fn derivatives_are_finite_where_they_should_be() {
    let finite = ["tanh", "sigmoid", "softplus", "relu", "selu", "gelu", "gelu_tanh", "silu", "mish", "atan", "asinh"];
    for op in finite.into_iter().chain(["erf", "erfc", "abs", "square"]) {
        for x in [-1e18, -1e3, -50.0, -1e-300, 1e-300, 50.0, 1e3, 1e18] {
            let f = registry::find(op).unwrap();
            for dtype in [DType::F64, DType::F32] {
                let x = Tensor::scalar(x, dtype);
                let call = |x: &Tensor| f.apply(vec![x.into()]).unwrap().swap_remove(0);
                let (first, second) = (grad(call)(&x).to_f64(), grad(grad(call))(&x).to_f64());
                assert!(first.is_finite() && second.is_finite(), "{op} at {x:?} {x}: {first} {second}", x = x.to_f64());
            }
        }
    }
    assert_eq!(slope("asinh", 1e200), 1e-200);
    assert_eq!(slope("expm1", -40.0), (-40f64).exp());
}

#[test]
fn activations_end_where_they_should() {
    let at = |op: &str, x: f64| registry::find(op).unwrap().apply(vec![Tensor::from(x).into()]).unwrap()[0].to_f64();
    for op in ["relu", "gelu", "gelu_tanh", "silu", "mish", "softplus", "sigmoid"] {
        assert_eq!(at(op, f64::NEG_INFINITY), 0.0, "{op}");
        assert!(at(op, f64::NAN).is_nan(), "{op}");
    }
    for op in ["relu", "gelu", "gelu_tanh", "silu", "mish", "softplus", "selu"] {
        assert_eq!(at(op, f64::INFINITY), f64::INFINITY, "{op}");
        assert_eq!(at(op, 1e6).round(), if op == "selu" { 1050701.0 } else { 1e6 }, "{op}");
    }
    // The tails keep their digits.
    assert_close(at("softplus", -40.0) / (-40f64).exp(), 1.0, 1e-15, "softplus");
    assert_close(at("gelu", -10.0) / -7.619853024160527e-23, 1.0, 1e-13, "gelu");
    assert_close(at("mish", -40.0) / (-40.0 * (-40f64).exp()), 1.0, 1e-15, "mish");
}

#[test]
fn polygamma_and_digamma_keep_their_digits() {
    for (x, n, wanted) in POLYGAMMA {
        let got = Tensor::from(x).polygamma(n).to_f64();
        assert!(((got - wanted) / wanted).abs() < 1e-13, "polygamma({x}, {n}) = {got:e} instead of {wanted:e}");
    }
    for (x, wanted) in DIGAMMA {
        let got = Tensor::from(x).digamma().to_f64();
        assert!(((got - wanted) / wanted).abs() < 1e-13, "digamma({x}) = {got:e} instead of {wanted:e}");
    }
    let x = Tensor::from(1.0f64);
    let fifth = grad(grad(grad(grad(grad(Tensor::digamma)))))(&x).to_f64();
    assert_eq!(fifth, x.polygamma(5).to_f64());
    assert!(x.polygamma(0.5).to_f64().is_nan() && x.polygamma(-1).to_f64().is_nan());
    assert_eq!(Tensor::from(-2.0f64).polygamma(1).to_f64(), f64::INFINITY);
}

#[test]
fn integers_stay_integers_where_they_can() {
    let x = Tensor::from([-7i64, 0, 300]);
    assert_eq!(x.clip(Some(-1.0), Some(256.0)).to_vec::<i64>(), [-1, 0, 256]);
    assert_eq!(x.clip(Some(-0.5), None).dtype(), DType::F32);
    assert_eq!(Tensor::from([3u8, 250]).clip(Some(-5.0), Some(1e6)).to_vec::<u8>(), [3, 250]);
    for rounded in [x.floor(), x.ceil(), x.round(), x.trunc(), x.relu().minimum(&x)] {
        assert_eq!(rounded.dtype(), DType::I64);
    }
    assert_eq!(Tensor::from([true, false]).floor().to_vec::<i64>(), [1, 0]);
    assert_eq!(x.sigmoid().dtype(), DType::F32);
    let message = Tensor::from([1.0f32]).try_bitwise_and(1).unwrap_err().to_string();
    assert!(message.contains("bitwise_and: takes integers or bool"), "{message}");
}

/// Arguments, orders and values, by mpmath to 40 digits.
const POLYGAMMA: [(f64, f64, f64); 13] = [
    (0.001, 1.0, 1000001.6425331958),
    (0.5, 1.0, 4.934802200544679),
    (1.0, 2.0, -2.4041138063191885),
    (3.7, 3.0, 0.058279217956563614),
    (12.5, 4.0, -0.00028769142258538706),
    (100.0, 7.0, 7.455359496158328e-12),
    (10000.0, 2.0, -1.000100005e-08),
    (-0.3, 1.0, 13.945160267805722),
    (-0.3, 2.0, 67.63908119988317),
    (-7.25, 3.0, 1558.5411952034044),
    (-1e-09, 1.0, 9.999999999999999e+17),
    (-123.4, 2.0, 22.276231946049222),
    (2.5, 30.0, -1.2232990235199246e+20),
];

/// The same for digamma, its root among them.
const DIGAMMA: [(f64, f64); 7] = [
    (1.4616321449683622, -9.241265521729427e-17),
    (1.46, -0.0015805619870834522),
    (1.5, 0.03648997397857652),
    (-1e-20, 1e+20),
    (-0.25, 2.9141391202135276),
    (-1234.5678, 6.439415219013654),
    (1e-300, -9.999999999999999e+299),
];
