//! Trainings from the first step to the saved model.
//!
//! A [`Task`] says what is learned: the model, the batches, the loss, how it is judged, what is saved. A [`Trainer`] does the
//! rest: steps, schedules, checkpoints from which a training goes on to the same bits, metrics in files, a report, early
//! stopping, and checks that say in plain words what is wrong. [`TextTask`] is a GPT on a text, [`TabularTask`] a
//! table, [`ImageTask`] images of classes.
//!
//! ```
//! use covector::{Key, Tensor, Tree};
//! use covector_nn::Linear;
//! use covector_train::{Effort, Error, Measure, Outputs, Result, Settings, Task, Trainer};
//!
//! /// A line through noisy points.
//! struct Line;
//!
//! impl Task for Line {
//!     type Model = Linear;
//!     type Running = ();
//!     type Batch = Tensor;
//!     fn name(&self) -> &'static str { "line" }
//!     fn fingerprint(&self) -> String { "y = 2x + 1".to_owned() }
//!     fn describe(&self) -> String { "points of a line".to_owned() }
//!     fn start(&self, key: &Key) -> Result<(Linear, ())> { Ok((Linear::new(key, 1, 1, true), ())) }
//!     fn batch(&self, position: usize, key: &Key) -> Result<Tensor> {
//!         Ok(covector::random::normal(&key.fold_in(position as i64), [16, 1], covector::DType::F32))
//!     }
//!     fn loss(&self, model: &Linear, _: &(), x: &Tensor, _: &Key) -> (Tensor, ()) {
//!         ((model.forward(x) - (x * 2.0 + 1.0)).square().mean(..), ())
//!     }
//!     fn measures(&self) -> Vec<Measure> { vec![Measure::loss("held-out loss")] }
//!     fn evaluate(&self, model: &Linear, _: &(), _: Effort) -> Result<Vec<f64>> {
//!         let x = Tensor::from([[-1.0f32], [0.5], [3.0]]);
//!         Ok(vec![self.loss(model, &(), &x, &Key::new(0)).0.try_item::<f32>()?.into()])
//!     }
//!     fn save(&self, path: &std::path::Path, model: &Linear, _: &()) -> Result<()> {
//!         Ok(covector_nn::file::save(path, model, &Default::default())?)
//!     }
//! }
//!
//! # let folder = std::env::temp_dir().join(format!("covector-train-line-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! let settings = Settings { steps: 200, rate: 0.1, ..Settings::default() };
//! let outputs = Outputs::to(folder.join("line.safetensors"));
//! let outcome = Trainer::new(&Line, settings, outputs).run(&mut ())?;
//! assert!(outcome.scores[0] < 1e-3);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok::<(), Error>(())
//! ```
#![forbid(unsafe_code)]

mod checkpoint;
mod codec;
mod corpus;
mod cross;
pub mod curve;
mod deal;
mod error;
mod examine;
mod feed;
mod fingerprint;
mod history;
mod image;
mod lock;
mod metrics;
mod models;
mod optimizer;
mod outputs;
mod report;
mod reserve;
mod scores;
mod settings;
mod step;
mod tabular;
mod task;
mod tensorboard;
mod text;
mod trainer;
mod tune;
mod watch;

pub use checkpoint::Checkpoint;
pub use codec::{Codec, Cut, Stream};
pub use cross::{cross_validate, train};
pub use error::{Error, Result};
pub use examine::Doctor;
pub use history::History;
pub use image::{ImageModel, ImageNet, ImageOptions, ImageTask, Kind};
pub use models::{Trained, text_loss};
pub use optimizer::{OptimizerKind, OptimizerSettings};
pub use outputs::Outputs;
pub use scores::{Classified, Measured};
pub use settings::{Precision, ScheduleKind, ScheduleSettings, Settings};
pub use tabular::{Net, Scores, TabularModel, TabularOptions, TabularTask};
pub use task::{Better, Effort, Measure, Purpose, Task};
pub use text::{Continuing, TextOptions, TextTask, sample, written};
pub use trainer::{Outcome, Trainer};
pub use tune::{TuneOptions, TuneTask};
pub use watch::{Beginning, Ending, Step, Watch, clock};

/// The chapter on training is a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/training.md")]
pub struct Chapter;
