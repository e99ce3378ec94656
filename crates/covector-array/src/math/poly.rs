//! Polynomials by Horner's rule, every step fused.

/// `c0 + x (c1 + x (c2 + …))`.
macro_rules! poly {
    ($x:expr; $c:expr) => { $c };
    ($x:expr; $c:expr, $($rest:expr),+) => { $x.mul_add(poly!($x; $($rest),+), $c) };
}
pub(super) use poly;
