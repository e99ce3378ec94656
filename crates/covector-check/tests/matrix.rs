//! Every op of the registry has every property it can have.

use std::path::Path;

use covector_check::golden::Goldens;
use covector_check::matrix;

#[test]
fn every_op_has_every_property() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../goldens/values.json");
    let goldens = Goldens::load(&path).expect("the golden figures are part of the repository");
    let rows = matrix::rows("", &goldens);
    let failures: Vec<String> = rows.iter().flat_map(matrix::Row::failures).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
