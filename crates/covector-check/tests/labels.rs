//! What every op does with labels, as one table: a label that an op loses is a change here.

use insta::assert_snapshot;

#[test]
fn every_op_says_what_becomes_of_labels() {
    assert_snapshot!(covector_check::label_signatures());
}
