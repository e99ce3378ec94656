//! Layers, a GPT, optimisers, schedules and data for [`covector`].
//!
//! A model is a plain structure of tensors that derives [`covector::Tree`]: nothing is registered, nothing is mutated.
//! Its gradient is another value of its type, and so is the state of its optimiser. Layers and their parameters have
//! PyTorch's names and layouts, so weights load unchanged.
#![forbid(unsafe_code)]

pub mod attention;
pub mod conv;
pub mod data;
pub mod decode;
pub mod doctor;
pub mod dropout;
pub mod file;
pub mod gpt;
pub mod init;
pub mod layers;
pub mod lora;
pub mod mixed;
pub mod multihead;
pub mod norm;
pub mod optim;
pub mod parts;
pub mod pool;
pub mod positions;
pub mod recurrent;
pub mod sample;
pub mod schedule;
pub mod sequential;
pub mod train;
pub mod transformer;

pub use attention::CausalSelfAttention;
pub use conv::{Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
pub use data::Vocabulary;
pub use decode::{Cache, Decoder};
pub use dropout::Dropout;
pub use gpt::{Block, Gpt, GptConfig};
pub use layers::{Bilinear, Embedding, Linear, Mlp};
pub use multihead::{Attending, KvCache, MultiheadAttention};
pub use norm::{BatchNorm, GroupNorm, LayerNorm, RMSNorm, RunningStats};
pub use optim::{Accumulated, AdamW, Ema, Moments, Optimizer, clip_grad_norm, clip_grad_value};
pub use positions::{Positions, Rotary};
pub use recurrent::{GRU, LSTM, RNN};
pub use schedule::{Schedule, WarmupCosine};
pub use sequential::{Activation, Layer};
pub use transformer::{TransformerDecoder, TransformerDecoderLayer, TransformerEncoder};
pub use transformer::{TransformerEncoderLayer, TransformerOptions};
