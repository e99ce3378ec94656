//! Built-in models against figures that others published.

use covector_lang::{MODELS, Model, Numbers, hollow};
use covector_trace::table::{Kind, Row, Trace};

/// A built-in model with these numbers.
fn trace(name: &str, numbers: &[(&str, u64)]) -> Trace {
    let model = Model::find(name).unwrap_or_else(|| panic!("no model {name}"));
    let mut all: Numbers = model.numbers();
    all.extend(numbers.iter().map(|(n, x)| ((*n).to_owned(), *x as f64)));
    let program = model.program().unwrap_or_else(|e| panic!("{e}"));
    program.trace(&all).unwrap_or_else(|e| panic!("{e}"))
}

fn row<'a>(trace: &'a Trace, path: &str) -> &'a Row {
    trace.rows.iter().find(|r| r.path() == path).unwrap_or_else(|| panic!("no row {path}:\n{trace}"))
}

/// Arithmetic in products within a module, or within all modules whose path ends so.
fn products(trace: &Trace, module: &str) -> u64 {
    let within = |r: &&Row| r.module.join(".").starts_with(module);
    trace.rows.iter().filter(within).map(|r| r.products.number.unwrap()).sum()
}

/// The numbers that a run of the model learns; what its table says where `traced`.
fn parameters(name: &str, numbers: &[(&str, u64)], traced: bool) -> u64 {
    if traced {
        return trace(name, numbers).totals.parameters.number.unwrap();
    }
    let model = Model::find(name).unwrap_or_else(|| panic!("no model {name}"));
    let mut all: Numbers = model.numbers();
    all.extend(numbers.iter().map(|(n, x)| ((*n).to_owned(), *x as f64)));
    let record = model.program().and_then(|program| program.run(&all, &mut |leaf| Ok(hollow(leaf))));
    let leaves = record.unwrap_or_else(|e| panic!("{e}")).made.into_iter().filter_map(|m| m.leaf);
    leaves.filter(|l| l.param).map(|l| l.spec.shape.size() as u64).sum()
}

/// The parameters of several models; the first is traced too.
fn counts(names: &[&str], numbers: &[(&str, u64)]) -> Vec<u64> {
    let counts: Vec<u64> = names.iter().map(|n| parameters(n, numbers, false)).collect();
    assert_eq!(parameters(names[0], numbers, true), counts[0]);
    counts
}

#[test]
fn the_lessons_exercise_with_symbols_and_with_numbers() {
    let symbols = trace("attention", &[]);
    let shapes = |trace: &Trace, names: &[&str]| names.iter().map(|n| row(trace, n).symbols()).collect::<Vec<_>>();
    assert_eq!(
        shapes(&symbols, &["Q", "K", "V", "S", "A", "Y"]),
        ["[B, T, d_k]", "[B, T, d_k]", "[B, T, d_v]", "[B, T, T]", "[B, T, T]", "[B, T, d_v]",]
    );
    assert!(symbols.rows.iter().all(|r| r.shape.is_none()));
    let numbers = trace("attention", &[("B", 2), ("T", 5), ("d", 16), ("d_k", 8), ("d_v", 4)]);
    let shape = |name: &str| row(&numbers, name).numbers().unwrap();
    assert_eq!(["Q", "K", "S", "Y"].map(shape), ["[2, 5, 8]", "[2, 5, 8]", "[2, 5, 5]", "[2, 5, 4]"]);
    assert_eq!(shapes(&numbers, &["Q", "S"]), ["[B, T, d_k]", "[B, T, T]"]);

    let heads = trace("attention-heads", &[]);
    assert_eq!(shapes(&heads, &["S", "A", "Y"]), ["[B, h, T, T]", "[B, h, T, T]", "[B, T, d]"]);
    let heads = trace("attention-heads", &[("B", 2), ("T", 5), ("d", 16), ("h", 4)]);
    assert_eq!(row(&heads, "S").numbers().unwrap(), "[2, 4, 5, 5]");
}

#[test]
fn gpt2_one_sequence_of_1024_tokens() {
    let trace = trace("gpt2", &[("B", 1), ("T", 1024), ("bias", 0)]);
    assert_eq!(trace.totals.parameters.number, Some(124_337_664));
    assert_eq!(products(&trace, "h.0.attn.c_attn"), 3_623_878_656);
    let attention: Vec<&Row> = trace.rows.iter().filter(|r| r.module == ["h.0", "attn"]).collect();
    let product = |expression: &str| attention.iter().find(|r| r.expression == expression).unwrap().products.number;
    assert_eq!(product("q @ k.T"), Some(1_610_612_736));
    assert_eq!(product("weights @ v"), Some(1_610_612_736));
    assert_eq!(products(&trace, "h.0.attn.c_proj"), 1_207_959_552);
    assert_eq!(products(&trace, "h.0.mlp.c_fc"), 4_831_838_208);
    assert_eq!(products(&trace, "h.0.mlp.c_proj"), 4_831_838_208);
    assert_eq!((0..12).map(|i| products(&trace, &format!("h.{i}."))).collect::<Vec<_>>(), [17_716_740_096; 12]);
    assert_eq!(row(&trace, "logits").products.number, Some(79_047_426_048));
    assert_eq!(trace.totals.forward_products.number, Some(291_648_307_200));
    // Each product has two in the backward pass.
    assert_eq!(trace.totals.backward_products.number, Some(2 * 291_648_307_200));
}

#[test]
fn parameters_of_transformers() {
    let one = [("B", 1), ("T", 8)];
    let counts = |names: &[&str]| counts(names, &one);
    let gpt2 = counts(&["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"]);
    assert_eq!(gpt2, [124_439_808, 354_823_168, 774_030_080, 1_557_611_200]);
    let llama =
        counts(&["llama-2-7b", "llama-2-13b", "llama-2-70b", "llama-3-8b", "llama-3.2-1b", "mistral-7b", "tinyllama"]);
    assert_eq!(
        llama,
        [6_738_415_616, 13_015_864_320, 68_976_648_192, 8_030_261_248, 1_235_814_400, 7_241_732_096, 1_100_048_384,]
    );
    assert_eq!(counts(&["bert-base", "bert-large"]), [109_482_240, 335_141_888]);
    // The pooler has 590,592; the head for masked words, tied to the embeddings, d² + 3·d + 30,522.
    let mlm = parameters("bert-base", &[("B", 1), ("T", 8), ("mlm", 1)], true);
    assert_eq!(mlm, 109_482_240 - 590_592 + 590_592 + 2 * 768 + 30_522);
    let vit = counts(&["vit-b16", "vit-b32", "vit-l16", "vit-s16", "vit-ti16"]);
    assert_eq!(vit, [86_567_656, 88_224_232, 304_326_632, 22_050_664, 5_717_416]);
}

#[test]
fn parameters_of_convolutional_nets() {
    let image = [("B", 1), ("H", 224), ("W", 224)];
    let counts = |names: &[&str]| counts(names, &image);
    let resnet = counts(&["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]);
    assert_eq!(resnet, [11_689_512, 21_797_672, 25_557_032, 44_549_160, 60_192_808]);
    assert_eq!(counts(&["alexnet", "lenet", "mnist"]), [61_100_840, 61_706, 21_840]);
}

#[test]
fn multiply_adds_of_convolutional_nets() {
    let image = [("B", 1), ("H", 224), ("W", 224)];
    let products = |name: &str| trace(name, &image).totals.forward_products.number.unwrap() / 2;
    // The figures in torchvision's list of weights, there rounded to ten millions: 0.71, 1.81, 3.66, 4.09 GFLOPS.
    let published = [("alexnet", 0.71), ("resnet18", 1.81), ("resnet34", 3.66), ("resnet50", 4.09)];
    for (name, gigas) in published {
        let found = products(name) as f64 / 1e9;
        assert!((found - gigas).abs() <= 0.005 + 1e-9, "{name}: {found} against {gigas}");
    }
}

#[test]
fn the_mnist_net_at_seven_digits() {
    let trace = trace("mnist", &[("B", 7)]);
    let shape = |of: &dyn Fn(&&Row) -> bool| trace.rows.iter().find(of).unwrap().numbers().unwrap();
    let of = |text: &'static str| shape(&move |r: &&Row| r.expression.starts_with(text) && r.kind == Kind::Result);
    let in_module = |module: &'static str, text: &'static str| {
        shape(&move |r: &&Row| r.module == [module] && r.expression.starts_with(text))
    };
    assert_eq!(shape(&|r| r.name == "image"), "[7, 1, 28, 28]");
    assert_eq!(in_module("conv1", "conv2d"), "[7, 10, 24, 24]");
    assert_eq!(in_module("conv2", "conv2d"), "[7, 20, 8, 8]");
    assert_eq!(of("x.reshape(B, 320)"), "[7, 320]");
    assert_eq!(in_module("fc1", "x @ weight.T + bias"), "[7, 50]");
    assert_eq!(in_module("fc2", "x @ weight.T + bias"), "[7, 10]");
    assert_eq!(trace.totals.parameters.number, Some(21_840));
    // A multiply-add is two of the operations in products; a bias is added once for each result.
    let multiply_adds = |module: &str| -> u64 {
        let rows = trace.rows.iter().filter(|r| r.module == [module]);
        rows.map(|r| r.flops.number.unwrap() - r.products.number.unwrap() / 2).sum()
    };
    assert_eq!(["conv1", "conv2", "fc1", "fc2"].map(multiply_adds), [1_048_320, 2_248_960, 112_350, 3_570]);
}

#[test]
fn every_model_is_traced_with_symbols_and_leaves_no_formula_unknown() {
    for model in MODELS.iter().filter(|m| !m.name.contains('-') || m.settings.is_empty()) {
        let trace = trace(model.name, &[]);
        for row in &trace.rows {
            assert!(row.axes.iter().all(Option::is_some), "{}: {}\n{trace}", model.name, row.expression);
            assert!(row.flops.symbolic.is_some(), "{}: {}\n{trace}", model.name, row.expression);
        }
        let totals = &trace.totals;
        for count in [&totals.parameters, &totals.forward, &totals.backward, &totals.kept] {
            assert!(count.symbolic.is_some(), "{}\n{trace}", model.name);
        }
    }
}
