//! Tables and images from the command line: what is learned, predicted, judged and refused.

use covector::Key;
use covector_data::digits;

use crate::folder::Folder;

#[test]
fn arrays_are_learned_predicted_and_judged_as_tables() {
    let folder = Folder::new("arrays");
    let x: Vec<f32> = (0..120).flat_map(|i| [(i % 10) as f32, (i / 10) as f32]).collect();
    let y: Vec<f32> = x.chunks(2).map(|x| 3.0 * x[0] - x[1] + 7.0).collect();
    let (x, y) = (covector::Tensor::from_slice(&x, [120, 2]), covector::Tensor::from(y));
    let both = covector::ops::concat::concat(&[x.clone(), y.unsqueeze(1)], 1);
    covector_io::save_npy(folder.0.join("both.npy"), &both.value()).unwrap();
    covector_io::save_npy(folder.0.join("x.npy"), &x.value()).unwrap();
    covector_io::save_npz(folder.0.join("both.npz"), &[("x".into(), x.value()), ("y".into(), y.value())]).unwrap();
    let said = folder.says("train tabular both.npy --target 2 --goal number --steps 400 --out a.st");
    assert!(said.contains("2 is a number, from 2 columns"), "{said}");
    assert!(folder.says("eval-model a.st both.npy").contains("R² 0.99"));
    assert_eq!(folder.says("predict a.st x.npy --format csv").lines().count(), 121);
    let said = folder.says("train tabular both.npz --target y --goal number --steps 400 --out b.st");
    assert!(said.contains("y is a number, from 2 columns"), "{said}");
    assert!(folder.says("eval-model b.st both.npz").contains("R² 0.99"));
    let named = "train tabular both.npy --columns a,b,c --target c --goal number --steps 3 --out c.st";
    assert!(folder.says(named).contains("c is a number"));
    assert!(folder.says("predict c.st x.npy --columns a,b").starts_with("line"));
    assert!(folder.refused("predict c.st x.npy --columns a", 1).contains("1 name for 2 columns"));
    assert!(folder.refused("predict c.st x.npy", 1).contains("there is no column `a`"));
}

#[test]
fn iris_is_learned_predicted_and_judged() {
    let folder = Folder::new("iris");
    let said = folder.says("train tabular iris --report r.html --log m.csv --out iris.st");
    assert!(said.contains("120 rows to learn, 30 held out; species is one of 3 classes, from 4 columns"), "{said}");
    assert!(std::fs::read_to_string(folder.0.join("r.html")).unwrap().contains("Held-out rows"));
    let header = std::fs::read_to_string(folder.0.join("m.csv")).unwrap();
    assert!(header.starts_with("step,loss,rate,rows_per_second,held_out_loss,accuracy\n"), "{header}");
    std::fs::write(
        folder.0.join("new.csv"),
        "petal_width,petal_length,sepal_width,sepal_length\n0.2,1.4,3.5,5.1\n2.5,6.0,3.3,6.3\n",
    )
    .unwrap();
    let text = folder.says("predict iris.st new.csv");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("line  species    setosa  versicolor  virginica"), "{text}");
    assert!(lines[1].starts_with("   2  setosa") && lines[2].starts_with("   3  virginica"), "{text}");
    folder.says("predict iris.st new.csv --format csv --out p.csv");
    let csv = std::fs::read_to_string(folder.0.join("p.csv")).unwrap();
    assert!(csv.starts_with("line,species,probability of setosa,"), "{csv}");
    let json: serde_json::Value = serde_json::from_str(&folder.says("predict iris.st new.csv --format json")).unwrap();
    assert_eq!(json[1]["prediction"], "virginica");
    let judged: serde_json::Value = serde_json::from_str(&folder.says("eval-model iris.st iris --json")).unwrap();
    assert!(judged["accuracy"].as_f64().unwrap() > 0.95, "{judged}");
    assert!(folder.says("eval-model iris.st iris").starts_with("accuracy 0.9"));
    let cross = folder.says("train tabular iris --cross-validate 5 --seed 3");
    let last = cross.lines().last().unwrap();
    let accuracy: f64 = last.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(accuracy >= 0.95 && last.ends_with("over 5 folds"), "{cross}");
}

#[test]
fn wrong_tables_are_refused_before_anything_is_written() {
    let folder = Folder::new("wrong");
    let write = |text: &str| std::fs::write(folder.0.join("t.csv"), text).unwrap();
    let refused = |text: &str, more: &str| {
        write(text);
        folder.refused(&format!("train tabular t.csv {more}"), 1)
    };
    assert_eq!(
        refused("x,y\n1,a\n,b\n", ""),
        "error: t.csv: line 3, column `x`: the cell is missing\n  hint: fill such cells with means, or drop such rows \
         (--missing mean, --missing drop)\n"
    );
    assert_eq!(
        refused("size,colour\n1,a\n2,b\n", "--target color"),
        "error: t.csv: there is no column `color`\n  hint: did you mean `colour`?\n"
    );
    assert!(refused("x,y\n1,a\n2\n", "").starts_with("error: t.csv: line 3: 1 cell, where the header has 2"));
    assert!(folder.refused("train tabular gone.csv", 1).starts_with("error: gone.csv: cannot read"));
    assert!(folder.refused("train image gone", 1).starts_with("error: gone: cannot read"));
    assert!(folder.refused("train tabular", 2).contains("<TABLE>"));
    let names: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["t.csv"]);
}

#[test]
fn a_folder_of_images_is_learned_and_its_model_used() {
    let folder = Folder::new("images");
    digits(300, &Key::new(5)).save(folder.0.join("digits")).unwrap();
    let said = folder.says("train image digits --steps 60 --batch 16 --out d.st --rotate 5 --shift 1");
    assert!(said.contains("240 images to learn, 60 held out; 28 × 28, grey, 10 classes"), "{said}");
    let text = folder.says("predict d.st digits/3/00003.png digits/7");
    assert_eq!(text.lines().count(), 32, "a header, one file, and the thirty of a folder");
    let judged: serde_json::Value = serde_json::from_str(&folder.says("eval-model d.st digits --json")).unwrap();
    assert!(judged["accuracy"].as_f64().unwrap() > 0.9, "{judged}");
    let png = std::fs::read(folder.0.join("digits/3/00003.png")).unwrap();
    std::fs::write(folder.0.join("cut.png"), &png[..png.len() / 2]).unwrap();
    assert!(folder.refused("predict d.st cut.png", 1).starts_with("error: cut.png: damaged or cut short"));
    assert!(folder.refused("eval-model d.st cut.png", 1).starts_with("error: cut.png: "));
}

#[test]
fn a_text_model_is_judged_by_its_perplexity_and_does_not_predict() {
    let folder = Folder::new("text");
    std::fs::write(folder.0.join("t.txt"), "la la lu, ".repeat(100)).unwrap();
    let tiny = "--layers 1 --heads 1 --width 8 --block 8 --batch 4 --steps 5 --tokens 5 --text t.txt";
    folder.says(&format!("train {tiny} --out g.st"));
    let judged: serde_json::Value = serde_json::from_str(&folder.says("eval-model g.st t.txt --json")).unwrap();
    let (loss, perplexity) = (judged["loss"].as_f64().unwrap(), judged["perplexity"].as_f64().unwrap());
    assert!((loss.exp() - perplexity).abs() < 1e-9 && loss > 0.0);
    assert!(folder.refused("predict g.st t.txt", 2).contains("use `covector sample g.st`"));
}

#[test]
fn a_training_goes_on_from_its_checkpoint_whatever_its_task() {
    let folder = Folder::new("resume");
    folder.says("train tabular iris --steps 40 --checkpoint-interval 25 --checkpoint c.st --out a.st");
    folder.says("train --resume c.st --out b.st");
    let read = |name: &str| std::fs::read(folder.0.join(name)).unwrap();
    assert_eq!(read("a.st"), read("b.st"));
    let refused = folder.refused("train tabular --resume c.st --hidden 3", 2);
    assert!(refused.contains("--hidden cannot change in a training that goes on"), "{refused}");
}
