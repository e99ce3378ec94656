//! One token of a GPT, with keys and values of earlier ones cached.

use std::hint::black_box;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::Module;
use candle_nn::ops::softmax_last_dim;

use crate::fill::{CACHED, TOKEN, fill32};
use crate::protocol::Prepared;
use crate::{Gpt, Parameters, figures};

const HEADS: usize = 12;
const WIDTH: usize = 768;
const BLOCK: usize = 1024;
const SIZE: usize = WIDTH / HEADS;

pub fn prepare() -> Result<Option<Prepared>> {
    let mut p = Parameters { trained: false, ..Parameters::default() };
    let model = Gpt::new(&mut p, 12, WIDTH, 50257, BLOCK)?;
    let caches = (0..12).map(|i| Ok([cache(100 + 2 * i)?, cache(101 + 2 * i)?])).collect::<Result<Vec<_>>>()?;
    let token = Tensor::new(&[TOKEN], &Device::Cpu)?;
    let run = move || logits(&model, &token, &caches);
    Ok(Prepared::new(figures(&run()?)?, move || {
        black_box(run().expect("decodes"));
    }))
}

/// Room for a whole block, of which the tokens so far are filled.
fn cache(seed: u32) -> Result<Tensor> {
    let room = Tensor::zeros((HEADS, BLOCK, SIZE), DType::F32, &Device::Cpu)?;
    let numbers = fill32(HEADS * CACHED * SIZE, seed, 1.0);
    room.slice_set(&Tensor::from_vec(numbers, (HEADS, CACHED, SIZE), &Device::Cpu)?, 1, 0)?;
    Ok(room)
}

fn logits(model: &Gpt, token: &Tensor, caches: &[[Tensor; 2]]) -> Result<Tensor> {
    let mut x = (model.wte.index_select(token, 0)? + model.wpe.narrow(0, CACHED, 1)?)?;
    for (block, [keys, values]) in model.blocks.iter().zip(caches) {
        let all = block.c_attn.forward(&block.ln_1.forward(&x)?)?.reshape((3, HEADS, 1, SIZE))?;
        keys.slice_set(&all.get(1)?, 1, CACHED)?;
        values.slice_set(&all.get(2)?, 1, CACHED)?;
        let (keys, values) = (keys.narrow(1, 0, CACHED + 1)?, values.narrow(1, 0, CACHED + 1)?);
        let scores = (all.get(0)?.matmul(&keys.transpose(D::Minus2, D::Minus1)?)? * (SIZE as f64).powf(-0.5))?;
        let y = softmax_last_dim(&scores)?.matmul(&values)?.reshape((1, WIDTH))?;
        x = (&x + block.c_proj.forward(&y)?)?;
        let inner = block.fc.forward(&block.ln_2.forward(&x)?)?.gelu_erf()?;
        x = (&x + block.back.forward(&inner)?)?;
    }
    model.ln_f.forward(&x)?.matmul(&model.wte.t()?)
}
