//! The table of a Rust function: covector-nn's GPT, over symbolic sizes.

use covector::ops::create::zeros;
use covector::{DType, Key, explain, value_and_grad};
use covector_nn::{Dropout, Gpt, GptConfig};
use covector_trace::{Sizes, trace, trace_multiples};

fn config(s: &Sizes) -> GptConfig {
    let (heads, depth) = (s["h"], s["depth"]);
    GptConfig { vocabulary: s["V"], block: s["T"], layers: 2, heads, width: heads * depth, bias: false }
}

fn model(s: &Sizes) -> Gpt {
    Gpt::new(&Key::new(0), &config(s))
}

fn loss(model: &Gpt, s: &Sizes) -> covector::Tensor {
    let tokens = zeros([s["B"], s["T"]], DType::I64);
    model.loss(&tokens, &tokens, &Dropout::off())
}

const SIZES: [(&str, Option<usize>); 5] =
    [("B", Some(12)), ("T", Some(64)), ("V", Some(65)), ("h", Some(4)), ("depth", Some(32))];

#[test]
fn a_models_shapes_are_symbols_and_numbers() {
    let table = trace(&SIZES, model, loss).unwrap();
    let row = |expression: &str| table.rows.iter().find(|r| r.expression.starts_with(expression)).unwrap();
    assert_eq!(row("embedding").symbols(), "[B, T, h·depth]");
    assert_eq!(row("embedding").numbers().unwrap(), "[12, 64, 128]");
    let weight = table.rows.iter().find(|r| r.path() == "h.0.attn.c_attn.weight").unwrap();
    assert_eq!((weight.symbols(), weight.gradient), ("[3·h·depth, h·depth]".into(), true));
    let counted = table.totals.parameters.clone();
    let formula = counted.symbolic.unwrap();
    let number = |name: &str| SIZES.iter().find(|(n, _)| *n == name).and_then(|(_, v)| v.map(|n| n as u64));
    assert_eq!(formula.value(&number), counted.number.map(i128::from));
}

#[test]
fn what_it_takes_is_what_the_plan_takes() {
    let table = trace(&SIZES, model, loss).unwrap();
    let sizes = GptConfig { vocabulary: 65, block: 64, layers: 2, heads: 4, width: 128, bias: false };
    let gpt = Gpt::new(&Key::new(0), &sizes);
    covector::eval(&covector::Tree::leaves(&gpt));
    let tokens = zeros([12, 64], DType::I64);
    let (y, g) = value_and_grad(|m: &Gpt| m.loss(&tokens, &tokens, &Dropout::off()))(&gpt);
    let plan = explain(covector::Tree::leaves(&g).iter().chain([&y]));
    let t = &table.totals;
    assert_eq!(t.forward.number.unwrap() + t.backward.number.unwrap(), plan.flops());
}

#[test]
fn without_numbers_there_are_symbols() {
    let sizes = SIZES.map(|(name, _)| (name, None));
    let table = trace(&sizes, model, loss).unwrap();
    assert!(table.rows.iter().all(|r| r.shape.is_none()));
    assert!(table.totals.forward.symbolic.is_some(), "{table}");
}

#[test]
fn modules_are_told_by_the_names_of_parameters_and_what_repeats_is_said_once() {
    let sizes = [("B", Some(3)), ("T", Some(8)), ("V", Some(11)), ("h", Some(2)), ("d", Some(6))];
    let config = |s: &Sizes| GptConfig {
        vocabulary: s["V"],
        block: s["T"],
        layers: 4,
        heads: s["h"],
        width: s["d"],
        bias: true,
    };
    let make = |s: &Sizes| Gpt::new(&Key::new(0), &config(s));
    let loss = |model: &Gpt, s: &Sizes| {
        let [tokens, targets] = ["tokens", "targets"].map(|name| s.input(name, zeros([s["B"], s["T"]], DType::I64)));
        model.loss(&tokens, &targets, &Dropout::off())
    };
    let table = trace_multiples(&sizes, &[("d", "h")], make, loss).unwrap();
    let paths = |op: &str| -> Vec<String> {
        let made = table.rows.iter().filter(|r| r.expression.starts_with(op));
        made.map(|r| r.module.join("/")).collect()
    };
    assert_eq!(paths("self_attention"), ["h.0/attn", "h.1/attn", "h.2/attn", "h.3/attn"]);
    assert_eq!(paths("gelu"), ["h.0/mlp", "h.1/mlp", "h.2/mlp", "h.3/mlp"]);
    assert_eq!(paths("cross_entropy"), [""]);
    let row = |name: &str| table.rows.iter().find(|r| r.path() == name).unwrap();
    assert_eq!(row("h.2.mlp.c_fc.weight").symbols(), "[4·d, d]");
    assert_eq!((row("tokens").symbols(), row("tokens").expression.as_str()), ("[B, T]".into(), "input"));
    let printed = table.to_string();
    let folded: Vec<&str> = printed.lines().filter(|l| l.contains("the same again")).collect();
    assert_eq!(folded.len(), 1, "{printed}");
    assert!(folded[0].starts_with("h.1 … h.3:") && folded[0].contains("3 × the same again"), "{printed}");
    assert!(printed.contains("d is a multiple of h"), "{printed}");
    assert!(table.totals.parameters.symbolic.is_some() && table.totals.forward.symbolic.is_some(), "{printed}");
}
