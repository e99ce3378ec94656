//! What people read, whole.

use covector::record::Record;
use covector::{Tensor, Tree, keep};
use covector_trace::{Notes, Source, why, why_record};
use insta::assert_snapshot;

use crate::t;

const INF: f64 = f64::INFINITY;

/// The finding as text, without line numbers, which change with the test.
fn said<T: Tree, Y: Tree>(f: impl FnOnce(&T) -> Y, args: &T) -> String {
    let text = why(f, args).expect("it runs").expect("something is wrong").to_string();
    let mut parts = text.split(".rs:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += ".rs:N";
        out += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out
}

#[test]
fn entropy() {
    assert_snapshot!(said(|p: &Tensor| -(p * p.log()).sum(..), &t([0.5, 0.5, 0.0])));
}

#[test]
fn cross_entropy_by_hand() {
    let f = |(p, y): &(Tensor, Tensor)| {
        let on = y * p.log();
        let off = (1.0 - y) * (1.0 - p).log();
        -(on + off).mean(..)
    };
    assert_snapshot!(said(f, &(t([0.0, 1.0]), t([0.0, 1.0]))));
}

#[test]
fn softmax_by_hand() {
    let f = |x: &Tensor| {
        let e = x.exp();
        (&e / e.sum(keep(-1))).max(..)
    };
    assert_snapshot!(said(f, &t([1000.0, 999.0, 3.0])));
}

#[test]
fn masked_attention() {
    let f = |(x, mask): &(Tensor, Tensor)| {
        let scores = mask.where_(x.matmul(&x.t()), -INF);
        scores.softmax(-1).matmul(x).square().mean(..)
    };
    let x = Tensor::from([[1.0f32, 0.5], [0.25, 2.0]]);
    assert_snapshot!(said(f, &(x, Tensor::from([[true, true], [false, false]]))));
}

#[test]
fn where_around_a_logarithm() {
    assert_snapshot!(said(|x: &Tensor| x.greater(0.0).where_(x.log(), 0.0).sum(..), &t([1.0, 0.0])));
}

#[test]
fn distances() {
    let f = |x: &Tensor| {
        let d = x.expand_dims(1) - x.expand_dims(0);
        d.square().sum(-1).sqrt().sum(..)
    };
    assert_snapshot!(said(f, &Tensor::from([[0.0f32, 1.0], [2.0, 3.0]])));
}

#[test]
fn a_percentage_error() {
    assert_snapshot!(said(|(x, y): &(Tensor, Tensor)| ((x - y) / y).abs().mean(..), &(t([1.0, 2.0]), t([0.0, 4.0]))));
}

#[test]
fn bad_data() {
    assert_snapshot!(said(|(w, x): &(Tensor, Tensor)| (w * x).sum(..), &(t([1.0, 1.0]), t([1.0, f32::NAN]))));
}

#[test]
fn dead_units() {
    let f = |(w, b, x): &(Tensor, Tensor, Tensor)| (x.matmul(w) + b).relu().sum(..);
    let (w, x) = (Tensor::from([[0.1f32], [0.2]]), Tensor::from([[1.0f32, 2.0], [0.5, -1.0]]));
    assert_snapshot!(said(f, &(w, t([-5.0]), x)));
}

#[test]
fn detached() {
    assert_snapshot!(said(|w: &Tensor| (w * 2.0).stop_gradient().square().sum(..), &t([1.0, 2.0])));
}

#[test]
fn rounded() {
    assert_snapshot!(said(|w: &Tensor| ((w * 8.0).round() / 8.0).square().sum(..), &t([0.3, 0.7])));
}

#[test]
fn unused() {
    assert_snapshot!(said(|(w, _, _): &(Tensor, Tensor, Tensor)| w.square().sum(..), &(t([1.0]), t([2.0]), t([3.0]))));
}

#[test]
fn a_gradient_that_vanishes() {
    let f = |x: &Tensor| (0..60).fold(x.clone(), |h, _| h.sigmoid() * 0.2).sum(..);
    assert_snapshot!(said(f, &t([0.5, 0.1])));
}

#[test]
fn a_program_with_names_and_a_text_of_its_own() {
    let (x, w) = (t([1.0, 2.0]), t([3.0, -4.0]));
    let h = &x * &w;
    let y = h.sqrt();
    let loss = y.mean(..);
    let mut notes = Notes::default();
    for (tensor, name) in [(&x, "X"), (&w, "w"), (&h, "h"), (&loss, "loss")] {
        notes.name(tensor, name);
    }
    notes.source(&y, Source { file: "model.cv".to_owned(), line: 4, text: "y = sqrt(h)".to_owned() });
    let found = why_record(&Record::of(&[loss], &[x, w]), &notes).unwrap().unwrap();
    assert_snapshot!(found.to_string());
}
