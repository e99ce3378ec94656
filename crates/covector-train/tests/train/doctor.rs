//! The doctor speaks when something is wrong, and is silent when nothing is.

use std::path::Path;

use crate::common::{Blobs, Folder, Net, Seen, settings};
use covector::{DType, Key, Tensor, Tree, random::normal};
use covector_nn::doctor::{Finding, inputs, labels, leaks};
use covector_train::{
    Doctor, Effort, Error, Measure, OptimizerKind, OptimizerSettings, Result, Settings, Task, TextOptions, TextTask,
    Trainer, Watch,
};

/// Keeps what is said.
#[derive(Default)]
struct Heard(Vec<String>);

impl Watch for Heard {
    fn says(&mut self, line: &str) {
        self.0.push(line.to_owned());
    }
}

fn heard<T: Task>(name: &str, task: &T, settings: Settings) -> Vec<String> {
    let (folder, mut heard) = (Folder::new(name), Heard::default());
    let _ = Trainer::new(task, settings, folder.outputs("m.safetensors")).run(&mut heard);
    heard.0
}

/// [`Blobs`] with something wrong.
struct Wrong {
    blobs: Blobs,
    fault: Fault,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    LargeWeights,
    CutOff,
    Dead,
    Constant,
    Leak,
    Labels,
    NotStandardised,
}

impl Task for Wrong {
    type Model = Net;
    type Running = Seen;
    type Batch = (Tensor, Tensor);
    fn name(&self) -> &'static str {
        "wrong"
    }
    fn fingerprint(&self) -> String {
        self.blobs.fingerprint()
    }
    fn describe(&self) -> String {
        self.blobs.describe()
    }
    fn start(&self, key: &Key) -> Result<(Net, Seen)> {
        let (net, seen) = self.blobs.start(key)?;
        match self.fault {
            Fault::LargeWeights => Ok((net.map_leaves(|w| w * 60.0), seen)),
            _ => Ok((net, seen)),
        }
    }
    fn batch(&self, position: usize, key: &Key) -> Result<Self::Batch> {
        self.blobs.batch(position, key)
    }
    fn loss(&self, model: &Net, seen: &Seen, batch: &Self::Batch, key: &Key) -> (Tensor, Seen) {
        match self.fault {
            Fault::CutOff => {
                let first = model.first.map_leaves(Tensor::stop_gradient);
                self.blobs.loss(&Net { first, last: model.last.clone() }, seen, batch, key)
            }
            Fault::Constant => {
                let (loss, seen) = self.blobs.loss(model, seen, batch, key);
                (loss * 1e-6 + 1.1, seen)
            }
            _ => self.blobs.loss(model, seen, batch, key),
        }
    }
    fn measures(&self) -> Vec<Measure> {
        self.blobs.measures()
    }
    fn evaluate(&self, model: &Net, seen: &Seen, effort: Effort) -> Result<Vec<f64>> {
        self.blobs.evaluate(model, seen, effort)
    }
    fn save(&self, path: &Path, model: &Net, seen: &Seen) -> Result<()> {
        self.blobs.save(path, model, seen)
    }
    fn classes(&self) -> Option<usize> {
        Some(3)
    }
    fn check_data(&self) -> Result<Vec<Finding>> {
        let (x, y) = (&self.blobs.x, &self.blobs.y);
        let x = if self.fault == Fault::NotStandardised { x * 1e5 } else { x.clone() };
        let classes = if self.fault == Fault::Labels { 2 } else { 3 };
        let answers = normal(&Key::new(0), [90], DType::F32);
        let given =
            if self.fault == Fault::Leak { &answers * 3.0 + 1.0 } else { normal(&Key::new(1), [90], DType::F32) };
        let given = covector::ops::concat::stack(&[given, x.take(&Tensor::from(0), 1)], 1);
        Ok([inputs(&x), labels(y, classes), leaks(&given, &answers)].concat())
    }
    fn check_model(&self, model: &Net, _: &Seen, (x, _): &Self::Batch, _: Effort) -> Result<Vec<Finding>> {
        let shift = if self.fault == Fault::Dead { -1e3 } else { 0.0 };
        Ok(covector_nn::doctor::activations("first", &(model.first.forward(x) + shift).relu()))
    }
}

fn wrong(fault: Fault) -> Wrong {
    Wrong { blobs: Blobs::new(12), fault }
}

#[test]
fn faults_are_named() {
    let long = Settings { steps: 1000, ..settings() };
    for (fault, settings, name) in [
        (Fault::LargeWeights, settings(), "loss too high"),
        (Fault::CutOff, settings(), "no gradient"),
        (Fault::Dead, settings(), "dead units"),
        (Fault::Constant, long.clone(), "does not learn"),
        (Fault::Leak, settings(), "leaking feature"),
        (Fault::Labels, settings(), "labels out of range"),
        (Fault::NotStandardised, settings(), "not standardised"),
    ] {
        let said = heard("faults", &wrong(fault), settings);
        assert!(said.iter().any(|line| line.starts_with(&format!("doctor: {name}: "))), "{name}: {said:?}");
    }
    let fast = Settings { rate: 30.0, clip: None, ..settings() };
    let said = heard("fast", &Blobs::new(12), fast);
    assert!(said.iter().any(|line| line.starts_with("doctor: rate too large: ")), "{said:?}");
    let slow = Settings { rate: 1e-9, ..long };
    let said = heard("slow", &Blobs::new(12), slow);
    assert!(said.iter().any(|line| line.starts_with("doctor: does not learn: ")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("doctor: rate too small: ")), "{said:?}");
}

#[test]
fn sane_trainings_are_left_alone() {
    for kind in
        [OptimizerKind::AdamW, OptimizerKind::Adam, OptimizerKind::Lion, OptimizerKind::Muon, OptimizerKind::Sgd]
    {
        let rate = match kind {
            OptimizerKind::Sgd => 0.3,
            OptimizerKind::Lion => 0.003,
            _ => 0.01,
        };
        let optimizer = OptimizerSettings { kind, ..Default::default() };
        let settings = Settings { steps: 1000, rate, optimizer, eval_interval: 200, ..settings() };
        let said = heard("sane", &Blobs::new(24), settings);
        assert!(said.is_empty(), "{}: {said:?}", kind.name());
    }
    let text: String =
        (0..1500).map(|i| format!("{} and {} make {}.\n", i * 7 % 83, i % 91, i * 7 % 83 + i % 91)).collect();
    let said = heard("text", &TextTask::new("sums", &text, sizes()).unwrap(), Settings { steps: 1000, ..settings() });
    assert!(said.is_empty(), "{said:?}");
}

fn sizes() -> TextOptions {
    TextOptions { layers: 2, heads: 2, width: 16, block: 16, batch: 8, dropout: 0.1, tokens: 5, temperature: 0.8 }
}

#[test]
fn a_text_that_repeats_what_is_held_out_is_said() {
    let text = "Twinkle, twinkle, little star,\nHow I wonder what you are!\n".repeat(40);
    let said = heard("repeated", &TextTask::new("rhyme", &text, sizes()).unwrap(), settings());
    assert!(said[0].starts_with("doctor: overlap: ") && said[0].contains("word for word"), "{said:?}");
}

#[test]
fn a_strict_doctor_ends_the_training_and_one_who_is_off_does_nothing() {
    let folder = Folder::new("strict");
    let trainer = |doctor| {
        let task = wrong(Fault::Leak);
        let mut heard = Heard::default();
        let result = Trainer::new(&task, settings(), folder.outputs("m.safetensors")).doctor(doctor).run(&mut heard);
        (result.map(|outcome| outcome.model), heard.0)
    };
    match trainer(Doctor::Strict) {
        (Err(Error::Outside(said)), heard) => {
            assert!(said.starts_with("doctor: leaking feature: feature 0 is the answer"), "{said}");
            assert!(heard.is_empty() && std::fs::read_dir(&folder.0).unwrap().next().is_none(), "nothing is left");
        }
        other => panic!("{other:?}"),
    }
    let (quiet, said) = trainer(Doctor::Off);
    assert!(said.is_empty(), "{said:?}");
    let (on, _) = trainer(Doctor::On);
    let bits = |net: Net| net.leaves().iter().flat_map(|t| t.value().to_bytes()).collect::<Vec<u8>>();
    assert!(bits(quiet.unwrap()) == bits(on.unwrap()), "who looks changes nothing");
}

#[test]
fn a_rate_to_begin_with_is_found() {
    let (folder, task) = (Folder::new("rate"), Blobs::new(24));
    let (rate, tried) = Trainer::new(&task, settings(), folder.outputs("m.safetensors")).find_rate().unwrap();
    assert!((1e-3..0.5).contains(&rate), "{rate}");
    assert!(tried.len() > 50 && tried[0].0 == 1e-6);
    assert!(std::fs::read_dir(&folder.0).unwrap().next().is_none(), "nothing is written");
    let learned = Trainer::new(&task, Settings { rate, steps: 300, ..settings() }, folder.outputs("m.safetensors"));
    assert!(learned.run(&mut ()).unwrap().scores[0] > 0.9);
}
