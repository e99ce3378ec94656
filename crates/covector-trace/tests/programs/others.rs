//! More legitimate programs, written after the rules.

use covector::ops::concat::{concat, stack};
use covector::ops::loss::cross_entropy;
use covector::ops::random::uniform;
use covector::{DType, Key, Tensor, jvp, keep};

use super::{Ask, w};

fn unit(x: &Tensor) -> Tensor {
    x / (x.norm(keep(-1), 2.0) + 1e-6)
}

pub fn all(ask: Ask) {
    let x = w([6, 4], 1);
    let labels = Tensor::from([0, 1, 2, 0, 1, 2]);

    let image = w([2, 1, 4, 4], 2);
    let classes = Tensor::from([0, 1]);
    ask(
        "a vision transformer",
        &|p| {
            let patches = image.reshape([2, 2, 2, 2, 2]).permute_dims([0, 1, 3, 2, 4]).reshape([2, 4, 4]).matmul(&p[0]);
            let first = p[1].broadcast_to([2, 1, 4]);
            let h = concat(&[first, patches], 1) + &p[2];
            let qkv = h.layer_norm(1, None, None, 1e-5).matmul(&p[3]);
            let h = h + qkv.self_attention(2, None, false);
            let logits = h.i((.., 0)).matmul(&p[4]);
            cross_entropy(&logits, &classes, None, None, 0.1, "mean")
        },
        vec![w([4, 4], 3), w([1, 1, 4], 4), w([5, 4], 5), w([4, 12], 6), w([4, 2], 7)],
    );

    let style = w([3, 3], 8);
    let f0 = w([3, 10], 9);
    ask(
        "a style by Gram matrices",
        &|p| {
            let f = p[0].matmul(&f0);
            (f.matmul(&f.t()) / 30.0 - &style).square().sum(..)
        },
        vec![w([3, 3], 10)],
    );

    let (a, b) = (x.clone(), w([6, 4], 11));
    ask(
        "views that agree and features that do not",
        &|p| {
            let z = |x: &Tensor| {
                let h = x.matmul(&p[0]);
                (&h - h.mean(keep(0))) / (h.std(keep(0), 0.0) + 1e-4)
            };
            let c = z(&a).t().matmul(&z(&b)) / 6.0;
            let one = Tensor::from([[1.0f32, 0.0], [0.0, 1.0]]);
            let d = (c - &one).square();
            (&d * &one).sum(..) + (d * (1.0 - one)).sum(..) * 0.01
        },
        vec![w([4, 2], 12)],
    );

    let (a, b) = (x.clone(), w([6, 4], 13));
    ask(
        "variance kept above a bound",
        &|p| {
            let (u, v) = (a.matmul(&p[0]) * 0.3, b.matmul(&p[0]) * 0.3);
            let spread = |x: &Tensor| (1.0 - (x.var(0, 1.0) + 1e-4).sqrt()).relu().mean(..);
            (&u - &v).square().mean(..) + spread(&u) + spread(&v)
        },
        vec![w([4, 3], 14)],
    );

    let (a, b) = (x.clone(), w([6, 4], 15));
    ask(
        "two views and a predictor",
        &|p| {
            let (u, v) = (a.matmul(&p[0]), b.matmul(&p[0]));
            let near = |u: &Tensor, v: &Tensor| -(unit(&u.matmul(&p[1])) * unit(&v.stop_gradient())).sum(-1).mean(..);
            (near(&u, &v) + near(&v, &u)) * 0.5
        },
        vec![w([4, 3], 16), w([3, 3], 17)],
    );

    let (now, next, reward) = (x.clone(), w([6, 4], 18), w([6], 19));
    ask(
        "an actor and a critic",
        &|p| {
            let value = |s: &Tensor| s.matmul(&p[0]).squeeze(1);
            let target = &reward + value(&next).stop_gradient() * 0.9;
            let advantage = target - value(&now);
            let logs = now.matmul(&p[1]).log_softmax(-1).take_along_axis(&labels.expand_dims(1), 1).squeeze(1);
            advantage.square().mean(..) - (logs * advantage.stop_gradient()).mean(..)
        },
        vec![w([4, 1], 20), w([4, 3], 21)],
    );

    let (now, next, reward) = (x.clone(), w([6, 4], 22), w([6], 23));
    ask(
        "double Q-learning",
        &|p| {
            let best = next.matmul(&p[0]).argmax(-1).expand_dims(1);
            let later = next.matmul(&w([4, 3], 24)).take_along_axis(&best, 1).squeeze(1);
            let q = now.matmul(&p[0]).take_along_axis(&labels.expand_dims(1), 1).squeeze(1);
            (q - (&reward + later * 0.9)).square().mean(..)
        },
        vec![w([4, 3], 25)],
    );

    let x0 = x.clone();
    ask(
        "a normalising flow",
        &|p| {
            let (a, b) = (x0.i((.., ..2)), x0.i((.., 2..)));
            let s = a.matmul(&p[0]).tanh();
            let z = concat(&[a.clone(), b * s.exp() + a.matmul(&p[1])], -1);
            (z.square().sum(-1) * 0.5 - s.sum(-1)).mean(..)
        },
        vec![w([2, 2], 26), w([2, 2], 27)],
    );

    let (x0, direction) = (x.clone(), w([6, 4], 28));
    ask(
        "a score matched along a direction",
        &|p| {
            let (a, b) = (p[0].clone(), p[1].clone());
            let score = move |x: &Tensor| x.matmul(&a).tanh().matmul(&b);
            let (s, slope) = jvp(&score, &x0, &direction);
            ((slope * &direction).sum(-1) + s.square().sum(-1) * 0.5).mean(..)
        },
        vec![w([4, 5], 29), w([5, 4], 30)],
    );

    let x0 = x.clone();
    ask(
        "capsules",
        &|p| {
            let s = x0.matmul(&p[0]);
            let n = s.square().sum(keep(-1));
            let v = &s * (&n / (&n + 1.0)) / (n + 1e-8).sqrt();
            (v.norm(-1, 2.0) - 0.9).square().mean(..)
        },
        vec![w([4, 3], 31)],
    );

    let (x0, key) = (x.clone(), Key::new(11));
    ask(
        "a choice by Gumbel's trick",
        &|p| {
            let u = uniform(&key, [6, 3], 1e-6, 1.0, DType::F32);
            let y = ((x0.matmul(&p[0]) - (-u.log()).log()) / 0.7).softmax(-1);
            let hard = y.argmax(-1).one_hot(3).cast(DType::F32);
            let y = &y + (hard - &y).stop_gradient();
            (y * Tensor::from([1.0f32, 2.0, 3.0])).sum(-1).mean(..)
        },
        vec![w([4, 3], 32)],
    );

    let emissions = w([5, 3], 33);
    ask(
        "a chain of hidden states",
        &|p| {
            let mut alpha = emissions.i(0) + &p[1];
            for t in 1..5 {
                alpha = (alpha.expand_dims(1) + &p[0]).logsumexp(0) + emissions.i(t);
            }
            alpha.logsumexp(0) - p[0].i((0, 0))
        },
        vec![w([3, 3], 34), w([3], 35)],
    );

    let tokens = w([2, 5, 4], 36);
    ask(
        "latents that read a text",
        &|p| {
            let (k, v) = (tokens.matmul(&p[1]), tokens.matmul(&p[2]));
            let scores = p[0].matmul(&k.transpose(-2, -1)) / 2.0;
            scores.softmax(-1).matmul(&v).square().mean(..)
        },
        vec![w([3, 4], 37), w([4, 4], 38), w([4, 4], 39)],
    );

    let (nodes, edges) = (x.clone(), w([6, 6], 40).greater(-0.4).logical_or(w([6, 6], 0).equal(2.0)));
    ask(
        "attention on a graph",
        &|p| {
            let h = nodes.matmul(&p[0]);
            let e = (h.matmul(&p[1]) + h.matmul(&p[2]).t()).leaky_relu(0.2);
            let weights = edges.where_(e, -1e9).softmax(-1);
            weights.matmul(&h).square().mean(..)
        },
        vec![w([4, 3], 41), w([3, 1], 42), w([3, 1], 43)],
    );

    let (nodes, a) = (x.clone(), w([6, 6], 44).square() + 0.1);
    ask(
        "a graph convolution",
        &|p| {
            let d = a.sum(-1).rsqrt();
            let n = &a * d.expand_dims(1) * d.expand_dims(0);
            n.matmul(&n.matmul(&nodes.matmul(&p[0])).relu().matmul(&p[1])).square().mean(..)
        },
        vec![w([4, 5], 45), w([5, 2], 46)],
    );

    let (x0, time) = (x.clone(), Tensor::from([3.0f32, 1.0, 2.0, 6.0, 5.0, 4.0]));
    ask(
        "survival by partial likelihoods",
        &|p| {
            let risk = x0.matmul(&p[0]);
            let later = time.expand_dims(1).less_equal(time.expand_dims(0));
            let all = later.where_(risk.expand_dims(0), f64::NEG_INFINITY).logsumexp(-1);
            (all - risk).mean(..)
        },
        vec![w([4], 47)],
    );

    let (good, bad) = (w([3, 4], 48), w([5, 4], 49));
    ask(
        "the area under a curve, smoothed",
        &|p| {
            let (a, b) = (good.matmul(&p[0]), bad.matmul(&p[0]));
            (b.expand_dims(0) - a.expand_dims(1)).sigmoid().mean(..)
        },
        vec![w([4], 50)],
    );

    let (x0, gain) = (x.clone(), w([6], 51));
    ask(
        "ranking of a list",
        &|p| {
            let s = x0.matmul(&p[0]);
            -(gain.softmax(0) * s.log_softmax(0)).sum(..)
        },
        vec![w([4], 52)],
    );

    let x0 = x.clone();
    ask(
        "the hardest triplets of a batch",
        &|p| {
            let z = x0.matmul(&p[0]);
            let d = (z.expand_dims(1) - z.expand_dims(0)).square().sum(-1);
            let same = labels.expand_dims(1).equal(labels.expand_dims(0));
            let far = same.where_(&d, 0.0).max(-1);
            let near = same.where_(1e9, d).min(-1);
            (far - near + 1.0).softplus().mean(..)
        },
        vec![w([4, 3], 53)],
    );

    let (x0, y) = (x.clone(), w([6], 54));
    ask(
        "a sparse regression",
        &|p| (x0.matmul(&p[0]) - &y).square().mean(..) + p[0].abs().sum(..) * 0.1 + p[0].square().sum(..) * 0.01,
        vec![w([4], 55)],
    );

    let x0 = x.clone();
    ask(
        "an ensemble whose scores are averaged",
        &|p| {
            let each = stack(&[x0.matmul(&p[0]), x0.matmul(&p[1]), x0.matmul(&p[2])], 0);
            cross_entropy(&each.mean(0), &labels, None, None, 0.0, "mean")
        },
        vec![w([4, 3], 56), w([4, 3], 57), w([4, 3], 58)],
    );

    let x0 = x.clone();
    ask(
        "a root mean square error with a margin",
        &|p| ((x0.matmul(&p[0]) - 3.0).square().mean(..) + 1e-8).sqrt(),
        vec![w([4, 2], 59)],
    );
}
