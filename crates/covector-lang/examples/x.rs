//! Scratch.
use covector_lang::*;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let text = std::fs::read_to_string(&args[0]).unwrap();
    let numbers: Numbers =
        args[1..].iter().filter_map(|a| a.split_once('=')).map(|(a, b)| (a.to_owned(), b.parse().unwrap())).collect();
    match Program::parse(&args[0], &text).and_then(|p| p.trace(&numbers)) {
        Ok(t) => print!("{t}"),
        Err(e) => println!("{}", e.render(true)),
    }
}
