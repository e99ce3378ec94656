//! A training that is interrupted, in whatever way, ends as if it had not been.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::folder::Folder;

impl Folder {
    fn has(&self, name: &str) -> bool {
        Path::new(&self.0).join(name).exists()
    }
}

const TINY: [&str; 21] = [
    "train",
    "--layers",
    "1",
    "--heads",
    "2",
    "--width",
    "8",
    "--block",
    "8",
    "--batch",
    "4",
    "--tokens",
    "5",
    "--text",
    "text.txt",
    "--dropout",
    "0.1",
    "--eval-interval",
    "40",
    "--checkpoint-interval",
    "1",
];

fn tiny<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&TINY[..], more].concat()
}

/// Numbers from 0 to 1 that look random (an xorshift).
fn random(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state as f64 / u64::MAX as f64
}

#[test]
fn a_training_killed_at_random_moments_ends_in_the_same_bits() {
    let folder = Folder::with_text("killed");
    let whole = folder.run(&tiny(&["--steps", "2000", "--out", "whole.safetensors"]));
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));

    let (mut seed, mut kills) = (0x9e37_79b9_7f4a_7c15, 0);
    let args = tiny(&["--steps", "2000", "--out", "cut.safetensors", "--log", "log.csv"]);
    for attempt in 0..200 {
        let args = match folder.has("cut.checkpoint.safetensors") {
            true => vec!["train", "gpt", "--resume", "cut.checkpoint.safetensors"],
            false => args.clone(),
        };
        let mut child = folder.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // Twenty times it is killed, and then left to end.
        if kills < 20 {
            std::thread::sleep(Duration::from_millis((random(&mut seed) * 60.0) as u64 + 20));
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                kills += 1;
                child.wait().unwrap();
                continue;
            }
        }
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "attempt {attempt}: {}", String::from_utf8_lossy(&output.stderr));
        break;
    }
    assert_eq!(kills, 20, "the training was over before it could be killed so often");
    assert!(folder.read("cut.safetensors") == folder.read("whole.safetensors"), "after {kills} kills");
    assert!(!folder.has("cut.checkpoint.safetensors"), "it has served its purpose");
    let log = String::from_utf8(folder.read("log.csv")).unwrap();
    let steps: Vec<&str> =
        log.lines().skip(1).filter(|l| !l.contains(",,")).map(|l| l.split(',').next().unwrap()).collect();
    let all: Vec<String> = (1..=2000).map(|i| i.to_string()).collect();
    assert_eq!(steps, all, "every step is in the log once");
}

#[test]
fn what_decides_the_numbers_cannot_change() {
    let folder = Folder::with_text("changed");
    let args = tiny(&["--steps", "20", "--checkpoint", "kept.safetensors"]);
    assert!(folder.run(&args).status.success());
    let refused = |args: &[&str]| {
        let output = folder.run(args);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let complaint = refused(&["train", "--resume", "kept.safetensors", "--lr", "0.1"]);
    assert_eq!(complaint, "error: --lr cannot change in a training that goes on; it ends as it began\n");
    let complaint = refused(&["train", "--resume", "gpt.safetensors"]);
    assert!(complaint.contains("this is no checkpoint of a training"), "{complaint}");
    std::fs::write(folder.0.join("text.txt"), "another text, long enough to learn from; ".repeat(20)).unwrap();
    let complaint = refused(&["train", "--resume", "kept.safetensors"]);
    assert!(complaint.contains("the data are not the ones that were learned"), "{complaint}");
}

#[test]
fn records_are_written() {
    let folder = Folder::with_text("records");
    let records = ["--log", "log.jsonl", "--log", "log.csv", "--log", "events", "--report", "report.html"];
    let args = tiny(&[&["--steps", "90", "--out", "m.safetensors"], &records[..]].concat());
    let output = folder.run(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(folder.read("log.jsonl")).unwrap();
    let looks = lines.lines().filter(|l| l.contains("held_out_loss")).count();
    assert_eq!((lines.lines().count(), looks), (92, 2));
    assert!(lines.starts_with("{\"step\":1,\"loss\":3."), "{lines}");
    let events = std::fs::read_dir(folder.0.join("events")).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(events).unwrap();
    assert!(bytes.windows(13).any(|w| w == b"brain.Event:2") && bytes.windows(13).any(|w| w == b"held_out_loss"));
    let report = String::from_utf8(folder.read("report.html")).unwrap();
    for part in ["<polyline class=\"held\"", "<th>width</th><td>8</td>", "self_attention"] {
        assert!(report.contains(part), "{part}");
    }
    // The name of SVG is no address that anybody asks.
    let addressed = report.replace("http://www.w3.org/2000/svg", "");
    assert!(!report.contains("{{") && !addressed.contains("://"), "it stands for itself");
    assert!(report.contains("<iframe class=\"graph\""), "the graph of the loss");
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("step 90\n"), "a curve is drawn: {talk}");
}

#[test]
fn patience_keeps_the_best_model() {
    let folder = Folder::with_text("patience");
    // With a rate this large the loss soon stops falling.
    let args = tiny(&["--steps", "4000", "--lr", "0.3", "--clip", "0", "--patience", "2", "--out", "m.safetensors"]);
    let output = folder.run(&args);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{talk}");
    assert!(talk.contains("that model is kept"), "{talk}");
    let data = String::from_utf8(output.stdout).unwrap();
    assert!(!data.contains("after 4000 steps"), "{data}");
}
