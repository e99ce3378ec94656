//! What tables and images are learned to, in seconds; and that a training that goes on ends in the same bits.

use std::path::PathBuf;

use covector::{Key, Tree};
use covector_data::images::Sizing;
use covector_data::{Asked, Augment, Images, Reading, Table, digits};
use covector_train::{
    Checkpoint, Error, ImageModel, ImageOptions, ImageTask, Kind, OptimizerSettings, Outputs, Scores, Settings, Step,
    TabularModel, TabularOptions, TabularTask, Task, Trained, Trainer, Watch, cross_validate,
};

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("covector-train-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn tabular() -> Settings {
    let optimizer = OptimizerSettings { weight_decay: Some(0.1), ..OptimizerSettings::default() };
    Settings { steps: 300, rate: 1e-2, optimizer, ..Settings::default() }
}

#[test]
fn iris_is_learned_to_95_percent_in_cross_validation() {
    let asked = Asked::default();
    for (k, seed) in [(5, 0), (10, 1)] {
        let folds =
            TabularTask::cross(&Table::iris(), &asked, TabularOptions { seed, ..Default::default() }, k).unwrap();
        let (mut right, mut all) = (0, 0);
        cross_validate(&folds, &tabular(), |_, scores| {
            let Scores::Classified(scores) = scores else { panic!("species are classes") };
            (right, all) = (right + scores.right(), all + scores.count());
            Ok(())
        })
        .unwrap();
        assert_eq!(all, 150, "each row is held out once");
        assert!(right as f64 >= 0.95 * all as f64, "{right} of {all} in {k} folds");
    }
}

#[test]
fn a_number_is_learned_and_its_model_predicts_in_its_units() {
    let row = |i: usize| {
        let (x, kind) = ((i % 40) as f64 / 4.0, i % 3);
        let y = 1000.0 + 20.0 * x * x - [0.0, 300.0, 600.0][kind];
        format!("{x},{},{y}\n", ["a", "b", "c"][kind])
    };
    let text: String = (0..400).map(row).collect();
    let table = Table::parse("t.csv", format!("x,kind,y\n{text}").as_bytes(), Reading::default()).unwrap();
    let task = TabularTask::new(&table, &Asked::default(), TabularOptions::default()).unwrap();
    let folder = Folder::new("number");
    let path = folder.0.join("model.safetensors");
    let settings = Settings { steps: 1000, rate: 1e-2, ..Settings::default() };
    let outcome = Trainer::new(&task, settings, Outputs::to(&path)).run(&mut ()).unwrap();
    let [rmse, _, r2] = outcome.scores[..] else { panic!("three measures") };
    assert!(rmse < 60.0 && r2 > 0.98, "{rmse} {r2}");
    let model = TabularModel::load(&path).unwrap();
    let asked = Table::parse("new.csv", b"kind,x\nb,5\nc,9.1\n", Reading::default()).unwrap();
    let predicted = model.predict_table(&asked).unwrap().to_vec::<f64>();
    assert!((predicted[0] - 1200.0).abs() < 150.0 && (predicted[1] - 2056.0).abs() < 150.0, "{predicted:?}");
}

fn images(steps: usize) -> Settings {
    Settings { steps, rate: 3e-3, eval_interval: 0, ..Settings::default() }
}

#[test]
fn digits_and_a_folder_of_them_are_learned_to_98_percent() {
    let folder = Folder::new("digits");
    let drawn = digits(1500, &Key::new(0));
    drawn.save(folder.0.join("images")).unwrap();
    let read = Images::folder(folder.0.join("images"), Sizing::default()).unwrap();
    for (name, set) in [("drawn", drawn), ("read", read)] {
        let task = ImageTask::new(set, ImageOptions::default()).unwrap();
        let path = folder.0.join(format!("{name}.safetensors"));
        let outcome = Trainer::new(&task, images(200), Outputs::to(&path)).run(&mut ()).unwrap();
        assert!(outcome.scores[1] >= 0.98, "{name}: {:?}", outcome.scores);
        let model = ImageModel::load(&path).unwrap();
        let fresh = digits(200, &Key::new(9));
        assert!(model.scores(&fresh).unwrap().accuracy() >= 0.97, "others of the same hand");
    }
}

/// Asks to stop after a step.
struct StopsAt<'a>(usize, &'a std::sync::atomic::AtomicBool);

impl Watch for StopsAt<'_> {
    fn step(&mut self, step: &Step) {
        if step.number == self.0 {
            self.1.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Trains without interruption, and with one after a step; the leaves of both must be the same bits.
fn resumed_is_whole<T: Task>(task: &T, settings: &Settings, stop_at: usize) {
    let folder = Folder::new(&format!("resume-{}-{stop_at}", task.name()));
    let outputs = || Outputs::to(folder.0.join("model.safetensors"));
    let bits = |model: &T::Model, running: &T::Running| {
        let leaves = [model.leaves(), running.leaves()].concat();
        leaves.iter().map(|t| t.value().to_bytes().to_vec()).collect::<Vec<_>>()
    };
    let whole = Trainer::new(task, settings.clone(), outputs()).run(&mut ()).unwrap();
    let flag = std::sync::atomic::AtomicBool::new(false);
    let stopped = Trainer::new(task, settings.clone(), outputs()).stop(&flag).run(&mut StopsAt(stop_at, &flag));
    let Err(Error::Stopped { step, checkpoint }) = stopped else { panic!("it was asked to stop") };
    assert_eq!(step, stop_at);
    let checkpoint = Checkpoint::load(&checkpoint).unwrap();
    let rest = Trainer::new(task, settings.clone(), outputs()).resume(checkpoint).run(&mut ()).unwrap();
    assert!(bits(&whole.model, &whole.running) == bits(&rest.model, &rest.running));
    assert_eq!(whole.scores, rest.scores);
}

#[test]
fn trainings_that_go_on_end_in_the_same_bits() {
    let options = TabularOptions { dropout: 0.1, ..TabularOptions::default() };
    let iris = TabularTask::new(&Table::iris(), &Asked::default(), options).unwrap();
    resumed_is_whole(&iris, &Settings { steps: 40, ..tabular() }, 17);
    let augment = Augment { rotate: 10.0, shift: 1.0, noise: 0.05, ..Augment::default() };
    for kind in [Kind::Cnn, Kind::Vit] {
        let options = ImageOptions { kind, augment, dropout: 0.1, batch: 8, ..ImageOptions::default() };
        let task = ImageTask::new(digits(60, &Key::new(0)), options).unwrap();
        resumed_is_whole(&task, &Settings { patience: 2, eval_interval: 5, ..images(20) }, 9);
    }
}

#[test]
fn the_doctor_finds_nothing_in_sound_data() {
    let iris = TabularTask::new(&Table::iris(), &Asked::default(), TabularOptions::default()).unwrap();
    assert!(iris.check_data().unwrap().is_empty(), "{:?}", iris.check_data());
    let task = ImageTask::new(digits(100, &Key::new(0)), ImageOptions::default()).unwrap();
    assert!(task.check_data().unwrap().is_empty());
}

#[test]
fn models_are_told_apart_and_hostile_ones_refused() {
    let folder = Folder::new("models");
    let path = folder.0.join("m.safetensors");
    let task = ImageTask::new(digits(40, &Key::new(0)), ImageOptions { batch: 4, ..Default::default() }).unwrap();
    let (net, running) = task.start(&Key::new(0)).unwrap();
    task.save(&path, &net, &running).unwrap();
    assert_eq!(Trained::load(&path).unwrap().task(), "image");
    assert!(TabularModel::load(&path).unwrap_err().to_string().contains("this is no model of a table"));
    let iris = TabularTask::new(&Table::iris(), &Asked::default(), TabularOptions::default()).unwrap();
    iris.save(&path, &iris.start(&Key::new(0)).unwrap().0, &()).unwrap();
    assert_eq!(Trained::load(&path).unwrap().task(), "tabular");
    assert!(ImageModel::load(&path).unwrap_err().to_string().contains("this is no model of images"));
    // What the metadata say and the arrays do not.
    let contents = covector_nn::file::load(&path).unwrap();
    let with = |key: &str, value: &str| {
        let mut metadata = contents.metadata.clone();
        metadata.insert(key.into(), value.into());
        covector_nn::file::save(&path, &contents.tensors, &metadata).unwrap();
        Trained::load(&path).unwrap_err().to_string()
    };
    let schema = contents.metadata["schema"].clone();
    assert!(with("schema", "{").contains("its schema cannot be read"));
    assert!(with("schema", &schema.replace("\"setosa\",", "")).contains("does not have the 2 outputs of its schema"));
    let narrower = schema.replace(r#"{"name":"sepal_length","encoding":"number"},"#, "");
    assert!(with("schema", &narrower).contains("is f32[64, 4], not f32[64, 3]"), "{narrower}");
    let huge = r#"{"kind":"cnn","sizes":[1,4611686018427387904,8],"classes":["a","b"]}"#;
    let mut metadata = contents.metadata.clone();
    metadata.insert("format".into(), "covector-image-1".into());
    metadata.insert("config".into(), huge.into());
    covector_nn::file::save(&path, &contents.tensors, &metadata).unwrap();
    assert!(Trained::load(&path).unwrap_err().to_string().contains("sizes that no model has"));
}
