//! The lesson's examples print what they should.

#[path = "../examples"]
#[expect(dead_code, reason = "each example is a program too, with a main of its own")]
mod examples {
    pub mod attention;
    pub mod broadcasting;
    pub mod graph;
    pub mod shapes;
    pub mod value;
    pub mod vjp;
}

use examples::{attention, broadcasting, graph, shapes, value, vjp};

/// What an example prints.
fn printed(lesson: impl Fn(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    lesson(&mut out).expect("memory takes every line");
    String::from_utf8(out).expect("examples print text")
}

#[test]
fn the_four_objects_and_their_shapes() {
    insta::assert_snapshot!(printed(shapes::lesson));
}
#[test]
fn a_bias_is_broadcast() {
    insta::assert_snapshot!(printed(broadcasting::lesson));
}
#[test]
fn a_small_graph() {
    insta::assert_snapshot!(printed(graph::lesson));
}
#[test]
fn a_vjp() {
    insta::assert_snapshot!(printed(vjp::lesson));
}
#[test]
fn values() {
    insta::assert_snapshot!(printed(value::lesson));
}
#[test]
fn shapes_of_attention() {
    insta::assert_snapshot!(printed(attention::lesson));
}
