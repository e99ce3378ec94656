//! What an argument is that was not given, where ops have such a thing.

use covector::registry::{Arg, OpDef, Param};
use covector::{Axes, DType};

/// The value of a parameter that was left out; none if it has to be given.
pub fn default(op: &OpDef, param: &Param) -> Option<Arg> {
    if param.optional {
        return Some(Arg::None);
    }
    let special = match (op.name, param.name) {
        ("arange", "start") => Some(Arg::Int(0)),
        ("arange", "step") | ("diff", "n") => Some(Arg::Int(1)),
        ("arange", "dtype") => Some(Arg::DType(DType::I64)),
        ("diff" | "softmax" | "log_softmax" | "sort" | "argsort" | "topk", "axis") => Some(Arg::Int(-1)),
        ("leaky_relu", "slope") => Some(Arg::Float(0.01)),
        ("elu" | "celu", "alpha") | ("huber_loss", "delta") | ("smooth_l1_loss", "beta") => Some(Arg::Float(1.0)),
        ("hardshrink" | "softshrink", "lambd") => Some(Arg::Float(0.5)),
        ("glu", "axis") => Some(Arg::Int(-1)),
        ("cosine_similarity" | "normalize", "axis") => Some(Arg::Int(1)),
        ("cosine_similarity" | "poisson_nll_loss", "eps") => Some(Arg::Float(1e-8)),
        ("normalize", "eps") => Some(Arg::Float(1e-12)),
        ("pairwise_distance" | "triplet_margin_loss" | "gaussian_nll_loss", "eps") => Some(Arg::Float(1e-6)),
        ("triplet_margin_loss" | "hinge_embedding_loss", "margin") => Some(Arg::Float(1.0)),
        ("poisson_nll_loss", "log_input") => Some(Arg::Bool(true)),
        ("pad", "mode") => Some(Arg::from("constant")),
        ("uniform", "lo") => Some(Arg::Float(0.0)),
        ("uniform", "hi") => Some(Arg::Float(1.0)),
        ("norm", "ord") => Some(Arg::Float(2.0)),
        ("meshgrid", "indexing") => Some(Arg::from("xy")),
        (name, "axis") if name.ends_with("fft") => Some(Arg::Int(-1)),
        ("fftfreq" | "rfftfreq", "d") => Some(Arg::Float(1.0)),
        (name, "s") if name.ends_with("fftn") => Some(Arg::Ints(Vec::new())),
        (_, "norm") => Some(Arg::from("backward")),
        ("tril" | "triu", "k") | ("diagonal" | "trace", "offset") => Some(Arg::Int(0)),
        ("flatten", "start") => Some(Arg::Int(0)),
        ("flatten", "end") => Some(Arg::Int(-1)),
        ("softplus" | "concat" | "stack" | "split" | "chunk" | "unbind" | "take" | "cumsum" | "cumprod", "axis") => {
            Some(Arg::Int(0))
        }
        // A pooling window moves by its own size.
        (name, "stride") if name.contains("pool") => Some(Arg::Ints(Vec::new())),
        _ => None,
    };
    special.or_else(|| match (param.kind, param.name) {
        ("Axes", _) => Some(Arg::Axes(Axes::all())),
        ("DType", _) => Some(Arg::DType(DType::F32)),
        (_, "stride" | "dilation" | "groups" | "normalized_ndim") => Some(Arg::Int(1)),
        (_, "padding" | "output_padding") => Some(Arg::Int(0)),
        (_, "eps") => Some(Arg::Float(1e-5)),
        (_, "correction" | "label_smoothing" | "value" | "margin") => Some(Arg::Float(0.0)),
        (_, "p") => Some(Arg::Float(2.0)),
        (_, "reduction") => Some(Arg::from("mean")),
        (_, "causal" | "descending" | "right" | "log_target" | "full" | "swap" | "keepdims") => Some(Arg::Bool(false)),
        _ => None,
    })
}

/// A parameter's name as it is also called.
pub fn alias(name: &str) -> &str {
    match name {
        "axis" | "dim" | "dims" => "axes",
        "keepdim" => "keepdims",
        "ddof" => "correction",
        "kernel_size" => "kernel",
        other => other,
    }
}
