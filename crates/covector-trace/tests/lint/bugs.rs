use covector::ops::concat::concat;
use covector::ops::einsum::einsum;
use covector::ops::loss::{binary_cross_entropy_with_logits as bce, cross_entropy, kl_div, nll_loss};
use covector::ops::random::{dropout, normal};
use covector::{DType, Key, Tensor, keep};

use crate::caught;
use crate::programs::w;

const INF: f64 = f64::INFINITY;

#[track_caller]
fn ce(logits: &Tensor, target: &Tensor) -> Tensor {
    cross_entropy(logits, target, None, None, 0.0, "mean")
}

fn labels() -> Tensor {
    Tensor::from([0, 1, 2, 0])
}

/// Four tokens of six features, and projections of them.
fn qkv() -> Vec<Tensor> {
    [1, 2, 3].map(|i| w([6, 6], i)).to_vec()
}

#[test]
fn targets_without_the_axis_of_predictions() {
    let (x, y) = (w([5, 3], 1), w([5], 2));
    let f = |p: &Vec<Tensor>| {
        let error = x.matmul(&p[0]) - &y; // here
        error.square().mean(..)
    };
    let found = caught(f, &[w([3, 1], 3)], "rank-promotion");
    assert!(found.message.contains("f32[5, 1]") && found.message.contains("[5, 5]"), "{found}");
}

#[test]
fn targets_as_a_column_by_reshape() {
    let (x, y) = (w([5, 3], 1), w([5], 2).reshape([5, 1]));
    let f = |p: &Vec<Tensor>| (x.matmul(&p[0]) - &y).abs().mean(..); // here
    caught(f, &[w([3], 3)], "outer-loss");
}

#[test]
fn an_accuracy_of_all_pairs() {
    let y = Tensor::from([[0], [1], [2], [0]]);
    let f = |p: &Vec<Tensor>| p[0].argmax(-1).equal(&y).cast(DType::F32).mean(..); // here
    let found = covector_trace::lint(f, &vec![w([4, 3], 1)]);
    assert!(found.iter().any(|w| w.rule == "rank-promotion"), "{found:?}");
}

#[test]
fn a_row_of_targets_against_a_column() {
    let (x, y) = (w([5, 3], 1), w([1, 5], 2));
    let f = |p: &Vec<Tensor>| {
        let error = x.matmul(&p[0]) - &y; // here
        error.square().mean(..)
    };
    caught(f, &[w([3, 1], 3)], "outer-loss");
}

#[test]
fn a_correlation_that_multiplies_all_pairs() {
    let (x, y) = (w([5, 3], 1), w([5], 2));
    let f = |p: &Vec<Tensor>| {
        let both = x.matmul(&p[0]) * &y; // here
        both.mean(..)
    };
    caught(f, &[w([3, 1], 3)], "outer-loss");
}

#[test]
fn a_column_times_a_row() {
    let (x, y) = (w([5, 3], 1), w([1, 5], 2));
    let f = |p: &Vec<Tensor>| x.matmul(&p[0]).matmul(&y).sum(..); // here
    caught(f, &[w([3, 1], 3)], "outer-loss");
}

#[test]
fn a_bias_that_was_forgotten() {
    let x = w([5, 3], 1);
    let f = |p: &Vec<Tensor>| x.matmul(&p[0]).square().mean(..);
    let found = caught(f, &[w([3, 2], 2), w([2], 3)], "unused-parameter");
    assert!(found.message.contains("x1"), "{found}");
}

#[test]
fn quantised_weights() {
    let x = w([5, 3], 1);
    let f = |p: &Vec<Tensor>| {
        let q = (&p[0] * 16.0).round() / 16.0; // here
        x.matmul(&q).square().mean(..)
    };
    caught(f, &[w([3, 2], 2)], "detached-parameter");
}

#[test]
fn a_detached_encoder() {
    let x = w([5, 3], 1);
    let f = |p: &Vec<Tensor>| {
        let h = x.matmul(&p[0]).tanh().stop_gradient(); // here
        h.matmul(&p[1]).square().mean(..)
    };
    caught(f, &[w([3, 4], 2), w([4, 1], 3)], "detached-parameter");
}

#[test]
fn an_accuracy_as_a_loss() {
    let x = w([4, 3], 1);
    let f = |p: &Vec<Tensor>| {
        let guess = x.matmul(&p[0]).argmax(-1); // here
        1.0 - guess.equal(labels()).cast(DType::F32).mean(..)
    };
    caught(f, &[w([3, 3], 2)], "detached-parameter");
}

#[test]
fn a_softmax_over_queries() {
    let x = w([2, 4, 6], 1);
    let f = |p: &Vec<Tensor>| {
        let [q, k, v] = [0, 1, 2].map(|i| x.matmul(&p[i]));
        let weights = (q.matmul(&k.transpose(-2, -1)) / 6f64.sqrt()).softmax(-2); // here
        weights.matmul(&v).square().mean(..)
    };
    caught(f, &qkv(), "softmax-axis");
}

#[test]
fn a_softmax_over_heads() {
    let x = w([2, 4, 6], 1);
    let f = |p: &Vec<Tensor>| {
        let [q, k, v] = [0, 1, 2].map(|i| x.matmul(&p[i]).reshape([2, 4, 3, 2]).permute_dims([0, 2, 1, 3]));
        let scores = q.matmul(&k.transpose(-2, -1)) / 2f64.sqrt();
        let weights = scores.softmax(1); // here
        weights.matmul(&v).square().mean(..)
    };
    caught(f, &qkv(), "softmax-axis");
}

#[test]
fn a_softmax_over_queries_before_an_einsum() {
    let x = w([2, 4, 6], 1);
    let f = |p: &Vec<Tensor>| {
        let [q, k, v] = [0, 1, 2].map(|i| x.matmul(&p[i]).reshape([2, 4, 3, 2]));
        let scores = einsum("bqhd,bkhd->bhqk", &[q / 2f64.sqrt(), k]);
        let weights = scores.softmax(2); // here
        einsum("bhqk,bkhd->bqhd", &[weights, v]).square().mean(..)
    };
    caught(f, &qkv(), "softmax-axis");
}

#[test]
fn a_log_softmax_over_the_batch() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let logs = x.matmul(&p[0]).log_softmax(0); // here
        nll_loss(&logs, &labels(), None, None, "mean")
    };
    caught(f, &[w([5, 3], 2)], "softmax-axis");
}

#[test]
fn a_cross_entropy_of_probabilities() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| ce(&x.matmul(&p[0]).softmax(-1), &labels()); // here
    caught(f, &[w([5, 3], 2)], "double-softmax");
}

#[test]
fn a_cross_entropy_of_log_probabilities() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| ce(&x.matmul(&p[0]).log_softmax(-1), &labels()); // here
    caught(f, &[w([5, 3], 2)], "double-softmax");
}

#[test]
fn a_cross_entropy_of_sigmoids() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| ce(&x.matmul(&p[0]).sigmoid(), &labels()); // here
    caught(f, &[w([5, 3], 2)], "double-softmax");
}

#[test]
fn a_softmax_of_a_softmax() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let y = x.matmul(&p[0]).softmax(-1);
        y.softmax(-1).square().sum(..) // here
    };
    caught(f, &[w([5, 3], 2)], "double-softmax");
}

#[test]
fn a_binary_cross_entropy_of_probabilities() {
    let (x, y) = (w([4, 5], 1), Tensor::from([1.0f32, 0.0, 0.0, 1.0]));
    let f = |p: &Vec<Tensor>| {
        let out = x.matmul(&p[0]).sigmoid();
        bce(&out, &y, None, None, "mean") // here
    };
    caught(f, &[w([5], 2)], "double-sigmoid");
}

#[test]
fn a_log_likelihood_of_probabilities() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| nll_loss(&x.matmul(&p[0]).softmax(-1), &labels(), None, None, "mean"); // here
    caught(f, &[w([5, 3], 2)], "needs-log");
}

#[test]
fn a_divergence_of_probabilities() {
    let (x, target) = (w([4, 5], 1), w([4, 3], 4).softmax(-1));
    let f = |p: &Vec<Tensor>| kl_div(&x.matmul(&p[0]).softmax(-1), &target, false, "batchmean"); // here
    caught(f, &[w([5, 3], 2)], "needs-log");
}

#[test]
fn a_logarithm_of_a_softmax() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let q = x.matmul(&p[0]).softmax(-1);
        nll_loss(&q.log(), &labels(), None, None, "mean") // here
    };
    let found = caught(f, &[w([5, 3], 2)], "unstable");
    assert!(found.advice.contains("log_softmax"), "{found}");
}

#[test]
fn a_softmax_by_hand() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let e = x.matmul(&p[0]).exp();
        let q = &e / e.sum(keep(-1)); // here
        q.square().sum(..)
    };
    caught(f, &[w([5, 3], 2)], "unstable");
}

#[test]
fn a_length_by_hand_is_worth_a_hint() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| (x.matmul(&p[0])).square().sum(-1).sqrt().mean(..); // here
    caught(f, &[w([5, 3], 2)], "by-hand");
}

#[test]
fn a_scale_upside_down() {
    let x = w([2, 4, 6], 1);
    let f = |p: &Vec<Tensor>| {
        let [q, k, v] = [0, 1, 2].map(|i| x.matmul(&p[i]));
        let products = q.matmul(&k.transpose(-2, -1)); // here
        (products * 6f64.sqrt()).softmax(-1).matmul(&v).square().mean(..)
    };
    caught(f, &qkv(), "inverted-scale");
}

#[test]
fn a_scale_forgotten() {
    let x = w([2, 4, 6], 1);
    let f = |p: &Vec<Tensor>| {
        let [q, k, v] = [0, 1, 2].map(|i| x.matmul(&p[i]));
        let scores = q.matmul(&k.transpose(-2, -1)); // here
        scores.softmax(-1).matmul(&v).square().mean(..)
    };
    caught(f, &qkv(), "missing-scale");
}

#[test]
fn a_softmax_of_one_score() {
    let (x, y) = (w([4, 5], 1), w([4, 1], 3));
    let f = |p: &Vec<Tensor>| {
        let q = x.matmul(&p[0]).softmax(-1); // here
        (q - &y).square().mean(..)
    };
    caught(f, &[w([5, 1], 2)], "single-element");
}

#[test]
fn a_batch_of_one() {
    let x = w([1, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let h = x.matmul(&p[0]);
        let z = (&h - h.mean(keep(0))) / (h.std(keep(0), 0.0) + 1e-5); // here
        z.square().sum(..)
    };
    caught(f, &[w([5, 3], 2)], "single-element");
}

#[test]
fn a_where_around_a_logarithm() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let q = x.matmul(&p[0]);
        q.greater(0.0).where_(q.log(), 0.0).sum(..) // here
    };
    caught(f, &[w([5, 3], 2)], "unsafe-where");
}

#[test]
fn a_where_around_a_quotient() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let (a, b) = (x.matmul(&p[0]), x.matmul(&p[1]).relu());
        let ratio = (&a / &b) * 2.0;
        b.equal(0.0).where_(0.0, ratio).sum(..) // here
    };
    caught(f, &[w([5, 3], 2), w([5, 3], 3)], "unsafe-where");
}

#[test]
fn a_where_around_the_root_of_a_difference() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let q = x.matmul(&p[0]);
        let size = q.square();
        size.greater(1.0).where_((&size - 1.0).sqrt() * 2.0, 0.0).sum(..) // here
    };
    caught(f, &[w([5, 3], 2)], "unsafe-where");
}

#[test]
fn a_where_that_clears_nan_away() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let y = x.matmul(&p[0]).sqrt();
        y.isnan().where_(0.0, &y).sum(..) // here
    };
    caught(f, &[w([5, 3], 2)], "unsafe-where");
}

#[test]
fn a_loss_of_a_tensor_with_itself() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let y = x.matmul(&p[0]);
        (&y - &y).square().mean(..) // here
    };
    caught(f, &[w([5, 3], 2)], "cancels");
}

#[test]
fn one_key_for_two_layers() {
    let (x, key) = (w([4, 5], 1), Key::new(1));
    let f = |p: &Vec<Tensor>| {
        let h = dropout(&x.matmul(&p[0]), &key, 0.5);
        let h = dropout(&h.matmul(&p[1]), &key, 0.5); // here
        h.square().mean(..)
    };
    caught(f, &[w([5, 5], 2), w([5, 5], 3)], "key-reuse");
}

#[test]
fn one_key_for_two_samples() {
    let key = Key::new(1);
    let f = |p: &Vec<Tensor>| {
        let a = normal(&key, [3], DType::F32);
        let b = normal(&key, [3], DType::F32); // here
        ((a - b * 0.5) * &p[0]).square().sum(..)
    };
    caught(f, &[w([3], 2)], "key-reuse");
}

#[test]
fn a_relu_after_the_last_layer() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let out = x.matmul(&p[0]).relu();
        ce(&out, &labels()) // here
    };
    caught(f, &[w([5, 3], 2)], "activation-before-loss");
}

#[test]
fn a_sigmoid_of_a_relu() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let q = x.matmul(&p[0]).relu().sigmoid(); // here
        (q - 0.3).square().mean(..)
    };
    caught(f, &[w([5, 3], 2)], "activation-before-loss");
}

#[test]
fn the_sum_of_all_probabilities() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| -x.matmul(&p[0]).softmax(-1).sum(-1).mean(..); // here
    caught(f, &[w([5, 3], 2)], "constant-sum");
}

#[test]
fn a_mask_after_the_softmax() {
    let x = w([2, 4, 6], 1);
    let i = Tensor::from([0, 1, 2, 3]);
    let mask = i.unsqueeze(1).greater_equal(i.unsqueeze(0));
    let f = |p: &Vec<Tensor>| {
        let [q, k, v] = [0, 1, 2].map(|i| x.matmul(&p[i]));
        let weights = (q.matmul(&k.transpose(-2, -1)) / 6f64.sqrt()).softmax(-1);
        let weights = mask.where_(weights, 0.0); // here
        weights.matmul(&v).square().mean(..)
    };
    caught(f, &qkv(), "mask-after-softmax");
}

#[test]
fn an_image_transposed_by_reshape() {
    let x = w([2, 3, 4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let x = x.reshape([2, 4, 5, 3]); // here
        x.matmul(&p[0]).square().mean(..)
    };
    caught(f, &[w([3, 2], 2)], "reshape-as-transpose");
}

#[test]
fn heads_split_without_a_permutation() {
    let x = w([2, 4, 6], 1);
    let f = |p: &Vec<Tensor>| {
        let [q, k, v] = [0, 1, 2].map(|i| x.matmul(&p[i]).reshape([2, 3, 4, 2])); // here
        let scores = q.matmul(&k.transpose(-2, -1)) / 2f64.sqrt();
        let scores = concat(&[scores], 0) + 0.0 * INF.min(1.0);
        scores.softmax(-1).matmul(&v).square().mean(..)
    };
    caught(f, &qkv(), "reshape-as-transpose");
}
