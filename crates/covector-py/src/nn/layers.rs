//! The constructors of layers, with PyTorch's names, orders and defaults.

use covector::{DType, Tensor};
use covector_nn::conv::{Conv, ConvTranspose};
use covector_nn::pool::{AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool};
use covector_nn::recurrent::Elman;
use covector_nn::sequential::{Activation, Rate};
use covector_nn::{
    BatchNorm, Bilinear, Embedding, GRU, GroupNorm, LSTM, LayerNorm, Linear, MultiheadAttention, Positions, RMSNorm,
    RNN, Rotary, TransformerDecoderLayer, TransformerEncoderLayer, TransformerOptions,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::build::{Layer, Told, each, each_or, shape};
use super::face::{Attention, Face, Function, Single, Unrolled};
use super::key_of;
use super::modules::{module_leaves, module_told, module_with};

type Object<'a, 'py> = &'a Bound<'py, PyAny>;
type Maybe<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

fn single<L: covector_nn::Layer + Send + Sync + 'static>(layer: L) -> Box<dyn Face> {
    Box::new(Single { layer, draws: false })
}

/// An affine map of the last axis: `y = x Wᵀ + b`.
#[pyfunction(name = "Linear")]
#[pyo3(signature = (in_features, out_features, bias = true, *, key = None))]
fn linear(py: Python<'_>, in_features: usize, out_features: usize, bias: bool, key: Maybe) -> PyResult<Layer> {
    let key = key_of(py, key)?;
    Layer::of(py, || Ok(single(Linear::new(&key, in_features, out_features, bias))))
}

/// A form in two arguments for each output: `y_o = aᵀ W_o b + bias_o`.
#[pyfunction(name = "Bilinear")]
#[pyo3(signature = (in1_features, in2_features, out_features, bias = true, *, key = None))]
fn bilinear(
    py: Python<'_>,
    in1_features: usize,
    in2_features: usize,
    out_features: usize,
    bias: bool,
    key: Maybe,
) -> PyResult<Layer> {
    let key = key_of(py, key)?;
    Layer::of(py, || Ok(Box::new(Bilinear::new(&key, in1_features, in2_features, out_features, bias))))
}

/// A table of vectors, picked by index; the one at `padding_idx` begins as zeros and does not learn.
#[pyfunction(name = "Embedding")]
#[pyo3(signature = (num_embeddings, embedding_dim, padding_idx = None, *, key = None))]
fn embedding(
    py: Python<'_>,
    num_embeddings: usize,
    embedding_dim: usize,
    padding_idx: Option<i64>,
    key: Maybe,
) -> PyResult<Layer> {
    let key = key_of(py, key)?;
    let n = num_embeddings as i64;
    let padding = padding_idx.map(|i| if i < 0 { i + n } else { i });
    if padding.is_some_and(|i| !(0..n).contains(&i)) {
        return Err(PyValueError::new_err(format!("there is no vector {padding_idx:?} among {n} to be the padding")));
    }
    Layer::of(py, || {
        let table = Embedding::new(&key, num_embeddings, embedding_dim);
        let Some(padding) = padding else { return Ok(single(table)) };
        let rows = covector::ops::create::arange(0, n, 1, DType::I64);
        let tree = Embedding { weight: rows.not_equal(padding).unsqueeze(-1).where_(&table.weight, 0.0) };
        let function = move |t: &Embedding, x: &[Tensor]| Ok(t.forward_padded(&x[0], padding));
        Ok(Box::new(Function { tree, function }))
    })
}

macro_rules! convolutions {
    ($($rust:ident $transposed:ident $name:literal $transposed_name:literal $axes:literal $what:literal),*) => {$(
        #[doc = concat!("Convolution over ", $what, ": `[batch, channels, size..]`. `padding` may be \"same\" or \"valid\".")]
        #[pyfunction(name = $name)]
        #[pyo3(signature = (in_channels, out_channels, kernel_size, stride = None, padding = None, dilation = None, groups = 1,
            bias = true, padding_mode = "zeros", *, key = None))]
        #[allow(clippy::too_many_arguments)]
        fn $rust(
            py: Python<'_>, in_channels: usize, out_channels: usize, kernel_size: Object, stride: Maybe, padding: Maybe,
            dilation: Maybe, groups: usize, bias: bool, padding_mode: &str, key: Maybe,
        ) -> PyResult<Layer> {
            let key = key_of(py, key)?;
            let told = Told { kernel: kernel_size, stride, padding, dilation, output_padding: None, groups, bias, padding_mode };
            let (kernel, options) = told.options::<$axes>()?;
            Layer::of(py, || Ok(single(Conv::new(&key, in_channels, out_channels, kernel, options))))
        }

        #[doc = concat!("Transposed convolution over ", $what, ": the adjoint of a convolution.")]
        #[pyfunction(name = $transposed_name)]
        #[pyo3(signature = (in_channels, out_channels, kernel_size, stride = None, padding = None, output_padding = None,
            groups = 1, bias = true, dilation = None, *, key = None))]
        #[allow(clippy::too_many_arguments)]
        fn $transposed(
            py: Python<'_>, in_channels: usize, out_channels: usize, kernel_size: Object, stride: Maybe, padding: Maybe,
            output_padding: Maybe, groups: usize, bias: bool, dilation: Maybe, key: Maybe,
        ) -> PyResult<Layer> {
            let key = key_of(py, key)?;
            let told = Told {
                kernel: kernel_size, stride, padding, dilation, output_padding, groups, bias, padding_mode: "zeros",
            };
            let (kernel, options) = told.options::<$axes>()?;
            Layer::of(py, || Ok(single(ConvTranspose::new(&key, in_channels, out_channels, kernel, options))))
        }
    )*};
}
convolutions! {
    conv1d conv_transpose1d "Conv1d" "ConvTranspose1d" 1 "one axis",
    conv2d conv_transpose2d "Conv2d" "ConvTranspose2d" 2 "two axes",
    conv3d conv_transpose3d "Conv3d" "ConvTranspose3d" 3 "three axes"
}

macro_rules! poolings {
    ($($axes:literal $max:ident $max_name:literal $mean:ident $mean_name:literal
        $adaptive_max:ident $adaptive_max_name:literal $adaptive_mean:ident $adaptive_mean_name:literal),*) => {$(
        /// The largest element of every window.
        #[pyfunction(name = $max_name)]
        #[pyo3(signature = (kernel_size, stride = None, padding = None, dilation = None))]
        fn $max(py: Python<'_>, kernel_size: Object, stride: Maybe, padding: Maybe, dilation: Maybe) -> PyResult<Layer> {
            let kernel = each::<$axes>("kernel_size", kernel_size)?;
            let (stride, padding) = (each_or("stride", stride, kernel)?, each_or("padding", padding, [0; $axes])?);
            let dilation = each_or("dilation", dilation, [1; $axes])?;
            Layer::of(py, || Ok(single(MaxPool { kernel, stride, padding, dilation })))
        }

        /// The mean of every window.
        #[pyfunction(name = $mean_name)]
        #[pyo3(signature = (kernel_size, stride = None, padding = None, *, count_include_pad = true))]
        fn $mean(
            py: Python<'_>, kernel_size: Object, stride: Maybe, padding: Maybe, count_include_pad: bool,
        ) -> PyResult<Layer> {
            let kernel = each::<$axes>("kernel_size", kernel_size)?;
            let (stride, padding) = (each_or("stride", stride, kernel)?, each_or("padding", padding, [0; $axes])?);
            Layer::of(py, || Ok(single(AvgPool { kernel, stride, padding, count_include_pad })))
        }

        /// The largest element of each of `output_size` bins.
        #[pyfunction(name = $adaptive_max_name)]
        fn $adaptive_max(py: Python<'_>, output_size: Object) -> PyResult<Layer> {
            let output = each::<$axes>("output_size", output_size)?;
            Layer::of(py, || Ok(single(AdaptiveMaxPool { output })))
        }

        /// The mean of each of `output_size` bins.
        #[pyfunction(name = $adaptive_mean_name)]
        fn $adaptive_mean(py: Python<'_>, output_size: Object) -> PyResult<Layer> {
            let output = each::<$axes>("output_size", output_size)?;
            Layer::of(py, || Ok(single(AdaptiveAvgPool { output })))
        }
    )*};
}
poolings! {
    1 max1 "MaxPool1d" mean1 "AvgPool1d" adaptive_max1 "AdaptiveMaxPool1d" adaptive_mean1 "AdaptiveAvgPool1d",
    2 max2 "MaxPool2d" mean2 "AvgPool2d" adaptive_max2 "AdaptiveMaxPool2d" adaptive_mean2 "AdaptiveAvgPool2d",
    3 max3 "MaxPool3d" mean3 "AvgPool3d" adaptive_max3 "AdaptiveMaxPool3d" adaptive_mean3 "AdaptiveAvgPool3d"
}

/// Normalisation of the last axes, of these sizes, to mean 0 and variance 1, then scaled and shifted.
#[pyfunction(name = "LayerNorm")]
#[pyo3(signature = (normalized_shape, eps = 1e-5, elementwise_affine = true, bias = true))]
fn layer_norm(
    py: Python<'_>,
    normalized_shape: Object,
    eps: f64,
    elementwise_affine: bool,
    bias: bool,
) -> PyResult<Layer> {
    let sizes = shape("normalized_shape", normalized_shape)?;
    Layer::of(py, || {
        if elementwise_affine {
            return Ok(single(LayerNorm { eps, ..LayerNorm::over(&sizes[..], bias) }));
        }
        let function = move |_: &(), x: &[Tensor]| x[0].try_layer_norm(sizes.len(), None, None, eps);
        Ok(Box::new(Function { tree: (), function }))
    })
}

/// The last axes, of these sizes, divided by their root mean square, then scaled.
#[pyfunction(name = "RMSNorm")]
#[pyo3(signature = (normalized_shape, eps = None, elementwise_affine = true))]
fn rms_norm(py: Python<'_>, normalized_shape: Object, eps: Option<f64>, elementwise_affine: bool) -> PyResult<Layer> {
    let sizes = shape("normalized_shape", normalized_shape)?;
    Layer::of(py, || {
        let norm = RMSNorm::new(&sizes[..]);
        let eps = eps.unwrap_or(norm.eps);
        if elementwise_affine {
            return Ok(single(RMSNorm { eps, ..norm }));
        }
        let function = move |_: &(), x: &[Tensor]| x[0].try_rms_norm(sizes.len(), None, eps);
        Ok(Box::new(Function { tree: (), function }))
    })
}

fn groups(py: Python<'_>, groups: usize, channels: usize, eps: f64, affine: bool) -> PyResult<Layer> {
    Layer::of(py, || {
        let norm = GroupNorm { eps, ..GroupNorm::new(groups, channels) };
        Ok(single(if affine { norm } else { GroupNorm { weight: None, bias: None, ..norm } }))
    })
}

/// Normalisation of groups of channels of each example, then scaled and shifted by channel.
#[pyfunction(name = "GroupNorm")]
#[pyo3(signature = (num_groups, num_channels, eps = 1e-5, affine = true))]
fn group_norm(py: Python<'_>, num_groups: usize, num_channels: usize, eps: f64, affine: bool) -> PyResult<Layer> {
    groups(py, num_groups, num_channels, eps, affine)
}

/// Normalisation of each channel of each example.
#[pyfunction(name = "InstanceNorm")]
#[pyo3(signature = (num_features, eps = 1e-5, *, affine = false))]
fn instance_norm(py: Python<'_>, num_features: usize, eps: f64, affine: bool) -> PyResult<Layer> {
    groups(py, num_features, num_features, eps, affine)
}

/// Normalisation of each channel over all examples, by the moments of the batch in training, and else by running ones.
#[pyfunction(name = "BatchNorm")]
#[pyo3(signature = (num_features, eps = 1e-5, momentum = Some(0.1), affine = true),
    text_signature = "(num_features, eps=1e-05, momentum=0.1, affine=True)")]
fn batch_norm(py: Python<'_>, num_features: usize, eps: f64, momentum: Option<f64>, affine: bool) -> PyResult<Layer> {
    Layer::of(py, || {
        let norm = BatchNorm { eps, momentum, ..BatchNorm::new(num_features) };
        Ok(single(if affine { norm } else { BatchNorm { weight: None, bias: None, ..norm } }))
    })
}

/// In training elements are dropped with probability `p`, and the others are scaled up.
#[pyfunction(name = "Dropout")]
#[pyo3(signature = (p = 0.5))]
fn dropout(py: Python<'_>, p: f64) -> PyResult<Layer> {
    checked(p)?;
    Layer::of(py, || Ok(Box::new(Single { layer: Rate(p), draws: p > 0.0 })))
}

fn checked(p: f64) -> PyResult<f64> {
    let fits = (0.0..=1.0).contains(&p);
    fits.then_some(p).ok_or_else(|| PyValueError::new_err(format!("a part that is dropped is from 0 to 1, not {p}")))
}

/// Attention with several heads. Fewer `kv_heads` are shared by neighbours; `positions` may be "rotary",
/// "rotary_interleaved" or "alibi".
#[pyfunction(name = "MultiheadAttention")]
#[pyo3(signature = (embed_dim, num_heads, dropout = 0.0, bias = true, *, kv_heads = None, positions = None, key = None))]
#[allow(clippy::too_many_arguments)]
fn multihead(
    py: Python<'_>,
    embed_dim: usize,
    num_heads: usize,
    dropout: f64,
    bias: bool,
    kv_heads: Option<usize>,
    positions: Option<&str>,
    key: Maybe,
) -> PyResult<Layer> {
    let (key, rate) = (key_of(py, key)?, checked(dropout)?);
    let positions = match positions {
        None => Positions::None,
        Some("rotary") => Positions::Rotary(Rotary::default()),
        Some("rotary_interleaved") => Positions::Rotary(Rotary { interleaved: true, ..Rotary::default() }),
        Some("alibi") => Positions::Alibi,
        Some(other) => {
            return Err(PyValueError::new_err(format!(
                "there are no positions {other:?}: rotary, rotary_interleaved and alibi are"
            )));
        }
    };
    Layer::of(py, || {
        let layer = MultiheadAttention::grouped(&key, embed_dim, num_heads, kv_heads.unwrap_or(num_heads), bias);
        Ok(Box::new(Attention { layer: layer.with(positions), rate }))
    })
}

fn transformer(
    feedforward: usize,
    activation: &str,
    eps: f64,
    norm_first: bool,
    bias: bool,
) -> PyResult<TransformerOptions> {
    let activation = match activation {
        "relu" => Activation::Relu,
        "gelu" => Activation::Gelu,
        "silu" => Activation::Silu,
        other => {
            return Err(PyValueError::new_err(format!(
                "there is no activation {other:?} here: relu, gelu and silu are"
            )));
        }
    };
    Ok(TransformerOptions { feedforward, activation, norm_first, bias, eps })
}

macro_rules! transformers {
    ($($rust:ident $name:literal $layer:ident $doc:literal),*) => {$(
        #[doc = $doc]
        #[pyfunction(name = $name)]
        #[pyo3(signature = (d_model, nhead, dim_feedforward = 2048, dropout = 0.1, activation = "relu", layer_norm_eps = 1e-5,
            norm_first = false, bias = true, *, key = None))]
        #[allow(clippy::too_many_arguments)]
        fn $rust(
            py: Python<'_>, d_model: usize, nhead: usize, dim_feedforward: usize, dropout: f64, activation: &str,
            layer_norm_eps: f64, norm_first: bool, bias: bool, key: Maybe,
        ) -> PyResult<Layer> {
            let (key, rate) = (key_of(py, key)?, checked(dropout)?);
            let options = transformer(dim_feedforward, activation, layer_norm_eps, norm_first, bias)?;
            Layer::of(py, || Ok(Box::new(Attention { layer: $layer::new(&key, d_model, nhead, options), rate })))
        }
    )*};
}
transformers! {
    encoder_layer "TransformerEncoderLayer" TransformerEncoderLayer
        "Self-attention and a feed-forward part, each added to what it is of and normalised.",
    decoder_layer "TransformerDecoderLayer" TransformerDecoderLayer
        "Self-attention, attention to a memory and a feed-forward part, each added to what it is of and normalised."
}

macro_rules! recurrent {
    ($($rust:ident $name:literal $layer:ident $doc:literal),*) => {$(
        #[doc = $doc]
        #[pyfunction(name = $name)]
        #[pyo3(signature = (input_size, hidden_size, num_layers = 1, bias = true, dropout = 0.0, bidirectional = false, *,
            key = None))]
        #[allow(clippy::too_many_arguments)]
        fn $rust(
            py: Python<'_>, input_size: usize, hidden_size: usize, num_layers: usize, bias: bool, dropout: f64,
            bidirectional: bool, key: Maybe,
        ) -> PyResult<Layer> {
            let (key, rate) = (key_of(py, key)?, checked(dropout)?);
            Layer::of(py, || {
                let layer = $layer::new(&key, input_size, hidden_size, num_layers, bias, bidirectional);
                Ok(Box::new(Unrolled { layer, rate }))
            })
        }
    )*};
}
recurrent! {
    lstm "LSTM" LSTM "Long short-term memory.",
    gru "GRU" GRU "Gated recurrent units."
}

/// The plain recurrence, with `nonlinearity` "tanh" or "relu".
#[pyfunction(name = "RNN")]
#[pyo3(signature = (input_size, hidden_size, num_layers = 1, nonlinearity = "tanh", bias = true, dropout = 0.0,
    bidirectional = false, *, key = None))]
#[allow(clippy::too_many_arguments)]
fn rnn(
    py: Python<'_>,
    input_size: usize,
    hidden_size: usize,
    num_layers: usize,
    nonlinearity: &str,
    bias: bool,
    dropout: f64,
    bidirectional: bool,
    key: Maybe,
) -> PyResult<Layer> {
    let (key, rate) = (key_of(py, key)?, checked(dropout)?);
    let cell = match nonlinearity {
        "tanh" => Elman::Tanh,
        "relu" => Elman::Relu,
        other => {
            return Err(PyValueError::new_err(format!("there is no nonlinearity {other:?}: tanh and relu are there")));
        }
    };
    Layer::of(py, || {
        let layer = RNN::new(&key, input_size, hidden_size, num_layers, bias, bidirectional).with(cell);
        Ok(Box::new(Unrolled { layer, rate }))
    })
}

/// Adds the module `_nn`.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let nn = PyModule::new(module.py(), "nn")?;
    nn.add_class::<Layer>()?;
    macro_rules! functions {
        ($($f:ident),* $(,)?) => { $( nn.add_function(wrap_pyfunction!($f, &nn)?)?; )* };
    }
    functions!(
        linear,
        bilinear,
        embedding,
        conv1d,
        conv2d,
        conv3d,
        conv_transpose1d,
        conv_transpose2d,
        conv_transpose3d
    );
    functions!(max1, max2, max3, mean1, mean2, mean3, adaptive_max1, adaptive_max2, adaptive_max3);
    functions!(
        adaptive_mean1,
        adaptive_mean2,
        adaptive_mean3,
        layer_norm,
        rms_norm,
        group_norm,
        instance_norm,
        batch_norm
    );
    functions!(dropout, multihead, encoder_layer, decoder_layer, lstm, gru, rnn);
    functions!(module_leaves, module_with, module_told);
    module.add("_nn", nn)
}
