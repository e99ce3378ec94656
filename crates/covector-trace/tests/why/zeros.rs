//! Gradients that are zero everywhere.

use covector::ops::loss::cross_entropy;
use covector::{DType, Tensor};

use crate::{blamed, fixed, is_zero, t};

#[test]
fn dead_units() {
    let f = |(w, x): &(Tensor, Tensor)| {
        let h = x.matmul(w) - 5.0;
        h.relu().sum(..) // here
    };
    let (w, x) = (Tensor::from([[0.1f32], [0.2]]), Tensor::from([[1.0f32, 2.0]]));
    let found = fixed(f, &(w, x), "relu", "dead-unit", "leaky_relu");
    assert!(is_zero(&found));
    assert_eq!(found.also, ["x1"]);
}

#[test]
fn a_saturated_sigmoid() {
    let f = |(w, x): &(Tensor, Tensor)| {
        let p = (w * x).sigmoid(); // here
        (p - 0.5).square().mean(..)
    };
    fixed(f, &(t([3.0, 2.0]), t([100.0, 70.0])), "sigmoid", "saturated", "scale");
}

#[test]
fn a_saturated_tanh() {
    let f = |x: &Tensor| {
        let h = x.tanh(); // here
        h.sum(..)
    };
    fixed(f, &t([-50.0, 60.0]), "tanh", "saturated", "scale");
}

#[test]
fn a_saturated_softmax() {
    let f = |x: &Tensor| {
        let p = (x * 200.0).softmax(-1); // here
        (p * Tensor::from([1.0f32, 2.0, 3.0])).sum(..)
    };
    fixed(f, &t([1.0, 5.0, 2.0]), "softmax", "saturated", "scale");
}

#[test]
fn numbers_beyond_their_bounds() {
    let f = |x: &Tensor| {
        let y = x.clip(Some(0.0), Some(1.0)); // here
        y.square().sum(..)
    };
    fixed(f, &t([1.5, 2.0]), "clip", "clipped", "stop_gradient");
}

#[test]
fn the_other_operand_of_a_maximum() {
    let f = |(a, b): &(Tensor, Tensor)| a.maximum(b).sum(..); // here
    let found = blamed(f, &(t([1.0, 2.0]), t([3.0, 4.0])), "maximum", "not-chosen");
    assert!(found.explanation.contains("x1"), "{found}");
}

#[test]
fn detached_by_request() {
    let f = |(w, x): &(Tensor, Tensor)| {
        let target = (w * x).stop_gradient(); // here
        (target - x).square().sum(..)
    };
    let found = fixed(f, &(t([1.0, 2.0]), t([3.0, 4.0])), "stop_gradient", "detached", "x0 * x1");
    assert!(is_zero(&found));
}

#[test]
fn rounded_numbers() {
    let f = |x: &Tensor| {
        let q = (x * 8.0).round(); // here
        (q / 8.0).square().sum(..)
    };
    fixed(f, &t([0.3, 0.7]), "round", "no-derivative", "stop_gradient(round");
}

#[test]
fn through_an_integer_and_back() {
    let f = |x: &Tensor| {
        let whole = x.cast(DType::I64); // here
        (whole.cast(DType::F32) * 2.0).sum(..)
    };
    blamed(f, &t([0.3, 3.7]), "cast", "no-derivative");
}

#[test]
fn accuracy_as_a_loss() {
    let f = |(logits, labels): &(Tensor, Tensor)| {
        let hit = logits.argmax(-1).equal(labels); // here
        -hit.cast(DType::F32).mean(..)
    };
    let logits = Tensor::from([[1.0f32, 2.0], [3.0, 0.0]]);
    blamed(f, &(logits, Tensor::from([1, 0])), "argmax", "no-derivative");
}

#[test]
fn a_hard_threshold() {
    let f = |x: &Tensor| {
        let on = x.greater(0.5); // here
        on.cast(DType::F32).sum(..)
    };
    fixed(f, &t([0.3, 0.7]), "greater", "no-derivative", "sigmoid(x - 0.5)");
}

#[test]
fn the_sign_of_a_weight() {
    let f = |w: &Tensor| (w.sign() * Tensor::from([1.0f32, 2.0])).sum(..); // here
    fixed(f, &t([0.3, -0.7]), "sign", "no-derivative", "stop_gradient");
}

#[test]
fn a_branch_that_is_never_taken() {
    let f = |(a, b): &(Tensor, Tensor)| {
        let positive = b.greater(0.0);
        positive.where_(b, a).sum(..) // here
    };
    blamed(f, &(t([1.0, 2.0]), t([3.0, 4.0])), "where", "not-chosen");
}

#[test]
fn an_unused_parameter() {
    let f = |(w, _b): &(Tensor, Tensor)| w.square().sum(..);
    let found = covector_trace::why(f, &(t([1.0, 2.0]), t([3.0, 4.0]))).unwrap().unwrap();
    assert_eq!((found.op.as_str(), found.cause.id()), ("argument", "unused"), "{found}");
    assert!(found.headline().contains("x1"), "{found}");
}

#[test]
fn weights_that_start_at_zero() {
    let f = |(w1, w2, x): &(Tensor, Tensor, Tensor)| {
        let h = x.matmul(w1).tanh();
        let y = h.matmul(w2); // here
        (y - 1.0).square().sum(..)
    };
    let (w1, w2) = (Tensor::from([[0.3f32, 0.1], [0.2, -0.4]]), Tensor::from([[0.0f32], [0.0]]));
    let found = fixed(f, &(w1, w2, Tensor::from([[1.0f32, 2.0]])), "matmul", "zero-factor", "random");
    assert!(found.explanation.contains("x1"), "{found}");
}

#[test]
fn a_mask_of_zeros() {
    let mask = t([0.0, 0.0]);
    let f = |x: &Tensor| {
        let kept = x * &mask; // here
        kept.sum(..)
    };
    blamed(f, &t([1.0, 2.0]), "multiply", "zero-factor");
}

#[test]
fn contributions_that_cancel() {
    let f = |x: &Tensor| {
        let y = x * 2.0;
        (&y - &y).sum(..) // here
    };
    blamed(f, &t([1.0, 2.0]), "subtract", "cancelled");
}

#[test]
fn rows_that_are_never_looked_up() {
    let f = |table: &Tensor| {
        let unused = table.i(1..);
        let first = unused.take(&Tensor::from([0]), 0); // here
        first.sum(..) * 0.5
    };
    let found = covector_trace::why(f, &Tensor::from([1.0f32, 2.0, 3.0])).unwrap();
    assert!(found.is_none(), "one row is looked up");
    let f = |(table, other): &(Tensor, Tensor)| {
        let both = covector::ops::concat::concat(&[table.clone(), other.clone()], 0);
        both.take(&Tensor::from([2, 3]), 0).sum(..) // here
    };
    blamed(f, &(t([1.0, 2.0]), t([3.0, 4.0])), "take", "not-chosen");
}

#[test]
fn a_norm_at_the_origin() {
    let f = |x: &Tensor| x.norm(.., 2.0); // here
    blamed(f, &t([0.0, 0.0]), "norm", "stationary");
}

#[test]
fn a_perfect_fit_is_a_stationary_point() {
    let f = |(x, y): &(Tensor, Tensor)| (x - y).square().mean(..); // here
    blamed(f, &(t([1.0, 2.0]), t([1.0, 2.0])), "square", "stationary");
}

#[test]
fn an_exponential_that_underflows() {
    let f = |x: &Tensor| {
        let k = (-x.square()).exp(); // here
        k.sum(..)
    };
    blamed(f, &t([20.0, 30.0]), "exp", "underflow");
}

#[test]
fn a_classifier_that_is_too_sure() {
    let f = |x: &Tensor| cross_entropy(x, &Tensor::from([1]), None, None, 0.0, "mean"); // here
    blamed(f, &Tensor::from([[0.0f32, 300.0]]), "cross_entropy", "saturated");
}

#[test]
fn a_gradient_that_vanishes_through_many_layers() {
    let f = |x: &Tensor| {
        let mut h = x.clone();
        for _ in 0..60 {
            h = h.sigmoid() * 0.2; // here
        }
        h.sum(..)
    };
    let found = covector_trace::why(f, &t([0.5, 0.1])).unwrap().unwrap();
    assert!(is_zero(&found), "{found}");
    assert_eq!(found.cause.id(), "vanishing", "{found}");
}
