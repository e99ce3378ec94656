//! Whatever model a file has.

use std::path::Path;

use covector::{Error as Fault, Tensor};
use covector_data::{Images, Table};
use covector_nn::train::held_out_loss;
use covector_nn::{Gpt, file};

use crate::tabular::Scores;
use crate::{Classified, Codec, ImageModel, Result, TabularModel, image, tabular};

/// A model that was trained and saved here, of whichever task.
#[derive(Debug)]
pub enum Trained {
    /// Continues texts.
    Text {
        /// The model.
        model: Box<Gpt>,
        /// Its tokens.
        codec: Codec,
    },
    /// Predicts a column of a table.
    Tabular(Box<TabularModel>),
    /// Tells images apart.
    Image(Box<ImageModel>),
}

impl Trained {
    /// Reads a file that a task saved.
    ///
    /// # Errors
    /// If it cannot be read, or holds none of the models known.
    pub fn load(path: impl AsRef<Path>) -> Result<Trained> {
        let contents = file::load(&path)?;
        let format = contents.metadata.get("format").map(String::as_str).unwrap_or_default();
        match format {
            tabular::FORMAT => Ok(Trained::Tabular(Box::new(TabularModel::read(&contents)?))),
            image::FORMAT => Ok(Trained::Image(Box::new(ImageModel::read(&contents)?))),
            _ if format.starts_with("covector-checkpoint") => {
                let error = contents.error("this is a checkpoint of a training, not yet a model");
                Err(error.hint("go on with `covector train TASK --resume`").into())
            }
            _ => {
                let (model, _, codec) = Codec::load(&path)?;
                Ok(Trained::Text { model: Box::new(model), codec })
            }
        }
    }

    /// The task it was trained for.
    pub fn task(&self) -> &'static str {
        match self {
            Trained::Text { .. } => "gpt",
            Trained::Tabular(_) => "tabular",
            Trained::Image(_) => "image",
        }
    }
}

impl TabularModel {
    /// How good the predictions for a table are, which has the target.
    ///
    /// # Errors
    /// As [`encode`](covector_data::Schema::encode).
    pub fn scores(&self, table: &Table) -> Result<Scores> {
        let examples = self.schema.encode(table, true)?;
        let truth = examples.y.expect("targets were asked for");
        Ok(Scores::of(&self.schema, &self.predict(&examples.x)?, &truth))
    }
}

impl ImageModel {
    /// How good the predictions for labelled images are; their classes are found by name.
    ///
    /// # Errors
    /// If images have another size, or a class that the model does not know.
    pub fn scores(&self, images: &Images) -> Result<Classified> {
        let unknown = images.classes.iter().find(|c| !self.classes.contains(c));
        if let Some(class) = unknown {
            let known = self.classes.iter().take(10).map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
            let error = Fault::new(format!("the model knows no class `{class}`")).hint(format!("it knows {known}"));
            return Err(error.into());
        }
        let place = |label: &i64| self.classes.iter().position(|c| *c == images.classes[*label as usize]);
        let places: Vec<i64> = images.labels.to_vec::<i64>().iter().filter_map(place).map(|i| i as i64).collect();
        let mut probabilities = Vec::new();
        let all: Vec<i64> = (0..images.len() as i64).collect();
        for some in all.chunks(256) {
            let (x, _) = images.batch(&Tensor::from(some.to_vec()))?;
            probabilities.extend(self.predict(&x)?.to_vec::<f64>());
        }
        Ok(Classified::of(&places, &probabilities, &self.classes))
    }
}

/// The mean loss of a text in nats per token, in pieces of the model's block.
///
/// # Errors
/// If the text is shorter than a block, or has a part that is no token.
pub fn text_loss(model: &Gpt, codec: &Codec, text: &str) -> Result<f64> {
    let tokens = Tensor::from(codec.encode(text)?);
    Ok(held_out_loss(model, &tokens, 16, None)?)
}
