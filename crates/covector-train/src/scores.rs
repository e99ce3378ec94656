//! How good predictions are.

use std::fmt;

use covector_trace::table::aligned;

/// More classes than this are no table to be read.
const MOST_SHOWN: usize = 12;

/// How good predicted probabilities of classes are.
///
/// ```
/// use covector_train::Classified;
/// let classes = ["cat".to_owned(), "dog".to_owned()];
/// let scores = Classified::of(&[0, 1, 1], &[0.9, 0.1, 0.2, 0.8, 0.6, 0.4], &classes);
/// assert_eq!(scores.confusion, [[1, 0], [1, 1]]);
/// assert_eq!((scores.recall(1), scores.precision(1)), (Some(0.5), Some(1.0)));
/// assert!((scores.accuracy() - 2.0 / 3.0).abs() < 1e-12);
/// ```
#[derive(Clone, Debug)]
pub struct Classified {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// How many examples of each class (rows) were taken for each (columns).
    pub confusion: Vec<Vec<usize>>,
    /// The mean cross-entropy, in nats.
    pub loss: f64,
}

impl Classified {
    /// The scores of probabilities `[examples, classes]`, in order, for examples of these classes.
    ///
    /// # Panics
    /// If there are not as many probabilities as needed, or a class is none.
    #[track_caller]
    pub fn of(truth: &[i64], probabilities: &[f64], classes: &[String]) -> Classified {
        let k = classes.len();
        assert_eq!(probabilities.len(), truth.len() * k, "one probability for each example and class");
        let (mut confusion, mut loss) = (vec![vec![0; k]; k], 0.0);
        for (&class, row) in truth.iter().zip(probabilities.chunks_exact(k.max(1))) {
            confusion[class as usize][likeliest(row)] += 1;
            loss -= row[class as usize].max(f64::MIN_POSITIVE).ln();
        }
        Classified { classes: classes.to_vec(), confusion, loss: loss / truth.len().max(1) as f64 }
    }

    /// How many examples there are.
    pub fn count(&self) -> usize {
        self.confusion.iter().flatten().sum()
    }

    /// How many are right.
    pub fn right(&self) -> usize {
        (0..self.classes.len()).map(|i| self.confusion[i][i]).sum()
    }

    /// The part that is right.
    pub fn accuracy(&self) -> f64 {
        self.right() as f64 / self.count().max(1) as f64
    }

    /// What part of a class was found; none if there is no example of it.
    pub fn recall(&self, class: usize) -> Option<f64> {
        part(self.confusion[class][class], self.confusion[class].iter().sum())
    }

    /// What part of those taken for a class are of it; none if nothing was taken for it.
    pub fn precision(&self, class: usize) -> Option<f64> {
        part(self.confusion[class][class], self.confusion.iter().map(|row| row[class]).sum())
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        let classes: Vec<_> = (0..self.classes.len())
            .map(|i| serde_json::json!({ "class": self.classes[i], "precision": self.precision(i), "recall": self.recall(i) }))
            .collect();
        serde_json::json!({
            "examples": self.count(), "accuracy": self.accuracy(), "loss": self.loss, "classes": classes,
            "confusion": self.confusion,
        })
    }
}

fn part(of: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| of as f64 / all as f64)
}

/// The place of the largest; the first of equal ones.
pub(crate) fn likeliest(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

fn shown(x: Option<f64>) -> String {
    x.map_or_else(|| "-".to_owned(), |x| format!("{x:.4}"))
}

impl Classified {
    /// A row per class: its precision and recall, and what its examples were taken for.
    pub fn table(&self) -> String {
        let all = 0..self.classes.len();
        let column = |of: &dyn Fn(usize) -> String| all.clone().map(of).collect::<Vec<String>>();
        let mut columns = vec![
            ("class", self.classes.clone(), false),
            ("examples", column(&|i| self.confusion[i].iter().sum::<usize>().to_string()), true),
            ("precision", column(&|i| shown(self.precision(i))), true),
            ("recall", column(&|i| shown(self.recall(i))), true),
        ];
        if self.classes.len() <= MOST_SHOWN {
            let taken = |j: usize| column(&|i| self.confusion[i][j].to_string());
            columns.extend(all.clone().map(|j| (self.classes[j].as_str(), taken(j), true)));
        }
        let mut text = aligned(&columns);
        let mut wrong: Vec<(usize, usize, usize)> = all
            .clone()
            .flat_map(|i| all.clone().map(move |j| (i, j)))
            .map(|(i, j)| (self.confusion[i][j], i, j))
            .collect();
        wrong.retain(|(n, i, j)| *n > 0 && i != j);
        if let (Some(first), Some(last), true) = (self.classes.first(), self.classes.last(), columns.len() > 4) {
            return text + &format!("\n{first} … {last}: how many of the examples were taken for each.\n");
        }
        wrong.sort_by_key(|&(n, i, j)| (std::cmp::Reverse(n), i, j));
        text += "\n";
        for (n, i, j) in wrong.into_iter().take(10) {
            text += &format!("{} taken for {}: {n}\n", self.classes[i], self.classes[j]);
        }
        text
    }
}

/// The accuracy, the cross-entropy and the table.
impl fmt::Display for Classified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (right, count) = (self.right(), self.count());
        writeln!(f, "accuracy {:.4} ({right} of {count}), cross-entropy {:.4}\n", self.accuracy(), self.loss)?;
        f.write_str(&self.table())
    }
}

/// How good predicted numbers are.
///
/// ```
/// use covector_train::Measured;
/// let scores = Measured::of(&[1.0, 2.0, 3.0], &[1.0, 2.0, 5.0]);
/// assert_eq!((scores.mae, scores.r2), (2.0 / 3.0, -1.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// How many examples there are.
    pub count: usize,
    /// The root of the mean squared error.
    pub rmse: f64,
    /// The mean absolute error.
    pub mae: f64,
    /// What part of the variance is explained: 1 is all, 0 what the mean would do; NaN if there is no variance.
    pub r2: f64,
}

impl Measured {
    /// The scores of predictions.
    ///
    /// # Panics
    /// If there are not as many predictions as numbers.
    #[track_caller]
    pub fn of(truth: &[f64], predicted: &[f64]) -> Measured {
        assert_eq!(truth.len(), predicted.len(), "a prediction for each number");
        let n = truth.len().max(1) as f64;
        let errors = || truth.iter().zip(predicted).map(|(t, p)| p - t);
        let square: f64 = errors().map(|e| e * e).sum();
        let mean = truth.iter().sum::<f64>() / n;
        let variance: f64 = truth.iter().map(|t| (t - mean).powi(2)).sum();
        let mae = errors().map(f64::abs).sum::<f64>() / n;
        let r2 = if variance > 0.0 { 1.0 - square / variance } else { f64::NAN };
        Measured { count: truth.len(), rmse: (square / n).sqrt(), mae, r2 }
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "examples": self.count, "rmse": self.rmse, "mae": self.mae, "r2": self.r2 })
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured { count, rmse, mae, r2 } = self;
        writeln!(f, "RMSE {rmse:.4}, MAE {mae:.4}, R² {r2:.4} on {count} examples")
    }
}
