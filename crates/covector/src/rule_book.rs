//! Elementwise primitives: what a record of the table holds, and the rules they all share.
//!
//! A derivative is written once, as an expression; the `elementwise!` macro compiles it for tensors (it differentiates
//! again), for the scalar engine, for plain numbers and for printed formulas.

mod partials;
mod rules;

use std::hash::{Hash, Hasher};

use covector_array::kernels::{self, Arithmetic, Inputs, Kernel};
use covector_array::{Array, DType, Shape};

use crate::ops::view::{add_batch, aligned};
use crate::primitive::{Class, Derivative, Fused, Primitive};
use crate::tensor::Operands;
use crate::{Error, Operand, Prim, Result, Spec, Tensor, site};
pub use partials::{Factor, Partial, Partials, ValuePartial};

/// A record of the elementwise table.
pub struct Elementwise {
    /// The op's name.
    pub name: &'static str,
    /// The dtypes it is computed in.
    pub domain: Domain,
    /// True if the result is bool.
    pub predicate: bool,
    /// The loop, for each dtype that has one.
    pub kernel: fn(DType) -> Option<Kernel>,
    /// What the kernel is known to do, if that is plain arithmetic.
    pub arithmetic: Option<Arithmetic>,
    /// The kernel on single f64 numbers (truth as 0 and 1); none for integer-only ops.
    pub scalar: Option<fn(&[f64]) -> f64>,
    /// The partial derivatives, or why they are zero.
    pub partials: Result<Partials, &'static str>,
    /// Those for complex operands, where the expressions for real ones do not serve.
    pub complex_partials: Option<&'static [Partial<Tensor>]>,
    /// What is done to a complex operand instead, where no kernel says it.
    pub complex_as: Option<fn(&Tensor) -> Result<Tensor>>,
    /// What is done instead where the second operand is a number for which there is a shorter way.
    pub number_as: Option<NumberAs>,
}

/// A function of a tensor, in the dtype of the result, and a number, if it is one that the function knows.
pub type NumberAs = fn(&Tensor, f64) -> Option<Result<Tensor>>;

/// The dtypes an elementwise op is computed in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Domain {
    /// Floats; integers and bool are cast to f32.
    Real,
    /// Floats and integers; bool is cast to i64.
    Numeric,
    /// Floats; integers are returned as they are, bool is cast to i64.
    Rounding,
    /// Integers and bool; floats are refused.
    Integer,
    /// Every dtype.
    Any,
    /// Bool; everything else is cast to it (`x != 0`).
    Logical,
}

impl Domain {
    fn admit(self, dtype: DType) -> Result<DType> {
        match self {
            Domain::Real => Ok(dtype.to_float()),
            Domain::Numeric | Domain::Rounding if dtype == DType::Bool => Ok(DType::I64),
            Domain::Numeric | Domain::Rounding | Domain::Any => Ok(dtype),
            Domain::Logical => Ok(DType::Bool),
            Domain::Integer if dtype.is_inexact() => Err(Error::new(format!("takes integers or bool, not {dtype}"))
                .hint("cast first, for example with `.cast(DType::I64)`")
                .of_kind(crate::ErrorKind::Type)),
            Domain::Integer => Ok(dtype),
        }
    }
}

/// Applies a record to one tensor.
pub(crate) fn unary(op: &'static Elementwise, x: &Tensor) -> Result<Tensor> {
    let dtype = op.domain.admit(x.dtype())?;
    let x = x.in_dtype(dtype);
    if dtype.is_complex() {
        if let Some(instead) = op.complex_as {
            return instead(&x);
        }
        op.require_complex(dtype)?;
    }
    if op.domain == Domain::Rounding && !dtype.is_inexact() {
        return Ok(x);
    }
    let mut operands = Operands::new();
    operands.push(x);
    Ok(op.on(operands))
}

/// Applies a record to two operands: promotes, broadcasts.
pub(crate) fn binary(op: &'static Elementwise, x1: &Tensor, x2: &Operand) -> Result<Tensor> {
    let dtype = op.domain.admit(x2.promote(x1.dtype()))?;
    op.require_complex(dtype)?;
    let x1 = x1.in_dtype(dtype);
    let instead = op.number_as.and_then(|instead| instead(&x1, x2.as_f64()?));
    if let Some(made) = instead {
        return made;
    }
    let x2 = x2.as_tensor(dtype, x1.shape());
    let (a, b) = aligned(x1, x2)?;
    Ok(op.on(Operands::from_buf([a, b])))
}

/// Applies a record to three operands: promotes, broadcasts.
pub(crate) fn ternary(op: &'static Elementwise, x1: &Tensor, x2: &Operand, x3: &Operand) -> Result<Tensor> {
    let dtype = op.domain.admit(x3.promote(x2.promote(x1.dtype())))?;
    op.require_complex(dtype)?;
    let (a, b) = aligned(x1.in_dtype(dtype), x2.as_tensor(dtype, x1.shape()))?;
    let (a, c) = aligned(a, x3.as_tensor(dtype, x1.shape()))?;
    let (a, b) = aligned(a, b)?;
    Ok(op.on([a, b, c].into_iter().collect()))
}

/// Applies a record to a condition and two operands: casts the condition to bool, promotes and broadcasts the others.
pub(crate) fn select(op: &'static Elementwise, condition: &Tensor, x1: &Operand, x2: &Operand) -> Result<Tensor> {
    let (dtype, shape) = match (x1, x2) {
        (Operand::Tensor(a), b) => (b.promote(a.dtype()), a.shape()),
        (a, Operand::Tensor(b)) => (a.promote(b.dtype()), b.shape()),
        (Operand::Int(_), Operand::Int(_)) => (DType::I64, condition.shape()),
        (Operand::Complex(_), _) | (_, Operand::Complex(_)) => (DType::C64, condition.shape()),
        _ => (DType::F32, condition.shape()),
    };
    let (a, b) = aligned(x1.as_tensor(dtype, shape), x2.as_tensor(dtype, shape))?;
    let (condition, a) = aligned(condition.in_dtype(DType::Bool), a)?;
    let (condition, b) = aligned(condition, b)?;
    Ok(op.on([condition, a, b].into_iter().collect()))
}

impl Elementwise {
    /// The node of an operator between operands that fit as they are (one dtype, one shape, no labels); else gives them
    /// back, for the op to promote, broadcast or refuse.
    #[track_caller]
    pub(crate) fn between(&'static self, x: Tensor, other: Operand) -> Result<Tensor, (Tensor, Operand)> {
        let dtype = x.dtype();
        let fits = match &other {
            Operand::Tensor(other) => other.spec() == x.spec() && other.names().is_none(),
            number => number.promote(dtype) == dtype,
        };
        let admitted = matches!(self.domain.admit(dtype), Ok(computed) if computed == dtype);
        if !fits || !admitted || dtype.is_complex() || !x.names().is_none() {
            return Err((x, other));
        }
        let site = site::here(self.name);
        let other = match other {
            Operand::Tensor(other) => other,
            number => Tensor::number(number.splat(dtype, x.shape()), site),
        };
        let spec = Spec::new(self.result(dtype), x.shape().clone());
        Ok(Tensor::placed(Prim::Static(self), spec, Operands::from_buf([x, other]), site))
    }

    /// The node on operands of one dtype and shape.
    fn on(&'static self, operands: Operands) -> Tensor {
        let last = operands[operands.len() - 1].spec();
        let spec = Spec::new(self.result(last.dtype), last.shape.clone());
        Tensor::fitted(Prim::Static(self), spec, operands)
    }

    fn result(&self, dtype: DType) -> DType {
        if self.predicate {
            return DType::Bool;
        }
        // A function of complex numbers may have real values.
        if dtype.is_complex() { (self.kernel)(dtype).map_or(dtype, |kernel| kernel.output()) } else { dtype }
    }

    /// Refuses complex operands where there is nothing to compute.
    fn require_complex(&self, dtype: DType) -> Result<()> {
        if !dtype.is_complex() || (self.kernel)(dtype).is_some() {
            return Ok(());
        }
        let order = ["less", "less_equal", "greater", "greater_equal", "maximum", "minimum", "tie_share"];
        Err(match order.contains(&self.name) {
            true => no_order(),
            false => {
                Error::new("is not defined for complex numbers").hint("take `.real()`, `.imag()` or `.abs()` first")
            }
        })
    }
}

impl Primitive for Elementwise {
    fn name(&self) -> &'static str {
        self.name
    }

    fn class(&self) -> Class {
        Class::Elementwise
    }

    fn infer(&self, x: &[&Spec]) -> Result<Spec> {
        let last = x[x.len() - 1];
        if let Some(odd) = x.iter().find(|s| s.shape != last.shape) {
            return Err(Error::new(format!("shapes differ: {} and {}", odd.shape, last.shape)));
        }
        Ok(Spec::new(self.result(last.dtype), last.shape.clone()))
    }

    fn run(&self, inputs: Inputs, _: &Spec) -> Result<Array> {
        let key = inputs[inputs.len() - 1].dtype();
        Ok(kernels::map(self.kernel, key, inputs))
    }

    fn run_small(&self, inputs: &[&Array]) -> Option<Array> {
        kernels::map_small(self.kernel, inputs)
    }

    fn fused(&self, key: DType) -> Fused<'_> {
        if key.is_complex() {
            return Fused::No;
        }
        let known = |kernel: Kernel| match self.arithmetic {
            Some(arithmetic) => kernel.known_as(arithmetic),
            None => kernel,
        };
        (self.kernel)(key).map_or(Fused::No, |kernel| Fused::Map(known(kernel)))
    }

    fn derivative(&self) -> Derivative<'_> {
        match self.partials {
            Ok(_) => Derivative::Rules(self),
            Err(why) => Derivative::Zero(why),
        }
    }

    fn batch(&self, inputs: &[Tensor], batched: &[bool], size: usize) -> Result<Tensor> {
        let aligned = inputs.iter().zip(batched).map(|(x, &b)| if b { x.clone() } else { add_batch(x, size) });
        let record = find(self);
        Tensor::apply(Prim::Static(record), aligned.collect::<Operands>())
    }
}

/// The table's own record of this op: records are static, but a trait method sees them through a short borrow.
fn find(op: &Elementwise) -> &'static Elementwise {
    crate::ops::elementwise::TABLE.iter().find(|r| std::ptr::eq(**r, op)).expect("records live in the table")
}

impl std::fmt::Debug for Elementwise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Hash for Elementwise {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // There is one record of each.
        std::ptr::hash(self, state);
    }
}

impl Tensor {
    /// Zeros of this spec: one element in memory.
    pub(crate) fn zeros_of(spec: &Spec) -> Tensor {
        Tensor::from_array(Array::full(spec.shape.clone(), 0.0, spec.dtype))
    }

    /// Ones of this spec: one element in memory.
    pub(crate) fn ones_of(spec: &Spec) -> Tensor {
        Tensor::from_array(Array::full(spec.shape.clone(), 1.0, spec.dtype))
    }
}

/// The axis (from the right) at which two shapes fail to broadcast, for errors.
pub(crate) fn clash(a: &Shape, b: &Shape) -> Option<(isize, usize, usize)> {
    let pairs = a.iter().rev().zip(b.iter().rev()).enumerate();
    pairs.map(|(i, (&a, &b))| (-1 - i as isize, a, b)).find(|&(_, a, b)| a != b && a != 1 && b != 1)
}

/// The error of an op that needs an order, for complex operands.
pub(crate) fn no_order() -> Error {
    Error::new("complex numbers have no order").hint("compare or sort by `.real()`, `.imag()` or `.abs()`")
}

/// Declares the table: one record per op, from which come the op itself (function, methods, registry), its methods on
/// the scalar engine, on numbers and on formulas, and its derivative in all four.
macro_rules! elementwise {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident($($arg:ident),+) = $y:ident {
            $family:ident: $kernel:expr;
            $(arithmetic: $arithmetic:ident;)?
            $(vectors: $vectors:ident;)?
            $(complex: $complex:expr;)?
            $(complex_as: $complex_as:path;)?
            $(number_as: $number_as:path;)?
            derivative: $derivative:tt;
            $(complex_derivative: $complex_derivative:tt;)?
            samples: $samples:tt;
        }
    )*) => {
        /// The static records.
        #[allow(non_upper_case_globals)]
        pub mod table {
            use super::*;
            $(
                #[doc = concat!("The record of `", stringify!($name), "`.")]
                pub static $name: Elementwise = Elementwise {
                    name: elementwise!(@name $name),
                    domain: elementwise!(@domain $family),
                    predicate: elementwise!(@predicate $family),
                    kernel: elementwise!(@vectors [$($vectors)?] elementwise!(@kernels ($($arg),+) [$($complex)?] $family $kernel)),
                    arithmetic: elementwise!(@arithmetic $($arithmetic)?),
                    scalar: elementwise!(@scalar $family ($($arg),+) $kernel),
                    partials: elementwise!(@partials ($($arg),+) $y $derivative),
                    complex_partials: elementwise!(@complex_partials ($($arg),+) $y $($complex_derivative)?),
                    complex_as: elementwise!(@instead $($complex_as)?),
                    number_as: elementwise!(@instead $($number_as)?),
                };
            )*
        }

        /// Every record, in the order of the table.
        pub static TABLE: &[&Elementwise] = &[$(&table::$name),*];

        $( elementwise!(@op $family [$(#[doc = $doc])*] $name ($($arg),+) $derivative $samples); )*
        op_list![$($name),*];

        impl<'t> Value<'t> { $( elementwise!(@value $name $family ($($arg),+) $y $kernel; $derivative); )* }
        impl Number { $( elementwise!(@of_number $name $family ($($arg),+) $kernel); )* }
        impl Formula { $( elementwise!(@method Formula $name ($($arg),+)); )* }
    };

    (@kernels $args:tt [] $family:ident $e:expr) => { elementwise!(@kernel $family $args $e) };
    (@kernels $args:tt [$complex:expr] $family:ident $e:expr) => {
        |dtype| match dtype {
            DType::C64 | DType::C128 => elementwise!(@complex $args $complex)(dtype),
            real => elementwise!(@kernel $family $args $e)(real),
        }
    };
    // Complex numbers are computed in c128 and rounded once.
    (@complex ($x:ident) $e:expr) => {
        |dtype: DType| match dtype {
            DType::C64 => Some(Kernel::unary(|$x: c64| { let $x = complex::widen($x); Narrow::narrow($e) })),
            _ => Some(Kernel::unary(|$x: c128| $e)),
        }
    };
    (@complex ($x:ident, $z:ident) $e:expr) => {
        |dtype: DType| match dtype {
            DType::C64 => Some(Kernel::binary(|$x: c64, $z: c64| {
                let ($x, $z) = (complex::widen($x), complex::widen($z));
                Narrow::narrow($e)
            })),
            _ => Some(Kernel::binary(|$x: c128, $z: c128| $e)),
        }
    };
    (@complex ($c:ident, $x:ident, $z:ident) $e:expr) => {
        |dtype: DType| match dtype {
            DType::C64 => Some(Kernel::plain_ternary(|$c: bool, $x: c64, $z: c64| $e)),
            _ => Some(Kernel::plain_ternary(|$c: bool, $x: c128, $z: c128| $e)),
        }
    };
    (@complex_partials $args:tt $y:ident) => { None };
    (@complex_partials $args:tt $y:ident [$($p:expr),+]) => { Some(&[$( elementwise!(@partial $args $y $p, Tensor) ),+]) };
    (@vectors [] $kernel:expr) => { $kernel };
    (@vectors [$function:ident] $kernel:expr) => {
        |dtype| $kernel(dtype).map(|kernel: Kernel| kernel.known_to_be(Function::$function))
    };
    (@arithmetic) => { None };
    (@arithmetic $op:ident) => { Some(Arithmetic::$op) };
    (@instead) => { None };
    (@instead $path:path) => { Some($path) };

    (@name where_) => { "where" };
    (@name $name:ident) => { stringify!($name) };

    (@domain real) => { Domain::Real };
    (@domain real_predicate) => { Domain::Real };
    (@domain ternary) => { Domain::Real };
    (@domain rounding) => { Domain::Rounding };
    (@domain numeric) => { Domain::Numeric };
    (@domain integer) => { Domain::Integer };
    (@domain comparison) => { Domain::Any };
    (@domain any) => { Domain::Any };
    (@domain logical) => { Domain::Logical };

    (@predicate comparison) => { true };
    (@predicate real_predicate) => { true };
    (@predicate $other:ident) => { false };

    (@kernel real $args:tt $e:expr) => { elementwise!(@typed $args $e; F32 f32 f32, F64 f64 f64) };
    (@kernel rounding $args:tt $e:expr) => { elementwise!(@kernel real $args $e) };
    (@kernel ternary ($x:ident, $z:ident, $t:ident) $e:expr) => {
        elementwise!(@typed (real $x, $z, $t) $e; F32 f32 f32, F64 f64 f64)
    };
    (@kernel real_predicate $args:tt $e:expr) => { elementwise!(@typed $args $e; F32 f32 bool, F64 f64 bool) };
    (@kernel numeric $args:tt $e:expr) => {
        elementwise!(@typed $args $e; F32 f32 f32, F64 f64 f64, U8 u8 u8, U16 u16 u16, U32 u32 u32, U64 u64 u64,
            I8 i8 i8, I16 i16 i16, I32 i32 i32, I64 i64 i64)
    };
    (@kernel integer $args:tt $e:expr) => {
        elementwise!(@typed $args $e; Bool bool bool, U8 u8 u8, U16 u16 u16, U32 u32 u32, U64 u64 u64,
            I8 i8 i8, I16 i16 i16, I32 i32 i32, I64 i64 i64)
    };
    (@kernel logical $args:tt $e:expr) => { elementwise!(@typed $args $e; Bool bool bool) };
    (@kernel comparison $args:tt $e:expr) => {
        elementwise!(@typed $args $e; Bool bool bool, F32 f32 bool, F64 f64 bool, U8 u8 bool, U16 u16 bool,
            U32 u32 bool, U64 u64 bool, I8 i8 bool, I16 i16 bool, I32 i32 bool, I64 i64 bool)
    };
    (@kernel any $args:tt $e:expr) => {
        elementwise!(@typed $args $e; Bool bool bool, F16 f16 f16, BF16 bf16 bf16, F32 f32 f32, F64 f64 f64,
            U8 u8 u8, U16 u16 u16, U32 u32 u32, U64 u64 u64, I8 i8 i8, I16 i16 i16, I32 i32 i32, I64 i64 i64)
    };

    (@typed $args:tt $e:expr; $($d:ident $t:ident $o:ident),*) => {
        |dtype| match dtype {
            $( DType::$d => elementwise!(@tile $args $t $o $e), )*
            #[allow(unreachable_patterns)]
            _ => None,
        }
    };
    (@tile ($x:ident) $t:ident $o:ident $e:expr) => { elementwise!(@loop unary ($x: $t) $o $e) };
    (@tile ($x:ident, $z:ident) $t:ident $o:ident $e:expr) => { elementwise!(@loop binary ($x: $t, $z: $t) $o $e) };
    (@tile (real $x:ident, $z:ident, $v:ident) $t:ident $o:ident $e:expr) => {
        elementwise!(@loop ternary ($x: $t, $z: $t, $v: $t) $o $e)
    };
    (@tile ($c:ident, $x:ident, $z:ident) $t:ident $o:ident $e:expr) => {
        elementwise!(@loop ternary ($c: bool, $x: $t, $z: $t) $o $e)
    };
    (@loop $arity:ident ($($x:ident: $t:ident),+) $o:ident $e:expr) => {
        Some(const { Kernel::$arity(elementwise!(@function ($($x: $t),+) $o $e)) })
    };
    (@function ($($x:ident: $t:ident),+) $o:ident $e:expr) => {{
        #[derive(Clone, Copy)]
        struct This;
        impl Apply<($($t,)+)> for This {
            type Output = $o;
            #[inline(always)]
            fn apply(self, ($($x,)+): ($($t,)+)) -> $o { $e }
        }
        This
    }};

    (@scalar integer $args:tt $e:expr) => { None };
    (@scalar $family:ident $args:tt $e:expr) => { Some(elementwise!(@on_f64 $family $args $e)) };

    (@on_f64 real_predicate $args:tt $e:expr) => { elementwise!(@on_f64 plain $args f64::from(u8::from($e))) };
    (@on_f64 comparison $args:tt $e:expr) => { elementwise!(@on_f64 plain $args f64::from(u8::from($e))) };
    (@on_f64 logical ($($x:ident),+) $e:expr) => {
        elementwise!(@on_f64 plain ($($x),+) { $( let $x = $x != 0.0; )+ f64::from(u8::from($e)) })
    };
    (@on_f64 any ($c:ident, $x:ident, $z:ident) $e:expr) => {
        elementwise!(@on_f64 plain ($c, $x, $z) { let $c = $c != 0.0; $e })
    };
    (@on_f64 integer $args:tt $e:expr) => { |_: &[f64]| panic!("works on integers and bool, not on scalars of f64") };
    // What may be more than an instruction is worth a choice of instructions.
    (@on_f64 real ($($x:ident),+) $e:expr) => {
        elementwise!(@on_f64 plain ($($x),+) apply_fused(elementwise!(@function ($($x: f64),+) f64 $e), ($($x,)+)))
    };
    (@on_f64 $family:ident ($($x:ident),+) $e:expr) => {
        |v: &[f64]| -> f64 {
            let [$($x),+] = *v else { unreachable!("arity was checked") };
            $e
        }
    };

    (@partials $args:tt $y:ident ($why:literal)) => { Err($why) };
    (@partials $args:tt $y:ident [$($p:expr),+]) => {
        Ok(Partials {
            tensor: &[$( elementwise!(@partial $args $y $p, Tensor) ),+],
            value: &[$( elementwise!(@value_partial $args $y $p) ),+],
            number: &[$( elementwise!(@partial $args $y $p, Number) ),+],
            formula: &[$( elementwise!(@partial $args $y $p, Formula) ),+],
        })
    };
    (@partial ($($x:ident),+) $y:ident $p:expr, $A:ty) => {
        |x: &[$A], $y: &$A| -> Factor<$A> {
            let [$($x),+] = x else { unreachable!("arity was checked") };
            let _ = ($y, $($x),+);
            Factor::from($p)
        }
    };
    (@value_partial ($($x:ident),+) $y:ident $p:expr) => {
        |x, $y| {
            let [$($x),+] = x else { unreachable!("arity was checked") };
            let _ = ($y, $($x),+);
            Factor::from($p)
        }
    };

    // The slopes along the wanted operands, compiled where an op is recorded.
    (@slopes $args:tt $y:ident ($why:literal)) => { |_, _, _| std::array::from_fn(|_| Factor::Number(0.0)) };
    (@slopes $args:tt $y:ident [$($p:expr),+]) => {
        |wanted, x, y| {
            let mut wanted = wanted.into_iter();
            [$( match wanted.next() {
                Some(true) => (elementwise!(@partial $args $y $p, Number))(&x, &y),
                _ => Factor::Number(0.0),
            } ),+]
        }
    };

    (@op $family:ident [$($doc:tt)*] $name:ident ($x:ident) ($why:literal) $samples:tt) => {
        $($doc)*
        #[op(samples = $samples, notes = concat!("derivative=", $why))]
        pub fn $name($x: &Tensor) -> Result<Tensor> { unary(&table::$name, $x) }
    };
    (@op $family:ident [$($doc:tt)*] $name:ident ($x:ident) $d:tt $samples:tt) => {
        $($doc)*
        #[op(samples = $samples)]
        pub fn $name($x: &Tensor) -> Result<Tensor> { unary(&table::$name, $x) }
    };
    (@op $family:ident [$($doc:tt)*] $name:ident ($x:ident, $z:ident) ($why:literal) $samples:tt) => {
        $($doc)*
        #[op(samples = $samples, notes = concat!("derivative=", $why))]
        pub fn $name($x: &Tensor, $z: &Operand) -> Result<Tensor> { binary(&table::$name, $x, $z) }
    };
    (@op $family:ident [$($doc:tt)*] $name:ident ($x:ident, $z:ident) $d:tt $samples:tt) => {
        $($doc)*
        #[op(samples = $samples)]
        pub fn $name($x: &Tensor, $z: &Operand) -> Result<Tensor> { binary(&table::$name, $x, $z) }
    };
    (@op any [$($doc:tt)*] $name:ident ($c:ident, $x:ident, $z:ident) $d:tt $samples:tt) => {
        $($doc)*
        #[op(samples = $samples)]
        pub fn $name($c: &Tensor, $x: &Operand, $z: &Operand) -> Result<Tensor> { select(&table::$name, $c, $x, $z) }
    };

    (@op ternary [$($doc:tt)*] $name:ident ($x:ident, $z:ident, $v:ident) $d:tt $samples:tt) => {
        $($doc)*
        #[op(samples = $samples)]
        pub fn $name($x: &Tensor, $z: &Operand, $v: &Operand) -> Result<Tensor> { ternary(&table::$name, $x, $z, $v) }
    };

    (@value $name:ident $family:ident ($x:ident $(, $z:ident)*) $y:ident $e:expr; $derivative:tt) => {
        #[doc = concat!("As the op [`", stringify!($name), "`](crate::ops::elementwise::", stringify!($name), ").")]
        #[inline]
        pub fn $name(&self $(, $z: impl Into<Self>)*) -> Self {
            let kernel = elementwise!(@on_f64 $family ($x $(, $z)*) $e);
            let x = [*self $(, $z.into())*];
            Value::append(&table::$name, x, |x| kernel(&x), elementwise!(@slopes ($x $(, $z)*) $y $derivative))
        }
    };
    (@of_number $name:ident $family:ident ($x:ident $(, $z:ident)*) $e:expr) => {
        #[doc = concat!("As the op [`", stringify!($name), "`](crate::ops::elementwise::", stringify!($name), ").")]
        #[inline]
        pub fn $name(&self $(, $z: impl Into<Self>)*) -> Self {
            Number((elementwise!(@on_f64 $family ($x $(, $z)*) $e))(&[self.0 $(, $z.into().0)*]))
        }
    };

    (@method $A:ident $name:ident ($x:ident)) => {
        #[doc = concat!("As the op [`", stringify!($name), "`](crate::ops::elementwise::", stringify!($name), ").")]
        pub fn $name(&self) -> Self { self.apply(&table::$name, &[]) }
    };
    (@method $A:ident $name:ident ($x:ident, $z:ident)) => {
        #[doc = concat!("As the op [`", stringify!($name), "`](crate::ops::elementwise::", stringify!($name), ").")]
        pub fn $name(&self, $z: impl Into<Self>) -> Self { self.apply(&table::$name, &[$z.into()]) }
    };
    (@method $A:ident $name:ident ($c:ident, $x:ident, $z:ident)) => {
        #[doc = concat!("As the op [`", stringify!($name), "`](crate::ops::elementwise::", stringify!($name), ").")]
        pub fn $name(&self, $x: impl Into<Self>, $z: impl Into<Self>) -> Self {
            self.apply(&table::$name, &[$x.into(), $z.into()])
        }
    };
}
pub(crate) use elementwise;
