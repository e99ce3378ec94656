//! The programs whose pictures are tested; the example `pictures` draws the same for the documentation.

use covector::ops::create::zeros;
use covector::ops::random::normal;
use covector::{DType, Key, Shape, Tensor, Tree};
use covector_nn::{Dropout, Gpt, GptConfig};
use covector_trace::Notes;
use covector_trace::draw::{Options, Picture};

/// With gradients, without computing anything.
pub fn with_gradients() -> Options {
    Options { gradients: true, ..Options::default() }
}

/// The lesson's first graph, with its gradients.
pub fn lesson() -> Picture {
    let args = (Tensor::from(3.0), Tensor::from(2.0), Tensor::from(-1.0));
    let z = |(x, w, b): &(Tensor, Tensor, Tensor), notes: &mut Notes| {
        [("x", x), ("w", w), ("b", b)].into_iter().for_each(|(name, t)| notes.name(t, name));
        let z = (x * w + b).square();
        notes.name(&z, "z");
        z
    };
    drawn(Picture::trace(z, &args, &Options { values: true, ..with_gradients() }))
}

/// What one head of attention is made from.
#[derive(Tree)]
#[allow(non_snake_case)]
pub struct Head {
    X: Tensor,
    W_Q: Tensor,
    W_K: Tensor,
    W_V: Tensor,
}

fn random(seed: u64, shape: &[usize]) -> Tensor {
    normal(&Key::new(seed), Shape::from(shape), DType::F32)
}

/// One head of attention, and the mean of the squares of what it gives as a loss.
pub fn attention() -> Picture {
    let head =
        Head { X: random(0, &[2, 5, 8]), W_Q: random(1, &[8, 4]), W_K: random(2, &[8, 4]), W_V: random(3, &[8, 4]) };
    let f = |a: &Head, notes: &mut Notes| {
        let [q, k, v] = [&a.W_Q, &a.W_K, &a.W_V].map(|w| a.X.matmul(w));
        let scores = q.matmul(&k.transpose(-1, -2)) / 2.0;
        let weights = scores.softmax(-1);
        let output = weights.matmul(&v);
        let loss = output.square().mean(..);
        for (name, t, shape) in [
            ("Q", &q, "[B, T, d_k]"),
            ("K", &k, "[B, T, d_k]"),
            ("V", &v, "[B, T, d_k]"),
            ("scores", &scores, "[B, T, T]"),
            ("weights", &weights, "[B, T, T]"),
            ("output", &output, "[B, T, d_k]"),
            ("loss", &loss, "[]"),
        ] {
            notes.name(t, name);
            notes.shape(t, shape);
        }
        loss
    };
    drawn(Picture::trace(f, &head, &Options { values: true, ..with_gradients() }))
}

/// A small convolutional network; a second one is wider and has a norm more.
pub fn convolutions(second: bool) -> Picture {
    let channels = if second { 14 } else { 10 };
    let weights: Vec<Tensor> =
        vec![random(1, &[channels, 1, 5, 5]), random(2, &[20, channels, 5, 5]), random(3, &[320, 10])];
    let images = Tensor::from_array(random(0, &[7, 1, 28, 28]).value());
    let f = |w: &Vec<Tensor>, notes: &mut Notes| {
        notes.name(&images, "images");
        ["conv1.weight", "conv2.weight", "fc.weight"].iter().zip(w).for_each(|(name, t)| notes.name(t, *name));
        let convolved = |x: &Tensor, w: &Tensor| {
            x.conv2d(w, None, [1], [0], [1], 1).max_pool2d([2, 2], [2, 2], [0, 0], [1, 1]).relu()
        };
        let mut x = convolved(&images, &w[0]);
        if second {
            x = x.group_norm(2, None, None, 1e-5);
        }
        let flat = convolved(&x, &w[1]).reshape([7, 320]);
        let logits = flat.matmul(&w[2]).log_softmax(-1);
        notes.name(&logits, "logits");
        logits
    };
    drawn(Picture::trace(f, &weights, &Options::default()))
}

/// GPT-2 small on a sequence of 1,024 tokens, with its loss; nothing is computed.
pub fn gpt(options: &Options) -> Picture {
    let config = GptConfig { vocabulary: 50257, block: 1024, layers: 12, heads: 12, width: 768, bias: false };
    let f = |model: &Gpt, notes: &mut Notes| {
        let [tokens, targets] = [0, 1].map(|_| zeros([1, 1024], DType::I64));
        notes.name(&tokens, "tokens");
        notes.name(&targets, "targets");
        let loss = model.loss(&tokens, &targets, &Dropout::off());
        notes.name(&loss, "loss");
        loss
    };
    drawn(Picture::trace(f, &Gpt::new(&Key::new(0), &config), options))
}

fn drawn(picture: covector::Result<Picture>) -> Picture {
    picture.unwrap_or_else(|e| panic!("{e}"))
}
