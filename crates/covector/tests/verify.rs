//! `set_verify` finds a fused kernel that does not compute what its primitive does.

use covector::kernels::{Inputs, Kernel};
use covector::*;

/// Doubles; its kernel for passes with others multiplies by `factor`, which is 2 when right.
#[derive(Clone, Debug, Hash)]
struct Double {
    right: bool,
}

impl Primitive for Double {
    fn name(&self) -> &'static str {
        "double"
    }
    fn class(&self) -> Class {
        Class::Elementwise
    }
    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        Ok(x[0].clone())
    }
    fn run(&self, x: Inputs, out: &Spec) -> Result<Array> {
        let doubles: Vec<f64> = x[0].to_vec::<f64>().iter().map(|v| v * 2.0).collect();
        Ok(Array::from_slice(&doubles, out.shape.clone()))
    }
    fn fused(&self, _: DType) -> Fused<'_> {
        Fused::Map(if self.right { Kernel::unary(|v: f64| v * 2.0) } else { Kernel::unary(|v: f64| v * 2.0 + 1e-15) })
    }
    fn derivative(&self) -> Derivative<'_> {
        Derivative::Zero("not asked for here")
    }
    fn batch(&self, x: &[Tensor], _: &[bool], _: usize) -> Result<Tensor> {
        Tensor::apply(self.clone(), [x[0].clone()])
    }
}

#[test]
fn a_fused_kernel_that_computes_something_else_is_found() {
    let double = |right: bool| Tensor::apply(Double { right }, [Tensor::from([0.1f64, 0.7]) + 1.0]).unwrap();
    // By itself the primitive runs as `run` says; only with a neighbour does its kernel count.
    set_verify(true);
    assert_eq!(double(true).square().try_value().unwrap().to_vec::<f64>(), [2.2 * 2.2, 3.4 * 3.4]);
    let y = double(false).square();
    let line = line!() - 1;
    let error = y.try_value().unwrap_err().to_string();
    assert!(error.contains("square: the fused plan and one primitive at a time give different bits"), "{error}");
    assert!(error.contains(&format!("verify.rs:{line}")), "{error}");
    set_verify(false);
    assert!(double(false).square().try_value().is_ok());
}
