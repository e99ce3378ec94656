//! The rows of the comparison.

/// One row: what is timed, and what it must cost at least.
pub struct Row {
    /// What drivers are asked.
    pub name: &'static str,
    /// What the table says.
    pub title: &'static str,
    /// Floating-point operations of the work that cannot be left out, and their width.
    pub flops: Option<(f64, Width)>,
    /// Bytes that must be read or written at least.
    pub bytes: Option<f64>,
    /// Into how many ops the time is divided.
    pub ops: f64,
    /// Whether the peak of memory is of interest: drivers are then started afresh.
    pub memory: bool,
    /// Whether a first call is timed: every repeat has a process of its own.
    pub first: bool,
    /// Who covector is compared with.
    pub against: Against,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Width {
    BF16,
    F32,
    F64,
}

/// Which peers do what covector does in a row. The figures of all are shown.
#[derive(Clone, Copy, PartialEq)]
pub enum Against {
    All,
    /// Those that record each op while the program runs, as covector does there.
    Eager,
    /// Those that compile the whole function before, as covector does there.
    Compiled,
}

impl Against {
    /// Whether the library of this name is an opponent.
    pub fn includes(self, name: &str) -> bool {
        let compiles = ["torch-compile", "jax"].contains(&name);
        match self {
            Against::All => true,
            Against::Eager => !compiles,
            Against::Compiled => compiles,
        }
    }
}

impl Row {
    /// How far results may differ between libraries: bf16 has three digits.
    pub fn tolerance(&self) -> f64 {
        if self.flops.is_some_and(|(_, width)| width == Width::BF16) { 1e-2 } else { 1e-3 }
    }
}

const NONE: Row =
    Row { name: "", title: "", flops: None, bytes: None, ops: 1.0, memory: false, first: false, against: Against::All };

const fn row(name: &'static str, title: &'static str) -> Row {
    Row { name, title, ..NONE }
}

const fn product(name: &'static str, title: &'static str, width: Width, [batch, m, k, n]: [u64; 4]) -> Row {
    Row { name, title, flops: Some(((2 * batch * m * k * n) as f64, width)), ..NONE }
}

/// `arrays` passes over an array of `numbers` f32, reads and writes counted alike.
const fn streaming(name: &'static str, title: &'static str, arrays: u64, numbers: u64) -> Row {
    Row { name, title, bytes: Some((4 * arrays * numbers) as f64), ..NONE }
}

/// A training step: three products for each of the forward pass.
const fn training(name: &'static str, title: &'static str, width: Width, forward: u64) -> Row {
    Row { name, title, flops: Some(((3 * forward) as f64, width)), memory: true, ..NONE }
}

/// The multiply-adds of a GPT's forward pass, twice.
const fn gpt(layers: u64, width: u64, time: u64, batch: u64) -> u64 {
    let tokens = time * batch;
    // Causal attention needs half of the scores and half of the sums.
    layers * (24 * tokens * width * width + 2 * tokens * time * width) + 2 * tokens * width * 65
}

// The first layer needs no gradient of its input.
const MLP: u64 = 2 * 128 * (784 * 512 + 512 * 512 + 512 * 10) - 2 * 128 * 784 * 512 / 3;
const BIG: u64 = 4096 * 4096;
const WIDE: u64 = 4096 * 1024;
const CONVOLUTIONS: u64 = 2 * 32 * 9 * (3 * 16 * 1024 + 16 * 32 * 256 + 32 * 64 * 64);
/// The weights of GPT-2 small, of which the head is the token embedding, and keys and values of 128 tokens.
const DECODED: u64 = 12 * 12 * 768 * 768 + 50257 * 768 + 12 * 2 * 128 * 768;

pub const ROWS: [Row; 39] = [
    product("matmul_512_f32", "matmul 512³ f32", Width::F32, [1, 512, 512, 512]),
    product("matmul_1024_f32", "matmul 1024³ f32", Width::F32, [1, 1024, 1024, 1024]),
    product("matmul_2048_f32", "matmul 2048³ f32", Width::F32, [1, 2048, 2048, 2048]),
    product("matmul_512_f64", "matmul 512³ f64", Width::F64, [1, 512, 512, 512]),
    product("matmul_1024_f64", "matmul 1024³ f64", Width::F64, [1, 1024, 1024, 1024]),
    product("matmul_2048_f64", "matmul 2048³ f64", Width::F64, [1, 2048, 2048, 2048]),
    product("matmul_1024_bf16", "matmul 1024³ bf16", Width::BF16, [1, 1024, 1024, 1024]),
    product("matmul_odd", "matmul 1000×997 @ 997×1003", Width::F32, [1, 1000, 997, 1003]),
    product("matmul_nt", "matmul 2048×384 @ (1536×384)ᵀ", Width::F32, [1, 2048, 384, 1536]),
    product("matmul_batched", "matmul 96 × (128×64 @ 64×128)", Width::F32, [96, 128, 64, 128]),
    streaming("vecmat", "one row × 2048×8192", 1, 2048 * 8192),
    streaming("gelu", "GELU of 16 M numbers, primitive ops", 2, BIG),
    streaming("gelu_grad", "the same, forward and backward", 2, BIG),
    streaming("chain2", "x·σ(x) + exp(−x²)/2 − log1p|x| of 16 M numbers", 2, BIG),
    streaming("chain2_grad", "the same, forward and backward", 2, BIG),
    streaming("softmax", "softmax 4096×1024", 2, WIDE),
    streaming("layernorm", "layer norm 4096×1024", 2, WIDE),
    streaming("layernorm_grad", "the same, forward and backward", 3, WIDE),
    streaming("batchnorm_grad", "batch norm 64×64×32×32, forward and backward", 3, WIDE),
    streaming("sum_0", "sum 4096×4096 over axis 0", 1, BIG),
    streaming("sum_1", "sum 4096×4096 over axis 1", 1, BIG),
    streaming("sum_middle", "sum 64×256×1024 over axis 1", 1, BIG),
    streaming("cumsum_0", "cumsum 4096×1024 over axis 0", 2, WIDE),
    streaming("cumsum_1", "cumsum 4096×1024 over axis 1", 2, WIDE),
    streaming("add_t", "x + yᵀ, 4096×4096", 3, BIG),
    Row { memory: true, ..row("embedding_grad", "embedding of 768 tokens in 50257×768, SGD step") },
    training("mlp", "MLP 784-512-512-10, batch 128, Adam step", Width::F32, MLP),
    training("mlp_f64", "the same in f64", Width::F64, MLP),
    training("gpt_small", "GPT 4 layers, 4 heads, d128 T64, batch 12, AdamW step", Width::F32, gpt(4, 128, 64, 12)),
    training("gpt_large", "GPT 6 layers, 6 heads, d384 T256, batch 8, AdamW step", Width::F32, gpt(6, 384, 256, 8)),
    training("cnn", "CNN of three 3×3 convolutions on 3×32×32, batch 32, SGD step", Width::F32, CONVOLUTIONS),
    Row { memory: true, ..streaming("decode", "GPT-2 small, one token after 128 cached", 1, DECODED) },
    Row { memory: true, ..row("per_sample", "gradients of the MLP per example, batch 32") },
    Row { memory: true, ..row("hvp", "Hessian of the MLP times a vector, batch 128") },
    Row {
        first: true,
        against: Against::Compiled,
        ..row("gpt_first", "first step of the smaller GPT in a fresh process, compilation included")
    },
    Row { against: Against::Eager, ..row("add1", "add two 1-element tensors") },
    Row { ops: 1000.0, against: Against::Eager, ..row("chain", "1000 small ops forward and backward, per op") },
    Row { ops: 1000.0, against: Against::Compiled, ..row("chain_compiled", "the same, compiled once") },
    row("scalar_mlp", "MLP 2-16-16-1 of scalars, 100 examples, forward and backward"),
];
