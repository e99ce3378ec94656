//! Reading what other libraries gave.
#![allow(dead_code, reason = "every test file includes this one and uses its part")]

use covector::{Tensor, Tree};
use serde_json::Value;

pub fn text(json: &Value) -> &str {
    json.as_str().unwrap()
}

pub fn numbers(json: &Value) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

pub fn tensor(json: &Value) -> Tensor {
    let shape: Vec<usize> = json["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    Tensor::from_slice(&numbers(&json["values"]), shape)
}

/// The structure of `like` with PyTorch's values, found by path.
#[track_caller]
pub fn filled<T: Tree>(like: &T, named: &Value) -> T {
    let leaves: Vec<Tensor> = like.named().iter().map(|(path, _)| tensor(&named[path.as_str()])).collect();
    assert_eq!(leaves.len(), named.as_object().unwrap().len(), "every parameter has its path");
    like.named().iter().zip(&leaves).for_each(|((path, a), b)| assert_eq!(a.shape(), b.shape(), "{path}"));
    like.with_leaves(leaves)
}

#[track_caller]
pub fn close(got: &Tensor, wanted: &Tensor, bound: f64, what: &str) {
    assert_eq!(got.spec(), wanted.spec(), "{what}");
    for (a, b) in got.to_vec::<f64>().iter().zip(wanted.to_vec::<f64>()) {
        assert!((a - b).abs() <= bound * (1.0 + b.abs()), "{what}: {a} against {b}");
    }
}
