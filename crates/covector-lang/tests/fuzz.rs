//! No text makes the parser or the checker panic, hang or run out of stack.
//!
//! A few thousand inputs by default; `COVECTOR_FUZZ=1000000` runs as many, `COVECTOR_FUZZ_SEED=n` others.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use covector_lang::{Numbers, Program, parse_expression};

/// No input may take longer, in a debug build on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

const WORDS: &[&str] = &[
    "x",
    "y",
    "W",
    "f",
    "B",
    "T",
    "d",
    "h",
    "x",
    "y",
    "def",
    "for",
    "if",
    "elif",
    "else",
    "in",
    "range",
    "return",
    "param",
    "pass",
    "not",
    "and",
    "or",
    "None",
    "True",
    "False",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "@",
    "<<",
    ">>",
    "&",
    "|",
    "^",
    "~",
    "<",
    "<=",
    "==",
    "!=",
    ">",
    "=",
    "+=",
    "(",
    ")",
    "[",
    "]",
    ",",
    ":",
    ".",
    "...",
    ";",
    "\n",
    "\n",
    "\n    ",
    "\n  ",
    " ",
    " ",
    "f32",
    "i64",
    "bool",
    "f32[B, T]",
    "f32[d]",
    "0",
    "1",
    "2",
    "-1",
    "7",
    "300",
    "9223372036854775807",
    "1000000000000",
    "1e308",
    "0.5",
    "1e-5",
    "\"ij,jk->ik\"",
    "'...i'",
    "\"",
    "#",
    "\\\n",
    "sum",
    "mean",
    "softmax",
    "reshape",
    "transpose",
    "concat",
    "einsum",
    "split",
    "take",
    "zeros",
    "arange",
    "ones",
    "conv2d",
    "layer_norm",
    "where",
    "grad",
    "vmap",
    "jvp",
    "hessian",
    "jacobian",
    "value_and_grad",
    "len",
    "zip",
    "enumerate",
    "tensor",
    "int",
    "float",
    "param_count",
    "axis",
    "keepdims",
    ".T",
    ".shape",
    ".sum()",
    ".reshape(",
    "[:, None]",
    "x: f32[B, T, d]\n",
    "y: f32[B, d]\n",
    "param W: f32[d, h]\n",
    "def f(x):\n    return x\n",
    "for i in range(3):\n    ",
    "é",
    "²",
    "\t",
    "\r\n",
];

/// Programs to start from: those of the mistakes, and the models.
fn seeds() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |folder: &str| -> Vec<String> {
        let mut files: Vec<_> = std::fs::read_dir(root.join(folder)).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        files.iter().map(|f| std::fs::read_to_string(f).unwrap()).collect()
    };
    let block = |text: &String| -> Vec<String> {
        text.split("```cv\n").skip(1).filter_map(|b| b.split("```").next()).map(str::to_owned).collect()
    };
    let mistakes: Vec<String> = read("tests/mistakes").iter().flat_map(block).collect();
    // A layer or two of a model will do.
    let models = read("models").into_iter().map(|m| m.replace("layers = 12", "layers = 1"));
    mistakes.into_iter().chain(models).collect()
}

fn bytes(random: &mut Random) -> String {
    let n = random.below(80);
    let raw: Vec<u8> = (0..n).map(|_| random.next() as u8).collect();
    String::from_utf8_lossy(&raw).into_owned()
}

fn soup(random: &mut Random) -> String {
    let n = 1 + random.below(40);
    let mut text = String::new();
    for _ in 0..n {
        text += random.of::<&str>(WORDS);
        if random.below(3) == 0 {
            text.push(' ');
        }
    }
    text
}

fn mutated(random: &mut Random, seeds: &[String]) -> String {
    let mut text: Vec<char> = random.of(seeds).chars().collect();
    for _ in 0..1 + random.below(4) {
        let at = random.below(text.len() + 1);
        match random.below(7) {
            0 if at < text.len() => drop(text.remove(at)),
            1 => drop(text.splice(at..at, random.of::<&str>(WORDS).chars())),
            2 => {
                let end = (at + random.below(12)).min(text.len());
                text.drain(at..end);
            }
            3 => {
                let end = (at + random.below(30)).min(text.len());
                let piece = text[at..end].to_vec();
                let to = random.below(text.len() + 1);
                text.splice(to..to, piece);
            }
            4 => {
                let other: Vec<char> = random.of(seeds).chars().collect();
                let start = random.below(other.len());
                let end = (start + random.below(60)).min(other.len());
                text.splice(at..at, other[start..end].iter().copied());
            }
            // A number becomes an extreme one.
            5 => {
                if let Some(digit) = (at..text.len()).find(|&i| text[i].is_ascii_digit()) {
                    let with = *random.of(&["0", "-1", "9223372036854775807", "4294967296", "100000", "1e300", "3"]);
                    text.splice(digit..=digit, with.chars());
                }
            }
            _ if at < text.len() => text[at] = char::from(random.below(128) as u8),
            _ => {}
        }
    }
    text.into_iter().collect()
}

/// Reads and checks a text; the fixes are tried too if that is wished for.
fn survives(text: &str, numbers: &Numbers) {
    let start = Instant::now();
    let end = catch_unwind(AssertUnwindSafe(|| {
        let _ = parse_expression(text);
        let report = match Program::parse("fuzz.cv", text) {
            Err(report) => Some(report),
            Ok(program) => program.check(numbers).err(),
        };
        if let Some(report) = report {
            let _ = report.json();
            assert!(!report.render(false).is_empty());
        }
    }));
    assert!(end.is_ok(), "panics:\n{text}\n---\n{text:?}");
    assert!(start.elapsed() < LONGEST, "takes {:?}:\n{text}", start.elapsed());
}

#[test]
fn no_text_makes_it_panic_or_hang() {
    let count = setting("COVECTOR_FUZZ", 2000);
    let mut random = Random(setting("COVECTOR_FUZZ_SEED", 1));
    let seeds = seeds();
    let numbers = [BTreeMap::new(), [("B", 2.0), ("T", 3.0), ("d", 4.0)].map(|(n, v)| (n.to_owned(), v)).into()];
    for i in 0..count {
        let text = match i % 8 {
            0 => bytes(&mut random),
            1..=3 => soup(&mut random),
            _ => mutated(&mut random, &seeds),
        };
        survives(&text, random.of(&numbers));
    }
}

/// The fault's message, for a text that has to be refused.
fn refusal(text: &str) -> String {
    let start = Instant::now();
    let report = match Program::parse("deep.cv", text) {
        Err(report) => report,
        Ok(program) => program.check(&Numbers::new()).expect_err("it cannot be right"),
    };
    assert!(start.elapsed() < LONGEST, "takes {:?}: {}", start.elapsed(), &text[..text.len().min(200)]);
    let shown = report.render(false);
    assert!(!shown.is_empty());
    report.fault.message.clone()
}

#[test]
fn deep_nesting_is_refused() {
    let n = 100_000;
    let nested = |open: &str, close: &str| format!("x = {}1{}\n", open.repeat(n), close.repeat(n));
    let indented: String = (0..1000).map(|i| format!("{}if True:\n", " ".repeat(i))).collect();
    let texts = [
        nested("(", ")"),
        nested("[", "]"),
        nested("f(", ")"),
        nested("x[", "]"),
        nested("-", ""),
        nested("~", ""),
        nested("not ", ""),
        nested("2 ** ", ""),
        nested("1 if True else ", ""),
        nested("(", ""),
        indented.clone() + &" ".repeat(1000) + "pass\n",
        indented,
    ];
    for text in texts {
        let message = refusal(&text);
        let said = ["levels", "never closed", "body was expected"].iter().any(|w| message.contains(w));
        assert!(said, "{message}");
    }
}

#[test]
fn long_chains_are_refused_or_computed() {
    let x = "x: f32[B]\n";
    for (link, n) in
        [(" + x", 100_000), (" @ x", 100_000), (" and x", 100_000), (".T", 100_000), ("[0]", 100_000), ("(1)", 100_000)]
    {
        let message = refusal(&format!("{x}y = x{}\n", link.repeat(n)));
        assert!(message.contains("levels"), "{link}: {message}");
    }
    // As statements they are fine.
    let statements = format!("{x}y = x\n{}", "y = y + x\n".repeat(2000));
    Program::parse("long.cv", &statements).unwrap().check(&Numbers::new()).unwrap();
    // Comparisons and lists are as long as one likes.
    let list = format!("y = [{}]\n", "1, ".repeat(50_000));
    Program::parse("long.cv", &list).unwrap().check(&Numbers::new()).unwrap();
}

#[test]
fn what_never_ends_is_refused() {
    let recursion = "def f(x):\n    return f(x)\nx: f32[B]\ny = f(x)\n";
    assert!(refusal(recursion).contains("calls are open"));
    let mutual = "def f(x, g):\n    return g(x, f)\ndef g(x, f):\n    return f(x, g)\nx: f32[B]\ny = f(x, g)\n";
    assert!(refusal(mutual).contains("calls are open"));
    let differentiated = "def f(x):\n    return grad(f)(x)\nx: f32[B]\ny = f(x)\n";
    assert!(refusal(differentiated).contains("calls are open"));
    assert!(refusal("for i in range(1000000000): pass\n").contains("longer than"));
    assert!(refusal("x = range(-9223372036854775807, 9223372036854775807)\n").contains("longer than"));
    let loops = "for i in range(9999):\n  for j in range(9999):\n    for k in range(9999): pass\n";
    assert!(refusal(loops).contains("steps"));
    let growing = format!("x = [1]\n{}", "x = x + x\n".repeat(60));
    assert!(refusal(&growing).contains("items"));
    let nested = format!("x = [1, 2]\n{}", "x = [x, x]\n".repeat(60));
    assert!(refusal(&nested).contains("items"));
    let deeper = format!("x = [1]\n{}", "x = [x]\n".repeat(60));
    assert!(refusal(&deeper).contains("nested"));
    let text = format!("x = \"ab\"\n{}", "x = x + x\n".repeat(60));
    assert!(refusal(&text).contains("letters"));
}

/// Each fix is tried on the program, but not for ever.
#[test]
fn fixes_of_long_programs_are_tried_for_a_while() {
    let text = "x: f32[B, T, d]\nfor i in range(100000):\n    y = x.sum(axis=(1, -2))\n";
    assert!(refusal(text).contains("named twice"));
}

#[test]
fn sizes_beyond_memory_are_refused() {
    let huge = "9223372036854775807";
    for text in [
        format!("x: f32[{huge}, {huge}]\n"),
        "x: f32[B, B, B, B, B, B, B, B, B, B, B, B]\n".into(),
        format!("x: f32[B]\ny = x.reshape({huge}, {huge})\n"),
        format!("y = zeros(({huge}, 2))\n"),
        format!("n = {huge} * {huge}\n"),
        format!("n = {huge} + 1\n"),
        format!("n = -{huge} - 2\n"),
        format!("n = 2 ** 1000\nm = n % 0\nk = 3 ** {huge}\n"),
        "x: f32[B - 100000000000]\n".into(),
        "x: f32[-B]\n".into(),
        "x: f32[B]\ny = broadcast_to(x, (1000000000000, 1000000000000, B))\n".into(),
    ] {
        refusal(&text);
    }
    // What would have to be computed for a check is refused before memory is asked for.
    let masked = "x: f32[A, B, C, D]\nm: bool[A, B, C, D]\ny = x[m]\n";
    assert!(refusal(masked).contains("depends on the numbers"));
    // Sizes are symbols, however large the numbers beside them.
    let fine = "x: f32[T - 300]\ny = x[:5]\nz: f32[300 * T]\nt: f32[T]\nu = t[300]\n";
    Program::parse("fine.cv", fine).unwrap().check(&Numbers::new()).unwrap_or_else(|e| panic!("{e}"));
}
