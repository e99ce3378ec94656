//! Options in files: one declaration, one order of precedence, mistakes with their place.

use crate::folder::Folder;

impl Folder {
    fn shown(&self, args: &[&str]) -> String {
        let output = self.run(&[&["config", "show"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

const FILE: &str = "\
# A small model.
task = \"gpt\"
text = \"text.txt\"
layers = 1
heads = 2
width = 8
block = 8
batch = 4
steps = 30
tokens = 5
dropout = 0.1
eval_interval = 10
log = [\"log.csv\", \"log.jsonl\"]
";

#[track_caller]
fn line<'a>(shown: &'a str, key: &str) -> &'a str {
    let found = shown.lines().find(|l| l.trim_start_matches("# ").starts_with(&format!("{key} ="))).unwrap();
    found.trim_end()
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let folder = Folder::with_text("order");
    folder.write("run.toml", FILE);
    let shown = folder.shown(&["gpt", "--config", "run.toml", "--steps", "7", "--log", "other.csv"]);
    assert!(line(&shown, "steps").ends_with("# flag --steps") && line(&shown, "steps").starts_with("steps = 7 "));
    assert!(line(&shown, "width").starts_with("width = 8 ") && line(&shown, "width").ends_with("# run.toml, line 6"));
    assert!(line(&shown, "lr").starts_with("lr = 0.001 ") && line(&shown, "lr").ends_with("# default"));
    assert!(line(&shown, "log").starts_with("log = [\"other.csv\"] "), "a flag replaces a list: {shown}");
    assert!(line(&shown, "warmup").starts_with("# warmup ="), "what is not set is a comment");
}

#[test]
fn what_is_shown_is_a_file_that_gives_the_same() {
    let folder = Folder::with_text("round");
    folder.write("run.toml", FILE);
    let values = |shown: &str| -> Vec<String> {
        shown
            .lines()
            .filter(|l| !l.starts_with('#'))
            .map(|l| l.split("  #").next().unwrap().trim_end().to_owned())
            .collect()
    };
    let first = folder.shown(&["--config", "run.toml", "--nesterov", "--momentum", "0.5", "--optimizer", "sgd"]);
    folder.write("shown.toml", &first);
    let second = folder.shown(&["--config", "shown.toml"]);
    assert_eq!(values(&first), values(&second));
    assert!(line(&second, "nesterov").contains("# shown.toml, line "));
}

#[test]
fn a_file_trains_as_its_flags_do() {
    let folder = Folder::with_text("same");
    folder.write("run.toml", FILE);
    let output = folder.run(&["train", "--config", "run.toml", "--out", "file.safetensors"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(folder.read("log.csv")).unwrap().lines().count(), 30 + 2 + 1);
    let flags = "train --text text.txt --layers 1 --heads 2 --width 8 --block 8 --batch 4 --steps 30 --tokens 5 \
         --dropout 0.1 --eval-interval 10 --out flags.safetensors";
    assert!(folder.run(&flags.split(' ').collect::<Vec<_>>()).status.success());
    assert!(folder.read("file.safetensors") == folder.read("flags.safetensors"));
}

#[test]
fn mistakes_in_files_are_errors_with_their_place() {
    let folder = Folder::with_text("mistakes");
    for (text, complaint) in [
        ("\nlayer = 2", "bad.toml:2:1: there is no option `layer`; did you mean `layers`?"),
        ("eval_intervall = 2", "bad.toml:1:1: there is no option `eval_intervall`; did you mean `eval-interval`?"),
        ("resume = \"a\"", "bad.toml:1:1: there is no option `resume`"),
        ("lr = -1", "bad.toml:1:6: `lr`: it must be a number above 0"),
        ("layers = \"2\"", "bad.toml:1:10: `layers`: it must be a number"),
        ("layers = 2.5", "bad.toml:1:10: `layers`: it must be a whole number of at least 1"),
        ("text = 3", "bad.toml:1:8: `text`: it must be a text, in quotation marks"),
        ("lr = [1]", "bad.toml:1:6: `lr`: one value is wanted, not a list"),
        ("log = [\"a.csv\", 1]", "bad.toml:1:17: `log`: it must be a text, in quotation marks"),
        ("nesterov = 1", "bad.toml:1:12: `nesterov`: it must be true or false"),
        ("schedule = \"cosinus\"", "bad.toml:1:12: `schedule`: it must be one of constant, cosine, linear, step"),
        ("layers = 2\nlayers = 3", "bad.toml:2:1: this is no valid TOML: duplicate key"),
        ("step-every = 2\nstep_every = 3", "bad.toml:2:1: `step_every` stands in line 1, too"),
        ("[model]\nlayers = 2", "bad.toml:1:2: `model` is a table; options stand outside of tables"),
        ("lr = ", "bad.toml:1:6: this is no valid TOML: "),
        ("task = \"tabular\"", "bad.toml:1:8: these are options of the task `tabular`, and `gpt` is to be trained"),
        ("é = 1", "bad.toml:1:1: this is no valid TOML: "),
    ] {
        folder.write("bad.toml", text);
        let output = folder.run(&["train", "gpt", "--config", "bad.toml"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}: {said}");
        assert!(said.starts_with(&format!("error: {complaint}")), "{text}: {said}");
        assert!(output.stdout.is_empty(), "{text}");
    }
    std::fs::write(folder.0.join("bad.toml"), [b'a', 0xff]).unwrap();
    let said = folder.run(&["train", "--config", "bad.toml"]);
    assert!(String::from_utf8(said.stderr).unwrap().starts_with("error: bad.toml: cannot read: "));
    let said = folder.run(&["train", "--config", "absent.toml"]);
    assert!(String::from_utf8(said.stderr).unwrap().starts_with("error: absent.toml: cannot read: "));
}

#[test]
fn a_training_that_goes_on_keeps_its_own_options() {
    let folder = Folder::with_text("resumed");
    folder.write("run.toml", FILE);
    let output = folder.run(&[
        "train",
        "--config",
        "run.toml",
        "--checkpoint",
        "kept.safetensors",
        "--lr",
        "0.01",
        "--checkpoint-interval",
        "10",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = folder.shown(&["--resume", "kept.safetensors", "--tokens", "9"]);
    assert!(line(&shown, "width").ends_with("# the checkpoint") && line(&shown, "width").starts_with("width = 8 "));
    assert!(line(&shown, "lr").starts_with("lr = 0.01 ") && line(&shown, "lr").ends_with("# the checkpoint"));
    assert!(line(&shown, "tokens").ends_with("# flag --tokens"));
    let refused = folder.run(&["train", "--resume", "kept.safetensors", "--config", "run.toml"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
}

#[test]
fn lbfgs_has_defaults_of_its_own() {
    let folder = Folder::new("lbfgs");
    folder.write("run.toml", "optimizer = \"lbfgs\"\nwarmup = 3");
    let shown = folder.shown(&["tabular", "iris", "--config", "run.toml"]);
    for (key, value) in [("lr", "1 "), ("clip", "0 "), ("schedule", "\"constant\" "), ("warmup", "3 ")] {
        assert!(line(&shown, key).starts_with(&format!("{key} = {value}")), "{}", line(&shown, key));
    }
    let shown = folder.shown(&["tabular", "iris", "--config", "run.toml", "--lr", "0.5", "--schedule", "cosine"]);
    assert!(line(&shown, "lr").starts_with("lr = 0.5 ") && line(&shown, "schedule").contains("cosine"));
    let output = folder.run(&["train", "tabular", "iris", "--config", "run.toml", "--steps", "8", "--batch", "120"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("step 8/8"), "{said}");
}

#[test]
fn kinds_from_a_file_go_on_to_the_same_model() {
    let folder = Folder::with_text("kinds");
    let more = "schedule = \"plateau\"\nplateau-patience = 0\ngamma = 0.5\nprecision = \"bf16\"\nlr = 0.05\n";
    folder.write("run.toml", format!("{FILE}checkpoint-interval = 20\ncheckpoint = \"kept.safetensors\"\n{more}"));
    let output = folder.run(&["train", "--config", "run.toml", "--out", "whole.safetensors"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = folder.run(&["train", "--resume", "kept.safetensors", "--out", "cut.safetensors"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.read("whole.safetensors") == folder.read("cut.safetensors"));
}

#[test]
fn constants_that_an_optimiser_lacks_are_wrong_usage() {
    let folder = Folder::with_text("constants");
    folder.write("run.toml", FILE);
    for (flags, complaint) in [
        (&["--optimizer", "adamw", "--momentum", "0.9"][..], "the optimiser adamw has no momentum"),
        (&["--optimizer", "sgd", "--beta2", "0.9"], "the optimiser sgd has no beta2"),
        (&["--optimizer", "sgd", "--nesterov"], "Nesterov's variant is one of momentum, which is not given"),
        (&["--optimizer", "lbfgs", "--weight-decay", "0.1"], "the optimiser lbfgs has no weight decay"),
        (
            &["--optimizer", "lbfgs", "--clip", "1"],
            "lbfgs follows gradients as they are: clip neither their norm nor their elements",
        ),
        (
            &["--optimizer", "lbfgs", "--precision", "bf16"],
            "lbfgs compares losses that are nearly equal: it needs the precision f32",
        ),
        (
            &["--schedule", "plateau", "--eval-interval", "0"],
            "the schedule plateau goes by looks at the held-out data: it needs an interval between them",
        ),
    ] {
        let output = folder.run(&[&["train", "--config", "run.toml"], flags].concat());
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("error: {complaint}\n"));
    }
}
