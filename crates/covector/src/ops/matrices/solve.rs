//! Rules of systems of equations: the derivative of a solution is the solution for a moved right side.
//!
//! Source: M. Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation".

use covector_array::kernels::MatrixOp;

use super::{h, mm, node, t};
use crate::Tensor;
use crate::ops::complex::conjugate;

/// `dX = A⁻¹ (dB - dA X)`.
pub(super) fn solve_jvp(a: &Tensor, x: &Tensor, tangents: &[Option<Tensor>]) -> Tensor {
    node(MatrixOp::Solve, &[a, &moved(x, tangents[0].as_ref(), tangents[1].as_ref())])
}

/// `dB - dA X`, of what there is.
fn moved(x: &Tensor, da: Option<&Tensor>, db: Option<&Tensor>) -> Tensor {
    match (da, db) {
        (Some(da), Some(db)) => db - mm(da, x),
        (Some(da), None) => -mm(da, x),
        (None, Some(db)) => db.clone(),
        (None, None) => unreachable!("one operand has a tangent"),
    }
}

/// `B̄ = A⁻ᴴ X̄`, `Ā = -B̄ Xᴴ`.
pub(super) fn solve_vjp(a: &Tensor, x: &Tensor, c: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
    let b = node(MatrixOp::Solve, &[&h(a), c]);
    vec![wrt[0].then(|| -mm(&b, &h(x))), wrt[1].then_some(b)]
}

/// Which triangle a system is solved with.
#[derive(Clone, Copy)]
pub(super) struct Triangle {
    pub upper: bool,
    pub transposed: bool,
    pub unit: bool,
}

impl Triangle {
    fn solve(self, a: &Tensor, b: &Tensor) -> Tensor {
        super::triangular(a, b, self.upper, self.transposed, self.unit)
    }

    /// The elements that are read.
    fn read(self, x: &Tensor) -> Tensor {
        let k = i64::from(self.unit);
        if self.upper { x.triu(k) } else { x.tril(-k) }
    }

    pub fn jvp(self, a: &Tensor, x: &Tensor, tangents: &[Option<Tensor>]) -> Tensor {
        let da = tangents[0].as_ref().map(|da| self.read(da)).map(|da| if self.transposed { t(&da) } else { da });
        self.solve(a, &moved(x, da.as_ref(), tangents[1].as_ref()))
    }

    pub fn vjp(self, a: &Tensor, x: &Tensor, c: &Tensor, wrt: &[bool]) -> Vec<Option<Tensor>> {
        let b = Triangle { transposed: !self.transposed, ..self }.solve(&conjugate(a), c);
        let moved = || if self.transposed { mm(&conjugate(x), &t(&b)) } else { mm(&b, &h(x)) };
        vec![wrt[0].then(|| -self.read(&moved())), wrt[1].then_some(b)]
    }
}
