//! Layers, a GPT, optimisers, schedules and data for [`covector`].
//!
//! A model is a plain structure of tensors that derives [`covector::Tree`]: nothing is registered, nothing is mutated.
//! Its gradient is another value of its type, and so is the state of its optimiser. Layers and their parameters have
//! PyTorch's names and layouts, so weights load unchanged.
#![forbid(unsafe_code)]

pub mod attention;
pub mod data;
pub mod decode;
pub mod dropout;
pub mod file;
pub mod gpt;
pub mod layers;
pub mod optim;
pub mod sample;
pub mod schedule;
pub mod train;

pub use attention::{CausalSelfAttention, MultiheadAttention};
pub use data::Vocabulary;
pub use decode::Cache;
pub use dropout::Dropout;
pub use gpt::{Block, Gpt, GptConfig};
pub use layers::{Embedding, LayerNorm, Linear, Mlp};
pub use optim::{AdamW, Moments, clip_grad_norm};
pub use schedule::WarmupCosine;
