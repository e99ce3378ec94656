//! A small task: which of three blobs a point is of, with a norm that has running statistics.

use std::path::{Path, PathBuf};

use covector::ops::loss::cross_entropy;
use covector::{DType, Key, Tensor, Tree, random::normal};
use covector_nn::data::Batches;
use covector_nn::{Linear, file};
use covector_train::{
    Effort, Measure, OptimizerKind, OptimizerSettings, Outputs, Result, ScheduleKind, ScheduleSettings, Settings, Task,
};

pub struct Blobs {
    pub x: Tensor,
    pub y: Tensor,
    pub batch: usize,
    pub ahead: usize,
}

#[derive(Clone, Debug, Tree)]
pub struct Net {
    pub first: Linear,
    pub last: Linear,
}

/// The mean of the inputs so far.
#[derive(Clone, Debug, Tree)]
pub struct Seen {
    pub mean: Tensor,
}

impl Blobs {
    pub fn new(batch: usize) -> Blobs {
        let y: Vec<i64> = (0..90).map(|i| i % 3).collect();
        let centres: Vec<f32> =
            y.iter().flat_map(|&y| [3.0 * (y as f32 - 1.0), if y == 1 { 2.0 } else { 0.0 }]).collect();
        let x = normal(&Key::new(3), [90, 2], DType::F32) + Tensor::from_slice(&centres, [90, 2]);
        Blobs { x, y: Tensor::from(y), batch, ahead: 0 }
    }
}

impl Task for Blobs {
    type Model = Net;
    type Running = Seen;
    type Batch = (Tensor, Tensor);

    fn name(&self) -> &'static str {
        "blobs"
    }
    fn fingerprint(&self) -> String {
        format!("{} points", self.x.shape()[0])
    }
    fn describe(&self) -> String {
        "90 points of 3 blobs".to_owned()
    }
    fn start(&self, key: &Key) -> Result<(Net, Seen)> {
        let (first, last) = (Linear::new(&key.fold_in(0), 2, 8, true), Linear::new(&key.fold_in(1), 8, 3, true));
        Ok((Net { first, last }, Seen { mean: Tensor::from([0.0f32, 0.0]) }))
    }
    fn batch(&self, position: usize, key: &Key) -> Result<(Tensor, Tensor)> {
        let at = Batches::new(90, self.batch, key.clone()).at(position);
        Ok((self.x.take(&at, 0), self.y.take(&at, 0)))
    }
    fn loss(&self, model: &Net, seen: &Seen, (x, y): &(Tensor, Tensor), key: &Key) -> (Tensor, Seen) {
        let mean = &seen.mean * 0.9 + x.mean(0) * 0.1;
        let noise = normal(key, x.shape(), DType::F32) * 0.1;
        let logits = model.last.forward(&model.first.forward(&(x - &seen.mean + noise)).tanh());
        (cross_entropy(&logits, y, None, None, 0.0, "mean"), Seen { mean })
    }
    fn measures(&self) -> Vec<Measure> {
        vec![Measure::higher("accuracy"), Measure::loss("held-out loss")]
    }
    fn evaluate(&self, model: &Net, seen: &Seen, _: Effort) -> Result<Vec<f64>> {
        let logits = model.last.forward(&model.first.forward(&(&self.x - &seen.mean)).tanh());
        let right = logits.argmax(1).equal(&self.y).cast(DType::F64).mean(..).to_f64();
        Ok(vec![right, cross_entropy(&logits, &self.y, None, None, 0.0, "mean").to_f64()])
    }
    fn save(&self, path: &Path, model: &Net, seen: &Seen) -> Result<()> {
        Ok(file::save(path, &(model.clone(), seen.clone()), &Default::default())?)
    }
    fn units(&self) -> (&'static str, usize) {
        ("points", self.batch)
    }
    fn classes(&self) -> Option<usize> {
        Some(3)
    }
    fn prefetch(&self) -> usize {
        self.ahead
    }
}

pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("covector-train-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn outputs(&self, name: &str) -> Outputs {
        Outputs::to(self.0.join(name))
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn settings() -> Settings {
    Settings { steps: 20, rate: 0.02, eval_interval: 6, ..Settings::default() }
}

pub fn plateau() -> ScheduleSettings {
    ScheduleSettings { kind: ScheduleKind::Plateau, ..Default::default() }
}

pub fn lbfgs() -> OptimizerSettings {
    OptimizerSettings { kind: OptimizerKind::Lbfgs, ..Default::default() }
}
