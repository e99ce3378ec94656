//! Gradients that are NaN or infinite while the value is fine.

use covector::{Tensor, custom_vjp, keep};

use crate::{blamed, fixed, is_gradient, t};

#[test]
fn where_does_not_protect_the_log_behind_it() {
    let f = |x: &Tensor| {
        let logs = x.log(); // here
        x.greater(0.0).where_(logs, 0.0).sum(..)
    };
    let found = fixed(f, &t([1.0, 0.0]), "log", "masked-branch", "where(x > 0, x, 1)");
    assert!(is_gradient(&found));
    assert_eq!(found.index, [1]);
    assert!(found.then[0].contains("`where`"), "{found}");
}

#[test]
fn where_does_not_protect_a_division() {
    let f = |(x, y): &(Tensor, Tensor)| {
        let ratio = x / y; // here
        y.equal(0.0).where_(0.0, ratio).sum(..)
    };
    let found = fixed(f, &(t([1.0, 2.0]), t([0.0, 4.0])), "divide", "masked-branch", "where(not (x1 == 0), x1, 1)");
    assert!(is_gradient(&found));
}

#[test]
fn where_does_not_protect_a_root() {
    let f = |x: &Tensor| {
        let root = x.sqrt(); // here
        x.greater(0.0).where_(root, x).sum(..)
    };
    fixed(f, &t([4.0, 0.0]), "sqrt", "masked-branch", "where(x > 0, x, 1)");
}

#[test]
fn where_does_not_protect_an_overflow() {
    let f = |x: &Tensor| {
        let grown = x.exp(); // here
        x.less(10.0).where_(grown, x).sum(..)
    };
    fixed(f, &t([1.0, 1000.0]), "exp", "masked-branch", "where(x < 10, x, 0)");
}

#[test]
fn a_mask_by_multiplication_does_not_protect_a_root() {
    let mask = t([1.0, 0.0]);
    let f = |x: &Tensor| {
        let roots = x.sqrt(); // here
        (roots * &mask).sum(..)
    };
    fixed(f, &t([4.0, 0.0]), "sqrt", "masked-branch", "!= 0");
}

#[test]
fn the_length_of_a_zero_vector() {
    let f = |x: &Tensor| {
        let squares = x.square().sum(..);
        squares.sqrt() // here
    };
    let found = fixed(f, &t([0.0, 0.0]), "sqrt", "infinite-slope", "norm(x, .., 2)");
    assert!(is_gradient(&found));
}

#[test]
fn distances_between_a_point_and_itself() {
    let f = |x: &Tensor| {
        let d = x.unsqueeze(1) - x.unsqueeze(0);
        let distance = d.square().sum(-1).sqrt(); // here
        distance.sum(..)
    };
    fixed(f, &Tensor::from([[0.0f32, 1.0], [2.0, 3.0]]), "sqrt", "infinite-slope", "norm");
}

#[test]
fn a_root_at_zero() {
    let f = |x: &Tensor| (x.sqrt() * 3.0).sum(..); // here
    fixed(f, &t([4.0, 0.0]), "sqrt", "infinite-slope", "maximum(x, 1e-12)");
}

#[test]
fn a_cube_root_at_zero() {
    let f = |x: &Tensor| x.cbrt().square().sum(..); // here
    blamed(f, &t([8.0, 0.0]), "cbrt", "infinite-slope");
}

#[test]
fn a_small_power_at_zero() {
    let f = |x: &Tensor| x.pow(0.4).sum(..); // here
    fixed(f, &t([1.0, 0.0]), "pow", "infinite-slope", "maximum");
}

#[test]
fn a_power_whose_exponent_is_learned() {
    let f = |(x, p): &(Tensor, Tensor)| x.pow(p).sum(..); // here
    let found = covector_trace::why(f, &(t([2.0, -1.0]), t([2.0, 2.0]))).unwrap().unwrap();
    assert_eq!((found.op.as_str(), found.cause.id()), ("pow", "infinite-slope"), "{found}");
    assert!(found.explanation.contains("logarithm of the base"), "{found}");
}

#[test]
fn an_angle_at_its_end() {
    let f = |c: &Tensor| c.acos().sum(..); // here
    let found = fixed(f, &t([0.5, 1.0]), "acos", "infinite-slope", "clip");
    assert!(is_gradient(&found));
}

#[test]
fn an_angle_by_an_arccosine_of_equal_directions() {
    let f = |(a, b): &(Tensor, Tensor)| {
        let unit = |x: &Tensor| x / x.norm(keep(-1), 2.0);
        let c = (unit(a) * unit(b)).sum(-1);
        c.acos().sum(..) // here
    };
    fixed(f, &(t([1.0, 0.0]), t([2.0, 0.0])), "acos", "infinite-slope", "clip");
}

#[test]
fn the_root_mean_square_error_of_a_perfect_fit() {
    let f = |(x, y): &(Tensor, Tensor)| (x - y).square().mean(..).sqrt(); // here
    let found = fixed(f, &(t([1.0, 2.0]), t([1.0, 2.0])), "sqrt", "infinite-slope", "maximum");
    assert_eq!(found.also, ["x1"]);
}

#[test]
fn the_spread_of_a_batch_of_equals() {
    let f = |x: &Tensor| x.var(0, 0.0).sqrt().sum(..); // here
    fixed(f, &t([2.0, 2.0, 2.0]), "sqrt", "infinite-slope", "maximum");
}

#[test]
fn a_gather_of_the_log_of_zero_that_was_not_taken() {
    let f = |p: &Tensor| {
        let logs = p.log(); // here
        (logs * Tensor::from([1.0f32, 0.0])).i(..1).sum(..)
    };
    let found = blamed(f, &t([0.5, 0.0]), "log", "masked-branch");
    assert!(is_gradient(&found));
}

#[test]
fn sinc_by_hand() {
    let f = |x: &Tensor| {
        let ratio = x.sin() / x; // here
        x.equal(0.0).where_(1.0, ratio).sum(..)
    };
    fixed(f, &t([0.0, 1.0]), "divide", "masked-branch", "where(not (x == 0), x, 1)");
}

#[test]
fn a_soft_threshold_with_a_root_inside() {
    let f = |x: &Tensor| {
        let inside = 1.0 - x.square();
        let circle = inside.sqrt(); // here
        x.abs().less(1.0).where_(circle, 0.0).sum(..)
    };
    fixed(f, &t([0.5, 2.0]), "sqrt", "masked-branch", "where(");
}

#[test]
fn logaddexp_of_two_impossible_events() {
    let f = |(a, b): &(Tensor, Tensor)| {
        let both = a.logaddexp(b); // here
        both.isfinite().where_(both, 0.0).sum(..)
    };
    let nothing = f32::NEG_INFINITY;
    blamed(f, &(t([0.0, nothing]), t([0.0, nothing])), "logaddexp", "masked-branch");
}

#[test]
fn a_rule_of_ones_own_that_returns_nan() {
    let square = custom_vjp(|x: &Tensor| x.square(), |x: &Tensor, c: &Tensor| c * (x / x) * x * 2.0);
    let f = |x: &Tensor| square(x).sum(..);
    let found = covector_trace::why(f, &t([1.0, 0.0])).unwrap().unwrap();
    assert_eq!((found.op.as_str(), found.cause.id()), ("custom_vjp", "custom-rule"), "{found}");
}
