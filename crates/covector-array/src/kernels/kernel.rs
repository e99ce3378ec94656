//! Elementwise kernels: a function of one to three elements, compiled into a loop for each instruction set.
//!
//! A loop works on short contiguous runs behind untyped pointers, so one type serves every dtype, calling it costs a
//! jump, and several can be chained over buffers that stay in the first-level cache.

use super::vectors::Function;
use crate::isa::{Isa, Work, dispatch, isa};
use crate::{DType, Element};

/// The number of elements in a run, at most: a few runs fit the first-level cache.
pub const TILE: usize = 1024;

/// Reads as many elements as the last argument says from each operand (unused ones are ignored) and writes as many.
///
/// # Safety
/// The processor must have the instruction set of the loop; operands must be readable and the result writable for that
/// many elements of the kernel's dtypes, and the result must not overlap an operand.
pub(crate) type Loop = unsafe fn(*const u8, *const u8, *const u8, *mut u8, usize);

/// A function of as many elements as the tuple `Args` has.
///
/// Closures and functions are, but what calls them is inlined only while they are short, whatever they say; a type of its
/// own with an `apply` that is `#[inline(always)]` always is.
pub trait Apply<Args>: Copy + 'static {
    /// What comes out.
    type Output;
    /// The function's value.
    fn apply(self, args: Args) -> Self::Output;
}

macro_rules! apply_closures {
    ($($($T:ident $x:ident),+;)*) => {$(
        impl<$($T,)+ O, F: Fn($($T),+) -> O + Copy + 'static> Apply<($($T,)+)> for F {
            type Output = O;
            #[inline(always)]
            fn apply(self, ($($x,)+): ($($T,)+)) -> O {
                self($($x),+)
            }
        }
    )*};
}
apply_closures! {
    T x;
    T x, U y;
    T x, U y, V z;
}

/// The function's value, by the processor's own fused multiply-adds where it has them.
#[inline(always)]
pub fn apply_fused<Args, F: Apply<Args>>(function: F, args: Args) -> F::Output {
    struct One<Args, F>(F, Args);
    impl<Args, F: Apply<Args>> Work for One<Args, F> {
        type Output = F::Output;
        #[inline(always)]
        fn run(self) -> F::Output {
            self.0.apply(self.1)
        }
    }
    dispatch(One(function, args))
}

/// By [`Isa`].
pub(super) type Loops = [Loop; 3];

/// Plain arithmetic: what processors have an instruction for, or a few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `x + y`
    Add,
    /// `x - y`
    Subtract,
    /// `x · y`
    Multiply,
    /// `x / y`
    Divide,
    /// The larger one: NaN wins, and 0 is larger than -0
    Maximum,
    /// The smaller one: NaN wins, and -0 is smaller than 0
    Minimum,
    /// `x == y`
    Equal,
    /// `x != y`
    NotEqual,
    /// `x < y`
    Less,
    /// `x <= y`
    LessEqual,
    /// `x > y`
    Greater,
    /// `x >= y`
    GreaterEqual,
    /// `x` where a bool is true, `y` elsewhere
    Select,
    /// `-x`
    Negative,
    /// `|x|`
    Absolute,
    /// `x²`
    Square,
    /// `max(x, 0)`
    Rectify,
    /// `√x`
    SquareRoot,
    /// `1 / x`
    Reciprocal,
    /// `1 / √x`, each rounded
    ReciprocalSquareRoot,
}

impl Arithmetic {
    /// The number of operands.
    pub fn operands(self) -> usize {
        use Arithmetic::*;
        match self {
            Select => 3,
            Add | Subtract | Multiply | Divide | Maximum | Minimum => 2,
            _ if self.is_comparison() => 2,
            _ => 1,
        }
    }

    /// True if the result is a bool.
    pub fn is_comparison(self) -> bool {
        use Arithmetic::*;
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }

    /// True if it costs less than reading the result would.
    pub fn is_cheap(self) -> bool {
        use Arithmetic::*;
        let is_slow = matches!(self, Divide | SquareRoot | Reciprocal | ReciprocalSquareRoot);
        // Bools take little memory, and what is chosen by them needs them too.
        !is_slow && !self.is_comparison() && self != Select
    }
}

/// An elementwise kernel.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    loops: &'static Loops,
    /// With the first operand a single element, and with the second.
    spread: Option<&'static [Loops; 2]>,
    inputs: [DType; 3],
    arity: u8,
    output: DType,
    arithmetic: Option<Arithmetic>,
    /// The loop for AVX-512, if there is a better one than the compiler's.
    vectors: Option<Loop>,
}

impl Kernel {
    /// The loop of a function of one element. It must capture nothing and be short, or say itself how it is applied: only what
    /// is inlined is vectorised.
    pub const fn unary<T: Element, O: Element, F: Apply<(T,), Output = O>>(_: F) -> Kernel {
        Kernel::new(const { &compiled::<Unary<T, O, F>>() }, &[T::DTYPE], O::DTYPE)
    }

    /// [`unary`](Self::unary) for a function of two elements.
    pub const fn binary<T: Element, U: Element, O: Element, F: Apply<(T, U), Output = O>>(_: F) -> Kernel {
        let kernel = Kernel::new(const { &compiled::<Binary<T, U, O, F>>() }, &[T::DTYPE, U::DTYPE], O::DTYPE);
        // Rows are folded and repeated in floats alone.
        if const { matches!(T::DTYPE, DType::F32 | DType::F64) } {
            let spread = const { &[compiled::<First<T, U, O, F>>(), compiled::<Second<T, U, O, F>>()] };
            return Kernel { spread: Some(spread), ..kernel };
        }
        kernel
    }

    /// The loop of a function that is [`Quick`]: of groups of elements with one it is not quick for, all are computed exactly.
    pub(super) const fn unary_by_quick<T: Element, Q: Quick<T, 1>>() -> Kernel {
        Kernel::new(const { &compiled::<ByQuick1<T, Q>>() }, &[T::DTYPE], T::DTYPE)
    }

    /// [`unary_by_quick`](Self::unary_by_quick) for a function of two elements.
    pub(super) const fn binary_by_quick<T: Element, Q: Quick<T, 2>>() -> Kernel {
        Kernel::new(const { &compiled::<ByQuick2<T, Q>>() }, &[T::DTYPE; 2], T::DTYPE)
    }

    /// [`unary`](Self::unary) for a function of three elements.
    pub const fn ternary<T: Element, U: Element, V: Element, O: Element, F: Apply<(T, U, V), Output = O>>(
        _: F,
    ) -> Kernel {
        let loops = const { &compiled::<Ternary<T, U, V, O, F>>() };
        Kernel::new(loops, &[T::DTYPE, U::DTYPE, V::DTYPE], O::DTYPE)
    }

    /// [`unary`](Self::unary), compiled for the target's basic instructions only: for what is rare.
    pub const fn plain<T: Element, O: Element, F: Fn(T) -> O + Copy + 'static>(_: F) -> Kernel {
        Kernel::new(const { &[portable::<Unary<T, O, F>> as Loop; 3] }, &[T::DTYPE], O::DTYPE)
    }

    /// [`plain`](Self::plain) for a function of two elements.
    pub const fn plain_binary<T: Element, U: Element, O: Element, F: Fn(T, U) -> O + Copy + 'static>(_: F) -> Kernel {
        let loops = const { &[portable::<Binary<T, U, O, F>> as Loop; 3] };
        Kernel::new(loops, &[T::DTYPE, U::DTYPE], O::DTYPE)
    }

    /// [`plain`](Self::plain) for a function of three elements.
    pub const fn plain_ternary<T: Element, U: Element, V: Element, O: Element, F: Fn(T, U, V) -> O + Copy + 'static>(
        _: F,
    ) -> Kernel {
        let loops = const { &[portable::<Ternary<T, U, V, O, F>> as Loop; 3] };
        Kernel::new(loops, &[T::DTYPE, U::DTYPE, V::DTYPE], O::DTYPE)
    }

    /// A kernel of one operand that is given whole runs, and chooses the instruction set itself. It must capture nothing.
    pub(crate) fn runs<T: Element, O: Element, F: Fn(&[T], &mut [O]) + Copy + 'static>(_: F) -> Kernel {
        Kernel::new(const { &[portable::<Runs<T, O, F>> as Loop; 3] }, &[T::DTYPE], O::DTYPE)
    }

    /// A kernel of one operand whose loops are written by hand.
    pub(super) const fn by_hand(loops: &'static Loops, input: DType, output: DType) -> Kernel {
        Kernel::new(loops, &[input], output)
    }

    const fn new(loops: &'static Loops, operands: &[DType], output: DType) -> Kernel {
        let mut inputs = [output; 3];
        inputs.split_at_mut(operands.len()).0.copy_from_slice(operands);
        Kernel { loops, spread: None, inputs, arity: operands.len() as u8, output, arithmetic: None, vectors: None }
    }

    /// The same kernel, known to do this (on floats as IEEE 754 says), so that it can run in registers with others.
    ///
    /// # Panics
    /// If it has another number of operands, or other dtypes go in and come out.
    pub fn known_as(self, arithmetic: Arithmetic) -> Kernel {
        let (masks, numbers) = self.inputs().split_at(usize::from(arithmetic == Arithmetic::Select));
        let fits = arithmetic.operands() == self.inputs().len() && {
            let result = if arithmetic.is_comparison() { DType::Bool } else { numbers[0] };
            let alike = numbers.iter().all(|&d| d == numbers[0]) && masks.iter().all(|&d| d == DType::Bool);
            alike && self.output == result
        };
        assert!(fits, "a kernel that does {arithmetic:?}");
        Kernel { arithmetic: Some(arithmetic), ..self }
    }

    /// The same kernel, known to compute this function: there may be better loops than the compiler's.
    pub fn known_to_be(self, function: Function) -> Kernel {
        if let Some(kernel) = function.kernel(self.output).filter(|kernel| kernel.inputs() == self.inputs()) {
            return kernel;
        }
        match (self.inputs(), self.output) {
            ([DType::F32], DType::F32) => Kernel { vectors: function.vectors(), ..self },
            _ => self,
        }
    }

    /// What it is known to do.
    pub fn arithmetic(&self) -> Option<Arithmetic> {
        self.arithmetic
    }

    /// The dtypes of the operands.
    pub fn inputs(&self) -> &[DType] {
        &self.inputs[..usize::from(self.arity)]
    }

    /// The dtype of the result.
    pub fn output(&self) -> DType {
        self.output
    }

    /// The same loop over elements of another dtype with the same bits.
    pub(crate) fn reading(self, dtype: DType) -> Kernel {
        assert_eq!((self.arity, self.inputs[0].size()), (1, dtype.size()), "dtypes of one size");
        Kernel { inputs: [dtype; 3], ..self }
    }

    /// The loop for the instruction set in use.
    #[inline]
    pub(crate) fn compiled(&self) -> Loop {
        match (self.vectors, isa()) {
            (Some(vectors), Isa::Avx512) => vectors,
            (_, isa) => self.loops[isa as usize - Isa::Portable as usize],
        }
    }

    /// True if there is a loop for a single element in the place of an operand.
    pub(crate) fn spreads(&self) -> bool {
        self.spread.is_some()
    }

    /// As [`compiled`](Self::compiled), for a single element in the place of operand `operand`.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub(crate) fn spreading(&self, operand: usize) -> Loop {
        self.spread.expect("a kernel that spreads")[operand][isa() as usize - Isa::Portable as usize]
    }

    /// Runs a kernel of one operand.
    ///
    /// # Panics
    /// If the dtypes or lengths differ from those of the kernel.
    pub(crate) fn apply<T: Element, O: Element>(&self, x: &[T], out: &mut [O]) {
        assert!(
            self.inputs() == [T::DTYPE] && self.output == O::DTYPE && x.len() == out.len(),
            "another kernel's runs"
        );
        // SAFETY: both are slices of that length and those dtypes, the second is borrowed for writing alone.
        unsafe {
            (self.compiled())(x.as_ptr().cast(), x.as_ptr().cast(), x.as_ptr().cast(), out.as_mut_ptr().cast(), x.len())
        }
    }
}

/// The loops of a body.
const fn compiled<B: Body>() -> Loops {
    #[cfg(target_arch = "x86_64")]
    return [portable::<B>, avx2::<B>, avx512::<B>];
    #[cfg(not(target_arch = "x86_64"))]
    return [portable::<B>; 3];
}

/// The function of a kernel from its type, which has one value only.
#[inline(always)]
fn conjure<F: Copy + 'static>() -> F {
    const { assert!(size_of::<F>() == 0, "the function of a kernel captures nothing") };
    // SAFETY: a type without bytes can be read from anywhere; the constructors have seen a value of it, which is `Copy`.
    unsafe { std::ptr::NonNull::<F>::dangling().read() }
}

/// # Safety
/// `out` must be writable for `n` elements and read by nobody else meanwhile.
#[inline(always)]
unsafe fn slice_mut<'a, O>(out: *mut u8, n: usize) -> &'a mut [O] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(out.cast(), n) }
}

/// What a [`Loop`] does, to be compiled for each instruction set; `run` must be `#[inline(always)]`.
trait Body {
    /// # Safety
    /// As for [`Loop`].
    unsafe fn run(operands: [*const u8; 3], out: *mut u8, n: usize);
}

unsafe fn portable<B: Body>(x: *const u8, y: *const u8, z: *const u8, out: *mut u8, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { B::run([x, y, z], out, n) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<B: Body>(x: *const u8, y: *const u8, z: *const u8, out: *mut u8, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { B::run([x, y, z], out, n) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn avx512<B: Body>(x: *const u8, y: *const u8, z: *const u8, out: *mut u8, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { B::run([x, y, z], out, n) }
}

/// A loop over operands, each a slice `$x` or a single element `$s`. Slices tell the compiler that the result overlaps none
/// of them.
macro_rules! body {
    (@bind slice $x:ident $T:ident $i:literal $operands:ident $n:ident) => {
        let $x: &[$T] = std::slice::from_raw_parts($operands[$i].cast(), $n);
    };
    (@bind single $x:ident $T:ident $i:literal $operands:ident $n:ident) => {
        let $x: $T = *$operands[$i].cast();
    };
    (@at slice $x:ident $i:ident) => { $x[$i] };
    (@at single $x:ident $i:ident) => { $x };
    ($name:ident $($kind:ident $x:ident $T:ident $k:literal),+) => {
        struct $name<$($T,)+ O, F>(std::marker::PhantomData<($($T,)+ O, F)>);

        impl<$($T: Element,)+ O: Element, F: Apply<($($T,)+), Output = O>> Body for $name<$($T,)+ O, F> {
            #[inline(always)]
            unsafe fn run(operands: [*const u8; 3], out: *mut u8, n: usize) {
                let f = conjure::<F>();
                // SAFETY: the caller's promise.
                unsafe {
                    $(body!(@bind $kind $x $T $k operands n);)+
                    let out: &mut [O] = slice_mut(out, n);
                    for i in 0..n {
                        out[i] = f.apply(($(body!(@at $kind $x i),)+));
                    }
                }
            }
        }
    };
}
body!(Unary slice x T 0);
body!(Binary slice x T 0, slice y U 1);
body!(First single x T 0, slice y U 1);
body!(Second slice x T 0, single y U 1);
body!(Ternary slice x T 0, slice y U 1, slice z V 2);

/// A function of some elements, most of which another one computes without a branch.
pub(super) trait Quick<T, const N: usize>: 'static {
    /// The number of elements that are computed again if the other one does not suit one of them.
    const GROUP: usize;
    /// The function.
    fn exact(x: [T; N]) -> T;
    /// The other one, and whether it suits these elements.
    fn quick(x: [T; N]) -> (T, bool);
}

/// A loop of a function that is [`Quick`]. Operands are named slices: the compiler knows that they do not overlap the result.
macro_rules! by_quick {
    ($name:ident $n:literal: $($x:ident $k:literal),+) => {
        struct $name<T, Q>(std::marker::PhantomData<(T, Q)>);

        impl<T: Element, Q: Quick<T, $n>> Body for $name<T, Q> {
            #[inline(always)]
            unsafe fn run(operands: [*const u8; 3], out: *mut u8, n: usize) {
                // SAFETY: the caller's promise.
                unsafe {
                    $(let $x: &[T] = std::slice::from_raw_parts(operands[$k].cast(), n);)+
                    let out: &mut [T] = slice_mut(out, n);
                    for (group, out) in out.chunks_mut(Q::GROUP).enumerate() {
                        $(let $x = &$x[group * Q::GROUP..][..out.len()];)+
                        let mut suits = true;
                        for i in 0..out.len() {
                            let (value, good) = Q::quick([$($x[i]),+]);
                            out[i] = value;
                            suits &= good;
                        }
                        if !suits {
                            (0..out.len()).for_each(|i| out[i] = Q::exact([$($x[i]),+]));
                        }
                    }
                }
            }
        }
    };
}
by_quick!(ByQuick1 1: x 0);
by_quick!(ByQuick2 2: x 0, y 1);

/// A function of whole runs.
struct Runs<T, O, F>(std::marker::PhantomData<(T, O, F)>);

impl<T: Element, O: Element, F: Fn(&[T], &mut [O]) + Copy + 'static> Body for Runs<T, O, F> {
    #[inline(always)]
    unsafe fn run(operands: [*const u8; 3], out: *mut u8, n: usize) {
        // SAFETY: the caller's promise.
        unsafe { conjure::<F>()(std::slice::from_raw_parts(operands[0].cast(), n), slice_mut(out, n)) }
    }
}
