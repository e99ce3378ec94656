//! A multilayer perceptron with all that turns a row of a table into a prediction.

use std::collections::BTreeMap;
use std::path::Path;

use covector::{DType, Key, Tensor, Tree};
use covector_data::{Schema, Standardize, Table};
use covector_nn::{Dropout, Linear, file};

use crate::{Error, Result};

/// What the metadata of a file calls its format.
pub(crate) const FORMAT: &str = "covector-tabular-1";
/// Rows that are computed together.
const AT_ONCE: usize = 4096;

/// Linear maps with ReLU between them: `[batch, columns] -> [batch, outputs]`.
#[derive(Clone, Debug, Tree)]
pub struct Net {
    /// The maps in order.
    pub layers: Vec<Linear>,
}

impl Net {
    /// PyTorch's initial weights of linear maps, in f32.
    #[track_caller]
    pub fn new(key: &Key, columns: usize, hidden: &[usize], outputs: usize) -> Net {
        let sizes: Vec<usize> = [&[columns], hidden, &[outputs]].concat();
        let layer = |(i, pair): (usize, &[usize])| Linear::new(&key.fold_in(i as i64), pair[0], pair[1], true);
        Net { layers: sizes.windows(2).enumerate().map(layer).collect() }
    }

    /// Logits, or standardised numbers.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, dropout: &Dropout) -> Tensor {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(x.clone(), |x, (i, layer)| match layer.forward(&x) {
            y if i == last => y,
            y => dropout.layer(i).apply(&y.relu()),
        })
    }
}

/// A trained net and what its columns mean.
#[derive(Clone, Debug)]
pub struct TabularModel {
    /// The net.
    pub net: Net,
    /// How numbers are standardised.
    pub scale: Standardize,
    /// How the target was, if it is a number.
    pub target: Option<Standardize>,
    /// What the columns mean.
    pub schema: Schema,
}

/// What is in a file.
#[derive(Tree)]
struct Stored {
    net: Net,
    scale: Standardize,
    target: Option<Standardize>,
}

impl TabularModel {
    /// Writes the model with its schema, whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let schema = serde_json::to_string(&self.schema);
        let schema = schema.map_err(|e| Error::outside(format!("cannot write {}: {e}", path.display())))?;
        let metadata = BTreeMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("schema".to_owned(), schema),
        ]);
        let stored = Stored { net: self.net.clone(), scale: self.scale.clone(), target: self.target.clone() };
        Ok(file::save(path, &stored, &metadata)?)
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// If the file cannot be read, is no such model, or its arrays do not fit its schema.
    pub fn load(path: impl AsRef<Path>) -> Result<TabularModel> {
        TabularModel::read(&file::load(path)?)
    }

    pub(crate) fn read(contents: &file::Contents) -> Result<TabularModel> {
        if contents.metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(contents.error("this is no model of a table; make one with `covector train tabular`").into());
        }
        let schema = contents.metadata.get("schema").ok_or_else(|| contents.error("its metadata lacks `schema`"))?;
        let schema: Schema =
            serde_json::from_str(schema).map_err(|e| contents.error(format!("its schema cannot be read: {e}")))?;
        let outputs = schema.target.classes.as_ref().map_or(1, Vec::len);
        // The sizes of hidden layers are those of the arrays.
        let mut sizes = Vec::new();
        while let Some(weight) = contents.tensors.get(&format!("net.layers.{}.weight", sizes.len())) {
            sizes.push(weight.shape().first().copied().unwrap_or_default());
        }
        if sizes.pop() != Some(outputs) || outputs == 0 || schema.width() == 0 {
            return Err(contents
                .error(format!("its last layer does not have the {outputs} outputs of its schema"))
                .into());
        }
        let target = schema.target.classes.is_none().then(|| Standardize::none(1));
        let net = Net::new(&Key::new(0), schema.width(), &sizes, outputs);
        let Stored { net, scale, target } =
            contents.fill(&Stored { net, scale: Standardize::none(schema.width()), target })?;
        Ok(TabularModel { net, scale, target, schema })
    }

    /// The predictions for rows as the schema encodes them: probabilities `f64[rows, classes]`, or numbers `f64[rows]`.
    ///
    /// # Errors
    /// If rows have another width.
    pub fn predict(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.shape().first().copied().unwrap_or_default();
        let mut parts = Vec::new();
        for start in (0..rows).step_by(AT_ONCE) {
            let part = x.i(covector::s![start..(start + AT_ONCE).min(rows)]);
            let out = self.net.forward(&self.scale.apply(&part), &Dropout::off()).cast(DType::F64);
            let predicted = match &self.target {
                None => out.softmax(-1),
                Some(target) => target.undo(&out).squeeze(-1),
            };
            covector::try_eval([&predicted])?;
            parts.push(predicted);
        }
        Ok(covector::ops::concat::concat(&parts, 0))
    }

    /// The predictions for a table, whose columns are held to those that were learned.
    ///
    /// # Errors
    /// As [`Schema::encode`].
    pub fn predict_table(&self, table: &Table) -> Result<Tensor> {
        self.predict(&self.schema.encode(table, false)?.x)
    }
}
