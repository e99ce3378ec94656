//! Losses and ways to learn.

use covector::ops::loss::{
    binary_cross_entropy_with_logits as bce, cross_entropy, huber_loss, kl_div, l1_loss, mse_loss, nll_loss,
};
use covector::{DType, Tensor, grad, keep};

use super::{Ask, w};

fn eye(n: i64) -> Tensor {
    let i = Tensor::from((0..n).collect::<Vec<_>>());
    i.unsqueeze(1).equal(i.unsqueeze(0))
}

fn unit(x: &Tensor) -> Tensor {
    x / (x.norm(keep(-1), 2.0) + 1e-8)
}

pub fn all(ask: Ask) {
    let x = w([6, 3], 1);
    let (column, flat) = (w([6, 1], 2), w([6], 2));
    let labels = Tensor::from([0, 1, 2, 0, 1, 2]);

    let (x0, y) = (x.clone(), column.clone());
    ask(
        "a linear regression in columns",
        &|p| ((x0.matmul(&p[0]) + &p[1]) - &y).square().mean(..),
        vec![w([3, 1], 3), w([1], 4)],
    );

    let (x0, y) = (x.clone(), flat.clone());
    ask(
        "a linear regression with a vector",
        &|p| mse_loss(&(x0.matmul(&p[0]) + &p[1]), &y, "mean"),
        vec![w([3], 5), Tensor::from(0.1f32)],
    );

    let (x0, y) = (x.clone(), flat.greater(0.0).cast(DType::F32));
    ask("a logistic regression", &|p| bce(&x0.matmul(&p[0]), &y, None, None, "mean"), vec![w([3], 6)]);

    let (x0, y) = (x.clone(), labels.clone());
    ask(
        "a softmax regression",
        &|p| {
            let logits = x0.matmul(&p[0]) + &p[1];
            nll_loss(&logits.log_softmax(-1), &y, None, None, "mean")
        },
        vec![w([3, 3], 7), w([3], 8)],
    );

    let (x0, y) = (x.clone(), flat.clone());
    ask(
        "a robust regression with weights for each example",
        &|p| {
            let weights = Tensor::from([1.0f32, 0.5, 1.0, 2.0, 1.0, 0.1]);
            (huber_loss(&x0.matmul(&p[0]), &y, 0.5, "none") * weights).sum(..)
        },
        vec![w([3], 9)],
    );

    let (x0, y) = (x.clone(), flat.clone());
    ask(
        "quantiles by the pinball loss",
        &|p| {
            let quantiles = Tensor::from([0.1f32, 0.5, 0.9]);
            let d = y.unsqueeze(1) - x0.matmul(&p[0]);
            (&d * &quantiles).maximum(&d * (quantiles - 1.0)).mean(..)
        },
        vec![w([3, 3], 10)],
    );

    let (x0, y) = (x.clone(), labels.cast(DType::F32));
    ask(
        "a Poisson regression",
        &|p| {
            let rate = x0.matmul(&p[0]);
            (rate.exp() - &y * &rate).mean(..)
        },
        vec![w([3], 11)],
    );

    let (x0, noise) = (x.clone(), w([6, 2], 12));
    ask(
        "a variational autoencoder",
        &|p| {
            let h = x0.matmul(&p[0]).tanh();
            let (mean, log_var) = (h.matmul(&p[1]), h.matmul(&p[2]));
            let z = &mean + (&log_var * 0.5).exp() * &noise;
            let kl = (mean.square() + log_var.exp() - 1.0 - log_var).sum(-1) * 0.5;
            let error = (z.matmul(&p[3]) - &x0).square().sum(-1);
            (error + kl).mean(..)
        },
        vec![w([3, 4], 13), w([4, 2], 14), w([4, 2], 15), w([2, 3], 16)],
    );

    let (real, noise) = (x.clone(), w([6, 2], 17));
    ask(
        "a generator against a discriminator",
        &|p| {
            let fake = noise.matmul(&p[0]).tanh();
            let score = |x: &Tensor| x.matmul(&p[1]).leaky_relu(0.2).matmul(&p[2]);
            let (on_real, on_fake) = (score(&real), score(&fake));
            bce(&on_real, &on_real.ones_like(), None, None, "mean")
                + bce(&on_fake, &on_fake.zeros_like(), None, None, "mean")
        },
        vec![w([2, 3], 18), w([3, 4], 19), w([4, 1], 20)],
    );

    let (real, fake) = (x.clone(), w([6, 3], 21));
    ask(
        "a critic with a gradient penalty",
        &|p| {
            let (a, b) = (p[0].clone(), p[1].clone());
            let critic = move |x: &Tensor| x.matmul(&a).tanh().matmul(&b);
            let between = (&real + &fake) * 0.5;
            let slope = grad(|x: &Tensor| critic(x).sum(..))(&between);
            let penalty = (slope.norm(-1, 2.0) - 1.0).square().mean(..);
            critic(&fake).mean(..) - critic(&real).mean(..) + penalty * 10.0
        },
        vec![w([3, 4], 22), w([4, 1], 23)],
    );

    let views = [x.clone(), w([6, 3], 24)];
    ask(
        "a contrastive loss over all pairs",
        &|p| {
            let z = unit(&covector::ops::concat::concat(&views, 0).matmul(&p[0]));
            let scores = z.matmul(&z.t()) / 0.5;
            let scores = eye(12).where_(f64::NEG_INFINITY, scores);
            let target = Tensor::from([6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]);
            cross_entropy(&scores, &target, None, None, 0.0, "mean")
        },
        vec![w([3, 4], 25)],
    );

    let (image, text) = (x.clone(), w([6, 5], 26));
    ask(
        "images and texts, both ways",
        &|p| {
            let logits = unit(&image.matmul(&p[0])).matmul(&unit(&text.matmul(&p[1])).t()) * p[2].exp();
            let same = Tensor::from([0, 1, 2, 3, 4, 5]);
            let ce = |x: &Tensor| cross_entropy(x, &same, None, None, 0.0, "mean");
            (ce(&logits) + ce(&logits.t())) * 0.5
        },
        vec![w([3, 4], 27), w([5, 4], 28), Tensor::from(1.0f32)],
    );

    let (a, b, c) = (x.clone(), w([6, 3], 29), w([6, 3], 30));
    ask(
        "triplets with a margin",
        &|p| {
            let z = |x: &Tensor| x.matmul(&p[0]);
            let near = (z(&a) - z(&b)).square().sum(-1);
            let far = (z(&a) - z(&c)).square().sum(-1);
            (near - far + 1.0).relu().mean(..)
        },
        vec![w([3, 4], 31)],
    );

    let (x0, relevance) = (x.clone(), flat.clone());
    ask(
        "ranking by pairs",
        &|p| {
            let s = x0.matmul(&p[0]);
            let better = relevance.unsqueeze(1).greater(relevance.unsqueeze(0));
            let d = s.unsqueeze(1) - s.unsqueeze(0);
            let pairs = better.cast(DType::F32);
            ((-d).softplus() * &pairs).sum(..) / pairs.sum(..)
        },
        vec![w([3], 32)],
    );

    let (x0, y) = (x.clone(), labels.clone());
    ask(
        "a focal loss",
        &|p| {
            let logs = x0.matmul(&p[0]).log_softmax(-1);
            let right = logs.take_along_axis(&y.unsqueeze(1), 1).squeeze(1);
            -((1.0 - right.exp()).square() * right).mean(..)
        },
        vec![w([3, 3], 33)],
    );

    let (x0, y) = (x.clone(), flat.greater(0.0).cast(DType::F32));
    ask(
        "a Dice loss",
        &|p| {
            let q = x0.matmul(&p[0]).sigmoid();
            1.0 - ((&q * &y).sum(..) * 2.0 + 1.0) / (q.sum(..) + y.sum(..) + 1.0)
        },
        vec![w([3], 34)],
    );

    let (x0, teacher) = (x.clone(), w([6, 3], 35));
    ask(
        "distillation",
        &|p| {
            let student = (x0.matmul(&p[0]) / 2.0).log_softmax(-1);
            kl_div(&student, &(&teacher / 2.0).softmax(-1), false, "batchmean") * 4.0
        },
        vec![w([3, 3], 36)],
    );

    let (x0, teacher) = (x.clone(), w([6, 3], 37));
    ask(
        "soft targets from a teacher",
        &|p| {
            let target = teacher.softmax(-1);
            cross_entropy(&x0.matmul(&p[0]), &target, None, None, 0.0, "mean")
        },
        vec![w([3, 3], 38)],
    );

    let (states, actions, advantage) = (x.clone(), labels.clone(), flat.clone());
    ask(
        "a policy gradient",
        &|p| {
            let logs = states.matmul(&p[0]).log_softmax(-1).take_along_axis(&actions.unsqueeze(1), 1).squeeze(1);
            let entropy = states.matmul(&p[0]).softmax(-1);
            let entropy = -(&entropy * states.matmul(&p[0]).log_softmax(-1)).sum(-1).mean(..);
            -(logs * &advantage).mean(..) - entropy * 0.01
        },
        vec![w([3, 3], 39)],
    );

    let (states, actions, advantage, before) = (x.clone(), labels.clone(), flat.clone(), w([6], 40) * 0.1 - 1.1);
    ask(
        "proximal policy optimisation",
        &|p| {
            let logs = states.matmul(&p[0]).log_softmax(-1).take_along_axis(&actions.unsqueeze(1), 1).squeeze(1);
            let ratio = (logs - &before).exp();
            let held = ratio.clip(Some(0.8), Some(1.2));
            -(ratio * &advantage).minimum(held * &advantage).mean(..)
        },
        vec![w([3, 3], 41)],
    );

    let (now, next, reward, actions) = (x.clone(), w([6, 3], 42), flat.clone(), labels.clone());
    ask(
        "Q-learning with a fixed target",
        &|p| {
            let q = now.matmul(&p[0]).take_along_axis(&actions.unsqueeze(1), 1).squeeze(1);
            let target = &reward + next.matmul(&p[0]).max(-1).stop_gradient() * 0.9;
            huber_loss(&q, &target, 1.0, "mean")
        },
        vec![w([3, 3], 43)],
    );

    let x0 = x.clone();
    ask(
        "a codebook with a straight-through estimate",
        &|p| {
            let z = x0.matmul(&p[0]);
            let d = (z.unsqueeze(1) - p[1].unsqueeze(0)).square().sum(-1);
            let code = p[1].take(&d.argmin(-1), 0);
            let commit = (&z - code.stop_gradient()).square().mean(..);
            let follow = (z.stop_gradient() - &code).square().mean(..);
            let through = &z + (code - &z).stop_gradient();
            (through.matmul(&p[2]) - &x0).square().mean(..) + commit * 0.25 + follow
        },
        vec![w([3, 2], 44), w([4, 2], 45), w([2, 3], 46)],
    );

    let (x0, y) = (x.clone(), flat.clone());
    ask(
        "a mixture density network",
        &|p| {
            let (weights, mean, log_s) = (x0.matmul(&p[0]).log_softmax(-1), x0.matmul(&p[1]), x0.matmul(&p[2]));
            let z = (y.unsqueeze(1) - mean) / log_s.exp();
            -(weights - log_s - z.square() * 0.5).logsumexp(-1).mean(..)
        },
        vec![w([3, 2], 47), w([3, 2], 48), w([3, 2], 49)],
    );

    let (a, b) = (x.clone(), w([6, 3], 50));
    ask(
        "a cosine loss",
        &|p| {
            let (a, b) = (a.matmul(&p[0]), b.matmul(&p[1]));
            let dot = (&a * &b).sum(-1);
            1.0 - (dot / (a.norm(-1, 2.0) * b.norm(-1, 2.0)).maximum(1e-8)).mean(..)
        },
        vec![w([3, 4], 51), w([3, 4], 52)],
    );

    let (x0, y) = (x.clone(), w([6, 3], 53));
    ask(
        "several targets, one weight each",
        &|p| {
            let weights = Tensor::from([1.0f32, 2.0, 0.5]);
            let each = l1_loss(&x0.matmul(&p[0]), &y, "none").mean(0);
            (each * weights).sum(..)
        },
        vec![w([3, 3], 54)],
    );
}
