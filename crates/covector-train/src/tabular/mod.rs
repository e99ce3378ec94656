//! Rows of a table: classes or numbers, by a multilayer perceptron.

mod model;

use std::path::Path;

use covector::{DType, Key, Tensor};
use covector_data::{Asked, Schema, Standardize, Table};
use covector_nn::Dropout;
use covector_nn::doctor::{self, Finding};

use crate::deal::Deal;
use crate::fingerprint::fingerprint;
use crate::scores::{Classified, Measured};
use crate::task::lowered;
use crate::{Effort, Error, Measure, Result, Task};

pub(crate) use model::FORMAT;
pub use model::{Net, TabularModel};

/// Rows of held-out data that a look in the middle of training is content with.
const GLANCE: usize = 4096;

/// The sizes of a [`TabularTask`].
#[derive(Clone, Debug, PartialEq)]
pub struct TabularOptions {
    /// The widths of the hidden layers; none for a linear model.
    pub hidden: Vec<usize>,
    /// Part of the activations that is dropped in training.
    pub dropout: f64,
    /// Rows in a batch.
    pub batch: usize,
    /// The part of the rows that is held out.
    pub held_out: f64,
    /// The seed of the split.
    pub seed: u64,
}

impl Default for TabularOptions {
    /// One layer of 64, batches of 32, a fifth held out.
    fn default() -> Self {
        TabularOptions { hidden: vec![64], dropout: 0.0, batch: 32, held_out: 0.2, seed: 0 }
    }
}

/// Learning to predict one column of a table from the others.
///
/// Numbers are standardised by the rows learned from, categories become marks of 0 and 1. The model's file has all that
/// turns a row into a prediction.
#[derive(Debug)]
pub struct TabularTask {
    options: TabularOptions,
    schema: Schema,
    /// All rows as numbers, in f64, and targets as the schema gives them.
    raw: (Tensor, Tensor),
    /// The same as the net sees them.
    x: Tensor,
    y: Tensor,
    scale: Standardize,
    target: Option<Standardize>,
    deal: Deal,
    fingerprint: String,
    left_out: usize,
}

impl TabularTask {
    /// The task of predicting what is asked.
    ///
    /// # Errors
    /// As [`Schema::learn`] and [`Schema::encode`]; if there are too few rows; if sizes make no sense.
    pub fn new(table: &Table, asked: &Asked, options: TabularOptions) -> Result<TabularTask> {
        TabularTask::folds(table, asked, options, None).map(|mut tasks| tasks.remove(0))
    }

    /// `k` tasks, each of which holds out another `k`-th of the rows.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if there are fewer rows than folds, or fewer than two folds.
    pub fn cross(table: &Table, asked: &Asked, options: TabularOptions, k: usize) -> Result<Vec<TabularTask>> {
        TabularTask::folds(table, asked, options, Some(k))
    }

    fn folds(table: &Table, asked: &Asked, options: TabularOptions, k: Option<usize>) -> Result<Vec<TabularTask>> {
        if options.hidden.contains(&0) {
            return Err(Error::Settings("a hidden layer has at least one unit".into()));
        }
        let schema = Schema::learn(table, asked)?;
        let examples = schema.encode(table, true)?;
        let (x, y) = (examples.x, examples.y.expect("targets were asked for"));
        let classes = schema.target.classes.as_ref().map(|_| y.to_vec::<i64>());
        let (count, key) = (x.shape()[0], Key::new(options.seed).fold_in(SPLIT));
        let deals = match k {
            None => vec![Deal::new(count, classes.as_deref(), options.held_out, options.batch, &key)?],
            Some(k) if k < 2 || k > count => {
                return Err(Error::Settings(format!("{count} rows cannot be divided into {k} folds")));
            }
            Some(k) => {
                let order = covector_data::spread(count, classes.as_deref(), &key);
                let part = |fold: usize, held_out: bool| {
                    let of = |(i, _): &(usize, &i64)| (i % k == fold) == held_out;
                    order.iter().enumerate().filter(of).map(|(_, &row)| row).collect::<Vec<i64>>()
                };
                (0..k).map(|fold| Deal::of(part(fold, false), part(fold, true), options.batch)).collect()
            }
        };
        let [x_bytes, y_bytes] = [&x, &y].map(|t| t.value().to_bytes());
        let fingerprint = format!("{}, a split by seed {}", fingerprint(x_bytes.iter().chain(&*y_bytes)), options.seed);
        let task = |deal: Deal| {
            let (learned, numbers) = (x.try_take(&deal.learned, 0)?, schema.numbers());
            let scale = Standardize::of(&learned, |i| numbers[i]);
            let target = match schema.target.classes {
                Some(_) => None,
                None => Some(Standardize::of(&y.try_take(&deal.learned, 0)?.unsqueeze(1), |_| true)),
            };
            let seen = target.as_ref().map_or_else(|| y.clone(), |t| t.apply(&y.unsqueeze(1)).squeeze(1));
            let scaled = scale.apply(&x);
            covector::try_eval([&scaled, &seen])?;
            Ok(TabularTask {
                options: options.clone(),
                schema: schema.clone(),
                raw: (x.clone(), y.clone()),
                x: scaled,
                y: seen,
                scale,
                target,
                deal,
                fingerprint: fingerprint.clone(),
                left_out: table.rows() - count,
            })
        };
        deals.into_iter().map(task).collect()
    }

    /// What the columns mean.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The number of rows that are learned from.
    pub fn learned(&self) -> usize {
        self.deal.learned.size()
    }

    /// The model as it is saved.
    pub fn finished(&self, net: &Net) -> TabularModel {
        let net = net.clone();
        TabularModel { net, scale: self.scale.clone(), target: self.target.clone(), schema: self.schema.clone() }
    }

    /// What the model says of the rows that are held out, against what they are.
    ///
    /// # Errors
    /// If values cannot be computed.
    pub fn held_out_scores(&self, net: &Net) -> Result<Scores> {
        self.judged(net, &self.deal.held_out)
    }

    fn judged(&self, net: &Net, rows: &Tensor) -> Result<Scores> {
        let model = self.finished(net);
        let x = self.raw.0.try_take(rows, 0)?;
        let (predicted, truth) = (model.predict(&x)?, self.raw.1.try_take(rows, 0)?);
        Ok(Scores::of(&model.schema, &predicted, &truth))
    }
}

/// The number that makes the key of a split.
pub(crate) const SPLIT: i64 = 1000;

/// How good predictions are, of whichever kind.
#[derive(Clone, Debug)]
pub enum Scores {
    /// Of classes.
    Classified(Classified),
    /// Of numbers.
    Measured(Measured),
}

impl Scores {
    /// The scores of what a [`TabularModel`] of this schema predicted.
    pub fn of(schema: &Schema, predicted: &Tensor, truth: &Tensor) -> Scores {
        let predicted = predicted.cast(DType::F64).to_vec::<f64>();
        match &schema.target.classes {
            Some(classes) => Scores::Classified(Classified::of(&truth.to_vec::<i64>(), &predicted, classes)),
            None => Scores::Measured(Measured::of(&truth.cast(DType::F64).to_vec::<f64>(), &predicted)),
        }
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Scores::Classified(scores) => scores.json(),
            Scores::Measured(scores) => scores.json(),
        }
    }
}

impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scores::Classified(scores) => scores.fmt(f),
            Scores::Measured(scores) => scores.fmt(f),
        }
    }
}

impl Task for TabularTask {
    type Model = Net;
    type Running = ();
    type Batch = (Tensor, Tensor);

    fn name(&self) -> &'static str {
        "tabular"
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn describe(&self) -> String {
        let (features, target) = (self.schema.features.len(), &self.schema.target);
        let what = match &target.classes {
            Some(classes) => format!("{} is one of {} classes", target.name, classes.len()),
            None => format!("{} is a number", target.name),
        };
        let left_out = match self.left_out {
            0 => String::new(),
            n => format!(" ({n} rows that lack something are left out)"),
        };
        let held_out = self.deal.held_out.size();
        format!("{} rows to learn, {held_out} held out{left_out}; {what}, from {features} columns", self.learned())
    }

    fn start(&self, key: &Key) -> Result<(Net, ())> {
        let outputs = self.schema.target.classes.as_ref().map_or(1, Vec::len);
        Ok((Net::new(key, self.schema.width(), &self.options.hidden, outputs), ()))
    }

    fn batch(&self, position: usize, key: &Key) -> Result<(Tensor, Tensor)> {
        let which = self.deal.at(position, key)?;
        Ok((self.x.try_take(&which, 0)?, self.y.try_take(&which, 0)?))
    }

    fn loss(&self, net: &Net, (): &(), (x, y): &(Tensor, Tensor), key: &Key) -> (Tensor, ()) {
        let x = lowered(x, &net.layers[0].weight);
        let out = net.forward(&x, &Dropout::new(self.options.dropout, key.clone()));
        let out = out.cast(out.dtype().promote(DType::F32));
        let loss = match self.target {
            None => out.cross_entropy(y, None, None, 0.0, "mean"),
            Some(_) => out.squeeze(-1).mse_loss(y, "mean"),
        };
        (loss, ())
    }

    fn measures(&self) -> Vec<Measure> {
        match self.target {
            None => vec![Measure::loss("held-out loss"), Measure::higher("accuracy")],
            Some(_) => vec![Measure::lower("RMSE"), Measure::lower("MAE"), Measure::higher("R2")],
        }
    }

    fn evaluate(&self, net: &Net, (): &(), effort: Effort) -> Result<Vec<f64>> {
        let rows = match effort {
            Effort::Glance if self.deal.held_out.size() > GLANCE => self.deal.held_out.i(covector::s![..GLANCE]),
            _ => self.deal.held_out.clone(),
        };
        Ok(match self.judged(net, &rows)? {
            Scores::Classified(scores) => vec![scores.loss, scores.accuracy()],
            Scores::Measured(scores) => vec![scores.rmse, scores.mae, scores.r2],
        })
    }

    fn save(&self, path: &Path, net: &Net, (): &()) -> Result<()> {
        self.finished(net).save(path)
    }

    fn units(&self) -> (&'static str, usize) {
        ("rows", self.deal.batch())
    }

    fn summary(&self, net: &Net, (): &(), _: &Key, out: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        match self.judged(net, &self.deal.held_out)? {
            Scores::Classified(scores) => out(&format!("\n{}", scores.table())),
            Scores::Measured(_) => Ok(()),
        }
    }

    fn summary_title(&self) -> &'static str {
        "Held-out rows"
    }

    fn classes(&self) -> Option<usize> {
        self.schema.target.classes.as_ref().map(Vec::len)
    }

    fn check_data(&self) -> Result<Vec<Finding>> {
        let x = self.x.try_take(&self.deal.learned, 0)?;
        let y = self.y.try_take(&self.deal.learned, 0)?;
        let mut found = doctor::inputs(&x);
        found.extend(doctor::leaks(&x, &y));
        if let Some(classes) = self.classes() {
            found.extend(doctor::labels(&y, classes));
        }
        Ok(found)
    }
}
