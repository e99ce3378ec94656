#[test]
fn q() {
}
