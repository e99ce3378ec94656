//! What pictures look like as text, and what holds of every picture.

mod drawn;

use covector_trace::Notes;
use covector_trace::draw::{Look, Options, Picture, diff};
use drawn::{attention, convolutions, gpt, lesson, with_gradients};

const PLAIN: Look = Look { width: 200, colour: false, ascii: false };

#[test]
fn a_small_graph_stands_in_boxes() {
    insta::assert_snapshot!(lesson().terminal(PLAIN));
}

#[test]
fn without_unicode_lines_are_ascii() {
    let text = lesson().terminal(Look { ascii: true, ..PLAIN });
    assert!(text.is_ascii(), "{text}");
}

#[test]
fn colours_are_codes_around_the_same_text() {
    let coloured = lesson().terminal(Look { colour: true, ..PLAIN });
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        plain += before;
        rest = after.split_once('m').expect("codes end").1;
    }
    let trimmed = |text: &str| text.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(trimmed(&(plain + rest)), trimmed(&lesson().terminal(PLAIN)));
}

#[test]
fn a_graph_wider_than_the_terminal_is_listed_with_rails() {
    insta::assert_snapshot!(attention().terminal(Look { width: 100, ..PLAIN }));
}

#[test]
fn modules_are_frames() {
    insta::assert_snapshot!(convolutions(false).terminal(Look { width: 400, ..PLAIN }));
}

#[test]
fn what_repeats_is_listed_once() {
    insta::assert_snapshot!(gpt(&with_gradients()).terminal(Look { width: 120, ..PLAIN }));
}

#[test]
fn a_small_graph_in_mermaid_and_dot() {
    insta::assert_snapshot!(lesson().mermaid() + "\n" + &lesson().dot());
}

#[test]
fn modules_are_subgraphs() {
    insta::assert_snapshot!(convolutions(false).mermaid() + "\n" + &convolutions(false).dot());
}

#[test]
fn a_difference_is_marked() {
    let both = diff(&convolutions(false), &convolutions(true));
    insta::assert_snapshot!(both.listing(PLAIN));
    assert!(both.terminal(Look { width: 1000, ..PLAIN }).contains("│ + group_norm"));
    assert!(both.mermaid().contains("[\"+ group_norm"));
}

#[test]
fn nothing_differs_between_a_graph_and_itself() {
    let both = diff(&attention(), &attention());
    let text = both.listing(PLAIN);
    assert!(text.lines().all(|l| l.starts_with("  ")), "{text}");
    assert_eq!(both.nodes().len(), attention().nodes().len());
}

#[test]
fn rules_are_formulas_in_the_programs_own_names() {
    let rules = |picture: &Picture| -> Vec<String> {
        picture.nodes().iter().flat_map(|n| n.operands.iter().filter_map(|o| o.rule.clone())).collect()
    };
    assert_eq!(rules(&lesson()), ["x̄ = ȳ·w", "w̄ = ȳ·x", "ā = ȳ", "b̄ = ȳ", "x̄ = z̄·x·2"]);
    insta::assert_snapshot!(rules(&attention()).join("\n"));
}

#[test]
fn gpt_2_small_has_few_boxes_until_it_is_opened() {
    let (folded, open) = (gpt(&with_gradients()), gpt(&Options { depth: Some(9), ..with_gradients() }));
    assert!(folded.boxes() <= 60, "{} boxes", folded.boxes());
    assert_eq!(folded.ops(), open.ops());
    // 2 embeddings, their sum; 14 in each block; norm, transpose, product; 2 reshapes and the loss.
    assert_eq!(folded.ops(), 3 + 12 * 14 + 3 + 3);
}

#[test]
fn the_same_program_gives_the_same_bytes() {
    let all = |picture: Picture| {
        [
            picture.svg(),
            picture.html("t"),
            picture.mermaid(),
            picture.dot(),
            picture.terminal(PLAIN),
            picture.listing(PLAIN),
        ]
    };
    assert_eq!(all(attention()), all(attention()));
    assert_eq!(all(gpt(&with_gradients())), all(gpt(&with_gradients())));
    assert_eq!(diff(&attention(), &lesson()).svg(), diff(&attention(), &lesson()).svg());
}

#[test]
fn names_cannot_break_out_of_any_output() {
    let x = covector::Tensor::from([1.0, 2.0]);
    let evil = "</script><script>alert(1)</script>\"'&\u{2028}\\n]";
    let mut notes = Notes::default();
    notes.name(&x, evil);
    notes.shape(&x, evil);
    let y = x.exp();
    notes.module(&y, vec![evil.to_owned()]);
    let picture = Picture::of(&y, &notes, &Options::default()).expect("a picture");
    let page = picture.html(evil);
    assert!(!page.contains("<script>alert"));
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!picture.svg().contains("<script"));
    assert!(!picture.dot().contains("\"\"") && !picture.mermaid().contains("<script"));
}

#[test]
fn leaves_that_require_gradients_have_them_without_tracing() {
    let x = covector::Tensor::from([1.0, 3.0]).requires_grad();
    let options = Options { values: true, ..with_gradients() };
    let picture = Picture::of(&x.square().sum(..), &Notes::default(), &options).expect("a picture");
    assert_eq!(picture.nodes()[0].gradient.as_deref(), Some("[2, 6]"));
    let refused = Picture::of(&x.stop_gradient().sum(..), &Notes::default(), &options).err().expect("no gradient");
    assert!(refused.to_string().contains("no derivative passes here"), "{refused}");
}

#[test]
fn nothing_to_draw_is_drawn() {
    let x = covector::Tensor::from(1.0);
    let picture = Picture::of(&x, &Notes::default(), &Options::default()).expect("a picture");
    assert_eq!(picture.nodes().len(), 0);
    let _ = (picture.svg(), picture.html(""), picture.terminal(PLAIN), picture.mermaid(), picture.dot());
}
