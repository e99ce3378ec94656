//! What the documentation says the command prints is what it prints.

#[test]
fn commands_print_what_the_documentation_says() {
    trycmd::TestCases::new().case("../../docs/commands.md").case("../../docs/training.md");
}
