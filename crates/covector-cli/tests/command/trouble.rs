//! Two trainings of one file, and disks without room: a clear error, and nothing lost.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use crate::folder::Folder;

impl Folder {
    /// With files of at most so many blocks of 512 bytes, beyond which writing fails as on a full disk.
    fn cramped(&self, blocks: usize, args: &str) -> Output {
        let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec {} {args}", env!("CARGO_BIN_EXE_covector"));
        Command::new("sh").args(["-c", &line]).current_dir(&self.0).output().unwrap()
    }
}

const TINY: &str = "train --text text.txt --layers 1 --heads 2 --width 8 --block 8 --batch 4 --tokens 5";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn one_file_has_one_training() {
    let folder = Folder::with_text("two");
    let mut first = Command::new(env!("CARGO_BIN_EXE_covector"))
        .args(format!("{TINY} --steps 1000000 --eval-interval 0").split(' '))
        .current_dir(&folder.0)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut talk = BufReader::new(first.stderr.take().unwrap()).lines();
    while !talk.next().unwrap().unwrap().starts_with("step 1/") {}
    let second = folder.run(&format!("{TINY} --steps 3"));
    let said = text(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    let wanted =
        format!("a training of process {} writes this file; wait until it is done, or name another", first.id());
    assert!(said.starts_with("error: gpt") && said.contains(&wanted), "{said}");
    assert!(folder.run(&format!("{TINY} --steps 3 --out other.safetensors")).status.success());
    // Killed, it leaves no lock behind that holds.
    first.kill().unwrap();
    first.wait().unwrap();
    let third = folder.run(&format!("{TINY} --steps 3"));
    assert!(third.status.success(), "{}", text(&third.stderr));
    assert_eq!(folder.names(), ["gpt.safetensors", "other.safetensors", "text.txt"], "and none at the end");
}

#[test]
fn without_room_for_a_checkpoint_the_one_before_stays() {
    let folder = Folder::with_text("checkpoint");
    let whole = folder.run(&format!("{TINY} --steps 40 --out whole.safetensors"));
    assert!(whole.status.success(), "{}", text(&whole.stderr));
    // The state after step 20 is all there is.
    let args = format!("{TINY} --steps 40 --checkpoint kept.safetensors --checkpoint-interval 20 --out m.safetensors");
    assert!(folder.run(&args).status.success());
    let before = folder.read("kept.safetensors");
    let cramped = folder.cramped(8, "train --resume kept.safetensors --checkpoint-interval 5");
    let said = text(&cramped.stderr);
    assert_eq!(cramped.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: kept.safetensors: there is no room for the 1"), "{said}");
    assert!(said.contains(" bytes of a checkpoint: "), "{said}");
    assert!(folder.read("kept.safetensors") == before, "the checkpoint is as it was");
    assert!(folder.names().iter().all(|name| !name.ends_with(".tmp")), "{:?}", folder.names());
    assert!(folder.run("train --resume kept.safetensors").status.success());
    assert!(folder.read("m.safetensors") == folder.read("whole.safetensors"), "nothing is lost");
}

#[test]
fn without_room_for_the_model_or_the_report_the_old_ones_stay() {
    let folder = Folder::with_text("model");
    assert!(folder.run(&format!("{TINY} --steps 3 --report report.html")).status.success());
    let (model, report) = (folder.read("gpt.safetensors"), folder.read("report.html"));
    let args = format!("{TINY} --steps 4 --checkpoint-interval 0 --report report.html");
    let cramped = folder.cramped(2, &args);
    let said = text(&cramped.stderr);
    assert_eq!(cramped.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: gpt.safetensors: there is no room for the "), "{said}");
    assert!(said.contains(" bytes of the model: ") && !said.contains("step 1/"), "before the first step: {said}");
    assert!(folder.read("gpt.safetensors") == model && folder.read("report.html") == report);
    // Room for the model and its metadata, and none for the report.
    let blocks = 5 * model.len() / 512 + 258;
    let args = args.replace("--layers 1", "--layers 5");
    let cramped = folder.cramped(blocks, &args);
    let said = text(&cramped.stderr);
    assert_eq!(cramped.status.code(), Some(1), "{said}");
    assert!(said.contains("error: report.html: cannot write: "), "{said}");
    assert!(folder.read("gpt.safetensors") != model, "the model was saved before");
    assert!(folder.read("report.html") == report);
}

/// Runs a script in a folder that is a disk of so many KiB, where a system lets its users have one; `covector` is the command,
/// and what is copied to `..` stays.
#[cfg(target_os = "linux")]
fn on_a_disk(folder: &Folder, kib: usize, script: &str) -> Option<Output> {
    let script = format!(
        "covector() {{ '{}' \"$@\"; }}\nmkdir -p disk; mount -t tmpfs -o size={kib}k none disk || exit 99\n\
         cd disk; cp ../text.txt .\n{script}",
        env!("CARGO_BIN_EXE_covector")
    );
    let output = Command::new("unshare").args(["-rm", "sh", "-c", &script]).current_dir(&folder.0).output();
    let output = output.ok().filter(|o| o.status.code() != Some(99) && !o.stderr.starts_with(b"unshare"));
    if output.is_none() {
        eprintln!("skipped: this system does not give its users disks");
    }
    output
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_is_found_before_the_first_step_and_one_that_fills_up_costs_nothing() {
    let folder = Folder::with_text("disk");
    assert!(folder.run(&format!("{TINY} --steps 900 --out whole.safetensors")).status.success());
    let whole = folder.read("whole.safetensors");
    // Too small for a checkpoint: nothing is begun.
    let Some(full) = on_a_disk(&folder, 100, &format!("covector {TINY} --steps 3; echo $?; ls -A")) else { return };
    let said = text(&full.stderr);
    assert!(said.starts_with("error: gpt.checkpoint.safetensors: there is no room for the 1"), "{said}");
    assert!(said.contains("bytes of a checkpoint: No space left on device"), "{said}");
    assert_eq!(text(&full.stdout), "1\ntext.txt\n", "and nothing is left behind");
    // The log fills the disk long before the first checkpoint: the room held back is enough for the state.
    let script = format!(
        "covector {TINY} --steps 900 --log log.jsonl --checkpoint kept.safetensors --checkpoint-interval 100000\n\
         cp kept.safetensors .."
    );
    let full = on_a_disk(&folder, 200, &script).unwrap();
    let said = text(&full.stderr);
    assert!(said.contains("error: log.jsonl: cannot write the log: No space left on device"), "{said}");
    assert!(said.contains("is kept: go on with --resume kept.safetensors"), "{said}");
    let output = folder.run("train --resume kept.safetensors --log log.csv --out m.safetensors");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(folder.read("m.safetensors") == whole, "nothing is lost");
    // Room for one checkpoint and what is held back, and for no other: each takes that room, and gives the one before it back.
    let script = format!(
        "covector {TINY} --steps 900 --checkpoint-interval 7 --checkpoint kept.safetensors &&\n\
         cp gpt.safetensors ../tight.safetensors && ls -A"
    );
    let tight = on_a_disk(&folder, 240, &script).unwrap();
    assert!(tight.status.success(), "{}", text(&tight.stderr));
    assert_eq!(
        text(&tight.stdout).lines().rev().take(3).collect::<Vec<_>>(),
        ["text.txt", "kept.safetensors", "gpt.safetensors"]
    );
    assert!(folder.read("tight.safetensors") == whole);
}

#[test]
fn without_room_for_a_log_the_state_is_kept() {
    let folder = Folder::with_text("log");
    assert!(folder.run(&format!("{TINY} --steps 3000 --out whole.safetensors")).status.success());
    // The log outgrows 150 kB, the checkpoint does not.
    let args = format!("{TINY} --steps 3000 --out m.safetensors --log log.jsonl");
    std::fs::write(folder.0.join("log.jsonl"), "").unwrap();
    let full = folder.cramped(300, &args);
    let said = text(&full.stderr);
    match full.status.code() {
        Some(1) => {
            assert!(said.contains("error: log.jsonl: cannot write the log: "), "{said}");
            assert!(said.contains("is kept: go on with --resume m.checkpoint.safetensors"), "{said}");
            let output = folder.run("train --resume m.checkpoint.safetensors");
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert!(folder.read("m.safetensors") == folder.read("whole.safetensors"), "nothing is lost");
        }
        code => panic!("{code:?}: {said}; the log has {} bytes", folder.read("log.jsonl").len()),
    }
    #[cfg(target_os = "linux")]
    {
        std::os::unix::fs::symlink("/dev/full", folder.0.join("full.csv")).unwrap();
        let full = folder.run(&format!("{TINY} --steps 3 --log full.csv"));
        let said = text(&full.stderr);
        assert_eq!(said, "error: full.csv: cannot write the log: No space left on device (os error 28)\n");
    }
}

/// A file of 256 MB, most of which is a hole, is learned in a tenth of that memory.
#[cfg(target_os = "linux")]
#[test]
fn a_large_text_is_learned_in_little_memory() {
    let folder = Folder::with_text("large");
    let file = std::fs::File::create(folder.0.join("large.txt")).unwrap();
    file.set_len(256 << 20).unwrap();
    let args = TINY.replace("--text text.txt", "--text large.txt");
    for tokenizer in ["bytes", "chars"] {
        let line = format!(
            "{} {args} --tokenizer {tokenizer} --steps 3 >/dev/null & pid=$!; \
             while grep VmHWM /proc/$pid/status; do sleep 0.02; done; wait $pid",
            env!("CARGO_BIN_EXE_covector")
        );
        let output = Command::new("sh").args(["-c", &line]).current_dir(&folder.0).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let printed = text(&output.stdout);
        let most = printed.lines().filter_map(|l| l.split_whitespace().nth(1)?.parse::<usize>().ok()).max().unwrap();
        assert!(most < 64 << 10, "{most} KiB for {tokenizer}");
    }
}
