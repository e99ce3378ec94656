//! Trainings as an API: they learn, are stopped and go on to the same bits, whatever moves the weights.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Blobs, Folder, lbfgs, plateau, settings};
use covector::Tree;
use covector_train::{
    Checkpoint, Error, OptimizerKind, OptimizerSettings, Outputs, Precision, ScheduleKind, ScheduleSettings, Settings,
    Step, Trainer, Watch,
};

/// Sets a flag after a step.
struct StopAt<'a>(usize, &'a AtomicBool);

impl Watch for StopAt<'_> {
    fn step(&mut self, step: &Step) {
        if step.number == self.0 {
            self.1.store(true, Ordering::Relaxed);
        }
    }
}

/// Trains in one go, and stopped and resumed at two steps; gives both models' files.
fn both(folder: &Folder, task: &Blobs, settings: &Settings) -> [Vec<u8>; 2] {
    Trainer::new(task, settings.clone(), folder.outputs("whole.safetensors")).run(&mut ()).unwrap();
    let outputs = folder.outputs("cut.safetensors");
    let mut resumed = None;
    for at in [7, 13] {
        let flag = AtomicBool::new(false);
        let mut trainer = Trainer::new(task, settings.clone(), outputs.clone()).stop(&flag);
        if let Some(resumed) = resumed.take() {
            trainer = trainer.resume(resumed);
        }
        match trainer.run(&mut StopAt(at, &flag)) {
            Err(Error::Stopped { step, checkpoint }) => {
                assert_eq!(step, at);
                resumed = Some(Checkpoint::load(checkpoint).unwrap());
            }
            other => panic!("it was to stop after step {at}: {:?}", other.err()),
        }
    }
    Trainer::new(task, settings.clone(), outputs).resume(resumed.unwrap()).run(&mut ()).unwrap();
    ["whole.safetensors", "cut.safetensors"].map(|name| folder.read(name))
}

#[test]
fn every_optimiser_goes_on_to_the_same_bits() {
    let (folder, task) = (Folder::new("optimisers"), Blobs::new(12));
    let mut models = Vec::new();
    for kind in OptimizerKind::ALL {
        let momentum = matches!(kind, OptimizerKind::Sgd | OptimizerKind::RmsProp).then_some(0.9);
        let optimizer = OptimizerSettings { kind, momentum, ..Default::default() };
        let clip = (kind != OptimizerKind::Lbfgs).then_some(1.0);
        let [whole, cut] = both(&folder, &task, &Settings { optimizer, clip, ..settings() });
        assert!(whole == cut, "{}", kind.name());
        assert!(!models.contains(&whole), "{} moves as no other does", kind.name());
        models.push(whole);
    }
}

#[test]
fn every_schedule_goes_on_to_the_same_bits() {
    let (folder, task) = (Folder::new("schedules"), Blobs::new(12));
    let mut models = Vec::new();
    for kind in ScheduleKind::ALL {
        let schedule = ScheduleSettings { kind, patience: Some(0), ..Default::default() };
        // Looks at every step, so that a plateau falls before, between and after the interruptions.
        let settings = Settings { schedule, eval_interval: 1, rate: 0.3, ..settings() };
        let [whole, cut] = both(&folder, &task, &settings);
        assert!(whole == cut, "{}", kind.name());
        assert!(!models.contains(&whole), "{} is as no other", kind.name());
        models.push(whole);
    }
}

#[test]
fn averages_several_batches_to_a_step_and_the_best_model_go_on_too() {
    let (folder, task) = (Folder::new("all"), Blobs::new(12));
    let settings =
        Settings { ema: Some(0.9), accumulate: 3, clip_value: Some(0.1), patience: 9, eval_interval: 2, ..settings() };
    let [whole, cut] = both(&folder, &task, &settings);
    assert!(whole == cut);
}

#[test]
fn batches_made_ahead_are_the_same() {
    let folder = Folder::new("ahead");
    for (ahead, name) in [(0, "none.safetensors"), (2, "some.safetensors")] {
        let task = Blobs { ahead, ..Blobs::new(12) };
        Trainer::new(&task, settings(), folder.outputs(name)).run(&mut ()).unwrap();
    }
    assert!(folder.read("none.safetensors") == folder.read("some.safetensors"));
    let task = Blobs { ahead: 2, ..Blobs::new(12) };
    let [whole, cut] = both(&folder, &task, &settings());
    assert!(whole == cut);
}

#[test]
fn three_small_batches_make_the_step_of_a_large_one() {
    let folder = Folder::new("accumulated");
    // One step over all 90 points; the noise is drawn for each batch, so without it.
    let one = |batch: usize, accumulate: usize| {
        let task = Quiet(Blobs::new(batch));
        let settings = Settings { steps: 1, accumulate, clip: None, ..settings() };
        Trainer::new(&task, settings, folder.outputs("m.safetensors")).run(&mut ()).unwrap().model
    };
    let (large, small) = (one(90, 1), one(30, 3));
    for (a, b) in large.leaves().iter().zip(small.leaves()) {
        assert!((a - &b).abs().max(..).to_f64() < 1e-4, "{a} {b}");
    }
}

/// [`Blobs`] without noise and running statistics.
struct Quiet(Blobs);

impl covector_train::Task for Quiet {
    type Model = crate::common::Net;
    type Running = crate::common::Seen;
    type Batch = (covector::Tensor, covector::Tensor);
    fn name(&self) -> &'static str {
        "quiet"
    }
    fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
    fn start(&self, key: &covector::Key) -> covector_train::Result<(crate::common::Net, crate::common::Seen)> {
        self.0.start(key)
    }
    fn batch(&self, position: usize, key: &covector::Key) -> covector_train::Result<Self::Batch> {
        self.0.batch(position, key)
    }
    fn loss(
        &self,
        model: &crate::common::Net,
        seen: &crate::common::Seen,
        (x, y): &Self::Batch,
        _: &covector::Key,
    ) -> (covector::Tensor, crate::common::Seen) {
        let logits = model.last.forward(&model.first.forward(x).tanh());
        (covector::ops::loss::cross_entropy(&logits, y, None, None, 0.0, "mean"), seen.clone())
    }
    fn measures(&self) -> Vec<covector_train::Measure> {
        self.0.measures()
    }
    fn evaluate(
        &self,
        model: &crate::common::Net,
        seen: &crate::common::Seen,
        effort: covector_train::Effort,
    ) -> covector_train::Result<Vec<f64>> {
        self.0.evaluate(model, seen, effort)
    }
    fn save(
        &self,
        path: &std::path::Path,
        model: &crate::common::Net,
        seen: &crate::common::Seen,
    ) -> covector_train::Result<()> {
        self.0.save(path, model, seen)
    }
}

#[test]
fn the_best_model_is_that_of_the_highest_accuracy() {
    let (folder, task) = (Folder::new("best"), Blobs::new(12));
    let outputs = Outputs { best: Some(folder.0.join("best.safetensors")), ..folder.outputs("m.safetensors") };
    let settings = Settings { steps: 200, rate: 0.05, eval_interval: 10, patience: 3, ..settings() };
    let outcome = Trainer::new(&task, settings, outputs).run(&mut ()).unwrap();
    assert!(outcome.scores[0] > 0.9, "{:?}", outcome.scores);
    let (_, best) = outcome.history.best.unwrap();
    assert_eq!(best, outcome.scores[0], "all points are looked at every time");
    assert!(folder.read("best.safetensors") == folder.read("m.safetensors"));
}

#[test]
fn checkpoints_of_other_trainings_are_refused() {
    let (folder, task) = (Folder::new("other"), Blobs::new(12));
    let outputs =
        Outputs { checkpoint: Some(folder.0.join("c.safetensors")), checkpoint_interval: 5, ..folder.outputs("m") };
    Trainer::new(&task, settings(), outputs.clone()).run(&mut ()).unwrap();
    let refused = |task: &Blobs, settings: Settings| {
        let checkpoint = Checkpoint::load(folder.0.join("c.safetensors")).unwrap();
        let result = Trainer::new(task, settings, outputs.clone()).resume(checkpoint).run(&mut ());
        result.map(|_| ()).unwrap_err().to_string()
    };
    let said = refused(&task, Settings { rate: 0.1, ..settings() });
    assert!(said.contains("its training has other settings"), "{said}");
    let few = Blobs { x: task.x.take(&covector::Tensor::from([0, 1, 2]), 0), ..Blobs::new(12) };
    assert!(refused(&few, settings()).contains("the data are not the ones that were learned: they have 3 points"));
    let checkpoint = Checkpoint::load(folder.0.join("c.safetensors")).unwrap();
    let said = Trainer::new(&Quiet(Blobs::new(12)), settings(), outputs.clone()).resume(checkpoint).run(&mut ());
    assert!(said.map(|_| ()).unwrap_err().to_string().contains("a checkpoint of the task blobs, not of quiet"));
    let said = Checkpoint::load(folder.0.join("m")).unwrap_err().to_string();
    assert!(said.contains("this is no checkpoint of a training"), "{said}");
}

#[test]
fn settings_that_make_no_sense_are_refused_before_the_first_step() {
    let (folder, task) = (Folder::new("settings"), Blobs::new(12));
    for wrong in [
        Settings { steps: 0, ..settings() },
        Settings { accumulate: 0, ..settings() },
        Settings { rate: f64::NAN, ..settings() },
        Settings { ema: Some(1.0), ..settings() },
        Settings { clip: Some(0.0), ..settings() },
        Settings { eval_interval: 0, schedule: plateau(), ..settings() },
        Settings { schedule: ScheduleSettings { gamma: Some(1.0), ..plateau() }, ..settings() },
        Settings { optimizer: lbfgs(), ..settings() },
        Settings { optimizer: lbfgs(), clip: None, precision: Precision::Bf16, ..settings() },
        Settings { optimizer: OptimizerSettings { weight_decay: Some(0.1), ..lbfgs() }, clip: None, ..settings() },
    ] {
        let result = Trainer::new(&task, wrong, folder.outputs("m.safetensors")).run(&mut ());
        assert!(matches!(result, Err(Error::Settings(_))));
    }
}
