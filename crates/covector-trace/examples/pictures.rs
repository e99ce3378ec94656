//! Makes the pictures of `docs/pictures`: `cargo run -p covector-trace --example pictures [FOLDER]`.

#[path = "../tests/drawn/mod.rs"]
mod drawn;

use std::path::PathBuf;
use std::{env, fs, io};

use covector_trace::draw::{Options, diff};
use drawn::{attention, convolutions, gpt, lesson, with_gradients};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures");
    let folder = env::args_os().nth(1).map_or(here, PathBuf::from);
    fs::create_dir_all(&folder)?;
    let write = |name: &str, text: String| fs::write(folder.join(name), text);

    let lesson = lesson();
    write("lesson.svg", lesson.svg())?;
    write("lesson.html", lesson.html("z = (x·w + b)²"))?;

    let attention = attention();
    write("attention.svg", attention.svg())?;
    write("attention.html", attention.html("One head of attention"))?;

    let (first, second) = (convolutions(false), convolutions(true));
    write("convolutions.svg", first.svg())?;
    write("diff.svg", diff(&first, &second).svg())?;
    write("diff.html", diff(&first, &second).html("A norm more, and four channels"))?;

    let gpt = gpt(&Options { boxes: 20, ..with_gradients() });
    write("gpt2.svg", gpt.svg())?;
    write("gpt2.html", gpt.html("GPT-2 small"))
}
