//! Programs that look like mistakes and are none.

use covector::ops::random::dropout;
use covector::{DType, Key, Tensor, keep};

use super::{Ask, w};

pub fn all(ask: Ask) {
    let x = w([6, 3], 1);
    let tokens = w([2, 4, 6], 2);
    let square = |n: usize, seed: u32| -> Vec<Tensor> { (0..n as u32).map(|i| w([6, 6], seed + i)).collect() };

    let (a, b) = (w([6], 3), w([6], 4));
    ask(
        "a kernel between two samples of one size",
        &|p| {
            let d = (&a * &p[0]).reshape([6, 1]) - &b;
            (-d.square()).exp().mean(..)
        },
        vec![Tensor::from(0.8f32)],
    );

    let y = tokens.clone();
    ask(
        "attention both ways",
        &|p| {
            let (q, k) = (y.matmul(&p[0]), y.matmul(&p[1]));
            let scores = q.matmul(&k.transpose(-2, -1)) / 6f64.sqrt();
            let there = scores.softmax(-1).matmul(&k);
            let back = scores.softmax(-2).transpose(-2, -1).matmul(&q);
            (there + back).square().mean(..)
        },
        square(2, 10),
    );

    let y = tokens.clone();
    ask(
        "attention in columns",
        &|p| {
            let (q, k, v) = (p[0].matmul(&y.i(0).t()), p[1].matmul(&y.i(0).t()), p[2].matmul(&y.i(0).t()));
            let weights = (k.t().matmul(&q) / 6f64.sqrt()).softmax(0);
            v.matmul(&weights).square().mean(..)
        },
        square(3, 20),
    );

    let y = tokens.i((.., ..1));
    ask(
        "attention of the first token to itself",
        &|p| {
            let [q, k, v] = [0, 1, 2].map(|i| y.matmul(&p[i]));
            let weights = (q.matmul(&k.transpose(-2, -1)) / 6f64.sqrt()).softmax(-1);
            (weights.matmul(&v) + q + k).square().mean(..)
        },
        square(3, 30),
    );

    let y = tokens.clone();
    let live = Tensor::from([[true, true, true, false], [true, true, false, false]]);
    ask(
        "queries of padding left out after attention",
        &|p| {
            let [q, k, v] = [0, 1, 2].map(|i| y.matmul(&p[i]));
            let scores = q.matmul(&k.transpose(-2, -1)) / 6f64.sqrt();
            let scores = live.expand_dims(1).where_(scores, -1e9);
            let weights = live.expand_dims(2).where_(scores.softmax(-1), 0.0);
            weights.matmul(&v).square().mean(..)
        },
        square(3, 40),
    );

    let (y, key) = (tokens.clone(), Key::new(5));
    ask(
        "attention with dropout on its weights",
        &|p| {
            let [q, k, v] = [0, 1, 2].map(|i| y.matmul(&p[i]));
            let weights = (q.matmul(&k.transpose(-2, -1)) / 6f64.sqrt()).softmax(-1);
            dropout(&weights, &key, 0.2).matmul(&v).square().mean(..)
        },
        square(3, 50),
    );

    let y = tokens.clone();
    ask(
        "the best half of the keys, weighted anew",
        &|p| {
            let [q, k, v] = [0, 1, 2].map(|i| y.matmul(&p[i]));
            let weights = (q.matmul(&k.transpose(-2, -1)) / 6f64.sqrt()).softmax(-1);
            let kept = weights.greater(weights.mean(keep(-1))).cast(DType::F32);
            let weights = weights * kept;
            let weights = &weights / weights.sum(keep(-1));
            weights.matmul(&v).square().mean(..)
        },
        square(3, 60),
    );

    let (x0, memory) = (x.clone(), w([5, 3], 6));
    ask(
        "a memory read by likeness",
        &|p| {
            let weights = x0.matmul(&p[0]).matmul(&memory.t()).softmax(-1);
            weights.matmul(&p[1]).square().mean(..)
        },
        vec![w([3, 3], 70), w([5, 2], 71)],
    );

    let x0 = x.clone();
    ask(
        "a stable softmax by hand",
        &|p| {
            let s = x0.matmul(&p[0]);
            let e = (&s - s.max(keep(-1)).stop_gradient()).exp();
            (&e / e.sum(keep(-1))).square().sum(..)
        },
        vec![w([3, 3], 80)],
    );

    let x0 = x.clone();
    ask(
        "a logarithm kept away from 0",
        &|p| {
            let q = x0.matmul(&p[0]).softmax(-1);
            -(&q * (&q + 1e-9).log()).sum(-1).mean(..)
        },
        vec![w([3, 3], 90)],
    );

    let x0 = x.clone();
    ask(
        "a where inside and a where outside",
        &|p| {
            let q = x0.matmul(&p[0]);
            let on = q.greater(0.0);
            on.where_(on.where_(&q, 1.0).log(), &q * 0.5).sum(..)
        },
        vec![w([3, 3], 100)],
    );

    let (x0, r) = (x.clone(), w([6, 3], 7).relu());
    ask(
        "a where around a quotient of data",
        &|p| {
            let inverse = r.greater(0.0).where_(r.reciprocal(), 0.0);
            (x0.matmul(&p[0]) * inverse).square().mean(..)
        },
        vec![w([3, 3], 110)],
    );

    let x0 = x.clone();
    ask(
        "a relu inside a network with a sigmoid at its end",
        &|p| {
            let h = x0.matmul(&p[0]).relu();
            (h.matmul(&p[1]).sigmoid() - 0.3).square().mean(..)
        },
        vec![w([3, 4], 120), w([4, 1], 121)],
    );

    let image = w([2, 3, 4, 4], 8);
    ask(
        "patches of an image",
        &|p| {
            let patches = image.reshape([2, 3, 2, 2, 2, 2]).permute_dims([0, 2, 4, 1, 3, 5]).reshape([2, 4, 12]);
            patches.matmul(&p[0]).square().mean(..)
        },
        vec![w([12, 5], 130)],
    );

    let key = Key::new(9);
    let x0 = x.clone();
    ask(
        "two layers of dropout with keys of their own",
        &|p| {
            let keys = key.split(2);
            let h = dropout(&x0.matmul(&p[0]), &keys[0], 0.3);
            dropout(&h.matmul(&p[1]), &keys[1], 0.3).square().mean(..)
        },
        vec![w([3, 4], 140), w([4, 4], 141)],
    );

    let x0 = x.clone();
    ask(
        "a classifier's probability of the right class",
        &|p| {
            let q = x0.matmul(&p[0]).softmax(-1);
            let right = Tensor::from([0, 1, 2, 0, 1, 2]).one_hot(3).cast(DType::F32);
            (1.0 - (q * right).sum(-1)).mean(..)
        },
        vec![w([3, 3], 150)],
    );

    let x0 = x.clone();
    ask(
        "features that agree on the mean of a batch",
        &|p| {
            let (a, b) = (x0.matmul(&p[0]).tanh().mean(0), x0.square().matmul(&p[0]).mean(0));
            (a - b).square().sum(..)
        },
        vec![w([3, 3], 160)],
    );
}
