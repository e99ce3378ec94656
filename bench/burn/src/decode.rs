//! One token of a GPT, with keys and values of earlier ones cached.

use std::hint::black_box;

use burn::prelude::*;
use burn::tensor::activation::gelu;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;

use crate::fill::{CACHED, TOKEN, fill32};
use crate::protocol::Prepared;
use crate::{Gpt, device, figures};

const HEADS: usize = 12;
const WIDTH: usize = 768;
const BLOCK: usize = 1024;
const SIZE: usize = WIDTH / HEADS;

pub fn prepare() -> Option<Prepared> {
    let model = Gpt::new(12, WIDTH, 50257, BLOCK).valid();
    let mut caches: Vec<[Tensor<4>; 2]> = (0..12).map(|i| [cache(100 + 2 * i), cache(101 + 2 * i)]).collect();
    let token = Tensor::<2, Int>::from_data([[TOKEN]], &device());
    let mut run = move || logits(&model, token.clone(), &mut caches);
    Prepared::new(figures(run()), move || {
        black_box(run());
    })
}

/// Room for a whole block, of which the tokens so far are filled.
fn cache(seed: u32) -> Tensor<4> {
    let numbers = TensorData::new(fill32(HEADS * CACHED * SIZE, seed, 1.0), [1, HEADS, CACHED, SIZE]);
    let room = Tensor::zeros([1, HEADS, BLOCK, SIZE], &device());
    room.slice_assign([0..1, 0..HEADS, 0..CACHED, 0..SIZE], Tensor::from_data(numbers, &device()))
}

/// Writes the new token's keys or values; nobody else holds the cache meanwhile, so that it is written in place.
fn append(cache: &mut Tensor<4>, new: Tensor<4>) -> Tensor<4> {
    let held = std::mem::replace(cache, new.clone());
    *cache = held.slice_assign([0..1, 0..HEADS, CACHED..CACHED + 1, 0..SIZE], new);
    cache.clone().slice([0..1, 0..HEADS, 0..CACHED + 1, 0..SIZE])
}

fn logits(model: &Gpt, token: Tensor<2, Int>, caches: &mut [[Tensor<4>; 2]]) -> Tensor<2> {
    let mut x = model.wte.forward(token) + model.wpe.val().slice([CACHED..CACHED + 1, 0..WIDTH]).unsqueeze::<3>();
    for (block, [keys, values]) in model.h.iter().zip(caches) {
        let parts = block.c_attn.forward(block.ln_1.forward(x.clone())).chunk(3, 2);
        let mut parts = parts.into_iter().map(|part| part.reshape([1, HEADS, 1, SIZE]));
        let [q, k, v] = std::array::from_fn(|_| parts.next().expect("three parts"));
        let (keys, values) = (append(keys, k), append(values, v));
        let y = attention(q, keys, values, None, None, AttentionModuleOptions::default());
        x = x + block.c_proj.forward(y.reshape([1, 1, WIDTH]));
        x = x.clone() + block.back.forward(gelu(block.c_fc.forward(block.ln_2.forward(x))));
    }
    model.ln_f.forward(x).reshape([1, WIDTH]).matmul(model.wte.weight.val().transpose())
}
