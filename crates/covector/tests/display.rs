//! Tensors are printed as PyTorch prints them; debugging output never computes.

use covector::ops::create::{arange, zeros};
use covector::*;

const GOLDEN: &str = include_str!("../../../goldens/display.txt");

fn golden(name: &str) -> &'static str {
    let (_, rest) = GOLDEN.split_once(&format!("## {name}\n")).unwrap_or_else(|| panic!("no golden `{name}`"));
    rest.split("\n## ").next().unwrap_or_default().trim_end_matches('\n')
}

fn range(n: usize, dtype: DType) -> Tensor {
    arange(0, n, 1, dtype)
}

#[test]
fn small_tensors_look_as_in_pytorch() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let cases = [
        ("whole floats", tensor![[1., 2.], [3., 4.]]),
        ("fractions", tensor![[1.0, 10.5], [-2.25, 3.0]]),
        ("integers", tensor![[1, -20], [300, 4]]),
        ("bools", tensor![true, false, true]),
        ("scalar", Tensor::from(3.5f32)),
        ("whole scalar", Tensor::from(3f32)),
        ("int scalar", Tensor::from(7)),
        ("bool scalar", Tensor::from(true)),
        ("f64", Tensor::from([1.5f64, 2.5])),
        ("i32", tensor![1, 2].cast(DType::I32)),
        ("f16", tensor![0.1, 2.].cast(DType::F16)),
        ("bf16", tensor![0.1, 2.].cast(DType::BF16)),
        ("u8", tensor![1, 255].cast(DType::U8)),
        ("small", tensor![1e-5, 1.0]),
        ("large", tensor![1e9, 2e9]),
        ("ratio", tensor![0.5, 1000.]),
        ("at the limit", tensor![1., 1000.]),
        ("whole beyond", tensor![1., 1001.]),
        ("nonfinite", tensor![1.5, nan, inf, -inf]),
        ("zeros", zeros([2, 2], DType::F32)),
        ("all nan", tensor![nan, nan]),
        ("tie", tensor![0.03125, 0.5]),
        ("deep", zeros([1, 1, 1, 1, 1], DType::F32)),
        ("empty", zeros(0, DType::F32)),
        ("empty matrix", zeros([0, 3], DType::F32)),
        ("empty ints", zeros(0, DType::I64)),
        ("empty f64 matrix", zeros([2, 0], DType::F64)),
    ];
    for (name, x) in cases {
        assert_eq!(x.to_string(), golden(name), "{name}");
    }
}

#[test]
fn long_and_deep_tensors_look_as_in_pytorch() {
    let (ints, floats) = (DType::I64, DType::F32);
    let cases = [
        ("three axes", range(12, ints).reshape([2, 3, 2])),
        ("four axes", range(8, floats).reshape([2, 1, 2, 2])),
        ("long line", range(30, ints)),
        ("long line of fractions", range(15, floats) / 8),
        ("f64 long", range(16, DType::F64) + 0.5),
        ("f64 exactly", range(8, DType::F64) + 100000.5),
        ("summarised", range(2000, ints)),
        ("summarised matrix", range(2000, ints).reshape([40, 50])),
        ("summarised narrow", range(1200, floats).reshape([400, 3])),
        ("summarised three axes", range(2000, ints).reshape([10, 10, 20])),
    ];
    for (name, x) in cases {
        assert_eq!(x.to_string(), golden(name), "{name}");
    }
}

#[test]
fn every_layout_prints_alike() {
    let x = range(2400, DType::F32).reshape([40, 60]);
    let text = x.to_string();
    assert_eq!(x.t().matmul(&ops::create::eye(40, DType::F32)).t().to_string(), text);
    assert_eq!(x.flip(..).flip(..).to_string(), text);
    assert_eq!(Tensor::from(3).broadcast_to([2, 2]).to_string(), "tensor([[3, 3],\n        [3, 3]])");
}

#[test]
fn columns_stay_aligned_around_infinities_and_zeros() {
    // PyTorch's columns shift here: it counts the width of finite numbers other than 0 only.
    let x = tensor![[1., f32::NEG_INFINITY], [f32::NAN, 2.]];
    insta::assert_snapshot!(x, @r"
    tensor([[  1., -inf],
            [ nan,   2.]])
    ");
    insta::assert_snapshot!(tensor![-0.0, 1.5], @"tensor([-0.0000,  1.5000])");
}

#[test]
fn whole_u64_are_shown_exactly() {
    let x = Tensor::from(vec![u64::MAX, 1]);
    insta::assert_snapshot!(x, @"tensor([18446744073709551615,                    1], dtype=u64)");
}

#[test]
fn a_precision_sets_the_digits() {
    let x = tensor![1.0, 3.25159];
    insta::assert_snapshot!(format!("{x:.2}"), @"tensor([1.00, 3.25])");
    insta::assert_snapshot!(format!("{:.1}", x * 1e-7), @"tensor([1.0e-07, 3.3e-07])");
}

#[test]
fn debug_never_evaluates() {
    let x = tensor![1., 2., 3.];
    let y = (&x * 2).exp();
    insta::assert_snapshot!(format!("{y:?}"), @"exp f32[3]");
    assert!(!y.is_evaluated());
    insta::assert_snapshot!(format!("{x:?}"), @"constant f32[3] [1., 2., 3.]");
    let z = range(40, DType::I64).reshape([5, 8]);
    z.value();
    insta::assert_snapshot!(format!("{z:?}"), @"reshape i64[5, 8] [[0, 1, 2, ..., 5, 6, 7], [8, 9, 10, ..., 13, 14, 15], [16, 17, 18, ..., 21, 22, 23], [24, 25, 26, ..., 29, 30, 31], [32, 33, 34, ..., 37, 38, 39]]");
}

#[test]
fn what_has_no_value_is_named_instead() {
    let seen = std::cell::RefCell::new(String::new());
    let f = |x: &Tensor| {
        *seen.borrow_mut() = format!("{} / {:?}", x * 2, x);
        x.exp()
    };
    vmap(f)(&tensor![[1., 2.], [3., 4.]]);
    insta::assert_snapshot!(seen.borrow(), @"tensor(multiply f32[2]) / placeholder f32[2]");
}

#[test]
fn printing_inside_a_derivative_changes_nothing() {
    let f = |x: &Tensor| {
        let y = x * x;
        assert!(y.to_string().starts_with("tensor("));
        y.sum(..)
    };
    assert_eq!(grad(f)(&tensor![1., 2.]).to_vec::<f32>(), [2., 4.]);
}
