//! Plain numbers as an algebra: the rule book evaluated, nothing recorded.

/// An f64 with the ops of the elementwise table; truth values are 0 and 1.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Number(pub f64);

impl From<f64> for Number {
    fn from(x: f64) -> Self {
        Number(x)
    }
}
impl From<&Number> for Number {
    fn from(x: &Number) -> Self {
        *x
    }
}
super::operators!(Number);
