//! The command from outside: what it prints and where, what it leaves behind, and how it fails.

use std::process::Command;

use crate::folder::Folder;

const TINY: [&str; 16] = [
    "--layers", "2", "--heads", "2", "--width", "8", "--block", "8", "--batch", "4", "--steps", "30", "--tokens", "20",
    "--text", "text.txt",
];

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["train"], &TINY[..], more].concat()
}

fn rhyme() -> String {
    "Twinkle, twinkle, little star,\nHow I wonder what you are!\n".repeat(40)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn train_prints_shapes_loss_and_sample_and_saves_what_sample_continues() {
    let folder = Folder::new("train");
    folder.write("text.txt", rhyme());
    let output = folder.run(&train(&["--out", "model.safetensors", "--eval-interval", "10"]));
    let (data, talk) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{talk}");
    assert!(data.contains("self_attention") && data.contains("[4, 8, 8]"), "{data}");
    assert!(data.contains("held-out loss ") && data.contains("after 30 steps"), "{data}");
    assert!(talk.contains("step 30/30  loss ") && talk.contains("tokens/s  ETA 0:00"), "{talk}");
    assert!(talk.contains("step 10: held-out loss ") && talk.contains("saved model.safetensors"), "{talk}");
    assert!(!talk.contains('\r') && !talk.contains('\u{1b}'), "no bar where there is no terminal");
    assert_eq!(folder.names(), ["model.safetensors", "text.txt"]);

    let sample = |more: &[&str]| {
        let args = [&["sample", "model.safetensors", "--prompt", "How", "--tokens", "12"], more].concat();
        let output = folder.run(&args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).to_owned()
    };
    let first = sample(&[]);
    assert!(first.starts_with("How") && first.chars().count() == 3 + 12 + 1, "{first:?}");
    assert_eq!(first, sample(&[]), "the same seed gives the same text");
    assert_ne!(first, sample(&["--seed", "1"]));
    assert_eq!(sample(&["--temperature", "0"]), sample(&["--top-k", "1", "--seed", "5"]));
}

#[test]
fn variables_choose_threads_and_instructions_but_no_bits() {
    let folder = Folder::with_text("variables");
    let run = |threads: &str, isa: &str| {
        let mut command = folder.command(&train(&["--eval-interval", "0", "--out", "model.safetensors"]));
        let output = command.env("COVECTOR_THREADS", threads).env("COVECTOR_ISA", isa).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        (folder.read("model.safetensors"), text(&output.stderr).to_owned())
    };
    let (model, talk) = run("1", "portable");
    assert!(!talk.contains("COVECTOR"), "{talk}");
    for (threads, isa) in [("2", "avx2"), ("3", "AVX512"), ("", "")] {
        let (again, talk) = run(threads, isa);
        assert!(again == model && !talk.contains("COVECTOR"), "{threads} {isa}: {talk}");
    }
    let (again, talk) = run("many", "sse");
    assert!(again == model);
    assert!(talk.contains("COVECTOR_THREADS=many is no number of threads"), "{talk}");
    assert!(talk.contains("COVECTOR_ISA=sse is none of avx512, avx2, portable"), "{talk}");
}

/// `tests/table.txt` is the table as it should read; on a difference the test prints what there is.
#[test]
fn the_table_of_shapes_reads_like_this() {
    let folder = Folder::new("table");
    folder.write("text.txt", rhyme());
    let mut args = train(&["--eval-interval", "0", "--doctor", "off"]);
    let steps = args.iter().position(|a| *a == "30").unwrap();
    args[steps] = "1";
    let output = folder.run(&args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (table, rest) = text(&output.stdout).rsplit_once("\n\n1,816").unwrap();
    assert!(table == include_str!("table.txt").trim_end(), "the table is now\n{table}");
    assert!(rest.starts_with(" parameters; 2,088 characters to learn, 232 held out, 22 different\n"), "{rest}");
    assert!(rest.contains(" after 1 step in "), "{rest}");
}

#[test]
fn one_block_is_written_out_and_the_others_are_one_line() {
    let folder = Folder::new("folded");
    folder.write("text.txt", rhyme());
    let lines = |layers: &str| {
        let mut args = train(&["--eval-interval", "0", "--doctor", "off"]);
        args[2] = layers;
        let steps = args.iter().position(|a| *a == "30").unwrap();
        args[steps] = "1";
        let output = folder.run(&args);
        let (table, _) = text(&output.stdout).split_once("\n\n").unwrap();
        let folded: Vec<String> = table
            .lines()
            .filter(|l| l.contains("the same again"))
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        (table.lines().count() - folded.len(), folded)
    };
    let (length, none) = lines("1");
    assert_eq!(none, [""; 0]);
    assert_eq!(lines("2"), (length, vec!["h.1: the same again [B, T, d] [4, 8, 8] 784 60,032".to_owned()]));
    let five = "h.1 … h.4: 4 × the same again [B, T, d] [4, 8, 8] 3,136 240,128";
    assert_eq!(lines("5"), (length, vec![five.to_owned()]));
}

#[test]
fn the_same_seed_gives_the_same_model_for_any_number_of_threads() {
    let folder = Folder::new("threads");
    folder.write("text.txt", rhyme());
    let mut files = Vec::new();
    for threads in ["1", "2", "7"] {
        assert!(folder.run(&train(&["--threads", threads, "--dropout", "0.1"])).status.success());
        files.push(std::fs::read(folder.0.join("gpt.safetensors")).unwrap());
    }
    assert!(files[0] == files[1] && files[0] == files[2]);
}

#[test]
fn the_embedded_text_is_learned_when_none_is_given() {
    let folder = Folder::new("embedded");
    let args = ["train", "--layers", "1", "--heads", "1", "--width", "4", "--steps", "2", "--tokens", "5"];
    let output = folder.run(&args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(folder.names(), ["gpt.safetensors"]);
}

#[test]
fn unusable_texts_are_refused() {
    let folder = Folder::new("texts");
    folder.write("empty.txt", "");
    folder.write("binary.txt", [b'a', b'b', 0xff, b'c']);
    folder.write("short.txt", "too short");
    let complaint = |file: &str| folder.refused(&["train", "--text", file], 1);
    assert_eq!(complaint("empty.txt"), "error: empty.txt: the file is empty\n");
    assert_eq!(
        complaint("binary.txt"),
        "error: binary.txt: not UTF-8 text: byte 2 begins no character; --tokenizer bytes learns any file\n"
    );
    assert_eq!(
        complaint("short.txt"),
        "error: short.txt is too short: a tenth of its 9 characters is held out, which must be more than the block of 64\n"
    );
    assert!(complaint("none.txt").starts_with("error: none.txt: cannot read: "));
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_training() {
    let folder = Folder::new("output");
    folder.write("text.txt", rhyme());
    let complaint = folder.refused(&train(&["--out", "nowhere/model.safetensors"]), 1);
    assert!(complaint.starts_with("error: nowhere/model.safetensors: cannot write the model: "), "{complaint}");
    let complaint = folder.refused(&train(&["--out", "."]), 1);
    assert_eq!(complaint, "error: .: cannot write the model: it is a folder\n");
}

#[test]
fn flags_that_make_no_sense_are_wrong_usage() {
    let folder = Folder::new("flags");
    folder.write("text.txt", rhyme());
    let complaint = folder.refused(&train(&["--out", "m.safetensors", "--dropout", "1.5"]), 2);
    assert!(complaint.contains("'--dropout <DROPOUT>': it must be a number from 0 to 1"), "{complaint}");
    let complaint = folder.refused(&["train", "--width", "10", "--heads", "3"], 2);
    assert_eq!(complaint, "error: a width of 10 does not divide into 3 heads\n");
    assert!(folder.refused(&["train", "--layers", "0"], 2).contains("at least 1"));
    assert!(folder.refused(&["train", "--nonsense"], 2).contains("--nonsense"));
}

#[test]
fn files_that_are_no_models_are_refused() {
    let folder = Folder::new("models");
    folder.write("text.txt", rhyme());
    assert!(folder.run(&train(&[])).status.success());
    let model = std::fs::read(folder.0.join("gpt.safetensors")).unwrap();
    folder.write("noise.safetensors", "this is no model");
    folder.write("cut.safetensors", &model[..model.len() - 40]);
    let swapped = String::from_utf8_lossy(&model).contains("\"heads\":\"2\"");
    assert!(swapped, "the metadata hold the number of heads");
    let at = model.windows(11).position(|w| w == b"\"heads\":\"2\"").unwrap();
    let mut other = model.clone();
    other[at + 9] = b'3';
    folder.write("heads.safetensors", other);
    for (file, what) in [
        ("noise.safetensors", "not a valid safetensors file"),
        ("cut.safetensors", "the file is cut short"),
        ("heads.safetensors", "a width of 8 does not divide into 3 heads"),
        ("text.txt", "not a valid safetensors file"),
        ("absent.safetensors", "cannot open"),
    ] {
        let complaint = folder.refused(&["sample", file], 1);
        assert!(complaint.starts_with("error: ") && complaint.contains(what), "{file}: {complaint}");
    }
    let complaint = folder.refused(&["sample", "gpt.safetensors", "--prompt", "€"], 1);
    assert_eq!(complaint, "error: the character '€' is not in the vocabulary\n");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_training_with_a_checkpoint_and_leaves_the_old_model() {
    use std::io::{BufRead, BufReader};
    let folder = Folder::new("interrupt");
    folder.write("text.txt", rhyme());
    folder.write("gpt.safetensors", "an older file");
    let mut args = train(&["--eval-interval", "0", "--doctor", "off"]);
    let steps = args.iter().position(|a| *a == "30").unwrap();
    args[steps] = "1000000";
    let mut child = Command::new(env!("CARGO_BIN_EXE_covector"))
        .args(args)
        .current_dir(&folder.0)
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    talk.read_line(&mut line).unwrap();
    assert!(line.starts_with("step 1/1000000"), "{line}");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let last = talk.lines().last().unwrap().unwrap();
    assert!(
        last.starts_with("error: stopped after step ")
            && last.ends_with("`covector train --resume gpt.checkpoint.safetensors`"),
        "{last}"
    );
    assert_eq!(std::fs::read(folder.0.join("gpt.safetensors")).unwrap(), b"an older file");
    assert_eq!(folder.names(), ["gpt.checkpoint.safetensors", "gpt.safetensors", "text.txt"]);
}
