//! What a program knows of its tensors reaches those who show its graph.

use covector_lang::{Numbers, Program, hollow};

#[test]
fn every_name_of_a_statement_names_its_tensor() {
    let text = "param W: f32[2, 6]\nq, k, v = split(W, (2, 2, 2), axis=-1)\ny = q + k * v\n";
    let program = Program::parse("p.cv", text).unwrap();
    let record = program.run(&Numbers::new(), &mut |leaf| Ok(hollow(leaf))).unwrap();
    let notes = program.notes(&record);
    let named: Vec<Vec<Option<&str>>> =
        record.made.iter().map(|made| made.tensors.iter().map(|t| notes.name_of(t)).collect()).collect();
    let expected = [vec![Some("W")], vec![Some("q"), Some("k"), Some("v")], vec![None], vec![Some("y")]];
    assert_eq!(named, expected);
}
