//! Rates that go by what is measured, steps that look several times, and computing in bf16.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use covector::{DType, Key, Tensor, Tree};
use covector_nn::schedule::Plateau;
use covector_train::{
    Checkpoint, Effort, Error, Measure, Outputs, Precision, Result, ScheduleSettings, Settings, Step, Task, Trainer,
    Watch, train,
};

use crate::common::{Blobs, Folder, Net, Seen, lbfgs, plateau, settings};

/// The rates of all steps, and the lines said.
#[derive(Default)]
struct Heard(Vec<f64>, Vec<String>);

impl Watch for Heard {
    fn step(&mut self, step: &Step) {
        self.0.push(step.rate);
    }
    fn says(&mut self, line: &str) {
        self.1.push(line.to_owned());
    }
}

#[test]
fn a_plateau_lowers_the_rate_by_what_was_measured() {
    let (folder, task) = (Folder::new("plateau"), Blobs::new(12));
    let schedule = ScheduleSettings { patience: Some(1), gamma: Some(0.5), floor: Some(0.01), ..plateau() };
    let settings = Settings { steps: 120, rate: 0.3, eval_interval: 2, schedule, ..settings() };
    let mut heard = Heard::default();
    let outcome = Trainer::new(&task, settings, folder.outputs("m.safetensors")).run(&mut heard).unwrap();
    // The loss is the second measure, and what a plateau goes by.
    let rule = Plateau { factor: 0.5, patience: 1, floor: 0.01, ..Plateau::default() };
    let (mut state, mut wanted) = (rule.start(0.3), vec![0.3; 2]);
    for (_, values) in &outcome.history.held_out {
        state = rule.seen(&state, values[1]);
        wanted.extend([state.rate(); 2]);
    }
    let (rise, steps) = (12, heard.0.len());
    assert_eq!(heard.0[rise..], wanted[rise..steps]);
    assert!(heard.0[steps - 1] < 0.1 && heard.0[steps - 1] >= 0.01, "{:?}", heard.0);
    assert!(heard.0[..rise].windows(2).all(|pair| pair[0] < pair[1]), "it rises first");
    let said = "the held-out loss is no better for a while: the learning rate falls to 1.5e-1";
    assert!(heard.1.iter().any(|line| line == said), "{:?}", heard.1);
}

#[test]
fn where_nothing_is_measured_there_is_no_plateau() {
    let said = train(&Blobs::new(12), &Settings { schedule: plateau(), ..settings() }).map(|_| ()).unwrap_err();
    assert!(matches!(&said, Error::Settings(problem) if problem.contains("the schedule plateau")), "{said}");
}

#[test]
fn lbfgs_goes_further_in_a_step() {
    let folder = Folder::new("lbfgs");
    // All points in every batch, and several batches to a step.
    for (batch, accumulate) in [(90, 1), (30, 3)] {
        let loss = |settings: Settings| {
            let task = Calm::new(batch, 1.0);
            let settings = Settings { steps: 6, accumulate, eval_interval: 0, ..settings };
            Trainer::new(&task, settings, folder.outputs("m.safetensors")).run(&mut ()).unwrap().scores[1]
        };
        let adam = loss(Settings { rate: 0.1, ..settings() });
        let searched = loss(Settings { rate: 1.0, optimizer: lbfgs(), clip: None, ema: Some(0.0), ..settings() });
        assert!(searched < 0.1 && searched < adam / 3.0, "{searched} against {adam}");
    }
}

#[test]
fn a_search_for_a_rate_is_no_use_to_lbfgs() {
    let folder = Folder::new("no-rate");
    let settings = Settings { optimizer: lbfgs(), clip: None, ..settings() };
    let found = Trainer::new(&Blobs::new(12), settings, folder.outputs("m.safetensors")).find_rate();
    assert!(matches!(found, Err(Error::Settings(_))));
}

/// [`Blobs`] without noise and running statistics, whose loss is multiplied.
struct Calm {
    task: Blobs,
    factor: f32,
    /// Whether the gradient is no number.
    hole: bool,
    /// Losses that were asked of weights in bf16.
    low: AtomicUsize,
}

impl Calm {
    fn new(batch: usize, factor: f32) -> Calm {
        Calm { task: Blobs::new(batch), factor, hole: false, low: AtomicUsize::new(0) }
    }
}

impl Task for Calm {
    type Model = Net;
    type Running = Seen;
    type Batch = (Tensor, Tensor);
    fn name(&self) -> &'static str {
        "calm"
    }
    fn fingerprint(&self) -> String {
        self.task.fingerprint()
    }
    fn describe(&self) -> String {
        self.task.describe()
    }
    fn start(&self, key: &Key) -> Result<(Net, Seen)> {
        self.task.start(key)
    }
    fn batch(&self, position: usize, key: &Key) -> Result<Self::Batch> {
        self.task.batch(position, key)
    }
    fn loss(&self, net: &Net, seen: &Seen, (x, y): &Self::Batch, _: &Key) -> (Tensor, Seen) {
        let dtype = net.first.weight.dtype();
        self.low.fetch_add(usize::from(dtype == DType::BF16), Ordering::Relaxed);
        let logits = net.last.forward(&net.first.forward(&x.cast(dtype)).tanh()).cast(DType::F32);
        let loss = logits.cross_entropy(y, None, None, 0.0, "mean") * Tensor::from(self.factor);
        let hole = (&net.first.weight * 0.0).sqrt().sum(..).cast(DType::F32);
        let loss = if self.hole { loss + hole } else { loss };
        (loss, Seen { mean: &seen.mean + 1.0 })
    }
    fn measures(&self) -> Vec<Measure> {
        self.task.measures()
    }
    fn evaluate(&self, net: &Net, seen: &Seen, effort: Effort) -> Result<Vec<f64>> {
        let still = Seen { mean: &seen.mean * 0.0 };
        self.task.evaluate(net, &still, effort)
    }
    fn save(&self, path: &Path, net: &Net, seen: &Seen) -> Result<()> {
        self.task.save(path, net, seen)
    }
}

fn bf16() -> Settings {
    Settings { precision: Precision::Bf16, ..settings() }
}

/// The checkpoint after so many steps.
fn stopped(folder: &Folder, task: &Calm, settings: &Settings, steps: usize) -> Checkpoint {
    let outputs =
        Outputs { checkpoint: Some(folder.0.join("c.safetensors")), checkpoint_interval: steps, ..folder.outputs("m") };
    let settings = Settings { steps: steps + 1, ..settings.clone() };
    Trainer::new(task, settings, outputs).run(&mut ()).unwrap();
    Checkpoint::load(folder.0.join("c.safetensors")).unwrap()
}

fn stored(folder: &Folder, name: &str) -> f64 {
    let all = covector_io::load_safetensors(folder.0.join("c.safetensors")).unwrap().tensors;
    Tensor::from_array(all[name].clone()).reshape([-1]).i(0).to_f64()
}

#[test]
fn in_mixed_precision_weights_stay_in_f32_and_learn() {
    let (folder, task) = (Folder::new("mixed"), Calm::new(12, 1.0));
    let long = Settings { steps: 200, ..bf16() };
    let outcome = Trainer::new(&task, long, folder.outputs("m.safetensors")).run(&mut ()).unwrap();
    assert!(outcome.model.leaves().iter().all(|t| t.dtype() == DType::F32));
    assert!(outcome.scores[0] > 0.9, "{:?}", outcome.scores);
    assert_eq!(task.low.load(Ordering::Relaxed), 200, "every loss of a step is one in bf16, and no other");
    stopped(&folder, &task, &bf16(), 7);
    assert_eq!([stored(&folder, "scale.scale"), stored(&folder, "scale.steps")], [65536.0, 7.0]);
}

#[test]
fn a_step_whose_gradients_overflow_does_not_count() {
    let folder = Folder::new("overflow");
    // Beyond f32 when scaled by 65536.
    for accumulate in [1, 2] {
        let task = Calm::new(12, 4e34);
        let settings = Settings { accumulate, ema: Some(0.5), rate: 1e-3, ..bf16() };
        stopped(&folder, &task, &settings, 1);
        let start = task.start(&covector_train::Purpose::Weights.key(0)).unwrap().0;
        let first = covector_io::load_safetensors(folder.0.join("c.safetensors")).unwrap().tensors;
        for (path, t) in start.named() {
            for place in ["model", "average"] {
                let kept = Tensor::from_array(first[&format!("{place}.{path}")].clone());
                assert_eq!(kept.to_vec::<f32>(), t.to_vec::<f32>(), "{place}.{path}");
            }
        }
        assert_eq!([stored(&folder, "scale.scale"), stored(&folder, "optimizer.steps")], [32768.0, 0.0]);
        assert_eq!(stored(&folder, "running.mean"), 0.0);
        stopped(&folder, &task, &settings, 9);
        let (scale, steps) = (stored(&folder, "scale.scale"), stored(&folder, "optimizer.steps"));
        assert!(scale <= 32768.0 && steps > 4.0 && 65536.0 / scale == 2f64.powf(9.0 - steps), "{scale} {steps}");
    }
}

#[test]
fn gradients_that_no_scale_makes_finite_end_the_training() {
    let (folder, task) = (Folder::new("never"), Calm { hole: true, ..Calm::new(12, 1.0) });
    let settings = Settings { steps: 100, ..bf16() };
    let said = Trainer::new(&task, settings, folder.outputs("m.safetensors")).run(&mut ()).map(|_| ()).unwrap_err();
    let said = said.to_string();
    assert!(said.contains("are not finite, however little the loss is scaled; try --precision f32"), "{said}");
}

#[test]
fn mixed_precision_goes_on_to_the_same_bits() {
    let folder = Folder::new("mixed-resumed");
    let task = Calm::new(12, 1e34);
    let settings = Settings { steps: 12, ema: Some(0.9), accumulate: 2, ..bf16() };
    let whole = Trainer::new(&task, settings.clone(), folder.outputs("whole.safetensors")).run(&mut ()).unwrap();
    let outputs =
        Outputs { checkpoint: Some(folder.0.join("c.safetensors")), checkpoint_interval: 3, ..folder.outputs("cut") };
    Trainer::new(&task, settings.clone(), outputs.clone()).run(&mut ()).unwrap();
    // The last checkpoint is that of step 9.
    let checkpoint = Checkpoint::load(folder.0.join("c.safetensors")).unwrap();
    assert_eq!(checkpoint.step, 9);
    let cut = Trainer::new(&task, settings, outputs).resume(checkpoint).run(&mut ()).unwrap();
    for (a, b) in whole.model.leaves().iter().zip(cut.model.leaves()) {
        assert_eq!(a.to_vec::<f32>(), b.to_vec::<f32>());
    }
}
