//! Programs with which nothing is wrong.

use covector::Tensor;
use covector_trace::why;

use crate::programs;

#[test]
fn nothing_is_said_of_healthy_programs() {
    let (mut n, mut alarms) = (0, Vec::new());
    programs::all(&mut |name, f, args| {
        n += 1;
        match why(|p: &Vec<Tensor>| f(p), &args) {
            Ok(None) => {}
            Ok(Some(found)) => alarms.push(format!("{name}: {found}")),
            Err(e) => panic!("{name}: {e}"),
        }
    });
    assert!(n >= 60, "only {n} programs");
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
}

#[test]
fn infinities_that_do_no_harm_are_none_of_its_business() {
    let masked = |x: &Tensor| x.greater(0.0).where_(x, f64::NEG_INFINITY).softmax(-1).square().sum(..);
    assert!(why(masked, &Tensor::from([1.0f32, -1.0, 2.0])).unwrap().is_none());
    let lowest = |x: &Tensor| x.minimum(f64::INFINITY).sum(..);
    assert!(why(lowest, &Tensor::from([1.0f32, -1.0])).unwrap().is_none());
    let safe = |x: &Tensor| {
        let inside = x.greater(0.0).where_(x, 1.0).log();
        x.greater(0.0).where_(inside, 0.0).sum(..)
    };
    assert!(why(safe, &Tensor::from([2.0f32, -1.0])).unwrap().is_none());
}

#[test]
fn a_part_of_the_units_may_be_dead() {
    assert!(why(|x: &Tensor| x.relu().sum(..), &Tensor::from([1.0f32, -1.0])).unwrap().is_none());
}

#[test]
fn results_that_are_no_loss_are_looked_at_as_values() {
    let f = |x: &Tensor| (x.floor(), x.argmax(0));
    assert!(why(f, &Tensor::from([1.5f32, -1.0])).unwrap().is_none());
}
