//! The mini engine of the lesson: a tape of scalars, differentiated by the same rule book as tensors.
//!
//! ```
//! use covector::scalar::Tape;
//! let tape = Tape::new();
//! let (x, w, b) = (tape.value(2.0), tape.value(-3.0), tape.value(0.5));
//! let y = (x * w + b).tanh();
//! let grads = y.backward();
//! assert_eq!(y.data(), -0.9999665971563038);
//! assert_eq!(grads.of(x), -0.0002004137149276275);
//! ```

mod draw;
mod explode;
mod number;
mod tape;

pub use explode::{explode, try_explode};
pub use number::Number;
pub use tape::{Gradients, Tape, Value};

/// `+ - * /` and negation for an algebra, between values, references and f64, as ops of the table.
macro_rules! operators {
    ($A:ty $(, $t:lifetime)?) => {
        $crate::scalar::operators!(@binary $A, Add add add $(, $t)?);
        $crate::scalar::operators!(@binary $A, Sub sub subtract $(, $t)?);
        $crate::scalar::operators!(@binary $A, Mul mul multiply $(, $t)?);
        $crate::scalar::operators!(@binary $A, Div div divide $(, $t)?);
        impl $(<$t>)? std::ops::Neg for $A {
            type Output = $A;
            #[inline(always)]
            fn neg(self) -> $A { self.negative() }
        }
        impl $(<$t>)? std::ops::Neg for &$A {
            type Output = $A;
            #[inline(always)]
            fn neg(self) -> $A { self.negative() }
        }
    };
    (@binary $A:ty, $trait:ident $method:ident $op:ident $(, $t:lifetime)?) => {
        impl<$($t,)? R: Into<$A>> std::ops::$trait<R> for $A {
            type Output = $A;
            #[inline(always)]
            fn $method(self, other: R) -> $A { <$A>::$op(&self, other) }
        }
        impl<$($t,)? R: Into<$A>> std::ops::$trait<R> for &$A {
            type Output = $A;
            #[inline(always)]
            fn $method(self, other: R) -> $A { <$A>::$op(self, other) }
        }
        impl $(<$t>)? std::ops::$trait<$A> for f64 {
            type Output = $A;
            #[inline(always)]
            fn $method(self, other: $A) -> $A { <$A>::$op(&<$A>::from(self), other) }
        }
        impl $(<$t>)? std::ops::$trait<&$A> for f64 {
            type Output = $A;
            #[inline(always)]
            fn $method(self, other: &$A) -> $A { <$A>::$op(&<$A>::from(self), other) }
        }
    };
}
pub(crate) use operators;
