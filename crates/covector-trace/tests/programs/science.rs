//! Geometry, statistics and physics.

use covector::{Tensor, grad, keep};

use super::{Ask, w};

pub fn all(ask: Ask) {
    let x = w([6, 2], 1);

    let (a, b) = (x.clone(), w([6, 2], 2));
    ask(
        "the distance of two samples by kernels",
        &|p| {
            let kernel = |a: &Tensor, b: &Tensor| {
                let d = (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(-1);
                (-d).exp().mean(..)
            };
            let a = a.matmul(&p[0]);
            kernel(&a, &a) + kernel(&b, &b) - kernel(&a, &b) * 2.0
        },
        vec![w([2, 2], 3)],
    );

    let (a, b) = (w([6], 4), w([6], 5));
    ask(
        "the energy distance of numbers",
        &|p| {
            let a = &a * &p[0] + &p[1];
            let across = (a.unsqueeze(1) - b.unsqueeze(0)).abs().mean(..);
            let inside = (a.unsqueeze(1) - a.unsqueeze(0)).abs().mean(..);
            across * 2.0 - inside
        },
        vec![Tensor::from(0.7f32), Tensor::from(0.2f32)],
    );

    let points = x.clone();
    ask(
        "soft clusters",
        &|p| {
            let d = (points.unsqueeze(1) - p[0].unsqueeze(0)).square().sum(-1);
            let share = (-&d * 4.0).softmax(-1);
            (share * d).sum(-1).mean(..)
        },
        vec![w([3, 2], 6)],
    );

    let ratings = w([4, 5], 7);
    ask(
        "a factorisation with biases",
        &|p| {
            let guess = p[0].matmul(&p[1].t()) + p[2].unsqueeze(1) + &p[3];
            (guess - &ratings).square().mean(..)
        },
        vec![w([4, 2], 8), w([5, 2], 9), w([4], 10), w([5], 11)],
    );

    let cost = w([4, 4], 12).abs();
    ask(
        "optimal transport by Sinkhorn's steps",
        &|p| {
            let k = -(&cost + &p[0]) / 0.5;
            let (mut f, mut g) = (w([4], 0) * 0.0, w([4], 0) * 0.0);
            for _ in 0..5 {
                f = -(&k + g.unsqueeze(0)).logsumexp(1);
                g = -(&k + f.unsqueeze(1)).logsumexp(0);
            }
            ((k + f.unsqueeze(1) + g.unsqueeze(0)).exp() * &cost).sum(..)
        },
        vec![w([4, 4], 13) * 0.1],
    );

    let y = w([8, 8], 14);
    ask(
        "an image without noise",
        &|p| {
            let (dx, dy) = (p[0].diff(1, 0).abs().mean(..), p[0].diff(1, 1).abs().mean(..));
            (&p[0] - &y).square().mean(..) + (dx + dy) * 0.1
        },
        vec![w([8, 8], 15)],
    );

    let start = w([3], 16);
    ask(
        "a differential equation by Euler's steps",
        &|p| {
            let mut x = start.clone();
            for _ in 0..20 {
                x = &x + p[0].matmul(&x).tanh() * 0.1;
            }
            (x - 1.0).square().sum(..)
        },
        vec![w([3, 3], 17)],
    );

    let at = Tensor::from([0.1f32, 0.4, 0.7]);
    ask(
        "a network that obeys an equation",
        &|p| {
            let (a, b) = (p[0].clone(), p[1].clone());
            let u = move |x: &Tensor| (x.unsqueeze(1) * &a).tanh().matmul(&b);
            let slope = grad(|x: &Tensor| u(x).sum(..))(&at);
            (slope + u(&at)).square().mean(..)
        },
        vec![w([1, 5], 18), w([5], 19)],
    );

    let (x0, y) = (w([6], 20), w([6], 21));
    ask(
        "a polynomial",
        &|p| {
            let powers = x0.unsqueeze(1).pow(Tensor::from([0.0f32, 1.0, 2.0, 3.0]));
            (powers.matmul(&p[0]) - &y).square().mean(..)
        },
        vec![w([4], 22)],
    );

    let y = w([6], 23);
    ask(
        "the likelihood of a normal distribution",
        &|p| {
            let z = (&y - &p[0]) / p[1].exp();
            (z.square() * 0.5 + &p[1]).mean(..)
        },
        vec![Tensor::from(0.3f32), Tensor::from(-0.2f32)],
    );

    let x0 = x.clone();
    ask(
        "principal directions by maximising variance",
        &|p| {
            let v = &p[0] / p[0].norm(.., 2.0);
            -x0.matmul(&v).var(.., 0.0)
        },
        vec![w([2], 24)],
    );

    let (x0, y) = (x.clone(), w([6], 25));
    ask(
        "kernel ridge regression",
        &|p| {
            let d = (x0.unsqueeze(1) - x0.unsqueeze(0)).square().sum(-1);
            let k = (-d * p[1].exp()).exp();
            (k.matmul(&p[0]) - &y).square().sum(..) + p[0].matmul(&k.matmul(&p[0])) * 0.1
        },
        vec![w([6], 26), Tensor::from(0.0f32)],
    );

    let x0 = w([6, 4], 27);
    ask(
        "whitening: decorrelated features",
        &|p| {
            let z = x0.matmul(&p[0]);
            let z = (&z - z.mean(keep(0))) / (z.std(keep(0), 0.0) + 1e-5);
            let c = z.t().matmul(&z) / 6.0;
            let off =
                &c - c.diagonal(0).unsqueeze(0) * Tensor::from([[1.0f32, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
            off.square().sum(..) * 0.01 + (c.diagonal(0) - 1.3).square().sum(..) + z.tanh().square().mean(..)
        },
        vec![w([4, 3], 28)],
    );

    let spins = w([5], 29).sign();
    ask(
        "the energy of spins",
        &|p| {
            let j = (&p[0] + p[0].t()) * 0.5;
            -spins.matmul(&j.matmul(&spins)) * 0.5 - p[1].matmul(&spins)
        },
        vec![w([5, 5], 30), w([5], 31)],
    );

    let series = w([12], 32);
    ask(
        "an autoregressive model with a running mean",
        &|p| {
            let mut mean = series.i(0);
            let mut loss = (&mean - &series.i(0)).square();
            let rate = p[0].sigmoid();
            for t in 1..12 {
                loss = loss + (&mean - series.i(t)).square();
                mean = &mean * (1.0 - &rate) + series.i(t) * &rate;
            }
            loss / 11.0
        },
        vec![Tensor::from(0.2f32)],
    );
}
