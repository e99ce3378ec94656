//! The table of a Rust function: covector-nn's GPT, over symbolic sizes.

use covector::ops::create::zeros;
use covector::{DType, Key, explain, value_and_grad};
use covector_nn::{Dropout, Gpt, GptConfig};
use covector_trace::{Sizes, trace};

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
    let weight = table.rows.iter().find(|r| r.name == "h.0.attn.c_attn.weight").unwrap();
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
