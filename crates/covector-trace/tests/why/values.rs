//! Results that are NaN or infinite.

use covector::ops::loss::cross_entropy;
use covector::{DType, Tensor, keep};
use covector_trace::why::Symptom;

use crate::{blamed, fixed, t};

const INF: f64 = f64::INFINITY;

#[test]
fn entropy_of_a_certain_event() {
    let f = |p: &Tensor| {
        let logs = p.log(); // here
        -(p * logs).sum(..)
    };
    let found = fixed(f, &t([0.5, 0.5, 0.0]), "log", "log-of-zero", "maximum(x, 1e-12)");
    assert_eq!(found.index, [2]);
    assert_eq!(found.result, -INF);
    assert!(matches!(found.symptom, Symptom::Value { is, .. } if is.is_nan()));
    assert!(found.then[0].contains("NaN"), "{found}");
}

#[test]
fn binary_cross_entropy_by_hand_needs_two_changes() {
    let f = |(p, y): &(Tensor, Tensor)| {
        let on = y * p.log(); // here
        let off = (1.0 - y) * (1.0 - p).log();
        -(on + off).mean(..)
    };
    let found = fixed(f, &(t([0.0, 1.0]), t([0.0, 1.0])), "log", "log-of-zero", "maximum");
    assert_eq!(found.fix.expect("a fix").changes.len(), 2);
}

#[test]
fn log_of_softmax_underflows() {
    let f = |x: &Tensor| {
        let p = x.softmax(-1);
        -p.log().i(0) // here
    };
    fixed(f, &t([-200.0, 0.0, 1.0]), "log", "log-of-zero", "log_softmax(x, 0)");
}

#[test]
fn log_of_a_saturated_sigmoid() {
    let f = |x: &Tensor| -(1.0 - x.sigmoid()).log().mean(..); // here
    fixed(f, &t([0.0, 40.0]), "log", "log-of-zero", "log_sigmoid(-x)");
}

#[test]
fn log_of_negative_returns() {
    let f = |x: &Tensor| (x + 1.0).log().sum(..); // here
    blamed(f, &t([0.2, -1.5, 0.1]), "log", "log-of-negative");
}

#[test]
fn softmax_by_hand_overflows() {
    let f = |x: &Tensor| {
        let e = x.exp(); // here
        let p = &e / e.sum(keep(-1));
        p.i(0)
    };
    fixed(f, &t([1000.0, 999.0]), "exp", "overflow", "softmax(x, 0)");
}

#[test]
fn logsumexp_by_hand_overflows() {
    let f = |x: &Tensor| x.exp().sum(..).log(); // here
    fixed(f, &t([90.0, 3.0]), "exp", "overflow", "logsumexp(x)");
}

#[test]
fn softplus_by_hand_overflows() {
    let f = |x: &Tensor| {
        let e = x.exp(); // here
        (e + 1.0).log().sum(..)
    };
    fixed(f, &t([100.0, -3.0]), "exp", "overflow", "softplus(x)");
}

#[test]
fn sigmoid_by_hand_overflows() {
    let f = |x: &Tensor| {
        let e = x.exp(); // here
        (&e / (1.0 + &e)).sum(..)
    };
    fixed(f, &t([100.0, -3.0]), "exp", "overflow", "sigmoid(x)");
}

#[test]
fn a_variational_encoder_whose_log_variance_explodes() {
    let f = |(mean, log_var): &(Tensor, Tensor)| {
        let var = log_var.exp(); // here
        ((var + mean.square() - 1.0 - log_var) * 0.5).sum(..)
    };
    fixed(f, &(t([0.1, 0.2]), t([0.0, 95.0])), "exp", "overflow", "minimum");
}

#[test]
fn softmax_of_a_fully_masked_row() {
    let f = |(x, keep_it): &(Tensor, Tensor)| {
        let scores = keep_it.where_(x, -INF);
        let p = scores.softmax(-1); // here
        p.sum(..)
    };
    let mask = Tensor::from([[true, true], [false, false]]);
    let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    let found = fixed(f, &(x, mask), "softmax", "masked-row", "-1e9");
    assert_eq!(found.index[0], 1);
}

#[test]
fn softmax_of_a_row_masked_by_addition() {
    let mask = Tensor::from([[0.0f32, 0.0], [f32::NEG_INFINITY, f32::NEG_INFINITY]]);
    let f = |x: &Tensor| {
        let scores = x + &mask;
        scores.softmax(-1).square().sum(..) // here
    };
    fixed(f, &Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]), "softmax", "masked-row", "maximum");
}

#[test]
fn a_stable_softmax_by_hand_of_a_masked_row() {
    let f = |x: &Tensor| {
        let below = x - x.max(keep(-1)); // here
        let e = below.exp();
        (&e / e.sum(keep(-1))).sum(..)
    };
    let x = Tensor::from([[0.0f32, 1.0], [f32::NEG_INFINITY, f32::NEG_INFINITY]]);
    blamed(f, &x, "subtract", "masked-row");
}

#[test]
fn logsumexp_of_nothing_but_minus_infinity() {
    let f = |(x, keep_it): &(Tensor, Tensor)| {
        let x = keep_it.where_(x, -INF);
        let rows = x.logsumexp(-1); // here
        rows.sum(..)
    };
    let mask = Tensor::from([[true, true], [false, false]]);
    fixed(f, &(Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]), mask), "logsumexp", "masked-row", "-1e9");
}

#[test]
fn normalising_a_zero_vector() {
    let f = |x: &Tensor| {
        let length = x.square().sum(..).sqrt();
        (x / length).sum(..) // here
    };
    blamed(f, &t([0.0, 0.0]), "divide", "zero-over-zero");
}

#[test]
fn cosine_similarity_with_a_zero_vector() {
    let f = |(a, b): &(Tensor, Tensor)| {
        let dot = (a * b).sum(..);
        dot / (a.norm(.., 2.0) * b.norm(.., 2.0)) // here
    };
    fixed(f, &(t([1.0, 2.0]), t([0.0, 0.0])), "divide", "zero-over-zero", "maximum");
}

#[test]
fn standardising_a_constant_column() {
    let f = |x: &Tensor| {
        let z = (x - x.mean(keep(0))) / x.std(keep(0), 0.0); // here
        z.square().sum(..)
    };
    fixed(f, &t([3.0, 3.0, 3.0]), "divide", "zero-over-zero", "maximum");
}

#[test]
fn a_mean_over_no_examples() {
    let f = |x: &Tensor| {
        let positive = x.i(3..);
        positive.mean(..) // here
    };
    blamed(f, &t([1.0, 2.0, 3.0]), "mean", "empty");
}

#[test]
fn an_unbiased_variance_of_one_example() {
    let f = |x: &Tensor| x.var(0, 1.0).sum(..); // here
    fixed(f, &Tensor::from([[1.0f32, 2.0]]), "var", "empty", "correction 0");
}

#[test]
fn cross_entropy_where_everything_is_ignored() {
    let f = |x: &Tensor| cross_entropy(x, &Tensor::from([-100, -100]), None, Some(-100), 0.0, "mean"); // here
    blamed(f, &Tensor::from([[1.0f32, 2.0], [0.0, 1.0]]), "cross_entropy", "empty");
}

#[test]
fn a_masked_mean_whose_mask_is_empty() {
    let f = |(x, mask): &(Tensor, Tensor)| (x * mask).sum(..) / mask.sum(..); // here
    fixed(f, &(t([1.0, 2.0]), t([0.0, 0.0])), "divide", "zero-over-zero", "maximum");
}

#[test]
fn a_percentage_error_with_a_target_of_zero() {
    let f = |(x, y): &(Tensor, Tensor)| ((x - y) / y).abs().mean(..); // here
    let found = blamed(f, &(t([1.0, 2.0]), t([0.0, 4.0])), "divide", "division-by-zero");
    assert_eq!(found.index, [0]);
}

#[test]
fn the_root_of_a_variance_that_rounding_made_negative() {
    let f = |x: &Tensor| {
        let var = x.square().mean(..) - x.mean(..).square();
        var.sqrt() // here
    };
    fixed(f, &t([10.74, 10.74, 10.74]), "sqrt", "root-of-negative", "maximum");
}

#[test]
fn the_angle_between_parallel_vectors() {
    let f = |c: &Tensor| c.acos().sum(..); // here
    let found = fixed(f, &t([0.5, 1.000_000_1]), "acos", "out-of-domain", "clip");
    assert!(found.explanation.contains("1.0000001"), "{found}");
}

#[test]
fn a_fractional_power_of_a_negative_number() {
    let f = |x: &Tensor| x.pow(0.45).sum(..); // here
    fixed(f, &t([0.5, -0.01]), "pow", "negative-power", "maximum");
}

#[test]
fn an_inverse_power_of_zero() {
    let f = |r: &Tensor| r.pow(-6.0).sum(..); // here
    fixed(f, &t([1.0, 0.0]), "pow", "zero-power", "maximum");
}

#[test]
fn layer_norm_of_equal_features_without_eps() {
    let f = |x: &Tensor| x.layer_norm(1, None, None, 0.0).sum(..); // here
    fixed(f, &Tensor::from([[2.0f32, 2.0]]), "layer_norm", "division-by-zero", "eps");
}

#[test]
fn a_square_overflows() {
    let f = |x: &Tensor| {
        let squares = x.square(); // here
        squares.mean(..)
    };
    fixed(f, &t([1.0, 3e20]), "square", "overflow", "clip");
}

#[test]
fn half_precision_overflows() {
    let f = |x: &Tensor| {
        let half = x.cast(DType::F16); // here
        half.sum(..).cast(DType::F32)
    };
    blamed(f, &t([1.0, 70000.0]), "cast", "overflow");
}

#[test]
fn a_nan_in_the_data() {
    let data = t([1.0, f32::NAN]);
    let f = |(w, x): &(Tensor, Tensor)| (w * x).square().sum(..);
    let found = covector_trace::why(f, &(t([1.0, 1.0]), data)).unwrap().unwrap();
    assert_eq!((found.op.as_str(), found.cause.id(), &found.index[..]), ("argument", "given", &[1][..]));
    assert!(found.fix.expect("a fix").changes[0].to.contains("isfinite"));
}

#[test]
fn an_infinity_in_a_captured_table() {
    let table = Tensor::from([1.0f32, f32::INFINITY]);
    let f = |x: &Tensor| ((x * &table) - (x * &table)).sum(..);
    let found = covector_trace::why(f, &t([1.0, 2.0])).unwrap().unwrap();
    assert_eq!((found.op.as_str(), found.cause.id()), ("constant", "given"), "{found}");
}

#[test]
fn zero_times_an_infinite_weight_in_a_product() {
    let f = |(x, w): &(Tensor, Tensor)| {
        let w = w.reciprocal(); // here
        x.matmul(&w).sum(..)
    };
    let x = Tensor::from([[0.0f32, 1.0]]);
    let found = blamed(f, &(x, Tensor::from([[0.0f32], [1.0]])), "reciprocal", "division-by-zero");
    assert_eq!(found.index, [0, 0]);
}

#[test]
fn the_first_of_several_bad_elements_far_down() {
    let f = |x: &Tensor| {
        let y = x.reshape([2, 3]).t();
        let bad = y.log(); // here
        (bad.permute_dims([1, 0]).i((1.., ..)) * 2.0 + 1.0).sum(0).max(..)
    };
    let found = blamed(f, &t([0.0, 1.0, 2.0, 3.0, -4.0, 5.0]), "log", "log-of-negative");
    // The 0 at [0, 0] is cut off by the slice; the negative number counts.
    assert_eq!(found.index, [1, 1]);
}
