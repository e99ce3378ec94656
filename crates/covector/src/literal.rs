//! The macro [`tensor!`](crate::tensor): nested literals with the default dtypes f32, i64 and bool.

use crate::{Nested, Tensor};

/// Nested arrays whose elements are of the default types: what makes an unsuffixed float literal an f32.
#[diagnostic::on_unimplemented(
    message = "`tensor!` takes numbers of type f32, i64 and bool, not `{Self}`",
    note = "for other element types use `Tensor::new(&[..])`, which keeps the type of its numbers"
)]
pub trait Literal: Nested {}

impl Literal for f32 {}
impl Literal for i64 {}
impl Literal for bool {}
impl<T: Literal, const N: usize> Literal for [T; N] {}

/// What [`tensor!`](crate::tensor) calls.
#[track_caller]
pub fn literal(x: impl Literal) -> Tensor {
    Tensor::new(&x)
}

/// A constant from nested literals: floats are f32, integers i64, truth values bool.
///
/// For other types cast, or use [`Tensor::new`](crate::Tensor::new), which keeps the type of its numbers (and takes a
/// plain `1.0` for an f64, as Rust does).
///
/// ```
/// use covector::{DType, tensor};
/// let x = tensor![[1., 2.], [3., 4.]];
/// assert_eq!((x.dtype(), &x.shape()[..]), (DType::F32, &[2, 2][..]));
/// assert_eq!(tensor![1, 2, 3].dtype(), DType::I64);
/// assert_eq!(tensor![true, false].dtype(), DType::Bool);
/// assert_eq!(tensor![].shape()[..], [0]);
/// ```
#[macro_export]
macro_rules! tensor {
    () => { $crate::literal([0f32; 0]) };
    ($($x:expr),+ $(,)?) => { $crate::literal([$($x),+]) };
}
