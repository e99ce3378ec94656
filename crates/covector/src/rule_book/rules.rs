//! Both modes of every elementwise primitive, from its partial derivatives.
//!
//! Between complex numbers the modes are adjoint in the real inner product `Re(conj(ȳ) t)`: forward mode multiplies by the
//! derivative of a holomorphic function, reverse mode by its conjugate.

use super::{Elementwise, Factor};
use crate::Tensor;
use crate::formula::Formula;
use crate::ops::complex::conjugate;
use crate::primitive::Differentiable;

impl Elementwise {
    fn partial(&self, k: usize, x: &[Tensor], y: &Tensor) -> Factor<Tensor> {
        if let (Some(partials), true) = (self.complex_partials, x[x.len() - 1].dtype().is_complex()) {
            return partials[k](x, y);
        }
        match &self.partials {
            Ok(p) => (p.tensor[k])(x, y),
            Err(_) => Factor::Number(0.0),
        }
    }
}

/// `factor * t`, or nothing where the factor is 0.
fn scale(factor: Factor<Tensor>, t: &Tensor) -> Option<Tensor> {
    match factor {
        Factor::Number(0.0) => None,
        Factor::Number(1.0) => Some(t.clone()),
        Factor::Number(-1.0) => Some(-t),
        Factor::Number(c) => Some(t * c),
        Factor::Of(f) => Some(t * f),
        Factor::When(c) => Some(c.where_(t, 0.0)),
        Factor::Unless(c) => Some(c.where_(0.0, t)),
        Factor::Share(a, b) => Some(a.tie_share(b, t)),
    }
}

/// The factor of the other mode: the adjoint of a product with a complex number is the product with its conjugate.
fn adjoint(factor: Factor<Tensor>) -> Factor<Tensor> {
    match factor {
        Factor::Of(f) if f.dtype().is_complex() => Factor::Of(conjugate(&f)),
        other => other,
    }
}

/// A real result of complex operands has a gradient instead of a derivative: the tangent is `Re(conj(gradient) t)`, the
/// cotangent `gradient ȳ`.
fn real_of_complex(x: &[Tensor], y: &Tensor) -> bool {
    x[x.len() - 1].dtype().is_complex() && !y.dtype().is_complex()
}

impl Differentiable for Elementwise {
    fn jvp(&self, x: &[Tensor], y: &Tensor, tangents: &[Option<Tensor>]) -> Tensor {
        let real = real_of_complex(x, y);
        let scaled = |factor, t: &Tensor| match real {
            true => scale(adjoint(factor), t).map(|t| t.real()),
            false => scale(factor, t),
        };
        let term = |(k, t): (usize, &Option<Tensor>)| t.as_ref().and_then(|t| scaled(self.partial(k, x, y), t));
        let terms = tangents.iter().enumerate().filter_map(term);
        terms.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::zeros_of(y.spec()))
    }

    fn vjp(&self, x: &[Tensor], y: &Tensor, cotangent: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        let real = real_of_complex(x, y);
        let factor = |k: usize| if real { self.partial(k, x, y) } else { adjoint(self.partial(k, x, y)) };
        let term = |(k, &wanted): (usize, &bool)| if wanted { scale(factor(k), cotangent) } else { None };
        wrt.iter().enumerate().map(term).collect()
    }

    fn rule(&self, names: &[&str], k: usize) -> Option<String> {
        // A step that reads one operand twice may have lost one of its names.
        let whole = self.partials.is_ok_and(|p| p.formula.len() == names.len());
        let slope = whole.then(|| self.formulas(names))??.into_iter().nth(k)?;
        Some(match slope {
            Formula::Number(1.0) => "ȳ".to_owned(),
            Formula::Number(-1.0) => "-ȳ".to_owned(),
            Formula::Number(c) => format!("{c}·ȳ"),
            slope => match (slope.to_string(), slope.is_product()) {
                (text, true) => text.strip_prefix("1 / ").map_or(format!("ȳ·{text}"), |below| format!("ȳ / {below}")),
                (text, false) => format!("ȳ·({text})"),
            },
        })
    }
}
