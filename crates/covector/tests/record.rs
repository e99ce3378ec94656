//! Recorded programs: what they list, replays with and without edits, and the reverse pass step by step.

use covector::record::Record;
use covector::{Tensor, grad, record};

fn f(x: &Tensor) -> Tensor {
    let h = (x * 2.0).sigmoid();
    (&h * &h + x.softmax(0)).sum(..)
}

fn given(program: &Record) -> Vec<Tensor> {
    program.arguments().iter().map(|&i| program.steps()[i].node.stop_gradient()).collect()
}

#[test]
fn operands_stand_before_their_users_and_marks_are_left_out() {
    let x = Tensor::from([0.5, -1.0]);
    let program = record(f, &x);
    for (i, step) in program.steps().iter().enumerate() {
        assert!(step.operands.iter().all(|&j| j < i));
        assert_ne!(step.node.primitive().name(), "argument");
    }
    let [argument] = *program.arguments() else { panic!("one argument") };
    assert_eq!(program.steps()[argument].node.id(), x.id());
}

#[test]
fn what_a_function_reads_does_not_cut_the_record() {
    let x = Tensor::from([0.5, -1.0]);
    let program = record(|x: &Tensor| if x.sum(..).item::<f64>() < 0.0 { x.exp().log() } else { x.sin() }, &x);
    let names: Vec<_> = program.steps().iter().map(|s| s.node.primitive().name()).collect();
    assert_eq!(names, ["constant", "exp", "log"]);
}

#[test]
fn a_replay_gives_the_same_bits_at_the_same_lines() {
    let x = Tensor::from([0.5, -1.0]);
    let program = record(f, &x);
    let again = program.replay(&given(&program), |_, _| Ok(None)).unwrap();
    for (step, made) in program.steps().iter().zip(&again).filter(|(s, _)| !s.operands.is_empty()) {
        assert_eq!(step.node.site().location, made.site().location);
        assert_eq!(step.node.site().call, made.site().call);
    }
    assert_eq!(again[program.results()[0]].item::<f64>().to_bits(), f(&x).item::<f64>().to_bits());
}

#[test]
fn an_edit_replaces_a_step_and_what_is_made_from_it() {
    let x = Tensor::from([1.0, 0.0]);
    let program = record(|x: &Tensor| x.log().sum(..), &x);
    let log = program.steps().iter().position(|s| s.node.primitive().name() == "log").unwrap();
    let operand = program.steps()[log].operands[0];
    let edit = |i: usize, made: &[Tensor]| Ok((i == log).then(|| made[operand].log1p()));
    let made = program.replay(&given(&program), edit).unwrap();
    assert_eq!(made[program.results()[0]].item::<f64>(), 2f64.ln());
}

#[test]
fn an_edit_that_does_not_fit_is_an_error_of_the_next_step() {
    let program = record(|x: &Tensor| x.log() + x, &Tensor::from([1.0, 2.0]));
    let log = program.steps().iter().position(|s| s.node.primitive().name() == "log").unwrap();
    let other = |i: usize, _: &[Tensor]| Ok((i == log).then(|| Tensor::from([1.0, 2.0, 3.0])));
    let error = program.replay(&given(&program), other).unwrap_err();
    assert_eq!(error.op(), Some("add"));
}

#[test]
fn the_reverse_pass_is_the_gradient_and_its_terms_add_up() {
    let x = Tensor::from([0.5, -1.0]);
    let program = record(f, &x);
    let pass = program.backward(&given(&program), &[Tensor::from(1.0)], |_, _| Ok(None)).unwrap();
    let argument = program.arguments()[0];
    let gradient = pass.cotangents[argument].as_ref().unwrap().to_vec::<f64>();
    assert_eq!(gradient, grad(f)(&x).to_vec::<f64>());
    let mut sum = [0.0; 2];
    for (i, step) in program.steps().iter().enumerate() {
        for (k, _) in step.operands.iter().enumerate().filter(|(_, j)| **j == argument) {
            let term = pass.terms[i][k].as_ref().map_or(vec![0.0; 2], |t| t.to_vec::<f64>());
            sum.iter_mut().zip(term).for_each(|(s, t)| *s += t);
        }
    }
    assert!(sum.iter().zip(&gradient).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn a_graph_is_recorded_as_far_as_it_remembers() {
    let x = Tensor::from([0.5, 1.0]);
    let y = x.exp();
    let program = Record::of(&[y.sum(..)], std::slice::from_ref(&x));
    assert_eq!(program.steps().len(), 3);
    y.to_vec::<f64>();
    assert_eq!(Record::of(&[y.sum(..)], &[x]).steps().len(), 3, "the argument, the forgetful result, its sum");
}
