//! Mistakes written after the rules, to see what they miss.

use covector::ops::loss::{binary_cross_entropy_with_logits as bce, cross_entropy};
use covector::ops::random::dropout;
use covector::{DType, Key, Tensor};

use crate::caught;
use crate::programs::w;

#[track_caller]
fn ce(logits: &Tensor, target: &Tensor) -> Tensor {
    cross_entropy(logits, target, None, None, 0.0, "mean")
}

#[test]
fn a_squared_error_by_a_power() {
    let (x, y) = (w([5, 3], 1), w([5], 2));
    let f = |p: &Vec<Tensor>| {
        let h = (x.matmul(&p[0]) + &p[1]).tanh().matmul(&p[2]);
        (h - &y).pow(2.0).mean(..) // here
    };
    caught(f, &[w([3, 4], 3), w([4], 4), w([4, 1], 5)], "rank-promotion");
}

#[test]
fn a_softmax_over_the_first_axis_of_one_head() {
    let x = w([4, 6], 1);
    let f = |p: &Vec<Tensor>| {
        let (q, k, v) = (x.matmul(&p[0]), x.matmul(&p[1]), x.matmul(&p[2]));
        let scores = q.matmul(&k.t()) / 6f64.sqrt();
        let weights = scores.softmax(0); // here
        weights.matmul(&v).square().mean(..)
    };
    caught(f, &[w([6, 6], 1), w([6, 6], 2), w([6, 6], 3)], "softmax-axis");
}

#[test]
fn a_masked_softmax_over_queries_with_dropout() {
    let (x, key) = (w([2, 4, 6], 1), Key::new(2));
    let i = Tensor::from([0, 1, 2, 3]);
    let mask = i.expand_dims(1).greater_equal(i.expand_dims(0));
    let f = |p: &Vec<Tensor>| {
        let (q, k, v) = (x.matmul(&p[0]), x.matmul(&p[1]), x.matmul(&p[2]));
        let scores = mask.where_(q.matmul(&k.transpose(-2, -1)) / 6f64.sqrt(), -1e9);
        let weights = scores.softmax(1); // here
        dropout(&weights, &key, 0.1).matmul(&v).square().mean(..)
    };
    caught(f, &[w([6, 6], 1), w([6, 6], 2), w([6, 6], 3)], "softmax-axis");
}

#[test]
fn a_binary_cross_entropy_of_a_sigmoid_by_hand() {
    let (x, y) = (w([4, 5], 1), Tensor::from([1.0f32, 0.0, 0.0, 1.0]));
    let f = |p: &Vec<Tensor>| {
        let q = x.matmul(&p[0]).sigmoid();
        let (on, off) = (q.log(), (1.0 - &q).log()); // here
        -(&y * on + (1.0 - &y) * off).mean(..)
    };
    let found = covector_trace::lint(f, &vec![w([5], 2)]);
    let rules: Vec<&str> = found.iter().map(|w| w.rule).collect();
    assert_eq!(rules, ["unstable", "unstable"], "{found:?}");
}

#[test]
fn heads_joined_without_a_permutation() {
    let x = w([2, 4, 6], 1);
    let f = |p: &Vec<Tensor>| {
        let [q, k, v] = [0, 1, 2].map(|i| x.matmul(&p[i]).reshape([2, 4, 3, 2]).permute_dims([0, 2, 1, 3]));
        let y = q.scaled_dot_product_attention(&k, &v, None, true);
        y.reshape([2, 4, 6]).matmul(&p[3]).square().mean(..) // here
    };
    let p: Vec<Tensor> = (1..5).map(|i| w([6, 6], i)).collect();
    caught(f, &p, "reshape-as-transpose");
}

#[test]
fn a_mask_multiplied_after_the_softmax() {
    let x = w([2, 4, 6], 1);
    let mask = Tensor::from([[true, true, true, false], [true, true, false, false]]).expand_dims(1);
    let f = |p: &Vec<Tensor>| {
        let (q, k, v) = (x.matmul(&p[0]), x.matmul(&p[1]), x.matmul(&p[2]));
        let weights = (q.matmul(&k.transpose(-2, -1)) / 6f64.sqrt()).softmax(-1);
        let weights = weights * mask.cast(DType::F32); // here
        weights.matmul(&v).square().mean(..)
    };
    caught(f, &[w([6, 6], 1), w([6, 6], 2), w([6, 6], 3)], "mask-after-softmax");
}

#[test]
fn probabilities_reshaped_on_their_way_to_the_loss() {
    let x = w([2, 3, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let q = x.matmul(&p[0]).softmax(-1);
        ce(&q.reshape([6, 4]), &Tensor::from([0, 1, 2, 3, 0, 1])) // here
    };
    caught(f, &[w([5, 4], 2)], "double-softmax");
}

#[test]
fn a_relu_before_a_binary_cross_entropy() {
    let (x, y) = (w([4, 5], 1), Tensor::from([1.0f32, 0.0, 0.0, 1.0]));
    let f = |p: &Vec<Tensor>| bce(&x.matmul(&p[0]).relu(), &y, None, None, "mean"); // here
    caught(f, &[w([5], 2)], "activation-before-loss");
}

#[test]
fn a_norm_in_a_where() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let size = x.matmul(&p[0]).square().sum(-1);
        let length = size.sqrt();
        size.greater(0.0).where_(1.0 / length, 0.0).sum(..) // here
    };
    let found = covector_trace::lint(f, &vec![w([5, 3], 2)]);
    assert!(found.iter().any(|w| w.rule == "unsafe-where"), "{found:?}");
}

#[test]
fn a_score_for_two_classes_through_a_softmax_of_one() {
    let (x, y) = (w([4, 5], 1), Tensor::from([0, 0, 0, 0]));
    let f = |p: &Vec<Tensor>| ce(&x.matmul(&p[0]), &y); // here
    caught(f, &[w([5, 1], 2)], "single-element");
}

#[test]
fn a_parameter_that_only_a_comparison_reads() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let y = x.matmul(&p[0]);
        let on = y.greater(&p[1]); // here
        on.where_(&y, &y * 0.1).square().mean(..)
    };
    caught(f, &[w([5, 3], 2), w([3], 3)], "detached-parameter");
}
