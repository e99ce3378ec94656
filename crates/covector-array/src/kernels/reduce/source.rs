//! Element types as reductions read them: numbers as they are, halves as f32.

use crate::kernels::cast_kernel;
use crate::math::Num;
use crate::{Element, bf16, f16};

/// An element type that is combined in the numbers of `Seen`.
pub(super) trait Source: Element {
    /// The type in which elements are combined.
    type Seen: Num;
    /// The elements as they are combined; `scratch` has room for as many.
    fn see<'a>(x: &'a [Self], scratch: &'a mut [Self::Seen]) -> &'a [Self::Seen];
    /// Where they lie, if they lie there as they are combined.
    fn place(x: *const Self) -> Option<*const Self::Seen>;
}

impl<T: Num> Source for T {
    type Seen = T;
    #[inline(always)]
    fn see<'a>(x: &'a [T], _: &'a mut [T]) -> &'a [T] {
        x
    }
    #[inline(always)]
    fn place(x: *const T) -> Option<*const T> {
        Some(x)
    }
}

macro_rules! halves {
    ($($t:ident),*) => {$(
        impl Source for $t {
            type Seen = f32;
            fn see<'a>(x: &'a [$t], scratch: &'a mut [f32]) -> &'a [f32] {
                let scratch = &mut scratch[..x.len()];
                cast_kernel($t::DTYPE, f32::DTYPE).apply(x, scratch);
                scratch
            }
            fn place(_: *const $t) -> Option<*const f32> {
                None
            }
        }
    )*};
}
halves!(f16, bf16);
