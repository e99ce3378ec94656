//! A primitive of one's own has every transformation, and the checks find a rule that is wrong.

use covector::kernels::Inputs;
use covector::*;
use covector_check::{Tolerance, check_adjoint, check_first_order, check_second_order, check_vmap};

/// x³, with a factor in its derivative that is 3 when right.
#[derive(Clone, Debug, Hash)]
struct Cube {
    factor: u64,
}

impl Primitive for Cube {
    fn name(&self) -> &'static str {
        "cube"
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        if x[0].dtype != DType::F64 {
            return Err(Error::new(format!("takes f64, not {}", x[0].dtype)));
        }
        Ok(x[0].clone())
    }
    fn run(&self, x: Inputs, out: &Spec) -> Result<Array> {
        let cubes: Vec<f64> = x[0].to_vec::<f64>().iter().map(|v| v * v * v).collect();
        Ok(Array::from_slice(&cubes, &out.shape))
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Rules(self)
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(self.clone(), [x[0].clone()])
    }
}

impl Differentiable for Cube {
    fn jvp(&self, x: &[Tensor], _: &Tensor, t: &[Option<Tensor>]) -> Tensor {
        t[0].as_ref().expect("one operand") * x[0].square() * self.factor as f64
    }
    fn vjp(&self, x: &[Tensor], _: &Tensor, cotangent: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![Some(cotangent * x[0].square() * self.factor as f64)]
    }
}

fn cube(factor: u64) -> impl Fn(&Vec<Tensor>) -> Vec<Tensor> {
    move |x: &Vec<Tensor>| vec![Tensor::apply(Cube { factor }, [x[0].clone()]).unwrap_or_else(|e| e.raise())]
}

#[test]
fn an_own_primitive_differentiates_batches_and_nests() {
    let x = [Tensor::from([0.5f64, -1.5, 2.0])];
    check_first_order(&cube(3), &x).unwrap();
    check_adjoint(&cube(3), &x).unwrap();
    check_second_order(&cube(3), &x).unwrap();
    check_vmap(&cube(3), &x, Tolerance::EXACT).unwrap();
    let f = |x: &Tensor| cube(3)(&vec![x.clone()])[0].sum(..);
    let third = grad(|x: &Tensor| grad(|x: &Tensor| grad(f)(x).sum(..))(x).sum(..))(&x[0]);
    assert_eq!(third.to_vec::<f64>(), [6.0, 6.0, 6.0]);
}

#[test]
fn a_wrong_rule_is_found() {
    let x = [Tensor::from([0.5f64, -1.5, 2.0])];
    assert!(check_first_order(&cube(2), &x).is_err());
    assert!(check_second_order(&cube(2), &x).is_err());
}

#[test]
fn a_refusal_names_the_primitive() {
    let e = Tensor::apply(Cube { factor: 3 }, [Tensor::from(1.0f32)]).unwrap_err();
    assert_eq!((e.op(), e.message()), (Some("cube"), "takes f64, not f32"));
}
