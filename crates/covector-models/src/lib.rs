//! Pretrained models from local folders in Hugging Face's layout.
//!
//! A model is a plain tree whose paths are the names in its files, so loading is filling: every array finds its place, and
//! what is missing or too much is listed, all at once. Nothing is ever downloaded.
#![forbid(unsafe_code)]

pub mod bert;
pub mod export;
pub mod folder;
pub mod gpt2;
pub mod heads;
pub mod language;
pub mod llama;
pub mod peft;
pub mod resnet;
pub mod rope;
pub mod sentences;
pub mod tuned;
pub mod vit;

pub use bert::{Bert, BertConfig};
pub use folder::Folder;
pub use gpt2::{Gpt2, Gpt2Config};
pub use language::{Causal, CausalModel, Coder, Kind, LanguageModel};
pub use llama::{Llama, LlamaConfig};
pub use resnet::{ResNet, ResNetConfig};
pub use rope::RopeParameters;
pub use sentences::SentenceEncoder;
pub use tuned::Tuned;
pub use vit::{Vit, VitConfig};
