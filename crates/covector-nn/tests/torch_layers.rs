//! Every layer against PyTorch's, forward and all gradients, in f64, with weights loaded by name (goldens/nn_layers.py).

use covector::{DType, Key, Tensor, Tree, vjp};
use covector_nn::conv::{Conv, ConvOptions, ConvTranspose};
use covector_nn::pool::{AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool};
use covector_nn::recurrent::{Cell, Elman, Recurrent, RecurrentState};
use covector_nn::sequential::Flatten;
use covector_nn::*;
use serde_json::Value;

mod golden;
use golden::{close, filled, numbers, tensor, text};

fn key() -> Key {
    Key::new(0)
}

/// One case of the file.
struct Case<'a>(&'a Value);

impl Case<'_> {
    fn n(&self, name: &str) -> usize {
        self.0["options"][name].as_u64().unwrap() as usize
    }
    fn is(&self, name: &str) -> bool {
        self.0["options"][name].as_bool().unwrap()
    }
    fn list(&self, name: &str) -> Vec<Tensor> {
        self.0[name].as_array().unwrap().iter().map(tensor).collect()
    }
    /// An option that is a number for all axes or a list.
    fn sizes<const D: usize>(&self, name: &str, default: usize) -> [usize; D] {
        match &self.0["options"][name] {
            Value::Array(list) => std::array::from_fn(|i| list[i].as_u64().unwrap() as usize),
            one => [one.as_u64().map_or(default, |n| n as usize); D],
        }
    }

    /// Fills the layer by name, runs it, and compares outputs and all gradients.
    fn check<L: Tree + Clone>(&self, layer: &L, forward: impl Fn(&L, &[Tensor]) -> Vec<Tensor>) {
        let what = format!("{} {}", text(&self.0["layer"]), self.0["options"]);
        let layer = filled(layer, &self.0["parameters"]);
        let (outputs, back) = vjp(|(layer, x): &(L, Vec<Tensor>)| forward(layer, x), &(layer, self.list("inputs")));
        let wanted = self.list("outputs");
        assert_eq!(outputs.len(), wanted.len(), "{what}");
        for (got, wanted) in outputs.iter().zip(&wanted) {
            close(got, wanted, 1e-10, &what);
        }
        let (gradients, inputs) = back.call(&self.list("cotangents"));
        for (path, gradient) in gradients.named() {
            close(&gradient, &tensor(&self.0["gradients"][path.as_str()]), 1e-10, &format!("{what}: {path}"));
        }
        for (i, (got, wanted)) in inputs.iter().zip(self.list("input_gradients")).enumerate() {
            close(got, &wanted, 1e-10, &format!("{what}: input {i}"));
        }
    }

    /// A layer of one tensor.
    fn map<L: Tree + Clone>(&self, layer: &L, forward: impl Fn(&L, &Tensor) -> Tensor) {
        self.check(layer, |layer, x| vec![forward(layer, &x[0])]);
    }

    fn conv_options<const D: usize>(&self) -> ConvOptions<D> {
        let options = &self.0["options"];
        ConvOptions {
            stride: self.sizes("stride", 1),
            padding: self.sizes("padding", 0),
            dilation: self.sizes("dilation", 1),
            output_padding: self.sizes("output_padding", 0),
            groups: options["groups"].as_u64().unwrap_or(1) as usize,
            bias: options["bias"].as_bool().unwrap_or(true),
            padding_mode: match options["padding_mode"].as_str() {
                None => "zeros",
                Some("reflect") => "reflect",
                Some("replicate") => "replicate",
                Some("circular") => "circular",
                Some(other) => panic!("{other}"),
            },
        }
    }

    /// Layers over `D` axes.
    fn spatial<const D: usize>(&self) {
        let options = || self.conv_options::<D>();
        match text(&self.0["layer"]) {
            "Conv" => {
                let layer =
                    Conv::<D>::new(&key(), self.n("inputs"), self.n("outputs"), self.sizes("kernel", 0), options());
                self.map(&layer, Conv::forward);
            }
            "ConvTranspose" => {
                let (kernel, options) = (self.sizes("kernel", 0), options());
                let layer = ConvTranspose::<D>::new(&key(), self.n("inputs"), self.n("outputs"), kernel, options);
                self.map(&layer, ConvTranspose::forward);
            }
            "MaxPool" => {
                let [kernel, stride, padding, dilation] =
                    ["kernel", "stride", "padding", "dilation"].map(|name| self.sizes::<D>(name, 0));
                self.map(&MaxPool { kernel, stride, padding, dilation }, MaxPool::forward);
            }
            "AvgPool" => {
                let [kernel, stride, padding] = ["kernel", "stride", "padding"].map(|name| self.sizes::<D>(name, 0));
                let count_include_pad = self.is("count_include_pad");
                self.map(&AvgPool { kernel, stride, padding, count_include_pad }, AvgPool::forward);
            }
            "AdaptiveMaxPool" => {
                self.map(&AdaptiveMaxPool::<D> { output: self.sizes("output", 0) }, AdaptiveMaxPool::forward);
            }
            "AdaptiveAvgPool" => {
                self.map(&AdaptiveAvgPool::<D> { output: self.sizes("output", 0) }, AdaptiveAvgPool::forward);
            }
            other => panic!("{other}"),
        }
    }

    fn recurrent<C: Cell>(&self, cell: C) {
        let [inputs, hidden, layers] = ["inputs", "hidden", "layers"].map(|name| self.n(name));
        let (bias, both) = (self.is("bias"), self.is("bidirectional"));
        let net = Recurrent::<C>::new(&key(), inputs, hidden, layers, bias, both).with(cell);
        self.check(&net, |net, x| {
            let state = self.is("state").then(|| RecurrentState { h: x[1].clone(), c: x.get(2).cloned() });
            let (y, state) = match self.0["options"].get("lengths") {
                None => net.forward(&x[0], state.as_ref(), &Dropout::off()),
                Some(lengths) => {
                    let tokens: Vec<Vec<i64>> = numbers(lengths).iter().map(|&n| vec![0; n as usize]).collect();
                    net.forward_masked(&x[0], &data::padded(&tokens, 0).1, state.as_ref(), &Dropout::off())
                }
            };
            [y, state.h].into_iter().chain(state.c).collect()
        });
    }

    fn batch_norm(&self) {
        let mut layer = BatchNorm::new(self.n("channels"));
        layer.momentum = self.0["options"]["momentum"].as_f64();
        if !self.is("affine") {
            (layer.weight, layer.bias) = (None, None);
        }
        let before = &self.0["buffers"];
        let state = RunningStats {
            running_mean: tensor(&before["running_mean"]),
            running_var: tensor(&before["running_var"]),
            num_batches_tracked: tensor(&before["num_batches_tracked"]).cast(DType::I64),
        };
        let after = std::cell::RefCell::new(state.clone());
        self.map(&layer, |layer, x| {
            if !self.is("training") {
                return layer.eval(x, &state);
            }
            let (y, new) = layer.train(x, &state);
            after.replace(new);
            y
        });
        for (path, got) in after.into_inner().named() {
            let wanted = tensor(&self.0["buffers_after"][path.as_str()]);
            close(&got.cast(DType::F64), &wanted, 1e-12, &path);
        }
    }

    fn attention(&self) {
        let options = &self.0["options"];
        let (width, heads, bias) = (self.n("width"), self.n("heads"), self.is("bias"));
        if text(&self.0["layer"]) != "GroupedAttention" {
            let mask = match options["kind"].as_str() {
                None => None,
                Some("bool") => Some(tensor(&options["mask"]).greater(0.5)),
                Some(_) => Some(tensor(&options["mask"])),
            };
            let layer = MultiheadAttention::new(&key(), width, heads, bias);
            let Some(average) = options["average"].as_bool() else {
                return self.check(&layer, |layer, x| vec![layer.forward(&x[0], &x[1], &x[2], mask.as_ref())]);
            };
            let how = Attending { mask, ..Attending::default() };
            return self.check(&layer, |layer, x| {
                let (y, weights) = layer.attend_weighted(&x[0], &x[1], &x[2], &how);
                vec![y, if average { weights.mean(1) } else { weights }]
            });
        }
        let positions = match text(&options["positions"]) {
            "none" => Positions::None,
            "rotary" => Positions::Rotary(Rotary::default()),
            "rotary_interleaved" => Positions::Rotary(Rotary { interleaved: true, ..Rotary::default() }),
            _ => Positions::Alibi,
        };
        let layer = MultiheadAttention::grouped(&key(), width, heads, self.n("kv_heads"), bias).with(positions);
        let how = Attending { causal: self.is("causal"), ..Attending::default() };
        self.map(&layer, |layer, x| layer.attend(x, x, x, &how));
        if how.causal {
            let layer = filled(&layer, &self.0["parameters"]);
            let mut cache = in_f64(&layer).cache(1, 6);
            // Two tokens, one, and the rest: as all at once.
            for (i, x) in self.list("inputs")[0].split([2, 1, 1], 1).iter().enumerate() {
                let (y, next) = layer.decode(x, cache).unwrap();
                cache = next;
                let wanted = self.list("outputs")[0].split([2, 1, 1], 1)[i].clone();
                close(&y, &wanted, 1e-10, &format!("decoding with {:?}", layer.positions));
            }
        }
    }

    fn transformer(&self) {
        let options = TransformerOptions {
            feedforward: self.n("feedforward"),
            activation: if text(&self.0["options"]["activation"]) == "gelu" {
                Activation::Gelu
            } else {
                Activation::Relu
            },
            norm_first: self.is("norm_first"),
            bias: self.is("bias"),
            ..TransformerOptions::default()
        };
        let (width, heads, all, off) = (self.n("width"), self.n("heads"), Attending::default(), Dropout::off());
        let causal = Attending { causal: true, ..Attending::default() };
        match text(&self.0["layer"]) {
            "TransformerEncoderLayer" => {
                let layer = TransformerEncoderLayer::new(&key(), width, heads, options);
                self.map(&layer, |layer, x| layer.forward(x, &all, &off));
            }
            "TransformerEncoder" => {
                let stack = TransformerEncoder::new(&key(), 2, width, heads, options);
                self.map(&stack, |stack, x| stack.forward(x, &all, &off));
            }
            "TransformerDecoderLayer" => {
                let layer = TransformerDecoderLayer::new(&key(), width, heads, options);
                self.check(&layer, |layer, x| vec![layer.forward(&x[0], &x[1], &causal, &all, &off)]);
            }
            _ => {
                let stack = TransformerDecoder::new(&key(), 2, width, heads, options);
                self.check(&stack, |stack, x| vec![stack.forward(&x[0], &x[1], &causal, &all, &off)]);
            }
        }
    }

    fn sequential(&self) {
        let features = Conv1d::new(&key(), 1, 2, [3], ConvOptions::default());
        let (pool, head) = (pool::MaxPool1d::new([2]), Linear::new(&key(), 6, 2, true));
        let net = (features, BatchNorm::new(2), Activation::Relu, pool, Flatten, head);
        let start = mixed::in_dtype(&net.start(), DType::F64);
        let names: Vec<String> = net.named().into_iter().chain(start.named()).map(|(path, _)| path).collect();
        for (name, _) in ["parameters", "buffers"].iter().flat_map(|part| self.0[*part].as_object().unwrap()) {
            assert!(names.contains(name), "{name} of {names:?}");
        }
        self.map(&net, |net, x| net.train(x, &start, &key()).0);
    }

    fn run(&self) {
        let sizes = |name: &str| numbers(&self.0["options"][name]).iter().map(|&n| n as usize).collect::<Vec<_>>();
        match text(&self.0["layer"]) {
            "Linear" => self.map(&Linear::new(&key(), 3, 4, self.is("bias")), Linear::forward),
            "Bilinear" => {
                let layer = Bilinear::new(&key(), 3, 2, 4, self.is("bias"));
                self.check(&layer, |layer, x| vec![layer.forward(&x[0], &x[1])]);
            }
            "Embedding" => {
                let (indices, padding) =
                    (self.list("indices")[0].cast(DType::I64), self.0["options"]["padding"].as_i64());
                self.check(&Embedding::new(&key(), 5, 3), |table, _| {
                    vec![table.forward_padded(&indices, padding.unwrap())]
                });
            }
            "LayerNorm" => self.map(&LayerNorm::over(sizes("sizes"), self.is("bias")), LayerNorm::forward),
            "RMSNorm" => self.map(&RMSNorm { eps: 1e-5, ..RMSNorm::new(sizes("sizes")) }, RMSNorm::forward),
            "GroupNorm" => {
                let mut layer = GroupNorm::new(self.n("groups"), self.n("channels"));
                if !self.is("affine") {
                    (layer.weight, layer.bias) = (None, None);
                }
                self.map(&layer, GroupNorm::forward);
            }
            "BatchNorm" => self.batch_norm(),
            "RNN" if self.0["options"]["nonlinearity"] == "relu" => self.recurrent(Elman::Relu),
            "RNN" => self.recurrent(Elman::Tanh),
            "LSTM" => self.recurrent(recurrent::LstmCell),
            "GRU" => self.recurrent(recurrent::GruCell),
            "MultiheadAttention" | "GroupedAttention" | "AttentionWeights" => self.attention(),
            kind if kind.starts_with("Transformer") => self.transformer(),
            "Sequential" => self.sequential(),
            _ => match self.n("d") {
                1 => self.spatial::<1>(),
                2 => self.spatial::<2>(),
                _ => self.spatial::<3>(),
            },
        }
    }
}

fn in_f64<L: Tree>(layer: &L) -> L {
    mixed::in_dtype(layer, DType::F64)
}

/// Runs the cases of these layers, of which there must be so many.
fn cases(layers: &[&str], count: usize) {
    let all: Value = serde_json::from_str(include_str!("../../../goldens/nn_layers.json")).unwrap();
    let cases = all["cases"].as_array().unwrap().iter().filter(|case| layers.contains(&text(&case["layer"])));
    assert_eq!(cases.map(|case| Case(case).run()).count(), count);
}

#[test]
fn linear_maps_and_embeddings() {
    cases(&["Linear", "Bilinear", "Embedding"], 6);
}

#[test]
fn convolutions() {
    cases(&["Conv", "ConvTranspose"], 27);
}

#[test]
fn poolings() {
    cases(&["MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool"], 30);
}

#[test]
fn norms() {
    cases(&["LayerNorm", "RMSNorm", "GroupNorm", "BatchNorm"], 26);
}

#[test]
fn recurrences() {
    cases(&["RNN", "LSTM", "GRU"], 20);
}

#[test]
fn attention_with_masks_positions_shared_heads_and_a_cache() {
    cases(&["MultiheadAttention", "GroupedAttention"], 26);
    cases(&["AttentionWeights"], 6);
}

#[test]
fn transformer_layers() {
    cases(&["TransformerEncoderLayer", "TransformerDecoderLayer"], 6);
    cases(&["TransformerEncoder", "TransformerDecoder"], 6);
}

#[test]
fn a_sequence_of_layers_in_training() {
    cases(&["Sequential"], 1);
}
