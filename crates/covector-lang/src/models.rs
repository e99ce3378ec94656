//! Well-known models as programs.

use crate::error::Report;
use crate::program::{Numbers, Program};

/// A model that is built in: a program, and the numbers that make it this one.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// What it is called: `gpt2-medium`.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The program, which several sizes of a model share.
    pub text: &'static str,
    /// What differs from the numbers in the program.
    pub settings: &'static [(&'static str, f64)],
}

impl Model {
    /// The model of this name.
    /// ```
    /// use covector_lang::Model;
    /// let model = Model::find("gpt2-medium").unwrap();
    /// let trace = model.program().unwrap().trace(&model.numbers()).unwrap();
    /// assert_eq!(trace.totals.parameters.number, None, "B and T have no numbers");
    /// assert_eq!(Model::find("gpt2").unwrap().text, model.text);
    /// ```
    pub fn find(name: &str) -> Option<&'static Model> {
        MODELS.iter().find(|model| model.name == name)
    }

    /// The program.
    ///
    /// # Errors
    /// None: the programs that are built in are read by a test.
    pub fn program(&self) -> Result<Program, Box<Report>> {
        Program::parse(self.name, self.text)
    }

    /// The numbers that make the program this model; those of a user may replace them.
    pub fn numbers(&self) -> Numbers {
        self.settings.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }
}

const ATTENTION: &str = include_str!("../models/attention.cv");
const HEADS: &str = include_str!("../models/attention-heads.cv");
const GPT2: &str = include_str!("../models/gpt2.cv");
const LLAMA: &str = include_str!("../models/llama.cv");
const BERT: &str = include_str!("../models/bert.cv");
const VIT: &str = include_str!("../models/vit.cv");
const RESNET: &str = include_str!("../models/resnet.cv");
const LENET: &str = include_str!("../models/lenet.cv");
const ALEXNET: &str = include_str!("../models/alexnet.cv");
const MNIST: &str = include_str!("../models/mnist.cv");

/// All models, families together and small ones first.
#[rustfmt::skip]
pub const MODELS: &[Model] = &[
    model("attention", "attention with one head, as in a lesson", ATTENTION, &[]),
    model("attention-heads", "attention with several heads", HEADS, &[]),
    model("gpt2", "GPT-2, 124 million parameters", GPT2, &[]),
    model("gpt2-medium", "GPT-2, 355 million parameters", GPT2, &[("layers", 24.0), ("d", 1024.0), ("heads", 16.0)]),
    model("gpt2-large", "GPT-2, 774 million parameters", GPT2, &[("layers", 36.0), ("d", 1280.0), ("heads", 20.0)]),
    model("gpt2-xl", "GPT-2, 1.6 billion parameters", GPT2, &[("layers", 48.0), ("d", 1600.0), ("heads", 25.0)]),
    model("llama-3.2-1b", "Llama 3.2, 1.2 billion parameters, tied embeddings", LLAMA, &[
        ("layers", 16.0), ("d", 2048.0), ("kv_heads", 8.0), ("hidden", 8192.0), ("vocabulary", 128256.0), ("theta", 5e5), ("tied", 1.0),
    ]),
    model("tinyllama", "TinyLlama, 1.1 billion parameters", LLAMA, &[
        ("layers", 22.0), ("d", 2048.0), ("kv_heads", 4.0), ("hidden", 5632.0),
    ]),
    model("llama-2-7b", "Llama 2, 6.7 billion parameters", LLAMA, &[]),
    model("mistral-7b", "Mistral, 7.2 billion parameters", LLAMA, &[("kv_heads", 8.0), ("hidden", 14336.0)]),
    model("llama-3-8b", "Llama 3, 8.0 billion parameters", LLAMA, &[
        ("kv_heads", 8.0), ("hidden", 14336.0), ("vocabulary", 128256.0), ("theta", 5e5),
    ]),
    model("llama-2-13b", "Llama 2, 13 billion parameters", LLAMA, &[
        ("layers", 40.0), ("d", 5120.0), ("heads", 40.0), ("kv_heads", 40.0), ("hidden", 13824.0),
    ]),
    model("llama-2-70b", "Llama 2, 69 billion parameters", LLAMA, &[
        ("layers", 80.0), ("d", 8192.0), ("heads", 64.0), ("kv_heads", 8.0), ("hidden", 28672.0),
    ]),
    model("bert-base", "BERT, 109 million parameters", BERT, &[]),
    model("bert-large", "BERT, 335 million parameters", BERT, &[("layers", 24.0), ("d", 1024.0), ("heads", 16.0)]),
    model("vit-ti16", "a vision transformer, 5.7 million parameters", VIT, &[("d", 192.0), ("heads", 3.0)]),
    model("vit-s16", "a vision transformer, 22 million parameters", VIT, &[("d", 384.0), ("heads", 6.0)]),
    model("vit-b16", "a vision transformer, 87 million parameters", VIT, &[]),
    model("vit-b32", "a vision transformer with larger patches, 88 million parameters", VIT, &[("patch", 32.0)]),
    model("vit-l16", "a vision transformer, 304 million parameters", VIT, &[("layers", 24.0), ("d", 1024.0), ("heads", 16.0)]),
    model("resnet18", "ResNet, 12 million parameters", RESNET, &[("depth", 18.0)]),
    model("resnet34", "ResNet, 22 million parameters", RESNET, &[("depth", 34.0)]),
    model("resnet50", "ResNet, 26 million parameters", RESNET, &[]),
    model("resnet101", "ResNet, 45 million parameters", RESNET, &[("depth", 101.0)]),
    model("resnet152", "ResNet, 60 million parameters", RESNET, &[("depth", 152.0)]),
    model("lenet", "LeNet-5, 62 thousand parameters", LENET, &[]),
    model("alexnet", "AlexNet, 61 million parameters", ALEXNET, &[]),
    model("mnist", "two convolutions for handwritten digits, 22 thousand parameters", MNIST, &[]),
];

const fn model(
    name: &'static str,
    about: &'static str,
    text: &'static str,
    settings: &'static [(&'static str, f64)],
) -> Model {
    Model { name, about, text, settings }
}
