//! Texts as tokens: the same whether in memory or in a file, whatever their bytes.

use crate::common::{Folder, settings};
use covector::Key;
use covector_train::{Codec, Cut, Outputs, Settings, Task, TextOptions, TextTask, Trainer};

fn sizes() -> TextOptions {
    TextOptions { layers: 1, heads: 2, width: 8, block: 8, batch: 16, dropout: 0.0, tokens: 12, temperature: 0.8 }
}

/// A text of characters of one to four bytes, longer than what is read at once.
fn mixed() -> String {
    let alphabet = ['a', 'é', '€', '𝄞', '\n', 'z', 'ß'];
    let mut state = 9u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        alphabet[(state >> 16) as usize % 7]
    };
    (0..700_000).map(next).collect()
}

#[test]
fn characters_of_a_file_are_those_of_the_text() {
    let (folder, text) = (Folder::new("characters"), mixed());
    let path = folder.0.join("text.txt");
    std::fs::write(&path, &text).unwrap();
    let [memory, file] =
        [TextTask::new("text", &text, sizes()).unwrap(), TextTask::open(&path, &Cut::Characters, sizes()).unwrap()];
    assert_eq!(memory.fingerprint(), file.fingerprint());
    assert_eq!(memory.describe(), "630,000 characters to learn, 70,000 held out, 7 different");
    let characters: Vec<char> = text.chars().collect();
    let mut sorted = ['a', 'é', '€', '𝄞', '\n', 'z', 'ß'];
    sorted.sort();
    for position in 0..20 {
        let [(x, y), (other, _)] = [&memory, &file].map(|task| task.batch(position, &Key::new(1)).unwrap());
        let (x, y) = (x.to_vec::<i64>(), y.to_vec::<i64>());
        assert_eq!(x, other.to_vec::<i64>());
        assert_eq!(x[1..8], y[..7], "targets are moved on by one");
        let piece: String = x[..8].iter().map(|&t| sorted[t as usize]).collect();
        assert!(text.contains(&piece));
        // The places are what they were when texts were held as tokens.
        let start = covector::ops::random::randint(&Key::new(1).fold_in(position as i64), [16, 1], 0, 630_000 - 8);
        let start = start.to_vec::<i64>()[0] as usize;
        assert_eq!(piece, characters[start..start + 8].iter().collect::<String>());
    }
}

#[test]
fn bytes_and_numbers_of_any_width_give_the_same_tokens() {
    let folder = Folder::new("numbers");
    let bytes: Vec<u8> = (0..3000u32).map(|i| (i * i % 251) as u8).collect();
    let write = |name: &str, data: Vec<u8>| std::fs::write(folder.0.join(name), data).unwrap();
    write("raw.dat", bytes.clone());
    write("a.u16", bytes.iter().flat_map(|&b| u16::from(b).to_le_bytes()).collect());
    write("a.bin", bytes.iter().flat_map(|&b| u16::from(b).to_le_bytes()).collect());
    write("a.u32", bytes.iter().flat_map(|&b| u32::from(b).to_le_bytes()).collect());
    let array = covector::Tensor::from(bytes.iter().map(|&b| i64::from(b)).collect::<Vec<i64>>());
    covector_io::save_npy(folder.0.join("a.npy"), &array.value()).unwrap();
    let task = |name: &str| TextTask::open(&folder.0.join(name), &Cut::Bytes, sizes()).unwrap();
    let whole = task("raw.dat").batch(0, &Key::new(2)).unwrap().0.to_vec::<i64>();
    for name in ["a.u16", "a.bin", "a.u32", "a.npy"] {
        assert_eq!(task(name).batch(0, &Key::new(2)).unwrap().0.to_vec::<i64>(), whole, "{name}");
    }
    let numbers = TextTask::open(&folder.0.join("a.npy"), &Cut::Characters, sizes()).unwrap();
    assert_eq!(numbers.describe(), "2,700 tokens to learn, 300 held out, 250 different");
}

#[test]
fn files_that_are_no_tokens_are_refused() {
    let folder = Folder::new("refused");
    let refused = |name: &str, data: &[u8], cut: &Cut| {
        std::fs::write(folder.0.join(name), data).unwrap();
        let error = TextTask::open(&folder.0.join(name), cut, sizes()).map(|_| ()).unwrap_err().to_string();
        error.rsplit_once('/').unwrap().1.to_owned()
    };
    assert_eq!(
        refused("a.u16", &[0; 301], &Cut::Characters),
        "a.u16: its 301 bytes are no whole number of tokens of 2 bytes"
    );
    let said = refused("a.u32", &[255; 400], &Cut::Characters);
    assert_eq!(
        said,
        "a.u32: its largest token is 4294967295: that is no vocabulary; is the width of the numbers right?"
    );
    let said = refused("b.u16", &[1; 400], &Cut::Bytes);
    assert_eq!(said, "b.u16: 257 is no token of the tokenizer, which has 256");
    assert!(refused("a.npy", b"no array", &Cut::Characters).starts_with("a.npy: not a valid npy file"));
    let floats = covector::Tensor::from(vec![1.0f32; 400]);
    covector_io::save_npy(folder.0.join("f.npy"), &floats.value()).unwrap();
    let said = TextTask::open(&folder.0.join("f.npy"), &Cut::Characters, sizes()).map(|_| ()).unwrap_err().to_string();
    assert!(said.ends_with("f.npy: tokens are integers along one axis, not f32[400]"), "{said}");
    // A character that is cut off by the end of the file, and one that is broken on the border of two reads.
    let mut cut = vec![b'a'; (1 << 20) - 1];
    cut.extend("€".as_bytes());
    let fine = [cut.clone(), vec![b'b'; 200]].concat();
    std::fs::write(folder.0.join("fine.txt"), &fine).unwrap();
    assert!(TextTask::open(&folder.0.join("fine.txt"), &Cut::Characters, sizes()).is_ok());
    let said = refused("cut.txt", &cut[..cut.len() - 1], &Cut::Characters);
    assert!(said.starts_with("cut.txt: not UTF-8 text: byte 1048575 begins no character"), "{said}");
    assert!(refused("e.txt", b"", &Cut::Characters).starts_with("e.txt: the file is empty"));
}

#[test]
fn a_file_that_gets_shorter_is_an_error_and_no_crash() {
    let folder = Folder::new("shorter");
    let path = folder.0.join("text.dat");
    std::fs::write(&path, vec![7u8; 4000]).unwrap();
    let task = TextTask::open(&path, &Cut::Bytes, sizes()).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
    let result = Trainer::new(&task, Settings { steps: 3, ..settings() }, Outputs::to(folder.0.join("m"))).run(&mut ());
    let said = result.map(|_| ()).unwrap_err().to_string();
    assert!(said.ends_with("text.dat: cannot read: the file got shorter while it was learned"), "{said}");
}

/// A tokenizer of whole words and single letters, as `tokenizer.json` has it.
const WORDS: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
  "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
  "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "to": 1, "be": 2, "or": 3, "not": 4}}}"#;

#[test]
fn a_tokenizer_is_kept_in_the_model() {
    let folder = Folder::new("tokenizer");
    let [text, tokenizer, model] = ["text.txt", "tokenizer.json", "m.safetensors"].map(|name| folder.0.join(name));
    std::fs::write(&text, "to be or not to be\n".repeat(100)).unwrap();
    std::fs::write(&tokenizer, WORDS).unwrap();
    let task = TextTask::open(&text, &Cut::Tokenizer(tokenizer.clone()), sizes()).unwrap();
    assert_eq!(task.describe(), "540 tokens to learn, 60 held out, 5 different");
    let outcome = Trainer::new(&task, Settings { steps: 60, rate: 0.02, ..settings() }, Outputs::to(&model))
        .run(&mut ())
        .unwrap();
    assert!(outcome.scores[0] < 1.0, "{:?}", outcome.scores);
    let (_, config, codec) = Codec::load(&model).unwrap();
    assert_eq!((config.vocabulary, codec.encode("not to be").unwrap()), (5, vec![4, 1, 2]));
    assert_eq!(codec.decode(&[4, 1, 2]), "not to be");
    let said = Codec::open(&text).map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("text.txt: not a valid tokenizer: "), "{said}");
}
