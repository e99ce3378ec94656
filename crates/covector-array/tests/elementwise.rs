//! Elementwise kernels over every layout, in place, in halves, for any number of threads.

mod common;

use common::{elements, layouts, same_everywhere, values};
use covector_array::kernels::{Function, Inputs, Kernel, TILE, cast, map};
use covector_array::math::{Int, Num, Real};
use covector_array::{Array, DType, Element, Shape, bf16, f16};
use smallvec::smallvec;

fn affine(d: DType) -> Option<Kernel> {
    fn kernel<T: Num>() -> Kernel {
        Kernel::binary(|x: T, y: T| Num::add(Num::add(x, x), y))
    }
    Some(match d {
        DType::F32 => kernel::<f32>(),
        DType::F64 => kernel::<f64>(),
        DType::I64 => kernel::<i64>(),
        DType::U8 => kernel::<u8>(),
        _ => return None,
    })
}

fn greater(d: DType) -> Option<Kernel> {
    match d {
        DType::F32 => Some(Kernel::binary(|x: f32, y: f32| x > y)),
        _ => None,
    }
}

fn choose(d: DType) -> Option<Kernel> {
    match d {
        DType::F32 => Some(Kernel::ternary(|c: bool, x: f32, y: f32| if c { x } else { y })),
        _ => None,
    }
}

fn exp(d: DType) -> Option<Kernel> {
    match d {
        DType::F32 => Some(Kernel::unary(<f32 as Real>::exp)),
        _ => None,
    }
}

fn shapes() -> Vec<Vec<usize>> {
    vec![
        vec![],
        vec![0, 3],
        vec![5],
        vec![3, 4],
        vec![2, 1, 3],
        vec![7, 300],
        vec![3, 2000],
        vec![2100],
        vec![70, 5, 9],
    ]
}

#[test]
fn every_layout_gives_the_oracles_result() {
    for shape in shapes() {
        let size: usize = shape.iter().product();
        for dtype in [DType::F32, DType::F64, DType::I64, DType::U8, DType::F16, DType::BF16] {
            let x = values(size, dtype).reshape(&Shape::from(&shape));
            let y = values(size + 3, dtype).slice(&[3], &[size], &[1]).reshape(&Shape::from(&shape));
            let want: Vec<f64> = elements(&x).iter().zip(elements(&y)).map(|(a, b)| 2.0 * a + b).collect();
            for x in layouts(&x) {
                for y in layouts(&y) {
                    let got = map(affine, dtype, smallvec![x.clone(), y.clone()]);
                    assert_eq!((got.shape(), got.dtype()), (x.shape(), dtype));
                    assert_eq!(got.to_f64_vec(), want, "{dtype}{} {:?} {:?}", x.shape(), x.strides(), y.strides());
                }
            }
        }
    }
}

#[test]
fn broadcast_operands_are_read_as_often_as_they_repeat() {
    let to = Shape::from([40, 7, 600]);
    let full = values(to.size(), DType::F32).reshape(&to);
    for from in [vec![], vec![1, 1, 600], vec![40, 1, 1], vec![1, 7, 1], vec![40, 1, 600], vec![40, 7, 1]] {
        let size = from.iter().product();
        let y = values(size, DType::F32).reshape(&Shape::from(from)).broadcast_to(&to);
        let want: Vec<f32> = full.to_vec::<f32>().iter().zip(elements(&y)).map(|(a, b)| 2.0 * a + b as f32).collect();
        let got = same_everywhere(|| map(affine, DType::F32, smallvec![full.clone(), y.clone()]));
        assert_eq!(got.to_vec::<f32>(), want, "{:?}", y.strides());
        let half = map(affine, DType::F16, smallvec![cast(&full, DType::F16), cast(&y, DType::F16)]);
        assert_eq!(cast(&half, DType::F32).to_vec::<f32>(), want);
    }
}

#[test]
fn one_repeated_element_is_computed_once() {
    let x = Array::full([1000, 1000], 2.0, DType::F32);
    let y = Array::full([1000, 1000], 3.0, DType::F32);
    let got = map(affine, DType::F32, smallvec![x, y]);
    assert_eq!((got.strides(), got.shape()), (&[0isize, 0][..], &Shape::from([1000, 1000])));
    assert_eq!(elements(&got.slice(&[0, 0], &[1, 1], &[1, 1])), [7.0]);
}

#[test]
fn an_owned_operand_is_overwritten_and_a_shared_one_is_not() {
    for at in [0, 1] {
        let make = || values(5000, DType::F32);
        let shared = make();
        let owned = make();
        let place = owned.as_slice::<f32>().map(|s| s.as_ptr());
        let inputs: Inputs = if at == 0 { smallvec![owned, shared.clone()] } else { smallvec![shared.clone(), owned] };
        let got = map(affine, DType::F32, inputs);
        assert_eq!(got.as_slice::<f32>().map(|s| s.as_ptr()), place, "no fresh buffer");
        let want: Vec<f32> = make().to_vec::<f32>().iter().map(|v| 3.0 * v).collect();
        assert_eq!(got.to_vec::<f32>(), want);
        assert_eq!(shared.to_vec::<f32>(), make().to_vec::<f32>());
    }
    let twice = values(100, DType::F32);
    let got = map(affine, DType::F32, smallvec![twice.clone(), twice]);
    assert_eq!(got.to_f64_vec(), elements(&values(100, DType::F32)).iter().map(|v| 3.0 * v).collect::<Vec<_>>());
    let half = cast(&values(3000, DType::F32), DType::BF16);
    let got = map(affine, DType::BF16, smallvec![half.clone(), cast(&half, DType::BF16)]);
    assert_eq!(got.to_f64_vec(), elements(&half).iter().map(|v| 3.0 * v).collect::<Vec<_>>());
}

#[test]
fn predicates_and_choices_mix_dtypes() {
    for size in [5, 3000] {
        let x = values(size, DType::F32);
        let y = Array::full([size], 1.0, DType::F32);
        let c = map(greater, DType::F32, smallvec![x.clone(), y.clone()]);
        let want: Vec<bool> = x.to_vec::<f32>().iter().map(|&v| v > 1.0).collect();
        assert_eq!(c.to_vec::<bool>(), want);
        let got = map(choose, DType::F32, smallvec![c.clone(), x.clone(), y.clone()]);
        assert_eq!(got.to_vec::<f32>(), x.to_vec::<f32>().iter().map(|v| v.max(1.0)).collect::<Vec<_>>());
        let (hx, hy) = (cast(&x, DType::F16), cast(&y, DType::F16));
        let hc = map(greater, DType::F16, smallvec![hx.clone(), hy.clone()]);
        assert_eq!(hc.to_vec::<bool>(), want);
        let got = map(choose, DType::F16, smallvec![hc, hx, hy]);
        assert_eq!(got.dtype(), DType::F16);
    }
}

#[test]
fn halves_are_computed_in_f32_and_rounded_once() {
    let x = Array::from_slice(&(0..3000).map(|i| bf16::from_f32(i as f32 / 300.0 - 5.0)).collect::<Vec<_>>(), [3000]);
    let got = map(exp, DType::BF16, smallvec![x.clone()]).to_vec::<bf16>();
    for (g, x) in got.iter().zip(x.to_vec::<bf16>()) {
        assert_eq!(*g, bf16::from_f32(Real::exp(x.to_f32())));
    }
    let x = Array::from_slice(&[f16::from_f32(3.0)], [1]);
    assert_eq!(map(exp, DType::F16, smallvec![x]).to_vec::<f16>(), [f16::from_f32(3f32.exp())]);
}

#[test]
fn the_functions_of_f32_have_the_same_bits_with_any_instructions() {
    let x = Array::build::<f32>(Shape::from([70_001]), |out| {
        out.iter_mut().enumerate().for_each(|(i, o)| *o = f32::from_bits((i as u32).wrapping_mul(61_357)));
    });
    macro_rules! check {
        ($($f:ident)*) => {$({
            fn select(d: DType) -> Option<Kernel> {
                #[inline(always)]
                fn kernel(x: f32) -> f32 {
                    // NaNs may differ in sign and payload.
                    let y = Real::$f(x);
                    if y.is_nan() { f32::NAN } else { y }
                }
                (d == DType::F32).then(|| Kernel::unary(kernel))
            }
            same_everywhere(|| map(select, DType::F32, smallvec![x.clone()]));
        })*};
    }
    check!(exp exp2 expm1 ln log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh cbrt erf erfc
        erfinv sqrt floor ceil round trunc);
}

/// Runs in which some numbers are far out are gone over again: all lengths, with such a number anywhere or nowhere.
#[test]
fn the_functions_of_f64_have_the_same_bits_with_any_instructions() {
    let mixed = Array::build::<f64>(Shape::from([70_001]), |out| {
        out.iter_mut()
            .enumerate()
            .for_each(|(i, o)| *o = f64::from_bits((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    });
    let near = Array::build::<f64>(Shape::from([70_001]), |out| {
        out.iter_mut().enumerate().for_each(|(i, o)| *o = (i as f64).mul_add(3.1e-4, -11.0));
    });
    macro_rules! check {
        ($($f:ident $known:expr),* $(,)?) => {$({
            fn select(d: DType) -> Option<Kernel> {
                let known: Option<Function> = $known;
                let kernel = Kernel::unary(<f64 as Real>::$f);
                (d == DType::F64).then(|| known.map_or(kernel, |function| kernel.known_to_be(function)))
            }
            // NaNs may differ in sign and payload.
            let plain = |y: f64| if y.is_nan() { f64::NAN } else { y };
            for x in [&mixed, &near, &near.slice(&[9], &[80], &[1])] {
                let got = same_everywhere(|| {
                    let got = map(select, DType::F64, smallvec![x.clone()]).to_vec::<f64>();
                    Array::from_slice(&got.into_iter().map(plain).collect::<Vec<_>>(), [x.size()])
                });
                for (x, got) in x.to_vec::<f64>().into_iter().zip(got.to_vec::<f64>()) {
                    assert_eq!(got.to_bits(), plain(Real::$f(x)).to_bits(), "{}({x:e})", stringify!($f));
                }
            }
        })*};
    }
    check!(
        exp None, exp2 None, expm1 None, ln None, log2 None, log10 None, log1p None, asin None, acos None, atan None,
        sinh None, cosh None, tanh None, asinh None, acosh None, atanh None,
        cbrt None, erf None, erfc None, erfinv None,
        sin Some(Function::Sin), cos Some(Function::Cos), tan Some(Function::Tan), sin None,
    );
}

/// Where there is AVX-512, these loops are written by hand: over every `SWEEP`-th f32, and for every length of the last vector.
#[test]
fn loops_written_by_hand_have_the_bits_of_the_compilers() {
    let step = std::env::var("SWEEP").ok().and_then(|s| s.parse().ok()).unwrap_or(1009);
    macro_rules! check {
        ($($f:ident $function:ident $e:expr),* $(,)?) => {$({
            #[inline(always)]
            fn $f(x: f32) -> f32 {
                $e(x)
            }
            fn plain(d: DType) -> Option<Kernel> {
                (d == DType::F32).then(|| Kernel::unary($f))
            }
            fn by_hand(d: DType) -> Option<Kernel> {
                plain(d).map(|kernel| kernel.known_to_be(Function::$function))
            }
            let compare = |x: Array| {
                let [plain, by_hand] = [plain, by_hand].map(|k| map(k, DType::F32, smallvec![x.clone()]).to_vec::<f32>());
                for (i, (a, b)) in plain.into_iter().zip(by_hand).enumerate() {
                    let same = a.to_bits() == b.to_bits();
                    assert!(same, "{}({:e}): {a:e} and {b:e}", stringify!($f), x.to_vec::<f32>()[i]);
                }
            };
            for first in (0..1u64 << 32).step_by(step << 20) {
                let bits = (first..1 << 32).step_by(step).take(1 << 20);
                compare(Array::from_slice(&bits.clone().map(|b| f32::from_bits(b as u32)).collect::<Vec<_>>(), [bits.count()]));
            }
            for n in 0..70 {
                compare(Array::from_slice(&(0..n).map(|i| 0.1 * i as f32 - 2.0).collect::<Vec<_>>(), [n]));
            }
        })*};
    }
    check!(
        exp Exp Real::exp,
        ln Log Real::ln,
        log1p Log1p Real::log1p,
        tanh Tanh Real::tanh,
        sigmoid Sigmoid |x: f32| 1.0 / (1.0 + Real::exp(-x)),
    );
}

#[test]
fn a_kernel_refuses_other_operands() {
    let (x, y) = (Array::from_slice(&[1f32; 4], [4]), Array::from_slice(&[1f64; 4], [4]));
    let refused = |inputs: Inputs| std::panic::catch_unwind(|| map(affine, DType::F32, inputs)).is_err();
    assert!(refused(smallvec![x.clone(), y]) && refused(smallvec![x.clone()]) && !refused(smallvec![x.clone(), x]));
    const { assert!(TILE.is_power_of_two()) };
}

#[test]
fn numbers_follow_numpy_at_the_edges() {
    assert_eq!(Num::floor_div(-7i32, 2), -4);
    assert_eq!((Num::remainder(-7i32, 2), Num::remainder(7i32, -2), Num::remainder(7i32, 0)), (1, -1, 0));
    assert_eq!((Num::floor_div(i8::MIN, -1), Num::remainder(i8::MIN, -1)), (i8::MIN, 0));
    assert_eq!((Num::floor_div(5u8, 0), Num::remainder(5u8, 0)), (0, 0));
    assert_eq!((Num::pow(3i64, 4), Num::pow(2i8, 7), Num::pow(2i32, -1), Num::pow(-1i32, -3)), (81, -128, 0, -1));
    assert_eq!((Num::abs(i8::MIN), Num::neg(1u8), Num::sign(-5i64)), (i8::MIN, 255, -1));
    assert_eq!((Num::remainder(-7.5f64, 2.0), Num::floor_div(-7.5f64, 2.0)), (0.5, -4.0));
    assert_eq!((Num::remainder(5.0f32, f32::INFINITY), Num::remainder(-1.0f32, f32::INFINITY)), (5.0, f32::INFINITY));
    assert_eq!((Num::floor_div(1.0f64, 0.0), Num::floor_div(-1.0f64, 0.0)), (f64::INFINITY, f64::NEG_INFINITY));
    assert_eq!(Num::floor_div(-1.0f64, f64::INFINITY), -1.0);
    assert!(Num::max(0.0f32, -0.0).is_sign_positive() && Num::max(-0.0f32, 0.0).is_sign_positive());
    assert!(Num::min(0.0f32, -0.0).is_sign_negative() && Num::min(-0.0f32, 0.0).is_sign_negative());
    assert!(Num::max(f32::NAN, 1.0).is_nan() && Num::max(1.0, f32::NAN).is_nan());
    assert!(Num::min(f64::NAN, 1.0).is_nan() && Num::min(1.0, f64::NAN).is_nan());
    assert!(Num::sign(f32::NAN).is_nan() && Num::sign(-0.0f32).is_sign_positive());
    assert_eq!((Num::sign(-2.5f32), Num::sign(0.0f64)), (-1.0, 0.0));
    assert_eq!((Int::shl(1u8, 7), Int::shl(1u8, 8), Int::shr(-8i32, 1), Int::shr(-8i32, 99)), (128, 0, -4, -1));
    assert_eq!((Int::shl(1i8, 9), Int::shr(200u8, 8), Int::shr(5i8, -1)), (0, 0, 0));
    assert_eq!((Int::bit_not(true), Int::bit_xor(true, false), Int::bit_not(0u8)), (false, true, 255));
    assert_eq!(<f32 as Element>::from_f64(0.1), <f32 as Real>::from_f64(0.1));
}

/// Every pair of these numbers.
fn pairs<T: Element>(numbers: &[T]) -> [Vec<T>; 2] {
    let all = numbers.iter().flat_map(|&x| numbers.iter().map(move |&y| (x, y)));
    let (x, y) = all.unzip();
    [x, y]
}

#[test]
fn quick_divisions_of_floats_have_the_bits_of_slow_ones() {
    macro_rules! check {
        ($($t:ident of $bits:ident: $($f:ident $function:ident)*;)*) => {$({
            let mut numbers = vec![0.0, 1.0, 3.0, 0.1, 7.5, 1e10, 3e-5, $t::MIN_POSITIVE, $t::MIN_POSITIVE / 8.0, $t::MAX, $t::INFINITY, $t::NAN];
            // Quotients that round to an integer, and to the largest that are computed quickly.
            numbers.extend([1.0 / $t::EPSILON, 0.25 / $t::EPSILON, 0.25 / $t::EPSILON - 1.0].map(|n| n * 3.0));
            numbers.extend([3.0, 49.0, 1e6].map(|n: $t| n.next_down()));
            numbers.extend((0..150).map(|i: $bits| $t::from_bits((i + 1).wrapping_mul($bits::MAX / 151 / 3 * 2))));
            numbers.extend((0..60).map(|i| 0.1 * i as $t));
            numbers.extend(numbers.clone().iter().map(|x| -x));
            let [x, y] = pairs(&numbers);
            // Whole groups without rare pairs, and with them.
            let moderate = (0..20_000).map(|i| (0.37 * i as $t - 900.0, 0.01 * (i % 700) as $t + 0.3));
            let (near, by): (Vec<$t>, Vec<$t>) = moderate.unzip();
            let (x, y) = ([x, near].concat(), [y, by].concat());
            let [a, b] = [&x, &y].map(|v| Array::from_slice(v, [v.len()]));
            $({
                fn kernel(d: DType) -> Option<Kernel> {
                    (d == <$t>::DTYPE).then(|| Kernel::binary(|x: $t, y: $t| Num::$f(x, y)).known_to_be(Function::$function))
                }
                let got = same_everywhere(|| map(kernel, <$t>::DTYPE, smallvec![a.clone(), b.clone()])).to_vec::<$t>();
                for (i, got) in got.into_iter().enumerate() {
                    let want = Num::$f(x[i], y[i]);
                    let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
                    assert!(same, "{}({:e}, {:e}): {got:e} for {want:e}", stringify!($f), x[i], y[i]);
                }
            })*
        })*};
    }
    check! {
        f32 of u32: floor_div FloorDivide remainder Remainder;
        f64 of u64: floor_div FloorDivide remainder Remainder;
    }
}

#[test]
fn integers_are_divided_as_rust_divides_wider_ones() {
    macro_rules! check {
        ($($t:ident: $numbers:expr;)*) => {$({
            let numbers: Vec<$t> = $numbers;
            let [x, y] = pairs(&numbers);
            let [a, b] = [&x, &y].map(|v| Array::from_slice(v, [v.len()]));
            let quotient = |_: DType| Some(Kernel::binary(|x: $t, y: $t| Num::floor_div(x, y)));
            let remainder = |_: DType| Some(Kernel::binary(|x: $t, y: $t| Num::remainder(x, y)));
            let run = |f| same_everywhere(|| map(f, <$t>::DTYPE, smallvec![a.clone(), b.clone()])).to_vec::<$t>();
            for (i, (q, r)) in run(quotient).into_iter().zip(run(remainder)).enumerate() {
                let (wide, by) = (x[i] as i128, y[i] as i128);
                let want = if by == 0 { (0, 0) } else {
                    let down = wide.div_euclid(by) - i128::from(by < 0 && wide.rem_euclid(by) != 0);
                    (down as $t, (wide - down * by) as $t)
                };
                assert_eq!((q, r), want, "{wide} by {by}, {}", stringify!($t));
            }
        })*};
    }
    macro_rules! wild {
        ($t:ident) => {{
            let few = [
                0,
                1,
                2,
                3,
                7,
                10,
                100,
                $t::MAX,
                $t::MAX - 1,
                $t::MAX / 2,
                $t::MAX / 3,
                $t::MIN,
                $t::MIN + 1,
                $t::MIN / 2,
            ];
            let more = (1..120).map(|i: $t| i.wrapping_mul($t::MAX / 97 + 5));
            few.into_iter().chain(few.map($t::wrapping_neg)).chain(more).collect()
        }};
    }
    check! {
        i8: (i8::MIN..=i8::MAX).collect();
        u8: (0..=u8::MAX).collect();
        i16: wild!(i16);
        u16: wild!(u16);
        i32: wild!(i32);
        u32: wild!(u32);
        i64: wild!(i64);
        u64: wild!(u64);
    }
}

#[test]
fn one_element_serves_a_row() {
    let sizes = [(7, 1024), (5, 300), (3, 2500), (40, 256), (1, 5000), (300, 255)];
    for ((rows, columns), dtype) in sizes.into_iter().flat_map(|s| [DType::F32, DType::F64, DType::F16].map(|d| (s, d)))
    {
        let stored = |shape: [usize; 3]| values(shape.iter().product(), dtype).reshape(&Shape::from(shape));
        let to = Shape::from([rows, 2, columns]);
        let [full, line, row, half, one] = [[rows, 2, columns], [1, 1, columns], [rows, 1, 1], [rows, 2, 1], [1, 1, 1]]
            .map(|s| stored(s).broadcast_to(&to));
        for (x, y) in [(&full, &row), (&row, &full), (&row, &line), (&line, &half), (&row, &half), (&full, &one)] {
            let want: Vec<f64> = elements(x).iter().zip(elements(y)).map(|(a, b)| 2.0 * a + b).collect();
            let got = same_everywhere(|| map(affine, dtype, smallvec![x.clone(), y.clone()]));
            assert_eq!(got.to_f64_vec(), want, "{dtype} {rows} x 2 x {columns}");
        }
    }
}
