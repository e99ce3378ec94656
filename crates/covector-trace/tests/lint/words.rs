//! What people read, whole.

use covector::ops::loss::cross_entropy;
use covector::{Tensor, keep};
use covector_trace::lint;
use covector_trace::lint::{RULES, Warning};
use insta::assert_snapshot;

use crate::programs::w;

fn said(f: impl FnOnce(&Vec<Tensor>) -> Tensor, args: &[Tensor]) -> String {
    let mut all = lint(f, &args.to_vec());
    // Lines change with the test.
    all.iter_mut().for_each(|w| w.source.line = 1);
    all.iter().map(Warning::to_string).collect()
}

#[test]
fn a_regression_of_all_pairs() {
    let (x, y) = (w([5, 3], 1), w([5], 2));
    assert_snapshot!(said(|p| (x.matmul(&p[0]) - &y).square().mean(..), &[w([3, 1], 3), w([1], 4)]));
}

#[test]
fn attention_with_everything_wrong() {
    let x = w([2, 4, 6], 1);
    let f = |p: &Vec<Tensor>| {
        let [q, k, v] = [0, 1, 2].map(|i| x.matmul(&p[i]).reshape([2, 3, 4, 2]));
        let weights = (q.matmul(&k.transpose(-2, -1)) * 2f64.sqrt()).softmax(2);
        weights.matmul(&v).square().mean(..)
    };
    let text = said(f, &[w([6, 6], 1), w([6, 6], 2), w([6, 6], 3)]);
    // The product's line is told, and changes with the test.
    let line = text.split("at line ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    assert_snapshot!(text.replace(&format!("at line {line}"), "at line N"));
}

#[test]
fn a_classifier_with_everything_wrong() {
    let x = w([4, 5], 1);
    let f = |p: &Vec<Tensor>| {
        let h = x.matmul(&p[0]);
        let h = h.greater(0.0).where_(h.sqrt(), 0.0);
        let e = h.exp();
        let q = &e / e.sum(keep(-1));
        cross_entropy(&h.softmax(-1), &Tensor::from([0, 1, 2, 0]), None, None, 0.0, "mean") - q.log().mean(..) * 0.1
    };
    assert_snapshot!(said(f, &[w([5, 3], 2), w([3], 3)]));
}

#[test]
fn the_rules() {
    let about: String = RULES.iter().map(|r| format!("{:24}{}\n", r.id, r.about)).collect();
    assert_snapshot!(about);
}
