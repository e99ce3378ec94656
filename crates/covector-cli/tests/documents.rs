//! What the documentation says the command prints is what it prints.

#[test]
fn commands_print_what_the_documentation_says() {
    // Paths on the page begin at the root of the repository.
    std::env::set_current_dir("../..").unwrap();
    trycmd::TestCases::new().case("docs/commands.md").case("docs/training.md");
}
