//! Networks.

use covector::ops::concat::{concat, stack};
use covector::ops::conv::{conv_transpose2d, conv2d};
use covector::ops::einsum::einsum;
use covector::ops::loss::cross_entropy;
use covector::ops::random::dropout;
use covector::{Ints, Key, Tensor, keep};

use super::{Ask, w};

fn ce(logits: &Tensor, target: &Tensor) -> Tensor {
    cross_entropy(logits, target, None, None, 0.0, "mean")
}

fn conv(x: &Tensor, weight: &Tensor, padding: i32) -> Tensor {
    conv2d(x, weight, None, Ints::from(1), Ints::from(padding), Ints::from(1), 1)
}

fn causal(t: usize) -> Tensor {
    let i = Tensor::from((0..t as i64).collect::<Vec<_>>());
    i.unsqueeze(1).greater_equal(i.unsqueeze(0))
}

/// `[B, T, d] -> [B, h, T, d / h]`.
fn heads(x: &Tensor, h: usize) -> Tensor {
    let (b, t, d) = (x.shape()[0], x.shape()[1], x.shape()[2]);
    x.reshape([b, t, h, d / h]).permute_dims([0, 2, 1, 3])
}

fn joined(x: &Tensor) -> Tensor {
    let (b, h, t, d) = (x.shape()[0], x.shape()[1], x.shape()[2], x.shape()[3]);
    x.permute_dims([0, 2, 1, 3]).reshape([b, t, h * d])
}

fn attention(x: &Tensor, p: &[Tensor]) -> Tensor {
    let [q, k, v] = [0, 1, 2].map(|i| heads(&x.matmul(&p[i]), 2));
    let scores = q.matmul(&k.transpose(-2, -1)) / 2f64.sqrt();
    let scores = causal(x.shape()[1]).where_(scores, f64::NEG_INFINITY);
    joined(&scores.softmax(-1).matmul(&v)).matmul(&p[3])
}

pub fn all(ask: Ask) {
    let square = |n: usize, seed: u32| -> Vec<Tensor> { (0..n as u32).map(|i| w([4, 4], seed + i)).collect() };
    let tokens = w([2, 3, 4], 1);

    let x = tokens.clone();
    ask("causal attention with heads", &|p| attention(&x, p).square().mean(..), square(4, 10));

    let x = tokens.clone();
    ask(
        "attention as one op",
        &|p| {
            let [q, k, v] = [0, 1, 2].map(|i| heads(&x.matmul(&p[i]), 2));
            joined(&q.scaled_dot_product_attention(&k, &v, None, true)).matmul(&p[3]).square().mean(..)
        },
        square(4, 20),
    );

    let (x, memory) = (tokens.clone(), w([2, 5, 4], 2));
    let padding = Tensor::from([[0.0f32, 0.0, 0.0, -1e9, -1e9], [0.0, 0.0, 0.0, 0.0, -1e9]]).reshape([2, 1, 5]);
    ask(
        "cross attention with padding",
        &|p| {
            let (q, k, v) = (x.matmul(&p[0]), memory.matmul(&p[1]), memory.matmul(&p[2]));
            let scores = q.matmul(&k.transpose(-2, -1)) * 0.5 + &padding;
            scores.softmax(-1).matmul(&v).square().sum(..)
        },
        square(3, 30),
    );

    let x = tokens.clone();
    ask(
        "attention by einsum",
        &|p| {
            let [q, k, v] = [0, 1, 2].map(|i| x.matmul(&p[i]).reshape([2, 3, 2, 2]));
            let scores = einsum("bqhd,bkhd->bhqk", &[q / 2f64.sqrt(), k]);
            einsum("bhqk,bkhd->bqhd", &[scores.softmax(-1), v]).square().mean(..)
        },
        square(3, 40),
    );

    let x = tokens.clone();
    ask(
        "a block of layer norm, MLP and residual",
        &|p| {
            let h = x.layer_norm(1, Some(&p[2]), Some(&p[3]), 1e-5);
            let y = &x + h.matmul(&p[0]).gelu().matmul(&p[1]);
            y.square().mean(..)
        },
        vec![w([4, 8], 50), w([8, 4], 51), w([4], 52), w([4], 53)],
    );

    let target = Tensor::from([[1, 2, 0], [0, 3, 3]]);
    let ids = Tensor::from([[0, 1, 2], [3, 0, 1]]);
    ask(
        "a small GPT with tied embeddings",
        &|p| {
            let x = p[0].take(&ids, 0) + &p[1];
            let x = &x + attention(&x.layer_norm(1, None, None, 1e-5), &p[2..6]);
            let x = &x + x.rms_norm(1, None, 1e-5).matmul(&p[6]).silu().matmul(&p[7]);
            let logits = x.matmul(&p[0].t());
            ce(&logits.reshape([6, 4]), &target.reshape([6]))
        },
        [vec![w([4, 4], 60), w([3, 4], 61)], square(6, 62)].concat(),
    );

    let (image, label) = (w([2, 1, 8, 8], 3), Tensor::from([1, 2]));
    let (x, y) = (image.clone(), label.clone());
    ask(
        "a convolutional classifier",
        &|p| {
            let h = conv(&x, &p[0], 0).relu().max_pool2d(2, Ints::default(), 0, 1);
            let h = h.reshape([2, 27]).matmul(&p[1]) + &p[2];
            ce(&h, &y)
        },
        vec![w([3, 1, 3, 3], 70), w([27, 3], 71), w([3], 72)],
    );

    let (x, y) = (image.clone(), label.clone());
    ask(
        "a residual block with batch norm and global pooling",
        &|p| {
            let h = conv(&x, &p[0], 1);
            let (mean, var) = (h.mean([0, 2, 3]), h.var([0, 2, 3], 0.0));
            let n = h.batch_norm(&mean, &var, Some(&p[2]), Some(&p[3]), 1e-5).relu();
            let h = (&h + conv(&n, &p[1], 1)).relu();
            ce(&h.mean([2, 3]).matmul(&p[4]), &y)
        },
        vec![w([3, 1, 3, 3], 80), w([3, 3, 3, 3], 81), w([3], 82), w([3], 83), w([3, 3], 84)],
    );

    let (x, y) = (image.clone(), image.clone());
    ask(
        "an encoder and decoder with a skip",
        &|p| {
            let h = conv(&x, &p[0], 1).relu();
            let low = h.avg_pool2d(2, Ints::default(), 0);
            let up = conv_transpose2d(&low, &p[1], None, 2, 0, 0, 1, 1);
            let both = concat(&[h, up], 1);
            (conv(&both, &p[2], 1) - &y).square().mean(..)
        },
        vec![w([2, 1, 3, 3], 90), w([2, 2, 2, 2], 91), w([1, 4, 3, 3], 92)],
    );

    let x = tokens.clone();
    ask(
        "a recurrent network",
        &|p| {
            let mut h = w([2, 4], 4) * 0.1;
            for t in 0..3 {
                h = (x.i((.., t)).matmul(&p[0]) + h.matmul(&p[1]) + &p[2]).tanh();
            }
            h.square().sum(..)
        },
        vec![w([4, 4], 100), w([4, 4], 101), w([4], 102)],
    );

    let x = tokens.clone();
    ask(
        "an LSTM",
        &|p| {
            let (mut h, mut c) = (w([2, 4], 4) * 0.1, w([2, 4], 5) * 0.1);
            for t in 0..3 {
                let gates = x.i((.., t)).matmul(&p[0]) + h.matmul(&p[1]) + &p[2];
                let g = gates.chunk(4, -1);
                c = g[0].sigmoid() * &c + g[1].sigmoid() * g[2].tanh();
                h = g[3].sigmoid() * c.tanh();
            }
            h.square().mean(..)
        },
        vec![w([4, 16], 110), w([4, 16], 111), w([16], 112)],
    );

    let x = w([6, 4], 6);
    ask(
        "a mixture of experts",
        &|p| {
            let gate = x.matmul(&p[0]).softmax(-1);
            let experts = stack(&[x.matmul(&p[1]).tanh(), x.matmul(&p[2]).tanh()], 1);
            (gate.unsqueeze(2) * experts).sum(1).square().mean(..)
        },
        vec![w([4, 2], 120), w([4, 4], 121), w([4, 4], 122)],
    );

    let x = image.clone();
    ask(
        "squeeze and excite",
        &|p| {
            let h = conv(&x, &p[0], 1);
            let s = h.mean([2, 3]).matmul(&p[1]).relu().matmul(&p[2]).sigmoid();
            (h * s.reshape([2, 3, 1, 1])).square().mean(..)
        },
        vec![w([3, 1, 3, 3], 130), w([3, 8], 131), w([8, 3], 132)],
    );

    let x = tokens.clone();
    ask(
        "attention without a scale, as in T5",
        &|p| {
            let [q, k, v] = [0, 1, 2].map(|i| heads(&x.matmul(&p[i]), 2));
            let scores = q.matmul(&k.transpose(-2, -1)) + &p[3];
            joined(&scores.softmax(-1).matmul(&v)).square().mean(..)
        },
        [square(3, 140), vec![w([2, 3, 3], 143)]].concat(),
    );

    let x = tokens.clone();
    ask(
        "attention by cosines with a learned temperature",
        &|p| {
            let unit = |x: Tensor| &x / (x.norm(keep(-1), 2.0) + 1e-6);
            let (q, k) = (unit(x.matmul(&p[0])), unit(x.matmul(&p[1])));
            let scores = q.matmul(&k.transpose(-2, -1)) * p[2].exp();
            scores.softmax(-1).matmul(&x.matmul(&p[3])).square().mean(..)
        },
        vec![w([4, 4], 150), w([4, 4], 151), Tensor::from(0.3f32), w([4, 4], 152)],
    );

    let x = tokens.clone();
    ask(
        "linear attention",
        &|p| {
            let feature = |x: Tensor| x.elu(1.0) + 1.0;
            let (q, k, v) = (feature(x.matmul(&p[0])), feature(x.matmul(&p[1])), x.matmul(&p[2]));
            let context = k.transpose(-2, -1).matmul(&v);
            let total = q.matmul(&k.sum(keep(-2)).transpose(-2, -1));
            (q.matmul(&context) / total).square().mean(..)
        },
        square(3, 160),
    );

    let x = tokens.clone();
    ask(
        "slot attention: slots compete, then a mean over tokens",
        &|p| {
            let (q, k, v) = (p[0].matmul(&p[1]), x.matmul(&p[2]), x.matmul(&p[3]));
            let scores = k.matmul(&q.t()) / 2.0;
            let share = scores.softmax(-1) + 1e-8;
            let share = &share / share.sum(keep(-2));
            share.transpose(-2, -1).matmul(&v).square().mean(..)
        },
        vec![w([2, 4], 170), w([4, 4], 171), w([4, 4], 172), w([4, 4], 173)],
    );

    let x = tokens.clone();
    ask(
        "pooling by a learned query",
        &|p| {
            let weights = x.matmul(&p[0]).softmax(1);
            (weights * &x).sum(1).matmul(&p[1]).square().mean(..)
        },
        vec![w([4, 1], 180), w([4, 2], 181)],
    );

    let ids = Tensor::from([[0, 1, 2], [3, 0, 1]]);
    let y = Tensor::from([0, 1]);
    ask(
        "a bag of words",
        &|p| {
            let bag = p[0].take(&ids, 0).mean(1);
            ce(&(bag.matmul(&p[1]) + &p[2]), &y)
        },
        vec![w([4, 3], 190), w([3, 2], 191), w([2], 192)],
    );

    let x = tokens.clone();
    ask(
        "a set network",
        &|p| {
            let each = x.matmul(&p[0]).softplus();
            each.sum(1).matmul(&p[1]).tanh().sum(..)
        },
        square(2, 200),
    );

    let (x, key) = (w([8, 4], 7), Key::new(3));
    ask(
        "a network with dropout",
        &|p| {
            let h = dropout(&x.matmul(&p[0]).relu(), &key, 0.25);
            h.matmul(&p[1]).square().mean(..)
        },
        square(2, 210),
    );

    let x = tokens.clone();
    ask(
        "gated units",
        &|p| (x.matmul(&p[0]).sigmoid() * x.matmul(&p[1])).matmul(&p[2]).square().mean(..),
        square(3, 220),
    );

    let x = tokens.clone();
    ask(
        "rotary positions",
        &|p| {
            let q = x.matmul(&p[0]);
            let k = x.matmul(&p[1]);
            let angle = Tensor::from([[0.0f32, 0.0], [1.0, 0.1], [2.0, 0.2]]);
            let turned = |x: &Tensor| {
                let (a, b) = (x.i((.., .., ..2)), x.i((.., .., 2..)));
                concat(&[&a * angle.cos() - &b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)
            };
            let scores = turned(&q).matmul(&turned(&k).transpose(-2, -1)) / 2.0;
            scores.softmax(-1).matmul(&x).square().mean(..)
        },
        square(2, 230),
    );
}
