//! Labels through a whole transformer: given to its parameters and tokens once, known everywhere.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use covector::{Key, Tensor, Tree, grad};
use covector_nn::{Dropout, Gpt, GptConfig};

const CONFIG: GptConfig = GptConfig { vocabulary: 11, block: 8, layers: 2, heads: 3, width: 12, bias: true };

/// The model with the labels of its parameters, by their names.
fn labelled(model: &Gpt) -> Gpt {
    let label = |(path, x): (String, Tensor)| {
        let labels = match path.rsplit_once('.').map_or(&path[..], |(module, _)| module.rsplit('.').next().unwrap()) {
            "wte" => "V d",
            "wpe" => "K d",
            "c_attn" => "3·d d",
            "c_fc" => "4·d d",
            "c_proj" if path.contains("mlp") => "d 4·d",
            "c_proj" => "d d",
            _ => "d",
        };
        // A bias is as long as the first axis of its weight.
        x.labelled(if x.ndim() == 1 { labels.split(' ').next().unwrap() } else { labels })
    };
    model.with_leaves(model.named().into_iter().map(label).collect::<Vec<_>>())
}

fn tokens() -> Tensor {
    Tensor::from([[0, 3, 1, 4, 10], [2, 2, 9, 0, 5]])
}

/// Every tensor that `y` was made from and that is not computed yet.
fn history(y: &Tensor) -> Vec<Tensor> {
    let (mut all, mut seen, mut next) = (Vec::new(), BTreeSet::new(), vec![y.clone()]);
    while let Some(t) = next.pop() {
        if seen.insert(t.id()) {
            next.extend(t.inputs());
            all.push(t);
        }
    }
    all
}

#[test]
fn a_model_of_labelled_parameters_labels_its_results_and_gradients() {
    let plain = Gpt::new(&Key::new(7), &CONFIG);
    let (model, named) = (labelled(&plain), tokens().labelled("B T"));
    let logits = model.forward(&named, &Dropout::off());
    assert_eq!(logits.labels().to_string(), "B T V");
    let bits = plain.forward(&tokens(), &Dropout::off()).value().to_bytes();
    assert_eq!(logits.value().to_bytes(), bits);
    let gradients = |model: &Gpt, tokens: &Tensor| grad(|m: &Gpt| m.loss(tokens, tokens, &Dropout::off()))(model);
    let (found, plain) = (gradients(&model, &named), gradients(&plain, &tokens()));
    for (((path, g), x), p) in found.named().into_iter().zip(model.leaves()).zip(plain.leaves()) {
        assert_eq!(g.labels(), x.labels(), "{path}");
        assert_eq!(g.value().to_bytes(), p.value().to_bytes(), "{path}");
    }
}

#[test]
fn the_scores_of_attention_are_those_of_tokens_with_tokens() {
    let block = &labelled(&Gpt::new(&Key::new(7), &CONFIG)).h[0];
    let x = Tensor::from_array(covector::Array::full([2, 5, 12], 0.5, covector::DType::F32)).labelled("B T d");
    // By hand, with a name for the heads, which the reshape alone cannot know.
    let heads = |part: &Tensor| part.reshape([2, 5, 3, 4]).labelled("_ _ h _").transpose(1, 2);
    let [q, k, v] = &block.attn.c_attn.forward(&x).chunk(3, 2)[..] else { panic!("three parts") };
    let logits = heads(q).matmul(&heads(k).t());
    assert_eq!(logits.labels().to_string(), "B h T T");
    let mixed = logits.softmax(-1).matmul(&heads(v));
    assert_eq!(mixed.labels().to_string(), "B h T d/h");
    let merged = mixed.transpose(1, 2).reshape([2, 5, 12]);
    assert_eq!(block.attn.c_proj.forward(&merged).labels().to_string(), "B T d");
    // In the library's own, all but the heads.
    let y = block.forward(&x, &Dropout::new(0.1, Key::new(1)));
    assert_eq!(y.labels().to_string(), "B T d");
    let scores: Vec<Tensor> = history(&y).into_iter().filter(|t| t.shape()[..] == [2, 3, 5, 5]).collect();
    let by = |name: &str| scores.iter().find(|t| t.primitive().name() == name).expect(name).labels().to_string();
    assert_eq!(by("where"), "B _ T T");
    assert_eq!(by("exp"), "B _ T T");
}

#[test]
fn a_parameter_that_means_something_else_is_refused_at_the_line_that_uses_it() {
    let mut model = labelled(&Gpt::new(&Key::new(7), &CONFIG));
    model.h[1].ln_1.weight = model.h[1].ln_1.weight.relabelled("e");
    let told = catch_unwind(AssertUnwindSafe(|| model.forward(&tokens(), &Dropout::off()))).map(|_| ());
    let text = *told.expect_err("`d` and `e` clash").downcast::<String>().expect("text");
    assert!(text.contains("layer_norm: labels clash: `d` meets `e`"), "{text}");
}
